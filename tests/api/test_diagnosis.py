"""Every file in bad/ is a manifest, a line of dashes, and all expected messages."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.diagnosis import nearest
from reconciler.api.errors import ManifestError
from reconciler.api.manifest import parse

CASES = sorted(Path(__file__).with_name("bad").glob("*.txt"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_bad_manifest_is_explained_in_full(case: Path) -> None:
    manifest, expected = case.read_text(encoding="utf-8").split("----------\n")
    with pytest.raises(ManifestError) as refused:
        parse(manifest, Path("bad.yaml"))
    assert str(refused.value) == expected.rstrip("\n")


def test_there_are_cases() -> None:
    assert len(CASES) >= 18


@pytest.mark.parametrize(
    ("word", "candidates", "meant"),
    [
        ("replcas", ["replicas", "plugin"], "replicas"),
        ("deletion_policy", ["deletionPolicy"], "deletionPolicy"),
        ("HealthCheck", ["healthcheck"], "healthcheck"),
        ("single", ["rolling", "single-active"], "single-active"),
        ("zzz", ["replicas", "plugin"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_name_is_found(word: str, candidates: list[str], meant: str | None) -> None:
    assert nearest(word, candidates) == meant


SECRET = "hunter2-0xdeadbeef"
HEAD = "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {name: files}\nspec:\n  plugin: whoami\n"


@pytest.mark.parametrize(
    "line",
    [
        f"env: {{A: [{SECRET}]}}",
        f"env: {SECRET}",
        f"env: [A={SECRET}]",
        f"envFrom: {SECRET}",
        f"replicas: {SECRET}",
        f"strategy: {SECRET}",
        f"drift: {SECRET}",
        f"proxy: {{image: '{SECRET} x'}}",
        f"ports: {{http: '{SECRET}'}}",
    ],
)
def test_a_password_in_the_wrong_place_is_not_repeated(line: str) -> None:
    with pytest.raises(ManifestError) as refused:
        parse(f"{HEAD}  {line}\n", Path("bad.yaml"))
    assert SECRET not in str(refused.value)
    assert all(problem.line == 6 for problem in refused.value.problems)


@given(st.text(), st.lists(st.text(), max_size=5))
def test_a_suggestion_is_one_of_the_candidates(word: str, candidates: list[str]) -> None:
    assert nearest(word, candidates) in [None, *candidates]
