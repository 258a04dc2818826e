"""Approval: gates, oddities, numbers, faces, identifiers and journal in one transaction, committed.

Ours takes one range of numbers and writes all faces with one statement. Beside it, in turns, the
naive way: the same gates and oddities, but the counter raised and the row written once for each
certificate; of the largest size a single batch, in a city that has numbers for it. Neither the
import nor the opening of the connection is timed.
"""

import secrets
import statistics
import time
from collections.abc import Awaitable, Callable

from rich.table import Table

from service import wiring
from service.issuing import certificates, numbering
from service.issuing.batches import gates, oddities
from service.registry import accounts
from service.registry.journal import Act
from service.wiring import Desk
from signing import token
from tests.world import ABA, CHENGDU, MIANYANG, TODAY, World, batch_facts, rows

_ROUNDS = 3
# Where the naive way is taken and how often, by the size of the batch.
_RIVALS = {2_000: (MIANYANG, 3), 20_000: (MIANYANG, 3), 50_000: (ABA, 1)}
_FIRST_SERIAL = 1_000_000  # people that no other benchmark certifies

_FACES = """
select row_number, name, sex, born_on, id_kind, id_encrypted, person_key, project_name, total,
    exam_on
from result where batch_id = $1 and passed order by row_number
"""
_CENTRE = """
select issuing_authority, issuer_code, seal_name from centre_on($1) where city_code = $2
"""
_RAISE = """
update number_counter set last_sequence = last_sequence + 1
where scheme_version = $1 and city_code = $2 and period = $3 and body_serial = 1
returning last_sequence
"""
_WRITE = """
insert into certificate (row_number, name, sex, born_on, id_kind, id_encrypted, person_key,
    project_name, score, exam_on, issuing_authority, issuer_code, seal_name, number, city_code,
    batch_id, scheme_version, public_id, identifier, edition, archived_on, examine_fully)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, false)
"""
_ARCHIVE = """
update batch set state = 'approved', decided_by = $2, decided_at = now(), archived_on = $3
where batch_id = $1
"""

_Approve = Callable[[World, Desk, int], Awaitable[object]]


async def measure(world: World) -> Table:
    """Approve batches of each size in both ways and return the table."""
    table = Table(
        "certificates in a batch", "seconds", "naive", "a second", "naive", "ratio",
        title="Approved in one transaction",
    )  # fmt: skip
    serial = _FIRST_SERIAL
    for body_serial in (2, 3):  # all of this is more than a year's numbers of one
        body = numbering.Body(
            city_code=CHENGDU, body_serial=body_serial, document_number="启用〔2026〕1号"
        )
        await world.record("province", body)
    for size, (rival_code, rival_rounds) in _RIVALS.items():
        ours, naive = [], []
        for round_ in range(_ROUNDS):
            ours.append(await _seconds(world, _ours, CHENGDU, serial, size))
            if round_ < rival_rounds:
                naive.append(await _seconds(world, _naive, rival_code, serial + size, size))
            serial += 2 * size
        seconds = [statistics.median(taken) for taken in (ours, naive)]
        table.add_row(
            f"{size:,}",
            *(f"{taken:.2f}" for taken in seconds),
            *(f"{size / taken:,.0f}" for taken in seconds),
            f"{seconds[1] / seconds[0]:.1f}",
        )
    return table


async def _seconds(
    world: World, approve: _Approve, city_code: str, serial: int, size: int
) -> float:
    people = rows(size, serial=serial, failed_every=size + 1)
    batch_id = await world.import_rows(city_code, people)
    await world.record(f"operator-{city_code}", *batch_facts(batch_id).values())
    await world.submit(city_code, batch_id)
    async with world.desk(f"reviewer-{city_code}") as desk:
        started = time.perf_counter()
        async with desk.acting():
            await approve(world, desk, batch_id)
        return time.perf_counter() - started


async def _ours(world: World, desk: Desk, batch_id: int) -> None:
    await world.approve_at(desk, batch_id)


async def _naive(world: World, desk: Desk, batch_id: int) -> None:
    connection, city_code = desk.connection, desk.actor.city_code
    issuance = wiring.issuance(world.settings)
    closed = await gates.judge(
        connection,
        batch_id,
        reviewer=desk.actor.account_name,
        rules=wiring.rules(world.settings),
        vault=wiring.vault(world.settings),
        drawable=wiring.drawable_characters(),
        today=TODAY,
    )
    assert not closed
    await oddities.notice(connection, batch_id, wiring.vault(world.settings))
    (centre,) = await connection.fetch(_CENTRE, TODAY, city_code)
    faces = await connection.fetch(_FACES, batch_id)
    first = await numbering.take(connection, city_code, TODAY, 1)
    number, scheme = int(first.numbers[0]), first.scheme_version
    for place, face in enumerate(faces):
        if place:
            raised = await connection.fetchval(_RAISE, scheme, city_code, TODAY.year)
            number = number // 100_000 * 100_000 + raised
        await connection.execute(
            _WRITE, *face, *centre, str(number), city_code, batch_id, scheme,
            token.encode_id(secrets.token_bytes(10)),
            certificates.identifier(issuance.licence_type, centre["issuer_code"], str(number), 1),
            issuance.edition, TODAY,
        )  # fmt: skip
    await connection.execute(_ARCHIVE, batch_id, desk.actor.account_name, TODAY)
    await accounts.write(
        connection, desk.actor, Act.BATCH_APPROVE, str(batch_id), {"count": len(faces)},
        city_code=city_code,
    )  # fmt: skip
