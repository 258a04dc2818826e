"""A workbook to be filled in: headed columns, lists to choose from, one example, a guide.

Equal arguments give equal bytes. The example row is ignored by import; the guide's words stand in
`templates/sheets/`, a file for each layout and in it one table for each column, in order.
"""

import datetime
import io
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import xlsxwriter

from service.issuing.sheets import layouts
from service.registry.people import IdKind


class _Column(msgspec.Struct, frozen=True):
    name: str
    width: float
    form: str  # text, date or score
    required: bool
    example: str
    zh: str
    en: str


class _Guide(msgspec.Struct, frozen=True):
    title_zh: str
    title_en: str
    notes: tuple[str, ...]
    columns: tuple[_Column, ...]


_FONT = {"font_name": "宋体", "font_size": 11, "valign": "vcenter"}
_HEAD = _FONT | {"bold": True, "align": "center", "border": 1, "bg_color": "#F2DEDE"}
_OPTIONAL_HEAD = _HEAD | {"bg_color": "#E7E6E6"}
_EXAMPLE = _FONT | {"italic": True, "font_color": "#7F7F7F", "bg_color": "#FFF9E5"}
_NUMBER_FORMATS = {"text": "@", "date": "yyyy-mm-dd", "score": "0.0"}
_CREATED_AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def write(
    target: Path | io.BytesIO,
    projects: Sequence[str],
    guide: Path,
    layout: layouts.Layout = layouts.RESULTS,
) -> None:
    """Write the template of a layout with these project names to choose from."""
    words = msgspec.convert(tomllib.loads(guide.read_text("utf-8")), _Guide)
    with xlsxwriter.Workbook(target) as book:
        book.set_properties({"title": words.title_zh, "created": _CREATED_AT})
        _blank(book, layout.sheet, words.columns, len(projects))
        _guide(book, words)
        _projects(book, projects)


def _blank(book: Any, name: str, columns: Sequence[_Column], project_count: int) -> None:
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 2)
    sheet.set_row(0, 24)
    lists = {
        "性别": ["男", "女"],
        "证件类型": list(IdKind),
        "考核结果": ["合格", "不合格"],
        "状态": ["有效", "撤销", "注销"],
        "专项职业能力名称": f"='{layouts.PROJECTS_SHEET}'!$A$1:$A${max(project_count, 1)}",
    }
    for place, column in enumerate(columns):
        form = {"num_format": _NUMBER_FORMATS[column.form]}
        sheet.set_column(place, place, column.width, book.add_format(_FONT | form))
        head = book.add_format(_HEAD if column.required else _OPTIONAL_HEAD)
        sheet.write_string(0, place, column.name, head)
        _example(sheet, place, column, book.add_format(_EXAMPLE | form))
        if column.name in lists:
            rule = {"validate": "list", "source": lists[column.name]}
            sheet.data_validation(1, place, layouts.ROWS_MAX, place, rule)


def _example(sheet: Any, place: int, column: _Column, style: Any) -> None:
    if column.form == "date":
        day = datetime.date.fromisoformat(column.example)
        sheet.write_datetime(1, place, day, style)
    elif column.form == "score":
        sheet.write_number(1, place, float(column.example), style)
    else:
        sheet.write_string(1, place, column.example, style)


def _guide(book: Any, words: _Guide) -> None:
    sheet = book.add_worksheet(layouts.GUIDE_SHEET)
    sheet.hide_gridlines(2)
    title = book.add_format(_FONT | {"bold": True, "font_size": 16})
    head = book.add_format(_HEAD)
    body = book.add_format(_FONT | {"border": 1, "text_wrap": True})
    note = book.add_format(_FONT | {"text_wrap": True})
    sheet.write_string(0, 0, f"{words.title_zh}  {words.title_en}", title)
    for row, line in enumerate(words.notes, 2):
        sheet.merge_range(row, 0, row, 3, line, note)
        sheet.set_row(row, 32)
    top = len(words.notes) + 3
    sheet.write_row(top, 0, ["列 Column", "必填 Required", "怎样填写", "How to fill in"], head)
    for row, column in enumerate(words.columns, top + 1):
        required = "是 yes" if column.required else "否 no"
        sheet.write_row(row, 0, [column.name, required, column.zh, column.en], body)
        sheet.set_row(row, 48)
    for place, width in enumerate((22, 14, 52, 52)):
        sheet.set_column(place, place, width)


def _projects(book: Any, projects: Sequence[str]) -> None:
    sheet = book.add_worksheet(layouts.PROJECTS_SHEET)
    sheet.set_column(0, 0, 40, book.add_format(_FONT | {"num_format": "@"}))
    sheet.write_column(0, 0, projects)
