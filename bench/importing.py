"""Import of 100 000 rows: read in the jail, judged, kept; and the copy that says what is wrong.

Every way has a process of its own; its memory is the peak of what that process and all that it
started hold (PSS, by which shared pages count once; root alone may ask it of the jail), without the
database's. The rivals read the whole file at once, in their own process: no jail and no limits,
formulas, hidden and merged cells as they come. They judge by the same rules and keep nothing; their
copy has no comments.
"""

import asyncio
import csv
import io
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import python_calamine
import xlsxwriter
from rich.table import Table

from service import wiring
from service.ground import jail
from service.ground.jail import Jail
from service.ground.settings import Settings
from service.issuing.batches import rows
from service.issuing.sheets import annotated, layouts
from service.issuing.sheets.layouts import RESULTS, Form, Head, Lines
from service.registry.people import Unfit
from tests import invented
from tests.world import CHENGDU, DAILY, EXAM_ON, TODAY, World

_ROWS, _ERRORS, _ROUNDS = 100_000, 1_000, 3
_WRONG = range(2, _ROWS + 2, _ROWS // _ERRORS)
_FIRST_SERIAL = 2_000_000  # people that no other benchmark certifies
_READ = "service.issuing.sheets.reading:read"
_READ_WHOLE = "service.issuing.sheets.reading:read_whole"
_SAMPLED_SECONDS = 0.02
_WRITERS = {".xlsx": invented.write_workbook, ".csv": invented.write_csv}

_Seconds = dict[str, float]


def measure(world: World) -> tuple[Table, Table]:
    """Let ours and the rivals take turns over files of other people, and return both tables."""
    taken: defaultdict[tuple[str, str], list[_Seconds]] = defaultdict(list)
    for place in range(_ROUNDS):
        serial = _FIRST_SERIAL + 2 * _ROWS * place
        for suffix, write in _WRITERS.items():
            path = world.settings.var / f"{place}{suffix}"
            lines = invented.candidates(_ROWS, project=DAILY, exam_on=EXAM_ON, serial=serial)
            serial += _ROWS
            write(path, lines)
            for way in _WAYS:
                taken[way, suffix].append(_child(world, way, path))
    heads = ("reading", "judging", "keeping", "read and judged", "ratio", "peak MB", "ratio")
    imports = Table("seconds", *heads, title=f"Import of {_ROWS:,} rows")
    copies = Table("", "seconds", "ratio", "peak MB", "ratio", title=f"Copy, {_ERRORS:,} errors")
    for suffix in _WRITERS:
        _compare(imports, taken, suffix, ("ours", "rival"), ("reading", "judging", "keeping"))
        _compare(copies, taken, suffix, ("our copy", "rival copy"), ())
    return imports, copies


def _compare(
    table: Table,
    taken: Mapping[tuple[str, str], Sequence[_Seconds]],
    suffix: str,
    ways: Sequence[str],
    parts: Sequence[str],
) -> None:
    """Add a row of medians for each way, with ratios to the first."""
    medians = {
        way: {
            part: statistics.median(one[part] for one in taken[way, suffix])
            for part in taken[way, suffix][0]
        }
        for way in ways
    }
    ours = medians[ways[0]]
    for way, found in medians.items():
        split = (f"{found[part]:.2f}" if part in found else "–" for part in parts)
        table.add_row(
            f"{suffix[1:]}, {way}", *split, f"{found['all']:.2f}",
            f"{found['all'] / ours['all']:.2f}", f"{found['MB']:.0f}",
            f"{found['MB'] / ours['MB']:.2f}",
        )  # fmt: skip


def _child(world: World, way: str, path: Path) -> _Seconds:
    """Run one way in a process of its own; its seconds, and the peak of its memory in MB."""
    settings = msgspec.json.encode(world.settings, enc_hook=str).decode()
    given = {"BENCH_ADDRESS": world.address, "BENCH_SETTINGS": settings}
    command = [sys.executable, "-m", "bench.importing", way, str(path)]
    with subprocess.Popen(command, env=os.environ | given, stdout=subprocess.PIPE) as process:  # noqa: S603 - ourselves
        peak = 0
        while process.poll() is None:
            peak = max(peak, _held_kib(process.pid))
            time.sleep(_SAMPLED_SECONDS)
        assert process.returncode == 0
        assert process.stdout
        seconds = msgspec.json.decode(process.stdout.read(), type=_Seconds)
    return seconds | {"MB": peak / 1024}


def _held_kib(pid: int) -> int:
    """Add up what a process and those that it started hold, while they live."""
    try:
        started = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    (own,) = (int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return own + sum(_held_kib(int(one)) for one in started)


# The ways, each in its own process.


async def _ours(world: World, path: Path) -> _Seconds:
    judging = rows.Judging(wiring.drawable_characters(), TODAY)
    seconds = await _heard(_READ, _content(path), judging.take)
    judged = judging.judged()
    assert (len(judged.rows), judged.errors) == (_ROWS, ())
    started = time.perf_counter()
    await world.import_rows(CHENGDU, judged.rows)
    keeping = time.perf_counter() - started
    return {"reading": seconds[0], "judging": seconds[1], "all": sum(seconds), "keeping": keeping}


async def _heard(
    job: str, data: bytes, take: Callable[[layouts.Part], None]
) -> tuple[float, float]:
    """Take a file in from the jail: seconds of waiting for it, and of taking."""
    waited = taken = 0.0
    since = time.perf_counter()
    async with Jail(job, concurrent=1) as children:
        async for part in children.stream(job, data, jail.WORKBOOK, type=layouts.Part):
            heard = time.perf_counter()
            take(part)
            waited, since = waited + heard - since, time.perf_counter()
            taken += since - heard
    return waited, taken


async def _rival(_: World, path: Path) -> _Seconds:
    judging = rows.Judging(wiring.drawable_characters(), TODAY)
    started = time.perf_counter()
    _, *table = _at_once(path)
    read = time.perf_counter()
    judging.take(Head(form=Form(kind=path.suffix)))
    judging.take(Lines(tuple((n, (*map(_cell, line), None)) for n, line in enumerate(table, 2))))
    judged = judging.judged()
    ended = time.perf_counter()
    assert (len(judged.rows), judged.errors) == (_ROWS, ())
    return {"reading": read - started, "judging": ended - read, "all": ended - started}


def _content(path: Path) -> bytes:
    return path.read_bytes()


def _at_once(path: Path) -> list[list[Any]]:
    if path.suffix == ".csv":
        return list(csv.reader(io.StringIO(path.read_text("gb18030"))))
    return python_calamine.load_workbook(path).get_sheet_by_index(0).to_python()


def _cell(value: Any) -> Any:
    return None if value == "" else value


async def _our_copy(_: World, path: Path) -> _Seconds:
    errors = [Unfit("ScoreUnreadable").finding(row, "总成绩") for row in _WRONG]
    marks = {row: f"{row:016}" for row in range(2, _ROWS + 2)}
    started = time.perf_counter()
    with (
        path.with_stem("copy").open("wb") as target,
        annotated.Copy(target, RESULTS, errors, marks) as copy,
    ):
        await _heard(_READ_WHOLE, _content(path), copy.take)
    return {"all": time.perf_counter() - started}


async def _rival_copy(_: World, path: Path) -> _Seconds:
    started = time.perf_counter()
    head, *table = _at_once(path)
    said = str(Unfit("ScoreUnreadable"))
    lines = [
        [*line, said if row in _WRONG else "", f"{row:016}"] for row, line in enumerate(table, 2)
    ]
    target = path.with_stem("copy")
    if path.suffix == ".csv":
        with target.open("w", encoding="gb18030", newline="") as file:
            csv.writer(file).writerows([head, *lines])
    else:
        with xlsxwriter.Workbook(target) as book:
            sheet, red = book.add_worksheet(), book.add_format({"bg_color": "#FFC7CE"})
            for row, line in enumerate([head, *lines], 1):
                sheet.write_row(row - 1, 0, line)
                if row in _WRONG:
                    sheet.write_number(row - 1, 11, line[11], red)
    return {"all": time.perf_counter() - started}


_WAYS: Mapping[str, Callable[[World, Path], Awaitable[_Seconds]]] = {
    "ours": _ours, "rival": _rival, "our copy": _our_copy, "rival copy": _rival_copy,
}  # fmt: skip


def _settings() -> Settings:
    def path(wanted: type, value: str) -> Any:
        return wanted(value)

    return msgspec.json.decode(os.environ["BENCH_SETTINGS"], type=Settings, dec_hook=path)


async def _run(way: str, path: Path) -> _Seconds:
    return await _WAYS[way](World(os.environ["BENCH_ADDRESS"], _settings()), path)


if __name__ == "__main__":
    figures = asyncio.run(_run(sys.argv[1], Path(sys.argv[2])))
    sys.stdout.buffer.write(msgspec.json.encode(figures))
