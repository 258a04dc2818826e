"""The terminal: how answers, findings and progress look to the person at the command line.

Chinese first, English beside it. Findings name file, row, column and what to do; nothing a stranger
typed reaches the terminal unescaped.
"""

import datetime
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from service.checking import decision
from service.checking.decision import Outcome, Status, Verdict
from service.ground.errors import Finding
from service.issuing.batches import LEGAL_ZONE

_PACE_SECONDS = 15.0  # the while over which a pace is told
_LINE_SECONDS = 10.0  # between two lines where nobody watches
_RUNS_MAX = 12  # of rows, named in one finding
_WIDTH = None if sys.stdout.isatty() else 160  # what reads a pipe can read long lines
out = Console(highlight=False, width=_WIDTH)
err = Console(stderr=True, highlight=False)

_COLOURS = {Status.VALID: "bold green", Status.INDETERMINATE: "bold yellow"}
_MARKS = {Outcome.PASS: "[green]✓[/]", Outcome.FAIL: "[red]✗[/]"}


def plain(text: str) -> str:
    """Make text harmless to a terminal: no markup, and a mark for what cannot be printed."""
    return escape("".join(c if c.isprintable() or c == "\n" else "�" for c in text))


def say(text: str) -> None:
    """Print one line of an answer."""
    out.print(plain(text), soft_wrap=True)


def refuse(code: str, zh: str, en: str) -> None:
    """Print why something was not done, on standard error."""
    err.print(f"[bold red]✗[/] {plain(zh)}\n  {plain(en)} [dim]\\[{code}][/]", soft_wrap=True)


def table(rows: Sequence[msgspec.Struct], titles: dict[str, str]) -> None:
    """Print records as a table: `titles` names the fields to show."""
    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles.values():
        drawn.add_column(title, overflow="fold", no_wrap=title == next(iter(titles.values())))
    for row in rows:
        drawn.add_row(*(plain(_cell(getattr(row, field))) for field in titles))
    out.print(drawn)


def findings(found: Sequence[Finding], *, title: str, console: Console = err) -> None:
    """Print findings with their places, every one of them."""
    if title:
        console.print(f"[bold]{plain(title)}[/]")
    for one in found:
        words = [
            _place(one),
            plain(one.column or ""),
            f"[yellow]{plain(one.value)}[/]" if one.value else "",
        ]
        place = " ".join(word for word in words if word)
        console.print(
            f"• {place}\n    {plain(one.zh)}\n    {plain(one.en)} [dim]\\[{one.code}][/]",
            soft_wrap=True,
        )


def verdict(answer: Verdict) -> None:
    """Print a verdict: status, what it says, the face as far as it may be known, the checks."""
    words = decision.WORDS
    status = decision.headline(answer.status.value, answer.reason)
    sentence = words["reason"][answer.reason]
    colour = _COLOURS.get(answer.status, "bold red")
    word = f"{status['mark']} {status['zh']} {answer.status.value.upper()}"
    if answer.specimen:
        word, colour = f"样本，无效力 SPECIMEN（{word}）", "bold yellow"
    out.print(f"[{colour}]{word}[/]")
    out.print(f"  {sentence['zh']}\n  {sentence['en']}", soft_wrap=True)
    facts = {
        "编号 number": answer.number,
        "发证机关 issuer": answer.issuer,
        "姓名 name": answer.name,
        "项目 project": answer.project,
        "考核日期 exam": answer.exam_on,
        "发证日期 issued": answer.issued_on,
        "纸质证书流水号末四位 paper serial ends in": answer.paper_digits,
        "查验时间 checked": answer.checked_at.astimezone(LEGAL_ZONE).isoformat(" ", "seconds"),
    }
    for title, value in facts.items():
        if value is not None:
            out.print(f"  {title}: {plain(str(value))}", soft_wrap=True)
    for step in answer.steps:
        if mark := _MARKS.get(step.outcome):
            said = words["step"][step.name]
            out.print(f"  {mark} {step.number} {said['zh']} / {said['en']}", soft_wrap=True)


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far it is with whatever may take more than two seconds.

    Call the result with what is done: a bar where a total is known, else no more than a number.
    """
    bar = (
        BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    ) if total is not None else (TextColumn("{task.completed:,}"),)  # fmt: skip
    columns = (TextColumn("{task.description}"), *bar)
    with Progress(*columns, console=err) as shown:
        task = shown.add_task(title, total=total)
        yield lambda done: shown.update(task, completed=done)


class Pace:
    """How far a long work is and how fast it goes: over the last while, not since it began."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def words(self, done: int, total: int, at_seconds: float) -> str:
        """Note what is done at a time, and say it: of how many, per second, time left."""
        marks = self._marks
        marks.append((at_seconds, done))
        while len(marks) > 2 and marks[1][0] <= at_seconds - _PACE_SECONDS:
            marks.popleft()
        elapsed_seconds, more = at_seconds - marks[0][0], done - marks[0][1]
        pace = more / elapsed_seconds if elapsed_seconds else 0.0
        left = str(datetime.timedelta(seconds=round((total - done) / pace))) if pace else "–"
        return f"{done:,}/{total:,}  每秒 {pace:.1f}/s  剩余 left {left}"


@contextmanager
def pace(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show how far a long work is: call the result with what is done, of how many, and a remark.

    There may be more of them meanwhile. Where no terminal watches, a line is printed now and then,
    and how far it came in the end.
    """
    kept, said_at, words = Pace(), time.monotonic(), ""
    with Progress(BarColumn(), TextColumn("{task.description}"), console=err,
                  disable=not err.is_terminal) as shown:  # fmt: skip
        task = shown.add_task(title, total=None)

        def show(done: int, total: int, remark: str) -> None:
            nonlocal said_at, words
            now = time.monotonic()
            words = f"{title} {kept.words(done, total, now)}  {remark}"
            shown.update(task, completed=done, total=total, description=words)
            if not err.is_terminal and now - said_at >= _LINE_SECONDS:
                err.print(words, soft_wrap=True)
                said_at = now

        try:
            yield show
        finally:
            if words and not err.is_terminal:
                err.print(words, soft_wrap=True)


def _place(finding: Finding) -> str:
    if finding.rows:
        return _rows(finding.rows)
    if finding.row:
        return f"第 {finding.row} 行 row {finding.row}"
    return "" if finding.column else "全文件 file"


def _rows(numbers: Sequence[int]) -> str:
    """Name rows by their runs, and how many there are."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    named = [f"{first}" if first == last else f"{first}–{last}" for first, last in runs]
    more = "…" if len(named) > _RUNS_MAX else ""
    count = f"（{len(numbers)} 行）" if len(numbers) > 1 else ""
    return f"第 {'、'.join(named[:_RUNS_MAX])}{more} 行{count}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.astimezone(LEGAL_ZONE).isoformat(" ", "minutes")
    return value.hex()[:16] + "…" if isinstance(value, bytes) else str(value)
