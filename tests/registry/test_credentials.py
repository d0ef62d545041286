"""Credentials from Docker's configuration, and that no message has one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.registry import DockerCredentials, NoAccessError
from reconciler.registry import credentials as module
from reconciler.registry.credentials import Login

SECRET = "hunter22"
AUTH = base64.b64encode(f"anna:{SECRET}".encode()).decode()


def of(directory: Path, config: Any, registry: str = "r.test", **environ: str) -> Login | None:
    text = config if isinstance(config, str) else json.dumps(config)
    (directory / "config.json").write_text(text)
    return DockerCredentials({"DOCKER_CONFIG": str(directory), "PATH": str(directory), **environ}).of(
        registry
    )


def helper(directory: Path, name: str, script: str) -> None:
    path = directory / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


FOUND = {
    "auth": ({"auths": {"r.test": {"auth": AUTH}}}, "r.test"),
    "an old entry": ({"auths": {"https://r.test/v1/": {"auth": AUTH}}}, "r.test"),
    "a port": ({"auths": {"r.test:5000": {"auth": AUTH}}}, "r.test:5000"),
    "Docker Hub": ({"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}}, "docker.io"),
    "two fields": ({"auths": {"r.test": {"username": "anna", "password": SECRET}}}, "r.test"),
}


@pytest.mark.parametrize(("config", "registry"), FOUND.values(), ids=FOUND.keys())
def test_what_docker_login_wrote(tmp_path: Path, config: Any, registry: str) -> None:
    login = of(tmp_path, config, registry)
    assert login == Login("anna", SECRET)
    assert login.basic == f"Basic {AUTH}"
    assert SECRET not in repr(login)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"auths": {"r.test:5000": {"auth": AUTH}}},
        {"auths": {"evil-r.test": {"auth": AUTH}, "r.test.evil": {"auth": AUTH}}},
        {"auths": {"r.test": {}}},
        {"auths": {"r.test": None}},
        {"auths": []},
        [],
        "null",
    ],
)
def test_none_for_this_registry(tmp_path: Path, config: Any) -> None:
    assert of(tmp_path, config) is None


def test_no_configuration_is_no_credentials(tmp_path: Path) -> None:
    assert DockerCredentials({"HOME": str(tmp_path)}).of("r.test") is None
    assert DockerCredentials({"HOME": str(tmp_path)}).place == str(tmp_path / ".docker/config.json")


def test_an_identity_token(tmp_path: Path) -> None:
    config = {"auths": {"r.test": {"auth": AUTH, "identitytoken": "long"}}}
    assert of(tmp_path, config) == Login("", "", "long")


def test_a_helper_is_asked(tmp_path: Path) -> None:
    helper(
        tmp_path,
        "vault",
        f'read key; [ "$key" = r.test ] && echo \'{{"Username":"anna","Secret":"{SECRET}"}}\'',
    )
    for config in ({"credHelpers": {"r.test": "vault"}}, {"credsStore": "vault"}):
        assert of(tmp_path, config) == Login("anna", SECRET)
    helper(tmp_path, "vault", 'echo \'{"Username":"<token>","Secret":"long"}\'')
    assert of(tmp_path, {"credsStore": "vault"}) == Login("", "", "long")


def test_a_helper_that_knows_nothing_leaves_it_to_the_rest(tmp_path: Path) -> None:
    helper(tmp_path, "vault", "echo credentials not found in native keychain; exit 1")
    assert of(tmp_path, {"credsStore": "vault", "auths": {"r.test": {"auth": AUTH}}}) == Login("anna", SECRET)
    assert of(tmp_path, {"credHelpers": {"r.test": "vault"}}) is None


BROKEN = {
    "no JSON": (f'{{"auths": "{SECRET}', "", r"config\.json is no JSON"),
    "no base64": (
        {"auths": {"r.test": {"auth": f"{SECRET}!"}}},
        "",
        "auth is not the base64 of USER:PASSWORD",
    ),
    "no colon": ({"auths": {"r.test": {"auth": "aHVudGVyMjI="}}}, "", "auth is not the base64"),
    "no helper": ({"credsStore": "gone"}, "", "docker-credential-gone, which .* names, is not installed"),
    "a path as a helper": ({"credsStore": "../x"}, "", "whose name cannot be used"),
    "a helper that fails": ({"credsStore": "vault"}, f"echo {SECRET} >&2; exit 3", "failed with exit code 3"),
    "a helper without words": ({"credsStore": "vault"}, f"echo {SECRET}", "without Username and Secret"),
}


@pytest.mark.parametrize(("config", "script", "complaint"), BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_read_is_told_without_a_secret(
    tmp_path: Path, config: Any, script: str, complaint: str
) -> None:
    helper(tmp_path, "vault", script)
    with pytest.raises(NoAccessError, match=complaint) as error:
        of(tmp_path, config)
    assert SECRET not in str(error.value)
    assert "aHVudGVyMjI" not in str(error.value)


def test_a_helper_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELPER_SECONDS", 0.1)
    helper(tmp_path, "vault", "exec /bin/sleep 60")
    with pytest.raises(NoAccessError, match=r"gave no answer in 0\.1 s"):
        of(tmp_path, {"credsStore": "vault"})
