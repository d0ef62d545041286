"""Docker Swarm: instances on several machines; see engine.py."""
