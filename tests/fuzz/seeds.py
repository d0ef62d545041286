"""Good inputs, from which the bad ones are made."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from reconciler.api import VaultService
from reconciler.core.desired.stack import Probe, ProxySettings
from reconciler.proxy.haproxy.config import CONFIG_FILE, render

CANARY: Final = "canary/2c9f41"
"""A secret that no name of a setting can be, since names are told and values are not."""
NOW: Final = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SERVICE: Final = VaultService.model_validate({"metadata": {"name": "files"}, "spec": {"plugin": "fuzz"}})

_FULL: Final = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files, labels: {team: a}, annotations: {vault.internal/admission: restricted}}
spec:
  plugin: whoami            # the only required field
  replicas: 3
  ports: {http: 8080, container: 8000}
  healthcheck: {path: /healthz, host: localhost, interval: 2s}
  env: {KEY: value, OTHER: "22:22", TEXT: "$HOME ${X} %[env(Y)]"}
  envFrom: [{file: files.env}]
  proxy: {replicas: 1, image: "haproxy:3.0", holdSeconds: 30}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}, drainSeconds: 30}
  rotation: {interval: 120s, jitter: 20%}
  suspend: false
  restartedAt: "2026-01-01T00:00:00Z"
  dependsOn: [other]
  deletionPolicy: Delete
"""
COMPOSE_FILES: Final = (
    "x-a: &a {env_file: a.env}\nservices:\n  web: {<<: *a, image: 'w:1', ports: ['80:80', 12:34]}\n  b: {extends: web}\n",
    "include: [other.yaml, {path: [other.yaml], project_directory: ., env_file: a.env}]\nservices:\n  web:\n    image: w\n",
    "services:\n  web:\n    extends: {file: ./other.yaml, service: b}\n    env_file:\n    - {path: a.env, required: no}\n"
    "    - ./x/../a.env\n    label_file: a.env\n---\nservices: {web: {command: !reset null, tty: yes}}\n",
    "{services: {b: {image: b, env_file: [a.env, '$A/../b.env'], environment: {A: , B: |\n x\n }}}}\n",
)
_TWO: Final = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata:
  name: one
spec: &spec
  plugin: whoami
---
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata:
  name: two
spec:
  plugin: filebrowser
  ports:
    http: 8081
---
apiVersion: v1
kind: ConfigMap
metadata: {name: foreign}
"""
_SERVED: Final = """\
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: vault.internal/v1alpha1
  kind: VaultService
  metadata:
    name: files
    namespace: default
    uid: 0d5b0d9e-6f8f-4bb1-9d1f-7a0c3f4a2c11
    annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}", note: x}
    managedFields: [{manager: kubectl, fieldsV1: {"f:spec": {".": {}}}}]
  spec: {plugin: whoami}
- {apiVersion: v1, kind: Secret, metadata: {name: s}}
"""
"""What `kubectl get -o yaml` prints."""

MANIFESTS: Final = (
    _FULL,
    _TWO,
    _SERVED,
    *(path.read_text() for path in sorted(Path("manifests").glob("*.yaml"))),
)

TEMPLATES: Final = (
    '{range .items[*]}{.metadata.name}{"\\t"}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}',
    "kind is {.kind}: {..name} {.items[-1:].spec['plugin', 'replicas']} {.items[0:2:1].*}",
    r"{@.items[?(@.spec.replicas>=2)].metadata.labels.example\.org/tier}{['kind']}{.a.b[?(@.c)]}",
)
SELECTORS: Final = (
    "team=web,tier in (a, b),size!=1,!beta,example.org/rack,n>3",
    "metadata.name=files,metadata.namespace!=other",
)
ANSWER: Final[dict[str, Any]] = {
    "kind": "List",
    "items": [
        {
            "metadata": {"name": "files", "labels": {"example.org/tier": "a"}},
            "spec": {"plugin": "x", "replicas": 2},
        },
        {
            "metadata": {"name": "wiki"},
            "spec": {"suspend": True},
            "status": {"conditions": [{"type": "Ready"}]},
        },
    ],
}
"""What templates are asked about."""

ENV_FILES: Final = (
    f"# settings\nexport A=1\nB='single {CANARY}'\nC=\"double \\n {CANARY}\" # why\nD={CANARY} # why\n\nE=\n",
    f'PAPERLESS_DBPASS={CANARY}\nPAPERLESS_SECRET_KEY="{CANARY}"\n',
)

_WEB: Final[dict[str, Any]] = {
    "image": "example/web:1.0",
    "environment": {"A": "${A:-1}", "B": "$$x"},
    "command": ["serve", "--port", "8080"],
    "ports": ["9000:8080"],
    "networks": ["vault-net", "back"],
    "volumes": ["data:/data", {"type": "bind", "source": "/srv/x", "target": "/x", "read_only": True}],
    "depends_on": {"db": {"condition": "service_healthy"}},
    "healthcheck": {"test": ["CMD", "true"], "interval": "2s"},
    "deploy": {"replicas": 2, "resources": {"limits": {"memory": "64M", "pids": 32}}},
    "configs": [{"source": "conf", "target": "/etc/conf"}],
    "labels": {"org.example": "1"},
    "stop_grace_period": "1m30s",
    "security_opt": ["no-new-privileges:true"],
}
_DB: Final[dict[str, Any]] = {
    "image": "example/db:1", "environment": ["P=1", "Q"], "networks": {"back": {"aliases": ["database"]}},
    "volumes": [{"type": "volume", "source": "data", "target": "/d"}], "cap_add": ["CHOWN"],
    "sysctls": {"net.core.somaxconn": 1024}, "user": "70", "logging": {"driver": "json-file"},
}  # fmt: skip
FRAGMENTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "services": {"web": _WEB, "db": _DB},
        "volumes": {"data": {}},
        "networks": {"back": {"internal": True}},
        "configs": {"conf": {"content": "x = 1"}},
    },
    {"services": {"web": {"image": "example/web"}}},
)

ROWS: Final[tuple[dict[str, Any], ...]] = (
    {
        "Id": "0123456789abcdef0123456789abcdef",
        "Names": ["/vault-files-web-1"],
        "Labels": {
            "com.docker.compose.service": "web",
            "com.docker.compose.container-number": "1",
            "internal.vault.service": "files",
            "internal.vault.role": "web",
            "internal.vault.revision": "v1-0123456789ab",
            "internal.vault.port": "8080",
            "internal.vault.slot": "1",
        },
        "State": "running",
        "Status": "Up 3 minutes (healthy)",
        "Created": 1_700_000_000,
        "HostConfig": {"NetworkMode": "vault-files_vault-net"},
        "NetworkSettings": {"Networks": {"vault-files_vault-net": {"IPAddress": "172.18.0.2"}}},
    },
    {"Id": "f" * 64, "State": "exited", "Status": "Exited (137) 2 minutes ago", "Created": 1, "Labels": None},
)
EVENTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "Type": "container",
        "Action": "die",
        "Actor": {"ID": "0123", "Attributes": {"internal.vault.service": "files", "exitCode": "1"}},
        "timeNano": 1_700_000_000_000_000_000,
    },
    {"Type": "network", "Action": "disconnect", "Actor": {"Attributes": {"name": "vault-files_vault-net"}}},
)

CONFIG: Final = render(
    ProxySettings("web", Probe("/healthz", "localhost", 2.0), 30.0, 30.0),
    [("0123456789ab", "172.18.0.2:8080"), ("ba9876543210", "172.18.0.3:8080")],
    "haproxy:3.0",
)[CONFIG_FILE]

_PROC: Final = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
1               master          0               0d00h00m08s     3.0.11-1
# workers
14              worker          0               0d00h00m08s     3.0.11-1
# old workers
12              worker          1               0d00h01m08s     3.0.11-1
# programs

"""
_INFO: Final = """\
Name: HAProxy
Version: 3.0.11-1
Process_num: 1
Pid: 14
Uptime: 0d 0h00m08s
Uptime_sec: 8
Stopping: 0
node: gateway
description: 0123456789ab

"""
_STAT: Final = """\
# pxname,svname,qcur,qmax,scur,smax,slim,stot,status,weight,lastchg,uweight,addr,used_conn_cur,
public,FRONTEND,,,1,2,8192,30,OPEN,,,,,,
web,0123456789ab,0,0,1,1,,12,UP,1,5,1,172.18.0.2:8080,1,
web,ba9876543210,0,0,0,1,,12,MAINT,1,5,1,172.18.0.3:8080,0,
web,BACKEND,0,0,0,1,820,12,UP,2,5,2,,,

"""
ANSWERS: Final = (_PROC + _INFO + _STAT, _INFO + _STAT, _PROC + "Unknown command\n\n" + _STAT)

SECRET: Final = b"hook-secret-7f1b"
_PUSH: Final = '{"ref": "refs/heads/main", "before": "0", "after": "1", "repository": {"full_name": "a/b"}}'
DELIVERIES: Final[tuple[tuple[dict[str, str], str], ...]] = (
    ({"x-github-event": "push", "content-type": "application/json"}, _PUSH),
    ({"x-gitlab-event": "Push Hook", "x-gitlab-token": SECRET.decode()}, _PUSH),
    (
        {"x-gitea-event": "push", "content-type": "application/x-www-form-urlencoded"},
        "payload=%7B%22ref%22%3A+%22refs%2Fheads%2Fmain%22%7D&other=1",
    ),
)
