"""Certificates: what stands on a face, the e-licence identifier, and numbers that are voided.

A certificate's face is written once, when its number is taken, and never changes. A numbered
certificate that can never be sealed is voided by two persons; it stays listed and its number is
never used again. Parked certificates go back to the queue once their cause is mended.

Source: GB/T 36904 (identifier), ISO/IEC 7064 MOD 37,36 (check character).
"""

import datetime
from decimal import Decimal

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import CertificateUnknown, VoidNeedsTwoPersons
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act
from service.registry.people import IdKind
from service.registry.vault import Vault
from signing import Record

_sql = statements.beside(__file__)

STANDING_WORDS = {
    "valid": "有效", "suspended": "暂扣", "revoked": "撤销", "cancelled": "注销",
    "replaced": "已被替代",
}  # fmt: skip
"""What standings are called in Chinese; in English they are themselves."""
WORDS = STANDING_WORDS | {"numbered": "待签发", "parked": "搁置", "void": "作废"}
"""The same of a certificate that is not issued, by its state."""

_ROOT = "1.2.156.3005.2"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """The face of one version of one certificate, as it is kept.

    `replaces` is the identifier of the version that a corrected one stands in for; the bytes of the
    photo are in the store.
    """

    number: str
    version: int
    city_code: str
    public_id: str
    identifier: str
    edition: str
    name: str
    sex: str
    born_on: datetime.date
    id_kind: IdKind
    id_encrypted: bytes
    project_name: str
    score: Decimal
    exam_on: datetime.date
    archived_on: datetime.date
    issuing_authority: str
    issuer_code: str
    seal_name: str
    replaces: str | None
    photo_sha256: bytes | None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a batch's list of certificates; void numbers stay in it."""

    number: str
    version: int
    name: str
    project_name: str
    state: str
    standing: str
    pdf_sha256: bytes | None
    cause: str | None


class _Standing(msgspec.Struct, frozen=True):
    version: int
    city_code: str
    state: str
    void_asked_by: str | None


_of_batch = _sql.many("of_batch", Listed)
_lock = _sql.perhaps("lock", _Standing)
_ask_void = _sql.run("ask_void")
_void = _sql.run("void")
_retry = _sql.many("retry", str)


def record(certificate: Certificate, vault: Vault) -> Record:
    """Write out the face; the only place where a kept id is read for printing."""
    return Record(
        number=certificate.number,
        version=certificate.version,
        identifier=certificate.identifier,
        public_id=certificate.public_id,
        name=certificate.name,
        sex=certificate.sex,
        born_on=certificate.born_on,
        id_kind=certificate.id_kind.value,
        id_kind_code=certificate.id_kind.code,
        id_number=vault.decrypt(certificate.id_encrypted),
        project=certificate.project_name,
        score=f"{certificate.score.normalize():f}",
        exam_on=certificate.exam_on,
        issued_on=certificate.archived_on,
        authority=certificate.issuing_authority,
        issuer_code=certificate.issuer_code,
        seal_name=certificate.seal_name,
        replaces=certificate.replaces,
        photo_sha256=certificate.photo_sha256.hex() if certificate.photo_sha256 else None,
    )


def check_character(text: str) -> str:
    """Compute ISO/IEC 7064 MOD 37,36 over upper-case letters and digits; dots do not count."""
    remainder = 36
    for character in text.replace(".", ""):
        remainder = (remainder + _ALPHABET.index(character)) % 36 or 36
        remainder = remainder * 2 % 37
    return _ALPHABET[(37 - remainder) % 36]


def identifier(licence_type: str, issuer_code: str, number: str, version: int) -> str:
    """Compose the GB/T 36904 identifier of one version of one certificate."""
    words = f"{licence_type}.{issuer_code}.{number}.{version:03}"
    return f"{_ROOT}.{words}.{check_character(words)}"


def next_identifier(before: str, version: int) -> str:
    """Compose the identifier of a later version of the certificate that `before` identifies."""
    *_, licence_type, issuer_code, number, _, _ = before.split(".")
    return identifier(licence_type, issuer_code, number, version)


async def of_batch(connection: Connection, batch_id: int) -> list[Listed]:
    """List a batch's certificates in the order of their numbers."""
    return await _of_batch(connection, batch_id=batch_id)


async def export(connection: Connection, actor: Actor, batch_id: int) -> dict[str, str]:
    """Return what of a batch may be handed out, SHA-256 in hex by number; the journal tells it.

    That is what is valid, of each number at most one version.
    """
    listed = await _of_batch(connection, batch_id=batch_id)
    issued = {
        one.number: one.pdf_sha256.hex()
        for one in listed
        if one.pdf_sha256 and one.standing == "valid"
    }
    detail = {"count": len(issued)}
    await accounts.write(connection, actor, Act.CERTIFICATES_EXPORT, str(batch_id), detail)
    return issued


async def void(connection: Connection, actor: Actor, number: str, reason: str) -> bool:
    """Void what can never be sealed: the first person asks, a second one confirms.

    Of a corrected certificate the new version alone is void, and the one before is valid again.
    Returns whether it is void now.

    Raises:
        CertificateUnknown: no such number in the actor's city, or it is issued or void already.
        VoidNeedsTwoPersons: the person who asked cannot confirm.
    """
    standing = await _lock(connection, number=number)
    if standing is None or standing.state not in ("numbered", "parked"):
        raise CertificateUnknown(number=number)
    if standing.void_asked_by == actor.account_name:
        raise VoidNeedsTwoPersons(number=number)
    asked = {"number": number, "version": standing.version, "account_name": actor.account_name}
    if standing.void_asked_by is None:
        await _ask_void(connection, **asked, reason=reason)
        act = Act.NUMBER_VOID_ASK
    else:
        await _void(connection, **asked)
        act = Act.NUMBER_VOID
    detail = {"reason": reason, "version": standing.version}
    await accounts.write(connection, actor, act, number, detail, city_code=standing.city_code)
    return act is Act.NUMBER_VOID


async def retry(connection: Connection, actor: Actor, batch_id: int) -> list[str]:
    """Put parked certificates back into the queue, and withdraw unconfirmed wishes to void.

    Returns the numbers.
    """
    accounts.require(actor, Act.CERTIFICATE_RETRY)
    numbers = await _retry(connection, batch_id=batch_id)
    if numbers:
        await accounts.write(
            connection, actor, Act.CERTIFICATE_RETRY, str(batch_id), {"numbers": numbers}
        )
    return numbers
