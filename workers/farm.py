"""
Everything a command needs of the farm: settings made whole, the store, the names, the ledger.

Addresses that no setting gives mean the embedded parts; they are started here and end with the context. From there on
nothing knows the difference.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from pipelines.layout import Names
from pipelines.tools.s3 import Store
from workers import broker, host, observability, services
from workers.ledger import Ledger, explained, open_ledger
from workers.services import Running, Secrets
from workers.settings import Settings
from workers.store import names, open_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """An open farm. Embedded services may still be starting until `wait` returns."""

    #: With no address missing.
    settings: Settings
    store: Store = field(repr=False)
    names: Names
    ledger: Ledger
    #: The embedded services that were started for this context.
    services: tuple[Running, ...] = ()
    #: What edges must send as Referer to read an embedded store.
    edge_secret: str = field(repr=False, default="")

    def wait(self) -> None:
        """Return when every embedded service answers, and edges may read the embedded store."""
        for service in self.services:
            service.wait()
        if self.edge_secret:
            self.store.allow_edges(self.edge_secret)

    def embeds(self, address: str | None) -> bool:
        """Whether what is there is one of the embedded services, with its data on our disk."""
        return address in [service.address for service in self.services]

    def check_others(self) -> None:
        """
        Raise `ConfigurationError` or `StoreError` if somebody else's store or broker is down, refuses us, or can't do
        what we rely on. Our own are asked when they are waited for.
        """
        if not self.embeds(self.settings.s3_endpoint):
            self.store.check_conditional_writes()
        if not self.embeds(self.settings.broker_url):
            broker.check(broker.open_broker(self.settings.broker_url or ""))

    def check(self) -> None:
        """Raise `HostError` if an embedded service has ended by itself, or the disk is full."""
        for service in self.services:
            service.check()
        host.check_room(self.settings.home)


@contextmanager
def open_farm(settings: Settings) -> Iterator[Farm]:
    """
    The farm that `settings` describe, with what they do not name started, for as long as the context lasts.

    Raises `ConfigurationError` when another process is at work in the same home; whatever the ledger fails of within
    the context becomes an error of ours.
    """
    with ExitStack() as stack:
        stack.enter_context(explaining())
        own = stack.enter_context(embedded(settings))
        store = open_store(own.settings)
        stack.callback(store.close)
        yield Farm(
            settings=own.settings,
            store=store,
            names=names(own.settings),
            ledger=open_ledger(own.settings.ledger_address),
            services=own.services,
            edge_secret=own.edge_secret,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What no setting named, started; perhaps still starting."""

    #: With no address missing.
    settings: Settings
    services: tuple[Running, ...]
    #: As in `Farm`.
    edge_secret: str = field(repr=False)


@contextmanager
def embedded(settings: Settings) -> Iterator[Embedded]:
    """Start what `settings` do not name, and stop it afterwards. Raises `ConfigurationError` or `HostError`."""
    with ExitStack() as stack:
        stack.enter_context(services.lock(settings.home))
        # The terminal is for people: what the machinery tells goes where the slots' logs are.
        stack.enter_context(observability.kept(settings, settings.home / "logs" / "avant.log"))
        kept = services.secrets(settings.home)
        started = []
        for wanted, start in (
            (settings.s3_endpoint is None, services.start_store),
            (settings.broker_url is None, services.start_broker),
        ):
            if wanted:
                service = start(settings.home, kept)
                stack.callback(service.stop)
                started.append(service)
        yield Embedded(
            settings=_completed(settings, kept, {service.name: service.address for service in started}),
            services=tuple(started),
            edge_secret=kept.edge_referer if settings.s3_endpoint is None else "",
        )


@contextmanager
def consulted(settings: Settings) -> Iterator[Ledger]:
    """The ledger alone, for who asks or orders and starts nothing; whatever it fails of is an error of ours."""
    with explaining(), closing(open_ledger(settings.ledger_address)) as ledger:
        yield ledger


@contextmanager
def explaining() -> Iterator[None]:
    """Whatever the ledger fails of within the context becomes an error of ours."""
    try:
        yield
    except OperationalError as error:
        raise explained(error) from error


def _completed(settings: Settings, kept: Secrets, addresses: dict[str, str]) -> Settings:
    embedded_store = {
        "s3_endpoint": addresses.get("The object store"),
        "s3_bucket": services.BUCKET,
        "s3_region": services.REGION,
        "s3_access_key": kept.access_key,
        "s3_secret_key": SecretStr(kept.secret_key),
    }
    return settings.model_copy(
        update={
            **(embedded_store if settings.s3_endpoint is None else {}),
            "broker_url": settings.broker_url or addresses.get("The broker"),
            "naming_key": settings.naming_key or SecretStr(kept.naming_key),
        }
    )
