"""Git repositories and servers, created for one test each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.git_repository import Repository, made_in, manifest
from tests.sources.git_servers import SSH, find_sshd, serving_ssh


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = made_in(tmp_path)
    made.commit({"apps/files.yaml": manifest("files")})
    return made


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a controller whose user has no configuration of git."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of an sshd."""
    return find_sshd(tmp_path_factory.mktemp("sshd"))


@pytest.fixture
def ssh(tmp_path: Path, repository: Repository, sshd: list[str]) -> Iterator[SSH]:
    with serving_ssh(sshd, tmp_path / "ssh", repository.bare) as served:
        yield served
