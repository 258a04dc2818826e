"""Numbering: schemes are data, numbers are taken as ranges, and no number is ever taken twice.

A range is taken under the lock of the city's own counters, inside the transaction that archives
its certificates, so that counters have no gaps and two cities never wait for each other. A number
keeps the scheme that it was made with. Exhaustion is a refusal; the next body serial is used only
once it was opened with a document. Numbers that were given out elsewhere are never given again: the
counters that would come to them start behind them.

Source: no rule for 专项职业能力 is public; the default follows the 16 digits of 职业资格 [S].
"""

import datetime
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    CounterUsed,
    NumbersExhausted,
    Refusal,
    SchemeAbsent,
    SchemeRefused,
)
from service.ground.statements import Perhaps
from service.registry.catalogue import REFERENCE, CityCode, DocumentNumber, ValidFrom, reference
from service.registry.facts import Fact
from service.registry.journal import Act

_sql = statements.beside(__file__)


class Source(StrEnum):
    """What fills a segment of a number."""

    FIXED = "fixed"
    YEAR = "year"
    CITY = "city"
    BODY = "body"
    SEQUENCE = "sequence"


class Reset(StrEnum):
    """When a counter begins again."""

    YEARLY = "yearly"
    NEVER = "never"


class Segment(msgspec.Struct, frozen=True):
    """One part of a number, `width` digits wide; `value` stands where the source is fixed."""

    source: Source
    width: Annotated[int, Meta(ge=1, le=12)]
    value: Annotated[str, Meta(pattern=r"^[0-9]*\Z")] = ""


class Scheme(Fact, frozen=True, kw_only=True):
    """登记编号规则 / Record a version of the number scheme."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_scheme", str)
    act: ClassVar[Act] = Act.SCHEME_RECORD

    scheme_version: Annotated[int, Meta(ge=1, description="版本 / version")]
    valid_from: ValidFrom
    reset: Annotated[Reset, Meta(description="计数重置 / when counters begin again")]
    segments: Annotated[
        list[Segment], Meta(description='各段 / JSON: [{"source": "year", "width": 2}, …]')
    ]
    document_number: DocumentNumber

    def check(self) -> None:
        """Refuse a scheme under which two certificates could get one number."""
        needed = {Source.CITY, Source.BODY, Source.SEQUENCE}
        if self.reset is Reset.YEARLY:
            needed.add(Source.YEAR)
        sources = [segment.source for segment in self.segments if segment.source != Source.FIXED]
        if (
            not needed <= set(sources)
            or len(sources) != len(set(sources))
            or not all(map(_holds, self.segments))
            or not 8 <= sum(segment.width for segment in self.segments) <= 20
        ):
            raise SchemeRefused(needed=", ".join(sorted(needed)))

    def compose(self, year: int, city_digits: str, body_serial: int, sequence: int) -> str:
        """Write one number; a value wider than its segment never happens past `sequence_max`."""
        values = {
            Source.YEAR: f"{year % 10 ** self._width(Source.YEAR)}" if year else "",
            Source.CITY: city_digits,
            Source.BODY: str(body_serial),
            Source.SEQUENCE: str(sequence),
        }
        number = "".join(
            values.get(segment.source, segment.value).zfill(segment.width)
            for segment in self.segments
        )
        if len(number) != sum(segment.width for segment in self.segments):
            raise SchemeRefused(needed=f"{city_digits} {body_serial} {sequence}")
        return number

    def parse(self, number: str, near: int) -> "Place | None":
        """Read what `compose` writes; of the years that are written alike, take the one nearest.

        Returns None for a number that this scheme never writes.
        """
        values = {Source.YEAR: 0}
        begin = 0
        for segment in self.segments:
            part = number[begin : begin + segment.width]
            begin += segment.width
            if not (part.isascii() and part.isdecimal() and len(part) == segment.width):
                return None
            if segment.source is Source.FIXED and part != segment.value:
                return None
            values[segment.source] = int(part)
        if begin != len(number) or not values[Source.BODY] or not values[Source.SEQUENCE]:
            return None
        span = 10 ** self._width(Source.YEAR)
        year = near + (values[Source.YEAR] - near + span // 2) % span - span // 2
        return Place(
            scheme_version=self.scheme_version,
            period=year if self.reset is Reset.YEARLY else 0,
            city=values[Source.CITY],
            body_serial=values[Source.BODY],
            sequence=values[Source.SEQUENCE],
        )

    @property
    def sequence_max(self) -> int:
        """The last sequence that one counter can give."""
        return int(10 ** self._width(Source.SEQUENCE)) - 1

    def _width(self, source: Source) -> int:
        return next((part.width for part in self.segments if part.source is source), 1)


def _holds(segment: Segment) -> bool:
    """Tell whether a segment is as wide as what fills it: a year of one digit comes back."""
    match segment.source:
        case Source.FIXED:
            return len(segment.value) == segment.width
        case Source.YEAR | Source.CITY:
            return segment.width >= 2
        case Source.BODY | Source.SEQUENCE:
            return True


class Body(Fact, frozen=True, kw_only=True):
    """启用机构序号 / Open a body serial for a city."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("open_body", str)
    act: ClassVar[Act] = Act.BODY_OPEN

    city_code: CityCode
    body_serial: Annotated[int, Meta(ge=1, le=999, description="机构序号 / body serial")]
    document_number: DocumentNumber


class Start(Fact, frozen=True, kw_only=True):
    """设定起始号 / Start a counter behind numbers that were given out elsewhere."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("start_counter", str)
    act: ClassVar[Act] = Act.COUNTER_START
    not_kept: ClassVar[type[Refusal]] = CounterUsed

    city_code: CityCode
    scheme_version: Annotated[int, Meta(ge=1, description="规则版本 / scheme version")]
    period: Annotated[int, Meta(ge=0, le=9999, description="年份；不重置为 0 / year, or 0")]
    body_serial: Annotated[int, Meta(ge=1, description="机构序号 / body serial")]
    first_sequence: Annotated[int, Meta(ge=1, description="首个序号 / first sequence")]
    document_number: DocumentNumber


class Place(msgspec.Struct, frozen=True):
    """Where a number stands among those that a scheme writes; `city` is what its digits say."""

    scheme_version: int
    period: int
    city: int
    body_serial: int
    sequence: int


class Behind(msgspec.Struct, frozen=True, order=True):
    """A counter that may give numbers only behind the last one given out elsewhere."""

    scheme_version: int
    period: int
    body_serial: int
    last_sequence: int


class Digits(msgspec.Struct, frozen=True):
    """Digits that stand, or once stood, for a city inside its numbers."""

    city_code: str
    number_digits: str


class Counter(msgspec.Struct, frozen=True):
    """One counter, locked: the next number is `last_sequence + 1`."""

    body_serial: int
    last_sequence: int


class Range(msgspec.Struct, frozen=True):
    """Numbers that follow each other under one counter, `first` and `last` included."""

    body_serial: int
    first: int
    last: int


_scheme_on = _sql.perhaps("scheme_on", Scheme)
_number_digits = _sql.one("number_digits", str)
_make_counters = _sql.run("make_counters")
_lock_counters = _sql.many("lock_counters", Counter)
_raise_counter = _sql.run("raise_counter")
_schemes = _sql.many("schemes", Scheme)
_digits_of_cities = _sql.many("digits_of_cities", Digits)
_open_bodies = _sql.many("open_bodies", int)
_start_behind = _sql.run("start_behind")


class Taken(msgspec.Struct, frozen=True):
    """Numbers taken for one batch, in order, with the scheme that made them."""

    scheme_version: int
    numbers: tuple[str, ...]
    ranges: tuple[Range, ...]


async def load(connection: Connection) -> None:
    """Keep the default scheme and the first body serial of every city; repeatable."""
    scheme = msgspec.json.decode((REFERENCE / "number_scheme.json").read_bytes(), type=Scheme)
    await scheme.insert(connection, **msgspec.structs.asdict(scheme))
    for body in reference("number_bodies.csv", Body):
        await body.insert(connection, **msgspec.structs.asdict(body))


async def take(connection: Connection, city_code: str, on: datetime.date, count: int) -> Taken:
    """Take the next `count` numbers of a city for the year of a day.

    Locks the city's counters until the transaction ends; if that fails, nothing was taken.

    Raises:
        SchemeAbsent: no scheme is valid on that day.
        NumbersExhausted: the opened body serials do not hold that many numbers any more.
    """
    scheme = await _scheme_on(connection, day=on)
    if scheme is None:
        raise SchemeAbsent(day=on)
    year = on.year
    counter_key = {
        "scheme_version": scheme.scheme_version,
        "city_code": city_code,
        "period": year if scheme.reset is Reset.YEARLY else 0,
    }
    await _make_counters(connection, **counter_key)
    counters = await _lock_counters(connection, **counter_key)
    ranges = _spread(counters, count, scheme.sequence_max)
    missing = count - sum(part.last - part.first + 1 for part in ranges)
    if missing:
        raise NumbersExhausted(city_code=city_code, year=year, missing=missing)
    for part in ranges:
        await _raise_counter(
            connection, **counter_key, body_serial=part.body_serial, last_sequence=part.last
        )
    city_digits = await _number_digits(connection, city_code=city_code, day=on)
    numbers = tuple(
        scheme.compose(year, city_digits, part.body_serial, sequence)
        for part in ranges
        for sequence in range(part.first, part.last + 1)
    )
    return Taken(scheme.scheme_version, numbers, ranges)


async def schemes(connection: Connection) -> list[Scheme]:
    """Return every version of the number scheme, past and to come."""
    return await _schemes(connection)


async def digits_of_cities(connection: Connection) -> list[Digits]:
    """Return the digits of every city, its former ones too."""
    return await _digits_of_cities(connection)


async def open_bodies(connection: Connection, city_code: str) -> list[int]:
    """Return the body serials opened for a city."""
    return await _open_bodies(connection, city_code=city_code)


async def start_behind(
    connection: Connection, city_code: str, counters: Sequence[Behind], document_number: str
) -> None:
    """Let counters go on behind numbers given out elsewhere; one that is further stays.

    Locks the counters until the transaction ends, in the order in which `take` does.

    Raises:
        BodyNotOpen: a body serial is not open for the city.
    """
    for counter in sorted(counters):
        await _start_behind(
            connection,
            city_code=city_code,
            document_number=document_number,
            **msgspec.structs.asdict(counter),
        )


def _spread(counters: Sequence[Counter], count: int, sequence_max: int) -> tuple[Range, ...]:
    """Fill the counters in order of their body serials: one range each, none empty."""
    ranges = []
    for counter in counters:
        size = min(count, sequence_max - counter.last_sequence)
        if size > 0:
            first = counter.last_sequence + 1
            ranges.append(Range(counter.body_serial, first, first + size - 1))
            count -= size
    return tuple(ranges)
