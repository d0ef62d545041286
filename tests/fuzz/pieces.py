"""Random pieces of Compose services: what a fragment says, in one of its forms, and what Compose has to read in the end.

What is expected is made here from the values themselves, not by the product's own reading. Texts hold what YAML, Compose
or a shell could take for something else; every `$` of theirs is written twice, as a fragment has to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.fuzz.mutate import NASTY

SETTINGS: Final = {"ONE": "1e3", "EMPTY": "", "HOSTILE": "a: b #c $x 'y\" \\ ${Z}"}
"""What references and names without a value come to."""

_WORDS: Final = (
    "yes", "no", "on", "off", "y", "N", "true", "False", "null", "~", "0089", "25921e05", "1e3", "0o17", "0x1F", "-.5",
    ".5", "+1", "-0", ".inf", ".NaN", "1_000", "0b11", "12:30:45", "2001-01-01", "<<", "=", "!x", "- a", "a: b", "a #b",
    " a", "a ", "00e1", "1.", "9" * 30, "1.0", "x", "two words", "tab\tbed", "two\nlines", "last\n", "\n", "grüße 🚀",
    "{", "[a", "&a", "*a", "%x", "@x", "`x`", "?", ":", "|", ">", "'", '"', "\\", "\x85", "\u2028", "\ufeff", "\x1b",
    "\x7f", "a" * 200, "x-a",
)  # fmt: skip
_TEXTS: Final = tuple(
    text for text in (*_WORDS, *NASTY) if not any(c == "\0" or 0xD800 <= ord(c) < 0xE000 for c in text)
)


@dataclass(frozen=True, slots=True)
class Piece:
    """The value of one field as a fragment has it, and as Compose prints it."""

    written: Any
    read: Any


def text(random: Random) -> str:
    """A text that could be taken for something else."""
    if random.randrange(3):
        return random.choice(_TEXTS)
    if random.randrange(2):
        return "".join(random.choice("0123456789.eE+-_:xoXnf") for _ in range(random.randint(1, 8)))
    return "".join(random.choice(_TEXTS)[:20] for _ in range(random.randint(1, 3)))


def doubled(value: str) -> str:
    return value.replace("$", "$$")


def name(random: Random) -> str:
    """A name that YAML could take for something else."""
    return random.choice(("a", "x-a", "No", "on", "x_1", "y", "NULL", "e5", "true", "n", "Inf")) + str(
        random.randrange(3)
    )


def number_text(random: Random) -> str:
    return str(random.randint(1, 10 ** random.randint(1, 8)))


def scalar(random: Random) -> tuple[Any, str]:
    """A value of a mapping of texts, as written and as read."""
    match random.randrange(6):
        case 0:
            flag = random.random() < 0.5
            return flag, "true" if flag else "false"
        case 1:
            number = random.choice((0, 1, -7, 8080, 2**31, 2**53))
            return number, str(number)
        case 2:
            # As a number is written in the fragment, in Python's shortest way.
            real = random.choice((0.5, 0.1, 2.25, -1.5))
            return real, str(real)
        case 3:
            setting = random.choice(list(SETTINGS))
            form = random.choice((f"${{{setting}}}", f"${setting}", f"${{{setting}-x}}", f"${{{setting}?x}}"))
            return form, SETTINGS[setting]
    value = text(random)
    return doubled(value), value


def pairs(random: Random, *, environment: bool) -> Piece:
    """Labels and environment: a mapping, or a list of NAME=VALUE."""
    read: dict[str, str] = {}
    as_list = random.random() < 0.5
    written: dict[str, Any] = {}
    for _ in range(random.randint(0, 4)):
        key = (
            name(random)
            if environment or random.randrange(2)
            else text(random).replace("=", "").replace("$", "") + "k"
        )
        given, found = scalar(random)
        if random.randrange(6) == 0:
            given, found = None, ""
        if key in written:
            continue
        written[key], read[key] = given, found
        if environment and given is None:
            del read[key]
    if environment:
        for setting in random.sample(list(SETTINGS), random.randint(0, 2)):
            written[setting], read[setting] = None, SETTINGS[setting]
    if not as_list:
        return Piece(written, read)
    entries = [
        key if given is None else f"{key}={str(given).lower() if isinstance(given, bool) else given}"
        for key, given in written.items()
    ]
    return Piece(entries, read)


def arguments(random: Random) -> Piece:
    words = [text(random) for _ in range(random.randint(1, 4))]
    return Piece([doubled(word) for word in words], words)


def shell_words(random: Random) -> Piece:
    """A command as one text, which Compose takes apart as a shell does."""
    words = [
        "".join(random.choice("abc 0189.-_=/:#") for _ in range(random.randint(1, 6))).strip() or "x"
        for _ in range(3)
    ]
    return Piece(" ".join(f"'{word}'" if " " in word or "#" in word else word for word in words), words)


def command(random: Random) -> Piece:
    return random.choice((arguments, shell_words))(random)


def single_text(random: Random) -> Piece:
    value = text(random) or "x"
    return Piece(doubled(value), value)


def one_of(*values: Any) -> Callable[[Random], Piece]:
    def piece(random: Random) -> Piece:
        value = random.choice(values)
        return Piece(value, value)

    return piece


def one_or_many(*values: str) -> Callable[[Random], Piece]:
    """A field that is a list, and may be written as its only item."""

    def piece(random: Random) -> Piece:
        chosen = random.sample(values, random.randint(1, 2))
        return (
            Piece(chosen[0], chosen) if len(chosen) == 1 and random.random() < 0.5 else Piece(chosen, chosen)
        )

    return piece


def size(random: Random) -> Piece:
    amount = random.randint(1, 900)
    unit, factor = random.choice(
        (("k", 1024), ("m", 1024**2), ("g", 1024**3), ("kb", 1024), ("MB", 1024**2), ("b", 1))
    )
    return Piece(f"{amount}{unit}", str(amount * factor))


def duration(random: Random) -> Piece:
    seconds = random.randint(1, 59)
    minutes = random.randint(0, 3)
    read = f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
    return Piece(random.choice((read, f"{minutes * 60 + seconds}s")), read)


def healthcheck(random: Random) -> Piece:
    test = text(random).strip() or "true"
    forms = (
        (doubled(test), ["CMD-SHELL", test]),
        (["CMD", doubled(test)], ["CMD", test]),
        (["CMD-SHELL", doubled(test)], ["CMD-SHELL", test]),
    )
    given, found = random.choice(forms)
    written: dict[str, Any] = {"test": given}
    read: dict[str, Any] = {"test": found}
    for field in ("interval", "timeout", "start_period", "start_interval"):
        if random.randrange(2):
            time = duration(random)
            written[field], read[field] = time.written, time.read
    if random.randrange(2):
        written["retries"] = read["retries"] = random.randint(1, 9)
    return Piece(written, read)


def deploy(random: Random) -> Piece:
    memory, reserved = size(random), size(random)
    cpus = random.choice((0.5, 1.5, 0.25))
    limits = {
        "cpus": str(cpus) if random.randrange(2) else cpus,
        "memory": memory.written,
        "pids": random.randint(1, 500),
    }
    read = {"cpus": cpus, "memory": memory.read, "pids": limits["pids"]}
    written = {"resources": {"limits": limits, "reservations": {"memory": reserved.written}}}
    return Piece(
        written, {"resources": {"limits": read, "reservations": {"memory": reserved.read}}, "placement": {}}
    )


def ulimits(random: Random) -> Piece:
    both = {"soft": random.randint(1, 99), "hard": random.randint(100, 999)}
    value = {"nofile": both, "nproc": random.randint(1, 99)}
    return Piece(value, value)


def sysctls(random: Random) -> Piece:
    number = random.randint(1, 999)
    read = {"net.core.somaxconn": str(number)}
    return Piece(
        random.choice(({"net.core.somaxconn": number}, read, [f"net.core.somaxconn={number}"])), read
    )


def extra_hosts(random: Random) -> Piece:
    hosts = {f"h{at}.example": f"10.0.0.{random.randint(1, 9)}" for at in range(random.randint(1, 3))}
    read = [f"{host}={address}" for host, address in hosts.items()]
    return Piece(random.choice((hosts, [f"{h}:{a}" for h, a in hosts.items()], read)), read)


def logging(random: Random) -> Piece:
    options = {"max-size": f"{random.randint(1, 9)}m", "max-file": str(random.randint(1, 9))}
    value = {"driver": "json-file", "options": options}
    return Piece(value, value)


def ports(random: Random) -> Piece:
    target, published = random.randint(1, 65535), str(random.randint(1, 65535))
    protocol = random.choice(("tcp", "udp"))
    suffix = "" if protocol == "tcp" and random.randrange(2) else f"/{protocol}"
    read: dict[str, Any] = {"mode": "ingress", "target": target, "protocol": protocol}
    match random.randrange(4):
        case 0:
            return Piece([f"{target}{suffix}"], [read])
        case 1:
            return Piece([f"{published}:{target}{suffix}"], [read | {"published": published}])
        case 2:
            read |= {"published": published, "host_ip": "127.0.0.1"}
            return Piece([f"127.0.0.1:{published}:{target}{suffix}"], [read])
    long = {
        "target": target,
        "protocol": protocol,
        "published": published,
        "mode": random.choice(("host", "ingress")),
    }
    return Piece([long], [long])


def volumes(random: Random) -> Piece:
    written: list[Any] = []
    read: list[dict[str, Any]] = []
    for at in range(random.randint(1, 4)):
        given, found = _volume(random, f"/t{at}")
        written.append(given)
        read.append(found)
    return Piece(written, read)


def _volume(random: Random, target: str) -> tuple[Any, dict[str, Any]]:
    read_only = random.random() < 0.5
    access: dict[str, Any] = {"read_only": True} if read_only else {}
    given: dict[str, Any]
    source = random.choice(("/srv/a", "/srv/0089", "/srv/a b", "/srv/$x", "/srv/grüße"))
    match random.randrange(7):
        case 0:
            options = [
                *(["ro"] if read_only else random.choice(([], ["rw"]))),
                *random.choice(([], ["z"], ["Z"])),
            ]
            bind = {"create_host_path": True} | (
                {"selinux": options[-1]} if options[-1:] in (["z"], ["Z"]) else {}
            )
            short = ":".join([doubled(source), target, *([",".join(options)] if options else [])])
            return short, {"type": "bind", "source": source, "target": target, **access, "bind": bind}
        case 1:
            options = [*(["ro"] if read_only else []), *random.choice(([], ["nocopy"]))]
            volume = {"nocopy": True} if "nocopy" in options else {}
            short = ":".join(["data", target, *([",".join(options)] if options else [])])
            return short, {"type": "volume", "source": "data", "target": target, **access, "volume": volume}
        case 2:
            return target, {"type": "volume", "target": target, "volume": {}}
        case 3:
            creates = random.random() < 0.5
            given = {
                "type": "bind",
                "source": doubled(source),
                "target": target,
                **access,
                "bind": {"create_host_path": creates},
            }
            found = {**given, "source": source, "bind": {"create_host_path": True} if creates else {}}
            return given, found
        case 4:
            given = {
                "type": "volume",
                "source": "data",
                "target": target,
                **access,
                "volume": {"nocopy": True},
            }
            return given, dict(given)
        case 5:
            amount = size(random)
            given = {"type": "tmpfs", "target": target, "tmpfs": {"size": amount.written, "mode": 0o1777}}
            return given, {**given, "tmpfs": {"size": amount.read, "mode": 0o1777}}
    given = {"source": "data", "target": target}
    return given, {"type": "volume", "source": "data", "target": target}


def networks(random: Random) -> Piece:
    aliases = [random.choice(("db", "a.b", "no", "0089", "1e3", "x-y")) for _ in range(random.randint(1, 2))]
    match random.randrange(4):
        case 0:
            return Piece(["back", "vault-net"], {"back": {}, "vault-net": {}})
        case 1:
            return Piece({"back": None}, {"back": {}})
        case 2:
            wanted = {"aliases": [*dict.fromkeys(aliases)], "priority": random.randint(1, 9)}
            return Piece({"back": wanted}, {"back": wanted})
    fixed = {"ipv4_address": f"10.1.1.{random.randint(2, 99)}"}
    return Piece({"back": fixed}, {"back": fixed})


def files(section: str) -> Callable[[Random], Piece]:
    """Configs and secrets: a name, or a mapping."""

    def piece(random: Random) -> Piece:
        mode = random.choice((0o440, 0o400))
        long = {"source": "conf", "target": "/c", "uid": "0089", "gid": "10", "mode": mode}
        short = (
            {"source": "conf"} if section == "configs" else {"source": "conf", "target": "/run/secrets/conf"}
        )
        return random.choice((Piece(["conf"], [short]), Piece([long], [long])))

    return piece


def depends_on(random: Random) -> Piece:
    condition = random.choice(("service_started", "service_healthy"))
    read = {"web": {"condition": condition, "required": True}}
    if condition == "service_started" and random.randrange(2):
        return Piece(["web"], read)
    absent = {"absent": {"condition": condition, "required": False}} if random.randrange(2) else {}
    return Piece({"web": {"condition": condition}, **absent}, read)


FIELDS: Final[Mapping[str, Callable[[Random], Piece]]] = {
    "blkio_config": one_of({"weight": 300}, {"weight": 10}),
    "cap_add": one_of(["CHOWN"], ["NET_ADMIN", "SYS_TIME"]),
    "cap_drop": one_of(["ALL"], ["NET_RAW"]),
    "cgroup": one_of("host", "private"),
    "command": command,
    "configs": files("configs"),
    "cpu_period": one_of(10000, 20000),
    "cpu_quota": one_of(50000),
    "cpu_shares": one_of(5, 50),
    "cpuset": one_of("0-3", "0", "1e3", "0,1"),
    "depends_on": depends_on,
    "deploy": deploy,
    "device_cgroup_rules": one_of(["c 1:3 r"]),
    "dns": one_or_many("9.9.9.9", "1.1.1.1"),
    "dns_opt": one_of(["ndots:1"], ["use-vc", "no-tld-query"]),
    "dns_search": one_or_many("a.example", "b.example"),
    "domainname": one_of("d", "no", "0089", "1e3"),
    "entrypoint": command,
    "environment": lambda random: pairs(random, environment=True),
    "expose": one_of(["80", "90/udp"]),
    "extra_hosts": extra_hosts,
    "group_add": one_of(["1000", "no", "0089"]),
    "healthcheck": healthcheck,
    "hostname": one_of("h", "no", "0089", "1e3", "25921e05"),
    "init": one_of(True, False),
    "ipc": one_of("shareable", "host"),
    "labels": lambda random: pairs(random, environment=False),
    "logging": logging,
    "mem_swappiness": lambda random: Piece(n := random.randint(1, 99), str(n)),
    "memswap_limit": size,
    "networks": networks,
    "oom_score_adj": one_of(5, -5),
    "pid": one_of("host", "service:web"),
    "platform": one_of("linux/amd64", "linux/arm64"),
    "ports": ports,
    "privileged": one_of(True),
    "read_only": one_of(True),
    "restart": one_of("no", "always", "on-failure:3", "unless-stopped"),
    "runtime": one_of("runc", "1e3"),
    "secrets": files("secrets"),
    "security_opt": one_of(["no-new-privileges:true"], ["seccomp=unconfined", "no"]),
    "shm_size": size,
    "stdin_open": one_of(True),
    "stop_grace_period": duration,
    "stop_signal": one_of("SIGINT", "9", "1e3"),
    "storage_opt": one_of({"size": "1G"}, {"size": "0089"}),
    "sysctls": sysctls,
    "tmpfs": one_or_many("/t", "/u:size=1m"),
    "tty": one_of(True),
    "ulimits": ulimits,
    "user": one_of("0:0", "1000", "0089", "1e3", "no", "012"),
    "userns_mode": one_of("host"),
    "uts": one_of("host"),
    "volumes": volumes,
    "working_dir": single_text,
}
"""A maker for each field of a service that is handed to Compose."""
