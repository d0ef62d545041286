"""File Browser: a directory of files in the web browser."""
