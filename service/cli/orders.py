"""Orders of blank paper: one asks, another confirms or two witness, and then the sheets move."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from service import terminal, wiring
from service.cli import acting
from service.cli.blanks import blanks
from service.ground.db import Connection
from service.ground.errors import SeriesAbsent
from service.ground.settings import Settings
from service.issuing.batches import LEGAL_ZONE
from service.paper import blanks as room
from service.paper import orders
from service.paper.blanks import Kind, Series
from service.paper.forms.sheets import Destruction, DestructionLine
from service.paper.orders import Grounds, Order, State
from service.wiring import Desk

_HELP = {
    Kind.OPEN: "期初入账：切换时清点在库的 / Enter what is there at cut-over.",
    Kind.LOSE: "报失 / Report sheets as lost.",
    Kind.FIND: "寻回已报失的，转待销毁 / Report lost sheets as found, to be destroyed.",
    Kind.DESTROY: "列销毁清单，不填号段即全部待销毁的 / List sheets for destruction.",
}
_order_argument = click.argument(
    "order_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="办理号"
)
series_option = click.option(
    "--series", "series_code", help="系列，只有一个时可省 / series, where there are several"
)
spoiled_option = click.option(
    "--spoiled", "is_spoiled", is_flag=True, help="待销毁的那一堆 / of those that wait there"
)


def serials_option(*, required: bool) -> Callable[..., Any]:
    """Take serials as they are typed."""
    return click.option(
        "--serials", "typed", required=required, default="",
        help="号段，如 0000001-0000500、0000512 / ranges",
    )  # fmt: skip


def _grounds(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--document-number", required=True, help="文号 / document")(function)
    return click.option("--reason", required=True, help="原因 / why")(function)


async def series_of(connection: Connection, series_code: str | None) -> Series:
    """Return the series that was typed, or the only one that there is, with stock if possible."""
    if series_code is None:
        codes = {one.series_code for one in await room.stock(connection)}
        codes = codes or {one.series_code for one in await room.every(connection)}
        if not codes:
            raise SeriesAbsent
        if len(codes) > 1:
            raise click.UsageError(
                f"须给出 --series / --series is needed: {'、'.join(sorted(codes))}"
            )
        (series_code,) = codes
    return await room.find(connection, series_code)


def _order_command(kind: Kind) -> click.Command:
    @series_option
    @serials_option(required=kind is not Kind.DESTROY)
    @_grounds
    @acting.act(changes=True)
    async def body(
        _: Settings,
        desk: Desk,
        *,
        series_code: str | None,
        typed: str,
        reason: str,
        document_number: str,
        is_spoiled: bool = False,
    ) -> None:
        async with desk.acting():
            series = await series_of(desk.connection, series_code)
            order_id = await orders.ask(
                desk.connection,
                desk.actor,
                kind,
                Grounds(document_number, reason),
                series=series,
                ranges=series.numerals.read(typed) if typed else (),
                is_spoiled=is_spoiled,
            )
        _say_asked(order_id, by_witnesses=kind is Kind.DESTROY)

    if kind is Kind.LOSE:
        body = spoiled_option(body)
    return click.command(kind.value, help=_HELP[kind])(body)


for _kind in _HELP:
    blanks.add_command(_order_command(_kind))


@blanks.command("counter")
@click.argument("sequence", type=click.IntRange(min=1, max=2**63 - 1), metavar="流水")
@series_option
@serials_option(required=False)
@_grounds
@acting.act(changes=True)
async def counter(
    _: Settings, desk: Desk, *, sequence: int, series_code: str | None, typed: str, reason: str,
    document_number: str,
) -> None:  # fmt: skip
    """冲正本单位一笔流水或其中的号段，须两人 / Take a movement back; two persons.

    流水即台账备注所载 / the number in the ledger and after # in the chain
    """
    grounds = Grounds(document_number, reason)
    async with desk.acting():
        series = await series_of(desk.connection, series_code)
        order_id = await orders.counter(
            desk.connection, desk.actor, series, sequence, typed=typed, grounds=grounds
        )
        order = await orders.one(desk.connection, order_id)
    _say_asked(order_id, by_witnesses=order.person_count > 2)


@blanks.command("spoil")
@series_option
@serials_option(required=True)
@_grounds
@acting.act(changes=True)
async def spoil(
    _: Settings, desk: Desk, series_code: str | None, typed: str, reason: str, document_number: str
) -> None:
    """库存损坏，即转待销毁 / Set damaged stock aside for destruction, at once."""
    async with desk.acting():
        series = await series_of(desk.connection, series_code)
        ranges = series.numerals.read(typed)
        moved = await orders.spoil(
            desk.connection, desk.actor, series, ranges, Grounds(document_number, reason)
        )
        told = "、".join([f"{(await room.moved(desk.connection, one)).sequence}" for one in moved])
    terminal.say(f"{series.numerals.ranges_text(ranges)} 已转待销毁 set aside，流水 {told}")


@blanks.command("orders")
@acting.act(changes=False)
async def list_orders(_: Settings, desk: Desk) -> None:
    """列出待确认、待见证的办理 / List the orders that nobody has decided."""
    async with desk.acting():
        found = await orders.waiting(desk.connection)
    terminal.table(
        found,
        {
            "order_id": "办理", "city_code": "单位", "words": "事项", "series_code": "系列",
            "sheet_count": "张数", "serials_shown": "号段", "reason": "原因",
            "document_number": "文号", "asked_by": "提出人", "witnessed_by": "见证人",
        },
    )  # fmt: skip


@blanks.command("confirm")
@_order_argument
@acting.act(changes=True)
async def confirm(_: Settings, desk: Desk, order_id: int) -> None:
    """确认他人提出的办理，即时入账 / Confirm what another person asked for."""
    async with desk.acting():
        order = await orders.confirm(desk.connection, desk.actor, order_id)
    _say_done(order)


@blanks.command("witness")
@_order_argument
@acting.act(changes=True)
async def witness(_: Settings, desk: Desk, order_id: int) -> None:
    """销毁见证，第二位签字即入账 / Witness a destruction; the second moves the sheets."""
    async with desk.acting():
        order = await orders.witness(desk.connection, desk.actor, order_id)
    if order.state is State.DONE:
        _say_done(order)
    else:
        terminal.say(f"第 {order_id} 号已签，尚待另一位见证人 signed, waits for another witness")


@blanks.command("decline")
@_order_argument
@click.option("--reason", required=True, help="原因 / why")
@acting.act(changes=True)
async def decline(_: Settings, desk: Desk, order_id: int, reason: str) -> None:
    """退回办理，或撤回自己提出的 / Decline an order, or withdraw one's own."""
    async with desk.acting():
        await orders.decline(desk.connection, desk.actor, order_id, reason)
    terminal.say(f"第 {order_id} 号已退回 declined")


@blanks.command("destruction-list")
@_order_argument
@click.option(
    "--to", required=True, type=click.Path(path_type=Path), help="写入 PDF / file to write"
)
@acting.act(changes=False)
async def destruction_list(_: Settings, desk: Desk, order_id: int, to: Path) -> None:
    """写出销毁清单，供签字盖章 / Write a destruction list to be signed."""
    today = acting.today()
    async with desk.acting():
        order, doomed = await orders.destruction(desk.connection, order_id)
        centre = await orders.centre_name(desk.connection, order.city_code, today)
    done_at = order.decided_at if order.state is State.DONE else None
    sheet = Destruction(
        centre=centre,
        document_number=order.document_number,
        reason=order.reason,
        destroyed_on=done_at.astimezone(LEGAL_ZONE).date() if done_at else None,
        lines=tuple(
            DestructionLine(
                series=one.series_code,
                serials=one.serials,
                sheet_count=one.sheet_count,
                reason="：".join(word for word in (room.WORDS[one.kind][0], one.reason) if word),
            )
            for one in doomed
        ),
        keeper=order.asked_by,
        first_witness=order.witnessed_by,
        second_witness=order.decided_by if done_at else None,
    )
    acting.write(to, wiring.forms().pdf(sheet, printed_at=acting.now()))
    terminal.say(f"已写入 written: {to}")


def _say_asked(order_id: int, *, by_witnesses: bool) -> None:
    if by_witnesses:
        told = f"待两位见证人签字 waits for two witnesses: blanks witness {order_id}"
    else:
        told = f"待另一人确认 waits: blanks confirm {order_id}"
    terminal.say(f"办理 order {order_id} {told}")


def _say_done(order: Order) -> None:
    zh, en = room.WORDS[order.kind]
    terminal.say(f"第 {order.order_id} 号 {zh} {order.sheet_count} 张已入账 {en}, in the books")
