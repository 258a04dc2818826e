"""The seal: accepted by independent readers, the same every time, and all claims still true."""

import datetime
import hashlib
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pypdf
import pytest
from asn1crypto import cms, tsp
from pypdf.generic import DictionaryObject

from signing import errors, examine, keys, seal
from tests import pdfs, programs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seal") / "keys"


@pytest.fixture(scope="module")
def signer(folder: Path) -> keys.Signer:
    return pdfs.signer(folder)


@pytest.fixture(scope="module")
def face() -> bytes:
    return pdfs.face()


@pytest.fixture(scope="module")
def sealed(signer: keys.Signer, face: bytes) -> bytes:
    return seal.Sealer(signer).seal(face, pdfs.SEALED_AT)


@pytest.fixture(scope="module")
def catalog(sealed: bytes) -> DictionaryObject:
    return pypdf.PdfReader(io.BytesIO(sealed), strict=True).root_object


@pytest.fixture(scope="module")
def page(sealed: bytes) -> pypdf.PageObject:
    return pypdf.PdfReader(io.BytesIO(sealed), strict=True).pages[0]


def _read(value: Any, *path: str | int) -> Any:
    """Walk from a PDF object down `path`, through references."""
    for step in path:
        value = value.get_object()[step]
    return value.get_object() if hasattr(value, "get_object") else value


def _written(value: Any) -> bytes:
    """Return an object as it stands in a file, its references unresolved."""
    output = io.BytesIO()
    value.write_to_stream(output)
    return output.getvalue()


def test_poppler_says_valid_and_total_document(sealed: bytes, tmp_path: Path) -> None:
    programs.require("pdfsig", "poppler-utils")
    path = tmp_path / "sealed.pdf"
    path.write_bytes(sealed)
    run = subprocess.run(
        ["pdfsig", "-nocert", path], capture_output=True, text=True, check=True, timeout=30
    )
    assert "Signature is Valid" in run.stdout
    assert "Total document signed" in run.stdout
    assert "ETSI.CAdES.detached" in run.stdout
    path.write_bytes(sealed.replace(b"%PDF-1.7", b"%PDF-1.6"))
    run = subprocess.run(
        ["pdfsig", "-nocert", path], capture_output=True, text=True, check=False, timeout=30
    )
    assert "Signature is Valid" not in run.stdout


def _openssl(folder: Path, sealed: bytes, place: Path) -> int:
    guarded = examine.guard(sealed)
    gap_at = sealed.index(b"/Contents<") + len(b"/Contents")
    (place / "cms").write_bytes(guarded.cms)
    (place / "content").write_bytes(sealed[:gap_at] + sealed[sealed.index(b">", gap_at) + 1 :])
    command = ["openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "cms"]
    command += ["-content", "content", "-CAfile", str(folder / "root.crt"), "-purpose", "any"]
    command += ["-attime", str(int(pdfs.SEALED_AT.timestamp())), "-out", "out"]
    return subprocess.run(command, cwd=place, check=False, capture_output=True).returncode


def test_openssl_verifies_the_cades_signature(folder: Path, sealed: bytes, tmp_path: Path) -> None:
    programs.require("openssl", "openssl")
    other = tmp_path / "other"
    pdfs.signer(other)
    assert _openssl(folder, sealed, tmp_path) == 0
    assert _openssl(folder, sealed.replace(b"%PDF-1.7", b"%PDF-1.6"), tmp_path) != 0
    assert _openssl(other, sealed, tmp_path) != 0


def test_an_independent_library_validates_the_seal(sealed: bytes, signer: keys.Signer) -> None:
    assert examine.fully(sealed, signer.pin) == pdfs.SEALED_AT


def test_another_reader_sees_the_same_face_and_attachment(sealed: bytes, face: bytes) -> None:
    before, after = pypdf.PdfReader(io.BytesIO(face)), pypdf.PdfReader(io.BytesIO(sealed))
    assert after.pages[0].extract_text() == before.pages[0].extract_text() != ""
    assert after.attachments == before.attachments
    assert list(after.attachments) == ["record.xml"]


def test_sealing_adds_to_the_face_and_changes_none_of_its_bytes(sealed: bytes, face: bytes) -> None:
    assert sealed.startswith(face)
    assert sealed.count(b"%%EOF") == 2


def test_sealing_again_gives_the_same_bytes(
    signer: keys.Signer, face: bytes, sealed: bytes
) -> None:
    sealer = seal.Sealer(signer)
    assert sealer.seal(face, pdfs.SEALED_AT) == sealer.seal(face, pdfs.SEALED_AT) == sealed
    beijing = pdfs.SEALED_AT.astimezone(datetime.timezone(datetime.timedelta(hours=8)))
    assert sealer.seal(face, beijing) == sealed


def test_another_process_gives_the_same_bytes(folder: Path, sealed: bytes) -> None:
    script = (
        "import hashlib, pathlib, sys; sys.path.insert(0, 'tests'); import pdfs;"
        "from signing import seal; signer = pdfs.signer(pathlib.Path(sys.argv[1]));"
        "sealed = seal.Sealer(signer).seal(pdfs.face(), pdfs.SEALED_AT);"
        "sys.stdout.write(hashlib.sha256(sealed).hexdigest())"
    )
    digest = subprocess.check_output(
        [sys.executable, "-c", script, folder], cwd=pdfs.TEMPLATES.parent, text=True
    )
    assert digest == hashlib.sha256(sealed).hexdigest()


def test_time_and_signer_are_part_of_the_seal(
    folder: Path, signer: keys.Signer, face: bytes, sealed: bytes
) -> None:
    later = seal.Sealer(signer).seal(face, pdfs.SEALED_AT + datetime.timedelta(seconds=1))
    other = seal.Sealer(pdfs.signer(folder, "510300")).seal(face, pdfs.SEALED_AT)
    identities = [
        re.findall(rb"/ID\[(\S+?)\]", pdf)[-1].split(b"<") for pdf in (sealed, later, other)
    ]
    assert len({first for first, _ in identities}) == 1
    assert len({second for _, second in identities}) == 3


def test_the_gap_holds_signatures_of_every_length(signer: keys.Signer, face: bytes) -> None:
    sealer, lengths = seal.Sealer(signer), set()
    for seconds in range(400):
        sealed = sealer.seal(face, pdfs.SEALED_AT + datetime.timedelta(seconds=seconds))
        lengths.add(len(examine.guard(sealed).cms))
    assert len(lengths) >= 3


def test_words_of_the_file_format_in_a_text_mislead_nobody(signer: keys.Signer) -> None:
    decoy = "28 0 obj <</Type/Catalog>> endobj xref trailer startxref 0 %%EOF"
    record = msgspec.structs.replace(pdfs.RECORD, authority=decoy)
    sealed = seal.Sealer(signer).seal(pdfs.face(record), pdfs.SEALED_AT)
    examine.own(sealed, record, signer.pin, pdfs.edition().photo_mm)
    assert examine.fully(sealed, signer.pin)


def test_a_text_that_would_be_a_second_byte_range_is_refused(signer: keys.Signer) -> None:
    record = msgspec.structs.replace(pdfs.RECORD, authority="/ByteRange[0 1 2 3]")
    with pytest.raises(errors.FaceUnsealable):
        seal.Sealer(signer).seal(pdfs.face(record), pdfs.SEALED_AT)


def test_a_sealed_file_is_not_sealed_again(signer: keys.Signer, sealed: bytes) -> None:
    with pytest.raises(errors.FaceUnsealable):
        seal.Sealer(signer).seal(sealed, pdfs.SEALED_AT)


def _rewritten(face: bytes) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(face))
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def _swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def swap(face: bytes) -> bytes:
        assert old in face
        return face.replace(old, new)

    return swap


SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _face: b"",
    "no PDF": lambda _face: b"%PDF-1.7\nstartxref\n5\n%%EOF",
    "appended": lambda face: face + b"\n%",
    "cut": lambda face: face[:-1],
    "written by another program": _rewritten,
    "a byte more before the table": lambda face: face[:9] + b"%" + face[9:],
    "a table shorter than it says": _swap(b"0000000016 00000 n\r\n", b""),
    "two pages": _swap(b"/Type/Pages/Count 1", b"/Type/Pages/Count 2"),
    "annotated": _swap(b"/Tabs/S", b"/Annots"),
    "no tab order": _swap(b"/Tabs/S", b"/Tabs/R"),
    "cropped": _swap(b"/MediaBox[0 0", b"/CropBox [0 0"),
    "page away from zero": _swap(b"/MediaBox[0 0", b"/MediaBox[9 0"),
    "catalog elsewhere": _swap(b"/Type/Catalog", b"/Type/Catalot"),
    "already a form": _swap(b"/Lang(zh-CN)", b"/AcroForm 0 "),
    "already certified": _swap(b"/Lang(zh-CN)", b"/Perms<<>>  "),
    "encrypted": _swap(b"/Info ", b"/Encr "),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_of_another_shape_is_not_sealed(
    signer: keys.Signer, face: bytes, shape: str
) -> None:
    with pytest.raises(errors.FaceUnsealable):
        seal.Sealer(signer).seal(SHAPES[shape](face), pdfs.SEALED_AT)


# The rules of ISO 19005-3 (PDF/A-3) and ISO 14289-1 (PDF/UA-1) that a seal could break, one by one.


def test_the_version_is_1_7_and_nothing_raises_it(sealed: bytes, catalog: DictionaryObject) -> None:
    assert sealed.startswith(b"%PDF-1.7\n%")
    assert min(sealed[10:14]) > 127
    assert not {"/Version", "/Extensions", "/Requirements"} & catalog.keys()


def test_xmp_is_as_rendered_and_claims_both_standards(
    face: bytes, catalog: DictionaryObject
) -> None:
    stream = _read(catalog, "/Metadata")
    assert "/Filter" not in stream
    xmp = stream.get_data()
    assert xmp in face
    for claim in (b"part>3<", b"conformance>A<", b"pdfuaid:part>1<"):
        assert claim in xmp


def test_information_and_first_file_id_are_as_rendered(sealed: bytes, face: bytes) -> None:
    before, after = (pypdf.PdfReader(io.BytesIO(pdf)) for pdf in (face, sealed))
    assert after.metadata == before.metadata
    assert _written(after.trailer.raw_get("/Info")) == _written(before.trailer.raw_get("/Info"))
    assert _read(after.trailer, "/ID", 0) == _read(before.trailer, "/ID", 0)
    assert _read(after.trailer, "/ID", 1) != _read(before.trailer, "/ID", 1)
    assert "/Encrypt" not in after.trailer


def test_the_catalog_keeps_all_that_the_standards_ask_for(
    face: bytes, catalog: DictionaryObject
) -> None:
    before = pypdf.PdfReader(io.BytesIO(face)).root_object
    assert catalog.keys() - before.keys() == {"/AcroForm", "/Perms"}
    for key in before:
        assert _written(catalog.raw_get(key)) == _written(before.raw_get(key))
    assert _read(catalog, "/MarkInfo", "/Marked") is not None
    assert _read(catalog, "/ViewerPreferences", "/DisplayDocTitle") is not None
    assert _read(catalog, "/OutputIntents", 0, "/S") == "/GTS_PDFA1"
    assert _read(catalog, "/OutputIntents", 0, "/DestOutputProfile") is not None
    assert {"/Lang", "/StructTreeRoot", "/AF"} <= catalog.keys()


def test_every_font_is_embedded(page: pypdf.PageObject) -> None:
    fonts = _read(page, "/Resources", "/Font")
    assert fonts
    for name in fonts:
        descriptor = _read(fonts, name, "/DescendantFonts", 0, "/FontDescriptor")
        assert "/FontFile2" in descriptor


def test_the_widget_is_exempt_from_appearance_and_tag(page: pypdf.PageObject) -> None:
    (widget,) = _read(page, "/Annots")
    left, bottom, right, top = map(float, _read(widget, "/Rect"))
    assert (left, bottom) == (right, top)
    assert right < float(page.cropbox.left)
    assert top < float(page.cropbox.bottom)
    assert _read(widget, "/F") == 4 + 128
    assert _read(widget, "/TU") == "电子签章"
    assert not {"/A", "/AA", "/AP", "/StructParent"} & _read(widget).keys()
    assert _read(page, "/Tabs") == "/S"


def test_the_signature_is_a_certification_that_allows_no_changes(catalog: DictionaryObject) -> None:
    form = _read(catalog, "/AcroForm")
    assert form == {"/Fields": _read(catalog, "/AcroForm", "/Fields"), "/SigFlags": 3}
    signature = _read(catalog, "/AcroForm", "/Fields", 0, "/V")
    assert _read(catalog, "/Perms") == {"/DocMDP": _read(catalog, "/Perms").raw_get("/DocMDP")}
    assert _read(catalog, "/Perms", "/DocMDP") == signature
    reference = _read(signature, "/Reference", 0)
    assert reference["/TransformMethod"] == "/DocMDP"
    assert _read(reference, "/TransformParams", "/P") == 1
    assert not {"/DigestMethod", "/DigestValue", "/DigestLocation"} & reference.keys()
    assert _read(signature, "/M") == "D:20260630020304Z"
    assert not {"/Cert", "/Changes"} & signature.keys()


def test_nothing_but_one_line_end_follows_the_last_end_of_file(sealed: bytes) -> None:
    assert re.search(rb"\nstartxref\n\d+\n%%EOF\n\Z", sealed)


def test_the_cms_is_that_of_pades_b_b(sealed: bytes, signer: keys.Signer) -> None:
    signed = cms.ContentInfo.load(examine.guard(sealed).cms)["content"]
    (info,) = signed["signer_infos"]
    stated = {part["type"].native: part["values"] for part in info["signed_attrs"]}
    assert stated.keys() == {"content_type", "message_digest", "signing_certificate_v2"}
    assert stated["content_type"].native == ["data"]
    (certificate,) = tsp.SigningCertificateV2.load(stated["signing_certificate_v2"][0].dump())[
        "certs"
    ]
    assert certificate["hash_algorithm"].native["algorithm"] == "sha256"
    assert certificate["cert_hash"].native.hex() == signer.fingerprint
    assert info["digest_algorithm"].native["algorithm"] == "sha256"
    assert info["signature_algorithm"].native["algorithm"] == "sha256_ecdsa"
    assert not info["unsigned_attrs"]
    assert signed["encap_content_info"].native == {"content_type": "data", "content": None}
    carried = {certificate.dump() for certificate in signed["certificates"]}
    assert carried == {signer.pin.certificate, signer.pin.issuing}
