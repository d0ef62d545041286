"""From a VaultService to its stack, with the inputs that `core.build` must not read itself: the plugin, the secrets of
`envFrom` files, digests of mounted files, and where the service's own files are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from reconciler.api import VaultService
from reconciler.api.compose_file import COMPOSE
from reconciler.api.errors import PermanentError
from reconciler.controller.reconcile.adopted import check_record, listening_on
from reconciler.controller.reconcile.built import BuiltStacks
from reconciler.controller.reconcile.compose_project import (
    Projects,
    Snapshots,
    adapted_to,
    located_error,
    with_own_directory,
)
from reconciler.controller.reconcile.mounted_files import MountedFiles
from reconciler.controller.secrets import Secrets
from reconciler.core.admission import Policy, check_secret_file
from reconciler.core.adoption.record import Adoption
from reconciler.core.compose.project import NOTHING_KEPT, ProjectError
from reconciler.core.compose.project_plugin import ProjectPlugin
from reconciler.core.desired.build import build_proposed
from reconciler.core.desired.front import Front
from reconciler.core.desired.proposal import propose
from reconciler.core.desired.secret_files import SecretFile, SecretFiles
from reconciler.core.desired.stack import Site, Stack
from reconciler.core.desired.workloads import FileDigest
from reconciler.core.redaction import redact, redacted
from reconciler.core.routes.routed import Routed
from reconciler.sealed import SettingsFiles
from vault_plugins.contract import PluginError, VaultServicePlugin
from vault_plugins.registry import Registry

MAX_REDACTED: Final = 16 * 1024
MAX_REDACTED_LINES: Final = 200
"""Of a file of spec.secrets that is looked for in messages; keys and tokens are smaller."""


SEALED_IN_COMPOSE: Final = (
    "spec.envFrom: an encrypted file has no effect on a Compose file, because what that comes to is kept on the disk: "
    "mount its values with spec.secrets, or use a plain file at mode 0600"
)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the settings files of a service come to: `settings` by name, `files` for /run/secrets. `hidden` are the texts
    that no message may quote, `sealed` those that come from encrypted files.
    """

    settings: Mapping[str, str] = field(repr=False)
    files: SecretFiles = field(repr=False)
    hidden: tuple[str, ...] = field(repr=False)
    sealed: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds stacks; `directory` says where the files of a service are, `secrets` collects the secrets to redact,
    `precedes` says which of two services was applied first, `routed` what a service gets of gateways, `settings` what is in
    its settings files, `secret_root` where its secrets are as files, `projects` gives what reads Compose files. `keeps`:
    what they come to is kept, so that a rollout of it can be undone. `adoptions` are the records of what was adopted or
    released, `built` the stacks that were built last, and `image_id` the IDs of images of this machine, by name.
    """

    registry: Registry
    directory: Callable[[str], Path]
    policy: Policy
    front: Front
    secrets: Secrets = field(default_factory=Secrets)
    precedes: Callable[[str, str], bool] = lambda first, second: False
    key: bytes = b""
    routed: Callable[[VaultService], Routed | None] = lambda service: None
    settings: SettingsFiles = field(default_factory=SettingsFiles)
    secret_root: Callable[[str], Path] = Path("/nowhere").joinpath
    projects: Callable[[], Projects] | None = None
    keeps: bool = False
    adoptions: Callable[[str], Adoption | None] = lambda name: None
    built: BuiltStacks = field(default_factory=BuiltStacks)
    image_id: Callable[[str], str] = lambda name: ""

    def build(self, service: VaultService, base: Path = Path()) -> Stack:
        """The stack of a VaultService; `base` is where relative envFrom files are.

        Raises VaultError, which names the plugin, the file or the field, and never a secret.
        """
        return self._read_and_build(service, base, last=False)

    def rebuild(self, service: VaultService) -> Stack:
        """The stack of a spec that was good: a settings file that can no longer be read has what was last read of it."""
        return self._read_and_build(service, Path(), last=True)

    def _read_and_build(self, service: VaultService, base: Path, *, last: bool) -> Stack:
        record = self.adoptions(service.name)
        check_record(service, record)
        if record and record.listens_beside:
            service = listening_on(service, record.beside)
        given = self._given(service, base, last=last)
        self.secrets.learn(service.name, given.hidden, (service.name, service.spec.plugin))
        if service.spec.compose is None or self.projects is None:
            return self._build(service, self._plugin(service), given, self.policy)
        if not Path(service.spec.compose.file or "/").is_absolute():
            # The check that is made when it is stored, for what is only looked at.
            service.located(base)
        if given.sealed:
            # What a Compose file comes to is kept on the disk.
            raise PermanentError(SEALED_IN_COMPOSE)
        snapshots = Snapshots(self.directory(service.name), self.key)
        project = snapshots.project(
            service, self.projects(), given.settings, base, self.image_id, keep=self.keeps
        )
        self.secrets.learn(service.name, project.secrets)
        given = replace(given, hidden=(*given.hidden, *project.secrets))
        try:
            kept = record.kept if record and service.spec.compose.adopted else NOTHING_KEPT
            adapted = adapted_to(service, project, kept)
            policy = replace(with_own_directory(self.policy, project.directory), kept=kept)
            stack = self._build(service, ProjectPlugin(adapted), given, policy)
        except (PermanentError, ProjectError) as error:
            raise located_error(error, project, given.hidden) from None
        warnings = map(project.located, (*adapted.warnings, *stack.warnings))
        shown = tuple(redacted(text, given.hidden) for text in warnings)
        former = record.counted() if record and service.spec.compose.adopted else ()
        return replace(stack, warnings=shown, content=project.content, former=former)

    def _plugin(self, service: VaultService) -> VaultServicePlugin:
        try:
            return self.registry.get(service.spec.plugin).create()
        except PluginError as error:
            missing = "; spec.compose says which Compose file" if service.spec.plugin == COMPOSE else ""
            raise PermanentError(f"{error}{missing}") from error

    def _given(self, service: VaultService, base: Path, *, last: bool) -> _Given:
        """What is in the settings files of a service. Raises VaultError."""
        found = [self.settings.read(base / entry.file, last=last) for entry in service.spec.env_from]
        settings = {name: value for each in found for name, value in each.values.items()}
        sealed = {value for each in found if each.sealed for value in each.values.values()}
        files = self._secret_files(service, base, last=last)
        quotable = (text for each in files.files if (text := _quotable(each.content)))
        return _Given(settings, files, (*settings.values(), *quotable), tuple(sorted(sealed)))

    def _build(
        self, service: VaultService, plugin: VaultServicePlugin, given: _Given, policy: Policy
    ) -> Stack:
        files, name = MountedFiles(), service.name
        try:
            site, routed = self.site(name, opens_port=service.spec.opens_port), self.routed(service)
            proposal = propose(service, plugin, given.settings)

            def built(digest: FileDigest, was_first: Callable[[str], bool], **host: Any) -> Stack:
                return build_proposed(
                    service,
                    proposal,
                    site,
                    digest,
                    replace(policy, **host),
                    was_first,
                    self.key,
                    front=self.front,
                    routed=routed,
                    secret_files=given.files,
                )

            stack = self.built.stack(
                name,
                (service, proposal.digest, site, policy, self.key, self.front, routed, given.files),
                {
                    "digest": files.digest,
                    "was_first": lambda other: self.precedes(other, name),
                    "look": policy.look,
                    "routes": policy.routes,
                    "engine_directories": policy.engine_directories,
                },
                built,
            )
        except PermanentError as error:
            redact(error, given.hidden)
            raise
        self.secrets.learn(service.name, (), (each for w in stack.workloads for each in (w.name, w.image)))
        warnings = (*stack.warnings, *files.warnings)
        shown = tuple(redacted(text, given.hidden) for text in warnings)
        return replace(stack, warnings=shown, sealed=given.sealed)

    def _secret_files(self, service: VaultService, base: Path, *, last: bool) -> SecretFiles:
        files = []
        for index, each in enumerate(service.spec.secrets):
            path = base / each.file
            field = f"spec.secrets[{index}].file"
            admit = partial(check_secret_file, field, str(path.absolute()), self.policy)
            content = self.settings.secret(path, each.key, last=last, admit_plain=admit)
            files.append(SecretFile(each.name, content, frozenset(each.workloads)))
        return SecretFiles(str(self.secret_root(service.name)), tuple(files))

    def site(self, name: str, *, opens_port: bool = False) -> Site:
        """Where the files of a service are, and whose those of its proxies are. Where these open a port of the host, root
        opens it, and the sockets.
        """
        directory = self.directory(name)
        uid, gid = (self.front.user,) * 2 if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        return Site(directory, uid, gid, 0, "run-host") if opens_port else Site(directory, uid, gid)


def _quotable(content: bytes) -> str:
    """A secret file as text, if a message could quote it; each line of it is searched for in every message."""
    if len(content) > MAX_REDACTED or content.count(b"\n") > MAX_REDACTED_LINES:
        return ""
    return content.decode(errors="replace")
