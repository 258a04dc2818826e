"""The twelve gates: with every fact recorded all are open, without one fact just its own is closed.

Facts are recorded as `qianfa record` records them; what no record can make wrong is tampered with
by the owner of the database, triggers disabled.
"""

import asyncio
import datetime
import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest
from msgspec.structs import replace

from service.ground.errors import Finding, GatesClosed, PersonCertified, Refusal, TryAgain
from service.issuing import batches, certificates
from service.issuing.batches import Approval, BatchState
from service.issuing.batches.rows import Row
from service.registry.accounts import PROVINCE, Actor, Role
from service.registry.catalogue import Announcement, DailySession, Project, ProjectKind
from service.registry.facts import Fact
from service.registry.institutions import (
    CrossFiling,
    Filing,
    Institution,
    Plan,
    SessionException,
    Waiver,
)
from service.wiring import Desk
from tests import invented
from tests.world import CHENGDU, MIANYANG, NOW, TODAY, World, batch_facts, rows

DAILY, UNIFIED, CLOSED = ProjectKind.DAILY, ProjectKind.UNIFIED, ProjectKind.CLOSED
DAY = datetime.timedelta(days=1)
USCC = "91510700MA62345677"
PROJECT, OTHER_PROJECT = "竹编手工制作", "其他项目"
STARTS_ON, EXAM_ON = datetime.date(2026, 5, 9), datetime.date(2026, 5, 10)
RECEIVED_ON, DEADLINE_ON = datetime.date(2026, 4, 13), datetime.date(2026, 4, 17)

Facts = Mapping[str, Fact]
Changes = Mapping[str, Fact | Mapping[str, object] | None]

INSTITUTION = Institution(uscc=USCC, institution_name="竹编传习所", valid_from=RECEIVED_ON)
EXCEPTION = SessionException(
    city_code=CHENGDU, uscc=USCC, project_name=PROJECT, exam_on=EXAM_ON, waives=Waiver.SESSION,
    reason="考点停电", document_number="例外1号",
)  # fmt: skip
NO_DEADLINE = replace(EXCEPTION, waives=Waiver.DEADLINE)


def project(
    kind: ProjectKind,
    *,
    city_code: str = PROVINCE,
    valid_from: datetime.date = datetime.date(2026, 2, 1),
) -> Project:
    return Project(
        project_name=PROJECT, city_code=city_code, valid_from=valid_from, kind=kind,
        document_number="目录1号",
    )  # fmt: skip


def filing(kind: ProjectKind, *, authority_code: str = CHENGDU) -> Filing:
    return Filing(
        uscc=USCC, authority_code=authority_code, kind=kind, project_names=[OTHER_PROJECT, PROJECT],
        valid_from=EXAM_ON, valid_until=EXAM_ON, document_number="备案1号",
    )  # fmt: skip


DAILY_HERE: Facts = {
    "project": project(DAILY),
    "session": DailySession(
        starts_on=STARTS_ON, session_number=21, papers_until=DEADLINE_ON, document_number="计划1号"
    ),
    "filing": filing(DAILY),
}
UNIFIED_HERE: Facts = {
    "project": project(UNIFIED),
    "announcement": Announcement(
        city_code=CHENGDU, project_name=PROJECT, starts_on=STARTS_ON, ends_on=EXAM_ON,
        papers_until=DEADLINE_ON, document_number="公告1号",
    ),
    "filing": filing(UNIFIED),
}  # fmt: skip
FROM_ELSEWHERE: Facts = {
    **DAILY_HERE,
    "filing": filing(DAILY, authority_code=MIANYANG),
    "cross_filing": CrossFiling(
        uscc=USCC, city_code=CHENGDU, valid_from=EXAM_ON, valid_until=EXAM_ON,
        document_number="跨地区1号",
    ),
    "plan": Plan(
        uscc=USCC, city_code=CHENGDU, project_name=PROJECT, starts_on=STARTS_ON,
        reported_on=STARTS_ON, document_number="报送1号",
    ),
}  # fmt: skip
SCENARIOS = {"daily": DAILY_HERE, "unified": UNIFIED_HERE, "elsewhere": FROM_ELSEWHERE}


def changed(facts: Facts, changes: Changes) -> Facts:
    """Leave facts out (None), change their fields, or add further ones."""
    result = dict(facts)
    for name, change in changes.items():
        if change is None:
            del result[name]
        elif isinstance(change, Fact):
            result[name] = change
        else:
            result[name] = replace(result[name], **change)
    return result


def recorder(fact: Fact) -> str:
    """Name the account whose business a fact is."""
    city_code = getattr(fact, "city_code", getattr(fact, "authority_code", CHENGDU))
    of_province = city_code == PROVINCE or isinstance(fact, DailySession)
    return "province" if of_province else f"operator-{city_code}"


async def submitted(
    world: World, facts: Facts, changes: Changes, people: Sequence[Row] | None = None
) -> int:
    """Import a batch of Chengdu, record its facts as changed, and submit it."""
    people = people or rows(2, project=PROJECT, exam_on=EXAM_ON)
    await world.record("province", INSTITUTION)
    batch_id = await world.import_rows(CHENGDU, people, uscc=USCC)
    recorded = changed({**facts, **batch_facts(batch_id)}, changes).values()
    for account_name, group in itertools.groupby(recorded, recorder):
        await world.record(account_name, *group)
    await world.submit(CHENGDU, batch_id)
    return batch_id


async def findings(
    world: World, batch_id: int, *, now: datetime.datetime = NOW
) -> tuple[Finding, ...]:
    """Try to approve a batch of Chengdu, and return what stood against it."""
    try:
        await world.approve(CHENGDU, batch_id, now=now)
    except GatesClosed as closed:
        return closed.findings
    return ()


def gates_of(found: Sequence[Finding]) -> list[int]:
    return [int(finding.code.split("-")[1]) for finding in found]


@pytest.mark.parametrize("facts", SCENARIOS.values(), ids=SCENARIOS)
async def test_with_every_fact_recorded_all_twelve_gates_are_open(
    world: World, facts: Facts
) -> None:
    batch_id = await submitted(world, facts, {})
    assert await world.judge(batch_id, reviewer=f"reviewer-{CHENGDU}") == []
    assert len((await world.approve(CHENGDU, batch_id)).numbers) == 2


@pytest.mark.parametrize(
    ("scenario", "left_out", "code"),
    [
        ("daily", "project", "gate-01-project-not-open"),
        ("daily", "session", "gate-02-outside-session"),
        ("daily", "filing", "gate-03-filing-absent"),
        ("daily", "publicity", "gate-05-publicity-not-ended"),
        ("daily", "candidates", "gate-10-commitment-absent"),
        ("daily", "institution", "gate-10-commitment-absent"),
        ("daily", "papers", "gate-12-papers-late"),
        ("unified", "project", "gate-01-project-not-open"),
        ("unified", "announcement", "gate-02-outside-session"),
        ("unified", "filing", "gate-03-filing-absent"),
        ("unified", "papers", "gate-12-papers-late"),
        ("elsewhere", "filing", "gate-03-filing-absent"),
        ("elsewhere", "cross_filing", "gate-04-cross-filing-absent"),
        ("elsewhere", "plan", "gate-11-plan-not-reported"),
    ],
)
async def test_without_one_fact_exactly_its_own_gate_is_closed(
    world: World, scenario: str, left_out: str, code: str
) -> None:
    batch_id = await submitted(world, SCENARIOS[scenario], {left_out: None})
    found = await findings(world, batch_id)
    assert [finding.code for finding in found] == [code]
    assert found[0].zh
    assert found[0].en
    assert await world.judge(batch_id) == [code]


def case(sentence: str, facts: Facts, closed: Sequence[int] = (), **changes: object) -> object:
    return pytest.param(facts, changes, list(closed), id=sentence)


def publicity(first: datetime.date, last: datetime.date) -> Mapping[str, object]:
    return {"publicity_from": first, "publicity_until": last}


@pytest.mark.parametrize(
    ("facts", "changes", "closed"),
    [
        case("project closed from the exam day on", DAILY_HERE, [1],
             end=project(CLOSED, valid_from=EXAM_ON)),
        case("project closed from the next day on", DAILY_HERE,
             end=project(CLOSED, valid_from=EXAM_ON + DAY)),
        case("the city's closing stands before the province's row", DAILY_HERE, [1],
             own=project(CLOSED, city_code=CHENGDU)),
        case("the city's own row stands before the province's closing", DAILY_HERE,
             project={"kind": CLOSED}, own=project(DAILY, city_code=CHENGDU)),
        case("another city's closing is not ours", DAILY_HERE,
             own=project(CLOSED, city_code=MIANYANG)),
        case("another city's project is not ours", DAILY_HERE, [1],
             project={"city_code": MIANYANG}),
        case("unified in this city, but examined and filed as daily", DAILY_HERE, [2, 3],
             own=project(UNIFIED, city_code=CHENGDU)),
        case("exam on the first day", DAILY_HERE, session={"starts_on": EXAM_ON}),
        case("exam the day before", DAILY_HERE, [2], session={"starts_on": EXAM_ON + DAY}),
        case("exam six days later", DAILY_HERE, session={"starts_on": EXAM_ON - 6 * DAY}),
        case("exam seven days later", DAILY_HERE, [2], session={"starts_on": EXAM_ON - 7 * DAY}),
        case("announced until the day before", UNIFIED_HERE, [2],
             announcement={"ends_on": STARTS_ON}),
        case("announced by the province", UNIFIED_HERE, announcement={"city_code": PROVINCE}),
        case("announced by another city", UNIFIED_HERE, [2], announcement={"city_code": MIANYANG}),
        case("announced for another project", UNIFIED_HERE, [2],
             announcement={"project_name": OTHER_PROJECT}),
        case("exception instead of session", DAILY_HERE, session=None, exception=EXCEPTION),
        case("exception of another day", DAILY_HERE, [2], session=None,
             exception=replace(EXCEPTION, exam_on=STARTS_ON)),
        case("exception of another institution", DAILY_HERE, [2], session=None,
             exception=replace(EXCEPTION, uscc=invented.INSTITUTION)),
        case("exception to the deadline only", DAILY_HERE, [2], session=None,
             exception=NO_DEADLINE),
        case("filing until the day before", DAILY_HERE, [3],
             filing={"valid_from": STARTS_ON, "valid_until": EXAM_ON - DAY}),
        case("filing from the day after", DAILY_HERE, [3],
             filing={"valid_from": EXAM_ON + DAY, "valid_until": EXAM_ON + DAY}),
        case("filing for another project", DAILY_HERE, [3],
             filing={"project_names": [OTHER_PROJECT]}),
        case("filing for the other mode", DAILY_HERE, [3], filing={"kind": UNIFIED}),
        case("filing with the province, none here", DAILY_HERE, [4, 11],
             filing={"authority_code": PROVINCE}),
        case("cross-filing until the day before", FROM_ELSEWHERE, [4],
             cross_filing={"valid_from": STARTS_ON, "valid_until": EXAM_ON - DAY}),
        case("cross-filing with another city", FROM_ELSEWHERE, [4],
             cross_filing={"city_code": MIANYANG}),
        case("plan reported a day late", FROM_ELSEWHERE, [11],
             plan={"reported_on": STARTS_ON + DAY}),
        case("plan of an earlier session", FROM_ELSEWHERE, [11],
             plan={"starts_on": EXAM_ON - 7 * DAY, "reported_on": RECEIVED_ON}),
        case("five days of publicity until yesterday", DAILY_HERE,
             publicity=publicity(TODAY - 5 * DAY, TODAY - DAY)),
        case("publicity until today", DAILY_HERE, [5], publicity=publicity(TODAY - 9 * DAY, TODAY)),
        case("four days of publicity", DAILY_HERE, [5],
             publicity=publicity(TODAY - 5 * DAY, TODAY - 2 * DAY)),
        case("publicity from the day of the exam", DAILY_HERE,
             publicity=publicity(EXAM_ON, EXAM_ON + 9 * DAY)),
        case("publicity begun before the exam", DAILY_HERE, [5],
             publicity=publicity(EXAM_ON - DAY, EXAM_ON + 9 * DAY)),
        case("a commitment not made yet", DAILY_HERE, [10],
             candidates={"committed_on": TODAY + DAY}),
        case("papers on the deadline", DAILY_HERE, papers={"received_on": DEADLINE_ON}),
        case("papers the day after", DAILY_HERE, [12], papers={"received_on": DEADLINE_ON + DAY}),
        case("papers on the announced deadline", UNIFIED_HERE, papers={"received_on": DEADLINE_ON}),
        case("papers after the announced deadline", UNIFIED_HERE, [12],
             papers={"received_on": DEADLINE_ON + DAY}),
        case("exception instead of deadline", DAILY_HERE, papers=None, exception=NO_DEADLINE),
        case("exception to the session does not lift its deadline", DAILY_HERE, [12],
             papers={"received_on": DEADLINE_ON + DAY}, exception=EXCEPTION),
        case("papers by the day of an excepted exam", DAILY_HERE, session=None,
             exception=EXCEPTION, papers={"received_on": EXAM_ON}),
        case("papers after an excepted exam", DAILY_HERE, [12], session=None,
             exception=EXCEPTION, papers={"received_on": EXAM_ON + DAY}),
        case("several facts missing at once", FROM_ELSEWHERE, [2, 4, 5, 10, 10, 11], session=None,
             cross_filing=None, plan=None, publicity=None, candidates=None, institution=None),
    ],
)  # fmt: skip
async def test_a_gate_is_open_up_to_its_last_day_and_not_beyond(
    world: World, facts: Facts, changes: Changes, closed: list[int]
) -> None:
    assert gates_of(await findings(world, await submitted(world, facts, changes))) == closed


@pytest.mark.parametrize(("minute", "closed"), [(59, [5]), (60, [])])
async def test_publicity_ends_with_the_legal_day_of_shanghai(
    world: World, minute: int, closed: list[int]
) -> None:
    batch_id = await submitted(world, DAILY_HERE, {"publicity": publicity(TODAY - 9 * DAY, TODAY)})
    midnight = datetime.datetime(2026, 6, 12, 15, tzinfo=datetime.UTC)
    found = await findings(world, batch_id, now=midnight + datetime.timedelta(minutes=minute))
    assert gates_of(found) == closed


@pytest.mark.parametrize(
    ("tampering", "closed"),
    [
        ("born_on = born_on + 1", [6]),
        ("sex = translate(sex, '男女', '女男')", [6]),
        ("name = name || chr(57344)", [6]),
        ("name = name || ' '", [6]),
        ("id_encrypted = substr(id_encrypted, 2)", [6]),
        ("person_key = sha256(person_key)", [6]),
        ("id_kind = '护照'", [6]),
        ("total = 59.9", [7]),
        ("total = 60.0", []),
    ],
)
async def test_a_row_changed_behind_our_back_is_found_and_named(
    world: World, tampering: str, closed: list[int]
) -> None:
    batch_id = await submitted(world, DAILY_HERE, {})
    async with world.connection() as owner:
        await owner.execute("set session_replication_role = replica")
        await owner.execute(f"update result set {tampering} where row_number = 3")  # noqa: S608 - of the table above
    found = await findings(world, batch_id)
    assert gates_of(found) == closed
    assert [finding.row for finding in found] == [3] * len(closed)


async def test_a_pass_below_the_mark_is_shown_with_its_row_and_total(world: World) -> None:
    first, second = rows(2, project=PROJECT, exam_on=EXAM_ON)
    low = replace(second, total=Decimal("59.5"))
    (found,) = await findings(world, await submitted(world, DAILY_HERE, {}, [first, low]))
    assert (found.code, found.row, found.value) == ("gate-07-below-pass-mark", 3, "59.5")


async def test_a_sitting_names_all_its_rows_and_leaves_the_others_alone(world: World) -> None:
    good = rows(2, project=PROJECT, exam_on=EXAM_ON)
    late = [
        replace(row, row_number=row.row_number + 2)
        for row in rows(2, serial=10, project=PROJECT, exam_on=STARTS_ON + 7 * DAY)
    ]
    facts = changed(DAILY_HERE, {"filing": {"valid_until": TODAY}})
    (found,) = await findings(world, await submitted(world, facts, {}, good + late))
    assert (found.code, found.rows) == ("gate-02-outside-session", (4, 5))


async def test_a_failed_row_blocks_nothing(world: World) -> None:
    good, failed = rows(2, project=PROJECT, exam_on=EXAM_ON)
    hopeless = replace(
        failed, passed=False, total=Decimal(0), project="没有这个项目", exam_on=EXAM_ON + 300 * DAY
    )
    batch_id = await submitted(world, DAILY_HERE, {}, [good, hopeless])
    assert len((await world.approve(CHENGDU, batch_id)).numbers) == 1


async def test_the_person_who_submitted_cannot_review(world: World) -> None:
    batch_id = await submitted(world, DAILY_HERE, {})
    operator = f"operator-{CHENGDU}"
    assert await world.judge(batch_id, reviewer=operator) == ["gate-09-same-person"]
    async with world.connection() as connection:
        both = Desk(connection, Actor(operator, Role.REVIEWER, CHENGDU))
        with pytest.raises(GatesClosed) as closed:
            async with both.acting():
                await world.approve_at(both, batch_id)
    assert gates_of(closed.value.findings) == [9]


async def ready(world: World, city_code: str, people: Sequence[Row]) -> int:
    """Submit a batch of the session calendar with nothing against it."""
    batch_id = await world.import_rows(city_code, people)
    await world.record(f"operator-{city_code}", *batch_facts(batch_id).values())
    await world.submit(city_code, batch_id)
    return batch_id


async def state(world: World, batch_id: int) -> BatchState:
    async with world.desk("province") as desk, desk.acting():
        return (await batches.find(desk.connection, batch_id)).state


async def test_a_person_certified_in_another_city_is_named_with_the_number(world: World) -> None:
    batch_id = await ready(world, CHENGDU, rows(2))
    elsewhere = await world.approved(MIANYANG, 1)
    (found,) = await findings(world, batch_id)
    assert (found.code, found.row) == ("gate-08-already-certified", 2)
    assert elsewhere.numbers[0] in found.zh
    assert elsewhere.numbers[0] in found.en
    for account in ("operator", "reviewer"):
        async with world.desk(f"{account}-{MIANYANG}") as desk, desk.acting():
            await certificates.void(desk.connection, desk.actor, elsewhere.numbers[0], "印制错误")
    assert await findings(world, batch_id) == ()


async def test_a_certificate_for_another_project_is_no_obstacle(world: World) -> None:
    batch_id = await submitted(world, DAILY_HERE, {})
    await world.approved(MIANYANG, 2)
    assert await findings(world, batch_id) == ()


async def test_of_two_open_approvals_of_one_person_the_second_is_refused_whole(
    world: World,
) -> None:
    winner = await ready(world, CHENGDU, rows(1))
    loser = await ready(world, MIANYANG, rows(2))
    async with world.desk(f"reviewer-{CHENGDU}") as desk, desk.acting():
        await world.approve_at(desk, winner)
        waiting = asyncio.create_task(world.approve(MIANYANG, loser))
        await world.until_somebody_waits()
    with pytest.raises(PersonCertified):
        await waiting
    assert await state(world, loser) is BatchState.SUBMITTED
    assert await world.judge(loser) == ["gate-08-already-certified"]
    following = await world.approved(MIANYANG, 1, serial=500)
    assert following.numbers[0].endswith("00001")


async def test_two_cities_approve_without_waiting_for_each_other(world: World) -> None:
    first = await ready(world, CHENGDU, rows(3))
    second = await ready(world, MIANYANG, rows(3, serial=500))
    async with world.desk(f"reviewer-{CHENGDU}") as desk, desk.acting():
        await world.approve_at(desk, first)
        async with asyncio.timeout(10):
            await world.approve(MIANYANG, second)
        assert await state(world, first) is BatchState.SUBMITTED
    assert await state(world, first) is BatchState.APPROVED


async def test_two_approvals_that_block_each_other_end_with_one_refusal(world: World) -> None:
    one, two = rows(2)
    swapped = [replace(row, row_number=place) for place, row in enumerate([two, one], 2)]
    cities = {CHENGDU: [one, two], MIANYANG: swapped}
    ids = {city: await ready(world, city, people) for city, people in cities.items()}
    ended = await asyncio.gather(
        *(world.approve(city, batch_id) for city, batch_id in ids.items()), return_exceptions=True
    )
    assert sorted(isinstance(end, Approval) for end in ended) == [False, True]
    assert sorted(isinstance(end, Refusal) for end in ended) == [False, True]
    async with world.connection() as connection:
        assert await connection.fetchval("select count(*) from certificate") == 2


async def test_of_two_acts_that_wait_for_each_other_one_is_told_to_try_again(world: World) -> None:
    lock = "select pg_advisory_xact_lock($1)"
    both_hold = asyncio.Barrier(2)

    async def act(first: int, second: int) -> None:
        async with world.desk(f"operator-{CHENGDU}") as desk, desk.acting():
            await desk.connection.execute(lock, first)
            await both_hold.wait()
            await desk.connection.execute(lock, second)

    ended = await asyncio.gather(act(1, 2), act(2, 1), return_exceptions=True)
    (refused,) = [end for end in ended if end is not None]
    assert isinstance(refused, TryAgain)
    assert refused.retry


async def test_an_approved_batch_does_not_hold_its_own_certificates_against_itself(
    world: World,
) -> None:
    approval = await world.approved(count=2)
    assert await world.judge(approval.batch_id) == []
