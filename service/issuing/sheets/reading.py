"""A workbook as bytes: one sheet of a known layout read into typed cells, nothing judged yet.

`read` runs in the jail, without files or network, so everything it needs is imported here. Whatever
the bytes are, it answers with a `Sheet`: rows, or the one problem that kept them from being read.
Sizes are bounded before the parser may allocate; what slips past these bounds, the jail stops.
"""

import datetime
import encodings.cp437  # noqa: F401 - zipfile decodes old entry names with it and would load it late
import io
import itertools
import math
import operator
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import python_calamine as calamine

from service.issuing.sheets import layouts
from service.issuing.sheets.layouts import RESULTS, Cell, Day, Layout, Sheet
from service.registry import people
from service.registry.people import Unfit

_COLUMNS_MAX = 52
_HEADER_ROW_MAX = 20
_HEADER_KNOWN_MIN = 3
_HEADER_REMARK = re.compile(r"(?<=.)[(（\[【][^(（\[【]*[)）\]】]$")
_TEXT_LENGTH_MAX = 300
_INTEGER_MAX = 2**63  # what a JSON reader takes for an integer
_ENTRIES_MAX = 1_000
_UNPACKED_BYTES_MAX = 256 * 2**20
_BROKEN = (
    calamine.CalamineError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
)
_CHUNK_BYTES = 2**20
_TAG_BYTES_MAX = 256

_OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_WORKBOOK_PART = re.compile(r"xl/workbook\d*\.xml")
# A filled cell right of column AZ or below row 109 999: the parser allocates the whole rectangle.
_FAR_CELL = re.compile(
    rb"""<(?:\w+:)?c\s(?:[^<>]{0,99}?\s)?r=["'](?:[A-Z]{3,}\d+|[B-Z][A-Z]\d+|"""
    rb"""[A-Z]{1,2}(?:\d{7,}|[2-9]\d{5}|1[1-9]\d{4}))["'][^<>]{0,99}(?<!/)>"""
)


def read(data: bytes, layout: Layout = RESULTS) -> Sheet:
    """Read the sheet of this layout from a workbook that nobody has looked at yet."""
    try:
        _inspect(data)
        return _choose(_open(data, layout), layout)
    except Unfit as unfit:
        return Sheet(problem=unfit.finding())
    except _BROKEN:
        return Sheet(problem=Unfit("WorkbookBroken").finding())


def _inspect(data: bytes) -> None:
    """Refuse what is no workbook or would not fit, reading each entry once in small pieces."""
    if data.startswith(_OLE_MAGIC):
        raise Unfit("WorkbookEncrypted" if _OLE_ENCRYPTED in data else "WorkbookLegacy")
    if not data.startswith(b"PK"):
        raise Unfit("WorkbookNotXlsx")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if not any(map(_WORKBOOK_PART.fullmatch, archive.namelist())):
            raise Unfit("WorkbookNotXlsx")
        if len(entries) > _ENTRIES_MAX or sum(e.file_size for e in entries) > _UNPACKED_BYTES_MAX:
            raise Unfit("WorkbookTooLarge")
        for entry in entries:
            tail = b""
            with archive.open(entry) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    if _FAR_CELL.search(tail + chunk):
                        raise Unfit("WorkbookTooLarge")
                    tail = chunk[-_TAG_BYTES_MAX:]


def _open(data: bytes, layout: Layout) -> list[calamine.CalamineSheet]:
    """Open the sheets that a user sees, except our own guide and project list."""
    book = calamine.load_workbook(io.BytesIO(data))
    sheets = [
        book.get_sheet_by_name(sheet.name)
        for sheet in book.sheets_metadata
        if sheet.typ is calamine.SheetTypeEnum.WorkSheet
        and sheet.visible is calamine.SheetVisibleEnum.Visible
        and sheet.name not in (layouts.GUIDE_SHEET, layouts.PROJECTS_SHEET)
    ]
    if not sheets:
        raise Unfit("SheetMissing", sheet=layout.sheet)
    return sheets


def _choose(sheets: list[calamine.CalamineSheet], layout: Layout) -> Sheet:
    """Read the sheet with the layout's name, else the only one that holds anything."""
    filled = [sheet for sheet in sheets if any(any(map(_name, row)) for row in sheet.iter_rows())]
    named = [sheet for sheet in sheets if sheet.name == layout.sheet]
    others = tuple(sheet.name for sheet in filled if sheet.name != layout.sheet)
    if not named and len(others) > 1:
        return Sheet(sheets_rival=others)
    read = _sheet((named or filled or sheets)[0], layout)
    return msgspec.structs.replace(read, sheets_ignored=others if named else ())


def _sheet(source: calamine.CalamineSheet, layout: Layout) -> Sheet:
    if source.width > _COLUMNS_MAX:
        raise Unfit("WorkbookTooLarge")
    numbered = enumerate(source.iter_rows(), 1)
    columns = layout.columns
    header = _header(numbered, columns)
    unknown = tuple(name for name in header if name and name not in columns)
    missing = tuple(name for name in columns if name not in {*header, *layout.optional})
    repeated = tuple(name for name in columns if header.count(name) > 1)
    if missing or repeated:
        return Sheet(unknown=unknown, missing=missing, repeated=repeated)
    places = {name: place for place, name in enumerate(header)}
    pick = operator.itemgetter(*(places.get(name, -1) for name in columns))  # -1: put there empty
    rows: list[tuple[int, tuple[Cell, ...]]] = []
    for number, row in numbered:
        cells = tuple(map(_cell, pick((*row, ""))))
        if cells.count(None) == len(cells):
            continue
        if len(rows) == layouts.ROWS_MAX:
            raise Unfit("WorkbookTooLarge")
        rows.append((number, cells))
    return Sheet(rows=tuple(rows), unknown=unknown)


def _header(numbered: Iterator[tuple[int, list[Any]]], columns: Sequence[str]) -> list[str]:
    """Advance past the header: the first row that names half of the columns, else the likeliest."""
    seen: list[list[str]] = []
    for _, row in itertools.islice(numbered, _HEADER_ROW_MAX):
        names = [_name(cell) for cell in row]
        if len(set(names) & set(columns)) * 2 >= len(columns):
            return names
        if any(names):
            seen.append(names)
    if not seen:
        raise Unfit("SheetEmpty")
    likeliest = max(seen, key=lambda names: len(set(names) & set(columns)))
    if len(set(likeliest) & set(columns)) < _HEADER_KNOWN_MIN:
        raise Unfit("HeaderMissing")
    return likeliest


def _name(cell: Any) -> str:
    """Return a header without spaces, stars and a bracketed remark at its end."""
    name = "".join(str(cell).translate(people.ZERO_WIDTH).split()).strip("*＊")
    return _HEADER_REMARK.sub("", name[:_TEXT_LENGTH_MAX]).strip("*＊")


def _cell(value: Any) -> Cell:
    if isinstance(value, str):
        return value.strip()[:_TEXT_LENGTH_MAX] or None
    if isinstance(value, datetime.datetime):
        return Day(value.date())
    if isinstance(value, datetime.date):
        return Day(value)
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() and abs(value) < _INTEGER_MAX else value
    return value if isinstance(value, bool | int) else str(value)
