"""
The entry points of an episode: what its ref says, written where viewers ask.

The ref is a row in the ledger; these objects mirror it. They carry its generation, and a lower generation never
replaces a higher one, so that any clock may finish what another began.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """Which version of an episode viewers get."""

    episode: str
    #: Rises by one with every flip; 0 is the "not yet" before the first.
    generation: int
    state: Literal["not-yet", "released"]
    #: Digest of the version, once released.
    version: str | None
    #: When the flip was committed, by the ledger's clock.
    flipped_at: datetime | None
