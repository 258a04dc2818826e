"""Stocktakes: open, count without a look at the books, compare, explain, approve."""

from pathlib import Path

import click

from service import terminal, wiring
from service.cli import acting
from service.cli.orders import serials_option, series_of, series_option, spoiled_option
from service.ground.settings import Settings
from service.paper import blanks, stocktakes
from service.paper.stocktakes.records import WORDS, Occasion, Result, State
from service.wiring import Desk

_id_argument = click.argument(
    "stocktake_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="盘点号"
)
_TITLES = {
    "difference_number": "差异", "series_code": "系列", "serials": "号段", "sheet_count": "张数",
    "words": "账面与实盘", "reason": "原因",
}  # fmt: skip


@click.group("stocktake")
def stocktake() -> None:
    """盘点：盲盘、差异、原因、审批 / Count blank paper, and settle what differs."""


@stocktake.command("open")
@click.option(
    "--occasion", required=True, type=click.Choice([one.value for one in Occasion]),
    help="种类 / what it is held for",
)  # fmt: skip
@click.option(
    "--series", "series_codes", multiple=True, help="系列，可多次；不填即全部 / all by default"
)
@acting.act(changes=True)
async def stocktake_open(
    _: Settings, desk: Desk, occasion: str, series_codes: tuple[str, ...]
) -> None:
    """开始盘点；其间所盘账户暂停收发 / Begin; what is counted does not move meanwhile."""
    async with desk.acting():
        series = [await blanks.find(desk.connection, code) for code in series_codes]
        stocktake_id = await stocktakes.open_(
            desk.connection,
            desk.actor,
            Occasion(occasion),
            series or await blanks.every(desk.connection),
        )
    terminal.say(f"盘点 stocktake {stocktake_id} 已开始：blanks stocktake count {stocktake_id}")


@stocktake.command("count")
@_id_argument
@series_option
@serials_option(required=True)
@spoiled_option
@acting.act(changes=True)
async def stocktake_count(
    _: Settings,
    desk: Desk,
    stocktake_id: int,
    series_code: str | None,
    typed: str,
    *,
    is_spoiled: bool,
) -> None:
    """登记清点到的号段，可分多次 / Type what is in the cupboard, in as many entries as needed."""
    async with desk.acting():
        series = await series_of(desk.connection, series_code)
        ranges = series.numerals.read(typed)
        count_id = await stocktakes.count(
            desk.connection, desk.actor, stocktake_id, series, ranges, is_spoiled=is_spoiled
        )
    sheet_count = blanks.serials.count(ranges)
    terminal.say(f"第 {count_id} 笔 entry，{sheet_count} 张 sheets")


@stocktake.command("strike")
@_id_argument
@click.argument("count_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="笔号")
@click.option("--reason", required=True, help="原因 / why")
@acting.act(changes=True)
async def stocktake_strike(
    _: Settings, desk: Desk, stocktake_id: int, count_id: int, reason: str
) -> None:
    """划去有误的一笔清点 / Strike an entry out."""
    async with desk.acting():
        await stocktakes.strike(desk.connection, desk.actor, stocktake_id, count_id, reason)
    terminal.say(f"第 {count_id} 笔已划去 struck out")


@stocktake.command("close")
@_id_argument
@acting.act(changes=True)
async def stocktake_close(_: Settings, desk: Desk, stocktake_id: int) -> None:
    """结束清点，列出全部差异 / End the count and list all differences."""
    async with desk.acting():
        _show(await stocktakes.close(desk.connection, desk.actor, stocktake_id))


@stocktake.command("reason")
@_id_argument
@click.option(
    "--difference", "numbers", multiple=True, type=click.IntRange(min=1, max=2**31 - 1),
    metavar="差异号",
    help="可多次；不填即全部未说明的 / by default all unexplained",
)  # fmt: skip
@click.option("--reason", required=True, help="原因 / why")
@acting.act(changes=True)
async def stocktake_reason(
    _: Settings, desk: Desk, stocktake_id: int, numbers: tuple[int, ...], reason: str
) -> None:
    """说明差异的原因 / Explain differences."""
    async with desk.acting():
        given = await stocktakes.give_reason(
            desk.connection, desk.actor, stocktake_id, numbers or None, reason
        )
    terminal.say(f"已说明 {len(given)} 项 explained")


@stocktake.command("approve")
@_id_argument
@click.option("--remark", default="", help="审批意见 / remark")
@acting.act(changes=True)
async def stocktake_approve(_: Settings, desk: Desk, stocktake_id: int, remark: str) -> None:
    """由未参与清点的人审批，并作调整 / Approve as another person; adjusts the books."""
    async with desk.acting():
        approved = await stocktakes.approve(desk.connection, desk.actor, stocktake_id, remark)
    adjusted_count = len(approved.differences) - len(approved.unsettled)
    terminal.say(f"盘点 {stocktake_id} 已审批 approved，调整 adjusted {adjusted_count} 项")
    if approved.unsettled:
        terminal.say(f"尚有 {len(approved.unsettled)} 项不予调整，须另行处理 not settled:")
        terminal.table(approved.unsettled, _TITLES)


@stocktake.command("cancel")
@_id_argument
@click.option("--reason", required=True, help="原因 / why")
@acting.act(changes=True)
async def stocktake_cancel(_: Settings, desk: Desk, stocktake_id: int, reason: str) -> None:
    """取消未审批的盘点 / Give up a stocktake that is not approved."""
    async with desk.acting():
        await stocktakes.cancel(desk.connection, desk.actor, stocktake_id, reason)
    terminal.say(f"盘点 {stocktake_id} 已取消 cancelled")


@stocktake.command("show")
@_id_argument
@acting.act(changes=False)
async def stocktake_show(_: Settings, desk: Desk, stocktake_id: int) -> None:
    """显示清点、账面、差异、审批 / Show entries, and once it is closed what the books said."""
    async with desk.acting():
        found = await stocktakes.result(desk.connection, stocktake_id)
        entries = await stocktakes.entries(desk.connection, stocktake_id)
    terminal.table(
        entries,
        {
            "count_id": "笔", "series_code": "系列", "heap": "类别", "sheet_count": "张数",
            "serials": "号段", "counted_by": "清点人", "struck_by": "划去人",
            "strike_reason": "划去原因",
        },
    )  # fmt: skip
    _show(found)


@stocktake.command("list")
@acting.act(changes=False)
async def stocktake_list(_: Settings, desk: Desk) -> None:
    """列出盘点 / List stocktakes, newest first."""
    async with desk.acting():
        found = await stocktakes.every(desk.connection)
    terminal.table(
        found,
        {
            "stocktake_id": "盘点", "city_code": "单位", "occasion_words": "种类",
            "words": "状态", "codes": "系列", "opened_at": "开始", "closed_by": "清点人",
            "difference_count": "差异", "decided_by": "审批人",
        },
    )  # fmt: skip


@stocktake.command("sheet")
@_id_argument
@click.option(
    "--to", required=True, type=click.Path(path_type=Path), help="写入 PDF / file to write"
)
@acting.act(changes=False)
async def stocktake_sheet(_: Settings, desk: Desk, stocktake_id: int, to: Path) -> None:
    """写出盘点表：清点中为盲盘表，之后为结果 / Write the blind sheet, afterwards the result."""
    async with desk.acting():
        sheet = await stocktakes.sheet(desk.connection, stocktake_id)
    acting.write(to, wiring.forms().pdf(sheet, printed_at=acting.now()))
    terminal.say(f"已写入 written: {to}")


def _show(found: Result) -> None:
    """Print what the books said, what was counted and what differs, once the count is closed."""
    stocktake = found.stocktake
    hands = f"清点 counted {stocktake.closed_by or '–'}，审批 decided {stocktake.decided_by or '–'}"
    state = WORDS[stocktake.state]
    terminal.say(f"盘点 {stocktake.stocktake_id} {state} {stocktake.state}，{hands}")
    if stocktake.remark:
        terminal.say(f"意见 remark: {stocktake.remark}")
    if not found.tallies:
        return
    terminal.table(
        found.tallies,
        {
            "series_code": "系列", "heap": "类别", "book_count": "账面", "counted_count": "实盘",
            "variance": "差异",
        },
    )  # fmt: skip
    if found.differences:
        terminal.table(found.differences, _TITLES)
    if stocktake.state is State.COUNTED:
        terminal.say(
            f"待另一人审批 waits: blanks stocktake approve {stocktake.stocktake_id}"
            if all(one.reason for one in found.differences)
            else f"请说明原因 explain: blanks stocktake reason {stocktake.stocktake_id} --reason …"
        )
