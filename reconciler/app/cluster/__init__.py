"""The state directory as a Kubernetes API shows it: documents with the metadata that a server sets, and writes. No HTTP."""
