"""From a VaultService to its stack, with the inputs that `core.build` must not read itself: the plugin, the secrets of
`envFrom` files, digests of mounted files, and where the service's own files are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from reconciler.api import VaultService
from reconciler.api.errors import PermanentError
from reconciler.controller.reconcile.mounted_files import MountedFiles
from reconciler.controller.secrets import Secrets
from reconciler.core.admission import Policy, check_secret_file
from reconciler.core.desired.build import build
from reconciler.core.desired.front import Front
from reconciler.core.desired.secret_files import SecretFile, SecretFiles
from reconciler.core.desired.stack import Site, Stack
from reconciler.core.redaction import redact, redacted
from reconciler.core.routes.routed import Routed
from reconciler.sealed import SettingsFiles
from vault_plugins.contract import PluginError
from vault_plugins.registry import Registry

MAX_REDACTED: Final = 16 * 1024
MAX_REDACTED_LINES: Final = 200
"""Of a file of spec.secrets that is looked for in messages; keys and tokens are smaller."""


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds stacks; `directory` says where the files of a service are, `secrets` collects the secrets to redact,
    `precedes` says which of two services was applied first, `routed` what a service gets of gateways, `settings` what is in
    its settings files, `secret_root` where its secrets are as files.
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

    def build(self, service: VaultService, base: Path = Path()) -> Stack:
        """The stack of a VaultService; `base` is where relative envFrom files are.

        Raises VaultError, which names the plugin, the file or the field, and never a secret.
        """
        return self._build(service, base, last=False)

    def rebuild(self, service: VaultService) -> Stack:
        """The stack of a spec that was good: a settings file that can no longer be read has what was last read of it."""
        return self._build(service, Path(), last=True)

    def _build(self, service: VaultService, base: Path, *, last: bool) -> Stack:
        try:
            plugin = self.registry.get(service.spec.plugin).create()
        except PluginError as error:
            raise PermanentError(str(error)) from error
        found = [self.settings.read(base / entry.file, last=last) for entry in service.spec.env_from]
        secrets = {name: value for each in found for name, value in each.values.items()}
        sealed = {value for each in found if each.sealed for value in each.values.values()}
        secret_files = self._secret_files(service, base, last=last)
        hidden = (
            *secrets.values(),
            *(text for each in secret_files.files if (text := _quotable(each.content))),
        )
        self.secrets.learn(service.name, hidden, (service.name, service.spec.plugin))
        files = MountedFiles()
        try:
            stack = build(
                service,
                plugin,
                self.site(service.name),
                secrets,
                files.digest,
                self.policy,
                lambda other: self.precedes(other, service.name),
                self.key,
                front=self.front,
                routed=self.routed(service),
                secret_files=secret_files,
            )
        except PermanentError as error:
            redact(error, hidden)
            raise
        self.secrets.learn(service.name, (), (each for w in stack.workloads for each in (w.name, w.image)))
        warnings = (*stack.warnings, *files.warnings)
        shown = tuple(redacted(text, hidden) for text in warnings)
        return replace(stack, warnings=shown, sealed=tuple(sorted(sealed)))

    def _secret_files(self, service: VaultService, base: Path, *, last: bool) -> SecretFiles:
        files = []
        for index, each in enumerate(service.spec.secrets):
            path = base / each.file
            field = f"spec.secrets[{index}].file"
            admit = partial(check_secret_file, field, str(path.absolute()), self.policy)
            content = self.settings.secret(path, each.key, last=last, admit_plain=admit)
            files.append(SecretFile(each.name, content, frozenset(each.workloads)))
        return SecretFiles(str(self.secret_root(service.name)), tuple(files))

    def site(self, name: str) -> Site:
        """Where the files of a service are, and whose those of its proxies are."""
        directory = self.directory(name)
        if os.geteuid() == 0:
            return Site(directory, self.front.user, self.front.user)
        return Site(directory, os.geteuid(), os.getegid())


def _quotable(content: bytes) -> str:
    """A secret file as text, if a message could quote it; each line of it is searched for in every message."""
    if len(content) > MAX_REDACTED or content.count(b"\n") > MAX_REDACTED_LINES:
        return ""
    return content.decode(errors="replace")
