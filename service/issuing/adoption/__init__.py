"""Adoption: certificates issued since March 2024, before Qianfa, are taken in as not sealed by us.

sheet + folder → judged whole → asked by one person → confirmed by another, who holds the same
files. A cell becomes part of a `Row` in `sheet`, a PDF is found in `files`; nothing of either is
kept until the second person gives the same ones again. Then the files are stored, the counters are
moved behind the numbers, and every row becomes a certificate in one transaction, or none does. From
there on they are found at every door, count for gate 8, may be revoked, and keep their numbers.

Source: 川人社职鉴〔2025〕35号 (e-certificates since March 2024).
"""

import datetime
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import AdoptedAlready, AdoptionNeedsTwoPersons, Finding, RowsRefused
from service.issuing import batches, numbering
from service.issuing.adoption.files import Survey
from service.issuing.adoption.sheet import Row
from service.issuing.batches import obstacles
from service.issuing.numbering import Behind
from service.issuing.sheets import cells
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act
from service.registry.people import Unfit
from service.registry.vault import PHONE_DIGITS, Vault
from signing import token

_sql = statements.beside(__file__)


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one person wishes to have taken in, and another gives again."""

    file_sha256: bytes
    document_number: str
    rows: Sequence[Row]
    survey: Survey


class Outcome(msgspec.Struct, frozen=True):
    """What came of it: `confirmed`, or a wish that waits beside `others` which differ from it."""

    adoption_id: int
    confirmed: bool
    others: tuple[int, ...]
    counters: tuple[Behind, ...]


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """A wish as its users see it."""

    adoption_id: int
    city_code: str
    row_count: int
    pdf_count: int
    document_number: str
    asked_by: str
    asked_on: datetime.date
    confirmed_by: str | None
    confirmed_on: datetime.date | None


class _Taken(msgspec.Struct, frozen=True):
    number: str
    pdf_sha256: bytes | None


class _Wish(msgspec.Struct, frozen=True):
    adoption_id: int
    asked_by: str
    confirmed_at: datetime.datetime | None


_known_projects = _sql.many("known_projects", str)
_taken = _sql.many("taken", _Taken)
_adopted_at = _sql.perhaps("adopted_at", datetime.datetime)
_add_wish = _sql.perhaps("add_wish", int)
_lock_wish = _sql.one("lock_wish", _Wish)
_waiting = _sql.many("waiting", int)
_confirm = _sql.run("confirm")
_add_certificates = _sql.run("add_certificates")
_recent = _sql.many("recent", Adoption)


async def adopt(
    connection: Connection,
    actor: Actor,
    vault: Vault,
    offer: Offer,
    *,
    errors: Sequence[Finding],
    today: datetime.date,
    store: Callable[[], Awaitable[object]],
) -> Outcome:
    """Wish for a sheet to be taken in, or confirm another person's wish for the very same.

    `errors` are what judging the sheet alone found; what the register says against it is added to
    them. Where the wish is confirmed, `store` is awaited: it returns once the files are durable.
    Locks the city's number counters after that; its certificates enter whole or not at all.

    Raises:
        AdoptedAlready: the same sheet was taken in before.
        RowsRefused: with every error of the sheet.
        AdoptionNeedsTwoPersons: the person who asked cannot confirm.
    """
    accounts.require(actor, Act.ADOPTION_ASK)
    keys = [vault.person_key(row.id_kind, row.id_number) for row in offer.rows]
    judgement = cells.Judgement()
    counters = await _place(connection, actor.city_code, offer.rows, today, judgement)
    await _look_up(connection, offer, judgement)
    await _unknown_projects(connection, actor.city_code, offer.rows, judgement)
    valid = [
        (row.row_number, key, row.project)
        for row, key in zip(offer.rows, keys, strict=True)
        if row.standing == "valid"
    ]
    errors = (*errors, *judgement.findings(), *await obstacles.certified(connection, valid))
    if errors:
        city, digest = actor.city_code, offer.file_sha256
        _refuse_again(await _adopted_at(connection, city_code=city, file_sha256=digest))
        raise RowsRefused(errors, count=len(errors))
    wish, confirmable = await _wish(connection, actor, offer)
    if confirmable:
        await store()
        await numbering.start_behind(
            connection, actor.city_code, counters, document_number=offer.document_number
        )
        await _keep(connection, actor, vault, adoption_id=wish.adoption_id, offer=offer, keys=keys)
    detail = {
        "file_sha256": offer.file_sha256.hex(),
        "pdfs_sha256": offer.survey.digest.hex(),
        "rows": len(offer.rows),
        "pdfs": len(offer.survey.pdfs),
        "document_number": offer.document_number,
        "counters": counters,
    }
    act = Act.ADOPTION_CONFIRM if confirmable else Act.ADOPTION_ASK
    await accounts.write(connection, actor, act, str(wish.adoption_id), detail)
    others = await _waiting(connection, city_code=actor.city_code, adoption_id=wish.adoption_id)
    return Outcome(wish.adoption_id, confirmable, tuple(others), counters)


async def recent(connection: Connection) -> list[Adoption]:
    """Return the newest wishes that the actor may see, newest first."""
    return await _recent(connection)


def _refuse_again(adopted_at: datetime.datetime | None) -> None:
    if adopted_at is not None:
        raise AdoptedAlready(at=f"{adopted_at.astimezone(batches.LEGAL_ZONE):%Y-%m-%d %H:%M}")


async def _place(
    connection: Connection,
    city_code: str,
    rows: Sequence[Row],
    today: datetime.date,
    judgement: cells.Judgement,
) -> tuple[Behind, ...]:
    """Find the counters that would come to these numbers; those of past years never will.

    Any scheme may write a number; one that none writes with the digits of a city is kept as it is.
    """
    schemes = await numbering.schemes(connection)
    cities: dict[int, set[str]] = defaultdict(set)
    for digits in await numbering.digits_of_cities(connection):
        cities[int(digits.number_digits)].add(digits.city_code)
    last: dict[tuple[int, int, int], int] = {}
    of_body: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        read = (scheme.parse(row.number, row.issued_on.year) for scheme in schemes)
        places = [place for place in read if place and place.city in cities]
        ours = [place for place in places if city_code in cities[place.city]]
        if places and not ours:
            others = "、".join(sorted(cities[places[0].city]))
            unfit = Unfit("NumberOfOtherCity", city_code=others)
            judgement.add(unfit, row.row_number, "证书编号", row.number)
        for place in ours:
            if not 0 < place.period < today.year:
                key = (place.scheme_version, place.period, place.body_serial)
                last[key] = max(last.get(key, 0), place.sequence)
                of_body[place.body_serial].add(row.row_number)
    for closed in sorted(of_body.keys() - set(await numbering.open_bodies(connection, city_code))):
        unfit = Unfit("NumberBodyClosed", body_serial=closed)
        judgement.add(unfit, column="证书编号", rows=tuple(sorted(of_body[closed])))
    return tuple(Behind(*key, sequence) for key, sequence in sorted(last.items()))


async def _look_up(connection: Connection, offer: Offer, judgement: cells.Judgement) -> None:
    """Count an error for every number and every file that the register knows, in any city."""
    pdfs = offer.survey.pdfs
    taken = await _taken(
        connection,
        numbers=[row.number for row in offer.rows],
        digests=[pdf.sha256 for pdf in pdfs.values()],
    )
    numbers = {one.number for one in taken}
    holders = {one.pdf_sha256: one.number for one in taken}
    for row in offer.rows:
        if row.number in numbers:
            judgement.add(Unfit("NumberKnown"), row.row_number, "证书编号", row.number)
        elif (pdf := pdfs.get(row.number)) and pdf.sha256 in holders:
            unfit = Unfit("PdfKnown", number=holders[pdf.sha256])
            judgement.add(unfit, row.row_number, "文件名", pdf.path.name)


async def _unknown_projects(
    connection: Connection, city_code: str, rows: Sequence[Row], judgement: cells.Judgement
) -> None:
    """Count each project once that the catalogue never named: gate 8 could not know it again."""
    known = set(await _known_projects(connection, city_code=city_code))
    places: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if row.project not in known:
            places[row.project].append(row.row_number)
    for project, numbers in places.items():
        unfit = Unfit("ProjectNeverKnown")
        judgement.add(unfit, None, "专项职业能力名称", project, rows=tuple(numbers))


async def _wish(connection: Connection, actor: Actor, offer: Offer) -> tuple[_Wish, bool]:
    """Record a wish, or lock the same one of another person, who may then be confirmed."""
    wished = {
        "city_code": actor.city_code,
        "file_sha256": offer.file_sha256,
        "pdfs_sha256": offer.survey.digest,
        "document_number": offer.document_number,
    }
    added = await _add_wish(
        connection,
        **wished,
        row_count=len(offer.rows),
        pdf_count=len(offer.survey.pdfs),
        asked_by=actor.account_name,
    )
    wish = await _lock_wish(connection, **wished)
    _refuse_again(wish.confirmed_at)
    if added is None and wish.asked_by == actor.account_name:
        raise AdoptionNeedsTwoPersons(adoption_id=wish.adoption_id)
    return wish, added is None


async def _keep(
    connection: Connection,
    actor: Actor,
    vault: Vault,
    *,
    adoption_id: int,
    offer: Offer,
    keys: Sequence[bytes],
) -> None:
    """Write every certificate; the database takes none whose wish is not confirmed."""
    rows, pdfs = offer.rows, offer.survey.pdfs
    await _confirm(connection, adoption_id=adoption_id, account_name=actor.account_name)
    await _add_certificates(
        connection,
        adoption_id=adoption_id,
        city_code=actor.city_code,
        numbers=[row.number for row in rows],
        public_ids=[token.encode_id(secrets.token_bytes(10)) for _ in rows],
        names=[row.name for row in rows],
        sexes=[row.sex for row in rows],
        id_kinds=[row.id_kind for row in rows],
        ids_encrypted=[vault.encrypt(row.id_number) for row in rows],
        person_keys=keys,
        phone_keys=[
            row.phone and vault.phone_key(key, row.phone[-PHONE_DIGITS:])
            for row, key in zip(rows, keys, strict=True)
        ],
        projects=[row.project for row in rows],
        exam_days=[row.exam_on for row in rows],
        issue_days=[row.issued_on for row in rows],
        authorities=[row.authority for row in rows],
        standings=[row.standing for row in rows],
        pdf_digests=[pdf.sha256 if (pdf := pdfs.get(row.number)) else None for row in rows],
    )
