"""Issued a second by `qianfa issue`, from the queue to durable, examined bytes, by its processes.

Whole worker processes as the command starts them, told to end when enough is done. Counted is what
they tell after a while of warming up, so neither their start nor their end. The best of three
rounds in turns: whoever else uses the machine only ever makes them slower.
"""

import asyncio
import os
import time

import msgspec
from rich.table import Table

from service import worker
from tests.world import CHENGDU, World

_SIZES, _ROUNDS = (1, 2), 3
_WARM_UP, _COUNT = 256, 2_048
_LEFT_OVER = 256  # what processes that are told to end still finish
_SECONDS_MAX = 600
_FIRST_SERIAL = 20_000_000  # people that no other benchmark certifies


async def measure(world: World) -> Table:
    """Let one process and then two work, in turns, and return the table."""
    os.environ |= {"QIANFA_VAR": str(world.settings.var), "QIANFA_KEYS": world.settings.keys}
    total = len(_SIZES) * _ROUNDS * (_WARM_UP + _COUNT + _LEFT_OVER)
    await world.approved(CHENGDU, total, serial=_FIRST_SERIAL)
    best = dict.fromkeys(_SIZES, 0.0)
    for _ in range(_ROUNDS):
        for size in _SIZES:
            best[size] = max(best[size], await _pace(world, size))
    table = Table("processes", "a second", "by each", title="Issued a second")
    for size, pace in best.items():
        table.add_row(str(size), f"{pace:,.0f}", f"{pace / size:,.0f}")
    return table


async def _pace(world: World, size: int) -> float:
    done, began, ended = 0, (0.0, 0), asyncio.Event()

    def count(more: int) -> None:
        nonlocal done, began
        done += more
        if not began[1] and done >= _WARM_UP:
            began = time.perf_counter(), done
        if done >= _WARM_UP + _COUNT:
            ended.set()

    settings = msgspec.structs.replace(world.settings, processes=size)
    async with worker.processes(settings, world.address, until_empty=True, count=count):
        async with asyncio.timeout(_SECONDS_MAX):
            await ended.wait()
        return (done - began[1]) / (time.perf_counter() - began[0])
