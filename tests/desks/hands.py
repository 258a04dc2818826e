"""Hands: how somebody acts at a desk, and what must hold after each act whatever it was."""

import asyncio
import datetime
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random
from typing import Any, ClassVar

from hypothesis import note
from hypothesis.stateful import RuleBasedStateMachine, invariant

from service.checking import verification
from service.ground import db, errors
from service.ground.db import Role
from service.ground.errors import Refusal
from service.issuing.issuance import Press
from service.paper import blanks, ledger
from service.paper.blanks import Kind, check, records
from service.paper.ledger import Period
from service.paper.orders import Grounds
from service.registry import accounts
from service.registry.accounts import PROVINCE, Actor
from service.wiring import Desk
from tests import printshop
from tests.conftest import copies
from tests.desks.model import (
    CENTRES,
    CITIES,
    CODES,
    EVERYBODY,
    SHEETS_MAX,
    Certificate,
    Change,
    Consignment,
    Difference,
    Model,
    Order,
    Requisition,
    Run,
    Step,
    Stocktake,
    Wrongs,
    city_of,
    shelf,
    when,
)
from tests.stationery import DOCUMENT
from tests.world import World

OF_PROVINCE = (f"keeper-{PROVINCE}", "province", f"province-{PROVINCE}")
GROUNDS = Grounds(DOCUMENT, "随机")
CERTIFICATES = 20
"""Of each city."""


def rarely(luck: Random) -> bool:
    return luck.randrange(12) == 11


def somebody(luck: Random, *right: str) -> str:
    """Choose who acts: one who may, and now and then anybody."""
    return luck.choice(EVERYBODY if rarely(luck) else right)


def some(luck: Random, there: Sequence[int], count_max: int = 6) -> tuple[int, ...]:
    """Choose a few of these sheets, and now and then one that may be anywhere."""
    count = luck.randint(1, min(count_max, len(there))) if there else 0
    chosen = set(luck.sample(there, count))
    if not chosen or rarely(luck):
        chosen.add(luck.randrange(1, SHEETS_MAX))
    return tuple(sorted(chosen))


class Hands(RuleBasedStateMachine):
    """Two cities and the province, two series, and certificates that want paper."""

    server: ClassVar[str]
    world: ClassVar[World]
    runner: ClassVar[asyncio.Runner]
    press: ClassVar[Press]
    certificates: ClassVar[list[tuple[str, str, str]]]

    def __init__(self) -> None:
        """Begin in a copy of the prepared world."""
        super().__init__()
        self.stack = ExitStack()
        copied = self.stack.enter_context(contextmanager(copies)(self.server, self.world))
        self.connection = self.runner.run(db.connect(copied.address))
        self.stack.callback(lambda: self.runner.run(self.connection.close()))
        known = self.runner.run(blanks.every(self.connection))
        self.series = {one.series_code: one for one in known}
        self.model = Model(Certificate(*one) for one in self.certificates)
        self.uncovered = dict.fromkeys(CITIES, CERTIFICATES)
        self.requisitions: list[Requisition] = []
        self.consignments: list[Consignment] = []
        self.differences: list[Difference] = []
        self.orders: list[Order] = []
        self.stocktakes: list[Stocktake] = []
        self.runs: list[Run] = []
        self.changes: list[Change] = []
        self.log: list[tuple[int, Step]] = []
        for _, step, _ in self.runner.run(self._written()):
            self.model.move(step)
        self.made: list[tuple[Step, frozenset[str]]] = []
        self.came: Any = None
        self.turn = 0

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        """Movements with their persons, stock, runs and papers."""
        self.turn += 1
        wanted = Counter(
            (step.kind, step.code, serial, step.beginning, step.end, step.chain, persons)
            for step, persons in self.made for serial in step.some
        )  # fmt: skip
        self.made = []
        assert wanted == Counter(
            (step.kind, step.code, serial, step.beginning, step.end, step.chain, persons)
            for _, step, persons in self.runner.run(self._written()) for serial in step.some
        )  # fmt: skip
        stock, counts, papers = self.runner.run(self._kept())
        assert stock == self.model.sheets
        assert counts == {
            one.run_id: {kind: count for kind, count in one.counts.items() if count}
            for one in self.runs if one.rounds
        }  # fmt: skip
        for one in self.runs:
            ended = one.counts["print"] + one.counts["spoil"] + one.counts["return"]
            assert one.counts["draw"] == ended + len(one.sheets)
        assert papers == sorted(
            (one.number, one.paper.version, one.paper.code, one.paper.serial, one.paper.remark,
             self.model.sheets[one.paper.code][one.paper.serial])
            for one in self._papered() if one.paper
        )  # fmt: skip
        self.model.require_sums()

    @invariant()
    def the_public_is_told_the_last_digits_of_a_paper(self) -> None:
        """Of one certificate after another, in the newest version that is issued."""
        known = sorted(self.model.certificates.values(), key=lambda one: one.number)
        held = known[self.turn * 7 % len(known)]
        verdict = self.runner.run(self._verdict(held))
        is_newest = held.paper and held.paper.version == held.version - (not held.is_issued)
        digits = f"{held.paper.serial:04}" if held.paper and is_newest else None
        assert (verdict.number, verdict.paper_digits) == (held.number, digits)

    def teardown(self) -> None:
        """Replay everything that was written, and add the ledgers up."""
        try:
            assert self.runner.run(check.check(self.connection)) == []
            assert self.runner.run(records.check(self.connection)) == []
            for holder in CENTRES:
                for code in CODES:
                    self._add_up(holder, code)
        finally:
            self.stack.close()

    def _add_up(self, holder: str, code: str) -> None:
        told: list[tuple[Any, list[Any]]] = []

        def draw(head: Any, lines: Iterable[Any]) -> bytes:
            told.append((head, list(lines)))
            return b""

        day = datetime.timedelta(days=1)
        period = Period(printshop.TODAY - day, printshop.TODAY + day)
        act = partial(ledger.write, holder=holder, draw=draw)
        assert self._does("province", act, self.series[code], period)
        ((head, lines),) = told
        total = sum(one.received - one.issued - one.spoiled for one in lines)
        unused = {shelf(holder), (holder, "drawn")}
        held = sum(account in unused for account in self.model.sheets[code].values())
        assert (head.opening, head.opening + total, head.closing) == (0, held, held)

    def _does(
        self, by: str, act: Callable[..., Awaitable[Any]], *told: Any,
        moving: Iterable[Step] = (), unless: Wrongs | None = None, together: Iterable[str] = (),
    ) -> bool:  # fmt: skip
        """Let somebody act, hold what comes against the model, and say whether it was done."""
        steps = [step for step in moving if step.some]
        wrongs = (unless or set()) | self.model.wrongs(steps, city_of(by))
        wrongs |= when(any(map(self.model.is_counted, steps)), errors.StocktakeOpen)
        self.came = self.runner.run(self._act(by, act, told))
        name = getattr(act, "func", act).__qualname__
        note(f"{by} {name} {told} -> {type(self.came).__name__}")
        if wrongs:
            assert type(self.came) in wrongs, (by, name, self.came, wrongs)
            return False
        assert not isinstance(self.came, Refusal), (by, name, self.came)
        for step in steps:
            self.model.move(step)
            self.made.append((step, frozenset({by, *together})))
        return True

    async def _act(self, by: str, act: Callable[..., Awaitable[Any]], told: Sequence[Any]) -> Any:
        actor = Actor(by, accounts.Role(by.partition("-")[0]), city_of(by))
        try:
            async with Desk(self.connection, actor).acting():
                return await act(self.connection, actor, *told)
        except Refusal as refusal:
            return refusal

    async def _written(self) -> list[tuple[int, Step, frozenset[str]]]:
        """Read the movements made since the last look, and remember them."""
        rows = await self.connection.fetch(
            "select movement_id, blank_movement.kind, series_code, lower(serials), upper(serials),"
            " from_city, from_state, to_city, to_state, actor, second_actor, third_actor"
            " from blank_movement join blank_series using (series_id)"
            " where movement_id > $1 order by movement_id",
            self.log[-1][0] if self.log else 0,
        )
        written = []
        for row in rows:
            movement_id, kind, code, first, end, *ends = row[:9]
            beginning, ending = (
                None if state == "outside" else (city, state)
                for city, state in (ends[:2], ends[2:])
            )
            step = Step(Kind(kind), code, tuple(range(first, end)), beginning, ending)
            self.log.append((movement_id, step))
            written.append((movement_id, step, frozenset(one for one in row[9:] if one)))
        return written

    async def _kept(self) -> tuple[Any, Any, Any]:
        """Read the stock, what the movements tell of runs, and the current papers."""
        stock: dict[str, dict[int, Any]] = {code: {} for code in CODES}
        for code, first, end, city, state in await self.connection.fetch(
            "select series_code, lower(serials), upper(serials), city_code, state"
            " from blank_stock join blank_series using (series_id)"
        ):
            stock[code] |= dict.fromkeys(range(first, end), (city, state))
        counts: dict[int, dict[str, int]] = {}
        for run_id, kind, count in await self.connection.fetch(
            "select split_part(subject, ':', 2)::int, kind,"
            " sum(upper(serials) - lower(serials))::int from blank_movement"
            " where subject like 'print-run:%' group by 1, 2"
        ):
            counts.setdefault(run_id, {})[kind] = count
        rows = await self.connection.fetch(
            "select number, version, series_code, serial, remark, city_code, state"
            " from paper join blank_series using (series_id) where state <> 'ended' order by number"
        )
        return stock, counts, [(*row[:5], (row[5], row[6])) for row in rows]

    async def _verdict(self, held: Certificate) -> Any:
        now = datetime.datetime.now(datetime.UTC)
        async with db.acting(self.connection, Role.PUBLIC):
            return await verification.by_number(self.connection, held.number, held.name, now)

    def _one_of(self, luck: Random, known: list[Any], is_open: Callable[[Any], bool]) -> Any:
        """Choose one that is open, and now and then any."""
        still = [one for one in known if is_open(one)]
        return luck.choice(known if rarely(luck) or not still else still)

    def _papered(self) -> list[Certificate]:
        return [one for one in self.model.certificates.values() if one.paper]

    def _is_ready(self, one: Certificate) -> bool:
        """Whether a paper may be handed over."""
        return (
            one.paper is not None
            and self.model.sheets[one.paper.code][one.paper.serial][1] == "printed"
            and (one.standing, one.is_issued, one.version) == ("valid", True, one.paper.version)
        )
