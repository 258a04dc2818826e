"""The database door: connections, and transactions that act for a city.

Every act runs in one transaction under one database role; the console's role sees only the rows of
the actor's city (row-level security), the province's sees all. A constraint that the database
upholds comes back as the refusal it stands for, by one table.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from typing import Self, TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from service.ground import errors

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

Lost = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a commit that follows a statement cut in two
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,  # a full disk, no memory, no place
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
"""What a lost or absent database raises."""

_WAIT_SECONDS = 5


class Role(StrEnum):
    """The database roles; what each may do is granted in the migrations."""

    CONSOLE = "qianfa_console"
    WORKER = "qianfa_worker"
    PUBLIC = "qianfa_public"
    PORTAL = "qianfa_portal"


CONSTRAINTS: Mapping[str, type[errors.Refusal]] = {
    "account_account_name_check": errors.AccountNameUnfit,
    "account_city_code_fkey": errors.CityUnknown,
    "account_pkey": errors.AccountExists,
    "account_province": errors.RoleNotOfCity,
    "adoption_file_once": errors.FileRepeated,
    "adoption_two_persons": errors.SecondPersonNeeded,
    "announcement_city_code_fkey": errors.CityUnknown,
    "announcement_order": errors.DatesOutOfOrder,
    "append_only": errors.HistoryChanged,
    "attachment_belongs": errors.AttachmentSubjectUnknown,
    "batch_city_code_fkey": errors.CityUnknown,
    "batch_file_known": errors.FileRepeated,
    "batch_is_open": errors.BatchNotOpen,
    "batch_moves": errors.BatchNotOpen,
    "batch_publicity_order": errors.DatesOutOfOrder,
    "batch_two_persons": errors.SecondPersonNeeded,
    "blank_fits": errors.MovementImpossible,
    "blank_movement_counters_fkey": errors.MovedSince,
    "blank_movement_persons": errors.SecondPersonNeeded,
    "blank_moves": errors.MovementImpossible,
    "blank_order_grounded": errors.GroundsAbsent,
    "blank_order_persons": errors.SecondPersonNeeded,
    "blank_stock_once": errors.MovementImpossible,
    "change_applies": errors.TryAgain,
    "change_corrects": errors.CorrectionEmpty,
    "change_grounded": errors.GroundsAbsent,
    "change_open": errors.ChangeOpen,
    "change_two_persons": errors.SecondPersonNeeded,
    "certificate_current": errors.NumberTaken,
    "certificate_held_once": errors.PersonCertified,
    "certificate_identifier": errors.NumberTaken,
    "certificate_keeps_its_face": errors.FaceChanged,
    "certificate_pdf": errors.FileRepeated,
    "certificate_pkey": errors.NumberTaken,
    "certificate_seal_fingerprint_fkey": errors.KeyUnpublished,
    "certificate_statement_kid_fkey": errors.KeyUnpublished,
    "certificate_void_two_persons": errors.SecondPersonNeeded,
    "consignment_agrees": errors.SupplyImpossible,
    "consignment_city_code_fkey": errors.CityUnknown,
    "consignment_grounded": errors.GroundsAbsent,
    "consignment_moves": errors.SupplyImpossible,
    "consignment_of_city": errors.CityUnknown,
    "consignment_two_persons": errors.SecondPersonNeeded,
    "consignment_whole": errors.SupplyImpossible,
    "cross_filing_city_code_fkey": errors.CityUnknown,
    "cross_filing_order": errors.DatesOutOfOrder,
    "daily_session_order": errors.DatesOutOfOrder,
    "difference_fits": errors.SupplyImpossible,
    "filing_authority_code_fkey": errors.CityUnknown,
    "filing_kind_check": errors.FilingKindUnfit,
    "filing_order": errors.DatesOutOfOrder,
    "mistake_report_few": errors.ReportsMany,
    "number_body_city_code_fkey": errors.CityUnknown,
    "number_counter_city_code_body_serial_fkey": errors.BodyNotOpen,
    "number_counter_scheme_version_fkey": errors.SchemeUnknown,
    "hand_over_agent": errors.CollectorUnproven,
    "hand_over_checked": errors.CollectorUnproven,
    "hand_over_stands": errors.TryAgain,
    "paper_change_grounded": errors.GroundsAbsent,
    "paper_change_moves": errors.TryAgain,
    "paper_change_open": errors.ChangeOpen,
    "paper_change_two_persons": errors.SecondPersonNeeded,
    "paper_current": errors.PaperHeld,
    "paper_is_printed": errors.TryAgain,
    "plan_city_code_fkey": errors.CityUnknown,
    "print_line_fits": errors.PrintingImpossible,
    "print_line_open": errors.CertificateBeingPrinted,
    "print_round_moves": errors.PrintingImpossible,
    "print_round_two_persons": errors.SecondPersonNeeded,
    "print_run_moves": errors.PrintingImpossible,
    "print_run_two_persons": errors.SecondPersonNeeded,
    "printer_profile_printer_name_check": errors.PrinterNameUnfit,
    "project_city_code_fkey": errors.CityUnknown,
    "requisition_closes": errors.RequisitionUnsettled,
    "requisition_counts": errors.RequisitionOutdated,
    "requisition_empty": errors.RequisitionEmpty,
    "requisition_extra": errors.GroundsAbsent,
    "requisition_granted": errors.GrantUnfit,
    "requisition_moves": errors.SupplyImpossible,
    "requisition_of_city": errors.NotYourCity,
    "requisition_order": errors.DatesOutOfOrder,
    "requisition_pass_once": errors.PassesCovered,
    "requisition_two_persons": errors.SecondPersonNeeded,
    "requisition_whole": errors.SupplyImpossible,
    "seal_certificate_city_code_fkey": errors.CityUnknown,
    "session_exception_city_code_fkey": errors.CityUnknown,
    "sheet_moves": errors.PrintingImpossible,
    "sheet_once": errors.SheetPrinted,
    "settlement_fits": errors.SupplyImpossible,
    "settlement_moved": errors.SupplyImpossible,
    "settlement_once": errors.DifferenceSettled,
    "settlement_two_persons": errors.SecondPersonNeeded,
    "status_list_kid_fkey": errors.KeyUnpublished,
    "sealed_document_seal_fingerprint_fkey": errors.KeyUnpublished,
    "share_link_few": errors.ShareLinksMany,
    "stocktake_grounded": errors.GroundsAbsent,
    "stocktake_once": errors.StocktakeOpen,
    "stocktake_open": errors.StocktakeOpen,
    "stocktake_persons": errors.SecondPersonNeeded,
}


async def connect(address: str) -> Connection:
    """Open one connection.

    Raises:
        DatabaseUnavailable: nobody answers there, or not to us.
    """
    try:
        connection = await asyncpg.connect(address, timeout=10)
    except (*Lost, asyncpg.PostgresError, ValueError) as error:
        raise errors.DatabaseUnavailable(reason=type(error).__name__) from error
    await _prepare(connection)
    return connection


async def open_pool(address: str, role: Role, *, size: int) -> Pool:
    """Open a pool whose connections act under one role."""
    return await asyncpg.create_pool(
        address,
        min_size=0,
        max_size=size,
        timeout=_WAIT_SECONDS,
        command_timeout=_WAIT_SECONDS,
        server_settings={"role": role.value},
    )


class Readers:
    """Connections of the public, which only read; each is lent to one at a time.

    They leave nothing behind to be reset, so what a pool does between two who ask is not done: it
    takes longer than a look-up. Whoever fails in a way that the server did not say, or is cut off,
    ends the connection.
    """

    def __init__(self, address: str, *, size: int) -> None:
        self._address = address
        self._places = asyncio.Semaphore(size)
        self._idle: list[asyncpg.Connection[asyncpg.Record]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(*Lost):
            while self._idle:
                await self._idle.pop().close(timeout=1)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Connection]:
        """Lend a connection, which must be left outside any transaction.

        Raises: DatabaseUnavailable, where none gets free, too; and what `refusing` does.
        """
        with refusing():
            if self._places.locked():
                async with asyncio.timeout(_WAIT_SECONDS):
                    await self._places.acquire()
            else:
                await self._places.acquire()
            try:
                connection, is_sound = await self._take(), False
                try:
                    yield connection
                    is_sound = True
                except (asyncpg.PostgresError, errors.Refusal):
                    is_sound = True
                    raise
                finally:
                    if is_sound:
                        self._idle.append(connection)
                    else:
                        connection.terminate()
            finally:
                self._places.release()

    async def _take(self) -> "asyncpg.Connection[asyncpg.Record]":
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await asyncpg.connect(
            self._address,
            timeout=_WAIT_SECONDS,
            command_timeout=_WAIT_SECONDS,
            server_settings={"role": Role.PUBLIC.value, "default_transaction_read_only": "on"},
        )


@asynccontextmanager
async def acting(
    connection: Connection, role: Role, city_code: str = "", *, at_one_moment: bool = False
) -> AsyncIterator[None]:
    """Run one transaction under a role, and for the console under a city.

    All of it sees the database as it stands `at_one_moment`, where what is read is compared.

    Raises: what `refusing` does; nothing of the transaction is kept then.
    """
    with refusing():
        async with connection.transaction(isolation="repeatable_read" if at_one_moment else None):
            await connection.execute(
                "select set_config('role', $1, true), set_config('qianfa.city', $2, true)",
                role.value,
                city_code,
            )
            yield


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what the database says into what it means to the person who asked.

    Raises:
        Refusal: the one that a violated constraint stands for.
        ValueUnstorable: a value is larger than its column, or holds NUL or half a character.
        DatabaseUnavailable: the connection was lost, or the database has no room.
    """
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise errors.NotYourCity from error
    except asyncpg.IntegrityConstraintViolationError as error:
        refusal = CONSTRAINTS.get(error.constraint_name or "")
        if refusal is None:
            raise
        raise refusal from error
    except (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError) as error:
        raise errors.TryAgain from error
    except asyncpg.DataError as error:
        raise errors.ValueUnstorable from error
    except Lost as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # a file's trouble and not the database's
        raise errors.DatabaseUnavailable(reason=type(error).__name__) from error


async def _prepare(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value, order="sorted").decode(),
        decoder=msgspec.json.decode,
    )
