"""Forms as they are filled in: an ordinary one, and one with everything as long as it may be."""

import datetime
from collections.abc import Iterator

from service import wiring
from service.paper.forms import sheets

PRINTED_AT = datetime.datetime(2026, 6, 30, 16, 30, tzinfo=datetime.UTC)
FORMS = wiring.forms()
CENTRE = "阿坝藏族羌族自治州职业技能鉴定中心"
PROJECTS = ("民宿接待服务", "彝族刺绣（手工）制作", "藏式糌粑与酥油茶制作", "川菜（家常）制作")
LONG_PROJECT = "川西高原牦牛绒手工编织与藏式氆氇织造" * 3 + "（高原户外）"
LONG_WORD = "OPERATION-AND-MAINTENANCE-OF-UNMANNED-AERIAL-VEHICLES" * 2
LONG = "因运输途中遭遇强降雨，外包装破损，其中部分内芯受潮变形，经省中心现场查看后同意补领。" * 3
RARE = "𠮷𪚥㐂"


def requisition(line_count: int = 4, project: str = "") -> sheets.Requisition:
    long = project == LONG_PROJECT
    return sheets.Requisition(
        centre=CENTRE,
        number="513200-2026-007",
        state="已核准",
        kind="内芯",
        archived_from=datetime.date(2026, 6, 1),
        archived_until=datetime.date(2026, 6, 30),
        lines=tuple(
            sheets.ProjectLine(
                project_name=LONG_WORD if long and at % 7 == 1 else project or PROJECTS[at % 4],
                batch_count=at % 5 + 1,
                pass_count=30 * (at % 5 + 1) - at,
            )
            for at in range(line_count)
        ),
        extra_count=20,
        extra_reason=LONG if long else "套打试机与损耗",
        stock_count=1_268,
        approved_count=None if line_count == 0 else 310,
        supplied=("川26A0000001-0000300", "川26A0000512", "川26A0001001-0001009")
        * (9 if long else 1),
        applicant="扎西旺堆",
        applied_on=datetime.date(2026, 6, 30),
        reviewer="王伟",
        decision="同意。" if not long else LONG,
    )


def movements(count: int, remark: str = "") -> Iterator[sheets.Movement]:
    """A supply, a print run with spoiled sheets, another, and so on."""
    for at in range(count):
        supply = at % 5 == 0
        yield sheets.Movement(
            moved_on=datetime.date(2026, 1, 5) + datetime.timedelta(days=at % 170),
            summary="签收省中心下发" if supply else "领用打印（示例职业培训学校）",
            voucher=f"513200-2026-{at:04}",
            serials=f"川26A{at * 50 + 1:07}-{at * 50 + (250 if supply else 50):07}",
            received=250 if supply else 0,
            issued=0 if supply else 49,
            spoiled=0 if supply else 1,
            handler="扎西旺堆",
            reviewer="王伟",
            remark=remark,
        )


def ledger(closing: int = 500) -> sheets.Ledger:
    return sheets.Ledger(
        city_name="阿坝藏族羌族自治州",
        centre=CENTRE,
        series="2026-inner 内芯（川26A）",
        period_from=datetime.date(2026, 1, 1),
        period_until=datetime.date(2026, 6, 30),
        opening=500,
        closing=closing,
    )


def summary(city_count: int = 21) -> sheets.Summary:
    return sheets.Summary(
        centre=CENTRE,
        period_from=datetime.date(2026, 1, 1),
        period_until=datetime.date(2026, 6, 30),
        lines=tuple(
            sheets.SummaryLine(
                city_name="阿坝藏族羌族自治州" if at % 3 else "成都市",
                series="2026-inner" if at % 2 else "2026-cover",
                opening=1_200 + at,
                received=123_456,
                issued=100_000,
                spoiled=17,
                closing=24_639 + at,
                in_transit=500,
                printed=300,
                handed_over=99_700,
                pending_destruction=17,
                destroyed=0,
                lost=0,
                difference=0 if at else 3,
            )
            for at in range(city_count)
        ),
        drawn_up_by="李梅",
    )


def handover(line_count: int = 12, project: str = "民宿接待服务") -> sheets.Handover:
    return sheets.Handover(
        centre=CENTRE,
        document_number="513200-2026-领-003",
        subject="示例职业培训学校 2026年6月12日批次" if project != LONG_PROJECT else LONG,
        lines=tuple(
            sheets.HandoverLine(
                number=f"26513201600{at:05}",
                name="扎西旺堆·索朗多吉" + (RARE * 13 if project == LONG_PROJECT else ""),
                project_name=project,
                serial=f"川26A{at + 1:07}",
            )
            for at in range(line_count)
        ),
    )


def destruction(line_count: int = 3, reason: str = "套打错位作废") -> sheets.Destruction:
    return sheets.Destruction(
        centre=CENTRE,
        document_number="阿人社鉴〔2026〕8号",
        reason="年度集中销毁",
        destroyed_on=datetime.date(2026, 6, 30),
        lines=tuple(
            sheets.DestructionLine(
                series="2026-inner",
                serials="川26A0000007、川26A0000012、川26A0000020-0000022",
                sheet_count=5,
                reason=reason,
            )
            for _ in range(line_count)
        ),
        keeper="扎西旺堆",
        first_witness="王伟",
        second_witness="李梅",
    )


def count(line_count: int = 20) -> sheets.Count:
    return sheets.Count(
        centre=CENTRE, number="513200-2026-盘-02", occasion="季度盘点", line_count=line_count
    )


def counted(line_count: int = 3, reason: str = "清点时发现缺号，已报省中心") -> sheets.Counted:
    return sheets.Counted(
        centre=CENTRE,
        number="513200-2026-盘-02",
        occasion="季度盘点",
        counted_on=datetime.date(2026, 6, 30),
        lines=tuple(
            sheets.CountedLine(
                series="2026-inner",
                serials="川26A0000301-0000800",
                book_count=500,
                counted_count=500 - at,
                reason=reason if at else "",
                approval="同意调整" if at else "",
            )
            for at in range(line_count)
        ),
        counted_by="扎西旺堆",
        approved_by="王伟",
        approved_on=datetime.date(2026, 7, 1),
    )
