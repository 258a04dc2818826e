"""Papers: printed certificates, of which a number has one that is current, and their hand-over.

A paper follows its blank: whatever moves that, by whichever room, moves the paper too. A hand-over
(核发) names who collected a paper and that an identity document was checked; only what stands valid
is handed over, and only once.

Source: 川人社职鉴〔2025〕35号, 五 (核发).
"""

import datetime
from collections.abc import Sequence

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    CollectorUnproven,
    Finding,
    GroundsAbsent,
    HandOverDateUnfit,
    HandOverRefused,
    NothingToHandOver,
    PaperUnknown,
)
from service.issuing.batches import LEGAL_ZONE
from service.issuing.certificates import STANDING_WORDS
from service.paper import blanks
from service.paper.blanks import Movement, serials
from service.paper.forms.sheets import Handover, HandoverLine
from service.registry import accounts, people
from service.registry.accounts import Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """Who collected papers, on which day, under which signature sheet; no agent is the holder."""

    handed_on: datetime.date
    document_number: str
    is_id_checked: bool
    agent_name: str | None = None
    authority_document: str | None = None


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """A current paper and its certificate; `certificate` is the standing that counts today."""

    paper_id: int
    city_code: str
    number: str
    version: int
    series_code: str
    serial: int
    serial_text: str
    state: str
    remark: str
    printed_at: datetime.datetime
    name: str
    project_name: str
    centre: str
    certificate: str
    is_newest: bool


class Uncollected(msgspec.Struct, frozen=True, kw_only=True):
    """A printed paper that nobody has collected, and for how many days."""

    number: str
    serial: str
    name: str
    certificate: str
    printed_at: datetime.datetime
    days: int


_current = _sql.many("current_papers", Paper)
_of_run = _sql.many("numbers_of_run", str)
_hand_over = _sql.run("add_hand_overs")
_uncollected = _sql.many("uncollected", Uncollected)


async def of_numbers(connection: Connection, numbers: Sequence[str]) -> list[Paper]:
    """Return the current papers of these certificates, in the order of their serials.

    Raises:
        PaperUnknown: the first number that has none in the actor's city.
    """
    wanted = sorted({people.tidy(number) for number in numbers})
    found = await _current(connection, numbers=wanted)
    missing = set(wanted) - {one.number for one in found}
    if missing:
        raise PaperUnknown(number=min(missing)[:40])
    return found


async def of_run(connection: Connection, run_id: int) -> list[Paper]:
    """Return the papers of a print run that nobody has collected, in serial order."""
    numbers = await _of_run(connection, run_id=run_id)
    return await _current(connection, numbers=numbers)


def signature_sheet(actor: Actor, found: Sequence[Paper], document_number: str) -> Handover:
    """Write the sheet on which those who collect papers sign.

    Raises:
        ActNotGranted: the actor hands no papers over.
        NothingToHandOver, HandOverRefused: naming what is not to be handed over.
    """
    accounts.require(actor, Act.PAPER_HAND_OVER)
    _require_ready(found)
    return Handover(
        centre=found[0].centre,
        document_number=document_number,
        subject="纸质证书核发",
        lines=tuple(
            HandoverLine(
                number=one.number,
                name=one.name,
                project_name=one.project_name,
                serial=one.serial_text,
            )
            for one in found
        ),
    )


async def hand_over(
    connection: Connection,
    actor: Actor,
    found: Sequence[Paper],
    collected: Collected,
    *,
    today: datetime.date,
) -> int:
    """Record that papers were collected and return how many; all of them or none.

    Raises:
        CollectorUnproven: no id was checked, or an agent lacks name or authority document.
        HandOverDateUnfit: the day lies before printing, or after today.
        NothingToHandOver: there are none.
        HandOverRefused: naming what is handed over already, or whose certificate is not valid.
    """
    accounts.require(actor, Act.PAPER_HAND_OVER)
    _require_collector(collected)
    city_code, codes = actor.city_code, sorted({one.series_code for one in found})
    known = [await blanks.find(connection, code) for code in codes]
    for series in known:
        await blanks.lock(connection, series, {city_code})
    found = await of_numbers(connection, [one.number for one in found])  # now that none moves
    _require_ready(found)
    earliest = max(one.printed_at for one in found).astimezone(LEGAL_ZONE).date()
    if not earliest <= collected.handed_on <= today:
        raise HandOverDateUnfit(day=collected.handed_on)
    await _hand_over(
        connection,
        paper_ids=[one.paper_id for one in found],
        city_code=city_code,
        handed_on=collected.handed_on,
        agent_name=collected.agent_name,
        authority_document=collected.authority_document,
        document_number=collected.document_number,
        account_name=actor.account_name,
        id_checked=collected.is_id_checked,
    )
    for series in known:
        taken = [one.serial for one in found if one.series_code == series.series_code]
        movement = Movement(
            kind=blanks.Kind.HAND_OVER,
            city_code=city_code,
            from_state=blanks.State.PRINTED,
            to_state=blanks.State.HANDED_OVER,
            ranges=serials.of(taken),
            document_number=collected.document_number,
            subject="hand-over",
        )
        await blanks.move(connection, actor, series, movement)
    detail = {
        "numbers": [one.number for one in found],
        "document_number": collected.document_number,
        "handed_on": collected.handed_on,
        "by_agent": collected.agent_name is not None,
    }
    await accounts.write(connection, actor, Act.PAPER_HAND_OVER, collected.document_number, detail)
    return len(found)


async def uncollected(
    connection: Connection, now: datetime.datetime, *, days_min: int = 0
) -> list[Uncollected]:
    """List what is printed and not collected for so many days, the oldest first."""
    return await _uncollected(connection, now=now, days_min=days_min)


def _require_collector(collected: Collected) -> None:
    agent = (collected.agent_name, collected.authority_document)
    given = [text for text in agent if text is not None]
    if not collected.is_id_checked or len(given) == 1 or not _are_words(*given):
        raise CollectorUnproven
    require_words(collected.document_number)


def _require_ready(found: Sequence[Paper]) -> None:
    """Refuse what cannot be handed over, all at once; nothing at all is refused too."""
    if not found:
        raise NothingToHandOver
    findings = tuple(
        Finding(
            code="HandOverRefused",
            zh=f"{one.serial_text}：纸质证书{_PAPER_WORDS[one.state][0]}，"
            f"证书{'' if one.is_newest else '已有新版本，'}{STANDING_WORDS[one.certificate]}",
            en=f"paper {_PAPER_WORDS[one.state][1]}, certificate {one.certificate}"
            + ("" if one.is_newest else ", of an older version"),
            column="编号 number",
            value=one.number,
        )
        for one in found
        if (one.state, one.certificate, one.is_newest) != ("printed", "valid", True)
    )
    if findings:
        raise HandOverRefused(findings)


_PAPER_WORDS = {"printed": blanks.WORDS["printed"], "handed-over": blanks.WORDS["handed-over"]}


def require_words(*texts: str) -> None:
    """Refuse grounds that only look like words.

    Raises: GroundsAbsent.
    """
    if not _are_words(*texts):
        raise GroundsAbsent


def _are_words(*texts: str) -> bool:
    """Tell whether there are words, and not only what looks like them."""
    return all(any(map(str.isalnum, text)) for text in texts)
