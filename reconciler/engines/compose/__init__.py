"""A Docker engine, used through Compose and its API."""
