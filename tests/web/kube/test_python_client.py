"""The official Python client: the dynamic client, typed reads of what runs, streams, and an informer over a restart."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, UnprocessibleEntityError
from kubernetes.stream import stream

from tests.web.kube.cluster import SECONDS, Cluster, served
from tests.web.kube.instances import FakeInstances, instance

GROUP, VERSION, PLURAL = "vault.internal", "v1alpha1", "vaultservices"
API_VERSION = f"{GROUP}/{VERSION}"
POD = "vault-files-web-1"


def manifest(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "VaultService",
        "metadata": {"name": name, "labels": {"team": "a"}},
        "spec": {"plugin": "whoami", "suspend": True, **spec},
    }


def connected(cluster: Cluster, role: str = "admin") -> client.ApiClient:
    found: client.ApiClient = config.new_client_from_config(str(cluster.kubeconfig(role)))
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    home = tmp_path_factory.mktemp("client")
    instances = FakeInstances([instance(POD)], [b"one\n", b"two\n"])
    with served(home / "state", home, instances=instances) as found:
        found.vaultctl("kubeconfig", "--server", found.url)
        yield found


@pytest.fixture(scope="module")
def services(cluster: Cluster) -> Any:
    return dynamic.DynamicClient(connected(cluster)).resources.get(
        api_version=API_VERSION, kind="VaultService"
    )


def test_the_dynamic_client_writes_and_reads(services: Any) -> None:
    created = services.create(body=manifest("files", replicas=2), namespace="default")
    assert created.metadata.generation == 1
    assert services.get(name="files", namespace="default").spec.replicas == 2
    patched = services.patch(
        name="files",
        namespace="default",
        body={"spec": {"replicas": 3}},
        content_type="application/merge-patch+json",
    )
    assert patched.spec.replicas == 3
    applied = services.server_side_apply(
        body={**manifest("files"), "metadata": {"name": "files", "annotations": {"by": "client"}}},
        namespace="default",
        name="files",
        field_manager="test",
    )
    assert applied.metadata.annotations["by"] == "client"
    stale = {**created.to_dict(), "spec": manifest("files", replicas=9)["spec"]}
    with pytest.raises(ConflictError):
        services.replace(body=stale, namespace="default")
    with pytest.raises(UnprocessibleEntityError) as caught:
        services.create(body=manifest("wrong", replicas="many", nothing=1), namespace="default")
    assert "spec.replicas" in str(caught.value.body)
    assert [each.metadata.name for each in services.get(label_selector="team=a").items] == ["files"]
    services.delete(name="files", namespace="default")
    with pytest.raises(NotFoundError):
        services.get(name="never", namespace="default")


def test_the_typed_client_reads_what_runs(cluster: Cluster, services: Any) -> None:
    services.create(body=manifest("files2"), namespace="default")
    core: Any = client.CoreV1Api(connected(cluster))
    assert [each.metadata.name for each in core.list_node().items]
    assert core.read_namespace("default").status.phase == "Active"
    core.list_namespaced_event("default")
    with pytest.raises(ApiException) as caught:
        core.read_namespaced_secret("any", "default")
    assert caught.value.status == 404
    custom: Any = client.CustomObjectsApi(connected(cluster))
    scale = custom.get_namespaced_custom_object_scale(GROUP, VERSION, "default", PLURAL, "files2")
    assert scale["kind"] == "Scale"
    with pytest.raises(ApiException) as caught:
        client.CustomObjectsApi(connected(cluster, "view")).delete_namespaced_custom_object(
            GROUP, VERSION, "default", PLURAL, "files2"
        )
    assert caught.value.status == 403


def test_pods_their_logs_and_commands(tmp_path: Path) -> None:
    instances = FakeInstances([instance(POD)], [b"one\n", b"two\n"])
    with served(tmp_path / "state", tmp_path, instances=instances) as cluster:
        api = connected(cluster)
        dynamic.DynamicClient(api).resources.get(api_version=API_VERSION, kind="VaultService").create(
            body=manifest("files"), namespace="default"
        )
        core: Any = client.CoreV1Api(api)
        (pod,) = core.list_namespaced_pod("default", label_selector="vault.internal/role=web").items
        assert (pod.metadata.name, pod.status.phase) == (POD, "Running")
        assert pod.status.container_statuses[0].ready
        assert core.read_namespaced_pod_log(POD, "default") == "one\ntwo\n"
        talking: Any = stream(
            core.connect_get_namespaced_pod_exec,
            POD,
            "default",
            command=["exit", "4"],
            stdin=False,
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        talking.run_forever(timeout=SECONDS)
        assert talking.read_stdout() == "exit 4\n"
        assert talking.returncode == 4


class Informer:
    """Lists, watches, and lists again when it has to, as clients that keep a cache do."""

    def __init__(self, api: client.ApiClient) -> None:
        self._objects: Any = client.CustomObjectsApi(api)
        self._number: str | None = None
        self.known: dict[str, str] = {}
        self.deleted: list[str] = []
        self.lists = 0
        self.stop = threading.Event()

    def follow(self) -> None:
        while not self.stop.is_set():
            try:
                if self._number is None:
                    self._number = self._list()
                self._watch(self._number)
            except ApiException as error:
                if error.status == 410:
                    self._number = None
                time.sleep(0.5)
            except Exception:  # the server is away: connections break in many ways
                time.sleep(0.5)

    def _list(self) -> str:
        self.lists += 1
        found = self._objects.list_namespaced_custom_object(GROUP, VERSION, "default", PLURAL)
        self.known = {
            each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in found["items"]
        }
        return str(found["metadata"]["resourceVersion"])

    def _watch(self, number: str) -> None:
        events: Any = watch.Watch().stream(
            self._objects.list_namespaced_custom_object,
            GROUP,
            VERSION,
            "default",
            PLURAL,
            resource_version=number,
            timeout_seconds=5,
        )
        for event in events:
            metadata = event["object"]["metadata"]
            self._number = metadata["resourceVersion"]
            if event["type"] == "DELETED":
                del self.known[metadata["name"]]
                self.deleted.append(metadata["name"])
            else:
                self.known[metadata["name"]] = metadata["resourceVersion"]
            if self.stop.is_set():
                break


# The client leaves sockets of broken streams to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_informer_goes_on_over_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with served(state, tmp_path) as cluster:
        api = connected(cluster)
        listen = cluster.url.removeprefix("https://")
        informer = Informer(api)
        thread = threading.Thread(target=informer.follow, daemon=True)
        services: Any = dynamic.DynamicClient(api).resources.get(api_version=API_VERSION, kind="VaultService")
        for name in ("a", "b", "c"):
            services.create(body=manifest(name), namespace="default")
        thread.start()
        cluster.until(lambda: set(informer.known) == {"a", "b", "c"})
        services.delete(name="a", namespace="default")
        cluster.application.objects.remove("a")
        cluster.until(lambda: informer.deleted == ["a"])
    # While nothing serves, one goes and one comes.
    cluster.application.objects.remove("b")
    cluster.apply(yaml.safe_dump(manifest("c", replicas=5)))
    with served(state, tmp_path, listen) as cluster:
        services.create(body=manifest("d"), namespace="default")
        try:
            cluster.until(lambda: informer.deleted == ["a", "b"] and set(informer.known) == {"c", "d"})
            listed = {each.metadata.name: each.metadata.resourceVersion for each in services.get().items}
            cluster.until(lambda: informer.known == listed)
        finally:
            informer.stop.set()
            thread.join(SECONDS)
    assert informer.lists == 1
    gc.collect()
