"""Runs every benchmark and prints a table for each."""

import asyncio

from rich.console import Console

from bench import approval, pipeline
from bench.world import world

console = Console(width=120)
with world() as here:
    console.print(asyncio.run(approval.measure(here)))
    console.print(pipeline.measure(here))
