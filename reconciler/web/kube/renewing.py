"""A new certificate for a host of a gateway, asked for by a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from reconciler.api.errors import TemporaryError, VaultError
from reconciler.api.kinds import NAMESPACE
from reconciler.app.certificates import require_renewable
from reconciler.app.cluster.views import certificates, name_of_certificate
from reconciler.web.kube.errors import Cause, invalid, not_found
from reconciler.web.kube.sent import Sent, sent
from reconciler.web.kube.served import CERTIFICATES, RENEWAL
from reconciler.web.kube.writes import Act, Answer, Asked

if TYPE_CHECKING:
    from reconciler.app.certificates import Certificate

__all__ = ["renewing"]


def renewing(
    found: Callable[[], Sequence[Certificate]], renew: Callable[[Sequence[Certificate]], None]
) -> Mapping[tuple[str, str], Act]:
    """What is done for a renewal; `found` are the certificates there are."""

    def act(asked: Asked) -> Answer:
        sent(asked, Sent)
        if asked.place.namespace != NAMESPACE:
            raise not_found("", "namespaces", asked.place.namespace or "")
        named = {name_of_certificate(each): each for each in found()}
        if (chosen := named.get(asked.name)) is None:
            raise not_found(CERTIFICATES.group, CERTIFICATES.plural, asked.name)
        try:
            require_renewable(chosen) if asked.dry_run else renew([chosen])
        except TemporaryError:
            raise
        except VaultError as error:
            causes = [Cause("spec.wanted", str(error))]
            raise invalid(CERTIFICATES.group, CERTIFICATES.kind, asked.name, causes) from None
        head = {"apiVersion": CERTIFICATES.api_version, "kind": CERTIFICATES.kind}
        return Answer(201, {**head, **certificates([chosen])[asked.name]})

    return {(CERTIFICATES.kind, RENEWAL): act}
