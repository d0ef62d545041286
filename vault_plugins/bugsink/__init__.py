"""Bugsink: errors of programs, collected."""
