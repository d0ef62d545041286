"""One value is changed, and every other character stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api import ManifestError, PermanentError
from reconciler.api.edit import edit_manifest, edit_text
from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.api.yaml_loader import YamlReader
from reconciler.api.yaml_nodes import Scalar, to_plain

PATH = Path("files.yaml")
FILES = Ref(VAULT_SERVICE, "files")
WIKI = Ref(VAULT_SERVICE, "wiki")
HEAD = "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {name: files}\n"

CASES: dict[str, tuple[str, str, Scalar, str]] = {
    "a comment stays": ("spec:\n  replicas: 3   # peak\n", "replicas", 5, "spec:\n  replicas: 5   # peak\n"),
    "odd indentation": ("spec:\n       replicas:    3\n", "replicas", 5, "spec:\n       replicas:    5\n"),
    "braces": ("spec: {plugin: whoami,replicas:  3 }\n", "replicas", 5, "spec: {plugin: whoami,replicas:  5 }\n"),
    "braces over lines": ("spec: {\n replicas: 3,\n}\n", "replicas", 5, "spec: {\n replicas: 5,\n}\n"),
    "single quotes": ("spec: {env: {A: 'x'}}\n", "env.A", "it's", "spec: {env: {A: 'it''s'}}\n"),
    "double quotes": ('spec: {env: {A: "x"}}\n', "env.A", 'a"b', 'spec: {env: {A: "a\\"b"}}\n'),
    "quotes where they are needed": ("spec: {env: {A: x}}\n", "env.A", "5", 'spec: {env: {A: "5"}}\n'),
    "none where they are not": ("spec: {env: {A: x}}\n", "env.A", "debug", "spec: {env: {A: debug}}\n"),
    "a comma in braces": ("spec: {env: {A: x}}\n", "env.A", "a, b", 'spec: {env: {A: "a, b"}}\n'),
    "a name with a dot": ("spec: {env: {a.b: x}}\n", "env.a.b", "z", "spec: {env: {a.b: z}}\n"),
    "an image": ("spec:\n  images:\n    web: app:1.4 # held\n", "images.web", "r.test:5000/app:1.5",
                 "spec:\n  images:\n    web: r.test:5000/app:1.5 # held\n"),
    "a first image": ("spec:\n  plugin: whoami # x\n", "images.web", "app:1.5",
                      "spec:\n  plugin: whoami # x\n  images: {web: app:1.5}\n"),
    "an image of a workload with a dot": ("spec: {images: {a.b: app:1.4}}\n", "images.a.b", "app:1.5",
                                          "spec: {images: {a.b: app:1.5}}\n"),
    "no end of line": ("spec:\n  replicas: 3", "replicas", 5, "spec:\n  replicas: 5"),
    "carriage returns": ("spec:\r\n  replicas: 3\r\n", "replicas", 5, "spec:\r\n  replicas: 5\r\n"),
    "an empty value": ("spec:\n  replicas:\n  suspend: false\n", "replicas", 5, "spec:\n  replicas: 5\n  suspend: false\n"),
    "an empty value with a comment": ("spec:\n  replicas: # all\n", "replicas", 5, "spec:\n  replicas: 5 # all\n"),
    "an explicit null": ("spec:\n  replicas: ~\n", "replicas", 5, "spec:\n  replicas: 5\n"),
    "a new field": ("spec:\n  plugin: whoami # x\n\n# end\n", "replicas", 5,
                    "spec:\n  plugin: whoami # x\n  replicas: 5\n\n# end\n"),
    "a new field after a block": (
        "spec:\n    env:\n      A: |\n        text\n\n\n# end\n",
        "suspend",
        True,
        "spec:\n    env:\n      A: |\n        text\n    suspend: true\n\n\n# end\n",
    ),
    "a new field after a list": (
        "spec:\n  dependsOn:\n  - db\n  - mail # both\n# end\n",
        "suspend",
        True,
        "spec:\n  dependsOn:\n  - db\n  - mail # both\n  suspend: true\n# end\n",
    ),
    "a new field in braces": ("spec: {plugin: whoami}\n", "replicas", 5, "spec: {replicas: 5, plugin: whoami}\n"),
    "a new field with its parent": ("spec:\n  plugin: whoami\n", "ports.http", 8080,
                                    "spec:\n  plugin: whoami\n  ports: {http: 8080}\n"),
    "a new field in an empty parent": ("spec:\n  env:\n  suspend: true\n", "env.A", "x",
                                       "spec:\n  env: {A: x}\n  suspend: true\n"),
    "a new field in empty braces": ("spec:\n  env: {}\n", "env.A", "x", "spec:\n  env: {A: x}\n"),
    "a field three deep": (
        "spec:\n  strategy:\n    rollingUpdate:\n      maxSurge: 1\n",
        "strategy.rollingUpdate.maxSurge",
        "50%",
        "spec:\n  strategy:\n    rollingUpdate:\n      maxSurge: 50%\n",
    ),
    "a key in quotes": ('spec:\n  "replicas": 3\n', "replicas", 5, 'spec:\n  "replicas": 5\n'),
    "umlauts before it": ("# größer 💥\nspec:\n  replicas: 3\n", "replicas", 5, "# größer 💥\nspec:\n  replicas: 5\n"),
    "the same value": ("spec:\n  replicas: 5 # five\n", "replicas", 5, "spec:\n  replicas: 5 # five\n"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "key", "value", "wanted"), CASES.values(), ids=CASES.keys())
def test_only_the_value_changes(text: str, key: str, value: Scalar, wanted: str) -> None:
    steps = ("spec", *key.split(".", 1)) if key.startswith(("env", "images")) else ("spec", *key.split("."))
    assert edit_text(HEAD + text, PATH, FILES, {steps: value}) == HEAD + wanted


REFUSED = {
    "an alias": "x: &n 3\nspec: {replicas: *n}\n",
    "an anchor": "spec: {replicas: &n 3, strategy: {maxSurge: *n}}\n",
    "a tag": "spec: {replicas: !!str 3}\n",
    "a mapping": "spec: {replicas: {a: 1}}\n",
    "a list": "spec: {replicas: [3]}\n",
    "several lines": "spec:\n  replicas: |\n    3\n",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_changed_alone_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match=r"files\.yaml: spec\.replicas .* edit the file yourself"):
        edit_text(HEAD + text, PATH, FILES, {("spec", "replicas"): 5})


def test_the_right_document_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    one, two = (
        "apiVersion: v1\nkind: Other\n",
        HEAD + "spec: {plugin: whoami, replicas: 2, ports: {http: 1}}\n",
    )
    three = two.replace("files", "wiki").replace("http: 1", "http: 2")
    path.write_text(f"---\n---\n{one}---\n{two}---\n{three}...\n")
    edit = edit_manifest(path, WIKI, {"replicas": 4})
    assert edit.after == f"---\n---\n{one}---\n{two}---\n{three.replace('replicas: 2', 'replicas: 4')}...\n"
    assert edit.manifest.resource.spec.replicas == 4
    assert edit.diff("all.yaml").count("\n+ ") + edit.diff("all.yaml").count("\n+s") == 1


def test_several_changes_are_one_edit(tmp_path: Path) -> None:
    path = tmp_path / "files.yaml"
    path.write_text(HEAD + "spec:\n  plugin: whoami\n")
    edit = edit_manifest(path, FILES, {"replicas": 4, "env.A": "1", "env.B": "2", "suspend": True})
    assert (
        edit.after
        == HEAD + 'spec:\n  plugin: whoami\n  replicas: 4\n  env: {B: "2", A: "1"}\n  suspend: true\n'
    )
    assert path.read_text() == edit.before


def test_a_result_that_is_not_valid_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "files.yaml"
    path.write_text(HEAD + "spec:\n  plugin: whoami\n  replicas: 3\n")
    with pytest.raises(ManifestError, match=r"files\.yaml:6:13: spec\.replicas: "):
        edit_manifest(path, FILES, {"replicas": -1})
    with pytest.raises(ManifestError, match=r"spec\.replica: .*replicas"):
        edit_manifest(path, FILES, {"replica": 2})


def test_a_file_without_the_service_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "files.yaml"
    path.write_text(HEAD + "spec: {plugin: whoami}\n")
    with pytest.raises(PermanentError, match="no longer holds VaultService 'wiki'"):
        edit_manifest(path, WIKI, {"replicas": 0})
    with pytest.raises(PermanentError, match="No such file"):
        edit_manifest(tmp_path / "gone.yaml", WIKI, {"replicas": 0})


def test_a_byte_order_mark_stays(tmp_path: Path) -> None:
    path = tmp_path / "files.yaml"
    path.write_text("\ufeff" + HEAD + "spec: {plugin: whoami}\n", encoding="utf-8")
    assert edit_manifest(path, FILES, {"replicas": 2}).after.startswith("\ufeffapiVersion")


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20).filter(
    lambda t: "\0" not in t
)
VALUES = st.one_of(st.booleans(), st.integers(-(10**6), 10**6), TEXTS)
LAYOUTS = [
    "spec:\n  plugin: whoami\n  a: {old}\n  z: 1\n",
    "spec:\n     a:   {old}    # comment\n",
    "spec: {{plugin: whoami, a: {old}, z: 1}}\n",
    "spec: {{ a: {old} }}",
    "spec:\r\n  a: {old}\r\n",
    "spec:\n  plugin: whoami\n",
    "spec: {{}}\n",
    "spec:\n  l:\n  - 1\n\n# end\n",
]


@given(st.sampled_from(LAYOUTS), st.sampled_from(["3", "x", "'q'", '"q"', "", "~", "2s"]), VALUES)
def test_any_value_fits_any_layout(layout: str, old: str, value: Scalar) -> None:
    before = HEAD + layout.format(old=old)
    after = edit_text(before, PATH, FILES, {("spec", "a"): value})
    reader = YamlReader(after, PATH)
    (document,) = [to_plain(root) for root in reader.documents()]
    assert document["spec"]["a"] == value
    gone = [line for line in before.splitlines() if line not in after.splitlines()]
    assert len(gone) <= 1
    assert len(after.splitlines()) - len(before.splitlines()) <= 1


TAKEN_OUT = [
    ("env:\n    A: '1'\n    B: '2'  # why\n", "env.B", "env:\n    A: '1'\n"),
    ("env:\n    A: '1'\n    B: '2'\n", "env.A", "env:\n    B: '2'\n"),
    ("env: {A: '1', B: '2'}\n", "env.A", "env: {B: '2'}\n"),
    ("env: {A: '1', B: '2'}\n", "env.B", "env: {A: '1'}\n"),
    ("env:\n    A: '1'\n  replicas: 2\n", "env.A", "replicas: 2\n"),
    ("env: {A: '1'}\n  replicas: 2\n", "env.A", "replicas: 2\n"),
    ("ports: {http: 80, container: 90}\n", "ports.container", "ports: {http: 80}\n"),
    ("replicas: 2\n", "env.A", "replicas: 2\n"),
]


@pytest.mark.parametrize(("spec", "field", "expected"), TAKEN_OUT)
def test_none_takes_a_field_out_and_what_holds_nothing_else(spec: str, field: str, expected: str) -> None:
    head = "apiVersion: vault.internal/v1alpha1\nkind: VaultService\nmetadata: {name: files}\nspec:\n  plugin: whoami\n  "
    head_, _, steps = field.partition(".")
    changed = edit_text(head + spec, Path("a.yaml"), FILES, {("spec", head_, steps): None})
    assert changed == (head + expected if expected else head.rstrip() + "\n")


ANNOTATION = "metadata.annotations.vault.internal/replicas"


@pytest.mark.parametrize("metadata", ["metadata: {name: files}", "metadata:\n  name: files  # the team's"])
@pytest.mark.parametrize("others", [False, True])
def test_an_annotation_is_added_and_taken_back(tmp_path: Path, metadata: str, others: bool) -> None:
    if others and "{" in metadata:
        metadata = "metadata: {name: files, annotations: {a.b/c: x}}"
    elif others:
        metadata += "\n  annotations:\n    a.b/c: x"
    path = tmp_path / "files.yaml"
    text = f"apiVersion: vault.internal/v1alpha1\nkind: VaultService\n{metadata}\nspec: {{plugin: whoami}}\n"
    path.write_text(text)
    noted = edit_manifest(path, FILES, {ANNOTATION: "3"})
    assert noted.manifest.resource.metadata.annotations["vault.internal/replicas"] == "3"
    path.write_text(noted.after)
    again = edit_manifest(path, FILES, {ANNOTATION: None})
    assert again.manifest.resource.metadata.annotations == ({"a.b/c": "x"} if others else {})
    assert again.old == {ANNOTATION: "3"}
    path.write_text(again.after)
    assert edit_manifest(path, FILES, {ANNOTATION: None}).is_change is False
