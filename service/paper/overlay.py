"""Overlay (套打): the variable fields of certificates as PDF, to be printed on preprinted blanks.

An edition of a blank is a folder: its size and the places of its fields are `edition.toml`, an
assumption that a blank which differs replaces by an edition of its own. An overlay prints values
and code, no label and no frame, corrected for the printer; a preview shows them on the whole face,
marked 样张 and with a code that cannot be read. Refused before anything is printed: a character
that no font draws, and a code or a photo that is another certificate's.
"""

import datetime
import hashlib
import io
import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec
import PIL.Image

from service.ground.errors import BlankEditionUnknown
from signing import Form, Record, drawable, parts, qr, token
from signing.errors import FaceNotDrawn
from signing.parts import Part

_FILE = "edition.toml"
_MARK_FROM_EDGE_MM = 15.0
FIELDS: Mapping[str, tuple[str, str]] = {
    "name": ("姓名", "Name"),
    "sex": ("性别", "Sex"),
    "born_on": ("出生日期", "Date of birth"),
    "id_kind": ("证件类型", "ID type"),
    "id_number": ("证件号码", "ID number"),
    "project": ("专项职业能力", "Vocational capability"),
    "score": ("考核成绩", "Score"),
    "exam_on": ("考核日期", "Date of assessment"),
    "number": ("证书编号", "Certificate number"),
    "authority": ("发证机关", "Issuing authority"),
    "issued_on": ("发证日期", "Date of issue"),
    "remark": ("备注", "Remark"),
}
_DRAWN = {"code": ("二维码", "QR code"), "photo": ("照片", "Photo")}


class Box(msgspec.Struct, frozen=True):
    """A place on a sheet, in mm from its top left corner."""

    left: float
    top: float
    width: float
    height: float


class Layout(msgspec.Struct, frozen=True):
    """What a program must know of an edition; `layout.typ` reads the same file."""

    width_mm: float
    height_mm: float
    code_mm: Box
    photo_mm: Box
    fields_mm: dict[str, Box]


class Mark(msgspec.Struct, frozen=True):
    """A cross of the calibration sheet, from the paper's left and top edge."""

    number: int
    x_mm: float
    y_mm: float


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How a page is drawn so that what a printer displaces lands right, about its top left corner.

    Offsets in 0.1 mm; scales (what is added to 1) and rotation (a slope, clockwise) in 0.01 %.
    """

    offset_x_tenths_mm: int = 0
    offset_y_tenths_mm: int = 0
    scale_x_per_10000: int = 0
    scale_y_per_10000: int = 0
    rotation_per_10000: int = 0

    def moved(self, x_mm: float, y_mm: float) -> tuple[float, float]:
        """Say where a page under this profile shows what belongs to a place."""
        rotation = self.rotation_per_10000 / 10_000
        return (
            x_mm * (1 + self.scale_x_per_10000 / 10_000)
            - y_mm * rotation
            + self.offset_x_tenths_mm / 10,
            y_mm * (1 + self.scale_y_per_10000 / 10_000)
            + x_mm * rotation
            + self.offset_y_tenths_mm / 10,
        )

    @property
    def correction(self) -> str:
        """Write it for a person: mm and per cent."""
        return (
            f"左右 x {self.offset_x_tenths_mm / 10:+.1f} mm {self.scale_x_per_10000 / 100:+.2f}%，"
            f"上下 y {self.offset_y_tenths_mm / 10:+.1f} mm {self.scale_y_per_10000 / 100:+.2f}%，"
            f"倾斜 slope {self.rotation_per_10000 / 100:+.2f}%"
        )


class Remark(StrEnum):
    """Why a certificate is on paper once more, as the paper says it."""

    REISSUED = "补发"
    EXCHANGED = "换发"

    def on(self, day: datetime.date) -> str:
        """Write the remark with its day."""
        return f"{self.value} {_day(day)}"


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate on one blank.

    `qr_text` is that of its e-certificate, None where there is no file of ours; `photo` are the
    bytes that the record tells of; `serial` is preprinted and shown by the preview alone.
    """

    record: Record
    qr_text: str | None
    photo: bytes | None
    serial: str
    remark: str = ""


class Edition:
    """A blank's size, its fields' places and its artwork, opened once.

    Raises:
        BlankEditionUnknown: `blanks` has no such folder.
    """

    def __init__(self, blanks: Path, name: str, fonts: Path) -> None:
        if name not in names(blanks):
            raise BlankEditionUnknown(edition=name, editions="、".join(names(blanks)))
        self.name = name
        folder = blanks / name
        self.layout = msgspec.convert(tomllib.loads((folder / _FILE).read_text("utf-8")), Layout)
        self.drawable = drawable(fonts)
        self.form = Form(folder, fonts, ["a-2b"])  # which a character without a glyph is not


def names(blanks: Path) -> list[str]:
    """List the editions that a folder holds."""
    return sorted(path.parent.name for path in blanks.glob(f"*/{_FILE}"))


def render(
    edition: Edition,
    sheets: Sequence[Sheet],
    profile: Profile,
    *,
    preview: bool,
    rendered_at: datetime.datetime,
) -> bytes:
    """Return one PDF of a page a sheet, of which there is one at least, in their order.

    Its contents list the serials, which are not printed. A preview is not corrected.

    Raises:
        FaceNotDrawn: a character that no font draws, or code or photo of another certificate.
        StatementRefused, StatementTooLong: its text is no code of ours.
    """
    put_in: list[Part] = []
    facts = {
        "preview": preview,
        "profile": Profile() if preview else profile,
        "words": FIELDS,
        "sheets": [_facts(sheet, edition.drawable, put_in) for sheet in sheets],
    }
    pdf = edition.form.render(msgspec.json.encode(facts), rendered_at=rendered_at)
    return parts.fill(pdf, dict(enumerate(put_in, start=1)))


def calibration(
    edition: Edition,
    profile: Profile,
    *,
    printer: str,
    applied: int,
    rendered_at: datetime.datetime,
) -> bytes:
    """Return the sheet whose crosses are measured, drawn under a profile of that number.

    Raises:
        FormNotDrawn: no font draws the printer's name.
    """
    facts = {
        "preview": False,
        "profile": profile,
        "edition": edition.name,
        "printer": printer,
        "applied": applied,
        "marks": marks(edition.layout),
    }
    return edition.form.render(msgspec.json.encode(facts), rendered_at=rendered_at)


def marks(layout: Layout) -> list[Mark]:
    """Return where the eight crosses belong: near the corners and half-way between them."""
    across, down = (
        (_MARK_FROM_EDGE_MM, side / 2, side - _MARK_FROM_EDGE_MM)
        for side in (layout.width_mm, layout.height_mm)
    )
    places = [(x, y) for y, x in itertools.product(down, across) if (x, y) != (across[1], down[1])]
    return [Mark(number, x, y) for number, (x, y) in enumerate(places, start=1)]


def off_sheet(layout: Layout, profile: Profile) -> Iterator[str]:
    """Name in both languages what a page of the sheet's size would cut off under a profile."""
    places = layout.fields_mm | {"code": layout.code_mm, "photo": layout.photo_mm}
    for field, box in places.items():
        corners = itertools.product(
            (box.left, box.left + box.width), (box.top, box.top + box.height)
        )
        for x, y in itertools.starmap(profile.moved, corners):
            if not (0 <= x <= layout.width_mm and 0 <= y <= layout.height_mm):
                yield " ".join({**FIELDS, **_DRAWN}[field])
                break


def _facts(sheet: Sheet, drawn: frozenset[int], put_in: list[Part]) -> dict[str, object]:
    """Tell what Typst lays out; code and photo, which it only leaves room for, are `put_in`."""
    values = _values(sheet)
    for character in "".join([*values.values(), sheet.serial]):
        if ord(character) not in drawn:
            raise FaceNotDrawn(number=sheet.record.number, reason=f"U+{ord(character):04X}")
    digest = None if sheet.photo is None else hashlib.sha256(sheet.photo).hexdigest()
    if digest != sheet.record.photo_sha256:
        raise FaceNotDrawn(number=sheet.record.number, reason="照片不是本证书的 photo of another")
    facts: dict[str, object] = {"values": values, "serial": sheet.serial}
    if sheet.qr_text is not None:
        modules = _modules(sheet.record, sheet.qr_text)
        put_in.append(parts.code(modules))
        facts["code"] = {"part": len(put_in), "modules": len(modules)}
    if sheet.photo is not None:
        with PIL.Image.open(io.BytesIO(sheet.photo)) as image:
            width, height = image.size
        put_in.append(parts.photo(sheet.photo, (width, height)))
        facts["photo"] = {"part": len(put_in), "width": width, "height": height}
    return facts


def _values(sheet: Sheet) -> dict[str, str]:
    texts = {"remark": sheet.remark}
    for field in FIELDS.keys() - texts.keys():
        value = getattr(sheet.record, field)
        texts[field] = _day(value) if isinstance(value, datetime.date) else value
    return {field: texts[field] for field in FIELDS if texts[field]}


def _modules(record: Record, qr_text: str) -> tuple[bytes, ...]:
    """Draw the code again as it is on the e-certificate."""
    address, _ = token.from_text(qr_text)
    if address is None or address.public_id != record.public_id:
        raise FaceNotDrawn(number=record.number, reason="二维码不是本证书的 QR of another")
    head, mark, digits = qr_text.partition("#")
    return qr.matrix(head + mark, digits)


def _day(day: datetime.date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"
