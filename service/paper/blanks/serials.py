"""Serials: the numbers already on the paper, as ranges and as the texts that people read and type.

A serial is the prefix of its series and a fixed count of digits. What is typed is read exactly or
refused with the form that is wanted; nothing is guessed, no serial is given twice.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence

import msgspec

from service.ground.errors import Finding, RangesMany, SerialsRepeated, SerialsUnreadable
from service.registry import people

RANGES_MAX = 1000
SEPARATOR = re.compile(r"[\s,、;，；]+")
DASH = re.compile("[-~～〜至—–‐\u2011\u2212]+")


class Range(msgspec.Struct, frozen=True, order=True):
    """Consecutive serials, from first to last."""

    first: int
    last: int

    @property
    def count(self) -> int:
        """How many sheets they are."""
        return self.last - self.first + 1


class Numerals(msgspec.Struct, frozen=True):
    """How the serials of a series are written."""

    prefix: str
    digit_count: int

    def text(self, serial: int) -> str:
        """Write one serial as it stands on the paper."""
        return f"{self.prefix}{serial:0{self.digit_count}}"

    def range_text(self, one: Range) -> str:
        """Write a range; a single serial stands alone."""
        if one.first == one.last:
            return self.text(one.first)
        return f"{self.text(one.first)}-{one.last:0{self.digit_count}}"

    def ranges_text(self, ranges: Iterable[Range]) -> str:
        """Write ranges in one line."""
        return "、".join(map(self.range_text, ranges))

    def read_one(self, typed: str) -> int:
        """Read one serial, with or without its prefix.

        Raises:
            SerialsUnreadable: with the form that is wanted.
        """
        bare = typed.translate(people.HALF_WIDTH).strip()
        if len(bare) != self.digit_count:  # else it is whole, even where it begins like the prefix
            bare = bare.removeprefix(self.prefix)
        if len(bare) != self.digit_count or not (bare.isascii() and bare.isdecimal()):
            raise SerialsUnreadable(typed=shown(typed), wanted=self.range_text(Range(1, 500)))
        return int(bare)

    def read(self, typed: str) -> tuple[Range, ...]:
        """Read ranges and single serials, separated by commas or blanks, in ascending order.

        Raises:
            SerialsUnreadable: a part is neither a serial nor a range, or runs backwards.
            SerialsRepeated: a serial is given twice.
            RangesMany: there are more parts than one act takes.
        """
        parts = [part for part in SEPARATOR.split(typed.translate(people.HALF_WIDTH)) if part]
        if len(parts) > RANGES_MAX:
            raise RangesMany(count=len(parts), limit=RANGES_MAX)
        ranges = [self._read_range(part) for part in parts]
        if not ranges or any(one.first > one.last for one in ranges):
            raise SerialsUnreadable(typed=shown(typed), wanted=self.range_text(Range(1, 500)))
        return self.ordered(ranges)

    def ordered(self, ranges: Iterable[Range]) -> tuple[Range, ...]:
        """Put ranges in order and join those that touch.

        Raises:
            SerialsRepeated: naming the serials that are given twice.
        """
        sorted_ranges = sorted(ranges)
        twice = tuple(
            self.finding(Range(after.first, min(before.last, after.last)), "重复", "given twice")
            for before, after in itertools.pairwise(sorted_ranges)
            if after.first <= before.last
        )
        if twice:
            raise SerialsRepeated(twice)
        return joined(sorted_ranges)

    def finding(self, one: Range, zh: str, en: str) -> Finding:
        """Name serials that are in the way."""
        return Finding(
            code="Serials",
            zh=f"{zh}（{one.count} 张）",
            en=f"{en} ({one.count})",
            column="号段 serials",
            value=self.range_text(one),
        )

    def _read_range(self, part: str) -> Range:
        ends = DASH.split(part)
        if len(ends) > 2:
            raise SerialsUnreadable(typed=shown(part), wanted=self.range_text(Range(1, 500)))
        return Range(self.read_one(ends[0]), self.read_one(ends[-1]))


def joined(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """Join ranges that touch; they are in order and do not overlap."""
    whole: list[Range] = []
    for one in ranges:
        if whole and whole[-1].last + 1 == one.first:
            whole[-1] = Range(whole[-1].first, one.last)
        else:
            whole.append(one)
    return tuple(whole)


def of(serials: Iterable[int]) -> tuple[Range, ...]:
    """Gather single serials, each given once, into ranges."""
    return joined([Range(serial, serial) for serial in sorted(serials)])


def count(ranges: Iterable[Range]) -> int:
    """How many sheets these ranges are."""
    return sum(one.count for one in ranges)


def take(ranges: Sequence[Range], wanted: int) -> tuple[Range, ...]:
    """Take the first serials of these ranges, as many as are wanted and there."""
    taken: list[Range] = []
    for one in ranges:
        missing = wanted - count(taken)
        if missing <= 0:
            break
        taken.append(Range(one.first, min(one.last, one.first + missing - 1)))
    return tuple(taken)


def each(ranges: Iterable[Range]) -> list[int]:
    """List every serial of these ranges; only for what is about to become sheets."""
    return [serial for one in ranges for serial in range(one.first, one.last + 1)]


def minus(ranges: Iterable[Range], others: Iterable[Range]) -> tuple[Range, ...]:
    """Return what of these ranges, in order, is in none of the others."""
    left = list(ranges)
    for other in others:
        left = [
            part
            for one in left
            for part in (
                Range(one.first, min(one.last, other.first - 1)),
                Range(max(one.first, other.last + 1), one.last),
            )
            if part.first <= part.last and (other.first <= one.last and one.first <= other.last)
        ] + [one for one in left if other.first > one.last or one.first > other.last]
    return joined(sorted(left))


def shown(typed: str) -> str:
    """Shorten what was typed for an answer, and tell apart what the eye does not.

    A character that nobody sees, or that looks like a letter or digit, is named by its code point.
    """
    short = typed if len(typed) <= 60 else typed[:59]
    return "".join(map(_told_apart, short)) + "…" * (len(typed) > 60)


def _told_apart(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    if character.isprintable() and unicodedata.east_asian_width(character) in "WF":
        return character
    return f"{character if character.isprintable() else ''}[U+{ord(character):04X}]"
