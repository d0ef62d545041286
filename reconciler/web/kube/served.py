"""Which resources are served: those of the registry of kinds, and what of Kubernetes' own makes its clients work.

Discovery, authorization, tables and docs/kubernetes-api.md are made from this list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from reconciler.api.kinds import API_GROUP, KINDS, SERVED_VERSION, Column, Kind

__all__ = [
    "CERTIFICATES",
    "CRDS",
    "EVENTS",
    "EXPORTERS",
    "FINDINGS",
    "IMAGES",
    "NAMESPACES",
    "NODES",
    "NODE_METRICS",
    "PASSWORD",
    "PODS",
    "POD_METRICS",
    "RENEWAL",
    "RESOURCES",
    "REVIEWS",
    "REVISIONS",
    "ROLLBACK",
    "ROUTES",
    "TOKENS",
    "USERS",
    "WATCHED",
    "Served",
    "of_kind",
    "served_at",
]

READ: Final = ("get", "list", "watch")
WRITE: Final = ("create", "delete", "patch", "update")


FIELDS: Final = ("metadata.name", "metadata.namespace")
ROLLBACK: Final = "rollback"
"""The part of an object that is created to go back to a former revision, as Deployments once had one."""
RENEWAL: Final = "renewal"
"""The part of a certificate that is created to get a new one."""
PASSWORD: Final = "password"
"""The part of a user that is created to set a password; it is in no answer."""


@dataclass(frozen=True, slots=True)
class Served:
    """One resource: its names, its verbs and its columns besides NAME. `subresources` are pairs of a name and its verbs;
    `of` is the kind of the registry, None for one of Kubernetes' own. `fields` are those of field selectors; `named`
    says whether tables begin with NAME.
    """

    group: str
    version: str
    kind: str
    plural: str
    verbs: tuple[str, ...]
    namespaced: bool = True
    columns: tuple[Column, ...] = ()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[tuple[str, tuple[str, ...]], ...] = ()
    of: Kind | None = None
    fields: tuple[str, ...] = FIELDS
    named: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its documents."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """Its kind in lower case."""
        return self.kind.lower()

    @property
    def qualified(self) -> str:
        """The name that errors use."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def of_kind(kind: Kind) -> Served:
    """A kind of the registry."""
    return Served(
        API_GROUP,
        SERVED_VERSION,
        kind.name,
        kind.plural,
        (*WRITE, *READ),
        of=kind,
        subresources=(
            ("status", ("get", "patch", "update")),
            (ROLLBACK, ("create",)),
            *([("scale", ("get", "patch", "update"))] if kind.scale else []),
        ),
        columns=kind.columns,
        short_names=kind.short_names,
        categories=("all",),
    )


_AGE: Final = Column("Age", "date", ".metadata.creationTimestamp")
NAMESPACES: Final = Served(
    "",
    "v1",
    "Namespace",
    "namespaces",
    READ,
    namespaced=False,
    columns=(Column("Status", "string", ".status.phase"), _AGE),
    short_names=("ns",),
)
CRDS: Final = Served(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    READ,
    namespaced=False,
    columns=(Column("Created At", "string", ".metadata.creationTimestamp"),),
    short_names=("crd", "crds"),
    categories=("api-extensions",),
)
EVENTS: Final = Served(
    "",
    "v1",
    "Event",
    "events",
    ("create", *READ),
    columns=(
        Column("Last Seen", "date", ".lastTimestamp"),
        Column("Type", "string", ".type"),
        Column("Reason", "string", ".reason"),
        Column("Kind", "string", ".involvedObject.kind"),
        Column("Object", "string", ".involvedObject.name"),
        Column("Message", "string", ".message"),
    ),
    short_names=("ev",),
    fields=(
        *FIELDS,
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "reason",
        "type",
        "source",
        "reportingComponent",
    ),
    named=False,
)
_OBJECT: Final = ".metadata.ownerReferences[0].name"
PODS: Final = Served(
    "",
    "v1",
    "Pod",
    "pods",
    ("delete", *READ),
    columns=(
        Column("Ready", "string", "pod-ready"),
        Column("Status", "string", "pod-status"),
        Column("Restarts", "integer", ".status.containerStatuses[0].restartCount"),
        _AGE,
        Column("IP", "string", ".status.podIP", wide=True),
        Column("Node", "string", ".spec.nodeName", wide=True),
        Column("Object", "string", _OBJECT, wide=True),
        Column("Image", "string", ".spec.containers[0].image", wide=True),
    ),
    short_names=("po",),
    categories=("all",),
    subresources=(
        ("log", ("get",)),
        ("exec", ("create", "get")),
        ("portforward", ("create", "get")),
    ),
    fields=(*FIELDS, "status.phase", "spec.nodeName", "status.podIP"),
)
NODES: Final = Served(
    "",
    "v1",
    "Node",
    "nodes",
    READ,
    namespaced=False,
    columns=(
        Column("Status", "string", "node-status"),
        Column("Roles", "string", "node-roles"),
        _AGE,
        Column("Version", "string", ".status.nodeInfo.kubeletVersion"),
        Column("Internal-IP", "string", '.status.addresses[?(@.type=="InternalIP")].address', wide=True),
        Column("Zone", "string", r".metadata.labels.topology\.kubernetes\.io/zone", wide=True),
        Column("OS-Image", "string", ".status.nodeInfo.osImage", wide=True),
        Column("Kernel-Version", "string", ".status.nodeInfo.kernelVersion", wide=True),
        Column("Container-Runtime", "string", ".status.nodeInfo.containerRuntimeVersion", wide=True),
    ),
    short_names=("no",),
)
_METRICS: Final = "metrics.k8s.io"
POD_METRICS: Final = Served(_METRICS, "v1beta1", "PodMetrics", "pods", ("get", "list"), columns=(_AGE,))
NODE_METRICS: Final = Served(
    _METRICS, "v1beta1", "NodeMetrics", "nodes", ("get", "list"), namespaced=False, columns=(_AGE,)
)
REVISIONS: Final = Served(
    API_GROUP,
    SERVED_VERSION,
    "Revision",
    "revisions",
    ("get", "list"),
    columns=(
        Column("Number", "integer", ".rollout.number"),
        Column("Revision", "string", ".rollout.revision"),
        Column("Result", "string", ".rollout.result"),
        _AGE,
        Column("Commit", "string", ".rollout.commit", wide=True),
        Column("Reason", "string", ".rollout.reason", wide=True),
    ),
)
ROUTES: Final = Served(
    API_GROUP,
    SERVED_VERSION,
    "Route",
    "routes",
    ("get", "list"),
    columns=(
        Column("Host", "string", ".spec.host"),
        Column("Path", "string", ".spec.path"),
        Column("Port", "integer", ".spec.port"),
        Column("Service", "string", ".spec.service"),
        Column("State", "string", ".status.state"),
        Column("Gateway", "string", ".spec.gateway", wide=True),
        Column("Message", "string", ".status.message", wide=True),
    ),
)
CERTIFICATES: Final = Served(
    API_GROUP,
    SERVED_VERSION,
    "Certificate",
    "certificates",
    ("get", "list"),
    columns=(
        Column("Host", "string", ".spec.host"),
        Column("Gateway", "string", ".spec.gateway"),
        Column("Source", "string", ".spec.wanted"),
        Column("Ends", "string", ".status.notAfter"),
        Column("State", "string", ".status.state"),
        Column("Renewal", "string", ".status.renewAt", wide=True),
        Column("Issuer", "string", ".status.issuer", wide=True),
        Column("Route", "string", ".spec.route", wide=True),
        Column("Message", "string", ".status.message", wide=True),
    ),
    short_names=("cert", "certs"),
    subresources=((RENEWAL, ("create",)),),
)
IMAGES: Final = Served(
    API_GROUP,
    SERVED_VERSION,
    "Image",
    "images",
    ("get", "list"),
    columns=(
        Column("Service", "string", ".spec.service"),
        Column("Workload", "string", ".spec.workload"),
        Column("Image", "string", ".spec.image"),
        Column("Running", "integer", ".status.running"),
        Column("Newest", "string", ".status.newest"),
        Column("Choice", "string", ".status.choice"),
        Column("State", "string", ".status.state"),
        Column("Message", "string", ".status.message", wide=True),
    ),
)
EXPORTERS: Final = Served(
    API_GROUP,
    SERVED_VERSION,
    "Exporter",
    "exporters",
    ("get", "list"),
    columns=(
        Column("Object", "string", ".spec.object"),
        Column("Slot", "integer", ".spec.slot"),
        Column("Address", "string", ".spec.address"),
        Column("Node", "string", ".spec.node"),
    ),
)
FINDINGS: Final = Served(
    API_GROUP,
    SERVED_VERSION,
    "Finding",
    "findings",
    ("get", "list"),
    namespaced=False,
    columns=(
        Column("Level", "string", ".status.level"),
        Column("Check", "string", ".spec.check"),
        Column("Message", "string", ".status.message"),
        Column("Fix", "string", ".status.fix", wide=True),
    ),
)
TOKENS: Final = Served(
    API_GROUP,
    SERVED_VERSION,
    "Token",
    "tokens",
    ("create", "delete", "get", "list"),
    namespaced=False,
    columns=(
        Column("User", "string", ".spec.user"),
        Column("Role", "string", ".spec.role"),
        Column("Way", "string", ".status.way"),
        _AGE,
        Column("Expires", "string", ".status.expirationTimestamp"),
    ),
)
USERS: Final = Served(
    API_GROUP,
    SERVED_VERSION,
    "User",
    "users",
    ("delete", "get", "list"),
    namespaced=False,
    columns=(
        Column("Role", "string", ".spec.role"),
        Column("Password Set", "date", ".status.passwordSetTimestamp"),
    ),
    subresources=((PASSWORD, ("create",)),),
)
REVIEWS: Final = (
    Served(
        "authentication.k8s.io",
        "v1",
        "SelfSubjectReview",
        "selfsubjectreviews",
        ("create",),
        namespaced=False,
    ),
    Served(
        "authorization.k8s.io",
        "v1",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        ("create",),
        namespaced=False,
    ),
    Served(
        "authorization.k8s.io",
        "v1",
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        ("create",),
        namespaced=False,
    ),
)
"""Questions of a client about itself; each client may ask them."""

WATCHED: Final = tuple(map(of_kind, KINDS.values()))
RESOURCES: Final = (
    *(NAMESPACES, EVENTS, PODS, NODES),
    *(*WATCHED, REVISIONS, ROUTES, CERTIFICATES, IMAGES, EXPORTERS, CRDS),
    *(FINDINGS, TOKENS, USERS),
    *(POD_METRICS, NODE_METRICS, *REVIEWS),
)


def served_at(
    group: str, version: str, plural: str, resources: Iterable[Served] = RESOURCES
) -> Served | None:
    """The resource at this place of the API."""
    return next(
        (each for each in resources if (each.group, each.version, each.plural) == (group, version, plural)),
        None,
    )
