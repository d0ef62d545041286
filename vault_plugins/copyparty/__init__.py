"""copyparty: a file server."""
