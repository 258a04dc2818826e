"""Documents, names and credit codes: what enters the registry, and what is refused and why."""

import contextlib
import datetime
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.registry import people
from service.registry.people import IdKind, Unfit

BORN_ON = st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31))
SEQUENCE = st.integers(0, 999).map("{:03d}".format)
DRAWABLE = frozenset(
    [
        0xB7,
        0x3007,
        *range(0x20, 0x7F),
        *range(0xC0, 0x250),
        *range(0x3400, 0xA000),
        *range(0x20000, 0x2EBE1),
    ]
)


def closed(body: str) -> str:
    """Append the check character by the recursion of ISO 7064 MOD 11-2, not by weights."""
    product = 0
    for digit in body:
        product = (product + int(digit)) * 2 % 11
    return body + "0123456789X"[(12 - product) % 11]


def closed_by_icao(body: str) -> str:
    """Append the check digit of ICAO 9303, which the 2017 permanent resident card uses."""
    alphabet = string.digits + string.ascii_uppercase
    return body + str(sum(alphabet.index(c) * (7, 3, 1)[i % 3] for i, c in enumerate(body)) % 10)


@st.composite
def resident(draw: st.DrawFn) -> tuple[IdKind, str, datetime.date]:
    born_on = draw(BORN_ON)
    area = draw(st.integers(100_000, 809_999))
    return IdKind.RESIDENT, closed(f"{area}{born_on:%Y%m%d}{draw(SEQUENCE)}"), born_on


@st.composite
def residence_permit(draw: st.DrawFn) -> tuple[IdKind, str, datetime.date]:
    born_on = draw(BORN_ON)
    area = draw(st.sampled_from(["810000", "820000", "830000"]))
    return IdKind.RESIDENCE_PERMIT, closed(f"{area}{born_on:%Y%m%d}{draw(SEQUENCE)}"), born_on


@st.composite
def foreigner_2023(draw: st.DrawFn) -> tuple[IdKind, str, datetime.date]:
    born_on = draw(BORN_ON)
    place = draw(st.integers(900_000, 999_999))
    return IdKind.FOREIGNER, closed(f"{place}{born_on:%Y%m%d}{draw(SEQUENCE)}"), born_on


@st.composite
def foreigner_2017(draw: st.DrawFn) -> tuple[IdKind, str, datetime.date]:
    born_on = draw(BORN_ON)
    country = draw(st.text(string.ascii_uppercase, min_size=3, max_size=3))
    area, place = draw(st.integers(1000, 9999)), draw(st.integers(0, 9))
    return IdKind.FOREIGNER, closed_by_icao(f"{country}{area}{born_on:%y%m%d}{place}"), born_on


CHECKED_ID = resident() | residence_permit() | foreigner_2023() | foreigner_2017()


@given(CHECKED_ID)
def test_a_valid_number_is_read_and_fits_its_birth_date(
    given_id: tuple[IdKind, str, datetime.date],
) -> None:
    kind, number, born_on = given_id
    read = people.check_id(kind, number)
    assert read.number == number
    assert read.fits(born_on)
    assert not read.fits(born_on + datetime.timedelta(1))
    assert (read.sex is None) == (kind is IdKind.FOREIGNER)


@given(CHECKED_ID, st.data())
def test_one_wrong_digit_is_refused(
    given_id: tuple[IdKind, str, datetime.date], data: st.DataObject
) -> None:
    kind, number, _ = given_id
    place = data.draw(st.sampled_from([i for i, c in enumerate(number) if c.isdigit()]))
    wrong = data.draw(st.sampled_from([d for d in string.digits if d != number[place]]))
    with pytest.raises(Unfit):
        people.check_id(kind, number[:place] + wrong + number[place + 1 :])


@pytest.mark.parametrize(
    "typed",
    [
        "11010519491231002X",
        "11010519491231002x",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105 19491231 002X",
        "\u00a0110105\u3000194912\u200b31002X ",
    ],
)
def test_the_example_of_the_standard_is_read_however_it_is_typed(typed: str) -> None:
    read = people.check_id(IdKind.RESIDENT, typed)
    assert read.number == "11010519491231002X"
    assert (read.born_on, read.sex) == (datetime.date(1949, 12, 31), "女")


@pytest.mark.parametrize(
    ("kind", "typed", "number"),
    [
        (IdKind.HOME_RETURN, "h12345678", "H12345678"),
        (IdKind.TAIWAN, "01234567", "01234567"),
        (IdKind.PASSPORT, "e1234 5678", "E12345678"),
    ],
)
def test_documents_without_check_digit_are_read_by_their_form(
    kind: IdKind, typed: str, number: str
) -> None:
    assert people.check_id(kind, typed) == people.IdNumber(kind, number)


@pytest.mark.parametrize(
    ("kind", "typed", "code"),
    [
        (IdKind.RESIDENT, "", "IdFormWrong"),
        (IdKind.RESIDENT, "110105491231002", "IdFormWrong"),
        (IdKind.RESIDENT, "11010519491231002x1", "IdFormWrong"),
        (IdKind.RESIDENT, "٣١٠١٠٥١٩٤٩١٢٣١٠٠٢١", "IdFormWrong"),
        (IdKind.RESIDENT, closed("81000019900101001"), "IdFormWrong"),
        (IdKind.RESIDENCE_PERMIT, "11010519491231002X", "IdFormWrong"),
        (IdKind.RESIDENT, closed("51010119900230001"), "IdBirthDateImpossible"),
        (IdKind.RESIDENT, closed("51010118991231001"), "IdBirthDateImpossible"),
        (IdKind.FOREIGNER, closed_by_icao("USA51019913011"), "IdBirthDateImpossible"),
        (IdKind.RESIDENT, "110105194912310021", "IdCheckWrong"),
        (IdKind.HOME_RETURN, "C12345678", "IdFormWrong"),
        (IdKind.TAIWAN, "1234567", "IdFormWrong"),
        (IdKind.PASSPORT, "E123-4567", "IdFormWrong"),
        (IdKind.PASSPORT, "110105194912310021", "IdFormWrong"),
        (IdKind.PASSPORT, "11010519491231002x", "IdFormWrong"),
    ],
)
def test_a_wrong_number_is_refused_with_its_reason(kind: IdKind, typed: str, code: str) -> None:
    with pytest.raises(Unfit) as refused:
        people.check_id(kind, typed)
    assert refused.value.code == code
    assert re.search("[\u4e00-\u9fff]", refused.value.zh)
    assert refused.value.en.isascii() or "·" in refused.value.en


def test_every_kind_has_its_own_code_and_resident_is_111() -> None:
    assert IdKind.RESIDENT.code == "111"
    assert len({kind.code for kind in IdKind}) == len(IdKind)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("张三", "张三"),
        ("  张 三\u3000", "张三"),
        ("阿卜杜拉•买买提", "阿卜杜拉·买买提"),
        ("阿卜杜拉 ・ 买买提", "阿卜杜拉·买买提"),
        ("John   Smith", "John Smith"),
        ("ＪＯＨＮ\u00a0ＳＭＩＴＨ", "JOHN SMITH"),
        ("Jean-Luc O’Neil", "Jean-Luc O'Neil"),
        ("Jose\u0301 Muñoz", "José Muñoz"),
        ("李〇", "李〇"),
        ("𠂇𬭎䶮㐂", "𠂇𬭎䶮㐂"),
        ("扎" * 50, "扎" * 50),
    ],
)
def test_a_name_is_brought_to_one_form(typed: str, name: str) -> None:
    assert people.normalise_name(typed, DRAWABLE) == name


@pytest.mark.parametrize(
    ("typed", "code", "point"),
    [
        ("", "NameLengthWrong", ""),
        ("张", "NameLengthWrong", ""),
        ("扎" * 51, "NameLengthWrong", ""),
        ("张\ue000", "NamePrivateUse", "U+E000"),
        ("张\U000f0001", "NamePrivateUse", "U+F0001"),
        ("张\u200b三", "NameInvisible", "U+200B"),
        ("张\u202e三", "NameInvisible", "U+202E"),
        ("张\x07三", "NameInvisible", "U+0007"),
        ("张\n三", "NameInvisible", "U+000A"),
        ("张\u3164", "NameInvisible", "U+3164"),
        ("张3", "NameNotLetter", "U+0033"),
        ("张三（男）", "NameNotLetter", "U+0028"),
        ("张□", "NameNotLetter", "U+25A1"),
        ("张\u2fd5", "NameNotLetter", "U+2FD5"),
        ("张\u0378", "NameNotLetter", "U+0378"),
        ("张\U00030edd", "NameUndrawable", "U+30EDD"),
        ("张\U000323b0", "NameUndrawable", "U+323B0"),
        ("Иван Иванов", "NameUndrawable", "U+0418"),
        ("·张三", "NameSeparatorMisplaced", ""),
        ("张··三", "NameSeparatorMisplaced", ""),
        ("张-三", "NameSeparatorMisplaced", ""),
    ],
)
def test_a_wrong_name_is_refused_and_the_character_named(typed: str, code: str, point: str) -> None:
    with pytest.raises(Unfit) as refused:
        people.normalise_name(typed, DRAWABLE)
    assert refused.value.code == code
    assert point in refused.value.zh
    assert point in refused.value.en


def test_an_ideograph_newer_than_the_interpreter_is_accepted_once_a_font_draws_it() -> None:
    newest = "张\U000323b0"
    assert people.normalise_name(newest, DRAWABLE | {0x323B0}) == newest


@given(st.text(st.sampled_from("张三扎西·•・ Ab-'\u3000〇"), max_size=12))
def test_a_name_that_was_accepted_does_not_change_again(typed: str) -> None:
    try:
        name = people.normalise_name(typed, DRAWABLE)
    except Unfit:
        return
    assert people.normalise_name(name, DRAWABLE) == name


@given(st.text())
def test_any_text_is_a_name_or_unfit(typed: str) -> None:
    with contextlib.suppress(Unfit):
        assert 2 <= len(people.normalise_name(typed, DRAWABLE)) <= 50


@pytest.mark.parametrize(
    "code", ["11100000000013338W", "11430000006122244L", "11330105002500287C", "11100000MB03271699"]
)
def test_published_credit_codes_hold_and_one_wrong_character_does_not(code: str) -> None:
    assert people.check_uscc(f" {code.lower()} ") == code
    for place in range(18):
        wrong = "1" if code[place] != "1" else "2"
        with pytest.raises(Unfit) as refused:
            people.check_uscc(code[:place] + wrong + code[place + 1 :])
        assert refused.value.code == "UsccCheckWrong"


@pytest.mark.parametrize(
    "code", ["", "1110000000001333", "I1100000000013338W", "1110000000001333８W9"]
)
def test_what_is_no_credit_code_is_refused_by_its_form(code: str) -> None:
    with pytest.raises(Unfit) as refused:
        people.check_uscc(code)
    assert refused.value.code == "UsccFormWrong"


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("11010519491231002X", "110*************2X"),
        ("H12345678", "H********"),
        ("", ""),
        ("7", "7"),
    ],
)
def test_a_masked_number_shows_no_birth_date(number: str, masked: str) -> None:
    assert people.mask_id(number) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("证11010519491231002X号", "证110*************2X号"),
        ("１３８ 0000-0000\u200b", "138*******00\u200b"),
        ("USA510190030775", "USA510*******75"),
        ("2026-05-23 8", "2026-05-23 8"),
        ("2026050001", "2026050001"),
    ],
)
def test_long_numbers_in_a_text_are_masked_and_short_ones_are_not(text: str, masked: str) -> None:
    assert people.mask_numbers(text) == masked


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("张三", "张＊"),
        ("欧阳娜娜", "欧＊＊＊"),
        ("阿卜杜拉·买买提", "阿＊＊＊·＊＊＊"),
        ("John Smith", "J＊＊＊ ＊＊＊＊＊"),
    ],
)
def test_a_masked_name_keeps_its_first_character(name: str, masked: str) -> None:
    assert people.mask_name(name) == masked
