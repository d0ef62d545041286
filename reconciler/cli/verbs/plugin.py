"""`vaultctl plugin`: list and show plugins, and help to write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import exit_codes
from reconciler.cli.output import output_option, warn, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import fields, table
from reconciler.cli.verb import VerbGroup

if TYPE_CHECKING:
    from vault_plugins.loading import LoadedPlugin


@click.group("plugin", cls=VerbGroup, short_help="List, show, check and create plugins.")
def command() -> None:
    """List, show, check and create plugins: the classes that turn settings into Compose services."""


def _complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    names = context.ensure_object(Session).registry.names
    return [name for name in names if name.startswith(incomplete)]


slug_argument = click.argument("slug", shell_complete=_complete)


@command.command(
    "list",
    short_help="List plugins.",
    examples=[
        ("vaultctl plugin list", "packaged, installed, and of VAULT_PLUGIN_PATH"),
        ("vaultctl plugin list --plugin-path ./plugins", "with those of one more directory"),
        ("vaultctl plugin list -o name", "only the slugs"),
    ],
)
@output_option("json", "yaml", "name")
@pass_session
def list_plugins(session: Session, output: str | None) -> None:
    """List all plugins: packaged ones, those of installed distributions, and those of the plugin path.

    A broken plugin is reported on stderr, with the position of its error; the others still work.
    """
    from reconciler.app.plugins import plugin_document

    plugins = session.registry.plugins
    if output == "name":
        write(None, [], lambda: "\n".join(plugins))
    else:
        write(output, [plugin_document(each) for each in plugins.values()], lambda: _table(plugins.values()))
    for broken in session.registry.broken.values():
        warn(str(broken))


@command.command(
    "show",
    short_help="Show one plugin and its README.",
    examples=[
        ("vaultctl plugin show paperless", "its description, settings, credentials and security"),
        ("vaultctl plugin show paperless -o json", "its metadata for scripts"),
    ],
)
@slug_argument
@output_option("json", "yaml")
@pass_session
def show(session: Session, slug: str, output: str | None) -> None:
    """Show the metadata of the plugin SLUG, its default settings, and its README."""
    from reconciler.app.plugins import plugin_document
    from vault_plugins.lint import readme_of

    loaded = session.registry.get(slug)
    write(output, plugin_document(loaded), lambda: _page(loaded, readme_of(loaded)))


@command.command(
    "new",
    short_help="Create a new plugin.",
    examples=[
        ("vaultctl plugin new my-service plugins", "write a first version to plugins/my_service/"),
        ("vaultctl plugin lint my-service --plugin-path plugins", "and check it"),
    ],
)
@click.argument("slug")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path("plugins"))
def new(slug: str, directory: Path) -> None:
    """Write the first version of a plugin SLUG, which builds and passes the lint, into DIRECTORY/SLUG.

    DIRECTORY is "plugins" if it is not given; it belongs on the plugin path.
    """
    from vault_plugins.scaffold import scaffold

    for path in scaffold(slug, directory):
        click.echo(path)


@command.command(
    "lint",
    short_help="Check plugins for common mistakes.",
    examples=[
        ("vaultctl plugin lint", "check all plugins"),
        ("vaultctl plugin lint paperless --env-file paperless.env", "with the settings that it requires"),
        ("vaultctl plugin lint my-service --plugin-path plugins", "check one's own"),
    ],
)
@click.argument("slugs", metavar="[SLUG]...", nargs=-1, shell_complete=_complete)
@click.option("--env", "pairs", metavar="KEY=VALUE", multiple=True, help="A setting to build with.")
@click.option("--env-file", type=click.Path(path_type=Path), help="A file of settings to build with.")
@output_option("json", "yaml")
@pass_session
@click.pass_context
def lint(
    context: click.Context,
    session: Session,
    slugs: Sequence[str],
    pairs: Sequence[str],
    env_file: Path | None,
    output: str | None,
) -> None:
    """Check the plugins SLUG..., or all: undocumented settings, floating images, ignored replicas, and what admission
    would refuse.

    Exit 1 when there are findings, or a plugin is broken.
    """
    from reconciler.app.plugins import finding_documents, lint_plugins

    registry = session.registry
    found = lint_plugins(registry, slugs, _settings(pairs, env_file))
    broken = () if slugs else tuple(registry.broken.values())
    document = finding_documents(found)

    def text() -> str:
        lines = [f"{each['plugin']}: {each['message']} ({each['rule']}); {each['fix']}" for each in document]
        return "\n".join(lines or [f"nothing to improve in {', '.join(found) or 'no plugin'}"])

    write(output, document, text)
    for each in broken:
        warn(str(each))
    context.exit(exit_codes.FAILED if document or broken else exit_codes.OK)


def _settings(pairs: Sequence[str], env_file: Path | None) -> dict[str, str]:
    from reconciler.api import load_env_file

    env = dict(load_env_file(env_file)) if env_file else {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--env")
        env[key] = value
    return env


def _table(plugins: Iterable[LoadedPlugin]) -> str:
    rows = [
        [each.slug, each.plugin.metadata.name, str(each.path), each.plugin.metadata.description]
        for each in plugins
    ]
    return table(["SLUG", "NAME", "PATH", "DESCRIPTION"], rows)


def _page(loaded: LoadedPlugin, readme: str | None) -> str:
    plugin, metadata = loaded.plugin, loaded.plugin.metadata
    header = fields(
        {
            "Slug": loaded.slug,
            "Name": metadata.name,
            "Description": metadata.description,
            "Path": str(loaded.path),
            "Port": str(metadata.default_port),
            "Health check": metadata.healthcheck_path,
            "Replicas": "one at a time writes its data"
            if plugin.single_writer
            else f"{plugin.min_replicas} or more",
            "Starts before it": ", ".join(plugin.dependencies),
            "Settings": ", ".join(f"{key}={value}" for key, value in plugin.default_environment.items()),
        }
    )
    return f"{header}\n\n{readme.rstrip()}" if readme else header
