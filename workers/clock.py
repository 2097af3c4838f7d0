"""
The release: not before its time, not without everything it was promised on, and by the ledger's clock.

Any number of clocks may tick at once: the ledger lets one of them flip, and any of them writes what viewers read.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from pipelines import layout
from pipelines.errors import AvantError, ReleaseError
from pipelines.release import Ref, entry_points, mirror
from pipelines.version import load_tracks, policy_of
from workers.farm import Farm
from workers.ledger import Release

#: Nothing flips while the clocks of host, ledger and store are further apart than this.
TOLERANCE = timedelta(seconds=2)
#: The store's `Date` is cut to whole seconds.
RESOLUTION = timedelta(seconds=1)

#: Seconds from one look at what is armed to the next.
INTERVAL = 0.5
LATEST = timedelta(days=1)
#: A clock looks after flips that are younger: whoever made one may have died before viewers got it.
RECENT = timedelta(hours=1)

log = structlog.get_logger()


def here() -> datetime:
    """By the clock of this host."""
    return datetime.now(UTC)


class Clock:
    """One of any number of clocks: says "not yet" of what is armed, flips it at its time, ends what others began."""

    def __init__(
        self, farm: Farm, *, shown: Callable[[Ref], None] = lambda _ref: None, host: Callable[[], datetime] = here
    ) -> None:
        """`shown` hears of every ref that viewers were given, and must return at once; `host` tells the time here."""
        self._farm = farm
        self._shown = shown
        self._host = host
        self._armed: dict[str, Release] = {}
        #: What was said last of an episode's flip, and of its entry points.
        self._said: dict[tuple[str, str], str] = {}
        #: What log lines about an armed release go by.
        self._traces: dict[str, str] = {}
        #: Whose entry points may be behind their ref; and the generation that they were brought up to.
        self._behind: set[str] = set()
        self._written: dict[str, int] = {}

    def tick(self) -> float:
        """Do what is due. Returns the seconds until something may be due again; raises nothing that time may heal."""
        with self._outliving("look"):
            return self._tick()
        return INTERVAL

    def _tick(self) -> float:
        farm, ledger = self._farm, self._farm.ledger
        armed = {release.episode: release for release in ledger.armed()}
        self._behind |= armed.keys() - self._armed.keys()  # they say "not yet" before anyone asks
        for episode, release in armed.items():
            if self._armed.get(episode) != release:
                self._traces[episode] = ledger.trace(episode, release.version)
        self._armed = armed
        now = ledger.now()
        for release in armed.values():
            if release.at <= now and not release.held:
                with self._outliving("flip", release.episode):
                    flip(farm, release, self._host)
        for episode in ledger.ending():  # before anything is written: what is over must not be shown for a moment
            with self._outliving("end", episode):
                self._end(episode)
        moved = ledger.flipped(RECENT)  # by us, by another clock, or by an operator
        self._behind |= {episode for episode, generation in moved.items() if self._written.get(episode, 0) < generation}
        soon = min((release.at for release in armed.values() if release.at > now), default=now + LATEST)
        for episode in sorted(self._behind, key=lambda episode: (episode not in moved, episode)):
            if ledger.now() >= soon:
                return 0.0  # a release does not wait for what can
            with self._outliving("mirror", episode):
                ref = ledger.ref(episode)
                publish(farm, ref)
                self._written[episode] = ref.generation
                self._behind.discard(episode)
                self._shown(ref)
        return min(INTERVAL, max(0.0, (soon - ledger.now()).total_seconds()))

    def _end(self, episode: str) -> None:
        ended = self._farm.ledger.end(episode)
        if ended:
            where = ", ".join(code or "elsewhere" for code in ended)
            log.info("release.ended", episode=episode, where=where)

    @contextmanager
    def _outliving(self, what: str, episode: str = "") -> Iterator[None]:
        """Log what stands in the way, once for as long as it is the same, and go on: the next look tries again."""
        try:
            yield
        except (AvantError, SQLAlchemyError) as error:
            told = str(error) if isinstance(error, AvantError) else type(error).__name__
            if self._said.get((what, episode)) != told:
                self._said[what, episode] = told
                about = {"episode": episode, "trace": self._traces.get(episode, "")} if episode else {}
                log.error("release.held-up", reason=told, **about)  # noqa: TRY400 - a traceback says no more
        else:
            self._said.pop((what, episode), None)


def publish(farm: Farm, ref: Ref) -> None:
    """Bring an episode's entry points up to its ref. Harmless at any time, by anyone."""
    mirror(farm.store, ref, rendered(farm, ref))


def rendered(farm: Farm, ref: Ref) -> dict[str, bytes]:
    """The bodies of its entry points. Raises `ReleaseError` when its version is gone, or nothing is left of it."""
    where = farm.ledger.availability(ref.episode)
    if ref.version is None:
        return entry_points(ref, (), None, farm.names, where)
    version = farm.ledger.artifacts([ref.version]).get(ref.version)
    made = farm.ledger.artifacts(version.facts["tracks"]) if version else {}
    if version is None or len(made) < len(set(version.facts["tracks"])):
        raise ReleaseError(
            f"The version of `{ref.episode}` that generation {ref.generation} names is gone.",
            hint=f"`avant versions {ref.episode}` lists those that exist.",
        )
    tracks = load_tracks(made[digest] for digest in version.facts["tracks"])
    names = farm.names.knowing({ref.version: version.key})
    return entry_points(ref, tracks, policy_of(version), names, where)


def flip(farm: Farm, release: Release, host: Callable[[], datetime] = here) -> Ref:
    """
    Release the fullest edition that is whole, now. Whoever flipped it, the ref; viewers get it once it is published.

    Raises `ReleaseError` when it is held, too early, something is missing, or clocks disagree; `ConfigurationError`
    when the store does not honour conditions, so that another clock could undo it.
    """
    before = farm.ledger.ref(release.episode)
    if before.version == release.version or farm.ledger.due(release.episode) is None:
        return before
    furthest_apart(farm, host)
    farm.store.check_swaps(layout.entry_points(release.episode))
    flipped = farm.ledger.flip(release.episode, generation=before.generation)
    trace = farm.ledger.trace(release.episode, release.version)
    with structlog.contextvars.bound_contextvars(trace=trace, episode=release.episode):
        if flipped:
            log.info("release.flipped", generation=flipped.generation, whole=flipped.version == release.version)
    return flipped or farm.ledger.ref(release.episode)


def furthest_apart(farm: Farm, host: Callable[[], datetime] = here) -> timedelta:
    """
    By how much the clocks of this host, the ledger and the store differ. The store tells whole seconds.

    Raises `ReleaseError` when that is more than a release tolerates.
    """
    return apart({"this host": host(), "the ledger": farm.ledger.now(), "the store": farm.store.now()})


def apart(clocks: Mapping[str, datetime]) -> timedelta:
    """By how much clocks differ that were read at the same moment. Raises `ReleaseError` as above."""
    first, last = min(clocks, key=lambda name: clocks[name]), max(clocks, key=lambda name: clocks[name])
    between = clocks[last] - clocks[first]
    if between > TOLERANCE + RESOLUTION:
        raise ReleaseError(
            f"The clock of {last} is {between.total_seconds():.0f} s ahead of that of {first}.",
            hint="Have both follow NTP; nothing is released while they disagree.",
        )
    return between
