"""How far an episode is: a live table at a terminal, a line now and then elsewhere."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipelines.encode import EncodeJob
from pipelines.instant import Instant
from scripts.avant.console import clock_time, duration, say, talk
from workers.eta import Load, seconds_left, share_done
from workers.ledger import Overview, StepView
from workers.supervisor import Supervisor

#: Seconds from one line to the next where there is no terminal.
QUIET = 5.0
#: Running steps shown at a time.
SHOWN = 8


class Progress:
    """Says how far the steps of an episode are. A context, so that a terminal is left as it was found."""

    def __init__(self, release: Instant | None, *, quiet: bool = False) -> None:
        self._release = release
        self._quiet = quiet
        self._live = (
            Live(console=talk, refresh_per_second=4, transient=True) if talk.is_terminal and not quiet else None
        )
        self._said = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def tick(self, overview: Overview, supervisor: Supervisor) -> None:
        """To be called whenever something may have changed."""
        self.show(overview, [slot.lanes for slot in supervisor.slots])

    def show(self, overview: Overview, slots: Sequence[Collection[str]]) -> None:
        """Say how far it is, and when it will be done on `slots`, each given as the lanes that it serves."""
        loads = loads_of(overview)
        left = seconds_left(loads, slots)
        if self._live:
            self._live.update(_table(overview, share_done(loads), left, self._release))
        elif not self._quiet and time.monotonic() - self._said >= QUIET:
            self._said = time.monotonic()
            say(_line(overview, share_done(loads), left, self._release))


@contextmanager
def countdown(release: Instant | None, *, quiet: bool) -> Iterator["Countdown"]:
    """Says how long it still is until the release."""
    live = Live(console=talk, refresh_per_second=2, transient=True) if talk.is_terminal and not quiet else None
    if live:
        live.start()
    try:
        yield Countdown(release, live)
    finally:
        if live:
            live.stop()


class Countdown:
    def __init__(self, release: Instant | None, live: Live | None) -> None:
        self._release = release
        self._live = live

    def tick(self, left: timedelta) -> None:
        if self._live and self._release:
            until = duration(left.total_seconds())
            self._live.update(Text(f"armed: {self._release.wall} ({clock_time(self._release.utc)}), in {until}"))


def loads_of(overview: Overview) -> list[Load]:
    """What the forecast needs of each step that this plan made necessary."""
    return [
        Load(step=view.step, progress=view.progress, elapsed=_elapsed(view, overview))
        for view in overview.steps
        if view.state != "done" or (view.started_at and view.started_at >= overview.submitted_at)
    ]


def speed(view: StepView, overview: Overview) -> str:
    """How many times faster than playing a chunk is being encoded: `3.4×`."""
    elapsed = _elapsed(view, overview)
    if not isinstance(view.step.job, EncodeJob) or elapsed < 1 or not view.progress:
        return ""
    played = view.step.job.frames / float(view.step.job.frame_rate) * view.progress
    return f"{played / elapsed:.1f}×"


def _elapsed(view: StepView, overview: Overview) -> float:
    if view.started_at is None or view.state in ("ready", "waiting"):
        return 0.0
    return (
        (view.finished_at if view.state == "done" and view.finished_at else overview.now) - view.started_at
    ).total_seconds()


def _line(overview: Overview, share: float, left: float, release: Instant | None) -> str:
    done = sum(view.state == "done" for view in overview.steps)
    return (
        f"{overview.plan.episode}: {share:4.0%}, {done} of {len(overview.steps)} steps, {_eta(overview, left, release)}"
    )


def _eta(overview: Overview, left: float, release: Instant | None) -> str:
    ready = overview.now + timedelta(seconds=left)
    text = f"ready in {duration(left)}, at {ready:%H:%M:%S} UTC"
    if release is None:
        return text
    slack = (release.utc - ready).total_seconds()
    return f"{text}, {duration(abs(slack))} {'before' if slack >= 0 else 'AFTER'} its release"


def _table(overview: Overview, share: float, left: float, release: Instant | None) -> Group:
    table = Table.grid(padding=(0, 2))
    running = [view for view in overview.steps if view.state == "running"]
    for view in running[:SHOWN]:
        bar = ProgressBar(total=1.0, completed=view.progress, width=24)
        table.add_row(view.step.label, bar, f"{view.progress:4.0%}", speed(view, overview))
    for view in overview.steps:
        if view.fault and view.state in ("ready", "failed", "quarantined"):
            table.add_row(view.step.label, Text(view.state), "", view.fault.message)
    return Group(Text(_line(overview, share, left, release)), table)
