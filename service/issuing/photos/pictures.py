"""Pictures: a group of a ZIP's entries, unpacked and drawn again as portraits. A job for the jail.

What comes out is one form, that of a face's `Frame`: a baseline RGB JPEG at 300 dpi and of one
size, made of pixels alone. A picture that is too wide loses as much at both sides; one too tall
keeps its upper part, where the head is. Colours are taken as sRGB and what is see-through as white.
Equal bytes in give equal bytes out. Nothing but a JPEG or PNG reaches its decoder, by its content.

Source: PKWARE APPNOTE 6.3.10, 4.3.7 (local header).
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec
import PIL.Image
import PIL.TiffImagePlugin  # reads Exif, and a jail opens no module
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from service.issuing.photos.archives import Fault

PIL.Image.preinit()  # for saving, as above


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One entry as cut out: how long it is with its header, and what the directory says of it."""

    length: int
    packed: int
    size: int
    crc: int
    deflated: bool


class Kind(StrEnum):
    """What a file is that is taken for a photo and is none, so that somebody knows what to do."""

    HEIC = "HEIC"
    AVIF = "AVIF"
    WEBP = "WebP"
    JPEG_XL = "JPEG XL"
    JPEG_2000 = "JPEG 2000"
    GIF = "GIF"
    BMP = "BMP"
    TIFF = "TIFF"
    SVG = "SVG"
    PDF = "PDF"
    PSD = "PSD"
    OTHER = "其他格式 another format"


class Portrait(msgspec.Struct, frozen=True, kw_only=True):
    """A portrait, or what is wrong; `width` and `height` of the picture that came, in pixels."""

    jpeg: bytes = b""
    fault: Fault | None = None
    kind: Kind | None = None
    width: int = 0
    height: int = 0


class _Jpeg(JpegImageFile):
    """A JPEG whose Exif is left alone until it is asked how the camera was held."""

    def _read_dpi_from_exif(self) -> None:
        pass


PIXELS_MAX: Final = {_Jpeg: 50_000_000, PngImageFile: 25_000_000}
"""What phones take; a JPEG is decoded as small as is needed, a PNG only whole."""
DPI, DPI_MIN = 300, 150
"""Below 150 dpi a printed face shows its squares; a one-inch picture (295 by 413) has 214 [A]."""
_KINDS = (
    (Kind.AVIF, re.compile(rb"....ftypavi[fs]", re.DOTALL)),
    (Kind.HEIC, re.compile(rb"....ftyp(?:he[a-z]{2}|mif1|msf1)", re.DOTALL)),
    (Kind.WEBP, re.compile(rb"RIFF....WEBP", re.DOTALL)),
    (Kind.JPEG_XL, re.compile(rb"\xff\x0a|\0\0\0\x0cJXL ")),
    (Kind.JPEG_2000, re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51")),
    (Kind.GIF, re.compile(rb"GIF8")),
    (Kind.BMP, re.compile(rb"BM")),
    (Kind.TIFF, re.compile(rb"II\*\0|MM\0\*")),
    (Kind.SVG, re.compile(rb"(?:\xef\xbb\xbf)?\s{0,99}<(?:svg|\?xml|!--|!DOCTYPE svg)")),
    (Kind.PDF, re.compile(rb"%PDF-")),
    (Kind.PSD, re.compile(rb"8BPS")),
)
_QUALITY = 85  # 15 to 40 kB a portrait
_CUT_ABOVE = 0.1  # of what is too tall; the rest is cut below [A]
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ORIENTATION = 0x0112
_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT, 3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM, 5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270, 7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}  # fmt: skip


def least(pixels: tuple[int, int]) -> tuple[int, int]:
    """Return how many pixels must be left of a picture, once it is cropped, for one of `pixels`."""
    return -(-pixels[0] * DPI_MIN // DPI), -(-pixels[1] * DPI_MIN // DPI)


def draw(data: bytes, parts: list[list[int]], pixels: tuple[int, int]) -> list[Portrait]:
    """Make a portrait of `pixels` of every part; `data` is the parts one behind another."""
    return [
        _portrait(content, *pixels) if content else Portrait(fault=Fault.DAMAGED)
        for content in _unpacked(memoryview(data), msgspec.convert(parts, list[Part]))
    ]


def _unpacked(data: memoryview, parts: list[Part]) -> Iterator[bytes]:
    """Yield what each part holds, nothing of one that is not what its directory says."""
    for part in parts:
        try:
            content = _content(data[: part.length], part)
        except (struct.error, zlib.error):
            content = b""
        sound = len(content) == part.size and zlib.crc32(content) == part.crc
        yield content if sound else b""
        data = data[part.length :]


def _content(entry: memoryview, part: Part) -> bytes:
    mark, name_length, extra_length = _LOCAL_HEADER.unpack_from(entry)
    start = _LOCAL_HEADER.size + name_length + extra_length
    packed = entry[start : start + part.packed]
    if mark != b"PK\x03\x04":
        return b""
    if part.deflated:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, part.size + 1)
    return bytes(packed)


def _portrait(content: bytes, width: int, height: int) -> Portrait:
    reader = _reader(content)
    if reader is None:
        return Portrait(fault=Fault.FORMAT_UNKNOWN, kind=_kind(content))
    seen = Portrait(fault=Fault.DAMAGED)
    try:
        with reader(io.BytesIO(content)) as image:
            seen = msgspec.structs.replace(seen, width=image.width, height=image.height)
            if image.width * image.height > PIXELS_MAX[reader]:
                return msgspec.structs.replace(seen, fault=Fault.PIXELS_MANY)
            jpeg = _drawn(image, width, height)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever a decoder says of it, it cannot be drawn
        return seen
    return msgspec.structs.replace(seen, jpeg=jpeg, fault=None if jpeg else Fault.TOO_SMALL)


def _reader(content: bytes) -> type[_Jpeg | PngImageFile] | None:
    if content.startswith(b"\xff\xd8\xff"):
        return _Jpeg
    return PngImageFile if content.startswith(b"\x89PNG\r\n\x1a\n") else None


def _kind(content: bytes) -> Kind:
    return next((kind for kind, mark in _KINDS if mark.match(content)), Kind.OTHER)


def _drawn(image: ImageFile, width: int, height: int) -> bytes:
    """Return the portrait, nothing where too little of the picture is left for one."""
    side = max(width, height)
    image.draft("RGB", (side, side))
    upright = _upright(image)
    box = _crop(upright.size, width / height)
    if round(box[2] - box[0]) < least((width, height))[0]:
        return b""
    shown = _plain(upright).resize((width, height), PIL.Image.Resampling.LANCZOS, box)
    page, output = PIL.Image.new("RGB", shown.size, "white"), io.BytesIO()
    page.paste(shown, mask=shown.getchannel("A") if shown.mode == "RGBA" else None)
    page.save(output, "JPEG", quality=_QUALITY, dpi=(DPI, DPI))
    return output.getvalue()


def _upright(image: ImageFile) -> PIL.Image.Image:
    image.load()  # where a PNG tells how it was held may stand behind its pixels
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - what a camera says of a picture is no part of it
        turn = None
    return image if turn is None else image.transpose(turn)


def _crop(size: tuple[int, int], ratio: float) -> tuple[float, float, float, float]:
    """Return the largest part of that ratio: left, top, right, bottom."""
    width, height = size
    part_width, part_height = min(width, height * ratio), min(height, width / ratio)
    left, top = (width - part_width) / 2, (height - part_height) * _CUT_ABOVE
    return left, top, left + part_width, top + part_height


def _plain(image: PIL.Image.Image) -> PIL.Image.Image:
    """Bring any mode of the two formats to RGB, or to RGBA where anything can be seen through."""
    if image.mode.startswith("I"):
        image = image.point(lambda value: value / 257).convert("L")  # of 16 bits
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
