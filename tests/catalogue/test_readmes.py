"""The README of each application says what its operator has to know, and what the tests have shown."""

from __future__ import annotations

import re

import pytest

from tests.catalogue.applications import Application, applications
from vault_plugins.lint import readme_of
from vault_plugins.registry import discover

SECTIONS = ("Settings", "Default credentials", "Security considerations", "Backup", "Replicas")
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def sections_of(slug: str) -> dict[str, str]:
    """The sections of a README by their headings."""
    _, *parts = HEADING.split(readme_of(discover([]).get(slug)) or "")
    return dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))


@pytest.mark.parametrize("each", applications().values(), ids=lambda each: each.slug)
def test_a_readme_has_all_sections(each: Application) -> None:
    assert tuple(sections_of(each.slug)) == SECTIONS


@pytest.mark.parametrize("each", applications().values(), ids=lambda each: each.slug)
def test_a_readme_says_as_many_replicas_as_the_plugin_allows_and_the_test_runs(each: Application) -> None:
    says_many = sections_of(each.slug)["Replicas"].startswith("Many.")
    assert says_many or sections_of(each.slug)["Replicas"].startswith("One.")
    assert says_many is (each.replicas > 1)
    assert says_many is not discover([]).get(each.slug).create().single_writer


@pytest.mark.parametrize("each", applications().values(), ids=lambda each: each.slug)
def test_a_readme_says_which_profile_admits_it(each: Application) -> None:
    profile = "restricted" if each.restricted else "baseline"
    assert sections_of(each.slug)["Security considerations"].startswith(f"- Runs under `{profile}`")


@pytest.mark.parametrize("each", applications().values(), ids=lambda each: each.slug)
def test_one_replica_is_warned_about_where_more_break_something(each: Application) -> None:
    plugin = discover([]).get(each.slug).create()
    twice = {**each.settings, "VAULT_WEB_REPLICAS": "2"}
    assert list(plugin.operator_warnings(each.settings)) == []
    assert bool(list(plugin.operator_warnings(twice))) is plugin.single_writer
