"""Runs every benchmark and prints a table for each."""

import asyncio

from rich.console import Console

from bench import approval, importing, issuing, paper, pipeline, verification
from bench.world import world

console = Console(width=120)
with world() as here:
    console.print(*verification.measure(here))
with world() as here:
    console.print(asyncio.run(approval.measure(here)))
    console.print(pipeline.measure(here))
with world() as here:
    console.print(asyncio.run(issuing.measure(here)))
with world() as here:
    console.print(*importing.measure(here))
with world() as here:
    console.print(asyncio.run(paper.measure(here)))
