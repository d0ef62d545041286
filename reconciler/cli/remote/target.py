"""Where the API is and who asks: from --server and its companions, or from a kubeconfig."""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from reconciler.cli.errors import Failure

__all__ = ["Flags", "Target", "target_of"]

DEFAULT_CONFIG: Final = Path(".kube", "config")
MAX_BYTES: Final = 1024 * 1024


@dataclass
class Flags:
    """The values of the options."""

    server: str = ""
    kubeconfig: Path | None = None
    context: str = ""
    token: str = ""
    certificate_authority: Path | None = None


@dataclass(frozen=True)
class Target:
    """An API and a login. `authorities`, `certificate` and `key` are PEM; with no authorities the machine's count."""

    server: str
    token: str = field(default="", repr=False)
    authorities: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)

    def context(self) -> ssl.SSLContext:
        """TLS with this server. Raises Failure for files that are not PEM."""
        try:
            context = ssl.create_default_context(cadata=self.authorities or None)
            if self.certificate:
                # OpenSSL reads a key only from a file.
                with tempfile.NamedTemporaryFile("w", prefix="vaultctl-", suffix=".pem") as pair:
                    pair.write(f"{self.certificate}\n{self.key}\n")
                    pair.flush()
                    context.load_cert_chain(pair.name, password="")
        except (ssl.SSLError, OSError, ValueError):
            raise Failure(
                f"the certificates for {self.server} cannot be used: they and the key have to be PEM, the key without a "
                "password"
            ) from None
        return context


def target_of(flags: Flags, environ: Mapping[str, str]) -> Target:
    """What the options name; they count more than a kubeconfig. Raises Failure."""
    from_file = _from_config(flags, environ) if flags.kubeconfig or flags.context else None
    authorities = from_file.authorities if from_file else ""
    if flags.certificate_authority:
        authorities = _text_of(flags.certificate_authority)
    server = (flags.server or (from_file.server if from_file else "")).rstrip("/")
    if not _is_url(server):
        raise Failure(f"{server!r} is not the URL of an API: write https://HOST:PORT, as in --server")
    token = flags.token or (from_file.token if from_file else "")
    certificate, key = (from_file.certificate, from_file.key) if from_file and not flags.token else ("", "")
    if not token and not certificate:
        raise Failure(
            "the API asks for a login: set VAULT_TOKEN (`vaultctl token create` makes one), or name a kubeconfig with "
            "--kubeconfig (`vaultctl kubeconfig` prints one)"
        )
    if not (token.isascii() and token.isprintable()):
        raise Failure("the token is not one line of printable characters")
    return Target(server, token, authorities, certificate, key)


def _is_url(server: str) -> bool:
    try:
        parts = urlsplit(server)
        # To ask for a port is what looks at it.
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and bool(host) and not (parts.username or parts.query or parts.fragment)


def _from_config(flags: Flags, environ: Mapping[str, str]) -> Target:
    named = environ.get("KUBECONFIG", "").partition(":")[0]
    usual = Path(environ.get("HOME", "/")) / DEFAULT_CONFIG
    path = flags.kubeconfig or (Path(named) if named else usual)
    config = _read(path)
    chosen = flags.context or config.get("current-context")
    if not chosen:
        raise Failure(f"{path}: there is no current-context; choose one with --context")
    context = _named(path, config, "contexts", "context", chosen)
    cluster = _named(path, config, "clusters", "cluster", context.get("cluster"))
    user = _named(path, config, "users", "user", context.get("user"))
    if cluster.get("insecure-skip-tls-verify"):
        raise Failure(f"{path}: insecure-skip-tls-verify is not supported; give --certificate-authority")
    if user.get("auth-provider"):
        raise Failure(f"{path}: auth-provider is not supported; use exec, or set VAULT_TOKEN")
    server, authorities = _value(path, cluster, "server"), _either(path, cluster, "certificate-authority")
    if flags.token:
        return Target(server, flags.token, authorities)
    if isinstance(program := user.get("exec"), Mapping):
        from reconciler.cli.remote.program import login_of

        login = login_of(path, program, environ)
        certificate, key = login.get("clientCertificateData", ""), login.get("clientKeyData", "")
        return Target(server, login.get("token", ""), authorities, certificate, key)
    token = _value(path, user, "token") or _file(path, user, "tokenFile").strip()
    certificate, key = _either(path, user, "client-certificate"), _either(path, user, "client-key")
    return Target(server, token, authorities, certificate, key)


def _read(path: Path) -> Mapping[str, Any]:
    from reconciler.api.errors import ManifestError
    from reconciler.api.yaml_loader import YamlReader
    from reconciler.api.yaml_nodes import MapNode, to_plain

    try:
        reader = YamlReader(_text_of(path), path)
        roots = list(reader.documents())
    except ManifestError as error:
        raise Failure(error.message) from None
    if reader.problems or len(roots) != 1 or not isinstance(roots[0], MapNode):
        first = reader.problems[0] if reader.problems else None
        why = f"{path}:{first.line}: {first.message}" if first else f"{path}: is not one mapping"
        raise Failure(f"{why}; `vaultctl kubeconfig` prints a kubeconfig")
    found: Mapping[str, Any] = to_plain(roots[0])
    return found


def _named(path: Path, config: Mapping[str, Any], field_: str, key: str, name: Any) -> Mapping[str, Any]:
    listed = config.get(field_)
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    for row in rows:
        if row.get("name") == name and isinstance(row.get(key), Mapping):
            found: Mapping[str, Any] = row[key]
            return found
    there = [str(row.get("name")) for row in rows]
    raise Failure(f"{path}: there is no {key} {str(name)!r}; there are: {', '.join(there) or 'none'}")


def _value(path: Path, row: Mapping[str, Any], key: str) -> str:
    value = row.get(key, "")
    if not isinstance(value, str):
        raise Failure(f"{path}: {key} is not a text")
    return value


def _either(path: Path, row: Mapping[str, Any], key: str) -> str:
    """A PEM text, which is in the kubeconfig itself or in a file that it names."""
    data = _value(path, row, f"{key}-data")
    if not data:
        return _file(path, row, key)
    try:
        return base64.b64decode(data, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise Failure(f"{path}: {key}-data is not a PEM text in Base64") from None


def _file(path: Path, row: Mapping[str, Any], key: str) -> str:
    named = _value(path, row, key)
    # As for kubectl, relative to the kubeconfig.
    return _text_of(path.parent / named) if named else ""


def _text_of(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise Failure(f"cannot read {path}: {reason}") from None
