"""Accounts: who may act, for which city, and proof that it is they.

Every act names an account and is proved by that account's own secret, at the command line too;
nobody acts under another's name. What a role may do stands in one table, `GRANTS`.
"""

import datetime
from collections.abc import Mapping
from enum import StrEnum

import argon2
import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import AccountUnknown, ActNotGranted, FoundedAlready, NotAuthenticated
from service.registry import journal
from service.registry.journal import Act

_sql = statements.beside(__file__)
_hasher = argon2.PasswordHasher()
# Unknown names cost as much as wrong secrets; written out, for making it takes as long.
_NOBODYS_HASH = (
    "$argon2id$v=19$m=65536,t=3,p=4$arzqIDhvtf3d+Jx54/isTg$4DhdHh"
    "iWxm9aACGHKxriVLmm5iS1x/hwsP/ZL4ZE/Ms"
)

PROVINCE = "510000"


class Role(StrEnum):
    """What an account is for."""

    PROVINCE = "province"
    OPERATOR = "operator"
    REVIEWER = "reviewer"
    KEEPER = "keeper"
    AUDITOR = "auditor"


ROLE_WORDS = {
    Role.PROVINCE: "省中心 province",
    Role.OPERATOR: "经办 operator",
    Role.REVIEWER: "复核 reviewer",
    Role.KEEPER: "库管 keeper",
    Role.AUDITOR: "审计 auditor",
}

_REGISTRY = {
    Act.PROJECT_RECORD, Act.SESSION_ANNOUNCE, Act.EXCEPTION_RECORD, Act.INSTITUTION_RECORD,
    Act.FILING_RECORD, Act.CROSS_FILING_RECORD, Act.PLAN_RECORD,
}  # fmt: skip
_BATCH = {
    Act.BATCH_IMPORT, Act.BATCH_JOIN, Act.UPLOAD_REFUSE, Act.EVIDENCE_RECORD,
    Act.COMMITMENT_RECORD, Act.PUBLICITY_RECORD, Act.PAPERS_RECORD, Act.BATCH_SUBMIT,
    Act.BATCH_WITHDRAW, Act.PHOTOS_KEEP,
}  # fmt: skip
_CERTIFICATES = {
    Act.CERTIFICATES_EXPORT, Act.NUMBER_VOID_ASK, Act.NUMBER_VOID, Act.CERTIFICATE_RETRY,
    Act.CHANGE_ASK, Act.CHANGE_CONFIRM, Act.CHANGE_DECLINE, Act.ADOPTION_ASK, Act.ADOPTION_CONFIRM,
    Act.REPORT_TAKE,
}  # fmt: skip
_PRINTING = {
    Act.RUN_PLAN, Act.RUN_PRINT, Act.RUN_SETTLE, Act.RUN_CANCEL, Act.PAPER_HAND_OVER,
    Act.PAPER_CHANGE_ASK, Act.PAPER_CHANGE_DECLINE,
}  # fmt: skip
_DRAWING = {Act.RUN_DRAW, Act.RUN_CLOSE, Act.RUN_CANCEL}
_DOCUMENTS = {Act.DOCUMENT_SEAL, Act.DOCUMENT_ATTACH}
_WITNESSING = {Act.ORDER_WITNESS, Act.ORDER_DECLINE}
_KEEPING = _WITNESSING | {
    Act.BLANKS_SPOIL, Act.ORDER_ASK, Act.STOCKTAKE_OPEN, Act.STOCKTAKE_COUNT, Act.STOCKTAKE_STRIKE,
    Act.STOCKTAKE_CLOSE, Act.STOCKTAKE_REASON, Act.STOCKTAKE_CANCEL,
}  # fmt: skip
_OVERSEEING = _WITNESSING | {Act.ORDER_CONFIRM, Act.STOCKTAKE_APPROVE, Act.STOCKTAKE_CANCEL}
_SUPPLY = {
    Act.REQUISITION_MAKE, Act.REQUISITION_WITHDRAW, Act.REQUISITION_CLOSE, Act.BLANKS_TAKE_IN,
    Act.CONSIGNMENT_DISPATCH, Act.CONSIGNMENT_UNDO, Act.CONSIGNMENT_RECEIVE,
    Act.CONSIGNMENT_SEND_BACK,
}  # fmt: skip
_DECIDING = {
    Act.REQUISITION_APPROVE, Act.REQUISITION_RETURN, Act.CONSIGNMENT_UNDO, Act.DIFFERENCE_SETTLE,
}  # fmt: skip

GRANTS: Mapping[Role, frozenset[Act]] = {
    Role.PROVINCE: frozenset(_REGISTRY | _DOCUMENTS | _KEEPING | _OVERSEEING | _DECIDING | {
        Act.ACCOUNT_ADD, Act.ACCOUNT_DISABLE, Act.REFERENCE_LOAD, Act.CENTRE_RECORD,
        Act.SESSION_RECORD, Act.SCHEME_RECORD, Act.BODY_OPEN, Act.COUNTER_START, Act.KEYS_PUBLISH,
        Act.SERIES_RECORD, Act.TRACE,
    }),
    Role.OPERATOR: frozenset(_REGISTRY | _DOCUMENTS | _BATCH | _CERTIFICATES | _WITNESSING | {
        *_PRINTING, Act.PROFILE_RECORD, Act.TRACE,
    }),
    Role.REVIEWER: frozenset(_CERTIFICATES | _DOCUMENTS | _OVERSEEING | {
        Act.BATCH_APPROVE, Act.BATCH_RETURN, Act.REQUISITION_SUBMIT, Act.CONSIGNMENT_UNDO,
        Act.PAPER_CHANGE_CONFIRM, Act.PAPER_CHANGE_DECLINE, Act.TRACE,
    }),
    Role.KEEPER: frozenset(_SUPPLY | _DOCUMENTS | _DRAWING | _KEEPING),
    Role.AUDITOR: frozenset({Act.TRACE}),
}  # fmt: skip


class Actor(msgspec.Struct, frozen=True):
    """A person who has proved to be the holder of an account."""

    account_name: str
    role: Role
    city_code: str


class Account(msgspec.Struct, frozen=True):
    """An account, live or ended; names are never used again."""

    account_name: str
    role: Role
    city_code: str
    disabled_at: datetime.datetime | None


class _Account(msgspec.Struct, frozen=True):
    account_name: str
    role: Role
    city_code: str
    secret_hash: str


_find = _sql.perhaps("find", _Account)
_add = _sql.run("add")
_disable = _sql.perhaps("disable", str)
_lock_founding = _sql.run("lock_founding")
_founded = _sql.one("founded", bool)
_every = _sql.many("all_accounts", Account)


async def authenticate(connection: Connection, account_name: str, secret: str) -> Actor:
    """Prove that the secret belongs to the account.

    Raises:
        NotAuthenticated: unknown name, disabled account or wrong secret; one answer for all.
    """
    account = await _find(connection, account_name=account_name)
    try:
        _hasher.verify(account.secret_hash if account else _NOBODYS_HASH, secret)
    except (argon2.exceptions.VerificationError, UnicodeEncodeError):
        raise NotAuthenticated from None
    if account is None:
        raise NotAuthenticated
    return Actor(account.account_name, account.role, account.city_code)


def require(actor: Actor, act: Act) -> None:
    """Refuse an act that the actor's role is not granted.

    Raises:
        ActNotGranted: with the role, the roles that may, and the act.
    """
    if act not in GRANTS[actor.role]:
        granted = "、".join(ROLE_WORDS[role] for role, acts in GRANTS.items() if act in acts)
        role = ROLE_WORDS[actor.role]
        raise ActNotGranted(account=actor.account_name, role=role, granted=granted, act=act.value)


async def found(connection: Connection, *, account_name: str, secret: str) -> Actor:
    """Add the first account, of the province, when there is none yet, and be its holder.

    Raises:
        FoundedAlready: there are accounts; the province's adds further ones.
    """
    await _lock_founding(connection)
    if await _founded(connection):
        raise FoundedAlready
    actor = Actor(account_name, Role.PROVINCE, PROVINCE)
    await add(
        connection,
        actor,
        account_name=account_name,
        role=Role.PROVINCE,
        city_code=PROVINCE,
        secret=secret,
    )
    return actor


async def add(
    connection: Connection,
    actor: Actor,
    *,
    account_name: str,
    role: Role,
    city_code: str,
    secret: str,
) -> None:
    """Add an account; only a hash of its secret is kept.

    Raises:
        AccountExists: the name is taken, for ever.
    """
    require(actor, Act.ACCOUNT_ADD)
    await _add(
        connection,
        account_name=account_name,
        role=role.value,
        city_code=city_code,
        secret_hash=_hasher.hash(secret),
    )
    detail = {"role": role, "city_code": city_code}
    await write(connection, actor, Act.ACCOUNT_ADD, account_name, detail)


async def disable(connection: Connection, actor: Actor, account_name: str) -> None:
    """End an account; its name stays in the journal and is never given again.

    Raises:
        AccountUnknown: there is no such account, or it is ended already.
    """
    require(actor, Act.ACCOUNT_DISABLE)
    if await _disable(connection, account_name=account_name) is None:
        raise AccountUnknown(account=account_name)
    await write(connection, actor, Act.ACCOUNT_DISABLE, account_name, {})


async def every(connection: Connection, actor: Actor) -> list[Account]:
    """List all accounts to those who add them.

    Raises:
        ActNotGranted: the actor adds none.
    """
    require(actor, Act.ACCOUNT_ADD)
    return await _every(connection)


async def write(
    connection: Connection,
    actor: Actor,
    act: Act,
    subject: str,
    detail: object,
    *,
    city_code: str | None = None,
) -> None:
    """Write an actor's act into the journal of the city that it concerns, the actor's by default.

    Raises:
        ActNotGranted: the actor's role may not do this.
    """
    require(actor, act)
    await journal.write(
        connection,
        city_code=city_code or actor.city_code,
        actor=actor.account_name,
        act=act,
        subject=subject,
        detail=detail,
    )
