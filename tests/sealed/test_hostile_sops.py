"""SOPS files that were changed without a key: each is refused at its line, soon, and none of them is used in part."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.errors import ManifestError
from reconciler.sealed import Keyring, SettingsFiles
from tests.sealed.refusals import SECRET, refused
from tests.sealed.sops_writer import Sops
from tests.sealed.tools import AgeKey

VALUES = {"DB_PASSWORD": SECRET, "TOKEN": "t-1234567", "LEVEL_unencrypted": "info"}
MAC = "has a MAC that is not of its values"
CHANGED = "was changed, cut off, or moved here from another key"


@pytest.fixture
def writer(key: AgeKey) -> Sops:
    return Sops([key])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets.yaml"


def forge(writer: Sops, change: Callable[[dict[str, Any]], object]) -> str:
    """A file that was changed after it was encrypted."""
    tree = yaml.safe_load(writer.yaml(VALUES))
    change(tree)
    return yaml.safe_dump(tree, sort_keys=False)


def swap(tree: dict[str, Any]) -> None:
    tree["DB_PASSWORD"], tree["TOKEN"] = tree["TOKEN"], tree["DB_PASSWORD"]


def rename(tree: dict[str, Any]) -> None:
    tree["ADMIN_PASSWORD"] = tree.pop("DB_PASSWORD")


def reorder(tree: dict[str, Any]) -> None:
    tree["DB_PASSWORD"] = tree.pop("DB_PASSWORD")


def cut(tree: dict[str, Any]) -> None:
    tree["TOKEN"] = re.sub(r"tag:[^,]+", "tag:AAAA", tree["TOKEN"])


def retype(tree: dict[str, Any]) -> None:
    tree["TOKEN"] = tree["TOKEN"].replace("type:str", "type:bool")


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (swap, ":1:1: DB_PASSWORD: ", CHANGED),
        (rename, "ADMIN_PASSWORD: ", CHANGED),
        (cut, ":2:1: TOKEN: ", CHANGED),
        (retype, ":2:1: TOKEN: ", CHANGED),
        (lambda tree: tree.update(TOKEN="mine"), ":2:1: TOKEN: ", "is not encrypted, as it has to be"),
        (lambda tree: tree.update(MORE="mine"), "MORE: ", "is not encrypted, as it has to be"),
        (lambda tree: tree.update(TOKEN=None), "", MAC),
        (lambda tree: tree.update(TOKEN=""), "", MAC),
        (lambda tree: tree.pop("TOKEN"), "", MAC),
        (reorder, "", MAC),
        (lambda tree: tree.update(LEVEL_unencrypted="debug"), "", MAC),
        (lambda tree: tree.update(MORE_unencrypted="x"), "", MAC),
        (lambda tree: tree["sops"].update(lastmodified="2030-01-01T00:00:00Z"), "", MAC),
        (lambda tree: tree["sops"].update(mac=""), "", MAC),
        (lambda tree: tree["sops"].pop("mac"), "", MAC),
        (lambda tree: tree["sops"].update(mac=tree["TOKEN"]), "", MAC),
        (lambda tree: tree["sops"].update(mac_only_encrypted=True), "", MAC),
        (
            lambda tree: tree["sops"].update(unencrypted_suffix="TOKEN"),
            "LEVEL_unencrypted: ",
            "is not encrypted, as it has to be",
        ),
        (lambda tree: tree["sops"].update(key_groups=[{}]), "", "uses key_groups of SOPS"),
        (lambda tree: tree["sops"].update(encrypted_comment_regex="x"), "", "uses encrypted_comment_regex"),
        (lambda tree: tree["sops"].update(age=[], pgp=[{"fp": "A"}]), "", "is encrypted only by pgp"),
        (lambda tree: tree["sops"].update(age=[]), "", "is encrypted to no recipient"),
        (lambda tree: tree["sops"].update(age=[{"recipient": "age1x"}]), "", "is no metadata of SOPS"),
        (lambda tree: tree["sops"]["age"][0].update(enc="x"), "", "is truncated, or was changed"),
        (
            lambda tree: tree["sops"].update(age=[dict(tree["sops"]["age"][0]) for _ in range(101)]),
            "",
            "more than 100 recipients",
        ),
        (lambda tree: tree.update(sops="x"), "", "has no metadata of SOPS"),
    ],
)
def test_a_change_without_the_key_is_noticed(
    files: SettingsFiles,
    writer: Sops,
    path: Path,
    change: Callable[[dict[str, Any]], object],
    place: str,
    message: str,
) -> None:
    path.write_text(forge(writer, change))
    said = refused(files, path)
    assert said.startswith(str(path))
    assert place in said
    assert message in said


def test_the_part_of_another_data_key(files: SettingsFiles, writer: Sops, key: AgeKey, path: Path) -> None:
    """Everyone can encrypt a data key to the controller; the values of another one do not open with it."""
    own = yaml.safe_load(Sops([key]).yaml({}))["sops"]["age"]
    path.write_text(forge(writer, lambda tree: tree["sops"].update(age=own)))
    assert CHANGED in refused(files, path)
    short = yaml.safe_load(Sops([key], key=b"f" * 16).yaml({}))["sops"]["age"]
    path.write_text(forge(writer, lambda tree: tree["sops"].update(age=short)))
    assert "holds no data key of SOPS" in refused(files, path)


def test_with_a_mac_of_encrypted_values_only_none_can_be_added(
    files: SettingsFiles, key: AgeKey, path: Path
) -> None:
    writer = Sops([key], options={"mac_only_encrypted": True})
    for change, message in (
        (lambda tree: tree.update(MORE="mine"), "is not encrypted, as it has to be"),
        (lambda tree: tree["sops"].update(encrypted_regex="^none$"), "mac_only_encrypted with a regular"),
        (lambda tree: tree.pop("TOKEN"), MAC),
    ):
        path.write_text(forge(writer, change))
        assert message in refused(files, path)
    # That is what the option of SOPS means: this value may be changed.
    path.write_text(forge(writer, lambda tree: tree.update(LEVEL_unencrypted="debug")))
    assert files.read(path).values["LEVEL_unencrypted"] == "debug"


def test_a_regular_expression_is_not_run(files: SettingsFiles, writer: Sops, path: Path) -> None:
    """This one would take longer than the universe has existed."""
    path.write_text(forge(writer, lambda tree: tree["sops"].update(encrypted_regex="(a*)*" * 20 + "$b")))
    began = time.process_time()
    files.read(path)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("keep", [0.1, 0.3, 0.5, 0.8, 0.97])
@pytest.mark.parametrize("form", ["yaml", "json", "dotenv"])
def test_a_truncated_file(files: SettingsFiles, writer: Sops, tmp_path: Path, form: str, keep: float) -> None:
    values = [f"{name}={value}" for name, value in VALUES.items()] if form == "dotenv" else VALUES
    text = getattr(writer, form)(values)
    path = tmp_path / f"secrets.{form}"
    path.write_text(text[: int(len(text) * keep)])
    with pytest.raises(ManifestError) as error:
        files.read(path)
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("form", ["yaml", "json", "dotenv"])
def test_a_change_of_any_byte_gives_the_same_values_or_none(
    files: SettingsFiles, writer: Sops, tmp_path: Path, form: str
) -> None:
    # SOPS authenticates no names of values in plain.
    secret = {name: value for name, value in VALUES.items() if not name.endswith("_unencrypted")}
    values = [f"{name}={value}" for name, value in secret.items()] if form == "dotenv" else secret
    text, path = getattr(writer, form)(values), tmp_path / f"secrets.{form}"
    for place in range(0, len(text), 7):
        path.write_text(text[:place] + chr(ord(text[place]) ^ 3) + text[place + 1 :])
        try:
            found = files.read(path).values
        except ManifestError:
            continue
        assert found == secret, place


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' * 5000 + '"sops": {}' + "}" * 5000,
        "a: &a [1, 2]\n" + "".join(f"b{n}: [*a, *a, *a]\n" for n in range(80)) + "sops:\n  mac: x\n",
        "A: 1\nA: 2\nsops:\n  mac: x\n",
        "sops:\n  mac: x\n---\nA: 1\n",
        "- A\nsops:\n",
        "A: !!python/object:os.system x\nsops:\n  mac: x\n",
        "sops_mac=x\nA=1\nA=2\n",
        "sops_mac=x\nnonsense\n",
        "sops_mac=x\nsops_age__list_0__map_enc=y\n",
        "sops_age__list_999999999__map_recipient=x\nsops_mac=x\n",
        '{"sops": {"age": [[[]]]}}',
        "sops:\n  age: {}\n",
        "sops:\n  age: [null]\n",
    ],
)
def test_bombs_and_nonsense_are_one_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secrets.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError) as error:
        SettingsFiles().read(path)
    assert str(path) in str(error.value)


@given(st.text(max_size=300))
def test_any_text_is_settings_or_an_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    for start in ("sops:\n", "sops_mac=x\n", '{"sops": {'):
        path.write_text(start + text, encoding="utf-8", errors="replace")
        with pytest.raises(ManifestError):
            SettingsFiles(Keyring([])).read(path)
