"""The page: HTML of the controller for people, rendered on the server. Nothing of it is imported without `--ui`.

What a container, a manifest, an event or a commit says is text of others: templates escape all of it, and a policy in the
headers lets the browser run no code but the files of `static`.
"""
