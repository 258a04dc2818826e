"""Joining: what a file makes of the rows of a batch that it joins; pure.

A row that is in the batch with the same words stays as it is, one with other words is mended under
its own number, and one that is not in it takes the number it was left out under, or its own where
that is free, or the next. Nothing that stands in the batch goes away.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import msgspec

from service.ground.errors import Finding
from service.issuing.batches import identity
from service.issuing.batches.kept import Kept
from service.issuing.batches.rows import Row
from service.issuing.sheets import layouts

_COLUMNS = dict(zip(Row.__struct_fields__[1:], layouts.COLUMNS, strict=False))


class Mended(msgspec.Struct, frozen=True):
    """A row of the batch with the columns that now say something else, and its row in the file."""

    row_number: int
    sheet_row: int
    columns: tuple[str, ...]

    @property
    def said(self) -> str:
        """The columns in one line."""
        return "、".join(self.columns)


class Plan(msgspec.Struct, frozen=True):
    """The rows to add and to mend, under their numbers in the batch, and what is mended in them.

    `caught_up` counts the rows that had been left out and are in the batch from now on.
    """

    added: tuple[Kept, ...]
    mended: tuple[Kept, ...]
    changes: tuple[Mended, ...]
    caught_up: int


def plan(coming: Sequence[Kept], standing: Sequence[Kept], waiting: Mapping[bytes, int]) -> Plan:
    """Plan what becomes of the rows of a file, in its order.

    `waiting` are the rows left out of the batch, with the numbers that they had.
    """
    before = {one.identity: one.row for one in standing}
    added = [one for one in coming if one.identity not in before]
    mended, changes = [], []
    for one in coming:
        former = before.get(one.identity)
        if former and (columns := changed(former, one.row)):
            mended.append(_under(one, former.row_number))
            changes.append(Mended(former.row_number, one.row.row_number, columns))
    taken = [row.row_number for row in before.values()]
    caught_up = sum(one.identity in waiting for one in coming)
    return Plan(tuple(_numbered(added, taken, waiting)), tuple(mended), tuple(changes), caught_up)


def changed(former: Row, row: Row) -> tuple[str, ...]:
    """Name the columns in which two rows differ."""
    return tuple(
        column
        for field, column in _COLUMNS.items()
        if getattr(former, field) != getattr(row, field)
    )


def doubled(coming: Sequence[Kept], standing: Sequence[Kept]) -> Iterator[Finding]:
    """Name the rows that would double or contradict what stays in the batch, or take its place.

    A row that may not join leaves the one standing that it would have mended, which others then may
    not double either.
    """
    if not standing:
        return
    joining, former = ({one.identity: one for one in rows} for rows in (coming, standing))
    yield from _misplaced(joining, standing)
    wanted = {claim: one for one in coming for claim in _claims(one)}
    named: dict[bytes, list[Kept]] = {}
    for one in coming:
        named.setdefault(one.person_key, []).append(one)
    staying = [one for one in standing if one.identity not in joining]
    while staying:
        for new, finding in _rivals(staying.pop(), wanted, named):
            if joining.pop(new.identity, None):
                yield finding
                staying += filter(None, [former.get(new.identity)])


def _misplaced(joining: dict[bytes, Kept], standing: Sequence[Kept]) -> Iterator[Finding]:
    """Take out the rows that would put somebody in another's place."""
    for one in standing:
        new = joining.get(one.identity)
        if new and not _is_the_same(one, new):
            del joining[one.identity]
            yield _replaces(new.row.row_number, one.row.row_number)


def _rivals(
    one: Kept, wanted: Mapping[tuple[str | bytes, ...], Kept], named: dict[bytes, list[Kept]]
) -> Iterator[tuple[Kept, Finding]]:
    """Give the rows of a file that cannot stand beside one of the batch; each name's once."""
    for column, claim in zip(("准考证号", "证件号码"), _claims(one), strict=True):
        if new := wanted.get(claim):
            yield new, _doubles(new.row.row_number, one.row.row_number, column)
    same = named.get(one.person_key)
    if same and same[0].row.name != one.row.name:  # in one file a person has one name
        for new in named.pop(one.person_key):
            yield new, _is_named_otherwise(new.row.row_number, one.row.row_number)


def _is_the_same(standing: Kept, new: Kept) -> bool:
    """Tell whether more than one thing speaks for a row being mended, and not taken by another."""
    if (standing.person_key, standing.row.project) == (new.person_key, new.row.project):
        return True
    agreeing = (
        identity.read(new.row.mark) == standing.identity,
        new.row.admission_number == standing.row.admission_number,
        new.row.name == standing.row.name,
    )
    return sum(agreeing) > 1


def _claims(one: Kept) -> tuple[tuple[str | bytes, ...], ...]:
    """What only one row of a batch may have."""
    return (one.row.admission_number,), (one.person_key, one.row.project)


def _numbered(
    added: Sequence[Kept], taken: Sequence[int], waiting: Mapping[bytes, int]
) -> Iterator[Kept]:
    """Give each new row its number; one that waits for a row keeps its own from others."""
    owners = dict.fromkeys(taken, b"")
    for waits, number in waiting.items():
        owners.setdefault(number, waits)
    free = count(max([*owners, *(one.row.row_number for one in added)], default=1) + 1)
    for one in added:
        own = waiting.get(one.identity, one.row.row_number)
        is_free = owners.setdefault(own, one.identity) == one.identity
        yield _under(one, own if is_free else next(free))


def _under(one: Kept, row_number: int) -> Kept:
    if one.row.row_number == row_number:
        return one
    row = msgspec.structs.replace(one.row, row_number=row_number)
    return Kept(one.identity, one.person_key, row)


def _replaces(sheet_row: int, row_number: int) -> Finding:
    return Finding(
        code="RowIsSomebodyElse",
        zh=f"与批次第 {row_number} 行只有准考证号或行标识相同，考生却不同。另一考生请更正准考证号、"
        "清空行标识；更正该行请分两次，先号码，后姓名。",
        en=f"Only admission number or mark are those of row {row_number} of the batch: mend them if"
        " this is somebody else, or mend that row in two steps, the document first.",
        row=sheet_row,
        column="准考证号",
    )


def _doubles(sheet_row: int, row_number: int, column: str) -> Finding:
    return Finding(
        code="DoubledInBatch",
        zh=f"批次第 {row_number} 行的{column}与此相同（同一项目），本表也未更正该行。请改正本行；"
        "有误的是该行时，把更正后的该行也写进本表。",
        en=f"Row {row_number} of the batch has the same and the file does not mend it: mend this"
        " row, or add that one to the file as it should be.",
        row=sheet_row,
        column=column,
    )


def _is_named_otherwise(sheet_row: int, row_number: int) -> Finding:
    return Finding(
        code="NamedOtherwiseInBatch",
        zh=f"批次第 {row_number} 行是同一证件号码、另一姓名，本表也未更正该行。请对照证件改正本行；"
        "有误的是该行时，把更正后的该行也写进本表。",
        en=f"Row {row_number} of the batch has the same document with another name and the file"
        " does not mend it: mend this row, or add that one to the file as it should be.",
        row=sheet_row,
        column="姓名",
    )
