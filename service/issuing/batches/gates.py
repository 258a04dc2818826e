"""The twelve gates: no certificate unless all of them hold.

Facts come from the database, one record for each sitting (场次: one project on one exam date); the
judging is pure. All findings of a batch are reported together, each with a stable code. A gate
whose own ground is missing is not judged twice: without a filing nobody asks where it was made.

Source: 川人社职鉴〔2025〕35号; each gate's sentence, in `gates.toml`, cites its article.
"""

import datetime
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from functools import partial
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import Finding
from service.registry import people
from service.registry.vault import Vault

_sql = statements.beside(__file__)


class Gate(StrEnum):
    """The stable codes of the gates, in the order of their numbers."""

    PROJECT_NOT_OPEN = "gate-01-project-not-open"
    OUTSIDE_SESSION = "gate-02-outside-session"
    FILING_ABSENT = "gate-03-filing-absent"
    CROSS_FILING_ABSENT = "gate-04-cross-filing-absent"
    PUBLICITY_NOT_ENDED = "gate-05-publicity-not-ended"
    ROW_INVALID = "gate-06-row-invalid"
    BELOW_PASS_MARK = "gate-07-below-pass-mark"  # noqa: S105 - a code
    ALREADY_CERTIFIED = "gate-08-already-certified"
    SAME_PERSON = "gate-09-same-person"
    COMMITMENT_ABSENT = "gate-10-commitment-absent"
    PLAN_NOT_REPORTED = "gate-11-plan-not-reported"
    PAPERS_LATE = "gate-12-papers-late"


_SENTENCES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))

_EXAM_DAYS_MAX = 7  # annex 2, note 2: an exam ends within 7 days of its planned first day


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the notice leaves open and a deployment sets."""

    publicity_days_min: int
    pass_mark: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the gates read of a batch as a whole."""

    submitted_by: str | None
    publicity_from: datetime.date | None
    publicity_until: datetime.date | None
    papers_received_on: datetime.date | None
    parties: list[str]
    last_exam_on: datetime.date | None


class Sitting(msgspec.Struct, frozen=True, kw_only=True):
    """One project on one exam date: what the registry knows of it, and the passed rows in it."""

    project_name: str
    exam_on: datetime.date
    row_numbers: list[int]
    kind: str | None
    papers_until: datetime.date | None
    session_excepted: bool
    deadline_excepted: bool
    filed: bool
    filed_here: bool
    cross_filed: bool
    plan_reported: bool


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """A row marked 合格, as it is kept."""

    row_number: int
    name: str
    sex: str
    born_on: datetime.date
    id_kind: str
    id_encrypted: bytes
    person_key: bytes
    total: float
    held_number: str | None


_facts = _sql.one("facts", Facts)
_sittings = _sql.many("sittings", Sitting)
_passed = _sql.many("passed", Passed)


async def judge(
    connection: Connection,
    batch_id: int,
    *,
    reviewer: str | None,
    rules: Rules,
    vault: Vault,
    drawable: Collection[int],
    today: datetime.date,
) -> tuple[Finding, ...]:
    """Return what every closed gate of a batch says; nothing means all twelve are open.

    `reviewer` is None while nobody approves: then gate 9 is not judged.
    """
    facts = await _facts(connection, batch_id=batch_id, today=today)
    sittings = await _sittings(connection, batch_id=batch_id, exam_days_max=_EXAM_DAYS_MAX)
    passed = await _passed(connection, batch_id=batch_id)
    findings = [
        *_judge_batch(facts, reviewer, rules, today),
        *(found for sitting in sittings for found in _judge_sitting(sitting, facts, today)),
        *(found for row in passed for found in _judge_row(row, rules, vault, drawable)),
    ]
    return tuple(sorted(findings, key=lambda finding: (finding.code, finding.row or 0)))


def judge_total(row_number: int, total: float | Decimal, rules: Rules) -> Iterator[Finding]:
    """Judge gate 7 of one row alone."""
    if total < rules.pass_mark:
        yield _finding(Gate.BELOW_PASS_MARK, row=row_number, value=f"{total:g}")


def _judge_batch(
    facts: Facts, reviewer: str | None, rules: Rules, today: datetime.date
) -> Iterator[Finding]:
    if not _publicity_ended(facts, rules, today):
        yield _finding(Gate.PUBLICITY_NOT_ENDED)
    if reviewer is not None and reviewer == facts.submitted_by:
        yield _finding(Gate.SAME_PERSON)
    for party, name in (("candidates", "考生 candidates"), ("institution", "机构 institution")):
        if party not in facts.parties:
            yield _finding(Gate.COMMITMENT_ABSENT, reason=name)


def _publicity_ended(facts: Facts, rules: Rules, today: datetime.date) -> bool:
    if facts.publicity_from is None or facts.publicity_until is None:
        return False
    if facts.last_exam_on and facts.publicity_from < facts.last_exam_on:
        return False  # nobody can publicise results before the exam
    days = (facts.publicity_until - facts.publicity_from).days + 1
    return days >= rules.publicity_days_min and facts.publicity_until < today


def _judge_sitting(sitting: Sitting, facts: Facts, today: datetime.date) -> Iterator[Finding]:
    finding = partial(
        _finding, rows=tuple(sitting.row_numbers), value=f"{sitting.project_name} {sitting.exam_on}"
    )
    if sitting.kind is None or sitting.kind == "closed":
        yield finding(Gate.PROJECT_NOT_OPEN)
        return
    in_session = sitting.papers_until is not None or sitting.session_excepted
    if not in_session:
        yield finding(Gate.OUTSIDE_SESSION)
    if not sitting.filed:
        yield finding(Gate.FILING_ABSENT, reason=sitting.kind)
    elif not sitting.filed_here:
        if not sitting.cross_filed:
            yield finding(Gate.CROSS_FILING_ABSENT)
        if not sitting.plan_reported:
            yield finding(Gate.PLAN_NOT_REPORTED)
    if in_session and not sitting.deadline_excepted and not _papers_in_time(sitting, facts, today):
        yield finding(Gate.PAPERS_LATE, reason=str(sitting.papers_until or sitting.exam_on))


def _papers_in_time(sitting: Sitting, facts: Facts, today: datetime.date) -> bool:
    """An exam held under an exception has no session's deadline: its papers are due before it."""
    deadline = min(sitting.papers_until or sitting.exam_on, today)
    return facts.papers_received_on is not None and facts.papers_received_on <= deadline


def _judge_row(
    row: Passed, rules: Rules, vault: Vault, drawable: Collection[int]
) -> Iterator[Finding]:
    if reason := _invalid(row, vault, drawable):
        yield _finding(Gate.ROW_INVALID, row=row.row_number, reason=reason)
    yield from judge_total(row.row_number, row.total, rules)
    if row.held_number is not None:
        yield _finding(Gate.ALREADY_CERTIFIED, row=row.row_number, reason=row.held_number)


def _invalid(row: Passed, vault: Vault, drawable: Collection[int]) -> str | None:
    """Judge a kept row again from its own contents, or say which part does not hold."""
    checks: Iterable[tuple[str, Callable[[], bool]]] = (
        ("证件号码 id", lambda: _id_fits(row, vault)),
        ("姓名 name", lambda: people.normalise_name(row.name, drawable) == row.name),
    )
    for part, holds in checks:
        try:
            if not holds():
                return part
        except (people.Unfit, InvalidTag, ValueError):
            return part
    return None


def _id_fits(row: Passed, vault: Vault) -> bool:
    kind = people.IdKind(row.id_kind)
    checked = people.check_id(kind, vault.decrypt(row.id_encrypted))
    return (
        vault.person_key(kind, checked.number) == row.person_key
        and checked.fits(row.born_on)
        and checked.sex in (None, row.sex)
    )


def _finding(
    gate: Gate,
    *,
    row: int | None = None,
    rows: tuple[int, ...] = (),
    value: str | None = None,
    reason: str = "",
) -> Finding:
    said = {key: words.format(reason=reason) for key, words in _SENTENCES[gate].items()}
    return Finding(code=gate.value, **said, row=row, rows=rows, value=value)
