"""The published keys, as files: a JWK Set (RFC 7517) and a COSE_KeySet (RFC 9052, section 7).

Both say the same of each key: its id, its point, the window in which it signs, what it is for and
whether it is a specimen's. A key signs statements or status lists, never both, and is read back
into the half where it belongs. Anything else in such a file makes the whole of it refused.
"""

import base64
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from signing import cose
from signing.cose import PublishedKey, Purpose
from signing.errors import KeySetRefused

JWKS_MEDIA_TYPE: Final = "application/jwk-set+json"
COSE_MEDIA_TYPE: Final = "application/cose-key-set"
SIZE_LIMIT: Final = 1 << 20

Keys: TypeAlias = Mapping[Purpose, Mapping[bytes, PublishedKey]]
"""Published keys by what they are for, then by their kid."""


class Jwk(msgspec.Struct, frozen=True, kw_only=True):
    """One key as JSON says it: `nbf` and `exp` are its window, in seconds since 1970."""

    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    x: str
    y: str
    kid: str
    use: Literal["sig"] = "sig"
    alg: Literal["ES256"] = "ES256"
    nbf: int
    exp: int
    purpose: Purpose
    specimen: bool


class _JwkSet(msgspec.Struct, frozen=True):
    keys: list[Jwk]


_KEY_TYPE, _KID, _ALGORITHM, _CURVE, _X, _Y = 1, 2, 3, -1, -2, -3  # RFC 9053 section 7.1.1
_EC2, _P256 = 2, 1
_FIXED = {_KEY_TYPE: _EC2, _ALGORITHM: cose.ES256, _CURVE: _P256}
_NOT_BEFORE, _NOT_AFTER, _PURPOSE, _SPECIMEN = -65537, -65538, -65539, -65540  # for private use


def to_jwks(keys: Keys) -> bytes:
    """Write a JWK Set, in the order given."""
    return msgspec.json.encode(_JwkSet(_jwks(keys)))


def to_cose(keys: Keys) -> bytes:
    """Write a COSE_KeySet in deterministic CBOR, in the order given."""
    return cose.dump(
        [
            _FIXED
            | {
                _KID: bytes.fromhex(one.kid),
                _X: _decode(one.x),
                _Y: _decode(one.y),
                _NOT_BEFORE: one.nbf,
                _NOT_AFTER: one.exp,
                _PURPOSE: one.purpose.value,
                _SPECIMEN: one.specimen,
            }
            for one in _jwks(keys)
        ]
    )


def read(content: bytes) -> Keys:
    """Read either kind of file.

    Raises: KeySetRefused.
    """
    try:
        if content[:1].lstrip() in (b"{", b""):
            found: Sequence[Jwk] = msgspec.json.decode(content, type=_JwkSet).keys
        else:
            found = [_jwk(one) for one in cose.load(content)]
        kids = [bytes.fromhex(one.kid) for one in found]
        keys: dict[Purpose, dict[bytes, PublishedKey]] = {purpose: {} for purpose in Purpose}
        for kid, one in zip(kids, found, strict=True):
            keys[one.purpose][kid] = _published(one)
    except Exception as error:
        raise KeySetRefused from error
    if len(set(kids)) < len(kids):  # nobody could tell which of them is meant
        raise KeySetRefused
    return keys


def _jwks(keys: Keys) -> list[Jwk]:
    found = []
    for purpose, published in keys.items():
        for kid, key in published.items():
            point = key.public_key.public_numbers()
            one = Jwk(
                x=_encode(point.x.to_bytes(32)),
                y=_encode(point.y.to_bytes(32)),
                kid=kid.hex(),
                nbf=int(key.not_before.timestamp()),
                exp=int(key.not_after.timestamp()),
                purpose=purpose,
                specimen=key.specimen,
            )
            found.append(one)
    return found


def _jwk(one: Any) -> Jwk:
    if {label: one[label] for label in _FIXED} != _FIXED:
        raise ValueError("not a P-256 key for ES256")
    facts = {
        "x": _encode(one[_X]),
        "y": _encode(one[_Y]),
        "kid": one[_KID].hex(),
        "nbf": one[_NOT_BEFORE],
        "exp": one[_NOT_AFTER],
        "purpose": one[_PURPOSE],
        "specimen": one[_SPECIMEN],
    }
    return msgspec.convert(facts, Jwk)


def _published(one: Jwk) -> PublishedKey:
    x, y = (int.from_bytes(_decode(part)) for part in (one.x, one.y))
    return PublishedKey(
        ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key(),
        datetime.datetime.fromtimestamp(one.nbf, datetime.UTC),
        datetime.datetime.fromtimestamp(one.exp, datetime.UTC),
        one.specimen,
    )


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
