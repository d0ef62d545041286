"""Paths of the host, judged by their name, by where their links lead, and by what containers can write."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.admission import HostRoot, Policy, Profile, review
from reconciler.core.admission.roots import HOST_ROOTS, Kind, Seen, normal, unseen_host


def refused(policy: Policy, *volumes: Any, **others: Any) -> list[tuple[str, str]]:
    """Rule and place of what `baseline` refuses in a service `a` with these mounts beside `others`."""
    services = {name: {"image": "x", "volumes": mounts} for name, mounts in {"a": volumes, **others}.items()}
    found = review({"services": services}, [], policy, Profile.BASELINE)
    return [(f.rule, f.path.removeprefix("services.").replace(".volumes", "")) for f in found]


def host(links: dict[str, str] | None = None, **kinds: Kind) -> Any:
    """A look at a host with these links, and with these kinds of file by their last name."""

    def look(path: str) -> Seen:
        real = normal((links or {}).get(path, path))
        return Seen(real, kinds.get(real.rpartition("/")[2], Kind.DIRECTORY))

    return look


def test_the_operator_opens_directories_and_nothing_beside_them() -> None:
    policy = Policy(host_roots=(HostRoot("/var/lib/media/"), HostRoot("/opt/films", writable=False)))
    assert refused(policy, "/var/lib/media/films:/x", "/opt/films/a:/z:ro") == []
    assert refused(policy, "/var/lib/media:/x") == []
    assert refused(policy, "/var/lib/media2:/x:ro") == [("host-path", "a[0]")]
    assert refused(policy, "/srv/x:/x:ro") == [("host-path", "a[0]")]
    assert refused(policy, "/opt/films:/x") == [("writable-path", "a[0]")]


def test_the_innermost_root_decides_and_is_not_written_by_a_mount_around_it() -> None:
    policy = Policy(
        host_roots=(*HOST_ROOTS, HostRoot("/srv/films", writable=False), HostRoot("/srv/films/in"))
    )
    assert refused(policy, "/srv/other:/x", "/srv/films:/y:ro") == []
    assert refused(policy, "/srv/films/in:/x") == []
    assert refused(policy, "/srv/films/out:/x") == [("writable-path", "a[0]")]
    assert refused(policy, "/srv:/x") == [("writable-path", "a[0]")]


def test_without_a_root_nothing_but_the_harmless_files_may_be_read() -> None:
    policy = Policy(host_roots=())
    assert refused(policy, "/etc/localtime:/etc/localtime:ro", "/usr/share/zoneinfo:/z:ro") == []
    for path in ("/srv/x", "/tmp", "/var/backups", "/opt", "/etc/hostname", "/home/a"):
        assert refused(policy, f"{path}:/x:ro") == [("host-path", "a[0]")], path


@pytest.mark.parametrize("root", ["/", "/run", "/var", "/dev"])
def test_no_root_opens_sockets_devices_and_the_kernel(root: str) -> None:
    policy = Policy(host_roots=(HostRoot(root),))
    for path in ("/run/dbus/x", "/var/run/x", "/dev/shm", "/proc/1", "/sys", "/"):
        assert refused(policy, f"{path}:/x:ro") == [("sensitive-path", "a[0]")], path


def test_a_link_is_judged_by_its_name_and_by_where_it_leads() -> None:
    policy = Policy(look=host({"/srv/link": "/etc", "/opt/link": "/srv/data", "/srv/in": "/srv/data"}))
    assert refused(policy, "/srv/link:/x:ro") == [("host-path", "a[0]")]
    assert refused(policy, "/opt/link:/x") == [("host-path", "a[0]")]
    assert refused(policy, "/srv/in:/x") == []


def test_after_a_link_two_dots_mean_what_the_kernel_reads() -> None:
    policy = Policy(look=host({"/srv/link/../shadow": "/etc/shadow"}))
    assert refused(policy, "/srv/link/../shadow:/x:ro") == [("host-path", "a[0]")]


def test_a_root_that_is_a_link_opens_where_it_leads() -> None:
    look = host({"/srv": "/disk/srv", "/srv/films": "/disk/srv/films", "/srv/up": "/disk"})
    assert refused(Policy(look=look), "/srv/films:/x") == []
    assert refused(Policy(look=look), "/srv/up:/x") == [("host-path", "a[0]")]


@pytest.mark.parametrize(
    ("kind", "rule"),
    [(Kind.SPECIAL, "sensitive-path"), (Kind.MISSING, "unseen-path"), (Kind.HIDDEN, "unseen-path")],
)
def test_sockets_and_what_cannot_be_looked_at(kind: Kind, rule: str) -> None:
    assert refused(Policy(look=host(agent=kind)), "/srv/agent:/x:ro") == [(rule, "a[0]")]


def test_what_is_below_no_root_is_not_looked_at() -> None:
    asked: list[str] = []

    def look(path: str) -> Seen:
        asked.append(path)
        return unseen_host(path)

    refused(Policy(look=look), "/root/x:/x", "/home/../root/y:/y:ro")
    assert [path for path in asked if "root/" in path] == []


def test_a_socket_of_an_engine_is_told_by_its_name_and_by_where_a_link_leads() -> None:
    assert refused(Policy(), "/var/run/docker.sock:/x") == [("docker-socket", "a[0]")]
    policy = Policy(look=host({"/srv/innocent": "/mnt/docker.sock"}))
    assert refused(policy, "/srv/innocent:/x:ro") == [("sensitive-path", "a[0]")]


def test_no_root_opens_what_is_private_by_name_by_link_or_by_a_bind_mount() -> None:
    def look(path: str) -> Seen:
        real = "/var/lib/state" if path == "/opt/link" else normal(path)
        places = {
            "/var/lib/state": (("8:1", "/lib/state"),),
            "/opt/bound": (("8:1", "/lib"),),
            "/opt/inside": (("8:1", "/lib/state/services"),),
            "/opt/around": (("8:2", "/"), ("8:1", "/lib/state")),
            "/opt/other": (("8:2", "/lib/state"),),
        }
        return Seen(real, Kind.DIRECTORY, places.get(real, ()))

    policy = Policy(
        host_roots=(HostRoot("/opt"), HostRoot("/var/lib")), private=("/var/lib/state",), look=look
    )
    for path in ("/var/lib", "/var/lib/state/x", "/opt/link", "/opt/bound", "/opt/inside", "/opt/around"):
        assert refused(policy, f"{path}:/x:ro") == [("sensitive-path", "a[0]")], path
    assert refused(policy, "/opt/other:/x", "/var/lib/other:/y") == []


@pytest.mark.parametrize("root", ["/data/docker", "/srv/link"])
def test_no_root_opens_the_directories_of_the_engine(root: str) -> None:
    asked: list[str] = []

    def directories() -> tuple[str, ...]:
        asked.append(root)
        return (root,)

    look = host({"/srv/link": "/data/docker", "/mnt/in": "/data/docker/volumes/other"})
    policy = Policy(engine_directories=directories, look=look)
    for path in ("/data", "/data/docker", "/data/docker/volumes", "/data/docker/overlay2/x", "/mnt/in"):
        for options in ("", ":ro"):
            assert refused(policy, f"{path}:/x{options}") == [("sensitive-path", "a[0]")], path
    asked.clear()
    assert refused(policy, "/data/dockers:/x", "/mnt/a:/a", "/srv/b:/b") == []
    assert len(asked) == 1, "one question for all mounts"
    asked.clear()
    assert refused(policy, "data:/x") == []
    assert not asked, "a stack without a host path needs no engine"


def test_a_config_does_not_come_out_of_the_engine_either() -> None:
    sections = {"services": {}, "configs": {"c": {"file": "/data/docker/volumes/db/_data/key"}}}
    policy = Policy(engine_directories=lambda: ("/data/docker",))
    assert [(f.rule, f.path) for f in review(sections, [], policy)] == [("sensitive-path", "configs.c.file")]


def test_a_mount_below_what_any_container_can_write_is_refused() -> None:
    policy = Policy(look=host({"/srv/link": "/mnt/a", "/mnt/a/b": "/mnt/a/b"}))
    assert refused(policy, "/srv/a:/a", "/srv/b:/b", "/srv/a:/c:ro", "/srv/ab:/d") == []
    assert refused(policy, "/srv/a:/a:ro", "/srv/a/b:/b") == []
    assert refused(policy, "/srv/a/b/c:/c:ro", b=["/srv/a:/a"]) == [("nested-mount", "a[0]")]
    assert refused(policy, "/mnt/a/b:/b:ro", b=["/srv/link:/a"]) == [("nested-mount", "a[0]")]


def test_a_config_below_what_a_container_can_write_is_refused() -> None:
    sections: dict[str, Any] = {
        "services": {"a": {"image": "x", "volumes": ["/srv/a:/a"]}},
        "configs": {"c": {"file": "/srv/a/c"}, "d": {"file": "/srv/d"}},
    }
    assert [(f.rule, f.path) for f in review(sections, [], Policy())] == [("nested-mount", "configs.c.file")]
