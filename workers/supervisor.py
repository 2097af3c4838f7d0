"""
One process per slot, kept alive; and a look once a second for what nobody told us.

A slot is a process of its own because a dead one must take nobody with it. Its steps are taken from it as soon as it
has been reaped, without waiting for the lease: nothing of it is left that could write, since the kernel kills its
tools with it, and a commit needs the last token anyway.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import ConfigurationError, HostError
from pipelines.tools import process
from workers import host, losses, orphans, scratch
from workers.broker import Tickets, open_broker
from workers.lanes import SlotClass, mix
from workers.ledger import Ledger, Look
from workers.reconcile import reconcile, wake
from workers.settings import Settings
from workers.slot import DRAIN, FINISH, LOCK
from workers.tally import tally

#: Seconds from one look to the next.
INTERVAL = 1.0
#: Seconds that a slot has to end by itself; more than it needs to drain.
GRACE = DRAIN + 2.0
#: A slot that lives shorter (seconds) has not worked; so many times in a row, and none will.
QUICK = 5.0
QUICK_DEATHS = 5
#: Milliseconds after which a slot asks a broker again that was down; three seconds by default.
DRAMATIQ = {"dramatiq_restart_delay": "500"}
#: Seconds until the last slots of a supervisor that was killed must have followed it.
FOLLOW = 10.0

log = structlog.get_logger()


class Supervisor:
    """
    The slots of this machine, for as long as the context lasts. `poll` is to be called several times a second.

    Enter it from a thread that lives as long: slots die with the thread that started them.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        *,
        slots: tuple[SlotClass, ...] | None = None,
        module: str = "workers.slot",
    ) -> None:
        """`slots` are by default those that the settings, or the processors, ask for; `module` is what each runs."""
        self.slots = slots if slots is not None else mix(settings.slots or host.processors())
        self._settings = settings
        self._ledger = ledger
        self._module = module
        self._host = settings.machine
        self._tally = tally(settings.home, f"{self._host}/supervisor")
        self._tickets = Tickets(open_broker(settings.broker_url or ""))
        self._crew: list[_Slot] = []
        self._looked = 0.0
        self._leaving = self._drained = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(_alone(self._settings.home))
            self._ledger.take_over(self._host)
            scratch.sweep(self._settings.home)
            (self._settings.home / "logs").mkdir(parents=True, exist_ok=True)
            names = [slots.name for slots in self.slots]
            self._ledger.enrol(self._host, memory=host.memory(), slots=names)
            stack.callback(self._leave)
            for number, slots in enumerate(self.slots, start=1):
                self._crew.append(_Slot(self._settings, slots, f"{self._host}/{slots.name}-{number}", self._module))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def poll(self) -> None:
        """
        Replace slots that died, and once a second look for what is due. Raises `HostError` if slots can't live.

        Once the ledger has a schema that we don't know, slots claim nothing more; when the last step here has ended,
        `ConfigurationError` is raised, and whoever starts us again starts what is installed then.
        """
        for slot in self._crew:
            if slot.died():
                self._bury(slot)
            if not self._leaving and not self._drained:
                slot.restart_when_due()
        if time.monotonic() - self._looked >= INTERVAL:
            self._looked = time.monotonic()
            self._look()

    def drain(self) -> None:
        """Have every slot begin nothing more, and end with the step that it has. `poll` goes on being called."""
        self._leaving = True
        for slot in self._crew:
            slot.ask_to_finish()

    @property
    def at_work(self) -> bool:
        """Whether any slot lives, as far as the last `poll` saw."""
        return any(slot.alive for slot in self._crew)

    def wake(self) -> None:
        """Send tickets for what was just submitted, instead of at the next look."""
        wake(self._ledger, self._tickets)

    def _look(self) -> None:
        try:
            look = self._reconciled()
        except SQLAlchemyError as error:  # what is out of reach now is asked again at the next look
            log.warning("ledger.unreachable", error=type(error).__name__)
        else:
            if look:
                self._obey(drained=self._host in look.drained)

    def _reconciled(self) -> Look | None:
        """What was seen; None while the last steps end of a ledger that has a schema that we don't know."""
        try:
            return reconcile(
                self._ledger,
                self._tickets,
                lambda taken: losses.tell(taken, "silent", self._tally),
                limit=self._settings.quarantine_after,
            )
        except ConfigurationError:
            if not self._ledger.busy(self._host):
                raise
            return None

    def _obey(self, *, drained: bool) -> None:
        """Slots that may not claim would take others' tickets: while a host is drained, it has none."""
        if drained == self._drained:
            return
        self._drained = drained
        log.info("host.drained" if drained else "host.undrained", host=self._host)
        if drained:
            for slot in self._crew:
                slot.ask_to_finish()

    def _bury(self, slot: "_Slot") -> None:
        orphans.end(self._settings.home, slot.name)
        try:
            taken = self._ledger.bury(slot.name, limit=self._settings.quarantine_after)
        except SQLAlchemyError as error:  # its lease runs out all the same
            log.warning("slot.died", slot=slot.name, status=slot.status, error=type(error).__name__)
            return
        for each in taken:
            scratch.remove(self._settings.home, each.step, each.token)
        tell = log.info if slot.status == 0 else log.warning
        tell("slot.died", slot=slot.name, status=slot.status, steps=[each.step for each in taken])
        losses.tell(taken, "died", self._tally)
        self._looked = 0.0  # what it held is ready: the look that is due now wakes somebody

    def _leave(self) -> None:
        """End all slots, and give back whatever those held that did not end by themselves."""
        for slot in self._crew:
            slot.ask_to_end()
        for slot in self._crew:
            slot.end()
        self._crew = []
        orphans.end(self._settings.home)
        self._ledger.take_over(self._host)
        self._ledger.enrol(self._host, memory=host.memory(), slots=())
        scratch.sweep(self._settings.home)


class _Slot:
    """The process of one slot, and its successors."""

    def __init__(self, settings: Settings, slots: SlotClass, name: str, module: str) -> None:
        self.name = name
        self._log = settings.home / "logs" / f"{name.rpartition('/')[2]}.log"
        self._argv = [sys.executable, "-m", module, "--slots", slots.name, "--name", name, "--parent", str(os.getpid())]
        self._environment = {**os.environ, **settings.environment(), **DRAMATIQ, orphans.MARK: name}
        self._quick_deaths = 0
        self._restart_at: float | None = None
        self._start()

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it lives."""
        return self._child.returncode

    @property
    def alive(self) -> bool:
        """Whether the process lived when it was last asked."""
        return self._restart_at is None

    def died(self) -> bool:
        """Whether the process has died since this was last asked. Raises `HostError` if it always does."""
        if self._restart_at is not None or self._child.poll() is None:
            return False
        process.stop(self._child, 0)
        quick = time.monotonic() - self._started < QUICK
        # SIGKILL is somebody else's doing (an operator, the kernel short of memory) and says nothing about the slot.
        self._quick_deaths = self._quick_deaths + 1 if quick and self.status not in (0, -signal.SIGKILL) else 0
        if self._quick_deaths >= QUICK_DEATHS:
            raise HostError(
                f"Slot {self.name} dies as soon as it is started.", hint=f"Its last words are in {self._log}."
            )
        self._restart_at = time.monotonic() + 0.1 * 2**self._quick_deaths
        return True

    def restart_when_due(self) -> None:
        if self._restart_at is not None and time.monotonic() >= self._restart_at:
            self._start()

    def ask_to_finish(self) -> None:
        if self._child.poll() is None:
            self._child.send_signal(FINISH)

    def ask_to_end(self) -> None:
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)

    def end(self) -> None:
        process.stop(self._child, GRACE)

    def _start(self) -> None:
        self._child = process.start(self._argv, env=self._environment, log=self._log)
        self._started = time.monotonic()
        self._restart_at = None


def sweep(home: Path) -> None:
    """Remove what a killed run left behind, where no other one follows that would."""
    with _alone(home):
        scratch.sweep(home)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """The only supervisor of a data folder, once the slots of its predecessor are gone. Raises `ConfigurationError`."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "supervisor.lock").open("w") as ours:
        try:
            fcntl.flock(ours, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"Another `avant` is at work in {home}.", hint="Wait for it, or set AVANT_HOME to another folder."
            ) from error
        _follow(home)
        orphans.end(home)
        yield


def _follow(home: Path) -> None:
    """Wait until no slot of a killed predecessor is left: the kernel kills them with it, a moment later."""
    with (home / LOCK).open("w") as slots:
        patience = time.monotonic() + FOLLOW
        while True:
            try:
                fcntl.flock(slots, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > patience:
                    raise ConfigurationError(
                        f"Workers of an earlier run are still at work in {home}.", hint="End them first."
                    ) from error
                time.sleep(0.05)
            else:
                return
