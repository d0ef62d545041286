"""`vaultctl secret` with files of the real `age` command, which reads what vaultctl writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.sealed.sops_writer import Sops
from tests.sealed.tools import AgeKey, age, keygen

Vaultctl = Callable[..., Result]
SECRET = "hunter22"
TEXT = f"# the database\nDB_PASSWORD={SECRET}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with secrets in a directory of it."""
    directory = tmp_path / "repository" / "apps"
    directory.mkdir(parents=True)
    (directory.parent / ".git").mkdir()
    return directory


@pytest.fixture
def key(tmp_path: Path, repository: Path) -> AgeKey:
    """A key that is among the recipients of the repository."""
    key = keygen(tmp_path / "first.key")
    (repository.parent / ".age-recipients").write_text(f"# the team\n{key.recipient} # first\n")
    return key


@pytest.fixture
def other(tmp_path: Path) -> AgeKey:
    return keygen(tmp_path / "second.key")


@pytest.fixture
def sealed(repository: Path, key: AgeKey) -> Path:
    """An encrypted settings file."""
    path = repository / "files.env.age"
    path.write_bytes(age("--encrypt", "-r", key.recipient, content=TEXT.encode()))
    return path


def plain(path: Path, key: AgeKey) -> str:
    """What the real command finds in a file."""
    return age("--decrypt", "-i", key.path, path, content=b"").decode()


def editor(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", command)


class TestEncrypt:
    def test_to_the_recipients_of_the_repository(
        self, vaultctl: Vaultctl, repository: Path, key: AgeKey, other: AgeKey
    ) -> None:
        path = repository / "files.env"
        path.write_text(TEXT)
        done = vaultctl("secret", "encrypt", path)
        assert done.exit_code == 0, done.stderr
        assert done.stdout == f"{path}.age is encrypted\n"
        assert "still has the values" in done.stderr
        target = repository / "files.env.age"
        assert plain(target, key) == TEXT
        assert target.read_bytes().startswith(b"-----BEGIN AGE"), "Git shows it as text"
        assert target.stat().st_mode & 0o777 == 0o644
        assert vaultctl("secret", "encrypt", path).exit_code == 1, "a file is not replaced"
        done = vaultctl("secret", "encrypt", path, "--force", "--recipient", other.recipient)
        assert done.exit_code == 0, done.stderr
        assert plain(target, other) == TEXT

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (f"A=1\n{SECRET}\n", ":2:1: has no '='"),
            ("-----BEGIN AGE ENCRYPTED FILE-----\n", "is encrypted; to change who can read it"),
            ("A=" + "x" * 2**20, "is larger than 1024 KiB"),
        ],
    )
    def test_what_is_refused(
        self, vaultctl: Vaultctl, repository: Path, key: AgeKey, text: str, message: str
    ) -> None:
        path = repository / "files.env"
        path.write_text(text)
        done = vaultctl("secret", "encrypt", path)
        assert done.exit_code == 1
        assert message in done.stderr
        assert SECRET not in done.stderr
        assert not (repository / "files.env.age").exists()

    def test_any_other_file(self, vaultctl: Vaultctl, repository: Path, key: AgeKey) -> None:
        path = repository / "tls.key"
        path.write_bytes(b"\x00\xff-----BEGIN")
        assert vaultctl("secret", "encrypt", path).exit_code == 0
        assert age("--decrypt", "-i", key.path, f"{path}.age", content=b"") == path.read_bytes()

    def test_without_recipients_it_says_where_they_belong(self, vaultctl: Vaultctl, repository: Path) -> None:
        (repository / "files.env").write_text(TEXT)
        done = vaultctl("secret", "encrypt", repository / "files.env")
        assert done.exit_code == 1
        assert f"write them to {repository / '.age-recipients'}" in done.stderr

    def test_a_private_key_in_their_place_is_not_printed(
        self, vaultctl: Vaultctl, repository: Path, key: AgeKey
    ) -> None:
        private = key.path.read_text().splitlines()[-1]
        (repository / "files.env").write_text(TEXT)
        (repository / ".age-recipients").write_text(f"{private}\n")
        for words in ([], ["--recipient", private]):
            done = vaultctl("secret", "encrypt", repository / "files.env", *words)
            assert done.exit_code == 1
            assert "no age recipient" in done.stderr
            assert private not in done.stderr


class TestEdit:
    def test_what_the_editor_leaves_is_encrypted(
        self, vaultctl: Vaultctl, sealed: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        editor(monkeypatch, "sed -i s/hunter22/correct-horse/")
        done = vaultctl("secret", "edit", sealed, "--age-keys", key.path)
        assert (done.exit_code, done.stdout) == (0, f"{sealed} is encrypted\n"), done.stderr
        assert plain(sealed, key) == TEXT.replace(SECRET, "correct-horse")
        assert not list(Path("/dev/shm").glob("vaultctl-edit-*/*files.env"))

    def test_it_is_edited_in_memory_only(
        self,
        vaultctl: Vaultctl,
        sealed: Path,
        key: AgeKey,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        seen = tmp_path / "seen"
        program = tmp_path / "editor"
        program.write_text(f'#!/bin/sh\nstat -f -c %T "$1" > {seen}\nstat -c %a "$1" >> {seen}\n')
        program.chmod(0o755)
        editor(monkeypatch, str(program))
        done = vaultctl("secret", "edit", sealed, "--age-keys", key.path)
        assert done.stdout == "nothing was edited, so nothing was changed\n", done.stderr
        assert seen.read_text().split() == ["tmpfs", "600"]

    def test_a_new_file(
        self, vaultctl: Vaultctl, repository: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        editor(monkeypatch, "sh -c 'echo A=1 > \"$1\"' sh")
        assert vaultctl("secret", "edit", repository / "new.env.age").exit_code == 0
        assert plain(repository / "new.env.age", key) == "A=1\n"

    def test_mistakes_are_shown_and_change_nothing(
        self, vaultctl: Vaultctl, sealed: Path, key: AgeKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = sealed.read_bytes()
        editor(monkeypatch, "sed -i s/DB_PASSWORD=//")
        done = vaultctl("secret", "edit", sealed, "--age-keys", key.path, input="n\n")
        assert done.exit_code != 0
        assert f"{sealed}:2:1: has no '='" in done.stderr
        assert SECRET not in done.stderr
        assert sealed.read_bytes() == before
        editor(monkeypatch, 'sh -c \'grep -q again "$1" && echo A=1 > "$1" || echo again > "$1"\' sh')
        done = vaultctl("secret", "edit", sealed, "--age-keys", key.path, input="y\n")
        assert done.exit_code == 0, done.stderr
        assert plain(sealed, key) == "A=1\n"

    def test_without_the_key(
        self, vaultctl: Vaultctl, sealed: Path, other: AgeKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        editor(monkeypatch, "false")
        done = vaultctl("secret", "edit", sealed, "--age-keys", other.path)
        assert done.exit_code == 1
        assert "of which no key is here: the key of age1" in done.stderr


class TestRotate:
    def test_the_values_stay_and_the_ciphertext_does_not(
        self, vaultctl: Vaultctl, sealed: Path, key: AgeKey
    ) -> None:
        before = sealed.read_bytes()
        done = vaultctl("secret", "rotate", sealed, "--age-keys", key.path)
        assert (done.exit_code, done.stdout, done.stderr) == (0, f"{sealed} is encrypted anew\n", "")
        assert sealed.read_bytes() != before
        assert plain(sealed, key) == TEXT

    def test_a_recipient_comes_and_another_one_goes(
        self, vaultctl: Vaultctl, sealed: Path, key: AgeKey, other: AgeKey
    ) -> None:
        listed = sealed.parents[1] / ".age-recipients"
        done = vaultctl("secret", "rotate", "--add", other.recipient, sealed, "--age-keys", key.path)
        assert done.exit_code == 0, done.stderr
        assert listed.read_text() == f"# the team\n{key.recipient} # first\n{other.recipient}\n"
        assert plain(sealed, key) == plain(sealed, other) == TEXT
        done = vaultctl("secret", "rotate", "--remove", key.recipient, sealed, "--age-keys", key.path)
        assert done.exit_code == 0, done.stderr
        assert "no key of --age-keys can read these files any more" in done.stderr
        assert "change the values" in done.stderr
        assert listed.read_text() == f"# the team\n{other.recipient}\n"
        assert plain(sealed, other) == TEXT
        assert vaultctl("secret", "rotate", sealed, "--age-keys", key.path).exit_code == 1

    def test_all_files_or_none(self, vaultctl: Vaultctl, sealed: Path, key: AgeKey, other: AgeKey) -> None:
        foreign = sealed.with_name("foreign.env.age")
        foreign.write_bytes(age("--encrypt", "-r", other.recipient, content=b"A=1\n"))
        listed = sealed.parents[1] / ".age-recipients"
        before = (sealed.read_bytes(), foreign.read_bytes(), listed.read_bytes())
        words = ["secret", "rotate", "--add", other.recipient, sealed, foreign, "--age-keys", key.path]
        assert vaultctl(*words).exit_code == 1
        assert (sealed.read_bytes(), foreign.read_bytes(), listed.read_bytes()) == before

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--add", "age1nonsense"], "no age recipient"),
            (["--remove", "age1nonsense"], "has no recipient age1nonsense"),
        ],
    )
    def test_what_is_refused(
        self, vaultctl: Vaultctl, sealed: Path, key: AgeKey, words: list[str], message: str
    ) -> None:
        done = vaultctl("secret", "rotate", *words, sealed, "--age-keys", key.path)
        assert done.exit_code == 1
        assert message in done.stderr

    def test_the_last_recipient_stays(self, vaultctl: Vaultctl, sealed: Path, key: AgeKey) -> None:
        done = vaultctl("secret", "rotate", "--remove", key.recipient, sealed, "--age-keys", key.path)
        assert done.exit_code == 1
        assert "has no recipients" in done.stderr
        assert plain(sealed, key) == TEXT

    def test_a_plain_file_is_none(self, vaultctl: Vaultctl, repository: Path, key: AgeKey) -> None:
        (repository / "files.env").write_text(TEXT)
        done = vaultctl("secret", "rotate", repository / "files.env", "--age-keys", key.path)
        assert "is not encrypted; run: vaultctl secret encrypt" in done.stderr


def test_recipients_and_whose_keys_are_here(
    vaultctl: Vaultctl, sealed: Path, key: AgeKey, other: AgeKey
) -> None:
    listed = sealed.parents[1] / ".age-recipients"
    listed.write_text(f"{listed.read_text()}{other.recipient}\n")
    done = vaultctl("secret", "recipients", sealed, "-o", "json", "--age-keys", key.path)
    assert json.loads(done.stdout) == [
        {"file": str(sealed), "recipient": key.recipient, "place": f"{listed}:2", "keyIsHere": True},
        {"file": str(sealed), "recipient": other.recipient, "place": f"{listed}:3", "keyIsHere": False},
    ]
    table = vaultctl("secret", "recipients", sealed).stdout.splitlines()
    assert table[0].split() == ["FILE", "RECIPIENT", "KEY", "HERE", "WRITTEN", "IN"]
    assert len(table) == 3


def test_a_list_above_the_repository_is_not_its_own(
    vaultctl: Vaultctl, repository: Path, key: AgeKey
) -> None:
    """Users who may write to a directory above it could add themselves."""
    (repository.parent / ".age-recipients").rename(repository.parents[1] / ".age-recipients")
    (repository / "files.env").write_text(TEXT)
    done = vaultctl("secret", "encrypt", repository / "files.env")
    assert "there are no recipients" in done.stderr
    assert [path.name for path in repository.iterdir()] == ["files.env"]


def test_a_sops_file_names_its_recipients_itself(
    vaultctl: Vaultctl, repository: Path, key: AgeKey, other: AgeKey
) -> None:
    path = repository / "secrets.yaml"
    path.write_text(Sops([other, key]).yaml({"A": SECRET}))
    done = vaultctl("secret", "recipients", path, "-o", "json", "--age-keys", key.path)
    found = json.loads(done.stdout)
    assert [(each["recipient"], each["keyIsHere"]) for each in found] == [
        (other.recipient, False),
        (key.recipient, True),
    ]
    assert found[0]["place"] == f"{path}:6"
    for verb in (["edit"], ["rotate"]):
        done = vaultctl("secret", *verb, path, "--age-keys", key.path)
        assert done.exit_code == 1
        assert "is a SOPS file, which only sops writes" in done.stderr


def test_a_plain_file_has_no_recipients(vaultctl: Vaultctl, repository: Path, key: AgeKey) -> None:
    (repository / "files.env").write_text(TEXT)
    done = vaultctl("secret", "recipients", repository / "files.env")
    assert "is not encrypted; run: vaultctl secret encrypt" in done.stderr
