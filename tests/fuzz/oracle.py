"""The oracle: what `docker compose config` reads in what we write is the fragment, value by value.

A random fragment is built as any other and written as any other; many of them go into one file, because a call of Compose
takes a tenth of a second whatever it reads. What comes back is compared with what the fragment meant.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from reconciler.api import VaultService
from reconciler.core.admission import ANNOTATION, Policy
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Site
from reconciler.engines.compose.file import dump
from reconciler.proxy.haproxy.front import FRONT
from tests.fuzz.pieces import FIELDS, SETTINGS, Piece
from vault_plugins import VaultServicePlugin

BATCH: Final = 100
"""Fragments in one file."""
SECONDS: Final = 120.0
_SITE: Final = Site(Path("/state/files"), 99, 99)
_POLICY: Final = Policy(allow_privileged=frozenset({"files"}))
_SERVICE: Final = VaultService.model_validate(
    {
        "metadata": {"name": "files", "annotations": {ANNOTATION: "privileged"}},
        "spec": {"plugin": "oracle", "env": SETTINGS},
    }
)
_TOP: Final[dict[str, Any]] = {
    "volumes": {"data": {}},
    "networks": {"back": {"ipam": {"config": [{"subnet": "10.1.0.0/16"}]}}},
    "configs": {"conf": {"content": "x"}},
    "secrets": {"conf": {"file": "/srv/conf"}},
}


@dataclass(frozen=True)
class Difference:
    """A value that Compose reads otherwise than it was meant."""

    seed: int
    field: str
    written: Any
    meant: Any
    read: Any

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.field}: {self.written!r} means {self.meant!r}, Compose reads {self.read!r}"


@dataclass(frozen=True)
class Comparison:
    """What a number of fragments came to."""

    fragments: int
    values: int
    seconds: float
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        return (
            f"{'Compose itself':<18} {self.fragments:>8,} fragments, {self.values:,} fields, {self.seconds:.0f} s, "
            f"{len(self.differences)} differences"
        )


class _Plugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(name="Oracle", slug="oracle", default_port=8080)

    def __init__(self, service: dict[str, Any]) -> None:
        self._service = service

    def build_compose(self, env: Mapping[str, str]) -> Mapping[str, Any]:
        web = {"image": "web:1", "environment": dict.fromkeys(SETTINGS, "")}
        return {"services": {"web": web, "db": self._service}, **_TOP}

    def get_containers(self) -> list[str]:
        return ["web"]


def compare(first: int, fragments: int) -> Comparison:
    """Compare the fragments of seeds `first` to `first + fragments - 1`."""
    started = time.monotonic()
    found: list[Difference] = []
    values = 0
    for begin in range(first, first + fragments, BATCH):
        seeds = range(begin, min(begin + BATCH, first + fragments))
        pieces = {seed: draw(Random(seed)) for seed in seeds}
        values += sum(map(len, pieces.values()))
        found += differences(pieces)
    return Comparison(fragments, values, time.monotonic() - started, tuple(found))


def draw(random: Random) -> dict[str, Piece]:
    """The fields of one service."""
    names = sorted(random.sample(sorted(FIELDS), random.randint(3, 14)))
    return {name: FIELDS[name](random) for name in names}


def differences(fragments: Mapping[int, Mapping[str, Piece]]) -> Iterator[Difference]:
    """The values of these fragments, by their seeds, that Compose reads otherwise than they were meant."""
    services: dict[str, Any] = {"web": {"image": "web:1"}}
    top: dict[str, Any] = {}
    for seed, pieces in fragments.items():
        plugin = _Plugin({"image": "db:1", **{field: piece.written for field, piece in pieces.items()}})
        document = build(_SERVICE, plugin, _SITE, policy=_POLICY, front=FRONT).document
        services[f"s{seed}"] = document["services"]["db"]
        top = {section: document[section] for section in (*_TOP, "networks")}
    read = compose_reads({"name": "vault-files", "services": services, **top})["services"]
    for seed, pieces in fragments.items():
        for field, piece in pieces.items():
            found = _own(field, read[f"s{seed}"].get(field))
            if found != piece.read and (found or piece.read):
                yield Difference(seed, field, piece.written, piece.read, found)


def _own(field: str, value: Any) -> Any:
    """A value without what the controller adds to it."""
    if field == "labels" and value:
        return {name: text for name, text in value.items() if not name.startswith("internal.vault.")}
    return value


def compose_reads(document: Mapping[str, Any]) -> dict[str, Any]:
    """What `docker compose config` makes of a document; every `$` stands for itself again."""
    done = subprocess.run(
        ["docker", "compose", "--project-directory", "/", "--file", "-", "config", "--format", "json"],
        input=dump(document),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = _single(json.loads(done.stdout))
    return read


def _single(value: Any) -> Any:
    # Compose prints each dollar doubled, so that its output can be read again.
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {_single(key): _single(item) for key, item in value.items()}
    return [_single(item) for item in value] if isinstance(value, list) else value
