"""
Everything that may happen to a farm, happening while it works; drawn from one seed.

A worker that has a step is killed again and again. Other troubles come once, when a given share of the work is done.
"""

import os
import random
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from urllib.parse import unquote, urlsplit

from pipelines.tools import process
from tests.fakes.audit import Audit
from tests.fakes.hosts import Host, signalled
from tests.fakes.kin import kin, nurseries
from tests.fakes.postgres import Postgres, postgres
from tests.fakes.unreliable import Road, unreliable
from workers import services

#: Set it to what a failed test said, to have the same troubles drawn again.
SEED = "AVANT_TEST_SEED"
#: Seconds between two looks.
LOOK = 0.2
#: Seconds for which a broker or a ledger is away.
AWAY = 1.0
#: It survives its own death, not a power cut.
DURABLE = ("fsync=off", "max_connections=100")


def drawn() -> random.Random:
    """Chance, from a seed that is said."""
    seed = int(os.environ.get(SEED, "0")) or secrets.randbits(32)
    sys.stdout.write(f"{SEED}={seed}\n")
    return random.Random(seed)


@dataclass(kw_only=True)
class Site:
    """What all hosts of a farm share: a ledger that is watched, a broker behind an unreliable road."""

    server: Postgres
    audit: Audit
    folder: Path
    broker: services.Running
    road: Road
    chance: random.Random
    #: What settings call them.
    broker_url: str

    def restart_broker(self) -> None:
        """Kill it, and start it again without anything that it held."""
        process.stop(self.broker.child, 0)
        Event().wait(AWAY)
        self.broker = _broker(self.folder)

    def restart_ledger(self) -> None:
        """Have it end at once, whoever is in the midst of what, and start it again."""
        assert self.server.child
        self.server.child.send_signal(signal.SIGQUIT)
        self.server.child.wait(10)
        self.server.stop()
        Event().wait(AWAY)
        self.server.start()


@contextmanager
def site(folder: Path, chance: random.Random) -> Iterator[Site]:
    """A site of one's own, for as long as the context lasts."""
    folder.mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(postgres(DURABLE))
        broker = _broker(folder)
        address = urlsplit(broker.address)
        own = random.Random(chance.random())  # its threads' draws must not shift anybody else's
        road = Road(broker=Path(unquote(address.path)), doubled=0.10, dropped=0.05, chance=own)
        port = stack.enter_context(unreliable(road))
        found = Site(
            server=server,
            audit=Audit.begin(server, server.ledger()),
            folder=folder,
            broker=broker,
            road=road,
            chance=chance,
            broker_url=f"redis://:{address.password}@127.0.0.1:{port}/0",
        )
        try:
            yield found
        finally:
            found.broker.stop()  # whichever it is by then


def _broker(folder: Path) -> services.Running:
    started = services.start_broker(folder, services.secrets(folder))
    started.wait()
    return started


@dataclass(kw_only=True)
class Storm:
    """Hosts that work, and what happens to them."""

    site: Site
    hosts: Sequence[Host]
    #: Seconds.
    lease: float
    #: Seconds from one kill to the next.
    kills: float = 1.0
    #: Seconds that it took.
    took: float = 0.0
    #: What happened, and how often.
    met: Counter[str] = field(default_factory=Counter)
    #: The process of a worker that stands still, and when it may go on.
    still: tuple[int, float] | None = None
    #: The steps and tokens of all that ever stood still.
    stopped: list[tuple[str, int]] = field(default_factory=list)
    #: Processes that outlived who started them.
    orphans: set[int] = field(default_factory=set)

    def rage(self, total: int, troubles: "Sequence[Trouble]", patience: float) -> None:
        """Until `total` steps are done. Each trouble comes at its share of them, and again until it says yes."""
        began = killed = time.monotonic()
        ahead, pause, seen = list(troubles), Event(), set[int]()
        while (done := self.site.audit.done()) < total or self.still:
            now = time.monotonic()
            assert now - began < patience, f"{done} of {total} done: {self.site.audit.states()}"
            for host in self.hosts:
                host.check()
            if now - killed >= self.kills:
                killed = now
                self.kill()
            self.go_on(now)
            if ahead and done >= ahead[0][0] * total and ahead[0][1](self):
                self.met[ahead.pop(0)[1].__name__] += 1
            alone = {pid for host in self.hosts for pid in host.orphans()}
            self.orphans |= alone & seen
            seen = alone
            pause.wait(LOOK)
        assert ahead == [], "the work was done before all that was to happen had"
        self.took = time.monotonic() - began

    def end(self) -> None:
        """End the hosts as operators do. Fails if anything of them is left."""
        for host in self.hosts:
            host.stop()
        sys.stdout.write(self.report())
        assert self.orphans == set()
        assert [kin(host.home) for host in self.hosts] == [[] for _ in self.hosts]
        assert not any((host.home / "scratch").exists() for host in self.hosts)

    def kill(self) -> None:
        """SIGKILL for one slot that has a step."""
        spared = self.still[0] if self.still else 0
        crew = {name: pid for host in self.hosts for name, pid in host.crew().items() if pid != spared}
        if working := sorted(crew.keys() & self.site.audit.running().keys()):
            signalled(crew[self.site.chance.choice(working)], signal.SIGKILL)
            self.met["kill"] += 1

    def go_on(self, now: float) -> None:
        """Let the worker that stands still go on, if it is time."""
        if self.still and now >= self.still[1]:
            signalled(self.still[0], signal.SIGCONT)
            self.still = None

    def report(self) -> str:
        """What happened, for whoever reads the test's output."""
        lost, aside = (self.site.audit.count(f"running>{state}") for state in ("ready", "quarantined"))
        return (
            f"{self.took:.1f} s at load {os.getloadavg()[0]:.1f}: {dict(self.met)}, "
            f"tickets {dict(self.site.road.met)}, {lost} attempts lost, {aside} steps set aside\n"
        )


#: A share of the work, and what happens when it is done; it says whether it has.
Trouble = tuple[float, Callable[[Storm], bool]]


def broker_restarted(storm: Storm) -> bool:
    storm.site.restart_broker()
    return True


def ledger_restarted(storm: Storm) -> bool:
    storm.site.restart_ledger()
    return True


def host_killed(storm: Storm) -> bool:
    """A supervisor dies, and all of its slots and tools with it; another one follows it."""
    host = storm.site.chance.choice(storm.hosts)
    host.kill()
    host.start()
    return True


def nursery_killed(storm: Storm) -> bool:
    """What a host's slots are forked from dies, and all of them and their tools with it; its supervisor goes on."""
    for pid in nurseries(storm.site.chance.choice(storm.hosts).home):
        signalled(pid, signal.SIGKILL)
        return True
    return False


def worker_stopped(storm: Storm) -> bool:
    """A worker stands still in the midst of a step, for longer than its lease."""
    crew = {name: pid for host in storm.hosts for name, pid in host.crew().items()}
    if not crew:
        return False
    name = storm.site.chance.choice(sorted(crew))
    signalled(crew[name], signal.SIGSTOP)
    Event().wait(LOOK)  # what it had sent to the ledger has been done by then
    if held := storm.site.audit.running().get(name):
        storm.still = (crew[name], time.monotonic() + 1.5 * storm.lease)
        storm.stopped.append(held)
        return True
    signalled(crew[name], signal.SIGCONT)
    return False
