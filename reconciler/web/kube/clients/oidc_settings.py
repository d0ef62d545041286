"""The settings of OIDC tokens, with the names and the meaning that they have for the kube-apiserver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

__all__ = ["ALGORITHMS", "DEFAULT_ALGORITHM", "OidcSettings", "check_url"]

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512",
)  # fmt: skip
"""Signatures that need a private key. One with a shared secret, or none, is never accepted."""
DEFAULT_ALGORITHM: Final = "RS256"
NO_PREFIX: Final = "-"
EMAIL: Final = "email"


@dataclass(frozen=True)
class OidcSettings:
    """Whose tokens are accepted, and what in them is the user and the groups."""

    issuer: str
    client_id: str
    username_claim: str = "sub"
    username_prefix: str = ""
    groups_claim: str = ""
    groups_prefix: str = ""
    required_claims: Mapping[str, str] = field(default_factory=dict)
    algorithms: tuple[str, ...] = (DEFAULT_ALGORITHM,)

    def __post_init__(self) -> None:
        """Raises ValueError for settings that make no sense."""
        check_url(self.issuer)
        unknown = set(self.algorithms) - set(ALGORITHMS)
        if unknown or not self.algorithms:
            raise ValueError(
                f"{', '.join(sorted(unknown)) or 'no algorithm'}: accepted are {', '.join(ALGORITHMS)}"
            )

    @property
    def prefix_of_names(self) -> str:
        """What stands before the name of each user: with none, a user of the issuer could have the name of another."""
        if self.username_prefix:
            return "" if self.username_prefix == NO_PREFIX else self.username_prefix
        return "" if self.username_claim == EMAIL else f"{self.issuer}#"


def check_url(url: str) -> None:
    """Raises ValueError unless it is an HTTPS URL without a login, a query and a fragment."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"{url!r} is not an https:// URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL contains a login, which must not be there")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r} has a query or a fragment, which must not be there")
