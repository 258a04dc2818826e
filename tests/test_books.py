"""The books under random hands: two cities and the province against a list of every sheet.

Each step is one movement, well or badly made, by one of the actors on real PostgreSQL; a model that
lists every sheet says beforehand what must come of it. After each step the stock is the model's and
the sums of a ledger hold: what was dispatched to a city is in transit, received or short, and what
a city has ever got is somewhere.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.ground.errors import (
    MovedSince,
    MovementImpossible,
    NotYourCity,
    Refusal,
    SerialsElsewhere,
    SerialsInOtherState,
    SerialsKnown,
    SerialsUnknown,
)
from service.paper import blanks
from service.paper.blanks import Kind, Movement, State, check, serials
from service.registry.accounts import PROVINCE
from service.wiring import Desk
from tests import stationery
from tests.world import CHENGDU, MIANYANG, World

SHEETS_MAX = 60
CITIES = (CHENGDU, MIANYANG)
_codes = itertools.count()


class Path(msgspec.Struct, frozen=True):
    kind: Kind
    from_state: State
    to_state: State
    from_side: str
    to_side: str
    whose: str
    person_count: int
    counterable: bool

    def holder(self, side: str, city_code: str) -> str:
        return PROVINCE if side == "province" else city_code

    def fits(self, city_code: str) -> bool:
        """Whether it makes sense in this city's chain."""
        if self.from_side == self.to_side == "province":
            return city_code == PROVINCE
        return city_code != PROVINCE or self.whose == "either"


class Made(msgspec.Struct, frozen=True):
    """A movement that was made, with the sheets that it moved."""

    movement_id: int
    city_code: str
    path: Path
    some: tuple[int, ...]
    is_counter: bool = False


class Books(RuleBasedStateMachine):
    """Two cities, the province and one series."""

    world: ClassVar[World]
    runner: ClassVar[asyncio.Runner]
    desks: ClassVar[dict[str, Desk]]
    paths: ClassVar[list[Path]]

    @initialize()
    def begin(self) -> None:
        """Print a new series of paper."""
        code = f"b{next(_codes)}x"
        series = msgspec.structs.replace(stationery.INNER, series_code=code, prefix=code)
        self.runner.run(stationery.record(self.world, series))
        self.series = self.runner.run(blanks.find(self.desks[PROVINCE].connection, code))
        self.made: list[Made] = []
        self.sheets = {serial: (CITIES[serial % 20 >= 10], "at-city") for serial in range(20)}
        for place, city in enumerate(CITIES):
            ends = (10 * place, 10 * place + 9)
            supplying = stationery.supply(
                self.world, stationery.ranges(ends), city_code=city, code=code
            )
            self.runner.run(supplying)

    @rule(data=st.data(), city_code=st.sampled_from((*CITIES, PROVINCE)), persons=st.integers(1, 3))
    def move_anything(self, data: st.DataObject, city_code: str, persons: int) -> None:
        """Move any sheets along any path, mostly in vain."""
        path = data.draw(st.sampled_from(self.paths))
        known = st.sampled_from(sorted(self.sheets) or [0])
        some = data.draw(st.sets(known | st.integers(0, SHEETS_MAX), min_size=1, max_size=12))
        self._attempt(data, path, city_code, sorted(some), persons)

    @rule(data=st.data(), city_code=st.sampled_from((*CITIES, PROVINCE)))
    def move_what_is_there(self, data: st.DataObject, city_code: str) -> None:
        """Move sheets that are where the path begins, by as many persons as it needs."""
        possible = [one for one in self.paths if self._there(one, city_code)]
        if possible:
            state = data.draw(st.sampled_from(sorted({one.from_state for one in possible})))
            path = data.draw(st.sampled_from([one for one in possible if one.from_state is state]))
            some = data.draw(st.sets(st.sampled_from(self._there(path, city_code)), min_size=1))
            self._attempt(data, path, city_code, sorted(some), path.person_count)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def counter(self, data: st.DataObject) -> None:
        """Take a movement back, or a part of it, whether or not it can be."""
        one = data.draw(st.sampled_from(self.made[-8:]))
        some = sorted(data.draw(st.sets(st.sampled_from(one.some), min_size=1)))
        back = msgspec.structs.replace(
            one.path, from_state=one.path.to_state, to_state=one.path.from_state,
            from_side=one.path.to_side, to_side=one.path.from_side, kind=Kind.COUNTER,
            person_count=max(2, one.path.person_count),
        )  # fmt: skip
        touched = [later for later in self.made if later.movement_id > one.movement_id]
        since = any(set(later.some) & set(some) for later in touched)
        covered = len(serials.of(one.some)) == 1 and not one.is_counter
        self._attempt(
            data, back, one.city_code, some, back.person_count,
            counters=one.movement_id, since=since, counterable=one.path.counterable and covered,
        )  # fmt: skip

    @invariant()
    def the_stock_is_what_the_model_says(self) -> None:
        """Every sheet is in one place and state, and ranges that touch are joined."""
        if not hasattr(self, "series"):
            return
        rows = self.runner.run(self._fetch(
            "select lower(serials), upper(serials) - 1, city_code, state from blank_stock"
            " where series_id = $1 order by 1"
        ))  # fmt: skip
        listed = {n: (city, state) for first, last, city, state in rows
                  for n in range(first, last + 1)}  # fmt: skip
        assert listed == self.sheets
        assert len(rows) == sum(
            self.sheets.get(serial - 1) != account for serial, account in self.sheets.items()
        )

    @invariant()
    def the_sums_of_a_ledger_hold(self) -> None:
        """Dispatched = in transit + received + short; what a city has got is somewhere."""
        if not hasattr(self, "series"):
            return
        rows = self.runner.run(self._fetch(
            "select moved.city_code, coalesce(back.kind, moved.kind),"
            " coalesce(back.from_state, moved.from_state), coalesce(back.to_state, moved.to_state),"
            " sum((upper(moved.serials) - lower(moved.serials))"
            " * case when back.kind is null then 1 else -1 end)::int"
            " from blank_movement moved left join blank_movement back"
            " on back.movement_id = moved.counters where moved.series_id = $1 group by 1, 2, 3, 4"
        ))  # fmt: skip
        flows: Counter[tuple[str, ...]] = Counter()
        for *key, count in rows:
            flows[tuple(key)] += count
        stock = Counter(self.sheets.values())
        for city in CITIES:

            def flow(kind: str, *states: str, of: str = city) -> int:
                return sum(
                    count
                    for (city_code, known, *ends), count in flows.items()
                    if (city_code, known) == (of, kind) and ends[: len(states)] == list(states)
                )

            short = flow("short") - flow("arrive")
            received = flow("receive") + flow("arrive")
            assert flow("dispatch") == stock[city, "in-transit"] + received + short
            assert flow("short") == stock[city, "short"] + sum(
                flow(kind, "short") for kind in ("arrive", "unsent", "lose")
            )
            adjusted = flow("adjust", "outside") + flow("extra")
            assert flow("open") + received + adjusted == flow("take-back") + sum(
                stock[city, state]
                for state in ("at-city", "drawn", "printed", "handed-over", "pending-destruction",
                              "destroyed", "lost", "sent-back")
            )  # fmt: skip
            assert flow("draw") == stock[city, "drawn"] + sum(
                flow(kind, "drawn") for kind in ("print", "spoil", "return")
            )

    def teardown(self) -> None:
        """Replay everything that was written."""
        if hasattr(self, "series"):
            assert self.runner.run(check.check(self.desks[PROVINCE].connection)) == []

    def _there(self, path: Path, city_code: str) -> list[int]:
        """List the sheets that this path could move in this city's chain."""
        if not path.fits(city_code):
            return []
        if path.from_state is State.OUTSIDE:
            return [serial for serial in range(SHEETS_MAX) if serial not in self.sheets]
        account = (path.holder(path.from_side, city_code), path.from_state.value)
        return [serial for serial, where in self.sheets.items() if where == account]

    def _attempt(
        self, data: st.DataObject, path: Path, city_code: str, some: list[int], persons: int,
        *, counters: int | None = None, since: bool = False, counterable: bool = True,
    ) -> None:  # fmt: skip
        if not path.fits(city_code):
            return
        right = PROVINCE if path.whose == "province" else city_code
        by = data.draw(st.sampled_from([right, right, right, PROVINCE, city_code]))
        expected = self._expected(
            path, city_code, some, persons, by=by, since=since, counterable=counterable
        )
        helpers = ["province", f"province-{PROVINCE}"][: persons - 1]
        moving = Movement(
            kind=path.kind, city_code=city_code, from_state=path.from_state,
            to_state=path.to_state, ranges=serials.of(some), document_number="文〔2026〕1号",
            subject="test:1", second_actor=helpers[0] if helpers else None,
            third_actor=helpers[1] if len(helpers) > 1 else None, counters=counters,
        )  # fmt: skip
        came = self.runner.run(self._move(by, moving))
        if expected is not None:
            assert type(came) is expected, (came, path, by)
            return
        assert isinstance(came, list), came
        for serial in some:
            if path.to_state is State.OUTSIDE:
                del self.sheets[serial]
            else:
                self.sheets[serial] = (path.holder(path.to_side, city_code), path.to_state.value)
        for movement_id, one in zip(came, serials.of(some), strict=True):
            self.made.append(
                Made(movement_id, city_code, path, tuple(serials.each([one])), counters is not None)
            )

    def _expected(
        self, path: Path, city_code: str, some: list[int], persons: int,
        *, by: str, since: bool, counterable: bool,
    ) -> type[Refusal] | None:  # fmt: skip
        """Say what the first thing wrong is, in the documented order."""
        if misplaced := self._misplaced(path, city_code, some, by):
            return misplaced
        if persons < path.person_count or not counterable:
            return MovementImpossible
        if path.whose != "either" and (path.whose == "province") != (by == PROVINCE):
            return NotYourCity
        return MovedSince if since else None

    def _misplaced(
        self, path: Path, city_code: str, some: list[int], by: str
    ) -> type[Refusal] | None:
        where = [self.sheets.get(serial) for serial in some]
        holder = PROVINCE if path.from_state is State.AT_PROVINCE else city_code
        if path.from_state is State.OUTSIDE:
            return SerialsKnown if any(where) else None
        if None in where:
            return SerialsUnknown
        if any(one and (one[0] not in {holder, city_code} or by not in (PROVINCE, one[0]))
               for one in where):  # fmt: skip
            return SerialsElsewhere
        is_there = all(one == (holder, path.from_state.value) for one in where)
        return None if is_there else SerialsInOtherState

    async def _move(self, by: str, moving: Movement) -> list[int] | Refusal:
        desk = self.desks[by]
        try:
            async with desk.acting():
                return await blanks.move(desk.connection, desk.actor, self.series, moving)
        except Refusal as refusal:
            return refusal

    async def _fetch(self, statement: str) -> list[Any]:
        return list(await self.desks[PROVINCE].connection.fetch(statement, self.series.series_id))


@pytest.fixture
def books(shared_world: World) -> Iterator[type[Books]]:
    """A machine with a desk for each actor, on a loop of its own."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        Books.world, Books.runner = shared_world, runner
        Books.desks = {
            city: runner.run(stack.enter_async_context(shared_world.desk(f"keeper-{city}")))
            for city in (*CITIES, PROVINCE)
        }
        fetching = Books.desks[PROVINCE].connection.fetch("select * from blank_path")
        Books.paths = [msgspec.convert(dict(row), Path) for row in runner.run(fetching)]
        yield Books
        runner.run(stack.aclose())


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def test_random_hands_never_leave_the_books_wrong(books: type[Books]) -> None:
    run_state_machine_as_test(books, settings=_settings(8, 40))


@pytest.mark.long
def test_thousands_of_random_movements_never_leave_the_books_wrong(books: type[Books]) -> None:
    run_state_machine_as_test(books, settings=_settings(80, 120))
