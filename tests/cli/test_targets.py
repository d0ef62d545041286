"""Objects by name, manifest, label and kind: for `delete` and `wait`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from reconciler.api import Metadata, VaultService
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.query.errors import QueryError
from reconciler.api.vaultgateway import VaultGateway
from reconciler.app.selecting import Selection
from reconciler.cli.targets import targets
from reconciler.store.base import Origin
from reconciler.store.objects import ObjectStore

MakeService = Callable[..., VaultService]
Vaultctl = Callable[..., Result]
Manifest = Callable[..., Path]


@pytest.fixture
def stored(objects: ObjectStore, make_service: MakeService, origin: Origin) -> ObjectStore:
    for name, labels in (("files", {"team": "web"}), ("wiki", {})):
        service = make_service(name).model_copy(update={"metadata": Metadata(name=name, labels=labels)})
        objects.apply(service, origin)
    gateway = VaultGateway.model_validate({"kind": "VaultGateway", "metadata": {"name": "main"}, "spec": {}})
    objects.of(VAULT_GATEWAY).apply(gateway, origin)
    return objects


def test_targets(stored: ObjectStore, manifest: Manifest) -> None:
    files = [manifest("wiki"), manifest("new", ports="{http: 8081}")]

    def of(
        *names: str, files: list[Path] | None = None, labels: str = "", everything: bool = False
    ) -> list[str]:
        found = targets(stored, names, files or [], Selection.parse(labels), everything=everything)
        return [ref.label for ref in found]

    assert of("files", "gone", "vg/main", "files") == ["files", "gone", "vaultgateway/main"]
    assert of("vg", "main") == ["vaultgateway/main"]
    assert of(files=files) == ["wiki", "new"]
    assert of(labels="team=web") == ["files"]
    assert of(labels="team!=web") == ["wiki"]
    assert of("files", "wiki", labels="!team") == ["wiki"]
    assert of(files=files, labels="!team") == ["wiki"]
    assert of(everything=True) == ["files", "wiki"]
    assert of("vg", everything=True) == ["vaultgateway/main"]
    with pytest.raises(click.UsageError, match="name the services, or choose them with -f, -l or --all"):
        of()
    with pytest.raises(click.UsageError, match="name the vg, or choose"):
        of("vg")
    with pytest.raises(click.UsageError, match="not both"):
        of("files", files=files)


NO_ENGINE = {
    "wait files --for=condition=Ready --timeout 0s": (1, "waiting for condition=Ready of files: waits for"),
    "wait fils --for=condition=Ready": (1, "there is no VaultService 'fils'; did you mean 'files'?"),
    "wait files --for=Ready": (1, "'Ready' is nothing to wait for; there are: condition=TYPE"),
    "wait --for=delete": (2, "name the services, or choose them with -f, -l or --all"),
    "wait -l team=x --for=delete": (0, "no object matches, so there is nothing to wait for"),
    "wait gone --for=delete": (0, ""),
    "wait files --for=create": (0, ""),
    "wait -l team=web --for=jsonpath={.spec.plugin}=whoami": (0, ""),
    "delete -l team=x": (0, "no object matches; nothing was deleted"),
    "delete gone --ignore-not-found": (0, "no object matches; nothing was deleted"),
    "delete gone": (1, "there is no VaultService 'gone'"),
    "delete -f /nowhere.yaml": (1, "/nowhere.yaml: does not exist"),
    "delete": (2, "name the services"),
    "delete files -n other": (1, "there is no namespace 'other'"),
}


@pytest.mark.parametrize("line", NO_ENGINE)
def test_without_an_engine(vaultctl: Vaultctl, stored: ObjectStore, line: str) -> None:
    code, says = NO_ENGINE[line]
    done = vaultctl(*shlex.split(line))
    assert (done.exit_code, says in done.stderr) == (code, True), done.stderr
    assert stored.names() == ("files", "wiki")


def test_what_is_met_is_told(vaultctl: Vaultctl, stored: ObjectStore) -> None:
    done = vaultctl("wait", "files", "wiki", "--for=jsonpath={.spec.plugin}")
    assert done.stdout == "vaultservice/files condition met\nvaultservice/wiki condition met\n"
    assert vaultctl("wait", "gone", "--for=delete").stdout == "vaultservice/gone deleted\n"


def test_a_selector_is_checked_before_anything_is_done() -> None:
    with pytest.raises(QueryError):
        Selection.parse("a=b=c")
