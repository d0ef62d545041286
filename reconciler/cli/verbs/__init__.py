"""One file for each verb; the command line runs its `command`."""
