"""Migrations: forward-only plain SQL, applied once each, in order, under one advisory lock.

Each applied file is remembered with its SHA-256, and an edited one is refused: history is not
rewritten, a change is another file. Two processes may start at once; the second waits.
"""

import hashlib
from pathlib import Path

from service.ground.db import Connection
from service.ground.errors import DatabaseNewer, DatabaseNotReady, MigrationEdited

FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x7169616E6661  # "qianfa"


async def migrate(connection: Connection, folder: Path = FOLDER) -> list[str]:
    """Apply what is not applied yet and return the names applied now.

    Raises:
        MigrationEdited: an applied file has another content than when it was applied.
        DatabaseNewer: the database knows a migration that this program does not have.
    """
    await connection.execute("select pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(
            "create table if not exists migration ("
            " name text primary key, sha256 bytea not null,"
            " applied_at timestamptz not null default now())"
        )
        pending = await _pending(connection, folder)
        for name, text in pending.items():
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute(
                    "insert into migration (name, sha256) values ($1, $2)", name, _digest(text)
                )
        return list(pending)
    finally:
        await connection.execute("select pg_advisory_unlock($1)", _LOCK)


async def require_current(connection: Connection, folder: Path = FOLDER) -> None:
    """Refuse a database that is not exactly at this program's migrations.

    Raises:
        DatabaseNotReady: migrations are missing; `qianfa init` applies them.
        MigrationEdited, DatabaseNewer: as `migrate`.
    """
    known = await connection.fetchval("select to_regclass('migration') is not null")
    if not known or await _pending(connection, folder):
        raise DatabaseNotReady


async def _pending(connection: Connection, folder: Path) -> dict[str, str]:
    """Compare the files with what is applied; return the texts still to be applied, in order."""
    texts = {path.name: path.read_text("utf-8") for path in sorted(folder.glob("[0-9]*.sql"))}
    rows = await connection.fetch("select name, sha256 from migration")
    applied = {row["name"]: row["sha256"] for row in rows}
    for name, digest in applied.items():
        if name not in texts:
            raise DatabaseNewer(name=name)
        if _digest(texts[name]) != digest:
            raise MigrationEdited(name=name)
    return {name: text for name, text in texts.items() if name not in applied}


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
