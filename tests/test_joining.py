"""Joining: a file mends and completes an open batch, and nothing is doubled, lost or mixed up."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from service import wiring
from service.ground.errors import (
    BatchNotOpen,
    BatchTakesNoRows,
    BatchUnknown,
    FileImportedAlready,
    Finding,
)
from service.issuing import batches
from service.issuing.batches import joining, kept, left_out
from service.issuing.batches.identity import Counts, Reader
from service.issuing.batches.kept import Kept
from service.issuing.batches.left_out import LeftOut
from service.issuing.batches.rows import Refused, Row
from service.issuing.batches.uploads import Outcome, Taken
from service.paper import tracing
from service.registry.people import IdKind
from service.registry.vault import Lookup
from tests import invented
from tests.world import CHENGDU, MIANYANG, World, batch_facts, rows

OPERATOR = f"operator-{CHENGDU}"
EMPTY = Finding(code="CellEmpty", zh="空", en="empty", row=3, column="证件号码")


def wrong(row: Row, *, code: str = "CellEmpty", **told: str | None) -> Refused:
    """The same row as if one of its cells were wrong."""
    finding = replace(EMPTY, code=code, row=row.row_number)
    return replace(row.refused([finding]), said=(*row.said[:-1], code), **told)


async def imported(
    world: World,
    good: Sequence[Row],
    refused: Sequence[Refused] = (),
    *,
    uscc: str = invented.INSTITUTION,
) -> Taken:
    """Import a batch of Chengdu, keeping the good rows."""
    async with world.desk(OPERATOR) as desk, desk.acting():
        incoming = world.incoming(good, refused=refused, keep_good=True)
        return await world.upload_at(desk, CHENGDU, incoming, uscc=uscc)


async def joined(
    world: World,
    batch_id: int | None,
    good: Sequence[Row],
    refused: Sequence[Refused] = (),
    *,
    keep_good: bool = False,
    by: str = OPERATOR,
) -> Taken:
    """Let rows join a batch in an act of its own."""
    async with world.desk(by) as desk, desk.acting():
        return await world.join_at(desk, batch_id or 0, good, refused=refused, keep_good=keep_good)


async def standing(world: World, batch_id: int | None) -> dict[int, Row]:
    """The rows of a batch by number, marks taken off, once their keys are found to be right."""
    vault = wiring.vault(world.settings)
    async with world.connection() as connection:
        found = await kept.of_batch(connection, vault, batch_id or 0)
        phones = await connection.fetch(
            "select person_key, phone_key from result where batch_id = $1 order by row_number",
            batch_id,
        )
    for one, (person_key, phone_key) in zip(found, phones, strict=True):
        assert one.person_key == vault.person_key(one.row.id_kind, one.row.id_number) == person_key
        assert one.row.phone is None or phone_key == vault.phone_key(person_key, one.row.phone[-4:])
    return {one.row.row_number: one.row for one in found}


async def left(world: World, batch_id: int | None) -> list[LeftOut]:
    async with world.desk(OPERATOR) as desk, desk.acting():
        return await left_out.of_batch(desk.connection, batch_id or 0)


async def former(world: World) -> list[tuple[int, str]]:
    """Rows that were mended, with the name that each had."""
    async with world.connection() as connection:
        found = await connection.fetch(
            "select row_number, former ->> 'name' as name from result_before order by mended_by, 1"
        )
    return [(one["row_number"], one["name"]) for one in found]


def codes(taken: Taken) -> list[tuple[str, int | None]]:
    return [(error.code, error.row) for error in taken.errors]


def numbered(people: Sequence[Row], *numbers: int) -> list[Row]:
    return [replace(row, row_number=number) for row, number in zip(people, numbers, strict=True)]


# What a file changes.


async def test_rows_that_have_not_changed_stay_untouched(world: World) -> None:
    people = rows(3)
    batch_id = (await imported(world, people)).batch_id
    before = await standing(world, batch_id)
    taken = await joined(world, batch_id, numbered(people[1:], 7, 8))
    assert (taken.outcome, taken.counts) == (Outcome.JOINED, Counts(0, 0, 2, 1))
    assert (taken.mended, await standing(world, batch_id), await former(world)) == ((), before, [])


async def test_a_mended_row_keeps_its_number_and_its_former_version(world: World) -> None:
    people = rows(3)
    batch_id = (await imported(world, people)).batch_id
    one = replace(people[1], name="王小伟", total=Decimal("91.5"), phone=None, row_number=2)
    taken = await joined(world, batch_id, [one])
    assert taken.counts == Counts(0, 1, 0, 2)
    (mended,) = taken.mended
    assert (mended.row_number, mended.sheet_row) == (3, 2)
    assert mended.columns == ("姓名", "手机号码", "总成绩")
    assert (await standing(world, batch_id))[3] == replace(one, row_number=3)
    assert await former(world) == [(3, people[1].name)]
    await joined(world, batch_id, [replace(one, name="王大伟")])
    assert await former(world) == [(3, people[1].name), (3, "王小伟")]


async def test_new_rows_take_their_own_numbers_where_these_are_free(world: World) -> None:
    people = rows(6)
    batch_id = (await imported(world, people[:2])).batch_id
    taken = await joined(world, batch_id, numbered(people[2:], 2, 3, 9, 5))
    assert taken.counts == Counts(4, 0, 0, 2)
    found = await standing(world, batch_id)
    assert {number: row.name for number, row in found.items()} == dict(
        zip((2, 3, 10, 11, 9, 5), [row.name for row in people], strict=True)
    )


async def test_a_row_left_out_joins_under_its_own_number_and_stays_listed(world: World) -> None:
    people = rows(4)
    first = await imported(world, [people[0], people[3]], [wrong(people[1]), wrong(people[2])])
    batch_id = first.batch_id
    fresh = replace(rows(1, serial=70)[0], row_number=3)
    taken = await joined(world, batch_id, [fresh, replace(people[1], row_number=2)])
    assert (taken.counts, taken.caught_up) == (Counts(1, 1, 0, 3), 1)
    assert list(await standing(world, batch_id)) == [2, 3, 5, 6]  # 4 waits for whose it is
    one, other = await left(world, batch_id)
    assert (one.row_number, one.joined_row, one.joined_by) == (3, 3, OPERATOR)
    assert (other.row_number, other.joined_row, other.joined_by) == (4, None, None)
    assert one.chosen_by == OPERATOR
    assert one.findings == [replace(EMPTY, row=3)]
    async with world.desk(OPERATOR) as desk, desk.acting():
        assert (await batches.find(desk.connection, batch_id or 0)).left_out_count == 1


async def test_a_row_left_out_again_is_listed_with_its_new_errors_beside_the_old(
    world: World,
) -> None:
    people = rows(3)
    batch_id = (await imported(world, people[:2], [wrong(people[2])])).batch_id
    again = wrong(people[2], code="IdCheckWrong")
    refused = await joined(world, batch_id, people[:2], [again])
    assert (refused.outcome, codes(refused)) == (Outcome.REFUSED, [("IdCheckWrong", 4)])
    taken = await joined(world, batch_id, people[:2], [again], keep_good=True)
    assert (taken.outcome, taken.counts) == (Outcome.JOINED, Counts(0, 1, 2, 0))
    found = [(one.row_number, one.findings[0].code) for one in await left(world, batch_id)]
    assert found == [(4, "CellEmpty"), (4, "IdCheckWrong")]
    done = await joined(world, batch_id, people)
    assert {one.joined_row for one in await left(world, batch_id)} == {4}
    assert (done.caught_up, len(await standing(world, batch_id))) == (1, 3)


async def test_a_row_of_the_batch_that_comes_back_wrong_stays_as_it_was_and_is_listed(
    world: World,
) -> None:
    people = rows(2)
    batch_id = (await imported(world, people)).batch_id
    before = await standing(world, batch_id)
    await joined(world, batch_id, people[:1], [wrong(people[1])], keep_good=True)
    assert await standing(world, batch_id) == before
    await joined(world, batch_id, [people[1]])
    assert [one.joined_row for one in await left(world, batch_id)] == [3]


async def test_a_refused_file_changes_nothing_and_is_recorded(world: World) -> None:
    people = rows(3)
    batch_id = (await imported(world, people)).batch_id
    before = await standing(world, batch_id)
    taken = await joined(world, batch_id, [replace(people[0], name="李四")], [wrong(people[1])])
    assert (taken.outcome, taken.batch_id) == (Outcome.REFUSED, batch_id)
    assert taken.counts == Counts(0, 2, 0, 1)
    assert (await standing(world, batch_id), await former(world)) == (before, [])
    assert await left(world, batch_id) == []


# Who is who.


async def test_people_may_change_places_and_numbers_in_one_file(world: World) -> None:
    people = rows(3)
    batch_id = (await imported(world, people)).batch_id
    rotated = [
        replace(row, admission_number=other.admission_number)
        for row, other in zip(people, people[1:] + people[:1], strict=True)
    ]
    taken = await joined(world, batch_id, rotated)
    assert [mended.columns for mended in taken.mended] == [("准考证号",)] * 3
    assert await standing(world, batch_id) == {row.row_number: row for row in rotated}
    back = numbered(people, 4, 3, 2)
    assert (await joined(world, batch_id, back)).counts == Counts(0, 3, 0, 0)
    assert await standing(world, batch_id) == {row.row_number: row for row in people}


async def test_two_rows_may_swap_documents(world: World) -> None:
    one, two = rows(2)
    batch_id = (await imported(world, [one, two])).batch_id
    fields = ("id_kind", "id_number")
    swapped = [
        replace(a, **{field: getattr(b, field) for field in fields})
        for a, b in ((one, two), (two, one))
    ]
    assert (await joined(world, batch_id, swapped)).outcome is Outcome.JOINED
    found = [(row.name, row.id_number) for row in (await standing(world, batch_id)).values()]
    assert sorted(found) == sorted([(one.name, two.id_number), (two.name, one.id_number)])


async def test_a_document_is_mended_in_its_row_and_its_keys_with_it(world: World) -> None:
    one, two = rows(2)
    batch_id = (await imported(world, [one, two])).batch_id
    passport = replace(one, id_kind=IdKind.PASSPORT, id_number="E7654321")
    taken = await joined(world, batch_id, [passport, two])
    assert [mended.columns for mended in taken.mended] == [("证件类型", "证件号码")]
    assert (await standing(world, batch_id))[2] == passport


async def test_marks_that_went_astray_are_not_believed(world: World) -> None:
    people = rows(4)
    batch_id = (await imported(world, people)).batch_id
    marks = list((await joined(world, batch_id, people, [wrong(rows(5)[4])])).marks.values())
    shuffled = [replace(row, mark=mark) for row, mark in zip(people, marks[1:], strict=True)]
    assert (await joined(world, batch_id, shuffled)).counts == Counts(0, 0, 4, 0)
    copied = replace(rows(1, serial=80)[0], mark=marks[0], row_number=6)
    taken = await joined(world, batch_id, [*people, copied])
    assert taken.counts == Counts(1, 0, 4, 0)
    elsewhere = (await imported(world, rows(1, serial=60), [wrong(rows(2, serial=60)[1])])).marks
    for place, mark in enumerate([elsewhere[2], "0" * 16, "zz", "=1+1", " " * 99]):
        forged = replace(rows(1, serial=90 + place)[0], mark=mark, row_number=20 + place)
        assert (await joined(world, batch_id, [forged])).counts.new == 1
    assert [row.name for row in (await standing(world, batch_id)).values()][:4] == [
        row.name for row in people
    ]


async def test_nobody_is_put_in_another_persons_place(world: World) -> None:
    people = rows(2)
    taken = await imported(world, people, [wrong(rows(3)[2])])
    stranger = rows(1, serial=50)[0]
    for taken_over in ({"mark": taken.marks[2]}, {"admission_number": people[0].admission_number}):
        refused = await joined(world, taken.batch_id, [replace(stranger, **taken_over)])
        assert codes(refused) == [("RowIsSomebodyElse", 2)]
        assert (await standing(world, taken.batch_id))[2] == people[0]
    both = replace(stranger, mark=taken.marks[2], admission_number=people[0].admission_number)
    assert (await joined(world, taken.batch_id, [both])).outcome is Outcome.JOINED
    assert (await standing(world, taken.batch_id))[2].name == stranger.name


async def test_a_row_of_which_nothing_could_be_read_is_known_by_its_mark(world: World) -> None:
    people = rows(3)
    blank = [
        replace(wrong(row), admission_number=None, id_number=None, project=None)
        for row in people[1:]
    ]
    taken = await imported(world, people[:1], blank)
    assert len(set(taken.marks.values())) == 3
    mended = replace(people[2], mark=taken.marks[4].upper() + " ", row_number=2)
    done = await joined(world, taken.batch_id, [mended])
    assert (done.caught_up, list(await standing(world, taken.batch_id))) == (1, [2, 4])


async def test_nothing_stands_twice_in_a_batch(world: World) -> None:
    people = rows(4)
    batch_id = (await imported(world, people)).batch_id
    taken = await joined(
        world, batch_id, [replace(people[0], admission_number=people[1].admission_number)]
    )
    assert codes(taken) == [("DoubledInBatch", 2)]
    chain = [
        replace(people[0], admission_number=people[1].admission_number),
        replace(people[1], admission_number=people[2].admission_number),
        replace(people[2], admission_number=people[3].admission_number),
    ]
    assert len((await joined(world, batch_id, chain)).errors) == 3
    taken = await joined(world, batch_id, [*chain, rows(5)[4]], keep_good=True)
    assert (taken.outcome, taken.good_count, taken.wrong_count) == (Outcome.JOINED, 1, 3)
    found = await standing(world, batch_id)
    assert [row.admission_number for row in found.values()] == [
        row.admission_number for row in rows(5)
    ]


async def test_one_person_does_not_get_two_names_by_two_files(world: World) -> None:
    one, two, stranger = rows(3)
    other = replace(one, project="火锅调味制作", admission_number="ZK7", row_number=9)
    batch_id = (await imported(world, [one, two])).batch_id
    renamed = replace(other, name="李四")
    taken = await joined(world, batch_id, [renamed, stranger], keep_good=True)
    assert (codes(taken), taken.good_count) == ([("NamedOtherwiseInBatch", 9)], 1)
    assert "第 2 行" in taken.errors[0].zh
    both = [replace(one, name="李四"), replace(two, admission_number=one.admission_number), renamed]
    assert (await joined(world, batch_id, both[1:])).outcome is Outcome.REFUSED
    await joined(world, batch_id, [both[0], renamed])
    assert [row.name for row in (await standing(world, batch_id)).values()] == [
        "李四", two.name, stranger.name, "李四",
    ]  # fmt: skip
    half = await joined(world, batch_id, [replace(renamed, name=one.name)])
    assert codes(half) == [("NamedOtherwiseInBatch", 9)]


async def test_a_row_of_another_project_of_the_same_person_is_another_row(world: World) -> None:
    person = rows(1)[0]
    batch_id = (await imported(world, [person])).batch_id
    other = replace(person, project="火锅调味制作", admission_number="ZK7", row_number=2)
    assert (await joined(world, batch_id, [other])).counts == Counts(1, 0, 0, 1)
    mended = replace(person, project="四川泡菜制作")
    assert [one.columns for one in (await joined(world, batch_id, [mended])).mended] == [
        ("专项职业能力名称",)
    ]


async def test_who_is_certified_meanwhile_or_stands_in_another_batch_does_not_join(
    world: World,
) -> None:
    people = rows(3)
    batch_id = (await imported(world, people[:1])).batch_id
    other = (await imported(world, [people[1]])).batch_id
    await world.approved(MIANYANG, 1, serial=40)
    certified = replace(rows(1, serial=40)[0], row_number=9)
    taken = await joined(world, batch_id, [*people, certified], keep_good=True)
    assert codes(taken) == [("PersonCertifiedAlready", 9), ("ResultInOtherBatch", 3)]
    assert f"--batch {other}" in taken.errors[1].zh
    assert list(await standing(world, batch_id)) == [2, 4]


async def test_a_batch_from_before_rows_had_identities_is_mended_too(world: World) -> None:
    people = rows(2)
    batch_id = (await imported(world, people)).batch_id
    async with world.connection() as connection:
        await connection.execute(
            "alter table result disable trigger result_is_mended, drop constraint result_known;"
            "update result set upload_id = null,"
            " row_key = substr(sha256(int8send(batch_id) || int4send(row_number)), 1, 10);"
            "alter table result enable trigger result_is_mended, add constraint result_known"
            " check (num_nonnulls(row_key, upload_id) = 2) not valid"
        )
    taken = await joined(world, batch_id, [replace(people[0], remark="补考"), people[1]])
    assert taken.counts == Counts(0, 1, 1, 0)
    assert (await standing(world, batch_id))[2].remark == "补考"


async def test_a_certificate_tells_which_files_brought_and_mended_its_row(world: World) -> None:
    people = rows(3)
    batch_id = (await imported(world, people[:2])).batch_id or 0
    await joined(world, batch_id, [replace(people[0], remark="一"), people[2]])
    await joined(world, batch_id, [replace(people[0], remark="二")])
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    joins = []
    for number in (await world.approve(CHENGDU, batch_id)).numbers:
        async with world.desk(OPERATOR) as desk, desk.acting():
            story = await tracing.story(desk.connection, desk.actor, number)
        joins.append([one.act for one in story.certificates[0].events].count("batch:join"))
    assert joins == [2, 0, 1]


# Which batch.


async def test_only_an_open_batch_of_ones_own_city_is_joined(world: World) -> None:
    people = rows(2)
    batch_id = await world.import_rows(CHENGDU, people)
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    mended = [replace(people[0], remark="更正")]
    with pytest.raises(BatchUnknown):
        await joined(world, batch_id, mended, by=f"operator-{MIANYANG}")
    with pytest.raises(BatchUnknown):
        await joined(world, batch_id + 1, mended)
    await world.submit(CHENGDU, batch_id)
    with pytest.raises(BatchTakesNoRows, match="batch return"):
        await joined(world, batch_id, mended)
    async with world.desk(f"reviewer-{CHENGDU}") as desk, desk.acting():
        await batches.return_(desk.connection, desk.actor, batch_id, "备注有误")
    assert (await joined(world, batch_id, mended)).outcome is Outcome.JOINED
    await world.submit(CHENGDU, batch_id)
    await world.approve(CHENGDU, batch_id)
    with pytest.raises(BatchTakesNoRows, match="approved"):
        await joined(world, batch_id, mended)
    gone = await world.import_rows(CHENGDU, rows(1, serial=30))
    async with world.desk(OPERATOR) as desk, desk.acting():
        await batches.withdraw(desk.connection, desk.actor, gone, "选错")
    with pytest.raises(BatchTakesNoRows, match="withdrawn"):
        await joined(world, gone, rows(1, serial=30))


async def test_a_file_joins_its_own_batch_again_and_no_other(world: World) -> None:
    one = (await imported(world, rows(2))).batch_id
    two = (await imported(world, rows(2, serial=30))).batch_id
    assert (await joined(world, one, rows(3))).counts == Counts(1, 0, 2, 0)
    assert (await joined(world, one, rows(3))).counts == Counts(0, 0, 3, 0)
    with pytest.raises(FileImportedAlready, match=rf"\b{one}\b"):
        await joined(world, two, rows(3))
    with pytest.raises(FileImportedAlready, match=rf"\b{one}\b"):
        await world.import_rows(CHENGDU, rows(3))


async def test_two_who_join_at_once_do_so_one_after_the_other(world: World) -> None:
    people = rows(4)
    batch_id = (await imported(world, people[:2])).batch_id
    async with world.desk(OPERATOR) as desk, desk.acting():
        first = await world.join_at(desk, batch_id or 0, people[2:])
        waiting = asyncio.create_task(
            joined(world, batch_id, [replace(people[2], remark="更正"), people[3]])
        )
        await world.until_somebody_waits()
    second = await waiting
    assert (first.counts, second.counts) == (Counts(2, 0, 0, 2), Counts(0, 1, 1, 2))
    assert len(await standing(world, batch_id)) == 4


async def test_who_submits_waits_for_who_joins_and_the_other_way(world: World) -> None:
    people = rows(3)
    batch_id = (await imported(world, people[:2])).batch_id or 0
    async with world.desk(OPERATOR) as desk, desk.acting():
        await world.join_at(desk, batch_id, people[2:])
        submitting = asyncio.create_task(world.submit(CHENGDU, batch_id))
        await world.until_somebody_waits()
    await submitting
    with pytest.raises(BatchTakesNoRows):
        await joined(world, batch_id, people)
    with pytest.raises(BatchNotOpen):
        await world.submit(CHENGDU, batch_id)


# Whatever comes.

_FEW = st.integers(0, 4)
# Number, person, wrong, mark, project.
_LINE = st.tuples(_FEW, _FEW, st.booleans(), st.integers(-1, 6), st.booleans())
_Line = tuple[int, int, bool, int, bool]
_READER = Reader(Lookup(bytes(32)), CHENGDU, invented.INSTITUTION, bytes(32))
_ONE = rows(1)[0]


def _sheet(lines: Sequence[_Line], marks: Sequence[str], spelling: str) -> list[Row]:
    """Rows of a file in which no number and no person stands twice, nor with two names."""
    numbers, persons = set[int](), set[tuple[int, bool]]()
    found = []
    for row_number, (number, person, _, mark, project) in enumerate(lines, start=2):
        if number not in numbers and (person, project) not in persons:
            numbers.add(number)
            persons.add((person, project))
            row = replace(
                _ONE, row_number=row_number, admission_number=f"ZK{number}",
                name=f"{spelling}{person}", id_number=f"E000{person}", project=f"项目{project}",
                mark=marks[mark] if 0 <= mark < len(marks) else None,
            )  # fmt: skip
            found.append(row)
    return found


@settings(max_examples=500, deadline=None)
@given(st.lists(_LINE, max_size=5), st.lists(_LINE, max_size=5), st.sampled_from("人仁"))
def test_whatever_joins_whatever_nothing_is_doubled_and_nothing_lost(
    earlier: list[_Line], later: list[_Line], spelling: str
) -> None:
    before, left = [], {}
    people = _sheet(earlier, [], "人")
    known = _READER.identify([_READER.line(row) for row in people], [])
    for row, trace, is_wrong in zip(people, known, (line[2] for line in earlier), strict=False):
        if is_wrong:
            left[trace.identity] = row.row_number
        else:
            before.append(Kept(trace.identity, row.id_number.encode(), row))
    file = _sheet(later, [trace.mark for trace in known], spelling)
    traces = _READER.identify([_READER.line(row) for row in file], known)
    assert len({trace.identity for trace in traces}) == len(file)
    coming = [
        Kept(trace.identity, row.id_number.encode(), row)
        for row, trace in zip(file, traces, strict=True)
    ]
    refused = {finding.row for finding in joining.doubled(coming, before)}
    joining_rows = [one for one in coming if one.row.row_number not in refused]
    plan = joining.plan(joining_rows, before, left)
    after = {one.row.row_number: one for one in before}
    assert not after.keys() & {one.row.row_number for one in plan.added}
    assert all(after[one.row.row_number].identity == one.identity for one in plan.mended)
    after |= {one.row.row_number: one for one in (*plan.added, *plan.mended)}
    assert len(after) == len(before) + len(plan.added)
    assert len({one.row.admission_number for one in after.values()}) == len(after)
    assert len({(one.person_key, one.row.project) for one in after.values()}) == len(after)
    names = {(one.person_key, one.row.name) for one in after.values()}
    assert len(names) == len({person for person, _ in names})
    assert {one.identity for one in before} <= {one.identity for one in after.values()}
    for one in joining_rows:
        assert one.person_key in {kept.person_key for kept in after.values()}
