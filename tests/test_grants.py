"""What a role may do: the one table of grants, tried at the functions that do the acts."""

import contextlib
import datetime
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest

from service import wiring
from service.checking import portal
from service.ground import db
from service.ground.db import Role as DatabaseRole
from service.ground.errors import ActNotGranted, Finding
from service.issuing import batches, certificates, changes, public_keys
from service.issuing.batches import dossier
from service.issuing.changes import Grounds, Kind
from service.issuing.photos import keeping
from service.paper import printing, tracing
from service.paper.blanks import Kind as OrderKind
from service.paper.papers import changing
from service.paper.printing import faces, planning
from service.paper.printing.settling import Said
from service.registry import accounts, catalogue, facts
from service.registry.accounts import Actor, Role
from service.registry.facts import Fact
from service.registry.journal import Act
from service.wiring import Desk
from tests import (
    printshop,
    recorded,
    stationery,
    test_documents,
    test_orders,
    test_printers,
    test_stocktakes,
    test_supply,
)
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
    stage: printshop.Stage


def _batch_facts(scene: Scene) -> list[Fact]:
    evidence = dossier.Evidence(
        batch_id=scene.draft,
        evidence_name="考场录像",
        kind=dossier.EvidenceKind.VIDEO,
        file_sha256=DIGEST,
        kept_until=EXAM_ON.replace(year=EXAM_ON.year + 6),
    )
    return [evidence, *batch_facts(scene.draft).values()]


_ERROR = Finding(code="CellEmpty", zh="空", en="empty", row=3)
_WISHED = lines(1, serial=700, first=910)
_HOLDER = rows(1, serial=300)[0]
_SHEETS = ("2031-sheets", "2032-sheets", "2033-sheets")
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
    Act.BATCH_JOIN: lambda scene, desk: scene.join_at(desk, scene.draft, rows(3, serial=100)),
    Act.UPLOAD_REFUSE: lambda scene, desk: scene.upload_at(
        desk, CHENGDU, scene.incoming(rows(1, serial=900), errors=[_ERROR])
    ),
    Act.BATCH_SUBMIT: lambda scene, desk: batches.submit(desk.connection, desk.actor, scene.draft),
    Act.BATCH_WITHDRAW: lambda scene, desk: batches.withdraw(
        desk.connection, desk.actor, scene.draft, "文件选错"
    ),
    Act.PHOTOS_KEEP: lambda scene, desk: keeping.candidates(
        desk.connection, desk.actor, scene.draft
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
    Act.PROFILE_RECORD: lambda _, desk: test_printers.record_at(desk),
    Act.DOCUMENT_SEAL: test_documents.seal_at,
    Act.DOCUMENT_ATTACH: test_documents.attach_at,
    **test_supply.ACTS,
    Act.RUN_PLAN: lambda scene, desk: planning.plan(
        desk.connection, desk.actor, [scene.stage.wanting]
    ),
    Act.RUN_DRAW: lambda scene, desk: printing.draw(
        desk.connection, desk.actor, scene.stage.planned
    ),
    Act.RUN_PRINT: lambda scene, desk: faces.of_run(
        desk.connection, desk.actor, scene.stage.drawn, preview=False
    ),
    Act.RUN_SETTLE: lambda scene, desk: printing.settle(
        desk.connection, desk.actor, scene.stage.drawn, Said(printed=0, not_printed="1")
    ),
    Act.RUN_CLOSE: lambda scene, desk: printing.close(
        desk.connection, desk.actor, scene.stage.settled
    ),
    Act.RUN_CANCEL: lambda scene, desk: printing.cancel(
        desk.connection, desk.actor, scene.stage.planned
    ),
    Act.PAPER_HAND_OVER: lambda scene, desk: printshop.hand_over_at(desk, scene.stage.paper),
    Act.PAPER_CHANGE_ASK: lambda scene, desk: printshop.ask_at(
        desk, changing.Kind.SPOIL, scene.stage.paper
    ),
    Act.PAPER_CHANGE_CONFIRM: lambda scene, desk: changing.confirm(
        desk.connection, desk.actor, scene.stage.change_id
    ),
    Act.PAPER_CHANGE_DECLINE: lambda scene, desk: changing.decline(
        desk.connection, desk.actor, scene.stage.change_id, "并未淋湿"
    ),
    Act.REPORT_TAKE: lambda scene, desk: portal.take(desk.connection, desk.actor, scene.report_id),
    Act.TRACE: lambda scene, desk: tracing.story(
        desk.connection, desk.actor,
        tracing.person(wiring.lookup(scene.settings), _HOLDER.name, _HOLDER.id_number),
    ),
    Act.BLANKS_SPOIL: lambda _, desk: test_orders.spoil_at(
        desk, [(_first(desk) + 50,) * 2], code=_SHEETS[0]
    ),
    Act.ORDER_ASK: lambda _, desk: test_orders.ask_at(
        desk, OrderKind.LOSE, [(_first(desk) + 50,) * 2], code=_SHEETS[0]
    ),
} | {
    act: lambda _, desk, act=act: test_orders.sign_at(desk, act)
    for act in (Act.ORDER_CONFIRM, Act.ORDER_WITNESS, Act.ORDER_DECLINE)
} | {
    act: lambda _, desk, act=act: test_stocktakes.do_at(desk, act, _SHEETS[0])
    for act in Act if act.name.startswith("STOCKTAKE")
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
    issued, disputed, *printable = (await world.approved(count=7, serial=300)).numbers
    await world.issue()
    stage = await printshop.stage(world, printable)
    approved = await world.approved(count=3)
    draft = await world.import_rows(CHENGDU, rows(2, serial=100))
    submitted = await world.import_rows(CHENGDU, rows(2, serial=200))
    await world.record(OPERATOR, *batch_facts(submitted).values())
    await world.submit(CHENGDU, submitted)
    async with world.desk("province") as desk, desk.acting():
        for role in (Role.OPERATOR, Role.KEEPER):
            await accounts.add(
                desk.connection,
                desk.actor,
                account_name=f"{role}-third",
                role=role,
                city_code=CHENGDU,
                secret=SECRET,
            )
    await _leave_blanks(world)
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
        stage=stage,
    )


def _first(desk: Desk) -> int:
    return 1001 if desk.actor.city_code == accounts.PROVINCE else 1


async def _leave_blanks(world: World) -> None:
    """Let a third keeper of the city and one of the province leave others something to sign."""
    for number, code in enumerate(_SHEETS):
        series = msgspec.structs.replace(
            stationery.COVER, series_code=code, prefix=f"第{number}种", digit_count=5
        )
        await world.record("province", series)
    keepers = {"keeper-third": CHENGDU, "keeper-510000": accounts.PROVINCE}
    for name, city_code in keepers.items():
        async with world.connection() as connection:
            desk = Desk(connection, Actor(name, Role.KEEPER, city_code))
            async with desk.acting():
                await test_orders.leave_at(
                    desk, _SHEETS[0], first=_first(desk), second=f"auditor-{city_code}"
                )
                await test_stocktakes.leave_at(desk, *_SHEETS[1:])


class _Undo(Exception):  # noqa: N818 - no error
    pass


@asynccontextmanager
async def _undone(desk: Desk) -> AsyncIterator[None]:
    """Act, and keep nothing of it."""
    with contextlib.suppress(_Undo):
        async with desk.acting():
            yield
            raise _Undo
