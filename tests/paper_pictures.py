"""The pictures of the paper wing: `python -m tests.paper_pictures` writes them to docs/paper."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pypdfium2
from msgspec import structs
from PIL import Image

from service import wiring
from service.paper import overlay
from service.paper.overlay import Profile
from tests import filled, test_overlay

FOLDER = Path(__file__).parent.parent / "docs" / "paper"
RESOLUTION_DPI = 100
COLOUR_COUNT = 48


def overlay_on_blank() -> bytes:
    """Draw the variable fields as a blank shows them, with a name as long as they come."""
    name = "阿依木·阿布都热合曼·尼玛扎西·多吉才让·𠂇𬭎䶮㐂"
    record = structs.replace(test_overlay.SHEET.record, name=name, project="藏式糌粑与酥油茶制作")
    return overlay.render(
        wiring.blank_edition("2026"),
        [structs.replace(test_overlay.REISSUED, record=record)],
        Profile(),
        preview=True,
        rendered_at=test_overlay.AT,
    )


def calibration_sheet() -> bytes:
    """Draw what is printed and measured before a printer's first run."""
    return overlay.calibration(
        wiring.blank_edition("2026"), Profile(), printer="", applied=0, rendered_at=test_overlay.AT
    )


def requisition() -> bytes:
    """Draw a requisition that the province has approved."""
    return filled.FORMS.pdf(filled.requisition(), printed_at=filled.PRINTED_AT)


def ledger() -> bytes:
    """Draw a ledger that adds up."""
    return filled.FORMS.ledger_pdf(
        filled.ledger(closing=700), filled.movements(14), printed_at=filled.PRINTED_AT
    )


PICTURES: Mapping[str, Callable[[], bytes]] = {
    "overlay": overlay_on_blank,
    "calibration": calibration_sheet,
    "requisition": requisition,
    "ledger": ledger,
}
"""Each picture's name and what makes the PDF whose first page it shows."""


def picture(pdf: bytes) -> bytes:
    """Return the first page as a PNG of few colours."""
    with pypdfium2.PdfDocument(pdf) as document:
        page = document[0].render(scale=RESOLUTION_DPI / 72).to_pil().convert("RGB")
    output = io.BytesIO()
    page.quantize(COLOUR_COUNT, dither=Image.Dither.NONE).save(output, "PNG", optimize=True)
    return output.getvalue()


def write() -> None:
    """Write every picture."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PICTURES.items():
        (FOLDER / f"{name}.png").write_bytes(picture(make()))


if __name__ == "__main__":
    write()
