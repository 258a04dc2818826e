"""Spreadsheets: what the sheets of an .xlsx workbook that nobody has looked at share.

A workbook is an archive of XML. Parts of it are streamed, never held; sizes are bounded by what the
archive declares, beyond which it gives nothing out. Nothing is run and nothing else is opened: not
even looked at are macros, links and embedded files. XML with a document type is refused, and every
entity with it; so is an archive that another reader could unpack otherwise.

Source: ECMA-376 part 1, 18.3 and 18.8; what its strict form has of its own is namespaces, which
are not asked for.
"""

import contextlib
import datetime
import encodings.cp437  # noqa: F401 - zipfile decodes old entry names with it and would load it late
import io
import itertools
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from xml.parsers import expat

import msgspec

from service.issuing.sheets.layouts import Cell, Day
from service.registry.people import Unfit

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    expat.ExpatError,
    EOFError,
    LookupError,
    NotImplementedError,  # so zipfile calls a packing that it does not know
    OSError,  # XML named an encoding that would have to be loaded
    ValueError,
)
_ENTRIES_MAX = 1_000
_UNPACKED_BYTES_MAX = 256 << 20
_CHUNK_BYTES = 1 << 17
_ENTRY_HEAD_BYTES, _ENCRYPTED_FLAG = 30, 1
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_STRINGS_MAX = 4_000_000
TEXT_LENGTH_MAX, _TEXT_LENGTH_WHOLE_MAX = 300, 32_767
_INTEGER_MAX = 2**63  # what a JSON reader takes for an integer

TRUE = {"1", "true", "on"}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[Ee][+-]?[0-9]{1,4})?")
_ESCAPED = re.compile(r"_x((?![Dd][89A-Fa-f])[0-9A-Fa-f]{4})_")
_NOT_OF_A_DATE = re.compile(r'"[^"]*"|\[[^\]]*\]|[\\_*].')
_OF_A_DATE = re.compile(r"[ymdhs]", re.IGNORECASE)
_DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
# Serial 60 is 1900-02-29, which never was; from 1900-03-01 on this day is right.
_ZERO_1900, _ZERO_1904 = datetime.datetime(1899, 12, 30), datetime.datetime(1904, 1, 1)  # noqa: DTZ001 - spreadsheets know no zone
_SERIAL_MAX = 2_958_465


class Sheet(msgspec.Struct, frozen=True):
    """A worksheet: its name, the part that holds it, and whether nobody sees it."""

    name: str
    part: str
    is_hidden: bool


@contextlib.contextmanager
def refused_if_broken() -> Iterator[None]:
    """Refuse a workbook that turns out not to be what it should be, while it is taken apart."""
    try:
        yield
    except Unfit:
        raise
    except _BROKEN:
        raise Unfit("WorkbookBroken") from None


class Workbook:
    """A workbook, and what its sheets share; `whole` keeps texts and times as they stand.

    Raises: Unfit.
    """

    @refused_if_broken()
    def __init__(self, data: bytes, *, whole: bool = False) -> None:
        self._archive = zipfile.ZipFile(io.BytesIO(data))
        self._entries = _entries(self._archive)
        self._whole = whole
        self.has_macros = any(re.search(r"vbaproject|macrosheets/", one) for one in self._entries)
        ((_, book),) = self._links("")["officeDocument"]
        links = self._links(book)
        self.sheets, self.is_from_1904 = _sheets(self._elements(book), links.get("worksheet", []))
        self._zero = _ZERO_1904 if self.is_from_1904 else _ZERO_1900
        self._date_styles: set[str] = set()
        for _, part in links.get("styles", []):
            self._date_styles.update(_date_styles(self._elements(part)))
        strings = _Strings(self)
        for _, part in links.get("sharedStrings", []):
            for _ in self.feed(part, strings.parser):
                if len(strings.texts) > _STRINGS_MAX:
                    raise Unfit("WorkbookTooLarge")
        self.strings = strings.texts

    def feed(self, part: str, parser: expat.XMLParserType) -> Iterator[None]:
        """Have a part parsed piece by piece."""
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        with refused_if_broken():
            with self._archive.open(self._entries[part.lower()]) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    parser.Parse(chunk)
                    yield
            parser.Parse(b"", True)
            yield

    def text(self, raw: str) -> str:
        """Bring a text to what is kept of it: what is cut off here was too long before."""
        if "_x" in raw:
            raw = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), raw)
        text = raw.strip()
        return raw[:_TEXT_LENGTH_WHOLE_MAX] if self._whole and text else text[:TEXT_LENGTH_MAX]

    def number(self, text: str, style: str) -> Cell:
        """Read a number, which is a day where its style says so."""
        value = float(text) if _NUMBER.fullmatch(text) else None
        if value is None or abs(value) == float("inf"):
            return text[:TEXT_LENGTH_MAX]
        if style in self._date_styles and 0 <= value <= _SERIAL_MAX:
            return self.moment(self._zero + datetime.timedelta(seconds=round(value * 86_400)))
        return int(value) if value.is_integer() and abs(value) < _INTEGER_MAX else value

    def moment(self, moment: datetime.datetime) -> Cell:
        """Keep the day of a moment; its time too where everything is kept, as text."""
        if moment.date() == self._zero.date():
            return str(moment.time())
        if self._whole and moment.time() != datetime.time():
            return str(moment)
        return Day(moment.date())

    def _elements(self, part: str) -> Iterator[tuple[str, dict[str, str]]]:
        """Give what begins in a small part, with its attributes."""
        begun: list[tuple[str, dict[str, str]]] = []
        parser = expat.ParserCreate()
        parser.StartElementHandler = lambda tag, given: begun.append((local(tag), given))
        for _ in self.feed(part, parser):
            yield from begun
            begun.clear()

    def _links(self, part: str) -> dict[str, list[tuple[str, str]]]:
        """Return, for each kind of link inside the archive, the ids and parts that it leads to."""
        folder, name = posixpath.split(part)
        found: dict[str, list[tuple[str, str]]] = {}
        for element, given in self._elements(posixpath.join(folder, "_rels", f"{name}.rels")):
            if element == "Relationship" and given.get("TargetMode") != "External":
                target = posixpath.join("/", folder, given["Target"].replace("\\", "/"))
                kind = given["Type"].rpartition("/")[2]
                link = (given["Id"], posixpath.normpath(target).lstrip("/"))
                found.setdefault(kind, []).append(link)
        return found


class _Strings:
    """The texts that cells name by their number; how they are said aloud is left out."""

    def __init__(self, workbook: Workbook) -> None:
        self.texts: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._begin, self._end
        self._text, self._pieces = workbook.text, list[str]()

    def _begin(self, tag: str, _: dict[str, str]) -> None:
        name = local(tag)
        if name == "t":
            self.parser.CharacterDataHandler = self._pieces.append
        elif name == "rPh":
            self.parser.StartElementHandler = None

    def _end(self, tag: str) -> None:
        self.parser.CharacterDataHandler = None
        name = local(tag)
        if name == "si":
            self.texts.append(self._text("".join(self._pieces)))
            self._pieces.clear()
        elif name == "rPh":
            self.parser.StartElementHandler = self._begin


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the parts by their names, where they are as a spreadsheet program writes them."""
    listed = archive.infolist()
    if len(listed) > _ENTRIES_MAX or sum(one.file_size for one in listed) > _UNPACKED_BYTES_MAX:
        raise Unfit("WorkbookTooLarge")
    if any(one.flag_bits & _ENCRYPTED_FLAG for one in listed):
        raise Unfit("WorkbookEncrypted")
    named = {one.filename.replace("\\", "/").lower(): one for one in listed}
    places = sorted((one.header_offset, one.compress_size + _ENTRY_HEAD_BYTES) for one in listed)
    overlap = any(at + size > behind for (at, size), (behind, _) in itertools.pairwise(places))
    outside = any(name.startswith("/") or ".." in name.split("/") for name in named)
    packed = any(one.compress_type not in _PACKED for one in listed)
    if len(named) < len(listed) or overlap or outside or packed:
        raise Unfit("WorkbookIrregular")
    return named


def _sheets(
    elements: Iterable[tuple[str, dict[str, str]]], links: Iterable[tuple[str, str]]
) -> tuple[list[Sheet], bool]:
    """Return the worksheets, and whether the workbook counts its days from 1904."""
    parts, sheets, is_from_1904 = dict(links), [], False
    for name, given in elements:
        if name == "workbookPr":
            is_from_1904 = given.get("date1904") in TRUE
        elif name == "sheet":
            link = next((value for key, value in given.items() if local(key) == "id"), "")
            if link in parts:  # else it is a chart, a dialogue or a sheet of macros
                is_hidden = given.get("state", "visible") != "visible"
                sheets.append(Sheet(given["name"], parts[link], is_hidden))
    return sheets, is_from_1904


def _date_styles(elements: Iterable[tuple[str, dict[str, str]]]) -> Iterator[str]:
    """Give the numbers of the cell styles that show a number as a day or a time."""
    formats, of_cells, number = set(map(str, _DATE_FORMATS)), False, 0
    for name, given in elements:
        if name == "numFmt":
            code = _NOT_OF_A_DATE.sub("", given["formatCode"])
            (formats.add if _OF_A_DATE.search(code) else formats.discard)(given["numFmtId"])
        elif name in ("cellStyleXfs", "cellXfs", "cellStyles"):
            of_cells = name == "cellXfs"
        elif name == "xf" and of_cells:
            if given.get("numFmtId") in formats:
                yield str(number)
            number += 1


def local(tag: str) -> str:
    """Return a name of XML without its prefix."""
    return tag.rpartition(":")[2]


def _refuse_doctype(*_: object) -> None:
    raise Unfit("WorkbookIrregular")
