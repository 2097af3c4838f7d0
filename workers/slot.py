"""
The process of one slot: a dramatiq worker with one thread, on the tickets of one class.

Ended by SIGTERM (its step is handed back), by SIGUSR1 (its step is finished first), and by the death of the supervisor
that asked for it, however that comes.
"""

import fcntl
import os
import select
import signal
from pathlib import Path
from threading import Event, Thread

import dramatiq.worker
import structlog
from dramatiq import Worker

from workers import actors, observability, orphans
from workers.bench import Bench, Dispatch
from workers.broker import Tickets, open_broker
from workers.lanes import SlotClass
from workers.ledger import open_ledger
from workers.settings import Settings
from workers.store import names, open_store

#: Held, shared, by every slot of a data folder: who gets it exclusively knows that none is left.
LOCK = "slots.lock"
#: Milliseconds between two looks into an empty queue: what a step waits for at most when nobody works.
POLL = 100
#: Seconds until a broker that was down is asked again: for tickets, and to acknowledge the last one.
AGAIN = 1
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
        ledger=open_ledger(settings.ledger_address, seen=True),
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
    # By default a broker that is back would find a slot asleep: for three seconds, or for five if it had a ticket.
    dramatiq.worker.CONSUMER_RESTART_DELAY_SECS = AGAIN
    dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS = AGAIN
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


def live(slots: SlotClass, *, name: str, log_file: Path, dispatch: Dispatch) -> None:
    """Be a slot, in a process that was forked to be one, with settings from the environment."""
    os.setsid()  # who signals a terminal, or the nursery's group, does not mean us
    _write_to(log_file)
    os.environ[orphans.MARK] = name
    # What `ps` and `top` call us; the kernel keeps 15 bytes, of which the end tells slots apart.
    Path("/proc/self/comm").write_text(name.rpartition("/")[2][-15:], encoding="ascii")
    settings = Settings()
    alive = _announce(settings.home)
    if slots.heavy:
        os.nice(5)  # services, finishing work and the person at the terminal go before encodes
    run_slot(settings, slots, name=name, dispatch=dispatch)
    os.close(alive)


def _write_to(path: Path) -> None:
    """Have both our streams be appended to a file."""
    with path.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)


def _announce(home: Path) -> int:
    """Hold the lock for as long as this process lives."""
    descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor
