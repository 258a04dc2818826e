"""The dossier of a batch: publicity, papers, commitments and evidence, recorded while it is open.

The gates read the first three. Evidence is kept at least as long as the notice asks: paper three
years after the last exam, video five.

Source: 川人社职鉴〔2025〕35号, 三.
"""

import datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta

from service.ground import statements
from service.ground.errors import BatchNotOpen, EvidenceKeptTooShort, Refusal
from service.ground.statements import Perhaps
from service.registry.facts import Fact
from service.registry.journal import Act

_sql = statements.beside(__file__)

BatchId = Annotated[int, Meta(ge=1, description="批次号 / batch")]


class EvidenceKind(StrEnum):
    """What evidence is made of; it decides how long it must be kept."""

    PAPER = "paper"
    VIDEO = "video"


class Party(StrEnum):
    """Who commits to the truth of what is submitted (双承诺制)."""

    CANDIDATES = "candidates"
    INSTITUTION = "institution"


class _OfBatch(Fact, frozen=True, kw_only=True):
    not_kept: ClassVar[type[Refusal]] = BatchNotOpen

    batch_id: BatchId


class Publicity(_OfBatch, frozen=True, kw_only=True):
    """登记成绩公示期 / Record the publicity period of a batch."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_publicity", str)
    act: ClassVar[Act] = Act.PUBLICITY_RECORD

    publicity_from: Annotated[datetime.date, Meta(description="公示首日 / first day")]
    publicity_until: Annotated[datetime.date, Meta(description="公示末日 / last day")]


class Papers(_OfBatch, frozen=True, kw_only=True):
    """登记收到纸质资料 / Record when the papers of a batch came in."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_papers", str)
    act: ClassVar[Act] = Act.PAPERS_RECORD

    received_on: Annotated[datetime.date, Meta(description="收到日期 / received on")]


class Commitment(_OfBatch, frozen=True, kw_only=True):
    """登记承诺（双承诺制） / Record a commitment to truth."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_commitment", str)
    act: ClassVar[Act] = Act.COMMITMENT_RECORD

    party: Annotated[Party, Meta(description="承诺方 / who commits")]
    committed_by: Annotated[str, Meta(min_length=2, max_length=60, description="承诺人 / by whom")]
    committed_on: Annotated[datetime.date, Meta(description="承诺日期 / on")]
    text_sha256: Annotated[bytes, Meta(description="承诺书文件 / file of the signed text")]


class Evidence(_OfBatch, frozen=True, kw_only=True):
    """登记佐证资料 / Record a piece of evidence and until when it is kept."""

    insert: ClassVar[Perhaps[str]] = _sql.perhaps("record_evidence", str)
    act: ClassVar[Act] = Act.EVIDENCE_RECORD
    not_kept: ClassVar[type[Refusal]] = EvidenceKeptTooShort

    evidence_name: Annotated[str, Meta(min_length=1, max_length=100, description="名称 / name")]
    kind: Annotated[EvidenceKind, Meta(description="资料类别 / what it is made of")]
    file_sha256: Annotated[bytes, Meta(description="资料文件 / file")]
    kept_until: Annotated[datetime.date, Meta(description="保管至 / kept until")]
