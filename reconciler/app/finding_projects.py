"""Finds a running Compose project, and makes the plan of its adoption and its manifest.

All questions come here, with file and line, before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.api import VaultError, VaultService
from reconciler.api.compose_file import ComposeFile
from reconciler.app.beginning import Draft, ReadProject, checked, name_of, published, text_of
from reconciler.core.adoption.planning import AdoptionPlan, at_odds, plan_adoption, refusals
from reconciler.core.adoption.record import Adoption, Stage
from reconciler.core.compose.adapter import adapt
from reconciler.core.compose.project import Adapted, Kept, Project, ProjectError
from reconciler.core.desired.build import PROJECT_PREFIX

if TYPE_CHECKING:
    from reconciler.api import Manifest
    from reconciler.app.adopting import Foreign
    from reconciler.core.adoption.found import FoundProject
    from reconciler.core.desired.stack import Stack

__all__ = ["Planned", "Request", "find_plan"]

BuildAdopted = Callable[["VaultService", Path, Adoption], "Stack"]
"""The stack of a service as if it had this record."""


@dataclass(frozen=True)
class Request:
    """What a user asks for: a `project` and its `file`, as far as they are known, and answers to what cannot be guessed."""

    project: str = ""
    file: Path | None = None
    name: str = ""
    web: str | None = None
    port: int | None = None
    http: int | None = None
    profiles: tuple[str, ...] = ()
    left: frozenset[str] = frozenset()
    output: Path | None = None


@dataclass(frozen=True)
class Planned:
    """A plan, the text of the manifest, and what differs from the project according to the Compose file."""

    plan: AdoptionPlan
    text: str
    warnings: tuple[str, ...]


def find_plan(request: Request, foreign: Foreign, read: ReadProject, build: BuildAdopted) -> Planned:
    """The plan for a running project. Raises VaultError with all that speaks against it."""
    found, file = _found(request, foreign)
    hashes, version = foreign.definitions(found.name, file, request.profiles)
    found = replace(found, hashes=hashes, version=version)
    name = request.name or name_of(found.name)
    path = request.output or file.parent / f"{name}.yaml"
    project = _read(read, request, found.name, file, path)
    kept = _kept(project, foreign)
    unnamed = {m.volume for each in found.containers for m in each.mounts} - kept.volumes
    found = replace(found, sizes=foreign.sizes(unnamed))
    adapted = _adapted(project, request, kept)
    _refuse(project, found.name, refusals(found, project.document, kept, request.left))
    draft = Adoption(
        name,
        found.name,
        manifest=str(path.absolute()),
        web=adapted.web,
        volumes=kept.volumes,
        networks=kept.networks,
    )
    running = len([each for each in found.of(adapted.web) if each.runs])
    http = request.http or published(project, adapted.web, adapted.port)
    if http is None:
        raise VaultError(
            f"{project.located(f'services.{adapted.web}: it has no port of the host')}; say which one HAProxy opens: --http"
        )
    spec = _spec(request, file, path, found.name, adapted, http, max(running, adapted.replicas or 1))
    text = text_of(Draft(name, spec), "")
    service = _service(checked(text, path))
    stack = build(service, path.parent, replace(draft, stage=Stage.ADOPTED))
    _refuse(project, found.name, at_odds(found, stack))
    waits = adapted.writes and running <= 1
    plan = plan_adoption(found, stack, draft, waits=waits, http=http, free_port=foreign.free_port())
    plan = replace(plan, notes=tuple(project.located(note) for note in plan.notes))
    return Planned(plan, text, stack.warnings)


def _found(request: Request, foreign: Foreign) -> tuple[FoundProject, Path]:
    name = request.project
    if not name:
        assert request.file is not None
        names = foreign.projects_of(request.file.absolute())
        if len(names) != 1:
            raise VaultError(
                f"{request.file}: {'no project' if not names else 'more than one project'} runs from it"
                + (
                    f" ({', '.join(names)}); name one"
                    if names
                    else "; vaultctl init --from-compose begins with a file"
                )
            )
        (name,) = names
    if name.startswith(PROJECT_PREFIX):
        raise VaultError(f"{name} is a project of the controller itself")
    found = foreign.find(name)
    if not found.containers:
        raise VaultError(
            f"there is no container of a Compose project {name}; docker compose ls --all lists projects"
        )
    sources = {each.files for each in found.containers}
    files = sorted({file for source in sources for file in source})
    if len(files) > 1:
        raise VaultError(
            f"project {name} was made from several files ({', '.join(files)}); write one with "
            f"include: [{{path: [{', '.join(Path(file).name for file in files)}]}}], and run `docker compose up -d` with it"
        )
    if not files or not Path(files[0]).is_file():
        raise VaultError(
            f"project {name}: its Compose file {files[0] if files else ''} is not there any more"
        )
    return found, Path(files[0])


def _read(read: ReadProject, request: Request, name: str, file: Path, manifest: Path) -> Project:
    base = manifest.absolute().parent
    try:
        relative = file.relative_to(base)
    except ValueError:
        raise VaultError(
            f"{file} is not in {base}, where the manifest goes, or below it; write the manifest there (--output)"
        ) from None
    compose = ComposeFile(file=str(relative), profiles=request.profiles)
    project: Project = read(name, compose, {}, base)
    return replace(project, image_prefix=name)


def _kept(project: Project, foreign: Foreign) -> Kept:
    def names(section: str) -> frozenset[str]:
        bodies = (project.document.get(section) or {}).values()
        return foreign.existing(section, [str(body["name"]) for body in bodies if (body or {}).get("name")])

    return Kept(names("volumes"), names("networks"))


def _adapted(project: Project, request: Request, kept: Kept) -> Adapted:
    try:
        return adapt(project, web=request.web, port=request.port, kept=kept)
    except ProjectError as error:
        answers = "(vaultctl adopt has --web and --port for that)"
        raise VaultError(f"{project.located(str(error))} {answers}") from None


def _refuse(project: Project, name: str, reasons: Iterable[str]) -> None:
    if found := [project.located(reason) for reason in reasons]:
        raise VaultError("\n  ".join([f"project {name} cannot be adopted as it is:", *found]))


def _spec(
    request: Request, file: Path, path: Path, project: str, adapted: Adapted, http: int, replicas: int
) -> dict[str, Any]:
    compose: dict[str, Any] = {
        "file": str(file.relative_to(path.absolute().parent)),
        "web": adapted.web,
        "port": adapted.port,
        "adopted": project,
    }
    if request.profiles:
        compose["profiles"] = list(request.profiles)
    return {
        "compose": compose,
        "ports": {"http": http},
        **({"replicas": replicas} if replicas > 1 else {}),
    }


def _service(manifests: Sequence[Manifest]) -> VaultService:
    (manifest,) = manifests
    assert isinstance(manifest.resource, VaultService)
    return manifest.resource
