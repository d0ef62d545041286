"""Where a forge shows a commit."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["commit_address"]


def commit_address(place: str, commit: str) -> str:
    """The address of a commit of a Git source (URL#BRANCH:PATH) over HTTP, as GitHub, GitLab, Gitea and Forgejo have it; ""
    if none can be told.
    """
    try:
        url = urlsplit(place)
        host = url.hostname or ""
        port = f":{url.port}" if url.port else ""
    except ValueError:
        return ""
    if url.scheme not in ("http", "https") or not host or not commit.isalnum():
        return ""
    # Without the user and the password that an address of a source may have.
    where = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{where}{port}{url.path.rstrip('/').removesuffix('.git')}/commit/{commit}"
