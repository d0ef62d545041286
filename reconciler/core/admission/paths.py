"""Admission of the host paths that a container would mount.

Both the path as written and the path with its links resolved must be allowed, because a link can be changed later. A path
outside of all roots is refused without inspecting it, so that a message reveals nothing about the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from reconciler.core.admission.policy import Check, Hits, Policy, Subject
from reconciler.core.admission.roots import (
    NEVER,
    READABLE,
    Kind,
    Seen,
    ancestors,
    is_below,
    normal,
    overlaps,
)
from reconciler.core.compose.mounts import Mount, read_mounts

_SOCKETS: Final = frozenset(
    {"docker.sock", "docker-cli.sock", "containerd.sock", "podman.sock", "crio.sock", "buildkitd.sock"}
)


class Verdict(StrEnum):
    """Why a path may not be mounted; ALLOWED when it may."""

    ALLOWED = "allowed"
    ENGINE_SOCKET = "the engine's socket"
    PRIVATE = "holds what belongs to the host or to others"
    UNLISTED = "is below no root"
    UNSEEN = "cannot be looked at"
    READ_ONLY = "may only be read"
    NESTED = "lies in what a container may write to"


def mounted(verdict: Verdict) -> Check:
    """The mounts of host paths that are refused for this reason."""

    def check(value: Any, subject: Subject) -> Hits:
        for mount in read_mounts(value):
            if mount.is_bind and judge(mount.source, subject, writable=not mount.read_only) is verdict:
                yield mount.place, mount.source

    return check


def file_of(*verdicts: Verdict) -> Check:
    """The file of a config or secret, which Compose mounts like any other path."""

    def check(value: Any, subject: Subject) -> Hits:
        is_absolute = str(value).startswith("/")
        if is_absolute and judge(str(value), subject, writable=False) in verdicts:
            yield "", value

    return check


def relative_file(value: Any, _: Subject) -> Hits:
    """A file that Compose would look for in the directory of compose.yaml, which is the controller's own."""
    if value is not None and not str(value).startswith("/"):
        yield "", value


def judge(source: str, subject: Subject, *, writable: bool) -> Verdict:
    """The verdict on one path: the first reason that applies."""
    policy = subject.policy
    names = {normal(source)}
    if any(_is_engine_socket(name) for name in names):
        return Verdict.ENGINE_SOCKET
    if any(_is_private(name, policy) for name in names):
        return Verdict.PRIVATE
    if not _is_listed(names, policy, writable=False):
        return Verdict.UNLISTED
    # After a link the kernel reads `..` otherwise than the text does: both must be right.
    sights = [policy.look(path) for path in {source, *names}]
    if any(seen.kind in (Kind.MISSING, Kind.HIDDEN) for seen in sights) and not _is_harmless(names):
        return Verdict.UNSEEN
    real = {seen.real for seen in sights}
    return _judge_sights(sights, real, policy) or _judge_use(names | real, subject, writable=writable)


def _judge_sights(sights: Iterable[Seen], real: set[str], policy: Policy) -> Verdict | None:
    if any(seen.kind is Kind.SPECIAL for seen in sights) or any(map(_is_engine_socket, real)):
        return Verdict.PRIVATE
    if any(_is_private(path, policy) for path in real) or _shows_private(sights, policy):
        return Verdict.PRIVATE
    return None if _is_listed(real, policy, writable=False) else Verdict.UNLISTED


def _judge_use(paths: set[str], subject: Subject, *, writable: bool) -> Verdict:
    if writable and not _is_listed(paths, subject.policy, writable=True):
        return Verdict.READ_ONLY
    if any(around in subject.writable for path in paths for around in ancestors(path)):
        return Verdict.NESTED
    return Verdict.ALLOWED


def written_paths(services: Mapping[str, Mapping[str, Any]], policy: Policy) -> frozenset[str]:
    """The paths of the host that a container of these services may write to, by name and by where they lead."""
    return frozenset(path for mount in _writable(services) for path in _both(mount.source, policy))


def _writable(services: Mapping[str, Mapping[str, Any]]) -> Iterator[Mount]:
    for body in services.values():
        yield from (m for m in read_mounts(body.get("volumes")) if m.is_bind and not m.read_only)


def _both(source: str, policy: Policy) -> tuple[str, ...]:
    name = normal(source)
    # A path outside of all roots is refused anyway, and is not inspected.
    return (name, policy.look(name).real) if _is_listed({name}, policy, writable=False) else (name,)


def _is_engine_socket(path: str) -> bool:
    return path.rpartition("/")[2] in _SOCKETS


def _is_private(path: str, policy: Policy) -> bool:
    if any(overlaps(path, place) for place in NEVER):
        return True
    return any(overlaps(path, place) for private in policy.hidden for place in _places(private, policy))


def _places(private: str, policy: Policy) -> tuple[str, str]:
    return normal(private), policy.look(private).real


def _shows_private(sights: Iterable[Seen], policy: Policy) -> bool:
    """Whether a mount would expose a private path under another name, by a bind mount of the host."""
    hidden = [origin for private in policy.hidden for origin in policy.look(private).origins[:1]]
    return any(
        system == other and overlaps(path, place)
        for seen in sights
        for system, path in seen.origins
        for other, place in hidden
    )


def _is_listed(paths: set[str], policy: Policy, *, writable: bool) -> bool:
    return all(_is_open(path, policy, writable=writable) for path in paths)


def _is_harmless(names: set[str]) -> bool:
    # Only the host's root can put a link there; a controller in a container does not have all of these files.
    return all(any(is_below(name, root.path) for root in READABLE) for name in names)


def _is_open(path: str, policy: Policy, *, writable: bool) -> bool:
    around = [
        (len(place), root.writable)
        for root in policy.host_roots
        for place in _root_places(root.path, policy)
        if is_below(path, place)
    ]
    if not around:
        return not writable and any(
            is_below(path, place) for root in READABLE for place in _root_places(root.path, policy)
        )
    # The innermost root decides, and one that may only be read is not written to by a mount around it.
    return not writable or (max(around)[1] and not _holds_read_only(path, policy))


def _holds_read_only(path: str, policy: Policy) -> bool:
    return any(is_below(normal(root.path), path) for root in policy.host_roots if not root.writable)


def _root_places(root: str, policy: Policy) -> tuple[str, str]:
    # A root may be a link of the operator's, such as /srv to a bigger disk.
    return normal(root), policy.look(root).real
