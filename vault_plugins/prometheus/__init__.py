"""Prometheus: metrics and alerts."""
