"""Settings: everything an operator may choose, read once from `QIANFA_*` and then never again.

A value that cannot be meant stops the start with one sentence that names the setting. An unknown
`QIANFA_*` name is refused too, so that a misspelt setting is never silently the default.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from service.ground.errors import SettingRefused, SettingUnknown

_PREFIX = "QIANFA_"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one process. The environment name is `QIANFA_` and the field in capitals."""

    var: Path = Path("var")
    """Folder of everything made at run time: database, keys, sealed files."""
    database_url: str = ""
    """PostgreSQL 16 or newer, `postgresql://…`; empty: an embedded server under `var`."""
    keys: str = ""
    """Folder of mounted keys; empty: `keys` under `var`, where development keys are made."""
    store: str = ""
    """Folder or `s3://bucket/prefix` of the sealed files; empty: `objects` under `var`."""
    host: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]{1,60}(:\d{1,5})?$")] = "localhost:8443"
    """Host that the QR code names and that answers `https://HOST/v/ID`."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8080
    """Port on which `qianfa serve` listens, on the loopback address only."""
    actor: str = ""
    """Account under whose name commands act, when `--as` is not given."""
    secret: str = ""
    """Secret of that account, when `--secret-file` is not given and nobody is there to type it."""
    edition: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-z-]{1,20}$")] = "2026"
    """Edition of the certificate for newly approved batches."""
    licence_type: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Z]{21}$")] = "DEV000000000000000001"
    """E-licence type code of 专项职业能力证书 (GB/T 36904). Not public: assumed, for development."""
    publicity_days_min: Annotated[int, msgspec.Meta(ge=1, le=60)] = 5
    """Shortest publicity period (成绩公示), in days. Assumed: the notice names no number."""
    pass_mark: Annotated[int, msgspec.Meta(ge=1, le=100)] = 60
    """Lowest total score that may be marked 合格. Assumed: the notice names no number."""
    full_examination_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] = 1.0
    """Share of each batch, beside its first and last, that is validated in full and scanned."""
    takeover_seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 60.0
    """How long a claim stands before another worker may take it over."""
    processes: Annotated[int, msgspec.Meta(ge=0, le=256)] = 0
    """Worker processes of one issue; 0: one for each core."""

    @property
    def keys_folder(self) -> Path:
        """Where the private keys are."""
        return Path(self.keys) if self.keys else self.var / "keys"

    @property
    def store_address(self) -> str:
        """Where sealed files are kept: a folder or an object store's address."""
        return self.store or str(self.var / "objects")


def read(environment: Mapping[str, str]) -> Settings:
    """Build the settings from an environment.

    Raises:
        SettingRefused: a value is outside what its setting allows.
        SettingUnknown: a `QIANFA_*` name is not a setting.
    """
    given = {
        name.removeprefix(_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(_PREFIX)
    }
    for name in given:
        if name not in Settings.__struct_fields__:
            raise SettingUnknown(name=_PREFIX + name.upper())
        try:
            msgspec.convert({name: given[name]}, Settings, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            reason = str(error).partition(" - at ")[0]
            raise SettingRefused(name=_PREFIX + name.upper(), reason=reason) from None
    return msgspec.convert(given, Settings, strict=False, dec_hook=_path)


def templates_folder() -> Path:
    """Find the templates: inside the installed package, else beside it in a checkout."""
    inside = Path(__file__).resolve().parent.parent / "templates"
    return inside if inside.is_dir() else inside.parent.parent / "templates"


def _path(wanted: type, value: str) -> Path:
    return Path(value)
