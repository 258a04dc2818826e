"""PDF as Typst writes it: objects one behind the other, then one cross-reference table.

Objects are found through the table alone, never by searching the file: what a text of the page
says is never taken for structure. A PDF of any other shape is refused.
"""

import itertools
import re
from typing import Self

import msgspec

from signing.errors import FaceUnsealable

_START = re.compile(rb"startxref\n(\d{1,10})\n%%EOF\n?\Z")
_TAIL = re.compile(
    rb"xref\n0 (?P<size>\d+)\n0{10} 65535 f\r\n(?P<entries>(?:\d{10} 00000 n\r\n)+)trailer\n"
    rb"<</Size (?P=size)(?P<identity>/Root (?P<catalog>\d+) 0 R/Info \d+ 0 R/ID\[\([\w+/=]+\))"
    rb"(?P<last_id>\([\w+/=]+\))\]>>\nstartxref\n\d+\n%%EOF\n?"
)
_CATALOG = re.compile(rb"<</Type/Catalog/Pages (\d+) 0 R.*>>", re.DOTALL)
_PAGES = re.compile(rb"<</Type/Pages/Count (\d+)/Kids\[(\d+ 0 R(?: \d+ 0 R)*)\]>>")
_ENTRY = b"%010d 00000 n\r\n"


class Written(msgspec.Struct, frozen=True):
    """A PDF taken apart: its header, and the body of object `n` at `bodies[n - 1]`.

    `identity` is its trailer from /Root to the first file id.
    """

    header: bytes
    bodies: tuple[bytes, ...]
    catalog_number: int
    identity: bytes
    last_id: bytes
    xref_at: int

    @classmethod
    def of(cls, pdf: bytes) -> Self:
        """Take a PDF apart.

        Raises: FaceUnsealable where it has another shape.
        """
        start = _START.search(pdf, max(0, len(pdf) - 40))
        tail = start and _TAIL.fullmatch(pdf, int(start[1]))
        if not start or not tail:
            raise FaceUnsealable(part="xref")
        xref_at = int(start[1])
        offsets = [int(entry[:10]) for entry in tail["entries"].splitlines()]
        if len(offsets) != int(tail["size"]) - 1:
            raise FaceUnsealable(part="xref")
        places = enumerate(itertools.pairwise((*offsets, xref_at)), start=1)
        return cls(
            header=pdf[: offsets[0]],
            bodies=tuple(_body(number, pdf[at:end]) for number, (at, end) in places),
            catalog_number=int(tail["catalog"]),
            identity=tail["identity"],
            last_id=tail["last_id"],
            xref_at=xref_at,
        )

    def to_pdf(self) -> bytes:
        """Write it as Typst would: the same bytes again where nothing was changed."""
        pieces, offsets, at = [self.header], [], len(self.header)
        for number, body in enumerate(self.bodies, start=1):
            pieces.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
            offsets.append(at)
            at += len(pieces[-1])
        size = len(self.bodies) + 1
        pieces.append(b"xref\n0 %d\n0000000000 65535 f\r\n" % size)
        pieces += (_ENTRY % offset for offset in offsets)
        pieces.append(
            b"trailer\n<</Size %d%s%s]>>\nstartxref\n%d\n%%%%EOF"
            % (size, self.identity, self.last_id, at)
        )
        return b"".join(pieces)

    def body(self, number: int) -> bytes:
        """Return an object as it stands."""
        if not 0 < number <= len(self.bodies):
            raise FaceUnsealable(part=f"{number} 0 obj")
        return self.bodies[number - 1]

    def read(self, number: int, shape: re.Pattern[bytes]) -> re.Match[bytes]:
        """Return an object that has to be of that shape."""
        found = shape.fullmatch(self.body(number))
        if not found:
            raise FaceUnsealable(part=f"{number} 0 obj")
        return found

    def page_numbers(self) -> list[int]:
        """Return the numbers of the objects that are pages, in order."""
        tree = self.read(int(self.read(self.catalog_number, _CATALOG)[1]), _PAGES)
        numbers = [int(number) for number in tree[2].split()[::3]]
        if not int(tree[1]) == len(numbers) == len(set(numbers)):
            raise FaceUnsealable(part="pages")
        return numbers


def _body(number: int, whole: bytes) -> bytes:
    begin, end = b"%d 0 obj\n" % number, b"\nendobj\n"
    if not (whole.startswith(begin) and whole.endswith(end)):
        raise FaceUnsealable(part=f"{number} 0 obj")
    return whole[len(begin) : -len(end)]
