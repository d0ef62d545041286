"""Every reason there is: the CamelCase word of a condition, an event, or the end of a wait.

Programs decide by them, so a word that was released stays. A test finds words that are written anywhere else, and
`python -m reconciler.api.reasons docs/reasons.md` writes the page that lists them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, Self

__all__ = ["Reason", "render"]

Place = Literal["conditions", "failures", "waits", "events", "operations"]


class Reason(StrEnum):
    """A word for programs; `place` says where it is mainly met, `meaning` is a sentence for people."""

    place: Place
    meaning: str

    def __new__(cls, word: str, place: Place = "events", meaning: str = "") -> Self:
        """The member of that word; the defaults let one be looked up by its word alone."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.place = place
        member.meaning = meaning
        return member

    # Of conditions, while things go as they should.
    SERVING = "Serving", "conditions", "Everything is as the spec wants it, and all replicas serve."
    STOPPED = "Stopped", "conditions", "`spec.replicas` is 0, and nothing but HAProxy runs; volumes are kept."
    IDLE = (
        "Idle",
        "conditions",
        "Web replicas are stopped for want of requests; the next request starts them.",
    )
    ALL_SERVING = "AllServing", "conditions", "No replica is missing from service."
    NOT_ALL_SERVING = "NotAllServing", "conditions", "Some replicas do not serve."
    NODE_AWAY = (
        *("NodeAway", "conditions"),
        "A node that a gateway runs on cannot be changed now: its agent, or its engine, does not answer.",
    )
    CONVERGED = "Converged", "conditions", "Nothing is left to do or to wait for."
    PROGRESSING = "Progressing", "conditions", "Operations are under way or waited for."
    WORKING = "Working", "conditions", "Nothing keeps the controller from its work."
    RETRYING = "Retrying", "conditions", "The last pass failed, and the next one tries again."
    BLOCKED = "Blocked", "conditions", "A person has to repair something before the plan can go on."
    DEPENDENCY_NOT_READY = "DependencyNotReady", "conditions", "A service of `spec.dependsOn` is not Ready."
    WAITING_FOR_GATEWAY = (
        *("WaitingForGateway", "conditions"),
        "The gateway of a service's routes has not given it a pool yet.",
    )
    ACCEPTED = "Accepted", "conditions", "Gateways serve all routes of the service."
    SUSPENDED = "Suspended", "conditions", "`spec.suspend` is true, so the service is left alone."
    DRIFTED = (
        "Drifted",
        "conditions",
        "What runs was changed from outside, and `spec.drift` says to leave it.",
    )
    DELETING = "Deleting", "conditions", "The service is being removed."
    STILL_ROUTED = (
        "StillRouted",
        "conditions",
        "A gateway is to be deleted, and services still have routes on it; it serves on until they have none.",
    )
    ENGINE_READY = "EngineReady", "conditions", "The engine answers: of the Node in the Kubernetes API."
    NODE_DOWN = "NodeDown", "conditions", "A node of the Swarm is not up: of that Node."
    NODE_DRAINED = (
        "NodeDrained",
        "events",
        "All that could move has left a node, and the engine keeps it empty.",
    )
    PENDING = "Pending", "conditions", "No pass has looked at the newest spec yet."
    STANDBY = (
        "Standby",
        "conditions",
        "This controller does not hold the lease of the Swarm, so it changes nothing; its message says who holds it.",
    )

    # Of what cannot be used: a manifest, a spec, a commit, a revision.
    INVALID_MANIFEST = (
        "InvalidManifest",
        "failures",
        "The newest manifest is wrong; the one before it goes on.",
    )
    SPEC_INVALID = "SpecInvalid", "failures", "No stack can be built of the spec; the last good one goes on."
    ROLLED_BACK = "RolledBack", "failures", "A revision failed, and the last good one runs in its place."
    PROGRESS_DEADLINE_EXCEEDED = (
        *("ProgressDeadlineExceeded", "failures"),
        "A rollout made no progress for `strategy.progressDeadline`.",
    )
    CRASH_LOOP = "CrashLoop", "failures", "Replicas of a new revision died again and again."
    JOB_FAILED = "JobFailed", "failures", "A one-shot job ended with an exit code other than 0."
    OBJECT_UNREADABLE = (
        *("ObjectUnreadable", "failures"),
        "The stored object cannot be understood; its routes stay as they are until it is applied again.",
    )
    FETCH_FAILED = (
        "FetchFailed",
        "failures",
        "A Git repository could not be fetched; the last good commit goes on.",
    )
    UNTRUSTED_COMMIT = "UntrustedCommit", "failures", "The newest commit has no signature of a trusted key."
    REWOUND_BRANCH = (
        "RewoundBranch",
        "failures",
        "The branch does not contain the commit that was applied last.",
    )
    REPOSITORY_TOO_LARGE = "RepositoryTooLarge", "failures", "A repository is larger than what is fetched."
    REFUSED = "Refused", "failures", "Compose, the engine or Git refuses what it was given."

    # Of routes that no gateway serves.
    CONFLICTED = (
        "Conflicted",
        "failures",
        "An older service has the same host and path, or port, of the gateway.",
    )
    NO_GATEWAY = "NoGateway", "failures", "The VaultGateway of a route does not exist."
    GATEWAY_NOT_NAMED = "GatewayNotNamed", "failures", "There are several gateways, and a route names none."
    NO_LISTENER = "NoListener", "failures", "The gateway has no listener for a route."
    HOSTNAME_NOT_PERMITTED = (
        *("HostnameNotPermitted", "failures"),
        "The operator does not let the service claim that host name.",
    )
    LOGINS_UNUSABLE = (
        *("LoginsUnusable", "failures"),
        "The htpasswd file of a route is missing, unreadable or wrong; the route answers 503 until it is right.",
    )
    NO_AUTH_SERVICE = (
        *("NoAuthService", "failures"),
        "The service that `auth.forward` of a route asks has no route on the gateway; the route answers 503.",
    )

    # Of a pass that ended in an error: the class of the error.
    ADMISSION = "Admission", "failures", "The stack asks for something of the host that admission refuses."
    BUILD = "Build", "failures", "What the plugin returned is no valid fragment."
    MANIFEST = "Manifest", "failures", "A stored manifest or a settings file is wrong."
    CANNOT_DECRYPT = (
        *("CannotDecrypt", "failures"),
        "An encrypted settings file cannot be decrypted, or a file of keys cannot be used; the last good state goes on.",
    )
    IMAGE_CHECK_FAILED = (
        *("ImageCheckFailed", "failures"),
        "The registry of `spec.imagePolicy` gave no usable answer; what runs goes on.",
    )
    IMAGE_NOT_WRITTEN = (
        *("ImageNotWritten", "failures"),
        "`spec.imagePolicy` has chosen an image, and the manifest could not be changed.",
    )
    IMAGE_NOT_SIGNED = (
        *("ImageNotSigned", "failures"),
        "`spec.imagePolicy` would take an image, and cosign has signed it with no key of `signedBy`; what runs goes on.",
    )
    IMAGE_MISSING = "ImageMissing", "failures", "An image is neither on this machine nor in a registry."
    ENGINE = "Engine", "failures", "A call of the engine failed or took too long."
    ENGINE_AWAY = "EngineAway", "failures", "The engine does not answer."
    PROXY = "Proxy", "failures", "HAProxy refused a command or did not answer in time."
    PROXY_AWAY = "ProxyAway", "failures", "No HAProxy listens on its socket."
    AGENT_REFUSED = "AgentRefused", "failures", "The agent of a node refused a request."
    AGENT_FILES = "AgentFiles", "failures", "The agent of a node has other files than were sent to it."
    TEMPORARY = "Temporary", "failures", "Another failure that a later try may not meet."
    PERMANENT = (
        "Permanent",
        "failures",
        "Another failure that needs a change of the spec, of a file or of the machine.",
    )
    INTERNAL_ERROR = "InternalError", "failures", "A defect of the controller; its log has the traceback."

    # Of waiting.
    DELETED = "Deleted", "waits", "The service is gone."
    SUPERSEDED = "Superseded", "waits", "The spec was changed again while its rollout was waited for."
    TIMED_OUT = "TimedOut", "waits", "The time to wait was over before the service was Ready."

    # Of events that tell of no failure of a pass.
    ROLLOUT_COMPLETE = "RolloutComplete", "events", "All replicas run the newest revision."
    REPLICA_DIED = "ReplicaDied", "events", "A container ended, or turned unhealthy, without being asked to."
    IMAGE_CHOSEN = (
        "ImageChosen",
        "events",
        "`spec.imagePolicy` has chosen another image, and it is in the manifest.",
    )
    IMAGE_MOVED = "ImageMoved", "events", "The tag of an image means another image than the one that runs."
    ADMISSION_WARNING = (
        "AdmissionWarning",
        "events",
        "A field of the fragment has no effect, or a limit is missing; `vaultctl validate` says the same.",
    )
    DATA_NOT_KEPT = (
        "DataNotKept",
        "events",
        "An image declares a volume that no mount of the fragment covers, so its data ends with the container.",
    )
    ROUTE_REFUSED = (
        "RouteRefused",
        "events",
        "A service claims a host, a path or a port of a gateway that it does not get.",
    )
    CERTIFICATE_MISSING = (
        "CertificateMissing",
        "events",
        "A host has no certificate of the wanted kind, or one that cannot be renewed.",
    )
    FETCHED = "Fetched", "events", "A Git source has a new commit."
    WRITTEN = (
        "Written",
        "events",
        "A client of the Kubernetes API has written the object, or used its containers.",
    )
    WRITE_REFUSED = "WriteRefused", "events", "A client of the Kubernetes API wanted to write and may not."
    LEASE_HELD = "LeaseHeld", "events", "This controller holds the lease of the Swarm, and acts."
    HISTORY_MISSING = (
        "HistoryMissing",
        "events",
        "What runs is older than the history that is known here: former events and revisions are on another node, or lost.",
    )
    OBJECT_NOT_KEPT = (
        "ObjectNotKept",
        "events",
        "An object cannot be kept in the Swarm, so a controller on another node does not find its newest state.",
    )
    HISTORY_LOST = "HistoryLost", "events", "The history was damaged and is begun anew."
    STATE_NOT_KEPT = (
        "StateNotKept",
        "events",
        "Users, tokens, authorities or certificates cannot be kept in the Swarm, so they do not follow the controller.",
    )
    STATE_REPLACED = (
        "StateReplaced",
        "events",
        "Users, tokens, authorities or certificates were changed here and by another controller; the other's are taken.",
    )
    STATE_LOST = (
        "StateLost",
        "events",
        "What a former controller has kept in the Swarm cannot be decrypted, so it is made anew.",
    )
    REVISION_KEY_LOST = (
        "RevisionKeyLost",
        "events",
        "The key of revisions is gone, so every container is replaced.",
    )

    # Of events that tell of an operation: its name.
    PULL_IMAGE = "PullImage", "operations", "An image is fetched."
    CREATE_REPLICAS = "CreateReplicas", "operations", "Containers of a workload are created."
    CREATE_PROXY = "CreateProxy", "operations", "An HAProxy is created."
    RECREATE_CONTAINER = (
        "RecreateContainer",
        "operations",
        "A stopped container is replaced by a current one.",
    )
    START_CONTAINER = "StartContainer", "operations", "A container is started."
    STOP_CONTAINER = "StopContainer", "operations", "A container is stopped."
    REMOVE_CONTAINER = "RemoveContainer", "operations", "A container is removed."
    CONNECT_NETWORK = (
        "ConnectNetwork",
        "operations",
        "A container is connected to a network of its definition.",
    )
    CONFIGURE_PROXY = "ConfigureProxy", "operations", "HAProxy's configuration is written."
    RELOAD_PROXY = "ReloadProxy", "operations", "An HAProxy takes over its new configuration."
    ADD_SERVER = "AddServer", "operations", "A replica is added to the pool."
    DRAIN_SERVER = "DrainServer", "operations", "A replica gets no new sessions."
    SET_WEIGHT = "SetWeight", "operations", "A server of the pool gets another share of the requests."
    DELETE_SERVER = "DeleteServer", "operations", "A replica is taken out of the pool."
    WRITE_ROUTES = "WriteRoutes", "operations", "The routes of a gateway are written."
    WRITE_CERTIFICATES = "WriteCertificates", "operations", "The certificates of a gateway are written."
    CHANGE_CERTIFICATES = (
        "ChangeCertificates",
        "operations",
        "A running HAProxy of a gateway gets other certificates.",
    )
    CONFIGURE_GATEWAY = "ConfigureGateway", "operations", "The configuration of a gateway is written."
    DEPLOY_AGENT = "DeployAgent", "operations", "The agent of a node is deployed, or enrolled again."
    NAME_SLOTS = "NameSlots", "operations", "Services are told which HAProxies a gateway has."
    CHANGE_ROUTES = "ChangeRoutes", "operations", "A running HAProxy of a gateway gets other routes."
    CHANGE_READINESS = (
        "ChangeReadiness",
        "operations",
        "A running HAProxy of a gateway says that it is about to leave its node, or stays after all.",
    )
    DRAIN_POOL = "DrainPool", "operations", "A pool that no route leads to gets no new sessions."
    EMPTY_POOL = "EmptyPool", "operations", "A pool that no route leads to is made spare."
    DISCONNECT_NETWORK = (
        "DisconnectNetwork",
        "operations",
        "A gateway leaves the network of a service that it no longer serves.",
    )


_PROLOGUE: Final = """\
<!-- Generated from reconciler/api/reasons.py by `python -m reconciler.api.reasons docs/reasons.md`; do not edit. -->

# Reasons

The `reason` of a condition, of an event and of a wait that has ended is one of these words. Programs may compare them:
a word stays once it was released. A failure has one word, in the conditions of its service and in the event alike.
"""

_TITLES: Final[dict[Place, str]] = {
    "conditions": "How a service is doing",
    "failures": "What went wrong",
    "waits": "How waiting ended",
    "events": "What happened",
    "operations": "What the controller did",
}


def render() -> str:
    """The text of docs/reasons.md."""
    return _PROLOGUE + "".join(_sections())


def _sections() -> Iterator[str]:
    for place, title in _TITLES.items():
        rows = [f"| `{reason}` | {reason.meaning} |" for reason in Reason if reason.place == place]
        yield "\n".join(["", f"## {title}", "", "| reason | meaning |", "|---|---|", *rows, ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
