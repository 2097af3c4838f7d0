"""
The farm in figures, as Prometheus reads them.

What is true of the whole farm comes from the ledger and the broker, asked when somebody scrapes; what a host did, from
the counts that its slots and its supervisor keep (`workers.tally`). Labels are lanes, states, kinds, hosts: never an
episode, a step or a slot, of which there is no end.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any, get_args

import structlog
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import AvantError, HostError
from pipelines.step import Lane
from workers.broker import Tickets, open_broker
from workers.lanes import CLASSES, slot_class
from workers.ledger import Ledger, open_ledger
from workers.ledger.measures import COUNTED
from workers.settings import Settings
from workers.tally import Key, read_all

#: Seconds for which what was asked of ledger and broker is told again: however many scrape, they are asked no oftener.
FRESH = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A metric: what it is called, what it means, and what its series differ by."""

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    counts: bool = False

    @property
    def series(self) -> str:
        """What its series are called in an expression."""
        return f"{self.name}_total" if self.counts else self.name


FARM = (
    Family(name="avant_ledger_up", meaning="Whether the ledger answers (1) or not (0)."),
    Family(name="avant_broker_up", meaning="Whether the broker answers (1) or not (0)."),
    Family(name="avant_steps", meaning="Steps that are not done, by state.", labels=("state", "lane")),
    Family(
        name="avant_queue_age_seconds",
        meaning="For how long, at most, the most urgent ready step of a lane could have been claimed.",
        labels=("lane",),
    ),
    Family(
        name="avant_slack_seconds",
        meaning="Seconds until the most urgent step that has not begun must begin; negative: something will be late.",
        labels=("lane", "urgency"),
    ),
    Family(
        name="avant_release_lacking_seconds",
        meaning="Seconds until the next deadline, within a day, of an episode that is not verified, or not warm.",
        labels=("lacking",),
    ),
    Family(name="avant_lane_paused", meaning="Whether an operator has paused a lane (1) or not (0).", labels=("lane",)),
    Family(name="avant_tickets", meaning="Tickets that wait for a slot.", labels=("slots",)),
    Family(name="avant_slots", meaning="Slots that hosts have enrolled.", labels=("host", "slots")),
)
HOST = (
    Family(
        name="avant_clock_offset_seconds",
        meaning="By how much the ledger's clock is ahead of this host's.",
        labels=("host",),
    ),
    Family(
        name="avant_attempts",
        meaning="Attempts at steps that ended: done, retried, failed or interrupted.",
        labels=("host", "kind", "ending"),
        counts=True,
    ),
    Family(
        name="avant_busy_seconds",
        meaning="Seconds that slots spent in attempts.",
        labels=("host", "kind"),
        counts=True,
    ),
    Family(
        name="avant_leases_lost",
        meaning="Steps that this host's supervisor took from a holder that died, or was silent for a lease's time.",
        labels=("host", "how"),
        counts=True,
    ),
    Family(
        name="avant_stored_bytes",
        meaning="Bytes of what steps made and stored: tracks and versions are published, chunks and sounds are not.",
        labels=("host", "artifact"),
        counts=True,
    ),
    Family(
        name="avant_encoded_frames",
        meaning="Frames encoded, by height of the rung.",
        labels=("host", "codec", "height"),
        counts=True,
    ),
    Family(
        name="avant_encode_seconds",
        meaning="Seconds that encoding them took; the rungs of a step are made together, and each counts all of it.",
        labels=("host", "codec", "height"),
        counts=True,
    ),
)
FAMILIES = {family.name: family for family in (*FARM, *HOST)}

Series = tuple[str, tuple[str, ...], float]


class Exporter(Collector):
    """What is told at one scrape. Safe for use by several threads."""

    def __init__(self, settings: Settings, *, farm: bool = True) -> None:
        """Without `farm` only what is this host's: of many exporters, one need ask for what is everybody's."""
        self._settings = settings
        self._farm = farm
        self._host = settings.machine
        self._ledger: Ledger | None = None
        self._tickets = Tickets(open_broker(settings.broker_url)) if farm and settings.broker_url else None
        #: Whose queues are asked for: those there always are, and those of hosts that serve only some lanes.
        self._classes = {slots.name for slots in CLASSES}
        self._asking = threading.Lock()
        self._asked: tuple[float, list[Series]] | None = None

    def collect(self) -> Iterator[Metric]:
        metrics = {name: _metric(family) for name, family in FAMILIES.items()}
        for name, labels, value in (*self._fresh(), *self._counted()):
            metrics[name].add_metric(labels, value)
        return (metric for metric in metrics.values() if metric.samples)

    def close(self) -> None:
        """Let go of the ledger."""
        if self._ledger:
            self._ledger.close()

    def _fresh(self) -> list[Series]:
        with self._asking:
            if self._asked is None or time.monotonic() - self._asked[0] > FRESH:
                self._asked = (time.monotonic(), [*self._of_the_ledger(), *self._of_the_broker()])
            return self._asked[1]

    def _of_the_ledger(self) -> Iterable[Series]:
        try:
            self._ledger = self._ledger or open_ledger(self._settings.ledger_address)
            return [("avant_ledger_up", (), 1.0), self._offset(self._ledger), *self._measured(self._ledger)]
        except (AvantError, SQLAlchemyError) as error:
            log.warning("ledger.unreachable", error=type(error).__name__)
            return [("avant_ledger_up", (), 0.0)]

    def _offset(self, ledger: Ledger) -> Series:
        before = datetime.now(UTC)
        there = ledger.now()
        middle = before + (datetime.now(UTC) - before) / 2
        return "avant_clock_offset_seconds", (self._host,), (there - middle).total_seconds()

    def _measured(self, ledger: Ledger) -> Iterator[Series]:
        if not self._farm:
            return
        found = ledger.measure()
        self._classes |= {name for _, name in found.slots}
        tables: dict[str, Any] = {
            # None is a figure too: without it, nothing could be said of a farm where nothing runs.
            "avant_steps": dict.fromkeys(product(COUNTED, get_args(Lane)), 0) | dict(found.steps),
            "avant_slack_seconds": found.slack,
            "avant_slots": found.slots,
            "avant_queue_age_seconds": {(lane,): age for lane, age in found.waits.items()},
            "avant_lane_paused": {(lane,): paused for lane, paused in found.paused.items()},
            "avant_release_lacking_seconds": {(goal,): left for goal, left in found.lacking.items()},
        }
        for name, table in tables.items():
            yield from ((name, labels, float(value)) for labels, value in table.items())

    def _of_the_broker(self) -> list[Series]:
        if self._tickets is None:
            return []
        try:
            queued = [
                ("avant_tickets", (name,), float(self._tickets.queued(slot_class(name)))) for name in self._classes
            ]
        except RedisError as error:
            log.warning("broker.unreachable", error=type(error).__name__)
            return [("avant_broker_up", (), 0.0)]
        return [("avant_broker_up", (), 1.0), *queued]

    def _counted(self) -> Iterator[Series]:
        nothing: dict[Key, float] = {("leases_lost", (("how", how),)): 0.0 for how in ("died", "silent")}
        for (name, labels), count in (nothing | dict(read_all(self._settings.home))).items():
            values = {**dict(labels), "host": self._host}
            family = FAMILIES.get(f"avant_{name}")
            if family and set(family.labels) == set(values):  # else another version of Avant counted it
                yield family.name, tuple(values[label] for label in family.labels), count


def exposition(exporter: Exporter) -> str:
    """All of it, once, as text."""
    return generate_latest(_registry(exporter)).decode()


def serve(exporter: Exporter, address: str, port: int) -> threading.Thread:
    """Answer scrapes at `http://address:port/metrics`, in a thread. Raises `HostError` when that is not to be had."""
    try:
        _server, thread = start_http_server(port, address, _registry(exporter))
    except OSError as error:
        raise HostError(
            f"{address}:{port} can't be listened on: {error.strerror}.", hint="Choose another with --listen."
        ) from error
    return thread


def _registry(exporter: Exporter) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)  # describing would ask the ledger before anybody scrapes
    registry.register(exporter)
    return registry


def _metric(family: Family) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if family.counts else GaugeMetricFamily
    return kind(family.name, family.meaning, labels=family.labels)
