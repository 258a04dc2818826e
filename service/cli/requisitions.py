"""Requisitions: 证书申领表 from the count of archived passes to the last carton."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from service import terminal, wiring
from service.cli import acting
from service.cli.recording import field_value
from service.ground.settings import Settings
from service.issuing.batches import LEGAL_ZONE
from service.paper import requisitions
from service.paper.blanks import PaperKind
from service.paper.forms import workbooks
from service.paper.requisitions import Requisition, Wish
from service.wiring import Desk

_requisition_argument = click.argument(
    "requisition_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="申领号"
)
_COUNT = click.IntRange(min=0, max=10_000_000)


def _wish(function: Callable[..., Any]) -> Callable[..., Any]:
    for flag, words in (
        ("until", "归档日期止，默认今天 / archived until, today by default"),
        ("from", "归档日期起，默认最早未计入的 / archived from, the earliest not covered"),
    ):
        function = click.option(
            f"--{flag}", f"archived_{flag}", metavar="YYYY-MM-DD", help=words, callback=_date
        )(function)
    function = click.option("--extra-reason", default="", help="追加理由 / why more")(function)
    return click.option(
        "--extra", "extra_count", type=_COUNT, default=0, help="追加张数 / sheets on top"
    )(function)


def _date(_context: click.Context, _option: click.Parameter, given: str | None) -> Any:
    return None if given is None else field_value(datetime.date, given)


@click.group("requisition")
def requisition() -> None:
    """证书申领表：计算、提交、审批、办结 / Requisitions of blank paper."""


@requisition.command("make")
@click.option(
    "--kind", type=click.Choice([kind.value for kind in PaperKind]), required=True,
    help="内芯 inner，证书壳 cover",
)  # fmt: skip
@_wish
@acting.act(changes=True)
async def make(_: Settings, desk: Desk, kind: str, **given: Any) -> None:
    """按归档合格人次制表，每人次只计一次 / Draw one up; the passes are counted."""
    async with desk.acting():
        made = await requisitions.make(
            desk.connection, desk.actor, PaperKind(kind), Wish(**given), today=acting.today()
        )
    _say(made)


@requisition.command("mend")
@_requisition_argument
@_wish
@acting.act(changes=True)
async def mend(_: Settings, desk: Desk, requisition_id: int, **given: Any) -> None:
    """修改草稿或被退回的，重新计算 / Count a draft or a returned one anew."""
    async with desk.acting():
        mended = await requisitions.mend(
            desk.connection, desk.actor, requisition_id, Wish(**given), today=acting.today()
        )
    _say(mended)


@requisition.command("submit")
@_requisition_argument
@acting.act(changes=True)
async def submit(_: Settings, desk: Desk, requisition_id: int) -> None:
    """复核人提交省中心 / Submit it to the province, as the reviewer."""
    async with desk.acting():
        await requisitions.submit(desk.connection, desk.actor, requisition_id)
    terminal.say(f"申领表 requisition {requisition_id} 已提交 submitted")


@requisition.command("approve")
@_requisition_argument
@click.option("--extra", "extra_count", type=_COUNT, help="核准的追加，默认全部 / extra granted")
@acting.act(changes=True)
async def approve(_: Settings, desk: Desk, requisition_id: int, extra_count: int | None) -> None:
    """省中心批准 / Approve it, as the province."""
    async with desk.acting():
        approved = await requisitions.approve(
            desk.connection, desk.actor, requisition_id, extra_count=extra_count
        )
    _say(approved)


@requisition.command("return")
@_requisition_argument
@click.option("--reason", required=True, help="原因 / why")
@acting.act(changes=True)
async def return_(_: Settings, desk: Desk, requisition_id: int, reason: str) -> None:
    """省中心退回 / Return it to its city, as the province."""
    async with desk.acting():
        await requisitions.return_(desk.connection, desk.actor, requisition_id, reason)
    terminal.say(f"申领表 requisition {requisition_id} 已退回 returned")


@requisition.command("withdraw")
@_requisition_argument
@click.option("--reason", required=True, help="原因 / why")
@acting.act(changes=True)
async def withdraw(_: Settings, desk: Desk, requisition_id: int, reason: str) -> None:
    """撤回草稿或被退回的，所计人次可另行申领 / Withdraw it and let go of its passes."""
    async with desk.acting():
        await requisitions.withdraw(desk.connection, desk.actor, requisition_id, reason)
    terminal.say(f"申领表 requisition {requisition_id} 已撤回 withdrawn")


@requisition.command("close")
@_requisition_argument
@click.option("--reason", default="", help="少于核准数的原因 / why less than approved")
@acting.act(changes=True)
async def close(_: Settings, desk: Desk, requisition_id: int, reason: str) -> None:
    """办结：全部签收、差异结清之后 / Close it once all has come and is settled."""
    async with desk.acting():
        await requisitions.close(desk.connection, desk.actor, requisition_id, reason)
    terminal.say(f"申领表 requisition {requisition_id} 已办结 closed")


@requisition.command("list")
@acting.act(changes=False)
async def list_(_: Settings, desk: Desk) -> None:
    """列出申领表 / List requisitions, newest first."""
    async with desk.acting():
        found = await requisitions.recent(desk.connection)
    terminal.table(
        found,
        {
            "requisition_id": "申领号", "city_code": "市（州）", "kind_words": "种类",
            "archived_from": "归档起", "archived_until": "归档止", "pass_count": "合格人次",
            "extra_count": "追加", "approved_count": "核准", "supplied_count": "已供",
            "words": "状态", "made_by": "制表", "reason": "原因",
        },
    )  # fmt: skip


@requisition.command("show")
@_requisition_argument
@acting.act(changes=False)
async def show(_: Settings, desk: Desk, requisition_id: int) -> None:
    """显示一张申领表和各项目的合格人次 / Show one, and its passes by project."""
    async with desk.acting():
        found = await requisitions.find(desk.connection, requisition_id)
        lines = await requisitions.lines(desk.connection, requisition_id)
    _say(found)
    terminal.table(
        lines,
        {
            "project_name": "项目 project",
            "batch_count": "批次数 batches",
            "pass_count": "人次 passes",
        },
    )
    for title, by, at in (
        ("制表 made", found.made_by, found.made_at),
        ("提交 submitted", found.submitted_by, found.submitted_at),
        ("审批 decided", found.decided_by, found.decided_at),
    ):
        if by and at:
            terminal.say(f"{title}: {by} {at.astimezone(LEGAL_ZONE):%Y-%m-%d}")
    for title, text in (("追加理由 extra", found.extra_reason), ("原因 reason", found.reason)):
        if text:
            terminal.say(f"{title}: {text}")


@requisition.command("form")
@_requisition_argument
@click.option(
    "--to", type=click.Path(path_type=Path), required=True,
    help="写到 .pdf 或 .xlsx 文件 / file to write",
)  # fmt: skip
@acting.act(changes=False)
async def form(_: Settings, desk: Desk, requisition_id: int, to: Path) -> None:
    """写出申领表，供签字盖章 / Write the form to be signed and stamped."""
    draw = {".pdf": wiring.forms().pdf, ".xlsx": workbooks.requisition}.get(to.suffix.lower())
    if draw is None:
        raise click.UsageError("须为 .pdf 或 .xlsx / write to .pdf or .xlsx")
    async with desk.acting():
        sheet = await requisitions.form(desk.connection, requisition_id)
    acting.write(to, draw(sheet, printed_at=acting.now()))
    terminal.say(f"{to}（申领号 requisition {sheet.number}）")


def _say(one: Requisition) -> None:
    asked = f"合格人次 passes {one.pass_count} + 追加 extra {one.extra_count}"
    granted = "" if one.approved_count is None else (
        f"，核准 approved {one.approved_count}，已供 supplied {one.supplied_count}"
    )  # fmt: skip
    terminal.say(
        f"申领表 requisition {one.requisition_id}（{one.kind_words}，{one.words}）"
        f"{one.archived_from} 至 {one.archived_until}："
        f"{asked}{granted}"
    )
