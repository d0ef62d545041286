"""Verbs over the API do what they do on the state directory: the same words, the same output, the same objects."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from reconciler.api import Condition, ReplicaCounts, Status
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.cli.remote.verbs import WORKS
from reconciler.cli.root import root
from reconciler.cli.session import Session
from tests.web.kube.cluster import NOW, Cluster, served

MANIFESTS = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files, labels: {team: a}, annotations: {note: kept}}
spec: {plugin: whoami, replicas: 2, ports: {http: 8081}, env: {LEVEL: info}}
---
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: wiki, labels: {team: b}}
spec: {plugin: whoami, ports: {http: 8082}}
---
apiVersion: vault.internal/v1alpha1
kind: VaultGateway
metadata: {name: main}
spec: {listeners: [{name: web, port: 8080, protocol: HTTP}]}
"""
NEW = """
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: NAME}
spec: {plugin: whoami, ports: {http: PORT}}
"""


def ready(generation: int) -> Status:
    condition = Condition(
        type="Ready",
        status="True",
        reason="RolloutComplete",
        message="2 of 2 replicas serve",
        last_transition_time=NOW,
        observed_generation=generation,
    )
    return Status(
        observed_generation=generation,
        replicas=ReplicaCounts(desired=2, current=2, updated=2, ready=2, serving=2),
        conditions=(condition,),
    )


class Remote:
    """The cluster, and a vaultctl that reaches it only over the API."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.nowhere = cluster.home / "nowhere"

    def __call__(self, *words: str, role: str = "edit", input: str | None = None) -> Result:
        session = Session(state_dir=self.nowhere, kubeconfig=self.cluster.kubeconfig(role))
        return CliRunner().invoke(root, list(words), obj=session, input=input)

    def right(self, *words: str, **options: Any) -> str:
        done = self(*words, **options)
        assert done.exit_code == 0, done.output
        return done.stdout

    def stored(self, name: str) -> Any:
        found = self.cluster.application.objects.get(name)
        assert found is not None
        return found

    def add(self, name: str, port: int) -> None:
        """A service of `vaultctl apply` that nothing else is about."""
        self.cluster.apply(NEW.replace("NAME", name).replace("PORT", str(port)))
        self.cluster.until(lambda: name in self.cluster.kubectl("get", "vs").stdout)


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    home = tmp_path_factory.mktemp("remote")
    with served(home / "state", home) as cluster:
        cluster.apply(MANIFESTS)
        cluster.application.objects.put_status("files", ready(1))
        events = cluster.application.history
        events.record_event("files", "Normal", "RolloutComplete", "2 of 2 replicas serve", NOW)
        later = NOW + timedelta(minutes=1)
        events.record_event("wiki", "Warning", "Engine", "the engine is away", later)
        later += timedelta(minutes=1)
        events.of(VAULT_GATEWAY).record_event("main", "Normal", "Ready", "listens on port 8080", later)
        cluster.until(lambda: "True" in cluster.kubectl("get", "vs").stdout)
        yield Remote(cluster)


AGE = re.compile(r" +(?:-|[0-9]+[smhd]) +(?=http)")
READS = [
    "get -o name",
    "get files",
    "get --no-headers",
    "get files -o jsonpath={.spec.replicas}",
    "get files -o jsonpath={.status.replicas.serving}",
    "get -o custom-columns=NAME:.metadata.name,PLUGIN:.spec.plugin",
    "get -l team=a -o name",
    "get -l team!=a,team -o name",
    "get -L team -o name",
    "get --sort-by .metadata.name -o name",
    "get gateways -o name",
    "get vg/main -o jsonpath={.spec.listeners[0].port}",
    "get vs/wiki vg/main -o name",
    "get files -o json",
    "get -o yaml",
    "events -o json --limit 2",
    "events files",
    "events gateway main -o json",
    "wait files --for=condition=Ready --timeout 0s",
    "wait files --for=jsonpath={.status.replicas.serving}=2 --timeout 0s",
    "wait -l team=a --for=condition=Ready --timeout 0s",
    "rollout status files",
]


@pytest.mark.parametrize("line", READS)
def test_reads_give_what_the_state_directory_gives(remote: Remote, line: str) -> None:
    words = line.split()
    here = remote.cluster.vaultctl(*words)
    there = remote.right(*words, role="view")
    if "-o" not in words or "name" in words:
        # An age is in whole seconds, and counts from the first rollout where there is one.
        assert AGE.sub(" AGE ", there) == AGE.sub(" AGE ", here)
    else:
        assert there == here
    assert not remote.nowhere.exists()


def test_an_age_is_shown(remote: Remote) -> None:
    (row,) = remote.right("get", "files", "--no-headers").splitlines()
    assert re.search(r" [0-9]+[smh] +http", row)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("get", "fils"), "there is no VaultService 'fils'; did you mean 'files'?"),
        (("get", "pods/x"), "there is no kind 'pods'"),
        (("scale", "nothing", "--replicas", "2"), "there is no VaultService 'nothing'"),
        (("rollout", "undo", "files"), "there is no complete revision before the present one"),
        (("delete", "files", "--volumes", "--yes"), "run vaultctl delete --volumes on that machine"),
    ],
)
def test_mistakes_are_named_as_usual(remote: Remote, words: tuple[str, ...], says: str) -> None:
    done = remote(*words, input=MANIFESTS)
    assert done.exit_code == 1
    assert says in done.stderr


def test_diff_and_a_dry_run_of_apply_name_the_fields_that_differ(remote: Remote) -> None:
    path = remote.cluster.home / "diff.yaml"
    path.write_text(MANIFESTS.replace("replicas: 2", "replicas: 4").replace("name: wiki", "name: wiki2"))
    path.write_text(path.read_text().replace("8082", "8115"))
    expected = [
        "vaultservice/files: its spec differs",
        "  spec.replicas",
        "vaultservice/wiki2: is not stored yet",
        "vaultgateway/main: nothing differs",
    ]
    done = remote("diff", "-f", str(path))
    assert (done.exit_code, done.stdout.splitlines()) == (1, expected)
    done = remote("apply", "--dry-run", "-f", str(path))
    assert (done.exit_code, done.stdout.splitlines()) == (0, expected)
    assert remote.stored("files").resource.spec.replicas == 2
    path.write_text(MANIFESTS)
    assert remote("diff", "-f", str(path)).exit_code == 0
    path.write_text(MANIFESTS.replace("whoami", "nothing"))
    assert remote("diff", "-f", str(path)).exit_code == 2


def test_describe_shows_all_but_containers(remote: Remote) -> None:
    here = remote.cluster.vaultctl("describe", "files")
    there = remote.right("describe", "files", role="view")
    assert re.search(f"^Origin: +{remote.cluster.url}$", there, re.M)
    assert "kubectl get pods -o wide -l vault.internal/object=files" in there

    def parts(text: str) -> dict[str, str]:
        return {each.partition(":")[0]: each for each in text.split("\n\n")}

    for title in ("Spec", "Conditions", "Last 15 events"):
        assert parts(there)[title] == parts(here)[title]
    gateway = remote.right("describe", "gateway", "main", role="view")
    assert "kubectl get pods -o wide -l vault.internal/object=main" in gateway
    assert "listens on port 8080" in gateway


def test_who_may_only_read_is_told_so(remote: Remote) -> None:
    done = remote("scale", "files", "--replicas", "3", role="view")
    assert done.exit_code == 1
    assert 'User "view" cannot update resource "vaultservices"' in done.stderr


def test_a_story_of_writes(remote: Remote) -> None:
    remote.add("story", 8101)
    steps: list[tuple[str, Any]] = [
        ("scale story --replicas 3", lambda spec, meta: spec.replicas == 3),
        ("set story env.LEVEL=debug", lambda spec, meta: spec.env["LEVEL"] == "debug"),
        ("label story team=c", lambda spec, meta: meta.labels == {"team": "c"}),
        ("annotate story note=x", lambda spec, meta: meta.annotations == {"note": "x"}),
        ("label story team-", lambda spec, meta: not meta.labels),
        ("suspend story", lambda spec, meta: spec.suspend),
        ("resume story", lambda spec, meta: not spec.suspend),
        ("stop story", lambda spec, meta: spec.replicas == 0),
        ("start story", lambda spec, meta: spec.replicas == 3),
        ("rollout pause story", lambda spec, meta: spec.strategy.paused),
        ("rollout resume story", lambda spec, meta: not spec.strategy.paused),
        ("rollout restart story", lambda spec, meta: spec.restarted_at is not None),
        ("rotate story", lambda spec, meta: spec.rotated_at is not None),
    ]
    for line, is_right in steps:
        remote.right(*line.split())
        resource = remote.stored("story").resource
        assert is_right(resource.spec, resource.metadata), line
    last = (remote.cluster.state / "audit.jsonl").read_text().splitlines()[-1]
    assert (json.loads(last)["user"], json.loads(last)["verb"], json.loads(last)["code"]) == (
        "edit",
        "update",
        200,
    )
    assert "nothing to change" in remote.right("scale", "story", "--replicas", "3")


def test_a_dry_run_writes_nothing(remote: Remote) -> None:
    shown = remote.right("scale", "files", "--replicas", "7", "--dry-run")
    assert "+  replicas: 7" in shown
    assert remote.stored("files").resource.spec.replicas == 2


def test_edit_asks_an_editor_and_writes(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    remote.add("edited", 8102)
    editor = remote.cluster.home / "sed"
    editor.write_text('#!/bin/sh\nsed -i "s/8102/8103/" "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    remote.right("edit", "edited")
    assert remote.stored("edited").resource.spec.ports.http == 8103


def test_a_change_of_another_user_meanwhile_is_not_lost_and_a_status_does_not_matter(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.add("shared", 8112)
    editor = remote.cluster.home / "slow"
    editor.write_text(
        '#!/bin/sh\nsed -i "s/8112/8113/" "$1"\ntouch "$0.asked"\nwhile [ ! -e "$0.go" ]; do sleep 0.05; done\n'
    )
    editor.chmod(0o755)
    asked, go = (remote.cluster.home / f"slow.{each}" for each in ("asked", "go"))
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    objects = remote.cluster.application.objects
    results: list[Result] = []
    for is_lost, change in (
        (True, lambda: remote.cluster.kubectl("scale", "vs/shared", "--replicas=5")),
        (False, lambda: objects.put_status("shared", ready(2))),
    ):
        for each in (asked, go):
            each.unlink(missing_ok=True)
        editing = threading.Thread(target=lambda: results.append(remote("edit", "shared")), daemon=True)
        editing.start()
        remote.cluster.until(asked.exists)
        change()
        go.touch()
        editing.join(30)
        done = results[-1]
        if is_lost:
            assert done.exit_code == 1
            assert "shared was changed meanwhile; run this again" in done.stderr
            assert remote.stored("shared").resource.spec.replicas == 5
        else:
            assert done.exit_code == 0, done.output
            assert remote.stored("shared").resource.spec.ports.http == 8113


def test_apply_creates_and_replaces_as_usual(remote: Remote) -> None:
    manifest = NEW.replace("NAME", "applied").replace("PORT", "8104")
    path = remote.cluster.home / "applied.yaml"
    path.write_text(manifest)
    assert remote.right("apply", "-f", str(path)) == "vaultservice/applied created\n"
    assert remote.right("apply", "-f", str(path)) == "vaultservice/applied unchanged\n"
    path.write_text(manifest.replace("plugin: whoami", "plugin: whoami, replicas: 2"))
    assert remote.right("apply", "-f", str(path)) == "vaultservice/applied configured\n"
    assert remote.stored("applied").resource.spec.replicas == 2
    # What is left out of a manifest goes.
    path.write_text(manifest)
    remote.right("apply", "-f", str(path))
    assert remote.stored("applied").resource.spec.replicas is None


def test_what_clients_of_the_api_have_set_stays(remote: Remote) -> None:
    remote.add("kept", 8105)
    patch = {"metadata": {"finalizers": ["example.com/backup"]}}
    done = remote.cluster.kubectl("patch", "vs/kept", "--type=merge", "-p", json.dumps(patch))
    assert done.returncode == 0, done.stderr
    remote.right("scale", "kept", "--replicas", "2")
    assert remote.stored("kept").api.finalizers == ("example.com/backup",)


def test_a_wrong_manifest_is_refused_with_every_mistake_of_the_controller(remote: Remote) -> None:
    path = remote.cluster.home / "wrong.yaml"
    right = NEW.replace("NAME", "right").replace("PORT", "8111")
    wrong, also = (
        NEW.replace("NAME", name).replace("PORT", port).replace("whoami", "nothing")
        for name, port in (("wrong", "8106"), ("also", "8114"))
    )
    path.write_text(f"{right}---{wrong}---{also}")
    done = remote("apply", "-f", str(path))
    assert done.exit_code == 1
    assert done.stderr.count("there is no plugin 'nothing'") == 2
    assert f"{path}:7: " in done.stderr
    assert f"{path}:12: " in done.stderr
    for name in ("right", "wrong", "also"):
        assert remote.cluster.application.objects.get(name) is None


def test_apply_waits_for_the_controller(remote: Remote) -> None:
    path = remote.cluster.home / "waited.yaml"
    path.write_text(NEW.replace("NAME", "waited").replace("PORT", "8107"))
    objects = remote.cluster.application.objects

    def work() -> None:
        remote.cluster.until(lambda: objects.get("waited"))
        objects.put_status("waited", ready(1))

    controller = threading.Thread(target=work, daemon=True)
    controller.start()
    assert "waited is Ready" in remote.right("apply", "-f", str(path), "--wait", "--timeout", "30s")
    controller.join(10)


def test_delete_waits_until_it_is_gone(remote: Remote) -> None:
    remote.add("gone", 8108)
    objects = remote.cluster.application.objects

    def work() -> None:
        remote.cluster.until(lambda: (stored := objects.get("gone")) is not None and stored.deletion)
        objects.remove("gone")

    controller = threading.Thread(target=work, daemon=True)
    controller.start()
    assert remote.right("delete", "gone", "--timeout", "30s") == "vaultservice/gone deleted\n"
    controller.join(10)
    assert "gone" not in remote.right("get", "-o", "name")


def test_a_service_of_a_directory_is_edited_in_its_file_and_one_of_git_is_refused(remote: Remote) -> None:
    path = remote.cluster.home / "sourced.yaml"
    path.write_text(NEW.replace("NAME", "sourced").replace("PORT", "8109"))
    from reconciler.api import parse
    from reconciler.store.base import Origin

    (manifest,) = parse(path.read_text(), path)
    objects = remote.cluster.application.objects
    objects.apply(manifest.resource, Origin("directory", str(path.parent), path, 1))  # type: ignore[arg-type]
    remote.cluster.until(lambda: "sourced" in remote.cluster.kubectl("get", "vs").stdout)
    remote.right("scale", "sourced", "--replicas", "2")
    assert "replicas: 2" in path.read_text()
    objects.apply(manifest.resource, Origin("git", "https://git.example.org/infra", path, 1))  # type: ignore[arg-type]
    remote.cluster.until(
        lambda: "git.example" in remote.cluster.kubectl("get", "vs/sourced", "-o", "yaml").stdout
    )
    done = remote("scale", "sourced", "--replicas", "3")
    assert done.exit_code == 1
    assert "it comes from the repository https://git.example.org/infra" in done.stderr


def test_get_watches(remote: Remote) -> None:
    """A process, because it never ends by itself."""
    import os
    import subprocess
    import sys

    remote.add("watched", 8110)
    words = ["get", "watched", "-o", "jsonpath={.spec.replicas}x", "--watch"]
    environ = {**os.environ, "VAULT_KUBECONFIG": str(remote.cluster.kubeconfig("view"))}
    with subprocess.Popen(
        [sys.executable, "-m", "reconciler.cli", *words], stdout=subprocess.PIPE, text=True, env=environ
    ) as watching:
        assert watching.stdout is not None
        assert watching.stdout.read(1) == "x"
        remote.right("scale", "watched", "--replicas", "2")
        assert watching.stdout.read(2) == "2x"
        watching.terminate()
        watching.wait(10)


def test_a_login_that_is_not_accepted_and_a_server_that_is_not_there(remote: Remote, tmp_path: Path) -> None:
    config = yaml.safe_load(remote.cluster.kubeconfig("edit").read_text())
    config["users"][0]["user"]["token"] = "vault_00000000_" + "x" * 43
    (tmp_path / "wrong").write_text(yaml.safe_dump(config))
    session = Session(state_dir=remote.nowhere, kubeconfig=tmp_path / "wrong")
    done = CliRunner().invoke(root, ["get"], obj=session)
    assert done.exit_code == 1
    assert "does not accept the login" in done.stderr
    assert "x" * 43 not in done.output
    session = Session(state_dir=remote.nowhere, server=remote.cluster.url, token="t" * 20)
    done = CliRunner().invoke(root, ["get"], obj=session)
    assert "is not trusted" in done.stderr
    assert "--certificate-authority" in done.stderr
    session = Session(state_dir=remote.nowhere, server="https://127.0.0.1:1", token="t" * 20)
    done = CliRunner().invoke(root, ["get"], obj=session)
    assert (
        "cannot reach https://127.0.0.1:1: Connection refused; is `vaultctl run --api` running there?"
        in done.stderr
    )


def test_a_client_certificate_of_a_kubeconfig_is_shown(remote: Remote, tmp_path: Path) -> None:
    words = ("kubeconfig", "--client-certificate", "--user", "dora", "--server", remote.cluster.url)
    (tmp_path / "dora").write_text(remote.cluster.vaultctl(*words))
    session = Session(state_dir=remote.nowhere, kubeconfig=tmp_path / "dora")
    assert CliRunner().invoke(root, ["get", "-o", "name"], obj=session).exit_code == 0


def test_environment_variables_name_it_as_well(remote: Remote, tmp_path: Path) -> None:
    config = yaml.safe_load(remote.cluster.kubeconfig("view").read_text())
    cluster = config["clusters"][0]["cluster"]
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    environ = {
        "VAULT_SERVER": remote.cluster.url,
        "VAULT_TOKEN": config["users"][0]["user"]["token"],
        "VAULT_CERTIFICATE_AUTHORITY": str(tmp_path / "ca.crt"),
    }
    done = CliRunner().invoke(root, ["get", "-o", "name"], obj=Session(state_dir=remote.nowhere), env=environ)
    assert done.exit_code == 0, done.output
    assert "vaultservice/files" in done.stdout


def test_every_verb_that_works_was_tried() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    for verb in WORKS:
        words = '", "'.join(verb.split())
        assert f'"{verb} ' in text or f'"{words}"' in text, verb
