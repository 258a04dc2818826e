"""Papers: hand them over, find the uncollected, and replace or take back by two persons."""

import datetime
from pathlib import Path

import click
import msgspec

from service import terminal, wiring
from service.cli import acting
from service.ground.settings import Settings
from service.issuing.certificates import STANDING_WORDS
from service.paper import papers
from service.paper.blanks import WORDS
from service.paper.papers import Collected, changing
from service.paper.papers.changing import Kind
from service.registry import people
from service.wiring import Desk

_HELP = {
    Kind.REISSUE: "补发：遗失，须两人 / Reissue a lost paper; two persons",
    Kind.EXCHANGE: "换发：旧证交回，须两人 / Exchange for the old one; two persons",
    Kind.TAKE_BACK: "收回已撤销、注销的，须两人 / Take back for good; two persons",
    Kind.SPOIL: "作废印坏未领的，须两人 / Spoil one not collected; two persons",
    Kind.UNDO_HAND_OVER: "撤回误登记的核发，须两人 / Undo a hand-over; two persons",
}
_change_argument = click.argument(
    "change_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="纸质变更号"
)
_run_option = click.option("--run", "run_id", type=click.IntRange(min=1), help="打印任务 / run")
_numbers_argument = click.argument("numbers", nargs=-1, metavar="[编号]…")
_document_option = click.option("--document-number", required=True, help="文号 / document")


@click.group("paper")
def paper() -> None:
    """纸质证书：核发、补发、换发、收回 / Papers: hand over, reissue, exchange."""


async def _chosen(desk: Desk, run_id: int | None, numbers: tuple[str, ...]) -> list[papers.Paper]:
    if (run_id is None) == (not numbers):
        raise click.UsageError("请给出 --run 或编号之一 / give --run or numbers")
    if run_id is not None:
        return await papers.of_run(desk.connection, run_id)
    return await papers.of_numbers(desk.connection, numbers)


@paper.command("sheet")
@_numbers_argument
@_run_option
@_document_option
@click.option(
    "--to", required=True, type=click.Path(path_type=Path), help="写入 PDF / file to write"
)
@acting.act(changes=False)
async def sheet(
    _: Settings,
    desk: Desk,
    *,
    numbers: tuple[str, ...],
    run_id: int | None,
    document_number: str,
    to: Path,
) -> None:
    """写出领取签收表 / Write the sheet on which those who collect sign."""
    async with desk.acting():
        found = await _chosen(desk, run_id, numbers)
    form = papers.signature_sheet(desk.actor, found, document_number)
    acting.write(to, wiring.forms().pdf(form, printed_at=acting.now()))
    terminal.say(f"已写入 written: {to}（{len(found)} 张）")


@paper.command("hand-over")
@_numbers_argument
@_run_option
@_document_option
@click.option("--on", "day", metavar="YYYY-MM-DD", help="核发日期，缺省今天 / day, default today")
@click.option("--id-checked", is_flag=True, help="已核对领取人证件 / the id was checked")
@click.option("--agent-name", help="代领人姓名 / name of an agent")
@click.option("--authority-document", help="授权文件 / the agent's document of authority")
@acting.act(changes=True)
async def hand_over(
    _: Settings,
    desk: Desk,
    *,
    numbers: tuple[str, ...],
    run_id: int | None,
    document_number: str,
    day: str | None,
    id_checked: bool,
    agent_name: str | None,
    authority_document: str | None,
) -> None:
    """登记核发，须核对证件 / Record who collected papers."""
    today = acting.today()
    collected = Collected(
        handed_on=_day(day) if day else today,
        document_number=document_number,
        is_id_checked=id_checked,
        agent_name=agent_name,
        authority_document=authority_document,
    )
    async with desk.acting():
        found = await _chosen(desk, run_id, numbers)
        count = await papers.hand_over(desk.connection, desk.actor, found, collected, today=today)
    terminal.say(f"已核发 handed over {count}")


@paper.command("uncollected")
@click.option("--days", type=click.IntRange(min=0), default=0, help="至少多少天 / days at least")
@acting.act(changes=False)
async def uncollected(_: Settings, desk: Desk, days: int) -> None:
    """列出未领取的，久者在前 / List uncollected papers, oldest first."""
    async with desk.acting():
        found = await papers.uncollected(desk.connection, acting.now(), days_min=days)
    masked = [
        msgspec.structs.replace(
            one,
            name=people.mask_name(one.name),
            certificate=f"{STANDING_WORDS[one.certificate]} {one.certificate}",
        )
        for one in found
    ]
    terminal.table(
        masked,
        {
            "number": "编号", "serial": "流水号", "name": "持证人", "certificate": "证书",
            "printed_at": "打印时间", "days": "天数",
        },
    )  # fmt: skip


def _change_command(kind: Kind) -> click.Command:
    @click.argument("number", metavar="编号")
    @click.option("--reason", required=True, help="原因 / why")
    @_document_option
    @acting.act(changes=True)
    async def body(_: Settings, desk: Desk, number: str, reason: str, document_number: str) -> None:
        async with desk.acting():
            change_id = await changing.ask(
                desk.connection,
                desk.actor,
                kind,
                number,
                reason=reason,
                document_number=document_number,
            )
        terminal.say(f"纸质变更 change {change_id} 待另一人确认 waits: paper confirm {change_id}")

    return click.command(kind.value, help=_HELP[kind])(body)


for _kind in _HELP:
    paper.add_command(_change_command(_kind))


@paper.command("changes")
@acting.act(changes=False)
async def changes(_: Settings, desk: Desk) -> None:
    """列出待确认的纸质证书变更 / List the changes of papers that wait."""
    async with desk.acting():
        found = await changing.waiting(desk.connection)
    told = [
        msgspec.structs.replace(
            one,
            paper=" ".join(WORDS.get(one.paper, (one.paper,))),
            reason=f"{' '.join(changing.KIND_WORDS[one.kind])}：{one.reason}",
        )
        for one in found
    ]
    terminal.table(
        told,
        {
            "change_id": "纸质变更", "number": "编号", "serial": "流水号", "paper": "现状",
            "reason": "办理与原因", "document_number": "文号", "asked_by": "提出人",
        },
    )  # fmt: skip


@paper.command("confirm")
@_change_argument
@acting.act(changes=True)
async def confirm(_: Settings, desk: Desk, change_id: int) -> None:
    """确认他人提出的纸质变更 / Confirm a change of a paper another person asked for."""
    async with desk.acting():
        done = await changing.confirm(desk.connection, desk.actor, change_id)
    terminal.say(
        f"{done.number} {done.serial} {' '.join(changing.KIND_WORDS[done.kind])} 已办理 done"
    )
    if done.kind in (Kind.REISSUE, Kind.EXCHANGE):
        terminal.say(f"接着 next: print plan {done.number}")


@paper.command("decline")
@_change_argument
@click.option("--reason", required=True, help="原因 / why")
@acting.act(changes=True)
async def decline(_: Settings, desk: Desk, change_id: int, reason: str) -> None:
    """退回或撤回纸质变更 / Decline a change of a paper, or withdraw one's own."""
    async with desk.acting():
        done = await changing.decline(desk.connection, desk.actor, change_id, reason)
    terminal.say(f"{done.number} {' '.join(changing.KIND_WORDS[done.kind])} 已退回 declined")


def _day(typed: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(typed)
    except ValueError:
        raise click.BadParameter(f"{typed} 应如 2026-06-30 / write YYYY-MM-DD") from None
