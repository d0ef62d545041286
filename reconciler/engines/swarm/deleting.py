"""Deletes all that a Swarm has of the controller's services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.core import labels
from reconciler.engines.compose.api import DockerApi
from reconciler.engines.swarm.kept import SwarmKept
from reconciler.engines.swarm.marks import PROJECT

if TYPE_CHECKING:
    from reconciler.engines.base import Engine

__all__ = ["delete_projects"]


def delete_projects(engine: Engine, docker: DockerApi) -> Iterator[str]:
    """Delete the project of each service, and then the kept objects; yields the projects. Volumes stay."""
    query = {"filters": {"label": [labels.SERVICE]}}
    rows = docker.read("list services", "/services", query=query)
    for project in sorted({row["Spec"]["Labels"][PROJECT] for row in rows}):
        engine.tear_down(project, volumes=False)
        yield project
    kept = SwarmKept(docker)
    for label in sorted(kept.labels()):
        kept.forget(label)
