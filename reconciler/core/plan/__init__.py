"""The plan: the operations of one pass, from the desired stack and its assessment."""
