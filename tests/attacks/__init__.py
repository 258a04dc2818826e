"""Attacks: crafted files, each with what it tries and what the file door must say to it.

A module makes the files of a few families from a genuine certificate, or from nothing.
`python -m tests.attacks` shows them all to a real service and writes `docs/attacks.md`.
"""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import msgspec

from tests.attacks.files import Ours

Expected = tuple[str, str]
Make = Callable[[Ours], bytes]

VALID = ("valid", "registered-picture")
ALTERED = ("altered", "file-altered")
UNTRUSTED = ("untrusted", "seal-of-others")
UNKNOWN = ("unknown", "file-unknown")
NO_CODE = ("unknown", "picture-without-code")
LIMIT = ("indeterminate", "file-beyond-limits")


class Attack(msgspec.Struct, frozen=True):
    """One crafted file."""

    family: str
    name: str
    tries: str
    expected: Expected
    make: Make


class Family:
    """A family of attacks under one name, filled by its module with `add`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.attacks: list[Attack] = []

    def add(
        self, name: str, tries: str, expected: Expected, make: Callable[..., bytes], *given: Any
    ) -> None:
        """Add a file, made as `make(ours, *given)`."""
        attack = Attack(self.name, name, tries, expected, lambda ours: make(ours, *given))
        self.attacks.append(attack)


def families(*modules: ModuleType) -> Iterator[Family]:
    """Yield the families of some modules in the order in which they stand there."""
    for module in modules:
        yield from (value for value in vars(module).values() if isinstance(value, Family))
