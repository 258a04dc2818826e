"""Files that mean harm, or look like it: each is refused clearly, or read, and the jail goes on."""

import asyncio
import io
import zipfile
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.ground import jail
from service.ground.errors import JailLimitExceeded
from service.ground.jail import Jail
from service.issuing.sheets import layouts, pages, spreadsheets
from service.issuing.sheets.layouts import COLUMNS
from tests.workbooks import (
    GOOD,
    HEADER_XML,
    TEXTS,
    added,
    book,
    entry,
    parts,
    problem,
    results,
    row_xml,
    sheet_xml,
    told,
    wrong,
)  # fmt: skip

JOB = "service.issuing.sheets.reading:read"
OLE = bytes.fromhex("d0cf11e0a1b11ae1")
GOOD_ROWS = HEADER_XML + row_xml(2, TEXTS)


def archive(**entries: bytes | str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return buffer.getvalue()


# What is no workbook and no text.


@pytest.mark.parametrize(
    ("data", "code", "word"),
    [
        (b"", "FileEmpty", "导出"),
        (b" \r\n\t", "FileEmpty", "导出"),
        (b"\xef\xbb\xbf", "FileEmpty", "导出"),
        (b"\xff\xfe", "FileEmpty", "导出"),
        (b"%PDF-1.7\n", "FileNotSheet", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "FileNotSheet", "图片"),
        (b"\xff\xd8\xff\xe0", "FileNotSheet", "图片"),
        (b"MZ\x90\0" + bytes(900), "FileNotSheet", "程序"),
        (b"\x7fELF\2", "FileNotSheet", "程序"),
        (b"{\\rtf1", "FileNotSheet", "文字"),
        (b"<?xml version='1.0'?><a/>", "FileNotSheet", "XML"),
        (bytes(4096), "FileNotSheet", "二进制"),
        (b"Rar!\x1a\7", "FileArchive", "RAR"),
        (b"7z\xbc\xaf\x27\x1c", "FileArchive", "7z"),
        (b"\x1f\x8b\x08", "FileArchive", "gzip"),
        (archive(**{"a.xlsx": GOOD}), "FileArchive", "解压"),
        (archive(**{"word/document.xml": "<w/>"}), "FileNotSheet", "文字"),
        (archive(**{"xl/workbook.bin": b""}), "WorkbookLegacy", ".xlsb"),
        (archive(**{"mimetype": "", "content.xml": ""}), "WorkbookLegacy", ".ods"),
        (archive(**{"Index/Document.iwa": b""}), "WorkbookLegacy", "Numbers"),
        (OLE + bytes(4096), "WorkbookLegacy", "另存为"),
        (OLE + "WordDocument".encode("utf-16-le"), "FileNotSheet", "文字"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "WorkbookEncrypted", "密码"),
        (b"\xef\xbb\xbf <HTML><table><tr><td>x", "WorkbookLegacy", "网页"),
        ("\ufeff<table><tr><td>x".encode("utf-16-le"), "WorkbookLegacy", "网页"),
        (b"MIME-Version: 1.0\r\nX-Document-Type: Workbook", "WorkbookLegacy", "网页"),
        (
            b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns="x">',
            "WorkbookLegacy",
            "XML 表格",
        ),
        (b"PK\x03\x04" + bytes(100), "WorkbookBroken", "损坏"),
        (GOOD[:-200], "WorkbookBroken", "损坏"),
    ],
)
def test_what_cannot_be_read_is_one_clear_problem(data: bytes, code: str, word: str) -> None:
    read = told(data)
    found = read.problem
    assert found
    assert (read.rows, found.code, word in found.zh) == ((), code, True), found
    judged = read.judged()
    assert (judged.rows, judged.refused, judged.errors) == ((), (), (found,))


# Archives.


@pytest.mark.parametrize(
    "name", ["../xl/x.xml", "xl/../../x", "/etc/passwd", "..\\..\\x", "XL/Workbook.xml"]
)
def test_a_part_that_leads_outside_or_stands_twice_is_refused(name: str) -> None:
    assert problem(added({name: b""})) == "WorkbookIrregular"


def test_two_parts_of_one_name_are_refused() -> None:
    evil = sheet_xml(HEADER_XML)
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = added({"xl/worksheets/sheet1.xml": evil})
    assert problem(data) == "WorkbookIrregular"


def test_parts_that_overlap_or_are_packed_oddly_are_refused() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as made:
        first, second, *_ = (one.header_offset for one in made.infolist())
    directory = GOOD.index(b"PK\1\2")
    second_entry = GOOD.index(b"PK\1\2", directory + 4)
    overlapping = bytearray(GOOD)
    overlapping[second_entry + 42 : second_entry + 46] = (first + 1).to_bytes(4, "little")
    assert second > first
    assert problem(bytes(overlapping)) == "WorkbookIrregular"
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        buffer = io.BytesIO(GOOD)
        with zipfile.ZipFile(buffer, "a", method) as more:
            more.writestr("xl/media/1", b"x")
        assert problem(buffer.getvalue()) == "WorkbookIrregular"


def test_a_part_with_a_password_is_named_as_such() -> None:
    locked = bytearray(GOOD)
    locked[GOOD.index(b"PK\1\2") + 8] |= 1
    assert problem(bytes(locked)) == "WorkbookEncrypted"


def test_nothing_embedded_is_opened() -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a", bytes(10_000_000))
    data = added({"xl/embeddings/nested.xlsx": bomb.getvalue(), "xl/externalLinks/1.xml": "<&"})
    assert wrong(data) == []


def test_a_bomb_is_refused_by_its_size() -> None:
    bomb = parts(sharedStrings=b" " * (spreadsheets._UNPACKED_BYTES_MAX + 1))
    assert len(bomb) < 2**20
    assert problem(bomb) == "WorkbookTooLarge"


def test_a_bomb_that_lies_about_its_size_is_broken() -> None:
    bomb = parts(sharedStrings=b" " * 50_000_000)
    lying = bomb.replace((50_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert lying != bomb
    assert problem(lying) == "WorkbookBroken"


def test_too_many_parts_are_refused() -> None:
    entries = {f"xl/media/{number}": b"" for number in range(spreadsheets._ENTRIES_MAX)}
    assert problem(added(dict(entries))) == "WorkbookTooLarge"


def test_parts_named_with_backslashes_or_in_capitals_are_found() -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(GOOD)) as good,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in good.namelist():
            made.writestr(name.replace("sharedStrings", "SHAREDSTRINGS"), good.read(name))
    data = buffer.getvalue().replace(b"xl/worksheets/sheet1.xml", rb"xl\worksheets\sheet1.xml")
    assert wrong(data) == []


# XML.

LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "doctype",
    [
        LAUGHS,
        "<!DOCTYPE worksheet>",
        '<!DOCTYPE x SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/">%p;]>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("stem", ["sheet1", "workbook", "sharedStrings", "styles", "workbook.xml"])
def test_a_document_type_is_refused_wherever_it_stands(
    doctype: str, encoding: str, stem: str
) -> None:
    xml = f'<?xml version="1.0"?>{doctype}<x>&b;</x>'
    if encoding == "utf-16":
        xml = xml.replace('"1.0"?>', '"1.0" encoding="utf-16"?>')
    assert problem(parts(**{stem: xml.encode(encoding)})) == "WorkbookIrregular"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"sheet1": "<worksheet><sheetData><row"}, "WorkbookBroken"),
        ({"sheet1": "<" * 10_000}, "WorkbookBroken"),
        ({"sheet1": "&b;"}, "WorkbookBroken"),
        ({"sheet1": "<a>&b;</a>"}, "WorkbookBroken"),
        ({"sheet1": b"\xff\xfe\x00"}, "WorkbookBroken"),
        ({"sheet1": '<?xml version="1.0" encoding="GB2312"?><a/>'}, "WorkbookBroken"),
        ({"sheet1": '<?xml version="1.0" encoding="x"?><a/>'}, "WorkbookBroken"),
        ({"sheet1": "<worksheet/>"}, "SheetEmpty"),
        ({"workbook": "<workbook/>"}, "SheetMissing"),
        ({"workbook": "not xml at all &&&"}, "WorkbookBroken"),
        ({"workbook.xml": "<Relationships/>"}, "SheetMissing"),
        ({"workbook.xml": entry("xl/_rels/workbook.xml.rels").replace("sheet1", "no")},
         "WorkbookBroken"),
        ({"workbook.xml": entry("xl/_rels/workbook.xml.rels").replace("<Relationship ",
          '<Relationship TargetMode="External" ')}, "SheetMissing"),
        ({".rels": "<Relationships/>"}, "WorkbookBroken"),
        ({"sharedStrings": "<sst/>"}, "WorkbookBroken"),
        ({"sheet1": sheet_xml(HEADER_XML, '<mergeCells><mergeCell ref="A1:"/></mergeCells>')},
         "WorkbookBroken"),
        ({"sheet1": sheet_xml(HEADER_XML, '<mergeCells><mergeCell/></mergeCells>')},
         "WorkbookBroken"),
        ({"sheet1": sheet_xml(GOOD_ROWS, '<mergeCells>' + '<mergeCell ref="A2:N2"/>' * 60
                              + '</mergeCells>')}, "WorkbookBroken"),
    ],
)  # fmt: skip
def test_a_broken_part_is_a_broken_workbook(changed: dict[str, bytes | str], code: str) -> None:
    assert problem(parts(**changed)) == code


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        ('<row r="3"><c r="XFD3" t="str"><v>x</v></c></row>', "XFD3"),
        ('<row r="1048576"><c r="BA1048576"><v>1</v></c></row>', "BA1048576"),
        ('<row r="3"><x:c s="1" r="BA3"><x:f>1</x:f></x:c></row>', "BA3"),
        (f"<row>{'<c><v>1</v></c>' * 16_000}</row>", "BA3"),
    ],
)
def test_a_filled_cell_far_away_is_refused_by_its_name(cells: str, place: str) -> None:
    found = told(
        parts(sheet1=sheet_xml(GOOD_ROWS + cells).replace("<worksheet", '<worksheet xmlns:x="x"'))
    ).problem
    assert found
    assert (found.code, found.zh.split()[0]) == ("CellFarAway", place)


def test_a_row_far_below_is_a_row_like_others() -> None:
    below = row_xml(1_048_576, ["x"])
    found = wrong(parts(sheet1=sheet_xml(GOOD_ROWS + below)))
    assert {row for _, row, _ in found} == {1_048_576}


def test_names_and_texts_of_any_length_are_bounded() -> None:
    header = row_xml(1, [*COLUMNS, "长" * 40_000])
    line = row_xml(2, [*TEXTS[:13], "长" * 100_000])
    read = told(parts(sheet1=sheet_xml(header + line)))
    assert len(read.head.unknown[0]) == len(str(read.rows[0][1][13])) == 300
    assert [one.code for one in read.judged().errors] == ["TextTooLong"]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_damaged_workbook_never_raises(data: st.DataObject) -> None:
    good = bytearray(GOOD)
    for place in data.draw(st.lists(st.integers(0, len(good) - 1), min_size=1, max_size=5)):
        good[place] ^= data.draw(st.integers(1, 255))
    told(bytes(good)).judged()


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["sheet1", "workbook", "workbook.xml", "sharedStrings", "styles", ".rels"]),
    st.data(),
)
def test_a_damaged_part_never_raises(stem: str, data: st.DataObject) -> None:
    names = {
        "sheet1": "xl/worksheets/sheet1.xml",
        "workbook.xml": "xl/_rels/workbook.xml.rels",
        ".rels": "_rels/.rels",
    }
    xml = entry(names.get(stem, f"xl/{stem}.xml"))
    begin = data.draw(st.integers(0, len(xml)))
    end = data.draw(st.integers(begin, min(len(xml), begin + 30)))
    instead = data.draw(st.sampled_from(["", "<", ">", '"', "1", "99999999", "A1", "é", "</c>"]))
    told(parts(**{stem: xml[:begin] + instead + xml[end:]})).judged()


# In the jail: what is large.


def in_jail(*files: bytes) -> list[Sequence[layouts.Part] | str]:
    """Read files one after the other in one jail; of each its last part, or its limit."""

    async def story() -> list[Sequence[layouts.Part] | str]:
        answers: list[Sequence[layouts.Part] | str] = []
        async with Jail(JOB, concurrent=1) as cells:
            for data in (*files, GOOD):
                stream = cells.stream(JOB, data, jail.WORKBOOK, type=layouts.Part)
                try:
                    answers.append([part async for part in stream])
                except JailLimitExceeded as refused:
                    answers.append(str(refused.facts["limit"]))
        return answers

    *answers, good = asyncio.run(story())
    assert [type(part).__name__ for part in good] == ["Head", "Lines", "Tail"]
    return answers


def ended(answer: Sequence[layouts.Part] | str) -> str:
    """Say in a word how a file was answered."""
    if isinstance(answer, str):
        return answer
    last = answer[-1]
    return last.finding.code if isinstance(last, layouts.Problem) else type(last).__name__


def test_a_workbook_may_take_less_than_ten_seconds_and_half_a_gigabyte() -> None:
    assert jail.WORKBOOK.cpu_seconds < 10
    assert jail.WORKBOOK.memory_bytes <= 512 << 20


def test_what_is_large_is_refused_or_read_and_the_jail_goes_on() -> None:
    header = ",".join(COLUMNS).encode()
    long_text = f'<c t="str"><v>{"a" * 50_000_000}</v></c>'
    files = {
        "merged": (
            parts(sheet1=sheet_xml(GOOD_ROWS, '<mergeCell ref="A2:N2"/>' * 300_000)),
            "WorkbookTooLarge",
        ),
        "long text": (
            parts(sheet1=sheet_xml(f"{GOOD_ROWS}<row>{long_text}</row>")),
            "Tail",
        ),
        "one line": (header + b"\n" + b"a," * 30_000_000, "RowEndless"),
        "open quote": (header + b'\n"' + b"a\n" * 30_000_000, "RowEndless"),
        "empty rows": (header + b"\n" + (b"," * 51 + b"\n") * 1_000_000, "Tail"),
        "rows": (header + b"\n" + b"a,b\n" * 15_000_000, "RowsTooMany"),
    }  # fmt: skip
    answers = in_jail(*(data for data, _ in files.values()))
    assert dict(zip(files, map(ended, answers), strict=True)) == {
        name: code for name, (_, code) in files.items()
    }


def many_rows(row: Callable[[int], str], count: int) -> bytes:
    return parts(sheet1=sheet_xml(GOOD_ROWS + "".join(row(n) for n in range(3, count + 3))))


@pytest.mark.long
def test_what_is_larger_still_is_refused_or_read_and_the_jail_goes_on() -> None:
    def empty_cells(number: int) -> str:
        cells = "".join(f'<c r="{letter}{number}" s="1"/>' for letter in pages.LETTERS[:12])
        return f"<row>{cells}</row>"

    files = {
        "a million empty rows": (
            many_rows(lambda n: f'<row r="{n}" spans="1:14" s="1" customFormat="1"/>', 1_000_000),
            "Tail",
        ),
        "eight million empty cells": (many_rows(empty_cells, 700_000), "Tail"),
        "an attribute": (
            parts(sheet1=sheet_xml(f'<row r="1" x="{"a" * 200_000_000}"/>')), "time",
        ),
        "strings": (
            parts(sharedStrings=f"<sst>{'<si><t>ab</t></si>' * 12_000_000}</sst>"),
            "WorkbookTooLarge",
        ),
    }  # fmt: skip
    answers = in_jail(*(data for data, _ in files.values()))
    assert dict(zip(files, map(ended, answers), strict=True)) == {
        name: code for name, (_, code) in files.items()
    }


@pytest.mark.long
def test_a_hundred_thousand_rows_are_read_in_the_jail_and_one_more_is_refused() -> None:
    header, line = results()
    for count, code in ((layouts.ROWS_MAX, "Tail"), (layouts.ROWS_MAX + 1, "RowsTooMany")):
        table = book([header, *[line] * count])
        text = ",".join(COLUMNS) + "\n" + (",".join(one or "" for one in TEXTS) + "\n") * count
        answers = in_jail(table, text.encode(), text.encode("gb18030"), text.encode("utf-16"))
        assert [ended(answer) for answer in answers] == [code] * 4


@pytest.mark.long
def test_elements_without_end_run_out_of_memory_or_time() -> None:
    (answer,) = in_jail(parts(sheet1="<worksheet>" + "<a>" * 20_000_000))
    assert answer in ("memory", "time")
