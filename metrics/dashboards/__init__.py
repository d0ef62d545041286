"""Grafana dashboards: defined as data in pages.py, committed as the JSON that Grafana loads."""
