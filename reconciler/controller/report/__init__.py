"""What a pass leaves behind to be read: status, events, history and metrics."""
