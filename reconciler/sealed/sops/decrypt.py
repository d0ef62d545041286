"""From a SOPS file to settings: the data key by age, each value by its own key, all of them by the MAC.

What has to be encrypted is never read in plain, and nothing is used before the MAC is right. Regular expressions of the
metadata are not run: everyone who may push can write one that takes years. Without them the MAC covers every value anyway;
a file in which it does not (mac_only_encrypted) is refused together with them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from reconciler.api.env_file import is_name, parse_settings
from reconciler.api.errors import ManifestError, Problem
from reconciler.api.yaml_nodes import field_path
from reconciler.sealed import age
from reconciler.sealed.errors import SealedError, no_key_error, sealed_error
from reconciler.sealed.keys import Key
from reconciler.sealed.sops.cipher import KEY_BYTES, BrokenValueError, Opened, is_encrypted, open_value
from reconciler.sealed.sops.document import Document, Leaf, read_document

__all__ = ["decrypt"]

DEFAULT_SUFFIX: Final = "_unencrypted"
MAC_ONLY_ENCRYPTED: Final = hashlib.sha256(b"sops").digest()
"""What such a MAC begins with, so that it never equals one over all values."""

REGEXES: Final = ("encrypted_regex", "unencrypted_regex")
UNREAD: Final = ("encrypted_comment_regex", "unencrypted_comment_regex", "key_groups", "shamir_threshold")
MANAGERS: Final = ("kms", "gcp_kms", "azure_kv", "hc_vault", "pgp")


def decrypt(text: str, path: Path, keys: Sequence[Key]) -> dict[str, str]:
    """The settings in a SOPS file, in its order. Raises ManifestError for a mistake, SealedError for a file that was
    changed or for want of a key; each names its line.
    """
    document = read_document(text, path)
    for name in UNREAD:
        if document.metadata.get(name):
            raise sealed_error(
                path, document.line, f"uses {name} of SOPS, which is not read", "encrypt it without"
            )
    key = _data_key(document, path, keys)
    opened = [(leaf, _opened(leaf, document, key, path)) for leaf in document.leaves]
    _check_mac(document, opened, key, path)
    return _dotenv(opened, path) if document.is_dotenv else _flat(opened, path)


def _data_key(document: Document, path: Path, keys: Sequence[Key]) -> bytes:
    if not document.age:
        others = ", ".join(name for name in MANAGERS if document.metadata.get(name))
        how = f"only by {others}" if others else "to no recipient"
        raise sealed_error(
            path,
            document.line,
            f"is encrypted {how}; only age is read",
            "add an age recipient: sops updatekeys",
        )
    if len(document.age) > age.MAX_STANZAS:
        raise sealed_error(
            path, document.line, f"has more than {age.MAX_STANZAS} recipients", "encrypt it to fewer"
        )
    by_recipient = {key.recipient: key for key in keys}
    for recipient, encrypted, line in document.age:
        if key := by_recipient.get(recipient):
            content = age.decrypt(encrypted.encode(), [key], path, line=line)
            if len(content) != KEY_BYTES:
                raise sealed_error(
                    path, line, "holds no data key of SOPS", "restore the file as SOPS wrote it"
                )
            return content
    first = document.age[0][2]
    wanted = " or ".join(f"{recipient[:80]} (line {line})" for recipient, _, line in document.age)
    if not keys:
        raise no_key_error(path, first, f": the key of {wanted} is missing")
    here = ", ".join(f"{key.recipient} ({key.path}:{key.line})" for key in keys[:3])
    raise sealed_error(
        path,
        first,
        f"is encrypted to recipients of which no key is here; the keys here are {here}: the key of {wanted} is missing",
        "add the key to --age-keys, or let an owner of one run: sops updatekeys",
    )


def _opened(leaf: Leaf, document: Document, key: bytes, path: Path) -> Opened | None:
    """What was encrypted; None for a value that is in plain, as the metadata says that it has to be."""
    wanted = _is_to_be_encrypted(leaf, document)
    # SOPS writes an empty value as it is, and leaves out null.
    if leaf.value in ("", None) or (wanted is None and not is_encrypted(leaf.value)) or wanted is False:
        return None
    if not is_encrypted(leaf.value):
        raise _changed(leaf, path, "is not encrypted, as it has to be")
    try:
        opened = open_value(str(leaf.value), key, "".join(f"{step}:" for step in leaf.path))
        # The type is not authenticated.
        if opened.type == "bool" and opened.content not in (b"True", b"False"):
            raise BrokenValueError
        return opened
    except BrokenValueError:
        raise _changed(leaf, path, "was changed, cut off, or moved here from another key") from None


def _is_to_be_encrypted(leaf: Leaf, document: Document) -> bool | None:
    """By the suffixes of the metadata; None where a regular expression decides, and the value itself has to tell."""
    metadata = document.metadata
    if any(metadata.get(name) for name in REGEXES):
        return None
    if suffix := metadata.get("encrypted_suffix"):
        return any(step.endswith(str(suffix)) for step in leaf.path)
    suffix = str(metadata.get("unencrypted_suffix") or DEFAULT_SUFFIX)
    return not any(step.endswith(suffix) for step in leaf.path)


def _check_mac(
    document: Document, opened: Sequence[tuple[Leaf, Opened | None]], key: bytes, path: Path
) -> None:
    metadata = document.metadata
    only_encrypted = metadata.get("mac_only_encrypted") is True
    if only_encrypted and any(metadata.get(name) for name in REGEXES):
        raise sealed_error(
            path,
            document.line,
            "uses mac_only_encrypted with a regular expression, which is not read",
            "encrypt it without one of them",
        )
    digest = hashlib.sha512(MAC_ONLY_ENCRYPTED if only_encrypted else b"")
    for leaf, value in opened:
        if value is not None:
            digest.update(value.content)
        elif not only_encrypted:
            digest.update(_in_mac(leaf.value))
    try:
        mac = open_value(str(metadata.get("mac")), key, str(metadata.get("lastmodified")))
    except BrokenValueError:
        raise _forged(document, path) from None
    if not hmac.compare_digest(mac.content, digest.hexdigest().upper().encode()):
        raise _forged(document, path)


def _in_mac(value: object) -> bytes:
    """A value in plain as SOPS counts it into the MAC."""
    if isinstance(value, bool):
        return b"True" if value else b"False"
    if isinstance(value, float):
        return _number(value).encode()
    return b"" if value is None else str(value).encode()


def _number(value: float) -> str:
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _dotenv(opened: Sequence[tuple[Leaf, Opened | None]], path: Path) -> dict[str, str]:
    """As `sops decrypt` writes the file, and the rules for settings read it: quotes are not part of a value."""
    lines: list[str] = []
    for leaf, value in opened:
        lines += [""] * (leaf.line - len(lines) - 1)
        text = _decoded(value.content, leaf, path) if value else str(leaf.value)
        lines.append(f"{leaf.path[0]}={text.replace(chr(10), chr(92) + 'n')}")
    return parse_settings("\n".join(lines), path)


def _flat(opened: Sequence[tuple[Leaf, Opened | None]], path: Path) -> dict[str, str]:
    """Names and values on the first level of YAML or JSON."""
    settings: dict[str, str] = {}
    problems: list[Problem] = []
    for leaf, value in opened:
        name = leaf.path[0]
        if leaf.is_nested:
            problems.append(
                _problem(leaf, path, "is nested", "write settings as NAME: value, on the first level")
            )
        elif not is_name(name):
            problems.append(_problem(leaf, path, "is no name of a setting", "use letters, digits and '_'"))
        elif leaf.value is None:
            problems.append(_problem(leaf, path, "has no value", 'write "" for an empty one'))
        else:
            settings[name] = _as_setting(leaf, value, path)
            if "\0" in settings[name]:
                problems.append(_problem(leaf, path, "holds a NUL character", "remove it"))
    if problems:
        raise ManifestError(problems)
    return settings


def _as_setting(leaf: Leaf, value: Opened | None, path: Path) -> str:
    if value is not None:
        text = _decoded(value.content, leaf, path)
        return text.lower() if value.type == "bool" else text
    if isinstance(leaf.value, bool):
        return "true" if leaf.value else "false"
    return _number(leaf.value) if isinstance(leaf.value, float) else str(leaf.value)


def _decoded(content: bytes, leaf: Leaf, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ManifestError([_problem(leaf, path, "is not UTF-8", "save it as UTF-8")]) from None


def _problem(leaf: Leaf, path: Path, message: str, suggestion: str) -> Problem:
    return Problem(path, leaf.line, 1, field_path(leaf.path), message, suggestion)


def _changed(leaf: Leaf, path: Path, message: str) -> SealedError:
    return SealedError(
        [_problem(leaf, path, message, "restore the file, for example from Git, and use sops to edit it")]
    )


def _forged(document: Document, path: Path) -> SealedError:
    return sealed_error(
        path,
        document.line,
        "has a MAC that is not of its values: one was changed, removed, added or moved",
        "restore the file, for example from Git, and use sops to edit it",
    )
