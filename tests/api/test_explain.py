import pytest

from reconciler.api.errors import VaultError
from reconciler.api.explain import explain, fields_of
from reconciler.api.schema import Schema, resource_schema


def test_a_scalar_has_type_default_and_description() -> None:
    assert explain("VaultService.spec.strategy.drainSeconds") == (
        "FIELD:    VaultService.spec.strategy.drainSeconds\n"
        "TYPE:     number, 0 to 86400\n"
        "DEFAULT:  30\n"
        "\n"
        "Seconds that open connections have to finish before their replica is stopped."
    )


def test_an_object_lists_its_fields() -> None:
    assert explain("spec.rotation") == (
        "FIELD:    VaultService.spec.rotation\n"
        "TYPE:     object\n"
        "REQUIRED: no\n"
        "\n"
        "Replacement of replicas because of their age. Unset: never.\n"
        "\n"
        "FIELDS:\n"
        "  interval <duration such as 500ms, 2s or 1m30s, or a number of seconds> (required)\n"
        "      Time between two replacements, for instance 120s; at least 1s.\n"
        "  jitter <percentage such as 20%>\n"
        "      How far an interval may be off at random, so that its end cannot be\n"
        "      guessed; 0% to 100%.\n"
        "  mode <one of rolling, single-active>\n"
        "      rolling keeps all replicas serving and replaces the oldest one.\n"
        "      single-active lets one replica serve at a time, the next one chosen at\n"
        "      random."
    )


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("VaultService", "FIELD:    VaultService"),
        ("vaultservice.kind", "TYPE:     VaultService"),
        ("", "FIELD:    VaultService"),
        ("metadata.name", "REQUIRED: yes"),
        ("spec.envFrom", "TYPE:     list of objects"),
        ("spec.envFrom.file", "REQUIRED: yes"),
        ("spec.dependsOn", "TYPE:     list of strings"),
        ("spec.env", "TYPE:     mapping of text to text"),
        ("spec.replicas", "TYPE:     integer, 0 to 1000"),
        ("spec.strategy.rollingUpdate.maxSurge", "TYPE:     integer or percentage such as 25%"),
        ("spec.route.maxBodySize", "TYPE:     size such as 512Mi, or a number of bytes"),
        ("spec.route.cors.methods", "TYPE:     list of one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        ("spec.route.allowFrom", "TYPE:     list of strings"),
        ("spec.strategy.progressDeadlineSeconds", "TYPE:     number, more than 0, at most 86400"),
        ("spec.rotation.jitter", 'DEFAULT:  "20%"'),
        ("spec.restartedAt", "TYPE:     time (RFC 3339)"),
        ("status.conditions.reason", "TYPE:     string"),
        ("status.replicas.ready", "TYPE:     integer, 0 or more"),
    ],
)
def test_each_kind_of_field_says_what_goes_there(path: str, line: str) -> None:
    assert line in explain(path).splitlines()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "spec.stratgy",
            "VaultService.spec has no field 'stratgy'; did you mean VaultService.spec.strategy?",
        ),
        ("spc.plugin", "VaultService has no field 'spc'; did you mean VaultService.spec?"),
        ("zzz", "VaultService has no field 'zzz'; it has: apiVersion, kind, metadata, spec, status"),
        ("spec.plugin.x", "VaultService.spec.plugin has no fields; ask for VaultService.spec.plugin itself"),
        ("spec.env.KEY", "VaultService.spec.env has no fields; ask for VaultService.spec.env itself"),
    ],
)
def test_an_unknown_field_names_the_nearest_one(path: str, message: str) -> None:
    with pytest.raises(VaultError) as refused:
        explain(path)
    assert str(refused.value) == message


def test_every_field_can_be_explained() -> None:
    def walk(schema: Schema, path: str) -> int:
        assert explain(path).startswith(f"FIELD:    {path}\n")
        return 1 + sum(walk(inner, f"{path}.{name}") for name, inner in fields_of(schema).items())

    assert walk(resource_schema(), "VaultService") > 50
