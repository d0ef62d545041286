"""The rules of admission, as data: field, check, problem and remedy of each.

What holds in profile `baseline` also holds in `restricted`. A field that neither a row nor `FIELDS` names is refused
too. To add a rule is to add a row here, and to the test's table a fragment that it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.core.admission import checks, limits, mounts, networks, paths
from reconciler.core.admission.paths import Verdict
from reconciler.core.admission.policy import Profile, Rule
from reconciler.core.compose.fields import CLOSED, harmless

_DEFAULT_CAPABILITIES: Final = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
"""What Docker gives every container anyway: asking for it back after `cap_drop: [ALL]` gains nothing."""

_SAFE_SYSCTLS: Final = frozenset({
    "kernel.shm_rmid_forced", "net.core.somaxconn", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
})  # fmt: skip
"""Kernel settings that end at the container's own namespaces."""

_SECURITY_OPTIONS: Final = frozenset({
    *limits.NO_NEW_PRIVILEGES, "apparmor:docker-default", "apparmor=docker-default", "seccomp:builtin", "seccomp=builtin",
})  # fmt: skip

FIELDS: Final[Mapping[str, frozenset[str]]] = {
    section: harmless(section) for section in ("services", "volumes", "networks", "configs", "secrets")
}
"""Fields that ask for nothing outside of the stack."""

OPENED_BY_PATH: Final = frozenset({"host-path", "unseen-path", "writable-path"})
"""Rules whose findings the operator can allow by `--host-path`."""

_ASK_OPERATOR: Final = (
    "have the operator run vaultctl with --host-path for a directory around it, or use a named volume"
)
_LET_LOOK: Final = (
    "make it first; let the controller's user pass to it; "
    "a controller in a container needs it mounted at the same path"
)
_OWN_ADDRESSES: Final = "leave ipam out, and the engine finds a free subnet"
_DO_WITHOUT: Final = f"do without; profile {Profile.PRIVILEGED.value} is for what cannot"
_NAME_CAPABILITY: Final = "leave it out; if one capability is needed, name that one in cap_add"
_SHARE_OWN: Final = "leave it out, or name a service of this fragment: service:NAME"
_OWN_DATA: Final = "leave it out; it gets a name of its own in the project"

_BASELINE: Final = (
    Rule("privileged", "privileged", checks.given,
         "gives the container the whole machine", _NAME_CAPABILITY),
    Rule("capabilities", "cap_add", checks.items_other_than(_DEFAULT_CAPABILITIES, checks.capability),
         "is more than Docker gives by default", _DO_WITHOUT),
    Rule("security-options", "security_opt", checks.entries_other_than(_SECURITY_OPTIONS),
         "may weaken the confinement of the container", "use no-new-privileges:true, or nothing"),
    Rule("host-network", "network_mode", checks.namespace("none"),
         "leaves the networks of the stack", "use networks; HAProxy publishes the web service"),
    Rule("host-pid", "pid", checks.namespace(),
         "shows the container processes that are not its own", _SHARE_OWN),
    Rule("host-ipc", "ipc", checks.namespace("none", "private", "shareable"),
         "shares memory with what is outside of the stack", _SHARE_OWN),
    Rule("host-uts", "uts", checks.other_than(""),
         "lets the container rename the host", "leave it out"),
    Rule("host-userns", "userns_mode", checks.other_than(""),
         "makes the container's root the host's", "leave it out"),
    Rule("host-cgroup", "cgroup", checks.other_than("", "private"),
         "shows the container the host's cgroups", "leave it out"),
    Rule("cgroup-parent", "cgroup_parent", checks.given,
         "moves the container out of the engine's limits", "use deploy.resources.limits"),
    Rule("docker-socket", "volumes", paths.mounted(Verdict.ENGINE_SOCKET),
         "is as good as root on the host", "do without; nothing inside a stack should control the engine"),
    Rule("docker-socket", "use_api_socket", checks.given,
         "is as good as root on the host", "do without; nothing inside a stack should control the engine"),
    Rule("sensitive-path", "volumes", paths.mounted(Verdict.PRIVATE),
         "holds what belongs to the host or to others", "use a named volume; no --host-path opens it"),
    Rule("host-path", "volumes", paths.mounted(Verdict.UNLISTED),
         "is a path of the host that the operator has not opened", _ASK_OPERATOR),
    Rule("unseen-path", "volumes", paths.mounted(Verdict.UNSEEN),
         "is not there, or the controller cannot look at it", _LET_LOOK),
    Rule("writable-path", "volumes", paths.mounted(Verdict.READ_ONLY),
         "is a path of the host that may only be read",
         "add :ro or read_only: true, use a named volume, or have the operator run vaultctl with --host-path for it"),
    Rule("nested-mount", "volumes", paths.mounted(Verdict.NESTED),
         "lies in a directory that a container of the stack may write to, and replace it by a link",
         "mount only one of the two, or the outer one read-only"),
    Rule("mount-options", "volumes", mounts.unknown_options,
         "is a mount option that may reach the host", "leave it out; ro, rw, z, Z and nocopy are known"),
    Rule("mount-options", "volumes", mounts.contradictions,
         "cannot all hold", "write one of them"),
    Rule("mount-type", "volumes", mounts.unknown_kinds,
         "is a kind of mount that is not known to be harmless", "use a volume, a bind or a tmpfs"),
    Rule("volumes-from", "volumes_from", checks.given,
         "takes mounts that are not written down here", "name each volume in volumes"),
    Rule("devices", "devices", checks.items_other_than(()),
         "hands a device of the host to the container", _DO_WITHOUT),
    Rule("devices", "device_cgroup_rules", checks.items_other_than(()),
         "opens devices of the host", _DO_WITHOUT),
    Rule("devices", "gpus", checks.given,
         "hands devices of the host to the container", _DO_WITHOUT),
    Rule("devices", "deploy.resources.reservations.devices", checks.given,
         "hands devices of the host to the container", _DO_WITHOUT),
    Rule("sysctls", "sysctls", checks.items_other_than(_SAFE_SYSCTLS),
         "may change the kernel of the host", "set it on the host"),
    Rule("sysctls", "networks", checks.endpoint_options,
         "can be settings of the kernel", "leave it out"),
    Rule("published-port", "ports", checks.published,
         "would be reachable from outside without HAProxy",
         "leave it out; services reach each other by name in their networks"),
    Rule("runtime", "runtime", checks.given,
         "runs the container by another program than the engine's own", "leave it out"),
    Rule("out-of-memory", "oom_kill_disable", checks.given,
         "makes the host's other programs die in its place", "leave it out"),
    Rule("out-of-memory", "oom_score_adj", checks.negative,
         "makes the host's other programs die in its place", "leave it out, or use a number from 0"),
    Rule("pids-limit", "pids_limit", checks.negative,
         "lets the container use up the host's processes", "use a number from 1"),
    Rule("real-time", "ulimits.rtprio", checks.given,
         "lets processes run before all others of the host, despite their CPU limit", "leave it out"),
    Rule("log-driver", "logging.driver", checks.other_than("", "json-file", "local", "journald", "none"),
         "sends the container's logs elsewhere", "use json-file, local, journald or none"),
    Rule("hooks", "post_start", checks.privileged_hooks,
         "gives the hook the whole machine", "leave it out"),
    Rule("hooks", "pre_stop", checks.privileged_hooks,
         "gives the hook the whole machine", "leave it out"),
    Rule("reserved-label", "labels", checks.reserved_labels,
         "identifies containers to the tools that manage them", "use a prefix of your own"),
    Rule("reserved-label", "volumes", mounts.volume_labels,
         "identifies the parts of a stack to the tools that manage it", "use a prefix of your own"),
    *(
        Rule("reserved-label", field, checks.reserved_labels,
             "identifies the parts of a stack to the tools that manage it", "use a prefix of your own", section)
        for section, field in (
            ("services", "deploy.labels"), ("volumes", "labels"), ("networks", "labels"), ("configs", "labels"),
            ("secrets", "labels"),
        )
    ),
    Rule("build", "build", checks.other_than(),
         "builds from a directory of the host", "build the image elsewhere and name it in image"),
    Rule("host-file", "env_file", checks.given,
         "reads a file of the controller", "use spec.envFrom"),
    Rule("host-file", "label_file", checks.given,
         "reads a file of the controller", "use labels"),
    Rule("host-file", "extends", checks.other_than(),
         "reads a file of the controller", "write the service out"),
    Rule("provider", "provider", checks.given,
         "runs a program of the host", "leave it out"),
    Rule("foreign-container", "external_links", checks.given,
         "reaches containers of other stacks", "leave it out"),
    Rule("volume-driver", "driver", checks.other_than("", "local"),
         "is run by a plugin of the engine", "use local", "volumes"),
    Rule("volume-driver", "driver_opts", checks.given,
         "can mount any path of the host", "leave it out", "volumes"),
    Rule("foreign-data", "external", checks.not_kept,
         "is data from outside of the stack", _OWN_DATA, "volumes"),
    Rule("foreign-data", "name", checks.not_kept,
         "may be data from outside of the stack", _OWN_DATA, "volumes"),
    Rule("network-driver", "driver", checks.other_than("", "bridge"),
         "leaves the engine's own networks", "use bridge", "networks"),
    Rule("network-driver", "driver_opts", checks.given,
         "can change the network of the host", "leave it out", "networks"),
    Rule("network-addresses", "ipam", networks.public_subnets,
         "is no private subnet of /16 (IPv6: /48) or smaller, so the host would send what is for others there",
         _OWN_ADDRESSES, "networks"),
    Rule("network-addresses", "ipam", networks.routed_subnets,
         "overlaps with what the host reaches by a route of its own", _OWN_ADDRESSES, "networks"),
    Rule("network-addresses", "ipam", networks.foreign_addresses,
         "does not lie in the subnet beside it", _OWN_ADDRESSES, "networks"),
    Rule("network-addresses", "ipam", networks.unknown_ipam,
         "is not known to be harmless", "leave it out; subnet, ip_range, gateway and aux_addresses are known", "networks"),
    Rule("foreign-network", "external", checks.not_kept,
         "is a network from outside of the stack", _OWN_DATA, "networks"),
    Rule("foreign-network", "name", checks.not_kept,
         "may be a network from outside of the stack", _OWN_DATA, "networks"),
    *(
        rule
        for section in ("configs", "secrets")
        for rule in (
            Rule("relative-file", "file", paths.relative_file,
                 "is relative, so it would be a file of the controller",
                 "write an absolute path, or use content", section),
            Rule("sensitive-path", "file", paths.file_of(Verdict.ENGINE_SOCKET, Verdict.PRIVATE),
                 "holds what belongs to the host or to others", "use content; no --host-path opens it", section),
            Rule("host-path", "file", paths.file_of(Verdict.UNLISTED),
                 "is a path of the host that the operator has not opened", _ASK_OPERATOR, section),
            Rule("unseen-path", "file", paths.file_of(Verdict.UNSEEN),
                 "is not there, or the controller cannot look at it", _LET_LOOK, section),
            Rule("nested-mount", "file", paths.file_of(Verdict.NESTED),
                 "lies in a directory that a container of the stack may write to, and replace it by a link",
                 "mount only one of the two, or the outer one read-only", section),
            Rule("controller-environment", "environment", checks.given,
                 "reads the environment of the controller",
                 "use spec.envFrom and the service's environment", section),
            Rule("foreign-data", "external", checks.given,
                 "is data from outside of the stack", "leave it out", section),
            Rule("foreign-data", "name", checks.given,
                 "may be data from outside of the stack", "leave it out", section),
        )
    ),
)  # fmt: skip

_RESTRICTED: Final = (
    Rule("non-root", "user", limits.root_user,
         "is not the numeric ID of a user other than root", 'set a numeric ID, for example user: "1000:1000"'),
    Rule("non-root", "post_start", checks.hook_users,
         "may be root", "leave it out"),
    Rule("non-root", "pre_stop", checks.hook_users,
         "may be root", "leave it out"),
    Rule("read-only", "read_only", checks.untrue,
         "is not true, so the container can change its own program",
         "set it to true, and use tmpfs for what has to be written"),
    Rule("no-new-privileges", "security_opt", limits.may_gain_privileges,
         "does not have no-new-privileges:true exactly once", "write it once"),
    Rule("drop-capabilities", "cap_drop", limits.keeps_capabilities,
         "lacks ALL", "write cap_drop: [ALL]"),
    Rule("drop-capabilities", "cap_add", checks.items_other_than(("NET_BIND_SERVICE",), checks.capability),
         "is more than a web server needs", "leave it out; NET_BIND_SERVICE is allowed"),
    Rule("resource-limits", "", limits.unset("memory", "pids"),
         "is not set", "set it to what the service needs at most"),
    Rule("resource-limits", "", limits.endless("memory", "pids", "cpus"),
         "is no limit", "set it to what the service needs at most"),
    Rule("resource-limits", "memswap_limit", limits.endless_swap,
         "is no limit", "leave it out, or set it to what the service needs at most"),
    Rule("no-host-paths", "volumes", mounts.host_mounts,
         "is a path of the host", "use a named volume"),
    *(
        Rule("no-host-paths", "file", checks.given, "is a path of the host", "use a config with content", section)
        for section in ("configs", "secrets")
    ),
)  # fmt: skip

_KNOWN: Final = {
    section: fields | {rule.field.partition(".")[0] for rule in _BASELINE if rule.section == section}
    for section, fields in FIELDS.items()
}
_UNKNOWN: Final = (
    *(
        Rule("unknown-field", "", checks.fields_other_than(known), "is not known to be harmless", _DO_WITHOUT, section)
        for section, known in _KNOWN.items()
    ),
    Rule("unknown-field", "", checks.nested_fields_other_than(CLOSED),
         "is no field that Compose has in this place", "look for a mistake in its name"),
)  # fmt: skip

RULES: Final[Mapping[Profile, tuple[Rule, ...]]] = {
    Profile.RESTRICTED: (*_BASELINE, *_UNKNOWN, *_RESTRICTED),
    Profile.BASELINE: (*_BASELINE, *_UNKNOWN),
    Profile.PRIVILEGED: (),
}
"""What each profile refuses."""

ADVICE: Final[tuple[Rule, ...]] = (
    Rule("image", "image", checks.floating_image,
         "can be another image later", "name a version, so that a new one is a rollout that can be undone"),
    Rule("limits", "", limits.unset("memory"),
         "is not set", "set it, so that one service cannot starve the machine"),
    Rule("healthcheck", "healthcheck", checks.unchecked,
         "is missing", "add one, so that it is used when it is ready and not before"),
    Rule("anonymous-volume", "volumes", mounts.anonymous_volumes,
         "gets a new, empty volume with every replica", "name the volume, or use tmpfs"),
)  # fmt: skip
"""What is allowed but not recommended: reported as warnings."""
