"""The statement behind the `#` of a QR code: a COSE_Sign1 that proves a certificate off-line.

COSE_Sign1 (RFC 9052), untagged, ES256 with repeatable nonces (RFC 6979), CWT claims (RFC 8392) in
deterministic CBOR (RFC 8949, 4.2.1): the same statement is always the same bytes, and a second
spelling of it is refused. Whatever a stranger's code holds, the answer is a `Statement` or
`StatementRefused` with a `Reason`.
"""

import base64
import datetime
import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple

import cbor2
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from signing.errors import StatementRefused


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
    version: Annotated[int, msgspec.Meta(ge=1)]
    public_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-hjkmnp-tv-z]{16}$")]
    status_index: Annotated[int, msgspec.Meta(ge=0)]
    record_digest: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class PublishedKey(msgspec.Struct, frozen=True):
    """A public key and the window in which the statements it signed were made."""

    public_key: ec.EllipticCurvePublicKey
    not_before: datetime.datetime
    not_after: datetime.datetime


class Address(NamedTuple):
    """What stands before the `#`: the host that answers and the ID."""

    host: str
    public_id: str


class Reason(StrEnum):
    """Why a statement is refused, in the order in which it is looked at."""

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


SIZE_LIMIT: Final = 2048
ALGORITHM, KEY_ID = 1, 4  # header labels, RFC 9052 section 3.1
ES256 = -7
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
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


def sign(statement: Statement, private_key: ec.EllipticCurvePrivateKey, kid: bytes) -> bytes:
    """Sign a statement: COSE_Sign1, untagged, the signature as r ‖ s."""
    protected = _dump({ALGORITHM: ES256, KEY_ID: kid})
    payload = _dump(_claims(statement))
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    der = private_key.sign(_to_be_signed(protected, payload), algorithm)
    r, s = utils.decode_dss_signature(der)
    signature = r.to_bytes(32) + min(s, _ORDER - s).to_bytes(32)
    return _dump([protected, {}, payload, signature])


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
    protected = _dump({ALGORITHM: ES256, KEY_ID: bytes(4)})
    return b"\xff" * len(_dump([protected, {}, _dump(_claims(statement)), bytes(64)]))


def verify(
    cose: bytes, keys: Mapping[bytes, PublishedKey], *, address: Address | None = None
) -> Statement:
    """Read a statement; `address` is the one that carried it, if one did.

    Raises: StatementRefused, with its `Reason` as the fact `reason`.
    """
    if len(cose) > SIZE_LIMIT:
        raise StatementRefused(reason=Reason.TOO_LONG)
    try:
        statement, key = _read(cose, keys)
    except StatementRefused:
        raise
    except InvalidSignature as error:
        raise StatementRefused(reason=Reason.BAD_SIGNATURE) from error
    except Exception as error:  # whatever a stranger's bytes break, they are malformed
        raise StatementRefused(reason=Reason.MALFORMED) from error
    if not key.not_before <= statement.issued_at <= key.not_after:
        raise StatementRefused(reason=Reason.OUTSIDE_KEY_WINDOW)
    if address and address.host != statement.issuer:
        raise StatementRefused(reason=Reason.OTHER_HOST)
    if address and address.public_id != statement.public_id:
        raise StatementRefused(reason=Reason.OTHER_ID)
    return statement


def to_text(host: str, public_id: str, cose: bytes) -> tuple[str, str]:
    """Write the two halves of a QR code: the address, `#` included, and the decimal digits."""
    return f"https://{host}/v/{public_id}#", str(int.from_bytes(b"\x01" + cose))


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


def _read(cose: bytes, keys: Mapping[bytes, PublishedKey]) -> tuple[Statement, PublishedKey]:
    """Read the claims after the signature. Each layer written again must give its bytes."""
    protected, _, payload, signature = _load(cose)
    header = _load(protected)
    if header[ALGORITHM] != ES256:
        raise StatementRefused(reason=Reason.WRONG_ALGORITHM)
    kid = header[KEY_ID]
    if kid not in keys:
        raise StatementRefused(reason=Reason.UNKNOWN_KEY)
    _compare({ALGORITHM: ES256, KEY_ID: kid}, protected)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if s > _ORDER // 2:  # the other spelling of the same signature
        raise StatementRefused(reason=Reason.NOT_CANONICAL)
    der = utils.encode_dss_signature(r, s)
    message = _to_be_signed(protected, payload)
    keys[kid].public_key.verify(der, message, ec.ECDSA(hashes.SHA256()))
    _compare([protected, {}, payload, r.to_bytes(32) + s.to_bytes(32)], cose)
    statement = _statement(_load(payload))
    _compare(_claims(statement), payload)
    return statement, keys[kid]


def _dump(value: object) -> bytes:
    return bytes(cbor2.dumps(value, canonical=True))


def _load(encoded: bytes) -> Any:
    """Decode what has no other spelling: no duplicate key, spare byte or longer integer."""
    value = cbor2.loads(encoded, max_depth=2)
    if _dump(value) != encoded:
        raise StatementRefused(reason=Reason.NOT_CANONICAL)
    return value


def _compare(expected: object, encoded: bytes) -> None:
    if _dump(expected) != encoded:
        raise StatementRefused(reason=Reason.MALFORMED)


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Encode the Sig_structure of RFC 9052 section 4.4, without external data."""
    return _dump(["Signature1", protected, b"", payload])


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
