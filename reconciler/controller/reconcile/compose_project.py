"""The Compose file of a service, on its way to a stack: read, kept under a name, and with what the operator's rules say.

A rollout of a changed file can fail, and the file does not say any more what ran before. So what each file came to is kept
in the directory of the service, and the record of a rollout names it.
"""

from __future__ import annotations

import hmac
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from reconciler.api import Spec, VaultService
from reconciler.api.compose_file import ComposeFile
from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.core.admission import ANNOTATION, HostRoot, Policy, Profile
from reconciler.core.admission.roots import is_below, normal
from reconciler.core.compose.adapter import adapt
from reconciler.core.compose.project import NOTHING_KEPT, Adapted, Kept, Project, ProjectError
from reconciler.core.desired.build import project_of
from reconciler.core.images.reference import read_reference
from reconciler.core.redaction import redact
from reconciler.files import replace as replace_file

DIRECTORY: Final = "contents"
FILE: Final = "compose.yaml"
"""Named like the other file with secrets that Compose needs; JSON is YAML."""
KEPT: Final = 30
"""Contents of one service; the oldest is removed first."""
MODE: Final = 0o700


class Projects(Protocol):
    """Reads Compose files as Compose does."""

    def read(self, project: str, compose: ComposeFile, variables: Mapping[str, str], base: Path) -> Project:
        """The project of this name. Raises ManifestError with file and line, TemporaryError when it cannot be read now."""


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The contents of one service's Compose file that are kept in its directory; `key` keeps their names from telling
    secrets.
    """

    directory: Path
    key: bytes = b""

    def project(
        self,
        service: VaultService,
        projects: Projects,
        secrets: Mapping[str, str],
        base: Path,
        image_id: Callable[[str], str],
        *,
        keep: bool,
    ) -> Project:
        """What the Compose file says, or what it said when `spec.compose.content` names that. `image_id` is the ID of an
        image of this machine, "" if it has none of this name. Raises VaultError.
        """
        compose = service.spec.compose
        assert compose is not None
        # Volumes, networks and ${COMPOSE_PROJECT_NAME} of an adopted project are what they were.
        name = compose.adopted or project_of(service.name)
        if compose.content is not None:
            return self._kept(compose, name, base)
        project = projects.read(name, compose, {**secrets, **service.spec.env}, base)
        if compose.adopted:
            project = replace(project, image_prefix=compose.adopted)
        project = _built(project, service, image_id, must_exist=keep)
        document = json.dumps([project.document, project.image_prefix, dict(project.files)], sort_keys=True)
        content = f"v1-{hmac.digest(self.key or b'-', document.encode(), 'sha256').hex()[:12]}"
        if keep:
            self._keep(content, document)
        return replace(project, content=content)

    def _kept(self, compose: ComposeFile, name: str, base: Path) -> Project:
        path = self._path(compose.content or "")
        try:
            document, image_prefix, files = json.loads(path.read_text(encoding="utf-8"))
            os.utime(path)
        except (OSError, ValueError):
            raise PermanentError(
                f"spec.compose.content: {compose.content} is not kept any more; remove the field, and the file's present "
                "content runs"
            ) from None
        directory = None if compose.file is None else (base / compose.file).absolute().parent
        return Project(
            name, document, directory, image_prefix=image_prefix, content=compose.content or "", files=files
        )

    def _keep(self, content: str, document: str) -> None:
        path = self._path(content)
        try:
            if path.exists():
                os.utime(path)
                return
            path.parent.parent.mkdir(mode=MODE, exist_ok=True)
            path.parent.mkdir(mode=MODE, exist_ok=True)
            replace_file(path, document.encode(), alone=True)
            kept = sorted(path.parent.parent.glob(f"*/{FILE}"), key=lambda each: each.stat().st_mtime_ns)
            for old in kept[:-KEPT]:
                shutil.rmtree(old.parent)
        except OSError as error:
            raise PermanentError(f"{path} cannot be written: {error.strerror}") from error

    def _path(self, content: str) -> Path:
        return self.directory / DIRECTORY / content / FILE


def _built(
    project: Project, service: VaultService, image_id: Callable[[str], str], *, must_exist: bool
) -> Project:
    """The project with the images that `docker compose build` has made. What is only looked at may lack them."""
    ids = {}
    for name, image in project.built(service.spec.images).items():
        if read_reference(image) is None:
            # Admission says so.
            continue
        try:
            found = image_id(image)
        except TemporaryError:
            if must_exist:
                raise
            continue
        if found:
            ids[name] = found
        elif must_exist:
            raise PermanentError(
                project.located(
                    f"services.{name}.build: the controller does not build, and this machine has no image {image}; run "
                    f"`docker compose build {name}` in {project.directory or 'its directory'}"
                )
            )
    return project.with_images(ids)


def with_content(spec: Spec, content: str) -> Spec:
    """The spec as a rollout is recorded: it names the content of the Compose file."""
    if spec.compose is None or not content:
        return spec
    return spec.model_copy(update={"compose": spec.compose.model_copy(update={"content": content})})


def adapted_to(service: VaultService, project: Project, kept: Kept = NOTHING_KEPT) -> Adapted:
    """The fragment for this service, of which `kept` exists already. Raises ProjectError."""
    spec, compose = service.spec, service.spec.compose
    assert compose is not None
    return adapt(
        project,
        web=compose.web,
        port=compose.port or spec.ports.container,
        served=[route.target for route in spec.tcp],
        keeps_ports=service.metadata.annotations.get(ANNOTATION) == Profile.PRIVILEGED,
        may_overlap=spec.strategy.type is not None or (spec.replicas or 1) > 1,
        kept=kept,
        images=spec.images,
    )


def with_own_directory(policy: Policy, directory: Path | None) -> Policy:
    """The policy in which containers may read the directory of their Compose file, unless a root of the operator's already
    says what they may do there.
    """
    if directory is None:
        return policy
    own = normal(str(directory))
    places = {own, os.path.realpath(own)}
    if any(is_below(place, normal(root.path)) for root in policy.host_roots for place in places):
        return policy
    return replace(policy, host_roots=(*policy.host_roots, HostRoot(own, writable=False)))


def located_error(
    error: PermanentError | ProjectError, project: Project, secrets: Iterable[str]
) -> PermanentError:
    """The error with file and line, and without secrets."""
    text = project.located(str(error))
    if isinstance(error, ProjectError):
        located: Any = PermanentError(text)
    else:
        error.message = text
        error.args = (text,)
        located = error
    redact(located, secrets)
    return located  # type: ignore[no-any-return]
