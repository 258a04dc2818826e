"""The public face: what a scanned QR code opens, and the same verdict as JSON.

Both come from the one decision function. IDs are secrets: they reach no log, no referrer and no
third party. An answer is never kept by a cache, so that a revocation shows at once. An unknown ID
has a verdict like any other, so it is answered with 200 and not with 404.
"""

import datetime
import re
from pathlib import Path
from typing import Annotated, Any

from jinja2 import Environment, FileSystemLoader
from litestar import Litestar, MediaType, Response, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.params import FromPath, PathParameter

from service.checking import verification
from service.checking.verification import Presented, Verdict
from service.ground import db
from service.ground.db import Pool
from service.ground.errors import DatabaseUnavailable, Refusal
from service.issuing.batches import LEGAL_ZONE
from service.web import problems

_WAIT_SECONDS = 5
_PUBLIC_ID = re.compile("[0-9a-hjkmnp-tv-z]{16}")

PublicId = Annotated[
    str,
    PathParameter(
        pattern=rf"^{_PUBLIC_ID.pattern}\Z",
        description="80 random bits, lower-case Crockford base32",
    ),
]


@get("/v/{public_id:str}", media_type=MediaType.HTML)
async def page(public_id: FromPath[str], state: State) -> Response[str]:
    """Show what the register says of a scanned certificate; the name is masked.

    Whatever stands in the address, and whatever befalls us, a person gets a page.
    """
    status_code = 200
    try:
        known = _PUBLIC_ID.fullmatch(public_id.lower())
        answer = (
            await _by_id(state, known[0]) if known else verification.decide(Presented(), _now())
        )
    except DatabaseUnavailable:
        status_code = 503
        answer = verification.decide(Presented(register_silent=True), _now())
    text = state.pages.get_template("verdict.html").render(
        verdict=answer,
        word=verification.WORDS["status"][answer.status.value],
        sentence=verification.WORDS["reason"][answer.reason],
    )
    return Response(
        text, headers=problems.HEADERS, media_type=MediaType.HTML, status_code=status_code
    )


@get("/api/v1/certificates/{public_id:str}/verdict")
async def verdict(public_id: PublicId, state: State) -> Response[Verdict]:
    """Answer whether a certificate is genuine and in force now."""
    return Response(await _by_id(state, public_id), headers=problems.HEADERS)


async def _by_id(state: State, public_id: str) -> Verdict:
    with db.refusing():
        async with state.pool.acquire(timeout=_WAIT_SECONDS) as connection:
            return await verification.by_id(connection, public_id, _now())


def _now() -> datetime.datetime:
    return datetime.datetime.now(LEGAL_ZONE)


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
