"""
Until when, and where: a release ends, and in some territories earlier or in another language than elsewhere.

Nothing is made for it. A territory has entry points of its own over the same version, and when its time is over they
say so; media stays where it is, so that a session which is playing goes on.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.delivery import Delivery, ReleaseTime
from pipelines.errors import DeliveryError
from pipelines.instant import resolve

#: Whoever is in no territory that is named: the plain entry points.
ELSEWHERE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Territory:
    """What viewers in one country are offered."""

    #: ISO 3166-1; empty for `ELSEWHERE`.
    code: str = ELSEWHERE
    #: BCP 47: the sound that players pick there; None: as everywhere.
    default_language: str | None = None
    #: From when on it says "ended"; None: never.
    ends: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Where and until when an episode is offered, from its release on."""

    #: The first is `ELSEWHERE`; each code once.
    territories: tuple[Territory, ...] = (Territory(),)

    def ended(self, now: datetime) -> tuple[str, ...]:
        """Codes of the territories whose time is over."""
        return tuple(one.code for one in self.territories if one.ends and one.ends <= now)

    def next_end(self, now: datetime) -> datetime | None:
        """When the next one's is."""
        return min((one.ends for one in self.territories if one.ends and one.ends > now), default=None)


EVERYWHERE = Availability()


def availability(delivery: Delivery) -> Availability:
    """What the delivery says of it. Raises `DeliveryError` for an end before the beginning, or a language it lacks."""
    release = delivery.release
    if release is None:
        return EVERYWHERE
    spoken = {sound.language for sound in delivery.audio}
    plain = Territory(ends=_end(release, release.ends))
    named = []
    for each in release.territories:
        if each.default_language and each.default_language not in spoken:
            raise DeliveryError(
                f"`{each.default_language}`, the default of {', '.join(each.codes)}, is no language of this delivery.",
                hint=f"It has {', '.join(sorted(spoken))}.",
            )
        ends = _end(release, each.ends) or plain.ends
        one = Territory(default_language=each.default_language, ends=ends)
        named += [replace(one, code=code) for code in each.codes]
    return Availability(territories=(plain, *sorted(named, key=lambda one: one.code)))


def _end(release: ReleaseTime, wall: str | None) -> datetime | None:
    """The instant of an end; of one that comes twice, in the night that clocks go back, the first."""
    if wall is None:
        return None
    end = resolve(release.model_copy(update={"at": wall, "fold": 0})).utc
    if end <= resolve(release).utc:
        raise DeliveryError(f"The release ends at {wall}, before it begins at {release.at}.", hint="Correct `ends`.")
    return end
