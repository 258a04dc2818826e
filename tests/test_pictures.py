"""Pictures of genuine certificates, as scanners and phones make them, and pictures of nothing."""

import io
from collections.abc import Callable

import msgspec
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from service.checking.decision import Door
from signing import appearance
from tests import scans
from tests.attacks import Family, files, showing
from tests.world import World

EXPECTED = ("valid", "registered-picture")


class Place(msgspec.Struct, frozen=True):
    world: World
    ours: files.Ours


@pytest.fixture(scope="module")
async def place(shared_world: World) -> Place:
    folder = shared_world.settings.var.with_name("others")
    return Place(shared_world, await showing.issue(shared_world, folder))


def _turned(pdf: bytes, degrees: float) -> Image.Image:
    image = scans.page(pdf)
    way = Image.Resampling.BICUBIC
    return image.rotate(degrees, resample=way, expand=True, fillcolor="white")


def _blurred(pdf: bytes, radius: float) -> Image.Image:
    return scans.page(pdf).filter(ImageFilter.GaussianBlur(radius))


def _shaded(pdf: bytes) -> Image.Image:
    image = scans.photo(pdf)
    black = Image.new("RGB", image.size)
    shade = Image.linear_gradient("L").resize(image.size)
    return Image.blend(Image.composite(image, black, shade), image, 0.3)


def _two_frames(pdf: bytes) -> bytes:
    """Save as phones save a picture with more data for bright screens behind it."""
    output, image = io.BytesIO(), scans.page(pdf, 150)
    image.save(output, "MPO", save_all=True, append_images=[image.resize((99, 70))])
    return output.getvalue()


PICTURES: dict[str, Callable[[bytes], bytes]] = {
    "rendered at 150 dpi": lambda pdf: scans.png(scans.page(pdf, 150)),
    "rendered at 200 dpi": lambda pdf: scans.jpeg(scans.page(pdf)),
    "strongly compressed": lambda pdf: scans.jpeg(scans.page(pdf, 150), 25),
    "grey": lambda pdf: scans.png(scans.page(pdf, 150).convert("L")),
    "black and white": lambda pdf: scans.png(scans.page(pdf).convert("1")),
    "with a palette": lambda pdf: scans.png(scans.page(pdf).quantize(16)),
    "transparent": lambda pdf: scans.png(scans.page(pdf, 150).convert("RGBA")),
    "in print colours": lambda pdf: scans.jpeg(scans.page(pdf, 150).convert("CMYK")),
    "turned by 4 degrees": lambda pdf: scans.jpeg(_turned(pdf, 4)),
    "turned by 37 degrees": lambda pdf: scans.jpeg(_turned(pdf, 37)),
    "on its side": lambda pdf: scans.jpeg(_turned(pdf, 90)),
    "upside down": lambda pdf: scans.jpeg(_turned(pdf, 181)),
    "blurred": lambda pdf: scans.jpeg(_blurred(pdf, 1)),
    "badly blurred": lambda pdf: scans.jpeg(_blurred(pdf, 1.5)),
    "pale": lambda pdf: scans.jpeg(ImageEnhance.Contrast(scans.page(pdf, 150)).enhance(0.15)),
    "dark": lambda pdf: scans.jpeg(ImageEnhance.Brightness(scans.page(pdf, 150)).enhance(0.2)),
    "photographed": lambda pdf: scans.jpeg(scans.photo(pdf)),
    "photographed in the dark": lambda pdf: scans.jpeg(scans.photo(pdf, light=0.25)),
    "photographed in shade": lambda pdf: scans.jpeg(_shaded(pdf)),
    "photographed into a PDF": lambda pdf: scans.scanned(scans.photo(pdf), 300),
    "photographed askew": lambda pdf: scans.jpeg(scans.photo(pdf, tilt=0.3)),
    "photographed turned": lambda pdf: scans.jpeg(scans.photo(pdf, turn=12)),
    "photographed from afar": lambda pdf: scans.jpeg(scans.photo(pdf, share=0.6)),
    "photographed by 20 megapixels": lambda pdf: scans.jpeg(
        scans.photo(pdf, width=5200, height=3900, blur=2)
    ),
    "with more frames, as phones write": _two_frames,
    "scanned into a PDF": lambda pdf: scans.scanned(scans.page(pdf)),
    "scanned grey into a PDF": lambda pdf: scans.scanned(scans.page(pdf).convert("L")),
    "scanned into two pages": lambda pdf: _two_pages(scans.page(pdf, 150)),
}
DOOR = (
    "rendered at 150 dpi",
    "photographed turned",
    "scanned into a PDF",
    "scanned into two pages",
    "with more frames, as phones write",
    "photographed by 20 megapixels",
)


def _two_pages(image: Image.Image) -> bytes:
    output = io.BytesIO()
    image.save(output, "PDF", resolution=150, save_all=True, append_images=[_blank(image)])
    return output.getvalue()


def _blank(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size, "white")


@pytest.mark.parametrize("name", PICTURES)
async def test_the_code_of_a_picture_is_read(place: Place, name: str) -> None:
    assert _read(PICTURES[name](place.ours.pdf)) == place.ours.qr_text


async def test_a_picture_is_answered_through_its_code_and_said_to_be_a_picture(
    place: Place,
) -> None:
    family = Family("pictures")
    for name in DOOR:
        family.add(name, "", EXPECTED, lambda ours, make: make(ours.pdf), PICTURES[name])
    async with showing.jail() as examiner:
        judged = await showing.judge(place.world, examiner, place.ours, family.attacks)
    for one in judged:
        assert one.said == EXPECTED, one.attack.name
        assert one.verdict.door is Door.PICTURE
        assert one.verdict.number == place.ours.number
        assert set(one.verdict.compare) == {"name", "number", "project", "dates"}


async def test_a_picture_without_a_readable_code_shows_none(place: Place) -> None:
    pictures = {
        "blank": scans.jpeg(_blank(scans.page(place.ours.pdf, 150))),
        "tiny": scans.jpeg(scans.page(place.ours.pdf, 40)),
        "one pixel": scans.png(Image.new("L", (1, 1))),
        "one line": scans.png(Image.new("L", (30_000, 1))),
        "scan of nothing": scans.scanned(_blank(scans.page(place.ours.pdf, 150))),
        "cut off": scans.jpeg(scans.page(place.ours.pdf))[:50_000],
        "head alone": b"\xff\xd8\xff",
    }
    for name, content in pictures.items():
        assert _read(content) is None, name


@pytest.mark.parametrize("count", [appearance.PAGES_READ, appearance.PAGES_READ + 1])
async def test_a_scan_of_too_many_pages_is_a_document(place: Place, count: int) -> None:
    image, output = scans.page(place.ours.pdf, 150), io.BytesIO()
    more = [_blank(image)] * (count - 1)
    image.save(output, "PDF", resolution=150, save_all=True, append_images=more)
    assert appearance.read_page(output.getvalue()).picture is (count == appearance.PAGES_READ)


def _read(content: bytes) -> str | None:
    if appearance.is_picture(content):
        return appearance.read_picture(content)
    return appearance.read_page(content).qr_text
