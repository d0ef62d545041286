"""The values of the global options, and the application that is wired from them when a verb first needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import click

from reconciler.cli import host_paths

if TYPE_CHECKING:
    from reconciler.app.views import Views
    from reconciler.cli.remote.application import RemoteApplication
    from reconciler.cli.remote.target import Target
    from reconciler.store.tokens import Tokens
    from reconciler.store.users import Users
    from reconciler.wiring import Application, Options
    from vault_plugins.registry import Registry

__all__ = ["LOG_FORMATS", "SYSTEM_STATE_DIR", "Session", "default_state_dir", "pass_session"]

SYSTEM_STATE_DIR: Final = Path("/var/lib/vault-reconciler")
LOG_FORMATS: Final = ("console", "json")


def default_state_dir(environ: Mapping[str, str], effective_uid: int) -> Path:
    """The default state directory: of the machine for root, of the user otherwise."""
    if effective_uid == 0:
        return SYSTEM_STATE_DIR
    base = environ.get("XDG_STATE_HOME", "")
    # The XDG specification says to ignore relative values.
    parent = Path(base) if base.startswith("/") else Path(environ.get("HOME") or "/") / ".local" / "state"
    return parent / "vault-reconciler"


@dataclass
class Session:
    """One run of the command line.

    Mutable, because a global option may stand before or after the verb: the last one counts.
    """

    state_dir: Path
    plugin_path: tuple[Path, ...] = ()
    debug: bool = False
    log_format: str = LOG_FORMATS[0]
    host_path: tuple[str, ...] = ()
    allow_privileged: tuple[str, ...] = ()
    allow_hostnames: tuple[str, ...] = ()
    proxy_image: tuple[str, ...] = ()
    bind: str = ""
    dns_programs: Path | None = None
    age_keys: tuple[Path, ...] = ()
    runtime_dir: Path | None = None
    server: str = ""
    kubeconfig: Path | None = None
    context: str = ""
    token: str = field(default="", repr=False)
    certificate_authority: Path | None = None
    is_local: bool = False
    """Set for a verb that has no need of the API."""
    _hides: list[Callable[[str, str], str]] = field(default_factory=list)

    @classmethod
    def from_environment(cls) -> Session:
        """The session of a command line without any global option."""
        return cls(state_dir=default_state_dir(os.environ, os.geteuid()))

    def options(
        self,
        *,
        workers: int | None = None,
        resync: float | None = None,
        agents: str = "",
        agent_image: str | None = None,
        state_key: Path | None = None,
    ) -> Options:
        """The wiring's options, with its own defaults where these are not given; `resync` is in seconds."""
        from reconciler.wiring import AGENT_IMAGE, RESYNC_SECONDS, WORKERS, Options

        return Options(
            state_dir=self.state_dir.absolute(),
            plugin_path=self.plugin_path,
            workers=WORKERS if workers is None else workers,
            resync=RESYNC_SECONDS if resync is None else resync,
            host_paths=host_paths.writable(self.host_path),
            read_only_host_paths=host_paths.read_only(self.host_path),
            default_host_paths=not host_paths.closes_defaults(self.host_path),
            allow_privileged=frozenset(self.allow_privileged),
            allow_hostnames=self.allow_hostnames,
            proxy_images=self.proxy_image,
            bind=self.bind,
            dns_programs=self.dns_programs.absolute() if self.dns_programs else None,
            age_keys=tuple(path.absolute() for path in self.age_keys),
            runtime_dir=self.runtime_dir.absolute() if self.runtime_dir else None,
            agents=agents,
            agent_image=agent_image or AGENT_IMAGE,
            state_key=state_key.absolute() if state_key else None,
        )

    @property
    def is_remote(self) -> bool:
        """Whether verbs are to work over the API of a controller."""
        return bool(self.server or self.kubeconfig or self.context)

    @cached_property
    def target(self) -> Target:
        """The API that was named. Raises Failure."""
        from reconciler.cli.remote.target import Flags, target_of

        flags = Flags(self.server, self.kubeconfig, self.context, self.token, self.certificate_authority)
        return target_of(flags, os.environ)

    @cached_property
    def application(self) -> Application:
        """The application, for a verb that runs once and then ends; over the API it is what works there."""
        if self.remote is not None:
            return cast("Application", self.remote)
        return self.wire(verbose=False)

    @cached_property
    def remote(self) -> RemoteApplication | None:
        """What works over the API; None for a verb that works on this machine."""
        if not self.is_remote or self.is_local:
            return None
        from reconciler.cli.remote.application import RemoteApplication

        return RemoteApplication(self.target)

    @cached_property
    def views(self) -> Views:
        """What is computed of the objects; over the API by the controller."""
        if self.remote is not None:
            return cast("Views", self.remote.views)
        from reconciler.app.views import Views
        from reconciler.cli.output import warn
        from reconciler.wiring import utc_now

        return Views(self.application, utc_now, warn)

    @property
    def tokens(self) -> Tokens:
        """The tokens of the API."""
        if self.remote is not None:
            return cast("Tokens", self.remote.tokens)
        from reconciler.store.tokens import Tokens

        return Tokens(self.state_dir.absolute(), lambda: datetime.now(UTC))

    @property
    def users(self) -> Users:
        """The users of the page."""
        if self.remote is not None:
            return cast("Users", self.remote.users)
        from reconciler.store.users import Users

        return Users(self.state_dir.absolute(), lambda: datetime.now(UTC))

    def close(self) -> None:
        """End what the verb has opened over the API."""
        if (remote := self.__dict__.get("remote")) is not None:
            remote.close()

    def wire(
        self,
        *,
        verbose: bool,
        workers: int | None = None,
        resync: float | None = None,
        agents: str = "",
        agent_image: str | None = None,
        state_key: Path | None = None,
    ) -> Application:
        """Set the log up and wire an application. `verbose` logs the controller's actions, not only errors."""
        from reconciler.cli import log
        from reconciler.wiring import wire

        application = wire(
            self.options(
                workers=workers, resync=resync, agents=agents, agent_image=agent_image, state_key=state_key
            )
        )
        self._hides.append(application.secrets.hide)
        log.set_up(debug=self.debug, verbose=verbose, json_lines=self.log_format == "json", hide=self.hide)
        return application

    def hide(self, text: str, service: str = "") -> str:
        """`text` without the secrets of a service, or of all services, as far as they were met in this run."""
        for each in self._hides:
            text = each(text, service)
        return text

    @cached_property
    def registry(self) -> Registry:
        """The plugins there are, without anything else of the application."""
        from vault_plugins.registry import discover

        return discover(self.plugin_path)


pass_session = click.make_pass_decorator(Session)
