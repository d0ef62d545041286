"""Versions in tags, and ranges of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.image_version import RangeError, newest, read_range, read_version, variant_of

RISING = [
    *("0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc1", "1.0.0-rc2", "1.0.0-rc10"),
    *("1.0.0", "1.0.1", "1.2", "1.2.0.1", "1.10", "2", "2026.01.3", "2026.10.1"),
]  # fmt: skip


def test_versions_rise() -> None:
    versions = [version for tag in RISING if (version := read_version(tag))]
    assert len(set(versions)) == len(versions) == len(RISING)
    assert sorted(versions) == versions


def test_leading_zeros_and_missing_numbers_mean_nothing() -> None:
    assert read_version("1.4") == read_version("v1.4.0") == read_version("01.04.0.0")


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "stable",
        "",
        "v",
        "1.",
        ".1",
        "1.2.3.4.5",
        "1.2.3-alpine",
        "1_2",
        "9" * 12,
        "sha-1.2",
        "1.2.3-",
    ],
)
def test_tags_that_are_no_version(tag: str) -> None:
    assert read_version(tag) is None


def test_a_variant_is_compared_with_its_own() -> None:
    tags = ["1.4.2-alpine", "1.5.0", "1.4.10-alpine", "1.9.0-slim", "1.5.0-rc1-alpine"]
    assert newest(tags, "-alpine") == "1.4.10-alpine"
    assert newest(tags) == "1.5.0"
    assert newest(tags, "-none") is None
    assert [variant_of(tag) for tag in ("1.4.2-alpine", "1.4", "1.4-rc.1", "latest", "17-bookworm")] == [
        *("-alpine", "", "", None, "-bookworm"),
    ]  # fmt: skip


RANGES = {
    ">=1.4 <2": ("1.4 1.4.0 1.99.3 v1.5", "1.3.9 2 2.0.0 2.0.0-rc1 1.5.0-rc1"),
    ">=1.4, <2": ("1.4 1.99", "2 1.3"),
    ">= 1.4 < 2": ("1.4 1.99", "2 1.3"),
    ">1.4": ("1.5 2", "1.4 1.4.7"),
    ">1.4.2": ("1.4.3", "1.4.2"),
    "<=1.4": ("1.4.7 1.4 0.1", "1.5"),
    "<=1.4.2": ("1.4.2 1.4", "1.4.3"),
    "^1.4": ("1.4 1.9.9", "1.3 2"),
    "^0.4.2": ("0.4.2 0.4.9", "0.4.1 0.5 1"),
    "^0.0.3": ("0.0.3", "0.0.4 0.0.2"),
    "~1.4": ("1.4 1.4.9", "1.5 1.3"),
    "~1.4.2": ("1.4.2 1.4.9", "1.4.1 1.5"),
    "~1": ("1 1.9", "2 0.9"),
    "1.4": ("1.4 1.4.9", "1.5 1.3"),
    "1.4.x": ("1.4 1.4.9", "1.5 1.3"),
    "1.*": ("1.4 1.9", "2"),
    "1.4.2": ("1.4.2", "1.4.3 1.4.1 1.4.2.1"),
    "=1.4.2": ("1.4.2", "1.4.3"),
    "*": ("0.1 99", "1-rc1"),
    "1.4 || ^3": ("1.4.1 3.7", "1.5 2 4"),
    ">=1.5.0-rc1 <2": ("1.5.0-rc1 1.5.0-rc2 1.5.0 1.6.0-rc1", "1.5.0-beta 2.0.0-rc1"),
}


@pytest.mark.parametrize(("text", "tags"), RANGES.items())
def test_a_range_has_what_it_says(text: str, tags: tuple[str, str]) -> None:
    within, without = (tuple(each.split()) for each in tags)
    found = read_range(text)
    judged = {tag: read_version(tag) in found for tag in (*within, *without)}  # type: ignore[operator]
    assert judged == dict.fromkeys(within, True) | dict.fromkeys(without, False)


@pytest.mark.parametrize(
    "text", ["", " ", ">=", "latest", "1.4 ||", ">=1.x", "1.x-rc1", ">==1", "1.4 - 1.6", "=>1"]
)
def test_a_text_that_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(RangeError, match="write, for example"):
        read_range(text)


@given(st.lists(st.sampled_from([*RISING, "latest", "1.4-alpine"])))
def test_the_newest_is_one_of_them_and_none_is_higher(tags: list[str]) -> None:
    found = newest(tags)
    releases = [version for tag in tags if (version := read_version(tag)) and not version.pre]
    assert (found is None) == (not releases)
    assert found is None or (found in tags and read_version(found) == max(releases))


def test_of_one_version_the_exact_tag_is_taken() -> None:
    assert newest(["1.4", "1.4.0", "1"]) == newest(["1.4.0", "1.4", "1"]) == "1.4.0"
