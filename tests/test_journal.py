"""The journal: written with its act, chained per city, and no change to it stays unseen."""

import asyncio
import datetime

import asyncpg
import pytest

from service.ground import db
from service.ground.db import Connection, Role
from service.ground.errors import HistoryChanged, NotYourCity
from service.registry import accounts, journal
from service.registry.catalogue import Project, ProjectKind
from service.registry.journal import Act, Break
from tests.world import ABA, CHENGDU, MIANYANG, World


async def write(connection: Connection, city_code: str, subject: str) -> None:
    await journal.write(
        connection,
        city_code=city_code,
        actor="operator",
        act=Act.PLAN_RECORD,
        subject=subject,
        detail={"why": "a test"},
    )


async def entries(connection: Connection, city_code: str) -> list[asyncpg.Record]:
    return await connection.fetch(
        "select sequence, actor, subject, previous, hash from journal"
        " where city_code = $1 order by sequence",
        city_code,
    )


async def fill(world: World) -> None:
    """Let two cities have five entries each."""
    async with world.connection() as connection:
        for city_code in (CHENGDU, MIANYANG):
            async with db.acting(connection, Role.CONSOLE, city_code):
                for place in range(5 - len(await entries(connection, city_code))):
                    await write(connection, city_code, f"entry {place}")


async def test_each_city_has_a_chain_of_its_own_that_is_whole(world: World) -> None:
    await fill(world)
    async with world.connection() as connection:
        for city_code in (CHENGDU, MIANYANG):
            chain = await entries(connection, city_code)
            sequences = [entry["sequence"] for entry in chain]
            assert sequences == list(range(1, len(chain) + 1))
            assert [entry["previous"] for entry in chain[1:]] == [one["hash"] for one in chain[:-1]]
        assert await journal.broken(connection) == []


@pytest.mark.parametrize(
    "change",
    [
        "update journal set actor = 'another'",
        "update journal set sequence = sequence + 1",
        "delete from journal",
        "truncate journal",
        "truncate journal, journal_head cascade",
    ],
)
async def test_even_the_owner_cannot_change_what_is_written(world: World, change: str) -> None:
    async with world.connection() as connection:
        before = await entries(connection, accounts.PROVINCE)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
            await connection.execute(change)
        assert db.CONSTRAINTS[refused.value.constraint_name or ""] is HistoryChanged
        assert await entries(connection, accounts.PROVINCE) == before


HASH = (
    "sha256({previous} || journal_bytes(row("
    "city_code, {sequence}, at, actor, act, 'forged', detail, '', '')::journal))"
)  # as an owner would compute it who knows how the chain is made


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("update journal set actor = 'another' where sequence = 3 and {city}", (3, "changed")),
        ("update journal set detail = '{{}}' where sequence = 3 and {city}", (3, "changed")),
        ("update journal set at = at + interval '1 us' where sequence = 5 and {city}",
         (5, "changed")),
        ("update journal set hash = sha256('') where sequence = 3 and {city}", (3, "changed")),
        ("update journal set subject = 'forged', hash = {rehashed} where sequence = 3 and {city}",
         (4, "unlinked")),
        ("update journal set subject = 'forged', hash = {rehashed} where sequence = 5 and {city}",
         (5, "changed")),
        ("delete from journal where sequence = 1 and {city}", (2, "removed")),
        ("delete from journal where sequence = 3 and {city}", (4, "removed")),
        ("delete from journal where sequence > 3 and {city}", (5, "cut off")),
        ("delete from journal where {city}", (5, "cut off")),
        ("with gone as (delete from journal where sequence > 3 and {city})"
         " delete from journal_head where {city}", (3, "added")),
        ("insert into journal select city_code, 6, at, actor, act, 'forged', detail, hash, {next}"
         " from journal where sequence = 5 and {city}", (6, "added")),
    ],
)  # fmt: skip
async def test_what_the_owner_does_behind_the_triggers_is_found_and_named(
    world: World, tampering: str, found: tuple[int, str]
) -> None:
    await fill(world)
    async with world.connection() as connection:
        await connection.execute("set session_replication_role = replica")
        await connection.execute(
            tampering.format(
                city=f"city_code = '{CHENGDU}'",
                rehashed=HASH.format(previous="previous", sequence="sequence"),
                next=HASH.format(previous="hash", sequence="6"),
            )
        )
        assert await journal.broken(connection) == [Break(CHENGDU, *found)]


async def test_sequence_time_and_hashes_are_the_databases_to_write(world: World) -> None:
    await fill(world)
    async with world.connection() as connection:
        async with db.acting(connection, Role.CONSOLE, CHENGDU):
            await connection.execute(
                "insert into journal (city_code, sequence, at, actor, act, subject, detail, hash,"
                " previous) values ($1, 3, '2020-01-01', 'a', 'b', 'c', '{}', '', '')",
                CHENGDU,
            )
        assert (await entries(connection, CHENGDU))[-1]["sequence"] == 6
        assert await journal.broken(connection) == []


@pytest.mark.parametrize(
    "statement",
    [
        "update journal_head set sequence = 0",
        "delete from journal_head",
        "update journal set actor = 'another'",
        "delete from journal",
        "select sha256('') from journal_head",
    ],
)
async def test_the_console_can_only_append(world: World, statement: str) -> None:
    await fill(world)
    async with world.connection() as connection:
        with pytest.raises(NotYourCity):
            async with db.acting(connection, Role.CONSOLE, accounts.PROVINCE):
                await connection.execute(statement)


async def test_a_city_reads_and_writes_its_own_journal_and_no_other(world: World) -> None:
    await fill(world)
    async with world.connection() as connection:
        async with db.acting(connection, Role.CONSOLE, CHENGDU):
            seen = await connection.fetch("select distinct city_code from journal")
            assert [row["city_code"] for row in seen] == [CHENGDU]
        with pytest.raises(NotYourCity):
            async with db.acting(connection, Role.CONSOLE, CHENGDU):
                await write(connection, MIANYANG, "not ours")
        assert len(await entries(connection, MIANYANG)) == 5


async def test_two_cities_write_at_once_and_one_city_waits_for_itself(world: World) -> None:
    async with world.connection() as first, world.connection() as second:
        async with db.acting(first, Role.CONSOLE, CHENGDU):
            await write(first, CHENGDU, "open")
            async with asyncio.timeout(5), db.acting(second, Role.CONSOLE, MIANYANG):
                await write(second, MIANYANG, "done before the other has ended")

            async def same_city() -> None:
                async with db.acting(second, Role.CONSOLE, CHENGDU):
                    await write(second, CHENGDU, "after the other")

            waiting = asyncio.create_task(same_city())
            await world.until_somebody_waits()
            assert not waiting.done()
        await waiting
        assert [row["subject"] for row in await entries(first, CHENGDU)][-2:] == [
            "open",
            "after the other",
        ]
        assert await journal.broken(first) == []


async def test_an_act_and_its_entry_commit_or_vanish_together(world: World) -> None:
    async def add(name: str, *, fail: bool) -> None:
        async with world.desk("province") as desk, desk.acting():
            await accounts.add(
                desk.connection,
                desk.actor,
                account_name=name,
                role=accounts.Role.OPERATOR,
                city_code=ABA,
                secret="s",  # noqa: S106 - of the test
            )
            if fail:
                raise KeyError(name)

    async with world.connection() as connection:
        before = len(await entries(connection, accounts.PROVINCE))
        with pytest.raises(KeyError):
            await add("vanished", fail=True)
        assert len(await entries(connection, accounts.PROVINCE)) == before
        assert not await connection.fetch("select from account where account_name = 'vanished'")

        await add("kept", fail=False)
        assert (await entries(connection, accounts.PROVINCE))[-1]["subject"] == "kept"
        assert await connection.fetch("select from account where account_name = 'kept'")


async def test_an_act_that_cannot_be_told_does_not_happen(world: World) -> None:
    async with world.connection() as owner:
        await owner.execute("revoke insert on journal from qianfa_console")
        project = Project(
            project_name="不留痕迹",
            city_code=accounts.PROVINCE,
            valid_from=datetime.date(2026, 1, 1),
            kind=ProjectKind.DAILY,
            document_number="文号1",
        )
        with pytest.raises(NotYourCity):
            await world.record("province", project)
        assert not await owner.fetch("select from project where project_name = '不留痕迹'")
