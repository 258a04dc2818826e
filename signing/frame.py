"""The place of the holder's photo on a face, and the one form in which a picture may fill it.

A baseline JPEG of three components at 300 dpi, with nothing in it but what draws the picture: no
Exif, no profile, no comment, no restarts, nothing behind its end, and the Huffman tables that all
readers know. Its bytes stand in the PDF as they are, so the photo on a face is known again by its
SHA-256. Looked at here is what stands around the pixels, never the pixels themselves.
"""

import hashlib
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
        """Tell whether these bytes are a photo in the one form, of the size of this place."""
        head = _HEAD.match(jpeg)
        end = head and _MARKER.search(jpeg, head.end())
        if not head or not end:
            return False
        width, height = self.pixels
        return (
            head["size"] == height.to_bytes(2) + width.to_bytes(2)
            and hashlib.sha256(head["huffman"]).hexdigest() == _HUFFMAN_SHA256
            and jpeg[end.start() :] == _END
        )


_DOTS_PER_MM: Final = 300 / 25.4
# Source: ITU-T T.81, annex B; JFIF 1.02. Luminance, then colours of full or of half its width.
_HEAD = re.compile(
    rb"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01.{6}\x00\x00"
    rb"\xff\xdb\x00\x43\x00[^\x00]{64}\xff\xdb\x00\x43\x01[^\x00]{64}"
    rb"\xff\xc0\x00\x11\x08(?P<size>.{4})\x03\x01[\x11\x22]\x00\x02\x11\x01\x03\x11\x01"
    rb"(?P<huffman>(?:\xff\xc4\x00\x1f.{29}\xff\xc4\x00\xb5.{179}){2})"
    rb"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00",
    re.DOTALL,
)
_HUFFMAN_SHA256 = "5ebc37bcec6b3005bceb8fc87343cd406411c230ca688079c1a176c2cd6e37b4"  # K.3
_MARKER = re.compile(rb"\xff[^\x00]")  # a scan holds none
_END = b"\xff\xd9"
