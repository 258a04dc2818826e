"""The place of the holder's photo on a face, and the one form in which a picture may fill it.

A baseline JPEG of three components at 300 dpi, with nothing in it but what draws the picture: no
Exif, no profile, no comment, nothing behind its end. Its bytes stand in the PDF as they are, so
the photo on a face is known again by its SHA-256. Looked at here are markers alone, never pixels.
"""

import re
from typing import Final

import msgspec


class Frame(msgspec.Struct, frozen=True):
    """A place on a face, in mm from its top left corner."""

    left: float
    top: float
    width: float
    height: float

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height of the picture that fills it."""
        return round(self.width * _DOTS_PER_MM), round(self.height * _DOTS_PER_MM)

    def takes(self, jpeg: bytes) -> bool:
        """Tell whether these bytes are a photo in the one form, of the size of this place.

        Source: ITU-T T.81, annex B; JFIF 1.02.
        """
        segments, scan_at = _segments(jpeg)
        width, height = self.pixels
        header = b"\x08" + height.to_bytes(2) + width.to_bytes(2) + b"\x03"
        end = _MARKER.search(jpeg, scan_at)
        return (
            jpeg.startswith(_BEGIN + _JFIF)
            and {marker for marker, _ in segments[1:]} <= _TABLES | {_HEADER, _SCAN}
            and [content[:6] for marker, content in segments if marker == _HEADER] == [header]
            and segments[-1][0] == _SCAN
            and end is not None
            and jpeg[end.start() :] == _END
        )


_DOTS_PER_MM: Final = 300 / 25.4
_BEGIN, _END = b"\xff\xd8", b"\xff\xd9"
_JFIF = b"\xff\xe0\x00\x10JFIF\x00"
_HEADER, _SCAN = 0xC0, 0xDA
_TABLES = frozenset({0xDB, 0xC4, 0xDD})
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")  # a scan holds none


def _segments(jpeg: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """Return marker and content of what stands before the first scan, and where that begins."""
    segments, at = [], len(_BEGIN)
    while jpeg[at : at + 1] == b"\xff" and len(jpeg) >= at + 4:
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4])
        segments.append((marker, jpeg[at + 4 : at + 2 + length]))
        at += 2 + max(length, 2)
        if marker == _SCAN:
            break
    return segments, at
