"""Showing: every crafted file goes to a real service and its real jail; the table says what came.

`FAMILIES` are all of them, in the order of the table. `compared` adds what a general-purpose
verifier (poppler's pdfsig) says of those families whose files are the same to it on every run.
"""

import asyncio
import datetime
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from service.checking import verification
from service.checking.decision import Verdict
from service.ground import db
from service.ground.db import Role
from service.ground.jail import Jail
from service.ground.objects import Objects
from signing import examine, keys
from tests.attacks import (
    Attack,
    Family,
    bombs,
    families,
    files,
    forgeries,
    junk,
    pictures,
    revisions,
    shadows,
    structures,
)
from tests.world import CHENGDU, CITIES, NOW, World, batch_facts, rows

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in families(forgeries, revisions, shadows, structures, bombs, pictures, junk)
}
COMPARED = {
    family.name
    for family in (
        *(forgeries.UNIVERSAL, forgeries.TRANSPLANTS, revisions.SAVING, revisions.WRAPPING),
        *(revisions.UPDATES, shadows.SHADOWS, shadows.ANNOTATIONS, shadows.SNEAKY),
    )
}
TABLE = Path(__file__).parent.parent.parent / "docs" / "attacks.md"
CONCURRENT = 2
_SIGNATURE = re.compile(r"Signature Validation: (.*?)\.?$|^  - (.*ocument signed)$", re.MULTILINE)
_HEAD = """# Crafted files, and what the file door says to each / 攻击样本与结论

Written by `python -m tests.attacks`; the tests make every file anew, show it to a real service with
its real jail, and compare this table. No file may be `valid`, but a picture with a genuine code,
which is answered through the code and said to be a picture. The last column is what a
general-purpose verifier (`pdfsig -nocert`) says of the same file: why its word is not enough.
"""


class Judged(msgspec.Struct, frozen=True):
    """A crafted file and its answer. `seconds`: from the question to the answer."""

    attack: Attack
    content: bytes
    verdict: Verdict
    seconds: float

    @property
    def said(self) -> tuple[str, str]:
        """Status and reason."""
        return self.verdict.status.value, self.verdict.reason


async def issue(world: World, folder: Path) -> files.Ours:
    """Issue two certificates and make a stranger's keys in `folder`."""
    batch_id = await world.import_rows(CHENGDU, rows(2))
    await world.record(f"operator-{CHENGDU}", *batch_facts(batch_id).values())
    await world.submit(CHENGDU, batch_id)
    await world.approve(CHENGDU, batch_id)
    await world.issue()
    async with world.connection() as connection:
        found = await connection.fetch(
            "select number, pdf_sha256 from certificate order by number limit 2"
        )
    objects = Objects.open(world.settings.store_address)
    pdf, other = [await objects.get(row["pdf_sha256"].hex()) for row in found]
    now = datetime.datetime.now(datetime.UTC)
    return files.Ours(
        pdf=pdf,
        other=other,
        number=found[0]["number"],
        qr_text=examine.qr_text(pdf) or "",
        other_qr_text=examine.qr_text(other) or "",
        pin=keys.load_signer(world.settings.keys_folder, CHENGDU, now=now).pin,
        stranger=files.lookalike(folder, CITIES, CHENGDU, now),
    )


async def made(ours: files.Ours, attacks: Sequence[Attack]) -> list[bytes]:
    """Make the files of some attacks, in a thread because their signer runs a loop of its own."""
    return await asyncio.to_thread(lambda: [attack.make(ours) for attack in attacks])


def jail() -> Jail:
    """Return a jail for all files, as a service has one."""
    return Jail(verification.EXAMINE_JOB, concurrent=CONCURRENT)


async def judge(
    world: World, examiner: Jail, ours: files.Ours, attacks: Sequence[Attack]
) -> list[Judged]:
    """Show crafted files at the file door, as the public."""
    places = asyncio.Semaphore(CONCURRENT)
    one_question = asyncio.Lock()

    class Lent:
        async def __aenter__(self) -> db.Connection:
            await one_question.acquire()
            return connection

        async def __aexit__(self, *_: object) -> None:
            one_question.release()

    async def show(attack: Attack, content: bytes) -> Judged:
        async with places:
            began_at = time.monotonic()
            verdict = await verification.by_file(Lent, examiner, content, NOW)
            return Judged(attack, content, verdict, time.monotonic() - began_at)

    async with world.connection() as connection, db.acting(connection, Role.PUBLIC):
        return list(await asyncio.gather(*map(show, attacks, await made(ours, attacks))))


def lines(judged: Sequence[Judged], *, compare: bool) -> list[str]:
    """Write the rows of the table for some files of one family."""
    return [
        f"| {one.attack.name} | {one.attack.tries} | {one.said[0]} | {one.said[1]}"
        f" | {pdfsig(one.content) if compare else '–'} |"
        for one in judged
    ]


def table(judged: Sequence[Judged]) -> str:
    """Write the whole document."""
    parts = [_HEAD]
    for name, family in FAMILIES.items():
        own = [one for one in judged if one.attack.family == name]
        assert len(own) == len(family.attacks)
        parts += [
            f"\n## {name}\n",
            "| file | tries | status | reason | pdfsig |",
            "|---|---|---|---|---|",
        ]
        parts += lines(own, compare=name in COMPARED)
    return "\n".join(parts) + "\n"


def has_pdfsig() -> bool:
    """Tell whether poppler's verifier is installed."""
    return shutil.which("pdfsig") is not None


def pdfsig(content: bytes) -> str:
    """Say in a few words what the general-purpose verifier says, signature by signature."""
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(content)
        file.flush()
        done = subprocess.run(
            ["pdfsig", "-nocert", file.name], capture_output=True, check=False, timeout=60
        )
    said = [a or b for a, b in _SIGNATURE.findall(done.stdout.decode("utf-8", "replace"))]
    return "; ".join(said) or "no signature seen"
