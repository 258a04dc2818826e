"""Appearance: what a reader would see on a stranger's file, and how much of it may be read at all.

It tells the numbers that stand on a page, the certificates inside its signatures, and the QR code
of what is nothing but a picture: a JPEG, a PNG, or a PDF of images alone. Only two parsers are
reached from here: Pillow by those two formats, PDFium by a PDF. Each is reached after the limits
that it does not keep itself, and `Beyond` is raised at the first one that is broken.
"""

import ctypes
import encodings.utf_16_le  # noqa: F401 - PDFium's text comes in it, and a jail opens no module
import io
import itertools
import re
import zlib
from collections.abc import Callable, Iterable, Iterator

import msgspec
import PIL.Image
import PIL.ImageFilter
import PIL.ImageOps
import pypdfium2
import zxingcpp
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from signing import qr, token
from signing.errors import StatementRefused


class Beyond(Exception):  # noqa: N818 - a limit that was met, not a fault
    """A limit of reading was met; its name is the only argument."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen of a PDF. `picture` tells that it is nothing but images."""

    numbers: tuple[str, ...] = ()
    signatures: tuple[bytes, ...] = ()
    picture: bool = False
    qr_text: str | None = None


OBJECT_COUNT_MAX = 20_000
DEPTH_MAX = 64
STREAM_BYTES_MAX = 64 << 20
LAYER_COUNT_MAX = 4
PAGE_COUNT_MAX = 100
PAGES_READ = 4
SIGNATURES_READ = 64
SIGNATURE_BYTES_MAX = 1 << 20
TEXT_LENGTH_MAX = 20_000
NUMBER_COUNT_MAX = 20
PICTURE_PIXEL_COUNT_MAX = 40_000_000
PAGE_PIXEL_COUNT_MAX = 8_000_000
RESOLUTION_DPI = 150
"""A picture is decoded whole, so its own pixels are counted; a page is drawn as small as needed."""

_MODULE_WIDTH = qr.MODULE_WIDTH_MM * 72 / 25.4
_MODULE_COUNTS = range(21, 18 + 4 * qr.VERSION_LIMIT, 4)
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_NUMBER = re.compile(r"(?<![0-9A-Za-z])(?=[A-Z]*[0-9])[0-9A-Z]{6,32}(?![0-9A-Za-z])")
_BRACKETS = bytes.maketrans(b"<[>]", b"\x01\x01\xff\xff")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"<[>]"))
_QR_CODE = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode])


def is_picture(content: bytes) -> bool:
    """Tell whether a file can be nothing but a JPEG or PNG: no PDF begins anywhere in it."""
    return content.startswith((_JPEG, _PNG)) and b"%PDF-" not in content


def streams(pdf: bytes) -> Iterator[bytes]:
    """Yield every Flate stream of a PDF, inflated, and what is deflated inside it once more.

    Raises: Beyond for "objects", "streams" (all together are too long) or "layers".
    """
    _keep(max(pdf.count(b"stream") // 2, pdf.count(b" obj")) <= OBJECT_COUNT_MAX, "objects")
    room = STREAM_BYTES_MAX
    for part in pdf.split(b"endstream"):
        content = part.rpartition(b"stream")[2].lstrip(b"\r\n")
        for _ in range(LAYER_COUNT_MAX):
            content = _inflate(content, room)
            if not content:
                break
            room -= len(content)
            _keep(room >= 0, "streams")
            yield content
        else:
            raise Beyond("layers")


def measure(pdf: bytes) -> None:
    """Count the nesting of what is not inside a stream, before anything descends into it.

    Raises: Beyond for "depth".
    """
    plain = b"".join(part.partition(b"stream")[0] for part in pdf.split(b"endstream"))
    steps = plain.translate(_BRACKETS, _NOT_BRACKETS)
    depths = itertools.accumulate(memoryview(steps).cast("b"))
    _keep(max(depths, default=0) <= 2 * DEPTH_MAX, "depth")  # a dictionary opens with two


def read_picture(content: bytes) -> str | None:
    """Return the text of the QR code in a JPEG or PNG of one picture, None without one.

    Raises: Beyond for "pixels".
    """
    try:
        return _one_code(_decoded(content))
    except (Beyond, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - a picture that cannot be decoded shows no code
        return None


def read_page(pdf: bytes) -> Page:
    """Read what can be seen on the first pages of a PDF; one that cannot be opened shows nothing.

    Raises: Beyond for "depth", "pages" or "pixels".
    """
    measure(pdf)
    try:
        with pypdfium2.PdfDocument(pdf) as document:
            _keep(len(document) <= PAGE_COUNT_MAX, "pages")
            pages = [document[at] for at in range(min(len(document), PAGES_READ))]
            text = " ".join(_text(page) for page in pages)
            seen = Page(numbers=_numbers(text), signatures=tuple(_signatures(document)))
            if len(document) > PAGES_READ or not _is_bare(document, pages):
                return seen
            qr_text = _one_code(draw(page) for page in pages)
            return Page(picture=True, qr_text=qr_text)
    except (Beyond, MemoryError):
        raise
    except Exception:  # noqa: BLE001 - what cannot be opened shows nothing
        return Page()


def draw(page: pypdfium2.PdfPage) -> PIL.Image.Image:
    """Draw a page in grey as printed at 150 dpi, smaller where it would have too many pixels."""
    area = max(1, page.get_width() * page.get_height())
    scale = min(RESOLUTION_DPI / 72, (PAGE_PIXEL_COUNT_MAX / area) ** 0.5)
    drawn: PIL.Image.Image = page.render(scale=scale, grayscale=True).to_pil()
    return drawn


def pictures(page: pypdfium2.PdfPage) -> Iterator[tuple[bytes, pypdfium2.PdfMatrix]]:
    """Yield the raw bytes of each image that a page draws, and how its unit square is placed."""
    for part in page.get_objects([pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]):
        yield bytes(part.get_data()), part.get_matrix()


def squares(page: pypdfium2.PdfPage) -> Iterator[PIL.Image.Image]:
    """Draw the parts of a page of ours that have the size of a code, at four pixels a module."""
    for part in page.get_objects(max_depth=1):
        left, bottom, right, top = part.get_bounds()
        modules = (right - left) / _MODULE_WIDTH
        is_square = abs(right - left - (top - bottom)) < _MODULE_WIDTH / 10
        if is_square and abs(modules - round(modules)) < 0.1 and round(modules) in _MODULE_COUNTS:
            rim = qr.QUIET_ZONE_MODULES * _MODULE_WIDTH
            width, height = page.get_size()
            crop = (left - rim, bottom - rim, width - right - rim, height - top - rim)
            drawn: PIL.Image.Image = page.render(
                scale=4 / _MODULE_WIDTH, crop=crop, grayscale=True
            ).to_pil()
            yield drawn


def codes(image: PIL.Image.Image) -> set[str]:
    """Return the text of every QR code in a grey picture, as far as the first look finds any.

    A picture without a code in plain sight is sharpened, then doubled for a small or blurred one,
    and made small for a large or grainy one.
    """
    for look in _LOOKS:
        seen = look(image)
        pixels = memoryview(seen.tobytes()).cast("B", (seen.height, seen.width))
        if found := {code.text for code in zxingcpp.read_barcodes(pixels, _QR_CODE)}:
            return found
    return set()


class _Jpeg(JpegImageFile):
    """A JPEG whose Exif is left alone: a third parser, and one that no jail can load."""

    def _read_dpi_from_exif(self) -> None:
        pass


def _decoded(content: bytes) -> Iterator[PIL.Image.Image]:
    """Decode a picture in grey; an animation is none, but what cameras add to a JPEG is ignored."""
    read = PngImageFile if content.startswith(_PNG) else _Jpeg
    with read(io.BytesIO(content)) as image:
        _keep(image.width * image.height <= PICTURE_PIXEL_COUNT_MAX, "pixels")
        if not getattr(image, "is_animated", False):
            image.draft("L", image.size)
            grey = image.convert("L")
            image.close()
            yield grey


def _fitted(image: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """Make a picture smaller until its longer side is that long; never larger."""
    return PIL.ImageOps.contain(image, (side, side)) if max(image.size) > side else image


def _doubled(image: PIL.Image.Image) -> PIL.Image.Image:
    smaller = _fitted(image, 3500)
    return smaller.resize((2 * smaller.width, 2 * smaller.height), PIL.Image.Resampling.BICUBIC)


def _sharpened(image: PIL.Image.Image, radius: int, percent: int) -> PIL.Image.Image:
    return image.filter(PIL.ImageFilter.UnsharpMask(radius, percent, 0))


_LOOKS: tuple[Callable[[PIL.Image.Image], PIL.Image.Image], ...] = (
    lambda image: image,
    lambda image: _sharpened(_fitted(image, 2800), 2, 300),
    lambda image: _sharpened(_fitted(image, 5600), 3, 300),
    lambda image: _sharpened(_doubled(image), 3, 500),
    lambda image: PIL.ImageOps.autocontrast(_fitted(image, 1400)),
)


def _one_code(images: Iterable[PIL.Image.Image]) -> str | None:
    """Return the one code of our form, else the one code there is; None where there are several."""
    found = set().union(*map(codes, images))
    ours = {text for text in found if _is_ours(text)}
    chosen = ours or found
    return chosen.pop() if len(chosen) == 1 else None


def _is_ours(text: str) -> bool:
    try:
        token.from_text(text)
    except StatementRefused:
        return False
    return True


def _keep(holds: bool, limit: str) -> None:
    if not holds:
        raise Beyond(limit)


def _inflate(content: bytes, room: int) -> bytes:
    """Undo one layer of Flate as far as it goes, by at most a byte more than there is room for."""
    reader = zlib.decompressobj()
    try:
        return reader.decompress(content, room + 1)
    except zlib.error:
        return b""


def _text(page: pypdfium2.PdfPage) -> str:
    text: str = page.get_textpage().get_text_bounded()
    return text[:TEXT_LENGTH_MAX]


def _numbers(text: str) -> tuple[str, ...]:
    found = (match[0] for match in _NUMBER.finditer(text))
    return tuple(itertools.islice(dict.fromkeys(found), NUMBER_COUNT_MAX))


def _signatures(document: pypdfium2.PdfDocument) -> Iterator[bytes]:
    """Yield what the signatures of a document hold, however the file spells it."""
    raw = pypdfium2.raw
    for at in range(min(raw.FPDF_GetSignatureCount(document), SIGNATURES_READ)):
        signature = raw.FPDF_GetSignatureObject(document, at)
        length = raw.FPDFSignatureObj_GetContents(signature, None, 0)
        if 0 < length <= SIGNATURE_BYTES_MAX:
            buffer = ctypes.create_string_buffer(length)
            raw.FPDFSignatureObj_GetContents(signature, buffer, length)
            yield buffer.raw


def _is_bare(document: pypdfium2.PdfDocument, pages: list[pypdfium2.PdfPage]) -> bool:
    """Tell whether a document is images alone: no text, form, annotation, attachment or script.

    Raises: Beyond for "pixels", before any of the images is decoded.
    """
    raw = pypdfium2.raw
    if (
        document.get_formtype() != raw.FORMTYPE_NONE
        or document.count_attachments()
        or raw.FPDFDoc_GetJavaScriptActionCount(document)
        or any(raw.FPDFPage_GetAnnotCount(page) for page in pages)
    ):
        return False
    objects = [part for page in pages for part in page.get_objects(max_depth=1)]
    if not objects or any(part.type != raw.FPDF_PAGEOBJ_IMAGE for part in objects):
        return False
    sizes = (part.get_px_size() for part in objects)
    _keep(sum(width * height for width, height in sizes) <= PICTURE_PIXEL_COUNT_MAX, "pixels")
    return True
