"""Certificates for the tests of sealing: a record, its face from the real edition, its seal."""

import datetime
import functools
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import msgspec
import PIL.Image

from signing import keys, qr, record, render

TEMPLATES = Path(__file__).parent.parent / "templates"
SEALED_AT = datetime.datetime(2026, 6, 30, 2, 3, 4, tzinfo=datetime.UTC)
MADE_AT = SEALED_AT - datetime.timedelta(days=30)
CITIES = {"510100": "成都市", "510300": "自贡市"}
QR_TEXT = ("https://example.test/v/0123456789abcdef#", "1234567890" * 48)
RECORD = record.Record(
    number="2651010001600001",
    version=1,
    identifier="1.2.156.3005.2.11100000000013338W011.11510100000000000A.2651010001600001.001.U",
    public_id="0123456789abcdef",
    name="阿依·木呷𠮷",
    sex="女",
    born_on=datetime.date(1990, 3, 7),
    id_kind="居民身份证",
    id_kind_code="111",
    id_number="11010519491231002X",
    project="彝族刺绣（手工）制作",
    score="86.5",
    exam_on=datetime.date(2026, 6, 12),
    issued_on=datetime.date(2026, 6, 30),
    authority="样本市人力资源和社会保障局",
    issuer_code="11510100000000000A",
    seal_name="样本市职业技能鉴定中心",
)


@functools.cache
def edition() -> render.Edition:
    """Open the edition in the checkout, once a process."""
    return render.Edition(TEMPLATES / "certificate" / "2026", TEMPLATES / "fonts")


def face(
    of: record.Record = RECORD, *, photo: bytes | None = None, attached: bytes | None = None
) -> bytes:
    """Render a face that is ready to be sealed, `attached` in the place of its own metadata."""
    modules = qr.matrix(*QR_TEXT)
    pdf = edition().render(of, modules, photo=photo, specimen=True, rendered_at=SEALED_AT)
    return pdf if attached is None else _attach(pdf, attached)


def photo(shade: int = 90, **how: Any) -> bytes:
    """Draw a photo in the form of the edition, told from others by its shade."""
    picture = PIL.Image.linear_gradient("L").point(lambda light: light * shade // 255)
    output = io.BytesIO()
    picture.resize(edition().photo_mm.pixels).convert("RGB").save(output, "JPEG", **how)
    return output.getvalue()


def with_photo(of: record.Record, jpeg: bytes) -> record.Record:
    """Return the record of somebody who has that photo."""
    return msgspec.structs.replace(of, photo_sha256=hashlib.sha256(jpeg).hexdigest())


def signer(folder: Path, city_code: str = "510100") -> keys.Signer:
    """Make a fresh development set in `folder` unless there is one, and load a signer of it."""
    if not folder.exists():
        keys.create_development(folder, cities=CITIES, made_at=MADE_AT)
    return keys.load_signer(folder, city_code, now=SEALED_AT)


def _attach(pdf: bytes, attached: bytes) -> bytes:
    """Put another attachment in place and move every object that stands behind it."""
    begin = pdf.rindex(b"<</Length", 0, pdf.index(b"/Type/EmbeddedFile"))
    end = pdf.index(b"\nendstream", begin)
    head = b"<</Length %d/Type/EmbeddedFile/Subtype/application#2Fxml>>\nstream\n" % len(attached)
    shift = len(head) + len(attached) - (end - begin)
    table = int(pdf.rsplit(b"startxref\n", 1)[1].split()[0])

    def move(entry: re.Match[bytes]) -> bytes:
        offset = int(entry[0])
        return b"%010d" % (offset + shift if offset > begin else offset)

    tail = re.sub(rb"\d{10}(?= 00000 n)", move, pdf[table:])
    tail = tail.replace(b"startxref\n%d" % table, b"startxref\n%d" % (table + shift))
    return pdf[:begin] + head + attached + pdf[end:table] + tail
