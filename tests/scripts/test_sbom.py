"""The bill of materials is valid, lists every locked package, and is deterministic."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).parents[2]
SBOM = ROOT / "scripts" / "sbom"
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ONE_PACKAGE = re.split(r"\n(?=\w)", LOCK)[1]
"""A part of the lock: the schema's validator needs a tenth of a second for each file that a bill names."""
LISTING = "git\t1:2.47.3-0+deb13u1\tamd64\nlibstdc++6\t14.2.0-19\tamd64\n"
PROJECT = {"name": "vault-reconciler", "version": "0.1.0"}
DIGEST = "sha256:" + 64 * "a"


def bill(lock: str = LOCK, listing: str = LISTING, digest: str = DIGEST) -> dict[str, Any]:
    make = runpy.run_path(str(SBOM))["bill"]
    made: dict[str, Any] = make(lock, listing, PROJECT, "debian:trixie-slim", digest)
    return made


def problems(document: dict[str, Any]) -> object:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))


@pytest.mark.parametrize("digest", [DIGEST, ""])
def test_it_keeps_to_the_schema(digest: str) -> None:
    document = bill(ONE_PACKAGE, digest=digest)
    assert problems(document) is None
    assert problems({**document, "components": [{"name": "without a type"}]}) is not None


def test_every_locked_package_is_in_it_with_each_of_its_hashes() -> None:
    python = [part for part in bill()["components"] if part.get("purl", "").startswith("pkg:pypi/")]
    pinned = [line.split()[0].split("==") for line in LOCK.splitlines() if "==" in line]
    assert [[part["name"], part["version"]] for part in python] == pinned
    assert len(pinned) > 20
    hashes = [file["hashes"][0]["content"] for part in python for file in part["externalReferences"]]
    assert sorted(hashes) == sorted(
        line.split(":")[1].split()[0] for line in LOCK.splitlines() if "--hash" in line
    )


def test_the_image_installs_nothing_that_is_not_locked_by_hash() -> None:
    python = [part for part in bill()["components"] if part.get("purl", "").startswith("pkg:pypi/")]
    assert all(part["externalReferences"] for part in python)
    recipe = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    installs = [line for line in recipe.splitlines() if "pip install" in line]
    assert installs
    assert all(
        "--require-hashes -r requirements.lock" in " ".join(line.split()) or "--no-index" in line
        for line in installs
    )
    assert {line.split()[1] for line in recipe.splitlines() if line.startswith("FROM ")} == {"${BASE}"}


def test_debian_packages_and_the_base_are_told_so_that_scanners_find_them() -> None:
    git, library, base = bill()["components"][-3:]
    assert PackageURL.from_string(git["purl"]).version == "1:2.47.3-0+deb13u1"
    assert PackageURL.from_string(library["purl"]) == PackageURL(
        "deb", "debian", "libstdc++6", "14.2.0-19", {"arch": "amd64"}
    )
    assert (base["name"], base["version"]) == ("debian:trixie-slim", DIGEST)
    assert "version" not in bill(digest="")["components"][-1]


def test_the_same_content_is_the_same_document() -> None:
    assert bill() == bill()
    assert bill()["serialNumber"] != bill(listing=LISTING.replace("14.2.0-19", "14.2.0-20"))["serialNumber"]


@pytest.mark.docker
def test_the_bill_of_the_image() -> None:
    done = subprocess.run([sys.executable, SBOM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert problems({**document, "components": document["components"][-20:]}) is None
    names = {part["name"] for part in document["components"]}
    assert names >= {"docker-cli", "docker-compose", "git", "python3", "pydantic", "docker"}
