"""The vectors of docs/qr-format.md: what is accepted, and every family of what is refused.

`python -m tests.vectors` writes them; equal keys give equal bytes. Whatever is tampered with is
signed again afterwards, by other means than the library's own, unless its signature is the point:
a reader must refuse it for what it says and not for being unsigned. What is expected of each stands
here by hand.
"""

import datetime
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import cbor2
import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from signing import key_set, status, token
from signing.cose import PublishedKey, Purpose, Reason
from signing.status import Standing
from signing.token import Statement

FOLDER = Path(__file__).parent
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-4, D.1.2.3
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2028, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
NOW = datetime.datetime(2026, 7, 1, 8, 0, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)
DAY = datetime.timedelta(days=1)


def _key(scalar: int) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    """Derive a key for everybody to know, and its kid."""
    private_key = ec.derive_private_key(scalar, ec.SECP256R1())
    spki = private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    digest = hashes.Hash(hashes.SHA256())
    digest.update(spki)
    return private_key, digest.finalize()[:4]


KEY, KID = _key(0x5120_0001)
STATUS_KEY, STATUS_KID = _key(0x5120_0002)
OTHER_KEY, OTHER_KID = _key(0x5120_0003)
KEYS: Final = {
    Purpose.STATEMENT: {KID: PublishedKey(KEY.public_key(), BEGIN, END)},
    Purpose.STATUS: {STATUS_KID: PublishedKey(STATUS_KEY.public_key(), BEGIN, END, specimen=True)},
}
JWKS = json.loads(key_set.to_jwks(KEYS))
ID = token.encode_id(bytes(range(10)))
STATEMENT = Statement(
    issuer="zs.example.gov.cn",
    issued_at=datetime.datetime(2026, 5, 20, 1, 2, 3, tzinfo=datetime.UTC),
    number="2651010001600001",
    name="陈思远",
    project="川菜制作",
    exam_on=datetime.date(2026, 4, 18),
    version=1,
    public_id=ID,
    status_index=734_211,
    record_digest=bytes(range(16)),
)
ADDRESS = token.Address(STATEMENT.issuer, ID)


def dump(value: object) -> bytes:
    return bytes(cbor2.dumps(value, canonical=True))


COSE = token.sign(STATEMENT, KEY, KID)
CLAIMS = cbor2.loads(cbor2.loads(COSE)[2])
PAYLOAD = dump(CLAIMS)
HEADER = dump({1: -7, 4: KID})


def signature(
    protected: bytes,
    payload: bytes,
    key: ec.EllipticCurvePrivateKey = KEY,
    context: str = "Signature1",
) -> bytes:
    """Sign as RFC 9052 section 4.4 says, the lower of the two spellings."""
    message = dump([context, protected, b"", payload])
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = utils.decode_dss_signature(key.sign(message, algorithm))
    return r.to_bytes(32) + min(s, ORDER - s).to_bytes(32)


def sealed(payload: bytes, protected: bytes = HEADER) -> bytes:
    return dump([protected, {}, payload, signature(protected, payload)])


def fact(label: int, value: object) -> bytes:
    """Sign the statement with one fact of the certificate changed."""
    return sealed(dump(CLAIMS | {-65537: CLAIMS[-65537] | {label: value}}))


def claim(label: int, value: object) -> bytes:
    return sealed(dump(CLAIMS | {label: value}))


def header(value: object) -> bytes:
    return sealed(PAYLOAD, dump(value))


def digits(cose: bytes, prefix: bytes = b"\x01") -> str:
    # In two halves, because the interpreter converts no more than 4300 digits at once.
    head, tail = divmod(int.from_bytes(prefix + cose), 10**2500)
    return f"{head}{tail:02500}" if head else str(tail)


def text(cose: bytes, address: token.Address = ADDRESS) -> str:
    return f"https://{address.host}/v/{address.public_id}#{digits(cose)}"


def statements() -> list[dict[str, Any]]:
    """Every vector of statements."""
    found = []
    for name, statement in _valid().items():
        cose = token.sign(statement, KEY, KID)
        address = token.Address(statement.issuer, statement.public_id)
        found.append(_accepted(name, text(cose, address), statement))
        if name == "plain":
            found.append(_accepted("the digits alone", digits(cose), statement))
            found.append(_accepted("blanks around it", f" {text(cose)}\r\n", statement))
    for name, (given, reason) in _refused_texts().items():
        found.append(_refused(name, given, reason))
    for reason, family in _refused_statements().items():
        found += [_refused(name, text(cose), reason) for name, cose in family.items()]
    return found


def status_lists() -> list[dict[str, Any]]:
    """Every vector of status lists."""
    standings = {
        0: Standing.REVOKED, 1: Standing.SUSPENDED, 2: Standing.REPLACED, 3: Standing.CANCELLED,
        734_210: Standing.SUSPENDED, 734_211: Standing.REVOKED, 2**20 - 1: Standing.CANCELLED,
    }  # fmt: skip
    places = bytearray(status.pack(standings))
    places[50] = 0x35  # two values that mean nothing
    good = _list_claims(bytes(places))
    fresh = _list(good)
    found = [
        _listed(f"place {place} is {standing.name.lower()}", fresh, place, standing)
        for place, standing in standings.items()
    ]
    found += [
        _listed("the place after a revoked one is valid", fresh, 734_212, Standing.VALID),
        _listed("a value that means nothing, lower half", fresh, 100, None),
        _listed("a value that means nothing, upper half", fresh, 101, None),
        _listed("a place of another list", fresh, 734_211 + 2**20, None),
        _listed("a certificate of another host", fresh, 734_211, None, issuer="zs.example.com"),
        _listed("its last second", fresh, 0, Standing.REVOKED, now=NOW + DAY - 2 * SECOND),
        _listed("expired", fresh, 0, None, now=NOW + DAY - SECOND),
        _listed("long expired", fresh, 0, None, now=NOW + 100 * DAY),
    ]
    second = _list(good | {2: "https://zs.example.gov.cn/status/1"})
    found.append(_listed("a second list", second, 2**20, Standing.REVOKED))
    ahead = good | {6: int(NOW.timestamp()) + 300, 4: int(NOW.timestamp()) + 600}
    found.append(_listed("a clock that is five minutes fast", _list(ahead), 0, Standing.REVOKED))
    for reason, family in _refused_lists(good, bytes(places)).items():
        for name, signed in family.items():
            vector = _listed(name, signed, 0, None)
            found.append(vector | {"expect": {"ok": False, "reason": reason.value}})
    return found


def write(folder: Path = FOLDER) -> None:
    """Write both files."""
    for name, found in {"statements": statements(), "status_lists": status_lists()}.items():
        lines = ",\n".join(json.dumps(one, ensure_ascii=False, sort_keys=True) for one in found)
        (folder / f"{name}.json").write_text(f"[\n{lines}\n]\n", "utf-8")


def _accepted(name: str, given: str, statement: Statement) -> dict[str, Any]:
    facts = msgspec.structs.asdict(statement) | {
        "issued_at": int(statement.issued_at.timestamp()),
        "exam_on": statement.exam_on.isoformat(),
        "record_digest": statement.record_digest.hex(),
    }
    expect = {"ok": True, "statement": facts}
    return {"name": name, "text": given, "keys": JWKS, "expect": expect}


def _refused(name: str, given: str, reason: Reason) -> dict[str, Any]:
    expect = {"ok": False, "reason": reason.value}
    return {"name": name, "text": given, "keys": JWKS, "expect": expect}


def _valid() -> Mapping[str, Statement]:
    changes: dict[str, dict[str, Any]] = {
        "plain": {},
        "a name of two characters": {"name": "王伟"},
        "a name of fifty characters": {
            "name": "俄木日火·吉勒布且·阿苏拉则·" + "阿尔木呷" * 8 + "卓玛央"
        },
        "a name of a rare character": {"name": "王𠂇"},
        "a Latin name": {"name": "Anna Maria Rossi"},
        "a long project": {"project": "商" * 42},
        "a number of one digit": {"number": "0"},
        "an odd number": {"number": "265101000160001"},
        "a number of twenty digits": {"number": "99999999999999999999"},
        "a number that begins with zeros": {"number": "0000000000000001"},
        "the highest version": {"version": 999},
        "the first place": {"status_index": 0},
        "the last place of the first list": {"status_index": 2**20 - 1},
        "a place beyond 32 bits": {"status_index": 2**32},
        "the highest place": {"status_index": 2**53 - 1},
        "the first day": {"exam_on": datetime.date(1970, 1, 1)},
        "the day before it": {"exam_on": datetime.date(1969, 12, 31)},
        "a day of 256": {"exam_on": datetime.date(1970, 9, 14)},
        "a leap day": {"exam_on": datetime.date(2028, 2, 29)},
        "the last day of all": {"exam_on": datetime.date(9999, 12, 31)},
        "the first second of its key": {"issued_at": BEGIN},
        "the last second of its key": {"issued_at": END},
        "a host with a port": {"issuer": "localhost:8443"},
        "the lowest ID": {"public_id": "0" * 16},
        "the highest ID": {"public_id": "z" * 16},
    }
    return {
        name: msgspec.structs.replace(STATEMENT, **changed) for name, changed in changes.items()
    }


def _refused_texts() -> Mapping[str, tuple[str, Reason]]:
    front, behind = f"https://{ADDRESS.host}/v/{ID}#", digits(COSE)
    malformed, other_id = Reason.MALFORMED_TEXT, "0123456789abcdef"
    of_ipv6 = f"https://[::1]/v/{ID}#{behind}"
    return {
        "nothing": ("", malformed),
        "a word": ("证书", malformed),
        "a letter in the digits": (behind[:50] + "a" + behind[51:], malformed),
        "full-width digits": ("１" + behind[1:], malformed),
        "a sign before the digits": ("+" + behind, malformed),
        "a blank in the digits": (behind[:50] + " " + behind[50:], malformed),
        "another scheme": (front.replace("https", "http") + behind, malformed),
        "upper case": (front.upper() + behind, malformed),
        "another path": (front.replace("/v/", "/w/") + behind, malformed),
        "a letter that no ID has": (front.replace(ID, "o" + ID[1:]) + behind, malformed),
        "an ID that is too long": (front.replace(ID, ID + "0") + behind, malformed),
        "a user before the host": (front.replace("//", "//zs.example.gov.cn@") + behind, malformed),
        "a query": (front.replace("#", "?a#") + behind, malformed),
        "no letters but a literal address": (of_ipv6, malformed),
        "another first byte": (digits(COSE, b"\x02"), malformed),
        "no first byte": (digits(COSE, b""), malformed),
        "a zero before the digits": (front + "0" + behind, Reason.LEADING_ZERO),
        "zero alone": ("0", Reason.LEADING_ZERO),
        "too many digits": ("1" * 5121, Reason.TOO_LONG),
        "too many digits and another first byte": ("9" * 5121, Reason.TOO_LONG),
        "2049 bytes": (digits(b"\x84" + bytes(2048)), Reason.TOO_LONG),
        "2048 bytes": (digits(b"\x84" + bytes(2047)), Reason.NOT_CANONICAL),
        "no statement after the first byte": ("1", Reason.MALFORMED),
        "another host": (text(COSE, token.Address("evil.example", ID)), Reason.OTHER_HOST),
        "another port": (text(COSE, token.Address(f"{ADDRESS.host}:444", ID)), Reason.OTHER_HOST),
        "another ID": (text(COSE, token.Address(ADDRESS.host, other_id)), Reason.OTHER_ID),
        "another host and ID": (text(COSE, token.Address("h.cn", other_id)), Reason.OTHER_HOST),
    }


def _refused_statements() -> Mapping[Reason, Mapping[str, bytes]]:
    protected, _, payload, signed = cbor2.loads(COSE)
    r, s = signed[:32], int.from_bytes(signed[32:])
    certificate = CLAIMS[-65537]

    def envelope(*parts: object) -> bytes:
        return dump(list(parts))

    def at(issued_at: datetime.datetime) -> bytes:
        return claim(6, int(issued_at.timestamp()))

    unsigned = envelope(protected, {}, dump(CLAIMS | {7: b"\x12"}), signed)
    late_and_unsigned = envelope(protected, {}, dump(CLAIMS | {6: 0}), signed)
    flipped = signed[:63] + bytes([signed[63] ^ 1])
    return {
        Reason.MALFORMED: {
            "no CBOR": b"\xff\xff",
            "half a statement": COSE[: len(COSE) // 2],
            "a length without end": b"\x9b" + b"\xff" * 8,
            "a string longer than all": b"\x5a\x7f\xff\xff\xff" + bytes(8),
            "very deep": b"\x81" * 500,
            "a tag before it": b"\xd2" + COSE,
            "three parts": envelope(protected, {}, payload),
            "five parts": envelope(protected, {}, payload, signed, 0),
            "a map of parts": dump({0: protected, 1: {}, 2: payload, 3: signed}),
            "an unprotected header": envelope(protected, {1: 2}, payload, signed),
            "an array for the unprotected header": envelope(protected, [], payload, signed),
            "a header that is no byte string": envelope({1: -7}, {}, payload, signed),
            "an empty header": sealed(PAYLOAD, b""),
            "a header that is an array": header([0, -7, 0, 0, KID]),
            "a header that is a number": header(-7),
            "a header without kid": header({1: -7}),
            "a header without algorithm": header({4: KID}),
            "more in the header": header({1: -7, 4: KID, 33: b"chain"}),
            "a critical header": header({1: -7, 2: [4], 4: KID}),
            "an algorithm with a point": header({1: -7.0, 4: KID}),
            "a signature of 63 bytes": envelope(protected, {}, payload, signed[:63]),
            "a signature of 65 bytes": envelope(protected, {}, payload, signed + b"\0"),
            "a signature in text": envelope(protected, {}, payload, "0" * 64),
            "a payload in text": envelope(protected, {}, "payload", signed),
            "a payload that is a map": envelope(protected, {}, {}, signed),
            "a signature of 64 numbers": envelope(protected, {}, payload, list(signed)),
            "no claims": sealed(b""),
            "claims that are an array": sealed(dump([1, 6, 7])),
            "claims that are too deep": fact(1, [[[]]]),
            "one claim more": claim(2, "subject"),
            "one claim less": sealed(dump({1: CLAIMS[1], 6: CLAIMS[6], -65537: certificate})),
            "no certificate": sealed(dump({label: CLAIMS[label] for label in (1, 6, 7)})),
            "one fact more": fact(8, "new"),
            "one fact less": sealed(dump(CLAIMS | {-65537: {1: "x"}})),
            "a host that is a number": claim(1, 1),
            "a host in bytes": claim(1, b"zs.example.gov.cn"),
            "a time with a point": claim(6, float(CLAIMS[6])),
            "a time in text": claim(6, "2026-05-20"),
            "a tagged time": sealed(PAYLOAD.replace(b"\x06\x1a", b"\x06\xd8\x2a\x1a", 1)),
            "a time after all time": claim(6, 2**62),
            "a true time": claim(6, True),
            "no time": claim(6, None),
            "a number with letters": claim(7, b"\xab\xcd"),
            "a number of nothing": claim(7, b""),
            "a number of a half byte alone": claim(7, b"\xff"),
            "a number with a half byte inside": claim(7, b"\x1f\x23"),
            "a number in text": claim(7, "2651010001600001"),
            "a name in bytes": fact(1, b"name"),
            "a name that is no UTF-8": sealed(PAYLOAD.replace("陈".encode(), b"\xff\xff\xff", 1)),
            "a name of half a character": sealed(
                PAYLOAD.replace("陈".encode(), b"\xed\xa0\x80", 1)
            ),
            "no name": fact(1, None),
            "an undefined project": fact(2, cbor2.undefined),
            "a date with a point": fact(3, 20_000.0),
            "a date after all dates": fact(3, 10**9),
            "a date before all dates": fact(3, -(10**9)),
            "version 0": fact(4, 0),
            "version 1000": fact(4, 1000),
            "a true version": fact(4, True),
            "an ID of nine bytes": fact(5, bytes(9)),
            "an ID of eleven bytes": fact(5, bytes(11)),
            "an ID of fifteen bytes": fact(5, bytes(15)),
            "an ID in text": fact(5, ID),
            "a place before the first": fact(6, -1),
            "a place of 2**53": fact(6, 2**53),
            "a place of 2**64 - 1": fact(6, 2**64 - 1),
            "a place in a tagged big number": fact(6, 2**64),
            "a digest of fifteen bytes": fact(7, bytes(15)),
            "a digest of seventeen bytes": fact(7, bytes(17)),
        },
        Reason.NOT_CANONICAL: {
            "a byte after the statement": COSE + b"\0",
            "a byte after the claims": sealed(PAYLOAD + b"\0"),
            "a byte after the header": sealed(PAYLOAD, HEADER + b"\0"),
            "a longer length than needed": COSE.replace(b"\x58\x40", b"\x59\x00\x40", 1),
            "parts of indefinite length": b"\x9f" + COSE[1:] + b"\xff",
            "a header of indefinite length": sealed(PAYLOAD, b"\xbf" + HEADER[1:] + b"\xff"),
            "header labels in another order": sealed(
                PAYLOAD, b"\xa2" + b"\x04\x44" + KID + b"\x01\x26"
            ),
            "a longer label in the header": sealed(
                PAYLOAD, HEADER.replace(b"\xa2\x01", b"\xa2\x18\x01", 1)
            ),
            "claims in another order": sealed(cbor2.dumps(dict(reversed(CLAIMS.items())))),
            "facts in another order": sealed(
                cbor2.dumps(CLAIMS | {-65537: dict(reversed(certificate.items()))})
            ),
            "claims of indefinite length": sealed(b"\xbf" + PAYLOAD[1:] + b"\xff"),
            "a longer time": sealed(PAYLOAD.replace(b"\x06\x1a", b"\x06\x1b\x00\x00\x00\x00", 1)),
            "a longer map": sealed(PAYLOAD.replace(b"\xa4\x01", b"\xb8\x04\x01", 1)),
            "a name in pieces": sealed(
                PAYLOAD.replace(b"\x01\x69", b"\x01\x7f\x69", 1).replace(
                    "陈思远".encode(), "陈思远".encode() + b"\xff", 1
                )
            ),
            "a number in pieces": sealed(
                PAYLOAD.replace(b"\x07\x48" + CLAIMS[7], b"\x07\x5f\x48" + CLAIMS[7] + b"\xff", 1)
            ),
            "a claim said twice": sealed(PAYLOAD.replace(b"\xa4\x01", b"\xa5\x01\x61\x78\x01", 1)),
            "a kid said twice": sealed(PAYLOAD, b"\xa3" + HEADER[1:] + b"\x04\x44" + KID),
            "the other spelling of the signature": envelope(
                protected, {}, payload, r + (ORDER - s).to_bytes(32)
            ),
        },
        Reason.WRONG_ALGORITHM: {
            f"algorithm {algorithm}": header({1: algorithm, 4: KID})
            for algorithm in (-8, -9, -35, -36, -37, 5, 0, "ES256")
        },
        Reason.UNKNOWN_KEY: {
            "a key that is not published": token.sign(STATEMENT, OTHER_KEY, OTHER_KID),
            "a kid of three bytes": header({1: -7, 4: KID[:3]}),
            "a kid of no bytes": header({1: -7, 4: b""}),
            "a kid in text": header({1: -7, 4: KID.hex()}),
            "a kid in an array": header({1: -7, 4: [KID]}),
            "the key of the status lists": token.sign(STATEMENT, STATUS_KEY, STATUS_KID),
        },
        Reason.BAD_SIGNATURE: {
            "another number": unsigned,
            "another time, out of the window too": late_and_unsigned,
            "one bit of the signature": envelope(protected, {}, payload, flipped),
            "a signature of zeros": envelope(protected, {}, payload, bytes(64)),
            "a first half beyond the order": envelope(
                protected, {}, payload, b"\xff" * 32 + signed[32:]
            ),
            "another key under this kid": envelope(
                protected, {}, payload, signature(protected, payload, OTHER_KEY)
            ),
            "a signature over another structure": envelope(
                protected, {}, payload, signature(protected, payload, context="Signature")
            ),
            "the halves of the signature exchanged": envelope(
                protected, {}, payload, _exchanged(payload)
            ),
        },
        Reason.OUTSIDE_KEY_WINDOW: {
            "a second before its key": at(BEGIN - SECOND),
            "a second after its key": at(END + SECOND),
            "in 1970": claim(6, 0),
        },
    }


def _exchanged(payload: bytes) -> bytes:
    """Exchange the halves of a signature whose first half is low enough to be the second."""
    signed = signature(HEADER, payload)
    if int.from_bytes(signed[:32]) > ORDER // 2:
        raise AssertionError("choose another statement")
    return signed[32:] + signed[:32]


def _list_claims(places: bytes) -> dict[int, Any]:
    return {
        2: "https://zs.example.gov.cn/status/0",
        4: int((NOW + DAY - SECOND).timestamp()),
        6: int((NOW - SECOND).timestamp()),
        65534: 3600,
        65533: {"bits": 4, "lst": zlib.compress(places, 9)},
    }


_LIST_HEADER = {1: -7, 4: STATUS_KID, 16: "application/statuslist+cwt"}


def _list(claims: object, protected: object = _LIST_HEADER, tag: bytes = b"\xd2") -> bytes:
    """Sign any claims as a status list."""
    return _list_of(dump(claims), dump(protected), tag)


def _list_of(
    payload: bytes,
    protected: bytes | None = None,
    tag: bytes = b"\xd2",
    key: ec.EllipticCurvePrivateKey = STATUS_KEY,
) -> bytes:
    protected = dump(_LIST_HEADER) if protected is None else protected
    return tag + dump([protected, {}, payload, signature(protected, payload, key)])


def _listed(
    name: str,
    signed: bytes,
    index: int,
    standing: Standing | None,
    *,
    issuer: str = STATEMENT.issuer,
    now: datetime.datetime = NOW,
) -> dict[str, Any]:
    return {
        "name": name,
        "list": signed.hex(),
        "keys": JWKS,
        "now": int(now.timestamp()),
        "issuer": issuer,
        "index": index,
        "expect": {"ok": True, "standing": standing.name.lower() if standing is not None else None},
    }


def _refused_lists(good: dict[int, Any], places: bytes) -> Mapping[Reason, Mapping[str, bytes]]:
    deflated = good[65533]["lst"]
    raw = zlib.compressobj(9, wbits=-15)
    statement_header = {1: -7, 4: KID, 16: "application/statuslist+cwt"}
    now = int(NOW.timestamp())

    def lst(content: object, bits: object = 4) -> bytes:
        return _list(good | {65533: {"bits": bits, "lst": content}})

    def subject(address: str) -> bytes:
        return _list(good | {2: address})

    def without(label: int) -> bytes:
        return _list({key: value for key, value in good.items() if key != label})

    reordered = cbor2.dumps(dict(reversed(good.items())))
    return {
        Reason.MALFORMED: {
            "no CBOR": b"\xd2\xff",
            "nothing": b"",
            "no tag": _list(good, tag=b""),
            "the tag of a CWT before it": _list(good, tag=b"\xd8\x3d\xd2"),
            "the tag of a MAC": _list(good, tag=b"\xd1"),
            "no type": _list(good, {1: -7, 4: STATUS_KID}),
            "the type of a JWT": _list(good, _LIST_HEADER | {16: "statuslist+jwt"}),
            "a bomb": lst(zlib.compress(bytes(8 << 20), 9)),
            "one byte too long": lst(zlib.compress(places + b"\0", 9)),
            "one byte too short": lst(zlib.compress(places[:-1], 9)),
            "empty": lst(zlib.compress(b"", 9)),
            "a stump": lst(deflated[:-8]),
            "bytes after the end": lst(deflated + b"\0"),
            "deflated without a head": lst(raw.compress(places) + raw.flush()),
            "not deflated": lst(b"\0" * 100),
            "a wrong check sum": lst(deflated[:-1] + bytes([deflated[-1] ^ 1])),
            "one bit a place": lst(deflated, 1),
            "eight bits a place": lst(deflated, 8),
            "a list in text": lst(deflated.hex()),
            "more in the list": _list(
                good | {65533: good[65533] | {"aggregation_uri": "https://zs.example.gov.cn"}}
            ),
            "no subject": without(2),
            "no end": without(4),
            "no beginning": without(6),
            "no time to live": without(65534),
            "no list": without(65533),
            "one claim more": _list(good | {1: "issuer"}),
            "another scheme": subject("http://zs.example.gov.cn/status/0"),
            "another path": subject("https://zs.example.gov.cn/list/0"),
            "a zero before its number": subject("https://zs.example.gov.cn/status/00"),
            "a line after its address": subject("https://zs.example.gov.cn/status/0\n"),
            "over before it begins": _list(good | {4: good[6]}),
            "a time to live of zero": _list(good | {65534: 0}),
            "a time with a point": _list(good | {6: float(good[6])}),
        },
        Reason.NOT_CANONICAL: {
            "claims in another order": _list_of(reordered),
            "a byte after it": _list(good) + b"\0",
            "a byte after the claims": _list_of(dump(good) + b"\0"),
        },
        Reason.WRONG_ALGORITHM: {"a MAC": _list(good, _LIST_HEADER | {1: 5})},
        Reason.UNKNOWN_KEY: {
            "the key of the statements": _list_of(dump(good), dump(statement_header), key=KEY),
            "a key that is not published": _list(good, _LIST_HEADER | {4: OTHER_KID}),
        },
        Reason.BAD_SIGNATURE: {"another key under this kid": _list_of(dump(good), key=OTHER_KEY)},
        Reason.OUTSIDE_KEY_WINDOW: {
            "before its key": _list(good | {6: int((BEGIN - SECOND).timestamp())})
        },
        Reason.FROM_THE_FUTURE: {
            "signed in five minutes and a second": _list(good | {6: now + 301, 4: now + 600})
        },
    }
