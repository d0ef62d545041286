"""One document of a file is edited, and the rest of the file stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.api.errors import ManifestError, PermanentError
from reconciler.api.kinds import VAULT_GATEWAY, VAULT_SERVICE, Ref
from reconciler.api.rewrite import excerpt

HEAD = "apiVersion: vault.internal/v1alpha1\nkind: VaultService\n"
FILES = f"# files\n{HEAD}metadata: {{name: files}}\nspec:\n  plugin: whoami  # ours\n"
WIKI = f"# wiki\n{HEAD}metadata: {{name: wiki}}\nspec: {{plugin: whoami, ports: {{http: 8081}}}}\n"
GATEWAY = f"{HEAD.replace('Service', 'Gateway')}metadata: {{name: files}}\nspec: {{}}\n"
LIST = (
    "apiVersion: v1\nkind: List\nitems:\n"
    "- apiVersion: vault.internal/v1alpha1\n  kind: VaultService\n  metadata: {name: files}\n"
    "  spec: {plugin: whoami}\n"
)

TEXTS = {
    "alone": ("", FILES, ""),
    "with a separator above": ("---\n", FILES, ""),
    "first": ("", FILES, f"---\n{WIKI}"),
    "last": (f"{WIKI}---\n", FILES, ""),
    "between": (f"---\n{WIKI}--- # next\n", FILES, f"---\n{GATEWAY}"),
    "beside a gateway of its name": (f"{GATEWAY}---\n", FILES, ""),
    "beside another program's": ("apiVersion: v1\nkind: Secret\nmetadata: {name: files}\n---\n", FILES, ""),
    "in a list": (f"{WIKI}---\n", LIST, ""),
    "with a mistake": ("", FILES.replace("plugin", "plugn"), f"---\n{WIKI}"),
    "beside a mistake": ("", FILES, f"---\n{WIKI.replace('plugin', 'plugn')}"),
    "after a byte order mark": ("", FILES, ""),
}


@pytest.mark.parametrize("what", TEXTS)
def test_a_document_is_taken_out_and_put_back(what: str, tmp_path: Path) -> None:
    before, text, after = TEXTS[what]
    mark = "\ufeff" if "mark" in what else ""
    path = tmp_path / "all.yaml"
    path.write_bytes((mark + before + text + after).encode())
    found = excerpt(path, Ref(VAULT_SERVICE, "files"))
    assert (found.before, found.text, found.after) == (before, text, after)
    if what == "beside a mistake":
        with pytest.raises(ManifestError, match=r"spec\.plugn"):
            found.replaced(text + "  replicas: 4\n")
        return
    edit = found.replaced(
        text.replace("plugn", "plugin").replace("whoami}", "whoami, replicas: 4}")
        if "replicas" in text or "in a list" in what
        else text.replace("plugn", "plugin") + "  replicas: 4"
    )
    assert edit.manifest.resource.spec.replicas == 4
    assert edit.before == path.read_bytes().decode()
    assert edit.after.startswith(mark + before)
    assert edit.after.endswith(after)
    path.write_bytes(edit.after.encode())
    assert excerpt(path, Ref(VAULT_SERVICE, "files")).after == after


def test_windows_line_ends_stay(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_bytes(f"{WIKI}---\n{FILES}".replace("\n", "\r\n").encode())
    found = excerpt(path, Ref(VAULT_SERVICE, "files"))
    assert found.text == FILES.replace("\n", "\r\n")
    assert found.replaced(found.text).is_change is False


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            FILES.replace("name: files", "name: other"),
            "no longer holds VaultService 'files'; its kind and its name",
        ),
        (GATEWAY, "already defined|no longer holds VaultService 'files'"),
        (f"{FILES}---\n{WIKI.replace('wiki', 'new').replace('8081', '8082')}", "also changes new; edit one"),
        (FILES.replace("whoami", "[whoami"), "is not valid YAML"),
        (FILES + "  ports: {http: 8081}\n", "8081 is already used by"),
        (FILES + "  replicas: two\n", r"all\.yaml:7:13: spec\.replicas: must be a whole number"),
    ],
)
def test_what_cannot_be_put_back(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(f"{FILES}---\n{WIKI}")
    with pytest.raises((ManifestError, PermanentError), match=says):
        excerpt(path, Ref(VAULT_SERVICE, "files")).replaced(text)


def test_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    with pytest.raises(PermanentError, match="cannot be read"):
        excerpt(path, Ref(VAULT_SERVICE, "files"))
    path.write_text(FILES)
    with pytest.raises(PermanentError, match="no longer holds VaultGateway 'files'; see: git log"):
        excerpt(path, Ref(VAULT_GATEWAY, "files"))
