"""Settings: a value that cannot be meant stops the start with one sentence that names it."""

import contextlib
import string
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from service.ground import settings
from service.ground.errors import SettingRefused, SettingUnknown
from service.ground.settings import Settings

KNOWN = sorted(name.upper() for name in Settings.__struct_fields__)
BAD = [
    ("VAR", ""),
    ("VAR", "  "),
    ("DATABASE_URL", "mysql://somewhere/db"),
    ("DATABASE_URL", "localhost"),
    ("DATABASE_URL", "postgresql://"),
    ("STORE", "ftp://somewhere"),
    ("HOST", ""),
    ("HOST", "https://example.cn"),
    ("HOST", "example.cn/v"),
    ("HOST", "example.cn\n"),
    ("HOST", "Example.cn"),
    ("PORT", "0"),
    ("PORT", "65536"),
    ("PORT", "http"),
    ("PORT", ""),
    ("EDITION", "../2025"),
    ("EDITION", "2026\n"),
    ("EDITION", ""),
    ("SECOND_FACTOR", "maybe"),
    ("OIDC_ISSUER", "id.example.cn"),
    ("OIDC_ISSUER", "http://id.example.cn"),
    ("OIDC_ISSUER", "https://"),
    ("LICENCE_TYPE", "123"),
    ("LICENCE_TYPE", "dev000000000000000001"),
    ("PUBLICITY_DAYS_MIN", "0"),
    ("PUBLICITY_DAYS_MIN", "five"),
    ("PASS_MARK", "0"),
    ("PASS_MARK", "101"),
    ("FULL_EXAMINATION_PERCENT", "-1"),
    ("FULL_EXAMINATION_PERCENT", "nan"),
    ("TAKEOVER_SECONDS", "0"),
    ("TAKEOVER_SECONDS", "inf"),
    ("PROCESSES", "-1"),
    ("PROCESSES", "many"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_stops_the_start_with_one_sentence_that_names_its_setting(
    name: str, value: str
) -> None:
    with pytest.raises(SettingRefused) as refused:
        settings.read({"QIANFA_PASS_MARK": "60", f"QIANFA_{name}": value})
    for sentence in (refused.value.zh, refused.value.en):
        assert f"QIANFA_{name}" in sentence
        assert len(sentence.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("VAR", "/srv/签发", Path("/srv/签发")),
        ("DATABASE_URL", "postgresql://qianfa@db/qianfa", "postgresql://qianfa@db/qianfa"),
        ("DATABASE_URL", "postgres://db", "postgres://db"),
        ("DATABASE_URL", "", ""),
        ("STORE", "s3://bucket/prefix", "s3://bucket/prefix"),
        ("STORE", "/srv/objects", "/srv/objects"),
        ("HOST", "verify.example.cn:8443", "verify.example.cn:8443"),
        ("PORT", "65535", 65535),
        ("EDITION", "2027-a", "2027-a"),
        ("PASS_MARK", "100", 100),
        ("FULL_EXAMINATION_PERCENT", "0.5", 0.5),
        ("TAKEOVER_SECONDS", "0.1", 0.1),
        ("PROCESSES", "0", 0),
    ],
)
def test_a_good_value_is_what_was_meant(name: str, value: str, meant: object) -> None:
    assert getattr(settings.read({f"QIANFA_{name}": value}), name.lower()) == meant


def test_without_anything_set_everything_lies_under_var() -> None:
    read = settings.read({"PATH": "/bin", "XQIANFA_PORT": "1"})
    assert read == Settings()
    assert (read.keys_folder, read.store_address) == (Path("var/keys"), "var/objects")
    moved = settings.read({"QIANFA_VAR": "/srv", "QIANFA_KEYS": "/mnt", "QIANFA_STORE": "s3://b"})
    assert (moved.keys_folder, moved.store_address) == (Path("/mnt"), "s3://b")


@given(st.text(string.ascii_letters + "_", max_size=20))
def test_an_unknown_name_is_refused_and_never_silently_the_default(name: str) -> None:
    assume(name not in KNOWN)
    with pytest.raises(SettingUnknown, match=f"QIANFA_{name}"):
        settings.read({f"QIANFA_{name}": "1"})


@given(st.sampled_from(KNOWN), st.text())
def test_whatever_is_set_is_read_or_refused_and_never_a_crash(name: str, value: str) -> None:
    with contextlib.suppress(SettingRefused):
        assert isinstance(settings.read({f"QIANFA_{name}": value}), Settings)


def test_a_refusal_does_not_repeat_a_value_that_may_hold_a_secret() -> None:
    with pytest.raises(SettingRefused) as refused:
        settings.read({"QIANFA_DATABASE_URL": "mysql://user:hunter2@db"})
    assert "hunter2" not in str(refused.value)


def test_every_setting_is_listed_with_its_default_and_what_it_is_for() -> None:
    listed = {name: (default, purpose) for name, default, purpose in settings.described()}
    assert sorted(listed) == sorted(f"QIANFA_{name}" for name in KNOWN)
    assert listed["QIANFA_PORT"][0] == "8080"
    assert all(purpose for _, purpose in listed.values())
