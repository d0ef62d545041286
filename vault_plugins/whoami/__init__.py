"""The demo service: a web server that says which replica answered."""
