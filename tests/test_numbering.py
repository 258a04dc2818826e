"""Numbers: without gaps and never twice, whatever happens at the same time or is rolled back."""

import asyncio
import datetime
import itertools
from collections import Counter
from collections.abc import Sequence

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from service.ground import db
from service.ground.db import Connection, Role
from service.ground.errors import (
    AlreadyRecorded,
    BodyNotOpen,
    CounterUsed,
    NumbersExhausted,
    NumberTaken,
    Refusal,
    SchemeAbsent,
    SchemeRefused,
    SchemeUnknown,
)
from service.issuing import numbering
from service.issuing.numbering import (
    Behind,
    Body,
    Place,
    Range,
    Reset,
    Scheme,
    Segment,
    Source,
    Start,
    Taken,
)
from service.registry.accounts import PROVINCE
from tests.world import ABA, CHENGDU, MIANYANG, TODAY, World, batch_facts, rows

DIGITS = {CHENGDU: "01", MIANYANG: "07", ABA: "32"}
LAST = 99_999
START = Start(
    city_code=CHENGDU, scheme_version=1, period=2026, body_serial=1, first_sequence=99_998,
    document_number="起始1号",
)  # fmt: skip
SECOND_BODY = Body(city_code=CHENGDU, body_serial=2, document_number="机构2号")
PARTS = [
    Segment(Source.YEAR, 4),
    Segment(Source.CITY, 2),
    Segment(Source.BODY, 1),
    Segment(Source.SEQUENCE, 3),
]
SCHEME = Scheme(
    scheme_version=2, valid_from=datetime.date(2026, 7, 1), reset=Reset.YEARLY, segments=PARTS,
    document_number="规则2号",
)  # fmt: skip


async def take(
    world: World, count: int, *, city_code: str = CHENGDU, on: datetime.date = TODAY
) -> Taken:
    async with world.connection() as connection, db.acting(connection, Role.CONSOLE, city_code):
        return await numbering.take(connection, city_code, on, count)


def expected(city_code: str, year: int, sequences: Sequence[int]) -> list[str]:
    """Write numbers of the default scheme by hand: 年 51 市 0 001 6 序号."""
    return [f"{year % 100:02}51{DIGITS[city_code]}00016{sequence:05}" for sequence in sequences]


async def test_the_first_number_of_chengdu_is_the_published_example(world: World) -> None:
    assert (await take(world, 2)).numbers == ("2651010001600001", "2651010001600002")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(DIGITS)), st.integers(2026, 2028), st.integers(0, 9), st.booleans()
    ),
    max_size=12,
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
async def test_whatever_is_taken_or_undone_each_city_and_year_counts_without_gap(
    world: World, steps: list[tuple[str, int, int, bool]]
) -> None:
    last: Counter[tuple[str, int]] = Counter()
    async with world.connection() as connection:
        outer = connection.transaction()
        await outer.start()
        for city_code, year, count, kept in steps:
            numbers = await _take_or_undo(connection, city_code, year, count, kept=kept)
            first = last[city_code, year] + 1
            assert list(numbers) == expected(city_code, year, range(first, first + count))
            last[city_code, year] += count if kept else 0
        await outer.rollback()


async def _take_or_undo(
    connection: Connection, city_code: str, year: int, count: int, *, kept: bool
) -> tuple[str, ...]:
    act = connection.transaction()
    await act.start()
    async with db.acting(connection, Role.CONSOLE, city_code):
        taken = await numbering.take(connection, city_code, datetime.date(year, 12, 31), count)
    await (act.commit() if kept else act.rollback())
    return taken.numbers


async def test_eight_connections_take_from_one_city_without_gap_or_double(world: World) -> None:
    sizes = [3, 1, 7]

    async def clerk() -> list[Taken]:
        return [await take(world, size) for size in sizes]

    takes = list(itertools.chain(*await asyncio.gather(*(clerk() for _ in range(8)))))
    numbers = [number for taken in takes for number in taken.numbers]
    assert sorted(numbers) == expected(CHENGDU, 2026, range(1, 8 * sum(sizes) + 1))
    assert all(list(taken.numbers) == sorted(taken.numbers) for taken in takes)


async def test_two_cities_never_wait_for_each_other(world: World) -> None:
    batch_ids = {}
    for city_code in (CHENGDU, MIANYANG):
        batch_id = await world.import_rows(city_code, rows(2, serial=int(city_code)))
        await world.record(f"operator-{city_code}", *batch_facts(batch_id).values())
        await world.submit(city_code, batch_id)
        batch_ids[city_code] = batch_id
    async with world.desk(f"reviewer-{CHENGDU}") as desk, desk.acting():
        held = await world.approve_at(desk, batch_ids[CHENGDU])
        async with asyncio.timeout(20):
            passed = await world.approve(MIANYANG, batch_ids[MIANYANG])
    assert list(held.numbers) == expected(CHENGDU, 2026, [1, 2])
    assert list(passed.numbers) == expected(MIANYANG, 2026, [1, 2])


async def test_one_take_rolls_over_into_the_next_opened_body(world: World) -> None:
    await world.record("province", SECOND_BODY, START)
    taken = await take(world, 5)
    assert taken.ranges == (Range(1, 99_998, 99_999), Range(2, 1, 3))
    assert taken.numbers == (
        "2651010001699998", "2651010001699999",
        "2651010002600001", "2651010002600002", "2651010002600003",
    )  # fmt: skip
    assert (await take(world, 1)).numbers == ("2651010002600004",)


async def test_exhaustion_is_refused_and_consumes_nothing(world: World) -> None:
    await world.record("province", START)
    with pytest.raises(NumbersExhausted) as refused:
        await take(world, 5)
    assert refused.value.facts == {"city_code": CHENGDU, "year": 2026, "missing": 3}
    assert (await take(world, 2)).numbers == ("2651010001699998", "2651010001699999")
    with pytest.raises(NumbersExhausted):
        await take(world, 1)
    await world.record("province", SECOND_BODY)
    assert (await take(world, 1)).numbers == ("2651010002600001",)
    assert (await take(world, 1, on=datetime.date(2027, 1, 1))).numbers == ("2751010001600001",)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({}, CounterUsed),
        ({"period": 2027, "body_serial": 2}, BodyNotOpen),
        ({"period": 2027, "scheme_version": 9}, SchemeUnknown),
        ({"period": 2027}, None),
        ({"city_code": MIANYANG}, None),
    ],
)
async def test_a_counter_is_started_before_its_first_number_or_not_at_all(
    world: World, changes: dict[str, object], refusal: type[Refusal] | None
) -> None:
    await take(world, 1)
    start = replace(START, **changes)
    if refusal:
        with pytest.raises(refusal):
            await world.record("province", start)
        assert (await take(world, 1)).numbers == ("2651010001600002",)
    else:
        await world.record("province", replace(start, first_sequence=7), start)
        on = datetime.date(start.period, 6, 1)
        (number,) = (await take(world, 1, city_code=start.city_code, on=on)).numbers
        assert number.endswith("99998")
        with pytest.raises(CounterUsed):
            await world.record("province", start)


async def test_the_scheme_is_that_of_the_day_and_a_number_keeps_its_own(world: World) -> None:
    old = await world.approved(count=1)
    await world.record("province", SCHEME)
    before = await take(world, 1, on=datetime.date(2026, 6, 30))
    after = await take(world, 2, on=datetime.date(2026, 7, 1))
    assert (before.scheme_version, before.numbers) == (1, ("2651010001600002",))
    assert (after.scheme_version, after.numbers) == (2, ("2026011001", "2026011002"))
    async with world.connection() as owner:
        kept = await owner.fetchrow("select number, scheme_version from certificate")
        assert kept is not None
        assert tuple(kept) == (old.numbers[0], 1)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await owner.execute("update number_scheme set valid_from = valid_from + 1")
    with pytest.raises(AlreadyRecorded):
        await world.record("province", SCHEME)
    with pytest.raises(SchemeAbsent):
        await take(world, 1, on=datetime.date(2023, 12, 31))


async def test_a_scheme_that_never_resets_counts_on_over_the_years(world: World) -> None:
    segments = [Segment(Source.FIXED, 2, "99"), *PARTS[1:3], Segment(Source.SEQUENCE, 4)]
    await world.record("province", replace(SCHEME, reset=Reset.NEVER, segments=segments))
    numbers = [
        (await take(world, 1, on=datetime.date(year, 7, 1))).numbers[0] for year in (2026, 2027)
    ]
    assert numbers == ["990110001", "990110002"]


async def test_a_new_scheme_that_would_write_old_numbers_again_is_refused_at_approval(
    world: World,
) -> None:
    await world.approved(count=3)
    default = [
        Segment(Source.YEAR, 2), Segment(Source.FIXED, 2, "51"), Segment(Source.CITY, 2),
        Segment(Source.BODY, 4), Segment(Source.FIXED, 1, "6"), Segment(Source.SEQUENCE, 5),
    ]  # fmt: skip
    twin = replace(SCHEME, valid_from=datetime.date(2026, 6, 1), segments=default)
    await world.record("province", twin)
    with pytest.raises(NumberTaken):
        await world.approved(count=1, serial=100)
    await world.record("province", replace(START, scheme_version=2, first_sequence=4))
    assert (await world.approved(count=1, serial=200)).numbers == ("2651010001600004",)


DEFAULT = Scheme(
    scheme_version=1, valid_from=TODAY, reset=Reset.YEARLY, document_number="默认规则",
    segments=[
        Segment(Source.YEAR, 2), Segment(Source.FIXED, 2, "51"), Segment(Source.CITY, 2),
        Segment(Source.FIXED, 1, "0"), Segment(Source.BODY, 3), Segment(Source.FIXED, 1, "6"),
        Segment(Source.SEQUENCE, 5),
    ],
)  # fmt: skip


@given(
    st.integers(1980, 2070), st.integers(0, 99), st.integers(1, 999), st.integers(1, LAST),
    st.integers(-49, 50),
)  # fmt: skip
def test_what_a_scheme_writes_it_reads_again_with_the_year_that_is_nearest(
    year: int, city: int, body: int, sequence: int, off: int
) -> None:
    number = DEFAULT.compose(year, f"{city:02}", body, sequence)
    assert DEFAULT.parse(number, near=year + off) == Place(1, year, city, body, sequence)


@given(st.text("0123456789", min_size=8, max_size=20) | st.from_regex("[0-9A-Z]{6,32}"))
def test_what_a_scheme_reads_is_what_it_writes(number: str) -> None:
    place = DEFAULT.parse(number, near=2026)
    if place is not None:
        city = f"{place.city:02}"
        assert DEFAULT.compose(place.period, city, place.body_serial, place.sequence) == number


@pytest.mark.parametrize(
    "number",
    [
        "", "265101000160000", "26510100016000011", "2651010001500001", "2652010001600001",
        "2651010000600001", "2651010001600000", "26510100016000O1", "２651010001600001",
        "-651010001600001", "26510100016 0001",
    ],
)  # fmt: skip
def test_what_a_scheme_never_writes_has_no_place(number: str) -> None:
    assert DEFAULT.parse(number, near=2026) is None


def test_a_scheme_without_reset_has_one_period() -> None:
    segments = [Segment(Source.FIXED, 2, "99"), *PARTS[1:3], Segment(Source.SEQUENCE, 4)]
    never = replace(SCHEME, reset=Reset.NEVER, segments=segments)
    assert never.parse("990170042", near=2026) == Place(2, 0, 1, 7, 42)


def without(source: Source) -> list[Segment]:
    return [Segment(Source.FIXED, 4, "0000"), *(part for part in PARTS if part.source != source)]


@pytest.mark.parametrize(
    "changes",
    [
        {"segments": without(Source.CITY)},
        {"segments": without(Source.BODY)},
        {"segments": without(Source.SEQUENCE)},
        {"segments": without(Source.YEAR)},
        {"segments": [*PARTS, Segment(Source.CITY, 2)]},
        {"segments": [*PARTS, Segment(Source.FIXED, 3, "1")]},
        {"segments": [Segment(Source.YEAR, 1), Segment(Source.FIXED, 3, "510"), *PARTS[1:]]},
        {"segments": [*PARTS[:1], Segment(Source.CITY, 1), *PARTS[2:]]},
        {"segments": [*PARTS[:-1], Segment(Source.SEQUENCE, 12), Segment(Source.FIXED, 2, "00")]},
        {"segments": [*PARTS[1:3], Segment(Source.SEQUENCE, 4)], "reset": Reset.NEVER},
    ],
    ids=[
        "no city", "no body", "no sequence", "yearly without year", "city twice",
        "fixed digits that do not fill", "a year of one digit", "a city of one digit",
        "21 digits", "7 digits",
    ],
)  # fmt: skip
async def test_a_scheme_that_could_double_numbers_is_refused(
    world: World, changes: dict[str, object]
) -> None:
    with pytest.raises(SchemeRefused):
        await world.record("province", replace(SCHEME, **changes))


@pytest.mark.parametrize(
    "change",
    ["last_sequence = 0", "last_sequence = last_sequence", "first_sequence = 2", "period = 2027"],
)
async def test_the_database_lets_a_counter_only_rise(world: World, change: str) -> None:
    await take(world, 3)
    async with world.connection() as owner:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="only rises"):
            await owner.execute(f"update number_counter set {change}")  # noqa: S608 - of the table
        await owner.execute("update number_counter set last_sequence = last_sequence + 1")
    assert (await take(world, 1)).numbers == ("2651010001600005",)


async def test_a_counter_starts_behind_in_its_own_city_and_open_bodies_only(world: World) -> None:
    counters = [Behind(1, 2027, 1, 9), Behind(1, 2026, 1, 5)]
    async with world.connection() as connection:
        async with db.acting(connection, Role.CONSOLE, CHENGDU):
            await numbering.start_behind(connection, CHENGDU, counters, "收录1号")
            await numbering.start_behind(connection, CHENGDU, [Behind(1, 2026, 1, 4)], "收录2号")
        with pytest.raises(BodyNotOpen):
            async with db.acting(connection, Role.CONSOLE, CHENGDU):
                await numbering.start_behind(
                    connection, CHENGDU, [Behind(1, 2026, 2, 1)], "收录3号"
                )
        with pytest.raises(Refusal):
            async with db.acting(connection, Role.CONSOLE, MIANYANG):
                await numbering.start_behind(connection, CHENGDU, counters, "收录4号")
        kept = await connection.fetch("select document_number from number_counter")
    assert [row["document_number"] for row in kept] == ["收录1号"] * 2
    assert (await take(world, 1)).numbers == ("2651010001600006",)
    assert (await take(world, 1, on=datetime.date(2027, 1, 1))).numbers == ("2751010001600010",)


@pytest.mark.parametrize(("used", "kept"), [(0, (7, 6, "收录2号")), (1, (3, 6, "收录1号"))])
async def test_an_unused_counter_starts_again_behind_and_a_used_one_rises(
    world: World, used: int, kept: tuple[int, int, str]
) -> None:
    async with world.connection() as connection, db.acting(connection, Role.CONSOLE, CHENGDU):
        await numbering.start_behind(connection, CHENGDU, [Behind(1, 2026, 1, 2)], "收录1号")
        await numbering.take(connection, CHENGDU, TODAY, used)
        await numbering.start_behind(connection, CHENGDU, [Behind(1, 2026, 1, 6)], "收录2号")
        counter = await connection.fetchrow(
            "select first_sequence, last_sequence, document_number from number_counter"
        )
    assert counter is not None
    assert tuple(counter) == kept
    assert (await take(world, 1)).numbers == ("2651010001600007",)


async def test_a_city_takes_no_numbers_of_another(world: World) -> None:
    async with world.connection() as connection:
        with pytest.raises(Refusal):
            async with db.acting(connection, Role.CONSOLE, MIANYANG):
                await numbering.take(connection, CHENGDU, TODAY, 1)
        async with db.acting(connection, Role.CONSOLE, PROVINCE):
            assert (await numbering.take(connection, CHENGDU, TODAY, 1)).ranges == (Range(1, 1, 1),)
