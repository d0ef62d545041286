"""Every metric of the project: its catalogue, its recorder and its exposition."""
