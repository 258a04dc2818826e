"""Later revisions: incremental saving, signature wrapping, honest editors, second signatures.

Source: Mladenov and others, "1 Trillion Dollar Refund" (CCS 2019), variants of incremental saving
and signature wrapping; PAdES (EN 319 142-1) for what an archive update adds.
"""

import io
import re

import pypdf
import pypdfium2
from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.timestamps import DummyTimeStamper
from pypdf.generic import NameObject, TextStringObject

from tests.attacks import ALTERED, UNTRUSTED, Family
from tests.attacks.files import (
    FORGED,
    HELVETICA,
    Ours,
    append,
    body,
    byte_range,
    deflated,
    edited,
    number_of,
    sign,
    with_byte_range,
)

SAVING = Family("incremental saving / 增量保存")
WRAPPING = Family("signature wrapping / 签名包裹")
UPDATES = Family("harmless-looking updates / 看似无害的更新")
EDITORS = Family("saved again by an editor / 被编辑器重新保存")


def forged_page(pdf: bytes) -> dict[int, bytes]:
    """Return the page drawn anew."""
    number = number_of(pdf, b"/Type/Page/")
    resources = b"/Resources<</Font<</F1 301 0 R>>>>"
    page = re.sub(rb"/Resources (\d+ 0 R|<<.*?>>>>)", resources, body(pdf, number))
    page = re.sub(rb"/Contents \d+ 0 R", b"/Contents 300 0 R", page)
    return {number: page, 300: deflated(FORGED), 301: HELVETICA}


def _whole(ours: Ours) -> bytes:
    return append(ours.pdf, forged_page(ours.pdf))


def _without(ours: Ours, pattern: bytes) -> bytes:
    tail = _whole(ours)[len(ours.pdf) :]
    return ours.pdf + re.sub(pattern, b"", tail, flags=re.DOTALL)


SAVING.add("new-page-content", "a forged page in a later revision", ALTERED, _whole)
SAVING.add(
    "without-xref",
    "the same without a cross-reference table",
    ALTERED,
    lambda ours: _without(ours, rb"xref\n.*?(?=trailer)"),
)
SAVING.add(
    "without-trailer",
    "the same without table and trailer",
    ALTERED,
    lambda ours: _without(ours, rb"xref\n.*(?=startxref)"),
)
SAVING.add(
    "objects-alone",
    "the forged objects and no more",
    ALTERED,
    lambda ours: _without(ours, rb"xref\n.*"),
)
SAVING.add(
    "signature-copied",
    "a forged page and a copy of the signature that covers the copy",
    ALTERED,
    lambda ours: append(
        ours.pdf,
        forged_page(ours.pdf)
        | {(number := number_of(ours.pdf, b"/Type/Sig/Filter")): body(ours.pdf, number)},
    ),
)
SAVING.add(
    "new-catalog",
    "another catalog with pages of its own",
    ALTERED,
    lambda ours: append(
        ours.pdf,
        {
            310: b"<</Type/Catalog/Pages 311 0 R>>",
            311: b"<</Type/Pages/Count 1/Kids[312 0 R]>>",
            312: b"<</Type/Page/Parent 311 0 R/MediaBox[0 0 842 595]/Contents 300 0 R"
            b"/Resources<</Font<</F1 301 0 R>>>>>>",
            300: deflated(FORGED),
            301: HELVETICA,
        },
        root=310,
    ),
)
SAVING.add("one-line-feed", "a single line feed at the end", ALTERED, lambda ours: ours.pdf + b"\n")
SAVING.add(
    "comment", "a comment after the end", ALTERED, lambda ours: ours.pdf + b"%% checked\n%%EOF\n"
)
SAVING.add("zeros", "a kilobyte of zeros", ALTERED, lambda ours: ours.pdf + bytes(1024))
SAVING.add("twice", "the whole file once more", ALTERED, lambda ours: ours.pdf + ours.pdf)
SAVING.add(
    "another-behind",
    "another certificate of ours behind",
    ALTERED,
    lambda ours: ours.pdf + ours.other,
)
SAVING.add(
    "another-before",
    "another certificate of ours before",
    ALTERED,
    lambda ours: ours.other + ours.pdf,
)
SAVING.add(
    "of-others",
    "a forged page behind the certification of others",
    UNTRUSTED,
    lambda ours: append(pdf := ours.by_others, forged_page(pdf)),
)


def _wrapped(ours: Ours, *, pad: bytes = b"", rewrite: bool = True) -> bytes:
    """Move the second signed part back and put forged objects into the gap before it."""
    a, b, c, d = byte_range(ours.pdf)
    first, second = ours.pdf[:c], ours.pdf[c:]
    forged = append(first + b">>\nendobj\n" + second, forged_page(ours.pdf))
    inner = forged[c:] + pad
    pdf = first + inner + second
    return (
        with_byte_range(pdf, b"/ByteRange[%d %d %d %d]" % (a, b, c + len(inner), d))
        if rewrite
        else pdf
    )


WRAPPING.add("moved-part", "the second signed part moved behind forged objects", ALTERED, _wrapped)
WRAPPING.add(
    "moved-part-padded",
    "the same, with padding and an open string before the part",
    ALTERED,
    lambda ours: _wrapped(ours, pad=b"9 0 obj(" + b"0" * 64),
)
WRAPPING.add(
    "moved-part-old-range",
    "the same, the range left as it was",
    ALTERED,
    lambda ours: _wrapped(ours, rewrite=False),
)


def _wrapping_dictionary(ours: Ours) -> bytes:
    """Append a second dictionary of the same value whose range names the genuine bytes."""
    number = number_of(ours.pdf, b"/Type/Sig/Filter")
    return append(
        ours.pdf,
        forged_page(ours.pdf)
        | {320: body(ours.pdf, number)}
        | edited(ours.pdf, b"/Type/Annot/Subtype/Widget", b"/V 320 0 R", drop=rb"/V \d+ 0 R"),
    )


WRAPPING.add(
    "second-dictionary",
    "a second signature dictionary of the same value and range",
    ALTERED,
    _wrapping_dictionary,
)
WRAPPING.add(
    "nested-in-stream",
    "the whole certificate as a stream of a forged document",
    ALTERED,
    lambda ours: append(
        ours.by_others,
        forged_page(ours.by_others)
        | {330: b"<</Length %d>>\nstream\n%s\nendstream" % (len(ours.pdf), ours.pdf)},
    ),
)


def _timestamped(ours: Ours) -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    issuing = x509.load_der_x509_certificate(ours.stranger.pin.issuing)
    certificate = (
        x509.CertificateBuilder(issuing.subject, issuing.subject, key.public_key(), 7)
        .not_valid_before(issuing.not_valid_before_utc)
        .not_valid_after(issuing.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    authority = DummyTimeStamper(
        asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)),
        asn1_keys.PrivateKeyInfo.load(
            key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        ),
    )
    output, writer = io.BytesIO(), IncrementalPdfFileWriter(io.BytesIO(ours.pdf))
    signers.PdfTimeStamper(authority).timestamp_pdf(writer, "sha256", output=output)
    return output.getvalue()


CATALOG = b"/Type/Catalog"
UPDATES.add(
    "validation-data",
    "a DSS with certificates, as an archive update adds",
    ALTERED,
    lambda ours: append(
        ours.pdf,
        edited(ours.pdf, CATALOG, b"/DSS<</Certs[340 0 R]>>") | {340: deflated(ours.pin.issuing)},
    ),
)
UPDATES.add("document-timestamp", "a document timestamp by others", ALTERED, _timestamped)
UPDATES.add(
    "second-signature",
    "a real second signature, by others, over all of it",
    ALTERED,
    lambda ours: sign(ours.pdf, ours.stranger),
)
UPDATES.add(
    "title",
    "another title in the document information",
    ALTERED,
    lambda ours: append(ours.pdf, edited(ours.pdf, b"/Title", b"/Subject(Original)")),
)
UPDATES.add(
    "xmp",
    "other XMP metadata",
    ALTERED,
    lambda ours: append(
        ours.pdf,
        {350: deflated(b"<x/>", b"/Type/Metadata/Subtype/XML")}
        | edited(ours.pdf, CATALOG, b"/Metadata 350 0 R", drop=rb"/Metadata \d+ 0 R"),
    ),
)
UPDATES.add(
    "attachment",
    "one more attachment",
    ALTERED,
    lambda ours: append(
        ours.pdf,
        {
            351: b"<</Type/Filespec/F(award.xml)/EF<</F 352 0 R>>>>",
            352: deflated(b"<award/>", b"/Type/EmbeddedFile"),
        }
        | edited(ours.pdf, CATALOG, b"/Names<</EmbeddedFiles<</Names[(award.xml)351 0 R]>>>>"),
    ),
)
UPDATES.add(
    "script",
    "a script that runs when the file is opened",
    ALTERED,
    lambda ours: append(
        ours.pdf, edited(ours.pdf, CATALOG, b"/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>")
    ),
)
UPDATES.add(
    "empty-revision", "a revision without any object", ALTERED, lambda ours: append(ours.pdf, {})
)


def _pypdf(ours: Ours, *, change: bool = False) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(ours.pdf))
    if change:
        writer.pages[0][NameObject("/Title")] = TextStringObject("x")
        writer.compress_identical_objects()
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def _pdfium(ours: Ours) -> bytes:
    output = io.BytesIO()
    with pypdfium2.PdfDocument(ours.pdf) as saved:
        saved.save(output)
    return output.getvalue()


def _imported(ours: Ours) -> bytes:
    """Save the page alone, as printing into a file does."""
    output = io.BytesIO()
    with pypdfium2.PdfDocument(ours.pdf) as opened, pypdfium2.PdfDocument.new() as saved:
        saved.import_pages(opened)
        saved.save(output)
    return output.getvalue()


def _octal(ours: Ours) -> bytes:
    """Spell the value as a string in which every byte is an octal escape."""
    raw = bytes.fromhex(ours.contents[1:-1].decode())
    return ours.pdf.replace(ours.contents, b"(%s)" % b"".join(b"\\%03o" % byte for byte in raw))


def _literal(ours: Ours) -> bytes:
    raw = bytes.fromhex(ours.contents[1:-1].decode())
    text = re.sub(rb"[()\\\r]", lambda found: b"\\%03o" % found[0][0], raw)
    return ours.pdf.replace(ours.contents, b"(%s)" % text)


EDITORS.add("saved-by-pypdf", "every object written anew by one editor", ALTERED, _pypdf)
EDITORS.add(
    "changed-by-pypdf",
    "the same, with a change to the page",
    ALTERED,
    lambda ours: _pypdf(ours, change=True),
)
EDITORS.add("saved-by-pdfium", "every object written anew by another editor", ALTERED, _pdfium)
EDITORS.add("page-alone", "the page and its field taken over into a new file", ALTERED, _imported)
EDITORS.add("literal-string", "the value written as a literal string", ALTERED, _literal)
EDITORS.add("octal-string", "the value written in octal escapes", ALTERED, _octal)
EDITORS.add(
    "hex-in-lines",
    "the value broken into lines and written in capitals",
    ALTERED,
    lambda ours: ours.pdf.replace(
        ours.contents, re.sub(rb"(.{64})", rb"\1\r\n", ours.contents.upper())
    ),
)
EDITORS.add(
    "line-ends",
    "every line feed turned into two bytes, as some mail programs do",
    ALTERED,
    lambda ours: ours.pdf.replace(b"\n", b"\r\n"),
)
