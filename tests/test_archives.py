"""Archives: where the files of a ZIP are found, under which names, and which ZIPs are not read."""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.ground import jail
from service.ground.jail import Jail
from service.issuing.photos import archives, pictures, taking
from service.issuing.photos.archives import Directory, Fault
from service.issuing.photos.pictures import Part

FILES = {"510104199803120018.jpg": b"one" * 400, "照片/ZK00000002.png": b"two" * 90, "三.jpg": b"3"}


def pack(
    files: dict[str, bytes] = FILES, output: Any = None, method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    output = output or io.BytesIO()
    with zipfile.ZipFile(output, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return bytes(output.getvalue())


def read(archive: bytes, tail_bytes: int = archives.TAIL_BYTES) -> Directory:
    return archives.read(archive[-tail_bytes:], archive[:4].hex(), len(archive))


def contents(archive: bytes, tail_bytes: int = archives.TAIL_BYTES) -> dict[str, bytes]:
    """Every file that is listed, unpacked from nothing but the bytes that are told to be its."""
    directory = read(archive, tail_bytes)
    assert directory.fault is None
    unpacked = {}
    for one in directory.entries:
        assert one.fault is None
        cut = archive[one.offset : one.offset + one.length]
        told = Part(one.length, one.packed, one.size, one.crc, one.deflated)
        (unpacked[one.name],) = pictures._unpacked(memoryview(cut), [told])
    return unpacked


def faults(archive: bytes) -> list[Fault | None]:
    directory = read(archive)
    return [directory.fault] if directory.fault else [one.fault for one in directory.entries]


class Pipe(io.BytesIO):
    """What cannot be sought in, so that sizes stand behind each file."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def with_large_headers() -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        for name, content in FILES.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as file:
                file.write(content)
    return output.getvalue()


ARCHIVERS: dict[str, Callable[[], bytes]] = {
    "deflated": pack,
    "stored": lambda: pack(method=zipfile.ZIP_STORED),
    "sizes behind": lambda: pack(output=Pipe()),
    "behind a program": lambda: b"MZ" + bytes(5000) + pack(),
    "ZIP64 files": with_large_headers,
    "no file": lambda: pack({}),
}


@pytest.mark.parametrize("archiver", ARCHIVERS)
def test_files_are_found_wherever_an_archiver_put_them(archiver: str) -> None:
    archive = ARCHIVERS[archiver]()
    expected = {} if archiver == "no file" else FILES
    assert contents(archive) == expected


def test_an_archive_of_many_files_has_a_larger_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    archive = pack()
    assert b"PK\6\6" in archive
    assert contents(archive) == FILES


def test_of_a_long_archive_only_the_end_is_read() -> None:
    archive = pack({"long.jpg": bytes(range(256)) * 4000} | FILES, method=zipfile.ZIP_STORED)
    assert contents(archive, 3000) == {"long.jpg": bytes(range(256)) * 4000} | FILES
    assert read(archive, 100).fault is Fault.ARCHIVE_DAMAGED


def test_of_more_than_four_gigabytes_every_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "long.zip"
    with path.open("wb") as file:
        file.seek(5 << 30)  # a hole, as long as thousands of photos
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in FILES.items():
                archive.writestr(name, content)
    with path.open("rb") as file:
        file.seek(-1000, io.SEEK_END)
        directory = archives.read(file.read(), "504b0304", path.stat().st_size)
        assert directory.fault is None
        for one in directory.entries:
            assert one.offset >= 5 << 30
            cut = os.pread(file.fileno(), one.length, one.offset)
            told = Part(one.length, one.packed, one.size, one.crc, one.deflated)
            assert [*pictures._unpacked(memoryview(cut), [told])] == [FILES[one.name]]


def renamed(raw: bytes, *, utf8: bool = False) -> bytes:
    """An archive of one file whose name is these bytes."""
    archive = pack({"n" * len(raw): b"content"})
    archive = archive.replace(b"n" * len(raw), raw)
    if utf8:
        for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            at = archive.index(mark) + place
            archive = archive[:at] + struct.pack("<H", 0x800) + archive[at + 2 :]
    return archive


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-8"])
def test_names_are_read_as_archivers_in_this_country_write_them(encoding: str) -> None:
    name = "照片/王伟／ＺＫ００１.jpg"
    assert [*contents(renamed(name.encode(encoding)))] == [name]
    assert [*contents(renamed(name.encode(), utf8=True))] == [name]


def test_a_name_that_no_encoding_explains_is_surplus_and_no_fault() -> None:
    ((name, _),) = contents(renamed(b"\xff\xff\xfe.jpg")).items()
    assert name.endswith(".jpg")
    assert read(renamed(b"\xff\xfe.jpg", utf8=True)).fault is Fault.ARCHIVE_DAMAGED


def test_what_computers_leave_behind_is_passed_over_silently() -> None:
    left = ["__MACOSX/._a.jpg", "a/.DS_Store", "Thumbs.db", "a/thumbs.db", "a/", "b/DESKTOP.INI",
            "._a.jpg", "a/__MACOSX/a.jpg"]  # fmt: skip
    assert contents(pack(dict.fromkeys(left, b"") | FILES)) == FILES


@pytest.mark.parametrize(
    "name",
    ["../a.jpg", "a/../b.jpg", "..", "/a.jpg", "\\a.jpg", "C:a.jpg", "c:/a.jpg", "a\\b.jpg",
     "\\\\host\\a.jpg", "a/..", "//a.jpg", "a.jpg\0.exe"],
)  # fmt: skip
def test_a_name_that_leads_out_of_its_folder_is_named_as_such(name: str) -> None:
    assert faults(renamed(name.encode())) == [Fault.NAME_UNSAFE]


@pytest.mark.parametrize("name", ["..a.jpg", "a..b/c.jpg", "ab:c.jpg", "...", "CON.jpg", " .jpg"])
def test_a_name_that_only_looks_odd_is_none(name: str) -> None:
    assert faults(renamed(name.encode())) == [None]


def flagged(bits: int) -> bytes:
    archive = pack({"a.jpg": b"content"})
    at = archive.index(b"PK\1\2") + 8
    return archive[:at] + struct.pack("<H", bits) + archive[at + 2 :]


UNFIT = {
    "encrypted": (flagged(0x01), Fault.ENCRYPTED),
    "encrypted by AES": (flagged(0x41), Fault.ENCRYPTED),
    "bzip2": (pack({"a.jpg": b"content"}, method=zipfile.ZIP_BZIP2), Fault.PACKED_ODDLY),
    "LZMA": (pack({"a.jpg": b"content"}, method=zipfile.ZIP_LZMA), Fault.PACKED_ODDLY),
    "archive": (pack({"a/Photos.ZIP": pack()}), Fault.NESTED),
    "RAR": (pack({"a.rar": b"content"}), Fault.NESTED),
    "bomb": (pack({"a.jpg": bytes(9 << 20)}), Fault.TOO_LARGE),
    "large": (pack({"a.jpg": bytes((10 << 20) + 1)}, method=zipfile.ZIP_STORED), Fault.TOO_LARGE),
}


@pytest.mark.parametrize("kind", UNFIT)
def test_a_file_that_no_photo_can_be_is_told_with_its_fault(kind: str) -> None:
    archive, fault = UNFIT[kind]
    assert faults(archive) == [fault]


def entry(name: bytes, at: int, size: int = 7, packed: int = 7) -> bytes:
    """One line of a directory."""
    return struct.pack(
        "<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, packed, size, len(name), *(0,) * 5, at
    ) + name  # fmt: skip


def directed(*lines: bytes, body: bytes = b"", count: int = 1) -> bytes:
    """An archive of that body and directory, as many lines again as are counted."""
    directory = b"".join(lines) * count
    total = min(len(lines) * count, 0xFFFF)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, total, total, len(directory), len(body), 0)
    return body + directory + end


ONE = pack({"a.jpg": b"content"})
NAMED = renamed("王.jpg".encode("gbk"))
BODY = ONE[: ONE.index(b"PK\1\2")]
WHOLE = {
    "cut short": (pack()[:-30], Fault.ARCHIVE_DAMAGED),
    "half": (pack()[: len(pack()) // 2], Fault.ARCHIVE_DAMAGED),
    "RAR": (b"Rar!\x1a\7\1\0" + bytes(500), Fault.ARCHIVE_NOT_ZIP),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(500), Fault.ARCHIVE_NOT_ZIP),
    "gzip": (b"\x1f\x8b\10\0" + bytes(500), Fault.ARCHIVE_NOT_ZIP),
    "photo": (b"\xff\xd8\xff\xe0" + bytes(500), Fault.ARCHIVE_NOT_ZIP),
    "nothing": (b"", Fault.ARCHIVE_NOT_ZIP),
    "the same bytes twice": (
        directed(entry(b"a.jpg", 0), entry(b"b.jpg", 0), body=BODY),
        Fault.ARCHIVE_OVERLAPS,
    ),
    "reaching into the next": (
        directed(entry(b"a.jpg", 0, packed=50), entry(b"b.jpg", len(BODY)), body=BODY * 2),
        Fault.ARCHIVE_OVERLAPS,
    ),
    "reaching into the directory": (
        directed(entry(b"a.jpg", 0, packed=500), body=BODY),
        Fault.ARCHIVE_OVERLAPS,
    ),
    "outside": (directed(entry(b"a.jpg", 1 << 30), body=BODY), Fault.ARCHIVE_OVERLAPS),
    "too many": (
        directed(*(entry(b"a", at * 40) for at in range(100_001)), body=bytes(4_000_040)),
        Fault.ARCHIVE_DAMAGED,
    ),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_an_archive_that_is_none_or_is_damaged_is_refused_as_a_whole(kind: str) -> None:
    archive, fault = WHOLE[kind]
    assert read(archive) == Directory(fault=fault)


async def test_a_million_entries_are_refused_in_the_jail_and_it_goes_on() -> None:
    bombs = [
        directed(entry(b"", 0), count=1_000_000, body=b"PK\3\4"),
        directed(entry(b"", 0), count=(archives.TAIL_BYTES >> 10) * 20, body=b"PK\3\4"),
    ]
    async with Jail(taking.DIRECTORY_JOB, concurrent=1) as children:
        for archive in [*bombs, ONE, NAMED]:
            told = {"begins_with": "504b0304", "byte_count": len(archive)}
            directory = await children.run(
                taking.DIRECTORY_JOB, archive[-archives.TAIL_BYTES :], jail.WORKBOOK, told,
                type=Directory,
            )  # fmt: skip
            assert directory.fault is (Fault.ARCHIVE_DAMAGED if archive in bombs else None)
    assert [one.name for one in directory.entries] == ["王.jpg"]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_becomes_of_an_archive_no_byte_outside_it_is_told_of(data: st.DataObject) -> None:
    archive = pack()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(archive) - 1))
        noise = data.draw(st.binary(min_size=1, max_size=6))
        archive = archive[:at] + noise + archive[at + data.draw(st.sampled_from([0, len(noise)])) :]
    for one in read(archive).entries:
        assert 0 <= one.offset <= one.offset + one.length <= len(archive)
