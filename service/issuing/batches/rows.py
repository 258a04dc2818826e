"""Rows of results: every cell judged, every error of the file reported at once.

A `Row` exists only when all of its cells are valid and agree with each other; one error anywhere
keeps the whole file out. What spreadsheets do to numbers, dates and spaces is understood; what they
have destroyed (an 18-digit number rounded to …000) is named as such. Whether an exam date or a
project is allowed is a gate's to say, not this room's.
"""

import datetime
import re
import unicodedata
from collections.abc import Callable, Collection
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

import msgspec

from service.ground.errors import Finding
from service.issuing.batches import workbook
from service.issuing.batches.workbook import Cell, Day
from service.registry import people
from service.registry.people import IdKind, IdNumber, Unfit

FINDINGS_MAX = 10_000
_SHOWN_LENGTH_MAX = 40
# No public rule sets a least age; nobody younger is expected at an exam [A].
_AGE_YEARS_MIN = 14
_ADMISSION = re.compile(r"[\w/-]{1,32}")
_PHONE = re.compile(r"(?:\+86|0086|86)?(1[0-9]{10})")
_ROUNDED = re.compile(r"[0-9](?:\.[0-9]+)?E\+?[0-9]+")
_SCORE = re.compile(r"[0-9]{1,3}(?:\.[0-9]+)?")
_DATE = re.compile(
    r"([0-9]{4})(?:([0-9]{2})([0-9]{2})|[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?)"
    r"(?:T?00:00(?::00(?:\.0+)?)?)?"
)
# Serial 60 is 1900-02-29, which never was; from 1901 on this day is right.
_SERIAL_ZERO, _SERIAL_MAX = datetime.date(1899, 12, 30), 2_958_465
# These would be days of 1905; who enters one has typed a year.
_TYPED_YEARS = range(1900, 2101)
# A space that no Latin letter or digit needs.
_STRAY_SPACE = re.compile(r"(?<=[^\x00-\x7f]) (?=[^\x00-\x7f])")
_HALF_WIDTH_WORDS = people.ZERO_WIDTH | {
    full: half for full, half in people.HALF_WIDTH.items() if chr(half).isalnum()
}
_SEXES = {"男": "男", "女": "女", "男性": "男", "女性": "女", "M": "男", "F": "女"}
_RESULTS = {"合格": True, "不合格": False}
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
_BLANK = {"手机号码": None, "理论成绩": None, "实操成绩": None, "备注": ""}


class Row(msgspec.Struct, frozen=True):
    """One candidate's result, valid in itself; scores are 0 to 100 with at most one decimal."""

    row_number: int
    admission_number: str
    name: str
    sex: str
    id_kind: IdKind
    id_number: str
    born_on: datetime.date
    phone: str | None
    project: str
    exam_on: datetime.date
    theory: Decimal | None
    practice: Decimal | None
    total: Decimal
    passed: bool
    remark: str


def judge(
    sheet: workbook.Sheet, drawable: Collection[int], today: datetime.date
) -> tuple[tuple[Row, ...], tuple[Finding, ...], tuple[Finding, ...]]:
    """Judge a sheet: rows, errors, warnings. With any error the rows are not to be used.

    `drawable` are the code points that the embedded fonts can draw; `today` is the legal day.
    At most `FINDINGS_MAX` errors are listed; a last one then says how many there are, and no row
    is returned, so that nobody adds to them.
    """
    warnings = _named(("SheetIgnored", sheet.sheets_ignored), ("ColumnUnknown", sheet.unknown))
    if errors := _sheet_errors(sheet):
        return (), errors, warnings
    judgement = _Judgement(drawable, today)
    rows = tuple(
        row
        for number, cells in sheet.rows
        if cells[:2] != workbook.EXAMPLE and (row := judgement.row(number, cells))
    )
    if not rows and not judgement.count:
        judgement.add(Unfit("RowsMissing"))
    return rows if judgement.count <= FINDINGS_MAX else (), judgement.findings(), warnings


def shown(value: object) -> str:
    """Show what a stranger typed, as short text without secrets.

    Nothing invisible, nothing a spreadsheet would run, no number of a person or a telephone whole.
    """
    text = people.mask_numbers(str(value))[: _SHOWN_LENGTH_MAX + 1]
    text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    text = f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
    return text if len(text) <= _SHOWN_LENGTH_MAX else text[: _SHOWN_LENGTH_MAX - 1] + "…"


class _Judgement:
    """The errors of one sheet so far, and what its earlier rows hold."""

    def __init__(self, drawable: Collection[int], today: datetime.date) -> None:
        self.count = 0
        self._listed: list[Finding] = []
        self._first_rows: dict[tuple[str, ...], int] = {}
        self._first_names: dict[tuple[str, str], tuple[int, str]] = {}
        date = partial(_past_date, today=today)
        parsers: dict[str, Callable[[Any], object]] = {
            "准考证号": _admission,
            "姓名": partial(_name, drawable=drawable),
            "性别": partial(_choice, _SEXES, "男、女"),
            "证件类型": partial(_choice, _ID_KINDS, "、".join(IdKind)),
            "证件号码": _digits,
            "出生日期": date,
            "手机号码": _phone,
            "专项职业能力名称": _project,
            "考核日期": date,
            "理论成绩": _score,
            "实操成绩": _score,
            "总成绩": _score,
            "考核结果": partial(_choice, _RESULTS, "合格、不合格"),
            "备注": partial(_words, length_max=200),
        }
        self._parsers = tuple((column, parsers[column]) for column in workbook.COLUMNS)

    def add(
        self, unfit: Unfit, row: int | None = None, column: str | None = None, cell: Cell = None
    ) -> None:
        """Count an error, and list it while the list is not full."""
        self.count += 1
        if self.count <= FINDINGS_MAX:
            text = str(cell.day if isinstance(cell, Day) else cell)
            value = shown(people.mask_id(text) if column == "证件号码" else text)
            self._listed.append(unfit.finding(row, column, None if cell is None else value))

    def findings(self) -> tuple[Finding, ...]:
        """Return the listed errors, and one that counts them all if the list is full."""
        if self.count > FINDINGS_MAX:
            more = Unfit("ErrorsUnlisted", count=self.count, listed=FINDINGS_MAX)
            return (*self._listed, more.finding())
        return tuple(self._listed)

    def row(self, number: int, cells: tuple[Cell, ...]) -> Row | None:
        """Judge one row: each cell alone, then against its neighbours and the rows above."""
        before = self.count
        values = [
            self._value(number, column, parse, cell)
            for (column, parse), cell in zip(self._parsers, cells, strict=True)
        ]
        admission, name, sex, kind, typed, born_on, _, project, exam_on, *_ = values
        identity = self._identity(number, kind, typed, cells[4]) if kind and typed else None
        if identity:
            self._agree(number, identity, sex, born_on)
            self._only_in_its_column(number, identity, cells)
            self._one_name(number, identity, name)
        if born_on and exam_on and _years(born_on, exam_on) < _AGE_YEARS_MIN:
            unfit = Unfit("BirthDateImplausible", years=_AGE_YEARS_MIN, exam_on=exam_on)
            self.add(unfit, number, "出生日期", Day(born_on))
        if admission:
            self._once("AdmissionRepeated", number, "准考证号", cells[0], admission)
        if identity and project:
            key = (identity.kind, identity.number, project)
            self._once("CandidateRepeated", number, "证件号码", cells[4], *key)
        if self.count > before or not identity:
            return None
        values[4] = identity.number
        return Row(number, *values)

    def _value(self, row: int, column: str, parse: Callable[[Any], object], cell: Cell) -> Any:
        if cell is None and column in _BLANK:
            return _BLANK[column]
        try:
            return parse(cell)
        except Unfit as unfit:
            self.add(unfit, row, column, cell)
            return None

    def _identity(self, row: int, kind: IdKind, typed: str, cell: Cell) -> IdNumber | None:
        try:
            return people.check_id(kind, typed)
        except Unfit as unfit:
            rounded = unfit.code == "IdCheckWrong" and typed.endswith("000")
            self.add(Unfit("NumberRounded") if rounded else unfit, row, "证件号码", cell)
            return None

    def _agree(
        self, row: int, identity: IdNumber, sex: str | None, born_on: datetime.date | None
    ) -> None:
        if sex and identity.sex not in (None, sex):
            unfit = Unfit("SexContradictsId", typed=sex, inside=identity.sex)
            self.add(unfit, row, "性别", sex)
        if born_on and not identity.fits(born_on):
            inside = identity.born_on or identity.number[7:13]
            unfit = Unfit("BirthDateContradictsId", typed=born_on, inside=inside)
            self.add(unfit, row, "出生日期", Day(born_on))

    def _only_in_its_column(self, row: int, identity: IdNumber, cells: tuple[Cell, ...]) -> None:
        for column, cell in (("准考证号", cells[0]), ("备注", cells[-1])):
            if identity.number in people.tidy(str(cell)).replace("-", ""):
                masked = people.mask_id(identity.number)
                self.add(Unfit("IdRepeatedInClear"), row, column, masked)

    def _one_name(self, row: int, identity: IdNumber, name: str | None) -> None:
        if name:
            key = (identity.kind, identity.number)
            first, known = self._first_names.setdefault(key, (row, name))
            if name != known:
                self.add(Unfit("NameContradictsRow", first=first), row, "姓名", name)

    def _once(self, code: str, row: int, column: str, cell: Cell, *key: str) -> None:
        first = self._first_rows.setdefault((code, *key), row)
        if first != row:
            self.add(Unfit(code, first=first), row, column, cell)


def _sheet_errors(sheet: workbook.Sheet) -> tuple[Finding, ...]:
    if sheet.problem:
        return (sheet.problem,)
    return _named(
        ("SheetAmbiguous", sheet.sheets_rival),
        ("ColumnMissing", sheet.missing),
        ("ColumnRepeated", sheet.repeated),
    )


def _named(*facts: tuple[str, tuple[str, ...]]) -> tuple[Finding, ...]:
    return tuple(
        Unfit(code, names="、".join(map(shown, names))).finding() for code, names in facts if names
    )


def _text(cell: Cell) -> str:
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


def _digits(cell: Cell) -> str:
    text = people.tidy(_text(cell))
    if _ROUNDED.fullmatch(text):
        raise Unfit("NumberRounded")
    return text


def _admission(cell: Cell) -> str:
    text = _digits(cell)
    if not _ADMISSION.fullmatch(text) or text.startswith("示例"):
        raise Unfit("AdmissionUnreadable")
    return text


def _name(cell: Cell, drawable: Collection[int]) -> str:
    name = people.normalise_name(cell if isinstance(cell, str) else _text(cell), drawable)
    if name == workbook.EXAMPLE[1]:
        raise Unfit("ExampleName")
    return name


def _choice(choices: dict[str, Any], listed: str, cell: Cell) -> Any:
    choice = choices.get(cell) if isinstance(cell, str) else None
    if choice is None:
        choice = choices.get(people.tidy(_text(cell)))
    if choice is None:
        raise Unfit("ChoiceUnknown", listed=listed)
    return choice


def _phone(cell: Cell) -> str:
    match = _PHONE.fullmatch(_digits(cell).replace("-", ""))
    if not match:
        raise Unfit("PhoneUnreadable")
    return match[1]


def _words(cell: Cell, length_max: int) -> str:
    text = unicodedata.normalize("NFC", _text(cell))
    if len(text) > length_max:
        raise Unfit("TextTooLong", length_max=length_max)
    if not text.isprintable():
        raise Unfit("TextUnprintable")
    return text


@lru_cache(maxsize=4096, typed=True)
def _project(cell: Cell) -> str:
    return _STRAY_SPACE.sub("", _words(cell, 60)) or _text(None)


@lru_cache(maxsize=4096, typed=True)
def _score(cell: Cell) -> Decimal:
    text = f"{cell:.9f}" if isinstance(cell, float) else _text(cell)
    text = people.tidy(text).removesuffix("分")
    if not _SCORE.fullmatch(text) or float(text) > 100:
        raise Unfit("ScoreUnreadable")
    tenths = round(float(text) * 10)
    if abs(float(text) * 10 - tenths) > 1e-6:
        raise Unfit("ScoreTooFine")
    return Decimal(tenths) / 10


def _past_date(cell: Cell, today: datetime.date) -> datetime.date:
    day = _date((cell.day - _SERIAL_ZERO).days if isinstance(cell, Day) else cell)
    if day > today:
        raise Unfit("DateInFuture", day=day)
    return day


@lru_cache(maxsize=65536, typed=True)
def _date(cell: Cell) -> datetime.date:
    if isinstance(cell, int | float) and 366 < cell <= _SERIAL_MAX and cell not in _TYPED_YEARS:
        return _SERIAL_ZERO + datetime.timedelta(int(cell))
    match = _DATE.fullmatch(people.tidy(_text(cell)))
    try:
        day = datetime.date(*(int(part) for part in match.groups() if part)) if match else None
    except ValueError:
        day = None
    if day is None or day.year < 1900:
        raise Unfit("DateUnreadable")
    return day


def _years(born_on: datetime.date, day: datetime.date) -> int:
    """Return the age in full years, a leap day's birthday falling on the first of March."""
    return day.year - born_on.year - ((day.month, day.day) < (born_on.month, born_on.day))
