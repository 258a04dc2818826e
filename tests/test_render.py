"""Faces: what they show, where it stands, that they are the same each time, and their profile."""

import datetime
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import PIL.Image
import PIL.ImageChops
import pypdf
import pypdfium2
import pytest
import zxingcpp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signing import metadata, qr, render
from signing.errors import FaceNotDrawn, FaceUnsealable
from signing.record import Record
from signing.written import Written
from tests import pdfs

TEMPLATES = Path(__file__).parent.parent / "templates"
FOLDER, FONTS = TEMPLATES / "certificate" / "2026", TEMPLATES / "fonts"
AT = datetime.datetime(2026, 6, 12, 8, 30, tzinfo=datetime.UTC)
POINTS_PER_MM = 72 / 25.4
KERNING_MM_MAX = 1.0  # an A reaches this far under a W at 20 pt
ADDRESS = "https://example.test/v/0123456789abcdef#"
MODULES = qr.matrix(ADDRESS, "1234567890" * 48)
RECORD = Record(
    number="2651010001600001",
    version=1,
    identifier="1.2.156.3005.2.DEV000000000000000001.DEV510100000000000.2651010001600001.001.X",
    public_id="0123456789abcdef",
    name="卓玛央金",
    sex="女",
    born_on=datetime.date(1998, 3, 12),
    id_kind="居民身份证",
    id_kind_code="111",
    id_number="513221199803120026",
    project="商业数据分析",
    score="86.5",
    exam_on=datetime.date(2026, 5, 23),
    issued_on=datetime.date(2026, 6, 12),
    authority="成都市人力资源和社会保障局",
    issuer_code="DEV510100000000000",
    seal_name="成都市人力资源和社会保障局专项职业能力证书专用章",
)
LONG = structs.replace(
    RECORD,
    name="阿卜杜热合曼·阿布都克里木·尼玛扎西·多吉才让·𠂇𬭎䶮㐂·泽仁拉姆·索朗旺堆·嘎玛旦增扎西次仁",
    id_kind="外国人永久居留身份证",
    id_number="W" * 20,
    project="电子商务与直播运营" * 6 + "（高级实训）",
    authority="阿坝藏族羌族自治州人力资源和社会保障局" * 2,
    seal_name="阿坝藏族羌族自治州人力资源和社会保障局职业技能鉴定专用印章一",
)
LATIN = structs.replace(
    RECORD, name="Maximiliana Wolfeschlegelsteinhausen Bergerdorff", project="茶艺", score="100"
)
SOLID_NAME = structs.replace(RECORD, name="W" * 50, project="W" * 60)
HAN = st.sampled_from("卓玛央金扎西多吉才让泽仁拉姆王李张刘𠂇𬭎䶮㐂𠀁·")
LATIN_LETTERS = st.sampled_from("ABCWMabcdefgmwxyz ")


@pytest.fixture(scope="module")
def edition() -> render.Edition:
    return render.Edition(FOLDER, FONTS)


def draw(
    edition: render.Edition,
    record: Record = RECORD,
    *,
    photo: bytes | None = None,
    specimen: bool = False,
) -> bytes:
    return edition.render(record, MODULES, photo=photo, specimen=specimen, rendered_at=AT)


def text_of(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as document:
        return "".join(document[0].get_textpage().get_text_range().split())


class Box(NamedTuple):
    """A visible character and its edges, in mm from the top left."""

    character: str
    left: float
    top: float
    right: float
    bottom: float

    def on_seal(self) -> bool:
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        return (x - 238) ** 2 + (y - 158) ** 2 <= 21**2


def boxes(pdf: bytes) -> list[Box]:
    """Return a box for each character; the second half of a surrogate pair has the same edges."""
    with pypdfium2.PdfDocument(pdf) as document:
        text, height = document[0].get_textpage(), document[0].get_height()
        found = []
        for index in range(text.count_chars()):
            left, bottom, right, top = text.get_charbox(index)
            if right > left and top > bottom:
                edges = (left, height - top, right, height - bottom)
                found.append(
                    Box(text.get_text_range(index, 1), *(e / POINTS_PER_MM for e in edges))
                )
        return list({box[1:]: box for box in reversed(found)}.values())


def assert_in_place(pdf: bytes) -> None:
    """Every character is inside the border, and none lies on another but on the seal."""
    found = sorted(boxes(pdf), key=lambda box: box.left)
    for box in found:
        assert 24 < box.left < box.right < 273, box
        assert 24 < box.top < box.bottom < 186, box
    free = [box for box in found if not box.on_seal()]
    for index, box in enumerate(free):
        for other in free[index + 1 :]:
            if other.left > box.right - KERNING_MM_MAX:
                break
            height = min(box.bottom, other.bottom) - max(box.top, other.top)
            assert height < 0.5 or other.right - other.left < KERNING_MM_MAX, (box, other)


def test_equal_arguments_give_equal_bytes_in_a_warm_edition(edition: render.Edition) -> None:
    fresh = draw(render.Edition(FOLDER, FONTS))
    for number in range(12):
        draw(edition, structs.replace(LONG, number=f"26510100016{number:05}"))
    assert draw(edition) == fresh


def test_equal_arguments_give_equal_bytes_in_another_process(edition: render.Edition) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from tests import test_render as t;"
        "sys.stdout.buffer.write(t.draw(t.render.Edition(t.FOLDER, t.FONTS)))"
    )
    checkout = str(Path(__file__).parent.parent)
    other = subprocess.run(
        [sys.executable, "-c", script, checkout], capture_output=True, check=True
    )
    assert other.stdout == draw(edition)


def test_another_record_gives_other_bytes(edition: render.Edition) -> None:
    assert draw(edition) != draw(edition, structs.replace(RECORD, score="86"))


def test_a_face_keeps_the_rules_of_its_profiles(edition: render.Edition) -> None:
    pdf = draw(edition)
    assert pdf.startswith(b"%PDF-1.7\n")
    reader = PdfFileReader(io.BytesIO(pdf), strict=True)
    root = reader.root
    assert root["/Lang"] == "zh-CN"
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert root["/Pages"]["/Count"] == 1
    assert root["/Pages"]["/Kids"][0]["/Tabs"] == "/S"
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    assert root["/OutputIntents"][0]["/DestOutputProfile"].data
    described = root["/Metadata"].data.decode()
    for claim in ("pdfaid:part>3<", "pdfaid:conformance>A<", "pdfuaid:part>1<"):
        assert claim in described
    assert f"专项职业能力证书 {RECORD.number}" in described


def test_a_face_has_the_shape_that_is_sealed(edition: render.Edition) -> None:
    pdf = draw(edition)
    assert len(re.findall(rb"\n\d+ 0 obj\n<</Type/Catalog[^\n]*>>\nendobj\n", pdf)) == 1
    assert len(re.findall(rb"\n\d+ 0 obj\n<</Type/Page/[^\n]*>>\nendobj\n", pdf)) == 1
    assert pdf.count(b"\nxref\n") == 1
    assert pdf.rstrip().endswith(b"%%EOF")


@pytest.mark.parametrize("name", ["卓玛央金", "𠀁玛"])
def test_every_font_is_embedded_and_one_of_ours(edition: render.Edition, name: str) -> None:
    reader = PdfFileReader(io.BytesIO(draw(edition, structs.replace(RECORD, name=name))))
    page = reader.root["/Pages"]["/Kids"][0]["/Resources"]
    forms = [page["/XObject"][name]["/Resources"] for name in page["/XObject"]]
    fonts = [part["/Font"] for part in (page, *forms) if "/Font" in part]
    names = set()
    for font in (found[name] for found in fonts for name in found):
        descendant = font["/DescendantFonts"][0]
        assert descendant["/FontDescriptor"]["/FontFile2"].data
        assert font["/ToUnicode"].data
        names.add(descendant["/BaseFont"].split("+")[1])
    assert len(fonts) == 2
    assert names == ({"NotoSerifSC-Regular"} | ({"HanaMinB"} if "𠀁" in name else set()))


def test_the_metadata_are_attached(edition: render.Edition) -> None:
    reader = PdfFileReader(io.BytesIO(draw(edition)))
    attached = reader.root["/AF"][0]
    assert attached["/UF"] == "record.xml"
    assert attached["/AFRelationship"] == "/Data"
    assert attached["/EF"]["/F"].data == metadata.to_xml(RECORD)


def test_headings_and_pictures_are_tagged(edition: render.Edition) -> None:
    tags = walk_of(draw(edition))
    kinds = [kind for kind, _ in tags]
    assert kinds.count("/H1") == 1
    assert all(alternative for kind, alternative in tags if kind == "/Figure")
    assert kinds.count("/Figure") == 2


def walk_of(pdf: bytes) -> list[tuple[str, str]]:
    return walk(PdfFileReader(io.BytesIO(pdf), strict=True).root["/StructTreeRoot"]["/K"])


def walk(node: generic.PdfObject) -> list[tuple[str, str]]:
    """Return kind and alternative text of the structure elements at and below `node`."""
    if isinstance(node, generic.ArrayObject):
        return [found for index in range(len(node)) for found in walk(node[index])]
    if not isinstance(node, generic.DictionaryObject) or "/S" not in node:
        return []
    here = (str(node["/S"]), str(node.get("/Alt", "")))
    return [here, *(walk(node["/K"]) if "/K" in node else [])]


def test_a_photo_is_drawn_as_the_bytes_that_it_is_and_without_one_there_is_no_image(
    edition: render.Edition,
) -> None:
    jpeg = pdfs.photo()
    pdf, bare = draw(edition, pdfs.with_photo(RECORD, jpeg), photo=jpeg), draw(edition)
    assert pdf.count(jpeg) == pdf.count(b"/Subtype/Image") == 1
    assert b"/Subtype/Image" not in bare
    assert draw(render.Edition(FOLDER, FONTS), pdfs.with_photo(RECORD, jpeg), photo=jpeg) == pdf
    assert pdf.startswith(b"%PDF-1.7\n")
    assert ("/Figure", "持证人照片") in walk_of(pdf)
    assert "持证人照片" not in {alternative for _, alternative in walk_of(bare)}


def test_a_photo_stands_inside_the_frame_of_the_ground(edition: render.Edition) -> None:
    """A gold line around it, a narrow rim inside the line, and the empty place is one colour."""
    jpeg, box = pdfs.photo(), edition.photo_mm
    shown, empty = (
        pypdfium2.PdfDocument(pdf)[0].render(scale=10 / POINTS_PER_MM).to_pil().convert("RGB")
        for pdf in (draw(edition, pdfs.with_photo(RECORD, jpeg), photo=jpeg), draw(edition))
    )
    edges = [box.left, box.top, box.left + box.width, box.top + box.height]
    place = tuple(round(10 * edge) for edge in edges)
    drawn = PIL.ImageChops.difference(shown, empty).getbbox()
    assert drawn is not None
    assert all(abs(one - other) <= 1 for one, other in zip(drawn, place, strict=True))
    wider = (place[0] - 4, place[1] - 4, place[2] + 4, place[3] + 4)
    ((_, rim),) = empty.crop(wider).getcolors()
    red, green, blue = empty.getpixel((place[0] - 7, (place[1] + place[3]) // 2))
    assert min(rim) > 240
    assert red > green > blue + 30


def _with(jpeg: bytes, old: bytes, new: bytes) -> bytes:
    assert jpeg.count(old) == 1
    return jpeg.replace(old, new)


def _photo_of(size: tuple[int, int], mode: str = "RGB", form: str = "JPEG") -> bytes:
    output = io.BytesIO()
    PIL.Image.new(mode, size).save(output, form)
    return output.getvalue()


_PREVIEW = b"\xff\xe0\x00\x0aJFXX\x00\x13\x01\x01"
_SCAN = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"
_RGB = b"\xff\xda\x00\x0c\x03R\x00G\x11B\x11\x00\x3f\x00"
_COARSE = pdfs.photo()[20:89]
_SIZE = b"\xff\xc0\x00\x11\x08\x02\x43\x01\x9d\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
PHOTOS: dict[str, tuple[bool, Callable[[], bytes]]] = {
    "as it comes": (True, pdfs.photo),
    "colours in full": (True, lambda: pdfs.photo(subsampling=0)),
    "tables of its own": (False, lambda: pdfs.photo(optimize=True)),
    "with restarts": (False, lambda: pdfs.photo(restart_marker_rows=1)),
    "a restart that is not told": (
        False,
        lambda: pdfs.photo()[:-99] + b"\xff\xd0" + pdfs.photo()[-99:],
    ),
    "colours that are red, green and blue to some": (
        False,
        lambda: _with(_with(pdfs.photo(), _SIZE[-9:], b"R\x22\x00G\x11\x01B\x11\x01"), _SCAN, _RGB),
    ),
    "luminance alone in its scan": (
        False,
        lambda: _with(pdfs.photo(), _SCAN, b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"),
    ),
    "arithmetic": (False, lambda: _with(pdfs.photo(), b"\xff\xc0", b"\xff\xc9")),
    "a table that another replaces": (
        False,
        lambda: _with(pdfs.photo(), b"\xff\xc0", _COARSE + b"\xff\xc0"),
    ),
    "a table of 16 bits": (
        False,
        lambda: _with(pdfs.photo(), b"\xff\xdb\x00\x43\x01", b"\xff\xdb\x00\x43\x11"),
    ),
    "a table of nothing": (False, lambda: _with(pdfs.photo(), _COARSE[-64:-32], bytes(32))),
    "a wrong table": (False, lambda: _with(pdfs.photo(), b"\x01\x7d\x01", b"\x01\x7c\x01")),
    "a preview": (False, lambda: _with(pdfs.photo(), b"\x00\x00\xff\xdb", b"\x01\x01\xff\xdb")),
    "no bytes": (False, lambda: b""),
    "no picture": (False, lambda: b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(99)),
    "PNG": (False, lambda: _photo_of((413, 579), form="PNG")),
    "turned": (False, lambda: _photo_of((579, 413))),
    "a pixel wider": (False, lambda: _photo_of((414, 579))),
    "grey": (False, lambda: _photo_of((413, 579), "L")),
    "print colours": (False, lambda: _photo_of((413, 579), "CMYK")),
    "no JFIF": (False, lambda: pdfs.photo(keep_rgb=True)),
    "progressive": (False, lambda: pdfs.photo(progressive=True)),
    "Exif": (False, lambda: pdfs.photo(exif=b"Exif\x00\x00II*\x00")),
    "comment": (False, lambda: pdfs.photo(comment=b"here")),
    "profile": (False, lambda: pdfs.photo(icc_profile=b"here")),
    "a second JFIF": (False, lambda: _with(pdfs.photo(), b"\xff\xc0", _PREVIEW + b"\xff\xc0")),
    "two sizes": (False, lambda: _with(pdfs.photo(), b"\xff\xc0", _SIZE + b"\xff\xc0")),
    "more behind the end": (False, lambda: pdfs.photo() + b"\n"),
    "two pictures": (False, lambda: pdfs.photo() * 2),
    "cut": (False, lambda: pdfs.photo()[:-1]),
}


@pytest.mark.parametrize("name", PHOTOS)
def test_only_a_photo_in_the_one_form_is_drawn(edition: render.Edition, name: str) -> None:
    is_drawn, make = PHOTOS[name]
    jpeg = make()
    record = pdfs.with_photo(RECORD, jpeg)
    if is_drawn:
        assert jpeg in draw(edition, record, photo=jpeg)
    else:
        with pytest.raises(FaceNotDrawn, match="照片格式不符"):
            draw(edition, record, photo=jpeg)


def test_no_photo_but_the_records_own_is_drawn(edition: render.Edition) -> None:
    one, other = pdfs.photo(90), pdfs.photo(91)
    lies: list[tuple[Record, bytes | None]] = [
        (RECORD, one),
        (pdfs.with_photo(RECORD, one), None),
        (pdfs.with_photo(RECORD, one), other),
    ]
    for record, photo in lies:
        with pytest.raises(FaceNotDrawn, match="照片不符"):
            draw(edition, record, photo=photo)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 600), st.integers(0, 64))
def test_no_bytes_are_too_strange_to_be_judged(put: bytes, at: int, cut: int) -> None:
    jpeg = pdfs.photo()
    for strange in (put, jpeg[:at] + put, jpeg[:at] + put + jpeg[at + cut :]):
        assert pdfs.edition().photo_mm.takes(strange) in (True, False)


def test_a_photo_changes_the_digest_of_a_record_and_none_leaves_it_as_it_was() -> None:
    assert b"photo" not in RECORD.canonical()
    record = pdfs.with_photo(RECORD, pdfs.photo())
    assert f'"photo_sha256":"{record.photo_sha256}"'.encode() in record.canonical()
    assert record.digest() != RECORD.digest()


def test_ground_seal_and_code_are_forms_that_lean_on_nothing_of_the_page(
    edition: render.Edition,
) -> None:
    """A form names no resource that it does not bring; those of one city are the same bytes."""
    one, two = draw(edition), draw(edition, structs.replace(LATIN, number="2651010001600002"))
    drawn = []
    page: Any
    for pdf in (one, two):
        page = pypdf.PdfReader(io.BytesIO(pdf), strict=True).pages[0]
        assert len(page.get_contents().get_data()) < 20_000
        forms = [value.get_object() for value in page["/Resources"]["/XObject"].values()]
        drawings = re.findall(rb"/(\w+) Do\b", page.get_contents().get_data())
        assert sorted(drawings) == [b"x0", b"x1", b"x2"]  # each of them once
        for form in forms:
            assert (form["/Type"], form["/Subtype"]) == ("/XObject", "/Form")
            kinds = {b"cs": "/ColorSpace", b"gs": "/ExtGState", b"Tf": "/Font", b"Do": "/XObject"}
            named = re.findall(rb"/(\w+)[ \d.]* (cs|gs|Tf|Do)\b", form.get_data(), re.IGNORECASE)
            for name, operator in named:
                kind = kinds.get(operator, "/ColorSpace")
                assert f"/{name.decode()}" in form["/Resources"][kind]
        drawn.append({form.get_data() for form in forms})
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 3
    assert one.count(b"/N 3/Range") == 1


def test_a_pdf_taken_apart_is_written_as_it_was_and_any_other_shape_is_refused(
    edition: render.Edition,
) -> None:
    pdf = draw(edition)
    assert Written.of(pdf).to_pdf() == pdf.rstrip()
    for strange in (b"", pdf[:-9], b"\n" + pdf, pdf.replace(b"endobj", b"endobk", 1)):
        with pytest.raises(FaceUnsealable):
            Written.of(strange)


def test_metadata_tell_the_record_and_depend_on_nothing_else() -> None:
    xml = metadata.to_xml(RECORD).decode()
    for element in (
        "<ZZMC>专项职业能力证书</ZZMC>",
        "<ZZLXDM>DEV000000000000000001</ZZLXDM>",
        "<ZZBH>2651010001600001</ZZBH>",
        "<ZZBFRQ>2026-06-12</ZZBFRQ>",
        "<CZZT>卓玛央金</CZZT>",
        "<CZZTDMLX>111</CZZTDMLX>",
        "<ZZYXQQSRQ>2026-06-12</ZZYXQQSRQ>",
        "<ZZYXQJZRQ></ZZYXQJZRQ>",
    ):
        assert element in xml
    assert metadata.to_xml(RECORD) == metadata.to_xml(structs.replace(RECORD, score="60"))


@pytest.mark.parametrize("record", [RECORD, LONG, LATIN, SOLID_NAME], ids=lambda r: r.name[:6])
@pytest.mark.parametrize("specimen", [False, True])
def test_extreme_records_are_complete_and_in_place(
    edition: render.Edition, record: Record, specimen: bool
) -> None:
    pdf = draw(edition, record, specimen=specimen)
    shown = text_of(pdf)
    for value in (
        record.number,
        record.identifier,
        record.name,
        record.id_kind,
        record.id_number,
        record.project,
        record.score,
        record.authority,
        "1998年3月12日",
        "2026年5月23日",
        "2026年6月12日",
    ):
        assert "".join(value.split()) in shown
    if not specimen:
        assert_in_place(pdf)


@given(
    name=st.text(HAN, min_size=2, max_size=50) | st.text(LATIN_LETTERS, min_size=2, max_size=50),
    project=st.text(HAN, min_size=2, max_size=60),
    authority=st.text(HAN, min_size=4, max_size=40),
    seal_name=st.text(st.sampled_from("成都市人力资源专用章"), min_size=8, max_size=30),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_record_stays_in_place(
    edition: render.Edition, name: str, project: str, authority: str, seal_name: str
) -> None:
    named = " ".join(name.split()) or "张三"
    record = structs.replace(
        RECORD, name=named, project=project, authority=authority, seal_name=seal_name
    )
    pdf = draw(edition, record)
    assert_in_place(pdf)
    assert "".join(named.split()) in text_of(pdf)


def test_quotes_and_marks_of_the_language_of_editions_are_text(edition: render.Edition) -> None:
    name = 'A"#panic(1)\\'
    assert name in text_of(draw(edition, structs.replace(RECORD, name=name)))


def test_a_specimen_says_so_and_bears_no_seal_of_an_authority(edition: render.Edition) -> None:
    specimen, real = draw(edition, specimen=True), draw(edition)
    assert "样本SPECIMEN" in text_of(specimen)
    assert "样本" not in text_of(real)
    assert "专用章" not in text_of(specimen)
    glyphs = [box.character for box in boxes(specimen) if box.on_seal()]
    assert glyphs.count("样") == glyphs.count("章") == 4
    on_real = [box.character for box in boxes(real) if box.on_seal()]
    assert set(RECORD.seal_name) <= set(on_real)
    alternatives = [alternative for _, alternative in walk_of(specimen)]
    assert "样章" in alternatives
    assert not any(RECORD.seal_name in alternative for alternative in alternatives)


@pytest.mark.parametrize("digits", [10, 480, 1100])
def test_the_qr_decodes_from_a_picture_of_150_dpi(edition: render.Edition, digits: int) -> None:
    text = (ADDRESS, "1234567890" * (digits // 10))
    pdf = edition.render(RECORD, qr.matrix(*text), photo=None, specimen=True, rendered_at=AT)
    with pypdfium2.PdfDocument(pdf) as document:
        barcode = zxingcpp.read_barcode(document[0].render(scale=150 / 72).to_pil())
    assert barcode is not None
    assert barcode.text == "".join(text)


def test_what_the_fonts_can_draw_is_drawn_and_all_else_refused(edition: render.Edition) -> None:
    drawable = render.drawable(FONTS)
    for character in "卓·é𠂇𬭎䶮㐂𠀁":
        assert ord(character) in drawable
        assert character in text_of(draw(edition, structs.replace(RECORD, name="张" + character)))
    for character in "😀\ue000\U000f0001":
        assert ord(character) not in drawable
        with pytest.raises(FaceNotDrawn, match=RECORD.number):
            draw(edition, structs.replace(RECORD, name="张" + character))
    assert draw(edition) == draw(render.Edition(FOLDER, FONTS))


def test_the_edition_is_named_by_its_folder(edition: render.Edition) -> None:
    assert edition.name == "2026"
