"""A text is edited until it is valid; what is wrong stands above it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.api.kinds import VAULT_SERVICE, Ref
from reconciler.app.revising import UnusableError, changed_fields, revise

FILES = Ref(VAULT_SERVICE, "files")
TEXT = """\
# ours
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files}
spec: {plugin: whoami, env: {LEVEL: info}}
"""


class Person:
    """Answers one text after the other, and remembers what was shown."""

    def __init__(self, *answers: Callable[[str], str]) -> None:
        self.shown: list[str] = []
        self._answers = list(answers)

    def __call__(self, text: str) -> str:
        self.shown.append(text)
        return self._answers.pop(0)(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "files.yaml"
    file.write_text(TEXT)
    return file


def replicas(count: str) -> Callable[[str], str]:
    return lambda text: text.replace("whoami,", f"whoami, replicas: {count},")


def test_a_valid_text_is_taken_without_the_notes(path: Path) -> None:
    person = Person(replicas("4"))
    edit = revise(path, FILES, person)
    assert edit is not None
    assert edit.after == replicas("4")(TEXT)
    assert person.shown[0].startswith("#: Edit VaultService files below.")
    assert person.shown[0].endswith(TEXT)


@pytest.mark.parametrize(
    "answer",
    [lambda text: text, lambda text: "", lambda text: "\n\n", lambda text: TEXT, lambda text: "#: x\n"],
)
def test_nothing_is_changed_by_an_empty_or_equal_text(path: Path, answer: Callable[[str], str]) -> None:
    assert revise(path, FILES, Person(answer)) is None


def test_mistakes_are_shown_above_what_was_written(path: Path) -> None:
    person = Person(replicas("two"), lambda text: text.replace("two", "2"))
    edit = revise(path, FILES, person)
    assert edit is not None
    assert edit.after == replicas("2")(TEXT)
    notes, _, rest = person.shown[1].partition("# ours")
    assert "#: " + f"{path}:5:34: spec.replicas: must be a whole number" in notes
    assert "# ours" + rest == replicas("two")(TEXT)


def test_a_mistake_that_comes_back_ends_it(path: Path) -> None:
    with pytest.raises(UnusableError, match=r"is not valid, so nothing was changed: .*spec\.replicas"):
        revise(path, FILES, Person(replicas("two"), lambda text: text))
    assert path.read_text() == TEXT


def test_after_a_mistake_the_first_text_is_a_way_out(path: Path) -> None:
    assert revise(path, FILES, Person(replicas("two"), lambda text: TEXT)) is None


def test_a_file_that_was_changed_meanwhile_is_left_alone(path: Path) -> None:
    def meanwhile(text: str) -> str:
        path.write_text(TEXT + "# more\n")
        return replicas("4")(text)

    with pytest.raises(UnusableError, match="was changed meanwhile"):
        revise(path, FILES, Person(meanwhile))


def test_changed_fields_are_named_without_values(path: Path) -> None:
    def change(text: str) -> str:
        return (
            replicas("4")(text)
            .replace("info", "secret")
            .replace("name: files", "name: files, labels: {a: b}")
        )

    edit = revise(path, FILES, Person(change))
    assert edit is not None
    assert changed_fields(edit) == ["env.LEVEL", "replicas", "labels"]
    comment = revise(path, FILES, Person(lambda text: text + "# more\n"))
    assert comment is not None
    assert changed_fields(comment) == []
    path.write_text(replicas("two")(TEXT))
    mended = revise(path, FILES, Person(lambda text: text.replace("two", "2")))
    assert mended is not None
    assert changed_fields(mended) == ["mistakes"]
