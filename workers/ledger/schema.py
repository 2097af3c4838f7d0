"""
The tables, as the last migration leaves them. Instants are seconds since 1970 in UTC, by the ledger's own clock; what
people read is made in `views`.

Nothing is counted that can be looked up: a step is ready when no artifact that it needs is missing, a host's memory is
taken by the steps that run on it. A counter would have to be right after every kind of death; a query is.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

metadata = MetaData()

#: One row: the migration that the schema is at. Alembic's own, which makes and writes it.
revision = Table("alembic_version", MetaData(), Column("version_num", Text, primary_key=True))

#: One row for the whole ledger.
farm = Table(
    "farm",
    metadata,
    #: No token is given out that is not above it. Raised when the ledger is restored from a backup, which may have
    #: forgotten tokens that somebody still holds.
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
)

episodes = Table(
    "episodes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    #: The plan that counts: the last one submitted.
    Column("version", Text, nullable=False),
    #: Empty for bulk.
    Column("deadline", Double),
    Column("submitted_at", Double, nullable=False),
    #: Nothing is begun for it any more, until it is submitted again.
    Column("cancelled_at", Double),
)

#: Every plan that an episode ever had, by the version that it makes.
plans = Table(
    "plans",
    metadata,
    Column("episode", Text, ForeignKey("episodes.id"), primary_key=True),
    Column("version", Text, primary_key=True),
    Column("plan", JSON, nullable=False),
    Column("submitted_at", Double, nullable=False),
)

steps = Table(
    "steps",
    metadata,
    Column("id", Text, primary_key=True),
    #: The episode that first asked for it.
    Column("episode", Text, nullable=False),
    Column("lane", Text, nullable=False),
    #: The whole step; the columns beside it are what queries ask for.
    Column("body", JSON, nullable=False),
    Column("memory", BigInteger, nullable=False),
    #: waiting, ready, running, done, failed, quarantined, or dropped: nobody wants it any more. A row is never deleted,
    #: because its token must never be given out twice.
    Column("state", Text, nullable=False),
    #: Lowest goes first: when it must start so that the most urgent episode that wants it is in time.
    Column("latest_start", Double, nullable=False),
    #: Its place in its plan, for steps that are equally urgent.
    Column("position", Integer, nullable=False),
    #: Claims that count, and how many of those ended without a word from their holder.
    Column("attempts", Integer, nullable=False, default=0),
    Column("vanished", Integer, nullable=False, default=0),
    #: Rises with every claim; only the holder of the last one may renew, commit or fail.
    Column("token", BigInteger, nullable=False, default=0),
    Column("lease_until", Double),
    Column("worker", Text),
    Column("host", Text),
    Column("progress", Float, nullable=False, default=0.0),
    #: Not to be claimed before, after a failure that time may heal.
    Column("not_before", Double, nullable=False, default=0.0),
    Column("started_at", Double),
    Column("finished_at", Double),
    #: Of the last failure: class, message, hint, retryable, who can put it right.
    Column("error", JSON(none_as_null=True)),
    #: Where a tool failed last, and until when only other hosts may claim it.
    Column("failed_on", Text),
    Column("elsewhere_until", Double, nullable=False, server_default=text("0")),
    #: How often what it makes has been collected: made again, it gets another name.
    Column("life", Integer, nullable=False, server_default=text("0")),
)
#: The one query of a claim.
Index("steps_by_urgency", steps.c.state, steps.c.lane, steps.c.latest_start, steps.c.position)

step_needs = Table(
    "step_needs",
    metadata,
    Column("step", Text, ForeignKey("steps.id"), primary_key=True),
    Column("artifact", Text, primary_key=True),
)
Index("step_needs_by_artifact", step_needs.c.artifact)

step_makes = Table(
    "step_makes",
    metadata,
    Column("step", Text, ForeignKey("steps.id"), primary_key=True),
    Column("artifact", Text, primary_key=True),
)
Index("step_makes_by_artifact", step_makes.c.artifact)

#: Which episodes wait for a step, and how urgently each does.
wants = Table(
    "wants",
    metadata,
    Column("episode", Text, ForeignKey("episodes.id"), primary_key=True),
    Column("step", Text, ForeignKey("steps.id"), primary_key=True),
    Column("latest_start", Double, nullable=False),
)
Index("wants_by_step", wants.c.step)

artifacts = Table(
    "artifacts",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    #: Who made it: the attempt whose bytes count.
    Column("step", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("committed_at", Double, nullable=False),
    #: Since when nobody needs it. It exists all the same, until it is collected; whoever needs it again says so here.
    Column("doomed_at", Double),
)

#: What exists no more, and is still to be deleted from the store.
graves = Table(
    "graves",
    metadata,
    Column("id", Integer, primary_key=True),
    #: An object, or a prefix ending in "/".
    Column("key", Text, nullable=False),
    #: Not to be deleted before: somebody who has lost a step may still write there.
    Column("due", Double, nullable=False),
)

hosts = Table(
    "hosts",
    metadata,
    Column("host", Text, primary_key=True),
    #: Bytes that steps may reserve together.
    Column("memory", BigInteger, nullable=False),
    #: How many slots of each class.
    Column("slots", JSON, nullable=False),
    #: It claims nothing until an operator says otherwise.
    Column("drained", Boolean, nullable=False, server_default=false()),
)

#: Lanes that nobody claims from.
pauses = Table(
    "pauses",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("paused_at", Double, nullable=False),
)

refs = Table(
    "refs",
    metadata,
    Column("episode", Text, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("version", Text, nullable=False),
    #: What of it new sessions are not offered.
    Column("trim", JSON, nullable=False, server_default=text("'{}'")),
    #: Codes of the territories in which it has ended.
    Column("ended", JSON, nullable=False, server_default=text("'[]'")),
    Column("flipped_at", Double, nullable=False),
)

#: Where and until when an episode is offered, if there is more to say than: everywhere, for ever.
availabilities = Table(
    "availabilities",
    metadata,
    Column("episode", Text, primary_key=True),
    Column("body", JSON, nullable=False),
    #: When refs have something to say of it that they don't yet; empty: never again.
    Column("due", Double, index=True),
)

releases = Table(
    "releases",
    metadata,
    Column("episode", Text, primary_key=True),
    Column("at", Double, nullable=False),
    #: As the delivery said it: `2026-11-29 03:00 Europe/Paris`.
    Column("wall", Text, nullable=False),
    #: What may be released, the least first.
    Column("editions", JSON, nullable=False, server_default=text("'[]'")),
    #: An operator keeps it from being flipped.
    Column("held", Boolean, nullable=False, server_default=false()),
    Column("armed_at", Double, nullable=False),
)

#: The audit trail of releases. Rows are only added.
acts = Table(
    "acts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("episode", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("why", Text, nullable=False),
    #: Of the ref, if the act moved it.
    Column("generation", Integer),
    Column("before", JSON, nullable=False),
    Column("after", JSON, nullable=False),
)
Index("acts_by_episode", acts.c.episode, acts.c.id)

#: What was found when a version was checked again, after it was verified and warm: the last finding of each subject.
checks = Table(
    "checks",
    metadata,
    Column("version", Text, primary_key=True),
    #: `store`, or `edge NAME`.
    Column("subject", Text, primary_key=True),
    Column("checked_at", Double, nullable=False),
    Column("ok", Boolean, nullable=False),
    #: What is wrong, in a sentence; empty when nothing is.
    Column("said", Text, nullable=False),
    #: Since when it has been found so.
    Column("changed_at", Double, nullable=False),
)

#: What others are to be told, kept until they have taken it.
notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("episode", Text, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("body", JSON, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Double, nullable=False),
    #: Empty until somebody took it.
    Column("sent_at", Double),
)


class now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function that it is
    """The ledger's clock, in seconds since 1970."""

    type = Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _(_element: now, _compiler: SQLCompiler, **_kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _(_element: now, _compiler: SQLCompiler, **_kw: Any) -> str:
    # Not now(), which stands still for the length of a transaction that may have waited for a lock.
    return "extract(epoch from clock_timestamp())::double precision"
