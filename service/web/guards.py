"""Guards: what stands between strangers and every handler, whatever befalls below.

Every answer carries the headers of `problems.HEADERS`, an ID of its request that no stranger chose,
and what is left of the limits it counted against; a fault in any layer still becomes a problem.
A form is taken only from a page of ours, what strangers send has so much room and no more, and
whoever sends or reads too slowly is put off.
"""

import asyncio
import gc
import math
import socket
from collections import Counter
from typing import Any, ClassVar, Final

import h11
import msgspec
import uvicorn
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.ground import observability
from service.ground.errors import ForeignRequest, TooManyRequests
from service.web import limits, problems
from service.web.limits import Counted
from service.web.problems import Problem

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BODY_BYTES_MAX: Final = 80 << 20  # at once, of all together
_BODY_BYTES_EACH_MAX: Final = 40 << 20  # of one address
_BUSY_SECONDS: Final = 10
_SHUTDOWN_SECONDS: Final = 10
_TRANSPORT_SECURITY: Final = (b"strict-transport-security", b"max-age=31536000")
_HEADERS: Final = tuple(
    (name.lower().encode(), value.encode()) for name, value in problems.HEADERS.items()
)
_GONE: Final = 499  # what a log says of an answer that nobody waited for


class _Server(uvicorn.Server):
    """Serves while the garbage collector leaves alone what was loaded before: a walk took 50 ms."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        gc.collect()
        gc.freeze()
        try:
            await super().serve(sockets)
        finally:
            gc.unfreeze()


def server(application: ASGIApp, *, proxies: str = "") -> uvicorn.Server:
    """Make the server of an application.

    Only `proxies`, addresses or networks joined by commas, are believed about who asks and how.
    """
    return _Server(
        uvicorn.Config(
            application,
            http=Patience,
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,  # its lines would hold paths, and a path holds an ID
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
    )


class Guarded:
    """An application whose every answer is complete, and observed."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == ScopeType.HTTP:
            await _Answer(dict(scope), receive, send).of(self._inner)
        else:
            await self._inner(scope, receive, send)


class _Answer:
    """The answer to one request, on its way out."""

    def __init__(self, scope: Any, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._asked = observability.begin()
        self._counted: list[Counted] = []
        self._method: str = scope["method"]
        self._status = 0
        self._gone = False
        limits.counted.set(self._counted)
        if self._method == "HEAD":
            scope["method"] = "GET"  # the same answer; its body is left out below

    async def of(self, inner: ASGIApp) -> None:
        """Let the application answer; where it fails before a word, answer in its place."""
        try:
            await inner(self._scope, self._receiving, self._sending)
        except Exception as error:
            observability.fault("web:request:fault", error)
            if self._status:
                raise
            await self._refuse(problems.FAULT)
        finally:
            observability.answered(
                self._asked,
                self._method,
                self._scope.get("path_template", ""),
                _GONE if self._gone else self._status,
            )

    async def _receiving(self) -> Any:
        message = await self._receive()
        self._gone = self._gone or message["type"] == "http.disconnect"
        return message

    async def _sending(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = self._complete(list(message["headers"]))
        elif self._method == "HEAD" and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)

    def _complete(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        present = {name for name, _ in headers}
        headers += [header for header in _HEADERS if header[0] not in present]
        headers.append((b"x-request-id", self._asked.id.encode()))
        if self._scope["scheme"] == "https":
            headers.append(_TRANSPORT_SECURITY)
        headers += limits.headers(self._counted)
        if b"allow" in present:
            headers = [_allowing_head(header) for header in headers]
        return headers

    async def _refuse(self, problem: Problem) -> None:
        body = msgspec.json.encode(problem)
        headers = [
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        await self._sending(
            {"type": "http.response.start", "status": problem.status, "headers": headers}
        )
        await self._sending({"type": "http.response.body", "body": body, "more_body": False})


def _allowing_head(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = header
    if name == b"allow" and b"GET" in value and b"HEAD" not in value:
        return name, value + b", HEAD"
    return header


class Room:
    """The room for what strangers send, counted in bytes that came: who dribbles takes little."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def take(self, address: str, size: int) -> None:
        """Hold some more bytes of an address.

        Raises: TooManyRequests, where they have no room.
        """
        held = self._held
        if held.total() + size > _BODY_BYTES_MAX or held[address] + size > _BODY_BYTES_EACH_MAX:
            raise TooManyRequests(seconds=_BUSY_SECONDS)
        held[address] += size
        observability.BODY_BYTES.inc(size)

    def give(self, address: str, size: int) -> None:
        """Hold them no longer."""
        self._held[address] -= size
        if not self._held[address]:
            del self._held[address]
        observability.BODY_BYTES.dec(size)


class Admission:
    """Lets a request that may change something, or brings a body, in to its handler or not."""

    def __init__(self, app: ASGIApp, room: Room) -> None:
        self._app, self._room = app, room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises: ForeignRequest, TooManyRequests.
        """
        if scope["type"] != ScopeType.HTTP or scope["method"] in _SAFE:
            await self._app(scope, receive, send)
            return
        if _is_foreign(dict(scope["headers"])):
            raise ForeignRequest
        address = limits.address(scope["client"])
        held = 0

        async def receiving() -> Any:
            nonlocal held
            message: Any = await receive()
            size = len(message.get("body", b""))
            self._room.take(address, size)
            held += size
            return message

        try:
            await self._app(scope, receiving, send)
        finally:
            self._room.give(address, held)


def _is_foreign(headers: dict[bytes, bytes]) -> bool:
    """Tell whether a browser says that a page of another site sends this.

    `Sec-Fetch-Site` is believed first. Where a browser is too old for it, `Origin` must name our
    host, or be `null`, which our own `Referrer-Policy` makes of it: there the cookies' `SameSite`
    is the guard. What says neither is no browser.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    origin = headers.get(b"origin", b"null")
    return origin != b"null" and origin.partition(b"://")[2] != headers.get(b"host")


class Patience(H11Protocol):
    """A connection with limits on how long a stranger may take, and on how many there are."""

    HEAD_SECONDS: ClassVar[float] = 10
    BODY_SECONDS: ClassVar[float] = 60
    READ_SECONDS: ClassVar[float] = 60
    RATE_SECONDS: ClassVar[float] = 10
    RATE_BYTES: ClassVar[int] = 10 << 10
    CONNECTIONS_MAX: ClassVar[int] = 1000

    idle_until: float = math.inf
    """When its patience with a connection that asks nothing ends; else never."""

    _watched: Any = None
    _received = 0
    _timers: tuple[asyncio.TimerHandle, ...] = ()
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to wait for a request; where too many do, one of them has to go."""
        super().connection_made(transport)
        if len(self.connections) > self.CONNECTIONS_MAX:
            self._make_room()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._received += len(data)
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Go on to what came behind that request; its clock begins now, and is the only one."""
        super().on_response_complete()
        if self.conn.our_state is h11.SEND_RESPONSE:
            self._unset_keepalive_if_required()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._forget()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait until what was written is read."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop waiting for that."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(problems.UNREADABLE)

    def _make_room(self) -> None:
        """Cut off who has waited longest for a request, or this connection where nobody waits."""
        others: Any = self.connections
        for other in others:
            if other.transport.is_closing():  # closed by us and still not read to its end
                other.transport.abort()
        last = min([self, *others], key=lambda one: one.idle_until)
        last.idle_until = math.inf
        last.transport.abort()

    def _watch(self) -> None:
        """Set the clocks anew where a request has gone on to its next part."""
        state = self.conn.their_state
        if state is self._watched:
            return
        self._watched = state
        self._forget()
        if state is h11.IDLE:
            timer = self.loop.call_later(self.HEAD_SECONDS, self._too_slow)
            self._timers, self.idle_until = (timer,), timer.when()
        elif state is h11.SEND_BODY:
            self._received = 0
            self._timers = (self.loop.call_later(self.BODY_SECONDS, self.transport.abort),)
            self._watch_rate()

    def _watch_rate(self) -> None:
        if self._received < self.RATE_BYTES and len(self._timers) > 1:
            self.transport.abort()
            return
        self._received = 0
        again = self.loop.call_later(self.RATE_SECONDS, self._watch_rate)
        self._timers = (self._timers[0], again)

    def _forget(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers, self.idle_until = (), math.inf

    def _too_slow(self) -> None:
        self._refuse(problems.TOO_SLOW)

    def _refuse(self, problem: Problem) -> None:
        """Answer before any application is asked, and close."""
        body = msgspec.json.encode(problem)
        headers = [
            *_HEADERS,
            (b"content-type", problems.MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = h11.Response(status_code=problem.status, headers=headers)
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        self.transport.close()
