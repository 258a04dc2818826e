"""The public face: what a scanned QR code opens, and the same verdict as JSON.

Both come from the one decision function. IDs are secrets: they reach no log, no referrer and no
third party. An answer is never kept by a cache, so that a revocation shows at once.
"""

import datetime
from pathlib import Path
from typing import Annotated, Any

from jinja2 import Environment, FileSystemLoader
from litestar import Litestar, MediaType, Response, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.params import Parameter

from service.checking import verification
from service.checking.verification import Verdict
from service.ground import db
from service.ground.db import Pool
from service.ground.errors import DatabaseUnavailable, Refusal
from service.web import problems

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}

PublicId = Annotated[
    str,
    Parameter(
        pattern="^[0-9a-hjkmnp-tv-z]{16}$",
        description="80 random bits, lower-case Crockford base32",
    ),
]


@get("/v/{public_id:str}", media_type=MediaType.HTML)
async def page(public_id: PublicId, state: State) -> Response[str]:
    """Show what the register says of a scanned certificate; the name is masked."""
    answer = await _by_id(state, public_id)
    sentence = verification.SENTENCES[answer.reason]
    text = state.pages.get_template("verdict.html").render(verdict=answer, sentence=sentence)
    return Response(text, headers=_HEADERS, media_type=MediaType.HTML)


@get("/api/v1/certificates/{public_id:str}/verdict")
async def verdict(public_id: PublicId, state: State) -> Response[Verdict]:
    """Answer whether a certificate is genuine and in force now."""
    return Response(await _by_id(state, public_id), headers=_HEADERS)


async def _by_id(state: State, public_id: str) -> Verdict:
    now = datetime.datetime.now(verification.LEGAL_ZONE)
    try:
        async with state.pool.acquire() as connection:
            return await verification.by_id(connection, public_id, now)
    except db.Lost as error:
        raise DatabaseUnavailable(reason=type(error).__name__) from error


def application(pool: Pool, pages: Path) -> Litestar:
    """Build the application on a pool of public connections and the folder of pages."""
    handlers: Any = {
        Refusal: problems.from_refusal,
        HTTPException: problems.from_http,
        Exception: problems.from_fault,
    }
    return Litestar(
        [page, verdict],
        state=State(
            {"pool": pool, "pages": Environment(loader=FileSystemLoader(pages), autoescape=True)}
        ),
        exception_handlers=handlers,
    )
