"""The annotated copy: an uploaded sheet given back with what is wrong in it, ready to be mended.

It holds values only, in the form that the upload had, and every row keeps its number; nothing of
the stranger's own XML is in it. Two columns stand right of the last one that has a name, or where
an earlier copy has them: what is wrong with the row, and the row's mark, by which it is known again
when it comes back. A formula's cell comes back empty in a workbook, for nobody has vouched for its
value; in a CSV all stands as it stood. Equal arguments give equal bytes.
"""

import codecs
import csv
import datetime
import itertools
import math
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

import xlsxwriter
from xlsxwriter import exceptions

from service.ground.errors import Finding, RowsRefused
from service.issuing.sheets import layouts, pages
from service.issuing.sheets.layouts import ERRORS, MARK, Cell, Day, Form, Head, Layout, Unread
from service.registry.people import Unfit

_COPY = "-标注"
_HEADS = {
    ERRORS: "（{count} 处，在 {rows} 行：请改正所说的格子，保存后再次上传本文件。"
    " {count} errors in {rows} rows: mend the cells, save, upload this file again.）",
    MARK: "（请勿改动 keep）",
}
_WHOLE_FILE = 0  # the row of findings that have none
_COMMENTS_MAX = 1_000  # with many more, spreadsheet programs open a file slowly
_COMMENT_WIDTH, _COMMENT_LINE_LENGTH = 320, 44
_LINE_HEIGHT, _ROW_HEIGHT_MAX = 18, 409
_MEASURED_ROWS = 200
_WIDTH_MIN, _WIDTH_MAX = 6, 36
_OUR_WIDTHS = {ERRORS: 80, MARK: 24}
_FROZEN_COLUMNS_MAX = 3
_CREATED_AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_DAY_MIN, _DAY_MIN_1904 = datetime.date(1900, 3, 1), datetime.date(1904, 1, 2)
_UNDECODABLE = re.compile(r"\\x[89a-f][0-9a-f]")

_FONT = {"font_name": "宋体", "font_size": 11, "valign": "vcenter"}
_HEAD = {"bold": True, "align": "center", "text_wrap": True, "border": 1}
_WRONG = {"bg_color": "#FFC7CE", "font_color": "#9C0006"}
_STYLES: Mapping[str, Mapping[str, object]] = {
    "text": {"num_format": "@"},  # what is typed anew stays as it is typed, and is not rounded
    "number": {},
    "day": {"num_format": "yyyy-mm-dd"},
    "unread": {"num_format": "@", "bg_color": "#FFEB9C"},
    "wrong": {"num_format": "@"} | _WRONG,
    "wrong day": {"num_format": "yyyy-mm-dd"} | _WRONG,
    "head": _HEAD | {"bg_color": "#E7E6E6"},
    "error head": _HEAD | _WRONG | {"align": "left"},
    ERRORS: {"text_wrap": True, "font_color": "#9C0006"},
    MARK: {"num_format": "@", "font_color": "#7F7F7F"},
}
_KINDS = {str: "text", Day: "day", Unread: "unread", type(None): "text"}


def beside(upload: Path) -> Path:
    """Name a copy that does not exist yet, beside its upload, which may be a copy itself."""
    stem = re.sub(rf"{_COPY}\d*$", "", upload.stem)
    numbers = itertools.chain([""], itertools.count(2))
    paths = (upload.with_name(f"{stem}{_COPY}{number}{upload.suffix}") for number in numbers)
    return next(path for path in paths if not path.exists())


class Copy:
    """One upload's copy, written into `target` as `reading.read_whole` tells it, part by part.

    `findings` are what was wrong with it, `marks` the rows' identities by their numbers. The copy
    is whole once it is left.
    """

    def __init__(
        self,
        target: BinaryIO,
        layout: Layout,
        findings: Iterable[Finding],
        marks: Mapping[int, str],
    ) -> None:
        self._target, self._layout, self._marks = target, layout, marks
        self._sheet: _Workbook | _Delimited
        self._header_row = self._last_row = self._width = 0
        self._places: dict[str, int] = {}
        self._added: list[None] = []
        self._found: dict[int, list[Finding]] = {}
        for finding in findings:
            for row in finding.rows or (finding.row or _WHOLE_FILE,):
                self._found.setdefault(row, []).append(finding)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exception: type[BaseException] | None, *_: object) -> None:
        if self._header_row:
            for finding in self._found.get(_WHOLE_FILE, ()) if exception is None else ():
                self._write(self._last_row + 1, [], [finding])
            self._sheet.close()

    def take(self, part: layouts.Part) -> None:
        """Write what a reader tells next.

        Raises:
            OSError: there is no room for scratch files; leaving may raise it too.
            RowsRefused: no row of the upload can be told, or not to the last, or a row has no room
                for our two columns.
        """
        match part:
            case Head() if part.missing or part.repeated or part.sheets_rival:
                found = tuple(self._found.get(_WHOLE_FILE, ()))
                raise RowsRefused(found, count=len(found))
            case Head():
                self._begin(part)
            case layouts.Lines():
                for number, cells in part.rows:
                    self._write(number, list(cells), self._found.get(number, []))
            case layouts.Problem():
                raise RowsRefused((part.finding,), count=1)

    def _write(self, number: int, cells: list[Cell], found: Sequence[Finding]) -> None:
        while cells and cells[-1] is None:
            cells.pop()
        if number >= self._header_row:
            cells = self._annotated(number, cells, found)
        if any(cell is not None for cell in cells):
            self._sheet.write(number, cells, self._wrong(found))
            self._last_row = number

    def _begin(self, head: Head) -> None:
        """Learn where the columns stand, ours too."""
        added = [name for name in _HEADS if name not in head.header]
        self._header_row, self._width = head.header_row, len(head.header)
        self._added = [None] * len(added)
        for place, name in enumerate([*head.header, *added]):
            self._places.setdefault(name, place)
        if head.form.kind == "xlsx":
            self._sheet = _Workbook(self._target, self._layout, head, self._places)
            if first := min((row for row in self._found if row > head.header_row), default=0):
                self._sheet.open_at(first, min(self._wrong(self._found[first]), default=0))
        else:
            self._sheet = _Delimited(self._target, head.form)

    def _annotated(self, number: int, cells: list[Cell], found: Sequence[Finding]) -> list[Cell]:
        """Put our two cells into a row, the added ones before what stands right of every name."""
        cells += [None] * (self._width - len(cells))
        cells[self._width : self._width] = self._added
        if len(cells) > pages.COLUMNS_MAX:  # nobody could read it again
            place = f"{pages.LETTERS[len(cells) - len(self._added) - 1]}{number}"
            raise RowsRefused((Unfit("ColumnsFull", place=place).finding(),), count=1)
        if number == self._header_row:
            rows = [found for row, found in self._found.items() if row != _WHOLE_FILE]
            count = sum(map(len, rows))
            for name, words in _HEADS.items():
                cells[self._places[name]] = name + words.format(count=count, rows=len(rows))
        else:
            cells[self._places[ERRORS]] = self._sheet.joint.join(map(_said, found)) or None
            mark = self._marks.get(number, cells[self._places[MARK]])
            cells[self._places[MARK]] = mark
        return cells

    def _wrong(self, found: Sequence[Finding]) -> dict[int, str]:
        """Give each wrong cell's place and all that is said of it."""
        wrong: dict[int, str] = {}
        for finding in found:
            place = self._places.get(finding.column or "")
            if place is not None:
                said = f"{finding.zh} {finding.en}"
                wrong[place] = f"{wrong[place]}\n{said}" if place in wrong else said
        return wrong


class _Told:
    """Where a writer of CSV writes to that is asked to return what it writes."""

    def write(self, row: str) -> str:
        return row


class _Delimited:
    """The copy as CSV, in the encoding, with the delimiter and the line ends of the upload."""

    joint = " "

    def __init__(self, target: BinaryIO, form: Form) -> None:
        self._line_end, self._next_row = form.line_end, 1
        self._out = codecs.getwriter(form.encoding)(target)
        # By its own end of a line the writer knows what to quote, by \r alone not all of it.
        self._csv = csv.writer(_Told(), delimiter=form.delimiter, lineterminator="\r\n")
        if form.is_delimiter_named:
            self._out.write(f"sep={form.delimiter}{form.line_end}")

    def write(self, number: int, cells: Sequence[Cell], _: Mapping[int, str]) -> None:
        """Write a row in its place, empty lines before it."""
        self._out.write(self._line_end * (number - self._next_row))
        row = self._csv.writerow(map(_text, cells))
        self._out.write(row.removesuffix("\r\n") + self._line_end)
        self._next_row = number + 1

    def close(self) -> None:
        """Leave the target open for whoever opened it."""
        self._out.flush()


class _Workbook:
    """The copy as a workbook of one sheet: wrong cells coloured, their sentences as comments."""

    joint = "\n"

    def __init__(
        self, target: BinaryIO, layout: Layout, head: Head, places: Mapping[str, int]
    ) -> None:
        self._scratch = tempfile.TemporaryDirectory()  # for rows until the file is finished
        options = {"constant_memory": True, "tmpdir": self._scratch.name}
        self._book = xlsxwriter.Workbook(target, options | {"date_1904": head.from_1904})
        self._book.set_properties({"created": _CREATED_AT})
        self._sheet = self._book.add_worksheet(layout.sheet)
        self._styles = {
            name: self._book.add_format({**_FONT, **style}) for name, style in _STYLES.items()
        }
        self._day_min = _DAY_MIN_1904 if head.from_1904 else _DAY_MIN
        self._header_row = self._last_row = head.header_row
        self._ours, self._errors = {places[name]: name for name in _HEADS}, places[ERRORS]
        frozen = places.get(layout.columns[1], _FROZEN_COLUMNS_MAX) + 1
        self._frozen_columns = frozen if frozen <= _FROZEN_COLUMNS_MAX else 0
        self._widths: dict[int, int] = {}
        self._comments = 0
        self.open_at(head.header_row + 1, 0)

    def open_at(self, row: int, place: int) -> None:
        """Have this cell in sight when the workbook is opened, and the header always."""
        top = max(row - 3, self._header_row)
        self._sheet.freeze_panes(self._header_row, self._frozen_columns, top)
        self._sheet.set_selection(row - 1, place, row - 1, place)

    def write(self, number: int, cells: Sequence[Cell], wrong: Mapping[int, str]) -> None:
        """Write a row in its place."""
        said = cells[self._errors] if number >= self._header_row else None
        if isinstance(said, str):
            height = _LINE_HEIGHT * _lines(said, _OUR_WIDTHS[ERRORS])
            self._sheet.set_row(number - 1, min(height, _ROW_HEIGHT_MAX))
        for place, cell in enumerate(cells):
            if cell is not None or place in wrong:
                style = self._styles[self._style(number, place, cell, wrong)]
                self._put(number - 1, place, cell, style)
        for place, said in wrong.items():
            self._comment(number - 1, place, said)
        if 0 <= number - self._header_row < _MEASURED_ROWS:
            for place, cell in enumerate(cells):
                self._widths[place] = max(self._widths.get(place, 0), _width(cell))
        self._last_row = number

    def close(self) -> None:
        """Finish the file, its columns as wide as what stands in them."""
        for place, width in self._widths.items():
            fitting = min(max(width + 2, _WIDTH_MIN), _WIDTH_MAX)
            fitting = _OUR_WIDTHS.get(self._ours.get(place, ""), fitting)
            self._sheet.set_column(place, place, fitting, self._styles["text"])
        if self._widths:
            last_place = max(self._widths)
            self._sheet.autofilter(self._header_row - 1, 0, self._last_row - 1, last_place)
        try:
            with self._scratch:
                self._book.close()
        except exceptions.FileCreateError as error:
            raise OSError(*error.args[0].args) from error  # it hides what the disk said

    def _style(self, number: int, place: int, cell: Cell, wrong: Mapping[int, str]) -> str:
        if number == self._header_row:
            return "error head" if place == self._errors else "head"
        if place in wrong:
            return "wrong day" if isinstance(cell, Day) else "wrong"
        ours = self._ours.get(place) if number > self._header_row else None
        return ours or _KINDS.get(type(cell), "number")

    def _put(self, row: int, place: int, cell: Cell, style: Any) -> None:
        match cell:
            case str() if cell.startswith("<r>"):  # or XlsxWriter takes it for XML of its own
                self._sheet.write_rich_string(row, place, "<", "r", cell[2:], style)
            case str():
                self._sheet.write_string(row, place, cell, style)
            case bool():
                self._sheet.write_boolean(row, place, cell, style)
            case int() | float():
                self._sheet.write_number(row, place, cell, style)
            case Day(day) if day >= self._day_min:
                self._sheet.write_datetime(row, place, day, style)
            case Day(day):
                self._sheet.write_string(row, place, str(day), style)
            case _:
                self._sheet.write_blank(row, place, None, style)

    def _comment(self, row: int, place: int, said: str) -> None:
        self._comments += 1
        if self._comments <= _COMMENTS_MAX:
            height = _LINE_HEIGHT * (1 + _lines(said, _COMMENT_LINE_LENGTH))
            size = {"width": _COMMENT_WIDTH, "height": height, "font_size": 10}
            self._sheet.write_comment(row, place, said, size)


def _said(finding: Finding) -> str:
    column = f"【{finding.column}】" if finding.column else ""
    return f"{column}{finding.zh} {finding.en}"


def _text(cell: Cell) -> str:
    """Return what a CSV held: a formula as it stood, and what is lost as lost again."""
    if isinstance(cell, Unread):
        return _UNDECODABLE.sub("\ufffd", cell.shown)
    return "" if cell is None else str(cell)


def _width(cell: Cell) -> int:
    """Return how many half-width places a cell takes."""
    if isinstance(cell, str):
        return sum(1 + (character > "\u02ff") for character in cell)
    return len("2026-01-01") if isinstance(cell, Day) else len(str(cell))


def _lines(text: str, width: int) -> int:
    """Return how many lines a text takes in a column of this width."""
    return sum(math.ceil((_width(line) + 1) / width) for line in text.split("\n"))
