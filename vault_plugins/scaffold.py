"""Writes a new plugin from a template that passes the lint."""

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from vault_plugins.contract import PluginError, PluginMetadata

TEMPLATES: Final = Path(__file__).parent / "template"
SUFFIX: Final = ".template"
DEFAULT_PORT: Final = 8080


def scaffold(slug: str, directory: Path) -> tuple[Path, ...]:
    """Write `<directory>/<slug>/` with `__init__.py`, `plugin.py` and `README.md`, and return their paths.

    Raises PluginMetadataError for an invalid slug, PluginError if the target exists or the files cannot be written.
    """
    name = slug.replace("-", " ").strip().title()
    metadata = PluginMetadata(name=name or "New Plugin", slug=slug, default_port=DEFAULT_PORT)
    # A directory with a '-' in its name cannot be imported as a Python package.
    target = directory / slug.replace("-", "_")
    values = {
        "slug": metadata.slug,
        "name": metadata.name,
        "class_name": f"{name.replace(' ', '')}Plugin",
        "port": metadata.default_port,
    }
    try:
        target.mkdir(parents=True)
        return tuple(_write(template, target, values) for template in sorted(TEMPLATES.glob(f"*{SUFFIX}")))
    except FileExistsError as error:
        raise PluginError(f"{target} already exists; choose another slug or remove it") from error
    except OSError as error:
        raise PluginError(f"cannot write {target}: {error.strerror}") from error


def _write(template: Path, target: Path, values: Mapping[str, object]) -> Path:
    path = target / template.name.removesuffix(SUFFIX)
    path.write_text(Template(template.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")
    return path
