"""Deliveries that arrive in a bucket of a real object store."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.tools.s3 import Store, Upload
from scripts.ingest.bucket import Bucket
from scripts.ingest.watcher import Place, Watcher
from tests.conftest import StoreService
from tests.fakes import spine
from tests.fakes.ingest import film, start
from workers.submission import Desk, open_desk


@dataclass(frozen=True, kw_only=True)
class Hook:
    """A watched prefix of a bucket, and the farm behind it."""

    store: Store
    delivery: Path
    desk: Desk

    def put(self, name: str, **replaced: bytes) -> None:
        """Upload a delivery, its document last, some of its files with other bytes."""
        for path in sorted(self.delivery.parent.iterdir(), key=lambda path: path.name == "episode.toml"):
            body = replaced.get(path.stem, path.read_bytes())
            key = f"in/{name}/{path.name}"
            upload = Upload(key=key, body=body, content_type="video/mp4", cache_control="no-store")
            there = self.store.head(key)
            assert self.store.swap(upload, etag=there.etag if there else None)

    def watcher(self) -> Watcher:
        place: Place = Bucket(self.store, "in/")
        return Watcher(place, self.desk, every=0.0, patience=0.0)

    def look_twice(self) -> None:
        watcher = self.watcher()
        watcher.tend()
        watcher.tend()
        assert watcher.waiting == []

    def note(self, kind: str, name: str = "one") -> dict[str, object] | None:
        found = self.store.get(f"in/{kind}/{name}.json")
        return json.loads(found[0]) if found else None


@pytest.fixture
def hook(delivery: Path, tmp_path: Path, store: Store, store_service: StoreService) -> Iterator[Hook]:
    with open_desk(spine.settings(tmp_path / "home", delivery, store_service, store.bucket)) as desk:
        yield Hook(store=store, delivery=delivery, desk=desk)


def test_a_bucket_is_watched_like_a_folder(hook: Hook) -> None:
    """Relative names are keys beside the document; sources are objects; the delivery is not touched."""
    hook.put("one")
    before = {one.key: (one.etag, one.modified) for one in hook.store.listed("in/")}
    hook.look_twice()
    overview = hook.desk.ledger.overview(spine.EPISODE)
    assert overview
    source = next(step.job.source for step in overview.plan.steps if step.job.kind == "encode")
    assert source.uri.startswith(f"s3://{hook.store.bucket}/in/one/")
    hook.look_twice()
    view = hook.desk.ledger.overview(spine.EPISODE)
    assert view
    assert view.submitted_at == overview.submitted_at
    after = {one.key: (one.etag, one.modified) for one in hook.store.listed("in/")}
    assert after.keys() - before.keys() == {"in/submitted/one.json"}
    assert after.items() >= before.items()


def test_a_bucket_keeps_what_is_refused_until_it_is_mended(hook: Hook) -> None:
    """A note says why; the same objects are not looked at again; a new document is."""
    hook.put("one", episode=b"{}")
    hook.look_twice()
    note = hook.note("refused")
    assert note
    assert "is not TOML" in str(note["error"])
    watcher = hook.watcher()
    watcher.tend()
    assert watcher.waiting == []
    hook.put("one")
    hook.look_twice()
    assert (hook.note("submitted") or {})["episode"] == spine.EPISODE
    watcher.tend()
    assert watcher.waiting == []


def test_an_object_that_came_damaged_is_refused(hook: Hook) -> None:
    """By its declared checksum, which the whole object is read for."""
    text = hook.delivery.read_text()
    right = hashlib.sha256(film(hook.delivery).read_bytes()).hexdigest()
    for name, declared in (("one", right), ("two", right[::-1])):
        hook.put(name, episode=text.replace("[mezzanine]", f'[mezzanine]\nsha256 = "{declared}"').encode())
    hook.look_twice()
    assert hook.note("submitted")
    assert str((hook.note("refused", "two") or {})["error"]).endswith(f"{right}, not {right[::-1]} as declared.")


def test_a_delivery_in_a_bucket_names_nothing_of_its_neighbours(hook: Hook) -> None:
    """Whoever may write one prefix must not have another's film published."""
    hook.put("one")
    stranger = hook.delivery.read_text().replace('file = "', f'file = "s3://{hook.store.bucket}/in/one/')
    hook.put("two", episode=stranger.replace(spine.EPISODE, "stolen").encode())
    hook.look_twice()
    assert "which is not in the delivery." in str((hook.note("refused", "two") or {})["error"])
    assert hook.desk.ledger.overview("stolen") is None


def test_the_command_watches_a_bucket(hook: Hook, tmp_path: Path) -> None:
    """With --once it ends: 0 when all is dealt with."""
    hook.put("one")
    log = tmp_path / "log"
    assert start(hook.desk.settings, f"s3://{hook.store.bucket}/in", log, "--once").wait(60) == 0
    assert "ingest.submitted" in log.read_text()
    assert hook.note("submitted")
