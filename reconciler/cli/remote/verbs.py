"""Which verbs work over the API, which are about files of this machine alone, and what to type in place of the others."""

from __future__ import annotations

from typing import Final

__all__ = ["INSTEAD", "LOCAL", "WORKS", "refusal"]

WORKS: Final = frozenset(
    {
        "annotate", "apply", "delete", "describe", "diff", "edit", "events", "exec", "get", "label", "logs", "resume",
        "rollout history", "rollout pause", "rollout restart", "rollout resume", "rollout status", "rollout undo", "rotate",
        "routes", "scale", "set", "start", "stop", "suspend", "wait",
    }
)  # fmt: skip
LOCAL: Final = frozenset(
    {"completion", "explain", "init", "plugin", "render", "secret", "validate", "version"}
)
"""They take no notice of --server: they read and write files that are named, and no objects."""
INSTEAD: Final = {
    "dev": "vaultctl apply -f DIRECTORY after each change",
}
"""What says or does nearly the same."""


def refusal(verb: str) -> str:
    """The sentence about a verb that does not work over the API; empty if it does, or has no need of it."""
    if verb in WORKS or verb.partition(" ")[0] in LOCAL:
        return ""
    instead = INSTEAD.get(verb)
    others = f"; or type: {instead}" if instead else ""
    return f"vaultctl {verb} does not work over the API: run it on the machine of the controller{others}"
