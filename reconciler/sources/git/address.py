"""Parses and checks `--git`, `--branch` and `--path` before they are passed to git.

A URL may contain a password. It is split here: the part without credentials is shown and passed around, the credentials
are passed only to git, in its environment.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from reconciler.api import PermanentError
from reconciler.core.redaction import SHORTEST

ROOT: Final = PurePosixPath()
SCHEMES: Final = ("https", "http", "ssh", "file")

_SCP: Final = re.compile(r"(?:[A-Za-z0-9_.][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!//)[^:]+")
_BAD_REF: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|\.lock$|/\.")
_BAD_TEXT: Final = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Address:
    """A directory in a branch of a repository. `url` holds no credentials; `full_url` may, and is never shown."""

    url: str
    branch: str
    path: PurePosixPath = ROOT
    full_url: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """URL, branch and path in one line; unchanged after a restart or with another password."""
        return f"{self.url}#{self.branch}" + (f":{self.path}" if self.path.parts else "")

    @property
    def name(self) -> str:
        """A short name for metrics: repository name and branch."""
        return f"{PurePosixPath(self.url.replace(':', '/')).name.removesuffix('.git')}@{self.branch}"

    @property
    def digest(self) -> str:
        """A name for its directory in the state directory."""
        return hashlib.sha256(self.place.encode()).hexdigest()[:16]

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may contain, in URL-encoded and decoded form."""
        parts = urlsplit(self.full_url)
        # Without a password, the user name in an HTTPS URL is a token.
        secret = parts.password or (parts.username if parts.scheme != "ssh" else None)
        # Other hidden parts, such as ?private_token=…, are secrets too, and git repeats them in its messages.
        hidden = (parts.query, *(value for _name, value in parse_qsl(parts.query)), parts.fragment)
        found = (secret or "", *(each for each in hidden if len(each) >= SHORTEST))
        return tuple(dict.fromkeys(spelt for each in found if each for spelt in (each, unquote(each))))

    def config(self) -> tuple[tuple[str, str], ...]:
        """The git setting that adds the credentials to the URL."""
        return ((f"url.{self.full_url}.insteadOf", self.url),) if self.full_url else ()


def parse_address(url: str, branch: str, path: str = "") -> Address:
    """Check and parse the three options. Raises PermanentError that says what to write instead."""
    shown, full = _split(url)
    if not branch or _BAD_REF.search(branch):
        raise PermanentError(f"{branch!r} cannot be the name of a branch; write one such as main")
    directory = PurePosixPath(path)
    if directory.is_absolute() or ".." in directory.parts or _BAD_TEXT.search(path):
        raise PermanentError(f"{path!r} is not a path inside a repository; write one such as apps/production")
    return Address(shown, branch, directory, full)


def split_place(place: str) -> Address:
    """Parse a `place`. Raises PermanentError for an invalid text."""
    url, _, rest = place.partition("#")
    branch, _, path = rest.partition(":")
    return parse_address(url, branch, path)


def _split(url: str) -> tuple[str, str]:
    """The URL to show, and the full URL if they differ."""
    if url.startswith("-") or not url or _BAD_TEXT.search(url):
        raise PermanentError("the URL of the repository is empty, starts with '-' or holds a space")
    if "#" in url and not url.lower().startswith("http"):
        raise PermanentError("the URL of the repository holds a '#'; name the branch with --branch")
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if not scheme:
        if url.startswith("/") or _SCP.fullmatch(url):
            return url, ""
        raise PermanentError(
            f"{_without_userinfo(url)!r} is not the URL of a repository; write https://, ssh://, file:// or an "
            "absolute path"
        )
    if scheme not in SCHEMES:
        raise PermanentError(f"{scheme}:// is not served; use one of {', '.join(SCHEMES)}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise PermanentError("the URL of the repository has an invalid host or port") from None
    if scheme == "file":
        return url, ""
    if not host or host.startswith("-"):
        raise PermanentError(f"the {scheme} URL of the repository names no host")
    authority = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    # The user name of an ssh URL is part of the address. That of an https URL may be a token.
    user = f"{parts.username}@" if scheme == "ssh" and parts.username else ""
    shown = f"{scheme}://{user}{authority}{parts.path}"
    return shown, url if shown != url else ""


def _without_userinfo(url: str) -> str:
    return url.rpartition("@")[2]


def in_repository(manifest: Path, link: str) -> PurePosixPath:
    """The path inside its repository of a manifest that was read below the directory `link`."""
    parts = manifest.parts
    return PurePosixPath(*parts[parts.index(link) + 1 :]) if link in parts else PurePosixPath(manifest.name)
