"""Persistent state: the objects that users applied, and the history of events and rollouts."""
