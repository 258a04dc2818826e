"""Batches: one results workbook of one institution, from draft to archived and numbered.

draft → submitted → returned | approved, by two different persons; what is not submitted may be
withdrawn. A cell is read by `workbook` (in the jail), becomes part of a `Row` in `rows`, is kept as
a `result` by `import_rows`, and becomes a certificate's face in `approve`, by the statement
`number_certificates`. A batch enters whole or not at all. Approval is one transaction: the gates
are judged again, the data is archived, numbers are taken as one range, and every passed row becomes
a `numbered` certificate. Nothing of it happens twice, and nothing of it happens alone.

Source: 川人社职鉴〔2025〕35号, 三 and 六(二).
"""

import datetime
import hashlib
import secrets
from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    BatchNotOpen,
    BatchNotSubmitted,
    BatchUnknown,
    CentreUnknown,
    FileImportedAlready,
    Finding,
    GatesClosed,
    InstitutionUnknown,
    RowsRefused,
)
from service.issuing import certificates, numbering
from service.issuing.batches import gates
from service.issuing.batches.rows import Row
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act
from service.registry.vault import PHONE_DIGITS, Vault
from signing import qr, token
from signing.errors import StatementTooLong

_sql = statements.beside(__file__)

LEGAL_ZONE = ZoneInfo("Asia/Shanghai")


class BatchState(StrEnum):
    """Where a batch stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"
    APPROVED = "approved"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A results workbook as it came in: for which city, from which institution."""

    city_code: str
    uscc: str
    file_name: str
    file_sha256: bytes


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as its users see it."""

    batch_id: int
    city_code: str
    uscc: str
    file_name: str
    state: BatchState
    row_count: int
    passed_count: int
    submitted_by: str | None
    decided_by: str | None
    return_reason: str | None
    archived_on: datetime.date | None


class Approval(msgspec.Struct, frozen=True):
    """What an approval made."""

    batch_id: int
    archived_on: datetime.date
    numbers: tuple[str, ...]


class Issuance(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment decides about the certificates that an approval makes."""

    edition: str
    licence_type: str
    full_examination_percent: float


class _Locked(msgspec.Struct, frozen=True):
    city_code: str
    state: BatchState


class _Held(msgspec.Struct, frozen=True):
    person_key: bytes
    project_name: str
    number: str


_institution_known = _sql.one("institution_known", bool)
_known_file = _sql.perhaps("known_file", int)
_held = _sql.many("held", _Held)
_add_batch = _sql.one("add_batch", int)
_add_results = _sql.run("add_results")
_find = _sql.perhaps("find", Batch)
_recent = _sql.many("recent", Batch)
_lock = _sql.perhaps("lock", _Locked)
_submit = _sql.run("submit")
_return = _sql.run("return_batch")
_withdraw = _sql.run("withdraw")
_issuer_code = _sql.perhaps("issuer_code", str)
_passed_rows = _sql.many("passed_rows", int)
_number_certificates = _sql.run("number_certificates")
_archive = _sql.run("archive")


async def import_rows(
    connection: Connection,
    actor: Actor,
    vault: Vault,
    upload: Upload,
    *,
    rows: Sequence[Row],
    errors: Sequence[Finding],
    host: str,
) -> int:
    """Keep a judged workbook as a draft batch and return its id; all rows or none.

    `errors` are what judging the rows found; persons who are certified already are added to them,
    and texts that the QR code, which names `host`, cannot hold.

    Raises:
        InstitutionUnknown: no institution is recorded under that code.
        FileImportedAlready: the same file is a batch of this city already.
        RowsRefused: with every error of the file.
    """
    accounts.require(actor, Act.BATCH_IMPORT)
    if not await _institution_known(connection, uscc=upload.uscc):
        raise InstitutionUnknown(uscc=upload.uscc)
    known = await _known_file(
        connection, city_code=upload.city_code, file_sha256=upload.file_sha256
    )
    if known is not None:
        raise FileImportedAlready(batch_id=known)
    keys = [vault.person_key(row.id_kind, row.id_number) for row in rows]
    passed = [
        (row.row_number, key, row.project)
        for row, key in zip(rows, keys, strict=True)
        if row.passed
    ]
    errors = [*errors, *too_long(rows, host), *await certified(connection, passed)]
    if errors:
        raise RowsRefused(tuple(errors), count=len(errors))
    batch_id = await _add_batch(
        connection, **msgspec.structs.asdict(upload), imported_by=actor.account_name
    )
    await _add_results(
        connection,
        batch_id=batch_id,
        city_code=upload.city_code,
        person_keys=keys,
        ids_encrypted=[vault.encrypt(row.id_number) for row in rows],
        phones_encrypted=[row.phone and vault.encrypt(row.phone) for row in rows],
        phone_keys=[
            row.phone and vault.phone_key(key, row.phone[-PHONE_DIGITS:])
            for row, key in zip(rows, keys, strict=True)
        ],
        **{
            f"{field}_values": [getattr(row, field) for row in rows]
            for field in Row.__struct_fields__
            if field not in ("id_number", "phone")
        },
    )
    detail = {
        "file": upload.file_name,
        "sha256": upload.file_sha256.hex(),
        "uscc": upload.uscc,
        "rows": len(rows),
    }
    await accounts.write(
        connection, actor, Act.BATCH_IMPORT, str(batch_id), detail, city_code=upload.city_code
    )
    return batch_id


async def find(connection: Connection, batch_id: int) -> Batch:
    """Return one batch.

    Raises:
        BatchUnknown: there is none, or it is another city's.
    """
    batch = await _find(connection, batch_id=batch_id)
    if batch is None:
        raise BatchUnknown(batch_id=batch_id)
    return batch


async def recent(connection: Connection) -> list[Batch]:
    """Return the newest batches that the actor may see, newest first."""
    return await _recent(connection)


async def submit(connection: Connection, actor: Actor, batch_id: int) -> None:
    """Hand a draft or returned batch to the reviewer.

    Raises:
        BatchUnknown, BatchNotOpen: there is none, or it is submitted or approved already.
    """
    accounts.require(actor, Act.BATCH_SUBMIT)
    batch = await _locked_open(connection, batch_id)
    await _submit(connection, batch_id=batch_id, account_name=actor.account_name)
    await accounts.write(
        connection, actor, Act.BATCH_SUBMIT, str(batch_id), {}, city_code=batch.city_code
    )


async def return_(connection: Connection, actor: Actor, batch_id: int, reason: str) -> None:
    """Give a submitted batch back with the reason, to be mended and submitted again.

    Raises:
        BatchUnknown, BatchNotSubmitted: there is none, or it is not submitted.
    """
    accounts.require(actor, Act.BATCH_RETURN)
    batch = await _locked_submitted(connection, batch_id)
    await _return(connection, batch_id=batch_id, reason=reason)
    detail = {"reason": reason}
    await accounts.write(
        connection, actor, Act.BATCH_RETURN, str(batch_id), detail, city_code=batch.city_code
    )


async def withdraw(connection: Connection, actor: Actor, batch_id: int, reason: str) -> None:
    """Give up a draft or returned batch for ever; its file may be imported again.

    Raises:
        BatchUnknown, BatchNotOpen: there is none, or it is submitted or approved.
    """
    accounts.require(actor, Act.BATCH_WITHDRAW)
    batch = await _locked_open(connection, batch_id)
    await _withdraw(connection, batch_id=batch_id, reason=reason)
    detail = {"reason": reason}
    await accounts.write(
        connection, actor, Act.BATCH_WITHDRAW, str(batch_id), detail, city_code=batch.city_code
    )


async def approve(
    connection: Connection,
    actor: Actor,
    batch_id: int,
    *,
    vault: Vault,
    rules: gates.Rules,
    drawable: Collection[int],
    issuance: Issuance,
    now: datetime.datetime,
) -> Approval:
    """Archive a submitted batch and number its passed rows, in this one transaction.

    Locks the batch and then the city's number counters. Failed rows take no number.

    Raises:
        BatchUnknown, BatchNotSubmitted: there is none, or it is not submitted.
        CentreUnknown: nothing says what the city is called on this day.
        GatesClosed: with every finding of the twelve gates.
        NumbersExhausted: the city's numbers of the year do not suffice.
    """
    accounts.require(actor, Act.BATCH_APPROVE)
    batch = await _locked_submitted(connection, batch_id)
    archived_on = now.astimezone(LEGAL_ZONE).date()
    findings = await gates.judge(
        connection,
        batch_id,
        reviewer=actor.account_name,
        rules=rules,
        vault=vault,
        drawable=drawable,
        today=archived_on,
    )
    if findings:
        raise GatesClosed(findings, batch_id=batch_id, count=len(findings))
    issuer_code = await _issuer_code(connection, city_code=batch.city_code, day=archived_on)
    if issuer_code is None:
        raise CentreUnknown(city_code=batch.city_code, day=archived_on)
    row_numbers = await _passed_rows(connection, batch_id=batch_id)
    taken = await numbering.take(connection, batch.city_code, archived_on, len(row_numbers))
    public_ids = [token.encode_id(secrets.token_bytes(10)) for _ in row_numbers]
    await _number_certificates(
        connection,
        batch_id=batch_id,
        archived_on=archived_on,
        scheme_version=taken.scheme_version,
        edition=issuance.edition,
        row_numbers=row_numbers,
        numbers=taken.numbers,
        public_ids=public_ids,
        identifiers=[
            certificates.identifier(issuance.licence_type, issuer_code, number, 1)
            for number in taken.numbers
        ],
        examined_fully=_examined_fully(public_ids, issuance.full_examination_percent),
    )
    await _archive(
        connection, batch_id=batch_id, account_name=actor.account_name, archived_on=archived_on
    )
    detail = {"ranges": taken.ranges, "scheme": taken.scheme_version, "count": len(row_numbers)}
    await accounts.write(
        connection, actor, Act.BATCH_APPROVE, str(batch_id), detail, city_code=batch.city_code
    )
    return Approval(batch_id, archived_on, taken.numbers)


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


def _examined_fully(public_ids: Sequence[str], percent: float) -> list[bool]:
    """Choose the first, the last, and a share that nobody can foresee and everybody can repeat."""
    return [
        place in (0, len(public_ids) - 1)
        or int.from_bytes(hashlib.sha256(public_id.encode()).digest()[:4]) < percent / 100 * 2**32
        for place, public_id in enumerate(public_ids)
    ]


async def _locked(connection: Connection, batch_id: int) -> _Locked:
    batch = await _lock(connection, batch_id=batch_id)
    if batch is None:
        raise BatchUnknown(batch_id=batch_id)
    return batch


async def _locked_open(connection: Connection, batch_id: int) -> _Locked:
    batch = await _locked(connection, batch_id)
    if batch.state not in (BatchState.DRAFT, BatchState.RETURNED):
        raise BatchNotOpen
    return batch


async def _locked_submitted(connection: Connection, batch_id: int) -> _Locked:
    batch = await _locked(connection, batch_id)
    if batch.state is not BatchState.SUBMITTED:
        raise BatchNotSubmitted(batch_id=batch_id, state=batch.state.value)
    return batch


@cache
def _qr_holds(host: str, name_bytes: int, project_bytes: int) -> bool:
    statement = token.longest(host, name_bytes, project_bytes)
    try:
        qr.matrix(*token.to_text(host, "0" * 16, statement))
    except StatementTooLong:
        return False
    return True
