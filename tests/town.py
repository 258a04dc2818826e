"""A town to test the portal in: two holders, two cities, and what they ask of the portal."""

import datetime
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from service import wiring
from service.checking import portal
from service.checking.portal import Claim, Field, Held, SecondFactor
from service.ground import db
from service.ground.db import Connection, Role
from service.issuing.batches.rows import Row
from service.registry.vault import Lookup
from tests.world import CHENGDU, MIANYANG, World, batch_facts, rows

NOW = datetime.datetime(2026, 11, 2, 3, 0, tzinfo=datetime.UTC)
TOKEN = "a secret token"  # noqa: S105 - of the tests
_seeds = itertools.count()


class Town(msgspec.Struct, frozen=True):
    """A world where Anna holds a certificate in each of two cities, and Berta one, without phone.

    Anna's of Chengdu was revoked before the one of Mianyang; `numbers` in this order, then Berta's.
    """

    world: World
    lookup: Lookup
    anna: Row
    berta: Row
    numbers: list[str]
    public_ids: list[str]

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Connection]:
        """Act as the portal, in one transaction."""
        async with self.world.connection() as connection, db.acting(connection, Role.PORTAL):
            yield connection

    async def proven(
        self, name: str, id_number: str, second: str, factor: SecondFactor = SecondFactor.EITHER
    ) -> bool:
        claim = Claim(name, id_number, second)
        async with self.asking() as connection:
            return bool(await portal.find(connection, self.lookup, claim, factor))

    async def begin(self, person: Row, token: str = TOKEN) -> str:
        """Begin a session without proof."""
        key = self.lookup.person_key(person.id_kind, person.id_number)
        async with self.asking() as connection:
            await portal.begin(connection, token, [key], NOW)
        return token

    async def held(self, token: str, now: datetime.datetime = NOW) -> list[Held]:
        async with self.asking() as connection:
            return await portal.held(connection, token, now)

    async def share(self, token: str, public_id: str, days: int = 7) -> str | None:
        """Make a share link and return its token."""
        seed = next(_seeds).to_bytes(16)
        async with self.asking() as connection:
            made = await portal.share(
                connection, self.lookup, token, public_id, seed=seed, days=days, now=NOW
            )
        return portal.share_token(self.lookup, seed) if made else None

    async def open(self, share_token: str, now: datetime.datetime = NOW) -> str | None:
        async with self.asking() as connection:
            return await portal.open_share(connection, share_token, now, counted=True)

    async def report(self, token: str, public_id: str, proposal: str = "王伟") -> bool:
        async with self.asking() as connection:
            return await portal.report(
                connection, token, public_id, field=Field.NAME, proposal=proposal, now=NOW
            )


async def build(world: World) -> Town:
    """Issue the certificates of a town."""
    anna, berta = rows(2, failed_every=3)
    berta = msgspec.structs.replace(berta, phone=None)
    for city_code, people in ((CHENGDU, [anna, berta]), (MIANYANG, [anna])):
        batch_id = await world.import_rows(city_code, people)
        await world.record(f"operator-{city_code}", *batch_facts(batch_id).values())
        await world.submit(city_code, batch_id)
        await world.approve(city_code, batch_id)
        if city_code == CHENGDU:
            await world.issue()
            await execute(world, "update certificate set standing = 'revoked' where row_number = 2")
    await world.issue()
    async with world.connection() as connection:
        found = await connection.fetch(
            "select number, public_id from certificate order by name <> $1, number", anna.name
        )
    lookup = wiring.lookup(world.settings)
    numbers, public_ids = ([str(row[column]) for row in found] for column in (0, 1))
    return Town(world, lookup, anna, berta, numbers, public_ids)


async def execute(world: World, statement: str, *arguments: object) -> None:
    """Do what no role may, behind every guard."""
    async with world.connection() as connection:
        await connection.execute("set session_replication_role = replica")
        await connection.execute(statement, *arguments)
