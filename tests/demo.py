"""The demonstration: two cities, two workbooks, until certificates are verified and handed over.

It only types the commands that a user would type, and shows them. Everybody in it is invented; the
keys are development keys, so every face says 样本 SPECIMEN. It may be run again: each run imports
other people into the same registry.
"""

import asyncio
import contextlib
import datetime
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from service import cli, terminal, wiring
from service.checking import verification
from service.checking.decision import Verdict
from service.ground import db
from service.ground import settings as settings_room
from service.ground.db import Role
from service.ground.errors import AlreadyRecorded, RowsRefused
from service.ground.jail import Jail
from service.ground.settings import Settings
from service.registry import catalogue
from signing import examine
from tests import invented
from tests.demo_paper import Paper


class _City(msgspec.Struct, frozen=True):
    """What the demonstration does in one city."""

    city_code: str
    title: str
    project: str
    names: list[str]
    operator: str
    reviewer: str
    suffix: str


_CITIES = (
    _City(
        "510100",
        "成都",
        "商业数据分析",
        invented.UNCOMMON_NAMES,
        "chengdu-operator",
        "chengdu-reviewer",
        ".xlsx",
    ),
    _City(
        "513200",
        "阿坝",
        "民宿接待服务",
        invented.LONG_NAMES,
        "aba-operator",
        "aba-reviewer",
        ".csv",
    ),
)


_ACCOUNTS = (
    *((city.operator, "operator", city.city_code) for city in _CITIES),
    *((city.reviewer, "reviewer", city.city_code) for city in _CITIES),
    ("chengdu-keeper", "keeper", "510100"),
    ("chengdu-auditor", "auditor", "510100"),
    ("province-keeper", "keeper", "510000"),
)


class _Line(msgspec.Struct, frozen=True):
    number: str
    name: str
    project: str
    file: str
    qr: str
    path: str


def main(row_count: int = 36) -> None:
    """Run the demonstration under the folder of the settings."""
    settings = settings_room.read(os.environ)
    folder = settings.var / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    with wiring.database(settings):
        _Demonstration(folder).run(row_count)
        _verify_all(settings, folder)


class _Demonstration:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._round = 1 + sum(1 for _ in folder.glob("*.zip")) // len(_CITIES)

    def run(self, row_count: int) -> None:
        """Type every command from the first account to the exported PDFs."""
        self._set_up()
        exam_on = _latest_exam()
        for city in _CITIES:
            self._record_facts(city, exam_on)
        batches = [self._import(city, exam_on, row_count) for city in _CITIES]
        for city, batch in zip(_CITIES, batches, strict=True):
            self._type(city.operator, "batch", "submit", batch)
            self._type(city.reviewer, "batch", "approve", batch)
        self._type(None, "issue")
        for city, batch in zip(_CITIES, batches, strict=True):
            target = self._folder / f"{batch}-{city.title}"
            self._type(city.operator, "batch", "export", batch, "--to", target)
        pdfs = sorted(target.parent.glob(f"{batches[0]}-*/*.pdf"))
        self._suspend_and_lift(_CITIES[0], pdfs[0])
        Paper(self._type, self._folder, "chengdu", self._round).show(batches[0], pdfs)

    def _suspend_and_lift(self, city: _City, pdf: Path) -> None:
        """Let two persons suspend a certificate and lift it again, each seen by who verifies."""
        for place, kind in enumerate(("suspend", "lift"), start=2 * self._round - 1):
            self._type(
                city.operator, kind, pdf.stem, "--reason", "投诉核查",
                "--document-number", f"示例函{place}号",
            )  # fmt: skip
            self._type(city.reviewer, "change", "confirm", place)
            self._type(None, "verify", pdf)
        self._type(None, "issue")  # a worker signs what the status list lacks
        site = self._folder / "site"
        self._type(None, "publish", site)
        published = ("--keys", site / ".well-known/jwks.json", "--status", site / "status/0")
        self._type(None, "verify", "--offline", *published, pdf)

    def _set_up(self) -> None:
        if not self._secret("province").exists():
            self._type(None, "init", "--secret-file", self._secret("province"))
        for name, role, city_code in _ACCOUNTS:
            if not self._secret(name).exists():
                self._type(
                    "province", "account", "add", name, "--role", role, "--city-code",
                    city_code, "--keep-secret-in", self._secret(name),
                )  # fmt: skip

    def _record_facts(self, city: _City, exam_on: datetime.date) -> None:
        """Record what the gates read; the institution is filed in Chengdu and works in Aba too."""
        far = city.city_code != "510100"
        self._record(
            city.operator, "institution", uscc=invented.INSTITUTION, valid_from="2024-01-01",
            institution_name="示例职业培训学校",
        )  # fmt: skip
        if not far:
            announced = {"starts_on": exam_on, "ends_on": exam_on + datetime.timedelta(days=6)}
            self._record(
                city.operator, "announcement", city_code=city.city_code,
                project_name=city.project, **announced, document_number="示例统考公告1号",
                papers_until=exam_on - datetime.timedelta(days=20),
            )  # fmt: skip
        self._record(
            "chengdu-operator", "filing", uscc=invented.INSTITUTION, authority_code="510100",
            kind="daily" if far else "unified", project_names=city.project,
            valid_from="2026-01-01", valid_until="2028-12-31",
            document_number=f"示例备案{city.city_code}号",
        )  # fmt: skip
        if far:
            self._record(
                city.operator, "cross-filing", uscc=invented.INSTITUTION, city_code=city.city_code,
                valid_from="2026-01-01", valid_until="2028-12-31", document_number="示例跨备1号",
            )  # fmt: skip
            self._record(
                city.operator, "plan", uscc=invented.INSTITUTION, city_code=city.city_code,
                project_name=city.project, starts_on=exam_on,
                reported_on=exam_on - datetime.timedelta(days=15), document_number="示例计划1号",
            )  # fmt: skip

    def _import(self, city: _City, exam_on: datetime.date, row_count: int) -> str:
        """Import what an institution sends and record what belongs to its batch; returns it."""
        serial = (2 * self._round + _CITIES.index(city)) * row_count
        candidates = invented.candidates(
            row_count, project=city.project, exam_on=exam_on, serial=serial, names=city.names
        )
        batch = str((self._round - 1) * len(_CITIES) + 1 + _CITIES.index(city))
        path = self._send_until_good(city, candidates, batch)
        self._send_photos(city, candidates, batch)
        day = datetime.timedelta(days=1)
        text = self._folder / "承诺书.txt"
        text.write_text("本人（本机构）承诺所提交资料真实、准确、完整。\n", "utf-8")
        facts: tuple[tuple[str, dict[str, object]], ...] = (
            ("papers", {"received_on": exam_on - 40 * day}),
            (
                "publicity",
                {"publicity_from": exam_on + 8 * day, "publicity_until": exam_on + 14 * day},
            ),
            (
                "commitment",
                {
                    "party": "candidates",
                    "committed_by": "全体考生",
                    "committed_on": exam_on,
                    "text": text,
                },
            ),
            (
                "commitment",
                {
                    "party": "institution",
                    "committed_by": "示例职业培训学校",
                    "committed_on": exam_on,
                    "text": text,
                },
            ),
            (
                "evidence",
                {
                    "evidence_name": "成绩册",
                    "kind": "paper",
                    "file": path,
                    "kept_until": exam_on + 1200 * day,
                },
            ),
        )
        for name, given in facts:
            self._record(city.operator, name, batch_id=batch, **given)
        return batch

    def _send_until_good(
        self, city: _City, candidates: list[invented.Candidate], batch: str
    ) -> Path:
        """Send a faulty file, then the mended one; one city meanwhile keeps the good rows."""
        first, second = (
            self._folder / f"{city.title}成绩表-{self._round}{turn}{city.suffix}"
            for turn in ("", "-更正")
        )
        write = invented.write_csv if city.suffix == ".csv" else invented.write_workbook
        write(first, invented.spoilt(candidates))
        write(second, candidates)
        uscc = ("--uscc", invented.INSTITUTION)
        if city.suffix == ".csv":
            self._type(city.operator, "batch", "import", first, *uscc, "--keep-good")
            self._type(city.operator, "batch", "left-out", batch)
            self._type(city.operator, "batch", "import", second, "--batch", batch)
        else:
            with contextlib.suppress(RowsRefused):
                self._type(city.operator, "batch", "import", first, *uscc)
            self._type(city.operator, "batch", "import", second, *uscc)
        self._type(city.operator, "batch", "uploads", batch)
        return second

    def _send_photos(self, city: _City, candidates: list[invented.Candidate], batch: str) -> None:
        """Send everybody's photo but the first one's, whose frame stays empty."""
        path = self._folder / f"{city.title}照片-{self._round}.zip"
        photos = {
            f"{one.id_number}.jpg": invented.jpeg(invented.portrait(serial))
            for serial, one in enumerate(candidates[1:], start=int(batch) * 1000)
        }
        invented.write_photos(path, photos)
        self._type(city.operator, "batch", "photos", batch, path)

    def _record(self, account: str, fact: str, **given: object) -> None:
        words = [
            word
            for field, value in given.items()
            for word in (f"--{field.replace('_', '-')}", value)
        ]
        try:
            self._type(account, "record", fact, *words)
        except AlreadyRecorded as known:
            terminal.say(f"  {known.zh}")

    def _type(self, account: str | None, *words: object) -> None:
        """Type one command as a user would, and show it."""
        typed = [str(word) for word in words]
        if account:
            typed += ["--as", account, "--secret-file", str(self._secret(account))]
            typed += ["--yes"] if _changes(typed) else []
        terminal.out.print(f"[bold cyan]$[/] qianfa {' '.join(typed)}", soft_wrap=True)
        cli.qianfa.main(typed, standalone_mode=False)

    def _secret(self, account: str) -> Path:
        return self._folder.parent / f"{account}.secret"


def _changes(typed: Sequence[str]) -> bool:
    """Whether what is typed asks before it does something."""
    command: click.Command = cli.qianfa
    for word in typed:
        if not isinstance(command, click.Group):
            break
        command = command.commands[word]
    return any(option.name == "yes" for option in command.params)


def _latest_exam() -> datetime.date:
    """Choose the last session whose publicity has ended by today."""
    enough = datetime.date.today() - datetime.timedelta(days=20)  # noqa: DTZ011 - any zone will do
    starts = [
        one.starts_on
        for one in catalogue.reference("daily_sessions_2026.csv", catalogue.DailySession)
    ]
    return max((day for day in starts if day <= enough), default=starts[0])


def _verify_all(settings: Settings, folder: Path) -> None:
    """Verify every exported PDF by its bytes, and by the QR code on its rendered page."""
    paths = sorted(folder.glob("*/*.pdf"))

    async def run(address: str) -> list[_Line]:
        lines = []
        async with (
            wiring.connection(address) as connection,
            Jail(verification.EXAMINE_JOB, concurrent=1) as jail,
            db.acting(connection, Role.PUBLIC),
        ):
            with terminal.progress("查验 verifying", len(paths)) as done:
                for count, path in enumerate(paths, start=1):
                    pdf, now = path.read_bytes(), datetime.datetime.now(datetime.UTC)
                    by_file = await verification.by_file(
                        lambda: contextlib.nullcontext(connection), jail, pdf, now
                    )
                    by_text = await verification.by_text(
                        connection, examine.qr_text(pdf) or "", now
                    )
                    lines.append(_line(path, by_file, by_text))
                    done(count)
        return lines

    with wiring.database(settings) as address:
        lines = asyncio.run(run(address))
    _show(lines, folder)


def _line(path: Path, by_file: Verdict, by_text: Verdict) -> _Line:
    return _Line(
        by_file.number or "", by_file.name or "", by_file.project or "",
        by_file.status.value, by_text.status.value, str(path),
    )  # fmt: skip


def _show(lines: Sequence[_Line], folder: Path) -> None:
    titles: dict[str, Any] = {
        "number": "编号 number", "name": "姓名 name", "project": "项目 project",
        "file": "文件 file", "qr": "二维码 QR",
    }  # fmt: skip
    terminal.table(lines, titles)
    bad = [line for line in lines if (line.file, line.qr) != ("valid", "valid")]
    terminal.say(f"{len(lines)} 份证书，{len(lines) - len(bad)} 份查验有效；PDF 在 {folder}")
    if lines:
        qianfa = os.path.relpath(Path(sys.executable).with_name("qianfa"))
        terminal.say(
            f"接着试试 next:\n  {qianfa} verify {lines[0].path}\n"
            f"  {qianfa} verify {lines[0].number} --name {lines[0].name}\n  make serve"
        )
    if bad:
        sys.exit(1)


if __name__ == "__main__":
    main()
