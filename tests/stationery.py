"""Blank paper to test with: two series, and sheets wherever a test wants them.

Movements are made at the kernel, as the rooms above it make them, so that a test begins where it
likes without acting out how the paper came there.
"""

from collections.abc import Sequence

from service.ground.db import Connection
from service.paper import blanks
from service.paper.blanks import Kind, Movement, NewSeries, PaperKind, Series, State
from service.paper.blanks.serials import Range
from service.registry.accounts import PROVINCE
from service.wiring import Desk
from tests.world import CHENGDU, World

DOCUMENT = "川人社物函〔2026〕7号"
INNER = NewSeries(
    series_code="2026-inner", year=2026, kind=PaperKind.INNER, prefix="川26A", digit_count=7,
    edition="2026", document_number=DOCUMENT,
)  # fmt: skip
COVER = NewSeries(
    series_code="2026-cover", year=2026, kind=PaperKind.COVER, prefix="壳", digit_count=6,
    edition="2026", document_number=DOCUMENT,
)  # fmt: skip


def ranges(*ends: tuple[int, int]) -> tuple[Range, ...]:
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
) -> tuple[tuple[int, int], ...]:
    """The ranges of an account, as pairs."""
    found = await blanks.held(connection, city_code, series, state)
    return tuple((one.first, one.last) for one in found)
