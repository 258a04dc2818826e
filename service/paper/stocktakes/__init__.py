"""Stocktakes (盘点): what is in the cupboard, counted without a look at the books.

While one is open nothing moves from or to what it counts. Whoever keeps the blanks types what is
there, free sheets and those that wait for destruction, in as many entries as it takes. With the end
of the count the database compares it with the books and lists every difference; each is given a
reason, and another person, who counted nothing, approves. Then adjustments move what an adjustment
may settle. What the books have drawn, printed, handed over or elsewhere is never adjusted: it stays
listed with what there is to do.

Source: the practice of stocktakes (账面, 实点, 差异, 原因, 审批).
"""

import itertools
from collections.abc import Collection, Sequence

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    CountedTwice,
    CountUnknown,
    DifferenceUnknown,
    NotYourCity,
    ReasonsAbsent,
    SecondPersonNeeded,
    SeriesAbsent,
    SeriesNotCounted,
    StocktakeElsewhere,
    StocktakeUnknown,
)
from service.paper import blanks, orders
from service.paper.blanks import Kind, Movement, Series, serials
from service.paper.blanks import State as Place
from service.paper.blanks.serials import Numerals, Range
from service.paper.forms import sheets
from service.paper.stocktakes import records
from service.paper.stocktakes.records import (
    Difference,
    Entry,
    Occasion,
    Result,
    State,
    Stocktake,
    Tally,
)
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)


class _Twice(msgspec.Struct, frozen=True):
    prefix: str
    digit_count: int
    first_serial: int
    last_serial: int
    count_id: int
    other_count_id: int


_open = _sql.one("open_stocktake", int)
_lock = _sql.perhaps("lock_stocktake", int)
_stocktakes = _sql.many("stocktakes", Stocktake)
_keep_count = _sql.one("keep_count", int)
_strike = _sql.perhaps("strike_count", int)
_entries = _sql.many("entries", Entry)
_counted_twice = _sql.many("counted_twice", _Twice)
_close = _sql.run("close_count")
_decide = _sql.run("decide_stocktake")
_tallies = _sql.many("tallies", Tally)
_differences = _sql.many("differences", Difference)
_give_reason = _sql.many("give_reason", int)


async def open_(
    connection: Connection, actor: Actor, occasion: Occasion, series: Collection[Series]
) -> int:
    """Begin to count the series of the actor's centre, and return the stocktake's id.

    Waits for whoever moves them just now; from then on what is counted does not move.

    Raises:
        SeriesAbsent: there is none to be counted.
        StocktakeOpen: another one counts one of them.
    """
    accounts.require(actor, Act.STOCKTAKE_OPEN)
    if not series:
        raise SeriesAbsent
    stocktake_id = await _open(
        connection,
        city_code=actor.city_code,
        occasion=occasion,
        series_ids=sorted({one.series_id for one in series}),
        opened_by=actor.account_name,
    )
    codes = sorted({one.series_code for one in series})
    await _tell(
        connection, actor, Act.STOCKTAKE_OPEN, stocktake_id, occasion=occasion, series=codes
    )
    return stocktake_id


async def count(
    connection: Connection,
    actor: Actor,
    stocktake_id: int,
    series: Series,
    ranges: Sequence[Range],
    *,
    is_spoiled: bool = False,
) -> int:
    """Keep what was counted, free sheets or spoiled ones, and return the entry's id.

    Raises:
        StocktakeUnknown, StocktakeElsewhere: there is none, or its count is closed.
        SeriesNotCounted: it does not count this series.
        SerialsRepeated: some are given twice.
    """
    accounts.require(actor, Act.STOCKTAKE_COUNT)
    stocktake = await _held(connection, actor, stocktake_id, State.COUNTING)
    if series.series_code not in stocktake.series_codes:
        codes = "、".join(stocktake.series_codes)
        raise SeriesNotCounted(
            stocktake_id=stocktake_id, series_code=series.series_code, codes=codes
        )
    counted = series.numerals.ordered(ranges)
    count_id = await _keep_count(
        connection,
        stocktake_id=stocktake_id,
        city_code=stocktake.city_code,
        series_id=series.series_id,
        is_spoiled=is_spoiled,
        firsts=[one.first for one in counted],
        lasts=[one.last for one in counted],
        counted_by=actor.account_name,
    )
    detail = {"entry": count_id, "series": series.series_code, "sheets": serials.count(counted)}
    await _tell(connection, actor, Act.STOCKTAKE_COUNT, stocktake_id, **detail)
    return count_id


async def strike(
    connection: Connection, actor: Actor, stocktake_id: int, count_id: int, reason: str
) -> None:
    """Strike an entry out; it stays to be read and counts no more.

    Raises:
        GroundsAbsent: there is no reason.
        CountUnknown: there is no such entry, or it is struck out.
        StocktakeUnknown, StocktakeElsewhere: as `count`.
    """
    accounts.require(actor, Act.STOCKTAKE_STRIKE)
    orders.require_words(reason)
    await _held(connection, actor, stocktake_id, State.COUNTING)
    struck = await _strike(
        connection,
        stocktake_id=stocktake_id,
        count_id=count_id,
        account_name=actor.account_name,
        reason=reason,
    )
    if struck is None:
        raise CountUnknown(stocktake_id=stocktake_id, count_id=count_id)
    await _tell(
        connection, actor, Act.STOCKTAKE_STRIKE, stocktake_id, entry=count_id, reason=reason
    )


async def close(connection: Connection, actor: Actor, stocktake_id: int) -> Result:
    """End the count and return all differences at once.

    Raises:
        CountedTwice: naming what two entries name, before anything is said of the books.
        StocktakeUnknown, StocktakeElsewhere: as `count`.
    """
    accounts.require(actor, Act.STOCKTAKE_CLOSE)
    await _held(connection, actor, stocktake_id, State.COUNTING)
    twice = await _counted_twice(connection, stocktake_id=stocktake_id)
    if twice:
        raise CountedTwice(
            tuple(
                Numerals(one.prefix, one.digit_count).finding(
                    Range(one.first_serial, one.last_serial),
                    f"第 {one.count_id} 笔与第 {one.other_count_id} 笔重复",
                    f"in entries {one.count_id} and {one.other_count_id}",
                )
                for one in twice
            ),
            count=sum(one.last_serial - one.first_serial + 1 for one in twice),
        )
    await _close(connection, stocktake_id=stocktake_id, account_name=actor.account_name)
    closed = await result(connection, stocktake_id)
    await _tell(
        connection, actor, Act.STOCKTAKE_CLOSE, stocktake_id, differences=len(closed.differences)
    )
    return closed


async def give_reason(
    connection: Connection,
    actor: Actor,
    stocktake_id: int,
    numbers: Collection[int] | None,
    reason: str,
) -> list[int]:
    """Explain differences, without numbers all that have no reason yet, and return their numbers.

    Raises:
        GroundsAbsent: there is no reason.
        DifferenceUnknown: with the numbers that there are not.
        StocktakeUnknown, StocktakeElsewhere: there is none, or it has no differences to explain.
    """
    accounts.require(actor, Act.STOCKTAKE_REASON)
    orders.require_words(reason)
    await _held(connection, actor, stocktake_id, State.COUNTED)
    given = await _give_reason(
        connection,
        stocktake_id=stocktake_id,
        numbers=None if numbers is None else sorted(numbers),
        reason=reason,
        account_name=actor.account_name,
    )
    if absent := set(numbers or ()) - set(given):
        raise DifferenceUnknown(
            stocktake_id=stocktake_id, numbers="、".join(map(str, sorted(absent)))
        )
    await _tell(
        connection, actor, Act.STOCKTAKE_REASON, stocktake_id, differences=sorted(given),
        reason=reason,
    )  # fmt: skip
    return sorted(given)


async def approve(
    connection: Connection, actor: Actor, stocktake_id: int, remark: str = ""
) -> Result:
    """Approve as another person, adjust what may be adjusted, and return what is left unsettled.

    Raises:
        SecondPersonNeeded: the actor opened, counted, closed or explained it.
        ReasonsAbsent: naming the differences without one.
        SerialsInOtherState, SerialsKnown: what was outside or lost has moved since; cancel it.
        StocktakeUnknown, StocktakeElsewhere: there is none, or it does not wait for approval.
    """
    accounts.require(actor, Act.STOCKTAKE_APPROVE)
    stocktake = await _held(connection, actor, stocktake_id, State.COUNTED)
    found = await _differences(connection, stocktake_id=stocktake_id)
    hands = {stocktake.opened_by, stocktake.closed_by, *(one.reasoned_by for one in found)}
    for entry in await _entries(connection, stocktake_id=stocktake_id):
        hands |= {entry.counted_by, entry.struck_by}
    if actor.account_name in hands:
        raise SecondPersonNeeded
    if bare := [one for one in found if one.reason is None]:
        findings = tuple(one.numerals.finding(one.ranges[0], *one.told) for one in bare)
        raise ReasonsAbsent(findings, stocktake_id=stocktake_id, count=len(bare))
    await _decide(
        connection,
        stocktake_id=stocktake_id,
        state=State.APPROVED,
        account_name=actor.account_name,
        remark=remark,
    )
    await _adjust(connection, actor, stocktake, found)
    approved = await result(connection, stocktake_id)
    detail = {"differences": len(found), "unsettled": len(approved.unsettled)}
    await _tell(connection, actor, Act.STOCKTAKE_APPROVE, stocktake_id, **detail)
    return approved


async def cancel(connection: Connection, actor: Actor, stocktake_id: int, reason: str) -> None:
    """Give a stocktake up before it is approved; it stays to be read.

    Raises:
        GroundsAbsent: there is no reason.
        StocktakeUnknown, StocktakeElsewhere: there is none, or it is decided.
    """
    accounts.require(actor, Act.STOCKTAKE_CANCEL)
    orders.require_words(reason)
    await _held(connection, actor, stocktake_id, State.COUNTING, State.COUNTED)
    await _decide(
        connection,
        stocktake_id=stocktake_id,
        state=State.CANCELLED,
        account_name=actor.account_name,
        remark=reason,
    )
    await _tell(connection, actor, Act.STOCKTAKE_CANCEL, stocktake_id, reason=reason)


async def every(connection: Connection) -> list[Stocktake]:
    """List the stocktakes that the actor may see, newest first."""
    return await _stocktakes(connection, stocktake_id=None)


async def one(connection: Connection, stocktake_id: int) -> Stocktake:
    """Return a stocktake.

    Raises:
        StocktakeUnknown: there is none, or it is another centre's.
    """
    for found in await _stocktakes(connection, stocktake_id=stocktake_id):
        return found
    raise StocktakeUnknown(stocktake_id=stocktake_id)


async def entries(connection: Connection, stocktake_id: int) -> list[Entry]:
    """Return what was typed, which says nothing of the books."""
    return await _entries(connection, stocktake_id=stocktake_id)


async def result(connection: Connection, stocktake_id: int) -> Result:
    """Return sums and differences; there are none before the count is closed.

    Raises:
        StocktakeUnknown: there is none, or it is another centre's.
    """
    return Result(
        await one(connection, stocktake_id),
        await _tallies(connection, stocktake_id=stocktake_id),
        await _differences(connection, stocktake_id=stocktake_id),
    )


async def sheet(connection: Connection, stocktake_id: int) -> sheets.Count | sheets.Counted:
    """Return what is to be printed: a blind sheet while it is counted, then the result.

    Raises:
        StocktakeUnknown: there is none, or it is another centre's.
    """
    told = await result(connection, stocktake_id)
    opened_on = records.legal_day(told.stocktake.opened_at)
    centre = await orders.centre_name(connection, told.stocktake.city_code, opened_on)
    return records.sheet(told, centre)


async def _held(
    connection: Connection, actor: Actor, stocktake_id: int, *states: State
) -> Stocktake:
    """Hold a stocktake of the actor's own centre that stands in one of these states."""
    if await _lock(connection, stocktake_id=stocktake_id) is None:
        raise StocktakeUnknown(stocktake_id=stocktake_id)
    stocktake = await one(connection, stocktake_id)
    if stocktake.city_code != actor.city_code:
        raise NotYourCity
    if stocktake.state not in states:
        raise StocktakeElsewhere(stocktake_id=stocktake_id, state=stocktake.words)
    return stocktake


async def _adjust(
    connection: Connection, actor: Actor, stocktake: Stocktake, found: Sequence[Difference]
) -> None:
    """Move what an adjustment settles, in the names of who counted and who approves."""
    if stocktake.closed_by is None:
        return
    counter = msgspec.structs.replace(actor, account_name=stocktake.closed_by)

    def key(one: Difference) -> tuple[str, ...]:
        return one.series_code, one.book_state, str(one.to_state), str(one.reason)

    settled = sorted((one for one in found if one.to_state is not None), key=key)
    for (series_code, begins, ends, reason), group in itertools.groupby(settled, key):
        await blanks.move(
            connection,
            counter,
            await blanks.find(connection, series_code),
            Movement(
                kind=Kind.ADJUST,
                city_code=stocktake.city_code,
                from_state=Place(begins),
                to_state=Place(ends),
                ranges=[one.ranges[0] for one in group],
                document_number=stocktake.document_number,
                reason=reason,
                subject=f"stocktake:{stocktake.stocktake_id}",
                second_actor=actor.account_name,
            ),
        )


async def _tell(
    connection: Connection, actor: Actor, act: Act, stocktake_id: int, **detail: object
) -> None:
    await accounts.write(connection, actor, act, f"stocktake:{stocktake_id}", detail)
