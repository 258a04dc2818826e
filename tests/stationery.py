"""Blank paper to test with: two series, and sheets wherever a test wants them.

Movements are made at the kernel, as the rooms above it make them, so that a test begins where it
likes without acting out how the paper came there. Consignments are the exception: each of their
acts is one call by whoever does it.
"""

import datetime
from collections.abc import Sequence

import msgspec

from service.ground.db import Connection
from service.paper import blanks, orders
from service.paper import supply as consignments
from service.paper.blanks import (
    Kind,
    Moved,
    Movement,
    NewSeries,
    PaperKind,
    Series,
    State,
    check,
    records,
)
from service.paper.blanks.serials import Range
from service.paper.orders import Grounds
from service.paper.supply import Consignment, Sending, arrivals
from service.paper.supply.arrivals import Counted, SettledAs
from service.registry.accounts import PROVINCE
from service.wiring import Desk
from tests.world import CHENGDU, MIANYANG, World

Ends = tuple[int, int]
KEEPER, OTHER, PROVINCES = (f"keeper-{city}" for city in (CHENGDU, MIANYANG, PROVINCE))
DOCUMENT = "川人社物函〔2026〕7号"
GROUNDS = Grounds(DOCUMENT, "核查属实")
INNER = NewSeries(
    series_code="2026-inner", year=2026, kind=PaperKind.INNER, prefix="川26A", digit_count=7,
    edition="2026", document_number=DOCUMENT,
)  # fmt: skip
COVER = NewSeries(
    series_code="2026-cover", year=2026, kind=PaperKind.COVER, prefix="壳", digit_count=6,
    edition="2026", document_number=DOCUMENT,
)  # fmt: skip


def ranges(*ends: Ends) -> tuple[Range, ...]:
    """Write ranges shortly."""
    return tuple(Range(first, last) for first, last in ends)


def movement(
    kind: Kind, beginning: State, end: State, some: Sequence[Range], *, city_code: str = CHENGDU
) -> Movement:
    """Write a movement of no document in particular."""
    return Movement(
        kind=kind, city_code=city_code, from_state=beginning, to_state=end, ranges=some,
        document_number=DOCUMENT, subject="test:1",
    )  # fmt: skip


async def record(world: World, *series: NewSeries) -> None:
    """Record series, as the province."""
    await world.record("province", *(series or (INNER, COVER)))


async def move(desk: Desk, moving: Movement, code: str = INNER.series_code) -> list[int]:
    """Move inside the act that a desk has begun."""
    series = await blanks.find(desk.connection, code)
    return await blanks.move(desk.connection, desk.actor, series, moving)


async def counter(desk: Desk, sequence: int, typed: str = "") -> int:
    """Ask to take back what stands at this place of the desk's own chain."""
    series = await blanks.find(desk.connection, INNER.series_code)
    return await orders.counter(
        desk.connection, desk.actor, series, sequence, typed=typed, grounds=GROUNDS
    )


async def supply(
    world: World, some: Sequence[Range], *, city_code: str = CHENGDU, code: str = INNER.series_code
) -> None:
    """Bring sheets from outside the books to a city; the series is recorded already."""
    async with world.desk(f"keeper-{PROVINCE}") as desk:
        for kind, beginning, end, whose in (
            (Kind.TAKE_IN, State.OUTSIDE, State.AT_PROVINCE, PROVINCE),
            (Kind.DISPATCH, State.AT_PROVINCE, State.IN_TRANSIT, city_code),
        ):
            async with desk.acting():
                await move(desk, movement(kind, beginning, end, some, city_code=whose), code)
    async with world.desk(f"keeper-{city_code}") as desk, desk.acting():
        received = movement(
            Kind.RECEIVE, State.IN_TRANSIT, State.AT_CITY, some, city_code=city_code
        )
        await move(desk, received, code)


async def held(
    connection: Connection, city_code: str, state: State, series: Series
) -> tuple[Ends, ...]:
    """The ranges of an account, as pairs."""
    found = await blanks.held(connection, city_code, series, state)
    return tuple((one.first, one.last) for one in found)


async def stock(world: World) -> dict[tuple[str, str], tuple[Ends, ...]]:
    async with world.connection() as owner:
        rows = await owner.fetch(
            "select city_code, state, lower(serials), upper(serials) - 1 from blank_stock"
            " join blank_series using (series_id) where series_code = $1 order by 1, 2, 3",
            INNER.series_code,
        )
    found: dict[tuple[str, str], tuple[Ends, ...]] = {}
    for city_code, state, first, last in rows:
        found[city_code, state] = (*found.get((city_code, state), ()), (first, last))
    return found


# Consignments.


async def take_in(world: World, *ends: Ends, by: str = PROVINCES, document: str = DOCUMENT) -> None:
    async with world.desk(by) as desk, desk.acting():
        series = await blanks.find(desk.connection, INNER.series_code)
        await consignments.take_in(desk.connection, desk.actor, series, ranges(*ends), document)


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
        return await consignments.dispatch(
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
    short: Sequence[Ends] = (),
    damaged: Sequence[Ends] = (),
    extra: Sequence[Ends] = (),
) -> Consignment:
    consignment_id = sent if isinstance(sent, int) else sent.consignment_id
    count = Counted(
        counted=counted, short=ranges(*short), damaged=ranges(*damaged), extra=ranges(*extra)
    )
    async with world.desk(by) as desk, desk.acting():
        return await arrivals.receive(desk.connection, desk.actor, consignment_id, count)


async def send_back(
    world: World, *ends: Ends, by: str = KEEPER, grounds: Grounds = GROUNDS
) -> Consignment:
    async with world.desk(by) as desk, desk.acting():
        series = await blanks.find(desk.connection, INNER.series_code)
        return await consignments.send_back(
            desk.connection, desk.actor, series, ranges(*ends), grounds
        )


async def undo(world: World, sent: Consignment, *, by: str) -> Consignment:
    async with world.desk(by) as desk, desk.acting():
        return await consignments.undo(desk.connection, desk.actor, sent.consignment_id, "号段录错")


async def settle(
    world: World, difference_id: int, way: SettledAs, *ends: Ends, by: str = "province"
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


async def moved_of(owner: Connection, subject: str) -> list[Moved]:
    """What belongs to a consignment, an order or a stocktake, in order."""
    rows = await owner.fetch(
        "select *, lower(serials) as first_serial, upper(serials) - 1 as last_serial"
        " from blank_movement where subject = $1 order by movement_id",
        subject,
    )
    return [msgspec.convert(dict(row), Moved, builtin_types=(datetime.datetime,)) for row in rows]
