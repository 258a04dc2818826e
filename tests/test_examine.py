"""The examination: each rule broken by itself, crossed certificates, and hostile bytes."""

import datetime
import hashlib
import io
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pypdf
import pytest
from asn1crypto import keys as asn1_keys
from asn1crypto import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from service.ground.jail import DOCUMENT, Jail
from signing import appearance, examine, keys, metadata, qr, seal
from signing.errors import ExaminationFailed, FaceUnsealable
from signing.examine import Rule
from signing.record import Record
from signing.render import Edition
from tests import pdfs, scans
from tests.attacks import files

OTHER = msgspec.structs.replace(
    pdfs.RECORD, number="2651010001600002", name="阿依·木呷吉", project="四川泡菜制作", score="90"
)


class Ours(msgspec.Struct, frozen=True):
    """One sealed certificate and who sealed it."""

    folder: Path
    signer: keys.Signer
    face: bytes
    pdf: bytes

    @property
    def pins(self) -> dict[str, keys.Pin]:
        return {self.signer.fingerprint: self.signer.pin}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Ours:
    folder = tmp_path_factory.mktemp("examine") / "keys"
    signer, face = pdfs.signer(folder), pdfs.face()
    return Ours(folder, signer, face, seal.Sealer(signer).seal(face, pdfs.SEALED_AT))


def verdict(pdf: bytes, record: Record, pin: keys.Pin) -> Rule | None:
    """Return the rule of our own examination that fails."""
    try:
        examine.own(pdf, record, pin, pdfs.edition().photo_mm)
    except ExaminationFailed as failure:
        return Rule(str(failure.facts["rule"]))
    return None


def full_verdict(pdf: bytes, pin: keys.Pin) -> Rule | None:
    try:
        examine.fully(pdf, pin)
    except ExaminationFailed as failure:
        return Rule(str(failure.facts["rule"]))
    return None


def both(ours: Ours, pdf: bytes) -> set[Rule | None]:
    """Return the verdicts of our own and of the stranger's examination of the same bytes."""
    own = verdict(pdf, pdfs.RECORD, ours.signer.pin)
    return {own, examine.foreign(pdf, ours.pins).failed}


def gap(pdf: bytes) -> tuple[int, int]:
    match = re.search(rb"/Contents(<[0-9a-f]+>)", pdf)
    assert match
    return match.span(1)


def with_contents(pdf: bytes, contents: bytes) -> bytes:
    """Return `pdf` with other bytes in the gap, of the same room."""
    begin, end = gap(pdf)
    text = contents.hex().encode().ljust(end - begin - 2, b"0")
    assert len(text) == end - begin - 2
    return pdf[: begin + 1] + text + pdf[end - 1 :]


def test_a_certificate_passes_every_examination(ours: Ours) -> None:
    assert verdict(ours.pdf, pdfs.RECORD, ours.signer.pin) is None
    assert full_verdict(ours.pdf, ours.signer.pin) is None
    findings = examine.foreign(ours.pdf, ours.pins)
    assert findings.failed is None
    assert findings.signer == ours.signer.fingerprint
    assert findings.mentioned == (ours.signer.fingerprint,)
    assert findings.sealed_at == pdfs.SEALED_AT
    assert findings.file_digest == hashlib.sha256(ours.pdf).hexdigest()
    assert msgspec.json.decode(msgspec.json.encode(findings), type=examine.Findings) == findings


def test_the_range_digest_covers_all_but_the_gap(ours: Ours) -> None:
    begin, end = gap(ours.pdf)
    digest = hashlib.sha256(ours.pdf[:begin] + ours.pdf[end:]).digest()
    assert examine.guard(ours.pdf).range_digest == digest
    assert examine.foreign(ours.pdf, ours.pins).range_digest == digest.hex()


def _swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def swap(pdf: bytes) -> bytes:
        assert pdf.count(old) >= 1
        return new.join(pdf.rsplit(old, 1))

    return swap


def _in_gap(edit: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def change(pdf: bytes) -> bytes:
        begin, end = gap(pdf)
        return pdf[:begin] + edit(pdf[begin:end]) + pdf[end:]

    return change


def _incremental(pdf: bytes) -> bytes:
    writer: Any = IncrementalPdfFileWriter(io.BytesIO(pdf))
    writer.root["/Note"] = writer.root["/Lang"]
    writer.update_root()
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def _ranges(edit: Callable[[list[int]], list[int]]) -> Callable[[bytes], bytes]:
    def change(pdf: bytes) -> bytes:
        match = re.search(rb"/ByteRange\[([\d ]+)\] *", pdf)
        assert match
        numbers = edit([int(number) for number in match[1].split()])
        text = b"/ByteRange[%s]" % b" ".join(b"%d" % number for number in numbers)
        return pdf[: match.start()] + text.ljust(len(match[0])) + pdf[match.end() :]

    return change


GUARD: dict[str, tuple[Callable[[bytes], bytes], Rule]] = {
    "no header": (lambda pdf: pdf.replace(b"%PDF-", b"%PDX-", 1), Rule.HEADER),
    "header not first": (lambda pdf: b"\n" + pdf, Rule.HEADER),
    "empty": (lambda _pdf: b"", Rule.HEADER),
    "no range": (_swap(b"/ByteRange[", b"/ByteRangf["), Rule.BYTE_RANGE),
    "two ranges": (_swap(b"]              ", b"]/ByteRange[9]"), Rule.BYTE_RANGE),
    "decoy range before": (_swap(b"/ProcSet[/PDF", b"/ByteRange[/F"), Rule.BYTE_RANGE),
    "range not from zero": (_swap(b"/ByteRange[0", b"/ByteRange[1"), Rule.BYTE_RANGE),
    "five numbers": (_ranges(lambda four: [*four, 0]), Rule.BYTE_RANGE),
    "signed number": (_swap(b"/ByteRange[0 ", b"/ByteRange[0+"), Rule.BYTE_RANGE),
    "appended line": (lambda pdf: pdf + b"\n", Rule.COVERAGE),
    "appended revision": (_incremental, Rule.COVERAGE),
    "appended copy of the end": (lambda pdf: pdf + pdf[-30:], Rule.COVERAGE),
    "truncated": (lambda pdf: pdf[:-1], Rule.COVERAGE),
    "range too short": (_ranges(lambda four: [*four[:3], four[3] - 1]), Rule.COVERAGE),
    "range beyond": (_ranges(lambda four: [*four[:3], four[3] + 1]), Rule.COVERAGE),
    "ranges overlap": (_ranges(lambda four: [0, four[2] + 1, four[2], four[3]]), Rule.COVERAGE),
    "gap too wide": (_ranges(lambda four: [0, four[1] - 1, *four[2:]]), Rule.GAP),
    "gap too narrow": (_ranges(lambda four: [0, four[1] + 1, *four[2:]]), Rule.GAP),
    "upper case": (_in_gap(lambda hex_: hex_.upper()), Rule.GAP),
    "white space": (_in_gap(lambda hex_: hex_[:-2] + b" >"), Rule.GAP),
    "comment": (_in_gap(lambda hex_: hex_[:-3] + b"%0>"), Rule.GAP),
    "second string": (_in_gap(lambda hex_: hex_[:-5] + b"><00>"), Rule.GAP),
    "odd digits": (_in_gap(lambda hex_: hex_[:-3] + b">/x"), Rule.GAP),
    "not the contents": (_swap(b"/Contents<", b"/Contentz<"), Rule.CONTENTS),
    "space before": (_swap(b"/Contents<", b"/Content <"), Rule.CONTENTS),
    "padding in use": (_in_gap(lambda hex_: hex_[:-2] + b"1>"), Rule.PADDING),
    "length too short": (
        _in_gap(lambda hex_: b"<3082" + b"%04x" % (int(hex_[5:9], 16) - 1) + hex_[9:]),
        Rule.PADDING,
    ),
    "length beyond": (_in_gap(lambda hex_: b"<3082ffff" + hex_[9:]), Rule.PADDING),
    "indefinite length": (_in_gap(lambda hex_: b"<3080" + hex_[5:]), Rule.PADDING),
    "no end of file": (_swap(b"%%EOF\n", b"%%EOG\n"), Rule.ENDING),
    "no start": (_swap(b"startxref", b"startxreg"), Rule.ENDING),
    "start no number": (_swap(b"\n%%EOF", b"x%%EOF"), Rule.ENDING),
}


@pytest.mark.parametrize("name", GUARD)
def test_the_guard_names_the_rule_that_is_broken(ours: Ours, name: str) -> None:
    spoil, rule = GUARD[name]
    spoilt = spoil(with_contents(ours.pdf, _shorter(ours)))
    with pytest.raises(ExaminationFailed, match=rule.value):
        examine.guard(spoilt)
    assert both(ours, spoilt) == {rule}


def _shorter(ours: Ours) -> bytes:
    """Return a CMS that leaves padding, as most signatures do."""
    guarded = examine.guard(ours.pdf)
    return seal.envelope(ours.signer.pin, guarded.range_digest, b"\1" * 70)


def test_another_city_of_ours_is_not_the_expected_signer(ours: Ours) -> None:
    other = pdfs.signer(ours.folder, "510300")
    sealed = seal.Sealer(other).seal(ours.face, pdfs.SEALED_AT)
    assert verdict(sealed, pdfs.RECORD, other.pin) is None
    assert both(ours, sealed) == {Rule.SIGNER}
    assert examine.foreign(sealed, ours.pins).signer is None


def test_a_fresh_root_with_equal_names_is_not_trusted(ours: Ours, tmp_path: Path) -> None:
    stranger = pdfs.signer(tmp_path / "keys")
    sealed = seal.Sealer(stranger).seal(ours.face, pdfs.SEALED_AT)
    assert both(ours, sealed) == {Rule.SIGNER}
    findings = examine.foreign(sealed, ours.pins)
    assert (findings.signer, findings.mentioned) == (None, ())
    mixed = keys.Pin(stranger.pin.certificate, stranger.pin.issuing, ours.signer.pin.root)
    assert full_verdict(sealed, mixed) is Rule.VALIDATION


def _sign(ours: Ours, attributes: bytes, length: int) -> bytes:
    """Return a signature over other attributes that takes the same room."""
    while True:
        signature = ours.signer.private_key.sign(attributes, ec.ECDSA(hashes.SHA256()))
        if len(signature) == length:
            return signature


def test_attributes_other_than_ours_are_refused_however_well_signed(ours: Ours) -> None:
    guarded = examine.guard(ours.pdf)
    mark = bytes.fromhex(ours.signer.fingerprint)
    changed = seal.attributes(ours.signer.pin, guarded.range_digest).replace(mark, bytes(32))
    signature = _sign(ours, changed, 70)
    honest = seal.envelope(ours.signer.pin, guarded.range_digest, signature)
    contents = bytes(32).join(honest.rsplit(mark, 1))
    assert both(ours, with_contents(ours.pdf, contents)) == {Rule.ATTRIBUTES}


def test_a_changed_byte_of_the_face_breaks_the_digest(ours: Ours) -> None:
    assert both(ours, ours.pdf.replace(b"%PDF-1.7", b"%PDF-1.6")) == {Rule.DIGEST}


def test_the_seal_of_one_face_does_not_fit_another(ours: Ours) -> None:
    contents = examine.guard(seal.Sealer(ours.signer).seal(pdfs.face(OTHER), pdfs.SEALED_AT)).cms
    assert both(ours, with_contents(ours.pdf, contents)) == {Rule.DIGEST}


def test_a_signature_over_something_else_is_refused(ours: Ours) -> None:
    digest = examine.guard(ours.pdf).range_digest
    signature = _sign(ours, seal.attributes(ours.signer.pin, bytes(32)), 70)
    contents = seal.envelope(ours.signer.pin, digest, signature)
    assert both(ours, with_contents(ours.pdf, contents)) == {Rule.SIGNATURE}


def test_a_change_in_what_no_signature_covers_is_seen(ours: Ours) -> None:
    honest = examine.guard(ours.pdf).cms
    changed = honest.replace(ours.signer.pin.issuing, ours.signer.pin.issuing[:-1] + b"?")
    assert changed != honest
    assert both(ours, with_contents(ours.pdf, changed)) == {Rule.ENVELOPE}


def test_contents_that_are_no_cms_are_malformed(ours: Ours) -> None:
    certificate = ours.signer.pin.certificate
    contents = b"\x30\x82%s" % len(certificate).to_bytes(2) + certificate
    assert both(ours, with_contents(ours.pdf, contents)) == {Rule.MALFORMED}


def test_contents_without_a_pinned_certificate_are_not_even_parsed(ours: Ours) -> None:
    no_cms = with_contents(ours.pdf, b"\x30\x82\x01\x00" + bytes(256))
    assert verdict(no_cms, pdfs.RECORD, ours.signer.pin) is Rule.MALFORMED
    assert examine.foreign(no_cms, ours.pins).failed is Rule.SIGNER


def _differs(field: str) -> Record:
    value = getattr(pdfs.RECORD, field)
    if isinstance(value, datetime.date):
        changed: object = value.replace(day=value.day - 1)
    elif field == "identifier":
        changed = value[:-1] + "0"
    else:
        changed = {"sex": "男"}.get(field, f"{value}甲")
    return msgspec.structs.replace(pdfs.RECORD, **{field: changed})


@pytest.mark.parametrize(
    "field", ["number", "identifier", "name", "id_number", "id_kind_code", "issued_on", "authority"]
)
def test_metadata_that_are_not_the_records_are_seen(ours: Ours, field: str) -> None:
    assert verdict(ours.pdf, _differs(field), ours.signer.pin) is Rule.METADATA


@pytest.mark.parametrize("field", ["sex", "born_on", "id_kind", "project", "score", "exam_on"])
def test_a_face_that_is_not_the_records_is_seen(ours: Ours, field: str) -> None:
    assert verdict(ours.pdf, _differs(field), ours.signer.pin) is Rule.FACE


@pytest.mark.parametrize(
    "field", ["number", "identifier", "name", "id_number", "issued_on", "authority"]
)
def test_every_field_is_read_from_the_face_itself(ours: Ours, field: str) -> None:
    """The metadata agree with the record here, and only the face does not."""
    record = _differs(field)
    sealed = _crossed(ours, pdfs.RECORD, record)
    assert verdict(sealed, record, ours.signer.pin) is Rule.FACE
    assert verdict(sealed, pdfs.RECORD, ours.signer.pin) is Rule.METADATA


def _crossed(ours: Ours, on_face: Record, in_metadata: Record) -> bytes:
    """Seal the face of one record with the metadata of another."""
    face = pdfs.face(on_face, attached=metadata.to_xml(in_metadata))
    return seal.Sealer(ours.signer).seal(face, pdfs.SEALED_AT)


def test_two_crossed_certificates_are_both_caught(ours: Ours) -> None:
    pin = ours.signer.pin
    one, two = _crossed(ours, pdfs.RECORD, pdfs.RECORD), _crossed(ours, OTHER, OTHER)
    assert (verdict(one, pdfs.RECORD, pin), verdict(two, OTHER, pin)) == (None, None)
    assert (verdict(one, OTHER, pin), verdict(two, pdfs.RECORD, pin)) == (Rule.METADATA,) * 2
    face_of_one = _crossed(ours, pdfs.RECORD, OTHER)
    assert verdict(face_of_one, OTHER, pin) is Rule.FACE
    assert verdict(face_of_one, pdfs.RECORD, pin) is Rule.METADATA


def test_long_names_and_rare_characters_are_found_on_the_face(ours: Ours) -> None:
    record = msgspec.structs.replace(
        pdfs.RECORD,
        name="𠂇𬭎䶮㐂" + "阿坝·甘孜·凉山" * 5,
        project="家用电器（含空调）Wi-Fi 安装 - 调试与 A/B 检修" * 2,
        authority="样本自治州人力资源和社会保障局" * 2,
    )
    sealed = seal.Sealer(ours.signer).seal(pdfs.face(record), pdfs.SEALED_AT)
    examine.own(sealed, record, ours.signer.pin, pdfs.edition().photo_mm)


PHOTO, OTHER_PHOTO = pdfs.photo(90), pdfs.photo(91)
_CALL = 'if "photo_sha256" in record {'
_STAMP = "set page(width: 42mm, height: 42mm, margin: 0pt)"
_IMAGE = "place(image(bytes((9,) * 27), format: (encoding: 'rgb8', width: 3, height: 3), alt: '-'))"
# What an edition may do with the photo that it is given; each is a text in it and another for it.
ELSEWHERE: dict[str, tuple[str, str]] = {
    "twice": (_CALL, "for _ in range(2) {"),
    "a tenth of a millimetre off": ("left * 1mm", "(left + 0.1) * 1mm"),
    "among the fields": ("left * 1mm", "3 * left * 1mm"),
    "smaller": ("part(3, width,", "part(3, 0.9 * width,"),
    "upside down": (_CALL, f"{_CALL} show image: rotate.with(180deg)"),
    "mirrored": (_CALL, f"{_CALL} show image: scale.with(x: -100%)"),
    "beside another image": (_CALL, f"{_IMAGE}\n{_CALL}".replace("'", '"')),
    "beside an image in the seal": (_STAMP, f"{_STAMP}\n{_IMAGE}".replace("'", '"')),
}
# What an edition may do with the places of its parts.
MISPLACED: dict[str, tuple[str, str]] = {
    "no ground": ("background: part(1, 297, 210)", "fill: white"),
    "no seal": ("part(2, 42, 42, alt: sealed)", "[]"),
    "no photo": (_CALL, "if false {"),
    "no code": ("inset: 1.6mm, code)", "inset: 1.6mm)"),
    "one too many": ("part(3, width,", 'part(5, 1, 1, alt: "-") + part(3, width,'),
    "another in its place": ("part(3, width,", "part(7, width,"),
}


def _edition(folder: Path, old: str, new: str) -> Edition:
    """Copy the edition with one text in it changed."""
    original = pdfs.TEMPLATES / "certificate" / "2026"
    shutil.copytree(original, folder)
    text = (original / "main.typ").read_text("utf-8")
    assert text.count(old) == 1
    (folder / "main.typ").write_text(text.replace(old, new), "utf-8")
    return Edition(folder, pdfs.TEMPLATES / "fonts")


def test_words_in_the_seal_are_not_those_of_the_face(ours: Ours, tmp_path: Path) -> None:
    record = msgspec.structs.replace(pdfs.RECORD, seal_name=pdfs.RECORD.name)
    edition = _edition(tmp_path / "edition", '"Name", record.name', '"Name", ""')
    face = edition.render(
        record, qr.matrix(*pdfs.QR_TEXT), photo=None, specimen=False, rendered_at=pdfs.SEALED_AT
    )
    sealed = seal.Sealer(ours.signer).seal(face, pdfs.SEALED_AT)
    assert verdict(sealed, record, ours.signer.pin) is Rule.FACE


def test_a_face_of_two_pages_is_none(ours: Ours, tmp_path: Path) -> None:
    edition = _edition(tmp_path / "edition", "  pdf.attach(", "  pagebreak()\n  pdf.attach(")
    modules = qr.matrix(*pdfs.QR_TEXT)
    face = edition.render(
        pdfs.RECORD, modules, photo=None, specimen=True, rendered_at=pdfs.SEALED_AT
    )
    sealed = seal.Sealer(ours.signer).seal(face, pdfs.SEALED_AT)
    assert verdict(sealed, pdfs.RECORD, ours.signer.pin) is Rule.FACE


@pytest.mark.parametrize("how", MISPLACED)
def test_no_face_is_drawn_without_a_part_or_with_a_place_of_none(tmp_path: Path, how: str) -> None:
    record = pdfs.with_photo(pdfs.RECORD, PHOTO)
    edition = _edition(tmp_path / "edition", *MISPLACED[how])
    modules = qr.matrix(*pdfs.QR_TEXT)
    with pytest.raises(FaceUnsealable, match="parts"):
        edition.render(record, modules, photo=PHOTO, specimen=True, rendered_at=pdfs.SEALED_AT)


@pytest.mark.parametrize("how", ELSEWHERE)
def test_a_photo_is_drawn_once_in_its_frame_and_no_image_beside_it(
    ours: Ours, tmp_path: Path, how: str
) -> None:
    record = pdfs.with_photo(pdfs.RECORD, PHOTO)
    edition = _edition(tmp_path / "edition", *ELSEWHERE[how])
    face = edition.render(
        record, qr.matrix(*pdfs.QR_TEXT), photo=PHOTO, specimen=True, rendered_at=pdfs.SEALED_AT
    )
    sealed = seal.Sealer(ours.signer).seal(face, pdfs.SEALED_AT)
    assert verdict(sealed, record, ours.signer.pin) is Rule.PHOTO


def test_the_photo_is_the_records_own_and_there_is_none_where_the_record_has_none(
    ours: Ours,
) -> None:
    pin, with_photo = ours.signer.pin, pdfs.with_photo(pdfs.RECORD, PHOTO)
    sealed = seal.Sealer(ours.signer).seal(pdfs.face(with_photo, photo=PHOTO), pdfs.SEALED_AT)
    assert verdict(sealed, with_photo, pin) is None
    assert full_verdict(sealed, pin) is None
    assert verdict(sealed, pdfs.with_photo(pdfs.RECORD, OTHER_PHOTO), pin) is Rule.PHOTO
    assert verdict(sealed, pdfs.RECORD, pin) is Rule.PHOTO
    assert verdict(ours.pdf, with_photo, pin) is Rule.PHOTO


def _stock(ours: Ours, *, certify: bool, docmdp: fields.MDPPerm) -> bytes:
    """Seal the same face by the library's own signer, with another permission."""
    pem = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    key = ours.signer.private_key.private_bytes(*pem, serialization.NoEncryption())
    chain = [x509.Certificate.load(part) for part in (ours.signer.pin.issuing,)]
    store: Any = SimpleCertificateStore
    signer = signers.SimpleSigner(
        signing_cert=x509.Certificate.load(ours.signer.pin.certificate),
        signing_key=asn1_keys.PrivateKeyInfo.load(key),
        cert_registry=store.from_certs(chain),
    )
    settings_ = signers.PdfSignatureMetadata(
        field_name="Seal", md_algorithm="sha256", certify=certify, docmdp_permissions=docmdp
    )
    output = io.BytesIO()
    signers.sign_pdf(
        IncrementalPdfFileWriter(io.BytesIO(ours.face)), settings_, signer, output=output
    )
    return output.getvalue()


@pytest.mark.parametrize(
    ("certify", "docmdp", "rule"),
    [
        (True, fields.MDPPerm.FILL_FORMS, Rule.CERTIFICATION),
        (True, fields.MDPPerm.ANNOTATE, Rule.CERTIFICATION),
        (False, fields.MDPPerm.FILL_FORMS, Rule.CERTIFICATION),
    ],
)
def test_only_a_certification_that_allows_no_changes_passes(
    ours: Ours, certify: bool, docmdp: fields.MDPPerm, rule: Rule
) -> None:
    assert full_verdict(_stock(ours, certify=certify, docmdp=docmdp), ours.signer.pin) is rule


def test_a_certificate_must_be_valid_when_the_seal_was_made(ours: Ours) -> None:
    sealer, second = seal.Sealer(ours.signer), datetime.timedelta(seconds=2)
    last = ours.signer.valid_until_at
    assert full_verdict(sealer.seal(ours.face, last), ours.signer.pin) is None
    for sealed_at in (last + second, ours.signer.valid_from_at - second):
        sealed = sealer.seal(ours.face, sealed_at)
        assert full_verdict(sealed, ours.signer.pin) is Rule.VALIDATION
        assert examine.foreign(sealed, ours.pins).failed is Rule.VALIDATION


def test_full_validation_sees_a_changed_byte_and_another_signer(ours: Ours) -> None:
    altered = ours.pdf.replace(b"%PDF-1.7", b"%PDF-1.6")
    assert full_verdict(altered, ours.signer.pin) is Rule.VALIDATION
    other = pdfs.signer(ours.folder, "510300")
    assert full_verdict(ours.pdf, other.pin) is Rule.SIGNER


def test_an_encrypted_file_is_refused(ours: Ours) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(ours.pdf))
    writer.encrypt("", algorithm="RC4-128")
    output = io.BytesIO()
    writer.write(output)
    assert full_verdict(output.getvalue(), ours.signer.pin) is Rule.ENCRYPTION


def test_an_altered_file_still_tells_whose_seal_it_carries(ours: Ours) -> None:
    begin, _ = gap(ours.pdf)
    altered = ours.pdf[9:begin].replace(b"/ByteRange", b"/Bite") + ours.pdf[begin:].upper() + b"?"
    findings = examine.foreign(altered, ours.pins)
    assert findings.failed is Rule.HEADER
    assert findings.mentioned == (ours.signer.fingerprint,)
    assert examine.foreign(ours.face, ours.pins).mentioned == ()


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda certificate: certificate,
    "hex": lambda certificate: certificate.hex().encode(),
    "capitals": lambda certificate: certificate.hex().upper().encode(),
    "hex in lines": lambda certificate: re.sub(
        rb"(.{50})", rb"\1 \r\n", SPELLINGS["hex"](certificate)
    ),
    "escaped": lambda certificate: re.sub(rb"([()\\])", rb"\\\1", certificate),
    "octal line ends": lambda certificate: certificate.replace(b"\n", rb"\012"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_signer_of_ours_is_found_however_it_is_spelt_and_no_other_is(
    ours: Ours, spelling: str
) -> None:
    text = b"<" + SPELLINGS[spelling](ours.signer.pin.certificate) + b">"
    assert examine.mentioned(text, ours.pins) == (ours.signer.fingerprint,)
    other = pdfs.signer(ours.folder, "510300")
    assert examine.mentioned(text, {other.fingerprint: other.pin}) == ()
    assert examine.mentioned(text, {}) == ()


def test_a_signer_of_equal_names_and_another_key_is_not_found(ours: Ours, tmp_path: Path) -> None:
    stranger = pdfs.signer(tmp_path / "keys")
    assert examine.mentioned(stranger.pin.certificate, ours.pins) == ()


def test_a_look_tells_the_numbers_on_the_face_and_no_code_of_a_document(ours: Ours) -> None:
    look = examine.look(ours.pdf + b"\n", ours.pins)
    assert pdfs.RECORD.number in look.numbers
    assert len(look.numbers) <= appearance.NUMBER_COUNT_MAX
    assert (look.picture, look.qr_text, look.findings.stopped) == (False, None, None)
    assert examine.look(ours.face, ours.pins).qr_text is None
    assert msgspec.json.decode(msgspec.json.encode(look), type=examine.Look) == look


def test_a_look_at_the_bytes_alone_still_finds_our_signer_and_says_that_it_was_stopped(
    ours: Ours,
) -> None:
    look = examine.look(ours.pdf + b"\n", ours.pins, bytes_alone=True)
    assert look.findings.mentioned == (ours.signer.fingerprint,)
    assert (look.findings.stopped, look.numbers, look.picture) == ("jail", (), False)


def _text_page(text: str) -> bytes:
    return files.document(b"BT /F1 9 Tf 60 500 Td (%s) Tj ET" % text.encode())


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("No. 2651010001600001.", ("2651010001600001",)),
        ("26A0123456 and 2651010001600001", ("26A0123456", "2651010001600001")),
        ("12345 ABCDEF 2026-06-12", ()),
        ("1" * 32 + " " + "2" * 33, ("1" * 32,)),
        ("Q26510100x 2651010001600001x", ()),
        (" ".join(str(100_000 + at) for at in range(50)), tuple(map(str, range(100_000, 100_020)))),
    ],
)
def test_numbers_are_capitals_and_digits_between_6_and_32(
    text: str, numbers: tuple[str, ...]
) -> None:
    assert examine.look(_text_page(text), {}).numbers == numbers


def _streams(count: int, content: bytes) -> bytes:
    more = {at: files.deflated(content) for at in range(10, 10 + count)}
    return files.document(b"", more)


def _pages(count: int) -> bytes:
    writer, output = pypdf.PdfWriter(), io.BytesIO()
    for _ in range(count):
        writer.add_blank_page(9, 9)
    writer.write(output)
    return output.getvalue()


_GREY = b"/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8"
LIMITS: dict[str, tuple[str, Callable[[int], bytes], int]] = {
    "objects": ("objects", lambda count: b"%PDF-1.7\n" + b" obj" * count, 20_000),
    "streams": ("objects", lambda count: b"%PDF-1.7\n" + b"streamendstream" * count, 20_000),
    "dictionaries": ("depth", lambda depth: b"%PDF-1.7\n" + b"<<" * depth, 64),
    "arrays": ("depth", lambda depth: b"%PDF-1.7\n" + b"[" * depth, 128),
    "pages": ("pages", _pages, 100),
    "megabytes": ("streams", lambda count: _streams(count, bytes(1 << 20)), 64),
    "pixels": ("pixels", lambda side: files.picture(b"", _GREY % (side, side)), 6324),
}


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_lets_pass_what_keeps_it_and_stops_what_goes_one_beyond(name: str) -> None:
    limit, make, most = LIMITS[name]
    assert examine.look(make(most), {}).findings.stopped is None
    assert examine.look(make(most + 1), {}).findings.stopped == limit


def test_what_stands_in_streams_is_found_under_layers_and_too_many_layers_stop(ours: Ours) -> None:
    packed = ours.signer.pin.certificate.hex().encode()
    for layers in range(1, appearance.LAYER_COUNT_MAX + 1):
        packed = zlib.compress(packed)
        pdf = files.document(b"", {9: files.stream(packed, b"/Filter/FlateDecode")})
        found = examine.look(pdf, ours.pins).findings
        assert found.mentioned == (ours.signer.fingerprint,)
        assert found.stopped == (None if layers < appearance.LAYER_COUNT_MAX else "layers")


async def test_in_the_jail_a_look_sees_what_it_sees_outside(ours: Ours) -> None:
    """Nothing can be opened there, not even a module of the standard library."""
    pin = ours.signer.pin
    pins = [[part.hex() for part in (pin.certificate, pin.issuing, pin.root)]]
    arguments = {"pins": pins, "bytes_alone": False}
    octal = b"".join(b"\\%03o" % byte for byte in examine.guard(ours.pdf).cms)
    begin, end = gap(ours.pdf)
    respelt = ours.pdf[:begin] + b"(%s)" % octal + ours.pdf[end:]
    page = scans.page(ours.pdf, 150)
    async with Jail("signing.examine:look_in_jail", concurrent=1) as jail:
        for content in (ours.pdf, respelt, scans.scanned(page), scans.jpeg(page), scans.png(page)):
            told = await jail.run("signing.examine:look_in_jail", content, DOCUMENT, arguments)
            assert msgspec.convert(told, examine.Look) == examine.look(content, ours.pins)


def test_the_qr_code_is_read_from_the_rendered_page(ours: Ours) -> None:
    assert examine.qr_text(ours.pdf) == "".join(pdfs.QR_TEXT)


def test_a_page_of_any_size_is_read_within_the_pixel_cap_and_shows_no_code() -> None:
    for width, height in ((595, 842), (14_400, 14_400), (1, 14_400)):
        writer = pypdf.PdfWriter()
        writer.add_blank_page(width, height)
        output = io.BytesIO()
        writer.write(output)
        assert examine.qr_text(output.getvalue()) is None
    assert examine.qr_text(b"%PDF-1.7") is None


@st.composite
def mutations(draw: st.DrawFn) -> tuple[int, float, int, bytes]:
    """Draw a place (0: anywhere, 1: in the gap), a share of it, a length to cut, bytes to put."""
    place, share = draw(st.integers(0, 1)), draw(st.floats(0, 1, exclude_max=True))
    return place, share, draw(st.integers(0, 3)), draw(st.binary(max_size=3) | st.just(b"0"))


@settings(max_examples=500, deadline=None)
@given(mutations())
def test_no_mutation_of_a_sealed_file_passes(
    ours: Ours, change: tuple[int, float, int, bytes]
) -> None:
    place, share, cut, put = change
    begin, end = gap(ours.pdf) if place else (0, len(ours.pdf))
    at = begin + int(share * (end - begin))
    mutated = ours.pdf[:at] + put + ours.pdf[at + cut :]
    if mutated != ours.pdf:
        assert None not in both(ours, mutated)


@settings(max_examples=500, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7), st.booleans())
def test_no_flipped_bit_passes(ours: Ours, share: float, bit: int, in_cms: bool) -> None:
    if in_cms:
        contents = bytearray(examine.guard(ours.pdf).cms)
        contents[int(share * len(contents))] ^= 1 << bit
        mutated = with_contents(ours.pdf, bytes(contents))
    else:
        changed = bytearray(ours.pdf)
        changed[int(share * len(changed))] ^= 1 << bit
        mutated = bytes(changed)
    assert None not in both(ours, mutated)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2000))
@example(b"")
@example(b"%PDF-1.7\n/ByteRange[0 1 2 3]")
@example(b"3082ffff3082zz")
def test_no_bytes_raise_anything_but_a_verdict(ours: Ours, junk: bytes) -> None:
    for pdf in (junk, b"%PDF-1.7\n" + junk, with_contents(ours.pdf, b"\x30\x82" + junk[:1200])):
        assert examine.foreign(pdf, ours.pins).failed is not None
        assert verdict(pdf, pdfs.RECORD, ours.signer.pin) is not None
        assert full_verdict(pdf, ours.signer.pin) is not None
        examine.qr_text(junk)
