"""Sealed forms and attached scans: who may, what is refused, and what the public is told."""

import asyncio
import datetime
import hashlib
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import pypdf
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from service import terminal, wiring
from service.checking.decision import Door, Presented, Status, decide
from service.ground import db
from service.ground.db import Role
from service.ground.errors import (
    ActNotGranted,
    AttachmentKnown,
    AttachmentSubjectUnknown,
    AttachmentUnfit,
    AttachmentUnknown,
    HistoryChanged,
    KeyUnpublished,
    NotYourCity,
    ObjectMissing,
    StoreUnavailable,
)
from service.ground.objects import Objects
from service.paper import documents
from service.paper.documents import Attachment, Kind, Subject, SubjectKind
from service.registry import journal
from service.wiring import Desk
from signing import examine, keys, seal
from signing.errors import FaceUnsealable
from tests import filled, pdfs, programs
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.test_matrix import Matrix, matrix  # noqa: F401 - a fixture
from tests.world import CHENGDU, MIANYANG, World

KEEPER = f"keeper-{CHENGDU}"
PDF, JPEG, PNG = b"%PDF-1.4\nscan", b"\xff\xd8\xff\xe0scan", b"\x89PNG\r\n\x1a\nscan"
MOVEMENTS = {1: 5, 2: 40, 40: 1_015}


def form(page_count: int) -> bytes:
    found = filled.movements(MOVEMENTS[page_count])
    return filled.FORMS.ledger_pdf(filled.ledger(), found, printed_at=filled.PRINTED_AT)


# Sealing.


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> keys.Signer:
    return pdfs.signer(tmp_path_factory.mktemp("documents") / "keys")


@pytest.mark.parametrize("page_count", MOVEMENTS)
def test_a_form_of_any_length_is_sealed_as_a_whole(
    signer: keys.Signer, tmp_path: Path, page_count: int
) -> None:
    programs.require("pdfsig", "poppler-utils")
    pdf = form(page_count)
    sealed = seal.Sealer(signer).seal(pdf, pdfs.SEALED_AT)
    assert sealed.startswith(pdf)
    assert seal.Sealer(signer).seal(pdf, pdfs.SEALED_AT) == sealed
    assert examine.fully(sealed, signer.pin) == pdfs.SEALED_AT  # by pyHanko
    reader = pypdf.PdfReader(io.BytesIO(sealed), strict=True)
    annotated = [bool(page.annotations) for page in reader.pages]
    assert annotated == [True] + [False] * (page_count - 1)
    path = tmp_path / "sealed.pdf"
    for content, valid in ((sealed, True), (sealed.replace(b"%PDF-1.7", b"%PDF-1.6"), False)):
        path.write_bytes(content)
        run = subprocess.run(
            ["pdfsig", "-nocert", path], capture_output=True, text=True, check=False, timeout=30
        )
        assert ("Signature is Valid" in run.stdout) is valid
        assert "Total document signed" in run.stdout


def _bare(page_tree: bytes, *pages: bytes) -> bytes:
    """Write a PDF of our shape by hand: page tree, pages, information, catalog."""
    objects = [page_tree, *pages, b"<</Title(x)>>", b"<</Type/Catalog/Pages 1 0 R>>"]
    pdf, entries = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", b"0000000000 65535 f\r\n"
    for number, content in enumerate(objects, start=1):
        entries += b"%010d 00000 n\r\n" % len(pdf)
        pdf += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    size = len(objects) + 1
    return pdf + b"xref\n0 %d\n%strailer\n<</Size %d/Root %d 0 R/Info %d 0 R/ID[%s]>>\n%s" % (
        size, entries, size, size - 1, size - 2, b"(YQ==)(YQ==)",
        b"startxref\n%d\n%%%%EOF" % len(pdf),
    )  # fmt: skip


PAGE = b"<</Type/Page/Parent 1 0 R/MediaBox[0 0 842 595]/Tabs/S>>"
TREE = b"<</Type/Pages/Count %d/Kids[%s]>>"


def test_a_face_of_one_page_is_sealed_with_the_very_bytes_of_earlier_releases() -> None:
    made_at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    until = made_at + datetime.timedelta(days=900)
    private = [ec.derive_private_key(value, ec.SECP256R1()) for value in (1, 2, 3)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, str(at))]) for at in range(3)]
    chain = [
        x509.CertificateBuilder(
            names[max(at - 1, 0)], names[at], private[at].public_key(), at + 1, made_at, until
        )
        .sign(private[max(at - 1, 0)], hashes.SHA256(), ecdsa_deterministic=True)
        .public_bytes(serialization.Encoding.DER)
        for at in range(3)
    ]
    signer = keys.Signer(private[2], keys.Pin(*reversed(chain)), True, made_at, until)
    sealed = seal.Sealer(signer).seal(_bare(TREE % (1, b"2 0 R"), PAGE), pdfs.SEALED_AT)
    assert hashlib.sha256(sealed).hexdigest() == (
        "7d198cfb0d8be6a4878ed833bceb5ab7844e152a0529c1035bd8f79a72514c8f"
    )


@pytest.mark.parametrize(
    ("tree", "pages"),
    [
        (TREE % (3, b"2 0 R 3 0 R"), [PAGE, PAGE]),
        (TREE % (1, b"2 0 R 3 0 R"), [PAGE, PAGE]),
        (TREE % (2, b"2 0 R 2 0 R"), [PAGE, PAGE]),
        (TREE % (2, b"2 0 R 9 0 R"), [PAGE, PAGE]),
        (TREE % (2, b"2 0 R 1 0 R"), [PAGE, PAGE]),
        (TREE % (0, b""), [PAGE]),
        (TREE % (2, b"2 0 R 3 0 R"), [PAGE, PAGE.replace(b"/Tabs/S", b"/Tabs/S/Annots[]")]),
        (TREE % (2, b"2 0 R 3 0 R"), [PAGE, PAGE.replace(b"/Tabs/S", b"")]),
        (TREE % (2, b"2 0 R 3 0 R"), [PAGE, PAGE.replace(b"/Type/Page", b"/Type/Pages")]),
    ],
)
def test_pages_that_are_not_as_ours_are_not_sealed(
    signer: keys.Signer, tree: bytes, pages: list[bytes]
) -> None:
    assert seal.Sealer(signer).seal(_bare(TREE % (2, b"2 0 R 3 0 R"), PAGE, PAGE), pdfs.SEALED_AT)
    with pytest.raises(FaceUnsealable):
        seal.Sealer(signer).seal(_bare(tree, *pages), pdfs.SEALED_AT)


async def seal_at(
    world: World, desk: Desk, *, page_count: int = 1, sealed_at: datetime.datetime | None = None
) -> bytes:
    """Seal a ledger with the key of Chengdu inside the act that a desk has begun."""
    now = sealed_at or datetime.datetime.now(datetime.UTC)
    return await documents.seal(
        desk.connection,
        desk.actor,
        wiring.sealing_keys(world.settings, now)[0][CHENGDU],
        form(page_count),
        kind=Kind.LEDGER,
        subject="台账 2026-inner",
        sealed_at=now,
    )


async def _sealed(world: World, by: str = KEEPER, page_count: int = 1) -> bytes:
    async with world.desk(by) as desk, desk.acting():
        return await seal_at(world, desk, page_count=page_count)


async def test_a_sealed_form_is_registered_and_the_journal_tells_it(world: World) -> None:
    sealed = await _sealed(world, page_count=2)
    async with world.connection() as owner:
        (row,) = await owner.fetch("select * from sealed_document")
        assert row["sha256"] == hashlib.sha256(sealed).digest()
        assert (row["page_count"], row["kind"], row["asked_by"]) == (2, "ledger", KEEPER)
        assert (row["city_code"], row["subject"]) == (CHENGDU, "台账 2026-inner")
        told = await owner.fetchval(
            "select subject from journal where act = 'documents:document:seal'"
        )
        assert told == "台账 2026-inner"
        assert not await journal.broken(owner)


async def test_registering_again_changes_nothing(world: World) -> None:
    now = datetime.datetime.now(datetime.UTC)
    async with world.desk(KEEPER) as desk:
        for _ in range(2):
            async with desk.acting():
                await seal_at(world, desk, sealed_at=now)
        assert await desk.connection.fetchval("select count(*) from sealed_document") == 1


async def test_a_seal_that_nobody_published_is_not_registered(
    world: World, signer: keys.Signer
) -> None:
    with pytest.raises(KeyUnpublished):
        async with world.desk(KEEPER) as desk, desk.acting():
            await documents.seal(
                desk.connection, desk.actor, signer, form(1), kind=Kind.LEDGER, subject="台账",
                sealed_at=pdfs.SEALED_AT,
            )  # fmt: skip


async def test_the_public_learns_that_it_is_a_document_and_no_certificate(
    matrix: Matrix,  # noqa: F811 - a fixture
) -> None:
    sealed = await _sealed(matrix.world)
    said = await matrix.ask(Door.FILE, sealed)
    assert said == (Status.UNKNOWN, "document-not-certificate")
    answer = await matrix.client.post(
        "/api/v1/verdicts/file", content=sealed, headers={"content-type": "application/pdf"}
    )
    told = answer.json()
    assert told["issuer"] == "成都市职业技能鉴定指导中心"
    assert not {told[one] for one in ("number", "version", "name", "project")} - {None}
    assert "台账" not in answer.text
    assert told["specimen"]
    page = await matrix.client.post("/verify/file", files={"file": ("x.pdf", sealed)})
    assert "成都市职业技能鉴定指导中心" in page.text
    for words in ("这不是证书", "不是证书 · 业务文件", "样本，无任何效力"):
        assert words in page.text
    assert "查无此证" not in page.text


def test_the_terminal_leads_with_what_a_good_document_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    for specimen in (True, False):
        shown = Presented(door=Door.FILE, document_of="成都市", specimen=specimen)
        terminal.verdict(decide(shown, now))
        first, *_ = capsys.readouterr().out.splitlines()
        assert ("不是证书 · 业务文件" in first, "SPECIMEN" in first) == (True, specimen)
        assert ("UNKNOWN" in first, "查无此证" in first) == (True, False)


async def test_a_document_that_was_changed_or_never_registered_is_not_ours(
    matrix: Matrix,  # noqa: F811 - a fixture
) -> None:
    sealed = await _sealed(matrix.world)
    for changed in (sealed + b"\n", sealed.replace(b"%PDF-1.7", b"%PDF-1.6")):
        said, reason = await matrix.ask(Door.FILE, changed)
        assert (said, reason) == (Status.ALTERED, "file-altered")
    now = datetime.datetime.now(datetime.UTC)
    signer = wiring.sealing_keys(matrix.world.settings, now)[0][CHENGDU]
    unregistered = seal.Sealer(signer).seal(form(2), now)
    assert await matrix.ask(Door.FILE, unregistered) == (Status.ALTERED, "file-not-registered")


async def test_the_public_reads_no_more_of_a_document_than_it_needs(world: World) -> None:
    await _sealed(world)
    async with world.connection() as connection, connection.transaction():
        await connection.execute("set local role qianfa_public")
        assert await connection.fetch("select sha256, city_code, sealed_at from sealed_document")
        for question in (
            "select subject from sealed_document", "select asked_by from sealed_document",
            "select * from attachment", "delete from sealed_document",
        ):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute(question)


# Attachments.


async def attach_at(
    world: World,
    desk: Desk,
    content: bytes = PDF,
    *,
    subject: Subject | None = None,
    file_name: str = "签字扫描件.pdf",
) -> bytes:
    """Attach a scan inside the act that a desk has begun, by default to a new print run."""
    return await documents.attach(
        desk.connection,
        desk.actor,
        Objects.open(world.settings.store_address),
        subject or await planned_at(desk),
        file_name=file_name,
        content=content,
    )


async def planned_at(desk: Desk, city_code: str = CHENGDU) -> Subject:
    """Plan a print run inside the act that a desk has begun."""
    run_id = await desk.connection.fetchval(
        "insert into print_run (city_code, planned_by) values ($1, $2) returning run_id",
        city_code,
        f"operator-{city_code}",
    )
    return Subject(SubjectKind.PRINT_RUN, str(run_id))


@pytest.fixture
def runs(world: World) -> list[Subject]:
    """Two print runs of Chengdu and one of Mianyang."""

    async def plan() -> list[Subject]:
        async with world.desk("province") as desk, desk.acting():
            return [await planned_at(desk, code) for code in (CHENGDU, CHENGDU, MIANYANG)]

    return asyncio.run(plan())


async def attach(
    world: World, run: Subject, content: bytes = PDF, *, by: str = KEEPER, **given: Any
) -> bytes:
    async with world.desk(by) as desk, desk.acting():
        return await attach_at(world, desk, content, subject=run, **given)


async def attached(world: World, run: Subject, by: str = KEEPER) -> list[Attachment]:
    async with world.desk(by) as desk, desk.acting():
        return await documents.attachments(desk.connection, run)


async def fetch(world: World, sha256: bytes, by: str = KEEPER) -> bytes:
    async with world.desk(by) as desk, desk.acting():
        objects = Objects.open(world.settings.store_address)
        return await documents.fetch(desk.connection, objects, sha256)


async def test_scans_are_kept_as_they_came_and_listed_in_order(
    world: World, runs: list[Subject]
) -> None:
    digests = [await attach(world, runs[0], content) for content in (PDF, JPEG, PNG)]
    found = await attached(world, runs[0])
    assert [one.sha256 for one in found] == digests
    assert [one.media_type for one in found] == ["application/pdf", "image/jpeg", "image/png"]
    assert [one.byte_count for one in found] == [len(PDF), len(JPEG), len(PNG)]
    assert {one.attached_by for one in found} == {KEEPER}
    assert [await fetch(world, one.sha256) for one in found] == [PDF, JPEG, PNG]
    async with world.connection() as owner:
        told = await owner.fetch(
            "select subject, detail::text from journal where act = 'documents:document:attach'"
        )
    assert {row["subject"] for row in told} == {"print-run:1"}
    assert "扫描件" not in "".join(row["detail"] for row in told)


async def test_what_is_scanned_is_never_parsed(world: World, runs: list[Subject]) -> None:
    bomb = PDF + b"\x00<</Type/Catalog" * 1000
    assert await fetch(world, await attach(world, runs[0], bomb)) == bomb


LARGEST = PDF + bytes(documents.ATTACHMENT_BYTES_MAX - len(PDF))
NO_SCANS = (
    b"", b"%PDF", b" %PDF-1.4", b"GIF89a", b"PK\x03\x04", b"<svg>", b"\xff\xd8", LARGEST + b"."
)  # fmt: skip


async def test_what_is_no_scan_is_refused(world: World, runs: list[Subject]) -> None:
    for content in NO_SCANS:
        with pytest.raises(AttachmentUnfit):
            await attach(world, runs[0], content)
    assert await attached(world, runs[0]) == []
    assert await fetch(world, await attach(world, runs[0], LARGEST)) == LARGEST


async def test_a_name_that_cannot_be_shown_is_refused(world: World, runs: list[Subject]) -> None:
    for file_name in ("", "a\nb.pdf", "a\x00.pdf", "\udce4.pdf", "长" * 201):
        with pytest.raises(AttachmentUnfit):
            await attach(world, runs[0], file_name=file_name)
    assert await attach(world, runs[0], file_name="长" * 200)


async def test_the_same_file_is_attached_to_a_subject_once(
    world: World, runs: list[Subject]
) -> None:
    sha256 = await attach(world, runs[0])
    with pytest.raises(AttachmentKnown, match=sha256.hex()[:16]):
        await attach(world, runs[0], file_name="另一个名字.pdf")
    assert await attach(world, runs[1]) == sha256
    assert [len(await attached(world, run)) for run in runs] == [1, 1, 0]


async def test_a_city_sees_only_its_own_and_what_the_province_attached_to_it(
    world: World, runs: list[Subject]
) -> None:
    ours, _, theirs = runs
    keeper = f"keeper-{MIANYANG}"
    sha256 = await attach(world, ours)
    assert await attached(world, ours, by=keeper) == []
    with pytest.raises(AttachmentUnknown):
        await fetch(world, sha256, by=keeper)
    with pytest.raises(AttachmentSubjectUnknown):
        await attach(world, ours, by=keeper)
    of_theirs = await attach(world, theirs, JPEG, by="province")
    assert await fetch(world, of_theirs, by=keeper) == JPEG
    assert await fetch(world, sha256, by="province") == PDF
    with pytest.raises(AttachmentUnknown):
        await fetch(world, of_theirs)


_INSERT = """
    insert into attachment (city_code, subject_kind, subject, sha256, file_name, media_type,
        byte_count, attached_by)
    values ('510100', '{}', '999', sha256(''), 'x', 'image/png', 1, 'keeper-510100')
"""


@pytest.mark.parametrize("kind", SubjectKind)
async def test_nothing_is_attached_to_what_is_not_there(world: World, kind: SubjectKind) -> None:
    for name in ("999", "0", "", "领1", "1 or true"):
        with pytest.raises(AttachmentSubjectUnknown):
            await attach(world, Subject(kind, name))
    with pytest.raises(AttachmentSubjectUnknown):
        await _execute(world, _INSERT.format(kind))


async def test_a_document_number_of_two_cities_is_each_citys_own(world: World) -> None:
    async with world.connection() as owner:
        await owner.execute("set session_replication_role = replica")
        for city_code in (CHENGDU, CHENGDU, MIANYANG):
            await owner.execute(
                "insert into hand_over (paper_id, city_code, handed_on, document_number,"
                " recorded_by, id_checked) values (1, $1, now(), '领1', $2, true)",
                city_code,
                f"operator-{city_code}",
            )
    signed = Subject(SubjectKind.HAND_OVER, "领1")
    with pytest.raises(AttachmentSubjectUnknown):  # whose is not said
        await attach(world, signed, by="province")
    for by in (KEEPER, f"keeper-{MIANYANG}"):
        assert await attach(world, signed, by=by)
        assert [one.attached_by for one in await attached(world, signed, by=by)] == [by]


async def test_an_auditor_reads_and_attaches_nothing(world: World, runs: list[Subject]) -> None:
    auditor = f"auditor-{CHENGDU}"
    sha256 = await attach(world, runs[0])
    assert await fetch(world, sha256, by=auditor) == PDF
    with pytest.raises(ActNotGranted):
        await attach(world, runs[0], JPEG, by=auditor)
    with pytest.raises(ActNotGranted):
        await _sealed(world, auditor)


async def test_nothing_is_recorded_before_the_bytes_are_durable(
    world: World, runs: list[Subject]
) -> None:
    _obstruct(Path(world.settings.store_address))
    with pytest.raises(StoreUnavailable):
        await attach(world, runs[0])
    assert await attached(world, runs[0]) == []


async def test_bytes_that_are_lost_are_told_as_such(world: World, runs: list[Subject]) -> None:
    sha256 = await attach(world, runs[0])
    shutil.rmtree(world.settings.store_address)
    with pytest.raises(ObjectMissing):
        await fetch(world, sha256)


def _obstruct(store: Path) -> None:
    store.mkdir(parents=True)
    (store / hashlib.sha256(PDF).hexdigest()[:2]).write_text("a file in the way", "utf-8")


@pytest.mark.parametrize("table", ["attachment", "sealed_document"])
async def test_what_is_recorded_stays(world: World, runs: list[Subject], table: str) -> None:
    await attach(world, runs[0])
    await _sealed(world)
    for change in ("update {} set city_code = '510700'", "delete from {}"):
        statement = change.format(table)
        with pytest.raises(HistoryChanged):
            await _execute(world, statement)
        for role in (Role.CONSOLE, Role.WORKER, Role.PUBLIC):
            with pytest.raises(NotYourCity):
                await _execute(world, statement, role)
    with pytest.raises(HistoryChanged):
        await _execute(world, f"truncate {table}")


async def _execute(world: World, statement: str, role: Role | None = None) -> None:
    async with world.connection() as connection:
        with db.refusing():
            if role:
                await connection.execute(f"set role {role}")
            await connection.execute(statement)


# The command line.


def test_scans_are_attached_listed_and_taken_out_at_the_command_line(
    type_: Type,  # noqa: F811 - a fixture
    runs: list[Subject],
    tmp_path: Path,
) -> None:
    scan = tmp_path / "签字.png"
    scan.write_bytes(PNG)
    done = type_(
        "blanks", "document", "attach", "print-run", runs[0].name, scan, by=f"operator-{CHENGDU}"
    )
    assert done.code == 0, done.err
    (digest,) = re.findall("[0-9a-f]{64}", done.out)
    listed = type_(
        "blanks", "document", "list", "print-run", runs[0].name, by=f"reviewer-{CHENGDU}", yes=False
    )
    assert digest in listed.out
    assert "签字.png" in listed.out
    target = tmp_path / "out" / "scan.png"
    by = f"operator-{CHENGDU}"
    assert type_("blanks", "document", "get", digest, "--to", target, by=by, yes=False).code == 0
    assert target.read_bytes() == PNG
    again = type_("blanks", "document", "attach", "print-run", runs[0].name, scan, by=by)
    assert (again.code, "AttachmentKnown" in again.err) == (65, True)
    for words in (
        ["attach", "batch", 7, scan], ["get", "xyz", "--to", target],
        ["get", digest[:-1], "--to", target],
    ):  # fmt: skip
        assert type_("blanks", "document", *words, by=by, yes=False).code == 64
    missing = type_("blanks", "document", "get", "0" * 64, "--to", target, by=by, yes=False)
    assert (missing.code, "AttachmentUnknown" in missing.err) == (65, True)
