"""What HAProxy writes down of requests that are checked: neither passwords nor hashes nor what auth services are asked."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from reconciler.core.routes.logins import Logins
from tests.proxy.conftest import until
from tests.proxy.haproxy.gateway.conftest import SPEC, GatewayWorld

if TYPE_CHECKING:
    from tests.proxy.conftest import Replica
    from tests.proxy.haproxy.gateway.auth_server import AuthServer

pytestmark = pytest.mark.docker


def test_logs_show_no_password_hash_or_question(
    world: GatewayWorld, replicas: dict[str, Replica], auth: AuthServer
) -> None:
    world.spec = SPEC.model_copy(update={"access_log": True})
    world.write(world.spec)
    world.start()
    hashed = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
    world.serve(
        {"hostnames": ["a.test"], "auth": {"forward": {"url": f"{auth.url}/verify?key=hidden"}}},
        {"hostnames": ["b.test"], "auth": {"basic": {"file": "/x"}}},
        replicas=[replicas["one"]],
        logins={"s.1": Logins({"ada": hashed})},
    )
    auth.says(200)
    assert world.get("a.test", "/?token=hidden").status == 200
    auth.says(401)
    assert world.get("a.test").status == 401
    for password, status in (("secret", 200), ("wrong", 401)):
        login = base64.b64encode(f"ada:{password}".encode()).decode()
        assert world.get("b.test", Authorization=f"Basic {login}").status == status

    def logged() -> tuple[str, list[int]]:
        command = ["docker", "logs", world.containers[1]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        requests = [line for line in done.stdout.splitlines() if not line.startswith("Server h0")]
        # Threads write the line of a request when its answer is out, in any order.
        return done.stdout + done.stderr, sorted(json.loads(line)["status"] for line in requests)

    until(lambda: len(logged()[1]) >= 4)
    told, statuses = logged()
    assert statuses == [200, 200, 401, 401]
    assert not [word for word in ("secret", "wrong", "hidden", "$2b$", "Basic", hashed[-20:]) if word in told]
