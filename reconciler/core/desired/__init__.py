"""The desired state: from a spec and its plugin's fragment to a stack of workloads with their revisions."""
