"""Public keys: the pinned seal certificates, statement and status keys that verification trusts.

They are rows, published by the province before anything is sealed with them and never removed: an
old certificate must stay verifiable. Nothing else is trusted, whoever vouches for it.
"""

import datetime
from collections.abc import Mapping, Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from service.ground import statements
from service.ground.db import Connection
from service.ground.errors import KeyRenewed
from service.registry import accounts
from service.registry.accounts import Actor
from service.registry.journal import Act
from signing import CoseKey, Pin, Signer, token
from signing.cose import Purpose
from signing.key_set import Keys

_sql = statements.beside(__file__)


class _SealCertificate(msgspec.Struct, frozen=True):
    certificate: bytes
    chain: list[bytes]


class _StatementKey(msgspec.Struct, frozen=True):
    kid: bytes
    public_key: bytes
    purpose: Purpose
    specimen: bool
    valid_from: datetime.datetime
    valid_until: datetime.datetime


_add_certificate = _sql.perhaps("add_certificate", bytes)
_add_key = _sql.perhaps("add_key", bytes)
_certificates = _sql.many("certificates", _SealCertificate)
_keys = _sql.many("keys", _StatementKey)


async def publish(
    connection: Connection,
    actor: Actor,
    signers: Mapping[str, Signer],
    cose_keys: Sequence[CoseKey],
) -> int:
    """Publish what is not published yet; returns how many keys that were.

    Raises: KeyRenewed.
    """
    accounts.require(actor, Act.KEYS_PUBLISH)
    await require_unchanged(connection, cose_keys)
    published = [
        await _add_certificate(
            connection,
            fingerprint=bytes.fromhex(signer.fingerprint),
            city_code=city_code,
            certificate=signer.pin.certificate,
            chain=[signer.pin.issuing, signer.pin.root],
            specimen=signer.specimen,
            valid_from=signer.valid_from_at,
            valid_until=signer.valid_until_at,
        )
        for city_code, signer in signers.items()
    ] + [
        await _add_key(
            connection,
            kid=key.kid,
            public_key=key.spki,
            purpose=key.purpose.value,
            specimen=key.specimen,
            valid_from=key.valid_from_at,
            valid_until=key.valid_until_at,
        )
        for key in cose_keys
    ]
    new = [mark.hex() for mark in published if mark is not None]
    if new:
        await accounts.write(connection, actor, Act.KEYS_PUBLISH, "keys", {"published": new})
    return len(new)


async def require_unchanged(connection: Connection, cose_keys: Sequence[CoseKey]) -> None:
    """Refuse a key under another certificate than it is published with: nobody would believe it.

    Raises: KeyRenewed, where its window or what it is for is another.
    """
    published = {row.kid: row for row in await _keys(connection)}
    for key in cose_keys:
        row = published.get(key.kid)
        if row and (row.public_key, row.purpose, row.valid_from, row.valid_until) != (
            key.spki, key.purpose, key.valid_from_at, key.valid_until_at
        ):  # fmt: skip
            raise KeyRenewed(kid=key.kid.hex())


async def pins(connection: Connection) -> dict[str, Pin]:
    """Return every pinned signer by the fingerprint of its certificate, lower-case hex."""
    rows = await _certificates(connection)
    found = [Pin(row.certificate, *row.chain) for row in rows]
    return {pin.fingerprint: pin for pin in found}


async def statement_keys(connection: Connection) -> Mapping[bytes, token.PublishedKey]:
    """Return every published key of statements by its kid, with its window."""
    return (await cose_keys(connection))[Purpose.STATEMENT]


async def cose_keys(connection: Connection) -> Keys:
    """Return every published key of statements and of status lists, oldest first."""
    found: dict[Purpose, dict[bytes, token.PublishedKey]] = {purpose: {} for purpose in Purpose}
    for row in await _keys(connection):
        public_key = load_der_public_key(row.public_key)
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            found[row.purpose][row.kid] = token.PublishedKey(
                public_key, row.valid_from, row.valid_until, row.specimen
            )
    return found
