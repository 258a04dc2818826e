"""Acting: how a command proves its account, says what it will change, and reaches the database."""

import asyncio
import contextlib
import datetime
import functools
import secrets
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import click
import msgspec

from service import terminal, wiring
from service.ground import errors
from service.ground.settings import Settings
from service.issuing import batches
from service.registry import people

batch_argument = click.argument(
    "batch_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="批次号"
)


def act(*, changes: bool) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Make a command body of an act at a desk: prove the account, confirm, then run it."""

    def decorate(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        @click.option("--as", "account", metavar="ACCOUNT", help="账户 / account [QIANFA_ACTOR]")
        @click.option(
            "--secret-file",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="存有口令的文件 / file with its secret",
        )
        @functools.wraps(function)
        def body(account: str | None, secret_file: Path | None, **given: Any) -> None:
            context = click.get_current_context()
            settings: Settings = context.obj
            given = {name: without_invisible(value) for name, value in given.items()}
            if changes:
                _confirm(context, given.pop("yes"), given)
            account = account or settings.actor or ask("账户 account", "--as")
            if secret_file:
                secret = secret_file.read_text("utf-8", "replace").strip()
            else:
                secret = settings.secret or ask("口令 secret", "--secret-file", hide_input=True)

            async def work(address: str) -> None:
                async with wiring.desk(address, account, secret) as desk:
                    await function(settings, desk, **given)

            run(settings, work)

        if changes:
            body = click.option("--yes", is_flag=True, help="不再询问 / do not ask")(body)
        return body

    return decorate


def _confirm(context: click.Context, yes: bool, given: dict[str, Any]) -> None:
    """Say what will change, and ask whoever is there to be asked."""
    what = (context.command.help or "").splitlines()[0]
    words = [_typed(one, given.get(one.name or "")) for one in context.command.params]
    terminal.err.print(terminal.plain(f"→ {what}  {' '.join(filter(None, words))}"), soft_wrap=True)
    if not yes and not sys.stdin.isatty():
        raise errors.ConfirmationAbsent
    confirm("确定 proceed?")


def confirm(question: str) -> None:
    """Ask whoever is there whether to go on, unless they said `--yes`."""
    if not click.get_current_context().params["yes"]:
        click.confirm(question, abort=True, err=True)


def ask(words: str, option: str, *, hide_input: bool = False) -> str:
    """Ask whoever is there for what an option would have said."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"须给出 {option} / {option} is needed")
    return str(click.prompt(words, hide_input=hide_input, err=True))


def _typed(parameter: click.Parameter, value: object) -> str:
    """Show an argument or option as it was typed; nothing of one that says nothing."""
    if not value:
        return ""
    if isinstance(parameter, click.Argument):
        return _shown(value)
    option = max(parameter.opts, key=len)
    return option if value is True else f"{option} {_shown(value)}"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()[:16]
    if isinstance(value, list | tuple):
        return "、".join(map(_shown, value))
    if isinstance(value, msgspec.Struct):
        return ",".join(map(_shown, msgspec.structs.astuple(value)))
    return str(value)


def without_invisible(value: Any) -> Any:
    """Take out what nobody sees and copying from a PDF brings along."""
    if isinstance(value, str):
        return value.translate(people.ZERO_WIDTH)
    return tuple(map(without_invisible, value)) if isinstance(value, tuple) else value


def run(settings: Settings, work: Callable[[str], Coroutine[Any, Any, None]]) -> None:
    """Hold the database running while `work` is done at its address."""
    with wiring.database(settings) as address:
        asyncio.run(work(address))


def now() -> datetime.datetime:
    """Return the time of this command."""
    return datetime.datetime.now(datetime.UTC)


def today() -> datetime.date:
    """Return the legal day of this command."""
    return datetime.datetime.now(batches.LEGAL_ZONE).date()


def read(path: Path, size_max: int) -> bytes:
    """Read a file, and of one that is too large one byte more than is allowed."""
    try:
        with path.open("rb") as file:
            return file.read(size_max + 1)
    except OSError as error:
        raise errors.FileUnusable(path=path, reason=error.strerror) from error


def write(path: Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all, whoever writes it too, making the folders above it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise errors.FileUnusable(path=path, reason=error.strerror) from error
