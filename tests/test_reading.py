"""Workbooks as they come: ours, re-ordered, dressed up by every program. All made on the spot."""

import datetime
import io
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import msgspec
import pytest
import python_calamine
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from service.issuing.adoption import sheet
from service.issuing.batches import rows
from service.issuing.sheets import layouts, pages, reading, spreadsheets, template
from service.issuing.sheets.layouts import COLUMNS, Cell, Day, Layout, Lines, Unread
from service.registry.people import IdKind
from tests.workbooks import (
    DRAWABLE,
    HEADER_XML,
    SPACE,
    TEXTS,
    TODAY,
    Table,
    Told,
    book,
    entry,
    inline,
    parts,
    problem,
    results,
    row_xml,
    sheet_xml,
    told,
    warned,
    wrong,
)  # fmt: skip

CHECKOUT = Path(__file__).parent.parent
GUIDES = CHECKOUT / "templates" / "sheets"
GUIDE = GUIDES / "guide.toml"


def test_a_workbook_is_read_with_row_numbers_and_types_through_json() -> None:
    read = told(book([*results(), [], [None, "李四"]]))
    assert msgspec.json.decode(msgspec.json.encode(read), type=Told) == read
    (first, cells), (second, _) = read.rows
    assert (first, second) == (2, 4)
    assert cells[5] == Day(datetime.date(1949, 12, 31))
    assert cells[6:7] + cells[9:12] == (13800000000, 80, 86.5, 84)
    assert cells[13] is None


@settings(max_examples=20, deadline=None)
@given(st.permutations([*COLUMNS, "序号", "工作单位"]), st.integers(0, 5))
def test_the_order_of_columns_and_a_title_above_are_free(columns: list[str], top: int) -> None:
    data = book(results(columns), top=top)
    judged, errors, warnings = rows.judge(reading.read(data), DRAWABLE, TODAY)
    assert errors == ()
    assert (judged[0].row_number, judged[0].name, judged[0].passed) == (top + 2, "张三", True)
    assert [warning.code for warning in warnings] == ["ColumnUnknown"]
    assert "序号" in warnings[0].zh
    assert "工作单位" in warnings[0].en


def test_what_stands_below_the_rows_is_one_error_each_with_what_to_do() -> None:
    header, line = results()
    below: list[list[object]] = [
        [],
        ["说明：总成绩＝理论×40%＋实操×60%"],
        ["合计", *[None] * 8, 80, "=SUM(K3:K3)", 84, "1 人"],
        header,
        [None, "以下空白"],
        ["审核人：", None, None, "填表人：", None, None, "（盖章）"],
    ]
    judged = told(book([["成绩表"], header, line, *below])).judged()
    assert [row.name for row in judged.rows] == ["张三"]
    assert [(one.code, one.row, one.column) for one in judged.errors] == [
        ("RowStray", row, None) for row in range(5, 10)
    ]
    assert "请删除此行" in judged.errors[0].zh
    assert [one.row_number for one in judged.refused] == [*range(5, 10)]


def test_a_merged_note_is_called_a_note_only() -> None:
    merged = '<mergeCells><mergeCell ref="A3:N3"/></mergeCells>'
    rows_xml = HEADER_XML + row_xml(2, TEXTS) + row_xml(3, ["说明：缺考 1 人"])
    assert wrong(parts(sheet1=sheet_xml(rows_xml, merged))) == [("RowStray", 3, None)]


def test_a_missing_column_is_named_with_the_one_that_it_may_be_and_none_is_taken_for_it() -> None:
    names = {
        "证件号码": "身份证号",
        "手机号码": "联系电话",
        "专项职业能力名称": "工种",
        "总成绩": "成绩",
    }
    header = [names.get(column, column) for column in [*COLUMNS[1:], "序号"]]
    missing, warning = told(book([header, results()[1]])).judged().errors, warned(book([header]))
    assert ([one.code for one in missing], warning) == (["ColumnMissing"], ["ColumnUnknown"])
    assert (
        "缺少列：准考证号、证件号码（是否即“身份证号”）、手机号码（是否即“联系电话”）"
        in missing[0].zh
    )
    assert "总成绩（是否即“成绩”）" in missing[0].zh
    assert "序号" not in missing[0].zh


def test_a_missing_column_is_one_error_and_a_repeated_one_another() -> None:
    columns = [column for column in COLUMNS if column not in ("姓名", "总成绩")]
    _, (missing,), _ = rows.judge(reading.read(book(results(columns))), DRAWABLE, TODAY)
    assert missing.code == "ColumnMissing"
    assert "姓名、总成绩" in missing.zh
    _, (repeated,), _ = rows.judge(reading.read(book(results([*COLUMNS, "姓名"]))), DRAWABLE, TODAY)
    assert repeated.code == "ColumnRepeated"


@pytest.mark.parametrize(
    "typed",
    [
        "姓 名*",
        "*姓名",
        "＊ 姓名",
        "姓名（必填）",
        "*姓名(必填)",
        "姓名*【必填】",
        "\ufeff姓\u200b名",
    ],
)
def test_a_header_may_hold_spaces_stars_and_a_remark(typed: str) -> None:
    header, line = results()
    renamed = [typed if name == "姓名" else name for name in header]
    read = told(book([renamed, line]))
    assert (read.head.missing, read.head.unknown, len(read.rows)) == ((), (), 1)


@pytest.mark.parametrize("typed", ["考生（姓名）", "（姓名）", "姓名（一）二", "名"])
def test_a_remark_alone_is_no_column(typed: str) -> None:
    header, line = results()
    renamed = [typed if name == "姓名" else name for name in header]
    assert told(book([renamed, line])).head.missing == ("姓名",)


def test_a_sheet_without_header_is_one_problem_that_shows_no_cell() -> None:
    _, line = results()
    read = told(book([line, line]))
    judged, errors, warnings = rows.judge(read.parts, DRAWABLE, TODAY)
    assert (judged, warnings) == ((), ())
    assert [(error.code, error.value) for error in errors] == [("HeaderMissing", None)]


def test_a_long_number_in_a_header_is_masked() -> None:
    header, line = results()
    _, _, (warning,) = rows.judge(
        reading.read(book([[*header, "11010519491231002X"], line])), DRAWABLE, TODAY
    )
    assert "110*************2X" in warning.zh
    assert "19491231" not in warning.zh + warning.en


SHORT = Layout("既有证书", ("证书编号", "姓名", "状态", "发证日期"), frozenset({"状态", "姓名"}))


def test_another_layout_reads_its_own_sheet_and_may_lack_columns() -> None:
    table = [
        ("发证日期", "证书编号", "其他"),
        (7, "S000051", "x"),
        ("", "", ""),
        (None, "S2", None),
    ]
    data = book(table, "既有证书", others=[("考核结果", results())])
    read = told(data, SHORT)
    assert read.rows == ((2, ("S000051", None, None, 7)), (4, ("S2", None, None, None)))
    assert (read.head.missing, read.head.unknown, read.head.sheets_ignored) == (
        (),
        ("其他",),
        ("考核结果",),
    )
    assert told(book(table, "x"), SHORT).rows == read.rows
    lacking = told(book([("证书编号", "姓名", "状态")]), SHORT)
    assert (lacking.head.missing, lacking.rows) == (("发证日期",), ())
    twice = told(book([("证书编号", "姓名", "姓名", "发证日期")]), SHORT)
    assert twice.head.repeated == ("姓名",)


def test_two_sheets_that_may_both_be_results_are_refused_by_name() -> None:
    read = told(book(results(), "一班", others=[("=二班", results()), ("空", [[" "]])]))
    _, (error,), _ = rows.judge(read.parts, DRAWABLE, TODAY)
    assert error.code == "SheetAmbiguous"
    assert "一班、'=二班，" in error.zh
    assert "空" not in error.zh
    for empty in ("Sheet1", "考核结果"):
        alone = told(book([], empty, others=[("二班", results()), ("填写说明", [["x"]])]))
        assert rows.judge(alone.parts, DRAWABLE, TODAY)[1:] == ((), ())


def test_sheets_beside_the_named_one_are_ignored_with_a_warning() -> None:
    others: list[tuple[str, Table]] = [("考核结果 ", results()), ("空", []), ("项目清单", [["x"]])]
    read = told(book(results(), "一班", others=others))
    judged, errors, (warning,) = rows.judge(read.parts, DRAWABLE, TODAY)
    assert (len(judged), errors, warning.code) == (1, (), "SheetIgnored")
    assert "：一班。" in warning.zh


def test_another_sheet_name_is_accepted_but_not_the_guide() -> None:
    assert len(told(book(results(), sheet="Sheet1")).rows) == 1
    assert problem(book(results(), sheet="填写说明")) == "SheetMissing"


def test_a_header_without_rows_is_an_error() -> None:
    _, errors, _ = rows.judge(reading.read(book([COLUMNS])), DRAWABLE, TODAY)
    assert [error.code for error in errors] == ["RowsMissing"]


def test_a_row_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    header, line = results()
    monkeypatch.setattr(layouts, "ROWS_MAX", 3)
    assert len(told(book([header, *[line] * 3])).rows) == 3
    assert problem(book([header, *[line] * 4])) == "RowsTooMany"


def test_a_huge_text_is_cut_and_still_found_too_long() -> None:
    header, line = results()
    line[-1] = "长" * 32_000
    read = told(book([header, line]))
    assert len(str(read.rows[0][1][13])) == 300
    _, errors, _ = rows.judge(read.parts, DRAWABLE, TODAY)
    assert [(error.code, error.column) for error in errors] == [("TextTooLong", "备注")]


def test_reading_opens_no_file() -> None:
    program = textwrap.dedent("""
        import resource, sys
        from service.issuing.sheets import layouts, reading
        data = sys.stdin.buffer.read()
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        *_, lines, tail = reading.read(data)
        print(len(lines.rows))
    """)
    buffer = io.BytesIO(book(results()))
    with zipfile.ZipFile(buffer, "a") as made:
        made.writestr("xl/media/alt-name.bin", b"")
    data = buffer.getvalue().replace(b"alt-name", b"\x81lt-name")  # a name that needs cp437
    done = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, cwd=CHECKOUT, check=False
    )
    assert (done.stdout, done.stderr) == (b"1\n", b"")


def test_the_template_is_ignored_until_it_is_filled_in(tmp_path: Path) -> None:
    template.write(tmp_path / "template.xlsx", ["大数据采集", "大数据清洗"], GUIDE)
    read = told((tmp_path / "template.xlsx").read_bytes())
    assert (read.problem, read.head.missing, read.head.unknown) == (None, (), ())
    _, errors, _ = rows.judge(read.parts, DRAWABLE, TODAY)
    assert [error.code for error in errors] == ["RowsMissing"]
    (_, example) = read.rows[0]
    renamed = Lines(((2, (example[0], "张三", *example[2:])),))
    _, errors, _ = rows.judge([renamed], DRAWABLE, TODAY)
    assert "AdmissionUnreadable" in {error.code for error in errors}


def test_the_adoption_template_is_ignored_until_it_is_filled_in() -> None:
    target = io.BytesIO()
    template.write(target, ["大数据采集"], GUIDES / "adoption.toml", sheet.LAYOUT)
    read = Told(tuple(sheet.read_in_jail(target.getvalue())))
    assert (read.problem, read.head.missing, read.head.unknown, len(read.rows)) == (None, (), (), 1)
    judging = sheet.Judging(TODAY)
    for part in read.parts:
        judging.take(part)
    assert [error.code for error in judging.findings()] == ["RowsMissing"]
    with zipfile.ZipFile(target) as made:
        assert "有效,撤销,注销" in made.read("xl/worksheets/sheet1.xml").decode()


def test_the_template_has_lists_text_columns_and_a_guide() -> None:
    first, again = io.BytesIO(), io.BytesIO()
    for target in (first, again):
        template.write(target, ["大数据采集", "大数据清洗"], GUIDE)
    assert first.getvalue() == again.getvalue()
    with zipfile.ZipFile(first) as made:
        sheet = made.read("xl/worksheets/sheet1.xml").decode()
        names = made.read("xl/workbook.xml").decode()
        strings = made.read("xl/sharedStrings.xml").decode()
    for listed in (",".join(IdKind), "男,女", "合格,不合格", "'项目清单'!$A$1:$A$2"):
        assert listed in sheet
    assert "frozen" in sheet
    assert [names.index(name) for name in ("考核结果", "填写说明", "项目清单")] == sorted(
        names.index(name) for name in ("考核结果", "填写说明", "项目清单")
    )
    assert "大数据清洗" in strings
    assert all(strings.count(column) >= 1 for column in COLUMNS)


def test_a_number_beyond_every_integer_survives_json() -> None:
    header, line = results()
    line[4], line[11] = 510101199003077000, 1e300
    read = told(book([header, line]))
    assert msgspec.json.decode(msgspec.json.encode(read), type=Told) == read
    _, errors, _ = rows.judge(read.parts, DRAWABLE, TODAY)
    assert [error.code for error in errors] == ["NumberRounded", "ScoreUnreadable"]


# What other programs make of a workbook.


def of_cell(xml: str, **changed: str) -> Cell:
    """Read what stands in the remark's column, below a good header."""
    (_, cells), *_ = told(
        parts(sheet1=sheet_xml(f'{HEADER_XML}<row r="2">{xml}</row>'), **changed)
    ).rows
    return cells[13]


@pytest.mark.parametrize(
    ("xml", "cell"),
    [
        ('<c r="N2"><v>84</v></c>', 84),
        ('<c r="N2" t="n"><v> 8.45e1 </v></c>', 84.5),
        ('<c r="N2"><v>1e308</v></c>', 1e308),
        ('<c r="N2"><v>1e309</v></c>', "1e309"),
        ('<c r="N2"><v>NaN</v></c>', "NaN"),
        ('<c r="N2"><v>1_000</v></c>', "1_000"),
        ('<c r="N2"><v>-INF</v></c>', "-INF"),
        ('<c r="N2" t="b"><v>1</v></c>', True),
        ('<c r="N2" t="b"><v>0</v></c>', False),
        ('<c r="N2" t="e"><v>#N/A</v></c>', Unread("CellError", "#N/A")),
        ('<c r="N2" t="str"><v> 0123 </v></c>', "0123"),
        ('<c r="N2" t="d"><v>2026-05-23T09:30:00Z</v></c>', Day(datetime.date(2026, 5, 23))),
        ('<c r="N2" t="d"><v>T09:30:00</v></c>', "T09:30:00"),
        ('<c r="N2" t="inlineStr"><is><t>甲</t></is></c>', "甲"),
        ('<c r="N2" t="inlineStr"><is><r><rPr/><t>甲</t></r> <r><t>乙</t></r></is></c>', "甲乙"),
        ('<c r="N2" t="inlineStr"><is><t>甲</t><rPh sb="0" eb="1"><t>jia</t></rPh></is></c>', "甲"),
        ('<c r="N2" t="inlineStr"><is><t>a_x000A_b_x005F_x000A_</t></is></c>', "a\nb_x000A_"),
        ('<c r="N2" t="inlineStr"><is><t>_xD83D_</t></is></c>', "_xD83D_"),
        ('<c r="N2" t="s"><v>1</v></c>', "姓名"),
        ('<c r="M2" t="str"><v>x</v></c><c t="str"><v>y</v></c>', "y"),
        ('<x:c xmlns:x="s" r="N2" t="str"><x:v>x</x:v></x:c>', "x"),
        ('<c r="N2" t="str"><v><![CDATA[<&]]></v></c>', "<&"),
        ('<c r="N2" t="str"><v>&lt;&#x7532;</v></c>', "<甲"),
        ('<c r="N2"><f>1+1</f><v>2</v></c>', Unread("CellFormula", "2")),
        ('<c r="N2" t="str"><f>A1</f><v>甲</v></c>', Unread("CellFormula", "甲")),
        ('<c r="N2"><f t="shared" si="0"/><v>2</v></c>', Unread("CellFormula", "2")),
        ('<c r="N2"><f>NA()</f></c>', Unread("CellFormula", "")),
        ('<c r="N2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', Unread("CellFormula", "#DIV/0!")),
    ],
)  # fmt: skip
def test_a_cell_is_read_by_its_kind(xml: str, cell: Cell) -> None:
    read = of_cell(xml + '<c r="O2" t="str"><v>.</v></c>' if "N2" in xml else xml)
    assert (read, type(read)) == (cell, type(cell))


@pytest.mark.parametrize(
    ("code", "is_date"),
    [
        ("yyyy-mm-dd", True), ('yyyy"年"m"月"d"日"', True), ("[$-804]aaaa;@", False),
        ("[$-F800]dddd, mmmm dd, yyyy", True), ("h:mm", True), ("General", False),
        ("0.00_ ", False),
        ('0"days"', False), ("#,##0;[Red]-#,##0", False), (r"0\d", False), ("@", False),
    ],
)  # fmt: skip
def test_a_number_is_a_day_where_its_format_says_so(code: str, is_date: bool) -> None:
    quoted = code.replace('"', "&quot;")
    styles = (
        f'<styleSheet xmlns="{SPACE}">'
        f'<numFmts><numFmt numFmtId="170" formatCode="{quoted}"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="170"/><xf numFmtId="57"/></cellXfs></styleSheet>'
    )
    cell = of_cell('<c r="N2" s="1"><v>46165.4</v></c>', styles=styles)
    assert cell == (Day(datetime.date(2026, 5, 23)) if is_date else 46165.4)
    assert of_cell('<c r="N2" s="2"><v>46165</v></c>', styles=styles) == Day(
        datetime.date(2026, 5, 23)
    )
    assert of_cell('<c r="N2"><v>46165</v></c>', styles=styles) == 46165


def test_days_that_are_counted_from_1904_are_the_same_days() -> None:
    buffer = io.BytesIO()
    day = datetime.date(2026, 5, 23)
    with xlsxwriter.Workbook(
        buffer, {"date_1904": True, "default_date_format": "yyyy-mm-dd"}
    ) as made:
        page = made.add_worksheet("考核结果")
        header, line = results()
        page.write_row(0, 0, header)
        page.write_row(1, 0, line)
        page.write(1, 8, (day - datetime.date(1904, 1, 1)).days)
    read = told(buffer.getvalue())
    assert read.head.from_1904
    (row,) = read.judged().rows
    assert (row.born_on, row.exam_on) == (datetime.date(1949, 12, 31), day)


def test_a_formula_and_all_that_an_array_of_them_covers_is_an_error_of_its_row() -> None:
    lines = [row_xml(number, [*TEXTS[:10], None, *TEXTS[11:]]) for number in (2, 3, 4, 5)]
    spread = '<c r="K2"><f t="array" ref="K2:K4">B2:B4</f><v>1</v></c>'
    lines[0] = lines[0].replace('<c r="L2"', f'{spread}<c r="L2"')
    for number in (3, 4, 5):
        plain = f'<c r="K{number}"><v>80</v></c><c r="L{number}"'
        lines[number - 2] = lines[number - 2].replace(f'<c r="L{number}"', plain)
    data = parts(sheet1=sheet_xml(HEADER_XML + "".join(lines)))
    found = [one for one in wrong(data) if one[0] == "CellFormula"]
    assert found == [("CellFormula", row, "实操成绩") for row in (2, 3, 4)]
    beyond = data_with('<f t="array" ref="A1:K4">x</f>')
    assert problem(beyond) == "WorkbookBroken"


def data_with(formula: str) -> bytes:
    return parts(sheet1=sheet_xml(f'{HEADER_XML}<row r="2"><c r="K2">{formula}<v>1</v></c></row>'))


def test_a_formula_above_or_beside_what_is_imported_harms_nothing() -> None:
    header = row_xml(1, COLUMNS).replace(
        inline("B1", "姓名"), '<c r="B1" t="str"><f>T(1)</f><v>姓名</v></c>'
    )
    line = row_xml(2, [*TEXTS, "x"]).replace(inline("O2", "x"), '<c r="O2"><f>1</f><v>1</v></c>')
    assert wrong(parts(sheet1=sheet_xml(header + line))) == []


def test_the_order_of_cells_and_rows_is_as_they_say_or_the_file_is_refused() -> None:
    for cells in (
        '<row r="2"><c r="B2"><v>1</v></c><c r="A2"><v>1</v></c></row>',
        '<row r="2"><c r="A2"><v>1</v></c><c r="A2"><v>2</v></c></row>',
        '<row r="2"><c r="A3"><v>1</v></c></row>',
        '<row r="2"><c r="a2"><v>1</v></c></row>',
        '<row r="2"/><row r="2"/>',
        '<row r="3"/><row r="2"/>',
        '<row r="1048577"/>',
        '<row r="0"/>',
        '<c r="A2"><v>1</v></c>',
        '<row r="2"><row r="3"/></row>',
        '<row r="2"><c r="A2"><c r="B2"/></c></row>',
        '<row r="2"><c r="A2"><v>1</v><v>2</v></c></row>',
        '<row r="2"><c r="A2"><v>1</v><is><t>2</t></is></c></row>',
        '<row r="2"><c r="A2"><t>2</t></c></row>',
        '<row r="2"><c r="A2" t="s"><v>999</v></c></row>',
        '<row r="2"><c r="A2" t="s"><v>-1</v></c></row>',
        '<row r="2"><c r="A2" t="s"><v>x</v></c></row>',
    ):
        assert problem(parts(sheet1=sheet_xml(HEADER_XML + cells))) == "WorkbookBroken", cells
    unnamed = "".join(f'<c t="str"><v>{name}</v></c>' for name in COLUMNS)
    assert told(parts(sheet1=sheet_xml(f"<row>{unnamed}</row>"))).head.missing == ()


def test_a_strict_workbook_with_prefixes_is_read() -> None:
    strict = {
        "workbook": entry("xl/workbook.xml").replace("schemas.openxmlformats.org", "purl.oclc.org"),
        "workbook.xml": entry("xl/_rels/workbook.xml.rels").replace(
            "http://schemas.openxmlformats.org/officeDocument/2006", "http://purl.oclc.org/ooxml/officeDocument"
        ),
        "sheet1": entry("xl/worksheets/sheet1.xml").replace("<", "<x:").replace("<x:/", "</x:")
        .replace("<x:?", "<?").replace("xmlns=", "xmlns:x="),
    }  # fmt: skip
    assert [row for row, _ in told(parts(**strict)).rows] == [2]


def test_hidden_rows_columns_and_sheets_are_said_and_macros_too() -> None:
    buffer = io.BytesIO()
    header, line = results()
    with xlsxwriter.Workbook(buffer, {"default_date_format": "yyyy-mm-dd"}) as made:
        page = made.add_worksheet("考核结果")
        for number, cells in enumerate([[*header, "其他"], line, line, [], line]):
            page.write_row(number, 0, cells)
        for number in (1, 2, 3, 4):
            page.set_row(number, None, None, {"hidden": True})
        page.set_column(6, 6, None, None, {"hidden": True})
        page.set_column(14, 20, None, None, {"hidden": True})
        made.add_worksheet("旧表").hide()
        made.add_worksheet("填写说明").hide()
    data = buffer.getvalue()
    read = told(data)
    assert (read.tail.rows_hidden, read.tail.columns_hidden) == ((2, 3, 5), ("手机号码",))
    said = {one.code: one.zh for one in read.judged().warnings}
    assert said.keys() == {"SheetHidden", "RowsHidden", "ColumnsHidden", "ColumnUnknown"}
    assert "：旧表。" in said["SheetHidden"]
    assert "：2–3、5。" in said["RowsHidden"]
    assert "：手机号码。" in said["ColumnsHidden"]
    macros = io.BytesIO(data)
    with zipfile.ZipFile(macros, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"Sub Auto_Open")
    assert "WorkbookMacros" in warned(macros.getvalue())


def test_merged_cells_are_errors_of_the_rows_that_they_cover() -> None:
    buffer = io.BytesIO()
    header, line = results()
    with xlsxwriter.Workbook(buffer, {"default_date_format": "yyyy-mm-dd"}) as made:
        page = made.add_worksheet("考核结果")
        page.merge_range(0, 0, 0, 13, "2026 年 5 月成绩")
        for number, cells in enumerate([header, line, line, line, line, [*line, "x"]], 1):
            page.write_row(number, 0, cells)
        page.merge_range(3, 12, 4, 12, "合格")
        page.merge_range(6, 14, 6, 15, "旁注")
    assert told(buffer.getvalue()).tail.merged == ((4, "考核结果"), (5, "考核结果"))
    assert [one for one in wrong(buffer.getvalue()) if one[0] == "CellMerged"] == [
        ("CellMerged", 4, "考核结果"), ("CellMerged", 5, "考核结果")
    ]  # fmt: skip


def test_merged_cells_of_a_header_are_named_where_columns_are_missing() -> None:
    header = row_xml(2, [*COLUMNS[:9], "成绩", None, None, *COLUMNS[12:]])
    merged = '<mergeCells><mergeCell ref="A1:N1"/><mergeCell ref="J2:L2"/></mergeCells>'
    data = parts(sheet1=sheet_xml(row_xml(1, ["题目"]) + header + row_xml(3, TEXTS), merged))
    missing, header_merged = told(data).judged().errors
    assert (missing.code, header_merged.code) == ("ColumnMissing", "HeaderMerged")
    assert "J2:L2" in header_merged.zh
    assert "A1" not in header_merged.zh


def test_a_million_empty_rows_and_a_far_empty_cell_change_nothing() -> None:
    empty = "".join(f'<row r="{number}" s="1" customFormat="1"/>' for number in range(3, 20_003))
    far = '<row r="1048576"><c r="XFD1048576" s="1"/></row>'
    data = parts(sheet1=sheet_xml(HEADER_XML + row_xml(2, TEXTS) + empty + far,
                                  before='<dimension ref="A1:XFD1048576"/>'))  # fmt: skip
    assert [row for row, _ in told(data).rows] == [2]
    assert wrong(data) == []


def test_the_whole_sheet_is_told_as_it_stands() -> None:
    header, line = results([*COLUMNS, "开考时间", "错误说明", "行标识"])
    moment = datetime.datetime.fromisoformat("2026-05-23 09:30")
    line[13:17] = [" 备注 ", moment, "旧的", "m" * 16]
    data = book([["题目"], header, line, []], top=1)
    head, (above, (header_row, names), (number, cells)), _ = whole(data)
    assert (above, header_row, head.header_row) == ((2, ("题目",)), 3, 3)
    assert head.header == names == tuple(header)
    assert cells[5] == Day(datetime.date(1949, 12, 31))
    assert (number, cells[13:]) == (4, (" 备注 ", "2026-05-23 09:30:00", "旧的", "m" * 16))
    (_, judged) = told(data).rows[0]
    assert (judged[13:], told(data).head.unknown) == (("备注", "m" * 16), ("开考时间",))


def whole(data: bytes) -> tuple[layouts.Head, list[layouts.Row], layouts.Tail]:
    head, *lines, tail = reading.read_whole(data)
    assert isinstance(head, layouts.Head)
    assert isinstance(tail, layouts.Tail)
    return head, [row for part in lines if isinstance(part, Lines) for row in part.rows], tail


TYPED = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**14), 10**14), st.floats(-1e9, 1e9),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
    st.dates(datetime.date(1901, 1, 1)),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(TYPED, max_size=6), max_size=6))
def test_another_reader_reads_the_same(table: list[list[object]]) -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"default_date_format": "yyyy-mm-dd"}) as made:
        page = made.add_worksheet()
        for row, cells in enumerate(table):
            for column, cell in enumerate(cells):
                write = page.write_string if isinstance(cell, str) else page.write
                write(row, column, cell)
    book = spreadsheets.Workbook(buffer.getvalue())
    ours = dict(pages.Page(book, book.sheets[0].part).rows())
    theirs = python_calamine.load_workbook(io.BytesIO(buffer.getvalue())).get_sheet_by_index(0)
    for number, line in enumerate(theirs.to_python(skip_empty_area=False), 1):
        read = [
            one.day if isinstance(one, Day) else "" if one is None else one
            for one in ours.pop(number, [])
        ]
        said = [one.strip()[:300] if isinstance(one, str) else one for one in line]
        assert read == said[: len(read)]
        assert set(said[len(read) :]) <= {""}
    assert ours == {}
