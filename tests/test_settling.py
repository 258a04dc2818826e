"""Settling: what an operator says of a round decides what each sheet bears, or is refused."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.ground.errors import (
    PrintedMiscounted,
    PrintingImpossible,
    SettlementUnclear,
    SheetUnreadable,
)
from service.paper import printing
from service.paper.blanks import State, check
from service.paper.blanks.serials import Numerals
from service.paper.printing import planning, settling
from service.paper.printing.settling import Outcome, Said, Sheet
from service.wiring import Desk
from tests import printshop
from tests.printshop import COUNT, KEEPER, OPERATOR, Shop

NUMERALS = Numerals("川26A", 7)


def sheets(count: int, *, first: int = 101) -> list[Sheet]:
    """A round of drawn sheets; sheet 1 is to carry N1."""
    return [
        Sheet(
            position=place, serial=first + place - 1, number=f"N{place}", standing="valid",
            stands=True,
        )
        for place in range(1, count + 1)
    ]  # fmt: skip


def settled(count: int, **said: Any) -> dict[int, str | None]:
    """What each sheet of a round bears, by position."""
    found = settling.settle(sheets(count), Said(**said), NUMERALS)
    assert [one.position for one in found] == list(range(1, count + 1))
    return {one.position: one.number for one in found}


def bears(**numbers: int | None) -> dict[int, str | None]:
    return {
        int(place[1:]): None if number is None else f"N{number}"
        for place, number in numbers.items()
    }


# What an operator says.


def test_what_is_said_of_a_round_decides_what_each_sheet_bears() -> None:
    assert settled(3, printed=3) == bears(s1=1, s2=2, s3=3)
    assert settled(3, printed=3, is_reversed=True) == bears(s1=3, s2=2, s3=1)
    assert settled(4, printed=2, spoiled="2", not_printed="4") == bears(
        s1=1, s2=None, s3=3, s4=None
    )
    # Sheet 2 slipped through blank under sheet 1: page 2 came out on sheet 3, page 4 found none.
    assert settled(4, printed=3, not_printed="2", shifts=["0000102"]) == bears(
        s1=1, s2=None, s3=2, s4=3
    )
    assert settled(4, printed=3, spoiled="2", shifts=["2"], is_reversed=True) == bears(
        s1=3, s2=None, s3=2, s4=1
    )
    assert settled(5, printed=3, not_printed="2,4", shifts=["2", "4"]) == bears(
        s1=1, s2=None, s3=2, s4=None, s5=3
    )
    assert settled(3, printed=3, carries=[("川26A0000101", "N2"), ("2", "N１")]) == bears(
        s1=2, s2=1, s3=3
    )


def test_a_day_at_the_printer_is_said_in_one_breath() -> None:
    """A jam printed its page again, two sheets fed as one, toner ran out, paper lay backwards."""
    said = settled(
        500, printed=494, spoiled="137,420-422,460", not_printed="300", shifts=["137", "300"],
        carries=[("500-423", "418～495")],
    )  # fmt: skip
    truth = {place: place for place in range(1, 137)}
    truth |= {place: place - 1 for place in range(138, 300)}
    truth |= {place: place - 2 for place in range(301, 420)}
    truth |= {place: 918 - place for place in range(423, 501) if place != 460}
    assert {place: number for place, number in said.items() if number is not None} == {
        place: f"N{page}" for place, page in truth.items()
    }


@pytest.mark.parametrize(
    ("said", "positions"),
    [
        ("7,12", [7, 12]),
        ("7、12 20－22；1", [7, 12, 20, 21, 22, 1]),
        ("川26A0000101-0000103", [1, 2, 3]),
        ("0000102~5", [2, 3, 4, 5]),
        ("", []),
    ],
)
def test_sheets_are_told_by_place_or_by_serial(said: str, positions: list[int]) -> None:
    found = settling.settle(sheets(25), Said(printed=25 - len(positions), spoiled=said), NUMERALS)
    assert [one.position for one in found if one.outcome is Outcome.SPOILED] == sorted(positions)


@pytest.mark.parametrize(
    "said",
    ["0", "26", "0000100", "川26B0000101", "7-", "-7", "9-7", "1-2-3", "7.5", "七", "٧", "1e1"],
)
def test_what_is_no_sheet_of_the_round_is_refused(said: str) -> None:
    with pytest.raises(SheetUnreadable, match="1 至 25"):
        settling.settle(sheets(25), Said(printed=24, spoiled=said), NUMERALS)


_S1, _S2, _S3 = "川26A0000101", "川26A0000102", "川26A0000103"
_DOUBTS: Sequence[tuple[dict[str, Any], list[str | None]]] = [
    ({"printed": 2, "spoiled": "1,1"}, [_S1]),
    ({"printed": 2, "spoiled": "1", "not_printed": "1"}, [_S1]),
    ({"printed": 3, "shifts": ["2"]}, [_S2]),
    ({"printed": 2, "spoiled": "1", "carries": [("1", "N1")]}, [_S1]),
    ({"printed": 3, "carries": [("1", "N1"), ("1", "N2"), ("2", "N1")]}, [_S1]),
    ({"printed": 3, "carries": [("1", "N2")]}, ["N2"]),
    ({"printed": 3, "carries": [("1", "N9")]}, ["N9"]),
    ({"printed": 3, "carries": [("1-2", "1-3")]}, ["1-2=1-3"]),
    ({"printed": 3, "carries": [("1-2", "N1")]}, ["1-2=N1"]),
    ({"printed": 3, "spoiled": "3,3", "shifts": ["2"], "carries": [("1", "N9")]}, [_S3, _S2, "N9"]),
]


@pytest.mark.parametrize(("said", "values"), _DOUBTS)
def test_whatever_is_left_open_is_named_and_nothing_is_guessed(
    said: dict[str, Any], values: list[str]
) -> None:
    with pytest.raises(SettlementUnclear) as refused:
        settled(3, **said)
    assert [one.value for one in refused.value.findings] == values


def test_a_sheet_that_passed_blank_is_told_with_the_options_that_say_what_became_of_it() -> None:
    with pytest.raises(SettlementUnclear) as refused:
        settled(3, printed=3, shifts=["2"])
    (finding,) = refused.value.findings
    for said in (finding.zh, finding.en):
        assert "--spoiled" in said
        assert "--not-printed" in said


def test_a_count_that_does_not_add_up_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(PrintedMiscounted, match="领用 25 − 作废 2 − 未打印 3 = 20，却说印好 21"):
        settled(25, printed=21, spoiled="7,12", not_printed="20-22")
    assert settled(25, printed=20, spoiled="7,12", not_printed="20-22")[7] is None


@given(st.data(), st.integers(1, 12))
def test_what_happened_at_the_printer_is_what_is_concluded(data: st.DataObject, count: int) -> None:
    """Feed sheets in an order, let some slip through, and tell it as an operator would."""
    places = list(range(1, count + 1))
    is_reversed = data.draw(st.booleans())
    slipped = data.draw(st.sets(st.sampled_from(places)))
    bad = data.draw(st.sets(st.sampled_from(places)))
    order = places[::-1] if is_reversed else places
    feeding = [place for place in order if place not in slipped]
    truth: dict[int, str | None] = dict.fromkeys(places)
    for page, place in enumerate(feeding, start=1):
        if place not in bad:
            truth[place] = f"N{page}"
    returned = slipped - bad
    said = {
        "printed": count - len(bad | slipped), "spoiled": ",".join(map(str, bad)),
        "not_printed": ",".join(map(str, returned)), "is_reversed": is_reversed,
        "shifts": [str(place) for place in slipped],
    }  # fmt: skip
    assert settled(count, **said) == truth
    with pytest.raises(PrintedMiscounted):
        settled(count, **said | {"printed": count - len(bad | slipped) + 1})


# Rounds.


async def test_seven_and_twelve_are_spoiled_and_twenty_to_twenty_two_not_printed(
    shop: Shop,
) -> None:
    run_id = await shop.plan(*shop.numbers)
    assert await shop.draw(run_id) == "川26A0000001-0000025"
    before = await shop.listed(run_id)
    assert [(one.serial, one.number) for one in before] == [
        (NUMERALS.text(place), number) for place, number in enumerate(shop.numbers, start=1)
    ]
    first = await shop.settle(run_id, 20, spoiled="7,12", not_printed="20-22")
    assert first == printing.Settled(20, 2, 3, 5)
    assert await shop.stock(State.AT_CITY) == ((20, 22), (26, 100))
    assert await shop.stock(State.PENDING_DESTRUCTION) == ((7, 7), (12, 12))

    assert await shop.draw(run_id) == "川26A0000020-0000022、川26A0000026-0000027"
    left = [shop.numbers[place - 1] for place in (7, 12, 20, 21, 22)]
    open_sheets = [one for one in await shop.listed(run_id) if one.outcome is None]
    assert [one.number for one in open_sheets] == left
    assert await shop.settle(run_id, 5) == printing.Settled(5, 0, 0, 0)
    assert (await shop.close(run_id)).left_count == 0

    serials = {place: place for place in range(1, 26)} | {7: 20, 12: 21, 20: 22, 21: 26, 22: 27}
    assert await shop.papers() == {shop.numbers[place - 1]: serials[place] for place in serials}
    listed = await shop.listed(run_id)
    assert [one.outcome for one in listed].count("printed") == COUNT
    assert {one.carries: one.serial for one in listed if one.carries} == {
        number: NUMERALS.text(serial) for number, serial in (await shop.papers()).items()
    }
    async with shop.at(OPERATOR) as desk:
        assert await check.check(desk.connection, desk.actor) == []
        (run,) = await printing.runs(desk.connection)
        told = await desk.connection.fetch(
            "select actor, act, detail from journal where subject = $1 and act like 'printing:%'"
            " order by sequence",
            str(run_id),
        )
    assert (run.state, run.round, run.left_count) == ("closed", 2, 0)
    assert [(row["actor"], row["act"].rpartition(":")[2]) for row in told] == [
        (OPERATOR, "plan"), (KEEPER, "draw"), (OPERATOR, "settle"), (KEEPER, "draw"),
        (OPERATOR, "settle"), (KEEPER, "close"),
    ]  # fmt: skip


async def test_paper_fed_from_the_other_end_or_shifted_binds_what_it_truly_bears(
    shop: Shop,
) -> None:
    first, second, third, *_ = shop.numbers
    run_id = await shop.drawn(third, first, second)
    await shop.settle(run_id, 3, is_reversed=True)
    assert await shop.papers() == {first: 3, second: 2, third: 1}
    backwards = await shop.listed(run_id)
    assert [one.carries for one in backwards] == [third, second, first]
    async with shop.world.connection() as owner:
        for one in backwards:
            assert one.name == await owner.fetchval(
                "select name from certificate where number = $1", one.carries
            )
    more = shop.numbers[3:7]
    run_id = await shop.drawn(*more)
    await shop.settle(run_id, 3, not_printed="川26A0000005", shifts=["0000005"])
    assert {number: serial for number, serial in (await shop.papers()).items() if serial > 3} == {
        more[0]: 4, more[1]: 6, more[2]: 7,
    }  # fmt: skip
    waiting = (await shop.listed(run_id))[-1]
    assert (waiting.serial, waiting.number, waiting.carries) == (None, more[3], None)
    assert await shop.draw(run_id) == "川26A0000005"
    await shop.settle(run_id, 1)
    assert (await shop.papers())[more[3]] == 5


async def test_what_is_refused_in_settling_leaves_everything_as_it_was(shop: Shop) -> None:
    run_id = await shop.drawn(*shop.numbers[:3])
    for said, refusal in (
        ({"printed": 2}, PrintedMiscounted),
        ({"printed": 3, "shifts": ["1"]}, SettlementUnclear),
        ({"printed": 2, "spoiled": "4"}, SheetUnreadable),
    ):
        with pytest.raises(refusal):
            await shop.settle(run_id, **said)
    assert await shop.papers() == {}
    assert await shop.stock(State.DRAWN) == ((1, 3),)


async def test_the_last_good_sheet_tells_of_what_was_not_said(shop: Shop) -> None:
    """The counts add up whether or not a sheet passed blank; the sheets themselves do not."""
    first, second, third, fourth = shop.numbers[:4]
    run_id = await shop.drawn(first, second, third, fourth)
    for last in ("", third, "004", "川", fourth[-3:]):
        said = Said(printed=3, not_printed="2", last=last)
        async with shop.at(OPERATOR) as desk:
            with pytest.raises(SettlementUnclear, match="1 处") as refused:
                await printing.settle(desk.connection, desk.actor, run_id, said)
        assert "川26A0000004" in refused.value.findings[0].zh
        assert fourth not in str(refused.value.findings)
    async with shop.at(OPERATOR) as desk:
        said = Said(printed=3, not_printed="2", shifts=["2"], last=third[-4:])
        await printing.settle(desk.connection, desk.actor, run_id, said)
    assert await shop.papers() == {first: 1, second: 3, third: 4}


async def test_of_two_settlements_at_once_one_counts(shop: Shop) -> None:
    run_id = await shop.drawn(*shop.numbers[:3])
    told = await asyncio.gather(
        shop.settle(run_id, 3), shop.settle(run_id, 2, spoiled="1"), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in told) == ["RunInOtherState", "Settled"]
    async with shop.world.connection() as owner:
        assert await check.check(owner) == []


async def test_a_run_whose_books_and_sheets_differ_does_not_close(shop: Shop) -> None:
    run_id = await shop.drawn(*shop.numbers[:3])
    await shop.settle(run_id, 2, spoiled="2")
    async with shop.world.connection() as owner:
        await owner.execute("set session_replication_role = replica")
        await owner.execute("update sheet set outcome = 'returned' where outcome = 'spoiled'")
    with pytest.raises(PrintingImpossible):
        await shop.close(run_id)


# Any order of rounds.


class _Undo(Exception):  # noqa: N818 - no error
    pass


def test_whatever_happens_drawn_is_printed_spoiled_and_returned(shop: Shop) -> None:
    """Random rounds of one run, each undone: what is said, what the books say, what is bound."""

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.lists(st.sampled_from("psr"), min_size=4, max_size=4), max_size=3),
           st.booleans(), st.permutations(range(4)))  # fmt: skip
    def hold(rounds: list[list[str]], is_reversed: bool, order: list[int]) -> None:
        asyncio.run(_rounds(shop, rounds, is_reversed=is_reversed, order=order))

    hold()


async def _rounds(
    shop: Shop, rounds: list[list[str]], *, is_reversed: bool, order: list[int]
) -> None:
    numbers = shop.numbers[:4]
    totals = dict.fromkeys("psr", 0)
    async with shop.world.connection() as connection:
        operator = Desk(connection, (await _actor(shop, OPERATOR)))
        keeper = Desk(connection, (await _actor(shop, KEEPER)))
        with pytest.raises(_Undo):  # noqa: PT012 - all of it is one transaction
            async with connection.transaction():
                async with operator.acting():
                    run = await planning.plan(connection, operator.actor, numbers)
                left = len(numbers)
                for outcomes in [*rounds, list("pppp")]:
                    if not left:
                        break
                    async with keeper.acting():
                        await printing.draw(connection, keeper.actor, run.run_id)
                    told = outcomes[:left]
                    said = _told(told, is_reversed, order if left == len(numbers) else None)
                    async with operator.acting():
                        open_sheets = [
                            one
                            for one in await printing.listed(connection, run.run_id)
                            if one.serial and one.outcome is None
                        ]
                        carries = [(str(place), open_sheets[at].number) for place, at in said[1]]
                        settled = await printshop.settle_at(
                            operator, run.run_id, msgspec.structs.replace(said[0], carries=carries)
                        )
                    for outcome in totals:
                        totals[outcome] += told.count(outcome)
                    left -= settled.printed
                    assert settled.left_count == left
                async with keeper.acting():
                    await printing.close(connection, keeper.actor, run.run_id)
                bound = await connection.fetch(
                    "select number, serial from paper where state <> 'ended'"
                )
                moved = await connection.fetch(
                    "select kind, sum(upper(serials) - lower(serials))::int from blank_movement"
                    " where subject = $1 group by 1",
                    f"print-run:{run.run_id}",
                )
                kinds: dict[str, int] = {row["kind"]: row["sum"] for row in moved}
                assert sorted(row["number"] for row in bound) == list(numbers)
                assert kinds["draw"] == sum(totals.values())
                assert [kinds.get(kind, 0) for kind in ("print", "spoil", "return")] == [
                    totals["p"], totals["s"], totals["r"],
                ]  # fmt: skip
                raise _Undo


def _told(
    told: list[str], is_reversed: bool, order: list[int] | None
) -> tuple[Said, list[tuple[int, int]]]:
    """Say outcomes by place; where an order is given, say too what each good sheet bears."""
    by = {
        outcome: [place for place, one in enumerate(told, start=1) if one == outcome]
        for outcome in "psr"
    }
    said = Said(
        printed=len(by["p"]),
        spoiled=",".join(map(str, by["s"])),
        not_printed=",".join(map(str, by["r"])),
        is_reversed=is_reversed,
    )
    carries = [(place, order[place - 1]) for place in by["p"]] if order else []
    return said, carries


async def _actor(shop: Shop, name: str) -> Any:
    async with shop.world.desk(name) as desk:
        return desk.actor
