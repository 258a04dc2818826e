"""Keeping: which portrait each person of a batch has, while the batch is open.

The bytes are durable before the row is. A photo belongs to a person of a batch, so that a row which
is mended to another person has none, and a later upload takes the place of an earlier one. What a
certificate bears is read from here as the batch is approved, and never changes after.
"""

import itertools

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import BatchNotOpen, BatchUnknown, Finding, PhotosRefused
from service.ground.objects import Objects
from service.issuing.photos.taking import Candidate, Taken
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act
from service.registry.people import Unfit

_sql = statements.beside(__file__)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch has after an upload: `missing` are rows without a photo, passed ones first."""

    count: int
    replaced_count: int
    missing: tuple[Candidate, ...]
    alike: tuple[Finding, ...]


class _Batch(msgspec.Struct, frozen=True):
    city_code: str
    is_open: bool


class _Alike(msgspec.Struct, frozen=True):
    rows: list[int]


_STORED_AT_ONCE = 64

_lock_batch = _sql.perhaps("lock_batch", _Batch)
_candidates = _sql.many("candidates", Candidate)
_keep_photos = _sql.many("keep_photos", bool)
_alike = _sql.many("alike", _Alike)


async def candidates(connection: Connection, actor: Actor, batch_id: int) -> list[Candidate]:
    """Return the rows that a file may be of.

    Raises:
        BatchUnknown, BatchNotOpen: there is none in this city, or it takes no photos any more.
    """
    accounts.require(actor, Act.PHOTOS_KEEP)
    await _open_batch(connection, batch_id)
    return await _candidates(connection, batch_id=batch_id)


async def store(objects: Objects, taken: Taken, *, keep_good: bool) -> None:
    """Make portraits durable, of a file with errors only where the good ones are wanted alone.

    Raises:
        PhotosRefused: with every error of the file.
        StoreUnavailable: some may be stored, which harms nobody.
    """
    if taken.errors and not keep_good:
        raise PhotosRefused(taken.errors, count=len(taken.errors))
    blobs = taken.blobs()
    while some := list(itertools.islice(blobs, _STORED_AT_ONCE)):
        await objects.put_all(some)


async def keep(connection: Connection, actor: Actor, batch_id: int, taken: Taken) -> Kept:
    """Give a batch's persons the portraits that were stored, in the place of any they had.

    Raises: what `candidates` does.
    """
    batch = await _open_batch(connection, batch_id)
    replaced = await _keep_photos(
        connection,
        batch_id=batch_id,
        city_code=batch.city_code,
        account_name=actor.account_name,
        person_keys=[*taken.portraits],
        sha256s=[sha256 for sha256, _, _ in taken.portraits.values()],
    )
    held = await _candidates(connection, batch_id=batch_id)
    kept = Kept(
        count=len(replaced),
        replaced_count=sum(replaced),
        missing=tuple(
            sorted((one for one in held if not one.has_photo), key=lambda one: not one.passed)
        ),
        alike=tuple(await alike(connection, batch_id)),
    )
    detail = {
        "sha256": taken.archive_sha256.hex(),
        "photos": kept.count,
        "replaced": kept.replaced_count,
        "missing": len(kept.missing),
        "surplus": len(taken.surplus),
        "errors": len(taken.errors),
    }
    await accounts.write(
        connection, actor, Act.PHOTOS_KEEP, str(batch_id), detail, city_code=batch.city_code
    )
    return kept


async def alike(connection: Connection, batch_id: int) -> list[Finding]:
    """Name the rows of different persons that have the very same photo."""
    finding = Unfit("PhotosAlike").finding(column="照片")
    return [
        msgspec.structs.replace(finding, rows=tuple(one.rows))
        for one in await _alike(connection, batch_id=batch_id)
    ]


async def _open_batch(connection: Connection, batch_id: int) -> _Batch:
    batch = await _lock_batch(connection, batch_id=batch_id)
    if batch is None:
        raise BatchUnknown(batch_id=batch_id)
    if not batch.is_open:
        raise BatchNotOpen
    return batch
