"""Tracing: from a serial, a certificate number or a person to the whole story, in one answer.

It leads both ways: a sheet tells every movement, the runs that it was drawn for, the certificate
that it carries or carried and who was given it; a certificate tells where its results came from,
its versions and changes, its papers, and every sheet that was drawn for it, each with its story. A
bare serial that fits several series shows all. A city is told what its own books know, the province
everything; no number of an identity document is ever in a story, and an auditor sees names masked.
Reading by a person is an act of its own and stands in the journal, without the person.

Source: 川人社职鉴〔2025〕35号, 五 (every paper certificate can be traced).
"""

import datetime
from collections.abc import Iterable

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import PersonUntraced, SerialsUnreadable, TraceUnknown
from service.paper import blanks
from service.paper.blanks import WORDS, Series, serials
from service.paper.blanks.serials import Range
from service.registry import accounts, people
from service.registry.accounts import Actor, Role
from service.registry.journal import Act
from service.registry.people import IdKind
from service.registry.vault import Lookup

_sql = statements.beside(__file__)

_WORDS = {
    "print:plan": ("列入打印批次", "planned for a run"),
    "print:draw": ("为打印领出", "drawn for a run"),
    "print:settle": ("打印结算", "settled"),
    "print:closed": ("打印批次结束", "run closed"),
    "print:cancelled": ("打印批次取消", "run cancelled"),
    "paper:carry": ("载有证书", "carries a certificate"),
    "paper:hand-over": ("核发", "handed over"),
    "paper-change": ("纸质证书办理", "change of a paper"),
    "batch:import": ("导入成绩", "results imported"),
    "batch:join": ("补入或更正成绩", "results added or mended"),
    "batch:submit": ("提交审核", "submitted"),
    "batch:approve": ("审核归档、取得编号", "approved, archived and numbered"),
    "adoption:confirm": ("补录既有证书", "adopted from before"),
    "certificate:seal": ("电子签章", "sealed"),
    "certificate:issue": ("签发", "issued"),
    "change": ("证书变更", "change of a certificate"),
    "asked": ("提出", "asked"),
    "done": ("已办", "done"),
    "declined": ("退回", "declined"),
    "revoke": ("撤销", "revoke"),
    "cancel": ("注销", "cancel"),
    "suspend": ("暂扣", "suspend"),
    "lift": ("恢复", "lift"),
    "correct": ("更正", "correct"),
    "reissue": ("补发", "reissue"),
    "exchange": ("换发", "exchange"),
    "take-back": ("收回", "take back"),
    "spoil": ("作废", "spoil"),
    "undo-hand-over": ("撤回核发", "undo a hand-over"),
}


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an event concerns; what does not belong to it is left out. Days are ISO."""

    city_code: str
    sequence: int | None = None
    first_serial: int | None = None
    last_serial: int | None = None
    from_state: str | None = None
    to_state: str | None = None
    counters: int | None = None
    subject: str | None = None
    requisition_id: int | None = None
    run_id: int | None = None
    round: int | None = None
    position: int | None = None
    outcome: str | None = None
    number: str | None = None
    version: int | None = None
    remark: str | None = None
    identifier: str | None = None
    handed_on: str | None = None
    collector: str | None = None
    authority_document: str | None = None
    change_id: int | None = None
    kind: str | None = None
    batch_id: int | None = None
    file_name: str | None = None
    uscc: str | None = None
    institution: str | None = None


class Event(msgspec.Struct, frozen=True):
    """What was done, when, by whom and by which document."""

    at: datetime.datetime
    act: str
    actors: list[str]
    document_number: str
    reason: str
    told: Told

    @property
    def words(self) -> tuple[str, str]:
        """Say what was done, in Chinese and in English."""
        wing, _, act = self.act.partition(":")
        if wing == "blank":
            return WORDS[act]
        if self.told.kind is None:
            return _WORDS[self.act]
        (zh, en), (done_zh, done_en) = _WORDS[self.told.kind], _WORDS[act]
        return f"{zh}（{done_zh}）", f"{en} ({done_en})"


class Blank(msgspec.Struct, frozen=True, kw_only=True):
    """One sheet: where it is, and all that happened to it."""

    series_code: str
    prefix: str
    digit_count: int
    serial: str
    city_code: str | None
    state: str
    events: list[Event]


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """A paper of a certificate; `state` is where it ended, if it has."""

    series_code: str
    serial: str
    version: int
    remark: str
    state: str


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A sheet that was drawn for a certificate; `carries` is the number that it bears in truth.

    `outcome` is None until its round is settled.
    """

    series_code: str
    serial: str
    run_id: int
    round: int
    outcome: str | None
    carries: str | None


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a certificate."""

    version: int
    identifier: str | None
    name: str
    state: str
    standing: str
    void_reason: str | None
    void_asked_by: str | None
    voided_by: str | None


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """One number: its face, its versions and papers, and all that happened to it."""

    number: str
    city_code: str
    origin: str
    scheme_version: int | None
    project_name: str
    exam_on: datetime.date | None
    archived_on: datetime.date
    issuing_authority: str
    versions: list[Version]
    sheets: list[Drawn]
    papers: list[Paper]
    events: list[Event]


class Story(msgspec.Struct, frozen=True):
    """Sheets and certificates, each with its story."""

    blanks: list[Blank]
    certificates: list[Certificate]


class Person(msgspec.Struct, frozen=True):
    """A person to be found, without the number that they are found by."""

    name: str
    keys: tuple[bytes, ...]


class _Face(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    version: int
    city_code: str
    origin: str
    scheme_version: int | None
    identifier: str | None
    name: str
    project_name: str
    exam_on: datetime.date | None
    archived_on: datetime.date
    issuing_authority: str
    state: str
    standing: str
    void_reason: str | None
    void_asked_by: str | None
    voided_by: str | None


class _Paper(msgspec.Struct, frozen=True):
    number: str
    version: int
    series_code: str
    serial: int
    remark: str
    state: str


class _Drawn(msgspec.Struct, frozen=True):
    number: str
    series_code: str
    serial: int
    run_id: int
    round: int
    outcome: str | None
    carries: str | None


class _Named(msgspec.Struct, frozen=True):
    number: str
    name: str


_serial_events = _sql.many("serial_events", Event)
_certificate_events = _sql.many("certificate_events", Event)
_certificates = _sql.many("certificates", _Face)
_papers = _sql.many("papers", _Paper)
_sheets = _sql.many("sheets", _Drawn)
_carried = _sql.many("carried", str)
_of_person = _sql.many("of_person", _Named)


def person(lookup: Lookup, name: str, id_number: str) -> Person:
    """Read who is to be found, as typed; the number is looked for as that of every kind."""
    number = people.tidy(id_number)
    return Person(name, tuple(lookup.person_key(kind, number) for kind in IdKind))


async def story(connection: Connection, actor: Actor, asked: str | Person) -> Story:
    """Tell the story of a serial, of a certificate number, or of a person.

    Raises:
        ActNotGranted: the actor's role may not look people up.
        TraceUnknown, PersonUntraced: nothing of the kind is in the books of the actor's city.
    """
    of_code = {one.series_code: one for one in await blanks.every(connection)}
    sheets: set[tuple[str, int]] = set()
    if isinstance(asked, Person):
        numbers = await _numbers_of(connection, actor, asked)
    else:
        sheets = _fitting(asked, of_code.values())
        number = people.tidy(asked)
        numbers = {number} if number.isprintable() else set()
        for code, serial in sheets:
            series_id = of_code[code].series_id
            numbers |= set(await _carried(connection, series_id=series_id, serial=serial))
    faces = await _certificates(connection, numbers=sorted(numbers))
    papers = await _papers(connection, numbers=sorted(numbers))
    drawn = await _sheets(connection, numbers=sorted(numbers))
    sheets |= {(one.series_code, one.serial) for one in papers}
    sheets |= {(one.series_code, one.serial) for one in drawn}
    told = Story(
        [
            one
            for code, serial in sorted(sheets)
            if (one := await _blank(connection, of_code[code], serial)).events
        ],
        [
            await _certificate(
                connection,
                [one for one in faces if one.number == number],
                [_drawn(one, of_code) for one in drawn if one.number == number],
                [_shown(one, of_code) for one in papers if one.number == number],
            )
            for number in sorted({one.number for one in faces})
        ],
    )
    if not told.blanks and not told.certificates:
        if isinstance(asked, Person):
            raise PersonUntraced
        raise TraceUnknown(what=serials.shown(asked))
    return _masked(told) if actor.role is Role.AUDITOR else told


def _fitting(typed: str, every: Iterable[Series]) -> set[tuple[str, int]]:
    """Every sheet that this may be the serial of."""
    fitting = set()
    for series in every:
        try:
            fitting.add((series.series_code, series.numerals.read_one(typed)))
        except SerialsUnreadable:
            continue
    return fitting


async def _numbers_of(connection: Connection, actor: Actor, asked: Person) -> set[str]:
    """The numbers of a person; none where none of them ever bore the name."""
    accounts.require(actor, Act.TRACE)
    found = await _of_person(connection, person_keys=asked.keys)
    name = people.comparable_name(asked.name)
    if all(people.comparable_name(one.name) != name for one in found):
        return set()
    numbers = {one.number for one in found}
    await accounts.write(connection, actor, Act.TRACE, "person", {"certificates": len(numbers)})
    return numbers


async def _blank(connection: Connection, series: Series, serial: int) -> Blank:
    (place,) = await blanks.whereabouts(connection, series, [Range(serial, serial)])
    return Blank(
        series_code=series.series_code,
        prefix=series.prefix,
        digit_count=series.digit_count,
        serial=series.numerals.text(serial),
        city_code=place.city_code,
        state=place.state,
        events=await _serial_events(connection, series_id=series.series_id, serial=serial),
    )


async def _certificate(
    connection: Connection, faces: list[_Face], sheets: list[Drawn], papers: list[Paper]
) -> Certificate:
    newest = faces[-1]
    return Certificate(
        versions=[msgspec.convert(one, Version, from_attributes=True) for one in faces],
        sheets=sheets,
        papers=papers,
        events=await _certificate_events(connection, number=newest.number),
        number=newest.number,
        city_code=newest.city_code,
        origin=newest.origin,
        scheme_version=newest.scheme_version,
        project_name=newest.project_name,
        exam_on=newest.exam_on,
        archived_on=newest.archived_on,
        issuing_authority=newest.issuing_authority,
    )


def _drawn(sheet: _Drawn, of_code: dict[str, Series]) -> Drawn:
    return Drawn(
        series_code=sheet.series_code,
        serial=of_code[sheet.series_code].numerals.text(sheet.serial),
        run_id=sheet.run_id,
        round=sheet.round,
        outcome=sheet.outcome,
        carries=sheet.carries,
    )


def _shown(paper: _Paper, of_code: dict[str, Series]) -> Paper:
    return Paper(
        series_code=paper.series_code,
        serial=of_code[paper.series_code].numerals.text(paper.serial),
        version=paper.version,
        remark=paper.remark,
        state=paper.state,
    )


def _masked(told: Story) -> Story:
    """Keep of every name its first character."""
    replace = msgspec.structs.replace

    def event(one: Event) -> Event:
        collector = one.told.collector and people.mask_name(one.told.collector)
        return replace(one, told=replace(one.told, collector=collector))

    def certificate(one: Certificate) -> Certificate:
        versions = [replace(each, name=people.mask_name(each.name)) for each in one.versions]
        return replace(one, versions=versions)

    return Story(
        [replace(one, events=list(map(event, one.events))) for one in told.blanks],
        list(map(certificate, told.certificates)),
    )
