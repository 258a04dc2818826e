"""Batches from draft to archived: who may move them, what stays out, and what stays as it is."""

import asyncio
import datetime
import hashlib
from collections.abc import Sequence

import msgspec
import pytest

from service.ground import db
from service.ground.errors import (
    ActNotGranted,
    BatchNotOpen,
    BatchNotSubmitted,
    BatchUnknown,
    CentreUnknown,
    DatabaseUnavailable,
    EvidenceKeptTooShort,
    FileImportedAlready,
    FileRepeated,
    Finding,
    GatesClosed,
    InstitutionUnknown,
    NotYourCity,
    Refusal,
    RowsRefused,
    SecondPersonNeeded,
)
from service.issuing import batches, certificates
from service.issuing.batches import Batch, BatchState
from service.issuing.batches.dossier import Evidence, EvidenceKind
from service.issuing.batches.rows import Row
from service.issuing.certificates import Listed
from service.issuing.numbering import Body
from service.registry import accounts
from service.registry.accounts import Role
from service.registry.catalogue import Centre, ProjectKind
from service.registry.facts import Fact
from service.registry.institutions import Filing
from tests import invented
from tests.world import (
    CHENGDU,
    DAILY,
    DIGEST,
    EXAM_ON,
    MIANYANG,
    NOW,
    SECRET,
    TODAY,
    World,
    batch_facts,
    rows,
)

OPERATOR, REVIEWER = f"operator-{CHENGDU}", f"reviewer-{CHENGDU}"
DAY = datetime.timedelta(days=1)


async def draft(world: World, people: Sequence[Row] | None = None) -> int:
    """Import a batch of Chengdu and record all its facts."""
    batch_id = await world.import_rows(CHENGDU, people or rows(2))
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    return batch_id


async def found(world: World, batch_id: int, *, by: str = OPERATOR) -> Batch:
    async with world.desk(by) as desk, desk.acting():
        return await batches.find(desk.connection, batch_id)


async def listed(world: World, batch_id: int) -> list[Listed]:
    async with world.desk(OPERATOR) as desk, desk.acting():
        return await certificates.of_batch(desk.connection, batch_id)


async def act(world: World, move: str, batch_id: int, *, by: str | None = None) -> None:
    """Move a batch, as the one of Chengdu whose business it is."""
    async with world.desk(by or (OPERATOR if move in ("submit", "record") else REVIEWER)) as desk:
        if move == "record":
            await world.record(desk.actor.account_name, batch_facts(batch_id)["papers"])
            return
        async with desk.acting():
            if move == "submit":
                await batches.submit(desk.connection, desk.actor, batch_id)
            elif move == "return":
                await batches.return_(desk.connection, desk.actor, batch_id, "成绩有误")
            else:
                await world.approve_at(desk, batch_id)


PATHS = {
    BatchState.DRAFT: [],
    BatchState.SUBMITTED: ["submit"],
    BatchState.RETURNED: ["submit", "return"],
    BatchState.APPROVED: ["submit", "approve"],
}


async def test_a_batch_is_submitted_returned_mended_and_approved(world: World) -> None:
    batch_id = await draft(world)
    seen = [await found(world, batch_id)]
    for move in ("submit", "return", "record", "submit", "approve"):
        await act(world, move, batch_id)
        seen.append(await found(world, batch_id))
    assert [batch.state for batch in seen] == [
        "draft", "submitted", "returned", "returned", "submitted", "approved"
    ]  # fmt: skip
    assert [batch.return_reason for batch in seen] == [
        None, None, "成绩有误", "成绩有误", None, None
    ]  # fmt: skip
    last = seen[-1]
    assert (last.submitted_by, last.decided_by) == (OPERATOR, REVIEWER)
    assert (last.archived_on, last.row_count, last.passed_count) == (TODAY, 2, 2)


@pytest.mark.parametrize(
    ("state", "move", "refusal"),
    [
        (BatchState.DRAFT, "return", BatchNotSubmitted),
        (BatchState.DRAFT, "approve", BatchNotSubmitted),
        (BatchState.SUBMITTED, "submit", BatchNotOpen),
        (BatchState.SUBMITTED, "record", BatchNotOpen),
        (BatchState.RETURNED, "return", BatchNotSubmitted),
        (BatchState.RETURNED, "approve", BatchNotSubmitted),
        (BatchState.APPROVED, "submit", BatchNotOpen),
        (BatchState.APPROVED, "record", BatchNotOpen),
        (BatchState.APPROVED, "return", BatchNotSubmitted),
        (BatchState.APPROVED, "approve", BatchNotSubmitted),
    ],
)
async def test_every_other_move_is_refused_and_changes_nothing(
    world: World, state: BatchState, move: str, refusal: type[Refusal]
) -> None:
    batch_id = await draft(world)
    for step in PATHS[state]:
        await act(world, step, batch_id)
    before = await found(world, batch_id), await listed(world, batch_id)
    with pytest.raises(refusal) as refused:
        await act(world, move, batch_id)
    assert refused.value.code == refusal.__name__
    assert (await found(world, batch_id), await listed(world, batch_id)) == before


@pytest.mark.parametrize(
    ("state", "move", "by"),
    [
        (BatchState.DRAFT, "submit", REVIEWER),
        (BatchState.SUBMITTED, "return", OPERATOR),
        (BatchState.SUBMITTED, "approve", OPERATOR),
        (BatchState.SUBMITTED, "approve", "province"),
    ],
)
async def test_a_move_of_another_role_is_refused(
    world: World, state: BatchState, move: str, by: str
) -> None:
    batch_id = await draft(world)
    for step in PATHS[state]:
        await act(world, step, batch_id)
    with pytest.raises(ActNotGranted):
        await act(world, move, batch_id, by=by)
    assert (await found(world, batch_id)).state is state


async def test_the_database_too_wants_two_persons(world: World) -> None:
    batch_id = await draft(world)
    await act(world, "submit", batch_id)
    approve = "update batch set state = 'approved', archived_on = now(), decided_by = $1"
    async with world.desk(OPERATOR) as desk:
        with pytest.raises(SecondPersonNeeded):
            async with desk.acting():
                await desk.connection.execute(approve, OPERATOR)
    assert (await found(world, batch_id)).state is BatchState.SUBMITTED


async def test_the_same_file_twice_is_named_with_its_batch(world: World) -> None:
    batch_id = await world.import_rows(CHENGDU, rows(2))
    with pytest.raises(FileImportedAlready, match=rf"\b{batch_id}\b"):
        await world.import_rows(CHENGDU, rows(2))
    assert await world.import_rows(MIANYANG, rows(2)) > batch_id
    assert await world.import_rows(CHENGDU, rows(3, serial=50)) > batch_id


async def test_a_file_of_an_institution_that_nobody_recorded_is_refused(world: World) -> None:
    with pytest.raises(InstitutionUnknown, match="91510700MA62345677"):
        await world.import_rows(CHENGDU, rows(2), uscc="91510700MA62345677")


async def test_the_same_file_at_the_same_time_enters_once(world: World) -> None:
    async def second() -> int:
        async with world.desk(OPERATOR) as desk, desk.acting():
            return await world.import_at(desk, CHENGDU, rows(2))

    async with world.desk(OPERATOR) as desk, desk.acting():
        batch_id = await world.import_at(desk, CHENGDU, rows(2))
        waiting = asyncio.create_task(second())
        await world.until_somebody_waits()
    with pytest.raises(FileImportedAlready, match=rf"\b{batch_id}\b"):
        await waiting
    assert (await found(world, batch_id)).row_count == 2
    async with world.desk(OPERATOR) as desk:
        with pytest.raises(FileRepeated):
            async with desk.acting():
                await desk.connection.execute(
                    "insert into batch (city_code, uscc, file_name, file_sha256, imported_by)"
                    " select city_code, uscc, file_name, file_sha256, imported_by from batch"
                )


async def test_certified_persons_and_errors_are_told_together_and_no_row_enters(
    world: World,
) -> None:
    number = (await world.approved(MIANYANG, 1)).numbers[0]
    error = Finding(code="CellEmpty", zh="空", en="empty", row=9)
    async with world.desk(OPERATOR) as desk:
        with pytest.raises(RowsRefused) as refused:
            async with desk.acting():
                await world.import_at(desk, CHENGDU, rows(2), errors=[error])
        async with desk.acting():
            assert await batches.recent(desk.connection) == []
    first, second = refused.value.findings
    assert first == error
    assert (second.code, second.row, second.column) == ("PersonCertifiedAlready", 2, "证件号码")
    assert number in second.zh
    assert number in second.en


async def test_a_certified_person_may_fail_or_pass_something_else(world: World) -> None:
    await world.approved(MIANYANG, 1)
    (person,) = rows(1)
    failed = msgspec.structs.replace(person, passed=False)
    other = msgspec.structs.replace(
        person, project="火锅调味制作", row_number=3, admission_number="ZK9"
    )
    assert (await found(world, await world.import_rows(CHENGDU, [failed, other]))).passed_count == 1


async def test_an_approval_whose_connection_dies_leaves_nothing(world: World) -> None:
    batch_id = await draft(world)
    await act(world, "submit", batch_id)
    before = await found(world, batch_id)
    async with world.connection() as executioner:
        with pytest.raises(DatabaseUnavailable) as lost:  # noqa: PT012 - dies in the midst of it
            async with world.desk(REVIEWER) as desk, desk.acting():
                dying = await world.approve_at(desk, batch_id)
                victim = desk.connection.get_server_pid()
                await executioner.execute("select pg_terminate_backend($1, 5000)", victim)
    assert lost.value.retry
    assert (await found(world, batch_id), await listed(world, batch_id)) == (before, [])
    assert (await world.approve(CHENGDU, batch_id)).numbers == dying.numbers


async def test_a_refused_approval_leaves_nothing(world: World) -> None:
    batch_id = await world.import_rows(CHENGDU, rows(2))
    await act(world, "submit", batch_id)
    with pytest.raises(GatesClosed):
        await act(world, "approve", batch_id)
    assert (await found(world, batch_id)).state is BatchState.SUBMITTED
    assert (await world.approved(serial=100)).numbers[0].endswith("00001")


async def test_data_is_archived_on_the_day_of_shanghai(world: World) -> None:
    numbers = []
    for serial, hour in ((0, 15), (100, 17)):
        batch_id = await draft(world, rows(1, serial=serial))
        await act(world, "submit", batch_id)
        now = datetime.datetime(2026, 12, 31, hour, tzinfo=datetime.UTC)
        approval = await world.approve(CHENGDU, batch_id, now=now)
        assert (await found(world, batch_id)).archived_on == approval.archived_on
        numbers.append((str(approval.archived_on), *approval.numbers))
    assert numbers == [("2026-12-31", "2651010001600001"), ("2027-01-01", "2751010001600001")]


async def test_a_batch_in_which_all_failed_is_archived_without_numbers(world: World) -> None:
    batch_id = await draft(world, rows(2, failed_every=1))
    await act(world, "submit", batch_id)
    assert (await world.approve(CHENGDU, batch_id)).numbers == ()
    assert (await found(world, batch_id)).state is BatchState.APPROVED
    assert (await world.approved(count=1, serial=100)).numbers == ("2651010001600001",)


async def test_a_city_that_has_no_authority_yet_numbers_nothing(world: World) -> None:
    centre = Centre(
        city_code="519900", valid_from=TODAY + DAY, city_name="新市", centre_name="新市中心",
        issuing_authority="新市人社局", issuer_code="DEV519900000000000", seal_name="新市专用章",
        number_digits="99", document_number="设立1号",
    )  # fmt: skip
    filing = Filing(
        uscc=invented.INSTITUTION, authority_code="519900", kind=ProjectKind.DAILY,
        project_names=[DAILY], valid_from=EXAM_ON, valid_until=EXAM_ON, document_number="备案9号",
    )  # fmt: skip
    body = Body(city_code="519900", body_serial=1, document_number="机构9号")
    await world.record("province", centre, filing, body)
    async with world.desk("province") as desk, desk.acting():
        for role in (Role.OPERATOR, Role.REVIEWER):
            await accounts.add(
                desk.connection, desk.actor, account_name=f"{role}-519900", role=role,
                city_code="519900", secret=SECRET,
            )  # fmt: skip
    batch_id = await world.import_rows("519900", rows(1))
    await world.record("operator-519900", *batch_facts(batch_id).values())
    await world.submit("519900", batch_id)
    with pytest.raises(CentreUnknown):
        await world.approve("519900", batch_id)
    approval = await world.approve("519900", batch_id, now=NOW + DAY)
    assert approval.numbers == ("2651990001600001",)


async def test_nothing_is_recorded_after_submission(world: World) -> None:
    batch_id = await draft(world)
    evidence = Evidence(
        batch_id=batch_id, evidence_name="试卷", kind=EvidenceKind.PAPER, file_sha256=DIGEST,
        kept_until=EXAM_ON + 2000 * DAY,
    )  # fmt: skip
    facts: list[Fact] = [*batch_facts(batch_id).values(), evidence]
    await world.record(OPERATOR, *facts)
    await act(world, "submit", batch_id)
    for fact in facts:
        with pytest.raises((BatchNotOpen, EvidenceKeptTooShort)):
            await world.record(OPERATOR, fact)


@pytest.mark.parametrize(("kind", "years"), [(EvidenceKind.PAPER, 3), (EvidenceKind.VIDEO, 5)])
async def test_evidence_is_kept_for_its_years_after_the_last_exam(
    world: World, kind: EvidenceKind, years: int
) -> None:
    early, late = rows(1), rows(1, serial=50, exam_on=EXAM_ON + DAY)
    people = [*early, msgspec.structs.replace(late[0], row_number=3)]
    batch_id = await draft(world, people)
    until = (EXAM_ON + DAY).replace(year=EXAM_ON.year + years)
    evidence = Evidence(
        batch_id=batch_id, evidence_name="甲", kind=kind, file_sha256=DIGEST, kept_until=until
    )
    await world.record(OPERATOR, evidence)
    with pytest.raises(EvidenceKeptTooShort):
        await world.record(OPERATOR, msgspec.structs.replace(evidence, kept_until=until - DAY))


async def test_another_city_neither_sees_nor_touches_a_batch(world: World) -> None:
    batch_id = await draft(world)
    operator, reviewer = f"operator-{MIANYANG}", f"reviewer-{MIANYANG}"
    for by, move, refusal in [
        (operator, "submit", BatchUnknown),
        (operator, "record", BatchNotOpen),
        (reviewer, "return", BatchUnknown),
        (reviewer, "approve", BatchUnknown),
    ]:
        with pytest.raises(refusal):
            await act(world, move, batch_id, by=by)
    for by in (operator, reviewer):
        with pytest.raises(BatchUnknown):
            await found(world, batch_id, by=by)
        async with world.desk(by) as desk, desk.acting():
            assert await batches.recent(desk.connection) == []
            assert await certificates.of_batch(desk.connection, batch_id) == []
    async with world.desk(operator) as desk:
        with pytest.raises(NotYourCity):
            async with desk.acting():
                await world.import_at(desk, CHENGDU, rows(1))
    assert (await found(world, batch_id)).state is BatchState.DRAFT


async def test_no_id_and_no_phone_stands_in_the_database_in_plain_text(world: World) -> None:
    people = rows(3)
    await world.approved()
    async with world.connection() as owner:
        tables = await owner.fetch("select tablename from pg_tables where schemaname = 'public'")
        parts = [
            await owner.fetchval(f"select string_agg(t::text, ' ') from {table} t")  # noqa: S608 - own tables
            for (table,) in tables
        ]
    dump = " ".join(part for part in parts if part)
    assert all(row.name in dump for row in people)
    secrets = [text for row in people for text in (row.id_number, row.phone) if text]
    assert len(secrets) == 6
    for text in secrets:
        plain, digest = text.encode().hex(), hashlib.sha256(text.encode()).hexdigest()
        assert not [form for form in (text, plain, digest) if form in dump]


async def test_a_withdrawn_batch_is_over_and_its_file_may_come_again(world: World) -> None:
    people = rows(2)
    batch_id = await draft(world, people)
    async with world.desk(OPERATOR) as desk:
        async with desk.acting():
            await batches.withdraw(desk.connection, desk.actor, batch_id, "机构选错")
        with pytest.raises(BatchNotOpen):
            async with desk.acting():
                await batches.submit(desk.connection, desk.actor, batch_id)
        async with desk.acting():
            gone = await batches.find(desk.connection, batch_id)
    assert (gone.state, gone.return_reason) == (BatchState.WITHDRAWN, "机构选错")
    again = await draft(world, people)
    await world.submit(CHENGDU, again)
    async with world.desk(OPERATOR) as desk:
        with pytest.raises(BatchNotOpen):
            async with desk.acting():
                await batches.withdraw(desk.connection, desk.actor, again, "太晚")
    await world.approve(CHENGDU, again)
    with pytest.raises(FileImportedAlready):
        await draft(world, people)


@pytest.mark.parametrize(
    "statement",
    [
        "update batch set state = 'draft', archived_on = null",
        "update batch set file_name = 'other.xlsx'",
        "update evidence set kept_until = '2030-01-01'",
        "insert into commitment select * from commitment on conflict do nothing",
        "delete from commitment",
    ],
)
async def test_an_approved_batch_and_its_facts_stay_even_before_the_owner(
    world: World, statement: str
) -> None:
    approval = await world.approved(count=1)
    async with world.connection() as connection:
        await connection.execute("alter table evidence disable trigger batch_is_open")
        await connection.execute(
            "insert into evidence (batch_id, city_code, evidence_name, kind, sha256, kept_until)"
            " values ($1, $2, 'video', 'video', sha256(''), '2040-01-01')",
            approval.batch_id,
            CHENGDU,
        )
        await connection.execute("alter table evidence enable trigger batch_is_open")
        with pytest.raises(BatchNotOpen), db.refusing():
            await connection.execute(statement)
