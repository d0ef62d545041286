"""The version that is written twice is the same twice."""

from importlib.metadata import version

from reconciler.cli.about import DISTRIBUTION, VERSION


def test_the_version_is_that_of_the_distribution() -> None:
    assert version(DISTRIBUTION) == VERSION
