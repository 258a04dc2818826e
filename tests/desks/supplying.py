"""Supply under random hands: requisitions, consignments, what was wrong with them."""

from collections.abc import Sequence
from functools import partial
from random import Random

from service.ground import errors
from service.paper import requisitions, supply
from service.paper.blanks import Kind, PaperKind, serials
from service.paper.blanks.serials import Range
from service.paper.requisitions import Wish
from service.paper.supply import Sending, arrivals
from service.paper.supply.arrivals import Counted, SettledAs
from service.registry.accounts import PROVINCE
from tests.desks.hands import GROUNDS, OF_PROVINCE, Hands, rarely, some, somebody
from tests.desks.model import (
    CITIES,
    CODES,
    KEEPERS,
    SETTLING,
    SHEETS_MAX,
    Consignment,
    Difference,
    Requisition,
    Step,
    city_of,
    doomed,
    shelf,
    stranger,
    when,
)
from tests.stationery import DOCUMENT
from tests.world import TODAY


class Supplying(Hands):
    """Paper from the printing house to the cities and back."""

    def take_in(self, luck: Random) -> None:
        """The printing house delivers to the province."""
        by, code = somebody(luck, KEEPERS[-1]), luck.choice(CODES)
        news = some(luck, self.model.there(code, None))
        self._does(
            by, supply.take_in, self.series[code], serials.of(news), DOCUMENT,
            moving=[Step(Kind.TAKE_IN, code, news, None, shelf(PROVINCE))],
            unless=stranger(by, "keeper", PROVINCE),
        )  # fmt: skip

    def ask_for_paper(self, luck: Random) -> None:
        """A city draws up a requisition of its passes, each counted once, and something more."""
        by, extra = somebody(luck, *KEEPERS[:2]), luck.randrange(8)
        city = city_of(by)
        passes = self.uncovered.get(city, 0)
        wish = Wish(extra_count=extra, extra_reason="补打")
        if self._does(
            by, partial(requisitions.make, today=TODAY), PaperKind.INNER, wish,
            unless=stranger(by, "keeper", city)
            | when(city == PROVINCE, errors.NotYourCity)
            | when(not passes + extra, errors.RequisitionEmpty),
        ):  # fmt: skip
            self.uncovered[city] = 0
            asked = Requisition(self.came.requisition_id, city, passes, extra)
            self.requisitions.append(asked)

    def decide_on_paper(self, luck: Random) -> None:
        """A requisition is submitted, approved, or closed."""
        asked = luck.choice(self.requisitions)
        unknown, other = errors.RequisitionUnknown, errors.RequisitionInOtherState
        if asked.state == "draft":
            by = somebody(luck, f"reviewer-{asked.city}")
            wrongs = stranger(by, "reviewer", asked.city, unknown)
            if self._does(by, requisitions.submit, asked.requisition_id, unless=wrongs):
                asked.state = "submitted"
        elif asked.state == "submitted":
            by, granted = somebody(luck, "province"), luck.randint(0, asked.extra + rarely(luck))
            unfit = granted > asked.extra or not asked.passes + granted
            if self._does(
                by, partial(requisitions.approve, extra_count=granted), asked.requisition_id,
                unless=stranger(by, "province", PROVINCE) | when(unfit, errors.GrantUnfit),
            ):  # fmt: skip
                asked.state, asked.approved = "approved", asked.passes + granted
        else:
            by, reason = somebody(luck, f"keeper-{asked.city}"), luck.choice(["", "够用"])
            on_the_road = any(
                one.asked is asked and one.state == "dispatched" for one in self.consignments
            )
            unsettled = any(one.of.asked is asked and one.open for one in self.differences)
            less = asked.supplied < asked.approved and not reason
            if self._does(
                by, requisitions.close, asked.requisition_id, reason,
                unless=stranger(by, "keeper", asked.city, unknown, errors.SupplyImpossible)
                | when(asked.state == "closed" or on_the_road, other)
                | when(unsettled or less, errors.RequisitionUnsettled),
            ):  # fmt: skip
                asked.state = "closed"

    def dispatch(self, luck: Random) -> None:
        """The province sends the next sheets, or those named, for a requisition or a reason."""
        by, code = somebody(luck, KEEPERS[-1]), luck.choice(CODES)
        approved = [one for one in self.requisitions if one.state == "approved"]
        asked = luck.choice([None, *(self.requisitions if rarely(luck) else approved)])
        city = asked.city if asked else luck.choice(CITIES)
        away = {
            serial for one in self.differences
            if one.fault == "extra" and one.of.code == code for serial in one.open
        }  # fmt: skip
        there = self.model.there(code, shelf(PROVINCE))
        sent, wrongs = some(luck, there, 8), stranger(by, "keeper", PROVINCE)
        count = len(sent)
        if is_counted := luck.random() < 0.5:
            wanted: int | Sequence[Range] = count
            at_hand = [one for one in there if one not in away]
            wrongs |= when(count > len(at_hand), errors.BlanksTooFew)
            sent = tuple(at_hand[:count])
        else:
            wanted = serials.of(sent)
            wrongs |= when(away & set(sent), errors.SerialsUnsettled)
        if asked:
            is_open = asked.state == "approved"
            wrongs |= when(not is_open, errors.RequisitionInOtherState)
            beyond = asked.supplied + count > asked.approved
            wrongs |= when(is_open and beyond, errors.BeyondApproved)
        sending = Sending(
            document_number=DOCUMENT, city_code=city, reason="" if asked else "调剂",
            requisition_id=asked.requisition_id if asked else None,
        )  # fmt: skip
        step = Step(Kind.DISPATCH, code, sent, shelf(PROVINCE), (city, "in-transit"))
        if self._does(
            by, supply.dispatch, self.series[code], wanted, sending, moving=[step], unless=wrongs
        ):
            assert not is_counted or self.came.ranges == serials.of(sent)
            self._is_sent(city, code, sent, "supply", asked)

    def send_back(self, luck: Random) -> None:
        """A city sends back what it does not need."""
        by, code = somebody(luck, *KEEPERS[:2]), luck.choice(CODES)
        city = city_of(by)
        sent = some(luck, self.model.there(code, shelf(city)), 4)
        if self._does(
            by, supply.send_back, self.series[code], serials.of(sent), GROUNDS,
            moving=[Step(Kind.SEND_BACK, code, sent, shelf(city), (city, "sent-back"))],
            unless=stranger(by, "keeper", city) | when(city == PROVINCE, errors.NotYourCity),
        ):  # fmt: skip
            self._is_sent(city, code, sent, "back", None)

    def receive(self, luck: Random) -> None:
        """Whoever a consignment goes to counts it, and names what is short, damaged, too many."""
        sent = self._one_of(luck, self.consignments, lambda one: one.state == "dispatched")
        is_back = sent.direction == "back"
        home = PROVINCE if is_back else sent.city
        by = somebody(luck, f"keeper-{home}")
        fates = {one: luck.choice(["", "", "", "short", "damaged"]) for one in sent.some}
        short, damaged = (
            {one for one, fate in fates.items() if fate == fault} for fault in ("short", "damaged")
        )
        sheets = self.model.sheets[sent.code]
        likely = [*self.model.there(sent.code, shelf(PROVINCE)), *range(1, SHEETS_MAX)]
        extra = set(luck.sample(likely, luck.choice([0, 0, 0, 1, 2])))
        known = {one for one in extra if sheets.get(one, ("",))[0] == city_of(by)}
        if not rarely(luck):
            extra -= known | set(sent.some)
        if rarely(luck):
            short |= set(luck.sample(range(1, SHEETS_MAX), 2))
        came = set(sent.some) - short
        unfit = short & damaged or (short | damaged) - set(sent.some)
        counted = len(sent.some) - len(short) + len(extra) + rarely(luck)
        account = (sent.city, "sent-back" if is_back else "in-transit")
        receive, spoil = (Kind.TAKE_BACK if is_back else Kind.RECEIVE), Kind.SPOIL
        steps = [
            Step(receive, sent.code, tuple(came), account, shelf(home)),
            Step(spoil, sent.code, tuple(damaged), shelf(home), doomed(home)),
        ]
        if not is_back:
            steps.append(Step(Kind.SHORT, sent.code, tuple(short), account, (sent.city, "short")))
        if self._does(
            by, arrivals.receive, sent.consignment_id,
            Counted(counted=counted, **{
                fault: serials.of(found)
                for fault, found in (("short", short), ("damaged", damaged), ("extra", extra))
            }),
            moving=steps,
            unless=stranger(by, "keeper", home, errors.ConsignmentUnknown)
            | when(sent.state != "dispatched", errors.ConsignmentInOtherState)
            | when(unfit or extra & (known | set(sent.some)), errors.DifferencesUnfit)
            | when(counted != len(sent.some) - len(short) + len(extra), errors.CountUnequal),
        ):  # fmt: skip
            sent.state = "received"
            self._note_differences(sent, by, {"short": short, "damaged": damaged, "extra": extra})

    def settle_a_difference(self, luck: Random) -> None:
        """The province says what became of it, whole or in part."""
        one = self._one_of(luck, self.differences, lambda one: bool(one.open))
        by = somebody(luck, "province")
        ways = [way for *key, way in SETTLING if key == [one.of.direction, one.fault]]
        way = luck.choice([*ways, *SettledAs]) if rarely(luck) else luck.choice(ways)
        part = some(luck, sorted(one.open)) if luck.random() < 0.5 else ()
        sheets = self.model.sheets[one.of.code]
        steps, wanted = [], part or tuple(sorted(one.open))
        if way in ways and (move := SETTLING[one.of.direction, one.fault, way]):
            booked = [serial for serial in wanted if way != "kept" or serial in sheets]
            fresh = tuple(serial for serial in wanted if serial not in booked)
            news = Step(Kind.EXTRA, one.of.code, fresh, None, shelf(one.of.city))
            steps = [one.step(*move, booked), news]
        act = partial(arrivals.settle, ranges=serials.of(part))
        if self._does(
            by, act, one.difference_id, SettledAs(way), GROUNDS,
            moving=steps, together=[one.recorded_by],
            unless=stranger(by, "province", PROVINCE)
            | when(not one.open, errors.DifferenceNotOpen)
            | when(way not in ways, errors.SettlementUnfit)
            | when(set(part) - one.open, errors.DifferencesUnfit),
        ):  # fmt: skip
            one.open -= set(wanted)
            if one.of.asked:
                signs = {"unsent": -1, "lost": -1, "kept": 1}
                one.of.asked.supplied += signs.get(way, 0) * len(wanted)

    def undo(self, luck: Random) -> None:
        """Two persons of the sender take back what nobody has received."""
        sent = self._one_of(luck, self.consignments, lambda one: one.state == "dispatched")
        home, on_the_road = PROVINCE, (sent.city, "in-transit")
        hands: tuple[str, ...] = OF_PROVINCE
        step = Step(Kind.DISPATCH, sent.code, sent.some, shelf(home), on_the_road).back(sent.some)
        if sent.direction == "back":
            home, hands = sent.city, (f"keeper-{sent.city}", f"reviewer-{sent.city}")
            step = Step(Kind.UNSENT, sent.code, sent.some, (home, "sent-back"), shelf(home))
        by, first = somebody(luck, *hands), sent.undo_asked_by
        unknown = (errors.ConsignmentUnknown, errors.SupplyImpossible)
        if self._does(
            by, supply.undo, sent.consignment_id, "发错",
            moving=[step] if first else [], together=[first] if first else [],
            unless=stranger(by, "keeper reviewer province", home, *unknown)
            | when(sent.state != "dispatched", errors.ConsignmentInOtherState)
            | when(by == first, errors.SecondPersonNeeded),
        ):  # fmt: skip
            sent.state = "undone" if first else sent.state
            sent.undo_asked_by = first or by
            if first and sent.asked:
                sent.asked.supplied -= len(sent.some)

    def _is_sent(
        self, city: str, code: str, sent: tuple[int, ...], way: str, asked: Requisition | None
    ) -> None:
        one = Consignment(self.came.consignment_id, city, code, sent, way, asked)
        self.consignments.append(one)
        if asked:
            asked.supplied += len(sent)

    def _note_differences(self, sent: Consignment, by: str, found: dict[str, set[int]]) -> None:
        told: dict[str, set[int]] = {fault: set() for fault in found}
        for one in self.runner.run(arrivals.differences(self.connection)):
            if one.consignment_id == sent.consignment_id:
                these = set(serials.each([one.range]))
                told[one.kind] |= these
                self.differences.append(
                    Difference(one.difference_id, sent, one.kind.value, these, by)
                )
        assert told == found
