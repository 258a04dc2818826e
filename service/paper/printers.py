"""Printers: what each does to a page, measured on a calibration sheet, and kept with its history.

A profile is fitted by least squares to where the crosses were found. It is refused where a cross
lies apart from what the others say (a typing mistake, which is then named), where the correction is
larger than any printer needs, and where it would push a field off the sheet. Profiles are never
changed: the newest of a printer and blank edition counts.
"""

import datetime
import math
from collections.abc import Mapping, Sequence
from statistics import fmean

import msgspec

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import (
    FieldOffSheet,
    MarkMisfit,
    MarksFew,
    PrinterUnknown,
    ProfileImplausible,
    ProfileUnknown,
)
from service.paper import overlay
from service.paper.overlay import Edition, Layout, Mark, Profile
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act

_sql = statements.beside(__file__)

_Point = tuple[float, float]
_Pair = tuple[_Point, _Point]
"""Where a cross was found on the paper, and where the page has it."""

_MARK_COUNT_MIN = 6
_MISFIT_MM = 0.7  # as far apart as marks read with care, to a quarter of a mm, may seem
_OFFSET_TENTHS_MM_MAX = 300
_SLOPE_PER_10000_MAX = 200


class Kept(Profile, frozen=True, kw_only=True):
    """A profile as it was recorded; `applied` is the one under which its sheet was printed."""

    profile_id: int
    city_code: str
    printer_name: str
    edition: str
    applied: int | None
    marks: list[Mark]
    recorded_by: str
    recorded_at: datetime.datetime


_record = _sql.one("record", int)
_find = _sql.perhaps("find", Kept)
_newest = _sql.many("newest", Kept)
_history = _sql.many("history", Kept)


async def record(
    connection: Connection,
    actor: Actor,
    printer_name: str,
    edition: Edition,
    marks: Sequence[Mark],
    *,
    applied: int | None,
) -> Kept:
    """Fit and keep the profile of a printer, known or new; `applied` as the sheet itself says.

    Raises:
        ProfileUnknown: the sheet was not printed for this printer and edition.
        PrinterNameUnfit; and what `fit` does.
    """
    accounts.require(actor, Act.PROFILE_RECORD)
    before = Profile()
    if applied is not None:
        before = await _kept(connection, actor, printer_name, edition.name, applied)
    profile = fit(marks, edition.layout, before)
    numbers = msgspec.structs.asdict(profile)
    profile_id = await _record(
        connection,
        city_code=actor.city_code,
        printer_name=printer_name,
        edition=edition.name,
        applied=applied,
        marks=marks,
        recorded_by=actor.account_name,
        **numbers,
    )
    detail = {"profile": profile_id, "edition": edition.name, "applied": applied, **numbers}
    await accounts.write(connection, actor, Act.PROFILE_RECORD, printer_name, detail)
    return await _kept(connection, actor, printer_name, edition.name, profile_id)


async def current(
    connection: Connection, actor: Actor, printer_name: str, edition_name: str
) -> Kept:
    """Return the profile that counts for a printer of the actor's own city.

    Raises:
        PrinterUnknown: there is none for this edition.
    """
    kept = await _find(
        connection,
        city_code=actor.city_code,
        printer_name=printer_name,
        edition=edition_name,
        profile_id=None,
    )
    if kept is None:
        raise PrinterUnknown(printer_name=printer_name, edition=edition_name)
    return kept


async def newest(connection: Connection) -> list[Kept]:
    """List what counts now, of every printer and edition."""
    return await _newest(connection)


async def history(connection: Connection, printer_name: str) -> list[Kept]:
    """List all profiles of a printer, newest first."""
    return await _history(connection, printer_name=printer_name)


def fit(marks: Sequence[Mark], layout: Layout, applied: Profile) -> Profile:
    """Return the profile under which a printer sets everything where it belongs.

    `marks` are measured on a calibration sheet that was printed under `applied`.

    Raises:
        MarksFew: too few to find a mistake among them, unknown ones or one given twice.
        MarkMisfit: one lies apart from what the others say.
        ProfileImplausible, FieldOffSheet: the correction cannot be meant.
    """
    drawn = {one.number: applied.moved(one.x_mm, one.y_mm) for one in overlay.marks(layout)}
    found = {one.number: (one.x_mm, one.y_mm) for one in marks if one.number in drawn}
    if not _MARK_COUNT_MIN <= len(found) == len(marks):
        raise MarksFew(wanted=_MARK_COUNT_MIN, count=len(found))
    pairs = {number: (place, drawn[number]) for number, place in found.items()}
    _require_fitting(pairs)
    profile = _least_squares(list(pairs.values()))
    _require_plausible(profile)
    if cut := list(overlay.off_sheet(layout, profile)):
        raise FieldOffSheet(fields="、".join(cut))
    return profile


async def _kept(
    connection: Connection, actor: Actor, printer_name: str, edition_name: str, profile_id: int
) -> Kept:
    kept = await _find(
        connection,
        city_code=actor.city_code,
        printer_name=printer_name,
        edition=edition_name,
        profile_id=profile_id,
    )
    if kept is None:
        raise ProfileUnknown(printer_name=printer_name, edition=edition_name, profile_id=profile_id)
    return kept


def _require_fitting(pairs: Mapping[int, _Pair]) -> None:
    """Hold each mark against what the others say; name the one without which these agree best."""
    apart: dict[int, tuple[float, float]] = {}
    for number, pair in pairs.items():
        others = [other for key, other in pairs.items() if key != number]
        profile = _least_squares(others)
        rest = math.fsum(_error_mm(profile, other) ** 2 for other in others)
        apart[number] = rest, _error_mm(profile, pair)
    if max(error_mm for _, error_mm in apart.values()) > _MISFIT_MM:
        number = min(apart, key=lambda number: apart[number])
        raise MarkMisfit(mark=number, distance=f"{apart[number][1]:.1f}")


def _require_plausible(profile: Profile) -> None:
    offsets = (profile.offset_x_tenths_mm, profile.offset_y_tenths_mm)
    slopes = (profile.scale_x_per_10000, profile.scale_y_per_10000, profile.rotation_per_10000)
    if (
        max(map(abs, offsets)) > _OFFSET_TENTHS_MM_MAX
        or max(map(abs, slopes)) > _SLOPE_PER_10000_MAX
    ):
        raise ProfileImplausible(correction=profile.correction)


def _error_mm(profile: Profile, pair: _Pair) -> float:
    found, drawn = pair
    return math.dist(profile.moved(*found), drawn)


def _least_squares(pairs: Sequence[_Pair]) -> Profile:
    """Fit what takes each place found to the place drawn: both scales, one slope, both offsets.

    The offsets come last, in the middle of the marks, and make good what the slopes lose there by
    rounding.
    """
    places = [(*found, *drawn) for found, drawn in pairs]
    middle = [fmean(side) for side in zip(*places, strict=True)]
    products = (
        (x * x, y * y, x * y, u * x, u * y, v * x, v * y)
        for x, y, u, v in ([a - b for a, b in zip(place, middle, strict=True)] for place in places)
    )
    xx, yy, xy, ux, uy, vx, vy = map(math.fsum, zip(*products, strict=True))
    xx, yy = max(xx, 1.0), max(yy, 1.0)  # where all marks are said to be on one line
    slope = (vx - uy + xy * (ux / xx - vy / yy)) / max(xx + yy - xy**2 * (1 / xx + 1 / yy), 1.0)
    turned = Profile(
        scale_x_per_10000=round(((ux + slope * xy) / xx - 1) * 10_000),
        scale_y_per_10000=round(((vy - slope * xy) / yy - 1) * 10_000),
        rotation_per_10000=round(slope * 10_000),
    )
    x, y = turned.moved(middle[0], middle[1])
    return msgspec.structs.replace(
        turned,
        offset_x_tenths_mm=round((middle[2] - x) * 10),
        offset_y_tenths_mm=round((middle[3] - y) * 10),
    )
