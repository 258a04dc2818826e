"""The pictures of the README: `python -m tests.screenshots` writes them to docs/pages."""

from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from bench.world import world
from tests.served import serving
from tests.test_pages import PHONE, altered, launch

FOLDER = Path(__file__).parent.parent / "docs" / "pages"
COLOUR_COUNT = 64


def write() -> None:
    """Picture the first page and three verdicts on a phone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with world() as made, serving(made) as served, sync_playwright() as playwright:
        valid, revoked = served.shown["valid"], served.shown["revoked"]
        browser = launch(playwright)
        page = browser.new_page(
            base_url=served.url,
            viewport={"width": PHONE[0], "height": PHONE[1]},
            device_scale_factor=2,
        )
        for name, path in {
            "home": "/",
            "valid": f"/v/{valid.public_id}#{valid.digits}",
            "revoked": f"/v/{revoked.public_id}#{revoked.digits}",
            "altered": f"/v/{valid.public_id}?#{altered(valid)}",
        }.items():
            page.goto(path)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=FOLDER / f"{name}.png")
            with Image.open(FOLDER / f"{name}.png") as picture:
                few = picture.convert("RGB").quantize(COLOUR_COUNT)
            few.save(FOLDER / f"{name}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    write()
