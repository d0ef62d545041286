"""Schedules passes: the queue, its workers, the triggers, and the leases."""
