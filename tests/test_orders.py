"""Orders of blank paper: one asks, others sign, and nothing moves before."""

import asyncio
import io
import re
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec
import pypdfium2
import pytest

from service.ground.errors import (
    ActNotGranted,
    CounterImpossible,
    GroundsAbsent,
    MovedSince,
    MovementUnknown,
    NothingPending,
    NotYourCity,
    OrderDecided,
    OrderSignedOtherwise,
    OrderUnknown,
    Refusal,
    SecondPersonNeeded,
    SerialsElsewhere,
    SerialsInOtherState,
    SerialsKnown,
    SerialsNotMoved,
    SerialsRepeated,
    SerialsUnknown,
)
from service.paper import blanks, orders
from service.paper.blanks import Kind, check
from service.paper.blanks import State as Place
from service.paper.orders import Grounds, Order, State
from service.registry import journal
from service.registry.accounts import PROVINCE
from service.registry.journal import Act
from service.wiring import Desk
from tests import stationery
from tests.stationery import DOCUMENT, INNER, movement, ranges
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.world import CHENGDU, MIANYANG, World

Ends = Sequence[tuple[int, int]]
KEEPER, REVIEWER, OPERATOR = (f"{role}-{CHENGDU}" for role in ("keeper", "reviewer", "operator"))
GROUNDS = Grounds(DOCUMENT, "清点所得")


async def ask_at(
    desk: Desk,
    kind: Kind,
    some: Ends,
    grounds: Grounds = GROUNDS,
    *,
    is_spoiled: bool = False,
    code: str = INNER.series_code,
) -> int:
    """Ask inside the act that a desk has begun."""
    series = await blanks.find(desk.connection, code)
    return await orders.ask(
        desk.connection, desk.actor, kind, grounds, series=series, ranges=ranges(*some),
        is_spoiled=is_spoiled,
    )  # fmt: skip


async def spoil_at(
    desk: Desk, some: Ends, grounds: Grounds = GROUNDS, *, code: str = INNER.series_code
) -> list[int]:
    """Spoil inside the act that a desk has begun."""
    series = await blanks.find(desk.connection, code)
    return await orders.spoil(desk.connection, desk.actor, series, ranges(*some), grounds)


async def leave_at(desk: Desk, code: str, *, first: int, second: str) -> None:
    """Leave a hundred sheets, a loss and a destruction for others to sign."""
    opened = movement(
        Kind.OPEN, Place.OUTSIDE, orders.shelf(desk.actor.city_code), ranges((first, first + 99)),
        city_code=desk.actor.city_code,
    )  # fmt: skip
    await stationery.move(desk, msgspec.structs.replace(opened, second_actor=second), code)
    await spoil_at(desk, [(first, first)], code=code)
    await ask_at(desk, Kind.LOSE, [(first + 1, first + 2)], code=code)
    await ask_at(desk, Kind.DESTROY, [], code=code)


async def sign_at(desk: Desk, act: Act) -> Order:
    """Decide the order that was left for whoever may do this."""
    kind = Kind.DESTROY if act is Act.ORDER_WITNESS else Kind.LOSE
    (order_id,) = (
        one.order_id
        for one in await orders.waiting(desk.connection)
        if (one.kind, one.city_code) == (kind, desk.actor.city_code)
    )
    if act is Act.ORDER_DECLINE:
        return await orders.decline(desk.connection, desk.actor, order_id, "材料不全")
    signing = orders.confirm if act is Act.ORDER_CONFIRM else orders.witness
    return await signing(desk.connection, desk.actor, order_id)


async def ask(
    world: World, kind: Kind, *some: tuple[int, int], by: str = KEEPER, is_spoiled: bool = False
) -> int:
    async with world.desk(by) as desk, desk.acting():
        return await ask_at(desk, kind, some, is_spoiled=is_spoiled)


async def spoil(
    world: World, *some: tuple[int, int], by: str = KEEPER, reason: str = "受潮"
) -> list[int]:
    async with world.desk(by) as desk, desk.acting():
        return await spoil_at(desk, some, Grounds(DOCUMENT, reason))


async def counter(world: World, movement_id: int, typed: str = "", *, by: str = KEEPER) -> int:
    async with world.connection() as owner:
        sequence = (await blanks.moved(owner, movement_id)).sequence
    return await counter_in_chain(world, sequence, typed, by=by)


async def counter_in_chain(
    world: World, sequence: int, typed: str = "", *, by: str = KEEPER
) -> int:
    async with world.desk(by) as desk, desk.acting():
        return await stationery.counter(desk, sequence, typed)


async def confirm(world: World, order_id: int, *, by: str = REVIEWER) -> Order:
    async with world.desk(by) as desk, desk.acting():
        return await orders.confirm(desk.connection, desk.actor, order_id)


async def witness(world: World, order_id: int, *, by: str) -> Order:
    async with world.desk(by) as desk, desk.acting():
        return await orders.witness(desk.connection, desk.actor, order_id)


async def decline(
    world: World, order_id: int, *, by: str = REVIEWER, reason: str = "材料不全"
) -> Order:
    async with world.desk(by) as desk, desk.acting():
        return await orders.decline(desk.connection, desk.actor, order_id, reason)


async def waiting(world: World, *, by: str = REVIEWER) -> list[int]:
    async with world.desk(by) as desk, desk.acting():
        return [one.order_id for one in await orders.waiting(desk.connection)]


async def done(world: World, kind: Kind, *some: tuple[int, int], is_spoiled: bool = False) -> Order:
    return await confirm(world, await ask(world, kind, *some, is_spoiled=is_spoiled))


async def held(
    world: World, state: Place, *, city_code: str = CHENGDU
) -> tuple[tuple[int, int], ...]:
    async with world.connection() as owner:
        series = await blanks.find(owner, INNER.series_code)
        return await stationery.held(owner, city_code, state, series)


async def sound(world: World) -> None:
    """Nothing is wrong with the books and the journal."""
    async with world.connection() as owner:
        assert await check.check(owner) == []
        assert await journal.broken(owner) == []


async def stocked(world: World, *some: tuple[int, int]) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges(*(some or ((1, 100),))))


def named(refused: pytest.ExceptionInfo[Refusal]) -> list[str]:
    return [one.value or "" for one in refused.value.findings]


# Two persons.


@pytest.mark.parametrize(
    ("by", "second", "place"),
    [
        (KEEPER, REVIEWER, (CHENGDU, Place.AT_CITY)),
        (f"keeper-{PROVINCE}", "province", (PROVINCE, Place.AT_PROVINCE)),
        ("province", f"province-{PROVINCE}", (PROVINCE, Place.AT_PROVINCE)),
    ],
)
async def test_opening_stock_enters_the_books_when_a_second_person_confirms(
    world: World, by: str, second: str, place: tuple[str, Place]
) -> None:
    await stationery.record(world)
    order_id = await ask(world, Kind.OPEN, (1, 500), (700, 700), by=by)
    assert await held(world, place[1], city_code=place[0]) == ()
    with pytest.raises((SecondPersonNeeded, ActNotGranted)):
        await confirm(world, order_id, by=by)
    assert (await confirm(world, order_id, by=second)).sheet_count == 501
    assert await held(world, place[1], city_code=place[0]) == ((1, 500), (700, 700))
    async with world.connection() as owner:
        (one, _) = await stationery.moved_of(owner, f"blank-order:{order_id}")
    assert (one.kind, one.actor, one.second_actor, one.third_actor) == ("open", by, second, None)
    assert (one.document_number, one.reason) == (DOCUMENT, GROUNDS.reason)
    with pytest.raises(SerialsKnown) as refused:
        await ask(world, Kind.OPEN, (498, 502), by=by)
    assert named(refused) == ["川26A0000498-0000500"]
    await sound(world)


async def test_who_keeps_blanks_does_not_confirm_and_who_issues_does_not_ask(world: World) -> None:
    await stocked(world)
    for by in (OPERATOR, REVIEWER, f"auditor-{CHENGDU}"):
        with pytest.raises(ActNotGranted):
            await ask(world, Kind.LOSE, (1, 1), by=by)
        with pytest.raises(ActNotGranted):
            await spoil(world, (1, 1), by=by)
    order_id = await ask(world, Kind.LOSE, (1, 1))
    for by in (KEEPER, OPERATOR, f"auditor-{CHENGDU}", f"keeper-{PROVINCE}"):
        with pytest.raises(ActNotGranted):
            await confirm(world, order_id, by=by)
    with pytest.raises(OrderUnknown):
        await confirm(world, order_id, by=f"reviewer-{MIANYANG}")
    for act in (confirm, decline):
        with pytest.raises(NotYourCity):
            await act(world, order_id, by="province")
    assert await waiting(world, by=f"reviewer-{MIANYANG}") == []
    assert await waiting(world, by=f"auditor-{CHENGDU}") == [order_id]
    assert await waiting(world, by="province") == [order_id]
    await confirm(world, order_id)
    assert await waiting(world) == []


async def test_what_is_lost_is_found_again_only_to_be_destroyed(world: World) -> None:
    await stocked(world)
    with pytest.raises(SerialsInOtherState):
        await ask(world, Kind.FIND, (5, 5))
    await done(world, Kind.LOSE, (5, 9))
    assert await held(world, Place.LOST) == ((5, 9),)
    await done(world, Kind.FIND, (7, 8))
    assert await held(world, Place.PENDING_DESTRUCTION) == ((7, 8),)
    with pytest.raises(SerialsInOtherState):
        await ask(world, Kind.LOSE, (7, 7))
    await done(world, Kind.LOSE, (7, 7), is_spoiled=True)
    assert await held(world, Place.LOST) == ((5, 7), (9, 9))
    assert await held(world, Place.PENDING_DESTRUCTION) == ((8, 8),)
    await sound(world)


@pytest.mark.parametrize(
    ("document_number", "reason"), [("", "x"), (DOCUMENT, "　"), (DOCUMENT, "\u200b…"), ("—", "x")]
)
async def test_an_order_without_reason_and_document_is_refused(
    world: World, document_number: str, reason: str
) -> None:
    await stocked(world)
    grounds = Grounds(document_number, reason)
    async with world.desk(KEEPER) as desk:
        for asking in (
            ask_at(desk, Kind.LOSE, [(1, 1)], grounds),
            spoil_at(desk, [(1, 1)], grounds),
        ):
            async with desk.acting():
                with pytest.raises(GroundsAbsent):
                    await asking


# Serials are judged when it is asked, and when it is confirmed.


async def test_nobody_waits_for_serials_that_are_not_there(world: World) -> None:
    await stocked(world)
    await stationery.supply(world, ranges((201, 300)), city_code=MIANYANG)
    for some, refusal, serials in (
        (((90, 110),), SerialsUnknown, ["川26A0000101-0000110"]),
        (((90, 100), (201, 210)), SerialsElsewhere, ["川26A0000201-0000210"]),
        (((1, 5), (5, 6)), SerialsRepeated, ["川26A0000005"]),
    ):
        with pytest.raises(refusal) as refused:
            await ask(world, Kind.LOSE, *some)
        assert named(refused) == serials
    assert await waiting(world) == []


async def test_an_order_that_holds_no_more_is_refused_and_stays_open_to_be_declined(
    world: World,
) -> None:
    await stocked(world)
    first, second = [await ask(world, Kind.LOSE, (1, 50)) for _ in range(2)]
    await confirm(world, first)
    with pytest.raises(SerialsInOtherState) as refused:
        await confirm(world, second)
    assert named(refused) == ["川26A0000001-0000050"]
    third = await ask(world, Kind.LOSE, (60, 70))
    await spoil(world, (65, 65))
    with pytest.raises(SerialsInOtherState) as refused:
        await confirm(world, third)
    assert named(refused) == ["川26A0000065"]
    assert await waiting(world) == [second, third]
    with pytest.raises(GroundsAbsent):
        await decline(world, second, reason=" ")
    await decline(world, second)
    await decline(world, third, by=KEEPER, reason="改列")
    for act in (confirm, decline):
        with pytest.raises(OrderDecided, match="declined"):
            await act(world, second)
    assert await held(world, Place.LOST) == ((1, 50),)
    with pytest.raises(OrderUnknown):
        await confirm(world, 10**15)
    await sound(world)


async def test_of_many_who_decide_at_once_one_does(world: World) -> None:
    await stocked(world)
    order_id = await ask(world, Kind.LOSE, (1, 50))
    came = await asyncio.gather(
        *(confirm(world, order_id) for _ in range(4)),
        *(decline(world, order_id, by=by) for by in (KEEPER, OPERATOR)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in came) == ["Order"] + ["OrderDecided"] * 5
    assert await waiting(world) == []
    await sound(world)


# Counter-movements.


async def test_a_movement_is_taken_back_whole_or_in_part_by_two_persons(world: World) -> None:
    await stocked(world)
    (spoiled,) = await spoil(world, (11, 20))
    await confirm(world, await counter(world, spoiled, "0000011-0000013"))
    assert await held(world, Place.PENDING_DESTRUCTION) == ((14, 20),)
    with pytest.raises(SerialsInOtherState) as refused:
        await counter(world, spoiled)
    assert named(refused) == ["川26A0000011-0000013"]
    order_id = await counter(world, spoiled, "0000014-0000020")
    await confirm(world, order_id)
    assert await held(world, Place.AT_CITY) == ((1, 100),)
    opened = await confirm(world, await ask(world, Kind.OPEN, (501, 510)))
    async with world.connection() as owner:
        (moved,) = await stationery.moved_of(owner, opened.subject)
    await confirm(world, await counter(world, moved.movement_id))
    assert await held(world, Place.AT_CITY) == ((1, 100),)
    await sound(world)


async def test_what_has_moved_since_is_not_taken_back(world: World) -> None:
    await stocked(world)
    (spoiled,) = await spoil(world, (11, 20))
    order_id = await counter(world, spoiled)
    await confirm(world, await counter(world, spoiled, "0000011-0000013"))
    await spoil(world, (12, 13))  # where the first movement left them, and yet not by it
    with pytest.raises(MovedSince) as refused:
        await counter(world, spoiled, "0000012-0000014")
    assert named(refused) == ["川26A0000012-0000013"]
    with pytest.raises(SerialsInOtherState) as refused_later:
        await confirm(world, order_id)
    assert named(refused_later) == ["川26A0000011"]
    with pytest.raises(SerialsNotMoved) as refused_beyond:
        await counter(world, spoiled, "0000020-0000021")
    assert named(refused_beyond) == ["川26A0000021"]
    assert await waiting(world) == [order_id]


async def test_only_what_no_other_room_owns_is_taken_back(world: World) -> None:
    await stocked(world)
    async with world.connection() as owner:
        moved = {
            row["kind"]: row["movement_id"]
            for row in await owner.fetch("select kind, movement_id from blank_movement")
        }
    for kind, word in (("dispatch", "下发"), ("receive", "签收")):
        with pytest.raises(CounterImpossible, match=word):
            await counter(world, moved[kind])
    with pytest.raises(SerialsElsewhere):
        await counter(world, moved["take-in"], by=f"keeper-{PROVINCE}")
    await spoil(world, (1, 1))  # the third of its chain, which the province's has not
    for sequence, by in ((3, f"keeper-{PROVINCE}"), (4, KEEPER)):
        with pytest.raises(MovementUnknown, match=f"#{sequence}"):
            await counter_in_chain(world, sequence, by=by)
    async with world.desk(f"keeper-{PROVINCE}") as desk, desk.acting():
        taken = movement(
            Kind.TAKE_IN, Place.OUTSIDE, Place.AT_PROVINCE, ranges((501, 600)), city_code=PROVINCE
        )
        (movement_id,) = await stationery.move(desk, taken)
        sent = movement(Kind.DISPATCH, Place.AT_PROVINCE, Place.IN_TRANSIT, ranges((501, 510)))
        await stationery.move(desk, sent)
    order_id = await counter(world, movement_id, "0000511-0000600", by=f"keeper-{PROVINCE}")
    await confirm(world, order_id, by="province")
    assert await held(world, Place.AT_PROVINCE, city_code=PROVINCE) == ()
    await sound(world)


# Destruction.


async def test_sheets_are_destroyed_by_their_keeper_before_two_witnesses(world: World) -> None:
    await stocked(world)
    with pytest.raises(NothingPending):
        await ask(world, Kind.DESTROY)
    await spoil(world, (3, 5), (9, 9))
    order_id = await ask(world, Kind.DESTROY)
    with pytest.raises(OrderSignedOtherwise, match=f"blanks witness {order_id}"):
        await confirm(world, order_id)
    with pytest.raises(SecondPersonNeeded):
        await witness(world, order_id, by=KEEPER)
    assert (await witness(world, order_id, by=OPERATOR)).state is State.ASKED
    with pytest.raises(SecondPersonNeeded):
        await witness(world, order_id, by=OPERATOR)
    assert await held(world, Place.DESTROYED) == ()
    with pytest.raises(ActNotGranted):
        await witness(world, order_id, by=f"auditor-{CHENGDU}")
    with pytest.raises(OrderUnknown):
        await witness(world, order_id, by=f"reviewer-{MIANYANG}")
    signed = await witness(world, order_id, by=REVIEWER)
    assert (signed.state, signed.witnessed_by, signed.decided_by) == ("done", OPERATOR, REVIEWER)
    assert await held(world, Place.DESTROYED) == ((3, 5), (9, 9))
    async with world.connection() as owner:
        moved = await stationery.moved_of(owner, signed.subject)
    assert {(one.actor, one.second_actor, one.third_actor) for one in moved} == {
        (KEEPER, OPERATOR, REVIEWER)
    }
    with pytest.raises(OrderDecided):
        await witness(world, order_id, by="province")
    await sound(world)


async def test_what_was_destroyed_only_on_paper_comes_back_before_two_witnesses(
    world: World,
) -> None:
    await stocked(world)
    await spoil(world, (3, 9))
    order_id = await ask(world, Kind.DESTROY, (3, 5))
    with pytest.raises(OrderSignedOtherwise, match="blanks confirm"):
        await witness(world, await ask(world, Kind.LOSE, (1, 1)), by=OPERATOR)
    await witness(world, order_id, by=REVIEWER)
    signed = await witness(world, order_id, by="province")  # sent by the province to see it done
    async with world.connection() as owner:
        (moved,) = await stationery.moved_of(owner, signed.subject)
    back = await counter(world, moved.movement_id, "0000004")
    with pytest.raises(OrderSignedOtherwise):
        await confirm(world, back)
    for by in (OPERATOR, REVIEWER):
        await witness(world, back, by=by)
    assert await held(world, Place.DESTROYED) == ((3, 3), (5, 5))
    assert await held(world, Place.PENDING_DESTRUCTION) == ((4, 4), (6, 9))
    await sound(world)


async def test_a_list_that_holds_no_more_is_signed_by_no_further_witness(world: World) -> None:
    await stocked(world)
    await spoil(world, (3, 9))
    order_id = await ask(world, Kind.DESTROY)
    await witness(world, order_id, by=OPERATOR)
    await done(world, Kind.LOSE, (4, 4), is_spoiled=True)
    with pytest.raises(SerialsInOtherState) as refused:
        await witness(world, order_id, by=REVIEWER)
    assert named(refused) == ["川26A0000004"]
    other = await ask(world, Kind.DESTROY)
    await done(world, Kind.LOSE, (5, 5), is_spoiled=True)
    with pytest.raises(SerialsInOtherState):
        await witness(world, other, by=OPERATOR)
    await decline(world, order_id, by=OPERATOR)
    assert await held(world, Place.DESTROYED) == ()


async def test_of_two_second_witnesses_at_once_one_moves_the_sheets(world: World) -> None:
    await stocked(world)
    await spoil(world, (3, 9))
    order_id = await ask(world, Kind.DESTROY)
    came = await asyncio.gather(
        *(witness(world, order_id, by=by) for by in (OPERATOR, REVIEWER, "province")),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in came) == ["Order", "Order", "OrderDecided"]
    assert await held(world, Place.DESTROYED) == ((3, 9),)
    await sound(world)


async def test_a_destruction_list_says_why_each_sheet_is_on_it(world: World) -> None:
    await stocked(world)
    (first,) = await spoil(world, (1, 9), reason="受潮")
    await confirm(world, await counter(world, first, "0000004"))
    await spoil(world, (4, 4), (20, 21), reason="缺角")
    await done(world, Kind.LOSE, (30, 31))
    await done(world, Kind.FIND, (30, 30))
    order_id = await ask(world, Kind.DESTROY, (2, 9), (20, 20), (30, 30))

    async def listed() -> list[tuple[str, str, int]]:
        async with world.desk(KEEPER) as desk, desk.acting():
            _, doomed = await orders.destruction(desk.connection, order_id)
        return [(one.reason, one.serials, one.sheet_count) for one in doomed]

    before = await listed()
    assert before == [
        ("受潮", "川26A0000002-0000003、川26A0000005-0000009", 7),
        ("缺角", "川26A0000004、川26A0000020", 2),
        (GROUNDS.reason, "川26A0000030", 1),
    ]
    for by in (OPERATOR, REVIEWER):
        await witness(world, order_id, by=by)
    assert await listed() == before
    lost = await ask(world, Kind.LOSE, (50, 50))
    async with world.desk(KEEPER) as desk, desk.acting():
        with pytest.raises(OrderUnknown):
            await orders.destruction(desk.connection, lost)


async def test_damaged_stock_is_set_aside_by_its_keeper_alone(world: World) -> None:
    await stocked(world)
    await spoil(world, (7, 8))
    assert await held(world, Place.PENDING_DESTRUCTION) == ((7, 8),)
    with pytest.raises(SerialsInOtherState) as refused:
        await spoil(world, (8, 9))
    assert named(refused) == ["川26A0000008"]
    by = f"keeper-{PROVINCE}"
    await confirm(world, await ask(world, Kind.OPEN, (500, 510), by=by), by="province")
    await spoil(world, (500, 500), by=by)
    place = Place.PENDING_DESTRUCTION
    assert await held(world, place, city_code=PROVINCE) == ((500, 500),)
    with pytest.raises(SerialsElsewhere):
        await spoil(world, (1, 1), by=by)
    await sound(world)


# The database is the last guard.


_DONE = (
    "update blank_order set state = 'done', decided_by = 'reviewer-510100', decided_at = now()"
    " where order_id = {}"
)
_FORBIDDEN = [
    (_DONE.format(1), "append_only"),
    ("update blank_order set state = 'asked', decided_by = null, decided_at = null", "append_only"),
    ("update blank_order set reason = 'x' where order_id = 2", "append_only"),
    ("update blank_order set serials = '{[1,90)}' where order_id = 2", "append_only"),
    ("update blank_order set asked_by = 'keeper-510000' where order_id = 2", "append_only"),
    ("update blank_order set person_count = 2 where order_id = 3", "append_only"),
    ("update blank_order set witnessed_by = 'province' where order_id = 3", "append_only"),
    ("delete from blank_order where order_id = 2", "append_only"),
    ("truncate blank_order", "append_only"),
    (_DONE.format(2), "blank_order_moved"),
    (_DONE.format(3), "blank_order_moved"),
    (_DONE.format(4), "blank_order_decided"),
    (_DONE.format(2).replace("reviewer", "keeper"), "blank_order_persons"),
    (_DONE.format(3).replace("reviewer", "operator"), "blank_order_persons"),
    (_DONE.format(3).replace("'done'", "'declined'"), "blank_order_decided"),
    ("update blank_order set witnessed_by = 'province', witnessed_at = now() where order_id = 2",
     "blank_order_decided"),
    ("update blank_order set witnessed_by = asked_by, witnessed_at = now() where order_id = 4",
     "blank_order_persons"),
    ("insert into blank_order (city_code, series_id, kind, from_state, to_state, serials,"
     " document_number, reason, person_count, asked_by, state, decided_by, decided_at) select"
     " city_code, series_id, kind, from_state, to_state, serials, document_number, reason,"
     " person_count, asked_by, state, decided_by, decided_at from blank_order where order_id = 1",
     "append_only"),
]  # fmt: skip


async def test_the_owner_of_the_database_cannot_change_or_decide_an_order(world: World) -> None:
    """The first is done, the second waits, the third has one witness and the fourth none."""
    await stocked(world)
    await done(world, Kind.LOSE, (1, 1))
    await ask(world, Kind.LOSE, (2, 2))
    await spoil(world, (3, 4))
    await witness(world, await ask(world, Kind.DESTROY, (3, 3)), by=OPERATOR)
    await ask(world, Kind.DESTROY, (4, 4))
    async with world.connection() as owner:
        for statement, constraint in _FORBIDDEN:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
                await owner.execute(statement)
            assert refused.value.constraint_name == constraint, statement
    async with world.desk(KEEPER) as desk:
        for statement in (
            "delete from blank_order",
            "update blank_order set reason = 'x'",
            "insert into blank_order (city_code, series_id, kind, from_state, to_state, serials,"
            " document_number, reason, person_count, asked_by) values ('510700', 1, 'lose',"
            " 'at-city', 'lost', '{[5,6)}', 'x', 'x', 2, 'keeper-510100')",
        ):
            with pytest.raises(NotYourCity):
                async with desk.acting():
                    await desk.connection.execute(statement)
    assert await waiting(world) == [2, 3, 4]


_MOVE = (
    "insert into blank_movement (city_code, series_id, kind, serials, from_state, to_state,"
    " document_number, reason, subject, actor, second_actor) values ('510100', 1, $1, '[1,2)',"
    " 'at-city', $2, '文', '受潮', 'x:1', $3, $4)"
)


@pytest.mark.parametrize(
    ("actor", "second"),
    [
        (OPERATOR, None), (REVIEWER, None), (f"auditor-{CHENGDU}", None), ("province", None),
        (f"keeper-{MIANYANG}", None), (OPERATOR, REVIEWER), (KEEPER, f"reviewer-{MIANYANG}"),
    ],
)  # fmt: skip
async def test_nobody_moves_blanks_in_the_name_of_who_does_not_keep_them(
    world: World, actor: str, second: str | None
) -> None:
    await stocked(world)
    path = ("lose", "lost") if second else ("spoil", "pending-destruction")
    with pytest.raises(NotYourCity):
        async with world.desk(KEEPER) as desk, desk.acting():
            await desk.connection.execute(_MOVE, *path, actor, second)
    async with world.desk(KEEPER) as desk, desk.acting():
        await desk.connection.execute(_MOVE, *path, KEEPER, second and REVIEWER)
    await sound(world)


async def test_the_journal_tells_who_asked_signed_and_declined(world: World) -> None:
    await stocked(world)
    await spoil(world, (3, 4))
    await witness(world, await ask(world, Kind.DESTROY, (3, 3)), by="province")
    await decline(world, 1, by=KEEPER)
    await done(world, Kind.LOSE, (1, 1))
    async with world.connection() as owner:
        entries = await owner.fetch(
            "select actor, act, subject, city_code from journal where act like 'orders:%'"
            " order by sequence"
        )
    assert {row["city_code"] for row in entries} == {CHENGDU}
    assert [(row["actor"], row["act"].partition(":")[2], row["subject"]) for row in entries] == [
        (KEEPER, "sheets:spoil", DOCUMENT),
        (KEEPER, "order:ask", "blank-order:1"),
        ("province", "order:witness", "blank-order:1"),
        (KEEPER, "order:decline", "blank-order:1"),
        (KEEPER, "order:ask", "blank-order:2"),
        (REVIEWER, "order:confirm", "blank-order:2"),
    ]
    await sound(world)


# The command line.


def test_orders_are_typed_signed_and_printed(world: World, type_: Type, tmp_path: Path) -> None:  # noqa: F811 - a fixture
    asyncio.run(stationery.record(world, INNER))
    grounds = ("--reason", "清点所得", "--document-number", DOCUMENT)
    asked = type_("blanks", "open", "--serials", "川26A0000001-0000100", *grounds, by=KEEPER)
    assert "blanks confirm 1" in asked.out
    listed = type_("blanks", "orders", by=REVIEWER, yes=False).out
    assert "川26A0000001-0000100" in listed
    assert type_("blanks", "confirm", 1, by=KEEPER).code == 77
    assert "100 张已入账" in type_("blanks", "confirm", 1, by=REVIEWER).out
    refused = type_("blanks", "lose", "--serials", "0000099-0000101", *grounds, by=KEEPER)
    assert (refused.code, "川26A0000101" in refused.err) == (65, True)
    assert type_("blanks", "lose", "--serials", "0000099", *grounds, by=KEEPER).code == 0
    assert "退回" in type_("blanks", "decline", 2, "--reason", "已找到", by=KEEPER).out
    spoiled = type_("blanks", "spoil", "--serials", "0000001-0000003", *grounds, by=KEEPER).out
    refused = type_("blanks", "lose", "--serials", "0000200", *grounds, by=KEEPER)
    assert (refused.code, spoiled.split()[-1]) == (65, "2")
    countered = type_(
        "blanks", "counter", 2, "--series", "2026-inner", "--serials", "0000003", *grounds,
        by=KEEPER,
    )  # fmt: skip
    assert "blanks confirm 3" in countered.out
    type_("blanks", "confirm", 3, by=REVIEWER)

    async def spoil_without_reason() -> None:  # as a print run does
        async with world.desk(KEEPER) as desk, desk.acting():
            bad = movement(Kind.SPOIL, Place.AT_CITY, Place.PENDING_DESTRUCTION, ranges((5, 5)))
            await stationery.move(desk, bad)

    asyncio.run(spoil_without_reason())
    grounds = ("--reason", "年度集中", "--document-number", DOCUMENT)
    assert "two witnesses" in type_("blanks", "destroy", *grounds, by=KEEPER).out
    path = tmp_path / "list.pdf"
    assert type_("blanks", "destruction-list", 4, "--to", path, by=KEEPER, yes=False).code == 0
    assert "另一位见证人" in type_("blanks", "witness", 4, by=OPERATOR).out
    assert "3 张已入账" in type_("blanks", "witness", 4, by=REVIEWER).out
    with pypdfium2.PdfDocument(io.BytesIO(path.read_bytes())) as pdf:
        text = pdf[0].get_textpage().get_text_range()
    told = re.sub(r"[\s\u200b]", "", text.replace("\ufffe", "-"))
    for word in ("销毁清单", "川26A0000001", "作废：清点所得", "年度集中", KEEPER, "成都市"):
        assert word in told
    assert told.count("作废") == told.count("作废：") + 1
