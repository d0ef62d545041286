"""Changes the certificates of a running HAProxy: the next handshake has the new one, and no process is replaced.

What runs is compared with what is wanted, so a repetition does what is left. A renewed certificate takes the place of the
former one in a single step. Hosts that move to another file are listed there before they leave the former one, so no client
meets the default certificate in between. Keys are sent, and never quoted.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha1
from typing import Final

from reconciler.proxy.errors import ProxyError, quoted
from reconciler.proxy.haproxy.gateway.tls_files import DEFAULT, LISTS, Certificates
from reconciler.proxy.haproxy.socket import CURRENT, Master, Payload, ask

__all__ = ["Loaded", "change_certificates", "identity", "read_certificates"]

_FINGERPRINT: Final = re.compile(r"^SHA1 FingerPrint: ([0-9A-F]{40})$", re.MULTILINE)
_CHAIN: Final = re.compile(r"^Chain Subject: ", re.MULTILINE)
_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n")
_ENTRY: Final = re.compile(r"(?P<file>/[^\s:]+):(?P<line>[0-9]+)(?: \[[^]]*\])?(?P<hosts>(?: [^\s\[]+)*) ?")
_SUCCESS: Final = "Success!"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the current worker has: the identity of each certificate by file, the lists that it knows, and the hosts of each
    list and file with the numbers of their lines. `begun` are files whose change was never committed.
    """

    identities: Mapping[str, str]
    lists: frozenset[str]
    hosts: Mapping[tuple[str, str], tuple[str, ...]]
    lines: Mapping[tuple[str, str], tuple[int, ...]]
    begun: tuple[str, ...] = ()

    def has(self, wanted: Certificates) -> bool:
        """Whether these are the certificates of all lists that it knows."""
        expected = {path: identity(pem) for path, pem in wanted.pems.items() if self.takes(path, wanted)}
        present = {path: each for path, each in self.identities.items() if _is_ours(path)}
        hosts = {(each.where, each.path): each.hosts for each in wanted.served if each.where in self.lists}
        return not self.begun and expected == present and hosts == self.hosts

    def takes(self, path: str, wanted: Certificates) -> bool:
        """Whether a file belongs to a list that it knows; one that it does not know comes with the next reload."""
        return path == DEFAULT or any(
            each.path == path and each.where in self.lists for each in wanted.served
        )


def change_certificates(master: Master, wanted: Certificates) -> bool:
    """Make these the certificates of the current worker, and say whether any was not. Raises ProxyError."""
    loaded = read_certificates(master)
    if loaded.has(wanted):
        return False
    for begun in loaded.begun:
        # Of a controller that was killed; another change is refused as long as it is there.
        ask(master, [f"{CURRENT} abort ssl cert {begun}"])
    for path, pem in wanted.pems.items():
        if loaded.takes(path, wanted) and loaded.identities.get(path) != identity(pem):
            _load(master, path, pem, is_new=path not in loaded.identities)
    for each in wanted.served:
        if each.where in loaded.lists and loaded.hosts.get((each.where, each.path)) != each.hosts:
            added = Payload(f"{CURRENT} add ssl crt-list {each.where}", (each.line,))
            _expect(master, "list a certificate", added)
    kept = {(each.where, each.path): each.hosts for each in wanted.served}
    for (where, path), lines in loaded.lines.items():
        if loaded.hosts[where, path] != kept.get((where, path)):
            # From the last one: the numbers of those before it stay.
            for line in sorted(lines, reverse=True):
                command = f"{CURRENT} del ssl crt-list {where} {path}:{line}"
                _expect(master, "unlist a certificate", command, done="deleted in crtlist")
    for path in loaded.identities:
        if path not in wanted.pems and _is_ours(path):
            _expect(master, "delete a certificate", f"{CURRENT} del ssl cert {path}", done=" deleted!")
    return True


def read_certificates(master: Master) -> Loaded:
    """What the current worker has. Raises ProxyError."""
    listing = [f"{CURRENT} show ssl crt-list -n {where}" for where in LISTS]
    names, known_lists, *listed = ask(
        master, [f"{CURRENT} show ssl cert", f"{CURRENT} show ssl crt-list", *listing]
    )
    files = [line for line in names.splitlines() if line and not line.startswith("#")]
    known = [name for name in files if not name.startswith("*")]
    shown = ask(master, [f"{CURRENT} show ssl cert {name}" for name in known]) if known else ()
    hosts: dict[tuple[str, str], tuple[str, ...]] = {}
    lines: dict[tuple[str, str], tuple[int, ...]] = {}
    for where, text in zip(LISTS, listed, strict=True):
        for file, line, names_of in _entries(text):
            hosts[where, file] = (*hosts.get((where, file), ()), *names_of)
            lines[where, file] = (*lines.get((where, file), ()), line)
    return Loaded(
        identities={name: _identity_shown(text) for name, text in zip(known, shown, strict=True)},
        lists=frozenset(known_lists.split()) & set(LISTS),
        hosts=hosts,
        lines=lines,
        begun=tuple(name[1:] for name in files if name.startswith("*")),
    )


def identity(pem: str) -> str:
    """What HAProxy shows of a certificate: the digest of itself, and how many others are in its chain."""
    blocks = _BLOCK.findall(pem)
    # As HAProxy shows it: this is no signature.
    digest = sha1(ssl.PEM_cert_to_DER_cert(blocks[0]), usedforsecurity=False).hexdigest()
    return f"{digest.upper()} {len(blocks) - 1}"


def _load(master: Master, path: str, pem: str, *, is_new: bool) -> None:
    if is_new:
        _expect(
            master, "know a certificate", f"{CURRENT} new ssl cert {path}", done="New empty certificate store"
        )
    try:
        _expect(
            master,
            "read a certificate",
            Payload(f"{CURRENT} set ssl cert {path}", tuple(pem.splitlines())),
            done="Transaction",
        )
        _expect(master, "use a certificate", f"{CURRENT} commit ssl cert {path}")
    except ProxyError:
        # The former one goes on; what was begun would refuse the next try.
        ask(master, [f"{CURRENT} abort ssl cert {path}"])
        raise


def _expect(master: Master, doing: str, command: str | Payload, done: str = _SUCCESS) -> None:
    (answer,) = ask(master, [command])
    if done not in answer:
        raise ProxyError(
            f"HAProxy in slot {master.slot} does not {doing}: {quoted(' '.join(answer.split()))}"
        )


def _is_ours(path: str) -> bool:
    return path.startswith(f"{DEFAULT.rpartition('/')[0]}/")


def _identity_shown(text: str) -> str:
    found = _FINGERPRINT.search(text)
    # An empty one was made and never filled.
    return f"{found[1]} {len(_CHAIN.findall(text))}" if found else ""


def _entries(listed: str) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    for text in listed.splitlines():
        if entry := _ENTRY.fullmatch(text):
            yield entry["file"], int(entry["line"]), tuple(entry["hosts"].split())
