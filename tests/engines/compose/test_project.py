"""What is read of a Compose file is what `docker compose config` says about it, value by value: Compose is the oracle.

Each file of `projects/` is a project: several files, each after a line with its path. Compose reads them where they are;
the controller reads them its own way, from checked copies.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.api import PermanentError, VaultService
from reconciler.api.compose_file import ComposeFile
from reconciler.api.errors import ManifestError
from reconciler.controller.reconcile.builder import Builder
from reconciler.core.admission import ANNOTATION, Policy
from reconciler.core.compose.project import VARIABLES, Project
from reconciler.core.desired.stack import Stack
from reconciler.engines.compose.file import dump
from reconciler.engines.compose.project import ComposeProjects
from reconciler.proxy.haproxy.front import FRONT
from vault_plugins.registry import Registry

SAMPLES: Final = sorted((Path(__file__).parent / "projects").glob("*.txt"))
MARK: Final = "==> "
NAME: Final = "vault-sample"
PROJECTS: Final = ComposeProjects(os.environ)
REFUSED: Final = {
    "16-networks": "services.web.mac_address belongs to one container",
}
"""Which projects cannot run here, whatever the operator allows, and why."""
HARD: Final = (
    *(
        "plain",
        "a'b",
        'a"b',
        "a\\b",
        "a$b",
        "${HOME}",
        "$$",
        "a\nb",
        "trailing\\",
        "'",
        '"',
        "\\'",
        "a #b",
        " x ",
        "",
    ),
    *(
        "\\n",
        "\\$x",
        "a\tb",
        "ü€",
        "a'$b\"\\c\nd",
        "`x`",
        "a=b",
        '\\"',
        "a\\nb'",
        "x\\'$y",
        "#",
        "\r",
        "$(id)",
    ),
)
"""Values with which quoting may go wrong."""
OTHERWISE: Final = frozenset({
    "attach", "build", "container_name", "configs", "depends_on", "deploy", "develop", "environment",
    "expose", "image", "labels", "networks", "ports", "profiles", "restart", "scale", "secrets",
})  # fmt: skip
"""Fields of a service that are done otherwise, and have tests of their own."""

pytestmark = pytest.mark.docker


def lay_out(sample: str, directory: Path) -> ComposeFile:
    """Write the files of a project. `profiles` is none of them, but names those that are active."""
    directory.mkdir(parents=True)
    profiles: tuple[str, ...] = ()
    for part in sample.removeprefix(MARK).split(f"\n{MARK}"):
        name, _, text = part.partition("\n")
        if name == "profiles":
            profiles = tuple(text.split())
            continue
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if text.endswith("\n") else f"{text}\n")
    return ComposeFile(file="compose.yaml", profiles=profiles)


def by_compose(directory: Path, compose: ComposeFile) -> dict[str, Any]:
    """What Compose says about a project, where it is."""
    program = shutil.which("docker")
    assert program
    words = [program, "compose", "--project-name", NAME, "--file", "compose.yaml"]
    words += [word for name in compose.profiles for word in ("--profile", name)]
    done = subprocess.run(
        [*words, "config", "--format", "json"],
        cwd=directory,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def stack_of(directory: Path, compose: ComposeFile) -> Stack:
    """What becomes of it for an operator who allows everything."""
    service = VaultService.model_validate(
        {
            "metadata": {"name": "sample", "annotations": {ANNOTATION: "privileged"}},
            "spec": {"compose": {"file": "x"}},
        }
    )
    spec = service.spec.model_copy(update={"compose": compose})
    policy = Policy(allow_privileged=frozenset({"sample"}))
    builder = Builder(Registry([]), lambda name: Path("/state"), policy, FRONT, projects=lambda: PROJECTS)
    return builder.build(service.model_copy(update={"spec": spec}), directory)


def _comparable(service: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is done otherwise. A variable without a value is not set, in both."""
    kept = {name: body for name, body in service.items() if name not in OTHERWISE and body not in (None, {})}
    variables = service.get("environment") or {}
    kept["environment"] = {name: text for name, text in variables.items() if text is not None}
    needs = {name: how["condition"] for name, how in (service.get("depends_on") or {}).items()}
    return {**kept, "depends_on": needs, "resources": (service.get("deploy") or {}).get("resources") or {}}


def _listed() -> str:
    return ", ".join(f"V{number}" for number in range(len(HARD)))


def read(directory: Path, compose: ComposeFile, variables: Mapping[str, str] | None = None) -> Project:
    return PROJECTS.read(NAME, compose, variables or {}, directory)


@dataclass(frozen=True)
class Sample:
    """A project, and what Compose says about it."""

    name: str
    directory: Path
    compose: ComposeFile
    expected: dict[str, Any]


@pytest.fixture(scope="module", params=SAMPLES, ids=lambda path: path.stem)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    path: Path = request.param
    directory = tmp_path_factory.mktemp(path.stem) / "the project's $directory"
    compose = lay_out(path.read_text(), directory)
    return Sample(path.stem, directory, compose, by_compose(directory, compose))


def test_it_is_read_as_compose_reads_it(sample: Sample) -> None:
    project = read(sample.directory, sample.compose)
    found = {name: body for name, body in project.document.items() if not name.startswith("x-")}
    expected = {name: body for name, body in sample.expected.items() if not name.startswith("x-")}
    assert found.keys() == expected.keys()
    for section, body in expected.items():
        if not isinstance(body, dict):
            assert found[section] == body
            continue
        assert found[section].keys() == body.keys()
        for name, entry in body.items():
            assert found[section][name] == entry, f"{section}.{name}"


def test_what_is_started_is_what_compose_would_start(sample: Sample, tmp_path: Path) -> None:
    """The same for the file that the controller gives to Compose, but for what it does otherwise."""
    web = next(name for name in sample.expected["services"] if name in ("web", "app"))
    compose = sample.compose.model_copy(update={"web": web, "port": 80})
    if sample.name in REFUSED:
        # What cannot be kept is refused with file and line, whatever the operator allows.
        with pytest.raises(PermanentError) as refused:
            stack_of(sample.directory, compose)
        assert REFUSED[sample.name] in str(refused.value)
        assert f"{sample.directory}/compose.yaml:" in str(refused.value)
        return
    (tmp_path / "compose.yaml").write_text(dump(stack_of(sample.directory, compose).document))
    found = by_compose(tmp_path, ComposeFile(file="compose.yaml"))
    for name, entry in sample.expected["services"].items():
        mine, theirs = _comparable(found["services"][name]), _comparable(entry)
        for field in mine.keys() | theirs.keys():
            assert mine.get(field) == theirs.get(field), f"services.{name}.{field}"


def test_there_are_as_many_projects_as_were_promised() -> None:
    assert len(SAMPLES) >= 25


def test_a_value_that_the_manifest_declares_is_read_as_it_is(tmp_path: Path) -> None:
    compose = lay_out(
        f"==> compose.yaml\nservices: {{a: {{image: a, environment: [{_listed()}]}}}}", tmp_path / "p"
    )
    (tmp_path / "p" / ".env").write_text("V0=of the file\nOTHER=of the file\n")
    values = {f"V{number}": value for number, value in enumerate(HARD)}
    environment = read(tmp_path / "p", compose, values).document["services"]["a"]["environment"]
    assert {name: text.replace("$$", "$") for name, text in environment.items()} == values


def test_no_variable_of_the_controller_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTROLLERS_OWN", "must-not-be-seen")
    text = (
        "==> compose.yaml\nservices:\n  a:\n    image: a${CONTROLLERS_OWN}\n"
        "    environment: [CONTROLLERS_OWN, 'P=${PATH}', 'H=$HOME', 'W=$PWD', 'U=$USER']\n    env_file: e.env\n"
        "    configs: [c]\nconfigs: {c: {environment: CONTROLLERS_OWN}}\n==> e.env\nX=${CONTROLLERS_OWN}\nY\n"
    )
    project = read(tmp_path / "p", lay_out(text, tmp_path / "p"))
    assert "must-not-be-seen" not in json.dumps(project.document)
    environment = project.document["services"]["a"]["environment"]
    assert (environment["P"], environment["H"], environment["X"]) == ("", "", "")
    assert project.document[VARIABLES] == {"CONTROLLERS_OWN": None}
    assert any('"PATH" variable is not set' in warning for warning in project.warnings)


def test_variables_in_names_of_files_are_resolved_before_the_check(tmp_path: Path) -> None:
    text = "==> compose.yaml\nservices:\n  a:\n    image: a\n    env_file: '${WHERE:-${ALSO:-.}}/x.env'\n"
    text += "==> .env\nWHERE=..\n"
    compose = lay_out(text, tmp_path / "p")
    (tmp_path / "x.env").write_text("SEEN=1\n")
    with pytest.raises(ManifestError, match=r"compose.yaml:4:1: services.a.env_file: .* is outside of"):
        read(tmp_path / "p", compose)
    (tmp_path / "p" / "x.env").write_text("SEEN=2\n")
    assert read(tmp_path / "p", compose, {"WHERE": "./"}).document["services"]["a"]["environment"] == {
        "SEEN": "2"
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services:\n  a:\n    image: [x]\n", "compose.yaml:3:1: docker compose: services.a.image must be a string"),
        ("services:\n  a:\n    image: x\n    prts: [80]\n", "compose.yaml:4:1: docker compose: services.a Additional"),
        ("services:\n  a: {image: x, depends_on: [b]}\n", "compose.yaml:2:1: docker compose: service"),
        ("services:\n  a:\n    image: ${T:?a tag}\n", "compose.yaml:3:1: docker compose: error while interpolating"),
        ("services:\n  a:\n    image: x\n    volumes: ['nope:/x']\n", "compose.yaml:2:1: docker compose: service"),
        (
            "services:\n  a:\n    image: x\n    container_name: b\n    deploy: {replicas: 2}\n",
            "compose.yaml:2:1: docker compose: services.deploy.replicas: can't set container_name and a",
        ),
        ("services: {a: {image: x}}\nfoo: 1\n", "compose.yaml: docker compose: "),
    ],
)  # fmt: skip
def test_what_compose_refuses_is_shown_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError) as refused:
        read(tmp_path / "p", lay_out(f"==> compose.yaml\n{text}", tmp_path / "p"))
    assert f"{tmp_path}/p/{message}" in str(refused.value)


def test_a_message_of_compose_shows_no_secret(tmp_path: Path) -> None:
    text = "==> compose.yaml\nservices: {a: {image: x, mem_limit: '${DB_PASSWORD}', cpus: '${B}'}}\n"
    text += "==> .env\nDB_PASSWORD=hunter22-secret\n"
    with pytest.raises(ManifestError) as refused:
        read(tmp_path / "p", lay_out(text, tmp_path / "p"), {"B": "other-secret"})
    assert "hunter22" not in str(refused.value)
    assert "other-secret" not in str(refused.value)


def test_files_are_read_again_when_one_of_them_has_changed(tmp_path: Path) -> None:
    directory = tmp_path / "p"
    compose = lay_out(
        "==> compose.yaml\nservices: {a: {image: 'a:${T:-0}', env_file: [{path: e.env, required: false}],"
        " volumes: ['./m:/m']}}\n==> m\n1\n",
        directory,
    )
    projects = ComposeProjects(os.environ)

    def now() -> Project:
        return projects.read(NAME, compose, {}, directory)

    first, stamps = now(), projects.stamps()
    assert now() is first
    assert projects.stamps() == stamps
    for name, text in (("m", "2\n"), (".env", "T=1\n"), ("e.env", "A=1\n")):
        (directory / name).write_text(text)
        assert projects.stamps() != stamps, name
        stamps = projects.stamps()
    after = now()
    assert after.document["services"]["a"]["image"] == "a:1"
    assert after.document["services"]["a"]["environment"] == {"A": "1"}


def test_an_override_that_is_not_read_is_named(tmp_path: Path) -> None:
    text = (
        "==> compose.yaml\nservices: {a: {image: a}}\n==> compose.override.yaml\nservices: {a: {image: b}}\n"
    )
    text += "==> both.yaml\ninclude: [{path: [compose.yaml, compose.override.yaml]}]\n"
    compose = lay_out(text, tmp_path / "p")
    alone = read(tmp_path / "p", compose)
    assert alone.document["services"]["a"]["image"] == "a"
    assert [text for text in alone.warnings if "compose.override.yaml is not read" in text]
    both = read(tmp_path / "p", compose.model_copy(update={"file": "both.yaml"}))
    assert (both.document["services"]["a"]["image"], both.warnings) == ("b", ())


@pytest.mark.parametrize(
    ("more", "prefix"),
    [
        ("", "thep"),
        ("name: given\n", "given"),
        ("name: given\n==> .env\nA=1\nexport COMPOSE_PROJECT_NAME = 'of-env' # why\n", "of-env"),
        ("name: ${N:-x}-y\n==> .env\nN=z\n", "z-y"),
    ],
)
def test_images_that_compose_builds_are_named_as_compose_names_the_project(
    tmp_path: Path, more: str, prefix: str
) -> None:
    compose = lay_out(f"==> compose.yaml\nservices: {{a: {{build: .}}}}\n{more}", tmp_path / "The P")
    found = read(tmp_path / "The P", compose)
    assert dict(found.built(())) == {"a": f"{prefix}-a"}
    assert dict(found.built({"a"})) == {}
    done = subprocess.run(
        ["docker", "compose", "config", "--images"],
        cwd=tmp_path / "The P",
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == [f"{prefix}-a"], done.stderr


def test_a_text_in_the_manifest_is_read_alike(tmp_path: Path) -> None:
    inline = ComposeFile(
        inline="services:\n  a:\n    image: a:$T\n    volumes: ['./x:/x', v:/v]\nvolumes: {v: }\n"
    )
    project = ComposeProjects(os.environ).read(NAME, inline, {"T": "7"}, tmp_path)
    assert project.document["services"]["a"]["image"] == "a:7"
    assert project.document["services"]["a"]["volumes"][0]["source"] == "./x"
    assert project.place_of("services.a.image") == "spec.compose.inline:3"


@pytest.mark.parametrize("above", [1, 2, 3, 12, 30])
def test_a_path_that_leads_above_the_root_is_what_compose_makes_of_it(above: int) -> None:
    up = "/".join([".."] * above)
    text = f"services: {{a: {{image: a, volumes: ['{up}/x:/x', '{up}:/y'], secrets: [s]}}}}\n"
    text += f"secrets: {{s: {{file: '{up}/s'}}}}\n"
    with tempfile.TemporaryDirectory(dir="/tmp") as root:
        directory = Path(os.path.realpath(root)) / "p"
        compose = lay_out(f"==> compose.yaml\n{text}", directory)
        expected = by_compose(directory, compose)
        found = read(directory, compose).document
    assert found["services"]["a"]["volumes"] == expected["services"]["a"]["volumes"]
    assert found["secrets"] == expected["secrets"]


@pytest.mark.parametrize("path", ["./x", "../x", "../../x", "."])
def test_a_path_in_a_text_stays_relative(tmp_path: Path, path: str) -> None:
    inline = ComposeFile(inline=f"services: {{a: {{image: a, volumes: ['{path}:/x']}}}}\n")
    document = ComposeProjects(os.environ).read(NAME, inline, {}, tmp_path).document
    assert document["services"]["a"]["volumes"][0]["source"] == path


def test_files_of_a_commit_are_read_and_not_mounted(tmp_path: Path) -> None:
    """They lie in the state directory, which no container sees, and are gone with the next commit."""
    text = "==> compose.yaml\nservices: {a: {image: a, volumes: ['./m.conf:/m:ro', './d:/d:ro', '/etc/x:/x:ro']}}\n"
    tree = tmp_path / "state" / "git" / "one"
    compose = lay_out(f"{text}==> m.conf\none\n==> d/x\nx\n", tree)
    current = tree.with_name("current")
    current.symlink_to(tree.name)
    projects = ComposeProjects(os.environ, tmp_path / "state")

    def files() -> Mapping[str, str]:
        return projects.read(NAME, compose, {}, current).files

    assert files() == {str(current / "m.conf"): "one\n"}
    (tree / "m.conf").write_text("two, and longer\n")
    assert files() == {str(current / "m.conf"): "two, and longer\n"}
    assert ComposeProjects(os.environ, tmp_path / "other").read(NAME, compose, {}, current).files == {}
