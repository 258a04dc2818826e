"""The command line: every act of the product, under an account of one's own.

Commands that change official data say what they will do and ask; where nobody can be asked they
need `--yes`. The commands under `record` are the registry's facts themselves: each field of a fact
is an option. Exit codes are listed in `qianfa --help`.
"""

import asyncio
import datetime
import enum
import functools
import hashlib
import io
import os
import secrets
import signal
import socket
import sys
import typing
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import uvicorn

from service import terminal, wiring, worker
from service.checking import verification
from service.checking.verification import Status
from service.ground import db, errors, jail, migrate
from service.ground import settings as settings_room
from service.ground.db import Role
from service.ground.jail import Jail
from service.ground.objects import Objects
from service.ground.settings import Settings
from service.issuing import batches, certificates, issuance, numbering, public_keys
from service.issuing.batches import gates, rows, template, workbook
from service.registry import accounts, catalogue, institutions, journal
from service.registry.facts import Fact, record
from service.registry.journal import Act
from service.web import public
from service.wiring import Desk
from signing.errors import SigningError

_READ_JOB = "service.issuing.batches.workbook:read"
_WORKBOOK_BYTES_MAX = 20 << 20
_NUMBER_LENGTH_MAX = 20
_USAGE, _DATA, _TRY_LATER, _NOT_ALLOWED, _SET_UP = 64, 65, 75, 77, 78
_EXIT_CODES = {
    errors.NotAuthenticated: _NOT_ALLOWED,
    errors.ActNotGranted: _NOT_ALLOWED,
    errors.NotYourCity: _NOT_ALLOWED,
    errors.SettingRefused: _SET_UP,
    errors.SettingUnknown: _SET_UP,
    errors.KeysAbsent: _SET_UP,
    errors.DatabaseNotReady: _SET_UP,
    errors.EmbeddedServerFailed: _SET_UP,
    errors.ConfirmationAbsent: _USAGE,
}
_FACTS: dict[str, type[Fact]] = {
    "centre": catalogue.Centre,
    "project": catalogue.Project,
    "session": catalogue.DailySession,
    "announcement": catalogue.Announcement,
    "exception": catalogue.SessionException,
    "institution": institutions.Institution,
    "filing": institutions.Filing,
    "cross-filing": institutions.CrossFiling,
    "plan": institutions.Plan,
    "scheme": numbering.Scheme,
    "body": numbering.Body,
    "start": numbering.Start,
    "publicity": batches.Publicity,
    "papers": batches.Papers,
    "commitment": batches.Commitment,
    "evidence": batches.Evidence,
}
_batch_argument = click.argument(
    "batch_id", type=click.IntRange(min=1, max=2**63 - 1), metavar="批次号"
)


@click.group(
    context_settings={"max_content_width": 100},
    epilog="\b\n退出码 exit codes:\n"
    "0 完成 done, 真实有效 valid · 1 不真实或无效 not valid · 2 无法判断 cannot tell\n"
    "64 用法 usage · 65 数据不符 refused · 75 请稍后再试 try later\n"
    "77 无权 not allowed · 78 设置 set-up",
)
@click.version_option(package_name="qianfa")
@click.pass_context
def qianfa(context: click.Context) -> None:
    """签发：专项职业能力证书的编号、签章与核验 / Numbers, seals and verifies certificates."""
    context.obj = settings_room.read(os.environ)


def act(*, changes: bool) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]:
    """Make a command body of an act at a desk: prove the account, confirm, then run it."""

    def decorate(function: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        @click.option("--as", "account", metavar="ACCOUNT", help="账户 / account [QIANFA_ACTOR]")
        @click.option(
            "--secret-file",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="存有口令的文件 / file with its secret",
        )
        @functools.wraps(function)
        def body(account: str | None, secret_file: Path | None, **given: Any) -> None:
            context = click.get_current_context()
            settings: Settings = context.obj
            if changes:
                _confirm(context, given.pop("yes"), given)
            account = account or settings.actor or _ask("账户 account", "--as")
            if secret_file:
                secret = secret_file.read_text("utf-8", "replace").strip()
            else:
                secret = settings.secret or _ask("口令 secret", "--secret-file", hide_input=True)

            async def run(address: str) -> None:
                async with wiring.desk(address, account, secret) as desk:
                    await function(settings, desk, **given)

            _run(settings, run)

        if changes:
            body = click.option("--yes", is_flag=True, help="不再询问 / do not ask")(body)
        return body

    return decorate


def _confirm(context: click.Context, yes: bool, given: dict[str, Any]) -> None:
    """Say what will change, and ask whoever is there to be asked."""
    what = (context.command.help or "").splitlines()[0]
    words = [f"{name}={_shown(value)}" for name, value in given.items() if value]
    terminal.err.print(terminal.plain(f"→ {what}  {' '.join(words)}"), soft_wrap=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise errors.ConfirmationAbsent
    click.confirm("确定 proceed?", abort=True, err=True)


def _ask(words: str, option: str, *, hide_input: bool = False) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"须给出 {option} / {option} is needed")
    return str(click.prompt(words, hide_input=hide_input, err=True))


def _shown(value: object) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)


def _run(settings: Settings, function: Callable[[str], Awaitable[None]]) -> None:
    async def run(address: str) -> None:
        await function(address)

    with wiring.database(settings) as address:
        asyncio.run(run(address))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _today() -> datetime.date:
    return datetime.datetime.now(batches.LEGAL_ZONE).date()


def _write_secret(path: Path, secret: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")


# Setting up.


@qianfa.command()
@click.option("--account", default="province", show_default=True, help="首个账户 / first account")
@click.option(
    "--secret-file", type=click.Path(path_type=Path), help="口令存于 / keep its secret in"
)
@click.pass_obj
def init(settings: Settings, account: str, secret_file: Path | None) -> None:
    """建立数据库、开发密钥、目录与首个账户 / Make database, development keys, catalogue.

    可重复运行 / May be run again: what is there stays.
    """

    async def run(address: str) -> None:
        async with wiring.connection(address, migrated=False) as connection:
            applied = await migrate.migrate(connection)
            terminal.say(f"数据库 database: {', '.join(applied) or '已是最新 up to date'}")
            if wiring.make_development_keys(settings, _now()):
                terminal.say(f"开发密钥（样本）development keys: {settings.keys_folder}")
            signers, qr_key = wiring.sealing_keys(settings, _now())
            secret = secrets.token_urlsafe(18)
            async with db.acting(connection, Role.CONSOLE, accounts.PROVINCE):
                try:
                    actor = await accounts.found(connection, account_name=account, secret=secret)
                except errors.FoundedAlready as known:
                    terminal.say(f"{known.zh} {known.en}")
                    return
                rows_read = await catalogue.load(connection, actor)
                await numbering.load(connection)
                await public_keys.publish(connection, actor, signers, [qr_key])
                if secret_file:
                    _write_secret(secret_file, secret)
        kept = f"存于 {secret_file}" if secret_file else secret
        terminal.say(
            f"目录 reference rows: {rows_read}；账户 account {account}，口令 secret: {kept}"
        )

    _run(settings, run)


@qianfa.group()
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
@act(changes=True)
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
            _write_secret(keep_secret_in, secret)
    terminal.say(f"{name}: {keep_secret_in or secret}")


@account.command("disable")
@click.argument("name")
@act(changes=True)
async def account_disable(_: Settings, desk: Desk, name: str) -> None:
    """停用账户 / End an account."""
    async with desk.acting():
        await accounts.disable(desk.connection, desk.actor, name)


@qianfa.command("reload")
@act(changes=True)
async def reload(settings: Settings, desk: Desk) -> None:
    """重新载入目录并登记公钥；已有的不变 / Load reference data and publish keys again."""
    signers, qr_key = wiring.sealing_keys(settings, _now())
    async with desk.acting():
        rows_read = await catalogue.load(desk.connection, desk.actor)
        await numbering.load(desk.connection)
        new_keys = await public_keys.publish(desk.connection, desk.actor, signers, [qr_key])
    terminal.say(f"目录 reference rows: {rows_read}；新公钥 new keys: {new_keys}")


# Facts: one command each, made from the record itself.


@qianfa.group("record")
def record_() -> None:
    """登记一项事实 / Record a fact that the gates or numbers read."""


def _fact_command(name: str, kind: type[Fact]) -> click.Command:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {field.name: hints[field.name] for field in msgspec.structs.fields(kind)}

    @act(changes=True)
    async def body(_: Settings, desk: Desk, **given: Any) -> None:
        async with desk.acting():
            await record(desk.connection, desk.actor, kind(**given))
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
        "callback": lambda _context, _option, given: _field(hint, given),
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


def _field(hint: Any, given: Any) -> Any:
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
    record_.add_command(_fact_command(_name, _kind))


# Batches.


@qianfa.command("template")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--city-code", default=accounts.PROVINCE, help="列出该市（州）的项目 / projects of")
@click.pass_obj
def write_template(settings: Settings, path: Path, city_code: str) -> None:
    """写出成绩表模板 / Write the results workbook to fill in."""

    async def run(address: str) -> None:
        async with wiring.connection(address) as connection:
            names = await catalogue.projects(connection, city_code, _today())
        workbook_bytes = io.BytesIO()
        guide = settings_room.templates_folder() / "sheets" / "guide.toml"
        template.write(workbook_bytes, names, guide)
        _write(path, workbook_bytes.getvalue())
        terminal.say(f"{path}（{len(names)} 个项目 projects）")

    _run(settings, run)


@qianfa.group("batch")
def batch() -> None:
    """批次：导入、提交、退回、批准 / Batches: import, submit, return, approve."""


@batch.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--uscc", required=True, help="报名考核机构统一社会信用代码 / institution")
@act(changes=True)
async def batch_import(settings: Settings, desk: Desk, path: Path, uscc: str) -> None:
    """导入成绩表，一次列出全部错误 / Import a results workbook; lists every error at once."""
    content = _read(path, _WORKBOOK_BYTES_MAX)
    if len(content) > _WORKBOOK_BYTES_MAX:
        raise errors.FileTooLarge(limit=_WORKBOOK_BYTES_MAX)
    vault = wiring.vault(settings)
    with terminal.progress("读取 reading", 3) as done:
        async with Jail(_READ_JOB, concurrent=1) as cells:
            answer = await cells.run(_READ_JOB, content, jail.WORKBOOK)
        done(1)
        sheet = msgspec.convert(answer, workbook.Sheet)
        read_rows, faults, warnings = rows.judge(sheet, wiring.drawable_characters(), _today())
        done(2)
        terminal.findings(warnings, title="提示 warnings") if warnings else None
        upload = batches.Upload(
            city_code=desk.actor.city_code,
            uscc=uscc,
            file_name=path.name,
            file_sha256=hashlib.sha256(content).digest(),
        )
        async with desk.acting():
            batch_id = await batches.import_rows(
                desk.connection,
                desk.actor,
                vault,
                upload,
                rows=read_rows,
                errors=faults,
                host=settings.host,
            )
        done(3)
    terminal.say(f"批次 batch {batch_id}：{len(read_rows)} 行 rows")


@batch.command("list")
@act(changes=False)
async def batch_list(_: Settings, desk: Desk) -> None:
    """列出最近的批次 / List the newest batches."""
    async with desk.acting():
        found = await batches.recent(desk.connection)
    terminal.table(
        found,
        {
            "batch_id": "批次", "city_code": "市（州）", "state": "状态", "row_count": "行数",
            "passed_count": "合格", "archived_on": "归档", "return_reason": "退回原因",
            "file_name": "文件",
        },
    )  # fmt: skip


@batch.command("gates")
@_batch_argument
@act(changes=False)
async def batch_gates(settings: Settings, desk: Desk, batch_id: int) -> None:
    """逐项显示签发条件 / Show what every gate says of a batch."""
    async with desk.acting():
        await _show_gates(settings, desk, batch_id)


async def _show_gates(settings: Settings, desk: Desk, batch_id: int) -> None:
    await batches.find(desk.connection, batch_id)
    found = await gates.judge(
        desk.connection,
        batch_id,
        reviewer=None,
        rules=wiring.rules(settings),
        vault=wiring.vault(settings),
        drawable=wiring.drawable_characters(),
        today=_today(),
    )
    if found:
        terminal.findings(found, title="未通过的签发条件 closed gates", console=terminal.out)
    else:
        terminal.say("签发条件全部满足 all gates are open")


@batch.command("submit")
@_batch_argument
@act(changes=True)
async def batch_submit(settings: Settings, desk: Desk, batch_id: int) -> None:
    """提交复核 / Hand a batch to the reviewer."""
    async with desk.acting():
        await batches.submit(desk.connection, desk.actor, batch_id)
        await _show_gates(settings, desk, batch_id)
    terminal.say(f"批次 {batch_id} 已提交 submitted")


@batch.command("return")
@_batch_argument
@click.option("--reason", required=True, help="退回原因 / why")
@act(changes=True)
async def batch_return(_: Settings, desk: Desk, batch_id: int, reason: str) -> None:
    """退回批次 / Give a batch back with the reason."""
    async with desk.acting():
        await batches.return_(desk.connection, desk.actor, batch_id, reason)
    terminal.say(f"批次 {batch_id} 已退回 returned")


@batch.command("approve")
@_batch_argument
@act(changes=True)
async def batch_approve(settings: Settings, desk: Desk, batch_id: int) -> None:
    """批准批次：归档并编号 / Approve a batch: archive it and number its certificates."""
    vault = wiring.vault(settings)
    with terminal.progress("批准 approving", 1) as done:
        async with desk.acting():
            approval = await batches.approve(
                desk.connection,
                desk.actor,
                batch_id,
                vault=vault,
                rules=wiring.rules(settings),
                drawable=wiring.drawable_characters(),
                issuance=wiring.issuance(settings),
                now=_now(),
            )
        done(1)
    numbers = approval.numbers
    span = f"{numbers[0]} – {numbers[-1]}" if numbers else "–"
    terminal.say(
        f"批次 {batch_id}：归档 archived {approval.archived_on}，{len(numbers)} 个编号 {span}"
    )


@batch.command("certificates")
@_batch_argument
@act(changes=False)
async def batch_certificates(_: Settings, desk: Desk, batch_id: int) -> None:
    """列出批次的证书 / List the certificates of a batch, void numbers included."""
    async with desk.acting():
        await batches.find(desk.connection, batch_id)
        found = await certificates.of_batch(desk.connection, batch_id)
    terminal.table(
        found,
        {
            "number": "编号", "version": "版本", "name": "姓名", "project_name": "项目",
            "state": "状态", "standing": "效力", "pdf_sha256": "SHA-256", "cause": "搁置原因",
        },
    )  # fmt: skip


@batch.command("export")
@_batch_argument
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), required=True, help="文件夹 / folder"
)
@act(changes=False)
async def batch_export(settings: Settings, desk: Desk, batch_id: int, folder: Path) -> None:
    """导出已签发的 PDF / Write the issued PDFs of a batch into a folder."""
    store = Objects.open(settings.store_address)
    async with desk.acting():
        await batches.find(desk.connection, batch_id)
        found = await certificates.of_batch(desk.connection, batch_id)
        issued = [(one.number, one.pdf_sha256) for one in found if one.pdf_sha256]
        detail = {"count": len(issued)}
        await accounts.write(
            desk.connection, desk.actor, Act.CERTIFICATES_EXPORT, str(batch_id), detail
        )
    with terminal.progress("导出 exporting", len(issued)) as done:
        for count, (number, digest) in enumerate(issued, start=1):
            _write(folder / f"{number}.pdf", await store.get(digest.hex()))
            done(count)
    terminal.say(f"{len(issued)} 份 PDF → {folder}")


@batch.command("retry")
@_batch_argument
@act(changes=True)
async def batch_retry(_: Settings, desk: Desk, batch_id: int) -> None:
    """重做搁置的证书，撤回未确认的作废 / Put parked certificates back into the queue."""
    async with desk.acting():
        await batches.find(desk.connection, batch_id)
        numbers = await certificates.retry(desk.connection, desk.actor, batch_id)
    terminal.say(f"{len(numbers)} 个 {' '.join(numbers)}")


@qianfa.command("void")
@click.argument("number")
@click.option("--reason", required=True, help="作废原因 / why")
@act(changes=True)
async def void(_: Settings, desk: Desk, number: str, reason: str) -> None:
    """作废永远无法签发的编号，须两人 / Void a number that can never be sealed; two persons."""
    async with desk.acting():
        done = await certificates.void(desk.connection, desk.actor, number, reason)
    terminal.say(f"{number} {'已作废 void' if done else '待另一人确认 waits for a second person'}")


# Sealing, serving, verifying.


def _require_workable(settings: Settings) -> None:
    """Let what would keep every worker from starting be said once, before any of them."""
    wiring.press(settings, _now())


@qianfa.command("issue")
@click.pass_obj
def issue(settings: Settings) -> None:
    """签章并签发全部待办 / Seal and issue everything that is numbered.

    可随时中断，再次运行即继续 / May be interrupted at any time; run again to go on.
    """
    _require_workable(settings)

    async def run(address: str) -> None:
        async with (
            wiring.connection(address) as connection,
            worker.processes(settings, address, until_empty=True) as ended,
        ):
            before = now = await issuance.progress(connection)
            with terminal.progress("签章 sealing", before.numbered) as done:
                while not ended.done():
                    await asyncio.wait([ended], timeout=0.3)
                    now = await issuance.progress(connection)
                    done(before.numbered - now.numbered)
        issued, parked = now.issued - before.issued, now.parked - before.parked
        terminal.say(f"签发 issued {issued}，搁置 parked {parked}，待办 left {now.numbered}")
        reasons = [reason for reason in ended.result() if reason]
        if reasons:
            click.echo("\n".join(sorted(set(reasons))), err=True)
            raise errors.WorkerFailed(count=len(reasons))

    _run(settings, run)


@qianfa.command("serve")
@click.pass_obj
def serve(settings: Settings) -> None:
    """启动查验服务与签章进程 / Serve public verification and keep sealing."""
    _require_workable(settings)

    async def run(address: str) -> None:
        async with (
            wiring.connection(address),
            worker.processes(settings, address, until_empty=False),
            await db.open_public_pool(address, size=16) as pool,
        ):
            application = public.application(pool, settings_room.templates_folder() / "pages")
            config = uvicorn.Config(
                application, access_log=False, log_level="warning", server_header=False
            )
            terminal.say(f"http://127.0.0.1:{settings.port}/v/ID  (Ctrl-C)")
            await uvicorn.Server(config).serve([listening])

    with _listening(settings.port) as listening:
        _run(settings, run)


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise errors.SettingRefused(name="QIANFA_PORT", reason=error.strerror) from error


@qianfa.command("verify")
@click.argument("what")
@click.option("--name", help="持证人姓名，与编号同时给出 / holder's full name, with a number")
@click.pass_context
def verify(context: click.Context, what: str, name: str | None) -> None:
    """查验证书：PDF、编号加姓名、二维码内容 / Verify a PDF, a number with name, a QR text."""

    async def run(address: str) -> None:
        async with wiring.connection(address) as connection, db.acting(connection, Role.PUBLIC):
            if name is not None:
                answer = await verification.by_number(connection, what, name, _now())
            elif os.path.exists(what):  # noqa: PTH110, ASYNC240 - for a Path a QR text is too long
                content = _read(Path(what), verification.PDF_BYTES_MAX)
                async with Jail(verification.EXAMINE_JOB, concurrent=1) as examiner:
                    answer = await verification.by_file(connection, examiner, content, _now())
            elif what.isdigit() and len(what) <= _NUMBER_LENGTH_MAX:
                raise click.UsageError("编号须与 --name 同时给出 / a number needs --name")
            elif what.lower().endswith(".pdf"):
                raise errors.FileUnusable(path=what, reason="不存在 not found")
            else:
                answer = await verification.by_text(connection, what, _now())
        terminal.verdict(answer)
        codes = {Status.VALID: 0, Status.INDETERMINATE: 2}
        context.exit(codes.get(answer.status, 1))

    _run(context.obj, run)


@qianfa.command("check")
@click.pass_context
def check(context: click.Context) -> None:
    """重算流水日志的哈希链 / Replay the hash chains of the journal."""

    async def run(address: str) -> None:
        async with wiring.connection(address) as connection:
            broken = await journal.broken(connection)
        for one in broken:
            terminal.say(f"✗ {one.city_code} #{one.sequence} {one.reason}")
        if broken:
            context.exit(1)
        terminal.say("日志完整 the journal is whole")

    _run(context.obj, run)


def _read(path: Path, size_max: int) -> bytes:
    """Read a file, and of one that is too large one byte more than is allowed."""
    with path.open("rb") as file:
        return file.read(size_max + 1)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _terminated(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def main() -> None:
    """Run the command line and end with the documented exit code."""
    signal.signal(signal.SIGTERM, _terminated)  # ends what was started, like Ctrl-C
    try:
        code = qianfa.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except errors.Refusal as refusal:
        if refusal.findings:
            terminal.findings(refusal.findings, title="")
        terminal.refuse(refusal.code, refusal.zh, refusal.en)
        sys.exit(_TRY_LATER if refusal.retry else _EXIT_CODES.get(type(refusal), _DATA))
    except OSError as error:
        if error.filename is None:
            raise
        unusable = errors.FileUnusable(path=error.filename, reason=error.strerror)
        terminal.refuse(unusable.code, unusable.zh, unusable.en)
        sys.exit(_DATA)
    except SigningError as error:
        zh, _, en = str(error).partition(" / ")
        terminal.refuse(error.code, zh, en)
        sys.exit(_SET_UP)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(_USAGE)
