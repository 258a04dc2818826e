"""The API: the same verdicts as JSON, for employers and other platforms.

An answer is never kept by a cache, so that a revocation shows at once.
"""

from typing import Annotated

from litestar import Response, get
from litestar.datastructures import State
from litestar.params import PathParameter

from service.checking import verification
from service.checking.decision import Verdict
from service.web import problems, site
from service.web.site import Site

PublicId = Annotated[
    str,
    PathParameter(
        pattern=r"^[0-9a-hjkmnp-tv-z]{16}\Z",
        description="80 random bits, lower-case Crockford base32",
    ),
]


@get("/api/v1/certificates/{public_id:str}/verdict")
async def verdict(public_id: PublicId, state: State) -> Response[Verdict]:
    """Answer whether a certificate is genuine and in force now."""
    asked: Site = state.site
    async with asked.reading() as connection:
        answer = await verification.by_id(connection, public_id, site.now())
    return Response(answer, headers=problems.HEADERS)


HANDLERS = (verdict,)
