"""Layouts: which columns a filled-in sheet has, and what its cells are once they are read.

Values only: nothing here knows of files, and nothing is judged yet.
"""

import datetime

import msgspec

from service.ground.errors import Finding

GUIDE_SHEET, PROJECTS_SHEET = "填写说明", "项目清单"
COLUMNS = (
    "准考证号",
    "姓名",
    "性别",
    "证件类型",
    "证件号码",
    "出生日期",
    "手机号码",
    "专项职业能力名称",
    "考核日期",
    "理论成绩",
    "实操成绩",
    "总成绩",
    "考核结果",
    "备注",
)
# The template's example row starts with these two cells; import ignores such a row.
EXAMPLE = ("示例000001", "示例姓名")
ROWS_MAX = 100_000


class Layout(msgspec.Struct, frozen=True):
    """Which sheet is read, its columns in the order of a template, and those it may lack."""

    sheet: str
    columns: tuple[str, ...]
    optional: frozenset[str] = frozenset()


RESULTS = Layout("考核结果", COLUMNS)


class Day(msgspec.Struct, frozen=True, array_like=True):
    """A cell that the spreadsheet itself holds as a date."""

    day: datetime.date


Cell = str | int | float | bool | Day | None


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """What the workbook holds; `rows` are row number and cells in the order of the layout.

    Names are as a stranger typed them: `sheets_rival` could each be the wanted sheet, so none
    was read; `sheets_ignored` hold something beside the sheet that was read.
    """

    rows: tuple[tuple[int, tuple[Cell, ...]], ...] = ()
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    sheets_ignored: tuple[str, ...] = ()
    sheets_rival: tuple[str, ...] = ()
    problem: Finding | None = None
