"""Small mistakes in Python code, one at a time: an inverted condition, a bound off by one, a missing call."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

Mistake = Callable[[ast.AST], None]

_OTHER: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_SAID: Final = ("debug", "info", "warning", "error", "exception")
"""Calls of a log: what they say is no behaviour."""


@dataclass(frozen=True)
class Mutant:
    """The code of a module with one mistake in it."""

    line: int
    mistake: str
    code: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.mistake}"


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of this code, in the order of its lines."""
    for number, node in enumerate(_nodes(ast.parse(source))):
        for choice in range(len(_mistakes(node))):
            # A tree of its own for each: nodes are changed in place.
            tree = ast.parse(source)
            mistaken = _nodes(tree)[number]
            before = ast.unparse(mistaken)
            line = getattr(mistaken, "lineno", 0)
            _mistakes(mistaken)[choice](mistaken)
            after = ast.unparse(ast.fix_missing_locations(tree))
            yield Mutant(line, f"{_first(before)}  ->  {_first(ast.unparse(mistaken))}", after)


def _nodes(tree: ast.Module) -> list[ast.AST]:
    nodes = [node for node in ast.walk(tree) if hasattr(node, "lineno")]
    return sorted(nodes, key=lambda node: (node.lineno, node.col_offset))  # type: ignore[attr-defined]


def _mistakes(node: ast.AST) -> list[Mistake]:
    match node:
        case ast.If() | ast.IfExp() | ast.While():
            return [_turn_round]
        case ast.Compare(ops=[op]) if type(op) in _OTHER:
            return [_compare_otherwise]
        case ast.BoolOp():
            return [_swap_and_with_or]
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name))) if name in _SAID:
            return []
        case ast.Expr(value=ast.Call()) | ast.Raise():
            return [_leave_out]
        case ast.Constant(value=bool()):
            return [_deny]
        case ast.Constant(value=int() | float()):
            return [_add_one]
    return []


def _turn_round(node: ast.AST) -> None:
    assert isinstance(node, ast.If | ast.IfExp | ast.While)
    node.test = ast.UnaryOp(ast.Not(), node.test)


def _compare_otherwise(node: ast.AST) -> None:
    assert isinstance(node, ast.Compare)
    node.ops = [_OTHER[type(node.ops[0])]()]


def _swap_and_with_or(node: ast.AST) -> None:
    assert isinstance(node, ast.BoolOp)
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()


def _leave_out(node: ast.AST) -> None:
    assert isinstance(node, ast.Expr | ast.Raise)
    # The node itself stays, since a parent holds it: an expression that does nothing.
    node.__class__ = ast.Expr
    node.value = ast.Constant(None)  # type: ignore[union-attr]


def _deny(node: ast.AST) -> None:
    assert isinstance(node, ast.Constant)
    node.value = not node.value


def _add_one(node: ast.AST) -> None:
    assert isinstance(node, ast.Constant)
    node.value = node.value + 1  # type: ignore[operator]


def _first(code: str) -> str:
    return code.splitlines()[0][:70]
