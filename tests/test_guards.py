"""Guards: headers on everything, whoever is slow or foreign, and a log that keeps every secret."""

import asyncio
import contextlib
import json
import logging
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import prometheus_client
import pytest
import uvicorn

from service import wiring
from service.ground import observability
from service.ground.errors import TooManyRequests
from service.ground.objects import Objects
from service.web import app, guards, limits, problems
from service.web.guards import Patience, Room
from service.web.limits import RATES, Limiter, Rate, Rule
from service.web.site import Site
from tests.town import Town

UNKNOWN = "/api/v1/certificates/0123456789abcdef/verdict"
RAISED = dict.fromkeys(Rule, Rate(10**6, 60))


class Hasty(Patience):
    """As patient as a test."""

    HEAD_SECONDS = 0.3
    BODY_SECONDS = 1.0
    READ_SECONDS = 0.5
    RATE_SECONDS = 0.3
    RATE_BYTES = 1000
    CONNECTIONS_MAX = 5


@asynccontextmanager
async def opened(town: Town, **changes: Any) -> AsyncIterator[Site]:
    async with wiring.site(town.world.settings, town.world.address) as site:
        yield msgspec.structs.replace(site, **{"limits": Limiter(rates=RAISED), **changes})


@asynccontextmanager
async def asking(
    application: Any, *, scheme: str = "http", client: str = "203.0.113.7"
) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application, raise_app_exceptions=False, client=(client, 1))
    async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://test") as one:
        yield one


@asynccontextmanager
async def serving(
    application: Any, *, proxies: str = "", patience: type[Patience] = Patience
) -> AsyncIterator[int]:
    """A real server on loopback; its port."""
    server = guards.server(application, proxies=proxies)
    server.config.http = patience
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve([listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await task


# Every answer.


async def test_every_answer_carries_every_header(town: Town) -> None:
    async with opened(town) as site, asking(app.application(site)) as client:
        answers = [
            await client.request(method, path, headers={"accept": accept})
            for accept in ("text/html", "*/*")
            for method, path in (
                ("GET", UNKNOWN), ("HEAD", UNKNOWN), ("OPTIONS", UNKNOWN), ("POST", UNKNOWN),
                ("TRACE", UNKNOWN), ("GET", "/"), ("GET", "/v/x"), ("HEAD", "/v/x"),
                ("GET", "/none"), ("POST", "/api/v1/verdicts"), ("GET", "/me"),
                ("GET", "/api/v1/openapi.json"), ("BREW", "/"), ("GET", "/static/../x"),
            )
        ]  # fmt: skip
    for answer in answers:
        for name in problems.HEADERS:
            assert len(answer.headers.get_list(name)) == 1, (answer.request.url, name)
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
        assert answer.status_code < 500
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


async def test_head_is_get_without_its_body_and_options_names_both(town: Town) -> None:
    async with opened(town) as site, asking(app.application(site)) as client:
        for path in (UNKNOWN, "/", "/v/0123456789abcdef"):
            got, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert abs(int(head.headers["content-length"]) - len(got.content)) < 8  # of the time
            assert head.headers.get("etag") == got.headers.get("etag")
            options = await client.options(path)
            assert (options.status_code, options.content) == (204, b"")
            assert {"GET", "HEAD", "OPTIONS"} <= set(options.headers["allow"].split(", "))
        assert (await client.head("/api/v1/verdicts/number")).status_code == 405


async def test_no_other_method_is_answered(town: Town) -> None:
    async with opened(town) as site, asking(app.application(site)) as client:
        for method in ("TRACE", "PUT", "PATCH", "DELETE", "CONNECT", "BREW"):
            answer = await client.request(method, UNKNOWN)
            assert answer.status_code == 405, method
            assert "GET" in answer.headers["allow"]


async def test_every_problem_is_told_in_both_languages(town: Town) -> None:
    pdf = {"content-type": "application/pdf"}
    async with opened(town) as site, asking(app.application(site)) as client:
        answers = [
            await client.get("/api/v1/certificates/x/verdict"),
            await client.get("/api/v1/nothing"),
            await client.put("/api/v1/verdicts"),
            await client.post("/api/v1/verdicts/text", content=b" " * (33 << 10)),
            await client.post("/api/v1/verdicts/file", content=b"x"),
            await client.post("/api/v1/verdicts", content=b'{"items":' + b"[" * 30_000),
            await client.post("/api/v1/verdicts", headers={"sec-fetch-site": "cross-site"}),
        ]
        broken = msgspec.structs.replace(site, readers=None)
        async with asking(app.application(broken)) as other:
            answers.append(await other.post("/api/v1/verdicts/file", content=b"x", headers=pdf))
    told = [answer.json() for answer in answers]
    assert [one["status"] for one in told] == [400, 404, 405, 413, 415, 400, 403, 500]
    for answer, one in zip(answers, told, strict=True):
        assert answer.headers["content-type"] == problems.MEDIA_TYPE
        assert one["title"].isascii()
        assert re.search("[一-鿿]", one["title_zh"])


async def test_a_name_for_a_request_is_taken_from_nobody(town: Town) -> None:
    async with opened(town) as site, asking(app.application(site)) as client:
        answer = await client.get(UNKNOWN, headers={"x-request-id": "0123456789abcdef"})
    assert answer.headers["x-request-id"] != "0123456789abcdef"


async def test_a_fault_in_any_layer_is_a_problem_with_every_header(
    town: Town, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("a secret of ours")

    async def broken_inside(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("a secret of ours")

    async with asking(guards.Guarded(broken)) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.json()["status"]) == (500, 500)
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    assert set(problems.HEADERS) - {name.title() for name in answer.headers} == set()
    async with serving(guards.Guarded(broken_inside)) as port:
        assert await _talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", seconds=2)
    async with opened(town, pages=None) as site, asking(app.application(site)) as client:
        answer = await client.get("/", headers={"accept": "text/html"})
        assert answer.status_code == 500
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert b"a secret of ours" not in b"".join(capfdbinary.readouterr())


# HTTPS and proxies.


async def test_only_a_trusted_proxy_is_believed_about_https_and_about_who_asks(town: Town) -> None:
    forwarded = b"X-Forwarded-Proto: https\r\nX-Forwarded-For: 198.51.100.%d\r\n"
    request = b"GET " + UNKNOWN.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    one_a_minute = Limiter(rates={**RAISED, Rule.ID: Rate(1, 3600)})
    for proxies, is_believed in (("", False), ("198.51.100.0/24", False), ("127.0.0.1", True)):
        async with (
            opened(town, limits=one_a_minute) as site,
            serving(app.application(site), proxies=proxies) as port,
        ):
            answers = [
                await _talk(port, request + forwarded % number + b"\r\n", seconds=5)
                for number in (1, 2)
            ]
        for answer in answers:
            assert (b"strict-transport-security: max-age=31536000" in answer) == is_believed
        assert answers[1].startswith(b"HTTP/1.1 200" if is_believed else b"HTTP/1.1 429")


# Pages of others.


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://test"}, False),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, True),
        ({"origin": "http://test"}, True),
        ({"origin": "https://test"}, True),  # a proxy may end the encryption
        ({"origin": "http://test.evil.example"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://evil.example/test"}, False),
        ({"origin": "null"}, True),
        ({}, True),
    ],
)
async def test_a_form_is_taken_only_from_a_page_of_ours(
    town: Town, headers: dict[str, str], is_taken: bool
) -> None:
    async with opened(town) as site, asking(app.application(site)) as client:
        for path in ("/verify/text", "/api/v1/verdicts/text"):
            answer = await client.post(path, json={"text": "x"}, headers=headers)
            assert (answer.status_code != 403) == is_taken
        assert (await client.get(UNKNOWN, headers=headers)).status_code == 200
    if not is_taken:
        assert answer.json()["type"] == "urn:qianfa:ForeignRequest"


# Large bodies.


async def test_a_body_beyond_its_routes_limit_is_refused_announced_or_not(town: Town) -> None:
    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 65536

    async with opened(town) as site, asking(app.application(site)) as client:
        for path, size in (
            ("/api/v1/verdicts/text", 33 << 10),
            ("/api/v1/verdicts", 3 << 20),
            ("/api/v1/verdicts/file", (10 << 20) + 1),
        ):
            kind = {"content-type": "application/pdf"}
            announced = await client.post(path, content=b"x" * size, headers=kind)
            streamed = await client.post(path, content=chunks((size >> 16) + 1), headers=kind)
            assert (announced.status_code, streamed.status_code) == (413, 413), path
            assert announced.headers["content-type"] == problems.MEDIA_TYPE


async def test_what_was_sent_has_so_much_room_and_who_dribbles_takes_none(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "_BODY_BYTES_EACH_MAX", 200 << 10)
    monkeypatch.setattr(guards, "_BODY_BYTES_MAX", 250 << 10)
    gate = asyncio.Event()

    async def slowly(size: int) -> AsyncIterator[bytes]:
        yield b"x" * size
        await gate.wait()

    path, large = "/api/v1/verdicts", b"x" * (100 << 10)
    async with opened(town) as site:
        application = app.application(site)
        async with (
            asking(application) as one,
            asking(application, client="203.0.113.8") as two,
            asking(application, client="203.0.113.9") as three,
        ):

            def wait(client: httpx.AsyncClient, size: int) -> asyncio.Task[httpx.Response]:
                return asyncio.create_task(client.post(path, content=slowly(size)))

            waiting = [wait(one, 1) for _ in range(40)] + [wait(one, 150 << 10)]
            await asyncio.sleep(0.2)
            refused = await one.post(path, content=large)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
            waiting.append(wait(two, 50 << 10))
            await asyncio.sleep(0.1)
            assert (await three.post(path, content=large)).status_code == 429
            assert (await three.post(path, content=b"x")).status_code == 400
            gate.set()
            assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {400}
            assert (await one.post(path, content=large)).status_code == 400
            assert observability.BODY_BYTES._value.get() == 0


def test_room_is_given_back_and_of_nobody_anything_is_kept() -> None:
    room = Room()
    room.take("a", guards._BODY_BYTES_EACH_MAX)
    room.take("b", guards._BODY_BYTES_EACH_MAX)
    for address in ("a", "c"):
        with pytest.raises(TooManyRequests):
            room.take(address, 1)
    for address in ("a", "b"):
        room.give(address, guards._BODY_BYTES_EACH_MAX)
    room.give("c", 0)
    assert not room._held


# Whoever is slow.


async def _talk(port: int, said: bytes, *, seconds: float, dribble: float = 0) -> bytes:
    """Say something to the server and return all that it answers until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def say() -> None:
        pieces = [said[place : place + 1] for place in range(len(said))] if dribble else [said]
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(dribble)

    saying = asyncio.create_task(say())
    answer = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(seconds):
            while chunk := await reader.read(65536):
                answer += chunk
    saying.cancel()
    writer.transport.abort()
    return answer


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with as many bytes as the path says, once the body is read."""
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.disconnect":
        return
    body = b"x" * int(scope["path"][1:] or 0)
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def test_whoever_dribbles_a_request_is_put_off_in_time() -> None:
    endless = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 1000
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 500
    async with serving(guards.Guarded(_echo), patience=Hasty) as port:
        begun = time.perf_counter()
        answers = await asyncio.gather(
            _talk(port, b"", seconds=3),
            _talk(port, endless, seconds=3, dribble=0.02),
            _talk(port, body, seconds=3),
            _talk(port, b"GET /5 HTTP/1.1\r\nHost: x\r\n\r\nGET /", seconds=3),
        )
        assert time.perf_counter() - begun < 2
    assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers[:2])
    assert b"content-security-policy" in answers[0].lower()
    assert answers[2] == b""
    assert re.findall(rb"HTTP/1.1 (\d+)", answers[3]) == [b"200", b"408"]


async def test_a_slow_but_honest_body_is_taken() -> None:
    body = b"POST /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3000\r\n\r\n"
    async with serving(guards.Guarded(_echo), patience=Hasty) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(body)
        for _ in range(6):
            writer.write(b"x" * 500)
            await asyncio.sleep(0.1)
        assert (await reader.read()).endswith(b"xxx")
        writer.close()


async def test_whoever_does_not_read_the_answer_is_cut_off() -> None:
    async with serving(guards.Guarded(_echo), patience=Hasty) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, b"GET /30000000 HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.sleep(1.2)
            received = 0
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(5):
                    while chunk := await loop.sock_recv(client, 1 << 20):
                        received += len(chunk)
    assert 0 < received < 30_000_000


async def test_what_is_sent_behind_a_request_has_a_clock_too() -> None:
    first = b"GET /3 HTTP/1.1\r\nHost: x\r\n\r\n"
    body = b"POST /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\nxx"
    async with serving(guards.Guarded(_echo), patience=Hasty) as port:
        begun = time.perf_counter()
        answers = await asyncio.gather(
            _talk(port, first + body % 2, seconds=3),
            _talk(port, first + body % 100_000, seconds=3),
            _talk(port, first + body[:40], seconds=3),
        )
        assert time.perf_counter() - begun < 2
    assert [answer.count(b"HTTP/1.1 200") for answer in answers] == [2, 1, 1]


async def test_an_answer_may_take_longer_than_a_connection_is_kept_without_a_question() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/3":
            await asyncio.sleep(0.4)
        await _echo(scope, receive, send)

    class Fleeting(Hasty):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self.timeout_keep_alive = 0.1  # type: ignore[assignment]  # whole seconds elsewhere

    first, second = [b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % size for size in (1, 3)]
    async with serving(guards.Guarded(slow), patience=Fleeting) as port:
        assert (await _talk(port, first + second, seconds=3)).endswith(b"xxx")


async def test_of_too_many_connections_the_longest_idle_goes_and_a_busy_one_never() -> None:
    request = b"GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    body = b"POST /3 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
    async with serving(guards.Guarded(_echo), patience=Hasty) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        held[0][1].write(body)
        await asyncio.sleep(0.05)
        assert (await _talk(port, request, seconds=2)).endswith(b"xxx")
        assert await held[1][0].read() == b""
        for _, writer in held[2:]:
            writer.write(body)
        held.append(await asyncio.open_connection("127.0.0.1", port))
        held[-1][1].write(body)
        await asyncio.sleep(0.05)
        assert await _talk(port, request, seconds=2) == b""
        held[0][1].write(b"yes")
        assert b"xxx" in await held[0][0].read(4096)
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.1)
        assert (await _talk(port, request, seconds=2)).endswith(b"xxx")


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x02\x00", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000,
             b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"],
)  # fmt: skip
async def test_what_is_no_http_is_refused_with_every_header(said: bytes) -> None:
    async with serving(guards.Guarded(_echo), patience=Hasty) as port:
        answer = await _talk(port, said, seconds=3)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408"))
    for name in problems.HEADERS:
        assert name.lower().encode() in answer.lower()
    assert b"server:" not in answer.lower()


# Log and metrics.


async def test_log_and_metrics_keep_every_secret_at_every_door(
    town: Town, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    objects = Objects.open(town.world.settings.store_address)
    async with town.world.connection() as connection:
        digest = await connection.fetchval(
            "select pdf_sha256 from certificate where number = $1", town.numbers[1]
        )
    pdf = await objects.get(digest.hex())
    person, public_id, number = town.anna, town.public_ids[1], town.numbers[1]
    typed = {"number": number, "name": person.name}
    found = {"name": person.name, "id_number": person.id_number, "second": number}
    logging.getLogger().setLevel(logging.WARNING)
    address = "198.51.100.77"
    async with opened(town) as site, asking(app.application(site), client=address) as client:
        await asyncio.gather(
            client.get(f"/api/v1/certificates/{public_id}/verdict?secret=query-text"),
            client.get(f"/v/{public_id}?secret=query-text"),
            client.get("/v/secret-path"), client.get(f"/nowhere/{public_id}"),
            client.post("/api/v1/verdicts/number", json=typed),
            client.post("/verify/number", data=typed),
            client.post("/api/v1/verdicts", json={"items": [typed, {"id": public_id}, {"x": "y"}]}),
            client.post("/api/v1/verdicts/text", json={"text": f"https://x/v/{public_id}"}),
            client.post("/verify/text", data={"text": f"https://x/v/{public_id}"}),
            client.post("/api/v1/verdicts/text", json={person.name: public_id}),
            client.post("/api/v1/verdicts/text", content=b"\xff" + person.name.encode()),
            client.post("/api/v1/verdicts/file", content=pdf,
                        headers={"content-type": "application/pdf"}),
            client.post("/me", data=found), client.get("/s/a-secret-token"),
            client.get("/me", headers={"cookie": "session=a-secret-token"}),
        )  # fmt: skip
        broken = msgspec.structs.replace(site, readers=None)
        async with asking(app.application(broken), client=address) as other:
            await other.get(f"/api/v1/certificates/{public_id}/verdict")
            await other.post("/api/v1/verdicts/number", json=typed)
    written = b"".join(capfdbinary.readouterr()).decode()
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    assert len([line for line in lines if line["event"] == "web:request:answer"]) == 17
    secrets = (
        person.name, person.id_number, public_id, number, "query-text", "secret", address,
        person.phone or "none", str(person.born_on), "nowhere",
    )  # fmt: skip
    metrics = prometheus_client.generate_latest(observability.REGISTRY).decode()
    for secret in secrets:
        assert secret not in written, secret
        assert secret not in metrics, secret
    assert '"route":"/api/v1/certificates/{public_id}/verdict"' in written
    assert 'qianfa_verdicts_total{door="number",status="valid"}' in metrics
    assert 'route="/v/{public_id}"' in metrics


async def test_a_line_says_what_a_request_was_and_what_came_of_it(
    town: Town, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = f"/api/v1/certificates/{town.public_ids[0]}/verdict"
    async with opened(town) as site, asking(app.application(site)) as client:
        answer = await client.get(path)
        await client.request("A-SECRET", path)
    one, other = (json.loads(line) for line in capfdbinary.readouterr().err.splitlines())
    assert one.pop("ms") >= 0
    assert one.pop("at").endswith("Z")
    assert one == {
        "level": "info", "event": "web:request:answer", "method": "GET", "status": 200,
        "request": answer.headers["x-request-id"], "verdicts": {answer.json()["status"]: 1},
        "route": "/api/v1/certificates/{public_id}/verdict",
    }  # fmt: skip
    assert (other["method"], other["status"]) == ("other", 405)


def test_what_libraries_log_loses_its_objects_and_messages() -> None:
    formatter = observability._Formatter()
    try:
        int("张伟 510104199001011234")
    except ValueError as error:
        given = (ValueError, error, error.__traceback__)
    record = logging.LogRecord(
        "asyncio", logging.ERROR, "x.py", 1, "it failed\nfuture: <Task 张伟>", (), given
    )
    line = formatter.format(record)
    assert json.loads(line)["event"] == "it failed"
    assert json.loads(line)["error"] == "ValueError"
    assert "test_guards.py" in json.loads(line)["places"][0]
    assert "张伟" not in line
    assert "5101" not in line


async def test_metrics_have_a_port_of_their_own_and_none_among_strangers(town: Town) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            observability.serving_metrics(port)
    observability.LIMITED.labels(Rule.ID.value).inc()
    with observability.serving_metrics(port):
        async with httpx.AsyncClient() as client:
            said = await client.get(f"http://127.0.0.1:{port}/metrics")
    assert 'qianfa_limits_refused_total{rule="id"}' in said.text
    with observability.serving_metrics(0):
        pass
    async with opened(town) as site, asking(app.application(site)) as client:
        assert (await client.get("/metrics")).status_code == 404


def test_the_server_believes_nobody_unless_told() -> None:
    config = guards.server(guards.Guarded(_echo)).config
    assert isinstance(config, uvicorn.Config)
    assert (config.proxy_headers, config.server_header, config.access_log) == (False, False, False)
    assert limits.RATES is RATES
