"""Scans: what scanners and phones make of a certificate, drawn from the certificate itself."""

import functools
import io
import random

import pypdfium2
import segno
from PIL import Image, ImageFilter

Point = tuple[float, float]


@functools.lru_cache(maxsize=8)
def page(pdf: bytes, dpi: int = 200) -> Image.Image:
    """Draw the first page as a scanner sees it."""
    with pypdfium2.PdfDocument(pdf) as document:
        drawn: Image.Image = document[0].render(scale=dpi / 72).to_pil()
    return drawn.convert("RGB")


def png(image: Image.Image) -> bytes:
    """Save as PNG, quickly."""
    output = io.BytesIO()
    image.save(output, "PNG", compress_level=1)
    return output.getvalue()


def jpeg(image: Image.Image, quality: int = 80) -> bytes:
    """Save as JPEG."""
    output = io.BytesIO()
    image.save(output, "JPEG", quality=quality)
    return output.getvalue()


def scanned(image: Image.Image, dpi: int = 200) -> bytes:
    """Save as a PDF of that image alone."""
    output = io.BytesIO()
    image.save(output, "PDF", resolution=dpi)
    return output.getvalue()


def photo(pdf: bytes, *, light: float = 0.7, **taken: float) -> Image.Image:
    """Photograph a certificate; `_taken` says what may be different."""
    return _taken(pdf, **taken).point(lambda value: int(value * light))


@functools.lru_cache(maxsize=1)  # each is large
def _taken(
    pdf: bytes,
    *,
    width: int = 4032,
    height: int = 3024,
    share: float = 0.8,
    tilt: float = 0.1,
    turn: float = 0,
    blur: float = 1.2,
) -> Image.Image:
    """Take a certificate that has `share` of the height, askew, on an uneven ground."""
    sheet = page(pdf, 300)
    ground = _ground(width, height)
    tall, wide = height * share, height * share * sheet.width / sheet.height
    left, top = int((width - wide) / 2), int((height - tall) / 2)
    corners = [
        (wide * tilt, 0.0),
        (wide * (1 - tilt / 2), tall * tilt / 2),
        (wide, tall),
        (0.0, tall * (1 - tilt / 3)),
    ]
    edges: list[Point] = [(0, 0), (sheet.width, 0), (sheet.width, sheet.height), (0, sheet.height)]
    bent = _coefficients(edges, corners)
    size, perspective = (int(wide) + 1, int(tall) + 1), Image.Transform.PERSPECTIVE
    mask = Image.new("L", sheet.size, 255).transform(size, perspective, bent)
    bicubic = Image.Resampling.BICUBIC
    ground.paste(sheet.transform(size, perspective, bent, bicubic), (left, top), mask)
    if turn:
        ground = ground.rotate(turn, resample=bicubic, expand=True)
    return ground.filter(ImageFilter.GaussianBlur(blur))


def code(text: str, scale: int = 4) -> Image.Image:
    """Draw a QR code alone."""
    output = io.BytesIO()
    segno.make(text, error="m", micro=False).save(output, kind="png", scale=scale, border=4)
    return Image.open(output).convert("RGB")


def _ground(width: int, height: int) -> Image.Image:
    """Draw an uneven ground, the same each time."""
    chance = random.Random(7)  # noqa: S311 - a ground, not a key
    columns, rows = width // 16 + 1, height // 16 + 1
    grains = bytes(chance.randrange(60, 170) for _ in range(columns * rows))
    grown = Image.frombytes("L", (columns, rows), grains).resize((width, height))
    return grown.convert("RGB")


def _coefficients(source: list[Point], target: list[Point]) -> list[float]:
    """Solve for the eight numbers of a perspective that brings four points to four others."""
    rows = []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows.append([x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, float(u)])
        rows.append([0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, float(v)])
    for at in range(8):
        best = max(range(at, 8), key=lambda row: abs(rows[row][at]))
        rows[at], rows[best] = rows[best], rows[at]
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for other in range(8):
            if other != at:
                factor = rows[other][at]
                pairs = zip(rows[other], rows[at], strict=True)
                rows[other] = [value - factor * lead for value, lead in pairs]
    return [row[8] for row in rows]
