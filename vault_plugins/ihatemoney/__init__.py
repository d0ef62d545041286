"""I hate money: shared expenses."""
