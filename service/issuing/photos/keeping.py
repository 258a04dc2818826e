"""Keeping: which portrait each person of a batch has, while the batch is open.

The bytes are durable before the row is. A photo belongs to a person of a batch, and a later upload
takes the place of an earlier one. Where a row's person or admission number is mended, nobody may
say any more whose the photo was, and the person has none. What a certificate bears is read from
here as the batch is approved, and never changes after.
"""

import itertools
from collections.abc import Callable

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import BatchNotOpen, BatchUnknown, PhotosOfNobody, PhotosRefused
from service.ground.objects import Objects
from service.issuing.photos.taking import Candidate, Taken
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch has after an upload: `missing` are rows without a photo, passed ones first."""

    count: int
    replaced_count: int
    missing: tuple[Candidate, ...]


class _Batch(msgspec.Struct, frozen=True):
    city_code: str
    is_open: bool


_STORED_AT_ONCE = 64

_lock_batch = _sql.perhaps("lock_batch", _Batch)
_candidates = _sql.many("candidates", Candidate)
_keep_photos = _sql.many("keep_photos", bool)


async def candidates(connection: Connection, actor: Actor, batch_id: int) -> list[Candidate]:
    """Return the rows that a file may be of.

    Raises:
        BatchUnknown, BatchNotOpen: there is none in this city, or it takes no photos any more.
    """
    accounts.require(actor, Act.PHOTOS_KEEP)
    await _open_batch(connection, batch_id)
    return await _candidates(connection, batch_id=batch_id)


async def store(
    objects: Objects, taken: Taken, *, keep_good: bool, done: Callable[[int], None]
) -> None:
    """Make portraits durable, of a file with errors only where the good ones are wanted alone.

    `done` is told how many are.

    Raises:
        PhotosRefused: with every error of the file.
        PhotosOfNobody: there is none to keep.
        StoreUnavailable: some may be stored, which harms nobody.
    """
    if taken.errors and not (keep_good and taken.portraits):
        raise PhotosRefused(taken.errors, count=len(taken.errors))
    if not taken.portraits:
        name = taken.surplus[0] if taken.surplus else "–"
        raise PhotosOfNobody(count=len(taken.surplus), name=name)
    blobs, stored_count = taken.blobs(), 0
    while some := list(itertools.islice(blobs, _STORED_AT_ONCE)):
        await objects.put_all(some)
        stored_count += len(some)
        done(stored_count)


async def keep(connection: Connection, actor: Actor, batch_id: int, taken: Taken) -> Kept:
    """Give a batch's persons the portraits that were stored, in the place of any they had.

    A row that was mended meanwhile gets none.

    Raises: what `candidates` does.
    """
    batch = await _open_batch(connection, batch_id)
    replaced = await _keep_photos(
        connection,
        batch_id=batch_id,
        city_code=batch.city_code,
        account_name=actor.account_name,
        person_keys=[one.whose.person_key for one in taken.portraits],
        admission_numbers=[one.whose.admission_number for one in taken.portraits],
        sha256s=[one.sha256 for one in taken.portraits],
    )
    held = await _candidates(connection, batch_id=batch_id)
    kept = Kept(
        count=len(replaced),
        replaced_count=sum(replaced),
        missing=tuple(
            sorted((one for one in held if not one.has_photo), key=lambda one: not one.passed)
        ),
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


async def _open_batch(connection: Connection, batch_id: int) -> _Batch:
    batch = await _lock_batch(connection, batch_id=batch_id)
    if batch is None:
        raise BatchUnknown(batch_id=batch_id)
    if not batch.is_open:
        raise BatchNotOpen
    return batch
