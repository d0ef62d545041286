"""Compose files that want more than their directory: each is refused with file and line, before Compose reads anything."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from reconciler.api.errors import ManifestError
from reconciler.engines.compose.project_files import (
    MAX_FILE,
    MAX_FILES,
    ProjectFiles,
    collect,
    collect_inline,
)

SECRET = "PASSWORD=what-is-elsewhere\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "app"
    directory.mkdir()
    (tmp_path / "secret.env").write_text(SECRET)
    (tmp_path / "other.yaml").write_text("services: {x: {image: x}}\n")
    return directory


def read(directory: Path, text: str) -> ProjectFiles:
    (directory / "compose.yaml").write_text(text)
    return collect(directory, "compose.yaml", lambda beside, texts: list(texts), Path("/stage"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services:\n  a:\n    env_file: ../secret.env", ":3:1: services.a.env_file: '../secret.env' is outside of"),
        ("services:\n  a:\n    env_file: [x/../../secret.env]", ":3:1: services.a.env_file[0]: "),
        ("services:\n  a:\n    env_file:\n    - path: /etc/x", ":4:1: services.a.env_file[0].path: '/etc/x' is outside"),
        ("x: &x {path: in.env, required: false}\nservices:\n  a:\n    env_file:\n    - {path: /etc/x, <<: *x}",
         ":5:1: services.a.env_file[0].path: '/etc/x' is outside"),
        ("services:\n  a:\n    env_file:\n    - {<<: [{path: /etc/x}, {path: in.env, required: false}]}",
         ":4:1: services.a.env_file[0].path: '/etc/x' is outside"),
        ("services:\n  a: {label_file: /etc/passwd}", ":2:1: services.a.label_file: "),
        ("services:\n  a: {extends: {file: ../other.yaml, service: x}}", ":2:1: services.a.extends.file: "),
        ("services:\n  a:\n    <<: {env_file: /etc/passwd}", ":3:1: services.a.env_file: "),
        ("x: &x {env_file: /etc/passwd}\nservices: {a: {<<: [*x]}}", ":1:1: services.a.env_file: "),
        ("services: {a: &a {env_file: /etc/passwd}, b: *a}", ":1:1: services.a.env_file: "),
        ("include:\n- ../other.yaml", ":2:1: include[0]: '../other.yaml' is outside"),
        ("include:\n- path: [../other.yaml]", ":2:1: include[0].path[0]: "),
        ("include:\n- {path: x.yaml, project_directory: ..}", ":2:1: include[0].project_directory: '..' is outside"),
        ("include:\n- {path: compose.yaml, env_file: ../secret.env}", ":2:1: include[0].env_file: "),
        ("include:\n- https://example.org/compose.yaml", "is not on this machine, and is not fetched"),
        ("include:\n- git@example.org:a/b.git", "is not on this machine, and is not fetched"),
        ("include:\n- oci://example.org/a", "is not on this machine, and is not fetched"),
        ("include:\n- OCI:example.org/a", "is not on this machine, and is not fetched"),
        ("include:\n- github.com/docker/x", "is not on this machine, and is not fetched"),
        ("services:\n  a: {env_file: nothing.env}", ":2:1: "),
        ("services:\n  a: {env_file: ''}", "is outside of"),
        ("services:\n  a: {env_file: /dev/zero}", "is outside of"),
        ("services: [", "is no YAML"),
        ("- a\n- b", ":1:1: is no Compose file"),
        ("a: &a\n  b: *a", "contains itself"),
    ],
)  # fmt: skip
def test_what_is_elsewhere_is_refused(project: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError) as refused:
        read(project, text)
    assert message in str(refused.value)
    assert str(refused.value).startswith(str(project / "compose.yaml"))
    assert "what-is-elsewhere" not in str(refused.value)


def test_a_path_in_place_of_a_merged_one_is_the_one_that_has_to_exist(project: Path) -> None:
    (project / "own.env").write_text("A=1\n")
    text = "x: &x {path: none.env, required: true}\nservices: {a: {env_file: [{<<: *x, path: own.env}]}}"
    files = read(project, text)
    assert files.contents["own.env"] == b"A=1\n"
    assert "/stage/own.env" in files.sources["compose.yaml"].text()
    with pytest.raises(ManifestError, match=r"none\.env does not exist"):
        read(project, "x: &x {path: none.env}\nservices: {a: {env_file: [{<<: *x}]}}")


def test_links_may_lead_only_into_the_directory(project: Path) -> None:
    (project / "real.env").write_text("A=1\n")
    (project / "inside.env").symlink_to("real.env")
    (project / "outside.env").symlink_to("../secret.env")
    (project / "sub").symlink_to("..")
    assert read(project, "services: {a: {env_file: inside.env}}").contents["inside.env"] == b"A=1\n"
    for name in ("outside.env", "sub/secret.env"):
        with pytest.raises(ManifestError, match="is a link that leads out of"):
            read(project, f"services: {{a: {{env_file: {name}}}}}")
    (project / ".env").symlink_to("../secret.env")
    with pytest.raises(ManifestError, match="is a link that leads out of"):
        read(project, "services: {a: {image: a}}")


def test_a_compose_file_that_is_a_link_stays_in_its_directory(project: Path) -> None:
    (project / "compose.yaml").symlink_to("../other.yaml")
    with pytest.raises(ManifestError, match="is a link that leads out of"):
        collect(project, "compose.yaml", lambda beside, texts: list(texts), Path("/stage"))


def test_what_is_no_file_is_not_read(project: Path) -> None:
    os.mkfifo(project / "pipe")
    (project / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(project / "socket"))
        for name in ("pipe", "directory", "socket"):
            with pytest.raises(ManifestError, match="cannot be read"):
                read(project, f"services: {{a: {{env_file: {name}}}}}")


def test_there_is_a_limit_to_what_is_read(project: Path) -> None:
    with (project / "big.env").open("wb") as file:
        file.truncate(MAX_FILE + 1)
    with pytest.raises(ManifestError, match="is more than Compose gets"):
        read(project, "services: {a: {env_file: big.env}}")
    names = [f"{number}.env" for number in range(MAX_FILES + 1)]
    for name in names:
        (project / name).write_text("A=1\n")
    with pytest.raises(ManifestError, match="is more than Compose gets"):
        read(project, f"services: {{a: {{env_file: [{', '.join(names)}]}}}}")


def test_files_that_name_each_other_come_to_an_end(project: Path) -> None:
    (project / "b.yaml").write_text(
        "include: [compose.yaml]\nservices: {b: {extends: {file: compose.yaml, service: a}}}\n"
    )
    files = read(project, "include: [b.yaml]\nservices: {a: {image: a, extends: {file: b.yaml, service: b}}}")
    assert sorted(files.sources) == ["b.yaml", "compose.yaml"]


def test_a_file_for_two_directories_is_two_files(project: Path) -> None:
    (project / "sub").mkdir()
    for path in (project / "e.env", project / "sub" / "e.env"):
        path.write_text("A=1\n")
    (project / "b.yaml").write_text("services: {b: {image: b, env_file: e.env}}\n")
    once = "include: [b.yaml]\nservices: {a: {extends: {file: b.yaml, service: b}}}"
    assert sorted(read(project, once).sources) == ["b.yaml", "compose.yaml"]
    twice = f"{once}\nx: 1\n".replace("[b.yaml]", "[b.yaml, {path: b.yaml, project_directory: sub}]")
    with pytest.raises(
        ManifestError, match=r"compose.yaml:1:1: .*b.yaml is read for two directories, sub and \."
    ):
        read(project, twice)


@pytest.mark.parametrize("width", [2, 9])
def test_anchors_that_multiply_take_no_time(project: Path, width: int) -> None:
    levels = ["a0: &a0 {env_file: e.env}"]
    levels += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * width)}]}}" for n in range(1, 16)]
    (project / "e.env").write_text("A=1\n")
    files = read(project, "\n".join([*levels, "services: {a: *a15}"]))
    assert "e.env" in files.contents


def test_compose_gets_what_was_checked(project: Path) -> None:
    """The names of files are those of the copies, and a scalar stays as it was written."""
    (project / "e.env").write_text("A=1\n")
    text = "services:\n  a: {image: 'x', env_file: ./x/../e.env, ports: [80:80, 12:34], x-n: 0o14, on: yes}\n"
    written = read(project, text).text_of("compose.yaml").decode()
    assert 'env_file: "/stage/e.env"' in written
    assert "- 80:80\n" in written
    assert "- 12:34\n" in written
    assert "x-n: 0o14" in written
    assert "on: yes" in written
    assert "image: 'x'" in written


def test_an_included_file_names_its_files_without_variables(project: Path) -> None:
    (project / "b.yaml").write_text("services:\n  b: {env_file: '${X}.env'}\n")
    with pytest.raises(
        ManifestError,
        match=r"b.yaml:2:1: services.b.env_file: an included file names this file by a variable",
    ):
        read(project, "include: [b.yaml]")


def test_a_text_in_a_manifest_names_no_file() -> None:
    with pytest.raises(
        ManifestError, match=r"spec.compose.inline:2:1: services.a.env_file: a Compose file in a manifest"
    ):
        collect_inline("services:\n  a: {env_file: a.env}", Path("spec.compose.inline"))


def test_values_with_telling_names_are_secrets(project: Path) -> None:
    (project / ".env").write_text("DB_PASSWORD='hunter22'\nexport API_TOKEN=abcdef\nTAG=1.2.3\n# SECRET=x\n")
    assert read(project, "services: {a: {image: a}}").secrets == {"hunter22", "abcdef"}


def test_where_a_value_is_written(project: Path) -> None:
    (project / "b.yaml").write_text("services:\n  b:\n    image: b\n")
    text = "include: [b.yaml]\nx: &x\n  tty: true\nservices:\n  a.b:\n    <<: *x\n    ports:\n    - 1\n    - {target: 2}\n"
    files = read(project, text)
    at = {
        place: files.written(place.split(" "))
        for place in ("services a.b ports 1", "services a b ports 1 target")
    }
    assert set(at.values()) == {(project / "compose.yaml", 9)}
    assert files.written(("services", "a.b", "tty")) == (project / "compose.yaml", 3)
    assert files.written(("services", "b", "image")) == (project / "b.yaml", 3)
    assert files.written(("services", "none")) == (project / "compose.yaml", 0)
