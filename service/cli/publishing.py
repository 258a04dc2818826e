"""Publishing: keys and status lists as files, and what anybody can verify with them alone."""

import asyncio
import datetime
from collections.abc import Sequence
from pathlib import Path

import click

from service import terminal, wiring
from service.checking import verification
from service.checking.decision import Verdict
from service.cli import acting
from service.ground import db, errors, jail
from service.ground.db import Role
from service.ground.jail import Jail
from service.ground.settings import Settings
from service.issuing import publication
from service.issuing.batches import LEGAL_ZONE
from signing import appearance, key_set, status
from signing.cose import Purpose
from signing.errors import StatusListRefused
from signing.status import StatusList

_PICTURE_JOB, _PDF_JOB = "signing.appearance:read_picture", "signing.examine:qr_text"


@click.command("publish")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def publish(settings: Settings, folder: Path) -> None:
    """写出公钥与状态表，供静态发布 / Write keys and status lists as static files.

    .well-known/jwks.json, .well-known/cose-keys, status/N；未变的文件不动。

    Unchanged files stay untouched; run it as often as you like.
    """

    async def work(address: str) -> None:
        async with wiring.connection(address) as connection, db.acting(connection, Role.PUBLIC):
            if await publication.behind(connection):
                raise errors.StatusListsBehind
            documents = await publication.documents(connection)
        changed = [path for path, content in documents.items() if _held(folder / path) != content]
        for path in changed:
            acting.write(folder / path, documents[path])
        terminal.say(f"文件 files: {len(documents)}，更新 written: {len(changed)}  {folder}")

    acting.run(settings, work)


def verify_offline(
    what: str, content: bytes | None, keys_path: Path, list_paths: Sequence[Path]
) -> Verdict:
    """Verify a QR text, or the QR code in a PDF or picture, by files alone.

    A status list that is refused is said to be, and counts as none.

    Raises: KeySetRefused; FileUnusable, where a file shows no QR code that can be read.
    """
    now = acting.now()
    keys = key_set.read(acting.read(keys_path, key_set.SIZE_LIMIT))
    lists: list[StatusList] = []
    for path in list_paths:
        try:
            signed = acting.read(path, status.SIZE_LIMIT)
            read = status.verify(signed, keys[Purpose.STATUS], now)
            lists.append(read)
            terminal.say(f"状态表 status list: {_told(read.issued_at)} – {_told(read.expires_at)}")
        except StatusListRefused as refused:
            terminal.err.print(terminal.plain(f"{path}: {refused}"), soft_wrap=True)
    text = what
    if content is not None:
        text = asyncio.run(_qr_text(what, content))
        terminal.say(
            "只核验二维码，文件的其余内容未核验 / only its QR code is verified, not the file"
        )
    return verification.offline(text, keys, lists, now)


async def _qr_text(path: str, content: bytes) -> str:
    job = _PICTURE_JOB if appearance.is_picture(content) else _PDF_JOB
    async with Jail(job, concurrent=1) as reader:
        text = await reader.run(job, content, jail.DOCUMENT)
    if not text:
        raise errors.FileUnusable(path=path, reason="读不到二维码 no QR code can be read")
    return str(text)


def _told(at: datetime.datetime) -> str:
    return at.astimezone(LEGAL_ZONE).isoformat(" ", "minutes")


def _held(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
