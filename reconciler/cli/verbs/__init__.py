"""One file for each verb; `command` is what the command line runs."""
