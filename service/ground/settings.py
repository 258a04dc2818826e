"""Settings: everything an operator may choose, read once from `QIANFA_*` and then never again.

A value that cannot be meant stops the start with one sentence that names the setting. An unknown
`QIANFA_*` name is refused too, so that a misspelt setting is never silently the default.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

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
    ] = "localhost:8080"
    port: Annotated[
        int, _told("serve 在本机监听的端口 / loopback port of `qianfa serve`", ge=1, le=65535)
    ] = 8080
    proxies: Annotated[
        str,
        _told(
            "可信反向代理的地址，逗号分隔；空为没有 / addresses of trusted proxies, by commas",
            pattern=r"^([0-9a-f.:/]+(,[0-9a-f.:/]+)*)?\Z",
        ),
    ] = ""
    limits: Annotated[
        Literal["memory", "postgres"],
        _told("限次的存处；多进程须用 postgres / where limits count; postgres: many processes"),
    ] = "memory"
    metrics_port: Annotated[
        int, _told("指标的本机端口；0 为不开 / loopback port of metrics; 0: none", ge=0, le=65535)
    ] = 0
    examiners: Annotated[
        int, _told("同时检验上传文件的进程数 / uploads examined at a time", ge=1, le=64)
    ] = 2
    actor: Annotated[str, _told("默认账户 / account when --as is not given")] = ""
    secret: Annotated[str, _told("该账户的口令 / its secret, without --secret-file")] = ""
    edition: Annotated[
        str, _told("新证书的版式 / edition of new certificates", pattern=r"^[0-9a-z-]{1,20}\Z")
    ] = "2026"
    second_factor: Annotated[
        Literal["either", "number", "phone", "none"],
        _told(
            "查询本人证书的第二要素；either 不强于手机后四位"
            " / second factor of a holder; either is as strong as four digits of a phone"
        ),
    ] = "either"
    oidc_issuer: Annotated[
        str,
        _told(
            "统一身份认证（OIDC）地址；空为不用 / issuer of single sign-on; empty: none",
            pattern=r"^(https://\S+|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?(/\S*)?)?\Z",
        ),
    ] = ""
    oidc_client_id: Annotated[str, _told("在认证方登记的应用标识 / our client id there")] = ""
    oidc_secret_file: Annotated[
        str, _told("存有应用密钥的文件；空为公开客户端 / file with its secret; empty: none")
    ] = ""
    oidc_scope: Annotated[str, _told("向认证方请求的范围 / scope asked for")] = "openid profile"
    oidc_name_claim: Annotated[str, _told("姓名的声明名 / claim with the full name")] = "name"
    oidc_id_claim: Annotated[str, _told("证件号码的声明名 / claim with the document number")] = (
        "id_number"
    )
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
    status_hours: Annotated[
        int, _told("签名状态表的有效小时数 / hours a signed status list is good for", ge=1, le=168)
    ] = 24
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
