"""
Many objects asked of one edge, some at a time, as fast as it bears and no faster.

Refusals (429, 503) are asked again when the edge says so, broken connections soon; everything else is an answer, for
others to judge.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from queue import Empty, Full, Queue

from pipelines.errors import EdgeError, Interrupted
from pipelines.tools.edge import Answer, EdgeClient
from pipelines.version import Item
from pipelines.warm.edges import Edge, secrets
from pipelines.warm.pace import Pace, Together
from pipelines.warm.passes import passes
from pipelines.warm.verdict import ASKING

#: Statuses by which an edge says that it has enough.
REFUSALS = (429, 503)
#: How often one object is refused, objects in a row are, or a connection breaks, before the edge is given up for now.
MOST_REFUSALS, MOST_IN_A_ROW, MOST_BREAKS = 8, 16, 3
#: Seconds between two looks at whether the work still counts.
TICK = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One GET to be made."""

    #: Its place in the order of warming.
    index: int
    item: Item
    headers: Mapping[str, str]
    #: Whose token it carries, if the edge wants one; None: it carries none, as an entry point needs none.
    viewer: int | None = 0
    hashed: bool = False
    #: Whether the answer's bytes are wanted.
    kept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of it, and when by the wall clock."""

    ask: Ask
    answer: Answer
    at: datetime


class Asker(ExitStack):
    """The connections to one edge and the threads that use them, within its limits."""

    def __init__(self, edge: Edge, folder: Path | None = None) -> None:
        """`folder`: where the processes of this host share the limits of all edges together."""
        super().__init__()
        self._edge = edge
        self._extra = {**ASKING.get(edge.kind, {}), **({"Referer": secrets(edge, edge.door)[0]} if edge.door else {})}
        self._passes = passes(edge)
        self._over = threading.Event()
        together = self.enter_context(Together(edge.total, folder))
        self.pace = Pace(edge.capacity, together, clock=time.monotonic, wait=self._wait)
        self._threads: list[threading.Thread] = []
        self.callback(self._join)
        client = EdgeClient(edge.name, edge.url, address=edge.address, ca=edge.ca, came=self.pace.came)
        self._client = self.enter_context(client)
        self.callback(self._over.set)

    @property
    def viewers(self) -> int:
        """How many viewers with tokens of their own there are; 1 where none are wanted."""
        return self._passes.viewers

    def each(self, asks: Iterable[Ask], tick: Callable[[], None]) -> Iterator[Heard]:
        """
        The answers as they come. `tick` is called at least twice a second; when it raises, the asking ends.

        Raises `EdgeError` when the edge does not answer, or refuses for good.
        """
        waiting, lock = iter(asks), threading.Lock()
        count = self._connections()
        # Bounded, so that no more is ever asked for than what is heard, and noted, keeps up with.
        heard: Queue[Heard | Exception | None] = Queue(count)

        def work() -> None:
            try:
                while not self._over.is_set():
                    with lock:
                        ask = next(waiting, None)
                    if ask is None:
                        break
                    self._tell(heard, self._asked(ask))
            except Exception as error:  # noqa: BLE001 - raised again where it is heard
                self._tell(heard, error)
            else:
                self._tell(heard, None)

        threads = [threading.Thread(target=work, name="warm", daemon=True) for _ in range(count)]
        self._threads += threads
        for thread in threads:
            thread.start()
        yield from self._gathered(heard, count, tick)

    def _connections(self) -> int:
        own = self._edge.capacity.connections
        return min(own, self._edge.total.connections) if self._edge.total else own

    def _tell(self, heard: "Queue[Heard | Exception | None]", what: Heard | Exception | None) -> None:
        while not self._over.is_set():
            with suppress(Full):
                heard.put(what, timeout=TICK)
                return

    def _gathered(
        self, heard: "Queue[Heard | Exception | None]", running: int, tick: Callable[[], None]
    ) -> Iterator[Heard]:
        ticked = time.monotonic()
        while running:
            try:
                came = heard.get(timeout=TICK)
            except Empty:
                came = None
            else:
                if isinstance(came, Exception):
                    raise came
                running -= came is None
            if came is not None:
                yield came
            if time.monotonic() - ticked > TICK or came is None:
                ticked = time.monotonic()
                tick()

    def one(self, ask: Ask) -> Heard:
        """A single answer, in this thread."""
        return self._asked(ask)

    def pause(self, seconds: float) -> None:
        self._wait(seconds)

    def _asked(self, ask: Ask) -> Heard:
        refusals = breaks = 0
        headers = {**ask.headers, **self._extra}
        while True:
            asked = self.pace.before()
            try:
                below = "" if ask.viewer is None else self._passes.prefix(ask.viewer)
                answer = self._client.fetch(ask.item.key, headers, below=below, hashed=ask.hashed, kept=ask.kept)
            except EdgeError:
                breaks += 1
                if breaks == MOST_BREAKS or self._over.is_set():
                    raise
                self._wait(TICK * breaks)
                continue
            if answer.status not in REFUSALS:
                self.pace.answered()
                return Heard(ask=ask, answer=answer, at=datetime.now(UTC))
            refusals += 1
            self.pace.refused(asked, retry_after(answer.headers, datetime.now(UTC)))
            if refusals >= MOST_REFUSALS or self.pace.in_a_row >= MOST_IN_A_ROW:
                raise EdgeError(
                    f"Edge {self._edge.name} ({self._edge.url}) refuses: {answer.status}, again and again, for "
                    f"{ask.item.key}.",
                    hint="Lower its `capacity` in edges.toml, or ask whoever runs it for more.",
                )

    def _wait(self, seconds: float) -> None:
        if self._over.wait(seconds):
            raise Interrupted("Warming was stopped.")

    def _join(self) -> None:
        """Their connections are shut by now: whoever still reads ends. What they use is closed after them."""
        for thread in self._threads:
            thread.join()


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds for which the edge wants to be left alone (RFC 9110, 10.2.3); None when it does not say."""
    said = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", said):
        return float(said)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, (until - now).total_seconds()) if until.tzinfo else None
