"""The portal: holders find their certificates, download and share them, and report mistakes.

Whoever names a person, the person's document and a second factor has proved to be that person. The
answer to every wrong proof is one and the same, and so is the work behind it. What is proved lasts
for a session; a certificate that is not the session's own does not exist for it. Tokens are kept as
hashes, people as keyed hashes, and who opened a share link as a count by day.
"""

import base64
import datetime
import hashlib
import hmac
import re
from enum import StrEnum

import msgspec

from service.checking.decision import Origin, Status
from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import LinkExpired, LinkForged, ReportUnknown
from service.registry import accounts, people
from service.registry.accounts import Actor
from service.registry.journal import Act
from service.registry.people import IdKind
from service.registry.vault import Lookup

_sql = statements.beside(__file__)

SHARE_DAYS = (7, 30, 90)
PROPOSAL_LENGTH_MAX = 200
_TICKET_SECONDS = 600
_TICKET = re.compile(r"([0-9]{10})\.([\w-]{43})", re.ASCII)
_DOCUMENT = re.compile(r"[A-Z]{1,3}[0-9]{6}|[0-9]{9}")


class SecondFactor(StrEnum):
    """What is asked besides name and document."""

    EITHER = "either"
    NUMBER = "number"
    PHONE = "phone"
    NONE = "none"


class Field(StrEnum):
    """What on a certificate can be wrong."""

    NAME = "name"
    SEX = "sex"
    BORN_ON = "born_on"
    ID_NUMBER = "id_number"
    PROJECT = "project"
    EXAM_ON = "exam_on"
    OTHER = "other"


class Claim(msgspec.Struct, frozen=True):
    """Who somebody says to be; `second` is a certificate's number or the last digits of a phone."""

    name: str
    id_number: str
    second: str = ""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate as its holder sees it."""

    number: str
    version: int
    public_id: str
    name: str
    project_name: str
    exam_on: datetime.date | None
    archived_on: datetime.date
    issuing_authority: str
    standing: Status
    origin: Origin
    specimen: bool
    has_file: bool


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A link by which others may look at a certificate, and how often they did, newest day first.

    `ended` is one that expired or was taken back.
    """

    share_id: int
    seed: bytes
    expires_at: datetime.datetime
    ended: bool
    look_days: list[datetime.date]
    look_counts: list[int]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A mistake that a holder reported, and when the city took it up."""

    field: Field
    proposal: str
    made_at: datetime.datetime
    taken_at: datetime.datetime | None


class OpenReport(msgspec.Struct, frozen=True, kw_only=True):
    """A reported mistake as the city sees it."""

    report_id: int
    city_code: str
    number: str
    version: int
    field: Field
    proposal: str
    made_at: datetime.datetime


class _Found(msgspec.Struct, frozen=True):
    person_key: bytes
    name: str
    number: str
    phone_agrees: bool


class _Taken(msgspec.Struct, frozen=True):
    city_code: str
    number: str
    version: int
    field: Field


class Filed(msgspec.Struct, frozen=True):
    """Where the file of a certificate is kept."""

    number: str
    pdf_sha256: bytes


_find = _sql.many("find", _Found)
_begin = _sql.run("begin")
_end = _sql.run("end")
_held = _sql.many("held", Held)
_share = _sql.one("share", bool)
_shares = _sql.many("shares", Share)
_unshare = _sql.one("unshare", bool)
_open = _sql.perhaps("open", str)
_report = _sql.one("report", bool)
_reports = _sql.many("reports", Report)
_file_of = _sql.perhaps("file_of", Filed)
_open_reports = _sql.many("open_reports", OpenReport)
_take = _sql.perhaps("take", _Taken)


async def find(
    connection: Connection, lookup: Lookup, claim: Claim, factor: SecondFactor
) -> list[bytes]:
    """Return the keys of the persons who are proved, none where anything is wrong.

    The kind of the document is not asked: the number is looked for under every kind. Whatever is
    typed, the same hashes are made, the same one statement is run and every row of it compared.
    """
    number, typed, wanted = (
        _tidy(claim.id_number),
        _tidy(claim.second),
        people.comparable_name(claim.name),
    )
    keys = [lookup.person_key(kind, number) for kind in IdKind]
    phones = [lookup.phone_key(key, typed) for key in keys]
    found = await _find(connection, person_keys=keys, phone_keys=phones)
    named = {
        one.person_key
        for one in found
        if hmac.compare_digest(people.comparable_name(one.name), wanted)
    }
    seconded = {one.person_key for one in found if _agrees(one, typed, factor)}
    return sorted(named & seconded)


def is_document(text: str) -> bool:
    """Tell whether a number has the form of any document, so that a slip is told at once."""
    for kind in IdKind:
        try:
            people.check_id(kind, text)
        except people.Unfit:
            continue
        return True
    return False


async def begin(
    connection: Connection, token: str, person_keys: list[bytes], now: datetime.datetime
) -> None:
    """Begin the session of proved persons under a fresh random token.

    It lasts 15 minutes from each use on, and an hour at most.
    """
    await _begin(connection, session=_hash(token), person_keys=person_keys, now=now)


async def end(connection: Connection, token: str) -> None:
    """End a session, if it is one."""
    await _end(connection, session=_hash(token))


async def held(connection: Connection, token: str, now: datetime.datetime) -> list[Held]:
    """List every issued version of the person's certificates; none where the session is over."""
    return await _held(connection, session=_hash(token), now=now)


async def share(
    connection: Connection,
    lookup: Lookup,
    token: str,
    public_id: str,
    *,
    seed: bytes,
    days: int,
    now: datetime.datetime,
) -> bool:
    """Make a share link of 16 random bytes; only for a valid certificate of one's own.

    Raises: ShareLinksMany.
    """
    return await _share(
        connection,
        session=_hash(token),
        now=now,
        public_id=public_id,
        seed=seed,
        token_hash=_hash(share_token(lookup, seed)),
        until=now + datetime.timedelta(days=days),
    )


def share_token(lookup: Lookup, seed: bytes) -> str:
    """Return the 128 bits that stand in a share link's address, which nobody keeps."""
    return _text(lookup.keyed("share", seed)[:16])


async def shares(
    connection: Connection, token: str, public_id: str, now: datetime.datetime
) -> list[Share]:
    """List the share links of a certificate of one's own, the live ones first."""
    return await _shares(connection, session=_hash(token), public_id=public_id, now=now)


async def unshare(
    connection: Connection, token: str, public_id: str, share_id: int, now: datetime.datetime
) -> bool:
    """Take a share link of one's own back."""
    return await _unshare(
        connection, session=_hash(token), public_id=public_id, share_id=share_id, now=now
    )


async def open_share(
    connection: Connection, share_token: str, now: datetime.datetime, *, counted: bool
) -> str | None:
    """Return the ID behind a live share link; `counted` looks are told to its holder."""
    return await _open(connection, token_hash=_hash(share_token), now=now, counted=counted)


async def report(
    connection: Connection,
    token: str,
    public_id: str,
    *,
    field: Field,
    proposal: str,
    now: datetime.datetime,
) -> bool:
    """Take a mistake down for the city; only of a certificate of one's own.

    Raises: ReportsMany.
    """
    return await _report(
        connection,
        session=_hash(token),
        now=now,
        public_id=public_id,
        field=field.value,
        proposal=proposal,
    )


async def reports(
    connection: Connection, token: str, public_id: str, now: datetime.datetime
) -> list[Report]:
    """List what was reported of a certificate of one's own."""
    return await _reports(connection, session=_hash(token), public_id=public_id, now=now)


def tells_document(proposal: str, field: Field) -> bool:
    """Tell whether words hold a document number, which a report never keeps."""
    text = people.tidy(proposal).replace("-", "")
    long_digits = re.search("[0-9]{6}", text) if field is Field.ID_NUMBER else None
    return bool(long_digits or _DOCUMENT.search(text))


def sign_ticket(lookup: Lookup, public_id: str, now: datetime.datetime) -> str:
    """Return what lets whoever holds it download one version's file for ten minutes.

    An ID names one version, so number and version need no words of their own.
    """
    until = f"{int(now.timestamp()) + _TICKET_SECONDS}"
    return f"{until}.{_seal(lookup, public_id, until)}"


def check_ticket(lookup: Lookup, public_id: str, ticket: str, now: datetime.datetime) -> None:
    """Refuse a ticket that we did not sign for this ID, or that is over.

    Raises: LinkForged, LinkExpired.
    """
    parts = _TICKET.fullmatch(ticket)
    if not parts or not hmac.compare_digest(_seal(lookup, public_id, parts[1]), parts[2]):
        raise LinkForged
    if int(parts[1]) <= now.timestamp():
        raise LinkExpired


async def file_of(connection: Connection, public_id: str) -> Filed | None:
    """Return where an issued certificate's file is kept, if it has one."""
    return await _file_of(connection, public_id=public_id)


async def open_reports(connection: Connection) -> list[OpenReport]:
    """List the reports that the actor's city has not taken up; the province sees all."""
    return await _open_reports(connection)


async def take(connection: Connection, actor: Actor, report_id: int) -> None:
    """Take a report up; what it proposes stays out of the journal.

    Raises:
        ReportUnknown: there is no such open report in the actor's city.
    """
    accounts.require(actor, Act.REPORT_TAKE)
    taken = await _take(connection, report_id=report_id, account_name=actor.account_name)
    if taken is None:
        raise ReportUnknown(report_id=report_id)
    detail = {"number": taken.number, "version": taken.version, "field": taken.field}
    await accounts.write(
        connection, actor, Act.REPORT_TAKE, str(report_id), detail, city_code=taken.city_code
    )


def _agrees(found: _Found, typed: str, factor: SecondFactor) -> bool:
    number = hmac.compare_digest(found.number.encode(), typed.encode())
    return {
        SecondFactor.EITHER: number or found.phone_agrees,
        SecondFactor.NUMBER: number,
        SecondFactor.PHONE: found.phone_agrees,
        SecondFactor.NONE: True,
    }[factor]


def _tidy(text: str) -> str:
    return people.tidy(text).encode("utf-8", "replace").decode()


def _seal(lookup: Lookup, public_id: str, until: str) -> str:
    return _text(lookup.keyed("ticket", f"{public_id}\0{until}".encode("utf-8", "replace")))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _text(words: bytes) -> str:
    return base64.urlsafe_b64encode(words).decode().rstrip("=")
