"""Who a client of the Kubernetes API is: bearer tokens of ours, client certificates, and tokens of an OIDC issuer."""
