"""What a proof leaves behind: which edge, which tiers, how many hits, when. The gate reads it; nobody rewrites it."""

from dataclasses import dataclass
from datetime import datetime

from pipelines.warm.tiers import Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class TierProof:
    """One tier at one edge."""

    tier: Tier
    objects: int
    bytes: int
    #: Objects that the proof asked for, and of those the hits.
    asked: int
    hits: int

    @property
    def share(self) -> float:
        """Hits of what was asked; nothing asked proves nothing."""
        return self.hits / self.asked if self.asked else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A proof of one version at one edge."""

    edge: str
    #: When the first object of the proof was asked for: what is older than that is not proved.
    proved_at: datetime
    objects: int
    bytes: int
    hits: int
    tiers: tuple[TierProof, ...]
    #: Seconds for which the copy that ends first was still fresh at `proved_at`; None if nothing was asked.
    freshness: int | None
    #: Caches that said that they answered.
    pops: tuple[str, ...]
    #: Whether hits were seen to be of one copy; None when the edge tells nothing that would show it.
    same_copy: bool | None
    #: Objects that its budget left cold.
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A later proof of one version at one edge, whatever came of it."""

    edge: str
    version: str
    #: When its first object was asked for.
    checked_at: datetime
    #: Whether the edge is warm now, and a sentence or two that say so.
    ok: bool
    said: str
    #: Objects that the edge is to hold, how many of them were to be asked for, and how many of those are hits now.
    objects: int
    asked: int
    hits: int
    #: How many were found lacking, before they were warmed again; the first keys of those, in the order of warming.
    lost: int
    first_lost: tuple[str, ...]
    #: Of an edge that is warm.
    evidence: Evidence | None


def same_cache(one: Evidence, other: Evidence) -> bool:
    """Whether two edges are one cache under two names: one is then not proved at all."""
    return bool(one.pops) and one.pops == other.pops and one.edge != other.edge
