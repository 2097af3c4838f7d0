"""
A host of a farm: slots that work on what the settings name, until they are told to stop. Nothing else is started here.

Told once, the slots begin nothing more and have some time to finish what they have; told twice, or when that time is
over, they hand it back.
"""

import os
import select
import signal
import time
from contextlib import closing

import structlog

from pipelines.errors import ConfigurationError
from workers import broker, host, observability
from workers.farm import explaining
from workers.lanes import SlotClass
from workers.ledger import open_ledger
from workers.settings import Settings
from workers.slot import heard
from workers.store import names, open_store
from workers.supervisor import Supervisor

#: Seconds that running steps have to finish in: a step is planned to be at most about ten minutes of work. What stops
#: us (systemd's TimeoutStopSec) must have patience for this, and for handing the rest back.
GRACE = 600.0
#: Seconds between two looks at our slots.
INTERVAL = 0.2
#: What a farm's host can't do without.
ADDRESSES = {"broker_url": "broker", "ledger_url": "ledger", "s3_endpoint": "object store"}

log = structlog.get_logger()


def serve(
    settings: Settings, slots: tuple[SlotClass, ...], *, grace: float = GRACE, module: str = "workers.dispatch"
) -> None:
    """
    Work until SIGTERM or SIGINT, and for at most `grace` seconds after it. `module` is what slots work by.

    Raises `ConfigurationError` when an address is missing, what is there can't be used, or the ledger has got another
    schema; `HostError` when slots can't live or the disk is full.
    """
    check_addresses(settings)
    observability.configure(settings)
    asked = heard(signal.SIGTERM, signal.SIGINT)
    with explaining():
        _check(settings)
        with (
            closing(open_ledger(settings.ledger_address)) as ledger,
            Supervisor(settings, ledger, slots=slots, module=module) as crew,
        ):
            log.info("worker.started", slots=[each.name for each in slots])
            while not _told(asked):
                host.check_room(settings.home)
                crew.poll()
            _drain(crew, asked, grace)
    log.info("worker.stopped")


def check_addresses(settings: Settings) -> None:
    """Raise `ConfigurationError` unless the settings say where the whole farm is: a worker alone would do nothing."""
    missing = [name for name in ADDRESSES if getattr(settings, name) is None]
    if missing:
        what = ", ".join(ADDRESSES[name] for name in missing)
        variables = ", ".join(f"AVANT_{name.upper()}" for name in missing)
        raise ConfigurationError(f"Nothing says where the farm has its {what}.", hint=f"Set {variables}.")


def _check(settings: Settings) -> None:
    """Raise an error of ours unless disk, secrets, store and broker are what steps will need."""
    settings.home.mkdir(parents=True, exist_ok=True)
    host.check_room(settings.home)
    names(settings)
    with closing(open_store(settings)) as store:
        store.check_conditional_writes()
    broker.check(broker.open_broker(settings.broker_url or ""))


def _drain(crew: Supervisor, asked: int, grace: float) -> None:
    """Return when all slots have finished, `grace` seconds are over, or we are told again."""
    patience = time.monotonic() + grace
    crew.drain()
    log.info("worker.draining", grace_s=grace)
    while crew.at_work and time.monotonic() < patience and not _told(asked):
        crew.poll()


def _told(asked: int) -> bool:
    """Whether a signal has come; waits a moment for it."""
    if not select.select([asked], [], [], INTERVAL)[0]:
        return False
    os.read(asked, 1)
    return True
