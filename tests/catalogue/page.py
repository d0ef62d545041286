"""docs/catalogue.md: the applications that are shipped as plugins, and what the tests do to each.

`python -m tests.catalogue.page docs/catalogue.md` writes the page from the plugins and from what the tests know of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from tests.catalogue.applications import Application, applications
from tests.catalogue.turns import EACH_DAY, MOST
from vault_plugins.registry import discover

HEAD: Final = """\
<!-- Generated from vault_plugins/ and tests/catalogue/ by `python -m tests.catalogue.page`; do not edit. -->

# The catalogue

Applications that are shipped as plugins. `vaultctl plugin show NAME` prints what its operator has to know: settings, first
credentials, security, backup, and how many replicas its data allow and why. A first manifest of one:

```sh
vaultctl init calendar --plugin radicale --port 8080
```

Settings that are passwords belong into a file that [`spec.envFrom`](secrets.md) names. None of them has a default: without
it the service is refused.

| application | | web image | replicas | admission | with | upgraded in the test |
|---|---|---|---|---|---|---|
"""
TAIL: Final = f"""
- **replicas**: "many" where logins and uploads are right with more than one; "one" where the data allow one process, so a
  change stops the old container first while HAProxy holds the requests. More are possible, with a warning that says what
  breaks.
- **admission**: the strictest [profile](admission.md) that admits all containers of the service.

## What the tests do

No test pulls an image. Each application runs from an image that is built from Debian's packages, PyPI or npm, with the
contract of the image that its plugin names: the same port, variables, data directory and user
(`tests/catalogue/NAME/Dockerfile`). For each, on a real engine with real HAProxy:

1. The older version comes up under the profile of the table, with two replicas where many are allowed.
2. A visitor logs in where there is a login, creates something by HTTP and finds it, at every replica.
3. Under load, all replicas are replaced by a restart, one is killed, and the service is upgraded to the newer version.
   After each step the visitor finds what was created; where the table says "many", with the same login.
4. No request is lost. The exceptions are the death of the only replica, which costs the requests of that moment (those that
   come after it was noticed are held), and an upgrade whose job makes tables that the older version cannot read: then the
   table says so.
5. A new visitor logs in and finds it too.

`make catalogue` runs all of them, `make catalogue ONLY=miniflux` one. `make test` and CI run {EACH_DAY}, other ones each
day, and those that were changed during the last day, {MOST} at most. Where the table says "the same version", Debian has
one version only, and the upgrade is to another image of it.
"""


def page() -> str:
    """The page as text."""
    return HEAD + "".join(map(_row, applications().values())) + TAIL


def _row(application: Application) -> str:
    loaded = discover([]).get(application.slug)
    plugin = loaded.create()
    services = plugin.build_compose(application.settings)["services"]
    (web,) = plugin.get_containers()
    beside = sorted({service["image"] for name, service in services.items() if name != web})
    older, newer = application.versions
    upgrade = f"{older} → {newer}"
    if older.partition("-")[0] == newer.partition("-")[0]:
        upgrade = f"the same version, {older.partition('-')[0]}"
    if application.loses_in_upgrade:
        upgrade += ", while requests are lost"
    cells = (
        f"`{application.slug}`",
        plugin.metadata.description.rstrip("."),
        f"`{services[web]['image']}`",
        "many" if application.replicas > 1 else "one",
        "restricted" if application.restricted else "baseline",
        ", ".join(f"`{image}`" for image in beside if image != services[web]["image"]) or "–",
        upgrade,
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
