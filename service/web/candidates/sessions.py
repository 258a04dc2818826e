"""Sessions: proof of who one is, kept in a cookie, and forms that only its own pages can send."""

import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Final

from litestar.datastructures import Cookie
from litestar.exceptions import ClientException
from litestar.response import Redirect

from service.checking import portal
from service.checking.portal import Claim, Held, SecondFactor
from service.ground.db import Connection
from service.ground.errors import ForeignRequest
from service.web import limits, site
from service.web.candidates import replies
from service.web.limits import Rule
from service.web.site import Asking, Site

FORM_BYTES_MAX: Final = 16 << 10


class SessionOver(Exception):  # noqa: N818 - named as the fact, like a refusal
    """There is no session, or none any more."""


async def prove(request: Asking, asked: Site, claim: Claim, factor: SecondFactor) -> str | None:
    """Return the token of a new session where the person is proved; an older one ends."""
    async with asked.writing() as connection:
        person_keys = await portal.find(connection, asked.lookup, claim, factor)
        if not person_keys:
            return None
        await portal.end(connection, request.cookies.get(cookie_name(request, "me"), ""))
        token = secrets.token_urlsafe(32)
        await portal.begin(connection, token, person_keys, site.now())
    return token


async def token_of(request: Asking, asked: Site) -> str:
    """Return the session's token that a browser sent.

    Raises: SessionOver, where it sent none.
    """
    await asked.limits.take(Rule.SESSION, limits.address_of(request))
    token = request.cookies.get(cookie_name(request, "me"), "")
    if not token:
        raise SessionOver
    return token


async def held(connection: Connection, token: str) -> list[Held]:
    """List the certificates of a session, which then lasts on.

    Raises: SessionOver.
    """
    found = await portal.held(connection, token, site.now())
    if not found:
        raise SessionOver
    return found


async def own_form(request: Asking) -> tuple[str, Mapping[str, Any]]:
    """Return the session's token and a form that a page of this session sent.

    Raises:
        ForeignRequest: the session's own token is not in it.
        SessionOver: there is none.
    """
    token = await token_of(request, request.app.state.site)
    form = await site.form(request)
    sent = site.text(form, "form_token").encode("utf-8", "replace")
    if not hmac.compare_digest(sent, form_token(token).encode()):
        raise ForeignRequest
    return token, form


def form_token(token: str) -> str:
    """Return what stands in every form of a session and nobody else can know."""
    return hmac.digest(token.encode(), b"form", "sha256").hex()


def cookie_of(request: Asking, token: str) -> Cookie:
    """Keep a session's token until the browser is closed; an empty one is forgotten at once."""
    return cookie(request, "me", token, None if token else 0, same_site="strict")


def cookie(
    request: Asking, name: str, value: str, seconds: int | None, *, same_site: Any
) -> Cookie:
    """Keep something from every script, and from plain HTTP where there is TLS."""
    return Cookie(
        cookie_name(request, name),
        value=value,
        max_age=seconds,
        httponly=True,
        secure=request.scope["scheme"] == "https",
        samesite=same_site,
    )


def cookie_name(request: Asking, name: str) -> str:
    """Behind TLS no other host and no plain page can set a cookie of this name."""
    return f"__Host-{name}" if request.scope["scheme"] == "https" else name


def number(form: Mapping[str, Any], field: str) -> int:
    """Return a number that one of our forms sent.

    Raises: ClientException.
    """
    typed = site.text(form, field)
    if not (typed.isascii() and typed.isdecimal() and len(typed) <= 18):
        raise ClientException
    return int(typed)


def _lead_back(request: Asking, _: SessionOver) -> Redirect:
    return replies.lead(request, "/me", "over=1")


AGAIN: Final[Any] = {SessionOver: _lead_back}
"""Leads whoever has no session back to where one begins."""
