"""Container engines: how what a plan says is done, and how what runs is looked at."""
