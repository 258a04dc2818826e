"""Issuance: promised before made, made the same by whoever makes it, stored before it is issued."""

import asyncio
import datetime
import hashlib
import itertools
import multiprocessing
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service import terminal, wiring
from service.ground.db import Connection
from service.ground.errors import KeyUnpublished, StoreUnavailable
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.issuing import certificates, issuance, public_keys
from service.issuing.issuance import Press, Promised
from service.registry import journal
from signing import keys
from tests import test_faults
from tests.world import CHENGDU, CITIES, MIANYANG, World

NOW = datetime.datetime.now(datetime.UTC)
OPERATOR, REVIEWER = f"operator-{CHENGDU}", f"reviewer-{CHENGDU}"


class Bench(msgspec.Struct, frozen=True):
    """A worker's place: what it needs for one group after the other."""

    connection: Connection
    objects: Objects
    press: Press

    async def claim(
        self, *, takeover_seconds: float = 60.0, group_size: int = 100
    ) -> list[Promised]:
        promised, _ = await issuance.claim(
            self.connection,
            self.press,
            worker="worker@tests",
            takeover_seconds=takeover_seconds,
            group_size=group_size,
        )
        return promised

    async def work(self, *, takeover_seconds: float = 60.0, group_size: int = 100) -> int:
        return await issuance.work(
            self.connection,
            self.objects,
            self.press,
            worker="worker@tests",
            takeover_seconds=takeover_seconds,
            group_size=group_size,
        )


def bench(world: World, connection: Connection, **changed: object) -> Bench:
    settings = msgspec.structs.replace(world.settings, **changed)
    return Bench(connection, Objects.open(settings.store_address), wiring.press(settings, NOW))


async def states(connection: Connection) -> dict[str, str]:
    rows = await connection.fetch("select number, state, cause from certificate order by number")
    return {row["number"]: " ".join(filter(None, (row["state"], row["cause"]))) for row in rows}


def files(world: World) -> set[str]:
    return {path.stem for path in Path(world.settings.store_address).rglob("*.pdf")}


class _Halting(Objects):
    """A store that halts when the bytes are durable, before it says so."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.halted, self.go_on = asyncio.Event(), asyncio.Event()

    async def put_all(self, blobs: Sequence[bytes]) -> list[str]:
        digests = await super().put_all(blobs)
        self.halted.set()
        await self.go_on.wait()
        return digests


@asynccontextmanager
async def halted(worker: Bench, store_address: str) -> AsyncIterator[asyncio.Task[int]]:
    """Let a worker store a group, and stand still before it issues it."""
    store = _Halting.open(store_address)
    task = asyncio.create_task(msgspec.structs.replace(worker, objects=store).work())
    await store.halted.wait()
    yield task
    store.go_on.set()


def _digests(settings: Settings, claims: Sequence[Promised]) -> dict[str, str]:
    """Make certificates and return what they come to; runs in whatever process."""
    press = wiring.press(settings, NOW)
    return {one.number: hashlib.sha256(press.make(one, None).pdf).hexdigest() for one in claims}


async def test_all_that_the_bytes_depend_on_is_kept_before_anything_is_made(world: World) -> None:
    await world.approved(count=3)
    async with world.connection() as connection:
        promised = await bench(world, connection).claim()
        rows = await connection.fetch("select * from certificate order by number")
    assert sorted(one.number for one in promised) == [row["number"] for row in rows]
    for one in promised:
        (kept,) = (row for row in rows if row["number"] == one.number)
        for field in Promised.__struct_fields__[-6:]:
            assert getattr(one, field) == kept[field] is not None
        assert kept["state"] == "numbered"
        assert kept["pdf_sha256"] is None
    assert not files(world)


async def test_a_claim_gives_the_same_bytes_wherever_and_whenever_it_is_made(world: World) -> None:
    await world.approved(count=4)
    async with world.connection() as connection:
        promised = await bench(world, connection).claim()
        again = await bench(world, connection).claim(takeover_seconds=1e-6)
    here = _digests(world.settings, promised)
    assert len(set(here.values())) == 4
    elsewhere = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with elsewhere:
        assert elsewhere.submit(_digests, world.settings, again[::-1]).result(60) == here
    other_host = msgspec.structs.replace(world.settings, host="other.example")
    assert _digests(other_host, promised[2:]) == {
        one.number: here[one.number] for one in promised[2:]
    }


@pytest.mark.parametrize("takeover_seconds", [5.0, 600.0])
async def test_a_claim_is_taken_over_after_the_set_time_and_not_before(
    world: World, takeover_seconds: float
) -> None:
    await world.approved(count=2)
    async with world.connection() as connection:
        worker = bench(world, connection)
        first = await worker.claim()
        age = "update certificate set claimed_at = now() - make_interval(secs => $1)"
        await connection.execute(age, takeover_seconds - 2)
        assert not await worker.claim(takeover_seconds=takeover_seconds)
        await connection.execute(age, takeover_seconds + 1)
        second = await worker.claim(takeover_seconds=takeover_seconds)
    order = {one.number: one for one in second}
    assert [order[one.number] for one in first] == first


async def test_workers_side_by_side_claim_everything_once(world: World) -> None:
    numbers = (await world.approved(count=24)).numbers

    async def claim_all() -> list[str]:
        async with world.connection() as connection:
            worker, mine = bench(world, connection), list[str]()
            while group := await worker.claim(group_size=3):
                mine += [one.number for one in group]
            return mine

    one, other = await asyncio.gather(claim_all(), claim_all())
    assert len(one) >= 3
    assert len(other) >= 3
    assert sorted(one + other) == list(numbers)


async def test_a_worker_that_was_overtaken_issues_nothing_twice(world: World) -> None:
    await world.approved(count=3)
    async with world.connection() as connection, world.connection() as other:
        async with halted(bench(world, connection), world.settings.store_address) as slow:
            assert await bench(world, other).work(takeover_seconds=1e-6) == 3
        assert await slow == 3
        told = await other.fetch(
            "select subject, detail from journal where act = 'issuance:certificate:issue'"
        )
        kept = await other.fetch("select number, pdf_sha256 from certificate order by number")
        assert not await journal.broken(other)
    assert sorted((row["subject"], row["detail"]["pdf_sha256"]) for row in told) == [
        (row["number"], row["pdf_sha256"].hex()) for row in kept
    ]
    assert files(world) == {row["pdf_sha256"].hex() for row in kept}


async def test_a_row_that_somebody_holds_is_skipped_and_not_waited_for(world: World) -> None:
    held, *others = (await world.approved(count=3)).numbers
    async with world.connection() as connection, world.connection() as other:
        worker = bench(world, connection)
        async with other.transaction():
            await other.execute("select from certificate where number = $1 for update", held)
            async with asyncio.timeout(10):
                assert await worker.work() == 2
            assert await states(connection) == {held: "numbered"} | dict.fromkeys(others, "issued")
        assert await worker.work() == 1


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("id_encrypted = set_byte(id_encrypted, 20, get_byte(id_encrypted, 20) # 1)", "InvalidTag"),
        ("name = '\U0001f980'", "FaceNotDrawn"),
        ("edition = '1900'", "FileNotFoundError"),
    ],
)
async def test_what_cannot_be_made_is_parked_with_its_cause_and_can_be_retried(
    world: World, change: str, cause: str
) -> None:
    approval = await world.approved(count=3)
    first, broken, last = approval.numbers
    async with world.connection() as connection:
        await connection.execute(
            "alter table certificate disable trigger certificate_keeps_its_face"
        )
        before = await connection.fetchrow("select * from certificate where number = $1", broken)
        assert before is not None
        await connection.execute(f"update certificate set {change} where number = $1", broken)  # noqa: S608 - a parameter of this test
        worker = bench(world, connection)
        assert await worker.work() == 3
        found = await states(connection)
        assert (found[first], found[last]) == ("issued", "issued")
        assert found[broken].startswith(f"parked {cause}")
        assert await worker.work() == 0

        column = change.partition(" ")[0]
        await connection.execute(
            f"update certificate set {column} = $2 where number = $1",  # noqa: S608 - as above
            broken,
            before[column],
        )
        assert await retried(world, approval.batch_id) == [broken]
        assert await worker.work() == 1
        assert (await states(connection))[broken] == "issued"


async def retried(world: World, batch_id: int) -> list[str]:
    async with world.desk(OPERATOR) as desk, desk.acting():
        return await certificates.retry(desk.connection, desk.actor, batch_id)


async def test_a_city_without_a_signer_holds_up_no_other_city(world: World, tmp_path: Path) -> None:
    parked = await world.approved(CHENGDU, count=4)
    await world.approved(MIANYANG, count=2, serial=10_000)
    without = Path(shutil.copytree(world.settings.keys, tmp_path / "without"))
    for path in (without / "seal").glob(f"{CHENGDU}.*"):
        path.unlink()
    async with world.connection() as connection:
        worker = bench(world, connection, keys=str(without))
        groups = [await worker.work(group_size=2) for _ in range(4)]
        assert groups == [2, 2, 2, 0]
        found = await states(connection)
        causes = {found[number] for number in parked.numbers}
        assert causes == {"parked SignerAbsent"}
        assert sorted(found.values()) == ["issued"] * 2 + ["parked SignerAbsent"] * 4
        assert len(await retried(world, parked.batch_id)) == 4
    await world.issue()
    async with world.connection() as connection:
        assert set((await states(connection)).values()) == {"issued"}


async def test_what_was_promised_under_another_key_is_parked_and_never_sealed_anew(
    world: World, tmp_path: Path
) -> None:
    approval = await world.approved(count=2)
    replaced = _replaced_keys(world, tmp_path)
    async with world.connection() as connection:
        await bench(world, connection).claim()
        worker = bench(world, connection, keys=replaced)
        assert await worker.work(takeover_seconds=1e-6) == 2
        assert set((await states(connection)).values()) == {"parked KeyReplaced"}
        assert not files(world)
        await retried(world, approval.batch_id)
        assert await bench(world, connection).work() == 2
        assert set((await states(connection)).values()) == {"issued"}


async def test_a_key_that_is_not_published_seals_nothing(world: World, tmp_path: Path) -> None:
    await world.approved(count=2)
    replaced = _replaced_keys(world, tmp_path)
    async with world.connection() as connection:
        worker = bench(world, connection, keys=replaced)
        with pytest.raises(KeyUnpublished):
            await worker.work()
        assert set((await states(connection)).values()) == {"numbered"}
        assert not files(world)
        settings = msgspec.structs.replace(world.settings, keys=replaced)
        signers, qr_key = wiring.sealing_keys(settings, NOW)
        async with world.desk("province") as desk, desk.acting():
            await public_keys.publish(desk.connection, desk.actor, signers, [qr_key])
        assert await worker.work() == 2


def _replaced_keys(world: World, folder: Path) -> str:
    """Other keys for everything that is public, the same secrets."""
    replaced = folder / "replaced"
    keys.create_development(replaced, cities=CITIES, made_at=NOW - datetime.timedelta(hours=1))
    shutil.copytree(Path(world.settings.keys, "secrets"), replaced / "secrets", dirs_exist_ok=True)
    return str(replaced)


async def test_bytes_are_in_the_store_before_anything_is_called_issued(world: World) -> None:
    wished, other = (await world.approved(count=2)).numbers
    async with world.connection() as connection, world.connection() as watching:
        worker = bench(world, connection)
        async with halted(worker, world.settings.store_address) as working:
            assert set((await states(watching)).values()) == {"numbered"}
            assert len(made := files(world)) == 2
            async with world.desk(REVIEWER) as desk, desk.acting():
                await certificates.void(desk.connection, desk.actor, wished, "姓名有误")
        assert await working == 2
        assert await states(watching) == {wished: "numbered", other: "issued"}

        assert await worker.work(takeover_seconds=1e-6) == 0
        batch_id = await watching.fetchval("select min(batch_id) from batch")
        assert await retried(world, batch_id) == [wished]
        assert await worker.work() == 1
        assert await states(watching) == {wished: "issued", other: "issued"}
        kept = await watching.fetch("select pdf_sha256 from certificate")
    assert {row["pdf_sha256"].hex() for row in kept} == made == files(world)


async def test_a_store_that_cannot_be_written_stops_the_issue_and_not_for_ever(
    world: World,
) -> None:
    await world.approved(count=2)
    async with world.connection() as connection:
        worker = bench(world, connection)
        _spoil(world)
        with pytest.raises(StoreUnavailable) as refused:
            await worker.work()
        assert refused.value.retry
        assert set((await states(connection)).values()) == {"numbered"}
        _mend(world)
        assert await worker.work(takeover_seconds=1e-6) == 2
        assert set((await states(connection)).values()) == {"issued"}
    assert len(files(world)) == 2


def _spoil(world: World) -> None:
    store = Path(world.settings.store_address)
    store.rmdir()
    store.write_text("a file where the store should be", "utf-8")


def _mend(world: World) -> None:
    Path(world.settings.store_address).unlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_store_that_may_not_be_written_is_refused_too(world: World) -> None:
    await world.approved(count=1)
    async with world.connection() as connection:
        worker = bench(world, connection)
        os.chmod(world.settings.store_address, 0o500)  # noqa: PTH101 - in a coroutine
        with pytest.raises(StoreUnavailable):
            await worker.work()


async def test_status_indexes_are_unique_and_tell_nothing_of_their_order(world: World) -> None:
    await world.approved(count=40)
    async with world.connection() as connection:
        promised = await bench(world, connection).claim()
    indexes = [
        one.status_index
        for one in sorted(promised, key=lambda one: one.number)
        if one.status_index is not None
    ]
    assert len(set(indexes)) == 40
    assert all(0 <= index < 1 << 20 for index in indexes)
    assert indexes not in (sorted(indexes), sorted(indexes, reverse=True))
    steps = {abs(after - before) for before, after in itertools.pairwise(indexes)}
    assert len(steps) > 35


@pytest.mark.parametrize(("percent", "least", "most"), [(0, 2, 2), (20, 20, 110), (100, 300, 300)])
async def test_the_first_the_last_and_a_share_are_examined_in_full(
    world: World, percent: float, least: int, most: int
) -> None:
    settings = msgspec.structs.replace(world.settings, full_examination_percent=percent)
    await World(world.address, settings).approved(count=300)
    async with world.connection() as connection:
        rows = await connection.fetch("select examine_fully from certificate order by number")
    chosen = [row["examine_fully"] for row in rows]
    assert chosen[0]
    assert chosen[-1]
    assert least <= sum(chosen) <= most


async def test_a_certificate_that_kills_its_workers_is_set_aside_and_takes_no_other_with_it(
    world: World,
) -> None:
    """A claim that nobody comes back from is what a worker's sudden death looks like."""
    approval = await world.approved(count=3)
    bad, good = approval.numbers[0], approval.numbers[1:]
    async with world.connection() as connection:
        worker = bench(world, connection)
        for _ in range(3):
            assert len(await worker.claim(takeover_seconds=1e-6)) == 3
        groups = [[one.number for one in await worker.claim(takeover_seconds=1e-6)]]
        groups += [[one.number for one in await worker.claim(takeover_seconds=1e-6)]]
        assert groups == [[bad], [bad]]
        for number in (bad, *good):
            await connection.execute(
                "update certificate set claim_count = $2 where number = $1",
                number,
                6 if number == bad else 3,
            )
        while await worker.work(takeover_seconds=1e-6):
            pass
        assert await states(connection) == {
            bad: "parked WorkersLost",
            **dict.fromkeys(good, "issued"),
        }
        assert await retried(world, approval.batch_id) == [bad]
        while await worker.work(takeover_seconds=1e-6):
            pass
        assert (await states(connection))[bad] == "issued"


async def test_a_full_store_is_no_fault_of_the_certificates(world: World) -> None:
    await world.approved(count=2)
    async with world.connection() as connection:
        worker = bench(world, connection)
        _spoil(world)
        for _ in range(8):
            with pytest.raises(StoreUnavailable):
                await worker.work(takeover_seconds=1e-6)
        _mend(world)
        assert await worker.work(takeover_seconds=1e-6) == 2
        assert set((await states(connection)).values()) == {"issued"}


async def test_an_issue_that_is_interrupted_says_so_finishes_its_groups_and_claims_no_more(
    world: World,
) -> None:
    await world.approved(count=200)
    address = {"QIANFA_DATABASE_URL": world.address, "QIANFA_PROCESSES": "1"}
    for by in (signal.SIGINT, signal.SIGTERM):
        before, _ = await test_faults.issued(world)
        async with test_faults.started(world, *test_faults.QIANFA, "issue", **address) as issuing:
            await test_faults.until_more(world, test_faults.ISSUED, issuing)
            if by is signal.SIGINT:
                test_faults.kill(issuing, by)  # Ctrl-C reaches all at the terminal
            else:
                issuing.send_signal(by)
            async with asyncio.timeout(20):
                said = (await issuing.communicate())[1].decode()
        assert issuing.returncode == 128 + by
        assert re.search(rf"签章 sealing \d+/{200 - before} ", said)
        assert said.rstrip().endswith("to go on, run again: qianfa issue")
        assert "Traceback" not in said
        assert "\x1b" not in said
        assert before < (await test_faults.issued(world))[0] < 200
        async with world.connection() as connection:
            left = (
                "select count(*) from certificate where state = 'numbered' and claimed_at < now()"
            )
            assert await connection.fetchval(left) == 0


def test_a_pace_is_that_of_the_last_while_and_what_arrives_meanwhile_counts() -> None:
    pace = terminal.Pace()
    assert pace.words(0, 1000, 0.0) == "0/1,000  每秒 0.0/s  剩余 left –"
    assert pace.words(100, 1000, 10.0) == "100/1,000  每秒 10.0/s  剩余 left 0:01:30"
    for second in range(11, 41):
        said = pace.words(100 + (second - 10) * 50, 3000, float(second))
    assert said == "1,600/3,000  每秒 50.0/s  剩余 left 0:00:28"
    for second in range(41, 61):
        said = pace.words(1600, 3000, float(second))
    assert said == "1,600/3,000  每秒 0.0/s  剩余 left –"
