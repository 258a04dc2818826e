"""Print runs, papers and certificates under random hands."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from service import wiring
from service.ground import errors
from service.ground.db import Connection
from service.ground.objects import Objects
from service.issuing import changes, issuance
from service.paper import printing
from service.paper.blanks import Kind, serials
from service.paper.papers import changing
from service.paper.printing import faces, planning
from service.paper.printing.settling import Said
from service.registry.accounts import PROVINCE, Actor
from service.wiring import Desk
from tests import printshop
from tests.desks.hands import Hands, rarely, somebody
from tests.desks.model import (
    CITIES,
    CODES,
    ENDED,
    SHEETS_MAX,
    STANDING_AFTER,
    Change,
    Paper,
    Run,
    Step,
    city_of,
    doomed,
    shelf,
    stranger,
    when,
)
from tests.stationery import DOCUMENT
from tests.world import TODAY


class Printing(Hands):
    """What is printed, handed over, and changed."""

    def plan_a_run(self, luck: Random) -> None:
        """An operator chooses certificates that want paper."""
        by = somebody(luck, *(f"operator-{one}" for one in CITIES))
        known = sorted(self.model.certificates.values(), key=lambda one: one.number)
        wanting = [one for one in known if one.is_wanting and one.city == city_of(by)]
        chosen = luck.sample(wanting, luck.randint(min(1, len(wanting)), min(6, len(wanting))))
        chosen += [one for one in wanting if one.remark and one not in chosen][:2]
        if not chosen or rarely(luck):
            chosen.append(luck.choice(known))
        unfit = len(chosen) > len({one.number for one in chosen}) or not all(
            one in wanting for one in chosen
        )
        if self._does(
            by, planning.plan, [one.number for one in chosen],
            unless=stranger(by, "operator", city_of(by)) | when(unfit, errors.PaperNotWanted),
        ):  # fmt: skip
            run_id = self.came.run_id
            lines = {one.number: (one.version, one.remark) for one in chosen}
            self.runs.append(Run(run_id, city_of(by), by, dict(sorted(lines.items()))))
            for one in chosen:
                one.run = run_id

    def go_on_with_a_run(self, luck: Random) -> None:
        """It is drawn, printed, settled, drawn again, closed, or cancelled."""
        run = self._one_of(luck, self.runs, lambda one: one.state not in ENDED)
        next_acts = {
            "planned": [self._draw, self._draw, self._draw, self._cancel],
            "drawn": [self._settle, self._settle, self._settle, self._print, self._cancel],
            "settled": [self._draw if self._left(run) else self._end_run, self._end_run],
        }.get(run.state, [self._draw])
        every = [self._draw, self._print, self._settle, self._end_run, self._cancel]
        luck.choice(every if rarely(luck) else next_acts)(luck, run)

    def _draw(self, luck: Random, run: Run) -> None:
        by, left = somebody(luck, f"keeper-{run.city}"), self._left(run)
        given = luck.choice([None, None, *CODES])
        stocked = [code for code in CODES if self.model.there(code, shelf(run.city))]
        code = run.code or given or (stocked or CODES)[0]
        there, typed = self.model.there(code, shelf(run.city)), None
        wrongs = stranger(by, "keeper", run.city, errors.RunUnknown)
        wrongs |= when(run.state not in {"planned", "settled"}, errors.RunInOtherState)
        wrongs |= when(not left, errors.NothingToPrint)
        wrongs |= when(given and run.code and given != run.code, errors.SeriesUnknown)
        if luck.randrange(4) == 3 and len(there) >= len(left) > 0:
            drawn = set(luck.sample(there, len(left))) | ({SHEETS_MAX} if rarely(luck) else set())
            typed = self.series[code].numerals.ranges_text(serials.of(drawn))
            wrongs |= when(len(drawn) != len(left), errors.SerialsMiscounted)
        else:
            drawn = set(there[: len(left)])
            wrongs |= when(len(drawn) < len(left), errors.BlanksTooFew)
        moving = Step(Kind.DRAW, code, tuple(sorted(drawn)), shelf(run.city), (run.city, "drawn"))
        act = partial(printing.draw, series_code=given, typed=typed)
        if self._does(
            by, act, run.run_id, moving=[moving], together=[run.planned_by], unless=wrongs
        ):
            run.state, run.code, run.pdf_count = "drawn", code, 0
            run.rounds += 1
            run.sheets = list(zip(moving.some, left, strict=True))
            run.counts["draw"] += len(left)

    def _print(self, luck: Random, run: Run) -> None:
        by = somebody(luck, f"operator-{run.city}")

        async def make(connection: Connection, actor: Actor) -> int:
            made = await faces.of_run(connection, actor, run.run_id, preview=False)
            assert [one.serial for one in made.faces] == [serial for serial, _ in run.sheets]
            return await faces.count(connection, actor, made, None)

        fallen = not all(self._stands(run, number) for _, number in run.sheets)
        if self._does(
            by, make,
            unless=stranger(by, "operator", run.city, errors.RunUnknown)
            | when(run.state != "drawn", errors.RunInOtherState)
            | when(run.state == "drawn" and fallen, errors.RunFallen),
        ):  # fmt: skip
            run.pdf_count += 1

    def _settle(self, luck: Random, run: Run) -> None:
        """Tell what became of each sheet: fed from either end, slipped through, changed by hand."""
        by, taken = somebody(luck, f"operator-{run.city}"), [one for one, _ in run.sheets]
        fates = {one: luck.choice(["printed"] * 4 + ["spoiled", "returned"]) for one in taken}
        slipped = [one for one in taken if fates[one] != "printed" and luck.random() < 0.3]
        is_reversed = luck.randrange(4) == 3
        fed = [one for one in (taken[::-1] if is_reversed else taken) if one not in slipped]
        bears = dict(zip(fed, (number for _, number in run.sheets), strict=False))
        printed = [one for one in taken if fates[one] == "printed"]
        carries = []
        if len(printed) > 1 and luck.randrange(4) == 3:
            one, other = luck.sample(printed, 2)
            bears[one], bears[other] = bears[other], bears[one]
            carries = [(one, bears[one]), (other, bears[other])]
        numerals = self.series[run.code or CODES[0]].numerals
        spoiled, returned = (
            [one for one in taken if fates[one] == fate] for fate in ("spoiled", "returned")
        )
        told_twice, is_misread = returned[:1] if rarely(luck) else [], rarely(luck)
        said = Said(
            printed=len(printed) + rarely(luck),
            spoiled="，".join(map(numerals.text, spoiled + told_twice)),
            not_printed=" ".join(str(1 + taken.index(one)) for one in returned),
            is_reversed=is_reversed,
            shifts=[numerals.text(one) for one in slipped],
            carries=[(numerals.text(one), number) for one, number in carries],
            last="0000" if is_misread else bears[printed[-1]][-4:] if printed else "",
        )
        ends = ((Kind.PRINT, printed, (run.city, "printed")),
                (Kind.SPOIL, spoiled, doomed(run.city)),
                (Kind.RETURN, returned, shelf(run.city)))  # fmt: skip
        fallen = not all(self._stands(run, bears[one]) for one in printed)
        if self._does(
            by, printing.settle, run.run_id, said,
            moving=[
                Step(kind, run.code or "", tuple(moved), (run.city, "drawn"), end)
                for kind, moved, end in ends
            ],
            unless=stranger(by, "operator", run.city, errors.RunUnknown)
            | when(run.state != "drawn", errors.RunInOtherState)
            | when(told_twice or (is_misread and printed), errors.SettlementUnclear)
            | when(said.printed != len(printed), errors.PrintedMiscounted)
            | when(fallen, errors.RunFallen),
        ):  # fmt: skip
            run.state, run.sheets = "settled", []
            run.counts.update({kind.value: len(moved) for kind, moved, _ in ends})
            for one in printed:
                version, remark = run.lines[bears[one]]
                held = self.model.certificates[bears[one]]
                held.paper = Paper(run.code or "", one, version, remark)
                run.printed.add(held.number)

    def _end_run(self, luck: Random, run: Run) -> None:
        by = somebody(luck, f"keeper-{run.city}")
        wrongs = stranger(by, "keeper", run.city, errors.RunUnknown)
        wrongs |= when(run.state != "settled", errors.RunInOtherState)
        if self._does(by, printing.close, run.run_id, unless=wrongs):
            self._is_over(run, "closed")

    def _cancel(self, luck: Random, run: Run) -> None:
        by, is_drawn = somebody(luck, f"keeper-{run.city}"), run.state == "drawn"
        wrongs = stranger(by, "keeper operator", run.city, errors.RunUnknown)
        wrongs |= when(is_drawn, *stranger(by, "keeper", run.city))
        wrongs |= when(
            run.state not in {"planned", "drawn"} or run.rounds > 1, errors.RunInOtherState
        )
        wrongs |= when(run.pdf_count, errors.PrintedPerhaps)
        taken = tuple(one for one, _ in run.sheets)
        back = Step(Kind.RETURN, run.code or "", taken, (run.city, "drawn"), shelf(run.city))
        moving = [back] if taken else []
        if self._does(by, printing.cancel, run.run_id, moving=moving, unless=wrongs):
            run.counts["return"] += len(taken)
            run.sheets = []
            self._is_over(run, "cancelled")

    def _is_over(self, run: Run, state: str) -> None:
        run.state = state
        for number in run.lines:
            self.model.certificates[number].run = None

    def _left(self, run: Run) -> list[str]:
        """List what of a run still wants paper."""
        return [
            number for number, (version, _) in run.lines.items()
            if number not in run.printed
            and (held := self.model.certificates[number]).paper is None
            and (held.version, held.standing) == (version, "valid")
        ]  # fmt: skip

    def _stands(self, run: Run, number: str) -> bool:
        held = self.model.certificates[number]
        return held.version == run.lines[number][0] and held.standing in {"valid", "suspended"}

    def hand_over(self, luck: Random) -> None:
        """Holders collect their papers, all of them or none."""
        city = luck.choice([one for one in self._papered() if self._is_ready(one)]).city
        by = somebody(luck, f"operator-{city}")
        ready = [one for one in self._papered() if self._is_ready(one) and one.city == city]
        chosen = luck.sample(ready, luck.randint(1, min(4, len(ready))))
        if rarely(luck):
            chosen = [luck.choice(list(self.model.certificates.values()))]
        steps = [
            Step(Kind.HAND_OVER, one.paper.code, (one.paper.serial,), (one.city, "printed"),
                 (one.city, "handed-over"))
            for one in chosen if one.paper
        ]  # fmt: skip

        async def collect(connection: Connection, actor: Actor) -> int:
            numbers = [one.number for one in chosen]
            return await printshop.hand_over_at(Desk(connection, actor), *numbers)

        unknown = any(
            one.paper is None or city_of(by) not in {one.city, PROVINCE} for one in chosen
        )
        self._does(
            by, collect, moving=steps,
            unless=stranger(by, "operator", city_of(by))
            | when(unknown, errors.PaperUnknown)
            | when(not all(map(self._is_ready, chosen)), errors.HandOverRefused),
        )  # fmt: skip

    def ask_to_change_a_paper(self, luck: Random) -> None:
        """An operator asks for a reissue, an exchange, or that a paper is taken out."""
        held = luck.choice(self._papered())
        by = somebody(luck, f"operator-{held.city}")
        kinds = [one for one in changing.Kind if self.model.paper_step(one, held)]
        kind = luck.choice(list(changing.Kind) if rarely(luck) or not kinds else kinds)
        waits = any(one.paper is held.paper and not one.is_decided for one in self.changes)
        act = partial(changing.ask, reason="雨淋", document_number=DOCUMENT)
        if self._does(
            by, act, kind, held.number,
            unless=stranger(by, "operator", held.city, errors.PaperUnknown)
            | when(kind not in kinds, errors.PaperChangeImpossible)
            | when(waits, errors.ChangeOpen),
        ):  # fmt: skip
            assert held.paper
            state = self.model.sheets[held.paper.code][held.paper.serial][1]
            self.changes.append(Change(self.came, kind, held, held.paper, state, by))

    def decide_on_a_paper(self, luck: Random) -> None:
        """A reviewer confirms or declines."""
        asked = self._one_of(luck, self.changes, lambda one: not one.is_decided)
        by, is_declined = somebody(luck, f"reviewer-{asked.of.city}"), luck.randrange(6) == 5
        roles = "reviewer operator" if is_declined else "reviewer"
        wrongs = stranger(by, roles, asked.of.city, errors.ChangeUnknown)
        wrongs |= when(asked.is_decided, errors.ChangeDecided)
        if is_declined:
            done = self._does(by, changing.decline, asked.change_id, "不妥", unless=wrongs)
        else:
            step = self.model.paper_step(asked.kind, asked.of)
            account = (asked.of.city, asked.state)
            if asked.of.paper is not asked.paper or (step and step.beginning != account):
                step = None
            wrongs |= when(step is None, errors.PaperChangeImpossible)
            done = self._does(
                by, changing.confirm, asked.change_id,
                moving=[step] if step else [], together=[asked.asked_by], unless=wrongs,
            )  # fmt: skip
        asked.is_decided |= done

    def change_a_certificate(self, luck: Random) -> None:
        """Two persons revoke, cancel, suspend, lift or correct."""
        kind = luck.choice(list(changes.Kind))
        busy = [one for one in self.model.certificates.values() if one.paper or one.run]
        held = luck.choice(busy or list(self.model.certificates.values()))
        by, other = luck.sample([f"{role}-{held.city}" for role in ("operator", "reviewer")], 2)
        target = STANDING_AFTER.get((kind, held.standing)) if held.is_issued else None
        grounds = changes.Grounds(number=held.number, reason="核实", document_number=DOCUMENT)
        is_correction = kind is changes.Kind.CORRECT
        told: Sequence[Any] = (kind, grounds)
        act: Callable[..., Awaitable[int]] = changes.ask
        if is_correction:
            told = (grounds, changes.Correction(score=f"{60 + held.version}.3"))
            act = partial(
                changes.ask_correction, vault=wiring.vault(self.world.settings), today=TODAY,
                rules=wiring.rules(self.world.settings), host=self.world.settings.host,
                drawable=wiring.drawable_characters(),
            )  # fmt: skip
        confirm = partial(changes.confirm, edition="2026")
        if self._does(
            by, act, *told, unless=when(target is None, errors.ChangeImpossible)
        ) and self._does(other, confirm, self.came):
            assert target
            held.standing, held.is_issued = target, not is_correction
            held.version += is_correction

    def issue(self, luck: Random) -> None:
        """A worker seals the corrected versions."""
        objects = Objects.open(self.world.settings.store_address)
        working = issuance.work(
            self.connection, objects, self.press,
            worker="worker@tests", takeover_seconds=60, group_size=16,
        )  # fmt: skip
        assert self.runner.run(working)
        for one in self.model.certificates.values():
            one.is_issued = True
