"""Founding: database, keys, accounts and reference data, and whether the journal is whole."""

import datetime
import os
import secrets
from pathlib import Path

import click
import msgspec

from service import terminal, wiring
from service.cli import acting, blanks
from service.ground import db, errors, migrate
from service.ground import settings as settings_room
from service.ground.db import Role
from service.ground.settings import Settings
from service.issuing import numbering, public_keys
from service.registry import accounts, catalogue, journal
from service.wiring import Desk


class _Line(msgspec.Struct, frozen=True):
    account_name: str
    role: str
    city_code: str
    disabled_at: datetime.datetime | None


@click.command()
@click.option("--account", default="province", show_default=True, help="首个账户 / first account")
@click.option(
    "--secret-file", type=click.Path(path_type=Path), help="口令存于 / keep its secret in"
)
@click.pass_obj
def init(settings: Settings, account: str, secret_file: Path | None) -> None:
    """建立数据库、开发密钥、目录与首个账户 / Make database, development keys, catalogue.

    可重复运行 / May be run again: what is there stays.
    """

    async def work(address: str) -> None:
        async with wiring.connection(address, migrated=False) as connection:
            applied = await migrate.migrate(connection)
            terminal.say(f"数据库 database: {', '.join(applied) or '已是最新 up to date'}")
            if wiring.make_development_keys(settings, acting.now()):
                terminal.say(f"开发密钥（样本）development keys: {settings.keys_folder}")
            signers, qr_key = wiring.sealing_keys(settings, acting.now())
            status_key = wiring.status_key(settings, acting.now())
            secret = secrets.token_urlsafe(18)
            async with db.acting(connection, Role.CONSOLE, accounts.PROVINCE):
                try:
                    actor = await accounts.found(connection, account_name=account, secret=secret)
                except errors.FoundedAlready as known:
                    terminal.say(f"{known.zh} {known.en}")
                    return
                rows_read = await catalogue.load(connection, actor)
                await numbering.load(connection)
                await public_keys.publish(connection, actor, signers, [qr_key, status_key])
                if secret_file:
                    _draft_secret(secret_file, secret)
        if secret_file:
            _draft_of(secret_file).rename(secret_file)
        kept = f"存于 {secret_file}" if secret_file else secret
        terminal.say(
            f"目录 reference rows: {rows_read}；账户 account {account}，口令 secret: {kept}"
        )

    acting.run(settings, work)


@click.group()
def account() -> None:
    """账户 / Accounts."""


@account.command("add")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in accounts.Role]),
    required=True,
    help="角色 / role",
)
@click.option("--city-code", required=True, help="行政区划代码 / GB/T 2260 code")
@click.option(
    "--keep-secret-in", type=click.Path(path_type=Path), help="口令存于 / keep its secret in"
)
@acting.act(changes=True)
async def account_add(
    _: Settings, desk: Desk, name: str, role: str, city_code: str, keep_secret_in: Path | None
) -> None:
    """添加账户，口令只显示一次 / Add an account; its secret is shown once."""
    secret = secrets.token_urlsafe(18)
    async with desk.acting():
        await accounts.add(
            desk.connection,
            desk.actor,
            account_name=name,
            role=accounts.Role(role),
            city_code=city_code,
            secret=secret,
        )
        if keep_secret_in:
            _draft_secret(keep_secret_in, secret)
    if keep_secret_in:
        _draft_of(keep_secret_in).rename(keep_secret_in)
    terminal.say(f"{name}: {keep_secret_in or secret}")


@account.command("disable")
@click.argument("name")
@acting.act(changes=True)
async def account_disable(_: Settings, desk: Desk, name: str) -> None:
    """停用账户 / End an account."""
    async with desk.acting():
        await accounts.disable(desk.connection, desk.actor, name)


@account.command("list")
@acting.act(changes=False)
async def account_list(_: Settings, desk: Desk) -> None:
    """列出全部账户及停用时间，限省中心 / List all accounts, as the province."""
    async with desk.acting():
        found = await accounts.every(desk.connection, desk.actor)
    terminal.table(
        [_Line(one.account_name, accounts.ROLE_WORDS[one.role], one.city_code, one.disabled_at)
         for one in found],
        {"account_name": "账户", "role": "角色", "city_code": "区划代码", "disabled_at": "停用"},
    )  # fmt: skip


@click.command("reload")
@acting.act(changes=True)
async def reload(settings: Settings, desk: Desk) -> None:
    """重新载入目录并登记公钥；已有的不变 / Load reference data and publish keys again."""
    signers, qr_key = wiring.sealing_keys(settings, acting.now())
    cose_keys = [qr_key, wiring.status_key(settings, acting.now())]
    async with desk.acting():
        rows_read = await catalogue.load(desk.connection, desk.actor)
        await numbering.load(desk.connection)
        new_keys = await public_keys.publish(desk.connection, desk.actor, signers, cose_keys)
    terminal.say(f"目录 reference rows: {rows_read}；新公钥 new keys: {new_keys}")


@click.command("settings")
def settings_list() -> None:
    """列出全部设置 / List every setting, its default and what it is for."""
    for name, default, description in settings_room.described():
        terminal.say(f"{name}={default}\n    {description}")


@click.command("check")
@click.pass_context
def check(context: click.Context) -> None:
    """重算日志与空白证书流水，列出链首 / Replay journal and blanks, list all heads."""

    async def work(address: str) -> None:
        async with (
            wiring.connection(address) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            broken = await journal.broken(connection)
            for head in await journal.heads(connection):
                terminal.say(f"{head.city_code} #{head.sequence} {head.hash.hex()}")
            for one in broken:
                terminal.say(f"✗ {one.city_code} #{one.sequence} {one.reason}")
            if not broken:
                terminal.say("日志完整 the journal is whole")
            books_hold = await blanks.report(connection)
        if broken or not books_hold:
            context.exit(1)

    acting.run(context.obj, work)


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _draft_secret(path: Path, secret: str) -> None:
    """Write a secret beside its place; it gets its name once its account is kept."""
    if path.exists():
        raise errors.FileUnusable(path=path, reason="已存在 exists already")
    draft = _draft_of(path)
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")
