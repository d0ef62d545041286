"""`explain` prints the page of a field and completes paths."""

from collections.abc import Callable
from subprocess import CompletedProcess

from click.testing import Result

Vaultctl = Callable[..., Result]


def test_a_page(vaultctl: Vaultctl) -> None:
    page = vaultctl("explain", "spec.ports.http")
    assert page.exit_code == 0
    assert "FIELD:    VaultService.spec.ports.http" in page.stdout
    assert vaultctl("explain").stdout.startswith("FIELD:    VaultService\n")


def test_a_misspelt_field(vaultctl: Vaultctl) -> None:
    done = vaultctl("explain", "spec.prots")
    assert done.exit_code == 1
    assert done.stderr.endswith("did you mean VaultService.spec.ports?\n")


def test_paths_are_completed(process: Callable[..., CompletedProcess[str]]) -> None:
    for word, completions in (
        ("spec.por", ["plain,spec.ports"]),
        (
            "VaultService.spec.ports.",
            ["plain,VaultService.spec.ports.http", "plain,VaultService.spec.ports.container"],
        ),
        ("nothing.x", []),
    ):
        environment = {
            "_VAULTCTL_COMPLETE": "bash_complete",
            "COMP_WORDS": f"vaultctl explain {word}",
            "COMP_CWORD": "2",
        }
        assert process(env=environment).stdout.split() == completions
