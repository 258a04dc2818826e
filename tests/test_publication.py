"""Publication: every change of a standing is signed, seen by all, and enough without a network."""

import asyncio
import contextlib
import datetime
import os
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pypdfium2
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from service import cli, wiring, worker
from service.checking import decision, verification
from service.checking.decision import Status
from service.cli import acting
from service.ground import db, migrate
from service.ground.db import Connection, Role
from service.ground.errors import KeyRenewed, KeyUnpublished, Refusal, StatusListsBehind
from service.issuing import public_keys, publication
from service.registry import journal
from service.web import app
from signing import key_set, keys, status, token
from signing.cose import Purpose
from signing.errors import KeyExpired, KeyMissing, StatementRefused, StatusListRefused
from signing.status import Standing
from tests.world import CITIES, World

HOUR = datetime.timedelta(hours=1)
DAY = 24 * HOUR
HOST = "localhost:8080"


class Issued(msgspec.Struct, frozen=True):
    """A world with one certificate, and what stands in its QR code."""

    world: World
    index: int
    text: str

    async def sign(self) -> int:
        """Let one worker sign what is wanted; returns how many lists that was."""
        count = 0
        async with self.world.connection() as connection:
            while await _sign(self.world, connection):
                count += 1
        return count

    async def standing(self, now: datetime.datetime | None = None) -> Standing | None:
        """Look the certificate up in the list that is published."""
        async with self.world.connection() as connection, db.acting(connection, Role.PUBLIC):
            content = await publication.status_list(connection, 0)
            known = await public_keys.cose_keys(connection)
        assert content is not None
        found = status.verify(content, known[Purpose.STATUS], now or _now())
        return found.of(HOST, self.index)

    async def journalled(self) -> list[Any]:
        async with self.world.connection() as connection:
            rows = await connection.fetch(
                "select subject, detail->>'out_of_force' as count from journal"
                " where act = 'status-lists:list:sign' and city_code = '510000' order by sequence"
            )
            assert await journal.broken(connection) == []
        return [(row["subject"], int(row["count"])) for row in rows]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


async def _sign(world: World, connection: Connection) -> bool:
    key = wiring.status_key(world.settings, _now())
    return await publication.sign_next(
        connection, key, host=HOST, lifetime=DAY, worker="worker@tests"
    )


@pytest.fixture
async def issued(world: World) -> Issued:
    return await _issue(world)


async def _issue(world: World) -> Issued:
    await world.approved(count=1)
    await world.issue()
    async with world.connection() as connection:
        row = await connection.fetchrow(
            "select number, version, public_id, name, project_name as project, exam_on,"
            " status_index, sealed_at as issued_at, statement_host as issuer from certificate"
        )
    assert row is not None
    statement = token.Statement(**dict(row), record_digest=bytes(16))
    key = keys.load_qr_key(world.settings.keys_folder, now=_now())
    signed = token.sign(statement, key.private_key, key.kid)
    return Issued(
        world,
        statement.status_index,
        "".join(token.to_text(statement.issuer, statement.public_id, signed)),
    )


# The lists.


async def test_a_list_is_signed_once_for_the_places_handed_out(issued: Issued) -> None:
    assert await issued.sign() == 1
    assert await issued.standing() is Standing.VALID
    assert await issued.sign() == 0
    assert await issued.journalled() == [("status/0", 0)]


async def test_a_change_that_was_made_while_no_worker_ran_is_signed_by_the_next(
    issued: Issued,
) -> None:
    await issued.sign()
    before = Standing.VALID
    for standing in ("revoked", "suspended", "replaced", "cancelled", "valid"):
        await issued.world.stand(standing)
        assert await issued.standing() is before
        assert await issued.sign() == 1
        before = Standing[standing.upper()]
        assert await issued.standing() is before
    counts = (0, 1, 1, 1, 1, 0)
    assert await issued.journalled() == [("status/0", count) for count in counts]


async def test_a_number_made_void_after_its_place_was_promised_is_cancelled(world: World) -> None:
    await world.approved(count=1)
    async with world.connection() as connection:
        await connection.execute("update certificate set status_index = 7")
        assert await _sign(world, connection)
        await connection.execute(
            "update certificate set state = 'void', void_asked_by = 'operator-510100',"
            " voided_by = 'reviewer-510100'"
        )
        assert await _sign(world, connection)
    assert await Issued(world, 7, "").standing() is Standing.CANCELLED


async def test_what_is_written_about_a_certificate_otherwise_wants_no_list(issued: Issued) -> None:
    await issued.sign()
    async with issued.world.connection() as connection:
        await connection.execute("update certificate set claim_count = claim_count + 1")
    assert await issued.sign() == 0


async def test_a_list_is_signed_again_before_half_of_its_life_and_not_journalled(
    issued: Issued,
) -> None:
    await issued.sign()
    async with issued.world.connection() as connection:
        for hours, due in ((9, 0), (11, 1), (0, 0)):
            await connection.execute(
                "update status_list set issued_at = now() - make_interval(hours => $1),"
                " expires_at = now() + interval '1 hour'",
                hours,
            )
            assert await issued.sign() == due
    assert await issued.standing(_now() + 23 * HOUR) is Standing.VALID
    assert await issued.standing(_now() + 25 * HOUR) is None
    assert await issued.journalled() == [("status/0", 0)]


async def test_a_list_of_a_clock_that_ran_ahead_is_signed_again_once_it_runs_right(
    issued: Issued,
) -> None:
    await issued.sign()
    async with issued.world.connection() as connection:
        await connection.execute(
            "update status_list set issued_at = now() + interval '1 year',"
            " expires_at = now() + interval '2 years'"
        )
    assert await issued.sign() == 1
    assert await issued.standing() is Standing.VALID


async def test_a_key_that_has_expired_meanwhile_signs_no_list(issued: Issued) -> None:
    key = wiring.status_key(issued.world.settings, _now())
    expired = msgspec.structs.replace(key, valid_until_at=_now() - HOUR)
    async with issued.world.connection() as connection:
        with pytest.raises(KeyExpired):
            await publication.sign_next(connection, expired, host=HOST, lifetime=DAY, worker="w")
        assert await _sign(issued.world, connection)


async def test_a_key_under_a_new_certificate_is_neither_published_nor_worked_with(
    issued: Issued, tmp_path: Path
) -> None:
    """Its statements would be outside of the window that everybody holds."""
    settings = issued.world.settings
    key = keys.load_qr_key(settings.keys_folder, now=_now())
    longer = msgspec.structs.replace(key, valid_until_at=key.valid_until_at + DAY)
    async with issued.world.desk("province") as desk, desk.acting():
        assert await public_keys.publish(desk.connection, desk.actor, {}, [key]) == 0
        with pytest.raises(KeyRenewed, match=key.kid.hex()):
            await public_keys.publish(desk.connection, desk.actor, {}, [longer])
    shutil.copytree(settings.keys_folder, tmp_path / "keys")
    certificate = x509.load_pem_x509_certificate((tmp_path / "keys/qr/qr.crt").read_bytes())
    builder = x509.CertificateBuilder(
        certificate.issuer, certificate.subject, certificate.public_key(), 1,
        certificate.not_valid_before_utc, certificate.not_valid_after_utc + DAY,
        list(certificate.extensions),
    )  # fmt: skip
    renewed = builder.sign(key.private_key, hashes.SHA256())
    pem = renewed.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "keys/qr/qr.crt").write_bytes(pem)
    changed = msgspec.structs.replace(settings, keys=str(tmp_path / "keys"))
    with pytest.raises(KeyRenewed):
        await worker.work(changed, issued.world.address, until_empty=True, say=print)


async def test_a_list_that_another_worker_signs_is_left_to_it(issued: Issued) -> None:
    async with issued.world.connection() as other, issued.world.connection() as connection:
        async with other.transaction():
            await other.execute("select from status_list for update")
            assert not await _sign(issued.world, connection)
        assert await _sign(issued.world, connection)


async def test_a_change_during_the_signing_waits_and_is_wanted_again(issued: Issued) -> None:
    await issued.sign()
    async with issued.world.connection() as signer:
        async with signer.transaction():
            await signer.execute("select from status_list for update")
            change = asyncio.create_task(issued.world.stand("revoked"))
            await issued.world.until_somebody_waits()
            await signer.execute("update status_list set signed = wanted")
        await change
    assert await issued.sign() == 1
    assert await issued.standing() is Standing.REVOKED


async def test_changes_and_signers_at_once_leave_a_list_that_is_right(world: World) -> None:
    await world.approved(count=3)
    await world.issue()
    over = asyncio.Event()

    async def change(index: int) -> None:
        async with world.connection() as connection:
            for standing in ("suspended", "valid") * 6 + ("suspended",) * (index % 2):
                await connection.execute(
                    "update certificate set standing = $1 where status_index = $2", standing, index
                )

    async def sign() -> None:
        async with world.connection() as connection:
            while await _sign(world, connection) or not over.is_set():
                pass

    async with world.connection() as connection:
        rows = await connection.fetch("select status_index as index from certificate")
    signers = [asyncio.create_task(sign()) for _ in range(2)]
    await asyncio.gather(*(change(row["index"]) for row in rows))
    over.set()
    await asyncio.gather(*signers)
    for row in rows:
        expected = Standing.SUSPENDED if row["index"] % 2 else Standing.VALID
        assert await Issued(world, row["index"], "").standing() is expected


async def test_a_change_that_is_taken_back_leaves_nothing(issued: Issued) -> None:
    await issued.sign()
    with contextlib.suppress(ZeroDivisionError):
        async with issued.world.connection() as connection, connection.transaction():
            await connection.execute("update certificate set standing = 'revoked'")
            raise ZeroDivisionError
    assert await issued.sign() == 0


async def test_nothing_is_signed_under_a_key_that_is_not_published(
    issued: Issued, tmp_path: Path
) -> None:
    keys.create_development(tmp_path / "keys", cities=CITIES, made_at=_now())
    other = keys.load_status_key(tmp_path / "keys", now=_now())
    async with issued.world.connection() as connection:
        with pytest.raises(KeyUnpublished):
            await publication.sign_next(connection, other, host=HOST, lifetime=DAY, worker="w")


async def test_a_statement_key_signs_no_list_and_a_status_key_no_statement(issued: Issued) -> None:
    folder = issued.world.settings.keys_folder
    qr_key = keys.load_qr_key(folder, now=_now())
    status_key = keys.load_status_key(folder, now=_now())
    async with issued.world.connection() as connection:
        known = await public_keys.cose_keys(connection)
        assert await public_keys.statement_keys(connection) == known[Purpose.STATEMENT]
    assert {purpose: [*found] for purpose, found in known.items()} == {
        Purpose.STATEMENT: [qr_key.kid],
        Purpose.STATUS: [status_key.kid],
    }
    assert all(one.specimen for found in known.values() for one in found.values())
    _, cose = token.from_text(issued.text)
    statement = token.verify(cose, known[Purpose.STATEMENT])
    forged = token.sign(statement, status_key.private_key, status_key.kid)
    with pytest.raises(StatementRefused, match="unknown_key"):
        token.verify(forged, known[Purpose.STATEMENT])
    forged = status.sign(
        status.pack({}), qr_key.private_key, qr_key.kid,
        host=HOST, number=0, issued_at=_now(), lifetime=DAY,
    )  # fmt: skip
    with pytest.raises(StatusListRefused, match="unknown_key"):
        status.verify(forged, known[Purpose.STATUS], _now())


@pytest.mark.parametrize("specimen", [True, False])
async def test_keys_published_before_there_were_purposes_keep_theirs(
    empty_database: str, tmp_path: Path, specimen: bool
) -> None:
    for path in migrate.FOLDER.glob("000[123]*.sql"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    connection = await db.connect(empty_database)
    await migrate.migrate(connection, tmp_path)
    await connection.execute(
        "insert into seal_certificate values ($1, '510000', '', '{}', $2, now(), now())",
        bytes(32),
        specimen,
    )
    await connection.execute("insert into statement_key values ('\\x00000001', '', now(), now())")
    await migrate.migrate(connection)
    row = await connection.fetchrow("select purpose, specimen from statement_key")
    assert row is not None
    assert tuple(row) == ("statement", specimen)
    await connection.close()


# The worker.


async def test_a_serving_worker_signs_a_change_at_once(issued: Issued) -> None:
    settings = issued.world.settings
    serving = asyncio.create_task(
        worker.work(settings, issued.world.address, until_empty=False, say=print)
    )
    try:
        await _until_published(issued, Standing.VALID)
        await issued.world.stand("revoked")
        begun = asyncio.get_running_loop().time()
        await _until_published(issued, Standing.REVOKED)
        assert asyncio.get_running_loop().time() - begun < 4  # an idle worker looks every 5 seconds
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _until_published(issued: Issued, standing: Standing) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(AssertionError):
                if await issued.standing() is standing:
                    return
            await asyncio.sleep(0.05)


async def test_a_worker_that_empties_the_queue_leaves_a_signed_list(world: World) -> None:
    await world.approved(count=2)
    await worker.work(world.settings, world.address, until_empty=True, say=print)
    async with world.connection() as connection:
        row = await connection.fetchrow(
            "select wanted = signed as done, issued_at from status_list"
        )
    assert row is not None
    assert row["done"]


async def test_no_worker_starts_without_the_key_of_the_lists(
    issued: Issued, tmp_path: Path
) -> None:
    keys.create_development(tmp_path / "keys", cities=CITIES, made_at=_now())
    (tmp_path / "keys/status/status.key").unlink()
    lacking = msgspec.structs.replace(issued.world.settings, keys=str(tmp_path / "keys"))
    with pytest.raises(KeyMissing, match=r"status/status\.key"):
        await worker.work(lacking, issued.world.address, until_empty=True, say=print)


# What is published, over HTTP and as files.

DOCUMENTS = {
    "/.well-known/jwks.json": "application/jwk-set+json",
    "/.well-known/cose-keys": "application/cose-key-set",
    "/status/0": "application/statuslist+cwt",
}


@pytest.fixture
async def client(issued: Issued) -> AsyncIterator[httpx.AsyncClient]:
    await issued.sign()
    settings = issued.world.settings
    async with wiring.site(settings, issued.world.address) as site:
        application: Any = app.application(site)
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as opened:
            yield opened


async def test_a_document_is_public_and_always_asked_for_again(client: httpx.AsyncClient) -> None:
    for path, media_type in DOCUMENTS.items():
        answer = await client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == media_type
        assert answer.headers["cache-control"] == "public, no-cache"
        assert answer.headers["access-control-allow-origin"] == "*"
        tag = answer.headers["etag"]
        assert tag.startswith('"')
        again = await client.get(path, headers={"if-none-match": f'"other", W/{tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = await client.get(path, headers={"if-none-match": '"other"'})
        assert (other.status_code, other.content) == (200, answer.content)
        head = await client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "content-length", "etag", "cache-control"):
            assert head.headers[name] == answer.headers[name]


async def test_a_signed_change_has_another_tag(client: httpx.AsyncClient, issued: Issued) -> None:
    tag = (await client.get("/status/0")).headers["etag"]
    await issued.world.stand("revoked")
    await issued.sign()
    answer = await client.get("/status/0", headers={"if-none-match": tag})
    assert (answer.status_code, answer.headers["etag"] != tag) == (200, True)


async def test_a_list_that_is_none_is_not_found(client: httpx.AsyncClient) -> None:
    for number in ("1", "00", "-1", "x", "9" * 9, "9" * 400, "٠", "0/0"):
        answer = await client.get(f"/status/{number}")
        assert answer.status_code == 404, number
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


# The command line.


@pytest.fixture
def shell(world: World, monkeypatch: pytest.MonkeyPatch) -> "Shell":
    for name in [name for name in os.environ if name.startswith("QIANFA_")]:
        monkeypatch.delenv(name)
    for name in ("var", "database_url", "keys"):
        monkeypatch.setenv(f"QIANFA_{name.upper()}", str(getattr(world.settings, name)))
    return Shell(asyncio.run(_issue(world)), monkeypatch)


def type_(*words: object) -> Result:
    return CliRunner().invoke(cli.qianfa, [str(word) for word in words])


class Shell(msgspec.Struct, frozen=True):
    """The world with one certificate, at a prompt."""

    issued: Issued
    patch: Any

    def disconnect(self) -> None:
        """Leave no database to be found, and no folder to make one in."""
        self.patch.setenv("QIANFA_DATABASE_URL", "postgresql://127.0.0.1:1/none")
        self.patch.setenv("QIANFA_VAR", "/proc/none")

    def published(self, folder: Path) -> tuple[Path, Path]:
        """Sign and publish into a folder, then leave the network; returns keys and list."""
        asyncio.run(self.issued.sign())
        result = type_("publish", folder)
        assert result.exit_code == 0, result.output
        return folder / ".well-known/jwks.json", folder / "status/0"


async def _documents(world: World) -> dict[str, bytes]:
    async with world.connection() as connection, db.acting(connection, Role.PUBLIC):
        return await publication.documents(connection)


def test_publish_writes_the_same_bytes_and_leaves_what_has_not_changed(
    shell: Shell, tmp_path: Path
) -> None:
    folder = tmp_path / "site"
    shell.published(folder)
    documents = asyncio.run(_documents(shell.issued.world))
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in files.items()} == documents
    assert [f"/{name}" for name in documents] == [*DOCUMENTS]  # keys before what they sign
    before = {name: path.stat() for name, path in files.items()}
    asyncio.run(shell.issued.world.stand("revoked"))
    asyncio.run(shell.issued.sign())
    assert "written: 1" in type_("publish", folder).output
    after = {name: path.stat() for name, path in files.items()}
    assert [name for name in files if before[name] != after[name]] == ["status/0"]


def test_a_list_that_lacks_a_change_is_not_published_before_it_is_signed(
    shell: Shell, tmp_path: Path
) -> None:
    assert isinstance(type_("publish", tmp_path).exception, StatusListsBehind)
    _, listed = shell.published(tmp_path)
    before = listed.read_bytes()
    asyncio.run(shell.issued.world.stand("revoked"))
    refused = type_("publish", tmp_path).exception
    assert isinstance(refused, StatusListsBehind)
    assert refused.retry
    assert listed.read_bytes() == before
    shell.published(tmp_path)
    assert listed.read_bytes() != before


def test_of_several_who_publish_at_once_nobody_shows_half_a_file(tmp_path: Path) -> None:
    path, contents = tmp_path / "status/0", [letter * 300_000 for letter in (b"a", b"b", b"c")]
    acting.write(path, contents[0])
    with ThreadPoolExecutor(3) as several:
        writing = [several.submit(acting.write, path, one) for one in contents * 30]
        while not all(one.done() for one in writing):
            assert path.read_bytes() in contents
    assert [one.result() for one in writing] == [None] * 90
    assert [*path.parent.iterdir()] == [path]


def test_a_certificate_is_verified_without_database_and_network(
    shell: Shell, tmp_path: Path
) -> None:
    keys_path, list_path = shell.published(tmp_path / "site")
    shell.disconnect()
    text = shell.issued.text
    given = ("verify", "--offline", "--keys", keys_path, "--status", list_path)
    for words in (text, text.partition("#")[2]):
        result = type_(*given, words)
        assert result.exit_code == 0, result.output
        assert "2651010001600001" in result.output
        assert "SPECIMEN" in result.output
    cose_keys = keys_path.with_name("cose-keys")
    assert type_(*given, "--keys", cose_keys, text).exit_code == 0
    tampered = type_(*given, text[:-9] + "123456789")
    assert tampered.exit_code == 1
    other = text.replace("localhost", "evil.example")
    assert type_(*given, other).exit_code == 1


def test_what_the_list_says_is_what_offline_says(shell: Shell, tmp_path: Path) -> None:
    for standing in ("revoked", "suspended", "replaced", "cancelled"):
        asyncio.run(shell.issued.world.stand(standing))
        given = zip(("--keys", "--status"), shell.published(tmp_path / "site"), strict=True)
        result = type_("verify", "--offline", *chain(*given), shell.issued.text)
        assert result.exit_code == 1
        assert decision.WORDS["reason"][f"standing-{standing}"]["zh"] in result.output


def test_without_a_fresh_list_the_statement_is_told_and_its_standing_is_not(
    shell: Shell, tmp_path: Path
) -> None:
    keys_path, list_path = shell.published(tmp_path / "site")
    damaged = tmp_path / "damaged"
    damaged.write_bytes(list_path.read_bytes()[:-1] + b"\0")
    shell.disconnect()
    for words in ((), ("--status", damaged), ("--status", keys_path)):
        result = type_("verify", "--offline", "--keys", keys_path, *words, shell.issued.text)
        assert result.exit_code == 2, result.output
        assert "2651010001600001" in result.output
        assert ("refused" in result.output) == bool(words)
        assert decision.WORDS["reason"]["standing-unknown"]["zh"] in result.output


def test_the_code_in_a_pdf_or_a_picture_is_verified_offline(shell: Shell, tmp_path: Path) -> None:
    keys_path, list_path = shell.published(tmp_path / "site")
    pdf = next(path for path in shell.issued.world.settings.var.rglob("*") if _is_pdf(path))
    shell.disconnect()
    given = ("verify", "--offline", "--keys", keys_path, "--status", list_path)
    picture = tmp_path / "photo.png"
    with pypdfium2.PdfDocument(pdf) as document:
        document[0].render(scale=3).to_pil().convert("L").save(picture)
    for path in (pdf, picture):
        result = type_(*given, path)
        assert result.exit_code == 0, result.output
        assert "2651010001600001" in result.output
        assert "only its QR code is verified" in result.output
    empty = tmp_path / "empty.pdf"
    empty.write_bytes(b"%PDF-1.7\n")
    refused = type_(*given, empty).exception
    assert isinstance(refused, Refusal)
    assert refused.code == "FileUnusable"


def _is_pdf(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[:5] == b"%PDF-"


def test_options_that_do_not_go_together_are_a_mistake_of_usage(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"keys": []}')
    for words in (
        ("--offline", "1"),
        ("--keys", path, "1"),
        ("--status", path, "1"),
        ("--offline", "--keys", path, "--name", "王", "1"),
        ("--offline", "--keys", "absent", "1"),
    ):
        result = type_("verify", *words)
        assert (result.exit_code, "Usage" in result.output) == (2, True)


async def test_the_offline_door_says_when_a_list_has_grown_old(issued: Issued) -> None:
    await issued.sign()
    documents = await _documents(issued.world)
    known = key_set.read(documents[".well-known/jwks.json"])
    said = []
    for now in (_now(), _now() + 25 * HOUR):
        lists = [status.verify(documents["status/0"], known[Purpose.STATUS], now)]
        verdict = verification.offline(issued.text, known, lists, now)
        said.append((verdict.status, verdict.reason, verdict.specimen, verdict.number))
    number = "2651010001600001"
    assert said == [
        (Status.VALID, "listed", True, number),
        (Status.INDETERMINATE, "standing-unknown", True, number),
    ]
    address = issued.text.partition("#")[0]
    alone = verification.offline(address, known, [], _now())
    assert (alone.status, alone.reason) == (Status.INDETERMINATE, "register-silent")
    nobody = verification.offline(issued.text, key_set.read(b'{"keys":[]}'), [], _now())
    assert (nobody.status, nobody.number) == (Status.UNTRUSTED, None)


@pytest.mark.long
async def test_a_list_of_a_million_certificates_is_ten_kilobytes(issued: Issued) -> None:
    async with issued.world.connection() as connection:
        await connection.execute("set session_replication_role = replica")
        columns = await connection.fetchval(
            "select string_agg(column_name, ', ') from information_schema.columns"
            " where table_name = 'certificate' and column_name <> all ($1)",
            [*_CHANGING],
        )
        await connection.execute(
            f"insert into certificate ({columns}, {', '.join(_CHANGING)})"  # noqa: S608 - ours
            f" select {columns}, {', '.join(_CHANGING.values())}"
            f" from certificate, generate_series(0, {status.PLACE_COUNT - 1}) place"
            f" where place <> {issued.index}"
        )
        await connection.execute("set session_replication_role = origin")
        await connection.execute("analyze certificate")
        assert await _sign(issued.world, connection)
        signed = await publication.status_list(connection, 0)
    assert signed is not None
    assert len(signed) < 12_000
    ((_, count),) = await issued.journalled()
    assert 4_000 < count < 6_500


_CHANGING = {
    "number": "lpad(place::text, 16, '0')",
    "public_id": "lpad(place::text, 16, '0')",
    "identifier": "place::text",
    "row_number": "place + 10",
    "person_key": "sha256(place::text::bytea)",
    "status_index": "place",
    "pdf_sha256": "sha256(place::text::bytea)",
    "range_sha256": "sha256(place::text::bytea)",
    "standing": "case when abs(hashint4(place) % 200) = 7 then 'revoked' else 'valid' end",
}
