"""The jail: strangers' bytes are read in child processes that can be limited and killed.

A child has its imports warm before a job arrives, takes one job and is then replaced: whatever a
file did to its reader ends with that reader, and no stranger's file meets another's. While it works
it can open nothing: no file, socket, process or thread; it holds no environment, and as root
it is an ordinary user of its own first. Without root it keeps the caller's user, and only what an
attacker's machine code could do with system calls that need no descriptor is left open to it.
What goes over a limit is `JailLimitExceeded`; what the job itself let escape is `JailFault`. Only
so many callers may wait; the next one is told `JailBusy` at once.
"""

import asyncio
import contextlib
import ctypes
import gc
import importlib
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Self, cast

import msgspec

from service.ground.errors import JailBusy, JailFault, JailLimitExceeded, JailUnavailable


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one job may take. `memory_bytes` is address space, the interpreter's own included."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: float
    output_bytes: int


WORKBOOK: Final = Limits(
    memory_bytes=512 << 20, cpu_seconds=10, wall_seconds=12, output_bytes=64 << 20
)
DOCUMENT: Final = Limits(
    memory_bytes=512 << 20, cpu_seconds=5, wall_seconds=8, output_bytes=1 << 20
)
_LIMITS_ZH = {"memory": "内存", "time": "时间", "output": "输出量", "crash": "进程异常终止"}
# The numeric users that Debian and systemd leave to passing services: one for each child.
_FIRST_USER, _USER_COUNT = 61184, 4336
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_OUT_OF_MEMORY = 77
_CHUNK_BYTES = 1 << 16


class Jail:
    """Children for the named jobs ("package.module:function"), at most `concurrent` at work.

    At most `waiting_max` callers wait for one. Cancelling a caller ends its child.
    A job is called as `function(data, **arguments)`, returns what JSON can hold and must have
    imported all it needs before it is called. It reports its findings; it does not raise them.
    """

    def __init__(
        self, *jobs: str, concurrent: int = 2, waiting_max: int = 16, start_seconds: float = 30
    ) -> None:
        self._jobs = jobs
        self._concurrent = concurrent
        self._waiting_max = waiting_max
        self._start_seconds = start_seconds
        self._callers = 0
        self._places = asyncio.Semaphore(concurrent)
        self._spares: set[asyncio.Task[asyncio.subprocess.Process]] = set()

    async def __aenter__(self) -> Self:
        for _ in range(self._concurrent):
            self._spare()
        return self

    async def __aexit__(self, *_: object) -> None:
        for spare in self._spares:
            spare.cancel()
        started = await asyncio.gather(*self._spares, return_exceptions=True)
        self._spares.clear()
        for child in started:
            if isinstance(child, asyncio.subprocess.Process):
                await _end(child)

    async def run(
        self, job: str, data: bytes, limits: Limits, arguments: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one job on `data` in a child of its own and return its answer.

        Raises:
            JailLimitExceeded: its fact `limit` is memory, time, output or crash.
            JailFault: the job let something escape.
            JailBusy: as many callers wait as may; its fact `seconds` says when to ask again.
            JailUnavailable: no child can be started.
        """
        if job not in self._jobs:
            raise ValueError(f"{job} is not a job of this jail")
        if self._callers >= self._concurrent + self._waiting_max:
            raise JailBusy(seconds=math.ceil(limits.wall_seconds))
        head = msgspec.json.encode((job, limits, arguments or {}, len(data)))
        self._callers += 1
        try:
            return await self._run(head + b"\n" + data, limits)
        finally:
            self._callers -= 1

    async def _run(self, request: bytes, limits: Limits) -> Any:
        async with self._places:
            child = await self._take()
            try:
                async with asyncio.timeout(limits.wall_seconds):
                    answer = await _exchange(child, request, limits.output_bytes)
            except TimeoutError as error:
                raise _exceeded("time") from error
            finally:
                await _end(child)
        return _judge(child.returncode, answer)

    def _spare(self) -> None:
        self._spares.add(asyncio.create_task(_start(self._jobs)))

    async def _take(self) -> asyncio.subprocess.Process:
        """Take a warm child and have its successor made; one that died idle is passed over."""
        try:
            async with asyncio.timeout(self._start_seconds):
                while True:
                    done, _ = await asyncio.wait(self._spares, return_when=asyncio.FIRST_COMPLETED)
                    for spare in done & self._spares:
                        self._spares.remove(spare)
                        self._spare()
                        child = spare.result()
                        if child.returncode is None:
                            return child
        except (OSError, TimeoutError) as error:
            raise JailUnavailable from error


async def _start(jobs: tuple[str, ...]) -> asyncio.subprocess.Process:
    """Start a child and wait until it has imported its jobs and given up its rights."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "service.ground.jail", *jobs),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    ready = b""
    try:
        ready = await _stdout(child).read(1)
    finally:
        if not ready:
            await _end(child)
    if not ready:
        raise ChildProcessError(f"not started: {', '.join(jobs)}")
    return child


async def _exchange(child: asyncio.subprocess.Process, request: bytes, output_bytes: int) -> bytes:
    stdin = cast(asyncio.StreamWriter, child.stdin)
    stdin.write(request)
    stdin.close()
    answer = bytearray()
    while chunk := await _stdout(child).read(_CHUNK_BYTES):
        answer += chunk
        if len(answer) > output_bytes:
            raise _exceeded("output")
    await child.wait()
    return bytes(answer)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kill a child if it still lives, and wait until nothing of it is left."""
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    while await _stdout(child).read(_CHUNK_BYTES):
        pass
    await child.wait()


def _stdout(child: asyncio.subprocess.Process) -> asyncio.StreamReader:
    return cast(asyncio.StreamReader, child.stdout)


def _judge(status: int | None, answer: bytes) -> Any:
    if status == -signal.SIGXCPU:
        raise _exceeded("time")
    if status == _OUT_OF_MEMORY:
        raise _exceeded("memory")
    try:
        exception, value = msgspec.json.decode(answer, type=tuple[str | None, Any])
    except msgspec.DecodeError as error:
        raise _exceeded("crash") from error
    if exception is not None:
        raise JailFault(exception=exception)
    return value


def _exceeded(limit: str) -> JailLimitExceeded:
    return JailLimitExceeded(limit=limit, limit_zh=_LIMITS_ZH[limit])


def _work(jobs: list[str]) -> None:
    """Live as a child: import, give up all rights, say so, take one job, answer and end."""
    gc.disable()  # a fifth of the start is spent looking for garbage among modules
    functions = {job: _function(job) for job in jobs}
    gc.enable()
    answer_to = os.dup(1)
    _drop_rights()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for printed in (1, 2):
        os.dup2(nowhere, printed)
    os.write(answer_to, b"\n")
    head = sys.stdin.buffer.readline()
    if not head:
        return
    job, limits, arguments, size = msgspec.json.decode(
        head, type=tuple[str, Limits, dict[str, Any], int]
    )
    _limit(limits)
    try:
        data = sys.stdin.buffer.read()
        if len(data) == size:  # or the parent died in the middle
            answer = memoryview(_answer(functions[job], data, arguments))
            while answer:
                answer = answer[os.write(answer_to, answer) :]
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    os._exit(0)


def _function(job: str) -> Callable[..., Any]:
    module, _, name = job.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _answer(function: Callable[..., Any], data: bytes, arguments: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode((None, function(data, **arguments)))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a message could carry the stranger's bytes
        return msgspec.json.encode((type(error).__name__, None))


def _drop_rights() -> None:
    """Become an unprivileged user who cannot start processes, gain rights or outlive the parent."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if os.geteuid() == 0:
        user = _FIRST_USER + os.getpid() % _USER_COUNT
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_PDEATHSIG, int(signal.SIGKILL))):
        if prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def _limit(limits: Limits) -> None:
    cpu_seconds = math.ceil(time.process_time()) + limits.cpu_seconds
    for limit, soft, hard in (
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 0, 0),
    ):
        resource.setrlimit(limit, (soft, hard))


if __name__ == "__main__":
    _work(sys.argv[1:])
