"""What the wiring adds to the parts that it picks: files, secrets, the operator's policy, and who is at work."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from pyrage import x25519

import vault_plugins
from reconciler.api import (
    Condition,
    EnvFrom,
    Metadata,
    PermanentError,
    Spec,
    Status,
    VaultError,
    VaultService,
)
from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.api.secret_file import SecretFile
from reconciler.api.traffic import Proxy
from reconciler.api.vaultgateway import GatewaySpec, GatewayStatus, VaultGateway
from reconciler.controller.loop.lease import lease
from reconciler.controller.report.board import Exporter
from reconciler.core.admission import AdmissionError
from reconciler.core.assess.observation import EngineObservation
from reconciler.core.desired.stack import Site
from reconciler.engines.compose.cli import compose_file
from reconciler.engines.compose.engine import ComposeEngine
from reconciler.engines.errors import EngineAwayError
from reconciler.engines.swarm.engine import SwarmEngine
from reconciler.proxy.base import ExporterPlace
from reconciler.proxy.haproxy.containers import gateway_of
from reconciler.proxy.haproxy.front import HAPROXY_USER
from reconciler.proxy.haproxy.gateway.directory import write_slots
from reconciler.sealed import SealedError
from reconciler.sealed.age import encrypt
from reconciler.store.base import Origin
from reconciler.wiring import Application, Options, wire

MOUNTING = """
    from vault_plugins import VaultServicePlugin

    class MountingPlugin(VaultServicePlugin):
        metadata = VaultServicePlugin.Metadata(name="Mounting", slug="mounting", default_port=8080)

        def build_compose(self, env):
            if "REFUSED" in env:
                raise ValueError(f"no use for {env['PASSWORD']}")
            web = {"image": "example/web", "volumes": [env["MOUNT"]] if "MOUNT" in env else []}
            more = {env["MORE"]: {"image": "example/more"}} if "MORE" in env else {}
            return {"services": {"web": web, **more}}

        def get_containers(self):
            return ["web"]
"""

Make = Callable[..., Application]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """An application on a state directory of its own that knows the plugin above."""
    plugin = tmp_path / "plugins" / "mounting" / "plugin.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(dedent(MOUNTING))
    state = tmp_path / "state"
    return lambda **options: wire(Options(state, plugin_path=(tmp_path / "plugins",), **options))


def _service(*files: str, plugin: str = "mounting", **env: str) -> VaultService:
    spec = Spec(plugin=plugin, env=env, env_from=tuple(EnvFrom(file=file) for file in files))
    return VaultService(metadata=Metadata(name="files"), spec=spec)


def _secret(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_an_unknown_plugin_is_answered_with_those_there_are(make: Make) -> None:
    with pytest.raises(PermanentError) as error:
        make().build(_service(plugin="mountin"))
    assert "mounting" in str(error.value)
    assert "whoami" in str(error.value)


def test_settings_files_are_relative_to_the_manifest_and_the_later_wins(make: Make, tmp_path: Path) -> None:
    _secret(tmp_path / "one.env", "PASSWORD=first\nKEY=$kept\n")
    _secret(tmp_path / "two.env", "PASSWORD=second\n")
    application = make()
    stack = application.build(_service("one.env", "two.env"), tmp_path)
    environment = stack.document["services"]["web"]["environment"]
    assert (environment["PASSWORD"], environment["KEY"]) == ("second", "$kept")
    rendered = yaml.safe_load(application.render_compose(stack))
    assert rendered["services"]["web"]["environment"]["KEY"] == "$$kept"


def _sealed(path: Path, text: str, *recipients: x25519.Identity) -> Path:
    path.write_bytes(encrypt(text.encode(), [str(each.to_public()) for each in recipients]))
    return path


@pytest.fixture
def identity(tmp_path: Path) -> x25519.Identity:
    """The operator's key, which is in the file age.key."""
    identity = x25519.Identity.generate()
    _secret(tmp_path / "age.key", f"{identity}\n")
    return identity


def test_the_engine_is_the_one_that_was_chosen_for_the_state_directory(make: Make) -> None:
    assert isinstance(make().engine, ComposeEngine)
    make().choose_engine("swarm")
    assert isinstance(make().engine, SwarmEngine), "also for the next command"
    make().objects.apply(_service(), Origin("apply", "m.yaml", Path("m.yaml"), 1))
    with pytest.raises(
        PermanentError, match="run on engine 'swarm', and 'compose' would run them a second time"
    ):
        make().choose_engine("compose")


def test_an_encrypted_settings_file_is_one_of_them_and_its_values_are_in_no_file(
    make: Make, tmp_path: Path, identity: x25519.Identity
) -> None:
    _sealed(tmp_path / "one.env.age", "PASSWORD=correct-horse\nSIZE=17\n", identity)
    _secret(tmp_path / "two.env", "SIZE=18\nOTHER=plain-words\n")
    application = make(age_keys=(tmp_path / "age.key",))
    stack = application.build(_service("one.env.age", "two.env"), tmp_path)
    environment = stack.document["services"]["web"]["environment"]
    assert (environment["PASSWORD"], environment["SIZE"]) == ("correct-horse", "18")
    assert stack.sealed == ("17", "correct-horse")
    assert "correct-horse" not in application.render_compose(stack)
    assert "plain-words" in application.render_compose(stack)
    assert application.secrets.hide("it is correct-horse") == "it is [secret]"
    with compose_file(replace(stack, site=replace(stack.site, directory=tmp_path))) as file:
        assert (
            yaml.safe_load(file.read_text())["services"]["web"]["environment"]["PASSWORD"] == "correct-horse"
        )
        assert "correct-horse" not in (tmp_path / "compose.yaml").read_text()
    assert not file.exists()


def test_without_its_key_a_spec_that_was_good_is_built_of_what_was_read_last(
    make: Make, tmp_path: Path, identity: x25519.Identity
) -> None:
    path = _sealed(tmp_path / "one.env.age", "PASSWORD=correct-horse\n", identity)
    application, service = make(age_keys=(tmp_path / "age.key",)), _service(str(path))
    good = application.builder.build(service)
    _sealed(path, "PASSWORD=next\n", x25519.Identity.generate())
    with pytest.raises(SealedError, match="no key is here"):
        application.builder.build(service)
    assert application.builder.rebuild(service) == good
    with pytest.raises(SealedError):
        make(age_keys=(tmp_path / "age.key",)).builder.rebuild(service)


def test_the_same_secret_has_the_same_revision_however_it_is_kept(
    make: Make, tmp_path: Path, identity: x25519.Identity
) -> None:
    _sealed(tmp_path / "one.env.age", "PASSWORD=correct-horse\n", identity)
    application = make(age_keys=(tmp_path / "age.key",))
    application.world()
    first = application.build(_service("one.env.age"), tmp_path).revision
    _sealed(tmp_path / "one.env.age", "PASSWORD=correct-horse\n", identity)
    _secret(tmp_path / "two.env", "PASSWORD=correct-horse\n")
    assert first == application.build(_service("one.env.age"), tmp_path).revision
    assert first == application.build(_service("two.env"), tmp_path).revision


def test_secrets_become_files_of_the_workloads_that_need_them(
    make: Make, tmp_path: Path, identity: x25519.Identity
) -> None:
    _sealed(tmp_path / "one.env.age", "PASSWORD=correct-horse\n", identity)
    _sealed(tmp_path / "whole.age", "battery-staple\n", identity)
    secrets = (
        SecretFile(name="password", file="one.env.age", key="PASSWORD"),
        SecretFile(name="whole", file="whole.age", workloads=("more",)),
    )
    service = _service(MORE="more", PASSWORD="none")
    service = service.model_copy(update={"spec": service.spec.model_copy(update={"secrets": secrets})})
    application = make(age_keys=(tmp_path / "age.key",), runtime_dir=tmp_path / "memory")
    application.world()
    located = service.located(tmp_path)
    stack = application.build(located)
    assert [dict(files) for files in stack.secret_files.values()] == [
        {"password": b"correct-horse"},
        {"whole": b"battery-staple\n"},
    ]
    for directory in stack.secret_files:
        assert Path(directory).is_relative_to(tmp_path / "memory")
    text = application.render_compose(stack)
    assert [secret for secret in ("correct-horse", "battery-staple") if secret in text] == []
    assert application.secrets.hide("correct-horse battery-staple") == "[secret] [secret]"
    with pytest.raises(VaultError, match="sensitive-path"):
        application.build(_service(MOUNT=f"{tmp_path}/memory:/data:ro"))
    _sealed(tmp_path / "one.env.age", "PASSWORD=next\n", x25519.Identity.generate())
    with pytest.raises(SealedError):
        application.builder.build(located)
    assert application.builder.rebuild(located) == stack


def test_a_large_file_slows_no_message_down(make: Make, tmp_path: Path, identity: x25519.Identity) -> None:
    for name, text in (("small", "a line of a key\n" * 100), ("large", "a line of a book\n" * 10_000)):
        _sealed(tmp_path / f"{name}.age", text, identity)
    secrets = tuple(SecretFile(name=name, file=str(tmp_path / f"{name}.age")) for name in ("small", "large"))
    application = make(age_keys=(tmp_path / "age.key",), runtime_dir=tmp_path / "memory")
    spec = _service().spec.model_copy(update={"secrets": secrets})
    application.build(_service().model_copy(update={"spec": spec}))
    assert application.secrets.hide("a line of a key, a line of a book") == "[secret], a line of a book"


@pytest.mark.parametrize("name", ["age.key", "state/revision.key", "plain", "link", "/etc/shadow"])
def test_a_plain_file_is_a_secret_only_where_a_container_could_mount_it(
    make: Make, tmp_path: Path, identity: x25519.Identity, name: str
) -> None:
    """Otherwise a manifest would show files of the host, and of the controller, to a container."""
    application = make(age_keys=(tmp_path / "age.key",), runtime_dir=tmp_path / "memory")
    application.world()
    _secret(tmp_path / "plain", "a key\n")
    (tmp_path / "link").symlink_to("/etc/shadow")
    path = tmp_path / name

    def service(key: str | None = None) -> VaultService:
        spec = _service().spec.model_copy(
            update={"secrets": (SecretFile(name="x", file=str(path), key=key),)}
        )
        return _service().model_copy(update={"spec": spec})

    with pytest.raises(
        AdmissionError, match=r"spec\.secrets\[0\]\.file: .* is a plain file that no container may mount"
    ):
        application.build(service())
    opened = make(
        age_keys=(tmp_path / "age.key",), runtime_dir=tmp_path / "memory", host_paths=(tmp_path / "plain",)
    )
    if name != "plain":
        with pytest.raises(AdmissionError):
            opened.build(service())
        return
    assert [*opened.build(service()).secret_files.values()] == [{"x": b"a key\n"}]
    _secret(path, "A=1\n")
    assert [*application.build(service("A")).secret_files.values()] == [{"x": b"1"}], "as with envFrom"
    _sealed(path, "another key\n", identity)
    assert [*application.build(service()).secret_files.values()] == [{"x": b"another key\n"}]


def test_no_container_can_mount_the_keys(make: Make, tmp_path: Path, identity: x25519.Identity) -> None:
    service = _service(MOUNT=f"{tmp_path}:/data:ro")
    with pytest.raises(VaultError, match="sensitive-path"):
        make(age_keys=(tmp_path / "age.key",), host_paths=(tmp_path,)).build(service)


def test_a_settings_file_that_is_missing_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"absent\.env"):
        make().build(_service("absent.env"), tmp_path)


def test_a_secret_that_a_plugin_repeats_stays_out_of_the_error(make: Make, tmp_path: Path) -> None:
    _secret(tmp_path / "secrets.env", "PASSWORD=correct-horse\n")
    with pytest.raises(PermanentError) as error:
        make().build(_service("secrets.env", REFUSED="1"), tmp_path)
    assert "no use for" in str(error.value)
    assert "correct-horse" not in str(error.value)


def test_what_a_mounted_file_says_is_part_of_the_revision(make: Make, tmp_path: Path) -> None:
    config = tmp_path / "web.conf"
    service = _service(MOUNT=f"{config}:/etc/web.conf:ro")
    revisions = []
    for text in ("one", "two", "one"):
        config.write_text(text)
        revisions.append(make(read_only_host_paths=(tmp_path,)).build(service).revision)
    assert revisions[0] == revisions[2] != revisions[1]


def test_a_writable_mount_is_for_the_operator_to_allow(make: Make, tmp_path: Path) -> None:
    service = _service(MOUNT=f"{tmp_path}/data:/data")
    with pytest.raises(VaultError, match=r"services\.web\.volumes"):
        make().build(service)
    allowing = make(host_paths=(tmp_path / "data",))
    with pytest.raises(VaultError, match=r"is not there.*unseen-path"):
        allowing.build(service)
    (tmp_path / "data").mkdir()
    allowing.build(service)


def test_the_roots_that_all_have_can_be_closed(make: Make) -> None:
    service = _service(MOUNT="/srv:/data:ro")
    make().build(service)
    with pytest.raises(VaultError, match=r"\(host-path\)"):
        make(default_host_paths=False).build(service)


def test_the_directories_of_plugins_are_for_no_container(make: Make, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    plugins = Path(vault_plugins.__path__[0])
    with pytest.raises(VaultError, match=r"\(sensitive-path\)"):
        make(host_paths=(plugins.parent,)).build(_service(MOUNT=f"{plugins}:/data"))


def test_the_state_directory_is_for_no_container(make: Make, tmp_path: Path) -> None:
    """Not even to look at, and not under another name."""
    (tmp_path / "state").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "state")
    for path in (tmp_path / "state", tmp_path / "alias", tmp_path):
        with pytest.raises(VaultError, match=r"services\.web\.volumes"):
            make(host_paths=(tmp_path,)).build(_service(MOUNT=f"{path}:/data:ro"))


def test_the_directories_of_the_engine_are_for_no_container(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "docker" / "volumes").mkdir(parents=True)
    (tmp_path / "data" / "films").mkdir()

    def away(_: ComposeEngine) -> tuple[str, ...]:
        raise EngineAwayError("the engine does not answer")

    monkeypatch.setattr(ComposeEngine, "directories", away)
    application = make(host_paths=(tmp_path,))
    assert application.build(_service(MOUNT=f"{tmp_path}/data:/x")), "without an engine its root is not known"
    with pytest.raises(EngineAwayError):
        application.world().build(_service(MOUNT=f"{tmp_path}/data:/x"))

    root = str(tmp_path / "data" / "docker")
    monkeypatch.setattr(ComposeEngine, "directories", lambda _: (root,))
    for build in (application.build, application.world().build, make(host_paths=(tmp_path,)).build):
        for path in ("data", "data/docker", "data/docker/volumes"):
            with pytest.raises(PermanentError, match="sensitive-path"):
                build(_service(MOUNT=f"{tmp_path}/{path}:/x:ro"))
        assert build(_service(MOUNT=f"{tmp_path}/data/films:/x"))


def test_files_are_shared_with_the_user_that_haproxy_runs_as(make: Make) -> None:
    site = make().builder.site("files")
    assert site.uid == (HAPROXY_USER if os.geteuid() == 0 else os.geteuid())


def test_root_opens_the_sockets_of_a_haproxy_that_opens_a_port_of_the_host(make: Make) -> None:
    on_host, published = (
        make().build(
            _service().model_copy(update={"spec": _service().spec.model_copy(update={"proxy": proxy})})
        )
        for proxy in (Proxy(network="host"), Proxy())
    )
    assert (on_host.site.starter, published.site.starter) == (0, None)
    # What one user has left there, the other one could not replace.
    assert on_host.site.run != published.site.run
    assert on_host.site.uid == published.site.uid


def test_a_name_that_leaves_the_state_directory_is_refused(make: Make) -> None:
    with pytest.raises(PermanentError, match="cannot be the name"):
        make().builder.site("../elsewhere")


def test_a_controller_is_running_as_long_as_it_holds_its_lease(make: Make, tmp_path: Path) -> None:
    application = make()
    assert not application.controller_is_running()
    with lease(tmp_path / "state" / "controller.lock"):
        assert application.controller_is_running()
    assert not application.controller_is_running()


MISUSING = """
    from vault_plugins import VaultServicePlugin

    class MisusingPlugin(VaultServicePlugin):
        metadata = VaultServicePlugin.Metadata(name="Misusing", slug="misusing", default_port=8080)

        def use(self, env, place):
            if env["AT"] == place:
                int(env["TOKEN"])

        def build_compose(self, env):
            self.at, self.token = env["AT"], env["TOKEN"]
            self.use(env, "build_compose")
            return {"services": {"web": {"image": "example/web"}}}

        def get_containers(self):
            self.use({"AT": self.at, "TOKEN": self.token}, "get_containers")
            return ["web"]

        def resolve_port(self, env):
            self.use(env, "resolve_port")
            return env["TOKEN"] if env["AT"] == "port" else 8080

        def resolve_replicas(self, env):
            self.use(env, "resolve_replicas")
            return env["TOKEN"] if env["AT"] == "replicas" else 1

        def resolve_healthcheck(self, env):
            self.use(env, "resolve_healthcheck")
            return super().resolve_healthcheck(env)
"""


@pytest.mark.parametrize("secret", ["correct-horse", "x" * 299 + "correct-horse"])
@pytest.mark.parametrize(
    "place",
    [
        "build_compose",
        "get_containers",
        "resolve_port",
        "resolve_replicas",
        "resolve_healthcheck",
        "port",
        "replicas",
    ],
)
def test_wherever_a_plugin_takes_a_secret_for_a_number_only_the_plugin_is_told(
    place: str, secret: str, make: Make, tmp_path: Path
) -> None:
    plugin = tmp_path / "plugins" / "misusing" / "plugin.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(dedent(MISUSING))
    _secret(tmp_path / "secrets.env", f"TOKEN={secret}\n")
    with pytest.raises(PermanentError, match="misusing") as error:
        make().build(_service("secrets.env", plugin="misusing", AT=place), tmp_path)
    told = "".join(traceback.format_exception(error.value))
    assert "correct-horse" not in told
    assert "xxxxxxxxxxxxxxxx" not in told


def test_what_is_stored_and_logged_hides_the_secrets_that_were_met(make: Make, tmp_path: Path) -> None:
    """One border for all that is told, whatever wrote the text."""
    _secret(tmp_path / "secrets.env", "PASSWORD=correct-horse\n")
    application, now = make(), datetime.now(UTC)
    service = _service("secrets.env")
    application.build(service, tmp_path)
    words = "FATAL: postgres://app:correct-horse@db"
    origin = Origin("apply", "m.yaml", tmp_path / "m.yaml", 1)
    application.objects.apply(service, origin)
    application.history.record_event("files", "Warning", "ReplicaDied", words, now)
    application.history.record_death("files", "web", "v1-a", now, words)
    application.objects.mark_problem("files", words)
    condition = Condition(
        type="Degraded", status="True", reason="RolledBack", message=words, last_transition_time=now
    )
    application.objects.put_status("files", Status(conditions=(condition,)))
    stored = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
    assert b"correct-horse" not in stored
    assert b"postgres://app:[secret]@db" in stored
    assert "postgres://app:[secret]@db" in application.history.events("files")[0].message


def test_revisions_have_a_key_as_soon_as_a_controller_works(make: Make, tmp_path: Path) -> None:
    """A look makes none. What ran before is accepted, and its rollout is recognised."""
    service = _service()
    before = make().build(service)
    assert before.revision.startswith("v1-")
    assert not (tmp_path / "state").exists()
    application = make()
    application.world()
    after, again = application.build(service), make().build(service)
    assert after.revision.startswith("v2-")
    assert after.revision == again.revision
    assert after.revisions == {before.revision, after.revision}
    assert all(new.accepts(old.revision) for old, new in zip(before.workloads, after.workloads, strict=True))


def test_a_lost_key_is_told(make: Make, tmp_path: Path) -> None:
    now, application = datetime.now(UTC), make()
    assert not application.has_lost_key()
    world = application.world()
    application.objects.apply(_service(), Origin("apply", "m.yaml", tmp_path / "m.yaml", 1))
    revision = application.build(_service()).revision
    world.records.open_revision("files", revision, "{}", "spec", "", now)
    assert not make().has_lost_key()
    (tmp_path / "state" / "revision.key").unlink()
    assert make().has_lost_key()
    make().world()
    assert [event.reason for event in make().history.events("")] == ["RevisionKeyLost"]
    assert not make().has_lost_key()


@pytest.mark.parametrize(
    ("bind", "expected"),
    [("", "8080:8080"), ("127.0.0.1", "127.0.0.1:8080:8080"), ("::1", "[::1]:8080:8080")],
)
def test_ports_are_published_on_the_operators_address_and_replace_no_gateway(
    make: Make, bind: str, expected: str
) -> None:
    service = _service()
    bound, default = make(bind=bind).build(service), make().build(service)
    assert bound.document["services"]["gateway"]["ports"] == [expected]
    assert gateway_of(bound).revision == gateway_of(default).revision


def test_which_image_runs_as_haproxy_is_the_operators_choice(make: Make) -> None:
    service = _service()
    spec = service.spec.model_copy(
        update={"proxy": service.spec.proxy.model_copy(update={"image": "registry.example/haproxy:3.0"})}
    )
    service = service.model_copy(update={"spec": spec})
    with pytest.raises(
        VaultError, match=r"spec\.proxy\.image .*--proxy-image registry\.example/haproxy:3\.0"
    ):
        make().build(service)
    make(proxy_images=("registry.example/*",)).build(service)


def test_container_names_of_a_service_that_was_first_are_kept(make: Make, tmp_path: Path) -> None:
    application = make()
    service = _service()
    other = service.model_copy(update={"metadata": Metadata(name=f"{service.name}-side")})
    application.objects.apply(other, Origin("apply", "test", tmp_path / "m.yaml", 1, ""))
    with pytest.raises(VaultError, match=rf"names of service '{service.name}-side'.*foreign-name"):
        application.build(_service(MORE="side-car"))
    application.build(_service(MORE="other-car"))


def test_passes_of_both_kinds_ask_which_host_names_are_permitted(make: Make) -> None:
    application = make(allow_hostnames=("*.example.org",))
    assert application.permits("files", "app.example.org")
    assert not application.permits("files", "bank.test")
    assert make().permits("files", "bank.test")

    spec = {"plugin": "mounting", "route": {"hostnames": ["bank.test"]}}
    service = VaultService.model_validate({"metadata": {"name": "files"}, "spec": spec})
    routed = application.build(service).routed
    assert routed is not None
    assert [each.why.value for each in routed.refusals] == ["HostnameNotPermitted"]


def test_objects_of_a_former_release_are_copied_before_the_first_pass(make: Make) -> None:
    application = make()
    objects = application.objects
    for name in ("files", "wiki"):
        service = _service()
        renamed = service.model_copy(update={"metadata": Metadata(name=name)})
        objects.apply(renamed, Origin("apply", "/", Path("/x.yaml"), 1))
        (objects.directory(name) / "object.copy.json").unlink()
    (objects.directory("wiki") / "object.json").write_text("{")
    application.world()
    assert objects.kept("files") == objects.get("files")
    assert objects.kept("wiki") is None


def test_new_certificates_wake_their_gateway(make: Make) -> None:
    application = make()
    controller = application.controller()
    application.keepers._changed("edge")
    assert {queue.name: queue.depth for queue in controller.queues() if queue.depth} == {"vaultgateway": 1}


def test_what_only_gateways_need_is_imported_for_the_first_one(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from reconciler.wiring import Options, wire; "
        f"wire(Options(Path({str(tmp_path)!r}) / 'state')).controller(); "
        "print([name for name in sys.modules if name.startswith(('reconciler.certificates', "
        "'reconciler.proxy.haproxy.gateway', 'reconciler.api.vaultgateway'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_only_policies_of_images_and_agents_need_is_imported_for_the_first_one(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from reconciler.wiring import Options, wire; "
        f"application = wire(Options(Path({str(tmp_path)!r}) / 'state')); application.controller(); "
        "application.image_updates(pushes=True).look(); assert application.agent_snapshots() == (); "
        "print([name for name in sys.modules if name.startswith(('requests', 'reconciler.registry', 'ruamel', "
        "'reconciler.proxy.remote'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_agents_are_told_once_there_is_one(make: Make) -> None:
    application = make()
    application.agents.agents.invite("node2", "127.0.0.1:8443", "pin")
    assert [each.node for each in application.agent_snapshots()] == ["node2"]


def test_metrics_of_other_nodes_are_those_that_a_pass_has_seen(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = make()
    gateway = VaultGateway(metadata=Metadata(name="main"), spec=GatewaySpec(node_selector={}))
    stored = application.objects.of(VAULT_GATEWAY).apply(
        gateway, Origin("apply", "m.yaml", Path("m.yaml"), 1)
    )
    site = application._gateway_sites()["main"]
    write_slots(site, (1, 2), {2: "b"})
    told: list[str] = []
    monkeypatch.setattr(application.engine, "observe", lambda stack: EngineObservation(()))
    assert list(application.gateway_exporters(told.append)) == [Exporter("vaultgateway/main", 2, "", "b")]
    assert told == []

    asked: list[tuple[Site, int]] = []

    def reach(site: Site, slot: int, seconds: float) -> Any:
        asked.append((site, slot))
        return SimpleNamespace(metrics=lambda: "a 1\n")

    application.__dict__["reach"] = reach
    with pytest.raises(LookupError):
        application.relayed_metrics("main", 2)
    places = [ExporterPlace(1, "10.0.0.2:1841"), ExporterPlace(2, node="b")]
    application.gateway_board.saw(
        stored, GatewayStatus(), routes=(), certificates=(), spare_pools={}, exporters=places
    )
    for gateway_name, slot in (("main", 1), ("main", 3), ("other", 2)):
        with pytest.raises(LookupError):
            application.relayed_metrics(gateway_name, slot)
    assert (application.relayed_metrics("main", 2), asked) == ("a 1\n", [(site, 2)])


def test_a_controller_that_stands_by_tells_prometheus_of_no_proxy(make: Make) -> None:
    application = make()
    stored = application.objects.of(VAULT_GATEWAY).apply(
        VaultGateway(metadata=Metadata(name="main"), spec=GatewaySpec()),
        Origin("apply", "m.yaml", Path("m.yaml"), 1),
    )
    places = [ExporterPlace(1, "10.0.0.2:1841")]
    application.gateway_board.saw(
        stored, GatewayStatus(), routes=(), certificates=(), spare_pools={}, exporters=places
    )
    assert [each.slot for each in application.exporters()] == [1]
    application.__dict__["election"] = SimpleNamespace(acts=False)
    assert application.exporters() == ()
