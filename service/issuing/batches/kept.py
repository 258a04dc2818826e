"""Kept rows: results as a batch holds them, their personal data encrypted.

They are written in parts, so that a large file never stands in memory once more.
"""

import datetime
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.issuing.batches.rows import Row
from service.registry.people import IdKind
from service.registry.vault import PHONE_DIGITS, Vault

_sql = statements.beside(__file__)

_PART_ROWS = 5_000
_PLAIN = tuple(one for one in Row.__struct_fields__ if one not in ("id_number", "phone", "mark"))


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A row with its identity and the key of its person, under its number in the batch."""

    identity: bytes
    person_key: bytes
    row: Row


class Place(msgspec.Struct, frozen=True):
    """Where rows are written: an open batch, its city, and the upload that brings them."""

    batch_id: int
    city_code: str
    upload_id: int


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    row_key: bytes
    row_number: int
    admission_number: str
    name: str
    sex: str
    id_kind: IdKind
    id_encrypted: bytes
    person_key: bytes
    born_on: datetime.date
    phone_encrypted: bytes | None
    project: str
    exam_on: datetime.date
    theory: Decimal | None
    practice: Decimal | None
    total: Decimal
    passed: bool
    remark: str


_add = _sql.run("add_results")
_mend = _sql.run("mend_results")
_defer = _sql.run("judge_doubles_at_the_end")
_results = _sql.many("results", _Result)


async def add(connection: Connection, vault: Vault, rows: Sequence[Kept], place: Place) -> None:
    """Add rows to an open batch."""
    for part in _parts(rows):
        await _add(connection, city_code=place.city_code, **_columns(vault, part, place))


async def mend(connection: Connection, vault: Vault, rows: Sequence[Kept], place: Place) -> None:
    """Say what rows of an open batch say from now on; their former versions are kept.

    Rows may take each other's person and admission number: doubles are judged when all is done.
    """
    if rows:
        await _defer(connection)
    for part in _parts(rows):
        await _mend(connection, **_columns(vault, part, place))


async def of_batch(connection: Connection, vault: Vault, batch_id: int) -> list[Kept]:
    """Read all rows of an undecided batch, in their order."""
    kept: list[Kept] = []
    last_row = 0
    while part := await _results(
        connection, batch_id=batch_id, last_row=last_row, rows_max=_PART_ROWS
    ):
        kept += (_read(one, vault) for one in part)
        last_row = part[-1].row_number
    return kept


def _read(one: _Result, vault: Vault) -> Kept:
    row = Row(
        id_number=vault.decrypt(one.id_encrypted),
        phone=vault.decrypt(one.phone_encrypted) if one.phone_encrypted else None,
        **{field: getattr(one, field) for field in _PLAIN},
    )
    return Kept(one.row_key, one.person_key, row)


def _parts(rows: Sequence[Kept]) -> Iterator[Sequence[Kept]]:
    return (rows[first : first + _PART_ROWS] for first in range(0, len(rows), _PART_ROWS))


def _columns(vault: Vault, rows: Sequence[Kept], place: Place) -> dict[str, object]:
    """One array for each column, so that many rows are one statement."""
    return {
        "batch_id": place.batch_id,
        "upload_id": place.upload_id,
        "row_keys": [one.identity for one in rows],
        "person_keys": [one.person_key for one in rows],
        "ids_encrypted": [vault.encrypt(one.row.id_number) for one in rows],
        "phones_encrypted": [one.row.phone and vault.encrypt(one.row.phone) for one in rows],
        "phone_keys": [
            one.row.phone and vault.phone_key(one.person_key, one.row.phone[-PHONE_DIGITS:])
            for one in rows
        ],
        **{f"{field}_values": [getattr(one.row, field) for one in rows] for field in _PLAIN},
    }
