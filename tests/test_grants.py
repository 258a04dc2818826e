"""What a role may do: the one table of grants, tried at the functions that do the acts."""

import contextlib
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from service.checking import portal
from service.ground import db
from service.ground.db import Role as DatabaseRole
from service.ground.errors import ActNotGranted
from service.issuing import batches, certificates, changes, public_keys
from service.issuing.batches import dossier
from service.issuing.changes import Grounds, Kind
from service.registry import accounts, catalogue, facts
from service.registry.accounts import Actor, Role
from service.registry.facts import Fact
from service.registry.journal import Act
from service.wiring import Desk
from tests import recorded
from tests.test_adoption import adopt_at, lines
from tests.world import CHENGDU, DIGEST, EXAM_ON, SECRET, World, batch_facts, rows

OPERATOR = f"operator-{CHENGDU}"
DAY = datetime.date(2027, 1, 1)
DOCUMENT = "川文〔2026〕1号"


class Scene(World, frozen=True):
    """A world with a draft, a submitted and an approved batch, and a number asked to be void.

    One certificate is issued and its holder reports a mistake, of another one somebody wants a
    change, and a sheet is to be adopted.
    """

    draft: int
    submitted: int
    approved_batch: int
    number: str
    issued: str
    change_id: int
    report_id: int


def _batch_facts(scene: Scene) -> list[Fact]:
    evidence = dossier.Evidence(
        batch_id=scene.draft,
        evidence_name="考场录像",
        kind=dossier.EvidenceKind.VIDEO,
        file_sha256=DIGEST,
        kept_until=EXAM_ON.replace(year=EXAM_ON.year + 6),
    )
    return [evidence, *batch_facts(scene.draft).values()]


_WISHED = lines(1, serial=700, first=910)
_Do = Callable[[Scene, Desk], Awaitable[object]]
_ACTS: Mapping[Act, _Do] = {
    Act.ACCOUNT_ADD: lambda _, desk: accounts.add(
        desk.connection, desk.actor, account_name="newcomer", role=Role.OPERATOR,
        city_code=CHENGDU, secret=SECRET,
    ),
    Act.ACCOUNT_DISABLE: lambda _, desk: accounts.disable(desk.connection, desk.actor, OPERATOR),
    Act.REFERENCE_LOAD: lambda _, desk: catalogue.load(desk.connection, desk.actor),
    Act.KEYS_PUBLISH: lambda _, desk: public_keys.publish(desk.connection, desk.actor, {}, []),
    Act.BATCH_IMPORT: lambda scene, desk: scene.import_at(desk, CHENGDU, rows(2, serial=900)),
    Act.BATCH_SUBMIT: lambda scene, desk: batches.submit(desk.connection, desk.actor, scene.draft),
    Act.BATCH_WITHDRAW: lambda scene, desk: batches.withdraw(
        desk.connection, desk.actor, scene.draft, "文件选错"
    ),
    Act.BATCH_RETURN: lambda scene, desk: batches.return_(
        desk.connection, desk.actor, scene.submitted, "请补材料"
    ),
    Act.BATCH_APPROVE: lambda scene, desk: scene.approve_at(desk, scene.submitted),
    Act.CERTIFICATES_EXPORT: lambda scene, desk: certificates.export(
        desk.connection, desk.actor, scene.approved_batch
    ),
    Act.CERTIFICATE_RETRY: lambda scene, desk: certificates.retry(
        desk.connection, desk.actor, scene.approved_batch
    ),
    Act.NUMBER_VOID_ASK: lambda scene, desk: certificates.void(
        desk.connection, desk.actor, f"{int(scene.number) + 1}", "无法签发"
    ),
    Act.NUMBER_VOID: lambda scene, desk: certificates.void(
        desk.connection, desk.actor, scene.number, "无法签发"
    ),
    Act.CHANGE_ASK: lambda scene, desk: changes.ask(
        desk.connection, desk.actor, Kind.REVOKE, _grounds(scene.issued)
    ),
    Act.CHANGE_CONFIRM: lambda scene, desk: changes.confirm(
        desk.connection, desk.actor, scene.change_id, edition="2026"
    ),
    Act.CHANGE_DECLINE: lambda scene, desk: changes.decline(
        desk.connection, desk.actor, scene.change_id, "证据不足"
    ),
    Act.ADOPTION_ASK: lambda scene, desk: adopt_at(scene, desk, lines(1, serial=600, first=900)),
    Act.ADOPTION_CONFIRM: lambda scene, desk: adopt_at(scene, desk, _WISHED),
    Act.REPORT_TAKE: lambda scene, desk: portal.take(desk.connection, desk.actor, scene.report_id),
}  # fmt: skip
# Nobody's: the worker has no account.
WORKERS = {Act.CERTIFICATE_ISSUE, Act.CERTIFICATE_PARK, Act.STATUS_LIST_SIGN}


@pytest.mark.parametrize("role", Role)
async def test_a_role_does_what_it_is_granted_and_nothing_else(world: World, role: Role) -> None:
    scene = await _scene(world)
    facts_of = {fact.act: fact for fact in [*recorded.FACTS, *_batch_facts(scene)]}
    assert _ACTS.keys() | facts_of.keys() | WORKERS == set(Act)
    done, refused = set(), set()
    async with scene.desk("province" if role is Role.PROVINCE else f"{role}-{CHENGDU}") as desk:
        for act in _ACTS.keys() | facts_of.keys():
            try:
                async with _undone(desk):
                    if act in facts_of:
                        await facts.record(desk.connection, desk.actor, facts_of[act])
                    else:
                        await _ACTS[act](scene, desk)
                done.add(act)
            except ActNotGranted:
                refused.add(act)
    assert done == accounts.GRANTS[role]
    assert refused == set(Act) - WORKERS - accounts.GRANTS[role]


def _grounds(number: str) -> Grounds:
    return Grounds(number=number, reason="核查属实", document_number=DOCUMENT)


async def _scene(world: World) -> Scene:
    issued, disputed = (await world.approved(count=2, serial=300)).numbers
    await world.issue()
    approved = await world.approved(count=3)
    draft = await world.import_rows(CHENGDU, rows(2, serial=100))
    submitted = await world.import_rows(CHENGDU, rows(2, serial=200))
    await world.record(OPERATOR, *batch_facts(submitted).values())
    await world.submit(CHENGDU, submitted)
    async with world.desk("province") as desk, desk.acting():
        await accounts.add(
            desk.connection,
            desk.actor,
            account_name="operator-third",
            role=Role.OPERATOR,
            city_code=CHENGDU,
            secret=SECRET,
        )
    third = Actor("operator-third", Role.OPERATOR, CHENGDU)
    async with world.connection() as connection:
        report_id = await connection.fetchval(
            "insert into mistake_report (city_code, public_id, field, proposal, made_at)"
            " select city_code, public_id, 'name', '王伟', now() from certificate"
            " where number = $1 returning report_id",
            issued,
        )
    async with (
        world.connection() as connection,
        db.acting(connection, DatabaseRole.CONSOLE, CHENGDU),
    ):
        await certificates.void(connection, third, approved.numbers[0], "印制有误")
        change_id = await changes.ask(connection, third, Kind.CANCEL, _grounds(disputed))
        await adopt_at(world, Desk(connection, third), _WISHED)
    return Scene(
        world.address,
        world.settings,
        draft=draft,
        submitted=submitted,
        approved_batch=approved.batch_id,
        number=approved.numbers[0],
        issued=issued,
        change_id=change_id,
        report_id=report_id,
    )


class _Undo(Exception):  # noqa: N818 - no error
    pass


@asynccontextmanager
async def _undone(desk: Desk) -> AsyncIterator[None]:
    """Act, and keep nothing of it."""
    with contextlib.suppress(_Undo):
        async with desk.acting():
            yield
            raise _Undo
