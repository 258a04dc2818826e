"""The journal: every act on official data, with its actor, chained by hash per city.

The database numbers, dates and chains the entries as they are written and refuses to change them;
an entry commits or vanishes with the act that it tells of. `broken` replays the chains and names
the first that does not follow from the one before. Whoever owns the database and recomputes a whole
chain is seen only by those who kept an older head: note `qianfa check` outside.
"""

from enum import StrEnum

import msgspec

from service.ground import statements
from service.ground.db import Connection

_sql = statements.beside(__file__)


class Act(StrEnum):
    """What can be done, as `room:subject:act`."""

    ACCOUNT_ADD = "accounts:account:add"
    ACCOUNT_DISABLE = "accounts:account:disable"
    REFERENCE_LOAD = "catalogue:reference:load"
    CENTRE_RECORD = "catalogue:centre:record"
    PROJECT_RECORD = "catalogue:project:record"
    SESSION_RECORD = "catalogue:session:record"
    SESSION_ANNOUNCE = "catalogue:session:announce"
    EXCEPTION_RECORD = "catalogue:exception:record"
    INSTITUTION_RECORD = "institutions:institution:record"
    FILING_RECORD = "institutions:filing:record"
    CROSS_FILING_RECORD = "institutions:cross-filing:record"
    PLAN_RECORD = "institutions:plan:record"
    SCHEME_RECORD = "numbering:scheme:record"
    BODY_OPEN = "numbering:body:open"
    COUNTER_START = "numbering:counter:start"
    KEYS_PUBLISH = "keys:public:publish"
    BATCH_IMPORT = "batches:batch:import"
    BATCH_JOIN = "batches:batch:join"
    UPLOAD_REFUSE = "batches:upload:refuse"
    EVIDENCE_RECORD = "batches:evidence:record"
    COMMITMENT_RECORD = "batches:commitment:record"
    PUBLICITY_RECORD = "batches:publicity:record"
    PAPERS_RECORD = "batches:papers:record"
    BATCH_SUBMIT = "batches:batch:submit"
    BATCH_RETURN = "batches:batch:return"
    BATCH_WITHDRAW = "batches:batch:withdraw"
    PHOTOS_KEEP = "photos:batch:keep"
    BATCH_APPROVE = "batches:batch:approve"
    CERTIFICATE_ISSUE = "issuance:certificate:issue"
    CERTIFICATE_PARK = "issuance:certificate:park"
    CERTIFICATES_EXPORT = "certificates:batch:export"
    CERTIFICATE_RETRY = "certificates:certificate:retry"
    NUMBER_VOID_ASK = "certificates:number:ask-void"
    NUMBER_VOID = "certificates:number:void"
    CHANGE_ASK = "changes:certificate:ask"
    CHANGE_CONFIRM = "changes:certificate:confirm"
    CHANGE_DECLINE = "changes:certificate:decline"
    ADOPTION_ASK = "adoption:certificates:ask"
    ADOPTION_CONFIRM = "adoption:certificates:confirm"
    REPORT_TAKE = "portal:report:take"
    SERIES_RECORD = "blanks:series:record"
    BLANKS_SPOIL = "orders:sheets:spoil"
    ORDER_ASK = "orders:order:ask"
    ORDER_CONFIRM = "orders:order:confirm"
    ORDER_WITNESS = "orders:order:witness"
    ORDER_DECLINE = "orders:order:decline"
    STOCKTAKE_OPEN = "stocktakes:stocktake:open"
    STOCKTAKE_COUNT = "stocktakes:stocktake:count"
    STOCKTAKE_STRIKE = "stocktakes:stocktake:strike"
    STOCKTAKE_CLOSE = "stocktakes:stocktake:close"
    STOCKTAKE_REASON = "stocktakes:stocktake:reason"
    STOCKTAKE_APPROVE = "stocktakes:stocktake:approve"
    STOCKTAKE_CANCEL = "stocktakes:stocktake:cancel"
    PROFILE_RECORD = "printers:profile:record"
    DOCUMENT_SEAL = "documents:document:seal"
    DOCUMENT_ATTACH = "documents:document:attach"
    RUN_PLAN = "printing:run:plan"
    RUN_DRAW = "printing:run:draw"
    RUN_PRINT = "printing:run:print"
    RUN_SETTLE = "printing:run:settle"
    RUN_CLOSE = "printing:run:close"
    RUN_CANCEL = "printing:run:cancel"
    PAPER_HAND_OVER = "papers:paper:hand-over"
    PAPER_CHANGE_ASK = "papers:change:ask"
    PAPER_CHANGE_CONFIRM = "papers:change:confirm"
    PAPER_CHANGE_DECLINE = "papers:change:decline"
    REQUISITION_MAKE = "requisitions:requisition:make"
    REQUISITION_SUBMIT = "requisitions:requisition:submit"
    REQUISITION_APPROVE = "requisitions:requisition:approve"
    REQUISITION_RETURN = "requisitions:requisition:return"
    REQUISITION_WITHDRAW = "requisitions:requisition:withdraw"
    REQUISITION_CLOSE = "requisitions:requisition:close"
    BLANKS_TAKE_IN = "supply:blanks:take-in"
    CONSIGNMENT_DISPATCH = "supply:consignment:dispatch"
    CONSIGNMENT_UNDO = "supply:consignment:undo"
    CONSIGNMENT_RECEIVE = "supply:consignment:receive"
    CONSIGNMENT_SEND_BACK = "supply:consignment:send-back"
    DIFFERENCE_SETTLE = "supply:difference:settle"
    TRACE = "tracing:person:read"
    STATUS_LIST_SIGN = "status-lists:list:sign"


class Break(msgspec.Struct, frozen=True):
    """The first entry of a city's journal that does not follow from the one before."""

    city_code: str
    sequence: int
    reason: str


class Head(msgspec.Struct, frozen=True):
    """The newest entry of a city's journal, on which all before it depend."""

    city_code: str
    sequence: int
    hash: bytes


_write = _sql.run("write")
_broken = _sql.many("broken", Break)
_heads = _sql.many("heads", Head)


async def write(
    connection: Connection, *, city_code: str, actor: str, act: Act, subject: str, detail: object
) -> None:
    """Append one entry to a city's journal, in the transaction of the act itself.

    Locks the city's chain until that transaction ends: write it last.
    """
    await _write(
        connection,
        city_code=city_code,
        actor=actor,
        act=act.value,
        subject=subject,
        detail=msgspec.to_builtins(detail),
    )


async def broken(connection: Connection) -> list[Break]:
    """Replay every chain; the answer is empty when nothing was edited, removed or cut off."""
    return await _broken(connection)


async def heads(connection: Connection) -> list[Head]:
    """Return the newest entry of every city."""
    return await _heads(connection)
