"""
May it be released now, and as which edition? Fails closed: what is not known to be right is not.

Asked in the transaction that flips, so that nothing of the answer can change before the flip is committed.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from pipelines.edition import Edition, offered
from pipelines.errors import ReleaseError
from pipelines.wire import from_data
from workers.ledger.schema import artifacts, checks


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
        raise ReleaseError(
            f"It is {row.at - row.clock:.1f} s too early to release `{episode}`.", hint=f"Its time is {row.wall}."
        )
    choice = offered(editions_of(row), viewers)
    for edition in reversed(choice):
        if not lacking(connection, edition):
            return edition
    raise _not_ready(connection, episode, choice[0])


def lacking(connection: Connection, edition: Edition) -> Sequence[str]:
    """Digests of the edition's goals that don't exist, and names of its checks that failed since."""
    goals = set(edition.goals)
    there = set(connection.scalars(select(artifacts.c.digest).where(artifacts.c.digest.in_(goals))))
    failed = select(checks.c.subject).where(checks.c.version == edition.version, ~checks.c.ok)
    return [*sorted(goals - there), *connection.scalars(failed.order_by(checks.c.subject))]


def _not_ready(connection: Connection, episode: str, edition: Edition) -> ReleaseError:
    names = {edition.verification: "verification"} | {made: f"edge {edge}" for edge, made in edition.warmth.items()}
    missing = ", ".join(names.get(each, each) for each in lacking(connection, edition))
    return ReleaseError(
        f"`{episode}` is not ready: not passed are {missing}.", hint=f"See `avant release show {episode}`."
    )
