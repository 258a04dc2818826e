"""The embedded server: shared by any number of processes, left behind by none, open to nobody."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from service.ground import db, embedded
from service.ground.errors import DatabaseUnavailable, EmbeddedServerFailed

USE = """
import sys
from pathlib import Path
from service.ground import embedded

with embedded.running(Path(sys.argv[1])) as address:
    print(address, flush=True)
    sys.stdin.read()
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")


class User:
    """A process that holds the server running until it is told to leave, or killed."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USE, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def address(self) -> str:
        """The address that it was given; waits for it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose server is stopped afterwards, whatever happened."""
    yield tmp_path / "postgres"
    with embedded.running(tmp_path / "postgres"):
        pass
    assert not _postmaster_file(tmp_path / "postgres").exists()


async def test_two_processes_that_start_at_once_share_one_server(folder: Path) -> None:
    first, second = User(folder), User(folder)
    address = first.address
    assert second.address == address
    await _remember(address, "shared")
    first.leave()
    assert await _remembered(address) == ["shared"]  # the first one out does not stop it
    second.leave()
    await _nobody_answers(address)


async def test_what_was_kept_is_there_at_the_next_start(folder: Path) -> None:
    with embedded.running(folder) as address:
        await _remember(address, "kept")
    await _nobody_answers(address)
    with embedded.running(folder) as address:
        assert await _remembered(address) == ["kept"]


async def test_a_user_that_was_killed_hinders_nobody(folder: Path) -> None:
    killed = User(folder)
    address = killed.address
    await _remember(address, "by the killed")
    killed.kill()
    with embedded.running(folder) as again:
        assert again == address
        assert await _remembered(again) == ["by the killed"]
    await _nobody_answers(address)


async def test_a_user_killed_while_the_server_starts_hinders_nobody(folder: Path) -> None:
    with embedded.running(folder) as address:
        await _remember(address, "before")
    for wait_ms in (0, 20, 40):
        _kill_once_there(User(folder), _postmaster_file(folder), wait_ms)
        with embedded.running(folder) as address:
            assert await _remembered(address) == ["before"]


async def test_a_half_made_cluster_is_made_again(folder: Path) -> None:
    _kill_once_there(User(folder), folder / "making" / "base")
    with embedded.running(folder) as address:
        await _remember(address, "made")
        assert await _remembered(address) == ["made"]


async def test_a_killed_server_is_started_again_and_has_lost_nothing(folder: Path) -> None:
    user = User(folder)
    address = user.address
    await _remember(address, "before the kill")
    connection = await db.connect(address)
    _kill_server(folder)
    with embedded.running(folder) as again:
        assert again == address
        assert await _remembered(again) == ["before the kill"]
        user.leave()
        assert await _remembered(again) == ["before the kill"]
    connection.terminate()


async def test_it_listens_on_the_loopback_address_only(folder: Path) -> None:
    with embedded.running(folder) as address:
        port = urlsplit(address).port
        assert port is not None
        assert _listening(port) == ["0100007F"]
    assert _listening(port) == []


async def test_it_demands_a_password(folder: Path) -> None:
    with embedded.running(folder) as address:
        password = urlsplit(address).password
        assert password is not None
        for given in ("", ":wrong"):
            with pytest.raises(DatabaseUnavailable):
                await db.connect(address.replace(f":{password}@", f"{given}@"))
        await (await db.connect(address)).close()
        assert (folder / "password").stat().st_mode & 0o077 == 0
        assert (folder / "data").stat().st_mode & 0o077 == 0


@as_root
async def test_under_a_closed_parent_it_runs_as_somebody_else_and_changes_no_folder(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    var = closed / "var"
    var.mkdir(mode=0o700)
    (closed / "neighbour").mkdir(mode=0o750)
    watched = [closed / "neighbour", closed, *closed.parents]
    before = [_owner_and_mode(path) for path in watched]
    with embedded.running(var / "postgres") as address:
        await _remember(address, "behind a closed door")
        server = f"/proc/{_postmaster(var / 'postgres')}"
        assert _owner_and_mode(Path(server))[0] != 0
        assert [_owner_and_mode(path) for path in watched] == before
        connection = await db.connect(address)
        with pytest.raises(asyncpg.PostgresError):  # it may look through doors but not write there
            await connection.execute(f"copy (select 1) to '{closed}/neighbour/written'")
        await connection.close()
    assert [_owner_and_mode(path) for path in watched] == before
    assert sorted(path.name for path in closed.iterdir()) == ["neighbour", "var"]


async def test_a_path_longer_than_a_socket_may_have_does(tmp_path: Path) -> None:
    deep = tmp_path / "很长的文件夹" / ("x" * 120) / ("y" * 120) / "with a space"
    with embedded.running(deep) as address:
        await _remember(address, "deep")
        assert await _remembered(address) == ["deep"]


def test_a_cluster_that_cannot_be_started_is_refused_with_what_the_server_said(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "postgres"
    with embedded.running(folder):
        pass
    configuration = folder / "data" / "postgresql.conf"
    content = configuration.read_bytes()
    configuration.write_bytes(content + b"\nno_such_setting = on\n")
    with pytest.raises(EmbeddedServerFailed, match="pg_ctl"), embedded.running(folder):
        pass
    configuration.write_bytes(content)
    with embedded.running(folder):
        pass


def _kill_server(folder: Path) -> None:
    """Kill the server and wait until the kernel has ended it."""
    process = _postmaster(folder)
    os.kill(process, signal.SIGKILL)
    with contextlib.suppress(OSError):
        while Path(f"/proc/{process}/cmdline").read_bytes():
            time.sleep(0.001)


def _kill_once_there(user: User, path: Path, wait_ms: float = 0) -> None:
    while not path.exists():
        time.sleep(0.001)
    time.sleep(wait_ms / 1000)
    user.kill()


def _listening(port: int) -> list[str]:
    """The local addresses that anybody listens on at this port, as the kernel writes them."""
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    places = [line[1].split(":") for line in lines if line[3] == "0A"]
    return [address for address, place in places if int(place, 16) == port]


def _postmaster_file(folder: Path) -> Path:
    return folder / "data" / "postmaster.pid"


def _postmaster(folder: Path) -> int:
    return int(_postmaster_file(folder).read_text().split()[0])


def _owner_and_mode(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, status.st_mode


async def _remember(address: str, word: str) -> None:
    connection = await db.connect(address)
    await connection.execute("create table if not exists remembered (word text)")
    await connection.execute("insert into remembered values ($1)", word)
    await connection.close()


async def _remembered(address: str) -> list[str]:
    connection = await db.connect(address)
    rows = await connection.fetch("select word from remembered")
    await connection.close()
    return [row["word"] for row in rows]


async def _nobody_answers(address: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        await db.connect(address)
