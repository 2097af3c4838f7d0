"""
One process per slot, kept alive; and a look once a second for what nobody told us.

A slot is a process of its own because a dead one must take nobody with it. Its steps are taken from it as soon as it is
dead, without waiting for the lease: nothing of it is left that could write, and a commit needs the last token anyway.
While the ledger is out of reach nobody can say that it holds nothing any more: its successor waits for that.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from pipelines.errors import ConfigurationError
from workers import host, losses, orphans, scratch
from workers.broker import Tickets, open_broker
from workers.crew import Crew, Slot
from workers.lanes import SlotClass, mix
from workers.ledger import Ledger, Look
from workers.reconcile import reconcile, wake
from workers.settings import Settings
from workers.slot import LOCK
from workers.tally import tally

#: Seconds from one look to the next.
INTERVAL = 1.0
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
        module: str = "workers.dispatch",
        crew: Crew | None = None,
    ) -> None:
        """
        `slots` are by default those that settings or processors ask for; they work by the PIPELINES of `module`. A
        `crew` that is given was begun earlier, with the same settings.
        """
        self.slots = slots if slots is not None else mix(settings.slots or host.processors())
        self._begun = crew
        self._settings = settings
        self._ledger = ledger
        self._module = module
        self._host = settings.machine
        self._tally = tally(settings.home, f"{self._host}/supervisor")
        self._tickets = Tickets(open_broker(settings.broker_url or ""))
        self._crew: Crew
        #: Slots that are dead, and whose steps nobody has been able to take from them.
        self._unburied: list[Slot] = []
        self._looked = 0.0
        self._leaving = self._drained = False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(_alone(self._settings.home))
            self._ledger.take_over(self._host)
            scratch.sweep(self._settings.home)
            names = [slots.name for slots in self.slots]
            self._ledger.enrol(self._host, memory=host.memory(), slots=names)
            stack.callback(self._leave)
            self._crew = self._begun or Crew(self._settings, self.slots, self._module)
            stack.callback(self._crew.end)
            self._crew.fill()
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
        for slot in self._crew.attend():
            self._lose(slot)
        if not self._leaving and not self._drained:
            self._crew.fill(without=self._unburied)
        if time.monotonic() - self._looked >= INTERVAL:
            self._looked = time.monotonic()
            self._look()

    def drain(self) -> None:
        """Have every slot begin nothing more, and end with the step that it has. `poll` goes on being called."""
        self._leaving = True
        self._crew.finish()

    @property
    def at_work(self) -> bool:
        """Whether any slot lives, as far as the last `poll` saw."""
        return self._crew.at_work

    def wake(self) -> None:
        """Send tickets for what was just submitted, instead of at the next look."""
        wake(self._ledger, self._tickets)

    def _look(self) -> None:
        try:
            self._bury()
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
            self._crew.finish()

    def _lose(self, slot: Slot) -> None:
        """A slot has died: what it held is to be ready again, at the look that is due now."""
        if slot.status == 0:
            log.info("slot.died", slot=slot.name, status=0)
        else:
            log.warning("slot.died", slot=slot.name, status=slot.status)
        scratch.remove(self._settings.home, slot.name)
        self._unburied.append(slot)
        self._looked = 0.0

    def _bury(self) -> None:
        """Take the steps of slots that are dead."""
        while self._unburied:
            taken = self._ledger.bury(self._unburied[0].name, limit=self._settings.quarantine_after)
            self._unburied.pop(0)
            losses.tell(taken, "died", self._tally)

    def _leave(self) -> None:
        """Give back whatever slots held that did not end by themselves. All of them are gone."""
        scratch.sweep(self._settings.home)
        try:
            self._ledger.take_over(self._host)
            self._ledger.enrol(self._host, memory=host.memory(), slots=())
        except SQLAlchemyError as error:  # what they held is free when their leases have run out
            log.warning("ledger.unreachable", error=type(error).__name__)


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
