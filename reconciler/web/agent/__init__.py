"""`vaultctl agent` over HTTP: what an agent serves to the controller, and where the controller enrols agents."""
