"""Writes docs/resource.md: one annotated manifest, then a table of fields for each object.

The example and the text are in this file, the tables come from the models. `python -m reconciler.api.reference` writes
the page; tests compare it with the models and load the example.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

from reconciler.api.explain import default_text, fields_of, required_fields, type_text
from reconciler.api.kinds import KINDS
from reconciler.api.schema import Schema, resource_schema, without_null
from reconciler.api.vaultservice import KIND

__all__ = ["EXAMPLE", "ROUTED_EXAMPLE", "render", "write"]

EXAMPLE: Final = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata:
  name: files                 # prefix of the Compose project, containers and networks
  labels: {team: storage}
spec:
  plugin: whoami              # the only required field of a spec
  images:
    whoami: registry.example.org/whoami:1.4.2    # in place of the plugin's; with @sha256:… it cannot change
  imagePolicy:                # the controller writes newer ones into images
    {workload: whoami, pattern: 'semver ">=1.4 <2"', minAge: 3d, digest: pin}
  replicas: 3
  ports:
    http: 8080                # on the host
    container: 8000           # in the containers
  healthcheck:
    path: /healthz
    host: localhost
    interval: 2s
  env:
    VERSION: "1.10"           # text: without quotes this is the number 1.1, which is refused
  envFrom:
    - file: files.env         # secrets; mode 0600 and not in Git, or encrypted: files.env.age
  secrets:
    - {name: tls.key, file: tls.key.age}    # /run/secrets/tls.key in its containers, in memory only
  proxy:
    replicas: 2               # a pair: a crash of one HAProxy loses only the requests in flight on it
    image: haproxy:3.0
    holdSeconds: 30
    maxHeaderKiB: 32          # of one request or response
    dropHeaders: [Remote-User, X-Auth-*, X-Client-IP]   # clients may not set these
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}
    minReadySeconds: 2
    progressDeadlineSeconds: 120
    drainSeconds: 30
    autoRollback: true
  rotation:
    interval: 1h
    jitter: 20%
  dependsOn: [database]       # other VaultServices
  deletionPolicy: Orphan
  drift: heal
"""

ROUTED_EXAMPLE: Final = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata:
  name: git
spec:
  plugin: whoami
  routes:                     # instead of ports.http; with a single one: route
    - hostnames: [git.example.org, "*.git.example.org"]
      maxBodySize: 512Mi
      timeouts: {response: 10m}
      headers:
        request:
          set: {X-Team: storage}
    - hostnames: [git.example.org]
      path: /metrics          # the longest path wins
      port: 9090              # another port of the same containers
      allowFrom: [10.0.0.0/8]
    - hostnames: [www.git.example.org]
      redirect: {hostname: git.example.org}
  tcp:
    - {port: 2222, target: 22}    # port 2222 has to be a TCP listener of the gateway
  idle:
    after: 30m                # without a request; the next one waits while a replica boots
    holdSeconds: 60
"""

_PROLOGUE: Final = f"""\
<!-- Generated from reconciler/api by `python -m reconciler.api.reference`; do not edit. -->

# The resource: {KIND}

All fields of the resource. `vaultctl explain {KIND}.spec` prints the same descriptions, and editors that read
`crds/vaultservice.schema.json` show them while you type. Kubernetes tools read
`crds/vaultservices.vault.internal.yaml`; there, fractions of a second have to be written as text ("500ms").

```yaml
{EXAMPLE}```

A service behind a VaultGateway publishes no port and has no HAProxy of its own. Of `spec.proxy` only `holdSeconds` applies
to it; the rest is said by the gateway. A change of its routes replaces no container.

```yaml
{ROUTED_EXAMPLE}```

## How a manifest is read

- A file holds one or more documents. A directory is read recursively: `*.yaml` and `*.yml` in sorted order,
  without hidden files and directories. Documents of other API groups are skipped.
- All or nothing: if there is any mistake, nothing is applied and running services stay as they are. All
  mistakes are reported at once, as `file:line:column`. A directory without any {KIND} is a mistake too, never
  a request to delete everything.
- Names and published ports (`spec.ports.http`) must be unique within what is read, and `dependsOn` must not
  be circular. A service with routes has no `spec.ports.http`.
- Only `true` and `false` are booleans; `yes`, `no`, `on` and `off` are text. Only plain decimal numbers are
  numbers: `22:22`, `0x1F`, `010` and `1_000` are text, and so are dates. An empty value and `null` mean
  unset.
- Refused: duplicate keys, unknown fields, keys that are not text, tags (`!...`), merge keys (`<<`), more
  than 64 aliases, more than 32 levels, files above 1 MiB or not in UTF-8.
- What an API server sets is dropped: `status`, `uid`, `resourceVersion`, `creationTimestamp`, `managedFields`,
  `finalizers`, `ownerReferences`, `selfLink`, kubectl's last-applied annotation. So the output of
  `kubectl get -o yaml` and `vaultctl get -o yaml` can be edited and applied. `namespace` may only be `default`.
- The items of a `kind: List` (`v1`), or of a list of one kind such as `VaultServiceList`, are read like documents of their
  own.

## Settings files (`envFrom`)

One `KEY=VALUE` a line; `#` starts a comment, `export` before the name is allowed. An unquoted value ends
at ` #`. In single quotes everything is literal; in double quotes `\\n`, `\\r`, `\\t`, `\\"` and `\\\\` are
escapes. `$` is an ordinary character. A file that every user of the machine can read causes a warning.
A file that is encrypted, by age or SOPS, may be in Git and be read by all; [secrets.md](secrets.md) says how.
"""


def render() -> str:
    """The text of docs/resource.md."""
    sections = (_sections(kind.name, resource_schema(kind)) for kind in KINDS.values())
    return _PROLOGUE + "".join(chain.from_iterable(sections))


def write(path: Path) -> None:
    """Writes the page to `path`."""
    path.write_text(render(), encoding="utf-8")


def _sections(name: str, schema: Schema) -> Iterator[str]:
    body, _ = without_null(schema)
    required = required_fields(schema)
    rows = [_row(field, inner, field in required) for field, inner in fields_of(schema).items()]
    table = "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows])
    yield f"\n## {name}\n\n{body['description']}\n\n{table}\n"
    for field, inner in fields_of(schema).items():
        if fields_of(inner):
            yield from _sections(f"{name}.{field}", inner)


def _row(name: str, schema: Schema, is_required: bool) -> str:
    body, _ = without_null(schema)
    default = default_text(schema)
    shown = f"`{default}`" if default else "**required**" if is_required else ""
    return f"| `{name}` | {type_text(schema)} | {shown} | {body['description']} |"


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/resource.md"))
