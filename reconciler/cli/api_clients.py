"""Makes what lets clients of the Kubernetes API in from the options of `vaultctl run`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.api import PermanentError
from reconciler.web.kube.clients.clients import Clients
from reconciler.web.kube.clients.grants import Grants, parse_grant

if TYPE_CHECKING:
    from reconciler.cli.api_options import ApiFlags
    from reconciler.store.tokens import Tokens
    from reconciler.web.kube.clients.oidc import Oidc

__all__ = ["clients_of"]


def clients_of(
    flags: ApiFlags, tokens: Tokens, now: Callable[[], datetime], fetched: Callable[[bool], None]
) -> Clients:
    """The ways in; `fetched` is told of each fetch of an issuer's keys whether it has succeeded.

    Raises PermanentError for an option that cannot be used.
    """
    try:
        grants = Grants(tuple(map(parse_grant, flags.grants)))
    except ValueError as error:
        raise PermanentError(f"--grant: {error}") from None
    if flags.client_ca_file is not None:
        from reconciler.web.kube.clients.certificates import check_authorities

        try:
            check_authorities(flags.client_ca_file.read_bytes())
        except ValueError as error:
            raise PermanentError(f"--client-ca-file: {flags.client_ca_file}: {error}") from None
        except OSError as error:
            reason = error.strerror
            raise PermanentError(f"--client-ca-file: cannot read {flags.client_ca_file}: {reason}") from None
    return Clients(tokens, now, grants, _oidc(flags, grants, fetched))


def _oidc(flags: ApiFlags, grants: Grants, fetched: Callable[[bool], None]) -> Oidc | None:
    if not flags.oidc_issuer_url or not flags.oidc_client_id:
        return None
    from reconciler.web.kube.clients.issuer_keys import IssuerKeys, fetching
    from reconciler.web.kube.clients.oidc import Oidc
    from reconciler.web.kube.clients.oidc_settings import OidcSettings

    try:
        settings = OidcSettings(
            flags.oidc_issuer_url,
            flags.oidc_client_id,
            username_claim=flags.oidc_username_claim,
            username_prefix=flags.oidc_username_prefix,
            groups_claim=flags.oidc_groups_claim,
            groups_prefix=flags.oidc_groups_prefix,
            required_claims=dict(each.split("=", 1) for each in flags.oidc_required_claims),
            algorithms=flags.oidc_signing_algs,
        )
    except ValueError as error:
        raise PermanentError(f"--oidc-issuer-url: {error}") from None
    keys = IssuerKeys(settings.issuer, fetching(flags.oidc_ca_file), tell=fetched)
    # Now, so that the first client does not wait; a controller starts without its issuer, too.
    keys.refresh()
    return Oidc(settings, keys, grants)
