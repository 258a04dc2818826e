"""The ledger and tracing: 台账 as a file, the province's summary, and the story of one paper.

The number of an identity document is never an option's value, which every user of the machine could
read in the list of processes: it is typed at a prompt or stands in a file.
"""

import datetime
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from service import terminal, wiring
from service.cli import acting, orders
from service.cli.blanks import blanks as group
from service.ground.errors import SignerAbsent
from service.ground.settings import Settings
from service.issuing import certificates
from service.issuing.batches import LEGAL_ZONE
from service.paper import blanks, documents, ledger, tracing
from service.paper import orders as room
from service.paper.blanks import Kind, State
from service.paper.blanks.serials import Numerals, Range
from service.paper.forms import workbooks
from service.paper.forms.sheets import Seal
from service.paper.ledger import Period
from service.paper.tracing import Blank, Certificate, Event, Person, Story, Told
from service.wiring import Desk
from signing import Signer

_PERSON_BYTES_MAX = 1000
_OUTCOMES = {
    None: State.DRAWN, "printed": State.PRINTED, "spoiled": Kind.SPOIL, "returned": Kind.RETURN
}  # fmt: skip


class _Place(msgspec.Struct, frozen=True):
    serials: str
    sheet_count: int
    where: str


class _Line(msgspec.Struct, frozen=True):
    at: datetime.datetime
    what: str
    who: str
    document: str
    more: str


def _file(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command a period and a file to write."""
    given: dict[str, Any] = {
        "type": click.DateTime(["%Y-%m-%d"]),
        "metavar": "YYYY-MM-DD",
        "required": True,
    }
    for option in (
        click.option("--sealed", is_flag=True, help="以本中心印章签章（PDF）/ seal the PDF"),
        click.option(
            "--to", "path", required=True, type=click.Path(path_type=Path, dir_okay=False),
            help="写入 .xlsx 或 .pdf / where to",
        ),
        click.option("--until", **given, help="止，含当日 / last day"),
        click.option("--from", "since", **given, help="起 / first day"),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command("ledger")
@orders.series_option
@click.option("--city-code", help="行政区划代码，省中心可选任一 / whose; the province any")
@_file
@acting.act(changes=False)
async def write_ledger(
    settings: Settings, desk: Desk, *, series_code: str | None, city_code: str | None,
    since: datetime.datetime, until: datetime.datetime, path: Path, sealed: bool,
) -> None:  # fmt: skip
    """台账：期初、逐笔收发废存、期末 / Write a ledger, every movement in it."""
    now, is_pdf = acting.now(), _is_pdf(path, sealed)
    holder = city_code or desk.actor.city_code
    signer = _signer(settings, desk, now) if sealed else None
    period = Period(since.date(), until.date())
    forms = wiring.forms()
    async with desk.acting():
        series = await orders.series_of(desk.connection, series_code)
        pdf = functools.partial(forms.ledger_pdf, seal=await _seal(desk, signer, now))
        content = await ledger.write(
            desk.connection, desk.actor, series, period, holder=holder,
            draw=lambda head, lines: (pdf if is_pdf else workbooks.ledger)(
                head, lines, printed_at=now
            ),
        )  # fmt: skip
        if signer:
            subject = f"{holder} {series.series_code} {period.first}–{period.last}"
            content = await documents.seal(
                desk.connection, desk.actor, signer, content, kind=documents.Kind.LEDGER,
                subject=subject, sealed_at=now,
            )  # fmt: skip
    acting.write(path, content)
    terminal.say(f"已写入 written: {path}")


@group.command("summary")
@_file
@acting.act(changes=False)
async def write_summary(
    settings: Settings, desk: Desk, *, since: datetime.datetime, until: datetime.datetime,
    path: Path, sealed: bool,
) -> None:  # fmt: skip
    """收发存汇总：各市（州）各系列一行 / Sum up every city and series."""
    now, is_pdf = acting.now(), _is_pdf(path, sealed)
    signer = _signer(settings, desk, now) if sealed else None
    period = Period(since.date(), until.date())
    async with desk.acting():
        summary = await ledger.summary(desk.connection, desk.actor, period)
        pdf = functools.partial(wiring.forms().pdf, seal=await _seal(desk, signer, now))
        draw = pdf if is_pdf else workbooks.summary
        content = draw(summary, printed_at=now)
        if signer:
            content = await documents.seal(
                desk.connection, desk.actor, signer, content, kind=documents.Kind.SUMMARY,
                subject=f"{period.first}–{period.last}", sealed_at=now,
            )  # fmt: skip
    acting.write(path, content)
    terminal.say(f"已写入 written: {path}")


@group.command("where")
@click.argument("typed", metavar="流水号")
@orders.series_option
@acting.act(changes=False)
async def where(_: Settings, desk: Desk, typed: str, series_code: str | None) -> None:
    """查流水号现在何处 / Say where serials are, such as 川26A0000001-0000500、0000512."""
    async with desk.acting():
        series = await orders.series_of(desk.connection, series_code)
        numerals = series.numerals
        places = await blanks.whereabouts(desk.connection, series, numerals.read(typed))
    lines = [
        _Place(
            numerals.range_text(one.range), one.range.count, " / ".join(blanks.place_words(one))
        )
        for one in places
    ]  # fmt: skip
    terminal.table(
        lines, {"serials": "号段 serials", "sheet_count": "张数 sheets", "where": "何处 where"}
    )


@click.command("trace")
@click.argument("what", required=False, metavar="流水号或编号")
@click.option("--person", is_flag=True, help="查一人，键入姓名和证件号码 / by name and document")
@click.option(
    "--person-file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="文件：首行姓名，次行证件号码 / file with both",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="以 JSON 输出 / print JSON")
@acting.act(changes=False)
async def trace(
    settings: Settings, desk: Desk, *, what: str | None, person: bool, person_file: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """追溯：一张证书的全部经历 / The whole story of a serial, a number or a person."""
    if bool(what) + person + bool(person_file) != 1:
        raise click.UsageError(
            "须给出流水号、编号或 --person 之一 / a serial, a number or --person is needed"
        )
    asked = what or _person(settings, person_file)
    async with desk.acting():
        story = await tracing.story(desk.connection, desk.actor, asked)
    if as_json:
        terminal.out.file.write(msgspec.json.encode(story).decode() + "\n")
    else:
        _tell(story)


def _is_pdf(path: Path, sealed: bool) -> bool:
    """Whether a PDF is asked for; only such a one can be sealed."""
    if path.suffix not in (".pdf", ".xlsx") or (sealed and path.suffix != ".pdf"):
        raise click.BadParameter(
            "须以 .xlsx 或 .pdf 结尾，签章仅限 .pdf / .xlsx or .pdf; only a .pdf is sealed",
            param_hint="--to",
        )
    return path.suffix == ".pdf"


def _signer(settings: Settings, desk: Desk, now: datetime.datetime) -> Signer:
    """The key of the actor's own centre: who answers for a ledger is who seals it."""
    signers, _ = wiring.sealing_keys(settings, now)
    if desk.actor.city_code not in signers:
        raise SignerAbsent(city_code=desk.actor.city_code)
    return signers[desk.actor.city_code]


async def _seal(desk: Desk, signer: Signer | None, now: datetime.datetime) -> Seal | None:
    """What a sheet says of the seal that it is about to carry."""
    if signer is None:
        return None
    day = now.astimezone(LEGAL_ZONE).date()
    centre = await room.centre_name(desk.connection, desk.actor.city_code, day)
    return Seal(centre, signer.specimen)


def _person(settings: Settings, path: Path | None) -> Person:
    if path:
        text = acting.read(path, _PERSON_BYTES_MAX).decode("utf-8", "replace")
        name, _, id_number = text.strip().partition("\n")
    else:
        name = acting.ask("姓名 name", "--person-file")
        id_number = acting.ask("证件号码 id number", "--person-file", hide_input=True)
    return tracing.person(wiring.lookup(settings), name.strip(), id_number.strip())


def _tell(story: Story) -> None:
    for certificate in story.certificates:
        _tell_certificate(certificate)
    for blank in story.blanks:
        _tell_blank(blank)


def _tell_certificate(one: Certificate) -> None:
    terminal.say(f"■ 编号 {one.number}  {one.project_name}  {one.issuing_authority}")
    if one.scheme_version is not None:
        terminal.say(
            f"  编号规则第 {one.scheme_version} 版；考核 {one.exam_on}，归档 {one.archived_on}"
        )
    for version in one.versions:
        void = ""
        if version.void_asked_by:
            persons = "、".join(who for who in (version.void_asked_by, version.voided_by) if who)
            void = f"  作废 void: {version.void_reason}（{persons}）"
        state = version.standing if version.state == "issued" else version.state
        state = f"{certificates.WORDS[state]} {state}"
        terminal.say(
            f"  第 {version.version} 版 {version.name} {state} {version.identifier or ''}{void}"
        )
    for sheet in one.sheets:
        outcome = " ".join(blanks.WORDS[_OUTCOMES[sheet.outcome]])
        other = (
            f"，所载为 carries {sheet.carries}" if sheet.carries not in (None, one.number) else ""
        )
        terminal.say(
            f"  领用 drawn {sheet.serial}（{sheet.series_code}）任务 run {sheet.run_id}"
            f" 第 {sheet.round} 轮 {outcome}{other}"
        )
    for paper in one.papers:
        terminal.say(
            f"  纸质 paper {paper.serial}（{paper.series_code}）第 {paper.version} 版"
            f" {paper.remark} {_state(paper.state)}"
        )
    _timeline(one.events, None)


def _tell_blank(one: Blank) -> None:
    where = f"{one.city_code or ''} {_state(one.state)}"
    terminal.say(f"■ 流水号 {one.serial}（{one.series_code}）{where}")
    _timeline(one.events, Numerals(one.prefix, one.digit_count))


def _timeline(events: Sequence[Event], numerals: Numerals | None) -> None:
    lines = [
        _Line(
            one.at, " ".join(one.words), "、".join(one.actors), one.document_number,
            "；".join(word for word in (one.reason, *_more(one.told, numerals)) if word),
        )
        for one in events
    ]  # fmt: skip
    titles = {"at": "时间 time", "what": "事项 what", "who": "经办 who"}
    terminal.table(lines, titles | {"document": "文号 document", "more": "说明 more"})


def _more(told: Told, numerals: Numerals | None) -> list[str]:
    """Say what an event concerns, as far as it is not in its words."""
    more = []
    if numerals and told.first_serial is not None and told.last_serial is not None:
        more.append(numerals.range_text(Range(told.first_serial, told.last_serial)))
        more.append(f"{_state(told.from_state)} → {_state(told.to_state)}")
        more.append(f"流水 {told.city_code}#{told.sequence}")
    labels = {
        "counters": "冲正流水", "requisition_id": "申领", "run_id": "打印任务", "position": "序",
        "number": "编号", "version": "版本", "remark": "备注", "outcome": "结果",
        "handed_on": "领取日期", "collector": "领取人", "authority_document": "授权文件",
        "change_id": "变更", "batch_id": "批次", "institution": "机构", "file_name": "文件",
    }  # fmt: skip
    if told.outcome:
        told = msgspec.structs.replace(told, outcome=blanks.WORDS[_OUTCOMES[told.outcome]][0])
    values = ((label, getattr(told, field)) for field, label in labels.items())
    return more + [f"{label} {value}" for label, value in values if value not in (None, "")]


def _state(state: str | None) -> str:
    return blanks.WORDS.get(state or "", blanks.ELSEWHERE)[0]
