"""The certificate record: everything that stands on one face, and its canonical bytes.

The canonical bytes are what the QR statement digests, so that a face, a record and a statement can
be held against each other without the file. Changing the order or a name here changes every digest.
"""

import datetime
import hashlib

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One version of one certificate, complete: nothing else reaches the face but QR and seal.

    `public_id` is 16 characters of lower-case Crockford base32 (80 bits); `score` is the text to be
    printed, such as "86.5"; `sex` is 男 or 女; `id_kind` is printed as it stands and `id_kind_code`
    is its GB/T 36903 code (111 = 居民身份证). `replaces` is the identifier of the version that a
    corrected one stands in for, `photo_sha256` (hex) the digest of the holder's photo; neither is
    part of the canonical bytes where there is none.
    """

    number: str
    version: int
    identifier: str
    public_id: str
    name: str
    sex: str
    born_on: datetime.date
    id_kind: str
    id_kind_code: str
    id_number: str
    project: str
    score: str
    exam_on: datetime.date
    issued_on: datetime.date
    authority: str
    issuer_code: str
    seal_name: str
    replaces: str | None = None
    photo_sha256: str | None = None

    def canonical(self) -> bytes:
        """Deterministic JSON in UTF-8: fields in alphabetical order, dates as YYYY-MM-DD."""
        return msgspec.json.encode(self, order="sorted")

    def digest(self) -> bytes:
        """SHA-256 over the canonical bytes, 32 bytes."""
        return hashlib.sha256(self.canonical()).digest()
