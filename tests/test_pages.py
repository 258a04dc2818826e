"""The pages in a real browser: what a person sees, on a phone and on a desk, with and without."""

import datetime
import io
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pypdfium2
import pytest
import zxingcpp
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # no types
from PIL import Image
from playwright.sync_api import (
    Browser,
    FilePayload,
    Page,
    Playwright,
    Route,
    expect,
    sync_playwright,
)

from service.checking import decision
from service.web.pages import Language, Pages
from signing import token
from tests import programs
from tests.served import NAMES, Served, Shown, serving
from tests.world import World

HTML = "text/html; charset=utf-8"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
PHONE, NARROW, DESK = (360, 740), (320, 640), (1280, 800)
STATIC = Path(__file__).parent.parent / "templates" / "static"
VECTORS = Path(__file__).parent / "vectors"


@pytest.fixture(scope="module")
def served(shared_world: World) -> Iterator[Served]:
    programs.require("chromium", "chromium")
    with serving(shared_world) as served:
        yield served


@pytest.fixture(scope="module")
def browser(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for the module; its camera sees the valid certificate."""
    film = tmp_path_factory.mktemp("camera") / "certificate.mjpeg"
    film.write_bytes(close_up(served.shown["valid"].pdf))
    with sync_playwright() as playwright:
        yield launch(playwright, f"--use-file-for-fake-video-capture={film}")


def launch(playwright: Playwright, *arguments: str) -> Browser:
    """Start Chromium."""
    program = programs.require("chromium", "chromium")
    return playwright.chromium.launch(
        executable_path=program, args=[*ARGUMENTS, *arguments], chromium_sandbox=False
    )


Opening = Callable[..., Page]


@pytest.fixture
def opening(served: Served, browser: Browser) -> Iterator[Opening]:
    """Open pages that may ask nobody else and may make no mistake; a refusal is no mistake."""
    asked: list[str] = []
    mistakes: list[str] = []
    contexts = []

    def open_page(path: str = "/", size: tuple[int, int] = PHONE, **options: Any) -> Page:
        width, height = size
        context = browser.new_context(
            base_url=served.url, viewport={"width": width, "height": height}, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on("console", lambda said: mistakes.append(said.text) if is_mistake(said) else None)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith((served.url + "/", "blob:", "data:"))] == []
    assert mistakes == []


def is_mistake(said: Any) -> bool:
    return said.type == "error" and "Failed to load resource" not in said.text


def picture_of(pdf: bytes, kind: str, *, dots_per_inch: int = 150) -> bytes:
    """Photograph the face of a certificate."""
    image = pypdfium2.PdfDocument(pdf)[0].render(scale=dots_per_inch / 72).to_pil()
    written = io.BytesIO()
    image.convert("RGB").save(written, kind)
    return written.getvalue()


def a_file(name: str, content: bytes) -> FilePayload:
    kind = "image/jpeg" if name.endswith("jpg") else "application/pdf"
    return {"name": name, "mimeType": kind, "buffer": content}


def close_up(pdf: bytes) -> bytes:
    """Hold the QR code before a camera."""
    whole = Image.open(io.BytesIO(picture_of(pdf, "PNG", dots_per_inch=300)))
    found = zxingcpp.read_barcodes(whole)[0].position
    middle = ((found.top_left.x + found.bottom_right.x) // 2, found.top_left.y)
    left, top = middle[0] - 640, middle[1] - 120
    written = io.BytesIO()
    whole.crop((left, top, left + 1280, top + 720)).save(written, "JPEG", quality=90)
    return written.getvalue()


def altered(shown: Shown) -> str:
    """Write another last name into the statement of a certificate."""
    address, cose = token.from_text(shown.qr_text)
    assert address is not None
    forged = cose.replace(shown.name[-1].encode(), "伪".encode())
    return token.to_text(*address, forged)[1]


def shows(page: Page, word: str) -> None:
    expect(page.locator("#said h1")).to_contain_text(word)


# What a scanned code opens.


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_a_scanned_code_shows_the_full_name_and_leaves_the_address_bar(
    served: Served, opening: Opening, size: tuple[int, int]
) -> None:
    shown = served.shown["valid"]
    page = opening(f"/v/{shown.public_id}#{shown.digits}", size)
    shows(page, "真实有效")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    expect(page.locator("#local")).to_contain_text("没有发送给服务器")
    expect(page.locator("[data-step=statement-genuine]")).to_have_class("pass")
    assert page.url == f"{served.url}/v/{shown.public_id}"
    page.reload()
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)


def test_the_other_language_keeps_the_statement(served: Served, opening: Opening) -> None:
    shown = served.shown["valid"]
    page = opening(f"/v/{shown.public_id}#{shown.digits}")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    page.get_by_role("link", name="English").click()
    shows(page, "Genuine and valid")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    expect(page.locator("#local")).to_contain_text("not sent to the server")
    assert page.url == f"{served.url}/v/{shown.public_id}?lang=en"


def test_without_its_statement_or_without_script_a_name_stays_masked(
    served: Served, opening: Opening
) -> None:
    shown = served.shown["valid"]
    bare = opening(f"/v/{shown.public_id}")
    dumb = opening(f"/v/{shown.public_id}#{shown.digits}", java_script_enabled=False)
    for page in (bare, dumb):
        shows(page, "真实有效")
        expect(page.locator("[data-fact=name] dd")).to_contain_text("扎＊＊＊·＊＊＊＊")


def test_an_altered_statement_turns_the_page(served: Served, opening: Opening) -> None:
    shown = served.shown["valid"]
    page = opening(f"/v/{shown.public_id}#{altered(shown)}")
    shows(page, "已被改动")
    expect(page.locator("#facts")).to_contain_text(shown.number)
    expect(page.locator("#facts")).not_to_contain_text("扎＊")
    expect(page.locator("#compare")).to_have_count(0)
    page.get_by_label("持证人姓名").fill(shown.name)
    page.get_by_role("button", name="查验").click()
    shows(page, "真实有效")


def test_the_statement_of_another_certificate_turns_the_page(
    served: Served, opening: Opening
) -> None:
    page = opening(f"/v/{served.shown['valid'].public_id}#{served.shown['suspended'].digits}")
    shows(page, "已被改动")


def test_a_genuine_statement_at_another_address_is_told_from_an_altered_one(
    served: Served, browser: Browser
) -> None:
    shown = served.shown["valid"]
    page = browser.new_page()
    page.goto(f"{served.url.replace('localhost', '127.0.0.1')}/v/{shown.public_id}#{shown.digits}")
    shows(page, "已被改动")
    expect(page.locator("#said")).to_contain_text("可能是仿冒网站")
    page.close()


def test_a_genuine_statement_that_differs_from_the_register_turns_the_page(
    served: Served, opening: Opening
) -> None:
    shown = served.shown["valid"]
    page = opening("/", service_workers="block")

    def another_version(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('version="1"', 'version="2"'))

    page.route("**/v/*", another_version)
    page.goto(f"/v/{shown.public_id}#{shown.digits}")
    shows(page, "已被改动")
    expect(page.locator("#said")).to_contain_text("与登记不一致")
    expect(page.locator("[data-step=statement-genuine]")).to_have_class("pass")
    expect(page.locator("[data-step=agrees]")).to_have_class("fail")


def test_a_text_that_is_no_statement_is_not_green(served: Served, opening: Opening) -> None:
    shown = served.shown["valid"]
    shows(opening(f"/v/{shown.public_id}#12345"), "查无此证")
    shows(opening(f"/v/{shown.public_id}#wechat_redirect"), "真实有效")


@pytest.mark.parametrize(("standing", "word"), [("revoked", "已撤销"), ("suspended", "暂扣中")])
def test_a_bad_standing_beats_every_statement(
    served: Served, opening: Opening, standing: str, word: str
) -> None:
    shown = served.shown[standing]
    page = opening(f"/v/{shown.public_id}#{shown.digits}")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    shows(page, word)
    page = opening(f"/v/{shown.public_id}#{altered(shown)}")
    shows(page, word)
    expect(page.locator("[data-step=statement-genuine]")).not_to_have_class("pass")


def test_what_comes_back_out_of_the_browsers_memory_is_asked_again(
    served: Served, opening: Opening
) -> None:
    shown = served.shown["valid"]
    page = opening(f"/v/{shown.public_id}#{shown.digits}")
    expect(page.get_by_text(shown.name)).to_be_visible()
    served.run(stand(served, shown, "suspended"))
    try:
        page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
        expect(page.locator("#verdict")).to_have_class("suspended")
    finally:
        served.run(stand(served, shown, "valid"))


async def stand(served: Served, shown: Shown, standing: str) -> None:
    async with served.world.connection() as connection:
        await connection.execute(
            "update certificate set standing = $2 where public_id = $1", shown.public_id, standing
        )


def test_a_specimen_is_never_green(served: Served, opening: Opening) -> None:
    shown = served.shown["specimen"]
    page = opening(f"/v/{shown.public_id}#{shown.digits}")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    shows(page, "样本，无效力")


def test_a_picture_stays_a_picture_in_the_other_language(served: Served, opening: Opening) -> None:
    shown = served.shown["valid"]
    page = opening(f"/v/{shown.public_id}?picture#{shown.digits}")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    shows(page, "请逐项核对")
    page.get_by_role("link", name="English").click()
    shows(page, "compare every item")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    expect(page.locator(".banner.valid")).to_have_count(0)


def test_the_way_past_the_navigation_keeps_what_was_verified(
    served: Served, opening: Opening
) -> None:
    shown = served.shown["valid"]
    page = opening(f"/v/{shown.public_id}#{shown.digits}")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)


# Without network, or without the register.


NEEDED = ["/v/", "/static/statement.js", "/.well-known/jwks.json", "/status/0"]


def has_kept(page: Page) -> None:
    """Wait until the device has kept what it needs."""
    page.evaluate(
        """async (needed) => {
            const kept = (address) => caches.match(address);
            while (!(await Promise.all(needed.map(kept))).every(Boolean)) {
                await new Promise((resolve) => setTimeout(resolve, 20));
            }
        }""",
        NEEDED,
    )


def test_a_device_that_was_here_once_verifies_without_network(
    served: Served, opening: Opening
) -> None:
    shown = served.shown["valid"]
    page = opening(f"/v/{shown.public_id}#{shown.digits}")
    has_kept(page)
    page.context.set_offline(True)
    for standing, word in (("valid", "真实有效"), ("revoked", "已撤销"), ("suspended", "暂扣中")):
        seen = served.shown[standing]
        page.goto(f"/v/{seen.public_id}#{seen.digits}")
        shows(page, word)
        expect(page.locator("[data-fact=name] dd")).to_have_text(seen.name)
        expect(page.locator("#local")).to_contain_text("离线查验")
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", page.inner_text("#local"))
    page.goto(f"/v/{shown.public_id}#{altered(shown)}")
    shows(page, "已被改动")
    page.goto(f"/v/{shown.public_id}?lang=en")
    expect(page.locator("#waiting")).to_be_visible()


def test_without_a_fresh_list_nothing_is_called_valid(served: Served, opening: Opening) -> None:
    shown = served.shown["valid"]
    page = opening(f"/v/{shown.public_id}#{shown.digits}")
    has_kept(page)
    page.context.set_offline(True)
    later = "const now = Date.now; Date.now = () => now() + 13 * 3600e3"
    page.add_init_script(later)
    page.goto(f"/v/{shown.public_id}#{shown.digits}")
    shows(page, "无法判断")
    expect(page.locator("#local")).to_contain_text("不得而知")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    page.evaluate("caches.delete('qianfa-1')")


def test_without_network_and_keys_nothing_is_said_about_a_code(
    served: Served, opening: Opening
) -> None:
    shown = served.shown["valid"]
    page = opening(f"/v/{shown.public_id}#{shown.digits}")
    has_kept(page)
    page.context.set_offline(True)
    page.evaluate("caches.open('qianfa-1').then((kept) => kept.delete('/.well-known/jwks.json'))")
    page.goto(f"/v/{shown.public_id}#{altered(shown)}")
    shows(page, "无法判断")
    expect(page.locator("#local")).to_contain_text("请联网再查")
    expect(page.locator("#facts")).to_be_hidden()


def test_while_the_register_is_silent_the_device_asks_the_list(
    served: Served, opening: Opening
) -> None:
    shown = served.shown["revoked"]
    pages = Pages(STATIC.parent / "pages")
    silent = decision.Presented(door=decision.Door.ID, register_silent=True)
    verdict = decision.decide(silent, datetime.datetime.now(datetime.UTC))
    text = pages.render("verdict.html", Language.ZH, verdict=verdict)
    page = opening("/", service_workers="block")
    page.route("**/v/*", lambda route: route.fulfill(status=503, body=text, content_type=HTML))
    page.goto(f"/v/{shown.public_id}#{shown.digits}")
    shows(page, "已撤销")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    page.goto(f"/v/{served.shown['valid'].public_id}#{altered(served.shown['valid'])}")
    shows(page, "已被改动")


# The forms, with and without script.


@pytest.mark.parametrize("script", [True, False])
def test_a_number_and_a_name_are_answered(served: Served, opening: Opening, script: bool) -> None:
    shown = served.shown["valid"]
    page = opening(java_script_enabled=script)
    page.get_by_label("证书编号").fill(shown.number)
    page.get_by_label("持证人姓名").fill(shown.name)
    page.locator("#number button").click()
    shows(page, "真实有效")
    expect(page.locator("#facts")).to_contain_text(shown.name)
    page.get_by_role("button", name="English").click()
    shows(page, "Genuine and valid")
    expect(page.locator("#facts")).to_contain_text(shown.name)


def test_a_wrong_name_shows_nothing(served: Served, opening: Opening) -> None:
    shown = served.shown["valid"]
    page = opening()
    page.get_by_label("证书编号").fill(shown.number)
    page.get_by_label("持证人姓名").fill("王小明")
    page.locator("#number button").click()
    shows(page, "查无此证")
    assert shown.number not in page.inner_text("main")


@pytest.mark.parametrize("script", [True, False])
def test_a_pasted_text_is_answered(served: Served, opening: Opening, script: bool) -> None:
    shown = served.shown["valid"]
    page = opening(java_script_enabled=script)
    page.locator("#text summary").click()
    page.get_by_label("二维码的内容").fill(shown.qr_text)
    page.locator("#text button").click()
    shows(page, "真实有效")
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)
    assert ("/v/" in page.url) is script


@pytest.mark.parametrize("script", [True, False])
def test_files_and_photos_are_answered(served: Served, opening: Opening, script: bool) -> None:
    shown = served.shown["valid"]
    changed = shown.pdf + b"\n% a line more\n"
    for name, content, word in (
        ("genuine.pdf", shown.pdf, "真实有效"),
        ("changed.pdf", changed, "已被改动"),
        ("photo.jpg", picture_of(shown.pdf, "JPEG"), "请逐项核对"),
    ):
        page = opening(java_script_enabled=script)
        page.locator("input[type=file]").set_input_files(a_file(name, content))
        page.locator("#file button").click()
        shows(page, word)
        if word == "请逐项核对":
            expect(page.locator(".banner.picture")).to_have_count(1)
            expect(page.locator("#compare li")).to_have_count(4)  # no photo
            assert ("/v/" in page.url) is script


def test_a_file_is_dropped(served: Served, opening: Opening) -> None:
    page = opening("/", DESK)
    page.evaluate(
        """(bytes) => {
            const carried = new DataTransfer();
            const file = new File([new Uint8Array(bytes)], "a.pdf", { type: "application/pdf" });
            carried.items.add(file);
            const dropped = new DragEvent("drop", { dataTransfer: carried });
            document.querySelector(".drop").dispatchEvent(dropped);
        }""",
        list(served.shown["valid"].pdf),
    )
    shows(page, "真实有效")


def test_a_file_that_is_too_large_is_refused_before_and_after_it_is_sent(
    opening: Opening, tmp_path: Path
) -> None:
    large = tmp_path / "large.pdf"
    large.touch()
    os.truncate(large, (10 << 20) + 1)
    page = opening()
    page.locator("input[type=file]").set_input_files(large)
    expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("文件太大")
    os.truncate(large, 11 << 20)
    page = opening(java_script_enabled=False)
    page.locator("input[type=file]").set_input_files(large)
    page.locator("#file button").click()
    expect(page.locator("h1")).to_contain_text("文件太大")


def test_everything_can_be_done_with_the_keyboard_alone(served: Served, opening: Opening) -> None:
    shown = served.shown["valid"]
    page = opening()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    reach(page, "number")
    page.keyboard.type(shown.number)
    page.keyboard.press("Tab")
    page.keyboard.insert_text(shown.name)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    shows(page, "真实有效")
    page.evaluate("document.activeElement.blur()")
    reach(page, "")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#steps ol")).to_be_visible()


def reach(page: Page, name: str) -> None:
    """Press Tab until the field of that name has the focus."""
    for _ in range(20 if name else 0):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == name:
            return


# The camera.


def test_the_camera_reads_the_code_and_stops(served: Served, opening: Opening) -> None:
    shown = served.shown["valid"]
    page = opening()
    page.get_by_role("button", name="打开相机扫码").click()
    page.wait_for_url(f"**/v/{shown.public_id}", timeout=20_000)
    expect(page.locator("[data-fact=name] dd")).to_have_text(shown.name)


def test_a_camera_that_may_not_be_used_says_what_else_to_do(opening: Opening) -> None:
    page = opening()
    page.evaluate(
        """() => {
            const refused = new DOMException("no", "NotAllowedError");
            navigator.mediaDevices.getUserMedia = async () => { throw refused };
        }"""
    )
    page.get_by_role("button", name="打开相机扫码").click()
    expect(page.locator("#camera [role=status]")).to_contain_text("许可")
    page.get_by_role("button", name="关闭相机").click()
    expect(page.get_by_role("button", name="打开相机扫码")).to_be_focused()


def test_the_code_of_another_site_is_not_followed(served: Served, opening: Opening) -> None:
    page = opening()
    page.evaluate(
        """() => {
            window.BarcodeDetector = class {
                static getSupportedFormats = async () => ["qr_code"];
                detect = async () => [{ rawValue: "https://evil.example/v/0123456789abcdef#1" }];
            };
        }"""
    )
    page.get_by_role("button", name="打开相机扫码").click()
    expect(page.locator("#camera [role=status]")).to_contain_text("不是本网站")
    assert page.url == f"{served.url}/"


# Every page.


def pages_of(served: Served) -> dict[str, str]:
    """Every kind of page that has an address."""
    shown = {standing: f"/v/{one.public_id}#{one.digits}" for standing, one in served.shown.items()}
    valid = served.shown["valid"]
    return shown | {
        "home": "/",
        "english": "/?lang=en",
        "picture": f"/v/{valid.public_id}?picture",
        "unknown": "/v/0123456789abcdef",
        "altered": f"/v/{valid.public_id}#{altered(valid)}",
        "shell": "/v/",
        "missing": "/nothing",
    }


def fits(page: Page) -> None:
    """Look for what does not fit a small phone, and for what axe finds serious or worse."""
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
    found = Axe().run(page).response["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"]) for one in grave] == []


@pytest.mark.parametrize(
    "kind", [*NAMES, "home", "english", "picture", "unknown", "altered", "shell", "missing"]
)
def test_every_page_fits_a_small_phone_and_axe_finds_nothing_serious(
    served: Served, opening: Opening, kind: str
) -> None:
    page = opening(pages_of(served)[kind], NARROW)
    page.wait_for_load_state("networkidle")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    fits(page)


@pytest.mark.parametrize("kind", ["valid", "home"])
def test_a_page_all_that_it_loads_and_all_that_is_kept_is_under_60_kilobytes(
    served: Served, opening: Opening, kind: str
) -> None:
    asked = set()
    page = opening("about:blank")
    page.on("request", lambda request: asked.add(request.url.partition("#")[0]))
    page.goto(pages_of(served)[kind])
    kept = page.evaluate(
        """async () => {
            const cache = await caches.open("qianfa-1");
            let all = [];
            while (all.length < 9) all = await cache.keys();
            return all.map((one) => one.url);
        }"""
    )
    asked |= set(kept)
    sizes = {url: weigh(url) for url in asked}
    assert sum(sizes.values()) < 60_000, sizes


def weigh(url: str) -> int:
    """Ask as a browser does and count the bytes on the wire."""
    with httpx.stream("GET", url, headers={"accept-encoding": "gzip"}) as answer:
        return sum(len(part) for part in answer.iter_raw())


# Holders.


def test_a_holder_finds_downloads_and_shares_a_certificate(
    served: Served, opening: Opening
) -> None:
    shown = served.shown["valid"]
    page = opening("/me", NARROW)
    fits(page)
    page.get_by_label("姓名").fill(shown.name)
    page.locator("#id_number").fill(shown.id_number)
    page.locator("#second").fill(shown.number)
    page.get_by_role("button", name="查找").click()
    expect(page.locator("main")).to_contain_text(shown.number)
    fits(page)
    page.get_by_role("link", name="查看").click()
    fits(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="下载 PDF").click()
    assert download.value.path().read_bytes() == shown.pdf
    page.get_by_role("button", name="生成链接").click()
    address = page.locator("#shares textarea").input_value()
    employer = opening(address.removeprefix(served.url), NARROW)
    shows(employer, "真实有效")
    expect(employer.locator("#facts")).to_contain_text(shown.name)
    fits(employer)


def test_a_stranger_to_a_certificate_finds_nothing_in_english_either(
    served: Served, opening: Opening
) -> None:
    shown = served.shown["valid"]
    page = opening("/me?lang=en", java_script_enabled=False)
    page.get_by_label("Full name").fill("王小明")
    page.locator("#id_number").fill(shown.id_number)
    page.locator("#second").fill(shown.number)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("alert")).to_contain_text("No matching certificate")


def test_an_answer_is_printed_on_one_sheet_with_every_step(
    served: Served, opening: Opening
) -> None:
    page = opening(pages_of(served)["valid"])
    page.wait_for_load_state("networkidle")
    printed = pypdfium2.PdfDocument(page.pdf(format="A4"))
    assert len(printed) == 1
    text = printed[0].get_textpage().get_text_range()
    assert "真实有效" in text
    assert "查验时间" in text
    assert text.count("通过") == 4


# The script alone, on every test vector.


def test_the_pages_script_agrees_with_every_vector() -> None:
    node = programs.require("node", "nodejs")
    program: list[str | Path] = [node, Path(__file__).with_name("page_vectors.mjs")]
    given = [STATIC / "statement.js", VECTORS]
    result = subprocess.run([*program, *given], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
