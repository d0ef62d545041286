"""What must survive a restart: the objects that users applied, and the history of what was done for them."""
