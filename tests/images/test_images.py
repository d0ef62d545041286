"""The images fulfil the contracts that manifests, plugins and tests rely on, wherever they were built."""

import json
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator

import pytest

pytestmark = pytest.mark.docker

WAIT_SECONDS = 120.0
Start = Callable[..., str]


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).strip()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a container from `docker run` arguments and returns its name; it is removed after the test."""
    started: list[str] = []

    def run(*arguments: str) -> str:
        started.append(f"vr-test-images-{uuid.uuid4().hex[:8]}")
        docker("run", "--detach", "--name", started[-1], *arguments)
        return started[-1]

    yield run
    if started:
        docker("rm", "--force", "--volumes", *started)


def url_of(container: str) -> str:
    return "http://" + docker("port", container, "8000/tcp").splitlines()[0]


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=WAIT_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def health_of(container: str) -> str:
    return docker("inspect", "--format", "{{.State.Health.Status}}", container)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], "haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg"),
        (["-f", "/x.cfg"], "haproxy -W -db -f /x.cfg"),
        (["haproxy", "-f", "/x.cfg"], "haproxy -W -db -f /x.cfg"),
        (["sleep", "infinity"], "sleep infinity"),
    ],
)
def test_haproxy_entrypoint_adds_the_master_and_nothing_else(arguments: list[str], command: str) -> None:
    # Programs of the same names, first on PATH, that say how they were called.
    shim = """printf '#!/bin/sh\\necho "$0 $*"\\n' | tee /tmp/haproxy >/tmp/sleep; chmod +x /tmp/*; """
    default = docker("inspect", "--format", "{{json .Config.Cmd}}", "haproxy:3.0")
    path = "PATH=/tmp:/usr/local/bin:/usr/bin:/bin"
    called = docker(
        *("run", "--rm", "--env", path, "--entrypoint", "sh", "haproxy:3.0"),
        *("-c", shim + 'exec docker-entrypoint.sh "$@"', "sh", *(arguments or json.loads(default))),
    )
    assert called == f"/tmp/{command}"


def test_haproxy_is_a_3_0_without_root_and_with_socat() -> None:
    said = docker("run", "--rm", "haproxy:3.0", "sh", "-c", "id -u; id -g; haproxy -v; command -v socat")
    assert said.split()[:2] == ["99", "99"]
    assert "version 3.0." in said
    assert said.endswith("/socat")
    assert docker("inspect", "--format", "{{.Config.StopSignal}}", "haproxy:3.0") == "SIGUSR1"


def test_whoami_is_healthy_when_it_has_booted(start: Start) -> None:
    container = start("--env", "BOOT_SECONDS=4", "--publish", "127.0.0.1::8000", "vault-reconciler/whoami")
    url = url_of(container)
    until(lambda: status_of(f"{url}/healthz") == 503, "503 while booting")
    until(lambda: health_of(container) == "healthy", "healthy after the boot")
    with urllib.request.urlopen(url, timeout=WAIT_SECONDS) as answer:
        body = json.load(answer)
        assert answer.headers["X-Replica"] == body["hostname"] == container_id(container)
    assert body["version"] == "1"


def container_id(container: str) -> str:
    return docker("inspect", "--format", "{{.Config.Hostname}}", container)


@pytest.mark.parametrize(("graceful", "answered"), [("1", "200"), ("0", "000")])
def test_whoami_stops_as_asked(start: Start, graceful: str, answered: str) -> None:
    container = start(
        "--env",
        f"GRACEFUL={graceful}",
        "--env",
        "LEDGER=/tmp/ledger",
        "--publish",
        "127.0.0.1::8000",
        "vault-reconciler/whoami",
    )
    url = url_of(container)
    until(lambda: status_of(url) == 200, "an answer")
    request = subprocess.Popen(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/slow?ms=1500"], stdout=subprocess.PIPE
    )
    until(lambda: "/slow" in docker("exec", container, "cat", "/tmp/ledger"), "that the request runs")
    docker("kill", "--signal", "TERM", container)
    assert docker("wait", container) == "0"
    assert request.communicate(timeout=WAIT_SECONDS)[0].decode() == answered


def test_whoami_fails_as_asked(start: Start) -> None:
    never = start("--env", "FAIL=unhealthy", "--publish", "127.0.0.1::8000", "vault-reconciler/whoami:2")
    gone = start("--env", "FAIL=exit", "vault-reconciler/whoami:2")
    assert docker("wait", gone) == "1"
    until(lambda: status_of(url_of(never)) == 200, "an answer")
    assert status_of(f"{url_of(never)}/healthz") == 503
    assert status_of(f"{url_of(never)}/slow?ms=x") == 400


def test_whoami_writes_each_request_to_its_ledger_once(start: Start) -> None:
    container = start(
        "--env", "LEDGER=/tmp/ledger", "--publish", "127.0.0.1::8000", "vault-reconciler/whoami"
    )
    url = url_of(container)
    until(lambda: status_of(f"{url}/healthz") == 200, "healthy")
    for number, (path, body) in enumerate([("/", None), ("/echo", b"x"), ("/nowhere", None)]):
        request = urllib.request.Request(url + path, data=body, headers={"X-Request-ID": f"r{number}"})
        try:
            urllib.request.urlopen(request, timeout=WAIT_SECONDS).close()
        except urllib.error.HTTPError as error:
            error.close()
    host = container_id(container)
    assert docker("exec", container, "cat", "/tmp/ledger").splitlines() == [
        f"r0 GET / {host}",
        f"r1 POST /echo {host}",
        f"r2 GET /nowhere {host}",
    ]


def test_postgres_keeps_its_data_and_its_password(start: Start) -> None:
    secret = 'it\'s "quoted"'
    container = start(
        *("--env", "POSTGRES_USER=app", "--env", f"POSTGRES_PASSWORD={secret}", "--env", "POSTGRES_DB=books"),
        "postgres:16",
    )

    def query(statement: str, password: str = secret) -> str:
        psql = ("psql", "-h", "127.0.0.1", "-U", "app", "-d", "books", "-tAc", statement)
        return docker("exec", "--env", f"PGPASSWORD={password}", container, *psql, check=False)

    until(lambda: query("select 1") == "1", "a query over TCP")
    query("create table t as select 42 as answer")
    docker("stop", container)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0"
    docker("start", container)
    until(lambda: query("select answer from t") == "42", "the data after a restart")


def test_redis_answers_other_containers(start: Start) -> None:
    container = start("redis:7")
    address = docker(
        "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container
    )
    until(
        lambda: docker("run", "--rm", "redis:7", "redis-cli", "-h", address, "ping", check=False) == "PONG",
        "a PONG",
    )


def test_controller_has_what_it_calls_and_is_not_root() -> None:
    said = docker(
        *("run", "--rm", "--entrypoint", "sh", "vault-reconciler/controller", "-c"),
        "id -u; docker compose version --short; git --version; command -v ssh; command -v vaultctl",
    )
    assert said.split()[0] != "0"
    assert said.splitlines()[-2:] == ["/usr/bin/ssh", "/opt/vault-reconciler/bin/vaultctl"]
