"""The API: every door as JSON, never a stale answer, each item on its own, guesses told nothing."""

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from service import wiring
from service.checking import decision
from service.checking.decision import Status
from service.ground.objects import Objects
from service.web import api, app, problems
from service.web.limits import RATES, Limiter, Rate, Rule
from tests.town import Town, execute

NUMBER, TEXT, FILE, BATCH = (
    f"/api/v1/verdicts{door}" for door in ("/number", "/text", "/file", "")
)
PDF = {"content-type": "application/pdf"}
UNKNOWN_ID = "0123456789abcdef"


class Asked(msgspec.Struct, frozen=True):
    """The API over a town, without limits unless a test sets some."""

    town: Town
    client: httpx.AsyncClient
    valid: str
    number: str

    async def verdict(self, headers: dict[str, str] | None = None) -> httpx.Response:
        path = f"/api/v1/certificates/{self.valid}/verdict"
        return await self.client.get(path, headers=headers)


@pytest.fixture
async def asked(town: Town, request: pytest.FixtureRequest) -> AsyncIterator[Asked]:
    rates = dict.fromkeys(Rule, Rate(10**6, 60)) | getattr(request, "param", {})
    async with wiring.site(town.world.settings, town.world.address) as site:
        application: Any = app.application(
            msgspec.structs.replace(site, limits=Limiter(rates=rates))
        )
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Asked(town, client, town.public_ids[1], town.numbers[1])


async def pdf_of(town: Town, number: str) -> bytes:
    async with town.world.connection() as connection:
        digest = await connection.fetchval(
            "select pdf_sha256 from certificate where number = $1", number
        )
    return await Objects.open(town.world.settings.store_address).get(digest.hex())


def is_problem(answer: httpx.Response, status: int, code: str = "about:blank") -> bool:
    return (
        answer.status_code == status == answer.json()["status"]
        and answer.headers["content-type"] == problems.MEDIA_TYPE
        and answer.json()["type"].removeprefix("urn:qianfa:") == code
    )


# Doors.


async def test_every_door_says_the_same_in_words_of_both_languages(asked: Asked) -> None:
    name = asked.town.anna.name
    text = f"https://{asked.town.world.settings.host}/v/{asked.valid}"
    answers = [
        await asked.verdict(),
        await asked.client.post(NUMBER, json={"number": asked.number, "name": name}),
        await asked.client.post(TEXT, json={"text": text}),
        await asked.client.post(FILE, content=await pdf_of(asked.town, asked.number), headers=PDF),
    ]
    doors = []
    for answer in answers:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        said = answer.json()
        doors.append(said["door"])
        assert (said["status"], said["number"]) == ("valid", asked.number)
        words = decision.WORDS
        assert said["words"]["status"] == {
            language: words["status"]["valid"][language] for language in ("zh", "en")
        }
        assert said["words"]["reason"] == words["reason"][said["reason"]]
        for step in said["steps"]:
            assert words["step"][step["name"]] == {"zh": step["zh"], "en": step["en"]}
        assert [step["number"] for step in said["steps"]] == [1, 2, 3, 4, 5, 6, 7, 8]
        for one in said["compare"]:
            assert words["compare"][one["name"]] == {"zh": one["zh"], "en": one["en"]}
        assert asked.valid not in answer.text
        assert asked.town.anna.id_number not in answer.text
        knows_name = said["door"] in ("number", "file")
        assert (said["name"] == name) == knows_name
    assert doors == ["id", "number", "text", "file"]
    assert answers[0].headers["cache-control"] == "private, no-cache, must-revalidate"
    assert {answer.headers["cache-control"] for answer in answers[1:]} == {"no-store"}


async def test_a_file_with_one_byte_more_is_altered(asked: Asked) -> None:
    content = await pdf_of(asked.town, asked.number) + b"\n"
    answer = await asked.client.post(FILE, content=content, headers=PDF)
    assert (answer.status_code, answer.json()["status"]) == (200, "altered")
    assert asked.town.anna.name not in answer.text


async def test_a_file_of_another_kind_is_refused(asked: Asked) -> None:
    for kind in ("", "text/plain", "application/json", "image/svg+xml", "x"):
        headers = {"content-type": kind} if kind else {}
        answer = await asked.client.post(FILE, content=b"%PDF-", headers=headers)
        assert is_problem(answer, 415), kind


# Freshness.


async def test_what_is_unchanged_is_304_only_after_the_register_was_asked(asked: Asked) -> None:
    first = await asked.verdict()
    tag = first.headers["etag"]
    for given in (tag, tag.removeprefix("W/"), f'"other", {tag}'):
        again = await asked.verdict({"if-none-match": given})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == first.headers["cache-control"]
    for given in ('"other"', tag[:-2] + '"', "*", ""):
        assert (await asked.verdict({"if-none-match": given})).status_code == 200


async def test_a_revocation_between_two_conditional_requests_shows_at_once(asked: Asked) -> None:
    first = await asked.verdict()
    revoke = "update certificate set standing = $1 where public_id = $2"
    await execute(asked.town.world, revoke, "revoked", asked.valid)
    second = await asked.verdict({"if-none-match": first.headers["etag"]})
    assert (second.status_code, second.json()["status"]) == (200, "revoked")
    assert second.headers["etag"] != first.headers["etag"]
    await execute(asked.town.world, revoke, "valid", asked.valid)
    third = await asked.verdict({"if-none-match": first.headers["etag"]})
    assert third.status_code == 304


async def test_no_cache_is_let_to_answer_unasked(asked: Asked) -> None:
    for answer in (await asked.verdict(), await asked.client.get("/v/" + asked.valid)):
        directives = answer.headers["cache-control"].split(", ")
        assert {"no-cache", "no-store"} & set(directives)
        assert not [one for one in directives if "stale" in one or "age" in one or one == "public"]
        assert "expires" not in answer.headers


# Guesses.


async def test_an_unknown_number_and_another_name_are_one_answer_in_one_time(asked: Asked) -> None:
    name = asked.town.anna.name
    guesses = [(asked.number, "王小明"), ("9" * 16, name), (asked.number, name + "1"), ("0", "x")]
    answers: list[dict[str, Any]] = []
    seconds: list[list[float]] = [[] for _ in guesses]
    for _ in range(3):
        for place, (number, guess) in enumerate(guesses):
            begun = time.perf_counter()
            answer = await asked.client.post(NUMBER, json={"number": number, "name": guess})
            seconds[place].append(time.perf_counter() - begun)
            answers.append(answer.json() | {"checked_at": None})
            assert "etag" not in answer.headers
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["status"] == "unknown"
    medians = [statistics.median(taken) for taken in seconds]
    assert min(map(min, seconds)) >= 0.25
    assert max(medians) - min(medians) < 0.1


@pytest.mark.parametrize("asked", [{Rule.NUMBER_ITSELF: Rate(3, 3600)}], indirect=True)
async def test_a_number_is_guessed_only_so_often_however_it_is_written_or_asked(
    asked: Asked,
) -> None:
    wide = asked.number.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    spelt = [asked.number, wide, f" {asked.number[:4]} {asked.number[4:]}"]
    for number in spelt:
        answer = await asked.client.post(NUMBER, json={"number": number, "name": "王小明"})
        assert answer.status_code == 200
    right = {"number": asked.number, "name": asked.town.anna.name}
    refused = await asked.client.post(NUMBER, json=right)
    assert is_problem(refused, 429, "TooManyRequests")
    assert 0 < int(refused.headers["retry-after"]) <= 3600
    assert '"number-itself";r=0' in refused.headers["ratelimit"]
    page = await asked.client.post("/verify/number", data=right)
    assert page.status_code == 429
    batch = await asked.client.post(BATCH, json={"items": [right, {"id": asked.valid}]})
    first, second = batch.json()["answers"]
    assert first["problem"]["type"] == "urn:qianfa:TooManyRequests"
    assert second["verdict"]["status"] == "valid"


@pytest.mark.parametrize(
    "asked",
    [dict.fromkeys(Rule, Rate(2, 3600)) | {Rule.NUMBER_ITSELF: Rate(99, 60, shared=True)}],
    indirect=True,
)
async def test_each_door_counts_and_says_what_is_left(asked: Asked) -> None:
    asks: dict[str, Any] = {
        "id": asked.verdict,
        "number": lambda: asked.client.post(NUMBER, json={"number": "1", "name": "x"}),
        "text": lambda: asked.client.post(TEXT, json={"text": "x"}),
        "upload": lambda: asked.client.post(FILE, content=b"x", headers=PDF),
        "batch": lambda: asked.client.post(BATCH, json={"items": [{"id": UNKNOWN_ID}]}),
    }
    for rule, ask in asks.items():
        answers = [await ask() for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429], rule
        assert is_problem(answers[2], 429, "TooManyRequests")
        assert answers[2].json()["title_zh"]
        for left, answer in zip((1, 0, 0), answers, strict=True):
            assert answer.headers["ratelimit-policy"] == f'"{rule}";q=2;w=3600'
            assert answer.headers["ratelimit"].startswith(f'"{rule}";r={left};t=')
        said = int(answers[2].headers["ratelimit"].rpartition("=")[2])
        assert abs(int(answers[2].headers["retry-after"]) - said) <= 1


@pytest.mark.parametrize("asked", [{Rule.BATCH: RATES[Rule.BATCH]}], indirect=True)
async def test_a_batch_is_counted_by_its_items(asked: Asked) -> None:
    full = {"items": [{"id": UNKNOWN_ID}] * api.ITEMS_MAX}
    answers = [await asked.client.post(BATCH, json=full) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert len(answers[0].json()["answers"]) == api.ITEMS_MAX


# Batches.


async def test_a_bad_item_is_an_items_problem_and_the_order_is_kept(asked: Asked) -> None:
    name, host = asked.town.anna.name, asked.town.world.settings.host
    items: list[tuple[object, str]] = [
        ({"id": asked.valid}, "valid"),
        ({"number": asked.number, "name": name}, "valid"),
        ({"text": f"https://{host}/v/{asked.town.public_ids[0]}"}, "revoked"),
        ({"id": UNKNOWN_ID}, "unknown"),
        ({"number": asked.number}, "QuestionMalformed"),
        ({"id": "short"}, "QuestionMalformed"),
        ({"id": asked.valid + "\n"}, "QuestionMalformed"),
        ({"id": asked.valid, "name": name}, "QuestionMalformed"),
        ({"text": "x", "note": "y"}, "QuestionMalformed"),
        ({"number": 5, "name": name}, "QuestionMalformed"),
        ({"number": asked.number, "name": "\0"}, "unknown"),
        ({"number": "\0", "name": name}, "QuestionMalformed"),
        ({}, "QuestionMalformed"),
        (None, "QuestionMalformed"),
        ([[]], "QuestionMalformed"),
        ("text", "QuestionMalformed"),
        ({"text": "x" * 9000}, "QuestionMalformed"),
        ({"id": asked.valid}, "valid"),
    ]
    answer = await asked.client.post(BATCH, json={"items": [item for item, _ in items]})
    assert answer.status_code == 200
    said = [
        one["verdict"]["status"] if "verdict" in one else one["problem"]["type"][11:]
        for one in answer.json()["answers"]
    ]
    assert said == [expected for _, expected in items]
    assert all(len(one) == 1 for one in answer.json()["answers"])


async def test_a_batch_of_none_or_of_too_many_is_refused_whole(asked: Asked) -> None:
    wrong: list[object] = [[], [{"id": UNKNOWN_ID}] * 201, {}, None, "x"]
    for items in wrong:
        answer = await asked.client.post(BATCH, json={"items": items})
        assert is_problem(answer, 400, "QuestionMalformed"), items
        assert "items" in answer.json()["title"]


# What is not understood.


async def test_a_field_that_is_not_as_it_must_be_is_named(asked: Asked) -> None:
    wrong: list[tuple[str, object, str]] = [
        (NUMBER, {"nmuber": "1", "name": "x"}, "`nmuber`"),
        (NUMBER, {"number": "1"}, "`name`"),
        (NUMBER, {"number": 1, "name": "x"}, "$.number"),
        (NUMBER, {"number": "1", "name": "x", "more": 1}, "`more`"),
        (NUMBER, {"number": "", "name": "x"}, "$.number"),
        (NUMBER, {"number": "1" * 65, "name": "x"}, "$.number"),
        (NUMBER, [], "object"),
        (TEXT, {"text": None}, "$.text"),
        (TEXT, {"test": "x"}, "`test`"),
        (BATCH, {"items": [{}], "more": 1}, "`more`"),
        (BATCH, {"item": [{}]}, "`item`"),
    ]
    answers = await asyncio.gather(*(asked.client.post(path, json=body) for path, body, _ in wrong))
    for (path, body, named), answer in zip(wrong, answers, strict=True):
        assert is_problem(answer, 400, "QuestionMalformed"), (path, body)
        assert named in answer.json()["title"]
        assert named in answer.json()["title_zh"]


@pytest.mark.parametrize("path", [NUMBER, TEXT, BATCH])
async def test_what_is_no_json_is_refused(asked: Asked, path: str) -> None:
    bodies = [
        b"", b"[", b"\xff", b'"\xff"', b'{"text":"\xed\xa0\x80"}', b'{"text":"\\ud800"}', b"NaN",
        b"[" * 20_000, b'{"a":' * 5_000, b"1" * 10_000, b"{}{}", b"\xef\xbb\xbf{}",
    ]  # fmt: skip
    answers = await asyncio.gather(*(asked.client.post(path, content=body) for body in bodies))
    for body, answer in zip(bodies, answers, strict=True):
        assert is_problem(answer, 400, "QuestionMalformed"), (body[:40], answer.text)


async def test_a_refusal_never_repeats_more_than_a_name_of_a_field(asked: Asked) -> None:
    answer = await asked.client.post(NUMBER, json={"x" * 5000: "secret value"})
    assert is_problem(answer, 400, "QuestionMalformed")
    assert len(answer.text) < 700
    assert "secret value" not in answer.text


async def test_without_the_register_there_is_no_verdict(town: Town) -> None:
    nowhere = "postgresql://nobody:x@127.0.0.1:1/nothing"
    async with wiring.site(town.world.settings, nowhere) as site:
        transport = httpx.ASGITransport(app.application(site), raise_app_exceptions=False)  # type: ignore[arg-type]  # the same protocol
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            for path, body in (
                (NUMBER, {"number": "1", "name": "x"}),
                (BATCH, {"items": [{"id": UNKNOWN_ID}]}),
            ):
                answer = await client.post(path, json=body)
                assert is_problem(answer, 503, "DatabaseUnavailable")
            file = await client.post(FILE, content=b"%PDF-", headers=PDF)
            assert is_problem(file, 503, "DatabaseUnavailable")


# The description.


async def test_the_description_names_every_operation_status_and_problem(asked: Asked) -> None:
    answer = await asked.client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    described = answer.json()
    assert set(described["paths"]) == {
        "/api/v1/certificates/{public_id}/verdict", NUMBER, TEXT, FILE, BATCH,
    }  # fmt: skip
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], path
            responses = operation["responses"]
            assert {"200", "429", "503"} <= set(responses), path
            for status, response in responses.items():
                (media_type,) = response["content"]
                expected = "application/json" if status == "200" else problems.MEDIA_TYPE
                assert media_type == expected, (path, status)
            assert ("requestBody" in operation) == (method == "post")
    ok = described["paths"][NUMBER]["post"]["responses"]["200"]["content"]["application/json"]
    shown = {example["value"]["status"] for example in ok["examples"].values()}
    assert shown == {status.value for status in Status}
    for example in ok["examples"].values():
        failed = [step for step in example["value"]["steps"] if step["outcome"] == "fail"]
        assert bool(failed) == (example["value"]["status"] not in ("valid", "indeterminate"))
    files = described["paths"][FILE]["post"]["requestBody"]["content"]
    assert set(files) == {"application/pdf", "image/png", "image/jpeg"}
    assert "http" not in json.dumps(described).replace("http_", "")


@pytest.mark.parametrize("path", ["/api/v1/swagger", "/api/v1/redoc", "/schema", "/docs"])
async def test_no_page_describes_the_api_with_scripts_of_others(asked: Asked, path: str) -> None:
    assert (await asked.client.get(path)).status_code == 404


async def test_two_hundred_questions_at_once_are_all_answered(asked: Asked) -> None:
    answers = await asyncio.gather(*(asked.verdict() for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
