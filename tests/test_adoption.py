"""Adoption: what was issued before is taken in by two persons, whole, and no number given twice."""

import asyncio
import datetime
import hashlib
import os
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import xlsxwriter

from service import wiring
from service.checking import verification
from service.checking.decision import Origin, Status, Verdict
from service.ground import db
from service.ground.db import Role
from service.ground.errors import (
    ActNotGranted,
    AdoptedAlready,
    AdoptionNeedsTwoPersons,
    FileUnusable,
    Finding,
    Refusal,
    RowsRefused,
    SecondPersonNeeded,
)
from service.ground.jail import Jail
from service.ground.objects import Objects
from service.issuing import adoption, changes, numbering
from service.issuing.adoption import Outcome, files, sheet
from service.issuing.numbering import Behind, Body, Segment, Source, Start
from service.issuing.sheets import layouts
from service.issuing.sheets.layouts import Cell, Day
from service.wiring import Desk
from tests import invented
from tests.test_numbering import PARTS, SCHEME
from tests.world import CHENGDU, DAILY, MIANYANG, NOW, SECRET, TODAY, World, batch_facts, rows

CHECKOUT = Path(__file__).parent.parent
OPERATOR, REVIEWER = f"operator-{CHENGDU}", f"reviewer-{CHENGDU}"
AUTHORITY = "成都市人力资源和社会保障局"
Line = dict[str, Cell]
_Store = Callable[[], Awaitable[object]]


def lines(count: int, *, serial: int = 0, first: int = 1) -> list[Line]:
    """Invent certificates of Chengdu, numbered by the default scheme from `first` on."""
    people = invented.candidates(count, project=DAILY, exam_on=TODAY, serial=serial)
    return [
        {
            "证书编号": f"2651010{1 + place // 99_999:03}6{1 + place % 99_999:05}",
            "姓名": one.name,
            "证件类型": one.id_kind,
            "证件号码": one.id_number,
            "专项职业能力名称": DAILY,
            "考核日期": Day(datetime.date(2026, 3, 1)),
            "发证日期": Day(datetime.date(2026, 4, 1)),
            "发证机关": AUTHORITY,
            "手机号码": one.phone,
        }
        for place, one in enumerate(people, start=first - 1)
    ]


def judge(given: Sequence[Mapping[str, Cell]]) -> tuple[tuple[sheet.Row, ...], list[Finding]]:
    """Judge lines as if a workbook of them had been read."""
    read = tuple(
        (number, tuple(line.get(column) for column in sheet.LAYOUT.columns))
        for number, line in enumerate(given, start=2)
    )
    judging = sheet.Judging(TODAY)
    judging.take(layouts.Lines(read))
    return judging.holding(), list(judging.findings())


async def adopt_at(
    world: World,
    desk: Desk,
    given: Sequence[Mapping[str, Cell]],
    *,
    folder: Path | None = None,
    document: str = "收录1号",
    store: _Store | None = None,
) -> Outcome:
    """Wish for lines to be taken in, or confirm it, inside the act that a desk has begun."""
    judged, errors = judge(given)
    survey = files.survey(folder, judged)
    objects = Objects.open(world.settings.store_address)

    async def keep() -> None:
        await objects.put_all([files.read(pdf) for pdf in survey.pdfs.values()])

    return await adoption.adopt(
        desk.connection,
        desk.actor,
        wiring.vault(world.settings),
        adoption.Offer(
            file_sha256=hashlib.sha256(repr(given).encode()).digest(),
            document_number=document,
            rows=judged,
            survey=survey,
        ),
        errors=[*errors, *survey.errors],
        today=TODAY,
        store=store or keep,
    )


async def adopt(world: World, by: str, given: Sequence[Mapping[str, Cell]], **told: Any) -> Outcome:
    """Do the same as one act of an account."""
    async with world.desk(by) as desk, desk.acting():
        return await adopt_at(world, desk, given, **told)


async def adopted(world: World, given: Sequence[Line], folder: Path | None = None) -> Outcome:
    """Take lines in, by two persons."""
    assert not (await adopt(world, OPERATOR, given, folder=folder)).confirmed
    outcome = await adopt(world, REVIEWER, given, folder=folder)
    assert outcome.confirmed
    return outcome


async def refused(world: World, given: Sequence[Line], by: str = OPERATOR) -> list[tuple[str, int]]:
    """Return code and row of each error that keeps lines out."""
    with pytest.raises(RowsRefused) as caught:
        await adopt(world, by, given)
    return [(one.code, one.row or one.rows[0]) for one in caught.value.findings]


async def count(world: World) -> int:
    async with world.connection() as owner:
        return int(await owner.fetchval("select count(*) from certificate"))


async def next_number(world: World, serial: int = 5000) -> str:
    return (await world.approved(count=1, serial=serial)).numbers[0]


@pytest.fixture
def pdfs(tmp_path: Path) -> Path:
    """A folder with the file of the first of `lines`."""
    folder = tmp_path / "pdfs"
    folder.mkdir()
    (folder / "2651010001600001.pdf").write_bytes(b"%PDF-1.4 one")
    return folder


# Two persons, then every door.


async def test_one_asks_another_confirms_and_every_door_says_plainly_who_did_not_seal_it(
    world: World, pdfs: Path
) -> None:
    given = lines(2)
    asked = await adopt(world, OPERATOR, given, folder=pdfs)
    assert (asked.confirmed, await count(world)) == (False, 0)
    done = await adopt(world, REVIEWER, given, folder=pdfs)
    assert (done.adoption_id, done.confirmed) == (asked.adoption_id, True)
    number, name = str(given[0]["证书编号"]), str(given[0]["姓名"])
    async with world.connection() as connection, db.acting(connection, Role.PUBLIC):
        public_id = await connection.fetchval(
            "select public_id from entry where number = $1", number
        )
        async with Jail(verification.EXAMINE_JOB, concurrent=1) as examiner:
            by_file = await verification.by_file(
                lambda: nullcontext(connection), examiner, b"%PDF-1.4 one", NOW
            )
        answers = [
            by_file,
            await verification.by_number(connection, number, name, NOW),
            await verification.by_id(connection, public_id, NOW),
        ]
        unknown = await verification.by_number(connection, number, "别人", NOW)
    for answer in answers:
        assert _said(answer) == (Status.VALID, "registered-adopted", Origin.ADOPTED, number)
        assert not {step.name for step in answer.steps if step.outcome == "pass"} & {
            "file-whole", "seal-pinned", "seal-intact", "statement-genuine",
        }  # fmt: skip
    assert answers[1].name == name != answers[2].name
    assert answers[0].issued_on == datetime.date(2026, 4, 1)
    assert unknown.status is Status.UNKNOWN


def _said(answer: Verdict) -> tuple[Status, str, Origin | None, str | None]:
    return answer.status, answer.reason, answer.origin, answer.number


async def test_the_journal_and_the_list_tell_both_persons(world: World) -> None:
    await adopted(world, lines(3))
    async with world.connection() as owner:
        acts = await owner.fetch(
            "select actor, detail from journal where act like 'adoption:%' order by sequence"
        )
        assert await owner.fetchval("select count(distinct person_key) from certificate") == 3
    assert [row["actor"] for row in acts] == [OPERATOR, REVIEWER]
    assert acts[0]["detail"] == acts[1]["detail"]
    assert (acts[0]["detail"]["rows"], acts[0]["detail"]["pdfs"]) == (3, 0)
    async with world.desk(OPERATOR) as desk, desk.acting():
        (listed,) = await adoption.recent(desk.connection)
    assert (listed.asked_by, listed.confirmed_by, listed.row_count) == (OPERATOR, REVIEWER, 3)
    async with world.desk(f"operator-{MIANYANG}") as desk, desk.acting():
        assert await adoption.recent(desk.connection) == []


async def test_nobody_confirms_their_own_wish_and_nobody_adopts_a_sheet_twice(world: World) -> None:
    await adopt(world, OPERATOR, lines(1))
    with pytest.raises(AdoptionNeedsTwoPersons):
        await adopt(world, OPERATOR, lines(1))
    assert await count(world) == 0
    await adopt(world, REVIEWER, lines(1))
    for by in (OPERATOR, REVIEWER):
        with pytest.raises(AdoptedAlready, match=f"{datetime.date.today():%Y-%m}"):  # noqa: DTZ011 - only the month
            await adopt(world, by, lines(1), document="收录2号")


async def test_what_differs_from_a_wish_is_a_new_wish_and_is_said_to_be(
    world: World, pdfs: Path
) -> None:
    first = await adopt(world, OPERATOR, lines(1))
    with_file = await adopt(world, REVIEWER, lines(1), folder=pdfs)
    other_sheet = await adopt(world, REVIEWER, lines(2))
    other_document = await adopt(world, REVIEWER, lines(1), document="收录2号")
    assert [one.confirmed for one in (first, with_file, other_sheet, other_document)] == [False] * 4
    assert first.others == ()
    assert other_sheet.others == (first.adoption_id, with_file.adoption_id)
    assert await count(world) == 0


async def test_two_second_persons_at_once_adopt_once(world: World) -> None:
    await adopt(world, OPERATOR, lines(2))
    done = await asyncio.gather(
        *(adopt(world, REVIEWER, lines(2)) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["AdoptedAlready", "Outcome"]
    assert await count(world) == 2


async def test_two_first_persons_at_once_are_first_and_second(world: World) -> None:
    done = await asyncio.gather(*(adopt(world, by, lines(2)) for by in (OPERATOR, REVIEWER)))
    assert sorted(one.confirmed for one in done) == [False, True]
    assert await count(world) == 2


async def test_the_province_takes_nothing_in(world: World) -> None:
    with pytest.raises(ActNotGranted):
        await adopt(world, "province", lines(1))


async def test_the_database_takes_no_certificate_whose_wish_nobody_confirmed(world: World) -> None:
    wish = await adopt(world, OPERATOR, lines(1))
    insert = """
        insert into certificate (origin, state, issued_at, adoption_id, city_code, number,
            public_id, name, id_kind, id_encrypted, person_key, project_name, archived_on,
            issuing_authority)
        values ('adopted', 'issued', now(), $1, $2, '24000001', '0123456789abcdef', '张三', '护照',
            '', '', '项目', current_date, '机关')
    """
    async with world.connection() as owner:
        for adoption_id, city_code in ((wish.adoption_id, CHENGDU), (None, CHENGDU), (99, CHENGDU)):
            with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="nobody confirms"):
                await owner.execute(insert, adoption_id, city_code)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await owner.execute("update adoption set row_count = 9")
        with pytest.raises(SecondPersonNeeded), db.refusing():
            await owner.execute("update adoption set confirmed_by = asked_by, confirmed_at = now()")
        async with owner.transaction():
            await owner.execute(
                "update adoption set confirmed_by = $1, confirmed_at = now()", REVIEWER
            )
            await owner.execute(insert, wish.adoption_id, CHENGDU)
        for city_code in (MIANYANG, CHENGDU):  # nothing joins it afterwards
            with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="nobody confirms"):
                await owner.execute(
                    insert.replace("24000001", "24000002"), wish.adoption_id, city_code
                )
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="confirmed once"):
            await owner.execute("update adoption set confirmed_at = now()")


# Gate 8 and the register.


async def test_who_holds_an_adopted_certificate_is_not_certified_again(world: World) -> None:
    batch_id = await world.import_rows(CHENGDU, rows(2, serial=40))
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    assert await world.judge(batch_id) == []
    given = lines(1, serial=40)
    await adopted(world, given)
    assert await world.judge(batch_id) == ["gate-08-already-certified"]
    with pytest.raises(Refusal) as caught:
        await world.approve(CHENGDU, batch_id)
    assert str(given[0]["证书编号"]) in caught.value.findings[0].zh
    with pytest.raises(RowsRefused) as imported:
        await world.import_rows(MIANYANG, rows(1, serial=40))
    assert str(given[0]["证书编号"]) in imported.value.findings[0].zh


async def test_revoked_and_cancelled_ones_stand_in_nobodys_way(world: World) -> None:
    given = lines(2, serial=40)
    for line, standing in zip(given, ("撤销", "注销"), strict=True):
        line["状态"] = standing
    await adopted(world, given)
    assert len((await world.approved(count=2, serial=40)).numbers) == 2
    async with world.connection() as connection, db.acting(connection, Role.PUBLIC):
        said = [
            await verification.by_number(connection, str(line["证书编号"]), str(line["姓名"]), NOW)
            for line in given
        ]
    assert [one.status for one in said] == [Status.REVOKED, Status.CANCELLED]


async def test_an_adopted_one_is_revoked_like_any_other(world: World) -> None:
    (line,) = lines(1, serial=40)
    number, name = str(line["证书编号"]), str(line["姓名"])
    await adopted(world, [line])
    grounds = changes.Grounds(number=number, reason="冒名", document_number="撤销1号")
    async with world.desk(OPERATOR) as desk, desk.acting():
        change_id = await changes.ask(desk.connection, desk.actor, changes.Kind.REVOKE, grounds)
    async with world.desk(REVIEWER) as desk, desk.acting():
        await changes.confirm(desk.connection, desk.actor, change_id, edition="2026")
    async with world.connection() as connection, db.acting(connection, Role.PUBLIC):
        said = await verification.by_number(connection, number, name, NOW)
    assert _said(said) == (Status.REVOKED, "standing-revoked", Origin.ADOPTED, number)
    assert len((await world.approved(count=1, serial=40)).numbers) == 1


async def test_what_the_register_knows_is_refused_by_row_and_all_at_once(world: World) -> None:
    ours = await world.approved(count=2, serial=40)
    known, held, fine, misspelt = lines(4, serial=900, first=50)
    known["证书编号"] = ours.numbers[0]
    held |= {key: lines(1, serial=41)[0][key] for key in ("姓名", "证件号码")}
    misspelt["专项职业能力名称"] = "民宿接待服努"
    broken = lines(1, serial=950, first=60)[0] | {"姓名": "张\ue000"}
    assert await refused(world, [known, held, fine, misspelt, broken]) == [
        ("NamePrivateUse", 6), ("NumberKnown", 2), ("ProjectNeverKnown", 5),
        ("PersonCertifiedAlready", 3),
    ]  # fmt: skip
    assert await count(world) == 2
    async with world.connection() as owner:
        assert await owner.fetchval("select count(*) from adoption") == 0


async def test_what_another_city_has_is_known_here(world: World) -> None:
    await adopted(world, [*lines(1), lines(1, serial=7)[0] | {"证书编号": "S000051"}])
    other = [
        lines(1, serial=20)[0] | {"证书编号": "S000051"},
        lines(1)[0] | {"证书编号": "S000052"},
    ]
    assert await refused(world, other, by=f"operator-{MIANYANG}") == [
        ("NumberKnown", 2), ("PersonCertifiedAlready", 3),
    ]  # fmt: skip


async def test_somebody_certified_in_between_keeps_the_whole_sheet_out(world: World) -> None:
    given = lines(3, serial=40, first=700)
    await adopt(world, OPERATOR, given)

    async def store() -> None:
        await world.approved(count=1, serial=42)

    with pytest.raises(Refusal) as caught:
        await adopt(world, REVIEWER, given, store=store)
    assert caught.value.code == "PersonCertified"
    assert await count(world) == 1
    assert await refused(world, given, by=REVIEWER) == [("PersonCertifiedAlready", 4)]


async def test_a_closed_project_and_a_name_no_font_draws_are_kept_as_they_were(
    world: World,
) -> None:
    from service.registry.catalogue import Project, ProjectKind  # noqa: PLC0415 - only here

    line = lines(1)[0] | {"专项职业能力名称": "旧项目", "姓名": "王\U0003134a"}
    assert await refused(world, [line]) == [("ProjectNeverKnown", 2)]
    closed = Project(
        project_name="旧项目", city_code=CHENGDU, valid_from=datetime.date(2024, 3, 1),
        kind=ProjectKind.CLOSED, document_number="停止1号",
    )  # fmt: skip
    await world.record(OPERATOR, closed)
    await adopted(world, [line])
    async with world.connection() as owner:
        kept = await owner.fetchrow("select name, project_name, sex, phone_key from certificate")
    assert kept is not None
    assert tuple(kept)[:3] == ("王\U0003134a", "旧项目", None)
    assert len(kept["phone_key"]) == 32


# The counters.


@pytest.mark.parametrize(
    ("before", "first", "follows"),
    [
        ("unused", 1, "2651010001600004"),
        ("unused", 99_997, "2651010002600001"),
        ("started", 1, "2651010001600500"),
        ("started", 600, "2651010001600603"),
        ("used", 7, "2651010001600010"),
        ("used", 4, "2651010001600007"),
    ],
)
async def test_new_numbers_follow_those_that_were_taken_in(
    world: World, before: str, first: int, follows: str
) -> None:
    second = Body(city_code=CHENGDU, body_serial=2, document_number="机构2号")
    start = Start(
        city_code=CHENGDU, scheme_version=1, period=2026, body_serial=1, first_sequence=500,
        document_number="起始1号",
    )  # fmt: skip
    await world.record("province", second, *([start] if before == "started" else []))
    if before == "used":
        await world.approved(count=3, serial=4000)
    outcome = await adopted(world, lines(3, first=first))
    assert outcome.counters == (Behind(1, 2026, 1, first + 2),)
    assert await next_number(world) == follows
    assert await next_number(world, 6000) == f"{int(follows) + 1}"


async def test_every_scheme_that_writes_a_number_starts_behind_it(world: World) -> None:
    await world.record("province", msgspec.structs.replace(SCHEME, segments=PARTS))
    odd = [
        line | {"证书编号": number}
        for line, number in zip(
            lines(6),
            ("2026011007", "2651010001600002", "2451010371600009", "S00005101", "2651990001600001",
             "2651010000600001"),
            strict=True,
        )
    ]  # fmt: skip
    outcome = await adopted(world, odd)
    assert outcome.counters == (Behind(1, 2026, 1, 2), Behind(2, 2026, 1, 7))
    async with world.connection() as connection, db.acting(connection, Role.CONSOLE, CHENGDU):
        days = (TODAY, datetime.date(2026, 7, 1))
        taken = [await numbering.take(connection, CHENGDU, day, 1) for day in days]
    assert [one.numbers for one in taken] == [("2651010001600003",), ("2026011008",)]


async def test_a_number_that_one_scheme_writes_here_is_no_other_citys_by_another_scheme(
    world: World,
) -> None:
    segments = [
        Segment(Source.YEAR, 2), Segment(Source.FIXED, 2, "51"), Segment(Source.BODY, 4),
        Segment(Source.CITY, 2), Segment(Source.SEQUENCE, 6),
    ]  # fmt: skip
    body = Body(city_code=CHENGDU, body_serial=7, document_number="机构7号")
    await world.record("province", msgspec.structs.replace(SCHEME, segments=segments), body)
    line = lines(1)[0] | {"证书编号": "2651010007600001"}
    assert (await adopted(world, [line])).counters == (Behind(1, 2026, 7, 1),)


async def test_a_number_of_a_closed_body_or_another_city_is_refused(world: World) -> None:
    mine, theirs, closed = lines(3)
    theirs["证书编号"] = "2651070001600001"
    closed["证书编号"] = "2651010037600009"
    assert await refused(world, [mine, theirs, closed]) == [
        ("NumberOfOtherCity", 3), ("NumberBodyClosed", 4),
    ]  # fmt: skip
    body = Body(city_code=CHENGDU, body_serial=37, document_number="机构37号")
    await world.record("province", body)
    outcome = await adopted(world, [mine, closed])
    assert outcome.counters == (Behind(1, 2026, 1, 1), Behind(1, 2026, 37, 9))


async def test_an_approval_waits_for_an_adoption_of_its_city_and_goes_on_behind_it(
    world: World,
) -> None:
    batch_id = await world.import_rows(CHENGDU, rows(2, serial=800))
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    await adopt(world, OPERATOR, lines(5))
    async with world.desk(REVIEWER) as desk:
        async with desk.acting():
            counters = (Behind(1, 2026, 1, 5),)
            await numbering.start_behind(desk.connection, CHENGDU, counters, "收录1号")
            approving = asyncio.create_task(world.approve(CHENGDU, batch_id))
            await world.until_somebody_waits()
        assert (await approving).numbers == ("2651010001600006", "2651010001600007")


@pytest.mark.parametrize("serial", [0, 1])
async def test_approvals_and_an_adoption_at_once_never_double_a_number(
    world: World, serial: int
) -> None:
    batch_ids = []
    for place in range(3):
        batch_id = await world.import_rows(CHENGDU, rows(3, serial=800 + 10 * place))
        await world.record(OPERATOR, *batch_facts(batch_id).values())
        await world.submit(CHENGDU, batch_id)
        batch_ids.append(batch_id)
    given = lines(4, first=100)
    await adopt(world, OPERATOR, given)
    done = await asyncio.gather(
        *(world.approve(CHENGDU, batch_id) for batch_id in batch_ids[: 1 + serial]),
        adopt(world, REVIEWER, given),
        *(world.approve(CHENGDU, batch_id) for batch_id in batch_ids[1 + serial :]),
    )
    assert len(done) == 4
    async with world.connection() as owner:
        sequences = await owner.fetch(
            "select right(number, 5)::int as sequence, origin from certificate order by number"
        )
    ours = [row["sequence"] for row in sequences if row["origin"] == "sealed"]
    assert len(set(ours)) == 9
    assert not set(ours) & {100, 101, 102, 103}
    assert set(ours) <= {*range(1, 10), *range(104, 113)}


# The sheet alone.


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("证书编号", None, "CellEmpty"),
        ("证书编号", "12345", "NumberUnreadable"),
        ("证书编号", "川2024000001", "NumberUnreadable"),
        ("证书编号", "0" * 33, "NumberUnreadable"),
        ("证书编号", 2451010001600001, "NumberRounded"),
        ("姓名", "张\ue000三", "NamePrivateUse"),
        ("姓名", "张", "NameLengthWrong"),
        ("姓名", "示例姓名", "ExampleName"),
        ("性别", "无", "ChoiceUnknown"),
        ("证件类型", "军官证", "ChoiceUnknown"),
        ("证件号码", "11010519491231002", "IdFormWrong"),
        ("证件号码", "110105194912310021", "IdCheckWrong"),
        ("专项职业能力名称", None, "CellEmpty"),
        ("考核日期", "2026-04-02", "ExamAfterIssue"),
        ("考核日期", "2026-02-30", "DateUnreadable"),
        ("发证日期", None, "CellEmpty"),
        ("发证日期", "2024-02-29", "IssuedTooEarly"),
        ("发证日期", TODAY.isoformat(), None),
        ("发证日期", "2026-06-13", "DateInFuture"),
        ("发证机关", "市", "CellEmpty"),
        ("发证机关", "局" * 61, "TextTooLong"),
        ("状态", "暂扣", "ChoiceUnknown"),
        ("状态", "有效", None),
        ("手机号码", "12", "PhoneUnreadable"),
        ("文件名", "../../etc/passwd.pdf", "PdfNameUnfit"),
        ("文件名", "/etc/passwd.pdf", "PdfNameUnfit"),
        ("文件名", "..\\a.pdf", "PdfNameUnfit"),
        ("文件名", "..pdf", "PdfNameUnfit"),
        ("文件名", ".a.pdf", "PdfNameUnfit"),
        ("文件名", "a.pdf\n", "PdfNameUnfit"),
        ("文件名", "a\0.pdf", "PdfNameUnfit"),
        ("文件名", "a.docx", "PdfNameUnfit"),
        ("文件名", 7, "PdfNameUnfit"),
        ("文件名", "成都 01.PDF", None),
    ],
)
def test_each_cell_is_judged_like_a_result(column: str, cell: Cell, code: str | None) -> None:
    judged, errors = judge([lines(1)[0] | {column: cell}])
    assert [(one.code, one.row, one.column) for one in errors] == (
        [(code, 2, column)] if code else []
    )
    assert len(judged) == (code is None)


def test_a_sex_that_the_document_number_contradicts_is_refused() -> None:
    line = lines(1)[0] | {"证件号码": "11010519491231002X", "性别": "男"}
    assert [one.code for one in judge([line])[1]] == ["SexContradictsId"]
    ((row,), errors) = judge([line | {"性别": "女"}])
    assert (row.sex, errors) == ("女", [])


def test_one_number_or_one_valid_certificate_of_a_person_stands_once() -> None:
    first, second = lines(2)
    person = {"姓名": first["姓名"], "证件号码": first["证件号码"]}
    assert [one.code for one in judge([first, second | {"证书编号": first["证书编号"]}])[1]] == [
        "NumberRepeated"
    ]
    assert [one.code for one in judge([first, second | person])[1]] == ["HolderRepeated"]
    assert judge([first, second | person | {"状态": "注销"}])[1] == []
    assert judge([first, second | person | {"专项职业能力名称": "大数据采集"}])[1] == []


def test_an_empty_sheet_is_one_error() -> None:
    assert [one.code for one in judge([])[1]] == ["RowsMissing"]


# The files.


def survey(folder: Path, given: Sequence[Line]) -> tuple[list[str], list[tuple[str, int | None]]]:
    found = files.survey(folder, judge(given)[0])
    return sorted(found.pdfs), [(one.code, one.row) for one in found.errors]


def test_files_are_found_by_number_or_by_name_and_missing_ones_are_listed(pdfs: Path) -> None:
    given = lines(3)
    given[1]["文件名"] = "成都é.pdf"
    (pdfs / unicodedata.normalize("NFD", "成都é.pdf")).write_bytes(b"%PDF-1.4 two")
    (pdfs / ".DS_Store").write_bytes(b"")
    assert survey(pdfs, given) == (["2651010001600001", "2651010001600002"], [])
    found = files.survey(pdfs, judge(given)[0])
    assert [(one.code, one.rows) for one in found.warnings] == [("PdfAbsent", (4,))]
    (pdfs / "other.pdf").write_bytes(b"%PDF-1.4 three")
    assert survey(pdfs, given)[1] == [("PdfSurplus", None)]
    given[2]["文件名"] = "absent.pdf"
    assert survey(pdfs, given)[1] == [("PdfMissing", 4), ("PdfSurplus", None)]


def test_what_is_no_plain_pdf_in_the_folder_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.pdf"
    outside.write_bytes(b"%PDF-1.4 outside")
    folder = tmp_path / "pdfs"
    folder.mkdir()
    given = lines(8)
    for line, name in zip(given, "abcdefgh", strict=True):
        line["文件名"] = f"{name}.pdf"
    (folder / "a.pdf").symlink_to(outside)
    os.mkfifo(folder / "b.pdf")
    (folder / "c.pdf").mkdir()
    (folder / "d.pdf").write_bytes(b"%PDF-1.4" + bytes(files.SIZE_MAX))
    (folder / "e.pdf").write_bytes(b"<html>")
    (folder / "f.pdf").write_bytes(b"%PDF-1.4 same")
    (folder / "g.pdf").write_bytes(b"%PDF-1.4 same")
    (folder / "h.pdf").write_bytes(b"")
    assert survey(folder, given)[1] == [
        ("PdfUnreadable", 2), ("PdfUnreadable", 3), ("PdfUnreadable", 4), ("PdfTooLarge", 5),
        ("PdfNotPdf", 6), ("PdfRepeated", 8), ("PdfNotPdf", 9),
    ]  # fmt: skip


def test_two_rows_do_not_share_a_file_and_a_name_needs_a_folder(tmp_path: Path) -> None:
    given = [line | {"文件名": "one.pdf"} for line in lines(2)]
    (tmp_path / "one.pdf").write_bytes(b"%PDF-1.4 one")
    assert survey(tmp_path, given)[1] == [("PdfRepeated", 3)]
    nowhere = files.survey(None, judge(given)[0])
    assert [one.code for one in nowhere.errors] == ["PdfFolderNotGiven"] * 2
    for folder in (tmp_path / "absent", tmp_path / "one.pdf"):
        with pytest.raises(FileUnusable):
            files.survey(folder, judge(given)[0])


async def test_a_file_of_another_certificate_or_one_that_changes_keeps_everything_out(
    world: World, pdfs: Path
) -> None:
    await adopted(world, lines(1), pdfs)
    second = lines(1, serial=50, first=2)
    (pdfs / "2651010001600001.pdf").rename(pdfs / "2651010001600002.pdf")
    with pytest.raises(RowsRefused) as caught:
        await adopt(world, OPERATOR, second, folder=pdfs)
    assert [(one.code, one.row) for one in caught.value.findings] == [("PdfKnown", 2)]
    path = pdfs / "2651010001600002.pdf"
    path.write_bytes(b"%PDF-1.4 two")
    await adopt(world, OPERATOR, second, folder=pdfs)
    found = files.survey(pdfs, judge(second)[0])

    async def store() -> None:
        path.write_bytes(b"%PDF-1.4 six")
        files.read(found.pdfs["2651010001600002"])

    with pytest.raises(FileUnusable, match="changed"):
        await adopt(world, REVIEWER, second, folder=pdfs, store=store)
    assert await count(world) == 1


# The whole way.


def write(path: Path, given: Sequence[Mapping[str, Cell]]) -> None:
    """Write the workbook as a city would fill it in."""
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        page = book.add_worksheet(sheet.LAYOUT.sheet)
        page.write_row(0, 0, sheet.LAYOUT.columns)
        for number, line in enumerate(given, start=1):
            cells = [line.get(column) for column in sheet.LAYOUT.columns]
            page.write_row(
                number, 0, [str(cell.day) if isinstance(cell, Day) else cell for cell in cells]
            )


def command(
    world: World, folder: Path, by: str, point: str = ""
) -> subprocess.CompletedProcess[str]:
    """Type the command in a process of its own, which may die at a point of it."""
    (folder / "secret").write_text(SECRET)
    program = ["tests.crashing", point, "qianfa"] if point else []
    words = ["-m", *program] if point else ["-c", "from service import cli; cli.main()"]
    settings = {
        f"QIANFA_{name.upper()}": str(getattr(world.settings, name))
        for name in ("var", "database_url", "keys")
    }
    return subprocess.run(
        [
            sys.executable, *words, "adopt", str(folder / "sheet.xlsx"), "--pdfs",
            str(folder / "pdfs"), "--document-number", "收录1号", "--as", by, "--secret-file",
            str(folder / "secret"), "--yes",
        ],
        cwd=CHECKOUT, env={"PATH": os.environ["PATH"], **settings}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "point",
    [
        "after store 1",
        *(
            pytest.param(point, marks=pytest.mark.long)
            for point in ("before fsync 1", "after start_behind 1", "after add_certificates 1")
        ),
    ],
)
def test_killed_between_storing_and_writing_nothing_is_half_done_and_it_runs_again(
    world: World, tmp_path: Path, pdfs: Path, point: str
) -> None:
    write(pdfs.with_name("sheet.xlsx"), lines(2))
    asked = command(world, tmp_path, OPERATOR)
    assert (asked.returncode, "waits for another person" in asked.stdout) == (0, True), asked
    killed = command(world, tmp_path, REVIEWER, point)
    assert (killed.returncode, asyncio.run(count(world))) == (-signal.SIGKILL, 0), killed
    done = command(world, tmp_path, REVIEWER)
    assert (done.returncode, asyncio.run(count(world))) == (0, 2), done
    assert "2 张证书" in done.stdout
    assert "新号接在 2 之后" in done.stdout
    store = Objects.open(world.settings.store_address)
    digest = hashlib.sha256(b"%PDF-1.4 one").hexdigest()
    assert asyncio.run(store.get(digest)) == b"%PDF-1.4 one"


@pytest.mark.long
async def test_a_hundred_thousand_certificates_are_taken_in(world: World, tmp_path: Path) -> None:
    body = Body(city_code=CHENGDU, body_serial=2, document_number="机构2号")
    await world.record("province", body)
    given = lines(100_000)
    (tmp_path / "pdfs").mkdir()
    write(tmp_path / "sheet.xlsx", given)
    for by in (OPERATOR, REVIEWER):
        done = await asyncio.to_thread(command, world, tmp_path, by)
        assert done.returncode == 0, done
    assert await count(world) == 100_000
    assert await next_number(world, 500_000) == "2651010002600002"
