"""
Files in, public objects out, in an order in which nothing is ever named before it is there.

Every write is conditional and every object is known by its sha256, so that publishing twice is harmless and publishing
something else under the same name fails. The inventory comes last: what it lists is whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipelines.layout import IMMUTABLE, PRIVATE, content_type
from pipelines.tools.s3 import Upload, Written
from pipelines.wire import canonical
from pipelines.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a track or a version, by its name within the prefix."""

    name: str
    body: bytes | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What is in the store now."""

    #: Bytes of all the files; the inventory is not counted.
    size: int
    #: Of the inventory.
    sha256: str


def publish(workspace: Workspace, *, digest: str, prefix: str, stages: Sequence[Sequence[File]]) -> Published:
    """
    Write the files of each stage, all of one before any of the next, then the inventory that lists them.

    Raises `StoreError`, also when an object of another content has one of the names.
    """
    written: list[Written] = []
    for done, stage in enumerate(stages):
        share = done / len(stages)
        uploads = [_upload(prefix, file) for file in stage]
        written += workspace.store.put_all(uploads, watch=partial(workspace.watch, share))
    listed = workspace.store.put_once(
        Upload(
            key=workspace.names.inventory(digest),
            body=inventory(written),
            content_type=content_type(".json"),
            cache_control=PRIVATE,
        )
    )
    return Published(size=sum(each.size for each in written), sha256=listed.sha256)


def inventory(written: Sequence[Written]) -> bytes:
    """What must be in the store, in the order in which it was written."""
    objects = [{"key": each.key, "size": each.size, "sha256": each.sha256} for each in written]
    return canonical({"objects": objects})


def _upload(prefix: str, file: File) -> Upload:
    return Upload(key=prefix + file.name, body=file.body, content_type=content_type(file.name), cache_control=IMMUTABLE)
