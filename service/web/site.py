"""The site: what every page and every answer of the public face is made with.

It is opened once by wiring and given to the application as its state. A handler borrows a
connection only for as long as it asks the database.
"""

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from service.ground import db
from service.ground.db import Connection, Pool
from service.ground.jail import Jail
from service.ground.objects import Objects
from service.issuing.batches import LEGAL_ZONE
from service.web.limits import Limiter
from service.web.pages import Pages

_WAIT_SECONDS = 5


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The public process: a read-only pool, one for what the portal writes, the jail, the store."""

    pool: Pool
    portal_pool: Pool
    examiner: Jail
    objects: Objects
    pages: Pages
    limits: Limiter

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """Lend a connection of the public, which only reads.

        Raises: DatabaseUnavailable, and what `db.refusing` does.
        """
        with db.refusing():
            async with self.pool.acquire(timeout=_WAIT_SECONDS) as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """Lend a connection of the portal inside one transaction.

        Raises: DatabaseUnavailable, and what `db.refusing` does.
        """
        with db.refusing():
            async with (
                self.portal_pool.acquire(timeout=_WAIT_SECONDS) as connection,
                connection.transaction(),
            ):
                yield connection


def now() -> datetime.datetime:
    """Return the time of this request, in the legal zone."""
    return datetime.datetime.now(LEGAL_ZONE)
