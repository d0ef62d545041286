"""The checks of `vaultctl doctor`: the engine, this machine, and the services; one file for each.

A check is a function of given facts that yields findings; it repairs nothing.
"""
