"""Faces and forms: a record with photo and QR, or the facts of a form, become a PDF by Typst.

Promises that equal arguments give equal bytes, in every process and in any order, for a face that
is sealed again must be the same file. Faces are PDF/A-3a and PDF/UA-1, and so are forms if not told
otherwise; refused is what holds a character that the fonts cannot draw, and a photo that is not
the record's. Wording and layout belong to the folder; this room only hands the facts over.
"""

import datetime
import functools
import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import typst
from fontTools.ttLib import TTFont

from signing import metadata, parts
from signing.errors import FaceNotDrawn, FormNotDrawn
from signing.frame import Frame
from signing.parts import Part, Place
from signing.record import Record

ARCHIVED: "Sequence[typst.PDFStandard]" = ("a-3a", "ua-1")


class _Layout(msgspec.Struct, frozen=True):
    photo_mm: Frame


class Edition:
    """A folder with `main.typ`, opened once; its compiler keeps fonts and artwork warm.

    `edition.toml`, which `main.typ` reads too, tells the place of the photo. One thread at a time.
    """

    def __init__(self, folder: Path, fonts: Path) -> None:
        self.name = folder.name
        layout = tomllib.loads((folder / "edition.toml").read_text("utf-8"))
        self.photo_mm = msgspec.convert(layout, _Layout).photo_mm
        self._compiler = typst.Compiler(root=folder, font_paths=[fonts], ignore_system_fonts=True)
        self._parts: dict[str, Part] = {}

    def render(
        self,
        record: Record,
        modules: Sequence[Sequence[int]],
        *,
        photo: bytes | None,
        specimen: bool,
        rendered_at: datetime.datetime,
    ) -> bytes:
        """Return the face as PDF. `modules` is the QR without quiet zone, 1 = dark, 45 to 85 wide.

        Raises:
            FaceNotDrawn: the edition cannot draw this record, or the photo is not the record's or
                not in the one form of a `Frame`.
            FaceUnsealable: the edition leaves no place for a part, or one for a part that is none.
        """
        self._check(record, photo)
        told = f"json(bytes({_literal(record.canonical().decode())}))"
        marked, xml = str(specimen).lower(), _literal(metadata.to_xml(record).decode())
        ring = "样章样章样章样章" if specimen else record.seal_name
        try:
            face = self._compile(
                f"face({told}, {marked}, {len(modules)}, {xml})",
                pdf_standards=list(ARCHIVED),
                timestamp=int(rendered_at.timestamp()),
            )
            drawn: dict[int, Part] = {
                Place.GROUND: self._part("ground()"),
                Place.SEAL: self._part(f"stamp({_literal(ring)}, {marked})"),
                Place.CODE: parts.code(modules),
            }
        except typst.TypstError as error:
            raise FaceNotDrawn(number=record.number, reason=error.message) from error
        if photo is not None:
            drawn[Place.PHOTO] = parts.photo(photo, self.photo_mm.pixels)
        return parts.fill(face, drawn)

    def _part(self, call: str) -> Part:
        """Let the edition draw a part, the first time that it is needed."""
        if call not in self._parts:
            pdf = self._compile(call, pdf_standards=["a-3b"], pdf_tags=False, timestamp=0)
            self._parts[call] = parts.drawn(pdf)
        return self._parts[call]

    def _compile(self, call: str, **how: Any) -> bytes:
        page = f'#import "main.typ": *\n#{call}'
        return cast("bytes", self._compiler.compile(page.encode(), format="pdf", **how))

    def _check(self, record: Record, photo: bytes | None) -> None:
        digest = None if photo is None else hashlib.sha256(photo).hexdigest()
        if digest != record.photo_sha256:
            raise FaceNotDrawn(number=record.number, reason="照片不符 not the record's photo")
        if photo is not None and not self.photo_mm.takes(photo):
            raise FaceNotDrawn(number=record.number, reason="照片格式不符 not a photo of this form")


class Form:
    """A folder with `main.typ`, whose `form(facts)` lays out any number of pages.

    `/` is the folder above, so that forms share includes: `#import "/shared.typ"`. `standards` are
    Typst's names; without any, pages are untagged, and a character that no font draws is a box.
    """

    def __init__(
        self, folder: Path, fonts: Path, standards: "Sequence[typst.PDFStandard]" = ARCHIVED
    ) -> None:
        self.name = folder.name
        self._standards = list(standards)
        self._compiler = typst.Compiler(
            root=folder.parent, font_paths=[fonts], ignore_system_fonts=True
        )

    def render(self, facts: bytes, *, rendered_at: datetime.datetime) -> bytes:
        """Return the form as PDF; `facts` is JSON.

        Raises:
            FormNotDrawn: the folder cannot draw these facts.
        """
        told = f"json(bytes({_literal(facts.decode())}))"
        page = f'#import "/{self.name}/main.typ": form\n#form({told})'
        try:
            form = self._compiler.compile(
                page.encode(),
                format="pdf",
                pdf_standards=self._standards,
                pdf_tags=bool(self._standards),
                timestamp=int(rendered_at.timestamp()),
            )
        except typst.TypstError as error:
            raise FormNotDrawn(form=self.name, reason=error.message) from error
        return cast("bytes", form)


@functools.cache
def drawable(fonts: Path) -> frozenset[int]:
    """Return the code points that the fonts in this folder can draw."""
    return frozenset().union(*map(_code_points, fonts.glob("*.ttf")))


def _code_points(path: Path) -> frozenset[int]:
    with TTFont(path, lazy=True) as font:
        return frozenset(font.getBestCmap())


def _literal(text: str) -> str:
    """Return a string literal of the edition's language, which only a quote can end."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
