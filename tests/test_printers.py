"""Printers: that a profile sets things right, what is refused, and how it is kept."""

import functools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs

from service import wiring
from service.ground import db
from service.ground.errors import (
    ActNotGranted,
    FieldOffSheet,
    HistoryChanged,
    MarkMisfit,
    MarksFew,
    NotYourCity,
    PrinterNameUnfit,
    PrinterUnknown,
    ProfileImplausible,
    ProfileUnknown,
    Refusal,
)
from service.paper import overlay, printers
from service.paper.overlay import Edition, Layout, Mark, Profile
from service.wiring import Desk
from tests import test_overlay
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.world import CHENGDU, CITIES, World

EDITIONS = {name: wiring.blank_edition(name) for name in ("2026", "2026-a4")}
LAYOUTS = [edition.layout for edition in EDITIONS.values()]
ZIGONG = [*CITIES][1]
OPERATOR = f"operator-{CHENGDU}"
AS_IT_IS = Profile()
LANDS_WITHIN_MM = 0.2
Printer = Callable[[float, float], tuple[float, float]]


def printer(
    x_mm: float = 0, y_mm: float = 0, *, width: float = 1, height: float = 1, turned: float = 0
) -> Printer:
    """A printer that displaces: it stretches, turns (radians) and then shifts."""

    def printed(x: float, y: float) -> tuple[float, float]:
        x, y = width * x, height * y
        return (
            x * math.cos(turned) - y * math.sin(turned) + x_mm,
            x * math.sin(turned) + y * math.cos(turned) + y_mm,
        )

    return printed


def measured(
    printed: Printer, layout: Layout, *, applied: Profile = AS_IT_IS, left_out: Sequence[int] = ()
) -> list[Mark]:
    """What a ruler says of a calibration sheet, to 0.1 mm."""
    return [
        Mark(mark.number, round(x, 1), round(y, 1))
        for mark in overlay.marks(layout)
        if mark.number not in left_out
        for x, y in [printed(*applied.moved(mark.x_mm, mark.y_mm))]
    ]


def corners(layout: Layout) -> Iterator[tuple[float, float]]:
    for box in [*layout.fields_mm.values(), layout.code_mm]:
        for x in (box.left, box.left + box.width):
            for y in (box.top, box.top + box.height):
                yield x, y


def off_mm(printed: Printer, profile: Profile, layout: Layout) -> float:
    """By how much the worst corner of a field misses its place."""
    return max(math.dist(printed(*profile.moved(x, y)), (x, y)) for x, y in corners(layout))


OFF = printer(1.5, -2)
_SHIFTS = st.floats(-8, 8)
_SIZES = st.floats(0.99, 1.01)
PRINTERS = st.builds(
    printer, _SHIFTS, _SHIFTS, width=_SIZES, height=_SIZES, turned=st.floats(-0.01, 0.01)
)


@given(PRINTERS, st.sampled_from(LAYOUTS), st.sets(st.integers(1, 8), max_size=2))
def test_a_profile_lands_every_field_in_its_place(
    printed: Printer, layout: Layout, left_out: set[int]
) -> None:
    profile = printers.fit(measured(printed, layout, left_out=[*left_out]), layout, AS_IT_IS)
    assert off_mm(printed, profile, layout) < LANDS_WITHIN_MM


@given(PRINTERS, PRINTERS, st.sampled_from(LAYOUTS))
def test_a_sheet_printed_under_a_profile_corrects_it(
    printed: Printer, before: Printer, layout: Layout
) -> None:
    applied = printers.fit(measured(before, layout), layout, AS_IT_IS)
    marks = measured(printed, layout, applied=applied)
    profile = printers.fit(marks, layout, applied)
    assert off_mm(printed, profile, layout) < LANDS_WITHIN_MM


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_printer_that_displaces_nothing_needs_no_correction(layout: Layout) -> None:
    assert printers.fit(measured(printer(), layout), layout, AS_IT_IS) == AS_IT_IS


@pytest.mark.parametrize("edition", EDITIONS.values(), ids=EDITIONS)
def test_what_is_printed_lands_where_the_blank_wants_it(edition: Edition) -> None:
    printed = printer(2.4, -3.1, width=0.996, height=1.003, turned=0.004)
    profile = printers.fit(measured(printed, edition.layout), edition.layout, AS_IT_IS)
    wanted, drawn = (
        test_overlay.glyphs(test_overlay.draw(edition, test_overlay.SHEET, profile=one))
        for one in (AS_IT_IS, profile)
    )
    distances = [
        math.dist(printed(*there.pen), here.pen) for here, there in zip(wanted, drawn, strict=True)
    ]
    assert max(distances) < LANDS_WITHIN_MM < 1 < off_mm(printed, AS_IT_IS, edition.layout)


@given(
    PRINTERS,
    st.sampled_from(LAYOUTS),
    st.integers(1, 8),
    st.integers(0, 8),
    st.tuples(st.floats(-30, 30), st.floats(-30, 30)).filter(lambda by: math.hypot(*by) > 1.2),
)
def test_a_mark_typed_wrongly_is_named(
    printed: Printer, layout: Layout, number: int, left_out: int, by: tuple[float, float]
) -> None:
    assume(number != left_out)
    marks = [
        structs.replace(mark, x_mm=mark.x_mm + by[0], y_mm=mark.y_mm + by[1])
        if mark.number == number
        else mark
        for mark in measured(printed, layout, left_out=[left_out])
    ]
    with pytest.raises(MarkMisfit) as refused:
        printers.fit(marks, layout, AS_IT_IS)
    assert refused.value.facts["mark"] == number
    assert float(str(refused.value.facts["distance"])) == pytest.approx(
        math.hypot(*by), rel=0.03, abs=0.4
    )


def test_marks_read_to_a_quarter_of_a_millimetre_are_taken() -> None:
    chance = random.Random(1)  # noqa: S311 - nothing secret
    for layout in LAYOUTS * 50:
        marks = [
            structs.replace(
                mark,
                x_mm=mark.x_mm + chance.uniform(-0.2, 0.2),
                y_mm=mark.y_mm + chance.uniform(-0.2, 0.2),
            )
            for mark in measured(printer(3, 4, turned=0.003), layout)
        ]
        assert printers.fit(marks, layout, AS_IT_IS)


def test_too_few_marks_and_marks_that_are_not_on_the_sheet_are_refused() -> None:
    layout = LAYOUTS[0]
    marks = measured(printer(1, 1), layout)
    for wrong in (
        marks[:5],
        [*marks[:5], marks[0]],
        [*marks, marks[3]],
        [*marks[:7], structs.replace(marks[7], number=9)],
        [],
    ):
        with pytest.raises(MarksFew):
            printers.fit(wrong, layout, AS_IT_IS)
    assert printers.fit(marks[2:], layout, AS_IT_IS)


@pytest.mark.parametrize(
    "printed",
    [printer(width=0.97, height=0.97), printer(turned=0.03), printer(-32), printer(height=1.03)],
)
def test_a_correction_that_no_printer_needs_is_refused(printed: Printer) -> None:
    layout = LAYOUTS[0]
    with pytest.raises(ProfileImplausible):
        printers.fit(measured(printed, layout), layout, AS_IT_IS)


def test_a_correction_that_would_push_a_field_off_the_sheet_is_refused_and_names_it() -> None:
    layout = LAYOUTS[0]
    with pytest.raises(FieldOffSheet, match="二维码 QR code") as refused:
        printers.fit(measured(printer(25.5), layout), layout, AS_IT_IS)
    assert "姓名" not in str(refused.value)
    with pytest.raises(FieldOffSheet, match="姓名 Name、出生日期 Date of birth"):
        printers.fit(measured(printer(-25.5), layout), layout, AS_IT_IS)
    assert printers.fit(measured(printer(23), layout), layout, AS_IT_IS)


_ANYWHERE = st.floats(0, 999)


@given(
    st.lists(st.builds(Mark, st.integers(1, 9), _ANYWHERE, _ANYWHERE), min_size=6, max_size=8)
    | st.floats(0, 300).map(lambda x: [Mark(number, x, x) for number in range(1, 9)])
    | st.floats(0, 300).map(lambda x: [Mark(number, number * 30, x) for number in range(1, 9)])
)
def test_nonsense_is_refused_and_nothing_else_happens(marks: list[Mark]) -> None:
    with pytest.raises(Refusal):
        printers.fit(marks, LAYOUTS[0], AS_IT_IS)


# Kept profiles.


async def record_at(
    desk: Desk,
    name: str = "一号机",
    *,
    edition: str = "2026",
    applied: printers.Kept | None = None,
    printed: Printer = OFF,
) -> printers.Kept:
    opened = EDITIONS[edition]
    return await printers.record(
        desk.connection,
        desk.actor,
        name,
        opened,
        measured(printed, opened.layout, applied=applied or AS_IT_IS),
        applied=applied.profile_id if applied else None,
    )


async def record(
    world: World,
    name: str = "一号机",
    *,
    by: str = OPERATOR,
    edition: str = "2026",
    applied: printers.Kept | None = None,
    printed: Printer = OFF,
) -> printers.Kept:
    async with world.desk(by) as desk, desk.acting():
        return await record_at(desk, name, edition=edition, applied=applied, printed=printed)


async def current(desk: Desk, name: str = "一号机", edition: str = "2026") -> printers.Kept:
    async with desk.acting():
        return await printers.current(desk.connection, desk.actor, name, edition)


async def test_the_newest_profile_counts_and_all_are_kept(world: World) -> None:
    first = await record(world)
    assert (first.offset_x_tenths_mm, first.offset_y_tenths_mm) == (-15, 20)
    second = await record(world, printed=printer(0.5, 1))
    other = await record(world, edition="2026-a4", printed=printer(9, 9))
    assert second.recorded_by == OPERATOR
    assert second.marks == measured(printer(0.5, 1), LAYOUTS[0])
    async with world.desk(OPERATOR) as desk:
        assert await current(desk) == second
        assert await current(desk, edition="2026-a4") == other
        async with desk.acting():
            assert await printers.newest(desk.connection) == [second, other]
            assert await printers.history(desk.connection, "一号机") == [other, second, first]
            assert await printers.history(desk.connection, "二号机") == []
        with pytest.raises(PrinterUnknown, match="二号机"):
            await current(desk, "二号机")


async def test_a_profile_is_measured_under_one_of_the_same_printer_and_edition(
    world: World,
) -> None:
    first = await record(world)
    with pytest.raises(ProfileUnknown):
        await record(world, "二号机", applied=first)
    with pytest.raises(ProfileUnknown):
        await record(world, edition="2026-a4", applied=first)
    with pytest.raises(ProfileUnknown):
        await record(world, by=f"operator-{ZIGONG}", applied=first)
    second = await record(world, applied=first, printed=printer(1.9, -2))
    assert (second.applied, second.offset_x_tenths_mm) == (first.profile_id, -19)


async def test_a_city_sees_its_own_printers_and_the_province_all(world: World) -> None:
    ours = await record(world)
    theirs = await record(world, by=f"operator-{ZIGONG}", printed=printer(4, 4))
    for by, seen in {
        f"keeper-{CHENGDU}": [ours],
        f"operator-{ZIGONG}": [theirs],
        "province": sorted([ours, theirs], key=lambda kept: kept.city_code),
    }.items():
        async with world.desk(by) as desk, desk.acting():
            assert await printers.newest(desk.connection) == seen
    async with world.desk(f"operator-{ZIGONG}") as desk:
        assert await current(desk) == theirs


async def test_only_operators_record_profiles_and_the_journal_tells_it(world: World) -> None:
    for role in ("reviewer", "keeper", "auditor"):
        with pytest.raises(ActNotGranted):
            await record(world, by=f"{role}-{CHENGDU}")
    kept = await record(world)
    async with world.connection() as connection:
        entry = await connection.fetchrow(
            "select actor, subject, detail from journal where act = 'printers:profile:record'"
        )
    assert entry is not None
    assert (entry["actor"], entry["subject"]) == (OPERATOR, "一号机")
    assert entry["detail"]["profile"] == kept.profile_id
    assert entry["detail"]["offset_x_tenths_mm"] == -15


@pytest.mark.parametrize("name", ["", " 一号机", "一号机 ", "机" * 41])
async def test_a_name_that_cannot_be_told_apart_is_refused(world: World, name: str) -> None:
    with pytest.raises(PrinterNameUnfit):
        await record(world, name)


async def test_no_profile_is_ever_changed(world: World) -> None:
    kept = await record(world)
    for statement in (
        "update printer_profile set offset_x_tenths_mm = 0",
        "delete from printer_profile",
        "truncate printer_profile cascade",
    ):
        async with world.connection() as connection:
            with pytest.raises(HistoryChanged), db.refusing():
                await connection.execute(statement)
    async with world.desk(OPERATOR) as desk:
        with pytest.raises(NotYourCity):
            async with desk.acting():
                await desk.connection.execute("update printer_profile set edition = '2027'")
        assert await current(desk) == kept


def test_a_printer_is_calibrated_at_the_command_line(
    type_: Type,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    sheet = tmp_path / "sheets" / "calibration.pdf"
    read = functools.partial(type_, "printer", by=OPERATOR, yes=False)
    calibration = ("calibration", "--to", sheet, "--edition")
    assert read(*calibration, "2026").code == 0
    assert "--applied0" in test_overlay.texts(sheet.read_bytes())[0]
    marks = [
        word
        for mark in measured(printer(1.5, -2), LAYOUTS[0])
        for word in ("--mark", f"{mark.number}={mark.x_mm}，{mark.y_mm}")
    ]
    record = ("printer", "profile", "一号机", "--edition", "2026", "--applied", "0")
    done = type_(*record, *marks, by=OPERATOR)
    assert done.code == 0, done.err
    assert "x -1.5 mm +0.00%" in done.out
    assert type_(*record, *marks[:8], by=OPERATOR).code == 65
    assert type_(*record[:-1], "9" * 40, *marks, by=OPERATOR).code == 65
    for wrong in ("1=20", "x=1,2", "1=-3,4", "1=nan,1", "0=1,1", "1=1,2,3"):
        assert type_(*record, "--mark", wrong, by=OPERATOR).code == 64
    assert read(*calibration, "2026", "--printer", "一号机").code == 0
    assert "--applied1" in test_overlay.texts(sheet.read_bytes())[0]
    for listed in (read("list"), read("history", "一号机")):
        assert listed.code == 0
        assert "y +2.0 mm" in listed.out
    assert read(*calibration, "1999").code == 65
    assert read(*calibration, "2026", "--printer", "二号机").code == 65
