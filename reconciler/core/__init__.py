"""The planning core: pure functions from the desired and the observed state to the next safe operations."""
