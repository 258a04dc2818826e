"""Problems: how refusals look over HTTP (RFC 9457), in one table.

A refusal becomes problem+json with its stable code and both sentences, or a page for whoever asks
for one; anything else is a 500 that says nothing more, and one line of the log. No problem repeats
a value that a stranger sent.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from service.ground import errors, observability
from service.ground.errors import Refusal
from service.web import pages

MEDIA_TYPE: Final = "application/problem+json"
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data: blob:; connect-src 'self'; media-src 'self' blob:; worker-src 'self';"
    " manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
"""What every answer carries, a problem too."""

STATUSES: dict[type[Refusal], HTTPStatus] = {
    errors.DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.IdentityUnproven: HTTPStatus.FORBIDDEN,
    errors.ForeignRequest: HTTPStatus.FORBIDDEN,
    errors.JailBusy: HTTPStatus.TOO_MANY_REQUESTS,
    errors.JailLimitExceeded: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.JailUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.LinkExpired: HTTPStatus.GONE,
    errors.LinkForged: HTTPStatus.FORBIDDEN,
    errors.ObjectDamaged: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ObjectMissing: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ReportsMany: HTTPStatus.CONFLICT,
    errors.ShareLinksMany: HTTPStatus.CONFLICT,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TryAgain: HTTPStatus.CONFLICT,
}


class Problem(msgspec.Struct, frozen=True):
    """A problem document; `title` is English, `title_zh` Chinese."""

    type: str
    title: str
    status: int
    title_zh: str


_TITLES_ZH: Final = {
    HTTPStatus.BAD_REQUEST: "没有看懂这次请求",
    HTTPStatus.NOT_FOUND: "没有这个页面",
    HTTPStatus.METHOD_NOT_ALLOWED: "这个地址不接受这种方法",
    HTTPStatus.REQUEST_TIMEOUT: "等待请求超时",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "发来的内容太大",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "不接受这种类型的内容",
    HTTPStatus.INTERNAL_SERVER_ERROR: "服务出错，请稍后再试",
}


def of_status(status: HTTPStatus) -> Problem:
    """Describe what only HTTP has a word for."""
    return Problem("about:blank", status.phrase, status, _TITLES_ZH.get(status, "请求没有成功"))


FAULT: Final = of_status(HTTPStatus.INTERNAL_SERVER_ERROR)
UNREADABLE: Final = of_status(HTTPStatus.BAD_REQUEST)
TOO_SLOW: Final = of_status(HTTPStatus.REQUEST_TIMEOUT)


def from_refusal(request: Request[Any, Any, Any], refusal: Refusal) -> Response[Any]:
    """Answer a refusal."""
    problem = of_refusal(refusal)
    headers = {}
    if "seconds" in refusal.facts:
        headers["Retry-After"] = str(refusal.facts["seconds"])
    return _respond(request, problem, headers)


def of_refusal(refusal: Refusal) -> Problem:
    """Describe a refusal."""
    status = STATUSES.get(type(refusal), HTTPStatus.BAD_REQUEST)
    return Problem(f"urn:qianfa:{refusal.code}", refusal.en, status, refusal.zh)


def from_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer what the framework refused: unknown paths, methods, malformed parameters."""
    return _respond(request, of_status(HTTPStatus(error.status_code)), error.headers)


def from_fault(request: Request[Any, Any, Any], fault: Exception) -> Response[Any]:
    """Answer a fault of ours without any detail; the log names its kind, never what was asked."""
    observability.fault("web:request:fault", fault)
    return _respond(request, FAULT)


def _respond(
    request: Request[Any, Any, Any], problem: Problem, headers: Mapping[str, str] | None = None
) -> Response[Any]:
    content: Problem | str = problem
    media_type: str = MEDIA_TYPE
    if _reads_pages(request):
        shown = request.app.state.site.pages
        content = shown.render("problem.html", pages.language_of(request), problem=problem)
        media_type = MediaType.HTML
    return Response(
        content,
        status_code=problem.status,
        media_type=media_type,
        headers=HEADERS | dict(headers or {}),
    )


def _reads_pages(request: Request[Any, Any, Any]) -> bool:
    """Tell a person's browser from a program; whoever asks the API is one."""
    accepted = request.headers.get("accept", "")
    return "text/html" in accepted and not request.url.path.startswith("/api/")
