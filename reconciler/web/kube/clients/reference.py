"""The part of docs/kubernetes-api.md about client certificates, OpenID Connect and grants."""

from __future__ import annotations

from typing import Final

from reconciler.web.kube.clients.issuer_keys import FRESH_SECONDS, KEPT_SECONDS, PAUSE_SECONDS
from reconciler.web.kube.clients.oidc import MAX_BYTES, SKEW

__all__ = ["section"]

_TEXT: Final = """\
### Client certificates

`vaultctl kubeconfig --client-certificate --user anna --role edit --expires 30d` prints a kubeconfig with a
certificate (90 days by default) that the authority of the state directory has signed. It is in `vaultctl token list`,
and `vaultctl token revoke` ends it at once, also its watches. `--client-ca-file` accepts certificates of your own
authorities:

```sh
vaultctl run --api 0.0.0.0:6443 --client-ca-file clients-ca.crt --grant edit=group:deployers --grant admin=user:anna
kubectl config set-credentials anna --client-certificate=anna.crt --client-key=anna.key --embed-certs
```

The common name is the user, the organisations are the groups. An expired certificate and one of another authority are
refused by TLS, with an alert that says so. Revocation lists are not read: let such certificates be valid for days, or
use those of the state directory. A certificate counts more than a token in the same request, as in Kubernetes. A
changed file of authorities counts after a restart of the controller.

### OpenID Connect

ID tokens of an issuer with a discovery document, as Keycloak and Dex have one. The options are those of the
kube-apiserver:

```sh
vaultctl run --api 0.0.0.0:6443 --oidc-issuer-url https://id.example.org/realms/ops --oidc-client-id vault \\
    --oidc-username-claim email --oidc-groups-claim groups --oidc-groups-prefix id: --grant edit=group:id:deployers
```

| option | |
|---|---|
| `--oidc-issuer-url` | the issuer, https only, as `iss` of its tokens; its discovery document names its keys |
| `--oidc-client-id` | what `aud` of a token has to contain |
| `--oidc-username-claim` | the user, `sub` by default. An `email` that `email_verified` denies is refused |
| `--oidc-username-prefix` | what stands before it; by default the issuer and `#`, nothing for `email`. `-` is no prefix |
| `--oidc-groups-claim`, `--oidc-groups-prefix` | the groups, a list or one text; no groups by default |
| `--oidc-required-claim CLAIM=VALUE` | what each token has to have; more than once |
| `--oidc-signing-algs` | RS256 by default; RS, PS and ES with 256, 384 and 512. There is no `none` and no shared secret |
| `--oidc-ca-file` | the authorities of the issuer's own certificate |

kubectl gets its tokens from a program such as kubelogin, or with `--token`:

```yaml
users:
- name: anna
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: kubectl
      args: [oidc-login, get-token, "--oidc-issuer-url=https://id.example.org/realms/ops", --oidc-client-id=vault]
      interactiveMode: IfAvailable
```

- Signature, issuer, audience, `exp`, `nbf` and `iat` are checked; clocks may be {skew} s apart. A token has at most
  {token} KiB.
- Keys are fetched at the start, again after {fresh} minutes, and for a key that is not known, but not more often than
  every {pause} s. Only the addresses of the option and of the issuer's document are asked, over https, without
  redirections; never one that a token names.
- While the issuer does not answer, its keys are used for {kept} minutes at most; then its tokens are `401`. Tokens of
  the state directory and certificates are not affected. The controller's log says why a token was refused; the client
  is not told.
- A watch ends with the token that began it.

### Grants

The role of a token or a certificate of the state directory is its own. Users and groups of other authorities have
none until `--grant ROLE=user:NAME` or `--grant ROLE=group:NAME` gives one; of several the greatest counts. Without a
role a client may only ask who it is. Names of users that begin with `system:` or `vault:` are refused from other
authorities, and such groups are left out.
"""


def section() -> str:
    """Its text."""
    return _TEXT.format(
        skew=f"{SKEW.total_seconds():.0f}",
        token=MAX_BYTES // 1024,
        fresh=f"{FRESH_SECONDS / 60:.0f}",
        pause=f"{PAUSE_SECONDS:.0f}",
        kept=f"{KEPT_SECONDS / 60:.0f}",
    )
