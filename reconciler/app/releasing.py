"""Releases a service: a plain Compose file, and the containers of it in place of the controller's.

The record stays when all is done. It keeps a manifest that is still followed somewhere from starting a second database on
the same volumes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.api import VaultError
from reconciler.controller.report.verdict import Verdict, summarize
from reconciler.core.adoption.plain import PlainProject, hindrances, named_volumes, plain
from reconciler.core.adoption.record import Adoption, Stage
from reconciler.core.desired.stack import Role

if TYPE_CHECKING:
    from reconciler.api import Status
    from reconciler.app.adopting import Foreign, Journal
    from reconciler.core.desired.stack import Stack
    from reconciler.store.base import StoredObject

__all__ = ["Release", "forget", "plan_release"]


@dataclass(frozen=True)
class Release:
    """What is written, and the record with which the steps begin."""

    record: Adoption
    project: PlainProject
    stops: float

    @property
    def document(self) -> dict[str, Any]:
        """As data, for `-o json`."""
        return {
            "name": self.record.name,
            "project": self.record.project,
            "file": self.record.file,
            "order": list(self.project.order),
            "volumes": sorted(self.record.volumes),
            "notes": list(self.project.notes),
        }


def plan_release(
    stored: StoredObject[Any],
    status: Status,
    stack: Stack,
    record: Adoption | None,
    foreign: Foreign,
    *,
    directory: Path,
    project: str,
    http: int | None,
    bind: str,
) -> Release:
    """The release of a service into `directory`. Raises VaultError with what speaks against it."""
    name = stored.name
    reasons = [*hindrances(stack)]
    summary = summarize(stored, status)
    if summary.verdict is not Verdict.READY:
        reasons.append(f"it is not Ready, so another revision may run than its spec says: {summary.message}")
    if record is not None and record.stage is not Stage.FINISHED and not record.is_released:
        reasons.append(
            f"its adoption is not finished: `vaultctl adopt {record.project} --undo` goes back to the former containers, "
            f"`vaultctl adopt {record.project} --finish` removes them"
        )
    reasons += _left_behind(stack, foreign)
    http = http or stack.published or None
    if http is None:
        reasons.append("it has no port of the host; say which one its web service publishes: --http")
    project = project or (record.project if record is not None else name)
    if foreign.find(project).containers:
        reasons.append(
            f"there are containers of a Compose project {project}; remove them, or name another one: --project"
        )
    if reasons or http is None:
        raise VaultError("\n  ".join([f"{name} cannot be released as it is:", *reasons]))
    made = plain(stack, project, http, bind)
    (web,) = stack.web
    after = Adoption(
        name,
        project,
        stage=Stage.RELEASING,
        web=web.name,
        order=made.order,
        volumes=named_volumes(stack),
        directory=str(directory.absolute()),
    )
    return Release(after, made, max(w.stop_grace for w in stack.workloads))


def _left_behind(stack: Stack, foreign: Foreign) -> Iterator[str]:
    """Data that no other container would find."""
    dependencies = {workload.name for workload in stack.of(Role.DEPENDENCY)}
    named = named_volumes(stack)
    mounts = [
        (each.name, mount)
        for each in foreign.find(stack.project, ours=True).containers
        if each.service in dependencies
        for mount in each.mounts
        if mount.volume not in named
    ]
    sizes = foreign.sizes(mount.volume for _, mount in mounts)
    for container, mount in mounts:
        if sizes.get(mount.volume, -1):
            yield (
                f"{container}: {mount.target} is an anonymous volume with data, which belongs to this container only; name "
                "the volume first"
            )


def forget(name: str, journal: Journal) -> None:
    """Remove the record of a release, so that the service may run again. Raises VaultError if there is none."""
    record = journal.get(name)
    if record is None or not record.is_released:
        raise VaultError(f"{name} was not released")
    journal.remove(name)
