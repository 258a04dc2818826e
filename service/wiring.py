"""Wiring: the only place that reads settings, loads keys and opens what the rooms are given.

A `Desk` is one actor's place at the database; every act at it is one transaction under the actor's
city. A `Press` is what a worker makes certificates with. Everything is opened once and late: a
command that needs no key never reads one.
"""

import contextlib
import datetime
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from service.checking import verification
from service.checking.portal import SecondFactor
from service.ground import db, embedded, migrate
from service.ground.db import Connection, Role
from service.ground.errors import KeysAbsent, SettingRefused
from service.ground.jail import Jail
from service.ground.objects import Objects
from service.ground.settings import Settings, templates_folder
from service.issuing.batches import Issuance
from service.issuing.batches.gates import Rules
from service.issuing.issuance import Press
from service.paper import overlay
from service.paper.forms import Forms
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.catalogue import City, reference
from service.registry.vault import Lookup, Vault
from service.web.identity import Provider
from service.web.limits import Limiter, Memory, Shared
from service.web.pages import Pages
from service.web.site import Site
from signing import CoseKey, Edition, Signer, drawable, keys
from signing.errors import KeysExist
from signing.frame import Frame

FONTS = templates_folder() / "fonts"


class Desk(msgspec.Struct, frozen=True):
    """An actor who has proved to be one, at a connection of their own."""

    connection: Connection
    actor: Actor

    def acting(self, *, at_one_moment: bool = False) -> AbstractAsyncContextManager[None]:
        """Begin one act: a transaction under the actor's city."""
        city_code = self.actor.city_code
        return db.acting(self.connection, Role.CONSOLE, city_code, at_one_moment=at_one_moment)


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """Give the address of the database: the one set, or the embedded server, held running."""
    if settings.database_url:
        yield settings.database_url
    else:
        with embedded.running(settings.var / "postgres") as address:
            yield address


@asynccontextmanager
async def connection(address: str, *, migrated: bool = True) -> AsyncIterator[Connection]:
    """Open a connection to a database, by default one that has all of this program's migrations."""
    opened = await db.connect(address)
    try:
        with db.refusing():
            if migrated:
                await migrate.require_current(opened)
            yield opened
    finally:
        with contextlib.suppress(TimeoutError, *db.Lost):
            await opened.close(timeout=5)


@asynccontextmanager
async def desk(address: str, account_name: str, secret: str) -> AsyncIterator[Desk]:
    """Open a desk for the holder of an account."""
    async with connection(address) as opened:
        yield Desk(opened, await accounts.authenticate(opened, account_name, secret))


@asynccontextmanager
async def site(settings: Settings, address: str) -> AsyncIterator[Site]:
    """Open everything that the public face answers with."""
    async with (
        db.Readers(address, size=16) as readers,
        await db.open_pool(address, Role.PORTAL, size=4) as portal_pool,
        Jail(verification.EXAMINE_JOB, concurrent=settings.examiners) as examiner,
    ):
        yield Site(
            readers=readers,
            portal_pool=portal_pool,
            examiner=examiner,
            objects=Objects.open(settings.store_address),
            pages=Pages(templates_folder() / "pages"),
            lookup=lookup(settings),
            second_factor=SecondFactor(settings.second_factor),
            provider=provider(settings),
            limits=Limiter(Memory() if settings.limits == "memory" else Shared(portal_pool)),
        )


def lookup(settings: Settings) -> Lookup:
    """Load the key by which people are found, which is all that the public face holds."""
    _require_keys(settings)
    return Lookup(keys.load_secret(settings.keys_folder, "lookup"))


def provider(settings: Settings) -> Provider | None:
    """Return the identity provider that is set, if one is."""
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_client_id:
        raise SettingRefused(name="QIANFA_OIDC_CLIENT_ID", reason="Expected the client id")
    secret = ""
    if settings.oidc_secret_file:
        try:
            secret = Path(settings.oidc_secret_file).read_text("utf-8").strip()
        except OSError as error:
            reason = error.strerror
            raise SettingRefused(name="QIANFA_OIDC_SECRET_FILE", reason=reason) from error
    return Provider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=secret,
        scope=settings.oidc_scope,
        name_claim=settings.oidc_name_claim,
        id_claim=settings.oidc_id_claim,
        lookup=lookup(settings),
    )


def vault(settings: Settings) -> Vault:
    """Load the two keys of personal data."""
    _require_keys(settings)
    folder = settings.keys_folder
    return Vault(keys.load_secret(folder, "id"), keys.load_secret(folder, "lookup"))


def sealing_keys(settings: Settings, now: datetime.datetime) -> tuple[dict[str, Signer], CoseKey]:
    """Load the sealing key of every city that has one, and the key of the QR statements."""
    _require_keys(settings)
    folder = settings.keys_folder
    codes = sorted(path.stem for path in (folder / "seal").glob("*.crt"))
    signers = {code: keys.load_signer(folder, code, now=now) for code in codes}
    return signers, keys.load_qr_key(folder, now=now)


def status_key(settings: Settings, now: datetime.datetime) -> CoseKey:
    """Load the key of the status lists."""
    _require_keys(settings)
    return keys.load_status_key(settings.keys_folder, now=now)


def press(settings: Settings, now: datetime.datetime) -> Press:
    """Load everything that certificates are made with."""
    signers, qr_key = sealing_keys(settings, now)
    return Press(
        open_edition=lambda name: Edition(templates_folder() / "certificate" / name, FONTS),
        signers=signers,
        qr_key=qr_key,
        vault=vault(settings),
        status_key=keys.load_secret(settings.keys_folder, "status"),
        host=settings.host,
    )


def make_development_keys(settings: Settings, now: datetime.datetime) -> bool:
    """Make a development set where there are no keys and none are said to be mounted."""
    if settings.keys or settings.keys_folder.exists():
        return False
    cities = {row.city_code: row.city_name for row in reference("centres.csv", City)}
    try:
        keys.create_development(settings.keys_folder, cities=cities, made_at=now)
    except KeysExist:
        return False  # another process was faster
    return True


def photo_frame(settings: Settings) -> Frame:
    """Return the place of the photo on new certificates, which says what a photo must be."""
    return Edition(templates_folder() / "certificate" / settings.edition, FONTS).photo_mm


def blank_edition(name: str) -> overlay.Edition:
    """Open the edition of a blank."""
    return overlay.Edition(templates_folder() / "blank", name, FONTS)


def forms() -> Forms:
    """Open the sheets that people sign."""
    return Forms(templates_folder() / "sheets", FONTS)


def drawable_characters() -> frozenset[int]:
    """Return the code points that the fonts of our editions can draw."""
    return drawable(FONTS)


def rules(settings: Settings) -> Rules:
    """Return what the gates leave to a deployment."""
    return Rules(publicity_days_min=settings.publicity_days_min, pass_mark=settings.pass_mark)


def issuance(settings: Settings) -> Issuance:
    """Return what a deployment decides about new certificates."""
    return Issuance(
        edition=settings.edition,
        licence_type=settings.licence_type,
        full_examination_percent=settings.full_examination_percent,
    )


def _require_keys(settings: Settings) -> None:
    if not settings.keys_folder.is_dir():
        raise KeysAbsent(folder=settings.keys_folder)
