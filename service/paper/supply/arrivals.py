"""Arrivals: a consignment is received with a count that adds up, and nothing is guessed.

What arrived is what was sent, less what is short, plus what is too many. Each of these and every
damaged sheet is a difference, named by its serials, that stays open until the province settles it,
whole or in parts, as the second person. Damaged sheets wait for destruction at once; extra ones are
noted and stay where the books have them until they are settled.

Source: 川人社职鉴〔2025〕35号, 五 (申领).
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    CountUnequal,
    DifferenceNotOpen,
    DifferencesUnfit,
    Finding,
    SettlementUnfit,
)
from service.paper import blanks, orders, supply
from service.paper.blanks import Kind, Series, serials
from service.paper.blanks import State as Place
from service.paper.blanks.serials import Numerals, Range
from service.paper.orders import Grounds
from service.paper.supply import Consignment, Direction, Path, State
from service.registry import accounts
from service.registry.accounts import PROVINCE, Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)


class Fault(StrEnum):
    """What may be wrong with sheets that arrive, or do not."""

    SHORT = "short"
    DAMAGED = "damaged"
    EXTRA = "extra"


class SettledAs(StrEnum):
    """What became of sheets that were short, damaged or too many."""

    ARRIVED = "arrived"
    UNSENT = "unsent"
    LOST = "lost"
    ACKNOWLEDGED = "acknowledged"
    KEPT = "kept"
    RETURNED = "returned"


WORDS: Mapping[str, str] = {
    Fault.SHORT: "短少", Fault.DAMAGED: "损坏", Fault.EXTRA: "多出",
    SettledAs.ARRIVED: "补到", SettledAs.UNSENT: "未发出", SettledAs.LOST: "遗失",
    SettledAs.ACKNOWLEDGED: "确认", SettledAs.KEPT: "留用", SettledAs.RETURNED: "退回",
}  # fmt: skip


_SETTLING: Mapping[tuple[Direction, Fault], Mapping[SettledAs, Path | None]] = {
    (Direction.SUPPLY, Fault.SHORT): {
        SettledAs.ARRIVED: (Kind.ARRIVE, Place.SHORT, Place.AT_CITY),
        SettledAs.UNSENT: (Kind.UNSENT, Place.SHORT, Place.AT_PROVINCE),
        SettledAs.LOST: (Kind.LOSE, Place.SHORT, Place.LOST),
    },
    (Direction.SUPPLY, Fault.DAMAGED): {SettledAs.ACKNOWLEDGED: None},
    (Direction.SUPPLY, Fault.EXTRA): {
        SettledAs.KEPT: (Kind.EXTRA, Place.AT_PROVINCE, Place.AT_CITY),
        SettledAs.RETURNED: None,
    },
    (Direction.BACK, Fault.SHORT): {
        SettledAs.ARRIVED: (Kind.TAKE_BACK, Place.SENT_BACK, Place.AT_PROVINCE),
        SettledAs.RETURNED: (Kind.RETURN, Place.SENT_BACK, Place.AT_CITY),
        SettledAs.LOST: (Kind.LOSE, Place.SENT_BACK, Place.LOST),
    },
    (Direction.BACK, Fault.DAMAGED): {SettledAs.ACKNOWLEDGED: None},
    (Direction.BACK, Fault.EXTRA): {SettledAs.RETURNED: None},
}
"""How each difference may be settled, and what moves then."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """How many sheets arrived, and the serials that are not as they should be."""

    counted: int
    short: Sequence[Range] = ()
    damaged: Sequence[Range] = ()
    extra: Sequence[Range] = ()


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Serials that were found short, damaged or too many, and are not settled."""

    difference_id: int
    consignment_id: int
    city_code: str
    direction: Direction
    series_code: str
    prefix: str
    digit_count: int
    kind: Fault
    first_serial: int
    last_serial: int
    recorded_by: str
    recorded_at: datetime.datetime

    @property
    def range(self) -> Range:
        """Which sheets they are."""
        return Range(self.first_serial, self.last_serial)

    @property
    def sheet_count(self) -> int:
        """How many they are."""
        return self.range.count

    @property
    def serials(self) -> str:
        """Which they are, as it stands on the paper."""
        return Numerals(self.prefix, self.digit_count).range_text(self.range)

    @property
    def words(self) -> str:
        """What is wrong, and how that may be settled."""
        return f"{WORDS[self.kind]}：{_ways(_SETTLING[self.direction, self.kind])}"


_add = _sql.run("add_differences")
_open = _sql.many("open_differences", Difference)
_lock = _sql.perhaps("lock_difference", int)
_open_parts = _sql.many("open_parts", Difference)
_settle = _sql.run("add_settlements")


async def receive(
    connection: Connection, actor: Actor, consignment_id: int, count: Counted
) -> Consignment:
    """Receive a consignment as its city, or as the province what a city sends back.

    Damaged sheets count as arrived and wait for destruction. Extra sheets are noted and do not
    move: whoever has them in the books has them until the difference is settled.

    Raises:
        ConsignmentUnknown, ConsignmentInOtherState: there is none, or it is not on the road.
        NotYourCity: it goes to somebody else.
        SerialsRepeated: a serial is named twice for one fault.
        DifferencesUnfit: short or damaged serials that were not sent, or are named for both; extra
            ones that were sent, or that the receiver has in the books.
        CountUnequal: the count does not add up.
    """
    accounts.require(actor, Act.CONSIGNMENT_RECEIVE)
    sent = await supply.on_the_road(connection, consignment_id)
    series = await blanks.find(connection, sent.series_code)
    found = {
        fault: series.numerals.ordered(getattr(count, fault.value))
        for fault in Fault
    }  # fmt: skip
    await _require_fitting(connection, actor, series, sent, found)
    short, extra = (serials.count(found[fault]) for fault in (Fault.SHORT, Fault.EXTRA))
    expected = sent.sheet_count - short + extra
    if count.counted != expected:
        raise CountUnequal(
            sent=sent.sheet_count, short=short, extra=extra, expected=expected,
            counted=count.counted,
        )  # fmt: skip
    await supply.end(connection, actor, consignment_id, State.RECEIVED, counted=count.counted)
    for fault, ranges in found.items():
        await _add(connection, consignment_id=consignment_id, kind=fault, **_ends(ranges))
    for path, city_code, ranges in _arriving(sent, found):
        if ranges:
            moving = supply.movement(sent, path, ranges, "收货清点")
            moving = msgspec.structs.replace(moving, city_code=city_code)
            await blanks.move(connection, actor, series, moving)
    detail: dict[str, object] = {"counted": count.counted} | {
        fault.value: series.numerals.ranges_text(ranges)
        for fault, ranges in found.items()
        if ranges
    }
    await supply.tell(connection, actor, Act.CONSIGNMENT_RECEIVE, sent, detail=detail)
    return await supply.find(connection, consignment_id)


async def settle(
    connection: Connection,
    actor: Actor,
    difference_id: int,
    settled_as: SettledAs,
    grounds: Grounds,
    *,
    ranges: Sequence[Range] = (),
) -> None:
    """Settle what is open of a difference, or some serials of it, as the second person.

    Raises:
        DifferenceNotOpen: there is none in sight, or all of it is settled.
        SettlementUnfit: it cannot become that.
        DifferencesUnfit: serials that are not open in it.
        SecondPersonNeeded: the actor recorded it.
        SerialsElsewhere, SerialsInOtherState: extra sheets that are in other books are not kept.
    """
    accounts.require(actor, Act.DIFFERENCE_SETTLE)
    orders.require_words(grounds.document_number, grounds.reason)
    await _lock(connection, difference_id=difference_id)  # of two at once, one sees it settled
    parts = await _open_parts(connection, difference_id=difference_id)
    if not parts:
        raise DifferenceNotOpen(difference_id=difference_id)
    one = parts[0]
    ways = _SETTLING[one.direction, one.kind]
    if settled_as not in ways:
        raise SettlementUnfit(
            difference_id=difference_id, kind=f"{WORDS[one.kind]} {one.kind}", wanted=_ways(ways)
        )
    sent = await supply.find(connection, one.consignment_id)
    series = await blanks.find(connection, one.series_code)
    still_open = tuple(part.range for part in parts)
    wanted = series.numerals.ordered(ranges) or still_open
    _refuse(sent, series, serials.minus(wanted, still_open), "不是此项未结的", "not open in it")
    await _settle(
        connection,
        difference_id=difference_id,
        settled_as=settled_as,
        document_number=grounds.document_number,
        reason=grounds.reason,
        account_name=actor.account_name,
        **_ends(wanted),
    )
    if path := ways[settled_as]:
        for beginning, some in await _beginnings(connection, series, path, wanted):
            moving = supply.movement(sent, (path[0], beginning, path[2]), some, grounds.reason)
            moving = msgspec.structs.replace(
                moving, document_number=grounds.document_number, second_actor=one.recorded_by
            )
            await blanks.move(connection, actor, series, moving)
    detail = {
        "difference": difference_id,
        "kind": one.kind,
        "as": settled_as,
        "serials": series.numerals.ranges_text(wanted),
        **msgspec.structs.asdict(grounds),
    }
    await supply.tell(connection, actor, Act.DIFFERENCE_SETTLE, sent, detail=detail)


async def differences(connection: Connection) -> list[Difference]:
    """List every range that is not settled, oldest first."""
    return await _open(connection)


async def open_part(connection: Connection, difference_id: int) -> Difference:
    """Return the first range of a difference that is not settled.

    Raises: DifferenceNotOpen.
    """
    for part in await _open_parts(connection, difference_id=difference_id):
        return part
    raise DifferenceNotOpen(difference_id=difference_id)


async def _require_fitting(
    connection: Connection,
    actor: Actor,
    series: Series,
    sent: Consignment,
    found: Mapping[Fault, tuple[Range, ...]],
) -> None:
    """Refuse faults of sheets that cannot have them."""
    short, damaged, extra = (found[fault] for fault in Fault)
    both = serials.minus(short, serials.minus(short, damaged))
    _refuse(sent, series, both, "既短少又损坏", "both short and damaged")
    for ranges in (short, damaged):
        strange = serials.minus(ranges, sent.ranges)
        _refuse(sent, series, strange, "不在所发号段内", "not among those sent")
    known = serials.minus(extra, serials.minus(extra, sent.ranges))
    _refuse(sent, series, known, "本在所发号段内，不是多出", "among those sent, so not extra")
    places = await blanks.whereabouts(connection, series, extra)
    own = [one for one in places if one.city_code == actor.city_code]
    if own:
        findings = tuple(
            series.numerals.finding(one.range, *blanks.place_words(one)) for one in own
        )
        _raise(sent, findings, [one.range for one in own])


def _refuse(sent: Consignment, series: Series, ranges: Sequence[Range], zh: str, en: str) -> None:
    if ranges:
        findings = tuple(series.numerals.finding(one, zh, en) for one in ranges)
        _raise(sent, findings, ranges)


def _raise(sent: Consignment, findings: tuple[Finding, ...], ranges: Sequence[Range]) -> None:
    raise DifferencesUnfit(
        findings, count=serials.count(ranges), consignment_id=sent.consignment_id
    )


def _arriving(
    sent: Consignment, found: Mapping[Fault, tuple[Range, ...]]
) -> list[tuple[Path, str, tuple[Range, ...]]]:
    """List what moves as a consignment arrives, and in whose books."""
    short, damaged = found[Fault.SHORT], found[Fault.DAMAGED]
    came = serials.minus(sent.ranges, short)
    doomed = Place.PENDING_DESTRUCTION
    if sent.direction is Direction.BACK:  # what is short stays on its way back
        return [
            ((Kind.TAKE_BACK, Place.SENT_BACK, Place.AT_PROVINCE), sent.city_code, came),
            ((Kind.SPOIL, Place.AT_PROVINCE, doomed), PROVINCE, damaged),
        ]
    return [
        ((Kind.RECEIVE, Place.IN_TRANSIT, Place.AT_CITY), sent.city_code, came),
        ((Kind.SHORT, Place.IN_TRANSIT, Place.SHORT), sent.city_code, short),
        ((Kind.SPOIL, Place.AT_CITY, doomed), sent.city_code, damaged),
    ]


async def _beginnings(
    connection: Connection, series: Series, path: Path, ranges: Sequence[Range]
) -> list[tuple[Place, Sequence[Range]]]:
    """Tell from where sheets move: extra ones are the province's, or in no books yet."""
    if path[0] is not Kind.EXTRA:
        return [(path[1], ranges)]
    places = await blanks.whereabouts(connection, series, ranges)
    outside = [one.range for one in places if one.state == Place.OUTSIDE]
    booked = [one.range for one in places if one.state != Place.OUTSIDE]
    return [(place, some) for place, some in ((path[1], booked), (Place.OUTSIDE, outside)) if some]


def _ways(ways: Iterable[SettledAs]) -> str:
    return "、".join(f"{WORDS[way]} {way}" for way in ways)


def _ends(ranges: Sequence[Range]) -> dict[str, list[int]]:
    return {"firsts": [one.first for one in ranges], "lasts": [one.last for one in ranges]}
