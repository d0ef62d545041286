"""Which tag of a registry a policy chooses: a pure function of the tags, when each was first seen, and what has failed.

It never goes back to a lower version: after a rollback the manifest keeps naming what failed, until there is a higher one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.api.image_policy import ImagePolicy
from reconciler.api.image_version import newest, read_version
from reconciler.core.images.reference import Reference

__all__ = ["Choice", "choose", "within"]


@dataclass(frozen=True, slots=True)
class Choice:
    """`tag` is the one to run in place of the present one, empty to stay. `waiting` are higher ones that are too young,
    with the moment from which they are not; `failed` higher ones that were rolled back; `unsigned` is the one that would
    be run if it were signed.
    """

    tag: str = ""
    waiting: Mapping[str, datetime] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    unsigned: str = ""

    @property
    def message(self) -> str:
        """What is said about tags that are not taken."""
        told = [f"{tag} waits until {due:%Y-%m-%d %H:%M} UTC" for tag, due in sorted(self.waiting.items())]
        told += [f"{tag} was rolled back and is not tried again" for tag in self.failed]
        if self.unsigned:
            told.append(f"{self.unsigned} is signed with no key of imagePolicy.signedBy")
        return "; ".join(told)


def within(policy: ImagePolicy, tags: Collection[str]) -> tuple[str, ...]:
    """The tags that a policy is about."""
    return tuple(
        tag
        for tag in tags
        if (version := read_version(tag, policy.variant)) is not None and version in policy.range
    )


def choose(
    policy: ImagePolicy,
    present: Reference,
    tags: Collection[str],
    seen: Mapping[str, datetime],
    failed: Collection[str],
    now: datetime,
) -> Choice:
    """The choice of a policy. `seen` tells when each tag was first seen, now for one that it does not have; `failed` are
    tags of images that were rolled back.
    """
    runs = read_version(present.tag, policy.variant)
    higher = [
        tag
        for tag in within(policy, tags)
        if runs is None or ((version := read_version(tag, policy.variant)) is not None and version > runs)
    ]
    age = timedelta(seconds=policy.min_age)
    due = {tag: seen.get(tag, now) + age for tag in higher if tag not in failed}
    ready = [tag for tag, moment in due.items() if moment <= now]
    return Choice(
        newest(ready, policy.variant, policy.range) or "",
        {tag: moment for tag, moment in due.items() if moment > now},
        tuple(sorted(tag for tag in higher if tag in failed)),
    )
