"""The desks under random hands: everybody who has to do with paper, against a list of every sheet.

Each step is an act of a room as people use it, well or badly made, by one of the accounts of two
cities and the province on real PostgreSQL. A model says beforehand what must come of it, or which
refusals it may be. After each step the movements are those of the act under the names of those who
made them, the stock is the model's, the sums hold, a number has at most one current paper, which
is the model's, and the public is told its last digits.
"""

import asyncio
import datetime
from collections.abc import Callable, Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from service import wiring
from service.paper import blanks, supply
from tests import printshop, stationery
from tests.desks.hands import CERTIFICATES
from tests.desks.model import CITIES, CODES, ENDED, KEEPERS
from tests.desks.ordering import Ordering
from tests.desks.printing import Printing
from tests.desks.supplying import Supplying
from tests.stationery import DOCUMENT, ranges
from tests.world import World

SHELVED = (((1, 8), (9, 16), (17, 20)), ((1, 10), (11, 20), (21, 32)))
"""What stands on each shelf as it begins: by series, of the two cities and of the province."""


class Desks(Supplying, Ordering, Printing):
    """Everybody who has to do with paper, one act after another."""

    @rule(seed=st.integers(0, 2**32))
    def somebody_acts(self, seed: int) -> None:
        """Do one of the acts that there is something to do for."""
        luck = Random(f"{seed} {self.turn}")  # noqa: S311 - of a test
        held, sent, asked = self.model.certificates.values(), self.consignments, self.changes
        acts: dict[Callable[[Random], None], int] = {
            self.take_in: 1, self.dispatch: 3, self.send_back: 1, self.spoil: 1,
            self.ask_for_paper: 1, self.decide_on_paper: 2 * bool(self.requisitions),
            self.receive: 4 * any(one.state == "dispatched" for one in sent),
            self.undo: any(one.state == "dispatched" for one in sent),
            self.settle_a_difference: 3 * any(one.open for one in self.differences),
            self.ask_for_an_order: 3, self.ask_to_counter: 2,
            self.decide_on_an_order: 8 * any(not one.is_decided for one in self.orders),
            self.open_a_stocktake: 2,
            self.go_on_with_a_stocktake: 9 * any(one.state != "ended" for one in self.stocktakes),
            self.plan_a_run: 2,
            self.go_on_with_a_run: 9 * any(one.state not in ENDED for one in self.runs),
            self.hand_over: 3 * any(map(self._is_ready, held)),
            self.ask_to_change_a_paper: 4 * bool(self._papered()),
            self.decide_on_a_paper: 3 * any(not one.is_decided for one in asked),
            self.change_a_certificate: 2,
            self.issue: 2 * (not all(one.is_issued for one in held)),
        }  # fmt: skip
        (act,) = luck.choices(list(acts), list(acts.values()))
        act(luck)


async def _prepare(world: World) -> list[tuple[str, str, str]]:
    """Issue certificates and fill the shelves."""
    for place, city in enumerate(CITIES):
        await world.approved(city, CERTIFICATES, serial=1000 * place)
    await world.issue()
    await stationery.record(world, printshop.OLDER, stationery.INNER)
    for code, shelved in zip(CODES, SHELVED, strict=True):
        for city, ends in zip(CITIES, shelved, strict=False):
            await stationery.supply(world, ranges(ends), city_code=city, code=code)
        async with world.desk(KEEPERS[-1]) as desk, desk.acting():
            series = await blanks.find(desk.connection, code)
            delivered = ranges(shelved[-1])
            await supply.take_in(desk.connection, desk.actor, series, delivered, DOCUMENT)
    async with world.connection() as owner:
        return [
            tuple(row)
            for row in await owner.fetch("select number, name, city_code from certificate")
        ]


@pytest.fixture(scope="module")
def prepared(shared_world: World, server: str) -> Iterator[type[Desks]]:
    """A machine that begins each time in a copy of one world."""
    with asyncio.Runner() as runner:
        Desks.server, Desks.world, Desks.runner = server, shared_world, runner
        Desks.certificates = runner.run(_prepare(shared_world))
        Desks.press = wiring.press(shared_world.settings, datetime.datetime.now(datetime.UTC))
        yield Desks


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def test_random_hands_at_all_desks_leave_every_sheet_accounted_for(prepared: type[Desks]) -> None:
    run_state_machine_as_test(prepared, settings=_settings(8, 50))


@pytest.mark.long
def test_thousands_of_acts_at_all_desks_leave_every_sheet_accounted_for(
    prepared: type[Desks],
) -> None:
    run_state_machine_as_test(prepared, settings=_settings(30, 240))
