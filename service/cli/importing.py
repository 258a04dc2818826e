"""Importing: a results file read, judged, kept or refused, and given back with what is wrong."""

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from service import terminal, wiring
from service.cli import acting
from service.ground import errors, jail
from service.ground.errors import Finding
from service.ground.jail import Jail
from service.ground.settings import Settings
from service.issuing import batches
from service.issuing.batches import left_out, rows, uploads
from service.issuing.batches.rows import Judged
from service.issuing.batches.uploads import Compared, Incoming, Outcome, Taken
from service.issuing.sheets import annotated, layouts
from service.wiring import Desk

_READ_JOB = "service.issuing.sheets.reading:read"
_COPY_JOB = "service.issuing.sheets.reading:read_whole"
_SHOWN_MAX = 200
_COMPARED_WORDS = {
    Compared.UPLOAD: ("与上次上传相比 beside the last upload", "不再出现 gone"),
    Compared.BATCH: ("与批次相比 beside the batch", "本表未列、仍在批次 not in this file, kept"),
}
_batch_type = click.IntRange(min=1, max=2**63 - 1)


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--uscc", help="作为新批次；报名考核机构统一社会信用代码 / as a new batch of")
@click.option("--batch", "batch_id", type=_batch_type, help="并入未提交的批次 / into an open batch")
@click.option("--keep-good", is_flag=True, help="保留正确的行，错行永久留档 / leave wrong rows out")
@click.option(
    "--annotated",
    "copy",
    type=click.Path(path_type=Path),
    help="标注副本的路径 / path of the annotated copy",
)
@acting.act(changes=True)
async def batch_import(
    settings: Settings,
    desk: Desk,
    *,
    path: Path,
    uscc: str | None,
    batch_id: int | None,
    keep_good: bool,
    copy: Path | None,
) -> None:
    """导入成绩表，一次列出全部错误 / Import a results file; lists every error at once.

    xlsx 或 CSV。有错时一行也不导入，另写一份标注副本；改正后再次导入。

    With any error no row is imported and the file comes back annotated: mend it, import it again.

    再次导入时认得出每一行：--batch 更正、补入未提交的批次，未变的不动。

    Rows are known again: with --batch they mend and complete an open batch, unchanged ones stay.
    """
    if (uscc is None) == (batch_id is None):
        raise click.UsageError("须给出 --uscc 或 --batch 之一 / give either --uscc or --batch")
    copy = _absent(copy) if copy else annotated.beside(path)
    content = acting.read(path, layouts.BYTES_MAX)
    if len(content) > layouts.BYTES_MAX:
        raise errors.FileTooLarge(limit=layouts.BYTES_MAX)
    vault = wiring.vault(settings)
    async with Jail(_READ_JOB, _COPY_JOB, concurrent=1) as children:
        judged = await _judge(children, content)
        incoming = Incoming(
            file_name=os.fsencode(path.name).decode("utf-8", "replace"),  # it may be in GB18030
            file_sha256=hashlib.sha256(content).digest(),
            judged=judged,
            host=settings.host,
            keep_good=keep_good,
        )
        async with desk.acting():
            if batch_id is None:
                taken = await uploads.import_rows(
                    desk.connection, desk.actor, vault, incoming,
                    city_code=desk.actor.city_code, uscc=(uscc or "").strip().upper(),
                )  # fmt: skip
            else:
                taken = await uploads.join(
                    desk.connection, desk.actor, vault, incoming, batch_id=batch_id
                )
        _list(taken)
        is_copied = False
        if taken.errors and judged.form:
            is_copied = await _annotate(children, content, taken, copy)
    if taken.outcome is not Outcome.REFUSED:
        _tell_kept(taken, copy if is_copied else None)
        return
    _tell_refused(taken, keep_good=keep_good)
    if is_copied:
        raise errors.RowsGivenBack(copy=copy)
    raise errors.RowsRefused(count=len(taken.errors))


def _absent(copy: Path) -> Path:
    if copy.exists():
        raise errors.FileUnusable(path=copy, reason="已存在，请另取名 exists, choose another name")
    return copy


async def _judge(children: Jail, content: bytes) -> Judged:
    """Read and judge a file, and say how it is written and what of it is not read."""
    judging = rows.Judging(wiring.drawable_characters(), acting.today())
    with terminal.progress("读取行数 rows read", None) as done:
        await _hear(children, _READ_JOB, content, judging.take, done)
    judged = judging.judged()
    if judged.form:
        terminal.say(f"文件 file：{uploads.words(judged.form)}")
    if judged.warnings:
        terminal.findings(judged.warnings, title="提示 warnings")
    return judged


async def _annotate(children: Jail, content: bytes, taken: Taken, path: Path) -> bool:
    """Write the annotated copy; what keeps it from being written does not undo the rest."""
    written = io.BytesIO()
    why: Finding | errors.Refusal
    try:
        with (
            terminal.progress("写标注副本 rows of the copy", None) as done,
            annotated.Copy(written, layouts.RESULTS, taken.errors, taken.marks) as copy,
        ):
            await _hear(children, _COPY_JOB, content, copy.take, done)
        if written.tell() > layouts.BYTES_MAX:  # nobody could import it
            raise errors.FileTooLarge(limit=layouts.BYTES_MAX)
        acting.write(path, written.getbuffer())
    except errors.RowsRefused as error:
        why = error.findings[0]
    except errors.Refusal as error:
        why = error
    except OSError as error:  # its scratch files found no place
        why = errors.FileUnusable(path=tempfile.gettempdir(), reason=error.strerror)
    else:
        return True
    if why not in taken.errors:
        terminal.refuse(
            why.code, f"没有标注副本：{why.zh}", f"There is no annotated copy: {why.en}"
        )
    return False


async def _hear(
    children: Jail,
    job: str,
    content: bytes,
    take: Callable[[layouts.Part], None],
    done: Callable[[int], None],
) -> None:
    """Have a file read in the jail, take part by part, and tell how many rows these were."""
    count = 0
    parts = children.stream(job, content, jail.WORKBOOK, type=layouts.Part)
    async with contextlib.aclosing(parts):
        async for part in parts:
            take(part)
            count += len(part.rows) if isinstance(part, layouts.Lines) else 0
            done(count)


def _list(taken: Taken) -> None:
    """Say how the rows differ from those known before, and list the errors."""
    counts, found = taken.counts, taken.errors
    if words := _COMPARED_WORDS.get(taken.compared_with):
        would = "将 would be " if taken.outcome is Outcome.REFUSED else ""
        terminal.say(
            f"{words[0]}：{would}新增 new {counts.new}，更正 mended {counts.mended}，"
            f"未变 unchanged {counts.unchanged}，{words[1]} {counts.gone}"
        )
    if found:
        left = "未导入、已留档的行 left out, and listed for ever"
        is_refused = taken.outcome is Outcome.REFUSED
        terminal.findings(found[:_SHOWN_MAX], title="错误 errors" if is_refused else left)
    if len(found) > _SHOWN_MAX:
        terminal.say(f"只列出前 {_SHOWN_MAX} 处，标注副本中更多 / the annotated copy has more")


def _tell_refused(taken: Taken, *, keep_good: bool) -> None:
    if taken.good_count and not keep_good:
        terminal.say(
            f"正确 good {taken.good_count} 行，有错 wrong {taken.wrong_count} 行；"
            "要保留正确的行 to keep the good ones: --keep-good"
        )
    elif keep_good:
        terminal.say(
            "没有正确的行，或错误过多，不能保留 no good row, or too many errors to keep any"
        )


def _tell_kept(taken: Taken, copy: Path | None) -> None:
    if taken.compared_with is Compared.BATCH and not (taken.counts.mended + taken.counts.unchanged):
        terminal.say(
            "批次原有的行都不在本表中，请核对批次号 no row of the batch is in it: the right one?"
        )
    if taken.mended:
        _table(taken.mended, {"row_number": "批次行", "sheet_row": "表中行", "said": "更正的列"})
    terminal.say(
        f"批次 batch {taken.batch_id}：{taken.good_count} 行 rows，"
        f"留出 left out {taken.wrong_count}，补入 caught up {taken.caught_up}；"
        f"接着 next: batch gates {taken.batch_id}"
    )
    if copy:
        terminal.say(
            "标注副本，改正后补入 annotated copy, mend it and import it: "
            f"batch import {copy} --batch {taken.batch_id}"
        )


@click.command("uploads")
@click.argument("batch_id", type=_batch_type, metavar="[批次号]", required=False)
@acting.act(changes=False)
async def batch_uploads(_: Settings, desk: Desk, batch_id: int | None) -> None:
    """列出导入过的文件，被拒的也在内 / List what came in, refused files too."""
    async with desk.acting():
        if batch_id is not None:
            await batches.find(desk.connection, batch_id)
        found = await uploads.recent(desk.connection, batch_id)
    _table(
        found,
        {
            "upload_id": "上传", "batch_id": "批次", "outcome": "结果", "row_count": "行数",
            "good_count": "正确", "new_count": "新增", "mended_count": "更正",
            "unchanged_count": "未变", "uploaded_by": "上传人", "uploaded_at": "时间",
            "file_form": "格式", "file_name": "文件",
        },
    )  # fmt: skip


@click.command("left-out")
@click.argument("batch_id", type=_batch_type, metavar="批次号")
@acting.act(changes=False)
async def batch_left_out(_: Settings, desk: Desk, batch_id: int) -> None:
    """列出留出的错行及由谁选择 / List the wrong rows that were left out, and by whom."""
    async with desk.acting():
        await batches.find(desk.connection, batch_id)
        found = await left_out.of_batch(desk.connection, batch_id)
    terminal.table(
        found,
        {
            "row_number": "行", "admission_number": "准考证号", "reasons": "错误",
            "chosen_by": "选择人", "chosen_at": "时间", "joined_row": "补入批次行",
            "joined_by": "补入人", "joined_at": "补入时间",
        },
    )  # fmt: skip


def _table(found: Sequence[msgspec.Struct], titles: dict[str, str]) -> None:
    terminal.table(found[:_SHOWN_MAX], titles)
    if len(found) > _SHOWN_MAX:
        terminal.say(f"共 {len(found)} 项，只列出前 {_SHOWN_MAX} 项 / only the first are listed")


commands = (batch_import, batch_uploads, batch_left_out)
