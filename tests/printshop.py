"""A print shop to test in: issued certificates, blanks in stock, and runs of them."""

import datetime
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from service.checking import verification
from service.checking.decision import Verdict
from service.ground import db
from service.ground.db import Role
from service.issuing.batches import LEGAL_ZONE
from service.paper import blanks, papers, printing
from service.paper.blanks import NewSeries, State
from service.paper.papers import Collected, changing
from service.paper.papers.changing import Decided, Kind
from service.paper.printing import planning, settling
from service.paper.printing.settling import Said
from service.wiring import Desk
from tests import stationery
from tests.stationery import INNER, ranges
from tests.world import CHENGDU, World

OPERATOR, REVIEWER, KEEPER = (f"{role}-{CHENGDU}" for role in ("operator", "reviewer", "keeper"))
COUNT = 25
DOCUMENT = "成职鉴〔2026〕31号"
TODAY = datetime.datetime.now(datetime.UTC).astimezone(LEGAL_ZONE).date()
COLLECTED = Collected(handed_on=TODAY, document_number=DOCUMENT, is_id_checked=True)
OLDER = msgspec.structs.replace(INNER, series_code="2025-inner", year=2025, prefix="川25A")


class Shop(msgspec.Struct, frozen=True):
    """A city with certificates of one batch, in the order of their numbers, and 100 blanks."""

    world: World
    batch_id: int
    numbers: tuple[str, ...]

    @asynccontextmanager
    async def at(self, account: str) -> AsyncIterator[Desk]:
        """Begin one act of an account."""
        async with self.world.desk(account) as desk, desk.acting():
            yield desk

    async def plan(self, *numbers: str, by: str = OPERATOR) -> int:
        async with self.at(by) as desk:
            return (await planning.plan(desk.connection, desk.actor, numbers)).run_id

    async def draw(self, run_id: int, *, by: str = KEEPER, **given: Any) -> str:
        """Draw the next round and return its serials as text."""
        async with self.at(by) as desk:
            return (await printing.draw(desk.connection, desk.actor, run_id, **given)).serials

    async def drawn(self, *numbers: str) -> int:
        """Plan a run and draw its blanks."""
        run_id = await self.plan(*numbers)
        await self.draw(run_id)
        return run_id

    async def settle(
        self, run_id: int, printed: int, *, by: str = OPERATOR, **said: Any
    ) -> printing.Settled:
        async with self.at(by) as desk:
            return await settle_at(desk, run_id, Said(printed=printed, **said))

    async def close(self, run_id: int, *, by: str = KEEPER) -> printing.Run:
        async with self.at(by) as desk:
            return await printing.close(desk.connection, desk.actor, run_id)

    async def cancel(self, run_id: int, *, by: str = KEEPER) -> printing.Run:
        async with self.at(by) as desk:
            return await printing.cancel(desk.connection, desk.actor, run_id)

    async def printed(self, *numbers: str) -> int:
        """Take certificates from a plan to a closed run, all printed."""
        run_id = await self.drawn(*numbers)
        await self.settle(run_id, len(numbers))
        await self.close(run_id)
        return run_id

    async def listed(self, run_id: int) -> list[printing.Listed]:
        async with self.at(OPERATOR) as desk:
            return await printing.listed(desk.connection, run_id)

    async def hand_over(
        self, *numbers: str, collected: Collected = COLLECTED, by: str = OPERATOR
    ) -> int:
        async with self.at(by) as desk:
            return await hand_over_at(desk, *numbers, collected=collected)

    async def ask(self, kind: Kind, number: str, *, by: str = OPERATOR) -> int:
        async with self.at(by) as desk:
            return await ask_at(desk, kind, number)

    async def confirm(self, change_id: int, *, by: str = REVIEWER) -> Decided:
        async with self.at(by) as desk:
            return await changing.confirm(desk.connection, desk.actor, change_id)

    async def changed(self, kind: Kind, number: str) -> Decided:
        """Ask for a change and confirm it."""
        return await self.confirm(await self.ask(kind, number))

    async def papers(self) -> dict[str, int]:
        """The serial of the current paper of every number that has one."""
        async with self.world.connection() as owner:
            rows = await owner.fetch("select number, serial from paper where state <> 'ended'")
        return {row["number"]: row["serial"] for row in rows}

    async def stock(self, state: State) -> tuple[tuple[int, int], ...]:
        """The ranges of the city in one state."""
        async with self.world.connection() as owner:
            series = await blanks.find(owner, INNER.series_code)
            return await stationery.held(owner, CHENGDU, state, series)

    async def verdict(self, number: str) -> Verdict:
        """What the public is told of the newest version of a number."""
        async with self.world.connection() as connection, db.acting(connection, Role.PUBLIC):
            name = await connection.fetchval(
                "select name from entry where number = $1 order by version desc", number
            )
            now = datetime.datetime.now(datetime.UTC)
            return await verification.by_number(connection, number, name, now)


async def settle_at(desk: Desk, run_id: int, said: Said) -> printing.Settled:
    """Settle inside the act that a desk has begun, with the last number read off its sheet.

    What stands on the sheet is what was said; a test of anything else says what it reads itself.
    """
    if said.printed and not said.last:
        run = await printing.lock(desk.connection, desk.actor, run_id, printing.State.DRAWN)
        numerals = (await blanks.find(desk.connection, run.series_code or "")).numerals
        sheets = await printing.sheets(desk.connection, run)
        bearing = [one.number for one in settling.settle(sheets, said, numerals) if one.number]
        said = msgspec.structs.replace(said, last=bearing[-1])
    return await printing.settle(desk.connection, desk.actor, run_id, said)


async def hand_over_at(desk: Desk, *numbers: str, collected: Collected = COLLECTED) -> int:
    """Hand over inside the act that a desk has begun."""
    found = await papers.of_numbers(desk.connection, numbers)
    return await papers.hand_over(desk.connection, desk.actor, found, collected, today=TODAY)


async def ask_at(desk: Desk, kind: Kind, number: str) -> int:
    """Ask for a change inside the act that a desk has begun."""
    return await changing.ask(
        desk.connection, desk.actor, kind, number, reason="雨淋", document_number=DOCUMENT
    )


def filled(statement: str, names: Mapping[str, str]) -> str:
    """Put values in the place of `$names`."""
    for name, value in names.items():
        statement = statement.replace(name, value)
    return statement


async def build(world: World) -> Shop:
    """Issue certificates and bring blanks into stock."""
    approval = await world.approved(count=COUNT)
    await world.issue()
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    return Shop(world, approval.batch_id, tuple(sorted(approval.numbers)))


class Stage(msgspec.Struct, frozen=True):
    """Runs in every state, a paper, and a change of another one that waits."""

    wanting: str
    planned: int
    drawn: int
    settled: int
    paper: str
    change_id: int


async def stage(world: World, numbers: Sequence[str], series: NewSeries = OLDER) -> Stage:
    """Set up five issued certificates of Chengdu in a world without blanks."""
    await stationery.record(world, series)
    await stationery.supply(world, ranges((1, 9)), code=series.series_code)
    shop = Shop(world, 0, tuple(numbers))
    wanting, first, second, paper, changing = numbers
    settled = await shop.drawn(paper, changing)
    await shop.settle(settled, 2)
    change_id = await shop.ask(Kind.SPOIL, changing)
    return Stage(
        wanting, await shop.plan(first), await shop.drawn(second), settled, paper, change_id
    )
