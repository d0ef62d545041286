"""Telling others how a rollout ended: webhooks and the status of a commit."""
