"""Each mutant has one mistake, and the other code is unchanged."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.__main__ import ROOT, TESTS, judges
from tests.mutants.mutate import mutants


@pytest.mark.parametrize(
    ("code", "mistaken"),
    [
        ("if a:\n    b = c", ["if not a:\n    b = c"]),
        ("x = a if b else c", ["x = a if not b else c"]),
        ("x = a < 1", ["x = a <= 1", "x = a < 2"]),
        ("x = a and b", ["x = a or b"]),
        ("a.b()", ["None"]),
        ("raise E", ["None"]),
        ("x = True", ["x = False"]),
        ("log.warning('it is said')", []),
        ("'''A docstring.'''\nx: int", []),
    ],
)
def test_the_mistakes(code: str, mistaken: list[str]) -> None:
    assert [mutant.code for mutant in mutants(code)] == mistaken


def test_every_mutant_of_a_module_is_another_module_that_can_be_read() -> None:
    source = (ROOT / "reconciler/controller/loop/workqueue.py").read_text(encoding="utf-8")
    original, codes = ast.unparse(ast.parse(source)), [mutant.code for mutant in mutants(source)]
    assert len(codes) > 20
    assert len(set(codes)) == len(codes)
    assert original not in codes
    assert all(ast.parse(code) for code in codes)


def test_every_module_has_tests() -> None:
    assert all(Path(ROOT, test).exists() for module in TESTS for test in judges(module))
    for path in Path(ROOT, "reconciler").rglob("*.py"):
        assert judges(str(path.relative_to(ROOT)))
