"""Changing: what becomes of a paper that is lost, bad or to come back, always by two persons.

An operator asks, with a reason and a document number, a reviewer confirms, and the blank moves.
Then the certificate wants paper again, if it still stands, and its next paper says 补发 where the
old one was lost and 换发 where it came back from its holder.

Source: the practice of 补发 and 换发: the same number, another serial, said in 备注.
"""

import datetime
from enum import StrEnum

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    ChangeDecided,
    ChangeUnknown,
    PaperChangeImpossible,
    SecondPersonNeeded,
)
from service.issuing.certificates import STANDING_WORDS
from service.issuing.changes import STATE_WORDS, State
from service.paper import blanks, papers
from service.paper.blanks import Movement, serials
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)


class Kind(StrEnum):
    """What may become of a paper; where each begins stands in `paper_change_movement`."""

    REISSUE = "reissue"
    EXCHANGE = "exchange"
    TAKE_BACK = "take-back"
    SPOIL = "spoil"
    UNDO_HAND_OVER = "undo-hand-over"


KIND_WORDS = {
    Kind.REISSUE: ("补发", "reissue"),
    Kind.EXCHANGE: ("换发", "exchange"),
    Kind.TAKE_BACK: ("收回", "take back"),
    Kind.SPOIL: ("作废", "spoil"),
    Kind.UNDO_HAND_OVER: ("撤回核发登记", "undo the hand-over"),
}


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a paper that waits for its second person."""

    change_id: int
    kind: Kind
    number: str
    serial: str
    paper: str
    reason: str
    document_number: str
    asked_by: str
    asked_at: datetime.datetime


class Decided(msgspec.Struct, frozen=True):
    """What was decided of which paper."""

    kind: Kind
    number: str
    serial: str


class _Asked(msgspec.Struct, frozen=True):
    change_id: int
    city_code: str
    kind: Kind
    state: State
    reason: str
    document_number: str
    asked_by: str
    number: str
    series_code: str
    serial: int
    serial_text: str
    paper: str
    certificate: str
    movement: str | None
    handed_over_by: int | None


_movement = _sql.one("movement_of", str)
_ask = _sql.one("ask_paper_change", int)
_lock_change = _sql.perhaps("lock_paper_change", _Asked)
_decide = _sql.run("decide_paper_change")
_waiting = _sql.many("waiting_papers", Waiting)


async def ask(
    connection: Connection,
    actor: Actor,
    kind: Kind,
    number: str,
    *,
    reason: str,
    document_number: str,
) -> int:
    """Ask for a change of the current paper of a number; nothing moves until it is confirmed.

    Raises:
        PaperUnknown: the number has no current paper in the actor's city.
        PaperChangeImpossible: the paper or its certificate stands where this does not begin.
        GroundsAbsent: there is no reason or no document number.
        ChangeOpen: another change of this paper waits.
    """
    accounts.require(actor, Act.PAPER_CHANGE_ASK)
    papers.require_words(reason, document_number)
    (paper,) = await papers.of_numbers(connection, [number])
    movement = await _movement(
        connection, kind=kind, paper=paper.state, certificate=paper.certificate
    )
    if not movement:
        raise _impossible(kind, paper.number, paper.state, paper.certificate)
    change_id = await _ask(
        connection,
        city_code=paper.city_code,
        paper_id=paper.paper_id,
        kind=kind,
        paper_state=paper.state,
        reason=reason,
        document_number=document_number,
        account_name=actor.account_name,
    )
    detail = {
        "change": change_id,
        "kind": kind,
        "serial": paper.serial_text,
        "reason": reason,
        "document_number": document_number,
    }
    await accounts.write(
        connection, actor, Act.PAPER_CHANGE_ASK, paper.number, detail, city_code=paper.city_code
    )
    return change_id


async def confirm(connection: Connection, actor: Actor, change_id: int) -> Decided:
    """Move a paper as it was asked, as the second person.

    Raises:
        ChangeUnknown, ChangeDecided: there is none in the actor's city, or it waits no longer.
        SecondPersonNeeded: who asked cannot confirm.
        PaperChangeImpossible: the paper or its certificate does not stand any more as it did.
    """
    accounts.require(actor, Act.PAPER_CHANGE_CONFIRM)
    asked = await _locked(connection, change_id)
    if asked.asked_by == actor.account_name:
        raise SecondPersonNeeded
    if asked.movement is None:
        raise _impossible(asked.kind, asked.number, asked.paper, asked.certificate)
    await _decide(
        connection,
        change_id=change_id,
        state=State.DONE,
        account_name=actor.account_name,
        decline_reason=None,
    )
    kind = blanks.Kind(asked.movement)
    is_counter = kind is blanks.Kind.COUNTER
    movement = Movement(
        kind=kind,
        city_code=asked.city_code,
        from_state=blanks.State(asked.paper),
        to_state=_ENDS[kind],
        ranges=serials.of([asked.serial]),
        document_number=asked.document_number,
        reason=asked.reason,
        subject=f"paper-change:{change_id}",
        second_actor=asked.asked_by,
        counters=asked.handed_over_by if is_counter else None,
    )
    series = await blanks.find(connection, asked.series_code)
    await blanks.move(connection, actor, series, movement)
    await _tell(connection, actor, Act.PAPER_CHANGE_CONFIRM, asked, {"to": movement.to_state})
    return Decided(asked.kind, asked.number, asked.serial_text)


async def decline(connection: Connection, actor: Actor, change_id: int, reason: str) -> Decided:
    """Put a change of a paper aside for ever, as a second person or as the one who asked.

    Raises:
        GroundsAbsent: there is no reason.
        ChangeUnknown, ChangeDecided: there is none in the actor's city, or it waits no longer.
    """
    accounts.require(actor, Act.PAPER_CHANGE_DECLINE)
    papers.require_words(reason)
    asked = await _locked(connection, change_id)
    await _decide(
        connection,
        change_id=change_id,
        state=State.DECLINED,
        account_name=actor.account_name,
        decline_reason=reason,
    )
    await _tell(connection, actor, Act.PAPER_CHANGE_DECLINE, asked, {"reason": reason})
    return Decided(asked.kind, asked.number, asked.serial_text)


async def waiting(connection: Connection) -> list[Waiting]:
    """List the changes of papers that nobody has decided, oldest first."""
    return await _waiting(connection)


_ENDS = {
    blanks.Kind.LOSE: blanks.State.LOST,
    blanks.Kind.RECALL: blanks.State.PENDING_DESTRUCTION,
    blanks.Kind.SPOIL: blanks.State.PENDING_DESTRUCTION,
    blanks.Kind.COUNTER: blanks.State.PRINTED,
}


async def _locked(connection: Connection, change_id: int) -> _Asked:
    asked = await _lock_change(connection, change_id=change_id)
    if asked is None:
        raise ChangeUnknown(change_id=change_id)
    if asked.state is not State.ASKED:
        raise ChangeDecided(change_id=change_id, state=STATE_WORDS[asked.state])
    return asked


async def _tell(
    connection: Connection, actor: Actor, act: Act, asked: _Asked, detail: dict[str, object]
) -> None:
    known = {"change": asked.change_id, "kind": asked.kind, "serial": asked.serial_text}
    await accounts.write(
        connection, actor, act, asked.number, known | detail, city_code=asked.city_code
    )


def _impossible(kind: Kind, number: str, paper: str, certificate: str) -> PaperChangeImpossible:
    return PaperChangeImpossible(
        number=number,
        kind=" ".join(KIND_WORDS[kind]),
        paper=" ".join(blanks.WORDS.get(paper, (paper, ""))),
        standing=f"{STANDING_WORDS[certificate]} {certificate}",
    )
