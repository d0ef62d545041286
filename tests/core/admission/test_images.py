"""Which images the operator lets run as HAProxy."""

from __future__ import annotations

import pytest

from reconciler.core.admission.images import PROXY_IMAGES, is_allowed

DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize(
    "image",
    [
        "haproxy:3.0", "haproxy", f"haproxy:3.0{DIGEST}", "docker.io/library/haproxy:3.2", "library/haproxy",
        "my-haproxy:1", "vault-reconciler/haproxy:latest", "haproxytech/haproxy-alpine:3.0",
    ],
)  # fmt: skip
def test_what_is_allowed_when_the_operator_says_nothing(image: str) -> None:
    assert is_allowed(image, PROXY_IMAGES)


@pytest.mark.parametrize(
    "image",
    [
        "mallory/haproxy:3.0", "docker.io/mallory/haproxy", "registry.example/haproxy:3.0", "localhost:5000/haproxy",
        "registry.example/vault-reconciler/haproxy", "haproxytech/other", "registry.example/library/haproxy",
    ],
)  # fmt: skip
def test_an_image_with_an_owner_or_a_registry_is_the_operators_choice(image: str) -> None:
    assert not is_allowed(image, PROXY_IMAGES)


@pytest.mark.parametrize(
    "image", ["af24cf77c471", "cafe", "a" * 64, "sha256:af24cf77c471", "sha256:" + "a" * 64]
)
def test_an_id_may_be_any_image_of_this_machine_and_is_the_operators_choice(image: str) -> None:
    assert not is_allowed(image, PROXY_IMAGES)
    assert is_allowed(image, [*PROXY_IMAGES, image])


@pytest.mark.parametrize("image", ["cafe:1", "docker.io/library/cafe", "sha256:latest", f"cafe{DIGEST}"])
def test_a_name_with_a_tag_or_a_registry_is_no_id(image: str) -> None:
    assert is_allowed(image, PROXY_IMAGES)


@pytest.mark.parametrize(
    ("pattern", "image", "expected"),
    [
        ("registry.example:5000/ops/*", "registry.example:5000/ops/haproxy:3.0", True),
        ("registry.example:5000/ops/*", "registry.example:5000/ops/deeper/haproxy", False),
        ("haproxy:3.*", "haproxy:3.2", True),
        ("haproxy:3.*", "haproxy:2.8", False),
        ("haproxy:3.*", "haproxy", False),
        (f"haproxy{DIGEST}", f"haproxy{DIGEST}", True),
        (f"haproxy{DIGEST}", "haproxy:3.0", False),
        ("haproxy", "haproxy-evil", False),
    ],
)
def test_patterns(pattern: str, image: str, expected: bool) -> None:
    assert is_allowed(image, [pattern]) is expected


def test_without_a_pattern_nothing_is_allowed() -> None:
    assert not is_allowed("haproxy:3.0", [])
