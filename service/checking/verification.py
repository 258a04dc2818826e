"""Verification: what each door gathers before the one decision is asked.

A stranger's file is compared by its SHA-256 first; only what is not ours byte for byte is looked
into, in the jail. While a jail works no connection is held. A picture is answered through its QR
code, and only where it is nothing but a picture: a document with text of its own could carry a
genuine code beside forged words.
"""

import datetime
import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import msgspec

from service.checking import decision
from service.checking.decision import Door, Entry, Presented, Status, Verdict
from service.ground import jail, observability, statements
from service.ground.db import Connection
from service.ground.errors import JailFault, JailLimitExceeded
from service.ground.jail import Jail
from service.issuing import public_keys
from service.registry import people
from signing import Pin, examine, status, token
from signing.cose import Purpose
from signing.errors import StatementRefused
from signing.key_set import Keys

_sql = statements.beside(__file__)

EXAMINE_JOB = "signing.examine:look_in_jail"
UPLOAD_BYTES_MAX = 10 << 20

Connecting: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""Lends a connection of the public for a moment."""


class _Document(msgspec.Struct, frozen=True):
    centre_name: str
    specimen: bool


_by_id = _sql.perhaps("by_id", Entry)
_by_number = _sql.many("by_number", Entry)
_by_file = _sql.perhaps("by_file", Entry)
_document = _sql.perhaps("document", _Document)
_by_range = _sql.perhaps("by_range", Entry)
_known_numbers = _sql.many("known_numbers", str)


async def by_id(
    connection: Connection, public_id: str, now: datetime.datetime, *, door: Door = Door.ID
) -> Verdict:
    """Answer the ID of a QR code's address alone, read by any door; the name stays masked."""
    entry = await _by_id(connection, public_id=public_id)
    return _decide(Presented(door=door, entry=entry), now)


async def by_number(
    connection: Connection, number: str, name: str, now: datetime.datetime
) -> Verdict:
    """Answer a number typed together with the full name, of the newest version that bears it.

    An unknown number and a wrong name are one and the same answer.
    """
    typed = people.comparable_name(name)
    found = None
    for entry in await _by_number(connection, number=people.tidy(number)):
        if hmac.compare_digest(people.comparable_name(entry.name), typed) and found is None:
            found = entry
    presented = Presented(door=Door.NUMBER, entry=found, name_agrees=found is not None)
    return _decide(presented, now)


async def by_text(connection: Connection, text: str, now: datetime.datetime) -> Verdict:
    """Answer the whole text of a QR code, its digits alone, or its address alone."""
    return _decide(await _read_text(connection, text, Door.TEXT), now)


async def by_file(
    connecting: Connecting, examiner: Jail, content: bytes, now: datetime.datetime
) -> Verdict:
    """Answer a file: against the register first, only then by a look inside, in the jail.

    Raises: JailBusy and JailUnavailable, when nothing can be said of the file.
    """
    async with connecting() as connection:
        pdf_sha256 = hashlib.sha256(content).digest()
        entry = await _by_file(connection, pdf_sha256=pdf_sha256)
        document = None if entry else await _document(connection, pdf_sha256=pdf_sha256)
        pins = {} if entry or document else await public_keys.pins(connection)
    if entry is not None:
        return _decide(Presented(door=Door.FILE, entry=entry, file="same"), now)
    if document is not None:
        presented = Presented(
            door=Door.FILE, document_of=document.centre_name, specimen=document.specimen
        )
        return _decide(presented, now)
    look = await _look(examiner, content, pins) if len(content) <= UPLOAD_BYTES_MAX else None
    if look is None:
        return _decide(Presented(door=Door.FILE, file="limit"), now)
    async with connecting() as connection:
        presented = await _compare(connection, look)
    return _decide(presented, now)


def offline(
    text: str, keys: Keys, lists: Sequence[status.StatusList], now: datetime.datetime
) -> Verdict:
    """Answer a QR text without register or network: by published keys and signed status lists."""
    statement: token.Statement | token.Reason | None = None
    listed, specimen = None, False
    try:
        address, cose = token.from_text(text)
        if cose:
            statement, key = token.verify_with_key(cose, keys[Purpose.STATEMENT], address=address)
            standing = status.standing(lists, statement.issuer, statement.status_index)
            listed = None if standing is None else Status(standing.name.lower())
            specimen = key.specimen
    except StatementRefused as refused:
        statement = token.Reason(str(refused.facts["reason"]))
    presented = Presented(
        door=Door.OFFLINE,
        statement=statement,
        register_silent=True,
        listed=listed,
        specimen=specimen,
    )
    return _decide(presented, now)


async def _read_text(connection: Connection, text: str, door: Door) -> Presented:
    """Gather what a QR text establishes; a refused one still names whom to ask by its address."""
    address = None
    statement: token.Statement | token.Reason | None = None
    try:
        address, cose = token.from_text(text)
        if cose:
            keys = await public_keys.statement_keys(connection)
            statement = token.verify(cose, keys, address=address)
    except StatementRefused as refused:
        statement = token.Reason(str(refused.facts["reason"]))
    public_id = address.public_id if address else None
    if isinstance(statement, token.Statement):
        public_id = statement.public_id
    entry = await _by_id(connection, public_id=public_id) if public_id else None
    if entry and address and entry.statement_host != address.host:
        entry = None
    return Presented(door=door, entry=entry, statement=statement)


async def _look(examiner: Jail, content: bytes, pins: Mapping[str, Pin]) -> examine.Look | None:
    """Look into a file in the jail, and once more at its bytes alone if its reader was killed."""
    for bytes_alone in (False, True):
        arguments = {"pins": _encode_pins(pins), "bytes_alone": bytes_alone}
        try:
            answer = await examiner.run(EXAMINE_JOB, content, jail.DOCUMENT, arguments)
        except (JailLimitExceeded, JailFault) as stopped:
            observability.STOPPED.labels(str(stopped.facts.get("limit", "fault"))).inc()
        else:
            return msgspec.convert(answer, examine.Look)
    return None


async def _compare(connection: Connection, look: examine.Look) -> Presented:
    """Hold what a look found against the register."""
    if look.qr_text is not None:
        return await _read_text(connection, look.qr_text, Door.PICTURE)
    entry = None
    if look.findings.range_digest is not None:
        range_sha256 = bytes.fromhex(look.findings.range_digest)
        entry = await _by_range(connection, range_sha256=range_sha256)
    seen = await _known_numbers(connection, numbers=list(look.numbers))
    return Presented(
        door=Door.PICTURE if look.picture else Door.FILE,
        entry=entry,
        file=look.findings,
        number_seen=seen[0] if seen else None,
    )


def _decide(presented: Presented, now: datetime.datetime) -> Verdict:
    verdict = decision.decide(presented, now)
    observability.decided(verdict.door.value, verdict.status.value)
    return verdict


def _encode_pins(pins: Mapping[str, Pin]) -> Collection[Any]:
    return [[pin.certificate.hex(), pin.issuing.hex(), pin.root.hex()] for pin in pins.values()]
