"""Sealing and answering: work on the queue, serve verification, verify what is in hand."""

import asyncio
import os
import socket
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import click

from service import terminal, wiring, worker
from service.checking import verification
from service.checking.decision import Status
from service.cli import acting, publishing
from service.ground import db, errors, observability
from service.ground.db import Role
from service.ground.jail import Jail
from service.ground.settings import Settings
from service.issuing import issuance
from service.web import app, guards

_NUMBER_LENGTH_MAX = 20
_LOOK_SECONDS, _LOOK_SHARE = 0.5, 0.05  # how often to ask what is left, and at what cost at most
_EXIT_CODES = {Status.VALID: 0, Status.INDETERMINATE: 2}
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _require_workable(settings: Settings) -> None:
    """Let what would keep every worker from starting be said once, before any of them."""
    wiring.press(settings, acting.now())
    wiring.status_key(settings, acting.now())


@click.command("issue")
@click.pass_obj
def issue(settings: Settings) -> None:
    """签章并签发全部待办 / Seal and issue everything that is numbered.

    每核一个进程，或由 QIANFA_PROCESSES 指定 / On all cores, or as many as QIANFA_PROCESSES says.

    可随时中断，再次运行即继续 / May be interrupted at any time; run again to go on.
    """
    _require_workable(settings)
    try:
        acting.run(settings, partial(_issue, settings))
    except (KeyboardInterrupt, SystemExit):
        again = (
            "已中断；已签发的有效，再次运行即继续 interrupted; to go on, run again: qianfa issue"
        )
        click.echo(again, err=True)
        raise


async def _issue(settings: Settings, address: str) -> None:
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more

    async with (
        wiring.connection(address) as connection,
        worker.processes(settings, address, until_empty=True, count=count) as ended,
    ):
        before = now = await issuance.progress(connection)
        with terminal.pace("签章 sealing") as show:
            took_seconds = 0.0
            show(0, before.numbered, "")
            while not ended.done():
                await asyncio.wait([ended], timeout=max(_LOOK_SECONDS, took_seconds / _LOOK_SHARE))
                asked_at = time.monotonic()
                now = await issuance.progress(connection)
                took_seconds = time.monotonic() - asked_at
                show(done, done + now.numbered, f"搁置 parked {now.parked - before.parked}")
    parked = now.parked - before.parked
    terminal.say(f"签发 issued {done - parked}，搁置 parked {parked}，待办 left {now.numbered}")
    reasons = [reason for reason in ended.result() if reason]
    if reasons:
        click.echo("\n".join(sorted(set(reasons))), err=True)
        raise errors.WorkerFailed(count=len(reasons))


@click.command("serve")
@click.pass_obj
def serve(settings: Settings) -> None:
    """启动查验服务与签章进程 / Serve public verification and keep sealing."""
    _require_workable(settings)

    async def work(address: str) -> None:
        async with (
            wiring.connection(address),
            worker.processes(settings, address, until_empty=False),
            wiring.site(settings, address) as site,
        ):
            await site.examiner.warm()
            server = guards.server(app.application(site), proxies=settings.proxies)
            terminal.say(f"http://localhost:{settings.port}/  (Ctrl-C)")
            await server.serve([listening])

    observability.configure()
    with _listening(settings.port) as listening, _metrics(settings.metrics_port):
        acting.run(settings, work)


def _metrics(port: int) -> AbstractContextManager[object]:
    try:
        return observability.serving_metrics(port)
    except OSError as error:
        raise errors.SettingRefused(name="QIANFA_METRICS_PORT", reason=error.strerror) from error


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise errors.SettingRefused(name="QIANFA_PORT", reason=error.strerror) from error


@click.command("verify")
@click.argument("what")
@click.option("--name", help="持证人姓名，与编号同时给出 / holder's full name, with a number")
@click.option(
    "--offline", is_flag=True, help="不用数据库和网络，只核二维码 / QR code alone, no network"
)
@click.option("--keys", type=_FILE, help="公钥文件 jwks.json / published keys, for --offline")
@click.option(
    "--status",
    "lists",
    type=_FILE,
    multiple=True,
    help="状态表，可多个 / status lists, for --offline",
)
@click.pass_context
def verify(
    context: click.Context,
    what: str,
    *,
    name: str | None,
    offline: bool,
    keys: Path | None,
    lists: tuple[Path, ...],
) -> None:
    """查验证书：PDF、编号加姓名、二维码内容 / Verify a PDF, a number with name, a QR text."""
    content = _content(what) if name is None else None
    if offline != bool(keys) or (lists and not offline) or (offline and name is not None):
        raise click.UsageError(
            "--offline 须与 --keys 同用，不用 --name / --offline goes with --keys"
        )
    if keys is not None:
        answer = publishing.verify_offline(what, content, keys, lists)
        terminal.verdict(answer)
        context.exit(_EXIT_CODES.get(answer.status, 1))
    numeric = what.isascii() and what.isdecimal() and len(what) <= _NUMBER_LENGTH_MAX
    if name is None and content is None and numeric:
        raise click.UsageError("编号须与 --name 同时给出 / a number needs --name")

    async def work(address: str) -> None:
        async with wiring.connection(address) as connection, db.acting(connection, Role.PUBLIC):
            if name is not None:
                answer = await verification.by_number(connection, what, name, acting.now())
            elif content is not None:
                async with Jail(verification.EXAMINE_JOB, concurrent=1) as examiner:
                    answer = await verification.by_file(
                        lambda: nullcontext(connection), examiner, content, acting.now()
                    )
            else:
                answer = await verification.by_text(connection, what, acting.now())
        terminal.verdict(answer)
        context.exit(_EXIT_CODES.get(answer.status, 1))

    acting.run(context.obj, work)


def _content(what: str) -> bytes | None:
    """Read the file of that name, if there is one; a QR text is too long for a file's name."""
    if os.path.isfile(what):  # noqa: PTH113 - for a Path a QR text is too long
        return acting.read(Path(what), verification.UPLOAD_BYTES_MAX)
    if os.path.exists(what):  # noqa: PTH110 - as above
        raise errors.FileUnusable(path=what, reason="不是普通文件 not a regular file")
    if what.lower().endswith(".pdf"):
        raise errors.FileUnusable(path=what, reason="不存在 not found")
    return None
