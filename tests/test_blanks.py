"""Blanks: ranges that only ever move, refused in one order, with the serials in the way."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import asyncpg
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ground.errors import (
    BlanksTooFew,
    MovedSince,
    MovementImpossible,
    MovementUnknown,
    NotYourCity,
    RangesMany,
    Refusal,
    SecondPersonNeeded,
    SerialsElsewhere,
    SerialsInOtherState,
    SerialsKnown,
    SerialsRepeated,
    SerialsUnknown,
    SerialsUnreadable,
    SeriesUnknown,
)
from service.paper import blanks
from service.paper.blanks import Kind, Movement, NewSeries, State, check, serials
from service.paper.blanks.check import Replay
from service.paper.blanks.serials import Numerals, Range
from service.registry.accounts import PROVINCE
from tests import stationery
from tests.stationery import COVER, INNER, movement, ranges, stock
from tests.world import CHENGDU, MIANYANG, World

NUMERALS = Numerals("川26A", 7)
KEEPER, PROVINCES = f"keeper-{CHENGDU}", f"keeper-{PROVINCE}"
TAKE_IN = (Kind.TAKE_IN, State.OUTSIDE, State.AT_PROVINCE)
DISPATCH = (Kind.DISPATCH, State.AT_PROVINCE, State.IN_TRANSIT)
RECEIVE = (Kind.RECEIVE, State.IN_TRANSIT, State.AT_CITY)
SPOIL = (Kind.SPOIL, State.AT_CITY, State.PENDING_DESTRUCTION)
LOSE = (Kind.LOSE, State.AT_CITY, State.LOST)


# Serials as people type them.


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("川26A0000007", ((7, 7),)),
        ("0000007", ((7, 7),)),
        ("川26A0000001-0000500", ((1, 500),)),
        ("川26A0000001－川26A0000500", ((1, 500),)),
        ("０００００１２、0000013；0000020~0000022", ((12, 13), (20, 22))),
        (" 0000020至0000022,\n0000001 ", ((1, 1), (20, 22))),
        ("川２６Ａ０００００１２〜0000014", ((12, 14),)),
        ("0000001\u20110000002、0000005\u22120000006", ((1, 2), (5, 6))),
    ],
)
def test_serials_are_read_as_they_are_typed(typed: str, read: tuple[tuple[int, int], ...]) -> None:
    assert NUMERALS.read(typed) == ranges(*read)


@pytest.mark.parametrize(
    "typed",
    ["", ",", "7", "000007", "00000007", "川26B0000007", "0000007-", "-0000007", "0000009-0000007",
     "0000001-0000002-0000003", "000000a", "٠٠٠٠٠٠٧", "0000007\x00", "x" * 5000],
)  # fmt: skip
def test_what_is_not_exactly_a_serial_is_refused_with_the_form_that_is_wanted(typed: str) -> None:
    with pytest.raises(SerialsUnreadable, match="川26A0000001-0000500"):
        NUMERALS.read(typed)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("川26\u04100000001", "川26\u0410[U+0410]0000001"),
        ("\u200f川26A0000001", "“[U+200F]川26A0000001”"),
        ("川26A0000\u200b001", "川26A0000[U+200B]001"),
        ("0000001\x00", "0000001[U+0000]”"),
        ("0000001\udcff", "0000001[U+DCFF]”"),
        ("0000²00", "0000²[U+00B2]00"),
        ("①000000", "①[U+2460]000000"),
        ("a" + "\u0301\u0323" * 500_000, "a\u0301[U+0301]"),
    ],
)
def test_a_look_alike_is_refused_at_once_and_named_by_its_code_point(typed: str, told: str) -> None:
    with pytest.raises(SerialsUnreadable) as refused:
        NUMERALS.read(typed)
    assert told in refused.value.zh
    with pytest.raises(SerialsUnreadable):
        NUMERALS.read_one(typed)


def test_a_serial_that_begins_like_a_prefix_of_digits_is_read_whole() -> None:
    numerals = Numerals("26", 7)
    assert numerals.read("2600001、262600002") == ranges((2600001, 2600002))


def test_a_prefix_is_what_everybody_can_type_and_print() -> None:
    for prefix in ("川26\u0410", "川\u200b26A", "２６", "2至6", "𠮷", "川26A\x00"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(msgspec.to_builtins(INNER) | {"prefix": prefix}, NewSeries)
    for prefix in ("", "川26A", "26"):
        msgspec.convert(msgspec.to_builtins(INNER) | {"prefix": prefix}, NewSeries)


def test_a_serial_given_twice_is_named() -> None:
    with pytest.raises(SerialsRepeated) as refused:
        NUMERALS.read("0000001-0000010, 0000008-0000012")
    assert [one.value for one in refused.value.findings] == ["川26A0000008-0000010"]
    with pytest.raises(RangesMany):
        NUMERALS.read(",".join(f"{number:07}" for number in range(0, 4000, 2)))


_pairs = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=8)


@given(_pairs, _pairs, st.integers(0, 200))
def test_ranges_are_sets_of_serials(
    left: list[tuple[int, int]], right: list[tuple[int, int]], wanted: int
) -> None:
    sets = [
        {n for first, more in pairs for n in range(first, first + more)} for pairs in (left, right)
    ]
    mine, others = (serials.of(one) for one in sets)
    assert serials.each(mine) == sorted(sets[0])
    assert serials.count(mine) == len(sets[0])
    assert set(serials.each(serials.minus(mine, others))) == sets[0] - sets[1]
    assert serials.each(serials.take(mine, wanted)) == sorted(sets[0])[:wanted]
    assert mine == () or NUMERALS.read(NUMERALS.ranges_text(mine)) == mine


# Movements.


async def moved(
    world: World, by: str, moving: Movement, code: str = INNER.series_code
) -> list[int]:
    async with world.desk(by) as desk, desk.acting():
        return await stationery.move(desk, moving, code)


async def test_ranges_split_and_merge_by_themselves(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100_000)))
    assert await stock(world) == {(CHENGDU, "at-city"): ((1, 100_000),)}
    await moved(world, KEEPER, movement(*SPOIL, ranges((7, 7), (500, 600))))
    assert await stock(world) == {
        (CHENGDU, "at-city"): ((1, 6), (8, 499), (601, 100_000)),
        (CHENGDU, "pending-destruction"): ((7, 7), (500, 600)),
    }
    await moved(world, KEEPER, movement(*SPOIL, ranges((8, 499))))
    assert (await stock(world))[CHENGDU, "pending-destruction"] == ((7, 600),)
    async with world.connection() as connection:
        assert await check.check(connection) == []


_Path: TypeAlias = tuple[Kind, State, State]
_Ends: TypeAlias = tuple[tuple[int, int], ...]
_ORDER: Sequence[tuple[str, str, _Path, _Ends, type[Refusal], list[str]]] = [
    ("no-such", KEEPER, SPOIL, ((1, 1),), SeriesUnknown, []),
    ("2026-inner", KEEPER, SPOIL, ((1, 9), (5, 12), (900, 950)), SerialsRepeated,
     ["0000005-0000009"]),
    ("2026-inner", KEEPER, SPOIL, ((90, 120), (300, 310), (501, 510)), SerialsUnknown,
     ["0000501-0000510"]),
    ("2026-inner", KEEPER, SPOIL, ((90, 120), (300, 310)), SerialsElsewhere, ["0000300-0000310"]),
    ("2026-inner", KEEPER, SPOIL, ((90, 120),), SerialsInOtherState, ["0000101-0000120"]),
    ("2026-inner", PROVINCES, TAKE_IN, ((495, 505),), SerialsKnown, ["0000495-0000500"]),
    ("2026-inner", PROVINCES, DISPATCH, ((450, 460),), SerialsInOtherState, ["0000450-0000460"]),
]  # fmt: skip


async def test_refusals_come_in_one_order_and_name_the_serials_in_the_way(world: World) -> None:
    """Chengdu has 1-100 and spoiled 101-200, Mianyang 201-400; 401-500 are on the road."""
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 200)))
    await stationery.supply(world, ranges((201, 400)), city_code=MIANYANG)
    await moved(world, KEEPER, movement(*SPOIL, ranges((101, 200))))
    await moved(world, PROVINCES, movement(*TAKE_IN, ranges((401, 500)), city_code=PROVINCE))
    await moved(world, PROVINCES, movement(*DISPATCH, ranges((401, 500))))
    before = await stock(world)
    for code, by, path, some, refusal, named in _ORDER:
        city_code = PROVINCE if path is TAKE_IN else CHENGDU
        with pytest.raises(refusal) as refused:
            await moved(world, by, movement(*path, ranges(*some), city_code=city_code), code)
        assert [one.value for one in refused.value.findings] == [f"川26A{one}" for one in named]
        if by == KEEPER:
            assert MIANYANG not in str([one.zh for one in refused.value.findings])
    assert await stock(world) == before
    async with world.connection() as connection:
        assert await check.check(connection) == []


async def test_a_movement_of_nobody_of_too_few_or_of_no_path_is_refused(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    lose = movement(*LOSE, ranges((5, 5)))
    with pytest.raises(MovementImpossible):
        await moved(world, KEEPER, lose)
    with pytest.raises(SecondPersonNeeded):
        await moved(world, KEEPER, msgspec.structs.replace(lose, second_actor=KEEPER))
    with pytest.raises(MovementImpossible):
        await moved(
            world, KEEPER, movement(Kind.PRINT, State.AT_CITY, State.PRINTED, ranges((5, 5)))
        )
    with pytest.raises(MovementImpossible):
        await moved(
            world, KEEPER, movement(Kind.COUNTER, State.AT_CITY, State.OUTSIDE, ranges((5, 5)))
        )
    with pytest.raises(SerialsElsewhere):
        await moved(world, f"keeper-{MIANYANG}", lose)
    await moved(world, PROVINCES, movement(*TAKE_IN, ranges((200, 300)), city_code=PROVINCE))
    with pytest.raises(SerialsElsewhere):  # a city helps itself from the province's shelf
        await moved(world, KEEPER, movement(*DISPATCH, ranges((200, 300))))
    with pytest.raises(NotYourCity):
        async with world.desk(KEEPER) as desk, desk.acting():
            await desk.connection.execute(
                "insert into blank_movement (city_code, series_id, kind, serials, from_state,"
                " to_state, document_number, reason, subject, actor) values ($1, 1, 'dispatch',"
                " '[200,301)', 'at-province', 'in-transit', '文', '', 'x:1', $2)",
                CHENGDU,
                KEEPER,
            )
    await moved(world, KEEPER, msgspec.structs.replace(lose, second_actor=f"reviewer-{CHENGDU}"))
    assert (await stock(world))[CHENGDU, "lost"] == ((5, 5),)


async def test_serials_that_a_series_cannot_have_are_refused(world: World) -> None:
    await stationery.record(world)
    async with world.desk(PROVINCES) as desk:
        for first, last in ((9_999_999, 10_000_000), (-5, 5)):
            with pytest.raises(MovementImpossible):
                async with desk.acting():
                    await stationery.move(
                        desk, movement(*TAKE_IN, ranges((first, last)), city_code=PROVINCE)
                    )


async def test_a_counter_movement_takes_back_only_what_has_not_moved_since(world: World) -> None:
    await stationery.record(world)
    (taken,) = await moved(
        world, PROVINCES, movement(*TAKE_IN, ranges((1, 100)), city_code=PROVINCE)
    )

    def counter(some: tuple[tuple[int, int], ...], of: int, city_code: str = PROVINCE) -> Movement:
        moving = movement(
            Kind.COUNTER, State.AT_PROVINCE, State.OUTSIDE, ranges(*some), city_code=city_code
        )
        return msgspec.structs.replace(moving, counters=of, second_actor="province")

    await moved(world, PROVINCES, counter(((91, 100),), taken))
    assert await stock(world) == {(PROVINCE, "at-province"): ((1, 90),)}
    with pytest.raises(SerialsUnknown):
        await moved(world, PROVINCES, counter(((91, 100),), taken))
    await moved(world, PROVINCES, movement(*TAKE_IN, ranges((91, 100)), city_code=PROVINCE))
    with pytest.raises(MovedSince):
        await moved(world, PROVINCES, counter(((91, 100),), taken))
    await moved(world, PROVINCES, movement(*DISPATCH, ranges((1, 10))))
    with pytest.raises(SerialsElsewhere):
        await moved(world, PROVINCES, counter(((1, 5),), taken))
    async with world.connection() as connection:
        assert await check.check(connection) == []


async def test_the_next_free_serials_are_the_lowest_and_never_too_few(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((11, 20)))
    await stationery.supply(world, ranges((1, 5)))
    async with world.desk(KEEPER) as desk, desk.acting():
        series = await blanks.find(desk.connection, "2026-inner")
        assert await blanks.free(desk.connection, CHENGDU, series, 8) == ranges((1, 5), (11, 13))
        with pytest.raises(BlanksTooFew, match="仅 15 张"):
            await blanks.free(desk.connection, CHENGDU, series, 16)
        with pytest.raises(MovementUnknown):
            await blanks.moved(desk.connection, 10**15)


async def test_the_same_serial_of_two_series_are_two_sheets(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 10)))
    await stationery.supply(world, ranges((1, 10)), code=COVER.series_code)
    async with world.connection() as owner:
        assert await owner.fetchval("select count(*) from blank_stock") == 2


async def test_nothing_but_a_movement_changes_stock(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 10)))
    for statement in (
        "update blank_stock set state = 'destroyed'",
        "delete from blank_stock",
        "insert into blank_stock values (1, '[50,60)', '510100', 'at-city')",
        "update blank_movement set reason = 'x'",
        "delete from blank_movement",
        "update blank_head set sequence = 9",
        "update blank_series set prefix = 'x'",
        "insert into blank_path select 'x', 'outside', 'at-city', 'city', 'city', 'city', 1, true",
    ):
        with pytest.raises(NotYourCity):
            async with world.desk(KEEPER) as desk, desk.acting():
                await desk.connection.execute(statement)
    async with world.connection() as owner:
        for statement in (
            "update blank_movement set reason = 'x'",
            "truncate blank_movement cascade",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
                await owner.execute(statement)


# Two at once.


async def test_of_many_who_fight_for_the_same_serials_each_gets_others(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 400)))
    drawn: list[int] = []

    async def draw() -> None:
        async with world.desk(KEEPER) as desk:
            series = await blanks.find(desk.connection, "2026-inner")
            for _ in range(5):
                async with desk.acting():
                    chosen = await blanks.free(desk.connection, CHENGDU, series, 10)
                    moving = movement(Kind.DRAW, State.AT_CITY, State.DRAWN, chosen)
                    moving = msgspec.structs.replace(moving, second_actor=f"operator-{CHENGDU}")
                    await blanks.move(desk.connection, desk.actor, series, moving)
                drawn.extend(serials.each(chosen))

    await asyncio.gather(*(draw() for _ in range(8)))
    assert sorted(drawn) == list(range(1, 401))
    assert await stock(world) == {(CHENGDU, "drawn"): ((1, 400),)}
    with pytest.raises(BlanksTooFew):
        await draw()
    async with world.connection() as connection:
        assert await check.check(connection) == []


async def test_of_two_cities_that_are_sent_the_same_carton_one_gets_it(world: World) -> None:
    await stationery.record(world)
    await moved(world, PROVINCES, movement(*TAKE_IN, ranges((1, 100)), city_code=PROVINCE))
    came = await asyncio.gather(
        *(
            moved(world, PROVINCES, movement(*DISPATCH, ranges((1, 50)), city_code=city))
            for city in (CHENGDU, MIANYANG) * 4
        ),
        moved(world, PROVINCES, movement(*DISPATCH, ranges((51, 100)), city_code=CHENGDU)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, list) for one in came) == 2
    assert all(isinstance(one, list | SerialsElsewhere | SerialsInOtherState) for one in came)
    async with world.connection() as connection:
        assert await check.check(connection) == []


def test_ranges_of_the_books_are_looked_up_by_functions_alone() -> None:
    """Under row-level security no index of ranges is used: a list took a minute among 100 000."""
    folder = Path(blanks.__file__).parent.parent
    comparing = {
        str(path.relative_to(folder)): line.strip()
        for path in folder.rglob("*.sql")
        for line in path.read_text().splitlines()
        if re.search(r"serials\s*(&&|@>|<@|-\|-)|(&&|@>|<@|-\|-)\s*\S*serials", line)
    }
    assert comparing == {
        # Of one count, and of one movement.
        "stocktakes/__init__.sql": "and other.count_id > one.count_id"
        " and other.serials && one.serials",
        "blanks/check.sql": "and countered.serials @> moved.serials",
    }  # fmt: skip


# The check.


async def _books(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    await stationery.supply(world, ranges((101, 200)), city_code=MIANYANG)
    for one in (3, 5, 9):
        await moved(world, KEEPER, movement(*SPOIL, ranges((one, one))))


_FORGERIES = {
    "update blank_movement set reason = '另有原因' where movement_id = 7": (7, "改动"),
    "update blank_movement set serials = '[4,5)' where movement_id = 7": (7, "改动"),
    "update blank_movement set to_state = '别处' where movement_id = 7": (7, "改动"),
    "update blank_movement set serials = '[4,)' where movement_id = 7": (7, "改动"),
    "update blank_movement set series_id = 99 where movement_id = 7": (8, "删除"),
    "delete from blank_movement where movement_id = 7": (8, "删除"),
    "delete from blank_movement where movement_id = 9": (8, "截断"),
    "update blank_movement set actor = 'province' where movement_id = 6": (6, "改动"),
    "update blank_head set sequence = 9 where city_code = '510100'": (9, "截断"),
    "update blank_head set hash = '' where city_code = '510100'": (9, "改动"),
    "delete from blank_head where city_code = '510100'": (9, "多出"),
    "update blank_stock set serials = '[10,100)' where serials @> 50::int8": (None, "库存"),
    "update blank_stock set serials = '(,3)' where serials @> 1::int8": (None, "库存"),
    "update blank_stock set state = 'lost' where serials @> 3::int8": (None, "库存"),
    "delete from blank_stock where serials @> 3::int8": (None, "库存"),
}


@pytest.mark.parametrize("statement", _FORGERIES)
async def test_the_check_names_the_row_that_the_owner_of_the_database_forged(
    world: World, statement: str
) -> None:
    await _books(world)
    async with world.connection() as owner:
        assert await check.check(owner) == []
        await owner.execute("set session_replication_role = replica")
        assert (await owner.execute(statement)).endswith(" 1")
        first = (await check.check(owner))[0]
    movement_id, word = _FORGERIES[statement]
    assert first.movement_id == movement_id
    assert word in first.reason_zh
    assert first.city_code == (MIANYANG if movement_id == 6 else CHENGDU)


_CHAINED_ANEW = (
    "do $$ declare one blank_movement; before bytea := '\\x'; begin"
    " for one in select * from blank_movement where city_code = '510100' order by sequence"
    " loop one.previous := before; before := sha256(before || blank_bytes(one));"
    " update blank_movement set previous = one.previous, hash = before"
    " where movement_id = one.movement_id; end loop;"
    " update blank_head set hash = before where city_code = '510100'; end $$"
)


_PATHLESS = "update blank_movement set {} where movement_id = 9"


@pytest.mark.parametrize(
    "forged",
    [
        "kind = 'receive'",
        "to_state = 'destroyed'",
        "to_state = 'outside'",
        "kind = 'lose', to_state = 'lost'",
        "kind = 'counter', counters = 7, from_state = 'pending-destruction', to_state = 'at-city'",
        "to_city = '510700'",
    ],
)
async def test_a_movement_that_no_path_permits_is_named_in_a_chain_that_is_forged_anew(
    world: World, forged: str
) -> None:
    """The owner hides a sheet: stock, chain and head agree with what never was allowed."""
    await _books(world)
    async with world.connection() as owner:
        await owner.execute("set session_replication_role = replica")
        await owner.execute(_PATHLESS.format(forged))
        await owner.execute(
            "update blank_stock set (city_code, state) = (select to_city, to_state"
            " from blank_movement where movement_id = 9) where serials @> 9::int8"
            " and not exists (select from blank_movement where to_state = 'outside')"
        )
        await owner.execute(
            "delete from blank_stock where serials @> 9::int8"
            " and exists (select from blank_movement where to_state = 'outside')"
        )
        await owner.execute(_CHAINED_ANEW)
        first = (await check.check(owner))[0]
    assert (first.movement_id, first.reason_zh) == (9, "不是许可的移动")


async def test_a_whole_chain_that_is_forged_anew_differs_from_what_was_noted(world: World) -> None:
    """Whoever recomputes every hash is seen by the replay: the sheet has moved twice."""
    await _books(world)
    async with world.connection() as owner:
        await owner.execute("set session_replication_role = replica")
        await owner.execute("update blank_movement set serials = '[3,4)' where movement_id = 8")
        await owner.execute(_CHAINED_ANEW)
        found = await check.check(owner)
    assert [(one.movement_id, one.serials) for one in found] == [
        (8, "川26A0000003"), (None, "川26A0000005"),
    ]  # fmt: skip


async def test_a_city_checks_its_own_books(world: World) -> None:
    await _books(world)
    for account in (KEEPER, f"auditor-{MIANYANG}", "auditor-510000", "province"):
        async with world.desk(account) as desk, desk.acting():
            assert await check.check(desk.connection, desk.actor) == []
    async with world.connection() as owner:
        await owner.execute("set session_replication_role = replica")
        await owner.execute("delete from blank_stock where city_code = $1", MIANYANG)
    for account, count in ((KEEPER, 0), (f"auditor-{MIANYANG}", 1), ("auditor-510000", 1)):
        async with world.desk(account) as desk, desk.acting():
            assert len(await check.check(desk.connection, desk.actor)) == count


@given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.integers(0, 8), st.sampled_from("ab-"), st.sampled_from("ab-")
        )
    )
)
def test_a_replay_agrees_with_a_book_that_lists_every_sheet(
    moves: list[tuple[int, int, str, str]],
) -> None:
    replay, sheets = Replay(), dict[int, tuple[str, str]]()
    for first, more, beginning, end in moves:
        one = Range(first, first + more)
        accounts = [None if name == "-" else ("city", name) for name in (beginning, end)]
        there = {sheets.get(serial) for serial in range(one.first, one.last + 1)}
        for serial in range(one.first, one.last + 1):
            sheets.pop(serial, None)
            if accounts[1]:
                sheets[serial] = accounts[1]
        assert (replay.move(one, *accounts) is None) == (there == {accounts[0]})
        listed = {n: account for part, account in replay.ranges() for n in serials.each([part])}
        assert listed == sheets
