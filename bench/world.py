"""A world to measure in: an embedded database, keys and facts, gone when the run ends."""

import asyncio
import datetime
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.ground import embedded
from service.ground.settings import Settings
from signing import keys
from tests import conftest
from tests.world import CITIES, World


@contextmanager
def world() -> Iterator[World]:
    """Hold a database running in which batches can be imported, approved and issued."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made_at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        keys.create_development(folder / "keys", cities=CITIES, made_at=made_at)
        with embedded.running(folder / "postgres") as server:
            asyncio.run(conftest._make_template(server, folder / "keys"))  # noqa: SLF001 - one world for tests and benchmarks
            address = server.rsplit("/", 1)[0] + "/template_world"
            yield World(
                address, Settings(var=folder, database_url=address, keys=str(folder / "keys"))
            )
