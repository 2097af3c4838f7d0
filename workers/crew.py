"""
A host's slots as their supervisor sees them: asked for, born, dead, replaced; and the nursery that they come from.

What is told of a slot's end comes from the nursery, which alone can wait for it. To signal a slot it is not needed:
with the news of a birth comes a descriptor of the process. A nursery that dies takes its slots with it, and one that
owes an answer for too long is killed: then all of them are born anew from another.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import structlog

from pipelines.errors import HostError
from pipelines.tools import process
from workers import orphans
from workers.lanes import SlotClass
from workers.nursery import LONGEST, News, Order
from workers.settings import Settings
from workers.slot import DRAIN, FINISH

#: Seconds that a slot has to end by itself; more than it needs to drain.
GRACE = DRAIN + 2.0
#: Seconds that a nursery has to bury slots that have ended, and end.
FAREWELL = 2.0
#: A slot that lives shorter (seconds) has not worked; so many times in a row, and none will.
QUICK = 5.0
QUICK_DEATHS = 5
#: Seconds until a nursery that owes an answer is believed to hang. Its first takes as long as its imports.
PATIENCE = 120.0

log = structlog.get_logger()


class Crew:
    """The slots of a host. Make it, and call it, from a thread that lives as long: they die with that one."""

    def __init__(self, settings: Settings, slots: Iterable[SlotClass], module: str) -> None:
        self._home = settings.home
        logs = settings.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        names = [(f"{settings.machine}/{each.name}-{number}", each) for number, each in enumerate(slots, start=1)]
        self.slots = [Slot(name, each, logs / f"{name.rpartition('/')[2]}.log") for name, each in names]
        self._nursery = _Nursery(settings, module, logs / "nursery.log")
        self._finishing = False

    @property
    def at_work(self) -> bool:
        """Whether any slot lives, as far as was heard of."""
        return any(slot.alive for slot in self.slots)

    def attend(self) -> list["Slot"]:
        """Hear what happened; the slots that have died since. Raises `HostError` when there is no keeping any alive."""
        if any(slot.overdue() for slot in self.slots):
            log.warning("nursery.hangs")
            self._nursery.end()
        gone = self._nursery.died()  # asked first: whatever it told before that is heard now
        dead = [self._named(news.name) for news, handle in self._nursery.news() if self._hear(news, handle)]
        return dead + self._mourn() if gone else dead

    def fill(self, without: Collection["Slot"] = ()) -> None:
        """Have slots born that are due, `without` some whose predecessor is not buried."""
        self._finishing = False
        self._nursery.start_when_due()
        for slot in self.slots:
            if slot.due and slot not in without and self._nursery.bear(slot):
                slot.asked()

    def finish(self) -> None:
        """Have every slot begin nothing more, and end with the step that it has."""
        self._finishing = True
        for slot in self.slots:
            slot.send(FINISH)

    def end(self) -> None:
        """Have every slot give back its step and end; soon, or it is killed. Nothing of them is left."""
        for slot in self.slots:
            slot.send(signal.SIGTERM)
        for slot in self.slots:
            slot.end(GRACE)
        self._nursery.close()
        orphans.end(self._home)

    def _hear(self, news: News, handle: int | None) -> bool:
        """Whether a slot has died by what is told of it."""
        slot = self._named(news.name)
        died = slot.hear(news, handle)
        if self._finishing and not died:
            slot.send(FINISH)
        return died

    def _mourn(self) -> list["Slot"]:
        """Slots that die with their nursery; nothing of them is left."""
        log.warning("nursery.died", status=self._nursery.status)
        orphans.end(self._home)
        return [slot for slot in self.slots if slot.end(0.0)]

    def _named(self, name: str) -> "Slot":
        return next(slot for slot in self.slots if slot.name == name)


class _Deaths:
    """Of somebody and its successors: when the next may live. Raises `HostError` once none will."""

    def __init__(self, who: str, last_words: Path) -> None:
        self._who = who
        self._last_words = last_words
        self._quick = 0
        self._again = 0.0

    @property
    def due(self) -> bool:
        return time.monotonic() >= self._again

    def count(self, status: int, *, worked: bool) -> None:
        # SIGKILL is somebody else's doing (an operator, the kernel short of memory) and says nothing about who died.
        self._quick = self._quick + 1 if not worked and status not in (0, -signal.SIGKILL) else 0
        if self._quick >= QUICK_DEATHS:
            raise HostError(
                f"{self._who} dies as soon as it is started.", hint=f"Its last words are in {self._last_words}."
            )
        self._again = time.monotonic() + 0.1 * 2**self._quick


class Slot:
    """A slot: its process, and the successors of that."""

    def __init__(self, name: str, slots: SlotClass, log_file: Path) -> None:
        self.name = name
        self.slots = slots
        self.log_file = log_file
        #: Of its last process: number, and exit status, negative for a signal; None while it lives.
        self.pid: int | None = None
        self.status: int | None = None
        self._deaths = _Deaths(f"Slot {name}", log_file)
        self._handle: int | None = None
        self._born = 0.0
        #: Since when the nursery owes an answer.
        self._owed: float | None = None

    @property
    def alive(self) -> bool:
        """Whether it lives, or is about to."""
        return self._handle is not None or self._owed is not None

    @property
    def due(self) -> bool:
        """Whether it is to be asked for."""
        return not self.alive and self._deaths.due

    def asked(self) -> None:
        """It was asked for just now."""
        self._owed = self._born = time.monotonic()

    def overdue(self) -> bool:
        """Whether the nursery has not said for long what it must know: that it was born, or has died."""
        if self._owed is None and self._handle is not None and self._ended(0.0):
            self._owed = time.monotonic()
        return self._owed is not None and time.monotonic() - self._owed > PATIENCE

    def hear(self, news: News, handle: int | None) -> bool:
        """Take what the nursery says of it; whether it has died."""
        self._owed = None
        if news.status is None:
            self.pid, self.status, self._handle, self._born = news.pid, None, handle, time.monotonic()
            return False
        self._died(news.status)
        return True

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        if self._handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def end(self, grace: float) -> bool:
        """Return when it has ended, killed after `grace` seconds, whatever the nursery says; whether it lived."""
        self._owed = None
        if self._handle is None:
            return False
        if not self._ended(grace):
            self.send(signal.SIGKILL)
            self._ended(None)
        self._died(-signal.SIGKILL)
        return True

    def _ended(self, patience: float | None) -> bool:
        """Whether its process, which there must be, ends within so many seconds."""
        assert self._handle is not None  # noqa: S101 - its callers see to that
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(None if patience is None else patience * 1000))

    def _died(self, status: int) -> None:
        if self._handle is not None:
            os.close(self._handle)
        self._handle, self.status = None, status
        self._deaths.count(status, worked=time.monotonic() - self._born >= QUICK)


class _Nursery:
    """The process that slots are forked from, and its successors."""

    def __init__(self, settings: Settings, module: str, log_file: Path) -> None:
        self._module = module
        self._log_file = log_file
        self._environment = {**os.environ, **settings.environment(), orphans.MARK: "nursery"}
        self._deaths = _Deaths("What slots are forked from", log_file)
        self._mourned = False
        self._start()

    @property
    def status(self) -> int | None:
        """Exit status of the last one, negative for a signal; None while it lives."""
        return self._child.returncode

    def start_when_due(self) -> None:
        if self._mourned and self._deaths.due:
            self._socket.close()
            self._start()

    def died(self) -> bool:
        """Whether it has died since this was last asked. Raises `HostError` if it always does."""
        if self._mourned or self._child.poll() is None:
            return False
        self._mourned = True
        self._deaths.count(self._child.returncode, worked=self._bore)
        return True

    def bear(self, slot: Slot) -> bool:
        """Ask for a slot. False: not now; it has died, or too much was asked of it already."""
        order = Order(name=slot.name, slots=slot.slots.name, log=str(slot.log_file))
        try:
            self._socket.send(json.dumps(asdict(order)).encode())
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return False
        return True

    def news(self) -> Iterator[tuple[News, int | None]]:
        """What it has said since, with a descriptor of who was born."""
        with suppress(BlockingIOError, ConnectionResetError):
            while True:
                data, handles, _, _ = socket.recv_fds(self._socket, LONGEST, 1, socket.MSG_CMSG_CLOEXEC)
                if not data:
                    return
                self._bore = True
                yield News(**json.loads(data)), handles[0] if handles else None

    def end(self) -> None:
        """Kill it; its slots follow."""
        process.stop(self._child, 0)

    def close(self) -> None:
        """Have it end for good. It buries its slots before, so that what they used is counted as ours."""
        self._socket.close()
        process.stop(self._child, FAREWELL)

    def _start(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._bore = self._mourned = False
        with theirs:
            argv = [sys.executable, "-m", "workers.nursery", self._module, "--parent", str(os.getpid())]
            argv += ["--supervisor", str(theirs.fileno())]
            self._child: process.Child = process.start(
                argv, env=self._environment, log=self._log_file, keep=[theirs.fileno()]
            )
