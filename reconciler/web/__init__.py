"""HTTP: metrics, health checks, and the routes that other packages add."""
