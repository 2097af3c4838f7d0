"""An episode that was run, as it was when its run had just ended."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pipelines.artifact import Artifact
from pipelines.plan import Plan
from pipelines.tools.s3 import Store
from tests.fakes import spine
from tests.fakes.spine import Avant
from tests.fakes.watcher import Watcher
from workers.ledger import open_ledger


@dataclass(frozen=True, kw_only=True)
class Episode:
    """Home, delivery and store may be used again; what was found in them is of that moment."""

    avant: Avant
    document: Path
    store: Store
    #: What the run said.
    told: dict[str, Any]
    watcher: Watcher
    plan: Plan
    #: Its chunks and sounds, by digest.
    inputs: Mapping[str, Artifact]
    #: All that was in the store.
    keys: frozenset[str]
    #: Bytes of every object that an inventory lists.
    listed: Mapping[str, int]

    @classmethod
    def of(cls, avant: Avant, document: Path, store: Store, told: dict[str, Any], watcher: Watcher) -> Self:
        ledger = open_ledger(avant.settings.ledger_address)
        overview = ledger.overview(spine.EPISODE)
        assert overview
        made = ledger.artifacts(overview.made)
        ledger.close()
        inventories = [store.get(key) for key in spine.keys(store, ["inventories/"])]
        return cls(
            avant=avant,
            document=document,
            store=store,
            told=told,
            watcher=watcher,
            plan=overview.plan,
            inputs={each.digest: each for each in made.values() if each.kind in ("chunk", "sound")},
            keys=frozenset(spine.keys(store)),
            listed={
                each["key"]: each["size"] for body in inventories if body for each in json.loads(body[0])["objects"]
            },
        )

    def changed(self, folder: Path) -> Path:
        """A copy of the delivery, to be changed."""
        return shutil.copytree(self.document.parent, folder / "delivery") / "episode.toml"

    def tracks(self) -> dict[str, tuple[str, object]]:
        """ETag and time of writing of every object of every track there is now."""
        client = self.store._connection.client
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.store.bucket, Prefix="t/")
        return {e["Key"]: (e["ETag"], e["LastModified"]) for page in pages for e in page.get("Contents", [])}
