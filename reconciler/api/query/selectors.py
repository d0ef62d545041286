"""Label selectors and field selectors, as `kubectl -l` and `--field-selector` take them.

`app=web,tier in (a, b),!beta`: all requirements have to hold. As in Kubernetes, `!=` and `notin` also select what has no
such label.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from reconciler.api.query.errors import QueryError

__all__ = ["FieldSelector", "LabelSelector", "Requirement"]

Operator = Literal["exists", "!", "in", "notin", ">", "<"]

MAX_LENGTH: Final = 10_000
_TOKEN: Final = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY: Final = re.compile(rf"(?:[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}")
_VALUE: Final = re.compile(rf"(?:{_NAME})?")
_TERM: Final = re.compile(r"((?:[^\\=!,]|\\.)+)(==|!=|=)((?:[^\\,]|\\.)*)", re.DOTALL)
_TERMS: Final = re.compile(r"(?:[^\\,]|\\.)+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on the value of one label."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet it."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
        (bound,) = self.values
        try:
            number = int(value or "")
        except ValueError:
            return False
        return number > int(bound) if self.operator == ">" else number < int(bound)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Requirements that all have to hold; without any, everything is selected."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """Raises QueryError that says what is wrong."""
        if len(text) > MAX_LENGTH:
            raise QueryError(f"the selector has more than {MAX_LENGTH} characters")
        return cls(tuple(_Tokens(text).requirements()))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet every requirement."""
        return all(each.holds(labels) for each in self.requirements)


class _Tokens:
    """The words and signs of a label selector."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = _TOKEN.findall(text)
        self._next = 0

    def requirements(self) -> list[Requirement]:
        """All of them."""
        found = []
        while self._peek():
            found.append(self._requirement())
            if not self._peek():
                break
            self._expect(",")
            if not self._peek():
                raise self._wrong("ends with a comma")
        return found

    def _peek(self) -> str:
        return self._words[self._next] if self._next < len(self._words) else ""

    def _take(self) -> str:
        word = self._peek()
        self._next += 1
        return word

    def _expect(self, *signs: str) -> str:
        word = self._take()
        if word not in signs:
            there = f"{word!r}" if word else "its end"
            raise self._wrong(f"has {there} where {' or '.join(map(repr, signs))} belongs")
        return word

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            return Requirement(self._key(), "!")
        key = self._key()
        if self._peek() in ("", ","):
            return Requirement(key, "exists")
        sign = self._expect("=", "==", "!=", "in", "notin", ">", "<")
        if sign in ("in", "notin"):
            return Requirement(key, "in" if sign == "in" else "notin", self._values(key))
        value = "" if self._peek() in ("", ",") else self._value(key, self._take())
        if sign in (">", "<"):
            if not re.fullmatch(r"-?[0-9]{1,18}", value):
                raise self._wrong(f"compares {key} with {value!r}, which is no whole number")
            return Requirement(key, ">" if sign == ">" else "<", frozenset({value}))
        return Requirement(key, "notin" if sign == "!=" else "in", frozenset({value}))

    def _values(self, key: str) -> frozenset[str]:
        self._expect("(")
        found = set()
        while True:
            found.add("" if self._peek() in (",", ")") else self._value(key, self._take()))
            if self._expect(",", ")") == ")":
                return frozenset(found)

    def _key(self) -> str:
        key = self._take()
        if not _KEY.fullmatch(key):
            what = f"has {key!r}" if key else "ends"
            raise self._wrong(f"{what} where the key of a label belongs, such as team or example.org/team")
        return key

    def _value(self, key: str, value: str) -> str:
        if not _VALUE.fullmatch(value):
            raise self._wrong(f"has {value!r} where a value of {key} belongs, such as a or a.b-c")
        return value

    def _wrong(self, what: str) -> QueryError:
        return QueryError(
            f"the selector {self._text!r} {what}; write, for example, team=web,tier in (a,b),!beta"
        )


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """`metadata.name=files,metadata.namespace!=other`: triples of a field, whether it has to be equal, and a value."""

    terms: tuple[tuple[str, bool, str], ...] = ()

    @classmethod
    def parse(cls, text: str, fields: Collection[str]) -> FieldSelector:
        """Raises QueryError, also for a field that is none of `fields`."""
        found = []
        for written in _TERMS.findall(text):
            term = _TERM.fullmatch(written)
            if term is None:
                raise QueryError(
                    f"the field selector {text!r} has {written!r}, which is no FIELD=VALUE or FIELD!=VALUE"
                )
            field, sign, value = term[1].strip(), term[2], term[3]
            if field not in fields:
                known = " and ".join(sorted(fields))
                raise QueryError(f"field label not supported: {field}; objects are selected by {known}")
            found.append((field, sign != "!=", re.sub(r"\\(.)", r"\1", value)))
        return cls(tuple(found))

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether the values of the fields meet every term; a field that is missing is empty."""
        return all((fields.get(field, "") == value) is equal for field, equal, value in self.terms)
