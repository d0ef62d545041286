"""A Docker engine spoken to through Compose and its own API."""
