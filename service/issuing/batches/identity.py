"""Identity: how a row of results is known again when it comes in another upload.

A row is known by its person and project, for a batch holds these once; else by its admission
number; else by the mark that a sheet given back with its errors carries, as far as it is ours. In
this order, because marks are copied, sorted apart from their rows and typed, and what a row itself
says is not. A row that nothing knows gets an identity of its own, made of what it says.

Everything here is a keyed hash, so that what is kept of a refused file tells of nobody.
"""

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import msgspec

from service.issuing.batches.rows import Refused, Row
from service.registry.vault import Lookup
from signing import token

_HASH_BYTES = 10
_NOTHING = bytes(_HASH_BYTES)  # the hash of what is absent or cannot be read
_TRACE = struct.Struct(f"{_HASH_BYTES}s" * 4)
_MARK = re.compile(r"[0-9a-hjkmnp-tv-z]{16}")
_encoder = msgspec.msgpack.Encoder(decimal_format="number")  # 85 and 85.0 are one score


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row as it came in: its number, its mark if it can be one, and hashes of what it says."""

    row_number: int
    mark: bytes
    candidate: bytes
    admission: bytes
    content: bytes

    def trace(self, identity: bytes) -> "Trace":
        """Return what is kept of the row under an identity."""
        return Trace(identity, self.candidate, self.admission, self.content)


class Trace(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a row that came in, to know it again."""

    identity: bytes
    candidate: bytes
    admission: bytes
    content: bytes

    @property
    def mark(self) -> str:
        """How the identity is written into a sheet."""
        return token.encode_id(self.identity)

    def packed(self) -> bytes:
        """Write it as bytes, every one as long as another."""
        return self.identity + self.candidate + self.admission + self.content


class Counts(msgspec.Struct, frozen=True):
    """How rows differ from those known before; `gone` are not among them any more."""

    new: int
    mended: int
    unchanged: int
    gone: int


def compare(rows: Sequence[Trace], known: Sequence[Trace]) -> Counts:
    """Count what became of the known rows, and which are new beside them."""
    before = {one.identity: one.content for one in reversed(known)}
    mended = sum(before.get(one.identity, one.content) != one.content for one in rows)
    new = sum(one.identity not in before for one in rows)
    kept = len(rows) - new
    return Counts(new, mended, kept - mended, len(before) - kept)


def unpack(packed: bytes) -> list[Trace]:
    """Read traces that were packed one after the other."""
    return [Trace(*parts) for parts in _TRACE.iter_unpack(packed)]


def read(mark: str | None) -> bytes:
    """Read what stands where a mark may stand; nothing where it cannot be one."""
    typed = "".join((mark or "").split()).lower()
    return token.decode_id(typed) if _MARK.fullmatch(typed) else _NOTHING


class Reader:
    """Reads the rows of one file of one institution in one city."""

    def __init__(self, lookup: Lookup, city_code: str, uscc: str, file_sha256: bytes) -> None:
        self._lookup, self._file = lookup, file_sha256.hex()
        self._institution = f"{city_code} {uscc}"

    def line(self, row: Row | Refused) -> Line:
        """Read a row, whether it holds or not; of two that say the same the hashes are the same."""
        return Line(
            row_number=row.row_number,
            mark=read(row.mark),
            candidate=self._hash("candidate", row.id_number, row.project),
            admission=self._hash("admission", row.admission_number),
            content=self._lookup.keyed("row content", _encoder.encode(row.said))[:_HASH_BYTES],
        )

    def identify(self, lines: Sequence[Line], known: Sequence[Trace]) -> list[Trace]:
        """Find for every line the row that it is among the known ones, or an identity of its own.

        No two lines are the same row: of those that could be, the first is.
        """
        found: dict[int, bytes] = {}
        taken: set[bytes] = set()
        for source in self._sources(known):
            for line in lines:
                identity = source(line) if line.row_number not in found else None
                if identity and identity not in taken:
                    found[line.row_number] = identity
                    taken.add(identity)
        taken.update(trace.identity for trace in known)
        for line in lines:
            if line.row_number not in found:
                own = next(one for one in self._own(line) if one not in taken)
                found[line.row_number] = own
                taken.add(own)
        return [line.trace(found[line.row_number]) for line in lines]

    def _sources(self, known: Sequence[Trace]) -> Iterator[Callable[[Line], bytes | None]]:
        """By what a line is known, the surest first."""
        if known:
            by_candidate = {one.candidate: one.identity for one in reversed(known)}
            by_admission = {one.admission: one.identity for one in reversed(known)}
            marks = {one.identity: one.identity for one in known}
            by_candidate.pop(_NOTHING, None)
            by_admission.pop(_NOTHING, None)
            yield lambda line: by_candidate.get(line.candidate)
            yield lambda line: by_admission.get(line.admission)
            yield lambda line: marks.get(line.mark)
            yield lambda line: marks.get(self._hash("place", self._file, str(line.row_number)))

    def _own(self, line: Line) -> Iterator[bytes]:
        """Identities that a new row may take, the most telling first."""
        words = (line.admission, line.candidate)
        places = (f"{line.row_number}" + " again" * attempt for attempt in count())
        yield from (one for one in words if one != _NOTHING)
        yield from (self._hash("place", self._file, place) for place in places)

    def _hash(self, use: str, *words: str | None) -> bytes:
        if None in words:
            return _NOTHING
        said = "\0".join((self._institution, *filter(None, words)))
        return self._lookup.keyed(f"row {use}", said.encode())[:_HASH_BYTES]
