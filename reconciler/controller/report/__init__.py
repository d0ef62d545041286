"""The reports of a pass: status, events, history and metrics."""
