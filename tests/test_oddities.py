"""Oddities: what is out of the ordinary is named, and ordinary batches are left in peace."""

import asyncio
import datetime
import io
import random
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import click
import msgspec
import pytest
from msgspec.structs import replace

from service import terminal, wiring
from service.ground.db import Connection
from service.ground.errors import Finding
from service.issuing.batches import oddities, uploads
from service.issuing.batches.rows import Refused, Row
from tests import invented
from tests.recorded import INSTITUTION
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.world import CHENGDU, DAILY, EXAM_ON, MIANYANG, UNIFIED, World, batch_facts, rows

OPERATOR, REVIEWER = f"operator-{CHENGDU}", f"reviewer-{CHENGDU}"
APPROVE = """
update batch set state = 'approved', submitted_by = 'province', decided_by = $2,
    archived_on = '2026-06-12' where batch_id = $1
"""

People = list[Row]


async def notice(world: World, batch_id: int, *, by: str = REVIEWER) -> tuple[Finding, ...]:
    async with world.desk(by) as desk, desk.acting():
        return await oddities.notice(desk.connection, batch_id, wiring.vault(world.settings))


async def noticed(world: World, people: Sequence[Row]) -> tuple[Finding, ...]:
    return await notice(world, await world.import_rows(CHENGDU, people))


def codes(found: Sequence[Finding]) -> list[str]:
    return [finding.code for finding in found]


def among(count: int, change: Callable[[Row, int], Row], *, of: int = 30) -> People:
    """Ordinary rows, the first `count` of them changed."""
    people = rows(of, failed_every=of + 1)
    return [change(row, place) if place < count else row for place, row in enumerate(people)]


def born(years: int, days: int = 0) -> Callable[[Row, int], Row]:
    birthday = EXAM_ON.replace(year=EXAM_ON.year - years) + datetime.timedelta(days=days)
    return lambda row, _: replace(row, born_on=birthday)


def alike(row: Row, _: int) -> Row:
    return replace(row, total=Decimal(80))


def on_their_birthday(row: Row, place: int) -> Row:
    return replace(row, born_on=EXAM_ON.replace(year=1970 + place % 30))


def one_phone(row: Row, _: int) -> Row:
    return replace(row, phone="13900000000")


def failed(people: People) -> People:
    return [replace(row, passed=False, total=Decimal(0)) for row in people]


def case(sentence: str, people: People, *expected: str) -> object:
    return pytest.param(people, list(expected), id=sentence)


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        case("nothing", rows(30)),
        case("ten alike", among(10, alike, of=10), "odd-01-equal-totals"),
        case("nine alike", among(9, alike, of=9)),
        case("all but one alike", among(29, alike)),
        case("all who passed alike", among(12, alike, of=12) + failed(among(14, alike, of=14)[12:]),
             "odd-01-equal-totals"),
        case("all who failed alike", failed(rows(30))),
        case("one phone for five", among(5, one_phone), "odd-03-phone-shared"),
        case("one phone for four", among(4, one_phone)),
        case("one phone for five who failed", failed(among(5, one_phone))),
        case("no phones", [replace(row, phone=None) for row in rows(30)]),
        case("sixteen today", among(1, born(16))[:3]),
        case("sixteen tomorrow", among(1, born(16, 1))[:3], "odd-05-age"),
        case("seventy for the last day", among(1, born(71, 1))[:3]),
        case("seventy-one today", among(1, born(71))[:3], "odd-05-age"),
        case("four birthdays", among(4, on_their_birthday), "odd-06-birthdays"),
        case("three birthdays", among(3, on_their_birthday)),
        case("four birthdays of many", among(4, on_their_birthday, of=400)),
        case("eleven birthdays of many", among(11, on_their_birthday, of=400), "odd-06-birthdays"),
    ],
)  # fmt: skip
async def test_what_is_out_of_the_ordinary_is_named_and_what_is_just_within_it_is_not(
    world: World, people: People, expected: list[str]
) -> None:
    found = await noticed(world, people)
    assert codes(found) == expected
    for one in found:
        assert one.rows
        assert one.value
        assert one.zh
        assert one.en


async def test_each_sitting_has_totals_of_its_own(world: World) -> None:
    early = among(10, alike, of=10)
    late = [
        replace(row, row_number=20 + place, exam_on=EXAM_ON + datetime.timedelta(days=1))
        for place, row in enumerate(rows(10, serial=500, failed_every=11))
    ]
    (found,) = await noticed(world, early + late)
    assert (found.rows, found.value) == (tuple(range(2, 12)), f"{DAILY} {EXAM_ON} 80.0")


async def test_one_person_in_five_projects_shares_a_phone_with_nobody(world: World) -> None:
    one = rows(1)[0]
    people = [
        replace(one, row_number=2 + place, project=f"项目{place}", admission_number=f"ZK{place}")
        for place in range(5)
    ]
    assert codes(await noticed(world, people)) == []


async def test_a_shared_phone_is_shown_by_its_last_digits_and_many_are_summed_up(
    world: World,
) -> None:
    people = [
        replace(row, phone=f"139000{place // 5:05}")
        for place, row in enumerate(rows(125, failed_every=200))
    ]
    found = await noticed(world, people)
    assert codes(found) == ["odd-03-phone-shared"] * 21
    assert [len(one.rows) for one in found] == [5] * 20 + [25]
    assert all(one.value and "1390" not in one.value for one in found)
    assert found[0].value == "…0024"
    assert "5 个号码" in (found[-1].value or "")


async def approved(
    world: World, connection: Connection, people: People, city_code: str = CHENGDU
) -> int:
    """Import a batch and call it approved."""
    batch_id = await world.import_rows(city_code, people)
    async with connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        await connection.execute(APPROVE, batch_id, f"reviewer-{city_code}")
    return batch_id


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """What an institution had approved before the batch that is looked at, and that batch."""

    batches: int = 3
    size: int = 40
    city_code: str = CHENGDU
    project: str = DAILY
    count: int = 40
    failed_every: int = 2


@pytest.mark.parametrize(
    ("before", "is_odd"),
    [
        pytest.param(Before(), True, id="half of them failed"),
        pytest.param(Before(failed_every=5), False, id="a fifth of them failed"),
        pytest.param(Before(count=19), False, id="half of few failed"),
        pytest.param(Before(batches=2, size=60), False, id="only two batches before"),
        pytest.param(Before(size=30), False, id="only ninety rows before"),
        pytest.param(Before(city_code=MIANYANG), False, id="in another city"),
        pytest.param(Before(project=UNIFIED), False, id="for another project"),
    ],
)
async def test_a_pass_rate_is_compared_with_the_batches_of_its_institution_city_and_project(
    world: World, before: Before, is_odd: bool
) -> None:
    async with world.connection() as connection:
        for place in range(before.batches):
            people = rows(before.size, serial=1000 * place, project=before.project, failed_every=20)
            await approved(world, connection, people, before.city_code)
    found = await noticed(world, rows(before.count, serial=9000, failed_every=before.failed_every))
    assert codes(found) == ["odd-02-pass-rate"] * is_odd
    if is_odd:
        assert found[0].value == DAILY
        assert "95% → 50%" in found[0].zh


async def test_another_institution_is_not_measured_by_this_ones_batches(world: World) -> None:
    async with world.connection() as connection:
        for place in range(3):
            await approved(world, connection, rows(40, serial=1000 * place, failed_every=20))
    await world.record("province", INSTITUTION)
    batch_id = await world.import_rows(
        CHENGDU, rows(40, serial=9000, failed_every=2), uscc=INSTITUTION.uscc
    )
    assert await notice(world, batch_id) == ()


async def test_a_photo_of_two_persons_is_named_and_one_persons_photo_is_not(world: World) -> None:
    first, second, third = rows(3)
    twice = replace(first, row_number=9, project="另一项目", admission_number="ZK9")
    batch_id = await world.import_rows(CHENGDU, [first, second, third, twice])
    put = """
        insert into photo (batch_id, city_code, person_key, sha256, uploaded_by)
        select batch_id, city_code, person_key, sha256('one face'), $2 from result
        where batch_id = $1 and row_number = $3
    """
    async with world.connection() as connection:
        await connection.execute(put, batch_id, OPERATOR, 2)
        (lacking,) = await notice(world, batch_id)
        assert (lacking.code, lacking.rows) == ("odd-09-photo-absent", (3, 4))
        await connection.execute(put, batch_id, OPERATOR, 4)
    found = {one.code: one.rows for one in await notice(world, batch_id)}
    assert found == {"odd-04-photo-shared": (2, 4, 9), "odd-09-photo-absent": (3,)}


@pytest.mark.parametrize("last", [True, False])
async def test_a_batch_without_any_photo_is_named_where_the_last_one_of_its_city_had_some(
    world: World, last: bool
) -> None:
    put = """
        insert into photo (batch_id, city_code, person_key, sha256, uploaded_by)
        select batch_id, city_code, person_key, sha256(person_key), $2 from result
        where batch_id = $1
    """
    async with world.connection() as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        for place, has_photos in enumerate((not last, last)):
            batch_id = await world.import_rows(CHENGDU, rows(1, serial=100 + place))
            await connection.execute(APPROVE, batch_id, REVIEWER)
            if has_photos:
                await connection.execute(put, batch_id, OPERATOR)
    people = rows(3, failed_every=3)
    assert codes(await noticed(world, people)) == ["odd-09-photo-absent"] * last


async def join(world: World, batch_id: int, people: People) -> None:
    """Let another upload of rows join a batch."""
    async with world.desk(OPERATOR) as desk, desk.acting():
        vault, incoming = wiring.vault(world.settings), world.incoming(people)
        taken = await uploads.join(desk.connection, desk.actor, vault, incoming, batch_id=batch_id)
    assert taken.outcome is uploads.Outcome.JOINED


@pytest.mark.parametrize(("is_public", "expected"), [(True, [4, 5]), (False, [])])
async def test_rows_that_come_or_change_once_results_are_public_are_named(
    world: World, is_public: bool, expected: list[int]
) -> None:
    people = rows(4)
    batch_id = await world.import_rows(CHENGDU, people[:3])
    publicity = batch_facts(batch_id)["publicity"]
    if not is_public:
        future = datetime.date(2999, 1, 1)
        publicity = replace(publicity, publicity_from=future, publicity_until=future)
    await world.record(OPERATOR, publicity)
    await join(world, batch_id, [*people[:2], replace(people[2], remark="更正"), people[3]])
    found = await notice(world, batch_id)
    assert codes(found) == ["odd-07-changed-late"] * is_public
    assert [row for one in found for row in one.rows] == expected


async def test_rows_that_were_left_out_are_named_until_they_join(world: World) -> None:
    good, wrong = rows(2)
    finding = Finding(code="ScoreUnreadable", zh="成绩有误", en="wrong", row=3)
    refused = Refused(
        row_number=3,
        mark=None,
        admission_number=wrong.admission_number,
        id_number=wrong.id_number,
        project=wrong.project,
        said=wrong.said,
        findings=(finding,),
    )
    async with world.desk(OPERATOR) as desk, desk.acting():
        taken = await uploads.import_rows(
            desk.connection,
            desk.actor,
            wiring.vault(world.settings),
            world.incoming([good], refused=[refused], keep_good=True),
            city_code=CHENGDU,
            uscc=invented.INSTITUTION,
        )
    assert taken.batch_id
    (found,) = await notice(world, taken.batch_id)
    assert (found.code, found.rows, found.value) == ("odd-08-left-out", (3,), "1")
    await join(world, taken.batch_id, [good, wrong])
    assert await notice(world, taken.batch_id) == ()


def ordinary(chance: random.Random, serial: int) -> People:
    """A batch as institutions send them: grown people, some families, some who fail."""
    people = rows(chance.randrange(3, 90), serial=serial, failed_every=10**6)
    rate = min(1.0, max(0.5, chance.gauss(0.88, 0.05)))
    result: People = []
    for row in people:
        passed = chance.random() < rate
        total = chance.randrange(120, 196) if passed else chance.randrange(40, 118)
        family = result[-1].phone if result and chance.random() < 0.1 else row.phone
        born_on = EXAM_ON - datetime.timedelta(days=int(365.25 * chance.triangular(17, 68, 38)))
        result.append(
            replace(row, passed=passed, total=Decimal(total) / 2, phone=family, born_on=born_on)
        )
    return result


@pytest.mark.parametrize(("count", "most"), [(40, 1), pytest.param(300, 6, marks=pytest.mark.long)])
async def test_of_many_ordinary_batches_hardly_any_is_named(
    world: World, count: int, most: int
) -> None:
    chance, found = random.Random(5), Counter[str]()  # noqa: S311 - the same every time
    async with world.connection() as connection:
        for place in range(count):
            batch_id = await approved(world, connection, ordinary(chance, 100 * place))
            found.update(set(codes(await notice(world, batch_id))))
    assert found.total() <= most, found


async def submitted(world: World, people: People) -> int:
    batch_id = await world.import_rows(CHENGDU, people)
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    return batch_id


@pytest.mark.long
async def test_fifty_thousand_ordinary_rows_are_approved_at_once_and_none_is_named(
    world: World,
) -> None:
    batch_id = await submitted(world, rows(50_000))
    approval = await world.approve(CHENGDU, batch_id)
    assert approval.noticed == ()
    numbers = [int(number) for number in approval.numbers]
    assert len(numbers) > 45_000
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize(("count", "expected"), [(5, ["odd-03-phone-shared"]), (4, [])])
async def test_the_journal_says_what_was_odd_when_a_batch_was_approved(
    world: World, count: int, expected: list[str]
) -> None:
    await world.approve(CHENGDU, await submitted(world, among(count, one_phone)))
    async with world.connection() as connection:
        detail = await connection.fetchval(
            "select detail from journal where act = 'batches:batch:approve'"
        )
    assert detail["oddities"] == expected


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_reviewer_is_shown_what_is_odd_and_asked_again_before_a_batch_is_approved(
    world: World,
    type_: Type,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = asyncio.run(submitted(world, among(5, one_phone)))
    plain = asyncio.run(submitted(world, rows(3, serial=100)))
    gates = [type_("batch", "gates", one, by=REVIEWER, yes=False).out for one in (odd, plain)]
    assert ["odd-03-phone-shared" in said for said in gates] == [True, False]

    asked = list[str]()

    def answer(question: str, **_: object) -> None:
        asked.append(question)
        if "仍批准" in question:
            raise click.Abort

    monkeypatch.setattr("sys.stdin", _Terminal())
    monkeypatch.setattr(click, "confirm", answer)
    refused = type_("batch", "approve", odd, by=REVIEWER, yes=False)
    assert (refused.code, len(asked)) == (130, 2)
    assert "odd-03-phone-shared" in refused.out
    done = type_("batch", "approve", plain, by=REVIEWER, yes=False)
    assert (done.code, len(asked)) == (0, 3)
    done = type_("batch", "approve", odd, by=REVIEWER)
    assert (done.code, len(asked)) == (0, 3)
    assert "odd-03-phone-shared" in done.out


def test_what_becomes_odd_after_it_was_looked_at_is_not_approved(
    world: World,
    type_: Type,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch_id = asyncio.run(submitted(world, among(5, one_phone)))
    asked_first = oddities.notice
    looks = 0

    async def notice_later(*given: Any) -> tuple[Finding, ...]:
        nonlocal looks
        looks += 1
        return () if looks == 1 else await asked_first(*given)

    monkeypatch.setattr(oddities, "notice", notice_later)
    refused = type_("batch", "approve", batch_id, by=REVIEWER)
    assert refused.code == 75
    assert "[OdditiesUnseen]" in refused.err
    assert "odd-03-phone-shared" in refused.err
    assert type_("batch", "approve", batch_id, by=REVIEWER).code == 0


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((7,), "第 7 行"),
        ((2, 3, 4, 9, 11, 12), "第 2–4、9、11–12 行（6 行）"),
        (tuple(range(2, 50_002)), "第 2–50001 行（50000 行）"),
        (tuple(range(2, 80, 2)), "第 2、4、6、8、10、12、14、16、18、20、22、24… 行（39 行）"),
    ],
)
def test_rows_are_named_so_that_they_can_be_found(
    numbers: tuple[int, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Finding(code="odd", zh="看", en="look", rows=numbers)
    terminal.findings([found], title="", console=terminal.out)
    assert said in capsys.readouterr().out
