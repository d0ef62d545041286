"""The options of every verb, accepted before and after the verb."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from reconciler.cli.host_paths import HOST_PATH
from reconciler.cli.hostname_pattern import HOSTNAME_PATTERN
from reconciler.cli.ip_address import ADDRESS
from reconciler.cli.session import LOG_FORMATS, Session

__all__ = ["global_options"]

DIRECTORY: Final = click.Path(path_type=Path, file_okay=False)
FILE: Final = click.Path(path_type=Path, dir_okay=False)
PLACE: Final = click.Path(path_type=Path)


def global_options(*, hidden: bool) -> list[click.Option]:
    """New option objects that write into the context's Session; `hidden` keeps them out of a verb's own help."""
    return [
        click.Option(
            ["--state-dir"],
            type=DIRECTORY,
            envvar=None if hidden else "VAULT_STATE_DIR",
            show_envvar=True,
            help="Where objects, sockets and history are. Default: /var/lib/vault-reconciler for root, else "
            "~/.local/state/vault-reconciler.",
            **_stored("state_dir", hidden),
        ),
        click.Option(
            ["--plugin-path"],
            type=DIRECTORY,
            multiple=True,
            envvar=None if hidden else "VAULT_PLUGIN_PATH",
            show_envvar=True,
            help="An additional directory of plugins; may be given more than once.",
            **_stored("plugin_path", hidden),
        ),
        click.Option(
            ["--host-path"],
            type=HOST_PATH,
            multiple=True,
            envvar=None if hidden else "VAULT_HOST_PATH",
            show_envvar=True,
            help="A directory that containers may mount and write to, or only read with :ro at its end, besides /data, "
            "/media, /mnt and /srv; `none` closes those. May be given more than once.",
            **_stored("host_path", hidden),
        ),
        click.Option(
            ["--allow-privileged"],
            metavar="NAME",
            multiple=True,
            envvar=None if hidden else "VAULT_ALLOW_PRIVILEGED",
            show_envvar=True,
            help="A service that may have the admission profile `privileged`; may be given more than once.",
            **_stored("allow_privileged", hidden),
        ),
        click.Option(
            ["--allow-hostnames"],
            type=HOSTNAME_PATTERN,
            metavar="PATTERN",
            multiple=True,
            envvar=None if hidden else "VAULT_ALLOW_HOSTNAMES",
            show_envvar=True,
            help="Host names that routes may claim, such as '*.example.org' for all names below it; may be given more than "
            "once. Default: all.",
            **_stored("allow_hostnames", hidden),
        ),
        click.Option(
            ["--proxy-image"],
            metavar="PATTERN",
            multiple=True,
            envvar=None if hidden else "VAULT_PROXY_IMAGE",
            show_envvar=True,
            help="An image that spec.proxy.image may name, besides those without an owner or a registry in their name; "
            "* is anything but a slash. May be given more than once.",
            **_stored("proxy_image", hidden),
        ),
        click.Option(
            ["--bind"],
            type=ADDRESS,
            envvar=None if hidden else "VAULT_BIND",
            show_envvar=True,
            help="The address of this machine that services are published on, for newly created gateways. "
            "Default: all.",
            **_stored("bind", hidden),
        ),
        click.Option(
            ["--dns-programs"],
            type=DIRECTORY,
            envvar=None if hidden else "VAULT_DNS_PROGRAMS",
            show_envvar=True,
            help="The directory of programs that set DNS records for certificates (dns-01 of ACME).",
            **_stored("dns_programs", hidden),
        ),
        click.Option(
            ["--age-keys"],
            type=PLACE,
            multiple=True,
            envvar=None if hidden else "VAULT_AGE_KEYS",
            show_envvar=True,
            help="A file of age keys, or a directory of such files, that only their owner can read: they decrypt settings "
            "files. May be given more than once.",
            **_stored("age_keys", hidden),
        ),
        click.Option(
            ["--runtime-dir"],
            type=DIRECTORY,
            envvar=None if hidden else "VAULT_RUNTIME_DIR",
            show_envvar=True,
            help="Where the files of spec.secrets are: on a tmpfs, for this user alone. Default: /run/vault-reconciler for "
            "root, else $XDG_RUNTIME_DIR/vault-reconciler.",
            **_stored("runtime_dir", hidden),
        ),
        click.Option(
            ["--server"],
            metavar="URL",
            envvar=None if hidden else "VAULT_SERVER",
            show_envvar=True,
            help="Work over the API of a controller (`vaultctl run --api`), such as https://vault.example.com:6443, and "
            "not on a state directory of this machine.",
            **_stored("server", hidden),
        ),
        click.Option(
            ["--token"],
            envvar=None if hidden else "VAULT_TOKEN",
            show_envvar=True,
            help="The token for --server, of `vaultctl token create`. Others see command lines: prefer the variable.",
            **_stored("token", hidden),
        ),
        click.Option(
            ["--certificate-authority"],
            type=FILE,
            envvar=None if hidden else "VAULT_CERTIFICATE_AUTHORITY",
            show_envvar=True,
            help="The authority that --server is recognised by (PEM), api/ca.crt of its state directory. Default: those of "
            "this machine.",
            **_stored("certificate_authority", hidden),
        ),
        click.Option(
            ["--kubeconfig"],
            type=FILE,
            envvar=None if hidden else "VAULT_KUBECONFIG",
            show_envvar=True,
            help="Take server, authority and login from a kubeconfig, as `vaultctl kubeconfig` prints one.",
            **_stored("kubeconfig", hidden),
        ),
        click.Option(
            ["--context"],
            metavar="NAME",
            envvar=None if hidden else "VAULT_CONTEXT",
            show_envvar=True,
            help="The context of the kubeconfig, which is $KUBECONFIG or ~/.kube/config without --kubeconfig.",
            **_stored("context", hidden),
        ),
        click.Option(
            ["--log-format"],
            type=click.Choice(LOG_FORMATS),
            envvar=None if hidden else "VAULT_LOG_FORMAT",
            show_envvar=True,
            help="The format of log lines on stderr.",
            **_stored("log_format", hidden),
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            help="Show tracebacks and debug logs.",
            **_stored("debug", hidden),
        ),
        click.Option(
            ["--no-color"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            hidden=hidden,
            callback=_no_color,
            help="Plain text; the default for an output that is no terminal. NO_COLOR does the same.",
        ),
    ]


def _stored(field: str, hidden: bool) -> dict[str, Any]:
    """A callback that writes an option's value into the Session instead of passing it to the verb."""

    def store(
        context: click.Context,
        _: click.Parameter,
        value: Path | Sequence[Path] | Sequence[str] | str | bool | None,
    ) -> None:
        if value:
            setattr(context.ensure_object(Session), field, value)

    return {"expose_value": False, "hidden": hidden, "is_eager": True, "callback": store}


def _no_color(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value or os.environ.get("NO_COLOR"):
        context.color = False
