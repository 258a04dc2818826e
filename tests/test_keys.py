"""Keys: a development set comes whole or not at all, and every unfit key is refused by name."""

import datetime
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from signing import cose, errors, keys
from tests import pdfs

NOW = pdfs.SEALED_AT


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "keys"
    keys.create_development(folder, cities=pdfs.CITIES, made_at=pdfs.MADE_AT)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "keys"))


def test_a_development_set_gives_every_city_its_own_signer(made: Path) -> None:
    signers = [keys.load_signer(made, code, now=NOW) for code in pdfs.CITIES]
    assert len({signer.fingerprint for signer in signers}) == len(pdfs.CITIES)
    assert all(signer.specimen for signer in signers)
    assert all(signer.valid_from_at <= NOW <= signer.valid_until_at for signer in signers)


def test_a_development_certificate_says_specimen_and_names_no_authority(made: Path) -> None:
    for path in made.rglob("*.crt"):
        subject = x509.load_pem_x509_certificate(path.read_bytes()).subject.rfc4514_string()
        assert "样本 SPECIMEN" in subject
        assert not {"局", "中心", "厅"} & set(subject)
    signer = x509.load_pem_x509_certificate((made / "seal/510100.crt").read_bytes())
    assert "CN=样章 510100" in signer.subject.rfc4514_string()


def test_a_certificate_without_the_mark_is_no_specimen(folder: Path) -> None:
    _issue(folder, "510100", organization="省职鉴中心")
    assert not keys.load_signer(folder, "510100", now=NOW).specimen


def test_only_the_owner_can_read_any_of_it(made: Path) -> None:
    for path in (made, *made.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_the_secrets_are_32_random_bytes_each(made: Path) -> None:
    secrets = {keys.load_secret(made, name) for name in keys.SECRETS}
    assert len(secrets) == len(keys.SECRETS)
    assert {len(secret) for secret in secrets} == {32}


def test_a_secret_of_another_length_is_refused(folder: Path) -> None:
    path = folder / "secrets/id.key"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(errors.KeyMalformed, match=r"id\.key"):
        keys.load_secret(folder, "id")


def test_a_secret_that_others_can_read_is_refused(folder: Path) -> None:
    (folder / "secrets/id.key").chmod(0o604)
    with pytest.raises(errors.KeyExposed, match="0604"):
        keys.load_secret(folder, "id")


def test_the_qr_key_is_known_by_the_digest_of_its_public_key(made: Path) -> None:
    loaded = keys.load_qr_key(made, now=NOW)
    public = serialization.load_der_public_key(loaded.spki)
    assert public == loaded.private_key.public_key()
    digest = hashes.Hash(hashes.SHA256())
    digest.update(loaded.spki)
    assert loaded.kid == digest.finalize()[:4]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("seal/510100", "qr/qr"),
        ("qr/qr", "seal/510100"),
        ("seal/510100", "status/status"),
        ("status/status", "seal/510100"),
        ("qr/qr", "status/status"),
        ("status/status", "qr/qr"),
    ],
)
def test_the_keys_of_seals_statements_and_lists_never_stand_in_for_each_other(
    folder: Path, source: str, target: str
) -> None:
    for suffix in ("key", "crt"):
        shutil.copy(folder / f"{source}.{suffix}", folder / f"{target}.{suffix}")
    with pytest.raises(errors.KeyUsageWrong):
        _load(folder, target if target.startswith("seal") else "status/status")


def test_a_set_from_before_the_status_lists_is_refused_by_the_file_that_it_lacks(
    folder: Path,
) -> None:
    shutil.rmtree(folder / "status")
    with pytest.raises(errors.KeyMissing, match=r"status/status\.key"):
        keys.load_status_key(folder, now=NOW)


def test_statement_and_status_keys_say_what_they_are(made: Path) -> None:
    loaded = keys.load_qr_key(made, now=NOW), keys.load_status_key(made, now=NOW)
    assert [key.purpose for key in loaded] == [cose.Purpose.STATEMENT, cose.Purpose.STATUS]
    assert all(key.specimen for key in loaded)
    assert loaded[0].kid != loaded[1].kid


def test_keys_are_never_overwritten(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    with pytest.raises(errors.KeysExist, match=str(folder)):
        keys.create_development(folder, cities=pdfs.CITIES, made_at=pdfs.MADE_AT)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    assert list(folder.parent.iterdir()) == [folder]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    keys.create_development(tmp_path, cities=pdfs.CITIES, made_at=pdfs.MADE_AT)
    assert keys.load_signer(tmp_path, "510300", now=NOW).specimen


@pytest.mark.parametrize("delay_ms", [0, 5, 20, 60])
def test_a_killed_creation_leaves_nothing_that_could_be_taken_for_keys(
    tmp_path: Path, delay_ms: int
) -> None:
    script = (
        "import datetime, pathlib, sys; from signing import keys;"
        "keys.create_development(pathlib.Path(sys.argv[1]), cities={str(n): 'X' for n in"
        " range(9000)}, made_at=datetime.datetime.now(datetime.UTC))"
    )
    folder = tmp_path / "keys"
    with subprocess.Popen([sys.executable, "-c", script, folder], cwd=pdfs.TEMPLATES.parent) as run:
        while not list(tmp_path.iterdir()) and run.poll() is None:
            time.sleep(0.001)
        time.sleep(delay_ms / 1000)
        run.send_signal(signal.SIGKILL)
    assert not folder.exists()
    keys.create_development(folder, cities=pdfs.CITIES, made_at=pdfs.MADE_AT)
    assert keys.load_signer(folder, "510100", now=NOW).specimen


def _load(folder: Path, place: str = "seal/510100", now: datetime.datetime = NOW) -> object:
    if place == "qr/qr":
        return keys.load_qr_key(folder, now=now)
    if place == "status/status":
        return keys.load_status_key(folder, now=now)
    return keys.load_signer(folder, place.removeprefix("seal/"), now=now)


def _issue(
    folder: Path, code: str, *, organization: str = keys.SPECIMEN, usage: bool = True
) -> None:
    """Put a certificate of another content, issued by the same CA, in the place of a signer's."""
    path = folder / "seal" / f"{code}.crt"
    old = x509.load_pem_x509_certificate(path.read_bytes())
    issuing_key = serialization.load_pem_private_key((folder / "issuing.key").read_bytes(), None)
    assert isinstance(issuing_key, ec.EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization)])
    builder = (
        x509.CertificateBuilder(old.issuer, name, old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
    )
    for extension in old.extensions:
        if usage or not isinstance(extension.value, x509.KeyUsage):
            builder = builder.add_extension(extension.value, extension.critical)
    certificate = builder.sign(issuing_key, hashes.SHA256())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _replace_key(curve: ec.EllipticCurve) -> Callable[[Path], object]:
    pem = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    new = ec.generate_private_key(curve).private_bytes(*pem)
    return lambda folder: (folder / "seal/510100.key").write_bytes(new)


def _from_another_root(*names: str) -> Callable[[Path], object]:
    def swap(folder: Path) -> None:
        other = folder / "other"
        keys.create_development(other, cities=pdfs.CITIES, made_at=pdfs.MADE_AT)
        for name in names:
            shutil.copy(other / name, folder / name)

    return swap


def _folder_instead(folder: Path) -> None:
    (folder / "seal/510100.key").unlink()
    (folder / "seal/510100.key").mkdir()


BREAKS: dict[str, tuple[Callable[[Path], object], type[errors.SigningError], str]] = {
    "no key": (lambda at: (at / "seal/510100.key").unlink(), errors.KeyMissing, "510100.key"),
    "no certificate": (
        lambda at: (at / "seal/510100.crt").unlink(),
        errors.KeyMissing,
        "510100.crt",
    ),
    "no chain": (lambda at: (at / "issuing.crt").unlink(), errors.KeyMissing, "issuing.crt"),
    "a folder in its place": (_folder_instead, errors.KeyMissing, "510100.key"),
    "group": (lambda at: (at / "seal/510100.key").chmod(0o640), errors.KeyExposed, "510100.key"),
    "others": (lambda at: (at / "seal/510100.key").chmod(0o602), errors.KeyExposed, "510100.key"),
    "no PEM": (
        lambda at: (at / "seal/510100.key").write_bytes(b"?"),
        errors.KeyMalformed,
        "510100.key",
    ),
    "certificate no PEM": (
        lambda at: (at / "seal/510100.crt").write_bytes(b"?"),
        errors.KeyMalformed,
        "510100.crt",
    ),
    "P-384": (_replace_key(ec.SECP384R1()), errors.KeyNotP256, "510100.key"),
    "256 bits of another curve": (
        _replace_key(ec.BrainpoolP256R1()),
        errors.KeyNotP256,
        "510100.key",
    ),
    "another key": (_replace_key(ec.SECP256R1()), errors.KeyMismatched, "510100.crt"),
    "an authority's pair": (
        lambda at: [
            shutil.copy(at / f"issuing.{s}", at / f"seal/510100.{s}") for s in ("key", "crt")
        ],
        errors.KeyUsageWrong,
        "510100.crt",
    ),
    "no usage": (lambda at: _issue(at, "510100", usage=False), errors.KeyUsageWrong, "510100.crt"),
    "signer as issuer": (
        lambda at: shutil.copy(at / "seal/510100.crt", at / "issuing.crt"),
        errors.KeyUsageWrong,
        "issuing.crt",
    ),
    "equal names, another root": (
        _from_another_root("seal/510100.key", "seal/510100.crt"),
        errors.KeyUntrusted,
        "510100.crt",
    ),
    "issuing of another root": (
        _from_another_root("seal/510100.key", "seal/510100.crt", "issuing.crt"),
        errors.KeyUntrusted,
        "issuing.crt",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_an_unfit_key_is_refused_with_one_sentence_that_names_the_file(
    folder: Path, name: str
) -> None:
    spoil, refusal, file_name = BREAKS[name]
    assert _load(folder)
    spoil(folder)
    with pytest.raises(refusal) as caught:
        _load(folder)
    chinese, english = str(caught.value).split(" / ", 1)
    assert file_name in chinese
    assert file_name in english
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("place", ["seal/510100", "qr/qr"])
def test_a_key_is_loaded_only_within_the_validity_of_its_certificate(
    made: Path, place: str
) -> None:
    second = datetime.timedelta(seconds=1)
    assert _load(made, place, pdfs.MADE_AT)
    assert _load(made, place, pdfs.MADE_AT + keys.VALIDITY)
    with pytest.raises(errors.KeyNotYetValid, match=r"\.crt"):
        _load(made, place, pdfs.MADE_AT - second)
    with pytest.raises(errors.KeyExpired, match=r"\.crt"):
        _load(made, place, pdfs.MADE_AT + keys.VALIDITY + second)


def test_an_expired_issuer_is_refused_as_its_signer_is(folder: Path) -> None:
    later = folder / "later"
    keys.create_development(later, cities=pdfs.CITIES, made_at=NOW - 2 * keys.VALIDITY)
    shutil.copy(later / "issuing.crt", folder / "issuing.crt")
    with pytest.raises(errors.KeyExpired, match=r"issuing\.crt"):
        _load(folder)


def test_nothing_is_written_where_nothing_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        keys.create_development(tmp_path / "file" / "keys", cities={}, made_at=NOW)
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208 - names alone are compared
