import re
from pathlib import Path

from reconciler.api.manifest import parse
from reconciler.api.reference import EXAMPLE, ROUTED_EXAMPLE, render
from reconciler.api.schema import property_names, resource_schema

PAGE = Path(__file__).parents[2] / "docs" / "resource.md"


def test_the_page_is_what_the_models_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()


def test_the_yaml_of_the_page_loads() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", render(), re.DOTALL)
    assert blocks == [EXAMPLE, ROUTED_EXAMPLE]
    (routed,) = parse(ROUTED_EXAMPLE, PAGE)
    assert routed.resource.ports == {}
    (manifest,) = parse(EXAMPLE, PAGE)
    assert manifest.resource.spec.strategy.rolling_update.max_surge.ceil_of(3) == 1
    assert manifest.resource.spec.env == {"VERSION": "1.10"}


def test_the_example_shows_nearly_every_field_of_the_spec() -> None:
    fields = set(property_names(resource_schema()["properties"]["spec"]))
    lines = (EXAMPLE + ROUTED_EXAMPLE).splitlines()
    shown = {line.strip().split(":")[0] for line in lines if line.startswith("  ")}
    assert fields - shown == {
        # In place of `plugin`.
        "compose",
        # The same as one of `routes`, for a service with a single one.
        "route",
        "suspend",
        "restartedAt",
        "rotatedAt",
        "driftIgnore",
        # Of a service with one replica.
        "udp",
    }


def test_every_object_has_a_section_and_every_row_four_cells() -> None:
    page = render()
    for section in (
        "VaultService",
        "VaultService.spec.strategy.rollingUpdate",
        "VaultService.status.conditions",
    ):
        assert f"\n## {section}\n" in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert all(row.count(" | ") == 3 for row in rows)
