"""Problems: how refusals look over HTTP (RFC 9457), in one table.

A refusal becomes problem+json with its stable code and both sentences; anything else is a 500 that
says nothing more, and one line of the log. No answer repeats what a stranger sent.
"""

import logging
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from service.ground import errors
from service.ground.errors import Refusal

_log = logging.getLogger(__name__)

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
"""What every answer carries, a problem too."""

STATUSES: dict[type[Refusal], HTTPStatus] = {
    errors.DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.JailLimitExceeded: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TryAgain: HTTPStatus.CONFLICT,
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem document; `title` is English, `title_zh` Chinese."""

    type: str
    title: str
    status: int
    title_zh: str = ""


def from_refusal(_: Request[Any, Any, Any], refusal: Refusal) -> Response[Problem]:
    """Answer a refusal."""
    status = STATUSES.get(type(refusal), HTTPStatus.BAD_REQUEST)
    return _respond(Problem(f"urn:qianfa:{refusal.code}", refusal.en, status, refusal.zh))


def from_http(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    """Answer what the framework refused: unknown paths, methods, malformed parameters."""
    status = HTTPStatus(error.status_code)
    return _respond(Problem("about:blank", status.phrase, status))


def from_fault(_: Request[Any, Any, Any], fault: Exception) -> Response[Problem]:
    """Answer a fault of ours without any detail; the log names its kind, never what was asked."""
    _log.error("web:request:fault %s", type(fault).__name__)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _respond(Problem("about:blank", status.phrase, status))


def _respond(problem: Problem) -> Response[Problem]:
    return Response(
        problem, status_code=problem.status, media_type="application/problem+json", headers=HEADERS
    )
