"""Replies: pages, files and the ways back, in the language that was asked for."""

import logging
from typing import Any

from litestar import Response
from litestar.exceptions import NotFoundException
from litestar.response import Redirect

from service.checking import portal
from service.ground.errors import ObjectDamaged, ObjectMissing
from service.web import pages, problems
from service.web.pages import Language
from service.web.site import Asking, Site

_log = logging.getLogger(__name__)


def lead(
    request: Asking, path: str, query: str = "", *, place: str = "", cookies: Any = None
) -> Redirect:
    """Lead on to a page of ours, to a place on it."""
    address = path_of(request, path)
    if query:
        address += f"{'&' if '?' in address else '?'}{query}"
    if place:
        address += f"#{place}"
    return Redirect(address, status_code=303, headers=problems.HEADERS, cookies=cookies or [])


async def file(asked: Site, public_id: str) -> Response[bytes]:
    """Give a stored file by the name of its number; nothing between us and its reader keeps it.

    Raises: NotFoundException, ObjectMissing, ObjectDamaged.
    """
    async with asked.reading() as connection:
        filed = await portal.file_of(connection, public_id)
    if filed is None:
        raise NotFoundException
    try:
        content = await asked.objects.get(filed.pdf_sha256.hex())
    except (ObjectMissing, ObjectDamaged) as refusal:
        _log.error("candidates:file:lost %s", refusal.facts["sha256"])
        raise
    headers = problems.HEADERS | {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="{filed.number}.pdf"',
    }
    return Response(content, headers=headers, media_type="application/pdf")


def path_of(request: Asking, path: str) -> str:
    """Return a path of ours that keeps the language."""
    return f"{path}?lang=en" if pages.language_of(request) is Language.EN else path


def absolute(request: Asking, path: str) -> str:
    """Return the whole address of a path, as the browser knows this site."""
    return f"{request.scope['scheme']}://{request.headers.get('host', '')}{path}"
