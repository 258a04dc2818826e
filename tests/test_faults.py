"""Faults: what is left when workers, approvals and servers are killed in the middle of an issue.

Whatever dies and whenever, after the next run no number is lost or doubled, nothing is called
issued without its durable bytes, and there is one sealed file of every number.
"""

import asyncio
import datetime
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from itertools import count, pairwise
from pathlib import Path

import msgspec
import pytest

from service import wiring, worker
from service.ground import embedded
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.issuing import certificates, public_keys
from service.issuing.certificates import Certificate
from service.registry import journal
from signing import examine
from tests import conftest, pdfs
from tests import world as worlds
from tests.world import CHENGDU, MIANYANG, SECRET, World

ROOT = Path(__file__).parent.parent
TRY_LATER = 75
ISSUED = "select count(*) from certificate where state = 'issued'"
SESSIONS = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
QIANFA = ("-c", "from service.cli import main; main()")
CRASHING = ("-m", "tests.crashing")
STEPS = {
    "claimed, nothing promised": ("before promise 2", 16),
    "promised, not committed": ("after promise 2", 16),
    "promise committed, nothing made": ("before make 17", 16),
    "some made": ("after make 20", 16),
    "made, nothing stored": ("before store 2", 16),
    "some stored": ("before fsync 70", 16),
    "stored, not issued": ("after store 2", 16),
    "issued, not committed": ("after issue 2", 16),
    "issue committed": ("before claim 3", 32),
}
_serials = count(0, 10_000)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, development_keys: Path) -> Iterator[World]:
    """A world on a server of its own, which may be killed."""
    yield from _world(tmp_path_factory.mktemp("faults"), development_keys)


@pytest.fixture
def fresh(tmp_path: Path, development_keys: Path) -> Iterator[World]:
    """As `own`, with nothing in it."""
    yield from _world(tmp_path, development_keys)


def _world(var: Path, keys: Path) -> Iterator[World]:
    with embedded.running(var / "postgres") as address:
        asyncio.run(_make_world(address, keys))
        settings = Settings(var=var, database_url=address, keys=str(keys), processes=2)
        yield World(address, settings)


async def _make_world(address: str, keys: Path) -> None:
    """Put a world where commands look for one that know no address."""
    await conftest._make_template(address, keys)
    beside = address.rsplit("/", 1)[0] + "/template1"
    await conftest._execute(beside, "drop database postgres")
    await conftest._execute(beside, "create database postgres template template_world")


@asynccontextmanager
async def started(world: World, *words: str, **settings: str) -> AsyncIterator[Process]:
    """A command in a process group of its own, of which nothing is left afterwards."""
    environment = {
        "PYTHONPATH": str(ROOT),
        "QIANFA_VAR": str(world.settings.var),
        "QIANFA_KEYS": world.settings.keys,
        "QIANFA_PROCESSES": "2",
        "QIANFA_TAKEOVER_SECONDS": "0.5",
        "QIANFA_ACTOR": f"reviewer-{MIANYANG}",
        "QIANFA_SECRET": SECRET,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        env=environment | settings,
        stdout=DEVNULL,
        stderr=PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill(process)
        await process.communicate()


def kill(process: Process, by: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a command and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, by)


async def run(world: World, *words: str, **settings: str) -> tuple[int | None, str]:
    """Run a command to its end; returns its exit code and what it said on standard error."""
    async with started(world, *words, **settings) as process, asyncio.timeout(300):
        said = (await process.communicate())[1]
        return process.returncode, said.decode()


async def issued(world: World) -> tuple[int, int]:
    """How many certificates are issued, and how many there are."""
    async with world.connection() as connection:
        row = await connection.fetchrow(
            "select count(*) filter (where state = 'issued'), count(*) from certificate"
        )
        assert row is not None
        return row[0], row[1]


async def until_more(world: World, query: str, process: Process) -> None:
    """Return once a count has grown, or a process has ended."""
    async with world.connection() as connection, asyncio.timeout(60):
        before = await connection.fetchval(query)
        while (  # noqa: ASYNC110 - the server tells nobody
            process.returncode is None and await connection.fetchval(query) <= before
        ):
            await asyncio.sleep(0.01)


async def assert_what_is_issued_is_stored(world: World) -> set[str]:
    """Re-read everything that is called issued; returns the digests of it."""
    objects = Objects.open(world.settings.store_address)
    async with world.connection() as connection:
        rows = await connection.fetch("select pdf_sha256 from certificate where state = 'issued'")
    digests = {row["pdf_sha256"].hex() for row in rows}
    assert len(digests) == len(rows)
    for digest in digests:
        await objects.get(digest)  # or it is refused as missing or damaged
    return digests


async def assert_all_is_well(world: World) -> None:
    """Everything is issued, once and with valid bytes, and no number is missing."""
    async with world.connection() as connection:
        rows = await connection.fetch("select * from certificate order by number")
        pins = await public_keys.pins(connection)
        told = await connection.fetch(
            "select subject, detail from journal where act = 'issuance:certificate:issue'"
        )
        assert not await journal.broken(connection)
    assert {row["state"] for row in rows} == {"issued"}
    for one, next_one in pairwise(rows):
        if one["city_code"] == next_one["city_code"]:
            assert int(one["number"]) + 1 == int(next_one["number"])
    digests = [(row["number"], row["pdf_sha256"].hex()) for row in rows]
    assert sorted((one["subject"], one["detail"]["pdf_sha256"]) for one in told) == digests
    assert files_of(world) == await assert_what_is_issued_is_stored(world)
    vault, objects = wiring.vault(world.settings), Objects.open(world.settings.store_address)
    photo_mm = pdfs.edition().photo_mm
    for row in rows:
        certificate = msgspec.convert(
            dict(row), Certificate, builtin_types=(bytes, datetime.date, datetime.datetime, Decimal)
        )
        examine.own(
            await objects.get(row["pdf_sha256"].hex()),
            certificates.record(certificate, vault),
            pins[row["seal_fingerprint"].hex()],
            photo_mm,
        )


def files_of(world: World) -> set[str]:
    """The digests of all sealed files, whether anything calls them issued or not."""
    return {path.stem for path in Path(world.settings.store_address).rglob("*.pdf")}


def children_of(process: Process) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in path.read_text().split()]


async def submitted(world: World, row_count: int) -> int:
    """A batch of Mianyang that waits for its approval."""
    rows = worlds.rows(row_count, serial=next(_serials), failed_every=row_count + 1)
    batch_id = await world.import_rows(MIANYANG, rows)
    await world.record(f"operator-{MIANYANG}", *worlds.batch_facts(batch_id).values())
    await world.submit(MIANYANG, batch_id)
    return batch_id


async def kill_approval(world: World, issuing: Process, delay_seconds: float) -> None:
    """Kill an approval while the issue stands still; it has happened wholly or not at all."""
    batch_id = await submitted(world, 20)
    kill(issuing, signal.SIGSTOP)
    async with world.connection() as connection, asyncio.timeout(60):
        before = await connection.fetchval(SESSIONS)
        async with started(world, *QIANFA, "batch", "approve", str(batch_id), "--yes") as approving:
            await until_more(world, SESSIONS, approving)
            await asyncio.sleep(delay_seconds / 2)
        while await connection.fetchval(SESSIONS) > before:  # noqa: ASYNC110 - it may be committing
            await asyncio.sleep(0.01)
        (row,) = await connection.fetch(
            "select state, (select count(*) from certificate where batch_id = $1) from batch"
            " where batch_id = $1",
            batch_id,
        )
    assert tuple(row) in {("approved", 20), ("submitted", 0)}
    if row["state"] == "submitted":
        code, _ = await run(world, *QIANFA, "batch", "approve", str(batch_id), "--yes")
        assert code == 0


async def kill_server(world: World, issuing: Process, delay_seconds: float) -> None:
    """Kill the server: the issue says so, once and clearly, and ends."""
    await asyncio.sleep(delay_seconds)
    state = world.settings.var / "postgres" / "data" / "postmaster.pid"
    os.kill(int(state.read_text().split()[0]), signal.SIGKILL)
    async with asyncio.timeout(30):
        said = (await issuing.communicate())[1].decode()
    with embedded.running(world.settings.var / "postgres") as address:
        assert address == world.address
    done, total = await issued(world)
    if done < total:
        assert issuing.returncode == TRY_LATER
        assert said.count("数据库无法连接") == 1, said
        assert "Traceback" not in said


async def kill_workers(_: World, issuing: Process, delay_seconds: float) -> None:
    await asyncio.sleep(delay_seconds)
    kill(issuing)
    await issuing.communicate()


KILLS = [kill_workers, kill_approval, kill_server]


async def besiege(world: World, *, moments: int, batch_size: int, at_least: int) -> None:
    """Kill one after the other at seeded moments of an issue, then let it finish."""
    chance = random.Random(20260612)  # noqa: S311 - the same moments every time
    for moment in range(moments):
        done = total = 0
        while not 0 < done < total:  # an issue that was faster is no moment of an issue
            done, total = await issued(world)
            if total - done < at_least:
                await world.approved(CHENGDU, batch_size, serial=next(_serials))
            async with started(world, *QIANFA, "issue") as issuing:
                await until_more(world, ISSUED, issuing)
                await KILLS[moment % len(KILLS)](world, issuing, chance.uniform(0, 0.2))
            done, total = await issued(world)
        await assert_what_is_issued_is_stored(world)
    code, said = await run(world, *QIANFA, "issue")
    assert code == 0, said
    await assert_all_is_well(world)


async def test_an_issue_survives_killed_workers_approvals_and_servers(own: World) -> None:
    await besiege(own, moments=3, batch_size=64, at_least=64)


@pytest.mark.long
async def test_an_issue_of_five_thousand_survives_thirty_kills(fresh: World) -> None:
    await besiege(fresh, moments=30, batch_size=5000, at_least=200)


@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_may_die_between_any_two_steps(world: World, step: str) -> None:
    point, issued_before = STEPS[step]
    await world.approved(count=40)
    address = {"QIANFA_DATABASE_URL": world.address}
    code, said = await run(world, *CRASHING, point, "worker", "until-empty", **address)
    assert (code, said) == (-signal.SIGKILL, "")
    assert await issued(world) == (issued_before, 40)
    await assert_what_is_issued_is_stored(world)
    await worker.work(
        msgspec.structs.replace(world.settings, takeover_seconds=0.1),
        world.address,
        until_empty=True,
        say=pytest.fail,
    )
    await assert_all_is_well(world)


@pytest.mark.parametrize(
    "point", ["after number_certificates 1", "after archive 1", "after write 1"]
)
async def test_an_approval_that_dies_leaves_nothing_and_may_be_repeated(
    world: World, point: str
) -> None:
    batch_id = await submitted(world, 5)
    words = ("qianfa", "batch", "approve", str(batch_id), "--yes")
    address = {"QIANFA_DATABASE_URL": world.address}
    code, _ = await run(world, *CRASHING, point, *words, **address)
    assert code == -signal.SIGKILL
    assert await issued(world) == (0, 0)
    code, said = await run(world, *CRASHING, "before nothing 1", *words, **address)
    assert code == 0, said
    async with world.connection() as connection:
        first, *rest = await connection.fetch("select number from certificate order by number")
        counter = await connection.fetchval("select sum(last_sequence) from number_counter")
    assert first["number"].endswith("00001")
    assert counter == 1 + len(rest) == 5


async def test_what_a_killed_worker_leaves_is_taken_over_by_the_others(world: World) -> None:
    await world.approved(count=64)
    address = {"QIANFA_DATABASE_URL": world.address}
    async with started(world, *QIANFA, "issue", **address) as issuing:
        await until_more(world, ISSUED, issuing)
        os.kill(children_of(issuing)[0], signal.SIGKILL)
        said = (await issuing.communicate())[1].decode()
    assert issuing.returncode == TRY_LATER
    assert "[WorkerFailed]" in said
    await assert_all_is_well(world)


async def test_no_worker_outlives_the_command_that_started_it(world: World) -> None:
    await world.approved(count=200)  # each may finish the group that it has begun
    address = {"QIANFA_DATABASE_URL": world.address}
    async with started(world, *QIANFA, "issue", **address) as issuing:
        await until_more(world, ISSUED, issuing)
        issuing.kill()
        async with asyncio.timeout(10):
            await issuing.communicate()  # ends when nobody holds standard error any more
    done, total = await issued(world)
    assert 0 < done < total


async def test_a_serving_worker_says_that_the_database_is_lost_and_recovers(own: World) -> None:
    address = {"QIANFA_DATABASE_URL": own.address}
    async with started(own, "-m", "service.worker", "serve", **address) as serving:
        assert serving.stderr is not None
        await own.approved(count=3, serial=next(_serials))
        await until_more(own, ISSUED, serving)
        state = own.settings.var / "postgres" / "data" / "postmaster.pid"
        os.kill(int(state.read_text().split()[0]), signal.SIGKILL)
        async with asyncio.timeout(10):
            assert "数据库无法连接" in (await serving.stderr.readline()).decode()
        with embedded.running(own.settings.var / "postgres"):
            await own.approved(count=3, serial=next(_serials))
        await until_more(own, ISSUED, serving)
        assert serving.returncode is None
    await assert_all_is_well(own)


async def test_a_serving_worker_that_is_killed_is_started_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QIANFA_VAR", str(world.settings.var))
    monkeypatch.setenv("QIANFA_KEYS", world.settings.keys)
    settings = msgspec.structs.replace(world.settings, processes=1)
    sealers = "select actor from journal where act = 'issuance:certificate:issue' order by sequence"
    async with (
        worker.processes(settings, world.address, until_empty=False),
        world.connection() as connection,
        asyncio.timeout(30),
    ):
        for sealed_count in (1, 2):
            await world.approved(count=1, serial=next(_serials))
            while len(actors := await connection.fetch(sealers)) < sealed_count:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.05)
            os.kill(int(actors[-1]["actor"].rpartition("/")[2]), signal.SIGKILL)
    assert len({row["actor"] for row in actors}) == 2
    await assert_all_is_well(world)
