"""What the name of an image says, and which of a registry's tags is newer."""
