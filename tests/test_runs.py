"""Runs: the faces they print, the commands they are typed in, and what dies in their midst."""

import asyncio
import datetime
import io
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from service import wiring
from service.ground.errors import DatabaseUnavailable, FacesAbsent, RunFallen, RunInOtherState
from service.ground.objects import Objects
from service.issuing.changes import Kind as Change
from service.paper import overlay, printing
from service.paper.blanks import State, check, records
from service.paper.overlay import Profile
from service.paper.papers.changing import Kind
from service.paper.printing import faces
from tests import test_cli, test_printers
from tests.printshop import KEEPER, OPERATOR, REVIEWER, TODAY, Shop
from tests.test_changes import done
from tests.test_cli import Type
from tests.world import SECRET, World

NOW = datetime.datetime(2026, 11, 2, 3, 0, tzinfo=datetime.UTC)


# Faces.


async def test_one_pdf_in_serial_order_and_how_often_it_was_made(shop: Shop) -> None:
    numbers = shop.numbers[:3]
    run_id = await shop.plan(*numbers)
    pages = await _pages(shop, run_id, preview=True)
    assert all("样张" in page for page in pages)
    with pytest.raises(RunInOtherState):
        await _pages(shop, run_id)
    await shop.draw(run_id, typed="0000040-0000042")
    assert "川26A0000041" in (await _pages(shop, run_id, preview=True))[1]
    pages = await _pages(shop, run_id)
    assert [number in page for page, number in zip(pages, numbers, strict=True)] == [True] * 3
    assert not any("样张" in page or "川26A" in page for page in pages)
    kept = await test_printers.record(shop.world)
    for times, profile in ((1, None), (2, kept)):
        async with shop.at(OPERATOR) as desk:
            round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=False)
            assert await faces.count(desk.connection, desk.actor, round_, profile) == times
    await shop.settle(run_id, 3)
    async with shop.at(OPERATOR) as desk:
        (run,) = await printing.runs(desk.connection)
        assert (run.pdf_count, run.profile_id) == (2, kept.profile_id)
        with pytest.raises(RunInOtherState):
            await faces.count(desk.connection, desk.actor, round_, None)


async def test_what_falls_while_its_faces_are_made_is_not_given_out(shop: Shop) -> None:
    fallen, fine = shop.numbers[:2]
    run_id = await shop.drawn(fallen, fine)
    async with shop.at(OPERATOR) as desk:
        round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=False)
    await done(shop.world, fallen, Change.REVOKE)
    async with shop.at(OPERATOR) as desk:
        with pytest.raises(RunFallen):
            await faces.count(desk.connection, desk.actor, round_, None)
        assert (await printing.runs(desk.connection))[0].pdf_count == 0


async def test_every_stored_file_that_is_gone_or_damaged_is_named(
    shop: Shop, tmp_path: Path
) -> None:
    gone, fine, damaged = shop.numbers[:3]
    run_id = await shop.drawn(gone, fine, damaged)
    async with shop.at(OPERATOR) as desk:
        round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=False)
    whole, broken = (face.pdf_sha256.hex() for face in round_.faces[1:])
    pdf = await Objects.open(shop.world.settings.store_address).get(whole)
    for digest, content in ((whole, pdf), (broken, pdf[:-1])):
        _write(tmp_path / digest[:2] / digest[2:4] / f"{digest}.pdf", content)
    vault, seen = wiring.vault(shop.world.settings), list[int]()
    with pytest.raises(FacesAbsent, match="2 份") as refused:
        await faces.read(Objects.open(str(tmp_path)), vault, round_, seen.append)
    assert [(one.value, one.code) for one in refused.value.findings] == [
        (gone, "ObjectMissing"), (damaged, "ObjectDamaged"),
    ]  # fmt: skip
    assert "川26A0000003" in refused.value.findings[1].zh
    assert seen == [1, 2, 3]
    await shop.cancel(run_id)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


async def test_the_face_of_a_reissue_says_so_with_its_day(shop: Shop) -> None:
    number = shop.numbers[0]
    await shop.printed(number)
    (page,) = await _pages(shop, await shop.plan(shop.numbers[1]), preview=True)
    assert "补发" not in page
    await shop.changed(Kind.REISSUE, number)
    (page,) = await _pages(shop, await shop.drawn(number))
    assert f"补发 {TODAY.year}年{TODAY.month}月{TODAY.day}日" in page


async def _pages(shop: Shop, run_id: int, *, preview: bool = False) -> list[str]:
    """The text of every page of a run's PDF."""
    world = shop.world
    async with shop.at(OPERATOR) as desk:
        round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=preview)
    objects = Objects.open(world.settings.store_address)
    read: list[int] = []
    found = await faces.read(objects, wiring.vault(world.settings), round_, read.append)
    assert read == [place + 1 for place in range(len(found))]
    pdf = overlay.render(
        wiring.blank_edition(round_.edition), found, Profile(), preview=preview, rendered_at=NOW
    )
    with pypdfium2.PdfDocument(io.BytesIO(pdf)) as document:
        return [page.get_textpage().get_text_range() for page in document]


# The command line.


type_ = test_cli.type_


@pytest.fixture
def world(shop: Shop) -> World:
    """What `type_` types in."""
    return shop.world


def test_a_run_goes_from_its_plan_to_collected_papers_by_commands(
    shop: Shop, type_: Type, tmp_path: Path
) -> None:
    def at(account: str, *words: object) -> str:
        typed = type_(*words, by=account, yes=words[1] not in looking)
        assert typed.code == 0, typed.err
        return typed.out

    looking = ("preview", "list", "runs", "sheet", "uncollected", "changes")
    number, second = shop.numbers[6], shop.numbers[0]
    assert "25 张" in at(OPERATOR, "print", "plan", "--batch", shop.batch_id)
    assert "川26A0000001-0000025" in at(KEEPER, "print", "draw", 1)
    for command, words in (("preview", "25 页"), ("pdf", "川26A0000001 至 川26A0000025")):
        assert words in at(OPERATOR, "print", command, 1, "--to", tmp_path / "run.pdf")
    assert "第 2 次" in at(OPERATOR, "print", "pdf", 1, "--to", tmp_path / "run.pdf")
    said = ("print", "settle", 1, "--spoiled", "7,12", "--not-printed", "20-22", "--printed")
    assert "--last" in type_(*said, 20, by=OPERATOR).err
    last = ("--last", shop.numbers[24][-4:])
    refused = type_(*said, 21, *last, by=OPERATOR)
    assert (refused.code, "= 20，却说印好 21" in refused.err) == (65, True)
    refused = type_(*said, 20, "--last", shop.numbers[23], by=OPERATOR)
    assert (refused.code, "川26A0000025 是流水号最大的好证" in refused.err) == (65, True)
    settled = at(OPERATOR, *said, 20, *last, "--carries", f"1={second}")
    assert "作废 spoiled 2" in settled
    assert "尚缺 left 5" in settled
    at(KEEPER, "print", "draw", 1)
    at(OPERATOR, "print", "settle", 1, "--printed", 5, "--last", shop.numbers[21])
    listed = at(OPERATOR, "print", "list", 1)
    assert "川26A0000027" in listed
    assert "＊" in listed
    assert "已关闭" in at(KEEPER, "print", "close", 1)
    assert "closed" in at(OPERATOR, "print", "runs")
    sheet = tmp_path / "sheet.pdf"
    at(OPERATOR, "paper", "sheet", "--run", 1, "--document-number", "领1", "--to", sheet)
    assert sheet.read_bytes().startswith(b"%PDF")
    at(OPERATOR, "paper", "hand-over", number, "--document-number", "领1", "--id-checked")
    assert number not in at(OPERATOR, "paper", "uncollected")
    at(OPERATOR, "paper", "reissue", number, "--reason", "遗失", "--document-number", "补1")
    assert "reissue" in at(REVIEWER, "paper", "changes")
    assert f"print plan {number}" in at(REVIEWER, "paper", "confirm", 1)
    at(OPERATOR, "paper", "spoil", second, "--reason", "印坏", "--document-number", "废1")
    assert "已退回" in at(REVIEWER, "paper", "decline", 2, "--reason", "看错")
    at(OPERATOR, "print", "plan", number)
    assert "已取消" in at(KEEPER, "print", "cancel", 2)
    assert type_("print", "plan", by=OPERATOR).code == 64
    nothing = ("paper", "sheet", "--document-number", "x", "--to", sheet)
    assert type_(*nothing, by=OPERATOR, yes=False).code == 64


def test_nothing_is_drawn_of_a_series_whose_layout_is_gone(shop: Shop, type_: Type) -> None:
    async def relabel(edition: str) -> None:
        async with shop.world.connection() as owner:
            await owner.execute("set session_replication_role = replica")
            await owner.execute("update blank_series set edition = $1", edition)

    run_id = asyncio.run(shop.plan(*shop.numbers[:2]))
    asyncio.run(relabel("2027"))
    refused = type_("print", "draw", run_id, by=KEEPER)
    assert (refused.code, "BlankEditionUnknown" in refused.err) == (65, True)
    assert asyncio.run(shop.stock(State.DRAWN)) == ()
    asyncio.run(relabel("2026"))
    assert type_("print", "draw", run_id, by=KEEPER).code == 0
    slipped = ("--printed", 1, "--last", shop.numbers[0], "--shift-from", 1, "--not-printed", 1)
    settled = type_("print", "settle", run_id, *slipped, by=OPERATOR)
    assert settled.code == 0, settled.err
    assert " --shift-from 1\n" in settled.err
    assert "print plan" in type_("print", "close", run_id, by=KEEPER).out


def test_a_sheet_signed_by_many_is_attached_to_the_document_number_of_their_hand_over(
    shop: Shop, type_: Type, tmp_path: Path
) -> None:
    first, second = shop.numbers[:2]
    asyncio.run(shop.printed(first, second))
    sheet = tmp_path / "领.pdf"
    sheet.write_bytes(b"%PDF-1.4")
    attach = ("blanks", "document", "attach", "hand-over", "领1", sheet)
    assert "AttachmentSubjectUnknown" in type_(*attach, by=OPERATOR).err
    said = ("--document-number", "领\u200b1", "--id-checked")  # as it is copied from a PDF
    done = type_("paper", "hand-over", first, second, *said, by=OPERATOR)
    assert done.code == 0, done.err
    assert f" {first}、{second} --document-number 领1 --id-checked\n" in done.err
    assert type_(*attach, by=OPERATOR).code == 0
    listed = type_("blanks", "document", "list", "hand-over", "领1", by=OPERATOR, yes=False)
    assert "领.pdf" in listed.out
    for run_id in (1, 9):  # all handed over; none
        form = ("--document-number", "领2", "--to", tmp_path / "x.pdf")
        nothing = type_("paper", "sheet", "--run", run_id, *form, by=OPERATOR, yes=False)
        assert (nothing.code, "NothingToHandOver" in nothing.err) == (65, True)


# Crashes.


async def _victim(shop: Shop) -> int:
    """The server process of whoever waits for a lock."""
    await shop.world.until_somebody_waits()
    async with shop.world.connection() as owner:
        pid: int = await owner.fetchval(
            "select pid from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        )
    return pid


async def _killed(shop: Shop, act: Any) -> None:
    """Kill an act in its middle: its rows are written and it waits for the books."""
    async with shop.world.connection() as holder, holder.transaction():
        await holder.execute("select from blank_head for update")
        doing = asyncio.create_task(act)
        pid = await _victim(shop)
        async with shop.world.connection() as owner:
            await owner.execute("select pg_terminate_backend($1)", pid)
        with pytest.raises(DatabaseUnavailable):
            await doing


async def test_a_draw_or_settlement_that_is_killed_leaves_nothing_behind(shop: Shop) -> None:
    run_id = await shop.plan(*shop.numbers[:3])
    await _killed(shop, shop.draw(run_id))
    assert [one.serial for one in await shop.listed(run_id)] == [None] * 3
    assert await shop.stock(State.DRAWN) == ()
    await shop.draw(run_id)
    await _killed(shop, shop.settle(run_id, 2, spoiled="2"))
    assert await shop.papers() == {}
    assert [one.outcome for one in await shop.listed(run_id)] == [None] * 3
    assert (await shop.settle(run_id, 2, spoiled="2")).left_count == 1
    async with shop.world.connection() as owner:
        assert await check.check(owner) == []


@pytest.mark.long
def test_a_command_that_is_killed_leaves_nothing_half_done_and_is_typed_again(
    shop: Shop, tmp_path: Path
) -> None:
    """Processes that die without a farewell after all but the last of what they write."""
    first, *_, last = numbers = shop.numbers[:3]
    asyncio.run(shop.plan(*numbers))
    pdf, spoil = tmp_path / "run.pdf", ("--spoiled", "2", "--printed", 2, "--last", last)
    before = asyncio.run(_whole(shop))
    for by, point, *words in (
        (KEEPER, "after add_sheets 1", "print", "draw", 1),
        (OPERATOR, "after count_pdf 1", "print", "pdf", 1, "--to", pdf),
        (OPERATOR, "after settle_round 1", "print", "settle", 1, *spoil),
        (OPERATOR, "after add_movements 1", "paper", "hand-over", first, "--id-checked",
         "--document-number", "领1"),
    ):  # fmt: skip
        killed = _process(shop, tmp_path, by, ["-m", "tests.crashing", point, "qianfa"], words)
        assert killed.returncode == -signal.SIGKILL, killed
        assert asyncio.run(_whole(shop)) == before, words
        assert not pdf.exists() or words[1] != "pdf"
        program = ["-c", "from service import cli; cli.main()"]
        done = _process(shop, tmp_path, by, program, words)
        assert done.returncode == 0, done
        assert asyncio.run(_whole(shop)) != before, words
        before = asyncio.run(_whole(shop))
    assert pdf.read_bytes().startswith(b"%PDF")


async def _whole(shop: Shop) -> list[object]:
    """Everything that printing writes; the books hold."""
    async with shop.world.connection() as owner:
        assert await check.check(owner) == await records.check(owner) == []
        return [
            await owner.fetch(f"select * from {table} order by 1, 2, 3")  # noqa: S608 - of this list
            for table in ("print_run", "print_round", "sheet", "paper", "hand_over", "journal")
        ]


def _process(
    shop: Shop, folder: Path, by: str, program: list[str], words: Sequence[object]
) -> "subprocess.CompletedProcess[str]":
    (folder / "secret").write_text(SECRET)
    settings = {
        f"QIANFA_{name.upper()}": str(getattr(shop.world.settings, name))
        for name in ("var", "database_url", "keys")
    }
    return subprocess.run(
        [
            sys.executable, *program, *map(str, words), "--as", by, "--secret-file",
            str(folder / "secret"), "--yes",
        ],
        cwd=Path(__file__).parents[1], env={"PATH": os.environ["PATH"], **settings},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
