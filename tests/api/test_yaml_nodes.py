import pytest

from reconciler.api.yaml_nodes import ListNode, MapNode, ScalarNode, field_path, locate, to_plain

PORT = ScalarNode(80, "80", 2, 9)
ITEM = ScalarNode("x", "x", 3, 5)
ITEMS = ListNode((ITEM,), 3, 3, 2, 2)
SPEC = MapNode(
    {"port": ScalarNode("port", "port", 2, 3), "items": ScalarNode("items", "items", 3, 1)},
    {"port": PORT, "items": ITEMS},
    2,
    3,
    6,
    3,
)
ROOT = MapNode({"spec": ScalarNode("spec", "spec", 1, 1)}, {"spec": SPEC}, 1, 1, 8, 4)


def test_plain_values_have_no_places() -> None:
    assert to_plain(ROOT) == {"spec": {"port": 80, "items": ["x"]}}


@pytest.mark.parametrize(
    ("path", "node", "key"),
    [
        ((), ROOT, None),
        (("spec",), SPEC, "spec"),
        (("spec", "port"), PORT, "port"),
        (("spec", "items", 0), ITEM, None),
        (("spec", "items", 1), ITEMS, "items"),
        (("spec", "missing"), SPEC, "spec"),
        (("spec", "port", "deeper"), PORT, "port"),
        ((0,), ROOT, None),
    ],
)
def test_locate_finds_the_node_or_the_last_one_before_it(
    path: tuple[str | int, ...], node: object, key: str | None
) -> None:
    found, found_key = locate(ROOT, path)
    assert found is node
    assert (found_key.text if found_key else None) == key


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("spec",), "spec"),
        (("spec", "envFrom", 0, "file"), "spec.envFrom[0].file"),
        (("a\x1b[31m", "ü"), "a\\x1b[31m.ü"),
        (("x" * 100,), "x" * 80 + "…"),
    ],
)
def test_a_field_path_is_safe_to_print(path: tuple[str | int, ...], text: str) -> None:
    assert field_path(path) == text
