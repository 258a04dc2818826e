"""Invented people and the workbooks they stand in; nobody here exists."""

import datetime
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import xlsxwriter

from service.issuing.sheets.layouts import COLUMNS
from service.registry import people
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


def write_workbook(path: Path, lines: Iterable[Candidate]) -> None:
    """Write a results workbook as an institution would fill it in."""
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("考核结果")
        sheet.write_row(0, 0, COLUMNS)
        for place, line in enumerate(lines, start=1):
            sheet.write_row(place, 0, msgspec.structs.astuple(line))


def resident_id(born_on: datetime.date, serial: int) -> str:
    """Find the check character that makes an invented number valid; 1000 people a day."""
    stem = f"{_AREA}{born_on:%Y%m%d}{serial % 1000:03}"
    for check in "0123456789X":
        try:
            return people.check_id(IdKind.RESIDENT, stem + check).number
        except people.Unfit:
            continue
    raise AssertionError(stem)


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
