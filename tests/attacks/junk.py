"""Junk: files that are nothing at all, cut off, or damaged by chance."""

import random

from service.checking import verification
from tests.attacks import ALTERED, LIMIT, UNKNOWN, UNTRUSTED, Family
from tests.attacks.files import FORGED, Ours, append, document

TRUNCATED = Family("truncated / 截断")
DAMAGED = Family("damaged at random / 随机损坏")
NOTHING = Family("nothing of a certificate / 无关文件")


def _cut(ours: Ours, share: float) -> bytes:
    return ours.pdf[: int(len(ours.pdf) * share)]


for _percent in (1, 40, 90):
    TRUNCATED.add(
        f"at-{_percent}-percent",
        f"the first {_percent} % of our file",
        UNKNOWN,
        _cut,
        _percent / 100,
    )
TRUNCATED.add(
    "in-the-seal",
    "our file up to the middle of its seal",
    UNKNOWN,
    lambda ours: ours.pdf[: ours.pdf.index(ours.contents) + 200],
)
TRUNCATED.add(
    "behind-the-seal",
    "our file up to the end of its seal",
    ALTERED,
    lambda ours: ours.pdf[: ours.pdf.index(ours.contents) + len(ours.contents)],
)
TRUNCATED.add("last-byte", "our file without its last byte", ALTERED, lambda ours: ours.pdf[:-1])
TRUNCATED.add("first-byte", "our file without its first byte", ALTERED, lambda ours: ours.pdf[1:])
TRUNCATED.add(
    "seal-alone", "the last revision without the face", ALTERED, lambda ours: ours.pdf[-6000:]
)


def _damaged(ours: Ours, seed: int, count: int) -> bytes:
    """Change bytes by chance anywhere but in the value of the seal."""
    chance = random.Random(seed)  # noqa: S311 - damage, not a key
    content, gap = bytearray(ours.pdf), ours.pdf.index(ours.contents)
    for _ in range(count):
        content[chance.randrange(gap)] ^= 1 << chance.randrange(8)
    return bytes(content)


def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(100_000)  # noqa: S311 - noise, not a key


for _seed in range(4):
    DAMAGED.add(
        f"{10**_seed}-bits",
        f"{10**_seed} bits of the face turned over",
        ALTERED,
        lambda ours, seed: _damaged(ours, seed, 10**seed),
        _seed,
    )
DAMAGED.add(
    "zeroed", "the middle of the face set to zero", ALTERED,
    lambda ours: ours.pdf[:9000] + bytes(9000) + ours.pdf[18000:],
)  # fmt: skip
DAMAGED.add(
    "noise-under-our-header",
    "random bytes that begin as a PDF",
    UNKNOWN,
    lambda _: b"%PDF-1.7\n" + _noise(1),
)
DAMAGED.add("random", "100 000 random bytes", UNKNOWN, lambda _: _noise(2))

for _name, _tries, _content in (
    ("empty", "no byte at all", b""),
    ("one-byte", "one byte", b"%"),
    ("header-alone", "a header and no more", b"%PDF-1.7"),
    ("text", "a text", "证书编号 2651010001600001".encode()),
    ("html", "a page of HTML", b"<!DOCTYPE html><title>Certificate</title>"),
    (
        "xml-entities",
        "XML whose entities multiply",
        b"<!DOCTYPE a [<!ENTITY a '&a;&a;'>]><a>&a;</a>",
    ),
    ("postscript", "a PostScript program that never ends", b"%!PS-Adobe-3.0\n{} loop\n"),
    ("executable", "an ELF header", b"\x7fELF\x02\x01\x01" + bytes(57)),
    ("hex-flood", "8 MB that look like certificates in hex", b"3082" * (2 << 20)),
):
    NOTHING.add(_name, _tries, UNKNOWN, lambda _, content: content, _content)
NOTHING.add("unsigned", "an unsigned document", UNKNOWN, lambda _: document(FORGED))
NOTHING.add(
    "range-alone", "a byte range without a signature", UNTRUSTED,
    lambda _: append(document(FORGED), {9: b"<</ByteRange[0 1 2 3]>>"}),
)  # fmt: skip
NOTHING.add(
    "largest", "zeros, as many as are read", UNKNOWN, lambda _: bytes(verification.UPLOAD_BYTES_MAX)
)
NOTHING.add("too-large", "one byte more", LIMIT, lambda _: bytes(verification.UPLOAD_BYTES_MAX + 1))
NOTHING.add(
    "ours-too-large",
    "our file and zeros, one byte too many",
    LIMIT,
    lambda ours: ours.pdf + bytes(verification.UPLOAD_BYTES_MAX + 1 - len(ours.pdf)),
)
