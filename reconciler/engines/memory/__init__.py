"""An engine in memory, for simulations of the planner with thousands of histories."""
