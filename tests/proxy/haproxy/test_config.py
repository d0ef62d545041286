"""haproxy.cfg: what is written for given settings, what is read back, and that no value can say more than itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.desired.stack import Probe, ProxySettings
from reconciler.proxy.haproxy.config import CONFIG_FILE, read_back, render, structure
from reconciler.proxy.haproxy.values import check_options

SETTINGS = ProxySettings(
    pool="web",
    health=Probe(path="/healthz", host="localhost", interval=2.0),
    hold_seconds=30.0,
    drain_seconds=20.0,
)
IMAGE = "haproxy:3.0"
SERVERS = (("b", "10.0.0.2:8000"), ("a", "10.0.0.1:8000"))

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True)
addresses = st.builds(
    "{}:{}".format, st.ip_addresses(v=4).map(str), st.integers(min_value=1, max_value=65535)
)
settings = st.builds(
    ProxySettings,
    pool=names,
    health=st.builds(
        Probe,
        path=st.from_regex(r"/[A-Za-z0-9._~:@!&=+,;*/?-]{0,40}", fullmatch=True),
        host=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True),
        interval=st.floats(min_value=0.1, max_value=3600),
    ),
    hold_seconds=st.floats(min_value=0, max_value=3600),
    drain_seconds=st.floats(min_value=0, max_value=3600),
)


def config(with_: ProxySettings = SETTINGS, servers: Any = SERVERS, image: str = IMAGE) -> str:
    return render(with_, servers, image)[CONFIG_FILE]


@pytest.mark.parametrize(
    "line",
    [
        "frontend public",
        "    bind :8080",
        '    bind ":184${VAULT_PROXY_SLOT}"',
        "backend web",
        "    http-check send meth GET uri '/healthz' ver HTTP/1.1 hdr Host 'localhost'",
        # A server that leaves between the two questions is counted again, when its mark is gone.
        "    http-request lua.hold web 30000 if { nbsrv(web) eq 1 } { str(web),table_gpt0(closing) gt 0 } "
        "or { nbsrv(web) eq 0 }",
        # Between the drain deadline (20 s) and the container's stop grace period (25 s).
        "    hard-stop-after 22500ms",
        '    stats socket "/run/haproxy/admin-${VAULT_PROXY_SLOT}.sock" mode 660 level admin expose-fd listeners',
        "    default-server check inter 2000ms fastinter 250ms downinter 100ms rise 1 fall 3 "
        "observe layer4 error-limit 3 on-error mark-down",
        "    server a 10.0.0.1:8000\n    server b 10.0.0.2:8000",
    ],
)
def test_writes(line: str) -> None:
    assert f"{line}\n" in config()


def test_every_file_it_names_is_rendered() -> None:
    files = render(SETTINGS, (), IMAGE)
    texts = [files[CONFIG_FILE], config(replace(SETTINGS, is_stopped=True))]

    named = {word for text in texts for line in text.splitlines() for word in line.split() if word in files}
    assert named == set(files) - {CONFIG_FILE}


def test_order_of_servers_does_not_matter() -> None:
    assert config(servers=SERVERS) == config(servers=reversed(SERVERS))


@given(
    settings, st.dictionaries(names, addresses, max_size=8), st.sampled_from([IMAGE, "my/haproxy@sha256:0a"])
)
def test_reads_back_what_was_written(with_: ProxySettings, servers: dict[str, str], image: str) -> None:
    written = read_back(render(with_, servers.items(), image))

    assert written is not None
    assert written.servers == servers
    assert written.structure == structure(with_)
    assert written.image == image


def test_nothing_written_is_nothing_read() -> None:
    assert read_back({"hold.lua": "return"}) is None


def test_workers_are_told_their_structure() -> None:
    assert f"    description {structure(SETTINGS)}\n" in config()


@pytest.mark.parametrize(
    "other",
    [
        replace(SETTINGS, pool="api"),
        replace(SETTINGS, hold_seconds=31.0),
        replace(SETTINGS, drain_seconds=21.0),
        replace(SETTINGS, health=replace(SETTINGS.health, path="/ready")),
        replace(SETTINGS, health=replace(SETTINGS.health, host="example.org")),
        replace(SETTINGS, health=replace(SETTINGS.health, interval=3.0)),
        replace(SETTINGS, header_kib=33),
        replace(SETTINGS, drop_headers=("remote-user",)),
        replace(SETTINGS, opens=("", 8080)),
    ],
)
def test_every_setting_is_part_of_the_structure(other: ProxySettings) -> None:
    assert structure(other) != structure(SETTINGS)


@pytest.mark.parametrize("file", sorted(render(SETTINGS, (), IMAGE)))
def test_a_hand_in_a_file_is_seen(file: str) -> None:
    files = render(SETTINGS, SERVERS, IMAGE)
    touched = {**files, file: files[file].replace("\n", "\n# was here\n", 1)}

    assert (written := read_back(touched)) is not None
    assert written.structure != structure(SETTINGS)


def test_a_missing_page_is_seen() -> None:
    files = render(SETTINGS, SERVERS, IMAGE)
    del files["pages/503.html"]

    assert (written := read_back(files)) is not None
    assert written.structure != structure(SETTINGS)


def test_a_changed_server_line_is_seen() -> None:
    files = render(SETTINGS, SERVERS, IMAGE)
    files[CONFIG_FILE] = files[CONFIG_FILE].replace("10.0.0.1:8000", "10.0.0.1:8000 backup")

    assert (written := read_back(files)) is not None
    assert written.structure != structure(SETTINGS)
    assert set(written.servers) == {"b"}


def test_weights_are_written_and_read_back() -> None:
    files = render(SETTINGS, SERVERS, IMAGE, [("a", 9), ("b", 1)])

    assert "server a 10.0.0.1:8000 weight 9\n" in files[CONFIG_FILE]
    assert (written := read_back(files)) is not None
    assert written.weights == {"a": 9}
    assert (written.structure, set(written.servers)) == (structure(SETTINGS), {"a", "b"})


@pytest.mark.parametrize("weight", [-1, 257])
def test_a_weight_that_haproxy_does_not_have_is_refused(weight: int) -> None:
    with pytest.raises(ValueError, match="server weight"):
        render(SETTINGS, SERVERS, IMAGE, [("a", weight)])


HOSTILE = [
    "",
    " ",
    "a b",
    "a\nbackend evil",
    "a\r\nserver evil 10.9.9.9:80",
    "a\n",
    "${HOME}",
    "%[env(HOME)]",
    "'",
    '"',
    "a'b",
    "\\",
    "a#b",
    "-f /etc/passwd",
    "a\x00b",
    "a\u2028b",
    "ä",
    "x" * 500,
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "field", ["pool", "path", "host", "server name", "server address", "image", "header"]
)
def test_refuses_what_could_say_more(field: str, value: str) -> None:
    with_, image = SETTINGS, IMAGE
    servers: tuple[tuple[str, str], ...] = SERVERS
    match field:
        case "pool":
            with_ = replace(SETTINGS, pool=value)
        case "path":
            with_ = replace(SETTINGS, health=replace(SETTINGS.health, path=f"/{value}" if value else value))
        case "host":
            with_ = replace(SETTINGS, health=replace(SETTINGS.health, host=value))
        case "header":
            with_ = replace(SETTINGS, drop_headers=("x-ok", value))
        case "server name":
            servers = ((value, "10.0.0.1:80"),)
        case "server address":
            servers = (("a", value),)
        case _:
            image = value

    with pytest.raises(ValueError, match=field):
        render(with_, servers, image)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:8O", "10.0.0.1:-1", "host:80", "::1:80",
     "10.0.0:80", "10.0.0.1:80 check", "010.0.0.1:80", "10.0.0.1:٣", ":80"],
)  # fmt: skip
def test_refuses_addresses(address: str) -> None:
    with pytest.raises(ValueError, match="server address"):
        render(SETTINGS, [("a", address)], IMAGE)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 1e12])
@pytest.mark.parametrize("field", ["hold_seconds", "drain_seconds"])
def test_refuses_durations(field: str, seconds: float) -> None:
    wrong: dict[str, Any] = {field: seconds}
    with pytest.raises(ValueError, match=field.replace("_", " ")):
        render(replace(SETTINGS, **wrong), (), IMAGE)


@pytest.mark.parametrize("kib", [-1, 0, 1025])
def test_refuses_headers_of_no_or_endless_room(kib: int) -> None:
    with pytest.raises(ValueError, match="header KiB"):
        render(replace(SETTINGS, header_kib=kib), (), IMAGE)


def test_refuses_one_name_for_two_servers() -> None:
    with pytest.raises(ValueError, match="twice"):
        render(SETTINGS, [("a", "10.0.0.1:80"), ("a", "10.0.0.2:80")], IMAGE)


@given(value=st.text(), field=st.sampled_from(["pool", "path", "host", "name", "address", "image"]))
def test_no_value_adds_a_line_or_an_expansion(value: str, field: str) -> None:
    with_ = SETTINGS
    if field == "pool":
        with_ = replace(SETTINGS, pool=value)
    if field in ("path", "host"):
        given: dict[str, Any] = {field: value}
        with_ = replace(SETTINGS, health=replace(SETTINGS.health, **given))
    server = (value if field == "name" else "a", value if field == "address" else "10.0.0.1:80")
    try:
        text = render(with_, [server], value if field == "image" else IMAGE)[CONFIG_FILE]
    except ValueError:
        return

    plain = config(servers=[("a", "10.0.0.1:80")])
    assert text.count("\n") == plain.count("\n")
    assert len(text.split()) == len(plain.split())
    for special in "\"'\\$#{}[]":
        assert text.count(special) == plain.count(special)


@given(st.floats(min_value=0.001, max_value=3600))
def test_a_changing_server_is_never_checked_more_slowly(interval: float) -> None:
    words = check_options(replace(SETTINGS.health, interval=interval)).split()
    inter, fast, down = (int(words[words.index(key) + 1][:-2]) for key in ("inter", "fastinter", "downinter"))

    assert 1 <= down <= fast <= inter


def test_a_stopped_service_holds_nothing() -> None:
    text = config(replace(SETTINGS, is_stopped=True))
    assert "lua.hold " not in text
    assert "lf-file pages/stopped.html" in text
    assert structure(replace(SETTINGS, is_stopped=True)) != structure(SETTINGS)


@pytest.mark.parametrize(
    ("address", "bind"), [("", ":80"), ("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")]
)
def test_on_the_host_it_opens_the_port_itself_and_leaves_root(address: str, bind: str) -> None:
    text = config(replace(SETTINGS, opens=(address, 80)))

    assert f"    bind {bind}\n" in text
    assert "    uid 99\n    gid 99\n" in text
    # No port that another front door of the host could have as well, and none that any process could connect to.
    assert '    bind "127.1.0.80:184${VAULT_PROXY_SLOT}"\n' in text
    assert '    bind "unix@/run/haproxy/next-public-${VAULT_PROXY_SLOT}.sock" mode 660 accept-proxy\n' in text
    assert '    server slot2 "unix@/run/haproxy/next-public-2.sock" send-proxy-v2\n' in text
    assert "127.0.0.1:8079" not in text
    assert (written := read_back({CONFIG_FILE: text})) is not None
    assert set(written.servers) == {"a", "b"}


@pytest.mark.parametrize("value", [each for each in HOSTILE if each])
def test_refuses_an_address_that_is_none(value: str) -> None:
    with pytest.raises(ValueError, match="address"):
        config(replace(SETTINGS, opens=(value, 80)))
