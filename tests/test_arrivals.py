"""Arrivals: what is sent is counted, and what is wrong stays open until the province settles it."""

import asyncio
from collections.abc import Sequence

import asyncpg
import msgspec
import pytest

from service.ground.errors import (
    ActNotGranted,
    ConsignmentUnknown,
    CountUnequal,
    DifferenceNotOpen,
    DifferenceSettled,
    DifferencesUnfit,
    GroundsAbsent,
    NotYourCity,
    Refusal,
    SecondPersonNeeded,
    SerialsElsewhere,
    SerialsRepeated,
    SerialsUnsettled,
    SettlementUnfit,
    SupplyImpossible,
)
from service.paper import orders
from service.paper.blanks import Kind, check, records
from service.paper.blanks import State as Place
from service.paper.orders import Grounds
from service.paper.supply import State, arrivals
from service.paper.supply.arrivals import SettledAs
from tests import stationery, test_requisitions
from tests.stationery import (
    DOCUMENT,
    KEEPER,
    OTHER,
    PROVINCES,
    Ends,
    differences,
    dispatch,
    holds,
    movement,
    ranges,
    receive,
    send_back,
    settle,
    stock,
    take_in,
    undo,
)
from tests.test_requisitions import approved, archived
from tests.world import CHENGDU, MIANYANG, World

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


_MISCOUNTED: list[tuple[type[Refusal], int, Sequence[Sequence[Ends]], list[str]]] = [
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
        spoiled = (await stationery.moved_of(owner, f"consignment:{sent.consignment_id}"))[-1]
        assert spoiled.kind is Kind.SPOIL
    for sequence, some, by, second in (
        (spoiled.sequence, "0000004", KEEPER, f"reviewer-{CHENGDU}"),
        (1, "0000091-0000100", PROVINCES, "province"),
    ):
        async with world.desk(by) as desk, desk.acting():
            order_id = await stationery.counter(desk, sequence, some)
        async with world.desk(second) as desk, desk.acting():
            await orders.confirm(desk.connection, desk.actor, order_id)
    with pytest.raises(SerialsElsewhere):  # a part of what was taken in has moved on
        async with world.desk(PROVINCES) as desk, desk.acting():
            await stationery.counter(desk, 1, "0000012-0000013")
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
