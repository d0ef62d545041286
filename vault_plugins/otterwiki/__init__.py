"""An Otter Wiki: pages in a Git repository."""
