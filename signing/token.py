"""The statement behind the `#` of a QR code: a COSE_Sign1 that proves a certificate off-line.

CWT claims (RFC 8392) in an untagged COSE_Sign1, as `signing.cose` writes it: the same statement is
always the same bytes, and a second spelling of it is refused. Whatever a stranger's code holds, the
answer is a `Statement` or `StatementRefused` with a `Reason`. docs/qr-format.md tells strangers.
"""

import base64
import datetime
import hmac
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from signing import cose
from signing.errors import StatementRefused

PublishedKey = cose.PublishedKey
Reason = cose.Reason


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What one QR code says. `record_digest`: first 16 bytes of the record's SHA-256.

    `issuer` is the host of the verification page; `issued_at` is aware UTC in whole seconds.
    """

    issuer: str
    issued_at: datetime.datetime
    number: Annotated[str, msgspec.Meta(pattern="^[0-9]+$")]
    name: str
    project: str
    exam_on: datetime.date
    version: Annotated[int, msgspec.Meta(ge=1, le=999)]
    public_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-hjkmnp-tv-z]{16}$")]
    status_index: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    record_digest: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class Address(NamedTuple):
    """What stands before the `#`: the host that answers and the ID."""

    host: str
    public_id: str


SIZE_LIMIT: Final = 2048
ISSUER, ISSUED_AT, NUMBER = 1, 6, 7  # claims iss, iat and cti, RFC 8392 section 3.1
CERTIFICATE = -65537  # the first label for private use: a map, whose own labels are
LABELS: Final = {
    "name": 1,
    "project": 2,
    "exam_on": 3,  # days since 1970-01-01
    "version": 4,
    "public_id": 5,  # 10 bytes
    "status_index": 6,
    "record_digest": 7,
}

STATUS_LIST_BITS = 20
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_CROCKFORD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghjkmnpqrstvwxyz")
_RFC4648 = {new: old for old, new in _CROCKFORD.items()}
_TEXT = re.compile(
    r"(?:https://([a-z0-9.-]+(?::[0-9]+)?)/v/([0-9a-hjkmnp-tv-z]{16})(?:#|$))?([0-9]*)"
)


def sign(statement: Statement, private_key: ec.EllipticCurvePrivateKey, kid: bytes) -> bytes:
    """Sign a statement: COSE_Sign1, untagged, the signature as r ‖ s."""
    return cose.sign(_claims(statement), private_key, kid)


def longest(issuer: str, name_bytes: int, project_bytes: int) -> bytes:
    """Return as many bytes as the longest statement with texts of these lengths in UTF-8 has."""
    statement = Statement(
        issuer=issuer,
        issued_at=datetime.datetime.fromtimestamp(2**32 - 1, datetime.UTC),
        number="9" * 20,
        name="x" * name_bytes,
        project="x" * project_bytes,
        exam_on=datetime.date.fromordinal(_EPOCH + 2**16),
        version=999,
        public_id="z" * 16,
        status_index=2**32 - 1,
        record_digest=bytes(16),
    )
    protected = cose.dump({cose.ALGORITHM: cose.ES256, cose.KEY_ID: bytes(4)})
    parts = [protected, {}, cose.dump(_claims(statement)), bytes(cose.SIGNATURE_LENGTH)]
    return b"\xff" * len(cose.dump(parts))


def verify(
    signed: bytes, keys: Mapping[bytes, PublishedKey], *, address: Address | None = None
) -> Statement:
    """Read a statement; `address` is the one that carried it, if one did.

    Raises: StatementRefused, with its `Reason` as the fact `reason`.
    """
    return verify_with_key(signed, keys, address=address)[0]


def verify_with_key(
    signed: bytes, keys: Mapping[bytes, PublishedKey], *, address: Address | None = None
) -> tuple[Statement, PublishedKey]:
    """Read a statement as `verify` does, and tell which key signed it."""
    with cose.refusing(StatementRefused):
        if len(signed) > SIZE_LIMIT:
            raise cose.Refused(Reason.TOO_LONG)
        claims, payload, key = cose.read(signed, keys)
        statement = _statement(claims)
        cose.require_same(_claims(statement), payload)
        cose.require_window(key, statement.issued_at)
        if address and address.host != statement.issuer:
            raise cose.Refused(Reason.OTHER_HOST)
        if address and address.public_id != statement.public_id:
            raise cose.Refused(Reason.OTHER_ID)
    return statement, key


def to_text(host: str, public_id: str, signed: bytes) -> tuple[str, str]:
    """Write the two halves of a QR code: the address, `#` included, and the decimal digits."""
    return f"https://{host}/v/{public_id}#", str(int.from_bytes(b"\x01" + signed))


def from_text(text: str) -> tuple[Address | None, bytes]:
    """Take a scanned text apart into its address and the COSE bytes; either may be missing.

    Raises: StatementRefused.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None or not match[0]:
        raise StatementRefused(reason=Reason.MALFORMED_TEXT)
    host, public_id, digits = match.groups()
    address = Address(host, public_id) if host else None
    if not digits:
        return address, b""
    if digits.startswith("0"):
        raise StatementRefused(reason=Reason.LEADING_ZERO)
    if len(digits) > SIZE_LIMIT * 5 // 2:
        raise StatementRefused(reason=Reason.TOO_LONG)
    # In two halves, because the interpreter converts no more than 4300 digits at once.
    value = int(digits[:-2048] or "0") * 10**2048 + int(digits[-2048:])
    prefixed = value.to_bytes((value.bit_length() + 7) // 8)
    if prefixed[0] != 1:
        raise StatementRefused(reason=Reason.MALFORMED_TEXT)
    return address, prefixed[1:]


def pack_number(number: str) -> bytes:
    """Two digits a byte; an odd count ends in the half byte F."""
    return bytes.fromhex(number + "f" * (len(number) % 2))


def unpack_number(packed: bytes) -> str:
    """Undo `pack_number`. What it could not have written comes out with a letter in it."""
    return packed.hex().removesuffix("f")


def encode_id(raw: bytes) -> str:
    """Write 10 bytes as 16 characters of lower-case Crockford base32."""
    return base64.b32encode(raw).decode().translate(_CROCKFORD)


def decode_id(public_id: str) -> bytes:
    """Undo `encode_id`."""
    return base64.b32decode(public_id.translate(_RFC4648))


def permute(key: bytes, sequence: int) -> int:
    """Place a plain sequence inside its status list of 2**20, so that neighbours tell nothing.

    A Feistel network over the two halves of the place, keyed by round, list and half: bijective.
    """
    status_list, place = divmod(sequence, 1 << STATUS_LIST_BITS)
    left, right = divmod(place, 1 << 10)
    for step in range(8):
        message = step.to_bytes(1) + status_list.to_bytes(8) + right.to_bytes(2)
        mixed = int.from_bytes(hmac.digest(key, message, "sha256")[:2])
        left, right = right, left ^ (mixed & 0x3FF)
    return status_list << STATUS_LIST_BITS | left << 10 | right


def _claims(statement: Statement) -> dict[int, object]:
    facts = msgspec.structs.asdict(statement) | {
        "exam_on": statement.exam_on.toordinal() - _EPOCH,
        "public_id": decode_id(statement.public_id),
    }
    return {
        ISSUER: statement.issuer,
        ISSUED_AT: int(statement.issued_at.timestamp()),
        NUMBER: pack_number(statement.number),
        CERTIFICATE: {label: facts[name] for name, label in LABELS.items()},
    }


def _statement(claims: Any) -> Statement:
    facts = {name: claims[CERTIFICATE][label] for name, label in LABELS.items()} | {
        "issuer": claims[ISSUER],
        "issued_at": datetime.datetime.fromtimestamp(claims[ISSUED_AT], datetime.UTC),
        "number": unpack_number(claims[NUMBER]),
    }
    facts["exam_on"] = datetime.date.fromordinal(facts["exam_on"] + _EPOCH)
    facts["public_id"] = encode_id(facts["public_id"])
    return msgspec.convert(facts, Statement)
