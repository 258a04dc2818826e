"""Observability: one line of the log for each event, and figures for whoever watches the service.

Log and metrics hold numbers, codes and the templates of routes. They never hold a name, an ID, a
token, a query, a path, a message of an exception or an address: the proxy in front knows addresses.
Metrics are served on a loopback port of their own and never beside what strangers ask.
"""

import contextlib
import functools
import logging
import secrets
import sys
import time
import traceback
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_log = logging.getLogger(__name__)

_PLACES_MAX: Final = 8
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
REGISTRY: Final = CollectorRegistry()
_REQUESTS = Counter(
    "qianfa_requests", "Requests answered.", ("method", "route", "status"), registry=REGISTRY
)
_SECONDS = Histogram(
    "qianfa_request_seconds",
    "How long an answer took.",
    ("route",),
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
_VERDICTS = Counter("qianfa_verdicts", "Verdicts given.", ("door", "status"), registry=REGISTRY)
LIMITED = Counter(
    "qianfa_limits_refused", "Questions refused for being too many.", ("rule",), registry=REGISTRY
)
UNCOUNTED = Counter(
    "qianfa_limits_uncounted", "Questions let pass while no store counted.", registry=REGISTRY
)
BODY_BYTES = Gauge("qianfa_body_bytes", "Bytes of bodies held now.", registry=REGISTRY)
STOPPED = Counter(
    "qianfa_jail_stopped", "Files that a jail stopped reading.", ("limit",), registry=REGISTRY
)


class Asked(msgspec.Struct):
    """A request while it is answered. `verdicts` are the statuses of what was decided for it."""

    id: str
    started: float
    verdicts: list[str]


_asked: ContextVar[Asked | None] = ContextVar("asked", default=None)


class Line(msgspec.Struct, omit_defaults=True):
    """One line of the log. `places` are where an exception came through, innermost last."""

    at: str
    level: str
    event: str
    request: str = ""
    method: str = ""
    route: str = ""
    status: int = 0
    ms: float = 0.0
    verdicts: dict[str, int] = {}
    error: str = ""
    places: tuple[str, ...] = ()


def begin() -> Asked:
    """Begin to observe a request, under a name that no stranger chose."""
    asked = Asked(secrets.token_hex(8), time.perf_counter(), [])
    _asked.set(asked)
    return asked


def decided(door: str, status: str) -> None:
    """Count a verdict, and remember it for the line of its request."""
    _verdict(door, status).inc()
    asked = _asked.get()
    if asked is not None:
        asked.verdicts.append(status)


def answered(asked: Asked, method: str, route: str, status: int) -> None:
    """Write the line of a request and count it; `route` is a template, or empty for none."""
    seconds = time.perf_counter() - asked.started
    method = method if method in _METHODS else "other"
    requests, durations = _request(method, route, status)
    requests.inc()
    durations.observe(seconds)
    _write(
        Line(
            at=_now(),
            level="info",
            event="web:request:answer",
            request=asked.id,
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            verdicts={one: asked.verdicts.count(one) for one in asked.verdicts},
        )
    )


def fault(event: str, error: BaseException) -> None:
    """Write where something failed: the kind of the exception and its places, never its message."""
    _log.error(event, exc_info=error)


def configure() -> None:
    """Let this process write its log as JSON lines, what libraries say included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def serving_metrics(port: int) -> AbstractContextManager[object]:
    """Serve the metrics on a loopback port until the block ends; 0 serves none.

    Raises: OSError, where the port is taken.
    """
    stack = contextlib.ExitStack()
    if port:
        server, thread = prometheus_client.start_http_server(port, "127.0.0.1", REGISTRY)
        stack.callback(thread.join)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
    return stack


class _Formatter(logging.Formatter):
    """Makes a line of what is logged: of several lines the first, of an exception its places."""

    def format(self, record: logging.LogRecord) -> str:
        asked = _asked.get()
        error = record.exc_info[1] if record.exc_info else None
        line = Line(
            at=_now(),
            level=record.levelname.lower(),
            event=record.getMessage().partition("\n")[0],
            request=asked.id if asked else "",
            error=type(error).__name__ if error else "",
            places=_places(error.__traceback__ if error else None),
        )
        return msgspec.json.encode(line).decode()


def _places(trace: TracebackType | None) -> tuple[str, ...]:
    frames = traceback.extract_tb(trace)[-_PLACES_MAX:]
    return tuple(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in frames)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _write(line: Line) -> None:
    sys.stderr.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stderr.buffer.flush()


@functools.lru_cache(maxsize=1024)
def _request(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return _REQUESTS.labels(method, route, status), _SECONDS.labels(route)


@functools.lru_cache(maxsize=1024)
def _verdict(door: str, status: str) -> Counter:
    return _VERDICTS.labels(door, status)
