"""Consignments: a requisition follows them to its end, and no order of things loses a sheet."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from service.ground.errors import (
    BeyondApproved,
    RequisitionInOtherState,
    RequisitionOfOtherKind,
    RequisitionUnknown,
    RequisitionUnsettled,
    SupplyImpossible,
)
from service.paper import requisitions, supply
from service.paper.blanks import serials
from service.paper.requisitions import State as Stands
from service.paper.supply import arrivals
from service.paper.supply.arrivals import Counted, SettledAs
from tests import stationery, test_requisitions
from tests.stationery import (
    COVER,
    DOCUMENT,
    INNER,
    KEEPER,
    PROVINCES,
    Ends,
    differences,
    dispatch,
    holds,
    ranges,
    receive,
    send_back,
    settle,
    stock,
    take_in,
    undo,
)
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.test_requisitions import approved, archived
from tests.world import CHENGDU, MIANYANG, World

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

    def stock(self) -> dict[tuple[str, str], tuple[Ends, ...]]:
        return {
            place: tuple((one.first, one.last) for one in serials.of(self.there(*place)))
            for place in sorted(set(self.at.values()))
        }


def _some(chance: random.Random, of: Sequence[int]) -> list[int]:
    return sorted(chance.sample(of, chance.randint(0, min(3, len(of)))))


def _each(some: Sequence[int]) -> list[Ends]:
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
