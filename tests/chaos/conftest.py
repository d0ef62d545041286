"""Requires the engine of the end-to-end tests."""

from tests.e2e.conftest import engine

__all__ = ["engine"]
