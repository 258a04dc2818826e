"""Uploads: every file that came in is listed, compared with the one before, kept or refused."""

import asyncio
import csv
import datetime
import io
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import python_calamine as calamine
import xlsxwriter
from msgspec.structs import replace

from service.ground import db
from service.ground.errors import (
    ActNotGranted,
    BatchNotOpen,
    Finding,
    HistoryChanged,
    InstitutionUnknown,
    NotYourCity,
    Refusal,
)
from service.issuing import batches
from service.issuing.batches import left_out, uploads
from service.issuing.batches.identity import Counts
from service.issuing.batches.rows import Refused, Row
from service.issuing.batches.uploads import Compared, Outcome, Taken, Upload
from service.issuing.sheets.layouts import COLUMNS, MARK
from service.registry.institutions import Institution
from tests import invented
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.test_joining import codes, imported, joined, left, standing, wrong
from tests.world import CHENGDU, DAILY, EXAM_ON, MIANYANG, SECRET, World, batch_facts, rows

OPERATOR = f"operator-{CHENGDU}"
USCC = "91510700MA62345677"
DAY = datetime.timedelta(days=1)


async def upload(
    world: World,
    good: Sequence[Row],
    refused: Sequence[Refused] = (),
    *,
    uscc: str = invented.INSTITUTION,
    keep_good: bool = False,
    errors: Sequence[Finding] = (),
    by: str = OPERATOR,
) -> Taken:
    async with world.desk(by) as desk, desk.acting():
        incoming = world.incoming(good, refused=refused, keep_good=keep_good, errors=errors)
        return await world.upload_at(desk, desk.actor.city_code, incoming, uscc=uscc)


async def recent(world: World, batch_id: int | None = None, *, by: str = OPERATOR) -> list[Upload]:
    async with world.desk(by) as desk, desk.acting():
        return await uploads.recent(desk.connection, batch_id)


async def counted(world: World, table: str) -> int:
    async with world.connection() as connection:
        found: int = await connection.fetchval(f"select count(*) from {table}")  # noqa: S608 - own
        return found


# Refused and compared.


async def test_a_refused_file_leaves_a_record_a_journal_entry_and_nothing_else(
    world: World,
) -> None:
    people = rows(3)
    taken = await upload(world, people[:2], [wrong(people[2])])
    assert (taken.outcome, taken.batch_id, taken.good_count) == (Outcome.REFUSED, None, 2)
    assert codes(taken) == [("CellEmpty", 4)]
    (told,) = await recent(world)
    assert (told.outcome, told.row_count, told.good_count) == (Outcome.REFUSED, 3, 2)
    assert (told.file_name, told.file_form, told.uploaded_by) == ("results.xlsx", "xlsx", OPERATOR)
    for table in ("batch", "result", "left_out"):
        assert await counted(world, table) == 0
    async with world.connection() as connection:
        entry = await connection.fetchrow("select * from journal order by at desc limit 1")
        kept = await connection.fetchval("select marks from upload")
    assert entry is not None
    assert (entry["act"], entry["subject"]) == ("batches:upload:refuse", str(told.upload_id))
    assert len(kept) == 120
    for row in people:
        for word in (row.name, row.id_number, row.admission_number):
            assert word not in str(entry["detail"])
            assert word.encode() not in kept


async def test_the_next_file_is_told_what_is_new_mended_unchanged_and_gone(world: World) -> None:
    people = rows(5)
    first = await upload(world, people[:3], [wrong(people[3])])
    assert (first.compared_with, first.counts) == (Compared.NOTHING, Counts(4, 0, 0, 0))
    again = await upload(
        world, [*people[1:3], replace(people[4], row_number=2)], [wrong(people[3])]
    )
    assert (again.compared_with, again.counts) == (Compared.UPLOAD, Counts(1, 0, 3, 1))
    assert {again.marks[row] for row in (3, 4, 5)} == {first.marks[row] for row in (3, 4, 5)}
    mended = [people[0], replace(people[1], name="王小伟"), *people[2:]]
    last = await upload(world, mended)
    assert (last.outcome, last.counts) == (Outcome.IMPORTED, Counts(1, 2, 2, 0))


async def test_a_wrong_row_of_which_another_cell_has_changed_is_not_unchanged(world: World) -> None:
    one, two = rows(2)
    counted_as = []
    for changed in (two, replace(two, phone="13900000000"), replace(two, phone="13900000000")):
        counts = (await upload(world, [one], [wrong(changed)])).counts
        counted_as.append((counts.mended, counts.unchanged))
    assert counted_as == [(0, 0), (1, 1), (0, 2)]


async def test_a_mended_document_or_number_does_not_make_a_row_new(world: World) -> None:
    people = rows(4)
    no_number, bad = wrong(people[2], admission_number=None), wrong(people[3], id_number="123")
    first = await upload(world, people[:2], [no_number, bad])
    mended = [
        replace(people[0], admission_number="NEW1"),
        replace(people[1], id_number=rows(9)[8].id_number),
        *people[2:],
    ]
    taken = await upload(world, mended)
    assert (taken.counts, len(set(first.marks.values()))) == (Counts(0, 4, 0, 0), 4)


async def test_files_are_compared_with_what_may_still_be_mended_of_ones_own(world: World) -> None:
    await world.record(
        OPERATOR,
        Institution(uscc=USCC, institution_name="另一学校", valid_from=datetime.date(2024, 1, 1)),
    )
    people = rows(4)
    await upload(world, people[:3], [wrong(people[3])])
    for other in (
        await upload(world, people[:2], [wrong(people[3])], uscc=USCC),
        await upload(world, people[:2], [wrong(people[3])], by=f"operator-{MIANYANG}"),
        await upload(world, rows(3, serial=50)),
    ):
        assert other.compared_with is Compared.NOTHING
    await world.approved(serial=100)
    taken = await upload(world, rows(3, serial=100, exam_on=EXAM_ON + DAY), [wrong(rows(4)[3])])
    assert taken.compared_with is Compared.NOTHING
    assert len(await recent(world)) == 5
    assert len(await recent(world, by=f"operator-{MIANYANG}")) == 1


# Kept, with rows left out.


async def test_good_rows_are_kept_by_choice_and_the_others_listed_with_who_chose(
    world: World,
) -> None:
    people = rows(4)
    number = (await world.approved(MIANYANG, 1, serial=70)).numbers[0]
    certified = replace(rows(1, serial=70)[0], row_number=9)
    document = wrong(people[3], admission_number=people[3].id_number)
    taken = await upload(world, [*people[:3], certified], [document], keep_good=True)
    assert (taken.outcome, taken.good_count, taken.wrong_count) == (Outcome.IMPORTED, 3, 2)
    assert list(await standing(world, taken.batch_id)) == [2, 3, 4]
    one, two = await left(world, taken.batch_id)
    assert (one.row_number, one.chosen_by, one.joined_row) == (5, OPERATOR, None)
    assert people[3].id_number not in str(one)
    assert (two.row_number, two.findings[0].code) == (9, "PersonCertifiedAlready")
    assert number in two.reasons
    async with world.desk(OPERATOR) as desk, desk.acting():
        (batch,) = await batches.recent(desk.connection)
    assert (batch.row_count, batch.left_out_count) == (3, 2)
    refused = await upload(world, rows(1, serial=80), [wrong(rows(2, serial=80)[1])])
    assert refused.outcome is Outcome.REFUSED


async def test_nothing_is_kept_without_a_good_row_or_around_what_concerns_the_whole_sheet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = rows(3)
    whole = Finding(code="ColumnMissing", zh="缺列", en="missing")
    for good, refused, errors in (([], [wrong(people[0])], []), ([], [], [whole])):
        taken = await upload(world, good, refused, errors=errors, keep_good=True)
        assert (taken.outcome, taken.batch_id) == (Outcome.REFUSED, None)
    monkeypatch.setattr("service.issuing.sheets.cells.FINDINGS_MAX", 1)
    many = [wrong(people[1]), wrong(people[2])]
    assert (await upload(world, people[:1], many, keep_good=True)).outcome is Outcome.REFUSED
    kept = await upload(world, people[:2], many[1:], keep_good=True)
    assert kept.outcome is Outcome.IMPORTED


async def test_an_institution_that_nobody_recorded_and_a_role_without_grant_upload_nothing(
    world: World,
) -> None:
    with pytest.raises(InstitutionUnknown):
        await upload(world, rows(1), uscc=USCC)
    for role in ("reviewer", "keeper", "auditor"):
        with pytest.raises(ActNotGranted):
            await upload(world, rows(1), [wrong(rows(2)[1])], by=f"{role}-{CHENGDU}")
    assert await counted(world, "upload") == 0


# Results that stand elsewhere.


async def test_a_result_that_stands_in_an_undecided_batch_is_named_with_its_batch(
    world: World,
) -> None:
    people = rows(3)
    batch_id = await world.import_rows(CHENGDU, people[:2])
    taken = await upload(world, people)
    assert codes(taken) == [("ResultInOtherBatch", 2), ("ResultInOtherBatch", 3)]
    assert f"--batch {batch_id}" in taken.errors[0].zh
    assert "batch return" not in taken.errors[0].zh
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    submitted = await upload(world, [people[1], people[2]])
    assert "batch return" in submitted.errors[0].zh
    for free in (
        await upload(world, rows(2, exam_on=EXAM_ON + DAY)),
        await upload(world, people[:1], by=f"operator-{MIANYANG}"),
    ):
        assert free.outcome is Outcome.IMPORTED


async def test_what_was_withdrawn_stands_in_nobodys_way(world: World) -> None:
    batch_id = await world.import_rows(CHENGDU, rows(2))
    async with world.desk(OPERATOR) as desk, desk.acting():
        await batches.withdraw(desk.connection, desk.actor, batch_id, "选错")
    assert (await upload(world, rows(3))).outcome is Outcome.IMPORTED


async def test_of_two_files_with_the_same_person_at_once_one_sees_the_other(world: World) -> None:
    async with world.desk(OPERATOR) as desk, desk.acting():
        await world.import_at(desk, CHENGDU, rows(2))
        waiting = asyncio.create_task(upload(world, rows(3)))
        await world.until_somebody_waits()
    assert [code for code, _ in codes(await waiting)] == ["ResultInOtherBatch"] * 2


# The last guard.


_ROW = (
    "insert into result (batch_id, row_number, city_code, row_key, upload_id, admission_number,"
    " name, sex, id_kind, id_encrypted, person_key, born_on, project_name, exam_on, total, passed,"
    " remark) select {batch}, 99, {city}, substr(sha256('x'), 1, 10), {upload}, 'ZK99', name, sex,"
    " id_kind, id_encrypted, sha256('x'), born_on, project_name, exam_on, total, passed, remark"
    " from result limit 1"
)
_LEFT = (
    "insert into left_out (upload_id, row_key, city_code, batch_id, row_number, findings, trace)"
    " select 1, substr(sha256('y'), 1, 10), city_code, 1, 7, findings, trace from left_out limit 1"
)
_FORBIDDEN: list[tuple[str, type[Refusal]]] = [
    ("update upload set outcome = 'refused'", NotYourCity),
    ("delete from upload", NotYourCity),
    ("delete from left_out", NotYourCity),
    ("update left_out set findings = '[1]'", NotYourCity),
    ("update left_out set joined_by = 2", HistoryChanged),
    ("update left_out set joined_by = null", HistoryChanged),
    ("delete from result", NotYourCity),
    ("update result set row_number = 9", NotYourCity),
    ("update result set row_key = null", NotYourCity),
    ("update result set total = 100", HistoryChanged),
    ("update result set total = 100, upload_id = 1", HistoryChanged),
    ("update result set total = 100, upload_id = 3 where batch_id = 1", BatchNotOpen),
    ("insert into result_before (batch_id, row_number, city_code, mended_by, former)"
     " values (1, 2, '510100', 1, '{}')", NotYourCity),
    (_ROW.format(batch=1, city="'510100'", upload=3), BatchNotOpen),
    (_ROW.format(batch=1, city="'510700'", upload=1), NotYourCity),
    (_ROW.format(batch=2, city="'510100'", upload=3), BatchNotOpen),
    (_LEFT.replace("select 1", "select 3"), BatchNotOpen),
    (_LEFT.replace("select 1", "select 3").replace("city_code, 1", "city_code, 2"), BatchNotOpen),
    ("update left_out set joined_by = 3 where batch_id = 2", HistoryChanged),
]  # fmt: skip
_OWNERS = [
    "update upload set outcome = 'refused'",
    "delete from upload",
    "truncate upload cascade",
    "delete from left_out",
    "truncate left_out",
    "update left_out set findings = '[1]'",
    "update result_before set former = '{}'",
    "delete from result_before",
    "truncate result_before",
    "delete from result",
    "update result set row_key = null",
]


async def test_the_database_lets_nobody_change_what_came_in(world: World) -> None:
    people = rows(3)
    batch_id = (await imported(world, people[:2], [wrong(people[2])])).batch_id or 0
    await joined(world, batch_id, [replace(people[0], remark="更正"), people[2]])
    other = (await imported(world, rows(1, serial=50), [wrong(rows(2, serial=50)[1])])).batch_id
    await world.record(OPERATOR, *batch_facts(other or 0).values())
    await world.submit(CHENGDU, other or 0)
    tables = ("upload", "result", "result_before", "left_out")
    before = [await counted(world, table) for table in tables]
    assert before == [3, 4, 1, 2]
    async with world.desk(OPERATOR) as desk:
        for statement, refusal in _FORBIDDEN:
            with pytest.raises(refusal):
                async with desk.acting():
                    await desk.connection.execute(statement)
        for statement in _OWNERS:
            with pytest.raises(HistoryChanged), db.refusing():
                await desk.connection.execute(statement)
    assert [await counted(world, table) for table in tables] == before


async def test_another_city_sees_nothing_of_what_came_in(world: World) -> None:
    people = rows(3)
    batch_id = (await imported(world, people[:2], [wrong(people[2])])).batch_id or 0
    await joined(world, batch_id, [replace(people[0], remark="更正")])
    async with world.desk(f"operator-{MIANYANG}") as desk, desk.acting():
        assert await uploads.recent(desk.connection) == []
        assert await left_out.of_batch(desk.connection, batch_id) == []
        for table in ("upload", "result", "result_before", "left_out"):
            assert not await desk.connection.fetchval(f"select count(*) from {table}")  # noqa: S608 - own
        for statement in (
            "update result set total = 1, upload_id = 2",
            "update left_out set joined_by = 2",
        ):
            assert await desk.connection.execute(statement) == "UPDATE 0"


# Cut off.


@pytest.mark.parametrize(
    "point",
    [
        "after write 1",
        *(
            pytest.param(point, marks=pytest.mark.long)
            for point in ("after add_batch 1", "after add_upload 1", "after add_results 1")
        ),
    ],
)
def test_an_import_that_is_killed_leaves_nothing_and_comes_again(
    world: World, tmp_path: Path, point: str
) -> None:
    path, secret_file = tmp_path / "results.xlsx", tmp_path / "secret"
    invented.write_workbook(path, invented.candidates(3, project=DAILY, exam_on=EXAM_ON))
    secret_file.write_text(SECRET)
    environment = {name: os.environ[name] for name in os.environ if name[:7] != "QIANFA_"} | {
        f"QIANFA_{name.upper()}": str(getattr(world.settings, name))
        for name in ("var", "database_url", "keys")
    }
    words = ["batch", "import", path, "--uscc", invented.INSTITUTION, "--yes"]
    words += ["--as", OPERATOR, "--secret-file", secret_file]

    def run(*program: str) -> int:
        line = [sys.executable, *program, *map(str, words)]
        return subprocess.run(line, env=environment, check=False, timeout=60).returncode

    assert run("-m", "tests.crashing", point, "qianfa") == -signal.SIGKILL
    for table in ("upload", "batch", "result"):
        assert asyncio.run(counted(world, table)) == 0
    assert run("-c", "from service.cli import main; main()") == 0
    assert asyncio.run(counted(world, "result")) == 3


# At the command line.


def _spoilt() -> tuple[list[invented.Candidate], list[invented.Candidate]]:
    """Six candidates with a wrong document and a wrong sex, and the same without errors."""
    people = invented.candidates(6, project=DAILY, exam_on=EXAM_ON)
    spoilt = list(people)
    spoilt[1] = replace(people[1], id_number=people[1].id_number[:-1] + "?")
    spoilt[2] = replace(people[2], sex="不详")
    return spoilt, people


def test_a_workbook_comes_back_annotated_is_mended_and_completes_its_batch(
    type_: Type,  # noqa: F811 - a fixture
    tmp_path: Path,
) -> None:
    spoilt, people = _spoilt()
    path = tmp_path / "results.xlsx"
    invented.write_workbook(path, spoilt)
    new = ("--uscc", invented.INSTITUTION)
    refused = type_("batch", "import", path, *new, by=OPERATOR)
    copy = tmp_path / "results-标注.xlsx"
    assert refused.code == 65
    assert refused.err.rstrip().endswith(f"import it: {copy} [RowsGivenBack]")
    kept = type_(
        "batch",
        "import",
        copy,
        *new,
        "--keep-good",
        "--annotated",
        tmp_path / "2.xlsx",
        by=OPERATOR,
    )
    assert kept.code == 0, kept
    assert "未变 unchanged 6" in kept.out
    assert "4 行 rows，留出 left out 2" in kept.out
    told = type_("batch", "left-out", 1, by=OPERATOR, yes=False)
    assert (told.code, told.out.count(OPERATOR)) == (0, 2)
    header, *lines = calamine.load_workbook(tmp_path / "2.xlsx").get_sheet_by_index(0).to_python()
    names = [str(name).partition("（")[0] for name in header]
    mended = [dict(zip(names, line, strict=True)) for line in lines]
    for line, person in zip(mended, people, strict=True):
        line.update({"证件号码": person.id_number, "性别": person.sex})
    mended[5]["备注"] = "补充"
    order = sorted({*COLUMNS, MARK})  # the columns in another order, the rows upside down
    with xlsxwriter.Workbook(tmp_path / "mended.xlsx") as book:
        sheet = book.add_worksheet("考核结果")
        sheet.write_row(0, 0, order)
        for number, line in enumerate(reversed(mended), start=1):
            sheet.write_row(number, 0, [line[name] for name in order])
    joined = type_("batch", "import", tmp_path / "mended.xlsx", "--batch", 1, by=OPERATOR)
    assert joined.code == 0, joined
    assert "新增 new 0，更正 mended 3，未变 unchanged 3" in joined.out
    assert "补入 caught up 2" in joined.out
    assert "备注" in joined.out
    listed = type_("batch", "uploads", 1, by=OPERATOR, yes=False)
    assert (listed.out.count("joined"), listed.out.count("imported")) == (1, 1)
    both = type_("batch", "uploads", by=OPERATOR, yes=False)
    assert both.out.count("refused") == 1
    assert type_("batch", "import", path, *new, "--batch", 1, by=OPERATOR).code == 64
    assert type_("batch", "import", path, by=OPERATOR).code == 64
    mine = type_("batch", "import", path, *new, "--annotated", path, by=OPERATOR)
    assert (mine.code, "FileUnusable" in mine.err, "RowsRefused" in mine.err) == (65, True, False)
    nowhere = type_("batch", "import", path, *new, "--annotated", "/proc/absent/x", by=OPERATOR)
    assert [code for code in ("FileUnusable", "RowsRefused") if code not in nowhere.err] == []
    assert type_("batch", "uploads", 9, by=OPERATOR, yes=False).code == 65
    for answer in (refused, kept, told, joined, listed, both):
        for person in people:
            assert person.id_number not in answer.out + answer.err


def test_what_is_seen_last_is_the_copy_and_what_to_do_with_it(
    type_: Type,  # noqa: F811 - a fixture
    tmp_path: Path,
) -> None:
    people = invented.candidates(250, project=DAILY, exam_on=EXAM_ON)
    path, new = tmp_path / "r.xlsx", ("--uscc", invented.INSTITUTION)
    invented.write_workbook(path, [people[0], *(replace(one, total="?") for one in people[1:])])
    refused = type_("batch", "import", path, *new, by=OPERATOR)
    assert refused.err.count("ScoreUnreadable") == 200
    assert refused.err.splitlines()[-2].endswith(f"：{tmp_path / 'r-标注.xlsx'}")
    assert "100000" not in refused.err + refused.out
    kept = type_("batch", "import", path, *new, "--keep-good", by=OPERATOR)
    copy = tmp_path / "r-标注2.xlsx"
    assert kept.out.splitlines()[-1].endswith(f"batch import {copy} --batch 1")
    invented.write_workbook(
        path, invented.candidates(1, project=DAILY, exam_on=EXAM_ON, serial=900)
    )
    astray = type_("batch", "import", path, "--batch", 1, by=OPERATOR)
    assert (astray.code, "请核对批次号" in astray.out) == (0, True)
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write_row(0, 0, COLUMNS[1:])
    headless = type_("batch", "import", path, *new, by=OPERATOR)
    assert headless.err.count("ColumnMissing") == 1
    assert headless.err.rstrip().endswith("[RowsRefused]")
    assert len([*tmp_path.glob("r-*")]) == 2


def test_a_csv_comes_back_in_its_own_encoding_and_is_imported_once_mended(
    type_: Type,  # noqa: F811 - a fixture
    tmp_path: Path,
) -> None:
    spoilt, people = _spoilt()
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";")
    writer.writerow(COLUMNS)
    writer.writerows(map(msgspec.structs.astuple, spoilt))
    path = tmp_path / os.fsdecode("五月.csv".encode("gb18030"))  # unpacked from a foreign archive
    path.write_bytes(text.getvalue().encode("gb18030"))
    new = ("--uscc", invented.INSTITUTION)
    refused = type_("batch", "import", path, *new, by=OPERATOR)
    assert (refused.code, "csv gb18030 semicolon" in refused.out) == (65, True), refused
    copy = path.with_stem(f"{path.stem}-标注")
    mended = copy.read_bytes().decode("gb18030")
    for wrong_cell, right in ((spoilt[1].id_number, people[1].id_number), ("不详", people[2].sex)):
        mended = mended.replace(f";{wrong_cell};", f";{right};")
    copy.write_bytes(mended.encode("gb18030"))
    taken = type_("batch", "import", copy, *new, by=OPERATOR)
    assert taken.code == 0, taken
    assert "更正 mended 2，未变 unchanged 4" in taken.out
