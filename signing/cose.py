"""COSE_Sign1 in one form only: ES256, deterministic CBOR, and one refusal for everything else.

What the statements in QR codes and the signed status lists share: RFC 9052 with repeatable nonces
(RFC 6979), the lower of the two spellings of a signature, and CBOR as RFC 8949 section 4.2.1 writes
it, so that the same content is always the same bytes. Whatever a stranger's bytes break in here is
a `Reason`.
"""

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final

import cbor2
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from signing.errors import SigningError


class Reason(StrEnum):
    """Why something signed is refused, in the order in which it is looked at."""

    MALFORMED_TEXT = "malformed_text"
    LEADING_ZERO = "leading_zero"
    TOO_LONG = "too_long"
    MALFORMED = "malformed"
    NOT_CANONICAL = "not_canonical"
    WRONG_ALGORITHM = "wrong_algorithm"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    OUTSIDE_KEY_WINDOW = "outside_key_window"
    OTHER_HOST = "other_host"
    OTHER_ID = "other_id"
    FROM_THE_FUTURE = "from_the_future"


class Purpose(StrEnum):
    """What a key that is no seal signs: the statements in QR codes, or the status lists."""

    STATEMENT = "statement"
    STATUS = "status"


class PublishedKey(msgspec.Struct, frozen=True):
    """A public key and the window in which what it signed was made; a specimen proves nothing."""

    public_key: ec.EllipticCurvePublicKey
    not_before: datetime.datetime
    not_after: datetime.datetime
    specimen: bool = False


class Refused(Exception):  # noqa: N818 - named as the fact that it is
    """Something signed is refused; never leaves the library."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason)


ALGORITHM, KEY_ID, TYPE = 1, 4, 16  # header labels: RFC 9052 section 3.1, RFC 9596
ES256 = -7
SIGNATURE_LENGTH: Final = 64
DEPTH_MAX: Final = 2
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


def dump(value: object) -> bytes:
    """Write deterministic CBOR."""
    return bytes(cbor2.dumps(value, canonical=True))


def load(encoded: bytes) -> Any:
    """Decode what has no other spelling: no duplicate key, spare byte or longer integer."""
    value = cbor2.loads(encoded, max_depth=DEPTH_MAX)
    if dump(value) != encoded:
        raise Refused(Reason.NOT_CANONICAL)
    return value


def require_same(expected: object, encoded: bytes) -> None:
    """Refuse what says more, less or other than what was read from it."""
    if dump(expected) != encoded:
        raise Refused(Reason.MALFORMED)


def sign(
    payload: object,
    private_key: ec.EllipticCurvePrivateKey,
    kid: bytes,
    header: Mapping[int, object] | None = None,
) -> bytes:
    """Sign a payload: COSE_Sign1, untagged, the signature as r ‖ s."""
    protected = dump({ALGORITHM: ES256, KEY_ID: kid} | dict(header or {}))
    content = dump(payload)
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    der = private_key.sign(_to_be_signed(protected, content), algorithm)
    r, s = utils.decode_dss_signature(der)
    signature = r.to_bytes(32) + min(s, _ORDER - s).to_bytes(32)
    return dump([protected, {}, content, signature])


def read(
    cose: bytes, keys: Mapping[bytes, PublishedKey], header: Mapping[int, object] | None = None
) -> tuple[Any, bytes, PublishedKey]:
    """Verify the signature; returns the payload decoded, its bytes, and the key that signed it.

    Raises: Refused, and whatever malformed bytes break; `refusing` makes one refusal of both.
    """
    protected, unprotected, content, signature = load(cose)
    said = load(protected)
    if said[ALGORITHM] != ES256:
        raise Refused(Reason.WRONG_ALGORITHM)
    kid = said[KEY_ID]
    if type(kid) is not bytes or kid not in keys:
        raise Refused(Reason.UNKNOWN_KEY)
    require_same({ALGORITHM: ES256, KEY_ID: kid} | dict(header or {}), protected)
    strings = [type(part) for part in (protected, content, signature)] == [bytes] * 3
    if not strings or unprotected != {} or len(signature) != SIGNATURE_LENGTH:
        raise Refused(Reason.MALFORMED)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if s > _ORDER // 2:  # the other spelling of the same signature
        raise Refused(Reason.NOT_CANONICAL)
    der = utils.encode_dss_signature(r, s)
    keys[kid].public_key.verify(der, _to_be_signed(protected, content), ec.ECDSA(hashes.SHA256()))
    return load(content), content, keys[kid]


def require_window(key: PublishedKey, issued_at: datetime.datetime) -> None:
    """Refuse what was signed before its key began or after it ended."""
    if not key.not_before <= issued_at <= key.not_after:
        raise Refused(Reason.OUTSIDE_KEY_WINDOW)


@contextmanager
def refusing(refusal: type[SigningError]) -> Iterator[None]:
    """Turn whatever a stranger's bytes break into one refusal, its `Reason` the fact `reason`."""
    try:
        yield
    except Refused as refused:
        raise refusal(reason=refused.reason) from refused
    except InvalidSignature as error:
        raise refusal(reason=Reason.BAD_SIGNATURE) from error
    except Exception as error:
        raise refusal(reason=Reason.MALFORMED) from error


def _to_be_signed(protected: bytes, content: bytes) -> bytes:
    """Encode the Sig_structure of RFC 9052 section 4.4, without external data."""
    return dump(["Signature1", protected, b"", content])
