"""Statements: SQL lives in a `.sql` file beside its room and is called as a typed function.

Each statement has a head, `-- take(city_code, year) -> Range`, then a line of description, then SQL
that names its parameters `:city_code`. A result is one record, perhaps one (`Range?`), many
(`[Range]`) or `none`. A head that differs from the room's use of it stops the import; a test
prepares every statement and compares its columns with its record.
"""

import datetime
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from service.ground.db import Connection

Result = TypeVar("Result")

_HEAD = re.compile(r"^-- (\w+)\(([\w, ]*)\) -> (none|\w+|\w+\?|\[\w+\])$", re.MULTILINE)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z][a-z0-9_]*)")
_BUILTINS = (bytes, datetime.date, datetime.datetime, Decimal)


class Statement(Generic[Result]):
    """One statement of a `.sql` file, bound to the record it answers with."""

    def __init__(self, name: str, parameters: tuple[str, ...], text: str, record: Any) -> None:
        self.name, self.parameters, self.record = name, parameters, record
        self.text = _PARAMETER.sub(lambda found: f"${parameters.index(found[1]) + 1}", text)
        every.append(self)

    def _arguments(self, given: dict[str, object]) -> list[object]:
        if given.keys() != set(self.parameters):
            raise TypeError(f"{self.name} takes {self.parameters}, not {tuple(given)}")
        return [given[name] for name in self.parameters]

    def _convert(self, row: Any) -> Result:
        if not issubclass(self.record, msgspec.Struct):
            return row[0]  # type: ignore[no-any-return]  # the test compares its type
        record: Result = msgspec.convert(dict(row), self.record, builtin_types=_BUILTINS)
        return record


class One(Statement[Result]):
    """A statement that always answers with one row."""

    async def __call__(self, connection: Connection, **given: object) -> Result:
        """Run it and return its row."""
        row = await connection.fetchrow(self.text, *self._arguments(given))
        if row is None:
            raise LookupError(self.name)
        return self._convert(row)


class Perhaps(Statement[Result]):
    """A statement that answers with one row or none."""

    async def __call__(self, connection: Connection, **given: object) -> Result | None:
        """Run it and return its row, if there is one."""
        row = await connection.fetchrow(self.text, *self._arguments(given))
        return None if row is None else self._convert(row)


class Many(Statement[Result]):
    """A statement that answers with any number of rows."""

    async def __call__(self, connection: Connection, **given: object) -> list[Result]:
        """Run it and return its rows in the order of the statement."""
        rows = await connection.fetch(self.text, *self._arguments(given))
        return [self._convert(row) for row in rows]


class Nothing(Statement[None]):
    """A statement that is run for its effect."""

    async def __call__(self, connection: Connection, **given: object) -> None:
        """Run it."""
        await connection.execute(self.text, *self._arguments(given))


every: list[Statement[Any]] = []


class Statements:
    """The statements of one file, taken out by name and checked against their heads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_text("utf-8")
        heads = list(_HEAD.finditer(text))
        ends = [head.start() for head in heads[1:]] + [len(text)]
        self._parts = {
            head[1]: (head[2], head[3], text[head.end() : end])
            for head, end in zip(heads, ends, strict=True)
        }

    def one(self, name: str, record: type[Result]) -> One[Result]:
        """Take the statement that answers with exactly one row."""
        return One(*self._part(name, record.__name__), record)

    def perhaps(self, name: str, record: type[Result]) -> Perhaps[Result]:
        """Take the statement that answers with a row or none."""
        return Perhaps(*self._part(name, f"{record.__name__}?"), record)

    def many(self, name: str, record: type[Result]) -> Many[Result]:
        """Take the statement that answers with rows."""
        return Many(*self._part(name, f"[{record.__name__}]"), record)

    def run(self, name: str) -> Nothing:
        """Take the statement that answers with nothing."""
        return Nothing(*self._part(name, "none"), None)

    def _part(self, name: str, answer: str) -> tuple[str, tuple[str, ...], str]:
        parameters, declared, text = self._parts[name]
        if declared != answer:
            raise TypeError(f"{self._path.name}: {name} answers {declared}, used as {answer}")
        return name, tuple(word.strip() for word in parameters.split(",") if word.strip()), text


def beside(module_file: str) -> Statements:
    """Open the `.sql` file that stands beside a module."""
    return Statements(Path(module_file).with_suffix(".sql"))
