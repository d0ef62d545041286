"""kubectl with a token of an OIDC issuer, and with client certificates: who it is, what it may do, what the log says."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from reconciler.api import PermanentError
from reconciler.cli.api_options import ApiFlags
from reconciler.cli.api_serving import serving_api
from reconciler.wiring import Options, wire
from tests.web.kube.cluster import Cluster, served
from tests.web.kube.instances import FakeInstances, instance
from tests.web.kube.issuer import CLIENT_ID, Issuer, Pair, authority, client, issuing

MANIFEST = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files}
spec: {plugin: whoami}
"""
POD = "vault-files-web-1"
OURS = authority("authority of the operator")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with issuing(tmp_path_factory.mktemp("issuer")) as found:
        yield found


@pytest.fixture(scope="module")
def cluster(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("kubectl")
    (home / "clients.crt").write_bytes(OURS.pem)
    flags = ApiFlags(
        client_ca_file=home / "clients.crt",
        oidc_issuer_url=issuer.url,
        oidc_client_id=CLIENT_ID,
        oidc_username_prefix="id:",
        oidc_groups_claim="groups",
        oidc_ca_file=issuer.ca_file,
        grants=("edit=group:deployers", "view=group:staff", "admin=user:root"),
    )
    instances = FakeInstances([instance(POD)])
    with served(home / "state", home, instances=instances, flags=flags) as found:
        found.apply(MANIFEST)
        found.until(lambda: "files" in found.kubectl("get", "vs").stdout)
        yield found


def login(cluster: Cluster, name: str, user: Mapping[str, Any]) -> str:
    """A kubeconfig with this login, as a role of the cluster."""
    config = yaml.safe_load(cluster.kubeconfig("admin").read_text())
    config["users"][0]["user"] = dict(user)
    (cluster.home / f"{name}.kubeconfig").write_text(yaml.safe_dump(config))
    return name


def with_certificate(cluster: Cluster, name: str, shown: Pair) -> str:
    data = {"client-certificate-data": shown.pem, "client-key-data": shown.key_pem}
    return login(cluster, name, {key: base64.b64encode(value).decode() for key, value in data.items()})


def whoami(cluster: Cluster, role: str) -> dict[str, Any]:
    done = cluster.kubectl("auth", "whoami", "-o", "json", role=role)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["status"]["userInfo"]
    return found


def written(cluster: Cluster) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (cluster.state / "audit.jsonl").read_text().splitlines()]


def test_kubectl_with_a_token_of_the_issuer(cluster: Cluster, issuer: Issuer) -> None:
    token = issuer.token(sub="anna", groups=["deployers", "system:masters"])
    role = login(cluster, "oidc-edit", {"token": token})
    assert whoami(cluster, role) == {
        "username": "id:anna",
        "groups": ["deployers", "system:authenticated"],
        "extra": {"vault.internal/oidc": [issuer.url]},
    }
    assert cluster.kubectl("get", "vs", role=role).returncode == 0
    assert cluster.kubectl("scale", "vs/files", "--replicas=3", role=role).returncode == 0
    assert cluster.kubectl("auth", "can-i", "delete", "vs", role=role).stdout == "yes\n"
    last = written(cluster)[-1]
    assert (last["user"], last["way"], last["oidc"]) == ("id:anna", "oidc", issuer.url)
    assert (last["role"], last["code"], last["client"]) == ("edit", 200, "127.0.0.1")
    assert token not in (cluster.state / "audit.jsonl").read_text()


def test_kubectl_gets_its_token_from_a_program_as_kubelogin_is_one(cluster: Cluster, issuer: Issuer) -> None:
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": issuer.token(sub="ben", groups="staff")},
    }
    (cluster.home / "credential.json").write_text(json.dumps(credential))
    program = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "cat",
        "args": [str(cluster.home / "credential.json")],
        "interactiveMode": "Never",
    }
    role = login(cluster, "oidc-view", {"exec": program})
    assert whoami(cluster, role)["groups"] == ["staff", "system:authenticated"]
    assert cluster.kubectl("get", "vs", role=role).returncode == 0
    refused = cluster.kubectl("delete", "vs", "files", role=role)
    assert refused.returncode == 1
    assert 'User "id:ben" cannot delete resource "vaultservices"' in refused.stderr
    assert "the role of the user is view" in refused.stderr


def test_a_user_without_a_grant_knows_who_it_is_and_no_more(cluster: Cluster, issuer: Issuer) -> None:
    role = login(cluster, "oidc-none", {"token": issuer.token(sub="root")})
    assert whoami(cluster, role)["username"] == "id:root"
    refused = cluster.kubectl("get", "vs", role=role)
    assert refused.returncode == 1
    assert "no role was granted to the user or its groups" in refused.stderr
    assert cluster.kubectl("auth", "can-i", "get", "vs", role=role).stdout.startswith(
        "no - no role was granted"
    )
    assert cluster.kubectl("auth", "can-i", "--list", role=role).returncode == 0


def test_what_is_no_token_of_the_issuer_is_unauthorized(cluster: Cluster, issuer: Issuer) -> None:
    for token in (issuer.token(aud="another"), issuer.token(exp=1), "a.b.c"):
        role = login(cluster, "oidc-wrong", {"token": token})
        refused = cluster.kubectl("get", "vs", role=role)
        assert refused.returncode == 1
        assert "You must be logged in to the server" in refused.stderr


def test_other_ways_in_work_while_the_issuer_is_away(issuer: Issuer, tmp_path: Path) -> None:
    flags = ApiFlags(
        oidc_issuer_url=issuer.url, oidc_client_id=CLIENT_ID, oidc_ca_file=issuer.ca_file, grants=()
    )
    issuer.away = True
    try:
        with served(tmp_path / "state", tmp_path, flags=flags) as found:
            role = login(found, "oidc-away", {"token": issuer.token()})
            assert found.kubectl("get", "vs", role=role).returncode == 1
            assert found.kubectl("get", "vs", role="view").returncode == 0
    finally:
        issuer.away = False


def test_kubectl_with_a_client_certificate(cluster: Cluster) -> None:
    shown = client(OURS, "carla", groups=("deployers", "system:masters"))
    role = with_certificate(cluster, "certificate", shown)
    serial = f"{shown.certificate.serial_number:x}"
    assert whoami(cluster, role) == {
        "username": "carla",
        "groups": ["deployers", "system:authenticated"],
        "extra": {"vault.internal/certificate": [serial]},
    }
    assert cluster.kubectl("label", "vs/files", "by=carla", role=role).returncode == 0
    last = written(cluster)[-1]
    assert (last["user"], last["way"], last["certificate"]) == ("carla", "certificate", serial)


def test_commands_over_websockets_know_each_way_in(cluster: Cluster, issuer: Issuer) -> None:
    root = with_certificate(cluster, "root", client(OURS, "root"))
    done = cluster.kubectl("exec", POD, "--", "echo", "0", role=root)
    assert (done.returncode, done.stdout) == (0, "echo 0\n")
    last = written(cluster)[-1]
    assert (last["user"], last["way"], last["resource"], last["code"]) == (
        "root",
        "certificate",
        "pods/exec",
        101,
    )
    anna = login(cluster, "oidc-exec", {"token": issuer.token(sub="anna", groups=["deployers"])})
    refused = cluster.kubectl("exec", POD, "--", "true", role=anna)
    assert refused.returncode == 1
    assert "the role of the user is edit" in refused.stderr


def test_a_certificate_counts_more_than_a_token(cluster: Cluster) -> None:
    role = with_certificate(cluster, "both", client(OURS, "carla", groups=("staff",)))
    path = cluster.home / f"{role}.kubeconfig"
    config = yaml.safe_load(path.read_text())
    admin = yaml.safe_load(cluster.kubeconfig("admin").read_text())
    config["users"][0]["user"]["token"] = admin["users"][0]["user"]["token"]
    path.write_text(yaml.safe_dump(config))
    assert whoami(cluster, role)["username"] == "carla"


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (client(OURS, "carla", groups=("deployers",), life=timedelta(hours=-1)), "expired certificate"),
        (client(authority("stranger"), "carla", groups=("deployers",)), "unknown certificate authority"),
        (client(authority("authority of the operator"), "root"), "tls: "),
        (client(OURS, "system:admin"), "You must be logged in"),
        (client(OURS, "root", groups=("vault:admin",)), "You must be logged in"),
    ],
)
def test_other_certificates_are_refused(cluster: Cluster, shown: Pair, says: str) -> None:
    role = with_certificate(cluster, "refused", shown)
    refused = cluster.kubectl("get", "vs", role=role)
    assert refused.returncode == 1
    assert says in refused.stderr


def test_the_servers_own_certificate_is_no_client(cluster: Cluster) -> None:
    api = cluster.state / "api"
    login_ = {"client-certificate": str(api / "tls.crt"), "client-key": str(api / "tls.key")}
    refused = cluster.kubectl("get", "vs", role=login(cluster, "server", login_))
    assert refused.returncode == 1
    assert "tls: " in refused.stderr


def test_a_kubeconfig_with_a_certificate_of_this_state_directory_can_be_revoked(cluster: Cluster) -> None:
    words = ("kubeconfig", "--client-certificate", "--user", "dora", "--role", "edit")
    (cluster.home / "dora.kubeconfig").write_text(cluster.vaultctl(*words, "--server", cluster.url))
    found = whoami(cluster, "dora")
    assert (found["username"], found["groups"]) == ("dora", ["vault:edit", "system:authenticated"])
    (identifier,) = found["extra"]["vault.internal/certificate"]
    assert cluster.kubectl("annotate", "vs/files", "by=dora", role="dora").returncode == 0
    (row,) = [each for each in cluster.vaultctl("token", "list").splitlines() if identifier in each]
    assert row.split()[1:4] == ["dora", "edit", "certificate"]
    cluster.vaultctl("token", "revoke", identifier)
    refused = cluster.kubectl("get", "vs", role="dora")
    assert refused.returncode == 1
    assert "You must be logged in" in refused.stderr


def test_a_watch_ends_with_the_certificate_that_was_revoked(cluster: Cluster) -> None:
    words = ("kubeconfig", "--client-certificate", "--user", "emil", "--server", cluster.url)
    (cluster.home / "emil.kubeconfig").write_text(cluster.vaultctl(*words))
    with cluster.follow("get", "vs", "-w", role="emil") as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        (row,) = [each for each in cluster.vaultctl("token", "list").splitlines() if " emil " in each]
        cluster.vaultctl("token", "revoke", row.split()[0])
        # A change is what a watch wakes up for.
        cluster.kubectl("annotate", "vs/files", "woken=true", "--overwrite")
        watching.wait(60)
        watching.stdout.read()


def test_a_token_that_is_larger_than_a_header_may_be_is_refused(cluster: Cluster, issuer: Issuer) -> None:
    context = ssl.create_default_context(cafile=str(cluster.state / "api" / "ca.crt"))
    for size in (11_000, 100_000):
        headers = {"Authorization": f"Bearer {issuer.token(filler='x' * size)}"}
        answer = httpx.get(f"{cluster.url}/api", headers=headers, verify=context)
        assert answer.status_code in (400, 401, 431)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"grants": ("root=user:a",)}, "--grant: 'root=user:a' is no grant"),
        (
            {"oidc_issuer_url": "http://id", "oidc_client_id": "a"},
            "--oidc-issuer-url: 'http://id' is not an https:// URL",
        ),
        ({"client_ca_file": Path(__file__)}, "--client-ca-file: "),
        ({"client_ca_file": Path("/nonexistent")}, "cannot read /nonexistent"),
    ],
)
def test_an_option_that_cannot_be_used_ends_the_start(
    tmp_path: Path, flags: dict[str, Any], says: str
) -> None:
    (tmp_path / "state").mkdir(mode=0o711)
    application = wire(Options(state_dir=tmp_path / "state"))
    with (
        pytest.raises(PermanentError, match=says.replace("(", r"\(")),
        serving_api(application, "127.0.0.1:0", flags=ApiFlags(**flags)),
    ):
        pass
