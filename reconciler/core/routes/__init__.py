"""Which service gets which request of a gateway: a pure function of all VaultServices and VaultGateways.

The gateway's pass configures its proxies by the table, the pass of a service tells in conditions what became of its routes.
Both compute it from the same objects, so they cannot disagree.
"""
