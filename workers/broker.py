"""
Tickets: messages that say "there is work for this class of slots", and not which.

What to do is in the ledger. A ticket that is lost, doubled, late or out of order costs nothing but a look into the
ledger, and so the broker needs none of dramatiq's middleware: no retries (20 by default), no time limit (it can't stop
a child process), no callbacks.
"""

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
    """The broker at `redis://…` or `unix://…`."""
    client = redis.Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    return RedisBroker(client=client, middleware=[], namespace="avant")  # type: ignore[no-untyped-call]  # has none


def check(broker: RedisBroker) -> None:
    """Raise `ConfigurationError` unless the broker answers: with one that never does, work would wait for ever."""
    try:
        broker.client.ping()
    except redis.RedisError as error:
        raise ConfigurationError(
            f"The broker does not answer: {type(error).__name__}.", hint="Check AVANT_BROKER_URL and that it is up."
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
