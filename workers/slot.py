"""
The process of one slot: a dramatiq worker with one thread, on the tickets of one class.

Ended by SIGTERM (its step is handed back), by SIGUSR1 (its step is finished first), and by the death of the supervisor
that started it, however that comes.
"""

import argparse
import fcntl
import os
import select
import signal
from pathlib import Path
from threading import Event, Thread

import structlog
from dramatiq import Worker

from workers import actors, observability
from workers.bench import Bench, Dispatch
from workers.broker import Tickets, open_broker
from workers.lanes import SlotClass, slot_class
from workers.ledger import open_ledger
from workers.settings import Settings
from workers.store import names, open_store

#: Held, shared, by every slot of a data folder: who gets it exclusively knows that none is left.
LOCK = "slots.lock"
#: Milliseconds between two looks into an empty queue: what a step waits for at most when nobody works.
POLL = 100
#: Seconds in which the step under way must have been given up.
DRAIN = 8.0
#: Asks for nothing more to be begun: the step under way is finished.
FINISH = signal.SIGUSR1
#: Milliseconds, more than any step takes: how long one is finished is the supervisor's decision.
UNLIMITED = 1 << 40

log = structlog.get_logger()


def run_slot(settings: Settings, slots: SlotClass, *, name: str, dispatch: Dispatch) -> None:
    """Take tickets until SIGTERM. `name` tells this slot from all others of the farm."""
    asked = heard(signal.SIGTERM, FINISH)
    observability.configure(settings)
    broker = open_broker(settings.broker_url or "")
    bench = Bench(
        settings=settings,
        ledger=open_ledger(settings.ledger_address),
        tickets=Tickets(broker),
        store=open_store(settings),
        names=names(settings),
        dispatch=dispatch,
        worker=name,
        host=settings.machine,
        leaving=Event(),
        stopping=Event(),
    )
    actors.declare(broker, slots, bench)
    worker = Worker(broker, worker_threads=1, worker_timeout=POLL)
    worker.queue_prefetch = 1  # by default it would hold a second ticket, which no other slot could take meanwhile
    worker.start()
    log.info("slot.started", slot=name, slots=slots.name)
    _stop(worker, asked, bench)
    log.info("slot.stopped", slot=name)


def _stop(worker: Worker, asked: int, bench: Bench) -> None:
    """Wait to be asked, take no more tickets, and return when the step under way has ended or was given up."""
    first = os.read(asked, 1)[0]
    bench.leaving.set()
    stop = Thread(target=worker.stop, kwargs={"timeout": UNLIMITED}, name="stop", daemon=True)
    stop.start()
    if first == FINISH:
        while stop.is_alive():
            if select.select([asked], [], [], POLL / 1000)[0] and os.read(asked, 1)[0] != FINISH:
                break
    bench.stopping.set()
    stop.join(DRAIN)


def heard(*signals: signal.Signals) -> int:
    """
    A descriptor that can be read from once one of the signals has come: its number, a byte each.

    No handler sets an event: a second signal (we are asked twice) that came within `Event.set` would wait for ever for
    the lock that the first one holds, and the slot would have to be killed (seen in 4 of 600 processes).
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for each in signals:
        signal.signal(each, lambda _signal, _frame: None)
    return reader


def main(dispatch: Dispatch) -> None:
    """Read argv and run a slot on `dispatch`."""
    parser = argparse.ArgumentParser(description="The process of one slot; a supervisor starts it.")
    parser.add_argument("--slots", type=slot_class, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--parent", type=int, required=True)
    asked = parser.parse_args()
    settings = Settings()
    alive = _announce(settings.home)
    # A parent that died before the kernel was told to tell us would leave us here for ever.
    if os.getppid() != asked.parent:
        return
    if asked.slots.heavy:
        os.nice(5)  # services, finishing work and the person at the terminal go before encodes
    run_slot(settings, asked.slots, name=asked.name, dispatch=dispatch)
    os.close(alive)


def _announce(home: Path) -> int:
    """Hold the lock for as long as this process lives."""
    descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


if __name__ == "__main__":
    from workers.dispatch import PIPELINES

    main(PIPELINES)
