"""Blank paper: 100 000 sheets moved at once, one serial traced among ten million, a long ledger.

Beside each, in the same database and in turns, the way of a row for every sheet: a table of sheets
with city and state, indexed as such tables are, and a history of every sheet. The books around what
is measured (10 000 000 serials in 100 000 ranges) are written by the owner of the database in bulk.
"""

import asyncio
import datetime
import os
import resource
import statistics
import subprocess
import sys
import time

import msgspec
from rich.table import Table

from service import wiring
from service.ground.db import Connection
from service.issuing.batches import LEGAL_ZONE
from service.paper import blanks, ledger, tracing
from service.paper.blanks import Kind, State
from service.paper.forms import sheets, workbooks
from service.paper.ledger import Period
from service.registry.accounts import PROVINCE, Actor, Role
from service.wiring import Desk
from tests import stationery
from tests.stationery import INNER, movement, ranges
from tests.world import CHENGDU, World

_SHEETS, _RANGE, _MOVED = 10_000_000, 100, 100_000
_ROUNDS, _RIVAL_ROUNDS, _TRACED = 25, 5, 300
_MONTH = Period(datetime.date(2026, 1, 1), datetime.date(2026, 1, 31))
_KEEPER = f"keeper-{CHENGDU}"

# Taken in and dispatched at once, received by ranges of 100 in January; every second is spoiled.
_BOOKS = """
set session_replication_role = replica;
insert into blank_movement (movement_id, city_code, series_id, sequence, at, kind, serials,
    from_city, from_state, to_city, to_state, document_number, reason, subject, actor, previous,
    hash)
select nextval('blank_movement_id'), '{city}', {series}, place, at, kind,
    int8range(first, first + count), '{city}', beginning, '{city}', ending, '川人社物函〔2026〕7号',
    '', 'consignment:' || place, 'keeper-{city}', '', ''
from (
    select 1 as place, timestamptz '2025-12-01' as at, 'dispatch' as kind, 0::int8 as first,
        {sheets}::int8 as count, 'at-province' as beginning, 'in-transit' as ending
    union all
    select 2 + n, timestamptz '2026-01-02' + n * interval '20 seconds', 'receive', n * {range},
        {range}, 'in-transit', 'at-city' from generate_series(0, {ranges} - 1) n
    union all
    select 2 + {ranges} + n, timestamptz '2026-03-01' + n * interval '20 seconds', 'spoil',
        n * {range}, {range}, 'at-city', 'pending-destruction'
    from generate_series(0, {ranges} - 1, 2) n
) books;
insert into blank_stock
select {series}, int8range(n * {range}, (n + 1) * {range}), '{city}',
    case n % 2 when 0 then 'pending-destruction' else 'at-city' end
from generate_series(0, {ranges} - 1) n;
reset session_replication_role;
analyze blank_movement, blank_stock;
"""
_RIVAL_BOOKS = """
create table bench_sheet as
    select n::int8 as serial, '{city}' as city_code, 'at-city' as state
    from generate_series(0, {sheets} - 1) n;
alter table bench_sheet add primary key (serial);
create index on bench_sheet (city_code, state);
create table bench_history as
    select 2 + n / {range} as voucher, n::int8 as serial, 'in-transit' as from_state,
        'at-city' as to_state, 'keeper-{city}' as actor,
        timestamptz '2026-01-02' + n / {range} * interval '20 seconds' as at
    from generate_series(0, {sheets} - 1) n;
create index on bench_history (serial);
analyze bench_sheet, bench_history;
"""
_RIVAL_MOVE = """
with moved as (
    update bench_sheet set state = 'pending-destruction'
    where serial >= $1 and serial < $2 and state = 'at-city' returning serial
)
insert into bench_history
select $1, serial, 'at-city', 'pending-destruction', 'keeper', clock_timestamp() from moved
"""
_RIVAL_TRACE = """
select * from bench_sheet join bench_history using (serial) where serial = $1 order by at
"""
_RIVAL_LEDGER = """
select voucher, min(at) as at, min(serial) as first, max(serial) as last, count(*) as sheet_count,
    actor
from bench_history where at >= $1 and at < $2 group by voucher, actor order by voucher
"""


async def measure(world: World) -> Table:
    """Measure all three and return the table."""
    table = Table("", "ours", "a row for each sheet", "ratio", title="Blank paper")
    await stationery.record(world)
    async with world.connection() as owner:
        series = await blanks.find(owner, INNER.series_code)
        for statements in (_BOOKS, _RIVAL_BOOKS):
            await owner.execute(
                statements.format(
                    city=CHENGDU, series=series.series_id, sheets=_SHEETS, range=_RANGE,
                    ranges=_SHEETS // _RANGE,
                )
            )  # fmt: skip
        moved, traced = await _moves(world, owner), await _traces(world, owner)
    for name, (ours, rival) in (
        (f"{_MOVED:,} sheets moved at once, ms", moved),
        (f"a serial traced among {_SHEETS:,}, ms", traced),
    ):
        table.add_row(name, *_figures(1000 * ours, 1000 * rival))
    children = [_child(world.address, way) for way in _WAYS]
    for name, ours, rival in zip(("seconds", "peak MB"), *children, strict=True):
        words = f"ledger of {_SHEETS // _RANGE:,} movements, {name}"
        table.add_row(words, *_figures(ours, rival))
    return table


def _figures(ours: float, rival: float) -> tuple[str, str, str]:
    return f"{ours:.2f}", f"{rival:,.2f}", f"{rival / ours:,.2f}"


async def _moves(world: World, owner: Connection) -> tuple[float, float]:
    """Receive 100 000 sheets of another series again and again, with commit; medians."""
    other = msgspec.structs.replace(INNER, series_code="2027-inner", year=2027, prefix="川27A")
    await stationery.record(world, other)
    ours, rival = [], []
    take_in = (Kind.TAKE_IN, State.OUTSIDE, State.AT_PROVINCE)
    dispatch = (Kind.DISPATCH, State.AT_PROVINCE, State.IN_TRANSIT)
    receive = (Kind.RECEIVE, State.IN_TRANSIT, State.AT_CITY)
    async with world.desk(f"keeper-{PROVINCE}") as province, world.desk(_KEEPER) as keeper:
        for place in range(_ROUNDS):
            first = 2 * place * _MOVED  # so that no range touches another
            some = ranges((first, first + _MOVED - 1))
            async with province.acting():
                for path, city in ((take_in, PROVINCE), (dispatch, CHENGDU)):
                    moving = movement(*path, some, city_code=city)
                    await stationery.move(province, moving, other.series_code)
            moving = movement(*receive, some)
            started = time.perf_counter()
            async with keeper.acting():
                await stationery.move(keeper, moving, other.series_code)
            ours.append(time.perf_counter() - started)
            if place < _RIVAL_ROUNDS:
                started = time.perf_counter()
                await owner.execute(_RIVAL_MOVE, first, first + _MOVED)
                rival.append(time.perf_counter() - started)
    return statistics.median(ours), statistics.median(rival)


async def _traces(world: World, owner: Connection) -> tuple[float, float]:
    """Trace serials far apart, each in a transaction of its own; medians."""
    ours, rival = [], []
    async with world.desk(f"operator-{CHENGDU}") as desk:
        for serial in range(_TRACED // 2, _SHEETS, _SHEETS // _TRACED):
            started = time.perf_counter()
            async with desk.acting():
                story = await tracing.story(desk.connection, desk.actor, f"川26A{serial:07}")
            ours.append(time.perf_counter() - started)
            assert len(story.blanks[0].events) > 1
            started = time.perf_counter()
            async with owner.transaction():
                assert await owner.fetch(_RIVAL_TRACE, serial)
            rival.append(time.perf_counter() - started)
    return statistics.median(ours), statistics.median(rival)


async def _ours(connection: Connection) -> bytes:
    """Write the ledger as `qianfa ledger` does."""
    desk = Desk(connection, Actor(_KEEPER, Role.KEEPER, CHENGDU))
    async with desk.acting():
        series = await blanks.find(connection, INNER.series_code)
        return await ledger.write(
            connection, desk.actor, series, _MONTH, holder=CHENGDU,
            draw=lambda head, lines: workbooks.ledger(head, lines, printed_at=_PRINTED_AT),
        )  # fmt: skip


async def _rival(connection: Connection) -> bytes:
    """Gather the same lines from the history of every sheet; the workbook is the same."""
    days = _MONTH.moments()
    found = await connection.fetch(_RIVAL_LEDGER, days["beginning"], days["ending"])
    head = sheets.Ledger(
        city_name="成都市", centre="成都市职业技能鉴定指导中心", series="2026-inner（川26A）",
        period_from=_MONTH.first, period_until=_MONTH.last, opening=0, closing=_SHEETS,
    )  # fmt: skip
    lines = (
        sheets.Movement(
            moved_on=row["at"].astimezone(LEGAL_ZONE).date(), summary="签收",
            voucher="川人社物函〔2026〕7号", serials=f"川26A{row['first']:07}-{row['last']:07}",
            received=row["sheet_count"], handler=row["actor"], remark=f"流水 {row['voucher']}",
        )
        for row in found
    )  # fmt: skip
    return workbooks.ledger(head, lines, printed_at=_PRINTED_AT)


_PRINTED_AT = datetime.datetime(2026, 2, 1, tzinfo=LEGAL_ZONE)
_WAYS = {"ours": _ours, "rival": _rival}


def _child(address: str, way: str) -> tuple[float, float]:
    """Seconds and peak memory in MB of a process that writes the ledger."""
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-m", "bench.paper", way], env=os.environ | {"BENCH_ADDRESS": address},
        check=True, capture_output=True,
    )  # fmt: skip
    seconds, peak = msgspec.json.decode(done.stdout, type=tuple[float, float])
    return seconds, peak


async def _write(address: str, way: str) -> tuple[float, float]:
    async with wiring.connection(address) as connection:
        started = time.perf_counter()
        content = await _WAYS[way](connection)
        seconds = time.perf_counter() - started
    assert len(content) > _SHEETS // _RANGE
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    figures = asyncio.run(_write(os.environ["BENCH_ADDRESS"], sys.argv[1]))
    sys.stdout.buffer.write(msgspec.json.encode(figures))
