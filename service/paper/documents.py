"""Documents: forms that carry our seal, and scans of what people signed on paper.

A form is sealed as a certificate is and its digest registered, so that public verification can say
that it is ours and no certificate. A scan is kept as it came: told apart by its first bytes and
never parsed, durable in the store under its digest before its row is. Both are append-only; the
same file is attached to a subject once. A scan belongs to the city of its subject, whoever attached
it, and to a subject that its actor can see.
"""

import datetime
import hashlib
from enum import StrEnum

import msgspec
import pypdfium2

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    AttachmentKnown,
    AttachmentSubjectUnknown,
    AttachmentUnfit,
    AttachmentUnknown,
)
from service.ground.objects import Objects
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act
from signing import Sealer, Signer

_sql = statements.beside(__file__)

ATTACHMENT_BYTES_MAX = 20 << 20
FILE_NAME_LENGTH_MAX = 200
_MEDIA_TYPES = {
    b"%PDF-": "application/pdf",
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
}


class Kind(StrEnum):
    """Which form a sealed document is."""

    REQUISITION = "requisition"
    LEDGER = "ledger"
    SUMMARY = "summary"
    HAND_OVER = "hand-over"
    DESTRUCTION = "destruction"
    COUNT = "count"


class SubjectKind(StrEnum):
    """What scans are attached to."""

    REQUISITION = "requisition"
    CONSIGNMENT = "consignment"
    ORDER = "order"
    PRINT_RUN = "print-run"
    HAND_OVER = "hand-over"
    STOCKTAKE = "stocktake"


class Subject(msgspec.Struct, frozen=True):
    """One requisition, order and so on by its own number; hand-overs by their document number."""

    kind: SubjectKind
    name: str


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A scan that belongs to a subject."""

    sha256: bytes
    file_name: str
    media_type: str
    byte_count: int
    attached_by: str
    attached_at: datetime.datetime

    @property
    def digest(self) -> str:
        """SHA-256 in hex, by which it is fetched."""
        return self.sha256.hex()


_register_document = _sql.perhaps("register_document", bytes)
_subject_city = _sql.perhaps("subject_city", str)
_attach = _sql.perhaps("attach", bytes)
_attachments = _sql.many("attachments", Attachment)
_attached = _sql.perhaps("attached", bytes)


async def seal(
    connection: Connection,
    actor: Actor,
    signer: Signer,
    pdf: bytes,
    *,
    kind: Kind,
    subject: str,
    sealed_at: datetime.datetime,
) -> bytes:
    """Seal a form and register it; again with the same arguments it gives the same bytes.

    Raises: FaceUnsealable, KeyUnpublished and what `register` does.
    """
    sealed = Sealer(signer).seal(pdf, sealed_at)
    fingerprint = bytes.fromhex(signer.fingerprint)
    await register(
        connection,
        actor,
        sealed,
        kind=kind,
        subject=subject,
        sealed_at=sealed_at,
        seal_fingerprint=fingerprint,
    )
    return sealed


async def register(
    connection: Connection,
    actor: Actor,
    sealed: bytes,
    *,
    kind: Kind,
    subject: str,
    sealed_at: datetime.datetime,
    seal_fingerprint: bytes,
) -> None:
    """Register a sealed form of ours for the actor's city; what is registered already stays.

    Raises:
        ActNotGranted: the actor's role may not have forms sealed.
        KeyUnpublished: nobody could tell whose seal it is.
    """
    accounts.require(actor, Act.DOCUMENT_SEAL)
    sha256 = hashlib.sha256(sealed).digest()
    with pypdfium2.PdfDocument(sealed) as document:
        page_count = len(document)
    registered = await _register_document(
        connection,
        sha256=sha256,
        city_code=actor.city_code,
        kind=kind,
        subject=subject,
        page_count=page_count,
        sealed_at=sealed_at,
        seal_fingerprint=seal_fingerprint,
        asked_by=actor.account_name,
    )
    if registered is not None:
        detail = {"kind": kind, "sha256": sha256.hex(), "page_count": page_count}
        await accounts.write(connection, actor, Act.DOCUMENT_SEAL, subject, detail)


async def attach(
    connection: Connection,
    actor: Actor,
    objects: Objects,
    subject: Subject,
    *,
    file_name: str,
    content: bytes,
) -> bytes:
    """Keep a scan for the city of its subject and return its digest.

    Raises:
        ActNotGranted: the actor's role may not attach anything.
        AttachmentSubjectUnknown: there is no such subject in the actor's city.
        AttachmentUnfit: no PDF, JPEG or PNG, empty, too large, or without a name that can be shown.
        AttachmentKnown: the same file is attached there already.
        StoreUnavailable: the bytes cannot be kept, and nothing is recorded.
    """
    accounts.require(actor, Act.DOCUMENT_ATTACH)
    media_type = _media_type(content)
    if media_type is None or not _can_be_shown(file_name):
        raise AttachmentUnfit
    city_code = await _subject_city(connection, kind=subject.kind, subject=subject.name)
    if city_code is None:
        raise AttachmentSubjectUnknown
    (stored,) = await objects.put_all([content])
    attached = await _attach(
        connection,
        city_code=city_code,
        subject_kind=subject.kind,
        subject=subject.name,
        sha256=bytes.fromhex(stored),
        file_name=file_name,
        media_type=media_type,
        byte_count=len(content),
        attached_by=actor.account_name,
    )
    if attached is None:
        raise AttachmentKnown(sha256=stored[:16])
    detail = {"sha256": stored, "media_type": media_type, "byte_count": len(content)}
    told = f"{subject.kind}:{subject.name}"
    await accounts.write(connection, actor, Act.DOCUMENT_ATTACH, told, detail, city_code=city_code)
    return attached


async def attachments(connection: Connection, subject: Subject) -> list[Attachment]:
    """List what the actor's city can see of a subject's scans, oldest first."""
    return await _attachments(connection, subject_kind=subject.kind, subject=subject.name)


async def fetch(connection: Connection, objects: Objects, sha256: bytes) -> bytes:
    """Return a scan as it came.

    Raises:
        AttachmentUnknown: the actor's city has no such scan.
        ObjectMissing, ObjectDamaged, StoreUnavailable: the store does not give it back.
    """
    if await _attached(connection, sha256=sha256) is None:
        raise AttachmentUnknown(sha256=sha256.hex()[:16])
    return await objects.get(sha256.hex())


def _media_type(content: bytes) -> str | None:
    if len(content) > ATTACHMENT_BYTES_MAX:
        return None
    return next((kind for magic, kind in _MEDIA_TYPES.items() if content.startswith(magic)), None)


def _can_be_shown(file_name: str) -> bool:
    return 0 < len(file_name) <= FILE_NAME_LENGTH_MAX and file_name.isprintable()
