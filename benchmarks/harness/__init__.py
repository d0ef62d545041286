"""Shared code of the families of rows."""
