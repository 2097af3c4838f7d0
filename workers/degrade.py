"""
What to give up so that a release is in time: the first of the declared fallbacks that would do.

Pure. One that the delivery calls automatic is taken; any other is offered to operators.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.delivery import Fallback
from pipelines.errors import DeliveryError
from workers.readiness import Known, Outlook, readiness
from workers.suppose import given_up

#: Seconds: where nothing makes a release be in time, what makes it so much earlier is worth it.
WORTH = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What may be given up, and what that gains."""

    #: Together; what was given up already is not among them.
    drop: tuple[Fallback, ...]
    #: Of the least edition then.
    outlook: Outlook
    #: Seconds by which it is ready earlier, at the latest; None: else it never is.
    gains: float | None

    @property
    def names(self) -> tuple[str, ...]:
        """What operators call them."""
        return tuple(fallback.name for fallback in self.drop)

    @property
    def helps(self) -> bool:
        """Whether it would be in time, or else worthwhile."""
        return self.outlook.safe or (self.outlook.p95 is not None and (self.gains is None or self.gains >= WORTH))

    @property
    def automatic(self) -> bool:
        """Whether nobody has to be asked."""
        return all(fallback.automatic for fallback in self.drop)


def remedies(known: Known, now: Outlook, seed: str) -> tuple[Remedy, ...]:
    """
    What each of the declared fallbacks would gain, in their order; and, if none of them alone makes it in time, the
    first two together, three, until they do.
    """
    found: list[Remedy] = []
    for drop in _choices(known):
        if len(drop) > 1 and any(remedy.outlook.safe for remedy in found):
            break
        supposed = known
        try:
            for fallback in drop:
                supposed = given_up(supposed, fallback)
        except DeliveryError:
            continue  # each is possible alone, not all are together
        outlook = readiness(supposed, seed).least.outlook
        found.append(Remedy(drop=drop, outlook=outlook, gains=_gained(now, outlook)))
    return tuple(found)


def chosen(found: tuple[Remedy, ...]) -> Remedy | None:
    """
    The one to take, or to offer: the first that makes it in time, one that needs nobody before one that does.

    Where none does, the one that makes it earliest, if that is worth it.
    """
    safe = [remedy for remedy in found if remedy.outlook.safe]
    if safe:
        return next((remedy for remedy in safe if remedy.automatic), safe[0])
    helping = [remedy for remedy in found if remedy.helps]
    return min(helping, key=lambda remedy: (remedy.outlook.p95, not remedy.automatic), default=None)


def _choices(known: Known) -> Iterator[tuple[Fallback, ...]]:
    plan = known.overview.plan
    left = tuple(fallback for fallback in plan.fallbacks if fallback.name not in plan.given_up)
    yield from ((fallback,) for fallback in left)
    yield from (left[:count] for count in range(2, len(left) + 1))


def _gained(before: Outlook, after: Outlook) -> float | None:
    if before.p95 is None or after.p95 is None:
        return None if after.p95 or after.state == "ready" else 0.0
    return (before.p95 - after.p95).total_seconds()
