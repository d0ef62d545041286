"""Versions, as tags of images write them, and ranges of versions.

A tag is no strict semantic version: `v1.4`, `2026.01.3` and `1.4.2-alpine` are common. So no library of semantic versions
reads them; what is read here are one to four numbers, and what follows a hyphen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import total_ordering
from typing import Final

__all__ = ["Range", "RangeError", "Version", "newest", "read_range", "read_version", "variant_of"]

NUMBERS: Final = 4
_VERSION: Final = re.compile(r"v?(?P<numbers>[0-9]{1,9}(?:\.[0-9]{1,9}){0,3})(?:-(?P<rest>[A-Za-z0-9_.-]+))?")
_BOUND: Final = re.compile(
    r"(?P<operator>>=|<=|>|<|=|\^|~)?v?(?P<numbers>[0-9]{1,9}(?:\.[0-9]{1,9}){0,3})(?P<any>(?:\.[xX*]){0,3})"
    r"(?:-(?P<rest>[A-Za-z0-9_.-]+))?"
)
_PRE_RELEASE: Final = re.compile(
    r"(?:alpha|beta|rc|pre|preview|dev|snapshot|nightly|a|b|c)(?:[._-]?[0-9][0-9A-Za-z._-]*)?",
    re.IGNORECASE,
)
_PARTS: Final = re.compile(r"[0-9]+|[A-Za-z]+")


class RangeError(ValueError):
    """A text that is no range of versions; the message says what is wrong with it."""


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """`numbers` as written; `pre` is the pre-release, empty for a release."""

    numbers: tuple[int, ...]
    pre: str = ""

    def _key(self) -> tuple[tuple[int, ...], bool, tuple[tuple[int, int, str], ...]]:
        padded = (*self.numbers, *(0,) * (NUMBERS - len(self.numbers)))
        # rc2 comes before rc10, and any pre-release before its release.
        parts = tuple(
            (0, int(part), "") if part.isdecimal() else (1, 0, part.lower())
            for part in _PARTS.findall(self.pre)
        )
        return padded, not self.pre, parts

    def __lt__(self, other: Version) -> bool:
        return self._key() < other._key()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True, slots=True)
class Range:
    """The versions between bounds; `text` is what was written."""

    text: str
    alternatives: tuple[tuple[tuple[str, Version], ...], ...]

    def __contains__(self, version: Version) -> bool:
        return any(
            all(_HOLDS[operator](version, bound) for operator, bound in bounds)
            and (not version.pre or any(bound.pre for _, bound in bounds))
            for bounds in self.alternatives
        )


_HOLDS: Final[dict[str, Callable[[Version, Version], bool]]] = {
    ">=": lambda version, bound: version >= bound,
    "<=": lambda version, bound: version <= bound,
    ">": lambda version, bound: version > bound,
    # A pre-release of what is excluded is excluded, too.
    "<": lambda version, bound: version < bound and (bool(bound.pre) or not _is_pre_of(version, bound)),
    "=": lambda version, bound: version == bound,
}


def read_version(tag: str, variant: str = "") -> Version | None:
    """The version that a tag with the ending `variant`, such as `-alpine`, writes; None for any other tag."""
    if variant and not tag.endswith(variant):
        return None
    found = _VERSION.fullmatch(tag.removesuffix(variant))
    if found is None or (found["rest"] and not _PRE_RELEASE.fullmatch(found["rest"])):
        return None
    return Version(tuple(map(int, found["numbers"].split("."))), found["rest"] or "")


def variant_of(tag: str) -> str | None:
    """What follows the version in a tag, such as `-alpine`, mostly nothing; None for a tag that is no version."""
    found = _VERSION.fullmatch(tag)
    if found is None:
        return None
    rest = found["rest"] or ""
    return f"-{rest}" if rest and not _PRE_RELEASE.fullmatch(rest) else ""


def newest(tags: Iterable[str], variant: str = "", within: Range | None = None) -> str | None:
    """The tag of this variant with the highest version, a release unless the range names pre-releases.

    Of two tags for the same version, the more exact one.
    """
    found = [
        (version, len(version.numbers), tag)
        for tag in tags
        if (version := read_version(tag, variant)) is not None
        and (version in within if within else not version.pre)
    ]
    return max(found)[2] if found else None


def read_range(text: str) -> Range:
    """The range that a text such as `>=1.4 <2`, `^1.4`, `~1.4.2`, `1.x` or `1.4 || 2.1` writes. Raises RangeError."""
    alternatives = tuple(tuple(_bounds(part)) for part in text.split("||"))
    return Range(text, alternatives)


def _bounds(text: str) -> Iterable[tuple[str, Version]]:
    words = re.sub(r"(>=|<=|>|<|=|\^|~)\s+", r"\1", text.replace(",", " ")).split()
    if not words:
        raise RangeError(f"{text.strip()!r} names no version; write, for example, >=1.4 <2")
    for word in words:
        if word in ("*", "x", "X"):
            yield ">=", Version((0,))
            continue
        found = _BOUND.fullmatch(word)
        if found is None or (found["any"] and (found["operator"] or found["rest"])):
            raise RangeError(
                f"{word!r} is no version with a bound; write, for example, >=1.4, <2, ^1.4 or 1.4.x"
            )
        numbers = tuple(map(int, found["numbers"].split(".")))
        yield from _bound(found["operator"] or "", Version(numbers, found["rest"] or ""), bool(found["any"]))


def _bound(operator: str, version: Version, is_open: bool) -> Iterable[tuple[str, Version]]:
    numbers = version.numbers
    if operator in _HOLDS:
        # `>1.4` is more than any 1.4.x, and `<=1.4` has all of them.
        if operator == ">" and len(numbers) < NUMBERS - 1:
            yield ">=", _after(numbers, len(numbers) - 1)
        elif operator == "<=" and len(numbers) < NUMBERS - 1:
            yield "<", _after(numbers, len(numbers) - 1)
        else:
            yield operator, version
        return
    yield ">=", version
    if operator == "^":
        # The first number that is not 0 stays.
        stays = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
        yield "<", _after(numbers, stays)
    elif operator == "~":
        yield "<", _after(numbers, min(1, len(numbers) - 1))
    elif is_open or len(numbers) < NUMBERS - 1:
        yield "<", _after(numbers, len(numbers) - 1)
    else:
        yield "<=", version


def _after(numbers: tuple[int, ...], at: int) -> Version:
    return Version((*numbers[:at], numbers[at] + 1))


def _is_pre_of(version: Version, release: Version) -> bool:
    return bool(version.pre) and Version(version.numbers) == release
