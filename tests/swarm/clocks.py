"""Another wall clock for the processes of one node, engine and containers with them; the rest of the machine keeps its own.

There is no namespace for the wall clock, and a Go program such as dockerd asks the kernel and not the C library, so a
preloaded library does not reach it. All of them ask through the vDSO, code that the kernel maps into each process. Its
functions for the wall clock are overwritten by ones that ask the kernel by a system call and add the difference.
"""

from __future__ import annotations

import os
import platform
import re
import signal
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["shifted"]

LOOK_SECONDS: Final = 0.2
"""For how long a new process may have the clock of the machine."""
STOP_SECONDS: Final = 5.0
STEP_SECONDS: Final = 0.001

# x86-64: the system call; return if it failed; return if it was for another clock; add to the seconds; return.
CODE: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "__vdso_clock_gettime": lambda shift: (
        bytes.fromhex("b8e40000000f05 85c07510 85ff7405 83ff057507 488106") + shift + b"\xc3"
    ),
    "__vdso_gettimeofday": lambda shift: bytes.fromhex("b8600000000f05 4885ff7407 488107") + shift + b"\xc3",
    "__vdso_time": lambda shift: (
        bytes.fromhex("b8c90000000f05 4805") + shift + bytes.fromhex("4885ff7403 488907 c3")
    ),
}
_SYMBOLS: Final = 11
"""The type of a section of an ELF file that names functions."""


@contextmanager
def shifted(seconds: int, processes: Callable[[], Collection[int]]) -> Iterator[None]:
    """The wall clock of these `processes` is so many seconds ahead, or behind; also of those that are there later on."""
    assert platform.machine() == "x86_64", f"a clock cannot be changed on {platform.machine()}"
    over = threading.Event()
    found: dict[int, _Process] = {}
    failures: list[Exception] = []

    def look() -> None:
        for pid in processes():
            # One that is just ending, or is becoming another program: it has another vDSO at the next look.
            with suppress(OSError):
                if pid not in found or not found[pid].is_there:
                    found[pid] = _change(pid, seconds)

    def follow() -> None:
        while not over.wait(LOOK_SECONDS):
            try:
                look()
            except Exception as error:  # told in the thread of the test
                failures.append(error)
                return

    look()
    follower = threading.Thread(target=follow, name="clocks")
    follower.start()
    try:
        yield
    finally:
        over.set()
        follower.join()
        for process in found.values():
            with suppress(OSError):
                if process.is_there:
                    _write(process.pid, process.before)
    assert not failures, failures


@dataclass(frozen=True)
class _Process:
    """One that has another clock. `place` is where its vDSO is, `before` the code that was there, by its address."""

    pid: int
    began: str
    place: tuple[int, int]
    before: Mapping[int, bytes]

    @property
    def is_there(self) -> bool:
        """Whether it still is the same program."""
        return self.began == _began(self.pid) and self.place == _place(self.pid)


def _began(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def _change(pid: int, seconds: int) -> _Process:
    """Overwrite the functions. Raises OSError for a process that is ending."""
    began, (base, end) = _began(pid), _place(pid)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(base)
        image = memory.read(end - base)
    if len(image) < end - base:
        raise ProcessLookupError(f"process {pid} is ending")
    shift, addresses = struct.pack("<i", seconds), _functions(image)
    new = {base + addresses[name]: code(shift) for name, code in CODE.items()}
    before = {address: image[address - base : address - base + len(code)] for address, code in new.items()}
    _write(pid, new)
    return _Process(pid, began, (base, end), before)


def _write(pid: int, codes: Mapping[int, bytes]) -> None:
    """Write code while no thread is in the middle of it."""
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            if _is_elsewhere(pid, codes):
                with Path(f"/proc/{pid}/mem").open("r+b", buffering=0) as memory:
                    for address, code in codes.items():
                        memory.seek(address)
                        memory.write(code)
                return
        finally:
            os.kill(pid, signal.SIGCONT)
        assert time.monotonic() < deadline, f"process {pid} does not leave the functions for its clock"
        time.sleep(STEP_SECONDS)


def _is_elsewhere(pid: int, codes: Mapping[int, bytes]) -> bool:
    """Whether all threads have stopped, none of them in this code."""
    for path in Path(f"/proc/{pid}/task").glob("*/syscall"):
        with suppress(FileNotFoundError, ProcessLookupError):
            words = path.read_text().split()
            if words == ["running"]:
                return False
            at = int(words[-1], 16)
            if any(address < at < address + len(code) for address, code in codes.items()):
                return False
    return True


def _place(pid: int) -> tuple[int, int]:
    """Where the vDSO of a process begins and ends."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    found = re.search(r"^([0-9a-f]+)-([0-9a-f]+) .*\[vdso\]$", maps, re.MULTILINE)
    if found is None:
        raise ProcessLookupError(f"process {pid} has no vDSO: it is ending, or it is the kernel's")
    return int(found[1], 16), int(found[2], 16)


def _functions(image: bytes) -> Mapping[str, int]:
    """The functions of an ELF image, where they begin."""
    (table,) = struct.unpack_from("<Q", image, 0x28)
    size, count = struct.unpack_from("<HH", image, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, table + number * size) for number in range(count)]
    found = {}
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind != _SYMBOLS:
            continue
        for place in range(offset, offset + length, 24):
            name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", image, place)
            text = image[sections[link][4] + name :].partition(b"\0")[0].decode()
            found[text] = value
    return found
