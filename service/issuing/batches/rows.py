"""Rows of results: every cell judged, every error of the file reported at once.

A `Row` exists only when all of its cells are valid and agree with each other; of the others a
`Refused` remains. Whether an exam date or a project is allowed is a gate's to say, not this room's.
"""

import datetime
import re
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

import msgspec

from service.ground.errors import Finding
from service.issuing.sheets import cells, layouts
from service.issuing.sheets.layouts import Cell, Day, Unread
from service.registry import people
from service.registry.people import IdKind, IdNumber, Unfit

# No public rule sets a least age; nobody younger is expected at an exam [A].
_AGE_YEARS_MIN = 14
_ADMISSION = re.compile(r"[\w/-]{1,32}")
_SCORE = re.compile(r"[0-9]{1,3}(?:\.[0-9]+)?")
_RESULTS = {"合格": True, "不合格": False}
_BLANK = {"手机号码": None, "理论成绩": None, "实操成绩": None, "备注": "", layouts.MARK: None}


class Row(msgspec.Struct, frozen=True, gc=False):
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
    mark: str | None = None

    @property
    def said(self) -> tuple[Any, ...]:
        """What its cells say, in the order of the columns."""
        return msgspec.structs.astuple(self)[1:-1]

    def refused(self, findings: Iterable[Finding]) -> "Refused":
        """Return it as a row that is wrong beside others or beside what is known."""
        return Refused(
            self.row_number,
            self.mark,
            self.admission_number,
            self.id_number,
            self.project,
            self.said,
            tuple(findings),
        )


class Refused(msgspec.Struct, frozen=True):
    """A row with errors, and what of it tells which row it is, as far as that can be read.

    `id_number` is what was typed, tidy, whether or not it is one; `said` is what the cells say, a
    wrong one as it was typed.
    """

    row_number: int
    mark: str | None
    admission_number: str | None
    id_number: str | None
    project: str | None
    said: tuple[Any, ...]
    findings: tuple[Finding, ...] = ()


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A sheet that has been judged: the rows that hold, those that do not, and why.

    `errors` are those of rows and of the whole sheet. With an error of the whole sheet, or too many
    to be listed, there are neither rows nor refused ones, so that nobody keeps them.
    """

    form: layouts.Form | None
    rows: tuple[Row, ...]
    refused: tuple[Refused, ...]
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def judge(
    parts: Iterable[layouts.Part], drawable: Collection[int], today: datetime.date
) -> tuple[tuple[Row, ...], tuple[Finding, ...], tuple[Finding, ...]]:
    """Judge what a reader tells all at once: rows that hold, errors, warnings."""
    judging = Judging(drawable, today)
    for part in parts:
        judging.take(part)
    judged = judging.judged()
    return judged.rows, judged.errors, judged.warnings


class Judging(cells.Judging):
    """Results, judged as they are read.

    `drawable` are the code points that the embedded fonts can draw; `today` is the legal day.
    """

    def __init__(self, drawable: Collection[int], today: datetime.date) -> None:
        super().__init__(layouts.RESULTS)
        self._names: dict[tuple[str, str], list[tuple[int, str | None]]] = {}
        self._repeated: set[tuple[str, int]] = set()
        self._refused: dict[int, Refused] = {}
        self._today = today
        parsers: dict[str, Callable[[Any], object]] = {
            "准考证号": _admission,
            "姓名": partial(cells.name, drawable=drawable),
            "性别": cells.sex,
            "证件类型": cells.id_kind,
            "证件号码": cells.digits,
            "出生日期": self._past_date,
            "手机号码": cells.phone,
            "专项职业能力名称": cells.project,
            "考核日期": self._past_date,
            "理论成绩": _score,
            "实操成绩": _score,
            "总成绩": _score,
            "考核结果": partial(cells.choice, _RESULTS, "合格、不合格"),
            "备注": partial(cells.words, length_max=200),
            layouts.MARK: _mark,
        }
        self._parsers = tuple((column, parsers[column]) for column in self.layout.columns)

    def judged(self) -> Judged:
        """Tell everything that was found, once all has been taken."""
        errors, wrong = self.findings(), dict[int, list[Finding]]()
        for error in errors if self.usable() else ():
            wrong.setdefault(error.row or 0, []).append(error)
        alone = {row.row_number: row for row in self.rows if row.row_number in wrong}
        return Judged(
            form=self.form,
            rows=self.holding(),
            refused=tuple(
                alone[number].refused(findings)
                if number in alone
                else msgspec.structs.replace(self._refused[number], findings=tuple(findings))
                for number, findings in wrong.items()
                if number
            ),
            errors=errors,
            warnings=tuple(self.warnings),
        )

    def stray(self, number: int, line: tuple[Cell, ...]) -> bool:
        """Tell of a row that is nobody's; one that was emptied but for its mark is no error."""
        if line[-1] is not None and line.count(None) == len(line) - 1:
            return True
        if not super().stray(number, line):
            return False
        said = tuple(_said(None, cell) for cell in line[:-1])
        self._refused[number] = Refused(number, _mark(line[-1]), None, None, None, said)
        return True

    def row(self, number: int, line: tuple[Cell, ...]) -> Row | None:
        """Judge one row: each cell alone, then against its neighbours and the rows above."""
        before = self.count
        values = [
            self._value(number, column, parse, cell)
            for (column, parse), cell in zip(self._parsers, line, strict=True)
        ]
        admission, name, sex, kind, typed, born_on, _, project, exam_on, *_ = values
        identity = self.identity(number, kind, typed, line[4]) if kind and typed else None
        if identity:
            self.agree_on_sex(number, identity, sex)
            self._agree_on_birth(number, identity, born_on)
            self._only_in_its_column(number, identity, line)
            values[4] = identity.number
            self._names.setdefault((identity.kind, identity.number), []).append((number, name))
        if born_on and exam_on and _years(born_on, exam_on) < _AGE_YEARS_MIN:
            unfit = Unfit("BirthDateImplausible", years=_AGE_YEARS_MIN, exam_on=exam_on)
            self.add(unfit, number, "出生日期", Day(born_on))
        if admission:
            self._alone("AdmissionRepeated", number, "准考证号", line[0], admission)
        if identity and project:
            key = (identity.kind, identity.number, project)
            self._alone("CandidateRepeated", number, "证件号码", line[4], *key)
        if self.count == before:
            return Row(number, *values)
        if self.count <= cells.FINDINGS_MAX:
            said = tuple(map(_said, values[:-1], line))
            self._refused[number] = Refused(number, values[-1], admission, typed, project, said)
        return None

    def _past_date(self, cell: Cell) -> datetime.date:
        return cells.past_date(cell, self._today, from_1904=self.from_1904)

    def _value(self, row: int, column: str, parse: Callable[[Any], object], cell: Cell) -> Any:
        if cell is None and column in _BLANK:
            return _BLANK[column]
        return self.value(row, column, parse, cell)

    def _agree_on_birth(self, row: int, identity: IdNumber, born_on: datetime.date | None) -> None:
        if born_on and not identity.fits(born_on):
            inside = identity.born_on or identity.number[7:13]
            unfit = Unfit("BirthDateContradictsId", typed=born_on, inside=inside)
            self.add(unfit, row, "出生日期", Day(born_on))

    def _only_in_its_column(self, row: int, identity: IdNumber, line: tuple[Cell, ...]) -> None:
        for column, cell in (("准考证号", line[0]), ("备注", line[13])):
            if identity.number in people.tidy(str(cell)).replace("-", ""):
                masked = people.mask_id(identity.number)
                self.add(Unfit("IdRepeatedInClear"), row, column, masked)

    def _alone(self, code: str, row: int, column: str, cell: Cell, *key: str) -> None:
        """Count an error of every row with this key, the first too: any of them may be wrong."""
        first = self.once(code, row, column, cell, *key)
        if first != row and (code, first) not in self._repeated:
            self._repeated.add((code, first))
            self.add(Unfit(code, first=row), first, column, cell)

    def _take_tail(self, tail: layouts.Tail) -> None:
        """Count an error in every row of a person with two names: any of them may be wrong."""
        for named in self._names.values():
            rows = {name: row for row, name in reversed(named) if name}
            for row, name in named if len(rows) > 1 else ():
                first = next(rows[other] for other in rows if other != name)
                if name:
                    self.add(Unfit("NameContradictsRow", first=first), row, "姓名", name)
        super()._take_tail(tail)


def _said(value: object, cell: Cell) -> object:
    """What a cell says, or what was typed where that cannot be read."""
    if value is None and isinstance(cell, Unread):
        return cell.shown  # where its bytes are is not said by it
    return cell if value is None else value


def _mark(cell: Cell) -> str | None:
    """Read whatever stands where a row's mark may stand; whether it is one of ours is not asked."""
    return cell if isinstance(cell, str) else None


def _admission(cell: Cell) -> str:
    text = cells.digits(cell)
    if not _ADMISSION.fullmatch(text) or text.startswith("示例"):
        raise Unfit("AdmissionUnreadable")
    return text


@lru_cache(maxsize=4096, typed=True)
def _score(cell: Cell) -> Decimal:
    text = f"{cell:.9f}" if isinstance(cell, float) else cells.text(cell)
    text = people.tidy(text).removesuffix("分")
    if not _SCORE.fullmatch(text) or float(text) > 100:
        raise Unfit("ScoreUnreadable")
    tenths = round(float(text) * 10)
    if abs(float(text) * 10 - tenths) > 1e-6:
        raise Unfit("ScoreTooFine")
    return Decimal(tenths) / 10


def _years(born_on: datetime.date, day: datetime.date) -> int:
    """Return the age in full years, a leap day's birthday falling on the first of March."""
    return day.year - born_on.year - ((day.month, day.day) < (born_on.month, born_on.day))
