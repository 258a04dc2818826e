"""Left out: the rows of an upload that were wrong when its uploader chose to keep the others.

They stay listed for ever with everything that was wrong, and with who chose it. A row that is left
out again is listed again; when it joins its batch without errors, its entries say so, once.
"""

import datetime
from collections.abc import Mapping, Sequence

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import Finding
from service.issuing.batches.identity import Trace
from service.issuing.batches.kept import Place
from service.issuing.batches.rows import Refused
from service.issuing.sheets import cells

_sql = statements.beside(__file__)


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A row that an upload left out; `joined_row` and what follows of one that has joined since."""

    upload_id: int
    row_number: int
    admission_number: str | None
    findings: list[Finding]
    chosen_by: str
    chosen_at: datetime.datetime
    joined_row: int | None
    joined_by: str | None
    joined_at: datetime.datetime | None

    @property
    def reasons(self) -> str:
        """What was wrong, in one line."""
        return "；".join(f"{one.column or ''} {one.zh} {one.en}" for one in self.findings)


class Waiting(msgspec.Struct, frozen=True):
    """A row that has not joined: the number it had first, and its trace in its last upload."""

    row_key: bytes
    row_number: int
    trace: bytes


_add = _sql.run("leave_out")
_waiting = _sql.many("waiting", Waiting)
_join = _sql.run("join_left_out")
_of_batch = _sql.many("left_out_of_batch", LeftOut)


async def keep(
    connection: Connection, refused: Sequence[Refused], traces: Mapping[int, Trace], place: Place
) -> None:
    """List rows as left out; `traces` are by row number."""
    await _add(
        connection,
        upload_id=place.upload_id,
        batch_id=place.batch_id,
        city_code=place.city_code,
        row_keys=[traces[row.row_number].identity for row in refused],
        traces=[traces[row.row_number].packed() for row in refused],
        row_numbers=[row.row_number for row in refused],
        admission_numbers=[
            row.admission_number and cells.shown(row.admission_number) for row in refused
        ],
        findings=[msgspec.json.encode(row.findings).decode() for row in refused],
    )


async def join(connection: Connection, row_keys: Sequence[bytes], place: Place) -> None:
    """Note that rows with these identities are in the batch; nothing of those never left out."""
    await _join(connection, batch_id=place.batch_id, upload_id=place.upload_id, row_keys=row_keys)


async def waiting(connection: Connection, batch_id: int) -> list[Waiting]:
    """Return the rows that a batch still lacks, in the order of their numbers."""
    return await _waiting(connection, batch_id=batch_id)


async def of_batch(connection: Connection, batch_id: int) -> list[LeftOut]:
    """List everything that uploads of a batch left out, by row number, the oldest entry first."""
    return await _of_batch(connection, batch_id=batch_id)
