"""Questions about documents, in the notations of kubectl: paths, templates, label selectors and field selectors.

Everything here works on plain dicts, lists and scalars, and imports no model, so that the command line, the columns of a
kind and the HTTP server can ask in the same way.
"""
