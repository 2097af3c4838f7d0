"""
A prefix of a bucket with one prefix for each delivery.

    PREFIX/NAME/episode.toml      a delivery, and the objects that it names
    PREFIX/submitted/NAME.json    what became of it
    PREFIX/refused/NAME.json      why it was refused

Deliveries stay where they are: a bucket has no rename, and moving would mean a copy of the whole film. So a refusal is
a note that keeps how the delivery looked; once it looks otherwise, it is looked at again. Our credential needs to write
notes, and can do without any right to change a delivery.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from pipelines import layout
from pipelines.errors import ConfigurationError, StoreError
from pipelines.tools.s3 import Listed, Store, Upload
from scripts.ingest.delivered import DOCUMENT, LARGEST, REFUSED, SUBMITTED, Look, Seen, from_data, is_name

#: Objects under one prefix: a hundred requests to list, every minute.
MOST = 100_000


class Bucket:
    """The deliveries under a prefix, as `names` found them last, and the notes about them."""

    def __init__(self, store: Store, prefix: str) -> None:
        """`prefix` ends in a slash, or is empty."""
        self._store = store
        self._prefix = prefix
        self._objects: dict[str, dict[str, Listed]] = {}
        #: Notes that were read, by key and ETag.
        self._notes: dict[tuple[str, str], Look | None] = {}

    def home(self, name: str) -> str:
        """What stands before the relative key of an object of that delivery."""
        return f"s3://{self._store.bucket}/{self._prefix}{name}/"

    def names(self) -> list[str]:
        """Every delivery whose document has come, oldest first: of two for one episode the later counts."""
        self._objects = self._listed()
        found = [
            (objects[DOCUMENT].modified, name)
            for name, objects in self._objects.items()
            if DOCUMENT in objects and is_name(name)
        ]
        return [name for _, name in sorted(found)]

    def look(self, name: str, paths: Iterable[str]) -> Look:
        """How those objects were when `names` listed them."""
        objects = self._objects[name]
        return {path: _seen(objects.get(path)) for path in paths}

    def document(self, name: str) -> bytes:
        """The document, or as much of it as tells that it is too large."""
        listed = self._objects[name][DOCUMENT]
        if listed.size > LARGEST:
            return b" " * (LARGEST + 1)
        found = self._store.get(listed.key, limit=LARGEST)
        if found is None or found[1] != listed.etag:
            raise StoreError(f"`{listed.key}` was replaced while it was looked at.")
        return found[0]

    def dealt_with(self, name: str) -> Look | None:
        """How the delivery looked when it was last submitted or refused, whichever was later; None if never."""
        notes = [self._objects.get(kind, {}).get(f"{name}.json") for kind in (SUBMITTED, REFUSED)]
        last = max((note for note in notes if note), key=lambda note: note.modified, default=None)
        if last is None:
            return None
        key = (last.key, last.etag)
        if key not in self._notes:
            self._notes[key] = self._read(last.key)
        return self._notes[key]

    def accept(self, name: str, note: Mapping[str, Any]) -> None:
        self._write(SUBMITTED, name, note)

    def refuse(self, name: str, note: Mapping[str, Any]) -> None:
        self._write(REFUSED, name, note)

    def _listed(self) -> dict[str, dict[str, Listed]]:
        objects: dict[str, dict[str, Listed]] = defaultdict(dict)
        listing = self._store.listed(self._prefix)
        for one in islice(listing, MOST):
            name, _, path = one.key.removeprefix(self._prefix).partition("/")
            objects[name][path] = one
        if next(listing, None):
            raise ConfigurationError(
                f"More than {MOST} objects are under s3://{self._store.bucket}/{self._prefix}.",
                hint="Have old deliveries expire, or watch a prefix that holds only new ones.",
            )
        return objects

    def _read(self, key: str) -> Look | None:
        found = self._store.get(key)
        try:
            return from_data(json.loads(found[0]).get("look")) if found else None
        except ValueError:
            return None

    def _write(self, kind: str, name: str, note: Mapping[str, Any]) -> None:
        key = f"{self._prefix}{kind}/{name}.json"
        body = json.dumps(note, indent=2, ensure_ascii=False).encode()
        there = self._store.head(key)
        upload = Upload(key=key, body=body, content_type="application/json", cache_control=layout.PRIVATE)
        # Another watcher that is faster has written the same.
        self._store.swap(upload, etag=there.etag if there else None)


def _seen(listed: Listed | None) -> Seen | None:
    return Seen(size=listed.size, stamp=listed.etag) if listed else None
