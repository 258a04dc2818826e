"""Pictures: what a genuine code may vouch for, and what it may not.

A picture is answered through its code and said to be a picture. A document with anything of its own
could carry a genuine code beside forged words, and is answered as a document.
"""

import io
import re
from typing import Any

from PIL import ExifTags, Image, ImageDraw

from tests import scans
from tests.attacks import NO_CODE, UNKNOWN, UNTRUSTED, VALID, Expected, Family
from tests.attacks.files import FORGED, Ours, picture, sign

PICTURES = Family("pictures / 图片")
DOCUMENTS = Family("documents with a genuine code / 带真二维码的文件")

UNREADABLE: Expected = ("unknown", "statement-unreadable")
ELSEWHERE: Expected = ("altered", "statement-elsewhere")
FAKE_STATEMENT: Expected = ("altered", "statement-altered")
UNREGISTERED: Expected = ("unknown", "not-registered")


def _repainted(ours: Ours) -> Image.Image:
    """Paint over the name and leave the code: all that a picture can be trusted in is the code."""
    image = scans.page(ours.pdf, 150).copy()
    ImageDraw.Draw(image).rectangle((150, 220, 680, 520), fill="white")
    return image


def _beside(*texts: str) -> Image.Image:
    codes = [scans.code(text) for text in texts]
    whole = Image.new("RGB", (sum(code.width for code in codes), codes[0].height + 200), "white")
    at = 0
    for code in codes:
        whole.paste(code, (at, 0))
        at += code.width
    return whole


def _without_code(ours: Ours) -> Image.Image:
    image = scans.page(ours.pdf, 150).copy()
    width, height = image.size
    ImageDraw.Draw(image).rectangle((width // 2, height // 3, width, height), fill="white")
    ImageDraw.Draw(image).rectangle((0, height // 2, width, height), fill="white")
    return image


def _animated(ours: Ours) -> bytes:
    output = io.BytesIO()
    first, second = scans.code(ours.qr_text), scans.code(ours.other_qr_text)
    first.save(output, "PNG", save_all=True, append_images=[second.resize(first.size)])
    return output.getvalue()


def _saved(image: Image.Image, kind: str, **more: Any) -> bytes:
    output = io.BytesIO()
    image.save(output, kind, **more)
    return output.getvalue()


def _photo(ours: Ours) -> bytes:
    """Turn a page as cameras do: the picture lies on its side, and Exif alone says so."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return _saved(scans.page(ours.pdf, 150).rotate(90, expand=True), "JPEG", exif=exif)


def _tampered(text: str) -> str:
    return f"{text[:-1]}{(int(text[-1]) + 1) % 10}"


def _elsewhere(text: str) -> str:
    return re.sub("//[^/]+/", "//evil.example/", text)


def _svg(ours: Ours) -> bytes:
    return b"<svg xmlns='http://www.w3.org/2000/svg'><text>%s</text></svg>" % ours.number.encode()


PICTURES.add(
    "repainted",
    "the name painted over, the code genuine: the answer says what the code's certificate says",
    VALID,
    lambda ours: scans.png(_repainted(ours)),
)
PICTURES.add(
    "repainted-scan",
    "the same as a PDF of one image",
    VALID,
    lambda ours: scans.scanned(_repainted(ours)),
)
PICTURES.add(
    "code-alone",
    "the code on a forged picture",
    VALID,
    lambda ours: scans.png(_beside(ours.qr_text)),
)
PICTURES.add(
    "code-and-advertising",
    "the code beside one of somebody else's",
    VALID,
    lambda ours: scans.png(_beside(ours.qr_text, "https://example.test/offer")),
)
PICTURES.add(
    "two-codes",
    "the codes of two certificates",
    NO_CODE,
    lambda ours: scans.png(_beside(ours.qr_text, ours.other_qr_text)),
)
PICTURES.add(
    "two-codes-one-elsewhere",
    "the code beside a copy that leads to another site",
    NO_CODE,
    lambda ours: scans.png(_beside(ours.qr_text, _elsewhere(ours.qr_text))),
)
PICTURES.add(
    "two-codes-in-a-scan",
    "the codes of two certificates in a PDF",
    NO_CODE,
    lambda ours: scans.scanned(_beside(ours.qr_text, ours.other_qr_text)),
)
PICTURES.add(
    "without-code",
    "a certificate from which the code was cut",
    NO_CODE,
    lambda ours: scans.jpeg(_without_code(ours)),
)
PICTURES.add(
    "scan-without-code",
    "the same as a PDF of one image",
    NO_CODE,
    lambda ours: scans.scanned(_without_code(ours)),
)
PICTURES.add(
    "code-of-others",
    "a picture with the code of another site alone",
    UNREADABLE,
    lambda _: scans.png(_beside("https://example.test/offer")),
)
PICTURES.add(
    "code-leads-elsewhere",
    "a genuine statement behind the address of another site",
    ELSEWHERE,
    lambda ours: scans.png(_beside(_elsewhere(ours.qr_text))),
)
PICTURES.add(
    "code-tampered",
    "the last digit of the statement changed",
    FAKE_STATEMENT,
    lambda ours: scans.png(_beside(_tampered(ours.qr_text))),
)
PICTURES.add(
    "address-alone-invented",
    "an invented address of ours",
    UNREGISTERED,
    lambda ours: scans.png(_beside(ours.qr_text.partition("#")[0][:-16] + "0123456789abcdef")),
)
PICTURES.add("photo", "a genuine page as cameras write it, turned by Exif", VALID, _photo)
PICTURES.add("animated", "an animated PNG that shows two codes in turn", NO_CODE, _animated)
PICTURES.add(
    "cut-off",
    "a picture that ends in its middle",
    NO_CODE,
    lambda ours: scans.png(scans.page(ours.pdf, 150))[:-20_000],
)
PICTURES.add(
    "gif", "a GIF, which is not read", UNKNOWN, lambda ours: _saved(scans.code(ours.qr_text), "GIF")
)
PICTURES.add(
    "webp",
    "a WebP, which is not read",
    UNKNOWN,
    lambda ours: _saved(scans.code(ours.qr_text), "WEBP"),
)
PICTURES.add(
    "tiff",
    "a TIFF, which is not read",
    UNKNOWN,
    lambda ours: _saved(scans.code(ours.qr_text), "TIFF"),
)
PICTURES.add("svg", "an SVG, which is not read", UNKNOWN, _svg)
PICTURES.add(
    "jpeg-with-pdf-behind",
    "a genuine code as JPEG, a forged PDF behind it",
    UNKNOWN,
    lambda ours: scans.jpeg(scans.code(ours.qr_text)) + b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
)


def _scan(ours: Ours, *, over: bytes = b"", catalog: bytes = b"", page: bytes = b"") -> bytes:
    """Write a genuine scan by hand, with something more in it."""
    image = scans.page(ours.pdf, 150)
    entries = b"/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode"
    given = {"over": over, "catalog": catalog, "page": page}
    return picture(scans.jpeg(image), entries % image.size, **given)


DOCUMENTS.add("scan", "the genuine scan that the others are made of", VALID, _scan)
for _name, _tries, _more in (
    ("text", "forged words as text over it", {"over": FORGED}),
    ("invisible-text", "text that is not drawn", {"over": b"3 Tr " + FORGED}),
    ("painting", "a white box over part of it", {"over": b"1 g 0 0 300 300 re f"}),
    (
        "annotation",
        "an annotation over it",
        {"page": b"/Annots[<</Type/Annot/Subtype/FreeText/Rect[60 280 460 340]/Contents(F)>>]"},
    ),
    ("form", "a form without any field", {"catalog": b"/AcroForm<</Fields[]>>"}),
    (
        "script",
        "a script in it",
        {"catalog": b"/Names<</JavaScript<</Names[(a)<</S/JavaScript/JS(a\\(\\))>>]>>>>"},
    ),
    (
        "attachment",
        "a file attached to it",
        {
            "catalog": b"/Names<</EmbeddedFiles<</Names"
            b"[(a)<</Type/Filespec/F(a)/EF<</F 4 0 R>>>>]>>>>"
        },
    ),
):
    DOCUMENTS.add(
        f"scan-with-{_name}",
        f"the scan, and {_tries}",
        UNKNOWN,
        lambda ours, more: _scan(ours, **more),
        _more,
    )
DOCUMENTS.add(
    "signed-scan",
    "the scan, signed by others",
    UNTRUSTED,
    lambda ours: sign(_scan(ours), ours.stranger),
)
