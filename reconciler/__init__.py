"""A Kubernetes-style operator for Docker Compose: specs in, converged stacks out."""
