"""
The name of a submission, by which every log line and report is found that it caused, from its arrival to its release.

Nothing is kept for it: it follows from the episode and the instant at which it was handed in. A step that several
episodes want goes by the one that asked for it first.
"""

from typing import Any

from sqlalchemy import ColumnElement, select

from pipelines.wire import digest
from workers.ledger.database import Database
from workers.ledger.schema import episodes, plans, steps

#: 128 bits in hex, as W3C Trace Context has it, and whoever follows that.
DIGITS = 32


def trace_of(episode: str, submitted_at: float | None) -> str:
    """The trace of what was handed in of an episode then, by the ledger's clock; empty if nothing was."""
    if submitted_at is None:
        return ""
    return digest([episode, round(submitted_at * 1000)])[:DIGITS]


def asked() -> ColumnElement[Any]:
    """A column beside those of a step: when what it is for was handed in last, `submitted_at`."""
    last = select(episodes.c.submitted_at).where(episodes.c.id == steps.c.episode)
    return last.correlate(steps).scalar_subquery().label("submitted_at")


class Traces(Database):
    """Traces."""

    def trace(self, episode: str, version: str) -> str:
        """The trace of the last submission that was to make that version; empty if there was none."""
        query = select(plans.c.submitted_at).where(plans.c.episode == episode, plans.c.version == version)
        with self._read_at_once() as connection:
            found = connection.scalar(query)
        return trace_of(episode, found)
