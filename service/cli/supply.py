"""Supply: cartons taken in, dispatched, received with a count, sent back, and their differences."""

import click

from service import terminal
from service.cli import acting
from service.cli.orders import series_of, series_option
from service.ground.db import Connection
from service.ground.settings import Settings
from service.paper import blanks as room
from service.paper import requisitions, supply
from service.paper.blanks import Series
from service.paper.blanks import State as Place
from service.paper.orders import Grounds
from service.paper.supply import Consignment, Sending, State, arrivals
from service.paper.supply.arrivals import Counted, Fault, SettledAs
from service.wiring import Desk

_ID = click.IntRange(min=1, max=2**63 - 1)
_consignment_argument = click.argument("consignment_id", type=_ID, metavar="发货单号")
_document_option = click.option("--document-number", required=True, help="文号 / document")
_reason_option = click.option("--reason", required=True, help="原因 / why")
_serials_option = click.option(
    "--serials", "typed", required=True, help="号段，如 0000001-0000500、0000512 / ranges"
)


@click.command("take-in")
@_serials_option
@series_option
@_document_option
@acting.act(changes=True)
async def take_in(
    _: Settings, desk: Desk, typed: str, series_code: str | None, document_number: str
) -> None:
    """省中心从印制单位入库 / Take in what the printing house delivers."""
    async with desk.acting():
        series = await series_of(desk.connection, series_code)
        ranges = series.numerals.read(typed)
        await supply.take_in(desk.connection, desk.actor, series, ranges, document_number)
    terminal.say(f"{series.series_code} {series.numerals.ranges_text(ranges)} 已入库 taken in")


@click.command("dispatch")
@click.option("--serials", "typed", help="号段 / ranges")
@click.option("--count", type=click.IntRange(min=1, max=10**9), help="或张数，取最小号 / how many")
@click.option("--requisition", "requisition_id", type=_ID, help="申领号 / for this requisition")
@click.option("--city-code", default="", help="无申领时发往 / or to this city")
@click.option("--reason", default="", help="无申领时的原因 / and why, without a requisition")
@series_option
@_document_option
@acting.act(changes=True)
async def dispatch(
    _: Settings,
    desk: Desk,
    *,
    typed: str | None,
    count: int | None,
    series_code: str | None,
    **sending: object,
) -> None:
    """省中心下发：指定号段，或按最小号取若干张 / Send sheets to a city."""
    if (typed is None) is (count is None):
        raise click.UsageError("须给出 --serials 或 --count / give --serials or --count")
    given = Sending(**sending)  # type: ignore[arg-type]  # its options
    is_grounded = bool(given.city_code and given.reason)
    if given.city_code if given.requisition_id else not is_grounded:
        raise click.UsageError(
            "--requisition 或 --city-code 与 --reason，给其一 / give --requisition, or both others"
        )
    async with desk.acting():
        series = await _series_for(desk.connection, series_code, given.requisition_id)
        wanted = series.numerals.read(typed) if typed is not None else count or 0
        sent = await supply.dispatch(desk.connection, desk.actor, series, wanted, given)
    _say(sent)


@click.command("undo-dispatch")
@_consignment_argument
@_reason_option
@acting.act(changes=True)
async def undo_dispatch(_: Settings, desk: Desk, consignment_id: int, reason: str) -> None:
    """撤回未签收的发货；发出单位两人各办一次 / Undo a dispatch; two of its sender."""
    async with desk.acting():
        sent = await supply.undo(desk.connection, desk.actor, consignment_id, reason)
    if sent.state is State.DISPATCHED:
        terminal.say("待本单位另一人同样办理 waits for another person to do the same")
    _say(sent)


@click.command("receive")
@_consignment_argument
@click.option(
    "--counted", type=click.IntRange(min=0, max=10**9), required=True,
    help="实点张数，含损坏和多出的 / how many came, damaged and extra ones too",
)  # fmt: skip
@click.option("--short", default="", help="短少的号段 / serials that are missing")
@click.option("--damaged", default="", help="损坏的号段 / serials that are damaged")
@click.option("--extra", default="", help="多出的号段 / serials that were not sent")
@acting.act(changes=True)
async def receive(_: Settings, desk: Desk, consignment_id: int, counted: int, **typed: str) -> None:
    """清点签收：市（州）收下发的，省中心收退回的 / Receive with a count."""
    async with desk.acting():
        sent = await supply.find(desk.connection, consignment_id)
        numerals = (await room.find(desk.connection, sent.series_code)).numerals
        found = {
            fault.value: numerals.read(typed[fault]) for fault in Fault if typed[fault].strip()
        }
        got = await arrivals.receive(
            desk.connection, desk.actor, consignment_id, Counted(counted=counted, **found)
        )
    _say(got)
    if found:
        terminal.say("差异待省中心处理 differences wait for the province: blanks differences")


@click.command("send-back")
@_serials_option
@series_option
@_document_option
@_reason_option
@acting.act(changes=True)
async def send_back(
    _: Settings,
    desk: Desk,
    typed: str,
    series_code: str | None,
    *,
    document_number: str,
    reason: str,
) -> None:
    """市（州）退回省中心，调剂也经省中心 / Send sheets back to the province."""
    async with desk.acting():
        series = await series_of(desk.connection, series_code)
        ranges = series.numerals.read(typed)
        grounds = Grounds(document_number, reason)
        sent = await supply.send_back(desk.connection, desk.actor, series, ranges, grounds)
    _say(sent)


@click.command("consignments")
@acting.act(changes=False)
async def consignments(_: Settings, desk: Desk) -> None:
    """列出发货单，在途的在前 / List consignments, those on the road first."""
    async with desk.acting():
        found = await supply.recent(desk.connection)
    terminal.table(
        found,
        {
            "consignment_id": "单号", "city_code": "市（州）", "words": "去向状态",
            "series_code": "系列", "sheet_count": "张数", "counted": "实点",
            "requisition_id": "申领号", "document_number": "文号", "dispatched_by": "发货人",
            "ended_by": "经手人", "serials": "号段",
        },
    )  # fmt: skip


@click.command("differences")
@acting.act(changes=False)
async def differences(_: Settings, desk: Desk) -> None:
    """列出未结的短少、损坏和多出 / List differences that nobody has settled."""
    async with desk.acting():
        found = await arrivals.differences(desk.connection)
    terminal.table(
        found,
        {
            "difference_id": "差异", "consignment_id": "单号", "city_code": "市（州）",
            "series_code": "系列", "serials": "号段", "sheet_count": "张数",
            "words": "情况：可结为", "recorded_by": "登记人", "recorded_at": "登记时间",
        },
    )  # fmt: skip


@click.command("settle")
@click.argument("difference_id", type=_ID, metavar="差异号")
@click.argument("way", type=click.Choice([way.value for way in SettledAs]), metavar="结为")
@click.option("--serials", "typed", default="", help="只结其中号段 / only these of it")
@_document_option
@_reason_option
@acting.act(changes=True)
async def settle(
    _: Settings,
    desk: Desk,
    difference_id: int,
    way: str,
    *,
    typed: str,
    document_number: str,
    reason: str,
) -> None:
    """省中心结清差异 / Settle a difference, as the province.

    arrived 补到 · unsent 未发出 · lost 遗失 · acknowledged 确认 · kept 留用 · returned 退回
    """
    async with desk.acting():
        part = await arrivals.open_part(desk.connection, difference_id)
        series = await room.find(desk.connection, part.series_code)
        await arrivals.settle(
            desk.connection,
            desk.actor,
            difference_id,
            SettledAs(way),
            Grounds(document_number, reason),
            ranges=series.numerals.read(typed) if typed.strip() else (),
        )
    terminal.say(f"差异 difference {difference_id} {arrivals.WORDS[way]} {way} 已结 settled")


commands = (
    take_in, dispatch, undo_dispatch, receive, send_back, consignments, differences, settle,
)  # fmt: skip
"""They belong to the group of blanks."""


async def _series_for(
    connection: Connection, series_code: str | None, requisition_id: int | None
) -> Series:
    """Return the series that was typed, or the only one of a requisition's kind with stock."""
    if series_code is None and requisition_id is not None:
        kind = (await requisitions.find(connection, requisition_id)).kind
        stocked = {
            one.series_code
            for one in await room.stock(connection)
            if one.state is Place.AT_PROVINCE
        }
        of_kind = [
            one
            for one in await room.every(connection)
            if one.kind is kind and one.series_code in stocked
        ]
        if len(of_kind) == 1:
            return of_kind[0]
    return await series_of(connection, series_code)


def _say(sent: Consignment) -> None:
    terminal.say(
        f"发货单 consignment {sent.consignment_id}（{sent.words}）{sent.city_code}"
        f" {sent.series_code} {sent.serials}，{sent.sheet_count} 张 sheets"
    )
