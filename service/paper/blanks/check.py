"""The check of the books: every chain followed, every movement replayed, all stock compared.

It trusts neither the trigger that keeps the stock nor the stock itself: movements are replayed here
in the order in which they were written, and what does not follow is named, the first of each chain
and of each series. What rooms above tell of their acts is compared in `records`. A city checks its
own accounts; what lies beyond them counts as outside.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.paper.blanks import State, serials
from service.paper.blanks.serials import Numerals, Range
from service.registry.accounts import PROVINCE, Actor

_sql = statements.beside(__file__)
_PAGE = 20_000
_DIFFERING_MAX = 100

Account = tuple[str, str]
"""A city and a state."""


class Fault(msgspec.Struct, frozen=True):
    """The first thing wrong of its kind: in a chain, in a replay, or in the stock."""

    city_code: str
    series_code: str
    movement_id: int | None
    reason_zh: str
    reason_en: str
    serials: str = ""
    record: str = ""


class Head(msgspec.Struct, frozen=True):
    """The end of a chain; whoever keeps it elsewhere sees a whole chain that is forged anew."""

    city_code: str
    series_code: str
    sequence: int
    hash: bytes


class _Broken(msgspec.Struct, frozen=True):
    city_code: str
    series_code: str
    movement_id: int | None
    reason: str


class _Replayed(msgspec.Struct, frozen=True):
    movement_id: int
    city_code: str
    series_id: int
    first_serial: int
    last_serial: int
    from_city: str
    from_state: str
    to_city: str
    to_state: str


class _Stocked(msgspec.Struct, frozen=True):
    series_id: int
    first_serial: int
    last_serial: int
    city_code: str
    state: str


class _Written(msgspec.Struct, frozen=True):
    series_id: int
    series_code: str
    prefix: str
    digit_count: int


_REASONS = {
    "removed": ("有流水被删除", "a movement was removed"),
    "unlinked": ("流水与上一条不衔接", "a movement does not follow from the one before"),
    "changed": ("流水被改动", "a movement was changed"),
    "added": ("链尾之后多出流水", "movements follow after the end of the chain"),
    "cut off": ("链尾被截断", "the end of the chain was cut off"),
    "pathless": ("不是许可的移动", "no path permits this movement"),
    "not there": ("移动时不在该处", "moved from where they were not"),
    "there already": ("重复入账", "entered the books twice"),
    "stock": ("库存与流水不符", "the stock differs from the movements"),
}

_broken = _sql.many("broken_chains", _Broken)
_pathless = _sql.many("pathless", _Broken)
_page = _sql.many("page", _Replayed)
_stocked = _sql.many("stocked", _Stocked)
_written = _sql.many("written", _Written)
_heads = _sql.many("heads", Head)


class Replay:
    """The serials of one series, and the account of each range; outside is no account."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._accounts: list[Account] = []

    def move(self, one: Range, beginning: Account | None, end: Account | None) -> str | None:
        """Move a range; says what does not hold, and moves it all the same."""
        start = bisect_right(self._firsts, one.first)
        if start and self._lasts[start - 1] >= one.first:
            start -= 1
        stop = bisect_right(self._firsts, one.last)
        there = list(self._parts(start, stop))
        rest = [
            (part, account)
            for whole, account in there
            for part in (
                Range(whole.first, min(whole.last, one.first - 1)),
                Range(max(whole.first, one.last + 1), whole.last),
            )
            if part.first <= part.last
        ]
        if end is not None:
            rest.append((one, end))
        rest.sort()
        self._firsts[start:stop] = [part.first for part, _ in rest]
        self._lasts[start:stop] = [part.last for part, _ in rest]
        self._accounts[start:stop] = [account for _, account in rest]
        if beginning is None:
            return "there already" if there else None
        covered = sum(
            min(part.last, one.last) - max(part.first, one.first) + 1
            for part, account in there
            if account == beginning
        )
        return None if covered == one.count else "not there"

    def ranges(self) -> list[tuple[Range, Account]]:
        """Return every range with its account, those that touch joined."""
        return _joined(self._parts(0, len(self._firsts)))

    def _parts(self, start: int, stop: int) -> Iterable[tuple[Range, Account]]:
        for place in range(start, stop):
            yield Range(self._firsts[place], self._lasts[place]), self._accounts[place]


async def check(connection: Connection, actor: Actor | None = None) -> list[Fault]:
    """Check the books that the actor may see, all of them without one; empty where all is well."""
    only = None if actor is None or actor.city_code == PROVINCE else actor.city_code
    written = {one.series_id: one for one in await _written(connection)}
    faults = [
        Fault(one.city_code, one.series_code, one.movement_id, *_REASONS[one.reason])
        for one in [*await _broken(connection), *await _pathless(connection)]
    ]
    replays, misfits = await _replay(connection, only, written)
    return [*faults, *misfits, *await _compare(connection, only, written, replays)]


async def heads(connection: Connection) -> list[Head]:
    """Return the end of every chain that the actor may see."""
    return await _heads(connection)


async def _replay(
    connection: Connection, only: str | None, written: Mapping[int, _Written]
) -> tuple[dict[int, Replay], list[Fault]]:
    """Replay every movement, and name the first of each series that could not have been."""
    replays: dict[int, Replay] = defaultdict(Replay)
    misfits: dict[int, Fault] = {}
    after = 0
    while page := await _page(connection, after=after, count=_PAGE):
        for moved in page:
            part = Range(moved.first_serial, moved.last_serial)
            ends = [
                None if state == State.OUTSIDE or only not in (None, city) else (city, state)
                for city, state in (
                    (moved.from_city, moved.from_state), (moved.to_city, moved.to_state),
                )
            ]  # fmt: skip
            reason = replays[moved.series_id].move(part, *ends)
            if reason and moved.series_id not in misfits:
                series = written[moved.series_id]
                misfits[moved.series_id] = _fault(
                    series, moved.city_code, moved.movement_id, reason, part
                )
        after = page[-1].movement_id
    return replays, list(misfits.values())


async def _compare(
    connection: Connection,
    only: str | None,
    written: Mapping[int, _Written],
    replays: Mapping[int, Replay],
) -> list[Fault]:
    """Name the first serials of each series whose stock is not what the movements made it."""
    stocked: dict[int, list[tuple[Range, Account]]] = defaultdict(list)
    for one in await _stocked(connection):
        if only in (None, one.city_code):
            stocked[one.series_id].append(
                (Range(one.first_serial, one.last_serial), (one.city_code, one.state))
            )
    faults = []
    for series_id, series in written.items():
        replayed = replays[series_id].ranges() if series_id in replays else []
        if differing := _first_difference(replayed, _joined(stocked[series_id])):
            part, (city_code, _) = differing
            faults.append(_fault(series, city_code, None, "stock", part))
    return faults


def _joined(parts: Iterable[tuple[Range, Account]]) -> list[tuple[Range, Account]]:
    """Join what touches in one account; they are in order."""
    joined: list[tuple[Range, Account]] = []
    for part, account in parts:
        before = joined[-1] if joined else None
        if before and before[1] == account and before[0].last + 1 == part.first:
            joined[-1] = (Range(before[0].first, part.last), account)
        else:
            joined.append((part, account))
    return joined


def _first_difference(
    replayed: Collection[tuple[Range, Account]], stocked: Collection[tuple[Range, Account]]
) -> tuple[Range, Account] | None:
    """Return the first serials that one of the two has in an account and the other has not."""
    differing = sorted(set(replayed) ^ set(stocked))[:_DIFFERING_MAX]
    if not differing:
        return None
    account = differing[0][1]
    of_account = [one for one in differing if one[1] == account]
    left = [one[0] for one in of_account if one in replayed]
    right = [one[0] for one in of_account if one not in replayed]
    return min(serials.minus(left, right) + serials.minus(right, left)), account


def _fault(
    series: _Written, city_code: str, movement_id: int | None, reason: str, part: Range
) -> Fault:
    text = Numerals(series.prefix, series.digit_count).range_text(part)
    return Fault(city_code, series.series_code, movement_id, *_REASONS[reason], text)
