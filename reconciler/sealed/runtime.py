"""The files of spec.secrets on the host: in memory (tmpfs), below a directory that only the controller's user can enter.

The files themselves may be read by all, because containers run as any user; they see them through a mount, which does not
pass through that directory. A power cut or a reboot takes them away, and the next pass writes them again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.files import replace

if TYPE_CHECKING:
    from reconciler.core.desired.stack import Stack

__all__ = ["RuntimeFiles", "is_in_memory"]

IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
PRIVATE: Final = 0o700
SEEN: Final = 0o755
READABLE: Final = 0o444


class RuntimeFiles:
    """The secrets of all services of a state directory, below `root`."""

    def __init__(self, root: Path, state_dir: Path) -> None:
        self._top = root
        # Controllers with other state directories have services of the same names.
        self._root = root / hashlib.sha256(os.fsencode(state_dir.absolute())).hexdigest()[:12]

    def directory(self, service: str) -> Path:
        """Where those of a service are."""
        return self._root / service

    def check(self) -> None:
        """Raises PermanentError if it is no place for secrets, TemporaryError if there is none."""
        try:
            self._make_root()
        except OSError as error:
            raise self._unwritable(error) from error

    def provide(self, stack: Stack) -> None:
        """Write what the containers of a stack mount. Raises PermanentError if that is no place for secrets."""
        if not stack.secret_files:
            return
        self.check()
        try:
            own = self.directory(stack.name)
            own.mkdir(mode=PRIVATE, exist_ok=True)
            for directory, files in stack.secret_files.items():
                _write(Path(directory), files)
        except OSError as error:
            raise self._unwritable(error) from error

    def tidy(self, stack: Stack) -> None:
        """Remove what no container of a stack that is as it should be mounts."""
        wanted = {Path(directory).name for directory in stack.secret_files}
        try:
            found = list(os.scandir(self.directory(stack.name)))
        except FileNotFoundError:
            return
        for each in found:
            if each.name not in wanted:
                shutil.rmtree(each.path, ignore_errors=True)
        if not wanted:
            self.forget(stack.name)

    def forget(self, service: str) -> None:
        """Remove all of a service."""
        shutil.rmtree(self.directory(service), ignore_errors=True)

    def _unwritable(self, error: OSError) -> TemporaryError:
        return TemporaryError(
            f"{error.filename or self._root} cannot be written: {error.strerror}; make it on a tmpfs, or choose another "
            "place with --runtime-dir"
        )

    def _make_root(self) -> None:
        for directory in (self._top, self._root):
            directory.mkdir(mode=PRIVATE, exist_ok=True)
            found = directory.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise PermanentError(
                    f"{directory} is not this user's directory; choose another place with --runtime-dir"
                )
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise PermanentError(
                    f"other users can enter {directory}, where secrets are; run: chmod 700 {directory}"
                )
        if not is_in_memory(self._root):
            raise PermanentError(
                f"{self._top} is on a disk, where secrets must not be; name a directory on a tmpfs with --runtime-dir, "
                "such as /dev/shm/vault-reconciler"
            )


def is_in_memory(directory: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether the files of a directory are in memory, as the kernel's list of `mounts` says."""
    device = directory.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split(" ")[2:3] == [wanted]:
            return rest.split(" ")[0] in IN_MEMORY
    return False


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    """A directory with these files. A new one appears with all of them; one that is there is mounted, so it stays."""
    if not directory.exists():
        new = Path(tempfile.mkdtemp(dir=directory.parent, prefix=".new-"))
        try:
            _fill(new, files)
            new.chmod(SEEN)
            new.rename(directory)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        return
    _fill(directory, files)


def _fill(directory: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = directory / name
        if not path.is_file() or path.read_bytes() != content:
            replace(path, content, mode=READABLE)
