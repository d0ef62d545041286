"""Images of the spec in place of those of the plugin: who gets which, what admission sees, and which revision it makes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.compose.fragment import BuildError
from reconciler.core.desired.build import build
from reconciler.core.desired.stack import Stack
from reconciler.proxy.haproxy.front import FRONT
from tests.core.desired.test_build import SITE, Sample, spec

DIGEST = "sha256:" + "0123456789abcdef" * 4
TWO = {"services": {"web": {"image": "web:1"}, "db": {"image": "db:1"}}}
FORMER = {"web": "v1-a2857a4ca5de", "db": "v1-9d08ad8c8b47"}
"""Revisions of TWO before there was spec.images."""


def stack(fragment: Any = TWO, **fields: Any) -> Stack:
    return build(spec(**fields), Sample(fragment), SITE, front=FRONT)


def revisions(found: Stack) -> dict[str, str]:
    return {w.name: w.revision for w in found.workloads if w.name in TWO["services"]}


def test_a_manifest_without_images_keeps_its_revisions() -> None:
    assert revisions(stack()) == revisions(stack(images={})) == FORMER


@pytest.mark.parametrize(
    "image", ["other:2", "registry.test:5000/team/app:1.4.2", f"registry.test/app:1.4.2@{DIGEST}"]
)
def test_an_image_replaces_that_of_its_workload_alone(image: str) -> None:
    found = stack(images={"web": image})
    assert {name: found.document["services"][name]["image"] for name in TWO["services"]} == {
        "web": image,
        "db": "db:1",
    }
    assert next(w.image for w in found.workloads if w.name == "web") == image
    changed = {name for name, revision in revisions(found).items() if FORMER[name] != revision}
    assert changed == {"web"}


def test_the_image_that_it_would_have_is_no_change() -> None:
    assert revisions(stack(images={"db": "db:1", "web": "web:1"})) == FORMER


@given(st.dictionaries(st.sampled_from(["web", "db"]), st.sampled_from(["a:1", "b:2"])))
def test_it_is_as_if_the_plugin_had_named_them(images: dict[str, str]) -> None:
    written = {"services": {name: {"image": images.get(name, f"{name}:1")} for name in TWO["services"]}}
    assert stack(images=images).document == stack(written).document
    assert revisions(stack(images=images)) == revisions(stack(written))


def test_a_fragment_is_not_changed_and_may_leave_its_image_out() -> None:
    fragment: dict[str, Any] = {"services": {"web": {}}}
    assert stack(fragment, images={"web": "web:2"}).document["services"]["web"]["image"] == "web:2"
    assert fragment == {"services": {"web": {}}}
    with pytest.raises(BuildError, match=r"services\.web has no image"):
        stack(fragment)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("wb", r"spec\.images\.wb: there is no workload 'wb', there are web, db$"),
        ("haproxy", r"there are web, db; spec\.proxy\.image names that of HAProxy$"),
    ],
)
def test_an_unknown_workload_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint):
        stack(images={name: "web:2"})


def test_admission_judges_the_image_that_runs() -> None:
    floating = {"services": {"web": {"image": "web"}}}

    def told(found: Stack, place: str) -> bool:
        return any(place in warning for warning in found.warnings)

    assert told(stack(floating), "services.web.image")
    assert not told(stack(floating, images={"web": f"web@{DIGEST}"}), "services.web.image")
    assert told(stack(images={"db": "db"}), "services.db.image")
