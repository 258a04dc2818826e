"""One e-certificate from its claimed row to stored, examined bytes, on one core, beside two rivals.

They take turns in one process, a group each, as a worker claims them. The rivals are given
record and QR text for nothing and draw the group before the last, which Typst has forgotten by
then. The parts of ours are timed inside the product's own path; `rest` is decrypting and record.
With a photo means reading it from the store as well.
"""

import asyncio
import contextlib
import datetime
import functools
import os
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import structs
from rich.table import Table

from bench import rivals
from service import wiring
from service.ground.objects import Objects
from service.ground.settings import templates_folder
from service.issuing import certificates, issuance
from service.issuing.issuance import Press, Promised
from signing import Edition, Sealer, examine, qr, token
from tests import pdfs
from tests.world import CHENGDU, World

_COUNT, _WARM_UP, _GROUP = 320, 64, 16
_HOST = "zs.scrs.example.gov.cn"  # with it a name of three characters makes a code of version 12
_PARTS = ("qr", "render", "seal", "examine", "store")
_OWN_PARTS = (
    (Edition, "render", "render"), (Sealer, "seal", "seal"), (token, "sign", "qr"),
    (token, "to_text", "qr"), (qr, "matrix", "qr"), (examine, "own", "examine"),
    (examine, "guard", "examine"), (examine, "fully", "examine"), (examine, "qr_text", "examine"),
)  # fmt: skip

_WITH_PHOTO = "ours, photo"
_Times = dict[str, float]
_Contenders = Mapping[str, Callable[[int], bytes]]
"""By name; each makes the certificate in the given place."""


class _Watch:
    """Milliseconds by part; a part inside a part belongs to the outer one."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.sizes: Counter[int] = Counter()
        self._times: _Times = {}
        self._inside = False

    @contextlib.contextmanager
    def whole(self, share: int = 1) -> Iterator[_Times]:
        """Time one certificate, or its share of what is done for several at once."""
        times: _Times = defaultdict(float)
        self._times = times
        wall, cpu = time.perf_counter(), time.process_time()
        yield times
        times["wall"] = 1000 * (time.perf_counter() - wall) / share
        times["cpu"] = 1000 * (time.process_time() - cpu) / share

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time one part of it."""
        outer, self._inside = self._inside, True
        started = time.perf_counter()
        yield
        self._inside = outer
        if not outer:
            self._times[name] += 1000 * (time.perf_counter() - started)

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Time every call of a function as a part, and keep its last answer."""
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.part(part):
                self.answers[name] = inner(*arguments, **named)
            return self.answers[name]

        setattr(owner, name, timed)


def measure(world: World) -> Table:
    """Let all take turns and return the table."""
    settings = structs.replace(world.settings, host=_HOST)
    press = wiring.press(settings, datetime.datetime.now(datetime.UTC))
    claims = asyncio.run(_claims(world, press))
    watch = _Watch()
    for owner, name, part in _OWN_PARTS:
        watch.wrap(owner, name, part)
    with _one_core():  # before the first face is drawn: threads stay where they were made
        objects = Objects.open(world.settings.store_address)
        photos = [pdfs.photo(shade) for shade in range(_GROUP)]
        digests = asyncio.run(objects.put_all(photos))
        contenders = _contenders(
            world, press, claims, watch, dict(zip(digests, photos, strict=True))
        )
        taken = _take_turns(contenders, objects, digests, watch)
    table = _table({name: times[_WARM_UP:] for name, times in taken.items()})
    table.caption = "QR codes by version: " + ", ".join(
        f"{count} × {(size - 17) // 4}-M" for size, count in sorted(watch.sizes.items())
    )
    return table


async def _claims(world: World, press: Press) -> list[Promised]:
    await world.approved(CHENGDU, _WARM_UP + _COUNT)
    async with world.connection() as connection:
        promised, _ = await issuance.claim(
            connection, press, worker="bench", takeover_seconds=60, group_size=_WARM_UP + _COUNT
        )
    return promised


def _contenders(
    world: World,
    press: Press,
    claims: Sequence[Promised],
    watch: _Watch,
    photos: Mapping[str, bytes],
) -> _Contenders:
    fonts, folder = wiring.FONTS, templates_folder() / "certificate" / world.settings.edition
    vault = wiring.vault(world.settings)
    signers, _ = wiring.sealing_keys(world.settings, claims[0].sealed_at)
    records = [certificates.record(claimed, vault) for claimed in claims]
    texts: dict[int, tuple[str, str]] = {}
    reportlab, typst = rivals.ReportLabFace(fonts, folder / "ground.svg"), Edition(folder, fonts)

    def ours(place: int) -> bytes:
        pdf = press.make(claims[place], None).pdf
        texts[place] = watch.answers["to_text"]
        watch.sizes[len(watch.answers["matrix"])] += 1
        return pdf

    def ours_with_photo(place: int) -> bytes:
        digest = [*photos][place % len(photos)]
        claim = structs.replace(claims[place], photo_sha256=bytes.fromhex(digest))
        return press.make(claim, photos[digest]).pdf

    def draw_reportlab(place: int, modules: rivals.Modules) -> bytes:
        return reportlab.draw(records[place], modules, specimen=True)

    def draw_typst(place: int, modules: rivals.Modules) -> bytes:
        at = claims[place].sealed_at
        return typst.render(records[place], modules, photo=None, specimen=True, rendered_at=at)

    def rival(draw: Any, sign: Callable[[bytes], bytes], place: int) -> bytes:
        earlier = max(0, place - 2 * _GROUP)
        with watch.part("qr"):
            modules = rivals.symbol(*texts[earlier])
        with watch.part("render"):
            face = draw(earlier, modules)
        with watch.part("seal"):
            return sign(face)

    draws = {"ReportLab": draw_reportlab, "Typst": draw_typst}
    reservations = {"": None, ", length given": 8192}
    return {"ours": ours, _WITH_PHOTO: ours_with_photo} | {
        f"{name}{how}": functools.partial(
            rival, draw, rivals.stock_signer(signers[CHENGDU], reserved=reserved)
        )
        for how, reserved in reservations.items()
        for name, draw in draws.items()
    }


def _take_turns(
    contenders: _Contenders, objects: Objects, photos: Sequence[str], watch: _Watch
) -> dict[str, list[_Times]]:
    taken: dict[str, list[_Times]] = {name: [] for name in contenders}
    with asyncio.Runner() as runner:
        for start in range(0, _WARM_UP + _COUNT, _GROUP):
            for name, make in contenders.items():
                pdfs = []
                for place in range(start, start + _GROUP):
                    with watch.whole() as times:
                        pdfs.append(make(place))
                    taken[name].append(times)
                with watch.whole(_GROUP) as stored:
                    if name == _WITH_PHOTO:
                        runner.run(_read(objects, photos))
                    runner.run(objects.put_all(pdfs))
                for times in taken[name][start:]:
                    times["store"] = stored["wall"]
                    times["wall"] += stored["wall"]
                    times["cpu"] += stored["cpu"]
    return taken


async def _read(objects: Objects, digests: Sequence[str]) -> list[bytes]:
    return await asyncio.gather(*map(objects.get, digests))


def _table(taken: Mapping[str, Sequence[_Times]]) -> Table:
    """Set out median, mean and median CPU time with their ratios to ours, and the parts' means."""
    heads = ("median", "ratio", "mean", "CPU", "ratio", *_PARTS, "rest")
    table = Table("ms", *heads, title="One e-certificate, one core")
    median, mean = (
        {
            name: {part: middle(one[part] for one in times) for part in ("wall", "cpu", *_PARTS)}
            for name, times in taken.items()
        }
        for middle in (statistics.median, statistics.fmean)
    )
    for name in taken:
        wall, cpu = median[name]["wall"], median[name]["cpu"]
        ratios = wall / median["ours"]["wall"], cpu / median["ours"]["cpu"]
        parts = [mean[name][part] for part in _PARTS]
        whole = mean[name]["wall"]
        figures = (wall, ratios[0], whole, cpu, ratios[1], *parts, whole - sum(parts))
        table.add_row(name, *(f"{figure:.2f}" for figure in figures))
    return table


@contextlib.contextmanager
def _one_core() -> Iterator[None]:
    """Stay on the last core, where the system can be asked for that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    yield
    os.sched_setaffinity(0, cores)
