"""
A version's objects through one edge, in the order viewers will want them; then a second pass that proves it.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from presets.document import Document

#: Raised by hand when our own method changes what is asked for.
RECIPE = 1


class Edge(Document):
    """One cache that stands between viewers and the store."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    """What reports call it."""
    kind: Literal["nginx", "rfc9211"] = "nginx"
    """Which headers say whether it was a hit."""
    url: Annotated[str, Field(pattern=r"^https?://[^/\s?#@]+/?$")]
    """Scheme, host and port that viewers use."""


class Edges(Document):
    """`edges.toml`: every edge that must be warm before a release."""

    edges: tuple[Edge, ...] = ()
    """The edges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmJob:
    """A version to be warmed at one edge, and proved."""

    kind: Literal["warm"] = "warm"
    #: Of the evidence.
    digest: str
    version: str
    tracks: tuple[str, ...]
    edge: Edge
