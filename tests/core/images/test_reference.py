"""What the name of an image says, as the engine reads it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from reconciler.api.formats import ImageReference
from reconciler.core.images.reference import read_reference

DIGEST = "sha256:" + "ab" * 32

NAMES = {
    "haproxy": ("haproxy", "docker.io", "library/haproxy", "", ""),
    "haproxy:3.0": ("haproxy", "docker.io", "library/haproxy", "3.0", ""),
    "docker.io/haproxy:3.0": ("docker.io/haproxy", "docker.io", "library/haproxy", "3.0", ""),
    "index.docker.io/team/app": ("index.docker.io/team/app", "docker.io", "team/app", "", ""),
    "team/app:1": ("team/app", "docker.io", "team/app", "1", ""),
    "localhost/app": ("localhost/app", "localhost", "app", "", ""),
    "localhost:5000/app:1": ("localhost:5000/app", "localhost:5000", "app", "1", ""),
    "Registry.Test:5000/a/b/c:1.4": ("Registry.Test:5000/a/b/c", "registry.test:5000", "a/b/c", "1.4", ""),
    f"r.test/app@{DIGEST}": ("r.test/app", "r.test", "app", "", DIGEST),
    f"r.test:1/app:1.4@{DIGEST}": ("r.test:1/app", "r.test:1", "app", "1.4", DIGEST),
    "[::1]:5000/app": ("[::1]:5000/app", "[::1]:5000", "app", "", ""),
}


@pytest.mark.parametrize(("written", "parts"), NAMES.items())
def test_a_name_in_its_parts(written: str, parts: tuple[str, ...]) -> None:
    found = read_reference(written)
    assert found is not None
    assert (found.name, found.registry, found.repository, found.tag, found.digest) == parts
    assert str(found) == written


@pytest.mark.parametrize(
    "written",
    [
        "",
        DIGEST,
        "app:",
        "app@",
        "App",
        "r.test/",
        "a//b",
        "a b",
        "app@sha256:12",
        "r.test/../app",
        "x" * 600,
    ],
)
def test_what_no_registry_can_be_asked_for(written: str) -> None:
    assert read_reference(written) is None


def test_another_tag_keeps_the_name() -> None:
    found = read_reference(f"r.test:1/app:1.4@{DIGEST}")
    assert found is not None
    assert str(found.at("1.5")) == "r.test:1/app:1.5"
    assert str(found.at("1.5", DIGEST)) == f"r.test:1/app:1.5@{DIGEST}"
    assert (found.asked, found.at("").asked, found.place) == ("1.4", "latest", "r.test:1/app")


@given(st.text(alphabet="abAB01.:/@-_[]", max_size=40))
@example("0._0/0")
def test_any_text_is_read_or_refused_and_written_as_it_was(text: str) -> None:
    found = read_reference(text)
    assert found is None or str(found) == text


def test_what_a_manifest_may_name_can_be_asked_for() -> None:
    form = TypeAdapter(ImageReference)
    for name in NAMES:
        if not name.startswith("["):
            assert form.validate_python(name) == name
