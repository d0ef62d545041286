"""The way to a certificate by ACME (RFC 8555): an account, an order, answers to challenges, the certificate.

`client` speaks the protocol, by certbot's library; `steps` takes an order from one step to the next without waiting;
`dns` runs the user's program for DNS records.
"""
