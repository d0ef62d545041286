"""Where manifests come from: each source loads all that there is and says when it may have changed."""
