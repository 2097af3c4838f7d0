"""
What must not be collected: what viewers get or got a while ago, what is to be released, what plans may go back to, and
what unfinished work starts from.

A version pins its tracks, because it was composed from them; an edition pins its evidence too. Chunks and sounds are
pinned by steps alone: once every track that is made of them is there, nobody needs them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Select, exists, select

from pipelines.errors import ReleaseError
from workers.ledger.schema import acts, artifacts, episodes, now, plans, refs, releases, step_makes, step_needs, steps
from workers.ledger.submit import spare

#: Steps that start from nothing any more.
OVER = ("done", "dropped")
#: What a track is made of.
INTERMEDIATE = ("chunk", "sound")


def rescue(connection: Connection, version: str) -> None:
    """Have a version that viewers are to get again not collected. Raises `ReleaseError` if it is too late for that."""
    there = connection.execute(select(artifacts.c.digest).where(artifacts.c.digest == version)).first()
    collected = select(steps.c.id).join(step_makes, step_makes.c.step == steps.c.id)
    if (
        there is None
        and connection.execute(collected.where(step_makes.c.artifact == version, steps.c.life > 0)).first()
    ):
        raise ReleaseError("That version was collected: nobody needed it.", hint="Submit its delivery again.")
    spare(connection, {version, *_composed_of(connection, {version})})


def shown(connection: Connection, *, keep: int, lifetime: timedelta) -> set[str]:
    """
    What viewers get, may get next, or may still be playing, and the last `keep` versions that each episode showed; with
    their tracks and their evidence.

    Armed releases are read before refs: one that is flipped between the two is seen twice rather than never.
    """
    pinned = {digest for row in connection.execute(select(releases.c.editions)) for digest in _of(row.editions)}
    seen = defaultdict[str, list[str]](list)
    moves = select(acts.c.episode, acts.c.before, acts.c.after, (now() - acts.c.at).label("age"))
    for row in connection.execute(moves.where(acts.c.generation.is_not(None)).order_by(acts.c.id.desc())):
        seen[row.episode] += filter(None, [row.after.get("version")])  # an end names none
        if row.age < lifetime.total_seconds():
            pinned |= {row.before.get("version"), row.after.get("version")}
    pinned |= {version for each in seen.values() for version in list(dict.fromkeys(each))[:keep]}
    pinned |= set(connection.scalars(select(refs.c.version)))
    pinned -= {None, ""}
    return pinned | _composed_of(connection, pinned) | _found_of(connection, pinned)


def planned(connection: Connection, *, keep: int) -> set[str]:
    """
    All editions of the last `keep` plans of each episode, with their evidence; of one whose version the ledger has
    forgotten, of all plans. One that was called off before anyone saw it pins nothing.
    """
    shows = {row.episode: row.version for row in connection.execute(select(refs.c.episode, refs.c.version))}
    cancelled = set(connection.scalars(select(episodes.c.id).where(episodes.c.cancelled_at.is_not(None))))
    query = select(plans.c.episode, plans.c.plan["editions"].label("editions"))
    count = defaultdict[str, int](int)
    pinned: set[str] = set()
    for row in connection.execute(query.order_by(plans.c.submitted_at.desc())):
        count[row.episode] += 1
        if row.episode in cancelled and row.episode not in shows:
            continue
        if count[row.episode] <= keep or shows.get(row.episode) == "":
            pinned |= set(_of(row.editions))
    return pinned


def working(connection: Connection, among: Collection[str] | None = None) -> set[str]:
    """What unfinished steps start from, and what they are about to make; `among` those digests, if they are given."""
    found: set[str] = set()
    for table in (step_needs, step_makes):
        query = select(table.c.artifact).join(steps, steps.c.id == table.c.step).where(steps.c.state.not_in(OVER))
        found |= set(connection.scalars(query if among is None else query.where(table.c.artifact.in_(among))))
    return found


def leaned_on(connection: Connection, digests: Collection[str]) -> set[str]:
    """Those tracks, versions and checks from which something was made that exists: it must go first."""
    maker = step_makes.alias("maker")
    made = exists(
        select(artifacts.c.digest)
        .join(maker, maker.c.artifact == artifacts.c.digest)
        .where(maker.c.step == step_needs.c.step)
    )
    query = select(step_needs.c.artifact).where(step_needs.c.artifact.in_(digests), made)
    return set(connection.scalars(query))


def _composed_of(connection: Connection, versions: Collection[str]) -> set[str]:
    """The tracks of those versions."""
    query = _needs(step_needs.c.artifact).where(step_makes.c.artifact.in_(versions))
    return set(connection.scalars(query))


def _found_of(connection: Connection, versions: Collection[str]) -> set[str]:
    """What was found out about those versions: that they are whole, and warm."""
    query = _needs(step_makes.c.artifact).where(step_needs.c.artifact.in_(versions))
    return set(connection.scalars(query))


def _needs(column: Any) -> Select[Any]:
    return select(column).select_from(step_needs).join(step_makes, step_makes.c.step == step_needs.c.step)


def _of(editions: Any) -> Iterator[str]:
    for edition in editions:
        yield from (edition["version"], edition["verification"], *edition["warmth"].values(), *edition["tracks"])
