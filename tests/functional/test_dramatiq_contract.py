"""
What dramatiq 2.2.1 does that we rely on, or work around: each by itself, on a real broker.

A test that fails after an upgrade says what to look at again in `workers/broker.py`, `slot.py` and `supervisor.py`, and
in decision 3. Where dramatiq has become better, so may we.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any
from uuid import uuid4

import dramatiq
import pytest
import redis
from dramatiq import Worker
from dramatiq import worker as waiting
from dramatiq.brokers.redis import (
    DEFAULT_HEARTBEAT_TIMEOUT,
    DEFAULT_MAINTENANCE_CHANCE,
    MAINTENANCE_SCALE,
    RedisBroker,
)
from dramatiq.common import compute_backoff
from dramatiq.middleware import default_middleware

from tests.fakes.farm import broker as valkey
from tests.fakes.farm import until
from workers.broker import Tickets, open_broker
from workers.lanes import HEAVY
from workers.slot import POLL

QUEUE = "q"

#: Makes a broker of a process of its own, as far as the server can tell.
Connect = Callable[..., RedisBroker]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with valkey(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def connect(address: str) -> Iterator[Connect]:
    """Brokers in a namespace of the test's own."""
    opened: list[RedisBroker] = []
    namespace = uuid4().hex

    def one(**options: Any) -> RedisBroker:
        client = redis.Redis.from_url(address)
        opened.append(RedisBroker(client=client, middleware=[], namespace=namespace, **options))
        return opened[-1]

    yield one
    for each in opened:
        each.client.close()


class Bench:
    """An actor that writes down what it is given, and holds on to what is called `long` until it is told."""

    def __init__(self, broker: RedisBroker, **options: Any) -> None:
        self.taken: list[str] = []
        self.go_on = Event()
        self.broker = broker

        @dramatiq.actor(broker=broker, actor_name="work", queue_name=QUEUE, **options)
        def work(name: str) -> None:
            self.taken.append(name)
            if name == "long":
                self.go_on.wait(20)
            if name == "bad":
                raise ValueError(name)

        self.actor = work

    def send(self, *names: str) -> None:
        for name in names:
            self.actor.send(name)


@contextmanager
def worker(broker: RedisBroker, *, prefetch: int | None = 1) -> Iterator[Worker]:
    """A worker with one thread, as a slot has it."""
    one = Worker(broker, worker_threads=1, worker_timeout=20)
    if prefetch:
        one.queue_prefetch = prefetch
    one.start()
    try:
        yield one
    finally:
        one.stop(timeout=2_000)


def queued(broker: RedisBroker, queue: str = QUEUE) -> int:
    """How many messages wait on the server."""
    return int(broker.client.llen(f"{broker.namespace}:{queue}"))


def held(broker: RedisBroker, queue: str = QUEUE) -> int:
    """How many messages this process has fetched and not acknowledged."""
    return int(broker.client.scard(f"{broker.namespace}:__acks__.{broker.broker_id}.{queue}"))


def silence(broker: RedisBroker) -> None:
    """Have the server believe that this process was last heard of long ago."""
    broker.client.zadd(f"{broker.namespace}:__heartbeats__", {broker.broker_id: 0})


def heartbeat(broker: RedisBroker) -> float:
    """When the server last heard of this process."""
    return float(broker.client.zscore(f"{broker.namespace}:__heartbeats__", broker.broker_id) or 0)


def test_waiting_tickets_are_a_list_named_like_its_queue(address: str) -> None:
    """Ours are counted by its length; those that were taken are not in it, and dramatiq's own count has them."""
    one = open_broker(address)
    tickets = Tickets(one)
    one.client.flushall()
    tickets.send(HEAVY)
    tickets.send(HEAVY)
    assert (tickets.queued(HEAVY), one.client.llen("avant:heavy"), one.client.hlen("avant:heavy.msgs")) == (2, 2, 2)
    assert next(one.consume("heavy", prefetch=1, timeout=20)) is not None
    assert (tickets.queued(HEAVY), one.client.hlen("avant:heavy.msgs")) == (1, 2)
    assert one.do_qsize("heavy") > tickets.queued(HEAVY)
    one.client.close()


def test_nothing_overtakes_in_a_queue(connect: Connect) -> None:
    """An actor's priority orders only what a process has fetched: a ticket says nothing of urgency, the ledger does."""
    broker = connect()
    bulk = Bench(broker, priority=100)
    urgent: list[str] = []

    @dramatiq.actor(broker=broker, actor_name="urgent", queue_name=QUEUE, priority=0)
    def hurry() -> None:
        urgent.append(f"after {len(bulk.taken)}")

    bulk.send("a", "b", "c")
    hurry.send()
    with worker(broker):
        until(lambda: bool(urgent))
    assert urgent == ["after 3"]


def test_a_process_fetches_two_messages_for_each_thread(connect: Connect) -> None:
    """The second waits behind the first where no other process can get it; a slot says that it wants one."""
    broker = connect()
    bench = Bench(broker)
    bench.send("long", "next")
    with worker(broker, prefetch=None) as greedy:
        assert greedy.queue_prefetch == 2
        until(lambda: held(broker) == 2)
        bench.go_on.set()
        until(lambda: bench.taken == ["long", "next"])


def test_a_process_that_wants_one_message_takes_one(connect: Connect) -> None:
    """As `queue_prefetch` is read when a consumer starts, it may be set between making a worker and starting it."""
    broker = connect()
    bench = Bench(broker)
    bench.send("long", "next")
    with worker(broker):
        until(lambda: bench.taken == ["long"])
        assert (queued(broker), held(broker)) == (1, 1)
        bench.go_on.set()
        until(lambda: bench.taken == ["long", "next"])


def test_what_a_dead_process_held_comes_back_by_chance_and_last(connect: Connect) -> None:
    """After a minute, by one command in a thousand, behind all that was sent since: no way to recover a step."""
    assert (DEFAULT_HEARTBEAT_TIMEOUT, MAINTENANCE_SCALE / DEFAULT_MAINTENANCE_CHANCE) == (60_000, 1000)
    dead, bench = connect(), Bench(connect(maintenance_chance=MAINTENANCE_SCALE))
    bench.send("first")
    assert next(dead.consume(QUEUE, prefetch=1, timeout=20)) is not None
    bench.send("second")
    assert queued(dead) == 1
    silence(dead)
    bench.send("third")
    with worker(bench.broker):
        until(lambda: len(bench.taken) == 3)
    assert bench.taken == ["second", "first", "third"]


def test_a_process_that_works_shows_that_it_lives_by_chance(connect: Connect) -> None:
    """At its limit it does not ask for messages. It goes on asking for delayed ones, which we never send."""
    broker = connect()
    bench = Bench(broker)
    consumer = broker.consume(QUEUE, prefetch=1, timeout=20)
    bench.send("long", "next")
    assert next(consumer) is not None
    silence(broker)
    assert next(consumer) is None
    assert heartbeat(broker) == 0
    with worker(broker):
        until(lambda: bench.taken == ["next"] and heartbeat(broker) > 0)
        bench.send("long")
        until(lambda: bench.taken == ["next", "long"])
        silence(broker)
        until(lambda: heartbeat(broker) > 0)
        bench.go_on.set()


def test_a_delayed_message_is_taken_at_once(connect: Connect) -> None:
    """By one process, which keeps it in its memory until it is due: nothing that must happen at a time may be one."""
    broker = connect()
    bench = Bench(broker)
    bench.actor.send_with_options(args=("later",), delay=3_600_000)
    assert (queued(broker), queued(broker, f"{QUEUE}.DQ")) == (0, 1)
    with worker(broker) as one:
        assert one.delay_prefetch == 1000
        until(lambda: held(broker, f"{QUEUE}.DQ") == 1)
        assert queued(broker, f"{QUEUE}.DQ") == 0
    assert bench.taken == []


def test_without_being_asked_a_broker_retries_and_limits() -> None:
    """Twenty retries, ten minutes: a broker of ours has none of it."""
    usual = ["AgeLimit", "TimeLimit", "ShutdownNotifications", "Callbacks", "Pipelines", "Retries"]
    assert [each.__name__ for each in default_middleware] == usual
    assert open_broker("unix:///nowhere").middleware == []


def test_without_retries_what_raises_is_acknowledged_and_work_goes_on(connect: Connect) -> None:
    """Once, and nothing of it is kept: it is `Retries` that would put it aside. The same thread takes the next."""
    broker = connect()
    bench = Bench(broker)
    bench.send("bad", "good")
    with worker(broker):
        until(lambda: bench.taken == ["bad", "good"])
        until(lambda: broker.client.hlen(f"{broker.namespace}:{QUEUE}.msgs") == 0)
    assert broker.client.zcard(f"{broker.namespace}:{QUEUE}.XQ") == 0


def test_stopping_waits_for_what_runs_and_gives_back_what_waits(connect: Connect) -> None:
    """No message is lost, and none is begun any more."""
    broker = connect()
    bench = Bench(broker)
    bench.send("long", "next", "last")
    with worker(broker, prefetch=2) as one:
        until(lambda: held(broker) == 2)
        bench.go_on.set()
        one.stop(timeout=10_000)
    assert "long" in bench.taken
    assert queued(broker) == 3 - len(bench.taken)
    assert held(broker) == 0


def test_stopping_leaves_what_does_not_end(connect: Connect) -> None:
    """After its patience it returns without a word; the message stays its process's. So a slot has a step given up."""
    broker = connect()
    bench = Bench(broker)
    bench.send("long")
    with worker(broker) as one:
        until(lambda: bench.taken == ["long"])
        began = monotonic()
        one.stop(timeout=200)
        assert 0.2 <= monotonic() - began < 5
        assert held(broker) == 1
        bench.go_on.set()
        until(lambda: held(broker) == 0)


def test_a_broker_that_is_down_is_the_clients_error(tmp_path: Path) -> None:
    """`Tickets` catches that of redis, and dramatiq has none of its own around it."""
    with pytest.raises(redis.RedisError):
        Tickets(open_broker(f"unix://{tmp_path / 'nobody.sock'}")).send(HEAVY)


def test_a_worker_asks_again_as_soon_as_we_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By two numbers of its module, read when it waits: to ask for messages, and to acknowledge one."""
    assert (waiting.CONSUMER_RESTART_DELAY_SECS, waiting.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS) == (3, 5)
    monkeypatch.setattr(waiting, "CONSUMER_RESTART_DELAY_SECS", 0.1)
    monkeypatch.setattr(waiting, "POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.1)
    with ExitStack() as stack:
        with valkey(tmp_path / "own") as url:
            broker = RedisBroker(client=redis.Redis.from_url(url), middleware=[])
            bench = Bench(broker)
            bench.send("long")
            stack.enter_context(worker(broker))
            until(lambda: bench.taken == ["long"])
        bench.go_on.set()
        stack.enter_context(valkey(tmp_path / "own"))
        back = monotonic()
        bench.send("next")
        until(lambda: bench.taken == ["long", "next"])
        assert monotonic() - back < 2.5
    broker.client.close()
    assert "dramatiq_queue_prefetch" not in os.environ


def test_an_idle_worker_looks_as_often_as_we_say() -> None:
    """However long it has been idle."""
    assert all(compute_backoff(misses, max_backoff=POLL)[1] <= POLL for misses in range(50))
