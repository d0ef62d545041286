"""A directory that a container has filled can be removed, and nothing outside of it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from reconciler.store.tree import remove_tree


def nest(directory: Path, depth: int) -> None:
    """Nested directories whose path is longer than the limit."""
    here = os.open(directory, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_everything_in_it_goes_and_what_links_lead_to_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    for place in (tree, tree / "a", tree / "a" / "b"):
        (place / "file").write_text("x")
        (place / "link").symlink_to(outside)
        (place / "gone").symlink_to("nowhere")
        os.mkfifo(place / "fifo")
        os.link(outside / "precious", place / "second-name")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tree / "a" / "socket"))
    listener.close()

    remove_tree(tree)
    assert not tree.exists()
    assert (outside / "precious").read_text() == "precious"
    assert len(list(outside.iterdir())) == 1


def test_depth_is_no_obstacle(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    nest(tree, 3000)
    remove_tree(tree)
    assert not tree.exists()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_no_directory_is_an_error(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    tree = tmp_path / "tree"
    if kind == "link":
        tree.symlink_to(outside)
    else:
        tree.write_text("x")
    with pytest.raises(OSError, match=r"symbolic link|Not a directory"):
        remove_tree(tree)
    assert outside.exists()
