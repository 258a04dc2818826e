"""Leaves: the lines of a ledger laid out into pages, before Typst sees them.

A table of cells takes Typst 0.35 ms and 0.1 MB a row. Here every text is wrapped by the advances of
the fonts, every page becomes one text a column, and pages end and begin with 过次页 and 承前页, as
in a bound ledger. The grid has `step` of `ledger/main.typ`; a row takes a line more than its texts.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from fontTools.ttLib import TTFont

from service.ground.errors import LedgerTooLong
from service.paper.forms.sheets import Ledger, Movement, Sums

MOVEMENT_COUNT_MAX = 5_000
"""Some 200 leaves, drawn in 1 s and 300 MB; more is a workbook, or printed by shorter periods."""

_WIDTHS_MM = (18, 41, 27, 35, 14, 14, 13, 16, 18, 18, 19, 34)
_PADDING_MM = 2
_EM_MM = 7.5 * 25.4 / 72
_LINES_FIRST, _LINES = 44, 56
_LINES_MAX = 39
_CARRIED = 2  # lines of 过次页
_CLOSING = 13  # of the sum, of what it adds up to and of where it is signed
_PIECE = re.compile(r"[!-~]+[，。、；：！？）〕》”’]*|[^\n][，。、；：！？）〕》”’]*")


@functools.cache
def advances(fonts: Path) -> Mapping[str, float]:
    """Return the advance in em of every character that is not as wide as it is high."""
    found: dict[str, float] = {}
    for path in sorted(fonts.glob("*.ttf")):  # Noto, which draws all it can, comes last
        with TTFont(path, lazy=True) as font:
            em, metrics = font["head"].unitsPerEm, font["hmtx"].metrics
            for code, glyph in font.getBestCmap().items():
                found[chr(code)] = metrics[glyph][0] / em
    return {character: advance for character, advance in found.items() if advance != 1}


def lay_out(
    ledger: Ledger, movements: Iterable[Movement], advance: Mapping[str, float]
) -> dict[str, Any]:
    """Return what the form draws: pages, each a text a column and its rules, and the sums.

    Raises: LedgerTooLong.
    """
    sums = Sums(balance=ledger.opening)
    pages = [_Leaf(_LINES_FIRST)]
    pages[0].add(_told("期初结存", sums))
    for cells, after, is_last in _rows(sums, movements, advance):
        if not pages[-1].has_room(cells, _CLOSING if is_last else _CARRIED):
            pages[-1].add(_told("过次页", sums))
            pages.append(_Leaf(_LINES))
            pages[-1].add(_told("承前页", sums))
        pages[-1].add(cells)
        sums = after
    pages[-1].add(_told("本期合计及期末结存", sums))
    told = msgspec.structs.asdict(sums)
    return told | {"widths": _WIDTHS_MM, "pages": [page.told() for page in pages]}


def _rows(
    sums: Sums, movements: Iterable[Movement], advance: Mapping[str, float]
) -> Iterator[tuple[Sequence[Sequence[str]], Sums, bool]]:
    """Wrap the movements in pieces that fit a page; tell the sums after each, and the last."""
    wrap = functools.lru_cache(4096)(functools.partial(_wrap, advance=advance))
    waiting: tuple[Sequence[Sequence[str]], Sums] | None = None
    for number, one in enumerate(movements):
        if number == MOVEMENT_COUNT_MAX:
            raise LedgerTooLong(limit=MOVEMENT_COUNT_MAX)
        sums = sums.after(one)
        for cells in _pieces(list(map(wrap, _row(one, sums.balance), _WIDTHS_MM))):
            if waiting:
                yield *waiting, False
            waiting = cells, sums
    if waiting:
        yield *waiting, True


class _Leaf:
    """One page: the lines of each column, and after which of them there is a rule."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._columns: list[list[str]] = [[] for _ in _WIDTHS_MM]
        self._rules: list[int] = []

    def has_room(self, cells: Sequence[Sequence[str]], below: int) -> bool:
        used = self._rules[-1] if self._rules else 0
        return used + max(map(len, cells)) + 1 + below <= self._room

    def add(self, cells: Sequence[Sequence[str]]) -> None:
        height = max(map(len, cells)) + 1
        for column, lines in zip(self._columns, cells, strict=True):
            column += [*lines, *[""] * (height - len(lines))]
        self._rules.append(len(self._columns[0]))

    def told(self) -> dict[str, Any]:
        return {"columns": ["\n".join(column) for column in self._columns], "rules": self._rules}


def _told(summary: str, sums: Sums) -> list[list[str]]:
    """Return the line of what the ledger has come to."""
    counts = (sums.received, sums.issued, sums.spoiled, sums.balance)
    return [[text] for text in ("", summary, "", "", *map(_count, counts), "", "", "", "")]


def _row(one: Movement, balance: int) -> tuple[str, ...]:
    counts = (one.received, one.issued, one.spoiled)
    return (
        one.moved_on.isoformat(), one.summary, one.voucher, one.serials,
        *(_count(count) if count else "" for count in counts), _count(balance),
        one.handler, one.reviewer, one.recipient, one.remark,
    )  # fmt: skip


def _pieces(cells: Sequence[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    """Cut a row that is higher than a page."""
    for at in range(0, max(map(len, cells)), _LINES_MAX):
        yield [lines[at : at + _LINES_MAX] for lines in cells]


def _wrap(text: str, width_mm: float, *, advance: Mapping[str, float]) -> list[str]:
    """Break a text into lines that fit, between words where they do."""
    room = (width_mm - _PADDING_MM) / _EM_MM

    def width(part: str) -> float:
        return sum(advance.get(character, 1) for character in part)

    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line, left = "", room
        pieces = _PIECE.findall(paragraph)
        for piece in chain.from_iterable(
            [piece] if width(piece) <= room else piece for piece in pieces
        ):
            if width(piece) > left:
                lines.append(line.rstrip())
                line, left = "", room
            line += piece
            left -= width(piece)
        lines.append(line)
    return lines


def _count(number: int) -> str:
    return f"{number:,}".replace("-", "−")
