"""The Kubernetes API over the state directory: kubectl and client libraries read and write the objects with it.

It is imported only by `vaultctl run --api`. What it serves is exact; what it does not serve answers as a cluster without it
would. docs/kubernetes-api.md is the list.
"""
