"""What people ask the ledger: how far an episode is, which versions there are. Nothing here changes anything."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Row, select

from pipelines.artifact import Artifact
from pipelines.errors import ConfigurationError
from pipelines.plan import Plan
from pipelines.step import Step
from pipelines.wire import from_data
from presets.document import nearest
from workers.ledger.database import Database, instant
from workers.ledger.schema import artifacts, episodes, now, plans, refs, step_makes, steps
from workers.ledger.urgency import latest_start
from workers.ledger.work import artifact

State = Literal["waiting", "ready", "running", "done", "failed", "quarantined"]
#: Of several rows that make parts of one step: the one that says most about when it will be done.
TELLING = ("failed", "quarantined", "running", "ready", "waiting", "dropped", "done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a step failed last."""

    #: The error's class.
    kind: str
    message: str
    hint: str
    retryable: bool
    #: Who can put it right: `deliverer`, `operator`, `us`.
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A step of a plan, and how far it is."""

    step: Step
    state: State
    #: 0 to 1.
    progress: float
    #: Claims so far. 0 for a done step: its output was there before this ledger knew of it.
    attempts: int
    host: str | None
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    #: Not tried again before, after a failure that time may heal.
    not_before: datetime | None
    fault: Fault | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """An episode's current plan and every step of it."""

    plan: Plan
    deadline: datetime | None
    submitted_at: datetime
    #: The ledger's clock when this was read.
    now: datetime
    #: In the order of the plan.
    steps: tuple[StepView, ...]
    #: Digests of the plan's artifacts that exist.
    made: frozenset[str]
    #: When it was called off, if it was.
    cancelled_at: datetime | None = None

    def slack(self, view: StepView) -> float | None:
        """
        Seconds by which a step that is not done is early; negative: late. None without a deadline.

        One that runs is judged by when it began, any other by the time that is left for it to begin in.
        """
        if self.deadline is None or view.state == "done":
            return None
        began = view.started_at if view.state == "running" and view.started_at else self.now
        key = latest_start(view.step, deadline=self.deadline.timestamp(), submitted_at=self.submitted_at.timestamp())
        return key - began.timestamp()

    @property
    def stopped(self) -> Mapping[str, StepView]:
        """Steps that wait, directly or not, for what failed for good: by id, the failed step."""
        culprits = {made: view for view in self.stuck for made in view.step.makes}
        waiting: dict[str, StepView] = {}
        for view in self.steps:
            culprit = next((culprits[need] for need in view.step.needs if need in culprits), None)
            if culprit and view.state == "waiting":
                waiting[view.step.id] = culprit
                culprits |= dict.fromkeys(view.step.makes, culprit)
        return waiting

    @property
    def ready(self) -> bool:
        """Whether everything that a release waits for exists."""
        return self.made.issuperset(self.plan.goals)

    @property
    def stuck(self) -> tuple[StepView, ...]:
        """The steps that failed for good: nothing goes on without somebody."""
        return tuple(view for view in self.steps if view.state in ("failed", "quarantined"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeView:
    """An episode in a list."""

    episode: str
    title: str
    submitted_at: datetime
    deadline: datetime | None
    cancelled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """A version of an episode that exists."""

    artifact: Artifact
    made_at: datetime
    #: Whether viewers get it.
    released: bool


class Views(Database):
    """Questions."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._plans: dict[str, tuple[tuple[str, float], Plan]] = {}

    def overview(self, episode: str) -> Overview | None:
        """How far an episode is, or None if nobody submitted it."""
        with self._read() as connection:
            row = connection.execute(select(episodes, now().label("clock")).where(episodes.c.id == episode)).first()
            if row is None:
                return None
            plan = self._plan(connection, row)
            made = _existing(connection, plan)
            makers = _makers(connection, plan)
        return Overview(
            plan=plan,
            deadline=_maybe(row.deadline),
            submitted_at=instant(row.submitted_at),
            now=instant(row.clock),
            steps=tuple(_view(step, makers, made) for step in plan.steps),
            made=made,
            cancelled_at=_maybe(row.cancelled_at),
        )

    def unknown(self, episode: str) -> ConfigurationError:
        """What is raised of an episode that nobody submitted."""
        with self._read() as connection:
            return unknown(connection, episode)

    def check_known(self, episode: str) -> None:
        """Raise `ConfigurationError` if nobody submitted that episode."""
        with self._read() as connection:
            if connection.execute(select(episodes.c.id).where(episodes.c.id == episode)).first() is None:
                raise unknown(connection, episode)

    def episodes(self) -> tuple[EpisodeView, ...]:
        """All episodes, the last submitted first."""
        with self._read() as connection:
            rows = connection.execute(select(episodes).order_by(episodes.c.submitted_at.desc())).all()
        return tuple(
            EpisodeView(
                episode=row.id,
                title=row.title,
                submitted_at=instant(row.submitted_at),
                deadline=_maybe(row.deadline),
                cancelled_at=_maybe(row.cancelled_at),
            )
            for row in rows
        )

    def artifacts(self, digests: Iterable[str]) -> dict[str, Artifact]:
        """Those of `digests` that exist."""
        with self._read() as connection:
            rows = connection.execute(select(artifacts).where(artifacts.c.digest.in_(list(digests))))
            return {row.digest: artifact(row) for row in rows}

    def versions(self, episode: str) -> tuple[VersionView, ...]:
        """The versions of an episode that exist, newest first."""
        query = (
            select(artifacts, refs.c.version.label("released"))
            .join(plans, plans.c.version == artifacts.c.digest)
            .outerjoin(refs, refs.c.episode == plans.c.episode)
            .where(plans.c.episode == episode)
            .order_by(artifacts.c.committed_at.desc())
        )
        with self._read() as connection:
            return tuple(
                VersionView(
                    artifact=artifact(row), made_at=instant(row.committed_at), released=row.released == row.digest
                )
                for row in connection.execute(query)
            )

    def _plan(self, connection: Connection, row: Row[Any]) -> Plan:
        """The current plan of a row of `episodes`. Reading one costs milliseconds: the last of each episode is kept."""
        key = (row.version, row.submitted_at)
        kept = self._plans.get(row.id)
        if kept is None or kept[0] != key:
            query = select(plans.c.plan).where(plans.c.episode == row.id, plans.c.version == row.version)
            kept = key, from_data(Plan, connection.execute(query).scalar_one())
            self._plans[row.id] = kept  # another thread may keep another one meanwhile
        return kept[1]


def unknown(connection: Connection, episode: str) -> ConfigurationError:
    """What is raised of an episode that nobody submitted: it names the one that may be meant."""
    meant = nearest(episode, list(connection.scalars(select(episodes.c.id))))
    hint = f"Did you mean `{meant}`?" if meant else "`avant status` lists those there are."
    return ConfigurationError(f"There is no episode `{episode}`.", hint=hint)


def _existing(connection: Connection, plan: Plan) -> frozenset[str]:
    makes = [made for step in plan.steps for made in step.makes]
    return frozenset(connection.scalars(select(artifacts.c.digest).where(artifacts.c.digest.in_(makes))))


def _makers(connection: Connection, plan: Plan) -> Mapping[str, list[Row[Any]]]:
    """The rows that make, or made, each artifact of the plan; an encode's rungs may be spread over several."""
    makes = [made for step in plan.steps for made in step.makes]
    told = [column for column in steps.c if column is not steps.c.body]  # which the plan holds already
    query = select(step_makes.c.artifact, *told).join(steps, steps.c.id == step_makes.c.step)
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query.where(step_makes.c.artifact.in_(makes))):
        found[row.artifact].append(row)
    return found


def _view(step: Step, makers: Mapping[str, list[Row[Any]]], made: frozenset[str]) -> StepView:
    # What was made and is not there was collected, because nothing needs it any more.
    states = {digest: {row.state for row in makers.get(digest, ())} for digest in step.makes}
    collected = {digest for digest, found in states.items() if "done" in found <= {"done", "dropped"}}
    done = (made | collected).issuperset(step.makes)
    rows = [row for digest in step.makes for row in makers.get(digest, ()) if done == (row.state == "done")]
    row = min(rows, key=lambda row: (TELLING.index(row.state), row.id), default=None)
    state: State = "done" if done else "waiting" if row is None or row.state == "dropped" else row.state
    return StepView(
        step=step,
        state=state,
        progress=1.0 if done else row.progress if row else 0.0,
        attempts=row.attempts if row else 0,
        host=row.host if row else None,
        worker=row.worker if row else None,
        started_at=_maybe(row.started_at) if row else None,
        finished_at=_maybe(row.finished_at) if row else None,
        not_before=instant(row.not_before) if row and row.not_before and state == "ready" else None,
        fault=_fault(row.error) if row else None,
    )


def _fault(error: dict[str, Any] | None) -> Fault | None:
    if error is None:
        return None
    return Fault(
        kind=error["class"],
        message=error["message"],
        hint=error["hint"],
        retryable=error["retryable"],
        who=error.get("who", "us"),
    )


def _maybe(seconds: float | None) -> datetime | None:
    return None if seconds is None else instant(seconds)
