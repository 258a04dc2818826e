"""Printing: runs that put certificates on numbered blanks, and say at any time which on which.

An operator plans a run of certificates that want paper, a keeper draws its blanks, lowest serial to
lowest number, an operator prints and settles what became of every sheet, and a keeper closes it.
Certificates left without paper take the next serials in another round. The database holds the books
to it: a certificate has one current paper, drawn = printed + spoiled + returned.

Source: 川人社职鉴〔2025〕35号, 五 (证书打印).
"""

import datetime
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    BlanksTooFew,
    Finding,
    NothingToPrint,
    PrintedPerhaps,
    RunFallen,
    RunInOtherState,
    RunUnknown,
    SerialsMiscounted,
    SeriesUnknown,
)
from service.issuing.certificates import STANDING_WORDS
from service.paper import blanks
from service.paper.blanks import Kind, Movement, PaperKind, Series, serials
from service.paper.blanks.serials import Numerals, Range
from service.paper.printing import settling
from service.paper.printing.settling import Outcome, Said
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)


class State(StrEnum):
    """Where a run stands."""

    PLANNED = "planned"
    DRAWN = "drawn"
    SETTLED = "settled"
    CLOSED = "closed"
    CANCELLED = "cancelled"


STATE_WORDS = {
    State.PLANNED: ("待领用", "planned"),
    State.DRAWN: ("待结算", "drawn"),
    State.SETTLED: ("待关闭", "settled"),
    State.CLOSED: ("已关闭", "closed"),
    State.CANCELLED: ("已取消", "cancelled"),
}

_MOVEMENTS = {
    Outcome.DRAWN: (Kind.DRAW, blanks.State.AT_CITY, blanks.State.DRAWN),
    Outcome.PRINTED: (Kind.PRINT, blanks.State.DRAWN, blanks.State.PRINTED),
    Outcome.SPOILED: (Kind.SPOIL, blanks.State.DRAWN, blanks.State.PENDING_DESTRUCTION),
    Outcome.RETURNED: (Kind.RETURN, blanks.State.DRAWN, blanks.State.AT_CITY),
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run and its newest round; `left_count` are certificates of it that have no paper of it.

    `profile_id` is the printer profile under which the round's faces were made the last time.
    """

    run_id: int
    city_code: str
    series_code: str | None
    state: State
    planned_by: str
    planned_at: datetime.datetime
    round: int
    pdf_count: int
    profile_id: int | None
    line_count: int
    left_count: int


class Drawn(msgspec.Struct, frozen=True):
    """The blanks of a round, in order."""

    round: int
    series_code: str
    serials: str
    sheet_count: int


class Settled(msgspec.Struct, frozen=True):
    """What became of the sheets of a round."""

    printed: int
    spoiled: int
    returned: int
    left_count: int


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One sheet of a run, or one line that has none.

    `number` was planned for it, `carries` is what it bears in truth; name and remark are of that,
    or of what was planned where it bears nothing.
    """

    round: int | None
    position: int
    serial: str | None
    number: str
    name: str
    remark: str
    outcome: str | None
    carries: str | None
    paper: str | None


class _Line(msgspec.Struct, frozen=True):
    number: str
    version: int


_lock = _sql.run("lock_run")
_find = _sql.perhaps("find_run", Run)
_runs = _sql.many("all_runs", Run)
_left = _sql.many("left_lines", _Line)
_begin_round = _sql.run("begin_round")
_add_sheets = _sql.run("add_sheets")
_sheets = _sql.many("sheets_of_round", settling.Sheet)
_settle_sheets = _sql.run("settle_sheets")
_add_papers = _sql.run("add_papers")
_settle_round = _sql.run("settle_round")
_digest = _sql.one("round_digest", str)
_end = _sql.run("end_run")
_listed = _sql.many("listed", Listed)


async def draw(
    connection: Connection,
    actor: Actor,
    run_id: int,
    *,
    series_code: str | None = None,
    typed: str | None = None,
) -> Drawn:
    """Draw the blanks of the next round: the next free serials, or those that are typed.

    Without a series it is that of the run, or else the oldest of inner sheets that has any free.

    Raises:
        RunUnknown, RunInOtherState: there is none in this city, or a round of it is open.
        NothingToPrint: no certificate of it wants paper any more.
        SeriesUnknown, BlanksTooFew: there is no such inner series, or not enough of it.
        SerialsMiscounted: the typed serials are more or fewer than the certificates.
        SecondPersonNeeded: who planned the run does not draw its blanks.
        what `blanks.move` does: typed serials are not all free.
    """
    accounts.require(actor, Act.RUN_DRAW)
    run = await lock(connection, actor, run_id, State.PLANNED, State.SETTLED)
    lines = await _left(connection, run_id=run_id)
    if not lines:
        raise NothingToPrint(run_id=run_id)
    series = await _series(connection, run, series_code, len(lines))
    if typed is None:
        ranges = await blanks.free(connection, run.city_code, series, len(lines))
    else:
        ranges = series.numerals.read(typed)
        if serials.count(ranges) != len(lines):
            raise SerialsMiscounted(given=serials.count(ranges), wanted=len(lines))
    await _begin_round(
        connection,
        run_id=run_id,
        round=run.round + 1,
        city_code=run.city_code,
        series_id=series.series_id,
        account_name=actor.account_name,
    )
    await blanks.move(connection, actor, series, _movement(run, Outcome.DRAWN, ranges))
    await _add_sheets(
        connection,
        run_id=run_id,
        round=run.round + 1,
        city_code=run.city_code,
        series_id=series.series_id,
        serials=serials.each(ranges),
        numbers=[line.number for line in lines],
        versions=[line.version for line in lines],
    )
    serials_text = series.numerals.ranges_text(ranges)
    drawn = Drawn(run.round + 1, series.series_code, serials_text, len(lines))
    await _tell(connection, actor, Act.RUN_DRAW, run, msgspec.structs.asdict(drawn))
    return drawn


async def settle(connection: Connection, actor: Actor, run_id: int, said: Said) -> Settled:
    """Settle the open round: every sheet is printed, spoiled or returned, as it is said.

    Raises:
        RunUnknown, RunInOtherState: there is none in this city, or nothing of it is drawn.
        RunFallen: a sheet said to be printed bears a certificate that stands no more.
        what `settling.settle` does, where what is said leaves anything open.
    """
    accounts.require(actor, Act.RUN_SETTLE)
    run = await lock(connection, actor, run_id, State.DRAWN)
    series = await blanks.find(connection, run.series_code or "")
    drawn = await sheets(connection, run)
    outcomes = settling.settle(drawn, said, series.numerals)
    settling.require_last(drawn, outcomes, said, series.numerals)
    by_number = {sheet.number: sheet for sheet in drawn}
    bearing = [
        msgspec.structs.replace(by_number[one.number], serial=one.serial)
        for one in outcomes
        if one.number is not None
    ]
    require_standing(run, bearing, series.numerals)
    settled = await _write_outcomes(connection, actor, run, series, outcomes)
    digest = await _digest(connection, run_id=run_id, round=run.round)
    detail = {"round": run.round, "pdf_count": run.pdf_count, "sheets": digest}
    await _tell(connection, actor, Act.RUN_SETTLE, run, msgspec.structs.asdict(settled) | detail)
    return settled


async def close(connection: Connection, actor: Actor, run_id: int) -> Run:
    """Close a settled run: its spoiled and returned sheets are in the keeper's hand.

    What of it is left without paper may be planned again. Returns the run as it stood.

    Raises:
        RunUnknown, RunInOtherState: there is none in this city, or it is not settled.
        SecondPersonNeeded: who settled does not close.
    """
    accounts.require(actor, Act.RUN_CLOSE)
    run = await lock(connection, actor, run_id, State.SETTLED)
    await _end(connection, run_id=run_id, state=State.CLOSED, account_name=actor.account_name)
    await _tell(connection, actor, Act.RUN_CLOSE, run, {"left": run.left_count})
    return run


async def cancel(connection: Connection, actor: Actor, run_id: int) -> Run:
    """Cancel a run before anything is printed; drawn sheets return, which takes a keeper.

    Raises:
        RunUnknown, RunInOtherState: there is none in this city, or it has been settled.
        PrintedPerhaps: its faces were made, so that sheets may be printed: settle it instead.
    """
    accounts.require(actor, Act.RUN_CANCEL)
    run = await lock(connection, actor, run_id, State.PLANNED, State.DRAWN)
    if run.state is State.DRAWN:
        accounts.require(actor, Act.RUN_CLOSE)
        if run.round > 1:
            raise _in_other_state(run, State.PLANNED)
        if run.pdf_count:
            raise PrintedPerhaps(run_id=run_id)
        series = await blanks.find(connection, run.series_code or "")
        drawn = await sheets(connection, run)
        back = [settling.Settled(one.position, one.serial, Outcome.RETURNED) for one in drawn]
        await _write_outcomes(connection, actor, run, series, back)
    await _end(connection, run_id=run_id, state=State.CANCELLED, account_name=actor.account_name)
    await _tell(connection, actor, Act.RUN_CANCEL, run, {"state": run.state})
    return run


async def sheets(connection: Connection, run: Run) -> list[settling.Sheet]:
    """Return the sheets of a run's newest round, in the order of their serials."""
    return await _sheets(connection, run_id=run.run_id, round=run.round)


async def runs(connection: Connection) -> list[Run]:
    """List the runs of the actor's city, newest first."""
    return await _runs(connection)


async def listed(connection: Connection, run_id: int) -> list[Listed]:
    """Say of every sheet of a run, in order, which certificate it bears or is to bear.

    Raises: RunUnknown.
    """
    found = await _listed(connection, run_id=run_id)
    if not found:
        raise RunUnknown(run_id=run_id)
    return found


async def lock(connection: Connection, actor: Actor, run_id: int, *states: State) -> Run:
    """Hold a run of the actor's own city for this transaction.

    Raises: RunUnknown, RunInOtherState.
    """
    await _lock(connection, run_id=run_id)
    run = await _find(connection, run_id=run_id)
    if run is None or run.city_code != actor.city_code:
        raise RunUnknown(run_id=run_id)
    if run.state not in states:
        raise _in_other_state(run, *states)
    return run


def _in_other_state(run: Run, *states: State) -> RunInOtherState:
    return RunInOtherState(
        run_id=run.run_id,
        state=" ".join(STATE_WORDS[run.state]),
        wanted="、".join(" ".join(STATE_WORDS[state]) for state in states),
    )


async def _series(connection: Connection, run: Run, series_code: str | None, wanted: int) -> Series:
    """Choose the series of a round: that of the run, the one asked for, the oldest with stock."""
    known = {
        one.series_code: one
        for one in await blanks.every(connection)
        if one.kind is PaperKind.INNER
    }
    codes = "、".join(known) or "–"
    asked = run.series_code or series_code
    if asked is not None:
        if asked not in known or series_code not in (None, asked):
            raise SeriesUnknown(series_code=series_code, codes=run.series_code or codes)
        return known[asked]
    for one in known.values():
        if await blanks.held(connection, run.city_code, one, blanks.State.AT_CITY):
            return one
    raise BlanksTooFew(series_code=codes, wanted=wanted, free=0)


def _movement(run: Run, outcome: Outcome, ranges: Sequence[Range]) -> Movement:
    kind, beginning, end = _MOVEMENTS[outcome]
    return Movement(
        kind=kind,
        city_code=run.city_code,
        from_state=beginning,
        to_state=end,
        ranges=ranges,
        document_number=f"打印任务 {run.run_id}",
        subject=f"print-run:{run.run_id}",
        second_actor=run.planned_by if outcome is Outcome.DRAWN else None,
    )


async def _write_outcomes(
    connection: Connection,
    actor: Actor,
    run: Run,
    series: Series,
    outcomes: Sequence[settling.Settled],
) -> Settled:
    place = {"run_id": run.run_id, "round": run.round}
    await _settle_sheets(
        connection,
        **place,
        positions=[one.position for one in outcomes],
        outcomes=[one.outcome for one in outcomes],
    )
    printed = [one for one in outcomes if one.number is not None]
    await _add_papers(
        connection,
        **place,
        positions=[one.position for one in printed],
        numbers=[one.number for one in printed],
    )
    counts = {}
    for outcome in (Outcome.PRINTED, Outcome.SPOILED, Outcome.RETURNED):
        moved = [one.serial for one in outcomes if one.outcome is outcome]
        counts[outcome.value] = len(moved)
        if moved:
            movement = _movement(run, outcome, serials.of(moved))
            await blanks.move(connection, actor, series, movement)
    await _settle_round(connection, **place, account_name=actor.account_name)
    return Settled(**counts, left_count=run.left_count - len(printed))


async def _tell(
    connection: Connection, actor: Actor, act: Act, run: Run, detail: dict[str, object]
) -> None:
    await accounts.write(connection, actor, act, str(run.run_id), detail, city_code=run.city_code)


def require_standing(run: Run, bearing: Sequence[settling.Sheet], numerals: Numerals) -> None:
    """Refuse certificates of a round that stand no more.

    Raises: RunFallen, naming the serials and numbers.
    """
    fallen = [sheet for sheet in bearing if not sheet.stands]
    if fallen:
        findings = tuple(
            Finding(
                code="RunFallen",
                zh=f"{numerals.text(one.serial)}：证书现为“{STANDING_WORDS[one.standing]}”",
                en=f"its certificate is {one.standing}",
                column="编号 number",
                value=one.number,
            )
            for one in fallen
        )
        raise RunFallen(findings, run_id=run.run_id, count=len(fallen))
