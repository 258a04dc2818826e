"""Orders: movements of blank paper that are never one person's.

A keeper asks, with a reason and a document: opening stock, a loss, a sheet found again, a
counter-movement, a list for destruction. Another person, who keeps no blanks, confirms, and only
then anything moves; a destruction takes two witnesses, each under a secret of their own. Serials
are judged when it is asked and again when it is confirmed; an order that waits reserves nothing,
and one that does not hold any more stays open to be declined. Spoiled stock is set aside at once.

Source: 川人社职鉴〔2025〕35号, 五 (every sheet can be traced); two witnesses by practice.
"""

import datetime
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    CounterImpossible,
    GroundsAbsent,
    MovedSince,
    NothingPending,
    NotYourCity,
    OrderDecided,
    OrderSignedOtherwise,
    OrderUnknown,
    SecondPersonNeeded,
    SerialsNotMoved,
)
from service.paper import blanks
from service.paper.blanks import WORDS, Held, Kind, Movement, Series, serials
from service.paper.blanks import State as Place
from service.paper.blanks.serials import Numerals, Range
from service.registry import accounts
from service.registry.accounts import PROVINCE, Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)
_OTHERS = (Kind.DISPATCH, Kind.HAND_OVER)
"""Their own rooms take these back: a consignment and a certificate know of them."""


class State(StrEnum):
    """Where an order stands."""

    ASKED = "asked"
    DONE = "done"
    DECLINED = "declined"


STATES: Mapping[State, str] = {
    State.ASKED: "待签", State.DONE: "已入账", State.DECLINED: "已退回",
}  # fmt: skip
"""What these are called."""


class Grounds(msgspec.Struct, frozen=True):
    """Why something is to move, and by which document."""

    document_number: str
    reason: str


class Sheets(msgspec.Struct, frozen=True, kw_only=True):
    """Serials of one series, as ranges in order."""

    series_code: str
    prefix: str
    digit_count: int
    firsts: list[int]
    lasts: list[int]

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The serials concerned."""
        return tuple(map(Range, self.firsts, self.lasts))

    @property
    def sheet_count(self) -> int:
        """How many sheets they are."""
        return serials.count(self.ranges)

    @property
    def numerals(self) -> Numerals:
        """How the serials are written."""
        return Numerals(self.prefix, self.digit_count)

    @property
    def serials(self) -> str:
        """The serials as they are read."""
        return self.numerals.ranges_text(self.ranges)


class Order(Sheets, frozen=True, kw_only=True):
    """What was asked, by whom, and what became of it."""

    order_id: int
    city_code: str
    kind: Kind
    from_state: Place
    to_state: Place
    document_number: str
    reason: str
    counters: int | None
    person_count: int
    asked_by: str
    asked_at: datetime.datetime
    state: State
    witnessed_by: str | None
    decided_by: str | None
    decided_at: datetime.datetime | None
    decline_reason: str | None

    @property
    def words(self) -> str:
        """What it is."""
        return " ".join(WORDS[self.kind])

    @property
    def serials_shown(self) -> str:
        """As many of its serials as fit into a list."""
        return serials.shown(self.serials)

    @property
    def subject(self) -> str:
        """What its movements belong to."""
        return f"blank-order:{self.order_id}"


class Doomed(Sheets, frozen=True, kw_only=True):
    """Serials of a destruction list that wait there for one reason."""

    kind: Kind
    reason: str


class _Countered(msgspec.Struct, frozen=True):
    person_count: int
    counterable: bool


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    kind: Kind
    from_state: Place
    to_state: Place
    ranges: Sequence[Range]
    counters: int | None = None
    person_count: int = 2


_countered = _sql.perhaps("countered", _Countered)
_moved_since = _sql.many("moved_since", Held)
_keep = _sql.one("keep_order", int)
_lock = _sql.perhaps("lock_order", int)
_told = _sql.many("told", Order)
_sign = _sql.run("sign_order")
_decide = _sql.run("decide_order")
_doomed = _sql.many("doomed", Doomed)
_centre_name = _sql.perhaps("centre_name", str)


def shelf(city_code: str) -> Place:
    """Where the free sheets of a centre are."""
    return Place.AT_PROVINCE if city_code == PROVINCE else Place.AT_CITY


async def ask(
    connection: Connection,
    actor: Actor,
    kind: Kind,
    grounds: Grounds,
    *,
    series: Series,
    ranges: Sequence[Range],
    is_spoiled: bool = False,
) -> int:
    """Ask to open, lose, find or destroy sheets of the actor's centre; returns the order's id.

    What is lost is free stock, or spoiled sheets that wait for destruction. What is found is to be
    destroyed, for nobody knows where it was. A destruction without ranges is of all that waits.

    Raises:
        GroundsAbsent: there is no reason or no document.
        SerialsRepeated: some are given twice.
        NothingPending: nothing waits for destruction.
        what `blanks.require_at` raises: they are not where this begins.
    """
    free = shelf(actor.city_code)
    lost_from = Place.PENDING_DESTRUCTION if is_spoiled else free
    from_state, to_state = {
        Kind.OPEN: (Place.OUTSIDE, free),
        Kind.LOSE: (lost_from, Place.LOST),
        Kind.FIND: (Place.LOST, Place.PENDING_DESTRUCTION),
        Kind.DESTROY: (Place.PENDING_DESTRUCTION, Place.DESTROYED),
    }[kind]
    if kind is Kind.DESTROY and not ranges:
        ranges = await blanks.held(connection, actor.city_code, series, from_state)
        if not ranges:
            raise NothingPending(series_code=series.series_code)
    wish = _Wish(
        kind=kind, from_state=from_state, to_state=to_state, ranges=ranges,
        person_count=3 if kind is Kind.DESTROY else 2,
    )  # fmt: skip
    return await _ask(connection, actor, series, wish, grounds)


async def counter(
    connection: Connection,
    actor: Actor,
    series: Series,
    sequence: int,
    *,
    typed: str,
    grounds: Grounds,
) -> int:
    """Ask that a movement of one's own chain is taken back, whole or the serials typed of it.

    Raises:
        MovementUnknown, CounterImpossible: there is none, or none to be taken back here.
        SerialsUnreadable, SerialsNotMoved: the serials are none of its.
        MovedSince: naming those that have moved again.
        GroundsAbsent, SerialsInOtherState: as `ask`.
    """
    accounts.require(actor, Act.ORDER_ASK)
    moved = await blanks.in_chain(connection, actor.city_code, series, sequence)
    countered = await _countered(connection, movement_id=moved.movement_id)
    if countered is None or not countered.counterable or moved.kind in _OTHERS:
        raise CounterImpossible(sequence=sequence, kind=" ".join(WORDS[moved.kind]))
    ranges = series.numerals.read(typed) if typed else (moved.range,)
    if strange := serials.minus(ranges, [moved.range]):
        raise SerialsNotMoved(
            tuple(series.numerals.finding(one, "不在其内", "not in it") for one in strange),
            count=serials.count(strange), sequence=sequence,
            serials=series.numerals.range_text(moved.range),
        )  # fmt: skip
    wish = _Wish(
        kind=Kind.COUNTER, from_state=moved.to_state, to_state=moved.from_state, ranges=ranges,
        counters=moved.movement_id, person_count=max(countered.person_count, 2),
    )  # fmt: skip
    return await _ask(connection, actor, series, wish, grounds)


async def spoil(
    connection: Connection, actor: Actor, series: Series, ranges: Sequence[Range], grounds: Grounds
) -> list[int]:
    """Set damaged stock aside for destruction, at once, and return the movements.

    Raises: as `ask`.
    """
    accounts.require(actor, Act.BLANKS_SPOIL)
    require_words(grounds.reason, grounds.document_number)
    moved = await blanks.move(
        connection,
        actor,
        series,
        Movement(
            kind=Kind.SPOIL,
            city_code=actor.city_code,
            from_state=shelf(actor.city_code),
            to_state=Place.PENDING_DESTRUCTION,
            ranges=ranges,
            document_number=grounds.document_number,
            reason=grounds.reason,
            subject=f"document:{grounds.document_number}",
        ),
    )
    detail = {
        "series": series.series_code, "sheets": serials.count(ranges), "movements": moved,
        "reason": grounds.reason,
    }  # fmt: skip
    await accounts.write(connection, actor, Act.BLANKS_SPOIL, grounds.document_number, detail)
    return moved


async def confirm(connection: Connection, actor: Actor, order_id: int) -> Order:
    """Let an order of one's own centre move its sheets, as its second person.

    Raises:
        OrderUnknown, OrderDecided: there is none, or it waits no longer.
        OrderSignedOtherwise: it takes two witnesses.
        SecondPersonNeeded: who asked cannot confirm.
        MovedSince, and what `blanks.move` raises: it does not hold any more, and stays open.
    """
    accounts.require(actor, Act.ORDER_CONFIRM)
    order = await _waiting_one(connection, actor, order_id)
    if order.person_count > 2:
        raise OrderSignedOtherwise(order_id=order_id, command=f"blanks witness {order_id}")
    if actor.account_name == order.asked_by:
        raise SecondPersonNeeded
    await _carry_out(connection, actor, order, Act.ORDER_CONFIRM)
    return await one(connection, order_id)


async def witness(connection: Connection, actor: Actor, order_id: int) -> Order:
    """Sign as a witness; the second one moves the sheets. A city's may be of the province.

    Raises: as `confirm`, here where it takes no witnesses, or the witness is one of its persons.
    """
    accounts.require(actor, Act.ORDER_WITNESS)
    order = await _waiting_one(connection, actor, order_id, or_above=True)
    if order.person_count == 2:
        raise OrderSignedOtherwise(order_id=order_id, command=f"blanks confirm {order_id}")
    if actor.account_name in (order.asked_by, order.witnessed_by):
        raise SecondPersonNeeded
    if order.witnessed_by is not None:
        await _carry_out(connection, actor, order, Act.ORDER_WITNESS)
    else:
        series = await blanks.find(connection, order.series_code)
        await _require_holds(connection, order.city_code, series, order)
        await _sign(connection, order_id=order_id, account_name=actor.account_name)
        await _tell(connection, actor, Act.ORDER_WITNESS, order)
    return await one(connection, order_id)


async def decline(connection: Connection, actor: Actor, order_id: int, reason: str) -> Order:
    """Put an order aside for ever, as another person or as the one who asked.

    Raises:
        GroundsAbsent: there is no reason.
        OrderUnknown, OrderDecided: there is none, or it waits no longer.
    """
    accounts.require(actor, Act.ORDER_DECLINE)
    require_words(reason)
    order = await _waiting_one(connection, actor, order_id)
    await _decide(
        connection,
        order_id=order_id,
        state=State.DECLINED,
        account_name=actor.account_name,
        decline_reason=reason,
    )
    await _tell(connection, actor, Act.ORDER_DECLINE, order, reason=reason)
    return await one(connection, order_id)


async def waiting(connection: Connection) -> list[Order]:
    """List the orders that the actor may see and nobody has decided, oldest first."""
    return await _told(connection, order_id=None)


async def one(connection: Connection, order_id: int) -> Order:
    """Return an order, whatever became of it.

    Raises:
        OrderUnknown: there is none, or it is another centre's.
    """
    for order in await _told(connection, order_id=order_id):
        return order
    raise OrderUnknown(order_id=order_id)


async def destruction(connection: Connection, order_id: int) -> tuple[Order, list[Doomed]]:
    """Return a destruction list, signed or not, and its serials by why they are on it.

    Raises:
        OrderUnknown: there is none, or it is another centre's.
    """
    order = await one(connection, order_id)
    if order.kind is not Kind.DESTROY:
        raise OrderUnknown(order_id=order_id)
    return order, await _doomed(connection, order_id=order_id)


async def centre_name(connection: Connection, city_code: str, on: datetime.date) -> str:
    """Return what a centre is called on a day, its code where nobody has recorded it."""
    return await _centre_name(connection, city_code=city_code, day=on) or city_code


def require_words(*texts: str) -> None:
    """Refuse what only looks like words: blanks of any width, and what is not seen at all.

    Raises:
        GroundsAbsent: one of them has no letter and no digit.
    """
    if not all(any(map(str.isalnum, text)) for text in texts):
        raise GroundsAbsent


async def _ask(
    connection: Connection, actor: Actor, series: Series, wish: _Wish, grounds: Grounds
) -> int:
    accounts.require(actor, Act.ORDER_ASK)
    require_words(grounds.reason, grounds.document_number)
    ranges = series.numerals.ordered(wish.ranges)
    wish = msgspec.structs.replace(wish, ranges=ranges)
    await _require_holds(connection, actor.city_code, series, wish)
    order_id = await _keep(
        connection,
        city_code=actor.city_code,
        series_id=series.series_id,
        kind=wish.kind,
        from_state=wish.from_state,
        to_state=wish.to_state,
        firsts=[one.first for one in ranges],
        lasts=[one.last for one in ranges],
        document_number=grounds.document_number,
        reason=grounds.reason,
        counters=wish.counters,
        person_count=wish.person_count,
        asked_by=actor.account_name,
    )
    await _tell(connection, actor, Act.ORDER_ASK, await one(connection, order_id))
    return order_id


async def _require_holds(
    connection: Connection, city_code: str, series: Series, wish: _Wish | Order
) -> None:
    """Refuse what could not move now, with the serials in the way."""
    await blanks.require_at(connection, series, city_code, wish.from_state, wish.ranges)
    if wish.counters is None:
        return
    since = await _moved_since(connection, movement_id=wish.counters)
    untouched = serials.minus(wish.ranges, [part.range for part in since])
    if moved := serials.minus(wish.ranges, untouched):
        words = ("之后又有变动", "moved again since")
        raise MovedSince(tuple(series.numerals.finding(part, *words) for part in moved))


async def _waiting_one(
    connection: Connection, actor: Actor, order_id: int, *, or_above: bool = False
) -> Order:
    """Hold an order that waits; the province has a hand in a city's only where it may."""
    if await _lock(connection, order_id=order_id) is None:
        raise OrderUnknown(order_id=order_id)
    order = await one(connection, order_id)
    if order.city_code != actor.city_code and not or_above:
        raise NotYourCity
    if order.state is not State.ASKED:
        raise OrderDecided(order_id=order_id, state=f"{STATES[order.state]} {order.state}")
    return order


async def _carry_out(connection: Connection, actor: Actor, order: Order, act: Act) -> None:
    """Move what was ordered, in the name of all who signed."""
    series = await blanks.find(connection, order.series_code)
    await _require_holds(connection, order.city_code, series, order)
    signed = [name for name in (order.witnessed_by, actor.account_name) if name]
    asker = msgspec.structs.replace(actor, account_name=order.asked_by)
    moved = await blanks.move(
        connection,
        asker,
        series,
        Movement(
            kind=order.kind,
            city_code=order.city_code,
            from_state=order.from_state,
            to_state=order.to_state,
            ranges=order.ranges,
            document_number=order.document_number,
            reason=order.reason,
            subject=order.subject,
            second_actor=signed[0],
            third_actor=signed[1] if len(signed) > 1 else None,
            counters=order.counters,
        ),
    )
    await _decide(
        connection,
        order_id=order.order_id,
        state=State.DONE,
        account_name=actor.account_name,
        decline_reason=None,
    )
    await _tell(connection, actor, act, order, movements=moved)


async def _tell(
    connection: Connection, actor: Actor, act: Act, order: Order, **more: object
) -> None:
    known: dict[str, object] = {
        "kind": order.kind, "series": order.series_code, "sheets": order.sheet_count,
        "document_number": order.document_number,
    }  # fmt: skip
    if act is Act.ORDER_ASK:
        known["reason"] = order.reason
    await accounts.write(
        connection, actor, act, order.subject, known | more, city_code=order.city_code
    )
