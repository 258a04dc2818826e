"""Printing: from certificates that want paper to sheets that each carry exactly one of them."""

import asyncio
import datetime
import io
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import wiring
from service.ground import db
from service.ground.errors import (
    ActNotGranted,
    BatchUnknown,
    BlanksTooFew,
    CertificateBeingPrinted,
    DatabaseUnavailable,
    FacesAbsent,
    NothingToPrint,
    NotYourCity,
    PaperNotWanted,
    PrintedMiscounted,
    PrintedPerhaps,
    PrintingImpossible,
    Refusal,
    RunFallen,
    RunInOtherState,
    RunTooLong,
    RunUnknown,
    SecondPersonNeeded,
    SerialsInOtherState,
    SerialsMiscounted,
    SeriesUnknown,
    SettlementUnclear,
    SheetUnreadable,
)
from service.ground.objects import Objects
from service.issuing.changes import Kind as Change
from service.paper import overlay, printing
from service.paper.blanks import State, check, records
from service.paper.blanks.serials import Numerals
from service.paper.overlay import Profile
from service.paper.papers.changing import Kind
from service.paper.printing import faces, planning, settling
from service.paper.printing.settling import Outcome, Said, Sheet
from service.wiring import Desk
from tests import printshop, test_adoption, test_cli, test_printers
from tests.printshop import COUNT, KEEPER, OPERATOR, REVIEWER, TODAY, Shop, filled
from tests.stationery import COVER, INNER, record, supply
from tests.stationery import ranges as some
from tests.test_changes import done
from tests.test_cli import Type
from tests.world import MIANYANG, SECRET, World

NUMERALS = Numerals("川26A", 7)
NOW = datetime.datetime(2026, 11, 2, 3, 0, tzinfo=datetime.UTC)


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


# Runs.


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


async def test_every_certificate_that_takes_no_paper_is_named_with_its_reason(shop: Shop) -> None:
    papered, planned, suspended, fine, *_ = shop.numbers
    await shop.printed(papered)
    run_id = await shop.plan(planned)
    await done(shop.world, suspended, Change.SUSPEND)
    unsealed = (await shop.world.approved(count=1, serial=900)).numbers[0]
    foreign = (await shop.world.approved(MIANYANG, count=1, serial=950)).numbers[0]
    (adopted,) = test_adoption.lines(1, serial=600, first=900)
    await test_adoption.adopted(shop.world, [adopted])
    old = str(adopted["证书编号"])
    wanted = [papered, planned, suspended, fine, unsealed, foreign, old, "404", fine]
    with pytest.raises(PaperNotWanted) as refused:
        await shop.plan(*wanted)
    found = {one.value: one.zh for one in refused.value.findings}
    assert found == {
        papered: "已有纸质证书 川26A0000001",
        planned: f"已列入打印任务 {run_id}",
        suspended: "现为“暂扣”，不是有效",
        unsealed: "尚未签发",
        old: "不是本系统签章的",
        foreign: "没有这个编号，或属于其他市（州）",
        "404": "没有这个编号，或属于其他市（州）",
        fine: "重复填写",
    }
    with pytest.raises(PaperNotWanted):
        await shop.plan()
    with pytest.raises(RunTooLong):
        await shop.plan(*map(str, range(planning.LINES_MAX + 1)))
    async with shop.at(OPERATOR) as desk:
        rest = await planning.plan_batch(desk.connection, desk.actor, shop.batch_id)
    assert rest.line_count == COUNT - 3
    assert {one.value for one in rest.passed_over} == {papered, planned, suspended}
    async with shop.at(OPERATOR) as desk:
        with pytest.raises(PaperNotWanted) as refused:
            await planning.plan_batch(desk.connection, desk.actor, shop.batch_id)
        assert len(refused.value.findings) == COUNT
        with pytest.raises(BatchUnknown):
            await planning.plan_batch(desk.connection, desk.actor, 404)


async def test_what_is_more_than_a_run_takes_is_told_in_one_line(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "LINES_MAX", 20)
    async with shop.at(OPERATOR) as desk:
        planned = await planning.plan_batch(desk.connection, desk.actor, shop.batch_id)
    (over,) = planned.passed_over
    assert (planned.line_count, over.value) == (20, f"{shop.numbers[20]} – {shop.numbers[-1]}")
    assert "另 5 张" in over.zh


async def test_of_two_plans_at_once_one_gets_a_certificate(shop: Shop) -> None:
    number = shop.numbers[0]
    async with shop.world.desk(OPERATOR) as first:
        async with first.acting():
            await planning.plan(first.connection, first.actor, [number])
            second = asyncio.create_task(shop.plan(number))
            await shop.world.until_somebody_waits()
        with pytest.raises(CertificateBeingPrinted):
            await second
    async with shop.at(OPERATOR) as desk:
        assert len(await printing.runs(desk.connection)) == 1


async def test_two_runs_drawn_at_once_get_different_serials_in_order(shop: Shop) -> None:
    runs = [await shop.plan(*shop.numbers[at : at + 5]) for at in (0, 5, 10)]
    drawn = await asyncio.gather(*map(shop.draw, runs))
    assert sorted(drawn) == [
        f"川26A{first:07}-{first + 4:07}" for first in (1, 6, 11)
    ]  # fmt: skip
    assert await shop.stock(State.DRAWN) == ((1, 15),)


async def test_of_two_settlements_at_once_one_counts(shop: Shop) -> None:
    run_id = await shop.drawn(*shop.numbers[:3])
    told = await asyncio.gather(
        shop.settle(run_id, 3), shop.settle(run_id, 2, spoiled="1"), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in told) == ["RunInOtherState", "Settled"]
    async with shop.world.connection() as owner:
        assert await check.check(owner) == []


async def test_a_given_range_must_be_whole_free_and_as_long_as_the_run(shop: Shop) -> None:
    run_id = await shop.drawn(*shop.numbers[:5])
    other = await shop.plan(*shop.numbers[5:8])
    with pytest.raises(SerialsInOtherState) as refused:
        await shop.draw(other, typed="川26A0000004-0000006")
    assert [one.value for one in refused.value.findings] == ["川26A0000004-0000005"]
    with pytest.raises(SerialsMiscounted):
        await shop.draw(other, typed="0000050-0000053")
    assert await shop.draw(other, typed="0000060、0000050-0000051") == (
        "川26A0000050-0000051、川26A0000060"
    )
    assert [one.serial for one in await shop.listed(other)] == [
        "川26A0000050", "川26A0000051", "川26A0000060",
    ]  # fmt: skip
    assert run_id < other


async def test_blanks_are_of_the_oldest_inner_series_with_stock_or_as_asked(shop: Shop) -> None:
    later = msgspec.structs.replace(INNER, series_code="2027-inner", prefix="川27A")
    await record(shop.world, later)
    await supply(shop.world, some((1, 2)), code=later.series_code)
    run_id = await shop.plan(*shop.numbers[:3])
    for code in (COVER.series_code, "no-such"):
        with pytest.raises(SeriesUnknown, match="2026-inner、2027-inner"):
            await shop.draw(run_id, series_code=code)
    with pytest.raises(BlanksTooFew, match="仅 2 张"):
        await shop.draw(run_id, series_code=later.series_code)
    assert (await shop.draw(run_id)).startswith("川26A")
    await shop.settle(run_id, 2, spoiled="1")
    with pytest.raises(SeriesUnknown):
        await shop.draw(run_id, series_code=later.series_code)
    assert await shop.draw(run_id) == "川26A0000004"
    other = await shop.plan(shop.numbers[5])
    assert await shop.draw(other, series_code=later.series_code) == "川27A0000001"


async def test_keepers_draw_and_close_and_operators_plan_and_settle(shop: Shop) -> None:
    run_id = await shop.plan(*shop.numbers[:2])
    for act in (shop.draw, shop.close):
        with pytest.raises(ActNotGranted):
            await act(run_id, by=OPERATOR)
    await shop.draw(run_id)
    with pytest.raises(ActNotGranted):
        await shop.settle(run_id, 2, by=KEEPER)
    with pytest.raises(RunInOtherState, match="待结算"):
        await shop.close(run_id)
    with pytest.raises(RunInOtherState):
        await shop.draw(run_id)
    await shop.settle(run_id, 2)
    with pytest.raises(NothingToPrint):
        await shop.draw(run_id)
    with pytest.raises(RunInOtherState):
        await shop.cancel(run_id)
    for by in (f"keeper-{MIANYANG}", KEEPER):
        with pytest.raises(RunUnknown):
            await shop.close(run_id if by != KEEPER else 404, by=by)
    await shop.close(run_id)
    with pytest.raises(RunInOtherState, match="已关闭"):
        await shop.close(run_id)


async def test_two_persons_are_two_whatever_their_roles(shop: Shop) -> None:
    """An account never changes its role; the database asks for two persons none the less."""
    run_id = await shop.plan(shop.numbers[0])
    async with shop.world.desk(KEEPER) as desk:
        same = Desk(desk.connection, msgspec.structs.replace(desk.actor, account_name=OPERATOR))
        with pytest.raises(SecondPersonNeeded):
            async with same.acting():
                await printing.draw(same.connection, same.actor, run_id)
        await shop.draw(run_id)
        await shop.settle(run_id, 1)
        with pytest.raises(SecondPersonNeeded):
            async with same.acting():
                await printing.close(same.connection, same.actor, run_id)


async def test_a_run_is_cancelled_while_nothing_can_be_printed(shop: Shop) -> None:
    planned = await shop.plan(*shop.numbers[:2])
    await shop.cancel(planned, by=OPERATOR)
    drawn = await shop.drawn(*shop.numbers[:2])
    with pytest.raises(ActNotGranted):
        await shop.cancel(drawn, by=OPERATOR)
    await shop.cancel(drawn)
    assert await shop.stock(State.AT_CITY) == ((1, 100),)
    assert await shop.drawn(*shop.numbers[:2]) > drawn
    made = await shop.drawn(*shop.numbers[2:4])
    async with shop.at(OPERATOR) as desk:
        round_ = await faces.of_run(desk.connection, desk.actor, made, preview=False)
        assert await faces.count(desk.connection, desk.actor, round_, None) == 1
    with pytest.raises(PrintedPerhaps):
        await shop.cancel(made)
    await shop.settle(made, 0, not_printed="1-2")
    assert (await shop.close(made)).left_count == 2
    assert await shop.plan(*shop.numbers[2:4]) > made


async def test_a_run_whose_faces_are_made_at_this_moment_is_not_cancelled(shop: Shop) -> None:
    run_id = await shop.drawn(shop.numbers[0])
    async with shop.world.desk(OPERATOR) as desk:
        async with desk.acting():
            round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=False)
            await faces.count(desk.connection, desk.actor, round_, None)
            cancelling = asyncio.create_task(shop.cancel(run_id))
            await shop.world.until_somebody_waits()
        with pytest.raises(PrintedPerhaps):
            await cancelling


async def test_what_is_revoked_meanwhile_is_neither_drawn_nor_made_nor_settled_as_printed(
    shop: Shop,
) -> None:
    early, late, suspended, fine = shop.numbers[:4]
    run_id = await shop.plan(early, late, suspended, fine)
    await done(shop.world, early, Change.REVOKE)
    assert await shop.draw(run_id) == "川26A0000001-0000003"
    await done(shop.world, suspended, Change.SUSPEND)
    await done(shop.world, late, Change.REVOKE)
    with pytest.raises(RunFallen) as refused:
        await shop.settle(run_id, 3)
    assert [one.value for one in refused.value.findings] == [late]
    assert "川26A0000001" in refused.value.findings[0].zh
    with pytest.raises(RunFallen) as refused:
        await shop.settle(run_id, 3, is_reversed=True)
    assert "川26A0000003" in refused.value.findings[0].zh
    with pytest.raises(RunFallen):
        async with shop.at(OPERATOR) as desk:
            await faces.of_run(desk.connection, desk.actor, run_id, preview=False)
    await shop.settle(run_id, 2, spoiled="1")
    with pytest.raises(NothingToPrint):
        await shop.draw(run_id)
    assert await shop.papers() == {suspended: 2, fine: 3}
    assert (await shop.close(run_id)).left_count == 2


# Crashes.


async def _victim(shop: Shop) -> int:
    """The server process of whoever waits for a lock."""
    await shop.world.until_somebody_waits()
    async with shop.world.connection() as owner:
        pid: int = await owner.fetchval(
            "select pid from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )
    return pid


async def _killed(shop: Shop, act: Any) -> None:
    """Kill an act in its middle: its rows are written and it waits for the books."""
    async with shop.world.connection() as holder, holder.transaction():
        await holder.execute("select from blank_head for update")
        doing = asyncio.create_task(act)
        pid = await _victim(shop)
        async with shop.world.connection() as owner:
            await owner.execute("select pg_terminate_backend($1)", pid)
        with pytest.raises(DatabaseUnavailable):
            await doing


async def test_a_draw_or_settlement_that_is_killed_leaves_nothing_behind(shop: Shop) -> None:
    run_id = await shop.plan(*shop.numbers[:3])
    await _killed(shop, shop.draw(run_id))
    assert [one.serial for one in await shop.listed(run_id)] == [None] * 3
    assert await shop.stock(State.DRAWN) == ()
    await shop.draw(run_id)
    await _killed(shop, shop.settle(run_id, 2, spoiled="2"))
    assert await shop.papers() == {}
    assert [one.outcome for one in await shop.listed(run_id)] == [None] * 3
    assert (await shop.settle(run_id, 2, spoiled="2")).left_count == 1
    async with shop.world.connection() as owner:
        assert await check.check(owner) == []


@pytest.mark.long
def test_a_command_that_is_killed_leaves_nothing_half_done_and_is_typed_again(
    shop: Shop, tmp_path: Path
) -> None:
    """Processes that die without a farewell after all but the last of what they write."""
    first, *_, last = numbers = shop.numbers[:3]
    asyncio.run(shop.plan(*numbers))
    pdf, spoil = tmp_path / "run.pdf", ("--spoiled", "2", "--printed", 2, "--last", last)
    before = asyncio.run(_whole(shop))
    for by, point, *words in (
        (KEEPER, "after add_sheets 1", "print", "draw", 1),
        (OPERATOR, "after count_pdf 1", "print", "pdf", 1, "--to", pdf),
        (OPERATOR, "after settle_round 1", "print", "settle", 1, *spoil),
        (OPERATOR, "after add_movements 1", "paper", "hand-over", first, "--id-checked",
         "--document-number", "领1"),
    ):  # fmt: skip
        killed = _process(shop, tmp_path, by, ["-m", "tests.crashing", point, "qianfa"], words)
        assert killed.returncode == -signal.SIGKILL, killed
        assert asyncio.run(_whole(shop)) == before, words
        assert not pdf.exists() or words[1] != "pdf"
        program = ["-c", "from service import cli; cli.main()"]
        done = _process(shop, tmp_path, by, program, words)
        assert done.returncode == 0, done
        assert asyncio.run(_whole(shop)) != before, words
        before = asyncio.run(_whole(shop))
    assert pdf.read_bytes().startswith(b"%PDF")


async def _whole(shop: Shop) -> list[object]:
    """Everything that printing writes; the books hold."""
    async with shop.world.connection() as owner:
        assert await check.check(owner) == await records.check(owner) == []
        return [
            await owner.fetch(f"select * from {table} order by 1, 2, 3")  # noqa: S608 - of this list
            for table in ("print_run", "print_round", "sheet", "paper", "hand_over", "journal")
        ]


def _process(
    shop: Shop, folder: Path, by: str, program: list[str], words: Sequence[object]
) -> "subprocess.CompletedProcess[str]":
    (folder / "secret").write_text(SECRET)
    settings = {
        f"QIANFA_{name.upper()}": str(getattr(shop.world.settings, name))
        for name in ("var", "database_url", "keys")
    }
    return subprocess.run(
        [
            sys.executable, *program, *map(str, words), "--as", by, "--secret-file",
            str(folder / "secret"), "--yes",
        ],
        cwd=Path(__file__).parents[1], env={"PATH": os.environ["PATH"], **settings},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


# The database.


_TRIES: Mapping[str, str] = {
    "update print_run set state = 'closed', ended_by = '$keeper', ended_at = now()"
    " where run_id = $open": "print_run_moves",
    "update print_run set state = 'cancelled' where run_id = $closed": "print_run_moves",
    "update print_round set settled_by = '$keeper', settled_at = now() where run_id = $open":
        "print_round_moves",
    "update print_round set pdf_count = 7 where run_id = $open": "print_round_moves",
    "update print_round set profile_id = 1 where run_id = $open": "print_round_moves",
    "update sheet set outcome = 'returned' where outcome = 'spoiled'": "sheet_moves",
    "insert into sheet (run_id, round, position, city_code, series_id, serial, number, version)"
    " values ($open, 1, 9, '510100', 1, 50, '$number', 1)": "sheet_moves",
    "insert into print_line (run_id, position, city_code, number, version, remark)"
    " values ($open, 9, '510100', '$number', 1, '')": "print_line_fits",
    "insert into paper (city_code, series_id, serial, number, version, remark, run_id, round,"
    " position) select city_code, series_id, serial, number, version, '', run_id, round, position"
    " from sheet where run_id = $open limit 1": "paper_is_printed",
}  # fmt: skip
_FORBIDDEN = (
    "update print_run set state = 'settled' where run_id = $open",
    "update paper set state = 'ended'",
    "update print_line set is_open = true",
    "update sheet set number = 'x'",
    "delete from sheet",
)


async def test_the_database_holds_runs_sheets_and_papers_to_their_ways(shop: Shop) -> None:
    closed = await shop.drawn(*shop.numbers[:2])
    await shop.settle(closed, 1, spoiled="2")
    await shop.close(closed)
    names = {
        "$open": str(await shop.drawn(*shop.numbers[3:5])), "$closed": str(closed),
        "$keeper": KEEPER, "$number": shop.numbers[9],
    }  # fmt: skip
    async with shop.world.desk(OPERATOR) as desk:
        for statement, constraint in _TRIES.items():
            with pytest.raises(Refusal) as refused:
                async with desk.acting():
                    await desk.connection.execute(filled(statement, names))
            assert type(refused.value) is db.CONSTRAINTS[constraint], statement
            cause = refused.value.__cause__
            assert isinstance(cause, asyncpg.IntegrityConstraintViolationError)
            assert cause.constraint_name == constraint, statement
        for statement in _FORBIDDEN:
            with pytest.raises(NotYourCity):
                async with desk.acting():
                    await desk.connection.execute(filled(statement, names))


async def test_a_run_whose_books_and_sheets_differ_does_not_close(shop: Shop) -> None:
    run_id = await shop.drawn(*shop.numbers[:3])
    await shop.settle(run_id, 2, spoiled="2")
    async with shop.world.connection() as owner:
        await owner.execute("set session_replication_role = replica")
        await owner.execute("update sheet set outcome = 'returned' where outcome = 'spoiled'")
    with pytest.raises(PrintingImpossible):
        await shop.close(run_id)


async def test_no_city_sees_or_touches_another_citys_runs(shop: Shop) -> None:
    run_id = await shop.drawn(shop.numbers[0])
    async with shop.world.desk(f"operator-{MIANYANG}") as desk:
        async with desk.acting():
            assert await printing.runs(desk.connection) == []
        for act in (
            printing.settle(desk.connection, desk.actor, run_id, Said(printed=1)),
            printing.listed(desk.connection, run_id),
            faces.of_run(desk.connection, desk.actor, run_id, preview=True),
        ):
            with pytest.raises(RunUnknown):
                async with desk.acting():
                    await act
    for by in ("keeper-510000", f"keeper-{MIANYANG}"):
        for doing in (shop.close, shop.cancel, shop.draw):
            with pytest.raises(RunUnknown):
                await doing(run_id, by=by)
    async with shop.at("auditor-510000") as desk:
        assert len(await printing.listed(desk.connection, run_id)) == 1


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


# Faces.


async def test_one_pdf_in_serial_order_and_how_often_it_was_made(shop: Shop) -> None:
    numbers = shop.numbers[:3]
    run_id = await shop.plan(*numbers)
    pages = await _pages(shop, run_id, preview=True)
    assert all("样张" in page for page in pages)
    with pytest.raises(RunInOtherState):
        await _pages(shop, run_id)
    await shop.draw(run_id, typed="0000040-0000042")
    assert "川26A0000041" in (await _pages(shop, run_id, preview=True))[1]
    pages = await _pages(shop, run_id)
    assert [number in page for page, number in zip(pages, numbers, strict=True)] == [True] * 3
    assert not any("样张" in page or "川26A" in page for page in pages)
    kept = await test_printers.record(shop.world)
    for times, profile in ((1, None), (2, kept)):
        async with shop.at(OPERATOR) as desk:
            round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=False)
            assert await faces.count(desk.connection, desk.actor, round_, profile) == times
    await shop.settle(run_id, 3)
    async with shop.at(OPERATOR) as desk:
        (run,) = await printing.runs(desk.connection)
        assert (run.pdf_count, run.profile_id) == (2, kept.profile_id)
        with pytest.raises(RunInOtherState):
            await faces.count(desk.connection, desk.actor, round_, None)


async def test_what_falls_while_its_faces_are_made_is_not_given_out(shop: Shop) -> None:
    fallen, fine = shop.numbers[:2]
    run_id = await shop.drawn(fallen, fine)
    async with shop.at(OPERATOR) as desk:
        round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=False)
    await done(shop.world, fallen, Change.REVOKE)
    async with shop.at(OPERATOR) as desk:
        with pytest.raises(RunFallen):
            await faces.count(desk.connection, desk.actor, round_, None)
        assert (await printing.runs(desk.connection))[0].pdf_count == 0


async def test_every_stored_file_that_is_gone_or_damaged_is_named(
    shop: Shop, tmp_path: Path
) -> None:
    gone, fine, damaged = shop.numbers[:3]
    run_id = await shop.drawn(gone, fine, damaged)
    async with shop.at(OPERATOR) as desk:
        round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=False)
    whole, broken = (face.pdf_sha256.hex() for face in round_.faces[1:])
    pdf = await Objects.open(shop.world.settings.store_address).get(whole)
    for digest, content in ((whole, pdf), (broken, pdf[:-1])):
        _write(tmp_path / digest[:2] / digest[2:4] / f"{digest}.pdf", content)
    vault, seen = wiring.vault(shop.world.settings), list[int]()
    with pytest.raises(FacesAbsent, match="2 份") as refused:
        await faces.read(Objects.open(str(tmp_path)), vault, round_, seen.append)
    assert [(one.value, one.code) for one in refused.value.findings] == [
        (gone, "ObjectMissing"), (damaged, "ObjectDamaged"),
    ]  # fmt: skip
    assert "川26A0000003" in refused.value.findings[1].zh
    assert seen == [1, 2, 3]
    await shop.cancel(run_id)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


async def test_the_face_of_a_reissue_says_so_with_its_day(shop: Shop) -> None:
    number = shop.numbers[0]
    await shop.printed(number)
    (page,) = await _pages(shop, await shop.plan(shop.numbers[1]), preview=True)
    assert "补发" not in page
    await shop.changed(Kind.REISSUE, number)
    (page,) = await _pages(shop, await shop.drawn(number))
    assert f"补发 {TODAY.year}年{TODAY.month}月{TODAY.day}日" in page


async def _pages(shop: Shop, run_id: int, *, preview: bool = False) -> list[str]:
    """The text of every page of a run's PDF."""
    world = shop.world
    async with shop.at(OPERATOR) as desk:
        round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=preview)
    objects = Objects.open(world.settings.store_address)
    read: list[int] = []
    found = await faces.read(objects, wiring.vault(world.settings), round_, read.append)
    assert read == [place + 1 for place in range(len(found))]
    pdf = overlay.render(
        wiring.blank_edition(round_.edition), found, Profile(), preview=preview, rendered_at=NOW
    )
    with pypdfium2.PdfDocument(io.BytesIO(pdf)) as document:
        return [page.get_textpage().get_text_range() for page in document]


# The command line.

type_ = test_cli.type_


@pytest.fixture
def world(shop: Shop) -> World:
    """What `type_` types in."""
    return shop.world


def test_a_run_goes_from_its_plan_to_collected_papers_by_commands(
    shop: Shop, type_: Type, tmp_path: Path
) -> None:
    def at(account: str, *words: object) -> str:
        typed = type_(*words, by=account, yes=words[1] not in looking)
        assert typed.code == 0, typed.err
        return typed.out

    looking = ("preview", "list", "runs", "sheet", "uncollected", "changes")
    number, second = shop.numbers[6], shop.numbers[0]
    assert "25 张" in at(OPERATOR, "print", "plan", "--batch", shop.batch_id)
    assert "川26A0000001-0000025" in at(KEEPER, "print", "draw", 1)
    for command, words in (("preview", "25 页"), ("pdf", "川26A0000001 至 川26A0000025")):
        assert words in at(OPERATOR, "print", command, 1, "--to", tmp_path / "run.pdf")
    assert "第 2 次" in at(OPERATOR, "print", "pdf", 1, "--to", tmp_path / "run.pdf")
    said = ("print", "settle", 1, "--spoiled", "7,12", "--not-printed", "20-22", "--printed")
    assert "--last" in type_(*said, 20, by=OPERATOR).err
    last = ("--last", shop.numbers[24][-4:])
    refused = type_(*said, 21, *last, by=OPERATOR)
    assert (refused.code, "= 20，却说印好 21" in refused.err) == (65, True)
    refused = type_(*said, 20, "--last", shop.numbers[23], by=OPERATOR)
    assert (refused.code, "川26A0000025 是流水号最大的好证" in refused.err) == (65, True)
    settled = at(OPERATOR, *said, 20, *last, "--carries", f"1={second}")
    assert "作废 spoiled 2" in settled
    assert "尚缺 left 5" in settled
    at(KEEPER, "print", "draw", 1)
    at(OPERATOR, "print", "settle", 1, "--printed", 5, "--last", shop.numbers[21])
    listed = at(OPERATOR, "print", "list", 1)
    assert "川26A0000027" in listed
    assert "＊" in listed
    assert "已关闭" in at(KEEPER, "print", "close", 1)
    assert "closed" in at(OPERATOR, "print", "runs")
    sheet = tmp_path / "sheet.pdf"
    at(OPERATOR, "paper", "sheet", "--run", 1, "--document-number", "领1", "--to", sheet)
    assert sheet.read_bytes().startswith(b"%PDF")
    at(OPERATOR, "paper", "hand-over", number, "--document-number", "领1", "--id-checked")
    assert number not in at(OPERATOR, "paper", "uncollected")
    at(OPERATOR, "paper", "reissue", number, "--reason", "遗失", "--document-number", "补1")
    assert "reissue" in at(REVIEWER, "paper", "changes")
    assert "补发" in at(REVIEWER, "paper", "confirm", 1)
    at(OPERATOR, "paper", "spoil", second, "--reason", "印坏", "--document-number", "废1")
    assert "已退回" in at(REVIEWER, "paper", "decline", 2, "--reason", "看错")
    at(OPERATOR, "print", "plan", number)
    assert "已取消" in at(KEEPER, "print", "cancel", 2)
    assert type_("print", "plan", by=OPERATOR).code == 64
    nothing = ("paper", "sheet", "--document-number", "x", "--to", sheet)
    assert type_(*nothing, by=OPERATOR, yes=False).code == 64
