"""Faces: one PDF of a round's certificates in the order of its serials, to print on its blanks.

Code and photo on paper are those of the e-certificate, read back from the store. How often a
round was made is kept, because a sheet that goes through twice is spoiled. Nothing is made of a
round with a certificate that stands no more.
"""

import asyncio
import datetime
from collections.abc import Callable

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    FacesAbsent,
    Finding,
    ObjectDamaged,
    ObjectMissing,
    SeriesUnknown,
    TryAgain,
)
from service.ground.objects import Objects
from service.issuing import certificates
from service.issuing.batches import LEGAL_ZONE
from service.issuing.certificates import Certificate
from service.paper import blanks, overlay, printing
from service.paper.blanks import PaperKind, Series
from service.paper.overlay import Remark
from service.paper.printers import Kept
from service.paper.printing import Run, State
from service.paper.printing.planning import LINES_MAX
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act
from service.registry.vault import Vault
from signing import examine

_sql = statements.beside(__file__)

_NO_SERIAL = "样张"
PREVIEW_MAX = 1000
"""Whole faces cost twice the memory of an overlay: 1000 of them, with photos, less than 1 GB."""


class Face(Certificate, frozen=True, kw_only=True):
    """A certificate and the blank that is to carry it; no serial before one is drawn."""

    serial: int | None
    remark: str
    drawn_at: datetime.datetime | None
    pdf_sha256: bytes


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """The faces of a run's newest round, in the order of their serials."""

    run: Run
    edition: str
    serials: tuple[str, ...]
    faces: tuple[Face, ...]


_faces = _sql.many("faces", Face)
_count_pdf = _sql.one("count_pdf", int)


async def of_run(connection: Connection, actor: Actor, run_id: int, *, preview: bool) -> Round:
    """Return what is to be printed on the drawn sheets, or seen before any is drawn.

    A preview has the first `PREVIEW_MAX` alone.

    Raises:
        RunUnknown, RunInOtherState: there is none in this city, or nothing of it is drawn.
        RunFallen: naming the certificates that stand no more; none for a preview.
        SeriesUnknown: there is no paper whose edition a preview could have.
    """
    accounts.require(actor, Act.RUN_PRINT)
    states = (State.PLANNED, State.DRAWN) if preview else (State.DRAWN,)
    run = await printing.lock(connection, actor, run_id, *states)
    series = await _series(connection, run)
    if not preview:
        await _require_standing(connection, run)
    limit = PREVIEW_MAX if preview else LINES_MAX
    faces = await _faces(connection, run_id=run_id, round=run.round, limit=limit)
    texts = (
        _NO_SERIAL if one.serial is None else series.numerals.text(one.serial) for one in faces
    )
    return Round(run=run, edition=series.edition, serials=tuple(texts), faces=tuple(faces))


async def read(
    objects: Objects, vault: Vault, round_: Round, done: Callable[[int], None]
) -> list[overlay.Sheet]:
    """Read codes and photos out of the stored files; `done` is told how many sheets are read.

    Raises:
        FacesAbsent: naming every certificate whose stored file or photo is missing or damaged.
        StoreUnavailable, ExaminationFailed.
    """
    sheets, absent = [], []
    for place, (face, serial) in enumerate(zip(round_.faces, round_.serials, strict=True), 1):
        try:
            pdf = await objects.get(face.pdf_sha256.hex())
            photo = await objects.get(face.photo_sha256.hex()) if face.photo_sha256 else None
        except (ObjectMissing, ObjectDamaged) as error:
            absent.append(
                Finding(
                    code=error.code, zh=f"{serial}：{error.zh}", en=error.en,
                    column="编号 number", value=face.number,
                )
            )  # fmt: skip
        else:
            sheets.append(
                overlay.Sheet(
                    record=certificates.record(face, vault),
                    qr_text=await asyncio.to_thread(examine.own_qr_text, pdf),
                    photo=photo,
                    serial=serial,
                    remark=_remark(face),
                )
            )
        done(place)
    if absent:
        raise FacesAbsent(tuple(absent), count=len(absent))
    return sheets


async def count(connection: Connection, actor: Actor, round_: Round, profile: Kept | None) -> int:
    """Note that the faces of a round are made once more and return how often they were.

    Nothing that was made may leave the program before this.

    Raises:
        RunUnknown, RunInOtherState, TryAgain: the round is open no more.
        RunFallen: naming the certificates that have fallen while the faces were made.
    """
    run = await printing.lock(connection, actor, round_.run.run_id, State.DRAWN)
    if run.round != round_.run.round:
        raise TryAgain
    await _require_standing(connection, run)
    printer = {"name": profile and profile.printer_name, "profile": profile and profile.profile_id}
    made = await _count_pdf(
        connection, run_id=run.run_id, round=run.round, profile_id=printer["profile"]
    )
    told = {"round": run.round, "times": made, "sheets": len(round_.faces), "printer": printer}
    await accounts.write(
        connection, actor, Act.RUN_PRINT, str(run.run_id), told, city_code=run.city_code
    )
    return made


async def _require_standing(connection: Connection, run: Run) -> None:
    series = await blanks.find(connection, run.series_code or "")
    printing.require_standing(run, await printing.sheets(connection, run), series.numerals)


async def _series(connection: Connection, run: Run) -> Series:
    """Return the series of a run, or before it has one the newest that it may get."""
    if run.series_code is not None:
        return await blanks.find(connection, run.series_code)
    inner = [one for one in await blanks.every(connection) if one.kind is PaperKind.INNER]
    if not inner:
        raise SeriesUnknown(series_code="–", codes="–")
    return inner[-1]


def _remark(face: Face) -> str:
    if not face.remark:
        return ""
    if face.drawn_at is None:
        return face.remark
    return Remark(face.remark).on(face.drawn_at.astimezone(LEGAL_ZONE).date())
