"""The options of `vaultctl run` about the clients of the Kubernetes API and users of the page, collected into one value.

Those of OIDC and of client certificates have the names that they have for the kube-apiserver.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import click

__all__ = ["ApiFlags", "api_options"]

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")

_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass(frozen=True)
class ApiFlags:
    """The values of the options."""

    client_ca_file: Path | None = None
    oidc_issuer_url: str | None = None
    oidc_client_id: str | None = None
    oidc_username_claim: str = "sub"
    oidc_username_prefix: str = ""
    oidc_groups_claim: str = ""
    oidc_groups_prefix: str = ""
    oidc_required_claims: tuple[str, ...] = ()
    oidc_signing_algs: tuple[str, ...] = ("RS256",)
    oidc_ca_file: Path | None = None
    grants: tuple[str, ...] = ()
    ui_url: str | None = None
    oidc_client_secret_file: Path | None = None
    oidc_extra_scopes: tuple[str, ...] = ()

    def check(self, api: str | None, ui: str | None = None) -> None:
        """Raises click.UsageError for options that make sense only together."""
        login = [name for name in OF_LOGIN if getattr(self, name)]
        if login and not ui:
            raise click.UsageError(f"{_option(login[0])} needs --ui")
        if login and not (self.ui_url and self.oidc_issuer_url):
            missing = "--ui-url" if not self.ui_url else "--oidc-issuer-url and --oidc-client-id"
            raise click.UsageError(f"{_option(login[0])} needs {missing}")
        if bool(self.oidc_issuer_url) != bool(self.oidc_client_id):
            raise click.UsageError("--oidc-issuer-url and --oidc-client-id belong together: give both")
        given = [each.name for each in fields(self) if getattr(self, each.name) != each.default]
        others = [name for name in given if name.startswith("oidc_")]
        if others and not self.oidc_issuer_url:
            raise click.UsageError(f"{_option(others[0])} needs --oidc-issuer-url and --oidc-client-id")
        if given and not (api or self.ui_url):
            raise click.UsageError(f"{_option(given[0])} needs --api, or --ui and --ui-url")
        if self.grants and not (self.oidc_issuer_url or self.client_ca_file):
            raise click.UsageError(
                "--grant is about users of --oidc-issuer-url and --client-ca-file; the role of a token is that of "
                "`vaultctl token create --role`"
            )
        if not_a_claim := [each for each in self.oidc_required_claims if "=" not in each.strip("=")]:
            raise click.UsageError(f"--oidc-required-claim: {not_a_claim[0]!r} is not CLAIM=VALUE")


OF_LOGIN: Final = ("ui_url", "oidc_client_secret_file", "oidc_extra_scopes")
"""What only the login of the page needs."""
_NAMES: Final = {
    "grants": "grant",
    "oidc_required_claims": "oidc-required-claim",
    "oidc_extra_scopes": "oidc-extra-scope",
}


def _option(field: str) -> str:
    return "--" + _NAMES.get(field, field.replace("_", "-"))


_OPTIONS: Final = (
    click.option(
        "--client-ca-file",
        type=_FILE,
        envvar="VAULT_CLIENT_CA_FILE",
        show_envvar=True,
        help="Accept client certificates of these authorities (PEM): the common name is the user, the organisations are "
        "the groups.",
    ),
    click.option(
        "--oidc-issuer-url",
        envvar="VAULT_OIDC_ISSUER_URL",
        show_envvar=True,
        help="Accept ID tokens of this OpenID Connect issuer (https://), exactly as its tokens name it.",
    ),
    click.option(
        "--oidc-client-id",
        envvar="VAULT_OIDC_CLIENT_ID",
        show_envvar=True,
        help="The audience that these tokens have to be for.",
    ),
    click.option(
        "--oidc-username-claim",
        default="sub",
        show_default=True,
        help="The claim that is the user's name; of `email` only verified ones.",
    ),
    click.option(
        "--oidc-username-prefix",
        default="",
        help="What to put before it. Default: the issuer and '#', nothing for the claim `email`; '-': nothing.",
    ),
    click.option(
        "--oidc-groups-claim", default="", help="The claim with the user's groups. Default: no groups."
    ),
    click.option("--oidc-groups-prefix", default="", help="What to put before each group."),
    click.option(
        "--oidc-required-claim",
        "oidc_required_claims",
        metavar="CLAIM=VALUE",
        multiple=True,
        help="A claim that each token has to have with this value; may be given more than once.",
    ),
    click.option(
        "--oidc-signing-algs",
        type=click.Choice(ALGORITHMS),
        multiple=True,
        default=("RS256",),
        show_default=True,
        help="Signatures to accept; may be given more than once.",
    ),
    click.option(
        "--oidc-ca-file",
        type=_FILE,
        help="The authorities (PEM) that the issuer's own certificate is verified with. Default: those of the machine.",
    ),
    click.option(
        "--ui-url",
        envvar="VAULT_UI_URL",
        show_envvar=True,
        help="Where browsers reach the page (https://): with it, users of the OIDC issuer may log in. Register it there "
        "with /login/issuer/back behind it as a redirect URI.",
    ),
    click.option(
        "--oidc-client-secret-file",
        type=_FILE,
        help="The secret of the client at the issuer, for the login of the page. Default: none, PKCE alone.",
    ),
    click.option(
        "--oidc-extra-scope",
        "oidc_extra_scopes",
        metavar="SCOPE",
        multiple=True,
        help="What the login of the page asks for besides openid, profile and email, such as groups; may be given more "
        "than once.",
    ),
    click.option(
        "--grant",
        "grants",
        metavar="ROLE=SUBJECT",
        multiple=True,
        envvar="VAULT_GRANT",
        show_envvar=True,
        help="The role (view, edit or admin) of a user:NAME or a group:NAME of OIDC tokens and client certificates; others "
        "may do nothing. May be given more than once.",
    ),
)


def api_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; the verb gets `clients`, its ApiFlags."""

    @functools.wraps(verb)
    def collected(*args: Any, api: str | None, **kwargs: Any) -> Any:
        flags = ApiFlags(**{each.name: kwargs.pop(each.name) for each in fields(ApiFlags)})
        flags.check(api, kwargs.get("ui"))
        return verb(*args, api=api, clients=flags, **kwargs)

    decorated: Callable[..., Any] = collected
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
