"""The rules for rows, written a second time: plain, slow, and from the field's own words.

Nothing of the service decides here: check characters, dates, names and scores are worked out anew.
Hypothesis fills in whole sheets, as they are typed and as they are spoilt, writes them as files,
and both must find the same errors in the same cells and the same people in the good rows.
"""

import csv
import datetime
import io
import string
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from service.issuing.batches import rows
from service.issuing.sheets import reading
from service.issuing.sheets.layouts import COLUMNS

TODAY = datetime.date(2026, 6, 1)
DRAWABLE = frozenset([*range(0x20, 0xA000), 0x20087])
PROJECT = "专项职业能力名称"
PROJECTS = ("大数据采集", "民宿接待服务")
RESIDENT, PERMIT, FOREIGNER = "居民身份证", "港澳台居民居住证", "外国人永久居留身份证"
HOME_RETURN, TAIWAN, PASSPORT = "港澳居民来往内地通行证", "台湾居民来往大陆通行证", "护照"

Typed = str | int | float | bool | datetime.date | None
Line = dict[str, Typed]
Found = tuple[int, str, str]


# The model: one cell.


class CellError(ValueError):
    """A cell is wrong; the argument is the code."""


def check_11_2(body: str) -> str:
    """The check character by the recursion of ISO 7064 MOD 11-2."""
    product = 0
    for digit in body:
        product = (product + int(digit)) * 2 % 11
    return "0123456789X"[(12 - product) % 11]


def check_7_3_1(body: str) -> str:
    """The check digit of ICAO 9303."""
    alphabet = string.digits + string.ascii_uppercase
    return str(sum(alphabet.index(c) * (7, 3, 1)[i % 3] for i, c in enumerate(body)) % 10)


def half_width(text: str) -> str:
    return "".join(chr(ord(c) - 0xFEE0) if "！" <= c <= "～" else c for c in text)


def visible(text: str) -> str:
    return "".join(c for c in text if unicodedata.category(c) != "Cf")


def squeezed(text: str) -> str:
    return "".join(visible(half_width(text)).split()).upper()


def said(cell: Typed) -> str:
    if cell is None:
        raise CellError("CellEmpty")
    if isinstance(cell, bool):
        raise CellError("CellLogical")
    if isinstance(cell, int | float) and abs(cell) >= 10**15:
        raise CellError("NumberRounded")
    return str(cell)


def number(cell: Typed) -> str:
    text = squeezed(said(cell)).removeprefix("'")
    before, point, behind = text.partition(".")
    if point and before.isascii() and before.isdigit() and behind and not behind.strip("0"):
        return before
    mantissa, e, exponent = text.partition("E")
    if e and mantissa.replace(".", "").isdigit() and exponent.lstrip("+").isdigit():
        raise CellError("NumberRounded")
    return text


def admission(cell: Typed) -> str:
    text = number(cell)
    if not 1 <= len(text) <= 32 or not all(c.isalnum() or c in "_-/" for c in text):
        raise CellError("AdmissionUnreadable")
    if text.startswith("示例"):
        raise CellError("AdmissionUnreadable")
    return text


def latin(text: str) -> bool:
    return bool(text) and ((text.isascii() and text.isalpha()) or "À" <= text <= "ɏ")


def name(cell: Typed) -> str:
    text = half_width(said(cell)).replace("’", "'")
    for dot in "•・‧･∙⋅":
        text = text.replace(dot, "·")
    text = unicodedata.normalize("NFC", text)
    words = text.split()
    text = "".join(words[:1])
    for word in words[1:]:
        text += " " + word if latin(text[-1]) and latin(word[0]) else word
    for character in text:
        judge_character(character)
    if not 2 <= len(text) <= 50:
        raise CellError("NameLengthWrong")
    if any(map(out_of_place, " " + text, text, text[1:] + " ")):
        raise CellError("NameSeparatorMisplaced")
    if text == "示例姓名":
        raise CellError("ExampleName")
    return text


def out_of_place(before: str, mark: str, after: str) -> bool:
    if mark == "·":
        return before in " ·" or after in " ·"
    return mark in "-'" and not (latin(before) and latin(after))


def judge_character(character: str) -> None:
    category = unicodedata.category(character)
    if category == "Co":
        raise CellError("NamePrivateUse")
    if category in ("Cc", "Cf") or character in "\u115f\u1160\u3164\uffa0":
        raise CellError("NameInvisible")
    if not (category.startswith("L") or character in "〇· -'" or "𠀀" <= character < "\U0003fffe"):
        raise CellError("NameNotLetter")
    if ord(character) not in DRAWABLE and character != " ":
        raise CellError("NameUndrawable")


def one_of(**choices: Any) -> Callable[[Typed], Any]:
    def read(cell: Typed) -> Any:
        text = squeezed(said(cell))
        if text not in choices:
            raise CellError("ChoiceUnknown")
        return choices[text]

    return read


def day(cell: Typed) -> datetime.date:
    if isinstance(cell, datetime.date):
        a_typed_year = YEAR_1900 <= cell <= YEAR_2100
        found = None if a_typed_year or cell.year == 1900 else cell
    else:
        typed = visible(half_width(said(cell))).strip()
        is_count = not isinstance(cell, str) or len(typed.partition(".")[0]) == 5
        found = (serial_day(typed) if is_count else None) or written_day(typed)
    if found is None or found.year < 1900:
        raise CellError("DateUnreadable")
    if found > TODAY:
        raise CellError("DateInFuture")
    return found


YEAR_1900, YEAR_2100 = datetime.date(1905, 3, 14), datetime.date(1905, 9, 30)  # as days of 1900


def serial_day(text: str) -> datetime.date | None:
    if not text.replace(".", "", 1).isdigit() or not text.isascii() or 1900 <= float(text) <= 2100:
        return None
    if not 366 < float(text) <= 2_958_465:
        return None
    return datetime.date(1899, 12, 30) + datetime.timedelta(int(float(text)))


def written_day(text: str) -> datetime.date | None:
    words = text.split()
    if words and ":" in words[-1]:
        words.pop()  # the time of day
    text = "".join(words).removesuffix(".0").removesuffix("日").removesuffix("号")
    for mark in "年月/.":
        text = text.replace(mark, "-")
    parts = text.split("-")
    if len(text) == 8 and len(parts) == 1:
        parts = [text[:4], text[4:6], text[6:]]
    if len(parts) != 3 or len(parts[0]) != 4 or not all(p and p.isascii() for p in parts):
        return None
    try:
        return datetime.date(*map(int, parts))
    except ValueError:
        return None


def phone(cell: Typed) -> str | None:
    if cell is None:
        return None
    digits = number(cell).replace("-", "")
    for prefix in ("+86", "0086", "86"):
        if digits.startswith(prefix):
            digits = digits.removeprefix(prefix)
            break
    if len(digits) != 11 or not digits.isdigit() or not digits.isascii() or digits[0] != "1":
        raise CellError("PhoneUnreadable")
    return digits


def words(cell: Typed, length_max: int) -> str:
    text = visible("".join(half_width(c) if half_width(c).isalnum() else c for c in said(cell)))
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if len(text) > length_max:
        raise CellError("TextTooLong")
    if any(unicodedata.category(c) in ("Cc", "Co", "Cn") for c in text):
        raise CellError("TextUnprintable")
    return text


def project(cell: Typed) -> str:
    parts = words(cell, 60).split(" ")
    text = parts[0]
    for part in parts[1:]:
        text += part if ord(text[-1]) > 127 and ord(part[0]) > 127 else " " + part
    if not text:
        raise CellError("CellEmpty")
    return text


def remark(cell: Typed) -> str:
    return "" if cell is None else words(cell, 200)


def score(cell: Typed) -> Decimal:
    text = squeezed(str(cell) if isinstance(cell, float) else said(cell)).removesuffix("分")
    try:
        points = Decimal(text)
    except InvalidOperation:
        raise CellError("ScoreUnreadable") from None
    if not text[0].isdigit() or not text[-1].isdigit() or "E" in text or not 0 <= points <= 100:
        raise CellError("ScoreUnreadable")
    if abs(points - round(points, 1)) > Decimal("1e-7"):
        raise CellError("ScoreTooFine")
    return round(points, 1)


def score_or_none(cell: Typed) -> Decimal | None:
    return None if cell is None else score(cell)


READ: Mapping[str, Callable[[Typed], Any]] = {
    "准考证号": admission,
    "姓名": name,
    "性别": one_of(男="男", 女="女", 男性="男", 女性="女", M="男", F="女"),
    "证件类型": one_of(
        **{kind: kind for kind in (RESIDENT, PERMIT, FOREIGNER, HOME_RETURN, TAIWAN, PASSPORT)},
        身份证=RESIDENT, 二代身份证=RESIDENT, 港澳居民居住证=PERMIT, 台湾居民居住证=PERMIT,
        外国人永久居留证=FOREIGNER, 回乡证=HOME_RETURN, 台胞证=TAIWAN, 普通护照=PASSPORT,
        外国护照=PASSPORT,
    ),
    "证件号码": number,
    "出生日期": day,
    "手机号码": phone,
    "专项职业能力名称": project,
    "考核日期": day,
    "理论成绩": score_or_none,
    "实操成绩": score_or_none,
    "总成绩": score,
    "考核结果": one_of(合格=True, 不合格=False),
    "备注": remark,
}  # fmt: skip


# The model: one row, and the rows above it.


def document(kind: str, typed: str) -> tuple[str | None, datetime.date | None, str | None]:
    """What a document number says: its six digits of birth, its birth date, its sex."""
    long = len(typed) == 18 and typed[:17].isdigit() and typed[17] in "0123456789X"
    from_outside = typed[:6] in ("810000", "820000", "830000")
    fits = {
        RESIDENT: long and typed[0] in "12345678" and not from_outside,
        PERMIT: long and from_outside,
        FOREIGNER: (long and typed[0] == "9")
        or (len(typed) == 15 and typed[:3].isalpha() and typed[3:].isdigit()),
        HOME_RETURN: len(typed) == 9 and typed[0] in "HM" and typed[1:].isdigit(),
        TAIWAN: len(typed) == 8 and typed.isdigit(),
        PASSPORT: 5 <= len(typed) <= 20 and typed.isalnum() and not long,
    }  # fmt: skip
    if not typed.isascii() or not fits[kind]:
        raise CellError("IdFormWrong")
    if kind in (HOME_RETURN, TAIWAN, PASSPORT):
        return None, None, None
    born = typed[6:14] if long else "20" + typed[7:13]
    inside = written_day(born)
    if inside is None or inside.year < 1900:
        raise CellError("IdBirthDateImpossible")
    if typed[-1] != (check_11_2 if long else check_7_3_1)(typed[:-1]):
        raise CellError("NumberRounded" if typed.endswith("000") else "IdCheckWrong")
    if kind == FOREIGNER:
        return born[2:], inside if long else None, None
    return born[2:], inside, "男" if int(typed[16]) % 2 else "女"


def fourteen(born_on: datetime.date, on: datetime.date) -> bool:
    return (on.year - 14, on.month, on.day) >= (born_on.year, born_on.month, born_on.day)


def model(lines: Sequence[tuple[int, Line]]) -> tuple[set[Found], dict[int, dict[str, Any]]]:
    """Judge lines by their row numbers: what is wrong where, and what the good ones say."""
    filled = [(row, line) for row, line in lines if any(cell is not None for cell in line.values())]
    found: set[Found] = {(row, "", "RowStray") for row, line in filled if nobodys(line)}
    read: dict[int, dict[str, Any]] = {}
    for row, line in filled:
        if not nobodys(line):
            read[row], wrong_cells = each_alone(line)
            found |= {(row, column, code) for column, code in wrong_cells}
    for row, values in read.items():
        others = [other for place, other in read.items() if place != row]
        said = contradictions(values, dict(lines)[row], others)
        found |= {(row, column, code) for column, code in said}
    wrong = {row for row, _, _ in found}
    good = {
        row: {column: values[column] for column in COLUMNS}
        for row, values in read.items()
        if row not in wrong
    }
    return found if filled else {(0, "", "RowsMissing")}, good


def nobodys(line: Line) -> bool:
    """A note, a sum, signatures, or the header again."""
    typed = sum(cell is not None for cell in line.values())
    return line["证件号码"] == "证件号码" or (line["证件号码"] is None and typed <= 5)


def each_alone(line: Line) -> tuple[dict[str, Any], set[tuple[str, str]]]:
    """What the cells of a row say, and which are wrong."""
    values: dict[str, Any] = {}
    found: set[tuple[str, str]] = set()
    for column in COLUMNS:
        try:
            values[column] = READ[column](line[column])
        except CellError as wrong:
            found.add((column, str(wrong)))
    try:
        if "证件类型" in values and "证件号码" in values:
            values["document"] = document(values["证件类型"], values["证件号码"])
    except CellError as wrong:
        found.add(("证件号码", str(wrong)))
    return values, found


def contradictions(
    values: dict[str, Any], line: Line, others: Sequence[dict[str, Any]]
) -> set[tuple[str, str]]:
    """What a row says against itself and against the other rows."""
    found = set()
    born_on, exam_on = values.get("出生日期"), values.get("考核日期")
    if born_on and exam_on and not fourteen(born_on, exam_on):
        found.add(("出生日期", "BirthDateImplausible"))
    if any(same(values, other, "准考证号") for other in others):
        found.add(("准考证号", "AdmissionRepeated"))
    if "document" not in values:
        return found
    return found | {*against_the_document(values, line)} | {*against_the_same(values, others)}


def against_the_document(values: dict[str, Any], line: Line) -> Iterator[tuple[str, str]]:
    six_digits, inside, sex = values["document"]
    born_on = values.get("出生日期")
    if sex and values.get("性别") not in (None, sex):
        yield "性别", "SexContradictsId"
    if born_on and (six_digits not in (None, f"{born_on:%y%m%d}") or inside not in (None, born_on)):
        yield "出生日期", "BirthDateContradictsId"
    for column in ("准考证号", "备注"):
        if values["证件号码"] in squeezed(str(line[column])).replace("-", ""):
            yield column, "IdRepeatedInClear"


def against_the_same(
    values: dict[str, Any], others: Sequence[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    """What a row says against those that are of the same person; each is wrong then."""
    person = [o for o in others if "document" in o and same(values, o, "证件类型", "证件号码")]
    if any(same(values, other, PROJECT) for other in person):
        yield "证件号码", "CandidateRepeated"
    if "姓名" in values and any(values["姓名"] != o.get("姓名", values["姓名"]) for o in person):
        yield "姓名", "NameContradictsRow"


def same(values: dict[str, Any], other: dict[str, Any], *columns: str) -> bool:
    return all(c in values and c in other and values[c] == other[c] for c in columns)


# What is typed: good, with the habits of spreadsheets, and spoilt.


@st.composite
def person(draw: st.DrawFn) -> Line:
    """A person with a good document."""
    kind = draw(st.sampled_from([RESIDENT] * 4 + [PERMIT, FOREIGNER, PASSPORT, TAIWAN]))
    born_on = draw(st.dates(datetime.date(1940, 1, 1), datetime.date(2011, 12, 31)))
    sex, digits = draw(st.sampled_from("男女")), f"{draw(st.integers(0, 10**9 - 1)):09}"
    sequence = f"{draw(st.integers(0, 99)):02}{1 if sex == '男' else 2}"
    body = f"{born_on:%Y%m%d}{sequence}"
    typed = {
        RESIDENT: "510104" + body,
        PERMIT: "810000" + body,
        FOREIGNER: draw(st.sampled_from(["911156" + body, f"USA5101{born_on:%y%m%d}1"])),
        PASSPORT: "E" + digits[:8],
        TAIWAN: digits[:8],
    }[kind]
    if kind in (RESIDENT, PERMIT, FOREIGNER):
        typed += (check_11_2 if len(typed) == 17 else check_7_3_1)(typed)
    return {
        "姓名": draw(NAMES), "性别": sex, "证件类型": kind, "证件号码": typed, "出生日期": born_on
    }  # fmt: skip


NAMES = st.sampled_from(
    ["张三", "欧阳娜娜", "王𠂇", "卓玛央金", "扎西旺堆·索朗多吉", "俄木日火·吉勒布且·阿苏拉则",
     "阿尔木呷", "Anna Maria Rossi", "Seán O’Neil-Li", "孙〇"]
)  # fmt: skip
NAME_PIECES = st.sampled_from(
    ["张", "三", "卓玛", "Anna", "é", "e\u0301", "Ａ", "·", "•", "・", "··", "-", "'", "’", " ",
     "\u3000", "\u00a0", "\u200b", "\ue000", "\U000f0000", "\U0002a6d6", "𠂇", "ꀀ", "ༀ", "བ", "ི",
     "〇", "1", "！", ",", "\u3164", "長" * 49, "示例", "姓名", "豈", "İ"]
)  # fmt: skip


def full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


SPACED: Sequence[Callable[[str], Typed]] = (
    str, str, str.lower, full_width, lambda text: f" {text}\u3000",
    lambda text: f"{text[:6]} {text[6:]}", lambda text: f"{text[:3]}\u200b{text[3:]}",
    lambda text: f"'{text}", lambda text: f"{text}.0" if text.isdigit() else text,
    lambda text: int(text) if text.isdigit() and text[0] != "0" and len(text) < 15 else text,
)  # fmt: skip
DAYS: Sequence[Callable[[datetime.date], Typed]] = (
    lambda day: day, lambda day: day, str, lambda day: f"{day:%Y%m%d}",
    lambda day: int(f"{day:%Y%m%d}"), lambda day: f"{day.year}/{day.month}/{day.day}",
    lambda day: f"{day.year}.{day.month}.{day.day}", lambda day: f" {day:%Y - %m - %d} ",
    lambda day: f"{day.year}年{day.month}月{day.day}日", lambda day: f"{day:%Y%m%d}.0",
    lambda day: f"{day.year}年{day.month}月{day.day}号", lambda day: f"{day} 00:00:00",
    lambda day: full_width(str(day)), lambda day: (day - datetime.date(1899, 12, 30)).days,
    lambda day: (day - datetime.date(1899, 12, 30)).days + 0.5,
)  # fmt: skip
WRONG_DAYS: list[Typed] = [
    "2026-02-30", "5/23/26", "昨天", 5, 1990, "1990", 0.5, -1, "1899-1-1", True, None, "2026-06-02",
    datetime.date(2026, 6, 2), datetime.date(1905, 6, 12), datetime.date(1905, 10, 1), 46175, TODAY,
    "2026-5", "2026-5-3-1", 20260230, datetime.date(2012, 6, 1), "２０２６．１３．１", 2_958_466,
    datetime.date(2012, 5, 23), datetime.date(2012, 5, 24), 2026.5,
]  # fmt: skip
SCORES: list[Typed] = [80, 86.5, "86.5", "８６．５分", 84.30000000000001, 100, 0, "0", " 7 ", "084"]
WRONG_SCORES: list[Typed] = [
    "缺考", -1, 100.1, 84.25, 84.21, "84.123456789", None, True, "1e1", ".5", "+5", "101", "1000",
    datetime.date(2026, 1, 1), "NaN", "Infinity", "5-", 1e300, "八十", "5 分", "分", 0.05,
]  # fmt: skip
TEXTS = "补考通过（初级）ＡB 1\u3000\u200b\u00a0、é。\t\n"
SPOILT: Mapping[str, list[Typed]] = {
    "准考证号": [
        None, "a b,c", "1" * 32, "1" * 33, "示例000001", 2026051000000001, "Ａ－1/2_3", "5.1E+17",
        7, 7.5, True, "准考1", "é" * 3, "e\u0301", "ZK-510104-19900118-0026",
    ],
    "姓名": [
        None, 12, True, "张", "長" * 50, "長" * 51, "张1", "张，三", "示例 姓名", "卓玛··央金",
        "·卓玛", "卓玛·", "卓玛 · 央金", "卓玛•央金", "Anna  Maria", "张 三", "Ａnna", "e\u0301é",
        "O'Neil", "O’Neil", "张'三", "Li-Na", "张-三", "Li-", "李\ue000", "李\U000f0000",
        "李\u200b四", "李\u3164", "李\U0002a6d6", "李𠂇", "ꀀꀁ", "བོད", "〇一", "豈豈",
    ],
    "性别": ["男", "女", "M", "F", "ｆ", "女性", "男性", "未知", None, True, 1],
    "证件类型": [
        RESIDENT, PASSPORT, TAIWAN, "回乡证", " 身 份 证", "驾驶证", None, "台湾居民居住证", 1,
        "二代身份证", "台胞证", "外国护照", "港澳居民居住证", "外国人永久居留证", "普通护照",
    ],
    "证件号码": [
        None, 510101199003077000, 5.10101199003077e17, "5.10101E+17", "510101199003077000",
        "510101199003077009", "110105491231002", "11010519491231002X", "H12345678", "E1234567",
        "01234567", 1234567, "51010119900230001X", True, "USA510190130175", "910000199001010000",
        "510101199001180000", "510101199003077100",
    ],
    "出生日期": WRONG_DAYS,
    "手机号码": [
        None, 13800000000, "+86 138-0000-0000", "8613800000000", "008613800000000", "02887654321",
        1380000000, "1.38E+10", "１３８００００００００", True, 13800000000.5, "+138",
        "23800000000", "13800000000.0", "13800000000.5",
    ],
    "专项职业能力名称": [
        None, "长" * 60, "长" * 61, "３Ｄ 打印", "大 数据\n采集", "AI 训练 师", "\ue000", True, 3,
        "\u200b", "（初级）",
    ],
    "考核日期": WRONG_DAYS,
    "理论成绩": WRONG_SCORES,
    "实操成绩": WRONG_SCORES,
    "总成绩": WRONG_SCORES,
    "考核结果": [None, "不合格", "合 格", "及格", True, 1],
    "备注": [None, "长" * 200, "长" * 201, "\ue000", True, 5, 0.5, " 补考\t通过 "],
}  # fmt: skip
NOTES: Sequence[Line] = [
    {column: column for column in COLUMNS},
    {"准考证号": "说明：总成绩按 4:6 折算"},
    {"姓名": "以下空白"},
    {"准考证号": "合计", "理论成绩": 80, "实操成绩": 86.5, "总成绩": 84, "考核结果": "合格"},
    {"准考证号": "审核人：", "证件类型": "填表人：", "证件号码": "盖章"},
    {"姓名": "张三", "性别": "女", "出生日期": "1990-01-18", "总成绩": 84, "备注": "补"},
    {"姓名": "张三", "性别": "女", "出生日期": 5, "总成绩": 84, "备注": "补", "考核结果": "合格"},
]
SPOILT_COLUMNS = st.just(()) | st.lists(st.sampled_from(COLUMNS), max_size=3)


def anything(column: str) -> st.SearchStrategy[Typed]:
    """Whatever might be typed in a column instead of what belongs there."""
    known = st.sampled_from(SPOILT[column])
    if column == "姓名":
        return known | st.lists(NAME_PIECES, max_size=5).map("".join)
    return known | st.text(TEXTS, max_size=12) if column in ("备注", PROJECT) else known


def whole(said: Line) -> Line:
    return dict.fromkeys(COLUMNS) | said


@st.composite
def lines(draw: st.DrawFn) -> list[Line | None]:
    """Rows of a few people, some spoilt, some empty, some nobody's."""
    people = draw(st.lists(person(), min_size=1, max_size=6))
    nobody = st.none() | st.sampled_from(NOTES).map(whole)
    return [
        draw(line(draw(st.sampled_from(people)), place) if draw(st.integers(0, 9)) else nobody)
        for place in range(draw(st.integers(1, 8)))
    ]


@st.composite
def line(draw: st.DrawFn, who: Line, place: int) -> Line:
    """One row of a person, in some way of typing it, with up to three cells spoilt."""
    score = st.integers(0, 1000).map(lambda tenths: tenths / 10) | st.sampled_from(SCORES)
    seldom = st.integers(0, 15)
    typed, born_on = str(who["证件号码"]), who["出生日期"]
    if not draw(seldom):
        wrong = draw(st.integers(6, len(typed) - 1))
        typed = typed[:wrong] + draw(st.sampled_from("0159X")) + typed[wrong + 1 :]
    if not draw(seldom):
        born_on = draw(st.dates(datetime.date(1990, 1, 1), datetime.date(2012, 5, 31)))
    made: Line = {
        "准考证号": draw(st.sampled_from(SPACED))(f"{draw(seldom) and place + 100}"),
        **who,
        "姓名": who["姓名"] if draw(seldom) else draw(NAMES),
        "证件号码": draw(st.sampled_from(SPACED))(typed),
        "出生日期": draw(st.sampled_from(DAYS))(born_on),  # type: ignore[arg-type]  # a date
        "手机号码": draw(st.none() | st.integers(13 * 10**9, 14 * 10**9 - 1)),
        "专项职业能力名称": draw(st.sampled_from(PROJECTS)),
        "考核日期": draw(st.sampled_from(DAYS))(datetime.date(2026, 5, 23)),
        "理论成绩": draw(st.none() | score), "实操成绩": 60, "总成绩": draw(score),
        "考核结果": draw(st.sampled_from(["合格", "不合格"])),
        "备注": draw(st.none() | st.text(TEXTS, max_size=12)),
    }  # fmt: skip
    for column in draw(SPOILT_COLUMNS):
        made[column] = draw(anything(column))
    if not draw(seldom):
        made["备注"] = f"证号 {who['证件号码']}"
    return made


def every_way() -> Iterator[Line]:
    """A row for every way to type a cell that is listed above, of passports and residents."""
    born_on = datetime.date(1990, 1, 18)
    ways = [(column, cell) for column, cells in SPOILT.items() for cell in cells]
    ways += [(column, type_(born_on)) for column in ("出生日期", "考核日期") for type_ in DAYS]
    ways += [("总成绩", cell) for cell in SCORES]
    ways += [("证件号码", type_("510104199001180026")) for type_ in SPACED]
    for place, (column, cell) in enumerate(ways):
        resident = f"5101071990011{8000 + 2 * place}"
        documents = {PASSPORT: f"E{place:08}", RESIDENT: resident + check_11_2(resident)}
        for turn, (kind, number) in enumerate(documents.items()):
            yield {
                "准考证号": f"{2 * place + turn}", "姓名": "张三", "性别": "女",
                "证件类型": kind, "证件号码": number, "出生日期": born_on, "手机号码": None,
                PROJECT: f"项目{2 * place + turn}", "考核日期": "2026-05-23", "理论成绩": None,
                "实操成绩": None, "总成绩": 60, "考核结果": "合格", "备注": None, column: cell,
            }  # fmt: skip
    yield from map(whole, NOTES)


# Files of them.


def workbook(table: Sequence[Sequence[Typed]]) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"default_date_format": "yyyy-mm-dd"}) as book:
        sheet = book.add_worksheet("考核结果")
        for number, cells in enumerate(table):
            for place, cell in enumerate(cells):
                if isinstance(cell, str):
                    sheet.write_string(number, place, cell)
                else:
                    sheet.write(number, place, cell)
    return buffer.getvalue()


def text(table: Sequence[Sequence[Typed]], encoding: str, delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(table)
    return out.getvalue().encode(encoding)


def judged(data: bytes) -> tuple[set[Found], dict[int, dict[str, Any]]]:
    judging = rows.Judging(DRAWABLE, TODAY)
    for part in reading.read(data):
        judging.take(part)
    found = judging.judged()
    wrong = {(error.row or 0, error.column or "", error.code) for error in found.errors}
    assert {one.row_number for one in found.refused} == {row for row, _, _ in wrong} - {0}
    return wrong, {
        row.row_number: dict(zip(COLUMNS, msgspec.structs.astuple(row)[1:-1], strict=True))
        for row in found.rows
    }


def held(cell: Typed, *, as_text: bool) -> Typed:
    """What a file holds of a cell: no blanks around words; in text no kinds, and ' is no word."""
    if cell is not None and as_text:
        cell = str(cell).strip().removeprefix("'")
    return (cell.strip() or None) if isinstance(cell, str) else cell


def agree(
    filled: Sequence[Line | None], columns: Sequence[str], top: int, form: tuple[str, str] | None
) -> tuple[set[Found], int]:
    """Have both judge a file of these rows; what was wrong, and how many rows were good."""
    title: list[Typed] = ["成绩表"]
    table = [title] * top + [[*columns]]
    table += [[(one or {}).get(column) for column in columns] for one in filled]
    numbered = [
        (number, {column: held(one[column], as_text=form is not None) for column in COLUMNS})
        for number, one in enumerate(filled, top + 2)
        if one
    ]
    found, good = model(numbered)
    errors, kept = judged(text(table, *form) if form else workbook(table))
    assert (errors - found, found - errors) == (set(), set())
    assert kept == good
    return found, len(good)


FORMS = st.sampled_from(
    [None, None, ("utf-8", ","), ("utf-8-sig", "\t"), ("gb18030", ","), ("gb18030", ";"),
     ("utf-16", ",")]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(lines(), st.permutations([*COLUMNS, "序号"]), st.integers(0, 2), FORMS)
def test_any_sheet_is_judged_as_the_plain_model_judges_it(
    filled: list[Line | None], columns: list[str], top: int, form: tuple[str, str] | None
) -> None:
    agree(filled, columns, top, form)


@pytest.mark.parametrize("form", [None, ("gb18030", ",")])
def test_every_listed_way_to_type_a_cell_is_judged_as_the_plain_model_judges_it(
    form: tuple[str, str] | None,
) -> None:
    found, good_count = agree([*every_way()], COLUMNS, 0, form)
    assert len({code for _, _, code in found}) >= 23
    assert good_count > 100
