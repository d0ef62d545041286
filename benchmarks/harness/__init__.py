"""What the families of rows share."""
