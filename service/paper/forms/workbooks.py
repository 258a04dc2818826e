"""Workbooks: the forms that are calculated with, as xlsx.

Every sum is a formula with its value beside it: Excel computes it again, and who reads no formulas
sees it too. Texts are written as texts, whatever they begin with. Rows are written as they come, so
that memory does not grow with them. Equal arguments give equal bytes.
"""

import datetime
import io
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec
import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from service.ground.errors import LedgerTooLong
from service.issuing.batches import LEGAL_ZONE
from service.paper.forms.sheets import Ledger, Movement, Requisition, Summary, Sums

MOVEMENT_COUNT_MAX = 1_000_000
"""A worksheet has 1 048 576 rows."""
_TEXT_LENGTH_MAX = 16_000
"""A cell holds 32 767 units of UTF-16; more is lost without a word."""
_RANGES_A_LINE = 3

_FONT = {"font_name": "宋体", "font_size": 10, "valign": "vcenter"}
_CELL = _FONT | {"border": 1}
_STYLES: dict[str, dict[str, Any]] = {
    "title": _FONT | {"font_size": 18, "align": "center", "font_color": "#A3191F"},
    "plain": _FONT,
    "red": _FONT | {"font_color": "#A3191F"},
    "head": _CELL | {"bold": True, "align": "center", "text_wrap": True, "bg_color": "#F5F0E8"},
    "text": _CELL | {"text_wrap": True, "num_format": "@"},
    "count": _CELL | {"num_format": "#,##0"},
    "sum": _CELL | {"num_format": "#,##0", "bold": True},
    "wrong": _CELL | {"num_format": "#,##0", "bold": True, "font_color": "#A3191F"},
    "day": _CELL | {"num_format": "yyyy-mm-dd", "align": "center"},
}
_DAY_ZERO = datetime.date(1899, 12, 30)
_LEDGER = {
    "日期": 11, "摘要": 26, "凭证号": 20, "号段起止": 24, "收": 9, "发": 9, "废": 9, "存": 10,
    "经手人": 11, "复核人": 11, "领取人签收": 12, "备注": 36,
}  # fmt: skip
_SUMMARY = {
    "city_name": "市（州）", "series": "系列", "opening": "期初", "received": "收入",
    "issued": "发出", "spoiled": "作废", "closing": "期末", "in_transit": "在途",
    "printed": "已打印", "handed_over": "已核发", "pending_destruction": "待销毁",
    "destroyed": "已销毁", "lost": "遗失", "difference": "未结差异",
}  # fmt: skip


class Formula(NamedTuple):
    """A formula and the value that it has."""

    text: str
    value: int | str


Value: TypeAlias = str | int | datetime.date | Formula | None


class _Book:
    """One worksheet for A4, written from its first row to its last."""

    def __init__(self, title: str, widths: Sequence[int], printed_at: datetime.datetime) -> None:
        self._content = io.BytesIO()
        self._book = xlsxwriter.Workbook(self._content, {"constant_memory": True})
        self._book.set_properties({"title": title, "created": printed_at.astimezone(datetime.UTC)})
        self._styles = {name: self._book.add_format(form) for name, form in _STYLES.items()}
        self.sheet: Any = self._book.add_worksheet(title)
        self.sheet.set_paper(9)
        self.sheet.fit_to_pages(1, 0)
        printed = printed_at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M")
        self.sheet.set_footer(f"&L打印时间 {printed}&C第 &P 页 / 共 &N 页&R{title}")
        for place, width in enumerate(widths):
            self.sheet.set_column(place, place, width, self._styles["text"])
        self.row = 0
        self._last = len(widths) - 1
        self.sheet.set_row(0, 28)
        self.line(title, "title")

    def line(self, text: str, style: str = "plain") -> None:
        """Write a line of text across the table."""
        self.sheet.merge_range(self.row, 0, self.row, self._last, "", self._styles[style])
        self._cell(0, text, style)
        self.row += 1

    def head(self, titles: Iterable[str]) -> None:
        """Write the titles of the columns, which stay in sight and are on every printed page."""
        self.sheet.freeze_panes(self.row + 1, 0)
        self.sheet.repeat_rows(self.row)
        self.cells(titles, "head")

    def cells(self, values: Iterable[Value], style: str = "") -> None:
        """Write one row: texts, counts and days, each in its own style unless one is given."""
        for place, value in enumerate(values):
            self._cell(place, value, style)
        self.row += 1

    def sum(self, place: int, first: int, value: int) -> Formula:
        """Sum a column from row `first`, counted from 0, to the row above."""
        column = xl_col_to_name(place)
        return Formula(f"=SUM({column}{first + 1}:{column}{self.row})", value)

    def _cell(self, place: int, value: Value, style: str) -> None:
        sheet, styles = self.sheet, self._styles
        if isinstance(value, str):
            if len(value) > _TEXT_LENGTH_MAX:
                value = f"{value[:_TEXT_LENGTH_MAX]}……（过长，余略）"
            if value.endswith("</r>"):
                value += " "  # XlsxWriter takes what is between <r> and </r> for markup
            if value:
                sheet.write_string(self.row, place, value, styles[style or "text"])
        elif isinstance(value, int):
            sheet.write_number(self.row, place, value, styles[style or "count"])
        elif isinstance(value, Formula):
            form = styles[style or "count"]
            sheet.write_formula(self.row, place, value.text, form, value.value)
        elif isinstance(value, datetime.date):
            sheet.write_number(self.row, place, (value - _DAY_ZERO).days, styles[style or "day"])

    def close(self) -> bytes:
        """Return the file."""
        self._book.close()
        return self._content.getvalue()


def ledger(head: Ledger, movements: Iterable[Movement], *, printed_at: datetime.datetime) -> bytes:
    """Write a 台账 of up to `MOVEMENT_COUNT_MAX` movements.

    Raises: LedgerTooLong.
    """
    book = _Book("空白证书台账", list(_LEDGER.values()), printed_at)
    book.sheet.set_landscape()
    book.line(f"单位：{head.centre}（{head.city_name}）　系列：{head.series}")
    book.line(f"期间：{head.period_from} 至 {head.period_until}")
    book.head(_LEDGER)
    first, sums = book.row, Sums(balance=head.opening)
    book.cells(["", "期初结存", *[None] * 5, head.opening])
    for number, one in enumerate(movements):
        if number == MOVEMENT_COUNT_MAX:
            raise LedgerTooLong(limit=MOVEMENT_COUNT_MAX)
        sums = sums.after(one)
        book.cells((
            one.moved_on, one.summary, one.voucher, one.serials, one.received or None,
            one.issued or None, one.spoiled or None, sums.balance, one.handler, one.reviewer,
            one.recipient, one.remark,
        ))  # fmt: skip
    at = book.row + 1
    moved = (sums.received, sums.issued, sums.spoiled)
    totals = [book.sum(place, first, value) for place, value in enumerate(moved, start=4)]
    balance = Formula(f"=H{first + 1}+E{at}-F{at}-G{at}", sums.balance)
    book.cells(["", "本期合计", None, None, *totals, balance], "sum")
    book.cells(["", "期末结存", *[None] * 5, head.closing], "sum")
    off = head.closing - sums.balance
    difference = Formula(f"=H{at + 1}-H{at}", off)
    book.cells(["", "差额", *[None] * 5, difference], "wrong" if off else "sum")
    book.line(
        f"期初 {head.opening} + 收 {sums.received} − 发 {sums.issued} − 废 {sums.spoiled}"
        f" = {sums.balance}，与期末结存 {head.closing} "
        + (f"不符，期末{'多' if off > 0 else '少'} {abs(off)} 张" if off else "相符"),
        "red" if off else "plain",
    )
    return book.close()


def requisition(sheet: Requisition, *, printed_at: datetime.datetime) -> bytes:
    """Write a 证书申领表."""
    book = _Book("证书申领表", (8, 50, 12, 18), printed_at)
    book.line(f"申领单位：{sheet.centre}　申领号：{sheet.number}　状态：{sheet.state}")
    book.line(f"申领内容：{sheet.kind}　现有库存：{sheet.stock_count} 张")
    book.line(f"数据归档日期：{sheet.archived_from} 至 {sheet.archived_until}")
    book.head(("序号", "专项职业能力考核项目", "批次数", "归档合格人次"))
    first = book.row
    for number, one in enumerate(sheet.lines, start=1):
        book.cells((number, one.project_name, one.batch_count, one.pass_count))
    if not sheet.lines:
        book.cells(("", "", None, None))
    passes = sum(one.pass_count for one in sheet.lines)
    at = book.row + 1
    book.cells(("", "应领合计", "", book.sum(3, first, passes)), "sum")
    book.cells(("", f"追加数量（{sheet.extra_reason}）" if sheet.extra_reason else "追加数量",
                "", sheet.extra_count))  # fmt: skip
    asked = Formula(f"=D{at}+D{at + 1}", passes + sheet.extra_count)
    book.cells(("", "申领总数", "", asked), "sum")
    book.cells(("", "核准总数", "", sheet.approved_count), "sum")
    for at in range(0, max(len(sheet.supplied), 1), _RANGES_A_LINE):
        book.line(f"供应号段：{'、'.join(sheet.supplied[at : at + _RANGES_A_LINE])}")
    for who, name, on in (
        ("经办人", sheet.applicant, sheet.applied_on),
        ("复核人", sheet.reviewer, sheet.reviewed_on),
        ("市（州）中心（盖章）", "", sheet.reviewed_on),
        (f"省中心审批意见：{sheet.decision}（盖章）", "", sheet.decided_on),
    ):
        book.line(f"{who}：{name or ''}　{on or ''}")
    return book.close()


def summary(sheet: Summary, *, printed_at: datetime.datetime) -> bytes:
    """Write the 收发存汇总表 of a centre."""
    book = _Book("空白证书收发存汇总表", (22, 20, *[11] * 12), printed_at)
    book.sheet.set_landscape()
    period = f"{sheet.period_from} 至 {sheet.period_until}"
    book.line(f"单位：{sheet.centre}　期间：{period}　制表人：{sheet.drawn_up_by}")
    book.head(_SUMMARY.values())
    first = book.row
    for one in sheet.lines:
        book.cells(msgspec.structs.astuple(one))
    if not sheet.lines:
        book.cells([None] * len(_SUMMARY))
    totals = [
        book.sum(place, first, sum(getattr(one, field) for one in sheet.lines))
        for place, field in enumerate(_SUMMARY)
        if place > 1
    ]
    book.cells(["合计", "", *totals], "sum")
    if len({one.city_name for one in sheet.lines}) > 1:
        book.line("合计的收入、发出含单位之间的调拨，收发双方各计一次。")
    return book.close()
