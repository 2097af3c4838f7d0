"""
How far the warming of one edge is, kept where the next attempt finds it.

In the store and not on this host's disk: an attempt that was killed may go on elsewhere. One small private object,
rewritten after every half per cent of the work, so that a kill repeats less than one; swapped by its ETag, so that an
attempt that lost its lease but does not know it yet can't undo what its successor noted.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipelines.layout import PRIVATE, content_type
from pipelines.tools.s3 import Store, Upload
from pipelines.wire import canonical

#: Share of the objects after which progress is written down, at least.
SHARE = 1 / 200
#: Seconds after which a proof that was broken off is begun anew: what was warm then may no longer be.
HOLDS = 3600


@dataclass(slots=True)
class Noted:
    """What an earlier attempt did."""

    #: Places in the order of warming.
    warmed: set[int] = field(default_factory=set)
    proved: set[int] = field(default_factory=set)
    #: When the warming pass ended and the proof began, if they have.
    warmed_at: datetime | None = None
    #: Least freshness seen by the proof, in seconds.
    freshness: float | None = None


class Progress:
    """The noted progress of one warming; without a store, for as long as this process lives."""

    def __init__(self, store: Store | None, key: str, order: str, count: int) -> None:
        """`order`: the digest of what is to be asked, in its order; progress of another order is of no use."""
        self._store = store
        self._key = key
        self._order = order
        self._every = max(1, int(count * SHARE))
        self._since = 0
        self._etag: str | None = None
        self.noted = Noted()

    def load(self, now: datetime) -> None:
        """Take up what an earlier attempt left."""
        found = self._store.get(self._key, limit=8 << 20) if self._store else None
        if found is None:
            return
        body, self._etag = found
        self.noted = _read(json.loads(body), self._order)
        begun = self.noted.warmed_at
        if begun and (now - begun).total_seconds() > HOLDS:
            self.noted.proved, self.noted.freshness, self.noted.warmed_at = set(), None, None

    def did(self, *, warmed: int | None = None, proved: int | None = None) -> None:
        """Note one object; write everything down now and then."""
        if warmed is not None:
            self.noted.warmed.add(warmed)
        if proved is not None:
            self.noted.proved.add(proved)
        self._since += 1
        if self._since >= self._every:
            self.write()

    def lost(self, indexes: set[int]) -> None:
        """These are cold after all."""
        self.noted.warmed -= indexes
        self.noted.proved -= indexes

    def write(self) -> None:
        """Write everything down, unless another attempt has begun to."""
        self._since = 0
        if self._store is None:
            return
        body = canonical(
            {
                "order": self._order,
                "warmed": _runs(self.noted.warmed),
                "proved": _runs(self.noted.proved),
                "warmed_at": self.noted.warmed_at.isoformat() if self.noted.warmed_at else None,
                "freshness": self.noted.freshness,
            }
        )
        upload = Upload(key=self._key, body=body, content_type=content_type(".json"), cache_control=PRIVATE)
        if self._store.swap(upload, etag=self._etag):
            stored = self._store.head(self._key)
            self._etag = stored.etag if stored else None

    def forget(self) -> None:
        """The work is done, and its evidence kept elsewhere."""
        if self._store:
            self._store.delete([self._key])


def _read(data: Any, order: str) -> Noted:
    if data["order"] != order:
        return Noted()
    at = data["warmed_at"]
    return Noted(
        warmed=_indexes(data["warmed"]),
        proved=_indexes(data["proved"]),
        warmed_at=datetime.fromisoformat(at).astimezone(UTC) if at else None,
        freshness=data["freshness"],
    )


def _runs(indexes: set[int]) -> list[list[int]]:
    """`{0, 1, 2, 5}` → `[[0, 3], [5, 6]]`: done nearly in order, it stays a few numbers however many there are."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][1] == index:
            runs[-1][1] = index + 1
        else:
            runs.append([index, index + 1])
    return runs


def _indexes(runs: list[list[int]]) -> set[int]:
    return {index for first, end in runs for index in range(first, end)}
