"""
A claim kept alive while a tool runs, and given up in time when it can't be.

A thread renews it. The work is stopped `margin` seconds before the lease can have run out, counted on this machine's
monotonic clock from *sending* the last renewal that succeeded: whatever the ledger's clock or the network did since,
nobody else holds the step yet.
"""

import time
from collections.abc import Callable
from contextvars import copy_context
from threading import Event, Thread
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import Interrupted

#: Seconds that killing a tool and its uploads may take; of a short lease, a third.
MARGIN = 10.0
#: Seconds between two looks: progress is told this often.
TICK = 0.5
#: Progress that is worth telling before a renewal is due.
TELLING = 0.01

log = structlog.get_logger()


class Lease:
    """
    A lease, taken at `taken` for `seconds`, renewed while the context lasts.

    `renew` is given the progress (0 to 1) and says whether the step is still ours.
    """

    def __init__(
        self,
        renew: Callable[[float], bool],
        *,
        seconds: float,
        taken: float,
        stopping: Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = renew
        self._seconds = seconds
        self._clock = clock
        self._stopping = stopping
        self._over = Event()
        self._lost = False
        self._renewed = taken
        self._progress = self._told = 0.0
        # In our context: its log lines are about the same step.
        self._thread = Thread(target=copy_context().run, args=(self._keep,), name="keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def watch(self, progress: float) -> None:
        """Say how far the work is. Raises `Interrupted` when it no longer counts."""
        self._progress = max(self._progress, min(1.0, progress))
        if self._stopping.is_set():
            raise Interrupted("The worker is stopping.")
        if self._lost or self._clock() > self._renewed + self._seconds - min(MARGIN, self._seconds / 3):
            raise Interrupted("The lease ran out.", hint="See whether the ledger is up and the host not overloaded.")

    def renew(self) -> None:
        """Renew the lease now. A ledger that is out of reach is asked again."""
        sent, progress = self._clock(), self._progress
        try:
            held = self._ask(progress)
        except SQLAlchemyError as error:
            log.warning("lease.unrenewed", error=type(error).__name__)
            return
        if held:
            self._renewed, self._told = sent, progress
        else:
            self._lost = True

    def _keep(self) -> None:
        tick = min(TICK, self._seconds / 10)
        while not self._over.wait(tick) and not self._lost:
            due = self._clock() - self._renewed >= self._seconds / 3
            if due or self._progress - self._told >= TELLING:
                self.renew()
