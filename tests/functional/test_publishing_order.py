"""Nothing is ever named before it is there: seen by one who reads as fast as it can, and after every single write."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from pipelines import layout, release, version
from pipelines.artifact import Artifact
from pipelines.layout import PUBLIC, Names
from pipelines.release import Ref
from pipelines.step import Step
from pipelines.tools.s3 import Store, Upload
from pipelines.workspace import Workspace
from tests.conftest import StoreService
from tests.fakes import spine
from tests.fakes.episode import Episode
from tests.fakes.mortal_store import DiedError, MortalStore
from tests.fakes.readers import is_manifest, named
from workers.dispatch import PIPELINES


@dataclass(kw_only=True)
class Mortal:
    """Somebody who does the episode's publishing under names of their own, and dies after each write."""

    store: MortalStore
    reader: Store
    names: Names
    folder: Path
    made: dict[str, Artifact]
    #: How often.
    deaths: int = 0
    lives: Iterator[int] = field(default_factory=count)

    def publish(self, step: Step) -> None:
        """Have `step` done, whatever it takes."""
        for artifact in self.survive(lambda: PIPELINES[step.job.kind](step.job, self.workspace(step))):
            self.made[artifact.digest] = artifact

    def survive(self, work: Callable[[], Any]) -> Any:
        """Do `work` with no write, then one more each time, until it lives. What is visible is always whole."""
        self.store.left = 0
        while True:
            try:
                return work()
            except DiedError:
                self.deaths += 1
                self.store.left = 1
            finally:
                assert self.unkept() == []

    def unkept(self) -> list[tuple[str, str]]:
        """What something visible names that is not there."""
        there = spine.keys(self.reader, PUBLIC)
        bodies = {key: self.reader.get(key) for key in there if is_manifest(key)}
        return [(key, name) for key, body in bodies.items() if body for name in named(key, body[0]) - there]

    def workspace(self, step: Step) -> Workspace:
        scratch = self.folder / str(next(self.lives))
        scratch.mkdir()
        return Workspace(
            scratch=scratch,
            store=self.store,
            names=self.names,
            attempt=layout.attempt(step.id, 1),
            inputs={digest: self.made[digest] for digest in step.needs},
            watch=lambda _share: None,
        )


def test_dying_between_any_two_writes_leaves_only_what_is_whole(
    episode: Episode, store: Store, store_service: StoreService, tmp_path: Path
) -> None:
    """After every write of an episode, from its first segment to the flip; and the next attempt ends what was begun."""
    mortal = Mortal(
        store=MortalStore(store_service, store.bucket),
        reader=store,
        names=Names(key=b"another"),
        folder=tmp_path,
        made={},
    )
    for digest, artifact in episode.inputs.items():
        _copy(artifact.key, episode.store, store)
        mortal.made[digest] = artifact
    ref = Ref(episode="mortal", generation=0, state="not-yet", version=None, flipped_at=None)
    mortal.survive(lambda: release.mirror(mortal.store, ref, release.entry_points(ref, (), None, mortal.names)))
    for step in episode.plan.steps:
        if step.job.kind in ("package", "text", "thumbnails", "compose", "verify"):
            mortal.publish(step)
    composed = mortal.made[episode.plan.version]
    tracks = version.load_tracks(mortal.made[digest] for digest in composed.facts["tracks"])
    flipped = replace(ref, generation=1, state="released", version=composed.digest)
    bodies = release.entry_points(flipped, tracks, version.policy_of(composed), mortal.names)
    mortal.survive(lambda: release.mirror(mortal.store, flipped, bodies))
    mortal.store.close()
    public = spine.keys(store, PUBLIC)
    # One death before each write: of a public object, of an inventory, of each entry point's "not yet".
    assert mortal.deaths == len(public) + len(spine.keys(store, ["inventories/"])) + 3
    assert {key for key in public if key.startswith("e/")} == {f"e/mortal/{name}" for name in bodies}


def _copy(key: str, source: Store, target: Store) -> None:
    body = source.get(key)
    assert body
    target.put_once(Upload(key=key, body=body[0], content_type=layout.content_type(key), cache_control=layout.PRIVATE))
