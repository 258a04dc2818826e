"""The store: what is in it, what a crash leaves in it, and what it never hands out."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ground.errors import ObjectDamaged, ObjectMissing, StoreUnavailable
from service.ground.objects import Objects

BLOBS = [bytes([number]) * 25_000 for number in range(32)]


def path_of(folder: Path, sha256: str) -> Path:
    return folder / sha256[:2] / sha256[2:4] / f"{sha256}.pdf"


@pytest.mark.parametrize("scheme", ["path", "file", "memory"])
def test_what_was_put_is_got_under_its_digest(scheme: str, tmp_path: Path) -> None:
    place = {"path": str(tmp_path / "a/b"), "file": f"file://{tmp_path}/a/b", "memory": "memory://"}

    async def story() -> None:
        objects = Objects.open(place[scheme])
        digests = await objects.put_all(BLOBS)
        assert digests == [hashlib.sha256(blob).hexdigest() for blob in BLOBS]
        assert [await objects.get(digest) for digest in digests] == BLOBS
        with pytest.raises(ObjectMissing):
            await objects.get(hashlib.sha256(b"never put").hexdigest())

    asyncio.run(story())


def test_a_group_may_be_empty_and_may_repeat_itself(tmp_path: Path) -> None:
    objects = Objects.open(tmp_path)
    assert asyncio.run(objects.put_all([])) == []
    first, second = asyncio.run(objects.put_all([b"same", b"same"]))
    assert first == second
    assert asyncio.run(objects.get(first)) == b"same"


def test_another_process_finds_it_and_nothing_but_it(tmp_path: Path) -> None:
    (digest,) = asyncio.run(Objects.open(tmp_path).put_all([b"sealed"]))
    assert asyncio.run(Objects.open(tmp_path).get(digest)) == b"sealed"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [path_of(tmp_path, digest)]


@pytest.mark.parametrize("torn", [b"", b"seal", b"sealeD"])
def test_a_torn_file_is_never_handed_out_and_putting_again_mends_it(
    torn: bytes, tmp_path: Path
) -> None:
    objects = Objects.open(tmp_path)
    (digest,) = asyncio.run(objects.put_all([b"sealed"]))
    path_of(tmp_path, digest).write_bytes(torn)
    with pytest.raises(ObjectDamaged):
        asyncio.run(objects.get(digest))
    assert asyncio.run(objects.put_all([b"sealed"])) == [digest]
    assert asyncio.run(objects.get(digest)) == b"sealed"


def test_each_file_and_each_new_folder_is_synced_before_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    inodes: list[int] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        inodes.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    folder = tmp_path / "new" / "store"
    objects = Objects.open(folder)
    assert {tmp_path, tmp_path / "new"} <= set(synced)
    for blob in (b"first", b"second"):
        synced.clear()
        inodes.clear()
        (digest,) = asyncio.run(objects.put_all([blob]))
        path = path_of(folder, digest)
        draft, *folders = synced
        assert draft.parent == path.parent
        assert draft != path  # a durable file of the same name is only replaced by a durable one
        assert inodes[0] == path.stat().st_ino
        assert set(folders) == {path.parent, path.parent.parent, folder}


@given(st.lists(st.binary(max_size=64), max_size=4))
def test_whatever_is_put_is_got(blobs: list[bytes]) -> None:
    async def story() -> None:
        objects = Objects.open("memory://")
        digests = await objects.put_all(blobs)
        assert [await objects.get(digest) for digest in digests] == blobs

    asyncio.run(story())


def test_a_store_that_cannot_be_written_raises_and_does_not_pretend(tmp_path: Path) -> None:
    objects = Objects.open(tmp_path)
    digest = hashlib.sha256(b"sealed").hexdigest()
    (tmp_path / digest[:2]).write_text("a file where a folder should be", "utf-8")
    with pytest.raises(StoreUnavailable, match="Not a directory"):
        asyncio.run(objects.put_all([b"sealed"]))


def test_a_store_below_a_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder should be", "utf-8")
    with pytest.raises(StoreUnavailable):
        Objects.open(tmp_path / "file" / "objects")


def test_a_store_that_does_not_answer_is_unavailable_and_not_a_fault() -> None:
    nowhere = Objects.open("s3://bucket?endpoint=http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        asyncio.run(nowhere.get("0" * 64))
