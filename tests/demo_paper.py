"""The demonstration of paper: from a requisition to papers in their holders' hands.

One city asks for as many blanks as it has passes and a few more, gets them, prints a batch on them
with two spoiled, hands some over, and the books are checked, written out and traced.
"""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from service import terminal

PREFIX, SPARE, PRINTER = "川26A", 5, "套打机"
# Where the crosses of the calibration sheet came to lie, in mm from left and top.
MARKS = (
    "16.2,14.1", "131.2,14.4", "246.2,14.6", "15.9,91.6", "245.9,92.1", "15.6,169.1",
    "130.6,169.4", "245.6,169.6",
)  # fmt: skip


class Type(Protocol):
    """Types one command as an account."""

    def __call__(self, account: str | None, *words: object) -> None: ...


class Paper(msgspec.Struct, frozen=True):
    """The paper of one city; `turn` tells how often the demonstration has run."""

    type_: Type
    folder: Path
    city: str
    turn: int

    def show(self, batch: str, pdfs: Sequence[Path]) -> None:
        """Print a batch, hand some of it over, and look into the books."""
        numbers = [pdf.stem for pdf in pdfs]
        if self.turn == 1:
            self._found()
        self._supply(len(numbers) + SPARE)
        self._print(batch, numbers)
        document = ("--document-number", f"示例核发{self.turn}号")
        sheet = self.folder / f"领取签收表-{self.turn}.pdf"
        self._type("operator", "paper", "sheet", "--run", self.turn, *document, "--to", sheet)
        self._type("operator", "paper", "hand-over", *numbers[:3], "--id-checked", *document)
        self.type_(None, "verify", pdfs[0])
        self._look_into_the_books(numbers[1])
        terminal.say(f"申领表、套打、签收表、台账在 forms, overlays and ledgers: {self.folder}")

    def _type(self, role: str, *words: object) -> None:
        self.type_(f"{self.city}-{role}", *words)

    def _found(self) -> None:
        """Record the paper that there is, and how the printer displaces what it prints."""
        self.type_(
            "province", "record", "blank-series", "--series-code", "2026-inner", "--year", 2026,
            "--kind", "inner", "--prefix", PREFIX, "--digit-count", 7, "--edition", "2026",
            "--document-number", "示例印制1号",
        )  # fmt: skip
        self.type_(
            "province-keeper", "blanks", "take-in", "--serials", f"{PREFIX}0000001-0010000",
            "--document-number", "示例送货单1号",
        )  # fmt: skip
        marks = [
            word for place, mark in enumerate(MARKS, 1) for word in ("--mark", f"{place}={mark}")
        ]
        self._type(
            "operator", "printer", "profile", PRINTER, "--edition", "2026", "--applied", 0, *marks
        )

    def _supply(self, sheet_count: int) -> None:
        self._type(
            "keeper", "blanks", "requisition", "make", "--kind", "inner", "--extra", SPARE,
            "--extra-reason", "打印损耗备用",
        )  # fmt: skip
        self._type("reviewer", "blanks", "requisition", "submit", self.turn)
        self.type_("province", "blanks", "requisition", "approve", self.turn)
        self.type_(
            "province-keeper", "blanks", "dispatch", "--requisition", self.turn,
            "--count", sheet_count, "--document-number", f"示例发货单{self.turn}号",
        )  # fmt: skip
        self._type("keeper", "blanks", "receive", self.turn, "--counted", sheet_count)
        self._type("keeper", "blanks", "requisition", "close", self.turn)
        form = self.folder / f"证书申领表-{self.turn}.pdf"
        self._type("keeper", "blanks", "requisition", "form", self.turn, "--to", form)

    def _print(self, batch: str, numbers: Sequence[str]) -> None:
        """Print in two rounds: what the printer eats takes the next serials."""
        self._type("operator", "print", "plan", "--batch", batch)
        for place, said in enumerate(
            (
                ("--spoiled", "2,5", "--printed", len(numbers) - 2, "--last", numbers[-1]),
                ("--printed", 2, "--last", numbers[4]),
            )
        ):
            self._type("keeper", "print", "draw", self.turn)
            target = self.folder / f"套打-{self.turn}-{place + 1}.pdf"
            self._type("operator", "print", "pdf", self.turn, "--printer", PRINTER, "--to", target)
            if place == 0:
                preview = self.folder / f"套打预览-{self.turn}.pdf"
                self._type("operator", "print", "preview", self.turn, "--to", preview)
            self._type("operator", "print", "settle", self.turn, *said)
        self._type("keeper", "print", "close", self.turn)

    def _look_into_the_books(self, number: str) -> None:
        self._type("keeper", "blanks", "stock")
        self._type("auditor", "blanks", "check")
        year = datetime.date.today().year  # noqa: DTZ011 - any zone will do
        period = ("--from", f"{year}-01-01", "--until", f"{year}-12-31")
        ledger = self.folder / f"台账-{self.turn}.xlsx"
        self._type("keeper", "blanks", "ledger", *period, "--to", ledger)
        self._type(
            "keeper", "blanks", "ledger", *period, "--to", ledger.with_suffix(".pdf"), "--sealed"
        )
        self._type("auditor", "trace", number)
