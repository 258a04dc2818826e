"""The jail: one hostile job each, and what the caller is told about it."""

import asyncio
import contextlib
import io
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pypdfium2
import pytest
import xlsxwriter

from service.ground import jail
from service.ground.errors import JailBusy, JailFault, JailLimitExceeded, JailUnavailable
from service.web import problems
from tests import jailed
from tests.jailed import (
    abort,
    address,
    count,
    count_and_fail,
    count_and_spin,
    count_slowly,
    crash,
    descriptors,
    eat_memory,
    echo,
    execute,
    fail_with_secret,
    flood,
    flood_directly,
    fork,
    identity,
    kill_neighbour,
    leave,
    long_lines,
    map_memory,
    open_file,
    open_socket,
    pages,
    print_and_answer,
    rows,
    sleep,
    spin,
    start_thread,
    stop_in_a_line,
    write_file,
)  # fmt: skip

LIMITS = jail.Limits(memory_bytes=512 << 20, cpu_seconds=1, wall_seconds=3, output_bytes=1 << 20)


REAL_JOBS = (
    *("signing.examine:look_in_jail", "signing.examine:qr_text", "signing.appearance:read_picture"),
    *("service.issuing.photos.archives:read", "service.issuing.photos.pictures:draw"),
    *("service.issuing.sheets.reading:read", "service.issuing.sheets.reading:read_whole"),
    "service.issuing.adoption.sheet:read_in_jail",
)


def name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__name__}"


JOBS = tuple(map(name, jailed.JOBS))


@contextlib.asynccontextmanager
async def a_jail(concurrent: int = 1) -> AsyncIterator[jail.Jail]:
    async with jail.Jail(*JOBS, concurrent=concurrent) as opened:
        yield opened


def run(
    function: Callable[..., Any], data: bytes = b"", limits: jail.Limits = LIMITS, **arguments: Any
) -> Any:
    """Run one job and then, in the same jail, a harmless one: the jail always goes on."""

    async def story() -> Any:
        async with a_jail() as opened:
            try:
                return await opened.run(name(function), data, limits, arguments)
            finally:
                assert (await opened.run(name(echo), b"next", LIMITS))["text"] == "next"

    return asyncio.run(story())


def test_a_job_gets_its_bytes_and_arguments_and_its_answer_comes_back() -> None:
    data = b"x" * (1 << 20)
    answer = run(echo, data, sheet="成绩", row=3)
    assert answer == {"size": 1 << 20, "text": "x" * 40, "arguments": {"sheet": "成绩", "row": 3}}


@pytest.mark.parametrize(
    ("function", "data", "limit"),
    [
        (eat_memory, b"", "memory"),
        (spin, b"", "time"),
        (sleep, b"60", "time"),
        (flood, b"", "output"),
        (flood_directly, b"", "output"),
        (abort, b"", "crash"),
        (crash, b"", "crash"),
        (leave, b"", "crash"),
    ],
)
def test_what_goes_over_a_limit_is_refused_by_its_name_and_the_jail_goes_on(
    function: Callable[..., Any], data: bytes, limit: str
) -> None:
    with pytest.raises(JailLimitExceeded) as refused:
        run(function, data)
    assert refused.value.facts["limit"] == limit
    assert limit in refused.value.en
    assert refused.value.zh


@pytest.mark.parametrize(
    ("function", "data", "exception"),
    [
        (map_memory, b"", "OSError"),
        (open_file, b"/etc/hostname", "OSError"),
        (open_socket, b"", "OSError"),
        (start_thread, b"", "OSError"),
        (fork, b"", "BlockingIOError"),
        (fail_with_secret, b"510107199001011234", "KeyError"),
    ],
)
def test_what_a_job_may_not_do_fails_inside_it_and_only_the_class_comes_out(
    function: Callable[..., Any], data: bytes, exception: str
) -> None:
    with pytest.raises(JailFault) as refused:
        run(function, data)
    assert refused.value.facts == {"exception": exception}
    assert "510107199001011234" not in str(refused.value)


def heard(
    function: Callable[..., Any], data: bytes, limits: jail.Limits = LIMITS, pause: float = 0
) -> tuple[list[Any], object]:
    """Hear a job's answers, with a pause after each; and what it was refused for in the end."""

    async def story() -> tuple[list[Any], object]:
        answers: list[Any] = []
        async with a_jail() as opened:
            try:
                async for answer in opened.stream(name(function), data, limits):
                    answers.append(answer)
                    await asyncio.sleep(pause)
            except (JailFault, JailLimitExceeded) as refused:
                return answers, next(iter(refused.facts.values()))
            finally:
                assert (await opened.run(name(echo), b"next", LIMITS))["text"] == "next"
            return answers, None

    return asyncio.run(story())


def test_answers_are_heard_one_after_the_other_until_the_job_ends_or_is_ended() -> None:
    assert heard(count, b"0") == ([], None)
    assert heard(count, b"5000") == ([*range(5000)], None)
    assert heard(count_and_fail, b"secret") == ([0, 1, 2], "KeyError")
    assert heard(count_and_spin, b"") == ([0, 1, 2], "time")
    assert heard(stop_in_a_line, b"") == (["whole"], "crash")


def test_all_answers_together_and_each_of_them_are_bounded() -> None:
    answers, limit = heard(long_lines, b"3", msgspec.structs.replace(LIMITS, output_bytes=2 << 20))
    assert (len(answers), limit) == (1, "output")
    wide = msgspec.structs.replace(LIMITS, output_bytes=80 << 20)
    assert heard(flood_directly, b"", wide) == ([], "output")
    assert len(heard(long_lines, b"40", wide)[0]) == 40


def test_only_the_time_that_a_caller_waits_counts() -> None:
    limits = msgspec.structs.replace(LIMITS, wall_seconds=0.4)
    assert heard(count, b"4", limits, pause=0.2) == ([0, 1, 2, 3], None)
    assert heard(count_slowly, b"0.1", limits, pause=0.5) == ([0.0, 0.1], None)
    assert heard(count_slowly, b"5", limits) == ([0.0], "time")


def test_answers_are_decoded_as_what_they_should_be_or_refused() -> None:
    async def story() -> list[object]:
        async with a_jail() as opened:
            numbers = [one async for one in opened.stream(name(count), b"2", LIMITS, type=float)]
            with pytest.raises(JailLimitExceeded):
                await opened.run(name(echo), b"", LIMITS, type=int)
            return [*numbers, *map(type, numbers)]

    assert asyncio.run(story()) == [0.0, 1.0, float, float]


def test_who_stops_listening_leaves_no_child_behind() -> None:
    async def story() -> None:
        async with a_jail() as opened:
            lines = opened.stream(name(long_lines), b"1000", jail.WORKBOOK)
            async with contextlib.aclosing(lines):
                assert len(await anext(lines)) == 1 << 20
            (mother,) = mothers()
            assert not children_of(mother)
            assert (await opened.run(name(echo), b"next", LIMITS))["text"] == "next"

    asyncio.run(story())


def test_another_program_cannot_be_run() -> None:
    with pytest.raises((JailFault, JailLimitExceeded)):
        run(execute)


def test_a_file_can_be_neither_made_nor_changed(tmp_path: Path) -> None:
    present = tmp_path / "present"
    present.write_text("inside", "utf-8")
    present.chmod(0o666)
    tmp_path.chmod(0o777)
    for path in (present, tmp_path / "new"):
        with pytest.raises(JailFault):
            run(write_file, str(path).encode())
    assert present.read_text("utf-8") == "inside"
    assert list(tmp_path.iterdir()) == [present]


def test_no_secret_is_inherited_and_root_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QIANFA_DATABASE_URL", "postgresql://qianfa:secret@db/qianfa")
    child = run(identity)
    assert "QIANFA_DATABASE_URL" not in child["environment"]
    assert "HOME" not in child["environment"]
    assert child["user"] != 0
    if os.geteuid() == 0:
        assert child["group"] == child["user"]
        assert child["groups"] == []


def test_what_a_library_prints_does_not_spoil_the_answer() -> None:
    assert run(print_and_answer) == "答复"


def test_a_job_that_the_jail_was_not_opened_for_is_an_error_of_the_caller() -> None:
    async def story() -> None:
        async with a_jail() as opened:
            with pytest.raises(ValueError, match="os:system"):
                await opened.run("os:system", b"id", LIMITS)

    asyncio.run(story())


@pytest.mark.parametrize("job", ["absent_module:function", "tests.jailed:absent"])
def test_a_jail_whose_children_cannot_start_says_so_each_time(job: str) -> None:
    async def story() -> None:
        async with jail.Jail(job, concurrent=1) as opened:
            for _ in range(2):
                with pytest.raises(JailUnavailable) as refused:
                    await opened.run(job, b"", LIMITS)
                assert problems.of_refusal(refused.value).status == 503

    asyncio.run(story())


def test_a_jail_whose_children_never_get_ready_hangs_nobody(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time\ntime.sleep(60)\n", "utf-8")

    async def story() -> None:
        async with jail.Jail("endless:function", concurrent=1, start_seconds=0.3) as opened:
            with pytest.raises(JailUnavailable):
                await opened.run("endless:function", b"", LIMITS)

    before, began_at = descendants_of(os.getpid()), time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        asyncio.run(story())
    assert time.monotonic() - began_at < 10
    assert descendants_of(os.getpid()) <= before


def test_when_enough_callers_wait_the_next_is_told_at_once_and_takes_nobodys_place() -> None:
    async def story() -> list[Any]:
        async with jail.Jail(*JOBS, concurrent=1, waiting_max=1) as opened:
            first = [asyncio.create_task(opened.run(name(sleep), b"0.2", LIMITS)) for _ in "ab"]
            await asyncio.sleep(0)
            with pytest.raises(JailBusy) as refused:
                await opened.run(name(echo), b"", LIMITS)
            assert refused.value.facts == {"seconds": 3}
            assert refused.value.retry
            assert problems.of_refusal(refused.value).status == 429
            answers = await asyncio.gather(*first)
            return [*answers, await opened.run(name(echo), b"later", LIMITS)]

    assert asyncio.run(story())[2]["text"] == "later"


def test_a_caller_who_gives_up_waiting_leaves_its_place() -> None:
    async def story() -> None:
        async with jail.Jail(*JOBS, concurrent=1, waiting_max=1) as opened:
            working = asyncio.create_task(opened.run(name(sleep), b"0.5", LIMITS))
            for _ in range(5):
                waiting = asyncio.create_task(opened.run(name(sleep), b"60", LIMITS))
                await asyncio.sleep(0.01)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
            assert (await opened.run(name(echo), b"next", LIMITS))["text"] == "next"
            await working

    before = descendants_of(os.getpid())
    asyncio.run(story())
    assert descendants_of(os.getpid()) <= before


def test_a_child_serves_one_job_only() -> None:
    async def story() -> list[int]:
        async with a_jail() as opened:
            return [await opened.run(name(sleep), b"0", LIMITS) for _ in range(3)]

    assert len(set(asyncio.run(story()))) == 3


def test_jobs_side_by_side_do_not_disturb_each_other_and_more_than_that_wait() -> None:
    async def story() -> tuple[list[Any], float]:
        async with a_jail(concurrent=2) as opened:
            await opened.run(name(echo), b"", LIMITS)
            began_at = time.monotonic()
            jobs = [
                opened.run(name(function), data, LIMITS)
                for function, data in ((sleep, b"0.5"), (abort, b""), (sleep, b"0.5"), (echo, b"a"))
            ]
            answers = await asyncio.gather(*jobs, return_exceptions=True)
            return answers, time.monotonic() - began_at

    answers, seconds = asyncio.run(story())
    assert isinstance(answers[0], int)
    assert isinstance(answers[1], JailLimitExceeded)
    assert isinstance(answers[2], int)
    assert answers[3]["text"] == "a"
    assert seconds >= 0.5


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's children are all that user")
def test_a_child_can_signal_neither_another_nor_the_mother() -> None:
    async def attempt(opened: jail.Jail, pid: int) -> object:
        with pytest.raises((JailFault, JailLimitExceeded)) as refused:
            await opened.run(name(kill_neighbour), str(pid).encode(), LIMITS)
        return refused.value.facts.get("exception")

    async def story() -> None:
        async with a_jail(concurrent=2) as opened:
            assert await opened.run(name(echo), b"", LIMITS)
            victim = asyncio.create_task(opened.run(name(sleep), b"0.5", LIMITS))
            await asyncio.sleep(0.1)
            others = descendants_of(os.getpid())
            attempts = {pid: await attempt(opened, pid) for pid in others}
            assert others >= {await victim, *mothers()}
            assert set(attempts.values()) == {"PermissionError"}

    asyncio.run(story())


def test_a_cancelled_job_leaves_no_child_behind() -> None:
    async def story() -> None:
        async with a_jail() as opened:
            job = asyncio.create_task(opened.run(name(sleep), b"60", LIMITS))
            await asyncio.sleep(0.5)
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job
            assert (await opened.run(name(echo), b"next", LIMITS))["text"] == "next"

    before = descendants_of(os.getpid())
    asyncio.run(story())
    assert descendants_of(os.getpid()) <= before


@pytest.mark.parametrize("function", [abort, crash, spin])
def test_after_a_death_by_signal_the_jobs_that_follow_find_a_mother_laid_out_anew(
    function: Callable[..., Any],
) -> None:
    async def story() -> None:
        async with a_jail(concurrent=2) as opened:
            layout = await opened.run(name(address), b"", LIMITS)
            assert await opened.run(name(address), b"", LIMITS) == layout
            neighbour = asyncio.create_task(opened.run(name(sleep), b"1.8", LIMITS))
            (first,) = mothers()
            with pytest.raises(JailLimitExceeded):
                await opened.run(name(function), b"", LIMITS)
            assert await opened.run(name(address), b"", LIMITS) != layout
            assert await neighbour
            assert gone(first)
            assert len(mothers()) == 1

    asyncio.run(story())


def test_when_a_mother_dies_her_jobs_are_refused_and_the_next_finds_a_successor() -> None:
    async def story() -> None:
        async with a_jail() as opened:
            for began in ("at work", "idle"):
                assert await opened.run(name(echo), b"", LIMITS)
                (mother,) = mothers()
                working = asyncio.create_task(opened.run(name(sleep), b"60", LIMITS))
                await asyncio.sleep(0.2)
                doomed = {mother, *descendants_of(mother)}
                if began == "idle":
                    working.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await working
                os.kill(mother, signal.SIGKILL)
                if began == "at work":
                    with pytest.raises(JailLimitExceeded) as refused:
                        await working
                    assert refused.value.facts["limit"] == "crash"
                assert gone(*doomed)

    asyncio.run(story())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_of_the_whole_service_lets_a_job_be_finished(number: signal.Signals) -> None:
    async def story() -> None:
        async with a_jail() as opened:
            assert await opened.run(name(echo), b"", LIMITS)
            working = asyncio.create_task(opened.run(name(sleep), b"0.4", LIMITS))
            await asyncio.sleep(0.1)
            for mother in mothers():
                os.kill(mother, number)
            assert await working

    asyncio.run(story())


@pytest.mark.skipif(os.geteuid() == 0, reason="no number of processes is too many for root")
def test_where_no_child_can_be_forked_the_caller_is_told_to_come_again() -> None:
    async def story() -> None:
        async with a_jail() as opened:
            assert await opened.run(name(echo), b"", LIMITS)
            (mother,) = mothers()
            resource.prlimit(mother, resource.RLIMIT_NPROC, (0, 0))
            with pytest.raises(JailUnavailable):
                await opened.run(name(echo), b"", LIMITS)

    asyncio.run(story())


def test_the_mother_of_every_real_job_has_one_thread_and_passes_no_descriptor_on() -> None:
    async def story() -> tuple[int, list[int], list[int]]:
        async with jail.Jail(*REAL_JOBS, *JOBS, concurrent=2) as opened:
            neighbour = asyncio.create_task(opened.run(name(sleep), b"0.5", LIMITS))
            await opened.warm()
            (mother,) = mothers()
            threads = threads_of(mother)
            held = await opened.run(name(descriptors), b"", LIMITS)
            await neighbour
            return threads, *held

    assert asyncio.run(story()) == (1, [0, 1, 2, 3], [0, 3])


def test_a_job_whose_imports_start_a_thread_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n",
        "utf-8",
    )

    async def story() -> None:
        async with jail.Jail("threaded:function") as opened:
            with pytest.raises(JailUnavailable):
                await opened.run("threaded:function", b"", LIMITS)

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        asyncio.run(story())


PARENT = """
import asyncio, sys
sys.path[:0] = {path!r}
from service.ground import jail
limits = jail.Limits(memory_bytes=512 << 20, cpu_seconds=60, wall_seconds=60, output_bytes=99)
async def story():
    async with jail.Jail({job!r}, concurrent=2) as opened:
        working = asyncio.create_task(opened.run({job!r}, b"60", limits))
        await opened.warm()
        await asyncio.sleep(0.3)
        print("ready", flush=True)
        await working
asyncio.run(story())
"""


def test_no_child_outlives_a_killed_parent() -> None:
    script = PARENT.format(path=sys.path, job=name(sleep))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        children = descendants_of(parent.pid)
        assert len(children) == 2
        parent.kill()
    assert gone(*children)


def test_a_workbook_and_a_pdf_are_read_inside() -> None:
    workbook = io.BytesIO()
    with xlsxwriter.Workbook(workbook) as book:
        book.add_worksheet().write_row(0, 0, ["准考证号", "姓名", 86.5])
    assert run(rows, workbook.getvalue(), jail.WORKBOOK) == [["准考证号", "姓名", 86.5]]
    document, saved = pypdfium2.PdfDocument.new(), io.BytesIO()
    document.new_page(72, 144)
    document.save(saved)
    assert run(pages, saved.getvalue(), jail.DOCUMENT) == [1, 150, 300]


def test_a_workbook_of_two_distant_cells_is_refused() -> None:
    workbook = io.BytesIO()
    with xlsxwriter.Workbook(workbook) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "a")
        sheet.write(1048575, 16383, "z")
    assert zipfile.is_zipfile(workbook)
    with pytest.raises(JailLimitExceeded):
        run(rows, workbook.getvalue(), jail.WORKBOOK)


def children_of(pid: int) -> set[int]:
    children: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        children.update(int(child) for child in (task / "children").read_text("ascii").split())
    return children


def threads_of(pid: int) -> int:
    return len([*Path(f"/proc/{pid}/task").iterdir()])


def descendants_of(pid: int) -> set[int]:
    try:
        children = children_of(pid)
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return set()
    return children.union(*map(descendants_of, children))


def mothers() -> set[int]:
    """The mothers of all jails of this process."""
    found = set()
    for pid in children_of(os.getpid()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b"service.ground.jail" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


def gone(*pids: int) -> bool:
    """Wait until they are."""
    until = time.monotonic() + 5
    while time.monotonic() < until and any(map(alive, pids)):
        time.sleep(0.02)
    return not any(map(alive, pids))


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rsplit(")", 1)[1].split()[0] not in "ZX"
