"""Jobs for a jail to try, harmless and hostile; a mother imports them quickly and nothing else."""

import asyncio
import base64
import contextlib
import ctypes
import io
import mmap
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import python_calamine


def echo(data: bytes, **arguments: object) -> dict[str, object]:
    return {"size": len(data), "text": data[:40].decode(), "arguments": arguments}


def eat_memory(data: bytes) -> int:
    return len(bytearray(1 << 30) + data)


def map_memory(data: bytes) -> int:
    return len(mmap.mmap(-1, 1 << 30)) + len(data)


def spin(_: bytes) -> None:
    while True:
        pass


def sleep(data: bytes) -> int:
    time.sleep(float(data))
    return os.getpid()


def flood(_: bytes) -> str:
    return "a" * (2 << 20)


def flood_directly(_: bytes) -> None:
    pipes = [number for number in range(3, 9) if is_pipe(number)]
    while True:
        os.write(pipes[0], b"a" * 4096)


def is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def count(data: bytes) -> Iterator[int]:
    """Answer with numbers from 0 on; whoever listens sees each at once."""
    yield from range(int(data))


def count_slowly(data: bytes) -> Iterator[float]:
    """Answer at once, then after so many seconds."""
    yield 0.0
    time.sleep(float(data))
    yield float(data)


def count_and_fail(data: bytes) -> Iterator[int]:
    yield from range(3)
    raise KeyError(data.decode())


def count_and_spin(_: bytes) -> Iterator[int]:
    yield from range(3)
    while True:
        pass


def long_lines(data: bytes) -> Iterator[str]:
    """Answer with lines of a megabyte, so many."""
    for _ in range(int(data)):
        yield "a" * (1 << 20)


def stop_in_a_line(_: bytes) -> Iterator[str]:
    yield "whole"
    os.write(3, b'"half')
    os.abort()


def abort(_: bytes) -> None:
    os.abort()


def crash(_: bytes) -> None:
    ctypes.string_at(0)


def leave(_: bytes) -> None:
    sys.exit(0)


def open_file(data: bytes) -> str:
    return Path(data.decode()).read_text("utf-8")


def write_file(data: bytes) -> int:
    return Path(data.decode()).write_text("outside", "utf-8")


def open_socket(_: bytes) -> int:
    return socket.socket().fileno()


def start_thread(_: bytes) -> None:
    asyncio.run(asyncio.to_thread(print))


def fork(_: bytes) -> int:
    return os.fork()


def execute(_: bytes) -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606 - the jail must refuse just this


def address(_: bytes) -> int:
    return id(os)


def descriptors(_: bytes) -> list[list[int]]:
    """Those that are open, and those of them that are pipes."""
    held = []
    for number in range(1024):
        with contextlib.suppress(OSError):
            os.fstat(number)
            held.append(number)
    return [held, [number for number in held if is_pipe(number)]]


def identity(_: bytes) -> dict[str, object]:
    return {
        "environment": dict(os.environ),
        "user": os.geteuid(),
        "group": os.getegid(),
        "groups": os.getgroups(),
        "pid": os.getpid(),
    }


def kill_neighbour(data: bytes) -> None:
    os.kill(int(data), signal.SIGKILL)


def print_and_answer(_: bytes) -> str:
    os.write(1, b"noise")
    sys.stdout.write("more noise")
    return "答复"


def fail_with_secret(data: bytes) -> None:
    raise KeyError(data.decode())


def hand_out(_: bytes, parts: list[object], **__: object) -> list[dict[str, str]]:
    """Give what no drawing gives: nothing for many, for one what only begins as a picture does."""
    jpeg = base64.b64encode(b"\xff\xd8\xff<script>").decode()
    return [{"jpeg": jpeg} for _ in (parts if len(parts) == 1 else ())]


def reach_out(_: bytes, byte_count: int, **__: object) -> dict[str, object]:
    """Tell of a file that reaches beyond its archive."""
    return {"entries": [["a.jpg", byte_count - 3, 4, 1, 1, 0, False, None]]}


def rows(data: bytes) -> list[list[Any]]:
    sheet = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0)
    return sheet.to_python()


def pages(data: bytes) -> list[Any]:
    document = pypdfium2.PdfDocument(data)
    image = document[0].render(scale=150 / 72)
    return [len(document), image.width, image.height]


JOBS: tuple[Callable[..., Any], ...] = (
    *(echo, eat_memory, map_memory, spin, sleep, flood, flood_directly, abort, crash, leave),
    *(open_file, write_file, open_socket, start_thread, fork, execute, identity),
    *(count, count_slowly, count_and_fail, count_and_spin, long_lines, stop_in_a_line),
    *(address, descriptors, kill_neighbour, print_and_answer, fail_with_secret, rows, pages),
)
