"""Grafana dashboards: written as data in pages.py, committed as the JSON that Grafana loads."""
