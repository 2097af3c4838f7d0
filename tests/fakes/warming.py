"""A published version of a minute or more, and the job to warm it."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipelines.artifact import Artifact
from pipelines.layout import Names
from pipelines.publish import File, publish
from pipelines.tools.s3 import Store
from pipelines.track import AudioTrack, Segment
from pipelines.version import Item, inventory
from pipelines.warm import Edge, WarmJob
from pipelines.wire import digest, to_data
from pipelines.workspace import Workspace
from tests.fakes.releases import policy


def published(store: Store, names: Names, scratch: Path, *, segments: int = 12, size: int = 1000) -> Workspace:
    """A track and a version that names it, in the store; their bytes differ from one `scratch` to the next."""
    name = str(scratch)
    made = {what: digest([name, what]) for what in ("track", "version")}
    workspace = Workspace(
        scratch=scratch, store=store, names=names, attempt="attempts/x/1/", inputs={}, watch=lambda _: None
    )
    track = AudioTrack(
        digest=made["track"],
        prefix=names.track(made["track"]),
        codecs="mp4a.40.2",
        language="fr",
        role="original",
        channels=2,
        sample_rate=48000,
        timescale=48000,
        segments=(Segment(duration=5 * 48000, size=size),) * segments,
    )
    media = [File(name=f"{n:05d}.m4s", body=_bytes(f"{name} {n}", size)) for n in range(1, segments + 1)]
    playlists = [File(name="media.m3u8", body=b"#EXTINF:5,\n" * 100)]
    manifests = [File(name="main.m3u8", body=b"#EXTM3U\n" * 100), File(name="main.mpd", body=b"<MPD/>")]
    parts: dict[str, tuple[str, list[list[File]], Mapping[str, object]]] = {
        "track": (track.prefix, [media, [File(name="init.mp4", body=b"moov")], playlists], to_data(track)),
        "version": (names.version(made["version"]), [manifests], {"policy": to_data(policy())}),
    }
    inputs = {}
    for kind, (prefix, stages, facts) in parts.items():
        put = publish(workspace, digest=made[kind], prefix=prefix, stages=stages)
        inputs[made[kind]] = Artifact(
            digest=made[kind],
            kind=kind,  # type: ignore[arg-type] - two of the kinds there are
            key=prefix,
            size=put.size,
            sha256=put.sha256,
            facts=facts,
        )
    return replace(workspace, inputs=inputs)


def job(workspace: Workspace, edge: Edge) -> WarmJob:
    track, version = workspace.inputs
    return WarmJob(digest=digest([version, edge.identity]), version=version, tracks=(track,), edge=edge)


def listed(workspace: Workspace) -> list[Item]:
    """All that is to be warmed."""
    return [item for made in workspace.inputs.values() for item in inventory(workspace.store, workspace.names, made)]


def bodies(workspace: Workspace) -> dict[str, bytes]:
    """What an origin answers, by key."""
    found = {item.key: workspace.store.get(item.key) for item in listed(workspace)}
    return {key: body[0] for key, body in found.items() if body}


def _bytes(seed: str, size: int) -> bytes:
    """Bytes that no gzip makes smaller."""
    return hashlib.shake_128(seed.encode()).digest(size)
