"""The vectors: what is committed is what the command makes, and the library agrees with each."""

import datetime
import json
import re
from pathlib import Path
from typing import Any

import cbor2
import msgspec
import pytest

from signing import key_set, status, token
from signing.cose import Purpose, Reason
from signing.errors import StatementRefused, StatusListRefused
from tests import vectors

STATEMENTS = json.loads((vectors.FOLDER / "statements.json").read_text("utf-8"))
STATUS_LISTS = json.loads((vectors.FOLDER / "status_lists.json").read_text("utf-8"))


def told(statement: token.Statement) -> dict[str, Any]:
    return msgspec.structs.asdict(statement) | {
        "issued_at": int(statement.issued_at.timestamp()),
        "exam_on": str(statement.exam_on),
        "record_digest": statement.record_digest.hex(),
    }


def keys_of(vector: dict[str, Any]) -> key_set.Keys:
    return key_set.read(json.dumps(vector["keys"]).encode())


def judge_statement(vector: dict[str, Any]) -> dict[str, Any]:
    try:
        address, cose = token.from_text(vector["text"])
        statement = token.verify(cose, keys_of(vector)[Purpose.STATEMENT], address=address)
    except StatementRefused as refused:
        return {"ok": False, "reason": refused.facts["reason"]}
    return {"ok": True, "statement": told(statement)}


def judge_list(vector: dict[str, Any]) -> dict[str, Any]:
    now = datetime.datetime.fromtimestamp(vector["now"], datetime.UTC)
    try:
        found = status.verify(bytes.fromhex(vector["list"]), keys_of(vector)[Purpose.STATUS], now)
    except StatusListRefused as refused:
        return {"ok": False, "reason": refused.facts["reason"]}
    standing = found.of(vector["issuer"], vector["index"])
    return {"ok": True, "standing": None if standing is None else standing.name.lower()}


def test_the_committed_vectors_are_what_the_command_makes(tmp_path: Path) -> None:
    vectors.write(tmp_path)
    for made in tmp_path.iterdir():
        assert made.read_bytes() == (vectors.FOLDER / made.name).read_bytes(), made.name


@pytest.mark.parametrize("vector", STATEMENTS, ids=lambda vector: vector["name"])
def test_the_library_agrees_on_every_statement(vector: dict[str, Any]) -> None:
    assert judge_statement(vector) == vector["expect"]


@pytest.mark.parametrize("vector", STATUS_LISTS, ids=lambda vector: vector["name"])
def test_the_library_agrees_on_every_status_list(vector: dict[str, Any]) -> None:
    assert judge_list(vector) == vector["expect"]


def test_every_reason_has_its_vectors() -> None:
    seen = {one["expect"].get("reason") for one in [*STATEMENTS, *STATUS_LISTS]} - {None}
    assert seen == {reason.value for reason in Reason}
    accepted = [one for one in STATEMENTS if one["expect"]["ok"]]
    assert len(accepted) > 20


def test_the_worked_example_of_the_format_holds_and_every_reason_is_told() -> None:
    page = (Path(__file__).parent.parent / "docs" / "qr-format.md").read_text("utf-8")
    protected, _, payload, signature = cbor2.loads(vectors.COSE)
    example = page.partition("## 8. An example")[2]
    blocks = ["".join(block.split()) for block in re.findall(r"```\n(.*?)```", example, re.DOTALL)]
    point = vectors.KEY.public_key().public_numbers()
    assert blocks == [
        f"kid{vectors.KID.hex()}x{point.x:064x}y{point.y:064x}",
        protected.hex(),
        payload.hex(),
        vectors.dump(["Signature1", protected, b"", payload]).hex(),
        signature.hex(),
        vectors.COSE.hex(),
        vectors.text(vectors.COSE),
    ]
    assert {f"`{reason}`" for reason in Reason} <= set(re.findall(r"`\w+`", page))
    assert all(f"| {standing.value} | " in page for standing in status.Standing)
