"""A small world to test in: a database of its own, two cities at work, keys made on the spot."""

import asyncio
import datetime
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from service import wiring
from service.ground.db import Connection
from service.ground.errors import Finding, RowsRefused
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.issuing import batches, issuance
from service.issuing.batches import Approval, dossier, gates, uploads
from service.issuing.batches.rows import Judged, Refused, Row
from service.issuing.batches.uploads import Incoming, Taken
from service.issuing.sheets.layouts import Form
from service.registry import accounts, facts
from service.registry.accounts import Actor
from service.registry.facts import Fact
from service.registry.people import IdKind
from service.wiring import Desk
from tests import invented

CHENGDU, MIANYANG, ABA = "510100", "510700", "513200"
CITIES = {CHENGDU: "成都市", MIANYANG: "绵阳市", ABA: "阿坝藏族羌族自治州"}
SECRET = "a secret for every account of the tests"  # noqa: S105 - of the tests
EXAM_ON = datetime.date(2026, 5, 23)
NOW = datetime.datetime(2026, 6, 12, 2, 0, tzinfo=datetime.UTC)
TODAY = NOW.astimezone(batches.LEGAL_ZONE).date()
DAILY, UNIFIED = "民宿接待服务", "商业数据分析"
DIGEST = hashlib.sha256(b"signed text").digest()


class World(msgspec.Struct, frozen=True):
    """One database with reference data and accounts, and the settings that lead to it.

    Accounts are `province`, and `operator-510100`, `reviewer-…`, `keeper-…`, `auditor-…` for each
    of CITIES; the province has `province-510000`, `keeper-510000` and `auditor-510000` too.
    """

    address: str
    settings: Settings

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Open a connection as the owner of the database, a copy of one that is migrated."""
        async with wiring.connection(self.address, migrated=False) as opened:
            yield opened

    @asynccontextmanager
    async def desk(self, account_name: str) -> AsyncIterator[Desk]:
        """Open a desk without paying for a password hash."""
        role, _, city_code = account_name.partition("-")
        actor = Actor(account_name, accounts.Role(role), city_code or accounts.PROVINCE)
        async with self.connection() as opened:
            yield Desk(opened, actor)

    async def record(self, account_name: str, *given: Fact) -> None:
        """Record facts, each in a transaction of its own."""
        async with self.desk(account_name) as desk:
            for fact in given:
                async with desk.acting():
                    await facts.record(desk.connection, desk.actor, fact)

    async def import_rows(
        self, city_code: str, rows: Sequence[Row], *, uscc: str = invented.INSTITUTION
    ) -> int:
        """Import rows as a draft batch of the city."""
        async with self.desk(f"operator-{city_code}") as desk, desk.acting():
            return await self.import_at(desk, city_code, rows, uscc=uscc)

    async def import_at(
        self,
        desk: Desk,
        city_code: str,
        rows: Sequence[Row],
        *,
        uscc: str = invented.INSTITUTION,
        errors: Sequence[Finding] = (),
    ) -> int:
        """Import rows inside the act that a desk has begun, which ends where they are refused."""
        incoming = self.incoming(rows, errors=errors)
        taken = await self.upload_at(desk, city_code, incoming, uscc=uscc)
        if taken.batch_id is None:
            raise RowsRefused(taken.errors, count=len(taken.errors))
        return taken.batch_id

    async def upload_at(
        self, desk: Desk, city_code: str, incoming: Incoming, *, uscc: str = invented.INSTITUTION
    ) -> Taken:
        """Take a file as a new batch inside the act that a desk has begun, or have it refused."""
        vault = wiring.vault(self.settings)
        return await uploads.import_rows(
            desk.connection, desk.actor, vault, incoming, city_code=city_code, uscc=uscc
        )

    async def join_at(
        self,
        desk: Desk,
        batch_id: int,
        rows: Sequence[Row],
        *,
        keep_good: bool = False,
        refused: Sequence[Refused] = (),
    ) -> Taken:
        """Let a file of these rows join a batch inside the act that a desk has begun."""
        return await uploads.join(
            desk.connection,
            desk.actor,
            wiring.vault(self.settings),
            self.incoming(rows, refused=refused, keep_good=keep_good),
            batch_id=batch_id,
        )

    def incoming(
        self,
        rows: Sequence[Row],
        *,
        refused: Sequence[Refused] = (),
        errors: Sequence[Finding] = (),
        keep_good: bool = False,
    ) -> Incoming:
        """Pretend that a file of these rows was read and judged."""
        judged = Judged(
            form=Form(kind="xlsx"),
            rows=tuple(rows),
            refused=tuple(refused),
            errors=(*errors, *(one for row in refused for one in row.findings)),
            warnings=(),
        )
        return Incoming(
            file_name="results.xlsx",
            file_sha256=hashlib.sha256(msgspec.json.encode(judged)).digest(),
            judged=judged,
            host=self.settings.host,
            keep_good=keep_good,
        )

    async def submit(self, city_code: str, batch_id: int) -> None:
        """Submit a batch as the city's operator."""
        async with self.desk(f"operator-{city_code}") as desk, desk.acting():
            await batches.submit(desk.connection, desk.actor, batch_id)

    async def approve(
        self, city_code: str, batch_id: int, *, by: str | None = None, now: datetime.datetime = NOW
    ) -> Approval:
        """Approve a batch as the city's reviewer, on 2026-06-12."""
        async with self.desk(by or f"reviewer-{city_code}") as desk, desk.acting():
            return await self.approve_at(desk, batch_id, now=now)

    async def approve_at(
        self, desk: Desk, batch_id: int, *, now: datetime.datetime = NOW
    ) -> Approval:
        """Approve a batch inside the act that a desk has begun."""
        return await batches.approve(
            desk.connection,
            desk.actor,
            batch_id,
            vault=wiring.vault(self.settings),
            rules=wiring.rules(self.settings),
            drawable=wiring.drawable_characters(),
            issuance=wiring.issuance(self.settings),
            now=now,
        )

    async def approved(
        self, city_code: str = CHENGDU, count: int = 3, *, serial: int = 0, project: str = DAILY
    ) -> Approval:
        """Take `count` invented people from rows to an approved batch, all facts recorded."""
        batch_id = await self.import_rows(
            city_code, rows(count, serial=serial, project=project, failed_every=count + 1)
        )
        await self.record(f"operator-{city_code}", *batch_facts(batch_id).values())
        await self.submit(city_code, batch_id)
        return await self.approve(city_code, batch_id)

    async def issue(self, *, group_size: int = 16, press: issuance.Press | None = None) -> None:
        """Let one worker empty the queue in this process."""
        press = press or wiring.press(self.settings, datetime.datetime.now(datetime.UTC))
        objects = Objects.open(self.settings.store_address)
        async with self.connection() as connection:
            while await issuance.work(
                connection,
                objects,
                press,
                worker="worker@tests",
                takeover_seconds=60,
                group_size=group_size,
            ):
                pass

    async def stand(self, standing: str) -> None:
        """Give every certificate a standing, whatever it had before."""
        trigger = "table certificate {} trigger certificate_standing_moves"
        async with self.connection() as connection, connection.transaction():
            await connection.execute(f"alter {trigger.format('disable')}")
            await connection.execute("update certificate set standing = $1", standing)
            await connection.execute(f"alter {trigger.format('enable')}")

    async def until_somebody_waits(self) -> None:
        """Return once a transaction of this database waits for another one."""
        async with self.connection() as connection, asyncio.timeout(10):
            while not await connection.fetchval(  # noqa: ASYNC110 - the server tells nobody
                "select exists (select from pg_stat_activity"
                " where datname = current_database() and wait_event_type = 'Lock')"
            ):
                await asyncio.sleep(0.01)

    async def judge(self, batch_id: int, *, reviewer: str | None = None) -> list[str]:
        """Return the codes of the closed gates of a batch."""
        async with self.desk("province") as desk, desk.acting():
            found = await gates.judge(
                desk.connection,
                batch_id,
                reviewer=reviewer,
                rules=wiring.rules(self.settings),
                vault=wiring.vault(self.settings),
                drawable=wiring.drawable_characters(),
                today=TODAY,
            )
        return [finding.code for finding in found]


def rows(
    count: int,
    *,
    serial: int = 0,
    project: str = DAILY,
    exam_on: datetime.date = EXAM_ON,
    failed_every: int = 12,
) -> list[Row]:
    """Invent judged rows, as if a workbook of them had been read."""
    from decimal import Decimal  # noqa: PLC0415 - only here

    return [
        Row(
            row_number=place,
            admission_number=one.admission_number,
            name=one.name,
            sex=one.sex,
            id_kind=IdKind(one.id_kind),
            id_number=one.id_number,
            born_on=datetime.date.fromisoformat(one.born_on),
            phone=one.phone,
            project=project,
            exam_on=exam_on,
            theory=None,
            practice=None,
            total=Decimal(str(one.total)),
            passed=one.result == "合格",
            remark="",
        )
        for place, one in enumerate(
            invented.candidates(
                count, project=project, exam_on=exam_on, serial=serial, failed_every=failed_every
            ),
            start=2,
        )
    ]


def batch_facts(batch_id: int) -> Mapping[str, Fact]:
    """Everything that must be recorded for a batch, by what it is."""
    day = datetime.timedelta(days=1)
    return {
        "papers": dossier.Papers(batch_id=batch_id, received_on=EXAM_ON - 40 * day),
        "publicity": dossier.Publicity(
            batch_id=batch_id, publicity_from=EXAM_ON + 8 * day, publicity_until=EXAM_ON + 14 * day
        ),
        "candidates": dossier.Commitment(
            batch_id=batch_id,
            party=dossier.Party.CANDIDATES,
            committed_by="全体考生",
            committed_on=EXAM_ON,
            text_sha256=DIGEST,
        ),
        "institution": dossier.Commitment(
            batch_id=batch_id,
            party=dossier.Party.INSTITUTION,
            committed_by="示例职业培训学校",
            committed_on=EXAM_ON,
            text_sha256=DIGEST,
        ),
    }


def settings_for(var: Path, address: str) -> Settings:
    """Settings that lead to a world."""
    return Settings(var=var, database_url=address, keys=str(var / "keys"), processes=2)
