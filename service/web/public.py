"""The public face: what a scanned QR code opens, and the same verdict as JSON.

Both come from the one decision function. IDs are secrets: they reach no log, no referrer and no
third party. An answer is never kept by a cache, so that a revocation shows at once. An unknown ID
has a verdict like any other, so it is answered with 200 and not with 404.
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
from service.ground.errors import Refusal
from service.web import problems

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
    text = state.pages.get_template("verdict.html").render(
        verdict=answer,
        word=verification.WORDS["status"][answer.status.value],
        sentence=verification.WORDS["reason"][answer.reason],
    )
    return Response(text, headers=problems.HEADERS, media_type=MediaType.HTML)


@get("/api/v1/certificates/{public_id:str}/verdict")
async def verdict(public_id: PublicId, state: State) -> Response[Verdict]:
    """Answer whether a certificate is genuine and in force now."""
    return Response(await _by_id(state, public_id), headers=problems.HEADERS)


async def _by_id(state: State, public_id: str) -> Verdict:
    now = datetime.datetime.now(verification.LEGAL_ZONE)
    with db.refusing():
        async with state.pool.acquire() as connection:
            return await verification.by_id(connection, public_id, now)


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
        logging_config=None,  # its lines would hold paths, and a path holds an ID
        openapi_config=None,  # its pages would load scripts of third parties
    )
