"""An engine in memory: what the planner is simulated with, thousands of histories at a time."""
