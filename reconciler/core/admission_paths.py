"""Paths of the host that containers mount: which are sensitive, and which may be written to.

A path is judged by what it is called and by where its links lead. What lies around a sensitive path is as sensitive:
who mounts /var has /var/run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.core.admission_checks import items
from reconciler.core.admission_policy import Hits, Subject

_MOUNT_OPTIONS: Final = frozenset({"ro", "rw", "z", "Z", "nocopy", "cached", "delegated", "consistent"})
_SOCKETS: Final = frozenset(
    {"docker.sock", "docker-cli.sock", "containerd.sock", "podman.sock", "crio.sock", "buildkitd.sock"}
)
_SYSTEM: Final = (
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys",
    "/usr", "/var/lib", "/var/log", "/var/run", "/var/spool",
)  # fmt: skip
_READABLE: Final = (
    "/etc/localtime", "/etc/timezone", "/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/share/zoneinfo",
)  # fmt: skip
"""Parts of the system that every process of the machine may read anyway, and that containers often need."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One entry of `volumes`, of either syntax; `source` is empty for an anonymous volume."""

    place: str
    kind: str
    source: str
    read_only: bool
    options: frozenset[str]


def mounts(value: Any) -> Iterator[Mount]:
    """The mounts of a service."""
    for place, item in items(value):
        if isinstance(item, Mapping):
            kind, source = str(item.get("type") or "volume"), str(item.get("source") or "")
            bind = item.get("bind")
            propagation = bind.get("propagation") if isinstance(bind, Mapping) else None
            options = frozenset({str(propagation)} if propagation else ())
            yield Mount(place, kind, source, item.get("read_only") is True, options)
        else:
            parts = str(item).split(":")
            source = parts[0] if len(parts) > 1 else ""
            options = frozenset(parts[2].split(",")) if len(parts) > 2 else frozenset()
            kind = "bind" if source.startswith(("/", ".", "~")) else "volume"
            yield Mount(place, kind, source, "ro" in options, options)


def unknown_mounts(value: Any, _: Subject) -> Hits:
    """Mounts of a kind that nobody has thought about."""
    return ((m.place, m.kind) for m in mounts(value) if m.kind not in ("bind", "volume", "tmpfs"))


def spreading_mounts(value: Any, _: Subject) -> Hits:
    """Mounts whose own mounts would spread to the host."""
    for mount in mounts(value):
        if strange := sorted(mount.options - _MOUNT_OPTIONS):
            yield mount.place, strange[0]


def host_mounts(value: Any, _: Subject) -> Hits:
    """Every mount of a host path."""
    return ((mount.place, mount.source) for mount in mounts(value) if mount.kind == "bind")


def sockets(value: Any, _: Subject) -> Hits:
    """Sockets that are as good as root."""
    for mount in mounts(value):
        if mount.kind == "bind" and _is_socket(_normal(mount.source)):
            yield mount.place, mount.source


def sensitive_paths(value: Any, subject: Subject) -> Hits:
    """Mounts of paths that hold the host's own secrets or workings, or that hold such paths."""
    for mount in mounts(value):
        # A socket that is called one is told by its own rule.
        is_other = mount.kind == "bind" and not _is_socket(_normal(mount.source))
        if is_other and is_sensitive(mount.source, subject, writable=not mount.read_only):
            yield mount.place, mount.source


def writable_paths(value: Any, subject: Subject) -> Hits:
    """Writable mounts outside of what the operator allows."""
    for mount in mounts(value):
        if mount.kind != "bind" or mount.read_only:
            continue
        allowed = _is_allowed(mount.source, subject)
        if not allowed and not is_sensitive(mount.source, subject, writable=True):
            yield mount.place, mount.source


def sensitive_file(value: Any, subject: Subject) -> Hits:
    """The file of a config or secret, which Compose mounts like any other path."""
    if value is not None and is_sensitive(str(value), subject, writable=False):
        yield "", value


def is_sensitive(source: str, subject: Subject, *, writable: bool) -> bool:
    """Whether a container that sees this path of the host learns or changes what is not its own."""
    policy = subject.policy
    for path in _meanings(source, subject):
        if any(_overlaps(path, _normal(private)) for private in policy.private):
            return True
        if _is_socket(path):
            return True
        if any(_is_below(path, _normal(root)) for root in policy.host_paths):
            continue
        if not writable and any(_is_below(path, readable) for readable in _READABLE):
            continue
        if any(_overlaps(path, system) for system in _SYSTEM):
            return True
    return False


def _is_socket(path: str) -> bool:
    return path.rpartition("/")[2] in _SOCKETS


def _is_allowed(source: str, subject: Subject) -> bool:
    roots = [_normal(root) for root in subject.policy.host_paths]
    return all(any(_is_below(path, root) for root in roots) for path in _meanings(source, subject))


def _meanings(source: str, subject: Subject) -> set[str]:
    # What a link is called and where it leads must both be right: the link may be another one tomorrow.
    return {_normal(source), _normal(subject.policy.resolve(source))}


def _normal(path: str) -> str:
    # POSIX lets a path keep two leading slashes; the kernel does not.
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root.rstrip('/')}/")


def _overlaps(path: str, other: str) -> bool:
    return _is_below(path, other) or _is_below(other, path)


def anonymous_volumes(value: Any, subject: Subject) -> Hits:
    """Volumes without a name, of a service whose replicas are replaced."""
    for mount in mounts(value) if subject.is_web else ():
        if mount.kind == "volume" and not mount.source:
            yield mount.place, ""
