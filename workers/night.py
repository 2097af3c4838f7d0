"""
Levers for the night: what viewers get is changed in a second, and shown before it is.

A lever is decided (`pipelines/levers.py`), rendered as it will be served, turned in the ledger by compare-and-set, and
published here: it works when no worker and no clock does.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from pipelines import layout, levers
from pipelines.artifact import Artifact
from pipelines.errors import ConfigurationError, ReleaseError, StoreError
from pipelines.levers import Moved
from pipelines.offer import NOTHING, Offer, changes, offered
from pipelines.release import Ref, generation_of
from pipelines.trim import Trim
from workers import observability
from workers.clock import publish, rendered
from workers.farm import Farm, explaining, open_farm
from workers.ledger import Act, By, Ledger, open_ledger
from workers.settings import Settings
from workers.store import names, open_store

#: From an entry point's writing until no edge has the one before: its time at edges, and a second to fetch it.
SEEN_WITHIN = timedelta(seconds=layout.TTL + 1)
#: Of the trail, as far back as a rollback looks.
TRAIL = 10_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a lever would do, decided and not done."""

    before: Ref
    #: A generation on; the same as `before` if that is so already.
    after: Ref
    #: What new sessions are offered before, and after.
    had: Offer
    gets: Offer
    #: Whether a release is armed that will be held, so that no clock undoes it.
    holds: bool = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return self.before == self.after

    @property
    def changes(self) -> tuple[str, ...]:
        """A line for each thing that new sessions will find otherwise."""
        return changes(self.had, self.gets)


Lever = Callable[[Farm, Ref], Turn]


@contextmanager
def open_night(settings: Settings) -> Iterator[Farm]:
    """
    Ledger, store and names, for somebody who makes nothing: beside a clock or a worker of the same home.

    Where the store is embedded, it is started; nobody else can be at work there then.
    """
    if settings.s3_endpoint is None:
        with open_farm(settings) as farm:
            farm.wait()
            yield farm
        return
    observability.configure(settings)
    with explaining(), closing(open_store(settings)) as store, closing(open_ledger(settings.ledger_address)) as ledger:
        yield Farm(settings=settings, store=store, names=names(settings), ledger=ledger)


def released(farm: Farm, episode: str) -> Ref:
    """The ref of an episode that viewers have. Raises `ReleaseError`, or `ConfigurationError` for an unknown one."""
    ref = farm.ledger.ref(episode)
    if ref.state == "not-yet":
        farm.ledger.check_known(episode)
        raise ReleaseError(
            f"`{episode}` is not released: viewers are offered nothing that could be changed.",
            hint=f"Until then there are `avant release hold {episode}`, `go` and `arm`.",
        )
    if ref.version is None:
        raise ReleaseError(
            f"The ledger has forgotten which version of `{episode}` viewers get.",
            hint="Submit and release the episode again.",
        )
    check_names(farm, [ref.version])
    return ref


def check_names(farm: Farm, versions: Iterable[str]) -> None:
    """Raise `ConfigurationError` if we would call versions something else than they were published as."""
    found = farm.ledger.artifacts(versions)
    lives = farm.ledger.lives(found)
    for digest, version in found.items():
        if version.key != farm.names.to_be_made([digest], lives.get(digest, 0)).version(digest):
            raise ConfigurationError(
                "The secret that public names are made with is not the one that this episode was published with.",
                hint="Set AVANT_NAMING_KEY to what it is on the farm's other hosts.",
            )


def behind(farm: Farm, ref: Ref) -> bool:
    """Whether viewers do not have what the ref says yet, though it could be served: somebody was cut off."""
    found = farm.store.get(layout.entry_points(ref.episode) + layout.RELEASE)
    if found and generation_of(found[0]) >= ref.generation:
        return False
    return offer(farm, ref) != NOTHING


def withdraw(language: str) -> Lever:
    """New sessions do not get that language any more."""
    return lambda farm, ref: _trimmed(farm, ref, levers.withdrawn(ref.trim, language, _languages(farm, ref)))


def restore(language: str) -> Lever:
    """New sessions get it again."""
    return lambda farm, ref: _trimmed(farm, ref, levers.restored(ref.trim, language, _languages(farm, ref)))


def cap(*, height: int | None, bitrate: int | None) -> Lever:
    """New sessions get no rung above that, in pixels or in bits per second."""
    return lambda farm, ref: _trimmed(farm, ref, levers.capped(ref.trim, height=height, bitrate=bitrate))


def uncap() -> Lever:
    """New sessions get all rungs again."""
    return lambda farm, ref: _trimmed(farm, ref, levers.uncapped(ref.trim))


def rollback(farm: Farm, ref: Ref) -> Turn:
    """New sessions get the version that viewers had before; what is withdrawn or capped stays so."""
    acts = reversed(farm.ledger.acts(ref.episode, limit=TRAIL))
    moves = [_moved(act) for act in acts if act.generation is not None and "version" in act.after]  # not an end
    version = levers.previous(moves, ref.version or "")
    if version is None:
        raise ReleaseError(
            f"Viewers of `{ref.episode}` have had no version before this one.",
            hint=f"`avant release withdraw {ref.episode} LANG` takes a language out of it.",
        )
    after = moved_to(ref, version)
    armed = [release for release in farm.ledger.armed() if release.episode == ref.episode]
    return _turn(farm, ref, after, holds=any(not release.held for release in armed))


def pull(farm: Farm, turn: Turn, by: By) -> Ref:
    """
    Do it, and have edges find it: the ref as it is then.

    Raises `ReleaseError` if the ref is not what the turn was decided on any more; `StoreError` if it is decided, and
    viewers do not have it yet.
    """
    if turn.idle:
        publish(farm, turn.before)
        return turn.before
    version = turn.after.version or ""
    ref = farm.ledger.turn(turn.before, version=version, trim=turn.after.trim, by=by)
    if ref is None:
        raise _overtaken(farm.ledger, turn.before)
    log.info("release.turned", episode=ref.episode, generation=ref.generation, action=by.action, who=by.who)
    try:
        publish(farm, ref)
    except StoreError as error:
        raise StoreError(
            f"{error.message} Generation {ref.generation} is decided, and viewers do not have it yet.",
            hint="Any `avant clock` ends it once the store is back; so does the same command again.",
        ) from error
    return ref


def offer(farm: Farm, ref: Ref) -> Offer:
    """What entry points of that ref offer; nothing, if nothing is left of it or it is gone."""
    try:
        return offered(rendered(farm, ref))
    except ReleaseError:
        return NOTHING


def moved_to(ref: Ref, version: str) -> Ref:
    """The ref, a generation on, of another version; what is withdrawn or capped stays so."""
    return replace(ref, generation=ref.generation + 1, state="released", version=version, flipped_at=None)


def told(act: Act, now: datetime) -> str:
    """Who did what, how long ago, and why."""
    ago = (now - act.at).total_seconds()
    why = f": {act.by.why}" if act.by.why else ""
    return f"{act.by.who} did `{act.by.action}` {ago:.0f} s ago{why}"


def _trimmed(farm: Farm, ref: Ref, trim: Trim) -> Turn:
    if trim == ref.trim:
        had = offer(farm, ref)
        return Turn(before=ref, after=ref, had=had, gets=had)
    return _turn(farm, ref, replace(ref, generation=ref.generation + 1, trim=trim, flipped_at=None))


def _turn(farm: Farm, before: Ref, after: Ref, *, holds: bool = False) -> Turn:
    """Rendered first: what can't be served is refused before anything is turned."""
    gets = offered(rendered(farm, after))
    return Turn(before=before, after=after, had=offer(farm, before), gets=gets, holds=holds)


def _languages(farm: Farm, ref: Ref) -> tuple[str, ...]:
    """Those that the version has sound in, whether offered or not."""
    version = farm.ledger.artifacts([ref.version or ""]).get(ref.version or "")
    made = farm.ledger.artifacts(version.facts["tracks"]) if version else {}
    sounds = (one for one in made.values() if one.facts.get("kind") == "audio")
    return tuple(dict.fromkeys(_language(sound) for sound in sounds))


def _language(sound: Artifact) -> str:
    return str(sound.facts["language"])


def _moved(act: Act) -> Moved:
    return Moved(version=act.after["version"], back=act.by.action == "rollback")


def _overtaken(ledger: Ledger, seen: Ref) -> ReleaseError:
    """Another was first: who, and with what."""
    acts = [act for act in ledger.acts(seen.episode) if (act.generation or 0) > seen.generation]
    now = ledger.now()
    others = "; ".join(told(act, now) for act in reversed(acts)) or "somebody was faster"
    return ReleaseError(
        f"Nothing was changed: `{seen.episode}` is not what it was when you looked; {others}.",
        hint="Look again with --dry-run.",
    )
