"""Hosts of a farm on one machine: each a supervisor with slots of its own, in a home of its own, under its own name."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.tools import process
from tests.fakes.farm import until
from tests.fakes.kin import adopted, kin, slots
from workers.settings import Settings

#: Seconds that a host has to give back its steps and end.
PATIENCE = 30.0
#: The flag of a process on its way out, in proc(5)'s ninth field.
EXITING = 0x4
#: What moves a process's wall clock; its monotonic clock stays true.
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


def ahead(seconds: int) -> dict[str, str]:
    """What a process's environment must hold for its wall clock to be so far ahead."""
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME": f"+{seconds}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DISABLE_SHM": "1",  # a killed process would leave a semaphore behind
    }


@dataclass(kw_only=True)
class Host:
    """A host, which may be started, killed and started again."""

    settings: Settings
    #: What its slots work by, and their classes.
    module: str
    slots: Sequence[str]
    #: What else its processes find in their environment.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: What its command is started through, such as `ip netns exec`.
    through: Sequence[str] = ()
    child: process.Child | None = None

    @property
    def home(self) -> Path:
        return self.settings.home

    @property
    def log(self) -> Path:
        return self.home / "host.log"

    def start(self) -> None:
        """Start it; call this from a thread that lives as long."""
        self.home.mkdir(parents=True, exist_ok=True)
        argv = [*self.through, sys.executable, "-m", "tests.fakes.host", self.module, *self.slots]
        environment = {**os.environ, **self.settings.environment(), **self.environment}
        self.child = process.start(argv, env=environment, log=self.log)

    def kill(self) -> None:
        """Kill the supervisor as a crash does; its slots and their tools must follow."""
        if self.child:
            process.stop(self.child, 0)
            self.child = None

    def check(self) -> None:
        """Fail if it has ended by itself."""
        assert self.child
        assert self.child.poll() is None, self.log.read_text()[-3000:]

    def stop(self) -> None:
        """End it as an operator does."""
        if self.child:
            process.stop(self.child, PATIENCE)
            assert self.child.returncode == 0, self.log.read_text()[-3000:]
            self.child = None

    def crew(self) -> dict[str, int]:
        """The processes of its slots, by the name that the ledger knows them by."""
        return {f"{self.settings.machine}/{name}": pid for name, pid in slots(self.home).items()}

    def orphans(self) -> set[int]:
        """Processes of it that live on although who started them is gone."""
        ours = set(kin(self.home))
        known = {*ours, os.getpid()}
        alone = {pid for pid in ours if (parent := _parent(pid)) is not None and parent not in known}
        return alone | {pid for pid in adopted(self.home) if alive(pid)}

    def gone(self) -> None:
        """Return when nothing of it is left. Fails when something stays."""
        until(lambda: kin(self.home) == [], patience=10)


def signalled(pid: int, number: signal.Signals) -> None:
    """Send a signal to who may have ended meanwhile."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def alive(pid: int) -> bool:
    """Whether it has neither ended nor been killed."""
    return _parent(pid) is not None


def words(pid: int) -> list[str]:
    """The argv of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def _parent(pid: int) -> int | None:
    """Who started it, or who has it now; None of one that has ended, or is dying."""
    try:
        state, parent, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    pending = int(status.partition("ShdPnd:")[2].split()[0], 16)
    killed = pending >> (signal.SIGKILL - 1) & 1 or int(rest[4]) & EXITING
    return None if state == "Z" or killed else int(parent)
