"""The socket that hears of servers; that HAProxy writes to it is shown in test_haproxy.py."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.config import EVENTS_SOCKET
from reconciler.proxy.haproxy.directory import opened
from reconciler.proxy.haproxy.events import ServerEvents
from tests.descriptors import sockets


@pytest.fixture
def events() -> Iterator[ServerEvents]:
    """Nothing is heard yet."""
    made = ServerEvents()
    yield made
    made.close()


def make_site(directory: Path) -> Site:
    site = Site(directory, os.getuid(), os.getgid())
    site.config.mkdir(parents=True)
    return site


def tell(site: Site, text: bytes = b"Server pool/one is UP.") -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller, opened(site.config) as directory:
        teller.sendto(text, f"/proc/self/fd/{directory}/{EVENTS_SOCKET}")


def test_each_datagram_is_one_name(events: ServerEvents, tmp_path: Path) -> None:
    names = events.follow()
    files, notes = make_site(tmp_path / "files"), make_site(tmp_path / ("notes" * 30))
    events.listen("files", files)
    events.listen("notes", notes)

    tell(files)
    tell(files, b"x" * 65_000)
    assert list(islice(names, 2)) == ["files", "files"]
    tell(notes)
    assert next(names) == "notes"


def test_without_a_follower_nothing_is_touched(events: ServerEvents, tmp_path: Path) -> None:
    site = make_site(tmp_path)
    events.listen("files", site)
    assert not list(site.config.iterdir())


def test_after_the_end_nothing_is_touched_either(events: ServerEvents, tmp_path: Path) -> None:
    """A pass that still runs as the controller ends would leave a socket open."""
    site = make_site(tmp_path)
    events.follow()
    events.close()
    events.listen("files", site)
    assert not list(site.config.iterdir())


def test_a_service_that_has_no_directory_yet_is_heard_later(events: ServerEvents, tmp_path: Path) -> None:
    names = events.follow()
    events.listen("files", Site(tmp_path, os.getuid(), os.getgid()))
    site = make_site(tmp_path)
    events.listen("files", site)

    tell(site)
    assert next(names) == "files"


def test_what_a_former_controller_left_is_replaced(events: ServerEvents, tmp_path: Path) -> None:
    site = make_site(tmp_path)
    former = ServerEvents()
    former.follow()
    former.listen("files", site)
    former.close()

    names = events.follow()
    events.listen("files", site)
    tell(site)
    assert next(names) == "files"


def test_a_service_that_comes_again_is_heard_and_the_former_socket_closed(
    events: ServerEvents, tmp_path: Path
) -> None:
    names = events.follow()
    site = make_site(tmp_path / "files")
    events.listen("files", site)
    before = sockets()
    for _ in range(3):
        shutil.rmtree(site.directory)
        make_site(site.directory)
        events.listen("files", site)

    assert sockets() == before
    tell(site)
    assert next(names) == "files"


def test_only_haproxy_may_write_and_no_link_is_followed(events: ServerEvents, tmp_path: Path) -> None:
    site = make_site(tmp_path / "files")
    target = tmp_path / "target"
    target.write_text("not yours")
    before = target.stat()
    (site.config / EVENTS_SOCKET).symlink_to(target)
    events.follow()
    events.listen("files", site)

    mode = (site.config / EVENTS_SOCKET).lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert (target.read_text(), target.stat()) == ("not yours", before)


def test_a_name_that_is_taken_by_a_directory_is_an_error(events: ServerEvents, tmp_path: Path) -> None:
    site = make_site(tmp_path)
    (site.config / EVENTS_SOCKET).mkdir()
    events.follow()
    before = sockets()
    with pytest.raises(OSError, match="directory"):
        events.listen("files", site)
    assert sockets() == before
