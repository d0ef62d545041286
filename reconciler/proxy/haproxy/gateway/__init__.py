"""HAProxy as a VaultGateway: one HAProxy for the routes of many services, which is reloaded for none of them.

What can change while it runs is in maps and in the servers of pools; spare pools are there from the start.
"""
