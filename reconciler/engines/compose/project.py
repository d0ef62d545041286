"""Reads Compose files by `docker compose config`, so that each is read as Compose itself reads it.

Compose gets copies of the checked files, no variable of the controller, and no way to fetch a file. A result is kept until
one of the files changes, since every pass asks for it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from reconciler.api.compose_file import ComposeFile
from reconciler.api.errors import ManifestError, PermanentError, Problem
from reconciler.core.compose.mounts import read_mounts
from reconciler.core.compose.project import VARIABLES, Project
from reconciler.core.compose.shape import escaped
from reconciler.core.compose.source_text import steps_of
from reconciler.core.desired.revision import digest
from reconciler.core.redaction import redacted
from reconciler.engines.compose.project_files import (
    ENV,
    Expand,
    ProjectFiles,
    Stamp,
    collect,
    collect_inline,
    content_below,
    stamp,
)
from reconciler.engines.errors import EngineError

SECONDS: Final = 30
"""For one call of Compose, which takes 0.1 s."""
MAX_OUTPUT: Final = 8 * 2**20
MAX_KEPT: Final = 512
MAX_WARNINGS: Final = 20

INLINE: Final = "spec.compose.inline"
OVERRIDES: Final = tuple(
    f"{name}.override.{suffix}" for name in ("compose", "docker-compose") for suffix in ("yaml", "yml")
)
DECLARED: Final = ".vault-variables.env"
ASKED: Final = ".vault-variables.yaml"
PROBE: Final = ".vault-probe"
ABOVE: Final = 32
"""Directories above the copies: so many `..` too many lead to the root of the file system, as they do there."""

_WARNING: Final = re.compile(r'level=warning msg="((?:[^"\\]|\\.)*)"')
_PLACE: Final = re.compile(r"\b(services|networks|volumes|configs|secrets)\.[\w.-]+|service \"([^\"]+)\"")
_NAMED_TWICE: Final = re.compile(r"can't set (container_name) and ([\w.-]+)")
_UNKNOWN: Final = re.compile(r"Additional property (\S+) is not allowed")
_VALIDATING: Final = re.compile(r"^validating \S+: ")
_OBSOLETE: Final = "`version` is obsolete"
_NO_NAME: Final = re.compile(r"[^a-z0-9_-]")
_PROJECT_NAME: Final = re.compile(
    r"^[ \t]*(?:export[ \t]+)?COMPOSE_PROJECT_NAME[ \t]*=[ \t]*[\"']?([\w-]+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A result, the files that it depends on, and those that containers of it mount."""

    project: Project
    stamps: Mapping[Path, Stamp]
    mounted: frozenset[Path]


@dataclass
class ComposeProjects:
    """Compose files of services, as Compose reads them. Threads may share it.

    `environ` is the environment of this process, of which Compose gets nothing: it says where the programs are. No
    container can mount a file below `state`, such as one of a commit: the text of those that one mounts is read instead.
    """

    environ: Mapping[str, str]
    state: Path | None = None
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, project: str, compose: ComposeFile, variables: Mapping[str, str], base: Path) -> Project:
        """The project of this name that a Compose file comes to. `variables` win over its `.env`; `base` is where a
        relative path begins. Raises ManifestError with file and line, EngineError when Compose cannot be run.
        """
        file = None if compose.file is None else (base / compose.file).absolute()
        key = digest(
            [project, str(file), compose.inline, sorted(compose.profiles), sorted(variables.items())]
        )
        with self._lock:
            kept = self._kept.get(key)
        if kept and all(stamp(path) == before for path, before in kept.stamps.items()):
            return kept.project
        try:
            with tempfile.TemporaryDirectory(prefix="vault-compose-") as root:
                reading = _Reading(self.environ, Path(os.path.realpath(root)), project, compose, variables)
                made = reading.read(file)
        except OSError as error:
            raise EngineError(f"a copy of a Compose file cannot be written: {error.strerror}") from error
        if self.state and file and file.is_relative_to(self.state):
            made = _with_files(made, file.parent)
        with self._lock:
            while len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = made
        return made.project

    def stamps(self) -> Mapping[Path, Stamp]:
        """What the files are now that were read or are mounted; it differs after one of them has changed."""
        with self._lock:
            paths = {path for kept in self._kept.values() for path in (*kept.stamps, *kept.mounted)}
        return {path: stamp(path) for path in paths}


@dataclass
class _Reading:
    """One reading of one Compose file; `root` is a private directory, in which each copy has the path of its original, so
    that a path with `..` leads to the right place, too.
    """

    environ: Mapping[str, str]
    root: Path
    project: str
    compose: ComposeFile
    variables: Mapping[str, str]

    def __post_init__(self) -> None:
        step = f"/{secrets.token_hex(4)}"
        self._copies = re.compile(f"{re.escape(str(self.root))}((?:{step}){{0,{ABOVE}}})(?=(/?))")
        self._step = len(step)
        self.root = Path(f"{self.root}{step * ABOVE}")
        self.root.mkdir(parents=True)
        self.stage = self.root

    def read(self, file: Path | None) -> _Kept:
        hidden = set(self.variables.values())
        try:
            if file is None:
                files = collect_inline(self.compose.inline or "", Path(INLINE))
            else:
                self.stage = self.root / str(file.parent).lstrip("/")
                self.stage.mkdir(parents=True, exist_ok=True)
                files = collect(file.parent, file.name, self._expand, self.stage)
            hidden |= files.secrets
            return self._read(files, file)
        except (ManifestError, EngineError) as error:
            if isinstance(error, ManifestError):
                raise ManifestError(
                    replace(each, message=redacted(each.message, hidden)) for each in error.problems
                ) from None
            raise EngineError(redacted(str(error), hidden)) from None

    def _read(self, files: ProjectFiles, file: Path | None) -> _Kept:
        for name in (*files.contents, *files.sources):
            path = self.stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files.text_of(name))
        self._write_declared()
        more = self._ask_for({each for source in files.sources.values() for each in source.variables})
        output, said = self._config(files, self.stage / files.main, *more)
        directory = None if file is None else file.parent
        document = json.loads(self._as_there(output, directory))
        asked = document.get(VARIABLES) or {}
        document[VARIABLES] = {
            name: text[1:] if text.startswith("=") else None for name, text in asked.items()
        }
        warnings = [self._as_there(each, directory) for each in _warnings(said)]
        warnings += _not_read(files) if file else []
        places: dict[str, str] = {}

        def place_of(place: str) -> str:
            if place not in places:
                path, line = files.written(steps_of(place))
                places[place] = f"{path}:{line}" if line else ""
            return places[place]

        return _Kept(
            Project(
                name=self.project,
                document=document,
                directory=directory,
                warnings=tuple(warnings[:MAX_WARNINGS]),
                secrets=frozenset(files.secrets),
                place_of=place_of,
                image_prefix=_image_prefix(files, self._expand),
            ),
            files.stamps,
            frozenset(_mounted(document)),
        )

    def _as_there(self, text: str, directory: Path | None) -> str:
        """A text about the copies, as one about the files themselves; for a text that is no file, paths are relative."""

        def original(found: re.Match[str]) -> str:
            if directory:
                return "" if found[2] else "/"
            return "/".join([".."] * (ABOVE - len(found[1]) // self._step)) or "."

        return self._copies.sub(original, text)

    def _expand(self, beside: Mapping[str, bytes], texts: Sequence[str]) -> Sequence[str]:
        """What Compose makes of texts with variables."""
        probe = self.root / PROBE
        probe.mkdir()
        for name, content in beside.items():
            (probe / name).write_bytes(content)
        self._write_declared()
        file = probe / "compose.yaml"
        file.write_text(json.dumps({"services": {"probe": {"image": "probe"}}, VARIABLES: list(texts)}))
        try:
            output, _ = self._run(file, env_files=[*(probe / name for name in beside), self.root / DECLARED])
        except ComposeRefusedError as refused:
            problem = Problem(
                Path(self.compose.file or INLINE), 0, 0, "", f"docker compose: {escaped(str(refused))}"
            )
            raise ManifestError([problem]) from None
        shutil.rmtree(probe)
        found = json.loads(output).get(VARIABLES)
        return [str(each).replace("$$", "$") for each in found]

    def _write_declared(self) -> None:
        lines = [f"{name}={_quoted(value)}\n" for name, value in self.variables.items()]
        (self.root / DECLARED).write_text("".join(lines), encoding="utf-8")

    def _ask_for(self, names: set[str]) -> list[Path]:
        """A second Compose file that asks for the values of these variables, if there are any."""
        asked = {
            name: f"${{{name}}}" for name in sorted(names) if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        }
        if not asked:
            return []
        # A variable that is not set is one without a value, and not an empty one.
        values = {name: f"{text[:-1]}+={text}}}" for name, text in asked.items()}
        path = self.root / ASKED
        path.write_text(json.dumps({VARIABLES: values}))
        return [path]

    def _config(self, files: ProjectFiles, *compose_files: Path) -> tuple[str, str]:
        env_files = [path for path in (self.stage / ENV, self.root / DECLARED) if path.is_file()]
        try:
            return self._run(*compose_files, env_files=env_files)
        except ComposeRefusedError as refused:
            said = _VALIDATING.sub("", self._as_there(str(refused), files.directory))
            found = _NAMED_TWICE.search(said) or _PLACE.search(said)
            place = (f"services.{found[2]}" if found[2] else found[0]) if found else ""
            if unknown := _UNKNOWN.search(said):
                place = f"{place}.{unknown[1]}"
            path, line = files.written(steps_of(place))
            problem = Problem(path, line, 1 if line else 0, "", f"docker compose: {escaped(said)}")
            raise ManifestError([problem]) from None

    def _run(self, *compose_files: Path, env_files: Sequence[Path]) -> tuple[str, str]:
        program = shutil.which("docker", path=self.environ.get("PATH"))
        if program is None:
            raise PermanentError(
                "docker is not installed, which reads Compose files; install it with its Compose plugin"
            )
        # Compose may be installed for this user only.
        settings = self.environ.get("DOCKER_CONFIG") or str(Path(self.environ.get("HOME") or "/") / ".docker")
        words = [
            *(program, "--config", settings, "compose", "--project-name", self.project),
            *("--project-directory", str(self.stage)),
            *(word for path in compose_files for word in ("--file", str(path))),
            *(word for path in env_files for word in ("--env-file", str(path))),
            *(word for name in self.compose.profiles for word in ("--profile", name)),
            *("config", "--format", "json"),
        ]
        # Nothing of the controller's environment, and nothing that the files say may be fetched.
        environment = {"COMPOSE_EXPERIMENTAL_GIT_REMOTE": "0", "COMPOSE_EXPERIMENTAL_OCI_REMOTE": "0"}
        return run_compose(words, environment, self.stage)


class ComposeRefusedError(Exception):
    """Compose refuses a file; the message is its own."""


def run_compose(
    words: Sequence[str], environment: Mapping[str, str], directory: Path, seconds: float = SECONDS
) -> tuple[str, str]:
    """What a command of Compose prints, and what it complains of. Raises ComposeRefusedError when it fails, EngineError if
    it cannot be run or takes too long.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                words,
                env=dict(environment),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=said,
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"docker compose cannot be started: {error.strerror}") from error
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise EngineError(f"docker compose took longer than {seconds:g} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        found, complaint = (_content(file) for file in (output, said))
    if code != 0:
        lines = [
            line.strip() for line in complaint.splitlines() if line.strip() and "level=warning" not in line
        ]
        raise ComposeRefusedError(lines[-1] if lines else f"exit code {code}")
    return found, complaint


def _content(file: Any) -> str:
    file.seek(0)
    content: bytes = file.read(MAX_OUTPUT + 1)
    if len(content) > MAX_OUTPUT:
        raise ComposeRefusedError(
            f"the file comes to more than {MAX_OUTPUT // 2**20} MiB; do its anchors multiply?"
        )
    return content.decode("utf-8", "replace")


def _warnings(said: str) -> list[str]:
    found = (json.loads(f'"{text}"') for text in _WARNING.findall(said))
    return [escaped(text) for text in dict.fromkeys(found) if _OBSOLETE not in text]


def _not_read(files: ProjectFiles) -> Iterator[str]:
    """What `docker compose` reads by itself beside a Compose file, unless it is told which file to read."""
    for name in OVERRIDES:
        path = files.directory / name
        if name not in files.sources and path.is_file():
            yield f"{path} is not read; a file with include: [{{path: [{files.main}, {name}]}}] has both read"


def _mounted(document: Mapping[str, Any]) -> Iterator[Path]:
    bodies = [each for section in ("configs", "secrets") for each in (document.get(section) or {}).values()]
    services = (document.get("services") or {}).values()
    sources = [
        mount.source for body in services for mount in read_mounts(body.get("volumes")) if mount.is_bind
    ]
    for source in (*sources, *(str(body["file"]) for body in bodies if (body or {}).get("file"))):
        yield Path(source.replace("$$", "$"))


def _with_files(kept: _Kept, directory: Path) -> _Kept:
    files, stamps = {}, dict(kept.stamps)
    for path in kept.mounted:
        stamps[path] = stamp(path)
        if (content := content_below(path, directory)) is not None:
            with suppress(UnicodeDecodeError):
                files[str(path)] = content.decode()
    return _Kept(replace(kept.project, files=files), stamps, kept.mounted)


def _quoted(value: str) -> str:
    """A value as Compose reads it from a file of variables, without resolving anything in it."""
    if "'" not in value and "\\" not in value and "\n" not in value:
        return f"'{value}'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("\n", "\\n")
    return f'"{escaped}"'


def _image_prefix(files: ProjectFiles, expand: Expand) -> str:
    """The name that Compose gives the project by itself, with which the names of images that it builds begin."""
    variables = {name: content for name, content in files.contents.items() if name == ENV}
    said = _PROJECT_NAME.findall(variables.get(ENV, b"").decode("utf-8", "replace"))
    name = said[-1] if said else files.sources[files.main].name or files.directory.name
    if "$" in name:
        (name,) = expand(variables, [name])
    return _NO_NAME.sub("", name.lower()).lstrip("_-") or "project"
