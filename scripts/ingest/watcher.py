"""
Looks again and again, and hands in what is complete: its document has come, and with it all that this names, and two
looks in a row saw the same.

Nothing is remembered that could be lost. Whether an episode was submitted is the ledger's knowledge, in one
transaction; a note beside the deliveries only spares examining a film again. So a watcher may be killed at any
instant, and any number of them may watch the same place.
"""

import time
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from pipelines.errors import AvantError, DeliveryError, ToolError
from scripts.ingest.delivered import DOCUMENT, Found, Look, Waiting, as_data, files, parsed
from workers.ledger import Submitted
from workers.submission import Desk, Order, order_of

#: A tool that fails so often of the same delivery fails because of it.
TOOL_FAILURES = 3
#: Longest pause after a failure that time may heal, in seconds.
LONGEST_PAUSE = 3600.0

log = structlog.get_logger()


class Place(Protocol):
    """Where deliveries arrive. All of it may raise `DeliveryError`, or an error of the host or the store."""

    def home(self, name: str) -> str: ...
    def names(self) -> list[str]: ...
    def look(self, name: str, paths: Any) -> Look: ...
    def document(self, name: str) -> bytes: ...
    def dealt_with(self, name: str) -> Look | None: ...
    def accept(self, name: str, note: dict[str, Any]) -> None: ...
    def refuse(self, name: str, note: dict[str, Any]) -> None: ...


class Watcher:
    """One look is `tend`. Instants are seconds of a monotonic clock."""

    def __init__(self, place: Place, desk: Desk, *, every: float, patience: float) -> None:
        """`every`: seconds between looks; `patience`: seconds that what a document names may come after it."""
        self._place = place
        self._desk = desk
        self._every = every
        self._patience = patience
        self._waiting: dict[str, Waiting] = {}

    @property
    def waiting(self) -> list[str]:
        """The deliveries that were there at the last look and are not dealt with."""
        return list(self._waiting)

    def tend(self) -> None:
        """Look at every delivery, and deal with those that are complete. Raises what nobody's waiting will heal."""
        try:
            names = self._place.names()
        except AvantError as error:
            if not error.retryable:
                raise
            log.warning("ingest.blind", error=error.message)
            return
        self._waiting = {name: kept for name, kept in self._waiting.items() if name in set(names)}
        for name in names:
            self._tend(name)

    def _tend(self, name: str) -> None:
        try:
            found = self._found(name)
            if found is None:
                self._waiting.pop(name, None)
            elif self._is_due(name, found.look):
                self._deal(name, found)
        except FileNotFoundError:  # taken away, perhaps by another watcher
            self._waiting.pop(name, None)
        except AvantError as error:
            if not error.retryable:
                raise
            self._put_off(name, error)

    def _found(self, name: str) -> Found | None:
        """The delivery as it is now; None if it looks as it did when it was dealt with."""
        look: Look = {}
        try:
            known = self._place.dealt_with(name)
            if known is not None and self._place.look(name, known) == known:
                return None
            look = self._place.look(name, [DOCUMENT])
            delivery = parsed(self._place.document(name), home=self._place.home(name))
            return Found(look=self._place.look(name, files(delivery)), delivery=delivery)
        except DeliveryError as fault:
            return Found(look=look, fault=fault)

    def _is_due(self, name: str, look: Look) -> bool:
        """Whether it has stood still from one look to the next, and no pause is on."""
        now = time.monotonic()
        kept = self._waiting.get(name)
        if kept is None or kept.look != look:
            self._waiting[name] = Waiting(look=look, since=now)
            log.info("ingest.arriving", delivery=name)
            return False
        return now >= kept.not_before

    def _deal(self, name: str, found: Found) -> None:
        waited = time.monotonic() - self._waiting[name].since
        if found.missing and waited < self._patience:
            log.info("ingest.incomplete", delivery=name, missing=found.missing[:3], waited_s=round(waited))
            return
        fault = found.fault or _never_came(found, self._place.home(name), waited)
        if fault is None:
            log.info("ingest.complete", delivery=name)
            fault = self._submit(name, found)
            if fault is not None and self._place.look(name, found.look) != found.look:
                return  # it was being written to after all
        if fault is not None:
            self._refuse(name, found, fault)
        self._waiting.pop(name)

    def _submit(self, name: str, found: Found) -> DeliveryError | None:
        """Hand a complete delivery in; or why it can't be."""
        assert found.delivery is not None  # noqa: S101 - without one there is a fault
        home = self._place.home(name)
        try:
            order = order_of(found.delivery.placed(lambda file: home + file), self._desk.settings)
            plan = self._desk.plan(order)
            log.info("ingest.planned", delivery=name, episode=plan.episode)
            submitted = self._desk.submit_once(order, plan)
        except DeliveryError as fault:
            return fault
        except ToolError as error:
            if self._waiting[name].tries + 1 < TOOL_FAILURES:
                raise
            return DeliveryError(error.message, hint=error.hint)
        if submitted:
            log.info("ingest.submitted", delivery=name, episode=plan.episode, trace=submitted.trace)
        else:
            log.info("ingest.known", delivery=name, episode=plan.episode, digest=plan.version)
        self._place.accept(name, {**_told(order, submitted), "digest": plan.version, "look": as_data(found.look)})
        log.info("ingest.noted", delivery=name)
        return None

    def _refuse(self, name: str, found: Found, fault: DeliveryError) -> None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        note = {"refused_at": at, "error": fault.message, "hint": fault.hint, "look": as_data(found.look)}
        self._place.refuse(name, note)
        log.warning("ingest.refused", delivery=name, error=fault.message)

    def _put_off(self, name: str, error: AvantError) -> None:
        """Try again later, and each time later still: the host, the store or the ledger may be better then."""
        kept = self._waiting.setdefault(name, Waiting(look={}, since=time.monotonic()))
        kept.tries += 1
        pause = min(LONGEST_PAUSE, self._every * 2**kept.tries)
        kept.not_before = time.monotonic() + pause
        log.warning("ingest.put_off", delivery=name, error=error.message, tries=kept.tries, pause_s=round(pause))


def _never_came(found: Found, home: str, waited: float) -> DeliveryError | None:
    if not found.missing:
        return None
    return DeliveryError(
        f"{home}{DOCUMENT} names `{found.missing[0]}`, which has not come in {waited / 60:.0f} minutes.",
        hint="Deliver it, and the document last.",
    )


def _told(order: Order, submitted: Submitted | None) -> dict[str, Any]:
    return {
        "submitted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "episode": order.delivery.episode,
        "deadline": order.release.utc.isoformat() if order.release else None,
        "steps": len(submitted.steps) if submitted else None,
    }
