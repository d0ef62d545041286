"""Credentials of registries, where `docker login` keeps them: in Docker's configuration, or with a helper that it names.

They are read anew for each login, so that a new login needs no restart, and appear in no message and no log.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from reconciler.core.images.reference import DOCKER_HUB
from reconciler.registry.errors import NoAccessError

__all__ = ["Credentials", "DockerCredentials", "Login"]

FILE: Final = "config.json"
MAX_BYTES: Final = 1024 * 1024
HELPER_SECONDS: Final = 20.0
IDENTITY: Final = "<token>"
"""The user name with which helpers say that the secret is an identity token."""
HUB_KEY: Final = "https://index.docker.io/v1/"

_HELPER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Login:
    """User and password for one registry, or an identity token in place of both."""

    user: str = field(repr=False)
    password: str = field(repr=False)
    identity: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of a header Authorization."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class Credentials(Protocol):
    """Where credentials come from."""

    @property
    def place(self) -> str:
        """That place, for messages."""

    def of(self, registry: str) -> Login | None:
        """Those for a registry, if there are any. Raises NoAccessError when they cannot be read."""


class DockerCredentials:
    """Those in the directory that DOCKER_CONFIG names, or in ~/.docker. `environ` is for helpers, too."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        named = environ.get("DOCKER_CONFIG")
        home = environ.get("HOME") or "/"
        self._path = (Path(named) if named else Path(home) / ".docker") / FILE

    @property
    def place(self) -> str:
        """See Credentials."""
        return str(self._path)

    def of(self, registry: str) -> Login | None:
        """See Credentials."""
        config = self._read()
        key = HUB_KEY if registry == DOCKER_HUB else registry
        helpers = _mapping(config.get("credHelpers"))
        if helper := helpers.get(registry, helpers.get(key)):
            return self._helped(helper, key)
        if (store := config.get("credsStore")) and (login := self._helped(store, key)):
            return login
        for name, entry in _mapping(config.get("auths")).items():
            if _host_of(name) == _host_of(key) and isinstance(entry, Mapping):
                return self._written(name, entry)
        return None

    def _read(self) -> Mapping[str, Any]:
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise NoAccessError(f"{self._path} cannot be read: {error.strerror}") from None
        try:
            return _mapping(json.loads(content if len(content) <= MAX_BYTES else b""))
        except (ValueError, RecursionError):
            raise NoAccessError(
                f"{self._path} is no JSON of at most {MAX_BYTES // 1024} KiB; mend it, or log in anew with docker login"
            ) from None

    def _written(self, name: str, entry: Mapping[str, Any]) -> Login | None:
        identity = entry.get("identitytoken")
        if isinstance(identity, str) and identity:
            return Login("", "", identity)
        if isinstance(entry.get("username"), str) and isinstance(entry.get("password"), str):
            return Login(entry["username"], entry["password"])
        auth = entry.get("auth")
        if not isinstance(auth, str) or not auth:
            return None
        try:
            user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            colon = ""
        if not colon:
            raise NoAccessError(
                f"{self._path}: auths, {name!r}: auth is not the base64 of USER:PASSWORD; run: docker login {name}"
            )
        return Login(user, password.rstrip("\0"))

    def _helped(self, helper: object, key: str) -> Login | None:
        """What a helper knows; None if it has no credentials for that."""
        if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
            raise NoAccessError(f"{self._path} names a helper for credentials whose name cannot be used")
        program = f"docker-credential-{helper}"
        try:
            done = subprocess.run(
                [program, "get"],
                input=key.encode(),
                capture_output=True,
                env=dict(self._environ),
                timeout=HELPER_SECONDS,
                check=False,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise NoAccessError(
                f"{program}, which {self._path} names, is not installed or not in PATH"
            ) from None
        except subprocess.TimeoutExpired:
            raise NoAccessError(f"{program} gave no answer in {HELPER_SECONDS:g} s") from None
        except OSError as error:
            raise NoAccessError(f"{program} cannot be started: {os.strerror(error.errno or 0)}") from None
        if done.returncode:
            # Its text may repeat what it knows; that it knows nothing is what helpers say in these words.
            if b"not found" in (done.stdout + done.stderr).lower():
                return None
            raise NoAccessError(f"{program} failed with exit code {done.returncode}")
        try:
            answer = _mapping(json.loads(done.stdout[:MAX_BYTES]))
        except (ValueError, RecursionError):
            answer = {}
        user, secret = answer.get("Username"), answer.get("Secret")
        if not isinstance(user, str) or not isinstance(secret, str):
            raise NoAccessError(f"{program} gave an answer without Username and Secret")
        return Login("", "", secret) if user == IDENTITY else Login(user, secret)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _host_of(key: str) -> str:
    """The registry that a key of the configuration means; old entries are URLs."""
    host = key.partition("://")[2] if "://" in key else key
    return host.partition("/")[0]
