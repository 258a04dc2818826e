"""A file as bytes: one sheet of a known layout told part by part, nothing judged yet.

`read` runs in the jail, without files or network, so everything it needs is imported here. Whatever
the bytes are, it answers: a head and rows, or the one problem that kept them from being read. Rows
are told as they are read and never held; what takes too long or too much, the jail stops.
"""

import bisect
import collections
import itertools
import math
import operator
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from service.issuing.sheets import delimited, kinds, layouts, pages, spreadsheets
from service.issuing.sheets.layouts import (
    RESULTS,
    Cell,
    Day,
    Form,
    Head,
    Layout,
    Lines,
    Tail,
    Unread,
)  # fmt: skip
from service.registry import people
from service.registry.people import Unfit

_HEADER_ROW_MAX = 20
_HEADER_KNOWN_MIN = 3
_HEADER_REMARK = re.compile(r"(?<=.)[(（\[【][^(（\[【]*[)）\]】]$")
_ROWS_AT_ONCE = 500
_OWN_SHEETS = (layouts.GUIDE_SHEET, layouts.PROJECTS_SHEET)


def read(data: bytes, layout: Layout = RESULTS) -> Iterator[layouts.Part]:
    """Tell the rows of this layout from a file that nobody has looked at yet."""
    yield from _read(data, layout, whole=False)


def read_whole(data: bytes, layout: Layout = RESULTS) -> Iterator[layouts.Part]:
    """Tell the same sheet with all columns as they stand, its header and what is above it too."""
    yield from _read(data, layout, whole=True)


def heading(cell: Cell) -> str:
    """Return the name of a column without spaces, stars and a bracketed remark at its end."""
    if isinstance(cell, Unread):
        cell = cell.shown
    typed = "" if cell is None else str(cell.day if isinstance(cell, Day) else cell)
    name = "".join(typed.translate(people.ZERO_WIDTH).split()).strip("*＊")
    return _HEADER_REMARK.sub("", name[: spreadsheets.TEXT_LENGTH_MAX]).strip("*＊")


def _read(data: bytes, layout: Layout, *, whole: bool) -> Iterator[layouts.Part]:
    try:
        with spreadsheets.refused_if_broken():
            is_workbook = kinds.is_workbook(data)
        if is_workbook:
            yield from _workbook(data, layout, whole=whole)
        else:
            table = delimited.Table(data, lambda row: _likeness(row, layout), whole=whole)
            telling = _Telling(layout, None, whole=whole)
            yield from telling.tell(table.rows(), Head(form=table.form))
    except Unfit as unfit:
        yield layouts.Problem(unfit.finding())


def _workbook(data: bytes, layout: Layout, *, whole: bool) -> Iterator[layouts.Part]:
    """Read the sheet of the layout's name, if it holds anything, else the only one that does."""
    book = spreadsheets.Workbook(data, whole=whole)
    theirs = [sheet for sheet in book.sheets if sheet.name not in _OWN_SHEETS]
    seen = [sheet for sheet in theirs if not sheet.is_hidden]
    if not seen:
        raise Unfit("SheetMissing", sheet=layout.sheet)
    filled = [sheet for sheet in seen if _holds_anything(book, sheet)]
    named = [sheet for sheet in filled if sheet.name.strip() == layout.sheet][:1]
    others = [sheet for sheet in filled if sheet not in named]
    names = tuple(sheet.name for sheet in others)
    head = Head(
        form=Form(kind="xlsx"),
        sheets_hidden=tuple(one.name for one in theirs if one.is_hidden),
        sheets_ignored=names if named else (),
        from_1904=book.is_from_1904,
        has_macros=book.has_macros,
    )
    if not named and len(others) > 1:
        yield msgspec.structs.replace(head, sheets_rival=names)
        return
    page = pages.Page(book, (named or others or seen)[0].part)
    yield from _Telling(layout, page, whole=whole).tell(page.rows(), head)


def _holds_anything(book: spreadsheets.Workbook, sheet: spreadsheets.Sheet) -> bool:
    try:
        return any(True for _ in pages.Page(book, sheet.part).rows())
    except Unfit:
        return True


def _likeness(cells: Iterable[Cell], layout: Layout) -> int:
    """Count the columns of the layout that a row names."""
    return len({*map(heading, cells)} & {*layout.columns})


class _Telling:
    """One sheet while it is told; `page` knows of its hidden and merged cells."""

    def __init__(self, layout: Layout, page: pages.Page | None, *, whole: bool) -> None:
        self._layout, self._page, self._whole = layout, page, whole
        self._header: tuple[str, ...] = ()
        self._header_row = 0
        self._numbers: list[int] = []

    def tell(self, rows: Iterator[pages.Row], head: Head) -> Iterator[layouts.Part]:
        """Tell head, lines and tail."""
        above = list(itertools.islice(rows, _HEADER_ROW_MAX))
        place = self._find_header(above)
        self._header_row, cells = above[place]
        self._header = tuple(map(heading, cells))
        head = self._with_header(head)
        if head.missing or head.repeated:
            collections.deque(rows, maxlen=0)  # what is merged is told behind the rows
            yield msgspec.structs.replace(head, merged=self._merged_header())
            return
        yield head
        lines = (
            self._standing(itertools.chain(above, rows))
            if self._whole
            else self._picked(itertools.chain(above[place + 1 :], rows))
        )
        while some := tuple(itertools.islice(lines, _ROWS_AT_ONCE)):
            yield Lines(some)
        yield self._tail()

    def _find_header(self, above: Sequence[pages.Row]) -> int:
        """Find the first row that names half of the columns, else the likeliest."""
        likeness = [_likeness(cells, self._layout) for _, cells in above]
        if not likeness:
            raise Unfit("SheetEmpty")
        half = math.ceil(len(self._layout.columns) / 2)
        enough = min(max(likeness), half)
        if enough < min(_HEADER_KNOWN_MIN, half):
            raise Unfit("HeaderMissing" if self._page else "TableHeaderMissing")
        return next(place for place, one in enumerate(likeness) if one >= enough)

    def _with_header(self, head: Head) -> Head:
        header, layout = self._header, self._layout
        known = {*layout.columns, *layout.passed_over}
        return msgspec.structs.replace(
            head,
            header_row=self._header_row,
            header=header,
            unknown=tuple(name for name in header if name and name not in known),
            missing=tuple(one for one in layout.columns if one not in {*header, *layout.optional}),
            repeated=tuple(name for name in layout.columns if header.count(name) > 1),
        )

    def _picked(self, rows: Iterable[pages.Row]) -> Iterator[layouts.Row]:
        """Give the cells of the layout's columns, in their order."""
        width = len(self._header)
        places = {name: place for place, name in enumerate(self._header)}
        pick = operator.itemgetter(*(places.get(name, width) for name in self._layout.columns))
        nothing = (None,) * (width + 1)
        for number, cells in rows:
            line = pick((*cells[:width], *nothing[min(len(cells), width) :]))
            if line.count(None) < len(line):
                self._count(number)
                yield number, line

    def _standing(self, rows: Iterable[pages.Row]) -> Iterator[layouts.Row]:
        for number, cells in rows:
            if number > self._header_row:
                self._count(number)
            yield number, tuple(cells)

    def _count(self, number: int) -> None:
        self._numbers.append(number)
        if len(self._numbers) > layouts.ROWS_MAX:
            raise Unfit("RowsTooMany", row=number)

    def _merged_header(self) -> tuple[str, ...]:
        merged = self._page.merged if self._page else ()
        return tuple(str(one) for one in merged if one.top <= self._header_row <= one.bottom)

    def _tail(self) -> Tail:
        if not self._page:
            return Tail()
        told, hidden = set(self._numbers), self._page.columns_hidden
        return Tail(
            rows_hidden=tuple(filter(told.__contains__, self._page.rows_hidden)),
            columns_hidden=tuple(
                name
                for place, name in enumerate(self._header)
                if name in self._layout.columns and any(a <= place <= z for a, z in hidden)
            ),
            merged=tuple(sorted(self._merged_rows(self._page.merged).items())),
        )

    def _merged_rows(self, merged: Iterable[pages.Range]) -> dict[int, str]:
        """Return the told rows of which a column that is read is merged, with its name."""
        found: dict[int, str] = {}
        steps_left = (
            len(self._numbers) * pages.COLUMNS_MAX
        )  # more than that only where they overlap
        for one in merged:
            names = self._header[one.left : one.right + 1]
            name = next((name for name in names if name in self._layout.columns), None)
            begin = bisect.bisect_left(self._numbers, one.top)
            end = bisect.bisect_right(self._numbers, one.bottom)
            steps_left -= end - begin
            if steps_left < 0:
                raise Unfit("WorkbookBroken")
            if name:
                found |= {number: found.get(number, name) for number in self._numbers[begin:end]}
        return found
