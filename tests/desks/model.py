"""A small model of paper at its desks: where each sheet is, what waits, what must come of an act.

It lists every sheet and every certificate, knows the rules of the books and nothing of how the
rooms keep them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import msgspec

from service.ground.errors import (
    ActNotGranted,
    NotYourCity,
    Refusal,
    SerialsElsewhere,
    SerialsInOtherState,
    SerialsKnown,
    SerialsUnknown,
)
from service.issuing import changes
from service.paper.blanks import Kind
from service.paper.papers import changing
from service.registry.accounts import PROVINCE
from tests.printshop import OLDER
from tests.stationery import INNER
from tests.world import CHENGDU, MIANYANG

CITIES = (CHENGDU, MIANYANG)
CENTRES = (*CITIES, PROVINCE)
CODES = (OLDER.series_code, INNER.series_code)
SHEETS_MAX = 50
ENDED = {"closed", "cancelled"}
KEEPERS = tuple(f"keeper-{one}" for one in CENTRES)
EVERYBODY = (
    *KEEPERS, "province", f"province-{PROVINCE}", f"auditor-{PROVINCE}",
    *(f"{role}-{one}" for one in CITIES for role in ("operator", "reviewer", "auditor")),
)  # fmt: skip

Account: TypeAlias = tuple[str, str]
"""A centre and a state; None in its place is outside the books."""
Differing: TypeAlias = dict[tuple[str, int], tuple[Account | None, Account | None]]
"""Serials of series that were not found where they are booked, and where they are adjusted to."""
Wrongs: TypeAlias = set[type[Refusal]]

_COUNTED = {"at-province", "at-city", "pending-destruction"}
_WITH_HOLDERS = {"printed", "handed-over"}
SETTLING: dict[tuple[str, str, str], tuple[Kind, str, str] | None] = {
    ("supply", "short", "arrived"): (Kind.ARRIVE, "short", "at-city"),
    ("supply", "short", "unsent"): (Kind.UNSENT, "short", "at-province"),
    ("supply", "short", "lost"): (Kind.LOSE, "short", "lost"),
    ("supply", "damaged", "acknowledged"): None,
    ("supply", "extra", "kept"): (Kind.EXTRA, "at-province", "at-city"),
    ("supply", "extra", "returned"): None,
    ("back", "short", "arrived"): (Kind.TAKE_BACK, "sent-back", "at-province"),
    ("back", "short", "returned"): (Kind.RETURN, "sent-back", "at-city"),
    ("back", "short", "lost"): (Kind.LOSE, "sent-back", "lost"),
    ("back", "damaged", "acknowledged"): None,
    ("back", "extra", "returned"): None,
}  # what may become of what was wrong with a consignment
STANDING_AFTER = {
    (changes.Kind.REVOKE, "valid"): "revoked",
    (changes.Kind.REVOKE, "suspended"): "revoked",
    (changes.Kind.CANCEL, "valid"): "cancelled",
    (changes.Kind.CANCEL, "suspended"): "cancelled",
    (changes.Kind.SUSPEND, "valid"): "suspended",
    (changes.Kind.LIFT, "suspended"): "valid",
    (changes.Kind.CORRECT, "valid"): "valid",
}


class Step(msgspec.Struct, frozen=True):
    """Sheets that move from an account to another; a counter-movement names what it counters."""

    kind: Kind
    code: str
    some: tuple[int, ...]
    beginning: Account | None
    end: Account | None
    of: Kind | None = None

    @property
    def chain(self) -> str:
        """The city in whose books it stands, the province's only where no city is concerned."""
        cities = {one[0] for one in (self.beginning, self.end) if one} - {PROVINCE}
        return cities.pop() if cities else PROVINCE

    @property
    def is_counterable(self) -> bool:
        """Whether an order may take it back."""
        by_origin = self.beginning is not None and self.beginning[1] in _COUNTED
        return self.kind in {Kind.TAKE_IN, Kind.OPEN, Kind.DESTROY, Kind.ADJUST} or (
            self.kind in {Kind.SPOIL, Kind.LOSE} and by_origin
        )

    def back(self, some: Iterable[int]) -> "Step":
        """Counter it, or a part of it."""
        return Step(Kind.COUNTER, self.code, tuple(some), self.end, self.beginning, self.kind)


class Paper(msgspec.Struct, frozen=True):
    """A paper: its serial, and what of which version stands on it."""

    code: str
    serial: int
    version: int
    remark: str


class Certificate(msgspec.Struct):
    """A certificate; `version` is its newest, `remark` what its next paper says."""

    number: str
    name: str
    city: str
    version: int = 1
    standing: str = "valid"
    is_issued: bool = True
    remark: str = ""
    paper: Paper | None = None
    run: int | None = None

    @property
    def is_wanting(self) -> bool:
        """Whether a run may take it."""
        return (self.is_issued, self.standing, self.paper, self.run) == (True, "valid", None, None)


class Requisition(msgspec.Struct):
    requisition_id: int
    city: str
    passes: int
    extra: int
    state: str = "draft"
    approved: int = 0
    supplied: int = 0


class Consignment(msgspec.Struct):
    consignment_id: int
    city: str
    code: str
    some: tuple[int, ...]
    direction: str
    asked: Requisition | None = None
    state: str = "dispatched"
    undo_asked_by: str | None = None


class Difference(msgspec.Struct):
    difference_id: int
    of: Consignment
    fault: str
    open: set[int]
    recorded_by: str

    def step(self, kind: Kind, first: str, last: str, some: Iterable[int]) -> "Step":
        """Say how it is settled; what was short of the province's is lost of the province."""
        sides = {"at-province": PROVINCE}
        lost_to = PROVINCE if (first, last) == ("short", "lost") else self.of.city
        ends = sides.get(first, self.of.city), sides.get(last, lost_to)
        return Step(kind, self.of.code, tuple(some), (ends[0], first), (ends[1], last))


class Order(msgspec.Struct):
    order_id: int
    step: Step
    city: str
    person_count: int
    asked_by: str
    counters: int | None = None
    signed: str | None = None
    is_decided: bool = False


class Stocktake(msgspec.Struct):
    stocktake_id: int
    city: str
    codes: Sequence[str]
    hands: set[str]
    state: str = "opened"
    closed_by: str = ""
    found: dict[tuple[str, int], Account | None] = {}
    differing: Differing = {}


class Run(msgspec.Struct):
    run_id: int
    city: str
    planned_by: str
    lines: dict[str, tuple[int, str]]
    state: str = "planned"
    code: str | None = None
    rounds: int = 0
    pdf_count: int = 0
    sheets: list[tuple[int, str]] = []
    printed: set[str] = set()
    counts: Counter[str] = msgspec.field(default_factory=Counter)


class Change(msgspec.Struct):
    change_id: int
    kind: changing.Kind
    of: Certificate
    paper: Paper
    state: str
    asked_by: str
    is_decided: bool = False


class Model:
    """Every sheet with its account, and what came and went."""

    def __init__(self, certificates: Iterable[Certificate]) -> None:
        self.sheets: dict[str, dict[int, Account]] = {code: {} for code in CODES}
        self.certificates = {one.number: one for one in certificates}
        self.counting: set[tuple[str, str]] = set()
        self.inked: set[tuple[str, int]] = set()
        self.flows: Counter[tuple[str, ...]] = Counter()

    def there(self, code: str, account: Account | None) -> list[int]:
        """List the sheets of an account."""
        return [one for one in range(1, SHEETS_MAX) if self.sheets[code].get(one) == account]

    def wrongs(self, steps: Iterable[Step], by_city: str) -> Wrongs:
        """Say what the first thing wrong of each step is, in the documented order."""
        trial: dict[str, dict[int, Account | None]] = {
            code: dict(sheets.items()) for code, sheets in self.sheets.items()
        }
        wrongs: Wrongs = set()
        for step in steps:
            wrongs |= _misplaced(step, [trial[step.code].get(one) for one in step.some], by_city)
            trial[step.code] |= dict.fromkeys(step.some, step.end)
        return wrongs

    def is_counted(self, step: Step) -> bool:
        """Whether a stocktake keeps sheets from moving so."""
        ends = [one for one in (step.beginning, step.end) if one and one[1] in _COUNTED]
        return any((step.code, one[0]) in self.counting for one in ends)

    def move(self, step: Step) -> None:
        """Move sheets, and the papers that they are."""
        for serial in step.some:
            if step.end is None:
                del self.sheets[step.code][serial]
            else:
                self.sheets[step.code][serial] = step.end
        if step.beginning and step.beginning[1] == "drawn" and step.kind is not Kind.RETURN:
            self.inked |= {(step.code, serial) for serial in step.some}
        if step.beginning and step.beginning[1] in _WITH_HOLDERS:
            self._end_papers(step)
        first, last, kind, sign = step.beginning, step.end, step.kind, 1
        if step.of is not None:
            first, last, kind, sign = last, first, step.of, -1
        states = (one[1] if one else "outside" for one in (first, last))
        self.flows[(step.code, step.chain, kind, *states)] += sign * len(step.some)

    def differing(self, take: Stocktake) -> Differing:
        """Say what a stocktake finds otherwise, and where an adjustment would take it."""
        differing: Differing = {}
        free, spoiled, lost = shelf(take.city), doomed(take.city), (take.city, "lost")
        for (code, serial), found in take.found.items():
            booked = self.sheets[code].get(serial)
            if found is None and booked in (free, spoiled):
                differing[code, serial] = (booked, lost)
            elif found is not None and found != booked:
                is_fit = found == spoiled or (code, serial) not in self.inked
                is_adjusted = booked in (None, free) or (booked == lost and is_fit)
                differing[code, serial] = (booked, found if is_adjusted else None)
        return differing

    def paper_step(self, kind: changing.Kind, one: Certificate) -> Step | None:
        """Say how a change moves the current paper of a certificate, if there is such a change."""
        if one.paper is None:
            return None
        account = self.sheets[one.paper.code][one.paper.serial]
        stands, fell = one.standing == "valid", one.standing in {"revoked", "cancelled"}
        moves = {
            ("reissue", "printed", stands): (Kind.LOSE, "lost"),
            ("reissue", "handed-over", stands): (Kind.LOSE, "lost"),
            ("exchange", "handed-over", stands): (Kind.RECALL, "pending-destruction"),
            ("take-back", "handed-over", fell): (Kind.RECALL, "pending-destruction"),
            ("take-back", "printed", fell): (Kind.SPOIL, "pending-destruction"),
            ("spoil", "printed", True): (Kind.SPOIL, "pending-destruction"),
            ("undo-hand-over", "handed-over", True): (Kind.COUNTER, "printed"),
        }
        move = moves.get((kind.value, account[1], True))
        if move is None:
            return None
        of = Kind.HAND_OVER if move[0] is Kind.COUNTER else None
        end = (one.city, move[1])
        return Step(move[0], one.paper.code, (one.paper.serial,), account, end, of)

    def require_sums(self) -> None:
        """Hold what was sent, what a city ever got and what it drew against where it is."""
        for code in CODES:
            stock = Counter(self.sheets[code].values())
            for city in CITIES:
                self._require_sums(code, city, stock)

    def _require_sums(self, code: str, city: str, stock: Counter[Account]) -> None:
        def flow(kind: str, *states: str) -> int:
            return sum(
                count
                for (*key, first, last), count in self.flows.items()
                if key == [code, city, kind] and [first, last][: len(states)] == list(states)
            )

        short, received = flow("short") - flow("arrive"), flow("receive") + flow("arrive")
        assert flow("dispatch") == stock[city, "in-transit"] + received + short
        assert flow("short") == stock[city, "short"] + sum(
            flow(kind, "short") for kind in ("arrive", "unsent", "lose")
        )
        adjusted = flow("adjust", "outside") + flow("extra")
        assert flow("open") + received + adjusted == flow("take-back") + sum(
            stock[city, state]
            for state in ("at-city", "drawn", "printed", "handed-over", "pending-destruction",
                          "destroyed", "lost", "sent-back")
        )  # fmt: skip
        assert flow("draw") == stock[city, "drawn"] + sum(
            flow(kind, "drawn") for kind in ("print", "spoil", "return")
        )

    def _end_papers(self, step: Step) -> None:
        if step.end is None or step.end[1] in _WITH_HOLDERS:
            return
        for one in self.certificates.values():
            if one.paper and one.paper.code == step.code and one.paper.serial in step.some:
                was_handed = step.beginning == (one.city, "handed-over")
                kept = "换发" if was_handed else one.paper.remark
                one.remark = "补发" if step.end[1] == "lost" else kept
                one.paper = None


def city_of(account_name: str) -> str:
    """The centre that somebody works for."""
    return account_name.partition("-")[2] or PROVINCE


def stranger(by: str, roles: str, city: str, *unknown: type[Refusal]) -> Wrongs:
    """Say why somebody is not who does this in that centre, if it is so."""
    if by.partition("-")[0] not in roles.split():
        return {ActNotGranted}
    return set() if city_of(by) == city else {NotYourCity, *unknown}


def when(holds: object, *wrongs: type[Refusal]) -> Wrongs:
    """Name the refusals that may come where something holds."""
    return set(wrongs) if holds else set()


def shelf(city: str) -> Account:
    """Where the free sheets of a centre are."""
    return city, "at-province" if city == PROVINCE else "at-city"


def doomed(city: str) -> Account:
    """Where its sheets wait for destruction."""
    return city, "pending-destruction"


def _misplaced(step: Step, where: Sequence[Account | None], by_city: str) -> Wrongs:
    if step.beginning is None:
        return {SerialsKnown} if any(where) else set()
    if None in where:
        return {SerialsUnknown}
    own = {step.chain, step.beginning[0]}
    if any(one and (one[0] not in own or by_city not in {PROVINCE, one[0]}) for one in where):
        return {SerialsElsewhere}
    return {SerialsInOtherState} if any(one != step.beginning for one in where) else set()
