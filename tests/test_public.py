"""The public face: page and API alike, masked, uncached, silent about IDs; and the whole server.

Every form is asked as a browser without script asks it.
"""

import asyncio
import datetime
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from service import wiring
from service.checking import decision
from service.checking.decision import Door, Origin, Presented, Status
from service.ground.settings import templates_folder
from service.web import app, problems, public
from service.web.pages import Language, Pages
from service.web.site import Site
from tests import conftest
from tests.test_verification import ENTRY, STATEMENT
from tests.world import CHENGDU, World, batch_facts, rows

PAGES = templates_folder() / "pages"
NAME = "欧阳娜娜"
DOORS = ("/v/{}", "/api/v1/certificates/{}/verdict")
UNKNOWN_ID = "0123456789abcdef"
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
BROWSER = {"accept": "text/html,application/xhtml+xml"}
HTML = "text/html; charset=utf-8"


class Visited(msgspec.Struct, frozen=True):
    """The public application over a world with one issued certificate."""

    world: World
    public_id: str
    client: httpx.AsyncClient


@pytest.fixture(scope="module")
def issued(shared_world: World) -> World:
    """A world with one issued certificate, which is only copied."""
    asyncio.run(_issue(shared_world))
    return shared_world


async def _issue(world: World) -> None:
    people = [msgspec.structs.replace(row, name=NAME) for row in rows(1)]
    batch_id = await world.import_rows(CHENGDU, people)
    await world.record(f"operator-{CHENGDU}", *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    await world.approve(CHENGDU, batch_id)
    await world.issue()


@pytest.fixture(name="world")
def _world(server: str, issued: World) -> Iterator[World]:
    """A copy of one's own."""
    yield from conftest.copies(server, issued)


@pytest.fixture
async def site(world: World) -> AsyncIterator[Visited]:
    async with world.connection() as connection:
        public_id = await connection.fetchval("select public_id from certificate")
    async with wiring.site(world.settings, world.address) as opened, _client(opened) as client:
        yield Visited(world, public_id, client)


def _client(site: Site) -> httpx.AsyncClient:
    application: Any = app.application(site)
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


async def test_a_scanned_certificate_is_shown_with_its_name_masked(site: Visited) -> None:
    page, api = [await site.client.get(door.format(site.public_id)) for door in DOORS]
    assert (page.status_code, api.status_code) == (200, 200)
    answer = api.json()
    assert (answer["status"], answer["name"]) == ("valid", "欧＊＊＊")
    (person,) = rows(1)
    for text in (page.text, api.text):
        assert answer["number"] in text
        assert answer["name"] in text
        for hidden in (NAME, person.id_number, str(person.born_on), site.public_id):
            assert hidden not in text
    assert not {"id_number", "born_on", "score", "sex"} & set(answer)


async def test_a_revocation_shows_at_once(site: Visited) -> None:
    async with site.world.connection() as connection:
        await connection.execute("update certificate set standing = 'revoked'")
    page, api = [await site.client.get(door.format(site.public_id)) for door in DOORS]
    assert api.json()["status"] == "revoked"
    assert "已撤销" in page.text


async def test_an_unknown_id_has_a_verdict_and_a_malformed_one_has_none(site: Visited) -> None:
    page, api = [await site.client.get(door.format(UNKNOWN_ID)) for door in DOORS]
    assert (page.status_code, api.status_code) == (200, 200)
    assert "查无此证" in page.text
    assert api.json()["status"] == "unknown"
    malformed = ("UPPERCASE0000000", "short", "i" * 16, "0" * 10_000, "%3Cscript%3E", "%00" * 16)
    page_door, api_door = DOORS
    for public_id in malformed:
        page = await site.client.get(page_door.format(public_id))
        assert (page.status_code, "查无此证" in page.text) == (200, True)
        assert public_id not in page.text
        problem = await site.client.get(api_door.format(public_id))
        assert problem.status_code == 400
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json() == msgspec.to_builtins(problems.UNREADABLE)


async def _number_of(site: Visited) -> str:
    async with site.world.connection() as connection:
        return str(await connection.fetchval("select number from certificate"))


async def test_a_number_and_its_name_are_answered_in_full(site: Visited) -> None:
    number = await _number_of(site)
    for typed in (number, f" {number[:4]} {number[4:]} ", number.translate(FULL_WIDTH)):
        page = await site.client.post("/verify/number", data={"number": typed, "name": NAME})
        assert page.status_code == 200
        assert decision.WORDS["status"]["valid"]["zh"] in page.text
        assert f"<dd>{NAME}</dd>" in page.text
        assert page.headers["cache-control"] == "no-store"


async def test_an_unknown_number_and_a_wrong_name_are_one_page_in_one_time(site: Visited) -> None:
    number = await _number_of(site)
    pages, seconds = [], []
    for typed, name in ((number, "王小明"), ("9" * len(number), NAME), (number, NAME + "\0x")):
        begun = time.perf_counter()
        page = await site.client.post("/verify/number", data={"number": typed, "name": name})
        seconds.append(time.perf_counter() - begun)
        typed_again = page.text.replace(typed, "").replace(name.replace("\0", ""), "")
        pages.append(re.sub(r"\d\d:\d\d:\d\d", "", typed_again))
    assert pages[0] == pages[1] == pages[2]
    assert "查无此证" in pages[0]
    assert min(seconds) >= public.NUMBER_SECONDS_MIN


@pytest.mark.parametrize(
    ("door", "form"),
    [
        ("number", {"number": "2651010001600001"}),
        ("number", {"name": NAME}),
        ("number", {"number": "\0", "name": NAME}),
        ("text", {"text": "  "}),
        ("file", {"file": "text, not a file"}),
        ("file", {}),
    ],
)
async def test_a_form_without_what_it_needs_is_shown_again(
    site: Visited, door: str, form: dict[str, str]
) -> None:
    page = await site.client.post(f"/verify/{door}", data=form)
    assert (page.status_code, page.headers["content-type"]) == (400, HTML)
    assert 'role="alert"' in page.text


@pytest.mark.parametrize("door", ["number", "text", "file"])
async def test_whatever_stands_in_a_form_is_no_fault_of_ours(site: Visited, door: str) -> None:
    url = f"/verify/{door}"
    multipart = "multipart/form-data; boundary=x"
    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n%s\r\n\xff\xfe\r\n--x--\r\n'
    half = (
        b'--x\r\nContent-Disposition: form-data; name="%s"\r\n'
        b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-\r\n"  # half a character
    )
    for kind, body in (
        (multipart, part % (b"number", b"Content-Type: text/plain; charset=nothing\r\n")),
        (multipart, part % (b"text", b"")),
        (multipart, half % b"number" + half % b"name" + half % b"text" + b"--x--\r\n"),
        (multipart, b"--x"),
        ("multipart/form-data", b"--x"),
        ("application/x-www-form-urlencoded", b"number=%FF%00&name=%ED%A0%80&text=%FF&file=%00"),
        ("application/json", b"{"),
        ("", b""),
    ):
        answer = await site.client.post(url, content=body, headers={"content-type": kind})
        assert answer.status_code in (200, 400), (kind, body)
    many = {"number": "9" * 40_000, "name": NAME, "text": "1" * 40_000}
    if door != "file":
        page = await site.client.post(url, data=many, headers=BROWSER)
        assert (page.status_code, "文件太大" in page.text) == (413, True)


async def test_no_form_but_an_upload_is_read_beyond_32_kilobytes(site: Visited) -> None:
    begun = time.perf_counter()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await site.client.post("/verify/file", content=b"a&" * (5 << 20), headers=kind)
    assert answer.status_code == 400
    assert time.perf_counter() - begun < 1


async def test_whoever_reloads_an_answer_comes_back_to_the_forms(site: Visited) -> None:
    for door in ("number", "text", "file"):
        answer = await site.client.get(f"/verify/{door}?lang=en")
        assert (answer.status_code, answer.headers["location"]) == (302, "/?lang=en")


async def test_too_many_questions_are_a_page_that_says_so(site: Visited) -> None:
    number = await _number_of(site)
    wrong = {"number": number, "name": "王小明"}
    answers = await asyncio.gather(
        *(site.client.post("/verify/number", data=wrong, headers=BROWSER) for _ in range(31))
    )
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[429] >= 1
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "查询得太频繁了" in refused.text
    assert int(refused.headers["retry-after"]) > 0


async def test_a_page_in_english_says_no_word_in_chinese_but_names(site: Visited) -> None:
    page = await site.client.get("/?lang=en")
    assert re.findall("[一-鿿]+", page.text) == ["中文"]
    verdict = await site.client.get(DOORS[0].format(site.public_id), params={"lang": "en"})
    assert '<html lang="en">' in verdict.text
    assert verdict.text.index("A specimen without any force") < verdict.text.index("样本，无效力")


# What pages load.


async def test_an_asset_is_kept_for_ever_only_under_its_digest(site: Visited) -> None:
    page = await site.client.get("/")
    (named,) = re.findall(r'href="(/static/site\.css\?v=[^"]+)"', page.text)
    kept = await site.client.get(named)
    assert kept.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in kept.headers["cache-control"]
    for path in ("/static/site.css", "/static/site.css?v=another", "/sw.js"):
        asset = await site.client.get(path)
        assert asset.headers["cache-control"] == "no-cache"
        tag = asset.headers["etag"]
        again = await site.client.get(path, headers={"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")


async def test_nothing_but_assets_can_be_reached_below_static(site: Visited) -> None:
    for path in (
        "../pages/home.html", "..%2fpages%2fhome.html", "%2e%2e/pages/home.html", "site.css/x",
        "/etc/passwd", "vendor", "vendor/", "%00", "site.css%00", "..\\pages\\home.html",
    ):  # fmt: skip
        answer = await site.client.get(f"/static/{path}")
        assert answer.status_code == 404, path


def test_a_vendored_script_has_its_licence_beside_it() -> None:
    for script in (templates_folder() / "static" / "vendor").glob("*.js"):
        assert "Apache License" in script.with_name(f"{script.stem}-LICENSE.txt").read_text()


async def test_an_id_typed_in_capitals_is_the_same_id(site: Visited) -> None:
    page = await site.client.get(DOORS[0].format(site.public_id.upper()))
    assert "欧＊＊＊" in page.text


async def test_there_is_nothing_else_to_find(site: Visited) -> None:
    for path in ("/schema", f"/v/{UNKNOWN_ID}/x", "/metrics", "/docs", "/verify", "/static/"):
        problem = await site.client.get(path)
        assert problem.status_code == 404, path
        assert problem.headers["content-type"] == "application/problem+json"
        page = await site.client.get(path, headers=BROWSER)
        assert (page.status_code, page.headers["content-type"]) == (404, HTML)
        assert "没有这个页面" in page.text
    assert (await site.client.post(f"/v/{site.public_id}")).status_code == 405


async def test_no_answer_is_cached_framed_indexed_or_tells_where_one_came_from(
    site: Visited,
) -> None:
    for path in (*(door.format(site.public_id) for door in DOORS), "/v/malformed", "/nothing"):
        headers = (await site.client.get(path)).headers
        assert headers["cache-control"] in ("no-store", "private, no-cache, must-revalidate")
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-robots-tag"] == "noindex, nofollow"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


async def test_a_lost_database_is_a_503_and_a_fault_a_500_that_say_nothing(
    world: World, site: Visited, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    nowhere = "postgresql://nobody:x@127.0.0.1:1/nothing"
    async with (
        wiring.site(world.settings, world.address) as broken,
        wiring.site(world.settings, nowhere) as gone,
    ):
        for opened, status in ((gone, 503), (broken, 500)):
            if opened is broken:
                async with world.connection() as connection:
                    await connection.execute("alter view entry rename column standing to elsewhere")
            async with _client(opened) as client:
                for door in DOORS:
                    problem = await client.get(door.format(site.public_id))
                    assert problem.status_code == status
                    a_page = door is DOORS[0] and opened is gone
                    kind = "text/html; charset=utf-8" if a_page else "application/problem+json"
                    assert problem.headers["content-type"] == kind
                    assert ("暂时无法查询" in problem.text) is a_page
                    for detail in ("127.0.0.1", "nobody", "column", "Error:", "Traceback"):
                        assert detail not in problem.text
    assert "web:request:fault" in caplog.text
    ours = [record for record in caplog.records if not record.name.startswith("httpx")]
    assert not any(site.public_id in record.getMessage() for record in ours)


def test_every_status_has_a_page_that_works_alone() -> None:
    pages = Pages(PAGES)
    for status in Status:
        verdict = msgspec.structs.replace(
            decision.decide(Presented(door=Door.ID), datetime.datetime.now(datetime.UTC)),
            status=status,
            name="<b>&",
            number="2651010001600001",
            issued_on=datetime.date(2026, 6, 12),
        )
        for specimen in (False, True):
            shown = msgspec.structs.replace(verdict, specimen=specimen)
            word = decision.WORDS["status"][status.value]
            page = pages.render("verdict.html", Language.ZH, verdict=shown)
            assert word["zh"] in page
            assert ("样本" in page) == specimen
            assert "<b>&" not in page
            assert not re.search(r"(src|href|action)=\"(?![/?#][^/])(?!/\")", page)
            assert not re.search(r"style=|<style|\son\w+=|<script(?! type=\"module\" src=)", page)


def _shown(**changed: Any) -> str:
    entry = msgspec.structs.replace(ENTRY, **changed.pop("entry", {}))
    presented = Presented(door=changed.pop("door", Door.ID), entry=entry, **changed)
    verdict = decision.decide(presented, datetime.datetime.now(datetime.UTC))
    return Pages(PAGES).render("verdict.html", Language.ZH, verdict=verdict).split("<template")[0]


def test_what_is_less_than_a_sealed_certificate_in_the_hand_says_so() -> None:
    assert 'class="banner valid"' in _shown()
    picture = _shown(door=Door.PICTURE, statement=STATEMENT)
    assert "二维码所指证书有效，请逐项核对" in picture
    assert 'class="banner picture"' in picture
    assert 'class="banner valid"' not in picture
    assert "没有本系统的电子签章" in _shown(entry={"origin": Origin.ADOPTED})
    assert "第 3 版" in _shown(entry={"standing": Status.REPLACED, "successor": 3})


@pytest.fixture
def serving(world: World) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`qianfa serve` on a free port, in a session of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if "QIANFA" not in name} | {
        "QIANFA_VAR": str(world.settings.var),
        "QIANFA_DATABASE_URL": world.address,
        "QIANFA_KEYS": world.settings.keys,
        "QIANFA_PORT": str(port),
        "QIANFA_PROCESSES": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-c", "from service.cli import main; main()", "serve"],
        env=environment,
        cwd=Path(__file__).parent.parent,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield process, port
        finally:
            process.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_server_answers_and_ends_with_nothing_left_behind(
    serving: tuple[subprocess.Popen[bytes], int], ending: signal.Signals
) -> None:
    process, port = serving
    page = _fetch(f"http://127.0.0.1:{port}/v/{UNKNOWN_ID}")
    assert "查无此证" in page
    assert _session(process.pid) > {process.pid}
    process.send_signal(ending)
    said, _ = process.communicate(timeout=20)
    assert process.returncode in (0, 128 + ending)
    assert said.decode().startswith(f"http://localhost:{port}/")
    assert UNKNOWN_ID not in said.decode()
    assert not _session(process.pid)


def _fetch(url: str) -> str:
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own server
                return str(response.read().decode())
        except OSError:
            time.sleep(0.1)
    raise AssertionError("nobody answers")


def _session(leader: int) -> set[int]:
    """Return the processes of a session that live."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == leader:
                found.add(int(entry.name))
        except ProcessLookupError:
            continue
    return found
