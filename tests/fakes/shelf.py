"""The origin behind an edge of a test's own."""

from pipelines.tools.s3 import Store


class Shelf(dict[str, bytes]):
    """What an edge's origin holds: the bucket, asked once for each object."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def __missing__(self, key: str) -> bytes:
        found = self._store.get(key)
        self[key] = found[0] if found else b""
        return self[key]
