"""The public face as people meet it: served on loopback, in a thread of its own, to a browser.

The browser's own loop stays in the thread of the tests, so whatever is asynchronous is handed to
the server's. One certificate is issued for each of `NAMES`, and stands as its key says.
"""

import asyncio
import contextlib
import datetime
import socket
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import msgspec

from service import wiring
from service.ground.objects import Objects
from service.issuing import publication
from service.web import app, guards
from signing import examine
from tests.world import CHENGDU, MIANYANG, World, batch_facts, rows

T = TypeVar("T")
NAMES = {
    "valid": "扎西旺堆·索朗多吉",
    "revoked": "欧阳娜娜",
    "suspended": "陈思远",
    "specimen": "阿依",
}
STATUS_HOURS = 12


class Shown(msgspec.Struct, frozen=True):
    """A certificate in somebody's hand."""

    name: str
    id_number: str
    number: str
    public_id: str
    qr_text: str
    pdf: bytes

    @property
    def digits(self) -> str:
        """The statement behind the `#`."""
        return self.qr_text.partition("#")[2]


class Served(msgspec.Struct, frozen=True):
    """A site at `url`, and the certificates of its world by how they stand."""

    url: str
    world: World
    shown: dict[str, Shown]
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something asynchronous in the thread of the server."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)


@contextlib.contextmanager
def serving(world: World) -> Iterator[Served]:
    """Issue the certificates and serve them; the QR codes name this very server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host = f"localhost:{listening.getsockname()[1]}"
        settings = msgspec.structs.replace(world.settings, host=host)
        world = msgspec.structs.replace(world, settings=settings)
        ready: Future[Served] = Future()
        ended = threading.Event()
        thread = threading.Thread(
            target=lambda: asyncio.run(_serve(world, listening, ready, ended)), daemon=True
        )
        thread.start()
        try:
            yield ready.result(120)
        finally:
            ended.set()
            thread.join(20)


async def _serve(
    world: World, listening: socket.socket, ready: "Future[Served]", ended: threading.Event
) -> None:
    try:
        shown = await _issue(world)
        async with wiring.site(world.settings, world.address) as site:
            server = guards.server(app.application(site))
            task = asyncio.create_task(server.serve([listening]))
            url = f"http://{world.settings.host}"
            ready.set_result(Served(url, world, shown, asyncio.get_running_loop()))
            await asyncio.to_thread(ended.wait)
            server.should_exit = server.force_exit = True
            await task
    except Exception as error:
        if ready.done():
            raise
        ready.set_exception(error)


async def _issue(world: World) -> dict[str, Shown]:
    """Issue a certificate for each name, let it stand as it should, and sign the status list."""
    people = [
        msgspec.structs.replace(row, name=name)
        for row, name in zip(rows(len(NAMES), failed_every=99), NAMES.values(), strict=True)
    ]
    for city_code, group in ((CHENGDU, people[:-1]), (MIANYANG, people[-1:])):
        batch_id = await world.import_rows(city_code, group)
        await world.record(f"operator-{city_code}", *batch_facts(batch_id).values())
        await world.submit(city_code, batch_id)
        await world.approve(city_code, batch_id)
    await world.issue()
    objects = Objects.open(world.settings.store_address)
    shown = {}
    async with world.connection() as connection:
        for (standing, name), person in zip(NAMES.items(), people, strict=True):
            row = await connection.fetchrow(
                "select number, public_id, pdf_sha256 from certificate where name = $1", name
            )
            assert row is not None
            if standing in ("revoked", "suspended"):
                await connection.execute(
                    "update certificate set standing = $2 where name = $1", name, standing
                )
            pdf = await objects.get(row["pdf_sha256"].hex())
            qr_text = examine.qr_text(pdf) or ""
            shown[standing] = Shown(
                name, person.id_number, row["number"], row["public_id"], qr_text, pdf
            )
        # All keys of the tests are specimens; here those of one city speak in earnest.
        await connection.execute("set session_replication_role = replica")
        await connection.execute(
            "update seal_certificate set specimen = false where city_code = $1", CHENGDU
        )
        await connection.execute("update statement_key set specimen = false")
    await sign_lists(world)
    return shown


async def sign_lists(world: World, *, hours: float = STATUS_HOURS) -> None:
    """Sign every status list that lacks a change."""
    key = wiring.status_key(world.settings, datetime.datetime.now(datetime.UTC))
    async with world.connection() as connection:
        while await publication.sign_next(
            connection,
            key,
            host=world.settings.host,
            lifetime=datetime.timedelta(hours=hours),
            worker="worker@tests",
        ):
            pass
