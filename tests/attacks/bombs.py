"""Bombs: small files that cost a careless reader minutes or gigabytes."""

import functools
import io
import struct
import zlib
from collections.abc import Mapping

from PIL import Image

from tests.attacks import ALTERED, LIMIT, NO_CODE, UNKNOWN, UNTRUSTED, Family
from tests.attacks.files import FORGED, append, build, deflated, document, edited, picture, stream

BOMBS = Family("bombs / 资源炸弹")
OVER_OURS = Family("bombs appended to ours / 附加炸弹")

MEGABYTE = 1 << 20


@functools.cache
def _flate(megabytes: int, layers: int = 1) -> bytes:
    """Deflate that many megabytes of zeros, so many times over."""
    packer = zlib.compressobj(9)
    packed = b"".join(
        [*(packer.compress(bytes(MEGABYTE)) for _ in range(megabytes)), packer.flush()]
    )
    for _ in range(layers - 1):
        packed = zlib.compress(packed, 9)
    return packed


def _filters(count: int) -> bytes:
    return b"/Filter[%s]" % (b"/FlateDecode" * count)


def _tree(kids: Mapping[int, bytes], more: Mapping[int, bytes] | None = None) -> bytes:
    """Write a document whose page tree begins with object 2 of `kids`."""
    return build({1: b"<</Type/Catalog/Pages 2 0 R>>"} | dict(kids) | dict(more or {}))


def _wide(count: int) -> bytes:
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"
    kids = b"".join(b"%d 0 R " % at for at in range(3, 3 + count))
    tree = {2: b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, kids)}
    return _tree(tree | dict.fromkeys(range(3, 3 + count), page))


def _deep(count: int) -> bytes:
    node = b"<</Type/Pages/Parent %d 0 R/Count 1/Kids[%d 0 R]>>"
    nodes = {at: node % (max(2, at - 1), at + 1) for at in range(2, 2 + count)}
    page = b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 9 9]>>" % (1 + count)
    return _tree(nodes | {2 + count: page})


def _doubling(count: int, leaf: bytes, node: bytes) -> dict[int, bytes]:
    """Return nodes that each name the next one twice: 2 to the power of `count` paths."""
    nodes = {10 + at: node % (11 + at, 11 + at) for at in range(count)}
    return nodes | {10 + count: leaf}


def _with_form(fields: Mapping[int, bytes], names: bytes) -> bytes:
    catalog = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[%s]>>>>" % names
    return document(FORGED, {1: catalog} | dict(fields))


def _many_fields(count: int) -> bytes:
    field = b"<</FT/Sig/T(%d)/V 9 0 R>>"
    signature = b"<</Type/Sig/Filter/A/Contents<%s>/ByteRange[0 1 2 3]>>" % (b"00" * 99)
    fields = {10 + at: field % at for at in range(count)}
    names = b"".join(b"%d 0 R " % at for at in fields)
    return _with_form({9: signature} | fields, names)


def _many_revisions(pdf: bytes, count: int) -> bytes:
    parts, at, start = [pdf], len(pdf), int(pdf[pdf.rindex(b"startxref") :].split()[1])
    for _ in range(count):
        part = b"xref\n0 0\ntrailer\n<</Size 99/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n" % (
            start,
            at,
        )
        start, at = at, at + len(part)
        parts.append(part)
    return b"".join(parts)


_NINE = b"/Width 9/Height 9/ColorSpace/DeviceGray/BitsPerComponent 1"
_GREY = b"/Width 100000/Height 100000/ColorSpace/DeviceGray/BitsPerComponent %d"


def _segment(kind: int, data: bytes) -> bytes:
    return struct.pack(">IBBBI", 0, kind, 0, 1, len(data)) + data


_JBIG2 = _segment(48, struct.pack(">IIIIBH", 60000, 60000, 0, 0, 0, 0)) + _segment(
    38, struct.pack(">IIIIBB", 60000, 60000, 0, 0, 0, 0) + bytes(8) + b"\0" * 64
)
_JPX = (
    b"\xff\x4f\xff\x51"
    + struct.pack(">HHIIIIIIIIH", 41, 0, 60000, 60000, 0, 0, 60000, 60000, 0, 0, 1)
    + b"\x07\x01\x01\xff\x52\x00\x0c\0\0\0\x01\0\x05\x04\x04\0\0"
    + b"\xff\x90\0\x0a\0\0\0\0\0\0\0\x01\xff\x93\xff\xd9"
)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int, pixels: bytes, *more: bytes) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + b"".join(more)
        + _chunk(b"IDAT", pixels)
        + _chunk(b"IEND", b"")
    )


def _jpeg(width: int, height: int) -> bytes:
    """Write a small JPEG and then other dimensions into its header."""
    output = io.BytesIO()
    Image.new("L", (8, 8)).save(output, "JPEG")
    content = output.getvalue()
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


def _scans(count: int) -> bytes:
    """Write a progressive JPEG that comes in very many scans."""
    output = io.BytesIO()
    Image.effect_noise((1200, 1200), 90).save(output, "JPEG", progressive=True)
    content = output.getvalue()
    at = content.rindex(b"\xff\xda")
    return content[:at] + content[at:-2] * count + content[-2:]


def _cmap(lines: int) -> bytes:
    """Write a font whose ToUnicode map has very many ranges, each as wide as may be."""
    ranges = b"".join(b"<0000> <FFFF> <%04X>\n" % (at % 65536) for at in range(lines))
    text = (
        b"/CIDInit/ProcSet findresource begin begincmap\n%d beginbfrange\n%sendbfrange\nendcmap"
        % (lines, ranges)
    )
    return deflated(text)


def _composite() -> bytes:
    font = (
        b"<</Type/Font/Subtype/Type0/BaseFont/A/Encoding/Identity-H/ToUnicode 7 0 R"
        b"/DescendantFonts[<</Type/Font/Subtype/CIDFontType2/BaseFont/A/W[0 4294967295 500]>>]>>"
    )
    return document(b"BT /F1 9 Tf <00410042> Tj ET", {5: font, 7: _cmap(200_000)})


def _type3(depth: int) -> bytes:
    """Write a font whose glyph shows text in that very font."""
    font = (
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 9 9]/FontMatrix[1 0 0 1 0 0]/FirstChar 65"
        b"/LastChar 65/Widths[9]/Encoding<</Differences[65/a]>>/CharProcs<</a 6 0 R>>"
        b"/Resources<</Font<</F1 5 0 R>>>>>>"
    )
    glyph = stream(b"9 0 0 0 9 9 d1 BT /F1 1 Tf (%s) Tj ET" % (b"A" * depth))
    return document(b"BT /F1 1 Tf (AAAA) Tj ET", {5: font, 6: glyph})


_FIRST = b"/XObject<</X 300 0 R>>"


def _drawings(count: int) -> dict[int, bytes]:
    """Return forms that each draw the next one twice."""
    head = b"/Type/XObject/Subtype/Form/BBox[0 0 842 595]"
    more = b"/Resources<</XObject<</X %d 0 R>>>>"
    forms = {300 + at: stream(b"/X Do /X Do", head + more % (301 + at)) for at in range(count)}
    return forms | {300 + count: stream(FORGED, head)}


def _forms(count: int) -> bytes:
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 842 595]/Contents 4 0 R/Resources<<%s>>>>"
    return document(b"/X Do", _drawings(count) | {3: page % _FIRST})


def _packed(megabytes: int) -> bytes:
    """Write an object stream that says it holds a million objects, all zeros."""
    head = b"/Type/ObjStm/N 1000000/First 9000000" + _filters(1)
    return document(FORGED, {6: stream(_flate(megabytes), head)})


def _crossed(size: int) -> bytes:
    """Write a cross-reference stream for that many objects, of zeros."""
    pdf = document(FORGED)
    entries = b"/Type/XRef/W[1 8 8]/Size %d/Root 1 0 R%s" % (size, _filters(1))
    table = b"9 0 obj\n%s\nendobj\n" % stream(_flate(40), entries)
    return pdf + table + b"startxref\n%d\n%%%%EOF\n" % len(pdf)


def _noise(lines: int) -> bytes:
    return b"%PDF-1.7\n" + b"1 0 obj\n<<>>\nendobj\n" * lines


_NODE = b"<</T(a)/Kids[%d 0 R %d 0 R]>>"
_FLATE = _filters(1)
_PAGES = b"<</Type/Pages/Count 9/Kids[%d 0 R %d 0 R]>>"

BOMBS.add(
    "flate",
    "a page of 200 MB of zeros in 200 KB",
    LIMIT,
    lambda _: document(b"", {4: stream(_flate(200), _FLATE)}),
)
BOMBS.add(
    "flate-in-flate",
    "200 MB under two layers, in 1 KB",
    LIMIT,
    lambda _: document(b"", {4: stream(_flate(200, 2), _filters(2))}),
)
BOMBS.add(
    "flate-in-layers",
    "1 MB under eight layers",
    LIMIT,
    lambda _: document(b"", {4: stream(_flate(1, 8), _filters(8))}),
)
BOMBS.add(
    "many-streams",
    "90 streams of 1 MB",
    LIMIT,
    lambda _: document(FORGED, dict.fromkeys(range(10, 100), stream(_flate(1), _FLATE))),
)
BOMBS.add("object-stream", "an object stream of a million objects", LIMIT, lambda _: _packed(80))
BOMBS.add(
    "cross-stream", "a table for 2 147 483 647 objects", UNKNOWN, lambda _: _crossed(2**31 - 1)
)
BOMBS.add("many-objects", "200 000 objects", LIMIT, lambda _: _noise(200_000))
BOMBS.add(
    "deep-arrays",
    "100 000 arrays inside each other",
    LIMIT,
    lambda _: document(FORGED, {6: b"[" * 100_000 + b"]" * 100_000}),
)
BOMBS.add(
    "deep-dictionaries",
    "50 000 dictionaries inside each other, never closed",
    LIMIT,
    lambda _: document(FORGED, {6: b"<</A" * 50_000}),
)
BOMBS.add(
    "deep-content",
    "100 000 arrays inside each other on a page",
    UNKNOWN,
    lambda _: document(b"", {4: deflated(b"[" * 100_000)}),
)
BOMBS.add("wide-pages", "5 000 pages", LIMIT, lambda _: _wide(5000))
BOMBS.add("deep-pages", "a page tree of 5 000 levels", UNKNOWN, lambda _: _deep(5000))
BOMBS.add(
    "cyclic-pages",
    "a page tree that is its own child",
    UNKNOWN,
    lambda _: _tree({2: b"<</Type/Pages/Count 1/Kids[2 0 R]/Parent 2 0 R>>"}),
)
BOMBS.add(
    "doubling-pages",
    "a page tree with 2 to the 40 paths",
    UNKNOWN,
    lambda _: _tree(
        {2: b"<</Type/Pages/Count 1099511627776/Kids[10 0 R 10 0 R]>>"}
        | _doubling(40, b"<</Type/Page/MediaBox[0 0 9 9]>>", _PAGES)
    ),
)
BOMBS.add(
    "endless-pages",
    "a page tree that counts two thousand million pages",
    UNKNOWN,
    lambda _: _tree({2: b"<</Type/Pages/Count 2147483647/Kids[2 0 R]>>"}),
)
BOMBS.add(
    "doubling-fields",
    "a form with 2 to the 40 paths",
    UNKNOWN,
    lambda _: _with_form(_doubling(40, b"<</FT/Tx/T(z)>>", _NODE), b"10 0 R"),
)
BOMBS.add("many-fields", "3 000 fields on one signature", UNTRUSTED, lambda _: _many_fields(3000))
BOMBS.add(
    "many-revisions", "3 000 revisions", UNKNOWN, lambda _: _many_revisions(document(FORGED), 3000)
)
BOMBS.add("font-map", "a font with 200 000 wide ranges", UNKNOWN, lambda _: _composite())
BOMBS.add("font-in-itself", "a font whose glyph is text in it", UNKNOWN, lambda _: _type3(50))
BOMBS.add("doubling-forms", "drawings with 2 to the 40 paths", LIMIT, lambda _: _forms(40))
for _name, _tries, _entries, _content in (
    ("image", "an image of 100 000 × 100 000 pixels", _GREY % 8, b"\0"),
    ("image-deflated", "the same, deflated", _GREY % 1 + _FLATE, _flate(20)),
    ("image-jbig2", "a JBIG2 image of 60 000 × 60 000", _GREY % 1 + b"/Filter/JBIG2Decode", _JBIG2),
    ("image-jpx", "a JPEG 2000 image of 60 000 × 60 000", _GREY % 8 + b"/Filter/JPXDecode", _JPX),
):
    BOMBS.add(
        _name,
        _tries,
        LIMIT,
        lambda _, entries, content: picture(content, entries),
        _entries,
        _content,
    )
for _name, _tries, _entries, _content in (
    ("image-jbig2-hidden", "the same JBIG2, said to be small", b"/Filter/JBIG2Decode", _JBIG2),
    ("image-jpx-hidden", "the same JPEG 2000, said to be small", b"/Filter/JPXDecode", _JPX),
    (
        "image-dct-hidden",
        "a JPEG of 65 000², said to be small",
        b"/Filter/DCTDecode",
        _jpeg(65000, 65000),
    ),
):
    BOMBS.add(
        _name,
        _tries,
        NO_CODE,
        lambda _, more, content: picture(content, _NINE + more),
        _entries,
        _content,
    )
BOMBS.add(
    "huge-page",
    "one image on a page of 2 000 000 × 2 000 000 points",
    NO_CODE,
    lambda _: picture(b"\0", b"/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8").replace(
        b"/MediaBox[0 0 842 595]", b"/MediaBox[0 0 2000000 2000000]"
    ),
)
BOMBS.add("png", "a PNG of 100 000 × 100 000", LIMIT, lambda _: _png(100_000, 100_000, _flate(9)))
BOMBS.add("png-long", "a PNG of 1 × 2 147 483 647", LIMIT, lambda _: _png(1, 2**31 - 1, _flate(9)))
BOMBS.add(
    "png-small-head",
    "a PNG of 8 × 8 with 200 MB of pixels",
    NO_CODE,
    lambda _: _png(8, 8, _flate(200)),
)
BOMBS.add(
    "png-text",
    "a PNG with 200 MB of deflated text",
    NO_CODE,
    lambda _: _png(8, 8, zlib.compress(bytes(72)), _chunk(b"zTXt", b"a\0\0" + _flate(200))),
)
BOMBS.add("jpeg", "a JPEG of 65 000 × 65 000", LIMIT, lambda _: _jpeg(65_000, 65_000))
BOMBS.add("jpeg-scans", "a JPEG in very many scans", NO_CODE, lambda _: _scans(30))

for _name, _tries, _objects in (
    ("flate", "200 MB of zeros behind our file", lambda: {300: stream(_flate(200), _FLATE)}),
    ("deep-arrays", "100 000 arrays behind our file", lambda: {300: b"[" * 100_000}),
    (
        "doubling-fields",
        "a form with 2 to the 40 paths behind our file",
        lambda: _doubling(40, b"<</FT/Tx/T(z)>>", _NODE),
    ),
):
    OVER_OURS.add(
        _name, _tries, ALTERED, lambda ours, objects: append(ours.pdf, objects()), _objects
    )
OVER_OURS.add(
    "doubling-forms",
    "drawings with 2 to the 40 paths on our page: the reader is killed, the bytes still tell",
    ALTERED,
    lambda ours: append(
        ours.pdf,
        {299: stream(b"/X Do")}
        | _drawings(40)
        | edited(
            ours.pdf,
            b"/Type/Page/",
            b"/Contents 299 0 R/Resources<<%s>>" % _FIRST,
            drop=rb"/(Contents|Resources) \d+ 0 R",
        ),
    ),
)
OVER_OURS.add(
    "many-revisions",
    "3 000 revisions behind our file",
    ALTERED,
    lambda ours: _many_revisions(ours.pdf, 3000),
)
OVER_OURS.add(
    "many-objects",
    "200 000 objects behind our file",
    ALTERED,
    lambda ours: ours.pdf + _noise(200_000),
)
