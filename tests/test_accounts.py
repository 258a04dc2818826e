"""Accounts: proved by their own secret, and held to their city by the database itself."""

import asyncio

import argon2
import asyncpg
import pytest

from service import wiring
from service.ground import db, migrate
from service.ground.db import Role as DatabaseRole
from service.ground.errors import (
    AccountExists,
    AccountNameUnfit,
    AccountUnknown,
    CityUnknown,
    FoundedAlready,
    NotAuthenticated,
    NotYourCity,
    Refusal,
    RoleNotOfCity,
    SecondPersonNeeded,
)
from service.registry import accounts
from service.registry.accounts import PROVINCE, Actor, Role
from service.wiring import Desk
from tests import conftest
from tests.world import ABA, CHENGDU, MIANYANG, SECRET, World, rows

OPERATOR = f"operator-{CHENGDU}"


async def add(desk: Desk, name: str, role: Role, city_code: str, secret: str = SECRET) -> None:
    async with desk.acting():
        await accounts.add(
            desk.connection,
            desk.actor,
            account_name=name,
            role=role,
            city_code=city_code,
            secret=secret,
        )


# Who one is.


async def test_who_holds_the_secret_of_an_account_is_its_holder(world: World) -> None:
    async with wiring.desk(world.address, OPERATOR, SECRET) as desk:
        assert desk.actor == Actor(OPERATOR, Role.OPERATOR, CHENGDU)


async def test_whatever_is_wrong_the_refusal_is_the_same(world: World) -> None:
    async with world.desk("province") as desk:
        await add(desk, "own-secret", Role.OPERATOR, CHENGDU, "a secret of its own")
        await add(desk, "ended", Role.OPERATOR, CHENGDU)
        async with desk.acting():
            await accounts.disable(desk.connection, desk.actor, "ended")
    said = set()
    for name, secret in [
        ("nobody", SECRET),
        ("ended", SECRET),
        (OPERATOR, "wrong"),
        (OPERATOR, ""),
        (OPERATOR, "not text: \udcff"),
        (OPERATOR, "a secret of its own"),
        ("own-secret", SECRET),
        (OPERATOR.upper(), SECRET),
    ]:
        with pytest.raises(NotAuthenticated) as refused:
            async with wiring.desk(world.address, name, secret):
                pass
        said.add(str(refused.value))
    assert len(said) == 1


async def test_only_a_hash_of_a_secret_is_kept(world: World) -> None:
    async with world.connection() as connection:
        kept = await connection.fetch("select secret_hash from account")
    assert len({row["secret_hash"] for row in kept}) == len(kept)  # salted
    assert all(row["secret_hash"].startswith("$argon2id$") for row in kept)


def test_guessing_a_secret_is_dear_and_as_dear_for_a_name_that_is_unknown() -> None:
    cost = argon2.extract_parameters(accounts._NOBODYS_HASH)
    assert cost == argon2.Parameters(
        type=argon2.Type.ID, version=19, salt_len=16, hash_len=32, time_cost=3,
        memory_cost=64 << 10, parallelism=4,
    )  # fmt: skip  # RFC 9106, the second recommended option
    assert cost == argon2.extract_parameters(conftest.REAL_HASHER.hash("a secret"))


# Which accounts there are.


@pytest.mark.parametrize(
    ("name", "role", "city_code", "refusal"),
    [
        (OPERATOR, Role.OPERATOR, CHENGDU, AccountExists),
        (OPERATOR, Role.REVIEWER, MIANYANG, AccountExists),
        ("Newcomer", Role.OPERATOR, CHENGDU, AccountNameUnfit),
        ("张三", Role.OPERATOR, CHENGDU, AccountNameUnfit),
        ("newcomer\n", Role.OPERATOR, CHENGDU, AccountNameUnfit),
        ("newcomer", Role.OPERATOR, "510200", CityUnknown),
        ("newcomer", Role.OPERATOR, PROVINCE, RoleNotOfCity),
        ("newcomer", Role.PROVINCE, CHENGDU, RoleNotOfCity),
    ],
)
async def test_an_account_that_cannot_be_is_refused(
    world: World, name: str, role: Role, city_code: str, refusal: type[Refusal]
) -> None:
    async with world.desk("province") as desk:
        with pytest.raises(refusal):
            await add(desk, name, role, city_code)
        await add(desk, "newcomer", Role.OPERATOR, CHENGDU)


async def test_a_name_is_never_used_again_and_an_account_ends_once(world: World) -> None:
    async with world.desk("province") as desk:
        await add(desk, "passing", Role.OPERATOR, CHENGDU)
        async with desk.acting():
            await accounts.disable(desk.connection, desk.actor, "passing")
        with pytest.raises(AccountExists):
            await add(desk, "passing", Role.REVIEWER, MIANYANG)
        for name in ("passing", "nobody"):
            with pytest.raises(AccountUnknown):
                async with desk.acting():
                    await accounts.disable(desk.connection, desk.actor, name)


async def test_a_registry_is_founded_once(world: World) -> None:
    async with world.connection() as connection:
        with pytest.raises(FoundedAlready):
            async with db.acting(connection, DatabaseRole.CONSOLE, PROVINCE):
                await accounts.found(connection, account_name="usurper", secret=SECRET)


async def test_of_two_who_found_a_registry_at_once_one_does(empty_database: str) -> None:
    first, second = [await db.connect(empty_database) for _ in range(2)]
    await migrate.migrate(first)

    async def found(connection: db.Connection, name: str) -> Actor:
        async with db.acting(connection, DatabaseRole.CONSOLE, PROVINCE):
            return await accounts.found(connection, account_name=name, secret=SECRET)

    came = await asyncio.gather(
        found(first, "first"), found(second, "second"), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in came) == ["Actor", "FoundedAlready"]
    assert await first.fetchval("select count(*) from account") == 1
    for connection in (first, second):
        await connection.close()


# What the database lets nobody do, whatever the program says.


@pytest.mark.parametrize(
    "statement",
    [
        "insert into plan values ('510700', 'X', '某项目', now(), now(), '文号')",
        "insert into cross_filing values ('510700', 'X', now(), now(), '文号')",
        "insert into session_exception values ('510700', 'X', '项', now(), 'session', '', '文号')",
        "insert into announcement values ('510000', '项目', now(), now(), now(), '文号')",
        "insert into project values ('新项目', '510000', now(), 'daily', '文号')",
        "insert into filing values ('X', '510700', 'daily', '{项目}', now(), now(), '文号')",
        "insert into centre select '510700', now(), city_name, centre_name, issuing_authority,"
        " issuer_code, seal_name, number_digits, '文号' from centre where city_code = '510100'",
        "insert into account values ('usurper', 'reviewer', '510700', '')",
        "insert into account values ('usurper', 'province', '510000', '')",
        "insert into number_body values ('510700', 9, '文号')",
        "insert into journal (city_code, actor, act, subject, detail)"
        " values ('510700', 'operator-510700', 'a', 's', '{}')",
        "insert into batch (city_code, uscc, file_name, file_sha256, imported_by)"
        " values ('510700', 'X', 'f', sha256(''), 'operator-510700')",
        "update account set secret_hash = ''",
        "update account set role = 'reviewer', account_name = 'reviewer-510100'",
        "update certificate set name = '别人'",
        "update certificate set standing = 'revoked'",
        "delete from batch",
    ],
)
async def test_raw_sql_under_a_city_cannot_write_for_another_or_beyond_its_rights(
    world: World, statement: str
) -> None:
    await world.approved(CHENGDU)
    async with world.connection() as connection:
        with pytest.raises(NotYourCity):
            async with db.acting(connection, DatabaseRole.CONSOLE, CHENGDU):
                await connection.execute(statement)


OWNED = [
    "account", "journal", "batch", "result", "commitment", "evidence", "certificate", "change",
    "plan", "cross_filing", "session_exception", "number_body", "number_counter",
]  # fmt: skip


async def test_raw_sql_under_a_city_sees_and_touches_nothing_of_another(world: World) -> None:
    await world.approved(MIANYANG)
    async with world.connection() as connection:
        async with db.acting(connection, DatabaseRole.CONSOLE, CHENGDU):
            for table in OWNED:
                seen = await connection.fetch(f"select distinct city_code from {table}")  # noqa: S608 - our names
                assert [row["city_code"] for row in seen] in ([], [CHENGDU])
            assert await connection.execute("update batch set state = 'draft'") == "UPDATE 0"
            assert await connection.execute("update certificate set cause = 'x'") == "UPDATE 0"
        async with db.acting(connection, DatabaseRole.CONSOLE, PROVINCE):
            seen = await connection.fetch("select distinct city_code from certificate")
            assert [row["city_code"] for row in seen] == [MIANYANG]
        async with db.acting(connection, DatabaseRole.CONSOLE):
            assert not await connection.fetch("select from batch")  # nobody's city sees nothing


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("update batch set submitted_by = 'nobody'", asyncpg.ForeignKeyViolationError),
        ("update batch set decided_by = 'nobody'", asyncpg.ForeignKeyViolationError),
        ("update batch set decided_by = submitted_by", SecondPersonNeeded),
        ("update batch set city_code = '510700'", Refusal),
        (
            "update certificate set state = 'void', void_reason = 'x',"
            " void_asked_by = 'operator-510100', voided_by = 'operator-510100'",
            SecondPersonNeeded,
        ),
    ],
)
async def test_raw_sql_cannot_name_who_is_no_account_or_one_person_twice(
    world: World, statement: str, refusal: type[Exception]
) -> None:
    await world.approved(CHENGDU)
    batch_id = await world.import_rows(CHENGDU, rows(2, serial=100))
    await world.submit(CHENGDU, batch_id)
    submitted = " where state = 'submitted'" if " batch " in statement else ""
    async with world.connection() as connection:
        with pytest.raises(refusal):
            async with db.acting(connection, DatabaseRole.CONSOLE, CHENGDU):
                await connection.execute(statement + submitted)


async def test_one_city_cannot_act_on_the_batches_of_another(world: World) -> None:
    batch_id = await world.import_rows(CHENGDU, rows(2))
    with pytest.raises(NotYourCity):
        async with world.desk(f"operator-{MIANYANG}") as desk, desk.acting():
            await world.import_at(desk, CHENGDU, rows(2, serial=50))
    for act in (world.submit(ABA, batch_id), world.approve(ABA, batch_id)):
        with pytest.raises(Refusal) as refused:
            await act
        assert refused.value.code == "BatchUnknown"
