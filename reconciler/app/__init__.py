"""Use cases and views, as functions that return values.

The command line parses, calls one of these and prints; the HTTP server does the same over HTTP. So this package depends
on neither, and functions take their dependencies as parameters.
"""
