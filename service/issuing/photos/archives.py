"""Archives: what a ZIP of photos holds, told from its directory alone. A job for the jail.

Nothing is unpacked here. Told is where each entry's bytes stand, so that who holds the archive cuts
them out without having read any of it. What computers leave behind in archives is passed over;
a name that would climb out of a folder, and an entry that no photo can be, is told with its fault.
Refused as a whole: what is no ZIP, or has entries that share bytes.
"""

import encodings.gb18030  # noqa: F401 - names come in it, and a jail opens no module
import io
import re
import zipfile
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec


class Fault(StrEnum):
    """What keeps an archive, or one file of it, from being taken; the codes of findings."""

    ARCHIVE_NOT_ZIP = "ArchiveNotZip"
    ARCHIVE_DAMAGED = "ArchiveDamaged"
    ARCHIVE_OVERLAPS = "ArchiveOverlaps"
    ARCHIVE_HOSTILE = "ArchiveHostile"
    NAME_UNSAFE = "PhotoNameUnsafe"
    NESTED = "PhotoNested"
    ENCRYPTED = "PhotoEncrypted"
    PACKED_ODDLY = "PhotoPackedOddly"
    TOO_LARGE = "PhotoTooLarge"
    AMBIGUOUS = "PhotoAmbiguous"
    REPEATED = "PhotoRepeated"
    DAMAGED = "PhotoDamaged"
    FORMAT_UNKNOWN = "PhotoFormatUnknown"
    PIXELS_MANY = "PhotoPixelsMany"
    TOO_SMALL = "PhotoTooSmall"
    BEYOND_LIMITS = "PhotoBeyondLimits"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One file of an archive: where its header begins and how far its bytes may reach.

    `packed`, `size` and `crc` are what the directory says; `fault` is what is wrong with it.
    """

    name: str
    offset: int
    length: int
    packed: int
    size: int
    crc: int
    deflated: bool
    fault: Fault | None


class Directory(msgspec.Struct, frozen=True):
    """The files of an archive in the order of their bytes, or what is wrong with it."""

    entries: tuple[Entry, ...] = ()
    fault: Fault | None = None


TAIL_BYTES: Final = 16 << 20
ENTRIES_MAX: Final = 100_000
PHOTO_BYTES_MAX: Final = 10 << 20
RATIO_MAX: Final = 100
"""A photo is packed already: what still shrinks to a hundredth of itself is none."""

_HEADER_BYTES, _HEADER_BYTES_MAX = 30, 30 + 2 * 0xFFFF
ENTRY_BYTES_MAX: Final = _HEADER_BYTES_MAX + PHOTO_BYTES_MAX
_ENCRYPTED, _UTF8 = 0x01 | 0x40, 0x800
_LEFT_BEHIND = re.compile(r"(?:^|/)(?:__MACOSX/|\._|\.DS_Store$|Thumbs\.db$|desktop\.ini$)", re.I)
_UNSAFE = re.compile(r"^[/\\]|\\|\0|^[A-Za-z]:|(?:^|/)\.\.(?:/|$)")
_NESTED = re.compile(r"\.(?:zip|rar|7z|tar|gz|tgz|bz2|xz)$", re.I)


def read(tail: bytes, begins_with: str, byte_count: int) -> Directory:
    """List an archive of `byte_count` bytes by its last `TAIL_BYTES`; its first four are in hex."""
    before = byte_count - len(tail)
    try:
        with zipfile.ZipFile(io.BytesIO(tail), metadata_encoding="latin-1") as archive:
            found = sorted(archive.infolist(), key=lambda one: one.header_offset)
            starts = [*(one.header_offset for one in found), archive.start_dir]
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever its reader says of it
        is_zip = begins_with in ("504b0304", "504b0506")
        return Directory(fault=Fault.ARCHIVE_DAMAGED if is_zip else Fault.ARCHIVE_NOT_ZIP)
    if len(found) > ENTRIES_MAX:
        return Directory(fault=Fault.ARCHIVE_DAMAGED)
    reaches = list(zip(found, starts[1:], strict=True))
    if starts[0] + before < 0 or any(
        one.header_offset + _HEADER_BYTES + one.compress_size > end for one, end in reaches
    ):
        return Directory(fault=Fault.ARCHIVE_OVERLAPS)
    return Directory(tuple(_entries(reaches, before)))


def _entries(reaches: list[tuple[zipfile.ZipInfo, int]], before: int) -> Iterator[Entry]:
    for one, end in reaches:
        name = _name(one)
        if not name.endswith("/") and not _LEFT_BEHIND.search(name):
            yield Entry(
                name=name,
                offset=before + one.header_offset,
                length=min(end - one.header_offset, _HEADER_BYTES_MAX + one.compress_size),
                packed=one.compress_size,
                size=one.file_size,
                crc=one.CRC,
                deflated=one.compress_type == zipfile.ZIP_DEFLATED,
                fault=_fault(one, name),
            )


def _name(one: zipfile.ZipInfo) -> str:
    """Read a name as its archiver wrote it: UTF-8, said or not, else GB18030."""
    if one.flag_bits & _UTF8:
        return one.orig_filename
    raw = one.orig_filename.encode("latin-1")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8", "replace")


def _fault(one: zipfile.ZipInfo, name: str) -> Fault | None:
    if _UNSAFE.search(name):
        return Fault.NAME_UNSAFE
    if _NESTED.search(name):
        return Fault.NESTED
    if one.flag_bits & _ENCRYPTED:
        return Fault.ENCRYPTED
    if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return Fault.PACKED_ODDLY
    is_dense = one.file_size > RATIO_MAX * max(one.compress_size, 1)
    if is_dense or max(one.file_size, one.compress_size) > PHOTO_BYTES_MAX:
        return Fault.TOO_LARGE
    return None
