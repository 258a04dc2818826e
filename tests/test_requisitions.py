"""Requisitions: every archived pass asked for once, by two persons of the city and the province."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from decimal import Decimal

import asyncpg
import msgspec
import pytest

from service.ground.errors import (
    ActNotGranted,
    GrantUnfit,
    GroundsAbsent,
    HistoryChanged,
    NotYourCity,
    PassesCovered,
    PeriodUnfit,
    RequisitionEmpty,
    RequisitionInOtherState,
    RequisitionOutdated,
    RequisitionUnknown,
    RequisitionUnsettled,
    SupplyImpossible,
)
from service.ground.settings import templates_folder
from service.issuing import certificates
from service.paper import requisitions
from service.paper.blanks import PaperKind
from service.paper.forms import Forms, workbooks
from service.paper.forms.sheets import ProjectLine
from service.paper.requisitions import Requisition, State, Wish
from service.wiring import FONTS
from tests import stationery
from tests.stationery import ranges
from tests.test_adoption import adopted, lines
from tests.world import CHENGDU, DAILY, MIANYANG, NOW, TODAY, World, batch_facts, rows

KEEPER, REVIEWER, PROVINCES = f"keeper-{CHENGDU}", f"reviewer-{CHENGDU}", "province"
DAY = datetime.timedelta(days=1)
LATER = TODAY + 10 * DAY
ALL = Wish()
_Do = Callable[[World, int], Awaitable[object]]


async def archived(
    world: World, count: int, serial: int, *, city_code: str = CHENGDU, days: int = 0
) -> tuple[str, ...]:
    """Archive a batch of so many passes and one who failed, so many days after NOW."""
    people = rows(count, serial=serial, failed_every=count + 1)
    failed = msgspec.structs.replace(
        rows(1, serial=serial + count)[0], row_number=count + 2, passed=False, total=Decimal(41)
    )
    batch_id = await world.import_rows(city_code, [*people, failed])
    await world.record(f"operator-{city_code}", *batch_facts(batch_id).values())
    await world.submit(city_code, batch_id)
    return (await world.approve(city_code, batch_id, now=NOW + days * DAY)).numbers


async def make(
    world: World, wish: Wish = ALL, *, by: str = KEEPER, kind: PaperKind = PaperKind.INNER
) -> Requisition:
    async with world.desk(by) as desk, desk.acting():
        return await requisitions.make(desk.connection, desk.actor, kind, wish, today=LATER)


async def mend(
    world: World, requisition_id: int, wish: Wish = ALL, *, by: str = KEEPER
) -> Requisition:
    async with world.desk(by) as desk, desk.acting():
        return await requisitions.mend(
            desk.connection, desk.actor, requisition_id, wish, today=LATER
        )


async def submit(world: World, requisition_id: int, *, by: str = REVIEWER) -> None:
    async with world.desk(by) as desk, desk.acting():
        await requisitions.submit(desk.connection, desk.actor, requisition_id)


async def approve(
    world: World, requisition_id: int, *, by: str = PROVINCES, extra: int | None = None
) -> Requisition:
    async with world.desk(by) as desk, desk.acting():
        return await requisitions.approve(
            desk.connection, desk.actor, requisition_id, extra_count=extra
        )


async def return_(
    world: World, requisition_id: int, *, by: str = PROVINCES, reason: str = "请核对期间"
) -> None:
    async with world.desk(by) as desk, desk.acting():
        await requisitions.return_(desk.connection, desk.actor, requisition_id, reason)


async def withdraw(
    world: World, requisition_id: int, *, by: str = KEEPER, reason: str = "重复申领"
) -> None:
    async with world.desk(by) as desk, desk.acting():
        await requisitions.withdraw(desk.connection, desk.actor, requisition_id, reason)


async def close(world: World, requisition_id: int, *, by: str = KEEPER, reason: str = "") -> None:
    async with world.desk(by) as desk, desk.acting():
        await requisitions.close(desk.connection, desk.actor, requisition_id, reason)


async def find(world: World, requisition_id: int, *, by: str = KEEPER) -> Requisition:
    async with world.desk(by) as desk, desk.acting():
        return await requisitions.find(desk.connection, requisition_id)


async def approved(world: World) -> Requisition:
    """Take a requisition to the province's approval."""
    made = await make(world)
    await submit(world, made.requisition_id)
    return await approve(world, made.requisition_id)


async def void(world: World, number: str) -> None:
    for role in ("operator", "reviewer"):
        async with world.desk(f"{role}-{CHENGDU}") as desk, desk.acting():
            await certificates.void(desk.connection, desk.actor, number, "无法签发")


# What is counted.


async def test_a_requisition_asks_for_the_passes_archived_in_its_period_and_not_covered(
    world: World,
) -> None:
    """Who failed, whose number is void, other cities and later days are not counted."""
    first = await archived(world, 3, 0)
    await archived(world, 2, 10, days=2)
    await archived(world, 4, 20, days=5)
    await archived(world, 5, 30, city_code=MIANYANG)
    await void(world, first[1])
    made = await make(world, Wish(archived_until=TODAY + 2 * DAY))
    assert (made.archived_from, made.archived_until) == (TODAY, TODAY + 2 * DAY)
    assert (made.pass_count, made.state) == (2 + 2, State.DRAFT)
    async with world.desk(KEEPER) as desk, desk.acting():
        assert await requisitions.lines(desk.connection, made.requisition_id) == [
            ProjectLine(project_name=DAILY, batch_count=2, pass_count=4)
        ]
    rest = await make(world)
    assert (rest.archived_from, rest.archived_until) == (TODAY + 5 * DAY, LATER)
    assert rest.pass_count == 4
    with pytest.raises(RequisitionEmpty):
        await make(world)
    assert (await make(world, kind=PaperKind.COVER)).pass_count == 8


async def test_what_was_archived_later_but_falls_into_an_old_period_is_covered_by_the_next(
    world: World,
) -> None:
    await archived(world, 3, 0)
    assert (await make(world, Wish(archived_until=TODAY))).pass_count == 3
    await archived(world, 2, 10)  # the same day, after it was counted
    assert (await make(world)).pass_count == 2


async def test_adopted_and_void_certificates_and_empty_periods_ask_for_nothing(
    world: World,
) -> None:
    await adopted(world, lines(3, serial=500))
    with pytest.raises(RequisitionEmpty):
        await make(world)
    (number,) = await archived(world, 1, 0)
    await void(world, number)
    with pytest.raises(RequisitionEmpty):
        await make(world)
    await archived(world, 2, 10, days=5)
    for until in (TODAY, TODAY + DAY):
        wish = Wish(archived_from=TODAY, archived_until=until)
        with pytest.raises(RequisitionEmpty):
            await make(world, wish)
    for since, until in ((TODAY + 6 * DAY, TODAY), (TODAY, LATER + DAY)):
        with pytest.raises(PeriodUnfit):
            await make(world, Wish(archived_from=since, archived_until=until))
    with pytest.raises(RequisitionEmpty):  # before the earliest that is not covered
        await make(world, Wish(archived_until=TODAY))
    assert (await make(world)).pass_count == 2


async def test_a_pass_is_covered_once_when_two_make_a_requisition_at_once(world: World) -> None:
    for place in range(3):
        await archived(world, 2, 10 * place, days=place)
    wishes = [ALL, ALL, Wish(archived_from=TODAY + DAY), Wish(archived_until=TODAY + DAY)] * 2
    made = await asyncio.gather(*(make(world, wish) for wish in wishes), return_exceptions=True)
    kept = [one for one in made if isinstance(one, Requisition)]
    assert kept
    assert all(isinstance(one, Requisition | PassesCovered | RequisitionEmpty) for one in made)
    async with world.connection() as owner:
        assert (
            await owner.fetchval(
                "select max(times) from (select count(*) times from requisition_pass where live"
                " group by batch_id, project_name, kind)"
            )
            == 1
        )
        assert await owner.fetchval("select sum(pass_count) from requisition_pass") == sum(
            one.pass_count for one in kept
        )


async def test_the_database_alone_says_what_a_requisition_covers(world: World) -> None:
    await archived(world, 3, 0)
    made = await make(world)
    for statement, refusal in (
        ("update requisition set pass_count = 99", NotYourCity),
        ("update requisition set stock_count = 99", NotYourCity),
        (
            "insert into requisition_pass select requisition_id, batch_id, 'x', city_code, kind,"
            " 9, true from requisition_pass",
            NotYourCity,
        ),
        ("delete from requisition_pass", NotYourCity),
        ("update requisition_pass set live = false", NotYourCity),
        ("update requisition set city_code = '510700'", NotYourCity),
        ("delete from requisition", NotYourCity),
    ):
        with pytest.raises(refusal):
            async with world.desk(KEEPER) as desk, desk.acting():
                await desk.connection.execute(statement)
    async with world.connection() as owner:
        with pytest.raises(asyncpg.UniqueViolationError, match="requisition_pass_once"):
            await owner.execute(
                "insert into requisition_pass select 99, batch_id, project_name, city_code, kind, 3"
                " from requisition_pass"
            )
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
            await owner.execute("delete from requisition")
    assert (await find(world, made.requisition_id)).pass_count == 3


# The way of a requisition.


async def test_extra_needs_a_reason_and_is_granted_in_part(world: World) -> None:
    await archived(world, 3, 0)
    for reason in ("", " 　", "——"):
        with pytest.raises(GroundsAbsent):
            await make(world, Wish(extra_count=5, extra_reason=reason))
    made = await make(world, Wish(extra_count=5, extra_reason="试打印损耗"))
    await submit(world, made.requisition_id)
    for granted in (-1, 6):
        with pytest.raises(GrantUnfit):
            await approve(world, made.requisition_id, extra=granted)
    assert (await approve(world, made.requisition_id, extra=2)).approved_count == 5
    only = await make(world, Wish(extra_count=4, extra_reason="备用"))
    await submit(world, only.requisition_id)
    with pytest.raises(GrantUnfit):
        await approve(world, only.requisition_id, extra=0)
    assert (await approve(world, only.requisition_id)).approved_count == 4


async def test_the_keeper_makes_the_reviewer_submits_and_the_province_decides(world: World) -> None:
    await archived(world, 3, 0)
    with pytest.raises(ActNotGranted):
        await make(world, by=f"operator-{CHENGDU}")
    with pytest.raises(NotYourCity):  # the province has no passes of its own
        await make(world, Wish(extra_count=5, extra_reason="备用"), by="keeper-510000")
    made = await make(world)
    number = made.requisition_id
    for by in (KEEPER, f"operator-{CHENGDU}", PROVINCES):
        with pytest.raises(ActNotGranted):
            await submit(world, number, by=by)
    with pytest.raises(RequisitionUnknown):
        await submit(world, number, by=f"reviewer-{MIANYANG}")
    with pytest.raises(NotYourCity):
        await withdraw(world, number, by="keeper-510000")
    with pytest.raises(RequisitionInOtherState, match="草稿"):
        await approve(world, number)
    await submit(world, number)
    acts: list[_Do] = [submit, mend, withdraw, close]
    for act in acts:
        with pytest.raises(RequisitionInOtherState, match="待审批"):
            await act(world, number)
    for by in (KEEPER, REVIEWER, "keeper-510000"):
        with pytest.raises(ActNotGranted):
            await approve(world, number, by=by)
    await approve(world, number)
    acts = [submit, mend, withdraw, return_, approve]
    for act in acts:
        with pytest.raises(RequisitionInOtherState, match="已批准"):
            await act(world, number)
    with pytest.raises(RequisitionUnsettled):
        await close(world, number)
    with pytest.raises(GroundsAbsent):
        await close(world, number, reason=" ")
    with pytest.raises(NotYourCity):  # the city says when it has what it asked for
        await close(world, number, reason="不再供应", by="keeper-510000")
    await close(world, number, reason="改由上年结存供应")
    with pytest.raises(RequisitionInOtherState, match="办结"):
        await close(world, number)
    with pytest.raises(RequisitionUnknown):
        await find(world, number, by=f"keeper-{MIANYANG}")
    with pytest.raises(RequisitionEmpty):  # what is closed stays covered
        await make(world)


async def test_a_returned_requisition_is_mended_counted_anew_and_submitted_again(
    world: World,
) -> None:
    numbers = await archived(world, 3, 0)
    number = (await make(world, Wish(archived_until=TODAY))).requisition_id
    await submit(world, number)
    with pytest.raises(GroundsAbsent):
        await return_(world, number, reason="　")
    await return_(world, number)
    returned = await find(world, number)
    assert (returned.state, returned.reason) == (State.RETURNED, "请核对期间")
    await archived(world, 2, 10, days=1)
    await void(world, numbers[0])
    with pytest.raises(RequisitionOutdated):  # a number has become void
        await submit(world, number)
    mended = await mend(world, number)
    assert (mended.state, mended.pass_count) == (State.DRAFT, 4)
    with pytest.raises(RequisitionEmpty):
        await make(world)
    await submit(world, number)
    await void(world, numbers[1])
    with pytest.raises(RequisitionOutdated):
        await approve(world, number)
    await return_(world, number)
    await mend(world, number)
    await submit(world, number)
    assert (await approve(world, number)).approved_count == 3


async def test_a_withdrawn_requisition_lets_go_of_its_passes(world: World) -> None:
    await archived(world, 3, 0)
    first = (await make(world)).requisition_id
    with pytest.raises(GroundsAbsent):
        await withdraw(world, first, reason="")
    await withdraw(world, first)
    second = await make(world)
    assert second.pass_count == 3
    acts: list[_Do] = [submit, mend, withdraw]
    for act in acts:
        with pytest.raises(RequisitionInOtherState, match="撤回"):
            await act(world, first)
    async with world.desk(KEEPER) as desk, desk.acting():
        told = await requisitions.lines(desk.connection, first)
    assert [one.pass_count for one in told] == [3]  # it says what it was


async def test_of_two_who_decide_at_once_one_does(world: World) -> None:
    await archived(world, 3, 0)
    number = (await make(world)).requisition_id
    await submit(world, number)
    done = await asyncio.gather(
        *(approve(world, number) for _ in range(3)),
        *(return_(world, number) for _ in range(3)),
        return_exceptions=True,
    )
    refused = [one for one in done if isinstance(one, RequisitionInOtherState)]
    assert len(refused) == 5


_SKIPS = (
    "state = 'approved', submitted_by = 'reviewer-510100', decided_by = 'province',"
    " extra_granted = 0",
    "state = 'received'",
    "state = 'closed', ended_by = 'keeper-510100', reason = 'x'",
    "state = 'submitted', submitted_by = 'reviewer-510100', extra_granted = 0",
    "archived_until = '2030-01-01', state = 'submitted', submitted_by = 'reviewer-510100'",
)


async def test_nobody_skips_a_state_behind_the_back_of_the_room(world: World) -> None:
    await archived(world, 3, 0)
    number = (await make(world)).requisition_id
    for by in (KEEPER, PROVINCES):
        for change in _SKIPS:
            with pytest.raises(SupplyImpossible):
                async with world.desk(by) as desk, desk.acting():
                    await desk.connection.execute(f"update requisition set {change}")  # noqa: S608 - ours
    await submit(world, number)
    approving = "update requisition set state = 'approved', decided_by = $1, extra_granted = 0"
    with pytest.raises(NotYourCity):  # a city approves its own
        async with world.desk(KEEPER) as desk, desk.acting():
            await desk.connection.execute(approving, "province")
    await approve(world, number)
    await close(world, number, reason="不再需要")
    for state in ("approved", "draft", "received"):
        with pytest.raises((SupplyImpossible, HistoryChanged)):
            async with world.desk(PROVINCES) as desk, desk.acting():
                await desk.connection.execute("update requisition set state = $1", state)


# The form.


async def test_the_form_says_what_is_asked_approved_and_at_hand(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 40)))
    await archived(world, 3, 0)
    made = await make(world, Wish(extra_count=5, extra_reason="试打印损耗"))
    await submit(world, made.requisition_id)
    await approve(world, made.requisition_id, extra=2)
    async with world.desk(KEEPER) as desk, desk.acting():
        form = await requisitions.form(desk.connection, made.requisition_id)
        with pytest.raises(RequisitionUnknown):
            await requisitions.form(desk.connection, 99)
    assert (form.centre, form.kind, form.state) == ("成都市职业技能鉴定指导中心", "内芯", "已批准")
    assert (form.stock_count, form.approved_count, form.supplied) == (40, 5, ())
    assert (form.applicant, form.reviewer) == (KEEPER, REVIEWER)
    assert form.decision == "同意供应 5 张，其中追加 2 张（申请 5 张）。"
    pdf = Forms(templates_folder() / "sheets", FONTS).pdf(form, printed_at=NOW)
    assert pdf.startswith(b"%PDF-")
    assert workbooks.requisition(form, printed_at=NOW).startswith(b"PK")
