"""The QR code: what fits into it, and that readers of other makes see what went in."""

import datetime
import random
from typing import Any

import pytest
import segno
import zxingcpp
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from segno import consts

from signing import qr, token
from signing.errors import StatementTooLong

HOST = "zs.rst.sc.gov.cn"
KEY = ec.generate_private_key(ec.SECP256R1())


def code_of(name: str, project: str) -> tuple[str, str]:
    statement = token.Statement(
        issuer=HOST,
        issued_at=datetime.datetime(2026, 5, 20, 1, 2, 3, tzinfo=datetime.UTC),
        number="2651010001600001",
        name=name,
        project=project,
        exam_on=datetime.date(2026, 4, 18),
        version=1,
        public_id=token.encode_id(bytes(range(90, 100))),
        status_index=734_211,
        record_digest=bytes(range(16)),
    )
    cose = token.sign(statement, KEY, b"kid4")
    return token.to_text(HOST, statement.public_id, cose)


def version_of(modules: tuple[bytes, ...]) -> int:
    return (len(modules) - 17) // 4


def printed(modules: tuple[bytes, ...], dots_per_inch: float) -> Image.Image:
    """Print at 0.4 mm a module with a quiet zone of 4, then scan at the given resolution."""
    side, scale = len(modules), 24
    image = Image.frombytes(
        "L", (side, side), bytes(0 if bit else 255 for row in modules for bit in row)
    )
    page = Image.new("L", (side + 8, side + 8), 255)
    page.paste(image, (4, 4))
    large = page.resize(((side + 8) * scale,) * 2, Image.Resampling.NEAREST)
    pixels = round(qr.width_mm(side) / 25.4 * dots_per_inch)
    return large.resize((pixels, pixels), Image.Resampling.BOX)


def read(image: Image.Image) -> str | None:
    barcode = zxingcpp.read_barcode(image)
    return None if barcode is None else str(barcode.text)


def test_a_common_name_takes_version_12_or_less() -> None:
    for project in ("川菜制作", "成都糖画制作", "人工智能数据标注与处理服务"):
        assert version_of(qr.matrix(*code_of("陈思远", project))) <= 12


def test_the_longest_name_fits_beside_a_long_project_and_the_excess_is_refused() -> None:
    name = "阿" * 24 + "·" + "木" * 25
    assert len(name) == 50
    assert version_of(qr.matrix(*code_of(name, "民族传统手工技艺制作"))) <= qr.VERSION_LIMIT
    with pytest.raises(StatementTooLong) as refused:
        qr.matrix(*code_of(name, "项" * 60))
    assert refused.value.facts["limit_mm"] == pytest.approx(37.2)


@pytest.mark.parametrize(("name", "project"), [("陈思远", "川菜制作"), ("阿" * 50, "彝绣制作" * 5)])
@pytest.mark.parametrize("dots_per_inch", [150, 200, 300])
def test_a_print_is_read_back_also_when_rotated_and_blurred(
    name: str, project: str, dots_per_inch: int
) -> None:
    url, digits = code_of(name, project)
    image = printed(qr.matrix(url, digits), dots_per_inch)
    assert read(image) == url + digits
    for degrees in (-4, 3, 90, 183):
        turned = image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
        blurred = turned.filter(ImageFilter.GaussianBlur(0.6))
        grey = blurred.point(lambda value: 70 + value // 2)
        assert read(grey) == url + digits


def drawn_by_segno(url: str, digits: str) -> Any:
    segments: Any = [(url, consts.MODE_BYTE), (digits, consts.MODE_NUMERIC)]
    return segno.make(segments, error="m", micro=False, boost_error=False, mask=qr.MASK)


@given(st.integers(1, 420), st.integers(0))
@settings(max_examples=60, deadline=None)
def test_every_size_is_read_back_and_is_the_smallest(size: int, seed: int) -> None:
    content = random.Random(seed).randbytes(size)  # noqa: S311 - any bytes will do
    url, digits = token.to_text(HOST, "0123456789abcdef", content)
    modules = qr.matrix(url, digits)
    assert read(printed(modules, 300)) == url + digits
    assert version_of(modules) == drawn_by_segno(url, digits).version


# Lengths whose bits fill no whole byte: where they do, segno adds a byte that means nothing.
@pytest.mark.parametrize("length", [7, 50, 120, 301, 520, 700, 901, 1000])
def test_a_symbol_is_drawn_as_segno_draws_it(length: int) -> None:
    url, digits = f"https://{HOST}/v/0123456789abcdef#", ("31415926535" * 100)[:length]
    assert qr.matrix(url, digits) == tuple(map(bytes, drawn_by_segno(url, digits).matrix))


def test_the_box_on_the_face_holds_version_17_and_no_more() -> None:
    assert qr.width_mm(17 * 4 + 17) == pytest.approx(37.2)
    assert qr.width_mm(18 * 4 + 17) > 38
