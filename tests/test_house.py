"""The house: who may import whom, what a waiver needs, and that Python and SQL say the same."""

import ast
import datetime
import importlib
import io
import re
import tokenize
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from service.ground import db, errors, statements
from service.ground.errors import Refusal
from tests.world import World

ROOT = Path(__file__).parent.parent
FLOORS = {
    "ground": "errors settings db statements migrate embedded jail objects observability",
    "registry": "journal accounts facts people vault catalogue institutions",
    "issuing": "numbering certificates public_keys sheets photos batches issuance changes adoption"
    " publication",
    "paper": "blanks orders documents forms requisitions supply overlay printers printing papers"
    " stocktakes ledger tracing",
    "checking": "decision verification portal",
    "web": "pages problems limits identity site public api guards published candidates app",
}  # wings lowest first, the rooms of each from left to right
TOP = ["terminal", "wiring", "worker", "cli"]
ROOMS = [f"{wing}.{room}" for wing, rooms in FLOORS.items() for room in rooms.split()] + TOP
WIRING = {"wiring", "worker", "cli"}
SIGNING = {"issuing", "paper", "checking"} | WIRING | {"terminal"}


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    """The modules of a package by their dotted names below it; a mere docstring is none."""
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT / package).with_suffix("").parts
        tree = ast.parse(path.read_text("utf-8"))
        if len(tree.body) > 1:
            yield ".".join(part for part in parts if part != "__init__"), tree


def imported(tree: ast.Module) -> set[str]:
    """Everything that a module imports, wherever in it, as dotted names."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, ast.unparse(node)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(module: str) -> str:
    """The room that a module of service belongs to, as it stands in ROOMS."""
    wing, _, rest = module.partition(".")
    return f"{wing}.{rest.partition('.')[0]}" if wing in FLOORS else wing


SERVICE = dict(modules("service"))
IMPORTS = {module: imported(tree) for module, tree in SERVICE.items()}


# Boundaries.


def test_every_room_has_its_place_and_no_place_is_empty() -> None:
    assert {room_of(module) for module in SERVICE} == set(ROOMS)


@pytest.mark.parametrize("module", SERVICE)
def test_a_room_imports_only_rooms_below_it_and_to_its_left(module: str) -> None:
    own = ROOMS.index(room_of(module))
    for name in IMPORTS[module]:
        if name.startswith("service."):
            assert ROOMS.index(room_of(name.removeprefix("service."))) <= own, name


def test_signing_never_imports_the_service() -> None:
    for module, tree in modules("signing"):
        assert not [name for name in imported(tree) if name.split(".")[0] == "service"], module


def test_only_those_who_issue_or_check_import_signing() -> None:
    for module, names in IMPORTS.items():
        if any(name.split(".")[0] == "signing" for name in names):
            assert room_of(module).split(".")[0] in SIGNING, module


def test_only_the_database_door_and_the_embedded_server_touch_the_driver() -> None:
    for module, names in IMPORTS.items():
        if any(name.split(".")[0] == "asyncpg" for name in names):
            assert room_of(module) in {"ground.db", "ground.embedded"}, module


def test_only_wiring_reads_settings_and_environment_and_loads_keys() -> None:
    for module, names in IMPORTS.items():
        reads = [
            name for name in names if re.match(r"service\.ground\.settings|signing\.keys", name)
        ]
        reads += [
            ast.unparse(node)
            for node in ast.walk(SERVICE[module])
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
        ]
        assert not reads or room_of(module) in WIRING, (module, reads)


# Waivers and marks.


def comments(path: Path) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def sources(*endings: str) -> Iterator[Path]:
    for folder in ("service", "signing", "tests", "templates", "bench"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in endings:
                yield path


WAIVER = re.compile(r"#\s*(noqa|type:\s*ignore|mypy:|ruff:|pragma:|pyright:)", re.IGNORECASE)
REASONED = re.compile(r"# noqa: [A-Z]+\d+(, [A-Z]+\d+)* - \S.+|# type: ignore\[[a-z, -]+\]  # \S.+")


@pytest.mark.parametrize(
    ("comment", "is_reasoned"),
    [
        ("# noqa: S603 - our own programs", True),
        ("# noqa: S603, PTH110 - our own programs", True),
        ("# type: ignore[arg-type]  # a file", True),
        ("# noqa", False),
        ("# noqa: S603", False),
        ("# noqa: S603 -", False),
        ("# type: ignore", False),
        ("# type: ignore[arg-type]", False),
        ("# type: ignore  # a file", False),
    ],
)
def test_what_a_waiver_with_a_reason_is(comment: str, is_reasoned: bool) -> None:
    assert WAIVER.match(comment)
    assert bool(REASONED.fullmatch(comment)) is is_reasoned


def test_every_waiver_carries_its_reason() -> None:
    bare = [
        f"{path.relative_to(ROOT)}: {comment}"
        for path in sources(".py")
        for comment in comments(path)
        if WAIVER.search(comment) and not REASONED.fullmatch(comment)
    ]
    assert bare == []


def test_nothing_is_left_marked_to_be_done() -> None:
    mark = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b")
    marked = [path for path in sources(".py", ".sql", ".typ", ".toml", ".html", ".csv", ".json")
              if mark.search(path.read_text("utf-8"))]  # fmt: skip
    assert marked == []


# Refusals.

REFUSALS = [
    one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Refusal)
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_says_one_line_in_each_language(refusal: type[Refusal]) -> None:
    zh, en = [line.strip() for line in (refusal.__doc__ or "").strip().splitlines()]
    assert re.search("[一-鿿]", zh)
    assert not re.search("[一-鿿]", en)
    assert sorted(re.findall(r"\{\w+\}", zh)) == sorted(re.findall(r"\{\w+\}", en)) or (
        "limit_zh" in zh  # a limit is told in each language
    )


def test_no_refusal_is_without_use() -> None:
    said = {
        node.id if isinstance(node, ast.Name) else node.attr
        for tree in SERVICE.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.Attribute)
    }
    assert [one.__name__ for one in REFUSALS if one.__name__ not in said] == []


async def test_every_constraint_that_means_a_refusal_is_in_the_database(world: World) -> None:
    async with world.connection() as connection:
        rows = await connection.fetch(
            "select conname as name from pg_constraint union select relname from pg_class"
            " where relkind = 'i' union select tgname from pg_trigger"
        )
    assert db.CONSTRAINTS.keys() - {row["name"] for row in rows} == set()
    for name, refusal in db.CONSTRAINTS.items():
        assert "{" not in str(refusal()), name  # the database tells no facts


# Statements.

COLUMN_TYPES: Mapping[str, object] = {
    "bool": bool,
    "bytea": bytes,
    "date": datetime.date,
    "float8": float,
    "int4": int,
    "int8": int,
    "numeric": Decimal,
    "text": str,
    "timestamptz": datetime.datetime,
}
for _module in SERVICE:
    importlib.import_module(f"service.{_module}")


def test_every_statement_that_is_written_is_used_once() -> None:
    written = Counter(
        name
        for path in (ROOT / "service").rglob("*.sql")
        if path.parent.name != "migrations"
        for name in re.findall(r"^-- (\w+)\(", path.read_text("utf-8"), re.MULTILINE)
    )
    assert written == Counter(statement.name for statement in statements.every)


@pytest.mark.parametrize(
    "head", ["find(number) -> Other?", "find(number) -> [int]", "find(number) -> none"]
)
def test_a_head_that_differs_from_its_use_stops_the_import(tmp_path: Path, head: str) -> None:
    path = tmp_path / "room.sql"
    path.write_text(f"-- {head}\n-- Something.\nselect :number;\n")
    with pytest.raises(TypeError, match="find answers"):
        statements.Statements(path).perhaps("find", int)


async def test_every_statement_answers_with_what_its_record_says(world: World) -> None:
    async with world.connection() as connection:
        for statement in statements.every:
            prepared = await connection.prepare(statement.text)
            assert len(prepared.get_parameters()) == len(statement.parameters), statement.name
            columns = {
                one.name: one.type.name
                for one in prepared.get_attributes()
                if one.type.name != "void"  # of a function called for its effect
            }
            assert columns.keys() == _fields(statement, columns).keys(), statement.name
            for name, hint in _fields(statement, columns).items():
                assert _holds(hint, columns[name]), (statement.name, name, hint, columns[name])


def _fields(statement: statements.Statement[Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """What a statement promises to answer: the fields of its record, or its only column."""
    if isinstance(statement, statements.Nothing):
        return {}
    if not issubclass(statement.record, msgspec.Struct):
        return {next(iter(columns)): statement.record}
    hints = get_type_hints(statement.record, include_extras=True)
    return {name: hints[name] for name in statement.record.__struct_fields__}


def _holds(hint: Any, column: str) -> bool:
    """Whether a column of this type fills a field of this type."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _holds(hint.__origin__, column)
    if origin in (Union, types.UnionType):
        return any(_holds(part, column) for part in get_args(hint) if part is not type(None))
    if column == "jsonb":
        return origin is list or (isinstance(hint, type) and issubclass(hint, msgspec.Struct))
    if origin is list:
        return column.endswith("[]") and _holds(get_args(hint)[0], column.removesuffix("[]"))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return column == "text"
    return COLUMN_TYPES.get(column) is hint
