"""
One language's sound in one layout and codec: one continuous pass over the programme, never cut into chunks.

Two runs: the first measures loudness, the second applies one constant gain and encodes; then what came out is measured
too. Silence is added or sound cut so that it is exactly as long as the picture.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, isfinite
from pathlib import Path
from typing import Literal

from pipelines import fmp4, loudness
from pipelines.artifact import Artifact
from pipelines.cadence import AAC_FRAME
from pipelines.downmix import pan
from pipelines.errors import ToolError
from pipelines.layout import PRIVATE, content_type
from pipelines.loudness import Measured
from pipelines.source import Source
from pipelines.tools import ffmpeg, supply
from pipelines.tools.ffmpeg import Stream
from pipelines.tools.s3 import Upload
from pipelines.workspace import Watch, Workspace
from presets.audio import AudioVariant, Loudness

#: Raised by hand when our own method changes what comes out.
RECIPE = 1
#: How often a programme is encoded until its peaks hold, and by how many dB more than needed the gain is lowered.
ATTEMPTS = 3
MARGIN = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioJob:
    """A language's sound to be measured and encoded."""

    kind: Literal["audio"] = "audio"
    #: Of the sound that comes out.
    digest: str
    source: Source
    demuxer: str
    stream: int
    #: ffmpeg's name of the source's layout.
    layout: str
    #: Seconds from the programme's first frame to the first sample.
    offset: Fraction
    #: Samples in the programme, at `sample_rate`.
    samples: int
    sample_rate: int
    variant: AudioVariant
    loudness: Loudness


def measurement(job: AudioJob, address: str) -> list[str]:
    """The argument list that measures the loudness of exactly the samples that will be encoded."""
    return _meter(_programme(job, address))


def command(job: AudioJob, address: str, gain: float, output: Path) -> list[str]:
    """The argument list that encodes the programme, louder by `gain` dB, to `output`."""
    louder = _programme(job, address).filter("volume", f"{gain:.2f}dB", precision="double")
    # The encoder takes whole frames; what the last one lacks is silence of ours, so that all of it is counted.
    whole = louder.filter("apad", whole_len=packets(job.samples) * AAC_FRAME)
    return ffmpeg.command(
        ffmpeg.output(
            whole,
            str(output),
            **{
                "c:a": "aac",
                "profile:a": "aac_low",  # the one that every player has
                "b:a": job.variant.bitrate,
                "flags:a": "+bitexact",
                # The first packet holds 1,024 samples from before the programme. Players that ignore edit lists would
                # play everything 21 ms late; without the packet the first frame only fades in.
                "bsf:a": "noise=drop='eq(n,0)'",
                "f": "mp4",
                "movflags": "+empty_moov+delay_moov+default_base_moof",
                "frag_duration": 2_000_000,  # microseconds; a fragment is held in memory until it is written
                "use_editlist": 0,  # there is nothing left to skip
                "map_metadata": -1,
                "map_chapters": -1,
                "fflags": "+bitexact",
            },
        )
    )


def make(job: AudioJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Measure, encode, measure what came out, and put it into the store."""
    made = workspace.scratch / f"sound-{job.digest[:8]}.mp4"
    with supply.readable(job.source, workspace.store) as address:
        before = _measured(measurement(job, address), job, _part(workspace.watch, 0.0, 0.3))
        gain, after = _encoded(job, address, before, made, workspace)
    check(made, job)
    put = workspace.store.put_once(
        Upload(
            key=workspace.attempt + made.name, body=made, content_type=content_type(made.name), cache_control=PRIVATE
        )
    )
    facts = {
        "loudness_in": _finite(before.loudness),
        "loudness_out": _finite(after.loudness),
        "gain_db": round(gain, 2),
        "true_peak": _finite(after.true_peak),
        "tools": {"ffmpeg": ffmpeg.version()},
    }
    return (Artifact(digest=job.digest, kind="sound", key=put.key, size=put.size, sha256=put.sha256, facts=facts),)


def packets(samples: int) -> int:
    """How many AAC frames hold that many samples."""
    return ceil(samples / AAC_FRAME)


def check(path: Path, job: AudioJob) -> None:
    """Raise `ToolError` unless `path` holds the AAC frames of `job`, from zero on and one after another."""
    header, fragments = fmp4.read(path)
    samples = [sample for fragment in fragments for sample in fragment.samples]
    if len(samples) != packets(job.samples):
        raise ToolError(f"{path.name} holds {len(samples)} AAC frames instead of {packets(job.samples)}.")
    if {sample.duration for sample in samples} != {AAC_FRAME} or header.timescale != job.sample_rate:
        raise ToolError(f"{path.name} holds AAC frames that are not {AAC_FRAME} samples long.")
    if fragments[0].decode_time or header.media_time is not None:
        raise ToolError(f"{path.name} does not begin at zero.")


def _encoded(job: AudioJob, address: str, before: Measured, made: Path, workspace: Workspace) -> tuple[float, Measured]:
    """
    Encode under the peak limit: the gain, and what was measured of the decoded result.

    AAC changes the wave form, and so its peaks: where it lifts them over the limit, the gain is lowered by as much.
    """
    gain = loudness.gain(before, job.loudness)
    for attempt in range(ATTEMPTS):
        watch = _part(workspace.watch, 0.3 if attempt == 0 else 1.0, 1.0)  # a second attempt is rare
        ffmpeg.run(command(job, address, gain, made), seconds=_length(job), watch=_part(watch, 0.0, 0.7))
        after = _measured(_meter(ffmpeg.source(str(made), "mov")["0"]), job, _part(watch, 0.7, 1.0))
        excess = after.true_peak - job.loudness.true_peak
        if excess <= 0 or before.silent:
            return gain, after
        gain -= excess + MARGIN
    raise ToolError(f"After {ATTEMPTS} attempts AAC still lifts peaks {excess:.1f} dB over the limit.")


def _programme(job: AudioJob, address: str) -> Stream:
    """Exactly the programme's samples, in the layout that is made of them, in floating point."""
    sound = ffmpeg.source(address, job.demuxer, err_detect="explode")[str(job.stream)]
    offset = round(job.offset * job.sample_rate)
    # Samples are counted from the file's first one, whatever the times in the file say. In whole samples: as
    # `N/SR/TB` is usually written, one time in some ten thousand is rounded to the sample before.
    sound = sound.filter("aresample", job.sample_rate).filter("asettb", expr=f"1/{job.sample_rate}")
    sound = sound.filter("asetpts", "N")
    sound = sound.filter("aformat", sample_fmts="fltp").filter("pan", args=pan(job.layout, job.variant.layout))
    if offset > 0:
        sound = sound.filter("adelay", f"{offset}S", all=1)
    if offset < 0:
        sound = sound.filter("atrim", start_sample=-offset).filter("asetpts", "N")
    return sound.filter("apad", whole_len=job.samples).filter("atrim", end_sample=job.samples)


def _meter(sound: Stream) -> list[str]:
    """The argument list that measures `sound`; the summary is logged."""
    metered = sound.filter("ebur128", peak="true", framelog="quiet")
    return ffmpeg.command(ffmpeg.output(metered, "-", f="null"), level="info")


def _measured(argv: list[str], job: AudioJob, watch: Watch) -> Measured:
    return loudness.parse(ffmpeg.run(argv, seconds=_length(job), watch=watch).tail)


def _length(job: AudioJob) -> Fraction:
    """Seconds."""
    return Fraction(job.samples, job.sample_rate)


def _finite(level: float) -> float | None:
    """JSON has no infinity: silence has no level."""
    return level if isfinite(level) else None


def _part(watch: Watch, start: float, end: float) -> Watch:
    """A watch for a run that is the part from `start` to `end` of the whole."""
    return lambda share: watch(start + (end - start) * share)
