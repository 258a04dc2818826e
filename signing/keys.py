"""Keys: the development set, and the door through which every private key comes in.

A key is loaded once, at start, or refused with one sentence that names its file: missing, readable
by others, not P-256, outside its validity, meant for another use, not its certificate's, or not
issued by our own chain. A development set appears whole under its name or not at all, never over
another one, and every certificate of it says 样本 SPECIMEN of itself.
"""

import datetime
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from signing import errors
from signing.cose import Purpose


class Pin(msgspec.Struct, frozen=True):
    """The public half of a signer, all DER: what a verifier holds of it."""

    certificate: bytes
    issuing: bytes
    root: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the signer certificate, lower-case hex."""
        return hashlib.sha256(self.certificate).hexdigest()


class Signer(msgspec.Struct, frozen=True):
    """A city's sealing key. `specimen` is read from the certificate itself."""

    private_key: ec.EllipticCurvePrivateKey
    pin: Pin
    specimen: bool
    valid_from_at: datetime.datetime
    valid_until_at: datetime.datetime

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the signer certificate, lower-case hex."""
        return self.pin.fingerprint


class CoseKey(msgspec.Struct, frozen=True):
    """A key of statements or of status lists. `kid`: first 4 bytes of SHA-256 over `spki`.

    `specimen` is read from the certificate itself.
    """

    private_key: ec.EllipticCurvePrivateKey
    kid: bytes
    spki: bytes
    purpose: Purpose
    specimen: bool
    valid_from_at: datetime.datetime
    valid_until_at: datetime.datetime


SPECIMEN = "样本 SPECIMEN"
SECRETS = ("id", "lookup", "status")
VALIDITY = datetime.timedelta(days=3 * 365)

# What a certificate may do: sign, commit to content, sign certificates, be an authority.
_AUTHORITY = (False, False, True, True)
_SEALING = (True, True, False, False)
_STATING = (True, False, False, False)

_Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]
_Usage = tuple[bool, bool, bool, bool]


def create_development(
    folder: Path, *, cities: Mapping[str, str], made_at: datetime.datetime
) -> None:
    """Make a root, an issuing CA, a signer a city (code → name), QR and status keys, the secrets.

    All is written and synced under a temporary name beside `folder`, then renamed in one step: a
    process killed in the middle leaves nothing that could be taken for keys.

    Raises: KeysExist where `folder` is not empty or another process was faster.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write_set(draft, cities, made_at)
        draft.rename(folder)
    except OSError as error:
        shutil.rmtree(draft)
        if folder.exists():
            raise errors.KeysExist(path=folder) from error
        raise
    _sync(folder.parent)


def load_signer(folder: Path, city_code: str, *, now: datetime.datetime) -> Signer:
    """Load the sealing key of a city with the chain that issued it.

    Raises: the error that names the first file in which something is wrong.
    """
    root = _certificate(folder / "root.crt", now, _AUTHORITY)
    issuing = _certificate(folder / "issuing.crt", now, _AUTHORITY)
    path = folder / "seal" / f"{city_code}.crt"
    private_key, certificate = _pair(path, now, _SEALING)
    _check_issued(folder / "issuing.crt", issuing, root)
    _check_issued(path, certificate, issuing)
    chain = (certificate, issuing, root)
    return Signer(
        private_key,
        Pin(*(part.public_bytes(serialization.Encoding.DER) for part in chain)),
        _is_specimen(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def load_qr_key(folder: Path, *, now: datetime.datetime) -> CoseKey:
    """Load the QR key. Its certificate gives it a validity window and no right to seal PDFs."""
    return _cose_key(folder / "qr" / "qr.crt", Purpose.STATEMENT, now)


def load_status_key(folder: Path, *, now: datetime.datetime) -> CoseKey:
    """Load the key of the status lists, which is neither the QR key nor a sealing key."""
    path = folder / "status" / "status.crt"
    loaded = _cose_key(path, Purpose.STATUS, now)
    if loaded.spki == load_qr_key(folder, now=now).spki:
        raise errors.KeyUsageWrong(path=path)
    return loaded


def load_secret(folder: Path, name: str) -> bytes:
    """Load one of the `SECRETS`: exactly 32 bytes."""
    path = folder / "secrets" / f"{name}.key"
    secret = _read_private(path)
    if len(secret) != 32:
        raise errors.KeyMalformed(path=path)
    return secret


def _write_set(folder: Path, cities: Mapping[str, str], made_at: datetime.datetime) -> None:
    root = _certify("样本根 ROOT", made_at, _AUTHORITY)
    issuing = _certify("样本签发 ISSUING", made_at, _AUTHORITY, root)
    pairs = {"root": root, "issuing": issuing}
    pairs["qr/qr"] = _certify("样本二维码 QR", made_at, _STATING)
    pairs["status/status"] = _certify("样本状态表 STATUS", made_at, _STATING)
    for code, name in cities.items():
        pairs[f"seal/{code}"] = _certify(f"样章 {code}", made_at, _SEALING, issuing, name)
    for name in ("seal", "qr", "status", "secrets"):
        (folder / name).mkdir(mode=0o700)
    pem = serialization.Encoding.PEM
    for place, (private_key, certificate) in pairs.items():
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        _write(folder / f"{place}.key", private_key.private_bytes(pem, *form))
        _write(folder / f"{place}.crt", certificate.public_bytes(pem))
    for name in SECRETS:
        _write(folder / "secrets" / f"{name}.key", secrets.token_bytes(32))
    for path in (folder, *folder.rglob("*")):
        _sync(path)


def _certify(
    common_name: str,
    made_at: datetime.datetime,
    usage: _Usage,
    issuer: _Pair | None = None,
    locality: str | None = None,
) -> _Pair:
    """Make a key and its certificate, signed by `issuer` or by itself."""
    names = {NameOID.COUNTRY_NAME: "CN", NameOID.ORGANIZATION_NAME: SPECIMEN}
    names |= {NameOID.LOCALITY_NAME: locality} if locality else {}
    names |= {NameOID.COMMON_NAME: common_name}
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names.items()])
    private_key = ec.generate_private_key(ec.SECP256R1())
    public_key = private_key.public_key()
    issuing_key, issuing_name = (issuer[0], issuer[1].subject) if issuer else (private_key, subject)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuing_key.public_key())
    sign, commit, certify, authority = usage
    allowed = x509.KeyUsage(sign, commit, False, False, False, certify, certify, False, False)
    certificate = (
        x509.CertificateBuilder(issuing_name, subject, public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(made_at)
        .not_valid_after(made_at + VALIDITY)
        .add_extension(x509.BasicConstraints(authority, path_length=None), critical=True)
        .add_extension(allowed, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(issuer_id, critical=False)
        .sign(issuing_key, hashes.SHA256())
    )
    return private_key, certificate


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cose_key(path: Path, purpose: Purpose, now: datetime.datetime) -> CoseKey:
    private_key, certificate = _pair(path, now, _STATING)
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return CoseKey(
        private_key,
        hashlib.sha256(spki).digest()[:4],
        spki,
        purpose,
        _is_specimen(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _is_specimen(certificate: x509.Certificate) -> bool:
    organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return any(organization.value == SPECIMEN for organization in organizations)


def _pair(path: Path, now: datetime.datetime, usage: _Usage) -> _Pair:
    """Load the end-entity certificate at `path` and the private key beside it."""
    key_path = path.with_suffix(".key")
    try:
        key = serialization.load_pem_private_key(_read_private(key_path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise errors.KeyMalformed(path=key_path) from error
    if not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)):
        raise errors.KeyNotP256(path=key_path)
    certificate = _certificate(path, now, usage)
    if key.public_key() != certificate.public_key():
        raise errors.KeyMismatched(path=path)
    return key, certificate


def _certificate(path: Path, now: datetime.datetime, usage: _Usage) -> x509.Certificate:
    """Load a certificate that is valid now and may do exactly what `usage` says."""
    try:
        certificate = x509.load_pem_x509_certificate(_read(path))
        allowed = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as error:
        raise errors.KeyUsageWrong(path=path) from error
    except ValueError as error:
        raise errors.KeyMalformed(path=path) from error
    if now < certificate.not_valid_before_utc:
        raise errors.KeyNotYetValid(path=path, at=certificate.not_valid_before_utc)
    if now > certificate.not_valid_after_utc:
        raise errors.KeyExpired(path=path, at=certificate.not_valid_after_utc)
    signs = (allowed.digital_signature, allowed.content_commitment, allowed.key_cert_sign)
    if (*signs, basic.ca) != usage:
        raise errors.KeyUsageWrong(path=path)
    return certificate


def _check_issued(path: Path, certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature) as error:
        name = issuer.subject.rfc4514_string()
        raise errors.KeyUntrusted(path=path, issuer=name) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise errors.KeyMissing(path=path) from error


def _read_private(path: Path) -> bytes:
    content = _read(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise errors.KeyExposed(path=path, mode=f"{mode:04o}")
    return content
