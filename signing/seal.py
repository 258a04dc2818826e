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
import re

from asn1crypto import algos, cms, tsp, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from signing import keys
from signing.errors import FaceUnsealable
from signing.written import Written

_ALGORITHM = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_BLANK_DIGEST = bytes(32)
_SIGNATURE_LENGTH_MAX = 72  # two integers of at most 33 bytes in DER
_BYTE_RANGE_WIDTH = 48

# What a seal needs of catalog and page, and must not find there.
_CATALOG = re.compile(rb"<</Type/Catalog(?!.*/(?:AcroForm|Perms)\b).*>>", re.DOTALL)
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
        range_hash = hashlib.sha256(pdf)
        file_id = range_hash.copy()
        file_id.update(time + self._pin.certificate)
        head, tail = self._revision(pdf, time, file_id.hexdigest()[:32].encode())
        range_hash.update(head)
        range_hash.update(tail)
        digest = range_hash.digest()
        signature = self._private_key.sign(attributes(self._pin, digest), _ALGORITHM)
        contents = envelope(self._pin, digest, signature).hex().ljust(self._contents_length, "0")
        return b"".join((pdf, head, b"<", contents.encode(), b">", tail))

    def _revision(self, pdf: bytes, time: bytes, file_id: bytes) -> tuple[bytes, bytes]:
        """Return what is added to `pdf`, before and after the gap for the signature."""
        face = Written.of(pdf)
        if b"/ByteRange" in pdf:
            raise FaceUnsealable(part="ByteRange")
        catalog = face.read(face.catalog_number, _CATALOG)[0]
        page_number, *others = face.page_numbers()
        page, *_ = (face.read(number, _PAGE)[0] for number in (page_number, *others))
        widget = len(face.bodies) + 1
        signature = widget + 1
        objects = {
            face.catalog_number: catalog[:-2] + _FORM % (widget, signature),
            page_number: page[:-2] + b"/Annots[%d 0 R]>>" % widget,
            widget: _WIDGET % (page_number, signature),
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
            file_id,
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


def signature_of(pin: keys.Pin, digest: bytes, contents: bytes) -> bytes | None:
    """Return the signature of a CMS that, but for it, is ours over this digest to the last byte."""
    longest = len(_blank_envelope(pin, _SIGNATURE_LENGTH_MAX))
    length = _SIGNATURE_LENGTH_MAX - longest + len(contents)
    signature = contents[len(contents) - length :]
    if 0 < length <= _SIGNATURE_LENGTH_MAX and contents == envelope(pin, digest, signature):
        return signature
    return None


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
