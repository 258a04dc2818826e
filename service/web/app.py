"""The application: every handler of the public face behind one set of guards."""

from typing import Any

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from service.ground.errors import Refusal
from service.web import api, problems, public
from service.web.site import Site


def application(site: Site) -> Litestar:
    """Build the application of the public face over a site."""
    handlers: Any = {
        Refusal: problems.from_refusal,
        HTTPException: problems.from_http,
        Exception: problems.from_fault,
    }
    return Litestar(
        [*public.HANDLERS, *api.HANDLERS],
        state=State({"site": site}),
        exception_handlers=handlers,
        logging_config=None,  # its lines would hold paths, and a path holds an ID
        openapi_config=None,  # its pages would load scripts of third parties
    )
