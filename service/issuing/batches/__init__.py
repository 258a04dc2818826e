"""Batches: the results of one institution, from draft to archived and numbered.

draft → submitted → returned | approved, by two different persons; what is not submitted may be
withdrawn. A cell is read by `sheets` (in the jail), becomes part of a `Row` in `rows`, is kept as a
`result` by `uploads`, and becomes a certificate's face in `approve`, by the statement
`number_certificates`. Approval is one transaction: the gates are judged again, the data is
archived, numbers are taken as one range, and every passed row becomes a `numbered` certificate.
Nothing of it happens twice, and nothing of it happens alone.

Source: 川人社职鉴〔2025〕35号, 三 and 六(二).
"""

import datetime
import hashlib
import secrets
from collections.abc import Collection, Sequence
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    BatchNotOpen,
    BatchNotSubmitted,
    BatchUnknown,
    CentreUnknown,
    Finding,
    GatesClosed,
)
from service.issuing import certificates, numbering
from service.issuing.batches import gates, oddities
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act
from service.registry.vault import Vault
from signing import token

_sql = statements.beside(__file__)

LEGAL_ZONE = ZoneInfo("Asia/Shanghai")


class BatchState(StrEnum):
    """Where a batch stands."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    RETURNED = "returned"
    WITHDRAWN = "withdrawn"
    APPROVED = "approved"


OPEN = (BatchState.DRAFT, BatchState.RETURNED)
"""While a batch is open its rows and its dossier may be mended."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as its users see it; `left_out_count` are rows that it still lacks."""

    batch_id: int
    city_code: str
    uscc: str
    file_name: str
    state: BatchState
    row_count: int
    passed_count: int
    left_out_count: int
    submitted_by: str | None
    decided_by: str | None
    return_reason: str | None
    archived_on: datetime.date | None


class Approval(msgspec.Struct, frozen=True):
    """What an approval made, and what was odd about the batch, as the journal tells."""

    batch_id: int
    archived_on: datetime.date
    numbers: tuple[str, ...]
    noticed: tuple[Finding, ...]


class Issuance(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment decides about the certificates that an approval makes."""

    edition: str
    licence_type: str
    full_examination_percent: float


class Locked(msgspec.Struct, frozen=True):
    """A batch that nobody else moves until the transaction ends."""

    city_code: str
    uscc: str
    state: BatchState


_find = _sql.perhaps("find", Batch)
_recent = _sql.many("recent", Batch)
_lock = _sql.perhaps("lock", Locked)
_submit = _sql.run("submit")
_return = _sql.run("return_batch")
_withdraw = _sql.run("withdraw")
_issuer_code = _sql.perhaps("issuer_code", str)
_passed_rows = _sql.many("passed_rows", int)
_number_certificates = _sql.run("number_certificates")
_archive = _sql.run("archive")


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


async def lock(connection: Connection, batch_id: int) -> Locked:
    """Lock a batch until the transaction ends.

    Raises:
        BatchUnknown: there is none, or it is another city's.
    """
    batch = await _lock(connection, batch_id=batch_id)
    if batch is None:
        raise BatchUnknown(batch_id=batch_id)
    return batch


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
    noticed = await oddities.notice(connection, batch_id, vault)
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
    detail = {
        "ranges": taken.ranges,
        "scheme": taken.scheme_version,
        "count": len(row_numbers),
        "oddities": sorted({one.code for one in noticed}),
    }
    await accounts.write(
        connection, actor, Act.BATCH_APPROVE, str(batch_id), detail, city_code=batch.city_code
    )
    return Approval(batch_id, archived_on, taken.numbers, noticed)


def _examined_fully(public_ids: Sequence[str], percent: float) -> list[bool]:
    """Choose the first, the last, and a share that nobody can foresee and everybody can repeat."""
    return [
        place in (0, len(public_ids) - 1)
        or int.from_bytes(hashlib.sha256(public_id.encode()).digest()[:4]) < percent / 100 * 2**32
        for place, public_id in enumerate(public_ids)
    ]


async def _locked_open(connection: Connection, batch_id: int) -> Locked:
    batch = await lock(connection, batch_id)
    if batch.state not in OPEN:
        raise BatchNotOpen
    return batch


async def _locked_submitted(connection: Connection, batch_id: int) -> Locked:
    batch = await lock(connection, batch_id)
    if batch.state is not BatchState.SUBMITTED:
        raise BatchNotSubmitted(batch_id=batch_id, state=batch.state.value)
    return batch
