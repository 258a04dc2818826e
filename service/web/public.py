"""The public pages: what a scanned QR code opens, the three forms, and what pages are made with.

IDs are secrets: they reach no log, no referrer and no third party. An unknown ID has a verdict like
any other, so it is answered with 200 and not with 404; "not found" and "another name" are one and
the same page, in the same time. Whatever stands in the address, and whatever befalls us, a person
gets a page.
"""

import re
from typing import Final

from litestar import MediaType, Response, get, post
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from service.checking import decision, verification
from service.checking.decision import Door, Presented, Verdict
from service.ground.errors import DatabaseUnavailable
from service.registry import people
from service.web import limits, pages, problems, site
from service.web.limits import Rule
from service.web.pages import Asset, Language
from service.web.site import Asking, Site

FORM_BYTES_MAX: Final = 32 << 10
UPLOAD_BYTES_MAX: Final = verification.UPLOAD_BYTES_MAX + (64 << 10)  # with the form around it
NUMBER_SECONDS_MIN: Final = 0.25
_PUBLIC_ID = re.compile("[0-9a-hjkmnp-tv-z]{16}")
_FOR_EVER: Final = "public, max-age=31536000, immutable"


@get("/", media_type=MediaType.HTML)
async def home(request: Asking, state: State) -> Response[str]:
    """Show every way to verify a certificate."""
    return _home(request, state.site)


@get(["/v", "/v/"], media_type=MediaType.HTML)
async def shell(request: Asking, state: State) -> Response[str]:
    """Show a result page without a certificate: what a device keeps, to verify without network."""
    verdict = decision.decide(Presented(door=Door.OFFLINE, register_silent=True), site.now())
    return site.page(request, state.site, "verdict.html", verdict=verdict, again={}, kept=True)


@get("/v/{public_id:str}", media_type=MediaType.HTML)
async def scanned(request: Asking, public_id: FromPath[str], state: State) -> Response[str]:
    """Show what the register says of a scanned certificate; the name is masked.

    `?picture` says that the code was read from a picture, which proves less than paper in the hand.
    """
    asked: Site = state.site
    await asked.limits.take(Rule.ID, limits.address_of(request))
    door = Door.PICTURE if "picture" in request.query_params else Door.ID
    known = _PUBLIC_ID.fullmatch(public_id.lower())
    if not known:
        return _verdict(request, asked, decision.decide(Presented(door=door), site.now()))
    try:
        async with asked.reading() as connection:
            verdict = await verification.by_id(connection, known[0], site.now(), door=door)
    except DatabaseUnavailable:
        return _silent(request, asked, door)
    return _verdict(request, asked, verdict)


@post("/verify/number", request_max_body_size=FORM_BYTES_MAX, media_type=MediaType.HTML)
async def numbered(request: Asking, state: State) -> Response[str]:
    """Answer a number typed together with the full name."""
    asked: Site = state.site
    async with site.floor(NUMBER_SECONDS_MIN):
        await asked.limits.take(Rule.NUMBER, limits.address_of(request))
        form = await site.form(request)
        number, name = people.tidy(site.text(form, "number")), site.text(form, "name")
        if not number or not name:
            return _home(request, asked, missing="number", number=number)
        await asked.limits.take(Rule.NUMBER_ITSELF, number)
        try:
            async with asked.reading() as connection:
                verdict = await verification.by_number(connection, number, name, site.now())
        except DatabaseUnavailable:
            return _silent(request, asked, Door.NUMBER)
        return _verdict(request, asked, verdict, number=number, name=name)


@post("/verify/text", request_max_body_size=FORM_BYTES_MAX, media_type=MediaType.HTML)
async def pasted(request: Asking, state: State) -> Response[str]:
    """Answer the text of a QR code."""
    asked: Site = state.site
    await asked.limits.take(Rule.TEXT, limits.address_of(request))
    text = site.text(await site.form(request), "text")
    if not text:
        return _home(request, asked, missing="text")
    try:
        async with asked.reading() as connection:
            verdict = await verification.by_text(connection, text, site.now())
    except DatabaseUnavailable:
        return _silent(request, asked, Door.TEXT)
    return _verdict(request, asked, verdict, text=text)


@post("/verify/file", request_max_body_size=UPLOAD_BYTES_MAX, media_type=MediaType.HTML)
async def uploaded(request: Asking, state: State) -> Response[str]:
    """Answer a PDF or a picture; it is read in the jail and kept nowhere.

    No other form may be so large: of ten megabytes of `a=1&a=1` one is made in five seconds.
    """
    asked: Site = state.site
    await asked.limits.take(Rule.UPLOAD, limits.address_of(request))
    is_upload = request.content_type[0] == RequestEncodingType.MULTI_PART
    file = (await site.form(request)).get("file") if is_upload else None
    content = await file.read() if isinstance(file, UploadFile) else b""
    if not content:
        return _home(request, asked, missing="file")
    try:
        verdict = await verification.by_file(asked.reading, asked.examiner, content, site.now())
    except DatabaseUnavailable:
        return _silent(request, asked, Door.FILE)
    return _verdict(request, asked, verdict)


@get(["/verify/number", "/verify/text", "/verify/file"])
async def asked_again(request: Asking) -> Redirect:
    """Lead whoever reloads an answer back to the forms."""
    return Redirect("/?lang=en" if pages.language_of(request) is Language.EN else "/")


@get("/static/{name:path}")
async def asset(request: Asking, name: FromPath[str], state: State) -> Response[bytes]:
    """Give a file that pages load; one that is asked for by its digest may be kept for ever."""
    found = state.site.pages.assets.get(name.removeprefix("/"))
    if found is None:
        raise NotFoundException
    return _asset(request, found)


@get("/sw.js")
async def service_worker(request: Asking, state: State) -> Response[bytes]:
    """Give the script that keeps the pages for a device without network; it speaks for `/`."""
    return _asset(request, state.site.pages.assets["sw.js"])


def _home(request: Asking, asked: Site, missing: str = "", number: str = "") -> Response[str]:
    """Show the forms; `missing` names the one that was sent without what it needs."""
    return site.page(
        request, asked, "home.html", 400 if missing else 200, missing=missing, number=number
    )


def _silent(request: Asking, asked: Site, door: Door) -> Response[str]:
    verdict = decision.decide(Presented(door=door, register_silent=True), site.now())
    return site.page(request, asked, "verdict.html", 503, verdict=verdict, again={}, kept=False)


def _verdict(request: Asking, asked: Site, verdict: Verdict, **again: str) -> Response[str]:
    """Show a verdict; `again` is the form that asks for it once more, in the other language."""
    return site.page(request, asked, "verdict.html", verdict=verdict, again=again, kept=False)


def _asset(request: Asking, found: Asset) -> Response[bytes]:
    named = request.query_params.get("v") == found.tag
    headers = problems.HEADERS | {
        "Cache-Control": _FOR_EVER if named else "no-cache",
        "ETag": f'W/"{found.tag}"',
        "Vary": "Accept-Encoding",
    }
    if found.tag in request.headers.get("if-none-match", ""):
        return Response(b"", headers=headers, status_code=304)
    content = found.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers, content = headers | {"Content-Encoding": "gzip"}, found.packed
    return Response(content, headers=headers, media_type=found.media_type)


HANDLERS = (
    home, shell, scanned, numbered, pasted, uploaded, asked_again, asset, service_worker,
)  # fmt: skip
