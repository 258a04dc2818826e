"""Blanks: every sheet of preprinted paper, as ranges of serials that only ever move.

A movement takes one contiguous range from an account (a city and a state) to another; the database
checks it, splits and merges the stock and chains it by hash, and nothing else changes stock. A
mistake is taken back by a counter-movement. What is refused is named with the exact serials in the
way, the first of these that holds: the series is unknown; a serial is given twice; it is not in the
books, or is there already; it is elsewhere; it is in another state.

Source: 川人社职鉴〔2025〕35号, 五 (申领, 打印, 核发 and 台账).
"""

import datetime
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    BlanksTooFew,
    Finding,
    MovementUnknown,
    Refusal,
    SerialsElsewhere,
    SerialsInOtherState,
    SerialsKnown,
    SerialsUnknown,
    SeriesExists,
    SeriesUnknown,
)
from service.ground.statements import Perhaps
from service.paper.blanks import serials
from service.paper.blanks.serials import Numerals, Range
from service.registry.accounts import PROVINCE, Actor
from service.registry.catalogue import DocumentNumber
from service.registry.facts import Fact
from service.registry.journal import Act

_sql = statements.beside(__file__)

SeriesCode = Annotated[
    str, Meta(pattern=r"^[0-9a-z][0-9a-z-]{1,19}\Z", description="系列代号 / series code")
]


class PaperKind(StrEnum):
    """What is printed blank: the inner sheet that carries the certificate, or its cover."""

    INNER = "inner"
    COVER = "cover"


class State(StrEnum):
    """Where a sheet stands; OUTSIDE is in no book yet, or no more."""

    OUTSIDE = "outside"
    AT_PROVINCE = "at-province"
    IN_TRANSIT = "in-transit"
    SHORT = "short"
    AT_CITY = "at-city"
    DRAWN = "drawn"
    PRINTED = "printed"
    HANDED_OVER = "handed-over"
    SENT_BACK = "sent-back"
    LOST = "lost"
    PENDING_DESTRUCTION = "pending-destruction"
    DESTROYED = "destroyed"


class Kind(StrEnum):
    """What a movement is; which states each joins stands in the table `blank_path`."""

    TAKE_IN = "take-in"
    OPEN = "open"
    DISPATCH = "dispatch"
    RECEIVE = "receive"
    SHORT = "short"
    ARRIVE = "arrive"
    UNSENT = "unsent"
    EXTRA = "extra"
    SEND_BACK = "send-back"
    TAKE_BACK = "take-back"
    DRAW = "draw"
    RETURN = "return"
    PRINT = "print"
    SPOIL = "spoil"
    HAND_OVER = "hand-over"
    RECALL = "recall"
    LOSE = "lose"
    FIND = "find"
    DESTROY = "destroy"
    ADJUST = "adjust"
    COUNTER = "counter"


WORDS: dict[str, tuple[str, str]] = {
    State.OUTSIDE: ("未入账", "not in the books"),
    State.AT_PROVINCE: ("省中心库存", "at province"),
    State.IN_TRANSIT: ("在途", "in transit"),
    State.SHORT: ("短少待查", "short"),
    State.AT_CITY: ("市（州）库存", "at city"),
    State.DRAWN: ("已领用待打印", "drawn"),
    State.PRINTED: ("已打印", "printed"),
    State.HANDED_OVER: ("已核发", "handed over"),
    State.SENT_BACK: ("退省在途", "sent back"),
    State.LOST: ("遗失", "lost"),
    State.PENDING_DESTRUCTION: ("待销毁", "pending destruction"),
    State.DESTROYED: ("已销毁", "destroyed"),
    Kind.TAKE_IN: ("印制入库", "taken in"),
    Kind.OPEN: ("期初", "opening"),
    Kind.DISPATCH: ("下发", "dispatched"),
    Kind.RECEIVE: ("签收", "received"),
    Kind.ARRIVE: ("短少补到", "arrived late"),
    Kind.UNSENT: ("未发出", "never sent"),
    Kind.EXTRA: ("多出入账", "extra"),
    Kind.SEND_BACK: ("退省", "sent back"),
    Kind.TAKE_BACK: ("省收回", "taken back"),
    Kind.DRAW: ("领用", "drawn"),
    Kind.RETURN: ("退库", "returned"),
    Kind.PRINT: ("打印", "printed"),
    Kind.SPOIL: ("作废", "spoiled"),
    Kind.HAND_OVER: ("核发", "handed over"),
    Kind.RECALL: ("收回", "recalled"),
    Kind.LOSE: ("报失", "lost"),
    Kind.FIND: ("寻回", "found"),
    Kind.DESTROY: ("销毁", "destroyed"),
    Kind.ADJUST: ("盘点调整", "adjusted"),
    Kind.COUNTER: ("冲正", "countered"),
}
"""What states and kinds are called, in Chinese and in English."""
ELSEWHERE = ("属于其他市（州）或省中心", "another city's or the province's")


class NewSeries(Fact, frozen=True, kw_only=True):
    """登记空白证书系列 / Record a series of preprinted paper."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_series", str)
    act: ClassVar[Act] = Act.SERIES_RECORD
    not_kept: ClassVar[type[Refusal]] = SeriesExists

    series_code: SeriesCode
    year: Annotated[int, Meta(ge=2000, le=2999, description="年份 / year")]
    kind: Annotated[PaperKind, Meta(description="内芯 inner，证书壳 cover")]
    prefix: Annotated[
        str,
        Meta(
            pattern=r"^(?!.*至)[0-9A-Za-z\u4e00-\u9fff]{0,10}\Z",
            description="流水号字头，汉字、字母、数字 / what serials begin with",
        ),
    ]
    digit_count: Annotated[int, Meta(ge=4, le=12, description="流水号位数 / digits of a serial")]
    edition: Annotated[
        str, Meta(pattern=r"^[0-9a-z][0-9a-z-]{0,19}\Z", description="版式 / its layout")
    ]
    document_number: DocumentNumber


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A series of preprinted paper."""

    series_id: int
    series_code: str
    year: int
    kind: PaperKind
    prefix: str
    digit_count: int
    edition: str

    @property
    def numerals(self) -> Numerals:
        """How its serials are written."""
        return Numerals(self.prefix, self.digit_count)


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """What is to move: ranges of one series, in order, between two states of a city's books.

    `city_code` is the city concerned, the province only where no city is. `subject` names what it
    belongs to as `kind:id`. A counter-movement names in `counters` the one that it takes back; its
    states are found by the database.
    """

    kind: Kind
    city_code: str
    from_state: State
    to_state: State
    ranges: Sequence[Range]
    document_number: str
    reason: str = ""
    subject: str
    second_actor: str | None = None
    third_actor: str | None = None
    counters: int | None = None


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A movement as it stands in the books."""

    movement_id: int
    city_code: str
    series_id: int
    sequence: int
    at: datetime.datetime
    kind: Kind
    first_serial: int
    last_serial: int
    from_city: str
    from_state: State
    to_city: str
    to_state: State
    document_number: str
    reason: str
    subject: str
    actor: str
    second_actor: str | None
    third_actor: str | None
    counters: int | None

    @property
    def range(self) -> Range:
        """The serials that moved."""
        return Range(self.first_serial, self.last_serial)


class Place(msgspec.Struct, frozen=True):
    """Where a part of the serials asked for is; of another city nothing but that."""

    first_serial: int
    last_serial: int
    city_code: str | None
    state: str

    @property
    def range(self) -> Range:
        """The serials that are there."""
        return Range(self.first_serial, self.last_serial)


class Stock(msgspec.Struct, frozen=True):
    """How much of a series stands in one account."""

    city_code: str
    series_code: str
    state: State
    sheet_count: int
    range_count: int


class Held(msgspec.Struct, frozen=True):
    """A range of an account."""

    first_serial: int
    last_serial: int

    @property
    def range(self) -> Range:
        """The serials that are held."""
        return Range(self.first_serial, self.last_serial)


class Pace(msgspec.Struct, frozen=True):
    """How long a city's stock of a series lasts at the pace of the last weeks."""

    city_code: str
    series_code: str
    sheet_count: int
    drawn_a_week: float
    weeks_left: float


_find = _sql.perhaps("find_series", Series)
_all_series = _sql.many("all_series", Series)
_lock = _sql.run("lock_accounts")
_whereabouts = _sql.many("whereabouts", Place)
_move = _sql.many("add_movements", int)
_held = _sql.many("held", Held)
_stock = _sql.many("stock", Stock)
_pace = _sql.many("pace", Pace)
_moved = _sql.perhaps("moved", Moved)
_in_chain = _sql.perhaps("in_chain", Moved)


async def find(connection: Connection, series_code: str) -> Series:
    """Return the series of that code.

    Raises:
        SeriesUnknown: with the codes that there are.
    """
    found = await _find(connection, series_code=series_code)
    if found is None:
        codes = "、".join(one.series_code for one in await _all_series(connection))
        raise SeriesUnknown(series_code=series_code, codes=codes or "–")
    return found


async def every(connection: Connection) -> list[Series]:
    """List all series, oldest first."""
    return await _all_series(connection)


async def lock(connection: Connection, series: Series, cities: Collection[str]) -> None:
    """Let nobody else move this series from or to these cities' accounts in this transaction."""
    await _lock(connection, series_id=series.series_id, cities=sorted(cities))


async def move(
    connection: Connection, actor: Actor, series: Series, movement: Movement
) -> list[int]:
    """Move ranges and return the ids of the movements, one for each range.

    Locks the accounts concerned until the transaction ends. The journal is written by the act
    that this belongs to.

    Raises:
        SerialsKnown: what is to enter the books is there already.
        SerialsUnknown: what is to move is not in the books.
        SerialsElsewhere: it is in the books of another city, or of the province.
        SerialsInOtherState: it is not in the state that the movement begins in.
    """
    cities = {movement.city_code, _holder(movement.city_code, movement.from_state)}
    await lock(connection, series, cities | {_holder(movement.city_code, movement.to_state)})
    ranges = series.numerals.ordered(movement.ranges)
    await require_at(connection, series, movement.city_code, movement.from_state, ranges)
    return await _move(
        connection,
        city_code=movement.city_code,
        series_id=series.series_id,
        kind=movement.kind,
        firsts=[one.first for one in ranges],
        lasts=[one.last for one in ranges],
        from_state=movement.from_state,
        to_state=movement.to_state,
        document_number=movement.document_number,
        reason=movement.reason,
        subject=movement.subject,
        actor=actor.account_name,
        second_actor=movement.second_actor,
        third_actor=movement.third_actor,
        counters=movement.counters,
    )


async def require_at(
    connection: Connection, series: Series, city_code: str, state: State, ranges: Sequence[Range]
) -> None:
    """Refuse serials that are not in an account, or not outside the books, as `move` does."""
    places = await whereabouts(connection, series, ranges)
    if state is State.OUTSIDE:
        _refuse(SerialsKnown, series, [one for one in places if one.state != State.OUTSIDE])
        return
    holder = PROVINCE if state is State.AT_PROVINCE else city_code
    outside = [one for one in places if one.state == State.OUTSIDE]
    elsewhere = [
        one
        for one in places
        if one.state != State.OUTSIDE and one.city_code not in (holder, city_code)
    ]
    other = [one for one in places if (one.city_code, one.state) != (holder, state)]
    _refuse(SerialsUnknown, series, outside)
    _refuse(SerialsElsewhere, series, elsewhere)
    _refuse(SerialsInOtherState, series, other, wanted=" ".join(WORDS[state]))


async def whereabouts(
    connection: Connection, series: Series, ranges: Sequence[Range]
) -> list[Place]:
    """Return where these serials are, part by part, in order."""
    return await _whereabouts(
        connection,
        series_id=series.series_id,
        firsts=[one.first for one in ranges],
        lasts=[one.last for one in ranges],
    )


async def held(
    connection: Connection, city_code: str, series: Series, state: State
) -> tuple[Range, ...]:
    """Return the ranges of an account, in order."""
    found = await _held(connection, city_code=city_code, series_id=series.series_id, state=state)
    return tuple(one.range for one in found)


async def free(
    connection: Connection, city_code: str, series: Series, wanted: int
) -> tuple[Range, ...]:
    """Choose the next free serials of a city, lowest first, and hold them for this transaction.

    Raises:
        BlanksTooFew: the city has not as many.
    """
    await lock(connection, series, {city_code})
    there = await held(connection, city_code, series, State.AT_CITY)
    chosen = serials.take(there, wanted)
    if serials.count(chosen) < wanted:
        raise BlanksTooFew(series_code=series.series_code, wanted=wanted, free=serials.count(there))
    return chosen


async def stock(connection: Connection) -> list[Stock]:
    """Return every account that the actor may see and that holds anything."""
    return await _stock(connection)


async def pace(connection: Connection, now: datetime.datetime) -> list[Pace]:
    """Return how long each city's stock lasts, by what was drawn in the last four weeks."""
    return await _pace(connection, now=now)


async def moved(connection: Connection, movement_id: int) -> Moved:
    """Return one movement.

    Raises:
        MovementUnknown: there is none, or it is another city's.
    """
    found = await _moved(connection, movement_id=movement_id)
    if found is None:
        raise MovementUnknown(movement=f"movement_id {movement_id}")
    return found


async def in_chain(connection: Connection, city_code: str, series: Series, sequence: int) -> Moved:
    """Return the movement at a place of a city's chain of a series, which is its 流水.

    Raises:
        MovementUnknown: the chain does not reach that far, or is another city's.
    """
    found = await _in_chain(
        connection, city_code=city_code, series_id=series.series_id, sequence=sequence
    )
    if found is None:
        raise MovementUnknown(movement=f"{series.series_code} {city_code}#{sequence}")
    return found


def place_words(place: Place) -> tuple[str, str]:
    """Say where serials are, in Chinese and in English."""
    zh, en = WORDS.get(place.state, ELSEWHERE)
    if place.city_code is None:
        return zh, en
    return f"{place.city_code} {zh}", f"{place.city_code} {en}"


def _holder(city_code: str, state: State) -> str:
    """Whose account a state is where a movement stands in this city's chain.

    What is lost of a city's short sheets is the province's; locking its account too does no harm.
    """
    return PROVINCE if state in (State.AT_PROVINCE, State.LOST) else city_code


def _refuse(
    refusal: type[Refusal], series: Series, places: Sequence[Place], **facts: object
) -> None:
    """Refuse with every part that is in the way, if there is any."""
    if places:
        raise refusal(
            _findings(series, places),
            series_code=series.series_code,
            count=serials.count(one.range for one in places),
            **facts,
        )


def _findings(series: Series, places: Sequence[Place]) -> tuple[Finding, ...]:
    return tuple(series.numerals.finding(one.range, *place_words(one)) for one in places)
