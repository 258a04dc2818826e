"""The store of sealed bytes: each under its own SHA-256, in a local folder or an object store.

`put_all` returns when the bytes are durable, and putting them again is harmless: what a crash left
torn is replaced whole, and what was durable never ceases to be. `get` hands out nothing that does
not carry the digest it was asked for. Nothing is ever changed or removed.
"""

import asyncio
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from service.ground.errors import ObjectDamaged, ObjectMissing, StoreUnavailable


class Objects:
    """A store of immutable bytes, safe to share between tasks and processes."""

    def __init__(self, store: Any, folder: Path | None) -> None:
        self._store = store
        self._folder = folder
        self._durable_folders: set[Path] = set()

    @classmethod
    def open(cls, place: str | Path) -> Self:
        """Open a local folder, made where it is missing, or the store behind an `s3://` URL.

        Raises: StoreUnavailable.
        """
        url = str(place)
        with _storing():
            if "://" in url and not url.startswith("file://"):
                return cls(from_url(url), None)
            folder = Path(url.removeprefix("file://")).absolute()
            missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            for made in missing:
                _sync(made.parent)
            return cls(LocalStore(folder), folder)

    async def put_all(self, blobs: Sequence[bytes]) -> list[str]:
        """Store each blob and return their digests, in order, once all of them are durable.

        Raises: StoreUnavailable; some may be stored and some not.
        """
        with _storing():
            return await asyncio.gather(*(asyncio.to_thread(self._put, blob) for blob in blobs))

    async def get(self, sha256: str) -> bytes:
        """Fetch the bytes of a digest.

        Raises: ObjectMissing, ObjectDamaged, StoreUnavailable.
        """
        with _storing():
            try:
                response = await obstore.get_async(self._store, _key(sha256))
                content = bytes(await response.bytes_async())
            except FileNotFoundError as error:
                raise ObjectMissing(sha256=sha256) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ObjectDamaged(sha256=sha256)
        return content

    def _put(self, blob: bytes) -> str:
        sha256 = hashlib.sha256(blob).hexdigest()
        if self._folder is None:
            obstore.put(self._store, _key(sha256), blob)
        else:
            self._write(self._folder / _key(sha256), blob)
        return sha256

    def _write(self, path: Path, blob: bytes) -> None:
        """Make a file, its entry and the entries of its folders durable; the latter only once.

        It is written and synced beside its place, because another worker's durable file may stand
        there, promised to a holder already: that is only ever replaced by another durable one.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{secrets.token_hex(16)}")
        try:
            with draft.open("xb") as file:
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        _sync(path.parent)
        for parent in (path.parent, path.parent.parent):
            if parent not in self._durable_folders:
                _sync(parent.parent)
                self._durable_folders.add(parent)


@contextmanager
def _storing() -> Iterator[None]:
    try:
        yield
    except (OSError, BaseError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise StoreUnavailable(reason=reason) from error


def _key(sha256: str) -> str:
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}.pdf"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
