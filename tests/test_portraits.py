"""Portraits: what comes out of any picture, that nothing but pixels does, and what gives none."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from PIL import Image, ImageChops, ImageStat
from PIL.PngImagePlugin import PngInfo

from service.ground.jail import Jail
from service.issuing.photos import pictures, taking
from service.issuing.photos.archives import Fault
from service.issuing.photos.pictures import Part, Portrait
from signing.frame import Frame
from tests import invented

FRAME = Frame(30, 66, 35, 49)
SIZE = (413, 579)
EVIL = b"<script>alert('EVIL')</script>"
UPRIGHT = invented.portrait(7, 826, 1158)
JPEG = invented.jpeg(UPRIGHT)


def png(image: Image.Image, **options: Any) -> bytes:
    output = io.BytesIO()
    image.save(output, "PNG", **({"compress_level": 1} | options))
    return output.getvalue()


def part(content: bytes, packed: bytes | None = None, **wrong: int) -> tuple[bytes, Part]:
    """One entry as it stands in an archive, stored if it is not packed, and what is told of it."""
    body = content if packed is None else packed
    entry = b"PK\3\4" + bytes(22) + struct.pack("<HH", 5, 3) + b"a.jpg" + b"ext" + body
    told = Part(len(entry), len(body), len(content), zlib.crc32(content), packed is not None)
    return entry, structs.replace(told, **wrong)


def draw(*contents: bytes) -> list[Portrait]:
    entries = [part(content) for content in contents]
    data = b"".join(entry for entry, _ in entries)
    return pictures.draw(data, [[*_told(one)] for _, one in entries], SIZE)


def _told(one: Part) -> tuple[Any, ...]:
    return one.length, one.packed, one.size, one.crc, one.deflated


def drawn(content: bytes) -> bytes:
    (one,) = draw(content)
    assert one.fault is None, one.fault
    return one.jpeg


def fault(content: bytes) -> Fault | None:
    (one,) = draw(content)
    assert bool(one.jpeg) is not bool(one.fault)
    return one.fault


def pixels(jpeg: bytes) -> Image.Image:
    with Image.open(io.BytesIO(jpeg)) as image:
        return image.convert("RGB")


def assert_alike(one: Image.Image, other: Image.Image, tolerance: float = 4) -> None:
    difference = ImageStat.Stat(ImageChops.difference(one, other))
    assert max(difference.mean) < tolerance, difference.mean


def segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Every marker with its content, that of the scan with all up to the next marker."""
    assert jpeg[:2] == b"\xff\xd8"
    at = 2
    while jpeg[at : at + 2] != b"\xff\xd9":
        assert jpeg[at] == 0xFF, at
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
        marker = jpeg[at + 1]
        if marker == 0xDA:
            while jpeg[end] != 0xFF or jpeg[end + 1] in (0, *range(0xD0, 0xD8)):
                end += 1
        yield marker, jpeg[at + 4 : end]
        at = end
    assert at + 2 == len(jpeg)  # nothing behind the end


def assert_plain(jpeg: bytes) -> None:
    """It is a baseline JPEG of three components, and every byte of it draws the picture."""
    found = list(segments(jpeg))
    markers = [marker for marker, _ in found]
    assert markers == [0xE0, 0xDB, 0xDB, 0xC0, 0xC4, 0xC4, 0xC4, 0xC4, 0xDA]
    assert found[0][1] == b"JFIF\0\1\1\1" + struct.pack(">HHBB", 300, 300, 0, 0)
    assert [len(content) for marker, content in found if marker == 0xDB] == [65, 65]
    assert found[3][1][:6] == struct.pack(">BHHB", 8, 579, 413, 3)
    for marker, content in found:
        if marker == 0xC4:
            assert len(content) == 17 + sum(content[1:17])
    assert FRAME.takes(jpeg)
    assert EVIL not in jpeg


GREY = UPRIGHT.convert("L")
GREY16 = Image.frombytes(
    "I;16", GREY.size, b"".join(struct.pack("<H", level * 257) for level in GREY.tobytes())
)
MODES = {
    "JPEG": JPEG,
    "progressive JPEG": invented.jpeg(UPRIGHT, progressive=True),
    "grey JPEG": invented.jpeg(GREY),
    "CMYK JPEG": invented.jpeg(UPRIGHT.convert("CMYK")),
    "JPEG without subsampling": invented.jpeg(UPRIGHT, subsampling=0),
    "PNG": png(UPRIGHT),
    "palette PNG": png(UPRIGHT.quantize(64)),
    "grey PNG": png(GREY),
    "PNG of 16 bits": png(GREY16),
    "grey PNG with alpha": png(Image.merge("LA", [GREY, Image.new("L", GREY.size, 255)])),
    "PNG with alpha": png(UPRIGHT.convert("RGBA")),
    "animated PNG": png(
        UPRIGHT, save_all=True, append_images=[Image.new("RGB", UPRIGHT.size, "red")]
    ),
}


@pytest.mark.parametrize("kind", MODES)
def test_every_kind_of_picture_becomes_the_one_form_and_looks_as_it_did(kind: str) -> None:
    jpeg = drawn(MODES[kind])
    assert_plain(jpeg)
    grey = "grey" in kind or "16" in kind
    shown = (GREY if grey else UPRIGHT).convert("RGB").resize(SIZE)
    assert_alike(pixels(jpeg), shown, tolerance=5)


def test_a_bilevel_picture_becomes_one_too() -> None:
    assert_plain(drawn(png(UPRIGHT.convert("1"))))


def with_segment(marker: int, content: bytes) -> bytes:
    return JPEG[:2] + bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content + JPEG[2:]


def with_chunk(kind: bytes, content: bytes, *, last: bool = False) -> bytes:
    picture = png(UPRIGHT)
    at = len(picture) - 12 if last else 33
    body = len(content).to_bytes(4) + kind + content
    chunk = body + zlib.crc32(kind + content).to_bytes(4)
    return picture[:at] + chunk + picture[at:]


_EXIF = Image.Exif()
_EXIF[0x010E] = EVIL.decode()
_EXIF.get_ifd(0x8825)[1] = "N"
_TEXT = PngInfo()
_TEXT.add_text("Comment", EVIL.decode())
_TEXT.add_text("zipped", EVIL.decode() * 9, zip=True)
_TEXT.add_itxt("XML:com.adobe.xmp", EVIL.decode())
_PROFILE = b"\0\0\2\0" + EVIL * 16
HIDING = {
    **{f"APP{n}": with_segment(0xE0 + n, EVIL) for n in (*range(1, 14), 15)},
    "comment": with_segment(0xFE, EVIL),
    "Exif": invented.jpeg(UPRIGHT, exif=_EXIF),
    "broken Exif": with_segment(0xE1, b"Exif\0\0MM\0*\0\0\0\10\xff\xff" + EVIL),
    "profile": invented.jpeg(UPRIGHT, icc_profile=_PROFILE),
    "comment by Pillow": invented.jpeg(UPRIGHT, comment=EVIL),
    "behind the end": JPEG + EVIL,
    "an archive behind the end": JPEG + b"PK\3\4" + EVIL,
    "PNG text": png(UPRIGHT, pnginfo=_TEXT),
    "PNG profile": png(UPRIGHT, icc_profile=_PROFILE),
    "PNG Exif": png(UPRIGHT, exif=_EXIF),
    "PNG chunk of nobody's": with_chunk(b"evIL", EVIL),
    "PNG chunk at the end": with_chunk(b"zzZz", EVIL, last=True),
    "behind the PNG": png(UPRIGHT) + EVIL,
}


@pytest.mark.parametrize("where", HIDING)
def test_nothing_but_pixels_survives(where: str) -> None:
    clean = png(UPRIGHT) if "PNG" in where else JPEG
    assert len(HIDING[where]) > len(clean)
    jpeg = drawn(HIDING[where])
    assert_plain(jpeg)
    assert jpeg == drawn(clean)


def test_equal_pictures_give_equal_bytes_in_any_company() -> None:
    one, other, again = draw(JPEG, png(GREY), JPEG)
    assert one == again != other


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("save", [invented.jpeg, png])
def test_a_picture_is_turned_as_the_camera_was_held(orientation: int, save: Any) -> None:
    undo = {value: key for key, value in pictures._TURNS.items()}
    back = {
        **{turn: turn for turn in Image.Transpose},
        Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
    }
    assert len(undo) == 7
    turn = pictures._TURNS.get(orientation)
    held = UPRIGHT if turn is None else UPRIGHT.transpose(back[turn])
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert_alike(pixels(drawn(save(held, exif=exif))), UPRIGHT.resize(SIZE))


def bands(width: int, height: int, *, across: bool) -> Image.Image:
    """A picture whose levels tell how far from the left, or from the top, they are."""
    ramp = Image.linear_gradient("L")
    return (ramp.rotate(90) if across else ramp).resize((width, height)).convert("RGB")


def test_what_is_too_wide_loses_both_sides_and_what_is_too_tall_mostly_its_foot() -> None:
    wide = pixels(drawn(png(bands(2000, 579, across=True))))
    share = 413 / 2000
    left, right = wide.getpixel((0, 300)), wide.getpixel((412, 300))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert sorted((left[0], right[0])) == pytest.approx(
        [255 * (1 - share) / 2, 255 * (1 + share) / 2], abs=3
    )
    tall = pixels(drawn(png(bands(413, 1158, across=False))))
    top, foot = tall.getpixel((200, 0)), tall.getpixel((200, 578))
    assert isinstance(top, tuple)
    assert isinstance(foot, tuple)
    assert (top[0], foot[0]) == pytest.approx((255 * 0.05, 255 * 0.55), abs=3)


def test_what_is_see_through_is_white() -> None:
    clear = UPRIGHT.convert("RGBA")
    clear.putalpha(0)
    half = Image.new("LA", (413, 579), (0, 128))
    marked = png(Image.new("L", (413, 579), 9), transparency=9)
    for content, level in ((png(clear), 255), (png(half), 127), (marked, 255)):
        assert ImageStat.Stat(pixels(drawn(content))).mean == pytest.approx([level] * 3, abs=2)


@pytest.mark.parametrize(("width", "height"), [(207, 290), (295, 413), (2000, 290), (207, 4000)])
def test_a_picture_of_150_dpi_is_enough(width: int, height: int) -> None:
    assert_plain(drawn(invented.jpeg(invented.portrait(1, width, height))))


@pytest.mark.parametrize(
    ("width", "height"), [(206, 290), (207, 288), (102, 126), (1, 1), (5000, 280), (200, 5000)]
)
def test_a_smaller_one_is_refused_with_its_size(width: int, height: int) -> None:
    (one,) = draw(invented.jpeg(invented.portrait(1, width, height)))
    assert one == Portrait(fault=Fault.TOO_SMALL, width=width, height=height)


def claiming(width: int, height: int) -> Iterator[bytes]:
    """A JPEG and a PNG that say they are larger than they are."""
    at = JPEG.index(b"\xff\xc0") + 5
    yield JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]
    head = struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    crc = zlib.crc32(b"IHDR" + head).to_bytes(4)
    yield png(UPRIGHT)[:12] + b"IHDR" + head + crc + png(UPRIGHT)[33:]


@pytest.mark.parametrize(
    ("width", "height", "faults"),
    [
        (10_000, 5_001, [Fault.PIXELS_MANY, Fault.PIXELS_MANY]),
        (65_000, 65_000, [Fault.PIXELS_MANY, Fault.PIXELS_MANY]),
        (5_001, 5_000, [None, Fault.PIXELS_MANY]),  # what a JPEG lacks is grey
        (0, 0, [Fault.DAMAGED, Fault.DAMAGED]),
    ],
)
def test_a_picture_with_too_many_pixels_is_never_decoded(
    width: int, height: int, faults: list[Fault | None]
) -> None:
    assert [fault(one) for one in claiming(width, height)] == faults


BROKEN = {
    "cut JPEG": (JPEG[: len(JPEG) // 2], Fault.DAMAGED),
    "cut PNG": (png(UPRIGHT)[:-5000], Fault.DAMAGED),
    "head of a JPEG": (JPEG[:20], Fault.DAMAGED),
    "head of a PNG": (png(UPRIGHT)[:20], Fault.DAMAGED),
    "nothing but marks": (b"\xff\xd8\xff" * 1000, Fault.DAMAGED),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(400), Fault.FORMAT_UNKNOWN),
    "GIF": (b"GIF89a" + bytes(400), Fault.FORMAT_UNKNOWN),
    "WebP": (b"RIFF\0\0\0\0WEBPVP8 " + bytes(400), Fault.FORMAT_UNKNOWN),
    "TIFF": (b"II*\0" + bytes(400), Fault.FORMAT_UNKNOWN),
    "SVG": (b"<svg/>", Fault.FORMAT_UNKNOWN),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", Fault.FORMAT_UNKNOWN),
    "archive": (b"PK\3\4" + bytes(400), Fault.FORMAT_UNKNOWN),
    "program": (b"MZ\x90\0" + bytes(400), Fault.FORMAT_UNKNOWN),
    "one byte": (b"\xff", Fault.FORMAT_UNKNOWN),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_whole_picture_is_refused_by_its_content(kind: str) -> None:
    content, expected = BROKEN[kind]
    assert fault(content) is expected


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x18ftypmif1", "HEIC"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"RIFF\x0a\0\0\0WEBPVP8 ", "WebP"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg/>", "SVG"),
        (b"  \n<svg onload='x'/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"MZ\x90\0", "其他格式 another format"),
    ],
)
def test_another_format_is_named_so_that_somebody_knows_what_to_do(
    content: bytes, kind: str
) -> None:
    assert draw(content) == [Portrait(fault=Fault.FORMAT_UNKNOWN, kind=pictures.Kind(kind))]


def test_what_is_not_what_the_directory_says_is_damaged() -> None:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(JPEG) + packer.flush()
    good = part(JPEG, packed)
    tried = [
        good,
        part(JPEG, packed, size=len(JPEG) - 1),
        part(JPEG, packed, size=len(JPEG) + 1),
        part(JPEG, packed, crc=1),
        part(JPEG, packed[:-50]),
        part(JPEG, b"\xff" * 500),
        part(JPEG, size=len(JPEG) + 5),
        (b"PK\1\2" + good[0][4:], good[1]),
        (good[0][:20], good[1]),
        (b"", Part(0, 0, 0, 0, True)),
        (good[0][:26] + b"\xff\xff\xff\xff" + good[0][30:], good[1]),
    ]
    for entry, one in tried:
        told = [*_told(one)]
        told[0] = len(entry)
        (seen,) = pictures.draw(entry, [told], SIZE)
        assert seen.fault == (None if entry is good[0] and one is good[1] else Fault.DAMAGED)


@given(
    picture=st.sampled_from([invented.jpeg(invented.portrait(2, 210, 300)),
                             png(invented.portrait(2, 210, 300))]),
    at=st.floats(0, 1),
    noise=st.binary(min_size=1, max_size=40),
)  # fmt: skip
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_becomes_of_a_picture_one_is_drawn_or_refused(
    picture: bytes, at: float, noise: bytes
) -> None:
    start = int(at * len(picture))
    (one,) = draw(picture[:start] + noise + picture[start + len(noise) :])
    assert FRAME.takes(one.jpeg) if one.fault is None else not one.jpeg


async def drawn_in_jail(*contents: bytes) -> list[Portrait]:
    entries = [part(content) for content in contents]
    told = {"parts": [one for _, one in entries], "pixels": SIZE}
    data = b"".join(entry for entry, _ in entries)
    async with Jail(taking.DRAW_JOB, concurrent=1) as jail:
        answer = await jail.run(taking.DRAW_JOB, data, taking._DRAWING, told, type=list[Portrait])
    return list(answer)


async def test_the_largest_picture_of_a_phone_costs_little_in_the_jail() -> None:
    phone = invented.portrait(3, 8000, 6000)
    for one in await drawn_in_jail(invented.jpeg(phone), invented.jpeg(phone, progressive=True)):
        assert one.fault is None
        assert_plain(one.jpeg)


async def test_in_the_jail_where_nothing_can_be_imported_all_is_drawn_as_outside() -> None:
    others = [
        HIDING[name] for name in ("Exif", "broken Exif", "PNG text", "PNG profile", "PNG Exif")
    ]
    for group in [*MODES.values()], [*others, *(content for content, _ in BROKEN.values())]:
        assert await drawn_in_jail(*group) == draw(*group)
