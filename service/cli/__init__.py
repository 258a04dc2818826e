"""The command line: every act of the product, under an account of one's own.

Commands that change official data say what they will do and ask; where nobody can be asked they
need `--yes`. The commands under `record` are the registry's facts themselves: each field of a fact
is an option. Exit codes are listed in `qianfa --help`.
"""

import os
import signal
import sys

import click

from service import terminal
from service.cli import founding, recording, results, sealing
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
    "64 用法 usage · 65 数据不符 refused · 75 请稍后再试 try later\n"
    "77 无权 not allowed · 78 设置 set-up",
)
@click.version_option(package_name="qianfa")
@click.pass_context
def qianfa(context: click.Context) -> None:
    """签发：专项职业能力证书的编号、签章与核验 / Numbers, seals and verifies certificates."""
    context.obj = settings_room.read(os.environ)


for command in (
    founding.init, founding.account, founding.reload, founding.settings_list, founding.check,
    recording.record_group, results.write_template, results.batch, results.void,
    sealing.issue, sealing.serve, sealing.verify,
):  # fmt: skip
    qianfa.add_command(command)


def _terminated(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def main() -> None:
    """Run the command line and end with the documented exit code."""
    signal.signal(signal.SIGTERM, _terminated)  # ends what was started, like Ctrl-C
    try:
        code = qianfa.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except errors.Refusal as refusal:
        if refusal.findings:
            terminal.findings(refusal.findings, title="")
        terminal.refuse(refusal.code, refusal.zh, refusal.en)
        sys.exit(_TRY_LATER if refusal.retry else _EXIT_CODES.get(type(refusal), _DATA))
    except OSError as error:
        if error.filename is None:
            raise
        unusable = errors.FileUnusable(path=error.filename, reason=error.strerror)
        terminal.refuse(unusable.code, unusable.zh, unusable.en)
        sys.exit(_DATA)
    except SigningError as error:
        zh, _, en = str(error).partition(" / ")
        terminal.refuse(error.code, zh, en)
        sys.exit(_SET_UP)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(_USAGE)
