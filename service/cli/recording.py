"""Recording: one command for each kind of fact, made from the record itself."""

import datetime
import enum
import hashlib
import typing
from pathlib import Path
from typing import Any

import click
import msgspec

from service import terminal, wiring
from service.cli import acting
from service.ground.settings import Settings
from service.issuing import numbering
from service.issuing.batches import dossier
from service.paper import blanks
from service.registry import catalogue, institutions
from service.registry.facts import Fact, record
from service.wiring import Desk

_FACTS: dict[str, type[Fact]] = {
    "centre": catalogue.Centre,
    "project": catalogue.Project,
    "session": catalogue.DailySession,
    "announcement": catalogue.Announcement,
    "exception": institutions.SessionException,
    "institution": institutions.Institution,
    "filing": institutions.Filing,
    "cross-filing": institutions.CrossFiling,
    "plan": institutions.Plan,
    "scheme": numbering.Scheme,
    "body": numbering.Body,
    "start": numbering.Start,
    "blank-series": blanks.NewSeries,
    "publicity": dossier.Publicity,
    "papers": dossier.Papers,
    "commitment": dossier.Commitment,
    "evidence": dossier.Evidence,
}


@click.group("record")
def record_group() -> None:
    """登记一项事实 / Record a fact that the gates or numbers read."""


def _fact_command(name: str, kind: type[Fact]) -> click.Command:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.name: hints[field.name] for field in msgspec.structs.fields(kind)}

    @acting.act(changes=True)
    async def body(_: Settings, desk: Desk, **given: Any) -> None:
        fact = kind(**given)
        if isinstance(fact, blanks.NewSeries):
            wiring.blank_edition(fact.edition)  # refuses what nothing could be printed on
        async with desk.acting():
            await record(desk.connection, desk.actor, fact)
        terminal.say("已登记 recorded")

    options = [_option(field, hint) for field, hint in fields.items()]
    body.__doc__ = kind.__doc__
    for option in reversed(options):
        body = option(body)
    return click.command(name, help=kind.__doc__)(body)


def _option(field: str, hint: Any) -> Any:
    """Make the option of one field: files for digests, JSON for lists of records.

    A value is judged by the field's own type, so that what is wrong names its option.
    """
    plain, *metas = (
        (hint.__origin__, *hint.__metadata__) if hasattr(hint, "__metadata__") else (hint,)
    )
    described = next((meta.description for meta in metas if meta.description), None)
    settings: dict[str, Any] = {
        "required": True,
        "help": described,
        "callback": lambda _context, _option, given: field_value(hint, given),
    }
    if plain is bytes:
        settings["type"] = click.Path(path_type=Path, exists=True, dir_okay=False)
    elif plain == list[str]:
        settings["multiple"] = True
    elif isinstance(plain, type) and issubclass(plain, enum.Enum):
        settings["type"] = click.Choice([member.value for member in plain])
    elif plain is datetime.date:
        settings["metavar"] = "YYYY-MM-DD"
    flag = field.removesuffix("_sha256") if plain is bytes else field
    return click.option(f"--{flag.replace('_', '-')}", field, **settings)


def field_value(hint: Any, given: Any) -> Any:
    """Judge what was given for an option by the type of the field that it fills.

    Raises: click.BadParameter.
    """
    given = acting.without_invisible(given)
    try:
        if isinstance(given, Path):
            with given.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        if isinstance(given, str) and given.startswith("["):
            return msgspec.json.decode(given, type=hint)
        return msgspec.convert(given, hint, strict=False)
    except msgspec.DecodeError as error:
        raise click.BadParameter(f"不合要求 / {error}") from None


for _name, _kind in _FACTS.items():
    record_group.add_command(_fact_command(_name, _kind))
