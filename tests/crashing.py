"""A program of ours in a process that kills itself at one point of its protocol.

`python -m tests.crashing "before store 2" worker until-empty` runs a worker that dies just before
the second time it stores. The points are wrapped from outside: the product has none. What can be
named is a statement by its name, `make`, `store`, and `fsync`.
"""

import functools
import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from service import cli, worker
from service.ground import statements
from service.ground.objects import Objects
from service.issuing.issuance import Press

_PROGRAMS = {"worker": worker.main, "qianfa": cli.main}


class Point:
    """The moment before or after the `count`-th call of something."""

    def __init__(self, text: str) -> None:
        self.moment, self.name, count = text.split()
        self._calls, self._count = itertools.count(1), int(count)

    def reached(self, moment: str, name: str) -> None:
        """Die if this is the moment: without a farewell, as a power cut would have it."""
        if (moment, name) == (self.moment, self.name) and next(self._calls) == self._count:
            os.kill(os.getpid(), signal.SIGKILL)

    def sync(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function."""

        @functools.wraps(function)
        def wrapped(*given: Any, **named: Any) -> Any:
            self.reached("before", name)
            result = function(*given, **named)
            self.reached("after", name)
            return result

        return wrapped

    def coroutine(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a coroutine; one without a name is a statement and has its own."""

        @functools.wraps(function)
        async def wrapped(self_: Any, *given: Any, **named: Any) -> Any:
            self.reached("before", name or self_.name)
            result = await function(self_, *given, **named)
            self.reached("after", name or self_.name)
            return result

        return wrapped


def main() -> None:
    """Wrap the point and run the program."""
    point, program = Point(sys.argv[1]), sys.argv[2]
    for kind in (statements.One, statements.Perhaps, statements.Many, statements.Nothing):
        kind.__call__ = point.coroutine("", kind.__call__)  # type: ignore[method-assign]  # it breaks from outside
    Press.make = point.sync("make", Press.make)  # type: ignore[method-assign]  # it breaks from outside
    Objects.put_all = point.coroutine("store", Objects.put_all)  # type: ignore[method-assign]  # it breaks from outside
    os.fsync = point.sync("fsync", os.fsync)
    sys.argv[1:] = sys.argv[3:]
    _PROGRAMS[program]()


if __name__ == "__main__":
    main()
