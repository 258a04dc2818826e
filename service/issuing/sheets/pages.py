"""Pages: the cells of one sheet of an .xlsx workbook, streamed row by row.

Only cells that hold a value are taken at their word: a formula, and all that an array of formulas
covers, is `Unread`, and so is an error. Cells are where they say they are: what is doubled or out
of order is refused, so that no two readers of a file can differ. A sheet is never held as a whole,
and of empty cells, however many, nothing is kept.

Source: ECMA-376 part 1, 18.3.
"""

import datetime
import itertools
import re
from collections.abc import Iterator
from xml.parsers import expat

import msgspec

from service.issuing.sheets.layouts import Cell, Day, Unread
from service.issuing.sheets.spreadsheets import TEXT_LENGTH_MAX, TRUE, Workbook, local
from service.registry.people import Unfit

COLUMNS_MAX = 52
_ROWS_MAX = 1_048_576
_MERGED_MAX = 200_000
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})(?::([A-Z]{1,3})([0-9]{1,7}))?")
LETTERS = tuple(
    "".join(letters)
    for length in (1, 2, 3)
    for letters in itertools.product("ABCDEFGHIJKLMNOPQRSTUVWXYZ", repeat=length)
)[:16_384]
_PLACES = {letters: place for place, letters in enumerate(LETTERS)}

Row = tuple[int, list[Cell]]


class Range(msgspec.Struct, frozen=True):
    """Cells from a row and column to others, both included; columns count from 0."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def read(cls, reference: str) -> "Range":
        """Read a reference such as B2:C9 or B2."""
        if not (match := _REFERENCE.fullmatch(reference)):
            raise ValueError(reference)
        left, top, right, bottom = match.groups()
        return cls(int(top), _PLACES[left], int(bottom or top), _PLACES[right or left])

    def __str__(self) -> str:
        return f"{LETTERS[self.left]}{self.top}:{LETTERS[self.right]}{self.bottom}"


class Page:
    """The cells of one sheet, to be read once; what else is known of them, is known after that.

    `merged` are ranges of cells, `columns_hidden` the first and last of some, counted from 0;
    `rows_hidden` are only such as hold something.
    """

    def __init__(self, workbook: Workbook, part: str) -> None:
        self.merged: list[Range] = []
        self.rows_hidden: list[int] = []
        self.columns_hidden: list[tuple[int, int]] = []
        self._workbook, self._part = workbook, part
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._begin_around
        self._begun = {
            "c": self._begin_cell,
            "t": self._begin_text,
            "is": self._begin_inline,
            "v": self._begin_value,
            "row": self._begin_row,
            "f": self._begin_formula,
            "rPh": self._begin_reading,
        }
        self._ended = {
            "c": self._end_cell,
            "t": self._end_text,
            "is": self._end_inline,
            "v": self._end_text,
            "row": self._end_row,
            "rPh": self._end_reading,
            "sheetData": self._end_data,
        }
        self._done: list[Row] = []
        self._inside = ""  # of what it is directly in: row, c or is
        self._row, self._row_text, self._is_hidden = 0, "", False
        self._cells: list[Cell] = []
        self._column, self._given = -1, dict[str, str]()
        self._pieces: list[str] = []
        self._take_text = self._pieces.append
        self._has_value = self._is_formula = False
        self._formulas_until: dict[int, int] = {}

    def rows(self) -> Iterator[Row]:
        """Give each row that holds something: its number and its cells, up to the last such."""
        for _ in self._workbook.feed(self._part, self._parser):
            yield from self._done
            self._done.clear()

    def _begin_around(self, tag: str, given: dict[str, str]) -> None:
        name = local(tag)
        if name == "sheetData":
            self._parser.StartElementHandler = self._begin
            self._parser.EndElementHandler = self._end
        elif name == "mergeCell":
            self.merged.append(Range.read(given["ref"]))
            if len(self.merged) > _MERGED_MAX:
                raise Unfit("WorkbookTooLarge")
        elif name == "col" and given.get("hidden") in TRUE:
            self.columns_hidden.append((int(given["min"]) - 1, int(given["max"]) - 1))

    def _begin(self, tag: str, given: dict[str, str]) -> None:
        if begin := self._begun.get(tag) or self._begun.get(local(tag)):
            begin(given)

    def _end(self, tag: str) -> None:
        if end := self._ended.get(tag) or self._ended.get(local(tag)):
            end()

    def _begin_row(self, given: dict[str, str]) -> None:
        before, self._row = self._row, int(given.get("r", self._row + 1))
        self._require(not self._inside and before < self._row <= _ROWS_MAX)
        self._row_text, self._is_hidden = str(self._row), given.get("hidden") in TRUE
        self._inside, self._column, self._cells = "row", -1, []

    def _end_row(self) -> None:
        self._inside = ""
        if self._cells:
            self._done.append((self._row, self._cells))
            if self._is_hidden:
                self.rows_hidden.append(self._row)

    def _begin_cell(self, given: dict[str, str]) -> None:
        column = self._column + 1
        if reference := given.get("r"):
            letters = reference.rstrip("0123456789")
            column = _PLACES[letters]
            if letters + self._row_text != reference:
                raise ValueError(reference)
        if self._inside != "row" or column <= self._column:
            raise ValueError(reference)
        self._inside, self._column, self._given = "c", column, given
        self._has_value = self._is_formula = False
        self._pieces.clear()

    def _end_cell(self) -> None:
        self._inside = "row"
        if not (self._pieces or self._is_formula or self._formulas_until):
            return
        cell = self._value("".join(self._pieces)) if self._pieces else None
        if self._is_formula or self._formulas_until.get(self._column, 0) >= self._row:
            cell = Unread("CellFormula", _shown(cell))
        if cell is None:
            return
        if self._column >= COLUMNS_MAX:
            raise Unfit("CellFarAway", place=f"{LETTERS[self._column]}{self._row}")
        while len(self._cells) < self._column:
            self._cells.append(None)
        self._cells.append(cell)

    def _value(self, text: str) -> Cell:
        """Read the value of a cell by its type; None where it says nothing."""
        kind = self._given.get("t", "n")
        if kind == "s":
            place = int(text)
            self._require(place >= 0)
            return self._workbook.strings[place] or None
        if kind in ("str", "inlineStr"):
            return self._workbook.text(text) or None
        text = text.strip()
        if kind == "n":
            return self._workbook.number(text, self._given.get("s", "0")) if text else None
        if kind == "b":
            return text in TRUE
        if kind == "d":
            return self._moment(text)
        return Unread("CellError", text[:TEXT_LENGTH_MAX])

    def _moment(self, text: str) -> Cell:
        """Read a moment; a time of day or half a date stays a text."""
        try:
            return self._workbook.moment(datetime.datetime.fromisoformat(text))
        except ValueError:
            return text[:TEXT_LENGTH_MAX] or None

    def _begin_value(self, _: dict[str, str]) -> None:
        self._require(self._inside == "c" and not self._has_value)
        self._has_value = True
        self._parser.CharacterDataHandler = self._take_text

    def _begin_text(self, _: dict[str, str]) -> None:
        self._require(self._inside == "is")
        self._parser.CharacterDataHandler = self._take_text

    def _end_text(self) -> None:
        self._parser.CharacterDataHandler = None

    def _begin_inline(self, _: dict[str, str]) -> None:
        self._require(self._inside == "c" and not self._has_value)
        self._has_value, self._inside = True, "is"

    def _end_inline(self) -> None:
        self._inside = "c"

    def _begin_reading(self, _: dict[str, str]) -> None:
        self._parser.StartElementHandler = None

    def _end_reading(self) -> None:
        self._parser.StartElementHandler = self._begin

    def _begin_formula(self, given: dict[str, str]) -> None:
        self._require(self._inside == "c")
        self._is_formula = True
        if given.get("t") in ("array", "dataTable") and "ref" in given:
            covered = Range.read(given["ref"])
            self._require((covered.top, covered.left) == (self._row, self._column))
            for column in range(covered.left, covered.right + 1):
                until = self._formulas_until.get(column, 0)
                self._formulas_until[column] = max(until, covered.bottom)

    def _end_data(self) -> None:
        self._parser.StartElementHandler = self._begin_around
        self._parser.EndElementHandler = None

    def _require(self, is_so: bool) -> None:
        if not is_so:
            raise ValueError(self._row)


def _shown(cell: Cell) -> str:
    if isinstance(cell, Unread):
        return cell.shown
    return "" if cell is None else str(cell.day if isinstance(cell, Day) else cell)
