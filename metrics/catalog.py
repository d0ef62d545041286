"""Every metric of the project: names, labels, units, buckets and help, as one table.

Only metrics in this table are exported, and docs/metrics.md is generated from it. The controller's metrics follow
controller-runtime, `workqueue_*` has the same names and buckets so that existing dashboards work, and the objects'
metrics follow kube-state-metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from metrics.agents import AGENT_METRICS
from metrics.gateways import GATEWAY_METRICS, PROXY_METRICS
from metrics.lease import LEASE_METRICS
from metrics.metric import SERVICE, Label, Metric, Type
from metrics.nodes import NODE_METRICS

SUCCESS: Final = "success"
ERROR: Final = "error"

CONDITION_STATUSES: Final = ("true", "false", "unknown")
REPLICA_STATES: Final = ("desired", "current", "updated", "ready", "serving")
POOL_STATES: Final = ("up", "down", "draining")

_WORKLOAD = Label("workload", "Service of the Compose project.")
_QUEUE = Label("name", "Name of the queue.")
_SOURCE = Label("source", "Name of the Git source; never its URL, which may contain a token.")
_KIND = Label("kind", "Kind of operation, such as `StartContainer`.")
_RESULT = Label("result", "How it ended.", (SUCCESS, ERROR))

_CALL_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_WAIT_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_ROLLOUT_BUCKETS: Final = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
# The decades of client-go's workqueue metrics, from 10 ns to 1000 s.
_QUEUE_BUCKETS: Final = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0)

RECONCILE_TOTAL: Final = Metric(
    "vault_reconcile_total",
    Type.COUNTER,
    "Passes that ended.",
    (
        SERVICE,
        Label(
            "result",
            "`success`: nothing left to do; `requeue_after`: scheduled again; `error`: will be "
            "retried; `terminal_error`: waits for a change; `panic`: a defect of the controller.",
            (SUCCESS, "requeue_after", ERROR, "terminal_error", "panic"),
        ),
    ),
)
RECONCILE_DURATION: Final = Metric(
    "vault_reconcile_duration_seconds",
    Type.HISTOGRAM,
    "Duration of a pass, from taking the key to its last operation.",
    (SERVICE,),
    "seconds",
    _CALL_BUCKETS,
)
ACTIVE_WORKERS: Final = Metric("vault_active_workers", Type.GAUGE, "Workers that are running a pass.")
WORKERS: Final = Metric("vault_workers", Type.GAUGE, "Workers that are alive, busy or not.")
EVENT_STREAM_RECONNECTS: Final = Metric(
    "vault_event_stream_reconnects_total",
    Type.COUNTER,
    "Reconnects of the engine's event stream after it ended; each is followed by a resync.",
)
BUILD: Final = Metric(
    "vault_build_info",
    Type.INFO,
    "Always 1; the labels have the versions.",
    (Label("version", "Version of the controller."), Label("python", "Version of Python.")),
)

WORKQUEUE_DEPTH: Final = Metric("workqueue_depth", Type.GAUGE, "Keys that wait for a worker.", (_QUEUE,))
WORKQUEUE_ADDS: Final = Metric(
    "workqueue_adds_total", Type.COUNTER, "Keys added, without those merged with a waiting one.", (_QUEUE,)
)
WORKQUEUE_RETRIES: Final = Metric(
    "workqueue_retries_total", Type.COUNTER, "Keys added again with backoff after a failed pass.", (_QUEUE,)
)
WORKQUEUE_QUEUE_DURATION: Final = Metric(
    "workqueue_queue_duration_seconds",
    Type.HISTOGRAM,
    "How long a key waited for a worker.",
    (_QUEUE,),
    "seconds",
    _QUEUE_BUCKETS,
)
WORKQUEUE_WORK_DURATION: Final = Metric(
    "workqueue_work_duration_seconds",
    Type.HISTOGRAM,
    "How long a worker had a key.",
    (_QUEUE,),
    "seconds",
    _QUEUE_BUCKETS,
)
WORKQUEUE_UNFINISHED_WORK: Final = Metric(
    "workqueue_unfinished_work_seconds",
    Type.GAUGE,
    "Sum of the time spent so far on keys in progress; steady growth means stuck workers.",
    (_QUEUE,),
    "seconds",
)
WORKQUEUE_LONGEST_RUNNING: Final = Metric(
    "workqueue_longest_running_processor_seconds",
    Type.GAUGE,
    "How long the longest running worker has had its key.",
    (_QUEUE,),
    "seconds",
)

SERVICE_INFO: Final = Metric(
    "vault_service_info",
    Type.INFO,
    "Always 1; the labels say what is deployed.",
    (
        SERVICE,
        Label("plugin", "Slug of the plugin."),
        Label("revision", "Desired revision of the web workload; empty until one was built."),
        Label("commit", "Git commit of the manifest; empty when it did not come from Git."),
    ),
)
SERVICE_CONDITION: Final = Metric(
    "vault_service_condition",
    Type.GAUGE,
    "1 for the current status of a condition, 0 for the other two.",
    (
        SERVICE,
        Label("type", "Type of the condition: `Ready`, `Reconciling`, `Stalled`, `Degraded`, `Accepted`."),
        Label("status", "Status of the condition.", CONDITION_STATUSES),
    ),
)
GENERATION: Final = Metric(
    "vault_generation", Type.GAUGE, "Generation of the spec: how often it changed.", (SERVICE,)
)
OBSERVED_GENERATION: Final = Metric(
    "vault_observed_generation", Type.GAUGE, "Generation that was last acted on.", (SERVICE,)
)
SUSPENDED: Final = Metric("vault_suspended", Type.GAUGE, "1 while `spec.suspend` is true.", (SERVICE,))
OBSERVED_AT: Final = Metric(
    "vault_observed_timestamp_seconds",
    Type.GAUGE,
    "Unix time of the observation of engine and proxy that the values of this object come from.",
    (SERVICE,),
    "seconds",
)
REPLICAS: Final = Metric(
    "vault_replicas",
    Type.GAUGE,
    "Replicas of a workload by state.",
    (
        SERVICE,
        _WORKLOAD,
        Label(
            "state",
            "`desired`: wanted; `current`: existing; `updated`: of the desired revision; `ready`: healthy; "
            "`serving`: ready and up in the pool. A replica counts in each state that it has reached.",
            REPLICA_STATES,
        ),
    ),
)
POOL_SERVERS: Final = Metric(
    "vault_pool_servers",
    Type.GAUGE,
    "Servers of the HAProxy pool.",
    (SERVICE, Label("state", "State of the server in HAProxy.", POOL_STATES)),
)
POOL_MINIMUM: Final = Metric(
    "vault_pool_minimum_servers",
    Type.GAUGE,
    "Servers that have to be up by the strategy; fewer are reported.",
    (SERVICE,),
)
DRIFT: Final = Metric(
    "vault_drift",
    Type.GAUGE,
    "Differences between the stack and the observed state.",
    (SERVICE, Label("kind", "Kind of difference.")),
)
ROTATION_AGE: Final = Metric(
    "vault_rotation_age_seconds", Type.GAUGE, "Age of the oldest web replica.", (SERVICE,), "seconds"
)
NEXT_ROTATION: Final = Metric(
    "vault_next_rotation_timestamp_seconds",
    Type.GAUGE,
    "Unix time at which the next replica is due; absent without rotation.",
    (SERVICE,),
    "seconds",
)

ASLEEP: Final = Metric(
    "vault_asleep",
    Type.GAUGE,
    "1 while web replicas are stopped for want of requests, else 0; absent without `spec.idle`.",
    (SERVICE,),
)

OPERATIONS: Final = Metric(
    "vault_operations_total",
    Type.COUNTER,
    "Operations: calls that change something.",
    (SERVICE, _KIND, Label("cause", "Cause of the operation, such as `outdated` or `rotation`."), _RESULT),
)
OPERATION_DURATION: Final = Metric(
    "vault_operation_duration_seconds",
    Type.HISTOGRAM,
    "Duration of one operation.",
    (_KIND,),
    "seconds",
    _CALL_BUCKETS,
)
CONVERGE_DURATION: Final = Metric(
    "vault_converge_seconds",
    Type.HISTOGRAM,
    "Time from detecting a change (of the spec or the running state) until nothing is left to do.",
    (),
    "seconds",
    _ROLLOUT_BUCKETS,
)
ROLLOUT_DURATION: Final = Metric(
    "vault_rollout_duration_seconds",
    Type.HISTOGRAM,
    "Time from the first replica of a new revision to the removal of the last old one.",
    (Label("result", "How the rollout ended.", ("completed", "rolled_back", "superseded")),),
    "seconds",
    _ROLLOUT_BUCKETS,
)
ROLLOUT_PHASE_DURATION: Final = Metric(
    "vault_rollout_phase_duration_seconds",
    Type.HISTOGRAM,
    "Time that one replica spent in one phase of a rollout.",
    (
        Label(
            "phase",
            "`create`: until it runs; `warm`: until it is ready; `join`: until it serves; `stop`: from "
            "SIGTERM to its end. Draining has a metric of its own.",
            ("create", "warm", "join", "stop"),
        ),
    ),
    "seconds",
    _WAIT_BUCKETS,
)
DRAIN_DURATION: Final = Metric(
    "vault_drain_seconds",
    Type.HISTOGRAM,
    "Time from leaving the pool to the end of the last session or the drain deadline.",
    (),
    "seconds",
    _WAIT_BUCKETS,
)
SESSIONS_CUT: Final = Metric(
    "vault_sessions_cut_total",
    Type.COUNTER,
    "Sessions that were still open when their drain deadline passed.",
    (SERVICE,),
)
ROLLBACKS: Final = Metric(
    "vault_rollbacks_total", Type.COUNTER, "Rollbacks to the last good revision.", (SERVICE,)
)
ROTATIONS: Final = Metric(
    "vault_rotations_total", Type.COUNTER, "Replicas replaced because of their age.", (SERVICE, _RESULT)
)
REPLICA_RESTARTS: Final = Metric(
    "vault_replica_restarts_total",
    Type.COUNTER,
    "Dead replicas that were started or replaced.",
    (SERVICE, _WORKLOAD),
)

WAKES: Final = Metric(
    "vault_wakes_total", Type.COUNTER, "Times that requests woke a service that was asleep.", (SERVICE,)
)
WAKE_DURATION: Final = Metric(
    "vault_wake_duration_seconds",
    Type.HISTOGRAM,
    "Time from the pass that found a request waiting for a service that was asleep until a replica served.",
    (),
    "seconds",
    _WAIT_BUCKETS,
)

GIT_FETCHES: Final = Metric("vault_git_fetches_total", Type.COUNTER, "Fetches.", (_SOURCE, _RESULT))
GIT_FETCH_DURATION: Final = Metric(
    "vault_git_fetch_duration_seconds",
    Type.HISTOGRAM,
    "Duration of a fetch, including failed ones.",
    (_SOURCE,),
    "seconds",
    _CALL_BUCKETS,
)
GIT_LAST_FETCH: Final = Metric(
    "vault_git_last_fetch_timestamp_seconds",
    Type.GAUGE,
    "Unix time of the last successful fetch; absent until there is one.",
    (_SOURCE,),
    "seconds",
)
GIT_REFUSED: Final = Metric(
    "vault_git_commit_refused",
    Type.GAUGE,
    "1 while the newest commit is refused (its signature, its history or the size of the repository) and the one before "
    "stays in force, else 0; absent until one was fetched.",
    (_SOURCE,),
)
OIDC_KEY_FETCHES: Final = Metric(
    "vault_oidc_key_fetches_total",
    Type.COUNTER,
    "Fetches of the keys of the OIDC issuer, without which its tokens are refused; only while tokens of it are used.",
    (_RESULT,),
)
IMAGE_CHECKS: Final = Metric(
    "vault_image_checks_total",
    Type.COUNTER,
    "Checks of `spec.imagePolicy` by result.",
    (
        SERVICE,
        Label(
            "result",
            "`success`: the registry has answered, and what was chosen is in the manifest; `error`: all else.",
            (SUCCESS, ERROR),
        ),
    ),
)
WEBHOOKS: Final = Metric(
    "vault_webhooks_total",
    Type.COUNTER,
    "Webhook deliveries by result.",
    (Label("result", "How it was answered.", ("accepted", "ignored", "rejected")),),
)

REQUEST_HOLD: Final = Metric(
    "vault_request_hold_seconds",
    Type.HISTOGRAM,
    "How long requests were held because no server of the pool could take them.",
    (
        Label(
            "result",
            "`released`: a server came up; `timeout`: none did, the client got 503; `handed_over`: another "
            "HAProxy took it on; `moved`: its route has changed, and it was decided once more.",
            ("released", "timeout", "handed_over", "moved"),
        ),
    ),
    "seconds",
    (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)


@dataclass(frozen=True, slots=True)
class Section:
    """A group of metrics with its heading and introduction in the documentation.

    `exported` is false for metrics that HAProxy serves.
    """

    title: str
    intro: str
    metrics: tuple[Metric, ...]
    exported: bool = True


SECTIONS: Final = (
    Section(
        "Objects",
        "One set for each VaultService, read from the last observation at each scrape. The series are removed "
        "with their object; a controller that stands by for another one has none.",
        (
            SERVICE_INFO,
            SERVICE_CONDITION,
            GENERATION,
            OBSERVED_GENERATION,
            SUSPENDED,
            OBSERVED_AT,
            REPLICAS,
            POOL_SERVERS,
            POOL_MINIMUM,
            DRIFT,
            ROTATION_AGE,
            NEXT_ROTATION,
            ASLEEP,
        ),
    ),
    Section(
        "Gateways",
        "One set for each VaultGateway, its routes and the hosts with certificates, from its last pass; a controller "
        "that stands by for another one has none.",
        GATEWAY_METRICS,
    ),
    Section(
        "Changes",
        "Operations and their duration.",
        (
            OPERATIONS,
            OPERATION_DURATION,
            CONVERGE_DURATION,
            ROLLOUT_DURATION,
            ROLLOUT_PHASE_DURATION,
            DRAIN_DURATION,
            SESSIONS_CUT,
            ROLLBACKS,
            ROTATIONS,
            REPLICA_RESTARTS,
            WAKES,
            WAKE_DURATION,
        ),
    ),
    Section(
        "Controller",
        "The loop itself.",
        (RECONCILE_TOTAL, RECONCILE_DURATION, ACTIVE_WORKERS, WORKERS, EVENT_STREAM_RECONNECTS, BUILD),
    ),
    Section(
        "Work queue",
        "The names, labels and buckets of client-go, so that dashboards for Kubernetes controllers work.",
        (
            WORKQUEUE_DEPTH,
            WORKQUEUE_ADDS,
            WORKQUEUE_RETRIES,
            WORKQUEUE_QUEUE_DURATION,
            WORKQUEUE_WORK_DURATION,
            WORKQUEUE_UNFINISHED_WORK,
            WORKQUEUE_LONGEST_RUNNING,
        ),
    ),
    Section("Kubernetes API", "What `vaultctl run --api` depends on.", (OIDC_KEY_FETCHES,)),
    Section("Agents", "Agents beside HAProxies on other nodes; see docs/agent.md.", AGENT_METRICS),
    Section(
        "Lease", "Which of several controllers acts on a Docker Swarm; see docs/swarm.md.", LEASE_METRICS
    ),
    Section(
        "Nodes",
        "The nodes of a Docker Swarm, looked at every 15 s; none with one machine. See docs/swarm.md.",
        NODE_METRICS,
    ),
    Section("Images", "Registries that `spec.imagePolicy` follows.", (IMAGE_CHECKS,)),
    Section(
        "Git sources and webhooks",
        "Where manifests come from.",
        (GIT_FETCHES, GIT_FETCH_DURATION, GIT_LAST_FETCH, GIT_REFUSED, WEBHOOKS),
    ),
    Section(
        "HAProxy",
        "Served by every HAProxy on the port of its exporter, under `/holds`; discovery adds the label `name`, the "
        "service, and `slot`; for those of a gateway on several nodes also `node`. Its own `haproxy_*` metrics are on "
        "`/metrics` there.",
        (REQUEST_HOLD,),
        exported=False,
    ),
    Section(
        "Routes",
        "Served under `/holds` as well by the HAProxies of a VaultGateway, where `name` is that of the gateway. Join "
        "`vault_route_info` on `name` and `route` for hosts and services. They begin at 0 with each new process.",
        PROXY_METRICS,
        exported=False,
    ),
)

CATALOG: Final = tuple(metric for section in SECTIONS if section.exported for metric in section.metrics)
"""All metrics that the controller exports."""

EVERYTHING: Final = tuple(metric for section in SECTIONS for metric in section.metrics)
"""All metrics of the project, including those that HAProxy serves."""
