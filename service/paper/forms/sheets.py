"""Sheets: what stands on each form, as its reader should see it.

Serials are texts, counts are sheets of paper, days are legal days; None is a place left empty.
"""

import datetime
from typing import ClassVar

import msgspec


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """All that one form shows; `form` is its folder in `templates/sheets/`."""

    form: ClassVar[str]


class Seal(msgspec.Struct, frozen=True):
    """Whose electronic seal a sheet is about to carry, and whether that is a specimen's."""

    centre: str
    specimen: bool


class ProjectLine(msgspec.Struct, frozen=True, kw_only=True):
    """The archived passes of one project that a requisition asks paper for."""

    project_name: str
    batch_count: int
    pass_count: int


class Requisition(Sheet, frozen=True, kw_only=True):
    """证书申领表. What was asked is computed from the lines and the extra."""

    form: ClassVar[str] = "requisition"

    centre: str
    number: str
    state: str
    kind: str
    archived_from: datetime.date
    archived_until: datetime.date
    lines: tuple[ProjectLine, ...]
    extra_count: int = 0
    extra_reason: str = ""
    stock_count: int
    approved_count: int | None = None
    supplied: tuple[str, ...] = ()
    applicant: str
    applied_on: datetime.date | None = None
    reviewer: str | None = None
    reviewed_on: datetime.date | None = None
    decision: str = ""
    decided_on: datetime.date | None = None


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a ledger; its balance follows from those above."""

    moved_on: datetime.date
    summary: str
    voucher: str
    serials: str
    received: int = 0
    issued: int = 0
    spoiled: int = 0
    handler: str
    reviewer: str = ""
    recipient: str = ""
    remark: str = ""


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a 台账; `closing` is what the stock says, not what the movements add up to."""

    city_name: str
    centre: str
    series: str
    period_from: datetime.date
    period_until: datetime.date
    opening: int
    closing: int


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger has come to after some of its movements."""

    received: int = 0
    issued: int = 0
    spoiled: int = 0
    balance: int

    def after(self, one: Movement) -> "Sums":
        """Add one movement."""
        return Sums(
            received=self.received + one.received,
            issued=self.issued + one.issued,
            spoiled=self.spoiled + one.spoiled,
            balance=self.balance + one.received - one.issued - one.spoiled,
        )


class SummaryLine(msgspec.Struct, frozen=True, kw_only=True):
    """One series of one city; `difference` counts what was sent and is not settled."""

    city_name: str
    series: str
    opening: int
    received: int
    issued: int
    spoiled: int
    closing: int
    in_transit: int
    printed: int
    handed_over: int
    pending_destruction: int
    destroyed: int
    lost: int
    difference: int


class Summary(Sheet, frozen=True, kw_only=True):
    """收发存汇总表 of what one centre may see: a city its own, the province all."""

    form: ClassVar[str] = "summary"

    centre: str
    period_from: datetime.date
    period_until: datetime.date
    lines: tuple[SummaryLine, ...]
    drawn_up_by: str


class HandoverLine(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate and the serial of its paper."""

    number: str
    name: str
    project_name: str
    serial: str


class Handover(Sheet, frozen=True, kw_only=True):
    """领取签收表, to be signed by those who collect."""

    form: ClassVar[str] = "handover"

    centre: str
    document_number: str
    subject: str
    lines: tuple[HandoverLine, ...]


class DestructionLine(msgspec.Struct, frozen=True, kw_only=True):
    """Serials of one series that are destroyed for one reason."""

    series: str
    serials: str
    sheet_count: int
    reason: str


class Destruction(Sheet, frozen=True, kw_only=True):
    """销毁清单, signed by the keeper and two witnesses."""

    form: ClassVar[str] = "destruction"

    centre: str
    document_number: str
    reason: str
    destroyed_on: datetime.date | None = None
    lines: tuple[DestructionLine, ...]
    keeper: str | None = None
    first_witness: str | None = None
    second_witness: str | None = None


class Count(Sheet, frozen=True, kw_only=True):
    """盘点表 to be filled in; it tells nothing of the books."""

    form: ClassVar[str] = "count"

    centre: str
    number: str
    occasion: str
    counted_on: datetime.date | None = None
    line_count: int = 20


class CountedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What the books say of a range, what was counted, and what became of the difference."""

    series: str
    serials: str
    book_count: int
    counted_count: int
    reason: str = ""
    approval: str = ""


class Counted(Sheet, frozen=True, kw_only=True):
    """盘点结果表."""

    form: ClassVar[str] = "count"

    centre: str
    number: str
    occasion: str
    counted_on: datetime.date
    lines: tuple[CountedLine, ...]
    counted_by: str
    approved_by: str | None = None
    approved_on: datetime.date | None = None
