"""Paperless-ngx: a searchable archive of scanned documents, with PostgreSQL and Redis."""
