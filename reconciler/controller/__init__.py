"""The control loop: keys trigger passes; a pass observes everything, does the next safe operations, and keeps no state."""
