"""From a VaultService and its plugin to the whole desired stack.

The only place where the fragment meets the base stack. Pure: secrets from files, and digests of files that containers
mount, come in as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from reconciler.api import VaultService
from reconciler.api.strategy import StrategyType
from reconciler.core.admission import Policy, admit, check_names, check_proxy_image, profile_of
from reconciler.core.compose.fragment import BuildError, Fragment, read_fragment
from reconciler.core.desired.front import Front
from reconciler.core.desired.proposal import Proposal, propose
from reconciler.core.desired.secret_files import NO_SECRET_FILES, SecretFiles
from reconciler.core.desired.stack import (
    Probe,
    ProxySettings,
    Role,
    Rotation,
    RotationMode,
    Site,
    Stack,
    Strategy,
)
from reconciler.core.desired.strategy import OVERLAPS, type_of
from reconciler.core.desired.workloads import FileDigest, FragmentReader, Part, stopped
from reconciler.core.names import CONTROL_NET, VAULT_NET
from reconciler.core.routes.routed import Routed
from vault_plugins.contract import VaultServicePlugin

PROJECT_PREFIX: Final = "vault-"
POOL: Final = "web"
DEFAULT_POLICY: Final = Policy()


def project_of(name: str) -> str:
    """The Compose project of a VaultService."""
    return PROJECT_PREFIX + name


def build(
    service: VaultService,
    plugin: VaultServicePlugin,
    site: Site,
    secrets: Mapping[str, str] | None = None,
    digest_file: FileDigest = lambda path: None,
    policy: Policy = DEFAULT_POLICY,
    was_first: Callable[[str], bool] = lambda other: False,
    key: bytes = b"",
    *,
    front: Front,
    routed: Routed | None = None,
    secret_files: SecretFiles = NO_SECRET_FILES,
) -> Stack:
    """Ask the plugin, and build the stack that should run; `secrets` is what `spec.envFrom` came to. See build_proposed."""
    return build_proposed(
        service,
        propose(service, plugin, secrets or {}),
        site,
        digest_file,
        policy,
        was_first,
        key,
        front=front,
        routed=routed,
        secret_files=secret_files,
    )


def build_proposed(
    service: VaultService,
    proposal: Proposal,
    site: Site,
    digest_file: FileDigest,
    policy: Policy,
    was_first: Callable[[str], bool],
    key: bytes,
    *,
    front: Front,
    routed: Routed | None,
    secret_files: SecretFiles,
) -> Stack:
    """The stack that should run; `front` adds what stands in front of its replicas, `routed` is what it gets of gateways,
    `secret_files` what `spec.secrets` came to.

    `digest_file` gives a digest of a file's content, or None for what is no file; `policy` is what the operator allows, and
    `was_first` tells the services that were there before this one; `key` keeps revisions from telling secrets. Raises
    BuildError and AdmissionError, which name the plugin.
    """
    spec, settings, slug = service.spec, proposal.settings, proposal.offer.slug
    profile = profile_of(service.name, service.metadata.annotations, policy)
    check_proxy_image(spec.proxy.image, policy)
    fragment = read_fragment(proposal.offer, settings, spec.images)
    if spec.image_policy is not None and spec.image_policy.workload not in fragment.services:
        raise BuildError(
            f"spec.imagePolicy.workload: there is no workload {spec.image_policy.workload!r}, there are "
            f"{', '.join(fragment.services)}"
        )
    check_names(service.name, fragment.services, was_first)
    asked = {"services": fragment.services, **fragment.top_level}
    fragment.warnings.extend(admit(slug, profile, asked, fragment.web, policy))

    kind = type_of(spec.strategy, single_writer=proposal.single_writer)
    secret_files.check(fragment.services)
    reader = FragmentReader(
        service,
        proposal.defaults,
        fragment,
        settings,
        proposal.port,
        proposal.replicas,
        OVERLAPS[kind],
        digest_file,
        key,
        secret_files,
        policy.bind,
    )
    mounted = (secret_files.of(name, is_web=name in fragment.web) for name in fragment.services)
    own = front.parts(service, site, policy.bind, key)
    if taken := sorted({part.workload.name for part in own} & set(fragment.services)):
        raise BuildError(
            f"plugin {slug!r}: service {taken[0]!r} belongs to the base stack; give it another name"
        )
    hold_seconds = max(spec.proxy.hold_seconds, spec.idle.hold_seconds if spec.idle else 0.0)
    try:
        made = [reader.part(name) for name in fragment.services]
    except BuildError as error:
        raise BuildError(f"plugin {slug!r}: {error}") from None
    parts = (*own, *(map(stopped, made) if spec.is_stopped else made))
    return Stack(
        name=service.name,
        project=project_of(service.name),
        published=0 if spec.is_routed else spec.ports.http,
        site=site,
        document=_document(project_of(service.name), parts, fragment),
        workloads=tuple(part.workload for part in parts),
        proxy=ProxySettings(
            pool=POOL,
            health=Probe(proposal.health.path, proposal.health.host, spec.healthcheck.interval),
            hold_seconds=hold_seconds,
            drain_seconds=spec.strategy.drain_seconds,
            header_kib=spec.proxy.max_header_kib,
            drop_headers=tuple(spec.proxy.drop_headers),
            patience=front.patience(hold_seconds),
            redispatch=front.redispatch,
            is_stopped=spec.is_stopped,
            opens=(policy.bind, spec.ports.http) if spec.opens_port else None,
        ),
        strategy=_strategy(
            service, kind, sum(p.workload.replicas for p in parts if p.workload.role is Role.WEB)
        ),
        rotation=None if spec.is_stopped else _rotation(service),
        rotated_at=datetime.fromisoformat(spec.rotated_at) if spec.rotated_at else None,
        warnings=tuple(fragment.warnings),
        routed=(routed or Routed()) if spec.is_routed else None,
        is_stopped=spec.is_stopped,
        idle=spec.idle.after if spec.idle and not spec.is_stopped else None,
        secret_files={secret_files.directory(files, key): files for files in mounted if files},
    )


def _document(project: str, parts: Sequence[Part], fragment: Fragment) -> dict[str, Any]:
    """The Compose file as data: the parts' services, and what the fragment declares beside the shared networks."""
    sections = {name: body for name, body in fragment.top_level.items() if body}
    shared: dict[str, Any] = {VAULT_NET: {}, CONTROL_NET: {}}
    services = {part.workload.name: part.definition for part in parts}
    return {
        "name": project,
        "services": services,
        **sections,
        "networks": shared | sections.get("networks", {}),
    }


def _strategy(service: VaultService, kind: StrategyType, desired: int) -> Strategy:
    spec = service.spec.strategy
    surge = spec.rolling_update.max_surge.ceil_of(desired)
    unavailable = spec.rolling_update.max_unavailable.floor_of(desired)
    return Strategy(
        kind=kind,
        surge=surge,
        unavailable=unavailable if surge or unavailable else 1,
        min_ready=spec.min_ready_seconds,
        progress_deadline=spec.progress_deadline_seconds,
        drain=spec.drain_seconds,
        auto_rollback=spec.auto_rollback,
        paused=spec.paused,
    )


def _rotation(service: VaultService) -> Rotation | None:
    rotation = service.spec.rotation
    if rotation is None:
        return None
    return Rotation(rotation.interval, rotation.jitter, RotationMode(rotation.mode))
