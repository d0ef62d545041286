"""Every reason is written in one place, and the page lists them all."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.api import VaultError
from reconciler.api.reasons import Reason, render
from reconciler.core.plan import gateway_operations, operations
from reconciler.core.plan.operations import Operation

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "reconciler").rglob("*.py"))

OTHER_VOCABULARIES = {
    # Names of classes, and the title of a column.
    ("api/__init__.py", "Manifest"),
    ("api/__init__.py", "Proxy"),
    ("api/kinds.py", "Serving"),
    # The type of a condition.
    ("api/condition_types.py", "Accepted"),
    ("controller/report/summary.py", "Accepted"),
    # How the rollout of a revision ended, as the database has it.
    ("store/base.py", "RolledBack"),
    ("store/base.py", "Superseded"),
    ("controller/report/journal.py", "RolledBack"),
    ("controller/report/journal.py", "Superseded"),
    ("controller/reconcile/target.py", "RolledBack"),
    ("controller/images/failed.py", "RolledBack"),
    # A reason of a Status, which is Kubernetes' own.
    ("web/kube/errors.py", "InternalError"),
    ("web/ui/acting.py", "InternalError"),
    ("web/ui/terminal.py", "InternalError"),
    # The phase of a Pod, also Kubernetes' own.
    ("app/cluster/pods.py", "Pending"),
    ("cli/remote/pods.py", "Pending"),
    # What the page says of a route, and the title of a column there.
    ("web/ui/machine.py", "Serving"),
    ("web/ui/overview.py", "Serving"),
    # A key in the engine's description of a node.
    ("engines/swarm/rows.py", "Engine"),
}
"""The same word, said of something else."""


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8") == render(), (
        "run: python -m reconciler.api.reasons docs/reasons.md"
    )


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_a_reason_has_a_sentence(reason: Reason) -> None:
    assert reason.isalnum()
    assert reason[0].isupper()
    assert reason.meaning.endswith(".")
    assert f"`{reason}`" in render()


def words(path: Path) -> Iterator[str]:
    """The string literals of a file, but the names that it exports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    exports = [each for each in tree.body if isinstance(each, ast.Assign) and _is_exports(each)]
    tree.body = [each for each in tree.body if each not in exports]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_exports(node: ast.Assign) -> bool:
    return [each.id for each in node.targets if isinstance(each, ast.Name)] == ["__all__"]


def test_no_reason_is_written_elsewhere() -> None:
    known = {reason.value for reason in Reason}
    found = {
        (str(path.relative_to(ROOT / "reconciler")), word)
        for path in SOURCES
        if path.name != "reasons.py"
        for word in words(path)
        if word in known
    }
    assert found == OTHER_VOCABULARIES


def descendants(kind: type) -> Iterator[type]:
    each: type
    for each in kind.__subclasses__():
        yield each
        yield from descendants(each)


def test_every_operation_is_the_reason_of_its_event() -> None:
    bases = {"ContainerOperation", "ServerOperation", "PoolOperation", "OnNode"}
    modules = {operations.__name__, gateway_operations.__name__}
    shipped = {each.__name__ for each in descendants(Operation) if each.__module__ in modules}
    assert shipped - bases == {r.value for r in Reason if r.place == "operations"}


def test_every_error_of_a_pass_has_a_reason_of_its_own() -> None:
    """Errors that a person gets from a command carry their base's."""
    import reconciler.core.admission.gate
    import reconciler.engines.errors
    import reconciler.proxy.errors
    import reconciler.proxy.remote.line  # noqa: F401

    packages = ("reconciler.api", "reconciler.core", "reconciler.engines", "reconciler.proxy")
    errors = [each for each in descendants(VaultError) if each.__module__.startswith(packages)]
    told = ("PermanentError", "QueryError", "FieldConflictError")
    reasons = [vars(each).get("reason") for each in errors if each.__name__ not in told]
    assert None not in reasons
    assert len(reasons) == len(set(reasons)) >= 9
