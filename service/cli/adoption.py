"""Adoption: certificates issued before are taken in, asked by one person, confirmed by another."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import click

from service import terminal, wiring
from service.cli import acting, recording
from service.ground import errors, jail
from service.ground.errors import Finding
from service.ground.jail import Jail
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.issuing import adoption
from service.issuing.adoption import files, sheet
from service.issuing.adoption.files import Pdf, Survey
from service.issuing.adoption.sheet import Row
from service.issuing.batches import uploads
from service.issuing.sheets import layouts
from service.registry import catalogue
from service.wiring import Desk

_READ_JOB = "service.issuing.adoption.sheet:read_in_jail"
_STORED_AT_ONCE = 16


@click.command("adopt")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--pdfs", type=click.Path(path_type=Path), help="证书 PDF 的文件夹 / folder of PDFs")
@click.option(
    "--document-number",
    required=True,
    callback=lambda _context, _option, given: recording.field_value(
        catalogue.DocumentNumber, given
    ),
    help="文号 / document",
)
@acting.act(changes=True)
async def adopt(
    settings: Settings, desk: Desk, path: Path, pdfs: Path | None, document_number: str
) -> None:
    """收录启用前签发的证书，须两人 / Take in certificates issued before; two persons.

    第一人登记申请，另一人以同样的文件再次运行即确认 / The first asks, the second runs the same.
    """
    vault = wiring.vault(settings)
    objects = Objects.open(settings.store_address)
    content = acting.read(path, layouts.BYTES_MAX)
    if len(content) > layouts.BYTES_MAX:
        raise errors.FileTooLarge(limit=layouts.BYTES_MAX)
    rows, faults = await _read(content)
    survey = Survey() if faults else _survey(pdfs, rows)
    offer = adoption.Offer(
        file_sha256=hashlib.sha256(content).digest(),
        document_number=document_number,
        rows=rows,
        survey=survey,
    )
    async with desk.acting():
        outcome = await adoption.adopt(
            desk.connection,
            desk.actor,
            vault,
            offer,
            errors=[*faults, *survey.errors],
            today=acting.today(),
            store=lambda: _store(objects, list(survey.pdfs.values())),
        )
    _say(outcome, offer)


@click.command("adoptions")
@acting.act(changes=False)
async def adoptions(_: Settings, desk: Desk) -> None:
    """列出最近的收录申请 / List the newest adoptions."""
    async with desk.acting():
        found = await adoption.recent(desk.connection)
    terminal.table(
        found,
        {
            "adoption_id": "收录", "city_code": "市（州）", "row_count": "证书", "pdf_count": "PDF",
            "document_number": "文号", "asked_by": "申请人", "asked_on": "申请日期",
            "confirmed_by": "确认人", "confirmed_on": "收录日期",
        },
    )  # fmt: skip


async def _read(content: bytes) -> tuple[tuple[Row, ...], tuple[Finding, ...]]:
    with terminal.progress("读取 reading", 2) as done:
        async with Jail(_READ_JOB, concurrent=1) as cells:
            judging = sheet.Judging(acting.today())
            done(1)
            async for part in cells.stream(_READ_JOB, content, jail.WORKBOOK, type=layouts.Part):
                judging.take(part)
        errors, warnings = judging.findings(), judging.warnings
        done(2)
    if judging.form:
        terminal.say(f"文件 file：{uploads.words(judging.form)}")
    terminal.findings(warnings, title="提示 warnings") if warnings else None
    return judging.holding(), errors


def _survey(folder: Path | None, rows: Sequence[Row]) -> Survey:
    with terminal.progress("核对文件 hashing files", len(rows)) as done:
        survey = files.survey(folder, rows, done)
    terminal.findings(survey.warnings, title="提示 warnings") if survey.warnings else None
    return survey


async def _store(objects: Objects, pdfs: Sequence[Pdf]) -> None:
    """Make the files durable, a few in memory at once."""
    with terminal.progress("存入 storing", len(pdfs)) as done:
        for begin in range(0, len(pdfs), _STORED_AT_ONCE):
            some = pdfs[begin : begin + _STORED_AT_ONCE]
            await objects.put_all([files.read(pdf) for pdf in some])
            done(begin + len(some))


def _say(outcome: adoption.Outcome, offer: adoption.Offer) -> None:
    counts = f"{len(offer.rows)} 张证书 certificates，{len(offer.survey.pdfs)} 份 PDF"
    if outcome.confirmed:
        terminal.say(f"收录 adoption {outcome.adoption_id} 已完成 done：{counts}")
    else:
        terminal.say(
            f"收录 adoption {outcome.adoption_id}：{counts}；"
            "待另一人以同样的文件再次运行 waits for another person to run the same command"
        )
        if outcome.others:
            terminal.say(
                "与这些待确认的申请不同（表、PDF 或文号），作为新的申请 a new wish, it differs from"
                f" those that wait: {'、'.join(map(str, outcome.others))}"
            )
    for counter in outcome.counters:
        terminal.say(
            f"规则 scheme {counter.scheme_version}，{counter.period or '–'} 年，"
            f"机构 body {counter.body_serial}：新号接在 {counter.last_sequence} 之后 numbers go on"
        )
