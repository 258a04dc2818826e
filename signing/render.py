"""Faces and forms: a record and its QR, or the facts of a form, become a PDF by Typst.

Promises that equal arguments give equal bytes, in every process and in any order, for a face that
is sealed again must be the same file. Faces are PDF/A-3a and PDF/UA-1, and so are forms if not told
otherwise; refused is what holds a character that the fonts cannot draw. Wording and layout belong
to the folder; this room only hands the facts over.
"""

import datetime
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import typst
from fontTools.ttLib import TTFont

from signing import metadata
from signing.errors import FaceNotDrawn, FormNotDrawn
from signing.record import Record

ARCHIVED: "Sequence[typst.PDFStandard]" = ("a-3a", "ua-1")
DARK_RUN = re.compile(rb"\x01+")


class Edition:
    """A folder with `main.typ`, opened once; its compiler keeps fonts and artwork warm."""

    def __init__(self, folder: Path, fonts: Path) -> None:
        self.name = folder.name
        self._compiler = typst.Compiler(root=folder, font_paths=[fonts], ignore_system_fonts=True)

    def render(
        self,
        record: Record,
        modules: Sequence[Sequence[int]],
        *,
        specimen: bool,
        rendered_at: datetime.datetime,
    ) -> bytes:
        """Return the face as PDF. `modules` is the QR without quiet zone, 1 = dark, 45 to 85 wide.

        Raises:
            FaceNotDrawn: the edition cannot draw this record.
        """
        facts = (
            f"json(bytes({_literal(record.canonical().decode())}))",
            str(specimen).lower(),
            str(len(modules)),
            _literal(bars(modules)),
            _literal(metadata.to_xml(record).decode()),
        )
        page = f'#import "main.typ": face\n#face({", ".join(facts)})'
        try:
            face = self._compiler.compile(
                page.encode(),
                format="pdf",
                pdf_standards=list(ARCHIVED),
                timestamp=int(rendered_at.timestamp()),
            )
        except typst.TypstError as error:
            raise FaceNotDrawn(number=record.number, reason=error.message) from error
        return cast("bytes", face)


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


def bars(modules: Sequence[Sequence[int]]) -> str:
    """Return an SVG path with one filled bar for every run of dark modules.

    Bars and not strokes: poppler moves strokes to whole pixels, and blurred codes are then lost.
    """
    return "".join(
        f"M{start} {y}h{end - start}v1h{start - end}z"
        for y, row in enumerate(modules)
        for start, end in (run.span() for run in DARK_RUN.finditer(bytes(row)))
    )


def _code_points(path: Path) -> frozenset[int]:
    with TTFont(path, lazy=True) as font:
        return frozenset(font.getBestCmap())


def _literal(text: str) -> str:
    """Return a string literal of the edition's language, which only a quote can end."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
