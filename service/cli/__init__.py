"""The command line: every act of the product, under an account of one's own.

Commands that change official data say what they will do and ask; where nobody can be asked they
need `--yes`. The commands under `record` are the registry's facts themselves: each field of a fact
is an option. Exit codes are listed in `qianfa --help`.
"""

import io
import os
import signal
import sys

import click

from service import terminal
from service.cli import (
    adoption,
    blanks,
    changes,
    documents,
    founding,
    importing,
    ledger,
    papers,
    photos,
    portal,
    printers,
    printing,
    publishing,
    recording,
    requisitions,
    results,
    sealing,
    stocktakes,
    supply,
)
from service.ground import errors
from service.ground import settings as settings_room
from signing.errors import SigningError

_USAGE, _DATA, _TRY_LATER, _NOT_ALLOWED, _SET_UP = 64, 65, 75, 77, 78
_EXIT_CODES = {
    errors.NotAuthenticated: _NOT_ALLOWED,
    errors.ActNotGranted: _NOT_ALLOWED,
    errors.NotYourCity: _NOT_ALLOWED,
    errors.SettingRefused: _SET_UP,
    errors.SettingUnknown: _SET_UP,
    errors.KeysAbsent: _SET_UP,
    errors.DatabaseNotReady: _SET_UP,
    errors.EmbeddedServerFailed: _SET_UP,
    errors.ConfirmationAbsent: _USAGE,
}


@click.group(
    context_settings={"max_content_width": 100},
    epilog="\b\n退出码 exit codes:\n"
    "0 完成 done, 真实有效 valid · 1 不真实或无效 not valid · 2 无法判断 cannot tell\n"
    "64 用法 usage · 65 数据不符 refused · 75 请稍后再试 later"
    " · 77 无权 not allowed · 78 设置 set-up",
)
@click.version_option(package_name="qianfa")
@click.pass_context
def qianfa(context: click.Context) -> None:
    """签发：专项职业能力证书的编号、签章与核验 / Numbers, seals and verifies certificates."""
    context.obj = settings_room.read(os.environ)


for command in (
    founding.init, founding.account, founding.reload, founding.settings_list, founding.check,
    recording.record_group, results.write_template, results.batch, results.void,
    *changes.standing_commands, changes.correct, changes.change,
    adoption.adopt, adoption.adoptions,
    blanks.blanks, printers.printer, printing.print_group, papers.paper, ledger.trace,
    portal.report, sealing.issue, sealing.serve, sealing.verify, publishing.publish,
):  # fmt: skip
    qianfa.add_command(command)
for command in (*importing.commands, photos.batch_photos):
    results.batch.add_command(command)
for command in (
    *supply.commands, requisitions.requisition, stocktakes.stocktake, documents.document,
    ledger.write_ledger,
):  # fmt: skip
    blanks.blanks.add_command(command)


def _terminated(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def main() -> None:
    """Run the command line and end with the documented exit code."""
    signal.signal(signal.SIGTERM, _terminated)  # ends what was started, like Ctrl-C
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        code = qianfa.main(standalone_mode=False)
    except (errors.Refusal, SigningError, OSError, click.exceptions.Abort) as error:
        code = _answer(error)
    except click.ClickException as error:
        error.show()
        code = _USAGE
    sys.exit(code if isinstance(code, int) else 0)


def _answer(error: errors.Refusal | SigningError | OSError | click.exceptions.Abort) -> int:
    """Say why something was not done, and return the exit code for it."""
    if isinstance(error, click.exceptions.Abort):
        return 130
    if isinstance(error, SigningError):
        zh, _, en = str(error).partition(" / ")
        terminal.refuse(error.code, zh, en)
        return _SET_UP
    if isinstance(error, OSError):
        path = error.filename or "标准输出 standard output"
        error = errors.FileUnusable(path=path, reason=error.strerror)
    if error.findings:
        terminal.findings(error.findings, title="")
    terminal.refuse(error.code, error.zh, error.en)
    return _TRY_LATER if error.retry else _EXIT_CODES.get(type(error), _DATA)
