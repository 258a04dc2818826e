"""The ledger: opening, every movement in its column, closing, and that it adds up."""

import asyncio
import datetime
import io
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from python_calamine import CalamineWorkbook

from service.ground.errors import CityUnknown, DatesOutOfOrder, NotYourCity
from service.issuing.batches import LEGAL_ZONE
from service.paper import blanks, ledger
from service.paper.blanks import Kind, Movement, State, check, serials
from service.paper.forms import workbooks
from service.paper.forms.sheets import Ledger, Summary, SummaryLine
from service.paper.forms.sheets import Movement as Line
from service.paper.ledger import Period
from service.paper.supply.arrivals import SettledAs
from service.registry.accounts import PROVINCE
from tests import stationery
from tests.stationery import INNER, movement, ranges
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.world import CHENGDU, MIANYANG, World

KEEPER, PROVINCES = f"keeper-{CHENGDU}", f"keeper-{PROVINCE}"
SPOIL = (Kind.SPOIL, State.AT_CITY, State.PENDING_DESTRUCTION)
DRAW = (Kind.DRAW, State.AT_CITY, State.DRAWN)
RETURN = (Kind.RETURN, State.DRAWN, State.AT_CITY)
PRINT = (Kind.PRINT, State.DRAWN, State.PRINTED)
HAND_OVER = (Kind.HAND_OVER, State.PRINTED, State.HANDED_OVER)
DAY = datetime.date(2026, 7, 1)
YEAR = Period(datetime.date(2026, 1, 1), datetime.date(2026, 12, 31))


async def sheet(
    world: World, by: str, period: Period, *, holder: str = CHENGDU
) -> tuple[Ledger, list[Line]]:
    """What a ledger tells, as it is handed to whoever draws it."""
    told: list[tuple[Ledger, list[Line]]] = []

    def draw(head: Ledger, lines: Iterable[Line]) -> bytes:
        told.append((head, list(lines)))
        return b"drawn"

    async with world.desk(by) as desk, desk.acting():
        series = await blanks.find(desk.connection, INNER.series_code)
        drawn = await ledger.write(
            desk.connection, desk.actor, series, period, holder=holder, draw=draw
        )
    assert drawn == b"drawn"
    return told[0]


async def moved(world: World, by: str, *moving: Movement) -> list[int]:
    async with world.desk(by) as desk:
        ids = []
        for one in moving:
            async with desk.acting():
                ids += await stationery.move(desk, one)
    return ids


def second(moving: Movement, who: str = f"reviewer-{CHENGDU}", of: int | None = None) -> Movement:
    return msgspec.structs.replace(moving, second_actor=who, counters=of)


async def put_at(world: World, moments: dict[int, datetime.datetime]) -> None:
    """Let movements have happened at these times, as the owner of the database."""
    async with world.connection() as owner:
        await owner.execute("set session_replication_role = replica")
        await owner.executemany(
            "update blank_movement set at = $2 where movement_id = $1", list(moments.items())
        )


def columns(lines: Sequence[Line]) -> list[tuple[str, int, int, int]]:
    return [
        (one.serials.removeprefix(INNER.prefix), one.received, one.issued, one.spoiled)
        for one in lines
    ]


def sums(head: Ledger, lines: Sequence[Line]) -> int:
    return head.opening + sum(one.received - one.issued - one.spoiled for one in lines)


async def test_every_movement_stands_in_its_column(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    draw = second(movement(*DRAW, ranges((1, 10))), f"operator-{CHENGDU}")
    await moved(
        world, KEEPER, draw, movement(*PRINT, ranges((1, 6))), movement(*RETURN, ranges((9, 10))),
        movement(Kind.SPOIL, State.DRAWN, State.PENDING_DESTRUCTION, ranges((7, 8))),
        movement(*HAND_OVER, ranges((1, 2))), movement(*SPOIL, ranges((50, 50))),
    )  # fmt: skip
    head, lines = await sheet(world, KEEPER, YEAR)
    assert (head.centre, head.city_name) == ("成都市职业技能鉴定指导中心", "成都市")
    assert (head.opening, head.closing) == (0, 91)
    assert columns(lines) == [
        ("0000001-0000100", 0, 0, 0), ("0000001-0000100", 100, 0, 0), ("0000001-0000010", 0, 0, 0),
        ("0000001-0000006", 0, 6, 0), ("0000009-0000010", 0, 0, 0), ("0000007-0000008", 0, 0, 2),
        ("0000001-0000002", 0, 0, 0), ("0000050", 0, 0, 1),
    ]  # fmt: skip
    assert [one.remark for one in lines] == [
        "流水 1；100 张 省中心库存 → 在途", "流水 2", "流水 3；10 张 市（州）库存 → 已领用待打印",
        "流水 4", "流水 5；2 张 已领用待打印 → 市（州）库存", "流水 6",
        "流水 7；2 张 已打印 → 已核发", "流水 8",
    ]  # fmt: skip
    assert lines[2].summary == "领用"
    assert (lines[2].handler, lines[2].recipient) == (KEEPER, f"operator-{CHENGDU}")
    assert {one.voucher for one in lines} == {stationery.DOCUMENT}
    head, lines = await sheet(world, PROVINCES, YEAR, holder=PROVINCE)
    assert [(one.summary, one.received, one.issued) for one in lines] == [
        ("印制入库", 100, 0), ("下发（成都市）", 0, 100),
    ]  # fmt: skip
    assert [one.remark for one in lines] == ["流水 510000#1", "流水 510100#1"]
    assert head.opening + 100 - 100 == head.closing == 0


async def test_a_day_begins_at_midnight_in_shanghai(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    ids = await moved(
        world, KEEPER, *(movement(*SPOIL, ranges((one, one))) for one in (1, 2, 3, 4))
    )
    midnight = datetime.datetime.combine(DAY, datetime.time(), LEGAL_ZONE)
    instant, day = datetime.timedelta(microseconds=1), datetime.timedelta(days=1)
    before = dict.fromkeys(range(1, ids[0]), midnight - 30 * day)
    times = (midnight - instant, midnight, midnight + day - instant, midnight + day)
    await put_at(world, before | dict(zip(ids, times, strict=True)))
    head, lines = await sheet(world, KEEPER, Period(DAY, DAY))
    assert (head.opening, columns(lines), head.closing) == (
        99, [("0000002", 0, 0, 1), ("0000003", 0, 0, 1)], 97,
    )  # fmt: skip
    assert {one.moved_on for one in lines} == {DAY}
    head, lines = await sheet(world, KEEPER, Period(DAY + day, DAY + day))
    assert (head.opening, columns(lines), head.closing) == (97, [("0000004", 0, 0, 1)], 96)


async def test_a_counter_movement_is_written_with_a_minus_inside_and_after_the_period(
    world: World,
) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    (spoiled,) = await moved(world, KEEPER, movement(*SPOIL, ranges((1, 5))))
    back = movement(Kind.COUNTER, State.PENDING_DESTRUCTION, State.AT_CITY, ranges((4, 5)))
    (countered,) = await moved(world, KEEPER, second(back, of=spoiled))
    head, lines = await sheet(world, KEEPER, YEAR)
    assert columns(lines)[-2:] == [("0000001-0000005", 0, 0, 5), ("0000004-0000005", 0, 0, -2)]
    assert lines[-1].remark == "流水 4；冲正流水 3"
    assert sums(head, lines) == head.closing == 97
    noon = datetime.datetime.combine(DAY, datetime.time(12), LEGAL_ZONE)
    day = datetime.timedelta(days=1)
    await put_at(world, dict.fromkeys(range(1, countered), noon) | {countered: noon + day})
    head, lines = await sheet(world, KEEPER, Period(DAY, DAY))
    assert sums(head, lines) == head.closing == 95
    head, lines = await sheet(world, KEEPER, Period(DAY + day, YEAR.last))
    assert (head.opening, columns(lines), head.closing) == (
        95, [("0000004-0000005", 0, 0, -2)], 97,
    )  # fmt: skip


async def test_numbers_have_no_holes_where_a_movement_was_refused(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    async with world.connection() as owner:
        await owner.execute("select nextval('blank_movement_id') from generate_series(1, 5)")
    await moved(world, KEEPER, movement(*SPOIL, ranges((1, 1))))
    _, lines = await sheet(world, KEEPER, YEAR)
    assert [one.remark.partition("；")[0] for one in lines] == ["流水 1", "流水 2", "流水 3"]


async def test_who_asked_is_the_handler_and_who_confirmed_the_reviewer(world: World) -> None:
    await stationery.record(world)
    await stationery.take_in(world, (1, 100))
    sent = await stationery.dispatch(world, ranges((1, 100)))
    await stationery.receive(world, sent, 98, short=[(99, 100)])
    await stationery.settle(world, 1, SettledAs.ARRIVED)
    _, lines = await sheet(world, KEEPER, YEAR)
    assert [(one.summary.partition("：")[0], one.handler, one.reviewer) for one in lines] == [
        ("下发", PROVINCES, ""), ("签收", KEEPER, ""), ("短少待查", KEEPER, ""),
        ("短少补到", KEEPER, "province"),
    ]  # fmt: skip


async def test_a_change_of_paper_is_handled_by_who_asked(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    draw = second(movement(*DRAW, ranges((1, 1))), f"operator-{CHENGDU}")
    await moved(world, KEEPER, draw, movement(*PRINT, ranges((1, 1))))
    spoilt = movement(Kind.SPOIL, State.PRINTED, State.PENDING_DESTRUCTION, ranges((1, 1)))
    spoilt = msgspec.structs.replace(
        second(spoilt, f"operator-{CHENGDU}"), subject="paper-change:1"
    )
    await moved(world, f"reviewer-{CHENGDU}", spoilt)
    _, lines = await sheet(world, KEEPER, YEAR)
    assert (lines[-1].handler, lines[-1].reviewer) == (
        f"operator-{CHENGDU}", f"reviewer-{CHENGDU}",
    )  # fmt: skip


async def test_an_empty_period_opens_and_closes_with_the_same(world: World) -> None:
    await stationery.record(world)
    head, lines = await sheet(world, KEEPER, YEAR)
    assert (head.series, head.opening, lines, head.closing) == ("2026-inner（川26A）", 0, [], 0)
    await stationery.supply(world, ranges((1, 100)))
    for first, count in ((datetime.date(2025, 1, 1), 0), (datetime.date(2099, 1, 1), 100)):
        head, lines = await sheet(world, KEEPER, Period(first, first))
        assert (head.opening, lines, head.closing) == (count, [], count)


async def test_a_ledger_is_its_holders_and_the_provinces(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    for by in (f"auditor-{MIANYANG}", f"keeper-{MIANYANG}"):
        for holder in (CHENGDU, PROVINCE):
            with pytest.raises(NotYourCity):
                await sheet(world, by, YEAR, holder=holder)
    for by in (f"auditor-{CHENGDU}", "auditor-510000", "province"):
        assert (await sheet(world, by, YEAR))[0].closing == 100
    with pytest.raises(CityUnknown):
        await sheet(world, "province", YEAR, holder="519999")
    for period in (Period(YEAR.last, YEAR.first), Period(YEAR.first, datetime.date.max)):
        with pytest.raises(DatesOutOfOrder):
            await sheet(world, KEEPER, period)


async def test_stock_that_disagrees_with_the_movements_shows_in_the_sheet(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    async with world.connection() as owner:
        await owner.execute("update blank_stock set serials = '[1,91)'")
    head, lines = await sheet(world, KEEPER, YEAR)
    assert (sums(head, lines), head.closing) == (100, 90)


async def test_the_summary_has_a_line_for_each_holder_that_the_actor_may_see(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 100)))
    await stationery.supply(world, ranges((101, 130)), city_code=MIANYANG)
    lost = second(movement(Kind.LOSE, State.AT_CITY, State.LOST, ranges((9, 9))))
    await moved(world, KEEPER, movement(*SPOIL, ranges((1, 5))), lost)

    async def summed(by: str) -> Summary:
        async with world.desk(by) as desk, desk.acting():
            return await ledger.summary(desk.connection, desk.actor, YEAR)

    def line(name: str, received: int, issued: int, **beside: int) -> SummaryLine:
        counts = dict.fromkeys(SummaryLine.__struct_fields__[2:], 0) | beside
        counts |= {"received": received, "issued": issued}
        counts["closing"] = received - issued - counts["spoiled"]
        return SummaryLine(city_name=name, series="2026-inner", **counts)

    chengdu = line("成都市", 100, 1, spoiled=5, pending_destruction=5, lost=1)
    own = await summed(KEEPER)
    assert (own.centre, own.lines) == ("成都市职业技能鉴定指导中心", (chengdu,))
    assert (await summed("auditor-510000")).lines == (
        line("四川省", 130, 130), chengdu, line("绵阳市", 30, 0),
    )  # fmt: skip


async def test_the_workbook_adds_up_when_it_is_read_again(world: World) -> None:
    await stationery.record(world)
    await stationery.supply(world, ranges((1, 1000)))
    for one in range(10, 60, 2):
        await moved(world, KEEPER, movement(*SPOIL, ranges((one, one))))
    async with world.desk(KEEPER) as desk, desk.acting():
        series = await blanks.find(desk.connection, INNER.series_code)
        content = await ledger.write(
            desk.connection, desk.actor, series, YEAR, holder=CHENGDU,
            draw=lambda head, lines: workbooks.ledger(
                head, lines, printed_at=datetime.datetime.now(LEGAL_ZONE)
            ),
        )  # fmt: skip
    rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    head = next(place for place, row in enumerate(rows) if row[0] == "日期")
    assert rows[head] == [
        "日期", "摘要", "凭证号", "号段起止", "收", "发", "废", "存", "经手人", "复核人",
        "领取人签收", "备注",
    ]  # fmt: skip
    ends = {row[1]: row for row in rows[head:]}
    balance = int(str(ends["期初结存"][7]).removesuffix(".0"))
    entries = [row for row in rows[head + 1 :] if isinstance(row[0], datetime.date)]
    assert len(entries) == 27
    for row in entries:
        received, issued, spoiled, after = (int(float(str(cell or 0))) for cell in row[4:8])
        balance += received - issued - spoiled
        assert balance == after
    assert balance == ends["期末结存"][7] == 975


# At the command line.


def test_a_ledger_is_written_as_workbook_and_as_sealed_pdf(
    type_: Type,  # noqa: F811 - a fixture
    world: World,
    tmp_path: Path,
) -> None:
    async def stock() -> None:
        await stationery.record(world)
        await stationery.supply(world, ranges((1, 100)))

    asyncio.run(stock())
    year = ("--from", "2026-01-01", "--until", "2027-12-31", "--to")
    code = ("--series", INNER.series_code)
    for path in ("a.xlsx", "a.pdf", "summary.xlsx", "summary.pdf"):
        command = ("blanks", "summary") if "summary" in path else ("blanks", "ledger", *code)
        assert type_(*command, *year, tmp_path / path, by=KEEPER, yes=False).code == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
    sealed = ("blanks", "ledger", *code, *year, tmp_path / "sealed.pdf", "--sealed")
    assert type_(*sealed, by=KEEPER, yes=False).code == 0
    assert b"/ByteRange" in (tmp_path / "sealed.pdf").read_bytes()
    assert type_(*sealed, by=f"auditor-{CHENGDU}", yes=False).code == 77
    assert type_(*sealed, by=PROVINCES, yes=False).code == 65  # has no key in this world
    mistakes = (
        (64, ("blanks", "ledger", *code, *year, tmp_path / "a.xlsx", "--sealed")),
        (64, ("blanks", "ledger", *code, *year, tmp_path / "a.txt")),
        (64, ("blanks", "ledger", *code, "--from", "昨天", *year[2:], tmp_path / "a.pdf")),
        (65, ("blanks", "ledger", "--series", "none", *year, tmp_path / "b.pdf")),
        (65, ("blanks", "ledger", *code, *year[:3], "2025-12-31", "--to", tmp_path / "b.pdf")),
        (77, ("blanks", "ledger", *code, "--city-code", MIANYANG, *year, tmp_path / "b.pdf")),
    )
    for code_, words in mistakes:
        assert type_(*words, by=KEEPER, yes=False).code == code_, words
    assert not (tmp_path / "b.pdf").exists()


def test_the_check_names_the_movement_that_was_forged(
    type_: Type,  # noqa: F811 - a fixture
    world: World,
) -> None:
    async def stock(statement: str = "") -> None:
        if statement:
            async with world.connection() as owner:
                await owner.execute(f"set session_replication_role = replica; {statement}")
            return
        await stationery.record(world)
        await stationery.supply(world, ranges((1, 100)))
        await moved(world, KEEPER, movement(*SPOIL, ranges((7, 8))))

    asyncio.run(stock())
    shown = type_("blanks", "stock", by=KEEPER, yes=False)
    assert "510100 市（州）库存 at city" in shown.out
    assert "待销毁 pending destruction" in shown.out
    where = type_("blanks", "where", "0000006-0000009", by=KEEPER, yes=False)
    assert "川26A0000007-0000008" in where.out
    assert where.out.count("市（州）库存") == 2
    assert type_("blanks", "where", "x", by=KEEPER, yes=False).code == 65
    for command, by in ((("blanks", "check"), f"auditor-{CHENGDU}"), (("check",), "")):
        clean = type_(*command, by=by, yes=False)
        assert (clean.code, "510100 2026-inner #3 " in clean.out) == (0, True)
        assert "空白证书账实相符" in clean.out
    asyncio.run(stock("update blank_movement set serials = '[7,8)' where movement_id = 4"))
    for command, by in ((("blanks", "check"), f"auditor-{CHENGDU}"), (("check",), "")):
        forged = type_(*command, by=by, yes=False)
        assert (forged.code, "记录 movement_id 4" in forged.out) == (1, True)
        assert "空白证书账实相符" not in forged.out


# Whatever moves.


Account = tuple[str, State]
UNUSED = (State.AT_PROVINCE, State.AT_CITY, State.DRAWN)


class Model:
    """Sixty sheets, each in its account, and how many a holder had after each movement."""

    def __init__(self, paths: Sequence[Mapping[str, Any]]) -> None:
        self.chosen = random.Random(4)  # noqa: S311 - no secret
        self.paths = paths
        self.sheets: list[Account | None] = [None] * 60
        self.moved_by = [0] * 60
        self.counterable: dict[int, tuple[str, Movement, Account | None]] = {}
        self.held = [{CHENGDU: 0, PROVINCE: 0}]

    def choose(self) -> tuple[str, Movement, Account | None] | None:
        """A movement that holds: who makes it, what it is, and where it ends."""
        path = self.chosen.choice(self.paths)
        own = PROVINCE if path["from_side"] == path["to_side"] == "province" else CHENGDU
        beginning, end = (
            None if state is State.OUTSIDE else (PROVINCE if side == "province" else own, state)
            for side, state in (
                (path["from_side"], State(path["from_state"])),
                (path["to_side"], State(path["to_state"])),
            )
        )
        there = [one for one in range(60) if self.sheets[one] == beginning]
        if not there:
            return None
        first = last = self.chosen.choice(there)
        while last + 1 in there and self.chosen.random() < 0.9:
            last += 1
        moving = movement(
            Kind(path["kind"]), State(path["from_state"]), State(path["to_state"]),
            ranges((first, last)), city_code=own,
        )  # fmt: skip
        other = "province" if own == PROVINCE else f"reviewer-{CHENGDU}"
        return PROVINCES if path["whose"] == "province" else KEEPER, second(moving, other), end

    def counter(self) -> tuple[str, Movement, Account | None] | None:
        """A movement taken back of which no sheet has moved since."""
        for counters, (by, moving, beginning) in self.counterable.items():
            (some,) = moving.ranges
            if {self.moved_by[one] for one in serials.each([some])} == {counters}:
                back = msgspec.structs.replace(
                    moving, kind=Kind.COUNTER, from_state=moving.to_state,
                    to_state=moving.from_state, counters=counters,
                )  # fmt: skip
                return by, back, beginning
        return None

    def note(self, movement_id: int, by: str, moving: Movement, end: Account | None) -> None:
        (some,) = moving.ranges
        path = (moving.kind, moving.from_state, moving.to_state)
        if any(one["counterable"] and path == (one["kind"], one["from_state"], one["to_state"])
               for one in self.paths):  # fmt: skip
            self.counterable[movement_id] = by, moving, self.sheets[some.first]
        for one in serials.each([some]):
            self.sheets[one], self.moved_by[one] = end, movement_id
        holders = [one[0] for one in self.sheets if one and one[1] in UNUSED]
        self.held.append({holder: holders.count(holder) for holder in (CHENGDU, PROVINCE)})


async def _move_at_random(world: World, count: int) -> tuple[Model, list[int]]:
    async with world.connection() as owner:
        paths = await owner.fetch(
            "select * from blank_path where kind <> 'destroy' order by kind, from_state, to_state"
        )
    model = Model([dict(path) for path in paths])
    ids = list[int]()
    async with world.desk(PROVINCES) as province, world.desk(KEEPER) as keeper:
        while len(ids) < count:
            countering = model.counter() if model.chosen.random() < 0.1 else None
            if (chosen := countering or model.choose()) is not None:
                by, moving, end = chosen
                desk = province if by == PROVINCES else keeper
                async with desk.acting():
                    ids += await stationery.move(desk, moving)
                model.note(ids[-1], by, moving, end)
    return model, ids


async def test_whatever_moves_every_period_adds_up_to_the_stock_at_its_end(world: World) -> None:
    await stationery.record(world)
    model, ids = await _move_at_random(world, 90)
    async with world.connection() as owner:
        assert await check.check(owner) == []
    midnight = datetime.datetime.combine(DAY, datetime.time(), LEGAL_ZONE)
    await put_at(
        world, {one: midnight + datetime.timedelta(hours=8 * at) for at, one in enumerate(ids)}
    )
    remarks = ""
    for first, last in ((0, 30), (3, 3), (5, 12), (0, 4), (17, 29), (28, 60)):
        period = Period(*(DAY + datetime.timedelta(days=day) for day in (first, last)))
        async with world.desk(PROVINCES) as desk, desk.acting():
            summary = await ledger.summary(desk.connection, desk.actor, period)
        for holder in (CHENGDU, PROVINCE):
            head, lines = await sheet(world, PROVINCES, period, holder=holder)
            assert head.opening == model.held[3 * first][holder]
            assert head.closing == model.held[min(3 * last + 3, 90)][holder]
            assert sums(head, lines) == head.closing
            (told,) = (one for one in summary.lines if one.city_name == head.city_name)
            assert (told.opening, told.closing) == (head.opening, head.closing)
            remarks += "".join(one.remark for one in lines)
    assert "冲正" in remarks
