"""My certificates: the pages of those who hold certificates, and of whoever they show one to.

Who one is, is proved by a form or by single sign-on and lasts as long as a session in a cookie that
no script, no other site and no log sees. Every change is a form of this site with the session's own
token in it. Nothing personal stands in an address; a wrong name, document or second factor are one
and the same answer, in the same time. Works without script.
"""

import secrets
import unicodedata
from typing import Any, Final

from litestar import MediaType, Response, get, post
from litestar.datastructures import Cookie, State
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from service.checking import portal, verification
from service.checking.decision import Door, Status
from service.checking.portal import Claim, Field, SecondFactor
from service.ground.errors import IdentityUnproven
from service.issuing.batches import LEGAL_ZONE
from service.registry import people
from service.registry.vault import PHONE_DIGITS
from service.web import identity, limits, problems, site
from service.web.candidates import replies, sessions
from service.web.limits import Rule
from service.web.site import Asking, Site

FIND_SECONDS_MIN: Final = 0.3
_BACK: Final = "/me/identity/back"


# Finding one's certificates.


def _try_again(request: Asking, _: IdentityUnproven) -> Response[Any]:
    """Show both ways again to whom the provider did not prove."""
    return _entrance(request, request.app.state.site, 403, said="unproven-there")


_UNPROVEN: Final[Any] = {IdentityUnproven: _try_again}


@get("/me", media_type=MediaType.HTML)
async def entrance(request: Asking, state: State) -> Response[str]:
    """Show the form by which holders prove who they are."""
    known = sessions.cookie_name(request, "me") in request.cookies
    said = "over" if "over" in request.query_params else "known" if known else ""
    return _entrance(request, state.site, said=said)


@post("/me", request_max_body_size=sessions.FORM_BYTES_MAX, media_type=MediaType.HTML)
async def find(request: Asking, state: State) -> Response[Any]:
    """Begin a session for whoever names a person, a document and the second factor."""
    asked: Site = state.site
    async with site.floor(FIND_SECONDS_MIN):
        form = await site.form(request)
        claim = Claim(*(site.text(form, field) for field in Claim.__struct_fields__))
        slips = _claim_slips(claim, asked.second_factor)
        if slips:
            return _entrance(request, asked, 400, slips=slips, name=claim.name)
        await asked.limits.take(Rule.FIND, limits.address_of(request))
        document = people.tidy(claim.id_number).encode("utf-8", "replace")
        person = asked.lookup.keyed("limit", document).hex()
        await asked.limits.take(Rule.FIND_PERSON, person)
        if len(people.tidy(claim.second)) <= PHONE_DIGITS:
            await asked.limits.take(Rule.FIND_PHONE, person)
        token = await sessions.prove(request, asked, claim, asked.second_factor)
        if token is None:
            return _entrance(request, asked, said="unproven", name=claim.name)
        cookie = sessions.cookie_of(request, token)
        return replies.lead(request, "/me/certificates", cookies=[cookie])


@get("/me/identity", exception_handlers=_UNPROVEN)
async def sign_on(request: Asking, state: State) -> Redirect:
    """Send a holder to the identity provider, if there is one."""
    asked: Site = state.site
    if asked.provider is None:
        raise NotFoundException
    await asked.limits.take(Rule.SESSION, limits.address_of(request))
    until = int(site.now().timestamp()) + identity.TICKET_SECONDS
    ticket = f"{until}.{secrets.token_urlsafe(32)}"
    address = await asked.provider.address(ticket, replies.absolute(request, _BACK))
    cookie = sessions.cookie(request, "sign-on", ticket, identity.TICKET_SECONDS, same_site="lax")
    return Redirect(address, status_code=303, headers=problems.HEADERS, cookies=[cookie])


@get(_BACK, media_type=MediaType.HTML, exception_handlers=_UNPROVEN)
async def signed_on(request: Asking, state: State) -> Response[Any]:
    """Begin a session for whom the provider names; the second factor is the provider's.

    The page leads on by itself: a redirect would still be the provider's request, and the browser
    would keep the new cookie back.
    """
    asked: Site = state.site
    if asked.provider is None:
        raise NotFoundException
    await asked.limits.take(Rule.SESSION, limits.address_of(request))
    person = await asked.provider.prove(
        request.cookies.get(sessions.cookie_name(request, "sign-on"), ""),
        replies.absolute(request, _BACK),
        state=request.query_params.get("state", ""),
        code=request.query_params.get("code", ""),
        now=site.now(),
    )
    used = sessions.cookie(request, "sign-on", "", 0, same_site="lax")
    claim = Claim(person.name, person.id_number)
    token = await sessions.prove(request, asked, claim, SecondFactor.NONE)
    if token is None:
        return _entrance(request, asked, said="unknown", cookies=[used])
    answer = site.page(
        request, asked, "me_proved.html", cookies=[used, sessions.cookie_of(request, token)]
    )
    answer.headers["Refresh"] = f"0; url={replies.path_of(request, '/me/certificates')}"
    return answer


@post("/me/end", request_max_body_size=sessions.FORM_BYTES_MAX, exception_handlers=sessions.AGAIN)
async def end(request: Asking, state: State) -> Redirect:
    """End the session."""
    asked: Site = state.site
    token, _ = await sessions.own_form(request)
    async with asked.writing() as connection:
        await portal.end(connection, token)
    return replies.lead(request, "/me", cookies=[sessions.cookie_of(request, "")])


# What a holder sees and does.


@get("/me/certificates", media_type=MediaType.HTML, exception_handlers=sessions.AGAIN)
async def certificates(request: Asking, state: State) -> Response[Any]:
    """List the holder's certificates."""
    asked: Site = state.site
    token = await sessions.token_of(request, asked)
    async with asked.writing() as connection:
        held = await sessions.held(connection, token)
    return site.page(
        request, asked, "me_certificates.html", held=held, form_token=sessions.form_token(token)
    )


@get(
    "/me/certificates/{public_id:str}", media_type=MediaType.HTML, exception_handlers=sessions.AGAIN
)
async def certificate(request: Asking, public_id: FromPath[str], state: State) -> Response[Any]:
    """Show one certificate with its download, its share links and its reported mistakes."""
    asked: Site = state.site
    return await _certificate(request, asked, await sessions.token_of(request, asked), public_id)


@post(
    "/me/certificates/{public_id:str}/share",
    request_max_body_size=sessions.FORM_BYTES_MAX,
    exception_handlers=sessions.AGAIN,
)
async def share(request: Asking, public_id: FromPath[str], state: State) -> Redirect:
    """Make a link by which others may look at a certificate."""
    asked: Site = state.site
    token, form = await sessions.own_form(request)
    days = sessions.number(form, "days")
    if days not in portal.SHARE_DAYS:
        raise ClientException
    async with asked.writing() as connection:
        await sessions.held(connection, token)
        made = await portal.share(
            connection,
            asked.lookup,
            token,
            public_id,
            seed=secrets.token_bytes(16),
            days=days,
            now=site.now(),
        )
    return _changed(request, public_id, made, "shares")


@post(
    "/me/certificates/{public_id:str}/unshare",
    request_max_body_size=sessions.FORM_BYTES_MAX,
    exception_handlers=sessions.AGAIN,
)
async def unshare(request: Asking, public_id: FromPath[str], state: State) -> Redirect:
    """Take a share link back."""
    asked: Site = state.site
    token, form = await sessions.own_form(request)
    share_id = sessions.number(form, "share_id")
    async with asked.writing() as connection:
        await sessions.held(connection, token)
        done = await portal.unshare(connection, token, public_id, share_id, site.now())
    return _changed(request, public_id, done, "shares")


@post(
    "/me/certificates/{public_id:str}/report",
    request_max_body_size=sessions.FORM_BYTES_MAX,
    exception_handlers=sessions.AGAIN,
    media_type=MediaType.HTML,
)
async def report(request: Asking, public_id: FromPath[str], state: State) -> Response[Any]:
    """Take down what is wrong on a certificate, for the city that issued it."""
    asked: Site = state.site
    token, form = await sessions.own_form(request)
    proposal = " ".join(site.text(form, "proposal").translate(people.ZERO_WIDTH).split())
    field = site.text(form, "field")
    slips = _report_slips(field, proposal)
    if slips:
        proposal = "" if "document" in slips.values() else proposal
        return await _certificate(
            request, asked, token, public_id, 400, slips=slips, field=field, proposal=proposal
        )
    async with asked.writing() as connection:
        await sessions.held(connection, token)
        made = await portal.report(
            connection, token, public_id, field=Field(field), proposal=proposal, now=site.now()
        )
    return _changed(request, public_id, made, "reports")


@get([f"/me/certificates/{{public_id:str}}/{change}" for change in ("share", "unshare", "report")])
async def changed_again(request: Asking, public_id: FromPath[str]) -> Redirect:
    """Lead whoever reloads an answer, or asks for it in the other language, back to its page."""
    return replies.lead(request, f"/me/certificates/{public_id}")


@get("/me/files/{public_id:str}/{ticket:str}")
async def download(
    request: Asking, public_id: FromPath[str], ticket: FromPath[str], state: State
) -> Response[bytes]:
    """Give the stored file to whoever holds a link that we signed and that is not over."""
    asked: Site = state.site
    await asked.limits.take(Rule.SESSION, limits.address_of(request))
    portal.check_ticket(asked.lookup, public_id, ticket, site.now())
    return await replies.file(asked, public_id)


# What a holder shows to others.


@get("/s/{share_token:str}", media_type=MediaType.HTML)
async def shared(request: Asking, share_token: FromPath[str], state: State) -> Response[Any]:
    """Show the verdict on a shared certificate, with its holder's full name."""
    asked: Site = state.site
    public_id = await _open(request, asked, share_token, counted=True)
    if public_id is None:
        return site.page(request, asked, "shared_gone.html", 404)
    async with asked.reading() as connection:
        verdict = await verification.by_id(connection, public_id, site.now(), door=Door.SHARE)
        filed = await portal.file_of(connection, public_id)
    given = verdict.status is Status.VALID and filed is not None
    file_path = replies.path_of(request, f"/s/{share_token}/file") if given else ""
    return site.page(request, asked, "shared.html", verdict=verdict, file_path=file_path)


@get("/s/{share_token:str}/file")
async def shared_file(request: Asking, share_token: FromPath[str], state: State) -> Response[Any]:
    """Give the stored file of a shared certificate, as long as it is valid."""
    asked: Site = state.site
    public_id = await _open(request, asked, share_token, counted=False)
    if public_id is None:
        return site.page(request, asked, "shared_gone.html", 404)
    async with asked.reading() as connection:
        verdict = await verification.by_id(connection, public_id, site.now(), door=Door.SHARE)
    if verdict.status is not Status.VALID:
        return replies.lead(request, f"/s/{share_token}")
    return await replies.file(asked, public_id)


async def _open(request: Asking, asked: Site, share_token: str, *, counted: bool) -> str | None:
    await asked.limits.take(Rule.SHARE, limits.address_of(request))
    async with asked.writing() as connection:
        return await portal.open_share(connection, share_token, site.now(), counted=counted)


# Answers.


async def _certificate(
    request: Asking, asked: Site, token: str, public_id: str, status_code: int = 200, **facts: Any
) -> Response[Any]:
    """Show one certificate; one that is not the holder's does not exist."""
    now = site.now()
    async with asked.writing() as connection:
        held = await sessions.held(connection, token)
        shown = next((one for one in held if one.public_id == public_id), None)
        if shown is None:
            raise NotFoundException
        links = await portal.shares(connection, token, public_id, now)
        reported = await portal.reports(connection, token, public_id, now)
    ticket = portal.sign_ticket(asked.lookup, public_id, now)
    shares = [
        (one, replies.absolute(request, f"/s/{portal.share_token(asked.lookup, one.seed)}"))
        for one in links
    ]
    typed = {"slips": {}, "field": "", "proposal": ""} | facts
    return site.page(
        request,
        asked,
        "me_certificate.html",
        status_code,
        held=shown,
        newest=max(one.version for one in held if one.number == shown.number),
        file_path=replies.path_of(request, f"/me/files/{public_id}/{ticket}")
        if shown.has_file
        else "",
        shares=shares,
        share_days=portal.SHARE_DAYS,
        reports=reported,
        form_token=sessions.form_token(token),
        zone=LEGAL_ZONE,
        **typed,
    )


def _entrance(
    request: Asking,
    asked: Site,
    status_code: int = 200,
    *,
    said: str = "",
    name: str = "",
    slips: set[str] | None = None,
    cookies: list[Cookie] | None = None,
) -> Response[Any]:
    return site.page(
        request,
        asked,
        "me.html",
        status_code,
        cookies=cookies,
        said=said,
        typed_name=name,
        slips=slips or set(),
        factor=asked.second_factor.value,
        signs_on=asked.provider is not None,
    )


def _changed(request: Asking, public_id: str, done: bool, place: str) -> Redirect:
    """Lead back to a certificate that was changed; what was not one's own does not exist."""
    if not done:
        raise NotFoundException
    return replies.lead(request, f"/me/certificates/{public_id}", place=place)


def _claim_slips(claim: Claim, factor: SecondFactor) -> set[str]:
    """Name what of a claim must be mended, by its form alone."""
    fits = {
        "name": bool(claim.name),
        "id_number": portal.is_document(claim.id_number),
        "second": bool(claim.second) or factor is SecondFactor.NONE,
    }
    return {field for field, is_fit in fits.items() if not is_fit}


def _report_slips(field: str, proposal: str) -> dict[str, str]:
    """Name what of a report must be mended, and why."""
    if field not in set(Field):
        return {"field": "missing"}
    if not proposal or {"Cc", "Cf", "Cs"} & set(map(unicodedata.category, proposal)):
        return {"proposal": "missing"}
    if len(proposal) > portal.PROPOSAL_LENGTH_MAX:
        return {"proposal": "long"}
    if portal.tells_document(proposal, Field(field)):
        return {"proposal": "document"}
    return {}


HANDLERS = (
    entrance, find, sign_on, signed_on, end, certificates, certificate, share, unshare, report,
    changed_again, download, shared, shared_file,
)  # fmt: skip
