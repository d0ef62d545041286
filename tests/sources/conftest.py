"""Repositories and their servers, made for one test each."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.git_repository import Repository, manifest, sh
from tests.sources.git_servers import SSH, running


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    bare, work = tmp_path / "infra.git", tmp_path / "work"
    sh("git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare), cwd=tmp_path)
    sh("git", "clone", "--quiet", str(bare), str(work), cwd=tmp_path)
    made = Repository(bare, work)
    made.commit({"apps/files.yaml": manifest("files")})
    return made


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a controller whose user has no configuration of git."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of the machine's sshd, or else of the one of its package, unpacked beside and not installed."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if found:
        return [found]
    place = tmp_path_factory.mktemp("sshd")
    sh("apt-get", "download", "openssh-server", "libwrap0", cwd=place)
    for package in place.glob("*.deb"):
        sh("dpkg-deb", "--extract", package.name, "root", cwd=place)
    (library,) = place.glob("root/**/libwrap.so.0")
    # What the package's installation would have added to the machine is there for this program alone.
    passwd = place / "passwd"
    passwd.write_text(Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n")
    alone = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'
    environ = f"LD_LIBRARY_PATH={library.parent}"
    program = str(place / "root/usr/sbin/sshd")
    return ["unshare", "--mount", "sh", "-c", alone, "sh", str(passwd), "env", environ, program]


@pytest.fixture
def ssh(tmp_path: Path, repository: Repository, sshd: list[str]) -> Iterator[SSH]:
    directory = tmp_path / "ssh"
    directory.mkdir(mode=0o700)
    for name in ("host", "user"):
        sh("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name), cwd=directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    authorized = directory / "authorized"
    authorized.write_text((directory / "user.pub").read_text())
    known = directory / "known"
    known.write_text(f"[127.0.0.1]:{port} {(directory / 'host.pub').read_text()}")
    config = directory / "config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nAuthorizedKeysFile {authorized}\n"
        f"PidFile {directory}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
    )
    # OpenSSH insists on this empty directory for its unprivileged half.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with running([*sshd, "-D", "-e", "-f", str(config)], port):
        yield SSH(f"ssh://{getpass.getuser()}@127.0.0.1:{port}{repository.bare}", directory / "user", known)
