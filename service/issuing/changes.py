"""Changes: what may become of a certificate once it is issued, always by two persons.

One asks, with a reason and a document number; another confirms, or anybody declines. The database
moves the standing as a change is confirmed and at no other time. A correction is judged like a row
of results; confirmed, it leaves the old version `replaced` and puts a new one, which names the old,
into the queue under the same number and the names of its day. What we did not seal is not corrected
here, and what is suspended is lifted first.

Source: GB/T 36904 (versions of an identifier).
"""

import datetime
import secrets
from collections.abc import Collection, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    ChangeDecided,
    ChangeImpossible,
    ChangeUnknown,
    CorrectionEmpty,
    CorrectionOfAdopted,
    CorrectionRefused,
    Finding,
    GroundsAbsent,
    NumberUnknown,
    SecondPersonNeeded,
)
from service.issuing import certificates
from service.issuing.batches import gates, obstacles, rows
from service.issuing.batches.rows import Row
from service.issuing.certificates import Certificate
from service.issuing.sheets import layouts
from service.registry import accounts, people
from service.registry.accounts import Actor
from service.registry.journal import Act
from service.registry.people import IdKind, Unfit
from service.registry.vault import Vault
from signing import Record, token

_sql = statements.beside(__file__)


class Kind(StrEnum):
    """What may become of a certificate."""

    REVOKE = "revoke"
    CANCEL = "cancel"
    SUSPEND = "suspend"
    LIFT = "lift"
    CORRECT = "correct"


WORDS = {
    Kind.REVOKE: ("撤销", "revoke"),
    Kind.CANCEL: ("注销", "cancel"),
    Kind.SUSPEND: ("暂扣", "suspend"),
    Kind.LIFT: ("恢复", "lift"),
    Kind.CORRECT: ("更正", "correct"),
}


class State(StrEnum):
    """Where a change stands."""

    ASKED = "asked"
    DONE = "done"
    DECLINED = "declined"


STATE_WORDS = {State.ASKED: "提出 asked", State.DONE: "已办 done", State.DECLINED: "退回 declined"}


class Grounds(msgspec.Struct, frozen=True, kw_only=True):
    """Which certificate is to change, why, and by which document."""

    number: str
    reason: str
    document_number: str


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What a face should have said, as it is typed; None where it is right."""

    name: str | None = None
    sex: str | None = None
    born_on: str | None = None
    id_kind: str | None = None
    id_number: str | None = None
    score: str | None = None
    exam_on: str | None = None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A change that waits for its second person; `corrected` shows no id whole."""

    change_id: int
    kind: Kind
    number: str
    version: int
    holder: str
    corrected: str
    reason: str
    document_number: str
    asked_by: str
    asked_at: datetime.datetime

    @property
    def words(self) -> str:
        """What is asked for, in Chinese and in English."""
        return " ".join(WORDS[self.kind])


class Decided(msgspec.Struct, frozen=True):
    """What was decided, and of a correction the version that is to be sealed."""

    kind: Kind
    number: str
    new_version: int | None = None


class _Current(msgspec.Struct, frozen=True):
    version: int
    city_code: str
    origin: str
    standing: str
    target: str | None


class _Asked(msgspec.Struct, frozen=True):
    change_id: int
    kind: Kind
    state: State
    number: str
    version: int
    city_code: str
    asked_by: str
    origin: str
    standing: str
    identifier: str | None
    target: str | None
    next_version: int


class _Corrected(msgspec.Struct, frozen=True, kw_only=True):
    name: str | None = None
    sex: str | None = None
    born_on: datetime.date | None = None
    id_kind: IdKind | None = None
    id_encrypted: bytes | None = None
    person_key: bytes | None = None
    phone_key: bytes | None = None
    score: Decimal | None = None
    exam_on: datetime.date | None = None


class _Waiting(_Corrected, frozen=True, kw_only=True):
    change_id: int
    kind: Kind
    number: str
    version: int
    holder: str
    reason: str
    document_number: str
    asked_by: str
    asked_at: datetime.datetime


_COLUMNS = {
    "name": "姓名", "sex": "性别", "born_on": "出生日期", "id_kind": "证件类型",
    "id_number": "证件号码", "score": "总成绩", "exam_on": "考核日期",
}  # fmt: skip

_current = _sql.perhaps("current", _Current)
_face = _sql.one("face", Certificate)
_phone = _sql.perhaps("phone", bytes)
_ask = _sql.one("ask_change", int)
_lock = _sql.perhaps("lock_change", _Asked)
_decide = _sql.run("decide")
_number_again = _sql.run("number_again")
_waiting = _sql.many("waiting", _Waiting)


async def ask(connection: Connection, actor: Actor, kind: Kind, grounds: Grounds) -> int:
    """Ask for a change of standing and return its id; nothing changes until it is confirmed.

    Raises:
        NumberUnknown: no such certificate in the actor's city.
        ChangeImpossible: it stands where this change does not begin.
        ChangeOpen: another change of it waits already.
        GroundsAbsent: there is no reason or no document number.
    """
    accounts.require(actor, Act.CHANGE_ASK)
    current = await _changeable(connection, kind, grounds.number)
    return await _keep(connection, actor, kind, grounds, current=current, corrected=_Corrected())


async def ask_correction(
    connection: Connection,
    actor: Actor,
    grounds: Grounds,
    correction: Correction,
    *,
    vault: Vault,
    rules: gates.Rules,
    drawable: Collection[int],
    host: str,
    today: datetime.date,
) -> int:
    """Ask for a corrected version and return the id of the change.

    Raises:
        what `ask` does;
        CorrectionOfAdopted: the certificate was not sealed by us.
        CorrectionEmpty: the face says all of this already.
        CorrectionRefused: with everything that a row of results would be refused for.
    """
    accounts.require(actor, Act.CHANGE_ASK)
    current = await _changeable(connection, Kind.CORRECT, grounds.number)
    held = await _face(connection, number=grounds.number, version=current.version)
    face = certificates.record(held, vault)
    row = _judged(face, correction, rules, drawable=drawable, host=host, today=today)
    corrected = _differing(row, held, face, vault)
    if corrected.person_key is not None:
        person = (row.row_number, corrected.person_key, row.project)
        _require(face, await obstacles.certified(connection, [person]))
        phone = await _phone(connection, number=grounds.number, version=current.version)
        if phone is not None:  # by the new id and the same phone its holder is found again
            phone_key = vault.phone_key(corrected.person_key, vault.decrypt(phone)[-4:])
            corrected = msgspec.structs.replace(corrected, phone_key=phone_key)
    return await _keep(
        connection, actor, Kind.CORRECT, grounds, current=current, corrected=corrected
    )


async def confirm(connection: Connection, actor: Actor, change_id: int, *, edition: str) -> Decided:
    """Let a change take effect, as its second person; a corrected face is drawn in `edition`.

    Raises:
        ChangeUnknown, ChangeDecided: there is none in the actor's city, or it waits no longer.
        SecondPersonNeeded: who asked cannot confirm.
        ChangeImpossible: the certificate does not stand any more where this change begins.
        PersonCertified: the corrected person has been certified for the project meanwhile.
    """
    accounts.require(actor, Act.CHANGE_CONFIRM)
    asked = await _locked(connection, change_id)
    if asked.asked_by == actor.account_name:
        raise SecondPersonNeeded
    if asked.target is None:
        raise _impossible(asked.kind, asked.number, asked.standing)
    await _decide(
        connection,
        change_id=change_id,
        state=State.DONE,
        account_name=actor.account_name,
        decline_reason=None,
    )
    detail: dict[str, object] = {"to": asked.target}
    new_version = None
    if asked.kind is Kind.CORRECT and asked.identifier is not None:
        new_version = asked.next_version
        identifier = certificates.next_identifier(asked.identifier, new_version)
        await _number_again(
            connection,
            change_id=change_id,
            version=new_version,
            public_id=token.encode_id(secrets.token_bytes(10)),
            identifier=identifier,
            edition=edition,
        )
        detail |= {"new_version": new_version, "identifier": identifier}
    await _tell(connection, actor, Act.CHANGE_CONFIRM, asked, detail)
    return Decided(asked.kind, asked.number, new_version)


async def decline(connection: Connection, actor: Actor, change_id: int, reason: str) -> Decided:
    """Put a change aside for ever, as a second person or as the one who asked.

    Raises:
        GroundsAbsent: there is no reason.
        ChangeUnknown, ChangeDecided: there is none in the actor's city, or it waits no longer.
    """
    accounts.require(actor, Act.CHANGE_DECLINE)
    _require_words(reason)
    asked = await _locked(connection, change_id)
    await _decide(
        connection,
        change_id=change_id,
        state=State.DECLINED,
        account_name=actor.account_name,
        decline_reason=reason,
    )
    await _tell(connection, actor, Act.CHANGE_DECLINE, asked, {"reason": reason})
    return Decided(asked.kind, asked.number)


async def waiting(connection: Connection, vault: Vault) -> list[Waiting]:
    """List the changes of the actor's city that nobody has decided, oldest first."""
    return [
        Waiting(
            corrected=_shown(one, vault),
            **{
                field: getattr(one, field)
                for field in Waiting.__struct_fields__
                if field != "corrected"
            },
        )
        for one in await _waiting(connection)
    ]


def _impossible(kind: Kind, number: str, standing: str) -> ChangeImpossible:
    standing = f"{certificates.WORDS[standing]} {standing}"
    return ChangeImpossible(number=number, kind=" ".join(WORDS[kind]), standing=standing)


async def _changeable(connection: Connection, kind: Kind, number: str) -> _Current:
    current = await _current(connection, number=number, kind=kind)
    if current is None:
        raise NumberUnknown(number=number)
    if kind is Kind.CORRECT and current.origin == "adopted":
        raise CorrectionOfAdopted(number=number)
    if current.target is None:
        raise _impossible(kind, number, current.standing)
    return current


async def _keep(
    connection: Connection,
    actor: Actor,
    kind: Kind,
    grounds: Grounds,
    *,
    current: _Current,
    corrected: _Corrected,
) -> int:
    _require_words(grounds.reason, grounds.document_number)
    given = msgspec.structs.asdict(corrected)
    change_id = await _ask(
        connection,
        city_code=current.city_code,
        version=current.version,
        kind=kind,
        account_name=actor.account_name,
        **msgspec.structs.asdict(grounds),
        **given,
    )
    detail = {
        "change": change_id,
        "kind": kind,
        "version": current.version,
        "reason": grounds.reason,
        "document_number": grounds.document_number,
        "corrected": [
            field
            for field, value in given.items()
            if value is not None and not field.endswith("_key")
        ],
    }
    await accounts.write(
        connection, actor, Act.CHANGE_ASK, grounds.number, detail, city_code=current.city_code
    )
    return change_id


def _require_words(*texts: str) -> None:
    """Refuse what only looks like words: blanks of any width, and what is not seen at all."""
    if not all(any(map(str.isalnum, text)) for text in texts):
        raise GroundsAbsent


async def _locked(connection: Connection, change_id: int) -> _Asked:
    asked = await _lock(connection, change_id=change_id)
    if asked is None:
        raise ChangeUnknown(change_id=change_id)
    if asked.state is not State.ASKED:
        raise ChangeDecided(change_id=change_id, state=STATE_WORDS[asked.state])
    return asked


async def _tell(
    connection: Connection, actor: Actor, act: Act, asked: _Asked, detail: dict[str, object]
) -> None:
    known = {"change": asked.change_id, "kind": asked.kind, "version": asked.version}
    await accounts.write(
        connection, actor, act, asked.number, known | detail, city_code=asked.city_code
    )


def _judged(
    face: Record,
    correction: Correction,
    rules: gates.Rules,
    *,
    drawable: Collection[int],
    host: str,
    today: datetime.date,
) -> Row:
    """Read the corrected face as the row of results that it should have been."""
    told = {"准考证号": "1", "专项职业能力名称": face.project, "考核结果": "合格"} | {
        column: str(getattr(face, field)) if typed is None else typed
        for field, column in _COLUMNS.items()
        for typed in [getattr(correction, field)]
    }
    line = tuple(told.get(column) for column in layouts.RESULTS.columns)
    read, findings, _ = rows.judge([layouts.Lines(((1, line),))], drawable, today)
    _require(face, findings)
    (row,) = read
    _require(face, [*_judge(row, face, rules), *obstacles.too_long([row], host)])
    return row


def _judge(row: Row, face: Record, rules: gates.Rules) -> Iterator[Finding]:
    if row.exam_on > face.issued_on:
        unfit = Unfit("ExamAfterArchive", archived_on=face.issued_on)
        yield unfit.finding(None, _COLUMNS["exam_on"], str(row.exam_on))
    if row.total != Decimal(face.score):  # what passed in its day has passed
        yield from gates.judge_total(row.row_number, row.total, rules)


def _require(face: Record, findings: Collection[Finding]) -> None:
    if findings:
        of_no_row = tuple(msgspec.structs.replace(finding, row=None) for finding in findings)
        raise CorrectionRefused(of_no_row, number=face.number, count=len(of_no_row))


def _differing(row: Row, held: Certificate, face: Record, vault: Vault) -> _Corrected:
    """Keep only what the face does not say already.

    Raises:
        CorrectionEmpty: it says all of it.
    """
    read: dict[str, Any] = {
        "name": row.name, "sex": row.sex, "born_on": row.born_on, "score": row.total,
        "exam_on": row.exam_on,
    }  # fmt: skip
    given = {field: value for field, value in read.items() if value != getattr(held, field)}
    if (row.id_kind, row.id_number) != (held.id_kind, face.id_number):
        given |= {
            "id_kind": row.id_kind,
            "id_encrypted": vault.encrypt(row.id_number),
            "person_key": vault.person_key(row.id_kind, row.id_number),
        }
    if not given:
        raise CorrectionEmpty
    return _Corrected(**given)


def _shown(one: _Waiting, vault: Vault) -> str:
    number = one.id_encrypted and people.mask_id(vault.decrypt(one.id_encrypted))
    told = {field: number if field == "id_number" else getattr(one, field) for field in _COLUMNS}
    return "；".join(f"{_COLUMNS[field]} {value}" for field, value in told.items() if value)
