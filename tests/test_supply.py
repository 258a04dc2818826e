"""Supply: what is sent is counted when it arrives, and what is wrong stays open until settled."""

import asyncio
import datetime
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import asyncpg
import msgspec
import pytest

from service.ground.errors import (
    ActNotGranted,
    BeyondApproved,
    BlanksTooFew,
    CityUnknown,
    ConsignmentInOtherState,
    ConsignmentUnknown,
    CountUnequal,
    DifferenceNotOpen,
    DifferenceSettled,
    DifferencesUnfit,
    GroundsAbsent,
    NotYourCity,
    Refusal,
    RequisitionInOtherState,
    RequisitionOfOtherKind,
    RequisitionUnknown,
    RequisitionUnsettled,
    SecondPersonNeeded,
    SerialsElsewhere,
    SerialsInOtherState,
    SerialsKnown,
    SerialsRepeated,
    SerialsUnknown,
    SerialsUnsettled,
    SettlementUnfit,
    SupplyImpossible,
)
from service.paper import blanks, orders, requisitions, supply
from service.paper.blanks import Kind, PaperKind, Series, check, records, serials
from service.paper.blanks import State as Place
from service.paper.blanks.serials import Range
from service.paper.orders import Grounds
from service.paper.requisitions import State as Stands
from service.paper.requisitions import Wish
from service.paper.supply import Consignment, Sending, State, arrivals
from service.paper.supply.arrivals import Counted, SettledAs
from service.registry import facts
from service.registry.accounts import PROVINCE, Actor, Role
from service.registry.journal import Act
from service.wiring import Desk
from tests import stationery, test_requisitions
from tests.stationery import COVER, DOCUMENT, INNER, movement, ranges
from tests.test_blanks import stock
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.test_requisitions import approved, archived
from tests.world import CHENGDU, MIANYANG, World

KEEPER, OTHER, PROVINCES = f"keeper-{CHENGDU}", f"keeper-{MIANYANG}", "keeper-510000"
GROUNDS = Grounds(DOCUMENT, "核查属实")
_Ends = tuple[int, int]


async def take_in(
    world: World, *ends: _Ends, by: str = PROVINCES, document: str = DOCUMENT
) -> None:
    async with world.desk(by) as desk, desk.acting():
        series = await blanks.find(desk.connection, INNER.series_code)
        await supply.take_in(desk.connection, desk.actor, series, ranges(*ends), document)


async def dispatch(
    world: World,
    wanted: Sequence[Range] | int,
    *,
    by: str = PROVINCES,
    code: str = INNER.series_code,
    **sending: object,
) -> Consignment:
    given = {"document_number": DOCUMENT} | (
        {} if "requisition_id" in sending else {"city_code": CHENGDU, "reason": "首批配发"}
    )
    async with world.desk(by) as desk, desk.acting():
        series = await blanks.find(desk.connection, code)
        return await supply.dispatch(
            desk.connection,
            desk.actor,
            series,
            wanted,
            Sending(**given | sending),  # type: ignore[arg-type]  # by name
        )


async def receive(
    world: World,
    sent: Consignment | int,
    counted: int,
    *,
    by: str = KEEPER,
    short: Sequence[_Ends] = (),
    damaged: Sequence[_Ends] = (),
    extra: Sequence[_Ends] = (),
) -> Consignment:
    consignment_id = sent if isinstance(sent, int) else sent.consignment_id
    count = Counted(
        counted=counted, short=ranges(*short), damaged=ranges(*damaged), extra=ranges(*extra)
    )
    async with world.desk(by) as desk, desk.acting():
        return await arrivals.receive(desk.connection, desk.actor, consignment_id, count)


async def send_back(
    world: World, *ends: _Ends, by: str = KEEPER, grounds: Grounds = GROUNDS
) -> Consignment:
    async with world.desk(by) as desk, desk.acting():
        series = await blanks.find(desk.connection, INNER.series_code)
        return await supply.send_back(desk.connection, desk.actor, series, ranges(*ends), grounds)


async def undo(world: World, sent: Consignment, *, by: str) -> Consignment:
    async with world.desk(by) as desk, desk.acting():
        return await supply.undo(desk.connection, desk.actor, sent.consignment_id, "号段录错")


async def settle(
    world: World, difference_id: int, way: SettledAs, *ends: _Ends, by: str = "province"
) -> None:
    async with world.desk(by) as desk, desk.acting():
        await arrivals.settle(
            desk.connection, desk.actor, difference_id, way, GROUNDS, ranges=ranges(*ends)
        )


async def differences(world: World, *, by: str = KEEPER) -> list[tuple[int, str, int, int]]:
    async with world.desk(by) as desk, desk.acting():
        return [
            (one.difference_id, one.kind.value, one.first_serial, one.last_serial)
            for one in await arrivals.differences(desk.connection)
        ]


async def sheets(world: World, city_code: str) -> dict[str, int]:
    return {
        state: sum(last - first + 1 for first, last in ends)
        for (city, state), ends in (await stock(world)).items()
        if city == city_code
    }


async def holds(world: World) -> None:
    """What went to each city is in transit, received or short, and the books replay."""
    async with world.connection() as owner:
        rows = await owner.fetch(
            "select city_code, sum(size) filter (where kind = 'dispatch') as dispatched,"
            " sum(size) filter (where kind in ('receive', 'arrive')) as received,"
            " sum(size) filter (where kind = 'unsent' or kind = 'counter') as undone,"
            " sum(size) filter (where kind = 'lose') as lost"
            " from (select *, upper(serials) - lower(serials) as size from blank_movement"
            "     where subject like 'consignment:%' and 'supply' = (select direction"
            "     from consignment where 'consignment:' || consignment_id = subject)) moved"
            " group by city_code"
        )
        assert await check.check(owner) == await records.check(owner) == []
    for row in rows:
        there = await sheets(world, row["city_code"])
        sent = (row["dispatched"] or 0) - (row["undone"] or 0) - (row["lost"] or 0)
        assert sent == there.get("in-transit", 0) + (row["received"] or 0) + there.get("short", 0)


# To the province, and out of it.


async def test_the_province_takes_in_once_what_the_printing_house_delivers(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 500), (601, 700))
    assert await stock(world) == {("510000", "at-province"): ((1, 500), (601, 700))}
    with pytest.raises(SerialsKnown) as refused:
        await take_in(world, (400, 650))
    assert [one.value for one in refused.value.findings] == [
        "川26A0000400-0000500", "川26A0000601-0000650",
    ]  # fmt: skip
    with pytest.raises(GroundsAbsent):
        await take_in(world, (501, 600), document="　")
    with pytest.raises(ActNotGranted):
        await take_in(world, (501, 600), by="province")
    with pytest.raises(NotYourCity):
        await take_in(world, (501, 600), by=KEEPER)


async def test_a_dispatch_takes_the_next_free_sheets_or_exactly_those_named(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 30), (101, 200))
    sent = await dispatch(world, 40)
    assert (sent.serials, sent.sheet_count) == ("川26A0000001-0000030、川26A0000101-0000110", 40)
    assert (await dispatch(world, ranges((151, 160)))).serials == "川26A0000151-0000160"
    for wanted, refusal in (
        (ranges((150, 155)), SerialsInOtherState), (ranges((500, 501)), SerialsUnknown),
        (ranges((190, 195), (195, 199)), SerialsRepeated), (81, BlanksTooFew),
    ):  # fmt: skip
        with pytest.raises(refusal):
            await dispatch(world, wanted)
    with pytest.raises(GroundsAbsent):
        await dispatch(world, 5, reason=" ")
    with pytest.raises(GroundsAbsent):
        await dispatch(world, 5, document_number="—")
    for city in ("510000", "999999", ""):
        with pytest.raises(CityUnknown):
            await dispatch(world, 5, city_code=city)
    with pytest.raises(ActNotGranted):
        await dispatch(world, 5, by="province")
    with pytest.raises(NotYourCity):
        await dispatch(world, 5, by=KEEPER)
    assert await sheets(world, CHENGDU) == {"in-transit": 50}
    await holds(world)


async def test_of_two_dispatches_of_one_carton_one_is_kept(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    done = await asyncio.gather(
        *(dispatch(world, ranges((1, 100)), city_code=city) for city in (CHENGDU, MIANYANG) * 2),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Consignment) for one in done) == 1
    assert all(
        isinstance(one, Consignment | SerialsInOtherState | SerialsElsewhere) for one in done
    )
    async with world.connection() as owner:
        assert await owner.fetchval("select count(*) from consignment") == 1
    await holds(world)


# For a requisition.


async def test_a_requisition_is_never_supplied_with_more_than_was_approved(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    await archived(world, 12, 0)
    waits = (await test_requisitions.make(world)).requisition_id
    with pytest.raises(RequisitionInOtherState):
        await dispatch(world, 12, requisition_id=waits)
    await test_requisitions.submit(world, waits)
    await test_requisitions.approve(world, waits)
    with pytest.raises(RequisitionUnknown):
        await dispatch(world, 12, requisition_id=99)
    with pytest.raises(RequisitionOfOtherKind):
        await dispatch(world, 12, requisition_id=waits, code=COVER.series_code)
    with pytest.raises(BeyondApproved):
        await dispatch(world, 13, requisition_id=waits)
    with pytest.raises(SupplyImpossible):
        await dispatch(world, 12, requisition_id=waits, city_code=MIANYANG)
    done = await asyncio.gather(
        *(dispatch(world, 5, requisition_id=waits) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == [
        "BeyondApproved", "BeyondApproved", "Consignment", "Consignment",
    ]  # fmt: skip
    assert (await test_requisitions.find(world, waits)).supplied_count == 10
    await holds(world)


async def test_a_requisition_follows_its_consignments_until_it_is_closed(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    await archived(world, 12, 0)
    number = (await approved(world)).requisition_id

    async def stands() -> Stands:
        return (await test_requisitions.find(world, number)).state

    wrong = await dispatch(world, 12, requisition_id=number)
    assert await stands() == Stands.DISPATCHED
    for by in ("province", PROVINCES):
        await undo(world, wrong, by=by)
    assert await stands() == Stands.APPROVED
    first = await dispatch(world, 5, requisition_id=number)
    second = await dispatch(world, 5, requisition_id=number)
    assert await stands() == Stands.DISPATCHED
    with pytest.raises(RequisitionInOtherState, match="已下发"):
        await test_requisitions.close(world, number, reason="不等了")
    await receive(world, first, 5)
    assert await stands() == Stands.DISPATCHED
    await receive(world, second, 4, short=[(10, 10)])
    assert await stands() == Stands.RECEIVED
    with pytest.raises(RequisitionUnsettled):  # a difference is open
        await test_requisitions.close(world, number, reason="少一张也够")
    await settle(world, 1, SettledAs.UNSENT)
    assert (await test_requisitions.find(world, number)).supplied_count == 9
    with pytest.raises(RequisitionUnsettled):  # and less than approved, without a word
        await test_requisitions.close(world, number)
    third = await dispatch(world, 3, requisition_id=number)
    assert third.serials == "川26A0000010-0000012"
    for by in (PROVINCES, "province"):
        await undo(world, third, by=by)
    assert await stands() == Stands.RECEIVED
    await receive(world, await dispatch(world, 3, requisition_id=number), 3)
    await test_requisitions.close(world, number)
    assert await stands() == Stands.CLOSED
    with pytest.raises(RequisitionInOtherState):
        await dispatch(world, 1, requisition_id=number)
    async with world.desk(KEEPER) as desk, desk.acting():
        form = await requisitions.form(desk.connection, number)
    assert form.supplied == tuple(
        f"川26A{one}" for one in ("0000001-0000005", "0000006-0000010", "0000010-0000012")
    )
    await holds(world)


async def test_a_requisition_sees_that_two_consignments_arrive_at_once(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    await archived(world, 12, 0)
    number = (await approved(world)).requisition_id
    first, second = [await dispatch(world, 6, requisition_id=number) for _ in range(2)]
    async with world.desk(KEEPER) as desk:
        async with desk.acting():
            await arrivals.receive(
                desk.connection, desk.actor, first.consignment_id, Counted(counted=6)
            )
            other = asyncio.create_task(receive(world, second, 6))
            await world.until_somebody_waits()
        await other
    await test_requisitions.close(world, number)
    await holds(world)


# Received with a count.


async def test_short_damaged_and_extra_sheets_are_each_what_they_are(world: World) -> None:
    """Of 1-100 five are missing and two torn; 101 and 900 of no book lie in the carton."""
    await stationery.record(world)
    await take_in(world, (1, 150))
    sent = await dispatch(world, 100)
    got = await receive(
        world,
        sent,
        97,
        short=[(1, 3), (50, 51)],
        damaged=[(99, 100)],
        extra=[(101, 101), (900, 900)],
    )
    assert (got.state, got.counted, got.ended_by) == (State.RECEIVED, 97, KEEPER)
    assert await stock(world) == {
        (CHENGDU, "at-city"): ((4, 49), (52, 98)),
        (CHENGDU, "pending-destruction"): ((99, 100),),
        (CHENGDU, "short"): ((1, 3), (50, 51)),
        ("510000", "at-province"): ((101, 150),),
    }
    await holds(world)
    told = [(1, "short", 1, 3), (2, "short", 50, 51), (3, "damaged", 99, 100),
            (4, "extra", 101, 101), (5, "extra", 900, 900)]  # fmt: skip
    assert await differences(world) == await differences(world, by="auditor-510000") == told
    assert await differences(world, by=OTHER) == []
    with pytest.raises(SerialsUnsettled) as refused:  # who knows whose they are
        await dispatch(world, ranges((101, 102)), city_code=MIANYANG)
    assert [one.value for one in refused.value.findings] == ["川26A0000101"]
    assert (await dispatch(world, 2, city_code=MIANYANG)).serials == "川26A0000102-0000103"
    await settle(world, 1, SettledAs.ARRIVED, (2, 2))
    await settle(world, 1, SettledAs.LOST, (1, 1))
    assert (await differences(world))[0] == (1, "short", 3, 3)
    await settle(world, 1, SettledAs.UNSENT)
    await settle(world, 2, SettledAs.ARRIVED)
    await settle(world, 3, SettledAs.ACKNOWLEDGED)
    await settle(world, 4, SettledAs.KEPT)
    await settle(world, 5, SettledAs.KEPT)
    assert await differences(world) == []
    assert await stock(world) == {
        (CHENGDU, "at-city"): ((2, 2), (4, 98), (101, 101), (900, 900)),
        (CHENGDU, "pending-destruction"): ((99, 100),),
        ("510000", "at-province"): ((3, 3), (104, 150)),
        ("510000", "lost"): ((1, 1),),
        (MIANYANG, "in-transit"): ((102, 103),),
    }
    async with world.connection() as owner:
        assert await check.check(owner) == []
        assert await owner.fetchval(
            "select bool_and(second_actor = $1) from blank_movement"
            " where kind in ('arrive', 'lose', 'unsent', 'extra')", KEEPER
        )  # fmt: skip


_MISCOUNTED: list[tuple[type[Refusal], int, Sequence[Sequence[_Ends]], list[str]]] = [
    (CountUnequal, 99, [[], [], []], []),
    (CountUnequal, 100, [[(1, 1)], [], []], []),
    (CountUnequal, 99, [[(1, 2)], [], [(150, 151)]], []),
    (CountUnequal, 98, [[], [(1, 2)], []], []),
    (DifferencesUnfit, 99, [[(101, 101)], [], []], ["0000101"]),
    (DifferencesUnfit, 100, [[], [(99, 103)], []], ["0000101-0000103"]),
    (DifferencesUnfit, 98, [[(1, 3)], [(3, 4)], []], ["0000003"]),
    (DifferencesUnfit, 101, [[], [], [(100, 101)]], ["0000100"]),
    (DifferencesUnfit, 101, [[], [], [(201, 201)]], ["0000201"]),
    (SerialsRepeated, 98, [[(1, 2), (2, 2)], [], []], ["0000002"]),
]  # short, damaged, extra


async def test_a_count_that_does_not_add_up_is_refused_with_the_arithmetic(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((201, 210)))  # the city has these already
    await take_in(world, (1, 150))
    sent = await dispatch(world, 100)
    before = await stock(world)
    for refusal, counted, (short, damaged, extra), named in _MISCOUNTED:
        with pytest.raises(refusal) as refused:
            await receive(world, sent, counted, short=short, damaged=damaged, extra=extra)
        assert [one.value for one in refused.value.findings] == [f"川26A{one}" for one in named]
    with pytest.raises(CountUnequal, match=r"发出 100 − 短少 2 \+ 多出 1 = 99，实点 100"):
        await receive(world, sent, 100, short=[(1, 2)], extra=[(140, 140)])
    assert await stock(world) == before
    assert await differences(world) == []
    await receive(world, sent, 0, short=[(1, 100)])  # nothing came at all
    assert (await stock(world))[CHENGDU, "short"] == ((1, 100),)
    await holds(world)


async def test_a_consignment_is_received_once_and_by_its_own_city(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    sent = await dispatch(world, 100)
    with pytest.raises(ConsignmentUnknown):
        await receive(world, sent, 100, by=OTHER)
    with pytest.raises(NotYourCity):
        await receive(world, sent, 100, by=PROVINCES)
    for by in ("province", f"operator-{CHENGDU}", f"reviewer-{CHENGDU}", f"auditor-{CHENGDU}"):
        with pytest.raises(ActNotGranted):
            await receive(world, sent, 100, by=by)
    done = await asyncio.gather(
        *(receive(world, sent, 99, short=[(place, place)]) for place in (1, 2, 3)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == [
        "Consignment", "ConsignmentInOtherState", "ConsignmentInOtherState",
    ]  # fmt: skip
    assert len(await differences(world)) == 1
    for unknown in (99, 2**63 - 1):
        with pytest.raises(ConsignmentUnknown):
            await receive(world, unknown, 1)
    await holds(world)


async def test_damage_that_was_none_is_taken_back_and_everything_above_stays_true(
    world: World,
) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    await archived(world, 12, 0)
    number = (await approved(world)).requisition_id
    sent = await dispatch(world, 12, requisition_id=number)
    await receive(world, sent, 12, damaged=[(3, 4)])
    async with world.connection() as owner:
        spoiled = (await blanks.moved_of(owner, f"consignment:{sent.consignment_id}"))[-1]
        assert spoiled.kind is Kind.SPOIL
        taken = await owner.fetchval("select min(movement_id) from blank_movement")
    for movement_id, some, by, second in (
        (spoiled.movement_id, "0000004", KEEPER, f"reviewer-{CHENGDU}"),
        (taken, "0000091-0000100", PROVINCES, "province"),
    ):
        async with world.desk(by) as desk, desk.acting():
            order_id = await orders.counter(desk.connection, desk.actor, movement_id, some, GROUNDS)
        async with world.desk(second) as desk, desk.acting():
            await orders.confirm(desk.connection, desk.actor, order_id)
    with pytest.raises(SerialsElsewhere):  # a part of what was taken in has moved on
        async with world.desk(PROVINCES) as desk, desk.acting():
            await orders.counter(desk.connection, desk.actor, taken, "0000012-0000013", GROUNDS)
    assert await differences(world) == [(1, "damaged", 3, 4)]
    await settle(world, 1, SettledAs.ACKNOWLEDGED)
    assert (await test_requisitions.find(world, number)).supplied_count == 12
    await test_requisitions.close(world, number)
    assert await stock(world) == {
        (CHENGDU, "at-city"): ((1, 2), (4, 12)),
        (CHENGDU, "pending-destruction"): ((3, 3),),
        ("510000", "at-province"): ((13, 90),),
    }
    await holds(world)


# Settled by the province.


async def test_extra_sheets_that_are_in_other_books_are_not_kept(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((201, 210)), city_code=MIANYANG)
    await take_in(world, (1, 50))
    await receive(world, await dispatch(world, 10), 13, extra=[(205, 206), (60, 60)])
    there = await stock(world)
    with pytest.raises(SerialsElsewhere) as refused:
        await settle(world, 2, SettledAs.KEPT)
    assert MIANYANG in refused.value.findings[0].zh  # the province may know it
    assert await stock(world) == there
    await settle(world, 2, SettledAs.RETURNED)
    assert await stock(world) == there
    await settle(world, 1, SettledAs.RETURNED)
    assert await differences(world) == []
    assert await stock(world) == there


async def test_a_difference_is_settled_once_by_the_province_as_what_it_can_be(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    await receive(world, await dispatch(world, 50), 46, short=[(1, 4)], damaged=[(50, 50)])
    for number, way in ((1, SettledAs.KEPT), (1, SettledAs.RETURNED), (2, SettledAs.LOST)):
        with pytest.raises(SettlementUnfit):
            await settle(world, number, way)
    for by in (KEEPER, PROVINCES, f"reviewer-{CHENGDU}"):
        with pytest.raises(ActNotGranted):
            await settle(world, 1, SettledAs.ARRIVED, by=by)
    with pytest.raises(DifferencesUnfit):
        await settle(world, 1, SettledAs.ARRIVED, (4, 5))
    with pytest.raises(DifferenceNotOpen):
        await settle(world, 99, SettledAs.ARRIVED)
    with pytest.raises(GroundsAbsent):
        async with world.desk("province") as desk, desk.acting():
            await arrivals.settle(
                desk.connection, desk.actor, 1, SettledAs.LOST, Grounds(DOCUMENT, " ")
            )
    done = await asyncio.gather(
        *(settle(world, 1, way) for way in (SettledAs.ARRIVED, SettledAs.LOST) * 2),
        return_exceptions=True,
    )
    assert sum(one is None for one in done) == 1
    assert all(one is None or isinstance(one, DifferenceNotOpen) for one in done)
    with pytest.raises(DifferenceNotOpen):
        await settle(world, 1, SettledAs.ARRIVED)
    await holds(world)


# Undone.


async def test_a_dispatch_is_undone_by_two_persons_while_nobody_has_received_it(
    world: World,
) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100), (201, 300))
    sent = await dispatch(world, ranges((51, 100), (201, 210)))
    for by in (KEEPER, "keeper-513200"):
        with pytest.raises((NotYourCity, ConsignmentUnknown)):
            await undo(world, sent, by=by)
    assert (await undo(world, sent, by=PROVINCES)).state == State.DISPATCHED
    with pytest.raises(SecondPersonNeeded):
        await undo(world, sent, by=PROVINCES)
    assert (await undo(world, sent, by="province")).state == State.UNDONE
    assert await stock(world) == {("510000", "at-province"): ((1, 100), (201, 300))}
    with pytest.raises(ConsignmentInOtherState):
        await receive(world, sent, 60)
    with pytest.raises(ConsignmentInOtherState):
        await undo(world, sent, by=PROVINCES)
    again = await dispatch(world, 10)
    await undo(world, again, by=PROVINCES)
    await receive(world, again, 10)  # the city was faster
    with pytest.raises(ConsignmentInOtherState):
        await undo(world, again, by="province")
    await holds(world)


async def test_what_a_city_sent_back_only_on_paper_it_takes_back_by_two_persons(
    world: World,
) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    await receive(world, await dispatch(world, 100), 100)
    back = await send_back(world, (41, 50), (61, 70))
    for by in (PROVINCES, "province", OTHER):
        with pytest.raises((NotYourCity, ConsignmentUnknown)):
            await undo(world, back, by=by)
    assert "待撤回" in (await undo(world, back, by=KEEPER)).words
    with pytest.raises(SecondPersonNeeded):
        await undo(world, back, by=KEEPER)
    assert (await undo(world, back, by=f"reviewer-{CHENGDU}")).state == State.UNDONE
    assert await stock(world) == {(CHENGDU, "at-city"): ((1, 100),)}
    with pytest.raises(ConsignmentInOtherState):
        await receive(world, back, 20, by=PROVINCES)
    again = await send_back(world, (41, 50))
    await undo(world, again, by=f"reviewer-{CHENGDU}")
    came = await asyncio.gather(
        undo(world, again, by=KEEPER), receive(world, again, 10, by=PROVINCES),
        return_exceptions=True,
    )  # fmt: skip
    assert sorted(type(one).__name__ for one in came) == ["Consignment", "ConsignmentInOtherState"]
    await holds(world)


# Back, and on to another city.


async def test_paper_goes_from_city_to_city_through_the_province(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    await receive(world, await dispatch(world, 100), 100)
    with pytest.raises(SerialsElsewhere):  # not past the province
        await dispatch(world, ranges((41, 60)), city_code=MIANYANG)
    with pytest.raises(SerialsUnknown):
        await send_back(world, (41, 141))
    with pytest.raises(SerialsElsewhere):
        await send_back(world, (41, 60), by=OTHER)
    with pytest.raises(NotYourCity):
        await send_back(world, (41, 60), by=PROVINCES)
    with pytest.raises(GroundsAbsent):
        await send_back(world, (41, 60), grounds=Grounds(DOCUMENT, ""))
    back = await send_back(world, (41, 60))
    assert await sheets(world, CHENGDU) == {"at-city": 80, "sent-back": 20}
    with pytest.raises(NotYourCity):
        await receive(world, back, 20)
    with pytest.raises(NotYourCity):
        await undo(world, back, by=PROVINCES)
    await receive(world, back, 20, by=PROVINCES)
    on = await dispatch(world, ranges((41, 60)), city_code=MIANYANG, reason="绵阳急用，调剂")
    await receive(world, on, 20, by=OTHER)
    assert await stock(world) == {
        (CHENGDU, "at-city"): ((1, 40), (61, 100)),
        (MIANYANG, "at-city"): ((41, 60),),
    }
    async with world.connection() as owner:
        told = await owner.fetch(
            "select city_code, string_agg(kind, ' ' order by sequence) from blank_movement"
            " group by 1 order by 1"
        )
    assert [tuple(row) for row in told] == [
        ("510000", "take-in"),
        (CHENGDU, "dispatch receive send-back take-back"),
        (MIANYANG, "dispatch receive"),
    ]
    await holds(world)


async def test_what_is_wrong_with_paper_that_came_back_is_settled_too(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    await receive(world, await dispatch(world, 100), 100)
    back = await send_back(world, (1, 30))
    await receive(
        world, back, 28, by=PROVINCES, short=[(1, 3)], damaged=[(30, 30)], extra=[(100, 100)]
    )
    assert await stock(world) == {
        (CHENGDU, "at-city"): ((31, 100),),
        (CHENGDU, "sent-back"): ((1, 3),),
        ("510000", "at-province"): ((4, 29),),
        ("510000", "pending-destruction"): ((30, 30),),
    }
    with pytest.raises(SettlementUnfit):
        await settle(world, 3, SettledAs.KEPT)
    await settle(world, 1, SettledAs.RETURNED, (1, 1))
    await settle(world, 1, SettledAs.LOST, (2, 2))
    await settle(world, 1, SettledAs.ARRIVED)
    await settle(world, 2, SettledAs.ACKNOWLEDGED)
    await settle(world, 3, SettledAs.RETURNED)
    assert await stock(world) == {
        (CHENGDU, "at-city"): ((1, 1), (31, 100)),
        (CHENGDU, "lost"): ((2, 2),),
        ("510000", "at-province"): ((3, 29),),
        ("510000", "pending-destruction"): ((30, 30),),
    }
    await holds(world)


# Behind the back of the room.

_RAW = {
    KEEPER: {
        "update consignment set state = 'received', ended_by = 'keeper-510100', ended_at = now(),"
        " counted = 10": SupplyImpossible,
        "update consignment set state = 'undone', ended_by = 'keeper-510100', ended_at = now(),"
        " undo_asked_by = 'province', undo_reason = 'x'": NotYourCity,
        "update consignment set sheet_count = 5": NotYourCity,
        "insert into consignment (city_code, direction, series_id, sheet_count, document_number,"
        " reason, dispatched_by) values ('510100', 'supply', 1, 5, 'x', 'x', 'keeper-510100')":
            NotYourCity,
        "insert into consignment (city_code, direction, series_id, sheet_count, document_number,"
        " reason, dispatched_by) values ('510100', 'back', 1, 5, 'x', 'x', 'keeper-510100')":
            SupplyImpossible,
        "insert into difference (consignment_id, kind, serials) values (1, 'short', '[1,2)')":
            SupplyImpossible,
        "insert into settlement (difference_id, serials, settled_as, document_number, reason,"
        " settled_by) values (1, '[11,12)', 'lost', 'x', 'x', 'province')": NotYourCity,
        "delete from difference": NotYourCity,
        "with sent as (insert into consignment (city_code, direction, series_id, sheet_count,"
        " document_number, reason, dispatched_by) values ('510100', 'back', 1, 5, 'x', 'x',"
        " 'keeper-510700') returning consignment_id) insert into blank_movement (city_code,"
        " series_id, kind, serials, from_state, to_state, document_number, reason, subject, actor)"
        " select '510100', 1, 'send-back', '[12,17)', 'at-city', 'sent-back', 'x', '',"
        " 'consignment:' || consignment_id, 'keeper-510100' from sent": SupplyImpossible,
    },
    "province": {
        "insert into consignment (city_code, direction, series_id, sheet_count, document_number,"
        " reason, dispatched_by) values ('510100', 'supply', 1, 5, 'x', 'x', 'province')":
            SupplyImpossible,
        "update consignment set state = 'undone', ended_by = 'keeper-510000', ended_at = now()"
        " where state = 'dispatched'": SupplyImpossible,
        "insert into settlement (difference_id, serials, settled_as, document_number, reason,"
        " settled_by) values (1, '[11,13)', 'lost', 'x', 'x', 'province')": SupplyImpossible,
        "insert into settlement (difference_id, serials, settled_as, document_number, reason,"
        " settled_by) values (1, '[11,12)', 'kept', 'x', 'x', 'province')": SupplyImpossible,
        "insert into settlement (difference_id, serials, settled_as, document_number, reason,"
        " settled_by) values (1, '[11,12)', 'lost', 'x', 'x', 'keeper-510100')":
            SecondPersonNeeded,
        "insert into settlement (difference_id, serials, settled_as, document_number, reason,"
        " settled_by) values (1, '[11,12)', 'lost', 'x', 'x', 'province')": SupplyImpossible,
        "update consignment set undo_asked_by = 'keeper-510000' where undo_asked_by = 'province'":
            SupplyImpossible,
        "insert into settlement (difference_id, serials, settled_as, document_number, reason,"
        " settled_by) select 1, '[11,12)', way, 'x', 'x', 'province'"
        " from unnest(array['lost', 'arrived']) as way": DifferenceSettled,
    },
}  # fmt: skip


_MISTOLD = """
    update consignment set state = 'received', ended_by = 'keeper-510100', ended_at = now(),
        counted = 9 where consignment_id = 1;
    insert into difference (consignment_id, kind, serials) values (1, 'short', '[1,2)');
    insert into blank_movement (city_code, series_id, kind, serials, from_state, to_state,
        document_number, reason, subject, actor)
    select '510100', 1, kind, serials::int8range, 'in-transit', kept, '文', '', 'consignment:1',
        'keeper-510100'
    from (values ('receive', '[1,10)', 'at-city'), ('short', '[10,11)', 'short'))
        as moved (kind, serials, kept);
"""


async def test_nobody_says_of_a_consignment_what_its_movements_do_not(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    waits = await dispatch(world, 10)
    await receive(world, await dispatch(world, 10), 9, short=[(11, 11)])
    assert await differences(world) == [(1, "short", 11, 11)]
    await undo(world, waits, by="province")
    for by, statements in _RAW.items():
        for statement, refusal in statements.items():
            with pytest.raises(refusal):
                async with world.desk(by) as desk, desk.acting():
                    await desk.connection.execute(statement)
    async with world.connection() as owner:
        for table in ("difference", "consignment"):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
                await owner.execute(f"delete from {table}")  # noqa: S608 - ours
    with pytest.raises(SupplyImpossible):  # short is what did not come, and nothing else
        async with world.desk(KEEPER) as desk, desk.acting():
            await desk.connection.execute(_MISTOLD)
    await receive(world, waits, 10)
    await holds(world)


async def test_the_check_names_what_moved_behind_the_back_of_its_consignment(world: World) -> None:
    await stationery.record(world)
    await take_in(world, (1, 100))
    await dispatch(world, 10)
    await receive(world, await dispatch(world, 10), 8, short=[(11, 12)])
    await send_back(world, (13, 14))
    async with world.connection() as owner:
        assert await records.check(owner) == []
    for by, kind, beginning, end, serial, other in (
        (KEEPER, Kind.RECEIVE, Place.IN_TRANSIT, Place.AT_CITY, 1, None),
        ("province", Kind.ARRIVE, Place.SHORT, Place.AT_CITY, 12, KEEPER),
        (PROVINCES, Kind.TAKE_BACK, Place.SENT_BACK, Place.AT_PROVINCE, 14, None),
    ):
        moving = movement(kind, beginning, end, ranges((serial, serial)))
        async with world.desk(by) as desk, desk.acting():
            await stationery.move(desk, msgspec.structs.replace(moving, second_actor=other))
    async with world.connection() as owner:
        assert await check.check(owner) == []
        found = await records.check(owner)
    assert [one.serials for one in found] == ["川26A0000001", "川26A0000014", "川26A0000012"]


# Any order of things.


class _Sheets:
    """A book that lists every sheet, and what is on the road or unsettled."""

    def __init__(self) -> None:
        self.at = dict.fromkeys(range(1, 81), ("510000", "at-province"))
        self.road: dict[int, tuple[str, bool, list[int]]] = {}
        self.unsettled: list[tuple[str, bool, int]] = []

    def there(self, city_code: str, state: str) -> list[int]:
        return [serial for serial, place in self.at.items() if place == (city_code, state)]

    def put(self, some: Sequence[int], city_code: str, state: str) -> None:
        self.at.update(dict.fromkeys(some, (city_code, state)))

    def stock(self) -> dict[tuple[str, str], tuple[_Ends, ...]]:
        return {
            place: tuple((one.first, one.last) for one in serials.of(self.there(*place)))
            for place in sorted(set(self.at.values()))
        }


def _some(chance: random.Random, of: Sequence[int]) -> list[int]:
    return sorted(chance.sample(of, chance.randint(0, min(3, len(of)))))


def _each(some: Sequence[int]) -> list[_Ends]:
    return [(serial, serial) for serial in some]


async def _go(world: World, chance: random.Random, book: _Sheets) -> None:
    """Send some sheets to a city, or some of a city's back."""
    city, is_back = chance.choice((CHENGDU, MIANYANG)), chance.random() < 0.4
    place = (city, "at-city") if is_back else ("510000", "at-province")
    if not (free := book.there(*place)):
        return
    some = sorted(chance.sample(free, chance.randint(1, min(12, len(free)))))
    if is_back:
        sent = await send_back(world, *_each(some), by=f"keeper-{city}")
    else:
        sent = await dispatch(world, ranges(*_each(some)), city_code=city)
    book.put(some, city, "sent-back" if is_back else "in-transit")
    book.road[sent.consignment_id] = (city, is_back, some)


async def _come(world: World, chance: random.Random, book: _Sheets) -> None:
    """Receive a consignment with faults, or undo it."""
    number = chance.choice(list(book.road))
    city, is_back, some = book.road.pop(number)
    if chance.random() < 0.2:
        persons = (f"keeper-{city}", f"reviewer-{city}") if is_back else (PROVINCES, "province")
        for by in persons:
            async with world.desk(by) as desk, desk.acting():
                await supply.undo(desk.connection, desk.actor, number, "号段录错")
        book.put(some, *((city, "at-city") if is_back else ("510000", "at-province")))
        return
    short = _some(chance, some)
    damaged = _some(chance, sorted({*some} - {*short}))
    by = PROVINCES if is_back else f"keeper-{city}"
    faults = {"short": _each(short), "damaged": _each(damaged)}
    await receive(world, number, len(some) - len(short), by=by, **faults)
    holder, state = ("510000", "at-province") if is_back else (city, "at-city")
    book.put(some, holder, state)
    book.put(short, city, "sent-back" if is_back else "short")
    book.put(damaged, holder, "pending-destruction")
    book.unsettled += [(city, is_back, serial) for serial in short]


async def _end(world: World, chance: random.Random, book: _Sheets) -> None:
    """Settle one short sheet."""
    city, is_back, serial = book.unsettled.pop(chance.randrange(len(book.unsettled)))
    way, *place = chance.choice((
        (SettledAs.ARRIVED, *(("510000", "at-province") if is_back else (city, "at-city"))),
        (SettledAs.LOST, city if is_back else "510000", "lost"),
        (SettledAs.RETURNED, city, "at-city") if is_back
        else (SettledAs.UNSENT, "510000", "at-province"),
    ))  # fmt: skip
    (number,) = [
        number for number, kind, first, last in await differences(world, by="province")
        if kind == "short" and first <= serial <= last
    ]  # fmt: skip
    await settle(world, number, way, (serial, serial))
    book.put([serial], *place)


@pytest.mark.parametrize(
    ("seed", "step_count"), [(5, 40), pytest.param(2, 400, marks=pytest.mark.long)]
)
async def test_supply_agrees_at_every_step_with_a_book_that_lists_every_sheet(
    world: World, seed: int, step_count: int
) -> None:
    chance, book = random.Random(seed), _Sheets()  # noqa: S311 - no secret
    await stationery.record(world)
    await take_in(world, (1, 80))
    for _ in range(step_count):
        steps = [_go, *[_come] * 2 * bool(book.road), *[_end] * 2 * bool(book.unsettled)]
        await chance.choice(steps)(world, chance, book)
        assert await stock(world) == book.stock()
        await holds(world)
    async with world.connection() as owner:
        done = await owner.fetchval("select array_agg(distinct kind) from blank_movement")
    assert {"counter", "receive", "short", "arrive", "unsent", "lose", "take-back"} <= {*done}


# Low stock.


async def low(world: World, weeks: int = 3, *, by: str = "province") -> list[tuple[str, str, int]]:
    now = datetime.datetime.now(datetime.UTC)
    async with world.desk(by) as desk, desk.acting():
        return [
            (one.city_code, one.series_code, one.sheet_count)
            for one in await supply.low(desk.connection, now, weeks)
        ]


async def draw(world: World, *ends: _Ends, kind: Kind = Kind.DRAW) -> None:
    states = (Place.AT_CITY, Place.DRAWN) if kind is Kind.DRAW else (Place.DRAWN, Place.AT_CITY)
    moving = movement(kind, *states, ranges(*ends))
    moving = msgspec.structs.replace(moving, second_actor=f"operator-{CHENGDU}")
    async with world.desk(KEEPER) as desk, desk.acting():
        await stationery.move(desk, moving)


async def test_low_stock_is_told_by_pace_and_where_nothing_is_left(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    await stationery.supply(world, ranges((101, 200)), city_code=MIANYANG)
    assert await low(world) == []
    await draw(world, (1, 40))  # ten a week, sixty left
    assert await low(world, 6) == []
    assert await low(world, 7) == [(CHENGDU, "2026-inner", 60)]
    assert await low(world, 7, by=OTHER) == []
    await draw(world, (31, 40), kind=Kind.RETURN)
    assert await low(world, 7) == []
    await draw(world, (31, 100))
    assert await low(world) == [(CHENGDU, "2026-inner", 0)]
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=90)
    async with world.desk("province") as desk, desk.acting():
        (told,) = await supply.low(desk.connection, later, 3)  # however long ago
    assert (told.sheet_count, told.drawn_a_week, told.weeks_left) == (0, 0.0, 0.0)
    follower = msgspec.structs.replace(INNER, series_code="2027-inner", prefix="川27A")
    await stationery.record(world, follower)
    await stationery.supply(world, ranges((1, 10)), code=follower.series_code)
    assert await low(world) == []  # the series that is used up has been followed


# Typed.


def test_a_requisition_is_supplied_from_the_command_line(
    world: World,
    type_: Type,  # noqa: F811 - a fixture
    tmp_path: Path,
) -> None:
    asyncio.run(stationery.record(world))
    asyncio.run(archived(world, 12, 0))
    document, why = ("--document-number", DOCUMENT), ("--reason", "核查属实")
    reviewer = f"reviewer-{CHENGDU}"

    def done(*words: object, by: str, yes: bool = True) -> str:
        answer = type_(*words, by=by, yes=yes)
        assert answer.code == 0, answer
        return answer.out

    make = ("blanks", "requisition", "make", "--kind", "inner")
    extra = ("--extra", 8, "--extra-reason", "试打印")
    assert "合格人次 passes 12 + 追加 extra 8" in done(*make, *extra, by=KEEPER)
    assert "2026-06-12 至 2026-06-30" in done(
        "blanks", "requisition", "mend", 1, "--until", "2026-06-30",
        "--extra", 8, "--extra-reason", "试印", by=KEEPER,
    )  # fmt: skip
    assert (
        type_("blanks", "requisition", "make", "--kind", "inner", "--from", "昨天", by=KEEPER).code
        == 64
    )
    done("blanks", "requisition", "submit", 1, by=reviewer)
    done("blanks", "requisition", "return", 1, "--reason", "追加过多", by="province")
    assert "追加过多" in done("blanks", "requisition", "list", by=KEEPER, yes=False)
    done("blanks", "requisition", "submit", 1, by=reviewer)
    assert "核准 approved 15" in done(
        "blanks", "requisition", "approve", 1, "--extra", 3, by="province"
    )
    take_in = ("blanks", "take-in", "--series", INNER.series_code, *document, "--serials")
    assert "已入库" in done(*take_in, "川26A0000001-0000100", by=PROVINCES)
    sending = ("blanks", "dispatch", "--requisition", 1, *document)
    assert type_(*sending, by=PROVINCES).code == 64
    assert type_(*sending, "--count", 16, by=PROVINCES).code == 65
    sent = done(*sending, "--count", 15, by=PROVINCES)
    assert "发货单 consignment 1（下发 在途）510100 2026-inner 川26A0000001-0000015，15 张" in sent
    undo = ("blanks", "undo-dispatch", 1, *why)
    assert "待本单位另一人" in done(*undo, by=PROVINCES)
    assert "（待撤回）" in done("blanks", "consignments", by=KEEPER, yes=False)
    assert "已撤回" in done(*undo, by="province")
    done(*sending, "--serials", "0000021-0000035", by=PROVINCES)
    receive = ("blanks", "receive", 2, "--counted")
    assert "CountUnequal" in type_(*receive, 15, "--short", "0000021", by=KEEPER).err
    faults = ("--short", "0000021", "--damaged", "0000022", "--extra", "0000050")
    assert "差异待省中心处理" in done(*receive, 15, *faults, by=KEEPER)
    listed = done("blanks", "differences", by="auditor-510000", yes=False)
    assert "短少：补到 arrived、未发出 unsent、遗失 lost" in listed
    done("blanks", "settle", 1, "unsent", *document, *why, by="province")
    done("blanks", "settle", 2, "acknowledged", *document, *why, by="province")
    done("blanks", "settle", 3, "kept", "--serials", "0000050", *document, *why, by="province")
    assert done("blanks", "differences", by=KEEPER, yes=False).count("\n") == 1
    assert "已供 supplied 15" in done("blanks", "requisition", "show", 1, by=KEEPER, yes=False)
    for name, magic in (("form.pdf", b"%PDF-"), ("form.xlsx", b"PK")):
        done("blanks", "requisition", "form", 1, "--to", tmp_path / name, by=KEEPER, yes=False)
        assert (tmp_path / name).read_bytes().startswith(magic)
    form = ("blanks", "requisition", "form", 1, "--to", tmp_path / "form.docx")
    assert type_(*form, by=KEEPER, yes=False).code == 64
    done("blanks", "requisition", "close", 1, by=KEEPER)
    back = ("blanks", "send-back", "--series", INNER.series_code, "--serials", "0000050")
    assert "退省 在途" in done(*back, *document, *why, by=KEEPER)
    assert "已签收" in done("blanks", "receive", 3, "--counted", 1, by=PROVINCES)
    done("blanks", "requisition", "make", "--kind", "cover", by=KEEPER)
    done("blanks", "requisition", "withdraw", 2, *why, by=KEEPER)


# For the table of grants: each act, in the transaction that a desk has begun, with what it needs.

_GRANTED = msgspec.structs.replace(INNER, series_code="2032-inner", prefix="川32A")


async def _as(desk: Desk, account_name: str) -> Desk:
    """Let somebody else act in the same transaction."""
    role, _, city_code = account_name.partition("-")
    actor = Actor(account_name, Role(role), city_code or PROVINCE)
    await desk.connection.execute("select set_config('qianfa.city', $1, true)", actor.city_code)
    return Desk(desk.connection, actor)


async def _requisition(desk: Desk, *, submitted: bool = True, is_approved: bool = False) -> int:
    """Make a requisition, and give the desk back to whoever sits there."""
    keeper = await _as(desk, KEEPER)
    made = await requisitions.make(
        keeper.connection, keeper.actor, PaperKind.INNER,
        Wish(extra_count=5, extra_reason="备用"), today=test_requisitions.LATER,
    )  # fmt: skip
    if submitted:
        reviewer = await _as(desk, f"reviewer-{CHENGDU}")
        await requisitions.submit(reviewer.connection, reviewer.actor, made.requisition_id)
    if is_approved:
        province = await _as(desk, "province")
        await requisitions.approve(province.connection, province.actor, made.requisition_id)
    await _as(desk, desk.actor.account_name)
    return made.requisition_id


async def _submit_at(_: World, desk: Desk) -> None:
    number = await _requisition(desk, submitted=False)
    await requisitions.submit(desk.connection, desk.actor, number)


async def _approve_at(_: World, desk: Desk) -> None:
    await requisitions.approve(desk.connection, desk.actor, await _requisition(desk))


async def _return_at(_: World, desk: Desk) -> None:
    await requisitions.return_(desk.connection, desk.actor, await _requisition(desk), "请核对")


async def _withdraw_at(_: World, desk: Desk) -> None:
    number = await _requisition(desk, submitted=False)
    await requisitions.withdraw(desk.connection, desk.actor, number, "重复申领")


async def _close_at(_: World, desk: Desk) -> None:
    number = await _requisition(desk, is_approved=True)
    await requisitions.close(desk.connection, desk.actor, number, "不再需要")


async def _carton(desk: Desk) -> Series:
    """Let the province have some sheets."""
    province = await _as(desk, "province")
    await facts.record(province.connection, province.actor, _GRANTED)
    series = await blanks.find(desk.connection, _GRANTED.series_code)
    keeper = await _as(desk, PROVINCES)
    await supply.take_in(keeper.connection, keeper.actor, series, ranges((1, 9)), DOCUMENT)
    return series


async def _sent(desk: Desk) -> tuple[Series, Consignment]:
    series = await _carton(desk)
    keeper = await _as(desk, PROVINCES)
    sending = Sending(document_number=DOCUMENT, city_code=CHENGDU, reason="首批配发")
    sent = await supply.dispatch(keeper.connection, keeper.actor, series, 9, sending)
    return series, sent


async def _received(desk: Desk) -> Series:
    series, sent = await _sent(desk)
    keeper = await _as(desk, KEEPER)
    count = Counted(counted=8, short=ranges((9, 9)))
    await arrivals.receive(keeper.connection, keeper.actor, sent.consignment_id, count)
    return series


async def _of_the_province(desk: Desk) -> Desk:
    """Let the same role act at the province."""
    return await _as(desk, f"{desk.actor.role}-{PROVINCE}")


async def _take_in_at(_: World, desk: Desk) -> None:
    series = await _carton(desk)
    there = await _of_the_province(desk)
    await supply.take_in(there.connection, there.actor, series, ranges((50, 59)), DOCUMENT)


async def _dispatch_at(_: World, desk: Desk) -> None:
    series = await _carton(desk)
    there = await _of_the_province(desk)
    sending = Sending(document_number=DOCUMENT, city_code=CHENGDU, reason="首批配发")
    await supply.dispatch(there.connection, there.actor, series, 9, sending)


async def _undo_at(_: World, desk: Desk) -> None:
    if desk.actor.city_code == PROVINCE:
        _series, sent = await _sent(desk)
    else:
        series = await _received(desk)
        keeper = await _as(desk, KEEPER)
        sent = await supply.send_back(
            keeper.connection, keeper.actor, series, ranges((1, 2)), GROUNDS
        )
    there = await _as(desk, desk.actor.account_name)
    await supply.undo(there.connection, there.actor, sent.consignment_id, "号段录错")


async def _receive_at(_: World, desk: Desk) -> None:
    _series, sent = await _sent(desk)
    there = await _as(desk, desk.actor.account_name)
    await arrivals.receive(there.connection, there.actor, sent.consignment_id, Counted(counted=9))


async def _send_back_at(_: World, desk: Desk) -> None:
    series = await _received(desk)
    there = await _as(desk, desk.actor.account_name)
    await supply.send_back(there.connection, there.actor, series, ranges((1, 2)), GROUNDS)


async def _settle_at(_: World, desk: Desk) -> None:
    await _received(desk)
    there = await _of_the_province(desk)
    (one,) = await arrivals.differences(there.connection)
    await arrivals.settle(there.connection, there.actor, one.difference_id, SettledAs.LOST, GROUNDS)


ACTS: Mapping[Act, Callable[[World, Desk], Awaitable[object]]] = {
    Act.REQUISITION_MAKE: lambda _, desk: requisitions.make(
        desk.connection, desk.actor, PaperKind.INNER, Wish(), today=test_requisitions.LATER
    ),
    Act.REQUISITION_SUBMIT: _submit_at,
    Act.REQUISITION_APPROVE: _approve_at,
    Act.REQUISITION_RETURN: _return_at,
    Act.REQUISITION_WITHDRAW: _withdraw_at,
    Act.REQUISITION_CLOSE: _close_at,
    Act.BLANKS_TAKE_IN: _take_in_at,
    Act.CONSIGNMENT_DISPATCH: _dispatch_at,
    Act.CONSIGNMENT_UNDO: _undo_at,
    Act.CONSIGNMENT_RECEIVE: _receive_at,
    Act.CONSIGNMENT_SEND_BACK: _send_back_at,
    Act.DIFFERENCE_SETTLE: _settle_at,
}
