"""Container engines: they execute operations and observe containers."""
