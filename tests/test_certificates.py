"""Certificates: identifiers that check, faces of their day, and numbers voided for ever."""

import datetime
import string

import asyncpg
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service import wiring
from service.ground.errors import ActNotGranted, CertificateUnknown, Refusal, VoidNeedsTwoPersons
from service.issuing import certificates, issuance
from service.issuing.certificates import Certificate, Listed
from service.registry.catalogue import Centre
from tests.world import CHENGDU, MIANYANG, NOW, World, batch_facts, rows

ALPHABET = string.digits + string.ascii_uppercase
OPERATOR, REVIEWER = f"operator-{CHENGDU}", f"reviewer-{CHENGDU}"
WORDS = st.text(ALPHABET, min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("words", "check"),
    [
        ("11100000000013338W011.11430000006122244L.20230000403.001", "U"),
        ("11100000000013338W011.11430000006122244L.20230000403.002", "S"),
        ("11100000000013338W009.11330105002500287C.2025052201.002", "0"),
        ("11100000MB03271699022.340100.000000016.001", "9"),
    ],
)
def test_published_identifiers_have_their_check_character(words: str, check: str) -> None:
    assert certificates.check_character(words) == check


@given(WORDS)
def test_a_text_with_its_check_character_satisfies_the_check_of_the_standard(text: str) -> None:
    """ISO/IEC 7064, 9.2: the recursion over text and check character ends congruent to 1."""
    value = 36
    for character in text:
        value = (value + ALPHABET.index(character)) % 36 or 36
        value = 2 * value % 37
    assert (value + ALPHABET.index(certificates.check_character(text))) % 36 == 1


@given(WORDS, st.data())
def test_any_single_changed_character_is_detected(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABET))
    assume(other != text[place])
    changed = text[:place] + other + text[place + 1 :]
    assert certificates.check_character(changed) != certificates.check_character(text)


@pytest.mark.parametrize("version", [1, 2, 999])
def test_an_identifier_is_composed_of_type_issuer_number_and_version(version: int) -> None:
    identifier = certificates.identifier(
        "11100000000013338W011", "11430000006122244L", "20230000403", version
    )
    words, _, check = identifier.rpartition(".")
    body = f"11100000000013338W011.11430000006122244L.20230000403.{version:03}"
    assert words == f"1.2.156.3005.2.{body}"
    assert check == certificates.check_character(body)


async def listed(world: World, batch_id: int) -> list[Listed]:
    async with world.desk(OPERATOR) as desk, desk.acting():
        return await certificates.of_batch(desk.connection, batch_id)


async def void(world: World, by: str, number: str, reason: str = "印制错误") -> bool:
    async with world.desk(by) as desk, desk.acting():
        return await certificates.void(desk.connection, desk.actor, number, reason)


async def retry(world: World, batch_id: int, *, by: str = OPERATOR) -> list[str]:
    async with world.desk(by) as desk, desk.acting():
        return await certificates.retry(desk.connection, desk.actor, batch_id)


async def test_a_face_carries_what_the_city_is_called_on_its_day(world: World) -> None:
    renamed = Centre(
        city_code=CHENGDU, valid_from=datetime.date(2026, 7, 1), city_name="成都市",
        centre_name="成都市技能评价中心", issuing_authority="成都市人力资源局",
        issuer_code="DEV510100000000009", seal_name="成都市人力资源局专用章", number_digits="41",
        document_number="更名1号",
    )  # fmt: skip
    await world.record("province", renamed)
    for serial, days in ((0, 18), (100, 19)):
        batch_id = await world.import_rows(CHENGDU, rows(1, serial=serial))
        await world.record(OPERATOR, *batch_facts(batch_id).values())
        await world.submit(CHENGDU, batch_id)
        await world.approve(CHENGDU, batch_id, now=NOW + datetime.timedelta(days=days))
    async with world.connection() as owner:
        faces = await owner.fetch(
            "select number, issuing_authority, identifier from certificate order by archived_on"
        )
    assert [tuple(face) for face in faces] == [
        (number, authority, certificates.identifier(world.settings.licence_type, issuer, number, 1))
        for number, authority, issuer in [
            ("2651010001600001", "成都市人力资源和社会保障局", "DEV510100000000000"),
            ("2651410001600002", "成都市人力资源局", "DEV510100000000009"),
        ]
    ]


OTHER_VALUES = {
    "text": "coalesce({0}, '') || '1'", "date": "{0} + 1", "integer": "{0} + 1",
    "bigint": "{0} + 1",
    "numeric": "{0} + 1", "bytea": "sha256(coalesce({0}, ''))",
}  # fmt: skip


async def test_even_the_owner_cannot_change_a_face_or_remove_a_row(world: World) -> None:
    approval = await world.approved(count=1)
    async with world.connection() as owner:
        columns = await owner.fetch(
            "select column_name, data_type from information_schema.columns"
            " where table_name = 'certificate'"
        )
        types = {row["column_name"]: row["data_type"] for row in columns}
        changes = [
            f"update certificate set {field} = {OTHER_VALUES[types[field]].format(field)}"  # noqa: S608 - own fields
            for field in (*Certificate.__struct_fields__, "batch_id", "row_number", "person_key")
        ]
        removals = [
            statement
            for table in ("certificate", "result", "batch")
            for statement in (f"delete from {table}", f"truncate {table} cascade")  # noqa: S608 - own
        ]
        for statement in [
            *changes,
            *removals,
            "update result set total = 100",
            "update certificate set state = 'issued'",
        ]:
            with pytest.raises(asyncpg.IntegrityConstraintViolationError):
                await owner.execute(statement)
    (certificate,) = await listed(world, approval.batch_id)
    assert (certificate.number, certificate.state) == (approval.numbers[0], "numbered")


async def test_a_void_number_stays_listed_and_is_never_used_again(world: World) -> None:
    approval = await world.approved(count=2)
    spoiled = approval.numbers[1]
    assert await void(world, OPERATOR, spoiled) is False
    assert await void(world, REVIEWER, spoiled) is True
    states = [(one.number, one.state) for one in await listed(world, approval.batch_id)]
    assert states == [(approval.numbers[0], "numbered"), (spoiled, "void")]
    again = rows(3)[1:2]
    batch_id = await world.import_rows(CHENGDU, again)
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    assert (await world.approve(CHENGDU, batch_id)).numbers == ("2651010001600003",)
    await world.issue()
    states = [(one.number, one.state) for one in await listed(world, approval.batch_id)]
    assert states == [(approval.numbers[0], "issued"), (spoiled, "void")]


async def test_voiding_takes_two_persons_and_the_database_says_so_too(world: World) -> None:
    approval = await world.approved(count=1)
    (number,) = approval.numbers
    await void(world, OPERATOR, number)
    with pytest.raises(VoidNeedsTwoPersons):
        await void(world, OPERATOR, number)
    async with world.connection() as owner:
        for voided_by in ("void_asked_by", "null"):
            with pytest.raises(asyncpg.CheckViolationError):
                await owner.execute(
                    f"update certificate set state = 'void', voided_by = {voided_by}"  # noqa: S608 - these two
                )
    assert [one.state for one in await listed(world, approval.batch_id)] == ["numbered"]


async def test_a_number_that_was_never_taken_void_or_elsewhere_cannot_be_voided(
    world: World,
) -> None:
    (number,) = (await world.approved(count=1)).numbers
    for by, unknown in ((OPERATOR, "2651010001600999"), (f"operator-{MIANYANG}", number)):
        with pytest.raises(CertificateUnknown, match=unknown):
            await void(world, by, unknown)
    with pytest.raises(Refusal):
        await void(world, "province", number)
    for by in (OPERATOR, REVIEWER):
        await void(world, by, number)
    with pytest.raises(CertificateUnknown):
        await void(world, OPERATOR, number)


async def test_an_issued_certificate_cannot_be_voided(world: World) -> None:
    approval = await world.approved(count=1)
    await world.issue()
    with pytest.raises(CertificateUnknown):
        await void(world, OPERATOR, approval.numbers[0])
    async with world.connection() as owner:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="keeps its face"):
            await owner.execute(
                "update certificate set state = 'void', void_asked_by = $1, voided_by = $2",
                OPERATOR,
                REVIEWER,
            )
    assert [one.state for one in await listed(world, approval.batch_id)] == ["issued"]


async def test_a_wish_to_void_stops_the_sealing_until_it_is_withdrawn(world: World) -> None:
    approval = await world.approved(count=2)
    first, second = approval.numbers
    await void(world, OPERATOR, first)
    await world.issue()
    states = [one.state for one in await listed(world, approval.batch_id)]
    assert states == ["numbered", "issued"]
    assert await retry(world, approval.batch_id, by=REVIEWER) == [first]
    assert await void(world, REVIEWER, first) is False
    assert await retry(world, approval.batch_id) == [first]
    await world.issue()
    assert [one.state for one in await listed(world, approval.batch_id)] == ["issued", "issued"]
    assert second not in await retry(world, approval.batch_id)


async def test_what_is_parked_goes_on_once_its_cause_is_mended(world: World) -> None:
    approval = await world.approved(count=2)
    _, qr_key = wiring.sealing_keys(world.settings, datetime.datetime.now(datetime.UTC))
    keyless = issuance.Press(
        open_edition=lambda _: pytest.fail("nothing is rendered without a key"),
        signers={},
        qr_key=qr_key,
        vault=wiring.vault(world.settings),
        status_key=bytes(32),
        host=world.settings.host,
    )
    await world.issue(press=keyless)
    parked = await listed(world, approval.batch_id)
    assert [(one.state, one.cause) for one in parked] == [("parked", "SignerAbsent")] * 2
    assert await retry(world, approval.batch_id, by=f"operator-{MIANYANG}") == []
    with pytest.raises(ActNotGranted):
        await retry(world, approval.batch_id, by="province")
    assert await void(world, OPERATOR, approval.numbers[1]) is False
    assert await void(world, REVIEWER, approval.numbers[1]) is True
    assert await retry(world, approval.batch_id) == [approval.numbers[0]]
    await world.issue()
    ended = [(one.state, one.cause) for one in await listed(world, approval.batch_id)]
    assert ended == [("issued", None), ("void", "印制错误")]
