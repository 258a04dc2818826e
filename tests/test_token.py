"""The statement: what a QR code proves, and every way in which it is refused."""

import datetime
import hashlib
import itertools

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from signing import token
from signing.errors import StatementRefused
from signing.token import Address, Reason

KID = bytes.fromhex("0a1b2c3d")
PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2028, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
KEYS = {KID: token.PublishedKey(PRIVATE_KEY.public_key(), BEGIN, END)}
PUBLIC_ID = token.encode_id(bytes(range(10)))
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-4, D.1.2.3
STATEMENT = token.Statement(
    issuer="zs.example.gov.cn",
    issued_at=datetime.datetime(2026, 5, 20, 1, 2, 3, tzinfo=datetime.UTC),
    number="2651010001600001",
    name="陈思远",
    project="川菜制作",
    exam_on=datetime.date(2026, 4, 18),
    version=1,
    public_id=PUBLIC_ID,
    status_index=734_211,
    record_digest=hashlib.sha256(b"record").digest()[:16],
)
ADDRESS = Address(STATEMENT.issuer, PUBLIC_ID)
COSE = token.sign(STATEMENT, PRIVATE_KEY, KID)
PROTECTED = {1: -7, 4: KID}
CLAIMS = cbor2.loads(cbor2.loads(COSE)[2])


def reason_of(cose: bytes, address: Address | None = ADDRESS) -> Reason:
    with pytest.raises(StatementRefused) as refused:
        token.verify(cose, KEYS, address=address)
    reason = refused.value.facts["reason"]
    assert isinstance(reason, Reason)
    return reason


def seal(payload: bytes, protected: bytes | None = None) -> bytes:
    """Sign any payload as the standard says, by other means than the room's own."""
    protected = cbor2.dumps(PROTECTED) if protected is None else protected
    message = cbor2.dumps(["Signature1", protected, b"", payload])
    r, s = utils.decode_dss_signature(PRIVATE_KEY.sign(message, ec.ECDSA(hashes.SHA256())))
    return cbor2.dumps([protected, {}, payload, r.to_bytes(32) + min(s, ORDER - s).to_bytes(32)])


def changed(label: int, value: object) -> bytes:
    """Sign the claims with one fact of the certificate changed."""
    return seal(cbor2.dumps(CLAIMS | {-65537: CLAIMS[-65537] | {label: value}}, canonical=True))


def test_a_signed_statement_is_read_back_with_and_without_its_address() -> None:
    assert token.verify(COSE, KEYS, address=ADDRESS) == STATEMENT
    assert token.verify(COSE, KEYS, address=None) == STATEMENT


def test_signing_twice_gives_the_same_bytes() -> None:
    assert token.sign(STATEMENT, PRIVATE_KEY, KID) == COSE


def test_the_bytes_are_those_of_the_standards() -> None:
    protected, unprotected, payload, signature = cbor2.loads(COSE)
    assert cbor2.loads(protected) == PROTECTED
    assert unprotected == {}
    assert len(signature) == 64
    assert cbor2.loads(payload) == {
        1: "zs.example.gov.cn",
        6: 1779238923,
        7: bytes.fromhex("2651010001600001"),
        -65537: {
            1: "陈思远",
            2: "川菜制作",
            3: (datetime.date(2026, 4, 18) - datetime.date(1970, 1, 1)).days,
            4: 1,
            5: bytes(range(10)),
            6: 734_211,
            7: STATEMENT.record_digest,
        },
    }
    assert token.verify(seal(payload), KEYS, address=ADDRESS) == STATEMENT


STATEMENTS = st.builds(
    token.Statement,
    issuer=st.just("h.cn"),
    issued_at=st.datetimes(
        BEGIN.replace(tzinfo=None), END.replace(tzinfo=None), timezones=st.just(datetime.UTC)
    ).map(lambda moment: moment.replace(microsecond=0)),
    number=st.text("0123456789", min_size=1, max_size=24),
    name=st.text(min_size=1, max_size=50),
    project=st.text(min_size=1, max_size=60),
    exam_on=st.dates(),
    version=st.integers(1, 999),
    public_id=st.binary(min_size=10, max_size=10).map(token.encode_id),
    status_index=st.integers(0, 2**40),
    record_digest=st.binary(min_size=16, max_size=16),
)


@given(STATEMENTS)
def test_every_statement_survives_its_qr_text(statement: token.Statement) -> None:
    statement = msgspec.structs.replace(statement, issuer="h.cn:8443")
    address = Address(statement.issuer, statement.public_id)
    cose = token.sign(statement, PRIVATE_KEY, KID)
    url, digits = token.to_text(*address, cose)
    assert token.from_text(url + digits) == (address, cose)
    assert token.from_text(digits) == (None, cose)
    assert token.from_text(url) == token.from_text(url.rstrip("#")) == (address, b"")
    assert token.verify(cose, KEYS, address=address) == statement


def test_the_address_must_be_the_one_in_the_statement() -> None:
    other_id = ADDRESS._replace(public_id=token.encode_id(bytes(10)))
    assert reason_of(COSE, address=other_id) is Reason.OTHER_ID
    assert reason_of(COSE, address=ADDRESS._replace(host="evil.example")) is Reason.OTHER_HOST


@pytest.mark.parametrize(
    "front", ["https://zs.example.gov.cn@evil.example", "https://evil.example?x=zs.example.gov.cn"]
)
def test_an_address_that_only_looks_like_ours_is_refused(front: str) -> None:
    _, digits = token.to_text(*ADDRESS, COSE)
    with pytest.raises(StatementRefused) as refused:
        token.from_text(f"{front}/v/{PUBLIC_ID}#{digits}")
    assert refused.value.facts["reason"] is Reason.MALFORMED_TEXT


def test_the_other_spelling_of_a_signature_is_refused() -> None:
    protected, unprotected, payload, signature = cbor2.loads(COSE)
    other = signature[:32] + (ORDER - int.from_bytes(signature[32:])).to_bytes(32)
    assert reason_of(cbor2.dumps([protected, unprotected, payload, other])) is Reason.NOT_CANONICAL


def test_a_key_that_is_not_published_is_unknown() -> None:
    assert reason_of(token.sign(STATEMENT, PRIVATE_KEY, b"else")) is Reason.UNKNOWN_KEY


def test_another_key_under_a_known_kid_is_a_bad_signature() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    assert reason_of(token.sign(STATEMENT, other, KID)) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("issued_at", "inside"),
    [
        (BEGIN, True),
        (END, True),
        (BEGIN - datetime.timedelta(seconds=1), False),
        (END + datetime.timedelta(seconds=1), False),
    ],
)
def test_the_time_of_a_statement_lies_inside_its_keys_window(
    issued_at: datetime.datetime, inside: bool
) -> None:
    claims = cbor2.dumps(CLAIMS | {6: int(issued_at.timestamp())}, canonical=True)
    if inside:
        assert token.verify(seal(claims), KEYS, address=ADDRESS).issued_at == issued_at
    else:
        assert reason_of(seal(claims)) is Reason.OUTSIDE_KEY_WINDOW


@pytest.mark.parametrize("algorithm", [-8, -35, -37, 5, 0, "ES256", None])
def test_only_one_algorithm_is_known(algorithm: object) -> None:
    protected = cbor2.dumps({1: algorithm, 4: KID}, canonical=True)
    assert reason_of(seal(cbor2.dumps(CLAIMS), protected)) is Reason.WRONG_ALGORITHM


@pytest.mark.parametrize(
    "protected",
    [
        cbor2.dumps({1: -7.0, 4: KID}, canonical=True),
        cbor2.dumps({1: -7, 4: KID, 33: b"chain"}, canonical=True),
        cbor2.dumps({1: -7, 2: [4], 4: KID}, canonical=True),
        cbor2.dumps({1: -7}),
        cbor2.dumps([0, -7, 0, 0, KID]),
        cbor2.dumps(-7),
        b"",
    ],
)
def test_a_header_holds_the_algorithm_and_the_key_and_no_more(protected: bytes) -> None:
    assert reason_of(seal(cbor2.dumps(CLAIMS), protected)) is Reason.MALFORMED


@pytest.mark.parametrize(
    "cose",
    [
        changed(1, b"name"),
        changed(3, 10**9),
        changed(3, 20_000.0),
        changed(4, 0),
        changed(4, True),
        changed(5, bytes(9)),
        changed(5, bytes(15)),
        changed(6, -1),
        changed(7, bytes(15)),
        changed(8, "new"),
        seal(cbor2.dumps(CLAIMS | {2: "subject"}, canonical=True)),
        seal(cbor2.dumps(CLAIMS | {1: 1}, canonical=True)),
        seal(cbor2.dumps(CLAIMS | {6: float(CLAIMS[6])}, canonical=True)),
        seal(cbor2.dumps(CLAIMS | {6: 2**62}, canonical=True)),
        seal(cbor2.dumps(CLAIMS | {7: b"\xab"}, canonical=True)),
        seal(cbor2.dumps(CLAIMS | {7: b""}, canonical=True)),
        seal(cbor2.dumps({label: CLAIMS[label] for label in (1, 6, 7)}, canonical=True)),
        seal(cbor2.dumps([])),
        seal(b""),
        cbor2.dumps(cbor2.CBORTag(18, cbor2.loads(COSE))),
        cbor2.dumps([*cbor2.loads(COSE), 0]),
        cbor2.dumps([cbor2.loads(COSE)[0], {1: 2}, *cbor2.loads(COSE)[2:]]),
        b"\x81" * 2048,
        b"\xc1" * 2048,
        b"\x9b" + b"\xff" * 8,
        bytes.fromhex("d81c81d81d00"),
        b"",
    ],
    ids=lambda cose: f"{len(cose)} bytes",
)
def test_an_unexpected_claim_type_or_shape_is_malformed_even_when_signed(cose: bytes) -> None:
    assert reason_of(cose) is Reason.MALFORMED


def test_a_second_spelling_is_refused_even_when_signed() -> None:
    payload = cbor2.dumps(CLAIMS, canonical=True)
    for spelling in (
        payload + b"\x00",
        cbor2.dumps(dict(reversed(CLAIMS.items()))),
        payload.replace(b"\x06\x1a", b"\x06\x1b\x00\x00\x00\x00", 1),
        payload.replace(b"\xa4\x01", b"\xb8\x04\x01", 1),
    ):
        assert reason_of(seal(spelling)) is Reason.NOT_CANONICAL
    doubled = payload.replace(b"\xa4\x01", b"\xa5\x06\x1a\x00\x00\x00\x00\x01", 1)
    assert reason_of(seal(doubled)) in {Reason.NOT_CANONICAL, Reason.MALFORMED}
    assert reason_of(COSE + b"\x00") is Reason.NOT_CANONICAL


def test_two_kilobytes_is_the_end() -> None:
    assert reason_of(bytes(2049)) is Reason.TOO_LONG
    assert reason_of(b"\x84" + bytes(2047)) is not Reason.TOO_LONG


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.MALFORMED_TEXT),
        ("12a", Reason.MALFORMED_TEXT),
        ("１２３", Reason.MALFORMED_TEXT),
        ("2", Reason.MALFORMED_TEXT),
        ("#1", Reason.MALFORMED_TEXT),
        (f"http://h.cn/v/{PUBLIC_ID}#1", Reason.MALFORMED_TEXT),
        (f"https://h.cn/v/{PUBLIC_ID.replace('0', 'O')}#1", Reason.MALFORMED_TEXT),
        (f"https://h.cn/v/{PUBLIC_ID}0#1", Reason.MALFORMED_TEXT),
        ("0" + str(int.from_bytes(b"\x01" + COSE)), Reason.LEADING_ZERO),
        ("0", Reason.LEADING_ZERO),
        ("1" * 100_000, Reason.TOO_LONG),
    ],
)
def test_a_text_that_is_not_one_is_refused(text: str, reason: Reason) -> None:
    with pytest.raises(StatementRefused) as refused:
        token.from_text(text)
    assert refused.value.facts["reason"] is reason


def test_a_text_of_two_kilobytes_is_still_read() -> None:
    long = b"\xff" * token.SIZE_LIMIT
    value = int.from_bytes(b"\x01" + long)
    head, tail = divmod(value, 10**2500)
    assert token.from_text(f"{head}{tail:02500d}") == (None, long)


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_and_nothing_else_happens(cose: bytes) -> None:
    reason_of(cose)


@given(st.data())
@settings(max_examples=400)
def test_a_token_with_any_bytes_changed_is_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(COSE)))
    end = data.draw(st.integers(start, min(len(COSE), start + 8)))
    cose = COSE[:start] + data.draw(st.binary(max_size=8)) + COSE[end:]
    if cose != COSE:
        reason_of(cose)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.integers(-9, 9) | st.just(-65537) | st.text(max_size=3), inner)
        | st.builds(cbor2.CBORTag, st.integers(40000, 50000), inner)
    ),
    max_leaves=12,
)


@given(ANYTHING, ANYTHING)
def test_anything_else_in_an_envelope_is_refused(header: object, claims: object) -> None:
    reason_of(cbor2.dumps([cbor2.dumps(header), {}, cbor2.dumps(claims), bytes(64)])[:2048])
    reason_of(cbor2.dumps(claims)[:2048])
    reason_of(seal(cbor2.dumps(claims, canonical=True))[:2048])


@given(st.sampled_from([*range(40), 100, 256, 258, 260, 261, 1004, 43000, 55799]), ANYTHING)
def test_a_tag_is_never_obeyed(tag: int, value: object) -> None:
    tagged = cbor2.dumps(cbor2.CBORTag(tag, value))[:2048]
    reason_of(tagged)
    reason_of(seal(tagged)[:2048])


@given(st.text(max_size=200) | st.from_regex(r"https://[a-z]/v/[0-9a-z]{16}#[0-9]*"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        address, cose = token.from_text(text)
    except StatementRefused:
        return
    assert address is None or len(address.public_id) == 16
    assert isinstance(cose, bytes)


@given(st.text("0123456789", min_size=1, max_size=40))
def test_a_packed_number_is_the_same_number(number: str) -> None:
    packed = token.pack_number(number)
    assert token.unpack_number(packed) == number
    assert len(packed) == (len(number) + 1) // 2


@given(st.binary(min_size=10, max_size=10))
def test_an_id_is_sixteen_unmistakable_characters(raw: bytes) -> None:
    public_id = token.encode_id(raw)
    assert len(public_id) == 16
    assert not set(public_id) & set("ilou")
    assert public_id == public_id.lower()
    assert token.decode_id(public_id) == raw


def test_crockfords_alphabet_is_in_its_order() -> None:
    assert token.encode_id(bytes(10)) == "0" * 16
    assert token.encode_id(b"\xff" * 10) == "z" * 16
    assert token.encode_id((0x0F_FFFF_FFFF).to_bytes(10)) == "000000001zzzzzzz"


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**32))
def test_a_status_index_stays_in_its_list(key: bytes, sequence: int) -> None:
    assert token.permute(key, sequence) >> 20 == sequence >> 20


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**24))
@settings(max_examples=10, deadline=None)
def test_no_two_certificates_share_a_status_index(key: bytes, start: int) -> None:
    indexes = [token.permute(key, sequence) for sequence in range(start, start + 1000)]
    assert len(set(indexes)) == 1000
    assert sum(abs(a - b) == 1 for a, b in itertools.pairwise(indexes)) < 10


@pytest.mark.long
def test_a_full_status_list_is_used_to_its_last_place() -> None:
    places = bytearray(1 << 20)
    for sequence in range(1 << 20):
        places[token.permute(b"key", sequence)] = 1
    assert all(places)


def test_status_lists_are_permuted_apart_and_by_the_key() -> None:
    def offsets(key: bytes, status_list: int) -> list[int]:
        first = status_list << 20
        return [token.permute(key, first + sequence) - first for sequence in range(50)]

    assert offsets(b"a" * 32, 0) == offsets(b"a" * 32, 0)
    assert offsets(b"a" * 32, 0) != offsets(b"a" * 32, 1)
    assert offsets(b"a" * 32, 0) != offsets(b"b" * 32, 0)
