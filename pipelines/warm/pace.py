"""
How fast an edge may be asked: limits of its own, limits of all edges together, and what it says when it has enough.

A limit is one number, the instant at which it is free again (the generic cell rate algorithm), so that threads of a
process and processes of a host can share it.
"""

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pipelines.warm.edges import Capacity

#: Seconds of a limit that may be taken at once after a rest: hides a late wake-up, and is no surge.
BURST = 0.05
#: Longest that a Retry-After is heeded, in seconds: a mistaken one must not cost the night.
LONGEST_PAUSE = 120.0
#: An edge that refuses without saying for how long is left alone for that long, in seconds.
PAUSE = 1.0
#: After a refusal the rate is halved, to no less than this share; each good answer then gives a little back.
SLOWEST = 1 / 16
#: Requests per second that count as borne by an edge without a limit that refused before it answered any.
LEAST = 10.0
RECOVERY = 1 / 128
#: An instant further ahead than this (seconds) is what a host wrote before it started again.
STALE = 3600.0

#: Monotonic seconds; waits that many, or raises when the work no longer counts.
Clock = Callable[[], float]
Wait = Callable[[float], None]


@dataclass(slots=True)
class Memory:
    """A limit's instant, for the threads of this process."""

    _value: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, change: Callable[[float], float]) -> float:
        with self._lock:
            self._value = change(self._value)
            return self._value


class Shared:
    """A limit's instant in a file, for every process of this host: the monotonic clock is one for all of them."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, 8)
        self._map = mmap.mmap(self._file, 8)
        self._lock = threading.Lock()  # the file's own tells processes apart, not threads

    def update(self, change: Callable[[float], float]) -> float:
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                (value,) = struct.unpack("d", self._map[:])
                value = change(value)
                self._map[:] = struct.pack("d", value)
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        return value

    def close(self) -> None:
        self._map.close()
        os.close(self._file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So much per second."""

    rate: float
    cell: Memory | Shared = field(default_factory=Memory)

    def take(self, amount: float, now: float, share: float = 1.0) -> float:
        """Take `amount` at that `share` of the rate; the seconds to wait until it is paid for."""

        def taken(free: float) -> float:
            begin = now if free > now + STALE else max(free, now - BURST)
            return begin + amount / (self.rate * share)

        return max(0.0, self.cell.update(taken) - now)


class Pace:
    """What one edge is asked, and when: every request and every byte of every thread passes here."""

    def __init__(self, own: Capacity, together: "Together", *, clock: Clock, wait: Wait) -> None:
        self._requests = [*([Limit(rate=own.requests_per_second)] if own.requests_per_second else [])]
        self._bits = [*([Limit(rate=own.bits_per_second)] if own.bits_per_second else [])]
        self._together = together
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        #: Of the rates: what refusals have left of them.
        self.share = 1.0
        self._halved = self._paused = float("-inf")
        self._began = clock()
        self._answered = 0
        #: Refusals since the last answer that was none.
        self.in_a_row = 0

    def before(self) -> float:
        """Wait until another request may go; the instant of asking."""
        while (pause := self._paused - self._clock()) > 0:
            self._wait(pause)
        self._take(self._requests, self._together.requests, 1.0)
        return self._clock()

    def came(self, count: int) -> None:
        """Bytes came: wait until they are paid for."""
        if self._bits or self._together.bits:
            self._take(self._bits, self._together.bits, 8.0 * count)

    def answered(self) -> None:
        """An answer that was no refusal: a little of what refusals took comes back."""
        self._answered += 1
        self.in_a_row = 0
        if self.share < 1.0:
            with self._lock:
                self.share = min(1.0, self.share * (1 + RECOVERY))

    def refused(self, asked: float, retry_after: float | None) -> None:
        """429 or 503: half as fast from now on. Requests that were on their way already say nothing new."""
        now = self._clock()
        with self._lock:
            self.in_a_row += 1
            pause = PAUSE if retry_after is None else retry_after
            self._paused = max(self._paused, now + min(max(0.0, pause), LONGEST_PAUSE))
            if asked < self._halved:
                return
            self._halved = now
            if not self._requests:
                # Nobody set a limit: what it bore until now is one.
                self._requests = [Limit(rate=max(LEAST, self._answered / max(0.1, now - self._began)))]
            self.share = max(SLOWEST, self.share / 2)

    def _take(self, own: list[Limit], together: list[Limit], amount: float) -> None:
        now = self._clock()
        waits = [limit.take(amount, now, self.share) for limit in own] + [limit.take(amount, now) for limit in together]
        if (longest := max(waits, default=0.0)) > 0:
            self._wait(longest)


class Together(ExitStack):
    """The limits of all edges together. With `folder`, all processes of this host that name it share them."""

    def __init__(self, total: Capacity | None, folder: Path | None = None) -> None:
        super().__init__()
        self._folder = folder
        self.bits = self._limits("bits", total.bits_per_second if total else None)
        self.requests = self._limits("requests", total.requests_per_second if total else None)

    def __enter__(self) -> Self:
        return self

    def _limits(self, name: str, rate: float | None) -> list[Limit]:
        if rate is None:
            return []
        if self._folder is None:
            return [Limit(rate=rate)]
        cell = Shared(self._folder / f"warm-{name}")
        self.callback(cell.close)
        return [Limit(rate=rate, cell=cell)]
