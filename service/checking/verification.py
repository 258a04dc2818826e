"""Verification: one decision for every door.

A door (scanned ID, number and name, QR text, PDF file) only gathers what it can establish, as a
`Presented`; `decide` alone says what that means. A verdict is never a bool: it has a status, a
stable reason and the numbered steps, each passed, failed or not checked. A bad standing in the
register beats everything else. The holder's name is masked for whoever shows no more than an ID.

Steps: (1) the file is, byte for byte, one that was issued; (2) it is whole; (3) its seal is pinned;
(4) the seal is intact; (5) the QR statement is genuine; (6) the certificate is in the register;
(7) what was presented agrees with the register; (8) its standing there is good.
"""

import datetime
import hashlib
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from service.ground import jail, statements
from service.ground.db import Connection
from service.ground.errors import JailFault, JailLimitExceeded
from service.ground.jail import Jail
from service.issuing import public_keys
from service.registry import people
from signing import Pin, examine, token
from signing.errors import StatementRefused

_sql = statements.beside(__file__)

EXAMINE_JOB = "service.checking.verification:examine_in_jail"
PDF_BYTES_MAX = 10 << 20
WORDS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    Path(__file__).with_name("verdicts.toml").read_text("utf-8")
)
"""What each status, reason and step says, by its value and then by language (zh, en)."""


class Status(StrEnum):
    """What a reader learns first."""

    VALID = "valid"
    REVOKED = "revoked"
    CANCELLED = "cancelled"
    REPLACED = "replaced"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"
    ALTERED = "altered"
    UNTRUSTED = "untrusted"
    INDETERMINATE = "indeterminate"


class Outcome(StrEnum):
    """What became of one step."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    NOT_CHECKED = "not-checked"


class Step(msgspec.Struct, frozen=True):
    """One numbered step of a decision."""

    number: int
    name: str
    outcome: Outcome


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of every door. `name` is masked unless the door proved that it is known."""

    status: Status
    reason: str
    steps: tuple[Step, ...]
    checked_at: datetime.datetime
    number: str | None = None
    version: int | None = None
    issuer: str | None = None
    name: str | None = None
    project: str | None = None
    exam_on: datetime.date | None = None
    issued_on: datetime.date | None = None
    specimen: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An issued certificate, as far as the public may know it."""

    number: str
    version: int
    public_id: str
    name: str
    project_name: str
    exam_on: datetime.date
    archived_on: datetime.date
    issuing_authority: str
    standing: Status
    status_index: int
    statement_host: str
    sealed_at: datetime.datetime
    specimen: bool


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """What a door could establish, and nothing that it concluded.

    `file` is None where no file was shown, True for a byte-identical one, "limit" for one that
    could not be read within its limits. `statement` is the reason where it was refused, and
    `register_silent` tells that the register could not be asked.
    """

    entry: Entry | None = None
    file: examine.Findings | bool | str | None = None
    statement: token.Statement | token.Reason | None = None
    name_agrees: bool | None = None
    register_silent: bool = False


_by_id = _sql.perhaps("by_id", Entry)
_by_number = _sql.perhaps("by_number", Entry)
_by_file = _sql.perhaps("by_file", Entry)
_by_range = _sql.perhaps("by_range", Entry)
_STEPS = (
    "file-registered", "file-whole", "seal-pinned", "seal-intact", "statement-genuine",
    "registered", "agrees", "standing",
)  # fmt: skip
_UNTRUSTED = {token.Reason.UNKNOWN_KEY}
_ALTERED = {
    token.Reason.BAD_SIGNATURE,
    token.Reason.OUTSIDE_KEY_WINDOW,
    token.Reason.OTHER_HOST,
    token.Reason.OTHER_ID,
    token.Reason.NOT_CANONICAL,
}


async def by_id(connection: Connection, public_id: str, now: datetime.datetime) -> Verdict:
    """Answer the ID of a QR code's address alone; the name stays masked."""
    return decide(Presented(entry=await _by_id(connection, public_id=public_id)), now)


async def by_number(
    connection: Connection, number: str, name: str, now: datetime.datetime
) -> Verdict:
    """Answer a number typed together with the full name.

    An unknown number and a wrong name are one and the same answer.
    """
    entry = await _by_number(connection, number=people.tidy(number))
    typed = people.plain_name(name).casefold()
    kept = people.plain_name(entry.name if entry else "").casefold()
    agrees = entry is not None and kept == typed
    return decide(Presented(entry=entry if agrees else None, name_agrees=agrees), now)


async def by_text(connection: Connection, text: str, now: datetime.datetime) -> Verdict:
    """Answer the whole text of a QR code, its digits alone, or its address alone."""
    statement: token.Statement | token.Reason
    try:
        address, cose = token.from_text(text)
        if address and not cose:
            entry = await _by_id(connection, public_id=address.public_id)
            known = entry is not None and entry.statement_host == address.host
            return decide(Presented(entry=entry if known else None), now)
        keys = await public_keys.statement_keys(connection)
        statement = token.verify(cose, keys, address=address)
    except StatementRefused as refused:
        statement = token.Reason(str(refused.facts["reason"]))
    entry = None
    if isinstance(statement, token.Statement):
        entry = await _by_id(connection, public_id=statement.public_id)
    return decide(Presented(entry=entry, statement=statement), now)


async def by_file(
    connection: Connection, jail_: Jail, pdf: bytes, now: datetime.datetime
) -> Verdict:
    """Answer a PDF file: against the register first, only then by a look inside, in the jail."""
    entry = await _by_file(connection, pdf_sha256=hashlib.sha256(pdf).digest())
    if entry is not None:
        return decide(Presented(entry=entry, file=True), now)
    if len(pdf) > PDF_BYTES_MAX:
        return decide(Presented(file="limit"), now)
    pins = await public_keys.pins(connection)
    try:
        answer = await jail_.run(EXAMINE_JOB, pdf, jail.DOCUMENT, {"pins": _encode_pins(pins)})
    except (JailLimitExceeded, JailFault):
        return decide(Presented(file="limit"), now)
    findings = msgspec.convert(answer, examine.Findings)
    if findings.range_digest is not None:
        entry = await _by_range(connection, range_sha256=bytes.fromhex(findings.range_digest))
    return decide(Presented(entry=entry, file=findings), now)


def examine_in_jail(pdf: bytes, pins: list[list[str]]) -> examine.Findings:
    """Judge a stranger's file; runs in the jail and never raises for what the file holds."""
    known = [Pin(*(bytes.fromhex(part) for part in pin)) for pin in pins]
    return examine.foreign(pdf, {pin.fingerprint: pin for pin in known})


def decide(presented: Presented, now: datetime.datetime) -> Verdict:
    """Conclude from what a door established; pure, and the only place where a status is given."""
    outcomes = _judge_file(presented.file) | _judge_entry(presented)
    status, reason = _conclude(presented)
    steps = tuple(
        Step(number, name, outcomes.get(name, Outcome.NOT_CHECKED))
        for number, name in enumerate(_STEPS, start=1)
    )
    verdict = Verdict(status=status, reason=reason, steps=steps, checked_at=now)
    entry = presented.entry
    if entry is None:
        return verdict
    return msgspec.structs.replace(
        verdict,
        number=entry.number,
        version=entry.version,
        issuer=entry.issuing_authority,
        name=entry.name if _name_is_known(presented) else people.mask_name(entry.name),
        project=entry.project_name,
        exam_on=entry.exam_on,
        issued_on=entry.archived_on,
        specimen=entry.specimen,
    )


def _conclude(presented: Presented) -> tuple[Status, str]:
    entry, statement = presented.entry, presented.statement
    if entry is not None and entry.standing is not Status.VALID:
        return entry.standing, f"standing-{entry.standing}"
    if presented.file is not None and presented.file is not True:
        return _conclude_file(presented.file, known=entry is not None)
    if isinstance(statement, token.Reason):
        return _conclude_statement(statement)
    if entry is None:
        silent = presented.register_silent
        unknown = Status.UNKNOWN, "not-registered"
        return (Status.INDETERMINATE, "register-silent") if silent else unknown
    if statement is not None and not _agrees(statement, entry):
        return Status.ALTERED, "statement-differs"
    return Status.VALID, "registered"


def _conclude_file(found: examine.Findings | bool | str, *, known: bool) -> tuple[Status, str]:
    """Say altered only where a signer or a digest of ours is in the file."""
    if not isinstance(found, examine.Findings):
        return Status.INDETERMINATE, "file-beyond-limits"
    if known or found.signer or found.mentioned:
        return Status.ALTERED, "file-altered" if found.failed or known else "file-not-registered"
    if found.signed:
        return Status.UNTRUSTED, "seal-of-others"
    return Status.UNKNOWN, "file-unknown"


def _conclude_statement(reason: token.Reason) -> tuple[Status, str]:
    if reason in _UNTRUSTED:
        return Status.UNTRUSTED, "statement-of-others"
    if reason in _ALTERED:
        return Status.ALTERED, "statement-altered"
    return Status.UNKNOWN, "statement-unreadable"


def _judge_file(found: examine.Findings | bool | str | None) -> dict[str, Outcome]:
    if found is True:
        return {"file-registered": Outcome.PASS}
    if not isinstance(found, examine.Findings):
        return {}
    outcomes = {
        "file-whole": found.range_digest is not None,
        "seal-pinned": found.signer is not None,
        "seal-intact": found.sealed_at is not None and found.failed is None,
    }
    judged = {"file-registered": Outcome.FAIL}
    for name, holds in outcomes.items():
        judged[name] = Outcome.PASS if holds else Outcome.FAIL
        if not holds:
            break
    return judged


def _judge_entry(presented: Presented) -> dict[str, Outcome]:
    entry, statement = presented.entry, presented.statement
    judged: dict[str, Outcome] = {}
    if statement is not None:
        judged["statement-genuine"] = _outcome(isinstance(statement, token.Statement))
    answered = presented.file is None and not presented.register_silent
    if answered and not isinstance(statement, token.Reason):
        judged["registered"] = _outcome(entry is not None)
    if entry is not None:
        judged["registered"] = Outcome.PASS
        judged["standing"] = _outcome(entry.standing is Status.VALID)
        if isinstance(statement, token.Statement):
            judged["agrees"] = _outcome(_agrees(statement, entry))
        elif presented.name_agrees or presented.file is True:
            judged["agrees"] = Outcome.PASS
    return judged


def _outcome(holds: bool) -> Outcome:
    return Outcome.PASS if holds else Outcome.FAIL


def _agrees(statement: token.Statement, entry: Entry) -> bool:
    return (
        statement.number, statement.version, statement.public_id, statement.name,
        statement.project, statement.exam_on, statement.status_index, statement.issuer,
        statement.issued_at,
    ) == (
        entry.number, entry.version, entry.public_id, entry.name,
        entry.project_name, entry.exam_on, entry.status_index, entry.statement_host,
        entry.sealed_at,
    )  # fmt: skip


def _name_is_known(presented: Presented) -> bool:
    return bool(
        presented.file is True
        or presented.name_agrees
        or isinstance(presented.statement, token.Statement)
    )


def _encode_pins(pins: dict[str, Pin]) -> list[Any]:
    return [[pin.certificate.hex(), pin.issuing.hex(), pin.root.hex()] for pin in pins.values()]
