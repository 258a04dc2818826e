"""Oddities: what a reviewer should look at before approving, though no rule forbids it.

Nothing here keeps a batch back, and on an ordinary batch nothing is said. Each oddity has a stable
code, and what it says ends with what to look at. The codes that stand when a batch is approved are
in the journal's entry of the approval. A batch is compared with its own city's batches alone: what
a reviewer is told can be looked up by that reviewer.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import Finding
from service.registry.vault import PHONE_DIGITS, Vault

_sql = statements.beside(__file__)


class Oddity(StrEnum):
    """The stable codes of the oddities."""

    EQUAL_TOTALS = "odd-01-equal-totals"
    PASS_RATE = "odd-02-pass-rate"  # noqa: S105 - a code
    PHONE_SHARED = "odd-03-phone-shared"
    PHOTO_SHARED = "odd-04-photo-shared"
    AGE = "odd-05-age"
    BIRTHDAYS = "odd-06-birthdays"
    CHANGED_LATE = "odd-07-changed-late"
    LEFT_OUT = "odd-08-left-out"
    PHOTO_ABSENT = "odd-09-photo-absent"


_SENTENCES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))

# No rule says what is odd: all of these are assumed [A], so that ordinary batches are rarely named.
_EQUAL_ROWS_MIN = 10  # totals come in tenths or halves: ten alike are no chance
_RATE_ROWS_MIN, _RATE_ROWS_BEFORE_MIN = 20, 100
_RATE_BATCHES_MIN, _RATE_BATCHES_MAX = 3, 20
_RATE_DIFFERENCE_MIN = 0.2  # exams differ by some points; and beyond what chance alone explains:
_DEVIATIONS = 4.0  # of the usual kind, by which chance strays once in ten thousand times
_PHONE_PERSONS_MIN = 5  # a family shares a phone
_PHONES_MAX = 20  # named one by one, those of most people first
_YEARS_MIN, _YEARS_MAX = 16, 70  # nobody may work before 16; few sit exams after 70
_BIRTHDAY_ROWS_MIN = 4


class _Seen(msgspec.Struct, frozen=True):
    what: str
    row_numbers: list[int]


class _Rates(msgspec.Struct, frozen=True):
    project_name: str
    row_count: int
    passed_count: int
    rows_before: int
    passed_before: int
    batches_before: int


class _Phone(msgspec.Struct, frozen=True):
    row_number: int
    person_key: bytes
    phone_encrypted: bytes


_equal_totals = _sql.many("equal_totals", _Seen)
_pass_rates = _sql.many("pass_rates", _Rates)
_phones = _sql.many("phones", _Phone)
_shared_photos = _sql.many("shared_photos", _Seen)
_ages = _sql.many("ages", _Seen)
_birthdays = _sql.many("birthdays", _Seen)
_changed_late = _sql.many("changed_late", _Seen)
_without_photo = _sql.many("without_photo", _Seen)
_still_left_out = _sql.many("still_left_out", _Seen)


async def notice(connection: Connection, batch_id: int, vault: Vault) -> tuple[Finding, ...]:
    """Return what is odd about a batch, in the order of the codes; mostly nothing."""
    key = {"batch_id": batch_id}
    rates = await _pass_rates(connection, **key, batches_max=_RATE_BATCHES_MAX)
    seen = {
        Oddity.EQUAL_TOTALS: await _equal_totals(connection, **key, rows_min=_EQUAL_ROWS_MIN),
        Oddity.BIRTHDAYS: await _birthdays(
            connection, **key, rows_min=_BIRTHDAY_ROWS_MIN, deviations=_DEVIATIONS
        ),
        Oddity.CHANGED_LATE: await _changed_late(connection, **key),
        Oddity.LEFT_OUT: await _still_left_out(connection, **key),
        Oddity.PHOTO_ABSENT: await _without_photo(connection, **key),
    }
    ages = await _ages(connection, **key, years_min=_YEARS_MIN, years_max=_YEARS_MAX)
    findings = [
        *(_finding(code, one) for code, found in seen.items() for one in found),
        *await shared_photos(connection, batch_id),
        *(_finding(Oddity.AGE, one, f"{_YEARS_MIN}–{_YEARS_MAX}") for one in ages),
        *_judge_rates(rates),
        *_judge_phones(await _phones(connection, **key), vault),
    ]
    return tuple(sorted(findings, key=lambda finding: finding.code))


async def shared_photos(connection: Connection, batch_id: int) -> list[Finding]:
    """Return the photos of a batch that stand for more than one person."""
    found = await _shared_photos(connection, batch_id=batch_id)
    return [_finding(Oddity.PHOTO_SHARED, one) for one in found]


def _judge_rates(rates: Sequence[_Rates]) -> Iterator[Finding]:
    for one in rates:
        if (
            one.row_count < _RATE_ROWS_MIN
            or one.rows_before < _RATE_ROWS_BEFORE_MIN
            or one.batches_before < _RATE_BATCHES_MIN
        ):
            continue
        rate, before = one.passed_count / one.row_count, one.passed_before / one.rows_before
        both = (one.passed_count + one.passed_before) / (one.row_count + one.rows_before)
        deviation = (both * (1 - both) * (1 / one.row_count + 1 / one.rows_before)) ** 0.5
        if abs(rate - before) >= max(_RATE_DIFFERENCE_MIN, _DEVIATIONS * deviation):
            yield _finding(
                Oddity.PASS_RATE, _Seen(one.project_name, []), f"{before:.0%} → {rate:.0%}"
            )


def _judge_phones(kept: Sequence[_Phone], vault: Vault) -> Iterator[Finding]:
    rows: dict[str, list[_Phone]] = defaultdict(list)
    for one in kept:
        with suppress(InvalidTag):  # a value that was changed is not the same as any other
            rows[vault.decrypt(one.phone_encrypted)].append(one)
    shared = sorted(
        (
            (len(persons), f"…{phone[-PHONE_DIGITS:]}", [one.row_number for one in group])
            for phone, group in rows.items()
            if len(persons := {one.person_key for one in group}) >= _PHONE_PERSONS_MIN
        ),
        reverse=True,
    )
    for count, phone, row_numbers in shared[:_PHONES_MAX]:
        yield _finding(Oddity.PHONE_SHARED, _Seen(phone, row_numbers), str(count))
    if rest := shared[_PHONES_MAX:]:
        row_numbers = sorted(row for *_, group in rest for row in group)
        seen = _Seen(f"另 {len(rest)} 个号码 more phones", row_numbers)
        yield _finding(Oddity.PHONE_SHARED, seen, f"≥ {_PHONE_PERSONS_MIN}")


def _finding(oddity: Oddity, seen: _Seen, reason: str = "") -> Finding:
    said = {key: words.format(reason=reason) for key, words in _SENTENCES[oddity].items()}
    return Finding(code=oddity.value, **said, rows=tuple(seen.row_numbers), value=seen.what)
