"""ntfy: push notifications by HTTP."""
