"""Limits: how often an address, a number or a person may ask.

Numbers are guessable, so every question by number counts against the number too, right or wrong.
Counts are kept in memory, at most so many of each rule that a million addresses do no harm, or,
where several processes answer, in a table that they share. If that table cannot be reached, guesses
are refused and everything else goes on. Keys are kept only as digests.
"""

import hashlib
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec
from litestar import Request

from service.ground import db, observability, statements
from service.ground.db import Pool
from service.ground.errors import DatabaseUnavailable, TooManyRequests

_sql = statements.beside(__file__)

_count = _sql.one("count", int)
_sweep = _sql.run("sweep")

_KEYS_MAX = 50_000
_STORE_SECONDS = 2
_SWEEP_EVERY_SECONDS = 60


class Rule(StrEnum):
    """What is limited; the name stands in the headers."""

    ID = "id"
    NUMBER = "number"
    NUMBER_ITSELF = "number-itself"
    TEXT = "text"
    UPLOAD = "upload"
    BATCH = "batch"
    FIND = "find"
    FIND_PERSON = "find-person"
    FIND_PHONE = "find-phone"
    SESSION = "session"
    SHARE = "share"


class Rate(msgspec.Struct, frozen=True):
    """How often a key may ask in one window; windows begin at whole multiples of their length.

    A `guessed` rule keeps strangers from guessing, so it is never passed over. A `shared` key is
    asked about by many: what is left of it is nobody's business.
    """

    count: int
    seconds: int
    guessed: bool = False
    shared: bool = False


RATES: Final[Mapping[Rule, Rate]] = MappingProxyType({
    Rule.ID: Rate(120, 60),
    Rule.NUMBER: Rate(30, 60, guessed=True),
    Rule.NUMBER_ITSELF: Rate(20, 3600, guessed=True, shared=True),
    Rule.TEXT: Rate(60, 60),
    Rule.UPLOAD: Rate(10, 60),
    Rule.BATCH: Rate(400, 600, guessed=True),  # items, not batches
    Rule.FIND: Rate(60, 600, guessed=True),  # a telephone network shares its addresses
    Rule.FIND_PERSON: Rate(10, 3600, guessed=True, shared=True),
    Rule.FIND_PHONE: Rate(20, 86400, guessed=True, shared=True),  # four digits: 500 days
    Rule.SESSION: Rate(300, 60),
    Rule.SHARE: Rate(60, 60),
})  # fmt: skip


class Counted(msgspec.Struct, frozen=True):
    """What is left of a rule for whoever asks, and how long until it is whole again."""

    rule: Rule
    rate: Rate
    left: int
    seconds: int


counted: ContextVar[list[Counted] | None] = ContextVar("counted", default=None)
"""What was counted for the request at hand; its answer says so in its headers."""


class Store(Protocol):
    """Where counts are kept."""

    async def count(self, rule: Rule, key: bytes, ends_at: int, cost: int) -> int:
        """Add to the count of a key in the window that ends then, and return it.

        Raises: DatabaseUnavailable.
        """


class Memory:
    """The counts of one process. Where a rule has too many keys, the oldest is forgotten."""

    def __init__(self) -> None:
        self._windows: dict[Rule, tuple[int, OrderedDict[bytes, int]]] = {}

    async def count(self, rule: Rule, key: bytes, ends_at: int, cost: int) -> int:
        """Add to a count of the present window; a past one is dropped whole."""
        window = self._windows.get(rule)
        if window is None or window[0] != ends_at:
            window = self._windows[rule] = (ends_at, OrderedDict())
        counts = window[1]
        count = counts[key] = counts.get(key, 0) + cost
        if len(counts) > _KEYS_MAX:
            counts.popitem(last=False)
        return count


class Shared:
    """The counts of all processes that use one database, in a table that a crash may empty."""

    def __init__(self, portal_pool: Pool) -> None:
        self._pool = portal_pool
        self._swept_at = 0.0

    async def count(self, rule: Rule, key: bytes, ends_at: int, cost: int) -> int:
        """Add to a count with one statement; now and then remove what is past."""
        with db.refusing():
            async with self._pool.acquire(timeout=_STORE_SECONDS) as connection:
                if time.monotonic() - self._swept_at > _SWEEP_EVERY_SECONDS:
                    self._swept_at = time.monotonic()
                    await _sweep(connection)
                return await _count(
                    connection, rule=rule.value, key=key, ends_at=ends_at, cost=cost
                )


class Limiter:
    """Counts questions and refuses those that are too many."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        rates: Mapping[Rule, Rate] = RATES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store or Memory()
        self._rates = rates
        self._clock = clock

    async def take(self, rule: Rule, key: str, *, cost: int = 1) -> None:
        """Count one more question of `key` under a rule, or as many as it costs.

        Raises:
            TooManyRequests: with the seconds until one may ask again.
            DatabaseUnavailable: the store does not answer, and the rule is against guessing.
        """
        rate = self._rates[rule]
        now = self._clock()
        ends_at = (int(now) // rate.seconds + 1) * rate.seconds
        digest = hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=16).digest()
        try:
            count = await self._store.count(rule, digest, ends_at, cost)
        except DatabaseUnavailable:
            if rate.guessed:
                raise
            observability.UNCOUNTED.inc()
            return
        seconds = int(ends_at - now) + 1
        said = counted.get()
        if said is not None and (count > rate.count or not rate.shared):
            said.append(Counted(rule, rate, max(0, rate.count - count), seconds))
        if count > rate.count:
            observability.LIMITED.labels(rule.value).inc()
            raise TooManyRequests(seconds=seconds)


def headers(said: list[Counted]) -> list[tuple[bytes, bytes]]:
    """Return what an answer says of its limits (draft-ietf-httpapi-ratelimit-headers-10)."""
    if not said:
        return []
    policies = [f'"{one.rule.value}";q={one.rate.count};w={one.rate.seconds}' for one in said]
    left = [f'"{one.rule.value}";r={one.left};t={one.seconds}' for one in said]
    return [
        (b"ratelimit-policy", ", ".join(policies).encode()),
        (b"ratelimit", ", ".join(left).encode()),
    ]


def address_of(request: Request[Any, Any, Any]) -> str:
    """Return whom a request counts against: its address, of IPv6 the /64 that one customer has."""
    return address(request.scope["client"])


def address(client: tuple[str, int] | None) -> str:
    """Return the same of what the server says about a connection."""
    host = client[0] if client else ""
    if ":" not in host:
        return host
    try:
        parsed = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))
