"""Actions: a preview that changes nothing, a confirmation that does what was shown, and who may ask for which."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.kinds import VAULT_GATEWAY
from reconciler.web.ui.actions import OF_GATEWAYS, OF_SERVICES
from tests.web.ui.people import Browser, House

MANIFEST = """\
apiVersion: vault.internal/v1alpha1
kind: VaultService
metadata: {name: files}
spec:
  plugin: whoami   # a comment that stays
  replicas: 2
  ports: {http: 8120}
"""


@pytest.fixture
def files(home: House, tmp_path: Path) -> House:
    """A service in a file of its own."""
    home.apply(MANIFEST, path=tmp_path / "files.yaml")
    return home


def spec(home: House) -> Any:
    stored = home.application.objects.get("files")
    assert stored is not None
    return stored.resource.spec


def hidden(text: str) -> dict[str, str]:
    """The hidden fields of the last form of a page."""
    form = text.rpartition("<form")[2]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


def preview(browser: Browser, action: str, **fields: str) -> Any:
    return browser.send(f"/service/files/do/{action}", "/", **fields)


def confirm(browser: Browser, action: str, shown: Any) -> Any:
    return browser.post(f"/service/files/do/{action}", data=hidden(shown.text))


def lines_of(home: House) -> list[dict[str, Any]]:
    lines = map(json.loads, (home.state / "audit.jsonl").read_text().splitlines())
    return [each for each in lines if each["verb"] not in ("login", "logout")]


def test_scaling_is_shown_then_done_and_the_comment_stays(files: House, tmp_path: Path) -> None:
    browser = files.browser("edit")
    assert 'value="2"' in browser.get("/service/files/do/scale").text
    shown = preview(browser, "scale", replicas="5")
    assert (
        '<span class="removed">-  replicas: 2</span><span class="added">+  replicas: 5</span>' in shown.text
    )
    assert spec(files).replicas == 2
    assert lines_of(files) == []
    done = confirm(browser, "scale", shown)
    assert done.status_code == 200
    assert spec(files).replicas == 5
    assert (tmp_path / "files.yaml").read_text() == MANIFEST.replace("replicas: 2", "replicas: 5")
    asked, answered = lines_of(files)
    assert (asked["user"], asked["verb"], asked["name"], asked["stage"]) == (
        "edit",
        "scale",
        "files",
        "asked",
    )
    assert (answered["stage"], answered["code"], answered["fields"]) == ("done", 200, ["replicas"])


@pytest.mark.parametrize("action", [key for key, each in OF_SERVICES.items() if not each.inputs])
def test_each_action_without_a_question_has_a_preview_at_once(files: House, action: str) -> None:
    browser = files.browser("admin")
    shown = browser.get(f"/service/files/do/{action}")
    assert shown.status_code == 200
    if 'name="confirm"' in shown.text:
        assert confirm(browser, action, shown).status_code == 200
        assert len(lines_of(files)) == 2
    else:
        assert "nothing to change" in shown.text


def test_a_restart_is_the_moment_that_was_shown(files: House) -> None:
    browser = files.browser("edit")
    shown = browser.get("/service/files/do/restart")
    confirm(browser, "restart", shown)
    moment = spec(files).restarted_at
    assert moment is not None
    # The same confirmation again, as with the key for reloading.
    assert confirm(browser, "restart", shown).status_code == 409
    assert spec(files).restarted_at == moment


def test_two_people_who_edit_the_same_field_both_see_it(files: House) -> None:
    one, other = files.browser("edit"), files.browser("admin")
    first, second = preview(one, "scale", replicas="5"), preview(other, "scale", replicas="3")
    assert confirm(one, "scale", first).status_code == 200
    late = confirm(other, "scale", second)
    assert late.status_code == 409
    assert "has changed since this preview" in late.text
    assert '<span class="removed">-  replicas: 5</span><span class="added">+  replicas: 3</span>' in late.text
    assert spec(files).replicas == 5
    # What is shown now can be confirmed.
    assert confirm(other, "scale", late).status_code == 200
    assert spec(files).replicas == 3


def test_a_confirmation_is_for_one_session_one_service_and_these_values(files: House) -> None:
    browser, other = files.browser("edit"), files.browser("edit")
    fields = hidden(preview(browser, "scale", replicas="5").text)
    for who, changed in (
        (browser, {"replicas": "50"}),
        (browser, {"confirm": fields["confirm"][:-2] + "xx"}),
        (browser, {"confirm": ""}),
        (other, {"token": other.token("/")}),
    ):
        answer = who.post("/service/files/do/scale", data={**fields, **changed})
        assert answer.status_code == 409
    assert browser.post("/service/files/do/restart", data=fields).status_code == 409
    assert spec(files).replicas == 2


def test_a_field_is_set_and_a_mistake_is_named_in_the_form(files: House) -> None:
    browser = files.browser("edit")
    shown = preview(browser, "set", field="env.LOG_LEVEL", value="debug")
    assert confirm(browser, "set", shown).status_code == 200
    assert spec(files).env == {"LOG_LEVEL": "debug"}
    for field, value, said in (
        ("replicas", "many", "replicas"),
        ("a..b", "1", "is no field"),
        ("nonsense", "1", "nonsense"),
        ("compose.file", "/etc/passwd", "compose"),
    ):
        answer = preview(browser, "set", field=field, value=value)
        assert answer.status_code == 409
        assert said in answer.text
        assert f'value="{field}"' in answer.text
    # No value of a setting is in the audit log.
    assert "debug" not in (files.state / "audit.jsonl").read_text()


def test_an_undo_goes_back_to_a_revision(files: House) -> None:
    history = files.application.history
    for number, level in enumerate(("info", "debug"), 1):
        text = json.dumps({"plugin": "whoami", "env": {"LEVEL": level}})
        opened = history.open_revision("files", f"v2-{number}", text, "spec", "", files.site.now())
        history.finish_revision("files", opened, "Complete", files.site.now())
    browser = files.browser("edit")
    assert 'href="/service/files/do/undo?revision=1"' in browser.get("/service/files").text
    assert 'value="1"' in browser.get("/service/files/do/undo?revision=1").text
    shown = preview(browser, "undo", revision="1")
    assert "LEVEL" in shown.text
    confirm(browser, "undo", shown)
    assert spec(files).env["LEVEL"] == "info"
    assert preview(browser, "undo", revision="99").status_code == 409


def test_rotation_is_switched_on_changed_and_off(files: House, tmp_path: Path) -> None:
    browser = files.browser("edit")
    assert "Rotation off" not in browser.get("/service/files").text
    for interval in ("10m", "1h30m"):
        shown = preview(browser, "rotate-every", interval=interval)
        assert f"interval: {interval}" in shown.text
        assert confirm(browser, "rotate-every", shown).status_code == 200
        assert f'value="{interval}"' in browser.get("/service/files/do/rotate-every").text
    assert spec(files).rotation.interval == 5400
    assert "Rotation off" in browser.get("/service/files").text
    confirm(browser, "rotate-never", browser.get("/service/files/do/rotate-never"))
    assert spec(files).rotation is None
    assert (tmp_path / "files.yaml").read_text() == MANIFEST
    for mistake in ("", "soon", "0s", "-1m", "1m\nreplicas: 9"):
        answer = preview(browser, "rotate-every", interval=mistake)
        assert answer.status_code == 409
        assert "interval" in answer.text
    assert spec(files).rotation is None


GATEWAY = """\
apiVersion: vault.internal/v1alpha1
kind: VaultGateway
metadata: {name: files}
spec: {listeners: [{name: web, protocol: HTTP, port: 8190}]}
"""


def test_a_gateway_is_suspended_changed_and_deleted(files: House, tmp_path: Path) -> None:
    """It has the name of a service, and neither is mistaken for the other."""
    files.apply(GATEWAY, path=tmp_path / "gateway.yaml")
    browser, gateways = files.browser("edit"), files.application.objects.of(VAULT_GATEWAY)

    def send(path: str, **fields: str) -> Any:
        shown = browser.send(f"/gateway/files/do/{path}", "/", **fields)
        return browser.post(f"/gateway/files/do/{path}", data=hidden(shown.text))

    assert send("suspend").status_code == 200
    assert gateways.get("files").resource.spec.suspend  # type: ignore[union-attr]
    assert not spec(files).suspend
    page = browser.get("/gateway/files").text
    assert 'href="/gateway/files/do/resume"' in page
    assert "listeners" in page
    assert send("set", field="accessLog", value="true").status_code == 200
    assert gateways.get("files").resource.spec.access_log  # type: ignore[union-attr]
    assert send("scale", replicas="3").status_code == 404
    # What was confirmed for the gateway confirms nothing for the service.
    shown = browser.send("/gateway/files/do/resume", "/")
    token = files.site.visitors.signing.read("confirm", hidden(shown.text)["confirm"], 60.0)
    assert token["of"][1] == "/gateway/files"
    assert browser.post("/service/files/do/resume", data=hidden(shown.text)).status_code == 409
    assert browser.send("/gateway/files/delete", "/", typed="files").status_code == 303
    assert gateways.get("files").deletion is not None  # type: ignore[union-attr]
    assert files.application.objects.get("files").deletion is None  # type: ignore[union-attr]
    assert {each["resource"] for each in lines_of(files)} == {"vaultgateways"}


def test_a_viewer_changes_no_gateway(files: House, tmp_path: Path) -> None:
    files.apply(GATEWAY, path=tmp_path / "gateway.yaml")
    viewer = files.browser("view")
    assert "/do/" not in viewer.get("/gateway/files").text
    for action in OF_GATEWAYS:
        assert viewer.get(f"/gateway/files/do/{action}").status_code == 403
        assert viewer.send(f"/gateway/files/do/{action}", "/").status_code == 403
    assert viewer.send("/gateway/files/delete", "/", typed="files").status_code == 403
    assert lines_of(files) == []
    assert viewer.get("/gateway/nothing").status_code == 404


def test_a_deletion_needs_the_name(files: House) -> None:
    browser = files.browser("edit")
    assert browser.send("/service/files/delete", "/", typed="file").status_code == 409
    stored = files.application.objects.get("files")
    assert stored is not None
    assert stored.deletion is None
    assert browser.send("/service/files/delete", "/", typed="files").status_code == 303
    stored = files.application.objects.get("files")
    assert stored is not None
    assert stored.deletion is not None
    assert not stored.deletion.volumes
    assert [each["verb"] for each in lines_of(files)] == ["delete", "delete"]


def test_what_a_source_would_make_again_is_not_deleted(home: House, tmp_path: Path) -> None:
    home.apply(MANIFEST, "directory", tmp_path / "files.yaml")
    answer = home.browser("edit").send("/service/files/delete", "/", typed="files")
    assert answer.status_code == 409
    assert "would make it again" in answer.text


def test_a_viewer_can_do_nothing_by_any_request(files: House) -> None:
    viewer, editor = files.browser("view"), files.browser("edit")
    page = viewer.get("/service/files").text
    assert "/do/" not in page
    assert "/delete" not in page
    fields = hidden(preview(editor, "scale", replicas="5").text)
    for action in OF_SERVICES:
        path = f"/service/files/do/{action}"
        assert viewer.get(path).status_code == 403
        assert viewer.send(path, "/", replicas="5").status_code == 403
        assert viewer.post(path, data={**fields, "token": viewer.token("/")}).status_code == 403
    assert viewer.get("/service/files/delete").status_code == 403
    assert viewer.send("/service/files/delete", "/", typed="files").status_code == 403
    assert spec(files).replicas == 2
    assert lines_of(files) == []


@pytest.mark.parametrize("token", ["", "x", None])
def test_a_form_of_another_site_does_nothing(files: House, token: str | None) -> None:
    """Another site can make the browser send a form with its cookies, but knows no token."""
    browser = files.browser("admin")
    shown = preview(browser, "scale", replicas="5")
    fields = hidden(shown.text)
    fields["token"] = files.browser("view").token("/") if token is None else token
    for path, data in (
        ("/service/files/do/scale", fields),
        ("/service/files/do/scale", {**fields, "replicas": "4", "confirm": ""}),
        ("/service/files/delete", {"token": fields["token"], "typed": "files"}),
        ("/logout", {"token": fields["token"]}),
        ("/logout-everywhere", {"token": fields["token"]}),
    ):
        assert browser.post(path, data=data).status_code == 403
    # Nor does a form in another shape, which needs no question to the server first.
    plain = browser.post(
        "/service/files/delete", content="typed=files", headers={"content-type": "text/plain"}
    )
    assert plain.status_code == 400
    assert spec(files).replicas == 2
    assert browser.get("/").status_code == 200


def test_no_get_changes_anything(files: House) -> None:
    browser = files.browser("admin")
    for path in ("/logout", "/logout-everywhere"):
        assert browser.get(path).status_code == 405
    shown = hidden(preview(browser, "scale", replicas="5").text)
    browser.get("/service/files/do/scale", params=shown)
    browser.get("/service/files/delete", params={"typed": "files"})
    assert spec(files).replicas == 2
    assert lines_of(files) == []


def git(where: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=where, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_in_a_repository_it_is_a_commit_of_that_person(home: House, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet", "--initial-branch=main")
    (repository / "files.yaml").write_text(MANIFEST)
    git(repository, "add", ".")
    git(repository, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "--message=begin")
    home.apply(MANIFEST, "directory", repository / "files.yaml")
    browser = home.browser("edit")
    done = confirm(browser, "scale", preview(browser, "scale", replicas="5"))
    said = git(repository, "log", "-1", "--format=%an <%ae> %cn: %s")
    assert said == "edit <edit@localhost> vault-reconciler: scale(files): replicas 2 -> 5"
    assert git(repository, "rev-list", "--count", "HEAD") == "2"
    commit = git(repository, "rev-parse", "HEAD")[:8]
    assert commit in done.text
    assert lines_of(home)[-1]["commit"] == commit
