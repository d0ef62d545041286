"""Use cases and views: what a user of this project can do and see, as functions that return values.

The command line parses, calls one of these and prints; the HTTP server does the same over HTTP. So nothing in here
knows a terminal or a request, and whatever a function works with is a parameter.
"""
