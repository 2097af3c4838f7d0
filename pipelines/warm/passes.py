"""
What opens media at an edge: nothing, tokens that an operator put into a file, or tokens made here with the edge's key.

Asked for anew before each request, so that warming may take all night with tokens that are good for minutes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from pipelines.errors import ConfigurationError
from pipelines.tokens import Tokens
from pipelines.warm.edges import Edge, secrets

#: Whose tokens ours are: no viewer's, so that warming takes nothing of what an episode's viewers may ask.
HOLDER = "avant-warming"
#: Seconds for which a token is good, at least, and never for twice as long: clocks may differ by that.
LIFE = 300


class Passes(Protocol):
    """The path prefixes of some viewers."""

    @property
    def viewers(self) -> int:
        """How many there are; the second's requests show whether the first's token is in the cache key."""
        ...

    def prefix(self, viewer: int) -> str:
        """What stands before a key now: `k/TOKEN/`, or nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Prefixes that stay as they are."""

    prefixes: tuple[str, ...] = ("",)

    @property
    def viewers(self) -> int:
        return len(self.prefixes)

    def prefix(self, viewer: int) -> str:
        return self.prefixes[viewer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Prefixes made when they are needed."""

    tokens: Tokens
    #: Seconds since 1970.
    now: Callable[[], float] = time.time

    @property
    def viewers(self) -> int:
        return 2

    def prefix(self, viewer: int) -> str:
        until = (int(self.now()) // LIFE + 2) * LIFE - viewer
        return self.tokens.prefix(HOLDER, datetime.fromtimestamp(until, UTC))


def passes(edge: Edge) -> Passes:
    """Those that the edge lets in. Raises `ConfigurationError`, never with a token or key in it."""
    if edge.token_key:
        key = secrets(edge, edge.token_key)
        if len(key) != 1:
            raise ConfigurationError(
                f"Edge {edge.name}: {edge.token_key} does not hold one key, on one line.",
                hint="Put there what the edge itself was given as `token_key_file`.",
            )
        return Signed(tokens=Tokens(key=key[0]))
    if edge.tokens is None:
        return Listed()
    listed = secrets(edge, edge.tokens)
    if len(set(listed)) < 2:  # noqa: PLR2004
        raise ConfigurationError(
            f"Edge {edge.name}: {edge.tokens} does not hold two tokens, one to a line.",
            hint="With one token it can't be shown that another viewer's is a hit too.",
        )
    return Listed(prefixes=tuple(f"k/{token}/" for token in listed))
