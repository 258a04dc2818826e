"""The sheet of certificates issued before Qianfa: every row judged, every error reported at once.

What stood on a certificate is kept as it stood there: a number is never changed, and a name may
hold a character that our fonts cannot draw, because nobody prints it again. What can be checked is
checked as for results.
"""

import datetime
import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import msgspec

from service.issuing.sheets import cells, layouts, reading
from service.issuing.sheets.layouts import Cell, Day, Layout
from service.registry.people import IdKind, Unfit

LAYOUT = Layout(
    "既有证书",
    (
        "证书编号",
        "姓名",
        "性别",
        "证件类型",
        "证件号码",
        "专项职业能力名称",
        "考核日期",
        "发证日期",
        "发证机关",
        "状态",
        "手机号码",
        "文件名",
    ),
    frozenset({"性别", "考核日期", "状态", "手机号码", "文件名"}),
)
# Since March 2024 each certificate also exists as an e-certificate that can be queried [N].
_ISSUED_FROM = datetime.date(2024, 3, 1)
_NUMBER = re.compile(r"[0-9A-Z]{6,32}")
_FILE_NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f]{1,200}(?i:\.pdf)")
_EVERY_CHARACTER = range(0x110000)
_STANDINGS = {"有效": "valid", "撤销": "revoked", "注销": "cancelled"}


class Row(msgspec.Struct, frozen=True):
    """One certificate, valid in itself; `file_name` is None where it was not given."""

    row_number: int
    number: str
    name: str
    sex: str | None
    id_kind: IdKind
    id_number: str
    project: str
    exam_on: datetime.date | None
    issued_on: datetime.date
    authority: str
    standing: str
    phone: str | None
    file_name: str | None


def read_in_jail(content: bytes) -> Iterator[layouts.Part]:
    """Read the sheet of a file that nobody has looked at yet; runs in the jail."""
    yield from reading.read(content, LAYOUT)


class Judging(cells.Judging):
    """Certificates issued before, judged as they are read; `today` is the legal day.

    With any error the rows are not to be used.
    """

    def __init__(self, today: datetime.date) -> None:
        super().__init__(LAYOUT)
        self._today = today
        parsers: dict[str, Callable[[Any], object]] = {
            "证书编号": _number,
            "姓名": partial(cells.name, drawable=_EVERY_CHARACTER),
            "性别": cells.sex,
            "证件类型": cells.id_kind,
            "证件号码": cells.digits,
            "专项职业能力名称": cells.project,
            "考核日期": self._past_date,
            "发证日期": self._issued_on,
            "发证机关": _authority,
            "状态": partial(cells.choice, _STANDINGS, "、".join(_STANDINGS)),
            "手机号码": cells.phone,
            "文件名": _file_name,
        }
        self._parsers = tuple((column, parsers[column]) for column in LAYOUT.columns)

    def row(self, number: int, line: tuple[Cell, ...]) -> Row | None:
        """Judge one row: each cell alone, then against its neighbours and the rows above."""
        before = self.count
        values = [
            None
            if cell is None and column in LAYOUT.optional
            else self.value(number, column, parse, cell)
            for (column, parse), cell in zip(self._parsers, line, strict=True)
        ]
        certificate, _, sex, kind, typed, project, exam_on, issued_on, _, standing, *_ = values
        identity = self.identity(number, kind, typed, line[4]) if kind and typed else None
        if certificate:
            self.once("NumberRepeated", number, "证书编号", line[0], certificate)
        if exam_on and issued_on and exam_on > issued_on:
            self.add(Unfit("ExamAfterIssue", day=issued_on), number, "考核日期", Day(exam_on))
        if identity:
            self.agree_on_sex(number, identity, sex)
        values[9] = standing or "valid"
        if identity and project and values[9] == "valid":
            key = (identity.kind, identity.number, project)
            self.once("HolderRepeated", number, "证件号码", line[4], *key)
        if self.count > before or not identity:
            return None
        values[4] = identity.number
        return Row(number, *values)  # type: ignore[arg-type]  # every cell of it was parsed

    def _past_date(self, cell: Cell) -> datetime.date:
        return cells.past_date(cell, self._today, from_1904=self.from_1904)

    def _issued_on(self, cell: Cell) -> datetime.date:
        day = self._past_date(cell)
        if day < _ISSUED_FROM:
            raise Unfit("IssuedTooEarly", day=_ISSUED_FROM)
        return day


def _number(cell: Cell) -> str:
    number = cells.digits(cell)
    if not _NUMBER.fullmatch(number):
        raise Unfit("NumberUnreadable")
    return number


@lru_cache(maxsize=4096, typed=True)
def _authority(cell: Cell) -> str:
    authority = cells.words(cell, 60)
    if len(authority) < 2:
        raise Unfit("CellEmpty")
    return authority


def _file_name(cell: Cell) -> str:
    if not isinstance(cell, str) or not _FILE_NAME.fullmatch(cell):
        raise Unfit("PdfNameUnfit")
    return cell
