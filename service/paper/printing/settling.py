"""Settling: from what an operator says of a round to what became of every sheet, or to doubts.

Pages come out in the order of the serials. Sheets fed from the other end take them backwards; a
sheet that slipped through blank lets every later page go one sheet further, and the last page found
none. Where neither tells it all, ranges of sheets are said to bear ranges of pages, in the order of
feeding. What is said must say everything: a contradiction, a certificate on two sheets, a count
that does not add up, another number on the last sheet are refused with what is in doubt; nothing
is guessed.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec

from service.ground.errors import (
    Finding,
    PrintedMiscounted,
    SerialsUnreadable,
    SettlementUnclear,
    SheetUnreadable,
)
from service.paper.blanks.serials import DASH, SEPARATOR, Numerals, shown
from service.registry import people

_PAGES = re.compile(f"[0-9]{{1,4}}({DASH.pattern}[0-9]{{1,4}})?")
_LAST_DIGITS_MIN = 4


class Outcome(StrEnum):
    """What became of a sheet; DRAWN is none yet."""

    DRAWN = "drawn"
    PRINTED = "printed"
    SPOILED = "spoiled"
    RETURNED = "returned"


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """A drawn sheet and the certificate planned for it, and whether this still stands."""

    position: int
    serial: int
    number: str
    standing: str
    stands: bool


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator says of a round; sheets are told by position or serial, as typed.

    `shifts` passed through blank; `carries` are pairs of a sheet and the number that it bears, or
    of sheets as they were fed and the pages that they took. `printed` is how many sheets are good
    and `last` what the last of them shows: its number or the end of it.
    """

    printed: int
    last: str = ""
    spoiled: str = ""
    not_printed: str = ""
    is_reversed: bool = False
    shifts: Sequence[str] = ()
    carries: Sequence[tuple[str, str]] = ()


class Settled(msgspec.Struct, frozen=True):
    """What became of one sheet, and the number that it bears where it is printed."""

    position: int
    serial: int
    outcome: Outcome
    number: str | None = None


def settle(sheets: Sequence[Sheet], said: Said, numerals: Numerals) -> list[Settled]:
    """Conclude what became of every sheet of a round, which are given in order.

    Raises:
        SheetUnreadable: something typed is no sheet of this round.
        SettlementUnclear: naming all serials and numbers in doubt.
        PrintedMiscounted: drawn less spoiled less not printed is not what is said to be printed.
    """
    round_ = _Round(sheets, numerals)
    spoiled = round_.read(said.spoiled)
    returned = round_.read(said.not_printed)
    blank = [position for typed in said.shifts for position in round_.read(typed)]
    parts = [round_.carried(typed, borne) for typed, borne in said.carries]
    carried = [pair for part in parts for pair in part]
    singly = {part[0][0] for part in parts if len(part) == 1}
    bears = round_.fed(blank, is_reversed=said.is_reversed) | dict(carried)
    unprinted = {*spoiled, *returned}
    for position in unprinted:
        bears.pop(position, None)
    doubts = [
        *round_.twice([*spoiled, *returned], "既作废又未打印，或重复", "is said twice"),
        *round_.twice([position for position, _ in carried], "承载说了两次", "bears two numbers"),
        *round_.named(
            singly & unprinted,
            "既说承载又说作废或未打印", "bears a number and is not printed",
        ),
        *round_.named(
            set(blank) - unprinted,
            "空走，须说明作废（--spoiled）还是未打印（--not-printed）",
            "passed blank: is it --spoiled or --not-printed?",
        ),
        *round_.on_two_sheets(bears),
    ]  # fmt: skip
    if doubts:
        raise SettlementUnclear(tuple(doubts), count=len(doubts))
    if len(sheets) - len(unprinted) != said.printed:
        raise PrintedMiscounted(
            drawn=len(sheets),
            spoiled=len(spoiled),
            returned=len(returned),
            left=len(sheets) - len(unprinted),
            printed=said.printed,
        )
    outcomes = dict.fromkeys(spoiled, Outcome.SPOILED) | dict.fromkeys(returned, Outcome.RETURNED)
    return [
        Settled(
            one.position,
            one.serial,
            outcomes.get(one.position, Outcome.PRINTED),
            bears.get(one.position),
        )
        for one in sheets
    ]


def require_last(
    sheets: Sequence[Sheet], outcomes: Sequence[Settled], said: Said, numerals: Numerals
) -> None:
    """Refuse what was said if the last good sheet shows another number than this comes to.

    A jam that printed its page again, a sheet that slipped through and paper that lay the other way
    all show there, though the counts add up; that number is not told, but read off the sheet.

    Raises: SettlementUnclear.
    """
    printed = [one for one in outcomes if one.number is not None]
    typed = people.tidy(said.last)
    shown_by = [one.number for one in sheets if one.number.endswith(typed)]
    fits = len(typed) >= _LAST_DIGITS_MIN and shown_by == [printed[-1].number] if printed else True
    if not fits:
        serial = numerals.text(printed[-1].serial)
        raise SettlementUnclear(
            (
                _doubt(
                    f"照以上说法，{serial} 是流水号最大的好证，其编号不是所填的："
                    "请看该张，填其编号或末四位；有空走、卡纸后重印或放反的，请一并说明",
                    f"{serial} would be the last good sheet and bear another number: did one pass"
                    " blank, was a page printed again, was paper fed backwards?",
                    shown(said.last),
                ),
            ),
            count=1,
        )


class _Round:
    """The sheets of a round, and how they are told apart and read."""

    def __init__(self, sheets: Sequence[Sheet], numerals: Numerals) -> None:
        self._sheets = {one.position: one for one in sheets}
        self._by_serial = {one.serial: one.position for one in sheets}
        self._numerals = numerals

    def read(self, typed: str) -> list[int]:
        """Read positions, serials and ranges of either; the answer holds repeated ones twice."""
        parts = SEPARATOR.split(unicodedata.normalize("NFKC", typed).strip())
        return [position for part in parts if part for position in self._read_rising(part)]

    def read_one(self, typed: str) -> int:
        """Read one position or serial; all digits of a serial are one, with its prefix or not."""
        bare = unicodedata.normalize("NFKC", typed).strip()
        if bare.isascii() and bare.isdecimal() and len(bare) < self._numerals.digit_count:
            position = int(bare)
        else:
            try:
                position = self._by_serial.get(self._numerals.read_one(bare), 0)
            except SerialsUnreadable:
                position = 0
        if position not in self._sheets:
            raise self._unreadable(typed)
        return position

    def carried(self, typed: str, borne: str) -> list[tuple[int, str]]:
        """Pair a sheet with a number, or sheets with as many pages, each as they were fed."""
        fed, numbers = self._read_range(typed), [people.tidy(borne)]
        if _PAGES.fullmatch(numbers[0]):
            numbers = [self._sheets[page].number for page in self._read_range(numbers[0])]
        if len(fed) != len(numbers):
            doubt = _doubt(
                f"{len(fed)} 张，却说承载 {len(numbers)} 页",
                f"{len(fed)} sheets and {len(numbers)} pages",
                shown(f"{typed}={borne}"),
            )
            raise SettlementUnclear((doubt,), count=1)
        return list(zip(fed, numbers, strict=True))

    def fed(self, blank: Sequence[int], *, is_reversed: bool) -> dict[int, str]:
        """Say which number each sheet took that took a page, in the order of feeding."""
        order = sorted(self._sheets, reverse=is_reversed)
        taking = [position for position in order if position not in blank]
        pages = [one.number for _, one in sorted(self._sheets.items())]
        return dict(zip(taking, pages, strict=False))

    def twice(self, positions: Sequence[int], zh: str, en: str) -> Iterator[Finding]:
        """Name what is given more than once."""
        yield from self.named(
            {one for one, count in Counter(positions).items() if count > 1}, zh, en
        )

    def named(self, positions: set[int], zh: str, en: str) -> Iterator[Finding]:
        """Name sheets in doubt."""
        for position in sorted(positions):
            yield _doubt(f"第 {position} 张 {zh}", f"sheet {position} {en}", self._text(position))

    def on_two_sheets(self, bears: Mapping[int, str]) -> Iterator[Finding]:
        """Name certificates that more than one sheet would bear, or that are none of the round."""
        bearing = defaultdict(list)
        for position, number in sorted(bears.items()):
            bearing[number].append(self._text(position))
        known = {one.number for one in self._sheets.values()}
        for number, texts in bearing.items():
            where = "、".join(texts)
            if number not in known:
                yield _doubt(f"{where}：编号不在本轮", f"{where}: not of this round", number[:40])
            elif len(texts) > 1:
                yield _doubt(f"同一证书在 {where}", f"on more than one sheet: {where}", number)

    def _text(self, position: int) -> str:
        return self._numerals.text(self._sheets[position].serial)

    def _read_rising(self, part: str) -> Sequence[int]:
        found = self._read_range(part)
        if found[-1] < found[0]:
            raise self._unreadable(part)
        return found

    def _read_range(self, part: str) -> Sequence[int]:
        """Read a range either way."""
        first, *last = map(self.read_one, DASH.split(unicodedata.normalize("NFKC", part)))
        if len(last) > 1:
            raise self._unreadable(part)
        step = -1 if last and last[0] < first else 1
        return range(first, (last[0] if last else first) + step, step)

    def _unreadable(self, typed: str) -> SheetUnreadable:
        return SheetUnreadable(typed=shown(typed), count=len(self._sheets), serial=self._text(1))


def _doubt(zh: str, en: str, value: str) -> Finding:
    return Finding(code="SettlementUnclear", zh=zh, en=en, column="存疑 doubt", value=value)
