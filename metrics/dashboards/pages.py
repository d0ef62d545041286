"""The panels of the dashboards with their queries.

The overview shows which services have problems, the service page why, and the controller page whether the controller is
the cause. HAProxy's numbers are those of the `public` frontend, which clients use.
"""

from __future__ import annotations

from typing import Final

from metrics.dashboards.grafana import Kind, Page, Panel, Query

__all__ = ["GATEWAYS", "OVERVIEW", "PAGES"]

_RATE: Final = "$__rate_interval"
_MINE: Final = 'name="$service"'
_WEB: Final = 'proxy="public"'


def _lines(
    title: str, *queries: tuple[str, str], unit: str = "short", help: str = "", stacked: bool = False
) -> Panel:
    return Panel(title, Kind.LINES, tuple(Query(*query) for query in queries), unit, help, stacked)


def _number(title: str, expr: str, unit: str = "short", help: str = "") -> Panel:
    return Panel(title, Kind.NUMBER, (Query(expr),), unit, help)


def _quantiles(title: str, metric: str, by: str = "", where: str = "", help: str = "") -> Panel:
    """The median and the 95th percentile of a histogram of seconds."""
    groups, legend = (f"le, {by}", f" {{{{{by}}}}}") if by else ("le", "")
    rates = f"sum by ({groups}) (rate({metric}_bucket{where}[{_RATE}]))"
    return _lines(
        title,
        (f"histogram_quantile(0.5, {rates})", f"p50{legend}"),
        (f"histogram_quantile(0.95, {rates})", f"p95{legend}"),
        unit="s",
        help=help,
    )


OVERVIEW: Final = Page(
    "overview",
    "Vault: overview",
    (
        (
            "Now",
            (
                _number("Services", "count(vault_service_info)"),
                _number(
                    "Not Ready",
                    'count(vault_service_condition{type="Ready", status="true"} == 0) or vector(0)',
                    help="Services that do not, or not yet, match their manifests.",
                ),
                _number("Suspended", "sum(vault_suspended)"),
                _number("Asleep", "sum(vault_asleep) or vector(0)", help="Services that wait for a request."),
                _number("Rollbacks in 24 h", "sum(increase(vault_rollbacks_total[24h]))"),
                _number(
                    "Requests", f"sum(rate(haproxy_frontend_http_requests_total{{{_WEB}}}[{_RATE}]))", "reqps"
                ),
                _number(
                    "Failed in rollouts",
                    "sum(vault:requests_failed_in_rollout:increase1m) or vector(0)",
                    help="5xx responses of the last minute, of services with a change in progress: has to be 0.",
                ),
            ),
        ),
        (
            "Services",
            (
                Panel(
                    "Ready",
                    Kind.STATES,
                    (
                        Query(
                            'max by (name) (vault_service_condition{type="Ready", status="true"})', "{{name}}"
                        ),
                    ),
                ),
                Panel(
                    "Alerts that fire",
                    Kind.STATES,
                    (
                        Query(
                            'count by (alertname, name) (ALERTS{alertstate="firing"}) or vector(0)',
                            "{{alertname}} {{name}}",
                        ),
                    ),
                ),
                _lines(
                    "Serving, of desired",
                    (
                        'sum by (name) (vault_replicas{state="serving"})'
                        ' / sum by (name) (vault_replicas{state="desired"})',
                        "{{name}}",
                    ),
                    unit="percentunit",
                ),
                _lines(
                    "Requests",
                    (
                        f"sum by (name) (rate(haproxy_frontend_http_requests_total{{{_WEB}}}[{_RATE}]))",
                        "{{name}}",
                    ),
                    unit="reqps",
                    stacked=True,
                ),
                _lines(
                    "Failed requests",
                    (
                        f'sum by (name) (rate(haproxy_frontend_http_responses_total{{{_WEB}, code="5xx"}}[{_RATE}]))',
                        "{{name}}",
                    ),
                    unit="reqps",
                    help="Responses with a 5xx status, as clients received them.",
                ),
                _lines(
                    "Drift", ("sum by (name) (vault_drift)", "{{name}}"), help="Differences from the spec."
                ),
                _lines(
                    "Oldest replica",
                    ("vault_rotation_age_seconds", "{{name}}"),
                    unit="s",
                ),
                _lines(
                    "Deaths of replicas",
                    (f"sum by (name) (rate(vault_replica_restarts_total[{_RATE}]))", "{{name}}"),
                    unit="ops",
                ),
            ),
        ),
        (
            "Changes",
            (
                _quantiles("Time to converge", "vault_converge_seconds"),
                _quantiles("Rollouts", "vault_rollout_duration_seconds", by="result"),
                _quantiles("Phases of a replica", "vault_rollout_phase_duration_seconds", by="phase"),
                _quantiles("Draining", "vault_drain_seconds"),
                _quantiles(
                    "Requests held",
                    "vault_request_hold_seconds",
                    by="result",
                    help="Requests that waited in HAProxy because no replica was available.",
                ),
                _lines(
                    "Operations",
                    (f"sum by (kind, result) (rate(vault_operations_total[{_RATE}]))", "{{kind}} {{result}}"),
                    unit="ops",
                ),
            ),
        ),
        ("Deployed", (Panel("What is deployed", Kind.TABLE, (Query("vault_service_info"),)),)),
    ),
)

SERVICE: Final = Page(
    "service",
    "Vault: one service",
    (
        (
            "State",
            (
                Panel(
                    "Conditions",
                    Kind.STATES,
                    (Query(f'vault_service_condition{{{_MINE}, status="true"}}', "{{type}}"),),
                ),
                _lines(
                    "Replicas by state",
                    (f"sum by (state) (vault_replicas{{{_MINE}}})", "{{state}}"),
                    help="A replica counts in each state that it has reached.",
                ),
                _lines(
                    "Servers of the pool",
                    (f"vault_pool_servers{{{_MINE}}}", "{{state}}"),
                    (f"vault_pool_minimum_servers{{{_MINE}}}", "minimum"),
                ),
                _lines("Drift by kind", (f"vault_drift{{{_MINE}}}", "{{kind}}"), stacked=True),
                _lines(
                    "Generation",
                    (f"vault_generation{{{_MINE}}}", "of the spec"),
                    (f"vault_observed_generation{{{_MINE}}}", "acted on"),
                ),
                _lines(
                    "Age of the last look",
                    (f"time() - vault_observed_timestamp_seconds{{{_MINE}}}", "age"),
                    unit="s",
                ),
            ),
        ),
        (
            "Traffic (HAProxy)",
            (
                _lines(
                    "Answers by status",
                    (
                        f"sum by (code) (rate(haproxy_frontend_http_responses_total{{{_MINE}, {_WEB}}}[{_RATE}]))",
                        "{{code}}",
                    ),
                    unit="reqps",
                    stacked=True,
                ),
                _lines(
                    "Latency",
                    (f"max(haproxy_backend_total_time_average_seconds{{{_MINE}}})", "whole"),
                    (f"max(haproxy_backend_response_time_average_seconds{{{_MINE}}})", "replica"),
                    (f"max(haproxy_backend_queue_time_average_seconds{{{_MINE}}})", "queue"),
                    unit="s",
                    help="Means over HAProxy's last 1024 requests; it keeps no histogram.",
                ),
                _lines(
                    "Replica failures",
                    (f"sum(rate(haproxy_backend_connection_errors_total{{{_MINE}}}[{_RATE}]))", "refused"),
                    (
                        f"sum(rate(haproxy_backend_response_errors_total{{{_MINE}}}[{_RATE}]))",
                        "broken answer",
                    ),
                    (f"sum(rate(haproxy_backend_retry_warnings_total{{{_MINE}}}[{_RATE}]))", "tried again"),
                    (
                        f"sum(rate(haproxy_backend_redispatch_warnings_total{{{_MINE}}}[{_RATE}]))",
                        "on another one",
                    ),
                    unit="ops",
                ),
                _lines(
                    "Sessions",
                    (f"sum(haproxy_frontend_current_sessions{{{_MINE}, {_WEB}}})", "clients"),
                    (f"sum(haproxy_backend_current_sessions{{{_MINE}}})", "requests"),
                ),
                _lines(
                    "Bytes",
                    (f"sum(rate(haproxy_frontend_bytes_in_total{{{_MINE}, {_WEB}}}[{_RATE}]))", "in"),
                    (f"sum(rate(haproxy_frontend_bytes_out_total{{{_MINE}, {_WEB}}}[{_RATE}]))", "out"),
                    unit="Bps",
                ),
                _lines(
                    "Sessions cut at a drain deadline",
                    (f"increase(vault_sessions_cut_total{{{_MINE}}}[{_RATE}])", "cut"),
                ),
            ),
        ),
        (
            "Changes",
            (
                _lines(
                    "Operations by cause",
                    (
                        f"sum by (kind, cause) (increase(vault_operations_total{{{_MINE}}}[{_RATE}]))",
                        "{{kind}}: {{cause}}",
                    ),
                    stacked=True,
                ),
                _lines(
                    "Rotation",
                    (f"vault_rotation_age_seconds{{{_MINE}}}", "oldest replica"),
                    (f"vault_next_rotation_timestamp_seconds{{{_MINE}}} - time()", "due in"),
                    unit="s",
                ),
                _lines(
                    "Rotations, rollbacks, deaths, wakes",
                    (f"increase(vault_wakes_total{{{_MINE}}}[{_RATE}])", "woken"),
                    (
                        f"sum by (result) (increase(vault_rotations_total{{{_MINE}}}[{_RATE}]))",
                        "rotated: {{result}}",
                    ),
                    (f"increase(vault_rollbacks_total{{{_MINE}}}[{_RATE}])", "rolled back"),
                    (f"sum(increase(vault_replica_restarts_total{{{_MINE}}}[{_RATE}]))", "died"),
                ),
                _lines(
                    "Passes by result",
                    (f"sum by (result) (rate(vault_reconcile_total{{{_MINE}}}[{_RATE}]))", "{{result}}"),
                    unit="ops",
                ),
                _quantiles("Length of a pass", "vault_reconcile_duration_seconds", where=f"{{{_MINE}}}"),
            ),
        ),
    ),
    marks=(
        ("Spec changed", Query(f"changes(vault_generation{{{_MINE}}}[1m]) > 0", "spec changed")),
        ("Rolled back", Query(f"increase(vault_rollbacks_total{{{_MINE}}}[1m]) > 0", "rolled back")),
    ),
    per_service=True,
)

_QUEUE: Final = '{name="vaultservice"}'

CONTROLLER: Final = Page(
    "controller",
    "Vault: controller",
    (
        (
            "Passes",
            (
                _lines(
                    "Passes by result",
                    (f"sum by (result) (rate(vault_reconcile_total[{_RATE}]))", "{{result}}"),
                    unit="ops",
                    stacked=True,
                ),
                _quantiles("Length of a pass", "vault_reconcile_duration_seconds"),
                _lines("Workers", ("vault_active_workers", "busy"), ("vault_workers", "alive")),
                _quantiles("Duration of an operation", "vault_operation_duration_seconds", by="kind"),
                _quantiles("From a waiting request to a replica", "vault_wake_duration_seconds"),
                _lines(
                    "Event stream reconnects",
                    (f"rate(vault_event_stream_reconnects_total[{_RATE}])", "reconnects"),
                    unit="ops",
                ),
            ),
        ),
        (
            "Queue",
            (
                _lines("Depth", (f"workqueue_depth{_QUEUE}", "waiting")),
                _lines(
                    "Added and retried",
                    (f"rate(workqueue_adds_total{_QUEUE}[{_RATE}])", "added"),
                    (f"rate(workqueue_retries_total{_QUEUE}[{_RATE}])", "tried again"),
                    unit="ops",
                ),
                _quantiles("Waiting for a worker", "workqueue_queue_duration_seconds", where=_QUEUE),
                _quantiles("With a worker", "workqueue_work_duration_seconds", where=_QUEUE),
                _lines(
                    "Unfinished work",
                    (f"workqueue_unfinished_work_seconds{_QUEUE}", "all together"),
                    (f"workqueue_longest_running_processor_seconds{_QUEUE}", "longest"),
                    unit="s",
                ),
            ),
        ),
        (
            "Sources",
            (
                _lines(
                    "Fetches",
                    (
                        f"sum by (source, result) (rate(vault_git_fetches_total[{_RATE}]))",
                        "{{source}} {{result}}",
                    ),
                    unit="ops",
                ),
                _lines(
                    "Since the last successful fetch",
                    ("time() - vault_git_last_fetch_timestamp_seconds", "{{source}}"),
                    unit="s",
                ),
                _quantiles("Length of a fetch", "vault_git_fetch_duration_seconds", by="source"),
                _lines(
                    "Webhooks",
                    (f"sum by (result) (rate(vault_webhooks_total[{_RATE}]))", "{{result}}"),
                    unit="ops",
                ),
            ),
        ),
        (
            "Lease of the Swarm",
            (
                _lines("Acts", ("vault_lease_held", "{{instance}}")),
                _lines("Holder", ("vault_lease_holder_info", "{{instance}}: {{node}}")),
                _lines("Holders so far", ("vault_lease_term", "{{instance}}")),
            ),
        ),
        (
            "Agents of other nodes",
            (
                _lines("Answers", ("vault_agent_up", "{{node}}")),
                _lines(
                    "Exchanges",
                    (
                        f"sum by (node, result) (rate(vault_agent_exchanges_total[{_RATE}]))",
                        "{{node}} {{result}}",
                    ),
                    unit="ops",
                ),
                _lines(
                    "Until the certificate ends",
                    ("vault_agent_certificate_not_after_timestamp_seconds - time()", "{{node}}"),
                    unit="s",
                ),
            ),
        ),
        (
            "Nodes of a Swarm",
            (
                Panel("Up", Kind.STATES, (Query("vault_node_up", "{{node}}"),)),
                _lines("Instances", ('vault_node_instances{state="present"}', "{{node}}"), stacked=True),
                _lines(
                    "Not ready",
                    (
                        'vault_node_instances{state="present"}'
                        ' - ignoring (state) vault_node_instances{state="ready"}',
                        "{{node}}",
                    ),
                ),
                _lines(
                    "Closed to instances",
                    ('1 - vault_node_availability{availability="active"}', "{{node}}"),
                    ("vault_node_draining", "{{node}} draining"),
                ),
                _lines("Images missing", ("vault_node_images_missing", "{{node}}")),
                _lines(
                    "Managers",
                    ("vault_swarm_managers", "all"),
                    ("vault_swarm_managers_reachable", "reachable"),
                    ("vault_swarm_observed", "the Swarm answers"),
                    help="A Swarm acts while more than half of its managers reach each other.",
                ),
            ),
        ),
        (
            "Process",
            (
                _lines(
                    "CPU",
                    (f'rate(process_cpu_seconds_total{{job="vault-controller"}}[{_RATE}])', "{{instance}}"),
                    unit="percentunit",
                ),
                _lines(
                    "Memory",
                    ('process_resident_memory_bytes{job="vault-controller"}', "{{instance}}"),
                    unit="bytes",
                ),
                _lines(
                    "File descriptors",
                    ('process_open_fds{job="vault-controller"}', "open"),
                    ('process_max_fds{job="vault-controller"}', "limit"),
                ),
                Panel("Version", Kind.TABLE, (Query("vault_build_info"),)),
            ),
        ),
    ),
)

_BY_SERVICE: Final = (
    "* on (name, route) group_left (service) max by (name, route, service) (vault_route_info)"
)

GATEWAYS: Final = Page(
    "gateways",
    "Vault: gateways",
    (
        (
            "Now",
            (
                _number(
                    "Gateways not Ready",
                    'count(vault_gateway_condition{type="Ready", status="true"} == 0'
                    " unless on (name) vault_gateway_suspended == 1) or vector(0)",
                ),
                _number("Routes", 'sum(vault_gateway_routes{state="served"})'),
                _number("Refused claims", 'sum(vault_gateway_routes{state="refused"})'),
                _number(
                    "Hosts without certificate",
                    'sum(vault_certificates{state=~"missing|ended"})',
                    help="Hosts that are to have a certificate, and have none or one that has ended.",
                ),
                _number(
                    "Next end of a certificate",
                    "min(vault_certificate_not_after_timestamp_seconds) - time()",
                    "s",
                ),
                _number("Requests", f"sum(rate(vault_route_requests_total[{_RATE}]))", "reqps"),
            ),
        ),
        (
            "Routes",
            (
                _lines(
                    "Requests by service",
                    (
                        f"sum by (service) (sum by (name, route) (rate(vault_route_requests_total[{_RATE}]))"
                        f" {_BY_SERVICE})",
                        "{{service}}",
                    ),
                    unit="reqps",
                    stacked=True,
                ),
                _lines(
                    "Failed requests by route",
                    (
                        f'sum by (name, route) (rate(vault_route_requests_total{{class="5xx"}}[{_RATE}]))',
                        "{{route}}",
                    ),
                    unit="reqps",
                    help="Answers with a 5xx status, of replicas and of HAProxy itself.",
                ),
                _lines(
                    "Answers by class",
                    (f"sum by (class) (rate(vault_route_requests_total[{_RATE}]))", "{{class}}"),
                    unit="reqps",
                    stacked=True,
                ),
                _lines(
                    "Mean time of replicas",
                    (
                        f"sum by (name, route) (rate(vault_route_response_seconds_total[{_RATE}]))"
                        f" / sum by (name, route) (rate(vault_route_responses_total[{_RATE}]))",
                        "{{route}}",
                    ),
                    unit="s",
                    help="Until the headers of an answer.",
                ),
                _lines(
                    "Traffic",
                    (f"sum by (direction) (rate(vault_route_bytes_total[{_RATE}]))", "{{direction}}"),
                    unit="Bps",
                ),
                _lines(
                    "Under way",
                    ("sum by (name, route) (vault_route_active_requests)", "{{route}}"),
                    help="Requests and upgraded connections.",
                ),
            ),
        ),
        (
            "Certificates",
            (
                _lines(
                    "Until the end",
                    ("vault_certificate_not_after_timestamp_seconds - time()", "{{host}}"),
                    unit="s",
                ),
                _lines("Failed attempts in a row", ("vault_certificate_failures", "{{host}}")),
                _lines(
                    "Since the last failure",
                    ("time() - vault_certificate_last_failure_timestamp_seconds", "{{host}}"),
                    unit="s",
                ),
            ),
        ),
        (
            "Gateways",
            (
                _lines(
                    "Requests by node",
                    (
                        f'sum by (name, node) (rate(vault_route_requests_total{{node!=""}}[{_RATE}]))',
                        "{{name}} {{node}}",
                    ),
                    unit="reqps",
                    help="Of gateways with nodeSelector. A node that is away tells nothing.",
                ),
                _lines("Spare pools", ("vault_gateway_spare_pools", "{{name}} {{kind}}")),
                Panel(
                    "Routes and their services",
                    Kind.TABLE,
                    (Query("max by (host, path, service) (vault_route_info)"),),
                ),
            ),
        ),
    ),
)

PAGES: Final = (OVERVIEW, SERVICE, CONTROLLER, GATEWAYS)
