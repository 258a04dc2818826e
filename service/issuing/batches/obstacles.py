"""Obstacles: what keeps a row out that is valid in itself.

Its person is certified already, its result stands in another batch that is not decided yet, or the
QR code cannot hold its texts. Everything is a finding of its row.
"""

import datetime
from collections.abc import Iterator, Sequence
from functools import cache

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import Finding
from service.issuing.batches.kept import Kept
from service.issuing.batches.rows import Row
from signing import qr, token
from signing.errors import StatementTooLong

_sql = statements.beside(__file__)


class _Held(msgspec.Struct, frozen=True):
    person_key: bytes
    project_name: str
    number: str


class _Standing(msgspec.Struct, frozen=True):
    person_key: bytes
    project_name: str
    exam_on: datetime.date
    batch_id: int
    state: str


_held = _sql.many("held", _Held)
_standing = _sql.many("standing", _Standing)


def too_long(rows: Sequence[Row], host: str) -> Iterator[Finding]:
    """Name the passed rows whose texts the QR code, which names `host`, cannot hold."""
    for row in rows:
        if row.passed and not _qr_holds(host, len(row.name.encode()), len(row.project.encode())):
            yield Finding(
                code="QrCannotHold",
                zh="姓名与项目名称合计过长，二维码无法容纳。请与省中心商定简称。",
                en="Name and project are too long together for the QR code; agree on a short form.",
                row=row.row_number,
                column="姓名",
            )


async def certified(
    connection: Connection, candidates: Sequence[tuple[int, bytes, str]]
) -> list[Finding]:
    """Name the rows, given with person key and project, whose person is certified already."""
    held = {
        (one.person_key, one.project_name): one.number
        for one in await _held(connection, person_keys=[key for _, key, _ in candidates])
    }
    return [
        Finding(
            code="PersonCertifiedAlready",
            zh=f"此人已持有该项目的有效证书 {number}。请删去该行或核对身份。",
            en=f"This person holds certificate {number} for the project; remove the row or check.",
            row=row_number,
            column="证件号码",
        )
        for row_number, key, project in candidates
        if (number := held.get((key, project)))
    ]


async def in_other_batches(
    connection: Connection, rows: Sequence[Kept], *, city_code: str, batch_id: int | None
) -> list[Finding]:
    """Name the rows that stand in another open or submitted batch of the city than `batch_id`."""
    found = await _standing(
        connection,
        city_code=city_code,
        batch_id=batch_id,
        person_keys=[one.person_key for one in rows],
        project_names=[one.row.project for one in rows],
        exam_days=[one.row.exam_on for one in rows],
    )
    standing = {(one.person_key, one.project_name, one.exam_on): one for one in found}
    return [
        _stands(one.row.row_number, there)
        for one in rows
        if (there := standing.get((one.person_key, one.row.project, one.row.exam_on)))
    ]


def _stands(row_number: int, one: _Standing) -> Finding:
    first_zh, first_en = "", ""
    if one.state == "submitted":
        first_zh, first_en = "先退回（batch return），再", "return it first, then "
    command = f"batch import … --batch {one.batch_id}"
    return Finding(
        code="ResultInOtherBatch",
        zh=f"此人同一项目、同日考核的成绩已在批次 {one.batch_id}。请删去该行；"
        f"要更正该批次，{first_zh}用 {command}。",
        en=f"Batch {one.batch_id} holds this result: remove the row, or to mend that batch, "
        f"{first_en}{command}.",
        row=row_number,
        column="证件号码",
    )


@cache
def _qr_holds(host: str, name_bytes: int, project_bytes: int) -> bool:
    statement = token.longest(host, name_bytes, project_bytes)
    try:
        qr.matrix(*token.to_text(host, "0" * 16, statement))
    except StatementTooLong:
        return False
    return True
