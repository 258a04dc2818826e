"""The pages of holders: proof, sessions, downloads, share links and reports over HTTP."""

import asyncio
import datetime
import hashlib
import logging
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from service import wiring
from service.checking import portal
from service.checking.portal import SecondFactor
from service.ground.objects import Objects
from service.issuing.batches.rows import Row
from service.issuing.changes import Correction, Kind
from service.web import app, candidates, limits
from service.web.limits import Limiter, Rate, Rule
from service.web.site import Site
from signing.errors import KeyMissing
from tests import invented, test_changes
from tests.town import TOKEN, Town, execute
from tests.world import MIANYANG, rows

WRONG = "9999"  # no number, and the last digits of nobody's phone
MINUTES = datetime.timedelta(minutes=1)
Visit = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


class Visited(msgspec.Struct, frozen=True):
    """A town, its site, and browsers that visit it."""

    town: Town
    site: Site
    browse: Visit

    async def find(
        self, browser: httpx.AsyncClient, person: Row, number: str, **changed: str
    ) -> httpx.Response:
        fields = {"name": person.name, "id_number": person.id_number, "second": number} | changed
        return await browser.post("/me", data=fields)

    @asynccontextmanager
    async def signed_in(self, person: Row | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """A browser whose holder has proved to be that person, Anna by default."""
        town, person = self.town, person or self.town.anna
        number = town.numbers[1] if person is town.anna else town.numbers[2]
        async with self.browse() as browser:
            assert (await self.find(browser, person, number)).status_code == 303
            yield browser


@pytest.fixture
async def visited(town: Town, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Visited]:
    monkeypatch.setattr(candidates, "FIND_SECONDS_MIN", 0)
    async with wiring.site(town.world.settings, town.world.address) as site:
        yield Visited(town, site, _visit(site))


def _visit(site: Site) -> Visit:
    application: Any = app.application(site)

    def browse(
        *, scheme: str = "http", address: str = "192.0.2.1", **headers: str
    ) -> httpx.AsyncClient:
        said = {"accept": "text/html", "sec-fetch-site": "same-origin"} | headers
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(application, False, client=(address, 1)),
            base_url=f"{scheme}://test",
            headers=said,
        )

    return browse


def _one(pattern: str, page: httpx.Response) -> str:
    found = re.search(pattern, page.text)
    assert found, page.text
    return found[1]


def _form_token(page: httpx.Response) -> str:
    return _one('name="form_token" value="([0-9a-f]{64})"', page)


def _path(town: Town, place: int = 1) -> str:
    return f"/me/certificates/{town.public_ids[place]}"


async def _share(browser: httpx.AsyncClient, path: str, days: int = 7) -> str:
    """Make a share link and return its path."""
    token = _form_token(await browser.get(path))
    made = await browser.post(f"{path}/share", data={"form_token": token, "days": days})
    assert (made.status_code, made.headers["location"]) == (303, f"{path}#shares")
    return _one(">http://test(/s/[^<]+)<", await browser.get(path))


# Finding.


async def test_a_holder_finds_views_and_downloads(visited: Visited) -> None:
    town = visited.town
    async with visited.browse() as browser:
        found = await visited.find(browser, town.anna, town.numbers[1])
        assert (found.status_code, found.headers["location"]) == (303, "/me/certificates")
        listed = await browser.get("/me/certificates")
        for shown in (*town.numbers[:2], town.anna.name, "已撤销", "样本，无效力"):
            assert shown in listed.text
        for hidden in (town.berta.name, town.numbers[2], town.anna.id_number):
            assert hidden not in listed.text
        page = await browser.get(_path(town))
        assert "2026年5月23日" in page.text
        assert "May" not in page.text
        english = await browser.get(_path(town) + "?lang=en")
        assert "Download the PDF" in english.text
        assert '<html lang="en">' in english.text
        file = await browser.get(_one('href="(/me/files/[^"]+)"', page))
    assert file.headers["content-type"] == "application/pdf"
    assert file.headers["cache-control"] == "private, no-store"
    disposition = f'attachment; filename="{town.numbers[1]}.pdf"'
    assert file.headers["content-disposition"] == disposition
    async with town.world.connection() as connection:
        kept = await connection.fetchval(
            "select pdf_sha256 from certificate where number = $1", town.numbers[1]
        )
    assert hashlib.sha256(file.content).digest() == kept


async def test_every_wrong_proof_is_one_answer_and_none_sooner_than_another(
    visited: Visited, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, anna = visited.town, visited.town.anna
    monkeypatch.setattr(candidates, "FIND_SECONDS_MIN", 0.3)
    wrong = [
        {"id_number": rows(1, serial=77)[0].id_number},
        {"name": town.berta.name},
        {"second": town.numbers[2]},
        {"second": WRONG},
    ]
    answers, seconds = [], []
    async with visited.browse() as browser:

        async def ask(changed: dict[str, str]) -> None:
            began = time.perf_counter()
            answer = await visited.find(browser, anna, town.numbers[1], **changed)
            seconds.append(time.perf_counter() - began)
            text = answer.text.replace(changed.get("name", anna.name), "")
            answers.append((answer.status_code, text, "set-cookie" in answer.headers))

        await asyncio.gather(*map(ask, wrong))
        began = time.perf_counter()
        assert (await visited.find(browser, anna, town.numbers[1])).status_code == 303
        seconds.append(time.perf_counter() - began)
    assert len(set(answers)) == 1
    assert answers[0][0] == 200
    assert "没有查到相符的证书" in answers[0][1]
    assert not answers[0][2]
    assert min(seconds) >= 0.29


async def test_a_slip_is_told_at_its_field_and_no_number_comes_back(visited: Visited) -> None:
    anna = visited.town.anna
    typed = anna.id_number[:-1] + ("1" if anna.id_number[-1] != "1" else "2")
    async with visited.browse() as browser:
        for name, fields in {
            "id_number": {"name": anna.name, "id_number": typed, "second": "1"},
            "second": {"name": anna.name, "id_number": anna.id_number},
            "name": {"id_number": anna.id_number, "second": "1"},
        }.items():
            answer = await browser.post("/me", data=fields)
            assert answer.status_code == 400
            assert f'<a href="#{name}">' in answer.text
            assert f'aria-invalid="true" aria-describedby="{name}-slip"' in answer.text
            assert answer.text.count("aria-invalid") == 1
            assert typed not in answer.text
            assert anna.id_number not in answer.text
        for rubbish in ({}, {"name": ["a", "b"]}, {"name": "<script>", "id_number": "\0"}):
            answer = await browser.post("/me", data=rubbish)
            assert answer.status_code == 400
            assert "<script>" not in answer.text
        answer = await browser.post("/me", content=b"\xff=%FF", headers={"content-type": "x"})
        assert answer.status_code in (400, 415)


@pytest.mark.parametrize("factor", SecondFactor)
async def test_the_second_factor_is_what_is_set(
    town: Town, factor: SecondFactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "FIND_SECONDS_MIN", 0)
    settings = msgspec.structs.replace(town.world.settings, second_factor=factor.value)
    number, phone = town.numbers[1], str(town.anna.phone)[-4:]
    works = {
        SecondFactor.EITHER: {number, phone},
        SecondFactor.NUMBER: {number},
        SecondFactor.PHONE: {phone},
        SecondFactor.NONE: {number, phone, ""},
    }[factor]
    async with wiring.site(settings, town.world.address) as site, _visit(site)() as browser:
        asked = await browser.get("/me")
        assert ('name="second"' in asked.text) is (factor is not SecondFactor.NONE)
        for second in (number, phone, ""):
            fields = {"name": town.anna.name, "id_number": town.anna.id_number, "second": second}
            answer = await browser.post("/me", data=fields)
            assert (answer.status_code == 303) is (second in works)


async def test_the_public_face_needs_the_look_up_key_and_no_other(
    town: Town, tmp_path: Path
) -> None:
    mounted = tmp_path / "mounted"
    (mounted / "secrets").mkdir(parents=True, mode=0o700)
    shutil.copy2(Path(town.world.settings.keys) / "secrets" / "lookup.key", mounted / "secrets")
    settings = msgspec.structs.replace(town.world.settings, keys=str(mounted))
    async with wiring.site(settings, town.world.address) as site:
        visited = Visited(town, site, _visit(site))
        async with visited.signed_in() as browser:
            assert town.numbers[1] in (await browser.get("/me/certificates")).text
    with pytest.raises(KeyMissing):
        wiring.vault(settings)


# Sessions and forms.


async def test_the_cookie_is_out_of_reach_and_bound_to_tls_where_there_is_any(
    visited: Visited,
) -> None:
    town = visited.town
    for scheme, name, secure in (("http", "me", False), ("https", "__Host-me", True)):
        async with visited.browse(scheme=scheme) as browser:
            found = await visited.find(browser, town.anna, town.numbers[1])
            cookie = found.headers["set-cookie"]
            assert cookie.startswith(f"{name}=")
            parts = {part.strip().lower() for part in cookie.split(";")[1:]}
            assert {"httponly", "samesite=strict", "path=/"} <= parts
            assert not any(part.startswith("max-age") for part in parts)
            assert ("secure" in parts) is secure
            assert len(cookie.split(";")[0]) >= 43
            assert (await browser.get("/me/certificates")).status_code == 200


async def test_a_session_that_somebody_planted_is_never_ones_own(visited: Visited) -> None:
    town = visited.town
    async with visited.browse() as browser, visited.browse() as thief:
        for one in (browser, thief):
            one.cookies.set("me", TOKEN)
        await visited.find(browser, town.anna, town.numbers[1])
        assert browser.cookies.get("me", domain="test.local") != TOKEN
        assert (await thief.get("/me/certificates")).headers["location"] == "/me?over=1"


async def test_a_new_proof_ends_the_session_before(visited: Visited) -> None:
    town = visited.town
    async with visited.signed_in() as browser, visited.browse() as kept:
        kept.cookies.update(browser.cookies)
        assert (await kept.get("/me/certificates")).status_code == 200
        await visited.find(browser, town.anna, town.numbers[1])
        assert (await kept.get("/me/certificates")).status_code == 303
        assert (await browser.get("/me/certificates")).status_code == 200


async def test_signing_out_ends_the_session_everywhere(visited: Visited) -> None:
    async with visited.signed_in() as browser, visited.browse() as kept:
        kept.cookies.update(browser.cookies)
        token = _form_token(await browser.get("/me/certificates"))
        ended = await browser.post("/me/end", data={"form_token": token})
        assert (ended.status_code, ended.headers["location"]) == (303, "/me")
        assert "max-age=0" in ended.headers["set-cookie"].lower()
        again = await kept.get("/me/certificates")
        assert again.headers["location"] == "/me?over=1"
        assert "请重新查找" in (await kept.get("/me?over=1")).text


async def test_whoever_is_known_already_is_led_on_from_the_form(visited: Visited) -> None:
    async with visited.signed_in() as browser, visited.browse() as other:
        for one, known in ((browser, True), (other, False)):
            page = await one.get("/me?lang=en")
            assert ('href="/me/certificates?lang=en"' in page.text) is known
            assert 'name="id_number"' in page.text


async def test_a_host_that_cannot_be_meant_is_no_fault(visited: Visited) -> None:
    path = _path(visited.town)
    async with visited.signed_in() as browser:
        await _share(browser, path)
        for host in ("a:b", "a:99999999", ""):
            page = await browser.get(path, headers={"host": host})
            assert page.status_code == 200


async def test_two_holders_at_once_see_only_their_own(visited: Visited) -> None:
    town = visited.town
    async with visited.signed_in() as anna, visited.signed_in(town.berta) as berta:
        pages = await asyncio.gather(
            *(one.get("/me/certificates") for one in (anna, berta) for _ in range(5))
        )
    assert all((town.berta.name in page.text) is (place >= 5) for place, page in enumerate(pages))
    assert all((town.anna.name in page.text) is (place < 5) for place, page in enumerate(pages))


async def test_only_a_form_of_this_very_session_changes_anything(visited: Visited) -> None:
    town, path = visited.town, _path(visited.town)
    changes = {
        f"{path}/share": {"days": "7"},
        f"{path}/unshare": {"share_id": "1"},
        f"{path}/report": {"field": "name", "proposal": "王伟"},
        "/me/end": {},
    }
    async with visited.signed_in() as browser, visited.signed_in(town.berta) as other:
        await _share(browser, path)
        own = _form_token(await browser.get(path))
        foreign = _form_token(await other.get("/me/certificates"))
        tries: list[tuple[dict[str, str], dict[str, str]]] = [
            ({}, {}),
            ({"form_token": ""}, {}),
            ({"form_token": foreign}, {}),
            ({"form_token": own[:-1]}, {}),
            ({"form_token": own}, {"sec-fetch-site": "cross-site"}),
            ({"form_token": own}, {"sec-fetch-site": "same-site"}),
        ]
        for change, fields in changes.items():
            for token, headers in tries:
                answer = await browser.post(change, data=fields | token, headers=headers)
                assert answer.status_code == 403, (change, token, headers)
            asked = await browser.get(change)
            back = (303, path) if path in change else (405, None)
            assert (asked.status_code, asked.headers.get("location")) == back
        cross = {"sec-fetch-site": "cross-site"}
        claim = {"name": town.anna.name, "id_number": town.anna.id_number}
        assert (await browser.post("/me", data=claim, headers=cross)).status_code == 403
        page = await browser.get(path)
        assert page.text.count("http://test/s/") == 1
        assert "待受理" not in page.text
        for change, fields in changes.items():
            answer = await browser.post(change, data=fields | {"form_token": own})
            assert answer.status_code == 303, change


# What is not one's own.


async def test_another_holders_certificate_does_not_exist(visited: Visited) -> None:
    town = visited.town
    bertas = _path(town, 2)
    async with visited.signed_in() as anna, visited.signed_in(town.berta) as berta:
        link = await _share(berta, bertas)
        share_id = _one('name="share_id" value="([0-9]+)"', await berta.get(bertas))
        own = _form_token(await anna.get("/me/certificates"))
        ticket = _one('href="/me/files/[^/]+/([^"]+)"', await anna.get(_path(town)))
        for path, fields in (
            (f"{bertas}/share", {"days": "7"}),
            (f"{bertas}/unshare", {"share_id": share_id}),
            (f"{_path(town)}/unshare", {"share_id": share_id}),
            (f"{bertas}/report", {"field": "name", "proposal": "王伟"}),
            (f"{bertas}/report", {"field": "name", "proposal": ""}),
            ("/me/certificates/0000000000000000/share", {"days": "7"}),
        ):
            answer = await anna.post(path, data=fields | {"form_token": own})
            assert answer.status_code == 404, path
            assert town.berta.name not in answer.text
        assert (await anna.get(bertas)).status_code == 404
        stolen = await anna.get(f"/me/files/{town.public_ids[2]}/{ticket}")
        assert stolen.status_code == 403
        assert (await anna.get(link)).status_code == 200
        assert "待受理" not in (await berta.get(bertas)).text


async def test_rubbish_in_a_form_is_refused(visited: Visited) -> None:
    path = _path(visited.town)
    async with visited.signed_in() as browser:
        own = {"form_token": _form_token(await browser.get(path))}
        for days in ("", "8", "0", "-7", "٧", "9" * 99, "7.0"):
            answer = await browser.post(f"{path}/share", data=own | {"days": days})
            assert answer.status_code == 400, days
        for share_id in ("", "x", "-1", "9" * 19):
            answer = await browser.post(f"{path}/unshare", data=own | {"share_id": share_id})
            assert answer.status_code == 400, share_id
        for odd in ("%00", "%ff", "%F0%9F%98%80", "..%2f..", "a" * 5000, "'--"):
            for method, address in (
                ("GET", f"/s/{odd}"),
                ("GET", f"/s/{odd}/file"),
                ("GET", f"/me/files/{odd}/{odd}"),
                ("GET", f"/me/certificates/{odd}"),
                ("POST", f"/me/certificates/{odd}/share"),
                ("POST", f"/me/certificates/{odd}/report"),
            ):
                fields = own | {"days": "7", "field": "name", "proposal": "王伟"}
                answer = await browser.request(
                    method, address, data=fields if method == "POST" else None
                )
                assert answer.status_code in (400, 403, 404), (method, address)
        large = own | {"field": "name", "proposal": "王" * 20_000}
        assert (await browser.post(f"{path}/report", data=large)).status_code == 413


# Downloads.


async def test_a_download_link_that_is_over_or_changed_is_a_page(visited: Visited) -> None:
    town, public_id = visited.town, visited.town.public_ids[0]
    now = datetime.datetime.now(datetime.UTC)
    over = portal.sign_ticket(town.lookup, public_id, now - 11 * MINUTES)
    live = portal.sign_ticket(town.lookup, public_id, now)
    async with visited.browse() as browser:
        revoked = await browser.get(f"/me/files/{public_id}/{live}")
        assert revoked.content.startswith(b"%PDF-")  # still its holder's own
        for ticket, status in ((over, 410), (live.swapcase(), 403), (f"9{live}", 403), ("x", 403)):
            answer = await browser.get(f"/me/files/{public_id}/{ticket}")
            assert (answer.status_code, "下载链接" in answer.text) == (status, True)
            assert b"%PDF" not in answer.content
        unknown = portal.sign_ticket(town.lookup, "0" * 16, now)
        assert (await browser.get(f"/me/files/{'0' * 16}/{unknown}")).status_code == 404


async def test_a_lost_file_is_told_and_logged_by_its_digest(
    visited: Visited, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    empty = msgspec.structs.replace(visited.site, objects=Objects.open(tmp_path / "empty"))
    async with visited.signed_in() as browser, _visit(empty)() as elsewhere:
        page = await browser.get(_path(visited.town))
        lost = await elsewhere.get(_one('href="(/me/files/[^"]+)"', page))
    assert lost.status_code == 503
    assert "candidates:file:lost" in caplog.text


# Share links.


async def test_an_employer_sees_the_full_name_and_the_holder_how_often(visited: Visited) -> None:
    town, path = visited.town, _path(visited.town)
    async with visited.signed_in() as browser, visited.browse(address="192.0.2.9") as employer:
        link = await _share(browser, path)
        for _ in range(3):
            shown = await employer.get(link)
            assert (shown.status_code, town.anna.name in shown.text) == (200, True)
        assert town.numbers[1] in shown.text
        assert town.anna.id_number not in shown.text
        assert shown.headers["referrer-policy"] == "no-referrer"
        file = await employer.get(_one('href="(/s/[^"]+/file)"', shown))
        assert file.content.startswith(b"%PDF-")
        english = await employer.get(f"{link}?lang=en")
        assert "Download the PDF" in english.text
        page = await browser.get(path)
        assert "被打开 4 次" in page.text
        assert "192.0.2.9" not in page.text


async def test_a_bad_standing_beats_a_share_link(visited: Visited) -> None:
    town, path = visited.town, _path(visited.town)
    async with visited.signed_in() as browser, visited.browse() as employer:
        link = await _share(browser, path)
        for standing, word in (
            ("revoked", "已撤销"), ("cancelled", "已注销"), ("suspended", "暂扣中"),
            ("replaced", "已被替代"),
        ):  # fmt: skip
            await execute(
                town.world,
                "update certificate set standing = $1 where number = $2",
                standing,
                town.numbers[1],
            )
            shown = await employer.get(link)
            assert (shown.status_code, word in shown.text) == (200, True)
            assert "/file" not in shown.text
            given = await employer.get(f"{link}/file")
            assert (given.status_code, given.headers["location"]) == (303, link)
            mine = await browser.get(path)
            assert (word in mine.text, "/me/files/" in mine.text) == (True, True)
            assert f'action="{path}/share"' not in mine.text


async def test_a_correction_replaces_what_was_shared(visited: Visited) -> None:
    town, path, number = visited.town, _path(visited.town), visited.town.numbers[1]
    async with visited.signed_in() as browser, visited.browse() as employer:
        link = await _share(browser, path)
        await _correct(town, Correction(name="王伟"))
        shown = await employer.get(link)
        assert ("已被替代" in shown.text, "第 2 版" in shown.text) == (True, True)
        assert "第 2 版" in (await browser.get(path)).text
        listed = await browser.get("/me/certificates")
        assert listed.text.count(number) == 2
        assert "王伟" in listed.text
        newest = _one('href="(/me/certificates/[^"]+)"', listed)
        assert newest != path
        file = await browser.get(_one('href="(/me/files/[^"]+)"', await browser.get(newest)))
        assert file.content.startswith(b"%PDF-")
    for name in (town.anna.name, "王伟"):
        assert await town.proven(name, town.anna.id_number, number)


async def test_a_corrected_document_finds_its_holder_by_the_same_phone(visited: Visited) -> None:
    town = visited.town
    anna, phone = town.anna, str(town.anna.phone)[-4:]
    right = invented.resident_id(anna.born_on, 2)
    assert not await town.proven(anna.name, right, phone)
    await _correct(town, Correction(id_number=right))
    async with visited.signed_in() as browser:
        old = (await browser.get(_path(town))).text
    assert ("这是旧版。" in old, "第 1 版" in old) == (True, False)
    assert await town.proven(anna.name, right, phone)
    assert await town.proven(anna.name, right, town.numbers[1])
    assert not await town.proven(anna.name, right, town.numbers[0])


async def _correct(town: Town, correction: Correction) -> None:
    """Let two persons of Mianyang correct Anna's certificate there, and issue it again."""
    world, number = town.world, town.numbers[1]
    change_id = await test_changes.ask(
        world, number, Kind.CORRECT, correction, by=f"operator-{MIANYANG}"
    )
    await test_changes.confirm(world, change_id, by=f"reviewer-{MIANYANG}")
    await world.issue()


async def test_an_unknown_an_expired_and_a_revoked_link_are_one_answer(visited: Visited) -> None:
    path = _path(visited.town)
    async with visited.signed_in() as browser, visited.browse() as employer:
        expired, revoked = [await _share(browser, path), ""]
        await execute(visited.town.world, "update share_link set expires_at = now()")
        revoked = await _share(browser, path)
        own = _form_token(await browser.get(path))
        share_id = _one('name="share_id" value="([0-9]+)"', await browser.get(path))
        fields = {"form_token": own, "share_id": share_id}
        assert (await browser.post(f"{path}/unshare", data=fields)).status_code == 303
        gone = [
            await employer.get(address + ending)
            for address in (expired, revoked, f"/s/{TOKEN}", "/s/" + "A" * 22)
            for ending in ("", "/file")
        ]
        assert {(one.status_code, one.text) for one in gone} == {(404, gone[0].text)}
        assert "已经失效" in gone[0].text
        assert "已失效" in (await browser.get(path)).text


async def test_the_sixth_link_is_refused_with_a_page(visited: Visited) -> None:
    path = _path(visited.town)
    async with visited.signed_in() as browser:
        own = {"form_token": _form_token(await browser.get(path)), "days": "90"}
        made = [await browser.post(f"{path}/share", data=own) for _ in range(6)]
    assert [one.status_code for one in made] == [303] * 5 + [409]
    assert "5 个有效的分享链接" in made[-1].text


# Reports.


async def test_a_report_is_mended_sent_and_shown(visited: Visited) -> None:
    path = _path(visited.town)
    async with visited.signed_in() as browser:
        own = {"form_token": _form_token(await browser.get(path))}
        number = visited.town.berta.id_number
        for field, proposal, slip in (
            ("", "王伟", "field"), ("score", "90", "field"), ("name", "", "proposal"),
            ("name", " \n ", "proposal"), ("name", "王" * 201, "proposal"),
            ("name", f"我的号码 {number}", "proposal"), ("name", "王\u0007伟", "proposal"),
        ):  # fmt: skip
            fields = own | {"field": field, "proposal": proposal}
            answer = await browser.post(f"{path}/report", data=fields)
            assert answer.status_code == 400
            assert f'id="{slip}-slip"' in answer.text
        told = await browser.post(
            f"{path}/report", data=own | {"field": "name", "proposal": number}
        )
        assert "不要填写证件号码" in told.text
        assert number not in told.text
        rare = "\U00031350"  # newer than Python's tables
        fields = own | {"field": "name", "proposal": f"应为 \u202d<b>王伟{rare}</b>\u202c"}
        sent = await browser.post(f"{path}/report?lang=en", data=fields)
        assert sent.headers["location"] == f"{path}?lang=en#reports"
        assert f"应为 &lt;b&gt;王伟{rare}&lt;/b&gt;" in (await browser.get(path)).text
        for _ in range(2):
            await browser.post(f"{path}/report", data=fields)
        full = await browser.post(f"{path}/report", data=fields)
        assert (full.status_code, "3 条待受理" in full.text) == (409, True)


# Limits and logs.


async def test_questions_are_limited_by_address_and_by_person(visited: Visited) -> None:
    town, anna = visited.town, visited.town.anna
    rates = dict(limits.RATES) | {
        Rule.FIND: Rate(3, 600, guessed=True),
        Rule.FIND_PERSON: Rate(5, 3600, guessed=True, shared=True),
        Rule.SHARE: Rate(2, 60),
    }
    site = msgspec.structs.replace(visited.site, limits=Limiter(rates=rates))
    browse = _visit(site)
    async with browse(address="192.0.2.1") as one, browse(address="192.0.2.2") as other:
        for _ in range(4):  # a slip guesses nothing
            slip = await visited.find(one, anna, WRONG, id_number="1")
            assert slip.status_code == 400
        for status in (200, 200, 200, 429):
            assert (await visited.find(one, anna, WRONG)).status_code == status
        for status in (200, 200, 429):
            answer = await visited.find(other, anna, WRONG)
            assert answer.status_code == status
        assert "retry-after" in answer.headers
        for status in (404, 404, 429):
            assert (await other.get(f"/s/{TOKEN}")).status_code == status
    async with browse(address="192.0.2.3") as third:
        assert (await visited.find(third, anna, town.numbers[1])).status_code == 429
        berta = await visited.find(third, town.berta, town.numbers[2])
        assert berta.status_code == 303


async def test_the_digits_of_a_phone_can_be_tried_few_times_and_the_number_still_opens(
    visited: Visited,
) -> None:
    town, anna = visited.town, visited.town.anna
    rates = dict(limits.RATES) | {Rule.FIND_PHONE: Rate(2, 86400, guessed=True, shared=True)}
    site = msgspec.structs.replace(visited.site, limits=Limiter(rates=rates))
    async with _visit(site)() as browser:
        for digits, status in (("0001", 200), ("０００２", 200), (" 00 03", 429)):
            assert (await visited.find(browser, anna, digits)).status_code == status
        assert (await visited.find(browser, anna, town.numbers[0])).status_code == 303


async def test_no_name_number_or_token_is_logged_and_none_stands_in_an_address(
    visited: Visited, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    town, path = visited.town, _path(visited.town)
    async with visited.signed_in() as browser:
        link = await _share(browser, path)
        page = await browser.get(path)
        file = _one('href="(/me/files/[^"]+)"', page)
        await browser.get(link)
        await browser.get(file)
        await browser.get(file + "x")
        await visited.find(browser, town.anna, WRONG)
        own = _form_token(await browser.get(path))
        await browser.post(
            f"{path}/report", data={"form_token": own, "field": "name", "proposal": "王伟"}
        )
        session = browser.cookies["me"]
    ours = [record for record in caplog.records if not record.name.startswith("http")]
    said = "".join(record.getMessage() for record in ours) + "".join(capfd.readouterr())
    for secret in (
        town.anna.name, town.anna.id_number, str(town.anna.phone), town.public_ids[1],
        session, own, link.removeprefix("/s/"), file.rpartition("/")[2], "王伟",
    ):  # fmt: skip
        assert secret not in said
    for address in re.findall('(?:href|action)="([^"]+)"', page.text):
        for personal in (town.anna.name, town.anna.id_number, town.numbers[1], session):
            assert personal not in address
