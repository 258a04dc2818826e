"""The catalogue: what holds from a day on, loaded as published, added to and never overwritten."""

import datetime
from collections.abc import Sequence

import pytest

from service.ground.db import Connection
from service.ground.errors import NotYourCity
from service.issuing import numbering
from service.registry import catalogue
from service.registry.accounts import PROVINCE
from service.registry.catalogue import ProjectKind
from tests.recorded import centre, project
from tests.world import CHENGDU, DAILY, MIANYANG, TODAY, UNIFIED, World

ONE_DAY = datetime.timedelta(days=1)
PUBLISHED_PROJECTS = """
大数据运行平台搭建 商业数据分析 大数据采集 大数据清洗 大数据分析 大数据应用开发 分布式数据库管理
人工智能图像识别 人工智能文本分析 人工智能语音识别 私域流量运营 在线学习运营 在线学习指导
工程建设领域劳资管理 碳会计处理 旅行线路定制 碳资产管理 碳排放交易 心理健康指导
儿童青少年生殖健康教育咨询服务 碳排放核算 碳资产评估
"""  # 川人社职鉴〔2025〕35号, annex 1
PUBLISHED_SESSIONS = """
2025-12-26 2026-01-10  2026-01-09 2026-01-31  2026-02-13 2026-03-14  2026-02-27 2026-03-28
2026-03-13 2026-04-11  2026-03-27 2026-04-25  2026-04-24 2026-05-23  2026-05-15 2026-06-13
2026-05-29 2026-06-27  2026-06-12 2026-07-11  2026-06-26 2026-07-25  2026-07-10 2026-08-08
2026-07-24 2026-08-22  2026-08-07 2026-09-05  2026-08-14 2026-09-19  2026-09-18 2026-10-24
2026-10-09 2026-11-07  2026-10-23 2026-11-21  2026-11-06 2026-12-05  2026-11-20 2026-12-19
"""  # annex 2: papers until, exam on
PUBLISHED_CITIES = """
510100 510300 510400 510500 510600 510700 510800 510900 511000 511100 511300 511400 511500 511600
511700 511800 511900 512000 513200 513300 513400
"""  # GB/T 2260: there is no 5102 and no 5112


async def column(connection: Connection, statement: str, *arguments: object) -> list[str]:
    return [str(row[0]) for row in await connection.fetch(statement, *arguments)]


# As published.


async def test_the_reference_is_as_published(world: World) -> None:
    async with world.connection() as connection:
        cities = await column(connection, "select city_code from centre order by 1")
        assert cities == [PROVINCE, *PUBLISHED_CITIES.split()]
        assert len(cities) == 1 + 21
        unified = await column(
            connection, "select project_name from project where kind = 'unified'"
        )
        assert sorted(unified) == sorted(PUBLISHED_PROJECTS.split())
        assert len(unified) == 22
        sessions = await connection.fetch(
            "select session_number, papers_until, starts_on from daily_session order by 1"
        )
        assert [row[0] for row in sessions] == list(range(1, 21))
        assert [str(day) for row in sessions for day in row[1:]] == PUBLISHED_SESSIONS.split()


async def test_every_city_can_number_and_seal_in_its_own_name(world: World) -> None:
    async with world.connection() as connection:
        centres = await connection.fetch("select * from centre where city_code <> '510000'")
        bodies = await column(connection, "select city_code from number_body order by 1")
    assert bodies == PUBLISHED_CITIES.split()
    for distinct in ("city_name", "issuing_authority", "seal_name", "issuer_code", "number_digits"):
        assert len({centre[distinct] for centre in centres}) == 21
    assert all(centre["issuer_code"].startswith("DEV") for centre in centres)  # plainly not real


async def test_loading_again_changes_nothing_and_overwrites_nothing(world: World) -> None:
    await world.record("province", centre(CHENGDU, TODAY, "更名后的成都"))
    await world.record("province", project(DAILY, PROVINCE, TODAY, ProjectKind.CLOSED))
    tables = ("city", "centre", "project", "daily_session", "number_body", "number_scheme")
    async with world.desk("province") as desk:
        before = [await desk.connection.fetch(f"table {table}") for table in tables]
        async with desk.acting():
            await catalogue.load(desk.connection, desk.actor)
            await numbering.load(desk.connection)
        assert [await desk.connection.fetch(f"table {table}") for table in tables] == before


# History.


async def test_a_renamed_centre_keeps_old_certificates_and_names_new_ones(world: World) -> None:
    old = await world.approved(CHENGDU, serial=0)
    await world.record("province", centre(CHENGDU, TODAY, "新"))
    await world.record("province", centre(CHENGDU, TODAY + ONE_DAY, "明日"))
    await world.record("province", centre(MIANYANG, TODAY, "绵阳"))
    new = await world.approved(CHENGDU, serial=100)
    async with world.connection() as connection:
        assert await faces(connection, old.numbers) == [
            "成都市人力资源和社会保障局 成都市人力资源和社会保障局专项职业能力证书专用章"
            " DEV510100000000000"
        ]
        assert await faces(connection, new.numbers) == ["新机关 新印章 DEV510100000000009"]
        identifiers = await column(
            connection, "select identifier from certificate where number = any ($1)", new.numbers
        )
    assert all(".DEV510100000000009." in identifier for identifier in identifiers)


async def faces(connection: Connection, numbers: Sequence[str]) -> list[str]:
    return await column(
        connection,
        "select distinct issuing_authority || ' ' || seal_name || ' ' || issuer_code"
        " from certificate where number = any ($1)",
        list(numbers),
    )


async def test_a_city_has_unified_projects_of_its_own(world: World) -> None:
    own = project("蜀绣数字化", CHENGDU, TODAY, ProjectKind.UNIFIED)
    await world.record(f"operator-{CHENGDU}", own)
    await world.record(f"operator-{CHENGDU}", project(DAILY, CHENGDU, TODAY, ProjectKind.UNIFIED))
    assert await kind(world, own.project_name, CHENGDU) == "unified"
    assert await kind(world, own.project_name, MIANYANG) is None
    assert await kind(world, own.project_name, CHENGDU, TODAY - ONE_DAY) is None
    assert (await kind(world, DAILY, CHENGDU), await kind(world, DAILY, MIANYANG)) == (
        "unified",
        "daily",
    )
    with pytest.raises(NotYourCity):
        await world.record(
            f"operator-{MIANYANG}", project("别市项目", CHENGDU, TODAY, ProjectKind.DAILY)
        )
    with pytest.raises(NotYourCity):
        await world.record(
            f"operator-{MIANYANG}", project("全省项目", PROVINCE, TODAY, ProjectKind.DAILY)
        )


async def test_a_project_is_closed_from_a_day_on(world: World) -> None:
    await world.record("province", project(UNIFIED, PROVINCE, TODAY, ProjectKind.CLOSED))
    await world.record(f"operator-{CHENGDU}", project(DAILY, CHENGDU, TODAY, ProjectKind.CLOSED))
    async with world.connection() as connection:
        for city_code, day, name, is_open in [
            (CHENGDU, TODAY - ONE_DAY, UNIFIED, True),
            (CHENGDU, TODAY, UNIFIED, False),
            (MIANYANG, TODAY, UNIFIED, False),
            (CHENGDU, TODAY - ONE_DAY, DAILY, True),
            (CHENGDU, TODAY, DAILY, False),
            (MIANYANG, TODAY, DAILY, True),
        ]:
            names = await catalogue.projects(connection, city_code, day)
            assert (name in names) is is_open, (city_code, day, name)
            assert len(names) == len(set(names))


async def kind(world: World, name: str, city_code: str, day: datetime.date = TODAY) -> str | None:
    async with world.connection() as connection:
        found: str | None = await connection.fetchval(
            "select project_on($1, $2, $3)", name, city_code, day
        )
        listed = name in await catalogue.projects(connection, city_code, day)
    assert listed is (found not in (None, "closed"))
    return found
