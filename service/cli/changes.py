"""Changes: revoke, cancel, suspend, lift and correct what is issued; a second person confirms.

An id number is never an option's value, which every user of the machine could read in the list of
processes: it is typed at a prompt or stands in a file.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from service import terminal, wiring
from service.cli import acting
from service.ground.settings import Settings
from service.issuing import changes
from service.issuing.changes import Correction, Grounds, Kind
from service.wiring import Desk

_ID_BYTES_MAX = 100
_HELP = {
    Kind.REVOKE: "撤销，自始无效 / Revoke a certificate: void from the start",
    Kind.CANCEL: "注销 / Cancel a certificate",
    Kind.SUSPEND: "暂扣 / Suspend a certificate while a case is open",
    Kind.LIFT: "恢复暂扣的证书 / Lift a suspension",
}
_change_argument = click.argument(
    "change_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="证书变更号"
)


def _grounds(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--document-number", required=True, help="文号 / document")(function)
    function = click.option("--reason", required=True, help="原因 / why")(function)
    return click.argument("number", metavar="编号")(function)


def _standing_command(kind: Kind) -> click.Command:
    @_grounds
    @acting.act(changes=True)
    async def body(_: Settings, desk: Desk, **given: str) -> None:
        async with desk.acting():
            change_id = await changes.ask(desk.connection, desk.actor, kind, Grounds(**given))
        _say_asked(change_id)

    return click.command(kind.value, help=f"{_HELP[kind]}；须两人 two persons")(body)


standing_commands = tuple(_standing_command(kind) for kind in _HELP)


@click.command("correct")
@_grounds
@click.option("--name", help="姓名 / name")
@click.option("--sex", help="性别 / 男 or 女")
@click.option("--born-on", metavar="YYYY-MM-DD", help="出生日期 / birth date")
@click.option("--id-kind", help="证件类型 / kind of identity document")
@click.option("--ask-id-number", is_flag=True, help="键入证件号码 / type its number when asked")
@click.option(
    "--id-number-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="存有证件号码的文件 / file with its number",
)
@click.option("--score", help="总成绩 / score")
@click.option("--exam-on", metavar="YYYY-MM-DD", help="考核日期 / exam date")
@acting.act(changes=True)
async def correct(
    settings: Settings,
    desk: Desk,
    *,
    number: str,
    reason: str,
    document_number: str,
    ask_id_number: bool,
    id_number_file: Path | None,
    **given: str | None,
) -> None:
    """更正：同号新版本取代原版本；须两人 / Correct by a new version; two persons."""
    id_number = None
    if id_number_file:
        id_number = acting.read(id_number_file, _ID_BYTES_MAX).decode("utf-8", "replace").strip()
    elif ask_id_number:
        id_number = acting.ask("证件号码 id number", "--id-number-file", hide_input=True)
    async with desk.acting():
        change_id = await changes.ask_correction(
            desk.connection,
            desk.actor,
            Grounds(number=number, reason=reason, document_number=document_number),
            Correction(id_number=id_number, **given),
            vault=wiring.vault(settings),
            rules=wiring.rules(settings),
            drawable=wiring.drawable_characters(),
            host=settings.host,
            today=acting.today(),
        )
    _say_asked(change_id)


@click.group("change")
def change() -> None:
    """证书变更：列出、确认、退回 / Changes that wait for their second person."""


@change.command("list")
@acting.act(changes=False)
async def change_list(settings: Settings, desk: Desk) -> None:
    """列出待确认的证书变更 / List the changes that nobody has decided."""
    vault = wiring.vault(settings)
    async with desk.acting():
        found = await changes.waiting(desk.connection, vault)
    terminal.table(
        found,
        {
            "change_id": "证书变更", "words": "办理", "number": "编号", "version": "版本",
            "holder": "持证人", "corrected": "更正为", "reason": "原因",
            "document_number": "文号", "asked_by": "提出人",
        },
    )  # fmt: skip


@change.command("confirm")
@_change_argument
@acting.act(changes=True)
async def change_confirm(settings: Settings, desk: Desk, change_id: int) -> None:
    """确认他人提出的证书变更，即时生效 / Confirm a change that another person asked for."""
    async with desk.acting():
        done = await changes.confirm(
            desk.connection, desk.actor, change_id, edition=settings.edition
        )
    sealing = f"，第 {done.new_version} 版待签章 to be sealed" if done.new_version else ""
    terminal.say(f"{done.number} {' '.join(changes.WORDS[done.kind])} 已办理 done{sealing}")


@change.command("decline")
@_change_argument
@click.option("--reason", required=True, help="原因 / why")
@acting.act(changes=True)
async def change_decline(_: Settings, desk: Desk, change_id: int, reason: str) -> None:
    """退回或撤回证书变更 / Decline a change, or withdraw one's own."""
    async with desk.acting():
        declined = await changes.decline(desk.connection, desk.actor, change_id, reason)
    terminal.say(f"{declined.number} {' '.join(changes.WORDS[declined.kind])} 已退回 declined")


def _say_asked(change_id: int) -> None:
    terminal.say(f"证书变更 change {change_id} 待另一人确认 waits: change confirm {change_id}")
