"""Requisitions: a city asks for as much paper as it has archived passes, each counted once.

The database counts by archive date, leaves out void numbers and what another requisition of the
same kind of paper covers, and lets nobody cover a pass twice; a withdrawn requisition lets go of
its passes. The keeper, who knows the stock, makes it; the reviewer submits it; the province
approves it or returns it with a reason. More than the passes needs a reason and may be granted in
part. It follows its consignments, and is closed when nothing of it is on the road or unsettled.

Source: 川人社职鉴〔2025〕35号, 五 (实际合格人次数, by 数据归档日期).
"""

import datetime
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    NotYourCity,
    PeriodUnfit,
    RequisitionInOtherState,
    RequisitionUnknown,
)
from service.issuing.batches import LEGAL_ZONE
from service.paper import orders
from service.paper.blanks import PaperKind
from service.paper.blanks.serials import Numerals, Range
from service.paper.forms import sheets
from service.paper.forms.sheets import ProjectLine
from service.registry import accounts
from service.registry.accounts import PROVINCE, Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)


class State(StrEnum):
    """Where a requisition stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"
    APPROVED = "approved"
    DISPATCHED = "dispatched"
    RECEIVED = "received"
    CLOSED = "closed"


WORDS: Mapping[str, str] = {
    State.DRAFT: "草稿", State.SUBMITTED: "待审批", State.RETURNED: "退回",
    State.WITHDRAWN: "撤回", State.APPROVED: "已批准", State.DISPATCHED: "已下发",
    State.RECEIVED: "已签收", State.CLOSED: "办结",
    PaperKind.INNER: "内芯", PaperKind.COVER: "证书壳",
}  # fmt: skip

_MOVES: Mapping[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.DRAFT, State.RETURNED}),
    State.SUBMITTED: frozenset({State.DRAFT, State.RETURNED}),
    State.APPROVED: frozenset({State.SUBMITTED}),
    State.RETURNED: frozenset({State.SUBMITTED}),
    State.WITHDRAWN: frozenset({State.DRAFT, State.RETURNED}),
    State.DISPATCHED: frozenset({State.APPROVED, State.DISPATCHED, State.RECEIVED}),
    State.CLOSED: frozenset({State.APPROVED, State.RECEIVED}),
}
"""From where an act takes a requisition."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a city asks for; the period is by archive date.

    It begins by default with the earliest pass that is not covered, and ends today.
    """

    archived_from: datetime.date | None = None
    archived_until: datetime.date | None = None
    extra_count: int = 0
    extra_reason: str = ""


class Requisition(msgspec.Struct, frozen=True, kw_only=True):
    """A 证书申领表; `stock_count` is what was at hand when it was made."""

    requisition_id: int
    city_code: str
    kind: PaperKind
    archived_from: datetime.date
    archived_until: datetime.date
    pass_count: int
    stock_count: int
    extra_count: int
    extra_reason: str
    extra_granted: int | None
    state: State
    reason: str | None
    made_by: str
    made_at: datetime.datetime
    submitted_by: str | None
    submitted_at: datetime.datetime | None
    decided_by: str | None
    decided_at: datetime.datetime | None
    approved_count: int | None
    supplied_count: int

    @property
    def kind_words(self) -> str:
        """Which paper it asks for."""
        return f"{WORDS[self.kind]} {self.kind}"

    @property
    def words(self) -> str:
        """Where it stands."""
        return f"{WORDS[self.state]} {self.state}"


class _Earliest(msgspec.Struct, frozen=True):
    archived_on: datetime.date | None


class _Locked(msgspec.Struct, frozen=True):
    city_code: str
    kind: PaperKind
    state: State


class _Supplied(msgspec.Struct, frozen=True):
    prefix: str
    digit_count: int
    first_serial: int
    last_serial: int


_earliest = _sql.one("earliest", _Earliest)
_make = _sql.one("make_requisition", int)
_mend = _sql.run("mend_requisition")
_submit = _sql.run("submit_requisition")
_decide = _sql.run("decide_requisition")
_end = _sql.run("end_requisition")
_lock = _sql.perhaps("lock_requisition", _Locked)
_find = _sql.perhaps("find_requisition", Requisition)
_recent = _sql.many("recent_requisitions", Requisition)
_lines = _sql.many("requisition_lines", ProjectLine)
_supplied = _sql.many("supplied_ranges", _Supplied)


async def make(
    connection: Connection, actor: Actor, kind: PaperKind, wish: Wish, *, today: datetime.date
) -> Requisition:
    """Draw up a requisition of the actor's city; the database counts what it covers.

    Raises:
        RequisitionEmpty: there is nothing to cover, and nothing more is asked for.
        PassesCovered: another requisition has covered the same passes at this moment.
        GroundsAbsent: more is asked for without a reason.
        PeriodUnfit: the period ends before it begins, or after today.
        NotYourCity: the actor is of no city.
    """
    accounts.require(actor, Act.REQUISITION_MAKE)
    if actor.city_code == PROVINCE:
        raise NotYourCity
    given = await _given(connection, actor.city_code, kind, wish, today, requisition_id=None)
    requisition_id = await _make(
        connection, city_code=actor.city_code, kind=kind, account_name=actor.account_name, **given
    )
    return await _counted(connection, actor, requisition_id)


async def mend(
    connection: Connection, actor: Actor, requisition_id: int, wish: Wish, *, today: datetime.date
) -> Requisition:
    """Count a draft or a returned requisition anew, by what is wished now.

    Raises:
        RequisitionUnknown, RequisitionInOtherState: there is none, or it is neither of the two.
        what `make` does.
    """
    accounts.require(actor, Act.REQUISITION_MAKE)
    locked = await lock(connection, requisition_id, State.DRAFT)
    given = await _given(
        connection, locked.city_code, locked.kind, wish, today, requisition_id=requisition_id
    )
    await _mend(connection, requisition_id=requisition_id, account_name=actor.account_name, **given)
    return await _counted(connection, actor, requisition_id)


async def submit(connection: Connection, actor: Actor, requisition_id: int) -> None:
    """Submit a requisition to the province, as a second person of the city.

    Raises:
        RequisitionUnknown, RequisitionInOtherState: there is none, or it waits already.
        RequisitionOutdated: a number has become void since the passes were counted.
    """
    accounts.require(actor, Act.REQUISITION_SUBMIT)
    locked = await lock(connection, requisition_id, State.SUBMITTED)
    await _submit(connection, requisition_id=requisition_id, account_name=actor.account_name)
    await _tell(connection, actor, Act.REQUISITION_SUBMIT, requisition_id, locked)


async def approve(
    connection: Connection, actor: Actor, requisition_id: int, *, extra_count: int | None = None
) -> Requisition:
    """Approve the passes and as much of the extra as is granted; None grants all of it.

    Raises:
        RequisitionUnknown, RequisitionInOtherState: there is none, or it does not wait.
        RequisitionOutdated: a number has become void since the passes were counted.
        GrantUnfit: more is granted than was asked, or nothing at all is left.
    """
    accounts.require(actor, Act.REQUISITION_APPROVE)
    locked = await lock(connection, requisition_id, State.APPROVED)
    if extra_count is None:
        extra_count = (await find(connection, requisition_id)).extra_count
    await _decide(
        connection,
        requisition_id=requisition_id,
        state=State.APPROVED,
        account_name=actor.account_name,
        extra_granted=extra_count,
        reason=None,
    )
    approved = await find(connection, requisition_id)
    await _tell(
        connection, actor, Act.REQUISITION_APPROVE, requisition_id, locked,
        extra=extra_count, approved=approved.approved_count,
    )  # fmt: skip
    return approved


async def return_(connection: Connection, actor: Actor, requisition_id: int, reason: str) -> None:
    """Return a requisition to its city, which may mend it and submit it again.

    Raises:
        GroundsAbsent: there is no reason.
        RequisitionUnknown, RequisitionInOtherState: there is none, or it does not wait.
    """
    accounts.require(actor, Act.REQUISITION_RETURN)
    orders.require_words(reason)
    locked = await lock(connection, requisition_id, State.RETURNED)
    await _decide(
        connection,
        requisition_id=requisition_id,
        state=State.RETURNED,
        account_name=actor.account_name,
        extra_granted=None,
        reason=reason,
    )
    await _tell(connection, actor, Act.REQUISITION_RETURN, requisition_id, locked, reason=reason)


async def withdraw(connection: Connection, actor: Actor, requisition_id: int, reason: str) -> None:
    """Withdraw a requisition that does not wait; another one may cover its passes.

    Raises:
        GroundsAbsent: there is no reason.
        RequisitionUnknown, RequisitionInOtherState: there is none, or it was submitted.
    """
    await _finish(
        connection,
        actor,
        Act.REQUISITION_WITHDRAW,
        requisition_id,
        state=State.WITHDRAWN,
        reason=reason,
    )


async def close(
    connection: Connection, actor: Actor, requisition_id: int, reason: str = ""
) -> None:
    """Close a requisition; with a reason where less was supplied than approved.

    Raises:
        RequisitionUnknown, RequisitionInOtherState: there is none, or it cannot be closed yet.
        RequisitionUnsettled: something is on the road or unsettled, or less came and nobody said
            why.
    """
    await _finish(
        connection,
        actor,
        Act.REQUISITION_CLOSE,
        requisition_id,
        state=State.CLOSED,
        reason=reason or None,
    )


async def find(connection: Connection, requisition_id: int) -> Requisition:
    """Return one requisition.

    Raises:
        RequisitionUnknown: there is none, or it is another city's.
    """
    found = await _find(connection, requisition_id=requisition_id)
    if found is None:
        raise RequisitionUnknown(requisition_id=requisition_id)
    return found


async def recent(connection: Connection) -> list[Requisition]:
    """List the newest requisitions that the actor may see, newest first."""
    return await _recent(connection)


async def lines(connection: Connection, requisition_id: int) -> list[ProjectLine]:
    """Return the passes that a requisition covers, by project."""
    return await _lines(connection, requisition_id=requisition_id)


async def lock(connection: Connection, requisition_id: int, wanted: State) -> _Locked:
    """Hold a requisition that can be taken to the state wanted.

    Raises:
        RequisitionUnknown, RequisitionInOtherState: there is none, or it stands elsewhere.
    """
    locked = await _lock(connection, requisition_id=requisition_id)
    if locked is None:
        raise RequisitionUnknown(requisition_id=requisition_id)
    if locked.state not in _MOVES[wanted]:
        raise RequisitionInOtherState(
            requisition_id=requisition_id, state=f"{WORDS[locked.state]} {locked.state}"
        )
    return locked


async def form(connection: Connection, requisition_id: int) -> sheets.Requisition:
    """Fill the form in, with the centre's name of the day on which it was made.

    Raises:
        RequisitionUnknown: there is none, or it is another city's.
    """
    found = await find(connection, requisition_id)
    day = _day(found.made_at)
    supplied = await _supplied(connection, requisition_id=requisition_id)
    return sheets.Requisition(
        centre=await orders.centre_name(connection, found.city_code, day),
        number=f"{found.city_code}-{found.requisition_id}",
        state=WORDS[found.state],
        kind=WORDS[found.kind],
        archived_from=found.archived_from,
        archived_until=found.archived_until,
        lines=tuple(await lines(connection, requisition_id)),
        extra_count=found.extra_count,
        extra_reason=found.extra_reason,
        stock_count=found.stock_count,
        approved_count=found.approved_count,
        supplied=tuple(
            Numerals(one.prefix, one.digit_count).range_text(
                Range(one.first_serial, one.last_serial)
            )
            for one in supplied
        ),
        applicant=found.made_by,
        applied_on=day,
        reviewer=found.submitted_by,
        reviewed_on=_day(found.submitted_at) if found.submitted_at else None,
        decision=_decision(found),
        decided_on=_day(found.decided_at) if found.decided_at else None,
    )


def _day(at: datetime.datetime) -> datetime.date:
    return at.astimezone(LEGAL_ZONE).date()


def _decision(found: Requisition) -> str:
    if found.approved_count is not None:
        extra = f"，其中追加 {found.extra_granted} 张（申请 {found.extra_count} 张）"
        return f"同意供应 {found.approved_count} 张{extra if found.extra_count else ''}。"
    return f"退回：{found.reason}" if found.state is State.RETURNED else ""


async def _given(
    connection: Connection,
    city_code: str,
    kind: PaperKind,
    wish: Wish,
    today: datetime.date,
    *,
    requisition_id: int | None,
) -> dict[str, object]:
    if wish.extra_count:
        orders.require_words(wish.extra_reason)
    earliest = await _earliest(
        connection, city_code=city_code, kind=kind, requisition_id=requisition_id
    )
    until = wish.archived_until or today
    since = wish.archived_from or min(earliest.archived_on or until, until)
    if not since <= until <= today:
        raise PeriodUnfit(since=since, until=until, today=today)
    return {
        "archived_from": since,
        "archived_until": until,
        "extra_count": wish.extra_count,
        "extra_reason": wish.extra_reason,
    }


async def _counted(connection: Connection, actor: Actor, requisition_id: int) -> Requisition:
    made = await find(connection, requisition_id)
    detail = {
        "kind": made.kind,
        "from": made.archived_from,
        "until": made.archived_until,
        "passes": made.pass_count,
        "extra": made.extra_count,
        "extra_reason": made.extra_reason,
    }
    await accounts.write(
        connection, actor, Act.REQUISITION_MAKE, str(requisition_id), detail,
        city_code=made.city_code,
    )  # fmt: skip
    return made


async def _finish(
    connection: Connection,
    actor: Actor,
    act: Act,
    requisition_id: int,
    *,
    state: State,
    reason: str | None,
) -> None:
    accounts.require(actor, act)
    if reason is not None:
        orders.require_words(reason)
    locked = await lock(connection, requisition_id, state)
    await _end(
        connection,
        requisition_id=requisition_id,
        state=state,
        account_name=actor.account_name,
        reason=reason,
    )
    await _tell(connection, actor, act, requisition_id, locked, reason=reason)


async def _tell(
    connection: Connection,
    actor: Actor,
    act: Act,
    requisition_id: int,
    locked: _Locked,
    **detail: object,
) -> None:
    await accounts.write(
        connection,
        actor,
        act,
        str(requisition_id),
        {"kind": locked.kind} | detail,
        city_code=locked.city_code,
    )
