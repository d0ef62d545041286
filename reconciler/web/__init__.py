"""HTTP: metrics and health for machines, and whatever routes are added beside them."""
