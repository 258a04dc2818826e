"""Publication: the signed status lists and the published keys, for whoever asks without a door.

The database counts every change of a standing against the list that must show it, whether a worker
runs or not; the worker signs what is wanted at once, and every list again long before it expires.
What is published is bytes that any file server can hand out: nothing in them names a person.
"""

import datetime
import hashlib

import msgspec

from service.ground import db, statements
from service.ground.db import Connection, Role
from service.issuing import public_keys
from service.registry import accounts, journal
from service.registry.journal import Act
from signing import CoseKey, key_set, status
from signing.errors import KeyExpired
from signing.status import Standing

_sql = statements.beside(__file__)


class Due(msgspec.Struct, frozen=True):
    """A list that this worker alone signs now, and what it showed before."""

    list_number: int
    wanted: int
    places_sha256: bytes | None
    issued_at: datetime.datetime


class _Published(msgspec.Struct, frozen=True):
    list_number: int
    token: bytes


class _Standing(msgspec.Struct, frozen=True):
    status_index: int
    standing: str


JWKS, COSE_KEYS = key_set.JWKS_MEDIA_TYPE, key_set.COSE_MEDIA_TYPE
STATUS_LIST = status.MEDIA_TYPE
REFRESH_SHARE = 0.4  # of its lifetime: before half of it is over, however seldom a worker looks

_next = _sql.perhaps("next", Due)
_out_of_force = _sql.many("out_of_force", _Standing)
_keep = _sql.run("keep")
_behind = _sql.one("behind", bool)
_status_list = _sql.perhaps("status_list", bytes)
_status_lists = _sql.many("status_lists", _Published)


async def sign_next(
    connection: Connection, key: CoseKey, *, host: str, lifetime: datetime.timedelta, worker: str
) -> bool:
    """Sign one list that lacks a change or grows old; tells whether there was one.

    The row stays locked meanwhile, so a change that is made now waits for it and is wanted again.

    Raises: KeyExpired, because nobody would believe the list.
    """
    async with db.acting(connection, Role.WORKER):
        due = await _next(connection, refresh_seconds=lifetime.total_seconds() * REFRESH_SHARE)
        if due is None:
            return False
        if due.issued_at > key.valid_until_at:
            raise KeyExpired(path="status/status.crt", at=key.valid_until_at)
        found = await _out_of_force(connection, list_number=due.list_number)
        standings = {
            row.status_index % status.PLACE_COUNT: Standing[row.standing.upper()] for row in found
        }
        places = status.pack(standings)
        places_sha256 = hashlib.sha256(places).digest()
        token = status.sign(
            places,
            key.private_key,
            key.kid,
            host=host,
            number=due.list_number,
            issued_at=due.issued_at,
            lifetime=lifetime,
        )
        await _keep(
            connection,
            list_number=due.list_number,
            signed=due.wanted,
            kid=key.kid,
            issued_at=due.issued_at,
            expires_at=due.issued_at + lifetime,
            places_sha256=places_sha256,
            token=token,
        )
        if places_sha256 != due.places_sha256:
            await journal.write(
                connection,
                city_code=accounts.PROVINCE,
                actor=worker,
                act=Act.STATUS_LIST_SIGN,
                subject=f"status/{due.list_number}",
                detail={
                    "out_of_force": len(standings),
                    "sha256": hashlib.sha256(token).hexdigest(),
                },
            )
    return True


async def jwks(connection: Connection) -> bytes:
    """Return the published keys as a JWK Set."""
    return key_set.to_jwks(await public_keys.cose_keys(connection))


async def cose_keys(connection: Connection) -> bytes:
    """Return the published keys as a COSE_KeySet."""
    return key_set.to_cose(await public_keys.cose_keys(connection))


async def behind(connection: Connection) -> bool:
    """Tell whether a status list lacks a change that the register holds."""
    return await _behind(connection)


async def status_list(connection: Connection, number: int) -> bytes | None:
    """Return a list as it was signed last, if it ever was."""
    return await _status_list(connection, list_number=number)


async def documents(connection: Connection) -> dict[str, bytes]:
    """Return every published document by its path below the host, keys before what they sign."""
    lists = {f"status/{one.list_number}": one.token for one in await _status_lists(connection)}
    return {
        ".well-known/jwks.json": await jwks(connection),
        ".well-known/cose-keys": await cose_keys(connection),
    } | lists
