"""Kinds: what a file is by its first bytes, whatever it is called, and what to do with another.

Only an .xlsx workbook and text go on to be read. A sentence says of the others what they are.
"""

import io
import re
import zipfile

from service.registry.people import Unfit

_HEAD_BYTES = 4096
_NULS_MAX = 200
_ZIP = b"PK"
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OLE_DOCUMENTS = ("WordDocument".encode("utf-16-le"), "PowerPoint".encode("utf-16-le"))
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_PACKED = {b"Rar!": "RAR", b"7z\xbc\xaf": "7z", b"\x1f\x8b": "gzip", b"BZh": "bzip2"}
_PICTURE, _PROGRAM = ("图片", "a picture"), ("程序", "a program")
_DOCUMENT = ("文字或演示文稿", "a text or slides")
_OTHERS = {
    b"%PDF": ("PDF", "a PDF"),
    b"\x89PNG": _PICTURE,
    b"\xff\xd8\xff": _PICTURE,
    b"GIF8": _PICTURE,
    b"II*\0": _PICTURE,
    b"MM\0*": _PICTURE,
    b"MZ": _PROGRAM,
    b"\x7fELF": _PROGRAM,
    b"{\\rtf": _DOCUMENT,
}
_MARKUP = (
    (re.compile(rb"<(\w+:)?workbook\b"), "XML 表格（2003）", "an XML spreadsheet (2003)"),
    (re.compile(rb"<(html|table|head|meta|style|body|!doctype html)\b"), "网页表格", "a web page"),
    (re.compile(rb"\Amime-version:"), "网页表格", "a web page"),
)
_PARTS = (
    (re.compile(r"xl/workbook\.bin"), "WorkbookLegacy", ".xlsb 工作簿", "an .xlsb workbook"),
    (re.compile(r"index/.*\.iwa"), "WorkbookLegacy", "Numbers 表格", "a Numbers spreadsheet"),
    (re.compile(r"content\.xml"), "WorkbookLegacy", ".ods 等开放文档", "an OpenDocument (.ods)"),
    (re.compile(r"(word|ppt)/.*"), "FileNotSheet", *_DOCUMENT),
)
_WORKBOOK_PART = re.compile(r"xl/workbook\d*\.xml")


def is_workbook(data: bytes) -> bool:
    """Tell an .xlsx workbook from text.

    Raises:
        Unfit: it is neither.
        zipfile.BadZipFile: it begins like a workbook and is none.
    """
    if data.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _is_workbook([name.replace("\\", "/").lower() for name in archive.namelist()])
    if data.startswith(_OLE):
        _refuse_compound(data)
    _refuse_others(data[:_HEAD_BYTES])
    return False


def _refuse_others(head: bytes) -> None:
    for magic, kind in _PACKED.items():
        if head.startswith(magic):
            raise Unfit("FileArchive", kind=kind)
    for magic, (zh, en) in _OTHERS.items():
        if head.startswith(magic):
            raise Unfit("FileNotSheet", zh=zh, en=en)
    _refuse_markup(head)
    if head.count(b"\0") > _NULS_MAX and not head.startswith(_UTF_16):
        raise Unfit("FileNotSheet", zh="二进制文件", en="a binary file")
    if not head.strip():
        raise Unfit("FileEmpty")


def _is_workbook(names: list[str]) -> bool:
    if any(map(_WORKBOOK_PART.fullmatch, names)):
        return True
    for pattern, code, zh, en in _PARTS:
        if any(map(pattern.fullmatch, names)):
            raise Unfit(code, zh=zh, en=en)
    raise Unfit("FileArchive", kind="ZIP")


def _refuse_compound(data: bytes) -> None:
    if _OLE_ENCRYPTED in data:
        raise Unfit("WorkbookEncrypted")
    if any(name in data for name in _OLE_DOCUMENTS):
        raise Unfit("FileNotSheet", zh=_DOCUMENT[0], en=_DOCUMENT[1])
    raise Unfit("WorkbookLegacy", zh="旧版 .xls 工作簿", en="a legacy .xls workbook")


def _refuse_markup(head: bytes) -> None:
    markup = (
        head.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").strip(b"\xff\xfe \t\r\n").lower()
    )
    if markup.startswith((b"<", b"mime-version:")):
        for pattern, zh, en in _MARKUP:
            if pattern.search(markup):
                raise Unfit("WorkbookLegacy", zh=zh, en=en)
        raise Unfit("FileNotSheet", zh="XML 或网页", en="XML or a web page")
