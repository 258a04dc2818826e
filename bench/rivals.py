"""What the pipeline is measured against: our face and our QR text by well-known parts.

Fonts, keys and artwork are loaded once; what is drawn is not examined. ReportLab's face is neither
PDF/A nor tagged and has no metadata attached.
"""

import io
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import segno
import typst
from asn1crypto import keys as asn1_keys
from asn1crypto import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
from pyhanko_certvalidator.registry import SimpleCertificateStore
from reportlab import rl_config
from reportlab.lib.colors import HexColor
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from signing import Record, Signer

Modules = tuple[bytearray, ...]

_FONT = "Noto Serif SC"
_WIDTH, _HEIGHT = 297 * mm, 210 * mm
_INK, _GREY, _RED, _SEAL, _MARK = map(
    HexColor, ("#231f1c", "#776c5e", "#8f1d21", "#d0121b", "#f6d9cf")
)
# Words that never change: left edge and baseline in mm from the top left corner, size in pt.
_WORDS = (
    (80, 137.2, 13, _INK, "经考核，成绩合格，特发此证。"),
    (80, 141.3, 7.5, _GREY, "This certificate is awarded upon passing the assessment."),
    (80, 161.5, 8, _RED, "电子证照标识"),
    (99, 161.5, 6.5, _GREY, "E-licence identifier"),
)
_CENTRED = (
    (40, 35, 11.2, _RED, "专项职业能力证书"),
    (52.7, 12, 0.7, _GREY, "Vocational Capability Certificate"),
    (178.1, 8.5, 0.5, _INK, "核验：扫描二维码，或在核验网站输入证书编号和持证人姓名。"),
    (182.2, 7, 0, _GREY, "To verify, scan the QR code, or enter the certificate number and the "
     "name of the holder on the verification website."),
)  # fmt: skip


def symbol(url: str, digits: str) -> Modules:
    """Draw the QR code with segno as it comes: every mask is tried."""
    content: Any = [url, digits]
    return tuple(segno.make(content, error="m", boost_error=False, micro=False).matrix)


def stock_signer(signer: Signer, *, reserved: int | None) -> Callable[[bytes], bytes]:
    """Make pyHanko ready once. Without `reserved` bytes it signs twice to learn the length."""
    parts = (signer.pin.certificate, signer.pin.issuing)
    certificate, issuing = (x509.Certificate.load(part) for part in parts)
    store: Any = SimpleCertificateStore
    key = signer.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    pdf_signer = signers.PdfSigner(
        signers.PdfSignatureMetadata(
            field_name="Seal",
            md_algorithm="sha256",
            subfilter=SigSeedSubFilter.PADES,
            certify=True,
            docmdp_permissions=MDPPerm.NO_CHANGES,
        ),
        signers.SimpleSigner(
            signing_cert=certificate,
            signing_key=asn1_keys.PrivateKeyInfo.load(key),
            cert_registry=store.from_certs([issuing]),
        ),
    )

    def sign(pdf: bytes) -> bytes:
        writer, output = IncrementalPdfFileWriter(io.BytesIO(pdf)), io.BytesIO()
        pdf_signer.sign_pdf(writer, bytes_reserved=reserved, output=output)
        return output.getvalue()

    return sign


class ReportLabFace:
    """Our face drawn by ReportLab; the edition's ground is turned into page operators once."""

    def __init__(self, fonts: Path, ground: Path) -> None:
        rl_config.useA85 = 0  # streams as text would only cost time
        pdfmetrics.registerFont(TTFont(_FONT, str(fonts / "NotoSerifSC-Regular.ttf")))
        self._ground = _operators(ground)

    def draw(self, record: Record, modules: Modules, *, specimen: bool) -> bytes:
        """Return the face as PDF."""
        output = io.BytesIO()
        canvas = Canvas(output, pagesize=(_WIDTH, _HEIGHT))
        canvas.setTitle(f"专项职业能力证书 {record.number}")
        canvas.setAuthor(record.authority)
        canvas.addLiteral(self._ground)
        if specimen:
            canvas.saveState()
            canvas.translate(_WIDTH / 2 + 26 * mm, _HEIGHT / 2 - 8 * mm)
            canvas.rotate(24)
            _write(canvas, (0, 0), 66, _MARK, "样本 SPECIMEN", centred=5.3)
            canvas.restoreState()
        for edge, base, points, colour, text in _WORDS:
            _write(canvas, (edge * mm, _HEIGHT - base * mm), points, colour, text)
        for base, points, spacing, colour, text in _CENTRED:
            place = (_WIDTH / 2, _HEIGHT - base * mm)
            _write(canvas, place, points, colour, text, centred=spacing)
        for x, y, width, size, (zh, en), value in _fields(record):
            left, line = x * mm, _HEIGHT - y * mm
            _write(canvas, (left, line + 3.7 * mm), 10.5, _RED, zh)
            _write(canvas, (left, line + 0.6 * mm), 6.5, _GREY, en)
            indent = 27 * mm if zh else 0
            room = (width * mm - indent) / pdfmetrics.stringWidth(value, _FONT, 1)
            _write(canvas, (left + indent, line + 1.5 * mm), min(size, room), _INK, value)
        _seal(canvas, "样章样章样章样章" if specimen else record.seal_name)
        _qr(canvas, modules)
        canvas.save()
        return output.getvalue()


def _operators(ground: Path) -> str:
    page = f'#set page(width: 297mm, height: 210mm, margin: 0pt)\n#image("{ground.name}")'
    pdf = typst.Compiler(root=ground.parent).compile(page.encode(), format="pdf", pdf_tags=False)
    page_tree: Any = PdfFileReader(io.BytesIO(pdf)).root["/Pages"]  # type: ignore[arg-type]  # one page
    drawn: str = page_tree["/Kids"][0]["/Contents"].data.decode()
    drawn = re.sub(r"/c0 cs\s", " ", drawn, flags=re.IGNORECASE)
    return f"q {drawn} Q".replace("scn", "rg").replace("SCN", "RG")


_Field = tuple[float, float, float, float, tuple[str, str], str]


def _fields(record: Record) -> Iterator[_Field]:
    """Left edge, hairline and width in mm, largest size in pt, labels, value."""
    born, exam, issued = (
        f"{day.year}年{day.month}月{day.day}日"
        for day in (record.born_on, record.exam_on, record.issued_on)
    )
    yield 80, 76, 190, 20, ("姓名", "Name"), record.name
    yield 80, 89, 88, 15, ("性别", "Sex"), record.sex
    yield 178, 89, 92, 15, ("出生日期", "Date of birth"), born
    yield 80, 102, 88, 15, ("证件类型", "ID type"), record.id_kind
    yield 178, 102, 92, 15, ("证件号码", "ID number"), record.id_number
    yield 80, 115, 190, 15, ("专项职业能力", "Vocational capability"), record.project
    yield 80, 128, 88, 15, ("考核成绩", "Score"), record.score
    yield 178, 128, 92, 15, ("考核日期", "Date of assessment"), exam
    yield 80, 155, 88, 15, ("证书编号", "Certificate number"), record.number
    yield 80, 168, 93, 7, ("", ""), record.identifier
    yield 178, 155, 92, 15, ("发证机关", "Issuing authority"), record.authority
    yield 178, 168, 92, 15, ("发证日期", "Date of issue"), issued


def _write(
    canvas: Any,
    place: tuple[float, float],
    size: float,
    colour: Any,
    text: str,
    *,
    centred: float | None = None,
) -> None:
    """Write a line; `centred` is the space between its letters."""
    canvas.setFont(_FONT, size)
    canvas.setFillColor(colour)
    if centred is None:
        canvas.drawString(*place, text)
    else:
        canvas.drawCentredString(*place, text, charSpace=centred)


def _seal(canvas: Any, ring: str) -> None:
    canvas.saveState()
    canvas.translate(238 * mm, _HEIGHT - 158 * mm)
    canvas.setFillColor(_SEAL, alpha=0.8)
    canvas.setStrokeColor(_SEAL, alpha=0.8)
    canvas.setLineWidth(1.1 * mm)
    canvas.circle(0, 0, 20.45 * mm)
    star = canvas.beginPath()
    star.moveTo(0, 7 * mm)
    for corner in range(1, 10):
        radius, angle = (2.674 if corner % 2 else 7) * mm, math.radians(90 + 36 * corner)
        star.lineTo(radius * math.cos(angle), radius * math.sin(angle))
    star.close()
    canvas.drawPath(star, stroke=0, fill=1)
    step = min(21.0, 292 / max(1, len(ring) - 1))
    size = min(5.0, 3.8 + step * 0.06) * mm
    canvas.setFont(_FONT, size)
    for place, glyph in enumerate(ring):
        canvas.saveState()
        canvas.rotate(((len(ring) - 1) / 2 - place) * step)
        canvas.translate(0, 16.7 * mm)
        canvas.scale(min(1.0, 14.9 * mm * math.radians(step) / size), 1)
        canvas.drawCentredString(0, -0.38 * size, glyph)
        canvas.restoreState()
    canvas.setFont(_FONT, 8)
    canvas.drawCentredString(0, -13 * mm, "SPECIMEN")
    canvas.restoreState()


def _qr(canvas: Any, modules: Modules) -> None:
    """Draw the code at 0.4 mm a module: a quiet field, a rectangle for every dark run."""
    size, side = len(modules), 0.4 * mm
    left, top = 47.5 * mm - size * side / 2, _HEIGHT - 149 * mm + size * side / 2
    field = (size + 8) * side
    canvas.setFillGray(1)
    canvas.rect(left - 4 * side, top + 4 * side - field, field, field, stroke=0, fill=1)
    canvas.setFillGray(0)
    path = canvas.beginPath()
    for y, row in enumerate(modules):
        for run in re.finditer(rb"\x01+", row):
            width = len(run[0]) * side
            path.rect(left + run.start() * side, top - (y + 1) * side, width, side)
    canvas.drawPath(path, stroke=0, fill=1)
