"""
What one process of a host has counted: attempts, frames, bytes, lost leases.

Kept in a small file under the home folder, so that whoever takes the process's place counts on, and so that nobody has
to ask a slot, which may live for seconds. Written whole after each attempt; a power cut may cost it, which readers of
counters are used to.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from pipelines.artifact import Artifact
from pipelines.encode import EncodeJob
from pipelines.step import Step

#: Kinds of artifacts whose bytes were stored by the step that made them; the others are words about such.
STORED = ("chunk", "sound", "track", "version")
#: What every rung is encoded as.
CODEC = "avc"

#: A name and its labels, sorted.
Key = tuple[str, tuple[tuple[str, str], ...]]

log = structlog.get_logger()


class Tally:
    """Counts that outlive their process. For one process at a time, and one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counts = dict(read(path))

    def attempt(self, step: Step, ending: str, seconds: float, made: Iterable[Artifact]) -> None:
        """Count an attempt at a step that ended so after `seconds`, and what came of it."""
        kind = step.job.kind
        self._add("attempts", 1, kind=kind, ending=ending)
        self._add("busy_seconds", seconds, kind=kind)
        for artifact in made:
            if artifact.kind in STORED:
                self._add("stored_bytes", artifact.size, artifact=artifact.kind)
        if ending == "done" and isinstance(step.job, EncodeJob):
            self._encoded(step.job, seconds)
        self._keep()

    def lost(self, how: str) -> None:
        """Count a step that was taken from its holder."""
        self._add("leases_lost", 1, how=how)
        self._keep()

    def _encoded(self, job: EncodeJob, seconds: float) -> None:
        """All rungs of a step are made together: each took as long as the whole."""
        for height in {each.rung.height for each in job.rungs}:
            self._add("encoded_frames", job.frames, codec=CODEC, height=str(height))
            self._add("encode_seconds", seconds, codec=CODEC, height=str(height))

    def _add(self, name: str, amount: float, **labels: str) -> None:
        key = (name, tuple(sorted(labels.items())))
        self._counts[key] = self._counts.get(key, 0) + amount

    def _keep(self) -> None:
        rows = [[name, dict(labels), count] for (name, labels), count in self._counts.items()]
        part = self._path.with_suffix(".part")
        try:
            part.write_text(json.dumps(rows), encoding="ascii")
            part.replace(self._path)
        except OSError as error:  # a full disk fails steps; a count that is not kept must not
            log.warning("counts.unkept", error=error.strerror)


@cache
def tally(home: Path, worker: str) -> Tally:
    """The counts of the slot `host/name`, or of whoever is called so."""
    folder = home / "counts"
    folder.mkdir(parents=True, exist_ok=True)
    return Tally(folder / f"{worker.rpartition('/')[2]}.json")


def read_all(home: Path) -> Mapping[Key, float]:
    """The counts of all processes of this host together."""
    total: dict[Key, float] = {}
    for path in (home / "counts").glob("*.json"):
        for key, count in read(path):
            total[key] = total.get(key, 0) + count
    return total


def read(path: Path) -> Iterator[tuple[Key, float]]:
    """The counts in a file; none in one that is damaged or not there."""
    try:
        rows: Any = json.loads(path.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return
    for name, labels, count in rows:
        yield (name, tuple(sorted(labels.items()))), count
