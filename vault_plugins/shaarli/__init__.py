"""Shaarli: bookmarks."""
