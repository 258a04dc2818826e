"""Printers: calibration sheets, and the profiles that are made of what was measured on them."""

import re
import unicodedata
from pathlib import Path

import click

from service import terminal, wiring
from service.cli import acting
from service.ground.settings import Settings
from service.paper import overlay, printers
from service.paper.overlay import Mark, Profile
from service.wiring import Desk

_MARK = re.compile(r"([1-9])=(\d{1,3}(?:\.\d+)?),(\d{1,3}(?:\.\d+)?)")
_TITLES = {
    "profile_id": "号", "city_code": "市（州）", "printer_name": "打印机", "edition": "版式",
    "correction": "校正", "applied": "测自", "recorded_by": "录入", "recorded_at": "时间",
}  # fmt: skip


@click.group("printer")
def printer() -> None:
    """套打打印机：校准页、参数 / Printers of blanks: calibration sheet, profiles."""


@printer.command("calibration")
@click.option("--edition", required=True, help="空白证书版式 / edition of the blank, e.g. 2026")
@click.option("--printer", "printer_name", help="带上此打印机的现用参数 / under its profile")
@click.option(
    "--to", required=True, type=click.Path(path_type=Path), help="写入 PDF / file to write"
)
@acting.act(changes=False)
async def calibration(
    _: Settings, desk: Desk, edition: str, printer_name: str | None, to: Path
) -> None:
    """写出校准页，按实际大小打印并量取 / Write the sheet that is printed and measured."""
    profile, applied = Profile(), 0
    opened = wiring.blank_edition(edition)
    if printer_name:
        async with desk.acting():
            kept = await printers.current(desk.connection, desk.actor, printer_name, edition)
        profile, applied = kept, kept.profile_id
    pdf = overlay.calibration(
        opened, profile, printer=printer_name or "", applied=applied, rendered_at=acting.now()
    )
    acting.write(to, pdf)
    terminal.say(f"已写入 written: {to}")


def _read_marks(_: click.Context, _option: click.Parameter, typed: tuple[str, ...]) -> list[Mark]:
    marks = []
    for text in typed:
        match = _MARK.fullmatch(unicodedata.normalize("NFKC", text).replace(" ", ""))
        if not match:
            raise click.BadParameter(f"“{text}”应如 1=20.1,19.8 / write it like 1=20.1,19.8")
        marks.append(Mark(int(match[1]), float(match[2]), float(match[3])))
    return marks


@printer.command("profile")
@click.argument("printer_name", metavar="打印机")
@click.option("--edition", required=True, help="空白证书版式 / edition of the blank, e.g. 2026")
@click.option(
    "--applied",
    required=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="校准页所印参数号，无则 0 / profile on the sheet, or 0",
)
@click.option(
    "--mark",
    "marks",
    multiple=True,
    required=True,
    metavar="N=X,Y",
    callback=_read_marks,
    help="号=距左,距上（mm）/ mm from left and top: 1=20.1,19.8",
)
@acting.act(changes=True)
async def profile(
    _: Settings, desk: Desk, printer_name: str, edition: str, applied: int, marks: list[Mark]
) -> None:
    """由校准页的实测值算出并登记参数 / Record a profile from what was measured."""
    opened = wiring.blank_edition(edition)
    async with desk.acting():
        kept = await printers.record(
            desk.connection, desk.actor, printer_name, opened, marks, applied=applied or None
        )
    terminal.say(f"第 {kept.profile_id} 号参数 profile：{kept.correction}")
    terminal.say("请再打印一页校准页核对 / Print a calibration sheet with it, to check it")


@printer.command("list")
@acting.act(changes=False)
async def printer_list(_: Settings, desk: Desk) -> None:
    """列出各打印机的现用参数 / List the profiles that count now."""
    async with desk.acting():
        terminal.table(await printers.newest(desk.connection), _TITLES)


@printer.command("history")
@click.argument("printer_name", metavar="打印机")
@acting.act(changes=False)
async def printer_history(_: Settings, desk: Desk, printer_name: str) -> None:
    """列出一台打印机的全部参数，新的在前 / List all profiles of a printer, newest first."""
    async with desk.acting():
        terminal.table(await printers.history(desk.connection, printer_name), _TITLES)
