"""A second implementation, in another language, agrees on every vector, the tampered included."""

import json
import subprocess
from pathlib import Path

from tests import programs, vectors

PROGRAM = Path(__file__).parent / "second" / "verify.mjs"


def test_a_second_implementation_agrees_on_every_vector() -> None:
    node = programs.require("node", "nodejs")
    files = [vectors.FOLDER / "statements.json", vectors.FOLDER / "status_lists.json"]
    run = subprocess.run(
        [node, PROGRAM, *files], capture_output=True, check=True, text=True, timeout=60
    )
    given = [vector for file in files for vector in json.loads(file.read_text("utf-8"))]
    answers = json.loads(run.stdout)
    assert len(answers) == len(given)
    for vector, answer in zip(given, answers, strict=True):
        assert answer == vector["expect"], vector["name"]
