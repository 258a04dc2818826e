"""What is published for verification without us: the keys and the signed status lists.

The same bytes as `qianfa publish` writes, for any site's script to read. A cache may keep them and
asks whether they still hold, so that a revocation is out as soon as its list is signed.
"""

import hashlib
import re
from typing import Any, Final

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from service.issuing import publication
from service.web import problems
from service.web.site import Site

_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_HEADERS: Final = problems.HEADERS | {
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "public, no-cache",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@get("/.well-known/jwks.json")
async def jwks(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Give the published keys as a JWK Set."""
    site: Site = state.site
    async with site.reading() as connection:
        content = await publication.jwks(connection)
    return _answer(request, content, publication.JWKS)


@get("/.well-known/cose-keys")
async def cose_keys(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Give the published keys as a COSE_KeySet."""
    site: Site = state.site
    async with site.reading() as connection:
        content = await publication.cose_keys(connection)
    return _answer(request, content, publication.COSE_KEYS)


@get("/status/{number:str}")
async def status_list(
    request: Request[Any, Any, Any], number: FromPath[str], state: State
) -> Response[bytes]:
    """Give a status list as it was signed last."""
    site: Site = state.site
    if not _NUMBER.fullmatch(number):
        raise NotFoundException
    async with site.reading() as connection:
        content = await publication.status_list(connection, int(number))
    if content is None:
        raise NotFoundException
    return _answer(request, content, publication.STATUS_LIST)


def _answer(request: Request[Any, Any, Any], content: bytes, media_type: str) -> Response[bytes]:
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    headers = _HEADERS | {"ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(b"", headers=headers, status_code=304)
    return Response(content, headers=headers, media_type=media_type)


HANDLERS = (jwks, cose_keys, status_list)
