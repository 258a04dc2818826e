"""Workbooks as they come: ours, re-ordered, broken and hostile. All bytes are made on the spot."""

import datetime
import io
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from service.issuing.adoption import sheet
from service.issuing.batches import rows
from service.issuing.sheets import layouts, reading, template
from service.issuing.sheets.layouts import COLUMNS, Day, Layout
from service.registry.people import IdKind

CHECKOUT = Path(__file__).parent.parent
GUIDES = CHECKOUT / "templates" / "sheets"
GUIDE = GUIDES / "guide.toml"
DRAWABLE = frozenset(range(0x20, 0xA000))
TODAY = datetime.date(2026, 6, 1)
RESULT: dict[str, object] = {
    "准考证号": "2026050001",
    "姓名": "张三",
    "性别": "女",
    "证件类型": "居民身份证",
    "证件号码": "11010519491231002X",
    "出生日期": datetime.date(1949, 12, 31),
    "手机号码": 13800000000,
    "专项职业能力名称": "大数据采集",
    "考核日期": datetime.date(2026, 5, 23),
    "理论成绩": 80,
    "实操成绩": 86.5,
    "总成绩": 84,
    "考核结果": "合格",
}


Table = Iterable[Sequence[object]]


def book(
    table: Table, sheet: str = "考核结果", top: int = 0, others: Sequence[tuple[str, Table]] = ()
) -> bytes:
    """Write a table into the named sheet, dates as date cells, and other sheets behind it."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"default_date_format": "yyyy-mm-dd"}) as made:
        for name, lines in ((sheet, table), *others):
            page = made.add_worksheet(name)
            for number, line in enumerate(lines, top):
                page.write_row(number, 0, line)
    return buffer.getvalue()


def results(columns: Sequence[str] = COLUMNS) -> list[list[object]]:
    return [list(columns), [RESULT.get(column) for column in columns]]


def parts(**changed: bytes | str) -> bytes:
    """Take a good workbook apart and put it together with one part replaced."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book(results()))) as good,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in good.namelist():
            stem = Path(name).stem
            made.writestr(name, changed.get(stem, good.read(name)))
    return buffer.getvalue()


def sheet_xml(cells: str) -> str:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{space}"><sheetData>{cells}</sheetData></worksheet>'


def problem(data: bytes) -> str | None:
    found = reading.read(data).problem
    return found.code if found else None


def test_a_workbook_is_read_with_row_numbers_and_types_through_json() -> None:
    read = reading.read(book([*results(), [], [None, "李四"]]))
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(read)), layouts.Sheet) == read
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
    read = reading.read(book([renamed, line]))
    assert (read.missing, read.unknown, len(read.rows)) == ((), (), 1)


@pytest.mark.parametrize("typed", ["考生（姓名）", "（姓名）", "姓名（一）二", "名"])
def test_a_remark_alone_is_no_column(typed: str) -> None:
    header, line = results()
    renamed = [typed if name == "姓名" else name for name in header]
    assert reading.read(book([renamed, line])).missing == ("姓名",)


def test_a_sheet_without_header_is_one_problem_that_shows_no_cell() -> None:
    _, line = results()
    read = reading.read(book([line, line]))
    judged, errors, warnings = rows.judge(read, DRAWABLE, TODAY)
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
    read = reading.read(data, SHORT)
    assert read.rows == ((2, ("S000051", None, None, 7)), (4, ("S2", None, None, None)))
    assert (read.missing, read.unknown, read.sheets_ignored) == ((), ("其他",), ("考核结果",))
    assert reading.read(book(table, "x"), SHORT).rows == read.rows
    lacking = reading.read(book([("证书编号", "姓名", "状态")]), SHORT)
    assert (lacking.missing, lacking.rows) == (("发证日期",), ())
    twice = reading.read(book([("证书编号", "姓名", "姓名", "发证日期")]), SHORT)
    assert twice.repeated == ("姓名",)


def test_two_sheets_that_may_both_be_results_are_refused_by_name() -> None:
    read = reading.read(book(results(), "一班", others=[("=二班", results()), ("空", [[" "]])]))
    _, (error,), _ = rows.judge(read, DRAWABLE, TODAY)
    assert error.code == "SheetAmbiguous"
    assert "一班、'=二班，" in error.zh
    assert "空" not in error.zh
    alone = reading.read(book([], "Sheet1", others=[("二班", results()), ("填写说明", [["x"]])]))
    assert rows.judge(alone, DRAWABLE, TODAY)[1:] == ((), ())


def test_sheets_beside_the_named_one_are_ignored_with_a_warning() -> None:
    others: list[tuple[str, Table]] = [("考核结果", results()), ("空", []), ("项目清单", [["x"]])]
    read = reading.read(book(results(), "一班", others=others))
    judged, errors, (warning,) = rows.judge(read, DRAWABLE, TODAY)
    assert (len(judged), errors, warning.code) == (1, (), "SheetIgnored")
    assert "：一班。" in warning.zh


def test_another_sheet_name_is_accepted_but_not_the_guide() -> None:
    assert len(reading.read(book(results(), sheet="Sheet1")).rows) == 1
    assert problem(book(results(), sheet="填写说明")) == "SheetMissing"


def test_formulas_give_their_last_value_and_error_cells_are_empty() -> None:
    names = "".join(
        f'<c r="{place}1" t="str"><f>T(1)</f><v>{name}</v></c>'
        for place, name in zip("ABC", COLUMNS, strict=False)
    )
    cells = f'<row r="1">{names}<c r="D1" t="e"><v>#REF!</v></c></row>'
    assert reading.read(parts(sheet1=sheet_xml(cells))).missing == COLUMNS[3:]
    read = reading.read(book([list(COLUMNS), ['=HYPERLINK("http://evil")', *["x"] * 13]]))
    assert read.rows[0][1][0] == 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "WorkbookNotXlsx"),
        (b"\xe5\xa7\x93\xe5\x90\x8d,1\n", "WorkbookNotXlsx"),
        (b"%PDF-1.7", "WorkbookNotXlsx"),
        (b"PK\x03\x04" + b"\0" * 100, "WorkbookBroken"),
        (book(results())[:-200], "WorkbookBroken"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 4096, "WorkbookLegacy"),
        (
            bytes.fromhex("d0cf11e0a1b11ae1") + "EncryptedPackage".encode("utf-16-le"),
            "WorkbookEncrypted",
        ),
        (book([]), "SheetEmpty"),
        (book([["", None, "  "]]), "SheetEmpty"),
        (parts(sheet1="<worksheet><sheetData><row"), "WorkbookBroken"),
        (parts(sheet1="<" * 10_000), "WorkbookBroken"),
        (parts(workbook="<workbook/>"), "SheetMissing"),
        (parts(workbook="not xml at all &&&"), "WorkbookBroken"),
    ],
)
def test_what_cannot_be_read_is_one_clear_problem(data: bytes, code: str) -> None:
    read = reading.read(data)
    assert read.rows == ()
    assert problem(data) == code
    assert rows.judge(read, DRAWABLE, TODAY)[:2] == ((), (read.problem,))


def test_another_office_document_is_no_workbook() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("word/document.xml", "<w:document/>")
    assert problem(buffer.getvalue()) == "WorkbookNotXlsx"


def test_a_header_without_rows_is_an_error() -> None:
    _, errors, _ = rows.judge(reading.read(book([COLUMNS])), DRAWABLE, TODAY)
    assert [error.code for error in errors] == ["RowsMissing"]


@pytest.mark.parametrize(
    "cell",
    [
        '<c r="XFD1048576" t="str"><v>x</v></c>',
        "<c t='str' r='A1048576'><v>x</v></c>",
        '<x:c s="1" r="BA1"><x:v>1</x:v></x:c>',
        '<c r="A110000"><v>1</v></c>',
    ],
)
def test_a_filled_cell_far_away_is_refused_before_the_parser_sees_it(cell: str) -> None:
    far = f'<row r="1"><c r="A1"><v>1</v></c></row><row r="2">{cell}</row>'
    assert problem(parts(sheet1=sheet_xml(far))) == "WorkbookTooLarge"
    pushed = " " * (reading._CHUNK_BYTES - 100) + far
    assert problem(parts(sheet1=sheet_xml(pushed))) == "WorkbookTooLarge"


def test_a_far_cell_that_is_only_formatted_does_no_harm() -> None:
    data = book(results())
    with zipfile.ZipFile(io.BytesIO(data)) as good:
        xml = good.read("xl/worksheets/sheet1.xml").decode()
    styled = xml.replace("</row>", '<c r="XFD1" s="1"/></row>', 1)
    assert styled != xml
    assert len(reading.read(parts(sheet1=styled)).rows) == 1


@pytest.mark.parametrize("cell", ["<c><v>1</v></c>", '<c t="str"><v>x</v></c>'])
def test_twenty_thousand_columns_are_refused(cell: str) -> None:
    assert problem(parts(sheet1=sheet_xml(f"<row>{cell * 20_000}</row>"))) == "WorkbookTooLarge"


def test_a_bomb_is_refused_by_its_size() -> None:
    bomb = parts(sharedStrings=b" " * (reading._UNPACKED_BYTES_MAX + 1))
    assert len(bomb) < 2**20
    assert problem(bomb) == "WorkbookTooLarge"


def test_a_bomb_that_lies_about_its_size_is_broken() -> None:
    bomb = parts(sharedStrings=b" " * 50_000_000)
    lying = bomb.replace((50_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert lying != bomb
    assert problem(lying) == "WorkbookBroken"


def test_too_many_parts_are_refused() -> None:
    buffer = io.BytesIO(book(results()))
    with zipfile.ZipFile(buffer, "a") as made:
        for number in range(reading._ENTRIES_MAX):
            made.writestr(f"xl/media/{number}", b"")
    assert problem(buffer.getvalue()) == "WorkbookTooLarge"


def test_a_row_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    header, line = results()
    monkeypatch.setattr(layouts, "ROWS_MAX", 3)
    assert len(reading.read(book([header, *[line] * 3])).rows) == 3
    assert problem(book([header, *[line] * 4])) == "WorkbookTooLarge"


def test_a_huge_text_is_cut_and_still_found_too_long() -> None:
    header, line = results()
    line[-1] = "长" * 32_000
    read = reading.read(book([header, line]))
    assert len(str(read.rows[0][1][-1])) == 300
    _, errors, _ = rows.judge(read, DRAWABLE, TODAY)
    assert [(error.code, error.column) for error in errors] == [("TextTooLong", "备注")]


GOOD = book(results())  # made once: a workbook holds the second of its making


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_damaged_workbook_never_raises(data: st.DataObject) -> None:
    good = bytearray(GOOD)
    for place in data.draw(st.lists(st.integers(0, len(good) - 1), min_size=1, max_size=5)):
        good[place] ^= data.draw(st.integers(1, 255))
    rows.judge(reading.read(bytes(good)), DRAWABLE, TODAY)


def test_reading_opens_no_file() -> None:
    program = textwrap.dedent("""
        import resource, sys
        from service.issuing.sheets import layouts, reading
        data = sys.stdin.buffer.read()
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        print(len(reading.read(data).rows))
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
    read = reading.read((tmp_path / "template.xlsx").read_bytes())
    assert (read.problem, read.missing, read.unknown) == (None, (), ())
    _, errors, _ = rows.judge(read, DRAWABLE, TODAY)
    assert [error.code for error in errors] == ["RowsMissing"]
    (_, example) = read.rows[0]
    renamed = msgspec.structs.replace(read, rows=((2, (example[0], "张三", *example[2:])),))
    _, errors, _ = rows.judge(renamed, DRAWABLE, TODAY)
    assert "AdmissionUnreadable" in {error.code for error in errors}


def test_the_adoption_template_is_ignored_until_it_is_filled_in() -> None:
    target = io.BytesIO()
    template.write(target, ["大数据采集"], GUIDES / "adoption.toml", sheet.LAYOUT)
    read = sheet.read_in_jail(target.getvalue())
    assert (read.problem, read.missing, read.unknown, len(read.rows)) == (None, (), (), 1)
    _, errors, _ = sheet.judge(read, TODAY)
    assert [error.code for error in errors] == ["RowsMissing"]
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
    read = reading.read(book([header, line]))
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(read)), layouts.Sheet) == read
    _, errors, _ = rows.judge(read, DRAWABLE, TODAY)
    assert [error.code for error in errors] == ["NumberRounded", "ScoreUnreadable"]
