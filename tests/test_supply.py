"""Supply: what is sent is in transit until it arrives, and is undone only by two persons."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import pytest

from service.ground.errors import (
    ActNotGranted,
    BlanksTooFew,
    CityUnknown,
    ConsignmentInOtherState,
    ConsignmentUnknown,
    GroundsAbsent,
    NotYourCity,
    SecondPersonNeeded,
    SerialsElsewhere,
    SerialsInOtherState,
    SerialsKnown,
    SerialsRepeated,
    SerialsUnknown,
)
from service.paper import blanks, requisitions, supply
from service.paper.blanks import Kind, PaperKind, Series
from service.paper.blanks import State as Place
from service.paper.orders import Grounds
from service.paper.requisitions import Wish
from service.paper.supply import Consignment, Sending, State, arrivals
from service.paper.supply.arrivals import Counted, SettledAs
from service.registry import facts
from service.registry.accounts import PROVINCE, Actor, Role
from service.registry.journal import Act
from service.wiring import Desk
from tests import stationery, test_requisitions
from tests.stationery import (
    DOCUMENT,
    GROUNDS,
    INNER,
    KEEPER,
    OTHER,
    PROVINCES,
    Ends,
    dispatch,
    holds,
    movement,
    ranges,
    receive,
    send_back,
    sheets,
    stock,
    take_in,
    undo,
)
from tests.world import CHENGDU, MIANYANG, World

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


# Low stock.


async def low(world: World, weeks: int = 3, *, by: str = "province") -> list[tuple[str, str, int]]:
    now = datetime.datetime.now(datetime.UTC)
    async with world.desk(by) as desk, desk.acting():
        return [
            (one.city_code, one.series_code, one.sheet_count)
            for one in await supply.low(desk.connection, now, weeks)
        ]


async def draw(world: World, *ends: Ends, kind: Kind = Kind.DRAW) -> None:
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
