"""
Tickets: messages that say "there is work for this class of slots", and not which.

What to do is in the ledger. A ticket that is lost, doubled, late or out of order costs nothing but a look into the
ledger, and so the broker needs none of dramatiq's middleware: no retries (20 by default), no time limit (it can't stop
a child process), no callbacks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis
import structlog
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker

from pipelines.errors import ConfigurationError
from workers.lanes import SlotClass

#: What dramatiq calls the actor that takes tickets, whichever queue it listens to.
ACTOR = "work"
#: Seconds until a connection attempt or a command is given up.
TIMEOUT = 5.0

log = structlog.get_logger()


def open_broker(url: str) -> RedisBroker:
    """The broker at `redis://…` or `unix://…`. Raises `ConfigurationError` if that is no address."""
    try:
        client = redis.Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    except ValueError as error:
        raise ConfigurationError(
            "The broker's address can't be used.", hint="Set AVANT_BROKER_URL to redis://:password@host:port/0."
        ) from error
    return RedisBroker(client=client, middleware=[], namespace="avant")  # type: ignore[no-untyped-call]  # has none


def check(broker: RedisBroker) -> None:
    """Raise `ConfigurationError` unless the broker answers: with one that never does, work would wait for ever."""
    with _explaining():
        broker.client.ping()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """A broker, as far as it tells what it is and how it is set."""

    #: `valkey 9.1.2`, `redis 7.0.15`
    server: str
    #: `maxmemory-policy`: what it throws away when its memory is full.
    policy: str
    #: Whether it copies another, and takes no writes itself.
    replica: bool
    #: Whether it failed to write its data to disk; it then takes no more, unless told otherwise.
    stuck: bool


def examine(broker: RedisBroker) -> Manner:
    """Ask the broker about itself. Raises `ConfigurationError`."""
    with _explaining():
        told = broker.client.info()
    version = told.get("valkey_version") or told.get("redis_version", "of an unknown version")
    return Manner(
        server=f"{told.get('server_name', 'redis')} {version}",
        policy=str(told.get("maxmemory_policy", "")),
        replica=told.get("role") == "slave",
        stuck=told.get("rdb_last_bgsave_status", "ok") != "ok" or told.get("aof_last_write_status", "ok") != "ok",
    )


@contextmanager
def _explaining() -> Iterator[None]:
    """Whatever the broker fails of within the context becomes an error of ours; its address is not told."""
    try:
        yield
    except redis.AuthenticationError as error:
        raise ConfigurationError(
            "The broker refuses our name or password.", hint="Correct them in AVANT_BROKER_URL."
        ) from error
    except redis.exceptions.NoPermissionError as error:
        raise ConfigurationError(
            "The broker does not let us do that.", hint="Grant its user +@all on ~avant:* (ACL SETUSER), and +info."
        ) from error
    except redis.RedisError as error:
        reason = str(error).rstrip(".") if isinstance(error, redis.ConnectionError) else type(error).__name__
        raise ConfigurationError(
            f"The broker does not answer: {reason}.", hint="Check AVANT_BROKER_URL and that it is up."
        ) from error


class Tickets:
    """The queues' senders. A broker that is down costs tickets, never work: the next look makes up for them."""

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker

    def queued(self, slots: SlotClass) -> int:
        """Tickets that wait in the queue; those that a slot has taken do not count."""
        return int(self._broker.client.llen(f"{self._broker.namespace}:{slots.name}"))

    def top_up(self, slots: SlotClass, *, ready: int, existing: int) -> int:
        """Send tickets until as many wait as there are ready steps, or slots if those are fewer. Returns how many."""
        try:
            lacking = max(0, min(ready, existing) - self.queued(slots))
            for _ in range(lacking):
                self.send(slots)
        except redis.RedisError as error:
            log.warning("ticket.unsent", slots=slots.name, error=type(error).__name__)
            return 0
        return lacking

    def send(self, slots: SlotClass) -> None:
        """Send one ticket. Raises `redis.RedisError`."""
        self._broker.enqueue(Message(queue_name=slots.name, actor_name=ACTOR, args=(), kwargs={}, options={}))
