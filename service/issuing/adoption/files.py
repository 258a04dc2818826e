"""The PDFs beside the sheet: found by name, hashed, and never parsed.

A file counts only if it is a regular one in the folder itself, under a plain name; links, pipes and
paths that lead elsewhere are refused. Whatever the folder holds beside what the sheet names is
refused too, because nothing can be added to a certificate once it is taken in.
"""

import hashlib
import os
import stat
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from service.ground.errors import FileUnusable, Finding
from service.issuing.adoption.sheet import Row
from service.issuing.sheets import cells
from service.registry.people import Unfit

SIZE_MAX = 10 << 20
_MAGIC = b"%PDF-"
_COLUMN = "文件名"


class Pdf(msgspec.Struct, frozen=True):
    """The file of one certificate."""

    path: Path
    sha256: bytes


class Survey(msgspec.Struct, frozen=True):
    """What a folder holds for a sheet: files by number, what is wrong, what is only lacking."""

    pdfs: Mapping[str, Pdf] = {}
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @property
    def digest(self) -> bytes:
        """SHA-256 over each number that has a file and the SHA-256 of it."""
        lines = (f"{number} {pdf.sha256.hex()}\n" for number, pdf in sorted(self.pdfs.items()))
        return hashlib.sha256("".join(lines).encode()).digest()


def survey(
    folder: Path | None, rows: Sequence[Row], done: Callable[[int], None] = lambda _: None
) -> Survey:
    """Find and hash the files of these rows; reports to `done` how many rows it has looked at.

    A row without a file name has the file `NUMBER.pdf`, where there is one.

    Raises:
        FileUnusable: the folder cannot be listed.
    """
    judgement = cells.Judgement()
    if folder is None:
        for row in rows:
            if row.file_name:
                judgement.add(Unfit("PdfFolderNotGiven"), row.row_number, _COLUMN, row.file_name)
        return Survey(errors=judgement.findings())
    left = _list(folder)
    pdfs: dict[str, Pdf] = {}
    without = []
    for count, row in enumerate(rows, start=1):
        path = left.pop(_key(row.file_name or f"{row.number}.pdf"), None)
        if path is None and row.file_name is None:
            without.append(row.row_number)
        elif pdf := _judge(judgement, row, path or folder / str(row.file_name)):
            pdfs[row.number] = pdf
        done(count)
    for path in left.values():
        judgement.add(Unfit("PdfSurplus"), None, None, path.name)
    warnings = [msgspec.structs.replace(Unfit("PdfAbsent").finding(), rows=tuple(without))]
    return Survey(pdfs, judgement.findings(), tuple(warnings if without else ()))


def read(pdf: Pdf) -> bytes:
    """Read a file again for keeping.

    Raises:
        FileUnusable: it is not what was judged any more.
    """
    try:
        content = _read(pdf.path)
    except Unfit as unfit:
        raise FileUnusable(path=pdf.path, reason=str(unfit)) from unfit
    if hashlib.sha256(content).digest() != pdf.sha256:
        raise FileUnusable(path=pdf.path, reason="内容已变 changed meanwhile")
    return content


def _list(folder: Path) -> dict[str, Path]:
    """List a folder by the names that people see, but what they do not see."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise FileUnusable(path=folder, reason=error.strerror) from error
    return {_key(path.name): path for path in paths if not path.name.startswith(".")}


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _judge(judgement: cells.Judgement, row: Row, path: Path) -> Pdf | None:
    try:
        sha256 = hashlib.sha256(_read(path)).digest()
    except Unfit as unfit:
        judgement.add(unfit, row.row_number, _COLUMN, path.name)
        return None
    judgement.once("PdfRepeated", row.row_number, _COLUMN, path.name, sha256.hex())
    return Pdf(path, sha256)


def _read(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unfit("PdfUnreadable", reason="不是普通文件 not a regular file")
            content = file.read(SIZE_MAX + 1)
    except FileNotFoundError as error:
        raise Unfit("PdfMissing") from error
    except OSError as error:
        raise Unfit("PdfUnreadable", reason=error.strerror) from error
    if len(content) > SIZE_MAX:
        raise Unfit("PdfTooLarge", limit=SIZE_MAX >> 20)
    if not content.startswith(_MAGIC):
        raise Unfit("PdfNotPdf")
    return content
