"""Manifests from a branch of a Git repository, with signatures and bounds."""
