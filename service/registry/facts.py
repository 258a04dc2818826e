"""Facts: what centres record of the world outside, one frozen record a fact.

A fact knows the statement that keeps it and the act that it is. Recording checks the actor, keeps
the fact and writes the journal in one transaction. Facts are never overwritten: the same key again
is refused, a change is another row that is valid from a later day.
"""

from typing import ClassVar

import msgspec

from service.ground.db import Connection
from service.ground.errors import AlreadyRecorded, Refusal
from service.ground.statements import Perhaps
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One official fact; its fields are the options of the command that records it."""

    insert: ClassVar[Perhaps[str]]
    """Keeps the fact and answers with the city whose journal tells of it, or with nothing."""
    act: ClassVar[Act]
    not_kept: ClassVar[type[Refusal]] = AlreadyRecorded
    """What it means when the statement answers with nothing."""

    def check(self) -> None:
        """Refuse what the types of the fields cannot say; most facts have nothing to add."""


async def record(connection: Connection, actor: Actor, fact: Fact) -> None:
    """Keep one fact and write it into the journal.

    Raises:
        ActNotGranted: the actor's role may not record this.
        AlreadyRecorded: the same key is recorded already; or the fact's own `not_kept`.
    """
    accounts.require(actor, fact.act)
    fact.check()
    fields = msgspec.structs.asdict(fact)
    city_code = await fact.insert(connection, **fields)
    if city_code is None:
        raise fact.not_kept(fact=type(fact).__name__)
    detail = {
        key: value.hex() if isinstance(value, bytes) else value for key, value in fields.items()
    }
    subject = str(next(iter(fields.values())))
    await accounts.write(connection, actor, fact.act, subject, detail, city_code=city_code)
