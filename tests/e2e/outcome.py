"""What came of harm that was done to a service under load: a crash of its controller, or any other fault."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What came of `harm`. `seconds` from its end (of a crash: from the start of the next controller) until nothing was
    left to be done, `failed` the requests that got no answer or a wrong one, `broken` what was promised and not held,
    `left` what is there and should not be, `last` the seconds from the harm until the last request that failed was begun.
    """

    harm: str
    seconds: float
    requests: int
    failed: int
    broken: tuple[str, ...]
    left: tuple[str, ...]
    last: float = 0.0

    @classmethod
    def loaded(cls, text: str) -> Outcome:
        """The outcome that `json.dumps(asdict(…))` made this text of."""
        fields = json.loads(text)
        return cls(**fields | {"broken": tuple(fields["broken"]), "left": tuple(fields["left"])})

    @property
    def is_good(self) -> bool:
        """Whether it went as promised."""
        return not (self.broken or self.left)

    def __str__(self) -> str:
        verdict = "as promised" if self.is_good else "NOT AS PROMISED"
        line = (
            f"{self.harm}: {self.failed} of {self.requests:,} requests failed, healed after {self.seconds:.1f} s, "
            f"{len(self.left)} left over; {verdict}"
        )
        return "\n".join([line, *(f"    {each}" for each in (*self.broken[:20], *self.left))])
