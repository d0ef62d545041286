"""What can go wrong with an engine.

TemporaryError
└── EngineError              a call failed or took too long
    └── EngineAwayError      the engine does not answer at all
PermanentError
├── ImageMissingError        an image is not there and cannot be pulled
└── RefusedError             Compose or the engine says that this definition is invalid
"""

from reconciler.api.errors import PermanentError, TemporaryError
from reconciler.api.reasons import Reason


class EngineError(TemporaryError):
    """A call failed; the next pass observes and tries again."""

    reason = Reason.ENGINE


class EngineAwayError(EngineError):
    """The engine cannot be reached."""

    reason = Reason.ENGINE_AWAY


class ImageMissingError(PermanentError):
    """An image is neither on this machine nor in a registry that answers."""

    reason = Reason.IMAGE_MISSING


class RefusedError(PermanentError):
    """An invalid definition, for which another try is useless."""

    reason = Reason.REFUSED
