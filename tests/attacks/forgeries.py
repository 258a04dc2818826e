"""Forged signatures: universal forgery, byte ranges, CMS from elsewhere, authorities of one name.

Sources: Mladenov and others, "1 Trillion Dollar Refund" (CCS 2019), for universal signature
forgery; ISO 32000-1, 12.8.1, for what a byte range should be.
"""

import datetime
import functools
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signing import Sealer, examine, seal
from tests import pdfs
from tests.attacks import ALTERED, UNKNOWN, UNTRUSTED, Family
from tests.attacks.files import (
    FORGED,
    Ours,
    append,
    body,
    byte_range,
    contents,
    document,
    number_of,
    replaced,
    sign,
    with_byte_range,
)
from tests.attacks.revisions import forged_page

UNIVERSAL = Family("universal signature forgery / 通用签名伪造")
RANGES = Family("byte-range games / 字节范围")
TRANSPLANTS = Family("transplanted CMS / 移植签名")
AUTHORITIES = Family("look-alike authorities / 同名机构")


def _value(ours: Ours, *, contents_: bytes | None = None, range_: bytes | None = None) -> bytes:
    """Append a forged page, and the signature dictionary with another value in it."""
    number = number_of(ours.pdf, b"/Type/Sig/Filter")
    dictionary = body(ours.pdf, number)
    old_range = b"/ByteRange[%d %d %d %d]" % tuple(byte_range(ours.pdf))
    if contents_ is not None:
        dictionary = dictionary.replace(b"/Contents" + ours.contents, contents_)
    if range_ is not None:
        dictionary = dictionary.replace(old_range, range_)
    return append(ours.pdf, forged_page(ours.pdf) | {number: dictionary})


for _name, _contents in {
    "contents-missing": b"",
    "contents-empty": b"/Contents<>",
    "contents-null": b"/Contents null",
    "contents-zero-byte": b"/Contents<00>",
    "contents-zeros": b"/Contents<%s>" % (b"00" * 1000),
    "contents-not-hex": b"/Contents<zz>",
    "contents-number": b"/Contents 0",
    "contents-array": b"/Contents[<00>]",
    "contents-twice": b"/Contents<00>/Contents<00>",
    "contents-elsewhere": b"/Contents 999 0 R",
}.items():
    UNIVERSAL.add(
        _name,
        "a forged page, and a signature without a usable value",
        ALTERED,
        functools.partial(_value, contents_=_contents),
    )
for _name, _range in {
    "range-missing": b"",
    "range-empty": b"/ByteRange[]",
    "range-null": b"/ByteRange null",
    "range-number": b"/ByteRange 0",
    "range-zeros": b"/ByteRange[0 0 0 0]",
    "range-negative": b"/ByteRange[0 -1 -1 -1]",
    "range-short": b"/ByteRange[0 10]",
    "range-names": b"/ByteRange[/a /b /c /d]",
    "range-strings": b"/ByteRange[(0)(1)(2)(3)]",
    "range-reals": b"/ByteRange[0.0 1.0 2.0 3.0]",
    "range-elsewhere": b"/ByteRange 999 0 R",
}.items():
    UNIVERSAL.add(
        _name,
        "a forged page, and a signature without a usable range",
        ALTERED,
        functools.partial(_value, range_=_range),
    )
UNIVERSAL.add(
    "both-missing",
    "a forged page, and an empty signature",
    ALTERED,
    lambda ours: _value(ours, contents_=b"", range_=b""),
)
UNIVERSAL.add(
    "in-place",
    "value and range of the only signature emptied where they stand",
    UNTRUSTED,
    lambda ours: with_byte_range(
        ours.pdf.replace(ours.contents, b"<%s>" % (b"0" * (len(ours.contents) - 2))),
        b"/ByteRange[0 0 0 0]",
    ),
)
UNIVERSAL.add(
    "signature-removed",
    "the genuine face with its whole seal cut off",
    UNKNOWN,
    lambda ours: ours.pdf[: ours.pdf.index(b"%%EOF") + 6],
)


def _ranged(ours: Ours, edit: Callable[[int, int, int, int], tuple[int, ...]]) -> bytes:
    a, b, c, d = byte_range(ours.pdf)
    numbers = b" ".join(b"%d" % number for number in edit(a, b, c, d))
    return with_byte_range(ours.pdf, b"/ByteRange[%s]" % numbers)


for _name, _tries, _edit in (
    ("not-from-zero", "the header is outside the range", lambda a, b, c, d: (a + 9, b - 9, c, d)),
    (
        "gap-widened",
        "room for forged bytes after the value",
        lambda a, b, c, d: (a, b, c + 8, d - 8),
    ),
    ("gap-before", "room for forged bytes before the value", lambda a, b, c, d: (a, b - 9, c, d)),
    ("overlap", "both parts cover the same bytes", lambda a, b, c, d: (a, c, b, d)),
    ("everything", "the range has no gap", lambda a, b, c, d: (a, c, c, d)),
    ("beyond-the-end", "the range is longer than the file", lambda a, b, c, d: (a, b, c, d + 99)),
    ("first-part-only", "the end of the file is not covered", lambda a, b, c, d: (a, b, c, 0)),
    ("three-parts", "a third part follows", lambda a, b, c, d: (a, b, c, d - 1, c + d - 1, 1)),
    ("swapped", "the two parts change places", lambda a, b, c, d: (c, d, a, b)),
    ("huge", "numbers that overflow 64 bits", lambda a, b, c, d: (a, b, c, 2**64 + d)),
):
    RANGES.add(_name, _tries, ALTERED, functools.partial(_ranged, edit=_edit))
RANGES.add(
    "second-entry",
    "a second /ByteRange in the same dictionary",
    ALTERED,
    lambda ours: replaced(ours.pdf, b"]              ", b"]/ByteRange[9]"),
)
RANGES.add(
    "range-in-comment",
    "a matching /ByteRange stands in a comment before the real one",
    ALTERED,
    lambda ours: ours.pdf.replace(b"%PDF-1.7\n", b"%PDF-1.7\n%/ByteRange[0 1 2 3]\n", 1),
)
for _name, _tries, _edit_value in (
    ("upper-case", "the value in capitals", bytes.upper),
    ("comment-in-gap", "a comment inside the value", lambda value: value[:-3] + b"%0>"),
    ("second-string-in-gap", "a second string in the gap", lambda value: value[:-5] + b"><00>"),
    ("bytes-in-padding", "bytes behind the value's DER", lambda value: value[:-3] + b"41>"),
):
    RANGES.add(
        _name,
        _tries,
        ALTERED,
        lambda ours, edit: ours.pdf.replace(ours.contents, edit(ours.contents)),
        _edit_value,
    )


def _carried(ours: Ours, value: bytes) -> bytes:
    """Write a forged document with a gap of the right size, every byte covered, and that value."""
    head = document(
        FORGED,
        {
            1: b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[6 0 R]/SigFlags 3>>"
            b"/Perms<</DocMDP 7 0 R>>>>",
            6: b"<</Type/Annot/Subtype/Widget/FT/Sig/T(Seal)/F 132/Rect[0 0 0 0]/P 3 0 R/V 7 0 R>>",
        },
        page=b"/Annots[6 0 R]",
    )
    begin = body(ours.pdf, number_of(ours.pdf, b"/Type/Sig/Filter")).partition(b"/Contents")[0]
    pdf = append(head, {7: begin + b"/Contents" + value + b"/ByteRange[]".ljust(48) + b">>"})
    at = pdf.index(value)
    end = at + len(value)
    text = b"/ByteRange[0 %d %d %d]" % (at, end, len(pdf) - end)
    return pdf.replace(b"/ByteRange[]".ljust(48), text.ljust(48))


def _with_digest(ours: Ours) -> bytes:
    """Give a forged document our CMS with the digest of the forged one written into it."""
    draft = _carried(ours, ours.contents)
    guarded = examine.guard(draft)
    old = examine.guard(ours.pdf).range_digest.hex().encode()
    return draft.replace(old, guarded.range_digest.hex().encode())


def _signed_by_stranger(ours: Ours) -> bytes:
    """Give a forged document an envelope that names us, signed with the stranger's key."""
    draft = _carried(ours, ours.contents)
    digest = examine.guard(draft).range_digest
    attributes = seal.attributes(ours.pin, digest)
    signature = ours.stranger.private_key.sign(attributes, ec.ECDSA(hashes.SHA256()))
    value = seal.envelope(ours.pin, digest, signature).hex().encode()
    return draft.replace(ours.contents, b"<%s>" % value.ljust(len(ours.contents) - 2, b"0"))


TRANSPLANTS.add(
    "value-of-another-certificate",
    "the seal of one certificate in another one of ours",
    ALTERED,
    lambda ours: _fitted(ours.pdf, contents(ours.other)),
)
TRANSPLANTS.add(
    "value-in-forged-document",
    "our seal in a forged document, every byte covered",
    ALTERED,
    lambda ours: _carried(ours, ours.contents),
)
TRANSPLANTS.add(
    "value-with-forged-digest",
    "our seal in a forged document, its digest made to fit",
    ALTERED,
    _with_digest,
)
TRANSPLANTS.add(
    "our-certificate-their-key",
    "our certificate in the envelope, signed with another key",
    ALTERED,
    _signed_by_stranger,
)
TRANSPLANTS.add(
    "our-certificate-beside-theirs",
    "signed by others, our certificate among those sent along",
    ALTERED,
    lambda ours: sign(document(FORGED), ours.stranger, more=(ours.pin.certificate,)),
)
TRANSPLANTS.add(
    "our-authorities-beside-theirs",
    "signed by others, our authorities among those sent along",
    UNTRUSTED,
    lambda ours: sign(document(FORGED), ours.stranger, more=(ours.pin.issuing, ours.pin.root)),
)
TRANSPLANTS.add(
    "our-value-in-a-comment",
    "an unsigned document that quotes our seal in a comment",
    ALTERED,
    lambda ours: document(FORGED).replace(b"\n", b"\n%" + ours.contents + b"\n", 1),
)


def _fitted(pdf: bytes, value: bytes) -> bytes:
    old = contents(pdf)
    return pdf.replace(old, b"<%s>" % value[1:-1].rstrip(b"0").ljust(len(old) - 2, b"0"))


def _minted(ours: Ours, count: int) -> tuple[bytes, ...]:
    """Make authorities that certify each other under the names and serial numbers of ours."""
    issuing = x509.load_der_x509_certificate(ours.pin.issuing)
    root = x509.load_der_x509_certificate(ours.pin.root)
    day = datetime.timedelta(days=1)
    key = ours.stranger.private_key
    return tuple(
        x509.CertificateBuilder()
        .subject_name((issuing, root)[at % 2].subject)
        .issuer_name((root, issuing)[at % 2].subject)
        .serial_number((issuing, root)[at % 2].serial_number + at)
        .not_valid_before(issuing.not_valid_before_utc)
        .not_valid_after(issuing.not_valid_after_utc - day)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
        for at in range(count)
    )


AUTHORITIES.add(
    "same-names",
    "our own sealing program under a root with the names of ours",
    UNTRUSTED,
    lambda ours: Sealer(ours.stranger).seal(pdfs.face(), pdfs.SEALED_AT),
)
AUTHORITIES.add(
    "same-names-and-serials",
    "authorities with our names and serial numbers sent along",
    UNTRUSTED,
    lambda ours: sign(document(FORGED), ours.stranger, more=_minted(ours, 2)),
)
AUTHORITIES.add(
    "crossed-authorities",
    "60 authorities that certify each other, to tire whoever builds paths",
    UNTRUSTED,
    lambda ours: sign(document(FORGED), ours.stranger, more=_minted(ours, 60)),
)
AUTHORITIES.add(
    "our-face-their-seal",
    "the genuine face with the seal of others in place of ours",
    UNTRUSTED,
    lambda ours: sign(ours.pdf[: ours.pdf.index(b"%%EOF") + 6], ours.stranger),
)
AUTHORITIES.add(
    "contract-of-others",
    "a document that others have certified, and nothing of ours",
    UNTRUSTED,
    lambda ours: ours.by_others,
)
