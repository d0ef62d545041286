"""Asks registries of images which tags there are and what they mean, by the OCI distribution API."""

from reconciler.registry.client import RegistryClient
from reconciler.registry.credentials import DockerCredentials
from reconciler.registry.errors import NoAccessError, RegistryError, UnknownImageError

__all__ = ["DockerCredentials", "NoAccessError", "RegistryClient", "RegistryError", "UnknownImageError"]
