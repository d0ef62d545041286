"""Objects of a state directory of its own."""

from tests.stored import make_service, make_status, manifest, objects, origin, state

__all__ = ["make_service", "make_status", "manifest", "objects", "origin", "state"]
