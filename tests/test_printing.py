"""Printing: certificates that want paper are planned, and sheets drawn for exactly these."""

import asyncio
from collections.abc import Mapping

import asyncpg
import msgspec
import pytest

from service.ground import db
from service.ground.errors import (
    ActNotGranted,
    BatchUnknown,
    BlanksTooFew,
    CertificateBeingPrinted,
    NothingToPrint,
    NotYourCity,
    PaperNotWanted,
    PrintedPerhaps,
    Refusal,
    RunFallen,
    RunInOtherState,
    RunTooLong,
    RunUnknown,
    SecondPersonNeeded,
    SerialsInOtherState,
    SerialsMiscounted,
    SeriesUnknown,
)
from service.issuing.changes import Kind as Change
from service.paper import printing
from service.paper.blanks import State
from service.paper.printing import faces, planning
from service.paper.printing.settling import Said
from service.wiring import Desk
from tests import test_adoption
from tests.printshop import COUNT, KEEPER, OPERATOR, Shop, filled
from tests.stationery import COVER, INNER, record, supply
from tests.stationery import ranges as some
from tests.test_changes import done
from tests.world import MIANYANG

# Planned.


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
        folded = {one.zh: one.value for one in refused.value.findings}
        numbers = sorted({*shop.numbers} - {papered, planned, suspended})
        assert folded["已有纸质证书 川26A0000001"] == papered
        assert folded[f"已列入打印任务 {rest.run_id}（{COUNT - 3} 张）"] == (
            f"{numbers[0]} … {numbers[-1]}"
        )
        assert len(folded) == 4
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


# Drawn.


async def test_two_runs_drawn_at_once_get_different_serials_in_order(shop: Shop) -> None:
    runs = [await shop.plan(*shop.numbers[at : at + 5]) for at in (0, 5, 10)]
    drawn = await asyncio.gather(*map(shop.draw, runs))
    assert sorted(drawn) == [
        f"川26A{first:07}-{first + 4:07}" for first in (1, 6, 11)
    ]  # fmt: skip
    assert await shop.stock(State.DRAWN) == ((1, 15),)


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


# Who does what, and how long.


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
