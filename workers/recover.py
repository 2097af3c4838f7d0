"""
After the ledger was restored from a backup, and before anything works on it: nothing older can win.

What viewers get is read from the store, where every entry point says its generation. Running it twice is harmless.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines import layout
from pipelines.layout import Names
from pipelines.release import generation_of, trim_of
from pipelines.tools.s3 import Store
from pipelines.trim import Trim
from workers.ledger import Ledger

#: Bytes of an entry point in JSON; it has a few hundred.
LARGEST = 1 << 20
#: No ref is flipped more often; a higher number in the store is not ours.
HIGHEST = (1 << 31) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the store shows viewers of an episode."""

    episode: str
    generation: int
    #: The public name of the version, `v/NAME/`.
    version: str
    #: What of it was withdrawn or capped.
    trim: Trim


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was put right."""

    epoch: int
    #: Episodes whose ref was behind the store and names their version again.
    raised: tuple[str, ...]
    #: Those whose version the ledger does not know: to be submitted and released again.
    forgotten: tuple[str, ...]


def recover(ledger: Ledger, store: Store, names: Names) -> Recovered:
    """Fence off whoever held a step, and raise every ref to what the store shows. Raises `StoreError`."""
    epoch = ledger.fence()
    ledger.forget_doomed()
    raised: list[str] = []
    forgotten: list[str] = []
    for shown in _shown(store):
        if shown.generation <= ledger.ref(shown.episode).generation:
            continue
        planned = ledger.planned(shown.episode)
        known = names.knowing({digest: made.key for digest, made in ledger.artifacts(planned).items()})
        versions = (digest for digest in planned if known.version(digest) == shown.version)
        version = next(versions, None)
        if ledger.raise_ref(shown.episode, shown.generation, version, shown.trim):
            (raised if version else forgotten).append(shown.episode)
    return Recovered(epoch=epoch, raised=tuple(raised), forgotten=tuple(forgotten))


def _shown(store: Store) -> Iterator[Shown]:
    for key in store.keys("e/"):
        _, episode, file = key.split("/", 2)
        found = store.get(key, limit=LARGEST) if file == layout.RELEASE else None
        generation = generation_of(found[0]) if found else -1
        if found and 0 < generation <= HIGHEST:
            yield Shown(
                episode=episode,
                generation=generation,
                version=f"v/{json.loads(found[0]).get('version')}/",
                trim=trim_of(found[0]),
            )
