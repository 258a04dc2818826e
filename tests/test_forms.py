"""The forms: what stands on them, that nothing overflows, and workbooks that add up."""

import datetime
import io
import itertools
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pypdfium2
import pytest
import python_calamine
from hypothesis import given
from hypothesis import strategies as st

from service import wiring
from service.ground.errors import LedgerTooLong
from service.paper.forms import leaves, sheets, workbooks
from service.paper.forms.sheets import Seal, Sheet
from signing.errors import FormNotDrawn
from tests import filled
from tests.filled import FORMS, LONG, LONG_PROJECT, LONG_WORD, PRINTED_AT, RARE

MM = 72 / 25.4
COLUMNS = [
    "日期", "摘要", "凭证号", "号段起止", "收", "发", "废", "存", "经手人", "复核人", "领取人签收",
    "备注",
]  # fmt: skip
ADVANCES = leaves.advances(wiring.FONTS)
SPECIMEN = Seal(filled.CENTRE, specimen=True)
UNDRAWABLE = "\U000323b0"


def drawn(sheet: Sheet, seal: Seal | None = None) -> bytes:
    return FORMS.pdf(sheet, printed_at=PRINTED_AT, seal=seal)


def ledger(count: int, closing: int = 500, *, seal: Seal | None = None, **fields: Any) -> bytes:
    found = (msgspec.structs.replace(one, **fields) for one in filled.movements(count))
    return FORMS.ledger_pdf(filled.ledger(closing), found, printed_at=PRINTED_AT, seal=seal)


def pages(pdf: bytes) -> Iterator[pypdfium2.PdfPage]:
    yield from pypdfium2.PdfDocument(pdf)


def texts(pdf: bytes) -> list[str]:
    """What can be read on each page, without the space between words and lines."""
    found = (page.get_textpage().get_text_range() for page in pages(pdf))
    return [re.sub(r"[\s\u200b]", "", text.replace("\ufffe", "-")) for text in found]


SHEETS: dict[str, Callable[[], bytes]] = {
    "requisition": lambda: drawn(filled.requisition()),
    "requisition of nothing": lambda: drawn(filled.requisition(0)),
    "requisition with everything long": lambda: drawn(filled.requisition(40, LONG_PROJECT)),
    "summary": lambda: drawn(filled.summary()),
    "summary of three series": lambda: drawn(filled.summary(63)),
    "handover": lambda: drawn(filled.handover()),
    "handover with everything long": lambda: drawn(filled.handover(40, LONG_PROJECT)),
    "destruction": lambda: drawn(filled.destruction()),
    "destruction for long reasons": lambda: drawn(filled.destruction(40, LONG + LONG_WORD)),
    "count": lambda: drawn(filled.count()),
    "count on three pages": lambda: drawn(filled.count(70)),
    "counted": lambda: drawn(filled.counted()),
    "counted with long reasons": lambda: drawn(filled.counted(40, LONG + LONG_WORD)),
    "ledger": lambda: ledger(10),
    "ledger of several pages": lambda: ledger(70),
    "sealed ledger": lambda: ledger(70, seal=SPECIMEN),
    "sealed summary": lambda: drawn(filled.summary(63), SPECIMEN),
    "ledger with everything long": lambda: ledger(
        9, summary=LONG_PROJECT, voucher=LONG_WORD, remark=LONG * 9 + RARE, recipient=RARE
    ),
}


@pytest.mark.parametrize("name", SHEETS)
def test_nothing_leaves_its_page_or_stands_on_something_else(name: str) -> None:
    for page in pages(SHEETS[name]()):
        text = page.get_textpage()
        right, top = page.get_size()
        boxes = []
        for at in range(text.count_chars()):
            box = text.get_charbox(at)
            if box[2] - box[0] > 0.3 and text.get_text_range(at, 1).strip():
                boxes.append(box)
        assert boxes
        for box in boxes:
            assert 14.8 * MM < box[0] < box[2] < right - 14.8 * MM
            assert 5 * MM < box[1] < box[3] < top - 7 * MM
        assert not list(_overlapping(sorted(set(boxes))))


def _overlapping(boxes: list[tuple[float, ...]]) -> Iterator[tuple[float, ...]]:
    """Find characters that share more than an edge with one to their right."""
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            if other[0] > one[2] - 1:
                break
            if min(one[3], other[3]) - max(one[1], other[1]) > 1.5:
                yield (*one, *other)


@pytest.mark.parametrize("name", SHEETS)
def test_each_page_tells_its_number_and_when_it_was_printed_in_shanghai(name: str) -> None:
    found = texts(SHEETS[name]())
    for at, text in enumerate(found, start=1):
        assert f"第{at}页/共{len(found)}页" in text, text
        assert "2026-07-0100:30" in text


@pytest.mark.parametrize("name", ["sealed ledger", "sealed summary"])
def test_each_page_of_a_sealed_sheet_tells_whose_seal_it_carries_and_that_it_is_a_specimen(
    name: str,
) -> None:
    found = texts(SHEETS[name]())
    assert len(found) > 1
    for text in found:
        assert f"本文件由{filled.CENTRE}电子签章electronicallysealed" in text
        assert text.count("样本，无效力") == 2
    genuine = "".join(texts(drawn(filled.summary(), Seal(filled.CENTRE, specimen=False))))
    assert ("电子签章" in genuine, "样本" in genuine) == (True, False)
    assert not {"电子签章", "样本"} & {*re.findall("电子签章|样本", texts(ledger(1))[0])}


@pytest.mark.parametrize("count", range(9, 16))
def test_what_is_signed_stands_below_rows_and_under_a_head(count: int) -> None:
    *_, last = texts(drawn(filled.handover(count)))
    assert f"26513201600{count - 1:05}" in last
    assert filled.CENTRE in last
    assert "领取人签字" in last


@pytest.mark.parametrize("count", [0, 1, 21, 24, 63])
def test_a_summary_is_signed_below_its_sum_which_counts_both_sides_of_a_transfer(
    count: int,
) -> None:
    *_, last = texts(drawn(filled.summary(count)))
    assert ("合计total" in last, "制表单位" in last, filled.CENTRE in last) == (True, True, True)
    assert ("收发双方各计一次" in last) is (count > 1)


@pytest.mark.parametrize("count", range(14, 24))
def test_a_ledger_is_signed_below_its_last_movement(count: int) -> None:
    *_, last = texts(ledger(count))
    assert f"513200-2026-{count - 1:04}" in last
    assert "2026-inner内芯（川26A）" in last
    assert ("相符" in last or "不符" in last, "记账单位" in last) == (True, True)


def test_long_words_and_rare_characters_are_all_there() -> None:
    (first, *_, last) = texts(SHEETS["requisition with everything long"]())
    assert first.count(LONG_PROJECT) > 10
    assert LONG_WORD in first
    assert last.count(LONG) == 2
    assert RARE * 13 in texts(SHEETS["handover with everything long"]())[0]
    everything = "".join(texts(SHEETS["ledger with everything long"]()))
    assert everything.count(RARE[0]) == 18


@pytest.mark.parametrize(
    "draw",
    [
        lambda: drawn(filled.requisition(1, f"项目{UNDRAWABLE}")),
        lambda: drawn(filled.destruction(1, UNDRAWABLE)),
        lambda: ledger(1, remark=UNDRAWABLE),
    ],
)
def test_a_character_that_no_font_draws_is_refused_and_never_a_box(
    draw: Callable[[], bytes],
) -> None:
    with pytest.raises(FormNotDrawn):
        draw()


def test_words_of_the_markup_stay_words() -> None:
    for words in ('#import "x"', "= 标题", "$a$ *b* _c_", "\\u{1}", '")#pagebreak()'):
        assert words.replace(" ", "") in texts(drawn(filled.requisition(1, words)))[0]


def test_equal_arguments_give_equal_bytes() -> None:
    assert SHEETS["requisition"]() == SHEETS["requisition"]()
    assert SHEETS["ledger"]() == SHEETS["ledger"]()
    assert _requisition_book() == _requisition_book()


def test_a_requisition_asks_for_the_archived_passes_and_the_extra() -> None:
    (text,) = texts(drawn(filled.requisition(3)))
    for told in (
        filled.CENTRE, "513200-2026-007", "已核准", "2026年6月1日至2026年6月30日", "1,268张",
        "computedtotal177张", "套打试机与损耗", "askedinall197张", "310张",
        "川26A0000001-0000300、川26A0000512、川26A0001001-0001009",
        "扎西旺堆", "王伟", "省职业技能鉴定中心审批意见", "同意。", "（盖章）",
    ):  # fmt: skip
        assert told in text, told


def test_a_stocktake_to_be_filled_in_tells_nothing_of_the_books() -> None:
    assert {"centre", "number", "occasion", "counted_on", "line_count"} == set(
        sheets.Count.__struct_fields__
    )
    (blind,) = texts(drawn(filled.count()))
    assert "26A" not in blind
    (result,) = texts(drawn(filled.counted()))
    for told in ("合计total1,5001,497−3", "499−1", "同意调整", "清点时发现缺号"):
        assert told in result, told


def test_a_signature_sheet_has_a_line_and_a_box_for_each_certificate() -> None:
    found = "".join(texts(drawn(filled.handover(30))))
    assert found.count("□") == found.count("民宿接待服务") == 30
    assert "川26A0000030" in found


def test_a_destruction_names_two_witnesses_and_the_sum() -> None:
    (text,) = texts(drawn(filled.destruction(3)))
    for told in ("15张", "监销人（一）", "王伟", "监销人（二）", "李梅", "阿人社鉴〔2026〕8号"):
        assert told in text


# The ledger.


def test_a_ledger_adds_up_and_says_so() -> None:
    (text,) = texts(ledger(10, closing=600))
    assert "期初500+收500−发392−废8=600，与期末结存600相符。" in text
    assert "不符" not in text
    for title in COLUMNS:
        assert title in text


@pytest.mark.parametrize(("closing", "told"), [(590, "期末少10张"), (613, "期末多13张")])
def test_a_ledger_that_does_not_add_up_says_by_how_much_in_red(closing: int, told: str) -> None:
    pdf = ledger(10, closing=closing)
    assert f"与期末结存{closing}不符，{told}。" in texts(pdf)[0]
    page = next(pages(pdf))
    text = page.get_textpage()
    at = text.get_text_range().index("不符")
    left, bottom, right, top = text.get_charbox(at)
    picture = page.render(scale=4).to_pil().convert("RGB")
    height = page.get_height()
    red, green, _ = zip(
        *picture.crop(
            (int(left * 4), int((height - top) * 4), int(right * 4), int((height - bottom) * 4))
        ).get_flattened_data(),
        strict=True,
    )
    assert min(green) < 60
    assert min(red) > 140


def test_each_page_carries_forward_what_the_next_brings() -> None:
    laid_out = leaves.lay_out(filled.ledger(), filled.movements(70), ADVANCES)
    found = [[column.split("\n") for column in page["columns"]] for page in laid_out["pages"]]
    assert len(found) == 4
    assert "承前页" not in found[0][1]
    for before, after in itertools.pairwise(found):
        assert before[1][-2] == "过次页"
        assert after[1][0] == "承前页"
        assert [column[-2:-1] for column in before[4:8]] == [column[:1] for column in after[4:8]]
    assert [column[-2] for column in found[-1][4:8]] == ["3,500", "2,744", "56", "1,200"]
    assert "本期合计及期末结存" in texts(ledger(70))[-1]


def test_a_row_that_is_higher_than_a_page_goes_on_on_the_next() -> None:
    long = (msgspec.structs.replace(one, remark=LONG * 9) for one in filled.movements(1))
    laid_out = leaves.lay_out(filled.ledger(), long, ADVANCES)
    remark = "".join(page["columns"][11].replace("\n", "") for page in laid_out["pages"])
    assert remark == LONG * 9
    first, *others = [page["columns"][4].split() for page in laid_out["pages"]]
    assert (first, len(others) > 0) == (["0", "250", "250"], True)
    assert {*map(tuple, others)} == {("250", "250")}


def test_a_ledger_too_long_for_paper_is_refused_and_names_the_workbook() -> None:
    with pytest.raises(LedgerTooLong, match="xlsx"):
        ledger(leaves.MOVEMENT_COUNT_MAX + 1)


@given(st.text(min_size=0, max_size=200), st.sampled_from([13, 18, 47]))
def test_lines_fit_their_column_and_keep_every_character(text: str, width_mm: float) -> None:
    lines = leaves._wrap(text, width_mm, advance=ADVANCES)
    room = (width_mm - 2) * MM / 7.5
    assert lines
    for line in lines:
        assert sum(ADVANCES.get(one, 1) for one in line) <= room + 1e-9
    assert "".join("".join(lines).split()) == "".join(text.split())


# The workbooks.


def _requisition_book() -> bytes:
    return workbooks.requisition(filled.requisition(3), printed_at=PRINTED_AT)


def _ledger_book(count: int, closing: int = 600, **fields: Any) -> bytes:
    found = (msgspec.structs.replace(one, **fields) for one in filled.movements(count))
    return workbooks.ledger(filled.ledger(closing), found, printed_at=PRINTED_AT)


def rows(book: bytes) -> list[list[Any]]:
    """The values that a reader without formulas sees."""
    opened = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(book))
    return opened.get_sheet_by_index(0).to_python(skip_empty_area=False)


def part(book: bytes, name: str = "xl/worksheets/sheet1.xml") -> str:
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        return archive.read(name).decode()


def formulas(book: bytes) -> dict[str, tuple[str, str]]:
    """Each cell with a formula: the formula and the value beside it."""
    found = re.findall(r'<c r="(\w+)"[^>]*><f>([^<]*)</f><v>([^<]*)</v>', part(book))
    return {cell: (formula, value) for cell, formula, value in found}


def test_a_ledger_book_sums_by_formulas_with_their_values() -> None:
    book = _ledger_book(10)
    assert formulas(book) == {
        "E16": ("SUM(E5:E15)", "500"),
        "F16": ("SUM(F5:F15)", "392"),
        "G16": ("SUM(G5:G15)", "8"),
        "H16": ("H5+E16-F16-G16", "600"),
        "H18": ("H17-H16", "0"),
    }
    seen = rows(book)
    assert seen[3] == COLUMNS
    assert seen[4][7] == 500
    assert seen[5][0] == datetime.date(2026, 1, 5)
    assert [row[7] for row in seen[5:15]] == [750, 700, 650, 600, 550, 800, 750, 700, 650, 600]
    assert seen[15][4:8] == [500, 392, 8, 600]
    assert "= 600，与期末结存 600 相符" in seen[18][0]


def test_a_ledger_book_that_does_not_add_up_says_by_how_much() -> None:
    seen = rows(_ledger_book(10, closing=590))
    assert seen[17][7] == -10
    assert seen[18][0].endswith("不符，期末少 10 张")


def test_an_empty_ledger_still_adds_up() -> None:
    assert formulas(_ledger_book(0, closing=500))["E6"] == ("SUM(E5:E5)", "0")
    assert "与期末结存500相符" in texts(ledger(0))[0]


def test_a_book_is_made_to_be_printed_and_read() -> None:
    book = _ledger_book(3)
    sheet = part(book)
    assert '<pane ySplit="4"' in sheet
    assert 'paperSize="9"' in sheet
    assert "第 &amp;P 页 / 共 &amp;N 页" in sheet
    assert "2026-07-01 00:30" in sheet
    assert "_xlnm.Print_Titles" in part(book, "xl/workbook.xml")
    assert "$4:$4" in part(book, "xl/workbook.xml")


@pytest.mark.parametrize(
    "words",
    ["=1+1", "+86 28", "-1", "@SUM(A1)", '=HYPERLINK("http://x","y")', "{=1}", "http://x.test",
     "mailto:x@y", "<r><t>x</t></r>", "<r></r>", "_x0041_", "a\x01b", "a&b<c>\"d'", RARE, " x "],
)  # fmt: skip
def test_a_text_stays_a_text_whatever_it_begins_with(words: str) -> None:
    book = _ledger_book(1, remark=words, summary=words)
    assert set(formulas(book)) == {"E7", "F7", "G7", "H7", "H9"}
    assert "<hyperlink" not in part(book)
    shown = rows(book)[5]
    assert shown[1].strip() == shown[11].strip() == words.strip()
    book = workbooks.requisition(filled.requisition(2, words), printed_at=PRINTED_AT)
    assert rows(book)[5][1].strip() == words.strip()


def test_a_requisition_book_computes_what_is_asked() -> None:
    book = _requisition_book()
    assert formulas(book) == {"D9": ("SUM(D6:D8)", "177"), "D11": ("D9+D10", "197")}
    seen = rows(book)
    assert [row[3] for row in seen[5:12]] == [30, 59, 88, 177, 20, 197, 310]
    assert "川26A0000001-0000300、川26A0000512" in seen[12][0]


def test_nothing_is_lost_from_a_book_without_a_word() -> None:
    """A cell holds 32 767 units, of which a rare character takes two."""
    supplied = tuple(f"川26A{first:07}-{first + 3:07}" for first in range(0, 40_000, 4))
    sheet = msgspec.structs.replace(
        filled.requisition(2), supplied=supplied, decision="𠮷" * 40_000
    )
    seen = rows(workbooks.requisition(sheet, printed_at=PRINTED_AT))
    lines = [row[0].removeprefix("供应号段：") for row in seen if "供应号段" in str(row[0])]
    assert tuple("、".join(lines).split("、")) == supplied
    assert max(map(len, lines)) < 80
    assert seen[-1][0].endswith("𠮷……（过长，余略）")
    book = _ledger_book(1, remark="=1" * 40_000)
    assert rows(book)[5][11].endswith("……（过长，余略）")
    assert len(formulas(book)) == 5


def test_a_summary_book_sums_every_column() -> None:
    book = workbooks.summary(filled.summary(3), printed_at=PRINTED_AT)
    assert len(formulas(book)) == 12
    assert formulas(book)["D7"] == ("SUM(D4:D6)", "370368")
    total = rows(book)[6]
    assert total[2:5] == [3603, 370368, 300000]
    assert rows(book)[2][2:6] == ["期初", "收入", "发出", "作废"]
    assert rows(book)[2][-1] == "未结差异"
    (text,) = texts(drawn(filled.summary(3)))
    assert "370,368300,000" in text
