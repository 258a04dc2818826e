"""The least that could answer: a litestar route, an ordinary pool, one row by its primary key."""

import asyncio
import os
import socket
import sys
from typing import Any

import asyncpg
import uvicorn
from litestar import Litestar, get
from litestar.datastructures import State
from litestar.params import FromPath

_LOOK_UP = """
select number, name, project_name, exam_on, archived_on, issuing_authority, standing
from certificate where number = $1 and version = 1
"""


@get("/certificates/{number:str}")
async def look_up(number: FromPath[str], state: State) -> dict[str, Any]:
    """Answer with a row."""
    async with state.pool.acquire() as connection:
        return dict(await connection.fetchrow(_LOOK_UP, number))


async def serve(address: str, descriptor: int) -> None:
    """Serve until told to end."""
    async with asyncpg.create_pool(address, max_size=16) as pool:
        application = Litestar([look_up], state=State({"pool": pool}))
        config = uvicorn.Config(application, log_level="warning", access_log=False)
        with socket.socket(fileno=descriptor) as listening:
            await uvicorn.Server(config).serve([listening])


if __name__ == "__main__":
    asyncio.run(serve(os.environ["BENCH_ADDRESS"], int(sys.argv[1])))
