"""Blanks: what stands where, how long it lasts, and whether the books hold."""

import click
import msgspec

from service import terminal
from service.cli import acting
from service.ground.db import Connection
from service.ground.settings import Settings
from service.paper import blanks as room
from service.paper import supply
from service.paper.blanks import check, records
from service.registry.accounts import Actor
from service.wiring import Desk


class _Place(msgspec.Struct, frozen=True):
    """A line of an answer: how many sheets, which, and where they are."""

    where: str
    series_code: str
    sheet_count: int
    serials: str


@click.group("blanks")
def blanks() -> None:
    """空白证书：库存、收发、报失、销毁、核对 / Blank paper and its books."""


@blanks.command("stock")
@click.option(
    "--weeks", type=click.IntRange(1, 520), default=4, show_default=True,
    help="不足几周即提醒 / warn below",
)  # fmt: skip
@acting.act(changes=False)
async def stock(_: Settings, desk: Desk, weeks: int) -> None:
    """列出库存，提醒按近四周用量将用完的 / List stock, and warn of what will not last."""
    async with desk.acting():
        found = await room.stock(desk.connection)
        low = await supply.low(desk.connection, acting.now(), weeks)
    lines = [
        _Place(
            f"{one.city_code} {' '.join(room.WORDS[one.state])}", one.series_code, one.sheet_count,
            f"{one.range_count}",
        )
        for one in found
    ]  # fmt: skip
    titles = {"where": "何处 where", "series_code": "系列 series", "sheet_count": "张数 sheets"}
    terminal.table(lines, titles | {"serials": "段数 ranges"})
    for pace in low:
        terminal.say(
            f"⚠ {pace.city_code} {pace.series_code} 库存 {pace.sheet_count} 张，近四周每周用"
            f" {pace.drawn_a_week:.0f} 张，可用 {pace.weeks_left:.1f} 周 / weeks left"
        )


@blanks.command("check")
@acting.act(changes=False)
async def blanks_check(_: Settings, desk: Desk) -> None:
    """重放全部流水，核对链、库存与逐张记录 / Replay all movements and compare.

    请将链首另处留存 / Note the heads of the chains elsewhere.
    """
    async with desk.acting(at_one_moment=True):  # or what moves meanwhile seems wrong
        is_whole = await report(desk.connection, desk.actor)
    if not is_whole:
        click.get_current_context().exit(1)


async def report(connection: Connection, actor: Actor | None = None) -> bool:
    """Check the blanks that the actor may see, print heads and faults; true where all holds."""
    heads = await check.heads(connection)
    faults = await check.check(connection, actor) + await records.check(connection)
    for head in heads:
        terminal.say(f"{head.city_code} {head.series_code} #{head.sequence} {head.hash.hex()}")
    for one in faults:
        movement = "" if one.movement_id is None else f"记录 movement_id {one.movement_id}"
        where = (one.city_code, one.series_code, movement, one.record, one.serials)
        place = " ".join(word for word in where if word)
        terminal.say(f"✗ {place}：{one.reason_zh} / {one.reason_en}")
    if not faults:
        terminal.say("空白证书账实相符 the books of blank paper hold")
    return not faults
