"""Sources of manifests: each source loads all its manifests and says when they may have changed."""
