"""Cells: what one cell of a filled-in sheet may say, and everything that is wrong with a sheet.

What spreadsheets do to numbers, dates and spaces is understood; what they have destroyed (an
18-digit number rounded to …000) is named as such. Every parser takes a cell and returns a valid
value or raises `Unfit`; a `Judging` turns that into findings, all of a file at once.
"""

import datetime
import itertools
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any, TypeGuard

import msgspec

from service.ground.errors import Finding
from service.issuing.sheets import layouts
from service.issuing.sheets.layouts import Cell, Day, Unread
from service.registry import people
from service.registry.people import IdKind, IdNumber, Unfit

FINDINGS_MAX = 10_000
_SHOWN_LENGTH_MAX = 40
_NAMES_MAX = 20
_NUMBER_COLUMN = "证件号码"
_PHONE = re.compile(r"(?:\+86|0086|86)?(1[0-9]{10})")
_WHOLE = re.compile(r"([0-9]+)\.0+")
_ROUNDED = re.compile(r"[0-9](?:\.[0-9]+)?E\+?[0-9]+")
_DATE = re.compile(
    r"([0-9]{4}) ?(?:([0-9]{2})([0-9]{2})"
    r"|[-/.年] ?([0-9]{1,2}) ?[-/.月] ?([0-9]{1,2})(?: ?[日号])?)"
    r"(?:\.0|(?:[ T]|(?<=[日号]))[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?"
)
_SERIAL = re.compile(r"[0-9]{5}(?:\.[0-9]+)?")
# Serial 60 is 1900-02-29, which never was; from 1901 on this day is right.
_SERIAL_ZERO, _SERIAL_MAX = datetime.date(1899, 12, 30), 2_958_465
_DAYS_TO_1904 = 1462
# These would be days of 1905; who enters one has typed a year.
_TYPED_YEARS = range(1900, 2101)
# A space that no Latin letter or digit needs.
_STRAY_SPACE = re.compile(r"(?<=[^\x00-\x7f]) (?=[^\x00-\x7f])")
_TYPED = people.HALF_WIDTH | people.ZERO_WIDTH
_HALF_WIDTH_WORDS = people.ZERO_WIDTH | {
    full: half for full, half in people.HALF_WIDTH.items() if chr(half).isalnum()
}
_SEXES = {"男": "男", "女": "女", "男性": "男", "女性": "女", "M": "男", "F": "女"}
_ID_KINDS = {kind.value: kind for kind in IdKind} | {
    "身份证": IdKind.RESIDENT,
    "二代身份证": IdKind.RESIDENT,
    "港澳居民居住证": IdKind.RESIDENCE_PERMIT,
    "台湾居民居住证": IdKind.RESIDENCE_PERMIT,
    "外国人永久居留证": IdKind.FOREIGNER,
    "回乡证": IdKind.HOME_RETURN,
    "台胞证": IdKind.TAIWAN,
    "普通护照": IdKind.PASSPORT,
    "外国护照": IdKind.PASSPORT,
}


class Judgement:
    """The errors so far, and what earlier rows hold."""

    def __init__(self) -> None:
        self.count = 0
        self._listed: list[Finding] = []
        self._first_rows: dict[tuple[str, ...], int] = {}

    def add(
        self,
        unfit: Unfit,
        row: int | None = None,
        column: str | None = None,
        cell: Cell = None,
        rows: tuple[int, ...] = (),
    ) -> None:
        """Count an error of one row or of many, and list it while the list is not full."""
        self.count += 1
        if self.count <= FINDINGS_MAX:
            text = str(cell.day if isinstance(cell, Day) else cell)
            value = shown(people.mask_id(text) if column == "证件号码" else text)
            finding = unfit.finding(row, column, None if cell is None else value)
            self._listed.append(msgspec.structs.replace(finding, rows=rows) if rows else finding)

    def findings(self) -> tuple[Finding, ...]:
        """Return the listed errors, and one that counts them all if the list is full."""
        if self.count > FINDINGS_MAX:
            more = Unfit("ErrorsUnlisted", count=self.count, listed=FINDINGS_MAX)
            return (*self._listed, more.finding())
        return tuple(self._listed)

    def value(self, row: int, column: str, parse: Callable[[Any], object], cell: Cell) -> Any:
        """Return what a cell says, or None once its error is counted."""
        if isinstance(cell, Unread):
            self.add(Unfit(cell.code, at=cell.at), row, column, cell.shown)
            return None
        try:
            return parse(cell)
        except Unfit as unfit:
            self.add(unfit, row, column, cell)
            return None

    def identity(self, row: int, kind: IdKind, typed: str, cell: Cell) -> IdNumber | None:
        """Return the document number that was typed, or None once its error is counted."""
        try:
            return people.check_id(kind, typed)
        except Unfit as unfit:
            rounded = unfit.code == "IdCheckWrong" and typed.endswith("000")
            self.add(Unfit("NumberRounded") if rounded else unfit, row, "证件号码", cell)
            return None

    def agree_on_sex(self, row: int, identity: IdNumber, sex: str | None) -> None:
        """Count an error where the document number says another sex."""
        if sex and identity.sex not in (None, sex):
            unfit = Unfit("SexContradictsId", typed=sex, inside=identity.sex)
            self.add(unfit, row, "性别", sex)

    def once(self, code: str, row: int, column: str, cell: Cell, *key: str) -> int:
        """Count an error where an earlier row has the same key; return the first that has it."""
        first = self._first_rows.setdefault((code, *key), row)
        if first != row:
            self.add(Unfit(code, first=first), row, column, cell)
        return first


class Judging(Judgement, ABC):
    """One sheet, judged as its parts come: the rows that hold, and everything that is wrong.

    A room tells in `row` what holds. With more errors than are listed, or with a fault of the whole
    sheet, no row is to be used.
    """

    def __init__(self, layout: layouts.Layout) -> None:
        super().__init__()
        self.layout = layout
        self.form: layouts.Form | None = None
        self.from_1904 = False
        self.rows: list[Any] = []
        self.warnings: list[Finding] = []
        self._faults: list[Finding] = []
        self._strays: set[int] = set()
        self._number_place = layout.columns.index(_NUMBER_COLUMN)

    def take(self, part: layouts.Part) -> None:
        """Judge what a reader tells next."""
        match part:
            case layouts.Lines():
                for number, line in part.rows:
                    is_nobodys = line[:2] == layouts.EXAMPLE or self.stray(number, line)
                    if not is_nobodys and (row := self.row(number, line)):
                        self.rows.append(row)
                if self.count > FINDINGS_MAX:
                    self.rows.clear()
            case layouts.Head():
                self.form, self.from_1904 = part.form, part.from_1904
                self._take_head(part)
            case layouts.Tail():
                self._take_tail(part)
            case layouts.Problem():
                self._faults.append(part.finding)

    def stray(self, number: int, line: tuple[Cell, ...]) -> bool:
        """Tell of a row that it is nobody's, and count that as its one error.

        Notes, sums and signatures have no document number and little else; a header has its own.
        """
        typed = line[self._number_place]
        few = typed is None and len(line) - line.count(None) <= len(line) // 3
        if not few and typed != _NUMBER_COLUMN:
            return False
        first = next((cell for cell in line if cell is not None), None)
        value = first.shown if isinstance(first, Unread) else first
        self.add(Unfit("RowStray"), number, cell=value)
        self._strays.add(number)
        return True

    @abstractmethod
    def row(self, number: int, line: tuple[Cell, ...]) -> Any:
        """Judge one row, its cells in the order of the layout: the row, or None."""

    def _take_head(self, head: layouts.Head) -> None:
        faults = {
            "SheetAmbiguous": head.sheets_rival,
            "ColumnMissing": _asked_about(head.missing, head.unknown),
            "ColumnRepeated": head.repeated,
            "HeaderMerged": head.merged,
        }
        warnings = {
            "SheetIgnored": head.sheets_ignored,
            "SheetHidden": head.sheets_hidden,
            "ColumnUnknown": head.unknown,
        }
        self._faults += _named(faults, self.layout)
        self.warnings += _named(warnings, self.layout)
        if head.has_macros:
            self.warnings.append(Unfit("WorkbookMacros").finding())

    def _take_tail(self, tail: layouts.Tail) -> None:
        hidden = {"RowsHidden": _spans(tail.rows_hidden), "ColumnsHidden": tail.columns_hidden}
        self.warnings += _named(hidden, self.layout)
        for number, column in tail.merged:
            if number not in self._strays:
                self.add(Unfit("CellMerged"), number, column)
        self._listed.sort(key=lambda one: one.row or 0)

    def usable(self) -> bool:
        """Tell whether the errors are those of single rows, and all of them listed."""
        return not self._faults and self.count <= FINDINGS_MAX

    def holding(self) -> tuple[Any, ...]:
        """Return the rows without an error."""
        if not self.usable():
            return ()
        wrong = {finding.row for finding in self._listed}
        return tuple(row for row in self.rows if row.row_number not in wrong)

    def findings(self) -> tuple[Finding, ...]:
        """Return the faults of the sheet and then the errors of its rows."""
        if not (self.rows or self.count or self._faults):
            self.add(Unfit("RowsMissing"))
        return (*self._faults, *super().findings())


def shown(value: object) -> str:
    """Show what a stranger typed, as short text without secrets.

    Nothing invisible, nothing a spreadsheet would run, no number of a person or a telephone whole.
    """
    text = people.mask_numbers(str(value))[: _SHOWN_LENGTH_MAX + 1]
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    text = f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
    return text if len(text) <= _SHOWN_LENGTH_MAX else text[: _SHOWN_LENGTH_MAX - 1] + "…"


def _named(facts: dict[str, tuple[str, ...]], layout: layouts.Layout) -> Iterator[Finding]:
    for code, names in facts.items():
        if names:
            listed = "、".join(map(shown, names[:_NAMES_MAX]))
            listed += f"…（{len(names)}）" if len(names) > _NAMES_MAX else ""
            yield Unfit(code, names=listed, sheet=layout.sheet).finding()


def _asked_about(missing: Iterable[str], unknown: Iterable[str]) -> tuple[str, ...]:
    """Name the missing columns, each with the unknown one that it may be."""
    left, asked = list(unknown), []
    for column in missing:
        parts = layouts.SAID_INSTEAD.get(column, ())
        guess = next((name for part in parts for name in left if part in name), None)
        if guess:
            left.remove(guess)
        asked.append(f"{column}（是否即“{guess}”）" if guess else column)
    return tuple(asked)


def _spans(numbers: tuple[int, ...]) -> tuple[str, ...]:
    """Put what stands in a row together: (3, 4, 5, 9) is 3–5 and 9."""
    runs = itertools.groupby(enumerate(numbers), lambda one: one[1] - one[0])
    spans = ([number for _, number in run] for _, run in runs)
    return tuple(f"{s[0]}–{s[-1]}" if len(s) > 1 else str(s[0]) for s in spans)


def text(cell: Cell) -> str:
    """Return a cell's words half-width with single spaces, whatever type the sheet gave it."""
    if cell is None:
        raise Unfit("CellEmpty")
    if isinstance(cell, bool):
        raise Unfit("CellLogical")
    if isinstance(cell, str):
        return " ".join(cell.translate(_HALF_WIDTH_WORDS).split())
    if isinstance(cell, int | float) and abs(cell) >= 10**15:
        raise Unfit("NumberRounded")
    return str(cell.day if isinstance(cell, Day) else cell)


def digits(cell: Cell) -> str:
    """Read a number of any kind that a spreadsheet may have taken for a quantity."""
    number = people.tidy(text(cell)).removeprefix("'")
    if whole := _WHOLE.fullmatch(number):
        return whole[1]
    if _ROUNDED.fullmatch(number):
        raise Unfit("NumberRounded")
    return number


def name(cell: Cell, drawable: Collection[int]) -> str:
    """Read a person's name."""
    normalised = people.normalise_name(cell if isinstance(cell, str) else text(cell), drawable)
    if normalised == layouts.EXAMPLE[1]:
        raise Unfit("ExampleName")
    return normalised


def choice(choices: dict[str, Any], listed: str, cell: Cell) -> Any:
    """Read one of a few words; `listed` names them to whoever chose another."""
    chosen = choices.get(cell) if isinstance(cell, str) else None
    if chosen is None:
        chosen = choices.get(people.tidy(text(cell)))
    if chosen is None:
        raise Unfit("ChoiceUnknown", listed=listed)
    return chosen


def sex(cell: Cell) -> Any:
    """Read 男 or 女."""
    return choice(_SEXES, "男、女", cell)


def id_kind(cell: Cell) -> Any:
    """Read the kind of a document, under its usual names too."""
    return choice(_ID_KINDS, "、".join(IdKind), cell)


def phone(cell: Cell) -> str:
    """Read a mobile number."""
    match = _PHONE.fullmatch(digits(cell).replace("-", ""))
    if not match:
        raise Unfit("PhoneUnreadable")
    return match[1]


def words(cell: Cell, length_max: int) -> str:
    """Read words that can be printed."""
    said = unicodedata.normalize("NFC", text(cell))
    if len(said) > length_max:
        raise Unfit("TextTooLong", length_max=length_max)
    if not said.isprintable():
        raise Unfit("TextUnprintable")
    return said


@lru_cache(maxsize=4096, typed=True)
def project(cell: Cell) -> str:
    """Read the name of a project."""
    return _STRAY_SPACE.sub("", words(cell, 60)) or text(None)


def past_date(cell: Cell, today: datetime.date, *, from_1904: bool = False) -> datetime.date:
    """Read a day that is not in the future; a bare count of days may begin in 1904."""
    if isinstance(cell, Day):
        day = _date((cell.day - _SERIAL_ZERO).days, 0)
    else:
        day = _date(cell, _DAYS_TO_1904 if from_1904 else 0)
    if day > today:
        raise Unfit("DateInFuture", day=day)
    return day


@lru_cache(maxsize=65536, typed=True)
def _date(cell: Cell, days_ahead: int) -> datetime.date:
    typed = cell.translate(_TYPED) if isinstance(cell, str) else text(cell)
    typed = " ".join(typed.split())
    serial = float(typed) if isinstance(cell, str) and _SERIAL.fullmatch(typed) else cell
    if _is_serial(serial):
        return _SERIAL_ZERO + datetime.timedelta(int(serial) + days_ahead)
    match = _DATE.fullmatch(typed)
    try:
        day = datetime.date(*(int(part) for part in match.groups() if part)) if match else None
    except ValueError:
        day = None
    if day is None or day.year < 1900:
        raise Unfit("DateUnreadable")
    return day


def _is_serial(cell: Cell) -> TypeGuard[float]:
    if not isinstance(cell, int | float) or not 366 < cell <= _SERIAL_MAX:
        return False
    return int(cell) not in _TYPED_YEARS  # 2026.5 is a month, typed
