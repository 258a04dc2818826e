"""The annotated copy: what comes back can be mended and uploaded again, and holds values only."""

import csv
import datetime
import errno
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
import xlsxwriter
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typing_extensions import Buffer

from service.ground.errors import Finding, RowsRefused
from service.issuing.batches import rows
from service.issuing.sheets import annotated, layouts, reading
from service.issuing.sheets.layouts import (
    COLUMNS,
    ERRORS,
    MARK,
    RESULTS,
    Cell,
    Day,
    Form,
    Head,
    Lines,
    Problem,
    Unread,
)
from service.registry.people import Unfit
from tests import invented

TODAY = datetime.date(2026, 6, 1)
DRAWABLE = frozenset([*range(0x20, 0xA000), 0x20087, 0x2CB4E])
XLSX = Form(kind="xlsx")
FORMS = [
    XLSX,
    *(
        Form(kind="csv", encoding=encoding, delimiter=delimiter, line_end=line_end)
        for encoding in ("utf-8", "utf-8-sig", "gb18030", "utf-16")
        for delimiter, line_end in ((",", "\r\n"), ("\t", "\n"), (";", "\r"))
    ),
]
Table = dict[int, list[Cell]]


def copy(
    table: Table,
    findings: Sequence[Finding] = (),
    marks: Mapping[int, str] | None = None,
    form: Form = XLSX,
    header_row: int = 1,
) -> bytes:
    """Write the copy of a sheet whose rows have these numbers."""
    target = io.BytesIO()
    with annotated.Copy(target, RESULTS, findings, marks or {}) as made:
        header = tuple(map(reading.heading, table[header_row]))
        made.take(Head(form=form, header_row=header_row, header=header))
        for number, cells in table.items():
            made.take(Lines(((number, tuple(cells)),)))
        made.take(layouts.Tail())
    return target.getvalue()


def copied(data: bytes, findings: Sequence[Finding], marks: Mapping[int, str]) -> bytes:
    """Write the copy of an uploaded file."""
    target = io.BytesIO()
    with annotated.Copy(target, RESULTS, findings, marks) as made:
        for part in reading.read_whole(data):
            made.take(part)
    return target.getvalue()


def whole(data: bytes) -> Table:
    """Read every row of a file as it stands, without empty cells at its end."""
    found: Table = {}
    for part in reading.read_whole(data):
        assert not isinstance(part, Problem), part
        if isinstance(part, Lines):
            for number, cells in part.rows:
                last = max((n for n, cell in enumerate(cells) if cell is not None), default=-1)
                found[number] = list(cells[: last + 1])
    return found


EMPTY = str(Unfit("CellEmpty"))


def wrong(row: int | None, column: str | None = None, **more: tuple[int, ...]) -> Finding:
    said = Unfit("CellEmpty").finding(row, column)
    return msgspec.structs.replace(said, **more)


def upload(form: Form, lines: Sequence[invented.Candidate], path: Path) -> bytes:
    if form.kind == "xlsx":
        invented.write_workbook(path, lines)
        return path.read_bytes()
    out = io.StringIO(newline="")
    written = csv.writer(out, delimiter=form.delimiter, lineterminator=form.line_end)
    written.writerows([COLUMNS, *map(msgspec.structs.astuple, lines)])
    return out.getvalue().encode(form.encoding)


def parts(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def results(**changed: Cell) -> list[Cell]:
    line: dict[str, Cell] = dict(zip(COLUMNS, _LINE, strict=True))
    return [*(line | changed).values()]


def sheet(*lines: list[Cell]) -> Table:
    """A header and lines below it, from row 2 on."""
    return {1: [*COLUMNS], **dict(enumerate(lines, 2))}


_LINE: Sequence[Cell] = (
    "0026050001", "张三", "女", "居民身份证", "11010519491231002X",
    Day(datetime.date(1949, 12, 31)), 13800000000, "大数据采集", Day(datetime.date(2026, 5, 23)),
    80, 86.5, 84.30000000000001, "合格", None,
)  # fmt: skip


# Round trips.


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: text == text.strip()
)
NUMBERS = st.integers(-(10**15), 10**15) | st.floats(-1e9, 1e9).map(
    lambda number: float(f"{number:.15g}")
).filter(lambda number: not number.is_integer())
DAYS = st.dates(datetime.date(1900, 3, 1)).map(Day)


def tables(cells: st.SearchStrategy[Cell]) -> st.SearchStrategy[Table]:
    """A header in row 3, and rows of some numbers below it, of which none is empty."""
    row = st.lists(st.none() | cells, max_size=17).flatmap(
        lambda before: cells.map(lambda last: [*before, last])
    )
    return st.dictionaries(st.integers(4, 12), row, max_size=4).map(
        lambda table: {3: [*COLUMNS], **{number: table[number] for number in sorted(table)}}
    )


def without_ours(table: Table, width: int = len(COLUMNS)) -> Table:
    """Take the two columns out that stand right of the last named one."""
    return {
        number: trimmed([*cells[:width], *cells[width + 2 :]]) if number >= 3 else cells
        for number, cells in table.items()
    }


def trimmed(cells: list[Cell]) -> list[Cell]:
    while cells and cells[-1] is None:
        cells.pop()
    return cells


FREAKS: list[Cell] = [
    "<r><t>x</t></r>",
    "<r>",
    "_x0041_",
    "=1+1",
    '="0"',
    "007",
    "@x",
    "a\r\nb\tc",
    "'x",
]


@settings(max_examples=120, deadline=None)
@given(tables(TEXTS | NUMBERS | DAYS | st.booleans()))
@example({1: ["标题"], 3: [*COLUMNS], 4: FREAKS})
def test_every_cell_of_a_workbook_comes_back_as_it_was(table: Table) -> None:
    assert without_ours(whole(copy(table, header_row=3))) == table


def as_formula(cell: Cell) -> Cell:
    """What a reader makes of a CSV's cell that a spreadsheet would calculate."""
    is_formula = isinstance(cell, str) and re.match(r'=(?!".*"\Z)', cell, re.DOTALL)
    return Unread("CellFormula", str(cell)) if is_formula else cell


@settings(max_examples=120, deadline=None)
@given(tables(TEXTS.filter(lambda text: "\ufffd" not in text)), st.sampled_from(FORMS[1:]))
@example({1: ["标题"], 3: [*COLUMNS], 4: FREAKS}, FORMS[1])
def test_every_cell_of_a_csv_comes_back_as_it_was(table: Table, form: Form) -> None:
    data = copy(table, header_row=3, form=form)
    head = next(iter(reading.read_whole(data)))
    assert isinstance(head, Head)
    assert (head.form, head.header_row) == (form, 3)
    assert without_ours(whole(data)) == {
        number: [*map(as_formula, cells)] for number, cells in table.items()
    }
    assert whole(copied(data, [], {})) == whole(data)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_mended_copy_is_uploaded_without_an_error(form: Form, tmp_path: Path) -> None:
    good = invented.candidates(12, project="大数据采集", exam_on=TODAY)
    kept, errors, _ = rows.judge(reading.read(upload(form, good, tmp_path / "x")), DRAWABLE, TODAY)
    assert errors == ()
    bad = upload(form, invented.spoilt(good), tmp_path / "x")
    _, errors, _ = rows.judge(reading.read(bad), DRAWABLE, TODAY)
    assert {error.row for error in errors} == {3, 4, 6, 8, 9, 10}
    marks = {row: f"{row:016}" for row in range(2, 14)}
    given_back = copied(bad, errors, marks)
    _, again, warnings = rows.judge(reading.read(given_back), DRAWABLE, TODAY)
    assert (again, warnings) == (errors, ())

    mended, errors, warnings = rows.judge(
        reading.read(invented.mend(given_back, good)), DRAWABLE, TODAY
    )
    assert (errors, warnings) == ((), ())
    assert [msgspec.structs.replace(row, mark=None) for row in mended] == [*kept]
    assert [row.mark for row in mended] == [*marks.values()]


@pytest.mark.parametrize("form", FORMS[:4], ids=str)
def test_a_copy_of_a_copy_grows_no_columns_and_forgets_what_is_mended(form: Form) -> None:
    table: Table = {1: [*COLUMNS, "班级"], 2: ["1", "张三"], 4: ["2", "李四"]}
    first = copy(table, [wrong(2, "性别"), wrong(4), wrong(None)], {2: "a", 4: "b"}, form)
    said = whole(first)
    assert [row[15:] for row in said.values()][1:] == [
        [f"【性别】{EMPTY}", "a"],
        [EMPTY, "b"],
        [EMPTY],
    ]
    second = whole(copied(first, [wrong(4, "姓名")], {4: "c"}))
    assert [row[15:] for row in second.values()][1:] == [[None, "a"], [f"【姓名】{EMPTY}", "c"]]
    assert [len(table[1]) for table in (said, second)] == [17, 17]
    assert str(second[1][15]).startswith("错误说明（1 处，在 1 行：")


# What a row says of itself.


def test_our_columns_stand_where_an_earlier_copy_has_them() -> None:
    table: Table = {
        1: [MARK, *COLUMNS, f"{ERRORS}（旧）", "班级"],
        2: ["old", *results(), "旧", "一班"],
    }
    again = whole(copy(table, [wrong(2, "姓名")]))
    assert (again[1][0], again[1][16]) == ("行标识（请勿改动 keep）", "班级")
    assert str(again[1][15]).startswith("错误说明（1 处，在 1 行：")
    assert (again[2][0], again[2][15:]) == ("old", [f"【姓名】{EMPTY}", "一班"])


def test_what_concerns_many_rows_is_said_in_each() -> None:
    found = [wrong(None, rows=(2, 4)), wrong(4, "姓名")]
    again = whole(copy(sheet(*[results()] * 4), found))
    assert [again[number][14:] for number in range(2, 6)] == [
        [EMPTY],
        [],
        [f"{EMPTY}\n【姓名】{EMPTY}"],
        [],
    ]


def test_more_errors_than_are_listed_are_counted_below_the_last_row() -> None:
    lines = sheet(*[results(性别="?")] * 3)
    more = Unfit("ErrorsUnlisted", count=12_000, listed=2).finding()
    made = copy(lines, [wrong(2, "性别"), wrong(3, "性别"), more])
    assert whole(made)[5] == [None] * 14 + [f"{more.zh} {more.en}"]
    _, errors, _ = rows.judge(reading.read(made), DRAWABLE, TODAY)
    assert max(error.row or 0 for error in errors) == 4


# What it looks like.


def test_wrong_cells_are_coloured_and_say_why_and_others_keep_their_kind() -> None:
    table: Table = {
        1: ["标题"],
        3: [*COLUMNS],
        5: results(姓名=None, 总成绩=True),
        6: results(备注="001", 性别=Unread("CellFormula", "女")),
    }
    found = [wrong(5, "姓名"), wrong(5, "出生日期"), wrong(5, "总成绩"), wrong(5, "总成绩")]
    made = parts(copy(table, found, header_row=3))
    page, comments = made["xl/worksheets/sheet1.xml"], made["xl/comments1.xml"]
    cells = {
        cell: (style, kind)
        for cell, style, kind in re.findall(r'<c r="(\w+)" s="(\d+)"(?: t="(\w+)")?', page)
    }
    assert [cells[cell][1] for cell in ("A6", "B5", "C6", "E6", "F6", "G6", "L5", "N6")] == [
        "inlineStr", "", "", "inlineStr", "", "", "b", "inlineStr",
    ]  # fmt: skip
    colours = [_colour(made["xl/styles.xml"], cells[cell][0]) for cell in ("A6", "B5", "F5", "C6")]
    assert colours == ["", "FFFFC7CE", "FFFFC7CE", "FFFFEB9C"]
    assert cells["B5"][0] == cells["L5"][0] != cells["F5"][0]
    assert re.findall(r'<comment ref="(\w+)"', comments) == ["B5", "F5", "L5"]
    assert comments.count("此格为空") == 4
    assert '<autoFilter ref="A3:P6"/>' in page
    assert 'xSplit="2" ySplit="3" topLeftCell="C4" activePane="bottomRight" state="frozen"' in page
    assert 'activeCell="B5"' in page


def _colour(styles: str, number: str) -> str:
    """Find the colour that a style of cells fills them with."""
    formats = re.findall(r'<xf numFmtId="\d+" fontId="\d+" fillId="(\d+)"', styles)[1:]
    fill = re.findall(r"<fill>(.*?)</fill>", styles)[int(formats[int(number)])]
    return "".join(re.findall(r'<fgColor rgb="(\w+)"', fill))


def test_only_so_many_cells_have_comments_but_all_are_coloured() -> None:
    found = [wrong(number, "姓名") for number in range(2, 1202)]
    made = parts(copy(sheet(*[results()] * 1200), found))
    assert made["xl/comments1.xml"].count("<comment ") == 1000
    styles = re.findall(r'<c r="B\d+" s="(\d+)"', made["xl/worksheets/sheet1.xml"])
    assert len({*styles[1:]}) == 1


def test_nothing_of_a_strangers_workbook_survives_but_values() -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        book.set_custom_property("origin", "stranger")
        book.define_name("Evil", "=Sheet2!$A$1")
        page = book.add_worksheet("考核结果")
        page.write_row(0, 0, [*COLUMNS, "链接", "合计"])
        page.write_row(1, 0, ["007", '=HYPERLINK("http://evil")', *results()[2:5]])
        page.write_url(1, 14, "http://evil", string="点这里")
        page.write_formula(1, 15, '=WEBSERVICE("http://evil")', value="5")
        page.insert_textbox(3, 3, "stranger")
        page.write_comment(1, 0, "stranger")
        page.data_validation("A1:A9", {"validate": "list", "source": ["stranger"]})
        book.add_worksheet("填写说明").write(0, 0, "stranger")
    stranger = buffer.getvalue()
    _, errors, _ = rows.judge(reading.read(stranger), DRAWABLE, TODAY)
    assert ("CellFormula", "姓名") in [(error.code, error.column) for error in errors]
    back = copied(stranger, errors, {})
    text = "".join(parts(back).values())
    assert [word for word in ("evil", "stranger", "<f>", "HYPERLINK") if word in text] == []
    assert sorted(parts(back)) == sorted(parts(copied(back, errors, {})))
    again = whole(back)
    assert (again[2][0], again[2][1], again[2][14]) == ("007", None, "点这里")


@pytest.mark.parametrize("form", FORMS[:4], ids=str)
def test_equal_arguments_give_equal_bytes(form: Form) -> None:
    table = sheet(results() if form is XLSX else ["1", "张三"])
    made = [copy(table, [wrong(2, "姓名")], {2: "a" * 16}, form) for _ in range(2)]
    assert made[0] == made[1]


def test_a_csv_keeps_what_it_was_and_ours_is_inert() -> None:
    form = Form(kind="csv", encoding="utf-8-sig", delimiter=";", line_end="\r\n")
    table: Table = {1: [*COLUMNS], 3: ["=1+1", '张"三', "a;b", "x\ny", "00"]}
    text = copy(table, [wrong(3, "姓名")], {3: "m"}, form).decode("utf-8")
    header, blank, line, end = text.split("\r\n")
    assert header.startswith("\ufeff准考证号;姓名;")
    assert (blank, end) == ("", "")
    assert line.startswith('=1+1;"张""三";"a;b";"x\ny";00;;;;;;;;;;')
    assert line.endswith(f';"【姓名】{EMPTY}";m')


def test_a_csv_that_names_its_delimiter_goes_on_naming_it() -> None:
    form = Form(
        kind="csv", encoding="gb18030", delimiter="|", line_end="\n", is_delimiter_named=True
    )
    made = copy(sheet(["1", "a|b"]), [wrong(2, "姓名")], {}, form)
    assert made.startswith(b"sep=|\n")
    head, *_ = reading.read_whole(made)
    assert isinstance(head, Head)
    assert head.form == form
    assert whole(made)[2][:2] == ["1", "a|b"]


def test_what_could_not_be_decoded_stays_wrong_until_it_is_typed_again() -> None:
    line = (
        ",".join(["1", "张三", "女", "护照", "E12345678", *[""] * 9])
        .encode("gb18030")
        .replace("三".encode("gbk"), b"\xff")
    )
    data = ",".join(COLUMNS).encode("gb18030") + b"\n" + line
    for _ in range(2):
        _, errors, _ = rows.judge(reading.read(data), DRAWABLE, TODAY)
        assert ("BytesUndecodable", "姓名") in {(error.code, error.column) for error in errors}
        data = copied(data, errors, {})
        assert "张\ufffd".encode("gb18030") in data


def test_a_workbook_that_counts_days_from_1904_goes_on_doing_so() -> None:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"date_1904": True}) as book:
        page, style = book.add_worksheet("考核结果"), book.add_format({"num_format": "yyyy-mm-dd"})
        page.write_row(0, 0, COLUMNS)
        page.write_datetime(1, 5, datetime.date(1990, 1, 18), style)
        page.write_datetime(1, 8, datetime.date(2026, 5, 23))
        page.write_string(2, 1, "张三")
    made = copied(buffer.getvalue(), [wrong(3, "姓名")], {})
    head, *_ = reading.read_whole(made)
    assert isinstance(head, Head)
    assert head.from_1904
    assert whole(made)[2] == whole(buffer.getvalue())[2]
    assert (whole(made)[2][5], whole(made)[2][8]) == (Day(datetime.date(1990, 1, 18)), 44_703)


def test_a_row_that_was_emptied_but_for_its_mark_is_no_row() -> None:
    good = rows.judge(reading.read(copy(sheet(results()))), DRAWABLE, TODAY)
    emptied = copy(sheet(results(), [None] * 14), [], {2: "a" * 16, 3: "b" * 16})
    judged, errors, _ = rows.judge(reading.read(emptied), DRAWABLE, TODAY)
    assert (len(judged), errors) == (1, ())
    assert good[0] == tuple(msgspec.structs.replace(row, mark=None) for row in judged)


def test_a_sheet_without_room_for_our_columns_gives_no_copy() -> None:
    for width, named in ((50, 14), (50, 50)):
        header: list[Cell] = [*COLUMNS, *(f"列{n}" for n in range(named - 14))]
        made = copy({1: header, 2: [*results(), *[None] * (width - 15), "末"]}, [wrong(2, "姓名")])
        assert whole(copied(made, [wrong(2, "姓名")], {}))[2][-1] is not None
        for form in FORMS[:2]:
            with pytest.raises(RowsRefused) as refused:
                copy({1: header, 2: [*results(), *[None] * (width - 14), "末"]}, (), form=form)
            assert "AY2" in refused.value.findings[0].zh


def test_a_file_without_its_columns_gives_no_copy() -> None:
    data = copy({1: [*COLUMNS[1:]], 2: ["张三"]})
    _, errors, _ = rows.judge(reading.read(data), DRAWABLE, TODAY)
    with pytest.raises(RowsRefused) as refused:
        copied(data, errors, {})
    assert [found.code for found in refused.value.findings] == ["ColumnMissing"]


def test_a_file_that_ends_in_a_problem_gives_no_copy_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = Unfit("WorkbookBroken").finding()
    heads: list[list[Head]] = [[Head(form=XLSX)], [Head(form=FORMS[1])], []]
    for head in heads:
        with annotated.Copy(io.BytesIO(), RESULTS, [], {}) as made:
            for part in head:
                made.take(part)
            with pytest.raises(RowsRefused):
                made.take(Problem(found))
    assert [*tmp_path.iterdir()] == []


class _FullOnce(io.BytesIO):
    """A disk that is full, and has room again once somebody has noticed."""

    is_full = True

    def write(self, data: Buffer) -> int:
        if self.is_full:
            self.is_full = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_a_copy_that_finds_no_room_says_so_as_the_disk_does_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = annotated.Copy(_FullOnce(), RESULTS, [], {})
    made.take(Head(form=XLSX, header=COLUMNS))
    with pytest.raises(OSError, match="No space left"), made:
        made.take(Lines(((1, COLUMNS),)))
    assert [*tmp_path.iterdir()] == []


def test_a_copy_is_named_after_its_upload_and_overwrites_nothing(tmp_path: Path) -> None:
    names = []
    for source in ("五月 v2.xlsx", "五月 v2-标注.xlsx", "五月 v2-标注2.xlsx", "其他.csv"):
        path = annotated.beside(tmp_path / source)
        path.touch()
        names.append(path.name)
    assert names == [
        "五月 v2-标注.xlsx",
        "五月 v2-标注2.xlsx",
        "五月 v2-标注3.xlsx",
        "其他-标注.csv",
    ]
