"""The ledger (台账): of one holder, series and period, what came, what went and what is left.

存 counts the unused blanks that a holder answers for: of a city what is there or drawn, of the
province what is there. What enters it is 收, what leaves it to be destroyed 废, what leaves it in
any other way 发; so 期初 + 收 − 发 − 废 = 期末 whatever has moved. A draw and a return stay inside
it, a hand-over or a destruction happens beyond it: they change nothing and are listed with their
count in 备注. A counter-movement stands where the countered one did, with a minus (红字冲销), so
that the totals of a period are what really came and went. Opening is summed from the movements,
closing is counted back from the stock: a sheet on which they disagree says so.

Source: 川人社职鉴〔2025〕35号, 五 (台账登记); its columns are those of practice.
"""

import asyncio
import datetime
from collections.abc import Callable, Iterable, Iterator

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import CityUnknown, DatesOutOfOrder, NotYourCity
from service.issuing.batches import LEGAL_ZONE
from service.paper import orders
from service.paper.blanks import WORDS, Kind, Series, State
from service.paper.blanks.serials import Range
from service.paper.forms import sheets
from service.paper.forms.sheets import Ledger, Summary, SummaryLine
from service.registry.accounts import PROVINCE, Actor
from service.registry.catalogue import City

_sql = statements.beside(__file__)
_PAGE = 50_000
_BY_SECOND = ("paper-change:", "consignment:")
"""What stands in the books by who confirmed it; who asked or recorded it is the second person."""

Draw = Callable[[Ledger, Iterable[sheets.Movement]], bytes]
"""Makes a file of a ledger, such as a form of the room `forms`."""


class Period(msgspec.Struct, frozen=True):
    """Legal days, the last one included."""

    first: datetime.date
    last: datetime.date

    def moments(self) -> dict[str, datetime.datetime]:
        """Return when it begins and when what follows it begins.

        Raises:
            DatesOutOfOrder: it ends before it begins, or with the calendar.
        """
        if not self.first <= self.last < datetime.date.max:
            raise DatesOutOfOrder
        days = (self.first, self.last + datetime.timedelta(days=1))
        beginning, ending = (
            datetime.datetime.combine(day, datetime.time(), LEGAL_ZONE) for day in days
        )
        return {"beginning": beginning, "ending": ending}


class _Head(msgspec.Struct, frozen=True):
    city_name: str
    centre_name: str
    opening: int
    closing: int
    last_movement: int


class _Entry(msgspec.Struct, frozen=True):
    movement_id: int
    sequence: int
    at: datetime.datetime
    kind: Kind
    first_serial: int
    last_serial: int
    city_code: str
    from_state: State
    to_state: State
    document_number: str
    reason: str
    subject: str
    actor: str
    second_actor: str | None
    third_actor: str | None
    countered: int | None
    sheet_count: int
    received: int
    issued: int
    spoiled: int


_head = _sql.perhaps("head", _Head)
_page = _sql.many("page", _Entry)
_names = _sql.many("names", City)
_summary = _sql.many("summary", SummaryLine)


async def write(
    connection: Connection, actor: Actor, series: Series, period: Period, *, holder: str, draw: Draw
) -> bytes:
    """Draw the ledger of a holder, the city of this code or the province.

    `draw` runs in a thread and is given the lines page by page as it asks for them, so that memory
    does not grow with them. What moves meanwhile is not in it.

    Raises:
        NotYourCity: the actor is neither of the holder's city nor of the province.
        CityUnknown: there is no such city.
        DatesOutOfOrder: the period ends before it begins.
        what `draw` does.
    """
    if actor.city_code not in (holder, PROVINCE):
        raise NotYourCity
    moments = period.moments()
    about = {"holder": holder, "series_id": series.series_id, "ending": moments["ending"]}
    head = await _head(connection, **about, beginning=moments["beginning"], day=period.last)
    if head is None:
        raise CityUnknown
    cities = await _names(connection, day=period.last)
    names = {one.city_code: one.city_name for one in cities} | {holder: ""}
    loop = asyncio.get_running_loop()

    def lines() -> Iterator[sheets.Movement]:
        after_at, after = moments["beginning"], 0
        while True:
            asked = _page(
                connection,
                **about,
                after_at=after_at,
                after=after,
                last_movement=head.last_movement,
                count=_PAGE,
            )
            page = asyncio.run_coroutine_threadsafe(asked, loop).result()
            for entry in page:
                elsewhere = names.get(entry.city_code, entry.city_code)
                yield _line(entry, series, elsewhere, of_province=holder == PROVINCE)
            if len(page) < _PAGE:
                return
            after_at, after = page[-1].at, page[-1].movement_id

    told = Ledger(
        city_name=head.city_name,
        centre=head.centre_name,
        series=f"{series.series_code}（{series.prefix}）",
        period_from=period.first,
        period_until=period.last,
        opening=head.opening,
        closing=head.closing,
    )
    return await asyncio.to_thread(draw, told, lines())


async def summary(connection: Connection, actor: Actor, period: Period) -> Summary:
    """Sum up every holder and series that the actor may see: the province sees all cities.

    Raises:
        DatesOutOfOrder: the period ends before it begins.
    """
    lines = await _summary(connection, **period.moments(), day=period.last)
    return Summary(
        centre=await orders.centre_name(connection, actor.city_code, period.last),
        period_from=period.first,
        period_until=period.last,
        lines=tuple(lines),
        drawn_up_by=actor.account_name,
    )


def _line(entry: _Entry, series: Series, elsewhere: str, *, of_province: bool) -> sheets.Movement:
    """Write one line; `elsewhere` is the city concerned in the ledger of the province."""
    what = WORDS[entry.kind][0] + (f"（{elsewhere}）" if elsewhere else "")
    chain = f"{entry.city_code}#" if of_province else ""
    remarks = [f"流水 {chain}{entry.sequence}"]
    if entry.countered is not None:
        remarks.append(f"冲正流水 {chain}{entry.countered}")
    if not (entry.received or entry.issued or entry.spoiled):
        states = f"{WORDS[entry.from_state][0]} → {WORDS[entry.to_state][0]}"
        remarks.append(f"{entry.sheet_count} 张 {states}")
    persons = [one for one in (entry.actor, entry.second_actor, entry.third_actor) if one]
    if entry.subject.startswith(_BY_SECOND):
        persons.reverse()
    handler, *others = persons
    takes = entry.kind is Kind.DRAW  # its second person is who takes the blanks
    return sheets.Movement(
        moved_on=entry.at.astimezone(LEGAL_ZONE).date(),
        summary=f"{what}：{entry.reason}" if entry.reason else what,
        voucher=entry.document_number,
        serials=series.numerals.range_text(Range(entry.first_serial, entry.last_serial)),
        received=entry.received,
        issued=entry.issued,
        spoiled=entry.spoiled,
        handler=handler,
        reviewer="" if takes else "、".join(others),
        recipient="、".join(others) if takes else "",
        remark="；".join(remarks),
    )
