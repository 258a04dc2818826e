"""Verification by QR beside a bare route with one look-up; uploads; statements without network.

Both servers run in processes of their own over one database with a million certificates and take
turns: the whole public face with its limits, log and metrics, and a litestar route that answers
with one row found by its primary key through an ordinary pool, without any of that.
"""

import asyncio
import contextlib
import datetime
import hashlib
import itertools
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
from rich.table import Table

from service import wiring
from service.checking import verification
from service.checking.decision import Status
from service.ground.objects import Objects
from service.issuing import public_keys, publication
from service.web import app, guards, limits
from service.web.limits import Limiter, Memory, Rate
from signing import examine, status
from signing.cose import Purpose
from tests import served
from tests.world import CHENGDU, World

_CERTIFICATES, _UPLOADED = 1_000_000, 40
_CONNECTIONS, _UPLOAD_CONNECTIONS = 32, 4
_ROUNDS, _SECONDS, _WARM_UP_SECONDS = 5, 4.0, 2.0
_UNLIMITED = dict.fromkeys(limits.Rule, Rate(10**9, 60))
_START_SECONDS = 30

_FILL = """
insert into certificate select made.*
from certificate as held,
    generate_series(1, $1) as n,
    lateral jsonb_populate_record(held, jsonb_build_object(
        'number', (7000000000000000 + n)::text,
        'public_id', substr(md5(n::text), 1, 16),
        'identifier', 'bench-' || n,
        'row_number', 1000000 + n,
        'status_index', 1000000000 + n,
        'person_key', sha256(('person' || n)::bytea)::text,
        'pdf_sha256', sha256(('file' || n)::bytea)::text,
        'range_sha256', sha256(('range' || n)::bytea)::text
    )) as made
where held.number = (select min(number) from certificate)
"""
_Request = Callable[[], bytes]


def measure(world: World) -> tuple[Table, Table]:
    """Fill the world, let the servers take turns, and return the tables."""
    asyncio.run(_fill(world))
    with _serving("bench.verification", world) as ours, _serving("bench.bare", world) as bare:
        contenders = {"bare route": (bare, _ask_bare), "verdict by QR": (ours, _ask_verdict)}
        verdicts = _verdicts_table(asyncio.run(_take_turns(contenders)))
        return verdicts, asyncio.run(_others(world, ours))


async def _fill(world: World) -> None:
    await world.approved(CHENGDU, _UPLOADED)
    await world.issue()
    await served.sign_lists(world)
    async with world.connection() as connection:
        await connection.execute("set session_replication_role = replica")
        await connection.execute(_FILL, _CERTIFICATES)
        await connection.execute("vacuum analyze certificate")


@contextlib.contextmanager
def _serving(module: str, world: World) -> Iterator[int]:
    """Run a server in a process of its own, its log in a file, and give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        log = (world.settings.var / f"{module}.log").open("wb")
        with (
            log,
            subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", module, str(listening.fileno())],
                pass_fds=(listening.fileno(),),
                stderr=log,
                env={
                    **os.environ,
                    "BENCH_ADDRESS": world.address,
                    "BENCH_SETTINGS": msgspec.json.encode(world.settings, enc_hook=str).decode(),
                },
            ) as process,
        ):
            try:
                yield port
            finally:
                process.terminate()


async def _serve(descriptor: int) -> None:
    """Serve in this process until it is told to end."""
    with socket.socket(fileno=descriptor) as listening:
        async with _ours(os.environ["BENCH_ADDRESS"]) as application:
            await guards.server(application).serve([listening])


@contextlib.asynccontextmanager
async def _ours(address: str) -> AsyncIterator[Any]:
    from service.ground.settings import Settings  # noqa: PLC0415 - only the server's process

    def folder(wanted: type, value: str) -> Any:
        return wanted(value)

    settings = msgspec.json.decode(os.environ["BENCH_SETTINGS"], type=Settings, dec_hook=folder)
    async with wiring.site(settings, address) as site:
        unlimited = msgspec.structs.replace(site, limits=Limiter(Memory(), rates=_UNLIMITED))
        yield app.application(unlimited)


def _ask_bare() -> bytes:
    number = 7_000_000_000_000_000 + random.randint(1, _CERTIFICATES)  # noqa: S311 - any of them
    return _request("GET", f"/certificates/{number}")


def _ask_verdict() -> bytes:
    n = random.randint(1, _CERTIFICATES)  # noqa: S311 - any of them
    public_id = hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest()[:16]
    return _request("GET", f"/api/v1/certificates/{public_id}/verdict")


def _request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n"
    if body:
        head += f"Content-Type: application/pdf\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class _Client(asyncio.Protocol):
    """Asks, waits for the whole answer, and asks again, until it is told to stop."""

    def __init__(self, ask: _Request, times: list[float]) -> None:
        self._ask, self._times = ask, times
        self._answer = bytearray()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._again()

    def _again(self) -> None:
        self._answer.clear()
        request = self._ask()
        self._started = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) == length:
            self._times.append(time.perf_counter() - self._started)
            assert head.startswith(b"HTTP/1.1 200"), head
            self._again()


async def _load(port: int, ask: _Request, *, connections: int, seconds: float) -> list[float]:
    """Ask over so many connections at once for so long, and return what each answer took."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: _Client(ask, times), "127.0.0.1", port)
        clients.append(client)
    await asyncio.sleep(seconds)
    for client in clients:
        client.transport.abort()
    assert times
    return times


async def _take_turns(contenders: dict[str, tuple[int, _Request]]) -> dict[str, list[list[float]]]:
    taken: dict[str, list[list[float]]] = {name: [] for name in contenders}
    for place in range(_ROUNDS + 1):
        for name, (port, ask) in contenders.items():
            seconds = _SECONDS if place else _WARM_UP_SECONDS
            times = await _load(port, ask, connections=_CONNECTIONS, seconds=seconds)
            if place:
                taken[name].append(times)
    return taken


def _verdicts_table(taken: dict[str, list[list[float]]]) -> Table:
    heads = ("a second", "ratio", "median ms", "p99 ms", "ratio")
    title = f"{_CERTIFICATES:,} certificates, {_CONNECTIONS} connections"
    table = Table("", *heads, title=title)
    figures = {
        name: [
            statistics.median(len(times) / _SECONDS for times in rounds),
            1000 * statistics.median(statistics.median(times) for times in rounds),
            1000 * statistics.median(statistics.quantiles(times, n=100)[98] for times in rounds),
        ]
        for name, rounds in taken.items()
    }
    bare = figures["bare route"]
    for name, (rate, median, p99) in figures.items():
        ratios = rate / bare[0], p99 / bare[2]
        cells = f"{rate:,.0f}", f"{ratios[0]:.2f}", f"{median:.2f}", f"{p99:.2f}"
        table.add_row(name, *cells, f"{ratios[1]:.2f}")
    return table


async def _others(world: World, port: int) -> Table:
    """Measure uploads, and statements verified without network on one core."""
    objects = Objects.open(world.settings.store_address)
    async with world.connection() as connection:
        rows = await connection.fetch(
            "select pdf_sha256 from certificate where pdf_sha256 is not null"
            " order by number limit $1",
            _UPLOADED,
        )
        keys = await public_keys.cose_keys(connection)
        documents = await publication.documents(connection)
    pdfs = [await objects.get(row["pdf_sha256"].hex()) for row in rows]
    table = Table("", "a second", title="Other doors")
    for name, files in (
        ("uploads, byte-identical", pdfs),
        ("uploads, altered, examined in the jail", [pdf + b"\n" for pdf in pdfs]),
    ):
        requests = itertools.cycle(
            [_request("POST", "/api/v1/verdicts/file", content) for content in files]
        )
        times = await _load(
            port, requests.__next__, connections=_UPLOAD_CONNECTIONS, seconds=_SECONDS
        )
        table.add_row(name, f"{len(times) / _SECONDS:,.0f}")
    now = datetime.datetime.now(datetime.UTC)
    lists = [
        status.verify(signed, keys[Purpose.STATUS], now)
        for path, signed in documents.items()
        if path.startswith("status/")
    ]
    texts = [examine.qr_text(pdf) or "" for pdf in pdfs]
    table.add_row("statements offline, one core", f"{_offline(texts, keys, lists):,.0f}")
    return table


def _offline(texts: list[str], keys: Any, lists: list[status.StatusList]) -> float:
    """Verify statements by keys and lists alone; how many a second."""
    now = datetime.datetime.now(datetime.UTC)
    started, count = time.perf_counter(), 0
    while time.perf_counter() < started + _SECONDS:
        for text in texts:
            answer = verification.offline(text, keys, lists, now)
            assert answer.status is Status.VALID, answer
        count += len(texts)
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
