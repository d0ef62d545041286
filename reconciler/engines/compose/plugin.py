"""How Compose is called: its plugin itself, and not by `docker`, which would start it twice to learn first what it is.

That halves the processor time of a call. The plugin is the one that `docker compose` means.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

__all__ = ["compose_call"]

NAME: Final = "docker-compose"
MARK: Final = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND=docker"
"""The variable by which Docker tells a plugin that its arguments are those of `docker`."""
SYSTEM: Final = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
"""Where Docker looks for plugins of all users, the first place first."""


def compose_call(environ: Mapping[str, str], system: tuple[str, ...] = SYSTEM) -> tuple[list[str], str]:
    """Variables, as "NAME=VALUE", and the program that takes the arguments of `docker compose` with these; `docker` if the
    plugin is not where Docker looks for it.
    """
    for directory in (*_of_user(environ), *map(Path, system)):
        if os.access(directory / NAME, os.X_OK):
            return [MARK], str(directory / NAME)
    return [], "docker"


def _of_user(environ: Mapping[str, str]) -> Iterator[Path]:
    """Places of the user's configuration, as far as it can be read: those that it names, then its own."""
    home = environ.get("DOCKER_CONFIG") or f"{environ.get('HOME') or '/'}/.docker"
    try:
        said = json.loads(Path(home, "config.json").read_bytes())
        named = [Path(each) for each in said.get("cliPluginsExtraDirs") or ()]
    except (OSError, ValueError, AttributeError, TypeError):
        named = []
    yield from named
    yield Path(home, "cli-plugins")
