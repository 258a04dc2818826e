"""Settings: everything an operator may choose, read once from `QIANFA_*` and then never again.

A value that cannot be meant stops the start with one sentence that names the setting. An unknown
`QIANFA_*` name is refused too, so that a misspelt setting is never silently the default.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec

from service.ground.errors import SettingRefused, SettingUnknown

_PREFIX = "QIANFA_"


def _told(description: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=description, **bounds)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one process. The environment name is `QIANFA_` and the field in capitals."""

    var: Annotated[Path, _told("运行数据的文件夹 / folder of everything made at run time")] = Path(
        "var"
    )
    database_url: Annotated[
        str,
        _told(
            "PostgreSQL 16+ 地址；空为内置 / address; empty: an embedded server under var",
            pattern=r"^(postgres(ql)?://\S+)?\Z",
        ),
    ] = ""
    keys: Annotated[str, _told("密钥文件夹；空为 var/keys / folder of mounted keys")] = ""
    store: Annotated[
        str,
        _told(
            "证书文件存储：文件夹或 s3://；空为 var/objects / folder or s3:// of sealed files",
            pattern=r"^(s3://|file://|(?!.*://)).*\Z",
        ),
    ] = ""
    host: Annotated[
        str,
        _told(
            "二维码中的查验域名 / host in QR codes", pattern=r"^[a-z0-9.-]{1,60}(:[0-9]{1,5})?\Z"
        ),
    ] = "localhost:8443"
    port: Annotated[
        int, _told("serve 在本机监听的端口 / loopback port of `qianfa serve`", ge=1, le=65535)
    ] = 8080
    actor: Annotated[str, _told("默认账户 / account when --as is not given")] = ""
    secret: Annotated[str, _told("该账户的口令 / its secret, without --secret-file")] = ""
    edition: Annotated[
        str, _told("新证书的版式 / edition of new certificates", pattern=r"^[0-9a-z-]{1,20}\Z")
    ] = "2026"
    licence_type: Annotated[
        str,
        _told("电子证照类型代码（假定值） / e-licence type, assumed", pattern=r"^[0-9A-Z]{21}\Z"),
    ] = "DEV000000000000000001"
    publicity_days_min: Annotated[
        int, _told("公示最少天数（假定值） / shortest publicity, days, assumed", ge=1, le=60)
    ] = 5
    pass_mark: Annotated[
        int, _told("合格线（假定值） / lowest passing score, assumed", ge=1, le=100)
    ] = 60
    full_examination_percent: Annotated[
        float, _told("每批全面检验比例，首末必检 / share examined in full, percent", ge=0, le=100)
    ] = 1.0
    takeover_seconds: Annotated[
        float, _told("签章进程失联多久后接管 / a dead worker's claims stand for", gt=0, le=86400)
    ] = 60.0
    processes: Annotated[
        int, _told("签章进程数；0 为每核一个 / worker processes; 0: one a core", ge=0, le=256)
    ] = 0

    @property
    def keys_folder(self) -> Path:
        """Where the private keys are."""
        return Path(self.keys) if self.keys else self.var / "keys"

    @property
    def store_address(self) -> str:
        """Where sealed files are kept: a folder or an object store's address."""
        return self.store or str(self.var / "objects")


_FIELDS = {_PREFIX + field.upper(): field for field in Settings.__struct_fields__}


def read(environment: Mapping[str, str]) -> Settings:
    """Build the settings from an environment.

    Raises:
        SettingRefused: a value is outside what its setting allows.
        SettingUnknown: a `QIANFA_*` name is not a setting.
    """
    given = {name: value for name, value in environment.items() if name.startswith(_PREFIX)}
    for name, value in given.items():
        if name not in _FIELDS:
            raise SettingUnknown(name=name)
        try:
            msgspec.convert({_FIELDS[name]: value}, Settings, strict=False, dec_hook=_path)
        except msgspec.ValidationError as error:
            reason = str(error).partition(" - at ")[0]
            raise SettingRefused(name=name, reason=reason) from None
    given = {_FIELDS[name]: value for name, value in given.items()}
    return msgspec.convert(given, Settings, strict=False, dec_hook=_path)


def described() -> list[tuple[str, str, str]]:
    """List every setting: its name, its default and what it is for."""
    hints = get_type_hints(Settings, include_extras=True)
    return [
        (
            _PREFIX + field.name.upper(),
            str(field.default),
            hints[field.name].__metadata__[0].description,
        )
        for field in msgspec.structs.fields(Settings)
    ]


def templates_folder() -> Path:
    """Find the templates: inside the installed package, else beside it in a checkout."""
    inside = Path(__file__).resolve().parent.parent / "templates"
    return inside if inside.is_dir() else inside.parent.parent / "templates"


def _path(wanted: type, value: str) -> Path:
    if not value.strip():
        raise ValueError("Expected a folder")
    return Path(value)
