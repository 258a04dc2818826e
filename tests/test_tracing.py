"""Tracing: from a serial, a number or a person to the whole story, and not too far."""

import asyncio
import datetime
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from service import wiring
from service.ground.errors import ActNotGranted, PersonUntraced, TraceUnknown
from service.issuing import changes
from service.issuing.batches import LEGAL_ZONE
from service.paper import papers, printing, tracing
from service.paper.blanks import Kind, State
from service.paper.papers import Collected, changing
from service.paper.printing import planning
from service.paper.printing.settling import Said
from service.paper.tracing import Blank, Person, Story
from tests import printshop, stationery
from tests.stationery import COVER, INNER, movement, ranges
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.world import CHENGDU, MIANYANG, World, rows

OPERATOR, REVIEWER, KEEPER, AUDITOR = (
    f"{role}-{CHENGDU}" for role in ("operator", "reviewer", "keeper", "auditor")
)
TODAY = datetime.datetime.now(LEGAL_ZONE).date()


async def printed(world: World, numbers: Sequence[str], *settled: Said) -> int:
    """Print these numbers in one run, a round for each thing said; the keeper closes it."""
    async with world.desk(OPERATOR) as operator, world.desk(KEEPER) as keeper:
        async with operator.acting():
            run_id = (await planning.plan(operator.connection, operator.actor, numbers)).run_id
        for said in settled:
            async with keeper.acting():
                await printing.draw(
                    keeper.connection, keeper.actor, run_id, series_code=INNER.series_code
                )
            async with operator.acting():
                await printshop.settle_at(operator, run_id, said)
        async with keeper.acting():
            await printing.close(keeper.connection, keeper.actor, run_id)
    return run_id


async def _scene(world: World) -> tuple[str, str, str]:
    """Three numbers: one spoiled, printed, handed over, lost and printed again; one printed once.

    The third has no paper. Serials 1-4 are of the first two; those from 5 on are in stock.
    """
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    first, second, third = (await world.approved(count=3)).numbers
    await world.issue()
    await printed(world, [first, second], Said(printed=1, spoiled="1"), Said(printed=1))
    async with world.desk(OPERATOR) as desk, world.desk(REVIEWER) as reviewer:
        async with desk.acting():
            found = await papers.of_numbers(desk.connection, [first])
            await papers.hand_over(
                desk.connection, desk.actor, found, today=TODAY,
                collected=Collected(
                    handed_on=TODAY, document_number="领〔2026〕1号", is_id_checked=True,
                    agent_name="马小云", authority_document="委托书1号",
                ),
            )  # fmt: skip
        async with desk.acting():
            change_id = await changing.ask(
                desk.connection, desk.actor, changing.Kind.REISSUE, first,
                reason="遗失", document_number="补〔2026〕1号",
            )  # fmt: skip
        async with reviewer.acting():
            await changing.confirm(reviewer.connection, reviewer.actor, change_id)
    await printed(world, [first], Said(printed=1))
    return first, second, third


async def traced(world: World, by: str, asked: str | Person) -> Story:
    async with world.desk(by) as desk, desk.acting():
        return await tracing.story(desk.connection, desk.actor, asked)


def acts(blank: Blank) -> list[str]:
    return [one.act for one in blank.events]


async def test_a_serial_a_number_and_a_person_lead_to_the_same_story(world: World) -> None:
    first, second, _ = await _scene(world)
    one = rows(3)[0]
    person = tracing.person(wiring.lookup(world.settings), one.name, one.id_number)
    story = await traced(world, OPERATOR, first)
    assert story == await traced(world, OPERATOR, "川26A0000003")
    assert story == await traced(world, OPERATOR, person)
    assert [(blank.serial, blank.state) for blank in story.blanks] == [
        ("川26A0000001", "pending-destruction"), ("川26A0000003", "lost"),
        ("川26A0000004", "printed"),
    ]  # fmt: skip
    (certificate,) = story.certificates
    assert certificate.number == first
    assert [(one.serial, one.round, one.outcome, one.carries) for one in certificate.sheets] == [
        ("川26A0000001", 1, "spoiled", None), ("川26A0000003", 2, "printed", first),
        ("川26A0000004", 1, "printed", first),
    ]  # fmt: skip
    assert [(paper.serial, paper.remark, paper.state) for paper in certificate.papers] == [
        ("川26A0000003", "", "lost"), ("川26A0000004", "补发", "printed"),
    ]  # fmt: skip
    assert {event.act for event in certificate.events} == {
        "batch:import", "batch:submit", "batch:approve", "certificate:seal", "certificate:issue",
    }  # fmt: skip
    assert certificate.versions[0].name == one.name
    assert one.id_number not in msgspec.json.encode(story).decode()
    other = await traced(world, OPERATOR, "0000002")  # of the only series that it fits
    assert [blank.serial for blank in other.blanks] == ["川26A0000002"]
    assert [one.number for one in other.certificates] == [second]


async def test_every_step_of_a_sheet_is_told_in_order_with_who_and_by_what(world: World) -> None:
    first, _, _ = await _scene(world)
    (_, blank, _), (certificate,) = msgspec.structs.astuple(await traced(world, OPERATOR, first))
    assert [act for act in acts(blank) if act.startswith("blank:")] == [
        "blank:dispatch", "blank:receive", "blank:draw", "blank:print", "blank:hand-over",
        "blank:lose",
    ]  # fmt: skip
    assert [event.at for event in blank.events] == sorted(event.at for event in blank.events)
    told = {event.act: event for event in blank.events}
    assert (told["print:draw"].actors, told["print:plan"].actors) == ([KEEPER], [OPERATOR])
    assert told["print:draw"].told.number == first
    assert told["print:settle"].told.outcome == "printed"
    assert (told["paper:carry"].told.number, told["paper:carry"].told.version) == (first, 1)
    handed = told["paper:hand-over"]
    assert (handed.document_number, handed.told.collector, handed.told.handed_on) == (
        "领〔2026〕1号", "马小云", TODAY.isoformat(),
    )  # fmt: skip
    changed = told["paper-change:done"]
    assert (changed.actors, changed.document_number) == ([REVIEWER], "补〔2026〕1号")
    assert changed.words == ("补发（已办）", "reissue (done)")
    assert told["blank:receive"].told.first_serial == 1
    assert told["blank:receive"].told.last_serial == 100
    assert all(event.words[0] for event in (*blank.events, *certificate.events))
    (spoiled,) = (await traced(world, OPERATOR, "川26A0000001")).blanks
    assert (spoiled.state, acts(spoiled)[-1]) == ("pending-destruction", "print:closed")
    assert "paper:carry" not in acts(spoiled)


async def test_both_ways_give_the_same_movements(world: World) -> None:
    numbers = await _scene(world)
    by_number = {
        blank.serial: blank
        for number in numbers
        for blank in (await traced(world, AUDITOR, number)).blanks
    }
    assert by_number.keys() == {f"川26A000000{n}" for n in (1, 2, 3, 4)}
    for serial, blank in by_number.items():
        assert blank in (await traced(world, AUDITOR, serial)).blanks
        (place,) = [one for one in blank.events if one.act == "blank:receive"]
        assert place.told.sequence == 2


async def test_a_number_tells_of_sheets_that_were_returned_and_of_those_that_carry_another(
    world: World,
) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    first, second = (await world.approved(count=2)).numbers
    await world.issue()
    await printed(world, [first, second], Said(printed=2, is_reversed=True))
    crossed = await traced(world, OPERATOR, first)
    (certificate,) = crossed.certificates
    assert [(one.serial, one.carries) for one in certificate.sheets] == [("川26A0000001", second)]
    assert [blank.serial for blank in crossed.blanks] == ["川26A0000001", "川26A0000002"]
    assert [paper.serial for paper in certificate.papers] == ["川26A0000002"]
    (third,) = (await world.approved(count=1, serial=50)).numbers
    await world.issue()
    run_id = await printed(world, [third], Said(printed=0, not_printed="1"))
    (blank,), (certificate,) = msgspec.structs.astuple(await traced(world, OPERATOR, third))
    assert (blank.state, certificate.papers) == ("at-city", [])
    assert [(one.run_id, one.outcome) for one in certificate.sheets] == [(run_id, "returned")]


async def test_a_bare_serial_shows_every_series_that_it_fits(world: World) -> None:
    other = msgspec.structs.replace(INNER, series_code="2027-inner", year=2027, prefix="川27A")
    await stationery.record(world, INNER, COVER, other)
    for code in (INNER.series_code, other.series_code):
        await stationery.supply(world, ranges((1, 9)), code=code)
    story = await traced(world, KEEPER, "０００００0７")
    assert [blank.serial for blank in story.blanks] == ["川26A0000007", "川27A0000007"]
    assert [blank.serial for blank in (await traced(world, KEEPER, "川27A0000007")).blanks] == [
        "川27A0000007"
    ]


async def test_a_change_of_a_certificate_is_part_of_its_story(world: World) -> None:
    first, _, _ = await _scene(world)
    grounds = changes.Grounds(number=first, reason="核查属实", document_number="撤〔2026〕1号")
    async with world.desk(OPERATOR) as desk, desk.acting():
        change_id = await changes.ask(desk.connection, desk.actor, changes.Kind.REVOKE, grounds)
    async with world.desk(REVIEWER) as desk, desk.acting():
        await changes.confirm(desk.connection, desk.actor, change_id, edition="2026")
    (certificate,) = (await traced(world, OPERATOR, first)).certificates
    asked, done = certificate.events[-2:]
    assert (asked.act, asked.actors, asked.reason) == ("change:asked", [OPERATOR], "核查属实")
    assert (done.act, done.actors, done.words[0]) == ("change:done", [REVIEWER], "撤销（已办）")
    assert certificate.versions[0].standing == "revoked"


async def test_another_city_is_told_nothing_and_the_province_everything(world: World) -> None:
    first, _, third = await _scene(world)
    one = rows(3)[0]
    person = tracing.person(wiring.lookup(world.settings), one.name, one.id_number)
    for asked in (first, third, "川26A0000003", "0000099"):
        with pytest.raises(TraceUnknown):
            await traced(world, f"operator-{MIANYANG}", asked)
    with pytest.raises(PersonUntraced):
        await traced(world, f"operator-{MIANYANG}", person)
    (_, blank, _) = (await traced(world, "province", first)).blanks
    assert acts(blank)[0] == "blank:take-in"
    (no_paper,) = (await traced(world, REVIEWER, third)).certificates
    assert no_paper.papers == []


async def test_what_left_a_city_stays_in_its_story_and_says_no_more_than_elsewhere(
    world: World,
) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 9)))
    async with world.desk(KEEPER) as desk, desk.acting():
        await stationery.move(
            desk, movement(Kind.SEND_BACK, State.AT_CITY, State.SENT_BACK, ranges((1, 9)))
        )
    async with world.desk("keeper-510000") as desk, desk.acting():
        back = (Kind.TAKE_BACK, State.SENT_BACK, State.AT_PROVINCE)
        await stationery.move(desk, movement(*back, ranges((1, 9))))
    (blank,) = (await traced(world, KEEPER, "川26A0000005")).blanks
    assert (blank.city_code, blank.state) == (None, "elsewhere")
    assert acts(blank)[-1] == "blank:take-back"


async def test_a_dispatch_leads_to_the_requisition_that_it_was_made_for(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 9)))
    async with world.connection() as owner:
        await owner.execute(
            "set session_replication_role = replica;"
            "update blank_movement set subject = 'consignment:1' where kind = 'dispatch';"
            "insert into consignment (city_code, direction, series_id, requisition_id, sheet_count,"
            " document_number, reason, dispatched_by)"
            " values ('510100', 'supply', 1, 7, 9, '1', '', 'keeper-510000')"
        )
    (blank,) = (await traced(world, KEEPER, "川26A0000005")).blanks
    assert [one.told.requisition_id for one in blank.events] == [7, None]
    async with world.connection() as owner:
        await owner.execute(
            "set session_replication_role = replica;"
            "update blank_movement set subject = 'consignment:x' where kind = 'dispatch'"
        )
    (blank,) = (await traced(world, KEEPER, "川26A0000005")).blanks
    assert blank.events[0].told.subject == "consignment:x"


@pytest.mark.parametrize(
    "asked",
    ["", "川26A0000101", "0000101", "9999999999999999", "x" * 10_000_000, "0000001\x00",
     "0000001\udcff", "川26\u04100000001", "\u202e0000001"],
    ids=len,
)  # fmt: skip
async def test_what_is_not_there_is_refused(world: World, asked: str) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    with pytest.raises(TraceUnknown):
        await traced(world, KEEPER, asked)


async def test_a_person_is_found_by_name_and_number_by_those_who_may_and_it_is_noted(
    world: World,
) -> None:
    await world.approved(count=1)
    one = rows(1)[0]
    lookup = wiring.lookup(world.settings)
    person = tracing.person(lookup, one.name, f" {one.id_number.lower()} ")
    async with world.connection() as owner:
        before = await owner.fetchval("select count(*) from journal")
        for wrong in (
            tracing.person(lookup, "别人", one.id_number),
            tracing.person(lookup, one.name, "E12345678"),
        ):
            with pytest.raises(PersonUntraced):
                await traced(world, OPERATOR, wrong)
        with pytest.raises(ActNotGranted):
            await traced(world, KEEPER, person)
        assert await owner.fetchval("select count(*) from journal") == before
        (full,) = (await traced(world, OPERATOR, person)).certificates
        (masked,) = (await traced(world, AUDITOR, person)).certificates
        entries = await owner.fetch(
            "select actor, subject, detail from journal where act = 'tracing:person:read'"
        )
    assert [tuple(entry) for entry in entries] == [
        (who, "person", {"certificates": 1}) for who in (OPERATOR, AUDITOR)
    ]
    assert full.versions[0].name == one.name
    assert masked.versions[0].name == one.name[0] + "＊" * (len(one.name) - 1)


# At the command line.


def test_a_story_is_told_on_the_terminal_and_to_machines(
    type_: Type,  # noqa: F811 - a fixture
    world: World,
    tmp_path: Path,
) -> None:
    first, _, third = asyncio.run(_scene(world))
    one = rows(3)[0]
    told = type_("trace", "川26A0000003", by=OPERATOR, yes=False)
    assert told.code == 0
    for word in (
        "签收",
        "0000001-0000100",
        "领〔2026〕1号",
        "马小云",
        "补发（已办）",
        "遗失",
        first,
        "领用 drawn 川26A0000001（2026-inner）任务 run 1 第 1 轮 作废 spoiled",
        "有效 valid",
        "结果 已打印",
    ):
        assert word in told.out, word
    (tmp_path / "who").write_text(f"{one.name}\n{one.id_number}\n")
    by_person = type_("trace", "--person-file", tmp_path / "who", by=OPERATOR, yes=False)
    assert by_person == told
    assert one.id_number not in told.out
    machine = type_("trace", first, "--json", by=AUDITOR, yes=False)
    story = msgspec.json.decode(machine.out, type=Story)
    assert [paper.serial for paper in story.certificates[0].papers][-1] == "川26A0000004"
    assert one.name not in machine.out + type_("trace", first, by=AUDITOR, yes=False).out
    assert type_("trace", third, by=f"auditor-{MIANYANG}", yes=False).code == 65
    for words in ((), (first, "--person")):
        assert type_("trace", *words, by=OPERATOR, yes=False).code == 64
    assert type_("trace", "--person", by=OPERATOR, yes=False).code == 64  # nobody to be asked
    assert type_("trace", "--person-file", tmp_path / "who", by=KEEPER, yes=False).code == 77
