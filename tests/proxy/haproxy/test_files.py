"""The configuration directory: who may read it, and that no crash leaves half of it believed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from reconciler.core.desired.stack import Site
from reconciler.proxy.haproxy.files import prepare, read_files, stamp_files, validate_files, write_files

FILES = {"haproxy.cfg": "global\n", "hold.lua": "return\n", "pages/503.html": "<p>\n"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "site", os.geteuid(), os.getegid())
    prepare(made)
    return made


def test_what_is_written_is_read(site: Site) -> None:
    write_files(site.config, FILES, site)

    assert read_files(site.config) == FILES


def test_nothing_there_is_nothing_read(tmp_path: Path) -> None:
    assert read_files(tmp_path / "nowhere") == {}


def test_only_the_owner_writes_and_only_the_group_reads(site: Site) -> None:
    write_files(site.config, FILES, site)

    modes = {
        p.relative_to(site.directory).as_posix(): p.stat().st_mode & 0o777 for p in site.directory.rglob("*")
    }
    assert modes == {
        "haproxy": 0o750,
        "run": 0o750,
        "haproxy/pages": 0o750,
        "haproxy/haproxy.cfg": 0o640,
        "haproxy/hold.lua": 0o640,
        "haproxy/pages/503.html": 0o640,
    }


def test_a_file_that_is_right_is_left_alone(site: Site) -> None:
    write_files(site.config, FILES, site)
    before = {name: (site.config / name).stat().st_ino for name in FILES}
    write_files(site.config, {**FILES, "hold.lua": "return 1\n"}, site)

    changed = {name for name in FILES if (site.config / name).stat().st_ino != before[name]}
    assert changed == {"hold.lua"}


def test_haproxy_cfg_is_the_last_to_change(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    replace = os.replace

    def record(source: str, target: str, **directories: int) -> None:
        order.append(target)
        replace(source, target, **directories)

    monkeypatch.setattr(os, "replace", record)
    write_files(site.config, FILES, site)

    assert order == ["hold.lua", "503.html", "haproxy.cfg"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(site.config, FILES, site)
    before = sorted(site.config.rglob("*"))

    def full(descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_files(site.config, {**FILES, "haproxy.cfg": "defaults\n"}, site)

    assert read_files(site.config) == FILES
    assert sorted(site.config.rglob("*")) == before


def test_validation_sees_all_files_where_they_will_not_stay(site: Site) -> None:
    seen: list[tuple[str, str, dict[str, str], Path]] = []
    validate_files(
        *(site, "haproxy:3.0", FILES),
        lambda image, path, user: seen.append((image, user, read_files(path), path)),
    )

    ((image, user, files, path),) = seen
    assert (image, files) == ("haproxy:3.0", FILES)
    assert user == f"{site.uid}:{site.gid}", "nobody else may read them"
    assert path.parent == site.directory
    assert not path.exists()
    assert read_files(site.config) == {}


def test_a_refusal_leaves_nothing_behind(site: Site) -> None:
    def refuse(image: str, path: Path, user: str) -> None:
        raise ValueError("unknown keyword")

    with pytest.raises(ValueError, match="unknown keyword"):
        validate_files(site, "haproxy:3.0", FILES, refuse)

    assert sorted(path.name for path in site.directory.iterdir()) == ["haproxy", "run"]


def test_what_was_left_by_one_that_was_killed_goes_with_the_next_validation(site: Site) -> None:
    abandoned = site.directory / ".check-abandoned"
    abandoned.mkdir()
    (abandoned / "haproxy.cfg").write_text("global\n")

    validate_files(site, "haproxy:3.0", FILES, lambda image, path, user: None)

    assert sorted(path.name for path in site.directory.iterdir()) == ["haproxy", "run"]


def test_stamps_tell_of_every_change(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(site.config, FILES, site)
    assert stamp_files(site.config) is None, "it may be written once more within the same tick"
    monkeypatch.setattr(time, "time_ns", lambda: 2 * 10**18)
    seen = [stamp_files(site.config)]
    assert seen == [stamp_files(site.config)]
    for name in ("haproxy.cfg", "pages/503.html"):
        path = site.config / name
        before = path.stat()
        # Edited directly, with the same size and an old time of modification.
        path.write_text(path.read_text()[::-1])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        seen.append(stamp_files(site.config))
        path.unlink()
        seen.append(stamp_files(site.config))
    assert len(set(seen)) == len(seen)
