"""A version in a real store: composed of tracks that are whole, and refused when anything of it is not as it was."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest

from pipelines import layout, subtitles, version
from pipelines.artifact import Artifact
from pipelines.errors import DeliveryError, Interrupted, ReleaseError
from pipelines.source import Source
from pipelines.subtitles import TextJob
from pipelines.tools.s3 import Upload
from pipelines.track import AudioTrack, TextTrack, VideoTrack
from pipelines.version import ComposeJob, Item, VerifyJob
from pipelines.wire import to_data
from pipelines.workspace import Workspace
from tests.fakes.pages import CADENCE, POLICY, SPRITES, digest
from tests.fakes.promised import TRACKS, published

VERSION, VERIFICATION = digest("version"), digest("verification")
SRT = b"1\n00:00:01,000 --> 00:00:02,000\nOl\xc3\xa1\n\n2\n00:00:05,000 --> 00:00:07,000\nentre dois\n"


@dataclass
class Episode:
    """Published tracks, and the way to make a version of them."""

    workspace: Workspace
    tracks: tuple[str, ...]

    def do(self, make: Callable[..., tuple[Artifact, ...]], job: object) -> Artifact:
        (made,) = make(job, self.workspace)
        self.workspace = replace(self.workspace, inputs={**self.workspace.inputs, made.digest: made})
        return made

    def compose(self) -> Artifact:
        return self.do(version.make, ComposeJob(digest=VERSION, tracks=self.tracks, policy=POLICY))

    def verify(self) -> Artifact:
        job = VerifyJob(digest=VERIFICATION, version=VERSION, tracks=self.tracks, policy=POLICY)
        return self.do(version.verify, job)

    def items(self) -> list[Item]:
        inputs = self.workspace.inputs
        return [
            i for made in inputs.values() for i in version.inventory(self.workspace.store, self.workspace.names, made)
        ]

    def key(self, end: str) -> str:
        """The first key of an object that ends so."""
        return next(item.key for item in self.items() if item.key.endswith(end))

    def spoil(self, key: str, body: bytes | None, cache_control: str = layout.IMMUTABLE) -> None:
        """Put something else, or nothing, where an object was."""
        store = self.workspace.store
        store.delete([key])
        if body is not None:
            store.put_once(
                Upload(key=key, body=body, content_type=layout.content_type(key), cache_control=cache_control)
            )


@pytest.fixture
def episode(make_workspace: Callable[..., Workspace], tmp_path: Path) -> Episode:
    workspace = make_workspace()
    names = workspace.names
    made = Episode(workspace, ())
    for track in TRACKS:
        placed = replace(track, prefix=names.track(track.digest))
        artifact = published(placed, workspace)
        made.workspace = replace(made.workspace, inputs={**made.workspace.inputs, track.digest: artifact})
    text = made.do(subtitles.make, text_job(tmp_path))
    made.tracks = (*(track.digest for track in TRACKS), text.digest)
    return made


def text_job(folder: Path, body: bytes = SRT) -> TextJob:
    path = folder / "pt.srt"
    path.write_bytes(body)
    return TextJob(
        digest=digest("pt-BR sdh"),
        source=Source(uri=str(path), size=len(body), sha256=sha256(body).hexdigest()),
        language="pt-BR",
        text_kind="sdh",
        offset=Fraction(0),
        frames=POLICY.frames,
        cadence=CADENCE,
    )


def test_a_version_is_composed_and_found_sound(episode: Episode) -> None:
    """Its artifact says what it was composed of; verification counts every object and byte, twice the same."""
    made = episode.compose()
    assert made.key == episode.workspace.names.version(VERSION)
    assert made.facts == {"tracks": list(episode.tracks), "policy": to_data(POLICY)}
    assert version.policy_of(made) == POLICY
    names = [
        item.key.removeprefix(made.key)
        for item in version.inventory(episode.workspace.store, episode.workspace.names, made)
    ]
    assert names == [layout.CHAPTERS, layout.MULTIVARIANT_PLAYLIST, layout.MPD]
    items = episode.items()
    verified = episode.verify()
    assert verified.facts == {"objects": len(items), "bytes": sum(item.size for item in items), "warnings": []}
    assert episode.verify() == verified
    assert episode.compose() == made


def test_tracks_are_read_back_from_what_steps_left(episode: Episode) -> None:
    """In order and typed; provenance is no part of them."""
    loaded = version.load_tracks(episode.workspace.inputs[track] for track in episode.tracks)
    assert [type(track) for track in loaded] == [VideoTrack, AudioTrack, AudioTrack, type(SPRITES), TextTrack]
    assert loaded[0] == replace(TRACKS[0], prefix=episode.workspace.names.track(TRACKS[0].digest))


def test_a_text_track_is_whole(episode: Episode) -> None:
    """A segment for every one of the picture's, the whole file, and a playlist that names them all, written last."""
    made = episode.workspace.inputs[episode.tracks[-1]]
    store, names = episode.workspace.store, episode.workspace.names
    listed = [item.key.removeprefix(made.key) for item in version.inventory(store, names, made)]
    assert listed == ["00001.vtt", "00002.vtt", "00003.vtt", "00004.vtt", "00005.vtt", "all.vtt", "media.m3u8"]
    second = store.get(made.key + "00002.vtt")
    assert second
    assert second[0].decode().endswith("\n\n00:00:05.000 --> 00:00:07.000\nentre dois\n")
    (track,) = version.load_tracks([made])
    assert (track.segments, track.duration) == (5, Fraction(24))  # type: ignore[union-attr] - it is a text track


def test_a_text_that_changed_since_it_was_examined_is_refused(episode: Episode, tmp_path: Path) -> None:
    """What was approved is what is published."""
    job = text_job(tmp_path)
    Path(job.source.uri).write_bytes(SRT.replace(b"dois", b"tres"))
    with pytest.raises(DeliveryError, match="changed since it was examined"):
        subtitles.make(job, episode.workspace)


def test_a_missing_object_is_named(episode: Episode) -> None:
    """Which one, so that somebody can look."""
    episode.compose()
    key = episode.key("00003.m4s")
    episode.spoil(key, None)
    with pytest.raises(ReleaseError, match=f"is not fit to be released: `{key}` is missing"):
        episode.verify()


def test_a_changed_object_is_named_with_what_changed(episode: Episode) -> None:
    """Size, checksum and headers are those of the inventory and the layout."""
    episode.compose()
    key = episode.key("00002.m4s")
    episode.spoil(key, b"other", cache_control="no-store")
    with pytest.raises(ReleaseError) as caught:
        episode.verify()
    assert f"`{key}`: its size is `5`" in caught.value.message
    assert f"sha256 is `{sha256(b'other').hexdigest()}`" in caught.value.message
    assert f"cache control is `no-store`, not `{layout.IMMUTABLE}`" in caught.value.message


def test_of_many_faults_three_are_named(episode: Episode) -> None:
    """The rest is a number."""
    episode.compose()
    for item in episode.items()[:5]:
        episode.spoil(item.key, None)
    with pytest.raises(ReleaseError, match="; and 2 more"):
        episode.verify()


@pytest.mark.parametrize(
    ("body", "how"), [(None, "is missing"), (b'{"objects":[]}', "is not the one that was committed")]
)
def test_an_inventory_is_believed_only_if_it_was_committed(episode: Episode, body: bytes | None, how: str) -> None:
    """Otherwise whatever it lists would pass."""
    episode.compose()
    episode.spoil(episode.workspace.names.inventory(episode.tracks[0]), body)
    with pytest.raises(ReleaseError, match=how):
        episode.verify()


def test_manifests_that_break_a_rule_are_refused(episode: Episode) -> None:
    """A track that is half as large as its facts say makes manifests that promise too much."""
    first = episode.workspace.inputs[episode.tracks[0]]
    segments = [{**segment, "size": 2 * segment["size"]} for segment in first.facts["segments"]]
    lying = replace(first, facts={**first.facts, "segments": segments})
    episode.workspace = replace(episode.workspace, inputs={**episode.workspace.inputs, first.digest: lying})
    episode.compose()
    with pytest.raises(ReleaseError, match=r"\(bandwidth-measured\)"):
        episode.verify()


def test_a_track_that_nobody_lists_is_refused(episode: Episode) -> None:
    """A manifest may name only what an inventory vouches for."""
    episode.compose()
    job = VerifyJob(digest=VERIFICATION, version=VERSION, tracks=episode.tracks[:-1], policy=POLICY)
    with pytest.raises(ReleaseError, match=r"is not in the store"):
        version.verify(job, episode.workspace)


def test_work_that_no_longer_counts_stops(episode: Episode) -> None:
    """`watch` may end verification between any two batches."""
    episode.compose()

    def watch(_: float) -> None:
        raise Interrupted("The lease was lost.")

    episode.workspace = replace(episode.workspace, watch=watch)
    with pytest.raises(Interrupted):
        episode.verify()
