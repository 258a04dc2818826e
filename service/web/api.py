"""The API: the same verdicts as JSON, for employers and other platforms.

An answer may be kept to be asked about again, never to be used again unasked: with an ETag, which
covers everything but the time, the register is asked each time, so that a revocation shows at once.
What is refused is a problem with a stable code; in a batch each item is answered on its own.
"""

import datetime
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from litestar import get, post
from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIFormat,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.params import PathParameter
from litestar.types import ASGIApp, Receive, Scope, Send

from service.checking import decision, verification
from service.checking.decision import Door, Origin, Outcome, Presented, Status, Step, Verdict
from service.ground.errors import DatabaseUnavailable, QuestionMalformed, Refusal
from service.issuing.batches import LEGAL_ZONE
from service.registry import people
from service.web import limits, problems, public, site
from service.web.limits import Rule
from service.web.problems import Problem
from service.web.site import Asking, Site

ITEMS_MAX: Final = 200
BATCH_BYTES_MAX: Final = 2 << 20
_FILE_TYPES: Final = ("application/pdf", "image/png", "image/jpeg")
_ASK_AGAIN: Final = b"private, no-cache, must-revalidate"
_REASON_LENGTH_MAX: Final = 120

_ID_PATTERN: Final = r"^[0-9a-hjkmnp-tv-z]{16}$(?!\n)"  # as JavaScript reads it, too

PublicId = Annotated[
    str,
    PathParameter(
        pattern=_ID_PATTERN,
        description="80 random bits, lower-case Crockford base32, as in the QR code's address",
    ),
]


class Words(msgspec.Struct, frozen=True):
    """A sentence in both languages."""

    zh: str
    en: str


class Said(msgspec.Struct, frozen=True):
    """What to tell a reader: the status in a word, the reason in a sentence."""

    status: Words
    reason: Words


class ToldStep(msgspec.Struct, frozen=True):
    """One numbered step of the decision, and what became of it."""

    number: int
    name: str
    outcome: Outcome
    zh: str
    en: str


class ToldComparison(msgspec.Struct, frozen=True):
    """What the reader should still compare by eye."""

    name: str
    zh: str
    en: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict. `name` is masked unless whoever asks has shown the name or a genuine document.

    `number` alone, without any other fact, means: what was shown is not what we issued, but names a
    certificate of ours; ask about that one. `paper_digits` are the last digits of the serial on the
    current paper certificate, for comparison; null where there is none.
    """

    checked_at: datetime.datetime
    status: Status
    reason: str
    words: Said
    door: Door
    steps: tuple[ToldStep, ...]
    compare: tuple[ToldComparison, ...]
    number: str | None
    version: int | None
    successor: int | None
    origin: Origin | None
    issuer: str | None
    name: str | None
    project: str | None
    exam_on: datetime.date | None
    issued_on: datetime.date | None
    paper_digits: str | None
    specimen: bool


class ByNumber(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A certificate number together with the holder's full name."""

    number: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[^\u0000]*$")]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class ByText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole text of a QR code, its digits alone, or its address alone."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=5000)]


class ById(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ID in the address of a QR code."""

    id: Annotated[str, msgspec.Meta(pattern=_ID_PATTERN)]


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 200 items, each read on its own."""

    items: Annotated[list[Any], msgspec.Meta(min_length=1, max_length=ITEMS_MAX)]


Question: TypeAlias = ById | ByNumber | ByText
_Read = TypeVar("_Read", bound=msgspec.Struct)


class Item(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one item: a verdict, or the problem with it."""

    verdict: Answer | None = None
    problem: Problem | None = None


class Answers(msgspec.Struct, frozen=True):
    """The answers of a batch, in the order of its items."""

    answers: tuple[Item, ...]


_ENTRY: Final = {
    "number": "2651010001600001", "version": 1, "public_id": "0123456789abcdef",
    "name": "张伟", "project_name": "民宿接待服务", "exam_on": "2026-05-23",
    "archived_on": "2026-06-12", "issuing_authority": "示例职业技能鉴定中心",
    "standing": "valid", "successor": None, "origin": "sealed", "status_index": None,
    "statement_host": None, "sealed_at": None, "specimen": False,
    "paper_digits": "0512",
}  # fmt: skip
_SHOWN: Final[tuple[dict[str, object], ...]] = (
    {"door": "id", "entry": _ENTRY},
    {"door": "id", "entry": _ENTRY | {"standing": "revoked"}},
    {"door": "id", "entry": _ENTRY | {"standing": "cancelled"}},
    {"door": "id", "entry": _ENTRY | {"standing": "replaced", "successor": 2}},
    {"door": "id", "entry": _ENTRY | {"standing": "suspended"}},
    {"door": "id"},
    {"door": "text", "statement": "bad_signature"},
    {"door": "text", "statement": "unknown_key"},
    {"door": "file", "file": "limit"},
)
"""What somebody shows, for the examples: a verdict of each status."""

_PROBLEMS: Final = {
    400: "The request is not as it must be; the problem names the field.",
    413: "The body is too large.",
    415: "The body is no PDF, PNG or JPEG.",
    429: "Asked too often: `Retry-After` and `RateLimit` say when to ask again.",
    503: "The register cannot be asked just now.",
}


def _examples() -> list[Example]:
    """Decide of a certificate that does not exist."""
    moment = datetime.datetime(2026, 6, 12, 10, tzinfo=LEGAL_ZONE)
    answers = [told(decision.decide(msgspec.convert(one, Presented), moment)) for one in _SHOWN]
    return [Example(summary=one.status, value=msgspec.to_builtins(one)) for one in answers]


def told(verdict: Verdict) -> Answer:
    """Put a verdict into words."""
    steps, compare, said = _words(verdict.steps, verdict.compare, verdict.status, verdict.reason)
    return Answer(
        checked_at=verdict.checked_at,
        status=verdict.status,
        reason=verdict.reason,
        words=said,
        door=verdict.door,
        steps=steps,
        compare=compare,
        number=verdict.number,
        version=verdict.version,
        successor=verdict.successor,
        origin=verdict.origin,
        issuer=verdict.issuer,
        name=verdict.name,
        project=verdict.project,
        exam_on=verdict.exam_on,
        issued_on=verdict.issued_on,
        paper_digits=verdict.paper_digits,
        specimen=verdict.specimen,
    )


@functools.lru_cache(maxsize=1024)
def _words(
    steps: tuple[Step, ...], compare: tuple[str, ...], status: Status, reason: str
) -> tuple[tuple[ToldStep, ...], tuple[ToldComparison, ...], Said]:
    words = decision.WORDS
    return (
        tuple(
            ToldStep(one.number, one.name, one.outcome, **words["step"][one.name]) for one in steps
        ),
        tuple(ToldComparison(one, **words["compare"][one]) for one in compare),
        Said(
            Words(words["status"][status.value]["zh"], words["status"][status.value]["en"]),
            Words(**words["reason"][reason]),
        ),
    )


def _documented(data: Any, *statuses: int) -> dict[int, ResponseSpec]:
    """Describe what an operation answers."""
    examples = _examples() if data is Answer else None
    return {
        200: ResponseSpec(data, generate_examples=False, description="Answered.", examples=examples)
    } | {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            media_type=problems.MEDIA_TYPE,
            description=_PROBLEMS[status],
        )
        for status in (*statuses, 429, 503)
    }


def _taking(*schemas: tuple[str, Schema]) -> type[Operation]:
    """Describe what an operation takes, which its handler reads by itself."""

    @dataclass
    class Taking(Operation):
        def __post_init__(self) -> None:
            self.request_body = RequestBody(
                content={name: OpenAPIMediaType(schema=schema) for name, schema in schemas},
                required=True,
            )

    return Taking


def _schema(question: type[msgspec.Struct]) -> Schema:
    """Describe a question as its type does."""
    described = msgspec.json.schema(question)["$defs"][question.__name__]
    return Schema(
        type=OpenAPIType.OBJECT,
        description=described["description"],
        properties={
            name: Schema(
                type=OpenAPIType.STRING,
                min_length=field.get("minLength"),
                max_length=field.get("maxLength"),
                pattern=field.get("pattern"),
            )
            for name, field in described["properties"].items()
        },
        required=described["required"],
        additional_properties=False,
    )


_JSON: Final = "application/json"
_ITEMS: Final = Schema(
    type=OpenAPIType.ARRAY,
    items=Schema(one_of=[_schema(ById), _schema(ByNumber), _schema(ByText)]),
    min_items=1,
    max_items=ITEMS_MAX,
)
_BATCH: Final = Schema(
    type=OpenAPIType.OBJECT,
    properties={"items": _ITEMS},
    required=["items"],
    additional_properties=False,
)
_FILE: Final = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)


@get(
    "/api/v1/certificates/{public_id:str}/verdict",
    include_in_schema=True,
    responses=_documented(Answer, 400),
)
async def verdict(request: Asking, public_id: PublicId) -> ASGIApp:
    """Answer whether a certificate is genuine and in force now.

    The answer has an ETag; asked again with `If-None-Match`, 304 says that it is as it was, now.
    """
    asked = _site(request)
    await asked.limits.take(Rule.ID, limits.address_of(request))
    async with asked.reading() as connection:
        answer = await verification.by_id(connection, public_id, site.now())
    body = msgspec.json.encode(told(answer))
    said = body.partition(b",")[2]  # everything after the time
    tag = b'"%s"' % hashlib.blake2b(said, digest_size=12).hexdigest().encode()
    headers = ((b"cache-control", _ASK_AGAIN), (b"etag", b"W/" + tag))
    if any(name == b"if-none-match" and tag in value for name, value in request.scope["headers"]):
        return _sent(b"", headers, status=304)
    return _sent(body, headers)


@post(
    "/api/v1/verdicts/number",
    status_code=200,
    include_in_schema=True,
    responses=_documented(Answer, 400, 413),
    operation_class=_taking((_JSON, _schema(ByNumber))),
)
async def number_verdict(request: Asking) -> ASGIApp:
    """Answer a certificate number together with the holder's full name.

    An unknown number and another name are one and the same answer, in the same time.
    """
    asked = _site(request)
    async with site.floor(public.NUMBER_SECONDS_MIN):
        await asked.limits.take(Rule.NUMBER, limits.address_of(request))
        return _answer(await _ask(asked, await _read(request, ByNumber)))


@post(
    "/api/v1/verdicts/text",
    status_code=200,
    include_in_schema=True,
    responses=_documented(Answer, 400, 413),
    operation_class=_taking((_JSON, _schema(ByText))),
)
async def text_verdict(request: Asking) -> ASGIApp:
    """Answer the whole text of a QR code, its digits alone, or its address alone."""
    asked = _site(request)
    await asked.limits.take(Rule.TEXT, limits.address_of(request))
    return _answer(await _ask(asked, await _read(request, ByText)))


@post(
    "/api/v1/verdicts/file",
    status_code=200,
    include_in_schema=True,
    request_max_body_size=verification.UPLOAD_BYTES_MAX,
    responses=_documented(Answer, 413, 415),
    operation_class=_taking(*((media_type, _FILE) for media_type in _FILE_TYPES)),
)
async def file_verdict(request: Asking) -> ASGIApp:
    """Answer a PDF of a certificate, or a picture of one with its QR code; it is kept nowhere."""
    asked = _site(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _FILE_TYPES:
        raise HTTPException(status_code=415)
    await asked.limits.take(Rule.UPLOAD, limits.address_of(request))
    content = await request.body()
    return _answer(await verification.by_file(asked.reading, asked.examiner, content, site.now()))


@post(
    "/api/v1/verdicts",
    status_code=200,
    include_in_schema=True,
    request_max_body_size=BATCH_BYTES_MAX,
    responses=_documented(Answers, 400, 413),
    operation_class=_taking((_JSON, _BATCH)),
)
async def verdicts(request: Asking) -> Answers:
    """Answer up to 200 items, each on its own and in their order; every item counts as asked."""
    asked = _site(request)
    async with site.floor(public.NUMBER_SECONDS_MIN):
        batch = await _read(request, Batch)
        await asked.limits.take(Rule.BATCH, limits.address_of(request), cost=len(batch.items))
        return Answers(tuple([await _answer_item(asked, given) for given in batch.items]))


def _site(request: Asking) -> Site:
    """Return the site; as a parameter of a handler it would cost as much as the decision."""
    opened: Site = request.app.state.site
    return opened


async def _answer_item(asked: Site, given: object) -> Item:
    try:
        return Item(verdict=told(await _ask(asked, _question(given))))
    except DatabaseUnavailable:
        raise
    except Refusal as refusal:
        return Item(problem=problems.of_refusal(refusal))


async def _ask(asked: Site, question: Question) -> Verdict:
    if isinstance(question, ByNumber):
        await asked.limits.take(Rule.NUMBER_ITSELF, people.tidy(question.number))
    async with asked.reading() as connection:
        match question:
            case ById(id=public_id):
                return await verification.by_id(connection, public_id, site.now())
            case ByNumber(number=number, name=name):
                return await verification.by_number(connection, number, name, site.now())
            case ByText(text=text):
                return await verification.by_text(connection, text, site.now())


def _question(given: object) -> Question:
    """Read an item of a batch: what it holds says what it is."""
    kind: type[Question] = ByNumber
    if isinstance(given, dict):
        kind = ById if "id" in given else ByText if "text" in given else ByNumber
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise _malformed(error) from error


async def _read(request: Asking, kind: type[_Read]) -> _Read:
    """Read a JSON body.

    Raises: QuestionMalformed, which names the field; HTTPException with 413.
    """
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error) from error


def _malformed(error: Exception) -> QuestionMalformed:
    if not isinstance(error, msgspec.ValidationError):
        return QuestionMalformed(reason="no JSON in UTF-8")
    return QuestionMalformed(reason=str(error)[:_REASON_LENGTH_MAX])


def _answer(verdict: Verdict) -> ASGIApp:
    return _sent(msgspec.json.encode(told(verdict)))


def _sent(
    body: bytes, headers: Sequence[tuple[bytes, bytes]] = (), *, status: int = 200
) -> ASGIApp:
    """Make an answer of bytes; a response object costs as much as the look-up."""
    if status == 200:
        length = str(len(body)).encode()
        headers = (*headers, (b"content-type", _JSON.encode()), (b"content-length", length))

    async def answer(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return answer


HANDLERS = (verdict, number_verdict, text_verdict, file_verdict, verdicts)
