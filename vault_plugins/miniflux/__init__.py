"""Miniflux: a feed reader on PostgreSQL."""
