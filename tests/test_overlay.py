"""The overlay: what it prints, where it lands, that it fits, and what it never prints."""

import datetime
import math
import shutil
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from service.ground.errors import BlankEditionUnknown
from service.paper import overlay
from service.paper.overlay import FIELDS, Box, Edition, Profile, Remark, Sheet
from signing import Record, appearance, examine, qr, render, seal, token
from signing.errors import ExaminationFailed, FaceNotDrawn, FormNotDrawn, StatementRefused
from tests import pdfs, test_render

BLANKS, FONTS = test_render.TEMPLATES / "blank", test_render.FONTS
AT, POINTS_PER_MM = test_render.AT, test_render.POINTS_PER_MM
HEAD, DIGITS = token.to_text("example.test", "0123456789abcdef", bytes(range(212)))
SHEET = Sheet(record=test_render.RECORD, qr_text=HEAD + DIGITS, photo=None, serial="川26A0000012")
PHOTO = pdfs.photo()
PICTURED = structs.replace(
    SHEET, record=pdfs.with_photo(SHEET.record, PHOTO), photo=PHOTO, serial="川26A0000013"
)
REISSUED = structs.replace(SHEET, remark=Remark.REISSUED.on(datetime.date(2026, 11, 22)))
PROFILE = Profile(
    offset_x_tenths_mm=-23, offset_y_tenths_mm=41, scale_x_per_10000=-137, scale_y_per_10000=162,
    rotation_per_10000=-188,
)  # fmt: skip
AS_IT_IS = Profile()


@pytest.fixture(scope="module", params=["2026", "2026-a4"])
def edition(request: pytest.FixtureRequest) -> Edition:
    return Edition(BLANKS, request.param, FONTS)


def draw(
    edition: Edition, *sheets: Sheet, profile: Profile = AS_IT_IS, preview: bool = False
) -> bytes:
    return overlay.render(edition, sheets, profile, preview=preview, rendered_at=AT)


def of(record: Record) -> Sheet:
    return structs.replace(SHEET, record=record)


def texts(pdf: bytes) -> list[str]:
    with pypdfium2.PdfDocument(pdf) as document:
        return ["".join(page.get_textpage().get_text_range().split()) for page in document]


def codes(pdf: bytes, dpi: int) -> set[str]:
    with pypdfium2.PdfDocument(pdf) as document:
        return appearance.codes(document[0].render(scale=dpi / 72, grayscale=True).to_pil())


class Glyph(NamedTuple):
    """A character, where its pen was set down in mm from the top left, and its box."""

    character: str
    pen: tuple[float, float]
    box: Box


def glyphs(pdf: bytes) -> Iterator[Glyph]:
    with pypdfium2.PdfDocument(pdf) as document:
        text, height = document[0].get_textpage(), document[0].get_height()
        for index in range(text.count_chars()):
            left, bottom, right, top = text.get_charbox(index)
            if right > left and top > bottom:
                x, y = pypdfium2.raw.c_double(), pypdfium2.raw.c_double()
                pypdfium2.raw.FPDFText_GetCharOrigin(text, index, x, y)
                edges = (left, height - top, right - left, top - bottom)
                yield Glyph(
                    text.get_text_range(index, 1),
                    (x.value / POINTS_PER_MM, (height - y.value) / POINTS_PER_MM),
                    Box(*(edge / POINTS_PER_MM for edge in edges)),
                )


def assert_inside(edition: Edition, pdf: bytes) -> None:
    """Every character is inside one of the places of the edition, or at most a hair outside."""
    for glyph in glyphs(pdf):
        box, hair = glyph.box, 0.4
        assert any(
            place.left - hair <= box.left
            and box.left + box.width <= place.left + place.width + hair
            and place.top - hair <= box.top
            and box.top + box.height <= place.top + place.height + hair
            for place in edition.layout.fields_mm.values()
        ), glyph


def test_an_edition_has_a_place_for_every_field_and_none_lies_on_another(edition: Edition) -> None:
    layout = edition.layout
    assert layout.fields_mm.keys() == FIELDS.keys()
    assert layout.code_mm.width >= qr.width_mm(17 + 4 * qr.VERSION_LIMIT)
    boxes = [*layout.fields_mm.values(), layout.code_mm, layout.photo_mm]
    for index, one in enumerate(boxes):
        assert 15 < one.left < one.left + one.width < layout.width_mm - 15
        assert 15 < one.top < one.top + one.height < layout.height_mm - 15
        for other in boxes[index + 1 :]:
            across = max(one.left, other.left) < min(one.left + one.width, other.left + other.width)
            down = max(one.top, other.top) < min(one.top + one.height, other.top + other.height)
            assert not (across and down), (one, other)


@pytest.mark.parametrize("name", ["2027", "", "..", "../certificate/2026"])
def test_an_edition_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(BlankEditionUnknown, match="2026、2026-a4"):
        Edition(BLANKS, name, FONTS)


def test_an_overlay_prints_the_values_and_nothing_else(edition: Edition) -> None:
    pdf = draw(edition, REISSUED)
    (text,) = texts(pdf)
    expected = [*overlay._values(REISSUED).values()]
    assert expected[2:3] + expected[-1:] == ["1998年3月12日", "补发 2026年11月22日"]
    expected[-1] = expected[-1].replace(" ", "")
    assert sorted(text) == sorted("".join(expected))
    assert all(value in text for value in expected)
    with pypdfium2.PdfDocument(pdf) as document:
        size = [side / POINTS_PER_MM for side in document[0].get_size()]
        paths = [one for one in document[0].get_objects() if one.type == 2]
    assert size == pytest.approx([edition.layout.width_mm, edition.layout.height_mm], abs=0.01)
    assert len(paths) == 1  # the code


def test_a_preview_shows_the_whole_face_and_says_all_over_that_it_is_none(edition: Edition) -> None:
    (text,) = texts(draw(edition, SHEET, preview=True))
    assert text.count("样张SAMPLE") == 3
    for word in ("专项职业能力证书", "№川26A0000012", "姓名", "备注", "卓玛央金"):
        assert word in text
    for word in ("样张", "SAMPLE", "姓名", "川26A0000012"):
        assert word not in texts(draw(edition, SHEET))[0]


@pytest.mark.parametrize("length", [20, 212, 400])
def test_the_code_of_a_preview_cannot_be_read(edition: Edition, length: int) -> None:
    statement = (bytes(range(256)) * 2)[:length]
    text = "".join(token.to_text("example.test", SHEET.record.public_id, statement))
    sheet = structs.replace(SHEET, qr_text=text)
    assert codes(draw(edition, sheet, preview=True), 150) == set()
    assert codes(draw(edition, sheet), 150) == {sheet.qr_text}


def test_a_preview_is_not_corrected_for_any_printer(edition: Edition) -> None:
    preview = draw(edition, SHEET, preview=True)
    assert draw(edition, SHEET, preview=True, profile=PROFILE) == preview
    assert draw(edition, SHEET, profile=PROFILE) != draw(edition, SHEET)


def test_the_code_is_the_one_of_the_e_certificate(edition: Edition, tmp_path: Path) -> None:
    face = render.Edition(test_render.FOLDER, FONTS).render(
        SHEET.record, qr.matrix(HEAD, DIGITS), photo=None, specimen=False, rendered_at=AT
    )
    sealed = seal.Sealer(pdfs.signer(tmp_path / "keys")).seal(face, pdfs.SEALED_AT)
    text = examine.own_qr_text(sealed)
    assert text == HEAD + DIGITS
    pdf = draw(edition, structs.replace(SHEET, qr_text=text))
    assert codes(pdf, 150) == codes(pdf, 300) == {text}
    assert codes(draw(edition, SHEET, profile=PROFILE), 150) == {text}
    (ours,) = _symbol(pdf)
    assert ours in _symbol(sealed)  # with and without the white around it


def _symbol(pdf: bytes) -> list[bytes]:
    """The middle of each module of the one code of a page, black or white."""
    with pypdfium2.PdfDocument(pdf) as document:
        return [
            image.reduce(4).point(lambda value: 255 * (value > 127)).tobytes()
            for image in appearance.squares(document[0])
        ]


def pictures(pdf: bytes, page: int = 0) -> list[tuple[bytes, Box]]:
    """Every picture of a page: the bytes of its JPEG, and its place in mm from the top left."""
    with pypdfium2.PdfDocument(pdf) as document:
        found = []
        for image in document[page].get_objects(filter=[3]):
            assert image.get_filters() == ["DCTDecode"]
            jpeg = bytes(image.get_data())
            found.append((jpeg, _place(image, image.get_matrix(), (0, 0, 1, 1))))
    return found


def _place(one: pypdfium2.PdfObject, matrix: pypdfium2.PdfMatrix, bounds: Sequence[float]) -> Box:
    """Where bounds before a matrix are on the page, in mm from its top left corner."""
    container = one.container
    while container is not None:
        matrix = matrix.multiply(container.get_matrix())
        container = container.container
    left, bottom, right, top = bounds
    xs, ys = zip(
        *(matrix.on_point(*at) for at in product((left, right), (bottom, top))), strict=True
    )
    edges = (min(xs), one.page.get_height() - max(ys), max(xs) - min(xs), max(ys) - min(ys))
    return Box(*(edge / POINTS_PER_MM for edge in edges))


def test_a_photo_fills_its_place_and_its_bytes_stay_what_they_are(edition: Edition) -> None:
    place = edition.layout.photo_mm
    for preview in (False, True):
        pdf = draw(edition, SHEET, PICTURED, preview=preview)
        assert pictures(pdf) == []
        ((jpeg, box),) = pictures(pdf, 1)
        assert jpeg == PHOTO
        assert structs.astuple(box) == pytest.approx(structs.astuple(place), abs=0.1)
        assert _seen(pdf, 0, place) != _seen(pdf, 1, place)


def _seen(pdf: bytes, page: int, place: Box) -> bytes:
    """Draw a place of a page, at four dots a mm."""
    with pypdfium2.PdfDocument(pdf) as document:
        drawn = document[page].render(scale=4 / POINTS_PER_MM).to_pil()
    left, top, width, height = (round(4 * edge) for edge in structs.astuple(place))
    return bytes(drawn.crop((left, top, left + width, top + height)).tobytes())


def test_a_profile_moves_the_photo_with_all_else_and_tells_when_it_is_cut_off(
    edition: Edition,
) -> None:
    place = edition.layout.photo_mm
    ((_, box),) = pictures(draw(edition, PICTURED, profile=PROFILE))
    middle = PROFILE.moved(place.left + place.width / 2, place.top + place.height / 2)
    assert math.dist(middle, (box.left + box.width / 2, box.top + box.height / 2)) < 0.05
    far = Profile(offset_x_tenths_mm=round(-10 * place.left) - 1)
    assert "照片 Photo" in overlay.off_sheet(edition.layout, far)
    assert "照片 Photo" not in overlay.off_sheet(edition.layout, AS_IT_IS)


def test_a_place_of_another_shape_is_covered_and_nothing_is_drawn_out_of_it(tmp_path: Path) -> None:
    shutil.copytree(BLANKS, tmp_path / "blank")
    layout = tmp_path / "blank" / "2026" / "edition.toml"
    told = layout.read_text("utf-8").replace("width = 35, height = 49", "width = 49, height = 49")
    layout.write_text(told, "utf-8")
    square = Edition(tmp_path / "blank", "2026", FONTS)
    place = square.layout.photo_mm
    pdf = draw(square, SHEET, PICTURED)
    ((_, box),) = pictures(pdf, 1)
    assert box.height == pytest.approx(49 * 579 / 413, abs=0.2)
    assert box.width == pytest.approx(49, abs=0.1)
    for beside in (
        Box(place.left, place.top - 8, place.width, 7),
        Box(place.left, place.top + place.height + 1, place.width, 7),
    ):
        assert _seen(pdf, 1, beside) == _seen(pdf, 0, beside)


def test_the_photo_of_another_certificate_or_of_none_is_never_printed(edition: Edition) -> None:
    other = pdfs.photo(30)
    for wrong in (
        structs.replace(PICTURED, photo=other),
        structs.replace(PICTURED, photo=None),
        structs.replace(SHEET, photo=PHOTO),
    ):
        for preview in (False, True):
            with pytest.raises(FaceNotDrawn, match=r"2651010001600001.*photo of another"):
                draw(edition, SHEET, wrong, preview=preview)


def test_a_file_without_its_code_is_not_read_by_guessing(edition: Edition) -> None:
    for pdf in (draw(edition, structs.replace(SHEET, qr_text=None)), b"%PDF-1.7"):
        with pytest.raises(ExaminationFailed):
            examine.own_qr_text(pdf)
    with pytest.raises(ExaminationFailed):  # it is not drawn whole
        examine.own_qr_text(draw(edition, SHEET, preview=True))


def test_the_code_of_another_certificate_or_of_none_is_never_printed(edition: Edition) -> None:
    other = SHEET.qr_text and SHEET.qr_text.replace("0123456789abcdef", "0123456789abcdeg")
    for text in (other, DIGITS):
        with pytest.raises(FaceNotDrawn, match=SHEET.record.number):
            draw(edition, SHEET, structs.replace(SHEET, qr_text=text))
    with pytest.raises(StatementRefused):
        draw(edition, structs.replace(SHEET, qr_text="https://example.test/elsewhere"))


@pytest.mark.parametrize(
    "wrong",
    [
        of(structs.replace(SHEET.record, name="卓玛\ue000")),
        of(structs.replace(SHEET.record, project="茶艺\U0002ffff")),
        of(structs.replace(SHEET.record, authority="成都市\u200b局")),
        structs.replace(SHEET, remark="补发\ufffe"),
        structs.replace(SHEET, serial="川\U00031350"),
    ],
)
def test_a_character_that_no_font_draws_is_refused_and_never_a_box(
    edition: Edition, wrong: Sheet
) -> None:
    for preview in (False, True):
        with pytest.raises(FaceNotDrawn, match=r"2651010001600001.*U\+"):
            draw(edition, SHEET, wrong, preview=preview)


def test_rare_characters_that_a_font_draws_are_printed(edition: Edition) -> None:
    name = "𠂇𬭎䶮㐂𠀁·阿依𠮷"
    assert name in texts(draw(edition, of(structs.replace(SHEET.record, name=name))))[0]
    with pytest.raises(FormNotDrawn):  # the form itself is a second guard
        overlay.calibration(edition, AS_IT_IS, printer="\ue000", applied=1, rendered_at=AT)


@pytest.mark.parametrize("record", [test_render.LONG, test_render.LATIN, test_render.SOLID_NAME])
def test_the_longest_values_stay_on_their_lines(edition: Edition, record: Record) -> None:
    pdf = draw(edition, structs.replace(REISSUED, record=record))
    assert_inside(edition, pdf)
    assert "".join(record.name.split()) in texts(pdf)[0]


def test_a_long_name_is_wrapped_before_it_is_hard_to_read(edition: Edition) -> None:
    printed = glyphs(draw(edition, of(test_render.LONG)))
    assert (
        min(glyph.box.width for glyph in printed if glyph.character in "杜嘎玛")
        > 0.85 * 9 / 72 * 25.4
    )


@given(
    name=st.text(test_render.HAN, min_size=2, max_size=50)
    | st.text(test_render.LATIN_LETTERS, min_size=2, max_size=50),
    project=st.text(test_render.HAN, min_size=2, max_size=60),
)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_name_and_project_stay_on_their_lines(
    edition: Edition, name: str, project: str
) -> None:
    record = structs.replace(SHEET.record, name=" ".join(name.split()), project=project)
    assert_inside(edition, draw(edition, of(record)))


def test_pages_come_in_the_order_given_and_are_found_by_their_serials(edition: Edition) -> None:
    sheets = [
        structs.replace(of(record), serial=f"川26A{at:07}")
        for at in (7, 3, 12, 5)
        for record in [structs.replace(SHEET.record, number=f"26510100016{at:05}")]
    ]
    pdf = draw(edition, *sheets)
    for sheet, text in zip(sheets, texts(pdf), strict=True):
        assert sheet.record.number in text
    with pypdfium2.PdfDocument(pdf) as document:
        contents = [(one.get_title(), one.get_dest().get_index()) for one in document.get_toc()]
    assert contents == [(sheet.serial, at) for at, sheet in enumerate(sheets)]


def test_equal_sheets_give_equal_bytes_in_a_warm_edition(edition: Edition) -> None:
    pdf = draw(edition, SHEET, REISSUED, profile=PROFILE)
    fresh = Edition(BLANKS, edition.name, FONTS)
    assert draw(fresh, SHEET, REISSUED, profile=PROFILE) == pdf


def test_a_profile_moves_everything_as_it_says(edition: Edition) -> None:
    plain, moved = (list(glyphs(draw(edition, SHEET, profile=one))) for one in (AS_IT_IS, PROFILE))
    assert len(plain) > 80
    for before, after in zip(plain, moved, strict=True):
        assert before.character == after.character
        assert math.dist(after.pen, PROFILE.moved(*before.pen)) < 0.01
    (before_code,), (after_code,) = (
        _dark_squares(draw(edition, SHEET, profile=one)) for one in (AS_IT_IS, PROFILE)
    )
    assert math.dist(after_code, PROFILE.moved(*before_code)) < 0.02


def _dark_squares(pdf: bytes) -> list[tuple[float, float]]:
    """The middle of every path of a page, in mm from its top left corner."""
    with pypdfium2.PdfDocument(pdf) as document:
        boxes = [
            _place(one, pypdfium2.PdfMatrix(), one.get_bounds())
            for one in document[0].get_objects(filter=[2])
        ]
    return [(box.left + box.width / 2, box.top + box.height / 2) for box in boxes]


@pytest.mark.parametrize("profile", [AS_IT_IS, PROFILE])
def test_the_crosses_of_a_calibration_sheet_stand_where_they_say(
    edition: Edition, profile: Profile
) -> None:
    pdf = overlay.calibration(edition, profile, printer="一号机", applied=17, rendered_at=AT)
    arms = _dark_squares(pdf)
    marks = overlay.marks(edition.layout)
    assert len(arms) == 2 * len(marks) == 16
    for mark in marks:
        wanted = profile.moved(mark.x_mm, mark.y_mm)
        assert sum(math.dist(arm, wanted) < 0.02 for arm in arms) == 2
    (text,) = texts(pdf)
    assert "一号机第17号" in text
    assert f"--edition{edition.name}--applied17" in text
    for mark in marks:
        assert f"{mark.number}左left{mark.x_mm:g}上top{mark.y_mm:g}" in text


def test_a_remark_says_why_and_when(tmp_path: Path) -> None:
    assert REISSUED.remark == "补发 2026年11月22日"
    assert Remark.EXCHANGED.on(datetime.date(2027, 1, 3)) == "换发 2027年1月3日"
    assert overlay.names(tmp_path) == []
