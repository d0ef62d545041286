"""Keys of the real `age-keygen`, and a reader of settings files that has one of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.sealed import Keyring, SettingsFiles
from tests.sealed.tools import AgeKey, age, keygen

Seal = Callable[..., Path]


@pytest.fixture
def key(tmp_path: Path) -> AgeKey:
    """The controller's key."""
    return keygen(tmp_path / "controller.key")


@pytest.fixture
def other(tmp_path: Path) -> AgeKey:
    """A key that the controller does not have."""
    return keygen(tmp_path / "other.key")


@pytest.fixture
def files(key: AgeKey) -> SettingsFiles:
    """What reads settings files with the controller's key."""
    return SettingsFiles(Keyring([key.path]))


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    """Encrypts with the real `age` command to these keys."""

    def sealed(text: str | bytes, *keys: AgeKey, armor: bool = False, name: str = "files.env.age") -> Path:
        path = tmp_path / "repository" / name
        path.parent.mkdir(exist_ok=True)
        content = text.encode() if isinstance(text, str) else text
        words = [word for each in keys for word in ("-r", each.recipient)]
        path.write_bytes(age("--encrypt", *words, *(["--armor"] if armor else []), content=content))
        return path

    return sealed
