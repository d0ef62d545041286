"""Every sample in manifests/ applies. Where an image cannot be had here, a stand-in obeys the same settings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from reconciler.api import load
from tests.e2e.neighbour import ask, neighbour
from tests.e2e.stage import Stage, free_port, staged

SAMPLES: Final = Path(__file__).parents[2] / "manifests"
STAND_IN: Final = "vault-reconciler/test-web:latest"
STAND_INS: Final = {
    "filebrowser": {"FILEBROWSER_IMAGE": STAND_IN},
    "paperless": {"PAPERLESS_IMAGE": STAND_IN},
}

pytestmark = pytest.mark.docker


GATEWAY: Final = SAMPLES / "gateway.yaml"


@pytest.fixture(params=sorted({*SAMPLES.glob("*.yaml")} - {GATEWAY}), ids=lambda path: path.stem)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The sample under another name and port, with the settings file that its comment tells to make."""
    sample: Path = request.param
    spec = yaml.safe_load(sample.read_text())["spec"]
    del spec["ports"]
    spec["env"] = spec.get("env", {}) | STAND_INS.get(spec["plugin"], {})
    with staged(**spec) as stage:
        for entry in spec.get("envFrom", ()):
            settings = stage.manifests / entry["file"]
            shutil.copy(SAMPLES / f"{settings.stem}.example.env", settings)
            settings.chmod(0o600)
        yield stage


def test_a_sample_applies_and_answers(stage: Stage) -> None:
    stage.apply()
    status, _, _ = stage.get(stage.preview().stack.proxy.health.path)
    assert status == 200
    stage.vaultctl("diff", "-f", str(stage.manifest), code=0)


def test_the_services_of_the_sample_gateway_have_two_names_on_one_port() -> None:
    gateway, one, two = (document["spec"] for document in yaml.safe_load_all(GATEWAY.read_text()))
    hosts = [each["route"]["hostnames"][0] for each in (one, two)]
    del one["route"]["gateway"], two["route"]
    (listener,) = gateway["listeners"]
    port = free_port()
    listeners = [listener | {"port": port}]
    with staged(routed=True, gateway=gateway | {"listeners": listeners}, **one) as stage:
        stage.port = port
        with neighbour(stage, "two", hosts[1]) as other:
            other.write(**two)
            stage.vaultctl("apply", "-f", str(stage.manifests), "--wait")
            names = [ask(stage, host)[1] for host in hosts]
            assert len({*names}) == 2
            assert "" not in names
            assert ask(stage, "three.localhost")[0] == 404
            stage.vaultctl("diff", "-f", str(stage.manifests), code=0)


def test_no_two_samples_want_the_same_port() -> None:
    manifests = [manifest.resource for path in SAMPLES.glob("*.yaml") for manifest in load(path)]
    ports = [port for each in manifests for port in each.ports.values()]
    assert len(ports) == len(set(ports)) == len(list(SAMPLES.glob("*.yaml")))
