"""Changes after issue: two persons, one standing, a new version for every correction."""

import asyncio
import datetime
import itertools
from collections.abc import Awaitable, Mapping, Sequence

import asyncpg
import msgspec
import pypdf
import pytest

from service import wiring
from service.checking.decision import Status
from service.ground import db
from service.ground.db import Role as DatabaseRole
from service.ground.errors import (
    ActNotGranted,
    CertificateUnknown,
    ChangeDecided,
    ChangeImpossible,
    ChangeOpen,
    ChangeUnknown,
    CorrectionEmpty,
    CorrectionOfAdopted,
    CorrectionRefused,
    DatabaseUnavailable,
    GroundsAbsent,
    HistoryChanged,
    NotYourCity,
    NumberUnknown,
    PersonCertified,
    Refusal,
    SecondPersonNeeded,
    TryAgain,
)
from service.ground.objects import Objects
from service.issuing import certificates, changes, publication
from service.issuing.batches.rows import Row
from service.issuing.changes import Correction, Decided, Grounds, Kind, Waiting
from service.registry import journal
from service.wiring import Desk
from signing import examine, key_set, metadata, status
from signing.cose import Purpose
from tests import pdfs, served
from tests.test_issuance import bench, halted
from tests.test_verification import Issued
from tests.world import CHENGDU, MIANYANG, World, batch_facts, rows

OPERATOR, REVIEWER = f"operator-{CHENGDU}", f"reviewer-{CHENGDU}"
TODAY = datetime.date(2026, 11, 1)
STANDINGS = ("valid", "suspended", "revoked", "cancelled", "replaced")
AFTER = {
    (Kind.REVOKE, "valid"): "revoked",
    (Kind.REVOKE, "suspended"): "revoked",
    (Kind.CANCEL, "valid"): "cancelled",
    (Kind.CANCEL, "suspended"): "cancelled",
    (Kind.SUSPEND, "valid"): "suspended",
    (Kind.LIFT, "suspended"): "valid",
}  # every change of standing that there is
NAMED = Correction(name="扎西旺堆・索朗多吉")


def grounds(number: str) -> Grounds:
    return Grounds(number=number, reason="核查属实", document_number="成人社函〔2026〕8号")


async def ask_at(world: World, desk: Desk, number: str, kind: Kind, correction: Correction) -> int:
    """Ask inside the act that a desk has begun."""
    if kind is not Kind.CORRECT:
        return await changes.ask(desk.connection, desk.actor, kind, grounds(number))
    settings = world.settings
    return await changes.ask_correction(
        desk.connection,
        desk.actor,
        grounds(number),
        correction,
        vault=wiring.vault(settings),
        rules=wiring.rules(settings),
        drawable=wiring.drawable_characters(),
        host=settings.host,
        today=TODAY,
    )


async def ask(
    world: World, number: str, kind: Kind, correction: Correction = NAMED, *, by: str = OPERATOR
) -> int:
    async with world.desk(by) as desk, desk.acting():
        return await ask_at(world, desk, number, kind, correction)


async def confirm_at(desk: Desk, change_id: int) -> Decided:
    """Confirm inside the act that a desk has begun."""
    return await changes.confirm(desk.connection, desk.actor, change_id, edition="2026")


async def confirm(world: World, change_id: int, *, by: str = REVIEWER) -> Decided:
    async with world.desk(by) as desk, desk.acting():
        return await confirm_at(desk, change_id)


async def decline(world: World, change_id: int, *, by: str = REVIEWER) -> Decided:
    async with world.desk(by) as desk, desk.acting():
        return await changes.decline(desk.connection, desk.actor, change_id, "证据不足")


async def done(world: World, number: str, kind: Kind, correction: Correction = NAMED) -> Decided:
    return await confirm(world, await ask(world, number, kind, correction))


async def waiting(world: World, *, by: str = REVIEWER) -> list[Waiting]:
    async with world.desk(by) as desk, desk.acting():
        return await changes.waiting(desk.connection, wiring.vault(world.settings))


async def void(world: World, number: str) -> None:
    for by in (OPERATOR, REVIEWER):
        async with world.desk(by) as desk, desk.acting():
            await certificates.void(desk.connection, desk.actor, number, "无法签发")


async def issued(world: World, *people: Row) -> tuple[str, ...]:
    """Issue certificates to people and return their numbers, in the order of the people."""
    batch_id = await world.import_rows(CHENGDU, people)
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    numbers = (await world.approve(CHENGDU, batch_id)).numbers
    await world.issue()
    return numbers


async def versions(world: World, number: str) -> list[str]:
    """Say of each version how it stands, oldest first."""
    async with world.connection() as connection:
        found = await connection.fetch(
            "select state, standing from certificate where number = $1 order by version", number
        )
    return [f"{row['state']} {row['standing']}" for row in found]


async def held(world: World, number: str, version: int = 1) -> Issued:
    """Everything that the doors are asked with about one version."""
    async with world.connection() as connection:
        row = await connection.fetchrow(
            "select public_id, name, pdf_sha256 from certificate"
            " where number = $1 and version = $2",
            number,
            version,
        )
    assert row is not None
    pdf = await Objects.open(world.settings.store_address).get(row["pdf_sha256"].hex())
    qr_text = examine.qr_text(pdf) or ""
    return Issued(world, number, row["public_id"], qr_text, pdf, row["name"])


async def statuses(asked: Issued) -> set[Status]:
    return {verdict.status for verdict in (await asked.ask_everywhere()).values()}


# Standing.


async def test_a_confirmed_change_shows_at_every_door_at_once_and_an_asked_one_nowhere(
    world: World,
) -> None:
    first, second = await issued(world, *rows(2, failed_every=9))
    told = [(first, Kind.SUSPEND, "suspended"), (first, Kind.LIFT, "valid"),
            (first, Kind.REVOKE, "revoked"), (second, Kind.CANCEL, "cancelled")]  # fmt: skip
    before = dict.fromkeys((first, second), Status.VALID)
    for number, kind, standing in told:
        change_id = await ask(world, number, kind)
        asked = await held(world, number)
        assert await statuses(asked) == {before[number]}, kind
        assert await confirm(world, change_id) == Decided(kind, number)
        before[number] = Status(standing)
        assert await statuses(asked) == {before[number]}, kind


async def test_a_change_begins_only_where_the_field_lets_it_begin(world: World) -> None:
    (number,) = await issued(world, *rows(1))
    for kind, standing in itertools.product(Kind, STANDINGS[:-1]):
        await world.stand(standing)
        expected = AFTER.get((kind, standing))
        if kind is Kind.CORRECT and standing == "valid":
            expected = "replaced"
        if expected is None:
            with pytest.raises(ChangeImpossible, match=standing):
                await ask(world, number, kind)
        else:
            await decline(world, await ask(world, number, kind))
    assert not await waiting(world)


async def test_the_database_lets_a_standing_move_no_other_way(world: World) -> None:
    (number,) = await issued(world, *rows(1))
    allowed = {(before, after) for (_, before), after in AFTER.items()} | {("valid", "replaced")}
    for before, after in itertools.permutations(STANDINGS, 2):
        await world.stand(before)
        async with world.connection() as owner:
            moving = owner.execute("update certificate set standing = $1", after)
            # Replaced goes back where nothing stands in its place, as here.
            if (before, after) in allowed | {("replaced", "valid")}:
                await moving
            else:
                with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=before):
                    await moving
    for role in (DatabaseRole.CONSOLE, DatabaseRole.WORKER, DatabaseRole.PUBLIC):
        async with world.connection() as connection:
            with pytest.raises(NotYourCity):
                async with db.acting(connection, role, CHENGDU):
                    await connection.execute("update certificate set standing = 'valid'")
    assert len(await versions(world, number)) == 1


# Two persons, one city, one change at a time.


async def test_who_asks_cannot_confirm_and_the_database_says_so_too(world: World) -> None:
    (number,) = await issued(world, *rows(1))
    change_id = await ask(world, number, Kind.REVOKE)
    with pytest.raises(SecondPersonNeeded):
        await confirm(world, change_id, by=OPERATOR)
    decide = "update change set state = 'done', decided_by = asked_by, decided_at = now()"
    with pytest.raises(SecondPersonNeeded):
        await _raw(world, decide)
    assert await versions(world, number) == ["issued valid"]
    await confirm(world, change_id)
    assert await versions(world, number) == ["issued revoked"]


async def _raw(world: World, statement: str, city_code: str = CHENGDU) -> None:
    """Run a statement as nobody's program would, under the console's role."""
    async with world.connection() as owner, db.acting(owner, DatabaseRole.CONSOLE, city_code):
        await owner.execute(statement)


_INSERT = (
    "insert into change (city_code, number, version, kind, reason, document_number, asked_by{})"
    " select '{}', number, version, 'revoke', '因', '文', 'operator-510100'{} from"
    " (values ('2651010001600001', 1)) as wish (number, version)"
)


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        (_INSERT.format("", MIANYANG, ""), TryAgain),  # it is not that city's
        (
            _INSERT.format(
                ", state, decided_by, decided_at", CHENGDU, ", 'done', 'reviewer-510100', now()"
            ),
            HistoryChanged,
        ),
        ("update change set number = '2651010001600002'", NotYourCity),
        ("update change set reason = ''", NotYourCity),
        ("delete from change", NotYourCity),
        (
            "update change set state = 'declined', decided_by = asked_by, decided_at = now()",
            Refusal,
        ),
    ],
)
async def test_raw_sql_of_a_city_cannot_forge_a_change(
    world: World, statement: str, refusal: type[Exception]
) -> None:
    (number,) = await issued(world, *rows(1))
    await ask(world, number, Kind.SUSPEND)
    with pytest.raises((refusal, asyncpg.CheckViolationError)):
        await _raw(world, statement)
    assert [one.reason for one in await waiting(world)] == ["核查属实"]
    assert await versions(world, number) == ["issued valid"]


async def test_raw_sql_of_a_city_cannot_write_a_certificate_that_is_issued_already(
    world: World,
) -> None:
    await issued(world, *rows(1))
    forged = {
        "number": "'2651010001609999'", "public_id": "'0123456789abcdef'", "identifier": "'x'",
        "person_key": "sha256('x')", "row_number": "3", "status_index": "9",
        "pdf_sha256": "sha256('x')", "range_sha256": "sha256('x')",
    }  # fmt: skip
    async with world.connection() as owner:
        columns = [*dict((await owner.fetch("select * from certificate"))[0])]
        values = [forged.get(column, column) for column in columns]
        forge = f"insert into certificate select {', '.join(values)} from certificate"  # noqa: S608 - ours
        with pytest.raises(NotYourCity):
            await _raw(world, forge)


async def test_raw_sql_cannot_take_a_certificate_away_by_correcting_it(world: World) -> None:
    (number,) = await issued(world, *rows(1))
    await ask(world, number, Kind.CORRECT)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="nothing stands"):
        await _raw(
            world,
            "update change set state = 'done', decided_by = 'reviewer-510100', decided_at = now()",
        )
    assert await versions(world, number) == ["issued valid"]


async def test_another_city_neither_sees_nor_makes_nor_decides_a_change(world: World) -> None:
    (number,) = await issued(world, *rows(1))
    abroad = f"operator-{MIANYANG}"
    with pytest.raises(NumberUnknown, match=number):
        await ask(world, number, Kind.REVOKE, by=abroad)
    with pytest.raises(TryAgain):  # the certificate is not that city's
        await _raw(world, _INSERT.format("", MIANYANG, ""), MIANYANG)
    change_id = await ask(world, number, Kind.REVOKE)
    assert await waiting(world, by=abroad) == []
    for act in (confirm, decline):
        with pytest.raises(ChangeUnknown):
            await act(world, change_id, by=abroad)
    with pytest.raises(ActNotGranted):
        await confirm(world, change_id, by="province")
    assert await versions(world, number) == ["issued valid"]


async def test_a_change_waits_alone_and_is_decided_once(world: World) -> None:
    number, other = await issued(world, *rows(2, failed_every=9))
    change_id = await ask(world, number, Kind.REVOKE)
    with pytest.raises(ChangeOpen):
        await ask(world, number, Kind.SUSPEND, by=REVIEWER)
    await ask(world, other, Kind.SUSPEND)
    assert [one.number for one in await waiting(world)] == [number, other]
    await decline(world, change_id, by=OPERATOR)  # who asked may think again
    for act in (confirm, decline):
        with pytest.raises(ChangeDecided, match="declined"):
            await act(world, change_id)
    again = await ask(world, number, Kind.REVOKE, by=REVIEWER)
    await confirm(world, again, by=OPERATOR)
    with pytest.raises(ChangeDecided, match="done"):
        await confirm(world, again, by=OPERATOR)
    with pytest.raises(ChangeUnknown):
        await confirm(world, 10**9)
    async with world.connection() as owner:
        for statement in ("update change set state = 'asked', decided_by = null, decided_at = null",
                          "update change set reason = 'x'", "delete from change",
                          "truncate change"):  # fmt: skip
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await owner.execute(statement)


@pytest.mark.parametrize(
    "absent", [{"reason": " \n"}, {"document_number": ""}, {"reason": "　"}, {"reason": "\u200b"}]
)
async def test_a_change_needs_a_reason_and_a_document(
    world: World, absent: Mapping[str, str]
) -> None:
    (number,) = await issued(world, *rows(1))
    given = msgspec.structs.replace(grounds(number), **absent)
    with pytest.raises(GroundsAbsent):
        async with world.desk(OPERATOR) as desk, desk.acting():
            await changes.ask(desk.connection, desk.actor, Kind.REVOKE, given)
    assert not await waiting(world)
    change_id = await ask(world, number, Kind.REVOKE)
    with pytest.raises(GroundsAbsent):
        async with world.desk(OPERATOR) as desk, desk.acting():
            await changes.decline(desk.connection, desk.actor, change_id, "　")


async def test_only_what_is_issued_and_ours_is_changed(world: World) -> None:
    (numbered,) = (await world.approved(count=1)).numbers
    with pytest.raises(ChangeImpossible, match="numbered"):
        await ask(world, numbered, Kind.REVOKE)
    await void(world, numbered)
    for number in (numbered, "2651010001600999", ""):
        with pytest.raises(NumberUnknown):
            await ask(world, number, Kind.REVOKE)
    async with world.connection() as owner, owner.transaction():
        await owner.execute("set local session_replication_role = replica")  # as if confirmed
        await owner.execute(
            "insert into certificate (number, city_code, origin, adoption_id, public_id, name,"
            " id_kind, id_encrypted, person_key, project_name, archived_on, issuing_authority,"
            " state, issued_at) values ('SC2024001', $1, 'adopted', 1, '0123456789abcdef', '王某',"
            " '护照', '', $2, '中式烹调', now(), '某局', 'issued', now())",
            CHENGDU,
            bytes(32),
        )
    with pytest.raises(CorrectionOfAdopted):
        await ask(world, "SC2024001", Kind.CORRECT)
    assert await done(world, "SC2024001", Kind.SUSPEND) == Decided(Kind.SUSPEND, "SC2024001")
    assert await versions(world, "SC2024001") == ["issued suspended"]


# Correction.


async def test_a_correction_seals_a_new_version_and_links_it_both_ways(world: World) -> None:
    (number,) = await issued(world, *rows(1))
    old = await held(world, number)
    told = Correction(name="扎西旺堆・索朗多吉", score="９1.5", exam_on="2026/5/24")
    assert await done(world, number, Kind.CORRECT, told) == Decided(Kind.CORRECT, number, 2)
    assert await versions(world, number) == ["issued replaced", "numbered valid"]
    assert await statuses(old) == {Status.REPLACED}
    await world.issue()

    new = await held(world, number, 2)
    assert new.name == "扎西旺堆·索朗多吉"
    assert await statuses(new) == {Status.VALID}
    for door, verdict in (await old.ask_everywhere()).items():
        assert (verdict.status, verdict.version, verdict.successor) == (Status.REPLACED, 1, 2), door
    assert (await new.ask(number, old.name)).status is Status.REPLACED

    async with world.connection() as owner:
        before, after = await owner.fetch("select * from certificate order by version")
    changed = {key for key, value in before.items() if value != after[key]}
    assert changed >= {"name", "score", "exam_on", "version", "public_id", "identifier", "replaces"}
    kept = {"number", "sex", "born_on", "person_key", "archived_on", "issuing_authority",
            "issuer_code", "seal_name", "project_name", "batch_id", "row_number"}  # fmt: skip
    assert not changed & kept
    assert after["replaces"] == before["identifier"]
    assert after["identifier"] == certificates.next_identifier(before["identifier"], 2)
    assert ".002." in after["identifier"]
    assert after["examine_fully"]
    attached = _attached(new.pdf)
    assert f"<ZZTDBS>{before['identifier']}</ZZTDBS>" in attached
    assert f"<ZZBS>{after['identifier']}</ZZBS>" in attached
    assert "ZZTDBS" not in _attached(old.pdf)


async def test_what_becomes_of_the_newest_version_becomes_of_all(world: World) -> None:
    (number,) = await issued(world, *rows(1))
    old = await held(world, number)
    await done(world, number, Kind.CORRECT)
    await world.issue()
    for kind, standing in ((Kind.SUSPEND, Status.SUSPENDED), (Kind.LIFT, Status.REPLACED),
                           (Kind.REVOKE, Status.REVOKED)):  # fmt: skip
        await done(world, number, kind)
        assert await statuses(old) == {standing}
        await served.sign_lists(world)
        now = datetime.datetime.now(datetime.UTC)
        async with world.connection() as connection:
            index = await connection.fetchval("select min(status_index) from certificate"
                                              " where version = 1")  # fmt: skip
            signed = await publication.status_list(connection, index >> 20)
            published = key_set.read(await publication.jwks(connection))
        assert signed is not None
        listed = status.verify(signed, published[Purpose.STATUS], now)
        found = listed.of(world.settings.host, index)
        assert found is not None
        assert found.name.lower() == standing.value


def _attached(pdf: bytes) -> str:
    import io  # noqa: PLC0415 - only here

    (content,) = pypdf.PdfReader(io.BytesIO(pdf)).attachments["record.xml"]
    return content.decode()


def test_the_first_version_has_the_bytes_that_it_always_had() -> None:
    assert pdfs.RECORD.digest().hex() == (
        "41ba1356ce7cdd5bb7ef6c4a6b2e366ef757c7ef1b8288d3fb0205b2ffffd2ad"
    )
    assert b"ZZTDBS" not in metadata.to_xml(pdfs.RECORD)
    second = msgspec.structs.replace(pdfs.RECORD, version=2, replaces=pdfs.RECORD.identifier)
    assert b'"replaces":"1.2.156' in second.canonical()


async def test_a_batch_lists_every_version_and_exports_only_what_is_valid(world: World) -> None:
    first, second, third = await issued(world, *rows(3, failed_every=9))
    await done(world, first, Kind.CORRECT)
    await done(world, third, Kind.REVOKE)

    async def handed_out() -> dict[str, str]:
        async with world.desk(OPERATOR) as desk, desk.acting():
            return await certificates.export(desk.connection, desk.actor, 1)

    assert set(await handed_out()) == {second}
    await world.issue()
    exported = await handed_out()
    store = Objects.open(world.settings.store_address)
    assert await store.get(exported.pop(first)) == (await held(world, first, 2)).pdf
    assert set(exported) == {second}
    async with world.desk(OPERATOR) as desk, desk.acting():
        listed = await certificates.of_batch(desk.connection, 1)
    assert [(one.number, one.version, one.standing) for one in listed] == [
        (first, 1, "replaced"), (first, 2, "valid"), (second, 1, "valid"), (third, 1, "revoked"),
    ]  # fmt: skip


async def test_a_corrected_id_is_another_person_to_gate_8(world: World) -> None:
    mine, theirs, free = rows(3, failed_every=9)
    number, _ = await issued(world, mine, theirs)

    def as_(person: Row) -> Correction:
        return Correction(
            id_number=f" {person.id_number.lower()} ", sex=person.sex, born_on=str(person.born_on)
        )

    with pytest.raises(CorrectionRefused) as refused:
        await ask(world, number, Kind.CORRECT, as_(theirs))
    assert [one.code for one in refused.value.findings] == ["PersonCertifiedAlready"]
    change_id = await ask(world, number, Kind.CORRECT, as_(free))
    (shown,) = await waiting(world)
    assert free.id_number[:3] in shown.corrected
    assert free.id_number not in shown.corrected
    await confirm(world, change_id)
    await world.issue()
    vault = wiring.vault(world.settings)
    async with world.connection() as owner:
        row = await owner.fetchrow("select * from certificate where version = 2")
        assert row is not None
        phone_key = vault.phone_key(row["person_key"], (mine.phone or "")[-4:])
        assert await owner.fetchval(
            "select phone_agrees from portal_find(array[$1::bytea], array[$2::bytea])",
            row["person_key"],
            phone_key,
        )
    assert vault.decrypt(row["id_encrypted"]) == free.id_number
    assert row["person_key"] == vault.person_key(free.id_kind, free.id_number)
    with pytest.raises(Refusal, match="import"):
        await world.import_rows(CHENGDU, [free])
    await world.import_rows(CHENGDU, [mine])  # who held it by mistake may earn one


async def test_who_was_certified_while_a_correction_waited_holds_no_second_one(
    world: World,
) -> None:
    mine, rival = rows(2, failed_every=9)
    (number,) = await issued(world, mine)
    correction = Correction(
        id_number=rival.id_number, sex=rival.sex, born_on=str(rival.born_on), name=rival.name
    )
    change_id = await ask(world, number, Kind.CORRECT, correction)
    await issued(world, rival)
    with pytest.raises(PersonCertified):
        await confirm(world, change_id)
    assert await versions(world, number) == ["issued valid"]
    assert [one.change_id for one in await waiting(world)] == [change_id]


async def test_what_a_workbook_would_be_refused_for_corrects_nothing(world: World) -> None:
    (mine,) = rows(1)
    (number,) = await issued(world, mine)
    wrong_check = mine.id_number[:-1] + ("1" if mine.id_number[-1] != "1" else "2")
    refusals: Sequence[tuple[Correction, str]] = [
        (Correction(name="王\ue000"), "NamePrivateUse"),
        (Correction(name="王\U000323b0"), "NameUndrawable"),
        (Correction(name="示例姓名"), "ExampleName"),
        (Correction(name=""), "NameLengthWrong"),
        (Correction(sex="女" if mine.sex == "男" else "男"), "SexContradictsId"),
        (Correction(sex="?"), "ChoiceUnknown"),
        (Correction(born_on="1999-09-09"), "BirthDateContradictsId"),
        (Correction(born_on="2026-02-30"), "DateUnreadable"),
        (Correction(id_number=wrong_check), "IdCheckWrong"),
        (Correction(id_kind="护照"), "IdFormWrong"),
        (Correction(id_kind="驾驶证"), "ChoiceUnknown"),
        (Correction(score="101"), "ScoreUnreadable"),
        (Correction(score="59.5"), "gate-07-below-pass-mark"),
        (Correction(exam_on="2026-06-13"), "ExamAfterArchive"),
        (Correction(exam_on="2026-12-13"), "DateInFuture"),
        (Correction(exam_on="1961-01-01"), "BirthDateImplausible"),
    ]
    async with world.desk(OPERATOR) as desk, desk.acting():
        for correction, code in refusals:
            with pytest.raises(CorrectionRefused) as refused:
                await ask_at(world, desk, number, Kind.CORRECT, correction)
            assert code in {one.code for one in refused.value.findings}, correction
            for one in refused.value.findings:
                assert one.row is None
                assert mine.id_number[6:14] not in (one.value or "")
        same = Correction(
            name=f" {mine.name} ", sex=mine.sex, born_on=f"{mine.born_on:%Y%m%d}",
            id_kind="身份证", id_number=mine.id_number, score=str(mine.total),
            exam_on=f"{mine.exam_on:%Y.%m.%d}",
        )  # fmt: skip
        for nothing in (same, Correction()):
            with pytest.raises(CorrectionEmpty):
                await ask_at(world, desk, number, Kind.CORRECT, nothing)
    long_host = msgspec.structs.replace(world.settings, host=f"{'a' * 56}.test")
    with pytest.raises(CorrectionRefused) as refused:
        await ask(World(world.address, long_host), number, Kind.CORRECT, Correction(name="𠮷" * 50))
    assert [one.code for one in refused.value.findings] == ["QrCannotHold"]
    assert not await waiting(world)
    assert await versions(world, number) == ["issued valid"]


# A version that is never sealed.


async def test_a_void_correction_gives_the_old_version_its_standing_back(world: World) -> None:
    (number,) = await issued(world, *rows(1))
    old = await held(world, number)
    await done(world, number, Kind.CORRECT)
    with pytest.raises(ChangeImpossible, match="numbered"):
        await ask(world, number, Kind.REVOKE)
    async with world.connection() as owner:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="does not move"):
            await owner.execute("update certificate set standing = 'valid' where version = 1")
    await void(world, number)
    assert await versions(world, number) == ["issued valid", "void valid"]
    assert await statuses(old) == {Status.VALID}
    with pytest.raises(CertificateUnknown):
        await void(world, number)
    assert (await done(world, number, Kind.CORRECT)).new_version == 3
    await world.issue()
    assert await versions(world, number) == ["issued replaced", "void valid", "issued valid"]
    third = await held(world, number, 3)
    assert await statuses(third) == {Status.VALID}
    assert (await old.ask(old.public_id)).successor == 3
    assert f"{number}.001." in _attached(third.pdf).partition("ZZTDBS")[2]


async def test_a_void_correction_takes_no_certificate_back_from_who_earned_one(
    world: World,
) -> None:
    """The number was given to the wrong person; that person has earned one since."""
    mine, right = rows(2, failed_every=9)
    (number,) = await issued(world, mine)
    correction = Correction(
        id_number=right.id_number, sex=right.sex, born_on=str(right.born_on), name=right.name
    )
    await done(world, number, Kind.CORRECT, correction)
    async with world.connection() as owner:
        await owner.execute(
            "update certificate set state = 'parked', cause = 'x' where version = 2"
        )
    await issued(world, msgspec.structs.replace(mine, remark="再考"))
    with pytest.raises(PersonCertified):
        await void(world, number)
    assert await versions(world, number) == ["issued replaced", "parked valid"]
    async with world.desk(OPERATOR) as desk, desk.acting():
        assert await certificates.retry(desk.connection, desk.actor, 1) == [number]
    await world.issue()
    assert await versions(world, number) == ["issued replaced", "issued valid"]


async def test_a_correction_that_is_voided_while_it_is_sealed_is_void_or_issued_and_never_both(
    world: World,
) -> None:
    (number,) = await issued(world, *rows(1))
    await done(world, number, Kind.CORRECT)
    async with world.connection() as connection:
        worker = bench(world, connection)
        async with halted(worker, world.settings.store_address) as working:
            await void(world, number)
        await working
    assert await versions(world, number) == ["issued valid", "void valid"]


# At once, and interrupted.


async def _race(*acts: Awaitable[object]) -> list[str]:
    """Do everything at once, and say what came of each."""
    came = await asyncio.gather(*acts, return_exceptions=True)
    return sorted(type(one).__name__ for one in came)


async def test_of_two_who_decide_or_ask_at_once_one_does(world: World) -> None:
    numbers = await issued(world, *rows(6, failed_every=9))
    for number, kind in zip(numbers, [Kind.CORRECT, Kind.REVOKE] * 3, strict=True):
        asking = (ask(world, number, kind, by=by) for by in (OPERATOR, REVIEWER))
        assert await _race(*asking) == ["ChangeOpen", "int"]
        (change,) = await waiting(world)
        by = REVIEWER if change.asked_by == OPERATOR else OPERATOR
        deciding = (act(world, change.change_id, by=by) for act in (confirm, confirm, decline))
        assert await _race(*deciding) == ["ChangeDecided", "ChangeDecided", "Decided"]
    async with world.connection() as owner:
        told = await owner.fetchval(
            "select count(*) from journal where act in"
            " ('changes:certificate:confirm', 'changes:certificate:decline')"
        )
    assert told == len(numbers)


async def test_a_change_asked_while_another_is_confirmed_begins_where_that_ended(
    world: World,
) -> None:
    (number,) = await issued(world, *rows(1))
    change_id = await ask(world, number, Kind.CORRECT)
    async with world.desk(REVIEWER) as desk:
        async with desk.acting():
            await confirm_at(desk, change_id)
            asking = asyncio.create_task(ask(world, number, Kind.REVOKE))
            await world.until_somebody_waits()
        with pytest.raises(TryAgain):
            await asking
    assert await waiting(world) == []


async def test_a_mark_that_passed_in_its_day_stands_in_no_corrections_way(world: World) -> None:
    (number,) = await issued(world, *rows(1))
    later = World(world.address, msgspec.structs.replace(world.settings, pass_mark=100))
    with pytest.raises(CorrectionRefused, match=number):
        await ask(later, number, Kind.CORRECT, Correction(score="99.5"))
    await ask(later, number, Kind.CORRECT)


async def test_a_confirmation_that_dies_midway_leaves_nothing(world: World) -> None:
    (number,) = await issued(world, *rows(1))
    change_id = await ask(world, number, Kind.CORRECT)

    async def die() -> None:
        async with world.desk(REVIEWER) as desk, desk.acting(), world.connection() as owner:
            await confirm_at(desk, change_id)
            pid = await desk.connection.fetchval("select pg_backend_pid()")
            await owner.execute("select pg_terminate_backend($1)", pid)
            await desk.connection.fetchval("select 1")

    with pytest.raises(DatabaseUnavailable):
        await die()
    assert await versions(world, number) == ["issued valid"]
    assert (await confirm(world, change_id)).new_version == 2


# What is told.


async def test_the_journal_tells_both_steps_and_neither_name_nor_id(world: World) -> None:
    mine, other = rows(2, failed_every=9)
    number, revoked = await issued(world, mine, other)
    correction = Correction(name="扎西旺堆", id_kind="护照", id_number="E12345678", sex="男")
    change_id = await ask(world, number, Kind.CORRECT, correction)
    (shown,) = await waiting(world)
    assert shown.holder == mine.name
    assert "姓名 扎西旺堆；" in shown.corrected
    await confirm(world, change_id)
    await decline(world, await ask(world, revoked, Kind.REVOKE))
    await world.issue()
    async with world.connection() as owner:
        entries = await owner.fetch(
            "select actor, act, subject, detail, detail::text as text from journal"
            " where act like 'changes:%' order by sequence"
        )
        everything = "".join(
            row["detail"] for row in await owner.fetch("select detail::text from journal")
        )
        assert not await journal.broken(owner)
    assert [(row["actor"], row["act"], row["subject"]) for row in entries] == [
        (OPERATOR, "changes:certificate:ask", number),
        (REVIEWER, "changes:certificate:confirm", number),
        (OPERATOR, "changes:certificate:ask", revoked),
        (REVIEWER, "changes:certificate:decline", revoked),
    ]
    asked, confirmed, *_ = (row["detail"] for row in entries)
    assert asked["document_number"] == "成人社函〔2026〕8号"
    assert asked["corrected"] == ["name", "sex", "id_kind", "id_encrypted"]
    assert (confirmed["to"], confirmed["new_version"]) == ("replaced", 2)
    for secret in (mine.name, mine.id_number, "扎西旺堆", "E12345678", other.name):
        assert secret not in everything
