"""
The process that a host's slots are forked from: it has imported all that they need, and opened nothing.

So a slot is there at once instead of after a second of processor time, and most of its memory is its neighbours', too.
There is one thread and one socket, the supervisor's: a fork finds nothing half done. Slots die with this process, and
it with the supervisor. What outlives a slot (the kernel kills its tools with it, but not one that was just being
started) becomes a child of this process, which ends it before it tells of the death.
"""

import argparse
import gc
import importlib
import json
import os
import selectors
import signal
import socket
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from pipelines.tools import lineage
from workers import slot
from workers.bench import Dispatch
from workers.lanes import slot_class

#: Bytes, more than any message has.
LONGEST = 1 << 14

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who is to be born."""

    name: str
    #: Its class.
    slots: str
    #: The file that it writes to.
    log: str


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What became of a slot."""

    name: str
    pid: int
    #: Exit status, negative for a signal. None: it was born, and a descriptor of it comes with this.
    status: int | None


class Nursery:
    """Bears slots, and buries them."""

    def __init__(self, supervisor: socket.socket) -> None:
        self._supervisor = supervisor
        self._selector = selectors.PollSelector()
        self._selector.register(supervisor, selectors.EVENT_READ)
        #: Name and process of each slot that lives, by its descriptor.
        self._living: dict[int, tuple[str, int]] = {}

    def attend(self) -> Order | None:
        """Return when the supervisor is gone, with None; and in each newborn, with what it is to be."""
        while True:
            for key, _ in self._selector.select():
                if key.fd in self._living:
                    self._bury(key.fd)
                    continue
                data = self._supervisor.recv(LONGEST)
                order = Order(**json.loads(data)) if data else None
                if order is None or self._newborn(order):
                    return order

    def reap(self) -> None:
        """Bury who has ended already: what they used is then told of us."""
        for _, pid in self._living.values():
            os.waitpid(pid, os.WNOHANG)

    def close(self) -> None:
        """Let go of what a newborn has no use for."""
        for handle in self._living:
            os.close(handle)
        self._selector.close()
        self._supervisor.close()

    def _newborn(self, order: Order) -> bool:
        """Fork; whether we are who was born."""
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:  # the others are to live on
            log.error("slot.unborn", slot=order.name, error=error.strerror)  # noqa: TRY400 - a traceback says no more
            self._tell(News(name=order.name, pid=0, status=1))
            return False
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            lineage.follow(parent)
            return True
        handle = os.pidfd_open(pid)
        self._living[handle] = (order.name, pid)
        self._selector.register(handle, selectors.EVENT_READ)
        self._tell(News(name=order.name, pid=pid, status=None), handle)
        return False

    def _bury(self, handle: int) -> None:
        name, pid = self._living.pop(handle)
        self._selector.unregister(handle)
        os.close(handle)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._end_orphans()
        self._tell(News(name=name, pid=pid, status=status))

    def _end_orphans(self) -> None:
        """End what is our child now and is no slot; and what becomes our child by that."""
        ours = {pid for _, pid in self._living.values()}
        while orphans := [pid for pid in lineage.children() if pid not in ours]:
            for pid in orphans:
                os.kill(pid, signal.SIGKILL)  # until we reap it, nobody else is given its number
            for pid in orphans:
                os.waitpid(pid, 0)

    def _tell(self, news: News, *handles: int) -> None:
        socket.send_fds(self._supervisor, [json.dumps(asdict(news)).encode()], handles)


def main() -> None:
    """Serve the supervisor, until we are one of its slots."""
    parser = argparse.ArgumentParser(description="What slots are forked from; a supervisor starts it.")
    parser.add_argument("module", help="what they work by: its PIPELINES")
    parser.add_argument("--supervisor", type=int, required=True, help="descriptor of the socket that leads there")
    parser.add_argument("--parent", type=int, required=True)
    asked = parser.parse_args()
    dispatch: Dispatch = importlib.import_module(asked.module).PIPELINES
    # A supervisor that died before the kernel was told to tell us may have left orders.
    if os.getppid() != asked.parent:
        return
    lineage.adopt()
    gc.collect()
    gc.freeze()  # or the first collection of each slot would write to, and so copy, every page of ours
    supervisor = socket.socket(fileno=asked.supervisor)
    supervisor.set_inheritable(False)
    order = None
    # Whoever wants us gone closes the socket; only who has no time for what that takes sends what can't be ignored.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with closing(Nursery(supervisor)) as nursery:
        with suppress(ConnectionError):  # the supervisor is gone, and we go
            order = nursery.attend()
        if order is None:
            nursery.reap()
    if order:
        slot.live(slot_class(order.slots), name=order.name, log_file=Path(order.log), dispatch=dispatch)


if __name__ == "__main__":
    main()
