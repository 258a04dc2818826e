"""The published keys: both files say the same, and half a key is none."""

import datetime
import json
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from signing import key_set
from signing.cose import PublishedKey, Purpose
from signing.errors import KeySetRefused

BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2028, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
STATEMENT_KEY, STATUS_KEY = (
    ec.derive_private_key(scalar, ec.SECP256R1()).public_key() for scalar in (1234, 5678)
)
KEYS = {
    Purpose.STATEMENT: {b"\x0a\x1b\x2c\x3d": PublishedKey(STATEMENT_KEY, BEGIN, END)},
    Purpose.STATUS: {b"\0\0\0\1": PublishedKey(STATUS_KEY, BEGIN, END, specimen=True)},
}
JWKS, COSE = key_set.to_jwks(KEYS), key_set.to_cose(KEYS)


@pytest.mark.parametrize("content", [JWKS, COSE, b" \n" + JWKS])
def test_what_is_written_is_read_back_from_either_file(content: bytes) -> None:
    assert key_set.read(content) == KEYS


def test_no_keys_are_a_file_too() -> None:
    nothing: key_set.Keys = {purpose: {} for purpose in Purpose}
    assert key_set.read(key_set.to_jwks(nothing)) == nothing
    assert key_set.read(key_set.to_cose(nothing)) == nothing


def test_the_json_is_what_other_libraries_read() -> None:
    (first, second) = json.loads(JWKS)["keys"]
    facts = {name: first[name] for name in first.keys() - {"x", "y"}}
    assert facts == {
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "0a1b2c3d",
        "nbf": 1767225600, "exp": 1861919999, "purpose": "statement", "specimen": False,
    }  # fmt: skip
    assert (second["purpose"], second["specimen"]) == ("status", True)
    assert ECKey.import_key(first).public_key == STATEMENT_KEY


def test_the_cbor_is_a_cose_key_set() -> None:
    first, second = cbor2.loads(COSE)
    point = STATEMENT_KEY.public_numbers()
    assert first == {
        1: 2, 2: b"\x0a\x1b\x2c\x3d", 3: -7, -1: 1, -2: point.x.to_bytes(32),
        -3: point.y.to_bytes(32), -65537: 1767225600, -65538: 1861919999, -65539: "statement",
        -65540: False,
    }  # fmt: skip
    assert (second[2], second[-65539], second[-65540]) == (b"\0\0\0\1", "status", True)
    assert cbor2.dumps([first, second], canonical=True) == COSE


def changed(**members: Any) -> bytes:
    (first, _) = json.loads(JWKS)["keys"]
    kept = {name: value for name, value in (first | members).items() if value is not ...}
    return json.dumps({"keys": [kept]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        COSE + b"\0",
        JWKS[:-1],
        b'{"keys": 1}',
        *(changed(**{name: ...}) for name in json.loads(JWKS)["keys"][0] if name not in
          {"kty", "crv", "use", "alg"}),
        changed(x="AAAA"),
        changed(y=json.loads(JWKS)["keys"][1]["y"]),
        changed(kty="RSA"),
        changed(crv="P-384"),
        changed(alg="ES384"),
        changed(use="enc"),
        changed(purpose="seal"),
        json.dumps({"keys": json.loads(JWKS)["keys"] * 2}).encode(),
        json.dumps({"keys": [one | {"kid": "00"} for one in json.loads(JWKS)["keys"]]}).encode(),
        cbor2.dumps(cbor2.loads(COSE) * 2, canonical=True),
        changed(kid="xy"),
        changed(nbf="now"),
        changed(exp=10**30),
        changed(specimen="no"),
        cbor2.dumps([cbor2.loads(COSE)[0] | {-1: 2}], canonical=True),
        cbor2.dumps([cbor2.loads(COSE)[0] | {-2: b"x"}], canonical=True),
        cbor2.dumps([{1: 2}], canonical=True),
        cbor2.dumps([1], canonical=True),
    ],
)  # fmt: skip
def test_half_a_key_makes_the_file_refused(content: bytes) -> None:
    with pytest.raises(KeySetRefused):
        key_set.read(content)
