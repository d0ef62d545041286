from pathlib import Path

import pytest

from reconciler.api.conflicts import Document, Manifest, conflicts
from reconciler.api.traffic import Ports
from reconciler.api.vaultservice import Metadata, Spec, VaultService
from reconciler.api.yaml_nodes import MapNode


def document(name: str, port: int, *depends_on: str) -> Document:
    spec = Spec(plugin="whoami", ports=Ports(http=port), depends_on=depends_on)
    manifest = Manifest(VaultService(metadata=Metadata(name=name), spec=spec), Path(f"{name}.yaml"), 1)
    return Document(manifest, MapNode({}, {}, 1, 1, 1, 1))


@pytest.mark.parametrize(
    ("documents", "found"),
    [
        ([document("a", 1), document("b", 2, "a"), document("c", 3, "a", "b")], []),
        ([document("a", 1, "elsewhere")], []),
        ([document("a", 1), document("a", 2)], [("metadata.name", ["a", "a"])]),
        ([document("a", 1), document("a", 1)], [("metadata.name", ["a", "a"])]),
        ([document("a", 1), document("b", 1)], [("spec.ports.http", ["a", "b"])]),
        (
            [document("a", 1), document("b", 1), document("c", 1)],
            [("spec.ports.http", ["a", "b"]), ("spec.ports.http", ["a", "c"])],
        ),
        ([document("b", 1, "a"), document("a", 2, "b")], [("spec.dependsOn", ["a", "b"])]),
        (
            [document("z", 1, "c"), document("c", 2, "a"), document("a", 3, "b"), document("b", 4, "c")],
            [("spec.dependsOn", ["a", "b", "c"])],
        ),
    ],
)
def test_conflicts_name_the_field_and_everyone_involved(
    documents: list[Document], found: list[tuple[str, list[str]]]
) -> None:
    assert [
        (conflict.problem.field, [party.manifest.resource.name for party in conflict.parties])
        for conflict in conflicts(documents)
    ] == found


def test_a_circle_is_told_in_the_order_of_waiting() -> None:
    documents = [document("web", 1, "api"), document("api", 2, "db"), document("db", 3, "web")]
    (conflict,) = conflicts(documents)
    assert conflict.problem.message == "waits for itself: api -> db -> web -> api"
    assert conflict.problem.path == Path("api.yaml")
