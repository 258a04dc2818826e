"""Invented people and the workbooks they stand in; nobody here exists."""

import csv
import datetime
import io
import random
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import xlsxwriter
from PIL import Image, ImageDraw

from service.issuing.sheets import annotated, reading
from service.issuing.sheets.layouts import COLUMNS, RESULTS, Cell, Lines
from service.registry.people import IdKind

INSTITUTION = "12510100450717123Q"
UNCOMMON_NAMES = ["王𠂇", "李𬭎", "龚䶮", "赵㐂", "欧阳娜娜", "Anna Maria Rossi"]
LONG_NAMES = [
    "卓玛央金",
    "扎西旺堆·索朗多吉",
    "阿尔木呷",
    "吉克阿衣莫",
    "泽仁拉姆",
    "格桑梅朵",
    "俄木日火·吉勒布且·阿苏拉则",
    "降央卓玛",
]
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国云飞雨欣子涵梓轩"
_AREA = "510104"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a results workbook, every cell as it is typed; fields in the order of COLUMNS."""

    admission_number: str
    name: str
    sex: str
    id_kind: str
    id_number: str
    born_on: str
    phone: str
    project: str
    exam_on: str
    theory: float | str
    practice: float | str
    total: float | str
    result: str
    remark: str = ""


def candidates(
    count: int,
    *,
    project: str,
    exam_on: datetime.date,
    serial: int = 0,
    names: Sequence[str] = (),
    failed_every: int = 12,
) -> list[Candidate]:
    """Invent candidates; equal arguments give equal people, other serials other people.

    Every `failed_every`-th has failed.
    """
    chance = random.Random(serial)  # noqa: S311 - invented people
    return [
        _candidate(
            chance,
            serial + place,
            names[place] if place < len(names) else _name(chance),
            project=project,
            exam_on=exam_on,
            passed=place % failed_every != failed_every - 1,
        )
        for place in range(count)
    ]


def spoilt(lines: Sequence[Candidate]) -> list[Candidate]:
    """Spoil five of nine or more lines as it really happens, each in another way."""
    wrong = list(lines)
    number = lines[2].id_number
    changes: dict[int, dict[str, str | float]] = {
        2: {"id_number": number[:-2] + str((int(number[-2]) + 1) % 10) + number[-1]},
        4: {"sex": "男" if lines[4].sex == "女" else "女", "total": "缺考"},
        6: {"exam_on": "5/23/26", "name": "王\ue000"},
        7: {"id_number": 510104199003077000.0},
        8: {"admission_number": lines[1].admission_number},
    }
    for place, change in changes.items():
        wrong[place] = msgspec.structs.replace(lines[place], **change)
    return wrong


def write_workbook(path: Path, lines: Iterable[Candidate]) -> None:
    """Write a results workbook as an institution would fill it in."""
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet("考核结果")
        sheet.write_row(0, 0, COLUMNS)
        for place, line in enumerate(lines, start=1):
            sheet.write_row(place, 0, msgspec.structs.astuple(line))


def write_csv(path: Path, lines: Iterable[Candidate], encoding: str = "gb18030") -> None:
    """Write the same as CSV, as a spreadsheet program would save it."""
    with path.open("w", encoding=encoding, newline="") as file:
        written = csv.writer(file)
        written.writerow(COLUMNS)
        written.writerows(map(msgspec.structs.astuple, lines))


def mend(copy: bytes, lines: Sequence[Candidate]) -> bytes:
    """Mend an annotated copy as a clerk does: what is right is typed where a row says it is not."""

    def mended(row: int, cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
        typed, ours = cells[: len(COLUMNS)], cells[len(COLUMNS) :]
        if row > 1 and ours and ours[0]:
            typed = msgspec.structs.astuple(lines[row - 2])
        return (*typed, *ours)

    target = io.BytesIO()
    with annotated.Copy(target, RESULTS, [], {}) as written:
        for part in reading.read_whole(copy):
            if isinstance(part, Lines):
                rows = tuple((row, mended(row, cells)) for row, cells in part.rows)
                written.take(Lines(rows))
            else:
                written.take(part)
    return target.getvalue()


def portrait(serial: int, width: int = 358, height: int = 480) -> Image.Image:
    """Draw head and shoulders of nobody: a few plain shapes, others for every serial."""
    chance = random.Random(serial)  # noqa: S311 - invented people

    def colour(low: int, high: int) -> tuple[int, ...]:
        return tuple(chance.randint(low, high) for _ in "rgb")

    image = Image.new("RGB", (360, 480), (*colour(150, 235),))
    drawn, hair = ImageDraw.Draw(image), colour(10, 90)
    skin = tuple(level + chance.randint(0, 30) for level in (208, 165, 135))
    half, top = chance.randint(66, 84), chance.randint(96, 120)
    drawn.ellipse((180 - half - 16, top - 26, 180 + half + 16, top + 160), fill=hair)
    drawn.rounded_rectangle((40, 330, 320, 520), 90, fill=colour(20, 200))
    drawn.rectangle((150, 270, 210, 350), fill=skin)
    drawn.ellipse((180 - half, top, 180 + half, top + 200), fill=skin)
    drawn.pieslice((180 - half, top - 12, 180 + half, top + 120), 180, 360, fill=hair)
    for side in (-1, 1):
        eye = 180 + side * half * 0.45
        drawn.ellipse((eye - 7, top + 86, eye + 7, top + 100), fill=(40, 30, 30))
    drawn.arc((150, top + 120, 210, top + 165), 20, 160, fill=(140, 60, 60), width=4)
    return image.resize((width, height))


def jpeg(image: Image.Image, **options: Any) -> bytes:
    """Save a picture as a camera does."""
    output = io.BytesIO()
    image.save(output, "JPEG", **({"quality": 88} | options))
    return output.getvalue()


def write_photos(path: Path, photos: Mapping[str, bytes]) -> None:
    """Pack photos under their names, as an institution does."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in photos.items():
            archive.writestr(name, content)


def resident_id(born_on: datetime.date, serial: int) -> str:
    """Append the check character to an invented number (ISO 7064 MOD 11-2); 1000 people a day."""
    stem, product = f"{_AREA}{born_on:%Y%m%d}{serial % 1000:03}", 0
    for digit in stem:
        product = (product + int(digit)) * 2 % 11
    return stem + "0123456789X"[(12 - product) % 11]


def _candidate(
    chance: random.Random,
    serial: int,
    name: str,
    *,
    project: str,
    exam_on: datetime.date,
    passed: bool,
) -> Candidate:
    born_on = datetime.date(1960, 1, 1) + datetime.timedelta(days=(serial * 37) % 16000)
    number = resident_id(born_on, serial // 16000)
    kind, sex = IdKind.RESIDENT, "男" if int(number[16]) % 2 else "女"
    if name.isascii():
        kind, number = IdKind.PASSPORT, f"YA{serial:07}"
    total = chance.randrange(120, 198) / 2 if passed else 52.5
    return Candidate(
        admission_number=f"ZK{serial:08}",
        name=name,
        sex=sex,
        id_kind=kind.value,
        id_number=number,
        born_on=str(born_on),
        phone=f"138{serial % 10**8:08}",
        project=project,
        exam_on=str(exam_on),
        theory=total,
        practice=total,
        total=total,
        result="合格" if passed else "不合格",
    )


def _name(chance: random.Random) -> str:
    return chance.choice(_SURNAMES) + "".join(chance.sample(_GIVEN, chance.choice((1, 2, 2))))
