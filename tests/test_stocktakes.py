"""Stocktakes: counted blind, compared at once, explained, and approved by somebody else."""

import asyncio
import io
import random
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
import msgspec
import pypdfium2
import pytest

from service.ground.errors import (
    ActNotGranted,
    CountedTwice,
    CountUnknown,
    DifferenceUnknown,
    GroundsAbsent,
    NotYourCity,
    ReasonsAbsent,
    SecondPersonNeeded,
    SerialsKnown,
    SeriesAbsent,
    SeriesNotCounted,
    StocktakeElsewhere,
    StocktakeOpen,
    StocktakeUnknown,
)
from service.paper import blanks, stocktakes
from service.paper.blanks import Kind, serials
from service.paper.blanks import State as Place
from service.paper.blanks import records as book_records
from service.paper.forms import sheets
from service.paper.stocktakes import records
from service.paper.stocktakes.records import Occasion, Result, State
from service.registry.accounts import PROVINCE
from service.registry.journal import Act
from service.wiring import Desk
from tests import stationery, test_orders
from tests.stationery import COVER, INNER, movement, ranges
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.test_orders import held, sound, spoil, stocked
from tests.world import CHENGDU, MIANYANG, World

Ends = Sequence[tuple[int, int]]
KEEPER, REVIEWER = f"keeper-{CHENGDU}", f"reviewer-{CHENGDU}"
PROVINCES = f"keeper-{PROVINCE}"
DRAW = (Kind.DRAW, Place.AT_CITY, Place.DRAWN)
TAKE_IN = (Kind.TAKE_IN, Place.OUTSIDE, Place.AT_PROVINCE)
DISPATCH = (Kind.DISPATCH, Place.AT_PROVINCE, Place.IN_TRANSIT)
RECEIVE = (Kind.RECEIVE, Place.IN_TRANSIT, Place.AT_CITY)


async def open_at(desk: Desk, *codes: str) -> int:
    """Open inside the act that a desk has begun."""
    series = [await blanks.find(desk.connection, code) for code in codes or (INNER.series_code,)]
    return await stocktakes.open_(desk.connection, desk.actor, Occasion.SPOT, series)


async def count_at(
    desk: Desk, stocktake_id: int, some: Ends, code: str = INNER.series_code, *,
    is_spoiled: bool = False,
) -> int:  # fmt: skip
    """Count inside the act that a desk has begun."""
    series = await blanks.find(desk.connection, code)
    return await stocktakes.count(
        desk.connection, desk.actor, stocktake_id, series, ranges(*some), is_spoiled=is_spoiled
    )


async def leave_at(desk: Desk, counting: str, counted: str) -> None:
    """Leave one stocktake to be counted, and one to be approved, each of its own series."""
    await count_at(desk, await open_at(desk, counting), [(1, 2)], counting)
    stocktake_id = await open_at(desk, counted)
    await count_at(desk, stocktake_id, [(1, 2)], counted)
    await stocktakes.close(desk.connection, desk.actor, stocktake_id)
    await stocktakes.give_reason(desk.connection, desk.actor, stocktake_id, None, "多印")


async def do_at(desk: Desk, act: Act, free: str) -> object:
    """Do something with the stocktakes that were left, or open one of a free series."""
    if act is Act.STOCKTAKE_OPEN:
        return await open_at(desk, free)
    waits = (
        State.COUNTED if act in (Act.STOCKTAKE_REASON, Act.STOCKTAKE_APPROVE) else State.COUNTING
    )
    (left,) = (
        one
        for one in await stocktakes.every(desk.connection)
        if (one.state, one.city_code) == (waits, desk.actor.city_code)
    )
    at = (desk.connection, desk.actor, left.stocktake_id)
    entry, *_ = await stocktakes.entries(desk.connection, left.stocktake_id)
    doing: dict[Act, Callable[[], Awaitable[object]]] = {
        Act.STOCKTAKE_COUNT: lambda: count_at(
            desk, left.stocktake_id, [(5, 5)], left.series_codes[0]
        ),
        Act.STOCKTAKE_STRIKE: lambda: stocktakes.strike(*at, entry.count_id, "看错"),
        Act.STOCKTAKE_CLOSE: lambda: stocktakes.close(*at),
        Act.STOCKTAKE_REASON: lambda: stocktakes.give_reason(*at, [1], "多印"),
        Act.STOCKTAKE_APPROVE: lambda: stocktakes.approve(*at),
        Act.STOCKTAKE_CANCEL: lambda: stocktakes.cancel(*at, "重盘"),
    }
    return await doing[act]()


async def open_(world: World, *codes: str, by: str = KEEPER) -> int:
    async with world.desk(by) as desk, desk.acting():
        return await open_at(desk, *codes)


async def count(
    world: World, stocktake_id: int, *some: tuple[int, int], by: str = KEEPER,
    code: str = INNER.series_code, is_spoiled: bool = False,
) -> int:  # fmt: skip
    async with world.desk(by) as desk, desk.acting():
        return await count_at(desk, stocktake_id, some, code, is_spoiled=is_spoiled)


async def strike(world: World, stocktake_id: int, count_id: int, *, reason: str = "看错") -> None:
    async with world.desk(KEEPER) as desk, desk.acting():
        await stocktakes.strike(desk.connection, desk.actor, stocktake_id, count_id, reason)


async def close(world: World, stocktake_id: int, *, by: str = KEEPER) -> Result:
    async with world.desk(by) as desk, desk.acting():
        return await stocktakes.close(desk.connection, desk.actor, stocktake_id)


async def explain(
    world: World, stocktake_id: int, *numbers: int, reason: str = "核查属实", by: str = KEEPER
) -> list[int]:
    async with world.desk(by) as desk, desk.acting():
        return await stocktakes.give_reason(
            desk.connection, desk.actor, stocktake_id, numbers or None, reason
        )


async def approve(world: World, stocktake_id: int, *, by: str = REVIEWER) -> Result:
    async with world.desk(by) as desk, desk.acting():
        return await stocktakes.approve(desk.connection, desk.actor, stocktake_id, "同意")


async def cancel(world: World, stocktake_id: int, *, reason: str = "重盘") -> None:
    async with world.desk(KEEPER) as desk, desk.acting():
        await stocktakes.cancel(desk.connection, desk.actor, stocktake_id, reason)


async def move(world: World, by: str, path: tuple[Kind, Place, Place], *some: tuple[int, int],
               city_code: str = CHENGDU, code: str = INNER.series_code) -> None:  # fmt: skip
    moving = movement(*path, ranges(*some), city_code=city_code)
    if path[0] in (Kind.DRAW, Kind.LOSE):
        moving = msgspec.structs.replace(moving, second_actor=f"operator-{CHENGDU}")
    async with world.desk(by) as desk, desk.acting():
        await stationery.move(desk, moving, code)


async def sheet(world: World, stocktake_id: int) -> sheets.Count | sheets.Counted:
    async with world.desk(KEEPER) as desk, desk.acting():
        return await stocktakes.sheet(desk.connection, stocktake_id)


# What differs.


async def test_a_count_without_differences_is_approved_too(world: World) -> None:
    await stocked(world)
    await spoil(world, (7, 8))
    stocktake_id = await open_(world)
    await count(world, stocktake_id, (1, 6), (50, 100))
    await count(world, stocktake_id, (9, 49))
    await count(world, stocktake_id, (7, 8), is_spoiled=True)
    closed = await close(world, stocktake_id)
    assert closed.differences == []
    assert [(one.book_count, one.counted_count, one.variance) for one in closed.tallies] == [
        (98, 98, 0), (2, 2, 0),
    ]  # fmt: skip
    approved = await approve(world, stocktake_id)
    assert (approved.stocktake.state, approved.stocktake.decided_by) == ("approved", REVIEWER)
    await sound(world)


async def test_all_differences_are_listed_at_once_and_settled_as_far_as_may_be(
    world: World,
) -> None:
    """The printer has eaten 40, which lies on the spoiled heap; 10 is nowhere; others turn up."""
    await stocked(world)
    await stationery.supply(world, ranges((201, 300)), city_code=MIANYANG)
    await spoil(world, (21, 23))
    await test_orders.done(world, Kind.LOSE, (91, 94))
    await move(world, KEEPER, DRAW, (31, 33))
    stocktake_id = await open_(world)
    await count(world, stocktake_id, (1, 9), (11, 21), (24, 31), (34, 39), (41, 91), (95, 100))
    await count(world, stocktake_id, (205, 206), (901, 901))
    await count(world, stocktake_id, (22, 22), (40, 40), (92, 92), (902, 902), is_spoiled=True)
    closed = await close(world, stocktake_id)
    assert [
        (one.serials[-7:], one.book_state, one.counted_state, one.to_state)
        for one in closed.differences
    ] == [
        ("0000010", "at-city", None, "lost"),
        ("0000021", "pending-destruction", "at-city", None),
        ("0000023", "pending-destruction", None, "lost"),
        ("0000031", "drawn", "at-city", None),
        ("0000040", "at-city", "pending-destruction", "pending-destruction"),
        ("0000091", "lost", "at-city", "at-city"),
        ("0000092", "lost", "pending-destruction", "pending-destruction"),
        ("0000206", "elsewhere", "at-city", None),
        ("0000901", "outside", "at-city", "at-city"),
        ("0000902", "outside", "pending-destruction", "pending-destruction"),
    ]
    assert [(one.book_count, one.counted_count) for one in closed.tallies] == [(90, 94), (3, 4)]
    assert "办结其打印任务" in closed.differences[3].words
    assert MIANYANG not in closed.differences[7].words
    await explain(world, stocktake_id, 5, reason="卡纸")
    await explain(world, stocktake_id)
    approved = await approve(world, stocktake_id)
    assert [one.difference_number for one in approved.unsettled] == [2, 4, 8]
    free = ((1, 9), (11, 20), (24, 30), (34, 39), (41, 91), (95, 100), (901, 901))
    assert await held(world, Place.AT_CITY) == free
    assert await held(world, Place.PENDING_DESTRUCTION) == (
        (21, 22), (40, 40), (92, 92), (902, 902),
    )  # fmt: skip
    assert await held(world, Place.LOST) == ((10, 10), (23, 23), (93, 94))
    assert await held(world, Place.DRAWN) == ((31, 33),)
    async with world.connection() as owner:
        moved = await stationery.moved_of(owner, f"stocktake:{stocktake_id}")
    assert {(one.kind, one.actor, one.second_actor) for one in moved} == {
        ("adjust", KEEPER, REVIEWER)
    }
    assert {one.reason for one in moved} == {"卡纸", "核查属实"}
    assert {one.document_number for one in moved} == {"盘点第 1 号"}
    printed = await sheet(world, stocktake_id)
    assert isinstance(printed, sheets.Counted)
    assert sum(one.book_count for one in printed.lines) == 93
    assert sum(one.counted_count for one in printed.lines) == 98
    assert [one.approval for one in printed.lines].count("不予调整") == 3
    await sound(world)


async def test_what_carried_a_certificate_never_comes_back_among_the_free_sheets(
    world: World,
) -> None:
    await stocked(world)
    await test_orders.done(world, Kind.LOSE, (1, 5))
    await move(world, KEEPER, DRAW, (6, 9))
    await move(world, KEEPER, (Kind.PRINT, Place.DRAWN, Place.PRINTED), (6, 8))
    await move(world, KEEPER, (Kind.LOSE, Place.PRINTED, Place.LOST), (6, 8))
    await move(world, KEEPER, (Kind.SPOIL, Place.DRAWN, Place.PENDING_DESTRUCTION), (9, 9))
    await move(world, KEEPER, (Kind.LOSE, Place.PENDING_DESTRUCTION, Place.LOST), (9, 9))
    stocktake_id = await open_(world)
    await count(world, stocktake_id, (4, 7), (9, 100))
    await count(world, stocktake_id, (8, 8), is_spoiled=True)
    closed = await close(world, stocktake_id)
    assert [(one.serials[-15:], one.to_state) for one in closed.differences] == [
        ("0000004-0000005", "at-city"), ("0000006-0000007", None),
        ("川26A0000008", "pending-destruction"), ("川26A0000009", None),  # misprinted in its run
    ]  # fmt: skip
    assert "寻回" in closed.differences[1].words
    await explain(world, stocktake_id)
    await approve(world, stocktake_id)
    assert await held(world, Place.LOST) == ((1, 3), (6, 7), (9, 9))
    await sound(world)


async def test_the_province_counts_its_own_shelf_and_sees_where_others_have_them(
    world: World,
) -> None:
    await stocked(world)
    await move(world, PROVINCES, TAKE_IN, (501, 600), city_code=PROVINCE)
    await move(world, PROVINCES, DISPATCH, (501, 510))
    stocktake_id = await open_(world, by=PROVINCES)
    await count(world, stocktake_id, (5, 5), (510, 598), by=PROVINCES)
    await count(world, stocktake_id, (600, 600), by=PROVINCES, is_spoiled=True)
    closed = await close(world, stocktake_id, by=PROVINCES)
    assert [
        (one.book_city, one.book_state, one.to_state, one.sheet_count) for one in closed.differences
    ] == [
        (CHENGDU, "at-city", None, 1),
        (CHENGDU, "in-transit", None, 1),
        (PROVINCE, "at-province", "lost", 1),
        (PROVINCE, "at-province", "pending-destruction", 1),
    ]
    await explain(world, stocktake_id, by=PROVINCES)
    with pytest.raises(ActNotGranted):
        await approve(world, stocktake_id, by=PROVINCES)
    assert len((await approve(world, stocktake_id, by="province")).unsettled) == 2
    assert await held(world, Place.LOST, city_code=PROVINCE) == ((599, 599),)
    await sound(world)


async def test_an_empty_cupboard_lacks_everything_that_the_book_has(world: World) -> None:
    await stocked(world)
    await spoil(world, (100, 100))
    stocktake_id = await open_(world, INNER.series_code, COVER.series_code)
    closed = await close(world, stocktake_id)
    assert [(one.serials, one.to_state) for one in closed.differences] == [
        ("川26A0000001-0000099", "lost"), ("川26A0000100", "lost"),
    ]  # fmt: skip
    await explain(world, stocktake_id, reason="失火")
    await approve(world, stocktake_id)
    assert await held(world, Place.LOST) == ((1, 100),)
    again = await open_(world)
    assert (await close(world, again)).differences == []
    await approve(world, again)
    await sound(world)


async def test_whatever_is_counted_is_compared_sheet_by_sheet(world: World) -> None:
    """A model that lists every sheet finds the same differences, in eight counts at random."""
    chance = random.Random(20260123)  # noqa: S311 - a test's
    await stocked(world, (1, 60))
    await spoil(world, (11, 20), (45, 46))
    await test_orders.done(world, Kind.LOSE, (31, 36))
    await move(world, KEEPER, DRAW, (50, 52))
    async with world.desk(KEEPER) as desk, desk.acting():
        series = await blanks.find(desk.connection, INNER.series_code)
        book = {
            serial: place.state
            for place in await blanks.whereabouts(desk.connection, series, ranges((1, 70)))
            for serial in serials.each([place.range])
        }
    for _ in range(8):
        counted = {
            serial: chance.choices((None, Place.AT_CITY, Place.PENDING_DESTRUCTION), (2, 5, 2))[0]
            for serial in book
        }
        stocktake_id = await open_(world)
        for place in (Place.AT_CITY, Place.PENDING_DESTRUCTION):
            some = serials.of(serial for serial, there in counted.items() if there is place)
            for half in (some[::2], some[1::2]):
                ends = ((one.first, one.last) for one in half)
                await count(world, stocktake_id, *ends, is_spoiled=place is not Place.AT_CITY)
        closed = await close(world, stocktake_id)
        await cancel(world, stocktake_id)
        expected = {
            serial: (book[serial], there)
            for serial, there in counted.items()
            if there != book[serial]
            and (there or book[serial] in (Place.AT_CITY, Place.PENDING_DESTRUCTION))
        }
        assert expected == {
            serial: (one.book_state, one.counted_state)
            for one in closed.differences
            for serial in serials.each(one.ranges)
        }
        assert sum(one.variance for one in closed.tallies) == sum(
            bool(there) - (book[serial] in (Place.AT_CITY, Place.PENDING_DESTRUCTION))
            for serial, there in counted.items()
        )


async def test_a_thousand_ranges_are_counted_and_compared(world: World) -> None:
    await stocked(world, (1, 10_000))
    stocktake_id = await open_(world)
    await count(world, stocktake_id, *((first, first + 8) for first in range(1, 10_000, 10)))
    closed = await close(world, stocktake_id)
    assert len(closed.differences) == 1000
    assert {one.sheet_count for one in closed.differences} == {1}
    await explain(world, stocktake_id)
    await approve(world, stocktake_id)
    assert len(await held(world, Place.LOST)) == 1000
    await sound(world)


async def test_a_series_that_is_named_twice_is_counted_once_and_none_not_at_all(
    world: World,
) -> None:
    async with world.desk(KEEPER) as desk, desk.acting():
        with pytest.raises(SeriesAbsent):
            await stocktakes.open_(desk.connection, desk.actor, Occasion.SPOT, [])
    await stocked(world)
    stocktake_id = await open_(world, INNER.series_code, INNER.series_code)
    await count(world, stocktake_id, (1, 100))
    closed = await close(world, stocktake_id)
    assert (len(closed.tallies), closed.differences) == (2, [])


async def test_an_adjustment_that_was_wrong_is_taken_back_by_two_persons(world: World) -> None:
    await stocked(world)
    stocktake_id = await open_(world)
    await count(world, stocktake_id, (1, 98), (501, 502))
    await close(world, stocktake_id)
    await explain(world, stocktake_id)
    await approve(world, stocktake_id)
    async with world.connection() as owner:
        moved = await stationery.moved_of(owner, f"stocktake:{stocktake_id}")
    for one in moved:
        await test_orders.confirm(world, await test_orders.counter(world, one.movement_id))
    assert await held(world, Place.AT_CITY) == ((1, 100),)
    async with world.connection() as owner:
        assert await book_records.check(owner) == []
    await sound(world)


# Blind.


async def test_nothing_is_said_of_the_books_before_the_count_is_closed(world: World) -> None:
    await stocked(world)
    stocktake_id = await open_(world)
    await count(world, stocktake_id, (1, 5), (901, 902))
    async with world.desk(KEEPER) as desk, desk.acting():
        told = await stocktakes.result(desk.connection, stocktake_id)
        (entry,) = await stocktakes.entries(desk.connection, stocktake_id)
    assert (told.tallies, told.differences) == ([], [])
    assert (entry.serials, entry.sheet_count) == ("川26A0000001-0000005、川26A0000901-0000902", 7)
    blind = await sheet(world, stocktake_id)
    assert isinstance(blind, sheets.Count)
    assert blind.occasion == "临时盘点（清点中）"


async def test_what_was_counted_twice_is_named_before_the_books_are(world: World) -> None:
    await stocked(world)
    stocktake_id = await open_(world)
    first = await count(world, stocktake_id, (1, 50))
    second = await count(world, stocktake_id, (45, 100))
    third = await count(world, stocktake_id, (7, 7), is_spoiled=True)
    with pytest.raises(CountedTwice) as refused:
        await close(world, stocktake_id)
    assert [(one.value, one.zh) for one in refused.value.findings] == [
        ("川26A0000007", f"第 {first} 笔与第 {third} 笔重复（1 张）"),
        ("川26A0000045-0000050", f"第 {first} 笔与第 {second} 笔重复（6 张）"),
    ]
    for wrong in (second, third):
        await strike(world, stocktake_id, wrong)
    with pytest.raises(GroundsAbsent):
        await strike(world, stocktake_id, first, reason=" ")
    for unknown in (second, 10**15):
        with pytest.raises(CountUnknown):
            await strike(world, stocktake_id, unknown)
    await count(world, stocktake_id, (51, 100))
    assert (await close(world, stocktake_id)).differences == []
    async with world.desk(KEEPER) as desk, desk.acting():
        entries = await stocktakes.entries(desk.connection, stocktake_id)
    assert [one.strike_reason for one in entries] == [None, "看错", "看错", None]


# While it is open, nothing moves.


async def test_what_is_counted_does_not_move_and_everything_else_does(world: World) -> None:
    await stocked(world)
    for code in (INNER.series_code, COVER.series_code):
        await move(world, PROVINCES, TAKE_IN, (501, 600), city_code=PROVINCE, code=code)
        await move(world, PROVINCES, DISPATCH, (501, 550), code=code)
    await move(world, PROVINCES, DISPATCH, (551, 560), city_code=MIANYANG)
    waiting = await test_orders.ask(world, Kind.LOSE, (1, 1))
    stocktake_id = await open_(world)
    for refused in (
        spoil(world, (1, 1)),
        test_orders.confirm(world, waiting),
        move(world, KEEPER, DRAW, (1, 1)),
        move(world, KEEPER, RECEIVE, (501, 550)),
    ):
        with pytest.raises(StocktakeOpen):
            await refused
    await move(world, KEEPER, RECEIVE, (501, 550), code=COVER.series_code)
    await move(world, f"keeper-{MIANYANG}", RECEIVE, (551, 560), city_code=MIANYANG)
    await move(world, PROVINCES, DISPATCH, (561, 570))
    await close(world, stocktake_id)
    with pytest.raises(StocktakeOpen):
        await spoil(world, (1, 1))
    await cancel(world, stocktake_id)
    await spoil(world, (2, 2))
    of_province = await open_(world, by=PROVINCES)
    for path, some in ((DISPATCH, (571, 580)), (TAKE_IN, (601, 610))):
        with pytest.raises(StocktakeOpen):
            await move(
                world, PROVINCES, path, some, city_code=CHENGDU if path is DISPATCH else PROVINCE
            )
    await move(world, KEEPER, RECEIVE, (501, 550))
    await count(world, of_province, (571, 600), by=PROVINCES)
    await close(world, of_province, by=PROVINCES)
    await approve(world, of_province, by="province")
    await move(world, PROVINCES, DISPATCH, (571, 580))
    await sound(world)


async def test_whoever_moves_as_a_stocktake_opens_is_waited_for(world: World) -> None:
    await stocked(world)
    async with world.desk(KEEPER) as desk:
        async with desk.acting():
            await test_orders.spoil_at(desk, [(1, 10)])
            opening = asyncio.create_task(open_(world))
            await world.until_somebody_waits()
        stocktake_id = await opening
        await cancel(world, stocktake_id)
        async with desk.acting():
            await open_at(desk)
            moving = asyncio.create_task(spoil(world, (11, 12)))
            await world.until_somebody_waits()
        with pytest.raises(StocktakeOpen):
            await moving
    assert (await close(world, stocktake_id + 1)).tallies[1].book_count == 10


async def test_of_many_opened_at_once_for_a_series_one_is(world: World) -> None:
    await stocked(world)
    came = await asyncio.gather(
        *(open_(world) for _ in range(3)),
        *(open_(world, COVER.series_code, INNER.series_code) for _ in range(2)),
        return_exceptions=True,
    )
    (stocktake_id,) = (one for one in came if isinstance(one, int))
    assert [type(one) for one in came].count(StocktakeOpen) == 4
    other = await open_(world, by=f"keeper-{MIANYANG}")
    await cancel(world, stocktake_id)
    await open_(world, COVER.series_code)
    await open_(world)
    async with world.desk(KEEPER) as desk, desk.acting():
        states = [one.state for one in await stocktakes.every(desk.connection)]
        assert sorted(states) == ["cancelled", "counting", "counting"]
        with pytest.raises(StocktakeUnknown):
            await stocktakes.one(desk.connection, other)


# Reasons, and another person.


async def test_who_counted_does_not_approve_and_nothing_is_approved_unexplained(
    world: World,
) -> None:
    await stocked(world)
    by = f"province-{PROVINCE}"
    await move(world, PROVINCES, TAKE_IN, (501, 600), city_code=PROVINCE)
    stocktake_id = await open_(world, by=PROVINCES)
    await count(world, stocktake_id, (501, 598), by="province")
    await close(world, stocktake_id, by=PROVINCES)
    with pytest.raises(ReasonsAbsent) as refused:
        await approve(world, stocktake_id, by=by)
    assert [one.value for one in refused.value.findings] == ["川26A0000599-0000600"]
    with pytest.raises(DifferenceUnknown, match="2、7"):
        await explain(world, stocktake_id, 1, 7, 2, by=PROVINCES)
    with pytest.raises(GroundsAbsent):
        await explain(world, stocktake_id, reason="…", by=PROVINCES)
    await explain(world, stocktake_id, by=by)
    for who in ("province", by):
        with pytest.raises(SecondPersonNeeded):
            await approve(world, stocktake_id, by=who)
    await explain(world, stocktake_id, 1, by=PROVINCES)
    assert (await approve(world, stocktake_id, by=by)).stocktake.remark == "同意"
    await sound(world)


async def test_everybody_does_only_what_is_theirs(world: World) -> None:
    await stocked(world)
    for by in (REVIEWER, f"operator-{CHENGDU}", f"auditor-{CHENGDU}"):
        with pytest.raises(ActNotGranted):
            await open_(world, by=by)
    stocktake_id = await open_(world)
    with pytest.raises(ActNotGranted):
        await count(world, stocktake_id, (1, 1), by=REVIEWER)
    with pytest.raises(StocktakeUnknown):
        await count(world, stocktake_id, (1, 1), by=f"keeper-{MIANYANG}")
    with pytest.raises(NotYourCity):
        await count(world, stocktake_id, (1, 1), by=PROVINCES)
    with pytest.raises(SeriesNotCounted, match="2026-inner"):
        await count(world, stocktake_id, (1, 1), code=COVER.series_code)
    for too_early in (approve(world, stocktake_id), explain(world, stocktake_id)):
        with pytest.raises(StocktakeElsewhere, match="清点中"):
            await too_early
    await count(world, stocktake_id, (1, 100))
    await close(world, stocktake_id)
    for too_late in (
        count(world, stocktake_id, (1, 1)), strike(world, stocktake_id, 1),
        close(world, stocktake_id),
    ):  # fmt: skip
        with pytest.raises(StocktakeElsewhere, match="待审批"):
            await too_late
    with pytest.raises(ActNotGranted):
        await approve(world, stocktake_id, by=KEEPER)
    came = await asyncio.gather(
        *(approve(world, stocktake_id) for _ in range(3)), cancel(world, stocktake_id),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(one) for one in came].count(StocktakeElsewhere) == 3
    with pytest.raises(StocktakeElsewhere):
        await cancel(world, stocktake_id)


async def test_what_has_entered_the_books_meanwhile_is_not_adjusted(world: World) -> None:
    await stocked(world)
    stocktake_id = await open_(world)
    await count(world, stocktake_id, (1, 100), (501, 510))
    await close(world, stocktake_id)
    await explain(world, stocktake_id)
    await move(world, PROVINCES, TAKE_IN, (505, 600), city_code=PROVINCE)
    with pytest.raises(SerialsKnown) as refused:
        await approve(world, stocktake_id)
    assert [one.value for one in refused.value.findings] == ["川26A0000505-0000510"]
    with pytest.raises(GroundsAbsent):
        await cancel(world, stocktake_id, reason=" ")
    await cancel(world, stocktake_id)
    assert await held(world, Place.AT_CITY) == ((1, 100),)


# The database is the last guard.

_FORBIDDEN = [
    ("update stocktake set state = 'counted', closed_by = 'keeper-510100', closed_at = now()"
     " where stocktake_id = 1", "append_only"),
    ("update stocktake set state = 'counting' where stocktake_id = 2", "append_only"),
    ("update stocktake set series_ids = '{2}' where stocktake_id = 3", "append_only"),
    ("update stocktake set state = 'approved', decided_by = 'keeper-510100', decided_at = now()"
     " where stocktake_id = 2", "stocktake_persons"),
    ("update stocktake set state = 'approved', decided_by = 'operator-510100', decided_at = now()"
     " where stocktake_id = 2", "stocktake_persons"),
    ("update stocktake set state = 'cancelled', decided_by = 'province', decided_at = now()"
     " where stocktake_id = 2", "stocktake_grounded"),
    ("delete from stocktake where stocktake_id = 3", "append_only"),
    ("update stocktake_count set serials = '{[1,2)}'", "append_only"),
    ("update stocktake_count set struck_by = 'keeper-510100', struck_at = now(),"
     " strike_reason = 'x' where stocktake_id = 2", "append_only"),
    ("insert into stocktake_count (stocktake_id, city_code, series_id, is_spoiled, serials,"
     " counted_by) values (2, '510100', 2, false, '{[1,2)}', 'keeper-510100')", "append_only"),
    ("insert into stocktake_count (stocktake_id, city_code, series_id, is_spoiled, serials,"
     " counted_by) values (3, '510100', 1, false, '{[1,2)}', 'keeper-510100')", "append_only"),
    ("delete from stocktake_count", "append_only"),
    ("update stocktake_tally set counted = book", "append_only"),
    ("update stocktake_difference set to_state = null", "append_only"),
    ("update stocktake_difference set reason = 'x', reasoned_by = 'province', reasoned_at = now()"
     " where stocktake_id = 1", "append_only"),
    ("delete from stocktake_difference", "append_only"),
    ("truncate stocktake_difference", "append_only"),
]  # fmt: skip


async def test_the_owner_of_the_database_cannot_change_a_stocktake(world: World) -> None:
    """The first is approved, the second is closed and unexplained, the third goes on."""
    await stocked(world)
    for _ in range(2):
        stocktake_id = await open_(world)
        await count(world, stocktake_id, (1, 98))
        await close(world, stocktake_id)
        if stocktake_id == 1:
            await explain(world, stocktake_id)
            await approve(world, stocktake_id)
            await test_orders.done(world, Kind.LOSE, (98, 98))
    await open_(world, COVER.series_code)
    async with world.connection() as owner:
        await owner.execute("select set_config('qianfa.city', '510100', false)")
        for statement, constraint in _FORBIDDEN:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
                await owner.execute(statement)
            assert refused.value.constraint_name == constraint, statement
        await explain(world, 2)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
            await owner.execute(
                "update stocktake set state = 'approved', decided_by = 'province',"
                " decided_at = now() where stocktake_id = 2"
            )
        assert refused.value.constraint_name == "stocktake_adjusted"
    async with world.desk(KEEPER) as desk:
        for statement in (
            "delete from stocktake",
            "insert into stocktake_tally values (3, '510100', 2, false, '{}', '{}')",
            "update stocktake_difference set to_state = 'destroyed'",
        ):
            with pytest.raises(NotYourCity):
                async with desk.acting():
                    await desk.connection.execute(statement)


def test_there_are_words_for_everything_that_is_shown() -> None:
    assert records.WORDS.keys() == {*Occasion, *State}


# The command line.


def test_a_stocktake_is_held_by_command(world: World, type_: Type, tmp_path: Path) -> None:  # noqa: F811 - a fixture
    asyncio.run(stocked(world, (1, 20)))

    def typed(*words: object, by: str = KEEPER, yes: bool = True) -> str:
        answer = type_("blanks", "stocktake", *words, by=by, yes=yes)
        assert answer.code == 0, answer.err
        return answer.out

    assert "stocktake 1" in typed("open", "--occasion", "spot")
    assert "18 张" in typed("count", 1, "--serials", "0000001-0000018")
    assert "第 2 笔" in typed("count", 1, "--serials", "0000001", "--spoiled")
    refused = type_("blanks", "stocktake", "close", 1, by=KEEPER)
    assert (refused.code, "第 1 笔与第 2 笔重复" in refused.err) == (65, True)
    typed("strike", 1, 2, "--reason", "看错")
    typed("sheet", 1, "--to", tmp_path / "blind.pdf", yes=False)
    assert "川26A0000019-0000020" not in typed("show", 1, yes=False)
    assert "stocktake reason 1" in typed("close", 1)
    typed("reason", 1, "--difference", 1, "--reason", "卡纸")
    assert type_("blanks", "stocktake", "approve", 1, by=KEEPER).code == 77
    assert "adjusted 1 项" in typed("approve", 1, "--remark", "同意", by=REVIEWER)
    shown = typed("show", 1, yes=False)
    for word in ("川26A0000019-0000020", "卡纸", "同意", REVIEWER, "-2", "看错"):
        assert word in shown
    assert "approved" in typed("list", yes=False)
    typed("sheet", 1, "--to", tmp_path / "result.pdf", yes=False)
    for name, words in {"blind": ("盘点表",), "result": ("结果表", "0000019", "卡纸")}.items():
        with pypdfium2.PdfDocument(io.BytesIO((tmp_path / f"{name}.pdf").read_bytes())) as pdf:
            text = re.sub(r"[\s\u200b]", "", pdf[0].get_textpage().get_text_range())
        for word in words:
            assert word in text
