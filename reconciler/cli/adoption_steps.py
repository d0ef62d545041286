"""Takes the steps of an adoption or a release, and says each on stderr before it is taken."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.output import say

if TYPE_CHECKING:
    from reconciler.core.adoption.record import Adoption, Stage
    from reconciler.wiring import Application

__all__ = ["take"]


def take(
    application: Application,
    record: Adoption,
    timeout: float,
    *,
    seen: Adoption | None,
    last: Stage | None = None,
) -> None:
    """Take the steps of a record that are left, up to the stage `last` if there is one; `timeout` is in seconds, for each.
    `seen` is what was recorded when that was decided. Raises VaultError.
    """
    from reconciler.api import TemporaryError
    from reconciler.app.adopting import Runner
    from reconciler.cli.progress import reporting

    with application.adoptions.locked(record.name), reporting(now=datetime.now) as report:
        if application.adoptions.get(record.name) != seen:
            raise TemporaryError(
                f"another process has taken steps of {record.name} meanwhile; repeat the command"
            )
        runner = Runner(
            machine=application,
            foreign=application.foreign,
            journal=application.adoptions,
            store=lambda each: _store(application, each),
            report=report,
            tell=lambda step: say(f"{datetime.now().astimezone():%H:%M:%S} step: {step}"),
            now=_now,
            timeout=timeout,
            last=last,
        )
        runner.run(record)


def _store(application: Application, record: Adoption) -> None:
    """Store the object of the manifest, as `vaultctl apply` does."""
    from reconciler.api import load
    from reconciler.app.applying import apply
    from reconciler.app.preparing import prepare
    from reconciler.store.base import Origin

    path = Path(record.manifest)
    (manifest,) = (each for each in load(path) if each.resource.name == record.name)
    if not record.closed:
        # The plan has shown its warnings.
        prepare(application.build, [manifest], lambda warning: None)
    apply(application.objects, manifest.resource, Origin("apply", str(path), path, manifest.line), _now())


def _now() -> datetime:
    return datetime.now(UTC)
