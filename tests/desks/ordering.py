"""Orders and stocktakes under random hands."""

from functools import partial
from random import Random

from service.ground import errors
from service.paper import orders, stocktakes
from service.paper.blanks import Kind, serials
from service.paper.stocktakes.records import Occasion
from service.registry.accounts import PROVINCE
from tests.desks.hands import GROUNDS, OF_PROVINCE, Hands, rarely, some, somebody
from tests.desks.model import (
    CODES,
    KEEPERS,
    SHEETS_MAX,
    Order,
    Step,
    Stocktake,
    Wrongs,
    city_of,
    doomed,
    shelf,
    stranger,
    when,
)


class Ordering(Hands):
    """What is never one person's, and what is counted."""

    def ask_for_an_order(self, luck: Random) -> None:
        """Somebody who keeps paper asks for what is never one person's."""
        kind = luck.choice([Kind.OPEN, Kind.LOSE, Kind.FIND, Kind.DESTROY])
        by, code = somebody(luck, *KEEPERS, "province"), luck.choice(CODES)
        city = city_of(by)
        is_spoiled = kind is Kind.LOSE and luck.random() < 0.5
        beginning, end = {
            Kind.OPEN: (None, shelf(city)),
            Kind.LOSE: (doomed(city) if is_spoiled else shelf(city), (city, "lost")),
            Kind.FIND: ((city, "lost"), doomed(city)),
            Kind.DESTROY: (doomed(city), (city, "destroyed")),
        }[kind]
        there = self.model.there(code, beginning)
        is_all = kind is Kind.DESTROY and luck.random() < 0.5
        step = Step(kind, code, tuple(there) if is_all else some(luck, there, 4), beginning, end)
        act = partial(
            orders.ask, series=self.series[code], is_spoiled=is_spoiled,
            ranges=() if is_all else serials.of(step.some),
        )  # fmt: skip
        if self._does(
            by, act, kind, GROUNDS,
            unless=stranger(by, "keeper province", city)
            | when(is_all and not there, errors.NothingPending)
            | self.model.wrongs([step], city),
        ):  # fmt: skip
            persons = 3 if kind is Kind.DESTROY else 2
            self.orders.append(Order(self.came, step, city, persons, by))

    def ask_to_counter(self, luck: Random) -> None:
        """Somebody asks that a movement is taken back, whole or in part."""
        likely = [one for one in self.log[-30:] if one[1].is_counterable]
        movement_id, moved = luck.choice(self.log if rarely(luck) or not likely else likely)
        by = somebody(luck, *(one for one in KEEPERS if city_of(one) == moved.chain))
        step = moved.back(some(luck, moved.some))
        typed = self.series[moved.code].numerals.ranges_text(serials.of(step.some))
        chained = [
            one for one, step in self.log if (step.chain, step.code) == (moved.chain, moved.code)
        ]
        sequence = chained.index(movement_id) + 1 if city_of(by) == moved.chain else 10**9
        act = partial(orders.counter, typed=typed, grounds=GROUNDS)
        if self._does(
            by, act, self.series[moved.code], sequence,
            unless=stranger(by, "keeper province", moved.chain, errors.MovementUnknown)
            | when(not moved.is_counterable, errors.CounterImpossible)
            | when(set(step.some) - set(moved.some), errors.SerialsNotMoved)
            | self._wrongs_of_counter(step, movement_id),
        ):  # fmt: skip
            persons = 3 if moved.kind is Kind.DESTROY else 2
            self.orders.append(Order(self.came, step, moved.chain, persons, by, movement_id))

    def decide_on_an_order(self, luck: Random) -> None:
        """The second and third persons sign, or decline."""
        order = self._one_of(luck, self.orders, lambda one: not one.is_decided)
        city, roles = order.city, "operator reviewer keeper province"
        unknown = errors.OrderUnknown
        decided = when(order.is_decided, errors.OrderDecided)
        if luck.randrange(6) == 5:
            by = somebody(luck, order.asked_by)
            wrongs = stranger(by, roles, city, unknown) | decided
            if self._does(by, orders.decline, order.order_id, "不妥", unless=wrongs):
                order.is_decided = True
            return
        witnesses = order.person_count == 3
        local = [f"{role}-{city}" for role in roles.split()[:3] if city != PROVINCE]
        if witnesses is not rarely(luck):
            act, by = orders.witness, somebody(luck, *OF_PROVINCE, *local)
            wrongs = stranger(by, roles, city_of(by))
            wrongs |= when(city_of(by) not in {city, PROVINCE}, unknown)
            wrongs |= when(by in {order.asked_by, order.signed}, errors.SecondPersonNeeded)
        else:
            act, by = orders.confirm, somebody(luck, *(local[1:2] or OF_PROVINCE[1:]))
            wrongs = stranger(by, "reviewer province", city, unknown)
            wrongs |= when(by == order.asked_by, errors.SecondPersonNeeded)
        wrongs |= decided | when(
            witnesses is not (act is orders.witness), errors.OrderSignedOtherwise
        )
        is_last = not witnesses or order.signed is not None
        if self._does(
            by, act, order.order_id,
            moving=[order.step] if is_last else [],
            together=[one for one in (order.asked_by, order.signed) if one],
            unless=wrongs | self._wrongs_of_counter(order.step, order.counters),
        ):  # fmt: skip
            order.signed, order.is_decided = by, is_last

    def spoil(self, luck: Random) -> None:
        """Somebody who keeps paper sets damaged stock aside."""
        by, code = somebody(luck, *KEEPERS, "province"), luck.choice(CODES)
        city = city_of(by)
        bad = some(luck, self.model.there(code, shelf(city)), 3)
        self._does(
            by, orders.spoil, self.series[code], serials.of(bad), GROUNDS,
            moving=[Step(Kind.SPOIL, code, bad, shelf(city), doomed(city))],
            unless=stranger(by, "keeper province", city),
        )  # fmt: skip

    def _wrongs_of_counter(self, step: Step, counters: int | None) -> Wrongs:
        """Say why an order does not hold: they are not there, or have moved since."""
        moved = counters is not None and any(
            later > counters and one.code == step.code and set(one.some) & set(step.some)
            for later, one in self.log
        )
        wrongs = self.model.wrongs([step], step.chain)
        return wrongs | when(moved, errors.MovedSince)

    def open_a_stocktake(self, luck: Random) -> None:
        """From now on what it counts does not move."""
        by, codes = somebody(luck, *KEEPERS), luck.sample(CODES, luck.randint(1, 2))
        city = city_of(by)
        counting = {(code, city) for code in codes}
        series = [self.series[code] for code in codes]
        if self._does(
            by, stocktakes.open_, Occasion.SPOT, series,
            unless=stranger(by, "keeper province", city)
            | when(counting & self.model.counting, errors.StocktakeOpen),
        ):  # fmt: skip
            self.model.counting |= counting
            self.stocktakes.append(Stocktake(self.came, city, codes, {by}))

    def go_on_with_a_stocktake(self, luck: Random) -> None:
        """It is counted blind, closed, explained, approved, or given up."""
        take = luck.choice([one for one in self.stocktakes if one.state != "ended"])
        if rarely(luck):
            by = somebody(luck, f"keeper-{take.city}")
            wrongs = stranger(by, "keeper reviewer province", take.city, errors.StocktakeUnknown)
            if self._does(by, stocktakes.cancel, take.stocktake_id, "重盘", unless=wrongs):
                self._end(take)
        elif take.state == "opened":
            self._count(luck, take)
        elif take.state == "counted":
            self._close(luck, take)
        else:
            self._approve(luck, take)

    def _count(self, luck: Random, take: Stocktake) -> None:
        """Find most sheets where they are, some on the other heap, some not, and some strange."""
        heaps = (shelf(take.city), doomed(take.city))
        by, take.state, take.found = f"keeper-{take.city}", "counted", {}
        for code in take.codes:
            lost = self.model.there(code, (take.city, "lost"))
            likely = luck.choice([lost, range(1, SHEETS_MAX)])
            strange = luck.sample(likely, min(len(likely), luck.randrange(4)))
            for serial in sorted({*strange, *self.model.sheets[code]}):
                booked = self.model.sheets[code].get(serial)
                if booked in heaps or serial in strange:
                    found = (
                        luck.choice([*heaps, None]) if serial in strange or rarely(luck) else booked
                    )
                    take.found[code, serial] = found
            for heap in heaps:
                counted = [one for one in take.found if one[0] == code and take.found[one] == heap]
                if counted:
                    act = partial(stocktakes.count, is_spoiled=heap == doomed(take.city))
                    ends = serials.of(serial for _, serial in counted)
                    assert self._does(by, act, take.stocktake_id, self.series[code], ends)
        take.hands.add(by)

    def _close(self, luck: Random, take: Stocktake) -> None:
        by = somebody(luck, f"keeper-{take.city}")
        wrongs = stranger(by, "keeper province", take.city, errors.StocktakeUnknown)
        if self._does(by, stocktakes.close, take.stocktake_id, unless=wrongs):
            take.differing = self.model.differing(take)
            told = {
                (one.series_code, serial): one.to_state
                for one in self.came.differences for serial in serials.each(one.ranges)
            }  # fmt: skip
            assert told == {
                key: end[1] if end else None for key, (_, end) in take.differing.items()
            }
            take.state, take.closed_by = "closed", by
            take.hands.add(by)

    def _approve(self, luck: Random, take: Stocktake) -> None:
        if take.state == "closed" and not rarely(luck):
            by = somebody(luck, f"keeper-{take.city}")
            wrongs = stranger(by, "keeper province", take.city, errors.StocktakeUnknown)
            act = stocktakes.give_reason
            if self._does(by, act, take.stocktake_id, None, "记错", unless=wrongs):
                take.state = "explained"
                take.hands |= {by} if take.differing else set()
            return
        by = somebody(
            luck, *(OF_PROVINCE[1:] if take.city == PROVINCE else [f"reviewer-{take.city}"])
        )
        bare = take.differing and take.state == "closed"
        wrongs = stranger(by, "reviewer province", take.city, errors.StocktakeUnknown)
        wrongs |= when(by in take.hands, errors.SecondPersonNeeded)
        wrongs |= when(bare, errors.ReasonsAbsent)
        steps = [
            Step(Kind.ADJUST, code, (serial,), beginning, end)
            for (code, serial), (beginning, end) in take.differing.items() if end
        ]  # fmt: skip
        held = self.model.counting
        self.model.counting = {one for one in held if one not in self._counting(take)}
        if self._does(
            by, stocktakes.approve, take.stocktake_id,
            moving=steps, together=[take.closed_by], unless=wrongs,
        ):  # fmt: skip
            take.state = "ended"
        else:
            self.model.counting = held

    def _counting(self, take: Stocktake) -> set[tuple[str, str]]:
        return {(code, take.city) for code in take.codes}

    def _end(self, take: Stocktake) -> None:
        take.state = "ended"
        self.model.counting -= self._counting(take)
