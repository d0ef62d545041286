"""The certificates of VaultGateways: which are wanted, which there are, and how new ones come about.

`wanted`, `choosing` and `renewal` decide and do nothing else. `store` keeps certificates and unfinished orders in the
gateway's state directory, `acme` talks to a certificate authority, and `keeper` puts them together. No private key leaves
the store but to HAProxy.
"""
