"""The command line: help, exit codes, and what it says to people who make mistakes."""

import asyncio
import inspect
import io
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from service import cli
from service.ground.errors import Refusal
from service.ground.objects import Objects
from service.issuing.sheets import layouts
from service.registry.facts import Fact
from signing import examine
from tests import invented
from tests.test_adoption import lines, write
from tests.world import CHENGDU, DAILY, EXAM_ON, SECRET, World, rows

OPERATOR, REVIEWER = "operator-510100", "reviewer-510100"


class Typed(msgspec.Struct, frozen=True):
    """What came of one command."""

    code: int
    out: str
    err: str


Type = Callable[..., Typed]


@pytest.fixture
def type_(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Type:
    """Type `qianfa …` in the world, with nobody at a terminal; `by` is the account that acts."""
    secret_file = tmp_path / "secret"
    secret_file.write_text(SECRET)
    for name in [name for name in os.environ if name.startswith("QIANFA_")]:
        monkeypatch.delenv(name)
    for name in ("var", "database_url", "keys"):
        monkeypatch.setenv(f"QIANFA_{name.upper()}", str(getattr(world.settings, name)))
    monkeypatch.setenv("QIANFA_PROCESSES", "1")
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def typed(*words: object, by: str = "", yes: bool = True) -> Typed:
        line = [str(word) for word in words]
        if by:
            line += ["--as", by, "--secret-file", str(secret_file)]
            line += ["--yes"] if yes else []
        monkeypatch.setattr("sys.argv", ["qianfa", *line])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Typed(int(ended.value.code or 0), said.out, said.err)

    return typed


def _commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _commands(inner, (*path, name))


def _below(kind: type[Fact]) -> list[type[Fact]]:
    return kind.__subclasses__()


COMMANDS = dict(_commands(cli.qianfa))
KINDS: dict[str, type[Fact]] = {
    kind.__doc__ or "": kind
    for kind in (*Fact.__subclasses__(), *chain.from_iterable(map(_below, Fact.__subclasses__())))
    if hasattr(kind, "insert")
}
FACTS = {path[1]: found for path, found in COMMANDS.items() if path[:-1] == ("record",)}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_one_screen_and_speaks_chinese_first(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(cli.qianfa, [*path, "--help"], terminal_width=100)
    lines = shown.output.splitlines()
    assert shown.exit_code == 0
    assert len(lines) <= 40
    assert max(map(_columns, lines)) <= 100
    assert "一" <= lines[2].strip()[0] <= "鿿"
    command = COMMANDS[path]
    for option in command.params:
        if isinstance(option, click.Option) and option.name not in ("version", "help"):
            assert re.search("[一-鿿]", option.help or ""), option.name


def _columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


# Exit codes.


def test_every_documented_exit_code_is_reached(
    type_: Type, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, name, pdf = _issued(world, tmp_path)
    (tmp_path / "large.pdf").write_bytes(bytes(11 << 20))
    assert type_("verify", pdf).code == 0
    assert type_("verify", number, "--name", name).code == 0
    assert type_("verify", examine.qr_text(pdf.read_bytes())).code == 0
    assert type_("verify", str(examine.qr_text(pdf.read_bytes())).split("#")[1]).code == 0
    assert type_("verify", number, "--name", "别人").code == 1
    assert type_("verify", "rubbish").code == 1
    assert type_("verify", tmp_path / "large.pdf").code == 2
    assert type_("verify", number).code == 64
    assert type_("verify", tmp_path / "absent.pdf").code == 65
    assert type_("verify", tmp_path).code == 65
    assert type_("batch", "gates", 99, by=OPERATOR, yes=False).code == 65
    monkeypatch.setenv("QIANFA_KEYS", str(tmp_path / "nowhere"))
    for command in ("issue", "serve", "init"):
        assert type_(command).code == 78, command
    monkeypatch.setenv("QIANFA_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    assert type_("verify", pdf).code == 75
    for setting, value in (("PORT", "0"), ("DATABASE_URL", "rubbish"), ("PROT", "8080")):
        monkeypatch.setenv(f"QIANFA_{setting}", value)
        refused = type_("verify", pdf)
        assert refused.code == 78
        assert f"QIANFA_{setting}" in refused.err
        monkeypatch.delenv(f"QIANFA_{setting}")


def _issued(world: World, folder: Path) -> tuple[str, str, Path]:
    async def issue() -> tuple[str, str, bytes]:
        await world.approved(count=1)
        await world.issue()
        async with world.connection() as connection:
            row = await connection.fetchrow("select number, name, pdf_sha256 from certificate")
        assert row is not None
        store = Objects.open(world.settings.store_address)
        return row["number"], row["name"], await store.get(row["pdf_sha256"].hex())

    number, name, pdf = asyncio.run(issue())
    (folder / "one.pdf").write_bytes(pdf)
    return number, name, folder / "one.pdf"


def test_nobody_acts_without_a_word_of_consent_an_account_or_a_right(
    type_: Type, tmp_path: Path
) -> None:
    add = ("account", "add", "auditor-1", "--role", "reviewer", "--city-code", CHENGDU)
    assert type_(*add, by="province", yes=False).code == 64
    assert type_(*add, "--yes").code == 64
    assert type_(*add, "--yes", "--as", "province").code == 64
    (tmp_path / "wrong").write_bytes(b"\xff wrong")
    wrong = ("--yes", "--secret-file", tmp_path / "wrong", "--as")
    unknown, known = type_(*add, *wrong, "nobody"), type_(*add, *wrong, "province")
    assert unknown == known
    assert known.code == 77
    refused = type_(*add, by=OPERATOR)
    assert refused.code == 77
    assert "（经办 operator）无权办理此事；可由省中心 province办理（accounts:" in refused.err
    kept = tmp_path / "kept"
    assert type_(*add, "--keep-secret-in", kept, by="province").code == 0
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    shown = type_("batch", "list", "--as", "auditor-1", "--secret-file", kept)
    assert shown.code == 0
    assert type_("account", "disable", "auditor-1", by="province").code == 0
    assert type_("batch", "list", "--as", "auditor-1", "--secret-file", kept).code == 77


def test_the_province_lists_all_accounts_and_nobody_else_any(type_: Type) -> None:
    assert type_("account", "disable", OPERATOR, by="province").code == 0
    listed = type_("account", "list", by="province", yes=False).out
    (ended,) = [line for line in listed.splitlines() if line.startswith(OPERATOR)]
    (live,) = [line for line in listed.splitlines() if line.startswith(REVIEWER)]
    assert live.split() == [REVIEWER, "复核", "reviewer", CHENGDU]
    assert len(ended.split()) > len(live.split())
    assert type_("account", "list", by=REVIEWER, yes=False).code == 77


def test_a_secret_that_cannot_be_kept_leaves_no_account(type_: Type, tmp_path: Path) -> None:
    add = ("account", "add", "auditor-2", "--role", "reviewer", "--city-code", CHENGDU)
    (tmp_path / "taken").touch()
    for place in (tmp_path / "taken", tmp_path / "absent" / "secret"):
        refused = type_(*add, "--keep-secret-in", place, by="province")
        assert refused.code == 65
        assert str(place) in refused.err
    assert type_(*add, by="province").code == 0


_HUGE = "9" * 40
_LOOKS = {("batch", look) for look in ("list", "gates", "certificates", "export")}
_GROUNDS = ["--reason", "核查属实", "--document-number", "成人社函〔2026〕8号"]
_ADD = ["account", "add", "--role", "reviewer", "--city-code"]
_MISTAKES: list[tuple[str, int, list[object]]] = [
    (OPERATOR, 64, ["batch", "gates", _HUGE]),
    (OPERATOR, 64, ["batch", "gates", "x"]),
    (OPERATOR, 65, ["batch", "certificates", 2**63 - 1]),
    (OPERATOR, 65, ["batch", "export", 99, "--to", __file__]),
    (OPERATOR, 65, ["batch", "submit", 99]),
    (OPERATOR, 65, ["batch", "retry", 99]),
    (REVIEWER, 65, ["batch", "approve", 99]),
    (REVIEWER, 65, ["batch", "return", 99, "--reason", "不全"]),
    (OPERATOR, 65, ["void", "\udce4", "--reason", "\udce4"]),
    (OPERATOR, 65, ["revoke", "\udce4", *_GROUNDS]),
    (OPERATOR, 65, ["cancel", _HUGE, *_GROUNDS]),
    (OPERATOR, 64, ["lift", _HUGE, *_GROUNDS[:2]]),
    (OPERATOR, 65, ["correct", _HUGE, *_GROUNDS, "--name", "\udce4"]),
    (OPERATOR, 64, ["correct", _HUGE, *_GROUNDS, "--ask-id-number"]),
    (OPERATOR, 65, ["change", "confirm", 99]),
    (OPERATOR, 64, ["change", "confirm", _HUGE]),
    (OPERATOR, 65, ["change", "decline", 99, "--reason", "\udce4"]),
    ("province", 77, ["suspend", _HUGE, *_GROUNDS]),
    (OPERATOR, 65, ["void", _HUGE, "--reason", "x" * 100_000]),
    ("province", 65, [*_ADD, CHENGDU, "Not A Name"]),
    ("province", 65, [*_ADD, "999999", "fine"]),
    ("province", 65, [*_ADD, "510000", "fine"]),
    ("province", 65, [*_ADD, CHENGDU, OPERATOR]),
    ("province", 64, ["account", "add", "fine", "--role", "king", "--city-code", CHENGDU]),
    ("province", 65, ["account", "disable", "nobody"]),
    ("\udce4", 65, ["batch", "list"]),
    ("province", 77, ["batch", "import", __file__, "--uscc", invented.INSTITUTION]),
    (OPERATOR, 64, ["batch", "import", "/absent", "--uscc", invented.INSTITUTION]),
    ("", 65, ["template", "/proc/absent/t.xlsx"]),
    ("", 65, ["template", Path(__file__).parent]),
    ("", 64, ["nothing"]),
    ("", 64, []),
]


def test_a_mistake_is_answered_with_one_refusal_and_never_a_traceback(type_: Type) -> None:
    for by, code, words in _MISTAKES:
        answer = type_(*words, by=by, yes=tuple(words[:2]) not in _LOOKS)
        assert answer.code == code, (words, answer)
        assert len(answer.err.encode("utf-8", "replace")) < 200_000


# Facts.

_DAY = "2026-05-23"
_VALUES: dict[str, object] = {
    "city_code": CHENGDU,
    "authority_code": CHENGDU,
    "uscc": invented.INSTITUTION,
    "project_name": "四川泡菜制作",
    "project_names": "四川泡菜制作",
    "issuer_code": "0" * 18,
    "number_digits": "01",
    "period": 2027,
    "body_serial": 2,
    "first_sequence": 1,
    "scheme_version": 2,
    "session_number": 21,
    "series_code": "2027-inner",
    "year": 2027,
    "prefix": "川27A",
    "digit_count": 7,
    "edition": "2026",
    "segments": '[{"source": "year", "width": 4}, {"source": "city", "width": 2},'
    ' {"source": "body", "width": 3}, {"source": "sequence", "width": 5}]',
    "text_sha256": __file__,
    "file_sha256": __file__,
    "starts_on": "2027-05-22",
    "ends_on": "2027-05-28",
    "kept_until": "2040-01-01",
    "publicity_until": "2026-06-01",
    "papers_until": "2026-04-01",
    "valid_until": "2027-01-01",
    "batch_id": 1,
}


def _value(option: click.Option) -> object:
    if isinstance(option.type, click.Choice):
        return option.type.choices[0]
    known = _VALUES.get(option.name or "")
    return known or (_DAY if option.metavar == "YYYY-MM-DD" else "示例二号")


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_is_recorded_by_a_command_with_exactly_its_options(
    name: str, type_: Type, world: World
) -> None:
    options = {
        option.opts[0]: _value(option)
        for option in FACTS[name].params
        if isinstance(option, click.Option) and option.required
    }
    fields = {
        field.removesuffix("_sha256") for field in KINDS[FACTS[name].help or ""].__struct_fields__
    }
    assert {flag.removeprefix("--").replace("-", "_") for flag in options} == fields
    if "batch_id" in fields:
        asyncio.run(world.import_rows(CHENGDU, rows(1)))
        by = OPERATOR
    else:
        by = "province"
    if name == "start":
        options["--scheme-version"], options["--body-serial"] = 1, 1
    for flag, value in options.items():
        if value in (_DAY, __file__) or flag in ("--kind", "--segments", "--batch-id"):
            refused = type_("record", name, *_spread(options | {flag: "[昨天"}), by=by)
            assert (refused.code, flag in refused.err) == (64, True)
    answer = type_("record", name, *_spread(options), by=by)
    assert answer.code == 0, answer
    again = type_("record", name, *_spread(options), by=by)
    assert again.code in (0, 65)
    too_long = next((flag for flag in options if options[flag] == "示例二号"), None)
    if too_long:
        refused = type_("record", name, *_spread(options | {too_long: "长" * 1000}), by=by)
        assert refused.code == 64


def test_a_series_has_a_layout_that_is_there_and_a_code_and_prefix_of_its_own(type_: Type) -> None:
    options = {
        option.opts[0]: _value(option)
        for option in FACTS["blank-series"].params
        if isinstance(option, click.Option) and option.required
    }

    def record(**changed: str) -> str:
        given = options | {f"--{flag}": value for flag, value in changed.items()}
        return type_("record", "blank-series", *_spread(given), by="province").err

    assert "BlankEditionUnknown" in record(edition="2027")
    assert "✗" not in record()
    assert "SeriesExists" in record(prefix="川27B")  # the code is taken
    assert "SeriesExists" in record(prefix="川27B", **{"series-code": "2027\u200b-inner"})
    assert "--document-number" in record(**{"document-number": "\u200b\u200b"})
    assert "SeriesExists" in record(**{"series-code": "2028-inner"})  # the prefix is


def test_every_kind_of_fact_has_its_command() -> None:
    assert {command.help for command in FACTS.values()} == set(KINDS)


def _spread(options: dict[str, object]) -> list[object]:
    return [word for pair in options.items() for word in pair]


# Workbooks.


def test_a_template_is_filled_in_and_imported(type_: Type, tmp_path: Path) -> None:
    empty = tmp_path / "template.xlsx"
    assert type_("template", empty, "--city-code", CHENGDU).code == 0
    refused = type_("batch", "import", empty, "--uscc", invented.INSTITUTION, by=OPERATOR)
    assert (refused.code, "RowsMissing" in refused.err) == (65, True)
    filled = tmp_path / "filled.xlsx"
    people = invented.candidates(5, project=DAILY, exam_on=EXAM_ON)
    invented.write_workbook(filled, people)
    done = type_("batch", "import", filled, "--uscc", invented.INSTITUTION, by=OPERATOR)
    assert (done.code, "5 行" in done.out) == (0, True)
    again = type_("batch", "import", filled, "--uscc", invented.INSTITUTION, by=OPERATOR)
    assert (again.code, "FileImportedAlready" in again.err) == (65, True)
    shown = type_("batch", "gates", 1, by=OPERATOR, yes=False)
    early = type_("batch", "submit", 1, by=OPERATOR)
    assert (early.code, "gate-10-commitment-absent" in early.err) == (65, True)
    papers = ("record", "papers", "--batch-id", 1, "--received-on", "2026-04-01")
    assert type_(*papers, by=OPERATOR).code == 0
    for party in ("candidates", "institution"):
        record = ("record", "commitment", "--batch-id", 1, "--party", party, "--committed-by")
        words = ("示例", "--committed-on", EXAM_ON, "--text", filled)
        assert type_(*record, *words, by=OPERATOR).code == 0
    submitted = type_("batch", "submit", 1, by=OPERATOR)  # publicity may still run
    returned = type_("batch", "return", 1, "--reason", "缺少承诺书", by=REVIEWER)
    listed = type_("batch", "list", by=OPERATOR, yes=False)
    assert {shown.code, submitted.code, returned.code, listed.code} == {0}
    assert "缺少承诺书" in listed.out
    for answer in (done, again, shown, submitted, returned, listed):
        for person in people:
            assert person.id_number not in answer.out + answer.err
            assert person.phone not in answer.out + answer.err


def test_a_certificate_is_corrected_and_revoked_by_two_people(
    type_: Type, world: World, tmp_path: Path
) -> None:
    number, name, _ = _issued(world, tmp_path)
    (tmp_path / "id").write_text("E12345678\n")
    correct = ("correct", number, *_GROUNDS, "--name", "扎西旺堆", "--id-kind", "护照")
    said = [type_(*correct, "--id-number-file", tmp_path / "id", by=OPERATOR)]
    said += [type_("change", "list", by=REVIEWER, yes=False)]
    assert "更正为" in said[-1].out
    assert "姓名 扎西旺堆；证件类型 护照；证件号码 E" in re.sub(r"\s", " ", said[-1].out)
    assert "更正 correct" in said[-1].out
    alone = type_("change", "confirm", 1, by=OPERATOR)
    assert (alone.code, "SecondPersonNeeded" in alone.err) == (65, True)
    said += [type_("change", "confirm", 1, by=REVIEWER), type_("issue")]
    assert f"{number} 更正 correct 已办理" in said[-2].out
    said += [type_("verify", number, "--name", "扎西旺堆")]
    assert type_("verify", number, "--name", name).code == 1
    said += [type_("revoke", number, *_GROUNDS, by=REVIEWER)]
    said += [type_("change", "decline", 2, "--reason", "误报", by=OPERATOR)]
    said += [type_("revoke", number, *_GROUNDS, by=OPERATOR)]
    said += [type_("change", "confirm", 3, by=REVIEWER)]
    assert {answer.code for answer in said} == {0}, said
    revoked = type_("verify", number, "--name", "扎西旺堆")
    assert (revoked.code, "REVOKED" in revoked.out) == (1, True)
    assert not [answer for answer in said if "E12345678" in answer.out + answer.err]


def test_every_error_of_a_workbook_is_listed_with_row_and_column(
    type_: Type, tmp_path: Path
) -> None:
    people = invented.candidates(4, project=DAILY, exam_on=EXAM_ON)
    wrong = people[1].id_number[:-1] + ("0" if people[1].id_number[-1] != "0" else "1")
    people[1] = msgspec.structs.replace(people[1], id_number=wrong)
    people[2] = msgspec.structs.replace(people[2], sex="?", exam_on="2026-02-30")
    people[3] = msgspec.structs.replace(people[3], name="王\x1b[31m小", total=101)
    path = tmp_path / "wrong.xlsx"
    invented.write_workbook(path, people)
    refused = type_("batch", "import", path, "--uscc", invented.INSTITUTION, by=OPERATOR)
    assert refused.code == 65
    for place in ("row 3 证件号码", "row 4 性别", "row 4 考核日期", "row 5 姓名", "row 5 总成绩"):
        assert place in refused.err
    assert wrong not in refused.err
    assert "\x1b[31m" not in refused.err
    assert type_("batch", "list", by=OPERATOR, yes=False).out.count("\n") == 1


def test_a_hostile_workbook_is_refused_once_and_soon(type_: Type, tmp_path: Path) -> None:
    far = tmp_path / "far.xlsx"
    invented.write_workbook(far, invented.candidates(1, project=DAILY, exam_on=EXAM_ON))
    with zipfile.ZipFile(far) as before, zipfile.ZipFile(tmp_path / "far2.xlsx", "w") as after:
        for entry in before.namelist():
            content = before.read(entry).replace(b'r="M2"', b'r="XFD2"')
            after.writestr(entry, content)
    (tmp_path / "empty.xlsx").touch()
    (tmp_path / "text.xlsx").write_text("准考证号,姓名\n")
    (tmp_path / "half.xlsx").write_bytes(far.read_bytes()[:2000])
    (tmp_path / "large.xlsx").write_bytes(bytes(layouts.BYTES_MAX + 1))
    expected = {
        "far2": "CellFarAway",
        "empty": "FileEmpty",
        "text": "HeaderMissing",  # it is a CSV of no known column
        "half": "WorkbookBroken",
        "large": "FileTooLarge",
    }
    for name, code in expected.items():
        path = tmp_path / f"{name}.xlsx"
        refused = type_("batch", "import", path, "--uscc", invented.INSTITUTION, by=OPERATOR)
        assert (refused.code, code in refused.err) == (65, True), refused


def test_every_refusal_has_both_languages_and_a_documented_exit_code() -> None:
    documented = {int(code) for code in re.findall(r"(\d+) ", cli.qianfa.epilog or "")}
    assert documented == {0, 1, 2, 64, 65, 75, 77, 78}
    for kind in Refusal.__subclasses__():
        lines = (inspect.getdoc(kind) or "").splitlines()
        assert len(lines) == 2, kind
        assert re.search("[一-鿿]", lines[0]), kind


# What was issued before.


def test_a_sheet_from_before_is_taken_in_by_two_and_said_not_to_be_sealed_by_us(
    type_: Type, tmp_path: Path
) -> None:
    (line,) = lines(1)
    pdfs = tmp_path / "pdfs"
    pdfs.mkdir()
    (pdfs / f"{line['证书编号']}.pdf").write_bytes(b"%PDF-1.4 one")
    assert type_("template", "--adoption", tmp_path / "sheet.xlsx").code == 0
    adopt = ("adopt", tmp_path / "sheet.xlsx", "--pdfs", pdfs, "--document-number")
    empty = type_(*adopt, "收录1号", by=OPERATOR)
    assert (empty.code, "RowsMissing" in empty.err) == (65, True)
    (tmp_path / "sheet.xlsx").write_bytes(b"PK\x03\x04" + bytes(100))
    broken = type_(*adopt, "收录1号", by=OPERATOR)
    assert (broken.code, "WorkbookBroken" in broken.err) == (65, True)
    write(tmp_path / "sheet.xlsx", [line])
    assert type_(*adopt, "1", by=OPERATOR).code == 64
    assert type_(*adopt, "收录1号", by="province").code == 77
    assert "waits for another person" in type_(*adopt, "收录1号", by=OPERATOR).out
    assert "a new wish" in type_(*adopt, "收录2号", by=REVIEWER).out
    own = type_(*adopt, "收录1号", by=OPERATOR)
    assert (own.code, "AdoptionNeedsTwoPersons" in own.err) == (65, True)
    assert "已完成 done" in type_(*adopt, "收录1号", by=REVIEWER).out
    listed = type_("adoptions", "--as", OPERATOR, "--secret-file", tmp_path / "secret")
    assert (listed.code, "收录1号" in listed.out, REVIEWER in listed.out) == (0, True, True)
    shown = type_("verify", line["证书编号"], "--name", line["姓名"])
    assert (shown.code, "not sealed by it" in shown.out) == (0, True)
    same = type_("verify", pdfs / f"{line['证书编号']}.pdf")
    assert (same.code, "没有本系统的电子签章" in same.out) == (0, True)
