"""What `vaultctl doctor` looks at: the engine, this machine, and the services; one file for each.

A check is a function over facts that are handed in, and yields findings; it repairs nothing.
"""
