"""What `--git`, `--branch` and `--path` name, checked before git sees it.

A URL may carry a password. It is taken apart here: one half is shown and passed around, the other goes to git in its
environment and nowhere else.
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
        """All of it in one line; the same after a restart and with another password."""
        return f"{self.url}#{self.branch}" + (f":{self.path}" if self.path.parts else "")

    @property
    def name(self) -> str:
        """A short name for metrics: the repository's own and the branch."""
        return f"{PurePosixPath(self.url.replace(':', '/')).name.removesuffix('.git')}@{self.branch}"

    @property
    def digest(self) -> str:
        """A name for a directory of the state."""
        return hashlib.sha256(self.place.encode()).hexdigest()[:16]

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be in any message, as written and as it is meant."""
        parts = urlsplit(self.full_url)
        # Without a password, the name in an HTTPS URL is a token.
        secret = parts.password or (parts.username if parts.scheme != "ssh" else None)
        # What is not shown of the rest is one as well, such as ?private_token=…, which git repeats in its complaints.
        hidden = (parts.query, *(value for _name, value in parse_qsl(parts.query)), parts.fragment)
        found = (secret or "", *(each for each in hidden if len(each) >= SHORTEST))
        return tuple(dict.fromkeys(spelt for each in found if each for spelt in (each, unquote(each))))

    def config(self) -> tuple[tuple[str, str], ...]:
        """The setting of git that puts the credentials back."""
        return ((f"url.{self.full_url}.insteadOf", self.url),) if self.full_url else ()


def parse_address(url: str, branch: str, path: str = "") -> Address:
    """Check the three and take them apart. Raises PermanentError that says what to write instead."""
    shown, full = _split(url)
    if not branch or _BAD_REF.search(branch):
        raise PermanentError(f"{branch!r} cannot be the name of a branch; write one such as main")
    directory = PurePosixPath(path)
    if directory.is_absolute() or ".." in directory.parts or _BAD_TEXT.search(path):
        raise PermanentError(f"{path!r} is no path inside a repository; write one such as apps/production")
    return Address(shown, branch, directory, full)


def split_place(place: str) -> Address:
    """The address that a `place` stands for. Raises PermanentError for a text that is none."""
    url, _, rest = place.partition("#")
    branch, _, path = rest.partition(":")
    return parse_address(url, branch, path)


def _split(url: str) -> tuple[str, str]:
    """The URL to show, and the whole one if they differ."""
    if url.startswith("-") or not url or _BAD_TEXT.search(url):
        raise PermanentError("the URL of the repository is empty, starts with '-' or holds a space")
    if "#" in url and not url.lower().startswith("http"):
        raise PermanentError("the URL of the repository holds a '#'; name the branch with --branch")
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if not scheme:
        if url.startswith("/") or _SCP.fullmatch(url):
            return url, ""
        raise PermanentError(
            f"{_without_userinfo(url)!r} is no URL of a repository; write https://, ssh://, file:// or an "
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
    # A user name of ssh is part of the address. One of https may be a token by itself.
    user = f"{parts.username}@" if scheme == "ssh" and parts.username else ""
    shown = f"{scheme}://{user}{authority}{parts.path}"
    return shown, url if shown != url else ""


def _without_userinfo(url: str) -> str:
    return url.rpartition("@")[2]


def in_repository(manifest: Path, link: str) -> PurePosixPath:
    """The path inside its repository of a manifest that was read below a directory called `link`."""
    parts = manifest.parts
    return PurePosixPath(*parts[parts.index(link) + 1 :]) if link in parts else PurePosixPath(manifest.name)
