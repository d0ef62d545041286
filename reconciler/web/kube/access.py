"""Who may do what: bearer tokens, three roles, and the answers to a client that asks about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from reconciler.web.kube.errors import ApiError, forbidden, unauthorized
from reconciler.web.kube.served import READ, RESOURCES, REVIEWS, WRITE, Served

if TYPE_CHECKING:
    from reconciler.store.tokens import Role, Token, Tokens

__all__ = ["GROUP_PREFIX", "PARTS", "VERBS", "authenticate", "authorize", "may", "review", "user_info"]

GROUP_PREFIX: Final = "vault:"
AUTHENTICATED: Final = "system:authenticated"
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


def authenticate(tokens: Tokens, headers: list[str]) -> Token:
    """The token of a request, given the values of its Authorization headers. Raises ApiError (401)."""
    scheme, _, text = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    found = tokens.find(text.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise unauthorized()
    return found


def may(role: Role, verb: str, plural: str = "", part: str = "") -> bool:
    """Whether a role includes a verb, of a part of a resource if one is named."""
    roles = PARTS.get((plural, part))
    return verb in VERBS[role] if roles is None else role in roles and verb in ("get", "create")


def authorize(
    token: Token, verb: str, served: Served, namespace: str | None, name: str | None, part: str | None = None
) -> None:
    """Raise ApiError (403) if the user may not do that; `part` is a subresource."""
    if served in REVIEWS or may(token.role, verb, served.plural, part or ""):
        return
    plural = f"{served.plural}/{part}" if part else served.plural
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    why = (
        f'User "{token.user}" cannot {verb} resource "{plural}" in API group "{served.group}" {scope}: '
        f"the role of the token is {token.role}"
    )
    raise forbidden(served.group, served.plural, name or "", why)


def user_info(token: Token) -> dict[str, Any]:
    """What `kubectl auth whoami` shows."""
    return {
        "username": token.user,
        "groups": [f"{GROUP_PREFIX}{token.role}", AUTHENTICATED],
        "extra": {"vault.internal/token": [token.id]},
    }


def review(served: Served, token: Token, body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a question of a client about itself. Raises ApiError for one that is not well-formed."""
    head = {"kind": served.kind, "apiVersion": served.api_version, "metadata": {"creationTimestamp": None}}
    if served.kind == "SelfSubjectReview":
        return {**head, "status": {"userInfo": user_info(token)}}
    spec = body.get("spec")
    if not isinstance(spec, Mapping):
        raise ApiError(400, "BadRequest", "spec: Required value")
    if served.kind == "SelfSubjectRulesReview":
        verbs = sorted(VERBS[token.role])
        plurals = sorted({each.plural for each in RESOURCES if each not in REVIEWS})
        rules = [{"verbs": verbs, "apiGroups": ["*"], "resources": plurals}]
        for (plural, part), roles in PARTS.items():
            if token.role in roles:
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
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if not isinstance(asked or path, Mapping):
        raise ApiError(
            400,
            "BadRequest",
            "spec: exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )
    allowed = _may_resource(token.role, asked) if asked else (path or {}).get("verb") == "get"
    why = f"the role of the token is {token.role}"
    return {**head, "spec": dict(spec), "status": {"allowed": allowed, "reason": why}}


def _may_resource(role: Role, asked: Mapping[str, Any]) -> bool:
    verb, plural, part = (str(asked.get(each) or "") for each in ("verb", "resource", "subresource"))
    return may(role, verb, plural, part)
