"""What a forecast is made from: what steps took that are done, and what is to be done before an episode is ready."""

from sqlalchemy import func, or_, select

from pipelines.step import Step
from pipelines.wire import from_data
from workers.ledger.database import Database
from workers.ledger.schema import now, steps, wants
from workers.ledger.submit import LIVE
from workers.pace import Pace, Queued, sort_of

#: So many of the last steps say how fast the farm is now.
RECENT = 1000
#: So many steps of other episodes that go before are looked at; more are hours of work, and seconds to draw.
AHEAD = 1000


class Histories(Database):
    """Measurements, and the queue."""

    def paces(self) -> tuple[Pace, ...]:
        """What the last steps took, the very last first."""
        took = (steps.c.finished_at - steps.c.started_at).label("took")
        query = select(steps.c.body, steps.c.host, took).where(
            steps.c.state == "done", steps.c.host.is_not(None), took > 0
        )
        with self._read() as connection:
            rows = connection.execute(query.order_by(steps.c.finished_at.desc()).limit(RECENT)).all()
        done = [(from_data(Step, row.body), row) for row in rows]
        return tuple(
            Pace(sort=sort_of(step), host=row.host, ratio=row.took / step.cost) for step, row in done if step.cost > 0
        )

    def queue(self, episode: str) -> tuple[Queued, ...]:
        """The unfinished steps that an episode wants, and those of others that run or are more urgent than the last."""
        wanted = select(wants.c.step).where(wants.c.episode == episode)
        last = select(func.max(steps.c.latest_start)).where(steps.c.id.in_(wanted), steps.c.state.in_(LIVE))
        before = or_(steps.c.state == "running", steps.c.latest_start <= last.scalar_subquery())
        told = select(steps, now().label("clock")).where(steps.c.state.in_(LIVE))
        with self._read() as connection:
            ours = connection.execute(told.where(steps.c.id.in_(wanted))).all()
            others = told.where(steps.c.id.not_in(wanted), before).order_by(steps.c.latest_start).limit(AHEAD)
            theirs = connection.execute(others).all() if ours else []
        return tuple(
            Queued(
                step=from_data(Step, row.body),
                key=row.latest_start,
                ours=mine,
                progress=row.progress if row.state == "running" else 0.0,
                elapsed=row.clock - row.started_at if row.state == "running" else 0.0,
            )
            for mine, rows in ((True, ours), (False, theirs))
            for row in rows
        )
