"""Docker's command line, through python-on-whales: Compose, and pulls.

Every process runs under `timeout`, because the library has no timeouts. Errors show the last line of a command's output,
and never the command line, which could hold a secret. Commands get only the variables that `core.environment` lists, and no
`.env` file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.api.errors import VaultError
from reconciler.core.compose.interpolation import unescape
from reconciler.core.desired.stack import JSON, Stack
from reconciler.core.environment import passes
from reconciler.engines.compose.file import dump, without_values
from reconciler.engines.compose.plugin import compose_call
from reconciler.engines.errors import EngineAwayError, EngineError, ImageMissingError, RefusedError
from reconciler.files import replace

if TYPE_CHECKING:
    from python_on_whales import DockerClient

COMMAND_SECONDS: Final = 120
PULL_SECONDS: Final = 900
DEFAULT_HOST: Final = "unix:///var/run/docker.sock"
"""The default engine, the same as for the Docker API: a context of the command line must not select another one."""

NO_FILE: Final = Path(os.devnull)
TIMED_OUT: Final = 124
"""Exit code of `timeout` after a timeout."""

_NO_IMAGE: Final = re.compile(
    r"not found|manifest unknown|no such manifest|name unknown|does not exist|denied|unauthorized|no such host"
    r"|no basic auth|no matching manifest|invalid reference|must be lowercase|HTTP 40[134]|40[134] \(?[A-Z]",
    re.IGNORECASE,
)
"""Messages of a registry, or of the engine, after which another try is useless."""

_INVALID: Final = re.compile(
    r"^validating |^yaml: |additional propert|must be a |must be one of|must match|refers to undefined|invalid "
    r"|undefined (volume|network|service|config|secret)|is not a valid|unsupported |unknown (flag|log opt|capability)"
    r"|conflicting options|conflicts with|duplicate mount point|bind source path does not exist|unmarshal"
    r"|looking up logging plugin|has neither an image nor a build context",
    re.IGNORECASE,
)
"""Messages of Compose and the engine about an invalid definition, as opposed to a temporary failure."""

_AWAY: Final = re.compile(r"Cannot connect to the Docker daemon|error during connect", re.IGNORECASE)
"""Messages of the command line when the engine does not answer."""


class ComposeCli:
    """`docker` and `docker compose` against one engine. `file`: the name of a stack's files for this engine, where several
    engines make parts of one stack at the same time.
    """

    def __init__(self, host: str | None, file: str = "compose") -> None:
        self._host = host or DEFAULT_HOST
        self._file = file

    def load(self) -> None:
        """Import the library, which takes longer than a call of Compose has to wait for anything else."""
        import python_on_whales  # noqa: F401

    def create(self, stack: Stack, scales: Mapping[str, int], overlay: JSON | None = None) -> None:
        """Create containers up to these numbers, without starting any or changing existing ones."""
        self._up(stack, list(scales), overlay, scales=dict(scales), recreate=False)

    def recreate(self, stack: Stack, workload: str, overlay: JSON | None = None) -> None:
        """Replace a stopped container; Compose moves its anonymous volumes to the new one."""
        self._up(stack, [workload], overlay, force_recreate=True)

    def config(self, stack: Stack) -> JSON:
        """The stack's document as Compose reads it, with each field in one form. Nothing of it is written to a file."""
        from python_on_whales.exceptions import DockerException

        try:
            with _in_memory(stack.document) as file:
                client = self._compose(
                    compose_files=[file],
                    compose_project_name=stack.project,
                    compose_project_directory=stack.site.directory,
                    compose_env_files=[NO_FILE],
                )
                found: JSON = unescape(client.compose.config(return_json=True))
        except DockerException as error:
            raise _explained(error) from error
        return found

    def pull(self, image: str) -> None:
        """Fetch an image. Raises ImageMissingError when a person has to act, EngineError when another try may succeed."""
        from python_on_whales.exceptions import DockerException

        try:
            self._docker(PULL_SECONDS).image.pull(image, quiet=True)
        except DockerException as error:
            said = (
                f"took longer than {PULL_SECONDS} s" if error.return_code == TIMED_OUT else _last_line(error)
            )
            if not _NO_IMAGE.search(said):
                raise EngineError(said) from error
            raise ImageMissingError(
                f"image {image} is not on this machine and cannot be pulled ({said}); "
                f"build it or run `docker pull {image}`"
            ) from error

    def compose_version(self) -> str:
        """The version of the Compose plugin, or "" when there is none."""
        from python_on_whales.exceptions import DockerException

        try:
            text = self._docker(COMMAND_SECONDS).compose.version()
        except DockerException:
            return ""
        return text.strip().rpartition(" ")[2].lstrip("v")

    def _up(self, stack: Stack, services: list[str], overlay: JSON | None, **options: Any) -> None:
        from python_on_whales.exceptions import DockerException

        try:
            with compose_file(stack, self._file) as file:
                files = [file]
                if overlay is not None:
                    files.append(stack.site.directory / f"{self._file}.overlay.yaml")
                    write_private(files[1], dump(overlay))
                client = self._compose(
                    compose_files=files,
                    compose_project_name=stack.project,
                    compose_project_directory=stack.site.directory,
                    compose_env_files=[NO_FILE],
                )
                client.compose.up(
                    services, start=False, dependencies=False, pull="never", quiet=True, **options
                )
        except DockerException as error:
            raise _explained(error) from error

    def _compose(self, **compose: Any) -> DockerClient:
        variables, program = compose_call(os.environ)
        return self._client(COMMAND_SECONDS, variables, program, compose)

    def _docker(self, seconds: int) -> DockerClient:
        return self._client(seconds, [], "docker", {})

    def _client(
        self, seconds: int, variables: list[str], program: str, compose: Mapping[str, Any]
    ) -> DockerClient:
        from python_on_whales import DockerClient

        # Names only: values could be read in the list of processes.
        withheld = [f"--unset={name}" for name in os.environ if not passes(name)]
        call = ["env", *withheld, *variables, "timeout", "--kill-after=5", str(seconds), program]
        return DockerClient(host=self._host, client_call=call, client_type="docker", **compose)


def exec_line(
    host: str | None, container: str, command: Sequence[str], *, stdin: bool, tty: bool
) -> tuple[str, ...]:
    """The command line of `docker exec` for a container of the engine at `host`; it has no timeout, as a shell has none."""
    flags = [*(["--interactive"] if stdin else []), *(["--tty"] if tty else [])]
    return ("docker", "--host", host or DEFAULT_HOST, "exec", *flags, container, *command)


def _explained(error: Any) -> VaultError:
    if error.return_code == TIMED_OUT:
        return EngineError(f"docker compose took longer than {COMMAND_SECONDS} s")
    said = _last_line(error)
    return _failure(said)(f"docker compose: {said}")


def _failure(said: str) -> type[VaultError]:
    if _AWAY.match(said):
        return EngineAwayError
    return RefusedError if _INVALID.search(said) else EngineError


@contextmanager
def compose_file(stack: Stack, name: str = "compose") -> Iterator[Path]:
    """The path at which Compose reads the stack's document. Secrets that come from encrypted files are in no file: then it
    is memory of this process, and compose.yaml has the document without them.
    """
    path = stack.site.directory / f"{name}.yaml"
    if not stack.sealed:
        write_private(path, dump(stack.document))
        yield path
        return
    write_private(path, dump(without_values(stack.document, stack.sealed)))
    with _in_memory(stack.document) as path:
        yield path


@contextmanager
def _in_memory(document: JSON) -> Iterator[Path]:
    descriptor = os.memfd_create("compose.yaml", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as memory:
        memory.write(dump(document).encode())
        memory.flush()
        yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")


def write_private(path: Path, text: str) -> None:
    """Replace a file that may hold secrets, unless its content is the same. Raises EngineError."""
    content = text.encode()
    try:
        with suppress(FileNotFoundError):
            if path.read_bytes() == content:
                return
        # One process at a time works on a service: no second unfinished file with secrets in it.
        replace(path, content, alone=True)
    except OSError as error:
        raise EngineError(f"{path} cannot be written: {error.strerror}") from error


def _last_line(error: Any) -> str:
    lines = [line.strip() for line in (error.stderr or error.stdout or "").splitlines() if line.strip()]
    return (
        lines[-1].removeprefix("Error response from daemon: ") if lines else f"exit code {error.return_code}"
    )
