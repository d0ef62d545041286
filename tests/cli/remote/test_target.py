"""Where the API is comes from options or from a kubeconfig; each mistake is named, and no secret is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cli.errors import Failure
from reconciler.cli.remote.target import Flags, Target, target_of
from tests.web.kube.issuer import authority, client

URL = "https://vault.example.com:6443"
SECRET = "hunter2-hunter2"
VERSION = "client.authentication.k8s.io/v1"
CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "one",
    "contexts": [
        {"name": "one", "context": {"cluster": "vault", "user": "anna"}},
        {"name": "two", "context": {"cluster": "other", "user": "ben"}},
        {"name": "lost", "context": {"cluster": "vault", "user": "nemo"}},
        {"name": "program", "context": {"cluster": "vault", "user": "program"}},
        {"name": "provider", "context": {"cluster": "vault", "user": "provider"}},
        {"name": "unsafe", "context": {"cluster": "unsafe", "user": "anna"}},
    ],
    "clusters": [
        {"name": "vault", "cluster": {"server": URL}},
        {"name": "other", "cluster": {"server": "https://other:1/", "certificate-authority": "ca.crt"}},
        {"name": "unsafe", "cluster": {"server": URL, "insecure-skip-tls-verify": True}},
    ],
    "users": [
        {"name": "anna", "user": {"token": SECRET}},
        {"name": "ben", "user": {"tokenFile": "token"}},
        {"name": "program", "user": {"exec": {"command": "kubelogin-of-nowhere", "apiVersion": VERSION}}},
        {"name": "provider", "user": {"auth-provider": {"name": "oidc"}}},
    ],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "ca.crt").write_text("authority")
    (tmp_path / "token").write_text("of-a-file\n")
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def test_options_name_a_server_and_a_token(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("authority")
    flags = Flags(server=f"{URL}/", token=SECRET, certificate_authority=tmp_path / "ca.crt")
    assert target_of(flags, {}) == Target(URL, SECRET, "authority")
    assert SECRET not in repr(target_of(flags, {}))


def test_a_kubeconfig_names_all_of_it(config: Path) -> None:
    assert target_of(Flags(kubeconfig=config), {}) == Target(URL, SECRET)
    assert target_of(Flags(kubeconfig=config, context="two"), {}) == Target(
        "https://other:1", "of-a-file", "authority"
    )


def test_options_count_more_than_a_kubeconfig(config: Path) -> None:
    flags = Flags(kubeconfig=config, server="https://elsewhere:2", token="another-token")
    assert target_of(flags, {}) == Target("https://elsewhere:2", "another-token")


def test_a_context_alone_is_one_of_the_usual_file(config: Path, tmp_path: Path) -> None:
    assert target_of(Flags(context="one"), {"KUBECONFIG": f"{config}:/nonexistent"}).server == URL
    (tmp_path / "home" / ".kube").mkdir(parents=True)
    config.rename(tmp_path / "home" / ".kube" / "config")
    assert target_of(Flags(context="one"), {"HOME": str(tmp_path / "home")}).server == URL


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"server": "http://vault:6443", "token": SECRET}, "write https://HOST:PORT"),
        ({"server": "vault:6443", "token": SECRET}, "write https://HOST:PORT"),
        ({"server": "https://a:b@vault", "token": SECRET}, "write https://HOST:PORT"),
        ({"server": "https://vault:64430000", "token": SECRET}, "write https://HOST:PORT"),
        ({"server": "https://[vault:6443", "token": SECRET}, "write https://HOST:PORT"),
        ({"server": URL}, "set VAULT_TOKEN"),
        ({"server": URL, "token": f"{SECRET}\nX: y"}, "is not one line"),
        (
            {"context": "three"},
            "there is no context 'three'; there are: one, two, lost, program, provider, unsafe",
        ),
        ({"context": "lost"}, "there is no user 'nemo'; there are: anna, ben, program, provider"),
        ({"context": "program"}, "cannot run kubelogin-of-nowhere: No such file or directory"),
        ({"context": "provider"}, "auth-provider is not supported"),
        ({"context": "unsafe"}, "insecure-skip-tls-verify is not supported"),
        ({"kubeconfig": Path("/nonexistent")}, "cannot read /nonexistent: No such file"),
    ],
)
def test_each_mistake_is_named(config: Path, flags: dict[str, Any], says: str) -> None:
    with pytest.raises(Failure) as caught:
        target_of(Flags(**flags), {"KUBECONFIG": str(config)})
    assert says in caught.value.message
    assert SECRET not in caught.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not one mapping"),
        ("[a]", "is not one mapping"),
        ("a: [", "is not valid YAML"),
        ("{}", "there is no current-context"),
        ("current-context: a\ncontexts: 7", "there is no context 'a'; there are: none"),
        ("current-context: a\ncontexts: [x]", "there is no context 'a'"),
        ("&a {a: *a}", "config"),
    ],
)
def test_what_is_no_kubeconfig_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(Failure) as caught:
        target_of(Flags(kubeconfig=path), {})
    assert says in caught.value.message


def test_certificates_that_are_none_are_named() -> None:
    with pytest.raises(Failure, match="have to be PEM"):
        Target(URL, "", "nonsense").context()
    with pytest.raises(Failure, match="have to be PEM"):
        Target(URL, "", "", "nonsense", "nonsense").context()
    by = authority()
    shown = client(by, "anna")
    assert Target(URL, "", by.pem.decode(), shown.pem.decode(), shown.key_pem.decode()).context()
