"""
Committed chunks or sound in, a published track out: init segment, media segments, playlists, inventory.

A track is CMAF, one set of segments for HLS and DASH. Order on the store: segments, init segment, playlists, and last
the inventory. Every write is conditional, so that doing it twice is harmless.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import ceil, floor
from pathlib import Path
from typing import Literal

from pipelines import fmp4, rates
from pipelines.artifact import Artifact
from pipelines.cadence import AAC_FRAME, Cadence
from pipelines.delivery import AudioRole, TextKind
from pipelines.errors import ToolError
from pipelines.fmp4 import Fragment, Header
from pipelines.layout import IFRAME_PLAYLIST, INIT, MEDIA_PLAYLIST, segment
from pipelines.playlist import KeyFrame, iframe_playlist, media_playlist
from pipelines.publish import File, Published, publish
from pipelines.tools import packager
from pipelines.tools.packager import Described
from pipelines.wire import to_data
from pipelines.workspace import Workspace

#: Raised by hand when our own method changes what comes out.
RECIPE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One media segment, as it is in the store."""

    #: Ticks of the track's timescale.
    duration: int
    #: Bytes.
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTrack:
    """What manifests need to know of a video track."""

    kind: Literal["video"] = "video"
    digest: str
    prefix: str
    codecs: str
    width: int
    height: int
    frame_rate: Fraction
    timescale: int
    segments: tuple[Segment, ...]
    #: Bits per second of the key frames alone, as `rates` counts them.
    iframe_peak: int
    iframe_average: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioTrack:
    """What manifests need to know of an audio track."""

    kind: Literal["audio"] = "audio"
    digest: str
    prefix: str
    codecs: str
    language: str
    role: AudioRole
    channels: int
    sample_rate: int
    timescale: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTrack:
    """What manifests need to know of a text track: WebVTT segments for HLS, one whole file for DASH."""

    kind: Literal["text"] = "text"
    digest: str
    prefix: str
    language: str
    text_kind: TextKind
    #: Bytes of the whole file.
    size: int
    #: Seconds of the programme.
    duration: Fraction
    #: Media segments in the playlist.
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailTrack:
    """What manifests need to know of the sprites."""

    kind: Literal["thumbnails"] = "thumbnails"
    digest: str
    prefix: str
    tile_width: int
    tile_height: int
    columns: int
    rows: int
    #: Seconds from one tile to the next.
    interval: Fraction
    #: Sprites.
    sprites: int
    #: Bytes of the largest sprite.
    largest: int


Track = VideoTrack | AudioTrack | TextTrack | ThumbnailTrack


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageJob:
    """Chunks of one rung, or one language's sound, to be cut into segments and published."""

    kind: Literal["package"] = "package"
    #: Of the track.
    digest: str
    medium: Literal["video", "audio"]
    #: The chunks in order, or the one sound.
    inputs: tuple[str, ...]
    cadence: Cadence
    #: Frames of each chunk, in order; of sound, its samples.
    lengths: tuple[int, ...]
    language: str = ""
    role: AudioRole = "original"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A media segment as the packager wrote it."""

    name: str
    path: Path
    fragments: tuple[Fragment, ...]

    @property
    def segment(self) -> Segment:
        return Segment(duration=sum(fragment.duration for fragment in self.fragments), size=self.path.stat().st_size)


def make(job: PackageJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Join, cut, check, publish."""
    whole = assemble(job.inputs, job.lengths, workspace)
    header = fmp4.read_header(whole)
    argv = packager.command(
        job.medium,
        whole.name,
        segment=job.cadence.segment_seconds,
        fragment=job.cadence.gop_seconds,
        timescale=header.timescale,
        language=job.language,
    )
    described = packager.run(argv, workspace.scratch, watch=partial(workspace.watch, 0.3))
    cut = fmp4.read_header(workspace.scratch / INIT)
    pieces = collect(workspace.scratch, cut)
    check(job, cut, pieces)
    track = _track(job, workspace.names.track(job.digest), described, cut.timescale, pieces)
    published = publish(
        workspace, digest=job.digest, prefix=track.prefix, stages=_stages(job, workspace, track, pieces)
    )
    return (committed(track, published, packager=packager.version()),)


def committed(track: Track, published: Published, **tools: str) -> Artifact:
    """A published track as the ledger keeps it, with the versions of the tools that made it."""
    return Artifact(
        digest=track.digest,
        kind="track",
        key=track.prefix,
        size=published.size,
        sha256=published.sha256,
        facts={**to_data(track), "tools": tools},
    )


def assemble(inputs: Sequence[str], lengths: Sequence[int], workspace: Workspace) -> Path:
    """The committed bytes of `inputs`, checked, as one file in the scratch folder. Of sound there is only one."""
    fetched = []
    for number, digest in enumerate(inputs):
        workspace.watch(0.2 * number / len(inputs))
        artifact = workspace.inputs[digest]
        fetched.append(workspace.scratch / f"input-{number:05d}.mp4")
        workspace.store.fetch(artifact.key, fetched[-1], sha256=artifact.sha256)
    if len(fetched) == 1:
        return fetched[0]
    whole = workspace.scratch / "whole.mp4"
    fmp4.join(fetched, lengths, whole)
    for path in fetched:
        path.unlink()  # an hour of 1080p would lie there twice
    return whole


def collect(folder: Path, header: Header) -> list[Piece]:
    """The media segments in `folder`, in order."""
    return [
        Piece(name=path.name, path=path, fragments=tuple(fmp4.read_fragments(path, header)))
        for path in sorted(folder.glob(f"*{packager.MEDIA_SUFFIX}"))
    ]


def check(job: PackageJob, header: Header, pieces: Sequence[Piece]) -> None:
    """Raise `ToolError` unless the segments are exactly those that the cadence asks for, and follow one another."""
    expected = _expected(job, header.timescale)
    found = [[len(fragment.samples) for fragment in piece.fragments] for piece in pieces]
    if [sum(samples) for samples in found] != expected:
        raise ToolError(
            f"The packager cut {[sum(samples) for samples in found]} samples into segments instead of {expected}."
        )
    if [piece.name for piece in pieces] != [segment(n, packager.MEDIA_SUFFIX) for n in range(1, len(pieces) + 1)]:
        raise ToolError("The packager did not number its segments from one without a gap.")
    groups = [len(fragment.samples) for piece in pieces for fragment in piece.fragments]
    if job.medium == "video" and groups[:-1] != [job.cadence.gop] * ((sum(job.lengths) - 1) // job.cadence.gop):
        raise ToolError(
            f"The packager made fragments of {sorted(set(groups))} frames; each group needs one of its own."
        )
    time = 0
    for piece in pieces:
        for fragment in piece.fragments:
            if fragment.decode_time != time:
                raise ToolError(f"{piece.name} has a fragment at tick {fragment.decode_time} instead of {time}.")
            if not fragment.samples[0].sync:
                raise ToolError(f"{piece.name} has a fragment that no player can start at.")
            time += fragment.duration
    first = pieces[0].fragments[0].samples[0]
    if first.composition != (header.media_time or 0):
        raise ToolError(f"The first sample is shown {first.composition - (header.media_time or 0)} ticks from zero.")


def _expected(job: PackageJob, timescale: int) -> list[int]:
    """Samples of each segment: frames, or AAC frames, which are cut at the first that begins in the segment."""
    if job.medium == "video":
        frames = sum(job.lengths)
        return [min(job.cadence.segment, frames - first) for first in range(0, frames, job.cadence.segment)]
    ticks = floor(job.cadence.segment_seconds * timescale)
    packets = ceil(sum(job.lengths) / AAC_FRAME)
    last = (packets - 1) * AAC_FRAME // ticks
    starts = [ceil(number * ticks / AAC_FRAME) for number in range(last + 1)]
    return [end - start for start, end in zip(starts, [*starts[1:], packets], strict=True)]


def _track(
    job: PackageJob, prefix: str, described: Described, timescale: int, pieces: Sequence[Piece]
) -> VideoTrack | AudioTrack:
    segments = tuple(piece.segment for piece in pieces)
    if job.medium == "audio":
        return AudioTrack(
            digest=job.digest,
            prefix=prefix,
            codecs=described.codecs,
            language=job.language,
            role=job.role,
            channels=described.channels,
            sample_rate=described.sample_rate,
            timescale=timescale,
            segments=segments,
        )
    keys = [(key.duration, key.length) for key in key_frames(pieces, timescale)]
    return VideoTrack(
        digest=job.digest,
        prefix=prefix,
        codecs=described.codecs,
        width=described.width,
        height=described.height,
        frame_rate=job.cadence.frame_rate,
        timescale=timescale,
        segments=segments,
        iframe_peak=rates.peak(keys, job.cadence.target_duration),
        iframe_average=rates.average(keys),
    )


def measured(track: VideoTrack | AudioTrack) -> tuple[rates.Piece, ...]:
    """The media segments of the track, to count its rates from."""
    return tuple((Fraction(segment.duration, track.timescale), segment.size) for segment in track.segments)


def key_frames(pieces: Sequence[Piece], timescale: int) -> list[KeyFrame]:
    """The key frame that each fragment begins with."""
    return [
        KeyFrame(
            uri=piece.name,
            duration=Fraction(fragment.duration, timescale),
            start=fragment.start,
            length=fragment.first_sample_end - fragment.start,
        )
        for piece in pieces
        for fragment in piece.fragments
    ]


def _stages(
    job: PackageJob, workspace: Workspace, track: VideoTrack | AudioTrack, pieces: Sequence[Piece]
) -> list[list[File]]:
    """Nothing is named before it is there: segments, the init segment, playlists."""
    target = job.cadence.target_duration
    entries = [
        (Fraction(each.duration, track.timescale), piece.name)
        for each, piece in zip(track.segments, pieces, strict=True)
    ]
    playlists = [File(name=MEDIA_PLAYLIST, body=media_playlist(entries, target, INIT).encode())]
    if job.medium == "video":
        keys = key_frames(pieces, track.timescale)
        playlists.append(File(name=IFRAME_PLAYLIST, body=iframe_playlist(keys, target, INIT).encode()))
    return [
        [File(name=piece.name, body=piece.path) for piece in pieces],
        [File(name=INIT, body=workspace.scratch / INIT)],
        playlists,
    ]
