"""Who may do what: three roles, and the answers to a client that asks about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from reconciler.web.kube.errors import bad_request, forbidden
from reconciler.web.kube.served import FINDINGS, READ, RESOURCES, REVIEWS, TOKENS, USERS, WRITE, Served

if TYPE_CHECKING:
    from reconciler.store.tokens import Role
    from reconciler.web.kube.clients.client import Client

__all__ = [
    "ADMINISTRATION",
    "PARTS",
    "VERBS",
    "authorize",
    "may",
    "refuse_impersonation",
    "review",
    "user_info",
]

VERBS: Final[Mapping[Role, frozenset[str]]] = {
    "view": frozenset(READ),
    "edit": frozenset({*READ, *WRITE, "deletecollection"}),
    "admin": frozenset({*READ, *WRITE, "deletecollection"}),
}
"""What each role may do with each resource."""
PARTS: Final[Mapping[tuple[str, str], frozenset[Role]]] = {
    # A command in a container sees what the container has, its secrets too.
    ("pods", "exec"): frozenset({"admin"}),
    ("pods", "portforward"): frozenset({"edit", "admin"}),
    ("pods", "log"): frozenset({"view", "edit", "admin"}),
}
"""Parts of resources for which the role alone decides, whatever the verb."""
ADMINISTRATION: Final = frozenset(each.plural for each in (FINDINGS, TOKENS, USERS))
"""Resources that only the role admin may read or write: who is let in, and what names files of the host."""

_ASKED: Final = ("group", "name", "namespace", "path", "resource", "subresource", "verb", "version")


def may(role: Role | None, verb: str, plural: str = "", part: str = "") -> bool:
    """Whether a role includes a verb, of a part of a resource if one is named; no role includes nothing."""
    # Of all resources, "*", only those may do something who may of these.
    if role is None or (role != "admin" and plural in {*ADMINISTRATION, "*"}):
        return False
    roles = PARTS.get((plural, part))
    return verb in VERBS[role] if roles is None else role in roles and verb in ("get", "create")


def _why(client: Client) -> str:
    if client.role is None:
        return "no role was granted to the user or its groups"
    return f"the role of the {'token' if client.way == 'token' else 'user'} is {client.role}"


def authorize(
    client: Client,
    verb: str,
    served: Served,
    namespace: str | None,
    name: str | None,
    part: str | None = None,
) -> None:
    """Raise ApiError (403) if the user may not do that; `part` is a subresource."""
    if served in REVIEWS or may(client.role, verb, served.plural, part or ""):
        return
    plural = f"{served.plural}/{part}" if part else served.plural
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    why = (
        f'User "{client.user}" cannot {verb} resource "{plural}" in API group "{served.group}" {scope}: '
        f"{_why(client)}"
    )
    raise forbidden(served.group, served.plural, name or "", why)


def refuse_impersonation(client: Client, headers: Mapping[str, str]) -> None:
    """Raise ApiError (403) for `kubectl --as`: with the role of the client its answers would mislead."""
    if named := [each for each in headers if each.lower().startswith("impersonate-")]:
        why = f'User "{client.user}" cannot impersonate others: {named[0]} is not served, use a token of that user'
        raise forbidden("", "users", "", why)


def user_info(client: Client) -> dict[str, Any]:
    """What `kubectl auth whoami` shows."""
    return {
        "username": client.user,
        "groups": list(client.groups),
        "extra": {f"vault.internal/{client.way}": [client.credential]},
    }


def review(served: Served, client: Client, body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a question of a client about itself. Raises ApiError for one that is not well-formed."""
    head = {"kind": served.kind, "apiVersion": served.api_version, "metadata": {}}
    if served.kind == "SelfSubjectReview":
        return {**head, "status": {"userInfo": user_info(client)}}
    spec = body.get("spec")
    if not isinstance(spec, Mapping):
        raise bad_request("spec: Required value")
    if served.kind == "SelfSubjectRulesReview":
        verbs = sorted(VERBS[client.role]) if client.role else []
        readable = {each.plural for each in RESOURCES if each not in REVIEWS}
        plurals = sorted(readable if client.role == "admin" else readable - ADMINISTRATION)
        rules = [{"verbs": verbs, "apiGroups": ["*"], "resources": plurals}] if verbs else []
        for (plural, part), roles in PARTS.items():
            if client.role in roles:
                rules.append(
                    {"verbs": ["create", "get"], "apiGroups": [""], "resources": [f"{plural}/{part}"]}
                )
        paths = [
            {
                "verbs": ["get"],
                "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/openapi/*", "/version"],
            }
        ]
        return {
            **head,
            "spec": {},
            "status": {"resourceRules": rules, "nonResourceRules": paths, "incomplete": False},
        }
    asked, path = (_attributes(spec, each) for each in ("resourceAttributes", "nonResourceAttributes"))
    if (asked is None) == (path is None):
        raise bad_request(
            "spec: exactly one of nonResourceAttributes or resourceAttributes must be specified"
        )
    if asked is not None:
        allowed, shown = _may_resource(client.role, asked), {"resourceAttributes": asked}
    else:
        allowed, shown = (path or {}).get("verb") == "get", {"nonResourceAttributes": path or {}}
    return {**head, "spec": shown, "status": {"allowed": allowed, "reason": _why(client)}}


def _attributes(spec: Mapping[str, Any], key: str) -> dict[str, str] | None:
    """What a question is about, None if not of that form. Raises ApiError when it is not made of texts."""
    sent = spec.get(key)
    if sent is None:
        return None
    found = (
        {name: value for name, value in sent.items() if name in _ASKED} if isinstance(sent, dict) else None
    )
    if found is None or not all(isinstance(each, str) for each in found.values()):
        raise bad_request(f"spec.{key}: must be an object whose values are texts")
    return found


def _may_resource(role: Role | None, asked: Mapping[str, Any]) -> bool:
    verb, plural, part = (str(asked.get(each) or "") for each in ("verb", "resource", "subresource"))
    return role == "admin" if verb == "*" else may(role, verb, plural, part)
