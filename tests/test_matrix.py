"""Every door against every status: what each door can say, and what none of them ever says.

One world holds a certificate in each standing; forged, foreign and unreadable things are made of
them. Every door is asked in earnest: IDs, numbers with names and QR texts over the API, files and
pictures through the jail, share links as pages, and statements without any network.
"""

import datetime
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pypdfium2
import pytest
from PIL import Image

from service import wiring
from service.checking import portal, verification
from service.checking.decision import Door, Status
from service.ground.objects import Objects
from service.issuing import publication
from service.web import app
from signing import examine, key_set, keys, qr, seal, status, token
from signing.cose import Purpose
from tests import pdfs, served
from tests.world import CHENGDU, CITIES, World, batch_facts, rows

STANDINGS = (
    Status.VALID, Status.REVOKED, Status.SUSPENDED, Status.REPLACED, Status.CANCELLED
)  # fmt: skip
NAMES = ("扎西旺堆·索朗多吉", "欧阳娜娜", "陈思远", "阿依", "吉克木呷")
UNKNOWN_ID = "0123456789abcdef"
IMPOSSIBLE = {
    (door, status): "an ID, a number or a link carries nothing that could be altered or sealed"
    for door in (Door.ID, Door.NUMBER, Door.SHARE)
    for status in (Status.ALTERED, Status.UNTRUSTED)
}


class Holding(msgspec.Struct, frozen=True):
    """One certificate, in everything by which it can be shown."""

    name: str
    number: str
    public_id: str
    qr_text: str
    pdf: bytes
    share: str

    def picture(self, text: str | None = None) -> bytes:
        """The first page as a picture of it, with another QR code if one is given."""
        if text is not None:
            url, _, digits = text.partition("#")
            return _png(_symbol(qr.matrix(f"{url}#", digits)))
        with pypdfium2.PdfDocument(self.pdf) as document:
            return _png(document[0].render(scale=150 / 72).to_pil())


class Matrix(msgspec.Struct, frozen=True):
    """The world, its certificates by standing, the doors, and a foreign set of keys."""

    world: World
    held: dict[Status, Holding]
    client: httpx.AsyncClient
    published: dict[str, bytes]
    foreign: Path

    async def ask(self, door: Door, shown: Any) -> tuple[str, str]:
        """Ask one door and return status and reason."""
        match door:
            case Door.ID:
                answer = await self.client.get(f"/api/v1/certificates/{shown}/verdict")
            case Door.NUMBER:
                number, name = shown
                answer = await self.client.post(
                    "/api/v1/verdicts/number", json={"number": number, "name": name}
                )
            case Door.TEXT:
                answer = await self.client.post("/api/v1/verdicts/text", json={"text": shown})
            case Door.FILE | Door.PICTURE:
                kind = "image/png" if door is Door.PICTURE else "application/pdf"
                answer = await self.client.post(
                    "/api/v1/verdicts/file", content=shown, headers={"content-type": kind}
                )
            case Door.SHARE:
                return await self._ask_share(shown)
            case Door.OFFLINE:
                return self._ask_offline(*shown)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        return told["status"], told["reason"]

    async def _ask_share(self, share_token: str) -> tuple[str, str]:
        page = await self.client.get(f"/s/{share_token}")
        if page.status_code == 404:
            return Status.UNKNOWN, ""
        (said,) = [one for one in Status if f'data-status="{one}"' in page.text]
        return said, ""

    def _ask_offline(self, text: str, listed: bool) -> tuple[str, str]:
        now = datetime.datetime.now(datetime.UTC)
        published = key_set.read(self.published[".well-known/jwks.json"])
        lists = [
            status.verify(content, published[Purpose.STATUS], now)
            for path, content in self.published.items()
            if path.startswith("status/") and listed
        ]
        verdict = verification.offline(text, published, lists, now)
        return verdict.status, verdict.reason


@pytest.fixture
async def matrix(world: World, tmp_path: Path) -> AsyncIterator[Matrix]:
    """One certificate in each standing, a share link of each, and what is published of them."""
    people = [
        msgspec.structs.replace(row, name=name)
        for row, name in zip(rows(len(NAMES), failed_every=99), NAMES, strict=True)
    ]
    batch_id = await world.import_rows(CHENGDU, people)
    await world.record(f"operator-{CHENGDU}", *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    await world.approve(CHENGDU, batch_id)
    await world.issue()
    now = datetime.datetime.now(datetime.UTC)
    keys.create_development(tmp_path / "foreign", cities=CITIES, made_at=now)
    async with wiring.site(world.settings, world.address) as site:
        held = {
            standing: await _hold(world, site, name, standing)
            for standing, name in zip(STANDINGS, NAMES, strict=True)
        }
        await served.sign_lists(world)
        async with world.connection() as connection:
            published = await publication.documents(connection)
        application: Any = app.application(site)
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield Matrix(world, held, client, published, tmp_path / "foreign")


async def _hold(world: World, site: Any, name: str, standing: Status) -> Holding:
    """Share a certificate while it is valid, and then let it stand as it is to."""
    now = datetime.datetime.now(datetime.UTC)
    async with world.connection() as connection:
        row = await connection.fetchrow(
            "select number, public_id, pdf_sha256, person_key from certificate where name = $1",
            name,
        )
        assert row is not None
        await portal.begin(connection, name, [row["person_key"]], now)
        seed = name.encode().ljust(16)[:16]
        assert await portal.share(
            connection, site.lookup, name, row["public_id"], seed=seed, days=7, now=now
        )
        await connection.execute(
            "update certificate set standing = $2 where name = $1", name, standing.value
        )
    pdf = await Objects.open(world.settings.store_address).get(row["pdf_sha256"].hex())
    qr_text = examine.qr_text(pdf)
    assert qr_text is not None
    link = portal.share_token(site.lookup, seed)
    return Holding(name, row["number"], row["public_id"], qr_text, pdf, link)


SHOWN: dict[Door, Callable[[Holding], Any]] = {
    Door.ID: lambda held: held.public_id,
    Door.NUMBER: lambda held: (held.number, held.name),
    Door.TEXT: lambda held: held.qr_text,
    Door.FILE: lambda held: held.pdf,
    Door.PICTURE: lambda held: held.picture(),
    Door.SHARE: lambda held: held.share,
    Door.OFFLINE: lambda held: (held.qr_text, True),
}


async def test_every_door_says_how_a_certificate_stands(matrix: Matrix) -> None:
    assert SHOWN.keys() == set(Door)
    for standing, held in matrix.held.items():
        said = {door: (await matrix.ask(door, shown(held)))[0] for door, shown in SHOWN.items()}
        assert set(said.values()) == {standing}, said


async def test_a_bad_standing_beats_whatever_was_changed(matrix: Matrix) -> None:
    for standing, held in matrix.held.items():
        if standing is Status.VALID:
            continue
        spoiled = _tampered(held.qr_text)
        for door, shown in (
            (Door.TEXT, spoiled),
            (Door.FILE, held.pdf + b"\n"),
            (Door.PICTURE, held.picture(spoiled)),
        ):
            said, _ = await matrix.ask(door, shown)
            expected = {standing} if door is not Door.FILE else {standing, Status.ALTERED}
            assert said in expected, (door, said)


async def test_every_door_says_what_is_not_a_valid_certificate(matrix: Matrix) -> None:
    held = matrix.held[Status.VALID]
    spoiled, forged = _tampered(held.qr_text), _forged(held, matrix.foreign)
    now = datetime.datetime.now(datetime.UTC)
    theirs = keys.load_signer(matrix.foreign, CHENGDU, now=now)
    expected: dict[tuple[Door, Status], Any] = {
        (Door.ID, Status.UNKNOWN): UNKNOWN_ID,
        (Door.NUMBER, Status.UNKNOWN): (held.number, "别人"),
        (Door.TEXT, Status.UNKNOWN): "https://example.test/",
        (Door.TEXT, Status.ALTERED): spoiled,
        (Door.TEXT, Status.UNTRUSTED): forged,
        (Door.FILE, Status.UNKNOWN): b"%PDF-1.7\n%%EOF\n",
        (Door.FILE, Status.ALTERED): held.pdf + b"\n",
        (Door.FILE, Status.UNTRUSTED): seal.Sealer(theirs).seal(pdfs.face(), now),
        (Door.FILE, Status.INDETERMINATE): _too_deep(),
        (Door.PICTURE, Status.UNKNOWN): _png(Image.new("L", (400, 400), 255)),
        (Door.PICTURE, Status.ALTERED): held.picture(spoiled),
        (Door.PICTURE, Status.UNTRUSTED): held.picture(forged),
        (Door.PICTURE, Status.INDETERMINATE): _png(Image.new("1", (20_000, 20_000), 1)),
        (Door.SHARE, Status.UNKNOWN): "A" * 22,
        (Door.OFFLINE, Status.UNKNOWN): ("https://example.test/", True),
        (Door.OFFLINE, Status.ALTERED): (spoiled, True),
        (Door.OFFLINE, Status.UNTRUSTED): (forged, True),
        (Door.OFFLINE, Status.INDETERMINATE): (held.qr_text, False),
    }
    for (door, wanted), shown in expected.items():
        said, reason = await matrix.ask(door, shown)
        assert said == wanted, (door, wanted, said, reason)
    silent = {
        (door, Status.INDETERMINATE) for door in (Door.ID, Door.NUMBER, Door.TEXT, Door.SHARE)
    }
    told = {(door, standing) for door in Door for standing in STANDINGS} | expected.keys()
    everything = {(door, status) for door in Door for status in Status}
    assert told | silent | IMPOSSIBLE.keys() == everything


@pytest.mark.parametrize("path", ["/v/{id}", "/s/{share}"])
async def test_a_register_that_is_silent_is_told_as_such_and_never_as_valid(
    matrix: Matrix, path: str
) -> None:
    held = matrix.held[Status.VALID]
    nowhere = "postgresql://nobody:x@127.0.0.1:1/nothing"
    async with wiring.site(matrix.world.settings, nowhere) as gone:
        application: Any = app.application(gone)
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            page = await client.get(path.format(id=held.public_id, share=held.share))
            texts = await client.post("/api/v1/verdicts/text", json={"text": held.qr_text})
            numbers = await client.post(
                "/api/v1/verdicts/number", json={"number": held.number, "name": held.name}
            )
    assert {page.status_code, texts.status_code, numbers.status_code} == {503}
    assert held.number not in page.text + texts.text + numbers.text


def _tampered(text: str) -> str:
    """Change the statement's signature, so that it still reads as a statement."""
    url, _, digits = text.partition("#")
    changed = bytearray(int(digits).to_bytes(len(digits)).lstrip(b"\0"))
    changed[-1] ^= 1
    return f"{url}#{int.from_bytes(changed)}"


def _forged(held: Holding, foreign: Path) -> str:
    """Sign what a certificate says with keys of one's own."""
    address, cose = token.from_text(held.qr_text)
    assert address is not None
    now = datetime.datetime.now(datetime.UTC)
    key = keys.load_qr_key(foreign, now=now)
    statement = token.Statement(
        issuer=address.host,
        issued_at=now.replace(microsecond=0),
        number=held.number,
        name=held.name,
        project="民宿接待服务",
        exam_on=now.date(),
        version=1,
        public_id=held.public_id,
        status_index=1,
        record_digest=bytes(16),
    )
    signed = token.sign(statement, key.private_key, key.kid)
    assert signed != cose
    return "".join(token.to_text(address.host, held.public_id, signed))


def _too_deep() -> bytes:
    """Write a document whose page tree has no end within any limit."""
    pages = b"".join(
        b"%d 0 obj<</Type/Pages/Count 1/Kids[%d 0 R]>>endobj\n" % (at, at + 1)
        for at in range(2, 60_000)
    )
    return b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n" + pages + b"%%EOF\n"


def _symbol(modules: tuple[bytes, ...]) -> Image.Image:
    picture = Image.new("L", (len(modules) + 8, len(modules) + 8), 255)
    for y, row in enumerate(modules):
        for x, dark in enumerate(row):
            picture.putpixel((x + 4, y + 4), 0 if dark else 255)
    return picture.resize((picture.width * 8, picture.height * 8), Image.Resampling.NEAREST)


def _png(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()
