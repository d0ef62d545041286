"""The parts of a template in kubectl's dialect of JSONPath, as `syntax` reads them and `jsonpath` follows them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Block",
    "Field",
    "Filter",
    "Literal",
    "Node",
    "Path",
    "Piece",
    "Recursive",
    "Slice",
    "Union",
    "Wildcard",
]


@dataclass(frozen=True, slots=True)
class Literal:
    """Text, a number or a boolean that stands for itself."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Field:
    """`.name` or `['name']`."""

    name: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`.*`: all values of a mapping or a list."""


@dataclass(frozen=True, slots=True)
class Recursive:
    """`..`: a mapping or a list with all mappings and lists in it."""


@dataclass(frozen=True, slots=True)
class Slice:
    """`[0]`, `[-1]`, `[1:3]`, `[::2]`, `[*]`; `single` for one index."""

    start: int | None
    end: int | None
    step: int | None
    single: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """`[?(@.a=="b")]`; the operator is empty when the left side only has to exist."""

    left: Path
    operator: str
    right: Path


@dataclass(frozen=True, slots=True)
class Union:
    """`[0,2]` or `['a','b']`."""

    paths: tuple[Path, ...]


Node = Literal | Field | Wildcard | Recursive | Slice | Filter | Union
Path = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """`{range PATH}BODY{end}`."""

    path: Path
    body: tuple[Piece, ...]


Piece = Literal | Path | Block
