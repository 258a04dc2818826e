"""Forms: the sheets that people sign and stamp, as PDF; what they calculate with, as workbooks.

Pure: equal arguments give equal bytes. A text wraps and never overflows. A PDF is refused where it
holds a character that the fonts cannot draw (`FormNotDrawn`), and a ledger that is too long for one
(`LedgerTooLong`), which its workbook is not.

Source: 川人社职鉴〔2025〕35号, 五 (证书申领表, 台账); the others are those of practice.
"""

import datetime
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from service.issuing.batches import LEGAL_ZONE
from service.paper.forms import leaves
from service.paper.forms.sheets import Ledger, Movement, Seal, Sheet
from signing import Form


class Forms:
    """The folders of all forms; each is opened when it is first drawn, and stays warm."""

    def __init__(self, folder: Path, fonts: Path) -> None:
        self._fonts = fonts
        self._open = functools.cache(lambda name: Form(folder / name, fonts))

    def pdf(
        self, sheet: Sheet, *, printed_at: datetime.datetime, seal: Seal | None = None
    ) -> bytes:
        """Draw any form but the ledger; with `seal` it says that it is sealed.

        Raises: FormNotDrawn.
        """
        return self._draw(sheet.form, msgspec.to_builtins(sheet), printed_at, seal)

    def ledger_pdf(
        self,
        ledger: Ledger,
        movements: Iterable[Movement],
        *,
        printed_at: datetime.datetime,
        seal: Seal | None = None,
    ) -> bytes:
        """Draw a ledger of at most `leaves.MOVEMENT_COUNT_MAX` movements.

        Raises: FormNotDrawn, LedgerTooLong.
        """
        laid_out = leaves.lay_out(ledger, movements, leaves.advances(self._fonts))
        return self._draw("ledger", msgspec.to_builtins(ledger) | laid_out, printed_at, seal)

    def _draw(
        self, name: str, facts: dict[str, Any], printed_at: datetime.datetime, seal: Seal | None
    ) -> bytes:
        foot = {
            "printed": printed_at.astimezone(LEGAL_ZONE).strftime("%Y-%m-%d %H:%M"),
            "sealed_by": seal and seal.centre,
            "specimen": bool(seal and seal.specimen),
        }
        told = msgspec.json.encode(facts | {"foot": foot})
        return self._open(name).render(told, rendered_at=printed_at)
