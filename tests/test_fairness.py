"""Fairness: claims go round the batches that wait, whatever their sizes, and leave nothing behind.

Most batches here are rows of the queue alone, written by the owner of the database: what they are
made into is for others to test. A certificate that was claimed is finished by setting it aside.
"""

import asyncio
import random
import re
from collections import Counter

import pytest

from service.ground import db, statements
from service.ground.db import Connection, Role
from service.issuing.changes import Kind
from tests import test_changes
from tests.test_issuance import Bench, bench
from tests.world import ABA, CHENGDU, World

GROUP = 4
PUT = """
insert into certificate
select (jsonb_populate_record(face, jsonb_build_object('batch_id', $1::int8, 'row_number', place,
    'number', (10000000 + place)::text, 'public_id', lpad(place::text, 16, '0'),
    'identifier', place::text, 'person_key', sha256(place::text::bytea), 'state', 'numbered',
    'cause', null, 'claimed_at', null, 'claim_count', 0, 'status_index', null,
    'status_sequence', null, 'sealed_at', null, 'pdf_sha256', null, 'range_sha256', null))).*
from generate_series($2::int, $3::int) place
cross join (select certificate as face from certificate order by batch_id, version limit 1) one
"""
WITHOUT_RESULTS = (
    "alter table certificate drop constraint if exists certificate_batch_id_row_number_fkey"
)
FINISH = """
update certificate set state = 'parked', cause = 'x'
where number = any ($1) and state = 'numbered' returning batch_id
"""
WAITING = """
select batch_id, count(*) from certificate where state = 'numbered' and claimed_at is null
group by batch_id
"""


class Queue:
    """The queue before one worker; batches of any size can be put into it."""

    def __init__(self, worker: Bench) -> None:
        self._worker, self.connection, self._size = worker, worker.connection, 0

    async def put(self, batch_id: int, size: int) -> None:
        """Let a batch wait, with the face of the first certificate that there is."""
        await self.connection.execute(WITHOUT_RESULTS)
        await self.connection.execute(PUT, batch_id, self._size + 1, self._size + size)
        self._size += size

    async def claimed(self, *, takeover_seconds: float = 60.0) -> list[str]:
        """Claim a group and return its numbers."""
        group = await self._worker.claim(group_size=GROUP, takeover_seconds=takeover_seconds)
        return [one.number for one in group]

    async def served(self) -> list[int]:
        """Claim a group and finish it; returns the batch of each of its rows."""
        numbers = await self.claimed()
        finished = await self.connection.fetch(FINISH, numbers)
        return sorted(row["batch_id"] for row in finished)

    async def waiting(self) -> dict[int, int]:
        """How many rows of each batch nobody has taken yet."""
        return {row["batch_id"]: row["count"] for row in await self.connection.fetch(WAITING)}


async def empty_queue(world: World, connection: Connection) -> Queue:
    """A queue whose first batch, of one certificate, is done."""
    await world.approved(count=1)
    queue = Queue(bench(world, connection))
    assert await queue.served() == [1]
    return queue


@pytest.mark.parametrize("city_code", [CHENGDU, ABA])
async def test_a_small_batch_is_issued_while_a_big_one_waits(world: World, city_code: str) -> None:
    big = await world.approved(count=60)
    async with world.connection() as connection:
        worker = bench(world, connection)
        assert await worker.work(group_size=GROUP) == GROUP
        small = await world.approved(city_code, count=5, serial=1000)
        for _ in range(3):
            assert await worker.work(group_size=GROUP) == GROUP
        issued = await connection.fetch("select batch_id from certificate where state = 'issued'")
    counts = Counter(row["batch_id"] for row in issued)
    assert counts == {big.batch_id: 11, small.batch_id: 5}


async def test_batches_take_turns_and_a_group_is_filled_up_from_those_that_follow(
    world: World,
) -> None:
    async with world.connection() as connection:
        queue = await empty_queue(world, connection)
        for batch_id, size in ((2, 9), (3, 1), (5, 6)):
            await queue.put(batch_id, size)
        groups = [[2, 2, 2, 2], [3, 5, 5, 5], [2, 5, 5, 5], [2, 2, 2, 2], []]
        assert [await queue.served() for _ in groups] == groups


async def test_the_turn_passes_from_worker_to_worker(world: World) -> None:
    async with world.connection() as connection, world.connection() as other:
        one, two = await empty_queue(world, connection), Queue(bench(world, other))
        for batch_id in (2, 3, 4):
            await one.put(batch_id, 8)
        assert [(await queue.served())[0] for queue in (one, two, one, two)] == [2, 3, 4, 2]


async def test_a_correction_does_not_wait_for_the_batches_that_came_before_it(world: World) -> None:
    approval = await world.approved(count=1)
    await world.issue()
    async with world.connection() as connection:
        queue = Queue(bench(world, connection))
        for batch_id in (2, 3):
            await queue.put(batch_id, 50)
        assert await queue.served() == [2, 2, 2, 2]
        await test_changes.done(world, approval.numbers[0], Kind.CORRECT)
        assert [await queue.served() for _ in range(2)] == [[3, 3, 3, 3], [1, 2, 2, 2]]


async def test_what_waits_to_be_void_takes_no_turn(world: World) -> None:
    async with world.connection() as connection:
        queue = await empty_queue(world, connection)
        await queue.put(2, 8)
        await queue.put(3, 8)
        wish = "update certificate set void_asked_by = 'province' where batch_id = 2"
        await connection.execute(wish)
        assert [await queue.served() for _ in range(3)] == [[3] * 4, [3] * 4, []]


@pytest.mark.parametrize("seed", range(3))
async def test_nobody_waits_longer_than_a_round_and_nothing_is_left_or_taken_twice(
    world: World, seed: int
) -> None:
    """Two workers take groups at the same moment, some die, and batches keep coming."""
    chance, unused = random.Random(seed), list(range(2, 30))  # noqa: S311 - the same every time
    chance.shuffle(unused)
    async with world.connection() as connection, world.connection() as other:
        queue = await empty_queue(world, connection)
        workers = [queue, Queue(bench(world, other))]
        hungry, lost, finished = Counter[int](), set[str](), list[str]()
        most = 0
        for step in range(60):
            if (step < 40 and chance.random() < 0.25) or not step:
                await queue.put(unused.pop(), chance.choice((1, 3, 40)))
            waiting = await queue.waiting()
            most = max(most, len(waiting))
            groups = await asyncio.gather(*(worker.claimed() for worker in workers))
            assert not set(groups[0]) & set(groups[1])
            for group in groups:
                if chance.random() < 0.1:
                    lost |= set(group)
                else:
                    await connection.execute(FINISH, group)
                    finished += group
            left = await queue.waiting()
            hungry = Counter({one: hungry[one] + 1 for one in left if left[one] == waiting[one]})
            assert max(hungry.values(), default=0) <= most
        while group := await queue.claimed(takeover_seconds=1e-6):
            await connection.execute(FINISH, group)
            finished += group
        total = await connection.fetchval("select count(*) - 1 from certificate")
    assert lost <= set(finished)
    assert len(finished) == len(set(finished)) == total


async def _pages(connection: Connection) -> tuple[int, str]:
    """How many pages a claim reads, and its plan."""
    (claim,) = [one for one in statements.every if one.name == "claim"]
    arguments = ("'worker@tests'", "60.0", "16")
    text = claim.text
    for place, argument in enumerate(arguments, start=1):
        text = text.replace(f"${place}", argument)
    async with db.acting(connection, Role.WORKER):
        rows = await connection.fetch(f"explain (analyze, buffers) {text}")
    plan = "\n".join(row[0] for row in rows)
    found = re.search(r"Buffers: shared hit=(\d+)(?: read=(\d+))?", plan)
    assert found
    return int(found[1]) + int(found[2] or 0), plan


async def _cost_of_claims(world: World, size: int) -> None:
    async with world.connection() as connection:
        queue = await empty_queue(world, connection)
        await queue.put(2, 100)
        await _pages(connection)
        few, _ = await _pages(connection)
        await queue.put(3, size)
        for is_analyzed in (False, True):
            if is_analyzed:
                await connection.execute("analyze certificate")
            await _pages(connection)
            pages, plan = await _pages(connection)
            assert "Seq Scan on certificate" not in plan
            assert "certificate_queue" in plan
            assert pages < 2 * few, plan
        await connection.execute(FINISH, [str(10000000 + place) for place in range(size)])
        await queue.put(4, 100)
        await _pages(connection)  # leaves a mark on what is dead
        pages, plan = await _pages(connection)
        assert pages < 2 * few, plan


async def test_a_claim_reads_no_more_of_a_long_queue_than_of_a_short_one(world: World) -> None:
    await _cost_of_claims(world, 2000)


@pytest.mark.long
async def test_a_claim_reads_no_more_of_a_queue_of_fifty_thousand(world: World) -> None:
    await _cost_of_claims(world, 50_000)
