"""The checks that admission rules are made of: each tests one value of a fragment.

They list what is harmless and report everything else, so that a keyword which Compose adds later is refused until it has
been reviewed. A plugin may return any value; a check never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.core.admission.policy import Check, Hits, Subject
from reconciler.core.compose.fields import EVERY
from reconciler.core.names import RESERVED

NOTHING: Final[tuple[object, ...]] = (None, False, "", "false", [], {})


def items(value: object) -> list[tuple[str, Any]]:
    """The items of a list with their places, the pairs of a mapping, or a single value as the only item."""
    if isinstance(value, Mapping):
        return [(f".{key}", item) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [(f"[{index}]", item) for index, item in enumerate(value)]
    return [] if value is None else [("", value)]


def given(value: Any, _: Subject) -> Hits:
    """Anything at all."""
    if value not in NOTHING:
        yield "", ""


def not_kept(value: Any, subject: Subject) -> Hits:
    """Anything at all, unless it is what the service was adopted with, as it is."""
    name = subject.body.get("name")
    if subject.body != {"name": name, "external": True} or name not in subject.policy.kept.of(
        subject.section
    ):
        yield from given(value, subject)


def other_than(*harmless: str) -> Check:
    """A text that is none of these."""

    def check(value: Any, _: Subject) -> Hits:
        if value is not None and value not in harmless:
            yield "", value

    return check


def namespace(*harmless: str) -> Check:
    """A namespace that is neither one of these nor that of a service of the same fragment."""

    def check(value: Any, subject: Subject) -> Hits:
        own = {f"service:{name}" for name in subject.siblings - RESERVED}
        if value is not None and value not in (*harmless, "", *own):
            yield "", value

    return check


def items_other_than(harmless: Collection[str], normal: Callable[[str], str] = str) -> Check:
    """The items of a list, or the keys of a mapping, that are none of these."""

    def check(value: Any, _: Subject) -> Hits:
        for place, item in items(value):
            key = place[1:] if isinstance(value, Mapping) else str(item).partition("=")[0]
            if normal(key) not in harmless:
                yield place, "" if isinstance(value, Mapping) else item

    return check


def entries_other_than(harmless: Collection[str]) -> Check:
    """The entries of a list that are none of these, each taken whole."""

    def check(value: Any, _: Subject) -> Hits:
        return ((place, item) for place, item in items(value) if str(item) not in harmless)

    return check


def reserved_labels(value: Any, _: Subject) -> Hits:
    """Labels by which Compose or this controller find their containers."""
    for place, item in items(value):
        key = place[1:] if isinstance(value, Mapping) else str(item).partition("=")[0]
        if key.startswith(("com.docker.", "internal.vault.")):
            yield place, "" if isinstance(value, Mapping) else key


def privileged_hooks(value: Any, _: Subject) -> Hits:
    """Hooks that ask for more than their container has."""
    for place, hook in items(value):
        if isinstance(hook, Mapping) and any(given(hook.get("privileged"), _)):
            yield f"{place}.privileged", ""


def hook_users(value: Any, _: Subject) -> Hits:
    """Hooks that run as another user than their container."""
    for place, hook in items(value):
        if isinstance(hook, Mapping) and hook.get("user") is not None:
            yield f"{place}.user", hook["user"]


def negative(value: Any, _: Subject) -> Hits:
    """A number below zero, or a text that may be one."""
    if value is not None and (not isinstance(value, int | float) or value < 0):
        yield "", value


def published(value: Any, subject: Subject) -> Hits:
    """Published ports of a service that HAProxy does not serve."""
    if not subject.is_web:
        yield from items(value)


def endpoint_options(value: Any, _: Subject) -> Hits:
    """Driver options of a service's place in a network, which can be kernel settings."""
    if isinstance(value, Mapping):
        for name, body in value.items():
            if isinstance(body, Mapping) and body.get("driver_opts"):
                yield f".{name}.driver_opts", ""


def fields_other_than(harmless: frozenset[str]) -> Check:
    """Fields of an entry that are none of these; those that begin with `x-` are notes."""

    def check(value: Any, _: Subject) -> Hits:
        return ((f".{key}", "") for key in value if key not in harmless and not key.startswith("x-"))

    return check


def nested_fields_other_than(closed: Mapping[str, frozenset[str]]) -> Check:
    """Keys of the mappings in an entry that are none of theirs; those that begin with `x-` are notes."""
    paths = [(path.split("."), known) for path, known in closed.items()]

    def check(value: Any, _: Subject) -> Hits:
        for steps, known in paths:
            if steps[0] not in value:
                continue
            for place, inner in _mappings(value, steps, ""):
                yield from (
                    (f"{place}.{key}", "") for key in inner if key not in known and not key.startswith("x-")
                )

    return check


def _mappings(value: Any, steps: Sequence[str], place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The mappings at a path, a `*` for any name; each entry of a list is at the path of the list."""
    if isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _mappings(item, steps, f"{place}[{at}]")
    elif isinstance(value, Mapping):
        if not steps:
            yield place, value
            return
        for key in value if steps[0] == EVERY else (key for key in steps[:1] if key in value):
            yield from _mappings(value[key], steps[1:], f"{place}.{key}")


def untrue(value: Any, _: Subject) -> Hits:
    """Anything but true."""
    if value is not True:
        yield "", ""


def unchecked(value: Any, subject: Subject) -> Hits:
    """No health check of a service that goes on running; a job tells by its exit code."""
    if not value and (subject.is_web or subject.body.get("restart") not in ("no", False)):
        yield "", ""


def floating_image(value: Any, _: Subject) -> Hits:
    """An image without a version."""
    name, _separator, digest = str(value).partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    # The project's own images are built from this repository; a rebuilt one with the same name is expected.
    if not digest and tag in ("", "latest") and not name.startswith("vault-reconciler/"):
        yield "", value


def capability(name: str) -> str:
    """A capability by its plain name."""
    return name.upper().removeprefix("CAP_")
