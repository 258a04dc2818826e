"""The worker: takes certificates from the queue to issued, in as many processes as cores.

Each process is whole in itself: it loads the keys once, has its own connection and claims its own
groups, so any of them may be killed at any moment. A lost database or store is said once, waited
for, and then the work goes on.
"""

import asyncio
import contextlib
import datetime
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from service import wiring
from service.ground import db
from service.ground import settings as settings_room
from service.ground.db import Role
from service.ground.errors import DatabaseUnavailable, Refusal, StoreUnavailable
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.issuing import issuance
from service.issuing.issuance import Press

_GROUP_SIZE = 16
_IDLE_SECONDS = 5.0
_RETRY_SECONDS = 2.0


async def work(
    settings: Settings, address: str, *, until_empty: bool, say: Callable[[str], None]
) -> None:
    """Work on the queue in this process, for ever or until nothing is left numbered."""
    press = wiring.press(settings, datetime.datetime.now(datetime.UTC))
    objects = Objects.open(settings.store_address)
    while True:
        try:
            await _work_connected(settings, address, press, objects, until_empty=until_empty)
        except (DatabaseUnavailable, StoreUnavailable) as refusal:
            if until_empty:
                raise
            say(f"{refusal.zh} {refusal.en}")
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def _work_connected(
    settings: Settings, address: str, press: Press, objects: Objects, *, until_empty: bool
) -> None:
    worker = f"worker@{socket.gethostname()}/{os.getpid()}"
    async with wiring.connection(address) as connection:
        numbered = asyncio.Event()
        await connection.add_listener("certificate_numbered", lambda *_: numbered.set())
        while True:
            numbered.clear()
            done = await issuance.work(
                connection,
                objects,
                press,
                worker=worker,
                takeover_seconds=settings.takeover_seconds,
                group_size=_GROUP_SIZE,
            )
            if done:
                continue
            async with db.acting(connection, Role.WORKER):  # also notices a lost connection
                left = (await issuance.progress(connection)).numbered
            if until_empty and not left:
                return
            idle_seconds = min(settings.takeover_seconds, 0.5 if until_empty else _IDLE_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(idle_seconds):
                    await numbered.wait()


@asynccontextmanager
async def processes(
    settings: Settings, address: str, *, until_empty: bool
) -> AsyncIterator[asyncio.Future[list[int]]]:
    """Run the worker in its processes; the task ends with their exit codes when they are done."""
    environment = {
        **os.environ,
        "QIANFA_DATABASE_URL": address,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    children = [
        await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-P",
                "-m",
                "service.worker",
                "until-empty" if until_empty else "serve",
            ),
            env=environment,
        )
        for _ in range(settings.processes or os.cpu_count() or 1)
    ]
    ended = asyncio.ensure_future(asyncio.gather(*(child.wait() for child in children)))
    try:
        yield ended
    finally:
        for child in children:
            if child.returncode is None:
                child.terminate()
        await asyncio.gather(*(child.wait() for child in children))


def main() -> None:
    """Be one worker process."""
    settings = settings_room.read(os.environ)
    try:
        asyncio.run(
            work(
                settings,
                settings.database_url,
                until_empty=sys.argv[1] == "until-empty",
                say=lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201 - its voice
            )
        )
    except Refusal as refusal:
        sys.exit(f"{refusal.zh} {refusal.en}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
