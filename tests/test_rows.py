"""Rows of results: what is understood, what is an error, and that all errors are told at once."""

import datetime
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ground.errors import Finding
from service.issuing.batches import rows
from service.issuing.batches.rows import Row
from service.issuing.sheets import cells, layouts
from service.issuing.sheets.layouts import (
    COLUMNS,
    RESULTS,
    Cell,
    Day,
    Form,
    Head,
    Lines,
    Problem,
    Tail,
    Unread,
)
from service.registry.people import IdKind, Unfit

DRAWABLE = frozenset([*range(0x20, 0xA000), 0x20087])
TODAY = datetime.date(2026, 6, 1)
GOOD: Mapping[str, Cell] = {
    "准考证号": "2026050001",
    "姓名": "张三",
    "性别": "女",
    "证件类型": "居民身份证",
    "证件号码": "11010519491231002X",
    "出生日期": "1949-12-31",
    "手机号码": "13800000000",
    "专项职业能力名称": "大数据采集",
    "考核日期": Day(datetime.date(2026, 5, 23)),
    "理论成绩": 80,
    "实操成绩": 86.5,
    "总成绩": 84,
    "考核结果": "合格",
    "备注": None,
}
OTHER = {"准考证号": "2026050002", "证件类型": "护照", "证件号码": "E12345678"}


def sheet(*changes: Mapping[str, Cell]) -> list[layouts.Part]:
    """Make a sheet with one row, from row 2 on, for each set of changes to a good row."""
    lines = ({**GOOD, **change} for change in changes)
    told = ((n, tuple(map(line.get, RESULTS.columns))) for n, line in enumerate(lines, 2))
    return [Lines(tuple(told)), Tail()]


def one(column: str, cell: Cell) -> Row:
    judged, errors, warnings = rows.judge(sheet({column: cell}), DRAWABLE, TODAY)
    assert (errors, warnings) == ((), ())
    return judged[0]


def refused(*changes: Mapping[str, Cell]) -> tuple[Finding, ...]:
    _, errors, _ = rows.judge(sheet(*changes), DRAWABLE, TODAY)
    return errors


def test_a_good_row_becomes_a_record() -> None:
    judged, errors, warnings = rows.judge(sheet({}), DRAWABLE, TODAY)
    assert (errors, warnings) == ((), ())
    assert judged == (
        Row(
            row_number=2,
            admission_number="2026050001",
            name="张三",
            sex="女",
            id_kind=IdKind.RESIDENT,
            id_number="11010519491231002X",
            born_on=datetime.date(1949, 12, 31),
            phone="13800000000",
            project="大数据采集",
            exam_on=datetime.date(2026, 5, 23),
            theory=Decimal(80),
            practice=Decimal("86.5"),
            total=Decimal(84),
            passed=True,
            remark="",
        ),
    )


@pytest.mark.parametrize(
    ("column", "cell", "field", "value"),
    [
        ("准考证号", 2026050001, "admission_number", "2026050001"),
        ("准考证号", " ａｂ－１ ", "admission_number", "AB-1"),
        ("姓名", " 张\u3000三 ", "name", "张三"),
        ("性别", "Ｆ", "sex", "女"),
        ("性别", "女性", "sex", "女"),
        ("证件类型", " 身份证", "id_kind", IdKind.RESIDENT),
        ("证件号码", "１１０１０５ 19491231\u00a0002x\u200b", "id_number", "11010519491231002X"),
        ("证件号码", "'11010519491231002X", "id_number", "11010519491231002X"),
        ("手机号码", 13800000000, "phone", "13800000000"),
        ("手机号码", "+86 138-0000-0000", "phone", "13800000000"),
        ("手机号码", "13800000000.0", "phone", "13800000000"),
        ("手机号码", None, "phone", None),
        ("专项职业能力名称", "３Ｄ\n打印 （初级）", "project", "3D 打印（初级）"),
        ("专项职业能力名称", "商业 数据\u3000分\u200b析", "project", "商业数据分析"),
        ("理论成绩", None, "theory", None),
        ("实操成绩", "８６．５分", "practice", Decimal("86.5")),
        ("总成绩", 84.30000000000001, "total", Decimal("84.3")),
        ("总成绩", 100, "total", Decimal(100)),
        ("总成绩", "0", "total", Decimal(0)),
        ("考核结果", "不合格", "passed", False),
        ("备注", " 补考\t通过 ", "remark", "补考 通过"),
    ],
)
def test_what_spreadsheets_do_to_cells_is_understood(
    column: str, cell: Cell, field: str, value: object
) -> None:
    assert getattr(one(column, cell), field) == value


@pytest.mark.parametrize(
    "cell",
    [
        "2026-05-03",
        "2026/5/3",
        "2026.5.3",
        "2026年5月3日",
        "2026年5月3号",
        "２０２６年０５月０３日",
        "20260503",
        "20260503.0",
        20260503,
        46145,
        46145.5,
        "2026-05-03 00:00:00",
        " 2026 - 5 - 3 ",
        "2026-5-3 0:00",
        "2026-5-3 00:00",
        "2026/05/03 09:30:00",
        "2026-05-03T00:00:00.000",
        "2026年5月3日9:30",
        "２０２６－０５－０３",
        "46145",
        "４６１４５",
        "46145.0",
        Day(datetime.date(2026, 5, 3)),
    ],
)
def test_dates_are_understood_in_every_common_form(cell: Cell) -> None:
    assert one("考核日期", cell).exam_on == datetime.date(2026, 5, 3)


@pytest.mark.parametrize(
    "cell",
    [
        "5/23/26",
        "26.5.3",
        "05/03/2026",
        "3/5/2026",
        "2026-5-30:00",
        "2026-5",
        "4614",
        "461450",
        "2026-05-03 9",
        "23.5.2026",
        "2026-02-30",
        "2026-13-01",
        "昨天",
        5,
        0.5,
        -1,
        "1899-1-1",
        1990,
        1990.0,
        "1990",
    ],
)
def test_a_date_that_can_be_misread_or_does_not_exist_is_refused(cell: Cell) -> None:
    assert [error.code for error in refused({"考核日期": cell})] == ["DateUnreadable"]


def test_a_year_that_a_date_format_made_a_day_of_1905_is_refused() -> None:
    for year in (1900, 2100):
        day = datetime.date(1899, 12, 30) + datetime.timedelta(year)
        assert [error.code for error in refused({"考核日期": Day(day)})] == ["DateUnreadable"]
    after: dict[str, Cell] = {**OTHER, "出生日期": Day(datetime.date(1905, 10, 1))}
    assert refused(after) == ()


@given(st.dates(datetime.date(1964, 1, 1), TODAY))
def test_any_past_date_reads_the_same_typed_or_as_cell_or_as_serial(day: datetime.date) -> None:
    serial = (day - datetime.date(1899, 12, 30)).days
    for cell in (Day(day), day.isoformat(), f"{day:%Y%m%d}", int(f"{day:%Y%m%d}"), serial):
        assert one("考核日期", cell).exam_on == day


@given(st.integers(0, 1000))
def test_any_score_with_one_decimal_is_exact(tenths: int) -> None:
    for cell in (tenths / 10, str(tenths / 10), tenths / 10 + 1e-12):
        assert one("总成绩", cell).total == Decimal(tenths) / 10


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("准考证号", None, "CellEmpty"),
        ("准考证号", "a b,c", "AdmissionUnreadable"),
        ("准考证号", "1" * 33, "AdmissionUnreadable"),
        ("准考证号", "示例000001", "AdmissionUnreadable"),
        ("准考证号", 2026051000000001, "NumberRounded"),
        ("姓名", None, "CellEmpty"),
        ("姓名", 12, "NameNotLetter"),
        ("姓名", "张\ue000", "NamePrivateUse"),
        ("姓名", "张\U0002a6d6", "NameUndrawable"),
        ("性别", None, "CellEmpty"),
        ("性别", "未知", "ChoiceUnknown"),
        ("证件类型", "驾驶证", "ChoiceUnknown"),
        ("证件号码", 510101199003077000, "NumberRounded"),
        ("证件号码", 5.10101199003077e17, "NumberRounded"),
        ("证件号码", "5.10101E+17", "NumberRounded"),
        ("证件号码", "510101199003077000", "NumberRounded"),
        ("证件号码", "510101199003077009", "IdCheckWrong"),
        ("证件号码", "110105491231002", "IdFormWrong"),
        ("出生日期", "1949-12-30", "BirthDateContradictsId"),
        ("出生日期", "2026-06-02", "DateInFuture"),
        ("性别", "男", "SexContradictsId"),
        ("手机号码", "02887654321", "PhoneUnreadable"),
        ("手机号码", "1380000000", "PhoneUnreadable"),
        ("专项职业能力名称", None, "CellEmpty"),
        ("专项职业能力名称", "\u200b", "CellEmpty"),
        ("专项职业能力名称", "长" * 61, "TextTooLong"),
        ("专项职业能力名称", "大数据\x07采集", "TextUnprintable"),
        ("考核日期", "2026-06-02", "DateInFuture"),
        ("理论成绩", "缺考", "ScoreUnreadable"),
        ("实操成绩", -1, "ScoreUnreadable"),
        ("总成绩", None, "CellEmpty"),
        ("总成绩", 100.1, "ScoreUnreadable"),
        ("总成绩", 84.25, "ScoreTooFine"),
        ("总成绩", "84.123456789", "ScoreTooFine"),
        ("姓名", "示例 姓名", "ExampleName"),
        *[(column, True, "CellLogical") for column in COLUMNS],
        ("总成绩", Day(datetime.date(1900, 3, 24)), "ScoreUnreadable"),
        ("考核结果", "及格", "ChoiceUnknown"),
        ("备注", "长" * 201, "TextTooLong"),
    ],
)
def test_a_wrong_cell_is_named_with_row_and_column(column: str, cell: Cell, code: str) -> None:
    found = [error for error in refused({column: cell}) if error.code == code]
    assert [(error.row, error.column) for error in found] == [(2, column)]
    assert found[0].zh.endswith("。")


def test_a_genuine_number_that_ends_in_zeros_is_not_called_rounded() -> None:
    change: dict[str, Cell] = {"证件号码": "510101199001180000", "出生日期": "1990-01-18"}
    assert rows.judge(sheet(change), DRAWABLE, TODAY)[1] == ()


def test_all_errors_of_all_rows_are_told_at_once_in_order() -> None:
    errors = refused(
        {"姓名": "张", "总成绩": 101, "考核结果": None},
        {},
        {**OTHER, "准考证号": None, "出生日期": "?", "手机号码": "1"},
    )
    assert [(error.row, error.column, error.code) for error in errors] == [
        (2, "姓名", "NameLengthWrong"),
        (2, "总成绩", "ScoreUnreadable"),
        (2, "考核结果", "CellEmpty"),
        (2, "准考证号", "AdmissionRepeated"),
        (2, "证件号码", "CandidateRepeated"),
        (3, "准考证号", "AdmissionRepeated"),
        (3, "证件号码", "CandidateRepeated"),
        (4, "准考证号", "CellEmpty"),
        (4, "出生日期", "DateUnreadable"),
        (4, "手机号码", "PhoneUnreadable"),
    ]


def test_the_same_person_twice_for_one_project_is_named_with_the_other_row() -> None:
    one, two = refused({}, {"准考证号": "2", "证件号码": "11010519491231002x"})
    assert (one.code, one.row) == ("CandidateRepeated", 2)
    assert (two.code, two.row) == ("CandidateRepeated", 3)
    assert ("第 3 行" in one.zh, "第 2 行" in two.zh) == (True, True)
    assert "row 2" in two.en


def test_of_rows_that_contradict_each_other_none_is_kept() -> None:
    again: dict[str, Cell] = {"准考证号": "2", "专项职业能力名称": "大数据清洗"}
    third: dict[str, Cell] = {"准考证号": "3", "专项职业能力名称": "插花"}
    fourth: dict[str, Cell] = {**OTHER, "准考证号": "4"}
    for lines, wrong in (
        ([{}, {**OTHER}, {**OTHER, "准考证号": "9"}], [3, 4]),
        ([{}, fourth, {"准考证号": "2"}, {"准考证号": "3"}], [2, 4, 5]),
        ([{}, fourth, again, {**third, "姓名": "李四"}], [2, 4, 5]),
        ([{**again, "姓名": "李四"}, {}, {**third, "姓名": None}, fourth], [2, 3, 4]),
    ):
        judged, errors, _ = rows.judge(sheet(*lines), DRAWABLE, TODAY)
        assert [error.row for error in errors] == wrong
        assert {row.row_number for row in judged} == {*range(2, len(lines) + 2)} - {*wrong}


def test_the_same_person_may_take_another_project_and_another_person_the_same() -> None:
    assert (
        refused({}, {"准考证号": "2", "专项职业能力名称": "大数据清洗"}, {**OTHER, "准考证号": "3"})
        == ()
    )


def test_the_same_admission_number_twice_is_named_with_the_other_row() -> None:
    errors = refused({}, {**OTHER, "准考证号": 2026050001})
    assert [(one.code, one.row) for one in errors] == [
        ("AdmissionRepeated", 2),
        ("AdmissionRepeated", 3),
    ]
    assert ("第 3 行" in errors[0].zh, "第 2 行" in errors[1].zh) == (True, True)


def test_a_wrong_row_says_what_it_says_right_or_wrong() -> None:
    judging = rows.Judging(DRAWABLE, TODAY)
    formula = Unread("CellFormula", "=1", 9)
    for part in sheet({}, {"总成绩": "缺考", "性别": "M"}, {"备注": formula}):
        judging.take(part)
    good, *wrong = (one.said for one in judging.judged().refused)
    assert good == rows.judge(sheet({}), DRAWABLE, TODAY)[0][0].said
    assert wrong[0] == (*good[:2], "男", *good[3:11], "缺考", *good[12:])
    assert wrong[1] == (*good[:-1], "=1")


def test_one_document_with_two_names_is_named_with_the_other_row() -> None:
    again: dict[str, Cell] = {"准考证号": "2", "专项职业能力名称": "大数据清洗"}
    one, two = refused({}, {**again, "姓名": "李四"})
    assert (one.code, one.row, one.column) == ("NameContradictsRow", 2, "姓名")
    assert (two.code, two.row, two.column) == ("NameContradictsRow", 3, "姓名")
    assert ("第 3 行" in one.zh, "第 2 行" in two.zh) == (True, True)
    assert refused({}, {**again, "姓名": " 张 三"}) == ()
    assert refused({}, {**OTHER, "姓名": "李四"}) == ()


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("准考证号", "11010519491231002x"),
        ("准考证号", "ZK-110105-19491231-002X"),
        ("备注", "证号１１０１０５ 19491231 002X，补考"),
    ],
)
def test_a_document_number_outside_its_column_is_refused_and_not_shown(
    column: str, cell: Cell
) -> None:
    (error,) = refused({column: cell})
    assert (error.code, error.column) == ("IdRepeatedInClear", column)
    assert error.value == "110*************2X"
    assert refused({column: "110105 19491231"}) == ()


def test_a_candidate_is_at_least_fourteen_on_the_day_of_the_exam() -> None:
    born: dict[str, Cell] = {**OTHER, "出生日期": "2012-05-24"}
    (error,) = refused(born)
    assert (error.code, error.column) == ("BirthDateImplausible", "出生日期")
    assert refused({**born, "出生日期": "2012-05-23"}) == ()
    leap: dict[str, Cell] = {**OTHER, "出生日期": "2000-02-29"}
    assert refused({**leap, "考核日期": "2014-03-01"}) == ()
    assert [error.code for error in refused({**leap, "考核日期": "2014-02-28"})] == [
        "BirthDateImplausible"
    ]


def test_a_contradiction_names_both_values() -> None:
    sex, born = refused({"性别": "男", "出生日期": "1950-01-01"})
    assert "男" in sex.zh
    assert "女" in sex.zh
    assert "1950-01-01" in born.zh
    assert "1949-12-31" in born.en


def test_the_short_birth_date_of_an_older_foreigner_card_must_agree() -> None:
    card: dict[str, Cell] = {"证件类型": "外国人永久居留证", "证件号码": "USA510190030775"}
    assert refused({**card, "出生日期": "1990-03-07"}) == ()
    (error,) = refused({**card, "出生日期": "1990-03-08"})
    assert error.code == "BirthDateContradictsId"
    assert "900307" in error.zh


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("证件号码", "110105194912310021", "110*************21"),
        ("证件号码", 510101199003077000, "510*************00"),
        ("姓名", "=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("备注", "\x1b[31m" + "长" * 300, "\\u001b[31m" + "长" * 29 + "…"),
        ("考核结果", "\u202e格合", "\\u202e格合"),
        ("总成绩", -5, "'-5"),
        ("姓名", None, None),
        ("性别", "11010519491231002X", "110*************2X"),
        ("姓名", "张三１１０１０５ 19491231\u200b002ｘ", "张三110*************2X"),
        ("考核结果", 11010519491231, "110*********31"),
        ("总成绩", "电话138 0000-0000。", "电话138*******00。"),
        ("理论成绩", "2026050001", "2026050001"),
    ],
)
def test_a_wrong_value_is_shown_safely(column: str, cell: Cell, value: str | None) -> None:
    (error,) = refused({column: cell})
    assert error.value == value


@given(st.text())
def test_anything_is_shown_printable_short_and_inert(text: str) -> None:
    shown = cells.shown(text)
    assert len(shown) <= 40
    assert shown.isprintable()
    assert not shown.startswith(("=", "+", "-", "@"))


@given(st.text(max_size=60), st.from_regex(r"1[0-9]{10}|[1-9][0-9]{13,16}[0-9xX]", fullmatch=True))
def test_no_long_number_is_ever_shown_whole(before: str, number: str) -> None:
    assert number[3:-2] not in cells.shown(before + number)


CELL = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(Day)


@given(st.lists(st.tuples(*[CELL] * len(RESULTS.columns)), max_size=3))
def test_any_cells_give_rows_or_findings_and_never_raise(lines: list[tuple[Cell, ...]]) -> None:
    judged, errors, _ = rows.judge([Lines(tuple(enumerate(lines, 2)))], DRAWABLE, TODAY)
    assert len(judged) <= len(lines)
    assert errors


def test_the_example_row_is_ignored_only_while_it_is_the_example() -> None:
    admission, name = layouts.EXAMPLE
    example: dict[str, Cell] = {"准考证号": admission, "姓名": name, "总成绩": "?"}
    judged, errors, _ = rows.judge(sheet(example, {}), DRAWABLE, TODAY)
    assert (len(judged), errors) == (1, ())
    half: dict[str, Cell] = {**example, "总成绩": 84}
    assert [error.code for error in refused({**half, "姓名": "张三"})] == ["AdmissionUnreadable"]
    assert [error.code for error in refused({**half, "准考证号": "1"})] == ["ExampleName"]


def test_a_flood_of_errors_is_bounded_and_counted() -> None:
    blank: dict[str, Cell] = dict.fromkeys(COLUMNS) | {"证件号码": True}
    assert len(refused(*[blank] * 1000)) == cells.FINDINGS_MAX
    judged, errors, _ = rows.judge(sheet({}, *[blank] * 2000), DRAWABLE, TODAY)
    assert judged == ()
    assert len(errors) == cells.FINDINGS_MAX + 1
    assert errors[-1].code == "ErrorsUnlisted"
    assert str(2000 * 10) in errors[-1].zh


def test_days_counted_from_1904_are_only_those_that_are_counted() -> None:
    judging = rows.Judging(DRAWABLE, TODAY)
    judging.take(Head(form=Form(kind="xlsx"), from_1904=True))
    days: list[Cell] = [44683, "44683", "2026-05-03", 20260503, Day(datetime.date(2026, 5, 3))]
    changes = [{**OTHER, "准考证号": str(n), "证件号码": f"E1234567{n}"} for n in range(len(days))]
    for part in sheet(*[{**one, "考核日期": day} for one, day in zip(changes, days, strict=True)]):
        judging.take(part)
    assert {row.exam_on for row in judging.judged().rows} == {datetime.date(2026, 5, 3)}


def judged(*parts: layouts.Part) -> rows.Judged:
    judging = rows.Judging(DRAWABLE, TODAY)
    for part in parts:
        judging.take(part)
    return judging.judged()


def test_a_refused_row_tells_which_it_is_and_all_that_is_wrong_with_it() -> None:
    other: dict[str, Cell] = {**OTHER, "准考证号": "3", "姓名": "张", "总成绩": 101}
    lost: dict[str, Cell] = {"准考证号": None, "证件号码": "1101 05x", "行标识": 7}
    told = judged(*sheet({"行标识": "m1"}, {**other, "行标识": "m2"}, lost))
    assert [(row.row_number, row.mark) for row in told.rows] == [(2, "m1")]
    second, third = told.refused
    assert (second.row_number, second.mark, second.admission_number) == (3, "m2", "3")
    assert [one.code for one in second.findings] == ["NameLengthWrong", "ScoreUnreadable"]
    assert (third.mark, third.admission_number, third.id_number) == (None, None, "110105X")
    assert (*second.findings, *third.findings) == told.errors


def test_a_row_with_a_merged_cell_is_refused_though_each_cell_is_right() -> None:
    told = judged(*sheet({}, {**OTHER, "准考证号": "3"}), Tail(merged=((3, "备注"),)))
    assert [row.row_number for row in told.rows] == [2]
    ((refused,), (error,)) = (told.refused, told.errors)
    assert (refused.row_number, refused.admission_number, refused.id_number) == (
        3,
        "3",
        "E12345678",
    )
    assert (error.code, error.row, error.column) == ("CellMerged", 3, "备注")


def test_what_may_not_be_taken_at_its_word_is_an_error_of_its_cell() -> None:
    (error,) = refused({"总成绩": Unread("CellFormula", "84")})
    assert (error.code, error.column, error.value) == ("CellFormula", "总成绩", "84")
    (error,) = refused({"备注": Unread("BytesUndecodable", "110105194912310021", 77)})
    assert (error.value, "77" in error.zh, "77" in error.en) == ("110*************21", True, True)


def test_nothing_is_kept_of_a_sheet_that_cannot_be_read_to_its_end() -> None:
    finding = Unfit("WorkbookBroken").finding()
    told = judged(*sheet({}, {**OTHER, "姓名": "张"}), Problem(finding))
    assert (told.rows, told.refused, told.errors[0]) == ((), (), finding)
    missing = judged(Head(form=Form(kind="csv"), missing=("姓名",)))
    assert (missing.rows, missing.refused) == ((), ())
    assert [(one.code, "姓名" in one.zh) for one in missing.errors] == [("ColumnMissing", True)]
    flood = judged(*sheet({}, *[dict.fromkeys(COLUMNS, True)] * 2000))
    assert (flood.rows, flood.refused) == ((), ())


def test_many_names_are_not_all_listed() -> None:
    head = Head(form=Form(kind="csv"), unknown=tuple(f"列{number}" for number in range(50)))
    hidden = Tail(rows_hidden=(*range(2, 9), 12, *range(100, 200, 2)))
    unknown, rows_hidden = judged(head, *sheet({}), hidden).warnings
    assert "列19…（50）" in unknown.zh
    assert "2–8、12、100、" in rows_hidden.zh
