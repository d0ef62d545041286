"""URLs are shown without their secrets, and no input of a user becomes an option of git."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api import PermanentError
from reconciler.sources.git.address import in_repository, parse_address, split_place

SHOWN = [
    ("https://git.example.com/ops/infra.git", "https://git.example.com/ops/infra.git"),
    ("https://ada:hunter2@git.example.com/infra", "https://git.example.com/infra"),
    ("https://hunter2@git.example.com/infra", "https://git.example.com/infra"),
    ("https://git.example.com:8443/infra?token=hunter2#x", "https://git.example.com:8443/infra"),
    ("http://ada:hunter2@[::1]:3000/infra", "http://[::1]:3000/infra"),
    ("ssh://git:hunter2@git.example.com:2222/infra", "ssh://git@git.example.com:2222/infra"),
    ("git@git.example.com:ops/infra.git", "git@git.example.com:ops/infra.git"),
    ("file:///srv/infra.git", "file:///srv/infra.git"),
    ("/srv/infra.git", "/srv/infra.git"),
]


@pytest.mark.parametrize(("url", "shown"), SHOWN)
def test_a_url_is_shown_without_secrets(url: str, shown: str) -> None:
    address = parse_address(url, "main", "apps")
    assert address.url == shown
    assert address.place == f"{shown}#main:apps"
    assert "hunter2" not in repr(address)
    assert ("hunter2" in str(address.config())) == (url != shown)


def test_a_password_does_not_make_another_place() -> None:
    places = {
        parse_address(f"https://{user}git.example.com/infra", "main").digest for user in ("", "a:b@", "c@")
    }
    assert len(places) == 1


def test_a_secret_is_known_as_written_and_as_meant() -> None:
    assert parse_address("https://ada:a%40b@git.example.com/x", "main").secrets == ("a%40b", "a@b")


def test_a_token_that_stands_for_the_user_is_a_secret() -> None:
    assert parse_address("https://hunter2@git.example.com/x", "main").secrets == ("hunter2",)


@pytest.mark.parametrize("url", [url for url, _shown in SHOWN if "hunter2" in url])
def test_what_is_not_shown_of_a_url_is_known_as_a_secret(url: str) -> None:
    said = f"fatal: unable to access '{url}/': could not connect"
    for secret in parse_address(url, "main").secrets:
        said = said.replace(secret, "***")
    assert "hunter2" not in said


def test_a_token_in_a_query_is_a_secret_also_by_itself() -> None:
    found = parse_address("https://git.example.com/x?a=1&token=hun%20ter2", "main").secrets
    assert "hun ter2" in found
    assert "1" not in found, "hiding it would hide every message"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=x",
        "ext::sh -c touch% /tmp/x",
        "ext::sh",
        "git://git.example.com/infra",
        "ssh://-oProxyCommand=x/infra",
        "-x@git.example.com:infra",
        "https:///infra",
        "https://git.example.com:port/infra",
        "infra",
        "../infra",
        "https://git.example.com/a b",
        "https://git.example.com/a\nb",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(PermanentError):
        parse_address(url, "main")


def test_a_refusal_does_not_repeat_a_password() -> None:
    for url in ("ftp://ada:hunter2@host/x", "https://ada:hunter2@host:x/y"):
        with pytest.raises(PermanentError) as refused:
            parse_address(url, "main")
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("branch", ["main", "release/1.2", "feature/a+b", "#7", "v1.0", "ünï"])
def test_branches(branch: str) -> None:
    assert parse_address("/srv/x", branch).branch == branch


@pytest.mark.parametrize(
    "branch", ["", "-f", "--upload-pack=x", "a..b", "a b", "a:b", "a^", "@{u}", "/a", "a/", "x.lock"]
)
def test_what_is_no_branch_is_refused(branch: str) -> None:
    with pytest.raises(PermanentError, match="cannot be the name of a branch"):
        parse_address("/srv/x", branch)


@pytest.mark.parametrize("path", ["/etc", "..", "apps/../..", "a\nb"])
def test_what_leaves_the_repository_is_refused(path: str) -> None:
    with pytest.raises(PermanentError, match="not a path inside a repository"):
        parse_address("/srv/x", "main", path)


@given(
    st.sampled_from([url for url, _ in SHOWN]),
    st.sampled_from(["main", "#7", "a#b"]),
    st.sampled_from(["", "a/b"]),
)
def test_a_place_can_be_read_again(url: str, branch: str, path: str) -> None:
    address = parse_address(url, branch, path)
    again = split_place(address.place)
    assert (again.url, again.branch, again.path) == (address.url, branch, PurePosixPath(path))


def test_a_manifest_has_a_path_in_its_repository() -> None:
    manifest = Path("/state/git/0123/current/apps/current/files.yaml")
    assert in_repository(manifest, "current") == PurePosixPath("apps/current/files.yaml")
