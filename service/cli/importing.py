"""Importing: a results file read, judged, kept or refused, and given back with what is wrong."""

import contextlib
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from service import terminal, wiring
from service.cli import acting
from service.ground import errors, jail
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
    Compared.UPLOAD: "与上次上传相比 beside the last upload",
    Compared.BATCH: "与批次相比 beside the batch",
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
    content = acting.read(path, layouts.BYTES_MAX)
    if len(content) > layouts.BYTES_MAX:
        raise errors.FileTooLarge(limit=layouts.BYTES_MAX)
    vault = wiring.vault(settings)
    async with Jail(_READ_JOB, _COPY_JOB, concurrent=1) as children:
        judged = await _judge(children, content)
        incoming = Incoming(
            file_name=path.name,
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
        _tell(taken)
        if taken.errors and judged.form:
            await _annotate(children, content, taken, copy or annotated.beside(path))
    if taken.outcome is Outcome.REFUSED:
        raise errors.RowsRefused(taken.errors, count=len(taken.errors))


async def _judge(children: Jail, content: bytes) -> Judged:
    """Read and judge a file, and say how it is written and what of it is not read."""
    judging = rows.Judging(wiring.drawable_characters(), acting.today())
    with terminal.progress("读取 reading", layouts.ROWS_MAX) as done:
        parts = children.stream(_READ_JOB, content, jail.WORKBOOK, type=layouts.Part)
        async with contextlib.aclosing(parts):
            async for part in parts:
                judging.take(part)
                done(len(judging.rows))
        judged = judging.judged()
    if judged.form:
        terminal.say(f"文件 file：{uploads.words(judged.form)}")
    if judged.warnings:
        terminal.findings(judged.warnings, title="提示 warnings")
    return judged


async def _annotate(children: Jail, content: bytes, taken: Taken, path: Path) -> None:
    """Write the annotated copy; what keeps it from being written does not undo the rest."""
    written = io.BytesIO()
    parts = children.stream(_COPY_JOB, content, jail.WORKBOOK, type=layouts.Part)
    try:
        async with contextlib.aclosing(parts):
            with annotated.Copy(written, layouts.RESULTS, taken.errors, taken.marks) as copy:
                async for part in parts:
                    copy.take(part)
        acting.write(path, written.getvalue())
        terminal.say(f"标注副本，请改正后再次导入 annotated copy, to be mended: {path}")
    except errors.RowsRefused:
        terminal.say("文件不能读到末尾，没有标注副本 not read to its end, so there is no copy")
    except errors.Refusal as error:
        terminal.refuse(error.code, error.zh, error.en)


def _tell(taken: Taken) -> None:
    """Say what became of a file; of one that is refused its refusal says the rest."""
    counts = taken.counts
    if words := _COMPARED_WORDS.get(taken.compared_with):
        terminal.say(
            f"{words}：新增 new {counts.new}，更正 mended {counts.mended}，"
            f"未变 unchanged {counts.unchanged}，不再出现 gone {counts.gone}"
        )
    if taken.outcome is Outcome.REFUSED:
        if taken.good_count:
            terminal.say(
                f"正确 good {taken.good_count} 行，有错 wrong {taken.wrong_count} 行；"
                "要保留正确的行 to keep the good ones: --keep-good"
            )
        return
    if taken.errors:
        terminal.findings(taken.errors, title="未导入、已留档的行 left out, and listed for ever")
    if taken.mended:
        _table(taken.mended, {"row_number": "批次行", "sheet_row": "表中行", "said": "更正的列"})
    terminal.say(
        f"批次 batch {taken.batch_id}：{taken.good_count} 行 rows，"
        f"留出 left out {taken.wrong_count}，补入 caught up {taken.caught_up}；"
        f"接着 next: batch gates {taken.batch_id}"
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
