"""
`avant gc`: what nobody needs any more goes, a day after that was first found.

Four kinds of garbage: artifacts that nothing reaches, what dropped steps had begun to publish, what attempts left that
did not win, and the progress of warming that nobody goes on with. Killed at any moment, the next run goes on; several
at once do no harm.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipelines import layout
from pipelines.errors import StoreError
from pipelines.tools.s3 import Listed, Store
from workers.farm import Farm
from workers.ledger import Attempt, Begun, Existing, Grave

#: From the first time that nothing needs something until it is collected; and how long what nobody vouches for is left.
WAIT = timedelta(days=1)
#: For so long a session may go on with what it was told at its beginning.
SESSION = timedelta(days=1)
#: Versions of an episode, and plans, that an operator may go back to.
KEEP = 3
#: How the ids of steps begin that make versions; the others that publish make tracks.
COMPOSED = "compose-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long things are kept."""

    keep: int = KEEP
    wait: timedelta = WAIT
    session: timedelta = SESSION


TERMS = Terms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """All that exists, by what becomes of it."""

    kept: tuple[Existing, ...]
    #: Needed, but doomed so far.
    spared: tuple[Existing, ...]
    #: Needed no more: found so now, or a while ago, or long enough ago.
    doomed: tuple[Existing, ...]
    waiting: tuple[Existing, ...]
    due: tuple[Existing, ...]


@dataclass(slots=True, kw_only=True)
class Count:
    """How much of something."""

    number: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        self.number += 1
        self.bytes += size


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a collection did, or would do, in artifacts and objects."""

    kept: Mapping[str, Count]
    doomed: Mapping[str, Count]
    waiting: Mapping[str, Count]
    #: Existed until now.
    collected: Mapping[str, Count]
    #: Objects of dropped steps, of attempts that did not win, and of warmings that nobody goes on with.
    leftovers: Count = field(default_factory=Count)
    #: Objects that were deleted.
    deleted: Count = field(default_factory=Count)


def sort(existing: Iterable[Existing], wait: timedelta) -> Sorted:
    """What becomes of each. Pure."""
    found = defaultdict[str, list[Existing]](list)
    for one in existing:
        if one.pinned:
            found["kept" if one.doomed is None else "spared"].append(one)
        elif one.doomed is None:
            found["doomed"].append(one)
        else:
            found["due" if one.doomed >= wait.total_seconds() else "waiting"].append(one)
    return Sorted(**{name: tuple(found[name]) for name in ("kept", "spared", "doomed", "waiting", "due")})


def collect(farm: Farm, terms: Terms = TERMS) -> Report:
    """Doom what is needed no more, collect what was doomed long enough ago, delete what was collected."""
    ledger = farm.ledger
    found = sort(ledger.survey(keep=terms.keep, lifetime=terms.session), terms.wait)
    ledger.spare([one.digest for one in found.spared])
    ledger.doom([one.digest for one in found.doomed])
    collected = ledger.collect(found.due, since=terms.wait, keep=terms.keep, lifetime=terms.session)
    ledger.abandon({one: _place(farm, one) for one in ledger.begun()}, wait=terms.wait)
    report = _report(found, collected=[one for one in found.due if one.digest in set(collected)])
    for grave in ledger.graves():
        empty(farm.store, grave, report.deleted)
        ledger.fill([grave])
    left = list(_leftovers(farm, terms.wait))
    farm.store.delete(listed.key for listed in left)
    for listed in left:
        report.leftovers.add(listed.size)
        report.deleted.add(listed.size)
    return report


def look(farm: Farm, terms: Terms = TERMS) -> Report:
    """What `collect` would do now. Changes nothing."""
    found = sort(farm.ledger.survey(keep=terms.keep, lifetime=terms.session), terms.wait)
    report = _report(found, collected=found.due)
    for listed in _leftovers(farm, terms.wait):
        report.leftovers.add(listed.size)
    for begun in farm.ledger.begun():
        for listed in farm.store.listed(_place(farm, begun)):
            report.leftovers.add(listed.size)
    return report


def left_by_attempts(
    listed: Iterable[Listed], attempts: Mapping[str, Attempt], committed: Iterable[str], since: datetime
) -> Iterator[Listed]:
    """
    Objects below `attempts/` that are older than `since` and that no attempt can commit any more. Pure.

    A token above the step's own is left: this ledger was restored from a backup, and knows less than the store.
    """
    winners = set(committed)
    for one in listed:
        found = layout.INTERMEDIATE.fullmatch(one.key)
        if found is None or one.key in winners or one.modified > since:
            continue
        step, token = attempts.get(found[1]), int(found[2])
        if step is None or token < step.token or (token == step.token and not step.running):
            yield one


def _leftovers(farm: Farm, wait: timedelta) -> Iterator[Listed]:
    # The store's clock says when an object was written: the same clock says how long ago that was.
    since = farm.store.now() - wait
    for page in _paged(farm.store.listed(layout.ATTEMPTS)):
        # In this order: what was committed after it was listed is seen here, or its step still runs.
        steps = {found[1] for one in page if (found := layout.INTERMEDIATE.fullmatch(one.key))}
        attempts = farm.ledger.attempts(steps)
        yield from left_by_attempts(page, attempts, farm.ledger.committed([one.key for one in page]), since)
    names = (farm.names.to_be_made([digest], life).warming(digest) for digest, life in farm.ledger.warming())
    going_on = set(names)
    for one in farm.store.listed(layout.WARMING):
        if one.key not in going_on and one.modified <= since:
            yield one


def _paged(listed: Iterable[Listed]) -> Iterator[list[Listed]]:
    page: list[Listed] = []
    for one in listed:
        page.append(one)
        if len(page) == 1000:  # noqa: PLR2004 - as many as a store lists at once
            yield page
            page = []
    yield page


def _place(farm: Farm, begun: Begun) -> str:
    """Where a step that was dropped has begun to publish."""
    names = farm.names.to_be_made([begun.digest], begun.life)
    return names.version(begun.digest) if begun.step.startswith(COMPOSED) else names.track(begun.digest)


def empty(store: Store, grave: Grave, deleted: Count) -> None:
    """Delete what was at a grave's key; of a track or a version its inventory last, which says what there was."""
    if layout.INTERMEDIATE.fullmatch(grave.key):
        objects = [one for one in store.listed(grave.key) if one.key == grave.key]
    elif layout.PREFIX.fullmatch(grave.key):
        inventory = layout.inventory(grave.key)
        objects = [*store.listed(grave.key), *(one for one in store.listed(inventory) if one.key == inventory)]
    else:
        raise StoreError(f"`{grave.key}` is no place of a track, a version or an attempt: nothing of it was deleted.")
    store.delete(one.key for one in objects)
    for one in objects:
        deleted.add(one.size)


def _report(found: Sorted, *, collected: Iterable[Existing]) -> Report:
    return Report(
        kept=_counted((*found.kept, *found.spared)),
        doomed=_counted(found.doomed),
        waiting=_counted(found.waiting),
        collected=_counted(collected),
    )


def _counted(existing: Iterable[Existing]) -> dict[str, Count]:
    counts = defaultdict[str, Count](Count)
    for one in existing:
        counts[one.kind].add(one.size)
    return dict(counts)
