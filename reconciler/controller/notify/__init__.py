"""Reports how a rollout ended to other systems: webhooks and commit statuses."""
