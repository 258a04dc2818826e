"""Taking: how portraits come out of a ZIP of any size without anybody trusting it or holding it.

The archive stays a file. The jail tells from its end where each entry stands; of those that a row
of the batch waits for, the bytes are cut out and handed to the jail again, in groups and in several
children at once. A group that breaks a limit is tried again one by one, so that a hostile file
costs nobody but itself. What the jail hands back is taken only in the one form of a face's photo,
and is laid down in a nameless file until it is known whether any of it will be kept.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from io import BufferedReader
from pathlib import Path
from typing import IO, Final

import msgspec

from service.ground import jail
from service.ground.errors import (
    ArchiveRefused,
    FileUnusable,
    Finding,
    JailFault,
    JailLimitExceeded,
    StoreUnavailable,
)
from service.ground.jail import Jail, Limits
from service.issuing.photos import archives, pictures
from service.issuing.photos.archives import Directory, Entry, Fault
from service.issuing.photos.pictures import Part, Portrait
from service.issuing.sheets import cells
from service.registry import people
from service.registry.people import IdKind, Unfit
from service.registry.vault import Lookup
from signing.frame import Frame

DIRECTORY_JOB: Final = "service.issuing.photos.archives:read"
DRAW_JOB: Final = "service.issuing.photos.pictures:draw"

_DRAWING = Limits(memory_bytes=512 << 20, cpu_seconds=3, wall_seconds=6, output_bytes=16 << 20)
_GROUP_COUNT_MAX, _GROUP_BYTES_MAX = 16, 8 << 20
_HOSTILE_MAX = 20
_SUFFIXES = re.compile(
    r"(?:\.(?:JPE?G|JPE|JFIF|PNG|HEI[CF]|AVIF|WEBP|JXL|GIF|BMP|TIFF?|SVG|PDF|PSD))+$"
)
"""What a picture's name may end with, twice where the first was hidden; any other dot stays."""
_ANYWAY = (Fault.NAME_UNSAFE, Fault.NESTED)  # told whether or not a row waits for it
_FACTS = {
    "bytes_max": f"{archives.PHOTO_BYTES_MAX >> 20} MB",
    "ratio_max": archives.RATIO_MAX,
    "entries_max": archives.ENTRIES_MAX,
    "hostile_max": _HOSTILE_MAX,
}


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a batch, as far as a file's name can mean it."""

    row_number: int
    admission_number: str
    person_key: bytes
    passed: bool
    has_photo: bool

    @property
    def result(self) -> str:
        """What the row says of the assessment, in the words of the workbook."""
        return "合格" if self.passed else "不合格"


class Drawn(msgspec.Struct, frozen=True):
    """One person's portrait, the row that its file was named by, and where it is laid down."""

    whose: Candidate
    sha256: bytes
    start: int
    length: int


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What came out of an archive: a portrait a person, files of nobody's in the batch, errors."""

    archive_sha256: bytes
    portraits: tuple[Drawn, ...]
    surplus: tuple[str, ...]
    errors: tuple[Finding, ...]
    laid: IO[bytes]

    def blobs(self) -> Iterator[bytes]:
        """Read the portraits again, one after the other."""
        for one in self.portraits:
            self.laid.seek(one.start)
            yield self.laid.read(one.length)


async def take(
    path: Path,
    children: Jail,
    candidates: Collection[Candidate],
    lookup: Lookup,
    *,
    frame: Frame,
    laid: IO[bytes],
    at_once: int,
    done: Callable[[int, int], None],
) -> Taken:
    """Take the portraits of a batch's candidates out of an archive; nothing of it is kept yet.

    They are laid down in `laid`. `done` is told how many files are drawn, and of how many; so many
    groups are drawn `at_once`.

    Raises:
        ArchiveRefused: it is no ZIP, is damaged, or was made to do harm.
        FileUnusable: it cannot be read.
        StoreUnavailable: nothing more can be laid down.
        JailLimitExceeded, JailFault, JailUnavailable.
    """
    try:
        with path.open("rb") as file:
            digest = asyncio.create_task(asyncio.to_thread(_digest, file))
            try:
                directory = await _directory(file, children)
                wanted, surplus, errors = _match(directory.entries, candidates, lookup)
                drawing = _Drawing(file, children, frame, laid)
                portraits, faults = await drawing.every(wanted, at_once, done)
            finally:
                sha256 = await digest
    except OSError as error:
        raise FileUnusable(path=path, reason=error.strerror) from error
    errors = sorted([*errors, *faults], key=lambda finding: finding.row or 0)
    return Taken(
        archive_sha256=sha256,
        portraits=tuple(portraits),
        surplus=surplus,
        errors=tuple(errors),
        laid=laid,
    )


def _digest(file: BufferedReader) -> bytes:
    """Hash a file whole, while others read places of it."""
    return hashlib.file_digest(file, "sha256").digest()


async def _directory(file: IO[bytes], children: Jail) -> Directory:
    """Have the archive's directory read, and look that it tells of no byte outside the archive."""
    byte_count = os.fstat(file.fileno()).st_size
    tail = os.pread(file.fileno(), archives.TAIL_BYTES, max(0, byte_count - archives.TAIL_BYTES))
    begins_with = os.pread(file.fileno(), 4, 0).hex()
    told = {"begins_with": begins_with, "byte_count": byte_count}
    directory: Directory = await children.run(
        DIRECTORY_JOB, tail, jail.WORKBOOK, told, type=Directory
    )
    inside = all(
        0 <= one.offset <= one.offset + one.length <= byte_count
        and one.length <= archives.ENTRY_BYTES_MAX
        for one in directory.entries
        if one.fault is None
    )
    if directory.fault or not inside:
        raise _refused(directory.fault or Fault.ARCHIVE_DAMAGED)
    return directory


def _match(
    entries: Iterable[Entry], candidates: Collection[Candidate], lookup: Lookup
) -> tuple[list[tuple[Entry, Candidate]], tuple[str, ...], list[Finding]]:
    """Find whom each file is of: by admission number, or by document number of any kind.

    Returns what is to be drawn, the names of what belongs to nobody, and errors.
    """
    named: dict[str | bytes, list[Candidate]] = {}
    for one in candidates:
        named.setdefault(people.tidy(one.admission_number), []).append(one)
        named.setdefault(one.person_key, []).append(one)
    found: dict[bytes, list[tuple[Entry, Candidate]]] = {}
    surplus, errors = [], []
    for entry in entries:
        whose = _whose(entry, named, lookup)
        if len({one.person_key for one in whose}) > 1:
            errors.append(_of_file(Fault.AMBIGUOUS, entry, *whose))
        elif entry.fault in _ANYWAY or (entry.fault and whose):
            errors.append(_of_file(entry.fault, entry, *whose[:1]))
        elif whose:
            found.setdefault(whose[0].person_key, []).append((entry, whose[0]))
        else:
            surplus.append(_shown(entry))
    for several in found.values():
        if len(several) > 1:
            errors += [_of_file(Fault.REPEATED, *one) for one in several]
    return [one[0] for one in found.values() if len(one) == 1], tuple(surplus), errors


def _whose(
    entry: Entry, named: Mapping[str | bytes, Sequence[Candidate]], lookup: Lookup
) -> list[Candidate]:
    stem = _SUFFIXES.sub("", people.tidy(entry.name.rpartition("/")[2]))
    keys: tuple[str | bytes, ...] = (stem, *(lookup.person_key(kind, stem) for kind in IdKind))
    return [candidate for key in keys for candidate in named.get(key, ())]


class _Drawing:
    """Portraits on their way from an archive to where they are laid down."""

    def __init__(self, archive: IO[bytes], children: Jail, frame: Frame, laid: IO[bytes]) -> None:
        self._archive = archive
        self._children = children
        self._frame = frame
        self._laid = laid
        self._hostile_count = 0

    async def every(
        self,
        wanted: Sequence[tuple[Entry, Candidate]],
        at_once: int,
        done: Callable[[int, int], None],
    ) -> tuple[list[Drawn], list[Finding]]:
        """Draw all; returns the portraits and errors."""
        portraits: list[Drawn] = []
        faults: list[Finding] = []
        groups = _groups(wanted)

        async def work() -> None:
            for group in groups:
                drawn = await self._draw([entry for entry, _ in group])
                for (entry, whose), one in zip(group, drawn, strict=True):
                    if one.fault:
                        faults.append(_of_file(one.fault, entry, whose, **self._facts(one)))
                    else:
                        portraits.append(self._lay_down(whose, one.jpeg))
                done(len(portraits) + len(faults), len(wanted))

        workers = [asyncio.create_task(work()) for _ in range(at_once)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return portraits, faults

    async def _draw(self, group: Sequence[Entry]) -> list[Portrait]:
        """Have a group drawn, and one by one if it breaks a limit."""
        parts = [Part(one.length, one.packed, one.size, one.crc, one.deflated) for one in group]
        told = {"parts": parts, "pixels": self._frame.pixels}
        cut = [os.pread(self._archive.fileno(), one.length, one.offset) for one in group]
        try:
            drawn: list[Portrait] = await self._children.run(
                DRAW_JOB, b"".join(cut), _DRAWING, told, type=list[Portrait]
            )
        except (JailLimitExceeded, JailFault):
            drawn = []
        if len(drawn) == len(group):
            return [
                one if one.fault or self._frame.takes(one.jpeg) else Portrait(fault=Fault.DAMAGED)
                for one in drawn
            ]
        if len(group) > 1:
            return [one for entry in group for one in await self._draw([entry])]
        self._hostile_count += 1
        if self._hostile_count > _HOSTILE_MAX:
            raise _refused(Fault.ARCHIVE_HOSTILE)
        return [Portrait(fault=Fault.BEYOND_LIMITS)]

    def _facts(self, one: Portrait) -> dict[str, object]:
        width_min, height_min = pictures.least(self._frame.pixels)
        return {
            "kind": one.kind or "",
            "width": one.width,
            "height": one.height,
            "width_min": width_min,
            "height_min": height_min,
        }

    def _lay_down(self, whose: Candidate, jpeg: bytes) -> Drawn:
        start = self._laid.tell()
        try:
            self._laid.write(jpeg)
            self._laid.flush()
        except OSError as error:
            raise StoreUnavailable(reason=error.strerror) from error
        return Drawn(whose, hashlib.sha256(jpeg).digest(), start, len(jpeg))


def _groups(wanted: Iterable[tuple[Entry, Candidate]]) -> Iterator[list[tuple[Entry, Candidate]]]:
    group: list[tuple[Entry, Candidate]] = []
    for one in wanted:
        group.append(one)
        full = sum(entry.length for entry, _ in group) >= _GROUP_BYTES_MAX
        if full or len(group) == _GROUP_COUNT_MAX:
            yield group
            group = []
    if group:
        yield group


def _of_file(fault: Fault, entry: Entry, *whose: Candidate, **facts: object) -> Finding:
    finding = Unfit(fault, **_FACTS, **facts).finding(column="照片", value=_shown(entry))
    rows = sorted({one.row_number for one in whose})
    if len(rows) > 1:
        return msgspec.structs.replace(finding, rows=tuple(rows))
    return msgspec.structs.replace(finding, row=rows[0] if rows else None)


def _refused(fault: Fault) -> ArchiveRefused:
    return ArchiveRefused((Unfit(fault, **_FACTS).finding(),))


def _shown(entry: Entry) -> str:
    """Show a file's name without the number that it may be; folders stay, for they lead to it."""
    folders, slash, name = entry.name.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    stem, suffix = (stem, dot + suffix) if dot else (name, "")
    masked = people.mask_id(stem) if any(map(str.isdigit, stem)) else stem
    return cells.shown(folders + slash + masked + suffix)
