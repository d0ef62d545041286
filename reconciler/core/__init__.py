"""The planning core: pure functions from what is wanted and what runs to the next safe operations."""
