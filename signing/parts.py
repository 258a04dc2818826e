"""Parts of a face that Typst leaves room for and does not draw: ground, seal, photo and QR code.

An edition places each as an image, tagged and described like any other, that is as many pixels
wide as the number of the part and one high; here the part takes the place of that image. So what
is the same on many faces is laid out, and its fonts are cut, once; a photo stands in the file as
the bytes that it is; a code costs no more than its lines. A part fills the unit square.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from enum import IntEnum

import msgspec

from signing.errors import FaceUnsealable
from signing.written import Written


class Place(IntEnum):
    """The width in pixels of the image that keeps the place of a part."""

    GROUND = 1
    SEAL = 2
    PHOTO = 3
    CODE = 4


class Part(msgspec.Struct, frozen=True):
    """A stream object, and what it draws with: references count in `objects`, from 0."""

    dictionary: bytes
    content: bytes
    objects: tuple[bytes, ...] = ()


_PLACE = re.compile(rb"<</Length \d+/Type/XObject/Subtype/Image/Filter/\w+/Width (\d+)/Height 1/")
_PAGE = re.compile(
    rb"<</Type/Page/Resources (\d+) 0 R/MediaBox\[0 0 ([\d.]+) ([\d.]+)\].*/Contents (\d+) 0 R>>"
)
_STREAM = re.compile(rb"<</Length \d+/Filter/FlateDecode>>\nstream\n(.*)\nendstream", re.DOTALL)
_STREAM_BEGINS, _STREAM_ENDS = b"\nstream\n", b"\nendstream"
_DARK_RUN = re.compile(rb"\x01+")
_REFERENCE = re.compile(rb"\b(\d+) 0 R\b")
_FORM = b"/Type/XObject/Subtype/Form/BBox[0 0 %.4f %.4f]/Matrix[%.9f 0 0 %.9f 0 0]/Resources%s"


def drawn(pdf: bytes) -> Part:
    """Take the first page that Typst wrote, with all that it draws with."""
    file = Written.of(pdf)
    resources, width, height, contents = file.read(file.page_numbers()[0], _PAGE).groups()
    numbers = _needed(file, int(resources), [])
    places = {number: place for place, number in enumerate(numbers)}
    *objects, drawing = (_renumbered(file.body(number), places) for number in numbers)
    content = file.read(int(contents), _STREAM)[1]
    form = _form(float(width), float(height), drawing) + b"/Filter/FlateDecode"
    return Part(form, zlib.compress(zlib.decompress(content), 9), tuple(objects))


def photo(jpeg: bytes, size: tuple[int, int]) -> Part:
    """Take a JPEG of three components as it is."""
    image = b"/Type/XObject/Subtype/Image/Filter/DCTDecode/Width %d/Height %d" % size
    return Part(image + b"/ColorSpace/DeviceRGB/BitsPerComponent 8", jpeg)


def code(modules: Sequence[Sequence[int]]) -> Part:
    """Draw the dark modules of a QR code as filled bars, one for every run of them.

    Bars and not strokes: poppler moves strokes to whole pixels, and blurred codes are then lost.
    """
    size = len(modules)
    bars = [
        b"%d %d %d 1 re\n" % (begin, size - 1 - y, end - begin)
        for y, row in enumerate(modules)
        for begin, end in map(re.Match.span, _DARK_RUN.finditer(bytes(row)))
    ]
    content = zlib.compress(b"0 g\n%sf" % b"".join(bars), 4)
    return Part(_form(size, size, b"<<>>") + b"/Filter/FlateDecode", content)


def fill(pdf: bytes, parts: Mapping[int, Part]) -> bytes:
    """Put parts into the places that a page written by Typst has for them.

    What a part draws with and the page has already, such as a colour profile, is not written twice.

    Raises: FaceUnsealable where the page has not exactly one place for each part.
    """
    file = Written.of(pdf)
    bodies = list(file.bodies)
    known = {body: number for number, body in enumerate(bodies, start=1)}
    images = [(at, _PLACE.match(body)) for at, body in enumerate(bodies)]
    places = [(int(image[1]), at) for at, image in images if image]
    if sorted(number for number, _ in places) != sorted(parts):
        raise FaceUnsealable(part=f"parts {sorted(parts)}")
    for place, at in places:
        part, numbers = parts[place], list[int]()
        for one in part.objects:
            moved = _renumbered(one, numbers)
            if known.setdefault(moved, len(bodies) + 1) > len(bodies):
                bodies.append(moved)
            numbers.append(known[moved])
        head = b"<</Length %d%s>>" % (len(part.content), _renumbered(part.dictionary, numbers))
        bodies[at] = b"".join((head, _STREAM_BEGINS, part.content, _STREAM_ENDS))
    return msgspec.structs.replace(file, bodies=tuple(bodies)).to_pdf()


def _form(width: float, height: float, resources: bytes) -> bytes:
    return _FORM % (width, height, 1 / width, 1 / height, resources)


def _needed(file: Written, number: int, found: list[int]) -> list[int]:
    """Add an object to those found, behind all that it refers to."""
    head = file.body(number).partition(_STREAM_BEGINS)[0]
    for reference in map(int, _REFERENCE.findall(head)):
        if reference not in found:
            _needed(file, reference, found)
    found.append(number)
    return found


def _renumbered(body: bytes, numbers: Mapping[int, int] | Sequence[int]) -> bytes:
    """Let an object refer to others by new numbers; a stream is left as it is."""
    head, begins, stream = body.partition(_STREAM_BEGINS)
    return _REFERENCE.sub(lambda old: b"%d 0 R" % numbers[int(old[1])], head) + begins + stream
