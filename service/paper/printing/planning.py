"""Planning: which certificates a run puts on paper, and why others are not in it.

Paper is wanted by what we sealed and issued, is valid in its newest version, has no current paper
and is in no open run. Everything that is not is named at once with its reason.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import BatchUnknown, Finding, PaperNotWanted, RunTooLong
from service.issuing.certificates import STANDING_WORDS
from service.registry import accounts, people
from service.registry.accounts import Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)

LINES_MAX = 2000


class Planned(msgspec.Struct, frozen=True):
    """A run just planned; `passed_over` tells why others of its batch are not in it."""

    run_id: int
    line_count: int
    passed_over: tuple[Finding, ...]


class _Wanting(msgspec.Struct, frozen=True, kw_only=True):
    """A number and what keeps it from taking paper."""

    number: str
    version: int | None
    state: str | None
    standing: str | None
    origin: str | None
    paper: str | None
    run_id: int | None
    remark: str


_wanting = _sql.many("wanting", _Wanting)
_of_batch = _sql.many("numbers_of_batch", str)
_plan = _sql.one("plan_run", int)
_add_lines = _sql.run("add_lines")


async def plan(connection: Connection, actor: Actor, numbers: Sequence[str]) -> Planned:
    """Plan a run of these certificates, in the order of their numbers.

    Raises:
        RunTooLong: there are more than one run takes.
        PaperNotWanted: naming every one that takes no paper now, and why; nothing is planned.
        CertificateBeingPrinted: another run took one of them at this moment.
    """
    accounts.require(actor, Act.RUN_PLAN)
    tidied = [people.tidy(number) for number in numbers]
    if len(tidied) > LINES_MAX:
        raise RunTooLong(count=len(tidied), limit=LINES_MAX)
    found = await _wanting(connection, numbers=sorted(set(tidied)))
    against = [finding for one in found for finding in _against(one)]
    against += [
        _finding(number, "重复填写", "given twice")
        for number in sorted({number for number in tidied if tidied.count(number) > 1})
    ]
    if against or not found:
        raise PaperNotWanted(tuple(against), count=len(against))
    return await _keep(connection, actor, found, ())


async def plan_batch(connection: Connection, actor: Actor, batch_id: int) -> Planned:
    """Plan a run of what of a batch wants paper, of at most `LINES_MAX` lowest numbers.

    Raises:
        BatchUnknown: there is none in the actor's city, or it has no certificates.
        PaperNotWanted: none of it wants paper, with every reason once.
        CertificateBeingPrinted: as `plan`.
    """
    accounts.require(actor, Act.RUN_PLAN)
    numbers = await _of_batch(connection, batch_id=batch_id)
    if not numbers:
        raise BatchUnknown(batch_id=batch_id)
    found = await _wanting(connection, numbers=numbers)
    against = _folded(found)
    wanting = [one for one in found if not list(_against(one))]
    if not wanting:
        raise PaperNotWanted(against, count=len(found))
    if over := wanting[LINES_MAX:]:
        zh = f"另 {len(over)} 张在一次上限 {LINES_MAX} 张之外，请再列任务"
        en = f"{len(over)} more than a run takes: plan another"
        against += (_finding(f"{over[0].number} – {over[-1].number}", zh, en),)
    return await _keep(connection, actor, wanting[:LINES_MAX], against)


async def _keep(
    connection: Connection, actor: Actor, found: Sequence[_Wanting], against: tuple[Finding, ...]
) -> Planned:
    run_id = await _plan(connection, city_code=actor.city_code, account_name=actor.account_name)
    await _add_lines(
        connection,
        run_id=run_id,
        city_code=actor.city_code,
        numbers=[one.number for one in found],
        versions=[one.version for one in found],
        remarks=[one.remark for one in found],
    )
    detail = {"numbers": [one.number for one in found]}
    await accounts.write(connection, actor, Act.RUN_PLAN, str(run_id), detail)
    return Planned(run_id, len(found), against)


def _against(one: _Wanting) -> Iterator[Finding]:
    """Say why a certificate takes no paper now, if it takes none."""
    if one.version is None:
        yield _finding(one.number, "没有这个编号，或属于其他市（州）", "unknown, or another city's")
    elif one.origin != "sealed":
        yield _finding(one.number, "不是本系统签章的", "not sealed here")
    elif one.state != "issued":
        yield _finding(one.number, "尚未签发", "not issued yet")
    elif one.standing != "valid":
        words = STANDING_WORDS[one.standing or ""]
        yield _finding(one.number, f"现为“{words}”，不是有效", f"{one.standing}, not valid")
    elif one.paper is not None:
        yield _finding(one.number, f"已有纸质证书 {one.paper}", f"is on paper {one.paper}")
    elif one.run_id is not None:
        yield _finding(one.number, f"已列入打印任务 {one.run_id}", f"is in run {one.run_id}")


def _folded(found: Sequence[_Wanting]) -> tuple[Finding, ...]:
    """Say each reason once, with how many certificates it keeps from paper."""
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for one in found:
        for finding in _against(one):
            paper = f" {one.paper}"
            reason = finding.zh.removesuffix(paper), finding.en.removesuffix(paper)
            groups[reason].append(finding)
    return tuple(
        same[0]
        if len(same) == 1
        else _finding(f"{same[0].value} … {same[-1].value}", f"{zh}（{len(same)} 张）", en)
        for (zh, en), same in groups.items()
    )


def _finding(number: str, zh: str, en: str) -> Finding:
    return Finding(code="PaperNotWanted", zh=zh, en=en, column="编号 number", value=number[:40])
