"""
May it be released now, and as which edition? Fails closed: what is not known to be right is not.

Asked in the transaction that flips, so that nothing of the answer can change before the flip is committed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import Any, Literal

from sqlalchemy import Connection, Row, select

from pipelines.edition import Edition, offered
from pipelines.errors import ReleaseError
from pipelines.wire import from_data
from workers.ledger.database import instant
from workers.ledger.schema import artifacts, checks, now, plans

#: What was proved or checked longer ago proves nothing. The first checkpoint is a day before the release: that alone,
#: with an hour in which it may run late, is enough; what was found before it never is.
STALE = timedelta(hours=25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Something in the way of an edition."""

    #: `store`, or `edge NAME`, as checks name them.
    subject: str
    #: Never found well yet; found not well since; not found well lately.
    kind: Literal["unproved", "failed", "stale"]
    said: str


def editions_of(row: Row[Any]) -> tuple[Edition, ...]:
    """What a row of `releases` promises, the least first."""
    return tuple(from_data(Edition, each) for each in row.editions)


def fullest(
    connection: Connection, row: Row[Any] | None, episode: str, viewers: str | None, *, let_go: bool = False
) -> Edition:
    """
    The fullest edition of what is armed that may be released now, or with `let_go` if it were not held; `viewers` have
    that version, if any.

    Raises `ReleaseError` when nothing is armed, it is held, before its time, or no edition is whole.
    """
    if row is None:
        raise ReleaseError(f"Nothing of `{episode}` is armed.", hint="Submit the episode, which arms it.")
    if row.held and not let_go:
        raise ReleaseError(f"The release of `{episode}` is held.", hint=f"`avant release go {episode}`.")
    if row.clock < row.at:
        left = timedelta(seconds=ceil(row.at - row.clock))
        raise ReleaseError(
            f"It is {left} too early to release `{episode}`: its time is {row.wall}.",
            hint=f"`avant release arm {episode} --at … --zone …` gives it another.",
        )
    choice = offered(editions_of(row), viewers)
    for edition in reversed(choice):
        # What viewers have is no release, whatever became of its checks: nobody takes it from them but an operator.
        if edition.version == viewers or not lacking(connection, edition):
            return edition
    raise _not_ready(connection, episode, choice[0])


def subjects(edition: Edition) -> Mapping[str, str]:
    """What must be known to be well of an edition, by subject of its checks; the digest of its first evidence."""
    return {"store": edition.verification} | {f"edge {edge}": made for edge, made in edition.warmth.items()}


def lacking(connection: Connection, edition: Edition) -> tuple[Lack, ...]:
    """What is in the way of an edition: no evidence, a check that failed since, nothing but old evidence."""
    wanted = subjects(edition)
    clock = connection.scalar(select(now())) or 0.0
    evidence = select(artifacts.c.digest, artifacts.c.committed_at).where(artifacts.c.digest.in_(wanted.values()))
    made = {row.digest: row.committed_at for row in connection.execute(evidence)}
    findings = connection.execute(select(checks).where(checks.c.version == edition.version))
    found = {row.subject: row for row in findings}
    each = (_lack(subject, made.get(goal), found.get(subject), clock) for subject, goal in wanted.items())
    return tuple(lack for lack in each if lack)


def _lack(subject: str, proved_at: float | None, check: Row[Any] | None, clock: float) -> Lack | None:
    """Why a subject is not known to be well, if it is not."""
    if proved_at is None:
        return Lack(subject=subject, kind="unproved", said="not verified yet" if subject == "store" else "not warm yet")
    if check is not None and not check.ok:
        return Lack(subject=subject, kind="failed", said=check.said.rstrip("."))
    last = max(proved_at, check.checked_at if check is not None else 0.0)
    if clock - last <= STALE.total_seconds():
        return None
    limit = STALE.total_seconds() / 3600
    said = f"stale, last found well at {instant(last):%Y-%m-%d %H:%M} UTC, more than {limit:.0f} h ago"
    return Lack(subject=subject, kind="stale", said=said)


def _not_ready(connection: Connection, episode: str, edition: Edition) -> ReleaseError:
    why = [f"{lack.subject}: {lack.said}" for lack in lacking(connection, edition)]
    if unmade := _unmade(connection, episode, edition):
        why.append(f"not made: {', '.join(unmade)}")
    return ReleaseError(f"`{episode}` is not ready: {'; '.join(why)}.", hint=f"See `avant release show {episode}`.")


def _unmade(connection: Connection, episode: str, edition: Edition) -> list[str]:
    """What people call the tracks of an edition that do not exist."""
    there = set(connection.scalars(select(artifacts.c.digest).where(artifacts.c.digest.in_(edition.tracks))))
    absent = [track for track in edition.tracks if track not in there]
    if not absent:
        return []
    last = select(plans.c.plan).where(plans.c.episode == episode).order_by(plans.c.submitted_at.desc()).limit(1)
    plan = connection.scalar(last) or {"tracks": []}
    labels = {track["digest"]: track["label"] for track in plan["tracks"]}
    return [labels.get(track, track) for track in absent]
