"""How much of the order an edge's capacity and the time left allow. Pure: what is printed is what is done."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.warm.edges import Edge
from pipelines.warm.tiers import Ranked, Tier

#: Tiers that are always proved whole, and without which no release should go out.
ESSENTIAL: frozenset[Tier] = frozenset({0, 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What one edge is asked for, and what not."""

    edge: Edge
    taken: tuple[Ranked, ...]
    #: Beyond the budget: left cold.
    left: tuple[Ranked, ...]
    #: Bytes and requests of both passes, over what is taken.
    bytes: int
    requests: int
    #: Of both passes at the edge's own limits; None if nothing limits it.
    seconds: float | None
    #: Which limit ended it: `daily_bytes`, `daily_requests` or `time`; empty if all fits.
    limit: str = ""

    @property
    def lacking(self) -> tuple[Ranked, ...]:
        """What is left cold though no release should go out without it."""
        return tuple(one for one in self.left if one.tier in ESSENTIAL)


def fit(ranked: Sequence[Ranked], edge: Edge, seconds_left: float | None = None) -> Fitted:
    """As much of `ranked`, in its order, as quotas and the time until the release allow, proof included."""
    size, requests, count, limit = 0.0, 0.0, 0, ""
    for one in ranked:
        passes = 1 + (1.0 if one.tier in ESSENTIAL else edge.sample)
        size, requests = size + passes * one.item.size, requests + passes
        limit = _over(edge, size, requests, seconds_left)
        if limit:
            size, requests = size - passes * one.item.size, requests - passes
            break
        count += 1
    return Fitted(
        edge=edge,
        taken=tuple(ranked[:count]),
        left=tuple(ranked[count:]),
        bytes=round(size),
        requests=round(requests),
        seconds=seconds(edge, size, requests),
        limit=limit,
    )


def seconds(edge: Edge, size: float, requests: float) -> float | None:
    """How long that takes at the edge's own limits and those of all together; None if nothing limits it."""
    capacities = [edge.capacity, *([edge.total] if edge.total else [])]
    needed = [8 * size / c.bits_per_second for c in capacities if c.bits_per_second]
    needed += [requests / c.requests_per_second for c in capacities if c.requests_per_second]
    return max(needed, default=None)


def _over(edge: Edge, size: float, requests: float, seconds_left: float | None) -> str:
    capacity = edge.capacity
    if capacity.daily_bytes is not None and size > capacity.daily_bytes:
        return "daily_bytes"
    if capacity.daily_requests is not None and requests > capacity.daily_requests:
        return "daily_requests"
    if seconds_left is not None and (seconds(edge, size, requests) or 0.0) > seconds_left:
        return "time"
    return ""
