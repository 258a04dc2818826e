"""Issuance: the worker's protocol, from a numbered certificate to durable, examined, sealed bytes.

claim → promise → make → store → issue. The numbered rows are the queue. Before anything is made,
the claim writes down all that the bytes depend on (status index, time, keys, host), so that making
again after a crash gives the same SHA-256 and no number ever has two sealed files. Nothing is
called issued before its bytes are durable. What cannot be made is parked with its cause; its batch
goes on.
"""

import asyncio
import datetime
from collections.abc import Callable, Mapping, Sequence

import msgspec

from service.ground import db, statements
from service.ground.db import Connection, Role
from service.ground.errors import (
    KeyReplaced,
    ObjectDamaged,
    ObjectMissing,
    PhotoLost,
    Refusal,
    SignerAbsent,
    StoreUnavailable,
    WorkersLost,
)
from service.ground.objects import Objects
from service.issuing import certificates
from service.issuing.certificates import Certificate
from service.registry import journal
from service.registry.journal import Act
from service.registry.vault import Vault
from signing import CoseKey, Edition, Record, Sealer, Signer, examine, qr, token
from signing.errors import ExaminationFailed

_sql = statements.beside(__file__)


class Claimed(Certificate, frozen=True, kw_only=True):
    """A certificate that this worker alone works on, until the claim grows old.

    What is None was never promised; `sealed_at` is then only proposed.
    """

    examine_fully: bool
    claim_count: int
    status_sequence: int
    status_index: int | None
    sealed_at: datetime.datetime
    seal_fingerprint: bytes | None
    statement_kid: bytes | None
    statement_host: str | None


class Promised(Certificate, frozen=True, kw_only=True):
    """A certificate with all that its bytes depend on, written down before they are made."""

    examine_fully: bool
    status_index: int
    sealed_at: datetime.datetime
    seal_fingerprint: bytes
    statement_kid: bytes
    statement_host: str


class Sealed(msgspec.Struct, frozen=True):
    """A sealed and examined file; `range_sha256` covers all of it but the signature itself."""

    pdf: bytes
    range_sha256: bytes


class Progress(msgspec.Struct, frozen=True):
    """What is not finished: still to be made, and set aside."""

    numbered: int
    parked: int


_CLAIMS_MAX = 6  # three in a group, three alone

_claim = _sql.many("claim", Claimed)
_promise = _sql.run("promise")
_forgive = _sql.run("forgive")
_issue = _sql.many("issue", str)
_park = _sql.perhaps("park", str)
_progress = _sql.one("progress", Progress)


class Press:
    """Everything that a certificate is made with, loaded once for the life of a process."""

    def __init__(
        self,
        *,
        open_edition: Callable[[str], Edition],
        signers: Mapping[str, Signer],
        qr_key: CoseKey,
        vault: Vault,
        status_key: bytes,
        host: str,
    ) -> None:
        self._open_edition = open_edition
        self._editions: dict[str, Edition] = {}
        self._signers = signers
        self._sealers = {city_code: Sealer(signer) for city_code, signer in signers.items()}
        self.qr_key = qr_key
        self._vault = vault
        self._status_key = status_key
        self._host = host

    def promise(self, claimed: Claimed) -> Promised:
        """Complete a claim with what its bytes will depend on; what was promised before stays.

        Raises:
            SignerAbsent: no sealing key of that city is loaded, or one is not valid at that time.
            KeyReplaced: it was promised under keys that are not loaded any more.
        """
        signer = self._signers.get(claimed.city_code)
        if signer is None:
            raise SignerAbsent(city_code=claimed.city_code)
        keys = bytes.fromhex(signer.fingerprint), self.qr_key.kid
        known = {field: getattr(claimed, field) for field in Promised.__struct_fields__}
        if claimed.status_index is not None:
            if (claimed.seal_fingerprint, claimed.statement_kid) != keys:
                raise KeyReplaced(number=claimed.number)
            return Promised(**known)
        if not all(
            key.valid_from_at <= claimed.sealed_at <= key.valid_until_at
            for key in (signer, self.qr_key)
        ):
            raise SignerAbsent(city_code=claimed.city_code)
        known |= {
            "status_index": token.permute(self._status_key, claimed.status_sequence),
            "seal_fingerprint": keys[0],
            "statement_kid": keys[1],
            "statement_host": self._host,
        }
        return Promised(**known)

    def make(self, promised: Promised, photo: bytes | None) -> Sealed:
        """Render, seal and examine one certificate: the same promise always gives the same bytes.

        `photo` are the bytes of its portrait, where it has one.

        Raises:
            SigningError: the face cannot be drawn, or the file is not what it should be.
        """
        signer = self._signers[promised.city_code]
        record = certificates.record(promised, self._vault)
        url, digits = self._statement(promised, record)
        edition = self._edition(promised.edition)
        pdf = self._sealers[promised.city_code].seal(
            edition.render(
                record,
                qr.matrix(url, digits),
                photo=photo,
                specimen=signer.specimen,
                rendered_at=promised.sealed_at,
            ),
            promised.sealed_at,
        )
        guarded = examine.own(pdf, record, signer.pin, edition.photo_mm)
        if promised.examine_fully:
            examine.fully(pdf, signer.pin)
            if examine.qr_text(pdf) != url + digits:
                raise ExaminationFailed(rule="qr")
        return Sealed(pdf, guarded.range_digest)

    def _edition(self, name: str) -> Edition:
        if name not in self._editions:
            self._editions[name] = self._open_edition(name)
        return self._editions[name]

    def _statement(self, promised: Promised, record: Record) -> tuple[str, str]:
        statement = token.Statement(
            issuer=promised.statement_host,
            issued_at=promised.sealed_at,
            number=record.number,
            name=record.name,
            project=record.project,
            exam_on=record.exam_on,
            version=record.version,
            public_id=record.public_id,
            status_index=promised.status_index,
            record_digest=record.digest()[:16],
        )
        cose = token.sign(statement, self.qr_key.private_key, self.qr_key.kid)
        return token.to_text(statement.issuer, record.public_id, cose)


async def work(
    connection: Connection,
    objects: Objects,
    press: Press,
    *,
    worker: str,
    takeover_seconds: float,
    group_size: int,
) -> int:
    """Claim a group of certificates and take them to `issued` or `parked`; returns their count.

    May be killed anywhere: what is not issued is claimed again after `takeover_seconds`.

    Raises:
        DatabaseUnavailable, StoreUnavailable: the group stays claimed and is done again later.
    """
    promised, refused = await claim(
        connection, press, worker=worker, takeover_seconds=takeover_seconds, group_size=group_size
    )
    try:
        photos = await asyncio.gather(*(_photo(objects, one) for one in promised))
        made = [*refused, *await asyncio.to_thread(_make_all, press, promised, photos)]
        sealed = [(claimed, result) for claimed, result in made if isinstance(result, Sealed)]
        digests = await objects.put_all([result.pdf for _, result in sealed])
    except StoreUnavailable:
        claimed_numbers = [one.number for one in (*promised, *(claimed for claimed, _ in refused))]
        async with db.acting(connection, Role.WORKER):  # no certificate's fault
            await _forgive(connection, numbers=claimed_numbers)
        raise
    async with db.acting(connection, Role.WORKER):
        await _issue(
            connection,
            worker=worker,
            act=Act.CERTIFICATE_ISSUE.value,
            numbers=[claimed.number for claimed, _ in sealed],
            versions=[claimed.version for claimed, _ in sealed],
            pdf_sha256s=[bytes.fromhex(digest) for digest in digests],
            range_sha256s=[result.range_sha256 for _, result in sealed],
        )
    for claimed, result in made:
        if not isinstance(result, Sealed):
            await park(connection, worker, claimed, result)
    return len(made)


async def claim(
    connection: Connection, press: Press, *, worker: str, takeover_seconds: float, group_size: int
) -> tuple[list[Promised], list[tuple[Claimed, Refusal]]]:
    """Claim the next numbered certificates and write down what their bytes will depend on.

    Rows that another worker holds are skipped, never waited for. Returns what can be made, and what
    cannot with the reason.
    """
    promised: list[Promised] = []
    refused: list[tuple[Claimed, Refusal]] = []
    async with db.acting(connection, Role.WORKER):
        for claimed in await _claim(
            connection, worker=worker, takeover_seconds=takeover_seconds, group_size=group_size
        ):
            try:
                promised.append(_promise_or_give_up(press, claimed))
            except (SignerAbsent, KeyReplaced, WorkersLost) as error:
                refused.append((claimed, error))
        await _promise(
            connection,
            numbers=[one.number for one in promised],
            versions=[one.version for one in promised],
            status_indexes=[one.status_index for one in promised],
            sealed_ats=[one.sealed_at for one in promised],
            seal_fingerprints=[one.seal_fingerprint for one in promised],
            statement_kids=[one.statement_kid for one in promised],
            statement_hosts=[one.statement_host for one in promised],
        )
    return promised, refused


async def park(connection: Connection, worker: str, claimed: Certificate, cause: Exception) -> None:
    """Set a certificate aside with its cause, so that it stops nobody else."""
    code = getattr(cause, "code", type(cause).__name__)
    facts = getattr(cause, "facts", {})
    text = f"{code} {facts.get('rule', '')}".strip()
    async with db.acting(connection, Role.WORKER):
        key = {"number": claimed.number, "version": claimed.version}
        if await _park(connection, **key, cause=text) is not None:
            await journal.write(
                connection,
                city_code=claimed.city_code,
                actor=worker,
                act=Act.CERTIFICATE_PARK,
                subject=claimed.number,
                detail={"cause": text},
            )


async def progress(connection: Connection) -> Progress:
    """Count what is not finished."""
    return await _progress(connection)


def _promise_or_give_up(press: Press, claimed: Claimed) -> Promised:
    if claimed.claim_count > _CLAIMS_MAX:
        raise WorkersLost(number=claimed.number)
    return press.promise(claimed)


async def _photo(objects: Objects, one: Promised) -> bytes | PhotoLost | None:
    """Fetch what is drawn with a certificate; what the store has lost is that one's cause alone."""
    if one.photo_sha256 is None:
        return None
    try:
        return await objects.get(one.photo_sha256.hex())
    except (ObjectMissing, ObjectDamaged) as error:
        return PhotoLost(number=one.number, rule=error.code)


def _make_all(
    press: Press, promised: Sequence[Promised], photos: Sequence[bytes | PhotoLost | None]
) -> list[tuple[Certificate, Sealed | Exception]]:
    made: list[tuple[Certificate, Sealed | Exception]] = []
    for one, photo in zip(promised, photos, strict=True):
        if isinstance(photo, PhotoLost):
            made.append((one, photo))
            continue
        try:
            made.append((one, press.make(one, photo)))
        except Exception as error:  # noqa: BLE001 - whatever it is, one certificate is parked
            made.append((one, error))
    return made
