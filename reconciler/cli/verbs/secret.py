"""`vaultctl secret`: encrypted settings files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from reconciler.cli.errors import Failure
from reconciler.cli.output import output_option, say, warn, write
from reconciler.cli.session import Session, pass_session
from reconciler.cli.tables import table
from reconciler.cli.verb import VerbGroup

FILE: Final = click.Path(path_type=Path, dir_okay=False)
MEMORY: Final = Path("/dev/shm")
"""A directory whose files are in memory."""


@click.group("secret", cls=VerbGroup, short_help="Encrypt, edit and rotate settings files.")
def command() -> None:
    """Encrypt, edit and rotate settings files that may be in Git, and list who can read them.

    Files are encrypted with age to the recipients of .age-recipients, which is in the directory of a file, or above it in
    its Git repository.
    """


recipient_option = click.option(
    "--recipient",
    "named",
    metavar="AGE1...",
    multiple=True,
    help="Encrypt to this recipient, and not to those of .age-recipients; may be given more than once.",
)


@command.command(
    "encrypt",
    short_help="Encrypt a plain file.",
    examples=[
        ("vaultctl secret encrypt files.env", "write files.env.age, to the recipients of .age-recipients"),
        ("vaultctl secret encrypt tls.key --output tls.key.age --force", "any file, over an older one"),
    ],
)
@click.argument("file", type=FILE)
@click.option("--output", type=FILE, help="Where to write it. Default: FILE.age.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@recipient_option
def encrypt(file: Path, output: Path | None, force: bool, named: Sequence[str]) -> None:
    """Encrypt FILE, which stays as it is. A settings file (.env) with mistakes is refused."""
    from reconciler.app.sealing import encrypt_file

    target = encrypt_file(file, named, output, force=force)
    click.echo(f"{target} is encrypted")
    say(f"{file} still has the values: remove it, or keep it out of Git")


@command.command(
    "edit",
    short_help="Edit an encrypted file in an editor.",
    examples=[
        (
            "vaultctl secret edit files.env.age --age-keys controller.key",
            "in $VISUAL, $EDITOR or a usual editor",
        ),
        ("vaultctl secret edit new.env.age --recipient age1...", "a new file"),
    ],
)
@click.argument("file", type=FILE)
@recipient_option
@pass_session
def edit(session: Session, file: Path, named: Sequence[str]) -> None:
    """Decrypt FILE for an editor, and encrypt what it leaves; a new file is made.

    The editor works on a file in memory (/dev/shm) that is removed afterwards. Switch off backups of your editor elsewhere.
    """
    from reconciler.app.sealing import edit_file
    from reconciler.cli.editor import editor_of

    if not MEMORY.is_dir():
        raise Failure(f"{MEMORY} is no directory, and the plaintext must be on no disk: mount a tmpfs there")
    editor = editor_of(os.environ, file.name.removesuffix(".age"), MEMORY)

    def ask(text: str, problem: str) -> str:
        if problem:
            warn(problem)
            click.confirm("edit it again", default=True, abort=True, err=True)
        return editor(text)

    try:
        changed = edit_file(session.application.settings, file, named, ask)
    finally:
        editor.forget()
    click.echo(f"{file} is encrypted" if changed else "nothing was edited, so nothing was changed")


@command.command(
    "rotate",
    short_help="Encrypt files anew, perhaps to others.",
    examples=[
        (
            "vaultctl secret rotate files.env.age --age-keys controller.key",
            "to the recipients of .age-recipients",
        ),
        (
            "vaultctl secret rotate --add age1... *.env.age",
            "and to one more, who is added to .age-recipients",
        ),
        ("vaultctl secret rotate --remove age1... *.env.age", "and no longer to that one"),
    ],
)
@click.argument("files", metavar="FILE...", type=FILE, nargs=-1, required=True)
@click.option("--add", metavar="AGE1...", multiple=True, help="A recipient more, in .age-recipients too.")
@click.option("--remove", metavar="AGE1...", multiple=True, help="A recipient less, in .age-recipients too.")
@pass_session
def rotate(session: Session, files: Sequence[Path], add: Sequence[str], remove: Sequence[str]) -> None:
    """Encrypt FILE... anew, with new keys of the files, to the recipients of .age-recipients. Their values stay.

    A recipient who is removed can still read the versions of before, for example in Git: change the values as well.
    """
    from reconciler.app.sealing import rotate_files

    warnings = rotate_files(session.application.settings, files, add, remove)
    for file in files:
        click.echo(f"{file} is encrypted anew")
    for warning in warnings:
        warn(warning)
    if remove:
        say("who was removed can read the former versions: change the values, and restart what uses them")


@command.command(
    "recipients",
    short_help="List who can read encrypted files.",
    examples=[
        ("vaultctl secret recipients files.env.age", "the recipients of .age-recipients"),
        (
            "vaultctl secret recipients *.env.age --age-keys keys/ -o json",
            "and whose keys are here, for scripts",
        ),
    ],
)
@click.argument("files", metavar="FILE...", type=FILE, nargs=-1, required=True)
@output_option("json", "yaml")
@pass_session
def recipients(session: Session, files: Sequence[Path], output: str | None) -> None:
    """List the recipients of FILE..., where each is written down, and whether its key is one of --age-keys.

    A SOPS file names its recipients itself, an age file has those of .age-recipients.
    """
    from reconciler.app.sealing import readers

    found = readers(session.application.settings, files)
    document = [
        {"file": str(each.file), "recipient": each.recipient, "place": each.place, "keyIsHere": each.is_here}
        for each in found
    ]
    rows = [[str(each.file), each.recipient, "yes" if each.is_here else "no", each.place] for each in found]
    write(output, document, lambda: table(["FILE", "RECIPIENT", "KEY HERE", "WRITTEN IN"], rows))
