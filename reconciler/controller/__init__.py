"""The loop: keys wake it, a pass looks at the whole world, does the next safe operations, and forgets."""
