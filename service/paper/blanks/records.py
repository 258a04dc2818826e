"""The check of what is told of blanks: sheets, papers, runs, consignments, requisitions and so on.

Each is held against the movements that it made, and where movements cannot tell, against the
journal, which is a chain of its own. What differs is named by its kind and number. Not seen is what
stands once only: who collected a paper, why something was done, when a run was planned.
"""

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.paper.blanks.check import Fault
from service.paper.blanks.serials import Numerals, Range

_sql = statements.beside(__file__)


class _Unmatched(msgspec.Struct, frozen=True):
    city_code: str
    series_code: str
    prefix: str
    digit_count: int
    first_serial: int
    last_serial: int


class _Record(msgspec.Struct, frozen=True):
    city_code: str
    record: str


_unmatched_sheets = _sql.many("unmatched_sheets", _Unmatched)
_RECORDS = (
    (
        _sql.many("changed_series", _Record),
        ("系列与日志所记不符", "the series differs from the journal"),
    ),
    (
        _sql.many("unmatched_runs", _Record),
        ("打印任务与流水不符", "the run differs from its movements"),
    ),
    (
        _sql.many("unbound_rounds", _Record),
        ("流水号与证书编号的对应与日志不符", "which serial bears which number is not as settled"),
    ),
    (
        _sql.many("unmatched_papers", _Record),
        ("纸质证书办理与流水不符", "a paper differs from its movements"),
    ),
    (
        _sql.many("unmatched_consignments", _Record),
        ("收发货单与流水不符", "the consignment differs from its movements"),
    ),
    (
        _sql.many("unmatched_requisitions", _Record),
        ("申领表与归档、日志或发货不符", "the requisition differs from passes, journal or supply"),
    ),
    (
        _sql.many("unmatched_orders", _Record),
        ("两人办理与流水不符", "the order differs from its movements"),
    ),
    (
        _sql.many("unmatched_stocktakes", _Record),
        ("盘点与清点或流水不符", "the stocktake differs from its entries or movements"),
    ),
)


async def check(connection: Connection) -> list[Fault]:
    """Compare every record that the actor may see with the books; empty where all is well."""
    sheets = [
        Fault(
            one.city_code, one.series_code, None,
            "库存与逐张记录或发货单不符", "the stock differs from sheets, papers or consignments",
            Numerals(one.prefix, one.digit_count).range_text(
                Range(one.first_serial, one.last_serial)
            ),
        )
        for one in await _unmatched_sheets(connection)
    ]  # fmt: skip
    return sheets + [
        Fault(one.city_code, "", None, *words, record=one.record)
        for find, words in _RECORDS
        for one in await find(connection)
    ]
