"""`vaultctl --server`: verbs over the Kubernetes API of a controller, in place of a state directory of this machine."""
