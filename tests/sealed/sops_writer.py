"""A second implementation of the SOPS format, written from its specification for tests: it only encrypts, and it uses the
`age` command for the data key and OpenSSL's functions for the values.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.sealed.tools import AgeKey, age

MODIFIED: Final = "2026-11-29T08:00:00Z"
Transform = Callable[[Any], Any]


@dataclass
class Sops:
    """A writer; `options` are fields of the metadata, `forged` changes the tree after the MAC was made."""

    recipients: Sequence[AgeKey]
    options: dict[str, Any] = field(default_factory=dict)
    key: bytes = field(default_factory=lambda: os.urandom(32))
    suffix: str = "_unencrypted"

    def yaml(self, values: dict[str, Any]) -> str:
        """A YAML file."""
        return yaml.safe_dump(self._tree(values), sort_keys=False)

    def json(self, values: dict[str, Any]) -> str:
        """A JSON file, indented by tabs as SOPS does it."""
        return json.dumps(self._tree(values), indent="\t")

    def dotenv(self, lines: Sequence[str]) -> str:
        """A dotenv file: comments are encrypted without being counted, values are what stands behind the first `=`."""
        digest, written = self._digest(), []
        for line in lines:
            if line.startswith("#"):
                written.append("#" + self._seal(line[1:], "", "comment"))
            elif line:
                name, _, value = line.partition("=")
                value = value.replace("\\n", "\n")
                written.append(f"{name}={self._value(value, (name,), digest)}".replace("\n", "\\n"))
        metadata = self._metadata(digest)
        flat = {
            f"age__list_{i}__map_{k}": v
            for i, each in enumerate(metadata.pop("age"))
            for k, v in each.items()
        }
        flat |= {name: value for name, value in metadata.items() if not isinstance(value, list)}
        for name in sorted(flat):
            shown = str(flat[name]).lower() if isinstance(flat[name], bool) else str(flat[name])
            written.append(f"sops_{name}={shown}".replace("\n", "\\n"))
        return "\n".join(written) + "\n"

    def _tree(self, values: dict[str, Any]) -> dict[str, Any]:
        digest = self._digest()
        sealed: dict[str, Any] = self._node(values, (), digest)
        return sealed | {"sops": self._metadata(digest)}

    def _digest(self) -> Any:
        begin = bytes.fromhex("8a3fd2ad54ce66527b1034f3d147be0b0b975b3bf44f72c6fdadec8176f27d69")
        return hashlib.sha512(begin if self.options.get("mac_only_encrypted") else b"")

    def _node(self, node: Any, path: tuple[str, ...], digest: Any) -> Any:
        if isinstance(node, dict):
            return {name: self._node(each, (*path, name), digest) for name, each in node.items()}
        if isinstance(node, list):
            return [self._node(each, path, digest) for each in node]
        return node if node is None else self._value(node, path, digest)

    def _value(self, value: Any, path: tuple[str, ...], digest: Any) -> Any:
        text, kind = {
            bool: lambda: (str(value), "bool"),
            int: lambda: (str(value), "int"),
            float: lambda: (repr(value), "float"),
            str: lambda: (value, "str"),
        }[type(value)]()
        plain = any(step.endswith(self.suffix) for step in path) if self.suffix else False
        if not (plain and self.options.get("mac_only_encrypted")):
            digest.update(text.encode())
        return value if plain else self._seal(text, "".join(f"{step}:" for step in path), kind)

    def _seal(self, text: str, context: str, kind: str) -> str:
        if not text:
            return ""
        nonce = os.urandom(32)
        encryptor = Cipher(algorithms.AES(self.key), modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(context.encode())
        data = encryptor.update(text.encode()) + encryptor.finalize()
        parts = (base64.b64encode(each).decode() for each in (data, nonce, encryptor.tag))
        return "ENC[AES256_GCM,data:{},iv:{},tag:{},type:{}]".format(*parts, kind)

    def _metadata(self, digest: Any) -> dict[str, Any]:
        recipients = [
            {
                "recipient": each.recipient,
                "enc": age("--encrypt", "--armor", "-r", each.recipient, content=self.key).decode(),
            }
            for each in self.recipients
        ]
        return {
            "kms": [],
            "pgp": [],
            "age": recipients,
            "lastmodified": MODIFIED,
            "mac": self._seal(digest.hexdigest().upper(), MODIFIED, "str"),
            **({"unencrypted_suffix": self.suffix} if self.suffix else {}),
            **self.options,
            "version": "3.9.0",
        }
