"""Every sample in manifests/ applies. Where an image cannot be had here, a stand-in obeys the same settings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from reconciler.api import load
from tests.e2e.stage import Stage, staged

SAMPLES: Final = Path(__file__).parents[2] / "manifests"
STAND_IN: Final = "vault-reconciler/test-web:latest"
STAND_INS: Final = {
    "filebrowser": {"FILEBROWSER_IMAGE": STAND_IN},
    "paperless": {"PAPERLESS_IMAGE": STAND_IN},
}

pytestmark = pytest.mark.docker


@pytest.fixture(params=sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
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


def test_no_two_samples_want_the_same_port() -> None:
    ports = [manifest.resource.spec.ports.http for path in SAMPLES.glob("*.yaml") for manifest in load(path)]
    assert len(ports) == len(set(ports)) == len(list(SAMPLES.glob("*.yaml")))
