"""Distribution: a registry of container images."""
