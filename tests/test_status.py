"""The signed status list: what it says, how long, and every way in which it is refused."""

import datetime
import hashlib
import random
import zlib

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from signing import status
from signing.cose import PublishedKey, Reason
from signing.errors import StatusListRefused
from signing.status import Standing, StatusList

KID = bytes.fromhex("0a1b2c3d")
PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
NOW = datetime.datetime(2026, 7, 1, 8, 0, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
SECOND = datetime.timedelta(seconds=1)
KEYS = {KID: PublishedKey(PRIVATE_KEY.public_key(), NOW - 1000 * HOUR, NOW + 1000 * HOUR)}
HOST = "zs.example.gov.cn"
STANDINGS = {
    5: Standing.REVOKED,
    6: Standing.SUSPENDED,
    7: Standing.REPLACED,
    2: Standing.CANCELLED,
}


def signed(
    standings: dict[int, Standing] = STANDINGS,
    *,
    number: int = 0,
    issued_at: datetime.datetime = NOW,
) -> bytes:
    return status.sign(
        status.pack(standings),
        PRIVATE_KEY,
        KID,
        host=HOST,
        number=number,
        issued_at=issued_at,
        lifetime=24 * HOUR,
    )


def read(
    given: bytes, now: datetime.datetime = NOW, keys: dict[bytes, PublishedKey] = KEYS
) -> StatusList:
    return status.verify(given, keys, now)


def reason_of(given: bytes, now: datetime.datetime = NOW) -> object:
    with pytest.raises(StatusListRefused) as refused:
        read(given, now)
    return refused.value.facts["reason"]


def test_a_list_says_what_was_packed_and_of_all_others_that_they_are_valid() -> None:
    found = read(signed())
    assert {index: found.of(HOST, index) for index in STANDINGS} == STANDINGS
    assert {found.of(HOST, index) for index in range(100)} - {*STANDINGS.values()} == {
        Standing.VALID
    }


@given(st.dictionaries(st.integers(0, status.PLACE_COUNT - 1), st.sampled_from(Standing)))
@settings(max_examples=10, deadline=None)
def test_every_packed_standing_is_found_again(standings: dict[int, Standing]) -> None:
    found = read(signed(standings, number=3))
    base = 3 * status.PLACE_COUNT
    assert all(found.of(HOST, base + place) == said for place, said in standings.items())


def test_a_list_answers_for_its_host_and_its_places_only() -> None:
    found = read(signed(number=1))
    assert found.of(HOST, status.PLACE_COUNT + 5) is Standing.REVOKED
    assert found.of(HOST, 5) is None
    assert found.of(HOST, 2 * status.PLACE_COUNT + 5) is None
    assert found.of("evil.example", status.PLACE_COUNT + 5) is None


def test_past_its_lifetime_a_list_is_read_and_answers_nothing() -> None:
    last = read(signed(), NOW + 24 * HOUR - SECOND)
    assert last.of(HOST, 5) is Standing.REVOKED
    past = read(signed(), NOW + 24 * HOUR)
    assert (past.of(HOST, 5), past.of(HOST, 0), past.is_fresh) == (None, None, False)


def test_the_newest_list_that_can_tell_tells() -> None:
    old, new = signed({5: Standing.SUSPENDED}), signed({}, issued_at=NOW + HOUR)
    other = signed({5: Standing.REVOKED}, number=1, issued_at=NOW + 2 * HOUR)
    lists = [read(one, NOW + 2 * HOUR) for one in (new, old, other)]
    assert status.standing(lists, HOST, 5) is Standing.VALID
    assert status.standing(lists[1:], HOST, 5) is Standing.SUSPENDED
    assert status.standing([], HOST, 5) is None
    late = [read(one, NOW + 24 * HOUR) for one in (new, old)]
    assert status.standing(late, HOST, 5) is Standing.VALID
    assert status.standing(late[1:], HOST, 5) is None


def test_what_warns_is_never_outvoted_by_an_older_list_or_one_of_the_same_second() -> None:
    warning, silent = read(signed()), read(signed({}))
    for lists in ([warning, silent], [silent, warning]):
        assert status.standing(lists, HOST, 5) is Standing.REVOKED
        assert status.standing(lists, HOST, 4) is Standing.VALID
    unheard = bytearray(status.pack({}))
    unheard[2] = 0x50
    newer = msgspec.structs.replace(silent, places=bytes(unheard), issued_at=NOW + SECOND)
    assert status.standing([silent, newer], HOST, 5) is None
    expired = msgspec.structs.replace(warning, is_fresh=False, issued_at=NOW + SECOND)
    assert status.standing([silent, expired], HOST, 5) is None


def test_the_bytes_are_those_of_the_draft() -> None:
    tagged = cbor2.loads(signed())
    assert tagged.tag == 18
    protected, unprotected, payload, signature = tagged.value
    assert cbor2.loads(protected) == {1: -7, 4: KID, 16: "application/statuslist+cwt"}
    assert (unprotected, len(signature)) == ({}, 64)
    claims = cbor2.loads(payload)
    places = zlib.decompress(claims.pop(65533)["lst"])
    assert claims == {
        2: "https://zs.example.gov.cn/status/0",
        4: int(NOW.timestamp()) + 86400,
        6: int(NOW.timestamp()),
        65534: 3600,
    }
    assert places[:4].hex() == "000d10c2"
    assert len(places) == 2**19


def test_signing_twice_gives_the_same_bytes() -> None:
    assert signed() == signed()


def test_a_million_certificates_with_one_in_two_hundred_set_are_ten_kilobytes() -> None:
    chance = random.Random(1)  # noqa: S311 - invented standings
    marked = chance.sample(range(status.PLACE_COUNT), 5000)
    rare = [Standing.REVOKED] * 6 + [Standing.SUSPENDED, Standing.REPLACED, Standing.CANCELLED]
    made = signed({place: chance.choice(rare) for place in marked})
    assert 9_000 < len(made) < 12_000
    found = read(made)
    assert sum(found.of(HOST, place) is not Standing.VALID for place in range(1 << 20)) == 5000


def test_a_list_that_was_signed_outside_its_keys_window_is_refused() -> None:
    late = {KID: PublishedKey(PRIVATE_KEY.public_key(), NOW, NOW + HOUR)}
    assert read(signed(), keys=late).is_fresh
    for issued_at in (NOW - SECOND, NOW + HOUR + SECOND):
        with pytest.raises(StatusListRefused, match=Reason.OUTSIDE_KEY_WINDOW):
            read(signed(issued_at=issued_at), NOW + 2 * HOUR, keys=late)


def test_a_clock_may_be_a_little_fast_and_not_more() -> None:
    assert read(signed(issued_at=NOW + status.SKEW)).of(HOST, 5) is Standing.REVOKED
    assert reason_of(signed(issued_at=NOW + status.SKEW + SECOND)) is Reason.FROM_THE_FUTURE


def test_more_than_a_list_can_be_is_not_even_decoded() -> None:
    assert reason_of(b"\xd2" + bytes(status.SIZE_LIMIT)) is Reason.TOO_LONG


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_list_with_any_bytes_changed_is_refused(data: st.DataObject) -> None:
    whole = signed()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 8)))
    changed = whole[:start] + data.draw(st.binary(max_size=8)) + whole[end:]
    if hashlib.sha256(changed).digest() != hashlib.sha256(whole).digest():
        reason_of(changed)


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_and_nothing_else_happens(given: bytes) -> None:
    reason_of(given)
    reason_of(b"\xd2" + given)
