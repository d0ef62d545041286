"""Compose's fields as typed values: the short and long forms of a fragment are read here, and nowhere else."""
