"""Workbooks and tables as institutions send them, made on the spot, and what a reader tells."""

import datetime
import io
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import xlsxwriter

from service.ground.errors import Finding
from service.issuing.batches.rows import Judged, Judging
from service.issuing.sheets import layouts, reading
from service.issuing.sheets.layouts import COLUMNS, Head, Layout, Lines, Problem, Tail

DRAWABLE = frozenset(range(0x20, 0xA000))
TODAY = datetime.date(2026, 6, 1)
RESULT: dict[str, object] = {
    "准考证号": "2026050001",
    "姓名": "张三",
    "性别": "女",
    "证件类型": "居民身份证",
    "证件号码": "11010519491231002X",
    "出生日期": datetime.date(1949, 12, 31),
    "手机号码": 13800000000,
    "专项职业能力名称": "大数据采集",
    "考核日期": datetime.date(2026, 5, 23),
    "理论成绩": 80,
    "实操成绩": 86.5,
    "总成绩": 84,
    "考核结果": "合格",
}
SPACE = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"

Table = Iterable[Sequence[object]]


class Told(msgspec.Struct, frozen=True):
    """Everything that a reader told of a file."""

    parts: tuple[layouts.Part, ...]

    @property
    def head(self) -> Head:
        (head,) = [part for part in self.parts if isinstance(part, Head)]
        return head

    @property
    def tail(self) -> Tail:
        (tail,) = [part for part in self.parts if isinstance(part, Tail)]
        return tail

    @property
    def rows(self) -> tuple[layouts.Row, ...]:
        return tuple(row for part in self.parts if isinstance(part, Lines) for row in part.rows)

    @property
    def problem(self) -> Finding | None:
        return self.parts[-1].finding if isinstance(self.parts[-1], Problem) else None

    def judged(self) -> Judged:
        judging = Judging(DRAWABLE, TODAY)
        for part in self.parts:
            judging.take(part)
        return judging.judged()


def told(data: bytes, layout: Layout = layouts.RESULTS) -> Told:
    return Told(tuple(reading.read(data, layout)))


def problem(data: bytes) -> str | None:
    found = told(data).problem
    return found.code if found else None


def wrong(data: bytes) -> list[tuple[str, int | None, str | None]]:
    return [(one.code, one.row, one.column) for one in told(data).judged().errors]


def warned(data: bytes) -> list[str]:
    return [one.code for one in told(data).judged().warnings]


def results(columns: Sequence[str] = COLUMNS) -> list[list[object]]:
    return [list(columns), [RESULT.get(column) for column in columns]]


def book(
    table: Table, sheet: str = "考核结果", top: int = 0, others: Sequence[tuple[str, Table]] = ()
) -> bytes:
    """Write a table into the named sheet, dates as date cells, and other sheets behind it."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"default_date_format": "yyyy-mm-dd"}) as made:
        for name, lines in ((sheet, table), *others):
            page = made.add_worksheet(name)
            for number, line in enumerate(lines, top):
                page.write_row(number, 0, line)
    return buffer.getvalue()


GOOD = book(results())  # made once: a workbook holds the second of its making


def parts(**changed: bytes | str) -> bytes:
    """Take a good workbook apart and put it together with parts replaced, named by their stems."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(GOOD)) as good,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in good.namelist():
            made.writestr(name, changed.get(Path(name).stem, good.read(name)))
    return buffer.getvalue()


def entry(name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
        return archive.read(name).decode()


def added(entries: dict[str, bytes | str]) -> bytes:
    """Put more entries behind those of a good workbook."""
    buffer = io.BytesIO(GOOD)
    with zipfile.ZipFile(buffer, "a") as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return buffer.getvalue()


def sheet_xml(cells: str, behind: str = "", before: str = "") -> str:
    return f'<worksheet xmlns="{SPACE}">{before}<sheetData>{cells}</sheetData>{behind}</worksheet>'


def inline(reference: str, text: object, more: str = "") -> str:
    return f'<c r="{reference}" t="inlineStr"{more}><is><t>{text}</t></is></c>'


def row_xml(number: int, cells: Iterable[object], more: str = "") -> str:
    """Write a row of texts, None where a cell is absent."""
    places = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    written = [
        inline(f"{place}{number}", text)
        for place, text in zip(places, cells, strict=False)
        if text is not None
    ]
    return f'<row r="{number}"{more}>{"".join(written)}</row>'


HEADER_XML = row_xml(1, COLUMNS)
TEXTS = [str(RESULT.get(column, "")) or None for column in COLUMNS]
