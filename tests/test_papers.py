"""Papers: handed over once, replaced by two persons, and told by their last digits."""

import asyncio
import datetime
import itertools
from collections.abc import Mapping

import asyncpg
import msgspec
import pytest

from service import terminal
from service.checking import verification
from service.checking.decision import Status
from service.ground import db
from service.ground.errors import (
    ActNotGranted,
    ChangeDecided,
    ChangeOpen,
    ChangeUnknown,
    CollectorUnproven,
    GroundsAbsent,
    HandOverDateUnfit,
    HandOverRefused,
    HistoryChanged,
    NothingToHandOver,
    NotYourCity,
    PaperChangeImpossible,
    PaperNotWanted,
    PaperUnknown,
    Refusal,
    SecondPersonNeeded,
    TryAgain,
)
from service.ground.settings import templates_folder
from service.issuing.changes import Kind as Change
from service.paper import blanks, papers
from service.paper.blanks import Movement, State, check
from service.paper.papers import changing
from service.paper.papers.changing import Kind
from service.registry.accounts import Role
from service.web import api
from service.web.pages import Language, Pages
from service.wiring import Desk
from signing.cose import Purpose
from signing.key_set import Keys
from tests import filled, printshop, test_changes
from tests.printshop import COLLECTED, DOCUMENT, OPERATOR, REVIEWER, TODAY, Shop
from tests.stationery import ranges as some
from tests.test_changes import done
from tests.world import CHENGDU, MIANYANG

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
PAGES = Pages(templates_folder() / "pages")


async def states(shop: Shop, number: str) -> list[tuple[int, str, str]]:
    """Serial, state and remark of every paper of a number, oldest first."""
    async with shop.world.connection() as owner:
        rows = await owner.fetch(
            "select serial, state, remark from paper where number = $1 order by paper_id", number
        )
    return [tuple(row) for row in rows]


# Hand-over.


async def test_who_collected_is_recorded_and_the_rest_is_listed_by_age(shop: Shop) -> None:
    first, second, third = shop.numbers[:3]
    run_id = await shop.printed(first, second, third)
    agent = msgspec.structs.replace(COLLECTED, agent_name="王芳", authority_document="委托书")
    assert await shop.hand_over(first) == 1
    assert await shop.hand_over(second, collected=agent) == 1
    assert await shop.stock(State.HANDED_OVER) == ((1, 2),)
    async with shop.at(OPERATOR) as desk:
        await desk.connection.execute("select set_config('role', 'none', true)")
        await desk.connection.execute("set session_replication_role = replica")
        await desk.connection.execute("update paper set printed_at = now() - interval '40 days'")
    async with shop.at(OPERATOR) as desk:
        found = await papers.uncollected(desk.connection, NOW)
        assert [(one.number, one.serial, one.days) for one in found] == [
            (third, "川26A0000003", 40)
        ]
        assert await papers.uncollected(desk.connection, NOW, days_min=41) == []
        kept = await desk.connection.fetch("select agent_name from hand_over order by paper_id")
        (told, _) = await desk.connection.fetch(
            "select detail::text from journal where act = 'papers:paper:hand-over'"
        )
        assert [one.number for one in await papers.of_run(desk.connection, run_id)] == [third]
    assert [row["agent_name"] for row in kept] == [None, "王芳"]
    assert "王芳" not in told["detail"]


async def test_a_hand_over_says_all_that_it_must(shop: Shop) -> None:
    number = shop.numbers[0]
    await shop.printed(number)
    for wrong, refusal in (
        ({"is_id_checked": False}, CollectorUnproven),
        ({"agent_name": "王芳"}, CollectorUnproven),
        ({"authority_document": "委托书"}, CollectorUnproven),
        ({"agent_name": " ", "authority_document": "委托书"}, CollectorUnproven),
        ({"document_number": "—"}, GroundsAbsent),
        ({"handed_on": TODAY + DAY}, HandOverDateUnfit),
        ({"handed_on": TODAY - DAY}, HandOverDateUnfit),
    ):
        with pytest.raises(refusal):
            await shop.hand_over(number, collected=msgspec.structs.replace(COLLECTED, **wrong))
    for by in (REVIEWER, f"keeper-{CHENGDU}"):
        with pytest.raises(ActNotGranted):
            await shop.hand_over(number, by=by)
    for unknown in ("404", shop.numbers[1]):
        with pytest.raises(PaperUnknown):
            await shop.hand_over(number, unknown)
    with pytest.raises(PaperUnknown):
        await shop.hand_over(number, by=f"operator-{MIANYANG}")
    assert await states(shop, number) == [(1, "printed", "")]


async def test_only_papers_of_valid_certificates_are_handed_over_and_only_once(shop: Shop) -> None:
    fine, handed, suspended, corrected = shop.numbers[:4]
    await shop.printed(fine, handed, suspended, corrected)
    await shop.hand_over(handed)
    await done(shop.world, suspended, Change.SUSPEND)
    await done(shop.world, corrected, Change.CORRECT)
    with pytest.raises(HandOverRefused) as refused:
        await shop.hand_over(fine, handed, suspended, corrected)
    assert [one.value for one in refused.value.findings] == [handed, suspended, corrected]
    assert "已有新版本" in refused.value.findings[2].zh
    await done(shop.world, suspended, Change.LIFT)
    assert await shop.hand_over(fine, suspended) == 2
    assert await shop.stock(State.PRINTED) == ((4, 4),)


async def test_of_two_hand_overs_at_once_one_wins(shop: Shop) -> None:
    number = shop.numbers[0]
    await shop.printed(number)
    async with shop.world.desk(OPERATOR) as first:
        async with first.acting():
            found = await papers.of_numbers(first.connection, [number])
            await papers.hand_over(first.connection, first.actor, found, COLLECTED, today=TODAY)
            second = asyncio.create_task(shop.hand_over(number))
            await shop.world.until_somebody_waits()
        with pytest.raises(HandOverRefused):
            await second
    async with shop.world.connection() as owner:
        assert await owner.fetchval("select count(*) from hand_over") == 1


async def test_the_signature_sheet_lists_what_is_ready(shop: Shop) -> None:
    run_id = await shop.printed(*shop.numbers[:2])
    async with shop.at(OPERATOR) as desk:
        found = await papers.of_run(desk.connection, run_id)
    form = papers.signature_sheet(desk.actor, found, DOCUMENT)
    assert [(line.number, line.serial) for line in form.lines] == [
        (shop.numbers[0], "川26A0000001"), (shop.numbers[1], "川26A0000002"),
    ]  # fmt: skip
    assert "成都" in form.centre
    assert filled.FORMS.pdf(form, printed_at=NOW).startswith(b"%PDF")
    with pytest.raises(NothingToHandOver):
        papers.signature_sheet(desk.actor, [], DOCUMENT)
    auditor = msgspec.structs.replace(desk.actor, role=Role.AUDITOR)
    with pytest.raises(ActNotGranted):
        papers.signature_sheet(auditor, found, DOCUMENT)


async def test_every_door_that_asks_the_register_names_the_papers_last_digits(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    number = shop.numbers[0]
    await shop.printed(number)
    asked = await test_changes.held(shop.world, number)
    for door, verdict in (await asked.ask_everywhere()).items():
        assert verdict.paper_digits == api.told(verdict).paper_digits == "0001", door
        assert verdict.compare[-1] == "paper"
        assert "末四位" in api.told(verdict).compare[-1].zh
        terminal.verdict(verdict)
        assert "末四位 paper serial ends in: 0001" in capsys.readouterr().out
        page = PAGES.render("verdict.html", Language.ZH, verdict=verdict)
        assert "纸质证书流水号末四位</dt><dd>0001<" in page
    without_register: Keys = {purpose: {} for purpose in Purpose}
    assert verification.offline(asked.qr_text, without_register, [], NOW).paper_digits is None
    without = await shop.verdict(shop.numbers[1])
    assert "paper" not in without.compare
    page = PAGES.render("verdict.html", Language.ZH, verdict=without)
    assert 'data-fact="paper" hidden' in page


# Changes.


async def test_a_lost_paper_is_printed_anew_under_the_same_number_and_says_so(shop: Shop) -> None:
    number = shop.numbers[0]
    assert (await shop.verdict(number)).paper_digits is None
    await shop.printed(number)
    before = await shop.verdict(number)
    assert (before.status, before.paper_digits) == (Status.VALID, "0001")
    assert before.compare == ("paper",)
    await shop.hand_over(number)
    change_id = await shop.ask(Kind.REISSUE, number)
    with pytest.raises(PaperNotWanted):
        await shop.plan(number)
    assert (await shop.confirm(change_id)).serial == "川26A0000001"
    assert (await shop.verdict(number)).paper_digits is None
    assert await shop.stock(State.LOST) == ((1, 1),)
    run_id = await shop.printed(number)
    assert [one.remark for one in await shop.listed(run_id)] == ["补发"]
    assert await states(shop, number) == [(1, "ended", ""), (2, "printed", "补发")]
    after = await shop.verdict(number)
    assert after.paper_digits == "0002" != before.paper_digits
    assert after.status is Status.VALID
    # A bad reissue that nobody collected is printed once more as what it was.
    await shop.changed(Kind.SPOIL, number)
    await shop.printed(number)
    assert (await states(shop, number))[2:] == [(3, "printed", "补发")]


async def test_a_corrected_certificate_takes_paper_once_the_old_one_is_back(shop: Shop) -> None:
    number, uncollected = shop.numbers[:2]
    await shop.printed(number, uncollected)
    await shop.hand_over(number)
    for one in (number, uncollected):
        await done(shop.world, one, Change.CORRECT)
    await shop.world.issue()
    assert (await shop.verdict(number)).paper_digits is None
    with pytest.raises(PaperNotWanted):
        await shop.plan(number)
    with pytest.raises(PaperChangeImpossible, match="已打印"):
        await shop.ask(Kind.EXCHANGE, uncollected)
    await shop.changed(Kind.EXCHANGE, number)
    await shop.changed(Kind.SPOIL, uncollected)
    assert await shop.stock(State.PENDING_DESTRUCTION) == ((1, 2),)
    await shop.printed(number, uncollected)
    assert await states(shop, number) == [(1, "ended", ""), (3, "printed", "换发")]
    assert await states(shop, uncollected) == [(2, "ended", ""), (4, "printed", "")]
    told = await shop.verdict(number)
    assert (told.version, told.paper_digits) == (2, "0003")


async def test_the_paper_of_a_revoked_certificate_comes_back_for_good(shop: Shop) -> None:
    handed, kept = shop.numbers[:2]
    await shop.printed(handed, kept)
    await shop.hand_over(handed)
    with pytest.raises(PaperChangeImpossible):
        await shop.ask(Kind.TAKE_BACK, handed)
    for number in (handed, kept):
        await done(shop.world, number, Change.REVOKE)
        with pytest.raises(PaperChangeImpossible, match="revoked"):
            await shop.ask(Kind.REISSUE, number)
        await shop.changed(Kind.TAKE_BACK, number)
        with pytest.raises(PaperNotWanted):
            await shop.plan(number)
    assert await shop.stock(State.PENDING_DESTRUCTION) == ((1, 2),)


async def test_a_hand_over_recorded_by_mistake_is_undone_and_done_again(shop: Shop) -> None:
    number = shop.numbers[0]
    await shop.printed(number)
    with pytest.raises(PaperChangeImpossible):
        await shop.ask(Kind.UNDO_HAND_OVER, number)
    for _ in range(2):
        await shop.hand_over(number)
        await shop.changed(Kind.UNDO_HAND_OVER, number)
        assert await states(shop, number) == [(1, "printed", "")]
    await shop.hand_over(number)
    async with shop.world.connection() as owner:
        assert await check.check(owner) == []
        kinds = await owner.fetch("select kind from blank_movement order by movement_id offset 5")
    assert [row["kind"] for row in kinds] == ["hand-over", "counter"] * 2 + ["hand-over"]


async def test_a_change_begins_only_where_it_may_and_the_database_says_the_same(shop: Shop) -> None:
    expected = {
        ("reissue", "printed", "valid"): "lose",
        ("reissue", "handed-over", "valid"): "lose",
        ("exchange", "handed-over", "valid"): "recall",
        ("undo-hand-over", "handed-over", None): "counter",
        ("spoil", "printed", None): "spoil",
        ("take-back", "printed", "revoked"): "spoil",
        ("take-back", "printed", "cancelled"): "spoil",
        ("take-back", "handed-over", "revoked"): "recall",
        ("take-back", "handed-over", "cancelled"): "recall",
    }
    standings = ("valid", "suspended", "revoked", "cancelled")
    async with shop.world.connection() as owner:
        for kind, paper, standing in itertools.product(
            Kind, ("printed", "handed-over", "ended"), standings
        ):
            movement = await owner.fetchval(
                "select paper_change_movement($1, $2, $3)", kind, paper, standing
            )
            wanted = expected.get((kind, paper, standing)) or expected.get((kind, paper, None))
            assert movement == wanted, (kind, paper, standing)


async def test_a_change_takes_two_persons_words_and_its_time(shop: Shop) -> None:
    number = shop.numbers[0]
    await shop.printed(number)
    async with shop.at(OPERATOR) as desk:
        for reason, document in (("", DOCUMENT), ("雨淋", "　"), ("—", DOCUMENT)):
            with pytest.raises(GroundsAbsent):
                await changing.ask(
                    desk.connection, desk.actor, Kind.SPOIL, number, reason=reason,
                    document_number=document,
                )  # fmt: skip
    change_id = await shop.ask(Kind.SPOIL, number)
    with pytest.raises(ChangeOpen):
        await shop.ask(Kind.REISSUE, number)
    with pytest.raises(ActNotGranted):
        await shop.confirm(change_id, by=OPERATOR)
    for by in (REVIEWER, f"reviewer-{MIANYANG}"):
        with pytest.raises(ChangeUnknown):
            await shop.confirm(change_id + (by == REVIEWER), by=by)
    async with shop.world.desk(REVIEWER) as desk:
        same = Desk(desk.connection, msgspec.structs.replace(desk.actor, account_name=OPERATOR))
        with pytest.raises(SecondPersonNeeded):
            async with same.acting():
                await changing.confirm(same.connection, same.actor, change_id)
        async with desk.acting():
            (waits,) = await changing.waiting(desk.connection)
            assert (waits.number, waits.serial, waits.kind) == (number, "川26A0000001", Kind.SPOIL)
            with pytest.raises(GroundsAbsent):
                await changing.decline(desk.connection, desk.actor, change_id, " ")
            await changing.decline(desk.connection, desk.actor, change_id, "并未淋湿")
    with pytest.raises(ChangeDecided):
        await shop.confirm(change_id)
    assert await states(shop, number) == [(1, "printed", "")]


async def test_a_paper_handed_over_since_it_was_said_to_be_lost_is_not_lost(shop: Shop) -> None:
    """An operator who says so alone would get two genuine papers of one certificate."""
    number, second = shop.numbers[:2]
    await shop.printed(number, second)
    for kind, one in ((Kind.REISSUE, number), (Kind.SPOIL, second)):
        change_id = await shop.ask(kind, one)
        await shop.hand_over(one)
        with pytest.raises(PaperChangeImpossible, match="已核发"):
            await shop.confirm(change_id)
        async with shop.at(REVIEWER) as desk:
            with pytest.raises(TryAgain), db.refusing():
                await desk.connection.execute(
                    "update paper_change set state = 'done', decided_at = now(), decided_by = $1"
                    " where change_id = $2", REVIEWER, change_id,
                )  # fmt: skip
    assert await states(shop, number) == [(1, "handed-over", "")]


async def test_a_paper_follows_its_blank_whichever_room_moves_that(shop: Shop) -> None:
    """A stocktake or an order that loses a printed sheet ends the paper, too."""
    first, second = shop.numbers[:2]
    await shop.printed(first, second)
    lost = Movement(
        kind=blanks.Kind.LOSE, city_code=CHENGDU, from_state=State.PRINTED, to_state=State.LOST,
        ranges=some((2, 2)), document_number=DOCUMENT, subject="order:1", second_actor=OPERATOR,
    )  # fmt: skip
    async with shop.at(f"keeper-{CHENGDU}") as desk:
        series = await blanks.find(desk.connection, "2026-inner")
        await blanks.move(desk.connection, desk.actor, series, lost)
    assert await shop.papers() == {first: 1}
    run_id = await shop.plan(second)
    assert [one.remark for one in await shop.listed(run_id)] == ["补发"]


async def test_the_public_learns_four_digits_of_a_serial_and_no_more(shop: Shop) -> None:
    number = shop.numbers[0]
    await shop.printed(number)
    async with shop.world.connection() as connection:
        await connection.execute("set role qianfa_public")
        shown = await connection.fetch("select * from paper_shown")
        assert [dict(row) for row in shown] == [
            {"number": number, "version": 1, "paper_digits": "0001"}
        ]
        for table in ("paper", "sheet", "hand_over", "paper_change", "print_line", "blank_stock"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select * from {table}")  # noqa: S608 - of the list above


_HANDED = (
    "insert into hand_over (paper_id, city_code, handed_on, document_number, recorded_by,"
    " id_checked) select paper_id, city_code, now(), 'x', '$operator', "
)
_ASKED = (
    "insert into paper_change (city_code, paper_id, kind, paper_state, reason, document_number,"
    " asked_by) select city_code, paper_id, "
)
_TRIES: Mapping[str, type[Refusal]] = {
    _HANDED + "true from paper where number = '$other'": TryAgain,
    _HANDED + "false from paper where number = '$number'": CollectorUnproven,
    _ASKED + "'take-back', state, 'x', 'x', '$operator' from paper where number = '$number'":
        TryAgain,
    _ASKED + "'reissue', 'handed-over', 'x', 'x', '$operator' from paper where number = '$number'":
        TryAgain,
    _ASKED + "'spoil', state, '', 'x', '$operator' from paper where number = '$number'":
        GroundsAbsent,
    "update paper_change set state = 'asked' where change_id = $change": HistoryChanged,
    "delete from hand_over": NotYourCity,
}  # fmt: skip


async def test_the_public_look_up_finds_one_paper_by_its_index(shop: Shop) -> None:
    """A join would read every paper there is for each certificate that is looked up."""
    await shop.printed(*shop.numbers)
    async with shop.world.connection() as connection:
        await connection.execute("set role qianfa_public; set enable_seqscan = off")
        rows = await connection.fetch("explain select * from entry where public_id = 'x'")
    plan = "\n".join(row[0] for row in rows)
    assert "Index Scan using paper_current" in plan
    assert "Index Cond: (number = held.number)" in plan
    assert "Hash" not in plan.replace("Hashed", "")


async def test_the_database_guards_hand_overs_and_changes(shop: Shop) -> None:
    number, other = shop.numbers[:2]
    await shop.printed(number, other)
    change_id = await shop.ask(Kind.SPOIL, other)
    await shop.confirm(change_id)
    names = {"$other": other, "$number": number, "$operator": OPERATOR, "$change": f"{change_id}"}
    async with shop.world.desk(OPERATOR) as desk:
        for statement, refusal in _TRIES.items():
            with pytest.raises(refusal):
                async with desk.acting():
                    await desk.connection.execute(printshop.filled(statement, names))
