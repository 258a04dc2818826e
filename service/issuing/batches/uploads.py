"""Uploads: every results file that came in, judged, and what became of it.

A file is imported as a new batch or joins an open one, all of its rows or none; by choice its wrong
rows are left out and listed for ever. Every row is known again: in a batch that it joins, what has
not changed stays, what has is mended, and what is new is added; nobody stands there twice for one
project. What was refused is recorded too, so that the next upload can say which of its rows are
new, mended, unchanged or gone.

Uploads of a city wait for each other, and who joins a batch for whoever else moves it.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import chain

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import BatchTakesNoRows, FileImportedAlready, Finding, InstitutionUnknown
from service.issuing import batches
from service.issuing.batches import identity, joining, kept, left_out, obstacles
from service.issuing.batches.identity import Counts, Line, Reader, Trace
from service.issuing.batches.joining import Mended
from service.issuing.batches.kept import Kept, Place
from service.issuing.batches.rows import Judged, Refused, Row
from service.issuing.sheets import cells, layouts
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act
from service.registry.vault import Vault

_sql = statements.beside(__file__)


class Outcome(StrEnum):
    """What became of an upload."""

    REFUSED = "refused"
    IMPORTED = "imported"
    JOINED = "joined"


class Compared(StrEnum):
    """What the rows of an upload are new, mended or unchanged against."""

    NOTHING = "nothing"
    UPLOAD = "upload"
    BATCH = "batch"


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A results file as it came in and was judged, and the choice to leave its wrong rows out.

    `host` is named by the QR codes, which may be too small for the texts of a row.
    """

    file_name: str
    file_sha256: bytes
    judged: Judged
    host: str
    keep_good: bool = False


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload as its users see it."""

    upload_id: int
    batch_id: int | None
    uscc: str
    outcome: Outcome
    file_name: str
    file_form: str
    row_count: int
    good_count: int
    compared_with: Compared
    new_count: int
    mended_count: int
    unchanged_count: int
    gone_count: int
    uploaded_by: str
    uploaded_at: datetime.datetime


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file. What is wrong with rows that are left out is among the `errors`.

    `marks` are the identities by row of the file, where it has errors; `mended` are the rows of the
    batch that say something else now, and `caught_up` those that had been left out of it.
    """

    upload_id: int
    batch_id: int | None
    outcome: Outcome
    errors: tuple[Finding, ...]
    marks: dict[int, str]
    compared_with: Compared
    counts: Counts
    good_count: int
    wrong_count: int
    mended: tuple[Mended, ...]
    caught_up: int


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows are to go and what is known of them there; without `batch_id` a new batch."""

    city_code: str
    uscc: str
    batch_id: int | None = None
    standing: Sequence[Kept] = ()
    waiting: Mapping[bytes, int] = {}


class _Seen(msgspec.Struct, frozen=True):
    """The rows of a file by their numbers, beside those known before."""

    traces: dict[int, Trace]
    compared_with: Compared
    counts: Counts


class _Case(msgspec.Struct, frozen=True):
    """Everything that decides what becomes of a file, before anything is written."""

    actor: Actor
    vault: Vault
    incoming: Incoming
    target: _Target
    seen: _Seen


_institution_known = _sql.one("institution_known", bool)
_queue_up = _sql.run("queue_up")
_known_file = _sql.perhaps("known_file", int)
_earlier = _sql.many("earlier", bytes)
_add_batch = _sql.one("add_batch", int)
_add_upload = _sql.one("add_upload", int)
_recent = _sql.many("recent_uploads", Upload)

_ACTS = {
    Outcome.REFUSED: Act.UPLOAD_REFUSE,
    Outcome.IMPORTED: Act.BATCH_IMPORT,
    Outcome.JOINED: Act.BATCH_JOIN,
}


async def import_rows(
    connection: Connection,
    actor: Actor,
    vault: Vault,
    incoming: Incoming,
    *,
    city_code: str,
    uscc: str,
) -> Taken:
    """Keep a judged file as a draft batch, or record that it is refused.

    Persons who are certified already, results that stand in other undecided batches, and texts that
    the QR code cannot hold are added to the errors. With any error nothing is kept, unless it is
    chosen to keep the good rows.

    Raises:
        InstitutionUnknown: no institution is recorded under that code.
        FileImportedAlready: the same file is in a batch of this city already.
    """
    accounts.require(actor, Act.BATCH_IMPORT)
    if not await _institution_known(connection, uscc=uscc):
        raise InstitutionUnknown(uscc=uscc)
    target = _Target(city_code=city_code, uscc=uscc)
    await _queue_up(connection, city_code=city_code)
    await _require_new(connection, incoming, target)
    reader = Reader(vault, city_code, uscc, incoming.file_sha256)
    lines = _lines(reader, incoming.judged)
    seen = _beside(reader, lines, (), Compared.NOTHING)
    for marks in await _earlier(connection, city_code=city_code, uscc=uscc):
        known = identity.unpack(marks)
        beside = _beside(reader, lines, known, Compared.UPLOAD)
        shared = len(lines) - beside.counts.new
        if shared and shared * 2 >= min(len(lines), len(known)):
            seen = beside
            break
    return await _take(connection, _Case(actor, vault, incoming, target, seen))


async def join(
    connection: Connection, actor: Actor, vault: Vault, incoming: Incoming, *, batch_id: int
) -> Taken:
    """Let a judged file mend and complete an open batch, or record that it is refused.

    To its errors is added what `import_rows` adds, and which rows would double another row of the
    batch. Locks the batch.

    Raises:
        BatchUnknown: there is no such batch, or it is another city's.
        BatchTakesNoRows: it is submitted, archived or withdrawn.
        FileImportedAlready: the same file is in another batch.
    """
    accounts.require(actor, Act.BATCH_JOIN)
    await _queue_up(connection, city_code=actor.city_code)
    batch = await batches.lock(connection, batch_id)
    if batch.state not in batches.OPEN:
        raise BatchTakesNoRows(batch_id=batch_id, state=batch.state.value)
    waiting = await left_out.waiting(connection, batch_id)
    target = _Target(
        city_code=batch.city_code,
        uscc=batch.uscc,
        batch_id=batch_id,
        standing=await kept.of_batch(connection, vault, batch_id),
        waiting={one.row_key: one.row_number for one in waiting},
    )
    await _require_new(connection, incoming, target)
    reader = Reader(vault, target.city_code, target.uscc, incoming.file_sha256)
    known = [reader.line(one.row).trace(one.identity) for one in target.standing]
    known += identity.unpack(b"".join(one.trace for one in waiting))
    seen = _beside(reader, _lines(reader, incoming.judged), known, Compared.BATCH)
    return await _take(connection, _Case(actor, vault, incoming, target, seen))


async def recent(connection: Connection, batch_id: int | None = None) -> list[Upload]:
    """List what came in, the newest first: for one batch, or all that the actor may see."""
    return await _recent(connection, batch_id=batch_id)


def words(form: layouts.Form) -> str:
    """Say how a file is written."""
    delimiter = {",": "comma", ";": "semicolon", "\t": "tab"}.get(form.delimiter, "")
    return " ".join(filter(None, (form.kind, form.encoding, delimiter)))


async def _require_new(connection: Connection, incoming: Incoming, target: _Target) -> None:
    known = await _known_file(
        connection, city_code=target.city_code, file_sha256=incoming.file_sha256
    )
    if known not in (None, target.batch_id):
        raise FileImportedAlready(batch_id=known)


def _lines(reader: Reader, judged: Judged) -> list[Line]:
    """Read all rows of a file in their order, whether they hold or not."""
    rows: list[Row | Refused] = [*judged.rows, *judged.refused]
    rows.sort(key=lambda row: row.row_number)
    return [reader.line(row) for row in rows]


def _beside(
    reader: Reader, lines: Sequence[Line], known: Sequence[Trace], compared_with: Compared
) -> _Seen:
    traces = reader.identify(lines, known)
    numbered = {line.row_number: trace for line, trace in zip(lines, traces, strict=True)}
    return _Seen(numbered, compared_with, identity.compare(traces, known))


async def _take(connection: Connection, case: _Case) -> Taken:
    """Decide, record the upload, keep what may be kept, and write the journal at last."""
    coming, judged = await _that_may_enter(connection, case)
    target, batch_id = case.target, case.target.batch_id
    errors_max = cells.FINDINGS_MAX if case.incoming.keep_good else 0
    is_kept = bool(coming) and len(judged.errors) <= errors_max
    outcome = Outcome.REFUSED
    if is_kept and batch_id is None:
        outcome, batch_id = Outcome.IMPORTED, await _begin(connection, case)
    elif is_kept:
        outcome = Outcome.JOINED
    upload_id = await _record(connection, case, judged, outcome, batch_id)
    plan = joining.plan(coming if is_kept else (), target.standing, target.waiting)
    if is_kept and batch_id is not None:
        place = Place(batch_id, target.city_code, upload_id)
        await kept.mend(connection, case.vault, plan.mended, place)
        await kept.add(connection, case.vault, plan.added, place)
        await left_out.join(connection, [one.identity for one in coming], place)
        await left_out.keep(connection, judged.refused, case.seen.traces, place)
    taken = Taken(
        upload_id=upload_id,
        batch_id=batch_id,
        outcome=outcome,
        errors=judged.errors,
        marks={row: one.mark for row, one in case.seen.traces.items() if judged.errors},
        compared_with=case.seen.compared_with,
        counts=case.seen.counts,
        good_count=len(coming),
        wrong_count=len(judged.refused),
        mended=plan.changes,
        caught_up=plan.caught_up,
    )
    await _write(connection, case, taken)
    return taken


async def _that_may_enter(connection: Connection, case: _Case) -> tuple[list[Kept], Judged]:
    """Judge the good rows against what the registry holds already."""
    judged, target = case.incoming.judged, case.target
    coming = [
        Kept(
            case.seen.traces[row.row_number].identity,
            case.vault.person_key(row.id_kind, row.id_number),
            row,
        )
        for row in judged.rows
    ]
    passed = [
        (one.row.row_number, one.person_key, one.row.project) for one in coming if one.row.passed
    ]
    found = [
        *obstacles.too_long(judged.rows, case.incoming.host),
        *await obstacles.certified(connection, passed),
        *await obstacles.in_other_batches(
            connection, coming, city_code=target.city_code, batch_id=target.batch_id
        ),
    ]
    coming, judged = _without(coming, judged, found)
    return _without(coming, judged, joining.doubled(coming, target.standing))


def _without(
    coming: list[Kept], judged: Judged, found: Iterable[Finding]
) -> tuple[list[Kept], Judged]:
    """Move the rows of which something was found from the good ones to the refused."""
    wrong: dict[int, list[Finding]] = {}
    for finding in found:
        wrong.setdefault(finding.row or 0, []).append(finding)
    if not wrong:
        return coming, judged
    refused = [row.refused(wrong[row.row_number]) for row in judged.rows if row.row_number in wrong]
    left = msgspec.structs.replace(
        judged,
        rows=tuple(row for row in judged.rows if row.row_number not in wrong),
        refused=(*judged.refused, *refused),
        errors=(*judged.errors, *chain.from_iterable(wrong.values())),
    )
    return [one for one in coming if one.row.row_number not in wrong], left


async def _begin(connection: Connection, case: _Case) -> int:
    return await _add_batch(
        connection,
        city_code=case.target.city_code,
        uscc=case.target.uscc,
        file_name=case.incoming.file_name,
        file_sha256=case.incoming.file_sha256,
        imported_by=case.actor.account_name,
    )


async def _record(
    connection: Connection, case: _Case, judged: Judged, outcome: Outcome, batch_id: int | None
) -> int:
    seen = case.seen
    return await _add_upload(
        connection,
        city_code=case.target.city_code,
        uscc=case.target.uscc,
        batch_id=batch_id,
        outcome=outcome,
        file_name=case.incoming.file_name,
        file_sha256=case.incoming.file_sha256,
        file_form=words(judged.form) if judged.form else "",
        row_count=len(seen.traces),
        good_count=len(judged.rows),
        compared_with=seen.compared_with,
        new_count=seen.counts.new,
        mended_count=seen.counts.mended,
        unchanged_count=seen.counts.unchanged,
        gone_count=seen.counts.gone,
        marks=b"".join(trace.packed() for trace in seen.traces.values()),
        uploaded_by=case.actor.account_name,
    )


async def _write(connection: Connection, case: _Case, taken: Taken) -> None:
    is_kept = taken.outcome is not Outcome.REFUSED
    detail = {
        "upload": taken.upload_id,
        "file": case.incoming.file_name,
        "sha256": case.incoming.file_sha256.hex(),
        "uscc": case.target.uscc,
        "rows": taken.good_count,
        "wrong": taken.wrong_count,
        "mended": len(taken.mended),
    }
    await accounts.write(
        connection,
        case.actor,
        _ACTS[taken.outcome],
        str(taken.batch_id if is_kept else taken.upload_id),
        detail,
        city_code=case.target.city_code,
    )
