"""What the command line says where nothing can be written, or where the terminal is poor."""

import os
import subprocess
import sys
from pathlib import Path

from tests.world import World

QIANFA = [sys.executable, "-c", "from service.cli import main; main()"]


def run(world: World, *words: str, out: Path | None = None, **environment: str) -> tuple[int, str]:
    """Run a command in a process of its own and return its exit code and what it complained of."""
    settings = {
        "QIANFA_VAR": str(world.settings.var),
        "QIANFA_DATABASE_URL": world.address,
        "QIANFA_KEYS": world.settings.keys,
    }
    inherited = {name: value for name, value in os.environ.items() if "QIANFA" not in name}
    with (out or Path(os.devnull)).open("w") as stdout:
        done = subprocess.run(
            [*QIANFA, *words],
            env={**inherited, **settings, **environment},
            stdout=stdout,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
    return done.returncode, done.stderr.decode()


def test_a_full_disk_is_named_and_leaves_no_half_file(world: World, tmp_path: Path) -> None:
    code, said = run(world, "settings", out=Path("/dev/full"))
    assert (code, "Traceback" in said, "FileUnusable" in said) == (65, False, True)
    target = tmp_path / "表.xlsx"
    target.mkdir()
    code, said = run(world, "template", str(target))
    assert (code, "Traceback" in said, str(target) in said) == (65, False, True)
    assert [path.name for path in tmp_path.iterdir() if "表" in path.name] == [target.name]


def test_a_terminal_without_chinese_is_no_reason_to_fail(world: World) -> None:
    code, said = run(world, "settings", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (code, said) == (0, "")
