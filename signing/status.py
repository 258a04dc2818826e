"""The signed status list: which certificates are no longer in force, for whoever has no network.

A Token Status List (draft-ietf-oauth-status-list-21, section 5.2) as CWT: COSE_Sign1 with its tag,
four bits a certificate, deflated, good for some hours only. A list of 2**20 places answers for the
certificates of one host whose index lies in it. Whatever a stranger's bytes hold, the answer is a
`StatusList` or `StatusListRefused` with a `Reason`; past its time a list still reads, and answers
nothing.
"""

import datetime
import re
import zlib
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from signing import cose, token
from signing.cose import PublishedKey, Reason
from signing.errors import StatusListRefused


class Standing(IntEnum):
    """What four bits say; 12 and 13 are the draft's application specific values."""

    VALID = 0
    REVOKED = 1
    SUSPENDED = 2
    REPLACED = 12
    CANCELLED = 13


class StatusList(msgspec.Struct, frozen=True, kw_only=True):
    """A list that was read; `is_fresh` tells whether it may still be relied on."""

    host: str
    number: int
    issued_at: datetime.datetime
    expires_at: datetime.datetime
    is_fresh: bool
    places: bytes

    def of(self, host: str, index: int) -> Standing | None:
        """Look a certificate of that host up by its index; None where this list cannot tell."""
        number, place = divmod(index, PLACE_COUNT)
        if not self.is_fresh or (host, number) != (self.host, self.number):
            return None
        value = self.places[place // 2] >> place % 2 * 4 & 0xF
        return Standing(value) if value in _VALUES else None


PLACE_COUNT: Final = 1 << token.STATUS_LIST_BITS
BITS: Final = 4
MEDIA_TYPE: Final = "application/statuslist+cwt"
SIZE_LIMIT: Final = 1 << 20
SKEW: Final = datetime.timedelta(minutes=5)
TIME_TO_LIVE: Final = datetime.timedelta(hours=1)
SUBJECT, EXPIRES_AT, ISSUED_AT = 2, 4, 6  # claims sub, exp and iat, RFC 8392 section 3.1
STATUS_LIST, TTL = 65533, 65534
_TAG = b"\xd2"  # COSE_Sign1, RFC 9052 section 2
_HEADER = {cose.TYPE: MEDIA_TYPE}
_LENGTH = PLACE_COUNT * BITS // 8
_VALUES = frozenset(Standing)
_ADDRESS = re.compile(r"https://([a-z0-9.-]+(?::[0-9]+)?)/status/(0|[1-9][0-9]{0,9})")


def address(host: str, number: int) -> str:
    """Return where a list is published, which is also what it says of itself."""
    return f"https://{host}/status/{number}"


def pack(standings: Mapping[int, Standing]) -> bytes:
    """Write down the places of a list: two a byte, the even one in the lower half."""
    places = bytearray(_LENGTH)
    for place, standing in standings.items():
        places[place // 2] |= standing << place % 2 * 4
    return bytes(places)


def sign(
    places: bytes,
    private_key: ec.EllipticCurvePrivateKey,
    kid: bytes,
    *,
    host: str,
    number: int,
    issued_at: datetime.datetime,
    lifetime: datetime.timedelta,
) -> bytes:
    """Sign a packed list that is good until `lifetime` after `issued_at` (whole seconds)."""
    claims = {
        SUBJECT: address(host, number),
        EXPIRES_AT: int((issued_at + lifetime).timestamp()),
        ISSUED_AT: int(issued_at.timestamp()),
        TTL: int(min(TIME_TO_LIVE, lifetime).total_seconds()),
        STATUS_LIST: {"bits": BITS, "lst": zlib.compress(places, 9)},
    }
    return _TAG + cose.sign(claims, private_key, kid, _HEADER)


def verify(signed: bytes, keys: Mapping[bytes, PublishedKey], now: datetime.datetime) -> StatusList:
    """Read a list as it is at `now`; `keys` are those of status lists and no others.

    Raises: StatusListRefused, with its `Reason` as the fact `reason`.
    """
    with cose.refusing(StatusListRefused):
        if len(signed) > SIZE_LIMIT:
            raise cose.Refused(Reason.TOO_LONG)
        if not signed.startswith(_TAG):
            raise cose.Refused(Reason.MALFORMED)
        claims, payload, key = cose.read(signed.removeprefix(_TAG), keys, _HEADER)
        found = _status_list(claims, payload, now)
        cose.require_window(key, found.issued_at)
        if found.issued_at > now + SKEW:
            raise cose.Refused(Reason.FROM_THE_FUTURE)
    return found


def standing(lists: Iterable[StatusList], host: str, index: int) -> Standing | None:
    """Look a certificate up in its newest list; of two from one second, in the one that warns."""
    place = host, index // PLACE_COUNT
    about = [one for one in lists if (one.host, one.number) == place]
    newest = max((one.issued_at for one in about), default=None)
    said = [one.of(host, index) for one in about if one.issued_at == newest]
    warning = [one for one in said if one is not Standing.VALID]
    return (warning or said or [None])[0]


def _status_list(claims: Any, payload: bytes, now: datetime.datetime) -> StatusList:
    """Read the claims. What was not read is not in them: they must give the payload again."""
    deflated, ttl = claims[STATUS_LIST]["lst"], claims[TTL]
    issued_at, expires_at = claims[ISSUED_AT], claims[EXPIRES_AT]
    matched = _ADDRESS.fullmatch(claims[SUBJECT])
    if not (matched and type(ttl) is int and 0 < ttl < 1 << 64 and issued_at < expires_at):
        raise cose.Refused(Reason.MALFORMED)
    host, number = matched[1], int(matched[2])
    read = {
        SUBJECT: address(host, number),
        EXPIRES_AT: int(expires_at),
        ISSUED_AT: int(issued_at),
        TTL: ttl,
        STATUS_LIST: {"bits": BITS, "lst": bytes(deflated)},
    }
    cose.require_same(read, payload)
    return StatusList(
        host=host,
        number=number,
        issued_at=datetime.datetime.fromtimestamp(issued_at, datetime.UTC),
        expires_at=datetime.datetime.fromtimestamp(expires_at, datetime.UTC),
        is_fresh=now.timestamp() < expires_at,
        places=_inflate(deflated),
    )


def _inflate(deflated: bytes) -> bytes:
    """Inflate a list of exactly its length: no bomb, no stump, nothing after the end."""
    stream = zlib.decompressobj()
    places = stream.decompress(deflated, _LENGTH + 1)
    if len(places) != _LENGTH or not stream.eof or stream.unused_data:
        raise cose.Refused(Reason.MALFORMED)
    return places
