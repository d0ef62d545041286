from pathlib import Path

import pytest

from reconciler.api.errors import ManifestError, PermanentError, Problem, TemporaryError, VaultError


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            Problem(Path("a.yaml"), 3, 7, "spec.x", "is wrong", "fix it"),
            "a.yaml:3:7: spec.x: is wrong; fix it",
        ),
        (Problem(Path("a.yaml"), 3, 7, "", "is wrong"), "a.yaml:3:7: is wrong"),
        (Problem(Path("a.yaml"), 0, 0, "", "is no file", "name one"), "a.yaml: is no file; name one"),
    ],
)
def test_a_problem_reads_like_a_compiler_message(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_a_manifest_error_lists_its_problems_by_file_line_and_column() -> None:
    late, early = Problem(Path("b"), 1, 1, "", "x"), Problem(Path("a"), 10, 2, "", "y")
    between = Problem(Path("a"), 10, 3, "", "z")
    error = ManifestError([late, between, early])
    assert error.problems == (early, between, late)
    assert str(error).splitlines() == ["a:10:2: y", "a:10:3: z", "b:1:1: x"]


@pytest.mark.parametrize(
    "error", [VaultError("no"), TemporaryError("no", delay=2.5), PermanentError("no"), TemporaryError("no")]
)
def test_every_error_is_a_vault_error_that_prints_its_message(error: VaultError) -> None:
    assert str(error) == error.message == "no"


def test_a_temporary_error_may_leave_the_delay_to_the_queue() -> None:
    assert TemporaryError("later").delay is None
    assert TemporaryError("later", 2.5).delay == 2.5
