"""The jail: strangers' bytes are read in child processes that can be limited and killed.

A child is forked for one job from a mother that has all imports warm, and ends with its job:
whatever a file did to its reader ends with that reader, and no stranger's file meets another's.
While it works it can open nothing: no file, socket, process or thread; it holds no environment, no
descriptor but its two pipes, and as root it is an ordinary user of its own first. Without root it
keeps the caller's user, and only what an attacker's machine code could do with system calls that
need no descriptor is left open to it.
A child answers in lines, each a JSON text: of a large file the caller hears piece after piece, as
fast as it listens, and nobody holds the whole.
What goes over a limit is `JailLimitExceeded`; what the job itself let escape is `JailFault`. Only
so many callers may wait; the next one is told `JailBusy` at once.

The memory that a child copies holds no secret and nothing of another file: the mother is a program
of her own, without the service's environment, and passes pipes on without reading them. She keeps
root, where the service has it, to give it up in each child, which can neither signal nor trace her.
What is new to all her children is only that they share one layout of memory, in which one could try
what another has found out: once one died by a signal, a new mother takes the jobs that follow.
"""

import asyncio
import contextlib
import ctypes
import gc
import importlib
import math
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, cast

import msgspec

from service.ground.errors import JailBusy, JailFault, JailLimitExceeded, JailUnavailable


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one job may take. `memory_bytes` is address space, the interpreter's own included.

    `wall_seconds` are those in which its caller waits for it, all its answers together.
    """

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: float
    output_bytes: int


WORKBOOK: Final = Limits(
    memory_bytes=512 << 20, cpu_seconds=9, wall_seconds=20, output_bytes=256 << 20
)
DOCUMENT: Final = Limits(
    memory_bytes=512 << 20, cpu_seconds=5, wall_seconds=8, output_bytes=1 << 20
)
_LIMITS_ZH = {"memory": "内存", "time": "时间", "output": "输出量", "crash": "进程异常终止"}
# The numeric users that Debian and systemd leave to passing services: one for each child.
_FIRST_USER, _USER_COUNT = 61184, 4336
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CRASHED, _OUT_OF_MEMORY, _NOT_STARTED = 1, 77, 78
_CHUNK_BYTES = 1 << 16
_LINE_BYTES_MAX = 32 << 20
_FAULT = b"!"  # begins the line that names what a job let escape


class Jail:
    """Children for the named jobs ("package.module:function"), at most `concurrent` at work.

    At most `waiting_max` callers wait for one. Cancelling a caller ends its child.
    A job is called as `function(data, **arguments)` and returns what JSON can hold, or is a
    generator of such answers. It must have imported all it needs, and started no thread, before it
    is called. It reports its findings; it does not raise them.
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
        self._lives: set[asyncio.Task[None]] = set()
        self._warm: asyncio.Future[socket.socket] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def warm(self) -> None:
        """Start the mother now, and not when the first job asks for her.

        Raises: JailUnavailable.
        """
        try:
            await self._mother()
        except OSError as error:
            raise JailUnavailable from error

    async def __aexit__(self, *_: object) -> None:
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        if self._warm:
            self._warm.cancel()  # whoever still waits for it

    async def run(
        self,
        job: str,
        data: bytes,
        limits: Limits,
        arguments: Mapping[str, Any] | None = None,
        *,
        type: Any = Any,  # noqa: A002 - the word of the decoder it is meant for
    ) -> Any:
        """Run one job on `data` in a child of its own and return its one answer as `type`.

        Raises:
            JailLimitExceeded: its fact `limit` is memory, time, output or crash.
            JailFault: the job let something escape.
            JailBusy: as many callers wait as may; its fact `seconds` says when to ask again.
            JailUnavailable: no child can be started.
        """
        answers = self.stream(job, data, limits, arguments, type=type)
        (answer,) = [answer async for answer in answers]
        return answer

    async def stream(
        self,
        job: str,
        data: bytes,
        limits: Limits,
        arguments: Mapping[str, Any] | None = None,
        *,
        type: Any = Any,  # noqa: A002 - the word of the decoder it is meant for
    ) -> AsyncGenerator[Any, None]:
        """Run one job and give each of its answers as `type` when it comes.

        While the caller is busy with one, the child waits and its time does not run out. After a
        refusal nothing of what was given before is to be used. Closing the generator
        (`contextlib.aclosing`) ends the child.

        Raises: what `run` raises.
        """
        if job not in self._jobs:
            raise ValueError(f"{job} is not a job of this jail")
        if self._callers >= self._concurrent + self._waiting_max:
            raise JailBusy(seconds=math.ceil(limits.wall_seconds))
        decoder = msgspec.json.Decoder(type)
        head = msgspec.json.encode((job, limits, arguments or {}, len(data))) + b"\n"
        self._callers += 1
        try:
            async with (
                self._places,
                contextlib.aclosing(self._lines((head, data), limits)) as lines,
            ):
                async for line in lines:
                    yield _decode(decoder, line)
        finally:
            self._callers -= 1

    async def _lines(
        self, request: tuple[bytes, ...], limits: Limits
    ) -> AsyncGenerator[bytearray, None]:
        with contextlib.ExitStack() as held:
            try:
                control, pipes = await self._ask(held)
            except OSError as error:
                raise JailUnavailable from error
            line = bytearray()
            async with contextlib.aclosing(_exchange(*pipes, request, limits)) as chunks:
                async for chunk in chunks:
                    *ends, begin = chunk.split(b"\n")
                    for end in ends:
                        line += end
                        yield line
                        line.clear()
                    line += begin
                    if len(line) > _LINE_BYTES_MAX:
                        raise _exceeded("output")
        unended, _, status = line.rpartition(b"\0")
        if status.startswith(b"-"):
            control.close()
        _judge(status, unended)

    async def _ask(
        self, held: contextlib.ExitStack
    ) -> tuple[socket.socket, tuple[BinaryIO, BinaryIO]]:
        """Have a child forked; a mother that ended, retired or could not start has a successor."""
        while True:
            control = await self._mother()
            try:
                return control, _hand_over(control, held)
            except ConnectionError:
                control.close()

    async def _mother(self) -> socket.socket:
        warm = self._warm
        if warm is None or (warm.done() and (warm.exception() or warm.result().fileno() < 0)):
            warm = self._renew()
        return await asyncio.shield(warm)

    def _renew(self) -> asyncio.Future[socket.socket]:
        self._warm = asyncio.get_running_loop().create_future()
        life = asyncio.create_task(_keep(self._jobs, self._start_seconds, self._warm))
        self._lives.add(life)
        life.add_done_callback(self._lives.discard)
        return self._warm


async def _keep(
    jobs: tuple[str, ...], start_seconds: float, warm: asyncio.Future[socket.socket]
) -> None:
    """Start a mother, hand over where it takes jobs as soon as it does, and stay until it ends."""
    try:
        control, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with control, theirs:
            control.setblocking(False)
            mother = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "service.ground.jail", *jobs),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                env={"PYTHONPATH": os.pathsep.join(sys.path)},
            )
            theirs.close()
            try:
                async with asyncio.timeout(start_seconds):
                    if not await asyncio.get_running_loop().sock_recv(control, 1):
                        raise ChildProcessError(f"not started: {', '.join(jobs)}")
                warm.set_result(control)
                await mother.wait()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    mother.kill()
                await mother.wait()
    except OSError as error:
        warm.set_exception(error)
        warm.exception()  # it may be that nobody waits for it


def _hand_over(control: socket.socket, held: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    """Give a child's ends of its pipes to the mother; return where to ask it and where to hear."""
    ends = [
        held.enter_context(cast(BinaryIO, os.fdopen(end, mode, 0)))
        for _ in ("request", "answer")
        for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True)
    ]
    with ends[0] as request_from, ends[3] as answer_to:
        socket.send_fds(control, [b"\n"], [request_from.fileno(), answer_to.fileno()])
    return ends[1], ends[2]


async def _exchange(
    request: BinaryIO, answer: BinaryIO, asked: tuple[bytes, ...], limits: Limits
) -> AsyncGenerator[bytes, None]:
    """Give what a child answers and, at the end, the mother's word on how it ended.

    Hanging up has the mother kill a child that still lives; the answer ends when nothing is left.
    """
    loop, answers = asyncio.get_running_loop(), asyncio.StreamReader()
    hearing, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(answers), answer)
    asking, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, request)
    seconds_left, bytes_left = limits.wall_seconds, limits.output_bytes
    with contextlib.closing(hearing):
        try:
            for part in asked:
                asking.write(part)
            while True:
                waiting_since = loop.time()
                async with asyncio.timeout(seconds_left):
                    chunk = await answers.read(_CHUNK_BYTES)
                seconds_left -= loop.time() - waiting_since
                bytes_left -= len(chunk)
                if bytes_left < 0:
                    raise _exceeded("output")
                if not chunk:
                    return
                yield chunk
        except TimeoutError as error:
            raise _exceeded("time") from error
        finally:
            if not asking.is_closing():
                asking.abort()
            while await answers.read(_CHUNK_BYTES):
                pass


def _judge(status: bytes | bytearray, unended: bytes | bytearray) -> None:
    """Tell by the mother's word whether all has been said."""
    for ended, limit in ((-signal.SIGXCPU, "time"), (_OUT_OF_MEMORY, "memory")):
        if status == b"%d" % ended:
            raise _exceeded(limit)
    if status == b"%d" % _NOT_STARTED:
        raise JailUnavailable
    if unended or status != b"0":
        raise _exceeded("crash")


def _decode(decoder: msgspec.json.Decoder[Any], line: bytearray) -> Any:
    if line.startswith(_FAULT):
        raise JailFault(exception=line.removeprefix(_FAULT).decode("ascii", "replace"))
    try:
        return decoder.decode(line)
    except msgspec.DecodeError as error:
        raise _exceeded("crash") from error


def _exceeded(limit: str) -> JailLimitExceeded:
    return JailLimitExceeded(limit=limit, limit_zh=_LIMITS_ZH[limit])


def _mother(jobs: list[str]) -> None:
    """Live as the mother: import, say so, and fork until the service hangs up."""
    for ending in (signal.SIGINT, signal.SIGTERM):  # meant for the service, which ends its jobs
        signal.signal(ending, signal.SIG_IGN)
    _bind()
    gc.disable()  # a fifth of the start is spent looking for garbage among modules
    functions = {job: _function(job) for job in jobs}
    gc.freeze()
    if len([*Path("/proc/self/task").iterdir()]) != 1:
        raise RuntimeError("a job's imports have started a thread, which no child would have")
    with socket.socket(fileno=0) as control:
        control.send(b"\n")
        _serve(control, functions)


def _serve(control: socket.socket, functions: Mapping[str, Callable[..., Any]]) -> None:
    """Fork a child for each two pipes; once it or its caller is gone, tell how it ended."""
    events = select.epoll()
    events.register(control, select.EPOLLIN)
    heard: dict[int, tuple[int, ...]] = {control.fileno(): ()}
    while heard:
        ((ready, _),) = events.poll(maxevents=1)
        if child := heard[ready]:
            for end in child[1:3]:
                events.unregister(end)
                del heard[end]
                os.close(end)
            os.kill(child[0], signal.SIGKILL)
            _tell(child[3], os.waitstatus_to_exitcode(os.waitpid(child[0], 0)[1]))
        elif pipes := socket.recv_fds(control, 1, 2)[1]:
            try:
                forked = _fork(functions, *pipes)
            except OSError:
                os.close(pipes[0])
                _tell(pipes[1], _NOT_STARTED)
                continue
            child = (forked, os.pidfd_open(forked), *pipes)
            for end, event in zip(child[1:3], (select.EPOLLIN, 0), strict=True):
                events.register(end, event)  # 0: not what is written, but that the writer is gone
                heard[end] = child
        else:
            events.unregister(control)
            del heard[ready]


def _tell(answer_to: int, status: int) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(answer_to, "wb", 0) as answer:
        answer.write(b"\0%d" % status)


def _function(job: str) -> Callable[..., Any]:
    module, _, name = job.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _fork(functions: Mapping[str, Callable[..., Any]], request_from: int, answer_to: int) -> int:
    """Fork a child, which gives up all rights, takes one job, answers and ends."""
    mother, status = os.getpid(), _NOT_STARTED
    if child := os.fork():
        return child
    try:
        os.dup2(request_from, 0)
        os.dup2(1, 2)  # what is printed goes nowhere
        os.dup2(answer_to, 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        _drop_rights()
        if os.getppid() == mother:
            gc.enable()
            status = _CRASHED
            _work(functions)
            status = 0
    except MemoryError:
        status = _OUT_OF_MEMORY
    finally:
        os._exit(status)


def _work(functions: Mapping[str, Callable[..., Any]]) -> None:
    job, limits, arguments, size = msgspec.json.decode(
        sys.stdin.buffer.readline(), type=tuple[str, Limits, dict[str, Any], int]
    )
    _limit(limits)
    data = sys.stdin.buffer.read(size)
    for line in _answers(functions[job], data, arguments):
        left = memoryview(line + b"\n")
        while left:
            left = left[os.write(3, left) :]


def _answers(
    function: Callable[..., Any], data: bytes, arguments: dict[str, Any]
) -> Iterator[bytes]:
    try:
        answer = function(data, **arguments)
        for one in answer if isinstance(answer, Generator) else (answer,):
            yield msgspec.json.encode(one)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a message could carry the stranger's bytes
        yield _FAULT + type(error).__name__.encode()


def _drop_rights() -> None:
    """Become an unprivileged user who cannot start processes, gain rights or outlive the parent."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if os.geteuid() == 0:
        user = _FIRST_USER + os.getpid() % _USER_COUNT
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _bind()


def _bind() -> None:
    """End with the parent, gain no rights, and be traced by nobody."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for option, value in (
        (_PR_SET_NO_NEW_PRIVS, 1),
        (_PR_SET_DUMPABLE, 0),
        (_PR_SET_PDEATHSIG, int(signal.SIGKILL)),  # a change of user would undo it
    ):
        if prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def _limit(limits: Limits) -> None:
    for limit, soft, hard in (
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, 0, 0),
    ):
        resource.setrlimit(limit, (soft, hard))


if __name__ == "__main__":
    _mother(sys.argv[1:])
