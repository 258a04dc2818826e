"""Reports: what holders say is wrong on their certificates, taken up by the city."""

import click

from service import terminal
from service.checking import portal
from service.cli import acting
from service.ground.settings import Settings
from service.wiring import Desk


@click.group("report")
def report() -> None:
    """更正请求：列出、受理 / Mistakes that holders reported: list, take up."""


@report.command("list")
@acting.act(changes=False)
async def report_list(_: Settings, desk: Desk) -> None:
    """列出本市（州）待受理的更正请求 / List what one's city has not taken up yet."""
    async with desk.acting():
        found = await portal.open_reports(desk.connection)
    terminal.table(
        found,
        {
            "report_id": "请求", "city_code": "市（州）", "number": "编号", "version": "版本",
            "field": "项目", "proposal": "应为", "made_at": "提出时间",
        },
    )  # fmt: skip


@report.command("take")
@click.argument("report_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="请求号")
@acting.act(changes=True)
async def report_take(_: Settings, desk: Desk, report_id: int) -> None:
    """受理一条更正请求，记入日志 / Take a report up; the journal tells it."""
    async with desk.acting():
        await portal.take(desk.connection, desk.actor, report_id)
    terminal.say(f"更正请求 {report_id} 已受理 taken up")
