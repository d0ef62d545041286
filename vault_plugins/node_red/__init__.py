"""Node-RED: flows of events."""
