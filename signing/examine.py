"""Examination: whether a file, every byte of it, is what a city sealed.

A rule is judged only when all before it in `Rule` have passed: bytes before ASN.1, a pinned signer
before any certificate path, a PDF library last. `own` holds a file of ours against its record
within about a millisecond; `fully` is the independent second look; `foreign` judges a stranger's
bytes and belongs into the jail. Malformed is a verdict: nothing but a failed rule leaves this room.
PDFium is not thread-safe, so one thread of a process may be here at a time.
"""

import contextlib
import datetime
import enum
import functools
import hashlib
import io
import re
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec
import pypdfium2
from asn1crypto import cms, x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_der_x509_certificate
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.validation import SignatureCoverageLevel, async_validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from signing import appearance, keys, metadata, seal
from signing.appearance import Beyond
from signing.errors import ExaminationFailed
from signing.frame import Frame
from signing.record import Record


class Rule(enum.StrEnum):
    """What is judged, in this order. The first seven are the byte guard."""

    HEADER = "header"
    BYTE_RANGE = "byte_range"
    COVERAGE = "coverage"
    GAP = "gap"
    CONTENTS = "contents"
    PADDING = "padding"
    ENDING = "ending"
    MALFORMED = "malformed"
    SIGNER = "signer"
    ATTRIBUTES = "attributes"
    DIGEST = "digest"
    SIGNATURE = "signature"
    ENVELOPE = "envelope"
    METADATA = "metadata"
    FACE = "face"
    PHOTO = "photo"
    ENCRYPTION = "encryption"
    CERTIFICATION = "certification"
    VALIDATION = "validation"


class Guarded(msgspec.Struct, frozen=True):
    """A file that passed the byte guard: every byte but `cms` is under `range_digest`."""

    cms: bytes
    range_digest: bytes


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a stranger's PDF turned out to be; digests in lower-case hex.

    `failed` is the first rule that it fails, None for an intact file under a pinned seal. `signer`
    is the pinned certificate of the seal itself, `mentioned` those found anywhere in the file.
    `sealed_at` is the time that an intact seal states. `stopped` names the limit that ended the
    search for what else may be in the file.
    """

    file_digest: str
    range_digest: str | None = None
    signer: str | None = None
    mentioned: tuple[str, ...] = ()
    signed: bool = False
    sealed_at: datetime.datetime | None = None
    failed: Rule | None = None
    stopped: str | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a stranger's file.

    `numbers` are those that may be certificate numbers, as they can be read on its face. `picture`
    tells that it is nothing but a picture and holds no signature; only then `qr_text` is told.
    """

    findings: Findings
    numbers: tuple[str, ...] = ()
    picture: bool = False
    qr_text: str | None = None


ATTACHMENT_NAME = "record.xml"

_Result = TypeVar("_Result")

_BYTE_RANGE = re.compile(rb"/ByteRange\[0 ([1-9]\d{0,9}) ([1-9]\d{0,9}) ([1-9]\d{0,9})\]")
_GAP = re.compile(rb"<((?:[0-9a-f]{2})+)>")
_ENDING = re.compile(rb"startxref\n[1-9]\d{0,9}\n%%EOF\n?\Z")
_COLOUR = re.compile(rb"\[/ICCBased \d+ 0 R\]")
_WHITE_SPACE = b" \t\r\n\f\0"
_ESCAPED = re.compile(rb"[()\\\r\n\t\b\f]")
_HEADER_AT_MAX = 1024  # readers look for a header that far into a file


def guard(pdf: bytes) -> Guarded:
    """Judge the bytes alone: a seal that covers all but itself, and nothing after it.

    Raises: ExaminationFailed with the first rule broken.
    """
    _require(pdf.startswith(b"%PDF-"), Rule.HEADER)
    byte_range = _BYTE_RANGE.match(pdf, max(0, pdf.rfind(b"/ByteRange")))
    if not byte_range or pdf.count(b"/ByteRange") != 1:
        raise ExaminationFailed(rule=Rule.BYTE_RANGE)
    gap_at, gap_end, rest = (int(number) for number in byte_range.groups())
    _require(gap_at < gap_end and gap_end + rest == len(pdf), Rule.COVERAGE)
    gap = _GAP.fullmatch(pdf, gap_at, gap_end)
    if not gap:
        raise ExaminationFailed(rule=Rule.GAP)
    _require(pdf.endswith(b"/Contents", 0, gap_at), Rule.CONTENTS)
    contents = bytes.fromhex(gap[1].decode())
    length = 4 + int.from_bytes(contents[2:4])
    der = contents.startswith(b"\x30\x82") and length <= len(contents)
    _require(der and not any(contents[length:]), Rule.PADDING)
    _require(bool(_ENDING.search(pdf, max(gap_end, len(pdf) - 40))), Rule.ENDING)
    digest = hashlib.sha256(pdf[:gap_at])
    digest.update(pdf[gap_end:])
    return Guarded(contents[:length], digest.digest())


def mentioned(content: bytes, pins: Mapping[str, keys.Pin]) -> tuple[str, ...]:
    """Return the fingerprint of every pinned signer that is anywhere in these bytes.

    It parses nothing: it looks for the end of each certificate, which is its issuer's signature, in
    hex of any spelling and, for the longest part that no spelling of a string changes, as it is.
    """
    digits = content.translate(None, _WHITE_SPACE).lower()
    return tuple(
        mark
        for mark, pin in pins.items()
        if _own_bytes(pin) in content or pin.certificate[-64:].hex().encode() in digits
    )


@contextlib.contextmanager
def _malformed_is_a_verdict() -> Iterator[None]:
    try:
        yield
    except ExaminationFailed:
        raise
    except Exception as error:
        raise ExaminationFailed(rule=Rule.MALFORMED) from error


@_malformed_is_a_verdict()
def own(pdf: bytes, record: Record, pin: keys.Pin, photo_mm: Frame) -> Guarded:
    """Hold a file that we just sealed against what it should say and who should have sealed it.

    `photo_mm` is where its edition draws the record's photo; without one no image is drawn at all.
    All that the record says can be read from the one page; what else that says, how it looks, and
    what its forms draw, are the edition's, and are not judged here.

    Raises: ExaminationFailed with the first rule broken.
    """
    guarded = guard(pdf)
    if not _is_sealed(guarded, pin):  # then this finds the rule
        _check_seal(guarded, _pinned(guarded, {pin.fingerprint: pin}))
    with pypdfium2.PdfDocument(_legible(pdf)) as document:
        parts = [document.get_attachment(at) for at in range(document.count_attachments())]
        found = [(part.get_name(), bytes(part.get_data())) for part in parts]
        page, *others = document
        text = "".join(page.get_textpage().get_text_range().split())
        photos = [_placed(*picture, page.get_height()) for picture in appearance.pictures(page)]
    expected = [(record.photo_sha256, photo_mm)] if record.photo_sha256 else []
    _require(found == [(ATTACHMENT_NAME, metadata.to_xml(record))], Rule.METADATA)
    shown = all("".join(fact.split()) in text for fact in _printed(record))
    _require(shown and not others, Rule.FACE)
    _require(photos == expected and pdf.count(b"/Subtype/Image") == len(photos), Rule.PHOTO)
    return guarded


@_malformed_is_a_verdict()
def fully(pdf: bytes, pin: keys.Pin) -> datetime.datetime:
    """Let an independent library validate the seal; return the time that the seal states.

    The certificate must have been valid at that time.

    Raises: ExaminationFailed with the first rule broken.
    """
    reader = PdfFileReader(io.BytesIO(pdf), strict=True)
    _require(not reader.encrypted, Rule.ENCRYPTION)
    (signature,) = reader.embedded_signatures
    _require(
        hashlib.sha256(signature.signer_cert.dump()).hexdigest() == pin.fingerprint, Rule.SIGNER
    )
    _require(signature.docmdp_level is MDPPerm.NO_CHANGES, Rule.CERTIFICATION)
    sealed_at: datetime.datetime | None = signature.self_reported_timestamp
    context = ValidationContext(
        trust_roots=[x509.Certificate.load(pin.root)],
        other_certs=[x509.Certificate.load(pin.issuing)],
        moment=sealed_at,
        allow_fetching=False,
    )
    status = _without_loop(async_validate_pdf_signature(signature, context))
    whole = status.coverage is SignatureCoverageLevel.ENTIRE_FILE
    if sealed_at is None or not (status.bottom_line and whole):
        raise ExaminationFailed(rule=Rule.VALIDATION)
    return sealed_at


def foreign(pdf: bytes, pins: Mapping[str, keys.Pin]) -> Findings:
    """Judge a stranger's bytes against the pinned signers, by fingerprint. Never raises."""
    found = mentioned(pdf, pins)
    known: dict[str, Any] = {"mentioned": found, "signed": bool(found) or b"/ByteRange" in pdf}
    try:
        guarded = guard(pdf)
        known["range_digest"] = guarded.range_digest.hex()
        _require(bool(found), Rule.SIGNER)
        pin = _pinned(guarded, pins)
        known["signer"] = pin.fingerprint
        _check_seal(guarded, pin)
        known["sealed_at"] = fully(pdf, pin)
    except ExaminationFailed as failure:
        known["failed"] = failure.facts["rule"]
    return Findings(file_digest=hashlib.sha256(pdf).hexdigest(), **known)


def look(content: bytes, pins: Mapping[str, keys.Pin], *, bytes_alone: bool = False) -> Look:
    """Look into a stranger's file against the pinned signers, by fingerprint. Never raises.

    `bytes_alone` is the look at a file whose reader was killed: nothing is unpacked or drawn.
    """
    findings = foreign(content, pins)
    if bytes_alone:
        return Look(findings=msgspec.structs.replace(findings, stopped="jail"))
    try:
        if appearance.is_picture(content) and not findings.signed:
            return Look(findings=findings, picture=True, qr_text=appearance.read_picture(content))
        if b"%PDF-" not in content[:_HEADER_AT_MAX]:
            return Look(findings=findings)
    except Beyond as limit:
        return Look(findings=msgspec.structs.replace(findings, stopped=str(limit)))
    return _look_inside(content, pins, findings)


def look_in_jail(content: bytes, pins: Sequence[Sequence[str]], *, bytes_alone: bool) -> Look:
    """Look as a job of a jail, which hands over each pin as its three certificates in hex."""
    known = [keys.Pin(*(bytes.fromhex(part) for part in pin)) for pin in pins]
    return look(content, {pin.fingerprint: pin for pin in known}, bytes_alone=bytes_alone)


def _look_inside(content: bytes, pins: Mapping[str, keys.Pin], findings: Findings) -> Look:
    """Look for signers of ours in what a PDF has packed away, then at what it shows."""
    marks, signed, stopped, page = {*findings.mentioned}, findings.signed, None, appearance.Page()
    try:
        for part in appearance.streams(content):
            marks.update(mentioned(part, pins))
            signed = signed or b"/ByteRange" in part
        page = appearance.read_page(content)
    except Beyond as limit:
        stopped = str(limit)
    marks.update(*(mentioned(part, pins) for part in page.signatures))
    signed = signed or bool(marks or page.signatures)
    findings = msgspec.structs.replace(
        findings, mentioned=tuple(sorted(marks)), signed=signed, stopped=stopped
    )
    if page.picture and not signed:
        return Look(findings=findings, picture=True, qr_text=page.qr_text)
    return Look(findings=findings, numbers=page.numbers)


def qr_text(pdf: bytes) -> str | None:
    """Return the text of the QR code on the first page as printed at 150 dpi, None without one."""
    try:
        with pypdfium2.PdfDocument(pdf) as document:
            (text,) = appearance.codes(appearance.draw(document[0]))
    except Exception:  # noqa: BLE001 - a page that cannot be drawn shows no code
        return None
    return text


@_malformed_is_a_verdict()
def own_qr_text(pdf: bytes) -> str:
    """Return the text of the QR code of a file of ours, drawing nothing but the code.

    Raises: ExaminationFailed where no or more than one code stands alone in its square.
    """
    with pypdfium2.PdfDocument(pdf) as document:
        found = set().union(*map(appearance.codes, appearance.squares(document[0])))
    _require(len(found) == 1, Rule.FACE)
    text: str = found.pop()
    return text


def _without_loop(waiting_for_nothing: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine that fetches nothing; the jail has no descriptors left for an event loop."""
    try:
        waiting_for_nothing.send(None)
    except StopIteration as done:
        return cast(_Result, done.value)
    waiting_for_nothing.close()
    raise ExaminationFailed(rule=Rule.VALIDATION)


def _require(holds: bool, rule: Rule) -> None:
    if not holds:
        raise ExaminationFailed(rule=rule)


def _verifies(pin: keys.Pin, signature: bytes, signed: bytes) -> bool:
    try:
        _public_key(pin).verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


@functools.cache
def _public_key(pin: keys.Pin) -> ec.EllipticCurvePublicKey:
    public_key = load_der_x509_certificate(pin.certificate).public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise ExaminationFailed(rule=Rule.SIGNER)
    return public_key


@functools.cache
def _own_bytes(pin: keys.Pin) -> bytes:
    return max(_ESCAPED.split(pin.certificate[-64:]), key=len)


@_malformed_is_a_verdict()
def _pinned(guarded: Guarded, pins: Mapping[str, keys.Pin]) -> keys.Pin:
    """Return the pin of the one pinned certificate that the CMS carries."""
    certificates = cms.ContentInfo.load(guarded.cms, strict=True)["content"]["certificates"]
    marks = {hashlib.sha256(certificate.dump()).hexdigest() for certificate in certificates}
    found = marks & pins.keys()
    _require(len(found) == 1, Rule.SIGNER)
    return pins[found.pop()]


def _is_sealed(guarded: Guarded, pin: keys.Pin) -> bool:
    """Tell whether the CMS is, byte for byte, what this signer writes: then it need not be read."""
    signature = seal.signature_of(pin, guarded.range_digest, guarded.cms)
    signed = seal.attributes(pin, guarded.range_digest)
    return signature is not None and _verifies(pin, signature, signed)


@_malformed_is_a_verdict()
def _check_seal(guarded: Guarded, pin: keys.Pin) -> None:
    """Hold every byte of the CMS against what the pinned signer writes."""
    (signer,) = cms.ContentInfo.load(guarded.cms, strict=True)["content"]["signer_infos"]
    signed = signer["signed_attrs"].untag().dump()
    stated = {part["type"].native: part["values"] for part in signer["signed_attrs"]}
    digest = stated["message_digest"][0].native
    _require(signed == seal.attributes(pin, digest), Rule.ATTRIBUTES)
    _require(digest == guarded.range_digest, Rule.DIGEST)
    signature = signer["signature"].native
    _require(_verifies(pin, signature, signed), Rule.SIGNATURE)
    _require(guarded.cms == seal.envelope(pin, digest, signature), Rule.ENVELOPE)


def _legible(pdf: bytes) -> bytes:
    """Leave out what is none of a record: profiles, XMP, and forms (ground, seal and code)."""
    plain = _COLOUR.sub(lambda colour: b"/DeviceRGB".ljust(len(colour[0])), pdf)
    plain = plain.replace(b"/Metadata ", b"/Metadate ")
    return plain.replace(b"/Subtype/Form", b"/Subtype/None")


def _placed(picture: bytes, matrix: pypdfium2.PdfMatrix, height: float) -> tuple[str, Frame | None]:
    """Return the digest of a picture and where on a page it stands upright, to 0.01 mm."""
    digest = hashlib.sha256(picture).hexdigest()
    if matrix.b or matrix.c or min(matrix.a, matrix.d) <= 0:
        return digest, None
    edges = matrix.e, height - matrix.f - matrix.d, matrix.a, matrix.d
    return digest, Frame(*(round(edge * 25.4 / 72, 2) for edge in edges))


def _printed(record: Record) -> tuple[str, ...]:
    """Return what must be readable on the face, days in the printed form 2026年6月12日."""
    days = (record.born_on, record.exam_on, record.issued_on)
    return (
        record.number,
        record.identifier,
        record.name,
        record.sex,
        record.id_kind,
        record.id_number,
        record.project,
        record.score,
        record.authority,
        *(f"{day.year}年{day.month}月{day.day}日" for day in days),
    )
