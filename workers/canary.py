"""
What was released is played at once, after a minute and after five, through every edge, by nobody who could be spared.

In a thread of its own: whatever an edge or a decoder does, no flip waits for it.
"""

import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from time import monotonic
from typing import get_args

import structlog
from sqlalchemy.exc import SQLAlchemyError

from pipelines.availability import ELSEWHERE
from pipelines.canary import Offered, Played, offered, play
from pipelines.canary.route import Protocol
from pipelines.canary.viewer import SupersededError
from pipelines.errors import AvantError, ConfigurationError, ReleaseError
from pipelines.release import Ref
from pipelines.version import inventory, load_tracks, policy_of
from pipelines.warm import Edge
from workers.farm import Farm

#: After a flip: when most start, when caches have had their say, and when what was stale must be gone.
AFTER = (timedelta(), timedelta(minutes=1), timedelta(minutes=5))
#: What is later than this is not played any more: a clock that starts has nothing to do with older flips.
LATE = timedelta(seconds=30)
#: Edges at a time. Each decodes a few segments, beside a clock that must not starve.
AT_ONCE = 4
#: Seconds until a thread that has nothing to do looks up, and until a ledger that is down is asked again.
IDLE = 10.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One time that a flip is played."""

    ref: Ref
    at: datetime


def turns(ref: Ref, now: datetime | None) -> tuple[Turn, ...]:
    """When a ref that was just mirrored is to be played; all its times, if nobody knows what time it is."""
    if ref.flipped_at is None or ref.version is None or ELSEWHERE in ref.ended:
        return ()
    due = [Turn(ref=ref, at=ref.flipped_at + after) for after in AFTER]
    return tuple(turn for turn in due if now is None or turn.at > now - LATE)


class Canary:
    """Plays each flip that it is told of, at its times."""

    def __init__(self, farm: Farm, edges: Callable[[], Sequence[Edge]]) -> None:
        """`edges` is asked each time: a list that can't be read must not keep a clock from its releases."""
        self._farm = farm
        self._edges = edges
        self._told: SimpleQueue[Ref] = SimpleQueue()
        self._known: dict[str, int] = {}
        threading.Thread(target=self._work, name="canary", daemon=True).start()

    def told(self, ref: Ref) -> None:
        """Viewers get this now. Returns at once."""
        if ref.generation > self._known.get(ref.episode, 0):
            self._known[ref.episode] = ref.generation
            self._told.put(ref)

    def _work(self) -> None:
        waiting: list[tuple[datetime, int, Turn]] = []
        number = count()
        while True:
            now = self._now()
            left = (waiting[0][0] - now).total_seconds() if waiting and now else IDLE
            try:
                ref = self._told.get(timeout=max(0.0, left))
            except Empty:
                if waiting and left <= 0:
                    self._play(heapq.heappop(waiting)[2])
            else:
                for turn in turns(ref, self._now()):
                    heapq.heappush(waiting, (turn.at, next(number), turn))

    def _now(self) -> datetime | None:
        """The ledger's clock, if it answers."""
        try:
            return self._farm.ledger.now()
        except SQLAlchemyError:
            return None

    def _play(self, turn: Turn) -> None:
        ref, ledger = turn.ref, self._farm.ledger
        about = {"episode": ref.episode, "generation": ref.generation}
        began = monotonic()
        try:
            if ledger.ref(ref.episode).generation != ref.generation:
                return  # the later flip has turns of its own
            edges = viewed(self._edges())
            if not edges:
                return
            trace = ledger.trace(ref.episode, ref.version or "")
            found = tuple(played(self._farm, ref, edges))
        except (AvantError, SQLAlchemyError) as error:
            reason = str(error) if isinstance(error, AvantError) else type(error).__name__
            log.error("canary.silent", reason=reason, **about)  # noqa: TRY400 - a traceback says no more
            return
        except Exception as error:  # a fault of ours: what is released after this is played all the same
            log.critical("canary.silent", reason=type(error).__name__, exc_info=True, **about)
            return
        with structlog.contextvars.bound_contextvars(trace=trace, **about):
            report(found, round(monotonic() - began, 3))


def report(found: Iterable[Played], seconds: float) -> None:
    """Say what was played, and raise the alarm for each that was not."""
    found = tuple(found)
    for one in found:
        if one.fault:
            log.error("canary.failed", edge=one.edge, protocol=one.protocol, language=one.language, reason=one.fault)
    well = sum(not one.fault for one in found)
    log.info("canary.played", played=well, failed=len(found) - well, wall_s=seconds)


def played(farm: Farm, ref: Ref, edges: Sequence[Edge]) -> Iterator[Played]:
    """
    Every language of what a ref offers, through every edge that viewers come to; nothing of what was superseded.

    Raises `ReleaseError` when nothing is released, `AvantError` when what was published can't be looked up.
    """
    wanted = released(farm, ref)
    through = viewed(edges)
    waiting = iter(through)
    heard: SimpleQueue[tuple[Played, ...] | Exception] = SimpleQueue()

    def work() -> None:
        with TemporaryDirectory(prefix="canary-") as folder:
            for edge in waiting:
                try:
                    heard.put(_through(edge, wanted, Path(folder)))
                except Exception as error:  # noqa: BLE001 - raised again where it is heard
                    heard.put(error)

    # No pool: a process that ends would wait for its threads, and so for an edge that drips.
    for _ in range(min(AT_ONCE, len(through))):
        threading.Thread(target=work, name="canary", daemon=True).start()
    for _ in through:
        found = heard.get()
        if isinstance(found, Exception):
            raise found
        yield from found


def viewed(edges: Sequence[Edge]) -> list[Edge]:
    """The edges that viewers come to: a shield lets in none."""
    return [edge for edge in edges if edge.role == "pop"]


def released(farm: Farm, ref: Ref) -> Offered:
    """What viewers are to get by that ref. Raises `ReleaseError` when that is nothing."""
    made = farm.ledger.artifacts([ref.version]) if ref.version else {}
    if ref.version is None or ref.version not in made or ELSEWHERE in ref.ended:
        raise ReleaseError(
            f"`{ref.episode}` is not offered: viewers get nothing of it that could be played.",
            hint=f"`avant release show {ref.episode}` says from when; `log`, what was done.",
        )
    version = made[ref.version]
    tracks = farm.ledger.artifacts(version.facts["tracks"])
    listed = (inventory(farm.store, farm.names, tracks[digest]) for digest in version.facts["tracks"])
    items = [item for each in listed for item in each]
    return offered(ref, load_tracks(tracks[digest] for digest in version.facts["tracks"]), policy_of(version), items)


def _through(edge: Edge, wanted: Offered, folder: Path) -> tuple[Played, ...]:
    try:
        return tuple(play(edge, wanted, folder))
    except SupersededError:
        return ()
    except ConfigurationError as error:  # of this edge: the others are played all the same
        return tuple(
            Played(edge=edge.name, protocol=protocol, language=language, fault=str(error), seconds=0.0)
            for protocol in get_args(Protocol)
            for language in wanted.languages
        )
