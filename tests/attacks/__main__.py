"""`python -m tests.attacks`: judge every crafted file and write `docs/attacks.md`."""

import asyncio
import datetime
import sys
import tempfile
from pathlib import Path

from service.ground import embedded
from service.ground.settings import Settings
from signing import keys
from tests import conftest
from tests.attacks import showing
from tests.world import CITIES, World


def main() -> None:
    """Make a world of its own, judge, write."""
    with tempfile.TemporaryDirectory() as name, embedded.running(Path(name) / "server") as server:
        folder = Path(name) / "keys"
        now = datetime.datetime.now(datetime.UTC)
        keys.create_development(folder, cities=CITIES, made_at=now - datetime.timedelta(days=1))
        asyncio.run(conftest._make_template(server, folder))
        address = server.rsplit("/", 1)[0] + "/template_world"
        settings = Settings(var=Path(name) / "var", database_url=address, keys=str(folder))
        judged = asyncio.run(_judge(World(address, settings), Path(name) / "others"))
    showing.TABLE.write_text(showing.table(judged), "utf-8")
    wrong = [one for one in judged if one.said != one.attack.expected]
    for one in wrong:
        sys.stderr.write(f"{one.attack.family}: {one.attack.name}: {one.said}\n")
    sys.exit(bool(wrong))


async def _judge(world: World, folder: Path) -> list[showing.Judged]:
    ours = await showing.issue(world, folder)
    attacks = [attack for family in showing.FAMILIES.values() for attack in family.attacks]
    async with showing.jail() as examiner:
        return await showing.judge(world, examiner, ours, attacks)


main()
