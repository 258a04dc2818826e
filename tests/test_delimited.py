"""Tables as text, from whatever wrote them: encodings, delimiters, quotes, and what went wrong."""

import csv
import io
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.issuing.adoption import sheet
from service.issuing.sheets import layouts, reading
from service.issuing.sheets.layouts import COLUMNS, Form, Lines, Unread
from tests.workbooks import TEXTS, TODAY, book, problem, results, told, wrong

CHECKOUT = Path(__file__).parent.parent
LINE = [text or "" for text in TEXTS]
ENCODINGS = ["utf-8", "utf-8-sig", "gb18030", "utf-16"]


def table(*lines: Sequence[str], delimiter: str = ",", line_end: str = "\r\n") -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=line_end).writerows([COLUMNS, *lines])
    return out.getvalue()


def with_cells(encoding: str = "utf-8", /, **cells: str) -> bytes:
    """Write one good row with some cells changed."""
    line = [cells.get(column, text) for column, text in zip(COLUMNS, LINE, strict=True)]
    return table(line).encode(encoding)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encoding_delimiter_and_line_ends_are_found_and_said(
    encoding: str, delimiter: str, line_end: str
) -> None:
    text = table(LINE, delimiter=delimiter, line_end=line_end)
    for data in (text.encode(encoding), text.removesuffix(line_end).encode(encoding)):
        read = told(data)
        assert read.head.form == Form(
            kind="csv", encoding=encoding, delimiter=delimiter, line_end=line_end
        )
        (row,) = read.judged().rows
        assert (row.row_number, row.name, row.project) == (2, "张三", "大数据采集")


def test_big_endian_text_and_a_named_delimiter_are_read() -> None:
    assert told("\ufeff".encode("utf-16-be") + table(LINE).encode("utf-16-be")).judged().rows
    for mark in ("", "\ufeff"):
        data = f"{mark}sep=;\r\n{table(LINE, delimiter=';')}".encode()
        read = told(data)
        assert (read.head.form.delimiter, read.head.header_row, read.rows[0][0]) == (";", 1, 2)
        assert (read.problem, wrong(data)) == (None, [])


def test_a_table_and_a_workbook_of_the_same_cells_are_judged_alike() -> None:
    header, line = results()
    typed = ["" if cell is None else str(cell) for cell in line]
    (ours,) = told(table(typed).encode()).judged().rows
    (theirs,) = told(book([header, line])).judged().rows
    assert ours == theirs


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ('="0123"', "0123"),
        ("'0123", "0123"),
        ("'=1", "=1"),
        ('=""', None),
        (" x ", "x"),
        ("\u3000", None),
        ('a"b', 'a"b'),
        ("一,二\r\n三", "一,二\r\n三"),
        ("+8613800000000", "+8613800000000"),
        ("@SUM(1)", "@SUM(1)"),
        ("=1+1", Unread("CellFormula", "=1+1")),
        ('=cmd|"/C calc"!A0', Unread("CellFormula", '=cmd|"/C calc"!A0')),
        ('="1"&"2"x', Unread("CellFormula", '="1"&"2"x')),
    ],
)
def test_a_cell_is_text_unless_it_is_a_formula(typed: str, said: object) -> None:
    ((_, cells),) = told(with_cells(备注=typed)).rows
    assert cells[13] == said


def test_text_guards_that_stand_unquoted_as_spreadsheets_write_them_are_taken_off() -> None:
    text = table(LINE).replace(LINE[4], f'="{LINE[4]}"')
    assert '"="' not in text
    (row,) = told(text.encode()).judged().rows
    assert row.id_number == LINE[4]


def test_rows_are_numbered_as_a_spreadsheet_numbers_them() -> None:
    two_lines = [*LINE[:13], "一\n二"]
    text = table(two_lines, [], LINE, ["", ""], ["x"], [*LINE, "more", ""])
    assert [row for row, _ in told(text.encode()).rows] == [2, 4, 6, 7]
    assert told(("题目,,\n\n" + table(LINE)).encode()).head.header_row == 3


def test_mixed_line_ends_and_blanks_around_quotes_are_read() -> None:
    header, line = table(LINE).split("\r\n")[:2]
    text = "\r".join([header, line + "\n" + line.replace(",", ', "', 1).replace(",", '",', 2)])
    assert [row for row, _ in told(text.encode()).rows][:2] == [2, 3]


# What GB18030 says, and says otherwise.


def test_plain_gbk_is_gb18030_and_rare_characters_of_four_bytes_are_read() -> None:
    gbk = table([*LINE[:1], "镕堃", *LINE[2:]]).encode("gbk")
    assert told(gbk).head.form.encoding == "gb18030"
    assert told(gbk).judged().rows[0].name == "镕堃"
    ((_, cells),) = told(with_cells("gb18030", 姓名="王𠂇")).rows
    assert cells[1] == "王𠂇"


@pytest.mark.parametrize(
    ("code", "character"),
    [
        ("FE59", "\u9fb4"), ("FE61", "\u9fb5"), ("FE66", "\u9fb6"), ("FE67", "\u9fb7"),
        ("FE6D", "\u9fb8"), ("FE7E", "\u9fb9"), ("FE90", "\u9fba"), ("FEA0", "\u9fbb"),
        ("FE51", "\U00020087"), ("FE52", "\U00020089"), ("FE53", "\U000200cc"),
        ("FE6C", "\U000215d7"), ("FE76", "\U0002298f"), ("FE91", "\U000241fe"),
        ("A6D9", "\ufe10"), ("A6DA", "\ufe12"), ("A6DB", "\ufe11"), ("A6F3", "\ufe19"),
        ("A8BC", "\u1e3f"), ("82359037", "\u9fb4"), ("95329031", "\U00020087"),
        ("A2E3", "\u20ac"), ("D5C5", "张"),
    ],
)  # fmt: skip
def test_codes_that_the_standard_of_2022_moved_are_read_as_it_has_them(
    code: str, character: str
) -> None:
    data = with_cells("gb18030", 备注="##").replace(b"##", bytes.fromhex(code))
    ((_, cells),) = told(data).rows
    assert cells[13] == character


def test_a_character_of_private_use_is_refused_with_its_code_point() -> None:
    data = with_cells("gb18030", 姓名="张##").replace(b"##", b"\xaa\xa1")
    (found,) = told(data).judged().errors
    assert (found.code, found.row, "U+E000" in found.zh) == ("NamePrivateUse", 2, True)


# What cannot be decoded.


@pytest.mark.parametrize(("encoding", "bad"), [("utf-8", b"\xff"), ("gb18030", b"\xff")])
def test_bytes_that_cannot_be_decoded_are_an_error_of_their_cell_with_their_place(
    encoding: str, bad: bytes
) -> None:
    lines = [[f"A{number}", *LINE[1:]] for number in range(3)]
    data = table(*lines).encode(encoding)
    place = data.index(LINE[1].encode(encoding), data.index(b"A1"))
    broken = data[:place] + bad + data[place:]
    found = [one for one in told(broken).judged().errors if one.code == "BytesUndecodable"]
    assert [(one.row, one.column, one.value) for one in found] == [(3, "姓名", "\\xff张三")]
    assert f"第 {place + 1} 字节" in found[0].zh
    assert told(broken).head.form.encoding == encoding


def test_what_a_file_claims_to_be_is_not_believed() -> None:
    several = [[f"{number}", *LINE[1:4], f"E{number:08}", *LINE[5:]] for number in range(60)]
    text = table(*several)
    claimed = told(b"\xef\xbb\xbf" + text.encode("gb18030"))
    assert (claimed.head.form.encoding, claimed.problem) == ("gb18030", None)
    halves = text.encode()[:3_000] + text.encode("gb18030")[3_000:]
    assert told(halves).head.form.encoding == "utf-8"
    assert {"BytesUndecodable"} <= {code for code, _, _ in wrong(halves)}
    halves = text.encode("gb18030")[:3_000] + text.encode()[3_000:]
    assert told(halves).head.form.encoding == "gb18030"


@pytest.mark.parametrize("encoding", ["big5", "utf-16-le", "shift_jis", "utf-7"])
def test_a_header_in_another_encoding_is_refused_with_those_that_can_be_read(encoding: str) -> None:
    said = told(table(LINE).encode(encoding, "replace")).problem
    assert said
    assert (said.code, "UTF-8 或 GB18030" in said.zh) == ("TableHeaderMissing", True)


def test_no_row_ends_a_table_but_its_last() -> None:
    for end in ("end", "\x1a\x1aend", "\x1a"):
        data = table(LINE, [end], [*LINE[:4], "E12345678", *LINE[5:]]).encode()
        assert [row for row, _ in told(data).rows] == [2, 3, 4]


@pytest.mark.parametrize("name", [b"\xff", b'"', b"x", b" ", b"\r"])
def test_what_cannot_part_cells_is_no_delimiter(name: bytes) -> None:
    read = told(b"sep=" + name + b"\r\n" + table(LINE).encode("gb18030"))
    assert (read.head.form.delimiter, len(read.rows)) == (",", 1)


def test_a_fault_of_ours_is_not_called_a_damaged_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_ROWS_AT_ONCE", -1)
    for data in (table(LINE).encode(), book(results())):
        with pytest.raises(ValueError, match="islice"):
            told(data)


def test_a_character_that_was_lost_before_is_no_character() -> None:
    data = with_cells(备注="补\ufffd考")
    ((_, cells),) = told(data).rows
    assert cells[13] == Unread("BytesUndecodable", "补\ufffd考", data.index(b"\xef\xbf\xbd") + 1)
    assert problem(table(LINE).encode("utf-16")[:-1]) == "BytesUndecodable"
    assert problem(b"\xff\xfe\x00\xd8" + b"a\0" * 9) == "BytesUndecodable"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_quote_that_is_never_closed_is_told_with_its_row(encoding: str) -> None:
    header, line = table(LINE).split("\r\n")[:2]
    text = "\r\n".join([header, line, line.replace("张三", '"张三'), line, line])
    found = told(text.encode(encoding)).problem
    assert found
    assert (found.code, "第 3 行" in found.zh) == ("RowEndless", True)


def test_what_nobody_sees_in_a_table_does_no_harm() -> None:
    twice = "\ufeff" + table(LINE).replace("\r\n", "\r\n\ufeff\u202e", 1)
    (row,) = told(twice.encode("utf-8-sig")).judged().rows
    assert row.admission_number == LINE[0]
    assert wrong(with_cells(姓名="张\u200b三")) == [("NameInvisible", 2, "姓名")]
    assert wrong(with_cells(备注="a\0b")) == [("TextUnprintable", 2, "备注")]
    assert wrong(with_cells(姓名="张\0三")) == [("NameInvisible", 2, "姓名")]


def test_sixteen_thousand_columns_are_refused_but_not_empty_ones() -> None:
    assert problem(",".join(["x"] * 16_000).encode()) == "CellFarAway"
    assert wrong(table([*LINE, *[""] * 16_000]).encode()) == []
    assert problem(table([*LINE, *[""] * 16_000, "x"]).encode()) == "CellFarAway"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a", "TableHeaderMissing"), ("姓名,性别\n1,2", "TableHeaderMissing"),
        (",,\n,,\n", "SheetEmpty"),
        ("\n\n", "FileEmpty"), ("sep=;", "SheetEmpty"), ("x" * 2_000_000, "RowEndless"),
        ('"' + "x\n" * 200_000, "RowEndless"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_table_is_one_problem(text: str, code: str) -> None:
    assert problem(text.encode()) == code


# Whatever is written is read.

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Co", "Cn"]), max_size=12
)
CELLS = st.lists(
    st.lists(TEXT | st.sampled_from([",", ";", "\t", '"', "a\nb", 'a"b', "锟斤拷", "𠂇"]),
             min_size=14, max_size=14),
    max_size=5,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(CELLS, st.sampled_from(ENCODINGS), st.sampled_from(",\t;"), st.sampled_from(["\n", "\r\n"]))
def test_any_table_is_read_as_it_was_written(
    lines: list[list[str]], encoding: str, delimiter: str, line_end: str
) -> None:
    data = table(*lines, delimiter=delimiter, line_end=line_end).encode(encoding)
    head, *more = reading.read_whole(data)
    assert isinstance(head, layouts.Head)
    rows = {row: cells for part in more if isinstance(part, Lines) for row, cells in part.rows}
    assert rows.pop(1) == COLUMNS
    for number, line in enumerate(lines, 2):
        cells = rows.pop(number, (None,) * 14)
        assert len(cells) == 14
        for cell, text in zip(cells, line, strict=True):
            if isinstance(cell, str):
                assert cell in (text, text.lstrip(" "))
            else:
                assert (cell.shown if isinstance(cell, Unread) else "") == text.strip()
    assert rows == {}


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200), st.sampled_from(ENCODINGS))
def test_any_bytes_are_answered(noise: bytes, place: int, encoding: str) -> None:
    data = table(LINE, LINE).encode(encoding)
    told(data[:place] + noise + data[place:]).judged()
    told(noise).judged()


def test_certificates_issued_before_are_read_from_text_too() -> None:
    line = ["2451010001600001", "张三", "女", "居民身份证", LINE[4], "大数据采集", "2024-05-01",
            "2024.5.20", "成都市人力资源和社会保障局", "", "", ""]  # fmt: skip
    text = "\n".join(",".join(cells) for cells in (sheet.LAYOUT.columns, line))
    judging = sheet.Judging(TODAY)
    for part in sheet.read_in_jail(text.encode("gb18030")):
        judging.take(part)
    (row,) = judging.holding()
    assert (row.number, str(row.issued_on), judging.findings()) == (line[0], "2024-05-20", ())


def test_reading_text_opens_no_file() -> None:
    program = textwrap.dedent("""
        import resource, sys
        from service.issuing.sheets import reading
        files = sys.stdin.buffer.read().split(b"----")
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        print([len([*reading.read(data)]) for data in files])
    """)
    files = [table(LINE).encode(encoding) for encoding in ENCODINGS]
    given = b"----".join([*files, files[0] + b"\xff", files[2] + b"\xff"])
    done = subprocess.run(
        [sys.executable, "-c", program], input=given, capture_output=True, cwd=CHECKOUT, check=False
    )
    assert (done.stdout, done.stderr) == (b"[3, 3, 3, 3, 3, 3]\n", b"")
