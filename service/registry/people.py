"""People: their documents, their names, and how much of either may be shown.

A document number or a name becomes valid here or is refused with a sentence that says what to do;
past this door numbers are upper-case without spaces and names are NFC that our fonts can draw.
Whether a birth date or a sex typed beside a number agrees with it is the caller's to compare.
"""

import datetime
import operator
import re
import tomllib
import unicodedata
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path

import msgspec

from service.ground.errors import Finding

_SENTENCES = tomllib.loads(Path(__file__).with_name("findings.toml").read_text("utf-8"))


class Unfit(ValueError):  # noqa: N818 - named as the fact, like a refusal
    """A value that may not enter the registry; its sentences stand in `findings.toml`."""

    def __init__(self, code: str, **facts: object) -> None:
        self.code = code
        self.zh, self.en = (_SENTENCES[code][language].format(**facts) for language in ("zh", "en"))
        super().__init__(f"{self.zh} {self.en}")

    def finding(
        self, row: int | None = None, column: str | None = None, value: str | None = None
    ) -> Finding:
        """Say it of one place; `value` must be safe to show."""
        return Finding(code=self.code, zh=self.zh, en=self.en, row=row, column=column, value=value)


class IdKind(StrEnum):
    """A kind of identity document; the value is the name that is printed."""

    RESIDENT = "居民身份证"
    RESIDENCE_PERMIT = "港澳台居民居住证"
    FOREIGNER = "外国人永久居留身份证"
    HOME_RETURN = "港澳居民来往内地通行证"
    TAIWAN = "台湾居民来往大陆通行证"
    PASSPORT = "护照"

    @property
    def code(self) -> str:
        """The code of the kind in GB/T 36903 metadata (CZZTDMLX)."""
        return _CODES[self]


class IdNumber(msgspec.Struct, frozen=True):
    """A checked document number; `born_on` and `sex` (男 or 女) where the number tells them."""

    kind: IdKind
    number: str
    born_on: datetime.date | None = None
    sex: str | None = None

    def fits(self, born_on: datetime.date) -> bool:
        """Tell whether nothing in the number contradicts this birth date."""
        if self.kind is IdKind.FOREIGNER and len(self.number) == 15:
            return self.number[7:13] == born_on.strftime("%y%m%d")
        return self.born_on in (None, born_on)


# 111 is published; the others are [A]: no public list of the codes could be confirmed.
_CODES = {
    IdKind.RESIDENT: "111",
    IdKind.RESIDENCE_PERMIT: "154",
    IdKind.FOREIGNER: "553",
    IdKind.HOME_RETURN: "516",
    IdKind.TAIWAN: "511",
    IdKind.PASSPORT: "414",
}
_FORMS = {
    IdKind.RESIDENT: (
        re.compile(r"(?!8[123]0000)[1-8][0-9]{16}[0-9X]"),
        "18 位，前 17 位为数字，不以 810000、820000、830000 开头",
        "18 characters, 17 of them digits, not starting with 810000, 820000 or 830000",
    ),
    IdKind.RESIDENCE_PERMIT: (
        re.compile(r"8[123]0000[0-9]{11}[0-9X]"),
        "18 位，以 810000、820000 或 830000 开头",
        "18 characters starting with 810000, 820000 or 830000",
    ),
    IdKind.FOREIGNER: (
        re.compile(r"9[0-9]{16}[0-9X]|[A-Z]{3}[0-9]{12}"),
        "以 9 开头的 18 位号码，或 3 个字母加 12 位数字",
        "18 characters starting with 9, or 3 letters and 12 digits",
    ),
    IdKind.HOME_RETURN: (
        re.compile(r"[HM][0-9]{8}"),
        "字母 H 或 M 加 8 位数字",
        "H or M and 8 digits",
    ),
    IdKind.TAIWAN: (re.compile(r"[0-9]{8}"), "8 位数字", "8 digits"),
    IdKind.PASSPORT: (
        re.compile(r"(?![0-9]{17}[0-9X]$)[A-Z0-9]{5,20}"),
        "5 至 20 位字母或数字，且不是 18 位身份证号码",
        "5 to 20 letters or digits and no resident's number",
    ),
}
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_FOREIGNER_WEIGHTS = (7, 3, 1) * 4 + (7, 3)

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))

HALF_WIDTH = {full: full - 0xFEE0 for full in range(0xFF01, 0xFF5F)}
ZERO_WIDTH = dict.fromkeys([0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFEFF])
_TIDY = HALF_WIDTH | ZERO_WIDTH
_UNSAID = ZERO_WIDTH | dict.fromkeys(map(ord, "·.。"))  # comes with pasting; hard to type
_NAME_TABLE = HALF_WIDTH | dict.fromkeys(map(ord, "•・‧･∙⋅"), 0xB7) | {0x2019: 0x27}
_LATIN = "[A-Za-zÀ-ɏ]"
_SPACES = re.compile("[ \u00a0\u2000-\u200a\u202f\u205f\u3000]+")
_STRAY_SPACE = re.compile(f"(?<!{_LATIN}) | (?!{_LATIN})")
_STRAY_SEPARATOR = re.compile(f"^·|·$|··|(?<!{_LATIN})[-']|[-'](?!{_LATIN})")
_LONG_NUMBER = re.compile(
    rf"[0-9０-９](?:[\s.\-{''.join(map(chr, ZERO_WIDTH))}]*[0-9０-９XxＸｘ]){{10,}}"
)
_BLANK_LETTERS = (
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers: letters to Unicode, nothing to the eye
)


def tidy(text: str) -> str:
    """Turn full-width characters half-width, letters upper-case, and drop every space."""
    if not text.isascii():
        text = text.translate(_TIDY)
    return "".join(text.split()).upper()


def check_id(kind: IdKind, text: str) -> IdNumber:
    """Read a document number of this kind.

    Source: GB 11643-1999 (MOD 11-2); the 2017 and 2023 forms of the permanent resident card.

    Raises: Unfit, where form, birth date or check character is wrong.
    """
    number = tidy(text)
    pattern, form_zh, form_en = _FORMS[kind]
    if not pattern.fullmatch(number):
        raise Unfit("IdFormWrong", kind=kind, form_zh=form_zh, form_en=form_en)
    if kind in (IdKind.HOME_RETURN, IdKind.TAIWAN, IdKind.PASSPORT):
        return IdNumber(kind, number)
    if len(number) == 15:
        _born_on("20" + number[7:13])
        places = (int(character, 36) for character in number)
        check = str(sum(map(operator.mul, _FOREIGNER_WEIGHTS, places)) % 10)
        born_on, sex = None, None
    else:
        born_on = _born_on(number[6:14])
        check = _ID_CHECKS[sum(map(operator.mul, _ID_WEIGHTS, map(int, number[:17]))) % 11]
        # No public rule says that a foreigner's number tells the sex, so it does not [A].
        sex = None if kind is IdKind.FOREIGNER else "女男"[int(number[16]) % 2]
    if number[-1] != check:
        raise Unfit("IdCheckWrong")
    return IdNumber(kind, number, born_on, sex)


def plain_name(text: str) -> str:
    """Bring a name that somebody typed to the form in which names are compared."""
    name = unicodedata.normalize("NFC", text.translate(_NAME_TABLE).strip())
    return _STRAY_SPACE.sub("", _SPACES.sub(" ", name))


def comparable_name(text: str) -> bytes:
    """Bring a typed name to bytes to be compared in constant time: what is said aloud of it."""
    return plain_name(text).translate(_UNSAID).casefold().encode("utf-8", "replace")


def normalise_name(text: str, drawable: Collection[int]) -> str:
    """Bring a name to the one form that is stored and printed; `drawable` are code points.

    Raises: Unfit, which names a character that no name may hold by its code point.
    """
    name = plain_name(text)
    for character in name:
        if fault := _character_fault(character, drawable):
            raise Unfit(fault, point=f"U+{ord(character):04X}")
    if not 2 <= len(name) <= 50:
        raise Unfit("NameLengthWrong")
    if _STRAY_SEPARATOR.search(name):
        raise Unfit("NameSeparatorMisplaced")
    return name


def check_uscc(text: str) -> str:
    """Read a unified social credit code and return it tidy.

    Source: GB 32100-2015.

    Raises: Unfit, where alphabet, length or check character is wrong.
    """
    code = tidy(text)
    places = [_USCC_ALPHABET.find(character) for character in code]
    if len(code) != 18 or -1 in places:
        raise Unfit("UsccFormWrong")
    if (sum(map(operator.mul, _USCC_WEIGHTS, places)) + places[17]) % 31:
        raise Unfit("UsccCheckWrong")
    return code


def mask_id(text: str) -> str:
    """Show the first three and last two characters of a long number, the first of a short one."""
    number = tidy(text)
    head, tail = (3, 2) if len(number) >= 10 else (1, 0)
    hidden = max(len(number) - head - tail, 0)
    return number[:head] + "*" * hidden + number[head + hidden :]


def mask_numbers(text: str) -> str:
    """Mask every run of 11 or more digits: document numbers and mobiles, however spaced."""
    return _LONG_NUMBER.sub(lambda found: mask_id(found[0]), text)


def mask_name(name: str) -> str:
    """Keep the first character and the separators, mask the rest."""
    return name[:1] + "".join(mark if mark in "· " else "＊" for mark in name[1:])


def _born_on(digits: str) -> datetime.date:
    try:
        born_on = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise Unfit("IdBirthDateImpossible") from None
    if born_on.year < 1900:
        raise Unfit("IdBirthDateImpossible")
    return born_on


def _character_fault(character: str, drawable: Collection[int]) -> str | None:
    category = unicodedata.category(character)
    # Ideographs newer than Python's tables are unassigned to it; what a font draws there is one.
    ideograph = 0x20000 <= ord(character) < 0x3FFFE or character == "〇"
    if category == "Co":
        return "NamePrivateUse"
    if category in ("Cc", "Cf", "Cs") or character in _BLANK_LETTERS:
        return "NameInvisible"
    if not (character.isalpha() or ideograph or character in "· -'"):
        return "NameNotLetter"
    if character != " " and ord(character) not in drawable:
        return "NameUndrawable"
    return None
