"""
What was asked for: read, found possible, examined, planned, handed to the ledger.

Needs no worker, slot or service of this machine: a host that only takes deliveries in does this and nothing else.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from pipelines.availability import EVERYWHERE, Availability, availability
from pipelines.delivery import Delivery, open_delivery
from pipelines.errors import ConfigurationError, refused, undeliverable
from pipelines.instant import Instant, resolve
from pipelines.plan import Plan, make_plan
from pipelines.probe import examine
from pipelines.tools.s3 import Store
from pipelines.warm import Edge, Edges
from presets.catalogue import load
from presets.document import DocumentError, read
from presets.preset import Preset
from workers.broker import Tickets, open_broker
from workers.farm import explaining
from workers.ledger import Ledger, Release, Submitted, open_ledger
from workers.reconcile import wake
from workers.settings import Settings
from workers.store import open_store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for, read and found possible; nothing has been examined yet."""

    delivery: Delivery
    preset: Preset
    edges: tuple[Edge, ...]
    #: When viewers get it; None: as soon as it is ready.
    release: Instant | None
    #: Where, and until when.
    where: Availability = EVERYWHERE

    @property
    def remote(self) -> bool:
        """Whether any source is in the object store, so that it must be up to examine them."""
        return any(source.file and source.file.startswith("s3://") for source in self.delivery.sources)


def read_order(path: Path, settings: Settings, edges: Sequence[Edge] | None = None) -> Order:
    """Read episode.toml, its preset and the list of edges. Raises `DeliveryError` or `ConfigurationError`."""
    return order_of(open_delivery(path), settings, edges)


def order_of(delivery: Delivery, settings: Settings, edges: Sequence[Edge] | None = None) -> Order:
    """The same for a delivery that has been read, its paths made absolute."""
    try:
        preset = load(delivery.preset, settings.presets)
    except DocumentError as error:
        raise undeliverable(error) from error
    return Order(
        delivery=delivery,
        preset=preset,
        edges=tuple(edges) if edges is not None else read_edges(settings.edges),
        release=resolve(delivery.release) if delivery.release else None,
        where=availability(delivery),
    )


def read_edges(path: Path | None) -> tuple[Edge, ...]:
    """The edges that the document at `path` lists, shields first; none without one."""
    try:
        return read(Edges, path).listed if path else ()
    except DocumentError as error:
        raise refused(error) from error


def planned(order: Order, store: Store) -> Plan:
    """Examine what was delivered, and plan it."""
    return make_plan(examine(order.delivery, store), order.preset, order.edges)


def arm(order: Order, plan: Plan, ledger: Ledger) -> Release:
    """Promise the plan's editions for its time; without one, all of it as soon as it is whole."""
    release = Release(
        episode=plan.episode,
        at=order.release.utc if order.release else ledger.now(),
        wall=order.release.wall if order.release else "now",
        editions=plan.editions if order.release else plan.editions[-1:],
    )
    ledger.agree(plan.episode, order.where)
    if ledger.ref(plan.episode).version != plan.version:
        ledger.arm(release, tzdata=order.release.tzdata if order.release else "")
    return release


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where deliveries are handed in and their releases armed: the farm's ledger and store, and no part of our own."""

    settings: Settings
    store: Store = field(repr=False)
    ledger: Ledger

    def plan(self, order: Order) -> Plan:
        """Examine and plan. Raises `ConfigurationError` when a source is in a store that no setting names."""
        if order.remote and self.settings.s3_endpoint is None:
            raise ConfigurationError(
                "A source is in a bucket, and nothing says where the object store is.", hint="Set AVANT_S3_ENDPOINT."
            )
        return planned(order, self.store)

    def submit(self, order: Order, plan: Plan) -> Submitted:
        """Hand the plan to the ledger, whatever it knows of it: what failed gets another chance."""
        submitted = self.ledger.submit(plan, deadline=order.release.utc if order.release else None)
        tell(plan, submitted)
        arm(order, plan, self.ledger)
        self._wake()
        return submitted

    def submit_once(self, order: Order, plan: Plan) -> Submitted | None:
        """The same, but None, and nothing happens, if the ledger has exactly this already."""
        submitted = self.ledger.submit_once(plan, deadline=order.release.utc if order.release else None)
        if submitted:
            tell(plan, submitted)
        # Always: whoever submitted it before may have died before this.
        arm(order, plan, self.ledger)
        self._wake()
        return submitted

    def _wake(self) -> None:
        """Workers look by themselves within a second; a ticket spares that where a broker is known."""
        if self.settings.broker_url:
            wake(self.ledger, Tickets(open_broker(self.settings.broker_url)))


def tell(plan: Plan, submitted: Submitted) -> None:
    """Open the trace of what was handed in: all that comes of it is found by its name."""
    log.info(
        "episode.submitted",
        trace=submitted.trace,
        episode=plan.episode,
        digest=plan.version,
        steps=len(submitted.steps),
        planned=len(plan.steps),
    )


@contextmanager
def open_desk(settings: Settings) -> Iterator[Desk]:
    """The desk of the farm that `settings` name. Starts nothing; whatever the ledger fails of is an error of ours."""
    with ExitStack() as stack:
        stack.enter_context(explaining())
        store = open_store(settings)
        stack.callback(store.close)
        ledger = open_ledger(settings.ledger_address)
        stack.callback(ledger.close)
        yield Desk(settings=settings, store=store, ledger=ledger)
