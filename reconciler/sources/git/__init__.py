"""Manifests from a branch of a Git repository, with signature checks and size limits."""
