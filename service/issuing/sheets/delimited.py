"""Delimited: a sheet as text that nobody has looked at yet (CSV), streamed row by row.

Encoding and delimiter are found, never asked for, and what a file claims is not believed: it is
UTF-16 by its mark, UTF-8 where all of it is, else GB18030 or a damaged UTF-8, whichever makes a
header of one of the first lines. It is decoded here and nowhere else. What cannot be decoded makes
its cell `Unread`, with the place of its bytes; nothing is replaced in silence. All cells are text:
what guards a text against a spreadsheet is taken off, another = at the beginning is a formula.
"""

import codecs
import csv
import itertools
import re
from collections.abc import Callable, Iterator, Sequence

from service.issuing.sheets.layouts import Cell, Form, Unread
from service.issuing.sheets.pages import COLUMNS_MAX, LETTERS, Row
from service.issuing.sheets.spreadsheets import TEXT_LENGTH_MAX
from service.registry.people import Unfit

_DELIMITERS = (",", "\t", ";")
_NAMED_DELIMITER = re.compile(r"sep=([^\w\s\"\udc80-\udcff]|\t)\s*", re.IGNORECASE)
_HEAD_LINES, _CHUNK_BYTES = 20, 1 << 20
_LINE_BYTES_MAX = 1 << 20
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_END = "end"  # a row of ours behind the last: what swallows it has no end of its own
_GUARDED = re.compile(r'="(.*)"', re.DOTALL)
_DAMAGED = re.compile(r"[\udc80-\udcff\ufffd]")
_LOST = "\ufffd".encode()
# GB 18030-2022 gives these codes, which were private use in Unicode, characters of Unicode; Python
# knows the table before it. The last six it leaves, though their glyphs have characters elsewhere.
_MOVED = dict(
    [
        *zip(range(0xE78D, 0xE797), (0xFE10, 0xFE12, 0xFE11, *range(0xFE13, 0xFE1A)), strict=True),
        *((0xE7C7, 0x1E3F), (0xE81E, 0x9FB4), (0xE826, 0x9FB5), (0xE82B, 0x9FB6), (0xE82C, 0x9FB7)),
        *((0xE832, 0x9FB8), (0xE843, 0x9FB9), (0xE854, 0x9FBA), (0xE864, 0x9FBB)),
        *((0xE816, 0x20087), (0xE817, 0x20089), (0xE818, 0x200CC)),
        *((0xE831, 0x215D7), (0xE83B, 0x2298F), (0xE855, 0x241FE)),
    ]
)
codecs.lookup("gb18030")  # later, in the jail, it could not be loaded
_MAY_HAVE_MOVED = re.compile("[\ue78d-\ue864]")


class Table:
    """The rows of a file that is text; `likeness` tells how much a row is like the header.

    `whole` keeps the cells as they stand.

    Raises: Unfit.
    """

    def __init__(
        self, data: bytes, likeness: Callable[[Sequence[str]], int], *, whole: bool = False
    ) -> None:
        encodings, self._data = _decodable(data)
        self._skipped = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
        self._whole, self._is_over = whole, False
        self._number, self._row_begin, self._row_end = 1, -1, -1
        heads = {encoding: self._head(encoding) for encoding in encodings}
        encoding, delimiter = max(
            itertools.product(heads, _DELIMITERS),
            key=lambda one: _score(heads[one[0]], one[1], likeness),
        )
        if not heads[encoding]:
            raise Unfit("FileEmpty")
        self._codec = _codec(encoding)
        named = _NAMED_DELIMITER.fullmatch(heads[encoding][0])
        if named and (line := _LINE.match(self._data, self._skipped)):
            self._skipped = line.end()
        line_end = _LINE_END.search(self._data, self._skipped)
        self.form = Form(
            kind="csv",
            encoding=encoding,
            delimiter=named[1] if named else delimiter,
            line_end=line_end[0].decode() if line_end else "\r\n",
            is_delimiter_named=named is not None,
        )

    def rows(self) -> Iterator[Row]:
        """Give each row that holds something: its number and its cells.

        Rows are counted as a spreadsheet counts them: empty ones too, a row of many lines once.
        """
        self._row_begin = -1
        reader = csv.reader(self._ended(), delimiter=self.form.delimiter, skipinitialspace=True)
        for self._number in itertools.count(1):
            try:
                row = next(reader)
            except csv.Error:
                raise Unfit("RowEndless", row=self._number) from None
            if self._is_over:
                if row == [_END]:
                    return
                raise Unfit("RowEndless", row=self._number)
            if any(map(str.strip, row[COLUMNS_MAX:])):
                raise Unfit("CellFarAway", place=f"{LETTERS[COLUMNS_MAX]}{self._number}")
            cells = list(map(self._cell, row)) if any(row) else []
            if any(cells):
                yield self._number, cells
            self._row_begin = -1

    def _head(self, encoding: str) -> list[str]:
        self._codec = _codec(encoding)
        return list(itertools.islice(self._lines(), _HEAD_LINES))

    def _ended(self) -> Iterator[str]:
        yield from self._lines()
        self._is_over = True
        yield _END

    def _lines(self) -> Iterator[str]:
        for line in _LINE.finditer(self._data, self._skipped):
            if self._row_begin < 0:
                self._row_begin = line.start()
            self._row_end = line.end()
            if len(line[0]) > _LINE_BYTES_MAX:
                raise Unfit("RowEndless", row=self._number)
            text = line[0].decode(self._codec, "surrogateescape")
            if self._codec == "gb18030" and _MAY_HAVE_MOVED.search(text):
                text = text.translate(_MOVED)
            yield text

    def _cell(self, raw: str) -> Cell:
        text = raw.strip()
        if not text.isascii() and _DAMAGED.search(text):
            shown = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
            return Unread("BytesUndecodable", shown, self._damaged_at())
        if text.startswith("=") and not _GUARDED.fullmatch(text):
            return Unread("CellFormula", text)
        if self._whole:
            return raw if text else None
        if text.startswith("="):
            text = text[2:-1].strip()
        return text.removeprefix("'")[:TEXT_LENGTH_MAX] or None

    def _damaged_at(self) -> int:
        """Find the first byte of this row that cannot be decoded, counted from 1."""
        row = self._data[self._row_begin : self._row_end]
        try:
            row.decode(self._codec)
        except UnicodeDecodeError as error:
            return self._row_begin + error.start + 1
        return self._row_begin + max(row.find(_LOST), 0) + 1


def _codec(encoding: str) -> str:
    return "gb18030" if encoding == "gb18030" else "utf-8"


def _decodable(data: bytes) -> tuple[Sequence[str], bytes]:
    """Tell which encodings it may have.

    UTF-16 is given as UTF-8, which has no end of a line within a character.

    Raises:
        Unfit: it is UTF-16 and not well formed.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return ["utf-16"], data.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise Unfit("BytesUndecodable", encoding="UTF-16", at=error.start + 1) from None
    utf8 = "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"
    return ([utf8] if _is_utf8(data) else ["gb18030", utf8]), data


def _is_utf8(data: bytes) -> bool:
    """Tell whether all of it is UTF-8, without holding all the text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for begin in range(0, len(data), _CHUNK_BYTES):
        chunk = data[begin : begin + _CHUNK_BYTES]
        try:
            decoder.decode(chunk, final=begin + _CHUNK_BYTES >= len(data))
        except UnicodeDecodeError:
            return False
    return True


def _score(
    lines: Sequence[str], delimiter: str, likeness: Callable[[Sequence[str]], int]
) -> tuple[int, int]:
    """Tell how likely a header one of the first lines makes, and how many columns one has."""
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return 0, 0
    return max(map(likeness, rows), default=0), max(map(len, rows), default=0)
