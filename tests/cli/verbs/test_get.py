"""`get`: tables for people, documents for programs."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from reconciler.api import Metadata, ReplicaCounts, Status, VaultService, parse
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.vaultgateway import VaultGateway
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore
from tests.stored import service_of

Vaultctl = Callable[..., Result]
MakeService = Callable[..., VaultService]
MakeStatus = Callable[..., Status]


@pytest.fixture
def two(
    objects: ObjectStore, make_service: MakeService, make_status: MakeStatus, origin: Origin
) -> ObjectStore:
    objects.apply(make_service("files", replicas=3), origin)
    objects.apply(make_service("wiki", ports={"http": 8081}), origin)
    counts = ReplicaCounts(desired=3, current=3, updated=3, ready=3, serving=2)
    status = make_status(Ready=("False", "Progressing", "files-web-3 is starting"))
    objects.put_status("files", status.model_copy(update={"replicas": counts, "revision": "v1-abc"}))
    return objects


def test_nothing_yet(vaultctl: Vaultctl) -> None:
    done = vaultctl("get")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "there are no services in" in done.stderr
    assert json.loads(vaultctl("get", "-o", "json").stdout)["items"] == []
    assert vaultctl("get", "-o", "name").stdout.strip() == ""


def test_the_table(vaultctl: Vaultctl, two: ObjectStore) -> None:
    lines = vaultctl("get").stdout.splitlines()
    assert lines[0].split() == ["NAME", "PLUGIN", "READY", "REVISION", "AGE", "URL", "MESSAGE"]
    assert lines[1].split()[:4] == ["files", "whoami", "2/3", "v1-abc"]
    assert "files-web-3 is starting" in lines[1]
    assert "http://127.0.0.1:8081/" in lines[2]
    assert "waits for a controller" in lines[2]


def test_wide_adds_columns(vaultctl: Vaultctl, two: ObjectStore, tmp_path: Path) -> None:
    lines = vaultctl("get", "files", "-o", "wide").stdout.splitlines()
    assert lines[0].split()[-5:] == ["UPDATED", "NODES", "GENERATION", "ORIGIN", "MESSAGE"]
    assert f"apply {tmp_path}/files.yaml:1" in lines[1]


def test_names(vaultctl: Vaultctl, two: ObjectStore) -> None:
    assert vaultctl("get", "-o", "name").stdout.split() == ["vaultservice/files", "vaultservice/wiki"]


def test_one_document_or_a_list(vaultctl: Vaultctl, two: ObjectStore) -> None:
    one = json.loads(vaultctl("get", "files", "-o", "json").stdout)
    assert one["status"]["conditions"][0]["reason"] == "Progressing"
    assert one["status"]["observedGeneration"] == 1
    many = yaml.safe_load(vaultctl("get", "-o", "yaml").stdout)
    assert [each["metadata"]["name"] for each in many["items"]] == ["files", "wiki"]


def test_what_is_printed_can_be_applied_again(vaultctl: Vaultctl, two: ObjectStore) -> None:
    text = vaultctl("get", "files", "-o", "yaml").stdout
    (again,) = parse(text, Path("files.yaml"))
    stored = two.get("files")
    assert stored is not None
    assert again.resource.spec == stored.resource.spec


def test_a_list_that_is_printed_can_be_applied_again_and_changes_nothing(
    vaultctl: Vaultctl, two: ObjectStore, origin: Origin
) -> None:
    text = vaultctl("get", "-o", "yaml").stdout
    for manifest in parse(text, Path("-")):
        before = two.get(manifest.resource.name)
        assert two.apply(service_of(manifest), origin) == before


def test_an_unknown_name(vaultctl: Vaultctl, two: ObjectStore) -> None:
    done = vaultctl("get", "file")
    assert done.exit_code == 1
    assert done.stderr == "Error: there is no VaultService 'file'; did you mean 'files'?\n"


def test_a_damaged_object_is_an_error_and_not_a_crash(vaultctl: Vaultctl, two: ObjectStore) -> None:
    (two.directory("wiki") / "object.json").write_text("{")
    seen = vaultctl("get")
    assert "cannot be understood" in seen.stdout
    assert "files" in seen.stdout, "it hides no other one"
    (two.directory("wiki") / "object.copy.json").unlink()
    assert "cannot be understood" in vaultctl("get", "wiki").stderr


@pytest.fixture
def labelled(
    objects: ObjectStore, make_service: MakeService, make_status: MakeStatus, origin: Origin
) -> ObjectStore:
    """Three services, and a gateway."""
    for name, labels, replicas in (
        ("files", {"team": "web", "example.org/tier": "a"}, 3),
        ("mail", {}, None),
        ("wiki", {"team": "web"}, 1),
    ):
        service = make_service(
            name, replicas=replicas, ports={"http": 8000 + len(name) * 10 + (replicas or 0)}
        )
        objects.apply(service.model_copy(update={"metadata": Metadata(name=name, labels=labels)}), origin)
    objects.put_status("files", make_status(Ready=("True", "Complete", "")))
    gateway = VaultGateway.model_validate({"kind": "VaultGateway", "metadata": {"name": "main"}, "spec": {}})
    objects.of(VAULT_GATEWAY).apply(gateway, origin)
    return objects


NAMES = {
    "-l team=web": "files wiki",
    "--selector team=web,example.org/tier": "files",
    "-l team!=web": "mail",
    "-l 'team notin (web)'": "mail",
    "vs -l team=web": "files wiki",
    "files mail -l team": "files",
    "--field-selector metadata.name=wiki": "wiki",
    "--field-selector metadata.name!=wiki,metadata.namespace=default": "files mail",
    "-l team=web --field-selector metadata.name=wiki": "wiki",
    "-A": "files mail wiki",
    "-n default": "files mail wiki",
    "--sort-by .spec.replicas": "mail wiki files",
    "--sort-by={.metadata.name}": "files mail wiki",
    "--sort-by spec.ports.http": "mail wiki files",
    "-l x=y": "",
}


@pytest.mark.parametrize("options", NAMES)
def test_objects_are_selected_and_sorted(vaultctl: Vaultctl, labelled: ObjectStore, options: str) -> None:
    done = vaultctl("get", *shlex.split(options), "-o", "name")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.split() == [f"vaultservice/{name}" for name in NAMES[options].split()]
    table = vaultctl("get", *shlex.split(options), "--no-headers")
    column = 1 if options == "-A" else 0
    assert [line.split()[column] for line in table.stdout.splitlines()] == NAMES[options].split()


OUTPUTS = {
    "files -o jsonpath={.metadata.name}": "files",
    "files -o=jsonpath={.spec.replicas}": "3",
    "files -o jsonpath=.spec.replicas": "3",
    "-o jsonpath={.items[*].metadata.name}": "files mail wiki",
    "vg -o jsonpath={.items[*].metadata.name}": "main",
    "vg/main -o jsonpath={.kind}": "VaultGateway",
    "-o 'jsonpath={range .items[*]}{.metadata.name}={.spec.replicas};{end}'": "files=3;mail=;wiki=1;",
    "files -o 'jsonpath={.status.conditions[?(@.type==\"Ready\")].status}'": "True",
    "files -o jsonpath={.metadata.namespace}": "default",
    "files -o 'jsonpath={.metadata.labels.example\\.org/tier}'": "a",
    "files -o jsonpath={.nothing}": "",
    "-l team=web -o jsonpath={.items[1].metadata.name}": "wiki",
    "files -l team=web -o jsonpath={.items[0].metadata.name}": "files",
    "files -o jsonpath-as-json={.spec.ports}": '[{"http":8053}]',
    "-o custom-columns=NAME:.metadata.name,N:.spec.replicas": "NAME    N files   3 mail    <none> wiki    1",
    "-o custom-columns=NAME:.metadata.name --no-headers": "files mail wiki",
    "-o jsonpath-file={tmp}/template": "files mail wiki",
    "-o custom-columns-file={tmp}/columns": "NAME    SPEC files   whoami mail    whoami wiki    whoami",
}


@pytest.mark.parametrize("options", OUTPUTS)
def test_formats_of_kubectl(vaultctl: Vaultctl, labelled: ObjectStore, options: str, tmp_path: Path) -> None:
    (tmp_path / "template").write_text("{.items[*].metadata.name}\n")
    (tmp_path / "columns").write_text("NAME:.metadata.name,SPEC:.spec.plugin\n")
    done = vaultctl("get", *shlex.split(options.replace("{tmp}", str(tmp_path))))
    assert done.exit_code == 0, done.stderr
    text = done.stdout
    if "as-json" in options:
        text = json.dumps([{"http": json.loads(text)[0]["http"]}], separators=(",", ":"))
    assert " ".join(text.splitlines()) == OUTPUTS[options]


MISTAKES = {
    "-o jsonpath": "jsonpath needs a value; write, for example, -o jsonpath='{.status.revision}'",
    "-o custom-columns=": "custom-columns needs a value",
    "-o yml": "there is no format 'yml'; there are: wide, json",
    "-o jsonpath={.a": "is not closed by }",
    "-o custom-columns=NAME": "'NAME' is no TITLE:PATH",
    "-o jsonpath={.items[9]}": "[9] is beyond the list, which has 3 items",
    "-o jsonpath-file=/nowhere": "/nowhere cannot be read",
    "--sort-by {.a": "character",
    "-l a=b=c": "the selector 'a=b=c'",
    "--field-selector spec.plugin=whoami": "field label not supported: spec.plugin",
    "-n kube-system": "there is no namespace 'kube-system'; all objects are in 'default'",
}


@pytest.mark.parametrize("options", MISTAKES)
def test_mistakes_of_options(vaultctl: Vaultctl, labelled: ObjectStore, options: str) -> None:
    done = vaultctl("get", *shlex.split(options))
    assert done.exit_code in (1, 2)
    assert MISTAKES[options] in done.stderr
    assert done.stdout == ""


def test_the_namespace_and_labels_are_columns(vaultctl: Vaultctl, labelled: ObjectStore) -> None:
    lines = [
        line.split() for line in vaultctl("get", "-A", "--show-labels", "-L", "team").stdout.splitlines()
    ]
    assert lines[0][:2] == ["NAMESPACE", "NAME"]
    assert lines[0][-2:] == ["TEAM", "LABELS"]
    assert lines[1][:2] == ["default", "files"]
    assert lines[1][-2:] == ["web", "example.org/tier=a,team=web"]
    assert lines[2][-2:] == ["-", "<none>"]


def test_nothing_that_matches_is_told_apart_from_nothing(vaultctl: Vaultctl, labelled: ObjectStore) -> None:
    assert vaultctl("get", "-l", "x=y").stderr == "there are no services that match\n"


def test_a_watch_shows_what_changes_and_only_that(
    process: Callable[..., object],
    labelled: ObjectStore,
    make_service: MakeService,
    origin: Origin,
    state: Path,
) -> None:
    """In a process of its own, as a watch does not end by itself."""
    words = [sys.executable, "-m", "reconciler.cli", "--state-dir", str(state), "get", "-w", "-l", "team=web"]
    with subprocess.Popen(
        [*words, "-o", "custom-columns=NAME:.metadata.name,N:.spec.replicas"],
        stdout=subprocess.PIPE,
        text=True,
    ) as watch:
        assert watch.stdout is not None
        try:
            assert [watch.stdout.readline().split() for _ in range(3)] == [
                ["NAME", "N"], ["files", "3"], ["wiki", "1"],
            ]  # fmt: skip
            for name, labels in (("mail", {}), ("wiki", {"team": "web"})):
                changed = make_service(name, replicas=7, ports={"http": 9000 + len(labels)})
                labelled.apply(
                    changed.model_copy(update={"metadata": Metadata(name=name, labels=labels)}), origin
                )
            assert watch.stdout.readline().split() == ["wiki", "7"]
        finally:
            watch.kill()
