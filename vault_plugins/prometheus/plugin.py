"""Prometheus: metrics of other services, queries and alerts.

Its time series belong to one process, which locks their directory.
"""

from collections.abc import Mapping
from typing import Any, Final

from vault_plugins import VaultServicePlugin
from vault_plugins.parts import checked, confined, one_replica, replicated, wget

SERVICE: Final = "prometheus"
IMAGE: Final = "prom/prometheus:v2.53.3"
# The configuration comes from the environment into memory, so that a change of it is a change of the service.
START: Final = (
    'umask 077; printf "%s\\n" "$$PROMETHEUS_CONFIG" >/tmp/prometheus.yml; '
    "exec prometheus --config.file=/tmp/prometheus.yml --storage.tsdb.path=/prometheus "
    '--storage.tsdb.retention.time="$$PROMETHEUS_RETENTION" --web.listen-address=:{port}'
)
CONFIG: Final = """\
scrape_configs:
  - job_name: prometheus
    scrape_interval: 15s
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]"""


class PrometheusPlugin(VaultServicePlugin):
    metadata = VaultServicePlugin.Metadata(
        name="Prometheus",
        slug="prometheus",
        default_port=9090,
        healthcheck_path="/-/ready",
        description="Metrics of other services: scraped, kept, queried.",
    )
    single_writer = True

    def build_compose(self, env: Mapping[str, str]) -> dict[str, Any]:
        port = self.resolve_port(env)
        service = {
            **confined(
                env.get("PROMETHEUS_IMAGE") or IMAGE,
                user="65534:65534",
                memory=env.get("PROMETHEUS_MEMORY") or "1G",
                pids=256,
                grace="60s",
            ),
            "environment": {
                "PROMETHEUS_CONFIG": env.get("PROMETHEUS_CONFIG") or CONFIG.format(port=port),
                "PROMETHEUS_RETENTION": env.get("PROMETHEUS_RETENTION") or "15d",
            },
            "entrypoint": ["sh", "-c", START.format(port=port)],
            "volumes": ["prometheus-data:/prometheus"],
            # The write-ahead log is read before it is ready.
            "healthcheck": checked(*wget(port, "/-/ready"), start="300s"),
        }
        return {
            "services": {SERVICE: replicated(service, self.resolve_replicas(env))},
            "volumes": {"prometheus-data": {}},
        }

    def get_containers(self) -> list[str]:
        return [SERVICE]

    def operator_warnings(self, env: Mapping[str, str]) -> list[str]:
        return one_replica(
            self.resolve_replicas(env), "the first one locks the time series, the others never become ready"
        )
