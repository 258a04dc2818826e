"""The public pages: what a scanned QR code opens.

IDs are secrets: they reach no log, no referrer and no third party. An unknown ID has a verdict like
any other, so it is answered with 200 and not with 404. Whatever stands in the address, and whatever
befalls us, a person gets a page.
"""

import re
from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.params import FromPath

from service.checking import decision, verification
from service.checking.decision import Door, Presented
from service.ground.errors import DatabaseUnavailable
from service.web import limits, pages, problems, site
from service.web.limits import Rule
from service.web.site import Site

_PUBLIC_ID = re.compile("[0-9a-hjkmnp-tv-z]{16}")


@get("/v/{public_id:str}", media_type=MediaType.HTML)
async def scanned(
    request: Request[Any, Any, Any], public_id: FromPath[str], state: State
) -> Response[str]:
    """Show what the register says of a scanned certificate; the name is masked."""
    asked: Site = state.site
    await asked.limits.take(Rule.ID, limits.address_of(request))
    status_code, now = 200, site.now()
    known = _PUBLIC_ID.fullmatch(public_id.lower())
    verdict = decision.decide(Presented(door=Door.ID), now)
    try:
        if known:
            async with asked.reading() as connection:
                verdict = await verification.by_id(connection, known[0], now)
    except DatabaseUnavailable:
        status_code = 503
        verdict = decision.decide(Presented(door=Door.ID, register_silent=True), now)
    text = asked.pages.render("verdict.html", pages.language_of(request), verdict=verdict)
    return Response(
        text, headers=problems.HEADERS, media_type=MediaType.HTML, status_code=status_code
    )


HANDLERS = (scanned,)
