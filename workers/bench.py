"""
Where one step is done: a scratch folder, a workspace, one function of `pipelines`, a commit.

Whatever happens, the step ends in the ledger in exactly one way, and one line in the log says which.
"""

import errno
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any, Literal

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from pipelines.artifact import Artifact
from pipelines.errors import AvantError, Interrupted, ToolError, full_disk
from pipelines.layout import Names, attempt
from pipelines.step import Lane, Step
from pipelines.tools.s3 import Store
from pipelines.workspace import Workspace
from workers.broker import Tickets
from workers.lanes import SlotClass
from workers.lease import Lease
from workers.ledger import Claim, Ledger
from workers.observability import Culprit, report
from workers.reconcile import wake
from workers.scratch import scratch
from workers.settings import Settings
from workers.tally import tally

#: The function that does each kind of job.
Dispatch = Mapping[str, Callable[[Any, Workspace], tuple[Artifact, ...]]]

#: The event that says how an attempt ended.
Ending = Literal["step.done", "step.retried", "step.failed", "step.interrupted"]

#: Seconds until a ledger that is out of reach is asked again.
AGAIN = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A claim, and when it was asked for on the monotonic clock: its lease can't run out earlier than counted so."""

    claim: Claim
    taken: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One slot's means of doing steps."""

    settings: Settings
    ledger: Ledger
    tickets: Tickets
    store: Store
    names: Names
    dispatch: Dispatch
    #: The slot, and the machine that it is on.
    worker: str
    host: str
    #: Set when nothing more is to be begun.
    leaving: Event
    #: Set when the process is to end: the step under way is handed back.
    stopping: Event

    def claim(self, slots: SlotClass) -> Held | None:
        """The most urgent step for slots of this class. If there are more, the next slot is woken before we begin."""
        if self.leaving.is_set():
            return None
        taken = time.monotonic()
        claim = self.ledger.claim(
            slots.lanes, worker=self.worker, host=self.host, lease_seconds=self.settings.lease_seconds
        )
        if claim is None:
            return None
        try:
            wake(self.ledger, self.tickets)
        except SQLAlchemyError as error:  # the step is ours all the same; supervisors wake whom this should have
            log.warning("ledger.unreachable", error=type(error).__name__)
        return Held(claim=claim, taken=taken)

    def run(self, held: Held) -> None:
        """Do the step, and tell the ledger how it ended. Raises only `SQLAlchemyError`, when it can't be told."""
        claim, started = held.claim, time.monotonic()
        with structlog.contextvars.bound_contextvars(
            trace=claim.trace, episode=claim.episode, step=claim.step.id, host=self.host, slot=self.worker
        ):
            # Where in the store the attempt leaves what it makes, so that one leads to the other.
            place = attempt(claim.step.id, claim.token)
            log.info("step.started", label=claim.step.label, attempt=claim.attempt, place=place)
            ending, made = self._done(held)
            wall = round(time.monotonic() - started, 3)
            log.info(ending, kind=claim.step.job.kind, wall_s=wall, attempt=claim.attempt)
        tally(self.settings.home, self.worker).attempt(claim.step, ending.removeprefix("step."), wall, made)

    def _done(self, held: Held) -> tuple[Ending, tuple[Artifact, ...]]:
        """How the step ended, once the ledger knows, and what came of it."""
        step, token = held.claim.step, held.claim.token
        try:
            made = self._made(held)
            ready = self._committed(step, token, made)
        except Interrupted as error:
            self.ledger.hand_back(step.id, token)
            log.info("step.given-up", reason=error.message)
            return "step.interrupted", ()
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug in one pipeline fails its step, not the worker
            return self._failed(held.claim, _classed(error)), ()
        if ready:
            wake(self.ledger, self.tickets)
        return "step.done", made

    def _committed(self, step: Step, token: int, made: tuple[Artifact, ...]) -> Mapping[Lane, int]:
        """Commit. A ledger that is out of reach is asked again for a lease's time, or minutes of work would be lost."""
        patience = time.monotonic() + self.settings.lease_seconds
        while True:
            try:
                return self.ledger.commit(step.id, token, made)
            except OperationalError as error:
                log.warning("step.uncommitted", error=type(error).__name__)
                if time.monotonic() > patience or self.stopping.wait(AGAIN):
                    raise

    def _made(self, held: Held) -> tuple[Artifact, ...]:
        """What the step makes, all of it and nothing else."""
        claim, step = held.claim, held.claim.step
        lease = Lease(
            lambda progress: self.ledger.renew(
                step.id, claim.token, progress=progress, lease_seconds=self.settings.lease_seconds
            ),
            seconds=self.settings.lease_seconds,
            taken=held.taken,
            stopping=self.stopping,
        )
        with scratch(self.settings.home, self.worker, step.id, claim.token) as folder, lease:
            workspace = Workspace(
                scratch=folder,
                store=self.store,
                names=named(self.names, claim),
                attempt=attempt(step.id, claim.token),
                inputs=claim.inputs,
                watch=lease.watch,
            )
            made = self.dispatch[step.job.kind](step.job, workspace)
            lease.watch(1.0)
        if {artifact.digest for artifact in made} != set(step.makes):
            raise ToolError(f"Step {step.id} did not make what its plan says.", hint="This is a bug: report it.")
        return made

    def _failed(self, claim: Claim, error: Exception) -> Ending:
        try:
            verdict = self.ledger.fail(claim.step.id, claim.token, error)
        except Interrupted:
            return "step.interrupted"
        if verdict.pause is not None:
            log.warning("step.fault", error=type(error).__name__, message=str(error), retry_s=verdict.pause)
            return "step.retried"
        # A traceback only for what nobody foresaw: an AvantError's message says it all.
        log.error("step.fault", message=str(error), exc_info=None if isinstance(error, AvantError) else error)
        report(error, self._culprit(claim))
        return "step.failed"

    def _culprit(self, claim: Claim) -> Culprit:
        return Culprit(
            episode=claim.episode,
            step=claim.step.id,
            kind=claim.step.job.kind,
            host=self.host,
            trace=claim.trace,
            label=claim.step.label,
            worker=self.worker,
            attempt=claim.attempt,
        )


def named(names: Names, claim: Claim) -> Names:
    """What the step is to call what it starts from and what it makes, some of which may have been collected before."""
    known = names.knowing({digest: made.key for digest, made in claim.inputs.items()})
    return known.to_be_made(claim.step.makes, claim.life)


def _classed(error: Exception) -> Exception:
    """A full disk is the host's, whoever noticed it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return full_disk()
    return error
