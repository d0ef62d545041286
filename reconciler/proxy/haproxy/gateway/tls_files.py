"""The certificates of a gateway as HAProxy reads them when it starts: a file for each, and the list of their hosts.

Files with keys have the mode 0600 and belong to the user that HAProxy starts as. The name of a file stands for its hosts,
so a renewed certificate keeps it, and other hosts have another one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.chunks import in_chunks
from reconciler.proxy.haproxy.containers import CONFIG_MOUNT
from reconciler.proxy.haproxy.directory import (
    DIRECTORY_MODE,
    FILE_MODE,
    SECRET_MODE,
    give,
    make_directory,
    opened,
    opened_below,
    read_file,
    remove,
    replace_file,
)
from reconciler.proxy.haproxy.values import server_name

__all__ = [
    "CERTIFICATE_LIST",
    "CHALLENGES",
    "CHALLENGE_LIST",
    "DEFAULT",
    "DEFAULT_CERTIFICATE",
    "LIST",
    "LISTS",
    "Certificates",
    "Served",
    "are_written",
    "served",
    "write_certificates",
]

TLS_DIRECTORY: Final = "tls"
CERTIFICATE_LIST: Final = f"{TLS_DIRECTORY}/certificates.list"
CHALLENGE_LIST: Final = f"{TLS_DIRECTORY}/challenges.list"
DEFAULT_CERTIFICATE: Final = f"{TLS_DIRECTORY}/default.pem"
LIST, CHALLENGES, DEFAULT = (
    f"{CONFIG_MOUNT}/{file}" for file in (CERTIFICATE_LIST, CHALLENGE_LIST, DEFAULT_CERTIFICATE)
)
"""The same as HAProxy knows them: commands name files as the configuration does."""
LISTS: Final = (LIST, CHALLENGES)
MAX_LINE: Final = 8 * 1024
"""Characters of the hosts of one file: HAProxy takes a line of the list over its socket in one buffer."""
MAX_FILE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Served:
    """A certificate, with its chain and key in PEM, and the hosts (sorted) that it serves. `where` is the list that names
    it: CHALLENGES for one that answers an ACME server.
    """

    hosts: tuple[str, ...]
    pem: str = field(repr=False)
    where: str = LIST

    @property
    def name(self) -> str:
        """The name of its file."""
        digest = sha256(" ".join(self.hosts).encode()).hexdigest()[:16]
        return f"{'challenge-' if self.where == CHALLENGES else ''}{digest}.pem"

    @property
    def path(self) -> str:
        """Its file as HAProxy knows it."""
        return f"{CONFIG_MOUNT}/{TLS_DIRECTORY}/{self.name}"

    @property
    def line(self) -> str:
        """Its line in the list."""
        return f"{self.path} {' '.join(map(server_name, self.hosts))}"


@dataclass(frozen=True, slots=True)
class Certificates:
    """All certificates of a gateway; `default` (PEM) is for clients that ask for no host of these."""

    default: str = field(repr=False)
    served: tuple[Served, ...] = ()

    @property
    def pems(self) -> dict[str, str]:
        """The text of each file, by its path as HAProxy knows it."""
        return {DEFAULT: self.default, **{each.path: each.pem for each in self.served}}


def served(
    pems: Mapping[str, str], challenges: Mapping[str, str] = MappingProxyType({})
) -> tuple[Served, ...]:
    """Certificates by host (PEM) as files: hosts of the same certificate share one, as far as a line goes. `challenges` are
    those that answer an ACME server by tls-alpn-01.
    """
    hosts: dict[str, list[str]] = {}
    for host, pem in sorted(pems.items()):
        hosts.setdefault(pem, []).append(host)
    found = [Served(part, pem) for pem, names in hosts.items() for part in in_chunks(names, MAX_LINE)]
    found += [Served((host,), pem, CHALLENGES) for host, pem in challenges.items()]
    return tuple(sorted(found, key=lambda each: (each.where, each.hosts)))


def are_written(site: Site, certificates: Certificates) -> bool:
    """Whether the files are as `write_certificates` writes them. Raises OSError and ValueError."""
    texts, modes = _texts(certificates)
    with (
        suppress(FileNotFoundError),
        opened(site.config) as config,
        opened_below(config, TLS_DIRECTORY) as directory,
    ):
        return set(_pems_in(directory)) <= set(texts) and all(
            _is(directory, name, text, modes[name]) for name, text in texts.items()
        )
    return False


def write_certificates(site: Site, certificates: Certificates) -> None:
    """Write the files of these certificates, then the lists, then remove others. Raises OSError, and ValueError for a host
    that HAProxy could read as something else.
    """
    texts, modes = _texts(certificates)
    # On the network of the host root reads them, and has no capability to read those of others.
    owner = site if site.starter is None else replace(site, uid=site.starter)
    make_directory(site.config, site)
    with opened(site.config) as config:
        with suppress(FileExistsError):
            os.mkdir(TLS_DIRECTORY, DIRECTORY_MODE, dir_fd=config)
        with opened_below(config, TLS_DIRECTORY) as directory:
            os.fchmod(directory, DIRECTORY_MODE)
            give(directory, site)
            # The lists name the others.
            for name in sorted(texts, key=lambda name: (name.endswith(".list"), name)):
                if not _is(directory, name, texts[name], modes[name]):
                    replace_file(directory, name, texts[name].encode(), owner, modes[name])
            for name in _pems_in(directory):
                if name not in texts:
                    remove(directory, name)


def _texts(certificates: Certificates) -> tuple[dict[str, str], dict[str, int]]:
    """The text and the mode of each file."""
    pems = {path.rpartition("/")[2]: pem for path, pem in certificates.pems.items()}
    lists = {
        where.rpartition("/")[2]: "".join(
            f"{each.line}\n" for each in certificates.served if each.where == where
        )
        for where in LISTS
    }
    return {**pems, **lists}, {**dict.fromkeys(pems, SECRET_MODE), **dict.fromkeys(lists, FILE_MODE)}


def _pems_in(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.name.endswith(".pem")]


def _is(directory: int, name: str, text: str, mode: int) -> bool:
    return read_file(directory, name, MAX_FILE + len(text)) == text and _mode(directory, name) == mode


def _mode(directory: int, name: str) -> int:
    return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode & 0o7777
