"""Sealing: one signed revision at the end of a face or form, and nothing after it, ever.

The seal is a certification signature that allows no changes (PAdES B-B, P-256, SHA-256). It is a
pure function of face, signer and time: RFC 6979 nonce and derived file id, so that sealing again
gives the same bytes. The revision leaves version, XMP and /Info alone, so that the face's PDF/A-3a
and PDF/UA-1 claims still hold. A PDF of any shape but that of our own is refused. Of several pages
the first carries the seal, which covers them all.
"""

import datetime
import functools
import hashlib
import itertools
import re

import msgspec
from asn1crypto import algos, cms, tsp, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from signing import errors, keys

_ALGORITHM = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_BLANK_DIGEST = bytes(32)
_SIGNATURE_LENGTH_MAX = 72  # two integers of at most 33 bytes in DER
_BYTE_RANGE_WIDTH = 48

# All from the cross-reference table to the end of a face; the objects that a seal touches or needs.
_START = re.compile(rb"startxref\n(\d{1,10})\n%%EOF\n?\Z")
_TAIL = re.compile(
    rb"xref\n0 (?P<size>\d+)\n(?P<entries>(?:\d{10} \d{5} [nf]\r\n)+)trailer\n<</Size (?P=size)"
    rb"(?P<identity>/Root (?P<catalog>\d+) 0 R/Info \d+ 0 R/ID\[\([\w+/=]+\))\([\w+/=]+\)\]>>\n"
    rb"startxref\n\d+\n%%EOF\n?"
)
_OBJECT = re.compile(rb"(\d+) 0 obj\n(<<(?:(?!endobj).)+>>)\nendobj\n", re.DOTALL)
_CATALOG = re.compile(rb"<</Type/Catalog/Pages (\d+) 0 R(?!.*/(?:AcroForm|Perms)\b).*", re.DOTALL)
_PAGES = re.compile(rb"<</Type/Pages/Count (\d+)/Kids\[(\d+ 0 R(?: \d+ 0 R)*)\]>>")
_PAGE = re.compile(
    rb"<</Type/Page/(?=.*/MediaBox\[0 0 )(?=.*/Tabs/S\b)(?!.*/(?:Annots|CropBox)\b).*", re.DOTALL
)

# Without extent and outside the page: such a widget needs neither appearance nor tag
# (ISO 19005-3, 6.3.3; ISO 14289-1, 7.18.1). /F 132: printed and locked.
_WIDGET = (
    b"<</Type/Annot/Subtype/Widget/FT/Sig/T(Seal)/TU<FEFF%s>/F 132/Rect[-1 -1 -1 -1]"
    b"/P %%d 0 R/V %%d 0 R>>" % "电子签章".encode("utf-16-be").hex().encode()
)
_SIGNATURE = (
    b"<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/M(%s)"
    b"/Reference[<</Type/SigRef/TransformMethod/DocMDP"
    b"/TransformParams<</Type/TransformParams/P 1/V/1.2>>>>]/Contents"
)
_FORM = b"/AcroForm<</Fields[%d 0 R]/SigFlags 3>>/Perms<</DocMDP %d 0 R>>>>"
_ENTRY = b"%d 1\n%010d 00000 n\r\n"
_TRAILER = b">>\nendobj\nxref\n%strailer\n<</Size %d%s<%s>]/Prev %d>>\nstartxref\n%d\n%%%%EOF\n"


class _Face(msgspec.Struct, frozen=True):
    """What a seal needs of a face. `identity`: its trailer from /Root to the first file id."""

    catalog_number: int
    catalog: bytes
    page_number: int
    page: bytes
    object_count: int
    identity: bytes
    xref_at: int


class Sealer:
    """A signer made ready to seal any number of faces."""

    def __init__(self, signer: keys.Signer) -> None:
        self._private_key = signer.private_key
        self._pin = signer.pin
        self._contents_length = 2 * len(_blank_envelope(signer.pin, _SIGNATURE_LENGTH_MAX))

    def seal(self, pdf: bytes, sealed_at: datetime.datetime) -> bytes:
        """Return `pdf` with its seal: the same bytes for the same arguments, to the second.

        Raises: FaceUnsealable where `pdf` has not the shape of our faces.
        """
        time = sealed_at.astimezone(datetime.UTC).strftime("D:%Y%m%d%H%M%SZ").encode()
        head, tail = self._revision(pdf, time)
        range_hash = hashlib.sha256(pdf)
        range_hash.update(head)
        range_hash.update(tail)
        digest = range_hash.digest()
        signature = self._private_key.sign(attributes(self._pin, digest), _ALGORITHM)
        contents = envelope(self._pin, digest, signature).hex().ljust(self._contents_length, "0")
        return b"".join((pdf, head, b"<", contents.encode(), b">", tail))

    def _revision(self, pdf: bytes, time: bytes) -> tuple[bytes, bytes]:
        """Return what is added to `pdf`, before and after the gap for the signature."""
        face = _read_face(pdf)
        widget, signature = face.object_count, face.object_count + 1
        objects = {
            face.catalog_number: face.catalog[:-2] + _FORM % (widget, signature),
            face.page_number: face.page[:-2] + b"/Annots[%d 0 R]>>" % widget,
            widget: _WIDGET % (face.page_number, signature),
        }
        head, entries = b"\n", b""
        for number, content in sorted(objects.items()):
            entries += _ENTRY % (number, len(pdf) + len(head))
            head += b"%d 0 obj\n%s\nendobj\n" % (number, content)
        entries += _ENTRY % (signature, len(pdf) + len(head))
        head += b"%d 0 obj\n%s" % (signature, _SIGNATURE % time)
        gap_at = len(pdf) + len(head)
        gap_end = gap_at + self._contents_length + 2
        tail = _TRAILER % (
            entries,
            signature + 1,
            face.identity,
            hashlib.sha256(pdf + time + self._pin.certificate).hexdigest()[:32].encode(),
            face.xref_at,
            gap_end + _BYTE_RANGE_WIDTH + len(b">>\nendobj\n"),
        )
        byte_range = b"/ByteRange[0 %d %d %d]" % (gap_at, gap_end, _BYTE_RANGE_WIDTH + len(tail))
        return head, byte_range.ljust(_BYTE_RANGE_WIDTH) + tail


def attributes(pin: keys.Pin, digest: bytes) -> bytes:
    """Return the DER of the signed attributes for the signed range's digest."""
    return _fill(_blank_attributes(pin), digest)


def envelope(pin: keys.Pin, digest: bytes, signature: bytes) -> bytes:
    """Return the DER of the CMS that carries `signature` over `attributes(pin, digest)`."""
    blank = _blank_envelope(pin, len(signature))
    return _fill(blank, digest)[: -len(signature)] + signature


def _fill(blank: bytes, digest: bytes) -> bytes:
    at = blank.index(_BLANK_DIGEST)
    return blank[:at] + digest + blank[at + len(digest) :]


@functools.cache
def _blank_attributes(pin: keys.Pin) -> bytes:
    certificate = tsp.ESSCertIDv2({"cert_hash": bytes.fromhex(pin.fingerprint)})
    values = {
        "content_type": "data",
        "message_digest": _BLANK_DIGEST,
        "signing_certificate_v2": tsp.SigningCertificateV2({"certs": [certificate]}),
    }
    parts = [cms.CMSAttribute({"type": name, "values": [value]}) for name, value in values.items()]
    dump: bytes = cms.CMSAttributes(parts).dump()
    return dump


@functools.cache
def _blank_envelope(pin: keys.Pin, signature_length: int) -> bytes:
    """Build the CMS once for each length that an ECDSA signature can take in DER."""
    certificates = [x509.Certificate.load(part) for part in (pin.certificate, pin.issuing)]
    sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.IssuerAndSerialNumber(
                {"issuer": certificates[0].issuer, "serial_number": certificates[0].serial_number}
            ),
            "digest_algorithm": sha256,
            "signed_attrs": cms.CMSAttributes.load(_blank_attributes(pin)),
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": bytes(signature_length),
        }
    )
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [sha256],
            "encap_content_info": {"content_type": "data"},
            "certificates": certificates,
            "signer_infos": [signer],
        }
    )
    dump: bytes = cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
    return dump


def _read_face(pdf: bytes) -> _Face:
    """Find catalog and page through the cross-reference table, never by searching the file."""
    start = _START.search(pdf, max(0, len(pdf) - 40))
    tail = start and _TAIL.fullmatch(pdf, int(start[1]))
    if not start or not tail or b"/ByteRange" in pdf:
        raise errors.FaceUnsealable(part="xref")
    xref_at = int(start[1])
    offsets = [int(entry[:10]) for entry in tail["entries"].splitlines()]
    if len(offsets) != int(tail["size"]):
        raise errors.FaceUnsealable(part="xref")
    ends = dict(itertools.pairwise(sorted((*offsets, xref_at))))

    def read(number: int, shape: re.Pattern[bytes]) -> re.Match[bytes]:
        """Return the object, which fills all the room up to the next one."""
        at = offsets[number] if number < len(offsets) else 0
        whole = _OBJECT.fullmatch(pdf, at, ends.get(at, at))
        body = whole and int(whole[1]) == number and shape.fullmatch(whole[2])
        if not body:
            raise errors.FaceUnsealable(part=f"{number} 0 obj")
        return body

    catalog_number = int(tail["catalog"])
    catalog = read(catalog_number, _CATALOG)
    tree = read(int(catalog[1]), _PAGES)
    page_numbers = [int(number) for number in tree[2].split()[::3]]
    if not int(tree[1]) == len(page_numbers) == len(set(page_numbers)):
        raise errors.FaceUnsealable(part="pages")
    pages = [read(number, _PAGE)[0] for number in page_numbers]
    return _Face(
        catalog_number,
        catalog[0],
        page_numbers[0],
        pages[0],
        len(offsets),
        tail["identity"],
        xref_at,
    )
