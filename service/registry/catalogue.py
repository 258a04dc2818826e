"""The catalogue: cities and their centres, projects, and when they are assessed.

Everything is effective-dated: a row says what holds from a day on, and an old certificate keeps
what held when it was archived. A city may add projects of its own, which stand before the
province's. Loading the reference files is repeatable and overwrites nothing.

Source: 川人社职鉴〔2025〕35号, 一(二) and 二, annexes 1 and 2; GB/T 2260.
"""

import csv
import datetime
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

import msgspec
from msgspec import Meta

from service.ground import statements
from service.ground.db import Connection
from service.ground.statements import Perhaps
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.facts import Fact
from service.registry.journal import Act

_sql = statements.beside(__file__)
REFERENCE = Path(__file__).parent / "reference"

CityCode = Annotated[str, Meta(pattern=r"^[0-9]{6}\Z", description="行政区划代码 / GB/T 2260 code")]
ProjectName = Annotated[
    str, Meta(min_length=2, max_length=60, description="专项职业能力名称 / project")
]
DocumentNumber = Annotated[str, Meta(min_length=2, max_length=60, description="文号 / document")]
PapersUntil = Annotated[datetime.date, Meta(description="报名截止日期 / papers are due by")]
StartsOn = Annotated[datetime.date, Meta(description="考核开始日期 / first day of the session")]
ValidFrom = Annotated[datetime.date, Meta(description="生效日期 / valid from")]
ValidUntil = Annotated[datetime.date, Meta(description="失效日期（含）/ last valid day")]
Line = Annotated[str, Meta(min_length=2, max_length=60)]


class ProjectKind(StrEnum):
    """How a project is assessed: 分级统考, 日常考核, or no more."""

    UNIFIED = "unified"
    DAILY = "daily"
    CLOSED = "closed"


class Centre(Fact, frozen=True, kw_only=True):
    """登记市（州）中心的名称与印章 / Record what a city and its centre are called."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_centre", str)
    act: ClassVar[Act] = Act.CENTRE_RECORD

    city_code: CityCode
    valid_from: ValidFrom
    city_name: Annotated[Line, Meta(description="市（州）名称 / name of the city")]
    centre_name: Annotated[Line, Meta(description="中心名称 / name of its centre")]
    issuing_authority: Annotated[Line, Meta(description="发证机关 / issuing authority")]
    issuer_code: Annotated[str, Meta(pattern=r"^[0-9A-Z]{18}\Z", description="USCC / 统一代码")]
    seal_name: Annotated[Line, Meta(description="印章文字 / words of the seal")]
    number_digits: Annotated[str, Meta(pattern=r"^[0-9]{2}\Z", description="编号中的市（州）代码")]
    document_number: DocumentNumber


class City(msgspec.Struct, frozen=True):
    """A city by its code and its name of today."""

    city_code: str
    city_name: str


class Project(Fact, frozen=True, kw_only=True):
    """登记考核项目 / Record a project of the province or of one city, or close it."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_project", str)
    act: ClassVar[Act] = Act.PROJECT_RECORD

    project_name: ProjectName
    city_code: CityCode
    valid_from: ValidFrom
    kind: Annotated[ProjectKind, Meta(description="考核方式 / how it is assessed")]
    document_number: DocumentNumber


class DailySession(Fact, frozen=True, kw_only=True):
    """登记日常考核场次 / Record a session of the calendar."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_session", str)
    act: ClassVar[Act] = Act.SESSION_RECORD

    starts_on: StartsOn
    session_number: Annotated[int, Meta(ge=1, le=999, description="场次序号 / session")]
    papers_until: PapersUntil
    document_number: DocumentNumber


class Announcement(Fact, frozen=True, kw_only=True):
    """发布统考公告 / Announce a unified session of a project."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_announcement", str)
    act: ClassVar[Act] = Act.SESSION_ANNOUNCE

    city_code: CityCode
    project_name: ProjectName
    starts_on: StartsOn
    ends_on: Annotated[datetime.date, Meta(description="考核结束日期 / last day")]
    papers_until: PapersUntil
    document_number: DocumentNumber


_FILES: dict[str, type[Fact]] = {
    "centres.csv": Centre,
    "daily_sessions_2026.csv": DailySession,
    "unified_projects_2026.csv": Project,
    "daily_projects.csv": Project,
}
_projects = _sql.many("projects", str)
_Row = TypeVar("_Row", bound=msgspec.Struct)


async def load(connection: Connection, actor: Actor) -> int:
    """Load the reference files; what is recorded already stays as it is. Returns the rows read."""
    accounts.require(actor, Act.REFERENCE_LOAD)
    count = 0
    for file_name, kind in _FILES.items():
        for fact in reference(file_name, kind):
            await fact.insert(connection, **msgspec.structs.asdict(fact))
            count += 1
    await accounts.write(connection, actor, Act.REFERENCE_LOAD, "reference", {"rows": count})
    return count


def reference(file_name: str, record: type[_Row]) -> Iterator[_Row]:
    """Read one of the reference files that come with the program."""
    with (REFERENCE / file_name).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield msgspec.convert(row, record, strict=False)


async def projects(connection: Connection, city_code: str, on: datetime.date) -> list[str]:
    """Return the projects open in a city on a day, in the order of the catalogue."""
    return await _projects(connection, city_code=city_code, day=on)
