"""What a stocktake is made of, what it says in words, and what is printed of it."""

import datetime
from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from service.issuing.batches import LEGAL_ZONE
from service.paper import blanks
from service.paper.blanks import State as Place
from service.paper.forms import sheets
from service.paper.orders import Sheets


class Occasion(StrEnum):
    """What a stocktake is held for."""

    QUARTERLY = "quarterly"
    HALF_YEARLY = "half-yearly"
    YEARLY = "yearly"
    SPOT = "spot"


class State(StrEnum):
    """Where a stocktake stands."""

    COUNTING = "counting"
    COUNTED = "counted"
    APPROVED = "approved"
    CANCELLED = "cancelled"


WORDS: Mapping[str, str] = {
    Occasion.QUARTERLY: "季度盘点", Occasion.HALF_YEARLY: "半年盘点", Occasion.YEARLY: "年度盘点",
    Occasion.SPOT: "临时盘点", State.COUNTING: "清点中", State.COUNTED: "待审批",
    State.APPROVED: "已审批", State.CANCELLED: "已取消",
}  # fmt: skip

_COUNTED = (Place.AT_CITY, Place.AT_PROVINCE, Place.PENDING_DESTRUCTION)
_TO_DO: Mapping[str, tuple[str, str]] = {
    Place.AT_CITY: ("在库证书，请核对", "in stock there; look again"),
    Place.AT_PROVINCE: ("省中心库存，请报省中心", "in the province's stock: tell the province"),
    Place.IN_TRANSIT: ("先签收该批", "receive its consignment first"),
    Place.SHORT: ("请省中心按短少补到办理", "the province settles it as arrived late"),
    Place.DRAWN: ("办结其打印任务，未打印的退库", "settle its print run: return what is unprinted"),
    Place.PRINTED: ("核对所载证书的打印与核发", "see which certificate it carries"),
    Place.HANDED_OVER: ("核对所载证书，已交回的办理收回", "see its certificate; recall it"),
    Place.SENT_BACK: ("请省中心退回", "the province returns it"),
    Place.LOST: ("曾打印的办理寻回，他处报失的报省中心", "report it found, or to who lost it"),
    Place.PENDING_DESTRUCTION: ("完好的冲正作废，否则归待销毁", "counter its spoiling if sound"),
    Place.DESTROYED: ("冲正销毁后重新销毁", "counter its destruction, then destroy it"),
}  # fmt: skip
_ELSEWHERE = ("属其他单位，请报省中心", "another centre's: tell the province")


class Stocktake(msgspec.Struct, frozen=True, kw_only=True):
    """A stocktake and who had a hand in it."""

    stocktake_id: int
    city_code: str
    occasion: Occasion
    series_codes: list[str]
    state: State
    opened_by: str
    opened_at: datetime.datetime
    closed_by: str | None
    closed_at: datetime.datetime | None
    decided_by: str | None
    decided_at: datetime.datetime | None
    remark: str | None
    difference_count: int

    @property
    def occasion_words(self) -> str:
        """What it is held for."""
        return f"{WORDS[self.occasion]} {self.occasion}"

    @property
    def words(self) -> str:
        """Where it stands."""
        return f"{WORDS[self.state]} {self.state}"

    @property
    def codes(self) -> str:
        """Which series it counts."""
        return "、".join(self.series_codes)

    @property
    def document_number(self) -> str:
        """What its adjustments are booked under."""
        return f"盘点第 {self.stocktake_id} 号"


class Heap(Sheets, frozen=True, kw_only=True):
    """Free sheets of a series, or those that wait for destruction."""

    is_spoiled: bool

    @property
    def heap(self) -> str:
        """Which of the two it is."""
        return "待销毁 spoiled" if self.is_spoiled else "空白 free"


class Entry(Heap, frozen=True, kw_only=True):
    """What was typed at once; struck out, it counts no more."""

    count_id: int
    counted_by: str
    counted_at: datetime.datetime
    struck_by: str | None
    strike_reason: str | None


class Tally(Heap, frozen=True, kw_only=True):
    """How a heap came out; its serials are those counted where the books have them."""

    book_count: int
    counted_count: int

    @property
    def variance(self) -> int:
        """How many sheets more were counted than the book has."""
        return self.counted_count - self.book_count


class Difference(Sheets, frozen=True, kw_only=True):
    """One range of serials that are not where the books have them.

    `counted_state` is None for what was not there; `to_state` is where an adjustment takes them,
    None where the books are not adjusted. `book_state` may be `elsewhere`, in another's books.
    """

    difference_number: int
    city_code: str
    book_city: str | None
    book_state: str
    counted_state: Place | None
    to_state: Place | None
    reason: str | None
    reasoned_by: str | None

    @property
    def words(self) -> str:
        """What differs, in one line."""
        return " / ".join(self.told)

    @property
    def is_booked_here(self) -> bool:
        """Whether the book has them in what was counted, if not in that heap."""
        return self.book_city == self.city_code and self.book_state in _COUNTED

    @property
    def told(self) -> tuple[str, str]:
        """Say what differs and, where no adjustment settles it, what there is to do."""
        book = blanks.place_words(
            blanks.Place(self.firsts[0], self.lasts[0], self.book_city, self.book_state)
        )
        counted = blanks.WORDS[self.counted_state] if self.counted_state else ("未见", "not there")
        zh, en = f"账面 {book[0]}，实盘 {counted[0]}", f"book: {book[1]}, counted: {counted[1]}"
        if self.to_state is None:
            zh_to_do, en_to_do = _TO_DO.get(self.book_state, _ELSEWHERE)
            return f"{zh}；不予调整，{zh_to_do}", f"{en}; not adjusted, {en_to_do}"
        return zh, en


class Result(msgspec.Struct, frozen=True):
    """A stocktake whose count is closed."""

    stocktake: Stocktake
    tallies: list[Tally]
    differences: list[Difference]

    @property
    def unsettled(self) -> list[Difference]:
        """What no adjustment settles."""
        return [one for one in self.differences if one.to_state is None]


def sheet(told: Result, centre: str) -> sheets.Count | sheets.Counted:
    """Return what is to be printed: a blind sheet while it is counted, then the result."""
    stocktake = told.stocktake
    number = str(stocktake.stocktake_id)
    occasion = f"{WORDS[stocktake.occasion]}（{WORDS[stocktake.state]}）"
    if stocktake.closed_by is None or stocktake.closed_at is None:
        return sheets.Count(centre=centre, number=number, occasion=occasion)
    is_approved = stocktake.state is State.APPROVED
    approved_at = stocktake.decided_at if is_approved else None
    return sheets.Counted(
        centre=centre,
        number=number,
        occasion=occasion,
        counted_on=legal_day(stocktake.closed_at),
        lines=tuple(_lines(told)),
        counted_by=stocktake.closed_by,
        approved_by=stocktake.decided_by if is_approved else None,
        approved_on=legal_day(approved_at) if approved_at else None,
    )


def legal_day(at: datetime.datetime) -> datetime.date:
    """Return the legal day of a time."""
    return at.astimezone(LEGAL_ZONE).date()


def _lines(told: Result) -> Iterator[sheets.CountedLine]:
    for line in told.tallies:
        if line.sheet_count:
            yield sheets.CountedLine(
                series=line.series_code,
                serials=line.serials,
                book_count=line.sheet_count,
                counted_count=line.sheet_count,
                reason=line.heap,
            )
    is_approved = told.stocktake.state is State.APPROVED
    for one in told.differences:
        settled = "已调整" if is_approved else "待审批"
        yield sheets.CountedLine(
            series=one.series_code,
            serials=one.serials,
            book_count=one.sheet_count if one.is_booked_here else 0,
            counted_count=one.sheet_count if one.counted_state else 0,
            reason=f"{one.told[0]}。{one.reason or ''}",
            approval="不予调整" if one.to_state is None else settled,
        )
