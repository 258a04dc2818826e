"""Facts: recorded once with their entry in the journal, refused when they cannot be, kept."""

import asyncpg
import pytest
from msgspec.structs import replace

from service.ground import db
from service.ground.db import Connection, Role
from service.ground.errors import (
    AlreadyRecorded,
    BodyNotOpen,
    CityUnknown,
    DatesOutOfOrder,
    FilingKindUnfit,
    HistoryChanged,
    NotYourCity,
    Refusal,
    SchemeUnknown,
    UsccWrong,
    ValueUnstorable,
)
from service.registry import accounts
from service.registry.catalogue import ProjectKind
from service.registry.facts import Fact
from tests import recorded
from tests.recorded import (
    ANNOUNCEMENT,
    BODY,
    CROSS_FILING,
    DAY,
    EXCEPTION,
    FACTS,
    FILING,
    INSTITUTION,
    ONE_DAY,
    PLAN,
    SESSION,
    START,
)
from tests.world import CHENGDU, World


async def column(connection: Connection, statement: str, *arguments: object) -> list[str]:
    return [str(row[0]) for row in await connection.fetch(statement, *arguments)]


ONCE = [fact for fact in FACTS if fact is not START]  # an unused counter may be started again


@pytest.mark.parametrize("fact", ONCE, ids=lambda fact: type(fact).__name__)
async def test_a_fact_is_recorded_once_and_told_of(world: World, fact: Fact) -> None:
    await world.record("province", fact)
    async with world.connection() as connection:
        told = await connection.fetchrow("select * from journal order by at desc limit 1")
        assert told is not None
        assert (told["actor"], told["act"]) == ("province", fact.act.value)
        assert told["detail"].keys() == set(fact.__struct_fields__)
        with pytest.raises(Refusal) as refused:
            await world.record("province", fact)
        assert isinstance(refused.value, type(fact).not_kept)
        assert await connection.fetchval("select max(at) from journal") == told["at"]


async def test_the_same_key_with_other_contents_changes_nothing(world: World) -> None:
    name = "select city_name from centre where city_code = $1 order by valid_from desc"
    await world.record("province", recorded.centre(CHENGDU, DAY, "先"))
    with pytest.raises(AlreadyRecorded):
        await world.record("province", recorded.centre(CHENGDU, DAY, "后"))
    async with world.connection() as connection:
        assert (await column(connection, name, CHENGDU))[0] == "先市"


@pytest.mark.parametrize(
    "table",
    [
        "centre", "project", "daily_session", "announcement", "session_exception", "institution",
        "filing", "cross_filing", "plan", "number_body", "number_scheme",
    ],
)  # fmt: skip
async def test_the_database_lets_nobody_change_a_fact(world: World, table: str) -> None:
    await world.record("province", *FACTS)
    async with world.connection() as owner:
        kept = await owner.fetch(f"table {table}")
        column_name = next(iter(kept[0].keys()))
        for change in (
            f"update {table} set {column_name} = {column_name}",  # noqa: S608 - our names
            f"delete from {table}",  # noqa: S608 - our names
            f"truncate {table} cascade",
        ):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
                await owner.execute(change)
            assert db.CONSTRAINTS[refused.value.constraint_name or ""] is HistoryChanged
            with pytest.raises(NotYourCity):
                async with db.acting(owner, Role.CONSOLE, accounts.PROVINCE):
                    await owner.execute(change)
        assert await owner.fetch(f"table {table}") == kept


NOWHERE = {"city_code": "510200"}
UNKNOWN_CITY = [
    replace(fact, **NOWHERE) for fact in (ANNOUNCEMENT, EXCEPTION, CROSS_FILING, PLAN, BODY)
]


@pytest.mark.parametrize(
    ("fact", "refusal"),
    [
        *((fact, CityUnknown) for fact in UNKNOWN_CITY),
        (recorded.project("新项目", "511200", DAY, ProjectKind.DAILY), CityUnknown),
        (replace(FILING, authority_code="510200"), CityUnknown),
        (replace(FILING, kind=ProjectKind.CLOSED), FilingKindUnfit),
        (replace(FILING, valid_until=DAY - ONE_DAY), DatesOutOfOrder),
        (replace(CROSS_FILING, valid_until=DAY - ONE_DAY), DatesOutOfOrder),
        (replace(SESSION, papers_until=DAY + ONE_DAY), DatesOutOfOrder),
        (replace(ANNOUNCEMENT, papers_until=DAY + ONE_DAY), DatesOutOfOrder),
        (replace(ANNOUNCEMENT, ends_on=DAY - ONE_DAY), DatesOutOfOrder),
        (replace(START, body_serial=7), BodyNotOpen),
        (replace(START, **NOWHERE), BodyNotOpen),
        (replace(START, scheme_version=9), SchemeUnknown),
        (replace(SESSION, session_number=2**40), ValueUnstorable),
        (replace(PLAN, document_number="\udcff\udcff"), ValueUnstorable),
        (replace(PLAN, document_number="文\0号"), ValueUnstorable),
    ],
)
async def test_a_fact_that_cannot_be_is_refused_and_not_a_crash(
    world: World, fact: Fact, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        await world.record("province", fact)


@pytest.mark.parametrize("fact", [INSTITUTION, FILING, CROSS_FILING, PLAN])
@pytest.mark.parametrize(
    ("uscc", "is_right"),
    [
        ("12510100450717123Q", True),
        ("91510000MA6ABCDE0F", True),
        ("12510100450717123R", False),  # check character
        ("12510100450717132Q", False),  # two digits exchanged
        ("12510100450717123q", False),  # not as it is written
        (" 12510100450717123Q", False),
        ("1251010045071712", False),
        ("12510100450717I23Q", False),  # I is no character of it
        ("", False),
    ],
)
async def test_a_uscc_is_checked_wherever_an_institution_is_named(
    world: World, fact: Fact, uscc: str, is_right: bool
) -> None:
    given = replace(fact, uscc=uscc)
    if is_right:
        await world.record("province", given)
    else:
        with pytest.raises(UsccWrong):
            await world.record("province", given)
