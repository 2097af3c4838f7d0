"""One who reads a store as fast as it can while others write to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipelines import layout
from pipelines.tools.s3 import Store
from tests.fakes import spine
from tests.fakes.readers import is_manifest, named

#: Seconds between two looks: whoever writes needs the processors too.
PAUSE = 0.01


@dataclass(kw_only=True)
class Watcher:
    """Reads every manifest as soon as it is there, and asks for all that it names, down to the last segment."""

    store: Store
    #: What was named, and by whom, but was not there.
    missed: list[tuple[str, str]] = field(default_factory=list)
    #: Of everything named, as the store told it when it was first named.
    sizes: dict[str, int] = field(default_factory=dict)
    #: What release.json said, each time that it said something else.
    states: list[str] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Until `over`, and once more after it."""
        last = False
        while not last:
            last = self.over.wait(PAUSE)
            for key in spine.keys(self.store, ("e/", "v/", "t/")):
                if is_manifest(key) and (key.startswith("e/") or key not in self.read):
                    self.follow(key)

    def follow(self, key: str) -> None:
        body = self.store.get(key)
        assert body, key
        self.read.add(key)
        if key.endswith(layout.RELEASE) and [state := json.loads(body[0])["state"]] != self.states[-1:]:
            self.states.append(state)
        for name in sorted(named(key, body[0]) - self.sizes.keys()):
            found = self.store.head(name)
            if found is None:
                self.missed.append((key, name))
            elif is_manifest(name):
                self.follow(name)
            if found and not name.startswith("e/"):  # an entry point's size changes
                self.sizes[name] = found.size


@contextmanager
def watched(store: Store) -> Iterator[Watcher]:
    """A watcher at work as long as the context lasts."""
    watcher = Watcher(store=store)
    thread = threading.Thread(target=watcher.watch)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.over.set()
        thread.join()
