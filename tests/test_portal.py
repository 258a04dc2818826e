"""The portal: who is found, what is theirs, and that its role can ask nothing else."""

import asyncio
import base64
import datetime
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
import msgspec
import pytest
from click.testing import CliRunner

from service import cli, wiring
from service.checking import portal
from service.checking.decision import Origin, Status
from service.checking.portal import Claim, Field, SecondFactor
from service.ground import db
from service.ground.db import Role
from service.ground.errors import (
    LinkExpired,
    LinkForged,
    NotYourCity,
    ReportsMany,
    ReportUnknown,
    ShareLinksMany,
)
from service.registry.people import IdKind
from service.registry.vault import Lookup, Vault
from tests.town import NOW, TOKEN, Town, execute
from tests.world import CHENGDU, MIANYANG, SECRET, World, batch_facts, rows

MINUTE = datetime.timedelta(minutes=1)
SEED = bytes(16)


# Finding.


async def test_who_is_proved_and_who_is_not(town: Town) -> None:
    anna, berta, (number, other_city, bertas) = town.anna, town.berta, town.numbers
    phone = str(anna.phone)[-4:]
    either, by_number = SecondFactor.EITHER, SecondFactor.NUMBER
    by_phone, alone = SecondFactor.PHONE, SecondFactor.NONE
    full_width = "".join(chr(ord(one) + 0xFEE0) for one in anna.id_number)
    table: list[tuple[str, str, str, SecondFactor, bool]] = [
        (anna.name, anna.id_number, number, either, True),
        (anna.name, anna.id_number, other_city, either, True),
        (anna.name, anna.id_number, phone, either, True),
        (f" {anna.name} ", f" {full_width} ".lower(), f"{number[:4]} {number[4:]}", either, True),
        ("\u200b".join(anna.name), anna.id_number, number, either, True),
        *((one.join(anna.name), anna.id_number, number, either, True) for one in "•．。"),
        (f"{anna.name}-", anna.id_number, number, either, False),
        (anna.name, anna.id_number, number, by_number, True),
        (anna.name, anna.id_number, phone, by_phone, True),
        (anna.name, anna.id_number, "", alone, True),
        (berta.name, berta.id_number, bertas, either, True),
        (anna.name, anna.id_number, "", either, False),
        (anna.name, anna.id_number, bertas, either, False),
        (anna.name, anna.id_number, str(anna.phone), either, False),
        (anna.name, anna.id_number, f"{int(phone) ^ 1:04}", either, False),
        (anna.name, anna.id_number, phone, by_number, False),
        (anna.name, anna.id_number, number, by_phone, False),
        (berta.name, anna.id_number, number, either, False),
        (anna.name, berta.id_number, bertas, either, False),
        (anna.name[:-1], anna.id_number, number, either, False),
        (berta.name, anna.id_number, "", alone, False),
        (berta.name, berta.id_number, "0000", either, False),
        (berta.name, berta.id_number, "", by_phone, False),
        (anna.name, rows(1, serial=77)[0].id_number, number, either, False),
        ("", "", "", alone, False),
        ("\ud800\0"[:1], "\ud800", "\ud800", either, False),
    ]
    for name, id_number, second, factor, expected in table:
        proven = await town.proven(name, id_number, second, factor)
        assert proven is expected, (name, id_number, second, factor)


async def test_every_kind_of_document_is_tried(world: World) -> None:
    people = [
        msgspec.structs.replace(row, id_kind=kind, id_number=number)
        for row, (kind, number) in zip(
            rows(3, failed_every=9),
            [
                (IdKind.TAIWAN, "12345678"),
                (IdKind.HOME_RETURN, "H12345678"),
                (IdKind.PASSPORT, "YA1234567"),
            ],
            strict=True,
        )
    ]
    batch_id = await world.import_rows(CHENGDU, people)
    await world.record(f"operator-{CHENGDU}", *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    await world.approve(CHENGDU, batch_id)
    await world.issue()
    town = Town(world, wiring.lookup(world.settings), people[0], people[1], [], [])
    for person in people:
        phone = str(person.phone)[-4:]
        assert await town.proven(person.name, person.id_number, phone)
        assert not await town.proven(person.name, person.id_number[:-1] + "0", phone)


async def test_only_what_is_issued_proves_anybody(world: World) -> None:
    await world.approved(count=1)
    (anna,) = rows(1)
    town = Town(world, wiring.lookup(world.settings), anna, anna, [], [])
    assert not await town.proven(anna.name, anna.id_number, "", SecondFactor.NONE)
    await world.issue()
    assert await town.proven(anna.name, anna.id_number, "", SecondFactor.NONE)


async def test_nothing_and_a_wrong_name_and_a_wrong_factor_cost_the_same_statements(
    town: Town,
) -> None:
    anna = town.anna
    claims = [
        Claim(anna.name, rows(1, serial=77)[0].id_number, "1234"),
        Claim("别人", anna.id_number, town.numbers[0]),
        Claim(anna.name, anna.id_number, "1234"),
    ]
    run: list[list[str]] = []
    for claim in claims:
        queries: list[str] = []
        async with town.asking() as connection:
            connection.add_query_logger(lambda query, queries=queries: queries.append(query.query))
            assert not await portal.find(connection, town.lookup, claim, SecondFactor.EITHER)
        run.append([query for query in queries if "portal" in query])
    assert run[0] == run[1] == run[2]
    assert len(run[0]) == 1


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("11010519491231002X", True),
        ("11010519491231002x ", True),
        ("110105194912310021", False),
        ("1101051949123100", True),  # it might be a passport's
        ("H12345678", True),
        ("", False),
        ("1234", False),
        ("一二三四五六七八", False),
    ],
)
def test_a_slip_in_a_document_number_is_told_by_its_form_alone(text: str, is_one: bool) -> None:
    assert portal.is_document(text) is is_one


# Sessions.


async def test_a_session_lasts_with_its_use_and_an_hour_at_most(town: Town) -> None:
    token = await town.begin(town.anna)
    for minutes in (14, 28, 42, 56):
        assert await town.held(token, NOW + minutes * MINUTE)
    assert await town.held(token, NOW + 59 * MINUTE)
    assert await town.held(token, NOW + 60 * MINUTE) == []
    idle = await town.begin(town.anna, "idle")
    assert await town.held(idle, NOW + 15 * MINUTE) == []


async def test_a_session_ends_and_no_other_token_is_one(town: Town) -> None:
    token = await town.begin(town.anna)
    for guess in ("", TOKEN.upper(), f"{TOKEN} ", "\ud800", "' or true --"):
        assert await town.held(guess) == []
    async with town.asking() as connection:
        await portal.end(connection, "another")
    assert await town.held(token)
    async with town.asking() as connection:
        await portal.end(connection, token)
    assert await town.held(token) == []


async def test_tokens_and_persons_are_kept_as_hashes_only(town: Town) -> None:
    shared = await town.share(await town.begin(town.anna), town.public_ids[1])
    assert shared
    async with town.world.connection() as connection:
        kept = ""
        for table in ("portal_session", "share_link", "share_look"):
            kept += str(await connection.fetch(f"select * from {table}"))  # noqa: S608 - named here
    for secret in (TOKEN, shared, town.anna.name, town.anna.id_number):
        assert secret not in kept
    assert str(base64.urlsafe_b64decode(shared + "==")) not in kept


# What is held.


async def test_certificates_of_all_cities_are_held_and_nobody_elses(town: Town) -> None:
    held = await town.held(await town.begin(town.anna))
    assert {(one.number, one.standing, one.origin, one.has_file) for one in held} == {
        (town.numbers[0], Status.REVOKED, Origin.SEALED, True),
        (town.numbers[1], Status.VALID, Origin.SEALED, True),
    }
    assert {one.name for one in held} == {town.anna.name}
    assert {one.specimen for one in held} == {True}
    (only,) = await town.held(await town.begin(town.berta, "of Berta"))
    assert (only.number, only.name) == (town.numbers[2], town.berta.name)


async def test_what_is_not_issued_is_never_listed(town: Town) -> None:
    token = await town.begin(town.anna)
    for state in ("numbered", "parked", "void"):
        await execute(
            town.world,
            "update certificate set state = $1, cause = 'none', void_asked_by = 'province',"
            " voided_by = $2 where number = $3",
            state,
            f"operator-{MIANYANG}",
            town.numbers[1],
        )
        assert [one.number for one in await town.held(token)] == [town.numbers[0]], state


async def test_an_adopted_certificate_is_held_and_may_have_no_file(town: Town) -> None:
    anna = town.anna
    key = town.lookup.person_key(anna.id_kind, anna.id_number)
    await execute(
        town.world,
        "with wish as (insert into adoption (city_code, file_sha256, pdfs_sha256, document_number,"
        " row_count, pdf_count, asked_by) values ($1, sha256('a'), sha256('b'), '川文', 1, 0,"
        " 'province') returning adoption_id)"
        " insert into certificate (number, city_code, public_id, name, id_kind, id_encrypted,"
        " person_key, phone_key, project_name, archived_on, issuing_authority, state, issued_at,"
        " origin, adoption_id) select 'OLD0001', $1, '0123456789abcdef', $2, $3, '\\x', $4, $5,"
        " '旧项目', '2024-04-01', '某机关', 'issued', now(), 'adopted', adoption_id from wish",
        CHENGDU, anna.name, anna.id_kind.value, key, town.lookup.phone_key(key, "0007"),
    )  # fmt: skip
    for second in ("old0001", "0007"):
        assert await town.proven(anna.name, anna.id_number, second)
    held = (await town.held(await town.begin(anna)))[-1]
    assert (held.number, held.origin, held.has_file) == ("OLD0001", Origin.ADOPTED, False)
    assert held.exam_on is None


# Share links.


async def test_a_share_link_opens_what_it_was_made_for_until_it_ends(town: Town) -> None:
    token, public_id = await town.begin(town.anna), town.public_ids[1]
    shared = await town.share(token, public_id, days=7)
    assert shared
    days = datetime.timedelta(days=1)
    assert await town.open(shared, NOW + 6 * days) == public_id
    assert await town.open(shared, NOW + 7 * days) is None
    for guess in (shared[:-1], shared.swapcase(), "", "\ud800", SEED.hex()):
        assert await town.open(guess) is None


async def test_only_a_valid_certificate_of_ones_own_is_shared(town: Town) -> None:
    token = await town.begin(town.anna)
    revoked, valid, bertas = town.public_ids
    assert await town.share(token, valid)
    for public_id in (revoked, bertas, "0" * 16, ""):
        assert await town.share(token, public_id) is None
    assert await town.share("no session", valid) is None


async def test_a_link_is_taken_back_by_its_holder_alone(town: Town) -> None:
    token, public_id = await town.begin(town.anna), town.public_ids[1]
    other = await town.begin(town.berta, "of Berta")
    shared = await town.share(token, public_id)
    assert shared
    async with town.asking() as connection:
        (link,) = await portal.shares(connection, token, public_id, NOW)
        assert await portal.shares(connection, other, public_id, NOW) == []
        take_back = portal.unshare
        assert not await take_back(connection, other, public_id, link.share_id, NOW)
        assert not await take_back(connection, other, town.public_ids[2], link.share_id, NOW)
        assert not await take_back(connection, token, public_id, link.share_id + 1, NOW)
    assert await town.open(shared) == public_id
    async with town.asking() as connection:
        assert await portal.unshare(connection, token, public_id, link.share_id, NOW)
    assert await town.open(shared) is None
    async with town.asking() as connection:
        (ended,) = await portal.shares(connection, token, public_id, NOW)
    assert ended.ended
    assert ended.look_counts == [1]


async def test_looks_are_counted_by_legal_day_however_many_look_at_once(town: Town) -> None:
    token, public_id = await town.begin(town.anna), town.public_ids[1]
    shared = await town.share(token, public_id)
    assert shared
    await asyncio.gather(*(town.open(shared) for _ in range(12)))
    late = NOW.replace(hour=16, minute=30)  # after midnight in the legal zone
    await town.open(shared, late)
    async with town.asking() as connection:
        assert await portal.open_share(connection, shared, late, counted=False) == public_id
        (link,) = await portal.shares(connection, token, public_id, NOW)
    assert (link.look_days, link.look_counts) == (
        [datetime.date(2026, 11, 3), datetime.date(2026, 11, 2)],
        [1, 12],
    )


async def test_of_one_certificate_five_links_live_however_many_are_asked_for_at_once(
    town: Town,
) -> None:
    token, public_id = await town.begin(town.anna), town.public_ids[1]
    made = await _together(lambda: town.share(token, public_id), 8)
    assert sum(isinstance(one, str) for one in made) == 5
    assert [type(one) for one in made if not isinstance(one, str)] == [ShareLinksMany] * 3
    async with town.asking() as connection:
        first = (await portal.shares(connection, token, public_id, NOW))[0]
        await portal.unshare(connection, token, public_id, first.share_id, NOW)
    assert await town.share(token, public_id)


async def test_a_live_link_is_listed_however_many_ended_after_it(town: Town) -> None:
    token, public_id = await town.begin(town.anna), town.public_ids[1]
    assert await town.share(token, public_id)
    await execute(
        town.world,
        "insert into share_link (public_id, seed, token_hash, made_at, expires_at)"
        " select $1, $2, sha256(place::text::bytea), now(), 'epoch'"
        " from generate_series(1, 25) as place",
        public_id,
        SEED,
    )
    async with town.asking() as connection:
        listed = await portal.shares(connection, token, public_id, NOW)
    assert [one.ended for one in listed] == [False] + [True] * 19


async def _together(work: Callable[[], Awaitable[object]], count: int) -> Sequence[object]:
    return await asyncio.gather(*(work() for _ in range(count)), return_exceptions=True)


# Reports.


async def test_a_report_reaches_its_city_and_is_taken_up_once(town: Town) -> None:
    token, public_id = await town.begin(town.anna), town.public_ids[1]
    assert await town.report(token, public_id, "应为王伟")
    for foreign in (f"operator-{CHENGDU}", f"reviewer-{CHENGDU}"):
        async with town.world.desk(foreign) as desk, desk.acting():
            assert await portal.open_reports(desk.connection) == []
            with pytest.raises(ReportUnknown):
                await portal.take(desk.connection, desk.actor, 1)
    async with town.world.desk(f"reviewer-{MIANYANG}") as desk:
        async with desk.acting():
            (waiting,) = await portal.open_reports(desk.connection)
            assert (waiting.number, waiting.version, waiting.proposal, waiting.field) == (
                town.numbers[1], 1, "应为王伟", Field.NAME,
            )  # fmt: skip
        async with desk.acting():
            await portal.take(desk.connection, desk.actor, waiting.report_id)
        with pytest.raises(ReportUnknown):
            async with desk.acting():
                await portal.take(desk.connection, desk.actor, waiting.report_id)
    async with town.world.connection() as connection:
        (entry,) = await connection.fetch("select * from journal where act like 'portal%'")
    assert (entry["actor"], entry["city_code"]) == (f"reviewer-{MIANYANG}", MIANYANG)
    assert "王伟" not in str(dict(entry))
    async with town.asking() as connection:
        (shown,) = await portal.reports(connection, token, public_id, NOW)
    assert shown.taken_at


async def test_two_who_take_a_report_up_at_once_are_one(town: Town) -> None:
    await town.report(await town.begin(town.anna), town.public_ids[1])

    async def take() -> None:
        async with town.world.desk(f"operator-{MIANYANG}") as desk, desk.acting():
            await portal.take(desk.connection, desk.actor, 1)

    assert sorted(map(str, map(type, await _together(take, 3)))) == sorted(
        map(str, [type(None), ReportUnknown, ReportUnknown])
    )


async def test_only_ones_own_certificate_is_reported_and_three_times_at_once(town: Town) -> None:
    token = await town.begin(town.anna)
    for public_id in (town.public_ids[2], "0" * 16, ""):
        assert not await town.report(token, public_id)
    assert not await town.report("no session", town.public_ids[1])
    made = await _together(lambda: town.report(token, town.public_ids[1]), 5)
    assert made.count(True) == 3
    assert sum(isinstance(one, ReportsMany) for one in made) == 2
    async with town.asking() as connection:
        other = await town.begin(town.berta, "of Berta")
        assert await portal.reports(connection, other, town.public_ids[1], NOW) == []


def test_reports_are_listed_and_taken_up_at_the_command_line(town: Town, tmp_path: Path) -> None:
    asyncio.run(_report_both(town))
    (tmp_path / "secret").write_text(SECRET)
    settings = town.world.settings

    def typed(*words: str, city_code: str) -> tuple[int, str]:
        line = ["report", *words, "--as", f"operator-{city_code}"]
        done = CliRunner().invoke(
            cli.qianfa,
            [*line, "--secret-file", str(tmp_path / "secret")],
            env={
                "QIANFA_VAR": str(settings.var),
                "QIANFA_DATABASE_URL": settings.database_url,
                "QIANFA_KEYS": settings.keys,
            },
        )
        return done.exit_code, done.output + str(done.exception or "")

    code, said = typed("list", city_code=MIANYANG)
    assert (code, "应为王伟" in said, town.numbers[1] in said) == (0, True, True)
    assert town.numbers[2] not in said
    assert typed("take", "1", "--yes", city_code=MIANYANG)[0] == 0
    assert "应为王伟" not in typed("list", city_code=MIANYANG)[1]
    for report_id in ("1", "2", "99"):
        code, said = typed("take", report_id, "--yes", city_code=MIANYANG)
        assert (code, "待受理" in said) == (1, True), report_id


async def _report_both(town: Town) -> None:
    await town.report(await town.begin(town.anna), town.public_ids[1], "应为王伟")
    await town.report(await town.begin(town.berta, "of Berta"), town.public_ids[2])


@pytest.mark.parametrize(
    ("field", "text", "tells"),
    [
        (Field.NAME, "王伟", False),
        (Field.BORN_ON, "1990-03-07", False),
        (Field.BORN_ON, "19900307", False),
        (Field.OTHER, "成绩 86.5，房间 1203", False),
        (Field.NAME, "王伟，身份证11010519491231002X", True),
        (Field.NAME, "110105 1949 1231 002x", True),
        (Field.NAME, "１１０１０５１９４９１２３１００２Ｘ", True),
        (Field.OTHER, "13812345678", True),
        (Field.OTHER, "138-1234-5678", True),
        (Field.OTHER, "H12345678", True),
        (Field.OTHER, "护照 ya1234567", True),
        (Field.ID_NUMBER, "最后一位应为 X", False),
        (Field.ID_NUMBER, "12345678", True),
    ],
)
def test_which_words_tell_a_document(field: Field, text: str, tells: bool) -> None:
    assert portal.tells_document(text, field) is tells


# Download tickets and keyed hashes.


def test_a_ticket_holds_for_its_id_and_for_ten_minutes() -> None:
    lookup, public_id = Lookup(b"k" * 32), "0123456789abcdef"
    ticket = portal.sign_ticket(lookup, public_id, NOW)
    portal.check_ticket(lookup, public_id, ticket, NOW + 9 * MINUTE)
    with pytest.raises(LinkExpired):
        portal.check_ticket(lookup, public_id, ticket, NOW + 10 * MINUTE)
    until, seal = ticket.split(".")
    changed = [
        f"{int(until) + 600}.{seal}", f"{until}.{seal[:-1]}", f"{until}.{'A' * 43}", seal, "",
        f"{until}.{seal}.", f" {ticket}", f"{until}\n.{seal}", "1" * 5000, "\ud800", f"-{ticket}",
    ]  # fmt: skip
    for other in changed:
        with pytest.raises(LinkForged):
            portal.check_ticket(lookup, public_id, other, NOW)
    for case in ((Lookup(b"l" * 32), public_id), (lookup, "0123456789abcdeg")):
        with pytest.raises(LinkForged):
            portal.check_ticket(*case, ticket, NOW)


def test_a_hash_for_one_use_is_none_for_another() -> None:
    lookup = Lookup(b"k" * 32)
    person = lookup.person_key(IdKind.TAIWAN, "12345678")
    made = {
        person,
        lookup.person_key(IdKind.PASSPORT, "12345678"),
        lookup.phone_key(person, "5678"),
        lookup.keyed("phone", b"5678"),
        lookup.keyed("ticket", person + b"5678"),
        lookup.keyed("share", person),
        Lookup(b"l" * 32).person_key(IdKind.TAIWAN, "12345678"),
    }
    assert len(made) == 7
    assert Vault(b"i" * 32, b"k" * 32).person_key(IdKind.TAIWAN, "12345678") == person


async def test_the_last_digits_of_a_phone_are_kept_as_a_hash_from_import_on(town: Town) -> None:
    async with town.world.connection() as connection:
        found = await connection.fetch("select distinct name, phone_key from result")
    anna = town.anna
    key = town.lookup.person_key(anna.id_kind, anna.id_number)
    assert {row[0]: row[1] for row in found} == {
        anna.name: town.lookup.phone_key(key, str(anna.phone)[-4:]),
        town.berta.name: None,
    }


# What the portal's role may not.

TABLES = (
    "account", "batch", "certificate", "commitment", "evidence", "journal", "mistake_report",
    "portal_session", "result", "seal_certificate", "share_link", "share_look", "statement_key",
)  # fmt: skip
FORBIDDEN = [
    *(f"select * from {table}" for table in TABLES),  # noqa: S608 - named here
    *(f"delete from {table}" for table in TABLES),  # noqa: S608 - named here
    "select count(*) from certificate",
    "select person_key from certificate",
    "select phone_key from result",
    "select phone_encrypted from result",
    "select number from entry",
    "update certificate set standing = 'valid'",
    "update share_link set revoked_at = null",
    "insert into portal_session values ('\\x', '{}', now(), now())",
    "insert into share_look values (1, now(), 1)",
    "select portal_owns('\\x', now(), '')",
    "select * from certificates_held('{}')",
    "create table mine (one int)",
]


async def test_the_portals_role_reads_and_changes_nothing_by_itself(town: Town) -> None:
    pool = await db.open_pool(town.world.address, Role.PORTAL, size=1)
    async with pool, pool.acquire() as connection:
        assert await connection.fetchval("select current_user") == Role.PORTAL
        for statement in FORBIDDEN:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_other_roles_cannot_ask_as_the_portal(town: Town) -> None:
    async with town.world.connection() as connection:
        names = [
            row["name"]
            for row in await connection.fetch(
                "select oid::regprocedure::text as name from pg_proc where proname ~ '^portal_'"
            )
        ]
        assert len(names) == 11
        for role in (Role.PUBLIC, Role.CONSOLE, Role.WORKER):
            for name in names:
                may = "select has_function_privilege($1, $2, 'execute')"
                assert not await connection.fetchval(may, role.value, name), (role, name)
    with pytest.raises(NotYourCity):
        async with town.world.connection() as connection, db.acting(connection, Role.PUBLIC):
            await portal.held(connection, "token", NOW)
