"""Programs that Debian brings: where one is missing a test is skipped, and fails where CI runs."""

import os
import shutil

import pytest


def require(program: str, package: str) -> str:
    """Return the path of a program, or skip the test and name the Debian package to install."""
    path = shutil.which(program)
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs the package {package}")
    return path
