"""Verification: every door against every standing, hostile texts and files, what is never told."""

import datetime
from contextlib import nullcontext
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.checking import decision, verification
from service.checking.decision import Door, Entry, Origin, Outcome, Presented, Status, Verdict
from service.ground import db
from service.ground.db import Role
from service.ground.errors import NotYourCity
from service.ground.jail import Jail
from service.ground.objects import Objects
from signing import examine, keys, seal, token
from tests import pdfs
from tests.world import CHENGDU, CITIES, NOW, World, batch_facts, rows

NAME = "扎西旺堆·索朗多吉"
MASKED = "扎＊＊＊·＊＊＊＊"
BAD = [Status.REVOKED, Status.SUSPENDED, Status.REPLACED, Status.CANCELLED]
ENTRY = Entry(
    number="2651010001600001",
    version=1,
    public_id="0123456789abcdef",
    name=NAME,
    project_name="民宿接待服务",
    exam_on=NOW.date(),
    archived_on=NOW.date(),
    issuing_authority="成都市人力资源和社会保障局",
    standing=Status.VALID,
    successor=None,
    origin=Origin.SEALED,
    status_index=7,
    statement_host="localhost:8080",
    sealed_at=NOW,
    specimen=False,
)
STATEMENT = token.Statement(
    issuer="localhost:8080",
    issued_at=NOW,
    number=ENTRY.number,
    name=ENTRY.name,
    project=ENTRY.project_name,
    exam_on=NOW.date(),
    version=1,
    public_id=ENTRY.public_id,
    status_index=7,
    record_digest=bytes(16),
)
INTACT = examine.Findings(
    file_digest="00", range_digest="00", signer="00", mentioned=("00",), signed=True, sealed_at=NOW
)
DOORS = {
    Door.ID: Presented(door=Door.ID, entry=ENTRY),
    Door.NUMBER: Presented(door=Door.NUMBER, entry=ENTRY, name_agrees=True),
    Door.TEXT: Presented(door=Door.TEXT, entry=ENTRY, statement=STATEMENT),
    Door.FILE: Presented(door=Door.FILE, entry=ENTRY, file="same"),
    Door.PICTURE: Presented(door=Door.PICTURE, entry=ENTRY, statement=STATEMENT),
    Door.SHARE: Presented(door=Door.SHARE, entry=ENTRY),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_photo_is_to_be_compared_only_where_one_can_be(door: Door) -> None:
    held = {"ours": ENTRY, "with": msgspec.structs.replace(ENTRY, has_photo=True),
            "adopted": msgspec.structs.replace(ENTRY, origin=Origin.ADOPTED)}  # fmt: skip
    told = {
        name: decision.decide(msgspec.structs.replace(DOORS[door], entry=entry), NOW).compare
        for name, entry in held.items()
    }
    assert {name for name, compare in told.items() if "photo" in compare} == {"with", "adopted"}
    assert told["ours"] == tuple(one for one in told["with"] if one != "photo")


class Issued(msgspec.Struct, frozen=True):
    """A world with one issued certificate, and everything that its doors are asked with."""

    world: World
    number: str
    public_id: str
    qr_text: str
    pdf: bytes
    name: str = NAME

    async def ask(self, what: str, name: str | None = None) -> Verdict:
        """Ask the door that takes such a text, as the public."""
        async with self.world.connection() as connection, db.acting(connection, Role.PUBLIC):
            if name is not None:
                return await verification.by_number(connection, what, name, NOW)
            if what == self.public_id:
                return await verification.by_id(connection, what, NOW)
            return await verification.by_text(connection, what, NOW)

    async def ask_files(self, *files: bytes) -> list[Verdict]:
        """Show files, as the public."""
        async with (
            self.world.connection() as connection,
            db.acting(connection, Role.PUBLIC),
            Jail(verification.EXAMINE_JOB) as jail,
        ):
            return [
                await verification.by_file(lambda: nullcontext(connection), jail, file, NOW)
                for file in files
            ]

    async def ask_everywhere(self) -> dict[str, Verdict]:
        """Ask each door about the certificate."""
        (by_file,) = await self.ask_files(self.pdf)
        return {
            "id": await self.ask(self.public_id),
            "number": await self.ask(self.number, self.name),
            "text": await self.ask(self.qr_text),
            "file": by_file,
        }


@pytest.fixture
async def issued(world: World) -> Issued:
    await _approve(world)
    await world.issue()
    async with world.connection() as connection:
        row = await connection.fetchrow("select number, public_id, pdf_sha256 from certificate")
    assert row is not None
    pdf = await Objects.open(world.settings.store_address).get(row["pdf_sha256"].hex())
    return Issued(world, row["number"], row["public_id"], examine.qr_text(pdf) or "", pdf)


async def _approve(world: World, name: str = NAME) -> None:
    people = [msgspec.structs.replace(row, name=name) for row in rows(1)]
    batch_id = await world.import_rows(CHENGDU, people)
    await world.record(f"operator-{CHENGDU}", *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    await world.approve(CHENGDU, batch_id)


def _outcomes(verdict: Verdict) -> dict[str, Outcome]:
    return {step.name: step.outcome for step in verdict.steps}


# The decision alone.


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("standing", [Status.VALID, *BAD])
def test_every_door_says_what_the_register_says(door: Door, standing: Status) -> None:
    entry = msgspec.structs.replace(ENTRY, standing=standing)
    verdict = decision.decide(msgspec.structs.replace(DOORS[door], entry=entry), NOW)
    assert verdict.status is standing
    assert (_outcomes(verdict)["standing"] is Outcome.PASS) == (standing is Status.VALID)
    assert verdict.name == (MASKED if door is Door.ID else NAME)


@pytest.mark.parametrize(
    ("presented", "status"),
    [
        (Presented(door=Door.ID), Status.UNKNOWN),
        (Presented(door=Door.TEXT, statement=token.Reason.UNKNOWN_KEY), Status.UNTRUSTED),
        (Presented(door=Door.TEXT, statement=token.Reason.BAD_SIGNATURE), Status.ALTERED),
        (Presented(door=Door.TEXT, statement=token.Reason.OTHER_ID), Status.ALTERED),
        (Presented(door=Door.TEXT, statement=token.Reason.MALFORMED), Status.UNKNOWN),
        (Presented(door=Door.TEXT, statement=STATEMENT), Status.UNKNOWN),
        (Presented(door=Door.FILE, file="limit"), Status.INDETERMINATE),
        (Presented(door=Door.FILE, document_of="成都市职鉴中心"), Status.UNKNOWN),
        (Presented(door=Door.FILE, file=INTACT), Status.ALTERED),
        (Presented(door=Door.FILE, file=INTACT, entry=ENTRY), Status.ALTERED),
    ],
)
def test_what_is_not_in_the_register_is_never_valid(presented: Presented, status: Status) -> None:
    assert decision.decide(presented, NOW).status is status


@pytest.mark.parametrize(
    "change",
    [
        {"number": "2651010001600002"},
        {"name": "扎西"},
        {"project": "四川泡菜制作"},
        {"exam_on": datetime.date(2020, 1, 1)},
        {"version": 2},
        {"status_index": 8},
    ],
)
def test_a_genuine_statement_that_differs_from_the_register_is_altered(
    change: dict[str, object],
) -> None:
    statement = msgspec.structs.replace(STATEMENT, **change)
    verdict = decision.decide(Presented(door=Door.TEXT, entry=ENTRY, statement=statement), NOW)
    assert (verdict.status, verdict.reason) == (Status.ALTERED, "statement-differs")


_presented = st.builds(
    Presented,
    door=st.sampled_from([Door.ID, Door.NUMBER, Door.TEXT, Door.FILE, Door.PICTURE]),
    entry=st.none()
    | st.sampled_from([Status.VALID, *BAD]).map(
        lambda standing: msgspec.structs.replace(ENTRY, standing=standing)
    ),
    file=st.none()
    | st.sampled_from(["same", "limit", INTACT])
    | st.sampled_from(examine.Rule).map(lambda rule: msgspec.structs.replace(INTACT, failed=rule)),
    statement=st.none() | st.just(STATEMENT) | st.sampled_from(token.Reason),
    name_agrees=st.none() | st.just(True),
)


@given(_presented)
def test_no_combination_of_facts_makes_a_verdict_too_kind(presented: Presented) -> None:
    verdict = decision.decide(presented, NOW)
    entry = presented.entry
    if entry is None or entry.standing is not Status.VALID:
        assert verdict.status is not Status.VALID
    if entry is not None and entry.standing in BAD:
        assert verdict.status is entry.standing
    if verdict.status is Status.VALID:
        assert presented.file in (None, "same")
        assert not isinstance(presented.statement, token.Reason)
        assert Outcome.FAIL not in _outcomes(verdict).values()
    proved = (
        presented.file == "same"
        or presented.name_agrees
        or isinstance(presented.statement, token.Statement)
    )
    assert proved or verdict.name in (None, MASKED)
    assert [step.number for step in verdict.steps] == list(range(1, 9))


def test_every_status_reason_and_step_has_its_words() -> None:
    words = decision.WORDS
    assert words["status"].keys() == set(Status)
    assert words["step"].keys() == _outcomes(decision.decide(Presented(door=Door.ID), NOW)).keys()
    for group in words.values():
        assert all(said["zh"] and said["en"] for said in group.values())


# The doors.


async def test_a_certificate_is_valid_at_every_door_and_only_an_id_hides_the_name(
    issued: Issued,
) -> None:
    verdicts = await issued.ask_everywhere()
    assert {verdict.status for verdict in verdicts.values()} == {Status.VALID}
    assert {verdict.number for verdict in verdicts.values()} == {issued.number}
    names = {door: verdict.name for door, verdict in verdicts.items()}
    assert names == {"id": MASKED, "number": NAME, "text": NAME, "file": NAME}
    (secret,) = rows(1)
    for verdict in verdicts.values():
        said = msgspec.json.encode(verdict).decode()
        assert secret.id_number not in said
        assert str(secret.born_on) not in said
        assert secret.id_number[6:14] not in said
        assert str(secret.total) not in map(str, msgspec.structs.astuple(verdict))
        assert not {"id_number", "born_on", "score", "sex"} & set(verdict.__struct_fields__)


async def test_a_bad_standing_beats_everything_at_every_door(issued: Issued) -> None:
    resealed = _change(issued.pdf, issued.pdf.index(b"/Contents<") + 40)
    for standing in BAD:
        await issued.world.stand(standing.value)
        verdicts = await issued.ask_everywhere()
        assert {verdict.status for verdict in verdicts.values()} == {standing}
    (verdict,) = await issued.ask_files(resealed)
    assert verdict.status is standing


async def test_a_name_may_be_typed_with_other_separators_and_spaces(issued: Issued) -> None:
    number = issued.number.translate({digit: digit + 0xFEE0 for digit in range(48, 58)})
    for typed in ("扎西旺堆•索朗多吉", "扎西旺堆・索朗多吉", " 扎西旺堆\u3000· 索朗多吉 ",
                  "扎西旺堆\u200b索朗多吉"):  # fmt: skip
        verdict = await issued.ask(f" {number[:8]} {number[8:]}", typed)
        assert verdict.status is Status.VALID, typed


async def test_an_unknown_number_and_a_wrong_name_are_one_answer(issued: Issued) -> None:
    answers = {
        msgspec.json.encode(await issued.ask(number, name))
        for number, name in [
            (issued.number, "扎西旺堆·索朗多"),
            (issued.number, MASKED),
            (issued.number, ""),
            ("2651010001699999", NAME),
            ("", ""),
            ("x" * 10_000, "y" * 10_000),
        ]
    }
    (answer,) = answers
    assert b'"status":"unknown"' in answer


async def test_a_qr_text_is_judged_by_its_statement(issued: Issued, tmp_path: Path) -> None:
    url, _, digits = issued.qr_text.partition("#")
    assert (await issued.ask(digits)).status is Status.VALID
    address_alone = await issued.ask(url)
    assert (address_alone.status, address_alone.name) == (Status.VALID, MASKED)
    elsewhere = url.replace("localhost:8080", "evil.example")
    of_another = f"{url[:-16]}0123456789abcdef#{digits}"
    middle = len(digits) // 2
    tampered = f"{digits[:middle]}{(int(digits[middle]) + 1) % 10}{digits[middle + 1 :]}"
    made_at = datetime.datetime.now(datetime.UTC)
    keys.create_development(tmp_path / "other", cities=CITIES, made_at=made_at)
    foreign = keys.load_qr_key(tmp_path / "other", now=made_at)
    statement = msgspec.structs.replace(STATEMENT, public_id=issued.public_id)
    forged = token.sign(statement, foreign.private_key, foreign.kid)
    expected = {
        of_another: {Status.ALTERED},
        tampered: {Status.ALTERED, Status.UNKNOWN},
        "".join(token.to_text("localhost:8080", issued.public_id, forged)): {Status.UNTRUSTED},
        elsewhere: {Status.UNKNOWN},
        f"{elsewhere}#{digits}": {Status.ALTERED},
        "": {Status.UNKNOWN},
        "\x00￿'; drop table certificate; --": {Status.UNKNOWN},
        "0" + digits: {Status.UNKNOWN},
        "9" * 1_000_000: {Status.UNKNOWN},
        "https://" + "x" * 1_000_000: {Status.UNKNOWN},
    }
    for text, statuses in expected.items():
        verdict = await issued.ask(text)
        assert verdict.status in statuses, text[:80]
        assert verdict.number in (None, issued.number), text[:80]
        assert verdict.name is None
    assert (await issued.ask(f"{elsewhere}#{digits}")).reason == "statement-elsewhere"


def _change(pdf: bytes, place: int) -> bytes:
    return pdf[:place] + (b"1" if pdf[place] != ord("1") else b"2") + pdf[place + 1 :]


async def test_a_file_of_ours_with_one_changed_byte_anywhere_is_altered(issued: Issued) -> None:
    pdf = issued.pdf
    gap = pdf.index(b"/Contents<") + len(b"/Contents<")
    places = {
        "header": 1,
        "page": len(pdf) // 4,
        "byte range": pdf.index(b"/ByteRange[") + 14,
        "signature": gap + 2 * (int.from_bytes(bytes.fromhex(pdf[gap + 4 : gap + 8].decode()))) - 8,
        "ending": len(pdf) - 3,
    }
    changed = await issued.ask_files(*(_change(pdf, place) for place in places.values()))
    for part, verdict in zip(places, changed, strict=True):
        assert (verdict.status, verdict.name) == (Status.ALTERED, None), part
    (appended,) = await issued.ask_files(pdf + b"\n")
    assert appended.status is Status.ALTERED


async def test_what_we_sealed_but_never_registered_is_altered(issued: Issued) -> None:
    now = datetime.datetime.now(datetime.UTC)
    ours = keys.load_signer(issued.world.settings.keys_folder, CHENGDU, now=now)
    (verdict,) = await issued.ask_files(seal.Sealer(ours).seal(pdfs.face(), now))
    assert (verdict.status, verdict.reason) == (Status.ALTERED, "file-not-registered")


async def test_the_same_names_under_another_root_are_untrusted(
    issued: Issued, tmp_path: Path
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    keys.create_development(tmp_path / "other", cities=CITIES, made_at=now)
    theirs = keys.load_signer(tmp_path / "other", CHENGDU, now=now)
    (verdict,) = await issued.ask_files(seal.Sealer(theirs).seal(pdfs.face(), now))
    assert (verdict.status, verdict.reason) == (Status.UNTRUSTED, "seal-of-others")


async def test_a_file_without_our_seal_is_not_ours(issued: Issued) -> None:
    size_max = verification.UPLOAD_BYTES_MAX
    expected = {
        b"": Status.UNKNOWN,
        b"%PDF-1.7\n%%EOF\n": Status.UNKNOWN,
        b"%PDF-1.7\n/ByteRange[0 9 9 9]" * 1000: Status.UNTRUSTED,
        bytes(range(256)) * (size_max >> 8): Status.UNKNOWN,
        b"3082" * (size_max >> 2): Status.UNKNOWN,
        b"0" * (size_max + 1): Status.INDETERMINATE,
    }
    for content, verdict in zip(expected, await issued.ask_files(*expected), strict=True):
        assert verdict.status is expected[content], (content[:20], len(content))


# What is not issued, and what the public may read.

_UNISSUED = {
    "numbered": "select 1",
    "parked": "update certificate set state = 'parked', cause = 'FaceNotDrawn'",
    "void": "update certificate set state = 'void',"
    " void_asked_by = 'operator-510100', voided_by = 'reviewer-510100'",
}


async def test_a_certificate_that_is_not_issued_is_unknown_at_every_door(world: World) -> None:
    await _approve(world)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    key = keys.load_qr_key(world.settings.keys_folder, now=now)
    for state, change in _UNISSUED.items():
        async with world.connection() as connection:
            await connection.execute(change)
            (row,) = await connection.fetch("select number, public_id from certificate")
        number, public_id = row
        statement = msgspec.structs.replace(
            STATEMENT, number=number, public_id=public_id, issued_at=now
        )
        signed = token.sign(statement, key.private_key, key.kid)
        qr_text = "".join(token.to_text("localhost:8080", public_id, signed))
        asked = Issued(world, number, public_id, qr_text, b"%PDF-1.7\n")
        for door, verdict in (await asked.ask_everywhere()).items():
            assert (verdict.status, verdict.number) == (Status.UNKNOWN, None), (state, door)


async def test_the_public_reads_nothing_but_issued_rows_and_harmless_columns(world: World) -> None:
    await _approve(world)

    async def public(query: str) -> object:
        async with world.connection() as connection, db.acting(connection, Role.PUBLIC):
            return await connection.fetchval(query)

    count = "select count(number) from certificate"
    assert await public(count) == 0
    await world.issue()
    assert await public(count) == 1
    assert await public("select name from certificate") == NAME
    columns = ("id_encrypted", "person_key", "born_on", "score", "sex", "identifier", "*")
    tables = ("result", "batch", "account", "journal", "commitment", "evidence", "number_counter")
    writes = ("update certificate set name = ''", "delete from certificate", "create table a ()")
    reads = [f"select {column} from certificate" for column in columns]  # noqa: S608 - ours
    for refused in (*reads, *(f"table {table}" for table in tables), *writes):
        with pytest.raises(NotYourCity):
            await public(refused)
