"""The other parts of an instance: mounts, networks, secrets and configs, and what stays with Compose."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.desired.stack import Role
from reconciler.engines.errors import RefusedError
from reconciler.engines.swarm.files import SwarmFile, files_of, reference
from reconciler.engines.swarm.front import front_of, shared_networks
from reconciler.engines.swarm.making import instance_name
from reconciler.engines.swarm.marks import is_instance
from reconciler.engines.swarm.networks import attachments, check_existing, network_spec
from reconciler.engines.swarm.volumes import anonymous_of, local_volumes, mounts_of
from tests.contracts.engines import EngineInMemory

DOCUMENT = {
    "name": "vault-shop",
    "volumes": {
        "data": {"name": "vault-shop_data", "labels": {"a": "b"}},
        "shared": {"name": "vault-shop_shared", "driver_opts": {"type": "nfs"}},
        "theirs": {"name": "theirs", "external": True},
    },
    "secrets": {"key": {"file": "KEY"}, "other": {"environment": "HOME"}},
    "configs": {"page": {"content": "<p>"}},
}
NAMED = {"com.docker.stack.namespace": "vault-shop"}


def _mounts(service: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    usual: dict[str, Any] = {"declared": (), "kept": {}, "named": None, "replaced": ()}
    return mounts_of(service, DOCUMENT, **{**usual, **options})


def test_volumes_have_the_names_that_compose_gives_them() -> None:
    volumes = [
        {"type": "volume", "source": "data", "target": "/data", "volume": {"nocopy": True}},
        {"type": "volume", "source": "shared", "target": "/shared"},
        {"type": "volume", "source": "theirs", "target": "/theirs", "read_only": True},
        {"type": "bind", "source": "/srv", "target": "/srv", "bind": {"propagation": "rslave"}},
        {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "10", "mode": 1023}},
    ]
    service = {"volumes": volumes}
    data, shared, theirs, bind, memory = _mounts(service)
    assert data["Source"] == "vault-shop_data"
    assert data["VolumeOptions"] == {"NoCopy": True, "Labels": {"a": "b", **NAMED}}
    assert shared["VolumeOptions"]["DriverConfig"] == {"Name": "local", "Options": {"type": "nfs"}}
    assert (theirs["Source"], theirs["ReadOnly"], "Labels" in theirs["VolumeOptions"]) == (
        "theirs",
        True,
        False,
    )
    assert (bind["Source"], bind["BindOptions"]) == ("/srv", {"Propagation": "rslave"})
    assert memory["TmpfsOptions"] == {"SizeBytes": 10, "Mode": 1023}
    assert local_volumes(service, DOCUMENT) == ["vault-shop_data", "theirs"]


def test_anonymous_volumes_of_a_dependency_get_names_and_keep_them() -> None:
    service = {"volumes": [{"type": "volume", "target": "/one"}]}
    names = iter(["first", "second"])
    mounts = _mounts(service, declared=["/one", "/two"], named=lambda: next(names))
    assert {each["Target"]: each["Source"] for each in mounts} == {"/one": "first", "/two": "second"}
    spec = {"TaskTemplate": {"ContainerSpec": {"Mounts": mounts}}}
    kept = anonymous_of(spec)
    assert kept == {"/one": "first", "/two": "second"}
    again = _mounts(service, declared=["/one", "/two"], kept=kept, named=lambda: "another")
    assert again == mounts


def test_anonymous_volumes_of_others_stay_without_a_name() -> None:
    service = {"volumes": [{"type": "volume", "target": "/one"}]}
    (mount,) = _mounts(service, declared=["/two"])
    assert "Source" not in mount


def test_directories_with_files_of_secrets_are_no_mounts() -> None:
    bind = {"type": "bind", "source": "/run/vault/ab12", "target": "/run/secrets"}
    mounted = {"/run/vault/ab12": {"token": b"s3cret"}}
    assert _mounts({"volumes": [bind]}, replaced=mounted.keys()) == []
    (file,) = files_of("web", "v2-1", {"volumes": [bind]}, DOCUMENT, mounted)
    assert (file.kind, file.name, file.target) == ("secrets", "vault-shop_token-ab12", "/run/secrets/token")
    assert "s3cret" not in repr(file)
    assert reference(file, "id1") == {
        "SecretID": "id1",
        "SecretName": "vault-shop_token-ab12",
        "File": {"Name": "token", "UID": "0", "GID": "0", "Mode": 0o444},
    }


def test_files_have_the_revision_in_their_names(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\0secret")
    document = {**DOCUMENT, "secrets": {"key": {"file": str(tmp_path / "key")}}}
    service = {
        "secrets": [{"source": "key", "target": "/etc/key", "mode": 0o400, "uid": "5"}],
        "configs": [{"source": "page"}],
    }
    secret, config = files_of("web", "v2-1", service, document, {})
    assert (secret.name, secret.target, secret.mode, secret.uid) == (
        "vault-shop_key-v2-1",
        "/etc/key",
        0o400,
        "5",
    )
    assert base64.b64decode(secret.spec("vault-shop")["Data"]) == b"\0secret"
    assert (config.name, config.target, config.content) == ("vault-shop_page-v2-1", "/page", b"<p>")
    assert reference(config, "id2")["ConfigID"] == "id2"


def test_names_are_as_long_as_a_swarm_takes() -> None:
    """63 characters of a service, 64 of a secret or a config; of a VaultService they may be 40."""
    project = f"vault-{'a' * 40}"
    document = {**DOCUMENT, "name": project, "configs": {"file-0123456789ab": {"content": "<p>"}}}
    bind = {"type": "bind", "source": "/run/vault/0123456789abcdef", "target": "/run/secrets"}
    mounted = {bind["source"]: {"database-password": b"s3cret"}}
    service = {"configs": ["file-0123456789ab"], "volumes": [bind]}
    files = [
        file
        for each in ("v2-0123456789ab", "v2-0123456789ac")
        for file in files_of("web", each, service, document, mounted)
    ]
    assert max(len(file.name) for file in files) == 64
    assert len({file.name for file in files}) == 3, "two revisions of the config, one secret"
    assert all(file.name.startswith(project) for file in files)

    names = [instance_name(project, each, 10) for each in ("web", "database-primary", "database-replica")]
    assert names[0] == f"{project}-web-10"
    assert len(set(names)) == 3
    assert all(len(name) <= 63 and name.endswith("-10") for name in names)


def test_a_file_without_content_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"secrets\.other, which 'web' uses"):
        files_of("web", "v2-1", {"secrets": ["other"]}, DOCUMENT, {})
    with pytest.raises(RefusedError, match=r"KEY cannot be read"):
        files_of("web", "v2-1", {"secrets": ["key"]}, DOCUMENT, {})
    assert SwarmFile("secrets", "n", "t", b"").content == b""


def test_networks_are_overlays_that_the_front_door_can_join() -> None:
    body = {"name": "vault-shop_net", "internal": True, "ipam": {"config": [{"subnet": "10.1.0.0/24"}]}}
    spec = network_spec("vault-shop", "net", body)
    assert (spec["Driver"], spec["Attachable"], spec["Internal"]) == ("overlay", True, True)
    assert (spec["Labels"], spec["IPAM"]["Config"]) == (NAMED, [{"Subnet": "10.1.0.0/24"}])
    with pytest.raises(RefusedError, match=r"networks\.net\.driver: .*'macvlan'"):
        network_spec("vault-shop", "net", {**body, "driver": "macvlan"})
    check_existing({"Name": "x", "Scope": "swarm", "Attachable": True})
    for found in ({"Name": "x", "Scope": "local"}, {"Name": "x", "Scope": "swarm", "Attachable": False}):
        with pytest.raises(RefusedError, match="'x' is there already"):
            check_existing(found)


def test_an_instance_is_found_by_the_name_of_its_workload() -> None:
    networks = {"net": {"name": "vault-shop_net"}}
    service = {"networks": {"net": {"aliases": ["www", "web"]}}}
    assert attachments("web", service, networks) == [{"Target": "vault-shop_net", "Aliases": ["web", "www"]}]
    fixed = {"networks": {"net": {"ipv4_address": "10.1.0.9"}}}
    with pytest.raises(RefusedError, match=r"services\.web\.networks\.net\.ipv4_address"):
        attachments("web", fixed, networks)


def test_only_the_front_door_is_left_to_compose(tmp_path: Path) -> None:
    stack = EngineInMemory(tmp_path).stack()
    assert shared_networks(stack) == {"vault-net"}
    front = front_of(stack)
    roles = {workload.name: workload.role for workload in stack.workloads}
    assert {roles[name] for name in front.document["services"]} == {Role.GATEWAY, Role.PROXY}
    assert front.document["networks"] == {
        "vault-net": {"name": f"{stack.project}_vault-net", "external": True},
        "control-net": {},
    }
    assert front.workloads == stack.workloads


def test_the_id_of_a_service_is_none_of_a_container() -> None:
    assert is_instance("k5z2m1q8w9e7r6t5y4u3i2o1p")
    assert not is_instance("0" * 64)
    assert not is_instance("0" * 12)
