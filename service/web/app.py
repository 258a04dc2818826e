"""The application: every handler of the public face behind one set of guards."""

from typing import Any, Final

from litestar import Litestar
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp

from service.ground.errors import Refusal
from service.web import api, candidates, guards, problems, public, published
from service.web.site import Site

_BODY_BYTES_MAX: Final = 32 << 10  # where a handler does not say otherwise


def application(site: Site) -> ASGIApp:
    """Build the application of the public face over a site."""
    handlers: Any = {
        Refusal: problems.from_refusal,
        HTTPException: problems.from_http,
        Exception: problems.from_fault,
    }
    return guards.Guarded(
        Litestar(
            [*public.HANDLERS, *api.HANDLERS, *candidates.HANDLERS, *published.HANDLERS],
            state=State({"site": site}),
            exception_handlers=handlers,
            middleware=[DefineMiddleware(guards.Admission, room=guards.Room())],
            request_max_body_size=_BODY_BYTES_MAX,
            include_in_schema=False,
            logging_config=None,  # its lines would hold paths, and a path holds an ID
            openapi_config=OpenAPIConfig(
                title="签发 Qianfa: verification",
                version="1",
                description="证书查验接口 / Verdicts on vocational capability certificates",
                path="/api/v1/openapi.json",  # the framework answers everything below it
                use_handler_docstrings=True,
                render_plugins=[JsonRenderPlugin(path="/")],
            ),
        )
    )
