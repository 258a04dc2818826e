"""Structure: cross-references that readers disagree about, packed objects, files of two kinds."""

import base64
import io
import re
import struct
import zipfile

import pypdf

from tests.attacks import ALTERED, UNKNOWN, UNTRUSTED, Family
from tests.attacks.files import FORGED, Ours, append, build, deflated, document, number_of, stream
from tests.attacks.revisions import forged_page

XREFS = Family("cross-reference tricks / 交叉引用")
OBJECT_STREAMS = Family("object streams / 对象流")
POLYGLOTS = Family("polyglots / 多格式文件")
WRAPPED = Family("wrapped and encrypted / 包装与加密")


def _start(pdf: bytes) -> int:
    return int(pdf[pdf.rindex(b"startxref") :].split()[1])


def _cross_stream(pdf: bytes, number: int, rows: dict[int, tuple[int, int, int]]) -> bytes:
    """Return a cross-reference stream that adds those rows."""
    index = b"".join(b"%d 1 " % at for at in sorted(rows))
    table = b"".join(struct.pack(">BIH", *rows[at]) for at in sorted(rows))
    entries = b"/Type/XRef/W[1 4 2]/Size 500/Root %d 0 R/Prev %d/Index[%s]" % (
        number_of(pdf, b"/Type/Catalog"),
        _start(pdf),
        index,
    )
    return b"%d 0 obj\n%s\nendobj\n" % (number, deflated(table, entries))


def _by_cross_stream(ours: Ours, *, packed: bool = False) -> bytes:
    """Append the forged page under a cross-reference stream, its objects packed or not."""
    pdf, rows = ours.pdf, {}
    objects = forged_page(pdf)
    if packed:
        plain = {number: text for number, text in objects.items() if b"stream" not in text}
        places, texts = b"", b""
        for at, (number, text) in enumerate(plain.items()):
            places += b"%d %d " % (number, len(texts))
            texts += text + b" "
            rows[number] = (2, 401, at)
        head = b"/Type/ObjStm/N %d/First %d" % (len(plain), len(places))
        objects = {number: objects[number] for number in objects.keys() - plain.keys()}
        objects[401] = deflated(places + texts, head)
    for number, text in objects.items():
        rows[number] = (1, len(pdf), 0)
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    start = len(pdf)
    pdf += _cross_stream(ours.pdf, 400, rows)
    return pdf + b"startxref\n%d\n%%%%EOF\n" % start


def _hybrid(ours: Ours) -> bytes:
    """Append an empty table whose trailer names a cross-reference stream with the forged page."""
    whole = _by_cross_stream(ours)
    start = _start(whole)
    tail = append(ours.pdf, {}, trailer=b"/XRefStm %d" % start)[len(ours.pdf) :]
    body_ = whole[: whole.rindex(b"startxref")]
    return body_ + re.sub(rb"startxref\n\d+", b"startxref\n%d" % len(body_), tail)


def _loop(ours: Ours) -> bytes:
    whole = append(ours.pdf, forged_page(ours.pdf))
    return re.sub(rb"/Prev \d+(?=.{0,40}\Z)", b"/Prev %d" % _start(whole), whole, flags=re.DOTALL)


def _duplicated(ours: Ours) -> bytes:
    """Put a second object of the page's number right behind the first, before the seal."""
    number = number_of(ours.pdf, b"/Type/Page/")
    again = b"%d 0 obj\n%s\nendobj\n" % (number, forged_page(ours.pdf)[number])
    at = ours.pdf.index(b"\n%d 0 obj\n" % number) + 1
    return ours.pdf[:at] + again + ours.pdf[at:]


def _generation(ours: Ours) -> bytes:
    tail = append(ours.pdf, forged_page(ours.pdf))[len(ours.pdf) :]
    return ours.pdf + tail.replace(b" 0 obj", b" 1 obj").replace(b" 00000 n", b" 00001 n")


def _first_revision(ours: Ours) -> bytes:
    """Point the end of the file to the table from before the seal."""
    first = int(ours.pdf.partition(b"startxref\n")[2].split()[0])
    return re.sub(rb"startxref\n\d+\n(?=%%EOF\n\Z)", b"startxref\n%d\n" % first, ours.pdf)


for _name, _tries, _make in (
    ("cross-stream", "a forged page under a cross-reference stream", _by_cross_stream),
    ("hybrid", "a forged page seen only by readers of hybrid files", _hybrid),
    ("previous-is-itself", "a table whose predecessor is itself", _loop),
    ("duplicate-object", "a second page object of the same number", _duplicated),
    ("other-generation", "the page again in another generation", _generation),
    ("first-revision", "the end points to the table from before the seal", _first_revision),
):
    XREFS.add(_name, _tries, ALTERED, _make)
XREFS.add(
    "all-free",
    "a later table frees the seal's objects",
    ALTERED,
    lambda ours: append(ours.pdf, {}).replace(
        b"xref\ntrailer",
        b"xref\n%d 1\n0000000000 65535 f\r\ntrailer" % number_of(ours.pdf, b"/Type/Sig/Filter"),
    ),
)
XREFS.add(
    "start-beyond",
    "the table is said to lie beyond the end",
    ALTERED,
    lambda ours: re.sub(rb"startxref\n\d+\n(?=%%EOF\n\Z)", b"startxref\n99999999\n", ours.pdf),
)
XREFS.add(
    "two-ends",
    "two pointers and two ends",
    ALTERED,
    lambda ours: ours.pdf + b"startxref\n%d\n%%%%EOF\n" % _start(ours.pdf),
)
XREFS.add(
    "loop-of-tables",
    "unsigned: two tables that name each other",
    UNKNOWN,
    lambda _: (pdf := append(document(FORGED), {})).replace(
        b"/Root 1 0 R>>", b"/Root 1 0 R/Prev %d>>" % _start(pdf), 1
    ),
)


def _packed_seal(_: Ours, entries: bytes) -> bytes:
    """Write a document whose signature dictionary lies in an object stream."""
    dictionary = b"<</Type/Sig/Filter/Adobe.PPKLite%s>>" % entries
    widget = b"<</Type/Annot/Subtype/Widget/FT/Sig/T(Seal)/Rect[0 0 0 0]/P 3 0 R/V 7 0 R>>"
    form = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[6 0 R]/SigFlags 3>>>>"
    pdf = document(FORGED, {1: form, 6: widget}, page=b"/Annots[6 0 R]")
    start = len(pdf)
    packed = deflated(b"7 0 " + dictionary, b"/Type/ObjStm/N 1/First 4")
    pdf += b"8 0 obj\n%s\nendobj\n" % packed
    rows, at = {7: (2, 8, 0), 8: (1, start, 0)}, len(pdf)
    return pdf + _cross_stream(pdf, 9, rows) + b"startxref\n%d\n%%%%EOF\n" % at


OBJECT_STREAMS.add(
    "forged-page-packed",
    "a forged page inside an object stream",
    ALTERED,
    lambda ours: _by_cross_stream(ours, packed=True),
)
OBJECT_STREAMS.add(
    "seal-packed",
    "our seal inside an object stream of a forged document",
    ALTERED,
    lambda ours: _packed_seal(ours, b"/Contents%s/ByteRange[0 1 2 3]" % ours.contents),
)
OBJECT_STREAMS.add(
    "seal-packed-twice",
    "the same under two layers of Flate, in no place that a reader looks at",
    ALTERED,
    lambda ours: append(
        document(FORGED), {20: deflated(deflated(ours.contents).partition(b"stream\n")[2])}
    ),
)
OBJECT_STREAMS.add(
    "range-packed",
    "a signature of nobody inside an object stream",
    UNTRUSTED,
    lambda ours: _packed_seal(ours, b"/Contents<00>/ByteRange[0 1 2 3]"),
)
OBJECT_STREAMS.add(
    "stream-in-itself",
    "an object stream that says it lies in itself",
    UNKNOWN,
    lambda _: (
        (pdf := document(FORGED))
        + _cross_stream(pdf, 9, {8: (2, 8, 0), 3: (2, 8, 0)})
        + b"startxref\n%d\n%%%%EOF\n" % len(pdf)
    ),
)


def _zip(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return output.getvalue()


JPEG_HEAD = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
for _name, _tries, _head, _tail in (
    ("zip-behind", "a ZIP archive behind our file", b"", _zip({"a.txt": b"a"})),
    ("jpeg-before", "a JPEG header before our file", JPEG_HEAD, b""),
    ("gif-before", "a GIF header before our file", b"GIF89a\x01\x00\x01\x00\x00\x00\x00", b""),
    ("html-before", "a page of HTML before our file", b"<html><h1>FORGED</h1><!--", b"-->"),
    ("script-before", "a shell script before our file", b"#!/bin/sh\nexit\n", b""),
    ("header-at-500", "our file begins at byte 500", b" " * 500, b""),
    ("header-at-5000", "our file begins where readers no longer look", b" " * 5000, b""),
    ("two-headers", "another version's header before our own", b"%PDF-1.3\n", b""),
):
    POLYGLOTS.add(
        _name, _tries, ALTERED, lambda ours, head, tail: head + ours.pdf + tail, _head, _tail
    )
POLYGLOTS.add(
    "zip-around",
    "a ZIP archive that stores our file",
    ALTERED,
    lambda ours: _zip({"certificate.pdf": ours.pdf}),
)
POLYGLOTS.add(
    "zip-around-deflated",
    "a ZIP archive that deflates our file: no reader shows it as a certificate",
    UNKNOWN,
    lambda ours: _zip({"certificate.pdf": ours.pdf}, zipfile.ZIP_DEFLATED),
)
POLYGLOTS.add(
    "mail-around",
    "our file as it stands in a mail, in base64",
    UNKNOWN,
    lambda ours: b"Content-Type: application/pdf\n\n" + base64.encodebytes(ours.pdf),
)


def _portfolio(ours: Ours, attached: bytes) -> bytes:
    """Write a forged document that has our whole file attached."""
    catalog = (
        b"<</Type/Catalog/Pages 2 0 R/Names<</EmbeddedFiles<</Names[(a)6 0 R]>>>>"
        b"/Collection<</View/H/D(a)>>>>"
    )
    specification = b"<</Type/Filespec/F(a.pdf)/EF<</F 7 0 R>>>>"
    return document(
        FORGED + b"%%%d" % len(ours.number), {1: catalog, 6: specification, 7: attached}
    )


def _encrypted(pdf: bytes, password: str, algorithm: str) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf))
    writer.encrypt(password, algorithm=algorithm)
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


WRAPPED.add(
    "attached",
    "our file attached to a forged one",
    ALTERED,
    lambda ours: _portfolio(ours, stream(ours.pdf, b"/Type/EmbeddedFile")),
)
WRAPPED.add(
    "attached-deflated",
    "the same, deflated",
    ALTERED,
    lambda ours: _portfolio(ours, deflated(ours.pdf, b"/Type/EmbeddedFile")),
)
for _algorithm in ("RC4-40", "AES-256"):
    WRAPPED.add(
        f"open-{_algorithm.lower()}",
        f"ours encrypted by {_algorithm}, its seal too; no password is needed",
        UNTRUSTED,
        lambda ours, how: _encrypted(ours.pdf, "", how),
        _algorithm,
    )
WRAPPED.add(
    "closed",
    "ours encrypted under an unknown password: that it is signed is all that can be seen",
    UNTRUSTED,
    lambda ours: _encrypted(ours.pdf, "unknown", "AES-128"),
)
WRAPPED.add(
    "closed-of-others",
    "an unsigned document under an unknown password",
    UNKNOWN,
    lambda _: _encrypted(document(FORGED), "unknown", "AES-256"),
)
WRAPPED.add(
    "encryption-entry-added",
    "a later revision claims that our file is encrypted",
    ALTERED,
    lambda ours: append(
        ours.pdf,
        {
            360: b"<</Filter/Standard/V 2/R 3/Length 128/P -1/O<%s>/U<%s>>>"
            % (b"00" * 32, b"00" * 32)
        },
        trailer=b"/Encrypt 360 0 R",
    ),
)
WRAPPED.add(
    "unknown-handler",
    "an unsigned document under a handler that nobody has",
    UNKNOWN,
    lambda _: build(
        {1: b"<</Type/Catalog>>", 2: b"<</Filter/Nobody/V 99>>"}, b"/Root 1 0 R/Encrypt 2 0 R"
    ),
)
