"""SOPS files of a second implementation, and vectors of the original."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

from reconciler.api.errors import ManifestError
from reconciler.sealed import SettingsFiles, readable_by_others
from reconciler.sealed.age import decrypt
from reconciler.sealed.keys import Key
from reconciler.sealed.sops.cipher import BrokenValueError, open_value
from tests.sealed.refusals import SECRET, refused
from tests.sealed.sops_writer import Sops
from tests.sealed.tools import AgeKey

VALUES: dict[str, Any] = {
    "DB_PASSWORD": SECRET,
    "EMPTY": "",
    "LINES": "one\ntwo",
    "PORT": 8080,
    "RATIO": 0.25,
    "ON": True,
    "OFF": False,
    "LEVEL_unencrypted": "debug",
    "COUNT_unencrypted": 3,
    "SHARE_unencrypted": 1.5,
    "OPEN_unencrypted": True,
}
AS_SETTINGS = {
    "DB_PASSWORD": SECRET,
    "EMPTY": "",
    "LINES": "one\ntwo",
    "PORT": "8080",
    "RATIO": "0.25",
    "ON": "true",
    "OFF": "false",
    "LEVEL_unencrypted": "debug",
    "COUNT_unencrypted": "3",
    "SHARE_unencrypted": "1.5",
    "OPEN_unencrypted": "true",
}
LINES = [
    "# the database",
    f"DB_PASSWORD={SECRET}",
    "",
    "TOKEN='a # b'",
    'TWO="a\\nb"',
    "EMPTY=",
    "LEVEL_unencrypted=debug",
]

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


class TestVectors:
    """Of SOPS's own tests: aes/cipher_test.go and age/keysource_test.go."""

    VALUE = (
        "ENC[AES256_GCM,data:oYyi,iv:MyIDYbT718JRr11QtBkcj3Dwm4k1aCGZBVeZf0EyV8o=,"
        "tag:t5z2Z023Up0kxwCgw1gNxg==,type:str]"
    )
    IDENTITY = "AGE-SECRET-KEY-1G0Q5K9TV4REQ3ZSQRMTMG8NSWQGYT0T7TZ33RAZEE0GZYVZN0APSU24RK7"
    DATA_KEY = b"""-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBvY2t2NkdLUGRvY3l2OGNy
MVJWcUhCOEZrUG8yeCtnRnhxL0I5NFk4YjJFCmE4SVQ3MEdyZkFqRWpSa2F0NVhF
VDUybzBxdS9nSGpHSVRVMUI0UEVqZkkKLS0tIGJjeGhNQ0Y5L2VZRVVYSm90djFF
bzdnQ3UwTGljMmtrbWNMV1MxYkFzUFUK4xjOZOTGdcbzuwUY/zeBXhcF+Md3e5PQ
EylloI7MNGbadPGb
-----END AGE ENCRYPTED FILE-----"""

    def test_a_value(self) -> None:
        assert open_value(self.VALUE, b"f" * 32, "bar:").content == b"foo"

    @pytest.mark.parametrize("context", ["", "bar", "foo:", "bar:bar:"])
    def test_a_value_in_another_place(self, context: str) -> None:
        with pytest.raises(BrokenValueError):
            open_value(self.VALUE, b"f" * 32, context)

    def test_a_data_key(self) -> None:
        identity = x25519.Identity.from_str(self.IDENTITY)
        key = Key(str(identity.to_public()), Path("k"), 1, identity)
        assert decrypt(self.DATA_KEY, [key], Path("x"), line=7) == b"data"


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_yaml_and_json(files: SettingsFiles, key: AgeKey, other: AgeKey, write: Write, form: str) -> None:
    text = getattr(Sops([other, key]), form)(VALUES)
    assert SECRET not in text
    settings = files.read(write(f"secrets.{form}", text))
    assert settings.values == AS_SETTINGS
    assert settings.sealed
    # The content tells, not the name.
    assert files.read(write("secrets", text)).values == AS_SETTINGS


def test_dotenv_is_read_as_sops_would_have_decrypted_it(
    files: SettingsFiles, key: AgeKey, write: Write
) -> None:
    text = Sops([key]).dotenv(LINES)
    assert SECRET not in text
    settings = files.read(write("secrets.env", text))
    assert settings.values == {
        "DB_PASSWORD": SECRET,
        "TOKEN": "a # b",
        "TWO": "a\nb",
        "EMPTY": "",
        "LEVEL_unencrypted": "debug",
    }
    assert list(settings.values) == ["DB_PASSWORD", "TOKEN", "TWO", "EMPTY", "LEVEL_unencrypted"]


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("_plain", {}),
        ("_unencrypted", {"mac_only_encrypted": True}),
        ("", {"encrypted_suffix": "X", "unencrypted_suffix": None}),
        ("", {"encrypted_regex": "^[A-Z]+$"}),
        ("", {"unencrypted_regex": "^nothing$"}),
    ],
)
def test_options_of_what_is_encrypted(
    files: SettingsFiles, key: AgeKey, write: Write, suffix: str, options: dict[str, Any]
) -> None:
    values = {"AX": SECRET, "BX": "2", "CX_plain": "3"} if suffix == "_plain" else {"AX": SECRET, "BX": "2"}
    path = write("secrets.yaml", Sops([key], options=options, suffix=suffix).yaml(values))
    assert files.read(path).values == values


def test_without_a_suffix_it_is_that_of_sops(files: SettingsFiles, key: AgeKey, write: Write) -> None:
    text = (
        Sops([key]).yaml({"A": "1", "B_unencrypted": "2"}).replace("  unencrypted_suffix: _unencrypted\n", "")
    )
    assert "unencrypted_suffix" not in text
    assert files.read(write("s.yaml", text)).values == {"A": "1", "B_unencrypted": "2"}


def test_all_may_read_it(key: AgeKey, write: Write) -> None:
    path = write("s.yaml", Sops([key]).yaml(VALUES))
    path.chmod(0o644)
    assert readable_by_others(path) is None


def test_a_value_that_is_not_text(files: SettingsFiles, key: AgeKey, write: Write) -> None:
    with pytest.raises(ManifestError) as error:
        files.read(
            write(
                "s.yaml",
                Sops([key]).yaml({"A": {"B": SECRET}, "C": ["d"], "E": None, "F G": "h", "I": "a\0b"}),
            )
        )
    assert [(each.line, each.field, each.message) for each in error.value.problems] == [
        (2, "A.B", "is nested"),
        (4, "C", "is nested"),
        (5, "E", "has no value"),
        (6, "F G", "is no name of a setting"),
        (7, "I", "holds a NUL character"),
    ]
    assert SECRET not in str(error.value)


def test_mistakes_in_dotenv_have_their_lines(files: SettingsFiles, key: AgeKey, write: Write) -> None:
    with pytest.raises(ManifestError) as error:
        files.read(write("s.env", Sops([key]).dotenv(["# one", "A=1", f"B= {SECRET}"])))
    assert [each.line for each in error.value.problems] == [3]
    assert "B has a space after '='" in str(error.value)


@pytest.mark.parametrize("form", ["yaml", "json", "dotenv"])
def test_which_key_is_missing_and_where_it_says_so(
    files: SettingsFiles, key: AgeKey, other: AgeKey, write: Write, form: str
) -> None:
    text = getattr(Sops([other]), form)(["A=1"] if form == "dotenv" else {"A": "1"})
    path = write(f"s.{form}", text)
    line = next(
        n for n, each in enumerate(text.splitlines(), start=1) if other.recipient in each or "_enc=" in each
    )
    said = refused(files, path)
    shown = line - 1 if form == "json" else line
    assert said.startswith(f"{path}:{shown}:1: is encrypted to recipients of which no key is here")
    assert f"the keys here are {key.recipient}" in said
    assert f"the key of {other.recipient} (line {shown}) is missing" in said
    assert "vaultctl has no key: the key of" in refused(SettingsFiles(), path)


def test_files_of_the_same_kind_that_are_no_sops(files: SettingsFiles, write: Write) -> None:
    assert "has no metadata of SOPS" in refused(files, write("plain.yaml", "A: 1\n"))
    assert "has no metadata of SOPS" in refused(files, write("plain.json", '{"A": 1}\n'))
