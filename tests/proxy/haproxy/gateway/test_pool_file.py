"""The file of a pool: written, read back, and a manual edit is seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.desired.stack import Probe
from reconciler.proxy.haproxy.gateway.pool_file import (
    PoolServer,
    PoolSettings,
    WrittenPool,
    head,
    read_pool,
    render_pool,
)
from reconciler.proxy.haproxy.gateway.pools import PoolKind

SETTINGS = PoolSettings(Probe("/healthz", "localhost", 2.0), 30.0)
SERVERS = (PoolServer("b", "10.0.0.2:8000", 9), PoolServer("a", "10.0.0.1:8000"))


def test_a_spare_pool_is_its_head() -> None:
    assert render_pool("h001", (), None) == "backend h001 from http-pool\n"
    assert head("t001") == "backend t001 from tcp-pool\n"
    assert head("p001") == "backend p001 from tcp-pool\n"
    assert head("g001") == "backend g001 from http-pool\n    option tcp-check\n"


@pytest.mark.parametrize(("pool", "end"), [("g001", " proto h2\n"), ("p001", " send-proxy-v2\n")])
def test_what_replicas_speak_is_said_of_each_server(pool: str, end: str) -> None:
    assert render_pool(pool, SERVERS, SETTINGS).endswith(end)


def test_servers_are_written_with_their_checks() -> None:
    text = render_pool("s001", SERVERS, SETTINGS)

    assert text.splitlines()[0] == "# check /healthz host localhost inter 2000ms hold 30000ms"
    assert text.splitlines()[2] == "    cookie vault-s001 insert indirect nocache httponly attr SameSite=Lax"
    assert text.splitlines()[3].startswith("    server a 10.0.0.1:8000 check inter 2000ms ")
    assert text.splitlines()[4].startswith("    server b 10.0.0.2:8000 weight 9 check inter 2000ms ")
    assert text.endswith(" cookie b\n")


@given(
    st.sampled_from([f"{kind}001" for kind in PoolKind]),
    st.dictionaries(
        st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
        st.tuples(st.ip_addresses(v=4), st.integers(1, 65535), st.integers(0, 256)),
        max_size=4,
    ),
    st.builds(
        lambda path, host, interval, hold: PoolSettings(Probe(path, host, interval / 1000), hold / 1000),
        st.from_regex(r"/[a-z0-9/?=]{0,20}", fullmatch=True),
        st.sampled_from(["localhost", "app.test:8000"]),
        st.integers(1, 3_600_000),
        st.integers(0, 86_400_000),
    ),
)
def test_what_was_written_is_read_back(
    pool: str, members: dict[str, tuple[object, int, int]], settings: PoolSettings
) -> None:
    servers = [PoolServer(name, f"{ip}:{port}", weight) for name, (ip, port, weight) in members.items()]

    written = WrittenPool(settings, tuple(sorted(servers)))
    assert read_pool(pool, render_pool(pool, servers, settings)) == written


def test_a_spare_pool_has_no_settings() -> None:
    assert read_pool("h001", head("h001")) == WrittenPool()


def test_a_manual_edit_is_seen() -> None:
    text = render_pool("h001", SERVERS, SETTINGS)

    assert read_pool("h001", text.replace("from http-pool", "from http-pool\n    option forwardfor")) is None
    assert read_pool("h002", text) is None
    assert read_pool("h001", text.replace("inter 2000ms", "inter 3000ms", 1)) is None
    assert read_pool("h001", text.replace("# check", "# my check")) is None


@pytest.mark.parametrize(
    "server", [PoolServer("a b", "10.0.0.1:80"), PoolServer("a", "::1:80"), PoolServer("a", "x\n:1")]
)
def test_what_could_be_more_than_a_server_is_refused(server: PoolServer) -> None:
    with pytest.raises(ValueError, match="server"):
        render_pool("h001", [server], SETTINGS)


@pytest.mark.parametrize("probe", [Probe("/a b", "x", 1.0), Probe("/", "a\nb", 1.0), Probe("/", "x", -1.0)])
def test_what_could_be_more_than_settings_is_refused(probe: Probe) -> None:
    with pytest.raises(ValueError, match="health check"):
        render_pool("h001", (), PoolSettings(probe, 1.0))


def test_a_server_needs_a_check() -> None:
    with pytest.raises(ValueError, match="without a health check"):
        render_pool("h001", SERVERS, None)
