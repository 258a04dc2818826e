"""Migrations: once each, in order, whole or not at all, and never rewritten."""

import asyncio
import shutil
import sys
from pathlib import Path

import asyncpg
import pytest

from service.ground import db, migrate
from service.ground.errors import DatabaseNewer, DatabaseNotReady, MigrationEdited, Refusal

NAMES = sorted(path.name for path in migrate.FOLDER.glob("*.sql"))
MIGRATE = """
import asyncio, sys
from service.ground import db, migrate

async def main():
    print(*await migrate.migrate(await db.connect(sys.argv[1])))

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small migrations."""
    (tmp_path / "0001_one.sql").write_text("create table one (n int); insert into one values (1);")
    (tmp_path / "0002_two.sql").write_text("create table two (n int);")
    return tmp_path


async def test_migrations_are_applied_once_and_then_there_is_nothing_to_do(
    empty_database: str,
) -> None:
    connection = await db.connect(empty_database)
    with pytest.raises(DatabaseNotReady):
        await migrate.require_current(connection)
    assert await migrate.migrate(connection) == NAMES
    assert await migrate.migrate(connection) == []
    await migrate.require_current(connection)
    await connection.close()


async def test_a_database_that_lacks_the_newest_migration_is_not_ready(
    empty_database: str, folder: Path
) -> None:
    connection = await db.connect(empty_database)
    await migrate.migrate(connection, folder)
    (folder / "0003_three.sql").write_text("create table three (n int);")
    with pytest.raises(DatabaseNotReady):
        await migrate.require_current(connection, folder)
    assert await migrate.migrate(connection, folder) == ["0003_three.sql"]
    await migrate.require_current(connection, folder)
    await connection.close()


async def test_of_two_processes_that_start_at_once_one_migrates_and_the_other_waits(
    empty_database: str,
) -> None:
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, empty_database, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = sorted([(await process.communicate())[0].decode().split() for process in started])
    assert [process.returncode for process in started] == [0, 0]
    assert said == [[], NAMES]


async def test_an_edited_migration_is_refused_by_its_name(
    empty_database: str, folder: Path
) -> None:
    connection = await db.connect(empty_database)
    await migrate.migrate(connection, folder)
    with (folder / "0001_one.sql").open("a") as file:
        file.write("\n-- one more line\n")
    (folder / "0003_three.sql").write_text("create table three (n int);")
    await _is_refused(connection, folder, MigrationEdited, "0001_one.sql")
    assert not await _exists(connection, "three")
    await connection.close()


async def test_a_database_newer_than_the_program_is_refused(
    empty_database: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    older = tmp_path_factory.mktemp("older")
    shutil.copy(folder / "0001_one.sql", older)
    connection = await db.connect(empty_database)
    await migrate.migrate(connection, folder)
    await _is_refused(connection, older, DatabaseNewer, "0002_two.sql")
    await connection.close()


async def test_a_failing_migration_leaves_nothing_of_itself(
    empty_database: str, folder: Path
) -> None:
    connection = await db.connect(empty_database)
    failing = folder / "0002_two.sql"
    mended = failing.read_text()
    failing.write_text("create table two (n int); insert into one values (2); select 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate.migrate(connection, folder)
    assert not await _exists(connection, "two")
    assert await connection.fetchval("select array_agg(n) from one") == [1]

    failing.write_text(mended)
    other = await db.connect(empty_database)
    assert await migrate.migrate(other, folder) == ["0002_two.sql"]  # the lock was given back
    await other.close()
    await connection.close()


async def _is_refused(
    connection: db.Connection, folder: Path, refusal: type[Refusal], name: str
) -> None:
    for function in (migrate.migrate, migrate.require_current):
        with pytest.raises(refusal, match=name):
            await function(connection, folder)


async def _exists(connection: db.Connection, table: str) -> bool:
    return bool(await connection.fetchval("select to_regclass($1) is not null", table))
