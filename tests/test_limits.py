"""Limits: true seconds, bounded memory, one count for all processes, and a store that is lost."""

import asyncio
import sys
import tracemalloc
from types import SimpleNamespace
from typing import Any, Literal

import msgspec
import pytest

from service import wiring
from service.ground import db
from service.ground.db import Role
from service.ground.errors import DatabaseUnavailable, TooManyRequests
from service.web import limits
from service.web.limits import RATES, Counted, Limiter, Memory, Rate, Rule, Shared
from tests.world import World

NOWHERE = "postgresql://nobody:x@127.0.0.1:1/nothing"
NUMBER = "2651010001600001"
TAKE = """
import asyncio, sys
from service.ground import db
from service.ground.db import Role
from service.ground.errors import TooManyRequests
from service.web.limits import Limiter, Rule, Shared

async def main():
    async with await db.open_pool(sys.argv[1], Role.PORTAL, size=4) as pool:
        limiter = Limiter(Shared(pool), clock=lambda: 4e9)
        async def ask():
            try:
                await limiter.take(Rule.NUMBER_ITSELF, sys.argv[2])
            except TooManyRequests:
                return 0
            return 1
        print(sum(await asyncio.gather(*(ask() for _ in range(20)))))

asyncio.run(main())
"""


class Clock:
    """A clock that only a test moves."""

    now = 1_000_000.25

    def __call__(self) -> float:
        return self.now


async def refused(limiter: Limiter, rule: Rule, key: str, *, cost: int = 1) -> int:
    """The seconds that one is told to wait; 0 for who is not refused."""
    try:
        await limiter.take(rule, key, cost=cost)
    except TooManyRequests as refusal:
        return int(str(refusal.facts["seconds"]))
    return 0


def test_every_rule_has_its_own_name_and_rate() -> None:
    assert len({rule.value for rule in Rule}) == len(Rule) == len(RATES)
    assert all(RATES[rule].count > 0 and RATES[rule].seconds > 0 for rule in Rule)


def test_whatever_could_be_guessed_is_refused_when_nobody_counts() -> None:
    guessed = {rule for rule in Rule if RATES[rule].guessed}
    assert guessed == {Rule.NUMBER, Rule.NUMBER_ITSELF, Rule.BATCH, Rule.FIND, Rule.FIND_PERSON,
                       Rule.FIND_PHONE}  # fmt: skip


async def test_who_waits_the_seconds_that_were_said_may_ask_again_and_not_a_second_before() -> None:
    clock = Clock()
    limiter = Limiter(clock=clock, rates={Rule.ID: Rate(3, 60)})
    assert [await refused(limiter, Rule.ID, "a") for _ in range(3)] == [0, 0, 0]
    seconds = await refused(limiter, Rule.ID, "a")
    assert 0 < seconds <= 60
    clock.now += seconds - 2
    assert await refused(limiter, Rule.ID, "a") in (1, 2)
    clock.now += 2
    assert await refused(limiter, Rule.ID, "a") == 0


async def test_one_key_and_one_rule_do_not_count_against_another() -> None:
    limiter = Limiter(rates={Rule.ID: Rate(1, 60), Rule.SESSION: Rate(1, 60)}, clock=Clock())
    assert await refused(limiter, Rule.ID, "a") == 0
    assert await refused(limiter, Rule.ID, "a") > 0
    assert await refused(limiter, Rule.ID, "b") == 0
    assert await refused(limiter, Rule.SESSION, "a") == 0


async def test_a_batch_counts_as_many_as_it_has_items() -> None:
    limiter = Limiter(rates={Rule.BATCH: Rate(10, 60)}, clock=Clock())
    assert await refused(limiter, Rule.BATCH, "a", cost=7) == 0
    assert await refused(limiter, Rule.BATCH, "a", cost=4) > 0
    assert await refused(limiter, Rule.BATCH, "b", cost=11) > 0


async def test_a_million_addresses_take_no_more_memory_than_some_and_no_more_time() -> None:
    memory = Memory()
    key = 0

    async def ask(count: int) -> None:
        nonlocal key
        for _ in range(count):
            key += 1
            await memory.count(Rule.ID, key.to_bytes(16), 60, 1)

    await ask(60_000)
    tracemalloc.start()
    await ask(100_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await ask(840_000)
    ((_, counts),) = memory._windows.values()
    assert len(counts) == limits._KEYS_MAX
    assert peak < 30 << 20
    assert await memory.count(Rule.ID, key.to_bytes(16), 60, 1) == 2  # the newest are not forgotten
    await memory.count(Rule.ID, b"x" * 16, 120, 1)
    ((_, counts),) = memory._windows.values()
    assert len(counts) == 1  # nor is anything of a past window kept


async def test_what_is_kept_of_a_key_is_a_digest() -> None:
    memory = Memory()
    await Limiter(memory).take(Rule.NUMBER_ITSELF, NUMBER)
    await Limiter(memory).take(Rule.NUMBER_ITSELF, "\ud800" * 10_000)
    assert NUMBER not in repr(memory._windows)
    assert len(repr(memory._windows)) < 1000


# What an answer says.


async def test_headers_say_what_is_left_to_whoever_asks_and_nothing_of_others() -> None:
    said: list[Counted] = []
    limits.counted.set(said)
    limiter = Limiter(clock=Clock())
    await limiter.take(Rule.NUMBER, "address")
    await limiter.take(Rule.NUMBER_ITSELF, NUMBER)
    headers = dict(limits.headers(said))
    assert headers == {
        b"ratelimit-policy": b'"number";q=30;w=60',
        b"ratelimit": b'"number";r=29;t=20',
    }
    for _ in range(19):
        await limiter.take(Rule.NUMBER_ITSELF, NUMBER)
    with pytest.raises(TooManyRequests):
        await limiter.take(Rule.NUMBER_ITSELF, NUMBER)
    assert b'"number-itself";r=0;t=' in dict(limits.headers(said))[b"ratelimit"]
    assert limits.headers([]) == []


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not: an address", "not: an address"),
        (None, ""),
    ],
)
def test_whom_a_request_counts_against(client: str | None, key: str) -> None:
    request: Any = SimpleNamespace(scope={"client": (client, 1) if client else None})
    assert limits.address_of(request) == key


# The store that processes share.


async def test_two_processes_count_together(world: World) -> None:
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", TAKE, world.address, NUMBER, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    said = [int((await process.communicate())[0]) for process in started]
    assert sum(said) == RATES[Rule.NUMBER_ITSELF].count == 20
    async with world.connection() as connection:
        (row,) = await connection.fetch("select rule, key, count from limit_count")
    assert (row["rule"], row["count"]) == ("number-itself", 40)
    assert NUMBER.encode() not in row["key"]
    assert len(row["key"]) == 16


async def test_a_shared_count_begins_anew_and_what_is_past_is_swept(world: World) -> None:
    clock = Clock()
    async with await db.open_pool(world.address, Role.PORTAL, size=2) as pool:
        limiter = Limiter(Shared(pool), rates={Rule.ID: Rate(2, 60)}, clock=clock)
        assert [await refused(limiter, Rule.ID, "a") > 0 for _ in range(3)] == [False, False, True]
        clock.now += 60
        assert await refused(limiter, Rule.ID, "a") == 0
        again = Limiter(Shared(pool))  # its first question sweeps
        await again.take(Rule.ID, "b")
    async with world.connection() as connection:
        assert await connection.fetchval("select count(*) from limit_count") == 1


@pytest.mark.parametrize(("chosen", "rows"), [("postgres", 1), ("memory", 0)])
async def test_the_setting_chooses_where_counts_are_kept(
    world: World, chosen: Literal["postgres", "memory"], rows: int
) -> None:
    settings = msgspec.structs.replace(world.settings, limits=chosen)
    async with wiring.site(settings, world.address) as site, world.connection() as connection:
        await site.limits.take(Rule.ID, "a")
        assert await connection.fetchval("select count(*) from limit_count") == rows


async def test_the_portals_role_alone_may_count(world: World) -> None:
    async with db.Readers(world.address, size=1) as readers, readers.lend() as connection:
        with pytest.raises(Exception, match="permission denied"):
            await connection.fetch("select from limit_count")


@pytest.mark.parametrize("rule", Rule)
async def test_without_its_store_an_id_is_still_answered_and_no_guess_is(rule: Rule) -> None:
    async with await db.open_pool(NOWHERE, Role.PORTAL, size=1) as pool:
        limiter = Limiter(Shared(pool))
        if RATES[rule].guessed:
            with pytest.raises(DatabaseUnavailable):
                await limiter.take(rule, "a")
        else:
            await limiter.take(rule, "a")
