"""Which workload gets which file of spec.secrets, and that another value is another revision of those that have it only."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.compose.fragment import BuildError
from reconciler.core.desired.build import build
from reconciler.core.desired.secret_files import UNKNOWN, SecretFile, SecretFiles
from reconciler.core.desired.stack import Stack
from reconciler.proxy.haproxy.front import FRONT
from tests.core.desired.test_build import SITE, Sample, spec

ROOT = "/run/vault-reconciler/0123/files"
KEY = b"k" * 32
TWO = {
    "services": {"web": {"image": "web:1"}, "db": {"image": "db:1", "volumes": ["data:/data"]}},
    "volumes": {"data": {}},
}


def stack(*files: SecretFile, fragment: Any = TWO, key: bytes = KEY) -> Stack:
    return build(spec(), Sample(fragment), SITE, key=key, front=FRONT, secret_files=SecretFiles(ROOT, files))


def mounts(found: Stack, workload: str) -> list[Any]:
    return [
        m for m in found.document["services"][workload].get("volumes", ()) if m["target"] == "/run/secrets"
    ]


def revisions(found: Stack) -> dict[str, str]:
    return {workload.name: workload.revision for workload in found.workloads}


def test_without_secrets_a_stack_is_as_it_was() -> None:
    assert revisions(stack()) == revisions(build(spec(), Sample(TWO), SITE, key=KEY, front=FRONT))
    assert stack().secret_files == {}


def test_web_gets_it_unless_others_are_named() -> None:
    found = stack(SecretFile("token", b"hunter22"), SecretFile("dump", b"two", frozenset({"db"})))
    (web,), (database,) = mounts(found, "web"), mounts(found, "db")
    assert web == {
        "type": "bind",
        "source": web["source"],
        "target": "/run/secrets",
        "read_only": True,
        "bind": {"create_host_path": False},
    }
    assert found.secret_files == {web["source"]: {"token": b"hunter22"}, database["source"]: {"dump": b"two"}}
    assert all(source.startswith(f"{ROOT}/") for source in found.secret_files)
    assert found.document["services"]["db"]["volumes"][0]["target"] == "/data"
    assert "hunter22" not in repr(found)


def test_another_value_is_another_revision_of_its_workloads_only() -> None:
    first, second = stack(SecretFile("token", b"one")), stack(SecretFile("token", b"two"))
    assert mounts(first, "web") != mounts(second, "web")
    changed = {name for name, revision in revisions(first).items() if revisions(second)[name] != revision}
    assert changed == {"web"}
    assert revisions(first) == revisions(stack(SecretFile("token", b"one")))


def test_names_and_contents_cannot_stand_for_each_other() -> None:
    sources = {
        mounts(stack(*files), "web")[0]["source"]
        for files in (
            (SecretFile("a", b"bc"),),
            (SecretFile("ab", b"c"),),
            (SecretFile("a", b"b"), SecretFile("c", b"")),
            (SecretFile("a", b""), SecretFile("b", b"c")),
        )
    }
    assert len(sources) == 4


def test_without_a_key_nothing_tells_the_value() -> None:
    found = stack(SecretFile("token", b"one"), key=b"")
    assert list(found.secret_files) == [f"{ROOT}/{UNKNOWN}"]
    assert mounts(stack(SecretFile("token", b"one")), "web") != mounts(
        stack(SecretFile("token", b"one"), key=b"x" * 32), "web"
    )


@pytest.mark.parametrize(
    "body",
    [
        {"volumes": ["data:/run/secrets"]},
        {"volumes": ["data:/run/secrets/"]},
        {"volumes": [{"type": "tmpfs", "target": "/run/secrets/x"}]},
        {"tmpfs": "/run/secrets:size=1m"},
        {"tmpfs": ["/tmp", "/run/secrets/x"]},
    ],
)
def test_a_plugin_that_mounts_something_there_is_refused(body: dict[str, Any]) -> None:
    fragment = {"services": {"web": {"image": "web:1", **body}}, "volumes": {"data": {}}}
    with pytest.raises(BuildError, match="mounts something at /run/secrets itself"):
        stack(SecretFile("token", b"one"), fragment=fragment)
    assert stack(fragment=fragment)


def test_a_workload_that_is_none_is_refused() -> None:
    with pytest.raises(BuildError, match="'token' is for workload 'wb', which is none of db, web"):
        stack(SecretFile("token", b"one", frozenset({"wb"})))
