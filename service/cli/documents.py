"""Documents: scans of signed forms, attached to what they belong to, listed and taken out again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from service import terminal
from service.cli import acting
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.paper import documents
from service.paper.documents import Subject, SubjectKind
from service.wiring import Desk


def _digest(_context: Any, _argument: Any, given: str) -> bytes:
    try:
        digest = bytes.fromhex(given)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise click.BadParameter("须为 64 位十六进制数 / 64 hex digits are needed")
    return digest


def _subject(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.argument("name", metavar="号")(function)
    kinds = click.Choice([kind.value for kind in SubjectKind])
    return click.argument("kind", type=kinds, metavar="KIND")(function)


@click.group(
    "document",
    epilog="\b\nKIND: requisition 申领 · consignment 发运 · order 两人办理\n"
    "print-run 打印 · stocktake 盘点 · hand-over 核发，号为其文号 by its document number",
)
def document() -> None:
    """附件：签字盖章后的扫描件 / Scans of forms that were signed and stamped."""


@document.command("attach")
@_subject
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@acting.act(changes=True)
async def document_attach(
    settings: Settings, desk: Desk, *, kind: str, name: str, file: Path
) -> None:
    """附上一个 PDF、JPEG 或 PNG，至多 20 MB / Attach a scan of up to 20 MB."""
    content = acting.read(file, documents.ATTACHMENT_BYTES_MAX)
    async with desk.acting():
        sha256 = await documents.attach(
            desk.connection,
            desk.actor,
            Objects.open(settings.store_address),
            Subject(SubjectKind(kind), name),
            file_name=file.name,
            content=content,
        )
    terminal.say(f"已附上 attached: {sha256.hex()}")


@document.command("list")
@_subject
@acting.act(changes=False)
async def document_list(_: Settings, desk: Desk, *, kind: str, name: str) -> None:
    """列出附件 / List what is attached."""
    async with desk.acting():
        found = await documents.attachments(desk.connection, Subject(SubjectKind(kind), name))
    terminal.table(
        found,
        {
            "digest": "SHA-256", "file_name": "文件名", "media_type": "类型",
            "byte_count": "字节", "attached_by": "附件人", "attached_at": "时间",
        },
    )  # fmt: skip


@document.command("get")
@click.argument("sha256", callback=_digest)
@click.option(
    "--to", "target", required=True, type=click.Path(path_type=Path), help="写入此处 / where to"
)
@acting.act(changes=False)
async def document_get(settings: Settings, desk: Desk, *, sha256: bytes, target: Path) -> None:
    """取出一个附件 / Take an attachment out."""
    async with desk.acting():
        content = await documents.fetch(
            desk.connection, Objects.open(settings.store_address), sha256
        )
    acting.write(target, content)
    terminal.say(f"已写入 written: {target}")
