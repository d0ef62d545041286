"""What a policy chooses: by version, age and history, and never a lower version."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.image_policy import ImagePolicy
from reconciler.api.image_version import read_version
from reconciler.core.images.choice import Choice, choose, within
from reconciler.core.images.reference import Reference, read_reference

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
TAGS = ("1.3", "1.4.0", "1.4.2", "1.5.0", "1.6.0-rc1", "2.0.0", "latest", "1.9.0-alpine")


def policy(pattern: str = 'semver ">=1.4 <2"', **fields: Any) -> ImagePolicy:
    return ImagePolicy.model_validate({"workload": "web", "pattern": pattern, **fields})


def image(text: str = "r.test/app:1.4.0") -> Reference:
    found = read_reference(text)
    assert found is not None
    return found


def days(number: float) -> datetime:
    return NOW - timedelta(days=number)


def test_the_highest_version_of_the_range() -> None:
    assert choose(policy(), image(), TAGS, {}, (), NOW) == Choice("1.5.0")
    assert choose(policy(variant="-alpine"), image("r.test/app:1.4.0-alpine"), TAGS, {}, (), NOW) == Choice(
        "1.9.0-alpine"
    )
    assert choose(policy('semver ">=1.6.0-rc1"'), image(), TAGS, {}, (), NOW) == Choice("2.0.0")
    assert within(policy(), TAGS) == ("1.4.0", "1.4.2", "1.5.0")


@pytest.mark.parametrize("present", ["1.5.0", "1.5.1", "1.7", "2.5"])
def test_never_back(present: str) -> None:
    assert choose(policy(), image(f"r.test/app:{present}"), TAGS, {}, (), NOW) == Choice()


@pytest.mark.parametrize("present", ["r.test/app", "r.test/app:latest", "r.test/app:edge"])
def test_a_tag_that_is_no_version_gives_way(present: str) -> None:
    assert choose(policy(), image(present), TAGS, {}, (), NOW).tag == "1.5.0"


def test_a_tag_is_taken_when_it_was_known_long_enough() -> None:
    seen = {"1.4.2": days(3), "1.5.0": days(2.9)}
    young = choose(policy(minAge="3d"), image(), TAGS, seen, (), NOW)
    assert young == Choice("1.4.2", {"1.5.0": NOW + timedelta(days=0.1)})
    assert young.message == "1.5.0 waits until 2026-05-04 14:24 UTC"
    assert choose(policy(minAge="3d"), image(), TAGS, seen, (), NOW + timedelta(days=0.1)).tag == "1.5.0"
    assert choose(policy(minAge="3d"), image(), TAGS, {}, (), NOW).tag == ""


def test_what_has_failed_is_not_tried_again() -> None:
    found = choose(policy(), image(), TAGS, {}, {"1.5.0"}, NOW)
    assert found == Choice("1.4.2", failed=("1.5.0",))
    assert found.message == "1.5.0 was rolled back and is not tried again"
    assert choose(policy(), image("r.test/app:1.5.0"), (*TAGS, "1.5.1"), {}, {"1.5.0"}, NOW).tag == "1.5.1"


@given(
    tags=st.lists(st.sampled_from([*TAGS, "1.4.1", "1.8"]), unique=True),
    failed=st.sets(st.sampled_from(TAGS)),
    present=st.sampled_from(["1.4.0", "1.5.0", "latest"]),
    ages=st.lists(st.floats(0, 6), min_size=10, max_size=10),
)
def test_whatever_is_chosen_may_run(
    tags: list[str], failed: set[str], present: str, ages: list[float]
) -> None:
    seen = {tag: days(age) for tag, age in zip(tags, ages, strict=False)}
    rule = policy(minAge="3d")
    found = choose(rule, image(f"r.test/app:{present}"), tags, seen, failed, NOW)
    if not found.tag:
        return
    version, runs = read_version(found.tag), read_version(present)
    assert version is not None
    assert version in rule.range
    assert found.tag in tags
    assert found.tag not in failed
    assert seen[found.tag] <= days(3)
    assert runs is None or version > runs


BAD = {
    "1.4": "must be semver and a range",
    "semver": "must be semver and a range",
    'semver "': "must be semver and a range",
    'semver "1.4" x': "must be semver and a range",
    'semver "latest"': "'latest' is no version with a bound",
    'semver ""': "names no version",
    "semver " + "1 " * 200: "must be semver and a range",
}


@pytest.mark.parametrize(("pattern", "complaint"), BAD.items())
def test_a_pattern_that_cannot_be_read(pattern: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        policy(pattern)


@pytest.mark.parametrize(
    "field",
    [{"interval": "9s"}, {"interval": "2d"}, {"minAge": "-1s"}, {"variant": "alpine"}, {"digest": "x"}],
)
def test_fields_out_of_range(field: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(field))):
        policy(**field)
