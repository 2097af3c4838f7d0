"""The way from a source to a published track, as the farm goes it, in one process and against a real store."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count
from pathlib import Path

from pipelines import audio, encode, fmp4, track
from pipelines.artifact import Artifact
from pipelines.audio import AudioJob
from pipelines.cadence import Cadence, chunks
from pipelines.encode import EncodeJob, RungEncode
from pipelines.fmp4 import Fragment, Header
from pipelines.layout import INIT, segment
from pipelines.source import Source
from pipelines.tools.packager import MEDIA_SUFFIX
from pipelines.track import AudioTrack, PackageJob, VideoTrack
from pipelines.wire import from_data
from pipelines.workspace import Workspace
from presets.audio import AudioVariant, Loudness
from presets.ladder import Rung
from presets.packaging import Packaging

#: Short enough that a few seconds hold several chunks.
SHORT = Packaging(gop_seconds=0.5, segment_gops=2, chunk_segments=2)


def digest(*of: object) -> str:
    return hashlib.sha256(repr(of).encode()).hexdigest()


def rung(height: int) -> Rung:
    return Rung(height=height, bitrate=300_000, maxrate=600_000, bufsize=900_000, crf=24)


@dataclass(frozen=True, kw_only=True)
class Film:
    """A programme within a mezzanine."""

    source: Source
    demuxer: str
    cadence: Cadence
    first_frame: int
    frames: int
    heights: tuple[int, ...]
    lead: Fraction = Fraction(0)
    rotation: int = 0
    #: As shown.
    aspect: Fraction = Fraction(16, 9)

    def chunk_digest(self, height: int, first: int) -> str:
        return digest(self.source.sha256, height, first)

    def jobs(self) -> list[EncodeJob]:
        return [
            EncodeJob(
                source=self.source,
                demuxer=self.demuxer,
                stream=0,
                pixels=320 * 180,
                frame_rate=self.cadence.frame_rate,
                rotation=self.rotation,
                lead=self.lead,
                first_frame=self.first_frame + first,
                frames=frames,
                gop=self.cadence.gop,
                speed="ultrafast",
                rungs=tuple(
                    RungEncode(
                        digest=self.chunk_digest(height, first),
                        rung=rung(height),
                        width=round(height * self.aspect),
                        height=height,
                    )
                    for height in self.heights
                ),
            )
            for first, frames in chunks(self.frames, self.cadence)
        ]

    def package(self, height: int) -> PackageJob:
        cut = chunks(self.frames, self.cadence)
        return PackageJob(
            digest=digest("track", self.source.sha256, height),
            medium="video",
            inputs=tuple(self.chunk_digest(height, first) for first, _ in cut),
            cadence=self.cadence,
            lengths=tuple(frames for _, frames in cut),
        )


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A published track, as a player has it when all is loaded."""

    header: Header
    #: Of each segment.
    fragments: list[list[Fragment]]
    whole: Path


@dataclass(kw_only=True)
class Bench:
    make_workspace: Callable[..., Workspace]
    folder: Path
    made: dict[str, Artifact] = field(default_factory=dict)
    steps: "count[int]" = field(default_factory=lambda: count(1))

    def workspace(self) -> Workspace:
        return self.make_workspace(self.made, step="bench", token=next(self.steps))

    def keep(self, artifacts: Sequence[Artifact]) -> Artifact:
        self.made |= {artifact.digest: artifact for artifact in artifacts}
        return artifacts[-1]

    def encode(self, film: Film) -> None:
        for job in film.jobs():
            self.keep(encode.make(job, self.workspace()))

    def film(self, film: Film) -> dict[int, VideoTrack]:
        """Every rung of `film`, published."""
        self.encode(film)
        made = {height: self.keep(track.make(film.package(height), self.workspace())) for height in film.heights}
        return {height: from_data(VideoTrack, dict(artifact.facts)) for height, artifact in made.items()}

    def encode_sound(
        self,
        source: Source,
        *,
        layout: str = "stereo",
        variant: AudioVariant | None = None,
        offset: Fraction = Fraction(0),
        samples: int,
        loudness: Loudness | None = None,
    ) -> Artifact:
        job = AudioJob(
            digest=digest("sound", source.sha256, layout, variant, offset, samples, loudness),
            source=source,
            demuxer="wav",
            stream=0,
            layout=layout,
            offset=offset,
            samples=samples,
            sample_rate=48_000,
            variant=variant or AudioVariant(bitrate=128_000),
            loudness=loudness or Loudness(),
        )
        return self.keep(audio.make(job, self.workspace()))

    def package_sound(self, sound: Artifact, *, samples: int, cadence: Cadence, language: str = "en") -> AudioTrack:
        job = PackageJob(
            digest=digest("track", sound.digest, language),
            medium="audio",
            inputs=(sound.digest,),
            cadence=cadence,
            lengths=(samples,),
            language=language,
        )
        return from_data(AudioTrack, dict(self.keep(track.make(job, self.workspace())).facts))

    def fetch(self, key: str) -> bytes:
        found = self.workspace().store.get(key)
        assert found, key
        return found[0]

    def played(self, made: VideoTrack | AudioTrack) -> Fetched:
        """What a player gets: the init segment, and every media segment in order."""
        names = [INIT, *(segment(number, MEDIA_SUFFIX) for number in range(1, len(made.segments) + 1))]
        folder = self.folder / made.digest[:8]
        folder.mkdir()
        workspace = self.workspace()
        for name in names:
            found = workspace.store.get(made.prefix + name)
            assert found, name
            (folder / name).write_bytes(found[0])
        whole = folder / "whole.mp4"
        whole.write_bytes(b"".join((folder / name).read_bytes() for name in names))
        header = fmp4.read_header(folder / INIT)
        return Fetched(
            header=header,
            fragments=[fmp4.read_fragments(folder / name, header) for name in names[1:]],
            whole=whole,
        )
