"""Decides whether a commit may be applied: it has to be signed with an allowed key.

Only the newest commit is checked, because it identifies every file of its tree. Keys come from the machine, never from
the repository, and the GnuPG and SSH settings of the controller's user do not count.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.api.reasons import Reason
from reconciler.sources.git.command import Git, RefusedError

GOOD: Final = "GU"
"""git's letters for a good signature. U is good with unknown validity of the key, which is enough because the keyring has
only trusted keys.
"""

_MEANINGS: Final = {
    "N": "is not signed",
    "B": "has a bad signature",
    "E": "is signed with a key that is not allowed",
    "X": "has a signature that has expired",
    "Y": "is signed with a key that has expired",
    "R": "is signed with a key that was revoked",
}


class UntrustedError(RefusedError):
    """A commit without a signature of an allowed key."""

    reason = Reason.UNTRUSTED_COMMIT


class RewoundError(RefusedError):
    """A commit that does not follow the current one: the branch was reset, or its history replaced."""

    reason = Reason.REWOUND_BRANCH


@dataclass(frozen=True, slots=True)
class Trust:
    """Who may sign: an allowed-signers file of ssh-keygen, a GnuPG home directory, or both."""

    allowed_signers: Path | None = None
    keyring: Path | None = None

    def check(self, git: Git, repository: Path, commit: str) -> str:
        """Return the signer of the commit. Raises UntrustedError with the signer, the commit and what to do."""
        environ = self._environ()
        code, _, _ = git.attempt(*self._config(), "verify-commit", commit, cwd=repository, environ=environ)
        form = "--format=%G?%n%GS%n%GK%n%an <%ae>"
        told = git.run(*self._config(), "show", "--no-patch", form, commit, cwd=repository, environ=environ)
        # These names come from the author of a push.
        told = "".join(each if each.isprintable() or each == "\n" else " " for each in told)
        letter, signer, key, author = (told.split("\n") + [""] * 4)[:4]
        if code == 0 and letter in GOOD:
            return signer or key
        # A valid signature with an unknown key: git has a letter for it only with GnuPG.
        state = _MEANINGS[letter] if letter in _MEANINGS else _MEANINGS["E"]
        by = f" ({key})" if key else ""
        raise UntrustedError(
            f"{commit[:12]} by {author} {state}{by}; sign it with an allowed key (git commit -S) and push again"
        )

    def _config(self) -> tuple[str, ...]:
        signers = self.allowed_signers.absolute() if self.allowed_signers else os.devnull
        settings = [f"gpg.ssh.allowedSignersFile={signers}", "gpg.x509.program=false"]
        if self.keyring is None:
            settings.append("gpg.program=false")
        return tuple(word for setting in settings for word in ("-c", setting))

    def _environ(self) -> dict[str, str]:
        return {"GNUPGHOME": str(self.keyring.absolute())} if self.keyring else {}
