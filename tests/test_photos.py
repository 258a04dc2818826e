"""Photos: whose a file is, what is kept and what is said, and the way of a picture to the face."""

import asyncio
import datetime
import hashlib
import io
import random
import re
import tempfile
import time
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import IO, Any, cast

import asyncpg
import msgspec
import pypdfium2
import pytest
from PIL import Image

from service import wiring
from service.checking import verification
from service.ground import db
from service.ground.db import Role as DatabaseRole
from service.ground.errors import (
    ActNotGranted,
    ArchiveRefused,
    BatchNotOpen,
    BatchUnknown,
    FaceChanged,
    FacesAbsent,
    FileUnusable,
    NotYourCity,
    PhotosOfNobody,
    PhotosRefused,
    Refusal,
    StoreUnavailable,
)
from service.ground.jail import Jail
from service.ground.objects import Objects
from service.issuing import batches, certificates
from service.issuing.batches import oddities
from service.issuing.batches.rows import Row
from service.issuing.changes import Correction, Kind
from service.issuing.photos import keeping, taking
from service.issuing.photos.keeping import Kept
from service.issuing.photos.taking import Taken
from service.paper import overlay
from service.paper.printing import faces
from tests import invented, stationery, test_changes
from tests.printshop import Shop
from tests.test_cli import Type, type_  # noqa: F401 - a fixture
from tests.test_issuance import bench, states
from tests.test_objects import path_of
from tests.test_portraits import png
from tests.world import CHENGDU, MIANYANG, NOW, World, batch_facts, rows

OPERATOR, REVIEWER = f"operator-{CHENGDU}", f"reviewer-{CHENGDU}"
PICTURES = [invented.jpeg(invented.portrait(serial, 260, 365)) for serial in range(6)]


async def take(world: World, archive: Path, batch_id: int, laid: IO[bytes] | None = None) -> Taken:
    async with (
        world.desk(OPERATOR) as desk,
        Jail(taking.DIRECTORY_JOB, taking.DRAW_JOB, concurrent=2) as children,
    ):
        async with desk.acting():
            candidates = await keeping.candidates(desk.connection, desk.actor, batch_id)
        return await taking.take(
            archive,
            children,
            candidates,
            wiring.lookup(world.settings),
            frame=wiring.photo_frame(world.settings),
            laid=laid or io.BytesIO(),
            at_once=2,
            done=lambda *_: None,
        )


async def upload(
    world: World, batch_id: int, photos: Mapping[str, bytes], *, keep_good: bool = False
) -> tuple[Taken, Kept]:
    """Give photos to a batch, as the command does."""
    with tempfile.NamedTemporaryFile(suffix=".zip") as archive:
        invented.write_photos(Path(archive.name), photos)
        taken = await take(world, Path(archive.name), batch_id)
    objects = Objects.open(world.settings.store_address)
    await keeping.store(objects, taken, keep_good=keep_good, done=lambda _: None)
    async with world.desk(OPERATOR) as desk, desk.acting():
        return taken, await keeping.keep(desk.connection, desk.actor, batch_id, taken)


def named(given: list[Row]) -> dict[str, bytes]:
    """A photo for each, by document number."""
    return {f"{row.id_number}.jpg": PICTURES[at] for at, row in enumerate(given)}


async def approve(world: World, batch_id: int) -> list[str]:
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    return list((await world.approve(CHENGDU, batch_id)).numbers)


async def fetch(world: World, statement: str, *given: object) -> list[Any]:
    async with world.connection() as connection:
        return await connection.fetch(statement, *given)


async def kept_photos(world: World) -> dict[bytes, bytes]:
    return {row["person_key"]: row["sha256"] for row in await fetch(world, "select * from photo")}


def stored(world: World) -> set[str]:
    return {path.stem for path in Path(world.settings.store_address).rglob("*.pdf")}


async def test_a_photo_goes_from_the_archive_to_the_face_and_is_there_again(world: World) -> None:
    given = rows(4, failed_every=4)
    batch_id = await world.import_rows(CHENGDU, given)
    first, second, _, failed = given
    taken, kept = await upload(
        world,
        batch_id,
        {
            f"考点一/{first.id_number.lower()}.JPG": PICTURES[0],
            f"考点二/ {''.join(chr(ord(c) + 0xFEE0) for c in second.admission_number)} .png": png(
                invented.portrait(1, 260, 365)
            ),
            f"{failed.admission_number.lower()}": PICTURES[3],
            "说明.txt": b"notes",
            "__MACOSX/._a.jpg": b"",
        },
    )
    assert (kept.count, kept.replaced_count, taken.errors, taken.surplus) == (
        3, 0, (), ("说明.txt",),
    )  # fmt: skip
    assert [(one.row_number, one.result) for one in kept.missing] == [(4, "合格")]
    numbers = await approve(world, batch_id)
    await world.issue()
    objects = Objects.open(world.settings.store_address)
    found = await fetch(world, "select * from certificate order by number")
    assert [row["has_photo"] for row in found] == [True, True, False]
    vault = wiring.vault(world.settings)
    for row, number in zip(found, numbers, strict=True):
        pdf = await objects.get(row["pdf_sha256"].hex())
        face = msgspec.convert(
            {field: row[field] for field in certificates.Certificate.__struct_fields__},
            certificates.Certificate,
            builtin_types=(bytes, datetime.date, type(row["score"])),
        )
        record = certificates.record(face, vault)
        assert (record.photo_sha256 is not None) == row["has_photo"]
        assert pictures_of(pdf) == ({row["photo_sha256"].hex()} if row["has_photo"] else set())
        async with world.connection() as connection, db.acting(connection, DatabaseRole.PUBLIC):
            verdict = await verification.by_id(connection, record.public_id, NOW)
        assert verdict.number == number
        assert ("photo" in verdict.compare) == row["has_photo"]
    (entry,) = await fetch(
        world, "select detail from journal where act = 'photos:batch:keep' and subject = $1",
        str(batch_id),
    )  # fmt: skip
    counts = {"photos": 3, "replaced": 0, "missing": 1, "surplus": 1, "errors": 0}
    assert entry["detail"] == counts | {"sha256": taken.archive_sha256.hex()}


def pictures_of(pdf: bytes, page: int = 0) -> set[str]:
    """The SHA-256 of every JPEG of a page, as its bytes stand in the file."""
    with pypdfium2.PdfDocument(pdf) as document:
        return {
            hashlib.sha256(bytes(one.get_data())).hexdigest()
            for one in document[page].get_objects(filter=[3], max_depth=9)
            if one.get_filters() == ["DCTDecode"]
        }


async def test_with_an_error_nothing_is_kept_unless_the_good_ones_are_wanted(world: World) -> None:
    given = rows(3)
    batch_id = await world.import_rows(CHENGDU, given)
    photos = named(given) | {
        f"{given[1].id_number}.jpg": b"no picture",
        "../outside.jpg": PICTURES[5],
        "more.zip": b"PK",
    }
    with pytest.raises(PhotosRefused) as refused:
        await upload(world, batch_id, photos)
    assert [(one.code, one.row) for one in refused.value.findings] == [
        ("PhotoNameUnsafe", None), ("PhotoNested", None), ("PhotoFormatUnknown", 3),
    ]  # fmt: skip
    assert await kept_photos(world) == {}
    assert stored(world) == set()
    assert not await fetch(world, "select from journal where act like 'photos:%'")
    taken, kept = await upload(world, batch_id, photos, keep_good=True)
    assert (kept.count, len(taken.errors)) == (2, 3)
    assert [one.row_number for one in kept.missing] == [3]
    assert {sha256.hex() for sha256 in (await kept_photos(world)).values()} == stored(world)


async def test_no_name_and_no_number_is_shown_whole(world: World) -> None:
    given = rows(3)
    batch_id = await world.import_rows(CHENGDU, given)
    stranger = rows(1, serial=77)[0].id_number
    taken, _ = await upload(
        world,
        batch_id,
        {
            f"{given[2].id_number}.jpg": PICTURES[2],
            f"{given[0].id_number}.jpg": b"no picture",
            f"a/{given[1].id_number}.jpg": PICTURES[0],
            f"b/{given[1].id_number}.jpg": PICTURES[1],
            f"{stranger}/{stranger}.jpg": PICTURES[0],
            f"../{stranger}.jpg": PICTURES[0],
            "E12345678.jpg": PICTURES[0],
        },
        keep_good=True,
    )
    said = msgspec.json.encode([taken.surplus, taken.errors]).decode()
    for number in (given[0].id_number, given[1].id_number, stranger, "12345678"):
        assert number not in said
        assert number[6:14] not in said
    assert [one.row for one in taken.errors] == [None, 2, 3, 3]


async def test_of_two_files_for_one_person_none_is_chosen(world: World) -> None:
    twice = rows(2)
    other = msgspec.structs.replace(
        twice[0], row_number=9, admission_number="ZK9", project="商业数据分析"
    )
    passport = msgspec.structs.replace(
        rows(1, serial=50)[0], row_number=10, admission_number=twice[1].id_number[:17]
    )
    batch_id = await world.import_rows(CHENGDU, [*twice, other, passport])
    taken, kept = await upload(
        world, batch_id, named([*twice]) | {"ZK9.jpg": PICTURES[0]}, keep_good=True
    )
    assert [one.code for one in taken.errors] == ["PhotoRepeated", "PhotoRepeated"]
    assert kept.count == 1
    _, kept = await upload(world, batch_id, {"ZK9.jpg": PICTURES[0]})
    assert [one.row_number for one in kept.missing] == [10]  # both rows of that person have it


async def test_a_name_that_means_two_persons_is_neither_ones(world: World) -> None:
    one, other = rows(2)
    other = msgspec.structs.replace(other, admission_number=one.id_number)
    batch_id = await world.import_rows(CHENGDU, [one, other])
    with pytest.raises(PhotosRefused) as refused:
        await upload(world, batch_id, {f"{one.id_number}.jpg": PICTURES[0]}, keep_good=True)
    (finding,) = refused.value.findings
    assert (finding.code, finding.rows) == ("PhotoAmbiguous", (2, 3))


async def test_an_archive_of_other_people_is_refused_and_nothing_is_stored(world: World) -> None:
    batch_id = await world.import_rows(CHENGDU, rows(1))
    others = await world.import_rows(CHENGDU, rows(1, serial=60))
    for photos in ({}, named(rows(1, serial=60)), {"1.jpg": PICTURES[0], "张三.jpg": PICTURES[1]}):
        with pytest.raises(PhotosOfNobody):
            await upload(world, batch_id, photos)
    assert stored(world) == set()
    assert (await upload(world, others, named(rows(1, serial=60))))[1].count == 1


async def test_of_a_name_only_what_a_picture_ends_with_is_left_away(world: World) -> None:
    given = [
        msgspec.structs.replace(row, admission_number=number)
        for row, number in zip(rows(4), ("2026", "ZK7", "ZK70", "ZK71"), strict=True)
    ]
    batch_id = await world.import_rows(CHENGDU, given)
    photos = {
        "2026.001": PICTURES[0],
        "2026.Li": PICTURES[0],
        "2026(1).jpg": PICTURES[0],
        "ZK7.jpg.JPG": PICTURES[1],
        "ＺＫ７０．ｊｐｇ": PICTURES[2],
        "\u202eZK71.jpg": PICTURES[3],
    }
    taken, kept = await upload(world, batch_id, photos)
    assert (len(taken.surplus), kept.count) == (3, 3)
    assert [one.row_number for one in kept.missing] == [2]


async def test_while_the_batch_is_open_a_later_photo_takes_the_place_of_the_earlier(
    world: World,
) -> None:
    given = rows(2)
    batch_id = await world.import_rows(CHENGDU, given)
    await upload(world, batch_id, named(given))
    before = await kept_photos(world)
    _, kept = await upload(world, batch_id, {f"{given[0].id_number}.png": PICTURES[5]})
    after = await kept_photos(world)
    assert (kept.count, kept.replaced_count, kept.missing) == (1, 1, ())
    assert [before[key] == after[key] for key in sorted(before)].count(False) == 1
    await world.record(OPERATOR, *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    with pytest.raises(BatchNotOpen):
        await upload(world, batch_id, named(given))
    async with world.desk(REVIEWER) as desk, desk.acting():
        await batches.return_(desk.connection, desk.actor, batch_id, "照片有误")
    await upload(world, batch_id, named(given))
    await world.submit(CHENGDU, batch_id)
    await world.approve(CHENGDU, batch_id)
    with pytest.raises(BatchNotOpen):
        await upload(world, batch_id, named(given))


async def test_the_same_picture_for_two_people_is_a_warning(world: World) -> None:
    given = rows(3)
    batch_id = await world.import_rows(CHENGDU, given)
    _, kept = await upload(
        world, batch_id, named(given) | {f"{given[2].id_number}.jpg": PICTURES[0]}
    )
    async with world.desk(OPERATOR) as desk, desk.acting():
        shared = await oddities.shared_photos(desk.connection, batch_id)
    assert [(one.code, one.rows) for one in shared] == [("odd-04-photo-shared", (2, 4))]
    assert kept.missing == ()


async def test_who_changes_places_with_another_has_lost_the_photo_and_who_does_not_keeps_it(
    world: World,
) -> None:
    given = rows(4)
    batch_id = await world.import_rows(CHENGDU, given)
    taken, _ = await upload(
        world,
        batch_id,
        {f"{one.admission_number}.jpg": PICTURES[at] for at, one in enumerate(given)},
    )
    first, second, third, _ = given
    swapped = [
        msgspec.structs.replace(first, admission_number=second.admission_number),
        msgspec.structs.replace(second, admission_number=first.admission_number),
        msgspec.structs.replace(third, remark="更正"),
    ]
    async with world.desk(OPERATOR) as desk, desk.acting():
        await world.join_at(desk, batch_id, swapped)
    async with world.desk(OPERATOR) as desk, desk.acting():
        held = await keeping.candidates(desk.connection, desk.actor, batch_id)
        assert [one.has_photo for one in held] == [False, False, True, True]
        again = await keeping.keep(desk.connection, desk.actor, batch_id, taken)
    assert (again.count, [one.row_number for one in again.missing]) == (2, [2, 3])


async def test_where_photos_find_no_room_the_store_is_blamed_and_not_the_archive(
    world: World, tmp_path: Path
) -> None:
    given = rows(2)
    batch_id = await world.import_rows(CHENGDU, given)
    invented.write_photos(tmp_path / "photos.zip", named(given))
    with FileIO("/dev/full", "w") as full, pytest.raises(StoreUnavailable):
        await take(world, tmp_path / "photos.zip", batch_id, laid=cast("IO[bytes]", full))


async def test_a_city_gives_photos_to_its_own_batches_and_only_its_operators_do(
    world: World,
) -> None:
    given = rows(1)
    batch_id = await world.import_rows(CHENGDU, given)
    await upload(world, batch_id, named(given))
    tried: dict[str, type[Refusal]] = dict.fromkeys(
        (REVIEWER, f"keeper-{CHENGDU}", f"auditor-{CHENGDU}", "province"), ActNotGranted
    )
    for by, refusal in (tried | {f"operator-{MIANYANG}": BatchUnknown}).items():
        async with world.desk(by) as desk:
            with pytest.raises(refusal):
                async with desk.acting():
                    await keeping.candidates(desk.connection, desk.actor, batch_id)
    async with world.desk(f"operator-{MIANYANG}") as desk, desk.acting():
        assert await desk.connection.fetch("select * from photo") == []
    own = await world.import_rows(MIANYANG, rows(1, serial=9))
    for wanted in (batch_id, own):
        async with world.desk(f"operator-{MIANYANG}") as desk:
            with pytest.raises(BatchNotOpen):
                async with desk.acting():
                    await desk.connection.execute(
                        "insert into photo (batch_id, city_code, person_key, sha256, uploaded_by)"
                        " values ($1, $2, sha256('a'), sha256('b'), $3)",
                        wanted, CHENGDU, desk.actor.account_name,
                    )  # fmt: skip


async def test_the_database_is_the_last_guard(world: World) -> None:
    given = rows(1)
    batch_id = await world.import_rows(CHENGDU, given)
    await upload(world, batch_id, named(given))
    await approve(world, batch_id)
    await world.issue()
    tried = {
        "update photo set sha256 = sha256('x')": BatchNotOpen,
        "insert into photo select batch_id, city_code, sha256('x'), sha256, uploaded_by from photo":
            BatchNotOpen,
        "delete from photo": NotYourCity,
        "update certificate set photo_sha256 = sha256('x')": NotYourCity,
    }  # fmt: skip
    for statement, refusal in tried.items():
        async with world.desk(OPERATOR) as desk:
            with pytest.raises(refusal):
                async with desk.acting():
                    await desk.connection.execute(statement)
    async with world.connection() as connection:
        for statement in (
            "update certificate set photo_sha256 = sha256('x')",
            "update certificate set photo_sha256 = null, has_photo = false",
        ):
            with pytest.raises(FaceChanged), db.refusing():
                await connection.execute(statement)
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await connection.execute("truncate photo cascade")


@pytest.mark.parametrize("role", [DatabaseRole.PUBLIC, DatabaseRole.PORTAL, DatabaseRole.WORKER])
async def test_no_role_but_the_desks_reads_a_photo_and_the_public_not_even_its_digest(
    world: World, role: DatabaseRole
) -> None:
    statements = ["select sha256 from photo"]
    if role is not DatabaseRole.WORKER:
        statements.append("select photo_sha256 from certificate")
    for statement in statements:
        async with world.connection() as connection:
            with pytest.raises(NotYourCity):
                async with db.acting(connection, role):
                    await connection.fetch(statement)


async def test_a_correction_keeps_the_photo_even_of_the_person(world: World) -> None:
    given = rows(2)
    batch_id = await world.import_rows(CHENGDU, given)
    await upload(world, batch_id, named(given))
    numbers = await approve(world, batch_id)
    await world.issue()
    other = rows(1, serial=40)[0]
    for number, correction in zip(
        numbers,
        (
            Correction(name="王小伟"),
            Correction(id_number=other.id_number, sex=other.sex, born_on=str(other.born_on)),
        ),
        strict=True,
    ):
        await test_changes.done(world, number, Kind.CORRECT, correction)
    await world.issue()
    found = await fetch(
        world, "select number, photo_sha256, pdf_sha256, state, has_photo from certificate"
        " order by number, version",
    )  # fmt: skip
    objects = Objects.open(world.settings.store_address)
    for before, after in zip(found[::2], found[1::2], strict=True):
        assert (after["state"], after["has_photo"]) == ("issued", True)
        assert before["photo_sha256"] == after["photo_sha256"]
        pdf = await objects.get(after["pdf_sha256"].hex())
        assert pictures_of(pdf) == {after["photo_sha256"].hex()}


async def test_making_again_after_a_crash_gives_the_same_bytes(world: World) -> None:
    given = rows(2)
    batch_id = await world.import_rows(CHENGDU, given)
    await upload(world, batch_id, {f"{given[0].id_number}.jpg": PICTURES[0]})
    await approve(world, batch_id)
    async with world.connection() as connection:
        worker = bench(world, connection)
        promised = await worker.claim()
        (sha256,) = {one.photo_sha256 for one in promised} - {None}
        photo = await worker.objects.get(sha256.hex() if sha256 else "")
        first = {
            one.number: worker.press.make(one, photo if one.photo_sha256 else None).pdf
            for one in promised
        }
        await worker.work(takeover_seconds=0)
        found = await connection.fetch("select number, pdf_sha256 from certificate")
    assert {row["number"]: row["pdf_sha256"] for row in found} == {
        number: hashlib.sha256(pdf).digest() for number, pdf in first.items()
    }


@pytest.mark.parametrize("harm", ["missing", "altered"])
async def test_a_photo_that_the_store_has_lost_parks_its_own_certificate_alone(
    world: World, harm: str
) -> None:
    given = rows(3)
    batch_id = await world.import_rows(CHENGDU, given)
    await upload(world, batch_id, named(given))
    numbers = await approve(world, batch_id)
    (row,) = await fetch(
        world, "select photo_sha256 from certificate where number = $1", numbers[1]
    )
    digest = row["photo_sha256"].hex()
    path = path_of(Path(world.settings.store_address), digest)
    content = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1])
    await world.issue()
    cause = {"missing": "ObjectMissing", "altered": "ObjectDamaged"}[harm]
    async with world.connection() as connection:
        assert await states(connection) == dict.fromkeys(numbers, "issued") | {
            numbers[1]: f"parked PhotoLost {cause}"
        }
        path.write_bytes(content)
        async with world.desk(OPERATOR) as desk, desk.acting():
            await certificates.retry(desk.connection, desk.actor, batch_id)
        await world.issue()
        assert set((await states(connection)).values()) == {"issued"}


async def test_a_photo_is_printed_on_paper_and_one_that_is_lost_is_named(world: World) -> None:
    given = rows(2)
    batch_id = await world.import_rows(CHENGDU, given)
    await upload(world, batch_id, {f"{given[1].id_number}.jpg": PICTURES[1]})
    numbers = await approve(world, batch_id)
    await world.issue()
    await stationery.record(world)
    await stationery.supply(world, stationery.ranges((1, 9)))
    shop = Shop(world, batch_id, tuple(numbers))
    run_id = await shop.drawn(*numbers)
    objects, vault = Objects.open(world.settings.store_address), wiring.vault(world.settings)
    async with shop.at(OPERATOR) as desk:
        round_ = await faces.of_run(desk.connection, desk.actor, run_id, preview=False)
    sheets = await faces.read(objects, vault, round_, lambda _: None)
    pdf = overlay.render(
        wiring.blank_edition(round_.edition), sheets, overlay.Profile(), preview=False,
        rendered_at=NOW,
    )  # fmt: skip
    (digest,) = stored(world) - {one.pdf_sha256.hex() for one in round_.faces}
    assert [pictures_of(pdf, page) for page in (0, 1)] == [set(), {digest}]
    path_of(Path(world.settings.store_address), digest).unlink()
    with pytest.raises(FacesAbsent) as absent:
        await faces.read(objects, vault, round_, lambda _: None)
    assert [one.value for one in absent.value.findings] == [numbers[1]]


async def test_a_store_that_does_not_answer_is_no_certificates_fault(world: World) -> None:
    given = rows(1)
    batch_id = await world.import_rows(CHENGDU, given)
    await upload(world, batch_id, named(given))
    await approve(world, batch_id)
    async with world.connection() as connection:
        worker = bench(world, connection)
        silent = Objects.open("s3://bucket?endpoint=http://127.0.0.1:1")
        with pytest.raises(StoreUnavailable):
            await msgspec.structs.replace(worker, objects=silent).work()
        assert await connection.fetchval("select sum(claim_count) from certificate") == 0
        await worker.work(takeover_seconds=0)
        assert set((await states(connection)).values()) == {"issued"}


async def test_a_photo_that_breaks_a_limit_costs_nobody_but_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = rows(4)
    batch_id = await world.import_rows(CHENGDU, given)
    small = msgspec.structs.replace(taking._DRAWING, memory_bytes=128 << 20)
    monkeypatch.setattr(taking, "_DRAWING", small)
    hungry = png(Image.new("P", (5000, 5000))) + incompressible(1000)
    photos = named(given) | {f"{given[2].id_number}.jpg": hungry}
    taken, kept = await upload(world, batch_id, photos, keep_good=True)
    assert [(one.code, one.row) for one in taken.errors] == [("PhotoBeyondLimits", 4)]
    assert (kept.count, [one.row_number for one in kept.missing]) == (3, [4])
    monkeypatch.setattr(taking, "_HOSTILE_MAX", 0)
    with pytest.raises(ArchiveRefused) as refused:
        await upload(world, batch_id, photos, keep_good=True)
    assert [one.code for one in refused.value.findings] == ["ArchiveHostile"]


@pytest.mark.long  # the real limits of time
async def test_a_photo_that_is_never_drawn_to_the_end_costs_seconds_and_not_the_batch(
    world: World,
) -> None:
    given = rows(3)
    batch_id = await world.import_rows(CHENGDU, given)
    begun_at = time.monotonic()
    endless = {f"{given[1].id_number}.jpg": endless_jpeg()}
    taken, kept = await upload(world, batch_id, named(given) | endless, keep_good=True)
    assert [(one.code, one.row) for one in taken.errors] == [("PhotoBeyondLimits", 3)]
    assert kept.count == 2
    assert time.monotonic() - begun_at < 10


def endless_jpeg() -> bytes:
    """A small file that refines 49 million grey pixels five thousand times."""
    jpeg = invented.jpeg(Image.new("L", (7000, 7000), 128), progressive=True)
    last_scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + last_scan * 5000 + jpeg[-2:] + incompressible(10_000)


def incompressible(byte_count: int) -> bytes:
    """Let a picture shrink no further than a photo does."""
    return random.Random(7).randbytes(byte_count)  # noqa: S311 - no key


async def test_what_is_no_archive_is_refused_as_a_whole(world: World, tmp_path: Path) -> None:
    batch_id = await world.import_rows(CHENGDU, rows(1))
    rar = tmp_path / "photos.zip"
    rar.write_bytes(b"Rar!\x1a\7\1\0" + bytes(500))
    with pytest.raises(ArchiveRefused) as refused:
        await take(world, rar, batch_id)
    assert [one.code for one in refused.value.findings] == ["ArchiveNotZip"]
    with pytest.raises(FileUnusable):
        await take(world, tmp_path / "absent.zip", batch_id)


async def test_a_jail_that_was_taken_over_cannot_hand_out_anything_but_a_photo(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = await world.import_rows(CHENGDU, rows(2))
    monkeypatch.setattr(taking, "DRAW_JOB", "tests.jailed:hand_out")
    with pytest.raises(PhotosRefused) as refused:
        await upload(world, batch_id, named(rows(2)), keep_good=True)
    assert [one.code for one in refused.value.findings] == ["PhotoDamaged"] * 2
    monkeypatch.setattr(taking, "DIRECTORY_JOB", "tests.jailed:reach_out")
    with pytest.raises(ArchiveRefused):
        await upload(world, batch_id, named(rows(1)))


def test_photos_are_taken_at_the_command_line(
    type_: Type,  # noqa: F811 - a fixture
    world: World,
    tmp_path: Path,
) -> None:
    given = rows(3, failed_every=3)
    batch_id = asyncio.run(world.import_rows(CHENGDU, given))
    archive = tmp_path / "照片.zip"
    invented.write_photos(
        archive, {f"{given[0].id_number}.jpg": PICTURES[0], f"{given[2].id_number}.jpg": b"?"}
    )
    refused = type_("batch", "photos", batch_id, archive, by=OPERATOR)
    assert (refused.code, "PhotosRefused" in refused.err) == (65, True)
    assert "PhotoFormatUnknown" in refused.err
    done = type_("batch", "photos", batch_id, archive, "--keep-good", by=OPERATOR)
    assert done.code == 0, done.err
    assert f"批次 batch {batch_id}：收下照片 kept 1" in done.out
    assert re.search(rf"3 +{given[1].admission_number} +合格", done.out)
    assert re.search(rf"4 +{given[2].admission_number} +不合格", done.out)
    for said in (refused.out, refused.err, done.out, done.err):
        assert given[2].id_number not in said
    assert type_("batch", "photos", 999, archive, by=OPERATOR).code == 65
    assert type_("batch", "photos", batch_id, tmp_path / "none.zip", by=OPERATOR).code == 64
    assert type_("batch", "photos", batch_id, archive, by=REVIEWER).code == 77
