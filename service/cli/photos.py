"""Photos: a ZIP of the candidates' pictures, given to an open batch."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from service import terminal, wiring
from service.cli import acting
from service.ground.errors import Finding
from service.ground.jail import Jail
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.issuing.batches import oddities
from service.issuing.photos import keeping, taking
from service.issuing.photos.keeping import Kept
from service.issuing.photos.taking import Taken
from service.wiring import Desk

_SHOWN_MAX = 50


@click.command("photos")
@acting.batch_argument
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--keep-good", is_flag=True, help="有错也收下其余照片 / keep the good ones by choice")
@acting.act(changes=True)
async def batch_photos(
    settings: Settings, desk: Desk, *, batch_id: int, path: Path, keep_good: bool
) -> None:
    """收入照片 ZIP，文件以证件号码或准考证号命名 / Take a ZIP of photos.

    JPEG 或 PNG，每张至多 10 MB；裁成 35×49 mm，裁后至少 207×290 像素。

    JPEG or PNG named by ID or admission number, 10 MB each at most; cropped to 35 by 49 mm, which
    must leave 207 by 290 pixels.

    批次提交之前可再次上传，同一人的新照片替换旧的。

    While the batch is open, a person's later photo takes the place of the earlier one.
    """
    at_once = os.cpu_count() or 1
    settings.var.mkdir(parents=True, exist_ok=True)
    async with desk.acting():
        candidates = await keeping.candidates(desk.connection, desk.actor, batch_id)
    with tempfile.TemporaryFile(dir=settings.var) as laid:
        with terminal.pace("读取照片 reading photos") as show:
            async with Jail(taking.DIRECTORY_JOB, taking.DRAW_JOB, concurrent=at_once) as children:
                taken = await taking.take(
                    path,
                    children,
                    candidates,
                    wiring.lookup(settings),
                    frame=wiring.photo_frame(settings),
                    laid=laid,
                    at_once=at_once,
                    done=lambda done, total: show(done, total, ""),
                )
        objects = Objects.open(settings.store_address)
        with terminal.progress("保存照片 storing photos", len(taken.portraits)) as stored:
            await keeping.store(objects, taken, keep_good=keep_good, done=stored)
        async with desk.acting():
            kept = await keeping.keep(desk.connection, desk.actor, batch_id, taken)
            shared = await oddities.shared_photos(desk.connection, batch_id)
    _tell(batch_id, taken, kept, shared)


def _tell(batch_id: int, taken: Taken, kept: Kept, shared: Sequence[Finding]) -> None:
    """Say what became of the archive; the last line is the one that is read."""
    for title, found in (("未收 not kept", taken.errors), ("提示 warnings", shared)):
        if found:
            terminal.findings(found, title=title)
    for name in taken.surplus[:_SHOWN_MAX]:
        terminal.say(f"多余 surplus: {name}")
    if kept.missing:
        terminal.table(
            kept.missing[:_SHOWN_MAX],
            {"row_number": "缺照片的行", "admission_number": "准考证号", "result": "考核结果"},
        )
    if max(len(taken.surplus), len(kept.missing)) > _SHOWN_MAX:
        terminal.say(f"各只列出前 {_SHOWN_MAX} 项 / the first {_SHOWN_MAX} of each are listed")
    passed_count = sum(one.passed for one in kept.missing)
    terminal.say(
        f"批次 batch {batch_id}：收下照片 kept {kept.count}，"
        f"其中替换 replaced {kept.replaced_count}；未收 not kept {len(taken.errors)}，"
        f"多余文件 surplus {len(taken.surplus)}，"
        f"缺照片 missing {len(kept.missing)}（合格者 passed {passed_count}）"
    )
