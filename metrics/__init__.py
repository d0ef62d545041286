"""The metrics of the project: catalogue, recorder and exposition."""
