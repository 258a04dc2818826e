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


LANDED = """
insert into city values ('510100');
insert into account (account_name, role, city_code, secret_hash)
    select name, name, '510100', '' from unnest(array['operator', 'reviewer']) as name;
insert into number_scheme values (1, '2024-01-01', 'yearly', '[]', '文');
insert into seal_certificate values (sha256('seal'), '510100', '', '{}', false, now(), now());
insert into statement_key values ('\\x0a1b2c3d', '', now(), now());
insert into batch (city_code, uscc, file_name, file_sha256, imported_by)
    values ('510100', 'x', 'results.xlsx', sha256('x'), 'operator');
insert into result (batch_id, row_number, city_code, admission_number, name, sex, id_kind,
    id_encrypted, person_key, born_on, project_name, exam_on, total, passed, remark)
select 1, place, '510100', '1', '张三', '男', '护照', '', sha256(place::text::bytea), '2000-01-01',
    '项目', '2026-05-23', 80, true, '' from generate_series(1, 5) place;
insert into certificate (number, city_code, batch_id, row_number, scheme_version, public_id,
    identifier, edition, name, sex, born_on, id_kind, id_encrypted, person_key, project_name, score,
    exam_on, archived_on, issuing_authority, issuer_code, seal_name, examine_fully)
select 26510000 + row_number, city_code, 1, row_number, 1, lpad(row_number::text, 16, '0'),
    row_number, '2026', name, sex, born_on, id_kind, id_encrypted, person_key, project_name, total,
    exam_on, '2026-06-12', '局', 'x', 'y', true from result;
update certificate set claimed_by = 'worker', claimed_at = now(), claim_count = 1,
    status_sequence = row_number where row_number > 1;
update certificate set sealed_at = now(), status_index = row_number, statement_host = 'h',
    seal_fingerprint = sha256('seal'), statement_kid = '\\x0a1b2c3d' where row_number > 2;
update certificate set state = 'parked', cause = 'x' where row_number = 3;
update certificate set state = 'void', void_asked_by = 'operator', voided_by = 'reviewer'
    where row_number = 4;
update certificate set state = 'issued', issued_at = now(), pdf_sha256 = sha256('pdf'),
    range_sha256 = sha256('range') where row_number = 5;
"""


async def test_certificates_of_every_state_come_through_the_later_migrations_as_they_were(
    empty_database: str, tmp_path: Path
) -> None:
    for path in migrate.FOLDER.glob("000[12]*.sql"):
        shutil.copy(path, tmp_path)
    connection = await db.connect(empty_database)
    await migrate.migrate(connection, tmp_path)
    await connection.execute(LANDED)
    every = "select * from certificate order by number"
    before = [dict(row) for row in await connection.fetch(every)]
    await migrate.migrate(connection)
    after = [dict(row) for row in await connection.fetch(every)]
    unknown = ("replaces", "adoption_id", "phone_key", "photo_sha256")
    new = dict.fromkeys(unknown) | {"origin": "sealed", "has_photo": False}
    assert after == [row | new for row in before]
    assert [row["state"] for row in after] == ["numbered", "numbered", "parked", "void", "issued"]
    lists = await connection.fetch("select list_number, wanted, signed from status_list")
    assert [tuple(row) for row in lists] == [(0, 1, 0)]
    assert await connection.fetchval("select array_agg(number) from entry") == ["26510005"]
    keys = await connection.fetchval("select array_agg(distinct row_key) from result")
    assert [len(key) for key in keys] == [10] * 5  # of an open batch, whose rows may be mended
    await connection.close()
