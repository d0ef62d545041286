"""Which verbs work over the API, which are about files of this machine alone, and what to type in place of the others."""

from __future__ import annotations

from typing import Final

__all__ = ["INSTEAD", "LOCAL", "WORKS", "refusal"]

WORKS: Final = frozenset(
    {
        "annotate", "apply", "certificate list", "certificate renew", "delete", "describe", "dev", "diff", "doctor", "edit",
        "events", "exec", "get", "images", "kubeconfig", "label", "logs", "prometheus targets", "resume", "rollout history",
        "rollout pause", "rollout restart", "rollout resume", "rollout status", "rollout undo", "rotate", "routes", "scale",
        "set", "start", "stop", "suspend", "token create", "token list", "token revoke", "user delete", "user list",
        "user set-password", "wait",
    }
)  # fmt: skip
LOCAL: Final = frozenset(
    {
        "completion", "explain", "init", "plugin", "prometheus config", "render", "secret", "validate", "version",
    }
)  # fmt: skip
"""They take no notice of --server: they read and write files that are named, and no objects."""
INSTEAD: Final = {
    "adopt": "ssh HOST vaultctl adopt PROJECT",
    "cordon": "ssh MANAGER vaultctl cordon NODE",
    "drain": "ssh MANAGER vaultctl drain NODE",
    "release": "ssh HOST vaultctl release NAME",
    "uncordon": "ssh MANAGER vaultctl uncordon NODE",
}
"""What says or does nearly the same. `adopt` and `release` run Compose projects from files of the controller's machine, and
are continued there by the same command when they were interrupted.
"""


def refusal(verb: str) -> str:
    """The sentence about a verb that does not work over the API; empty if it does, or has no need of it."""
    if verb in WORKS or {verb, verb.partition(" ")[0]} & LOCAL:
        return ""
    instead = INSTEAD.get(verb)
    others = f"; or type: {instead}" if instead else ""
    return f"vaultctl {verb} does not work over the API: run it on the machine of the controller{others}"
