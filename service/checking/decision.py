"""The decision: what a reader may rely on, concluded in one place for every door.

A door (scanned ID, number and name, QR text, file, picture, share link, or no network at all) only
gathers what it can establish, as a `Presented`; `decide` alone says what that means. A verdict is
never a bool: it has a status, a stable reason and the numbered steps, each passed, failed or not
checked. A bad standing beats everything else. The holder's name is masked for whoever shows no more
than an ID, and left out where what was shown is not what we issued.

Steps: (1) the file is, byte for byte, one that was issued; (2) it is whole; (3) its seal is pinned;
(4) the seal is intact; (5) the QR statement is genuine; (6) the certificate is in the register;
(7) what was presented agrees with the register; (8) its standing there, or in the signed status
list, is good.
"""

import datetime
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Literal

import msgspec

from service.issuing.batches import LEGAL_ZONE
from service.registry import people
from signing import examine, token

WORDS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    Path(__file__).with_name("verdicts.toml").read_text("utf-8")
)
"""What each status, reason, step and comparison says, by its value and then by language."""


def headline(status: str, reason: str) -> dict[str, str]:
    """Return what leads a verdict: of a good document that it is one, or else the status."""
    return WORDS["headline"].get(reason, WORDS["status"][status])


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


class Door(StrEnum):
    """How a certificate was shown."""

    ID = "id"
    NUMBER = "number"
    TEXT = "text"
    FILE = "file"
    PICTURE = "picture"
    SHARE = "share"
    OFFLINE = "offline"


class Origin(StrEnum):
    """Who made a certificate: this service, or the one before it."""

    SEALED = "sealed"
    ADOPTED = "adopted"


class Step(msgspec.Struct, frozen=True):
    """One numbered step of a decision."""

    number: int
    name: str
    outcome: Outcome


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of every door.

    `name` is masked unless the door proved that it is known. `compare` names what the reader should
    still compare by eye. `successor` is the version that replaces this one, once it is issued.
    `number` stands alone, without any other fact, where what was shown is not what we issued but
    names a certificate of ours: look that up at the usual doors. So does `issuer` where it is a
    document that we sealed for that centre and no certificate. `checked_at` is in the legal zone.
    `paper_digits` are the last of the serial on the current paper, where there is one.
    """

    status: Status
    reason: str
    door: Door
    steps: tuple[Step, ...]
    checked_at: datetime.datetime
    compare: tuple[str, ...] = ()
    number: str | None = None
    version: int | None = None
    successor: int | None = None
    origin: Origin | None = None
    issuer: str | None = None
    name: str | None = None
    project: str | None = None
    exam_on: datetime.date | None = None
    issued_on: datetime.date | None = None
    paper_digits: str | None = None
    specimen: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An issued certificate, as far as the public may know it; of a photo only whether there is."""

    number: str
    version: int
    public_id: str
    name: str
    project_name: str
    exam_on: datetime.date | None
    archived_on: datetime.date
    issuing_authority: str
    standing: Status
    successor: int | None
    origin: Origin
    status_index: int | None
    statement_host: str | None
    sealed_at: datetime.datetime | None
    specimen: bool
    paper_digits: str | None = None
    has_photo: bool = False


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """What a door could establish, and nothing that it concluded.

    `file` is None where no file was shown, "same" for a byte-identical one, "limit" for one that
    could not be read within its limits. `statement` is the reason where it was refused.
    `document_of` is the centre that had this very file sealed as what is no certificate.
    `number_seen` is a number of ours that can be read on what was shown. `register_silent` tells
    that the register could not be asked; `listed` is then what a fresh signed status list says, and
    `specimen` what the key of the statement, or of a document's seal, says of itself.
    """

    door: Door
    entry: Entry | None = None
    file: examine.Findings | Literal["same", "limit"] | None = None
    statement: token.Statement | token.Reason | None = None
    name_agrees: bool | None = None
    document_of: str | None = None
    number_seen: str | None = None
    register_silent: bool = False
    listed: Status | None = None
    specimen: bool = False


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
_NOT_OURS = {Status.ALTERED, Status.UNTRUSTED, Status.UNKNOWN, Status.INDETERMINATE}
_BY_EYE = {
    Door.ID: ("photo", "name", "number"),
    Door.NUMBER: ("photo",),
    Door.TEXT: ("photo", "name", "number"),
    Door.FILE: ("photo",),
    Door.PICTURE: ("photo", "name", "number", "project", "dates"),
    Door.SHARE: ("photo",),
    Door.OFFLINE: ("photo", "name", "number"),
}


def decide(presented: Presented, now: datetime.datetime) -> Verdict:
    """Conclude from what a door established; pure, and the only place where a status is given."""
    outcomes = _judge_file(presented) | _judge_entry(presented)
    status, reason = _conclude(presented)
    steps = tuple(
        Step(number, name, outcomes.get(name, Outcome.NOT_CHECKED))
        for number, name in enumerate(_STEPS, start=1)
    )
    verdict = Verdict(
        status=status,
        reason=reason,
        door=presented.door,
        steps=steps,
        checked_at=now.astimezone(LEGAL_ZONE),
    )
    entry, statement = presented.entry, presented.statement
    if status in _NOT_OURS and reason != "standing-unknown":  # a statement was proved there
        number = entry.number if entry else presented.number_seen
        specimen = presented.specimen or bool(entry and entry.specimen)
        return msgspec.structs.replace(
            verdict, number=number, specimen=specimen, issuer=presented.document_of
        )
    if entry is not None:
        return _tell_entry(verdict, presented, entry)
    if isinstance(statement, token.Statement):
        return _tell_statement(verdict, presented, statement)
    return verdict


def _tell_entry(verdict: Verdict, presented: Presented, entry: Entry) -> Verdict:
    return msgspec.structs.replace(
        verdict,
        compare=_compare(presented.door, entry),
        number=entry.number,
        version=entry.version,
        successor=entry.successor,
        origin=entry.origin,
        issuer=entry.issuing_authority,
        name=entry.name if _name_is_known(presented) else people.mask_name(entry.name),
        project=entry.project_name,
        exam_on=entry.exam_on,
        issued_on=entry.archived_on,
        paper_digits=entry.paper_digits,
        specimen=entry.specimen,
    )


def _compare(door: Door, entry: Entry) -> tuple[str, ...]:
    """Name what is to be compared by eye; no photo where the certificate that we made has none."""
    photo_may_be = entry.has_photo or entry.origin is Origin.ADOPTED
    paper = ("paper",) if entry.paper_digits else ()
    return tuple(one for one in _BY_EYE[door] + paper if one != "photo" or photo_may_be)


def _tell_statement(verdict: Verdict, presented: Presented, said: token.Statement) -> Verdict:
    return msgspec.structs.replace(
        verdict,
        compare=_BY_EYE[presented.door],
        number=said.number,
        version=said.version,
        origin=Origin.SEALED,
        issuer=said.issuer,
        name=said.name,
        project=said.project,
        exam_on=said.exam_on,
        specimen=presented.specimen,
    )


def _conclude(presented: Presented) -> tuple[Status, str]:
    entry, statement = presented.entry, presented.statement
    if entry is not None and entry.standing is not Status.VALID:
        return entry.standing, f"standing-{entry.standing}"
    if presented.file is not None and presented.file != "same":
        return _conclude_file(presented, presented.file)
    if isinstance(statement, token.Reason):
        return _conclude_statement(statement)
    if presented.register_silent:
        return _conclude_silent(presented)
    if entry is None:
        document = presented.document_of is not None
        return Status.UNKNOWN, "document-not-certificate" if document else "not-registered"
    return _conclude_registered(presented, entry)


def _conclude_registered(presented: Presented, entry: Entry) -> tuple[Status, str]:
    if presented.statement is not None and not _agrees(presented.statement, entry):
        return Status.ALTERED, "statement-differs"
    if entry.origin is Origin.ADOPTED:
        return Status.VALID, "registered-adopted"
    picture = presented.door is Door.PICTURE
    return Status.VALID, "registered-picture" if picture else "registered"


def _conclude_file(
    presented: Presented, found: examine.Findings | Literal["same", "limit"]
) -> tuple[Status, str]:
    """Say altered only where a signer or a digest of ours is in the file, limits or not."""
    if not isinstance(found, examine.Findings):
        return Status.INDETERMINATE, "file-beyond-limits"
    known = presented.entry is not None
    if known or found.signer or found.mentioned:
        return Status.ALTERED, "file-altered" if found.failed or known else "file-not-registered"
    if found.stopped:
        return Status.INDETERMINATE, "file-beyond-limits"
    if found.signed:
        return Status.UNTRUSTED, "seal-of-others"
    picture = presented.door is Door.PICTURE
    return Status.UNKNOWN, "picture-without-code" if picture else "file-unknown"


def _conclude_statement(reason: token.Reason) -> tuple[Status, str]:
    if reason is token.Reason.OTHER_HOST:
        return Status.ALTERED, "statement-elsewhere"
    if reason in _UNTRUSTED:
        return Status.UNTRUSTED, "statement-of-others"
    if reason in _ALTERED:
        return Status.ALTERED, "statement-altered"
    return Status.UNKNOWN, "statement-unreadable"


def _conclude_silent(presented: Presented) -> tuple[Status, str]:
    """Without the register only a fresh status list can tell the standing of a statement."""
    if not isinstance(presented.statement, token.Statement):
        return Status.INDETERMINATE, "register-silent"
    if presented.listed is None:
        return Status.INDETERMINATE, "standing-unknown"
    if presented.listed is Status.VALID:
        return Status.VALID, "listed"
    return presented.listed, f"standing-{presented.listed}"


def _judge_file(presented: Presented) -> dict[str, Outcome]:
    found = presented.file
    if found == "same":
        judged = {"file-registered": Outcome.PASS}
        if presented.entry is not None and presented.entry.origin is Origin.SEALED:
            judged |= dict.fromkeys(("file-whole", "seal-pinned", "seal-intact"), Outcome.PASS)
        return judged
    if not isinstance(found, examine.Findings):
        return {}
    outcomes = {
        "file-whole": found.range_digest is not None,
        "seal-pinned": found.signer is not None,
        "seal-intact": found.sealed_at is not None and found.failed is None,
    }
    judged = {"file-registered": Outcome.FAIL}
    for name, holds in outcomes.items():
        judged[name] = _outcome(holds)
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
    if presented.listed is not None:
        judged["standing"] = _outcome(presented.listed is Status.VALID)
    if entry is not None:
        judged["registered"] = Outcome.PASS
        judged["standing"] = _outcome(entry.standing is Status.VALID)
        if isinstance(statement, token.Statement):
            judged["agrees"] = _outcome(_agrees(statement, entry))
        elif presented.name_agrees or presented.file == "same":
            judged["agrees"] = Outcome.PASS
    return judged


def _outcome(holds: bool) -> Outcome:
    return Outcome.PASS if holds else Outcome.FAIL


def _agrees(statement: token.Statement | token.Reason, entry: Entry) -> bool:
    return isinstance(statement, token.Statement) and (
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
        presented.file == "same"
        or presented.name_agrees
        or presented.door is Door.SHARE
        or isinstance(presented.statement, token.Statement)
    )
