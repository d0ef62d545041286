"""From a running Compose project to a VaultService and back: what is taken over, in which order, and the journal of it.

Nothing here looks or acts: what was found comes in as values, and each step is a value that names what is done next.
"""
