"""kubectl itself, Debian's 1.32, reads a served state directory: what it is asked, how it exits and what it prints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.api import Condition, ReplicaCounts, Status
from reconciler.api.kinds import VAULT_GATEWAY
from tests.web.kube.cluster import NOW, Cluster, served

MANIFESTS = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files, labels: {team: a}}
spec: {plugin: whoami, replicas: 2, ports: {http: 8081}}
---
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: wiki, labels: {team: b}, annotations: {note: kept}}
spec: {plugin: whoami, ports: {http: 8082}}
---
apiVersion: vault.internal/v1alpha1
kind: VaultGateway
metadata: {name: main}
spec: {listeners: [{name: web, port: 8080, protocol: HTTP}]}
"""
COMPLETE = Condition(
    type="Ready", status="True", reason="RolloutComplete", last_transition_time=NOW, observed_generation=1
)
READY = Status(
    observed_generation=1,
    replicas=ReplicaCounts(desired=2, current=2, updated=2, ready=2, serving=2),
    conditions=(COMPLETE,),
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("kubectl")
    with served(home / "state", home) as found:
        found.apply(MANIFESTS)
        found.application.objects.put_status("files", READY)
        events = found.application.history
        events.record_event("files", "Normal", "RolloutComplete", "2 of 2 replicas serve", NOW)
        events.record_event("wiki", "Warning", "Engine", "the engine is away", NOW)
        events.of(VAULT_GATEWAY).record_event("main", "Normal", "Ready", "listens on port 8080", NOW)
        events.record_event("", "Warning", "RevisionKeyLost", "the key is lost", NOW)
        found.until(lambda: "True" in found.kubectl("get", "vs").stdout)
        yield found


TABLE = [
    # What is asked, the exit code, and patterns of what is printed.
    ("version", 0, [r"^Server Version: v1\.32\.0\+vault-reconciler"]),
    ("api-versions", 0, [r"^vault\.internal/v1alpha1$", r"^v1$"]),
    ("api-resources", 0, [r"^vaultservices +vs +vault\.internal/v1alpha1 +true +VaultService$", r"^namespaces +ns "]),
    ("api-resources --api-group=vault.internal -o name", 0, [r"^vaultgateways\.vault\.internal\nvaultservices\.vault"]),
    ("api-resources --namespaced=false", 0, [r"customresourcedefinitions"]),
    ("api-resources --verbs=watch -o name", 0, [r"vaultservices"]),
    ("get vs", 0, [r"\ANAME +PLUGIN +REPLICAS +SERVING +READY +AGE$", r"^files +whoami +2 +2 +True +\d+s$"]),
    ("get vs files", 0, [r"^files "]),
    ("get vaultservices files wiki", 0, [r"^files ", r"^wiki "]),
    ("get vaultservice/files", 0, [r"^files "]),
    ("get VaultService", 0, [r"^files "]),
    ("get vaultservices.v1alpha1.vault.internal", 0, [r"^files "]),
    ("get vs --no-headers", 0, [r"\Afiles "]),
    ("get vs --show-labels", 0, [r"LABELS", r"^files .*team=a$"]),
    ("get vs -L team", 0, [r"TEAM$", r"^files .* a$"]),
    ("get vs -l team=a", 0, [r"\ANAME.*\nfiles .*\n\Z"]),
    ("get vs -l team!=a", 0, [r"\ANAME.*\nwiki .*\n\Z"]),
    ("get vs -l team\\ in\\ (a,b),!never", 0, [r"^files", r"^wiki"]),
    ("get vs -l nothing=here", 0, [r"No resources found in default namespace"]),
    ("get vs -l a\\ in", 1, [r"Error from server \(BadRequest\)|unable to parse|found '', expected"]),
    ("get vs --field-selector metadata.name=wiki -o name", 0, [r"\Avaultservice\.vault\.internal/wiki\n\Z"]),
    ("get vs --field-selector metadata.namespace!=default", 0, [r"No resources found"]),
    ("get vs --field-selector spec.plugin=x", 1, [r"BadRequest.*field label not supported: spec\.plugin"]),
    ("get vs -A", 0, [r"\ANAMESPACE +NAME", r"^default +files"]),
    ("get vs -n other", 0, [r"No resources found in other namespace"]),
    ("get vs files -n other", 1, [r'Error from server \(NotFound\): namespaces "other" not found']),
    ("get vs nope", 1, [r'Error from server \(NotFound\): vaultservices\.vault\.internal "nope" not found']),
    ("get vs nope --ignore-not-found", 0, [r"\A\Z"]),
    ("get secrets", 1, [r'the server doesn\'t have a resource type "secrets"']),
    ("get deployments", 1, [r'doesn\'t have a resource type "deployments"']),
    ("get vs,vg", 0, [r"^vaultservice\.vault\.internal/files", r"^vaultgateway\.vault\.internal/main"]),
    ("get all", 0, [r"^vaultservice\.vault\.internal/files", r"^vaultgateway\.vault\.internal/main"]),
    ("get vs -o wide", 0, [r"^files "]),
    ("get vs -o name", 0, [r"\Avaultservice\.vault\.internal/files\nvaultservice\.vault\.internal/wiki\n\Z"]),
    ("get vs files -o yaml", 0, [r"^  resourceVersion: \"\d+\"$", r"^  uid: [0-9a-f-]{36}$", r"^  namespace: default$"]),
    ("get vs wiki -o json", 0, [r'"note": "kept"', r'"creationTimestamp": "20\d\d-']),
    ("get vs -o json", 0, [r'\A{\n    "apiVersion": "v1",\n    "items": \[', r'"kind": "List"']),
    ("get vs -o jsonpath={.items[*].metadata.name}", 0, [r"\Afiles wiki\Z"]),
    ("get vs files -o jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}", 0, [r"\ARolloutComplete\Z"]),
    ("get vs -o go-template={{len\\ .items}}", 0, [r"\A2\Z"]),
    ("get vs -o custom-columns=N:.metadata.name,R:.spec.replicas", 0, [r"\AN +R\nfiles +2\nwiki +<none>\n\Z"]),
    ("get vs --sort-by=.metadata.name -o name", 0, [r"files\n.*wiki"]),
    ("get vs --chunk-size=1 -o name", 0, [r"\Avaultservice\.vault\.internal/files\nvaultservice\.vault\.internal/wiki"]),
    ("get vs --server-print=false", 0, [r"\ANAME +AGE\nfiles"]),
    ("get vs files --subresource=nothing", 1, [r"could not find the requested resource|subresource"]),
    ("get ns", 0, [r"^default +Active"]),
    ("get ns default -o jsonpath={.status.phase}", 0, [r"\AActive\Z"]),
    ("get ns other", 1, [r'namespaces "other" not found']),
    ("get crd", 0, [r"^vaultservices\.vault\.internal +20"]),
    ("get crd vaultservices.vault.internal -o jsonpath={.spec.names.shortNames}", 0, [r'\A\["vs"\]\Z']),
    ("describe vs files", 0, [r"^Name: +files$", r"RolloutComplete .*2 of 2 replicas serve$"]),
    ("explain vs", 0, [r"^GROUP: +vault\.internal$", r"^  spec\t<Object> -required-$", r"^  metadata\t<ObjectMeta> "]),
    ("explain vs.spec.replicas", 0, [r"^FIELD: replicas <integer>$"]),
    ("explain vg.spec --recursive", 0, [r"^  listeners\t<\[\]Object>"]),
    ("explain vs.spec.nothing", 1, [r'field "nothing" does not exist']),
    ("explain vs.metadata", 0, [r"resourceVersion\t<string>"]),
    ("get events", 0, [r"\ALAST SEEN +TYPE +REASON +KIND +OBJECT +MESSAGE$", r"RolloutComplete +VaultService +files"]),
    ("get ev --field-selector type=Warning,involvedObject.name=wiki", 0, [r"\ALAST.*\n.*the engine is away\n\Z"]),
    ("get events -o jsonpath={.items[*].involvedObject.kind}", 0, [r"VaultGateway", r"Node"]),
    ("events", 0, [r"Normal +RolloutComplete +VaultService/files +2 of 2", r"Node/.*the key is lost"]),
    ("events --for vs/wiki", 0, [r"the engine is away"]),
    ("events --types=Warning", 0, [r"the engine is away"]),
    ("describe vg main", 0, [r"listens on port 8080"]),
    ("get vs files --subresource=scale -o jsonpath={.spec.replicas}/{.status.replicas}", 0, [r"\A2/2\Z"]),
    ("get vs files --subresource=status -o jsonpath={.status.replicas.serving}", 0, [r"\A2\Z"]),
    ("patch vs files --subresource=status --type=merge -p {\"status\":{}}", 0, [r"Warning: the status is written by"]),
    ("patch vs never --subresource=status --type=merge -p {\"status\":{}}", 1, [r"NotFound"]),
    ("get --raw /openapi/v3", 0, [r'"apis/vault.internal/v1alpha1"']),
    ("get --raw /openapi/v2", 0, [r'"swagger": "2.0"']),
    ("describe vg main", 0, [r"^Kind: +VaultGateway$"]),
    ("wait --for=condition=Ready vs/files --timeout=20s", 0, [r"vaultservice\.vault\.internal/files condition met"]),
    ("wait --for=condition=Ready vs/wiki --timeout=1s", 1, [r"timed out waiting"]),
    ("wait --for=jsonpath={.status.replicas.serving}=2 vs/files --timeout=20s", 0, [r"condition met"]),
    ("wait --for=delete vs/never --timeout=20s", 0, [r""]),
    ("auth whoami", 0, [r"^Username +admin$", r"vault:admin"]),
    ("auth whoami -o jsonpath={.status.userInfo.username}", 0, [r"\Aadmin\Z"]),
    ("auth can-i delete vs", 0, [r"\Ayes\n"]),
    ("auth can-i --list", 0, [r"^vaultservices\.\* +\[\] +\[\] +\[create delete", r"^pods/exec +.*\[create get\]"]),
    ("get vs --as=anna", 1, [r"Forbidden.*User \"admin\" cannot impersonate others.*use a token of that user"]),
    # kubectl itself refuses it for every custom resource.
    ("rollout status vs/files", 1, [r'no kind "VaultService" is registered']),
    ("rollout undo vs/files", 1, [r'no kind "VaultService" is registered']),
    ("rollout restart vs/files", 1, [r'no kind "VaultService" is registered']),
    ("logs vs/files", 1, [r'no kind "VaultService" is registered']),
    ("set image vs/files a=b", 1, [r'no kind "VaultService" is registered']),
    ("auth can-i * *", 0, [r"\Ayes\n"]),
    ("cluster-info", 1, [r'doesn\'t have a resource type "services"']),
    ("get certificates", 0, [r"No resources found in default namespace"]),
    ("get certs -A", 0, [r"No resources found"]),
    ("get images", 0, [r"\ANAME +SERVICE +WORKLOAD +IMAGE +RUNNING +NEWEST", r"^files\.whoami +files +whoami +vault-rec"]),
    ("get exporters -o wide", 0, [r"No resources found in default namespace"]),
    ("get findings", 0, [r"\ANAME +LEVEL +CHECK +MESSAGE$", r"^0001-engine +ok +engine +Docker 26\.1\.5"]),
    ("get tokens", 0, [r"\ANAME +USER +ROLE +WAY +AGE +EXPIRES$", r"^[0-9a-f]{8} +admin +admin +token +\d+s "]),
    ("get users", 0, [r"No resources found"]),
    ("delete token 00000000", 1, [r'tokens\.vault\.internal "00000000" not found']),
    ("explain token.spec", 0, [r"^  expirationSeconds\t<integer>$", r"^  user\t<string> -required-$"]),
    ("explain certificate.status", 0, [r"^  notAfter\t<string>$"]),
    ("create --raw /apis/vault.internal/v1alpha1/tokens -f /dev/null", 1, [r"BadRequest"]),
    ("get --raw /healthz", 0, [r"\Aok\Z"]),
    ("get --raw /apis", 0, [r'"kind": "APIGroupList"']),
    ("get --raw /apis/vault.internal", 0, [r'"kind": "APIGroup"']),
    ("get --raw /apis/vault.internal/v1alpha1", 0, [r'"singularName": "vaultservice"']),
    ("get --raw /api", 0, [r'"versions": \["v1"\]']),
    ("get --raw /apis/apps/v1", 1, [r"NotFound.*could not find the requested resource"]),
    ("get --raw /apis/vault.internal/v1alpha1/vaultservices?limit=x", 1, [r"BadRequest"]),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "patterns"), TABLE, ids=[each[0] for each in TABLE])
def test_kubectl(cluster: Cluster, line: str, code: int, patterns: list[str]) -> None:
    words = [word.replace("\0", " ") for word in line.replace("\\ ", "\0").split(" ")]
    done = cluster.kubectl(*words)
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    for pattern in patterns:
        assert re.search(pattern, printed, re.MULTILINE), printed


@pytest.mark.parametrize(
    ("role", "verb", "answer"),
    [
        *[("view", "list", "yes"), ("view", "delete", "no"), ("view", "*", "no"), ("edit", "*", "no")],
        *[("edit", "patch", "yes"), ("admin", "delete", "yes"), ("admin", "*", "yes")],
    ],
)
def test_roles_are_what_can_i_says(cluster: Cluster, role: str, verb: str, answer: str) -> None:
    done = cluster.kubectl("auth", "can-i", verb, "vs", role=role)
    assert done.stdout.split()[0] == answer, done.stderr


def test_without_a_valid_token_there_is_only_health(cluster: Cluster) -> None:
    refused = cluster.kubectl("get", "vs", "--token", "vault_00000000_" + "x" * 43)
    assert refused.returncode == 1
    assert "You must be logged in to the server (Unauthorized)" in refused.stderr
    assert cluster.kubectl("get", "--raw", "/livez", "--token", "nothing").stdout == "ok"


def test_a_revoked_token_is_refused_at_once(cluster: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(cluster.vaultctl("kubeconfig", "--server", cluster.url, "--user", "leaving"))
    assert cluster.kubectl("get", "vs", "--kubeconfig", str(config)).returncode == 0
    listed = cluster.vaultctl("token", "list")
    (identifier,) = (line.split()[0] for line in listed.splitlines() if " leaving " in line)
    assert "revoked" in cluster.vaultctl("token", "revoke", identifier)
    assert "Unauthorized" in cluster.kubectl("get", "vs", "--kubeconfig", str(config)).stderr


TOKEN = """
apiVersion: vault.internal/v1alpha1
kind: Token
metadata: {generateName: token-}
spec: {user: emil, role: edit, expirationSeconds: 3600}
"""


def test_kubectl_creates_a_token_and_sets_a_password(cluster: Cluster) -> None:
    # kubectl only finds out that the server validates where a resource can be patched.
    create = ("create", "--validate=false", "-f", "-")
    made = cluster.kubectl(*create, "-o", "jsonpath={.status.token}", stdin=TOKEN)
    assert made.stdout.startswith("vault_"), made.stderr
    shown = cluster.kubectl("auth", "whoami", "--token", made.stdout, role="view")
    assert re.search(r"^Username +emil$", shown.stdout, re.MULTILINE), shown.stderr
    assert "is forbidden" in cluster.kubectl(*create, role="edit", stdin=TOKEN).stderr
    path = "/apis/vault.internal/v1alpha1/users/emil/password"
    body = '{"spec": {"password": "correct horse battery", "role": "view"}}'
    done = cluster.kubectl("create", "--raw", path, "-f", "-", stdin=body)
    assert done.returncode == 0, done.stderr
    assert "horse" not in done.stdout
    assert re.search(r"^emil +view ", cluster.kubectl("get", "users").stdout, re.MULTILINE)
    assert 'user.vault.internal "emil" deleted' in cluster.kubectl("delete", "user", "emil").stdout


def test_get_watch_prints_what_changes(tmp_path: Path) -> None:
    with served(tmp_path / "state", tmp_path) as cluster:
        cluster.apply(MANIFESTS)
        cluster.until(lambda: "wiki" in cluster.kubectl("get", "vs").stdout)
        watching = cluster.follow("get", "vs", "-w", "-o", "custom-columns=N:.metadata.name,R:.spec.replicas")
        try:
            assert watching.stdout is not None
            lines = iter(watching.stdout.readline, "")
            first = [next(lines).split() for _ in range(3)]
            assert first == [["N", "R"], ["files", "2"], ["wiki", "<none>"]]
            cluster.apply(MANIFESTS.replace("replicas: 2", "replicas: 5"))
            assert next(lines).split() == ["files", "5"]
            cluster.application.objects.remove("wiki")
            assert next(lines).split() == ["wiki", "<none>"]
        finally:
            watching.kill()
            watching.communicate(timeout=10)
