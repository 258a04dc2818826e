"""The attacks: every crafted file gets the answer that it should, and costs no more than it may."""

import datetime
import resource
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.checking import decision
from service.checking.decision import Door, Presented, Status
from service.ground import jail
from signing import examine
from tests.attacks import files, showing
from tests.world import NOW, World

ATTACKS = [attack for family in showing.FAMILIES.values() for attack in family.attacks]


class Place(msgspec.Struct, frozen=True):
    """A world with two certificates and a jail, for all crafted files."""

    world: World
    ours: files.Ours
    examiner: jail.Jail


@pytest.fixture(scope="module")
async def place(shared_world: World) -> AsyncIterator[Place]:
    folder = shared_world.settings.var.with_name("others")
    ours = await showing.issue(shared_world, folder)
    before_bytes = _peak_bytes(resource.RUSAGE_CHILDREN)
    async with showing.jail() as examiner:
        yield Place(shared_world, ours, examiner)
    # What is started counts the memory of who starts it as its own, until it is another program.
    unknowable_bytes = max(before_bytes, _peak_bytes(resource.RUSAGE_SELF))
    limit_bytes = max(jail.DOCUMENT.memory_bytes, unknowable_bytes + 1)
    assert _peak_bytes(resource.RUSAGE_CHILDREN) < limit_bytes


def _peak_bytes(who: int) -> int:
    return resource.getrusage(who).ru_maxrss * 1024


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> files.Ours:
    """Two sealed certificates that no register knows."""
    folder = tmp_path_factory.mktemp("sealed")
    return files.sealed(folder / "ours", folder / "others", datetime.datetime.now(datetime.UTC))


@pytest.mark.parametrize("name", showing.FAMILIES)
async def test_the_file_door_gives_each_file_its_answer_within_the_limits(
    place: Place, name: str
) -> None:
    attacks = showing.FAMILIES[name].attacks
    judged = await showing.judge(place.world, place.examiner, place.ours, attacks)
    assert {one.attack.name: one.said for one in judged} == {
        attack.name: attack.expected for attack in attacks
    }
    for one in judged:
        assert one.seconds < 2 * jail.DOCUMENT.wall_seconds, one.attack.name
        assert one.verdict.status is Status.VALID or one.verdict.name is None


def test_the_table_in_the_documents_is_current() -> None:
    for name, family in showing.FAMILIES.items():
        written = [row.split(" | ")[:4] for row in _rows(name)]
        assert written == [
            [f"| {attack.name}", attack.tries, *attack.expected] for attack in family.attacks
        ]


@pytest.mark.skipif(not showing.has_pdfsig(), reason="needs Debian's poppler-utils")
@pytest.mark.parametrize("name", sorted(showing.COMPARED))
def test_the_table_says_what_a_general_purpose_verifier_says(sealed: files.Ours, name: str) -> None:
    found = [row.rpartition(" | ")[2].removesuffix(" |") for row in _rows(name)]
    attacks = showing.FAMILIES[name].attacks
    assert found == [showing.pdfsig(attack.make(sealed)) for attack in attacks]


def test_only_pictures_are_ever_valid_and_every_name_is_used_once() -> None:
    assert len({(attack.family, attack.name) for attack in ATTACKS}) == len(ATTACKS)
    valid = {attack.expected for attack in ATTACKS if attack.expected[0] == "valid"}
    assert valid == {("valid", "registered-picture")}


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 9), st.binary(max_size=9))
def test_no_mutation_of_a_sealed_file_is_looked_into_without_a_verdict(
    sealed: files.Ours, share: float, cut: int, put: bytes
) -> None:
    at = int(share * len(sealed.pdf))
    changed = sealed.pdf[:at] + put + sealed.pdf[at + cut :]
    look = examine.look(changed, {sealed.pin.fingerprint: sealed.pin})
    status = decision.decide(Presented(door=Door.FILE, file=look.findings), NOW).status
    assert status in {Status.ALTERED, Status.UNTRUSTED, Status.UNKNOWN, Status.INDETERMINATE}


def _rows(name: str) -> list[str]:
    """The rows of a family as the table has them."""
    section = showing.TABLE.read_text("utf-8").partition(f"## {name}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]
