"""Supply: paper from the printing house to the province, to the cities, and back.

A consignment goes to a city for a requisition, never more than was approved, or for a reason of its
own; what a city does not need goes back the same way, and from one city to another through the
province. A consignment that nobody has received is undone by two persons of the centre that sent
it. How one is received, and what was wrong with it, is told in `arrivals`.

Source: 川人社职鉴〔2025〕35号, 五 (申领; every sheet can be traced).
"""

import datetime
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    BeyondApproved,
    BlanksTooFew,
    ConsignmentInOtherState,
    ConsignmentUnknown,
    NotYourCity,
    RequisitionOfOtherKind,
    SecondPersonNeeded,
    SerialsUnsettled,
)
from service.paper import blanks, orders, requisitions
from service.paper.blanks import Held, Kind, Movement, Pace, Series, serials
from service.paper.blanks import State as Place
from service.paper.blanks.serials import Numerals, Range
from service.paper.orders import Grounds
from service.registry import accounts
from service.registry.accounts import PROVINCE, Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)
Path: TypeAlias = tuple[Kind, Place, Place]
"""A movement's kind, and the states that it joins."""
_DISPATCH: Path = (Kind.DISPATCH, Place.AT_PROVINCE, Place.IN_TRANSIT)
_SEND_BACK: Path = (Kind.SEND_BACK, Place.AT_CITY, Place.SENT_BACK)
_UNDO: Path = (Kind.COUNTER, Place.IN_TRANSIT, Place.AT_PROVINCE)
_UNSENT: Path = (Kind.UNSENT, Place.SENT_BACK, Place.AT_CITY)


class Direction(StrEnum):
    """Whither a consignment goes: to a city, or back to the province."""

    SUPPLY = "supply"
    BACK = "back"


class State(StrEnum):
    """Where a consignment stands."""

    DISPATCHED = "dispatched"
    RECEIVED = "received"
    UNDONE = "undone"


WORDS: Mapping[str, str] = {
    Direction.SUPPLY: "下发", Direction.BACK: "退省",
    State.DISPATCHED: "在途", State.RECEIVED: "已签收", State.UNDONE: "已撤回",
}  # fmt: skip


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """Whither paper is sent: for a requisition, or to a city for a reason of its own."""

    document_number: str
    requisition_id: int | None = None
    city_code: str = ""
    reason: str = ""


class Consignment(msgspec.Struct, frozen=True, kw_only=True):
    """Sheets on the road, or how they arrived."""

    consignment_id: int
    city_code: str
    direction: Direction
    series_code: str
    prefix: str
    digit_count: int
    requisition_id: int | None
    sheet_count: int
    document_number: str
    reason: str
    state: State
    dispatched_by: str
    dispatched_at: datetime.datetime
    undo_asked_by: str | None
    ended_by: str | None
    ended_at: datetime.datetime | None
    counted: int | None
    firsts: list[int] | None
    lasts: list[int] | None

    @property
    def ranges(self) -> tuple[Range, ...]:
        """What was sent, in order."""
        return tuple(map(Range, self.firsts or (), self.lasts or ()))

    @property
    def serials(self) -> str:
        """What was sent, as it stands on the paper."""
        return Numerals(self.prefix, self.digit_count).ranges_text(self.ranges)

    @property
    def words(self) -> str:
        """Whither it goes and where it stands."""
        asked = "（待撤回）" if self.undo_asked_by and self.state is State.DISPATCHED else ""
        return f"{WORDS[self.direction]} {WORDS[self.state]}{asked}"

    @property
    def subject(self) -> str:
        """What its movements belong to."""
        return f"consignment:{self.consignment_id}"


class _Dispatch(msgspec.Struct, frozen=True):
    movement_id: int
    first_serial: int
    last_serial: int


_add = _sql.one("add_consignment", int)
_lock = _sql.perhaps("lock_consignment", int)
_find = _sql.perhaps("find_consignment", Consignment)
_recent = _sql.many("recent_consignments", Consignment)
_dispatches = _sql.many("dispatches", _Dispatch)
_ask_undo = _sql.run("ask_undo")
_end = _sql.run("end_consignment")
_away = _sql.many("away", Held)
_low = _sql.many("low", Pace)


async def take_in(
    connection: Connection,
    actor: Actor,
    series: Series,
    ranges: Sequence[Range],
    document_number: str,
) -> None:
    """Take what the printing house delivers into the province's books.

    Raises:
        NotYourCity: the actor is not of the province.
        SerialsKnown: a serial is in the books already.
        GroundsAbsent: there is no document number.
    """
    accounts.require(actor, Act.BLANKS_TAKE_IN)
    _require_side(actor, Direction.SUPPLY)
    orders.require_words(document_number)
    moving = Movement(
        kind=Kind.TAKE_IN, city_code=PROVINCE, from_state=Place.OUTSIDE,
        to_state=Place.AT_PROVINCE, ranges=ranges, document_number=document_number,
        subject=f"take-in:{document_number}",
    )  # fmt: skip
    await blanks.move(connection, actor, series, moving)
    detail = {"serials": series.numerals.ranges_text(ranges), "document_number": document_number}
    await accounts.write(connection, actor, Act.BLANKS_TAKE_IN, series.series_code, detail)


async def dispatch(
    connection: Connection,
    actor: Actor,
    series: Series,
    wanted: Sequence[Range] | int,
    sending: Sending,
) -> Consignment:
    """Send ranges, or the next free sheets of the province, to a city.

    Raises:
        NotYourCity: the actor is not of the province.
        RequisitionUnknown, RequisitionInOtherState, RequisitionOfOtherKind: it is not approved, or
            it asks for other paper.
        BeyondApproved: more than what is left of the requisition.
        GroundsAbsent: there is neither a requisition nor a reason, or no document number.
        BlanksTooFew, SerialsUnknown, SerialsElsewhere, SerialsInOtherState: the province has them
            not.
        SupplyImpossible: the requisition is not that of the city given.
        SerialsUnsettled: they were found among another consignment, which is not settled.
    """
    accounts.require(actor, Act.CONSIGNMENT_DISPATCH)
    _require_side(actor, Direction.SUPPLY)
    orders.require_words(sending.document_number)
    if sending.requisition_id is None:
        orders.require_words(sending.reason)
    else:
        city_code = await _require_left(connection, sending.requisition_id, series, wanted)
        sending = msgspec.structs.replace(sending, city_code=sending.city_code or city_code)
    ranges = await _chosen(connection, series, wanted)
    return await _send(connection, actor, series, ranges, sending, direction=Direction.SUPPLY)


async def send_back(
    connection: Connection, actor: Actor, series: Series, ranges: Sequence[Range], grounds: Grounds
) -> Consignment:
    """Send ranges of the actor's city back to the province.

    Raises:
        NotYourCity: the actor is of no city.
        GroundsAbsent: there is no reason or no document number.
        SerialsUnknown, SerialsElsewhere, SerialsInOtherState: the city has them not at hand.
    """
    accounts.require(actor, Act.CONSIGNMENT_SEND_BACK)
    _require_side(actor, Direction.BACK)
    orders.require_words(grounds.document_number, grounds.reason)
    sending = Sending(
        document_number=grounds.document_number, city_code=actor.city_code, reason=grounds.reason
    )
    return await _send(connection, actor, series, ranges, sending, direction=Direction.BACK)


async def undo(
    connection: Connection, actor: Actor, consignment_id: int, reason: str
) -> Consignment:
    """Ask to undo what nobody has received; a second person of the sender who asks too undoes it.

    Raises:
        GroundsAbsent: there is no reason.
        ConsignmentUnknown, ConsignmentInOtherState: there is none, or it is not on the road.
        SecondPersonNeeded: who asked asks again.
        NotYourCity: the other side sent it.
    """
    accounts.require(actor, Act.CONSIGNMENT_UNDO)
    orders.require_words(reason)
    sent = await on_the_road(connection, consignment_id)
    if sent.undo_asked_by == actor.account_name:
        raise SecondPersonNeeded
    if sent.undo_asked_by is None:
        await _ask_undo(
            connection,
            consignment_id=consignment_id,
            account_name=actor.account_name,
            reason=reason,
        )
    else:
        await _take_back(connection, actor, sent, sent.undo_asked_by, reason)
    detail: dict[str, object] = {"reason": reason, "asked_by": sent.undo_asked_by}
    await tell(connection, actor, Act.CONSIGNMENT_UNDO, sent, detail=detail)
    return await find(connection, consignment_id)


async def find(connection: Connection, consignment_id: int) -> Consignment:
    """Return one consignment.

    Raises:
        ConsignmentUnknown: there is none, or it is another city's.
    """
    found = await _find(connection, consignment_id=consignment_id)
    if found is None:
        raise ConsignmentUnknown(consignment_id=consignment_id)
    return found


async def recent(connection: Connection) -> list[Consignment]:
    """List the consignments that the actor may see: what is on the road, then the newest."""
    return await _recent(connection)


async def low(connection: Connection, now: datetime.datetime, weeks: int) -> list[Pace]:
    """Return the series of cities that last less than so many weeks at the pace of the last four.

    A city that has used up all it had of a kind of paper is among them however long ago that was;
    a series that another of its kind has followed is not.
    """
    return await _low(connection, now=now, weeks=weeks)


async def on_the_road(connection: Connection, consignment_id: int) -> Consignment:
    """Return a consignment that is on the road, held until the transaction ends.

    Raises:
        ConsignmentUnknown: there is none, or it is another city's.
        ConsignmentInOtherState: it has arrived, or was undone.
    """
    await _lock(connection, consignment_id=consignment_id)
    sent = await find(connection, consignment_id)
    if sent.state is not State.DISPATCHED:
        raise ConsignmentInOtherState(
            consignment_id=consignment_id, state=f"{WORDS[sent.state]} {sent.state}"
        )
    return sent


async def end(
    connection: Connection,
    actor: Actor,
    consignment_id: int,
    state: State,
    *,
    counted: int | None = None,
) -> None:
    """End a journey; the requisition follows."""
    await _end(
        connection,
        consignment_id=consignment_id,
        state=state,
        account_name=actor.account_name,
        counted=counted,
    )


def movement(sent: Consignment, path: Path, ranges: Sequence[Range], reason: str) -> Movement:
    """Write a movement of a consignment."""
    kind, beginning, end = path
    return Movement(
        kind=kind, city_code=sent.city_code, from_state=beginning, to_state=end, ranges=ranges,
        document_number=sent.document_number, reason=reason, subject=sent.subject,
    )  # fmt: skip


async def tell(
    connection: Connection,
    actor: Actor,
    act: Act,
    sent: Consignment,
    *,
    detail: Mapping[str, object],
) -> None:
    """Write an act on a consignment into the journal of its city."""
    known = {"direction": sent.direction, "series": sent.series_code, "sheets": sent.sheet_count}
    await accounts.write(
        connection,
        actor,
        act,
        str(sent.consignment_id),
        known | dict(detail),
        city_code=sent.city_code,
    )


def _require_side(actor: Actor, direction: Direction) -> None:
    if (actor.city_code == PROVINCE) is not (direction is Direction.SUPPLY):
        raise NotYourCity


async def _require_left(
    connection: Connection, requisition_id: int, series: Series, wanted: Sequence[Range] | int
) -> str:
    """Return the city of a requisition of which as many sheets are left."""
    asked = await requisitions.lock(connection, requisition_id, requisitions.State.DISPATCHED)
    if asked.kind is not series.kind:
        raise RequisitionOfOtherKind(
            requisition_id=requisition_id,
            series_code=series.series_code,
            kind=f"{requisitions.WORDS[asked.kind]} {asked.kind}",
        )
    requisition = await requisitions.find(connection, requisition_id)
    approved = requisition.approved_count or 0
    count = wanted if isinstance(wanted, int) else serials.count(wanted)
    if requisition.supplied_count + count > approved:
        raise BeyondApproved(
            requisition_id=requisition_id, approved=approved,
            supplied=requisition.supplied_count, wanted=count,
        )  # fmt: skip
    return asked.city_code


async def _chosen(
    connection: Connection, series: Series, wanted: Sequence[Range] | int
) -> tuple[Range, ...]:
    """Choose from what the province has, and has at hand: extra sheets may be in a city."""
    await blanks.lock(connection, series, {PROVINCE})
    found = await _away(connection, series_id=series.series_id)
    away = tuple(one.range for one in found)
    if not isinstance(wanted, int):
        ranges = series.numerals.ordered(wanted)
        if gone := serials.minus(ranges, serials.minus(ranges, away)):
            findings = tuple(series.numerals.finding(one, "多出待结", "extra") for one in gone)
            raise SerialsUnsettled(findings, count=serials.count(gone))
        return ranges
    held = await blanks.held(connection, PROVINCE, series, Place.AT_PROVINCE)
    there = serials.minus(held, away)
    chosen = serials.take(there, wanted)
    if serials.count(chosen) < wanted:
        raise BlanksTooFew(series_code=series.series_code, wanted=wanted, free=serials.count(there))
    return chosen


async def _send(
    connection: Connection,
    actor: Actor,
    series: Series,
    ranges: Sequence[Range],
    sending: Sending,
    *,
    direction: Direction,
) -> Consignment:
    ranges = series.numerals.ordered(ranges)
    consignment_id = await _add(
        connection,
        direction=direction,
        series_id=series.series_id,
        sheet_count=serials.count(ranges),
        account_name=actor.account_name,
        **msgspec.structs.asdict(sending),
    )
    empty = await find(connection, consignment_id)
    supplying = direction is Direction.SUPPLY
    path = _DISPATCH if supplying else _SEND_BACK
    await blanks.move(connection, actor, series, movement(empty, path, ranges, sending.reason))
    sent = await find(connection, consignment_id)
    act = Act.CONSIGNMENT_DISPATCH if supplying else Act.CONSIGNMENT_SEND_BACK
    await tell(
        connection,
        actor,
        act,
        sent,
        detail=msgspec.structs.asdict(sending) | {"serials": sent.serials},
    )
    return sent


async def _take_back(
    connection: Connection, actor: Actor, sent: Consignment, asked_by: str, reason: str
) -> None:
    series = await blanks.find(connection, sent.series_code)
    await end(connection, actor, sent.consignment_id, State.UNDONE)
    if sent.direction is Direction.BACK:
        moving = movement(sent, _UNSENT, sent.ranges, reason)
        moving = msgspec.structs.replace(moving, second_actor=asked_by)
        await blanks.move(connection, actor, series, moving)
        return
    for one in await _dispatches(connection, consignment_id=sent.consignment_id):
        moving = movement(sent, _UNDO, (Range(one.first_serial, one.last_serial),), reason)
        moving = msgspec.structs.replace(moving, second_actor=asked_by, counters=one.movement_id)
        await blanks.move(connection, actor, series, moving)
