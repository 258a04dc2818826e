"""The site: what every page and every answer of the public face is made with.

It is opened once by wiring and given to the application as its state. A handler borrows a
connection only for as long as it asks the database.
"""

import asyncio
import datetime
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import msgspec
from litestar import MediaType, Request, Response
from litestar.datastructures import Cookie
from litestar.exceptions import ClientException

from service.checking.portal import SecondFactor
from service.ground import db
from service.ground.db import Connection, Pool, Readers
from service.ground.jail import Jail
from service.ground.objects import Objects
from service.issuing.batches import LEGAL_ZONE
from service.registry.vault import Lookup
from service.web import pages, problems
from service.web.identity import Provider
from service.web.limits import Limiter
from service.web.pages import Pages

Asking: TypeAlias = Request[Any, Any, Any]

_WAIT_SECONDS = 5


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The public process: connections that read, a pool that writes, the jail, the store."""

    readers: Readers
    portal_pool: Pool
    examiner: Jail
    objects: Objects
    pages: Pages
    limits: Limiter
    lookup: Lookup
    second_factor: SecondFactor
    provider: Provider | None

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection of the public, which only reads, as `Readers.lend` does."""
        return self.readers.lend()

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


@asynccontextmanager
async def floor(seconds: float) -> AsyncIterator[None]:
    """Let what is asked inside take no less than that, so that its time tells nothing."""
    asking = asyncio.get_running_loop()
    until = asking.time() + seconds
    try:
        yield
    finally:
        await asyncio.sleep(until - asking.time())


def page(
    request: Asking,
    asked: Site,
    name: str,
    status_code: int = 200,
    *,
    cookies: list[Cookie] | None = None,
    **facts: object,
) -> Response[Any]:
    """Show a page in the language that was asked for."""
    return Response(
        asked.pages.render(name, pages.language_of(request), **facts),
        headers=problems.HEADERS,
        media_type=MediaType.HTML,
        status_code=status_code,
        cookies=cookies or [],
    )


async def form(request: Asking) -> Mapping[str, Any]:
    """Read a form that a stranger sent; text where a file is expected is text.

    Raises: HTTPException with 400 or 413.
    """
    try:
        read = await request.form()
        for value in read.values():
            if isinstance(value, str):
                value.encode()  # some charsets can spell half a character
    except (ValueError, LookupError) as error:  # a charset or a boundary that cannot be meant
        raise ClientException from error
    return read


def text(form: Mapping[str, Any], field: str) -> str:
    """Return what was typed; the database takes no character 0."""
    value = form.get(field)
    return value.replace("\0", "").strip() if isinstance(value, str) else ""
