"""The worker: takes certificates from the queue to issued, and signs the status lists.

It is as many processes as cores. Each is whole in itself: it loads the keys once, has its own
connection and claims its own groups, so any of them may be killed at any moment; one that is told
to end finishes its group first. A lost database or store is said once, waited for, and then the
work goes on.
"""

import asyncio
import contextlib
import ctypes
import datetime
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from service import wiring
from service.ground import db
from service.ground import settings as settings_room
from service.ground.db import Role
from service.ground.errors import Refusal, TryAgain
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.issuing import issuance, public_keys, publication
from service.issuing.issuance import Press
from signing import CoseKey
from signing.errors import SigningError

_GROUP_SIZE = 16
_IDLE_SECONDS = 5.0
_RETRY_SECONDS = 2.0
_LAST_SECONDS = 10.0  # for the group of one that is told to end; it takes a fraction of one
_PR_SET_PDEATHSIG = 1  # prctl(2)


Count = Callable[[int], None]
"""Is told after each group how many certificates it took to `issued` or `parked`."""


def _uncounted(_: int) -> None:
    """Let nobody count."""


def _print(count: int) -> None:
    """Tell the process that started this one."""
    print(count, flush=True)  # noqa: T201 - the way to it


async def work(
    settings: Settings,
    address: str,
    *,
    until_empty: bool,
    say: Callable[[str], None],
    count: Count = _uncounted,
) -> None:
    """Work on the queue in this process, for ever or until nothing is left numbered."""
    now = datetime.datetime.now(datetime.UTC)
    press, status_key = wiring.press(settings, now), wiring.status_key(settings, now)
    objects = Objects.open(settings.store_address)
    while True:
        try:
            await _work_connected(
                settings, address, press, status_key, objects, until_empty=until_empty, count=count
            )
        except Refusal as refusal:
            if not refusal.retry or (until_empty and not isinstance(refusal, TryAgain)):
                raise
            say(str(refusal))
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def _work_connected(
    settings: Settings,
    address: str,
    press: Press,
    status_key: CoseKey,
    objects: Objects,
    *,
    until_empty: bool,
    count: Count,
) -> None:
    worker = f"worker@{socket.gethostname()}/{os.getpid()}"
    async with wiring.connection(address) as connection:
        await public_keys.require_unchanged(connection, [press.qr_key, status_key])
        called = asyncio.Event()
        for channel in ("certificate_numbered", "status_list_wanted"):
            await connection.add_listener(channel, lambda *_: called.set())
        while True:
            called.clear()
            done = await _finished(
                issuance.work(
                    connection,
                    objects,
                    press,
                    worker=worker,
                    takeover_seconds=settings.takeover_seconds,
                    group_size=_GROUP_SIZE,
                )
            )
            count(done)
            signed = await publication.sign_next(
                connection,
                status_key,
                host=settings.host,
                lifetime=datetime.timedelta(hours=settings.status_hours),
                worker=worker,
            )
            if done or signed:
                continue
            async with db.acting(connection, Role.WORKER):  # also notices a lost connection
                left = (await issuance.progress(connection)).numbered
            if until_empty and not left:
                return
            idle_seconds = min(settings.takeover_seconds, 0.5 if until_empty else _IDLE_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(idle_seconds):
                    await called.wait()


async def _finished(group: Coroutine[Any, Any, int]) -> int:
    """Do a group to its end, though the process is told to end: its claims would stand for long."""
    task = asyncio.create_task(group)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_LAST_SECONDS)
        raise


@asynccontextmanager
async def processes(
    settings: Settings, address: str, *, until_empty: bool, count: Count = _uncounted
) -> AsyncIterator[asyncio.Future[list[str]]]:
    """Run the worker in its processes; the future tells why each ended, "" where all was done.

    One that is to work for ever and ends all the same is started again.
    """
    size = settings.processes or os.cpu_count() or 1
    tasks = [
        asyncio.create_task(_process(address, count, until_empty=until_empty)) for _ in range(size)
    ]
    ended = asyncio.gather(*tasks)
    try:
        yield ended
    finally:
        ended.cancel()
        await asyncio.gather(ended, *tasks, return_exceptions=True)  # all, not only the first


async def _process(address: str, count: Count, *, until_empty: bool) -> str:
    """Run one worker process to its end; what it says is kept, or shown where there is none."""
    environment = {"QIANFA_DATABASE_URL": address, "PYTHONPATH": os.pathsep.join(sys.path)}
    while True:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "service.worker"),
            "until-empty" if until_empty else "serve",
            env={**os.environ, **environment},
            stdout=PIPE if until_empty else None,
            stderr=PIPE if until_empty else None,
        )
        try:
            said = await _said(child, count)
            code = await child.wait()
        finally:
            if child.returncode is None:
                child.terminate()
                await child.wait()
        if until_empty:
            return (said or f"exit code {code}") if code else ""
        await asyncio.sleep(_RETRY_SECONDS)


async def _said(child: Process, count: Count) -> str:
    """Count what a process says it has done, until it ends, and return its complaints."""
    if child.stdout is None or child.stderr is None:
        return ""  # it speaks for itself
    complaints = asyncio.create_task(child.stderr.read())
    async for line in child.stdout:
        count(int(line))
    return (await complaints).decode().strip()


def main() -> None:
    """Be one worker process, and end with the one that started it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    settings = settings_room.read(os.environ)
    until_empty = sys.argv[1] == "until-empty"

    async def be() -> None:
        working = asyncio.create_task(
            work(
                settings,
                settings.database_url,
                until_empty=until_empty,
                say=lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201 - its voice
                count=_print if until_empty else _uncounted,
            )
        )
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM,
            lambda: working.cancelling() or working.cancel(),  # twice would not wait for its group
        )
        await working

    try:
        asyncio.run(be())
    except (Refusal, SigningError) as refusal:
        sys.exit(str(refusal))
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
