"""Results: the sheet to fill in, batches of what came back, and the certificates of each."""

import io
from collections.abc import Sequence
from pathlib import Path

import click

from service import terminal, wiring
from service.cli import acting
from service.ground import errors
from service.ground import settings as settings_room
from service.ground.errors import Finding
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.issuing import batches, certificates
from service.issuing.adoption import sheet as adoption_sheet
from service.issuing.batches import gates, oddities
from service.issuing.sheets import template
from service.registry import accounts, catalogue
from service.registry.journal import Act
from service.wiring import Desk


@click.command("template")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--city-code", default=accounts.PROVINCE, help="列出该市（州）的项目 / projects of")
@click.option("--adoption", "before", is_flag=True, help="既有证书收录表 / for issued before")
@click.pass_obj
def write_template(settings: Settings, path: Path, city_code: str, before: bool) -> None:
    """写出成绩表或收录表模板 / Write the workbook to fill in."""

    async def work(address: str) -> None:
        async with wiring.connection(address) as connection:
            names = await catalogue.projects(connection, city_code, acting.today())
        workbook_bytes = io.BytesIO()
        guides = settings_room.templates_folder() / "sheets"
        if before:
            template.write(workbook_bytes, names, guides / "adoption.toml", adoption_sheet.LAYOUT)
        else:
            template.write(workbook_bytes, names, guides / "guide.toml")
        acting.write(path, workbook_bytes.getvalue())
        terminal.say(f"{path}（{len(names)} 个项目 projects）")

    acting.run(settings, work)


@click.group("batch")
def batch() -> None:
    """批次：导入、提交、退回、批准 / Batches: import, submit, return, approve."""


@batch.command("list")
@acting.act(changes=False)
async def batch_list(_: Settings, desk: Desk) -> None:
    """列出最近的批次 / List the newest batches."""
    async with desk.acting():
        found = await batches.recent(desk.connection)
    terminal.table(
        found,
        {
            "batch_id": "批次", "city_code": "市（州）", "state": "状态", "row_count": "行数",
            "passed_count": "合格", "left_out_count": "留出", "archived_on": "归档",
            "return_reason": "退回原因", "file_name": "文件",
        },
    )  # fmt: skip


@batch.command("gates")
@acting.batch_argument
@acting.act(changes=False)
async def batch_gates(settings: Settings, desk: Desk, batch_id: int) -> None:
    """列出未满足的签发条件与提示 / List what a batch lacks, and what is odd."""
    async with desk.acting():
        found = await _judge(settings, desk, batch_id)
        noticed = await oddities.notice(desk.connection, batch_id, wiring.vault(settings))
    if found:
        terminal.findings(found, title="未满足的签发条件 closed gates", console=terminal.out)
    else:
        terminal.say("签发条件全部满足 all gates are open")
    _show(noticed)


def _show(noticed: Sequence[Finding]) -> None:
    if noticed:
        title = "复核提示，不影响批准 odd, for the reviewer to look at"
        terminal.findings(noticed, title=title, console=terminal.out)


async def _judge(settings: Settings, desk: Desk, batch_id: int) -> tuple[Finding, ...]:
    await batches.find(desk.connection, batch_id)
    return await gates.judge(
        desk.connection,
        batch_id,
        reviewer=None,
        rules=wiring.rules(settings),
        vault=wiring.vault(settings),
        drawable=wiring.drawable_characters(),
        today=acting.today(),
    )


@batch.command("submit")
@acting.batch_argument
@acting.act(changes=True)
async def batch_submit(settings: Settings, desk: Desk, batch_id: int) -> None:
    """提交复核；公示可以未满 / Hand a batch to the reviewer; publicity may still run."""
    async with desk.acting():
        await batches.submit(desk.connection, desk.actor, batch_id)
        found = await _judge(settings, desk, batch_id)
        mendable = [one for one in found if one.code != gates.Gate.PUBLICITY_NOT_ENDED]
        if mendable:
            raise errors.GatesClosed(found, batch_id=batch_id, count=len(found))
        noticed = await oddities.notice(desk.connection, batch_id, wiring.vault(settings))
    _show(noticed)
    terminal.say(f"批次 {batch_id} 已提交 submitted")


@batch.command("return")
@acting.batch_argument
@click.option("--reason", required=True, help="退回原因 / why")
@acting.act(changes=True)
async def batch_return(_: Settings, desk: Desk, batch_id: int, reason: str) -> None:
    """退回批次 / Give a batch back with the reason."""
    async with desk.acting():
        await batches.return_(desk.connection, desk.actor, batch_id, reason)
    terminal.say(f"批次 {batch_id} 已退回 returned")


@batch.command("withdraw")
@acting.batch_argument
@click.option("--reason", required=True, help="撤回原因 / why")
@acting.act(changes=True)
async def batch_withdraw(_: Settings, desk: Desk, batch_id: int, reason: str) -> None:
    """撤回未提交的批次，文件可重新导入 / Give up a batch; its file may be imported again."""
    async with desk.acting():
        await batches.withdraw(desk.connection, desk.actor, batch_id, reason)
    terminal.say(f"批次 {batch_id} 已撤回 withdrawn")


@batch.command("approve")
@acting.batch_argument
@acting.act(changes=True)
async def batch_approve(settings: Settings, desk: Desk, batch_id: int) -> None:
    """批准批次：归档并编号 / Approve a batch: archive it and number its certificates."""
    vault = wiring.vault(settings)
    accounts.require(desk.actor, Act.BATCH_APPROVE)
    async with desk.acting():
        await batches.find(desk.connection, batch_id)
        shown = await oddities.notice(desk.connection, batch_id, vault)
    _show(shown)
    if shown:
        acting.confirm("已查看以上提示，仍批准 approve all the same?")
    with terminal.progress("批准 approving", 1) as done:
        async with desk.acting():
            approval = await batches.approve(
                desk.connection,
                desk.actor,
                batch_id,
                vault=vault,
                rules=wiring.rules(settings),
                drawable=wiring.drawable_characters(),
                issuance=wiring.issuance(settings),
                now=acting.now(),
            )
            unseen = {one.code for one in approval.noticed} - {one.code for one in shown}
            if unseen:
                raise errors.OdditiesUnseen(batch_id=batch_id, codes=", ".join(sorted(unseen)))
        done(1)
    numbers = approval.numbers
    span = f"{numbers[0]} – {numbers[-1]}" if numbers else "–"
    terminal.say(
        f"批次 {batch_id}：归档 archived {approval.archived_on}，{len(numbers)} 个编号 {span}"
    )


@batch.command("certificates")
@acting.batch_argument
@acting.act(changes=False)
async def batch_certificates(_: Settings, desk: Desk, batch_id: int) -> None:
    """列出批次的证书 / List the certificates of a batch, void numbers included."""
    async with desk.acting():
        await batches.find(desk.connection, batch_id)
        found = await certificates.of_batch(desk.connection, batch_id)
    terminal.table(
        found,
        {
            "number": "编号", "version": "版本", "name": "姓名", "project_name": "项目",
            "state": "状态", "standing": "效力", "cause": "说明",
        },
    )  # fmt: skip


@batch.command("export")
@acting.batch_argument
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), required=True, help="文件夹 / folder"
)
@acting.act(changes=False)
async def batch_export(settings: Settings, desk: Desk, batch_id: int, folder: Path) -> None:
    """导出已签发的 PDF / Write the issued PDFs of a batch into a folder."""
    store = Objects.open(settings.store_address)
    async with desk.acting():
        await batches.find(desk.connection, batch_id)
        issued = await certificates.export(desk.connection, desk.actor, batch_id)
    with terminal.progress("导出 exporting", len(issued)) as done:
        for count, (number, digest) in enumerate(issued.items(), start=1):
            acting.write(folder / f"{number}.pdf", await store.get(digest))
            done(count)
    terminal.say(f"{len(issued)} 份 PDF → {folder}")


@batch.command("retry")
@acting.batch_argument
@acting.act(changes=True)
async def batch_retry(_: Settings, desk: Desk, batch_id: int) -> None:
    """重做搁置的证书，撤回未确认的作废 / Put parked certificates back into the queue."""
    async with desk.acting():
        await batches.find(desk.connection, batch_id)
        numbers = await certificates.retry(desk.connection, desk.actor, batch_id)
    terminal.say(f"{len(numbers)} 个 {' '.join(numbers)}")


@click.command("void")
@click.argument("number")
@click.option("--reason", required=True, help="作废原因 / why")
@acting.act(changes=True)
async def void(_: Settings, desk: Desk, number: str, reason: str) -> None:
    """作废永远无法签发的编号，须两人 / Void a number that can never be sealed; two persons."""
    async with desk.acting():
        done = await certificates.void(desk.connection, desk.actor, number, reason)
    terminal.say(f"{number} {'已作废 void' if done else '待另一人确认 waits for a second person'}")
