"""Files: genuine certificates to start from, and the few ways in which a PDF is written by hand."""

import datetime
import io
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from asn1crypto import keys as asn1_keys
from asn1crypto import x509
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signing import Sealer, keys
from tests import pdfs

CONTENTS = re.compile(rb"/Contents(<[0-9a-f]+>)")
BYTE_RANGE = re.compile(rb"/ByteRange\[[\d ]+\] *")
FORGED = b"BT /F1 40 Tf 60 300 Td (FORGED) Tj ET"
HELVETICA = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


class Ours(msgspec.Struct, frozen=True):
    """Two genuine certificates, and a signer whose certificates bear the same names as ours."""

    pdf: bytes
    other: bytes
    number: str
    qr_text: str
    other_qr_text: str
    pin: keys.Pin
    stranger: keys.Signer

    @property
    def contents(self) -> bytes:
        """The hex of the seal of the first one, with its angle brackets."""
        return contents(self.pdf)

    @property
    def by_others(self) -> bytes:
        """A PDF that somebody else has certified, with changes to forms and comments allowed."""
        return sign(document(b"BT /F1 20 Tf 60 500 Td (Contract) Tj ET"), self.stranger)


def sealed(folder: Path, others: Path, now: datetime.datetime) -> Ours:
    """Seal two certificates with fresh keys, for what needs no register."""
    keys.create_development(folder, cities=pdfs.CITIES, made_at=now)
    signer = keys.load_signer(folder, "510100", now=now)
    second = msgspec.structs.replace(pdfs.RECORD, number="2651010001600002")
    pdf, other = [Sealer(signer).seal(pdfs.face(of), now) for of in (pdfs.RECORD, second)]
    return Ours(
        pdf=pdf,
        other=other,
        number=pdfs.RECORD.number,
        qr_text="".join(pdfs.QR_TEXT),
        other_qr_text="".join(pdfs.QR_TEXT)[:-1],
        pin=signer.pin,
        stranger=lookalike(others, pdfs.CITIES, "510100", now),
    )


def contents(pdf: bytes) -> bytes:
    """Return the hex string of the only signature."""
    found = CONTENTS.search(pdf)
    assert found
    return found[1]


def replaced(pdf: bytes, old: bytes, new: bytes) -> bytes:
    """Replace what stands last in a file, where it does."""
    head, found, tail = pdf.rpartition(old)
    assert found, old
    return head + new + tail


def with_byte_range(pdf: bytes, text: bytes) -> bytes:
    """Put other text where the byte range stands, in the same room if it fits."""
    found = BYTE_RANGE.search(pdf)
    assert found
    return pdf[: found.start()] + text.ljust(len(found[0])) + pdf[found.end() :]


def byte_range(pdf: bytes) -> list[int]:
    """Return the four numbers."""
    found = BYTE_RANGE.search(pdf)
    assert found
    return [int(number) for number in re.findall(rb"\d+", found[0])]


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """Write a stream object."""
    return b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(content), entries, content)


def deflated(content: bytes, entries: bytes = b"") -> bytes:
    """Write a stream object under Flate."""
    return stream(zlib.compress(content, 9), b"/Filter/FlateDecode" + entries)


def build(objects: Mapping[int, bytes], trailer: bytes = b"/Root 1 0 R") -> bytes:
    """Write a PDF of these objects."""
    return _revision(b"%PDF-1.7\n", objects, b"<</Size %d%s>>" % (max(objects) + 1, trailer))


def document(
    content: bytes, more: Mapping[int, bytes] | None = None, *, page: bytes = b""
) -> bytes:
    """Write a PDF of one page that draws `content`; objects 1 to 5 are taken."""
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 842 595]/Contents 4 0 R"
        b"/Resources<</Font<</F1 5 0 R>>>>%s>>" % page,
        4: stream(content),
        5: HELVETICA,
    }
    return build(objects | dict(more or {}))


def picture(
    image: bytes, entries: bytes, *, over: bytes = b"", catalog: bytes = b"", page: bytes = b""
) -> bytes:
    """Write a PDF of one page that draws an image, and `over` it."""
    drawn = b"q 842 0 0 595 0 0 cm /I Do Q " + over
    resources = b"/XObject<</I 6 0 R>>/Font<</F1 5 0 R>>"
    leaf = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 842 595]/Contents 4 0 R/Resources<<%s>>%s>>"
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog,
        3: leaf % (resources, page),
        6: stream(image, b"/Type/XObject/Subtype/Image" + entries),
    }
    return document(drawn, objects)


def append(
    pdf: bytes, objects: Mapping[int, bytes], *, root: int | None = None, trailer: bytes = b""
) -> bytes:
    """Append a revision with a cross-reference table, as an honest editor does."""
    last = pdf.rindex(b"startxref")
    start = int(pdf[last:].split()[1])
    roots = [int(number) for number in re.findall(rb"/Root\s+(\d+) 0 R", pdf)]
    entries = b"<</Size %d/Root %d 0 R/Prev %d%s>>" % (
        max([*objects, 400]) + 1,
        root or roots[-1],
        start,
        trailer,
    )
    return _revision(pdf, objects, entries)


def _revision(pdf: bytes, objects: Mapping[int, bytes], trailer: bytes) -> bytes:
    entries = b""
    for number, body in sorted(objects.items()):
        entries += b"%d 1\n%010d 00000 n\r\n" % (number, len(pdf))
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(pdf)
    return pdf + b"xref\n%strailer\n%s\nstartxref\n%d\n%%%%EOF\n" % (entries, trailer, start)


def number_of(pdf: bytes, kind: bytes) -> int:
    """Return the number of the last object whose dictionary begins so."""
    return int(re.findall(rb"(\d+) 0 obj\s*<<\s*" + re.escape(kind) + rb"\b", pdf)[-1])


def body(pdf: bytes, number: int) -> bytes:
    """Return an object as its last revision writes it."""
    found: bytes = re.findall(rb"\n%d 0 obj\s(.*?)\sendobj" % number, pdf, re.DOTALL)[-1]
    return found


def edited(pdf: bytes, kind: bytes, entries: bytes, *, drop: bytes = b"") -> dict[int, bytes]:
    """Return a new version of the object of a kind, for `append`, with entries added at its end."""
    number = number_of(pdf, kind)
    return {number: re.sub(drop, b"", body(pdf, number))[:-2] + entries + b">>"}


class _Unbound(signers.PdfSigner):
    """A signer that does not care what earlier signatures allow."""

    def _enforce_certification_constraints(self, reader: PdfFileReader) -> None:
        pass


def sign(
    pdf: bytes,
    signer: keys.Signer,
    *,
    certify: bool = True,
    permissions: fields.MDPPerm = fields.MDPPerm.ANNOTATE,
    more: tuple[bytes, ...] = (),
) -> bytes:
    """Sign with another's key and the library's own signer, in one more revision."""
    name = "Other" if b"/ByteRange" in pdf else "Seal"
    metadata = signers.PdfSignatureMetadata(
        field_name=name,
        md_algorithm="sha256",
        certify=certify and name == "Seal",
        docmdp_permissions=permissions,
    )
    output = io.BytesIO()
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf), strict=False)
    _Unbound(metadata, stock_signer(signer, *more)).sign_pdf(writer, output=output)
    return output.getvalue()


def stock_signer(signer: keys.Signer, *more: bytes) -> signers.SimpleSigner:
    """Make the library's signer of a key, its CMS to carry `more` certificates too."""
    pkcs8 = signer.private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    store: Any = SimpleCertificateStore
    chain = [x509.Certificate.load(part) for part in (signer.pin.issuing, *more)]
    return signers.SimpleSigner(
        signing_cert=x509.Certificate.load(signer.pin.certificate),
        signing_key=asn1_keys.PrivateKeyInfo.load(pkcs8),
        cert_registry=store.from_certs(chain),
    )


def lookalike(
    folder: Path, cities: Mapping[str, str], city_code: str, now: datetime.datetime
) -> keys.Signer:
    """Make a signer under another root that bears the very names of ours."""
    keys.create_development(folder, cities=cities, made_at=now)
    return keys.load_signer(folder, city_code, now=now)
