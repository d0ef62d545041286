"""The engine that the end-to-end tests ask for is asked for here as well."""

from tests.e2e.conftest import engine

__all__ = ["engine"]
