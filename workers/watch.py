"""
What a clock does beside flipping: looks at everything again at the checkpoints, looks ahead, sends what it has to tell.

In threads of their own: a proof takes minutes, drawing the future seconds, and a webhook may hang; none may make a
release late.
"""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import AvantError, Interrupted
from workers.alarm import alarm, deliver
from workers.checkpoint import CHECKPOINTS, Report, due, recheck
from workers.farm import Farm
from workers.ledger import Release
from workers.lookout import Lookout, pause

#: Seconds from one look to the next.
INTERVAL = 2.0
#: Nothing is looked at longer before its release.
FIRST = max(CHECKPOINTS.values())
#: Releases that are looked at together: a long proof of tomorrow's must not keep tonight's last look waiting.
AT_ONCE = 3
#: Seconds that the end of a process waits for what is under way; less than systemd waits for a clock.
DRAIN = 8.0

log = structlog.get_logger()


class Watch(AbstractContextManager["Watch"]):
    """Its threads, as long as the context lasts."""

    def __init__(self, farm: Farm) -> None:
        self._over = threading.Event()
        works: list[tuple[Callable[[], None], Callable[[float], float]]]
        works = [(partial(look, farm, self._go_on), _steady)] * AT_ONCE
        works += [(partial(send, farm), _steady), (Lookout(farm.ledger).look, pause)]
        self._threads = [threading.Thread(target=self._run, args=work, name="watch", daemon=True) for work in works]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        until = time.monotonic() + DRAIN
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _go_on(self, _share: float) -> None:
        if self._over.is_set():
            raise Interrupted("The clock is stopping.")

    def _run(self, work: Callable[[], None], rest: Callable[[float], float]) -> None:
        said, took = "", 0.0
        while not self._over.wait(rest(took)):
            began = time.monotonic()
            try:
                work()
            except Interrupted:
                return
            except (AvantError, SQLAlchemyError) as error:
                told = str(error) if isinstance(error, AvantError) else type(error).__name__
                if told != said:
                    log.error("watch.held-up", reason=told)  # noqa: TRY400 - a traceback says no more
                said = told
            except Exception:  # whatever it is: releases are still flipped, and the next look may go better
                log.critical("watch.failed", exc_info=True)
            else:
                said = ""
            took = time.monotonic() - began


def _steady(_took: float) -> float:
    return INTERVAL


def look(farm: Farm, go_on: Callable[[float], None]) -> None:
    """Look at everything again of each release whose time for it has come, unless another clock does; tell of it."""
    for release in farm.ledger.armed():
        now = farm.ledger.now()
        if release.at - FIRST > now:
            return  # as are all that follow
        lacks = [lack for edition in release.editions for lack in farm.ledger.lacking(edition)]
        for when in due(release, lacks, now):
            if farm.ledger.begin_round(release.version, ended_before=when.ended_before, begun_before=when.begun_before):
                report = _whole_round(farm, release, go_on)
                alarm(farm, report, checkpoint=when.checkpoint)
                break


def _whole_round(farm: Farm, release: Release, go_on: Callable[[float], None]) -> Report:
    """A round that was begun; one that is given up is anybody's again."""
    try:
        report = recheck(farm, release, go_on)
    except Interrupted:
        farm.ledger.end_round(release.version, whole=False)
        raise
    farm.ledger.end_round(release.version, whole=True)
    return report


def send(farm: Farm) -> None:
    """Send all notices whose turn it is."""
    while deliver(farm):
        pass
