"""Readers: a connection is lent to one at a time, kept while it is sound, and never writes."""

import asyncio

import asyncpg
import pytest

from service.ground import db
from service.ground.db import Connection, Readers
from service.ground.errors import DatabaseUnavailable, TooManyRequests, ValueUnstorable
from tests.world import World


async def server_process(connection: Connection) -> int:
    return int(await connection.fetchval("select pg_backend_pid()"))


async def test_one_connection_serves_many_in_turn_and_each_only_itself(world: World) -> None:
    async with Readers(world.address, size=2) as readers:

        async def ask() -> int:
            async with readers.lend() as connection:
                await connection.fetchval("select pg_sleep(0.01)")
                return await server_process(connection)

        assert len({await ask() for _ in range(5)}) == 1
        assert len(set(await asyncio.gather(*(ask() for _ in range(20))))) == 2


async def test_it_reads_as_the_public_and_cannot_write(world: World) -> None:
    async with Readers(world.address, size=1) as readers, readers.lend() as connection:
        assert await connection.fetchval("select current_user") == "qianfa_public"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("create temporary table mine (n int)")


async def test_what_the_server_or_we_refuse_keeps_the_connection(world: World) -> None:
    async with Readers(world.address, size=1) as readers:
        seen = set()

        async def ask(statement: str) -> None:
            async with readers.lend() as connection:
                seen.add(await server_process(connection))
                await connection.execute(statement)
                raise TooManyRequests(seconds=1)

        with pytest.raises(ValueUnstorable):
            await ask("select 1 / 0")
        with pytest.raises(TooManyRequests):
            await ask("select 1")
        assert len(seen) == 1


async def test_a_connection_that_was_cut_off_or_lost_is_not_lent_again(world: World) -> None:
    async with Readers(world.address, size=1) as readers:
        async with readers.lend() as connection:
            first = await server_process(connection)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), readers.lend() as connection:
                await connection.execute("select pg_sleep(5)")
        async with readers.lend() as connection:
            second = await server_process(connection)
        assert second != first
        async with world.connection() as other:
            await other.fetchval("select pg_terminate_backend($1)", second)
            while await other.fetchval("select 1 from pg_stat_activity where pid = $1", second):
                pass
        async with readers.lend() as connection:
            assert await server_process(connection) != second


async def test_who_waits_too_long_for_a_connection_gets_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "_WAIT_SECONDS", 0.1)
    async with Readers(world.address, size=1) as readers, readers.lend():
        with pytest.raises(DatabaseUnavailable):
            async with readers.lend():
                pass
