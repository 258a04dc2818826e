"""One embedded server and one migrated template for the run; each test gets a copy of its own."""

import asyncio
import datetime
import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import argon2
import msgspec
import pytest

from service import wiring
from service.ground import db, embedded, migrate
from service.ground.db import Role
from service.ground.settings import Settings
from service.issuing import numbering, public_keys
from service.registry import accounts, catalogue, facts, institutions
from service.registry.catalogue import ProjectKind
from signing import keys
from tests import invented, printshop, town
from tests.printshop import Shop
from tests.town import Town
from tests.world import CITIES, DAILY, SECRET, World

ROLES = (
    (accounts.Role.OPERATOR, accounts.Role.REVIEWER, accounts.Role.KEEPER, accounts.Role.AUDITOR),
    (accounts.Role.PROVINCE, accounts.Role.KEEPER, accounts.Role.AUDITOR),
)  # of a city, and of the province beside its first account
_copies = itertools.count()
_ROOM_BYTES = 4 << 30
_LONG_AGO = datetime.date(2024, 1, 1)

# What a secret costs is told by one test; all others find it in its hash, and pay little.
REAL_HASHER, CHEAP_HASHER = accounts._hasher, argon2.PasswordHasher(1, 8, 1)
accounts._hasher = CHEAP_HASHER


def pytest_collection_finish() -> None:
    """Spare the collector of garbage all modules and tests, which stay to the end."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the collector have them again, or libraries complain of what they still hold."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an empty database on a server of one's own, in memory where there is room."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM_BYTES
    place = memory if roomy else tmp_path_factory.mktemp("server")
    with (
        tempfile.TemporaryDirectory(prefix="qianfa-tests-", dir=place) as folder,
        embedded.running(Path(folder) / "postgres") as address,
    ):
        # No test pulls the plug, and copies of the template take half the time. Nobody guesses the
        # password either: proving to know it is a fifth of what a connection costs.
        password = address.partition("@")[0].rpartition(":")[2]
        cheaply = f"set scram_iterations = 1; alter role current_user password '{password}'"
        for statement in ("alter system set fsync = off", "select pg_reload_conf()", cheaply):
            asyncio.run(_execute(address, statement))
        yield address


@pytest.fixture(scope="session")
def development_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A development set for three cities, made yesterday."""
    folder = tmp_path_factory.mktemp("development") / "keys"
    made_at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    keys.create_development(folder, cities=CITIES, made_at=made_at)
    return folder


@pytest.fixture(scope="session")
def template(server: str, development_keys: Path) -> str:
    """The name of a database with everything that a world begins with."""
    asyncio.run(_make_template(server, development_keys))
    return "template_world"


@pytest.fixture
def empty_database(server: str) -> Iterator[str]:
    """The address of a database without anything in it."""
    yield from _database(server, "template0")


@pytest.fixture(name="world")
def _world(server: str, template: str, development_keys: Path, tmp_path: Path) -> Iterator[World]:
    """A world of one's own."""
    yield from _open_world(server, template, development_keys, tmp_path)


@pytest.fixture(scope="module")
def shared_world(
    server: str, template: str, development_keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A world for all tests of a module."""
    yield from _open_world(server, template, development_keys, tmp_path_factory.mktemp("world"))


def _open_world(server: str, template: str, keys_folder: Path, folder: Path) -> Iterator[World]:
    for address in _database(server, template):
        settings = Settings(
            var=folder / "var", database_url=address, keys=str(keys_folder), processes=2
        )
        yield World(address, settings)


@pytest.fixture(scope="session")
def town_template(
    server: str, template: str, development_keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> Town:
    """A town that nobody changes, in a database that is only copied."""
    asyncio.run(_execute(server, f"create database template_town template {template}"))
    address = server.rsplit("/", 1)[0] + "/template_town"
    settings = Settings(
        var=tmp_path_factory.mktemp("town"),
        database_url=address,
        keys=str(development_keys),
        examiners=1,
    )
    return asyncio.run(town.build(World(address, settings)))


@pytest.fixture(name="town")
def _town(server: str, town_template: Town) -> Iterator[Town]:
    """A town of one's own; its store is everybody's."""
    for world in copies(server, town_template.world):
        yield msgspec.structs.replace(town_template, world=world)


def copies(server: str, original: World) -> Iterator[World]:
    """A copy of a world that nobody changes; the store is everybody's."""
    for address in _database(server, original.address.rpartition("/")[2]):
        settings = msgspec.structs.replace(original.settings, database_url=address)
        yield World(address, settings)


@pytest.fixture(scope="session")
def shop_template(
    server: str, template: str, development_keys: Path, tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    """A print shop that nobody changes, in a database that is only copied."""
    asyncio.run(_execute(server, f"create database template_shop template {template}"))
    settings = Settings(
        var=tmp_path_factory.mktemp("shop"),
        database_url=server.rsplit("/", 1)[0] + "/template_shop",
        keys=str(development_keys),
    )
    return asyncio.run(printshop.build(World(settings.database_url, settings)))


@pytest.fixture(name="shop")
def _shop(server: str, shop_template: Shop) -> Iterator[Shop]:
    """A print shop of one's own; its store is everybody's."""
    for address in _database(server, "template_shop"):
        settings = msgspec.structs.replace(shop_template.world.settings, database_url=address)
        yield msgspec.structs.replace(shop_template, world=World(address, settings))


def _database(server: str, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_copies)}"
    asyncio.run(_execute(server, f"create database {name} template {template}"))
    yield server.rsplit("/", 1)[0] + f"/{name}"
    asyncio.run(_execute(server, f"drop database {name} with (force)"))


async def _execute(address: str, statement: str) -> None:
    connection = await db.connect(address)
    await connection.execute(statement)
    await connection.close()


async def _make_template(server: str, development_keys: Path) -> None:
    await _execute(server, "create database template_world template template0")
    connection = await db.connect(server.rsplit("/", 1)[0] + "/template_world")
    await migrate.migrate(connection)
    settings = Settings(keys=str(development_keys))
    now = datetime.datetime.now(datetime.UTC)
    signers, qr_key = wiring.sealing_keys(settings, now)
    cose_keys = [qr_key, wiring.status_key(settings, now)]
    async with db.acting(connection, Role.CONSOLE, accounts.PROVINCE):
        actor = await accounts.found(connection, account_name="province", secret=SECRET)
        await catalogue.load(connection, actor)
        await numbering.load(connection)
        await public_keys.publish(connection, actor, signers, cose_keys)
        for city_code in (*CITIES, accounts.PROVINCE):
            for role in ROLES[city_code == accounts.PROVINCE]:
                await accounts.add(
                    connection,
                    actor,
                    account_name=f"{role}-{city_code}",
                    role=role,
                    city_code=city_code,
                    secret=SECRET,
                )
        for city_code in CITIES:
            await facts.record(connection, actor, _filing(city_code))
        await facts.record(
            connection,
            actor,
            institutions.Institution(
                uscc=invented.INSTITUTION, institution_name="示例职业培训学校", valid_from=_LONG_AGO
            ),
        )
    await connection.close()


def _filing(city_code: str) -> institutions.Filing:
    return institutions.Filing(
        uscc=invented.INSTITUTION,
        authority_code=city_code,
        kind=ProjectKind.DAILY,
        project_names=[DAILY],
        valid_from=_LONG_AGO,
        valid_until=datetime.date(2030, 12, 31),
        document_number=f"备案{city_code}",
    )
