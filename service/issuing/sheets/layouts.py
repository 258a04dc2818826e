"""Layouts: which columns a filled-in sheet has, and what of it a reader tells, part by part.

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
# What a sheet that we gave back with its errors has at its right end.
ERRORS, MARK = "错误说明", "行标识"
# What a column of another name may be: parts of names that institutions use. Such a column is asked
# about and never read, for what is a 成绩 in one sheet is a 总成绩 in another.
SAID_INSTEAD = {
    "准考证号": ("考号", "准考证"),
    "姓名": ("名字", "考生"),
    "证件类型": ("证件类", "证件种"),
    "证件号码": ("证件号", "身份证", "身份号"),
    "出生日期": ("出生", "生日"),
    "手机号码": ("手机", "电话", "联系"),
    "专项职业能力名称": ("项目", "能力", "职业", "工种"),
    "考核日期": ("考试", "考核", "鉴定"),
    "理论成绩": ("理论", "知识"),
    "实操成绩": ("实操", "技能", "操作"),
    "总成绩": ("总分", "成绩", "得分"),
    "考核结果": ("结果", "合格", "结论"),
    "备注": ("说明",),
    "证书编号": ("证书号", "编号"),
    "发证日期": ("发证日", "发证时", "签发", "颁发"),
    "发证机关": ("机关", "机构", "单位"),
}
# The template's example row starts with these two cells; import ignores such a row.
EXAMPLE = ("示例000001", "示例姓名")
ROWS_MAX = 100_000
BYTES_MAX = 64 << 20


class Layout(msgspec.Struct, frozen=True):
    """Which sheet is read, its columns in the order of a template, and those it may lack.

    Columns that are `passed_over` are known and not read.
    """

    sheet: str
    columns: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    passed_over: frozenset[str] = frozenset()


RESULTS = Layout("考核结果", (*COLUMNS, MARK), frozenset({MARK}), frozenset({ERRORS}))


class Day(msgspec.Struct, frozen=True, array_like=True, tag="day"):
    """A cell that the spreadsheet itself holds as a date."""

    day: datetime.date


class Unread(msgspec.Struct, frozen=True, array_like=True, tag="unread"):
    """A cell that may not be taken at its word, so that its row is wrong: a formula, an error.

    `code` is that of its finding, `shown` what stands there, `at` where, for a code that tells it.
    """

    code: str
    shown: str
    at: int = 0


Cell = str | int | float | bool | Day | Unread | None
Row = tuple[int, tuple[Cell, ...]]


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is written: `kind` is xlsx or csv, and the others are a CSV's.

    `encoding` is Python's name: utf-8, utf-8-sig, gb18030 or utf-16. A delimiter that is named
    stands in a line of its own (sep=;) above the first row.
    """

    kind: str
    encoding: str = ""
    delimiter: str = ""
    line_end: str = ""
    is_delimiter_named: bool = False


# What a reader tells, in this order: a `Head`, `Lines` as often as it takes, a `Tail`; but at any
# time a `Problem`, which ends it.


class Head(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What stands above the rows; with `missing`, `repeated` or `sheets_rival` none follows.

    Names are as a stranger typed them, `header` those of the columns in their places, tidy.
    `sheets_rival` could each be the wanted sheet, so none was read; `sheets_ignored` hold something
    beside the sheet that was read, `sheets_hidden` may. `merged` are the ranges that cover cells of
    a header in which columns are missing. A workbook may count its days `from_1904`.
    """

    form: Form
    header_row: int = 1
    header: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    sheets_ignored: tuple[str, ...] = ()
    sheets_hidden: tuple[str, ...] = ()
    sheets_rival: tuple[str, ...] = ()
    from_1904: bool = False
    has_macros: bool = False


class Lines(msgspec.Struct, frozen=True, tag=True):
    """Some rows in their order: row number and cells in the order of the layout, or as they stand.

    Rows without any cell are left out.
    """

    rows: tuple[Row, ...]


class Tail(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What is known only at the end: which rows and columns are hidden from who looks.

    `merged` are rows of which a cell is merged with others, each with such a column.
    """

    rows_hidden: tuple[int, ...] = ()
    columns_hidden: tuple[str, ...] = ()
    merged: tuple[tuple[int, str], ...] = ()


class Problem(msgspec.Struct, frozen=True, tag=True):
    """Why a file cannot be read, or not on from here."""

    finding: Finding


Part = Head | Lines | Tail | Problem
