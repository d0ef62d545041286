"""What lasts: logs, commands in containers and forwarded ports."""
