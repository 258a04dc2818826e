"""Print runs: plan, draw, print, settle and close them; which serial carries which certificate."""

from pathlib import Path

import click
import msgspec

from service import terminal, wiring
from service.cli import acting
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.paper import blanks, overlay, printers, printing
from service.paper.blanks import WORDS
from service.paper.overlay import Profile
from service.paper.printing import faces, planning
from service.paper.printing.settling import Said
from service.registry import people
from service.wiring import Desk

_run_argument = click.argument(
    "run_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="任务号"
)
_OUTCOMES = {
    "drawn": ("待结算", "drawn"),
    "printed": ("印好", "printed"),
    "spoiled": ("作废", "spoiled"),
    "returned": ("退回", "returned"),
}
_PAPERS = {state: WORDS[state] for state in ("printed", "handed-over")} | {
    "ended": ("已终止", "ended")
}
_to_option = click.option(
    "--to", required=True, type=click.Path(path_type=Path), help="写入 PDF / file to write"
)


@click.group("print")
def print_group() -> None:
    """套打任务：列入、领用、打印、结算、关闭 / Print certificates on blanks."""


@print_group.command("plan")
@click.option("--batch", "batch_id", type=click.IntRange(min=1), help="批次 / a whole batch")
@click.argument("numbers", nargs=-1, metavar="[编号]…")
@acting.act(changes=True)
async def plan(_: Settings, desk: Desk, batch_id: int | None, numbers: tuple[str, ...]) -> None:
    """列入打印任务：整批或逐张编号 / Plan a run of a batch, or of single certificates."""
    if (batch_id is None) == (not numbers):
        raise click.UsageError("请给出 --batch 或编号之一 / give --batch or numbers")
    async with desk.acting():
        if batch_id is None:
            planned = await planning.plan(desk.connection, desk.actor, numbers)
        else:
            planned = await planning.plan_batch(desk.connection, desk.actor, batch_id)
    if planned.passed_over:
        terminal.findings(planned.passed_over, title="未列入 passed over")
    terminal.say(
        f"打印任务 run {planned.run_id}：{planned.line_count} 张，"
        f"由库管领用 a keeper draws: print draw {planned.run_id}"
    )


@print_group.command("draw")
@_run_argument
@click.option("--series", "series_code", help="系列，缺省为最早有库存的内芯 / series")
@click.option("--serials", "typed", help="指定号段，缺省按序取 / serials, default the next free")
@acting.act(changes=True)
async def draw(
    _: Settings, desk: Desk, run_id: int, series_code: str | None, typed: str | None
) -> None:
    """库管领用本轮空白证书 / Draw the blanks of the next round, as a keeper."""
    async with desk.acting():
        drawn = await printing.draw(
            desk.connection, desk.actor, run_id, series_code=series_code, typed=typed
        )
        series = await blanks.find(desk.connection, drawn.series_code)
        wiring.blank_edition(series.edition)  # or nothing could be printed: nothing is drawn
    terminal.say(f"第 {drawn.round} 轮 round，领用 {drawn.sheet_count} 张 drawn：{drawn.serials}")


@print_group.command("pdf")
@_run_argument
@click.option("--printer", "printer_name", help="打印机，按其现用参数校正 / corrected for it")
@_to_option
@acting.act(changes=True)
async def pdf(
    settings: Settings, desk: Desk, run_id: int, printer_name: str | None, to: Path
) -> None:
    """按流水号顺序写出本轮套打 PDF / Write the PDF of this round, in serial order."""
    async with desk.acting():
        round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=False)
        profile = None
        if printer_name:
            profile = await printers.current(
                desk.connection, desk.actor, printer_name, round_.edition
            )
    content = await _drawn(settings, round_, profile or Profile(), preview=False)
    async with desk.acting():
        times = await faces.count(desk.connection, desk.actor, round_, profile)
    acting.write(to, content)
    first, last = round_.serials[0], round_.serials[-1]
    terminal.say(
        f"已写入 written: {to}（{len(round_.serials)} 页，{first} 至 {last}，按此顺序放纸）"
    )
    if times > 1:
        terminal.say(
            f"本轮已是第 {times} 次出 PDF，勿重复打印同一张 "
            f"made {times} times: do not print a sheet twice"
        )


@print_group.command("preview")
@_run_argument
@_to_option
@acting.act(changes=False)
async def preview(settings: Settings, desk: Desk, run_id: int, to: Path) -> None:
    """写出整面预览，标明样张，至多前 1000 张 / Write whole faces for the screen, marked 样张."""
    async with desk.acting():
        round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=True)
    acting.write(to, await _drawn(settings, round_, Profile(), preview=True))
    shown, count = len(round_.serials), round_.run.line_count
    rest = f"；任务共 {count} 张，只预览前 {shown} 张 the first {shown} of {count}"
    terminal.say(f"已写入 written: {to}（样张 preview，{shown} 页{rest if shown < count else ''}）")


@print_group.command("list")
@_run_argument
@acting.act(changes=False)
async def list_run(_: Settings, desk: Desk, run_id: int) -> None:
    """列出每张流水号承载的证书 / List which serial carries which certificate."""
    async with desk.acting():
        found = await printing.listed(desk.connection, run_id)
    terminal.table(
        [_line(one) for one in found],
        {
            "round": "轮", "position": "序号", "serial": "流水号", "number": "计划编号",
            "outcome": "结果", "carries": "实际承载", "name": "持证人", "remark": "备注",
            "paper": "纸质证书",
        },
    )  # fmt: skip


@print_group.command("settle")
@_run_argument
@click.option("--printed", required=True, type=click.IntRange(min=0), help="印好的张数 / good ones")
@click.option("--last", help="流水号最大的好证上的编号或末四位 / number on the last good sheet")
@click.option("--spoiled", default="", help="作废，序号或流水号，如 7,12；不知好坏的也算")
@click.option("--not-printed", default="", help="未打印，如 20-22 / not printed")
@click.option("--reversed", "is_reversed", is_flag=True, help="纸放反，从末张印起 / fed backwards")
@click.option(
    "--shift-from", "shifts", multiple=True,
    help="空走或卡纸重印的一张，其后各页错后 / passed blank",
)  # fmt: skip
@click.option(
    "--carries", multiple=True, metavar="张=编号",
    help="实际承载；或按进纸顺序说页，如 50-43=41-48 / sheets as fed=pages",
)  # fmt: skip
@acting.act(changes=True)
async def settle(
    _: Settings,
    desk: Desk,
    *,
    run_id: int,
    printed: int,
    last: str | None,
    carries: tuple[str, ...],
    **said: object,
) -> None:
    """结算本轮每一张：印好、作废、未打印 / Settle every sheet of this round."""
    pairs = [(sheet, number) for sheet, _mark, number in (one.partition("=") for one in carries)]
    if printed and last is None:
        last = acting.ask("流水号最大的好证上的编号 number on the last good sheet", "--last")
    whole = Said(printed=printed, last=last or "", carries=pairs, **said)  # type: ignore[arg-type]  # as click reads them
    async with desk.acting():
        settled = await printing.settle(desk.connection, desk.actor, run_id, whole)
    terminal.say(
        f"印好 printed {settled.printed}，作废 spoiled {settled.spoiled}，"
        f"退回 returned {settled.returned}，尚缺 left {settled.left_count}"
    )


@print_group.command("close")
@_run_argument
@acting.act(changes=True)
async def close(_: Settings, desk: Desk, run_id: int) -> None:
    """库管确认废张与退回，关闭任务 / Close a run; what is spoiled and returned is in hand."""
    async with desk.acting():
        closed = await printing.close(desk.connection, desk.actor, run_id)
    terminal.say(f"打印任务 {run_id} 已关闭 closed")
    if closed.left_count:
        terminal.say(
            f"{closed.left_count} 张仍无纸质证书 left without paper（print list {run_id}），"
            "接着 next: print plan 编号…"
        )


@print_group.command("cancel")
@_run_argument
@acting.act(changes=True)
async def cancel(_: Settings, desk: Desk, run_id: int) -> None:
    """取消未打印的任务，已领用的退库 / Cancel a run before printing; sheets return."""
    async with desk.acting():
        await printing.cancel(desk.connection, desk.actor, run_id)
    terminal.say(f"打印任务 {run_id} 已取消 cancelled")


@print_group.command("runs")
@acting.act(changes=False)
async def runs(_: Settings, desk: Desk) -> None:
    """列出打印任务 / List print runs."""
    async with desk.acting():
        found = await printing.runs(desk.connection)
    terminal.table(
        [
            msgspec.structs.replace(one, state=" ".join(printing.STATE_WORDS[one.state]))
            for one in found
        ],
        {
            "run_id": "任务", "city_code": "市（州）", "state": "状态", "series_code": "系列",
            "round": "轮", "line_count": "张数", "left_count": "尚缺", "pdf_count": "出 PDF",
            "profile_id": "打印机参数",
            "planned_by": "列入人", "planned_at": "时间",
        },
    )  # fmt: skip


async def _drawn(
    settings: Settings, round_: faces.Round, profile: Profile, *, preview: bool
) -> bytes:
    """Read the codes and lay the faces out, with progress."""
    objects = Objects.open(settings.store_address)
    with terminal.progress("读取证书 reading", len(round_.faces)) as done:
        sheets = await faces.read(objects, wiring.vault(settings), round_, done)
    return overlay.render(
        wiring.blank_edition(round_.edition),
        sheets,
        profile,
        preview=preview,
        rendered_at=acting.now(),
    )


def _line(one: printing.Listed) -> printing.Listed:
    outcome = one.outcome or ("drawn" if one.serial else "")
    return msgspec.structs.replace(
        one,
        name=people.mask_name(one.name),
        outcome=" ".join(_OUTCOMES.get(outcome, ())),
        paper=" ".join(_PAPERS.get(one.paper or "", ())),
    )
